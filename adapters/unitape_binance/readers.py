"""From decoded payloads to events: the hot path.

A reader belongs to one stream. It builds its events by position, with everything that does not change bound
beforehand. Payloads are checked while they are decoded, so readers cannot fail.

``E`` is when the venue sent a message and ``T`` when it happened. A payload with ``E`` alone has no event time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, TypeAlias

import msgspec

from unitape.spi import MILLISECOND, DepthUpdate, Output, Unmapped
from unitape_binance import wire
from unitape_schemas import Candle, Funding, Liquidation, MarkPrice, OpenInterest, Quote, Ticker, TopBook, Trade

__all__ = [
    "DECODE_ERRORS",
    "OFF_BOOK",
    "VENUE_NAME",
    "Reader",
    "SymbolOf",
    "agg_trades",
    "candles",
    "depth_snapshot",
    "force_order_rows",
    "force_orders",
    "funding",
    "mark_rows",
    "marks",
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

Reader: TypeAlias = Callable[[Any, int], Sequence[Output]]
"""Takes one decoded payload of its own type and the receive time."""

SymbolOf: TypeAlias = Callable[[str], str]
"""Returns the unified symbol of a raw one."""

OFF_BOOK: Final = "trade outside the book"
"""The name of fills whose cause (``X``) is not the market."""

_MS: Final = MILLISECOND
_NOTHING: Final[tuple[Output, ...]] = ()


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

    def read(row: wire.TradeRow, ts_recv: int) -> Sequence[Output]:
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
    """Read USDⓈ-M ``<s>@trade``.

    Rows in which nothing was traded go. Fills that did not come from the book, such as those of the insurance fund,
    are named but kept off the tape.
    """

    def read(row: wire.UsdmTrade, ts_recv: int) -> Sequence[Output]:
        if row.cause == "NA" or not row.price or not row.size:
            return _NOTHING
        if row.cause != "MARKET":
            return (Unmapped(OFF_BOOK),)
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

    def read(row: wire.AggTrade, ts_recv: int) -> Sequence[Output]:
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

    def read(row: wire.BookTicker, ts_recv: int) -> Sequence[Output]:
        return (Quote(VENUE_NAME, symbol, 0, 0, ts_recv, row.bid, row.bid_size, row.ask, row.ask_size, row.seq),)

    return read


def usdm_quotes(symbol: str) -> Reader:
    """Read USDⓈ-M ``<s>@bookTicker``."""

    def read(row: wire.TimedBookTicker, ts_recv: int) -> Sequence[Output]:
        return (
            Quote(
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
            ),
        )

    return read


def usdm_quote_rows(symbol_of: SymbolOf) -> Reader:
    """Read ``!bookTicker``, without the rows of COIN-M."""

    def read(rows: wire.BookTickerRow | tuple[wire.BookTickerRow, ...], ts_recv: int) -> Sequence[Output]:
        return [
            Quote(
                VENUE_NAME,
                symbol_of(row.raw),
                row.ts * _MS,
                row.sent * _MS,
                ts_recv,
                row.bid,
                row.bid_size,
                row.ask,
                row.ask_size,
                row.seq,
            )
            for row in (rows if isinstance(rows, tuple) else (rows,))
            if row.family == 1
        ]

    return read


def spot_books(symbol: str) -> Reader:
    """Read spot ``<s>@depth``."""

    def read(row: wire.Depth, ts_recv: int) -> Sequence[Output]:
        return (
            DepthUpdate(VENUE_NAME, symbol, 0, row.sent * _MS, ts_recv, row.bids, row.asks, row.first, row.last, None),
        )

    return read


def usdm_books(symbol: str) -> Reader:
    """Read USDⓈ-M ``<s>@depth``."""

    def read(row: wire.DepthDiff, ts_recv: int) -> Sequence[Output]:
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

    def read(row: wire.PartialDepth, ts_recv: int) -> Sequence[Output]:
        return (TopBook(VENUE_NAME, symbol, 0, 0, ts_recv, row.bids, row.asks, depth, row.last),)

    return read


def usdm_tops(symbol: str, depth: int) -> Reader:
    """Read USDⓈ-M ``<s>@depth<n>``: laid out like a diff, but the whole top each time."""

    def read(row: wire.DepthDiff, ts_recv: int) -> Sequence[Output]:
        return (
            TopBook(VENUE_NAME, symbol, row.ts * _MS, row.sent * _MS, ts_recv, row.bids, row.asks, depth, row.last),
        )

    return read


def snapshots(symbol: str, depth: int | None) -> Reader:
    """Read the body of ``GET …/depth`` where a recording files it as a stream."""

    def read(row: wire.PartialDepth, ts_recv: int) -> Sequence[Output]:
        return (depth_snapshot(row, symbol, depth, ts_recv),)

    return read


def depth_snapshot(row: wire.PartialDepth, symbol: str, depth: int | None, ts_recv: int) -> DepthUpdate:
    """Return a whole image of up to ``depth`` levels per side."""
    return DepthUpdate(
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
    )


def spot_tickers(symbol: str) -> Reader:
    """Read spot ``<s>@ticker``. The window's close time is when it happened."""

    def read(row: wire.SpotTicker, ts_recv: int) -> Sequence[Output]:
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

    def read(row: wire.UsdmTicker, ts_recv: int) -> Sequence[Output]:
        return (_usdm_ticker_event(symbol, row, ts_recv),)

    return read


