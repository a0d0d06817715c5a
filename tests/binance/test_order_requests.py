"""Unified calls and the requests that the venue's tables want for them, typed from those tables."""

from __future__ import annotations

from decimal import Decimal
from urllib.parse import parse_qsl

import pytest

from unitape.errors import ConfigError, Unsupported
from unitape.spi import Amendment, Credentials, Instruments, NewOrder, OrderRef, Tradable, Trading, TradingSettings
from unitape_binance import SPOT, USDM

D = Decimal
S, U = "BTC/USDT", "BTC/USDT:USDT"
HOUR = 3_600_000_000_000
NOON = 1_793_923_200_000_000_000


def spot():
    return SPOT.trading(Instruments(SPOT.catalogue), TradingSettings())


def usdm(mode="one_way"):
    return USDM.trading(Instruments(USDM.catalogue), TradingSettings(position_mode=mode))


def new(symbol=S, side="buy", kind="limit", client_id="k7-1", **fields):
    if "cost" not in fields:
        fields.setdefault("size", D("0.01"))
    if kind in ("limit", "stop_limit", "take_profit_limit"):
        fields.setdefault("price", D("95000.00"))
    return NewOrder(symbol, side, kind, client_id, **fields)


ID = OrderRef(S, id="41200334412")
CLIENT = OrderRef(S, client_id="k7-1")
SPOT_ORDER = "symbol=BTCUSDT&side={}&type={}{}&newClientOrderId=k7-1&newOrderRespType=RESULT"
COUNTED = (("orders", 1), ("orders_day", 1))

