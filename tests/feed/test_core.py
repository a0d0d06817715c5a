"""The feed as a machine: subscriptions, connections, silence. Every promise of a feed has its test here or beside."""

from __future__ import annotations

import json

from tests.feed import quarry
from tests.feed.bench import BOOK, ETH, SECOND, TRADES, Bench, codes, ids, statuses
from unitape.feed.inputs import Send
from unitape.feed.plan import plan_connections
from unitape.spi import HttpResponse
from unitape_schemas import BookDelta, BookSnapshot, OpenInterest, Subscription, Ticker

OI = Subscription("open_interest", "BTC/EUR")


# 1. A subscription is a transaction


def test_a_subscription_is_confirmed_by_the_venues_word() -> None:
    bench = Bench()
    bench.subscribe(TRADES)
    assert bench.connects() == [(0, "public", 0)]
    assert bench.open(0)[0].code == "connected"
    assert bench.sent() == ["HELLO", "SUB trades BTC/EUR"]
    (status,) = bench.frame(0, quarry.ok(TRADES))
    assert (status.code, status.subscription, status.raw) == (
        "subscribed",
        "trades BTC/EUR",
        '{"ok": ["trades BTC/EUR"]}',
    )
    assert [v.text for v in bench.core.verdicts()] == [None]


def test_a_subscription_is_confirmed_by_its_first_data() -> None:
    bench = Bench()
    bench.subscribe(TRADES)
    bench.open(0)
    status, first = bench.frame(0, quarry.trade(7))
    assert (status.code, first.id) == ("subscribed", "7")


def test_a_silent_venue_is_a_rejection_after_the_deadline_and_is_not_asked_again() -> None:
    bench = Bench()
    bench.subscribe(TRADES, ETH)
    bench.open(0)
    bench.frame(0, quarry.ok(ETH))
    assert codes(bench.wait(5.0)) == []
    (status,) = statuses(bench.wait(1.0), "rejected")
    assert status.subscription == "trades BTC/EUR"
    assert "within 5 s" in status.text
    bench.sent()
    bench.wait(20.0)
    assert [text for text in bench.sent() if "SUB" in text] == []
    assert bench.core.subscriptions == [ETH]


def test_a_refusal_keeps_the_venues_own_words_and_ends_the_subscription() -> None:
    bench = Bench()
    bench.subscribe(TRADES, ETH)
    bench.open(0)
    (status,) = bench.frame(0, quarry.no(TRADES, "Blocked!"))
    assert (status.code, status.text, status.subscription) == ("rejected", "Blocked!", "trades BTC/EUR")
    assert json.loads(status.raw or "")["why"] == "Blocked!"
    (verdict,) = bench.core.verdicts()
    assert (verdict.text, verdict.code) == ("Blocked!", "7")
    bench.frame(0, quarry.ok(ETH))
    bench.sent()
    bench.connects()
    bench.closed(0)
    ((conn, _, _),) = bench.connects()
    bench.open(conn)
    assert bench.sent() == ["HELLO", "SUB trades ETH/EUR"]


def test_a_refusal_without_a_name_concerns_the_only_one_that_waits() -> None:
    bench = Bench()
    bench.subscribe(TRADES, ETH)
    bench.open(0)
    (unnamed,) = bench.frame(0, quarry.no(None, "something is wrong"))
    assert (unnamed.code, unnamed.subscription) == ("rejected", None)
    assert len(bench.core.subscriptions) == 2
    bench.frame(0, quarry.ok(ETH))
    (named,) = bench.frame(0, quarry.no(None, "something is wrong"))
    assert named.subscription == "trades BTC/EUR"


def test_what_the_market_lacks_is_refused_before_anything_is_sent() -> None:
    bench = Bench()
    events = bench.subscribe(
        Subscription("quotes", "BTC/EUR"),
        Subscription("trades", "DOGE/EUR"),
        Subscription("candles", "BTC/EUR", interval="3m"),
        Subscription("trades", "*"),
    )
    assert codes(events) == ["rejected"] * 4
    assert bench.commands == []


