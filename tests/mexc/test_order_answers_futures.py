"""Private answers of futures as the sheets print them, read into contract objects typed by hand; and bad ones."""

from __future__ import annotations

import json
from decimal import Decimal

import msgspec
import pytest

from tests.mexc.support import MS, NOW, instrument
from tests.mexc.test_order_answers import FUTURES_ID, SPOT_ID, data, read
from tests.mexc.test_order_requests import F, S, futures, new, perp, spot
from unitape.errors import (
    ExchangeUnavailable,
    InsufficientFunds,
    OrderNotFound,
    OutcomeUnknown,
    WireError,
)
from unitape.spi import AccountFlags, Amendment, Instruments, OrderRef, TradingSettings
from unitape_mexc import FUTURES
from unitape_schemas import Balance, Fill, Order, Position

D = Decimal


replace = msgspec.structs.replace


FUTURES_ROW = (
    '{"orderId":"814218083416790528","symbol":"BTC_USDT","positionId":0,"price":60000.5,"vol":10,"leverage":20,'
    '"side":1,"category":1,"orderType":1,"dealAvgPrice":60000.5,"dealVol":4,"orderMargin":1.8,"usedMargin":1.2,'
    '"takerFee":0,"makerFee":0.0144,"totalFee":0.0144,"profit":0,"feeCurrency":"USDT","openType":1,"state":2,'
    '"externalOid":"cid-1","errorCode":0,"positionMode":1,"reduceOnly":false,"bboTypeNum":0,"version":2,'
    '"createTime":1793000000300,"updateTime":1793000000420,"stopLossPrice":0,"takeProfitPrice":0}'
)
FUTURES_ORDER = Order(
    venue="mexc",
    symbol="BTC/USDT:USDT",
    ts_event=1_793_000_000_420 * MS,
    ts_sent=0,
    ts_recv=NOW,
    id=FUTURES_ID,
    client_id="cid-1",
    side="buy",
    kind="limit",
    tif="gtc",
    price=D("60000.5"),
    trigger=None,
    size=D("0.001"),
    filled=D("0.0004"),
    average=D("60000.5"),
    status="partially_filled",
    reduce_only=False,
    position_side="long",
    ts_created=1_793_000_000_300 * MS,
    ts_updated=1_793_000_000_420 * MS,
    origin="query",
    raw_status="2",
)
FID = OrderRef(F, FUTURES_ID)


def changed(**fields):
    return data(json.dumps(json.loads(FUTURES_ROW) | fields))


def test_futures_placements_come_in_two_shapes():
    accepted = replace(
        FUTURES_ORDER,
        ts_event=1_793_000_000_300 * MS,
        ts_updated=1_793_000_000_300 * MS,
        filled=None,
        average=None,
        status="pending",
        position_side=None,
        origin="answer",
        raw_status="",
    )
    place = futures().place(perp())
    assert read(place, data({"orderId": FUTURES_ID, "ts": 1793000000300})) == accepted
    older = replace(accepted, id="102057569836905984", ts_event=0, ts_created=0, ts_updated=0)
    assert read(place, data("102057569836905984")) == older
    assert read(place, data('"102057569836905984"')) == older
    assert read(place, b'{"success":true,"code":200,"data":"102057569836905984"}') == older


@pytest.mark.parametrize("answer", ["null", '""', "{}", '{"orderId":null}', '{"orderId":""}', "0", "[1]", "true"])
def test_a_success_without_an_order_leaves_its_fate_open(answer):
    for order in (perp(), perp(kind="stop", trigger=D(1))):
        with pytest.raises(OutcomeUnknown) as caught:
            read(futures().place(order), data(answer))
        assert caught.value.client_id == "cid-1"


def test_futures_orders():
    assert read(futures("hedge").order(FID), data(FUTURES_ROW)) == FUTURES_ORDER
    assert read(futures().open_orders(), data(f"[{FUTURES_ROW}]")) == [FUTURES_ORDER]
    paged = f'{{"pageSize":100,"totalCount":1,"totalPage":1,"currentPage":1,"resultList":[{FUTURES_ROW}]}}'
    assert read(futures().order_history(F), data(paged)) == [FUTURES_ORDER]
    assert read(futures().open_orders(), data("null")) == []
    with pytest.raises(OrderNotFound):
        read(futures().order(FID), data("null"))
    number = FUTURES_ROW.replace('"814218083416790528"', "814218083416790528")
    assert read(futures().order(FID), data(number)).id == FUTURES_ID


