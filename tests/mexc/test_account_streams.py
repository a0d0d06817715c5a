"""Private connections of both markets, message by message. Expected values are worked out by hand from the rows."""

from __future__ import annotations

import gzip
import json
from decimal import Decimal
from itertools import pairwise

import pytest

from tests.mexc.support import FUTURES as CONTRACTS
from tests.mexc.support import NOW, wrapper
from tests.mexc.support import SPOT as PAIRS
from unitape.errors import ConfigError, VenueError, WireError
from unitape.spi import (
    Closing,
    Credentials,
    Endpoint,
    HttpResponse,
    OrderRef,
    Ready,
    Recheck,
    Refused,
    Streaming,
    Unmapped,
)
from unitape.spi import TradingSettings as Settings
from unitape_mexc import FUTURES, SPOT
from unitape_schemas import Balance, Fill, Order, Position

D = Decimal
MS = 1_000_000
KEYS = Credentials("mx0vglTESTKEY0000001", "0123456789abcdef0123456789abcdef")
TIME = 1_793_000_000_000
LOGIN = "812a792ca335ea428319ae6092f8339df896e1b05fae7cc234b2b53532052567"
"""The sheet's signature of key and time, made with other code."""
CHANNELS = [f"spot@private.{name}.v3.api.pb" for name in ("orders", "deals", "account")]
ORDER_FRAME = (
    "0a1d73706f7440707269766174652e6f72646572732e76332e6170692e70628213620a1a4330325f5f35303539373930313734333930303236"
    "323431313512056369642d311a0536303030302205302e3030312a02363032053630303030380140015201305a01306205302e3030316a0530"
    "2e3030317202363078028001839683b997341a074254435553445430999683b99734"
)
SUCCESS = '{"channel":"rs.login","data":"success","ts":"1793000000001"}'


def spot(**options):
    return SPOT.account_stream(PAIRS, Settings(options=options))


def futures(mode="one_way", **options):
    return FUTURES.account_stream(CONTRACTS, Settings(position_mode=mode, options=options))


def opened(stream):
    session = stream.session()
    session.on_open(KEYS, TIME * MS + 999)
    sent = [json.loads(message) for message in session.outbox]
    session.outbox.clear()
    return session, sent


def logged_in(stream):
    session, _ = opened(stream)
    assert session.on_frame(SUCCESS, NOW) == (Ready(raw=SUCCESS),)
    return session


def personal(name, ts=TIME + 5, **data):
    return json.dumps({"channel": f"push.personal.{name}", "data": data, "ts": ts})


def private(body, symbol="BTCUSDT", **fields):
    """A push as upb writes it from the .proto file."""
    channel = {"privateOrders": 0, "privateDeals": 1, "privateAccount": 2}[body]
    push = wrapper(channel=CHANNELS[channel], sendTime=TIME + 7, **({"symbol": symbol} if symbol else {}))
    target = getattr(push, body)
    for name, value in fields.items():
        setattr(target, name, value)
    return push.SerializeToString()


ROW = {
    "id": "C02__1", "clientId": "cid-1", "price": "60000", "quantity": "0.01", "amount": "600", "orderType": 1,
    "tradeType": 1, "cumulativeQuantity": "0.004", "cumulativeAmount": "239.99", "avgPrice": "59997.5", "status": 3,
    "createTime": TIME,
}  # fmt: skip
FUTURES_ORDER = {
    "orderId": "814218083416790528", "externalOid": "cid-1", "symbol": "BTC_USDT", "price": 60000.5, "vol": 10,
    "dealVol": 4, "remainVol": 6, "dealAvgPrice": 60000.5, "side": 1, "orderType": 1, "state": 2, "errorCode": 0,
    "version": 2, "createTime": TIME + 300, "updateTime": TIME + 420,
}  # fmt: skip


def test_both_markets_are_streamed():
    for market in (SPOT, FUTURES):
        assert isinstance(market, Streaming)
        for endpoint in market.endpoints.values():
            assert market.account_stream(PAIRS, Settings()).spec.route in endpoint.ws
    assert spot().spec.channels == ("orders", "fills", "balances")
    assert futures().spec.channels == ("orders", "fills", "balances", "positions")
    assert spot().spec.lifetime == futures().spec.lifetime == 86_400
    assert 0 < spot().spec.keep_every <= 1800
    assert futures().spec.keep_every is None