def test_the_deadline_counts_from_when_the_message_could_leave() -> None:
    slow = quarry.limits(messages_per_second=0.1, confirm_within=5.0)
    bench = Bench(quarry.QuarryMarket(limits=slow))
    bench.subscribe(TRADES)
    bench.open(0)  # HELLO and SUB: the second may leave 20 s from now
    assert codes(bench.wait(24.0)) == []
    assert codes(bench.wait(2.0))[:1] == ["rejected"]


def test_a_venue_that_cannot_be_reached_rejects_after_the_deadline() -> None:
    bench = Bench()
    bench.subscribe(TRADES)
    for conn in range(2):
        bench.now += 2.0
        assert "rejected" not in codes(bench.closed(conn, "refused"))
    bench.now += 2.0
    assert codes(bench.closed(2, "refused")) == ["disconnected", "rejected"]
    assert bench.connects() == [(0, "public", 0), (1, "public", 1), (2, "public", 2)]


# 2. Limits are data


def test_subscriptions_are_sharded_by_route_and_cost() -> None:
    market = quarry.QuarryMarket()
    wanted = [Subscription("trades", symbol) for symbol in quarry.SYMBOLS[:7]]
    wanted += [Subscription("candles", "BTC/EUR", interval="1m"), Subscription("liquidations", "BTC/EUR"), OI]
    plan = plan_connections(market, wanted)
    assert [(p.route, len(p.subscriptions), p.used) for p in plan] == [
        ("public", 3, 3),
        ("public", 3, 3),
        ("public", 2, 3),
        ("other", 1, 1),
        ("", 1, 0),
    ]
    bench = Bench(market)
    bench.subscribe(*wanted)
    assert [route for _, route, _ in bench.connects()] == ["public", "public", "public", "other"]


def test_room_that_becomes_free_is_used_and_an_idle_connection_is_closed() -> None:
    bench = Bench()
    three = [Subscription("trades", symbol) for symbol in quarry.SYMBOLS[:3]]
    conn = bench.up(*three)
    bench.unsubscribe(three[0])
    assert bench.sent(conn) == ["END trades BTC/EUR"]
    bench.subscribe(Subscription("ticker", "BTC/EUR"))
    assert (bench.connects(), bench.sent(conn)) == ([], ["SUB ticker BTC/EUR"])
    events = bench.unsubscribe(three[1], three[2], Subscription("ticker", "BTC/EUR"))
    assert codes(events) == ["unsubscribed", "unsubscribed", "unsubscribed", "disconnected"]
    assert bench.closes() == [conn]


def test_more_connections_than_the_venue_allows_are_refused_aloud() -> None:
    bench = Bench(quarry.QuarryMarket(limits=quarry.limits(connections_per_host=2)))
    events = bench.subscribe(*(Subscription("trades", symbol) for symbol in quarry.SYMBOLS[:8]))
    assert len(bench.connects()) == 2
    assert [s.subscription for s in statuses(events, "rejected")] == ["trades C003/EUR", "trades C004/EUR"]


# 3. Heartbeats


def test_a_server_ping_is_answered_before_waiting_subscribe_messages() -> None:
    bench = Bench()
    conn = bench.up(TRADES)
    bench.frame(conn, b'{"ping": 1}')
    (pong,) = bench.take(Send)
    assert (pong.data, pong.urgent) == (b"PONG", True)


def test_a_client_ping_goes_out_on_its_timer() -> None:
    bench = Bench(quarry.QuarryMarket(ping_every=10 * SECOND))
    conn = bench.up(TRADES)
    bench.wait(35.0)
    assert bench.sent(conn) == ["PING", "PING", "PING"]


def test_a_silent_connection_is_replaced_and_protocol_pings_keep_it() -> None:
    bench = Bench()
    conn = bench.up(Subscription("liquidations", "BTC/EUR"))
    for _ in range(4):
        bench.wait(50.0)
        bench.ping(conn)
    assert bench.connects() == []
    events = bench.wait(61.0)
    assert codes(events) == ["disconnected"]
    assert bench.closes() == [conn]
    assert bench.connects() == [(conn + 1, "other", 1)]


