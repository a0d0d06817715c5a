"""A planned rotation makes before it breaks, and the overlap is removed."""

from __future__ import annotations

import itertools
import random
from typing import Any

import pytest

from tests.feed import quarry
from tests.feed.bench import BOOK, ETH, TRADES, Bench, codes, ids, statuses
from unitape.feed.inputs import Connect, Send
from unitape_schemas import BookDelta, BookSnapshot, Status, Subscription, Ticker

TICKER = Subscription("ticker", "BTC/EUR")
LIFETIME = 86_400.0


def aged(continuity: str = "sequence", **changes: Any) -> quarry.QuarryMarket:
    return quarry.QuarryMarket(
        channels=quarry.channels(continuity, refill=False),  # type: ignore[arg-type]
        limits=quarry.limits(lifetime=LIFETIME, **changes),
    )


def rotate(bench: Bench, *subscriptions: Subscription) -> None:
    """Tell connection 0 to go; open its successor, 1, and confirm there."""
    bench.frame(0, quarry.bye("maintenance"))
    assert bench.connects() == [(1, "public", 0)]
    bench.open(1)
    bench.frame(1, quarry.ok(*subscriptions))


def test_connections_are_replaced_before_their_lifetime_ends_and_not_all_at_once() -> None:
    bench = Bench(aged())
    wanted = [Subscription("liquidations", symbol) for symbol in quarry.SYMBOLS[:12]]
    bench.subscribe(*wanted)
    conns = [conn for conn, _, _ in bench.connects()]
    for conn in conns:
        bench.open(conn)
    for subscription in wanted:
        bench.frame(conns[wanted.index(subscription) // 3], quarry.ok(subscription))
    begun: list[float] = []
    bench.now = LIFETIME * 0.9
    while bench.now < LIFETIME and len(begun) < 4:
        for conn in conns:
            bench.ping(conn)
        bench.wait(10.0)
        begun += [bench.now] * len(bench.connects())
    assert len(begun) == 4
    assert LIFETIME * 0.93 < begun[0] < begun[-1] < LIFETIME - 300.0
    assert len(set(begun)) == 4


def test_numbered_trades_cross_over_exactly_once_when_the_new_connection_is_behind() -> None:
    bench = Bench(aged())
    bench.up(TRADES)
    bench.frame(0, quarry.trade(1), quarry.trade(2))
    rotate(bench, TRADES)
    bench.frame(0, quarry.trade(3), quarry.trade(4))
    events = bench.frame(1, quarry.trade(3))
    assert codes(events) == ["rotated"]
    assert bench.closes() == [0]
    bench.frame(0, quarry.trade(5))  # too late, from the old connection
    bench.frame(1, quarry.trade(4), quarry.trade(5))
    assert ids(bench.events) == ["1", "2", "3", "4", "5"]
    assert "gap" not in codes(bench.events)


def test_numbered_trades_cross_over_exactly_once_when_the_new_connection_is_ahead() -> None:
    bench = Bench(aged())
    bench.up(TRADES)
    bench.frame(0, quarry.trade(1))
    rotate(bench, TRADES)
    assert ids(bench.frame(1, quarry.trade(3), quarry.trade(4))) == []
    assert bench.closes() == []
    assert ids(bench.frame(0, quarry.trade(2))) == ["2", "3", "4"]
    assert bench.closes() == [0]
    assert "gap" not in codes(bench.events)


def test_trades_with_ids_cross_over_exactly_once() -> None:
    bench = Bench(aged("id"))
    bench.up(TRADES)
    bench.frame(0, quarry.trade("a"))
    rotate(bench, TRADES)
    assert ids(bench.frame(1, quarry.trade("c"), quarry.trade("d"))) == []
    bench.frame(0, quarry.trade("b"), quarry.trade("c"))
    bench.frame(1, quarry.trade("e"))
    assert ids(bench.events) == ["a", "b", "c", "d", "e"]
    assert bench.closes() == [0]
    assert codes(bench.wait(1.0)) == []


def test_without_proof_the_cut_is_at_one_frame_boundary() -> None:
    bench = Bench(aged())
    bench.up(TICKER)
    rotate(bench, TICKER)
    bench.frame(0, quarry.ticker(1))
    bench.frame(1, quarry.ticker(2))
    bench.frame(0, quarry.ticker(3))
    bench.frame(1, quarry.ticker(4))
    assert [e.last for e in bench.events if isinstance(e, Ticker)] == [1.0, 2.0, 4.0]


def test_a_book_is_handed_over_once_its_own_join_is_not_behind() -> None:
    bench = Bench(aged())
    bench.up(BOOK)
    bench.answer(bench.fetches()[0], quarry.image(10))
    book = bench.core.book("BTC/EUR")
    assert book is not None
    rotate(bench, BOOK)
    (fetch,) = bench.fetches()
    bench.events.clear()
    bench.frame(0, quarry.depth(11, 110), quarry.depth(12, 112))
    bench.frame(1, quarry.depth(11, 110))
    assert bench.answer(fetch, quarry.image(10)) == []  # live at 11, but 12 was delivered already
    assert bench.tick() == []
    events = bench.frame(1, quarry.depth(12, 112))
    assert [type(e) for e in events if not hasattr(e, "code")] == [BookSnapshot]
    assert codes(events) == ["rotated"]
    bench.frame(1, quarry.depth(13, 113))
    shape = [(type(e), e.seq, e.epoch) for e in bench.events if isinstance(e, BookSnapshot | BookDelta)]
    assert shape == [(BookDelta, 11, 1), (BookDelta, 12, 1), (BookSnapshot, 12, 2), (BookDelta, 13, 2)]
    assert bench.core.book("BTC/EUR") is book
    assert (book.best_bid, book.seq, book.epoch) == ((113.0, 1.0), 13, 2)


def test_silent_subscriptions_are_handed_over_once_confirmed() -> None:
    bench = Bench(aged())
    bench.up(TRADES, ETH)
    rotate(bench, TRADES)
    bench.wait(15.0)
    assert bench.closes() == []  # ETH is not confirmed there
    bench.frame(1, quarry.ok(ETH))
    assert "rotated" in codes(bench.wait(11.0))
    assert bench.closes() == [0]


def test_a_new_connection_that_brings_nothing_while_the_old_one_does_gets_nothing() -> None:
    bench = Bench(aged())
    bench.up(TRADES)
    rotate(bench, TRADES)
    for n in range(1, 60):
        bench.frame(0, quarry.trade(n))
        bench.wait(1.0)
    assert bench.closes() == []
    assert ids(bench.events) == [str(n) for n in range(1, 60)]


def test_when_the_successor_fails_the_old_connection_stays_and_it_is_tried_again() -> None:
    bench = Bench(aged())
    bench.up(TRADES)
    bench.frame(0, quarry.trade(1), quarry.bye("maintenance"))
    bench.connects()
    assert codes(bench.closed(1, "refused")) == ["disconnected"]
    assert ids(bench.frame(0, quarry.trade(2))) == ["2"]
    assert bench.connects() == []
    bench.wait(61.0)
    assert [route for _, route, _ in bench.connects()] == ["public"]
    bench.open(2)
    bench.frame(2, quarry.trade(3))
    assert ids(bench.events) == ["1", "2", "3"]
    assert bench.closes() == [0]


def test_when_the_old_connection_dies_in_the_middle_the_successor_takes_over_and_losses_are_counted() -> None:
    bench = Bench(aged())
    bench.up(TRADES, ETH)
    bench.frame(0, quarry.trade(1))
    rotate(bench, TRADES, ETH)
    bench.frame(1, quarry.trade(4))
    events = bench.closed(0, "cut")
    assert ids(events) == ["4"]
    assert statuses(events, "gap")[0].count == 2
    assert bench.connects() == []
    assert ids(bench.frame(1, quarry.trade(5), quarry.trade(1, symbol="ETH/EUR"))) == ["5", "1"]


def test_when_the_old_connection_dies_before_the_successor_stands_it_is_waited_for() -> None:
    bench = Bench(aged())
    bench.up(TRADES, BOOK)
    bench.answer(bench.fetches()[0], quarry.image(10))
    bench.frame(0, quarry.bye("maintenance"))
    bench.connects()
    bench.closed(0, "cut")
    assert bench.connects() == []
    bench.open(1)
    assert bench.sent(1) == ["HELLO", "SUB trades BTC/EUR,book BTC/EUR"]
    bench.frame(1, quarry.ok(TRADES, BOOK))
    (fetch,) = bench.fetches()
    snapshot = next(e for e in bench.answer(fetch, quarry.image(50)) if isinstance(e, BookSnapshot))
    assert (snapshot.seq, snapshot.epoch) == (50, 2)


def test_what_the_new_connection_is_refused_stays_on_the_old_one() -> None:
    bench = Bench(aged())
    bench.up(TRADES, ETH)
    bench.connects()
    bench.frame(0, quarry.trade(1))
    bench.frame(0, quarry.bye("maintenance"))
    bench.open(1)
    bench.frame(1, quarry.no(TRADES, "not now"))
    events = bench.frame(1, quarry.trade(1, symbol="ETH/EUR"))
    assert codes(events) == ["rotated", "disconnected"]
    assert statuses(events, "disconnected")[0].raw == "not now"
    assert bench.closes() == []
    assert ids(bench.frame(0, quarry.trade(2))) == ["2"]
    assert ids(bench.frame(1, quarry.trade(2, symbol="ETH/EUR"))) == ["2"]
    bench.take(Connect)
    bench.frame(0, quarry.trade(3))
    bench.wait(11.0)
    assert bench.connects() == [(2, "public", 0)]
    bench.open(2)
    bench.frame(2, quarry.ok(TRADES))
    assert codes(bench.frame(2, quarry.trade(3))) == ["rotated"]
    assert bench.closes() == [0]
    assert ids(bench.frame(2, quarry.trade(4))) == ["4"]
    assert "gap" not in codes(bench.events)
    assert "rejected" not in codes(bench.events)


def test_attempts_to_replace_a_connection_grow_rarer_while_the_new_ones_are_refused() -> None:
    bench = Bench(aged())
    bench.up(TRADES)
    bench.connects()
    bench.frame(0, quarry.bye("maintenance"))
    tried = []
    for second in range(400):
        for conn, _, _ in bench.connects():
            tried.append(second)
            bench.open(conn)
            bench.frame(conn, quarry.no(TRADES, "not now"))
        bench.frame(0, quarry.trade(second))
        bench.wait(1.0)
    pauses = [later - earlier for earlier, later in itertools.pairwise(tried)]
    assert [round(pause, -1) for pause in pauses] == [10, 20, 40, 80, 160]
    assert 0 not in bench.closes()
    assert ids(bench.events) == [str(n) for n in range(400)]


def test_what_was_refused_and_loses_the_old_connection_is_asked_for_again() -> None:
    bench = Bench(aged())
    bench.up(TRADES, ETH)
    bench.frame(0, quarry.trade(1))
    bench.frame(0, quarry.bye("maintenance"))
    bench.open(1)
    bench.frame(1, quarry.no(TRADES, "not now"))
    events = bench.closed(0, "cut")
    assert "rejected" not in codes(events)
    assert statuses(events, "stale")[0].raw == "not now"
    bench.take(Send)
    bench.frame(1, quarry.ok(ETH))
    bench.wait(11.0)
    assert bench.sent(1) == ["SUB trades BTC/EUR"]
    bench.frame(1, quarry.ok(TRADES))
    events = bench.frame(1, quarry.trade(4))
    assert [(s.code, s.count) for s in events if isinstance(s, Status)] == [("gap", 2)]


def test_a_rotation_without_end_is_given_up_for_what_is_left() -> None:
    bench = Bench(aged())
    bench.up(TICKER, ETH)
    bench.frame(0, quarry.bye("maintenance"))
    bench.connects()
    bench.open(1)
    bench.frame(1, quarry.ticker(1))
    bench.take(Send)
    for n in range(1, 311):
        bench.frame(0, quarry.trade(n, symbol="ETH/EUR"))
        bench.ping(1)
        bench.wait(1.0)
    assert bench.closes() == []
    assert bench.sent(1) == ["END trades ETH/EUR"]
    assert ids(bench.events) == [str(n) for n in range(1, 311)]


def test_a_connection_that_must_be_left_at_once_is_left() -> None:
    bench = Bench(aged())
    bench.up(TRADES)
    assert codes(bench.frame(0, quarry.bye("kicked", rotate=False))) == ["disconnected"]
    assert bench.closes() == [0]
    assert bench.connects() == [(1, "public", 1)]


@pytest.mark.parametrize("seed", range(200))
def test_whatever_the_interleaving_every_trade_arrives_once_in_order(seed: int) -> None:
    rng = random.Random(seed)
    bench = Bench(aged(rng.choice(["sequence", "id"])))
    bench.up(TRADES)
    total = 120
    # Two gateways carry the same trades, each at its own pace; the new one begins somewhere in the middle.
    old = list(range(1, total + 1))
    begin = rng.randrange(5, 60)
    bench.frame(0, *(quarry.trade(f"{n}") for n in old[: begin - rng.randrange(0, 4)]))
    sent_old = len(ids(bench.events))
    rotate(bench, TRADES)
    at_new = begin
    while at_new < total or sent_old < total:
        closed = 0 in bench.closes()
        if sent_old < total and (rng.random() < 0.5 or at_new >= total):
            bench.frame(0, quarry.trade(old[sent_old]))
            sent_old += 1
        elif at_new < total:
            at_new += 1
            bench.frame(1, quarry.trade(at_new))
        if closed:
            sent_old = total
    assert ids(bench.events) == [str(n) for n in range(1, total + 1)], f"seed {seed}"
    assert "gap" not in codes(bench.events), f"seed {seed}"
