"""Which payload a stream carries and which reader reads it: one table per market."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from typing import Any, Final, TypeAlias

from msgspec import Struct

from unitape_binance import readers, wire
from unitape_binance.channels import StreamName
from unitape_binance.readers import Reader, SymbolOf
from unitape_schemas import Channel

__all__ = ["SPOT_STREAMS", "USDM_STREAMS", "StreamKind", "StreamTable", "mark_price_kind", "stream_kind"]

MakeReader: TypeAlias = Callable[[str, int | None, SymbolOf], Reader]
"""Takes the unified symbol, the depth of a top, and the lookup of raw symbols."""


class StreamKind(Struct, frozen=True):
    """One kind of stream: the type to decode its payload to, and how to make its reader."""

    payload: Any
    reader: MakeReader
    numbered: bool = False
    """Each payload is one trade, and its ``id`` counts up without a hole."""


StreamTable: TypeAlias = Mapping[str, StreamKind]
"""By kind of stream; kinds with ``!`` before them are of all symbols."""

_DEFAULT_TOP: Final = 20

_MINI = StreamKind(
    wire.MiniTicker | tuple[wire.MiniTicker, ...], lambda symbol, depth, of: readers.mini_tickers(symbol, of)
)
_ALL_MINI = StreamKind(
    wire.MiniTicker | tuple[wire.MiniTicker, ...], lambda symbol, depth, of: readers.mini_tickers(None, of)
)
_AGGREGATES = StreamKind(wire.AggTrade, lambda symbol, depth, of: readers.agg_trades(symbol), numbered=True)
_CANDLES = StreamKind(wire.Kline, lambda symbol, depth, of: readers.candles(symbol))
_SNAPSHOT = StreamKind(wire.PartialDepth, lambda symbol, depth, of: readers.snapshots(symbol, depth))
"""The body of ``GET …/depth``, which recorders file under the stream name ``<s>@depthSnapshot``."""

SPOT_STREAMS: Final[StreamTable] = {
    "trade": StreamKind(wire.TradeRow, lambda symbol, depth, of: readers.spot_trades(symbol), numbered=True),
    "aggTrade": _AGGREGATES,
    "bookTicker": StreamKind(wire.BookTicker, lambda symbol, depth, of: readers.spot_quotes(symbol)),
    "depth": StreamKind(wire.Depth, lambda symbol, depth, of: readers.spot_books(symbol)),
    "top": StreamKind(wire.PartialDepth, lambda symbol, depth, of: readers.spot_tops(symbol, depth or _DEFAULT_TOP)),
    "ticker": StreamKind(wire.SpotTicker, lambda symbol, depth, of: readers.spot_tickers(symbol)),
    "miniTicker": _MINI,
    "!miniTicker": _ALL_MINI,
    "kline": _CANDLES,
    "depthSnapshot": _SNAPSHOT,
}

_MARK = wire.MarkPriceUpdate | tuple[wire.MarkPriceUpdate, ...]

USDM_STREAMS: Final[StreamTable] = {
    "trade": StreamKind(wire.UsdmTrade, lambda symbol, depth, of: readers.usdm_trades(symbol), numbered=True),
    "aggTrade": _AGGREGATES,
    "bookTicker": StreamKind(wire.TimedBookTicker, lambda symbol, depth, of: readers.usdm_quotes(symbol)),
    "!bookTicker": StreamKind(
        wire.BookTickerRow | tuple[wire.BookTickerRow, ...], lambda symbol, depth, of: readers.usdm_quote_rows(of)
    ),
    "depth": StreamKind(wire.DepthDiff, lambda symbol, depth, of: readers.usdm_books(symbol)),
    "top": StreamKind(wire.DepthDiff, lambda symbol, depth, of: readers.usdm_tops(symbol, depth or _DEFAULT_TOP)),
    "ticker": StreamKind(wire.UsdmTicker, lambda symbol, depth, of: readers.usdm_tickers(symbol)),
    "!ticker": StreamKind(
        wire.UsdmTickerRow | tuple[wire.UsdmTickerRow, ...], lambda symbol, depth, of: readers.usdm_ticker_rows(of)
    ),
    "miniTicker": _MINI,
    "!miniTicker": _ALL_MINI,
    "kline": _CANDLES,
    "markPrice": StreamKind(_MARK, lambda symbol, depth, of: readers.mark_rows(symbol, of)),
    "!markPrice": StreamKind(_MARK, lambda symbol, depth, of: readers.mark_rows(None, of)),
    "forceOrder": StreamKind(wire.ForceOrder, lambda symbol, depth, of: readers.force_orders(symbol)),
    "!forceOrder": StreamKind(
        wire.ForceOrderRow | tuple[wire.ForceOrderRow, ...], lambda symbol, depth, of: readers.force_order_rows(of)
    ),
    "depthSnapshot": _SNAPSHOT,
    "openInterest": StreamKind(wire.OpenInterestBody, lambda symbol, depth, of: readers.open_interest(symbol)),
}


def mark_price_kind(kind: StreamKind, channels: AbstractSet[Channel], *, of_one: bool) -> StreamKind:
    """Return the kind narrowed to what of a mark price stream is subscribed to: mark prices, funding, or both."""
    mark, funded = "mark_price" in channels, "funding" in channels
    if mark and funded:
        return kind
    if of_one and mark:
        return StreamKind(wire.MarkOnly, lambda symbol, depth, of: readers.marks(symbol))
    if of_one:
        return StreamKind(wire.FundingOnly, lambda symbol, depth, of: readers.funding(symbol))
    return StreamKind(kind.payload, lambda symbol, depth, of: readers.mark_rows(None, of, mark=mark, funded=funded))


def stream_kind(table: StreamTable, stream: StreamName, *, of_one: bool) -> StreamKind | None:
    """Return the kind of a stream of one symbol or of all; None where the contract has no event for it."""
    return table.get(stream.kind if of_one else f"!{stream.kind}")