# Spot ----------------------------------------------------------------------------------------------------------------


def test_listen_keys_are_asked_for_and_extended():
    stream = spot()
    made, kept = stream.open_key(), stream.keep_key("a key/1")
    assert (made.request.method, made.request.path, made.request.query) == ("POST", "/api/v3/userDataStream", "")
    assert (kept.request.method, kept.request.query) == ("PUT", "listenKey=a%20key%2F1")
    for query in (made, kept):
        assert query.request.auth == "signed"
        assert not query.request.write, "asking again does no harm, so it is not held back like an order"
    assert spot(listen_key="key").open_key().request.auth == "key"
    assert made.read(HttpResponse(200, b'{"listenKey":"pqia91ma19a5s61c"}'), NOW) == "pqia91ma19a5s61c"
    assert kept.read(HttpResponse(200, b'{"listenKey":"a key/1"}'), NOW) is None
    with pytest.raises(VenueError):
        kept.read(HttpResponse(400, b'{"code":730002,"msg":"Parameter error"}'), NOW)
    with pytest.raises(WireError):
        made.read(HttpResponse(200, b'{"listenKey":""}'), NOW)


def test_the_listen_key_is_in_the_address():
    endpoint = Endpoint("https://rest", {"private": "wss://wbs-api.mexc.com/ws"}, (("a", "b"),))
    dial = spot().dial(endpoint, "k/1", KEYS, NOW)
    assert (dial.url, dial.headers) == ("wss://wbs-api.mexc.com/ws?listenKey=k%2F1", (("a", "b"),))
    with pytest.raises(ConfigError):
        spot().dial(endpoint, None, KEYS, NOW)
    assert spot().open_key() is not None
    assert futures().open_key() is None
    assert futures().keep_key("k") is None
    assert futures().dial(Endpoint("", {"private": "wss://edge"}), None, KEYS, NOW).url == "wss://edge"


def test_spot_is_ready_when_all_three_channels_are_confirmed():
    session, (sent,) = opened(spot())
    assert sent == {"method": "SUBSCRIPTION", "params": CHANNELS, "id": 1}
    reply = json.dumps({"id": 1, "code": 0, "msg": ",".join(CHANNELS)})
    assert session.on_frame(reply.encode(), NOW) == (Ready(raw=reply),)
    assert session.on_frame(reply, NOW) == (), "ready is said once"


def test_spot_is_not_ready_by_halves():
    session, _ = opened(spot())
    assert session.on_frame(json.dumps({"id": 0, "code": 0, "msg": "PONG"}), NOW) == ()
    assert session.on_frame(json.dumps({"id": 0, "code": 0, "msg": ",".join(CHANNELS[:2])}), NOW) == ()
    (ready,) = session.on_frame(json.dumps({"id": 0, "code": 0, "msg": CHANNELS[2]}), NOW)
    assert isinstance(ready, Ready)


@pytest.mark.parametrize(
    "reply",
    [
        {"id": 0, "code": 0, "msg": f"Not Subscribed successfully! [{','.join(CHANNELS)}].  Reason： Blocked! "},
        {
            "id": 0,
            "code": 0,
            "msg": f"Subscribed successful! [{CHANNELS[0]}]. Not Subscribed successfully! [{CHANNELS[1]}].  "
            "Reason： Blocked! ",
        },
        {"id": 1, "code": 400, "msg": "Blocked!"},
    ],
)
def test_a_refused_subscription_is_said_in_the_venues_words(reply):
    session, _ = opened(spot())
    (refused,) = session.on_frame(json.dumps(reply), NOW)
    assert isinstance(refused, Refused)
    assert refused.code != "auth", "the word does not tell a wrong name from a wrong permission"
    assert "Blocked" in refused.text
    assert refused.raw == json.dumps(reply)


@pytest.mark.parametrize("said", ["Invalid listen key", b"Invalid listen key"])
def test_a_dead_listen_key_ends_the_connection(said):
    session, _ = opened(spot())
    assert session.on_frame(said, NOW) == (Closing("Invalid listen key", rotate=False),)


