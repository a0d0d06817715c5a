"""The order book against a naive one: plain dicts, sorted anew for every question, in exact arithmetic."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from unitape.books import OrderBook, _half
from unitape.errors import ConfigError
from unitape_schemas import BookDelta, BookSnapshot

PRICES = st.integers(1, 60).map(lambda tick: tick / 8)
CHANGES = st.lists(st.tuples(PRICES, st.integers(0, 4).map(float)), max_size=12).map(tuple)
IMAGES = st.lists(st.tuples(PRICES, st.integers(1, 4).map(float)), max_size=30, unique_by=lambda level: level[0])
WINDOWS = st.sampled_from(["delivered", "edge", "whole"])


class NaiveSide:
    def __init__(self, best: str) -> None:
        self.best = best
        self.held: dict[float, float] = {}
        self.edge: float | None = None
        self.whole = False

    def load(self, levels: list[tuple[float, float]], kind: str) -> tuple[float | None, bool]:
        self.held = dict(levels)
        self.whole = kind == "whole"
        self.edge = self.ranked()[-1][0] if kind == "edge" and levels else None
        return self.edge, self.whole

    def apply(self, changes: tuple[tuple[float, float], ...]) -> None:
        for price, size in changes:
            if size == 0:
                self.held.pop(price, None)
            else:
                self.held[price] = size

    def worse(self, a: float, b: float) -> bool:
        return a < b if self.best == "high" else a > b

    def ranked(self) -> list[tuple[float, float]]:
        return sorted(self.held.items(), reverse=self.best == "high")

    def see(self, other: NaiveSide) -> None:
        """The other side's best price shows that nothing is left over there."""
        if self.edge is not None and other.held:
            best = other.ranked()[0][0]
            self.edge = best if self.worse(best, self.edge) else self.edge

    def end(self) -> float | None:
        ranked = self.ranked()
        if self.edge is not None:
            return ranked[0][0] if ranked and self.worse(ranked[0][0], self.edge) else self.edge
        return ranked[-1][0] if ranked else None

    def verified(self) -> list[tuple[float, float]]:
        return [(price, size) for price, size in self.ranked() if not self.worse(price, self.end())]

    def known(self, price: float) -> bool:
        return self.whole or (self.end() is not None and not self.worse(price, self.end()))

    def depth_at(self, price: float) -> Fraction | None:
        if not self.known(price):
            return None
        return sum((Fraction(s) for p, s in self.held.items() if not self.worse(p, price)), Fraction())

    def fill(self, size: Fraction) -> tuple[float, Fraction] | None:
        left, cost = size, Fraction()
        for price, available in self.verified():
            take = min(left, Fraction(available))
            left -= take
            cost += take * Fraction(price)
            if left == 0:
                return price, cost / size
        return None


class BookMachine(RuleBasedStateMachine):
    front = 256
    slack = 256

    def __init__(self) -> None:
        super().__init__()
        self.patch = pytest.MonkeyPatch()
        self.patch.setattr(_half, "FRONT", self.front)
        self.patch.setattr(_half, "SLACK", self.slack)
        self.book = OrderBook("venue", "A/B")
        self.bid, self.ask = NaiveSide("high"), NaiveSide("low")
        self.seq = 0
        self.epoch = 0

    def teardown(self) -> None:
        self.patch.undo()

    @initialize(bids=IMAGES, asks=IMAGES, kind=WINDOWS)
    def first(self, bids: list, asks: list, kind: str) -> None:
        self.load(bids, asks, kind)

    @rule(bids=IMAGES, asks=IMAGES, kind=WINDOWS)
    def load(self, bids: list, asks: list, kind: str) -> None:
        self.epoch += 1
        self.seq += 5
        image = BookSnapshot("venue", "A/B", 1, 2, 3, tuple(bids), tuple(asks), None, self.seq, None, self.epoch)
        self.book.load(image, bids=self.bid.load(bids, kind), asks=self.ask.load(asks, kind))

    @rule(bids=CHANGES, asks=CHANGES)
    def change(self, bids: tuple, asks: tuple) -> None:
        self.book.apply(BookDelta("venue", "A/B", 4, 5, 6, bids, asks, None, self.seq + 3, self.seq, self.epoch))
        self.seq += 3
        self.bid.apply(bids)
        self.ask.apply(asks)
        self.bid.see(self.ask)
        self.ask.see(self.bid)

    @rule(price=PRICES, size=st.integers(1, 40), n=st.integers(0, 9))
    def ask_questions(self, price: float, size: int, n: int) -> None:
        for name, side in (("bid", self.bid), ("ask", self.ask)):
            expected = side.depth_at(price)
            assert self.book.depth_at(name, price) == (None if expected is None else float(expected))
            at = side.held.get(price, 0.0) if side.known(price) else None
            assert self.book.size_at(name, price) == at
            fill = side.fill(Fraction(size))
            assert self.book.price_for(name, size) == (None if fill is None else fill[0])
            vwap = self.book.vwap(name, size)
            assert vwap == (None if fill is None else pytest.approx(float(fill[1]), rel=1e-12))
        bids, asks = self.bid.verified()[:n], self.ask.verified()[:n]
        short = (len(bids) < n and not self.bid.whole) or (len(asks) < n and not self.ask.whole)
        b, a = sum(s for _, s in bids), sum(s for _, s in asks)
        expected_imbalance = None if short or a + b == 0 else (b - a) / (b + a)
        assert self.book.imbalance(n) == expected_imbalance
        assert self.book.bids(n) == tuple(bids)
        assert self.book.asks(n) == tuple(asks)

    @invariant()
    def equal(self) -> None:
        bids, asks = self.bid.ranked(), self.ask.ranked()
        assert self.book.known("bid") == tuple(bids)
        assert self.book.known("ask") == tuple(asks)
        assert self.book.bids() == tuple(self.bid.verified())
        assert self.book.asks() == tuple(self.ask.verified())
        bid, ask = (bids[0] if bids else None), (asks[0] if asks else None)
        assert (self.book.best_bid, self.book.best_ask) == (bid, ask) == self.book.best()
        assert self.book.empty == (bid is None or ask is None)
        both = bid is not None and ask is not None
        assert self.book.crossed == (both and bid[0] >= ask[0])
        assert self.book.spread == (ask[0] - bid[0] if both else None)
        assert self.book.mid == ((ask[0] + bid[0]) / 2 if both else None)
        assert self.book.verified_depth("bid") == self.bid.end()
        assert self.book.verified_depth("ask") == self.ask.end()
        assert self.book.seq == self.seq

    @invariant()
    def bounded(self) -> None:
        for half, side in ((self.book._bids, self.bid), (self.book._asks, self.ask)):
            assert len(half._sizes) <= max(len(side.held), 30) * 1.5 + self.slack + 12
            assert len(half._front) <= 2 * self.front


