"""The frames of the WebSocket API, after the venue's examples."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest

from tests.binance.test_signing import ED_LOGON, K_SPOT, PEM, S_SPOT
from unitape.errors import (
    AuthenticationFailed,
    ConfigError,
    InsufficientFunds,
    OutcomeUnknown,
    RateLimited,
    Unsupported,
    WireError,
)
from unitape.spi import Amendment, Credentials, HttpRequest, Instruments, NewOrder, OrderRef, TradingSettings
from unitape_binance import SPOT, USDM
from unitape_binance.signing import sign_text
from unitape_binance.websocket_api import METHODS, carries, logon_frame, read_frame, request_frame

D = Decimal
S, U = "BTC/USDT", "BTC/USDT:USDT"
SPOT_T = SPOT.trading(Instruments(SPOT.catalogue), TradingSettings())
USDM_T = USDM.trading(Instruments(USDM.catalogue), TradingSettings())
KEYS = Credentials(K_SPOT, S_SPOT)
T = 1_645_423_376_532_999_999
SELL = NewOrder(S, "sell", "limit", "k7-000126", size=D("0.01000000"), price=D("52000.00"))


def test_a_signed_order():
    frame = json.loads(request_frame(SPOT_T.place(SELL).request, "spot", "7c1d", KEYS, T, 0.1))
    parameters = frame["params"]
    signature = parameters.pop("signature")
    assert (frame["id"], frame["method"]) == ("7c1d", "order.place")
    assert parameters == {
        "symbol": "BTCUSDT",
        "side": "SELL",
        "type": "LIMIT",
        "timeInForce": "GTC",
        "quantity": "0.01000000",
        "price": "52000.00",
        "newClientOrderId": "k7-000126",
        "newOrderRespType": "RESULT",
        "recvWindow": 100,
        "timestamp": 1645423376532,
        "apiKey": K_SPOT,
    }
    text = (
        f"apiKey={K_SPOT}&newClientOrderId=k7-000126&newOrderRespType=RESULT&price=52000.00&quantity=0.01000000"
        "&recvWindow=100&side=SELL&symbol=BTCUSDT&timeInForce=GTC&timestamp=1645423376532&type=LIMIT"
    )
    assert signature == sign_text(text, KEYS)


def test_the_published_signature_of_an_order():
    query = "symbol=BTCUSDT&side=SELL&type=LIMIT&timeInForce=GTC&quantity=0.01000000&price=52000.00"
    request = HttpRequest("POST", "/api/v3/order", query, auth="signed", write=True)
    frame = json.loads(request_frame(request, "spot", "1", KEYS, T, 0.1))
    assert frame["params"]["signature"] == "aa1b5712c094bc4e57c05a1a5c1fd8d88dcd628338ea863fec7b88e59fe2db24"
    other = request.query.replace("BTCUSDT", "%EF%BC%91%EF%BC%92%EF%BC%93%EF%BC%94%EF%BC%95%EF%BC%96")
    other = other.replace("SELL", "BUY").replace("52000.00", "0.10000000").replace("0.01000000", "1.00000000")
    frame = json.loads(request_frame(HttpRequest("POST", "/api/v3/order", other), "spot", "1", KEYS, T, 5.0))
    assert frame["params"]["symbol"] == "１２３４５６"
    assert frame["params"]["signature"] == "b33892ae8e687c939f4468c6268ddd4c40ac1af18ad19a064864c47bae0752cd"


def test_a_session_that_is_logged_on_signs_nothing():
    frame = json.loads(request_frame(SPOT_T.cancel(OrderRef(S, "41200334412")).request, "spot", "x", None, T, 5.0))
    assert frame["params"] == {
        "symbol": "BTCUSDT",
        "orderId": 41200334412,
        "recvWindow": 5000,
        "timestamp": 1645423376532,
    }


def test_logging_on():
    frame = json.loads(logon_frame("spot", "x", Credentials("TESTKEY", PEM), 1_649_729_878_532_000_000, 5.0))
    assert frame["method"] == "session.logon"
    text = "apiKey=TESTKEY&recvWindow=5000&timestamp=1649729878532"
    keys = Credentials("TESTKEY", PEM)
    assert frame["params"] == {
        "apiKey": "TESTKEY",
        "recvWindow": 5000,
        "timestamp": 1649729878532,
        "signature": sign_text(text, keys),
    }
    assert sign_text("apiKey=TESTKEY&timestamp=1649729878532", keys) == ED_LOGON
    with pytest.raises(ConfigError, match="Ed25519"):
        logon_frame("spot", "x", KEYS, T, 5.0)


@pytest.mark.parametrize(
    ("market", "query", "method"),
    [
        ("spot", SPOT_T.validate(SELL), "order.test"),
        ("spot", SPOT_T.order(OrderRef(S, "1")), "order.status"),
        ("spot", SPOT_T.amend(Amendment(OrderRef(S, "1"), D(1))), "order.amend.keepPriority"),
        ("spot", SPOT_T.open_orders(), "openOrders.status"),
        ("spot", SPOT_T.cancel_all(S), "openOrders.cancelAll"),
        ("spot", SPOT_T.order_history(S), "allOrders"),
        ("spot", SPOT_T.fills(S), "myTrades"),
        ("spot", SPOT_T.balances(), "account.status"),
        ("usdm", USDM_T.place(NewOrder(U, "buy", "market", "k", size=D(1))), "order.place"),
        ("usdm", USDM_T.place(NewOrder(U, "buy", "stop", "k", size=D(1), trigger=D(1))), "algoOrder.place"),
        ("usdm", USDM_T.amend(Amendment(OrderRef(U, "1"), D(1), D(1), "buy")), "order.modify"),
        ("usdm", USDM_T.cancel(OrderRef(U, "1", conditional=True)), "algoOrder.cancel"),
        ("usdm", USDM_T.balances(), "v2/account.status"),
        ("usdm", USDM_T.positions(), "v2/account.position"),
    ],
)
def test_methods(market, query, method):
    assert carries(query.request, market)
    frame = json.loads(request_frame(query.request, market, "1", None, T, 5.0))
    assert frame["method"] == method
    for name, value in frame["params"].items():
        wanted = int if name in ("orderId", "algoId", "limit", "recvWindow", "timestamp") else str
        assert type(value) is (bool if name == "omitZeroBalances" else wanted), name


@pytest.mark.parametrize(
    ("market", "query"),
    [
        ("usdm", USDM_T.cancel_all(U)),
        ("usdm", USDM_T.open_orders(U)),
        ("usdm", USDM_T.place_many([NewOrder(U, "buy", "market", "k", size=D(1))])),
        ("usdm", USDM_T.validate(NewOrder(U, "buy", "market", "k", size=D(1)))),
    ],
)
def test_what_has_no_method_goes_over_rest(market, query):
    assert not carries(query.request, market)
    with pytest.raises(Unsupported, match="REST"):
        request_frame(query.request, market, "1", KEYS, T, 5.0)


def test_each_market_has_its_own_methods():
    for market, paths in (("spot", "/api/v3/"), ("usdm", "/fapi/")):
        assert all(path.startswith(paths) for _, path in METHODS[market])
        assert len(set(METHODS[market].values())) == len(METHODS[market])


LIMITS = [
    {"rateLimitType": "ORDERS", "interval": "SECOND", "intervalNum": 10, "limit": 100, "count": 3},
    {"rateLimitType": "ORDERS", "interval": "DAY", "intervalNum": 1, "limit": 200000, "count": 412},
    {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": 6000, "count": 22},
]
RESULT = {
    "symbol": "BTCUSDT",
    "orderId": 41200334413,
    "orderListId": -1,
    "clientOrderId": "k7-000126",
    "transactTime": 1793923200650,
    "price": "95000.00000000",
    "origQty": "0.01000000",
    "executedQty": "0.00000000",
    "origQuoteOrderQty": "0.00000000",
    "cummulativeQuoteQty": "0.00000000",
    "status": "NEW",
    "timeInForce": "GTC",
    "type": "LIMIT",
    "side": "BUY",
    "workingTime": 1793923200650,
    "selfTradePreventionMode": "EXPIRE_MAKER",
}


def frame(**fields):
    return json.dumps({"id": "7c1d", **fields}).encode()


def test_a_success_is_read_by_the_query_that_asked():
    answer = read_frame(frame(status=200, result=RESULT, rateLimits=LIMITS))
    assert answer.id == "7c1d"
    assert dict(answer.response.headers) == {
        "x-mbx-order-count-10s": "3",
        "x-mbx-order-count-1d": "412",
        "x-mbx-used-weight-1m": "22",
    }
    order = SPOT_T.place(SELL).read(answer.response, 1)
    assert (order.id, order.status, order.price) == ("41200334413", "open", D(95000))
    assert order.ts_event == 1_793_923_200_650_000_000


@pytest.mark.parametrize(
    ("status", "error", "expected"),
    [
        (400, {"code": -2010, "msg": "Account has insufficient balance for requested action."}, InsufficientFunds),
        (401, {"code": -2015, "msg": "Invalid API-key, IP, or permissions for action."}, AuthenticationFailed),
        (
            409,
            {
                "code": -2021,
                "msg": "Order cancel-replace partially failed.",
                "data": {
                    "cancelResult": "SUCCESS",
                    "newOrderResult": "FAILURE",
                    "cancelResponse": {"symbol": "BTCUSDT"},
                    "newOrderResponse": {"code": -2010, "msg": "Account has insufficient balance."},
                },
            },
            InsufficientFunds,
        ),
        (500, {"code": -1000, "msg": "Something."}, OutcomeUnknown),
        (504, {"code": -1007, "msg": "Timeout"}, OutcomeUnknown),
    ],
)
def test_refusals(status, error, expected):
    answer = read_frame(frame(status=status, error=error))
    with pytest.raises(expected):
        SPOT_T.place(SELL).read(answer.response, 1)


def test_a_ban_tells_its_end_as_seconds_from_the_answer():
    data = {"serverTime": 1793923210000, "retryAfter": 1793923259001}
    answer = read_frame(frame(status=418, error={"code": -1003, "msg": "...", "data": data}))
    with pytest.raises(RateLimited) as caught:
        SPOT_T.place(SELL).read(answer.response, 1)
    assert caught.value.retry_after == 50.0


def test_a_revoked_key_answers_no_request():
    answer = read_frame(b'{"id":null,"status":401,"error":{"code":-2015,"msg":"Invalid API-key."}}')
    assert (answer.id, answer.response.status) == (None, 401)


@pytest.mark.parametrize(
    "event",
    [
        {"subscriptionId": 0, "event": {"e": "executionReport", "E": 1}},
        {"event": {"e": "serverShutdown", "E": 1793923200000}},
    ],
)
def test_events_are_no_answers(event):
    assert read_frame(json.dumps(event).encode()) is None


@pytest.mark.parametrize("data", [b"", b"[]", b"\xff", b'{"id":[],"status":200}', b'{"id":1,"status":"ok"}'])
def test_what_is_no_frame_is_a_wire_error(data):
    with pytest.raises(WireError):
        read_frame(data)