@pytest.mark.parametrize(("stream", "ping"), [(spot, "PING"), (futures, "ping")])
def test_pings_run_on_the_timer(stream, ping):
    session, _ = opened(stream())
    times = [second for second in range(61) if session.on_tick(second * 10**9) == () and _pinged(session, ping)]
    assert len(times) >= 3
    gaps = {later - earlier for earlier, later in pairwise(times)}
    assert all(10 <= gap <= 20 for gap in gaps), "the venue asks for one every 10 to 20 seconds"


def _pinged(session, word):
    sent = [json.loads(message) for message in session.outbox]
    session.outbox.clear()
    assert all(message == {"method": word} for message in sent)
    return bool(sent)


def test_the_sheets_frame_of_an_order():
    session, _ = opened(spot())
    (order,) = session.on_frame(bytes.fromhex(ORDER_FRAME), NOW)
    assert order == Order(
        venue="mexc", symbol="BTC/USDT", ts_event=1793000000281 * MS, ts_sent=1793000000281 * MS, ts_recv=NOW,
        id="C02__505979017439002624115", client_id="cid-1", side="buy", kind="limit", tif="gtc", price=D(60000),
        trigger=None, size=D("0.001"), filled=D("0.001"), average=D(60000), status="filled", reduce_only=None,
        position_side=None, ts_created=1793000000259 * MS, ts_updated=1793000000281 * MS, origin="stream",
        raw_status="2",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, {"status": "partially_filled", "filled": D("0.004"), "average": D("59997.5"), "side": "buy"}),
        ({"status": 1, "cumulativeQuantity": "", "cumulativeAmount": ""}, {"status": "open", "filled": D(0)}),
        ({"status": 1, "cumulativeQuantity": "0.00000000"}, {"filled": D(0), "average": None}),
        ({"status": 4, "cumulativeQuantity": "0"}, {"status": "canceled", "filled": D(0), "average": None}),
        ({"status": 5}, {"status": "canceled", "filled": D("0.004"), "average": D("59997.5")}),
        ({"status": 9}, {"status": "unknown", "raw_status": "9"}),
        ({"cumulativeAmount": ""}, {"average": D("59997.5")}),
        ({"orderType": 2, "tradeType": 2}, {"kind": "limit", "tif": "post_only", "side": "sell"}),
        ({"orderType": 3}, {"tif": "ioc"}),
        ({"orderType": 4}, {"tif": "fok"}),
        ({"orderType": 5, "quantity": ""}, {"kind": "market", "tif": None, "size": None, "price": None}),
        ({"orderType": 100, "triggerPrice": "61000"}, {"kind": None, "tif": None, "trigger": D(61000)}),
        ({"clientId": ""}, {"client_id": None}),
    ],
)  # fmt: skip
def test_orders_of_spot(fields, expected):
    (order,) = spot().session().on_frame(private("privateOrders", **(ROW | fields)), NOW)
    assert {name: getattr(order, name) for name in expected} == expected
    assert "E" not in str(order.filled), "zero is written as zero"
    assert order.origin == "stream"


def test_deals_and_balances_of_spot():
    session = spot().session()
    deal = {
        "price": "60000.5", "quantity": "0.001", "amount": "60.0005", "tradeType": 2, "isMaker": True,
        "tradeId": "505979017439002624X1", "clientOrderId": "", "orderId": "C02__1", "feeAmount": "0.0000005",
        "feeCurrency": "BTC", "time": TIME + 3,
    }  # fmt: skip
    assert session.on_frame(private("privateDeals", **deal), NOW) == [
        Fill(
            "mexc", "BTC/USDT", (TIME + 3) * MS, (TIME + 7) * MS, NOW, "505979017439002624X1", "C02__1", None, "sell",
            D("60000.5"), D("0.001"), D("0.0000005"), "BTC", "maker", None, "stream",
        )
    ]  # fmt: skip
    taken = session.on_frame(private("privateDeals", **(deal | {"isMaker": False})), NOW)
    assert taken[0].liquidity == "taker"
    row = {
        "vcoinName": "USDT", "coinId": "128f", "balanceAmount": "940.10", "balanceAmountChange": "-60",
        "frozenAmount": "60.00000000", "frozenAmountChange": "60", "type": "ENTRUST_PLACE", "time": TIME + 1,
    }  # fmt: skip
    assert session.on_frame(private("privateAccount", None, **row), NOW) == [
        Balance(
            "mexc", "", (TIME + 1) * MS, (TIME + 7) * MS, NOW, "USDT", D("940.10"), D(60), D("1000.10"), "spot"
        )
    ]  # fmt: skip
    (empty,) = session.on_frame(private("privateAccount", None, vcoinName="MX", frozenAmount="0.00000000"), NOW)
    assert [str(amount) for amount in (empty.free, empty.locked, empty.total)] == ["0", "0", "0"]


