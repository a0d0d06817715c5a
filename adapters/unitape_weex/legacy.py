"""Public messages of V2, which the venue has retired: only for old recordings, never for a connection.

``{"event":"payload","channel":"ticker.cmt_btcusdt","data":[...]}``. Symbols are internal ones (``cmt_btcusdt``,
``BTCUSDT_SPBL``), everything is a string, trades have no id, and no message says when it was sent.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final, Literal

from msgspec import Struct
from msgspec import json as msgspec_json

from unitape.errors import WireError
from unitape.spi import MILLISECOND, DepthUpdate, Output, Unmapped, WireMillis, WireNumber
from unitape_schemas import Candle, Interval, MarkPrice, Ticker, Trade
from unitape_weex.wire import LAST_PRICE, VENUE, WireId

__all__ = ["decode"]

_MS: Final = MILLISECOND
_MINUTE: Final = 60_000
_HOUR: Final = 60 * _MINUTE

_INTERVALS: Final[Mapping[str, tuple[Interval, int]]] = {
    "MINUTE_1": ("1m", _MINUTE),
    "MINUTE_5": ("5m", 5 * _MINUTE),
    "MINUTE_15": ("15m", 15 * _MINUTE),
    "MINUTE_30": ("30m", 30 * _MINUTE),
    "HOUR_1": ("1h", _HOUR),
    "HOUR_2": ("2h", 2 * _HOUR),
    "HOUR_4": ("4h", 4 * _HOUR),
    "HOUR_6": ("6h", 6 * _HOUR),
    "HOUR_8": ("8h", 8 * _HOUR),
    "HOUR_12": ("12h", 12 * _HOUR),
    "DAY_1": ("1d", 24 * _HOUR),
    "WEEK_1": ("1w", 7 * 24 * _HOUR),
}
"""V2's name: ours and its milliseconds. Months are left out: V2 does not say where one ends."""


class _TradeRow(Struct, frozen=True, rename="camel"):
    time: WireMillis
    price: WireNumber
    size: WireNumber
    buyer_maker: bool


class _TickerRow(Struct, frozen=True, rename="camel"):
    last_price: WireNumber
    high: WireNumber
    low: WireNumber
    size: WireNumber
    value: WireNumber
    mark_price: WireNumber | None = None


class _LevelRow(Struct, frozen=True):
    price: WireNumber
    size: WireNumber


class _DepthRow(Struct, frozen=True, rename="camel"):
    start_version: WireId
    end_version: WireId
    level: int
    depth_type: Literal["SNAPSHOT", "CHANGED"]
    bids: tuple[_LevelRow, ...] = ()
    asks: tuple[_LevelRow, ...] = ()


class _KlineRow(Struct, frozen=True, rename="camel"):
    kline_time: WireMillis
    open: WireNumber
    high: WireNumber
    low: WireNumber
    close: WireNumber
    size: WireNumber
    value: WireNumber


class _Trades(Struct, frozen=True):
    data: list[_TradeRow]


class _Tickers(Struct, frozen=True):
    data: list[_TickerRow]


class _Depths(Struct, frozen=True):
    data: list[_DepthRow]


class _Klines(Struct, frozen=True):
    data: list[_KlineRow]


_trades = msgspec_json.Decoder(_Trades, strict=False).decode
_tickers = msgspec_json.Decoder(_Tickers, strict=False).decode
_depths = msgspec_json.Decoder(_Depths, strict=False).decode
_klines = msgspec_json.Decoder(_Klines, strict=False).decode


def decode(channel: str, data: bytes | str, ts_recv: int, symbol_of: Callable[[str], str]) -> Sequence[Output]:
    """Return what one V2 push says; channels that the contract has no event for give ``Unmapped``.

    Raises:
        WireError: the channel's name is not one of V2's.
        msgspec.MsgspecError: the message cannot be read.
    """
    kind, *words = channel.split(".")
    reader = _READERS.get(kind)
    if reader is None:
        return (Unmapped(f"v2 {kind}"),)
    return reader(words, data, ts_recv, symbol_of)


def _read_trades(
    words: list[str], data: bytes | str, ts_recv: int, symbol_of: Callable[[str], str]
) -> Sequence[Output]:
    symbol = symbol_of(_raw(words, 0))
    rows = sorted(_trades(data).data, key=lambda row: row.time)
    return [
        Trade(
            VENUE,
            symbol,
            row.time * _MS,
            0,
            ts_recv,
            None,
            row.price,
            row.size,
            "sell" if row.buyer_maker else "buy",
        )
        for row in rows
    ]


def _read_tickers(
    words: list[str], data: bytes | str, ts_recv: int, symbol_of: Callable[[str], str]
) -> Sequence[Output]:
    """V2's tickers have no open; the change, whose unit its pages leave open, stays out with it."""
    symbol = symbol_of(_raw(words, 0))
    outputs: list[Output] = []
    for row in _tickers(data).data:
        outputs.append(
            Ticker(
                VENUE,
                symbol,
                0,
                0,
                ts_recv,
                row.last_price,
                None,
                row.high,
                row.low,
                row.size,
                row.value,
                None,
                None,
                None,
                None,
                None,
            )
        )
        if row.mark_price is not None:
            outputs.append(MarkPrice(VENUE, symbol, 0, 0, ts_recv, row.mark_price, None))
    return outputs


def _read_depth(words: list[str], data: bytes | str, ts_recv: int, symbol_of: Callable[[str], str]) -> Sequence[Output]:
    """V2's ``startVersion`` is the ``endVersion`` before, as V3's U."""
    symbol = symbol_of(_raw(words, 0))
    return [
        DepthUpdate(
            VENUE,
            symbol,
            0,
            0,
            ts_recv,
            tuple((level.price, level.size) for level in row.bids),
            tuple((level.price, level.size) for level in row.asks),
            row.start_version,
            row.end_version,
            None if row.depth_type == "SNAPSHOT" else row.start_version,
            row.depth_type == "SNAPSHOT",
            row.level,
        )
        for row in _depths(data).data
    ]


def _read_klines(
    words: list[str], data: bytes | str, ts_recv: int, symbol_of: Callable[[str], str]
) -> Sequence[Output]:
    """``kline.LAST_PRICE.<id>.MINUTE_1``."""
    symbol = symbol_of(_raw(words, 1))
    known = _INTERVALS.get(words[2]) if len(words) == 3 else None
    if words[0] != LAST_PRICE or known is None:
        return (Unmapped("v2 kline " + ".".join([words[0], *words[2:]])),)
    interval, length = known
    rows = sorted(_klines(data).data, key=lambda row: row.kline_time)
    newest = rows[-1].kline_time if rows else 0
    return [
        Candle(
            VENUE,
            symbol,
            0,
            0,
            ts_recv,
            interval,
            row.kline_time * _MS,
            (row.kline_time + length) * _MS,
            row.open,
            row.high,
            row.low,
            row.close,
            row.size,
            row.value,
            None,
            row.kline_time < newest,
        )
        for row in rows
    ]


def _raw(words: list[str], index: int) -> str:
    if len(words) <= index:
        raise WireError("a V2 channel without a symbol", venue=VENUE)
    return words[index].removeprefix("cmt_").removesuffix("_SPBL").upper()


_READERS: Final[Mapping[str, Callable[[list[str], bytes | str, int, Callable[[str], str]], Sequence[Output]]]] = {
    "trades": _read_trades,
    "ticker": _read_tickers,
    "depth": _read_depth,
    "kline": _read_klines,
}
