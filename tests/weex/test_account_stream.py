"""The private stream: its handshake, when it is ready, and what each message of the venue's sheet says."""

from __future__ import annotations

import json
import random
from decimal import Decimal
from typing import Any

import pytest

from tests.weex.support import CONTRACT, EXAMPLES, MS, RECV, SPOT, ack, example, frame, refuse
from tests.weex.test_bad_input import mutated
from tests.weex.test_signing import CREDENTIALS, TS, VECTORS
from unitape.errors import ConfigError, WireError
from unitape.spi import Closing, Credentials, Instruments, Ready, Recheck, Refused, Streaming, TradingSettings, Unmapped
from unitape_schemas import Balance, Fill, Order, Position

D = Decimal
SECOND = 1_000_000_000
S, P = "BTC/USDT", "BTC/USDT:USDT"
MARKETS = {"spot": SPOT, "contract": CONTRACT}
both = pytest.mark.parametrize("name", ["spot", "contract"])


def stream(name: str) -> Any:
    market = MARKETS[name]
    assert isinstance(market, Streaming)
    return market.account_stream(Instruments(market.catalogue), TradingSettings())


def connected(name: str) -> Any:
    session = stream(name).session()
    session.on_open(CREDENTIALS, TS)
    session.outbox.clear()
    return session


def said(name: str, payload: Any, session: Any = None) -> list[Any]:
    data = payload if isinstance(payload, bytes) else frame(payload)
    return list((session or connected(name)).on_frame(data, RECV))


def changed(case: str, **fields: Any) -> Any:
    """An example of the sheet, with some fields of its only row changed."""
    message = json.loads(json.dumps(EXAMPLES[case]))
    message["d"][0].update(fields)
    return message


# The connection ------------------------------------------------------------------------------------------------------


@both
def test_the_handshake_is_the_vector_of_the_sheet(name: str) -> None:
    (vector,) = [row for row in VECTORS["vectors"] if row["name"] == "WS V3 private handshake"]
    dial = stream(name).dial(MARKETS[name].endpoints["live"], None, CREDENTIALS, TS + 999_999)
    assert dial.url == f"wss://ws-{name}.weex.com/v3/ws/private"
    assert dict(dial.headers) == {
        "ACCESS-KEY": VECTORS["access_key"],
        "ACCESS-SIGN": vector["access_sign"],
        "ACCESS-TIMESTAMP": VECTORS["timestamp"],
        "ACCESS-PASSPHRASE": VECTORS["passphrase"],
    }
    elsewhere = MARKETS[name].endpoints["live"].at("http://127.0.0.1:1", "ws://127.0.0.1:1/prefix")
    assert stream(name).dial(elsewhere, None, CREDENTIALS, TS).url == "ws://127.0.0.1:1/prefix/v3/ws/private"


def test_there_is_no_listen_key_and_a_key_without_a_passphrase_cannot_sign() -> None:
    made = stream("spot")
    assert (made.open_key(), made.keep_key("x"), made.spec.keep_every) == (None, None, None)
    with pytest.raises(ConfigError, match="passphrase"):
        made.dial(SPOT.endpoints["live"], None, Credentials("k", "s"), TS)


@pytest.mark.parametrize(
    ("name", "native", "channels"),
    [
        ("spot", ["orders", "fill", "account"], ("orders", "fills", "balances")),
        ("contract", ["orders", "fill", "account", "positions"], ("orders", "fills", "balances", "positions")),
    ],
)
def test_one_message_subscribes_to_everything(name: str, native: list[str], channels: tuple[str, ...]) -> None:
    made = stream(name)
    assert made.spec.channels == channels
    assert made.spec.route in MARKETS[name].endpoints["live"].ws
    session = made.session()
    session.on_open(CREDENTIALS, TS)
    (sent,) = session.outbox
    assert json.loads(sent) == {"method": "SUBSCRIBE", "params": native, "id": 1}


@both
def test_it_is_ready_when_the_venue_says_so_and_only_once(name: str) -> None:
    session = connected(name)
    assert said(name, {"cid": "a", "event": "connected", "time": "1795000000123"}, session) == []
    (ready,) = said(name, ack("1"), session)
    assert isinstance(ready, Ready)
    assert said(name, ack(1), session) == []
    assert session.on_tick(0) == ()
    assert session.on_tick(100 * SECOND) == ()


