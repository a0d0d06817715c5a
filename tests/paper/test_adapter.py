"""Paper trading through the adapter: over tapes, over simulated venues, under a router."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import anyio
import msgspec
import pytest
from trio.testing import MockClock

from tests.paper.world import MAKER, PERP, SPOT, TAKER, D, check_books
from unitape.adapter import VenueAdapter
from unitape.errors import (
    ConfigError,
    InsufficientFunds,
    InvalidOrder,
    NoChange,
    RiskRejected,
    TradingHalted,
    Unsupported,
)
from unitape.guards import RiskLimits
from unitape.paper import PaperAdapter, PaperSettings
from unitape.protocol import Adapter, TradingAdapter
from unitape.router import Router
from unitape.sim import SimNetwork, SimSettings
from unitape.spi import OrderRef
from unitape.tape import TapeAdapter
from unitape.trade.requests import OrderRequest
from unitape_mexc import VENUE as MEXC
from unitape_schemas import Balance, Event, Fill, Order, Position, Status, Subscription, Trade

pytestmark = pytest.mark.anyio
TAPES = Path(__file__).resolve().parents[2] / "cassettes"
MONEY = {"futures": {"USDT": D(1_000_000)}, "spot": {"USDT": D(1_000_000), "BTC": D(10)}, "*": {"USDT": D(1_000_000)}}
MARKETS = [Subscription(channel, symbol) for channel in ("book", "trades") for symbol in (SPOT, PERP)]
ACCOUNT = [Subscription(channel, "") for channel in ("orders", "fills", "balances", "positions")]


@pytest.fixture
def anyio_backend() -> Any:
    return "trio", {"clock": MockClock(autojump_threshold=0)}


def paper_settings(**more: Any) -> PaperSettings:
    return PaperSettings(balances=MONEY, maker=MAKER, taker=TAKER, **more)


class Strategy:
    """A sink that answers every few trades with an order, always the same; keeps what it is told."""

    def __init__(self, adapter: PaperAdapter) -> None:
        self.adapter = adapter
        self.events: list[Event] = []
        self.trades = 0

    @property
    def settings(self) -> PaperSettings:
        return self.adapter.settings

    @property
    def exchange(self) -> Any:
        return self.adapter.exchange

    @property
    def ts(self) -> int:
        return self.adapter.exchange.now

    def fills(self) -> list[Fill]:
        return [one for one in self.events if isinstance(one, Fill)]

    def balance(self, currency: str, market: str = "spot") -> Balance:
        return self.exchange.accounts[market].balance(currency, self.ts)

    def position(self, symbol: str = PERP) -> Position | None:
        found = self.exchange.accounts["futures"].positions(self.ts, symbol)
        return found[0] if found else None

    def deliver(self, events: Sequence[Event]) -> None:
        for event in events:
            self.events.append(event)
            if isinstance(event, Trade):
                self.trades += 1
                if self.trades % 3 == 0 and self.exchange.knows(event.symbol):
                    self.order(event)

    def order(self, trade: Trade) -> None:
        side: Any = "buy" if self.trades % 2 else "sell"
        kind: Any = "market" if self.trades % 4 else "limit"
        price = None if kind == "market" else D(repr(trade.price))
        self.adapter.submit(
            OrderRequest(symbol=trade.symbol, side=side, kind=kind, size=D("0.037"), price=price, position_side=None)
        )


async def play(venue: str, **more: Any) -> Strategy:
    adapter = PaperAdapter(TapeAdapter(TAPES / venue / "demo.tape", speed=math.inf), paper_settings(**more))
    strategy = Strategy(adapter)
    adapter.attach(strategy)
    async with adapter:
        await adapter.subscribe([*ACCOUNT, *MARKETS])
        await adapter.inner.finished.wait()  # type: ignore[attr-defined]
        await anyio.sleep(1)
    return strategy


@pytest.mark.parametrize("latency", [0.0, 0.75])
@pytest.mark.parametrize("venue", ["binance", "mexc", "weex"])
async def test_the_same_tape_gives_the_same_fills(venue: str, latency: float) -> None:
    first, second = [await play(venue, latency=latency) for _ in range(2)]
    assert len(first.fills()) > 20
    assert {fill.symbol for fill in first.fills()} == {SPOT, PERP}
    # Client ids hold chance that is seeded and the market's time, so even these are the same.
    assert [msgspec.json.encode(one) for one in first.events] == [msgspec.json.encode(one) for one in second.events]


@pytest.mark.parametrize("latency", [0.0, 0.75])
async def test_over_a_tape_the_account_adds_up(latency: float) -> None:
    strategy = await play("mexc", latency=latency)
    assert strategy.exchange.payments == type(strategy.exchange.payments)()
    check_books(strategy)  # type: ignore[arg-type]


async def test_an_order_meets_the_market_after_its_latency() -> None:
    strategy = await play("mexc", latency=0.75)
    sent = {one.client_id: one for one in strategy.adapter.exchange.orders.values() for one in [one.new]}
    trades = [one for one in strategy.events if isinstance(one, Trade)]
    takers = [one for one in strategy.fills() if one.liquidity == "taker"]
    assert takers
    starts = {trade.ts_recv + 750_000_000 for trade in trades}
    for fill in takers:
        assert fill.client_id in sent
        assert fill.ts_event in starts, "three quarters of a second after a trade that it answers"


async def test_after_the_end_of_a_tape_orders_meet_its_last_book() -> None:
    adapter = PaperAdapter(TapeAdapter(TAPES / "mexc" / "demo.tape", speed=math.inf), paper_settings(latency=0.75))
    async with adapter:
        await adapter.subscribe(MARKETS)
        await adapter.inner.finished.wait()  # type: ignore[attr-defined]
        await anyio.sleep(1)
        with anyio.fail_after(5):
            order = await adapter.place(SPOT, "buy", "market", size="0.001")
    assert order.status == "filled"


async def test_market_data_passes_through_as_it_is_and_accounts_only_when_asked_for() -> None:
    plain: list[Event] = []
    tape = TapeAdapter(TAPES / "mexc" / "demo.tape", speed=math.inf)
    async with tape:
        reader = tape.stream()
        await tape.subscribe(MARKETS)
        plain += [event async for event in reader]
    adapter = PaperAdapter(TapeAdapter(TAPES / "mexc" / "demo.tape", speed=math.inf), paper_settings())
    seen: list[Event] = []
    async with adapter:
        stream = adapter.stream()
        await adapter.subscribe(MARKETS)
        async for event in stream:
            seen.append(event)
            if len(seen) == 400:
                await adapter.place(SPOT, "buy", "market", size="0.01")
    assert adapter.exchange.fills
    assert seen == plain


async def test_it_is_an_adapter_that_trades(anyio_backend: Any) -> None:
    adapter = PaperAdapter(TapeAdapter(TAPES / "mexc" / "demo.tape"))
    assert isinstance(adapter, Adapter)
    assert isinstance(adapter, TradingAdapter)


class Rig:
    """A simulated venue on virtual time, with no keys anywhere."""

    def __init__(self, **more: Any) -> None:
        self.network = SimNetwork([MEXC], SimSettings(symbols=("BTC",), rate=20.0))
        self.more = more

    async def __aenter__(self) -> PaperAdapter:
        network = await self.network.__aenter__()
        places = {market.name: network.endpoint("mexc", market.name) for market in MEXC.markets}
        inner = VenueAdapter(MEXC, endpoints=places, transport=network.transport, clock=network.clock, seed=1)
        settings = self.more.pop("settings", paper_settings())
        self.adapter = PaperAdapter(inner, settings, **self.more)
        return await self.adapter.__aenter__()

    async def __aexit__(self, *failure: object) -> None:
        await self.adapter.__aexit__(*failure)
        await self.network.__aexit__(*failure)


async def test_over_a_live_venue_without_any_key() -> None:
    async with Rig() as adapter:
        stream = adapter.stream()
        await adapter.subscribe(ACCOUNT)
        order = await adapter.place(SPOT, "buy", "market", size="0.5")
        assert (order.status, order.filled, order.venue) == ("filled", D("0.5"), "mexc")
        assert order.average is not None
        book = adapter.book(SPOT)
        assert book is not None
        assert book.best_ask is not None
        assert abs(order.average / D(repr(book.best_ask[0])) - 1) < D("0.01")
        resting = await adapter.place(SPOT, "sell", size="0.2", price=(order.average * 2).quantize(D("0.01")))
        assert [one.id for one in await adapter.open_orders()] == [resting.id]
        assert (await adapter.order(SPOT, client_id=resting.client_id)).status == "open"
        assert (await adapter.cancel(SPOT, id=resting.id)).status == "canceled"  # type: ignore[union-attr]
        held = {one.currency: one.total for one in await adapter.balances("spot")}
        assert held["BTC"] == D(10) + D("0.5") * (1 - TAKER)
        kinds: set[str] = set()
        with anyio.move_on_after(5):
            async for event in stream:
                kinds.add(type(event).__name__)
                assert not isinstance(event, Trade), "trades are what the orders need, nobody subscribed to them"
        assert {"Order", "Fill", "Balance"} <= kinds


async def test_a_perpetual_is_opened_and_closed() -> None:
    async with Rig() as adapter:
        with pytest.raises(NoChange):
            await adapter.close_position(PERP)
        await adapter.place(PERP, "sell", "market", size="0.5")
        (held,) = await adapter.positions()
        assert (held.side, held.size) == ("short", D("0.5"))
        with pytest.raises(Unsupported):
            await adapter.set_leverage(SPOT, 5)
        await adapter.set_leverage(PERP, 5)
        (held,) = await adapter.positions(PERP)
        assert held.entry is not None
        assert held.margin is not None
        assert abs(held.margin - held.entry * held.size / 5) < D("1e-12")
        closed = await adapter.close_position(PERP)
        assert closed is not None
        assert closed.filled == D("0.5")
        assert await adapter.positions() == []
        with pytest.raises(NoChange):
            await adapter.close_position(PERP)


async def test_latency_is_waited_for_in_virtual_time() -> None:
    async with Rig(settings=paper_settings(latency=2.5)) as adapter:
        await adapter.place(SPOT, "buy", "market", size="0.1")
        began = anyio.current_time()
        order = await adapter.place(SPOT, "buy", "market", size="0.1")
        assert anyio.current_time() - began == pytest.approx(2.5, abs=0.2)
        assert order.status == "filled"


async def test_what_the_live_market_refuses_is_refused_on_paper() -> None:
    async with Rig() as adapter:
        await adapter.place(SPOT, "buy", "market", size="0.01")
        for call, kind in (
            (lambda: adapter.place(SPOT, "buy", "stop", size="1", trigger="1"), Unsupported),
            (lambda: adapter.place(SPOT, "buy", size="1", price="0.0001"), InvalidOrder),
            (lambda: adapter.place(SPOT, "buy", size=1.5, price="1"), ConfigError),  # type: ignore[arg-type]
            (lambda: adapter.place(SPOT, "sell", "market", size="11"), InsufficientFunds),
            (lambda: adapter.place("NO/SUCH", "buy", size="1", price="1"), ConfigError),
            (lambda: adapter.amend(SPOT, id="1", price="5"), Unsupported),
            (lambda: adapter.order(SPOT), ConfigError),
        ):
            with pytest.raises(kind):
                await call()


async def test_the_guards_hold_on_paper_too() -> None:
    limits = RiskLimits(max_position=D("10.5"), max_open_orders=1)
    async with Rig(risk=limits) as adapter:
        await adapter.place(SPOT, "buy", "market", size="0.4")
        with pytest.raises(RiskRejected) as refused:
            await adapter.place(SPOT, "buy", "market", size="0.2")
        assert refused.value.limit == "max_position"
        resting = await adapter.place(SPOT, "buy", size="0.01", price="50000")
        with pytest.raises(RiskRejected):
            await adapter.place(SPOT, "buy", size="0.01", price="50000")
        sink: list[Event] = []
        adapter.attach(type("S", (), {"deliver": lambda self, events: sink.extend(events)})())
        adapter.guards.halt("by hand")
        assert (await adapter.order(SPOT, id=resting.id)).status == "canceled"
        assert any(isinstance(one, Status) and one.code == "halted" for one in sink)
        with pytest.raises(TradingHalted):
            await adapter.place(SPOT, "sell", "market", size="0.1")


async def test_several_at_once() -> None:
    async with Rig() as adapter:
        requests = [OrderRequest(symbol=SPOT, side="buy", size="0.01", price=price) for price in ("50000", "50001")]
        placed = await adapter.place_many([*requests, OrderRequest(symbol=SPOT, side="sell", kind="market", size="99")])
        assert [type(one) for one in placed] == [Order, Order, InsufficientFunds]
        first = placed[0]
        assert isinstance(first, Order)
        answers = await adapter.cancel_many([first, OrderRef(SPOT, "no such")])
        assert isinstance(answers[0], Order)
        assert answers[1] is not None
        (result, *_) = await adapter.cancel_all(SPOT)
        assert (result.ok, len(result.orders)) == (True, 1)
        assert await adapter.open_orders() == []
        assert len(await adapter.order_history(SPOT)) == 2
        assert await adapter.fills(SPOT) == []


async def test_a_router_takes_it_like_any_adapter() -> None:
    network = SimNetwork([MEXC], SimSettings(symbols=("BTC",), rate=20.0))
    async with network:
        places = {market.name: network.endpoint("mexc", market.name) for market in MEXC.markets}
        inner = VenueAdapter(MEXC, endpoints=places, transport=network.transport, clock=network.clock, seed=1)
        adapter = PaperAdapter(inner, paper_settings())
        async with Router(adapter) as router:
            stream = router.stream()
            await router.subscribe(Subscription("fills", ""), Subscription("trades", SPOT))
            await adapter.place(SPOT, "buy", "market", size="0.5")
            with anyio.fail_after(30):
                async for event in stream:
                    if isinstance(event, Fill):
                        break
            assert event.size <= D("0.5")
