from __future__ import annotations

from collections.abc import AsyncIterator
from fractions import Fraction
from math import isclose, nan

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from trio.testing import MockClock

from tests.router.fakes import FakeAdapter
from unitape.clock import LoopClock
from unitape.derive import (
    Averages,
    Batched,
    Chained,
    Changes,
    Heartbeat,
    MovingAverage,
    Through,
    TimeBars,
    TradeBar,
    batched,
    book_samples,
    changed,
    derived,
    derived_from,
    flow_imbalance,
    heartbeats,
    moving_average,
    time_bars,
    volume_bars,
)
from unitape.errors import ConfigError
from unitape.router import Router
from unitape_schemas import EventHead, Status, Trade

SECOND = 1_000_000_000
VALUES = st.floats(-1e9, 1e9, allow_nan=False)
VIRTUAL = pytest.param(("trio", {"clock": MockClock(autojump_threshold=0)}), id="virtual")


def trade(at: float, price: float = 10.0, symbol: str = "A/B") -> Trade:
    return Trade("toy", symbol, round(at * SECOND), 0, round(at * SECOND), None, price, 1.0, "buy")


def status(at: float) -> Status:
    return Status("toy", "", 0, 0, round(at * SECOND), "rotated", None, None, "")


def beat(at: float) -> Heartbeat:
    return Heartbeat("", "", 0, 0, round(at * SECOND))


def price(record: EventHead) -> float | None:
    return record.price if isinstance(record, Trade) else None


def averages(core: Averages, *records: EventHead) -> list[float]:
    return [made.average for record in records for made in core.take(record)]


@settings(max_examples=80, deadline=None)
@given(st.lists(VALUES, max_size=40), st.integers(1, 10))
def test_a_simple_average_is_the_mean_of_the_last_values(values: list[float], window: int) -> None:
    found = averages(Averages(price, window=window), *(trade(i, value) for i, value in enumerate(values)))
    expected = [
        float(sum(map(Fraction, values[i - window + 1 : i + 1])) / window) for i in range(window - 1, len(values))
    ]
    assert len(found) == len(expected)
    for a, b in zip(found, expected, strict=True):
        assert isclose(a, b, rel_tol=1e-15, abs_tol=1e-300), "correctly rounded, whatever cancels"


@settings(max_examples=80, deadline=None)
@given(st.lists(VALUES, min_size=1, max_size=30), st.integers(1, 20))
def test_an_exponential_average_weighs_by_its_window(values: list[float], window: int) -> None:
    found = averages(Averages(price, window=window, method="exponential"), *(trade(i, v) for i, v in enumerate(values)))
    weight = Fraction(2, window + 1)
    for count, average in enumerate(found, 1):
        # The closed form: the newest value weighs w, the one before it w(1-w), the first one what is left.
        terms = [weight * (1 - weight) ** age * Fraction(values[count - 1 - age]) for age in range(count - 1)]
        exact = sum(terms, (1 - weight) ** (count - 1) * Fraction(values[0]))
        assert isclose(average, float(exact), rel_tol=1e-9, abs_tol=1e-3)


def test_a_half_life_forgets_by_time() -> None:
    core = Averages(price, half_life=10)
    assert averages(core, trade(0, 0.0), trade(10, 8.0), trade(30, 8.0), trade(30, 0.0), trade(20, 100.0)) == [
        0.0,
        4.0,
        7.0,
        7.0,
        7.0,
    ]


def test_averages_keep_venues_and_symbols_apart_and_pass_over_what_has_no_value() -> None:
    core = Averages(price, window=2)
    records = [
        trade(1, 1.0),
        trade(2, 10.0, "C/D"),
        status(3),
        beat(4),
        trade(5, nan),
        trade(6, 3.0),
        trade(7, 30.0, "C/D"),
    ]
    made = [average for record in records for average in core.take(record)]
    assert [(a.symbol, a.value, a.average, a.window, a.method) for a in made] == [
        ("A/B", 3.0, 2.0, 2.0, "simple"),
        ("C/D", 30.0, 20.0, 2.0, "simple"),
    ]


def test_a_change_is_measured_from_what_was_passed_on() -> None:
    core = Changes(price, by=1.0)
    records = [trade(i, p) for i, p in enumerate([10.0, 10.6, 11.0, 11.2, 11.9, 10.1, 12.3])]
    assert [r.price for r in derived_from(records, core) if isinstance(r, Trade)] == [10.0, 11.2, 10.1, 12.3]
    percent = Changes(price, percent=10)
    records = [trade(i, p) for i, p in enumerate([100.0, 110.0, 110.1, 120.0, 122.0, 99.0])]
    assert [r.price for r in derived_from(records, percent) if isinstance(r, Trade)] == [100.0, 110.1, 122.0, 99.0]
    every = Changes(price)
    assert len(list(derived_from([trade(1, 1.0), trade(2, 1.0), trade(3, 2.0)], every))) == 2


def test_a_change_filter_passes_statuses_and_keeps_symbols_apart() -> None:
    records = [trade(1, 1.0), trade(2, 1.0, "C/D"), status(3), beat(4), trade(5, 1.0)]
    assert list(derived_from(records, Changes(price))) == [records[0], records[1], records[2]]