@pytest.mark.parametrize(
    ("state", "deals", "error", "unified", "raw"),
    [
        (1, 0, 0, "open", "1"),
        (2, 0, 0, "open", "2"),
        (2, 4, 0, "partially_filled", "2"),
        (3, 10, 0, "filled", "3"),
        (4, 0, 20, "canceled", "4 post_only_cancel"),
        (4, 4, 18, "canceled", "4 ioc_cancel"),
        (5, 0, 2, "rejected", "5 insufficient_balance"),
        (5, 1, 0, "canceled", "5"),
        (9, 0, 99, "unknown", "9 99"),
    ],
)
def test_futures_states(state, deals, error, unified, raw):
    order = read(futures().order(FID), changed(state=state, dealVol=deals, errorCode=error))
    assert (order.status, order.raw_status) == (unified, raw)
    assert order.average == (D("60000.5") if deals else None)


@pytest.mark.parametrize(
    ("side", "mode", "flag", "expected"),
    [
        (1, 1, False, ("buy", False, "long")),
        (2, 1, False, ("buy", True, "short")),
        (3, 1, None, ("sell", False, "short")),
        (4, 1, None, ("sell", True, "long")),
        (1, 2, False, ("buy", False, None)),
        (2, 2, True, ("buy", True, None)),
        (3, 2, True, ("sell", True, None)),
        (4, None, None, ("sell", True, None)),
    ],
)
def test_sides(side, mode, flag, expected):
    order = read(futures("one_way").order(FID), changed(side=side, positionMode=mode, reduceOnly=flag))
    assert (order.side, order.reduce_only, order.position_side) == expected
    if mode is None:
        hedged = read(futures("hedge").order(FID), changed(side=side, positionMode=mode, reduceOnly=flag))
        assert hedged.position_side == "long"


@pytest.mark.parametrize(
    ("code", "kind", "tif"),
    [(1, "limit", "gtc"), (2, "limit", "post_only"), (3, "limit", "ioc"), (4, "limit", "fok"), (5, "market", None),
     (6, "market", None), (7, None, None)],
)  # fmt: skip
def test_futures_types(code, kind, tif):
    order = read(futures().order(FID), changed(orderType=code))
    assert (order.kind, order.tif) == (kind, tif)
    assert (order.price is None) is (kind == "market")


def test_futures_batches_are_mixed():
    items = [
        {"externalOid": "cid-1", "orderId": FUTURES_ID, "errorCode": 0, "errorMsg": None},
        {"externalOid": "cid-2", "orderId": None, "errorCode": 2005, "errorMsg": "Balance insufficient"},
        {"externalOid": "cid-3", "orderId": None, "errorCode": 603, "errorMsg": "repeated"},
    ]
    orders = [perp(), perp(client_id="cid-2"), perp(client_id="cid-3")]
    first, second, third = read(futures().place_many(orders), data(items))
    assert (first.id, first.client_id, first.status) == (FUTURES_ID, "cid-1", "pending")
    assert type(second) is InsufficientFunds
    assert type(third) is OutcomeUnknown
    assert third.client_id == "cid-3"
    for wrong in (items[:2], items[::-1], [{**items[0], "orderId": None}, *items[1:]]):
        with pytest.raises(OutcomeUnknown):
            read(futures().place_many(orders), data(wrong))


def test_futures_cancels_answer_item_by_item():
    items = [
        {"orderId": 814218083416790528, "errorCode": 0, "errorMsg": "success"},
        {"orderId": 814218083416790529, "errorCode": 2040, "errorMsg": "order not exist"},
        {"orderId": 814218083416790530, "errorCode": 2041, "errorMsg": "order state cannot be cancelled"},
    ]
    refs = [OrderRef(F, str(item["orderId"])) for item in items]
    for answer in (items, items[::-1]):
        done, missing, ended = read(futures().cancel_many(refs), data(answer))
        assert done is None
        assert (type(missing), missing.code) == (OrderNotFound, "2040")
        assert (type(ended), ended.code) == (OrderNotFound, "2041")
    with pytest.raises(OutcomeUnknown):
        read(futures().cancel_many(refs), data(items[:2]))
    assert read(futures().cancel(refs[0]), data(items[:1])) is None
    with pytest.raises(OrderNotFound, match="order not exist"):
        read(futures().cancel(refs[1]), data(items[1:2]))
    with pytest.raises(OutcomeUnknown):
        read(futures().cancel(refs[0]), data(items[1:2]))


