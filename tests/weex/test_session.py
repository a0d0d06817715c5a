"""What a connection does: asking, answers, pings, history, chains, limits."""

from __future__ import annotations

import json

import pytest

from tests.weex.support import CONTRACT, RECV, SPOT, ack, example, frame, opened, refuse, taken
from unitape.errors import ConfigError, Unsupported, WireError
from unitape.spi import Closing, Confirmed, DepthUpdate, Fit, Refused, Unmapped
from unitape_schemas import Candle, MarkPrice, Quote, Subscription, Ticker, Trade
from unitape_weex import Settings, contract, spot

SECOND = 1_000_000_000
BTC, ETH = "BTC/USDT:USDT", "ETH/USDT:USDT"
TRADES = Subscription("trades", BTC)
BOOK = Subscription("book", BTC)


def depth(kind: str, first: int, last: int, symbol: str = "BTCUSDT", level: int = 200) -> bytes:
    word = "SNAPSHOT" if kind == "depthSnapshot" else "CHANGED"
    return frame({"e": kind, "E": 1, "s": symbol, "U": first, "u": last, "l": level, "d": word, "b": [["1", "2"]]})


def trades(kind: str, *rows: tuple[int, str], symbol: str = "BTCUSDT") -> bytes:
    return frame(
        {"e": kind, "E": 9, "s": symbol, "d": [{"T": t, "t": i, "p": "2", "q": "3", "m": True} for t, i in rows]}
    )


def ids(outputs: object) -> list[str | None]:
    return [output.id for output in outputs if isinstance(output, Trade)]  # type: ignore[attr-defined]


def test_subscribing_names_the_native_streams_and_the_answer_confirms() -> None:
    session = opened(CONTRACT)
    assert session.outbox == []
    wanted = [
        TRADES,
        BOOK,
        Subscription("book", ETH, depth=15),
        Subscription("ticker", BTC),
        Subscription("candles", BTC, interval="1M"),
    ]
    session.subscribe(wanted)
    assert taken(session) == [
        {
            "method": "SUBSCRIBE",
            "params": [
                "BTCUSDT@trade",
                "BTCUSDT@depth200",
                "ETHUSDT@depth15",
                "BTCUSDT@ticker",
                "BTCUSDT@kline_1M_LAST_PRICE",
            ],
            "id": 1,
        }
    ]
    assert session.on_frame(ack(1), RECV) == (Confirmed(tuple(wanted), raw='{"result":true,"id":1}'),)
    assert list(session.streams) == wanted


def test_a_numeric_id_may_come_back_as_text() -> None:
    session = opened(CONTRACT, TRADES)
    (confirmed,) = session.on_frame(ack("1"), RECV)
    assert isinstance(confirmed, Confirmed)


def test_quotes_are_spot_only_and_top_is_nowhere() -> None:
    with pytest.raises(Unsupported, match="book's best prices"):
        opened(CONTRACT).subscribe([Subscription("quotes", BTC)])
    with pytest.raises(Unsupported, match="depth 15"):
        opened(SPOT).subscribe([Subscription("top", "BTC/USDT")])
    with pytest.raises(Unsupported, match="15 or 200"):
        opened(SPOT).subscribe([Subscription("book", "BTC/USDT", depth=20)])
    with pytest.raises(Unsupported, match="no candles of 3m"):
        opened(SPOT).subscribe([Subscription("candles", "BTC/USDT", interval="3m")])
    with pytest.raises(ConfigError, match="polled"):
        opened(CONTRACT).subscribe([Subscription("funding", BTC)])
    with pytest.raises(ConfigError, match="no instrument"):
        opened(SPOT).subscribe([Subscription("trades", "NOPE/USDT")])


def test_a_failed_subscribe_sends_nothing() -> None:
    session = opened(SPOT)
    with pytest.raises(ConfigError):
        session.subscribe([Subscription("trades", "BTC/USDT"), Subscription("trades", "NOPE/USDT")])
    assert session.outbox == []
    assert session.streams == {}


