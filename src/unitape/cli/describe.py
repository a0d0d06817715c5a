"""One event as one readable line."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import assert_never

from unitape.cli.common import plain
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
            change = "-" if event.change_pct is None else f"{event.change_pct:+.2f} %"
            return f"last {price(event.last)}  high {price(event.high)}  low {price(event.low)}  {change}"
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
            where = event.kind or "" if event.price is None else f"@ {plain(event.price)}"
            average = "" if event.average is None else f" at {plain(event.average)}"
            filled = f"filled {plain(event.filled)}{average}"
            return f"{event.side:<4} {plain(event.size):>14} {where}  {event.status}  {filled}  order {_name(event)}"
        case Fill():
            fee = "" if event.fee is None else f"  fee {plain(event.fee)} {event.fee_currency or ''}"
            what = f"{event.side:<4} {plain(event.size):>14} @ {plain(event.price)}"
            return f"{what}  {event.liquidity or ''}{fee}  order {event.order_id}"
        case Balance():
            parts = (("free", event.free), ("locked", event.locked), ("total", event.total), ("equity", event.equity))
            known = "  ".join(f"{name} {plain(value)}" for name, value in parts if value is not None)
            return f"{event.currency}  {known}  {event.market or ''}"
        case Position():
            return f"{event.side} {plain(event.size)}  entry {plain(event.entry)}"
        case Status():
            count = "" if event.count is None else f" ({event.count})"
            return f"{event.code}{count}  {event.subscription or ''}  {event.text}"
        case _:
            assert_never(event)


def _name(order: Order) -> str:
    return order.id or order.client_id or "-"


def _best(levels: Levels) -> str:
    return f"{price(levels[0][1])} @ {price(levels[0][0])}" if levels else "-"