def test_a_connection_that_owes_an_answer_and_says_nothing_is_half_open() -> None:
    bench = Bench()
    conn = bench.up(TRADES)
    bench.wait(10.0)
    bench.subscribe(ETH)
    assert codes(bench.wait(4.0)) == []
    events = bench.wait(2.0)
    assert statuses(events, "disconnected")[0].text.startswith(f"connection {conn} ended: no answer within 5 s")
    assert bench.closes() == [conn]
    assert bench.connects() == [(conn + 1, "public", 1)]


# 4. Silence is noticed per subscription


def test_one_silent_subscription_is_told_asked_again_and_moved_without_hurting_the_others() -> None:
    bench = Bench()
    conn = bench.up(TRADES, ETH)
    heard: list[str] = []
    for second in range(95):
        bench.wait(1.0)
        heard += ids(bench.frame(conn, quarry.trade(second + 1, symbol="ETH/EUR")))
    (stale,) = statuses(bench.events, "stale")
    assert (stale.subscription, stale.text) == ("trades BTC/EUR", "no data for 30 s")
    assert heard == [str(n + 1) for n in range(95)]
    assert bench.sent(conn) == ["SUB trades BTC/EUR"]
    assert bench.connects() == [(conn + 1, "public", 0)]
    assert bench.closes() == []
    bench.open(conn + 1)
    bench.frame(conn + 1, quarry.ok(TRADES, ETH), quarry.trade(96, symbol="ETH/EUR"))
    assert ids(bench.frame(conn + 1, quarry.trade(1))) == ["1"]
    assert codes(bench.events)[-1] == "rotated"
    assert bench.closes() == [conn]


def test_silence_of_everything_reconnects() -> None:
    bench = Bench()
    conn = bench.up(TRADES, ETH)
    for _ in range(4):
        bench.wait(25.0)
        bench.ping(conn)
    assert codes(bench.events) == ["stale", "stale", "disconnected"]
    assert bench.closes() == [conn]
    assert bench.connects() == [(conn + 1, "public", 1)]


def test_data_after_a_silence_is_told() -> None:
    bench = Bench()
    conn = bench.up(TRADES)
    bench.wait(31.0)
    bench.frame(conn, quarry.trade(1))
    (status,) = statuses(bench.wait(1.0), "subscribed")
    assert "data again" in status.text


# 5. Reconnect


def test_a_lost_connection_is_made_again_with_everything_on_it() -> None:
    bench = Bench()
    conn = bench.up(TRADES, ETH)
    (status,) = bench.closed(conn, "reset by peer")
    assert (status.code, status.count) == ("disconnected", 2)
    assert "reset by peer (code 1006)" in status.text
    assert bench.connects() == [(1, "public", 1)]
    bench.open(1)
    assert bench.sent() == ["HELLO", "SUB trades BTC/EUR,trades ETH/EUR"]
    events = bench.frame(1, quarry.ok(TRADES, ETH))
    # No trade came before the cut, so no number will tell what went by meanwhile.
    assert codes(events) == ["subscribed", "gap", "subscribed", "gap"]
    assert [status.count for status in statuses(events, "gap")] == [None, None]


def test_attempts_grow_until_a_connection_has_stood() -> None:
    bench = Bench()
    bench.up(TRADES)
    bench.wait(31.0)
    attempts = []
    for conn in range(4):
        bench.closed(conn)
        attempts += [attempt for _, _, attempt in bench.connects()]
    assert attempts == [1, 2, 3, 4]
    bench.open(4)
    bench.frame(4, quarry.ok(TRADES))
    bench.now += 31.0
    bench.closed(4)
    assert bench.connects() == [(5, "public", 1)]


def test_an_established_subscription_outlives_a_venue_that_is_slow_to_confirm_again() -> None:
    bench = Bench()
    conn = bench.up(TRADES)
    bench.closed(conn)
    bench.open(1)
    bench.take(Send)
    asked = 0
    for _ in range(70):
        bench.ping(1)
        bench.wait(1.0)
        asked += sum("SUB" in text for text in bench.sent(1))
    assert codes(bench.events)[-1:] == ["stale"]
    assert 2 <= asked <= 3  # again, but ever more rarely
    assert codes(bench.frame(1, quarry.ok(TRADES))) == ["subscribed", "gap"]


