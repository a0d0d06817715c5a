"""Bars against what fractions and plain lists say."""

from __future__ import annotations

from collections import defaultdict
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unitape.derive import Heartbeat, TimeBars, TradeBar, VolumeBars, derived_from
from unitape.errors import ConfigError
from unitape_schemas import EventHead, Status, Trade

SECOND = 1_000_000_000
ORIGIN = 1_793_923_200 * SECOND


def trade(
    at: float,
    price: float = 10.0,
    size: float = 1.0,
    *,
    event: float | None = None,
    symbol: str = "A/B",
    side: str = "buy",
) -> Trade:
    """A trade that arrives ``at`` seconds; ``event`` is the venue's time, None where it gives none."""
    ts = 0 if event is None else ORIGIN + round(event * SECOND)
    return Trade("toy", symbol, ts, 0, ORIGIN + round(at * SECOND), None, price, size, side)  # type: ignore[arg-type]


def status(at: float, code: str, *, symbol: str = "A/B", channel: str | None = "trades", count: int | None = None):
    key = None if channel is None else f"{channel} {symbol}"
    where = "" if channel is None else symbol
    return Status("toy", where, 0, 0, ORIGIN + round(at * SECOND), code, key, count, "")  # type: ignore[arg-type]


def beat(at: float) -> Heartbeat:
    return Heartbeat("", "", 0, 0, ORIGIN + round(at * SECOND))


def seconds(bar: TradeBar) -> tuple[float, float]:
    return (bar.ts_open - ORIGIN) / SECOND, (bar.ts_close - ORIGIN) / SECOND


def taken(core: TimeBars | VolumeBars, *records: EventHead) -> list[TradeBar]:
    return [bar for record in records for bar in core.take(record)]


# Time


def test_a_bar_holds_its_start_and_not_its_end() -> None:
    core = TimeBars(10, by="ts_recv")
    bars = taken(core, trade(0, 5.0), trade(9.999999999, 7.0), trade(10, 6.0), trade(20, 1.0))
    assert [(seconds(bar), bar.open, bar.high, bar.low, bar.close, bar.trades) for bar in bars] == [
        ((0, 10), 5.0, 7.0, 5.0, 7.0, 2),
        ((10, 20), 6.0, 6.0, 6.0, 6.0, 1),
    ]
    assert bars[0].ts_event == bars[0].ts_close
    assert bars[0].ts_recv == ORIGIN + 10 * SECOND, "the arrival of what brought it out"


def test_sums_are_those_of_the_venues_digits() -> None:
    core = TimeBars(10, by="ts_recv")
    bars = taken(core, *(trade(i / 10, 0.1, 0.1, side="buy" if i % 2 else "sell") for i in range(30)), trade(10))
    assert (bars[0].volume, bars[0].buy_volume, bars[0].quote_volume, bars[0].trades) == (3.0, 1.5, 0.3, 30)
    assert bars[0].vwap == pytest.approx(0.1)


def test_the_venues_time_places_a_trade_and_the_arrival_where_there_is_none() -> None:
    core = TimeBars(10)
    records = [trade(9.5, 1.0, event=9.4), trade(10.4, 2.0, event=9.9), trade(10.5, 3.0), trade(10.6, 4.0, event=10.1)]
    bars = taken(core, *records, beat(22))
    assert [(seconds(bar), bar.open, bar.close, bar.trades) for bar in bars] == [
        ((0, 10), 1.0, 2.0, 2),
        ((10, 20), 3.0, 4.0, 2),
    ]


def test_a_bar_closes_its_lateness_after_its_end_by_whatever_arrives() -> None:
    core = TimeBars(10, lateness=2)
    assert taken(core, trade(1, event=1), beat(11.999999999)) == []
    assert [seconds(bar) for bar in core.take(beat(12))] == [(0, 10)]
    core = TimeBars(10, lateness=2)
    assert taken(core, trade(1, event=1)) == []
    assert [seconds(bar) for bar in core.take(trade(12, event=11, symbol="C/D"))] == [(0, 10)]


def test_a_late_trade_is_left_out_and_counted_in_the_next_bar() -> None:
    core = TimeBars(10, lateness=1)
    first = taken(core, trade(1, 5.0, event=1), beat(11), trade(11.1, 9.0, event=9.9), trade(12, 6.0, event=12))
    assert [(bar.high, bar.left_out) for bar in first] == [(5.0, 0)]
    second = taken(core, beat(21))
    assert [(bar.open, bar.high, bar.trades, bar.left_out) for bar in second] == [(6.0, 6.0, 1, 1)]
    assert core.left_out == 1
    assert [bar.left_out for bar in taken(core, trade(22, event=22), beat(31))] == [0]