SPOT_CALLS = [
    # call, method and path, query, weight, order counts
    (
        lambda t: t.place(new()),
        "POST /api/v3/order",
        SPOT_ORDER.format("BUY", "LIMIT", "&timeInForce=GTC&quantity=0.01&price=95000.00"),
        1,
        COUNTED,
    ),
    (
        lambda t: t.place(new(side="sell", tif="ioc")),
        "POST /api/v3/order",
        SPOT_ORDER.format("SELL", "LIMIT", "&timeInForce=IOC&quantity=0.01&price=95000.00"),
        1,
        COUNTED,
    ),
    (
        lambda t: t.place(new(tif="fok", size=D("1E+1"), price=D("9.5E+4"))),
        "POST /api/v3/order",
        SPOT_ORDER.format("BUY", "LIMIT", "&timeInForce=FOK&quantity=10&price=95000"),
        1,
        COUNTED,
    ),
    (
        lambda t: t.place(new(tif="post_only", size=D("1E-5"))),
        "POST /api/v3/order",
        SPOT_ORDER.format("BUY", "LIMIT_MAKER", "&quantity=0.00001&price=95000.00"),
        1,
        COUNTED,
    ),
    (
        lambda t: t.place(new(kind="market", tif="ioc")),
        "POST /api/v3/order",
        SPOT_ORDER.format("BUY", "MARKET", "&quantity=0.01"),
        1,
        COUNTED,
    ),
    (
        lambda t: t.place(new(kind="market", side="sell", cost=D("250.5"))),
        "POST /api/v3/order",
        SPOT_ORDER.format("SELL", "MARKET", "&quoteOrderQty=250.5"),
        1,
        COUNTED,
    ),
    (
        lambda t: t.place(new(kind="stop", side="sell", trigger=D("90000"), trigger_by="last")),
        "POST /api/v3/order",
        SPOT_ORDER.format("SELL", "STOP_LOSS", "&quantity=0.01&stopPrice=90000"),
        1,
        COUNTED,
    ),
    (
        lambda t: t.place(new(kind="stop_limit", trigger=D("96000"))),
        "POST /api/v3/order",
        SPOT_ORDER.format("BUY", "STOP_LOSS_LIMIT", "&timeInForce=GTC&quantity=0.01&price=95000.00&stopPrice=96000"),
        1,
        COUNTED,
    ),
    (
        lambda t: t.place(new(kind="take_profit", side="sell", trigger=D("99000"))),
        "POST /api/v3/order",
        SPOT_ORDER.format("SELL", "TAKE_PROFIT", "&quantity=0.01&stopPrice=99000"),
        1,
        COUNTED,
    ),
    (
        lambda t: t.place(new(kind="take_profit_limit", side="sell", trigger=D("99000"), tif="fok")),
        "POST /api/v3/order",
        SPOT_ORDER.format("SELL", "TAKE_PROFIT_LIMIT", "&timeInForce=FOK&quantity=0.01&price=95000.00&stopPrice=99000"),
        1,
        COUNTED,
    ),
    (
        lambda t: t.validate(new()),
        "POST /api/v3/order/test",
        SPOT_ORDER.format("BUY", "LIMIT", "&timeInForce=GTC&quantity=0.01&price=95000.00"),
        1,
        (),
    ),
    (lambda t: t.cancel(ID), "DELETE /api/v3/order", "symbol=BTCUSDT&orderId=41200334412", 1, ()),
    (lambda t: t.cancel(CLIENT), "DELETE /api/v3/order", "symbol=BTCUSDT&origClientOrderId=k7-1", 1, ()),
    (
        lambda t: t.cancel(OrderRef(S, "7", "k7-1")),
        "DELETE /api/v3/order",
        "symbol=BTCUSDT&orderId=7",
        1,
        (),
    ),
    (lambda t: t.cancel_all(S), "DELETE /api/v3/openOrders", "symbol=BTCUSDT", 1, ()),
    (
        lambda t: t.amend(Amendment(OrderRef(S, "7", "k7-1"), size=D("0.008"))),
        "PUT /api/v3/order/amend/keepPriority",
        "symbol=BTCUSDT&orderId=7&newQty=0.008&newClientOrderId=k7-1",
        4,
        (),
    ),
    (
        lambda t: t.amend(Amendment(CLIENT, size=D("0.008"))),
        "PUT /api/v3/order/amend/keepPriority",
        "symbol=BTCUSDT&origClientOrderId=k7-1&newQty=0.008&newClientOrderId=k7-1",
        4,
        (),
    ),
    (lambda t: t.order(ID), "GET /api/v3/order", "symbol=BTCUSDT&orderId=41200334412", 4, ()),
    (lambda t: t.order(CLIENT), "GET /api/v3/order", "symbol=BTCUSDT&origClientOrderId=k7-1", 4, ()),
    (lambda t: t.open_orders(S), "GET /api/v3/openOrders", "symbol=BTCUSDT", 6, ()),
    (lambda t: t.open_orders(), "GET /api/v3/openOrders", "", 80, ()),
    (lambda t: t.order_history(S), "GET /api/v3/allOrders", "symbol=BTCUSDT&limit=1000", 20, ()),
    (
        lambda t: t.order_history(S, start=NOON, end=NOON + HOUR, limit=50),
        "GET /api/v3/allOrders",
        "symbol=BTCUSDT&startTime=1793923200000&endTime=1793926800000&limit=50",
        20,
        (),
    ),
    (lambda t: t.fills(S), "GET /api/v3/myTrades", "symbol=BTCUSDT&limit=1000", 20, ()),
    (
        lambda t: t.fills(S, order_id="7", limit=5000),
        "GET /api/v3/myTrades",
        "symbol=BTCUSDT&orderId=7&limit=1000",
        5,
        (),
    ),
    (
        lambda t: t.fills(S, start=NOON + 1),
        "GET /api/v3/myTrades",
        "symbol=BTCUSDT&startTime=1793923200001&limit=1000",
        20,
        (),
    ),
    (
        lambda t: t.fills(S, start=NOON + 1, end=NOON + 2),
        "GET /api/v3/myTrades",
        "symbol=BTCUSDT&startTime=1793923200001&endTime=1793923200001&limit=1000",
        20,
        (),
    ),
    (lambda t: t.balances(), "GET /api/v3/account", "omitZeroBalances=true", 20, ()),
    (lambda t: t.account_flags(), "GET /api/v3/account", "omitZeroBalances=true", 20, ()),
]

