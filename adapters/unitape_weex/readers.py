"""From decoded messages to events: the hot path.

``E`` is when the venue sent a message. Only trades say when they happened; the ticker is stamped with ``E``, because
its window's bounds are no clock. Elsewhere ``ts_event`` is 0. Sizes are base units on both markets: ``q`` times ``p``
is the ``v`` that contracts send along.
"""

from __future__ import annotations

from collections.abc import Iterable
from operator import attrgetter
from typing import Final, TypeAlias

from msgspec import MsgspecError
from msgspec import json as msgspec_json

from unitape.errors import WireError
from unitape.spi import MILLISECOND, DepthUpdate
from unitape_schemas import Candle, MarkPrice, Quote, Ticker, Trade
from unitape_weex.wire import (
    VENUE,
    BookTickerPush,
    Control,
    DepthChange,
    DepthImage,
    KlineHistory,
    KlinePush,
    KlineRow,
    TickerPush,
    TickerRow,
    TradeHistory,
    TradePush,
    TradeRow,
)

__all__ = [
    "BY_START",
    "BY_TIME",
    "DECODE_ERRORS",
    "KINDS",
    "Push",
    "candle",
    "control",
    "mark_price",
    "push",
    "quote",
    "shown",
    "ticker_event",
    "trades",
    "update",
]

DECODE_ERRORS: Final = (MsgspecError, UnicodeError, RecursionError)
"""What decoding untrusted bytes can raise."""

_MS: Final = MILLISECOND

BY_TIME: Final = attrgetter("ts")
BY_START: Final = attrgetter("start")

Push: TypeAlias = (
    TradePush | TradeHistory | TickerPush | KlinePush | KlineHistory | DepthChange | DepthImage | BookTickerPush
)
"""Every push that is read; its ``e`` tells which one it is."""

push = msgspec_json.Decoder(Push, strict=False).decode
control = msgspec_json.Decoder(Control, strict=False).decode


KINDS: Final = frozenset(
    {"trade", "tradeSnapshot", "ticker", "kline", "klineSnapshot", "depth", "depthSnapshot", "bookTicker"}
)
"""The ``e`` of these."""


def trades(rows: Iterable[TradeRow], symbol: str, sent: int, ts_recv: int) -> list[Trade]:
    """Build one trade per row, in the order of the rows. ``sent`` is nanoseconds."""
    return [
        Trade(
            VENUE,
            symbol,
            row.ts * _MS,
            sent,
            ts_recv,
            row.id,
            row.price,
            row.size,
            "sell" if row.sold else "buy",
        )
        for row in rows
    ]


def ticker_event(row: TickerRow, symbol: str, sent: int, ts_recv: int) -> Ticker:
    """Build a ticker. The change is last over open: the wire's own is a fraction, on the venue's page a percent."""
    last = row.last
    opened = row.open
    return Ticker(
        VENUE,
        symbol,
        sent,
        sent,
        ts_recv,
        last,
        opened,
        row.high,
        row.low,
        row.volume,
        row.amount,
        (last - opened) / opened * 100.0 if opened else None,
        None,
        None,
        None,
        None,
    )


def mark_price(row: TickerRow, symbol: str, sent: int, ts_recv: int) -> MarkPrice | None:
    """Build mark and index price of a contract's ticker; None when it carries neither."""
    if row.mark is None and row.index is None:
        return None
    return MarkPrice(VENUE, symbol, sent, sent, ts_recv, row.mark, row.index)


def candle(row: KlineRow, symbol: str, sent: int, ts_recv: int, closed: bool) -> Candle:
    """Build a candle. The wire's ``T`` is the next candle's open already, so it is the exclusive end."""
    if row.end <= row.start:
        raise WireError(f"a candle from {row.start} to {row.end}", venue=VENUE)
    return Candle(
        VENUE,
        symbol,
        0,
        sent,
        ts_recv,
        row.interval,
        row.start * _MS,
        row.end * _MS,
        row.open,
        row.high,
        row.low,
        row.close,
        row.volume,
        row.amount,
        row.trades,
        closed,
    )


def quote(row: BookTickerPush, symbol: str, ts_recv: int) -> Quote:
    """Build a quote."""
    return Quote(VENUE, symbol, 0, row.sent * _MS, ts_recv, row.bid, row.bid_size, row.ask, row.ask_size, row.seq)


def update(row: DepthChange | DepthImage, symbol: str, ts_recv: int, previous: int | None) -> DepthUpdate:
    """Build a depth update; ``previous`` is the id that a change continues, None when nobody knows."""
    if row.last < row.first:
        raise WireError(f"a depth message from {row.first} back to {row.last}", venue=VENUE)
    return DepthUpdate(
        VENUE,
        symbol,
        0,
        row.sent * _MS,
        ts_recv,
        row.bids,
        row.asks,
        row.first,
        row.last,
        previous,
        type(row) is DepthImage,
        row.depth,
    )


def shown(text: str) -> str:
    """Return a refusal's words with the gateways' internal symbols (``X_SPBL``, ``cmt_x``) in the public spelling."""
    words = text.split(" ")
    return " ".join(_public(word) for word in words)


def _public(word: str) -> str:
    if word.endswith("_SPBL"):
        return word.removesuffix("_SPBL")
    if word.startswith("cmt_"):
        return word.removeprefix("cmt_").upper()
    return word