@both
def test_silence_counts_as_acceptance_three_seconds_after_the_first_tick(name: str) -> None:
    made = stream(name)
    session = made.session()
    assert session.on_tick(5 * SECOND) == ()
    session.on_open(CREDENTIALS, TS)
    assert session.on_tick(70 * SECOND) == ()
    assert session.on_tick(72_999_999_999) == ()
    (ready,) = session.on_tick(73 * SECOND)
    assert isinstance(ready, Ready)
    assert made.spec.confirm_within > 3.0
    assert session.on_tick(80 * SECOND) == ()
    assert said(name, ack(1), session) == []


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("INVALID_ARGUMENT: invalid event : orders", None),
        ("UNAUTHENTICATED: signature check failed", "auth"),
        ("PERMISSION_DENIED", "auth"),
    ],
)
def test_a_refusal_is_told_in_the_venues_words_and_never_becomes_ready(text: str, code: str | None) -> None:
    session = connected("contract")
    (refused,) = said("contract", refuse(1, text), session)
    assert (type(refused), refused.subscriptions, refused.text, refused.code) == (Refused, None, text, code)
    assert session.on_tick(0) == ()
    assert session.on_tick(60 * SECOND) == ()
    (nameless,) = said("contract", {"result": False, "msg": text})
    assert isinstance(nameless, Refused)


@both
def test_pings_of_both_spellings_are_answered(name: str) -> None:
    session = connected(name)
    assert said(name, example("ws.private.ping"), session) == []
    assert said(name, {"event": "ping", "time": "1795000020000"}, session) == []
    pongs = [json.loads(message) for message in session.outbox]
    assert [pong["method"] for pong in pongs] == ["PONG", "PONG"]
    assert len({pong["id"] for pong in pongs} | {1}) == 3, "no number is used twice"
    assert said(name, {"id": str(pongs[0]["id"]), "method": "PONG"}, session) == []
    assert said(name, ack(pongs[0]["id"]), session) == []
    assert not any(isinstance(output, Ready | Closing) for output in session.on_tick(0))


# What the examples say -----------------------------------------------------------------------------------------------


def test_a_contract_order() -> None:
    (order,) = said("contract", EXAMPLES["ws.private.contract.orders"])
    assert order == Order(
        "weex", P, 1795000012920 * MS, 1795000012939 * MS, RECV,
        id="745001234567890123", client_id="demo-0001", side="buy", kind="limit", tif="gtc", price=D(91000),
        trigger=None, size=D("0.01"), filled=D(0), average=None, status="open", reduce_only=False,
        position_side="long", ts_created=1795000012920 * MS, ts_updated=1795000012920 * MS, origin="stream",
        raw_status="PENDING",
    )  # fmt: skip


def test_a_spot_order() -> None:
    (order,) = said("spot", EXAMPLES["ws.private.spot.orders"])
    assert order == Order(
        "weex", S, 1795000013931 * MS, 1795000013939 * MS, RECV,
        id="745001234567890900", client_id="demo-0002", side="buy", kind="limit", tif="gtc", price=D(91200),
        trigger=None, size=D("0.001"), filled=D("0.001"), average=D("91190.5"), status="filled", reduce_only=None,
        position_side=None, ts_created=1795000013900 * MS, ts_updated=1795000013931 * MS, origin="stream",
        raw_status="FILLED",
    )  # fmt: skip


def test_fills_of_both_markets() -> None:
    (fill,) = said("contract", EXAMPLES["ws.private.contract.fill"])
    assert fill == Fill(
        "weex", P, 1795000014150 * MS, 1795000014154 * MS, RECV,
        id="745001234599900482", order_id="745001234567890123", client_id=None, side="buy", price=D(91000),
        size=D("0.01"), fee=D("0.182"), fee_currency="USDT", liquidity="maker", realized_pnl=D(0), origin="stream",
    )  # fmt: skip
    (fill,) = said("spot", EXAMPLES["ws.private.spot.fill"])
    assert fill == Fill(
        "weex", S, 1795000013930 * MS, 1795000013941 * MS, RECV,
        id="9011204477", order_id="745001234567890900", client_id=None, side="buy", price=D("91190.5"),
        size=D("0.001"), fee=D("0.000001"), fee_currency="BTC", liquidity="taker", realized_pnl=None, origin="stream",
    )  # fmt: skip
    (sold,) = said("spot", changed("ws.private.spot.fill", orderSide="SELL"))
    assert (sold.side, sold.fee_currency) == ("sell", "USDT")


def test_a_price_is_value_over_size_to_twenty_digits() -> None:
    (fill,) = said("contract", changed("ws.private.contract.fill", fillSize="0.3", fillValue="100.000000"))
    assert fill.price == D("333.33333333333333333")
    (fill,) = said("contract", changed("ws.private.contract.fill", fillSize="0.0007", fillValue="63.82635"))
    assert fill.price == D("91180.5")