FUTURES_ORDER = "symbol=BTCUSDT&side={}&type={}{}&newClientOrderId=k7-1&newOrderRespType=RESULT"
ALGO_ORDER = (
    "algoType=CONDITIONAL&symbol=BTCUSDT&side={}&type={}{}&quantity=0.01{}&clientAlgoId=k7-1&newOrderRespType=RESULT"
)
UNCOUNTED = ()
FUTURES_COUNTED = (("orders", 1), ("orders_minute", 1))
F_ID, F_CLIENT = OrderRef(U, id="8801123311"), OrderRef(U, client_id="k7-f-0001")
A_ID = OrderRef(U, id="2146760", conditional=True)
A_CLIENT = OrderRef(U, client_id="k7-a-1", conditional=True)


def f(side="buy", kind="limit", **fields):
    return new(U, side, kind, **fields)


USDM_CALLS = [
    (
        lambda t: t.place(f()),
        "POST /fapi/v1/order",
        FUTURES_ORDER.format("BUY", "LIMIT", "&timeInForce=GTC&quantity=0.01&price=95000.00"),
        0,
        FUTURES_COUNTED,
    ),
    (
        lambda t: t.place(f(tif="post_only", reduce_only=True, side="sell")),
        "POST /fapi/v1/order",
        FUTURES_ORDER.format("SELL", "LIMIT", "&reduceOnly=true&timeInForce=GTX&quantity=0.01&price=95000.00"),
        0,
        FUTURES_COUNTED,
    ),
    (
        lambda t: t.place(f(tif="gtd", expires=NOON + HOUR + 999_999_999)),
        "POST /fapi/v1/order",
        FUTURES_ORDER.format("BUY", "LIMIT", "&timeInForce=GTD&quantity=0.01&price=95000.00")
        + "&goodTillDate=1793926800000",
        0,
        FUTURES_COUNTED,
    ),
    (
        lambda t: t.place(f(kind="market", side="sell", reduce_only=True)),
        "POST /fapi/v1/order",
        FUTURES_ORDER.format("SELL", "MARKET", "&reduceOnly=true&quantity=0.01"),
        0,
        FUTURES_COUNTED,
    ),
    (
        lambda t: t.place(f(kind="stop", side="sell", trigger=D("93000.00"), trigger_by="mark", reduce_only=True)),
        "POST /fapi/v1/algoOrder",
        ALGO_ORDER.format("SELL", "STOP_MARKET", "&reduceOnly=true", "&triggerPrice=93000.00&workingType=MARK_PRICE"),
        0,
        UNCOUNTED,
    ),
    (
        lambda t: t.place(f(kind="stop_limit", trigger=D("96000"), trigger_by="last", tif="ioc")),
        "POST /fapi/v1/algoOrder",
        ALGO_ORDER.format(
            "BUY", "STOP", "&timeInForce=IOC", "&price=95000.00&triggerPrice=96000&workingType=CONTRACT_PRICE"
        ),
        0,
        UNCOUNTED,
    ),
    (
        lambda t: t.place(f(kind="take_profit", side="sell", trigger=D("99000"))),
        "POST /fapi/v1/algoOrder",
        ALGO_ORDER.format("SELL", "TAKE_PROFIT_MARKET", "", "&triggerPrice=99000"),
        0,
        UNCOUNTED,
    ),
    (
        lambda t: t.place(f(kind="take_profit_limit", side="sell", trigger=D("99000"), tif="post_only")),
        "POST /fapi/v1/algoOrder",
        ALGO_ORDER.format("SELL", "TAKE_PROFIT", "&timeInForce=GTX", "&price=95000.00&triggerPrice=99000"),
        0,
        UNCOUNTED,
    ),
    (
        lambda t: t.validate(f(kind="market")),
        "POST /fapi/v1/order/test",
        FUTURES_ORDER.format("BUY", "MARKET", "&quantity=0.01"),
        1,
        UNCOUNTED,
    ),
    (
        lambda t: t.place_many([f(), f(side="sell", kind="market", client_id="k7-2")]),
        "POST /fapi/v1/batchOrders",
        (
            'batchOrders=[{"symbol":"BTCUSDT","side":"BUY","type":"LIMIT","timeInForce":"GTC","quantity":"0.01",'
            '"price":"95000.00","newClientOrderId":"k7-1","newOrderRespType":"RESULT"},{"symbol":"BTCUSDT","side":"SELL",'
            '"type":"MARKET","quantity":"0.01","newClientOrderId":"k7-2","newOrderRespType":"RESULT"}]'
        ),
        5,
        (("orders", 5), ("orders_minute", 1)),
    ),
    (lambda t: t.cancel(F_ID), "DELETE /fapi/v1/order", "symbol=BTCUSDT&orderId=8801123311", 1, ()),
    (lambda t: t.cancel(F_CLIENT), "DELETE /fapi/v1/order", "symbol=BTCUSDT&origClientOrderId=k7-f-0001", 1, ()),
    (lambda t: t.cancel(A_ID), "DELETE /fapi/v1/algoOrder", "algoId=2146760", 1, ()),
    (lambda t: t.cancel(A_CLIENT), "DELETE /fapi/v1/algoOrder", "clientAlgoId=k7-a-1", 1, ()),
    (
        lambda t: t.cancel_many([OrderRef(U, "1", "a"), OrderRef(U, "2")]),
        "DELETE /fapi/v1/batchOrders",
        "symbol=BTCUSDT&orderIdList=[1,2]",
        1,
        (),
    ),
    (
        lambda t: t.cancel_many([OrderRef(U, "1", "a"), OrderRef(U, client_id="b")]),
        "DELETE /fapi/v1/batchOrders",
        'symbol=BTCUSDT&origClientOrderIdList=["a","b"]',
        1,
        (),
    ),
    (lambda t: t.cancel_all(U), "DELETE /fapi/v1/allOpenOrders", "symbol=BTCUSDT", 1, ()),
    (lambda t: t.cancel_all_conditional(U), "DELETE /fapi/v1/algoOpenOrders", "symbol=BTCUSDT", 1, ()),
    (
        lambda t: t.amend(Amendment(F_ID, D("0.02"), D("94000.1"), "buy")),
        "PUT /fapi/v1/order",
        "symbol=BTCUSDT&orderId=8801123311&side=BUY&quantity=0.02&price=94000.1",
        0,
        FUTURES_COUNTED,
    ),
    (lambda t: t.order(F_ID), "GET /fapi/v1/order", "symbol=BTCUSDT&orderId=8801123311", 1, ()),
    (lambda t: t.order(F_CLIENT), "GET /fapi/v1/order", "symbol=BTCUSDT&origClientOrderId=k7-f-0001", 1, ()),
    (lambda t: t.order(A_CLIENT), "GET /fapi/v1/algoOrder", "clientAlgoId=k7-a-1", 1, ()),
    (lambda t: t.open_orders(U), "GET /fapi/v1/openOrders", "symbol=BTCUSDT", 1, ()),
    (lambda t: t.open_orders(), "GET /fapi/v1/openOrders", "", 40, ()),
    (lambda t: t.open_conditional(U), "GET /fapi/v1/openAlgoOrders", "symbol=BTCUSDT", 1, ()),
    (lambda t: t.open_conditional(), "GET /fapi/v1/openAlgoOrders", "", 40, ()),
    (lambda t: t.order_history(None), "GET /fapi/v1/allOrders", "limit=1000", 5, ()),
    (lambda t: t.conditional_history(U), "GET /fapi/v1/allAlgoOrders", "symbol=BTCUSDT&limit=1000", 5, ()),
    (
        lambda t: t.conditional_history(U, start=NOON, end=NOON + HOUR, limit=50),
        "GET /fapi/v1/allAlgoOrders",
        f"symbol=BTCUSDT&startTime={NOON // 10**6}&endTime={(NOON + HOUR) // 10**6}&limit=50",
        5,
        (),
    ),
    (
        lambda t: t.order_history(U, start=NOON, end=NOON + 7 * 24 * HOUR - 1_000_000),
        "GET /fapi/v1/allOrders",
        "symbol=BTCUSDT&startTime=1793923200000&endTime=1794527999999&limit=1000",
        5,
        (),
    ),
    (
        lambda t: t.fills(U, order_id="8801123311"),
        "GET /fapi/v1/userTrades",
        "symbol=BTCUSDT&orderId=8801123311&limit=1000",
        5,
        (),
    ),
    (lambda t: t.balances(), "GET /fapi/v3/account", "", 5, ()),
    (lambda t: t.positions(U), "GET /fapi/v3/positionRisk", "symbol=BTCUSDT", 5, ()),
    (lambda t: t.positions(), "GET /fapi/v3/positionRisk", "", 5, ()),
    (lambda t: t.account_flags(), "GET /fapi/v1/accountConfig", "", 5, ()),
    (lambda t: t.set_leverage(U, 20), "POST /fapi/v1/leverage", "symbol=BTCUSDT&leverage=20", 1, ()),
    (
        lambda t: t.set_margin_mode(U, "isolated"),
        "POST /fapi/v1/marginType",
        "symbol=BTCUSDT&marginType=ISOLATED",
        1,
        (),
    ),
    (lambda t: t.set_margin_mode(U, "cross"), "POST /fapi/v1/marginType", "symbol=BTCUSDT&marginType=CROSSED", 1, ()),
    (lambda t: t.set_position_mode("hedge"), "POST /fapi/v1/positionSide/dual", "dualSidePosition=true", 1, ()),
    (lambda t: t.set_position_mode("one_way"), "POST /fapi/v1/positionSide/dual", "dualSidePosition=false", 1, ()),
]

