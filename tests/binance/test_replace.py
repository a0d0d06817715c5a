"""Cancel-and-replace: both fates told exactly, over REST and over the WebSocket API."""

from __future__ import annotations

import json
from decimal import Decimal
from urllib.parse import parse_qs

import pytest
from trio.testing import MockClock

from tests.binance.desk import Desk, S
from tests.binance.test_trading_verbs import LINEAR, SPOT, quiet, trader
from unitape.errors import (
    ConfigError,
    InsufficientFunds,
    NotPlaced,
    OrderNotFound,
    OutcomeUnknown,
    PostOnlyWouldCross,
    RateLimited,
    Unsupported,
)
from unitape.sim import DEMO_USER, Fault, FaultSchedule, SimNetwork, SimSettings
from unitape.spi import HttpResponse, Instruments, NewOrder, OrderRef, TradingSettings
from unitape.trade.requests import OrderRequest, TradingOptions
from unitape_binance import SPOT as SPOT_MARKET
from unitape_binance import USDM, VENUE

D = Decimal
TRADING = SPOT_MARKET.trading(Instruments(SPOT_MARKET.catalogue), TradingSettings())
NEW = NewOrder(S, "buy", "limit", "new-1", size=D("0.02"), price=D(95000))
CANCELED = {
    "symbol": "BTCUSDT",
    "origClientOrderId": "old-1",
    "orderId": 7,
    "clientOrderId": "cxl",
    "transactTime": 1793923202000,
    "price": "94000.00000000",
    "origQty": "0.01000000",
    "executedQty": "0.00000000",
    "cummulativeQuoteQty": "0.00000000",
    "status": "CANCELED",
    "timeInForce": "GTC",
    "type": "LIMIT",
    "side": "BUY",
}
PLACED = CANCELED | {"orderId": 8, "clientOrderId": "new-1", "status": "NEW", "price": "95000.00000000"}
del PLACED["origClientOrderId"]
UNKNOWN = {"code": -2011, "msg": "Unknown order sent."}
POOR = {"code": -2010, "msg": "Account has insufficient balance for requested action."}


def read(status, body):
    query = TRADING.replace(OrderRef(S, "7"), NEW)
    return query.read(HttpResponse(status, json.dumps(body).encode()), 1)


def failure(code, cancel, new):
    data = {
        "cancelResult": "FAILURE" if "code" in cancel else "SUCCESS",
        "newOrderResult": "NOT_ATTEMPTED" if new is None else "FAILURE" if "code" in new else "SUCCESS",
        "cancelResponse": cancel,
        "newOrderResponse": new,
    }
    return {"code": code, "msg": "Order cancel-replace failed.", "data": data}


def test_the_request_names_the_old_order_and_places_the_new_one():
    request = TRADING.replace(OrderRef(S, client_id="old-1"), NEW).request
    assert (request.method, request.path, request.write) == ("POST", "/api/v3/order/cancelReplace", True)
    assert parse_qs(request.query) == {
        "symbol": ["BTCUSDT"],
        "side": ["BUY"],
        "type": ["LIMIT"],
        "timeInForce": ["GTC"],
        "quantity": ["0.02"],
        "price": ["95000"],
        "newClientOrderId": ["new-1"],
        "newOrderRespType": ["RESULT"],
        "cancelReplaceMode": ["STOP_ON_FAILURE"],
        "cancelOrigClientOrderId": ["old-1"],
    }
    assert "cancelOrderId=7" in TRADING.replace(OrderRef(S, "7"), NEW).request.query
    with pytest.raises(ConfigError, match="cannot make way"):
        TRADING.replace(OrderRef("ETH/USDT", "7"), NEW)


def test_both_succeed():
    done = {"cancelResult": "SUCCESS", "newOrderResult": "SUCCESS"}
    told = read(200, done | {"cancelResponse": CANCELED, "newOrderResponse": PLACED})
    assert told.ok
    assert (told.old.id, told.old.client_id, told.old.status) == ("7", "old-1", "canceled")
    assert (told.new.id, told.new.client_id, told.new.status, told.new.price) == ("8", "new-1", "open", D(95000))


def test_half_done_tells_both_halves():
    told = read(409, failure(-2021, CANCELED, POOR))
    assert not told.ok
    assert (told.old.id, told.old.status) == ("7", "canceled")
    assert isinstance(told.new, InsufficientFunds)
    assert told.new.code == "-2010"


def test_without_a_cancel_nothing_has_changed():
    with pytest.raises(OrderNotFound):
        read(400, failure(-2022, UNKNOWN, None))
    with pytest.raises(InsufficientFunds):
        read(400, POOR)
    with pytest.raises(RateLimited):
        read(429, {"code": -1015, "msg": "Too many new orders."})


@pytest.mark.parametrize("body", [b"<html>", b"", b'{"cancelResult":"SUCCESS"}', b"[]"])
def test_an_answer_that_cannot_be_read_leaves_it_open(body):
    with pytest.raises(OutcomeUnknown) as caught:
        TRADING.replace(OrderRef(S, "7"), NEW).read(HttpResponse(200, body), 1)
    assert caught.value.client_id == "new-1"