def test_both_pings_are_answered_and_counted() -> None:
    session = opened(CONTRACT, TRADES)
    assert session.on_frame(example("ws.greeting"), RECV) == ()
    assert session.on_frame(example("ws.public.ping"), RECV) == ()
    assert session.on_frame(example("ws.private.ping"), RECV) == ()
    pongs = taken(session)
    assert [pong["method"] for pong in pongs] == ["PONG", "PONG"]
    assert len({pong["id"] for pong in pongs} | {1}) == 3, "each message has its own number"
    for answer in (ack(pongs[0]["id"]), frame({"id": str(pongs[1]["id"]), "method": "PONG"})):
        assert session.on_frame(answer, RECV) == ()
    assert session.outbox == []


def test_trades_come_out_once_by_time_and_history_is_no_news() -> None:
    session = opened(CONTRACT, TRADES)
    assert ids(session.on_frame(trades("tradeSnapshot", (5, "e"), (4, "d")), RECV)) == []
    assert session.streams[TRADES].touched == RECV
    assert ids(session.on_frame(trades("trade", (7, "g"), (5, "e"), (6, "f")), RECV)) == ["f", "g"]
    assert ids(session.on_frame(trades("trade", (8, "h"), (7, "g")), RECV)) == ["h"]
    again = trades("tradeSnapshot", (10, "j"), (9, "i"), (8, "h"))
    assert ids(session.on_frame(again, RECV)) == ["i", "j"], "a later history holds what was missed"
    assert ids(session.on_frame(trades("trade", (9, "i")), RECV)) == []


def test_with_emit_history_the_first_one_comes_out_too() -> None:
    session = opened(contract(Settings(emit_history=True)), TRADES)
    history = trades("tradeSnapshot", (5, "e"), (5, "d2"), (4, "d"))
    assert ids(session.on_frame(history, RECV)) == ["d", "d2", "e"]
    assert ids(session.on_frame(trades("trade", (6, "f"), (5, "e")), RECV)) == ["f"]


@pytest.mark.parametrize("records", [1, 3])
def test_the_memory_for_trade_ids_is_bounded_and_long_enough(records: int) -> None:
    session = opened(CONTRACT, TRADES)
    for number in range(0, 10_000, records):
        rows = [(n, str(n)) for n in range(number, number + records)]
        assert ids(session.on_frame(trades("trade", *rows), RECV)) == [id_ for _, id_ in rows]
        back = max(0, number - 1000)
        old = [(n, str(n)) for n in range(back, back + records)]
        assert ids(session.on_frame(trades("trade", *old), RECV)) == []
    stream = session._native.by_native["BTCUSDT@trade"]
    assert len(stream.recent) + len(stream.older) <= 2 * (1024 + records)


def test_what_is_not_subscribed_does_not_come_out() -> None:
    session = opened(CONTRACT, TRADES)
    assert list(session.on_frame(trades("trade", (1, "a"), symbol="ETHUSDT"), RECV)) == []
    assert list(session.on_frame(example("ws.contract.ticker"), RECV)) == []
    session.unsubscribe([TRADES])
    assert taken(session) == [{"method": "UNSUBSCRIBE", "params": ["BTCUSDT@trade"], "id": 2}]
    assert list(session.on_frame(trades("trade", (2, "b")), RECV)) == []
    assert session.on_frame(ack(2), RECV) == ()
    assert session.streams == {}