HEDGE_CALLS = [
    (
        lambda t: t.place(f(position_side="long")),
        "POST /fapi/v1/order",
        FUTURES_ORDER.format("BUY", "LIMIT", "&positionSide=LONG&timeInForce=GTC&quantity=0.01&price=95000.00"),
        0,
        FUTURES_COUNTED,
    ),
    (
        # What closes a position in hedge mode is said by the side; the flag must not be sent.
        lambda t: t.place(f(side="buy", kind="market", position_side="short", reduce_only=True)),
        "POST /fapi/v1/order",
        FUTURES_ORDER.format("BUY", "MARKET", "&positionSide=SHORT&quantity=0.01"),
        0,
        FUTURES_COUNTED,
    ),
    (
        lambda t: t.place(f(side="sell", kind="stop", trigger=D("93000"), position_side="long", reduce_only=True)),
        "POST /fapi/v1/algoOrder",
        ALGO_ORDER.format("SELL", "STOP_MARKET", "&positionSide=LONG", "&triggerPrice=93000"),
        0,
        UNCOUNTED,
    ),
]

CALLS = [
    *((spot, *row) for row in SPOT_CALLS),
    *((usdm, *row) for row in USDM_CALLS),
    *((lambda: usdm("hedge"), *row) for row in HEDGE_CALLS),
]


