"""Single messages with no connection behind them: what each says, all of it.

A codec passes on what a session holds back: the history that comes with a subscription, a ticker and the mark price
in it. It also reads the public messages of V2, the venue's retired API, which old recordings hold.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from unitape.errors import WireError
from unitape.spi import MILLISECOND, Instruments, Output, Refused, Unmapped
from unitape_weex import legacy, readers
from unitape_weex.settings import Settings
from unitape_weex.wire import LAST_PRICE, VENUE, Control, KlineRow

__all__ = ["WeexCodec", "push_name"]

_HEAD: Final = b'{"e":"'
_START: Final = len(_HEAD)
_MS: Final = MILLISECOND


def push_name(data: bytes) -> bytes:
    """Return the kind of a push that names it first, as they all do; empty for anything else."""
    return data[_START : data.find(b'"', _START)] if data.startswith(_HEAD) else b""


class WeexCodec:
    """Reads messages of one market's public sockets."""

    def __init__(self, instruments: Instruments, settings: Settings) -> None:
        self._symbol = instruments.symbol
        self._chain = settings.chain
        self._readers: Final[Mapping[bytes, Callable[[bytes, int], Sequence[Output]]]] = {
            b"trade": self._trades,
            b"tradeSnapshot": self._trade_history,
            b"ticker": self._tickers,
            b"kline": self._candles,
            b"klineSnapshot": self._candle_history,
            b"depth": self._depth_change,
            b"depthSnapshot": self._depth_image,
            b"bookTicker": self._quotes,
        }

    def decode(self, data: bytes | str, ts_recv: int, *, stream: str | None = None) -> Sequence[Output]:
        """Return what one message says. ``stream`` is not needed: every message names itself."""
        try:
            raw = data.encode() if isinstance(data, str) else data
            read = self._readers.get(push_name(raw))
            return read(raw, ts_recv) if read is not None else self._other(raw, ts_recv)
        except readers.DECODE_ERRORS as error:
            raise WireError(str(error), _kept(data), venue=VENUE) from None
        except WireError as error:
            raise WireError(error.reason, _kept(data), venue=VENUE) from None

    def _other(self, data: bytes, ts_recv: int) -> Sequence[Output]:
        message = readers.control(data)
        if message.e is not None:
            read = self._readers.get(message.e.encode("utf-8", "replace"))
            return read(data, ts_recv) if read is not None else (Unmapped(message.e),)
        if message.result is False:
            return (Refused(None, readers.shown(message.msg or "refused"), raw=data.decode("utf-8", "replace")),)
        if message.event == "payload" and message.channel is not None:
            return legacy.decode(message.channel, data, ts_recv, self._symbol)
        if message.result or is_service(message):
            return ()
        if message.event is None and message.type is None and message.method is None:
            raise WireError("a message that says nothing known", data, venue=VENUE)
        return (Unmapped(message.event or message.type or message.method or ""),)

    def _trades(self, data: bytes, ts_recv: int) -> Sequence[Output]:
        push = readers.trade(data)
        push.rows.sort(key=readers.BY_TIME)
        return readers.trades(push.rows, self._symbol(push.raw), push.sent * _MS, ts_recv)

    def _trade_history(self, data: bytes, ts_recv: int) -> Sequence[Output]:
        push = readers.trade_history(data)
        push.rows.reverse()
        push.rows.sort(key=readers.BY_TIME)
        return readers.trades(push.rows, self._symbol(push.raw), push.sent * _MS, ts_recv)

    def _tickers(self, data: bytes, ts_recv: int) -> Sequence[Output]:
        push = readers.ticker(data)
        symbol = self._symbol(push.raw)
        sent = push.sent * _MS
        outputs: list[Output] = []
        for row in push.rows:
            outputs.append(readers.ticker_event(row, symbol, sent, ts_recv))
            mark = readers.mark_price(row, symbol, sent, ts_recv)
            if mark is not None:
                outputs.append(mark)
        return outputs

    def _candles(self, data: bytes, ts_recv: int) -> Sequence[Output]:
        push = readers.kline(data)
        return self._rows(push.rows, push.kind, push.raw, push.sent, ts_recv)

    def _candle_history(self, data: bytes, ts_recv: int) -> Sequence[Output]:
        push = readers.kline_history(data)
        push.rows.sort(key=readers.BY_START)
        return self._rows(push.rows, push.kind, push.raw, push.sent, ts_recv)

    def _rows(self, rows: list[KlineRow], kind: str, raw: str, sent: int, ts_recv: int) -> Sequence[Output]:
        """Candles oldest first. One with a later one behind it is final."""
        if kind != LAST_PRICE:
            return (Unmapped(f"kline {kind}"),)
        symbol = self._symbol(raw)
        newest = max((row.start for row in rows), default=0)
        return [readers.candle(row, symbol, sent * _MS, ts_recv, row.start < newest) for row in rows]

    def _depth_image(self, data: bytes, ts_recv: int) -> Sequence[Output]:
        push = readers.depth_image(data)
        return (readers.update(push, self._symbol(push.raw), ts_recv, None),)

    def _depth_change(self, data: bytes, ts_recv: int) -> Sequence[Output]:
        push = readers.depth_change(data)
        previous = None if self._chain == "auto" else push.first - (self._chain == "next")
        return (readers.update(push, self._symbol(push.raw), ts_recv, previous),)

    def _quotes(self, data: bytes, ts_recv: int) -> Sequence[Output]:
        push = readers.book_ticker(data)
        return (readers.quote(push, self._symbol(push.raw), ts_recv),)


_SERVICE_EVENTS: Final = frozenset(
    {"connected", "ping", "pong", "subscribe", "subscribed", "unsubscribe", "unsubscribed"}
)
_SERVICE_METHODS: Final = frozenset({"PING", "PONG", "SUBSCRIBE", "UNSUBSCRIBE"})


def is_service(message: Control) -> bool:
    """Tell a message that only runs the connection: greeting, ping, pong, a client's request, V2's acknowledgement."""
    return message.event in _SERVICE_EVENTS or message.type == "ping" or message.method in _SERVICE_METHODS


def _kept(data: bytes | str) -> bytes:
    return data.encode("utf-8", "surrogatepass") if isinstance(data, str) else data
