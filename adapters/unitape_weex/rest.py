"""Queries over HTTP. Both markets answer alike; ``Paths`` holds where they differ.

Weights are those of the reference pages of 2026-04, which are never below later ones.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, TypeVar

from msgspec import Struct
from msgspec import json as msgspec_json

from unitape.errors import Unsupported
from unitape.spi import MILLISECOND, DepthUpdate, HttpRequest, HttpResponse, Instruments, Query, encode_query
from unitape_schemas import (
    Candle,
    Event,
    Funding,
    Instrument,
    Interval,
    MarkPrice,
    OpenInterest,
    Quote,
    Subscription,
    Ticker,
    Trade,
)
from unitape_weex.answers import LENGTHS, candle, forecasts, mark_price, opened, quote, ticker, trades_oldest_first
from unitape_weex.books import DEPTHS
from unitape_weex.channels import INTERVALS, REST_CONTRACT_INTERVALS
from unitape_weex.errors import read_error, refusal
from unitape_weex.symbols import read_api_symbols, read_contracts, read_spot
from unitape_weex.wire import (
    VENUE,
    BookTickerRow,
    DepthBody,
    FundingRow,
    InterestBody,
    PremiumRow,
    RestCandle,
    RestTicker,
    RestTrade,
    TimeBody,
    read,
)

__all__ = ["CONTRACT_PATHS", "SPOT_PATHS", "Paths", "WeexRest"]

_MS: Final = MILLISECOND
T = TypeVar("T")
R = TypeVar("R")

_time = msgspec_json.Decoder(TimeBody, strict=False)
_depth = msgspec_json.Decoder(DepthBody, strict=False)
_trades = msgspec_json.Decoder(list[RestTrade], strict=False)
_candles = msgspec_json.Decoder(list[RestCandle], strict=False)
_tickers = msgspec_json.Decoder(list[RestTicker], strict=False)
_quotes = msgspec_json.Decoder(list[BookTickerRow], strict=False)
_premium = msgspec_json.Decoder(list[PremiumRow], strict=False)
_funding = msgspec_json.Decoder(list[FundingRow], strict=False)
_interest = msgspec_json.Decoder(InterestBody, strict=False)


class Paths(Struct, frozen=True):
    """Where a market's queries are, what they weigh, and how far they reach."""

    market: str
    prefix: str
    time: str
    info: tuple[str, int]
    api_symbols: str
    depth: int
    trades: int
    tickers: int
    quotes: int
    klines: int
    intervals: tuple[Interval, ...]
    candle_page: int
    """Candles that one query with bounds returns."""
    newest_candles: int
    """Candles that the query without bounds returns."""
    read_instruments: Callable[[bytes, int], list[Instrument]]
    perpetual: bool


SPOT_PATHS: Final = Paths(
    market="spot",
    prefix="/api/v3/market",
    time="/api/v3/time",
    info=("/api/v3/exchangeInfo", 20),
    api_symbols="/api/v3/apiTradingSymbols",
    depth=5,
    trades=25,
    tickers=2,
    quotes=4,
    klines=2,
    intervals=INTERVALS,
    candle_page=300,
    # "About 300", says nobody exactly: an answer of this many may have been cut.
    newest_candles=250,
    read_instruments=read_spot,
    perpetual=False,
)
CONTRACT_PATHS: Final = Paths(
    market="contract",
    prefix="/capi/v3/market",
    time="/capi/v3/market/time",
    info=("/capi/v3/market/exchangeInfo", 1),
    api_symbols="/capi/v3/market/apiTradingSymbols",
    depth=1,
    trades=5,
    tickers=40,
    quotes=1,
    klines=1,
    intervals=REST_CONTRACT_INTERVALS,
    candle_page=100,
    newest_candles=1000,
    read_instruments=read_contracts,
    perpetual=True,
)


