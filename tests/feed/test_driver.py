"""The driver under virtual time: what the machine asks for is done, when and how often it may be done."""

from __future__ import annotations

import itertools
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest
import trio.testing
from msgspec import structs

from tests.feed import quarry
from tests.feed.bench import BOOK, ETH, TRADES, codes, ids
from tests.feed.server import QuarryServer
from unitape.clock import LoopClock
from unitape.feed.budget import Budgets
from unitape.feed.client import RestClient
from unitape.feed.core import FeedCore
from unitape.feed.driver import FeedDriver
from unitape.feed.inputs import Command, Frame, Input, Tick
from unitape.spi import Budget, HttpRequest, HttpResponse, Instruments
from unitape.transport.memory import MemoryTransport
from unitape_schemas import BookSnapshot, Event, Subscription

pytestmark = pytest.mark.anyio

ORIGIN = 1_790_000_000_000_000_000


@pytest.fixture
def anyio_backend() -> Any:
    return "trio", {"clock": trio.testing.MockClock(autojump_threshold=0)}


class Run:
    def __init__(self, market: quarry.QuarryMarket, seed: int) -> None:
        self.server = QuarryServer()
        self.clock = LoopClock(ORIGIN)
        self.events: list[Any] = []
        self.deliveries: list[int] = []
        self.inputs: list[Input] = []
        self.carried: list[Command] = []
        client = RestClient(
            market,
            market.endpoints["live"],
            MemoryTransport(self.server),
            Budgets(self.clock),
            self.clock,
            timeout=10.0,
        )
        self.driver = FeedDriver(
            market,
            Instruments(market.catalogue),
            client,
            clock=self.clock,
            rng=random.Random(seed),
            deliver=self.deliver,
            tap=self.inputs.append,
            on_command=self.carried.append,
        )

    def deliver(self, events: Sequence[Event]) -> None:
        self.deliveries.append(len(events))
        self.events.extend(events)


@asynccontextmanager
async def running(market: quarry.QuarryMarket | None = None, *, seed: int = 1) -> AsyncIterator[Run]:
    run = Run(market or quarry.QuarryMarket(), seed)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(run.driver.run)
        yield run
        tasks.cancel_scope.cancel()


async def test_a_subscription_is_confirmed_and_its_data_delivered_once_per_read() -> None:
    async with running() as run:
        (verdict,) = await run.driver.subscribe([TRADES])
        assert verdict.text is None
        run.deliveries.clear()
        for n in range(1, 51):
            run.server.peers[0].send(quarry.trade(n))
        await anyio.sleep(0.1)
        assert ids(run.events) == [str(n) for n in range(1, 51)]
        assert run.deliveries == [50]


async def test_a_refusal_reaches_whoever_asked() -> None:
    async with running() as run:
        run.server.acks = False

        async def refuse() -> None:
            await anyio.sleep(1.0)
            run.server.peers[0].send(quarry.no(TRADES, "Blocked!"))
            run.server.peers[0].send(quarry.ok(ETH))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(refuse)
            first, second = await run.driver.subscribe([TRADES, ETH])
        assert (first.text, first.code, second.text) == ("Blocked!", "7", None)


async def test_unsubscribing_frees_whoever_waits() -> None:
    async with running() as run:
        run.server.acks = False
        async with anyio.create_task_group() as tasks:

            async def stop() -> None:
                await anyio.sleep(1.0)
                run.driver.unsubscribe([TRADES])

            tasks.start_soon(stop)
            (verdict,) = await run.driver.subscribe([TRADES])
        assert verdict.text == "unsubscribed before it was confirmed"


@pytest.mark.parametrize("seed", range(5))
async def test_reconnecting_backs_off_with_full_jitter_up_to_a_cap(seed: int) -> None:
    async with running(seed=seed) as run:
        await run.driver.subscribe([TRADES])
        run.server.refuse = lambda url: True
        run.server.attempts.clear()
        run.server.peers[0].cut()
        begin = anyio.current_time()
        await anyio.sleep(900.0)
        times = [begin, *run.server.attempts]
        pauses = [b - a for a, b in itertools.pairwise(times)]
        assert len(pauses) > 12, f"seed {seed}"
        for n, pause in enumerate(pauses):
            assert pause <= min(60.0, 2.0**n) + 0.01, f"seed {seed}, attempt {n}"
        assert max(pauses) > 20.0, f"seed {seed}"
        assert len({round(pause, 6) for pause in pauses}) == len(pauses), f"seed {seed}"
        run.server.refuse = lambda url: False
        await anyio.sleep(61.0)
        run.server.peers[-1].send(quarry.trade(1))
        await anyio.sleep(0.1)
        assert ids(run.events) == ["1"]


