"""The HTTP queries of both markets, as data: paths, parameters and weights in one table per market.

From "Market Data endpoints" of binance-spot-api-docs (2026-07) and of the USDⓈ-M futures (2026-10).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Final, TypeVar

import msgspec
from msgspec import Meta, Struct

from unitape.errors import ConfigError, Unsupported, WireError
from unitape.spi import (
    MILLISECOND,
    DepthUpdate,
    HttpRequest,
    HttpResponse,
    Instruments,
    Query,
    WireMillis,
    WireNumber,
    WireSigned,
    encode_query,
)
from unitape_binance import wire
from unitape_binance.channels import SPOT_CHANNELS, USDM_CHANNELS
from unitape_binance.errors import MarketName, read_error
from unitape_binance.readers import DECODE_ERRORS, VENUE_NAME, depth_snapshot
from unitape_binance.symbols import read_spot_instruments, read_usdm_instruments
from unitape_schemas import Candle, Event, Funding, Instrument, Interval, OpenInterest, Subscription, Ticker, Trade

__all__ = ["SPOT_PATHS", "USDM_PATHS", "BinanceRest", "Paths"]

T = TypeVar("T")

_MS: Final = MILLISECOND
_Bands = tuple[tuple[int, int], ...]
"""(up to this many rows, weight), ascending."""


class Paths(Struct, frozen=True):
    """Where one market answers, and what it costs."""

    time: str
    instruments: tuple[str, int]
    depth: str
    depth_weights: _Bands
    depth_limits: tuple[int, ...]
    """The limits the market accepts; empty: any up to the last band."""
    trades: tuple[str, int]
    trades_since: tuple[str, int]
    aggregated: bool
    """Trades are aggregates (``a``), else single trades (``id``)."""
    candles: str
    candle_weights: _Bands
    tickers: str
    ticker_weights: _Bands
    """By number of symbols; the last band is of all symbols."""
    many_tickers: bool
    """Several symbols may be asked for at once."""
    rows: Mapping[str, int]


_DEPTH_DEFAULT: Final = 1000

SPOT_PATHS: Final = Paths(
    time="/api/v3/time",
    instruments=("/api/v3/exchangeInfo", 20),
    depth="/api/v3/depth",
    depth_weights=((100, 5), (500, 25), (1000, 50), (5000, 250)),
    depth_limits=(),
    trades=("/api/v3/trades", 25),
    trades_since=("/api/v3/historicalTrades", 25),
    aggregated=False,
    candles="/api/v3/klines",
    candle_weights=((1000, 2),),
    tickers="/api/v3/ticker/24hr",
    ticker_weights=((20, 2), (100, 40), (10**9, 80)),
    many_tickers=True,
    rows={"trades": 1000, "trades_since": 1000, "candles": 1000, "depth": 5000},
)

USDM_PATHS: Final = Paths(
    time="/fapi/v1/time",
    instruments=("/fapi/v1/exchangeInfo", 1),
    depth="/fapi/v1/depth",
    depth_weights=((50, 2), (100, 5), (500, 10), (1000, 20)),
    depth_limits=(5, 10, 20, 50, 100, 500, 1000),
    # The ids of the channel are those of aggregates, and old single trades need a key.
    trades=("/fapi/v1/aggTrades", 20),
    trades_since=("/fapi/v1/aggTrades", 20),
    aggregated=True,
    candles="/fapi/v1/klines",
    # The page says "below 100 and 500"; measured, the bounds are inclusive.
    candle_weights=((100, 1), (500, 2), (1000, 5), (1500, 10)),
    tickers="/fapi/v1/ticker/24hr",
    ticker_weights=((1, 1), (10**9, 40)),
    many_tickers=False,
    rows={"trades": 1000, "trades_since": 1000, "candles": 1500, "depth": 1000, "funding_history": 1000},
)

_OPEN_INTEREST: Final = "/fapi/v1/openInterest"
_FUNDING: Final = "/fapi/v1/fundingRate"


class _Time(Struct, gc=False, rename="camel"):
    server_time: WireMillis


class _SingleTrade(Struct, gc=False, rename={"size": "qty", "ts": "time", "sold": "isBuyerMaker"}):
    id: wire.Count
    price: WireNumber
    size: WireNumber
    ts: WireMillis
    sold: bool


class _Aggregate(Struct, gc=False, rename={"id": "a", "price": "p", "size": "q", "ts": "T", "sold": "m"}):
    id: wire.Count
    price: WireNumber
    size: WireNumber
    ts: WireMillis
    sold: bool


_Ignored = object
_KlineRow = tuple[
    WireMillis,
    WireNumber,
    WireNumber,
    WireNumber,
    WireNumber,
    WireNumber,
    WireMillis,
    WireNumber,
    wire.Count,
    _Ignored,
    _Ignored,
    _Ignored,
]


class _TickerRow(Struct, gc=False, rename="camel"):
    symbol: Annotated[str, Meta(min_length=1)]
    last_price: WireNumber
    open_price: WireNumber
    high_price: WireNumber
    low_price: WireNumber
    volume: WireNumber
    quote_volume: WireNumber
    price_change_percent: WireSigned
    close_time: WireMillis
    bid_price: WireNumber | None = None
    bid_qty: WireNumber | None = None
    ask_price: WireNumber | None = None
    ask_qty: WireNumber | None = None


class _FundingRow(Struct, gc=False, rename="camel"):
    symbol: str
    funding_rate: WireSigned
    funding_time: WireMillis


_time = msgspec.json.Decoder(_Time, strict=False)
_single_trades = msgspec.json.Decoder(list[_SingleTrade], strict=False)
_aggregates = msgspec.json.Decoder(list[_Aggregate], strict=False)
_klines = msgspec.json.Decoder(list[_KlineRow], strict=False)
_tickers = msgspec.json.Decoder(_TickerRow | tuple[_TickerRow, ...], strict=False)
_depth = msgspec.json.Decoder(wire.PartialDepth, strict=False)
_open_interest = msgspec.json.Decoder(wire.OpenInterestBody, strict=False)
_funding = msgspec.json.Decoder(list[_FundingRow], strict=False)


class BinanceRest:
    """The queries of one market. ``single_trades``: the channel ``trades`` carries single trades, not aggregates."""

    def __init__(self, instruments: Instruments, market: MarketName, *, single_trades: bool = False) -> None:
        self._instruments = instruments
        self._market: MarketName = market
        self._paths = SPOT_PATHS if market == "spot" else USDM_PATHS
        self._channels = SPOT_CHANNELS if market == "spot" else USDM_CHANNELS
        self._refills = market == "spot" or not single_trades

    def instruments(self) -> Query[list[Instrument]]:
        """Every instrument of the market, also those that do not trade."""
        path, weight = self._paths.instruments
        query = encode_query({"showPermissionSets": "false"}) if self._market == "spot" else ""
        read = read_spot_instruments if self._market == "spot" else read_usdm_instruments
        return self._query("instruments", HttpRequest("GET", path, query, weight=weight), read)

    def time(self) -> Query[int]:
        """The venue's clock in nanoseconds."""
        request = HttpRequest("GET", self._paths.time)
        return self._query("time", request, lambda body, ts_recv: _time.decode(body).server_time * _MS)

    def depth(self, symbol: str, levels: int | None = None) -> Query[DepthUpdate]:
        """A snapshot for the joined book: 1000 levels unless asked otherwise, at least as many as asked."""
        raw = self._raw(symbol)
        limit = self._depth_limit(_DEPTH_DEFAULT if levels is None else levels)
        weight = _weight(self._paths.depth_weights, limit)
        request = HttpRequest("GET", self._paths.depth, encode_query({"symbol": raw, "limit": limit}), weight=weight)

        def read(body: bytes, ts_recv: int) -> DepthUpdate:
            return depth_snapshot(_depth.decode(body), symbol, limit, ts_recv)

        return self._query("depth", request, read)

    def repair(self, symbol: str, after: int) -> Query[list[DepthUpdate]] | None:
        """Nothing: the venue keeps no old updates."""
        return None

    def trades(self, symbol: str, limit: int | None = None) -> Query[list[Trade]]:
        """The newest trades, oldest first, in the ids of the ``trades`` channel."""
        path, weight = self._paths.trades if self._refills else ("/fapi/v1/trades", 5)
        query = encode_query({"symbol": self._raw(symbol), "limit": self._rows("trades", limit)})
        request = HttpRequest("GET", path, query, weight=weight)
        return self._query("trades", request, self._trade_reader(symbol))

    def trades_since(self, symbol: str, trade_id: str, limit: int | None = None) -> Query[list[Trade]]:
        """Trades after the one with this id, oldest first.

        Raises:
            Unsupported: the market serves single trades, whose history needs a key.
            ConfigError: the id is not a number.
        """
        if not self._refills:
            raise Unsupported("old single trades of USDⓈ-M need a key; serve trades from aggTrade to refill them")
        if not trade_id.isdecimal():
            raise ConfigError(f"{trade_id!r} is not a trade id of {VENUE_NAME}")
        path, weight = self._paths.trades_since
        parameters: dict[str, str | int | None] = {
            "symbol": self._raw(symbol),
            "fromId": int(trade_id) + 1,
            "limit": self._rows("trades_since", limit),
        }
        request = HttpRequest("GET", path, encode_query(parameters), weight=weight)
        return self._query("trades_since", request, self._trade_reader(symbol))

    def candles(
        self,
        symbol: str,
        interval: Interval,
        *,
        start: int | None = None,
        end: int | None = None,
        limit: int | None = None,
    ) -> Query[list[Candle]]:
        """Candles that open in [start, end), oldest first; the last one is closed once its end has passed."""
        if interval not in self._channels["candles"].intervals:
            raise Unsupported(f"{self._market} has no candles of {interval}")
        rows = self._rows("candles", limit)
        parameters: dict[str, str | int | None] = {
            "symbol": self._raw(symbol),
            "interval": interval,
            "startTime": None if start is None else _ceil_ms(start),
            "endTime": None if end is None else _ceil_ms(end) - 1,
            "limit": rows,
        }
        weight = _weight(self._paths.candle_weights, rows)
        request = HttpRequest("GET", self._paths.candles, encode_query(parameters), weight=weight)

        def read(body: bytes, ts_recv: int) -> list[Candle]:
            return [_candle(symbol, interval, row, ts_recv) for row in _klines.decode(body)]

        return self._query("candles", request, read)

    def tickers(self, symbols: Sequence[str] = ()) -> Query[list[Ticker]]:
        """24 h tickers of these symbols; none given: of all."""
        raws = [self._raw(symbol) for symbol in symbols]
        query = ""
        count = len(raws) or 10**9
        if len(raws) == 1:
            query = encode_query({"symbol": raws[0]})
        elif raws and self._paths.many_tickers:
            query = encode_query({"symbols": msgspec.json.encode(raws).decode()})
        elif raws:
            count = 10**9
        weight = _weight(self._paths.ticker_weights, count)
        request = HttpRequest("GET", self._paths.tickers, query, weight=weight)
        wanted = frozenset(raws)

        def read(body: bytes, ts_recv: int) -> list[Ticker]:
            found = _tickers.decode(body)
            rows = (found,) if isinstance(found, _TickerRow) else found
            return [self._ticker(row, ts_recv) for row in rows if not wanted or row.symbol in wanted]

        return self._query("tickers", request, read)

    def funding_history(
        self, symbol: str, *, start: int | None = None, end: int | None = None, limit: int | None = None
    ) -> Query[list[Funding]]:
        """Settled funding, oldest first; shares the budget ``funding``."""
        self._only_usdm("funding")
        parameters: dict[str, str | int | None] = {
            "symbol": self._raw(symbol),
            "startTime": None if start is None else _ceil_ms(start),
            "endTime": None if end is None else _ceil_ms(end) - 1,
            # Without times the page names two defaults, so the limit is always sent.
            "limit": self._rows("funding_history", limit),
        }
        request = HttpRequest("GET", _FUNDING, encode_query(parameters), weight=1, budget="funding")

        def read(body: bytes, ts_recv: int) -> list[Funding]:
            return [
                Funding(VENUE_NAME, symbol, row.funding_time * _MS, 0, ts_recv, row.funding_rate, None)
                for row in _funding.decode(body)
            ]

        return self._query("funding_history", request, read)

    def poll(self, subscription: Subscription) -> Query[list[Event]]:
        """The query behind ``open_interest``."""
        if subscription.channel != "open_interest" or self._market != "usdm":
            raise Unsupported(f"{subscription.channel} is not polled on {self._market}")
        query = encode_query({"symbol": self._raw(subscription.symbol)})

        def read(body: bytes, ts_recv: int) -> list[Event]:
            row = _open_interest.decode(body)
            return [OpenInterest(VENUE_NAME, subscription.symbol, row.ts * _MS, 0, ts_recv, row.size)]

        return self._query("open_interest", HttpRequest("GET", _OPEN_INTEREST, query), read)

    def page_limit(self, query: str) -> int:
        """The most rows that one query of this name returns."""
        limit = self._paths.rows.get(query)
        if limit is None:
            raise Unsupported(f"{self._market} has no paged query {query!r}")
        return limit

    def _query(self, name: str, request: HttpRequest, read: Callable[[bytes, int], T]) -> Query[T]:
        market = self._market

        def answer(response: HttpResponse, ts_recv: int) -> T:
            if response.status != 200:
                raise read_error(response, request, market, ts_recv)
            try:
                # Names that are skipped are not looked at otherwise, and a spoilt body is not to be trusted in part.
                response.body.decode()
                return read(response.body, ts_recv)
            except DECODE_ERRORS as error:
                raise WireError(f"{name}: {error}", response.body, venue=VENUE_NAME) from error

        return Query(name, request, answer)

    def _trade_reader(self, symbol: str) -> Callable[[bytes, int], list[Trade]]:
        decode = (_aggregates if self._paths.aggregated and self._refills else _single_trades).decode

        def read(body: bytes, ts_recv: int) -> list[Trade]:
            rows: list[_SingleTrade] | list[_Aggregate] = decode(body)
            return [
                Trade(
                    VENUE_NAME,
                    symbol,
                    row.ts * _MS,
                    0,
                    ts_recv,
                    str(row.id),
                    row.price,
                    row.size,
                    "sell" if row.sold else "buy",
                )
                for row in rows
            ]

        return read

    def _ticker(self, row: _TickerRow, ts_recv: int) -> Ticker:
        return Ticker(
            VENUE_NAME,
            self._instruments.symbol(row.symbol),
            row.close_time * _MS,
            0,
            ts_recv,
            row.last_price,
            row.open_price,
            row.high_price,
            row.low_price,
            row.volume,
            row.quote_volume,
            row.price_change_percent,
            row.bid_price,
            row.bid_qty,
            row.ask_price,
            row.ask_qty,
        )

    def _raw(self, symbol: str) -> str:
        return self._instruments.require(symbol).raw_symbol

    def _only_usdm(self, what: str) -> None:
        if self._market != "usdm":
            raise Unsupported(f"{self._market} has no {what}; perpetuals have, for example BTC/USDT:USDT")

    def _rows(self, query: str, limit: int | None) -> int:
        most = self.page_limit(query)
        if limit is not None and limit < 1:
            raise ConfigError(f"a limit of {limit} rows asks for nothing")
        return most if limit is None else min(limit, most)

    def _depth_limit(self, levels: int) -> int:
        if levels < 1:
            raise ConfigError(f"a depth of {levels} asks for nothing")
        levels = min(levels, self._paths.rows["depth"])
        return next((limit for limit in self._paths.depth_limits if limit >= levels), levels)


def _weight(bands: _Bands, count: int) -> int:
    return next((weight for most, weight in bands if count <= most), bands[-1][1])


def _ceil_ms(nanoseconds: int) -> int:
    return -(-nanoseconds // _MS)


def _candle(symbol: str, interval: Interval, row: _KlineRow, ts_recv: int) -> Candle:
    ts_close = (row[6] + 1) * _MS
    return Candle(
        VENUE_NAME,
        symbol,
        0,
        0,
        ts_recv,
        interval,
        row[0] * _MS,
        ts_close,
        row[1],
        row[2],
        row[3],
        row[4],
        row[5],
        row[7],
        row[8],
        ts_close <= ts_recv,
    )