def test_a_spot_balance() -> None:
    (balance,) = said("spot", EXAMPLES["ws.private.spot.account"])
    assert balance == Balance(
        "weex", "", 0, 1795000010123 * MS, RECV,
        currency="USDT", free=D("980.5"), locked=D(230), total=D("1210.5"), market="spot",
    )  # fmt: skip


def test_the_margin_account_is_a_reason_to_ask_for_balances() -> None:
    assert said("contract", EXAMPLES["ws.private.contract.account"]) == [
        Recheck(("balances",), "PositionFundingSettle")
    ]


def test_a_position_and_its_end() -> None:
    (position,) = said("contract", EXAMPLES["ws.private.contract.positions"])
    assert position == Position(
        "weex", P, 1795000014150 * MS, 1795000014160 * MS, RECV,
        side="long", size=D("0.01"), entry=D(91000), mark=None, liquidation=None, unrealized_pnl=None,
        leverage=D(20), margin_mode="cross", margin=None,
    )  # fmt: skip
    (closed,) = said("contract", changed("ws.private.contract.positions", size="0", openValue="0"))
    assert (closed.side, closed.size, closed.entry) == ("long", D(0), None)


@pytest.mark.parametrize("fields", [{"side": "UNKNOWN"}, {"separatedMode": "SEPARATED"}])
def test_a_position_that_one_message_does_not_tell_is_asked_for(fields: dict[str, str]) -> None:
    (recheck,) = said("contract", changed("ws.private.contract.positions", **fields))
    assert (type(recheck), recheck.channels) == (Recheck, ("positions",))


@pytest.mark.parametrize(
    ("word", "filled", "status"),
    [
        ("NEW", "0", "open"),
        ("PENDING", "0", "open"),
        ("UNTRIGGERED", "0", "open"),
        ("CANCELING", "0", "open"),
        ("NEW", "0.0040", "partially_filled"),
        ("PENDING", "0.0040", "partially_filled"),
        ("PARTIALLY_FILLED", "0.0040", "partially_filled"),
        ("partial_fill", "0.0040", "partially_filled"),
        ("FILLED", "0.0100", "filled"),
        ("FULL_FILL", "0.0100", "filled"),
        ("CANCELED", "0.0040", "canceled"),
        ("Cancelled", "0", "canceled"),
        ("EXPIRED", "0", "expired"),
        ("REJECTED", "0", "rejected"),
        ("SOMETHING_NEW", "0", "unknown"),
    ],
)
@both
def test_statuses(name: str, word: str, filled: str, status: str) -> None:
    size = "0.0100" if name == "contract" else "0.010000"
    value = str(D(filled) * D("90500.5"))
    row = changed(f"ws.private.{name}.orders", status=word, size=size, cumFillSize=filled, cumFillValue=value)
    (order,) = said(name, row)
    assert (order.status, order.raw_status, order.filled) == (status, word, D(filled))
    assert order.average == (D("90500.5") if D(filled) else None)


def test_a_market_buy_by_value_has_no_size_but_fills() -> None:
    row = changed(
        "ws.private.spot.orders",
        type="MARKET", timeInForce="IOC", price="0", size="0", value="100", cumFillSize="0.5", cumFillValue="99.5",
    )  # fmt: skip
    (order,) = said("spot", row)
    assert (order.kind, order.tif, order.price, order.size, order.filled, order.average) == (
        "market", None, None, None, D("0.5"), D(199),
    )  # fmt: skip


def test_conditional_orders_tell_no_fills_of_their_own() -> None:
    stop = {"type": "STOP_MARKET", "triggerPrice": "89500.0", "price": "0", "positionSide": "LONG", "orderSide": "SELL"}
    case = "ws.private.contract.orders"
    (waiting,) = said("contract", changed(case, status="UNTRIGGERED", reduceOnly=True, **stop))
    assert (waiting.kind, waiting.trigger, waiting.price, waiting.status, waiting.filled, waiting.reduce_only) == (
        "stop", D(89500), None, "open", None, True,
    )  # fmt: skip
    (struck,) = said("contract", changed(case, status="TRIGGERED", **stop))
    assert (struck.status, struck.raw_status, struck.filled) == ("unknown", "TRIGGERED", None)
    (done,) = said("contract", changed(case, status="FILLED", **stop))
    assert (done.status, done.filled, done.average) == ("filled", D("0.01"), None)
    told = changed(case, status="FILLED", cumFillSize="0.0100", cumFillValue="894.9", **stop)
    (filled,) = said("contract", told)
    assert (filled.kind, filled.filled, filled.average) == ("stop", D("0.01"), D(89490))
    (odd,) = said("contract", changed(case, type="TRAILING_STOP_MARKET"))
    assert odd.kind is None
    (web,) = said("spot", changed("ws.private.spot.orders", type="TAKE_PROFIT", triggerPrice="95000"))
    assert (web.kind, web.trigger) == ("take_profit_limit", D(95000))


