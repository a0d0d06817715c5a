"""The account streams: what they send, how they get ready, and what their frames mean. Values worked out by hand."""

from __future__ import annotations

import hashlib
import hmac
import json
from decimal import Decimal

import pytest

from tests.binance.test_signing import K_SPOT, PEM, S_SPOT
from unitape.errors import AuthenticationFailed, ConfigError, VenueError, WireError
from unitape.spi import (
    Closing,
    Credentials,
    HttpResponse,
    Instruments,
    Ready,
    Recheck,
    Refused,
    Streaming,
    TradingSettings,
    Unmapped,
)
from unitape_binance import SPOT, USDM
from unitape_schemas import Balance, Fill, Order, Position

D = Decimal
S, U = "BTC/USDT", "BTC/USDT:USDT"
NOW = 1_793_923_200_999_000_000
MS = 1_000_000
HMAC_KEYS = Credentials(K_SPOT, S_SPOT)


def stream(market, **settings):
    assert isinstance(market, Streaming)
    return market.account_stream(Instruments(market.catalogue), TradingSettings(**settings))


def opened(market, credentials=HMAC_KEYS, ts=NOW):
    session = stream(market).session()
    session.on_open(credentials, ts)
    return session


def say(session, **payload):
    return list(session.on_frame(json.dumps(payload), NOW))


def spot(**event):
    return say(opened(SPOT), subscriptionId=0, event=event)


def usdm(**event):
    return say(opened(USDM), **event)


# Getting ready --------------------------------------------------------------------------------------------------------


def test_an_hmac_key_signs_the_subscription_itself():
    session = opened(SPOT, ts=1_747_385_641_636 * MS)
    (sent,) = session.outbox
    frame = json.loads(sent)
    assert frame["method"] == "userDataStream.subscribe.signature"
    signature = frame["params"].pop("signature")
    assert frame["params"] == {"apiKey": K_SPOT, "timestamp": 1747385641636, "recvWindow": 5000}
    text = f"apiKey={K_SPOT}&recvWindow=5000&timestamp=1747385641636"
    assert signature == hmac.new(S_SPOT.encode(), text.encode(), hashlib.sha256).hexdigest()
    answer = {"id": frame["id"], "status": 200, "result": {"subscriptionId": 0}}
    assert say(session, **answer) == [Ready()]


def test_an_ed25519_key_logs_on_and_then_subscribes_without_a_signature():
    session = opened(SPOT, Credentials("TESTKEY", PEM), ts=1_649_729_878_532 * MS)
    logon = json.loads(session.outbox.pop())
    assert logon["method"] == "session.logon"
    assert set(logon["params"]) == {"apiKey", "timestamp", "recvWindow", "signature"}
    # Sent before the session is logged on, it would be refused.
    assert session.outbox == []
    result = {"apiKey": "TESTKEY", "authorizedSince": 1649729878532, "userDataStream": False}
    assert say(session, id=logon["id"], status=200, result=result) == []
    subscribe = json.loads(session.outbox.pop())
    assert subscribe == {"id": subscribe["id"], "method": "userDataStream.subscribe"}
    assert say(session, id=subscribe["id"], status=200, result={"subscriptionId": 3}) == [Ready()]


@pytest.mark.parametrize(
    ("status", "code", "wanted"),
    [(400, -1021, "-1021"), (401, -2015, "auth"), (400, -1022, "auth"), (401, -2014, "auth"), (429, -1003, "-1003")],
)
def test_a_refusal_says_whether_trying_again_helps(status, code, wanted):
    session = opened(SPOT)
    number = json.loads(session.outbox.pop())["id"]
    said = say(session, id=number, status=status, error={"code": code, "msg": f"no, not {K_SPOT}"})
    assert said == [Refused(None, f"{code}: no, not ***", wanted)]


def test_a_key_that_is_revoked_later_is_a_refusal_without_a_number():
    text = "Invalid API-key, IP, or permissions for action."
    said = say(opened(SPOT), id=None, status=401, error={"code": -2015, "msg": text})
    assert said == [Refused(None, f"-2015: {text}", "auth")]