def test_futures_cancels_by_client_id():
    by_client = futures().cancel(OrderRef(F, client_id="cid-1"))
    assert read(by_client, {"success": True, "code": 0}) is None
    assert read(by_client, data([{"orderId": 1, "errorCode": 0, "errorMsg": "success"}])) is None
    with pytest.raises(OrderNotFound):
        read(by_client, data([{"orderId": 1, "errorCode": 2040, "errorMsg": "order not exist"}]))
    with pytest.raises(OrderNotFound):
        read(by_client, {"success": False, "code": 2040, "message": "order not exist"})
    many = futures().cancel_many([OrderRef(F, client_id="cid-1"), OrderRef(F, client_id="cid-2")])
    found = read(many, data([{"orderId": 5, "errorCode": 0}, {"orderId": 6, "errorCode": 2041}]))
    assert found[0] is None
    assert type(found[1]) is OrderNotFound
    assert read(futures().cancel_all(None), {"success": True, "code": 0}) == []
    assert read(futures().cancel_all_conditional(F), {"success": True, "code": 0}) == []


def test_a_changed_order_has_another_id():
    change = futures().amend(Amendment(OrderRef(F, FUTURES_ID), D("0.002"), D("60010"), "sell"))
    order = read(change, data('"739204819784386560"'))
    assert (order.id, order.side, order.price, order.size) == ("739204819784386560", "sell", D(60010), D("0.002"))
    assert (order.status, order.client_id, order.tif, order.reduce_only) == ("pending", None, None, None)


def test_futures_fills():
    row = (
        '{"id":"159274416","symbol":"BTC_USDT","side":1,"vol":4,"price":60000.5,"feeCurrency":"USDT","fee":0.0144,'
        '"timestamp":1793000000418,"profit":0,"category":1,"orderId":"814218083416790528","taker":false,'
        '"externalOid":"cid-1","positionMode":1,"reduceOnly":false,"isSelf":false,"opponentOrderId":"8"}'
    )
    fill = Fill(
        venue="mexc",
        symbol="BTC/USDT:USDT",
        ts_event=1_793_000_000_418 * MS,
        ts_sent=0,
        ts_recv=NOW,
        id="159274416",
        order_id=FUTURES_ID,
        client_id="cid-1",
        side="buy",
        price=D("60000.5"),
        size=D("0.0004"),
        fee=D("0.0144"),
        fee_currency="USDT",
        liquidity="maker",
        realized_pnl=D(0),
        origin="query",
    )
    assert read(futures().fills(F), data(f"[{row}]")) == [fill]
    assert read(futures().fills(F), data(f'{{"resultList":[{row}]}}')) == [fill]
    older = row.replace('"taker":false', '"isTaker":true').replace('"side":1', '"side":4')
    assert read(futures().fills(F), data(f"[{older}]")) == [replace(fill, liquidity="taker", side="sell")]
    silent = row.replace('"taker":false,', "")
    assert read(futures().fills(F), data(f"[{silent}]"))[0].liquidity is None
    # The executions of one order come all at once: bounds are kept here.
    later = 1_793_000_000_419 * MS
    assert read(futures().fills(F, order_id=FUTURES_ID, end=later), data(f"[{row}]")) == [fill]
    assert read(futures().fills(F, order_id=FUTURES_ID, start=later), data(f"[{row}]")) == []


PLAN_ROW = (
    '{"id":987654321,"symbol":"BTC_USDT","leverage":20,"side":1,"triggerPrice":61000.0,"price":61010.0,"vol":5,'
    '"openType":1,"triggerType":1,"state":1,"executeCycle":24,"trend":1,"errorCode":0,"orderId":0,"orderType":1,'
    '"marketOrderLevel":0,"positionMode":1,"reduceOnly":false,"createTime":1793000000430,"updateTime":1793000000430}'
)
PLAN = replace(
    FUTURES_ORDER,
    ts_event=1_793_000_000_430 * MS,
    ts_created=1_793_000_000_430 * MS,
    ts_updated=1_793_000_000_430 * MS,
    id="987654321",
    client_id=None,
    kind="stop_limit",
    price=D("61010.0"),
    trigger=D("61000.0"),
    size=D("0.0005"),
    filled=None,
    average=None,
    status="open",
    raw_status="1",
)


