"""Private answers of spot as the sheet prints them, read into contract objects typed by hand."""

from __future__ import annotations

import json
from decimal import Decimal

import msgspec
import pytest

from tests.mexc.support import MS, NOW
from tests.mexc.test_order_requests import S, new, spot
from unitape.errors import (
    InvalidOrder,
    OutcomeUnknown,
)
from unitape.spi import HttpResponse, OrderRef
from unitape_schemas import Balance, Fill, Order

D = Decimal
SPOT_ID = "C02__505979017439002624115"
FUTURES_ID = "814218083416790528"


def read(query, payload, status=200):
    body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    return query.read(HttpResponse(status, body), NOW)


def data(payload):
    """The envelope of futures; a text is taken as JSON, so that numbers keep their spelling."""
    inner = payload if isinstance(payload, str) else json.dumps(payload)
    return f'{{"success":true,"code":0,"data":{inner}}}'.encode()


SPOT_ROW = (
    b'{"symbol":"BTCUSDT","orderId":"C02__505979017439002624115","orderListId":-1,"clientOrderId":"cid-1",'
    b'"price":"60000","origQty":"0.001","executedQty":"0.0004","cummulativeQuoteQty":"24","status":"PARTIALLY_FILLED",'
    b'"timeInForce":null,"type":"LIMIT","side":"BUY","stopPrice":null,"icebergQty":null,"time":1793000000259,'
    b'"updateTime":1793000000900,"isWorking":true,"origQuoteOrderQty":"60"}'
)
SPOT_ORDER = Order(
    venue="mexc",
    symbol="BTC/USDT",
    ts_event=1_793_000_000_900 * MS,
    ts_sent=0,
    ts_recv=NOW,
    id=SPOT_ID,
    client_id="cid-1",
    side="buy",
    kind="limit",
    tif="gtc",
    price=D(60000),
    trigger=None,
    size=D("0.001"),
    filled=D("0.0004"),
    average=D(60000),
    status="partially_filled",
    reduce_only=None,
    position_side=None,
    ts_created=1_793_000_000_259 * MS,
    ts_updated=1_793_000_000_900 * MS,
    origin="query",
    raw_status="PARTIALLY_FILLED",
)
replace = msgspec.structs.replace


def test_a_spot_placement_is_accepted_and_no_more():
    answer = {
        "symbol": "BTCUSDT",
        "orderId": SPOT_ID,
        "orderListId": -1,
        "price": "60000",
        "origQty": "0.001",
        "type": "LIMIT",
        "side": "BUY",
        "transactTime": 1793000000259,
    }
    accepted = replace(
        SPOT_ORDER,
        ts_event=1_793_000_000_259 * MS,
        ts_updated=1_793_000_000_259 * MS,
        filled=None,
        average=None,
        status="pending",
        origin="answer",
        raw_status="",
    )
    assert read(spot().place(new()), answer) == accepted
    spare = {"symbol": "BTCUSDT", "orderId": SPOT_ID, "orderListId": "-1", "transactTime": 1793000000259}
    by_cost = read(spot().place(new(kind="market", cost=D(25))), spare)
    assert by_cost == replace(accepted, kind="market", tif=None, price=None, size=None)
    assert read(spot().validate(new()), {}) is None


def test_spot_orders():
    assert read(spot().order(OrderRef(S, SPOT_ID)), SPOT_ROW) == SPOT_ORDER
    renamed = SPOT_ROW.replace(b'"origQty"', b'"Qty"')
    assert read(spot().order(OrderRef(S, SPOT_ID)), renamed) == SPOT_ORDER
    older = SPOT_ROW.replace(b"1793000000259", b"1792000000000").replace(b"C02__5", b"C02__4")
    found = read(spot().open_orders(S), b"[" + SPOT_ROW + b"," + older + b"]")
    assert [order.ts_created for order in found] == [1_792_000_000_000 * MS, 1_793_000_000_259 * MS]
    assert read(spot().order_history(S), b"[]") == []


@pytest.mark.parametrize(
    ("kind", "unified", "tif"),
    [
        ("LIMIT", "limit", "gtc"),
        ("LIMIT_MAKER", "limit", "post_only"),
        ("IMMEDIATE_OR_CANCEL", "limit", "ioc"),
        ("FILL_OR_KILL", "limit", "fok"),
        ("MARKET", "market", None),
        ("STOP_LIMIT", None, None),
    ],
)
def test_spot_types(kind, unified, tif):
    order = read(spot().order(OrderRef(S, SPOT_ID)), SPOT_ROW.replace(b'"LIMIT"', f'"{kind}"'.encode()))
    assert (order.kind, order.tif) == (unified, tif)
    assert order.price == (None if kind == "MARKET" else D(60000))