def readable(query):
    return "&".join(f"{name}={value}" for name, value in parse_qsl(query, strict_parsing=bool(query)))


@pytest.mark.parametrize(("make", "call", "where", "query", "weight", "also"), CALLS)
def test_calls(make, call, where, query, weight, also):
    trading = make()
    request = call(trading).request
    method, path = where.split()
    assert (request.method, request.path) == (method, path)
    assert readable(request.query) == query
    assert (request.weight, request.budget, request.also) == (weight, "weight", also)
    assert (request.body, request.headers, request.auth) == (b"", (), "signed")
    assert request.write == (method != "GET" and not path.endswith("/test"))
    signed = trading.sign(request, Credentials("key", "secret"), NOON)
    assert signed.query.startswith(f"{request.query}&recvWindow=5000&" if query else "recvWindow=5000&")


def test_lists_are_encoded_without_blanks():
    request = usdm().cancel_many([OrderRef(U, client_id="a"), OrderRef(U, client_id="b")]).request
    assert request.query == "symbol=BTCUSDT&origClientOrderIdList=%5B%22a%22%2C%22b%22%5D"


def test_symbols_of_any_script_are_encoded():
    instruments = Instruments(
        [
            type(SPOT.catalogue[0])(
                **{
                    **{name: getattr(SPOT.catalogue[0], name) for name in SPOT.catalogue[0].__struct_fields__},
                    "symbol": "１２/USDT",
                    "raw_symbol": "１２USDT",
                }
            )
        ]
    )
    trading = SPOT.trading(instruments, TradingSettings())
    assert trading.cancel_all("１２/USDT").request.query == "symbol=%EF%BC%91%EF%BC%92USDT"


