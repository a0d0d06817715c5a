"""What depends on time: pauses for slow consumers, heartbeats that survive them, and the watermark order."""

from __future__ import annotations

import random
from collections.abc import Sequence

import anyio
import anyio.abc
import pytest
from anyio.lowlevel import checkpoint

from unitape.adapter import SubscribeResult
from unitape.router import Router
from unitape.subscriptions import trades
from unitape_schemas import Event, Status, Subscription, Trade

from .fakes import SYMBOL, FakeAdapter, quote, trade

pytestmark = pytest.mark.anyio

LIMIT = 0.05


class WireAdapter(FakeAdapter):
    """A venue behind one wire: data, pings and acknowledgements come through it in order, and ``hold`` stops it all.

    This is worse than what an adapter may do. The venue pings every ``LIMIT`` and hangs up when no pong comes; the
    wire holds any number of messages.
    """

    hold_limit = LIMIT

    def __init__(self, venue: str = "alpha") -> None:
        super().__init__(venue)
        self.hung_up = False
        self.pongs = 0
        self.longest = 0.0

    def start(self, tasks: anyio.abc.TaskGroup) -> None:
        self.sender, self._receiver = anyio.create_memory_object_stream[object](100_000)
        self._free = anyio.Event()
        self._free.set()
        tasks.start_soon(self._read)
        tasks.start_soon(self._ping)

    async def __aexit__(self, kind: object, value: object, traceback: object) -> bool | None:
        try:
            return await super().__aexit__(kind, value, traceback)
        finally:
            self.sender.close()
            self._receiver.close()

    async def _read(self) -> None:
        async for message in self._receiver:
            if isinstance(message, anyio.Event):
                message.set()
            else:
                self.deliver(message)
            await self._free.wait()

    async def _ping(self) -> None:
        while True:
            await anyio.sleep(LIMIT)
            pong = anyio.Event()
            self.sender.send_nowait(pong)
            sent = anyio.current_time()
            with anyio.move_on_after(40 * LIMIT):
                await pong.wait()
            self.longest = max(self.longest, anyio.current_time() - sent)
            self.hung_up = self.hung_up or not pong.is_set()
            self.pongs += 1

    def hold(self, held: bool) -> None:
        super().hold(held)
        if held:
            self._free = anyio.Event()
        else:
            self._free.set()

    async def subscribe(self, subscriptions: Sequence[Subscription]) -> SubscribeResult:
        acknowledged = anyio.Event()
        self.sender.send_nowait(acknowledged)
        await acknowledged.wait()
        return SubscribeResult(self.venue, tuple(subscriptions))


async def test_a_stuck_consumer_stops_neither_acknowledgements_nor_heartbeats(anyio_backend_name) -> None:
    alpha = WireAdapter()
    async with Router(alpha) as router:
        stuck = router.stream(overflow="block", capacity=4, name="stuck")
        healthy = router.stream(types=Trade)
        for number in range(1, 11):
            alpha.sender.send_nowait(trade(number))
        began = anyio.current_time()
        with anyio.fail_after(5):
            await router.subscribe(trades(SYMBOL))
        waited = anyio.current_time() - began
        await anyio.sleep(20 * LIMIT)
        assert alpha.pongs >= 10
        assert alpha.held == [True, False], "one pause per read of the consumer"
        slack = 0.0 if anyio_backend_name == "trio" else 1.0
        assert waited <= LIMIT + slack + 1e-9
        assert alpha.longest <= LIMIT + slack + 1e-9
        assert not alpha.hung_up
        assert len(healthy) == 10, "the other consumer gets everything"
        events: list[Event] = []
        async for event in stuck:
            events.append(event)
            if len(events) == 5:
                break
        assert isinstance(events[0], Status)
        assert (events[0].code, events[0].count) == ("dropped", 6)
        assert events[1:] == [trade(n) for n in (7, 8, 9, 10)]


async def test_a_consumer_that_is_a_little_slow_loses_nothing_with_block() -> None:
    alpha = WireAdapter()
    async with Router(alpha) as router:
        stream = router.stream(overflow="block", capacity=8)
        for number in range(200):
            alpha.sender.send_nowait(trade(number))
        got = []
        with anyio.fail_after(10):
            async for event in stream:
                got.append(event)
                if len(got) % 5 == 0:
                    await anyio.sleep(LIMIT / 50)
                if len(got) == 200:
                    break
        assert got == [trade(n) for n in range(200)]
        assert alpha.held.count(True) > 10


async def test_reading_releases_the_pause_at_once_and_two_askers_both_count() -> None:
    alpha, beta = WireAdapter("alpha"), WireAdapter("beta")
    async with Router(alpha, beta) as router:
        first = router.batches(overflow="block", capacity=2)
        second = router.batches(overflow="block", capacity=2, venues="alpha")
        alpha.deliver(trade(1))
        assert (alpha.held, beta.held) == ([True], [True])
        await first.__anext__()
        assert (alpha.held, beta.held) == ([True], [True, False])
        await second.__anext__()
        assert alpha.held == [True, False]
        alpha.deliver(trade(2))
        await first.aclose()
        await second.aclose()
        assert alpha.held == [True, False, True, False], "a consumer that leaves holds nothing"


async def test_slow_consumers_in_turn_cannot_pause_a_venue_without_end() -> None:
    alpha = WireAdapter()
    async with Router(alpha) as router:
        first = router.batches(overflow="block", capacity=2)
        alpha.deliver(trade(1))
        await anyio.sleep(LIMIT * 1.5)
        assert alpha.held == [True, False]
        second = router.batches(overflow="block", capacity=2)
        alpha.deliver(trade(2))
        assert alpha.held == [True, False], "it reads for as long as it was paused"
        await anyio.sleep(LIMIT * 1.5)
        await second.__anext__()
        alpha.deliver(trade(3))
        assert alpha.held == [True, False, True]
        await first.aclose()


