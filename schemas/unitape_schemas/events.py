"""Market data and feed status: one closed union of frozen structs, tagged by ``type``.

Every event starts with the same five fields. ``ts_event`` and ``ts_sent`` are 0 where the venue does not say; that
is the only zero that means nothing. Everything else that a venue does not give is ``None``.

Events hold only numbers, strings and tuples of them, so they cannot form reference cycles and are kept out of the
garbage collector (``gc=False``).
"""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from unitape_schemas._types import (
    Interval,
    Levels,
    Nanoseconds,
    Percent,
    Price,
    QuoteAmount,
    Sequence,
    Side,
    SignedRate,
    Size,
    StatusCode,
)

__all__ = [
    "BookDelta",
    "BookSnapshot",
    "Candle",
    "EventHead",
    "Funding",
    "Liquidation",
    "MarkPrice",
    "OpenInterest",
    "Quote",
    "Status",
    "Ticker",
    "TopBook",
    "Trade",
]


class EventHead(Struct, frozen=True, gc=False, tag_field="type"):
    """What every event starts with."""

    venue: Annotated[str, Meta(description="The venue's name in lower case, for example `binance`.")]
    symbol: Annotated[
        str,
        Meta(
            description="Unified symbol: `BTC/USDT` spot, `BTC/USDT:USDT` linear perpetual. The venue's own spelling "
            "where the instrument is not known; empty on a status that concerns no single symbol."
        ),
    ]
    ts_event: Annotated[Nanoseconds, Meta(description="When it happened at the venue; 0 if the venue does not say.")]
    ts_sent: Annotated[Nanoseconds, Meta(description="When the venue sent it; 0 if the venue does not say.")]
    ts_recv: Annotated[Nanoseconds, Meta(description="Local wall clock when its bytes arrived.")]


class Trade(EventHead, frozen=True, gc=False, tag="trade"):
    """One public trade, or one aggregate of a taker's fills at one price where the venue streams those."""

    id: Annotated[str | None, Meta(description="The venue's trade id within this symbol; None if it gives none.")]
    price: Price
    size: Size
    side: Annotated[Side, Meta(description="The taker's side.")]


class Quote(EventHead, frozen=True, gc=False, tag="quote"):
    """Best bid and ask from a native best-bid/ask feed."""

    bid: Annotated[Price, Meta(description="Best bid price.")]
    bid_size: Annotated[Size, Meta(description="Size at the best bid, base units.")]
    ask: Annotated[Price, Meta(description="Best ask price.")]
    ask_size: Annotated[Size, Meta(description="Size at the best ask, base units.")]
    seq: Annotated[Sequence | None, Meta(description="The book update this quote belongs to; None if not given.")]


class BookSnapshot(EventHead, frozen=True, gc=False, tag="book_snapshot"):
    """The whole joined book. Each epoch has exactly one, then contiguous deltas and nothing else."""

    bids: Annotated[Levels, Meta(description="Bids, highest price first.")]
    asks: Annotated[Levels, Meta(description="Asks, lowest price first.")]
    first_seq: Annotated[Sequence | None, Meta(description="First update in this message; None if not given.")]
    seq: Annotated[Sequence, Meta(description="Last update this book contains.")]
    prev_seq: Annotated[Sequence | None, Meta(description="Last update before this message; None if not given.")]
    epoch: Annotated[int, Meta(ge=0, description="Counts the joins of this book; 0 means not joined.")]


class BookDelta(EventHead, frozen=True, gc=False, tag="book_delta"):
    """The levels that changed. Sizes are absolute; 0 removes the level."""

    bids: Annotated[Levels, Meta(description="Changed bid levels, as the venue ordered them.")]
    asks: Annotated[Levels, Meta(description="Changed ask levels, as the venue ordered them.")]
    first_seq: Annotated[Sequence | None, Meta(description="First update in this message; None if not given.")]
    seq: Annotated[Sequence, Meta(description="Last update in this message.")]
    prev_seq: Annotated[Sequence | None, Meta(description="Last update before this message; None if not given.")]
    epoch: Annotated[int, Meta(ge=0, description="The epoch of the snapshot it continues; 0 means not joined.")]


