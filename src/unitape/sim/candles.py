"""Candles and day statistics of one instrument, kept as minutes."""

from __future__ import annotations

from datetime import UTC, datetime
from random import Random
from typing import Final

from unitape.spi.simulation import Bar, DayStats, SimTrade
from unitape_schemas import Interval

__all__ = ["CandleStore", "candle_start", "next_candle"]

SECOND_NS: Final = 1_000_000_000
MINUTE_NS: Final = 60 * SECOND_NS
DAY_NS: Final = 1_440 * MINUTE_NS
_WINDOW: Final = 1_440  # minutes of day statistics
_MINUTE_VOLATILITY: Final = 8e-4
_WEEK_OFFSET: Final = 4 * DAY_NS  # weeks start on Monday; 1970-01-05 was one

_FIXED: Final[dict[str, int]] = {
    "1s": SECOND_NS,
    "1m": MINUTE_NS,
    "3m": 3 * MINUTE_NS,
    "5m": 5 * MINUTE_NS,
    "15m": 15 * MINUTE_NS,
    "30m": 30 * MINUTE_NS,
    "1h": 60 * MINUTE_NS,
    "2h": 120 * MINUTE_NS,
    "4h": 240 * MINUTE_NS,
    "6h": 360 * MINUTE_NS,
    "8h": 480 * MINUTE_NS,
    "12h": 720 * MINUTE_NS,
    "1d": DAY_NS,
    "3d": 3 * DAY_NS,
    "1w": 7 * DAY_NS,
}


