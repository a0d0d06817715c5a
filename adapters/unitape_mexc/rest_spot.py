"""The HTTP queries of spot, as data. From "Market Data Endpoints" of MEXC Spot V3; 2026-11."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Final, TypeVar

import msgspec
from msgspec import Meta, Struct

from unitape.errors import Unsupported, WireError
from unitape.spi import (
    MILLISECOND,
    DepthUpdate,
    HttpRequest,
    HttpResponse,
    Instruments,
    Query,
    WireLevels,
    WireMillis,
    WireNumber,
    encode_query,
)
from unitape_mexc.bodies import VENUE, percent
from unitape_mexc.errors import spot_error
from unitape_mexc.limits import SpotSettings
from unitape_mexc.symbols import read_spot_instruments
from unitape_schemas import Candle, Event, Funding, Instrument, Interval, Side, Subscription, Ticker, Trade

__all__ = ["REST_INTERVALS", "SpotRest"]

T = TypeVar("T")

_MS: Final = MILLISECOND
_PAGES: Final = {"candles": 1000, "trades": 1000, "depth": 5000}

REST_INTERVALS: Final[Mapping[Interval, str]] = {
    "1m": "1m",
    "5m": "5m",
    "15m": "15m",
    "30m": "30m",
    "1h": "60m",
    "4h": "4h",
    "1d": "1d",
    "1w": "1W",
    "1M": "1M",
}
"""An hour is ``60m`` (``1h`` is refused); there is no ``8h``, though the stream has it."""

_SIDES: Final[Mapping[str, Side]] = {"BID": "buy", "ASK": "sell"}


class _Time(Struct, gc=False, rename="camel"):
    server_time: WireMillis


class _Depth(Struct, gc=False, rename="camel"):
    last_update_id: Annotated[int, Meta(ge=0, le=(1 << 63) - 1)]
    bids: WireLevels
    asks: WireLevels
    timestamp: WireMillis | None = None


class _Trade(Struct, gc=False, rename="camel"):
    price: WireNumber
    qty: WireNumber
    time: WireMillis
    is_buyer_maker: bool
    trade_type: str | None = None
    id: str | int | None = None


class _Candle(Struct, gc=False, array_like=True):
    opened: WireMillis
    open: WireNumber
    high: WireNumber
    low: WireNumber
    close: WireNumber
    volume: WireNumber
    closed: WireMillis
    amount: WireNumber


class _Ticker(Struct, gc=False, rename="camel"):
    symbol: str
    price_change_percent: str | None = None
    last_price: str | None = None
    bid_price: str | None = None
    bid_qty: str | None = None
    ask_price: str | None = None
    ask_qty: str | None = None
    open_price: str | None = None
    high_price: str | None = None
    low_price: str | None = None
    volume: str | None = None
    quote_volume: str | None = None
    close_time: WireMillis | None = None


class _Symbols(Struct, gc=False):
    code: int
    data: list[str]


_time = msgspec.json.Decoder(_Time, strict=False).decode
_depth = msgspec.json.Decoder(_Depth, strict=False).decode
_trades = msgspec.json.Decoder(list[_Trade], strict=False).decode
_candles = msgspec.json.Decoder(list[_Candle], strict=False).decode
_tickers: Callable[[bytes], list[_Ticker] | _Ticker] = msgspec.json.Decoder(
    list[_Ticker] | _Ticker, strict=False
).decode
_symbols = msgspec.json.Decoder(_Symbols, strict=False).decode
_number = msgspec.json.Decoder(WireNumber).decode


class SpotRest:
    """The spot queries."""

    def __init__(self, instruments: Instruments, settings: SpotSettings) -> None:
        self._instruments = instruments
        self._settings = settings

    def instruments(self) -> Query[list[Instrument]]:
        """Every pair, also those that are paused or closed to the API."""
        return _query(
            "instruments",
            "/api/v3/exchangeInfo",
            {},
            25,
            lambda response, ts: read_spot_instruments(response.body, ts),
        )

    def default_symbols(self) -> Query[list[str]]:
        """The venue's spelling of the pairs that are open to the API by default."""
        return _query(
            "default_symbols", "/api/v3/defaultSymbols", {}, 1, lambda response, _: _symbols(response.body).data
        )

    def time(self) -> Query[int]:
        """The venue's clock in nanoseconds."""
        return _query("time", "/api/v3/time", {}, 1, lambda response, _: _time(response.body).server_time * _MS)

    def depth(self, symbol: str, levels: int | None = None) -> Query[DepthUpdate]:
        """A snapshot, 1000 levels per side unless said otherwise, at most 5000."""
        limit = min(levels or self._settings.snapshot_levels, _PAGES["depth"])

        def read(response: HttpResponse, ts_recv: int) -> DepthUpdate:
            row = _depth(response.body)
            ts_sent = (row.timestamp or 0) * _MS
            seq = row.last_update_id
            return DepthUpdate(VENUE, symbol, 0, ts_sent, ts_recv, row.bids, row.asks, None, seq, None, True, limit)

        return _query("depth", "/api/v3/depth", {"symbol": self._raw(symbol), "limit": limit}, 3, read)

    def repair(self, symbol: str, after: int) -> Query[list[DepthUpdate]] | None:
        """None: there are no single updates to ask for."""
        return None

    def trades(self, symbol: str, limit: int | None = None) -> Query[list[Trade]]:
        """The newest trades, oldest first. Here they have no ids."""

        def read(response: HttpResponse, ts_recv: int) -> list[Trade]:
            return [_read_trade(row, symbol, ts_recv) for row in reversed(_trades(response.body))]

        count = min(limit or 500, _PAGES["trades"])
        return _query("trades", "/api/v3/trades", {"symbol": self._raw(symbol), "limit": count}, 5, read)

    def trades_since(self, symbol: str, trade_id: str, limit: int | None = None) -> Query[list[Trade]]:
        """Unsupported: the venue's trade queries know no ids."""
        raise Unsupported("mexc spot cannot be asked for trades after an id; `trades` gives the newest")

    def candles(
        self,
        symbol: str,
        interval: Interval,
        *,
        start: int | None = None,
        end: int | None = None,
        limit: int | None = None,
    ) -> Query[list[Candle]]:
        """Candles that open in [start, end), oldest first. The newest may still change: ``closed`` says so."""
        native = REST_INTERVALS.get(interval)
        if native is None:
            known = ", ".join(REST_INTERVALS)
            raise Unsupported(f"mexc spot has no {interval} candles to ask for, only {known}")

        def read(response: HttpResponse, ts_recv: int) -> list[Candle]:
            rows = [_read_candle(row, symbol, interval, ts_recv) for row in _candles(response.body)]
            return [c for c in rows if (start is None or c.ts_open >= start) and (end is None or c.ts_open < end)]

        parameters = {
            "symbol": self._raw(symbol),
            "interval": native,
            "startTime": None if start is None else -(-start // _MS),
            "endTime": None if end is None else (end - 1) // _MS,
            "limit": min(limit or 500, _PAGES["candles"]),
        }
        return _query("candles", "/api/v3/klines", parameters, 1, read)

    def tickers(self, symbols: Sequence[str] = ()) -> Query[list[Ticker]]:
        """24 h tickers. More than one symbol: all are asked for and the others left out."""
        wanted = {self._raw(symbol) for symbol in symbols}
        one = next(iter(wanted)) if len(wanted) == 1 else None

        def read(response: HttpResponse, ts_recv: int) -> list[Ticker]:
            found = _tickers(response.body)
            rows = [found] if isinstance(found, _Ticker) else found
            return [
                _read_ticker(row, self._instruments.symbol(row.symbol), ts_recv)
                for row in rows
                if not wanted or row.symbol in wanted
            ]

        return _query("tickers", "/api/v3/ticker/24hr", {"symbol": one}, 25, read)

    def funding_history(
        self, symbol: str, *, start: int | None = None, end: int | None = None, limit: int | None = None
    ) -> Query[list[Funding]]:
        """Unsupported: spot has no funding."""
        raise Unsupported("spot has no funding")

    def poll(self, subscription: Subscription) -> Query[list[Event]]:
        """Unsupported: every channel has a stream."""
        raise Unsupported(f"{subscription.key} is not polled")

    def page_limit(self, query: str) -> int:
        """The most rows that one query of this name returns."""
        return _PAGES.get(query, 1)

    def _raw(self, symbol: str) -> str:
        return self._instruments.require(symbol).raw_symbol


def _query(
    name: str,
    path: str,
    parameters: Mapping[str, str | int | None],
    weight: int,
    read: Callable[[HttpResponse, int], T],
) -> Query[T]:
    def checked(response: HttpResponse, ts_recv: int) -> T:
        if response.status != 200:
            raise spot_error(response)
        try:
            return read(response, ts_recv)
        except (msgspec.MsgspecError, ValueError, UnicodeError, RecursionError) as error:
            raise WireError(f"not an answer to {path}: {error}", response.body, venue=VENUE) from None

    return Query(name, HttpRequest("GET", path, encode_query(parameters), weight=weight), checked)


def _read_trade(row: _Trade, symbol: str, ts_recv: int) -> Trade:
    maker_says: Side = "sell" if row.is_buyer_maker else "buy"
    side = _SIDES.get(row.trade_type or "", maker_says)
    number = None if row.id is None else str(row.id)
    return Trade(VENUE, symbol, row.time * _MS, 0, ts_recv, number, row.price, row.qty, side)


def _read_candle(row: _Candle, symbol: str, interval: Interval, ts_recv: int) -> Candle:
    ts_close = row.closed * _MS
    return Candle(
        VENUE,
        symbol,
        0,
        0,
        ts_recv,
        interval,
        row.opened * _MS,
        ts_close,
        row.open,
        row.high,
        row.low,
        row.close,
        row.volume,
        row.amount,
        None,
        ts_close <= ts_recv,
    )


def _optional(text: str | None) -> float | None:
    return _number(text) if text else None


def _read_ticker(row: _Ticker, symbol: str, ts_recv: int) -> Ticker:
    return Ticker(
        VENUE,
        symbol,
        (row.close_time or 0) * _MS,
        0,
        ts_recv,
        _optional(row.last_price),
        _optional(row.open_price),
        _optional(row.high_price),
        _optional(row.low_price),
        _optional(row.volume),
        _optional(row.quote_volume),
        percent(row.price_change_percent) if row.price_change_percent else None,
        _optional(row.bid_price),
        _optional(row.bid_qty),
        _optional(row.ask_price),
        _optional(row.ask_qty),
    )