def test_at_the_simulated_venue():
    desk = Desk("spot")
    old = desk.place("buy", "limit", size="0.01", price=desk.far())
    told = desk.ask(desk.trading.replace(OrderRef(S, old.id), desk.new(size="0.02", price=desk.far())))
    assert (told.old.id, told.old.status, told.old.client_id) == (old.id, "canceled", old.client_id)
    assert (told.new.status, told.new.size) == ("open", D("0.02"))
    with pytest.raises(OrderNotFound):
        desk.ask(desk.trading.replace(OrderRef(S, old.id), desk.new(size="0.02", price=desk.far())))
    half = desk.ask(desk.trading.replace(OrderRef(S, told.new.id), desk.new(size="50", price=desk.far())))
    assert desk.last.status == 409
    assert half.old.status == "canceled"
    assert isinstance(half.new, InsufficientFunds)
    assert desk.ask(desk.trading.open_orders(S)) == []
    assert len(desk.exchange.accounts.orders("ann")) == 2


# The verb -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def anyio_backend():
    return "trio", {"clock": MockClock(autojump_threshold=0)}


def request(exchange, symbol=SPOT, **changes):
    low = exchange.best(symbol).bid * 98 // 100 * exchange.instrument(symbol).tick
    return OrderRequest(**{"symbol": symbol, "side": "buy", "size": "0.02", "price": low} | changes)


@pytest.mark.anyio
@pytest.mark.parametrize("way", ["rest", "websocket"])
async def test_the_verb(way):
    options = TradingOptions(order_transport=way)
    async with SimNetwork([VENUE], SimSettings(seed=5, symbols=2)) as net, trader(net, trading=options) as binance:
        exchange = quiet(net, "spot")
        old = await binance.place(SPOT, "buy", size="0.01", price=request(exchange).price)
        told = await binance.replace(old, request(exchange))
        assert (told.ok, told.old.status, told.new.status) == (True, "canceled", "open")
        crossing = exchange.best(SPOT).ask * exchange.instrument(SPOT).tick
        half = await binance.replace(told.new, request(exchange, price=crossing, tif="post_only"))
        assert isinstance(half.new, PostOnlyWouldCross)
        state = await binance.account("spot")
        assert state.order(SPOT, id=told.new.id).status == "canceled"
        assert state.open_orders() == []
        with pytest.raises(OrderNotFound):
            await binance.replace(old, request(exchange))
        assert state.open_orders() == []


@pytest.mark.anyio
async def test_markets_without_it_say_what_serves():
    assert not USDM.trading(Instruments(USDM.catalogue), TradingSettings()).spec.replace
    async with SimNetwork([VENUE], SimSettings(seed=5, symbols=2)) as net, trader(net) as binance:
        exchange = quiet(net, "usdm")
        with pytest.raises(Unsupported, match="cancel one and place another"):
            await binance.replace(OrderRef(LINEAR, "7"), request(exchange, LINEAR))


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("kind", "left"),
    [("lost_reply", "new"), ("error_executed", "new"), ("error_refused", "old")],
)
async def test_a_lost_answer_is_found_out_and_nothing_is_sent_twice(kind, left):
    lost = FaultSchedule((Fault(kind, at=0.0, match="cancelreplace"),))
    settings = SimSettings(seed=5, symbols=2, faults={"*": lost})
    async with SimNetwork([VENUE], settings) as net, trader(net) as binance:
        exchange = quiet(net, "spot")
        old = await binance.place(SPOT, "buy", size="0.01", price=request(exchange).price)
        if left == "new":
            told = await binance.replace(old, request(exchange))
            assert (told.old.status, told.new.status, told.new.size) == ("canceled", "open", D("0.02"))
        else:
            with pytest.raises(NotPlaced):
                await binance.replace(old, request(exchange))
        open_now = exchange.accounts.open_orders(DEMO_USER.name)
        step = exchange.instrument(SPOT).step
        assert [order.size * step for order in open_now] == [D("0.02") if left == "new" else D("0.01")]
        assert len(exchange.accounts.orders(DEMO_USER.name)) == (2 if left == "new" else 1)


@pytest.mark.anyio
async def test_conditional_orders_are_part_of_the_history():
    async with SimNetwork([VENUE], SimSettings(seed=5, symbols=2)) as net, trader(net) as binance:
        exchange = quiet(net, "usdm")
        began = exchange.now
        low = request(exchange, LINEAR).price
        stop = await binance.place(LINEAR, "sell", "stop", size="0.01", trigger=low)
        await binance.cancel(LINEAR, id=stop.id, conditional=True)
        bought = await binance.place(LINEAR, "buy", "market", size="0.01")
        for asked in (await binance.order_history(LINEAR), await binance.order_history(LINEAR, start=began)):
            assert [(order.id, order.status) for order in asked] == [(stop.id, "canceled"), (bought.id, "filled")]
        assert [order.id for order in await binance.order_history(market="usdm")] == [bought.id]