def test_ticker_and_mark_price_share_one_stream() -> None:
    ticker, mark = Subscription("ticker", BTC), Subscription("mark_price", BTC)
    session = opened(CONTRACT, mark)
    (event,) = session.on_frame(example("ws.contract.ticker"), RECV)
    assert isinstance(event, MarkPrice)
    session.subscribe([ticker])
    assert [message["params"] for message in taken(session)] == [["BTCUSDT@ticker"]]
    assert {type(e) for e in session.on_frame(example("ws.contract.ticker"), RECV + 1)} == {Ticker, MarkPrice}
    assert session.streams[mark].touched == session.streams[ticker].touched == RECV + 1
    session.unsubscribe([mark])
    assert session.outbox == [], "the ticker still needs the stream"
    (event,) = session.on_frame(example("ws.contract.ticker"), RECV)
    assert isinstance(event, Ticker)
    session.unsubscribe([ticker])
    assert [message["params"] for message in taken(session)] == [["BTCUSDT@ticker"]]


def test_a_ticker_without_mark_leaves_the_mark_subscription_silent() -> None:
    ticker, mark = Subscription("ticker", ETH), Subscription("mark_price", ETH)
    session = opened(CONTRACT, ticker, mark)
    (event,) = session.on_frame(example("ws.spot.ticker"), RECV)
    assert isinstance(event, Ticker)
    assert (session.streams[ticker].touched, session.streams[mark].touched) == (RECV, 0)


def test_quotes_on_spot() -> None:
    session = opened(SPOT, Subscription("quotes", "ETH/USDT"))
    (quote,) = session.on_frame(example("ws.spot.bookTicker"), RECV)
    assert isinstance(quote, Quote)
    assert quote.ask == 3066.95


def test_only_the_open_candle_of_the_history_passes() -> None:
    candles = Subscription("candles", "ETH/USDT", interval="1m")
    session = opened(SPOT, candles)
    (candle,) = session.on_frame(example("ws.spot.klineSnapshot"), RECV)
    assert isinstance(candle, Candle)
    assert (candle.ts_open, candle.closed, candle.close) == (1794999960000000000, False, 3066.95)
    session = opened(spot(Settings(chain="auto", emit_history=True)), candles)
    both = session.on_frame(example("ws.spot.klineSnapshot"), RECV)
    assert [(c.close, c.closed) for c in both if isinstance(c, Candle)] == [(3066.4, True), (3066.95, False)]


def test_changes_before_the_image_are_dropped() -> None:
    session = opened(CONTRACT, BOOK)
    assert list(session.on_frame(depth("depth", 5, 9), RECV)) == []
    assert session.streams[BOOK].touched == 0
    (image,) = session.on_frame(depth("depthSnapshot", 5, 9), RECV)
    assert isinstance(image, DepthUpdate)
    assert (image.snapshot, image.depth, image.seq) == (True, 200, 9)
    (change,) = session.on_frame(depth("depth", 9, 12), RECV)
    assert isinstance(change, DepthUpdate)
    assert (change.snapshot, change.prev_seq, change.seq) == (False, 9, 12)


def test_the_two_depths_of_one_symbol_are_two_streams() -> None:
    deep, shallow = BOOK, Subscription("book", BTC, depth=15)
    session = opened(CONTRACT, deep, shallow)
    session.on_frame(depth("depthSnapshot", 5, 9), RECV)
    assert list(session.on_frame(depth("depth", 9, 12, level=15), RECV)) == []
    assert (session.streams[deep].touched, session.streams[shallow].touched) == (RECV, 0)


@pytest.mark.parametrize(
    ("chain", "second", "third"),
    [
        ("auto", (9, 12), (12, 15)),
        ("auto", (10, 12), (13, 15)),
        ("next", (10, 12), (13, 15)),
        ("equal", (9, 12), (12, 15)),
    ],
)
def test_the_spot_chain_is_settled_by_the_first_change(
    chain: str, second: tuple[int, int], third: tuple[int, int]
) -> None:
    market = spot(Settings(chain=chain))  # type: ignore[arg-type]
    session = opened(market, Subscription("book", "BTC/USDT"))
    rule = market.book_rule
    updates = [
        session.on_frame(message, RECV)[0]
        for message in (depth("depthSnapshot", 1, 9), depth("depth", *second), depth("depth", *third))
    ]
    image, one, two = (u for u in updates if isinstance(u, DepthUpdate))
    assert rule.join(image.seq, one) is Fit.APPLY
    assert rule.follow(one, two) is Fit.APPLY
    for first in (14, 17):
        (later,) = session.on_frame(depth("depth", first, 20), RECV)
        assert isinstance(later, DepthUpdate)
        assert rule.follow(two, later) is Fit.GAP


