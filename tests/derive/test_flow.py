"""Samples and imbalances against books kept in plain dictionaries."""

from __future__ import annotations

from collections import defaultdict
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unitape.derive import BookSample, BookSamples, FlowImbalance, FlowImbalances, Heartbeat
from unitape.errors import ConfigError
from unitape_schemas import BookDelta, BookSnapshot, EventHead, Quote, Status

SECOND = 1_000_000_000
ORIGIN = 1_793_923_200 * SECOND


def at(seconds: float) -> int:
    return ORIGIN + round(seconds * SECOND)


def snapshot(t: float, bids, asks, *, seq: int = 1, epoch: int = 1, symbol: str = "A/B") -> BookSnapshot:
    return BookSnapshot("toy", symbol, 0, 0, at(t), tuple(bids), tuple(asks), None, seq, None, epoch)


def delta(t: float, bids, asks, *, seq: int, epoch: int = 1, symbol: str = "A/B") -> BookDelta:
    return BookDelta("toy", symbol, 0, 0, at(t), tuple(bids), tuple(asks), seq, seq, seq - 1, epoch)


def quote(t: float, bid: float, bid_size: float, ask: float, ask_size: float) -> Quote:
    return Quote("toy", "A/B", 0, 0, at(t), bid, bid_size, ask, ask_size, None)


def beat(t: float) -> Heartbeat:
    return Heartbeat("", "", 0, 0, at(t))


def status(t: float, code: str, key: str | None = "book A/B") -> Status:
    return Status("toy", "A/B" if key else "", 0, 0, at(t), code, key, 1, "")  # type: ignore[arg-type]


def taken(core, *records: EventHead) -> list:
    return [made for record in records for made in core.take(record)]


BOOK = ([(99.0, 1.0), (98.0, 2.0), (97.0, 3.0)], [(101.0, 1.0), (102.0, 2.0)])


def test_a_sample_shows_the_book_before_what_arrives_at_its_moment() -> None:
    core = BookSamples(10, depth=2)
    made: list[BookSample] = taken(
        core, snapshot(1, *BOOK), delta(9.9, [(99.0, 5.0)], [], seq=2), delta(10, [(99.0, 7.0)], [], seq=3), beat(20)
    )
    assert [(s.ts_event, s.bids, s.asks, s.seq, s.ts_book, s.ts_recv) for s in made] == [
        (at(10), ((99.0, 5.0), (98.0, 2.0)), ((101.0, 1.0), (102.0, 2.0)), 2, at(9.9), at(10)),
        (at(20), ((99.0, 7.0), (98.0, 2.0)), ((101.0, 1.0), (102.0, 2.0)), 3, at(10), at(20)),
    ]


def test_moments_that_passed_in_silence_have_their_samples() -> None:
    core = BookSamples(10)
    made = taken(core, snapshot(1, *BOOK), snapshot(2, *BOOK, symbol="C/D"), beat(35))
    assert [(s.ts_event, s.symbol) for s in made] == [
        (at(t), symbol) for t in (10, 20, 30) for symbol in ("A/B", "C/D")
    ]


def test_there_is_no_sample_before_a_snapshot() -> None:
    core = BookSamples(10)
    assert taken(core, beat(5), delta(6, [(1.0, 1.0)], [], seq=2), beat(20), snapshot(21, *BOOK)) == []


@pytest.mark.parametrize(
    ("trouble", "cure", "stale_after"),
    [
        ([status(11, "gap")], [snapshot(21, *BOOK, seq=9, epoch=2)], False),
        ([status(11, "disconnected", None)], [snapshot(21, *BOOK, seq=9, epoch=2)], False),
        ([status(11, "stale")], [delta(21, [], [(101.0, 4.0)], seq=2)], False),
        ([status(11, "dropped")], [snapshot(21, *BOOK, seq=9, epoch=1)], False),
        ([status(11, "gap", "trades A/B")], [], False),
        ([delta(11, [(99.0, 9.0)], [], seq=5)], [delta(21, [], [], seq=6)], True),
        ([delta(11, [(99.0, 9.0)], [], seq=2, epoch=2)], [], True),
    ],
)
def test_a_sample_says_when_its_book_does_not_hold(trouble, cure, stale_after) -> None:
    core = BookSamples(10)
    first, second, third = taken(core, snapshot(1, *BOOK), beat(10), *trouble, beat(20), *cure, beat(30))
    assert first.stale is False
    harmless = isinstance(trouble[0], Status) and trouble[0].subscription == "trades A/B"
    assert second.stale is not harmless
    assert second.bids == first.bids, "the last good state"
    assert third.stale is stale_after


CENTS = st.integers(1, 9)