def test_being_subscribed_already_is_ready():
    session = opened(SPOT)
    number = json.loads(session.outbox.pop())["id"]
    assert say(session, id=number, status=400, error={"code": -2035, "msg": "already active"}) == [Ready()]


def test_the_market_data_environment_streams_no_account():
    with pytest.raises(ConfigError, match="market data only"):
        stream(SPOT).dial(SPOT.endpoints["data"], None, HMAC_KEYS, NOW)
    dial = stream(SPOT).dial(SPOT.endpoints["live"], None, HMAC_KEYS, NOW)
    assert dial.url == "wss://ws-api.binance.com:443/ws-api/v3"
    assert stream(SPOT).open_key() is None
    assert stream(SPOT).keep_key("x") is None


def test_a_listen_key_names_the_futures_connection():
    account = stream(USDM)
    query = account.open_key()
    assert (query.request.method, query.request.target, query.request.auth) == ("POST", "/fapi/v1/listenKey", "key")
    key = query.read(HttpResponse(200, b'{"listenKey":"Qm7tZk2pV9"}'), NOW)
    assert account.dial(USDM.endpoints["live"], key, HMAC_KEYS, NOW).url == (
        "wss://fstream.binance.com/private/ws/Qm7tZk2pV9"
    )
    unrouted = account.dial(USDM.endpoints["testnet_unrouted"], key, HMAC_KEYS, NOW).url
    assert unrouted == "wss://fstream.binancefuture.com/ws/Qm7tZk2pV9"
    with pytest.raises(ConfigError, match="listen key"):
        account.dial(USDM.endpoints["live"], None, HMAC_KEYS, NOW)


def test_extending_a_listen_key():
    account = stream(USDM)
    query = account.keep_key("Qm7tZk2pV9")
    assert (query.request.method, query.request.target, query.request.auth) == ("PUT", "/fapi/v1/listenKey", "key")
    assert query.read(HttpResponse(200, b"{}"), NOW) is None
    with pytest.raises(VenueError) as refused:
        query.read(HttpResponse(400, b'{"code":-1125,"msg":"This listenKey does not exist."}'), NOW)
    assert refused.value.code == "-1125"
    with pytest.raises(AuthenticationFailed):
        query.read(HttpResponse(401, b'{"code":-2014,"msg":"API-key format invalid."}'), NOW)
    # It lives for an hour, and one lost extension must not end it.
    assert account.spec.keep_every <= 1800


def test_an_unreadable_listen_key_is_not_kept_in_the_error():
    with pytest.raises(WireError) as spoilt:
        stream(USDM).open_key().read(HttpResponse(200, b'{"listenKey":["Qm7tZk2pV9"]}'), NOW)
    assert "Qm7" not in f"{spoilt.value!r}{spoilt.value}{spoilt.value.data!r}"


def test_the_futures_connection_is_ready_at_its_first_tick_and_only_once():
    session = stream(USDM).session()
    assert list(session.on_tick(5)) == []
    session.on_open(HMAC_KEYS, NOW)
    assert session.outbox == []
    assert [list(session.on_tick(now)) for now in (6, 7)] == [[Ready()], []]


# Spot -----------------------------------------------------------------------------------------------------------------

REPORT = {
    "e": "executionReport",
    "E": 1793923200655,
    "s": "BTCUSDT",
    "c": "k7-000126",
    "S": "BUY",
    "o": "LIMIT",
    "f": "GTC",
    "q": "0.01000000",
    "p": "95000.00000000",
    "P": "0.00000000",
    "F": "0.00000000",
    "g": -1,
    "C": "",
    "x": "TRADE",
    "X": "PARTIALLY_FILLED",
    "r": "NONE",
    "i": 41200334413,
    "l": "0.00400000",
    "z": "0.00400000",
    "L": "95000.00000000",
    "n": "0.00000400",
    "N": "BTC",
    "T": 1793923200654,
    "t": 5641203555,
    "I": 88120033111,
    "w": True,
    "m": True,
    "M": True,
    "O": 1793923200650,
    "Z": "380.00000000",
    "Y": "380.00000000",
    "Q": "0.00000000",
    "W": 1793923200650,
    "V": "EXPIRE_MAKER",
}


