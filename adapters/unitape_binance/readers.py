"""From the bytes of one combined frame to events: the hot path.

A reader belongs to one stream. It decodes the whole envelope in one typed pass and builds the event by position, with
everything that does not change (decoder, symbol) bound beforehand. Readers raise what msgspec raises; the session and
the codec turn that into ``WireError``.

``E`` is when the venue sent a message and ``T`` when it happened. A payload with ``E`` alone has no event time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, TypeAlias

import msgspec

from unitape.spi import MILLISECOND, DepthUpdate, Output
from unitape_binance import wire
from unitape_schemas import Candle, Funding, Liquidation, MarkPrice, OpenInterest, Quote, Ticker, TopBook, Trade

__all__ = [
    "DECODE_ERRORS",
    "VENUE_NAME",
    "Reader",
    "SymbolOf",
    "agg_trades",
    "candles",
    "force_orders",
    "mark_prices",
    "mini_tickers",
    "open_interest",
    "snapshots",
    "spot_books",
    "spot_quotes",
    "spot_tickers",
    "spot_tops",
    "spot_trades",
    "usdm_books",
    "usdm_quote_rows",
    "usdm_quotes",
    "usdm_ticker_rows",
    "usdm_tickers",
    "usdm_tops",
    "usdm_trades",
]

VENUE_NAME: Final = "binance"

DECODE_ERRORS: Final = (msgspec.MsgspecError, UnicodeError, RecursionError)
"""What decoding untrusted bytes can raise."""

Reader: TypeAlias = Callable[[bytes | str, int], Sequence[Output]]
"""Takes one combined frame and its receive time."""

SymbolOf: TypeAlias = Callable[[str], str]
"""Returns the unified symbol of a raw one."""

_MS: Final = MILLISECOND
_NOTHING: Final[tuple[Output, ...]] = ()

_trade = msgspec.json.Decoder(wire.Envelope[wire.TradeRow], strict=False).decode
_usdm_trade = msgspec.json.Decoder(wire.Envelope[wire.UsdmTrade], strict=False).decode
_agg_trade = msgspec.json.Decoder(wire.Envelope[wire.AggTrade], strict=False).decode
_book_ticker = msgspec.json.Decoder(wire.Envelope[wire.BookTicker], strict=False).decode
_timed_book_ticker = msgspec.json.Decoder(wire.Envelope[wire.TimedBookTicker], strict=False).decode
_book_ticker_rows = msgspec.json.Decoder(
    wire.Envelope[wire.BookTickerRow | tuple[wire.BookTickerRow, ...]], strict=False
).decode
_depth = msgspec.json.Decoder(wire.Envelope[wire.Depth], strict=False).decode
_depth_diff = msgspec.json.Decoder(wire.Envelope[wire.DepthDiff], strict=False).decode
_partial_depth = msgspec.json.Decoder(wire.Envelope[wire.PartialDepth], strict=False).decode
_spot_ticker = msgspec.json.Decoder(wire.Envelope[wire.SpotTicker], strict=False).decode
_usdm_ticker = msgspec.json.Decoder(wire.Envelope[wire.UsdmTicker], strict=False).decode
_usdm_ticker_rows = msgspec.json.Decoder(
    wire.Envelope[wire.UsdmTickerRow | tuple[wire.UsdmTickerRow, ...]], strict=False
).decode
_mini_ticker = msgspec.json.Decoder(wire.Envelope[wire.MiniTicker | tuple[wire.MiniTicker, ...]], strict=False).decode
_kline = msgspec.json.Decoder(wire.Envelope[wire.Kline], strict=False).decode
_mark_price = msgspec.json.Decoder(
    wire.Envelope[wire.MarkPriceUpdate | tuple[wire.MarkPriceUpdate, ...]], strict=False
).decode
_force_order = msgspec.json.Decoder(wire.Envelope[wire.ForceOrder | tuple[wire.ForceOrder, ...]], strict=False).decode
_open_interest = msgspec.json.Decoder(wire.Envelope[wire.OpenInterestBody], strict=False).decode


def _timed_quote(symbol: str, row: wire.TimedBookTicker, ts_recv: int) -> Quote:
    return Quote(
        VENUE_NAME,
        symbol,
        row.ts * _MS,
        row.sent * _MS,
        ts_recv,
        row.bid,
        row.bid_size,
        row.ask,
        row.ask_size,
        row.seq,
    )


def _usdm_ticker_event(symbol: str, row: wire.UsdmTicker, ts_recv: int) -> Ticker:
    return Ticker(
        VENUE_NAME,
        symbol,
        row.ts * _MS,
        row.sent * _MS,
        ts_recv,
        row.last,
        row.open,
        row.high,
        row.low,
        row.volume,
        row.quote_volume,
        row.change,
        None,
        None,
        None,
        None,
    )


def spot_trades(symbol: str) -> Reader:
    """Read spot ``<s>@trade``."""

    def read(data: bytes | str, ts_recv: int) -> Sequence[Output]:
        row = _trade(data).data
        return (
            Trade(
                VENUE_NAME,
                symbol,
                row.ts * _MS,
                row.sent * _MS,
                ts_recv,
                str(row.id),
                row.price,
                row.size,
                "sell" if row.sold else "buy",
            ),
        )

    return read


def usdm_trades(symbol: str) -> Reader:
    """Read USDⓈ-M ``<s>@trade``. Rows that are no trade of the book (``X`` other than MARKET, nothing traded) go."""

    def read(data: bytes | str, ts_recv: int) -> Sequence[Output]:
        row = _usdm_trade(data).data
        if row.cause != "MARKET" or not row.price or not row.size:
            return _NOTHING
        return (
            Trade(
                VENUE_NAME,
                symbol,
                row.ts * _MS,
                row.sent * _MS,
                ts_recv,
                str(row.id),
                row.price,
                row.size,
                "sell" if row.sold else "buy",
            ),
        )

    return read


def agg_trades(symbol: str) -> Reader:
    """Read ``<s>@aggTrade`` of both markets: the id is the aggregate's."""

    def read(data: bytes | str, ts_recv: int) -> Sequence[Output]:
        row = _agg_trade(data).data
        return (
            Trade(
                VENUE_NAME,
                symbol,
                row.ts * _MS,
                row.sent * _MS,
                ts_recv,
                None if row.id is None else str(row.id),
                row.price,
                row.size,
                "sell" if row.sold else "buy",
            ),
        )

    return read


