"""Streams of single values: moving averages, change filters, and batches of anything."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterable, Callable, Iterable, Iterator
from math import exp2, fsum, isfinite
from typing import Any, Final, Generic, Literal, TypeAlias, TypeVar

from unitape.derive.base import Derived, derived, nanoseconds
from unitape.derive.records import Heartbeat, MovingAverage
from unitape.derive.trust import Key
from unitape.errors import ConfigError
from unitape_schemas import EventHead

__all__ = ["Averages", "Batched", "Changes", "Method", "Value", "batched", "changed", "moving_average"]

Method: TypeAlias = Literal["simple", "exponential"]
Value: TypeAlias = Callable[[Any], float | None]
"""Reads the number of a record; None: the record has none and is not meant."""

RecordT = TypeVar("RecordT", bound=EventHead)

MOST_VALUES: Final = 100_000
"""Values that a simple average may reach back: it keeps that many for each symbol."""


class Averages:
    """Moving averages of what ``value`` reads from records, for each venue and symbol on its own.

    ``simple``: the mean of the last ``window`` values, from the ``window``-th on. ``exponential``: the first value,
    then each new value with the weight 2 / (``window`` + 1). With ``half_life`` in seconds instead, the weight is
    1 - 2 ** (-elapsed / half_life), by the records' ``ts_event`` (``ts_recv`` where that is 0); time that goes
    back counts as none. Records without a value, and values that are not finite, are passed over.
    """

    def __init__(
        self, value: Value, *, window: int | None = None, half_life: float | None = None, method: Method = "simple"
    ) -> None:
        if (window is None) == (half_life is None):
            raise ConfigError("an average needs either a window or a half-life")
        if window is not None and not 1 <= window <= MOST_VALUES:
            raise ConfigError(f"the window must be from 1 to {MOST_VALUES} values, not {window}")
        if half_life is not None:
            nanoseconds(half_life, "the half-life")
            method = "exponential"
        if method not in ("simple", "exponential"):
            raise ConfigError(f"no method {method!r}; choose simple or exponential")
        self._value = value
        self._window = window
        self._half_life = half_life
        self._method: Method = method
        self._values: dict[Key, deque[float]] = {}
        self._means: dict[Key, tuple[float, int]] = {}

    def take(self, record: EventHead, /) -> Iterator[MovingAverage]:
        """Take one record and yield the new average, if there is one."""
        value = None if isinstance(record, Heartbeat) else self._value(record)
        if value is None or not isfinite(value):
            return
        average = self._simple(record, value) if self._method == "simple" else self._exponential(record, value)
        if average is not None:
            window = float(self._window or self._half_life or 0)
            yield MovingAverage(
                *(record.venue, record.symbol, record.ts_event, 0, record.ts_recv),
                *(self._method, window, value, average),
            )

    def finish(self) -> Iterable[MovingAverage]:
        """Return nothing."""
        return ()

    def _simple(self, record: EventHead, value: float) -> float | None:
        key = (record.venue, record.symbol)
        values = self._values.get(key)
        if values is None:
            values = self._values[key] = deque(maxlen=self._window)
        values.append(value)
        return fsum(values) / len(values) if len(values) == self._window else None

    def _exponential(self, record: EventHead, value: float) -> float:
        key = (record.venue, record.symbol)
        ts = record.ts_event or record.ts_recv
        known = self._means.get(key)
        mean = value
        if known is not None:
            mean, before = known
            mean += self._weight(ts - before) * (value - mean)
            ts = max(ts, before)
        self._means[key] = (mean, ts)
        return mean

    def _weight(self, elapsed: int) -> float:
        if self._half_life is None:
            return 2.0 / (float(self._window or 1) + 1.0)
        return 1.0 - exp2(-max(0, elapsed) / 1e9 / self._half_life)


class Changes:
    """Passes a record on when its value differs from that of the last one that was passed on by more than ``by``.

    For each venue and symbol on its own; the first is passed on. ``percent`` measures the difference against the last
    value instead. Records without a value are passed on, statuses for example; heartbeats are not.
    """

    def __init__(self, value: Value, *, by: float = 0.0, percent: float | None = None) -> None:
        if by < 0 or (percent is not None and (percent < 0 or by)):
            raise ConfigError("a change is measured by an amount or in percent, and is not negative")
        self._value = value
        self._by = by
        self._percent = percent
        self._last: dict[Key, float] = {}

    def take(self, record: EventHead, /) -> Iterable[EventHead]:
        """Return the record if it is passed on."""
        if isinstance(record, Heartbeat):
            return ()
        value = self._value(record)
        if value is None:
            return (record,)
        key = (record.venue, record.symbol)
        last = self._last.get(key)
        if last is not None:
            bound = self._by if self._percent is None else abs(last) * self._percent / 100.0
            if abs(value - last) <= bound:
                return ()
        self._last[key] = value
        return (record,)

    def finish(self) -> Iterable[EventHead]:
        """Return nothing."""
        return ()


class Batched(Generic[RecordT]):
    """Lists of at most ``most`` records, in their order, that arrived within less than ``seconds`` of each other.

    A list is handed over when it is full, when a record arrives ``seconds`` or more after its first one (which begins
    the next list), and at the end. Heartbeats let time pass and are in no list.
    """

    def __init__(self, most: int, seconds: float | None = None) -> None:
        if most < 1:
            raise ConfigError(f"a batch holds at least 1 record, not {most}")
        self._most = most
        self._span = None if seconds is None else nanoseconds(seconds, "the time of a batch")
        self._held: list[RecordT] = []

    def take(self, record: RecordT | Heartbeat, /) -> Iterator[list[RecordT]]:
        """Take one record and yield the lists that are done."""
        held = self._held
        if held and self._span is not None and record.ts_recv - held[0].ts_recv >= self._span:
            yield from self.finish()
        if not isinstance(record, Heartbeat):
            self._held.append(record)
            if len(self._held) >= self._most:
                yield from self.finish()

    def finish(self) -> Iterator[list[RecordT]]:
        """Yield the list that is not full, unless it is empty."""
        held, self._held = self._held, []
        if held:
            yield held


def moving_average(
    records: AsyncIterable[EventHead],
    value: Value,
    *,
    window: int | None = None,
    half_life: float | None = None,
    method: Method = "simple",
) -> Derived[MovingAverage]:
    """Return the ``Averages`` of a stream: ``moving_average(bars, lambda bar: bar.close, window=20)``."""
    return derived(records, Averages(value, window=window, half_life=half_life, method=method))


def changed(
    records: AsyncIterable[EventHead], value: Value, *, by: float = 0.0, percent: float | None = None
) -> Derived[EventHead]:
    """Return the records of a stream whose value has changed, as ``Changes`` says."""
    return derived(records, Changes(value, by=by, percent=percent))


def batched(records: AsyncIterable[EventHead], most: int, seconds: float | None = None) -> Derived[list[EventHead]]:
    """Return a stream as lists of at most ``most`` records, as ``Batched`` says."""
    core: Batched[EventHead] = Batched(most, seconds)
    return derived(records, core)