def test_an_execution_is_the_order_and_then_its_fill():
    order, fill = spot(**REPORT)
    assert order == Order(
        "binance",
        S,
        1793923200654 * MS,
        1793923200655 * MS,
        NOW,
        "41200334413",
        "k7-000126",
        "buy",
        "limit",
        "gtc",
        D(95000),
        None,
        D("0.01"),
        D("0.004"),
        D(95000),
        "partially_filled",
        None,
        None,
        1793923200650 * MS,
        1793923200654 * MS,
        "stream",
        "PARTIALLY_FILLED",
    )
    assert fill == Fill(
        "binance",
        S,
        1793923200654 * MS,
        1793923200655 * MS,
        NOW,
        "5641203555",
        "41200334413",
        "k7-000126",
        "buy",
        D(95000),
        D("0.004"),
        D("0.000004"),
        "BTC",
        "maker",
        None,
        "stream",
    )


def test_a_canceled_order_keeps_its_own_client_id():
    (order,) = spot(**REPORT | {"x": "CANCELED", "X": "CANCELED", "c": "cxl-9", "C": "k7-000126", "l": "0.00000000"})
    assert (order.client_id, order.status, order.filled) == ("k7-000126", "canceled", D("0.004"))
    (order,) = spot(**REPORT | {"x": "CANCELED", "X": "CANCELED"})
    assert order.client_id == "k7-000126"


def test_an_amended_order_goes_by_its_new_client_id():
    (order,) = spot(**REPORT | {"x": "REPLACED", "X": "NEW", "c": "new-id", "C": "k7-000126", "z": "0.00000000"})
    assert (order.client_id, order.status, order.average) == ("new-id", "open", None)


def test_a_market_order_by_cost_has_no_size():
    order, fill = spot(
        **REPORT
        | {"o": "MARKET", "Q": "100.00000000", "q": "0.00104000", "p": "0.00000000", "X": "FILLED", "z": "0.00104000"}
        | {"l": "0.00104000", "L": "96153.84615385", "Z": "99.99999999", "n": "0.00000000", "N": None, "m": False}
    )
    assert (order.kind, order.size, order.price, order.tif, order.status) == ("market", None, None, None, "filled")
    # 99.99999999 / 0.00104, to twenty digits
    assert order.average == D("96153.846144230769231")
    assert (str(fill.fee), fill.fee_currency, fill.liquidity) == ("0", None, "taker")


@pytest.mark.parametrize(
    ("words", "kind", "tif", "status", "trigger"),
    [
        ({"o": "LIMIT_MAKER", "x": "NEW", "X": "NEW"}, "limit", "post_only", "open", None),
        ({"o": "STOP_LOSS_LIMIT", "P": "94000.0", "x": "NEW", "X": "NEW"}, "stop_limit", "gtc", "open", D(94000)),
        ({"o": "TAKE_PROFIT", "P": "99000.0", "x": "NEW", "X": "NEW"}, "take_profit", None, "open", D(99000)),
        ({"f": "FOK", "x": "EXPIRED", "X": "EXPIRED"}, "limit", "fok", "expired", None),
        ({"x": "TRADE_PREVENTION", "X": "EXPIRED_IN_MATCH"}, "limit", "gtc", "expired", None),
        ({"x": "REJECTED", "X": "REJECTED", "r": "INSUFFICIENT_BALANCES"}, "limit", "gtc", "rejected", None),
        ({"x": "NEW", "X": "PENDING_NEW"}, "limit", "gtc", "pending", None),
        ({"o": "PEGGED", "x": "NEW", "X": "HALTED"}, None, "gtc", "unknown", None),
    ],
)
def test_the_words_of_an_execution_report(words, kind, tif, status, trigger):
    (order,) = spot(**REPORT | words)
    assert (order.kind, order.tif, order.status, order.trigger) == (kind, tif, status, trigger)
    assert order.raw_status == words["X"]


def test_balances_are_what_is_held_now():
    rows = [{"a": "BTC", "f": "0.51399600", "l": "0.00000000"}, {"a": "USDT", "f": "18000.0", "l": "570.0"}]
    said = spot(e="outboundAccountPosition", E=1793923200656, u=1793923200654, B=rows)
    at = (1793923200654 * MS, 1793923200656 * MS, NOW)
    assert said == [
        Balance("binance", "", *at, "BTC", D("0.513996"), D(0), D("0.513996"), "spot"),
        Balance("binance", "", *at, "USDT", D(18000), D(570), D(18570), "spot"),
    ]
    assert str(said[0].locked) == "0"