def test_what_is_not_read_of_spot_is_counted():
    session = spot().session()
    public = wrapper(channel="spot@public.limit.depth.v3.api.pb@BTCUSDT@5", symbol="BTCUSDT", sendTime=TIME)
    public.publicLimitDepths.version = "1"
    assert session.on_frame(public.SerializeToString(), NOW) == [Unmapped(public.channel)]
    assert session.on_frame(wrapper(channel=CHANNELS[0], sendTime=TIME).SerializeToString(), NOW) == []
    stranger = private("privateOrders", **ROW) + b"\x82\x3f\x02hi"  # field 1008 of the wrapper
    order, told = session.on_frame(stranger, NOW)
    assert (order.id, told) == ("C02__1", Unmapped("PushDataV3ApiWrapper.1008 as body"))


@pytest.mark.parametrize(
    "frame",
    [
        private("privateOrders", **(ROW | {"tradeType": 0})),
        private("privateOrders", **(ROW | {"quantity": "nan"})),
        private("privateOrders", **(ROW | {"price": "1_0"})),
        private("privateOrders", **(ROW | {"cumulativeQuantity": "1e400"})),
        private("privateOrders", **(ROW | {"id": ""})),
        private("privateOrders", **(ROW | {"createTime": -1})),
        private("privateOrders", None, **ROW),
        private("privateDeals", tradeId="1", orderId="2", tradeType=1, price="1", quantity="", time=TIME),
        private("privateAccount", None, balanceAmount="1"),
        b"\x0a\xff",
        wrapper(channel="", sendTime=1).SerializeToString(),
        "no reply",
        b'{"code":0}',
    ],
)
def test_bad_input_of_spot_is_refused_and_the_session_goes_on(frame):
    session, _ = opened(spot())
    with pytest.raises(WireError):
        session.on_frame(frame, NOW)
    assert session.on_frame(private("privateOrders", **ROW), NOW)[0].id == "C02__1"


# Futures -------------------------------------------------------------------------------------------------------------


def test_a_login_is_signed_and_opens_everything():
    session, (sent,) = opened(futures())
    assert sent == {"method": "login", "param": {"apiKey": KEYS.key, "reqTime": str(TIME), "signature": LOGIN}}
    assert session.on_frame(SUCCESS, NOW) == (Ready(raw=SUCCESS),)
    assert session.on_frame(SUCCESS, NOW) == ()
    assert session.outbox == []
    _, (sent,) = opened(futures(login_time="number"))
    assert sent["param"]["reqTime"] == TIME


def test_with_a_filter_the_stream_is_ready_after_it():
    session, (sent,) = opened(futures(personal_filter="on"))
    assert sent["subscribe"] is False
    assert session.on_frame(SUCCESS, NOW) == ()
    (filters,) = [json.loads(message) for message in session.outbox]
    assert filters["method"] == "personal.filter"
    assert {row["filter"] for row in filters["param"]["filters"]} == {
        "order", "order.deal", "position", "asset", "plan.order", "stop.order", "stop.planorder", "risk.limit",
        "adl.level",
    }  # fmt: skip
    reply = '{"channel":"rs.personal.filter","data":"success","ts":1793000000002}'
    assert session.on_frame(reply, NOW) == (Ready(raw=reply),)
    refused = session.on_frame('{"channel":"rs.personal.filter","data":"filter error"}', NOW)
    assert [(type(output), output.text, output.code) for output in refused] == [(Refused, "filter error", None)]


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ("Signature verification failed!", "auth"),
        ("login fail", "auth"),
        ("Unauthorized (code 401)", "auth"),
        ("code: 406, accessing IP is not in the whitelist", "auth"),
        ("No permission: 701", "auth"),
        ("513 Invalid request", "513"),
        ("Invalid request: the request time differs by more than 10 s", None),
        ("System is under maintenance", None),
        ("code 510: too frequent", "510"),
        ("system busy", None),
    ],
)
def test_a_refused_login_says_whether_the_key_is_to_blame(words, code):
    for channel in ("rs.error", "rs.login"):
        session, _ = opened(futures())
        raw = json.dumps({"channel": channel, "data": words, "ts": TIME})
        assert session.on_frame(raw, NOW) == (Refused(None, words, code, raw=raw),)
        assert session.on_frame(SUCCESS, NOW) == (Ready(raw=SUCCESS),)


