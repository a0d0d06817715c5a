"""Which reader reads which kind of stream: one table per market."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, TypeAlias

from unitape_binance import readers
from unitape_binance.channels import StreamName
from unitape_binance.readers import Reader, SymbolOf

__all__ = ["SPOT_READERS", "USDM_READERS", "ReaderTable", "make_reader"]

MakeReader: TypeAlias = Callable[[str, int | None, SymbolOf], Reader]
"""Takes the unified symbol, the depth of a top, and the lookup of raw symbols."""

ReaderTable: TypeAlias = Mapping[str, MakeReader]
"""By kind of stream; kinds with ``!`` before them are of all symbols."""

_DEFAULT_TOP: Final = 20

SPOT_READERS: Final[ReaderTable] = {
    "trade": lambda symbol, depth, symbol_of: readers.spot_trades(symbol),
    "aggTrade": lambda symbol, depth, symbol_of: readers.agg_trades(symbol),
    "bookTicker": lambda symbol, depth, symbol_of: readers.spot_quotes(symbol),
    "depth": lambda symbol, depth, symbol_of: readers.spot_books(symbol),
    "top": lambda symbol, depth, symbol_of: readers.spot_tops(symbol, depth or _DEFAULT_TOP),
    "ticker": lambda symbol, depth, symbol_of: readers.spot_tickers(symbol),
    "miniTicker": lambda symbol, depth, symbol_of: readers.mini_tickers(symbol, symbol_of),
    "!miniTicker": lambda symbol, depth, symbol_of: readers.mini_tickers(None, symbol_of),
    "kline": lambda symbol, depth, symbol_of: readers.candles(symbol),
    # The body of GET …/depth, which recorders file under this stream name.
    "depthSnapshot": lambda symbol, depth, symbol_of: readers.snapshots(symbol, depth),
}

USDM_READERS: Final[ReaderTable] = {
    "trade": lambda symbol, depth, symbol_of: readers.usdm_trades(symbol),
    "aggTrade": lambda symbol, depth, symbol_of: readers.agg_trades(symbol),
    "bookTicker": lambda symbol, depth, symbol_of: readers.usdm_quotes(symbol),
    "!bookTicker": lambda symbol, depth, symbol_of: readers.usdm_quote_rows(symbol_of),
    "depth": lambda symbol, depth, symbol_of: readers.usdm_books(symbol),
    "top": lambda symbol, depth, symbol_of: readers.usdm_tops(symbol, depth or _DEFAULT_TOP),
    "ticker": lambda symbol, depth, symbol_of: readers.usdm_tickers(symbol),
    "!ticker": lambda symbol, depth, symbol_of: readers.usdm_ticker_rows(symbol_of),
    "miniTicker": lambda symbol, depth, symbol_of: readers.mini_tickers(symbol, symbol_of),
    "!miniTicker": lambda symbol, depth, symbol_of: readers.mini_tickers(None, symbol_of),
    "kline": lambda symbol, depth, symbol_of: readers.candles(symbol),
    "markPrice": lambda symbol, depth, symbol_of: readers.mark_prices(symbol, symbol_of),
    "!markPrice": lambda symbol, depth, symbol_of: readers.mark_prices(None, symbol_of),
    "forceOrder": lambda symbol, depth, symbol_of: readers.force_orders(symbol, symbol_of),
    "!forceOrder": lambda symbol, depth, symbol_of: readers.force_orders(None, symbol_of),
    "depthSnapshot": lambda symbol, depth, symbol_of: readers.snapshots(symbol, depth),
    "openInterest": lambda symbol, depth, symbol_of: readers.open_interest(symbol),
}


def make_reader(table: ReaderTable, stream: StreamName, symbol: str | None, symbol_of: SymbolOf) -> Reader | None:
    """Return the reader of a stream; None where the contract has no event for what it carries."""
    make = table.get(stream.kind if symbol is not None else f"!{stream.kind}")
    return None if make is None else make(symbol or "", stream.depth, symbol_of)