def test_once_settled_the_other_chain_is_a_gap_until_the_next_image() -> None:
    session = opened(SPOT, Subscription("book", "BTC/USDT"))
    rule = SPOT.book_rule

    def update(kind: str, first: int, last: int) -> DepthUpdate:
        (output,) = session.on_frame(depth(kind, first, last), RECV)
        assert isinstance(output, DepthUpdate)
        return output

    image = update("depthSnapshot", 1, 9)
    one = update("depth", 9, 12)
    assert rule.join(image.seq, one) is Fit.APPLY
    assert rule.follow(one, update("depth", 13, 15)) is Fit.GAP, "one id is missing"
    image = update("depthSnapshot", 1, 20)
    assert rule.join(image.seq, update("depth", 21, 25)) is Fit.APPLY


def test_book_rule_by_hand() -> None:
    rule = CONTRACT.book_rule

    def change(previous: int | None, first: int, last: int) -> DepthUpdate:
        return DepthUpdate("weex", BTC, 0, 0, 0, (), (), first, last, previous)

    last = change(90, 90, 100)
    cases = [
        (change(100, 100, 110), Fit.APPLY),
        (change(100, 100, 100), Fit.APPLY),
        (change(101, 101, 110), Fit.GAP),
        (change(99, 99, 110), Fit.GAP),
        (change(90, 90, 100), Fit.STALE),
        (change(80, 80, 99), Fit.STALE),
        (change(None, 101, 110), Fit.APPLY),
        (change(None, 102, 110), Fit.GAP),
    ]
    for update, fit in cases:
        assert rule.follow(last, update) is fit, update
        assert rule.join(100, update) is fit, update
    assert (rule.snapshot, rule.keep) == ("stream", 200)


def test_asking_again_for_an_active_one_asks_the_venue_again() -> None:
    session = opened(CONTRACT, BOOK)
    session.on_frame(ack(1), RECV)
    session.subscribe([BOOK])
    assert [message["params"] for message in taken(session)] == [["BTCUSDT@depth200"]]


def symbols(count: int) -> list[Subscription]:
    bases = ("BTC", "ETH", "SOL", "XRP", "DOGE", "BNB", "ADA", "LTC")
    channels = ("trades", "ticker", "book")
    return [Subscription(c, f"{b}/USDT:USDT") for c in channels for b in bases][:count]  # type: ignore[arg-type]


def test_long_lists_go_out_in_parts_and_no_more_than_refusals_are_left() -> None:
    session = opened(CONTRACT)
    session.subscribe([Subscription("candles", BTC, interval=i) for i in CONTRACT.channels["candles"].intervals])
    session.subscribe(symbols(24))
    sizes = [len(message["params"]) for message in taken(session)]
    assert sizes == [9, 4, 9, 9, 6]
    session.subscribe([Subscription("book", BTC, depth=15)])
    assert session.outbox == [], "a sixth refusal would close the connection"
    session.on_frame(ack(1), RECV)
    assert [message["params"] for message in taken(session)] == [["BTCUSDT@depth15"]]