def test_the_end_of_a_login_or_of_patience_closes():
    session = logged_in(futures())
    for words in ("more than 60 seconds no response, close the channel", "please login first"):
        message = json.dumps({"channel": "rs.error", "data": words, "ts": TIME})
        assert session.on_frame(message, NOW) == (Closing(words, rotate=False),)
    other = session.on_frame(json.dumps({"channel": "rs.error", "data": "Contract [X] not exists"}), NOW)
    assert isinstance(other[0], Refused)
    assert session.on_frame('{"channel":"pong","data":1793000000123,"ts":1793000000123}', NOW) == ()


def test_an_order_of_futures_in_text_and_compressed():
    expected = Order(
        venue="mexc", symbol="BTC/USDT:USDT", ts_event=(TIME + 420) * MS, ts_sent=(TIME + 425) * MS, ts_recv=NOW,
        id="814218083416790528", client_id="cid-1", side="buy", kind="limit", tif="gtc", price=D("60000.5"),
        trigger=None, size=D("0.001"), filled=D("0.0004"), average=D("60000.5"), status="partially_filled",
        reduce_only=False, position_side=None, ts_created=(TIME + 300) * MS, ts_updated=(TIME + 420) * MS,
        origin="stream", raw_status="2",
    )  # fmt: skip
    message = personal("order", ts=TIME + 425, positionType="long", sideType="buy", **FUTURES_ORDER)
    session = logged_in(futures())
    assert session.on_frame(message, NOW) == (expected,)
    assert session.on_frame(gzip.compress(message.encode()), NOW) == (expected,)


@pytest.mark.parametrize(
    ("side", "mode", "expected"),
    [
        (1, 1, ("buy", False, "long")),
        (2, 1, ("buy", True, "short")),
        (3, 1, ("sell", False, "short")),
        (4, 1, ("sell", True, "long")),
        (1, 2, ("buy", False, None)),
        (4, 2, ("sell", True, None)),
    ],
)
def test_the_four_sides(side, mode, expected):
    session = logged_in(futures())
    (order,) = session.on_frame(personal("order", **(FUTURES_ORDER | {"side": side, "positionMode": mode})), NOW)
    assert (order.side, order.reduce_only, order.position_side) == expected


@pytest.mark.parametrize(
    ("fields", "status", "word"),
    [
        ({"state": 1, "dealVol": 0}, "open", "1"),
        ({"state": 3, "dealVol": 10}, "filled", "3"),
        ({"state": 4, "dealVol": 0, "errorCode": 20}, "canceled", "4 post_only_cancel"),
        ({"state": 5, "dealVol": 0, "errorCode": 2}, "rejected", "5 insufficient_balance"),
        ({"state": 5, "dealVol": 4}, "canceled", "5"),
        ({"state": 7}, "unknown", "7"),
    ],
)
def test_the_states_of_futures_orders(fields, status, word):
    (order,) = logged_in(futures()).on_frame(personal("order", **(FUTURES_ORDER | fields)), NOW)
    assert (order.status, order.raw_status) == (status, word)


@pytest.mark.parametrize("flag", ["isTaker", "taker"])
def test_a_deal_of_futures(flag):
    row = {
        "id": 987654321, "symbol": "BTC_USDT", "side": 4, "vol": 4, "price": 60000.5, "feeCurrency": "USDT",
        "fee": 0.0144, "timestamp": TIME + 418, "profit": -0.0005, flag: False, "category": 1,
        "orderId": 814218083416790528, "externalOid": "cid-1",
    }  # fmt: skip
    assert logged_in(futures()).on_frame(personal("order.deal", **row), NOW) == (
        Fill(
            "mexc", "BTC/USDT:USDT", (TIME + 418) * MS, (TIME + 5) * MS, NOW, "987654321", "814218083416790528",
            "cid-1", "sell", D("60000.5"), D("0.0004"), D("0.0144"), "USDT", "maker", D("-0.0005"), "stream",
        ),
    )  # fmt: skip