def test_other_events_of_spot():
    (recheck,) = spot(e="balanceUpdate", E=1793923300110, a="USDT", d="-250.00000000", T=1793923300068)
    assert isinstance(recheck, Recheck)
    assert recheck.channels == ("balances",)
    (recheck,) = spot(e="externalLockUpdate", E=1793923500324, a="BNB", d="10.00000000", T=1793923500268)
    assert recheck.channels == ("balances",)
    (closing,) = spot(e="eventStreamTerminated", E=1793923600334)
    assert isinstance(closing, Closing)
    assert not closing.rotate
    (closing,) = say(opened(SPOT), event={"e": "serverShutdown", "E": 1793923200000})
    assert closing.rotate
    assert spot(e="somethingNew", E=1) == [Unmapped("somethingNew")]
    orders = [{"s": "BTCUSDT", "i": 17, "c": "leg-a"}]
    assert spot(e="listStatus", E=1, s="BTCUSDT", g=2, c="OCO", l="EXEC_STARTED", O=orders) == [Unmapped("listStatus")]


# USDⓈ-M ---------------------------------------------------------------------------------------------------------------

UPDATE = {
    "s": "BTCUSDT",
    "c": "k7-f-0001",
    "S": "BUY",
    "o": "LIMIT",
    "f": "GTX",
    "q": "0.010",
    "p": "95000.00",
    "ap": "94998.10000",
    "sp": "0",
    "x": "TRADE",
    "X": "FILLED",
    "i": 8801123311,
    "l": "0.010",
    "z": "0.010",
    "L": "94998.10",
    "n": "0.18999620",
    "N": "USDT",
    "T": 1793923260000,
    "t": 7120040001,
    "m": True,
    "R": False,
    "wt": "CONTRACT_PRICE",
    "ot": "LIMIT",
    "ps": "BOTH",
    "cp": False,
    "si": 0,
    "ss": 0,
    "rp": "-1.5",
    "gtd": 0,
    "er": "0",
}


def update(**changes):
    return usdm(e="ORDER_TRADE_UPDATE", E=1793923260007, T=1793923260000, o=UPDATE | changes)


def test_a_futures_execution_is_the_order_and_then_its_fill():
    order, fill = update()
    at = (1793923260000 * MS, 1793923260007 * MS, NOW)
    assert order == Order(
        "binance",
        U,
        *at,
        "8801123311",
        "k7-f-0001",
        "buy",
        "limit",
        "post_only",
        D(95000),
        None,
        D("0.01"),
        D("0.01"),
        D("94998.1"),
        "filled",
        False,
        None,
        0,
        1793923260000 * MS,
        "stream",
        "FILLED",
    )
    assert fill == Fill(
        "binance",
        U,
        *at,
        "7120040001",
        "8801123311",
        "k7-f-0001",
        "buy",
        D("94998.1"),
        D("0.01"),
        D("0.1899962"),
        "USDT",
        "maker",
        D("-1.5"),
        "stream",
    )


@pytest.mark.parametrize(
    ("changes", "status", "filled", "fills"),
    [
        ({"x": "NEW", "X": "NEW", "l": "0", "z": "0", "ap": "0"}, "open", D(0), 0),
        ({"x": "CANCELED", "X": "CANCELED", "l": "0", "z": "0.004"}, "canceled", D("0.004"), 0),
        ({"x": "EXPIRED", "X": "EXPIRED", "l": "0", "z": "0", "er": "2"}, "expired", D(0), 0),
        ({"x": "AMENDMENT", "X": "NEW", "l": "0", "z": "0", "M": "7"}, "open", D(0), 0),
        ({"x": "CALCULATED", "X": "FILLED", "c": "autoclose-123"}, "filled", D("0.010"), 1),
        ({"x": "CALCULATED", "X": "NEW", "l": "0", "z": "0", "c": "autoclose-123"}, "open", D(0), 0),
        ({"x": "CALCULATED", "X": "NEW_ADL", "c": "adl_autoclose"}, "filled", D("0.010"), 1),
        ({"x": "CALCULATED", "X": "NEW_INSURANCE", "z": "0.004", "l": "0.004"}, "partially_filled", D("0.004"), 1),
        ({"x": "NEW", "X": "SUSPENDED", "l": "0", "z": "0"}, "unknown", D(0), 0),
    ],
)
def test_the_words_of_a_futures_order(changes, status, filled, fills):
    order, *more = update(**changes)
    assert (order.status, order.filled, len(more)) == (status, filled, fills)


