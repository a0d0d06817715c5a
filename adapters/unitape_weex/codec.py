"""Single messages with no connection behind them: what each says, all of it.

A codec passes on what a session holds back: the history that comes with a subscription, a ticker and the mark price
in it. It also reads the public messages of V2, the venue's retired API, which old recordings hold.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from unitape.errors import WireError
from unitape.spi import MILLISECOND, Instruments, Output, Refused, Unmapped
from unitape_weex import legacy, readers
from unitape_weex.settings import Settings
from unitape_weex.wire import (
    LAST_PRICE,
    VENUE,
    Control,
    DepthChange,
    DepthImage,
    KlineHistory,
    KlinePush,
    KlineRow,
    TickerPush,
    TickerRow,
    TradeHistory,
    TradePush,
)

__all__ = ["WeexCodec", "is_service"]

_MS: Final = MILLISECOND


class WeexCodec:
    """Reads messages of one market's public sockets."""

    def __init__(self, instruments: Instruments, settings: Settings) -> None:
        self._symbol = instruments.symbol
        self._chain = settings.chain

    def decode(self, data: bytes | str, ts_recv: int, *, stream: str | None = None) -> Sequence[Output]:
        """Return what one message says. ``stream`` is not needed: every message names itself."""
        try:
            push = readers.push(data)
        except readers.DECODE_ERRORS as error:
            return self._other(data, ts_recv, error)
        try:
            return self._read(push, ts_recv)
        except WireError as error:
            raise WireError(error.reason, data, venue=VENUE) from None

    def _read(self, push: readers.Push, ts_recv: int) -> Sequence[Output]:
        symbol = self._symbol(push.raw)
        sent = push.sent * _MS
        match push:
            case TradePush(rows=rows):
                return readers.trades(sorted(rows, key=readers.BY_TIME), symbol, sent, ts_recv)
            case TradeHistory(rows=rows):
                return readers.trades(sorted(rows[::-1], key=readers.BY_TIME), symbol, sent, ts_recv)  # noqa: C415
            case TickerPush(rows=rows):
                return self._tickers(rows, symbol, sent, ts_recv)
            case KlinePush(rows=rows, kind=kind) | KlineHistory(rows=rows, kind=kind):
                return self._candles(rows, kind, symbol, sent, ts_recv)
            case DepthChange(first=first):
                previous = None if self._chain == "auto" else first - (self._chain == "next")
                return (readers.update(push, symbol, ts_recv, previous),)
            case DepthImage():
                return (readers.update(push, symbol, ts_recv, None),)
            case _:
                return (readers.quote(push, symbol, ts_recv),)

    def _tickers(self, rows: list[TickerRow], symbol: str, sent: int, ts_recv: int) -> Sequence[Output]:
        outputs: list[Output] = []
        for row in rows:
            outputs.append(readers.ticker_event(row, symbol, sent, ts_recv))
            mark = readers.mark_price(row, symbol, sent, ts_recv)
            if mark is not None:
                outputs.append(mark)
        return outputs

    def _candles(self, rows: list[KlineRow], kind: str, symbol: str, sent: int, ts_recv: int) -> Sequence[Output]:
        """Candles oldest first. One with a later one behind it is final."""
        if kind != LAST_PRICE:
            return (Unmapped(f"kline {kind}"),)
        rows = sorted(rows, key=readers.BY_START)
        return [readers.candle(row, symbol, sent, ts_recv, row.start < rows[-1].start) for row in rows]

    def _other(self, data: bytes | str, ts_recv: int, error: Exception) -> Sequence[Output]:
        try:
            message = readers.control(data)
        except readers.DECODE_ERRORS:
            raise WireError(str(error), data, venue=VENUE) from None
        if message.e is not None:
            if message.e in readers.KINDS:
                raise WireError(str(error), data, venue=VENUE)
            return (Unmapped(message.e),)
        if message.result is False:
            return (
                Refused(
                    None,
                    readers.shown(message.msg or "refused"),
                    raw=data if isinstance(data, str) else data.decode("utf-8", "replace"),
                ),
            )
        if message.event == "payload" and message.channel is not None:
            try:
                return legacy.decode(message.channel, data, ts_recv, self._symbol)
            except readers.DECODE_ERRORS as unread:
                raise WireError(str(unread), data, venue=VENUE) from None
            except WireError as unread:
                raise WireError(unread.reason, data, venue=VENUE) from None
        if message.result or is_service(message):
            return ()
        if message.event is None and message.type is None and message.method is None:
            raise WireError("a message that says nothing known", data, venue=VENUE)
        return (Unmapped(message.event or message.type or message.method or ""),)


_SERVICE_EVENTS: Final = frozenset(
    {"connected", "ping", "pong", "subscribe", "subscribed", "unsubscribe", "unsubscribed"}
)
_SERVICE_METHODS: Final = frozenset({"PING", "PONG", "SUBSCRIBE", "UNSUBSCRIBE"})


def is_service(message: Control) -> bool:
    """Tell a message that only runs the connection: greeting, ping, pong, a client's request, V2's acknowledgement."""
    return message.event in _SERVICE_EVENTS or message.type == "ping" or message.method in _SERVICE_METHODS