class NarrowBookMachine(BookMachine):
    """With a front of three prices, so that levels behind it, cuts and sweeps come all the time."""

    front = 3
    slack = 2


TestBook = BookMachine.TestCase
TestBook.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
TestNarrowBook = NarrowBookMachine.TestCase
TestNarrowBook.settings = settings(
    max_examples=150, stateful_step_count=40, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)


def book_of(bids: tuple, asks: tuple, /, **windows: tuple) -> OrderBook:
    book = OrderBook("venue", "A/B")
    book.load(BookSnapshot("venue", "A/B", 10, 11, 12, bids, asks, None, 100, None, 1), **windows)
    return book


def delta(
    bids: tuple = (), asks: tuple = (), *, seq: int = 101, prev: int | None = 100, **changes: object
) -> BookDelta:
    fields = {"venue": "venue", "symbol": "A/B", "epoch": 1, **changes}
    return BookDelta(fields["venue"], fields["symbol"], 20, 21, 22, bids, asks, None, seq, prev, fields["epoch"])


def test_no_answer_counts_on_a_level_beyond_the_window() -> None:
    book = book_of(((10.0, 1.0), (9.0, 2.0)), ((11.0, 1.0), (12.0, 2.0)))
    book.apply(delta(bids=((8.0, 50.0), (10.0, 0.0)), asks=((13.0, 50.0),)))
    assert book.bids() == ((9.0, 2.0),)
    assert book.known("bid") == ((9.0, 2.0), (8.0, 50.0))
    assert book.price_for("bid", 3.0) is None
    assert book.vwap("ask", 4.0) is None
    assert book.depth_at("bid", 8.0) is None
    assert book.size_at("ask", 13.0) is None
    assert book.imbalance(2) is None
    assert book.verified_depth("bid") == 9.0
    assert book.snapshot().bids == ((9.0, 2.0),)


def test_beyond_the_window_only_the_best_level_counts() -> None:
    book = book_of(((10.0, 1.0), (9.0, 2.0)), ((11.0, 1.0), (12.0, 2.0)))
    book.apply(delta(bids=((8.0, 5.0), (7.0, 5.0), (10.0, 0.0), (9.0, 0.0))))
    assert (book.best_bid, book.bids(3)) == ((8.0, 5.0), ((8.0, 5.0),))
    assert (book.vwap("bid", 5.0), book.vwap("bid", 6.0)) == (8.0, None)


def test_the_window_grows_where_the_market_moves_through_its_end() -> None:
    book = book_of(((10.0, 1.0), (9.0, 2.0)), ((11.0, 1.0), (12.0, 2.0)))
    book.apply(delta(bids=((10.0, 0.0), (9.0, 0.0), (6.0, 1.0)), asks=((7.0, 1.0),)))
    assert book.verified_depth("bid") == 6.0
    book.apply(delta(bids=((8.0, 3.0), (7.5, 2.0), (6.0, 9.0)), asks=((7.0, 0.0),), seq=102, prev=101))
    assert book.verified_depth("bid") == 7.0, "an ask stood at 7, so every bid down to there came since"
    assert book.bids() == ((8.0, 3.0), (7.5, 2.0))
    assert book.vwap("bid", 5.0) == pytest.approx(7.8, rel=1e-12)
    assert book.vwap("bid", 6.0) is None