class TopBook(EventHead, frozen=True, gc=False, tag="top_book"):
    """The best levels from a native top-n feed: whole each time, never mixed with the joined book."""

    bids: Annotated[Levels, Meta(description="Bids, highest price first.")]
    asks: Annotated[Levels, Meta(description="Asks, lowest price first.")]
    depth: Annotated[int, Meta(ge=1, description="Levels per side that the feed promises at most.")]
    seq: Annotated[Sequence | None, Meta(description="The book update it shows; None if not given.")]


class Ticker(EventHead, frozen=True, gc=False, tag="ticker"):
    """Statistics of the rolling last 24 hours."""

    last: Annotated[Price | None, Meta(description="Last trade price.")]
    open: Annotated[Price | None, Meta(description="Price 24 hours ago.")]
    high: Annotated[Price | None, Meta(description="Highest price.")]
    low: Annotated[Price | None, Meta(description="Lowest price.")]
    volume: Annotated[Size | None, Meta(description="Traded volume, base units.")]
    quote_volume: Annotated[QuoteAmount | None, Meta(description="Traded volume, quote units.")]
    change_pct: Annotated[Percent | None, Meta(description="Change over the window in percent: 1.5 is 1.5 %.")]
    bid: Annotated[Price | None, Meta(description="Best bid price where the ticker carries one.")]
    bid_size: Annotated[Size | None, Meta(description="Size at the best bid, base units.")]
    ask: Annotated[Price | None, Meta(description="Best ask price where the ticker carries one.")]
    ask_size: Annotated[Size | None, Meta(description="Size at the best ask, base units.")]


class Candle(EventHead, frozen=True, gc=False, tag="candle"):
    """One candle, sent again while it changes and once with ``closed=True``."""

    interval: Annotated[Interval, Meta(description="`1m` is a minute, `1M` a month.")]
    ts_open: Annotated[Nanoseconds, Meta(description="Start of the candle.")]
    ts_close: Annotated[Nanoseconds, Meta(description="End of the candle, exclusive: the start of the next one.")]
    open: Annotated[Price, Meta(description="First price.")]
    high: Annotated[Price, Meta(description="Highest price.")]
    low: Annotated[Price, Meta(description="Lowest price.")]
    close: Annotated[Price, Meta(description="Last price so far.")]
    volume: Annotated[Size, Meta(description="Traded volume, base units.")]
    quote_volume: Annotated[QuoteAmount | None, Meta(description="Traded volume, quote units.")]
    trades: Annotated[int | None, Meta(description="Number of trades; None if not given.")]
    closed: Annotated[bool, Meta(description="True once the candle is final.")]


class MarkPrice(EventHead, frozen=True, gc=False, tag="mark_price"):
    """The price a perpetual is margined at."""

    mark: Annotated[Price | None, Meta(description="Mark price; None where this feed carries only the index.")]
    index: Annotated[Price | None, Meta(description="Index price; None if not given.")]


class Funding(EventHead, frozen=True, gc=False, tag="funding"):
    """The funding of a perpetual."""

    rate: Annotated[SignedRate, Meta(description="Rate for the next settlement as a fraction: 0.0001 is 0.01 %.")]
    ts_next: Annotated[Nanoseconds | None, Meta(description="Next settlement; None if none is scheduled or given.")]


class OpenInterest(EventHead, frozen=True, gc=False, tag="open_interest"):
    """Open contracts of a perpetual."""

    size: Annotated[Size, Meta(description="Open interest in base units.")]


class Liquidation(EventHead, frozen=True, gc=False, tag="liquidation"):
    """A forced order. Venues publish a sample, not a full tape."""

    side: Annotated[Side, Meta(description="Side of the liquidated order: `sell` closes a long.")]
    price: Annotated[Price, Meta(description="Average fill price; the order's price where nothing filled.")]
    size: Annotated[Size, Meta(description="Size of the order, base units.")]


class Status(EventHead, frozen=True, gc=False, tag="status"):
    """Something happened to the feed itself."""

    code: Annotated[StatusCode, Meta(description="What happened.")]
    subscription: Annotated[str | None, Meta(description="Key of the subscription concerned; None: all of the venue.")]
    count: Annotated[int | None, Meta(description="How many events are concerned; None where they cannot be counted.")]
    text: Annotated[str, Meta(description="What happened, for a person.")]
    raw: Annotated[str | None, Meta(description="The venue's own words, where it said something.")] = None