# Versions ------------------------------------------------------------------------------------------------------------


def versioned(case: str, version: int, **fields: Any) -> Any:
    return changed(case, **fields) | {"v": version}


def test_an_older_version_is_asked_for_instead_of_used() -> None:
    session = connected("spot")
    case = "ws.private.spot.account"
    (now,) = said("spot", versioned(case, 700, available="5"), session)
    (late,) = said("spot", versioned(case, 699, available="4"), session)
    (same,) = said("spot", versioned(case, 700, available="6", coin="BTC"), session)
    (order,) = said("spot", versioned("ws.private.spot.orders", 650), session)
    assert (now.free, same.free, order.status) == (D(5), D(6), "filled"), "each channel counts by itself"
    assert (type(late), late.channels) == (Recheck, ("balances",))
    (stale,) = said("spot", versioned("ws.private.spot.orders", 649), session)
    assert (type(stale), stale.channels) == (Recheck, ("orders",))
    assert isinstance(said("spot", versioned(case, 1))[0], Balance), "a new connection starts anew"


def test_executions_pass_in_any_order() -> None:
    session = connected("contract")
    case = "ws.private.contract.fill"
    fills = [said("contract", versioned(case, version, id=str(version)), session)[0] for version in (9, 7, 8, 9)]
    assert [fill.id for fill in fills] == ["9", "7", "8", "9"]


# What cannot be read -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "payload"),
    [
        ("contract", b"{"),
        ("contract", b"\xff\xfe"),
        ("contract", b"[]"),
        ("contract", b"{}"),
        ("contract", {"e": "orders", "E": 1, "v": 1, "d": {}}),
        ("contract", changed("ws.private.contract.orders", orderSide="BOTH")),
        ("contract", changed("ws.private.contract.orders", size="nan")),
        ("contract", changed("ws.private.contract.orders", id="")),
        ("contract", changed("ws.private.contract.fill", fillSize="0")),
        ("contract", changed("ws.private.contract.fill", fillValue="1e30")),
        ("contract", changed("ws.private.contract.positions", size="-0.01")),
        ("spot", changed("ws.private.spot.account", frozen="Infinity")),
    ],
)
def test_bad_messages_are_wire_errors_and_the_session_goes_on(name: str, payload: Any) -> None:
    session = connected(name)
    with pytest.raises(WireError):
        said(name, payload, session)
    (order,) = said(name, EXAMPLES[f"ws.private.{name}.orders"], session)
    assert isinstance(order, Order)


def test_a_message_that_fails_does_not_move_the_version() -> None:
    session = connected("contract")
    with pytest.raises(WireError):
        said("contract", versioned("ws.private.contract.orders", 900, size="-Infinity"), session)
    assert isinstance(said("contract", versioned("ws.private.contract.orders", 5), session)[0], Order)


def test_what_the_contract_has_no_event_for_is_named() -> None:
    assert said("spot", EXAMPLES["ws.private.contract.positions"]) == [Unmapped("positions")]
    assert said("contract", {"e": "borrow", "E": 1, "d": []}) == [Unmapped("borrow")]


SEED = 20261121
PRIVATE = [name for name in EXAMPLES if name.startswith("ws.private.")]


def numbers(output: Any) -> list[Decimal]:
    return [value for name in output.__struct_fields__ if isinstance(value := getattr(output, name), Decimal)]


@both
def test_whatever_comes_in_only_wire_errors_come_out(name: str) -> None:
    rng = random.Random(SEED)
    corpus = [example(case) for case in PRIVATE]
    session, read = connected(name), 0
    for turn in range(4_000):
        data = mutated(rng.choice(corpus), rng)
        try:
            outputs = session.on_frame(data, RECV)
        except WireError:
            continue
        for output in outputs:
            assert isinstance(output, Order | Fill | Balance | Position | Recheck | Unmapped | Refused | Ready), data
            if isinstance(output, Order | Fill | Balance | Position):
                read += 1
                assert (output.venue, output.ts_recv) == ("weex", RECV)
                assert all(n.is_finite() and abs(n) < D("1e18") for n in numbers(output)), f"turn {turn}: {data!r}"
                assert all(n.as_tuple().exponent <= 0 for n in numbers(output)), f"turn {turn}: {data!r}"
        session.outbox.clear()
    assert read > 200, f"seed {SEED}: only {read} events were made"