@settings(max_examples=80, deadline=None)
@given(st.lists(st.integers(0, 5), max_size=40), st.integers(1, 6), st.sampled_from([None, 1, 4]))
def test_batches_hold_everything_once_and_in_order(steps: list[int], most: int, seconds: int | None) -> None:
    records, now = [], 0
    for step in steps:
        now += step
        records.append(trade(now))
    lists = list(derived_from(records, Batched(most, seconds)))
    assert [record for batch in lists for record in batch] == records
    for place, batch in enumerate(lists):
        full = len(batch) == most
        assert 1 <= len(batch) <= most
        span = batch[-1].ts_recv - batch[0].ts_recv
        assert seconds is None or span < seconds * SECOND
        if not full and place + 1 < len(lists):
            assert seconds is not None
            assert lists[place + 1][0].ts_recv - batch[0].ts_recv >= seconds * SECOND, "not cut without a reason"


def test_a_heartbeat_ends_a_batch_and_is_in_none() -> None:
    core: Batched[EventHead] = Batched(10, 5)
    assert [*core.take(trade(1)), *core.take(beat(5))] == []
    assert list(core.take(beat(6))) == [[trade(1)]]


def test_averages_of_bars_in_one_pass_beside_the_events() -> None:
    trades = [trade(i, float(i)) for i in range(60)]
    close = Averages(lambda bar: bar.close, window=3)
    made = list(derived_from([*trades, beat(70)], Through(Trade), Chained(TimeBars(10, by="ts_recv"), close)))
    assert [m for m in made if isinstance(m, Trade)] == trades
    assert [m.close for m in made if isinstance(m, TradeBar)] == [9.0, 19.0, 29.0, 39.0, 49.0, 59.0]
    assert [m.average for m in made if isinstance(m, MovingAverage)] == [19.0, 29.0, 39.0, 49.0]
    assert made.index(trades[10]) < next(i for i, m in enumerate(made) if isinstance(m, TradeBar))


def test_settings_that_mean_nothing_are_refused() -> None:
    for wrong in (
        lambda: Averages(price),
        lambda: Averages(price, window=3, half_life=1.0),
        lambda: Averages(price, window=0),
        lambda: Averages(price, half_life=0.0),
        lambda: Averages(price, window=3, method="cubic"),  # type: ignore[arg-type]
        lambda: Changes(price, by=-1),
        lambda: Changes(price, by=1, percent=1),
        lambda: Batched(0),
        lambda: Batched(1, 0),
        lambda: derived(everything([])),
    ):
        with pytest.raises(ConfigError):
            wrong()


# Over live streams


async def everything(records: list[EventHead]) -> AsyncIterator[EventHead]:
    for record in records:
        yield record


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio", VIRTUAL])
async def test_every_function_takes_a_stream_and_gives_one() -> None:
    trades: list[EventHead] = [trade(i, float(i)) for i in range(25)]
    assert [bar.close async for bar in time_bars(everything(trades), 10, by="ts_recv")] == [9.0, 19.0, 24.0]
    assert [bar.volume async for bar in volume_bars(everything(trades), 10)] == [10.0, 10.0, 5.0]
    bars = time_bars(everything(trades), 10, by="ts_recv")
    assert [a.average async for a in moving_average(bars, lambda bar: bar.close, window=2)] == [14.0, 21.5]
    assert [len(batch) async for batch in batched(everything(trades), 10)] == [10, 10, 5]
    moved = changed(everything(trades), price, by=9.5)
    assert [r.price async for r in moved if isinstance(r, Trade)] == [0.0, 10.0, 20.0]
    assert [s async for s in book_samples(everything(trades), 1)] == []
    assert [f async for f in flow_imbalance(everything(trades), 1)] == []


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", [VIRTUAL])
async def test_a_bar_closes_in_time_where_nothing_arrives() -> None:
    adapter = FakeAdapter("toy")
    clock = LoopClock(0)
    async with Router(adapter) as router:
        clock.wall()
        begun = anyio.current_time()
        stream = heartbeats(router.batches(), 1.0, clock=clock)
        bars = time_bars(stream, 10, by="ts_recv")
        adapter.deliver(trade(1, 5.0))
        bar = await anext(bars)
        assert bar.close == 5.0
        assert 10.0 <= anyio.current_time() - begun <= 11.0


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", [VIRTUAL])
async def test_a_read_that_is_cancelled_has_lost_nothing() -> None:
    adapter = FakeAdapter("toy")
    async with Router(adapter) as router:
        bars = time_bars(router.stream(), 10, by="ts_recv")
        adapter.deliver(trade(1, 5.0))
        with anyio.move_on_after(1) as scope:
            await anext(bars)
        assert scope.cancelled_caught
        adapter.deliver(trade(2, 6.0), trade(10, 7.0))
        bar = await anext(bars)
        assert (bar.open, bar.close, bar.trades) == (5.0, 6.0, 2)
        await bars.aclose()
        assert [bar.close async for bar in bars] == [7.0]