def test_the_trade_that_closes_a_bar_comes_after_the_closing() -> None:
    core = TimeBars(10, lateness=1)
    bars = taken(core, trade(1, 5.0, event=1), trade(11, 8.0, event=9.99))
    assert [(bar.high, bar.trades) for bar in bars] == [(5.0, 1)]
    assert core.left_out == 1


def test_a_time_far_in_the_future_is_taken_for_wrong() -> None:
    core = TimeBars(10)
    assert taken(core, trade(1, event=1), trade(2, event=10_100), beat(12))[0].trades == 1
    assert core.left_out == 1


def test_empty_spans_have_no_bar_or_one_at_the_last_price() -> None:
    records = [trade(1, 5.0), trade(2, 6.0), trade(41, 7.0), beat(50)]
    assert [seconds(bar) for bar in taken(TimeBars(10, by="ts_recv"), *records)] == [(0, 10), (40, 50)]
    filled = taken(TimeBars(10, by="ts_recv", empty="fill"), *records)
    assert [seconds(bar) for bar in filled] == [(0, 10), (10, 20), (20, 30), (30, 40), (40, 50)]
    for bar in filled[1:4]:
        assert (bar.open, bar.high, bar.low, bar.close) == (6.0,) * 4
        assert (bar.volume, bar.quote_volume, bar.trades, bar.vwap) == (0.0, 0.0, 0, None)


def test_years_of_silence_between_two_trades_cost_nothing() -> None:
    core = TimeBars(0.001, by="ts_recv")
    assert len(taken(core, trade(0), trade(10 * 365 * 86_400), beat(10 * 365 * 86_400 + 1))) == 2


def test_bars_of_several_symbols_come_in_the_order_of_their_ends() -> None:
    core = TimeBars(10, by="ts_recv", empty="fill")
    records = [trade(1, symbol="X/Y"), trade(2), trade(12), trade(13, symbol="X/Y"), trade(35)]
    assert [(bar.symbol, seconds(bar)[0]) for bar in taken(core, *records)] == [
        ("X/Y", 0),
        ("A/B", 0),
        ("X/Y", 10),
        ("A/B", 10),
        ("X/Y", 20),
        ("A/B", 20),
    ]


def test_the_end_hands_over_what_is_open_as_not_complete() -> None:
    core = TimeBars(10, by="ts_recv")
    assert [seconds(bar) for bar in taken(core, status(0, "subscribed"), trade(1), trade(12))] == [(0, 10)]
    (bar,) = core.finish()
    assert (seconds(bar), bar.complete) == ((10, 20), False)
    assert list(core.finish()) == []


COMPLETE = [
    # what the stream says before, within and after the bar from 10 to 20, and whether that bar is complete
    ("from before its start", [status(5, "subscribed"), trade(12), beat(20)], True),
    ("from its very start", [status(10, "subscribed"), trade(12), beat(20)], True),
    ("subscribed within it", [status(11, "subscribed"), trade(12), beat(20)], False),
    ("began within it, statuses hidden", [trade(12), beat(20)], False),
    ("began before it, statuses hidden", [trade(2), trade(12), beat(20)], True),
    ("a gap within it", [trade(2), trade(12), status(13, "gap", count=1), beat(20)], False),
    ("a gap before it", [trade(2), status(3, "gap", count=1), trade(12), beat(20)], True),
    ("dropped by the consumer", [trade(2), trade(12), status(13, "dropped", count=1), beat(20)], False),
    ("another channel's gap", [trade(2), trade(12), status(13, "gap", channel="book"), beat(20)], True),
    ("another symbol's gap", [trade(2), trade(12), status(13, "gap", symbol="C/D"), beat(20)], True),
    (
        "disconnected and back within it",
        [trade(2), status(11, "disconnected", channel=None, count=3), status(12, "subscribed"), trade(13), beat(20)],
        False,
    ),
    (
        "disconnected before it, back within it",
        [trade(2), status(3, "disconnected", channel=None, count=3), status(12, "subscribed"), trade(13), beat(20)],
        False,
    ),
    (
        "disconnected before it, back before it",
        [trade(2), status(3, "disconnected", channel=None, count=3), status(9, "subscribed"), trade(13), beat(20)],
        True,
    ),
    (
        "a planned disconnection",
        [trade(2), status(11, "disconnected", channel=None, count=0), trade(13), beat(20)],
        True,
    ),
    ("stale, then data", [trade(2), status(3, "stale"), trade(13), beat(20)], False),
]


@pytest.mark.parametrize(("records", "complete"), [case[1:] for case in COMPLETE], ids=[case[0] for case in COMPLETE])
def test_a_bar_knows_whether_it_is_complete(records: list[EventHead], complete: bool) -> None:
    bars = {seconds(bar)[0]: bar for bar in taken(TimeBars(10, by="ts_recv"), *records)}
    assert bars[10].complete is complete