def spot_quotes(symbol: str) -> Reader:
    """Read spot ``<s>@bookTicker``, which has no times."""

    def read(data: bytes | str, ts_recv: int) -> Sequence[Output]:
        row = _book_ticker(data).data
        return (Quote(VENUE_NAME, symbol, 0, 0, ts_recv, row.bid, row.bid_size, row.ask, row.ask_size, row.seq),)

    return read


def usdm_quotes(symbol: str) -> Reader:
    """Read USDⓈ-M ``<s>@bookTicker``."""

    def read(data: bytes | str, ts_recv: int) -> Sequence[Output]:
        row = _timed_book_ticker(data).data
        return (_timed_quote(symbol, row, ts_recv),)

    return read


def usdm_quote_rows(symbol_of: SymbolOf) -> Reader:
    """Read ``!bookTicker``, without the rows of COIN-M."""

    def read(data: bytes | str, ts_recv: int) -> Sequence[Output]:
        rows = _book_ticker_rows(data).data
        return [
            _timed_quote(symbol_of(row.raw), row, ts_recv)
            for row in (rows if isinstance(rows, tuple) else (rows,))
            if row.family == 1
        ]

    return read


def spot_books(symbol: str) -> Reader:
    """Read spot ``<s>@depth``."""

    def read(data: bytes | str, ts_recv: int) -> Sequence[Output]:
        row = _depth(data).data
        return (
            DepthUpdate(VENUE_NAME, symbol, 0, row.sent * _MS, ts_recv, row.bids, row.asks, row.first, row.last, None),
        )

    return read


def usdm_books(symbol: str) -> Reader:
    """Read USDⓈ-M ``<s>@depth``."""

    def read(data: bytes | str, ts_recv: int) -> Sequence[Output]:
        row = _depth_diff(data).data
        return (
            DepthUpdate(
                VENUE_NAME,
                symbol,
                row.ts * _MS,
                row.sent * _MS,
                ts_recv,
                row.bids,
                row.asks,
                row.first,
                row.last,
                row.previous,
            ),
        )

    return read


def spot_tops(symbol: str, depth: int) -> Reader:
    """Read spot ``<s>@depth<n>``, which has no times."""

    def read(data: bytes | str, ts_recv: int) -> Sequence[Output]:
        row = _partial_depth(data).data
        return (TopBook(VENUE_NAME, symbol, 0, 0, ts_recv, row.bids, row.asks, depth, row.last),)

    return read


def usdm_tops(symbol: str, depth: int) -> Reader:
    """Read USDⓈ-M ``<s>@depth<n>``: laid out like a diff, but the whole top each time."""

    def read(data: bytes | str, ts_recv: int) -> Sequence[Output]:
        row = _depth_diff(data).data
        return (
            TopBook(VENUE_NAME, symbol, row.ts * _MS, row.sent * _MS, ts_recv, row.bids, row.asks, depth, row.last),
        )

    return read


def snapshots(symbol: str, depth: int | None) -> Reader:
    """Read the body of ``GET …/depth``: a whole image of up to ``depth`` levels per side."""

    def read(data: bytes | str, ts_recv: int) -> Sequence[Output]:
        row = _partial_depth(data).data
        return (
            DepthUpdate(
                VENUE_NAME,
                symbol,
                row.ts * _MS,
                row.sent * _MS,
                ts_recv,
                row.bids,
                row.asks,
                None,
                row.last,
                None,
                True,
                depth,
            ),
        )

    return read