async def test_connection_attempts_stay_within_the_hosts_budget() -> None:
    tight = quarry.QuarryMarket(limits=quarry.limits(connects_per_window=10, connect_window=300.0))
    async with running(tight) as run:
        await run.driver.subscribe([TRADES])
        run.server.refuse = lambda url: True
        run.server.peers[0].cut()
        await anyio.sleep(3600.0)
        attempts = run.server.attempts
        assert len(attempts) > 50
        busiest = max(sum(1 for other in attempts if at <= other < at + 300.0) for at in attempts)
        assert busiest <= 10


async def test_the_message_rate_is_kept_and_answers_go_first() -> None:
    slow = quarry.QuarryMarket(limits=quarry.limits(messages_per_second=1.0, subscriptions_per_connection=50))
    async with running(slow) as run:
        await run.driver.subscribe([TRADES])
        run.server.received.clear()
        async with anyio.create_task_group() as tasks:
            for symbol in quarry.SYMBOLS[1:6]:
                tasks.start_soon(run.driver.subscribe, [Subscription("trades", symbol)])
            await anyio.sleep(1.5)
            run.server.peers[0].send(b'{"ping": 1}')
        texts = [text.split(" ")[0] for _, _, text in run.server.received]
        assert sorted(texts) == ["PONG", *["SUB"] * 5]
        assert texts.index("PONG") <= 2
        times = [at for at, _, _ in run.server.received]
        assert all(b - a >= 0.999 for a, b in itertools.pairwise(times))


async def test_a_book_is_fetched_beside_the_stream_and_joined() -> None:
    async with running() as run:
        await run.driver.subscribe([BOOK])
        run.server.peers[0].send(quarry.depth(11, 101))
        await anyio.sleep(1.0)
        (snapshot,) = [event for event in run.events if isinstance(event, BookSnapshot)]
        assert snapshot.seq == 10
        book = run.driver.core.book("BTC/EUR")
        assert book is not None
        assert book.best_bid == (101.0, 1.0)


async def test_retry_after_is_obeyed_by_everything_that_asks_the_host() -> None:
    async with running() as run:
        run.server.http_answer = lambda request: HttpResponse(429, b"slow down", (("retry-after", "30"),))
        await run.driver.subscribe([BOOK])
        await anyio.sleep(0.5)
        assert len(run.server.requests) == 1
        run.server.http_answer = lambda request: quarry.image(10)
        with anyio.move_on_after(25.0):
            await run.driver.client.request(HttpRequest("GET", "/oi"))
        assert len(run.server.requests) == 1
        await anyio.sleep(10.0)
        assert [target for _, target in run.server.requests][1:] == ["/depth?s=BTC/EUR"]
        assert run.server.requests[1][0] - run.server.requests[0][0] >= 30.0
        assert "rate_limited" in codes(run.events)


@pytest.mark.parametrize("aligned", [True, False])
async def test_requests_are_spread_over_the_venues_windows(aligned: bool) -> None:
    budget = Budget("weight", 100, 60.0, aligned=aligned)
    market = quarry.QuarryMarket(
        channels={"book": quarry.ChannelSpec("book", "book", "sequence")},
        limits=quarry.limits(budgets=(budget,), subscriptions_per_connection=100),
        heartbeat=quarry.Heartbeat("protocol", 20.0, 1000.0, 60.0),
        weights={"depth": 20},
    )
    async with running(market) as run:
        wanted = [Subscription("book", symbol) for symbol in quarry.SYMBOLS[:12]]
        await run.driver.subscribe(wanted)
        await anyio.sleep(240.0)
        assert len(run.server.requests) == 12
        times = [at for at, _ in run.server.requests]
        for at in times:
            spent = 20 * sum(1 for other in times if at <= other < at + 60.0)
            assert spent <= (200 if aligned else 100)
        assert times[-1] - times[0] >= 90.0


async def test_what_the_venue_says_is_used_counts() -> None:
    budget = Budget("weight", 100, 60.0, aligned=False, header="x-used")
    market = quarry.QuarryMarket(limits=quarry.limits(budgets=(budget,)))
    async with running(market) as run:
        run.server.http_answer = lambda request: HttpResponse(200, b"{}", (("X-Used", "95"),))
        await run.driver.client.request(HttpRequest("GET", "/a"))
        begin = anyio.current_time()
        await run.driver.client.request(HttpRequest("GET", "/b"))
        assert anyio.current_time() - begin >= 59.0


