"""Trade bars: by time and by volume."""

from __future__ import annotations

from collections.abc import AsyncIterable, Iterable, Iterator
from decimal import Context, Decimal
from typing import Final, Literal, TypeAlias

from unitape.derive.base import MOST_BACK, MOST_PASSED, Derived, derived, nanoseconds
from unitape.derive.records import TradeBar
from unitape.derive.trust import Key, Trust
from unitape.errors import ConfigError
from unitape_schemas import EventHead, Status, Trade

__all__ = ["BarClock", "EmptyBars", "TimeBars", "VolumeBars", "time_bars", "volume_bars"]

BarClock: TypeAlias = Literal["ts_event", "ts_recv"]
EmptyBars: TypeAlias = Literal["skip", "fill"]

MOST_AHEAD: Final = 1_000
"""Bars that a trade's own time may lie ahead of the newest arrival; beyond, its time is taken for wrong."""
MOST_BARS_PER_TRADE: Final = 1_000
"""Volume bars that one trade may fill; what is beyond goes into the last of them."""
DEFAULT_LATENESS: Final[dict[BarClock, float]] = {"ts_event": 1.0, "ts_recv": 0.0}

# Wide enough that no sum of products of doubles is ever rounded.
_EXACT: Final = Context(prec=120)
_ZERO: Final = Decimal(0)


class _Sums:
    """What trades come to so far."""

    __slots__ = ("buy", "close", "first", "high", "last", "low", "open", "quote", "recv", "trades", "volume")

    def __init__(self, price: float, ts: int, ts_recv: int) -> None:
        self.open = self.high = self.low = self.close = price
        self.first = self.last = ts
        self.recv = ts_recv
        self.volume = self.buy = self.quote = _ZERO
        self.trades = 0

    def add(self, price: float, size: Decimal, ts: int, *, bought: bool) -> None:
        self.high = max(self.high, price)
        self.low = min(self.low, price)
        self.close = price
        self.last = ts
        self.volume = _EXACT.add(self.volume, size)
        self.quote = _EXACT.add(self.quote, _EXACT.multiply(size, Decimal(repr(price))))
        if bought:
            self.buy = _EXACT.add(self.buy, size)
        self.trades += 1


class _Symbol:
    """The bars of one symbol."""

    def __init__(self) -> None:
        self.open: dict[int, _Sums] = {}
        self.next: int | None = None
        """The bar that is handed over next, once one was."""
        self.close: float | None = None
        self.left_out = 0


class TimeBars:
    """Open, high, low, close and volume of spans of time that begin at multiples of ``seconds`` since 1970.

    A trade belongs to the bar that its time falls into: with ``by="ts_event"`` the venue's own time, or the arrival
    where the venue gives none; with ``"ts_recv"`` the arrival. A bar covers its start and not its end. It is handed
    over by the first record of any kind, of any symbol, that arrives ``lateness`` seconds or more after its end
    (default 1 by the venue's time, 0 by arrival); so one stream's bars come in the order of their ends, then of the
    symbols' first trades. Where everything may fall silent, put ``heartbeats`` before it.

    An arrival more than 1,000 bars behind the newest one is a clock that was set back: what is open is handed over as
    not complete, and counting begins anew. More than 10,000 empty bars in a row are not filled in.

    A trade whose bar is past by that rule is left out; so is one whose time lies 1,000 bars ahead of the arrivals. Both
    are counted in ``left_out``, of the core and of the symbol's next bar.

    A span without trades has no bar; with ``empty="fill"`` it has one from the symbol's first bar on, its four prices
    the last close and its sums 0. At the end of the stream what is open is handed over, as not complete.
    """

    def __init__(
        self,
        seconds: float,
        *,
        by: BarClock = "ts_event",
        lateness: float | None = None,
        empty: EmptyBars = "skip",
    ) -> None:
        if by not in DEFAULT_LATENESS or empty not in ("skip", "fill"):
            raise ConfigError(f"by is ts_event or ts_recv, empty is skip or fill; not {by!r} and {empty!r}")
        wait = DEFAULT_LATENESS[by] if lateness is None else lateness
        if not wait >= 0:
            raise ConfigError(f"lateness cannot be {wait} s")
        self._span = nanoseconds(seconds, "the length of a bar")
        self._by_event = by == "ts_event"
        self._lateness = round(wait * 1e9)
        self._fill = empty == "fill"
        self._symbols: dict[Key, _Symbol] = {}
        self._trust = Trust("trades")
        self._now = 0
        self._past = 0
        self.left_out = 0
        """Trades that are in no bar."""

    def take(self, record: EventHead, /) -> Iterator[TradeBar]:
        """Take one record and yield the bars that are over."""
        if record.ts_recv > self._now:
            self._now = record.ts_recv
            past = (self._now - self._lateness) // self._span
            if past > self._past:
                if self._fill and past - self._past > MOST_PASSED:
                    yield from self._cut()
                yield from self._until(past)
                self._past = past
        elif self._now - record.ts_recv > MOST_BACK * self._span:
            yield from self._cut(whole=False)
            self._now = record.ts_recv
            self._past = (self._now - self._lateness) // self._span
            self._trust.restart(self._now)
        if isinstance(record, Trade):
            self._add(record)
        elif isinstance(record, Status):
            self._trust.note(record)

    def finish(self) -> Iterator[TradeBar]:
        """Yield the bars that are open, as not complete."""
        yield from self._cut(whole=False)

    def _cut(self, *, whole: bool = True) -> Iterator[TradeBar]:
        """Yield the bars that are open; the next ones do not follow on them."""
        last = max((index for symbol in self._symbols.values() for index in symbol.open), default=-1)
        yield from self._until(last + 1, cut=not whole)
        for symbol in self._symbols.values():
            symbol.next = None

    def _add(self, trade: Trade) -> None:
        key = (trade.venue, trade.symbol)
        symbol = self._symbols.get(key)
        if symbol is None:
            symbol = self._symbols[key] = _Symbol()
        self._trust.seen(key, trade.ts_recv)
        ts = trade.ts_event if self._by_event and trade.ts_event else trade.ts_recv
        index = ts // self._span
        if index < self._past or index > self._now // self._span + MOST_AHEAD:
            symbol.left_out += 1
            self.left_out += 1
            return
        sums = symbol.open.get(index)
        if sums is None:
            sums = symbol.open[index] = _Sums(trade.price, ts, trade.ts_recv)
        sums.add(trade.price, Decimal(repr(trade.size)), ts, bought=trade.side == "buy")

    def _until(self, past: int, *, cut: bool = False) -> Iterator[TradeBar]:
        """Yield the bars before this one."""
        if self._fill:
            starts = [
                symbol.next if symbol.next is not None else min(symbol.open, default=past)
                for symbol in self._symbols.values()
            ]
            due: Iterable[int] = range(min(starts, default=past), past)
        else:
            due = sorted({index for symbol in self._symbols.values() for index in symbol.open if index < past})
        for index in due:
            for key, symbol in self._symbols.items():
                sums = symbol.open.pop(index, None)
                if sums is not None:
                    yield self._bar(key, symbol, index, sums, cut)
                elif self._fill and symbol.next == index:
                    yield self._bar(key, symbol, index, None, cut)

    def _bar(self, key: Key, symbol: _Symbol, index: int, sums: _Sums | None, cut: bool) -> TradeBar:
        start, end = index * self._span, (index + 1) * self._span
        if sums is None:
            assert symbol.close is not None
            sums = _Sums(symbol.close, start, self._now)
        symbol.close = sums.close
        symbol.next = index + 1
        left_out, symbol.left_out = symbol.left_out, 0
        return _bar("time", key, start, end, end, self._now, sums, left_out, not cut and self._trust.holds(key, start))