def test_a_whole_side_answers_to_its_end() -> None:
    book = book_of(((10.0, 1.0), (9.0, 2.0)), (), bids=(None, True), asks=(None, True))
    assert book.depth_at("bid", 0.5) == 3.0
    assert book.is_whole("bid")
    assert book.imbalance(5) == 1.0
    book.apply(delta(bids=((2.0, 4.0),)))
    assert book.depth_at("bid", 0.5) == 7.0


def test_a_size_is_reached_in_spite_of_binary_rounding() -> None:
    # 0.1 + 0.7 is 0.7999999999999999 in binary: the second level is enough for 0.8 all the same.
    book = book_of((), ((5.0, 0.1), (6.0, 0.7), (7.0, 9.0)))
    assert book.price_for("ask", 0.8) == 6.0
    assert book.vwap("ask", 0.8) == pytest.approx(5.875, rel=1e-12)
    assert book.price_for("ask", 0.81) == 7.0


def test_prices_stay_the_floats_of_the_venue() -> None:
    prices = [float(text) for text in ("0.1", "0.30000000000000004", "61837.63", "0.00000123", "123456789012.345")]
    book = book_of((), tuple((price, 1.0) for price in prices))
    assert [repr(price) for price, _ in book.asks()] == [repr(price) for price in sorted(prices)]


def test_a_delta_that_does_not_follow_is_refused_and_changes_nothing() -> None:
    book = book_of(((10.0, 1.0),), ((11.0, 1.0),))
    for wrong in (delta(bids=((10.0, 9.0),), prev=99), delta(epoch=2), delta(symbol="C/D"), delta(venue="other")):
        with pytest.raises(ConfigError):
            book.apply(wrong)
    assert (book.bids(), book.asks(), book.seq) == (((10.0, 1.0),), ((11.0, 1.0),), 100)


def test_questions_that_make_no_sense_are_refused() -> None:
    book = book_of(((10.0, 1.0),), ((11.0, 1.0),))
    for size in (0.0, -1.0, float("nan")):
        with pytest.raises(ConfigError, match="positive"):
            book.vwap("bid", size)
    with pytest.raises(ConfigError, match="'bid' and 'ask'"):
        book.depth_at("buy", 10.0)
    with pytest.raises(ConfigError, match="negative"):
        book.bids(-1)


def test_its_snapshot_makes_an_equal_book() -> None:
    book = book_of(((10.0, 1.0), (9.0, 2.0)), ((11.0, 1.0),))
    book.apply(delta(bids=((9.5, 3.0),), asks=((11.0, 0.0), (12.0, 1.0))))
    image = book.snapshot()
    assert (image.seq, image.epoch, image.ts_event, image.ts_recv) == (101, 1, 20, 22)
    other = OrderBook("venue", "A/B")
    other.load(image)
    assert (other.bids(), other.asks()) == (((10.0, 1.0), (9.5, 3.0), (9.0, 2.0)), ((12.0, 1.0),))
    other.apply(delta(seq=102, prev=101))
    assert other.seq == 102


def test_a_new_book_is_stale_and_a_cleared_one_too() -> None:
    book = OrderBook("venue", "A/B")
    assert (book.stale, book.empty, book.crossed, book.best()) == (True, True, False, (None, None))
    book.load(BookSnapshot("venue", "A/B", 0, 0, 0, ((1.0, 1.0),), ((2.0, 1.0),), None, 1, None, 1))
    assert not book.stale
    book.clear()
    assert (book.stale, book.bids(), book.seq, book.epoch) == (True, (), 1, 1)


def test_depth_does_not_change_what_a_change_touches() -> None:
    """A change costs Python code by its new prices: updating known prices sorts nothing, at any depth."""
    book = book_of(tuple((float(p), 1.0) for p in range(5000, 0, -1)), ((6000.0, 1.0),))
    front = book._bids._front
    book.apply(delta(bids=tuple((float(p), 2.0) for p in range(1, 5001, 500))))
    assert book._bids._front is front
    assert sum(size for _, size in book.bids()) == 5010.0


def test_levels_that_came_and_went_leave_no_trace() -> None:
    book = book_of(((10000.0, 1.0),), ((10001.0, 1.0),))
    seq = 100
    for start in range(0, 9000, 10):
        prices = [float(start + step) for step in range(10)]
        for size in (1.0, 0.0):
            book.apply(delta(bids=tuple((price, size) for price in prices), seq=seq + 1, prev=seq))
            seq += 1
    assert book.known("bid") == ((10000.0, 1.0),)
    assert len(book._bids._sizes) < 600, "9,000 prices were there, one is"
    assert len(book._bids._front) <= 512
