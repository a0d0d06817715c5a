"""The spot JSON feed that was switched off on 2025-08-04, for whoever kept recordings of it. Nothing subscribes to it.

Messages are ``{"c": channel, "d": body, "s": symbol, "t": sent}``; the meaning of the fields is that of the protobuf
bodies that took their place.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Final

import msgspec
from msgspec import Meta, Struct

from unitape.errors import WireError
from unitape.spi import MILLISECOND, SECOND, DepthUpdate, Instruments, Output, Unmapped, WireMillis, WireNumber
from unitape_mexc.channels import INTERVALS
from unitape_schemas import Candle, Levels, Quote, Side, Ticker, TopBook, Trade

__all__ = ["read_legacy"]

_VENUE: Final = "mexc"
_MS: Final = MILLISECOND
_SIDES: Final[Mapping[int, Side]] = {1: "buy", 2: "sell"}
_Version = Annotated[int, Meta(ge=0, le=(1 << 63) - 1)]
_Seconds = Annotated[int, Meta(ge=0, lt=9_000_000_000)]


class _Message(Struct, gc=False, rename={"channel": "c", "body": "d", "raw": "s", "sent": "t"}):
    channel: str
    body: msgspec.Raw
    raw: str = ""
    sent: WireMillis = 0


class _Level(Struct, gc=False, rename={"price": "p", "size": "v"}):
    price: WireNumber
    size: WireNumber


class _Depth(Struct, gc=False, rename={"version": "r"}):
    version: _Version
    asks: tuple[_Level, ...] = ()
    bids: tuple[_Level, ...] = ()


class _Deal(Struct, gc=False, rename={"side": "S", "price": "p", "ts": "t", "size": "v"}):
    side: Annotated[int, Meta(ge=1, le=2)]
    price: WireNumber
    ts: WireMillis
    size: WireNumber


class _Deals(Struct, gc=False):
    deals: tuple[_Deal, ...]


class _Best(Struct, gc=False, rename={"bid": "b", "bid_size": "B", "ask": "a", "ask_size": "A"}):
    bid: WireNumber
    bid_size: WireNumber
    ask: WireNumber
    ask_size: WireNumber


class _Kline(
    Struct,
    gc=False,
    rename={
        "interval": "i",
        "start": "t",
        "end": "T",
        "open": "o",
        "high": "h",
        "low": "l",
        "close": "c",
        "volume": "v",
        "amount": "a",
    },
):
    interval: str
    start: _Seconds
    end: _Seconds
    open: WireNumber
    high: WireNumber
    low: WireNumber
    close: WireNumber
    volume: WireNumber
    amount: WireNumber


class _Klines(Struct, gc=False):
    k: _Kline


class _Mini(Struct, gc=False, rename={"last": "p", "high": "h", "low": "l", "amount": "v", "volume": "q"}):
    last: WireNumber
    high: WireNumber
    low: WireNumber
    amount: WireNumber
    volume: WireNumber


_message = msgspec.json.Decoder(_Message, strict=False).decode
_depth = msgspec.json.Decoder(_Depth, strict=False).decode
_deals = msgspec.json.Decoder(_Deals, strict=False).decode
_best = msgspec.json.Decoder(_Best, strict=False).decode
_klines = msgspec.json.Decoder(_Klines, strict=False).decode
_mini = msgspec.json.Decoder(_Mini, strict=False).decode


def read_legacy(data: bytes | str, ts_recv: int, instruments: Instruments) -> Sequence[Output]:
    """Read one message of the retired feed.

    Raises:
        WireError: it is not one.
    """
    try:
        message = _message(data)
        spot, _, rest = message.channel.partition("@")
        if spot != "spot" or not rest:
            raise ValueError(f"not a channel: {message.channel!r}")
        kind = rest.split("@")[0]
        reader = _READERS.get(kind)
        if reader is None:
            return (Unmapped(kind),)
        if not message.raw:
            raise ValueError("no symbol")
        return reader(message, instruments.symbol(message.raw), ts_recv)
    except (msgspec.MsgspecError, ValueError, UnicodeError, RecursionError) as error:
        raise WireError(f"not a message of the retired feed: {error}", data, venue=_VENUE) from None


def _sides(row: _Depth) -> tuple[Levels, Levels]:
    return tuple((x.price, x.size) for x in row.bids), tuple((x.price, x.size) for x in row.asks)


def _increase(message: _Message, symbol: str, ts_recv: int) -> Sequence[Output]:
    row = _depth(message.body)
    bids, asks = _sides(row)
    return (DepthUpdate(_VENUE, symbol, 0, message.sent * _MS, ts_recv, bids, asks, row.version, row.version, None),)


def _limit(message: _Message, symbol: str, ts_recv: int) -> Sequence[Output]:
    row = _depth(message.body)
    bids, asks = _sides(row)
    depth = int(message.channel.rpartition("@")[2])
    return (TopBook(_VENUE, symbol, 0, message.sent * _MS, ts_recv, bids, asks, depth, row.version),)


def _trades(message: _Message, symbol: str, ts_recv: int) -> Sequence[Output]:
    sent = message.sent * _MS
    return [
        Trade(_VENUE, symbol, row.ts * _MS, sent, ts_recv, None, row.price, row.size, _SIDES[row.side])
        for row in _deals(message.body).deals
    ]


def _quote(message: _Message, symbol: str, ts_recv: int) -> Sequence[Output]:
    row = _best(message.body)
    return (Quote(_VENUE, symbol, 0, message.sent * _MS, ts_recv, row.bid, row.bid_size, row.ask, row.ask_size, None),)


def _candle(message: _Message, symbol: str, ts_recv: int) -> Sequence[Output]:
    row = _klines(message.body).k
    interval = INTERVALS.get(row.interval)
    if interval is None or row.end <= row.start:
        raise ValueError(f"not a candle: {row.interval!r} from {row.start} to {row.end}")
    return (
        Candle(
            _VENUE,
            symbol,
            0,
            message.sent * _MS,
            ts_recv,
            interval,
            row.start * SECOND,
            row.end * SECOND,
            row.open,
            row.high,
            row.low,
            row.close,
            row.volume,
            row.amount,
            None,
            False,
        ),
    )


def _ticker(message: _Message, symbol: str, ts_recv: int) -> Sequence[Output]:
    row = _mini(message.body)
    return (
        Ticker(
            _VENUE,
            symbol,
            0,
            message.sent * _MS,
            ts_recv,
            row.last,
            None,
            row.high,
            row.low,
            row.volume,
            row.amount,
            # The rate counts from a midnight, not over 24 hours.
            None,
            None,
            None,
            None,
            None,
        ),
    )


_READERS: Final[Mapping[str, Callable[[_Message, str, int], Sequence[Output]]]] = {
    "public.increase.depth.v3.api": _increase,
    "public.limit.depth.v3.api": _limit,
    "public.deals.v3.api": _trades,
    "public.bookTicker.v3.api": _quote,
    "public.kline.v3.api": _candle,
    "public.miniTicker.v3.api": _ticker,
}