class VolumeBars:
    """Bars that hold exactly ``size`` base units each.

    A trade that is larger than what is missing is split: it fills this bar, and its rest begins the next ones, of which
    it fills at most 1,000; if more remains, the last of them takes the whole multiples of ``size``. A bar is handed
    over by the trade that fills it; ``ts_open`` and ``ts_close`` are the times of its first and last trade: the
    venue's, or the arrival where it gives none. Trades count in the order in which they arrive, whatever their times.
    Sums are decimal, so a bar of 0.3 is filled by three trades of 0.1.

    At the end of the stream the bar that is not full is handed over, as not complete.
    """

    def __init__(self, size: float | Decimal | str) -> None:
        self._size = Decimal(repr(size) if isinstance(size, float) else size)
        if not self._size.is_finite() or self._size <= 0:
            raise ConfigError(f"the size of a bar must be positive, not {size}")
        self._open: dict[Key, _Sums] = {}
        self._trust = Trust("trades")

    def take(self, record: EventHead, /) -> Iterator[TradeBar]:
        """Take one record and yield the bars that it fills."""
        if isinstance(record, Trade):
            yield from self._add(record)
        elif isinstance(record, Status):
            self._trust.note(record)

    def finish(self) -> Iterator[TradeBar]:
        """Yield the bars that are open, as not complete."""
        for key, sums in self._open.items():
            yield _bar("volume", key, sums.first, sums.last, sums.last, sums.recv, sums, 0, False)
        self._open.clear()

    def _add(self, trade: Trade) -> Iterator[TradeBar]:
        key = (trade.venue, trade.symbol)
        self._trust.seen(key, trade.ts_recv)
        ts = trade.ts_event or trade.ts_recv
        bought = trade.side == "buy"
        rest = Decimal(repr(trade.size))
        filled = 0
        while rest > 0:
            sums = self._open.get(key)
            if sums is None:
                sums = self._open[key] = _Sums(trade.price, ts, trade.ts_recv)
            part = min(rest, _EXACT.subtract(self._size, sums.volume))
            if filled == MOST_BARS_PER_TRADE - 1 and rest > self._size:
                part = _EXACT.subtract(rest, _EXACT.remainder(rest, self._size))
            sums.add(trade.price, part, ts, bought=bought)
            rest = _EXACT.subtract(rest, part)
            if sums.volume < self._size:
                return
            del self._open[key]
            filled += 1
            whole = self._trust.holds(key, sums.recv)
            yield _bar("volume", key, sums.first, sums.last, sums.last, trade.ts_recv, sums, 0, whole)


def _bar(
    kind: Literal["time", "volume"],
    key: Key,
    start: int,
    end: int,
    ts: int,
    ts_recv: int,
    sums: _Sums,
    left_out: int,
    complete: bool,
) -> TradeBar:
    return TradeBar(
        *key,
        ts,
        0,
        ts_recv,
        kind,
        start,
        end,
        sums.open,
        sums.high,
        sums.low,
        sums.close,
        float(sums.volume),
        float(sums.buy),
        float(sums.quote),
        sums.trades,
        left_out,
        complete,
    )


def time_bars(
    records: AsyncIterable[EventHead],
    seconds: float,
    *,
    by: BarClock = "ts_event",
    lateness: float | None = None,
    empty: EmptyBars = "skip",
) -> Derived[TradeBar]:
    """Return the ``TimeBars`` of a stream, for example of ``router.stream()``."""
    return derived(records, TimeBars(seconds, by=by, lateness=lateness, empty=empty))


def volume_bars(records: AsyncIterable[EventHead], size: float | Decimal | str) -> Derived[TradeBar]:
    """Return the ``VolumeBars`` of a stream."""
    return derived(records, VolumeBars(size))
