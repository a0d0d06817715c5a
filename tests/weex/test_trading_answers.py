"""What the venue's private answers mean: every private example of the sheet, and every way to be refused."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from tests.weex.support import CONTRACT, MS, RECV, SPOT, example, frame
from unitape import errors
from unitape.errors import OutcomeUnknown, UnitapeError, Unsupported, WireError
from unitape.spi import AccountFlags, HttpResponse, Instruments, NewOrder, OrderRef, Query, TradingSettings
from unitape_schemas import Balance, Fill, Order, Position
from unitape_weex.orders_contract import ContractTrading
from unitape_weex.orders_spot import SpotTrading

D = Decimal
V, BTC, PERP = "weex", "BTC/USDT", "BTC/USDT:USDT"
A, B = "745001234567890123", "745001234567890124"

OPTIONS = {"batch_place": "5", "close_positions": "both_sides"}
SPOT_SIDE = SpotTrading(Instruments(SPOT.catalogue), TradingSettings(options=OPTIONS))
HEDGE = TradingSettings(position_mode="hedge", options=OPTIONS)
CONTRACT_SIDE = ContractTrading(Instruments(CONTRACT.catalogue), HEDGE)

SPOT_ORDER = NewOrder(BTC, "buy", "limit", "demo-0002", size=D("0.001"), price=D("91200.0"))
PERP_ORDER = NewOrder(
    PERP, "buy", "limit", "demo-0001", size=D("0.01"), price=D("91000.0"), tif="post_only", position_side="long"
)
STOP = NewOrder(PERP, "sell", "stop", "demo-sl-0001", size=D("0.01"), trigger=D("89500.0"), position_side="long")
PLAN = NewOrder(
    PERP, "sell", "stop", "demo-sl-0002", size=D("0.01"), trigger=D("89500.0"), trigger_by="mark", position_side="long"
)


def order(symbol: str, **fields: Any) -> Order:
    base: dict[str, Any] = {
        "kind": "limit",
        "tif": "gtc",
        "trigger": None,
        "filled": None,
        "average": None,
        "reduce_only": None,
        "position_side": None,
        "origin": "query",
    }
    merged = base | fields
    return Order(V, symbol, merged.pop("ts_event", merged["ts_updated"]), 0, RECV, **merged)


SPOT_PLACED = order(
    BTC, id="745001234567890900", client_id="demo-0002", side="buy", price=D("91200.0"), size=D("0.001"),
    status="open", raw_status="", origin="answer", ts_created=1795000013900 * MS, ts_updated=1795000013900 * MS,
)  # fmt: skip
SPOT_FILLED = order(
    BTC, id="745001234567890900", client_id="demo-0002", side="buy", price=D("91200.0"), size=D("0.001000"),
    filled=D("0.001000"), average=D("91190.5"), status="filled", raw_status="FILLED",
    ts_created=1795000013900 * MS, ts_updated=1795000013931 * MS,
)  # fmt: skip
PERP_PLACED = order(
    PERP, id=A, client_id="demo-0001", side="buy", tif="post_only", price=D("91000.0"), size=D("0.01"), status="open",
    raw_status="", origin="answer", reduce_only=False, position_side="long", ts_created=0, ts_updated=0,
)  # fmt: skip
STOP_PLACED = order(
    PERP, id="755001234567890700", client_id="demo-sl-0001", side="sell", kind="stop", tif=None, price=None,
    trigger=D("89500.0"), size=D("0.01"), status="open", raw_status="", origin="answer", reduce_only=True,
    position_side="long", ts_created=0, ts_updated=0,
)  # fmt: skip
PLAN_PLACED = order(
    PERP, id="755001234567890900", client_id="demo-sl-0002", side="sell", kind="stop", tif=None, price=None,
    trigger=D("89500.0"), size=D("0.01"), status="open", raw_status="", origin="answer", reduce_only=True,
    position_side="long", ts_created=0, ts_updated=0,
)  # fmt: skip
PERP_FILLED = order(
    PERP, id=A, client_id="demo-0001", side="buy", price=D("91000.0"), size=D("0.01"), filled=D("0.01"),
    average=D("91000.0"), status="filled", raw_status="FILLED", reduce_only=False, position_side="long",
    ts_created=1795000012920 * MS, ts_updated=1795000014150 * MS,
)  # fmt: skip
STOP_WAITING = order(
    PERP, id="755001234567890700", client_id="demo-sl-0001", side="sell", kind="stop", tif=None, price=None,
    trigger=D("89500.0"), size=D("0.01"), status="open", raw_status="UNTRIGGERED", reduce_only=True,
    position_side="long", ts_created=1795000020123 * MS, ts_updated=1795000020123 * MS,
)  # fmt: skip
PROFIT_TAKEN = order(
    PERP, id="755001234567890650", client_id="demo-tp-0001", side="sell", kind="take_profit", tif=None, price=None,
    trigger=D("92500.0"), size=D("0.01"), filled=D("0.01"), status="filled", raw_status="FILLED", reduce_only=True,
    position_side="long", ts_created=1794990000123 * MS, ts_updated=1794996000456 * MS,
)  # fmt: skip
NOT_FOUND = (errors.OrderNotFound, "order not found", "ORDER_NOT_FOUND")

EXPECTED: dict[str, tuple[Query[Any], object]] = {
    "rest.spot.account": (
        SPOT_SIDE.balances(),
        [
            Balance(
                V, "", 1795000000100 * MS, 0, RECV,
                currency="BTC", free=D("0.004"), locked=D(0), total=D("0.004"), market="spot",
            ),
            Balance(
                V, "", 1795000000100 * MS, 0, RECV,
                currency="USDT", free=D("980.5"), locked=D(230), total=D("1210.5"), market="spot",
            ),
        ],
    ),
    "rest.spot.order.response": (SPOT_SIDE.place(SPOT_ORDER), SPOT_PLACED),
    "rest.spot.order.query": (SPOT_SIDE.order(OrderRef(BTC, A)), SPOT_FILLED),
    "rest.spot.order.cancel": (SPOT_SIDE.cancel(OrderRef(BTC, "745001234567890900")), None),
    "rest.spot.openOrders.cancelAll": (SPOT_SIDE.cancel_all(BTC), []),
    "rest.spot.myTrades": (
        SPOT_SIDE.fills(BTC),
        [
            Fill(
                V, BTC, 1795000013930 * MS, 0, RECV,
                id="9011204477", order_id="745001234567890900", client_id=None, side="buy", price=D("91190.5"),
                size=D("0.001"), fee=D("0.000001"), fee_currency="BTC", liquidity=None, realized_pnl=None,
                origin="query",
            )
        ],
    ),
    "rest.contract.balance": (
        CONTRACT_SIDE.balances(),
        [
            Balance(
                V, "", 0, 0, RECV,
                currency="USDT", free=D("5018.20117400"), locked=D("59.8"), total=D("5121.40251100"),
                market="contract", equity=D("5120.14951100"), available_margin=D("5018.20117400"),
                unrealized_pnl=D("-1.253"),
            )
        ],
    ),
    "rest.contract.positions": (
        CONTRACT_SIDE.positions(),
        [
            Position(
                V, PERP, 1795000014150 * MS, 0, RECV,
                side="long", size=D("0.01"), entry=D(91000), mark=None, liquidation=None,
                unrealized_pnl=D("1.806"), leverage=D(20), margin_mode="cross", margin=D("45.5"),
            )
        ],
    ),
    "rest.contract.accountConfig": (
        CONTRACT_SIDE.account_flags(),
        AccountFlags(
            True, True, None, "hedge",
            "canTrade and canWithdraw are the account's; the rights of the key are not told here",
        ),
    ),
    "rest.contract.leverage.response": (CONTRACT_SIDE.set_leverage(PERP, 20), None),
    "rest.contract.manage.response": (CONTRACT_SIDE.set_margin_mode(PERP, "cross"), None),
    "rest.contract.order.response": (CONTRACT_SIDE.place(PERP_ORDER), PERP_PLACED),
    "rest.contract.cancel.response": (CONTRACT_SIDE.cancel(OrderRef(PERP, A)), None),
    "rest.contract.cancelAll.response": (CONTRACT_SIDE.cancel_all(None), []),
    "rest.contract.order.query": (CONTRACT_SIDE.order(OrderRef(PERP, A)), PERP_FILLED),
    "rest.contract.userTrades": (
        CONTRACT_SIDE.fills(PERP),
        [
            Fill(
                V, PERP, 1795000014150 * MS, 0, RECV,
                id="745001234599900482", order_id=A, client_id=None, side="buy", price=D(91000), size=D("0.01"),
                fee=D("0.182"), fee_currency="USDT", liquidity="maker", realized_pnl=D(0), origin="query",
            )
        ],
    ),
    "rest.contract.algoOrder.response": (CONTRACT_SIDE.place(STOP), STOP_PLACED),
    "rest.contract.openAlgoOrders": (CONTRACT_SIDE.open_conditional(), [STOP_WAITING]),
    "rest.contract.allAlgoOrders": (CONTRACT_SIDE.conditional_history(PERP), [PROFIT_TAKEN]),
    "rest.contract.placeTpSlOrder.response": (CONTRACT_SIDE.place(PLAN), PLAN_PLACED),
    "rest.contract.closePositions.response": (CONTRACT_SIDE.close_position(PERP, "long"), None),
}  # fmt: skip


def read(query: Query[Any], body: object, status: int = 200) -> Any:
    return query.read(HttpResponse(status, body if isinstance(body, bytes) else frame(body)), RECV)


@pytest.mark.parametrize("name", EXPECTED)
def test_examples(name: str) -> None:
    query, expected = EXPECTED[name]
    assert read(query, example(name)) == expected


def shown(result: object) -> object:
    return (type(result), result.text, result.code) if isinstance(result, errors.VenueError) else result


def test_examples_of_batches() -> None:
    one, two = "745001234567890901", "745001234567890902"
    spot = read(SPOT_SIDE.cancel_many([OrderRef(BTC, two), OrderRef(BTC, one)]), example("rest.spot.batchCancel"))
    gone = (errors.OrderNotFound, "FAILED_ORDER_NOT_FOUND", "FAILED_ORDER_NOT_FOUND")
    assert [shown(result) for result in spot] == [gone, None]
    perp = CONTRACT_SIDE.cancel_many([OrderRef(PERP, A), OrderRef(PERP, B)])
    body = example("rest.contract.batchCancel.response")
    for spelling in (body, b'{"orderList":' + body + b"}"):
        assert [shown(result) for result in read(perp, spelling)] == [None, NOT_FOUND]


def test_a_rejection_comes_with_status_200() -> None:
    rejected = NewOrder(PERP, "buy", "market", "demo-0003", size=D(9), position_side="long")
    with pytest.raises(errors.InsufficientFunds, match="available amount not enough") as caught:
        read(CONTRACT_SIDE.place(rejected), example("rest.contract.order.rejected"))
    assert (caught.value.code, caught.value.status) == ("-1054", 200)


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ({"orderId": "", "success": False, "errorCode": "-1160", "errorMessage": "precision"}, "InvalidOrder"),
        ({"orderId": "", "success": False, "errorCode": "-3235", "errorMessage": "no"}, "PermissionDenied"),
        ({"orderId": "", "success": False, "errorCode": "", "errorMessage": "stepSize '0.1'"}, "InvalidOrder"),
        ({"orderId": "", "success": False, "errorCode": "SOMETHING_NEW", "errorMessage": "w"}, "InvalidOrder"),
        ({"orderId": "", "success": False, "errorCode": "", "errorMessage": ""}, "InvalidOrder"),
        ({"orderId": "", "success": False, "errorCode": "-1054", "errorMessage": "system error"}, "OutcomeUnknown"),
        ({"orderId": "", "success": False, "errorCode": -1000, "errorMessage": "?"}, "OutcomeUnknown"),
        ({"orderId": "", "success": True, "errorCode": "", "errorMessage": ""}, "OutcomeUnknown"),
        ({"orderId": "0", "success": True}, "OutcomeUnknown"),
        ({"orderId": A, "success": True, "errorCode": "-1054", "errorMessage": "amount not enough"},
         "InsufficientFunds"),
        ([], "OutcomeUnknown"),
        (b"<html>", "OutcomeUnknown"),
        (b"", "OutcomeUnknown"),
    ],
)  # fmt: skip
def test_answers_to_an_order(body: object, kind: str) -> None:
    with pytest.raises(UnitapeError) as caught:
        read(CONTRACT_SIDE.place(PERP_ORDER), body)
    assert type(caught.value) is getattr(errors, kind)
    if isinstance(caught.value, OutcomeUnknown):
        assert caught.value.client_id == "demo-0001"


def test_an_order_id_of_any_type_is_kept_to_the_digit() -> None:
    for body in (
        b'{"orderId":9223372036854775807,"success":true}',
        b'{"orderId":"9223372036854775807","success":true}',
    ):
        assert read(CONTRACT_SIDE.place(PERP_ORDER), body).id == "9223372036854775807"


WRITES: dict[str, tuple[Query[Any], str | None]] = {
    "spot place": (SPOT_SIDE.place(SPOT_ORDER), "demo-0002"),
    "spot cancel": (SPOT_SIDE.cancel(OrderRef(BTC, client_id="x")), "x"),
    "spot cancel all": (SPOT_SIDE.cancel_all(BTC), None),
    "place": (CONTRACT_SIDE.place(PERP_ORDER), "demo-0001"),
    "place conditional": (CONTRACT_SIDE.place(STOP), "demo-sl-0001"),
    "place plan": (CONTRACT_SIDE.place(PLAN), "demo-sl-0002"),
    "cancel": (CONTRACT_SIDE.cancel(OrderRef(PERP, A)), None),
    "cancel conditional": (CONTRACT_SIDE.cancel(OrderRef(PERP, A, conditional=True)), None),
    "close": (CONTRACT_SIDE.close_position(PERP, "long"), None),
    "leverage": (CONTRACT_SIDE.set_leverage(PERP, 5), None),
    "margin mode": (CONTRACT_SIDE.set_margin_mode(PERP, "cross"), None),
}
READS: dict[str, Query[Any]] = {
    "spot order": SPOT_SIDE.order(OrderRef(BTC, A)),
    "spot open": SPOT_SIDE.open_orders(),
    "balances": CONTRACT_SIDE.balances(),
    "fills": CONTRACT_SIDE.fills(PERP),
}
UNCLEAR = [
    (500, b""),
    (502, b"<html>bad gateway</html>"),
    (503, frame({"code": -1000, "msg": "unknown"})),
    (504, b""),
    (521, b"<html>"),
    (400, frame({"code": -1000, "msg": "unknown"})),
    (400, frame({"code": -1054, "msg": "system error"})),
    (200, frame({"code": -1054, "msg": "system error"})),
    (200, b"<html>checking your browser</html>"),
    (200, b'{"orderId":'),
]


@pytest.mark.parametrize("name", WRITES)
def test_a_write_that_nobody_refused_may_have_happened(name: str) -> None:
    query, client_id = WRITES[name]
    for status, body in UNCLEAR:
        with pytest.raises(OutcomeUnknown) as caught:
            read(query, body, status)
        assert caught.value.client_id == client_id, (status, body)


@pytest.mark.parametrize("name", READS)
def test_a_read_that_failed_says_so(name: str) -> None:
    for status, body in UNCLEAR:
        with pytest.raises(WireError if body == b'{"orderId":' else errors.ExchangeUnavailable):
            read(READS[name], body, status)


@pytest.mark.parametrize(
    ("code", "text", "spot", "perp"),
    [
        (-1046, "expired", "TimestampOutOfWindow", "TimestampOutOfWindow"),
        (-1047, "sign", "AuthenticationFailed", "AuthenticationFailed"),
        (-1049, "passphrase", "AuthenticationFailed", "AuthenticationFailed"),
        (-1052, "permission", "PermissionDenied", "PermissionDenied"),
        (-1056, "address", "PermissionDenied", "PermissionDenied"),
        (-1054, "FAILED_PRECONDITION: available amount not enough", "InsufficientFunds", "InsufficientFunds"),
        (-1054, "Balance not enough", "InsufficientFunds", "InsufficientFunds"),
        (-1054, "INVALID_ARGUMENT: stepSize '10'", "InvalidOrder", "InvalidOrder"),
        (-1054, "limit price too high", "InvalidOrder", "InvalidOrder"),
        (-1054, "FAILED_PRECONDITION: position", "InvalidOrder", "InvalidOrder"),
        (-1115, "timeInForce", "InvalidOrder", "InvalidOrder"),
        (-1121, "symbol", "InvalidSymbol", "InvalidSymbol"),
        (-1142, "Parameter 'symbol' is invalid.", "InvalidSymbol", "InvalidSymbol"),
        (-1142, "Parameter 'price' is invalid.", "InvalidOrder", "InvalidOrder"),
        (-1150, "method", "InvalidRequest", "InvalidRequest"),
        (-1160, "precision", "InvalidOrder", "InvalidOrder"),
        (-1180, "client id", "InvalidOrder", "InvalidOrder"),
        (-3201, "quantity", "InvalidOrder", "InvalidOrder"),
    ],
)
def test_refusals_of_orders(code: int, text: str, spot: str, perp: str) -> None:
    for query, kind in ((SPOT_SIDE.place(SPOT_ORDER), spot), (CONTRACT_SIDE.place(PERP_ORDER), perp)):
        with pytest.raises(UnitapeError) as caught:
            read(query, {"code": code, "msg": text}, 400)
        assert type(caught.value) is getattr(errors, kind)


def test_other_refusals() -> None:
    with pytest.raises(errors.OrderNotFound):
        read(SPOT_SIDE.order(OrderRef(BTC, A)), {"code": -2200, "msg": "no order"}, 400)
    with pytest.raises(errors.OrderNotFound):
        read(CONTRACT_SIDE.cancel(OrderRef(PERP, A)), {"code": -3200, "msg": "no order"}, 400)
    with pytest.raises(errors.InvalidRequest, match="open orders"):
        read(CONTRACT_SIDE.set_margin_mode(PERP, "cross"), {"code": -1054, "msg": "there are open orders"}, 400)
    with pytest.raises(errors.RateLimited) as limited:
        read(CONTRACT_SIDE.place(PERP_ORDER), b"", 429)
    assert limited.value.retry_after == 10.0


def test_orders_that_a_batch_leaves_out_are_unknown() -> None:
    orders = [PERP_ORDER, NewOrder(PERP, "sell", "market", "demo-0009", size=D(1), position_side="long")]
    query = CONTRACT_SIDE.place_many(orders)
    second = {"orderId": B, "clientOrderId": "demo-0009", "success": True}
    refused = {"orderId": "", "clientOrderId": "demo-0001", "success": False, "errorCode": "-1160"}
    swapped = read(query, [second, refused])
    assert [type(result) for result in swapped] == [errors.InvalidOrder, Order]
    assert swapped[1].id == B
    short = read(query, {"orderList": [second]})
    assert isinstance(short[0], OutcomeUnknown)
    assert short[0].client_id == "demo-0001"
    assert short[1].id == B
    nameless = read(query, [{"orderId": A, "success": True}, {"orderId": B, "success": True}])
    assert [result.id for result in nameless] == [A, B]
    with pytest.raises(errors.InvalidRequest) as caught:
        read(query, {"code": -1150, "msg": "Request method is not supported."}, 400)
    assert caught.value.code == "-1150", "the sign that batches are not served and nothing was placed"


def test_a_batch_of_spot_orders() -> None:
    orders = [SPOT_ORDER, NewOrder(BTC, "buy", "market", "b", size=D(1))]
    rows = [
        {"symbol": "BTCUSDT", "orderId": 5, "clientOrderId": "demo-0002", "transactTime": 1795000013900,
         "errorCode": None, "errorMsg": None},
        {"symbol": "BTCUSDT", "orderId": None, "clientOrderId": "b", "errorCode": "-1160", "errorMsg": "precision"},
    ]  # fmt: skip
    first, second = read(SPOT_SIDE.place_many(orders), {"orderList": rows})
    assert (first.id, first.client_id, first.ts_created) == ("5", "demo-0002", 1795000013900 * MS)
    assert type(second) is errors.InvalidOrder


def test_cancels_that_did_not_cancel() -> None:
    with pytest.raises(errors.InvalidOrder, match="FILLED"):
        read(SPOT_SIDE.cancel(OrderRef(BTC, A)), {"orderId": 5, "status": "FILLED"})
    with pytest.raises(OutcomeUnknown):
        read(SPOT_SIDE.cancel(OrderRef(BTC, A)), {"orderId": 5})
    with pytest.raises(errors.OrderNotFound):
        read(CONTRACT_SIDE.cancel(OrderRef(PERP, A)), {"success": False, "errorCode": "ORDER_NOT_FOUND"})
    gone = {"orderId": 1, "success": False, "errorCode": "ORDER_NOT_FOUND", "errorMessage": "order not found"}
    assert read(CONTRACT_SIDE.cancel_all(None), [gone]) == []
    stuck = {"orderId": 2, "success": False, "errorCode": "-3201", "errorMessage": "no"}
    with pytest.raises(errors.InvalidOrder):
        read(CONTRACT_SIDE.cancel_all_conditional(None), [gone, stuck])
    missing = read(CONTRACT_SIDE.cancel_many([OrderRef(PERP, A), OrderRef(PERP, B)]), [{"orderId": A, "success": True}])
    assert missing[0] is None
    assert isinstance(missing[1], OutcomeUnknown)


def test_leverage_that_was_not_set_is_said() -> None:
    with pytest.raises(errors.InvalidRequest, match="10 is set"):
        read(CONTRACT_SIDE.set_leverage(PERP, 25), {"symbol": "BTCUSDT", "crossLeverage": "10"})
    with pytest.raises(OutcomeUnknown):
        read(CONTRACT_SIDE.set_leverage(PERP, 25), {"symbol": "BTCUSDT"})


ROW: dict[str, Any] = {
    "orderId": 7, "symbol": "BTCUSDT", "side": "BUY", "positionSide": "LONG", "type": "LIMIT", "status": "NEW",
    "price": "91000", "origQty": "0.02", "executedQty": "0", "avgPrice": "0", "cumQuote": "0", "time": 1795000012920,
}  # fmt: skip


@pytest.mark.parametrize(
    ("word", "executed", "status"),
    [
        ("NEW", "0", "open"), ("PENDING", "0", "open"), ("pending", "0", "open"), ("CANCELING", "0", "open"),
        ("NEW", "0.02", "open"), ("NEW", "0.005", "partially_filled"), ("PENDING", "0.0199", "partially_filled"),
        ("CANCELING", "0.01", "partially_filled"), ("PARTIALLY_FILLED", "0.01", "partially_filled"),
        ("PARTIAL_FILL", "0.01", "partially_filled"), ("FILLED", "0.02", "filled"), ("FULL_FILL", "0.02", "filled"),
        ("CANCELED", "0.01", "canceled"), ("CANCELLED", "0", "canceled"), ("EXPIRED", "0", "expired"),
        ("REJECTED", "0", "rejected"), ("TRIGGERED", "0", "unknown"), ("SLEEPING", "0", "unknown"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("side", [SPOT_SIDE, CONTRACT_SIDE], ids=["spot", "contract"])
def test_statuses(side: Any, word: str, executed: str, status: str) -> None:
    found = read(side.order(OrderRef(BTC if side is SPOT_SIDE else PERP, "7")),
                 ROW | {"status": word, "executedQty": executed})  # fmt: skip
    assert (found.status, found.raw_status) == (status, word)
    assert found.filled == D(executed)


def perp_row(**changes: Any) -> Order:
    found = read(CONTRACT_SIDE.order(OrderRef(PERP, "7")), ROW | changes)
    assert isinstance(found, Order)
    return found


def test_what_rows_leave_out_or_write_otherwise() -> None:
    assert perp_row(executedQty="0.01", avgPrice="0", cumQuote="910.005").average == D("91000.5")
    assert perp_row(executedQty="0.01", avgPrice="91000.7", cumQuote="1").average == D("91000.7")
    assert perp_row().average is None
    market = perp_row(type="MARKET", timeInForce="IOC", price="0")
    assert (market.kind, market.tif, market.price) == ("market", None, None)
    assert perp_row(timeInForce="POST_ONLY").tif == "post_only"
    assert perp_row(type="TRAILING_STOP_MARKET").kind is None
    assert perp_row(type="STOP", stopPrice="90000").trigger == D(90000)
    assert perp_row(side="SELL").reduce_only is True, "a sell of a long closes, whoever says so"
    assert perp_row(side="BUY").reduce_only is False
    assert perp_row(positionSide="UNKNOWN").position_side is None
    assert perp_row(origQty=0.02, price=91000.5).price == D("91000.5"), "numbers may come as numbers"
    assert perp_row(clientOrderId="").client_id is None
    assert perp_row(symbol="NEWUSDT").symbol == "NEWUSDT"


@pytest.mark.parametrize("bad", ["NaN", "Infinity", "1e18", "1e999999", "-", ""])
def test_numbers_that_are_none_are_refused(bad: str) -> None:
    with pytest.raises(WireError):
        perp_row(origQty=bad)


@pytest.mark.parametrize("changes", [{"side": "HOLD"}, {"orderId": 0}, {"orderId": "x"}, {"status": ""}])
def test_rows_that_make_no_sense_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(WireError):
        perp_row(**changes)


def test_a_full_page_of_open_orders_is_not_taken_for_all() -> None:
    rows = [ROW | {"orderId": number + 1} for number in range(100)]
    assert len(read(CONTRACT_SIDE.open_orders(), rows[:99])) == 99
    with pytest.raises(Unsupported, match="page by page"):
        read(CONTRACT_SIDE.open_orders(), rows)
    assert len(read(CONTRACT_SIDE.open_orders(page=0), rows)) == 100
    with pytest.raises(Unsupported, match="shorter range"):
        read(CONTRACT_SIDE.conditional_history(PERP), {"orders": [], "hasMore": True})
    assert read(CONTRACT_SIDE.conditional_history(PERP, limit=5), {"orders": [], "hasMore": True}) == []


def test_lists_come_out_oldest_first() -> None:
    rows = [ROW | {"orderId": 3, "time": 9}, ROW | {"orderId": 20, "time": 5}, ROW | {"orderId": "4", "time": 5}]
    queries: list[Callable[[], Query[Any]]] = [
        lambda: CONTRACT_SIDE.order_history(PERP),
        CONTRACT_SIDE.open_orders,
        lambda: SPOT_SIDE.order_history(BTC),
        SPOT_SIDE.open_orders,
    ]
    for ask in queries:
        assert [found.id for found in read(ask(), rows)] == ["4", "20", "3"]
    trade = {"symbol": "BTCUSDT", "orderId": 7, "qty": "1", "price": "2", "isBuyer": False, "commission": "0.1"}
    fills = read(SPOT_SIDE.fills(BTC), [trade | {"id": 2, "time": 6}, trade | {"id": 1, "time": 5}])
    assert [fill.id for fill in fills] == ["1", "2"]
    assert {(fill.side, fill.fee_currency) for fill in fills} == {("sell", "USDT")}


def test_a_fill_without_a_price_is_worth_what_it_was_worth() -> None:
    trade = {"id": 1, "orderId": 2, "symbol": "BTCUSDT", "side": "SELL", "qty": "0.02", "quoteQty": "1801", "time": 5}
    (fill,) = read(CONTRACT_SIDE.fills(PERP), [trade])
    assert (fill.price, fill.liquidity, fill.fee) == (D(90050), None, None)
    with pytest.raises(WireError, match="without a price"):
        read(CONTRACT_SIDE.fills(PERP), [trade | {"quoteQty": "0"}])


POSITION: dict[str, Any] = {
    "symbol": "BTCUSDT", "side": "SHORT", "size": "0.02", "openValue": "1801.067", "marginType": "ISOLATED",
    "leverage": "100", "unrealizePnl": "-85.5", "liquidatePrice": "99000.5", "marginSize": "17.15", "updatedTime": 9,
}  # fmt: skip


def test_positions() -> None:
    (short,) = read(CONTRACT_SIDE.positions(), [POSITION, POSITION | {"size": "0", "side": "UNKNOWN"}])
    assert (short.side, short.entry, short.liquidation, short.margin_mode) == (
        "short", D("90053.35"), D("99000.5"), "isolated",
    )  # fmt: skip
    with pytest.raises(WireError, match="UNKNOWN"):
        read(CONTRACT_SIDE.positions(), [POSITION | {"side": "UNKNOWN"}])


def test_flags_of_a_one_way_account() -> None:
    flags = read(CONTRACT_SIDE.account_flags(), {"canTrade": True, "dualSidePosition": False})
    assert flags.position_mode == "one_way"
    assert "one-way" in flags.note
    spot = read(SPOT_SIDE.account_flags(), example("rest.spot.account"))
    assert (spot.can_trade, spot.can_withdraw, spot.position_mode) == (True, True, None)


NOT_OURS = {"rest.contract.commissionRate", "rest.contract.symbolConfig", "rest.contract.income", "rest.spot.bills",
            "rest.spot.fundingBills", "rest.spot.transferRecords", "rest.contract.modifyTpSlOrder.response",
            "rest.error"}  # fmt: skip


def test_every_private_example_is_read_somewhere() -> None:
    from tests.weex.support import EXAMPLES
    from tests.weex.test_examples import HTTP, OUTSIDE

    batches = {"rest.spot.batchCancel", "rest.contract.batchCancel.response", "rest.contract.order.rejected"}
    requests = {name for name in EXAMPLES if name.endswith(".request")}
    private = {name for name in EXAMPLES if name.startswith("rest.")} - set(HTTP) - OUTSIDE - requests
    assert private - set(EXPECTED) - batches - NOT_OURS == set()