def test_a_named_culprit_is_refused_and_the_others_are_asked_again() -> None:
    wanted = symbols(3)
    session = opened(CONTRACT, *wanted)
    words = "INVALID_ARGUMENT: invalid symbol : cmt_ethusdt"
    (refused,) = session.on_frame(refuse(1, words), RECV)
    assert isinstance(refused, Refused)
    assert refused.subscriptions == (wanted[1],)
    assert refused.text == "INVALID_ARGUMENT: invalid symbol : ETHUSDT"
    assert json.loads(refused.raw)["msg"] == words
    assert [message["params"] for message in taken(session)] == [["BTCUSDT@trade", "SOLUSDT@trade"]]
    (confirmed,) = session.on_frame(ack(2), RECV)
    assert confirmed == Confirmed((wanted[0], wanted[2]), raw='{"result":true,"id":2}')
    assert wanted[1] not in session.streams


def test_the_spot_gateways_spelling_is_mapped_back() -> None:
    wanted = Subscription("trades", "BTC/USDT")
    session = opened(SPOT, wanted)
    (refused,) = session.on_frame(refuse(1, "INVALID_ARGUMENT: invalid symbol : BTCUSDT_SPBL"), RECV)
    assert isinstance(refused, Refused)
    assert (refused.subscriptions, refused.text) == ((wanted,), "INVALID_ARGUMENT: invalid symbol : BTCUSDT")
    assert session.outbox == []


def test_without_a_culprit_the_streams_are_asked_one_by_one_and_no_refused_one_again() -> None:
    wanted = symbols(4)
    session = opened(CONTRACT, *wanted)
    assert session.on_frame(refuse(1, "INVALID_ARGUMENT: something"), RECV) == ()
    asked = taken(session)
    assert [message["params"] for message in asked] == [
        ["BTCUSDT@trade"],
        ["ETHUSDT@trade"],
        ["SOLUSDT@trade"],
        ["XRPUSDT@trade"],
    ]
    (refused,) = session.on_frame(refuse(asked[2]["id"], "INVALID_ARGUMENT: something"), RECV)
    assert isinstance(refused, Refused)
    assert refused.subscriptions == (wanted[2],)
    for number in (0, 1, 3):
        (confirmed,) = session.on_frame(ack(asked[number]["id"]), RECV)
        assert confirmed == Confirmed((wanted[number],), raw=ack(asked[number]["id"]).decode())
    for second in range(100):
        assert session.on_tick(second * SECOND) == ()
    assert session.outbox == []


def test_the_sixth_refusal_never_happens() -> None:
    """A venue that refuses everything: five refusals, then the connection is left for a new one."""
    session = opened(CONTRACT)
    session.subscribe(symbols(24))
    refusals = 0
    outputs: list[object] = []
    for round_ in range(50):
        for message in taken(session):
            refusals += 1
            outputs += session.on_frame(refuse(message["id"], "INVALID_ARGUMENT: no"), RECV)
        outputs += session.on_tick(round_ * 60 * SECOND)
    assert refusals == 5
    closings = [output for output in outputs if isinstance(output, Closing)]
    assert [closing.rotate for closing in closings] == [True]
    assert "refused" in closings[0].text


def test_a_refusal_without_a_number_counts_too() -> None:
    session = opened(CONTRACT, TRADES)
    words = "INVALID_ARGUMENT: unrecognized message : {}"
    (refused,) = session.on_frame(frame({"result": False, "msg": words}), RECV)
    assert refused == Refused(None, words, raw=frame({"result": False, "msg": words}).decode())


def test_unanswered_requests_do_not_hold_the_others_for_ever() -> None:
    session = opened(CONTRACT)
    session.on_tick(0)
    for subscription in symbols(6):
        session.subscribe([subscription])
    assert len(taken(session)) == 5
    session.on_tick(5 * SECOND)
    assert session.outbox == []
    session.on_tick(9 * SECOND)
    assert len(taken(session)) == 1


