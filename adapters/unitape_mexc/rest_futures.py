"""The HTTP queries of futures, as data. From "Market endpoints" of MEXC Contract V1; 2026-11.

Every answer comes in an envelope ``{"success":…,"code":…,"data":…}``, refusals included, usually with status 200.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Final, Generic, TypeVar

import msgspec
from msgspec import Meta, Struct

from unitape.errors import Unsupported, WireError
from unitape.spi import (
    MILLISECOND,
    SECOND,
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
from unitape_mexc import wire
from unitape_mexc.channels import NATIVE_INTERVALS, candle_end
from unitape_mexc.codec_futures import VENUE, Contracts, FuturesReader
from unitape_mexc.errors import futures_error
from unitape_mexc.limits import FuturesSettings
from unitape_mexc.symbols import read_contracts
from unitape_schemas import Candle, Event, Funding, Instrument, Interval, Side, Subscription, Ticker, Trade

__all__ = ["FuturesRest"]

T = TypeVar("T")

_MS: Final = MILLISECOND
_BASE: Final = "/api/v1/contract"
_PAGES: Final = {"candles": 2000, "trades": 100, "depth": 1000, "funding_history": 1000, "repair": 1000}
_SIDES: Final[Mapping[int, Side]] = {1: "buy", 2: "sell"}
_Seconds = Annotated[int, Meta(ge=0, lt=9_000_000_000)]


class _Outcome(Struct, gc=False):
    success: bool = False
    code: int = -1


class _Answer(Struct, Generic[T], gc=False):
    data: T


class _Columns(Struct, gc=False, rename={"amounts": "amount", "volumes": "vol"}):
    time: tuple[_Seconds, ...]
    open: tuple[WireNumber, ...]
    high: tuple[WireNumber, ...]
    low: tuple[WireNumber, ...]
    close: tuple[WireNumber, ...]
    volumes: tuple[WireNumber, ...]
    amounts: tuple[WireNumber, ...] = ()


class _Settled(Struct, gc=False, rename="camel"):
    symbol: str
    funding_rate: WireSigned
    settle_time: WireMillis


class _FundingPage(Struct, gc=False, rename="camel"):
    result_list: list[_Settled]


_outcome = msgspec.json.Decoder(_Outcome).decode
_ping = msgspec.json.Decoder(_Answer[WireMillis], strict=False).decode
_depth = msgspec.json.Decoder(_Answer[wire.DepthImage], strict=False).decode
_commits = msgspec.json.Decoder(_Answer[list[wire.Commit]], strict=False).decode
_deals = msgspec.json.Decoder(_Answer[list[wire.Deal]], strict=False).decode
_columns = msgspec.json.Decoder(_Answer[_Columns], strict=False).decode
_tickers = msgspec.json.Decoder(_Answer[list[wire.TickerData] | wire.TickerData], strict=False).decode
_funding = msgspec.json.Decoder(_Answer[_FundingPage], strict=False).decode


class FuturesRest:
    """The futures queries."""

    def __init__(self, instruments: Instruments, settings: FuturesSettings) -> None:
        self._instruments = instruments
        self._settings = settings
        self._contracts = Contracts(instruments)
        self._reader = FuturesReader(instruments)

    def instruments(self) -> Query[list[Instrument]]:
        """Every contract, also those that do not trade. The venue answers once in 5 s."""
        return _query(
            "instruments", "/detail", {}, lambda response, ts: read_contracts(response.body, ts), budget="detail"
        )

    def time(self) -> Query[int]:
        """The venue's clock in nanoseconds."""
        return _query("time", "/ping", {}, lambda response, _: _ping(response.body).data * _MS)

    def depth(self, symbol: str, levels: int | None = None) -> Query[DepthUpdate]:
        """A snapshot, 1000 levels per side unless said otherwise."""
        limit = min(levels or self._settings.snapshot_levels, _PAGES["depth"])
        raw = self._raw(symbol)

        def read(response: HttpResponse, ts_recv: int) -> DepthUpdate:
            row = _depth(response.body).data
            sides = self._contracts.find(raw).loose_levels
            return DepthUpdate(
                VENUE,
                symbol,
                row.timestamp * _MS,
                0,
                ts_recv,
                sides(row.bids),
                sides(row.asks),
                None,
                row.version,
                None,
                True,
                limit,
            )

        return _query("depth", f"/depth/{raw}", {"limit": limit}, read)

    def repair(self, symbol: str, after: int) -> Query[list[DepthUpdate]] | None:
        """The newest increments after a version, in order. They may not reach back far enough."""
        raw = self._raw(symbol)

        def read(response: HttpResponse, ts_recv: int) -> list[DepthUpdate]:
            sides = self._contracts.find(raw).loose_levels
            rows = sorted((r for r in _commits(response.body).data if r.version > after), key=lambda r: r.version)
            return [
                DepthUpdate(VENUE, symbol, 0, 0, ts_recv, sides(r.bids), sides(r.asks), r.version, r.version, None)
                for r in rows
            ]

        return _query("repair", f"/depth_commits/{raw}/{_PAGES['repair']}", {}, read)

    def trades(self, symbol: str, limit: int | None = None) -> Query[list[Trade]]:
        """The newest trades, oldest first, at most 100."""
        raw = self._raw(symbol)

        def read(response: HttpResponse, ts_recv: int) -> list[Trade]:
            base = self._contracts.find(raw).base
            rows = _deals(response.body).data
            # The order is not documented: newest first in examples, and equal times are common.
            rows.reverse()
            rows.sort(key=lambda row: row.t)
            return [
                Trade(
                    VENUE,
                    symbol,
                    row.t * _MS,
                    0,
                    ts_recv,
                    None if row.i is None else str(row.i),
                    row.p,
                    base(row.v),
                    _SIDES[row.T],
                )
                for row in rows
            ]

        count = min(limit or _PAGES["trades"], _PAGES["trades"])
        return _query("trades", f"/deals/{raw}", {"limit": count}, read)

    def trades_since(self, symbol: str, trade_id: str, limit: int | None = None) -> Query[list[Trade]]:
        """Unsupported: the venue cannot be asked for trades after an id."""
        raise Unsupported("mexc futures cannot be asked for trades after an id; `trades` gives the newest 100")

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
        native = NATIVE_INTERVALS.get(interval)
        if native is None:
            raise Unsupported(f"mexc futures has no {interval} candles, only {', '.join(NATIVE_INTERVALS)}")
        raw = self._raw(symbol)
        most = min(limit or _PAGES["candles"], _PAGES["candles"])

        def read(response: HttpResponse, ts_recv: int) -> list[Candle]:
            found = [
                candle
                for candle in self._candles(_columns(response.body).data, raw, interval, ts_recv)
                if (start is None or candle.ts_open >= start) and (end is None or candle.ts_open < end)
            ]
            return found[-most:] if start is None else found[:most]

        parameters: dict[str, str | int | None] = {
            "interval": native,
            "start": None if start is None else -(-start // SECOND),
            "end": None if end is None else (end - 1) // SECOND,
        }
        return _query("candles", f"/kline/{raw}", parameters, read)

    def tickers(self, symbols: Sequence[str] = ()) -> Query[list[Ticker]]:
        """24 h tickers. More than one symbol: all are asked for and the others left out."""
        wanted = {self._raw(symbol) for symbol in symbols}
        one = next(iter(wanted)) if len(wanted) == 1 else None

        def read(response: HttpResponse, ts_recv: int) -> list[Ticker]:
            data = _tickers(response.body).data
            rows = data if isinstance(data, list) else [data]
            return [self._reader.row(row, 0, ts_recv) for row in rows if not wanted or row.symbol in wanted]

        return _query("tickers", "/ticker", {"symbol": one}, read)

    def funding_history(
        self, symbol: str, *, start: int | None = None, end: int | None = None, limit: int | None = None
    ) -> Query[list[Funding]]:
        """Settled funding, oldest first.

        The venue pages from the newest and knows no times: of the newest ``limit`` settlements (1000 when a time is
        given), those in [start, end) are returned.
        """
        raw = self._raw(symbol)
        bounded = start is not None or end is not None
        size = _PAGES["funding_history"] if bounded else min(limit or 100, _PAGES["funding_history"])

        def read(response: HttpResponse, ts_recv: int) -> list[Funding]:
            rows = sorted(_funding(response.body).data.result_list, key=lambda row: row.settle_time)
            found = [
                Funding(VENUE, symbol, row.settle_time * _MS, 0, ts_recv, row.funding_rate, None)
                for row in rows
                if (start is None or row.settle_time * _MS >= start) and (end is None or row.settle_time * _MS < end)
            ]
            if limit is None:
                return found
            return found[:limit] if start is not None else found[-limit:]

        parameters: dict[str, str | int | None] = {"symbol": raw, "page_num": 1, "page_size": size}
        return _query("funding_history", "/funding_rate/history", parameters, read)

    def poll(self, subscription: Subscription) -> Query[list[Event]]:
        """Unsupported: every channel has a stream."""
        raise Unsupported(f"{subscription.key} is not polled")

    def page_limit(self, query: str) -> int:
        """The most rows that one query of this name returns."""
        return _PAGES.get(query, 1)

    def _raw(self, symbol: str) -> str:
        return self._instruments.require(symbol).raw_symbol

    def _candles(self, rows: _Columns, raw: str, interval: Interval, ts_recv: int) -> list[Candle]:
        contract = self._contracts.find(raw)
        amounts: Sequence[float | None] = rows.amounts or [None] * len(rows.time)
        columns = zip(rows.time, rows.open, rows.high, rows.low, rows.close, rows.volumes, amounts, strict=True)
        candles: list[Candle] = []
        for opened, first, high, low, last, volume, amount in columns:
            ts_close = candle_end(opened, interval) * SECOND
            candles.append(
                Candle(
                    VENUE,
                    contract.symbol,
                    0,
                    0,
                    ts_recv,
                    interval,
                    opened * SECOND,
                    ts_close,
                    first,
                    high,
                    low,
                    last,
                    contract.base(volume),
                    amount,
                    None,
                    ts_close <= ts_recv,
                )
            )
        return candles


def _query(
    name: str,
    path: str,
    parameters: Mapping[str, str | int | None],
    read: Callable[[HttpResponse, int], T],
    *,
    budget: str = "weight",
) -> Query[T]:
    def checked(response: HttpResponse, ts_recv: int) -> T:
        try:
            outcome = _outcome(response.body)
            if response.status == 200 and outcome.success and outcome.code in (0, 200):
                return read(response, ts_recv)
        except (msgspec.MsgspecError, ValueError, UnicodeError, RecursionError) as error:
            if response.status == 200:
                raise WireError(f"not an answer to {path}: {error}", response.body, venue=VENUE) from None
        raise futures_error(response)

    return Query(name, HttpRequest("GET", _BASE + path, encode_query(parameters), budget=budget), checked)