def test_positions_grow_and_close():
    row = {
        "positionId": 1397818, "symbol": "BTC_USDT", "positionType": 2, "openType": 1, "state": 1, "holdVol": 4,
        "holdAvgPrice": 60000.5, "liquidatePrice": 63240.1, "im": 1.2, "leverage": 20, "updateTime": TIME + 4,
    }  # fmt: skip
    session = logged_in(futures())
    assert session.on_frame(personal("position", **row), NOW) == (
        Position(
            "mexc", "BTC/USDT:USDT", (TIME + 4) * MS, (TIME + 5) * MS, NOW, "short", D("0.0004"), D("60000.5"), None,
            D("63240.1"), None, D(20), "isolated", D("1.2"),
        ),
    )  # fmt: skip
    for end in ({"holdVol": 0}, {"state": 3}):
        (closed,) = session.on_frame(personal("position", **(row | end)), NOW)
        assert (str(closed.size), closed.entry, closed.side) == ("0", None, "short")


def test_an_asset_asks_for_what_it_does_not_tell():
    row = {"currency": "USDT", "availableBalance": 938.79, "frozenBalance": 1.8, "positionMargin": 1.2, "bonus": 0}
    balance, recheck = logged_in(futures()).on_frame(personal("asset", **row), NOW)
    assert balance == Balance(
        "mexc", "", 0, (TIME + 5) * MS, NOW, "USDT", D("938.79"), D("1.8"), None, "futures",
        available_margin=D("938.79"),
    )  # fmt: skip
    assert isinstance(recheck, Recheck)
    assert recheck.channels == ("balances",)


def test_a_plan_order_has_a_trigger_and_no_client_id():
    row = {
        "id": "739206374277809664", "symbol": "BTC_USDT", "side": 1, "triggerPrice": 61000.0, "vol": 5,
        "triggerType": 1, "state": 1, "orderType": 5, "positionMode": 1, "ensureStopLoss": 0, "createTime": TIME,
        "updateTime": TIME,
    }  # fmt: skip
    session = logged_in(futures())
    (order,) = session.on_frame(personal("plan.order", **row), NOW)
    assert (order.id, order.client_id, order.kind, order.trigger) == ("739206374277809664", None, "stop", D(61000))
    assert (order.status, order.size, order.origin) == ("open", D("0.0005"), "stream")
    (sent,) = session.on_frame(personal("plan.order", **(row | {"state": 3, "orderId": "8142"})), NOW)
    assert (sent.status, sent.raw_status) == ("unknown", "3")


STOP = {
    "id": 357859177, "orderId": "0", "symbol": "BTC_USDT", "positionId": "1397818", "stopLossPrice": 58000.0,
    "takeProfitPrice": 63000.0, "state": 1, "triggerSide": 0, "positionType": 1, "vol": 4, "takeProfitVol": 3,
    "stopLossVol": 4, "profitLossVolType": "SAME", "takeProfitReverse": 2, "stopLossReverse": 2, "isFinished": 0,
    "createTime": TIME, "updateTime": TIME + 1,
}  # fmt: skip


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, {"tp-357859177": "open", "sl-357859177": "open"}),
        ({"takeProfitPrice": 0}, {"sl-357859177": "open"}),
        ({"stopLossPrice": None}, {"tp-357859177": "open"}),
        ({"state": 2}, {"tp-357859177": "canceled", "sl-357859177": "canceled"}),
        ({"state": 3, "triggerSide": 1, "isFinished": 1}, {"tp-357859177": "unknown", "sl-357859177": "canceled"}),
        ({"state": 3, "triggerSide": 2, "isFinished": 1}, {"tp-357859177": "canceled", "sl-357859177": "unknown"}),
        (
            {"state": 3, "triggerSide": 1, "profitLossVolType": "SEPARATE"},
            {"tp-357859177": "unknown", "sl-357859177": "open"},
        ),
        ({"state": 5, "triggerSide": 2}, {"tp-357859177": "canceled", "sl-357859177": "rejected"}),
        ({"state": 4}, {"tp-357859177": "expired", "sl-357859177": "expired"}),
    ],
)
def test_take_profit_and_stop_loss_of_a_position_are_an_order_each(fields, expected):
    orders = logged_in(futures()).on_frame(personal("stop.planorder", **(STOP | fields)), NOW)
    assert {order.id: order.status for order in orders} == expected
    for order in orders:
        profit = order.id.startswith("tp")
        assert (order.kind, order.trigger) == (("take_profit", D(63000)) if profit else ("stop", D(58000)))
        assert order.size == (D("0.0003") if profit else D("0.0004"))
        assert (order.side, order.reduce_only, order.position_side, order.client_id) == ("sell", True, None, None)


