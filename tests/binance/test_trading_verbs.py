"""The verbs of an adapter with the simulated venue at the other end, under virtual time."""

from __future__ import annotations

from decimal import Decimal

import pytest
from trio.testing import MockClock

from unitape.errors import InvalidOrder, OutcomeUnknown, ReduceOnlyRejected
from unitape.sim import DEMO_USER, Fault, FaultSchedule, SimNetwork, SimSettings
from unitape.spi import Credentials, OrderRef, TradingSettings
from unitape.trade.requests import OrderRequest, TradingOptions
from unitape_binance import VENUE
from unitape_binance.adapter import Binance

D = Decimal
SPOT, LINEAR = "BTC/USDT", "BTC/USDT:USDT"
KEYS = Credentials(DEMO_USER.key, DEMO_USER.secret)
pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend():
    return "trio", {"clock": MockClock(autojump_threshold=0)}


def trader(net, **settings):
    endpoints = {market.name: net.endpoint(VENUE.name, market.name) for market in VENUE.markets}
    return Binance(endpoints=endpoints, transport=net.transport, clock=net.clock, seed=1, credentials=KEYS, **settings)


def quiet(net, market):
    """Let the market stand still, and return its exchange."""
    exchange = net.host(VENUE.name, market).exchange
    exchange.pause_agents()
    return exchange


@pytest.mark.parametrize("symbol", [SPOT, LINEAR])
async def test_a_session(symbol):
    market = "usdm" if symbol == LINEAR else "spot"
    async with SimNetwork([VENUE], SimSettings(seed=5, symbols=2)) as net, trader(net) as binance:
        exchange = quiet(net, market)
        spec = exchange.instrument(symbol)
        best = exchange.best(symbol)
        low = best.bid * 98 // 100 * spec.tick
        resting = await binance.place(symbol, "buy", size="0.02", price=low, tif="post_only")
        assert (resting.status, resting.price, resting.tif) == ("open", low, "post_only")
        side = {"side": "buy", "price": low} if market == "usdm" else {}
        amended = await binance.amend(symbol, id=resting.id, client_id=resting.client_id, size="0.01", **side)
        assert (amended.size, amended.client_id) == (D("0.01"), resting.client_id)
        assert (await binance.order(symbol, client_id=resting.client_id)).size == D("0.01")
        bought = await binance.place(symbol, "buy", "market", size="0.05")
        assert (bought.status, bought.filled) == ("filled", D("0.05"))
        stop = await binance.place(symbol, "sell", "stop", size="0.01", trigger=low)
        assert stop.status == "open"
        [swept] = await binance.cancel_all(symbol)
        assert (swept.market, swept.failures) == (market, {})
        assert await binance.open_orders(symbol) == []
        start = net.clock.wall() - 60_000_000_000
        history = await binance.order_history(symbol, start=start)
        assert {o.client_id: o.status for o in history}[resting.client_id] == "canceled"
        fills = await binance.fills(symbol, start=start)
        assert sum(fill.size for fill in fills) == D("0.05")
        told = {b.currency: b.total for b in await binance.balances(market)}
        booked = {b.currency: D(b.total_e8).scaleb(-8) for b in exchange.accounts.balances(DEMO_USER.name)}
        assert told == {currency: total for currency, total in booked.items() if total}
        with pytest.raises(InvalidOrder):
            await binance.place(symbol, "buy", size="0.01", price=low + spec.tick / 3)


async def test_closing_a_position_in_hedge_mode():
    account = {"usdm": TradingSettings(position_mode="hedge")}
    async with SimNetwork([VENUE], SimSettings(seed=5, symbols=2)) as net, trader(net, account=account) as binance:
        quiet(net, "usdm")
        await binance.set_position_mode("hedge", market="usdm")
        await binance.set_leverage(LINEAR, 10)
        await binance.place(LINEAR, "sell", "market", size="0.02", position_side="short")
        [held] = await binance.positions(LINEAR)
        assert (held.side, held.size) == ("short", D("0.02"))
        closed = await binance.close_position(LINEAR, "short")
        assert (closed.status, closed.side, closed.position_side) == ("filled", "buy", "short")
        assert await binance.positions(LINEAR) == []


async def test_batches():
    async with SimNetwork([VENUE], SimSettings(seed=5, symbols=2)) as net, trader(net) as binance:
        exchange = quiet(net, "usdm")
        low = exchange.best(LINEAR).bid * 98 // 100 * exchange.instrument(LINEAR).tick
        orders = [OrderRequest(symbol=LINEAR, side="buy", kind="limit", size="0.01", price=low) for _ in range(7)]
        orders.append(OrderRequest(symbol=LINEAR, side="sell", kind="market", size="0.01", reduce_only=True))
        *placed, refused = await binance.place_many(orders)
        assert [order.status for order in placed] == ["open"] * 7
        assert isinstance(refused, ReduceOnlyRejected)
        ended = await binance.cancel_many([OrderRef(LINEAR, order.id) for order in placed])
        assert [order.status for order in ended] == ["canceled"] * 7


@pytest.mark.parametrize("symbol", [SPOT, LINEAR])
async def test_an_order_whose_answer_is_lost_is_found_by_its_client_id_and_sent_once(symbol):
    lost = FaultSchedule((Fault("lost_reply", at=0.0, match="/order"),))
    settings = SimSettings(seed=5, symbols=2, faults={"*": lost})
    async with SimNetwork([VENUE], settings) as net, trader(net) as binance:
        exchange = quiet(net, "usdm" if symbol == LINEAR else "spot")
        placed = await binance.place(symbol, "buy", "market", size="0.01", client_id="mine-1")
        assert (placed.status, placed.filled, placed.client_id) == ("filled", D("0.01"), "mine-1")
        assert len(exchange.accounts.orders(DEMO_USER.name)) == 1
    at_once = TradingOptions(resolve_within=0.0)
    async with SimNetwork([VENUE], settings) as net, trader(net, trading=at_once) as binance:
        exchange = quiet(net, "usdm" if symbol == LINEAR else "spot")
        with pytest.raises(OutcomeUnknown) as caught:
            await binance.place(symbol, "buy", "market", size="0.01")
        found = await binance.order(symbol, client_id=caught.value.client_id)
        assert (found.status, found.filled) == ("filled", D("0.01"))
        assert len(exchange.accounts.orders(DEMO_USER.name)) == 1