async def test_watermark_order_is_by_receive_time_over_all_venues() -> None:
    alpha, beta = FakeAdapter("alpha"), FakeAdapter("beta")
    async with Router(alpha, beta) as router:
        stream = router.stream(order="watermark", lateness=1.0)
        beta.deliver(trade(1, "beta", ts=5), trade(2, "beta", ts=9))
        alpha.deliver(trade(1, ts=3), trade(2, ts=9))
        assert len(stream) == 4
        alpha.deliver(trade(3, ts=20))
        beta.deliver(trade(3, "beta", ts=30))
        got = [await stream.__anext__() for _ in range(4)]
        assert [(e.ts_recv, e.venue, e.id) for e in got] == [
            (3, "alpha", "1"),
            (5, "beta", "1"),
            (9, "alpha", "2"),
            (9, "beta", "2"),
        ]
        assert stream.late == 0


async def test_watermark_waits_no_longer_than_its_lateness() -> None:
    alpha, silent = FakeAdapter("alpha"), FakeAdapter("silent")
    async with Router(alpha, silent) as router:
        stream = router.stream(order="watermark", lateness=LIMIT)
        alpha.deliver(trade(1, ts=1))
        began = anyio.current_time()
        assert await stream.__anext__() == trade(1, ts=1)
        assert LIMIT * 0.9 <= anyio.current_time() - began <= LIMIT + 2
        late = round(LIMIT * 1e9)
        alpha.deliver(trade(2, ts=10), trade(3, ts=10 + late))
        assert await stream.__anext__() == trade(2, ts=10), "newer data alone releases it"
        silent.deliver(trade(4, "silent", ts=4))
        assert await stream.__anext__() == trade(4, "silent", ts=4)
        assert stream.late == 1
        silent.crash.set()
        told = await stream.__anext__()
        while not isinstance(told, Status):
            told = await stream.__anext__()
        assert told.code == "halted"
        alpha.deliver(quote(5, ts=20 + late), quote(6, ts=20 + late), quote(7, ts=21 + late))
        with anyio.move_on_after(LIMIT / 2):
            await anyio.wait_all_tasks_blocked()
        assert len(stream) == 3


@pytest.mark.parametrize("seed", range(20))
async def test_watermark_gives_one_order_however_arrivals_interleave(seed) -> None:
    randomness = random.Random(seed)
    names = ("alpha", "beta", "gamma")
    scripts: dict[str, list[list[Event]]] = {}
    for name in names:
        now, number, script = 0, 0, []
        for _ in range(60):
            now += randomness.randrange(0, 8)
            batch = []
            for _ in range(randomness.randrange(1, 4)):
                number += 1
                batch.append(trade(number, name, ts=now))
            script.append(batch)
        scripts[name] = script
    expected = sorted(
        (event for name in names for batch in scripts[name] for event in batch),
        key=lambda e: (e.ts_recv, names.index(e.venue), int(e.id)),
    )
    for _ in range(3):
        adapters = {name: FakeAdapter(name) for name in names}
        async with Router(*adapters.values()) as router:
            stream = router.stream(order="watermark", lateness=1e-6)
            left = {name: list(scripts[name]) for name in names}
            sent = dict.fromkeys(names, 0)
            while any(left.values()):
                open_names = [n for n in names if left[n]]
                slowest = min(left[n][0][0].ts_recv for n in open_names)
                # One venue may run ahead of another by less than the lateness.
                allowed = [n for n in open_names if left[n][0][0].ts_recv - slowest < 1000]
                name = randomness.choice(allowed)
                adapters[name].deliver(*left[name].pop(0))
                sent[name] += 1
        got = [event async for event in stream]
        assert got == expected, f"seed {seed}"
        assert stream.late == 0, f"seed {seed}"


class Torrent(FakeAdapter):
    """A venue that brings 600 trades at every turn of the loop, unless it is held."""

    async def pour(self, count: int) -> None:
        number = 0
        while number < count:
            if not (self.held and self.held[-1]):
                self.deliver(*(trade(n) for n in range(number, min(number + 600, count))))
                number += 600
            await checkpoint()


async def test_a_fast_consumer_that_is_outrun_at_its_yields_is_waited_for() -> None:
    alpha = Torrent()
    async with Router(alpha) as router, anyio.create_task_group() as tasks:
        stream = router.stream(capacity=8_000)
        tasks.start_soon(alpha.pour, 60_000)
        got = []
        with anyio.fail_after(20):
            async for event in stream:
                got.append(event)
                if len(got) == 60_000:
                    break
        assert stream.lost == 0
        assert got == [trade(n) for n in range(60_000)]
        assert alpha.held.count(True) > 10
        assert alpha.held[-1] is False


async def test_a_slow_consumer_is_not_waited_for_but_loses_the_oldest() -> None:
    alpha = Torrent()
    async with Router(alpha) as router, anyio.create_task_group() as tasks:
        stream = router.stream(capacity=2_000)
        tasks.start_soon(alpha.pour, 12_000)
        count = lost = 0
        with anyio.fail_after(20):
            async for event in stream:
                if isinstance(event, Status):
                    lost += event.count or 0
                else:
                    count += 1
                if count % 200 == 0:
                    await anyio.sleep(0.01)
                if count + lost == 12_000:
                    break
        assert stream.lost == lost > 0
        assert alpha.held == []