def test_what_a_futures_order_may_leave_out():
    without = {name: value for name, value in UPDATE.items() if name not in ("n", "N", "ot", "R", "ap", "rp", "ps")}
    order, fill = usdm(e="ORDER_TRADE_UPDATE", E=2, T=1, o=without | {"sp": None})
    assert (order.average, order.reduce_only, order.position_side) == (None, None, None)
    assert (fill.fee, fill.fee_currency, fill.realized_pnl) == (None, None, None)
    order, _ = update(o="LIQUIDATION", ot="LIQUIDATION", ps="SHORT", R=True)
    assert (order.kind, order.position_side, order.reduce_only) == (None, "short", True)


def account(*held, wallets=(), session=None, **more):
    rows = [
        {"s": "BTCUSDT", "pa": size, "ep": entry, "cr": "0", "up": "0.019", "mt": mode, "iw": "0", "ps": side}
        for size, entry, mode, side in held
    ]
    change = {"m": "ORDER", "B": list(wallets), "P": rows} | more
    return say(session or opened(USDM), e="ACCOUNT_UPDATE", E=9, T=8, a=change)


def test_an_account_update_is_wallets_and_positions():
    wallet = {"a": "USDT", "wb": "12260.16138283", "cw": "1", "bc": "0"}
    balance, closed, position, recheck = account(("0.010", "94998.1", "cross", "BOTH"), wallets=[wallet])
    assert balance == Balance("binance", "", 8 * MS, 9 * MS, NOW, "USDT", None, None, D("12260.16138283"), "usdm")
    assert position == Position(
        "binance", U, 8 * MS, 9 * MS, NOW, "long", D("0.01"), D("94998.1"), None, None, D("0.019"), None, "cross", None
    )
    assert (closed.side, closed.size, closed.entry) == ("short", D(0), None)
    assert recheck.channels == ("balances",)


def test_a_hedged_account_tells_each_side():
    said = account(("0", "0.0", "isolated", "LONG"), ("-0.5", "6563.86", "CROSSED", "SHORT"))
    assert [(p.side, p.size, p.entry, p.margin_mode) for p in said] == [
        ("long", D(0), None, "isolated"),
        ("short", D("0.5"), D("6563.86"), "cross"),
    ]


def test_a_position_that_changes_sides_leaves_the_old_one():
    session = opened(USDM)
    told = [
        [(p.side, p.size) for p in account((size, "1.0", "cross", "BOTH"), session=session)]
        for size in ("1", "2", "-1", "0", "0", "3")
    ]
    assert told == [
        [("short", 0), ("long", 1)],
        [("long", 2)],
        [("long", 0), ("short", 1)],
        [("short", 0)],
        [],
        [("long", 3)],
    ]


def test_a_position_closed_before_anything_was_told_is_closed_on_both_sides():
    assert {(p.side, p.size) for p in account(("0", "0.0", "cross", "BOTH"))} == {("long", 0), ("short", 0)}


ALGO = {
    "caid": "k7-a-1",
    "aid": 2146760,
    "at": "CONDITIONAL",
    "o": "STOP_MARKET",
    "s": "BTCUSDT",
    "S": "SELL",
    "ps": "BOTH",
    "f": "GTC",
    "q": "0.010",
    "X": "NEW",
    "ai": "",
    "tp": "93000.00",
    "p": "0",
    "R": True,
    "tt": 0,
    "gtd": 0,
}