def candle_start(ts: int, interval: Interval) -> int:
    """Return the opening of the candle that holds this moment; all times in UTC nanoseconds."""
    if interval == "1M":
        moment = datetime.fromtimestamp(ts // SECOND_NS, UTC)
        return int(datetime(moment.year, moment.month, 1, tzinfo=UTC).timestamp()) * SECOND_NS
    offset = _WEEK_OFFSET if interval == "1w" else 0
    return ts - (ts - offset) % _FIXED[interval]


def next_candle(start: int, interval: Interval) -> int:
    """Return the opening of the candle after the one that opens at ``start``."""
    if interval == "1M":
        return candle_start(start + 31 * DAY_NS, interval)
    return start + _FIXED[interval]


class _Minute:
    """One minute's sums; flat at ``price`` until it is traded in."""

    __slots__ = (
        "amount",
        "close",
        "first_id",
        "high",
        "last_id",
        "low",
        "open",
        "taker_amount",
        "taker_volume",
        "trades",
        "volume",
    )

    def __init__(self, price: int) -> None:
        self.open = self.high = self.low = self.close = price
        self.volume = self.amount = self.trades = self.taker_volume = self.taker_amount = 0
        self.first_id = self.last_id = -1

    def add(self, price: int, size: int, taker_buys: bool, trade_id: int) -> None:
        if self.trades == 0:
            self.open = self.high = self.low = price
            self.first_id = trade_id
        self.high = max(self.high, price)
        self.low = min(self.low, price)
        self.close = price
        self.volume += size
        self.amount += price * size
        self.trades += 1
        self.last_id = trade_id
        if taker_buys:
            self.taker_volume += size
            self.taker_amount += price * size


class CandleStore:
    """Every minute since ``start``, and ``history_minutes`` before it, made up once they are asked for.

    The made-up past ends at ``price`` and uses the trade ids below ``first_trade_id``. ``path`` draws its prices, so
    that a currency has the same past on every venue, and ``random`` all else.
    """

    def __init__(
        self,
        *,
        start: int,
        price: int,
        lots: int,
        first_trade_id: int,
        history_minutes: int,
        path: Random,
        random: Random,
    ) -> None:
        self._origin = start // MINUTE_NS
        self._oldest = self._origin - history_minutes
        self._price = price
        self._lots = max(1, lots)
        self._first_trade_id = first_trade_id
        self._path = path
        self._random = random
        self._minutes = [_Minute(price)]
        self._last_size = 1
        self._window: tuple[int, int, int, int, int, int] | None = None

    def add(self, trade: SimTrade) -> None:
        """Count one trade. After the venue's clock jumped back, it goes into the last minute there is."""
        self._reach(trade.ts)
        self._minutes[-1].add(trade.price, trade.size, trade.taker == "buy", trade.id)
        self._last_size = trade.size

    def bars(self, interval: Interval, now: int, start: int | None, end: int | None, limit: int) -> list[Bar]:
        """Return candles of an interval of a minute or more, as ``Exchange.bars`` says."""
        self._reach(now)
        self._remember()
        oldest = candle_start(self._oldest * MINUTE_NS, interval)
        until = min(end if end is not None else now + 1, now + 1)
        opens: list[int] = []
        if start is not None and start >= until:
            return []
        if start is not None:
            at = candle_start(max(start, oldest), interval)
            if at < start:
                at = next_candle(at, interval)
            while at < until and len(opens) < limit:
                opens.append(at)
                at = next_candle(at, interval)
        else:
            at = candle_start(until - 1, interval)
            while at >= oldest and len(opens) < limit:
                opens.append(at)
                at = candle_start(at - 1, interval)
            opens.reverse()
        return [self._bar(at, next_candle(at, interval)) for at in opens]

    def day(self, now: int) -> DayStats:
        """Return the last 24 hours: whole minutes and the one that runs."""
        self._reach(now)
        self._remember()
        minutes = self._minutes
        last = len(minutes) - 1
        first = max(0, last - (_WINDOW - 1))
        volume, amount, trades, high, low = self._sums(first, last)
        running = minutes[last]
        return DayStats(
            open_ts=now - DAY_NS,
            close_ts=now,
            open=minutes[first].open,
            high=max(high, running.high),
            low=min(low, running.low),
            last=running.close,
            last_size=self._last_size,
            before=minutes[max(0, first - 1)].close,
            volume=volume + running.volume,
            amount=amount + running.amount,
            trades=trades + running.trades,
            first_id=next((minutes[n].first_id for n in range(first, last + 1) if minutes[n].trades), -1),
            last_id=next((minutes[n].last_id for n in range(last, first - 1, -1) if minutes[n].trades), -1),
        )

    def _sums(self, first: int, last: int) -> tuple[int, int, int, int, int]:
        """Return volume, amount, trades, high and low of [first, last), moving the last call's window along."""
        known, minutes = self._window, self._minutes
        if known is not None and known[0] == last:
            return known[1:]
        if known is not None and known[0] == last - 1 and first > 0:
            _, volume, amount, trades, high, low = known
            left, entered = minutes[first - 1], minutes[last - 1]
            volume += entered.volume - left.volume
            amount += entered.amount - left.amount
            trades += entered.trades - left.trades
            high = max(m.high for m in minutes[first:last]) if left.high == high else max(high, entered.high)
            low = min(m.low for m in minutes[first:last]) if left.low == low else min(low, entered.low)
        else:
            window = minutes[first:last] or [minutes[last]]
            volume = sum(m.volume for m in minutes[first:last])
            amount = sum(m.amount for m in minutes[first:last])
            trades = sum(m.trades for m in minutes[first:last])
            high = max(m.high for m in window)
            low = min(m.low for m in window)
        self._window = (last, volume, amount, trades, high, low)
        return (volume, amount, trades, high, low)

    def _bar(self, open_ts: int, close_ts: int) -> Bar:
        start = max(0, open_ts // MINUTE_NS - self._origin)
        part = self._minutes[start : close_ts // MINUTE_NS - self._origin]
        traded = [m for m in part if m.trades]
        price = part[0].open
        return Bar(
            open_ts=open_ts,
            close_ts=close_ts,
            open=traded[0].open if traded else price,
            high=max((m.high for m in traded), default=price),
            low=min((m.low for m in traded), default=price),
            close=traded[-1].close if traded else price,
            volume=sum(m.volume for m in traded),
            amount=sum(m.amount for m in traded),
            trades=sum(m.trades for m in traded),
            taker_volume=sum(m.taker_volume for m in traded),
            taker_amount=sum(m.taker_amount for m in traded),
            first_id=traded[0].first_id if traded else -1,
            last_id=traded[-1].last_id if traded else -1,
        )

    def _reach(self, ts: int) -> None:
        """Let minutes without trades stand at the price before."""
        wanted = ts // MINUTE_NS - self._origin + 1
        while len(self._minutes) < wanted:
            self._minutes.append(_Minute(self._minutes[-1].close))

    def _remember(self) -> None:
        """Make up the past, backwards from the opening price, unless that was done."""
        if self._origin == self._oldest:
            return
        random = self._random
        price, trade_id = self._price, self._first_trade_id
        past: list[_Minute] = []
        for _ in range(self._origin - self._oldest):
            minute = _Minute(price)
            swing = max(1, round(price * 4e-4))
            opening = max(1, round(price * (1 + self._path.gauss(0.0, _MINUTE_VOLATILITY))))
            minute.trades = random.randint(8, 40)
            minute.volume = minute.trades * max(1, round(self._lots * random.uniform(0.3, 1.7)))
            minute.taker_volume = round(minute.volume * random.uniform(0.2, 0.8))
            minute.open, minute.close = opening, price
            minute.high = max(opening, price) + random.randint(0, swing)
            minute.low = max(1, min(opening, price) - random.randint(0, swing))
            middle = (opening + price) // 2
            minute.amount = minute.volume * middle
            minute.taker_amount = minute.taker_volume * middle
            minute.last_id = trade_id - 1
            trade_id -= minute.trades
            minute.first_id = trade_id
            past.append(minute)
            price = opening
        past.reverse()
        self._minutes[:0] = past
        self._origin = self._oldest
        self._window = None