def test_a_connection_that_never_confirms_again_is_left_for_another() -> None:
    bench = Bench()
    conn = bench.up(TRADES)
    bench.closed(conn)
    bench.open(1)
    bench.connects()
    for _ in range(130):
        bench.ping(1)
        bench.wait(1.0)
    assert sum("SUB" in text for text in bench.sent(1)) == 4
    assert bench.closes() == [1]
    assert bench.connects() == [(2, "public", 0)]
    bench.open(2)
    assert bench.sent(2) == ["HELLO", "SUB trades BTC/EUR"]
    assert codes(bench.frame(2, quarry.ok(TRADES))) == ["subscribed", "gap"]


# Books


def _live_book(bench: Bench) -> int:
    conn = bench.up(BOOK)
    (fetch,) = bench.fetches()
    assert fetch.request.target == "/depth?s=BTC/EUR"
    bench.frame(conn, quarry.depth(11, 101))
    (snapshot, delta) = bench.answer(fetch, quarry.image(10))
    assert isinstance(snapshot, BookSnapshot)
    assert isinstance(delta, BookDelta)
    assert (snapshot.seq, delta.prev_seq, delta.seq, delta.epoch) == (10, 10, 11, 1)
    return conn


def test_a_book_joins_off_the_read_path_and_a_reconnect_begins_a_new_epoch() -> None:
    bench = Bench()
    conn = _live_book(bench)
    book = bench.core.book("BTC/EUR")
    assert book is not None
    events = bench.closed(conn)
    assert codes(events) == ["disconnected", "stale"]
    assert book.stale
    bench.open(1)
    bench.frame(1, quarry.ok(BOOK), quarry.depth(31, 103))
    (fetch,) = bench.fetches()
    events = bench.answer(fetch, quarry.image(30))
    assert [(type(e), e.epoch) for e in events[-2:]] == [(BookSnapshot, 2), (BookDelta, 2)]
    assert book.best_bid == (103.0, 1.0)


def test_a_gap_resyncs_that_symbol_alone() -> None:
    bench = Bench()
    conn = _live_book(bench)
    events = bench.frame(conn, quarry.depth(13))
    assert codes(events) == ["gap"]
    (fetch,) = bench.fetches()
    assert bench.connects() == []
    assert codes(bench.answer(fetch, quarry.image(12))) == ["resynced"]
    assert [s.gaps for s in bench.core.stats()] == [1]


def test_a_snapshot_that_fails_is_asked_for_again() -> None:
    bench = Bench()
    bench.up(BOOK)
    (fetch,) = bench.fetches()
    assert codes(bench.fail(fetch)) == ["stale"]
    (again,) = bench.fetches()
    assert again.delay > 0
    assert codes(bench.answer(again, HttpResponse(429, b"slow down", (("retry-after", "7"),)))) == [
        "rate_limited",
        "stale",
    ]
    (third,) = bench.fetches()
    assert third.delay >= 7.0
    (snapshot,) = bench.answer(third, quarry.image(5))
    assert snapshot.seq == 5


def test_two_depths_of_one_book_are_refused() -> None:
    market = quarry.QuarryMarket()
    deep = {**market.channels, "book": quarry.ChannelSpec("book", "b", "sequence", depths=(5, 20))}
    bench = Bench(quarry.QuarryMarket(channels=deep))
    bench.up(BOOK)
    (status,) = bench.subscribe(Subscription("book", "BTC/EUR", depth=20))
    assert status.code == "rejected"


def test_a_late_consumer_gets_statuses_and_books() -> None:
    bench = Bench()
    _live_book(bench)
    status, snapshot = bench.core.current()
    assert status.code == "subscribed"
    assert isinstance(snapshot, BookSnapshot)
    assert (snapshot.seq, snapshot.bids[0]) == (11, (101.0, 1.0))


# What cannot be understood