@pytest.mark.parametrize(
    ("word", "unified"),
    [
        ("NEW", "open"),
        ("PARTIALLY_FILLED", "partially_filled"),
        ("FILLED", "filled"),
        ("CANCELED", "canceled"),
        ("PARTIALLY_CANCELED", "canceled"),
        ("PENDING", "pending"),
        ("PENDING_CANCEL", "open"),
        ("REJECTED", "rejected"),
        ("EXPIRED", "expired"),
        ("DREAMING", "unknown"),
    ],
)
def test_spot_statuses(word, unified):
    order = read(spot().order(OrderRef(S, SPOT_ID)), SPOT_ROW.replace(b"PARTIALLY_FILLED", word.encode()))
    assert (order.status, order.raw_status) == (unified, word)


def test_spot_cancels_tell_much_or_little():
    full = {
        "symbol": "BTCUSDT",
        "origClientOrderId": "cid-1",
        "orderId": SPOT_ID,
        "clientOrderId": "another",
        "price": "60000",
        "origQty": "0.001",
        "executedQty": "0",
        "cummulativeQuoteQty": "0",
        "status": "CANCELED",
        "timeInForce": "",
        "type": "LIMIT",
        "side": "BUY",
    }
    canceled = replace(
        SPOT_ORDER,
        ts_event=0,
        ts_created=0,
        ts_updated=0,
        filled=D(0),
        average=None,
        status="canceled",
        raw_status="CANCELED",
        origin="answer",
    )
    cancel = spot().cancel(OrderRef(S, SPOT_ID))
    assert read(cancel, full) == canceled
    # The status may still be that of before: the cancel was accepted, more is not said.
    assert read(cancel, full | {"status": "NEW"}) is None
    names = ("symbol", "orderId", "price", "origQty", "type", "side")
    minimal = {name: full[name] for name in names}
    assert read(cancel, minimal) is None
    assert read(spot().cancel_all(S), [full, minimal, full | {"status": "NEW"}]) == [canceled]
    done = {"code": 200, "msg": "success", "timestamp": 1793000000000}
    assert read(spot(cancel_all="account").cancel_all(None), done) == []


def test_spot_batches_are_mixed():
    orders = [new(), new(client_id="cid-2"), new(client_id="cid-3")]
    accepted = {"symbol": "BTCUSDT", "orderId": "C02__505979017439002624116", "orderListId": -1}
    refused = {
        "newClientOrderId": "cid-2",
        "msg": "The minimum transaction volume cannot be less than:1USDT",
        "code": 30002,
    }
    lost = {"newClientOrderId": "cid-3", "msg": "internal", "code": 500}
    first, second, third = read(spot().place_many(orders), [accepted, refused, lost])
    assert (first.id, first.client_id, first.status) == ("C02__505979017439002624116", "cid-1", "pending")
    assert type(second) is InvalidOrder
    assert (second.code, second.text) == ("30002", refused["msg"])
    assert type(third) is OutcomeUnknown
    assert third.client_id == "cid-3"
    for wrong in ([accepted], [refused, accepted, lost], {"orders": []}):
        with pytest.raises(OutcomeUnknown):
            read(spot().place_many(orders), wrong)


def test_spot_fills():
    row = {
        "symbol": "BTCUSDT",
        "id": "505979017439002624X1",
        "orderId": SPOT_ID,
        "orderListId": -1,
        "price": "60000",
        "qty": "0.0004",
        "quoteQty": "24",
        "commission": "0",
        "commissionAsset": "USDT",
        "time": 1793000000880,
        "isBuyer": True,
        "isMaker": True,
        "isBestMatch": True,
        "isSelfTrade": False,
        "clientOrderId": "cid-1",
    }
    fill = Fill(
        venue="mexc",
        symbol="BTC/USDT",
        ts_event=1_793_000_000_880 * MS,
        ts_sent=0,
        ts_recv=NOW,
        id="505979017439002624X1",
        order_id=SPOT_ID,
        client_id="cid-1",
        side="buy",
        price=D(60000),
        size=D("0.0004"),
        fee=D(0),
        fee_currency="USDT",
        liquidity="maker",
        realized_pnl=None,
        origin="query",
    )
    assert read(spot().fills(S), [row]) == [fill]
    taken = row | {"isBuyer": False, "isMaker": False, "clientOrderId": None, "time": 1}
    found = read(spot().fills(S), [row, taken])
    assert found == [replace(fill, ts_event=MS, side="sell", liquidity="taker", client_id=None), fill]


def test_spot_account():
    answer = {
        "makerCommission": None,
        "canTrade": True,
        "canWithdraw": False,
        "canDeposit": True,
        "updateTime": None,
        "accountType": "SPOT",
        "balances": [{"asset": "USDT", "free": "940.00", "locked": "60"}],
        "permissions": ["SPOT"],
    }
    usdt = Balance("mexc", "", 0, 0, NOW, "USDT", D("940.00"), D(60), D(1000), "spot")
    assert read(spot().balances(), answer) == [usdt]
    flags = read(spot().account_flags(), answer)
    assert (flags.can_trade, flags.can_withdraw, flags.ip_bound) == (True, False, None)
    long = {"balances": [{"asset": "X", "free": "123456789012345678.1", "locked": "0.000000000000000000000000000001"}]}
    assert read(spot().balances(), long)[0].total == D("123456789012345678.100000000000000000000000000001")
