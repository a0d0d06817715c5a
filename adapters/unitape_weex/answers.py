"""From bodies of HTTP answers to events. They say when something happened, if at all, and never when they were sent."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from unitape.errors import WireError
from unitape.spi import MILLISECOND, SECOND, Instruments, exact
from unitape_schemas import Candle, Event, Funding, Interval, MarkPrice, Quote, Ticker, Trade
from unitape_weex.wire import VENUE, BookTickerRow, PremiumRow, RestCandle, RestTicker, RestTrade

__all__ = ["LENGTHS", "candle", "forecasts", "mark_price", "opened", "quote", "ticker", "trades_oldest_first"]

_MS: Final = MILLISECOND
_MINUTE: Final = 60 * SECOND

LENGTHS: Final[dict[Interval, int]] = {
    "1m": _MINUTE,
    "5m": 5 * _MINUTE,
    "15m": 15 * _MINUTE,
    "30m": 30 * _MINUTE,
    "1h": 60 * _MINUTE,
    "2h": 120 * _MINUTE,
    "4h": 240 * _MINUTE,
    "6h": 360 * _MINUTE,
    "8h": 480 * _MINUTE,
    "12h": 720 * _MINUTE,
    "1d": 1440 * _MINUTE,
    "1w": 7 * 1440 * _MINUTE,
}
"""Nanoseconds; months are counted by the calendar."""


def opened(candle: Candle) -> int:
    """Return when a candle opens: the key to sort by."""
    return candle.ts_open


def trades_oldest_first(rows: list[RestTrade], symbol: str, ts_recv: int) -> list[Trade]:
    """Return trades by time. Rows come newest first, so those of one millisecond keep the reverse of their order."""
    ordered = rows[::-1]
    ordered.sort(key=lambda row: row.time)
    return [
        Trade(
            VENUE,
            symbol,
            row.time * _MS,
            0,
            ts_recv,
            row.id,
            row.price,
            row.qty,
            "sell" if row.is_buyer_maker else "buy",
        )
        for row in ordered
    ]


def candle(row: RestCandle, symbol: str, interval: Interval, ts_recv: int) -> Candle:
    """The end is counted from the interval: the venue's own close time is exclusive here and inclusive there."""
    start = row[0] * _MS
    end = start + LENGTHS[interval] if interval in LENGTHS else _next_month(row[0])
    return Candle(
        VENUE,
        symbol,
        0,
        0,
        ts_recv,
        interval,
        start,
        end,
        row[1],
        row[2],
        row[3],
        row[4],
        row[5],
        row[7],
        row[8],
        end <= ts_recv,
    )


def _next_month(millis: int) -> int:
    day = datetime.fromtimestamp(millis / 1000, UTC)
    following = day.replace(year=day.year + day.month // 12, month=day.month % 12 + 1)
    return round(following.timestamp()) * SECOND


def ticker(row: RestTicker, instruments: Instruments, ts_recv: int) -> Ticker:
    """Build a ticker whose open is last minus change, so that both speak of one window."""
    opened = float(exact(row.last_price) - exact(row.price_change))
    if opened < 0:
        raise WireError(f"a change of {row.price_change} to {row.last_price}", venue=VENUE)
    return Ticker(
        VENUE,
        instruments.symbol(row.symbol),
        0,
        0,
        ts_recv,
        row.last_price,
        opened,
        row.high_price,
        row.low_price,
        row.volume,
        row.quote_volume,
        row.price_change / opened * 100.0 if opened else None,
        row.bid_price,
        row.bid_qty,
        row.ask_price,
        row.ask_qty,
    )


def quote(row: BookTickerRow, instruments: Instruments, ts_recv: int) -> Quote:
    """Build a quote; spot does not say of when."""
    return Quote(
        VENUE,
        instruments.symbol(row.symbol),
        row.time * _MS,
        0,
        ts_recv,
        row.bid_price,
        row.bid_qty,
        row.ask_price,
        row.ask_qty,
        None,
    )


def mark_price(row: PremiumRow, instruments: Instruments, ts_recv: int) -> MarkPrice:
    """Build mark and index price."""
    return MarkPrice(VENUE, instruments.symbol(row.symbol), row.time * _MS, 0, ts_recv, row.mark_price, row.index_price)


def forecasts(rows: list[PremiumRow], symbol: str, ts_recv: int) -> list[Event]:
    """The forecast is the rate of the next settlement; ``lastFundingRate`` belongs to the one before."""
    return [
        Funding(
            VENUE,
            symbol,
            row.time * _MS,
            0,
            ts_recv,
            row.forecast_funding_rate,
            row.next_funding_time * _MS or None,
        )
        for row in rows
    ]