@st.composite
def book_streams(draw: st.DrawFn) -> list[BookSnapshot | BookDelta]:
    """One or two books that are joined again now and then."""
    now, found = 0.0, []
    state: dict[str, tuple[int, int]] = {}
    for _ in range(draw(st.integers(0, 30))):
        now += draw(st.integers(0, 30)) / 4
        symbol = draw(st.sampled_from(["A/B", "C/D"]))
        bids = [(float(p), s / 10) for p, s in draw(st.dictionaries(CENTS, st.integers(0, 5), max_size=4)).items()]
        asks = [(p + 20.0, s / 10) for p, s in draw(st.dictionaries(CENTS, st.integers(0, 5), max_size=4)).items()]
        seq, epoch = state.get(symbol, (0, 0))
        if symbol not in state or draw(st.integers(0, 9)) == 0:
            epoch, seq = epoch + 1, seq + 10
            # A level at each end: what a snapshot does not reach counts as unknown, and is not shown.
            whole = (
                sorted(((p, s) for p, s in [*bids, (0.01, 1.0)] if s), reverse=True),
                sorted((p, s) for p, s in [*asks, (900.0, 1.0)] if s),
            )
            found.append(snapshot(now, *whole, seq=seq, epoch=epoch, symbol=symbol))
        else:
            seq += 1
            found.append(delta(now, bids, asks, seq=seq, epoch=epoch, symbol=symbol))
        state[symbol] = (seq, epoch)
    return found


class Plain:
    """A book as two dictionaries."""

    def __init__(self) -> None:
        self.bids: dict[float, float] = {}
        self.asks: dict[float, float] = {}

    def take(self, event: BookSnapshot | BookDelta) -> None:
        if isinstance(event, BookSnapshot):
            self.bids, self.asks = dict(event.bids), dict(event.asks)
            return
        for side, levels in ((self.bids, event.bids), (self.asks, event.asks)):
            for price, size in levels:
                side[price] = size
                if not size:
                    del side[price]


@settings(max_examples=80, deadline=None)
@given(book_streams(), st.sampled_from([1, 4, 10]), st.sampled_from([1, 3, 10]))
def test_samples_are_what_dictionaries_say(events, interval: int, depth: int) -> None:
    core = BookSamples(interval, depth=depth)
    end = max((e.ts_recv for e in events), default=at(0)) + 3 * interval * SECOND
    found = {(s.ts_event, s.symbol): (s.bids, s.asks) for s in taken(core, *events, Heartbeat("", "", 0, 0, end))}
    expected = {}
    moment = at(0)
    while moment <= end:
        books: dict[str, Plain] = {}
        for event in events:
            if event.ts_recv < moment:
                books.setdefault(event.symbol, Plain()).take(event)
        for symbol, book in books.items():
            best = sorted(book.bids.items(), reverse=True)[:depth], sorted(book.asks.items())[:depth]
            expected[moment, symbol] = (tuple(best[0]), tuple(best[1]))
        moment += interval * SECOND
    assert found == expected


# Order-flow imbalance


CONTRIBUTIONS = [
    # bid price and size, ask price and size before; the same after; what it contributes
    ((10, 5, 11, 5), (10, 8, 11, 5), 3.0),  # size added to the bid
    ((10, 5, 11, 5), (10, 1, 11, 5), -4.0),  # size taken from the bid
    ((10, 5, 11, 5), (10.5, 2, 11, 5), 2.0),  # a better bid: all of it is new
    ((10, 5, 11, 5), (9, 7, 11, 5), -5.0),  # the bid is gone: all that was there is lost
    ((10, 5, 11, 5), (10, 5, 11, 8), -3.0),  # size added to the ask
    ((10, 5, 11, 5), (10, 5, 11, 1), 4.0),  # size taken from the ask
    ((10, 5, 11, 5), (10, 5, 10.5, 2), -2.0),  # a better ask
    ((10, 5, 11, 5), (10, 5, 12, 7), 5.0),  # the ask is gone
    ((10, 5, 11, 5), (10.5, 2, 12, 7), 7.0),  # both sides move up
    ((10, 5, 11, 5), (10, 5, 11, 5), 0.0),
]


@pytest.mark.parametrize(("before", "after", "change"), CONTRIBUTIONS)
def test_each_change_contributes_by_the_rule(before, after, change: float) -> None:
    core = FlowImbalances(10, source="quotes")
    (made,) = taken(core, quote(1, *before), quote(2, *after), beat(10))
    assert (made.imbalance, made.updates) == (change, 1 if before != after else 0)
    assert (made.ts_open, made.ts_close, made.ts_event) == (at(0), at(10), at(10))


