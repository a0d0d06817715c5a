"""Reads the HTTP rows of a recording with the market's own queries."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from functools import partial
from typing import Final, TypeAlias, TypeVar
from urllib.parse import parse_qsl, urlsplit

from unitape.errors import ConfigError, WireError
from unitape.spi import DepthUpdate, HttpRequest, HttpResponse, Instruments, Market, Query, Rest
from unitape.tape.rows import Row
from unitape_schemas import INTERVALS, Candle, Instrument, Ticker, Trade

__all__ = ["HttpRows", "Record"]

Record: TypeAlias = Instrument | DepthUpdate | Trade | Candle | Ticker
T = TypeVar("T")
_NOT_COMPARED: Final = frozenset(("limit",))


class HttpRows:
    """Finds the query that an HTTP row answers, and reads the row with it."""

    def __init__(self, market: Market, instruments: Instruments) -> None:
        self._market = market
        self._instruments = instruments

    def depth(self, row: Row, symbols: Collection[str]) -> DepthUpdate | None:
        """Return the book snapshot in a row, or None if it is something else.

        ``symbols`` are those whose books the recording follows. A row without a URL is taken for the snapshot of the
        only one of them.

        Raises:
            WireError: it is a snapshot, but cannot be read.
        """
        if not row.url and len(symbols) != 1:
            return None
        for symbol in self._named(row, symbols):
            query = _try(partial(self._rest(symbol).depth, symbol))
            if query is not None and _answers(query.request, row):
                return query.read(_response(row), row.ts)
        return None

    def read(self, row: Row, symbols: Collection[str]) -> list[Record] | None:
        """Return what a row says: instruments, a depth snapshot, trades, candles or tickers. None: something else.

        Raises:
            WireError: it answers a known query, but cannot be read.
        """
        if not row.url:
            return self._guess(row, symbols)
        listing = self._market.rest(self._instruments).instruments()
        if _answers(listing.request, row):
            return list(listing.read(_response(row), row.ts))
        for symbol in self._named(row, symbols):
            snapshot = self.depth(row, (symbol,))
            if snapshot is not None:
                return [snapshot]
            for query in self._lists(symbol):
                if _answers(query.request, row):
                    return list(query.read(_response(row), row.ts))
        return None

    def _guess(self, row: Row, symbols: Collection[str]) -> list[Record] | None:
        try:
            return list(self._market.read_instruments(row.data))
        except WireError:
            pass
        try:
            snapshot = self.depth(row, symbols)
        except WireError:
            return None
        return None if snapshot is None else [snapshot]

    def _lists(self, symbol: str) -> Iterator[Query[list[Trade]] | Query[list[Candle]] | Query[list[Ticker]]]:
        rest = self._rest(symbol)
        if (trades := _try(partial(rest.trades, symbol))) is not None:
            yield trades
        if (tickers := _try(partial(rest.tickers, (symbol,)))) is not None:
            yield tickers
        for interval in INTERVALS:
            if (candles := _try(partial(rest.candles, symbol, interval))) is not None:
                yield candles

    def _named(self, row: Row, symbols: Collection[str]) -> list[str]:
        """Return the symbols that the row's URL names; without a URL all that are followed."""
        if not row.url:
            return list(symbols)
        parts = urlsplit(row.url)
        words = [value for _, value in parse_qsl(parts.query)] + parts.path.split("/")
        named = {self._instruments.symbol(word): None for word in words if self._instruments.get_raw(word)}
        named.update({symbol: None for symbol in symbols if symbol in words})
        return list(named)

    def _rest(self, symbol: str) -> Rest:
        """Return queries that know this symbol, if only by its raw spelling."""
        if symbol in self._instruments:
            return self._market.rest(self._instruments)
        return self._market.rest(Instruments([*self._instruments, _unlisted(self._market, symbol)]))


def _unlisted(market: Market, raw: str) -> Instrument:
    return Instrument(
        venue=market.venue,
        symbol=raw,
        raw_symbol=raw,
        market=market.name,
        base=raw,
        quote="",
        settle=None,
        kind="other",
        tick=None,
        step=None,
        min_size=None,
        max_size=None,
        min_notional=None,
        contract_size=None,
        multiplier=1,
        status="closed",
        api_tradable=None,
        maker=None,
        taker=None,
        ts=0,
    )


def _try(make: Callable[[], T]) -> T | None:
    """Return a query, or None where the market lacks it."""
    try:
        return make()
    except ConfigError:
        return None


def _response(row: Row) -> HttpResponse:
    return HttpResponse(row.status, row.data)


def _answers(request: HttpRequest, row: Row) -> bool:
    """Tell whether a row is the answer to a request; parameters that only one of them names do not matter."""
    if not row.url:
        return True
    if row.method and row.method != request.method:
        return False
    parts = urlsplit(row.url)
    asked = dict(parse_qsl(request.query))
    return parts.path.rstrip("/") == request.path.rstrip("/") and all(
        asked.get(name, value) == value for name, value in parse_qsl(parts.query) if name not in _NOT_COMPARED
    )