def test_requests_that_nobody_answers_do_not_pile_up_over_the_months() -> None:
    session = opened(CONTRACT)
    for minute in range(40 * 24 * 60):
        session.on_tick(minute * 60 * SECOND)
        if minute % 20 == 0:
            session.subscribe([TRADES])
            session.unsubscribe([TRADES])
            session.outbox.clear()
    assert len(session._asking._asked) <= 2 * 4, "those of the last hour"
    session.subscribe([TRADES])
    (asked,) = taken(session)
    session.on_tick((minute * 60 + 3000) * SECOND)
    (confirmed,) = session.on_frame(ack(asked["id"]), RECV)
    assert confirmed.subscriptions == (TRADES,), "a late answer counts within the hour"


def test_the_hours_operations_are_not_exceeded() -> None:
    session = opened(CONTRACT, BOOK)
    session.on_frame(ack(1), RECV)
    asked = 1
    closing: list[object] = []
    for round_ in range(400):
        session.subscribe([BOOK])
        closing += session.on_tick(round_ * SECOND)
        for message in taken(session):
            asked += len(message["params"])
            session.on_frame(ack(message["id"]), RECV)
    assert asked == 240
    assert [type(output) for output in closing] == [Closing]
    session.on_tick(3601 * SECOND)
    assert taken(session), "an hour later there is room again"


def test_unsubscribing_what_still_waits_takes_it_back() -> None:
    session = opened(CONTRACT)
    wanted = symbols(6)
    for subscription in wanted:
        session.subscribe([subscription])
    taken(session)
    session.unsubscribe([wanted[5]])
    taken(session)
    for number in range(1, 6):
        session.on_frame(ack(number), RECV)
    assert session.outbox == []
    assert wanted[5] not in session.streams


def test_a_confirmation_leaves_out_what_was_unsubscribed_meanwhile() -> None:
    session = opened(CONTRACT, *symbols(2))
    session.unsubscribe(symbols(1))
    (confirmed,) = session.on_frame(ack(1), RECV)
    assert isinstance(confirmed, Confirmed)
    assert confirmed.subscriptions == (symbols(2)[1],)


def test_events_outside_the_contract_are_named() -> None:
    session = opened(CONTRACT, TRADES)
    assert session.on_frame(frame({"e": "miniTicker", "s": "BTCUSDT"}), RECV) == (Unmapped("miniTicker"),)
    assert session.on_frame(frame({"event": "maintenance"}), RECV) == (Unmapped("maintenance"),)


def test_the_kind_may_stand_anywhere_in_a_message() -> None:
    session = opened(CONTRACT, TRADES)
    message = json.loads(trades("trade", (1, "a")))
    moved = frame({**{k: v for k, v in message.items() if k != "e"}, "e": "trade"})
    assert ids(session.on_frame(moved, RECV)) == ["a"]
    assert ids(session.on_frame(trades("trade", (2, "b")).decode(), RECV)) == ["b"]


def test_the_session_stays_usable_after_bad_bytes() -> None:
    session = opened(CONTRACT, TRADES)
    for bad in (b"", b"{", b'{"e":"trade"}', b"\xff\xfe", "\ud800", b"[]", b'{"x":1}', trades("trade", (1, "a"))[:-3]):
        with pytest.raises(WireError) as caught:
            session.on_frame(bad, RECV)
        assert caught.value.venue == "weex"
    assert ids(session.on_frame(trades("trade", (1, "a")), RECV)) == ["a"]


def test_the_handshake_has_a_user_agent() -> None:
    for market in (SPOT, CONTRACT):
        headers = dict(market.endpoints["live"].headers)
        assert headers["User-Agent"]
        assert market.endpoints["live"].ws["public"].startswith("wss://ws-")


def test_every_streamed_channel_watches_for_silence() -> None:
    for market in (SPOT, CONTRACT):
        for spec in market.channels.values():
            assert (spec.poll is None) == (spec.stale_after is not None) == bool(spec.route), spec.channel
            assert market.cost(Subscription(spec.channel, "BTC/USDT")) == (1 if spec.route else 0)
    assert not CONTRACT.channels["candles"].closes