def test_conditional_orders():
    stop = perp(kind="stop", trigger=D("61000"), size=D("0.0005"))
    for answer in ('"739206374277809664"', "739206374277809664", '{"id":"739206374277809664"}'):
        placed = read(futures().place(stop), data(answer))
        assert (placed.id, placed.client_id, placed.status) == ("739206374277809664", "cid-1", "open")
        assert (placed.kind, placed.trigger, placed.size) == ("stop", D(61000), D("0.0005"))
    assert read(futures().open_conditional(F), data(f"[{PLAN_ROW}]")) == [PLAN]
    ref = OrderRef(F, "987654321", conditional=True)
    assert read(futures().order(ref), data(f'{{"resultList":[{PLAN_ROW}]}}')) == PLAN
    with pytest.raises(OrderNotFound, match="newest 1"):
        read(futures().order(OrderRef(F, "5", conditional=True)), data(f"[{PLAN_ROW}]"))
    assert read(futures().cancel(ref), {"success": True, "code": 0}) is None
    # A market plan of the recordings: neither price nor error code, and its id a text.
    market = '{"id":"9","symbol":"BTC_USDT","side":4,"triggerPrice":5,"vol":1,"triggerType":1,"state":%d,"orderType":5}'
    for state, status in ((1, "open"), (2, "canceled"), (3, "unknown"), (4, "expired"), (5, "rejected")):
        order = read(futures().open_conditional(), data(f"[{market % state}]"))[0]
        assert (order.kind, order.side, order.tif, order.price, order.status) == (
            "take_profit", "sell", None, None, status,
        )  # fmt: skip


@pytest.mark.parametrize(
    ("side", "code", "kind"),
    [(1, 1, "stop"), (2, 2, "take_profit"), (3, 2, "stop"), (4, 1, "take_profit"), (1, 3, None)],
)
def test_kinds_of_plans(side, code, kind):
    row = json.loads(PLAN_ROW) | {"side": side, "triggerType": code, "orderType": 5}
    assert read(futures().open_conditional(), data([row]))[0].kind == kind


@pytest.mark.parametrize(
    ("make", "row", "key"),
    [(lambda t: t.open_orders(), FUTURES_ROW, "orderId"), (lambda t: t.open_conditional(F), PLAN_ROW, "id")],
)
def test_a_full_page_has_another_behind_it(make, row, key):
    rows = [json.loads(row) | {key: str(10**9 + number)} for number in range(101)]
    query = make(futures())
    first = read(query, data(rows[:100]))
    following = query.more(first)
    assert "page_num=1&page_size=100" in query.request.query
    assert following.request.query == query.request.query.replace("page_num=1", "page_num=2")
    assert following.request.auth == "signed"
    # An order that came in meanwhile has pushed the last of the first page to the second.
    last = read(following, data(rows[99:]))
    assert sorted(order.id for order in (*first, *last)) == [str(10**9 + number) for number in range(101)]
    assert following.more(last) is None
    short = make(futures())
    assert short.more(read(short, data(rows[:99]))) is None


def test_positions():
    row = (
        '{"positionId":1397818,"symbol":"BTC_USDT","positionType":1,"openType":1,"state":1,"holdVol":4,"frozenVol":0,'
        '"closeVol":0,"holdAvgPrice":60000.5,"openAvgPrice":60000.5,"closeAvgPrice":0,"liquidatePrice":57240.1,'
        '"oim":1.2,"im":1.2,"adlLevel":2,"holdFee":0,"realised":-0.0144,"leverage":20,"marginRatio":0.02,'
        '"createTime":1793000000418,"updateTime":1793000000418,"autoAddIm":false,"version":3}'
    )
    position = Position(
        venue="mexc",
        symbol="BTC/USDT:USDT",
        ts_event=1_793_000_000_418 * MS,
        ts_sent=0,
        ts_recv=NOW,
        side="long",
        size=D("0.0004"),
        entry=D("60000.5"),
        mark=None,
        liquidation=D("57240.1"),
        unrealized_pnl=None,
        leverage=D(20),
        margin_mode="isolated",
        margin=D("1.2"),
    )
    assert read(futures().positions(), data(f"[{row}]")) == [position]
    short = row.replace('"positionType":1,"openType":1', '"positionType":2,"openType":2')
    closed = row.replace('"holdVol":4', '"holdVol":0')
    found = read(futures().positions(F), data(f"[{short},{closed}]"))
    assert found == [replace(position, side="short", margin_mode="cross")]
    assert read(futures().positions(), data("null")) == []