def test_every_span_has_a_record_and_quiet_ones_have_nothing() -> None:
    core = FlowImbalances(10, source="quotes")
    made: list[FlowImbalance] = taken(
        core, quote(12, 10, 1, 11, 1), quote(13, 10, 2, 11, 1), beat(45), quote(46, 10, 3, 11, 1), beat(50)
    )
    assert [((m.ts_open - ORIGIN) // SECOND, m.imbalance, m.updates, m.complete) for m in made] == [
        (10, 1.0, 1, False),
        (20, 0.0, 0, True),
        (30, 0.0, 0, True),
        (40, 1.0, 1, True),
    ]


def test_nothing_is_compared_across_a_snapshot_or_an_empty_side() -> None:
    core = FlowImbalances(10)
    made = taken(
        core,
        snapshot(1, [(10.0, 5.0)], [(11.0, 5.0)]),
        snapshot(2, [(10.0, 50.0)], [(11.0, 5.0)], seq=7, epoch=2),
        delta(3, [(10.0, 0.0)], [], seq=8, epoch=2),
        delta(4, [(10.0, 3.0)], [], seq=9, epoch=2),
        delta(5, [(10.0, 4.0)], [], seq=10, epoch=2),
        beat(10),
    )
    assert [(m.imbalance, m.updates) for m in made] == [(1.0, 1)]


def test_a_loss_within_a_span_shows() -> None:
    core = FlowImbalances(10, source="quotes")
    first, second, third = taken(
        core, quote(1, 10, 1, 11, 1), beat(10), status(15, "conflated", "quotes A/B"), beat(20), beat(30)
    )
    assert (first.complete, second.complete, third.complete) == (False, False, True)


@settings(max_examples=80, deadline=None)
@given(book_streams(), st.sampled_from([1, 4, 10]))
def test_imbalances_are_what_dictionaries_and_fractions_say(events, interval: int) -> None:
    core = FlowImbalances(interval)
    end = max((e.ts_recv for e in events), default=at(0)) + 2 * interval * SECOND
    made = taken(core, *events, Heartbeat("", "", 0, 0, end))
    expected: dict[tuple[str, int], Fraction] = defaultdict(Fraction)
    books: dict[str, Plain] = {}
    last: dict[str, tuple | None] = {}
    first: dict[str, int] = {}
    for event in events:
        book = books.setdefault(event.symbol, Plain())
        book.take(event)
        span = event.ts_recv // (interval * SECOND)
        first.setdefault(event.symbol, span)
        now = None
        if book.bids and book.asks:
            bid, ask = max(book.bids), min(book.asks)
            now = (bid, Fraction(repr(book.bids[bid])), ask, Fraction(repr(book.asks[ask])))
        before = last.get(event.symbol)
        if now and before and not isinstance(event, BookSnapshot):
            value = now[1] * (now[0] >= before[0]) - before[1] * (now[0] <= before[0])
            value += before[3] * (now[2] >= before[2]) - now[3] * (now[2] <= before[2])
            expected[event.symbol, span] += value
        last[event.symbol] = now
    found = {(m.symbol, m.ts_open // (interval * SECOND)): m.imbalance for m in made}
    spans = {(symbol, span) for symbol, start in first.items() for span in range(start, end // (interval * SECOND))}
    assert set(found) == spans
    assert found == {key: float(expected[key]) for key in spans}


def test_settings_that_mean_nothing_are_refused() -> None:
    for wrong in (
        lambda: BookSamples(0),
        lambda: BookSamples(1, depth=0),
        lambda: FlowImbalances(1, source="trades"),  # type: ignore[arg-type]
    ):
        with pytest.raises(ConfigError):
            wrong()


YEAR = 365 * 86_400


def test_a_clock_that_was_a_year_ahead_for_a_moment_does_not_end_the_samples() -> None:
    core = BookSamples(60)
    records = [snapshot(5, *BOOK), beat(YEAR), status(YEAR, "gap"), beat(65), snapshot(66, *BOOK), beat(125), beat(185)]
    made = taken(core, *records)
    assert [(s.ts_event, s.stale) for s in made] == [(at(60), False), (at(120), False), (at(180), False)]


def test_a_clock_that_was_a_year_ahead_for_a_moment_does_not_end_the_imbalances() -> None:
    core = FlowImbalances(60, source="quotes")
    records = [quote(5, 99, 1, 101, 1), quote(6, 99, 3, 101, 1), quote(YEAR, 99, 7, 101, 1)]
    made = taken(core, *records, quote(65, 99, 8, 101, 1), quote(130, 99, 9, 101, 1), beat(185))
    assert [(f.ts_open, f.imbalance, f.updates) for f in made] == [
        (at(0), 2.0, 1), (at(60), 1.0, 1), (at(120), 1.0, 1),
    ]  # fmt: skip
    assert made[-1].complete
