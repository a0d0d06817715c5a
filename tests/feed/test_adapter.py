"""A venue's adapter: markets started on demand, queries, refusals, and the same cases on real sockets."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import anyio
import pytest
import trio.testing
from websockets.asyncio.server import ServerConnection, serve

from tests.feed import quarry
from tests.feed.bench import BOOK, ETH, TRADES, codes, ids
from tests.feed.server import QuarryServer
from unitape.adapter import Adapter, FeedInfo, VenueAdapter
from unitape.clock import LoopClock
from unitape.errors import ConfigError, RateLimited, TransportError, Unsupported, WireError
from unitape.feed.inputs import Command, Input
from unitape.queries import interval_seconds
from unitape.registry import load_adapter, load_venue
from unitape.spi import Endpoint, HttpRequest, HttpResponse
from unitape.transport.memory import MemoryTransport
from unitape_schemas import Event, Subscription, Trade

ORIGIN = 1_790_000_000_000_000_000
VENUE = quarry.venue()


@pytest.fixture
def anyio_backend() -> Any:
    return "trio", {"clock": trio.testing.MockClock(autojump_threshold=0)}


def answer(request: HttpRequest) -> HttpResponse:
    if request.path == "/instruments":
        return HttpResponse(200, json.dumps(list(quarry.SYMBOLS)).encode())
    if request.path == "/candles":
        wanted = dict(part.split("=") for part in request.query.split("&"))
        first, last = (int(wanted[k]) // quarry.MINUTE for k in ("start", "end"))
        return HttpResponse(200, json.dumps(list(range(first, last))[: int(wanted["limit"])]).encode())
    return quarry.image(10)


def adapter(server: QuarryServer, **settings: Any) -> VenueAdapter:
    server.http_answer = answer
    return VenueAdapter(VENUE, transport=MemoryTransport(server), clock=LoopClock(ORIGIN), seed=1, **settings)


class Keep:
    def __init__(self) -> None:
        self.events: list[Event] = []

    def deliver(self, events: Sequence[Event]) -> None:
        self.events.extend(events)


@pytest.mark.anyio
async def test_it_is_an_adapter_and_asks_for_instruments_once() -> None:
    server, keep = QuarryServer(), Keep()
    live: Adapter = adapter(server)
    async with live:
        live.attach(keep)
        assert server.requests == []
        result = await live.subscribe([TRADES, BOOK])
        again = await live.subscribe([ETH, TRADES])
        assert set(result.confirmed) == {TRADES, BOOK}
        assert set(again.confirmed) == {ETH, TRADES}
        assert [target for _, target in server.requests].count("/instruments") == 1
        server.carrier(TRADES.key).send(quarry.trade(1))
        await anyio.sleep(1.0)
        assert ids(keep.events) == ["1"]
        assert codes(live.state())[:3] == ["subscribed"] * 3
        book = live.book("BTC/EUR")
        assert book is not None
        assert book.best_bid == (100.0, 5.0)
        await live.unsubscribe([BOOK])
        assert live.book("BTC/EUR") is None
    assert not any(peer.open for peer in server.peers)


@pytest.mark.anyio
async def test_what_does_not_exist_raises_before_anything_is_sent() -> None:
    server = QuarryServer()
    async with adapter(server, offline=True) as live:
        for bad in (
            Subscription("trades", "BTC/USDT"),
            Subscription("trades", "NONE/EUR"),
            Subscription("quotes", "BTC/EUR"),
            Subscription("trades", "*", market="nowhere"),
        ):
            with pytest.raises(ConfigError):
                await live.subscribe([TRADES, bad])
        assert not live.owns(Subscription("trades", "BTC/USDT"))
        assert live.owns(TRADES)
    assert server.attempts == []
    assert server.requests == []


@pytest.mark.anyio
async def test_plan_shows_the_connections_without_making_any() -> None:
    server = QuarryServer()
    async with adapter(server) as live:
        plan = live.plan([Subscription("trades", symbol) for symbol in quarry.SYMBOLS[:7]])
        assert [(p.venue, p.market, p.route, p.used, p.capacity) for p in plan] == [
            ("quarry", "spot", "public", 3, 3),
            ("quarry", "spot", "public", 3, 3),
            ("quarry", "spot", "public", 1, 3),
        ]
    assert server.attempts == []


@pytest.mark.anyio
async def test_five_hundred_symbols_take_the_connections_they_need_each_with_its_own_watch() -> None:
    server = QuarryServer()
    async with adapter(server) as live:
        wanted = [Subscription("trades", symbol) for symbol in quarry.SYMBOLS[:300]]
        result = await live.subscribe(wanted)
        assert set(result.confirmed) == set(wanted)
        assert len(server.peers) == 100
        assert len(live.stats()) == 300


@pytest.mark.anyio
async def test_candles_are_paged_with_progress() -> None:
    server = QuarryServer()
    done: list[tuple[int, int]] = []
    async with adapter(server) as live:
        candles = await live.candles(
            "BTC/EUR", "1m", 10 * quarry.MINUTE, 18 * quarry.MINUTE, progress=lambda *step: done.append(step)
        )
    assert [candle.ts_open // quarry.MINUTE for candle in candles] == list(range(10, 18))
    assert len([target for _, target in server.requests if "/candles" in target]) == 3
    assert done == [(n * quarry.MINUTE, 8 * quarry.MINUTE) for n in (3, 6, 8)]


@pytest.mark.anyio
async def test_queries_map_what_goes_wrong() -> None:
    server = QuarryServer()
    async with adapter(server, offline=True) as live:
        book = await live.order_book("BTC/EUR")
        assert (book.seq, book.epoch, book.bids) == (10, 0, ((100.0, 5.0),))
        server.http_answer = lambda request: HttpResponse(429, b"slow", (("retry-after", "3"),))
        with pytest.raises(RateLimited) as limited:
            await live.order_book("BTC/EUR")
        assert limited.value.retry_after == 3.0
        server.http_answer = lambda request: HttpResponse(200, b"<html>")
        with pytest.raises(WireError):
            await live.order_book("BTC/EUR")
        with pytest.raises(Unsupported):
            await live.funding_history("BTC/EUR")


@pytest.mark.anyio
async def test_a_venue_without_instruments_is_an_error_of_the_call() -> None:
    server = QuarryServer()
    async with adapter(server) as live:
        server.http_answer = lambda request: HttpResponse(500, b"down")
        with pytest.raises(Exception, match="down"):
            await live.subscribe([TRADES])
        server.http_answer = answer
        assert (await live.subscribe([TRADES])).confirmed == (TRADES,)


@pytest.mark.anyio
async def test_a_feed_is_recorded_from_its_first_input() -> None:
    server = QuarryServer()
    seen: list[FeedInfo] = []

    class Tap:
        def __init__(self) -> None:
            self.inputs: list[Input] = []
            self.commands: list[Command] = []

        def tap(self, happened: Input) -> None:
            self.inputs.append(happened)

        def on_command(self, command: Command) -> None:
            self.commands.append(command)

    tap = Tap()

    def record(info: FeedInfo) -> Tap:
        seen.append(info)
        return tap

    async with adapter(server, record=record) as live:
        await live.subscribe([BOOK])
        await anyio.sleep(0.5)
    assert [(i.venue, i.market, len(i.instruments)) for i in seen] == [("quarry", "spot", len(quarry.SYMBOLS))]
    kinds = [type(item).__name__ for item in tap.inputs]
    assert kinds[:3] == ["Subscribe", "Opened", "Frame"]
    assert "Response" in kinds
    assert [type(c).__name__ for c in tap.commands] == ["Connect", "Send", "Send", "Fetch"]


@pytest.mark.anyio
async def test_stream_yields_everything_and_ends_with_the_adapter() -> None:
    server = QuarryServer()
    got: list[Event] = []
    async with anyio.create_task_group() as tasks, adapter(server, offline=True) as live:
        stream = live.stream()

        async def read() -> None:
            got.extend([event async for event in stream])

        tasks.start_soon(read)
        await live.subscribe([TRADES])
        server.carrier(TRADES.key).send(quarry.trade(1))
        await anyio.sleep(0.5)
    assert codes(got) == ["connected", "subscribed"]
    assert ids(got) == ["1"]


@pytest.mark.anyio
async def test_an_adapter_is_used_inside_its_block_only() -> None:
    live = adapter(QuarryServer(), offline=True)
    with pytest.raises(ConfigError, match="enter the adapter first"):
        await live.subscribe([TRADES])
    with pytest.raises(ConfigError, match="no environment 'moon'"):
        VenueAdapter(VENUE, environment="moon")
    with pytest.raises(ConfigError, match="no market"):
        VenueAdapter(VENUE, endpoints={"nowhere": Endpoint("http://x", {})})
    with pytest.raises(ConfigError, match="names no venue"):
        VenueAdapter()


@pytest.mark.anyio
async def test_what_the_block_raises_leaves_as_it_was() -> None:
    async def use() -> None:
        async with adapter(QuarryServer(), offline=True) as live:
            await live.subscribe([TRADES])
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await use()


def test_a_class_names_its_venue() -> None:
    class Quarry(VenueAdapter):
        declaration = VENUE

    assert Quarry(offline=True).venue == "quarry"


def test_unknown_names_are_refused_with_the_known_ones() -> None:
    with pytest.raises(ConfigError, match="installed: "):
        load_adapter("atlantis")


def test_lengths_of_intervals() -> None:
    assert [interval_seconds(i) for i in ("1s", "15m", "4h", "3d", "1w")] == [1, 900, 14_400, 259_200, 604_800]


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.parametrize("library", ["websockets", "picows"])
@pytest.mark.anyio
async def test_the_same_over_real_sockets(library: Any, anyio_backend: Any) -> None:
    """Subscribe, lose the connection, come back, count the hole: on asyncio, in real time."""
    if library == "picows":
        pytest.importorskip("picows")
    sent: list[ServerConnection] = []

    async def venue(ws: ServerConnection) -> None:
        sent.append(ws)
        async for message in ws:
            if isinstance(message, str) and message.startswith("SUB "):
                await ws.send(quarry.ok(TRADES).decode())
                first = 1 if len(sent) == 1 else 8
                for n in range(first, first + 5):
                    await ws.send(quarry.trade(n).decode())
                if len(sent) == 1:
                    ws.transport.abort()

    keep = Keep()
    market = quarry.QuarryMarket(channels=quarry.channels(refill=False))
    async with serve(venue, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        place = market.endpoints["live"].at("http://127.0.0.1:1", f"ws://127.0.0.1:{port}")
        live = VenueAdapter(
            quarry.venue(market), endpoints={"spot": place}, transport=library, offline=True, seed=1, proxy=None
        )
        async with live:
            live.attach(keep)
            with anyio.fail_after(10.0):
                assert (await live.subscribe([TRADES])).confirmed == (TRADES,)
                while len(ids(keep.events)) < 10:  # noqa: ASYNC110 - a sink has no way to wait for
                    await anyio.sleep(0.01)
    assert ids(keep.events) == [str(n) for n in (*range(1, 6), *range(8, 13))]
    assert [s.count for s in keep.events if getattr(s, "code", "") == "gap"] == [2]
    trades = [event for event in keep.events if isinstance(event, Trade)]
    assert all(trade.ts_recv > 1_700_000_000_000_000_000 for trade in trades)


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.anyio
async def test_a_venue_that_is_down_is_a_transport_error_of_a_query(anyio_backend: Any) -> None:
    place = Endpoint("http://127.0.0.1:1", {"public": "ws://127.0.0.1:1"})
    async with VenueAdapter(VENUE, endpoints={"spot": place}, transport="websockets", proxy=None) as live:
        with pytest.raises(TransportError):
            await live.instruments()


def test_with_moved_markets_no_other_is_reached_live() -> None:
    venue = load_venue("binance")
    spot = venue.market("spot")
    adapter = VenueAdapter(
        venue, endpoints={"spot": spot.endpoints["live"].at("http://127.0.0.1:9", "ws://127.0.0.1:9")}
    )
    assert [market.name for market in adapter.declaration.markets] == ["spot"]
    assert adapter.owns(Subscription("trades", "BTC/USDT"))
    assert not adapter.owns(Subscription("trades", "BTC/USDT:USDT"))
    assert len(venue.markets) == 2, "the declaration itself is everybody's"
