"""Unified calls and the requests that the venue's tables want for them, typed from those tables."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest

from tests.mexc.support import instrument
from unitape.errors import ConfigError, InvalidOrder, Unsupported
from unitape.spi import Amendment, Instruments, NewOrder, OrderRef, Tradable, TradingSettings
from unitape_mexc import FUTURES, SPOT
from unitape_mexc.amounts import base_units, contracts
from unitape_mexc.options import OPTIONS

D = Decimal
S, F = "BTC/USDT", "BTC/USDT:USDT"
MS = 1_000_000
HOUR = 3_600_000 * MS
NOON = 1_793_923_200_000 * MS


def spot(**options):
    return SPOT.trading(Instruments([instrument("BTC"), instrument("ETH")]), TradingSettings(options=options))


def futures(mode="one_way", margin="cross", leverage=None, **options):
    known = Instruments([instrument("BTC", size="0.0001"), instrument("ETH", size="0.01")])
    settings = TradingSettings(position_mode=mode, margin_mode=margin, leverage=leverage, options=options)
    return FUTURES.trading(known, settings)


def new(symbol=S, side="buy", kind="limit", client_id="cid-1", **fields):
    if "cost" not in fields:
        fields.setdefault("size", D("0.001"))
    if kind in ("limit", "stop_limit", "take_profit_limit"):
        fields.setdefault("price", D("60000"))
    return NewOrder(symbol, side, kind, client_id, **fields)


def perp(**fields):
    return new(F, price=D("60000.5"), **fields) if fields.get("kind", "limit") == "limit" else new(F, **fields)


ID = OrderRef(S, id="C02__505979017439002624115")
CLIENT = OrderRef(S, client_id="cid-1")
COUNTED = (("orders", 1),)
PLACED = "symbol=BTCUSDT&side={}&type={}&{}&newClientOrderId=cid-1"

SPOT_CALLS = [
    # call, method and path, query, weight, further budgets
    (
        lambda t: t.place(new()),
        "POST /api/v3/order",
        PLACED.format("BUY", "LIMIT", "quantity=0.001&price=60000"),
        1,
        COUNTED,
    ),
    (
        lambda t: t.place(new(side="sell", tif="post_only", size=D("1E+1"), price=D("6E+4"))),
        "POST /api/v3/order",
        PLACED.format("SELL", "LIMIT_MAKER", "quantity=10&price=60000"),
        1,
        COUNTED,
    ),
    (
        lambda t: t.place(new(tif="ioc")),
        "POST /api/v3/order",
        PLACED.format("BUY", "IMMEDIATE_OR_CANCEL", "quantity=0.001&price=60000"),
        1,
        COUNTED,
    ),
    (
        lambda t: t.place(new(tif="fok")),
        "POST /api/v3/order",
        PLACED.format("BUY", "FILL_OR_KILL", "quantity=0.001&price=60000"),
        1,
        COUNTED,
    ),
    (
        lambda t: t.place(new(kind="market", cost=D("25.50"))),
        "POST /api/v3/order",
        PLACED.format("BUY", "MARKET", "quoteOrderQty=25.50"),
        1,
        COUNTED,
    ),
    (
        lambda t: t.place(new(kind="market", side="sell", size=D("1E-8"))),
        "POST /api/v3/order",
        PLACED.format("SELL", "MARKET", "quantity=0.00000001"),
        1,
        COUNTED,
    ),
    (
        lambda t: t.validate(new(tif="gtc")),
        "POST /api/v3/order/test",
        PLACED.format("BUY", "LIMIT", "quantity=0.001&price=60000"),
        1,
        (),
    ),
    (
        lambda t: t.place_many([new(), new(side="sell", kind="market", client_id="cid-2")]),
        "POST /api/v3/batchOrders",
        (
            "batchOrders=%5B%7B%22symbol%22%3A%22BTCUSDT%22%2C%22side%22%3A%22BUY%22%2C%22type%22%3A%22LIMIT%22%2C"
            "%22quantity%22%3A%220.001%22%2C%22price%22%3A%2260000%22%2C%22newClientOrderId%22%3A%22cid-1%22%7D%2C"
            "%7B%22symbol%22%3A%22BTCUSDT%22%2C%22side%22%3A%22SELL%22%2C%22type%22%3A%22MARKET%22%2C"
            "%22quantity%22%3A%220.001%22%2C%22newClientOrderId%22%3A%22cid-2%22%7D%5D"
        ),
        10,
        (("orders", 2), ("slow", 1)),
    ),
    (
        lambda t: t.cancel(ID),
        "DELETE /api/v3/order",
        "symbol=BTCUSDT&orderId=C02__505979017439002624115",
        1,
        COUNTED,
    ),
    (lambda t: t.cancel(CLIENT), "DELETE /api/v3/order", "symbol=BTCUSDT&origClientOrderId=cid-1", 1, COUNTED),
    (lambda t: t.cancel_all(S), "DELETE /api/v3/openOrders", "symbol=BTCUSDT", 1, COUNTED),
    (lambda t: t.order(ID), "GET /api/v3/order", "symbol=BTCUSDT&orderId=C02__505979017439002624115", 2, ()),
    (lambda t: t.order(CLIENT), "GET /api/v3/order", "symbol=BTCUSDT&origClientOrderId=cid-1", 2, ()),
    (lambda t: t.open_orders(S), "GET /api/v3/openOrders", "symbol=BTCUSDT", 3, ()),
    (lambda t: t.order_history(S), "GET /api/v3/allOrders", "symbol=BTCUSDT&limit=1000", 10, ()),
    (
        lambda t: t.order_history(S, start=NOON + 1, end=NOON + HOUR, limit=100),
        "GET /api/v3/allOrders",
        "symbol=BTCUSDT&startTime=1793923200001&endTime=1793926800000&limit=100",
        10,
        (),
    ),
    (
        lambda t: t.fills(S, order_id="C02__5", limit=500),
        "GET /api/v3/myTrades",
        "symbol=BTCUSDT&orderId=C02__5&limit=100",
        10,
        (),
    ),
    (lambda t: t.balances(), "GET /api/v3/account", "", 10, (("slow", 1),)),
    (lambda t: t.account_flags(), "GET /api/v3/account", "", 10, (("slow", 1),)),
]


@pytest.mark.parametrize(("call", "line", "query", "weight", "also"), SPOT_CALLS)
def test_spot(call, line, query, weight, also):
    request = call(spot()).request
    assert f"{request.method} {request.path}" == line
    assert (request.query, request.body) == (query, b"")
    assert request.auth == "signed"
    assert request.write is (request.method != "GET" and not line.endswith("/test"))
    assert request.weight == weight
    assert request.also == (("account_weight", weight), *also)


def test_spot_options():
    assert spot(cancel_all="account").cancel_all(None).request.path == "/api/v3/order/all"
    with pytest.raises(Unsupported, match="symbol by symbol"):
        spot().cancel_all(None)
    sale = new(side="sell", kind="market", cost=D(20))
    assert "quoteOrderQty=20" in spot(sell_by_cost="allow").place(sale).request.query
    with pytest.raises(Unsupported, match="sell_by_cost"):
        spot().place(sale)
    assert "LIMIT_ORDER" in spot(batch_limit_word="LIMIT_ORDER").place_many([new()]).request.query
    assert "LIMIT_MAKER" in spot(batch_limit_word="LIMIT_ORDER").place_many([new(tif="post_only")]).request.query
    assert spot(cancel_all="account").spec.cancel_all == "account"
    assert spot(sell_by_cost="allow").spec.sides_by_cost == ("buy", "sell")
    with pytest.raises(Unsupported, match="one by one"):
        spot(batch_place="off").place_many([new()])


@pytest.mark.parametrize(
    ("call", "kind"),
    [
        (lambda t: t.place(new(kind="stop", trigger=D(1))), Unsupported),
        (lambda t: t.place(new(reduce_only=True)), Unsupported),
        (lambda t: t.place(new(take_profit=D(1))), Unsupported),
        (lambda t: t.place(new(tif="gtd", expires=1)), Unsupported),
        (lambda t: t.place(NewOrder(S, "buy", "limit", "a", D(1))), ConfigError),
        (lambda t: t.place(NewOrder(S, "buy", "limit", "a", D(1), D(1), D(1))), ConfigError),
        (lambda t: t.place(new(kind="market", tif="ioc")), ConfigError),
        (lambda t: t.place(new(trigger=D(5))), ConfigError),
        (lambda t: t.place(new("NONE/USDT")), ConfigError),
        (lambda t: t.place_many([new()] * 21), ConfigError),
        (lambda t: t.place_many([]), ConfigError),
        (lambda t: t.place_many([new(), new("ETH/USDT")]), Unsupported),
        (lambda t: t.amend(Amendment(ID, D(1))), Unsupported),
        (lambda t: t.cancel_many([ID]), Unsupported),
        (lambda t: t.cancel(OrderRef(S)), ConfigError),
        (lambda t: t.order(OrderRef(S, "1", conditional=True)), Unsupported),
        (lambda t: t.open_orders(), Unsupported),
        (lambda t: t.fills(None), Unsupported),
        (lambda t: t.order_history(S, start=0, end=8 * 24 * HOUR), ConfigError),
        (lambda t: t.order_history(S, start=5, end=4), ConfigError),
        (lambda t: t.order_history(S, limit=0), ConfigError),
        (lambda t: t.positions(), Unsupported),
        (lambda t: t.set_leverage(S, 2), Unsupported),
        (lambda t: t.set_margin_mode(S, "cross"), Unsupported),
        (lambda t: t.set_position_mode("hedge"), Unsupported),
        (lambda t: t.close_position(S, "long"), Unsupported),
    ],
)
def test_spot_refuses(call, kind):
    with pytest.raises(kind) as caught:
        call(spot())
    assert type(caught.value) is kind


def test_spot_has_no_conditional_orders():
    assert spot().open_conditional(S) is None
    assert spot().cancel_all_conditional(S) is None


ORDER = '{"symbol":"BTC_USDT","price":60000.5,"vol":10,%s"side":%d,"type":%d,"openType":%d,"externalOid":"cid-1"%s}'
MARKET = '{"symbol":"BTC_USDT","vol":10,%s"side":%d,"type":5,"openType":2,"externalOid":"cid-1","positionMode":%d%s}'
PLAN = '{"symbol":"BTC_USDT",%s"vol":10,"side":%d,"orderType":%d,"openType":2,"positionMode":2%s}'
PRIVATE = "/api/v1/private/"
FID, FCLIENT = OrderRef(F, id="814218083416790528"), OrderRef(F, client_id="cid-1")
PLAN_REF = OrderRef(F, id="739206374277809664", conditional=True)

FUTURES_CALLS = [
    # settings, call, method and path, query or body
    (
        {"mode": "hedge", "margin": "isolated", "leverage": 20},
        lambda t: t.place(perp(position_side="long")),
        "POST order/create",
        ORDER % ('"leverage":20,', 1, 1, 1, ',"positionMode":1'),
    ),
    (
        {"order_path": "submit"},
        lambda t: t.place(perp()),
        "POST order/submit",
        ORDER % ("", 1, 1, 2, ',"positionMode":2'),
    ),
    ({}, lambda t: t.place(perp(tif="post_only")), "POST order/create", ORDER % ("", 1, 2, 2, ',"positionMode":2')),
    ({}, lambda t: t.place(perp(tif="ioc")), "POST order/create", ORDER % ("", 1, 3, 2, ',"positionMode":2')),
    ({}, lambda t: t.place(perp(tif="fok")), "POST order/create", ORDER % ("", 1, 4, 2, ',"positionMode":2')),
    (
        {"leverage": 5},
        lambda t: t.place(perp(side="sell", take_profit=D("55000"), stop_loss=D("6.3E+4"))),
        "POST order/create",
        ORDER
        % (
            '"leverage":5,',
            3,
            1,
            2,
            ',"positionMode":2,"stopLossPrice":63000,"takeProfitPrice":55000,"lossTrend":1,"profitTrend":1',
        ),
    ),
    (
        {"attached_by": "mark"},
        lambda t: t.place(perp(take_profit=D("65000"))),
        "POST order/create",
        ORDER % ("", 1, 1, 2, ',"positionMode":2,"takeProfitPrice":65000,"profitTrend":2'),
    ),
    (
        {"mode": "hedge"},
        lambda t: t.place(perp(kind="market", side="sell", position_side="short")),
        "POST order/create",
        MARKET % ("", 3, 1, ""),
    ),
    (
        {"mode": "hedge"},
        lambda t: t.place(perp(kind="market", position_side="short", reduce_only=True)),
        "POST order/create",
        MARKET % ("", 2, 1, ""),
    ),
    (
        {"mode": "hedge"},
        lambda t: t.place(perp(kind="market", side="sell", position_side="long")),
        "POST order/create",
        MARKET % ("", 4, 1, ""),
    ),
    (
        {},
        lambda t: t.place(perp(kind="market", reduce_only=True)),
        "POST order/create",
        MARKET % ("", 2, 2, ',"reduceOnly":true'),
    ),
    (
        {},
        lambda t: t.place(perp(kind="market", side="sell", reduce_only=True)),
        "POST order/create",
        MARKET % ("", 4, 2, ',"reduceOnly":true'),
    ),
    (
        {"one_way_sides": "by_direction"},
        lambda t: t.place(perp(kind="market", side="sell", reduce_only=True)),
        "POST order/create",
        MARKET % ("", 3, 2, ',"reduceOnly":true'),
    ),
    (
        {"one_way_sides": "by_direction"},
        lambda t: t.place(perp(kind="market", reduce_only=True)),
        "POST order/create",
        MARKET % ("", 1, 2, ',"reduceOnly":true'),
    ),
    (
        {},
        lambda t: t.place(perp(kind="stop", trigger=D("61000.0"))),
        "POST planorder/place/v2",
        PLAN % ("", 1, 5, ',"triggerPrice":61000.0,"triggerType":1,"executeCycle":2,"trend":1'),
    ),
    (
        {"plan_cycle": "24h"},
        lambda t: t.place(perp(kind="stop", side="sell", trigger=D(59000), trigger_by="mark", reduce_only=True)),
        "POST planorder/place/v2",
        PLAN % ("", 4, 5, ',"reduceOnly":true,"triggerPrice":59000,"triggerType":2,"executeCycle":1,"trend":2'),
    ),
    (
        {},
        lambda t: t.place(perp(kind="take_profit", side="sell", trigger=D(65000), trigger_by="index")),
        "POST planorder/place/v2",
        PLAN % ("", 3, 5, ',"triggerPrice":65000,"triggerType":1,"executeCycle":2,"trend":3'),
    ),
    (
        {},
        lambda t: t.place(perp(kind="take_profit_limit", trigger=D(58000), tif="ioc")),
        "POST planorder/place/v2",
        PLAN % ('"price":60000,', 1, 3, ',"triggerPrice":58000,"triggerType":2,"executeCycle":2,"trend":1'),
    ),
    (
        {},
        lambda t: t.place_many([perp(), perp(kind="market", client_id="cid-2")]),
        "POST order/submit_batch",
        "["
        + ORDER % ("", 1, 1, 2, ',"positionMode":2')
        + ","
        + (MARKET % ("", 1, 2, "")).replace("cid-1", "cid-2")
        + "]",
    ),
    (
        {},
        lambda t: t.amend(Amendment(FID, D("0.001"), D("60010.0"), "buy")),
        "POST order/change_limit_order",
        '{"orderId":814218083416790528,"price":60010.0,"vol":10}',
    ),
    ({}, lambda t: t.cancel(FID), "POST order/cancel", "[814218083416790528]"),
    (
        {},
        lambda t: t.cancel(FCLIENT),
        "POST order/cancel_with_external",
        '{"symbol":"BTC_USDT","externalOid":"cid-1"}',
    ),
    (
        {"cancel_external": "array"},
        lambda t: t.cancel(FCLIENT),
        "POST order/cancel_with_external",
        '[{"symbol":"BTC_USDT","externalOid":"cid-1"}]',
    ),
    (
        {},
        lambda t: t.cancel(PLAN_REF),
        "POST planorder/cancel",
        '[{"symbol":"BTC_USDT","orderId":"739206374277809664"}]',
    ),
    (
        {},
        lambda t: t.cancel_many([FID, OrderRef(F, id="814218083416790529")]),
        "POST order/cancel",
        "[814218083416790528,814218083416790529]",
    ),
    (
        {},
        lambda t: t.cancel_many([FCLIENT]),
        "POST order/batch_cancel_with_external",
        '[{"symbol":"BTC_USDT","externalOid":"cid-1"}]',
    ),
    ({}, lambda t: t.cancel_all(F), "POST order/cancel_all", '{"symbol":"BTC_USDT"}'),
    ({}, lambda t: t.cancel_all(None), "POST order/cancel_all", "{}"),
    ({}, lambda t: t.cancel_all_conditional(F), "POST planorder/cancel_all", '{"symbol":"BTC_USDT"}'),
    ({}, lambda t: t.cancel_all_conditional(None), "POST planorder/cancel_all", "{}"),
    ({}, lambda t: t.order(FID), "GET order/get/814218083416790528", ""),
    ({}, lambda t: t.order(FCLIENT), "GET order/external/BTC_USDT/cid-1", ""),
    ({}, lambda t: t.order(OrderRef(F, client_id="a/b c")), "GET order/external/BTC_USDT/a%2Fb%20c", ""),
    ({}, lambda t: t.order(PLAN_REF), "GET planorder/list/orders", "page_num=1&page_size=100&symbol=BTC_USDT"),
    ({}, lambda t: t.open_orders(), "GET order/list/open_orders", "page_num=1&page_size=100"),
    ({}, lambda t: t.open_orders(F), "GET order/list/open_orders", "page_num=1&page_size=100&symbol=BTC_USDT"),
    ({}, lambda t: t.open_conditional(), "GET planorder/list/orders", "page_num=1&page_size=100&states=1"),
    (
        {},
        lambda t: t.conditional_history(F, start=NOON, end=NOON + HOUR, limit=50),
        "GET planorder/list/orders",
        f"end_time={NOON // 10**6 + 3_600_000}&page_num=1&page_size=50&start_time={NOON // 10**6}&symbol=BTC_USDT",
    ),
    ({}, lambda t: t.conditional_history(None), "GET planorder/list/orders", "page_num=1&page_size=100"),
    (
        {},
        lambda t: t.order_history(F, start=NOON, end=NOON + HOUR, limit=20),
        "GET order/list/history_orders",
        "end_time=1793926800000&page_num=1&page_size=20&start_time=1793923200000&symbol=BTC_USDT",
    ),
    (
        {"history_state": "3"},
        lambda t: t.order_history(None),
        "GET order/list/history_orders",
        "page_num=1&page_size=100&states=3",
    ),
    ({}, lambda t: t.fills(F), "GET order/list/order_deals/v3", "page_num=1&page_size=100&symbol=BTC_USDT"),
    (
        {"fills_path": "plain"},
        lambda t: t.fills(F, start=NOON, limit=50),
        "GET order/list/order_deals",
        "page_num=1&page_size=50&start_time=1793923200000&symbol=BTC_USDT",
    ),
    (
        {},
        lambda t: t.fills(F, order_id="814218083416790528"),
        "GET order/deal_details/814218083416790528",
        "symbol=BTC_USDT",
    ),
    ({}, lambda t: t.balances(), "GET account/assets", ""),
    ({}, lambda t: t.positions(), "GET position/open_positions", ""),
    ({}, lambda t: t.positions(F), "GET position/open_positions", "symbol=BTC_USDT"),
    ({}, lambda t: t.account_flags(), "GET position/position_mode", ""),
    (
        {"margin": "isolated"},
        lambda t: t.set_leverage(F, 20),
        "POST position/change_leverage",
        '{"openType":1,"leverage":20,"symbol":"BTC_USDT","positionType":1}',
    ),
    (
        {"mode": "hedge", "leverage_side": "short"},
        lambda t: t.set_leverage(F, 3),
        "POST position/change_leverage",
        '{"openType":2,"leverage":3,"symbol":"BTC_USDT","positionType":2}',
    ),
    ({}, lambda t: t.set_position_mode("hedge"), "POST position/change_position_mode", '{"positionMode":1}'),
    ({}, lambda t: t.set_position_mode("one_way"), "POST position/change_position_mode", '{"positionMode":2}'),
]


@pytest.mark.parametrize(("settings", "call", "line", "text"), FUTURES_CALLS)
def test_futures(settings, call, line, text):
    request = call(futures(**settings)).request
    method, path = line.split(" ", 1)
    assert (request.method, request.path) == (method, PRIVATE + path)
    if method == "GET":
        assert (request.query, request.body) == (text, b"")
    else:
        assert (request.query, request.body.decode()) == ("", text)
    assert request.auth == "signed"
    assert request.write is (method == "POST")
    placing = path.startswith(("order/create", "order/submit", "order/change", "planorder/place"))
    assert (("orders", 1) in request.also) is placing


@pytest.mark.parametrize(
    ("settings", "call", "kind"),
    [
        ({}, lambda t: t.place(perp(position_side="long")), ConfigError),
        ({"mode": "hedge"}, lambda t: t.place(perp()), ConfigError),
        ({"mode": "hedge"}, lambda t: t.place(perp(position_side="long", reduce_only=True)), ConfigError),
        ({"margin": "isolated"}, lambda t: t.place(perp()), ConfigError),
        ({}, lambda t: t.place(new(F, kind="market", cost=D(5))), Unsupported),
        ({}, lambda t: t.place(new(F, kind="stop")), ConfigError),
        ({}, lambda t: t.place(perp(size=D("0.00015"))), InvalidOrder),
        ({}, lambda t: t.place(perp(size=D("0.00005"))), InvalidOrder),
        ({}, lambda t: t.place(perp(size=D(0))), InvalidOrder),
        ({}, lambda t: t.validate(perp()), Unsupported),
        ({}, lambda t: t.place_many([new(F, kind="stop", trigger=D(1))]), Unsupported),
        ({}, lambda t: t.place_many([perp()] * 51), ConfigError),
        ({"batch_place": "off"}, lambda t: t.place_many([perp()]), Unsupported),
        ({}, lambda t: t.amend(Amendment(FID, D(1), D(1))), ConfigError),
        ({}, lambda t: t.amend(Amendment(FID, D(1), side="buy")), ConfigError),
        ({}, lambda t: t.amend(Amendment(FCLIENT, D(1), D(1), "buy")), Unsupported),
        ({}, lambda t: t.amend(Amendment(PLAN_REF, D(1), D(1), "buy")), Unsupported),
        ({}, lambda t: t.cancel(OrderRef(F, id="C02__5")), ConfigError),
        ({}, lambda t: t.cancel(OrderRef(F)), ConfigError),
        ({}, lambda t: t.cancel(OrderRef(F, client_id="a", conditional=True)), Unsupported),
        ({}, lambda t: t.order(OrderRef(F, client_id="a", conditional=True)), Unsupported),
        ({}, lambda t: t.cancel_many([FID, FCLIENT]), ConfigError),
        ({}, lambda t: t.cancel_many([PLAN_REF]), Unsupported),
        ({}, lambda t: t.cancel_many([]), ConfigError),
        ({}, lambda t: t.set_leverage(F, 0), ConfigError),
        ({"mode": "hedge"}, lambda t: t.set_leverage(F, 5), ConfigError),
        ({}, lambda t: t.set_margin_mode(F, "cross"), Unsupported),
        ({}, lambda t: t.close_position(F, "long"), Unsupported),
        ({}, lambda t: t.order_history(F, start=0, end=91 * 24 * HOUR), ConfigError),
        ({}, lambda t: t.place(new("NONE/USDT:USDT")), ConfigError),
    ],
)
def test_futures_refuses(settings, call, kind):
    with pytest.raises(kind) as caught:
        call(futures(**settings))
    assert type(caught.value) is kind


def test_contracts_are_converted_as_integers():
    btc = instrument("BTC", size="0.0001")
    assert contracts(D("0.0055"), btc) == 55
    assert str(base_units(D(55), btc)) == "0.0055"
    # As floats both are off: 55 * 0.0001 is 0.0055000000000000005.
    assert contracts(D("123456789.1234"), btc) == 1_234_567_891_234
    assert base_units(D(1_234_567_891_234), btc) == D("123456789.1234")
    doge = instrument("DOGE", size="100")
    assert contracts(D("1.5E+3"), doge) == 15
    assert str(base_units(D("15.0"), doge)) == "1500"
    with pytest.raises(InvalidOrder, match="not a whole number of contracts of 100 DOGE"):
        contracts(D(150), doge)


@pytest.mark.parametrize("count", [1, 3, 7, 55, 999, 10**12 + 1])
@pytest.mark.parametrize("size", ["0.0001", "0.01", "10", "1", "0.00000001", "1000000", "0.25"])
def test_contracts_there_and_back(count, size):
    item = instrument("BTC", size=size)
    base = D(count) * D(size)
    assert base_units(D(count), item) == base
    assert contracts(base, item) == count


def test_the_step_of_contracts_counts():
    item = msgspec.structs.replace(instrument("BTC", size="0.0001"), step=D("0.0005"))
    assert contracts(D("0.0015"), item) == 15
    with pytest.raises(InvalidOrder, match="step"):
        contracts(D("0.0011"), item)


def test_without_a_contract_size_nothing_is_ordered():
    item = msgspec.structs.replace(instrument("ETH", size="0.01"), contract_size=None)
    with pytest.raises(ConfigError, match="not known"):
        FUTURES.trading(Instruments([item]), TradingSettings()).place(new("ETH/USDT:USDT"))


def test_options_are_checked():
    with pytest.raises(ConfigError, match="no option 'speed'"):
        spot(speed="fast")
    with pytest.raises(ConfigError, match="create, submit"):
        futures(order_path="bypass")
    for name, values in OPTIONS.items():
        for value in filter(None, values):
            assert futures(**{name: value}).spec.source
            assert spot(**{name: value}).spec.source


def test_both_markets_can_be_traded_on():
    for market in (SPOT, FUTURES):
        assert isinstance(market, Tradable)
        spec = market.trading(Instruments(market.catalogue), TradingSettings()).spec
        assert "2026-11" in spec.source
        assert spec.client_ids.max_length == 32
        named = {budget.name for budget in market.limits.budgets}
        assert {"weight", "orders"} <= named