def test_bars_filled_while_nothing_was_heard_are_not_complete() -> None:
    core = TimeBars(10, by="ts_recv", empty="fill")
    bars = taken(
        core,
        status(0, "subscribed"),
        trade(5),
        status(15, "disconnected", channel=None, count=1),
        beat(40),
        status(41, "subscribed"),
        trade(55),
        beat(70),
    )
    assert [(seconds(bar)[0], bar.complete) for bar in bars] == [
        (0, True),
        (10, False),
        (20, False),
        (30, False),
        (40, False),
        (50, True),
        (60, True),
    ]


PRICES = st.sampled_from([0.1, 0.2, 0.30000000000000004, 7.0, 1e-8, 123456.789])
SIZES = st.sampled_from([0.0, 0.1, 0.25, 1e-9, 3.0, 12345.678])
TIMES = st.integers(0, 60)


@st.composite
def streams(draw: st.DrawFn) -> list[Trade]:
    """Trades in the order of arrival, with venue times that run behind, ahead, or are not given."""
    now = 0.0
    found = []
    for _ in range(draw(st.integers(0, 25))):
        now += draw(st.integers(0, 60)) / 4
        shift = draw(st.sampled_from([None, None, 0.0, -0.25, -0.75, -1.5, -12.0, 0.5, 30.0]))
        event = None if shift is None else max(0.25, now + shift)
        symbol = draw(st.sampled_from(["A/B", "C/D"]))
        side = draw(st.sampled_from(["buy", "sell"]))
        found.append(trade(now, draw(PRICES), draw(SIZES), event=event, symbol=symbol, side=side))
    return found


@settings(max_examples=100, deadline=None)
@given(streams(), st.sampled_from([1, 3, 10]), st.sampled_from([0.0, 1.0, 5.0]), st.booleans(), st.booleans())
def test_time_bars_are_what_lists_and_fractions_say(
    trades: list[Trade], length: int, lateness: float, by_event: bool, fill: bool
) -> None:
    core = TimeBars(
        length, by="ts_event" if by_event else "ts_recv", lateness=lateness, empty="fill" if fill else "skip"
    )
    end = max((t.ts_recv for t in trades), default=ORIGIN) + 200 * SECOND
    found = taken(core, *trades, Heartbeat("", "", 0, 0, end))
    assert list(core.finish()) == []

    span = length * SECOND
    kept: dict[tuple[str, int], list[Trade]] = defaultdict(list)
    late = 0
    newest = 0
    for one in trades:
        newest = max(newest, one.ts_recv)
        time = one.ts_event if by_event and one.ts_event else one.ts_recv
        start = time - time % span
        if start + span + lateness * SECOND <= newest:
            late += 1
        else:
            kept[one.symbol, start].append(one)
    expected = {}
    for (symbol, start), part in kept.items():
        volume = sum(Fraction(repr(t.size)) for t in part)
        bought = sum(Fraction(repr(t.size)) for t in part if t.side == "buy")
        quote = sum(Fraction(repr(t.size)) * Fraction(repr(t.price)) for t in part)
        prices = [t.price for t in part]
        expected[symbol, start] = (
            prices[0],
            max(prices),
            min(prices),
            prices[-1],
            float(volume),
            float(bought),
            float(quote),
            len(part),
        )
    if fill:
        for symbol in {symbol for symbol, _ in kept}:
            starts = sorted(start for name, start in kept if name == symbol)
            start, close = starts[0], 0.0
            while start + span + lateness * SECOND <= end:
                if (symbol, start) in expected:
                    close = expected[symbol, start][3]
                else:
                    expected[symbol, start] = (close, close, close, close, 0.0, 0.0, 0.0, 0)
                start += span
    got = {
        (b.symbol, b.ts_open): (b.open, b.high, b.low, b.close, b.volume, b.buy_volume, b.quote_volume, b.trades)
        for b in found
    }
    assert len(got) == len(found), "no bar twice"
    assert got == expected
    assert core.left_out == late
    assert [b.ts_close for b in found] == sorted(b.ts_close for b in found)


# Volume


def test_a_trade_is_split_over_the_bars_that_it_fills() -> None:
    core = VolumeBars(1)
    bars = taken(core, trade(1, 5.0, 0.4), trade(2, 6.0, 2.1, side="sell"), trade(3, 7.0, 0.5))
    assert [(b.open, b.close, b.volume, b.buy_volume, b.trades) for b in bars] == [
        (5.0, 6.0, 1.0, 0.4, 2),
        (6.0, 6.0, 1.0, 0.0, 1),
        (6.0, 7.0, 1.0, 0.5, 2),
    ]
    assert [seconds(b) for b in bars] == [(1, 2), (2, 2), (2, 3)]
    assert list(core.finish()) == []