REFUSED = [
    (spot, lambda t: t.place(new(reduce_only=True)), Unsupported),
    (spot, lambda t: t.place(new(position_side="long")), Unsupported),
    (spot, lambda t: t.place(new(take_profit=D(1))), Unsupported),
    (spot, lambda t: t.place(new(stop_loss=D(1))), Unsupported),
    (spot, lambda t: t.place(new(kind="stop", trigger=D(1), trigger_by="mark")), Unsupported),
    (spot, lambda t: t.place(new(tif="gtd", expires=1)), Unsupported),
    (spot, lambda t: t.place(new(kind="stop_limit", trigger=D(1), tif="post_only")), Unsupported),
    (spot, lambda t: t.place(new(kind="market", tif="gtc")), ConfigError),
    (spot, lambda t: t.place(new(kind="market", price=D(1))), ConfigError),
    (spot, lambda t: t.place(new(cost=D(1))), ConfigError),
    (spot, lambda t: t.place(new(kind="market", cost=D(1), size=D(1))), ConfigError),
    (spot, lambda t: t.place(new(size=None)), ConfigError),
    (spot, lambda t: t.place(new(price=None)), ConfigError),
    (spot, lambda t: t.place(new(kind="stop")), ConfigError),
    (spot, lambda t: t.place(new(trigger=D(1))), ConfigError),
    (spot, lambda t: t.place(new(trigger_by="last")), ConfigError),
    (spot, lambda t: t.place(new("NO/SUCH")), ConfigError),
    (spot, lambda t: t.place_many([new()]), Unsupported),
    (spot, lambda t: t.cancel_many([ID]), Unsupported),
    (spot, lambda t: t.cancel(OrderRef(S, id="k7-1")), ConfigError),
    (spot, lambda t: t.cancel(OrderRef(S)), ConfigError),
    (spot, lambda t: t.cancel_all(None), Unsupported),
    (spot, lambda t: t.amend(Amendment(ID, price=D(1))), Unsupported),
    (spot, lambda t: t.amend(Amendment(ID)), ConfigError),
    (spot, lambda t: t.replace(OrderRef(S, "7"), new(S, take_profit=D(2))), Unsupported),
    (spot, lambda t: t.order_history(None), Unsupported),
    (spot, lambda t: t.order_history(S, start=0, end=25 * HOUR), ConfigError),
    (spot, lambda t: t.order_history(S, start=5, end=4), ConfigError),
    (spot, lambda t: t.fills(S, limit=0), ConfigError),
    (spot, lambda t: t.fills(S, order_id="x"), ConfigError),
    (spot, lambda t: t.positions(), Unsupported),
    (spot, lambda t: t.set_leverage(S, 2), Unsupported),
    (spot, lambda t: t.set_margin_mode(S, "cross"), Unsupported),
    (spot, lambda t: t.set_position_mode("hedge"), Unsupported),
    (spot, lambda t: t.close_position(S, "long"), Unsupported),
    (usdm, lambda t: t.place(f(kind="market", cost=D(1))), Unsupported),
    (usdm, lambda t: t.place(f(take_profit=D(1))), Unsupported),
    (usdm, lambda t: t.place(f(kind="stop", trigger=D(1), take_profit=D(1))), Unsupported),
    (usdm, lambda t: t.place(f(tif="gtd")), ConfigError),
    (usdm, lambda t: t.place(f(expires=1)), ConfigError),
    (usdm, lambda t: t.place(f(position_side="long")), ConfigError),
    (usdm, lambda t: t.place(f(kind="stop", trigger=D(1), trigger_by="index")), Unsupported),
    (usdm, lambda t: t.place(f(kind="stop_limit", trigger=D(1), tif="gtd", expires=1)), Unsupported),
    (usdm, lambda t: t.validate(f(kind="stop", trigger=D(1))), Unsupported),
    (usdm, lambda t: t.place_many([]), ConfigError),
    (usdm, lambda t: t.place_many([f()] * 6), ConfigError),
    (usdm, lambda t: t.place_many([f(kind="stop", trigger=D(1))]), Unsupported),
    (usdm, lambda t: t.cancel_many([F_ID] * 11), ConfigError),
    (usdm, lambda t: t.cancel_many([F_ID, F_CLIENT]), ConfigError),
    (usdm, lambda t: t.cancel_many([F_ID, OrderRef("ETH/USDT:USDT", "1")]), Unsupported),
    (usdm, lambda t: t.cancel_many([A_ID]), Unsupported),
    (usdm, lambda t: t.cancel(OrderRef(U, conditional=True)), ConfigError),
    (usdm, lambda t: t.cancel_all(None), Unsupported),
    (usdm, lambda t: t.cancel_all_conditional(None), Unsupported),
    (usdm, lambda t: t.amend(Amendment(F_ID, D(1), D(1))), ConfigError),
    (usdm, lambda t: t.amend(Amendment(F_ID, size=D(1), side="buy")), ConfigError),
    (usdm, lambda t: t.amend(Amendment(A_ID, D(1), D(1), "buy")), Unsupported),
    (usdm, lambda t: t.fills(None), Unsupported),
    (usdm, lambda t: t.fills(U, start=0, end=169 * HOUR), ConfigError),
    (usdm, lambda t: t.order_history(U, start=0, end=168 * HOUR), ConfigError),
    (usdm, lambda t: t.conditional_history(None), Unsupported),
    (usdm, lambda t: t.conditional_history(U, start=0, end=168 * HOUR), ConfigError),
    (usdm, lambda t: t.set_leverage(U, 0), ConfigError),
    (usdm, lambda t: t.set_leverage(U, 126), ConfigError),
    (usdm, lambda t: t.close_position(U, "long"), Unsupported),
    (lambda: usdm("hedge"), lambda t: t.place(f()), ConfigError),
    (lambda: usdm("hedge"), lambda t: t.place(f(position_side="long", reduce_only=True)), ConfigError),
]