def spot_tickers(symbol: str) -> Reader:
    """Read spot ``<s>@ticker``. The window's close time is when it happened."""

    def read(data: bytes | str, ts_recv: int) -> Sequence[Output]:
        row = _spot_ticker(data).data
        return (
            Ticker(
                VENUE_NAME,
                symbol,
                row.ts * _MS,
                row.sent * _MS,
                ts_recv,
                row.last,
                row.open,
                row.high,
                row.low,
                row.volume,
                row.quote_volume,
                row.change,
                row.bid,
                row.bid_size,
                row.ask,
                row.ask_size,
            ),
        )

    return read


def usdm_tickers(symbol: str) -> Reader:
    """Read USDⓈ-M ``<s>@ticker``."""

    def read(data: bytes | str, ts_recv: int) -> Sequence[Output]:
        row = _usdm_ticker(data).data
        return (_usdm_ticker_event(symbol, row, ts_recv),)

    return read


def usdm_ticker_rows(symbol_of: SymbolOf) -> Reader:
    """Read ``!ticker@arr``, without the rows of COIN-M."""

    def read(data: bytes | str, ts_recv: int) -> Sequence[Output]:
        rows = _usdm_ticker_rows(data).data
        return [
            _usdm_ticker_event(symbol_of(row.raw), row, ts_recv)
            for row in (rows if isinstance(rows, tuple) else (rows,))
            if row.family == 1
        ]

    return read


def mini_tickers(symbol: str | None, symbol_of: SymbolOf) -> Reader:
    """Read ``<s>@miniTicker`` of both markets; with symbol None ``!miniTicker@arr``."""

    def read(data: bytes | str, ts_recv: int) -> Sequence[Output]:
        rows = _mini_ticker(data).data
        return [
            Ticker(
                VENUE_NAME,
                symbol or symbol_of(row.raw),
                0,
                row.sent * _MS,
                ts_recv,
                row.last,
                row.open,
                row.high,
                row.low,
                row.volume,
                row.quote_volume,
                None,
                None,
                None,
                None,
                None,
            )
            for row in (rows if isinstance(rows, tuple) else (rows,))
            if row.family == 1
        ]

    return read


def candles(symbol: str) -> Reader:
    """Read ``<s>@kline_<i>`` of both markets. The wire's end is inclusive, ours is not."""

    def read(data: bytes | str, ts_recv: int) -> Sequence[Output]:
        row = _kline(data).data
        candle = row.candle
        return (
            Candle(
                VENUE_NAME,
                symbol,
                0,
                row.sent * _MS,
                ts_recv,
                candle.interval,
                candle.start * _MS,
                (candle.end + 1) * _MS,
                candle.open,
                candle.high,
                candle.low,
                candle.close,
                candle.volume,
                candle.quote_volume,
                candle.trades,
                candle.closed,
            ),
        )

    return read


def mark_prices(symbol: str | None, symbol_of: SymbolOf, *, mark: bool = True, funding: bool = True) -> Reader:
    """Read ``<s>@markPrice@1s``, with symbol None ``!markPrice@arr@1s``: mark prices, funding, or both."""

    def read(data: bytes | str, ts_recv: int) -> Sequence[Output]:
        rows = _mark_price(data).data
        events: list[Output] = []
        for row in rows if isinstance(rows, tuple) else (rows,):
            if row.family != 1:
                continue
            name = symbol or symbol_of(row.raw)
            sent = row.sent * _MS
            if mark:
                index = None if row.index == "" else row.index
                events.append(MarkPrice(VENUE_NAME, name, 0, sent, ts_recv, row.mark, index))
            if funding and row.rate != "":
                ts_next = row.next * _MS if row.next else None
                events.append(Funding(VENUE_NAME, name, 0, sent, ts_recv, row.rate, ts_next))
        return events

    return read


def force_orders(symbol: str | None, symbol_of: SymbolOf) -> Reader:
    """Read ``<s>@forceOrder``; with symbol None ``!forceOrder@arr``."""

    def read(data: bytes | str, ts_recv: int) -> Sequence[Output]:
        rows = _force_order(data).data
        return [
            Liquidation(
                VENUE_NAME,
                symbol or symbol_of(row.order.raw),
                row.order.ts * _MS,
                row.sent * _MS,
                ts_recv,
                "sell" if row.order.side == "SELL" else "buy",
                row.order.average or row.order.price,
                row.order.size,
            )
            for row in (rows if isinstance(rows, tuple) else (rows,))
            if row.family == 1
        ]

    return read


def open_interest(symbol: str) -> Reader:
    """Read the body of ``GET /fapi/v1/openInterest``; time 0 where a recording left it out."""

    def read(data: bytes | str, ts_recv: int) -> Sequence[Output]:
        row = _open_interest(data).data
        return (OpenInterest(VENUE_NAME, symbol, row.ts * _MS, 0, ts_recv, row.size),)

    return read