async def test_while_held_nothing_is_read_but_what_the_venue_owes_an_answer_on() -> None:
    market = quarry.QuarryMarket(limits=quarry.limits(subscriptions_per_connection=1))
    async with running(market) as run:
        await run.driver.subscribe([TRADES])
        run.driver.hold(True)
        run.server.peers[0].send(quarry.trade(1))
        await anyio.sleep(3.0)
        assert ids(run.events) == []
        # Subscribing must not wait for the consumer that asked for the pause.
        (verdict,) = await run.driver.subscribe([ETH])
        assert verdict.text is None
        run.server.carrier("trades ETH/EUR").send(quarry.trade(5, symbol="ETH/EUR"))
        await anyio.sleep(40.0)
        assert ids(run.events) == []
        assert "stale" not in codes(run.events)
        run.driver.hold(False)
        await anyio.sleep(0.1)
        assert sorted(ids(run.events)) == ["1", "5"]


async def test_a_paused_connection_is_read_for_an_answer_that_it_owes() -> None:
    async with running() as run:
        await run.driver.subscribe([TRADES])
        run.driver.hold(True)
        await anyio.sleep(1.0)
        (verdict,) = await run.driver.subscribe([ETH])
        assert verdict.text is None
        assert len(run.server.peers) == 1
        run.server.peers[0].send(quarry.trade(1))
        await anyio.sleep(10.0)
        assert ids(run.events) == []


async def test_heartbeats_go_on_while_held() -> None:
    async with running(quarry.QuarryMarket(ping_every=10_000_000_000)) as run:
        await run.driver.subscribe([TRADES])
        run.driver.hold(True)
        await anyio.sleep(35.0)
        assert [text for _, _, text in run.server.received].count("PING") >= 3


async def test_one_connection_that_fails_for_ever_leaves_the_others_undisturbed() -> None:
    market = quarry.QuarryMarket(limits=quarry.limits(subscriptions_per_connection=1))
    async with running(market) as run:
        await run.driver.subscribe([TRADES, ETH])
        run.server.refuse = lambda url: True
        run.server.carrier("trades BTC/EUR").cut()
        well = run.server.carrier("trades ETH/EUR")
        for n in range(1, 301):
            well.send(quarry.trade(n, symbol="ETH/EUR"))
            await anyio.sleep(1.0)
        assert ids(run.events) == [str(n) for n in range(1, 301)]
        assert well.open


async def test_cancelling_closes_every_connection_and_leaves_no_task() -> None:
    async with running(quarry.QuarryMarket(limits=quarry.limits(subscriptions_per_connection=1))) as run:
        await run.driver.subscribe([TRADES, ETH, BOOK])
        peers = list(run.server.peers)
        assert len(peers) == 3
    assert run.server.gone == peers or set(run.server.gone) == set(peers)
    assert not any(peer.open for peer in peers)
    assert trio.lowlevel.current_statistics().tasks_living <= 5


async def test_the_tap_sees_all_that_a_replay_needs() -> None:
    market = quarry.QuarryMarket(limits=quarry.limits(lifetime=200.0))
    rng = random.Random(3)
    async with running(market) as run:
        await run.driver.subscribe([TRADES, BOOK])
        number = seq = 10
        for _ in range(900):
            peer = run.server.peers[-1]
            number += rng.choice([0, 1, 1, 1, 2])
            seq += rng.choice([1, 1, 1, 1, 2])
            for each in {run.server.peers[-1], run.server.peers[-2 if len(run.server.peers) > 1 else -1]}:
                each.send(quarry.trade(number, ts=number))
                each.send(quarry.depth(seq, 100 + number % 7))
            run.server.http_answer = lambda request, seq=seq: (
                quarry.image(seq) if request.path == "/depth" else HttpResponse(200, b"[]")
            )
            if rng.random() < 0.004:
                peer.cut()
            await anyio.sleep(1.0)
    assert {"rotated", "disconnected", "gap"} <= set(codes(run.events))
    replayed = FeedCore(market, Instruments(market.catalogue))
    events: list[Any] = []
    for item in run.inputs:
        events.extend(replayed.apply(item))
        replayed.commands.clear()
    assert events == run.events
    assert any(isinstance(item, Tick) for item in run.inputs)
    assert all(item.ts >= ORIGIN for item in run.inputs if isinstance(item, Frame))


async def test_frames_are_stamped_with_the_driver_clock() -> None:
    async with running() as run:
        await run.driver.subscribe([TRADES])
        await anyio.sleep(5.0)
        run.server.peers[0].send(quarry.trade(1))
        await anyio.sleep(0.0)
        now = run.clock.wall()
        await anyio.sleep(1.0)
        (event,) = [event for event in run.events if hasattr(event, "price")]
        assert structs.asdict(event)["ts_recv"] == now