@pytest.mark.parametrize(("make", "call", "expected"), REFUSED)
def test_what_the_market_cannot_say_is_refused_before_any_request(make, call, expected):
    with pytest.raises(expected) as caught:
        call(make())
    assert type(caught.value) is expected


def test_conditional_orders_of_spot_are_among_the_others():
    assert spot().cancel_all_conditional(S) is None
    assert spot().open_conditional(S) is None


def test_both_markets_are_tradable():
    for market, trading in ((SPOT, spot()), (USDM, usdm())):
        assert isinstance(market, Tradable)
        verbs = [name for name in vars(Trading) if not name.startswith("_")]
        assert len(verbs) > 20
        assert all(hasattr(trading, name) for name in verbs)


def test_abilities_are_those_that_work():
    one, other = spot().spec, usdm().spec
    assert (one.batch_place, one.batch_cancel, one.reduce_only, one.leverage) == (0, 0, False, False)
    assert (other.batch_place, other.batch_cancel, other.sides_by_cost, other.close_position) == (5, 10, (), False)
    for make, symbol in ((spot, S), (usdm, U)):
        trading = make()
        for kind in trading.spec.kinds:
            trigger = D(1) if kind.startswith(("stop", "take")) else None
            assert trading.place(new(symbol, kind=kind, trigger=trigger)).request.write
        for tif in trading.spec.tifs:
            expires = NOON if tif == "gtd" else None
            assert trading.place(new(symbol, tif=tif, expires=expires)).request.write
        for by in trading.spec.trigger_by:
            assert trading.place(new(symbol, kind="stop", trigger=D(1), trigger_by=by)).request.write
        for side in trading.spec.sides_by_cost:
            assert trading.place(new(symbol, side, "market", cost=D(9))).request.write
