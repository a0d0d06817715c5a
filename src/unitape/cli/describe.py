"""One event as one readable line."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import assert_never

from unitape.cli.screen import price
from unitape_schemas import (
    Balance,
    BookDelta,
    BookSnapshot,
    Candle,
    Event,
    Fill,
    Funding,
    Levels,
    Liquidation,
    MarkPrice,
    OpenInterest,
    Order,
    Position,
    Quote,
    Status,
    Ticker,
    TopBook,
    Trade,
)

__all__ = ["describe"]


def describe(event: Event) -> str:
    """Return time, venue, symbol, kind and what a person wants to know of it."""
    clock = datetime.fromtimestamp(event.ts_recv / 1e9, UTC).strftime("%H:%M:%S.%f")[:-3]
    kind = str(type(event).__struct_config__.tag)
    return f"{clock}  {event.venue:<8} {event.symbol:<16} {kind:<13} {_details(event)}".rstrip()


def _details(event: Event) -> str:  # noqa: C901 - one line per kind of event
    match event:
        case Trade():
            return f"{event.side:<4} {price(event.size):>14} @ {price(event.price)}"
        case Quote():
            return f"{price(event.bid_size)} @ {price(event.bid)}  |  {price(event.ask)} @ {price(event.ask_size)}"
        case BookSnapshot() | TopBook():
            return f"{_best(event.bids)}  |  {_best(event.asks)}  {len(event.bids)}+{len(event.asks)} levels"
        case BookDelta():
            return f"{len(event.bids)} bids, {len(event.asks)} asks changed, update {event.seq}, epoch {event.epoch}"
        case Ticker():
            return f"last {price(event.last)}  high {price(event.high)}  low {price(event.low)}  {event.change_pct} %"
        case Candle():
            state = "closed" if event.closed else "open"
            prices = "  ".join(price(value) for value in (event.open, event.high, event.low, event.close))
            return f"{event.interval} {prices}  volume {price(event.volume)}  {state}"
        case MarkPrice():
            return f"mark {price(event.mark)}  index {price(event.index)}"
        case Funding():
            return f"{event.rate * 100:.4f} %"
        case OpenInterest():
            return price(event.size)
        case Liquidation():
            return f"{event.side:<4} {price(event.size):>14} @ {price(event.price)}"
        case Order():
            return f"{event.side} {event.size} @ {event.price}  {event.status}  filled {event.filled}"
        case Fill():
            return f"{event.side} {event.size} @ {event.price}  fee {event.fee} {event.fee_currency}"
        case Balance():
            return f"{event.currency} free {event.free} locked {event.locked}"
        case Position():
            return f"{event.side} {event.size} entry {event.entry}"
        case Status():
            count = "" if event.count is None else f" ({event.count})"
            return f"{event.code}{count}  {event.subscription or ''}  {event.text}"
        case _:
            assert_never(event)


def _best(levels: Levels) -> str:
    return f"{price(levels[0][1])} @ {price(levels[0][0])}" if levels else "-"