def test_assets():
    row = (
        '{"currency":"USDT","positionMargin":1.2,"availableBalance":938.79,"cashBalance":940.0,"frozenBalance":1.8,'
        '"equity":941.8,"unrealized":0.4,"bonus":0,"availableCash":938.79,"availableOpen":938.5,"debtAmount":0}'
    )
    usdt = Balance(
        "mexc", "", 0, 0, NOW, "USDT", D("938.79"), D("1.8"), D("941.4"), "futures", D("941.8"), D("938.5"), D("0.4")
    )
    assert read(futures().balances(), data(f"[{row}]")) == [usdt]
    older = row.replace('"availableOpen":938.5,', "")
    assert read(futures().balances(), data(f"[{older}]")) == [replace(usdt, available_margin=D("938.79"))]


def test_settings_of_the_account():
    note = "the venue tells the position mode here and nothing about the key"
    assert read(futures().account_flags(), data("1")) == AccountFlags(position_mode="hedge", note=note)
    assert read(futures().account_flags(), data('{"positionMode":2}')).position_mode == "one_way"
    done = {"success": True, "code": 0}
    assert read(futures().set_leverage(F, 5), done) is None
    assert read(futures().set_position_mode("hedge"), done) is None
    with pytest.raises(ExchangeUnavailable):
        read(futures().set_leverage(F, 5), {"success": False, "code": 500, "message": "Under maintenance"})


def test_sizes_of_contracts_that_are_not_known_are_never_sizes():
    size_unknown = replace(instrument("ETH", size="0.01"), contract_size=None)
    trading = FUTURES.trading(Instruments([size_unknown]), TradingSettings())
    for raw in ("ETH_USDT", "NEW_USDT"):
        with pytest.raises(WireError, match="contract size"):
            read(trading.order(OrderRef("ETH/USDT:USDT", "1")), changed(symbol=raw))


@pytest.mark.parametrize(
    "broken",
    [b"", b"null", b"[]", b"\xff\xfe", b'{"success":true,"code":0}', data("[{}]"), changed(vol="nan"),
     changed(vol=1e30), changed(side=7), changed(price="1e-99"), changed(orderId=""), changed(symbol="")],
)  # fmt: skip
def test_bad_bodies_of_questions_are_wire_errors(broken):
    with pytest.raises(WireError):
        read(futures().order(FID), broken)


def test_bad_bodies_of_writes_leave_their_fate_open():
    for query in (spot().place(new()), spot().cancel(OrderRef(S, SPOT_ID)), futures().place(perp())):
        for body in (b"", b"<html>moved</html>", b"\xff", b'{"orderId":5}', b"[1]"):
            with pytest.raises(OutcomeUnknown):
                read(query, body)


def test_a_repeated_request_proves_nothing():
    """The venue does not say what a repeated client id does: the order has to be asked for."""
    with pytest.raises(OutcomeUnknown) as caught:
        read(futures().place(perp()), {"success": False, "code": 603, "message": "repeated"})
    assert caught.value.client_id == "cid-1"
    assert futures().spec.client_ids.repeated == spot().spec.client_ids.repeated == "unknown"


def test_a_wallet_of_nothing_is_written_as_zero():
    row = (
        '{"currency":"USDT","availableBalance":0.00000000,"frozenBalance":"0.00000000","equity":1.50000000,'
        '"unrealized":1.50000000,"availableOpen":0E-8}'
    )
    [balance] = read(futures().balances(), data(f"[{row}]"))
    amounts = (balance.free, balance.locked, balance.total, balance.available_margin)
    assert [str(amount) for amount in amounts] == ["0", "0", "0", "0"]