class WeexRest:
    """The queries of one market."""

    def __init__(self, paths: Paths, instruments: Instruments) -> None:
        self._paths = paths
        self._instruments = instruments

    def instruments(self) -> Query[list[Instrument]]:
        """Every instrument. ``api_tradable`` is False where trading is off, otherwise None: that is another list.

        ``api_symbols`` asks for it and ``with_api`` puts the two together.
        """
        path, weight = self._paths.info
        request = HttpRequest("GET", path, weight=weight)

        def answer(response: HttpResponse, ts_recv: int) -> list[Instrument]:
            _check(response, request)
            return self._paths.read_instruments(response.body, ts_recv)

        return Query("instruments", request, answer)

    def api_symbols(self) -> Query[frozenset[str]]:
        """The raw symbols that take orders by API."""
        request = HttpRequest("GET", self._paths.api_symbols, weight=5)

        def answer(response: HttpResponse, ts_recv: int) -> frozenset[str]:
            _check(response, request)
            return read_api_symbols(response.body)

        return Query("api_symbols", request, answer)

    def time(self) -> Query[int]:
        """The venue's clock in nanoseconds."""
        request = HttpRequest("GET", self._paths.time)
        return _query("time", request, _time, lambda body, ts: body.server_time * _MS)

    def depth(self, symbol: str, levels: int | None = None) -> Query[DepthUpdate]:
        """A book of 15 or 200 levels. Its id has no known relation to the stream's, so it never joins one."""
        wanted = DEPTHS[0] if levels is None else levels
        limit = min((depth for depth in DEPTHS if depth >= wanted), default=None)
        if limit is None:
            raise Unsupported(f"weex answers books of {DEPTHS[0]} levels at most, not {wanted}")
        request = self._get("/depth", self._paths.depth, symbol, limit=limit)
        return _query(
            "depth",
            request,
            _depth,
            lambda body, ts: DepthUpdate(
                VENUE,
                symbol,
                0,
                0,
                ts,
                body.bids,
                body.asks,
                None,
                body.last_update_id,
                None,
                snapshot=True,
                depth=limit,
            ),
        )

    def repair(self, symbol: str, after: int) -> Query[list[DepthUpdate]] | None:
        """None: the venue keeps no old updates; subscribing again brings a new image."""
        return None

    def trades(self, symbol: str, limit: int | None = None) -> Query[list[Trade]]:
        """The newest trades, at most 1000."""
        request = self._get("/trades", self._paths.trades, symbol, limit=_bounded(limit, 1000))
        return _query("trades", request, _trades, lambda rows, ts: trades_oldest_first(rows, symbol, ts))

    def trades_since(self, symbol: str, trade_id: str, limit: int | None = None) -> Query[list[Trade]]:
        """Trades after the one with this id. The venue reaches back 1000 trades and no further.

        Where the id is not among them, all of them come back: what lies between is lost, and the first id says so.
        """
        request = self._get("/trades", self._paths.trades, symbol, limit=1000)

        def build(rows: list[RestTrade], ts_recv: int) -> list[Trade]:
            found = trades_oldest_first(rows, symbol, ts_recv)
            place = next((index for index, trade in enumerate(found) if trade.id == trade_id), -1)
            return found[place + 1 :][:limit]

        return _query("trades_since", request, _trades, build)

    def candles(
        self,
        symbol: str,
        interval: Interval,
        *,
        start: int | None = None,
        end: int | None = None,
        limit: int | None = None,
    ) -> Query[list[Candle]]:
        """Candles that open in [start, end).

        Spot answers its newest 300 or so, whatever is asked. Contracts answer any range whose end is given; without
        it, or without both, their newest 1000. Reading raises ``Unsupported`` when the answer does not reach back to
        ``start``, rather than leaving a hole.
        """
        if interval not in self._paths.intervals:
            names = ", ".join(self._paths.intervals)
            raise Unsupported(f"weex {self._paths.market} answers no candles of {interval}; it has {names}")
        ranged = self._paths.perpetual and end is not None
        request = (
            self._candle_range(symbol, interval, start, end, limit)
            if ranged
            else self._newest_candles(symbol, interval, start, limit)
        )
        page = None if ranged else self._paths.newest_candles

        def build(rows: list[RestCandle], ts_recv: int) -> list[Candle]:
            candles = sorted((candle(row, symbol, interval, ts_recv) for row in rows), key=opened)
            if page is not None and start is not None and len(candles) >= page and candles[0].ts_open > start:
                raise Unsupported(
                    f"weex {self._paths.market} answers its newest {len(candles)} candles of {interval}; they do not "
                    "reach back to the start that was asked for"
                )
            kept = [c for c in candles if (start is None or c.ts_open >= start) and (end is None or c.ts_open < end)]
            if limit is None or len(kept) <= limit:
                return kept
            return kept[:limit] if start is not None else kept[-limit:]

        return _query("candles", request, _candles, build)

    def tickers(self, symbols: Sequence[str] = ()) -> Query[list[Ticker]]:
        """24 h tickers. The open is last minus change: the pages leave open which window ``openPrice`` belongs to."""
        request = self._of_symbols("/ticker/24hr", self._paths.tickers, symbols)
        return _query(
            "tickers",
            request,
            _tickers,
            lambda rows, ts: self._kept([ticker(row, self._instruments, ts) for row in rows], symbols),
        )

    def quotes(self, symbols: Sequence[str] = ()) -> Query[list[Quote]]:
        """Best bid and ask of these symbols, none given: of all. Contracts have them here and not on a stream."""
        request = self._of_symbols("/ticker/bookTicker", self._paths.quotes, symbols)
        return _query(
            "quotes",
            request,
            _quotes,
            lambda rows, ts: self._kept([quote(row, self._instruments, ts) for row in rows], symbols),
        )

    def funding_history(
        self, symbol: str, *, start: int | None = None, end: int | None = None, limit: int | None = None
    ) -> Query[list[Funding]]:
        """Settled funding, oldest first."""
        self._perpetual("funding")
        request = self._get(
            "/fundingRate",
            5,
            symbol,
            startTime=None if start is None else start // _MS,
            endTime=None if end is None else end // _MS,
            limit=_bounded(limit, 1000),
        )
        return _query(
            "funding_history",
            request,
            _funding,
            lambda rows, ts: [
                Funding(VENUE, symbol, row.funding_time * _MS, 0, ts, row.funding_rate, None)
                for row in sorted(rows, key=lambda row: row.funding_time)
            ],
        )

    def mark_prices(self, symbols: Sequence[str] = ()) -> Query[list[MarkPrice]]:
        """Mark and index price of these contracts, none given: of all."""
        self._perpetual("mark price")
        request = self._of_symbols("/premiumIndex", 1, symbols)
        return _query(
            "mark_prices",
            request,
            _premium,
            lambda rows, ts: self._kept([mark_price(row, self._instruments, ts) for row in rows], symbols),
        )

    def poll(self, subscription: Subscription) -> Query[list[Event]]:
        """The query behind ``funding`` and ``open_interest``."""
        self._perpetual(subscription.channel)
        symbol = subscription.symbol
        match subscription.channel:
            case "funding":
                request = self._get("/premiumIndex", 1, symbol)
                return _query("funding", request, _premium, lambda rows, ts: forecasts(rows, symbol, ts))
            case "open_interest":
                request = self._get("/openInterest", 2, symbol)
                return _query(
                    "open_interest",
                    request,
                    _interest,
                    lambda body, ts: [OpenInterest(VENUE, symbol, body.time * _MS, 0, ts, body.open_interest)],
                )
            case _:
                raise Unsupported(f"weex {subscription.channel} is streamed, not polled")

    def page_limit(self, query: str) -> int:
        """The most rows that one query returns."""
        limits = {"candles": self._paths.candle_page, "trades": 1000, "trades_since": 1000, "funding_history": 1000}
        if query not in limits:
            raise Unsupported(f"weex has no pages of {query}")
        return limits[query]

    def _candle_range(
        self, symbol: str, interval: Interval, start: int | None, end: int | None, limit: int | None
    ) -> HttpRequest:
        """A range ends where a full page does: of a longer one the venue would answer the newest part."""
        count = _bounded(limit, self._paths.candle_page)
        length = LENGTHS[interval]
        if start is not None and end is not None:
            end = min(end, start - start % length + length * count)
        return self._get(
            "/historyKlines",
            5,
            symbol,
            interval=interval,
            startTime=None if start is None else start // _MS,
            endTime=None if end is None else end // _MS,
            limit=count,
            priceType="LAST",
        )

    def _newest_candles(self, symbol: str, interval: Interval, start: int | None, limit: int | None) -> HttpRequest:
        if not self._paths.perpetual:
            return self._get("/klines", self._paths.klines, symbol, interval=interval)
        count = self._paths.newest_candles if start is not None else _bounded(limit, self._paths.newest_candles)
        return self._get("/klines", self._paths.klines, symbol, interval=interval, limit=count)

    def _get(self, path: str, weight: int, symbol: str, **parameters: str | int | None) -> HttpRequest:
        raw = self._instruments.require(symbol).raw_symbol
        query = encode_query({"symbol": raw, **parameters})
        return HttpRequest("GET", self._paths.prefix + path, query, weight=weight)

    def _of_symbols(self, path: str, weight: int, symbols: Sequence[str]) -> HttpRequest:
        """One symbol is asked for by name, several by name on spot; contracts answer one or all."""
        raws = [self._instruments.require(symbol).raw_symbol for symbol in symbols]
        query = ""
        if len(raws) == 1:
            query = encode_query({"symbol": raws[0]})
        elif raws and not self._paths.perpetual:
            query = encode_query({"symbols": ",".join(raws)})
        return HttpRequest("GET", self._paths.prefix + path, query, weight=weight)

    @staticmethod
    def _kept(events: list[R], symbols: Sequence[str]) -> list[R]:
        wanted = frozenset(symbols)
        return [event for event in events if not wanted or getattr(event, "symbol", None) in wanted]

    def _perpetual(self, what: str) -> None:
        if not self._paths.perpetual:
            raise Unsupported(f"weex spot has no {what}; it is a matter of perpetuals")


def _query(name: str, request: HttpRequest, decoder: msgspec_json.Decoder[T], build: Callable[[T, int], R]) -> Query[R]:
    def answer(response: HttpResponse, ts_recv: int) -> R:
        _check(response, request)
        return build(read(decoder, response.body, name), ts_recv)

    return Query(name, request, answer)


def _check(response: HttpResponse, request: HttpRequest) -> None:
    """Raise what a refusal means, also one that comes with status 200."""
    if response.status != 200 or (response.body[:1] == b"{" and refusal(response.body) is not None):
        raise read_error(response, request)


def _bounded(limit: int | None, most: int) -> int:
    return most if limit is None else max(1, min(limit, most))