def test_an_unreadable_frame_is_told_and_nothing_else_is_lost() -> None:
    bench = Bench()
    conn = bench.up(TRADES)
    events = bench.frame(conn, quarry.trade(1), b"{nonsense", quarry.trade(2), b'{"explode": 1}', quarry.trade(3))
    assert ids(events) == ["1", "2", "3"]
    first, second = statuses(events, "undecoded")
    assert (first.count, first.raw) == (1, "{nonsense")
    assert "RuntimeError" in second.text
    assert bench.core.undecoded == 2


def test_a_frame_that_is_too_large_is_refused() -> None:
    bench = Bench()
    conn = bench.up(TRADES)
    large = quarry.trade(1).replace(b"}", b" " * 10_000 + b"}")
    (status,) = bench.frame(conn, large)
    assert (status.code, len(status.raw or "")) == ("undecoded", 500)


def test_an_unknown_symbol_is_reported_once_and_kept_in_the_venues_spelling() -> None:
    bench = Bench()
    conn = bench.up(Subscription("ticker", "*"))
    for last in range(3):
        (event,) = bench.frame(conn, quarry.ticker(last, symbol="NEW/COIN"))
        assert (type(event), event.symbol) == (Ticker, "NEWCOIN")
    events = bench.wait(3.0)
    assert [(s.code, s.symbol) for s in events] == [("unknown_symbol", "NEWCOIN")]


# Polled channels


def test_a_polled_channel_is_asked_for_at_its_interval() -> None:
    bench = Bench()
    bench.subscribe(OI)
    (fetch,) = bench.fetches()
    status, event = bench.answer(fetch, HttpResponse(200, b'{"oi": 5}'))
    assert (status.code, event) == ("subscribed", OpenInterest("quarry", "BTC/EUR", 0, 0, event.ts_recv, 5.0))
    asked = []
    for second in range(1, 31):
        bench.wait(1.0)
        for fetch in bench.fetches():
            asked.append(second)
            bench.answer(fetch, HttpResponse(200, b'{"oi": 6}'))
    assert asked == [10, 20, 30]
    assert bench.connects() == []


def test_a_polled_channel_that_the_venue_refuses_is_rejected_in_its_words() -> None:
    bench = Bench()
    bench.subscribe(OI)
    (fetch,) = bench.fetches()
    (status,) = bench.answer(fetch, HttpResponse(400, b"no such symbol"))
    assert (status.code, status.raw) == ("rejected", "no such symbol")
    assert bench.core.subscriptions == []


def test_a_polled_channel_backs_off_and_goes_stale_while_answers_fail() -> None:
    bench = Bench()
    bench.subscribe(OI)
    bench.answer(bench.fetches()[0], HttpResponse(200, b'{"oi": 5}'))
    asked = 0
    for _ in range(60):
        bench.wait(1.0)
        for fetch in bench.fetches():
            asked += 1
            bench.fail(fetch)
    assert statuses(bench.events, "stale")[0].subscription == OI.key
    assert 3 <= asked <= 6
    bench.wait(60.0)
    bench.answer(bench.fetches()[-1], HttpResponse(200, b'{"oi": 5}'))
    assert statuses(bench.events, "subscribed")[-1].text == "answers again"


# Candles without a closed flag


def test_the_last_state_of_a_candle_is_sent_again_closed_when_the_next_one_opens() -> None:
    bench = Bench()
    conn = bench.up(Subscription("candles", "BTC/EUR", interval="1m"))
    events = bench.frame(conn, quarry.candle(5, 10), quarry.candle(5, 11), quarry.candle(6, 12))
    assert [(e.ts_open // quarry.MINUTE, e.close, e.closed) for e in events] == [
        (5, 10.0, False),
        (5, 11.0, False),
        (5, 11.0, True),
        (6, 12.0, False),
    ]


def test_a_candle_whose_end_was_cut_off_is_never_called_closed() -> None:
    bench = Bench()
    conn = bench.up(Subscription("candles", "BTC/EUR", interval="1m"))
    bench.frame(conn, quarry.candle(5, 10))
    bench.closed(conn)
    bench.open(1)
    events = bench.frame(1, quarry.candle(7, 12))
    assert codes(events) == ["subscribed", "gap"]
    assert [(e.ts_open // quarry.MINUTE, e.closed) for e in events if hasattr(e, "closed")] == [(7, False)]