def usdm_ticker_rows(symbol_of: SymbolOf) -> Reader:
    """Read ``!ticker@arr``, without the rows of COIN-M."""

    def read(rows: wire.UsdmTickerRow | tuple[wire.UsdmTickerRow, ...], ts_recv: int) -> Sequence[Output]:
        return [
            _usdm_ticker_event(symbol_of(row.raw), row, ts_recv)
            for row in (rows if isinstance(rows, tuple) else (rows,))
            if row.family == 1
        ]

    return read


def mini_tickers(symbol: str | None, symbol_of: SymbolOf) -> Reader:
    """Read ``<s>@miniTicker`` of both markets; with symbol None ``!miniTicker@arr``."""

    def read(rows: wire.MiniTicker | tuple[wire.MiniTicker, ...], ts_recv: int) -> Sequence[Output]:
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

    def read(row: wire.Kline, ts_recv: int) -> Sequence[Output]:
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


def marks(symbol: str) -> Reader:
    """Read ``<s>@markPrice@1s`` for its mark price."""

    def read(row: wire.MarkOnly, ts_recv: int) -> Sequence[Output]:
        return (MarkPrice(VENUE_NAME, symbol, 0, row.sent * _MS, ts_recv, row.mark, row.index),)

    return read


def funding(symbol: str) -> Reader:
    """Read ``<s>@markPrice@1s`` for its funding; a contract without funding gives nothing."""

    def read(row: wire.FundingOnly, ts_recv: int) -> Sequence[Output]:
        if row.rate == "":
            return _NOTHING
        ts_next = row.next * _MS if row.next else None
        return (Funding(VENUE_NAME, symbol, 0, row.sent * _MS, ts_recv, row.rate, ts_next),)

    return read


def mark_rows(symbol: str | None, symbol_of: SymbolOf, *, mark: bool = True, funded: bool = True) -> Reader:
    """Read ``<s>@markPrice@1s``, with symbol None ``!markPrice@arr@1s``: mark prices, funding, or both."""

    def read(rows: wire.MarkPriceUpdate | tuple[wire.MarkPriceUpdate, ...], ts_recv: int) -> Sequence[Output]:
        events: list[Output] = []
        for row in rows if isinstance(rows, tuple) else (rows,):
            if row.family != 1:
                continue
            name = symbol or symbol_of(row.raw)
            sent = row.sent * _MS
            if mark:
                index = None if row.index == "" else row.index
                events.append(MarkPrice(VENUE_NAME, name, 0, sent, ts_recv, row.mark, index))
            if funded and row.rate != "":
                ts_next = row.next * _MS if row.next else None
                events.append(Funding(VENUE_NAME, name, 0, sent, ts_recv, row.rate, ts_next))
        return events

    return read


def force_orders(symbol: str) -> Reader:
    """Read ``<s>@forceOrder``."""

    def read(row: wire.ForceOrder, ts_recv: int) -> Sequence[Output]:
        order = row.order
        return (
            Liquidation(
                VENUE_NAME,
                symbol,
                order.ts * _MS,
                row.sent * _MS,
                ts_recv,
                "sell" if order.side == "SELL" else "buy",
                order.average or order.price,
                order.size,
            ),
        )

    return read


def force_order_rows(symbol_of: SymbolOf) -> Reader:
    """Read ``!forceOrder@arr``, without the rows of COIN-M."""

    def read(rows: wire.ForceOrderRow | tuple[wire.ForceOrderRow, ...], ts_recv: int) -> Sequence[Output]:
        return [
            Liquidation(
                VENUE_NAME,
                symbol_of(row.order.raw),
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

    def read(row: wire.OpenInterestBody, ts_recv: int) -> Sequence[Output]:
        return (OpenInterest(VENUE_NAME, symbol, row.ts * _MS, 0, ts_recv, row.size),)

    return read