def test_protection_by_limit_of_a_short_that_reverses():
    row = STOP | {"positionType": 2, "stopLossType": 1, "stopLossOrderPrice": 57000, "stopLossReverse": 1}
    _, loss = logged_in(futures("hedge")).on_frame(personal("stop.planorder", **row), NOW)
    assert (loss.kind, loss.tif, loss.price, loss.side) == ("stop_limit", "gtc", D(57000), "buy")
    assert (loss.reduce_only, loss.position_side) == (False, "short")
    whole, _ = logged_in(futures()).on_frame(personal("stop.planorder", **(STOP | {"vol": 0, "takeProfitVol": 0})), NOW)
    assert whole.size is None, "what protects a whole position has no size"


def test_protection_is_asked_for_and_canceled_by_its_name():
    trading = FUTURES.trading(CONTRACTS, Settings())
    ref = OrderRef("BTC/USDT:USDT", "sl-357859177", conditional=True)
    asked, canceled = trading.order(ref), trading.cancel(ref)
    assert asked.request.path == "/api/v1/private/stoporder/order_details/357859177"
    assert canceled.request.path == "/api/v1/private/stoporder/cancel"
    assert json.loads(canceled.request.body) == [{"stopPlanOrderId": 357859177}]
    body = json.dumps({"success": True, "code": 0, "data": STOP}).encode()
    found = asked.read(HttpResponse(200, body), NOW)
    assert (found.id, found.trigger, found.origin) == ("sl-357859177", D(58000), "query")
    gone = json.dumps({"success": True, "code": 0, "data": STOP | {"stopLossPrice": 0}}).encode()
    with pytest.raises(VenueError, match="no conditional order sl-357859177"):
        asked.read(HttpResponse(200, gone), NOW)
    assert canceled.read(HttpResponse(200, b'{"success":true,"code":0}'), NOW) is None


@pytest.mark.parametrize("name", ["risk.limit", "liquidate.risk"])
def test_changed_risk_lets_positions_be_asked_for(name):
    (recheck,) = logged_in(futures()).on_frame(personal(name, symbol="BTC_USDT", leverage=20), NOW)
    assert recheck.channels == ("positions",)


@pytest.mark.parametrize("name", ["adl.level", "stop.order", "position.mode", "leverage.mode", "never.heard.of"])
def test_the_rest_is_counted(name):
    assert logged_in(futures()).on_frame(personal(name, adlLevel=2), NOW) == (Unmapped(f"push.personal.{name}"),)


@pytest.mark.parametrize(
    "frame",
    [
        personal("order", **(FUTURES_ORDER | {"side": 5})),
        personal("order", **(FUTURES_ORDER | {"symbol": "NOPE_USDT"})),
        personal("order", **(FUTURES_ORDER | {"vol": "nan"})),
        personal("order", **(FUTURES_ORDER | {"orderId": ""})),
        personal("order.deal", id=1),
        personal("position", symbol="BTC_USDT", positionType=3, holdVol=1),
        personal("asset", currency="", availableBalance=1),
        personal("stop.planorder", **(STOP | {"positionType": 0})),
        '{"channel":"push.personal.order"}',
        '{"channel":"strange"}',
        "no json",
        b"\x1f\x8bno gzip",
    ],
)
def test_bad_input_of_futures_is_refused_and_the_session_goes_on(frame):
    session = logged_in(futures())
    with pytest.raises(WireError):
        session.on_frame(frame, NOW)
    assert session.on_frame(personal("order", **FUTURES_ORDER), NOW)[0].id == "814218083416790528"