@pytest.mark.parametrize(
    ("changes", "status", "filled", "average"),
    [
        ({}, "open", None, None),
        ({"X": "TRIGGERING"}, "open", None, None),
        ({"X": "TRIGGERED", "ai": "88", "aq": "0.00000", "ap": "0.00000"}, "open", D(0), None),
        ({"X": "CANCELED"}, "canceled", None, None),
        ({"X": "REJECTED", "rm": "margin not enough"}, "rejected", None, None),
        ({"X": "EXPIRED"}, "expired", None, None),
        ({"X": "FINISHED", "ai": "88", "aq": "0.010", "ap": "92990.5"}, "filled", D("0.01"), D("92990.5")),
        ({"X": "FINISHED", "ai": "88", "aq": "0.004", "ap": "92990.5"}, "canceled", D("0.004"), D("92990.5")),
        ({"X": "ODD"}, "unknown", None, None),
    ],
)
def test_a_conditional_order(changes, status, filled, average):
    (order,) = usdm(e="ALGO_UPDATE", E=1793923300303, T=1793923300297, o=ALGO | changes)
    assert (order.id, order.client_id, order.kind, order.trigger) == ("2146760", "k7-a-1", "stop", D(93000))
    assert (order.status, order.filled, order.average) == (status, filled, average)
    assert (order.ts_event, order.ts_sent) == (1793923300297 * MS, 1793923300303 * MS)
    assert (order.origin, order.reduce_only, order.raw_status) == ("stream", True, changes.get("X", "NEW"))


def test_other_events_of_futures():
    (closing,) = usdm(e="listenKeyExpired", E=1793926800556, listenKey="Qm7tZk2pV9")
    assert isinstance(closing, Closing)
    assert not closing.rotate
    assert "Qm7" not in closing.text
    (recheck,) = usdm(e="ACCOUNT_CONFIG_UPDATE", E=9, T=8, ac={"s": "BTCUSDT", "l": 25})
    assert "positions" in recheck.channels
    (recheck,) = usdm(e="ACCOUNT_CONFIG_UPDATE", E=9, T=8, ai={"j": True})
    assert recheck.channels == ("balances",)
    (unmapped,) = usdm(e="TRADE_LITE", E=9, T=8, s="BTCUSDT", t=7120040001)
    assert unmapped == Unmapped("TRADE_LITE")
    for name in ("MARGIN_CALL", "CONDITIONAL_ORDER_TRIGGER_REJECT", "STRATEGY_UPDATE", "GRID_UPDATE"):
        assert usdm(e=name, E=9) == [Unmapped(name)]


def test_the_envelope_of_combined_streams():
    data = {"e": "ORDER_TRADE_UPDATE", "E": 2, "T": 1, "o": UPDATE}
    order, fill = say(opened(USDM), stream="Qm7tZk2pV9", data=data)
    assert (order.id, fill.id) == ("8801123311", "7120040001")
    assert say(opened(USDM), result=None, id=1) == []


@pytest.mark.parametrize("market", [SPOT, USDM])
@pytest.mark.parametrize(
    "frame", ["", "[]", "{}", "nonsense", '{"e":5}', b"\xff{}", '{"stream":"x","data":{}}', '{"event":{"a":1}}']
)
def test_what_cannot_be_understood_is_a_wire_error_and_the_session_goes_on(market, frame):
    session = opened(market)
    with pytest.raises(WireError):
        session.on_frame(frame, NOW)
    if market is USDM:
        assert session.on_frame(json.dumps({"e": "GRID_UPDATE"}), NOW) == (Unmapped("GRID_UPDATE"),)
    else:
        assert session.on_frame(json.dumps({"e": "gridUpdate"}), NOW) == (Unmapped("gridUpdate"),)


@pytest.mark.parametrize(
    "changes", [{"q": "nan"}, {"q": None}, {"S": "HOLD"}, {"T": -1}, {"z": "1e5"}, {"i": "x"}, {"s": ""}]
)
def test_a_spoilt_execution_is_a_wire_error(changes):
    with pytest.raises(WireError, match="executionReport"):
        spot(**REPORT | changes)
    with pytest.raises(WireError, match="ORDER_TRADE_UPDATE"):
        update(**changes)


def test_sessions_do_not_show_secrets():
    assert K_SPOT not in repr(opened(SPOT))
    assert S_SPOT not in f"{opened(SPOT)!r}{opened(SPOT).outbox}"