def test_a_third_is_filled_by_three_tenths() -> None:
    assert len(taken(VolumeBars("0.3"), *(trade(i, 1.0, 0.1) for i in range(9)))) == 3
    assert len(taken(VolumeBars(0.3), *(trade(i, 1.0, 0.1) for i in range(9)))) == 3


def test_the_open_bar_is_handed_over_at_the_end_as_not_complete() -> None:
    core = VolumeBars(1)
    assert [b.complete for b in taken(core, trade(1, size=1.5))] == [True]
    (rest,) = core.finish()
    assert (rest.volume, rest.complete) == (0.5, False)


def test_a_gap_within_a_volume_bar_shows() -> None:
    core = VolumeBars(1)
    bars = taken(core, trade(1, size=0.5), status(2, "gap", count=2), trade(3, size=0.5), trade(4, size=1.0))
    assert [b.complete for b in bars] == [False, True]


def test_one_trade_fills_at_most_a_thousand_bars_and_loses_nothing() -> None:
    core = VolumeBars(0.001)
    bars = [*taken(core, trade(1, 2.0, 5.0005)), *core.finish()]
    assert len(bars) == 1001
    assert sum(Fraction(repr(b.volume)) for b in bars) == Fraction("5.0005")
    assert (bars[998].volume, bars[999].volume, bars[1000].volume) == (0.001, 4.001, 0.0005)


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.tuples(PRICES, SIZES.filter(lambda s: s < 100), st.booleans()), max_size=40),
    st.sampled_from(["0.3", "1", "2.5"]),
)
def test_volume_bars_are_what_fractions_say(rows: list[tuple[float, float, bool]], size: str) -> None:
    trades = [
        trade(i, price, amount, side="buy" if bought else "sell") for i, (price, amount, bought) in enumerate(rows)
    ]
    core = VolumeBars(size)
    found = [*taken(core, *trades), *core.finish()]

    # Lay all trades end to end on a line of volume, and cut it.
    whole = Fraction(size)
    total = sum((Fraction(repr(t.size)) for t in trades), Fraction())
    count = -(-total // whole)
    assert len(found) == count
    for index, bar in enumerate(found):
        low, high = whole * index, min(whole * (index + 1), total)
        at = Fraction()
        parts = []
        for t in trades:
            begin, at = at, at + Fraction(repr(t.size))
            overlap = min(at, high) - max(begin, low)
            if overlap > 0:
                parts.append((t, overlap))
        prices = [t.price for t, _ in parts]
        assert (bar.open, bar.high, bar.low, bar.close) == (prices[0], max(prices), min(prices), prices[-1])
        assert bar.volume == float(high - low)
        assert bar.buy_volume == float(sum(part for t, part in parts if t.side == "buy"))
        assert bar.quote_volume == float(sum(part * Fraction(repr(t.price)) for t, part in parts))
        assert bar.trades == len(parts)


def test_settings_that_mean_nothing_are_refused() -> None:
    for wrong in (
        lambda: TimeBars(0),
        lambda: TimeBars(60, by="ts_sent"),  # type: ignore[arg-type]
        lambda: TimeBars(60, empty="zero"),  # type: ignore[arg-type]
        lambda: TimeBars(60, lateness=-1),
        lambda: VolumeBars(0),
        lambda: VolumeBars("nan"),
    ):
        with pytest.raises(ConfigError):
            wrong()


def test_stored_records_give_the_same_bars_as_the_stream() -> None:
    trades = [trade(i, 1.0 + i, 0.5) for i in range(50)]
    core = TimeBars(10, by="ts_recv")
    assert list(derived_from(trades, TimeBars(10, by="ts_recv"))) == [*taken(core, *trades), *core.finish()]


# Clocks that are set


YEAR = 365 * 86_400


def test_a_clock_that_was_a_year_ahead_for_a_moment_does_not_end_the_bars() -> None:
    core = TimeBars(60, by="ts_recv")
    bars = taken(core, trade(5), trade(YEAR), trade(65, 20.0), trade(125), trade(185))
    later = [(seconds(bar), bar.open, bar.complete) for bar in bars if 0 < seconds(bar)[0] < YEAR / 2]
    assert later == [((60, 120), 20.0, False), ((120, 180), 10.0, True)]
    assert core.left_out == 0


def test_a_clock_that_lags_a_little_changes_nothing() -> None:
    core = TimeBars(60, by="ts_recv")
    assert taken(core, trade(5), trade(125), trade(65)) == taken(TimeBars(60, by="ts_recv"), trade(5), trade(125))
    assert core.left_out == 1


def test_a_year_ahead_is_not_filled_with_empty_bars() -> None:
    core = TimeBars(1, by="ts_recv", empty="fill")
    bars = taken(core, trade(0), trade(3), trade(YEAR), trade(YEAR + 2))
    assert [seconds(bar)[0] for bar in bars][:4] == [0, 1, 2, 3]
    assert len(bars) == 4 + 2, "the year itself has no bars"
