"""One connection to a public socket of one market.

What it does beyond reading:

- Answers the server's ``{"event":"ping"}`` with a JSON PONG of its own numbering. The private socket's ping says
  ``type`` where the public one says ``event``; both are answered.
- Trades: an id comes out at most once. Messages are unsorted inside; they are put in order of time. The first
  history is what was before (``Settings.emit_history`` passes it on): its trades do not come out, also not where the
  first live message repeats them. Of a later history, which comes when one asks again, the unseen trades come out.
  What a lost connection missed is a query (``ChannelSpec.refill``): the ids are the same.
- Books: a change before the first image is dropped. On spot the chain is settled at the first change after each
  image (``Settings.chain``): U = L or U = L + 1; ``DepthUpdate.prev_seq`` then is U or U - 1 until the next image.
  Neither: prev_seq is U and the book rule finds the gap.
- Candles: of the history only the open candle passes.
- ``ticker`` and ``mark_price`` share one native stream; what is not subscribed does not come out.
- Refusals and the hour's operations: see ``asking``. A delisted symbol is acknowledged and then silent:
  ``StreamState.touched`` stays 0 and the feed's watch for silence says so.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from unitape.errors import WireError
from unitape.spi import (
    MILLISECOND,
    ChannelSpec,
    Closing,
    Confirmed,
    Control,
    Instruments,
    Outgoing,
    Output,
    Refused,
    StreamState,
    Unmapped,
)
from unitape_schemas import Channel, Subscription
from unitape_weex import readers
from unitape_weex.asking import Asking, Wish
from unitape_weex.channels import native_stream
from unitape_weex.codec import is_service, push_name
from unitape_weex.settings import Settings
from unitape_weex.wire import VENUE, DepthChange, TickerRow, TradeRow

__all__ = ["WeexSession"]

_MS: Final = MILLISECOND
_NOTHING: Final[tuple[Output, ...]] = ()
_SEEN: Final = 1024
"""Trade ids per symbol that are remembered at least; twice as many at most."""
_TICKER_EVENTS: Final[Mapping[Channel, Callable[[TickerRow, str, int, int], Output | None]]] = {
    "ticker": readers.ticker_event,
    "mark_price": readers.mark_price,
}
_SHIFTS: Final[Mapping[str, int | None]] = {"equal": 0, "next": 1, "auto": None}


class _Stream:
    """One native stream and who wants it."""

    __slots__ = ("channels", "older", "ready", "recent", "seq", "shift", "states", "symbol")

    def __init__(self, symbol: str) -> None:
        self.symbol = symbol
        self.states: list[StreamState] = []
        self.channels: tuple[Channel, ...] = ()
        self.ready = False
        self.seq = 0
        self.shift: int | None = None
        self.recent: set[str] = set()
        self.older: set[str] = set()

    def add(self, state: StreamState) -> None:
        self.states.append(state)
        self._count()

    def remove(self, state: StreamState) -> None:
        self.states.remove(state)
        self._count()

    def _count(self) -> None:
        self.channels = tuple(dict.fromkeys(state.subscription.channel for state in self.states))

    def touch(self, ts_recv: int) -> None:
        for state in self.states:
            state.touched = ts_recv

    def fresh(self, rows: list[TradeRow]) -> list[TradeRow]:
        """Return the rows whose id was not seen, and remember them."""
        recent = self.recent
        older = self.older
        kept: list[TradeRow] = []
        for row in rows:
            if row.id not in recent and row.id not in older:
                recent.add(row.id)
                kept.append(row)
        if len(recent) >= _SEEN:
            self.older = recent
            self.recent = set()
        return kept


class WeexSession:
    """The state machine of one public connection."""

    def __init__(
        self,
        instruments: Instruments,
        channels: Mapping[Channel, ChannelSpec],
        settings: Settings,
        params_per_message: int,
    ) -> None:
        self.outbox: list[Outgoing] = []
        self.streams: dict[Subscription, StreamState] = {}
        self._instruments = instruments
        self._channels = channels
        self._history = settings.emit_history
        self._shift = _SHIFTS[settings.chain]
        self._asking = Asking(self.outbox, params_per_message)
        self._left = False
        self._native: dict[str, _Stream] = {}
        self._handlers: Final[Mapping[bytes, Callable[[bytes, int], Sequence[Output]]]] = {
            b"trade": self._on_trade,
            b"tradeSnapshot": self._on_trade_history,
            b"ticker": self._on_ticker,
            b"kline": self._on_kline,
            b"klineSnapshot": self._on_kline_history,
            b"depth": self._on_depth,
            b"depthSnapshot": self._on_depth_image,
            b"bookTicker": self._on_quote,
        }

    def on_open(self) -> None:
        """The venue greets; nothing is asked before someone subscribes."""

    def subscribe(self, subscriptions: Sequence[Subscription]) -> None:
        """Ask for these. One that is active is asked again: the venue sends a new image or history.

        Raises:
            ConfigError: the market has no such channel, or no such symbol; nothing was sent.
        """
        wanted: dict[str, list[Subscription]] = {}
        for subscription in subscriptions:
            native = native_stream(self._channels, self._instruments, subscription)
            wanted.setdefault(native, []).append(subscription)
        for native, wishers in wanted.items():
            for subscription in wishers:
                self._attach(native, subscription)
        self._asking.subscribe([Wish(native, tuple(wishers)) for native, wishers in wanted.items()])

    def unsubscribe(self, subscriptions: Sequence[Subscription]) -> None:
        """Forget these, and ask the venue to stop the native streams that nobody wants any more."""
        gone = [native for subscription in subscriptions if (native := self._detach(subscription)) is not None]
        if gone:
            self._asking.unsubscribe(gone)

    def on_frame(self, data: bytes | str, ts_recv: int) -> Sequence[Output]:
        """Take one message.

        Raises:
            WireError: it cannot be understood; nothing of it was used.
        """
        try:
            raw = data.encode() if isinstance(data, str) else data
            handler = self._handlers.get(push_name(raw))
            return handler(raw, ts_recv) if handler is not None else self._on_control(raw, ts_recv)
        except readers.DECODE_ERRORS as error:
            raise WireError(str(error), data, venue=VENUE) from None
        except WireError as error:
            raise WireError(error.reason, data, venue=VENUE) from None

    def on_tick(self, now: int) -> Sequence[Output]:
        """Let the limits' clocks run."""
        self._asking.tick(now)
        return self._leaving()

    def _on_control(self, data: bytes, ts_recv: int) -> Sequence[Output]:
        message = readers.control(data)
        if message.e is not None:
            handler = self._handlers.get(message.e.encode("utf-8", "replace"))
            return handler(data, ts_recv) if handler is not None else (Unmapped(message.e),)
        if message.event == "ping" or message.type == "ping":
            self._asking.pong()
            return _NOTHING
        if message.result is not None:
            raw = data.decode("utf-8", "replace")
            answers = self._asking.answer(message.result, message.id, message.msg or "", raw)
            return (*(self._settled(answer) for answer in answers), *self._leaving())
        if is_service(message):
            return _NOTHING
        name = message.event or message.type or message.method
        if name is None:
            raise WireError("a message that says nothing known", data, venue=VENUE)
        return (Unmapped(name),)

    def _settled(self, answer: Control) -> Control:
        """Forget what was refused; what was unsubscribed meanwhile is not confirmed."""
        match answer:
            case Refused(subscriptions=(*refused,)):
                for subscription in refused:
                    self._detach(subscription)
            case Confirmed(subscriptions=accepted):
                return Confirmed(tuple(s for s in accepted if s in self.streams), raw=answer.raw)
            case _:
                pass
        return answer

    def _leaving(self) -> Sequence[Output]:
        if not self._asking.spent or self._left:
            return _NOTHING
        self._left = True
        return (Closing(self._asking.spent, rotate=True),)

    def _on_trade(self, data: bytes, ts_recv: int) -> Sequence[Output]:
        push = readers.trade(data)
        stream = self._native.get(push.raw + "@trade")
        if stream is None:
            return _NOTHING
        stream.touch(ts_recv)
        rows = stream.fresh(push.rows)
        if len(rows) > 1:
            rows.sort(key=readers.BY_TIME)
        return readers.trades(rows, stream.symbol, push.sent * _MS, ts_recv)

    def _on_trade_history(self, data: bytes, ts_recv: int) -> Sequence[Output]:
        push = readers.trade_history(data)
        stream = self._native.get(push.raw + "@trade")
        if stream is None:
            return _NOTHING
        stream.touch(ts_recv)
        first = not stream.ready
        stream.ready = True
        push.rows.reverse()
        rows = sorted(stream.fresh(push.rows), key=readers.BY_TIME)
        if first and not self._history:
            return _NOTHING
        return readers.trades(rows, stream.symbol, push.sent * _MS, ts_recv)

    def _on_ticker(self, data: bytes, ts_recv: int) -> Sequence[Output]:
        push = readers.ticker(data)
        stream = self._native.get(push.raw + "@ticker")
        if stream is None:
            return _NOTHING
        sent = push.sent * _MS
        outputs: list[Output] = []
        for row in push.rows:
            for channel in stream.channels:
                event = _TICKER_EVENTS[channel](row, stream.symbol, sent, ts_recv)
                if event is not None:
                    outputs.append(event)
        for state in stream.states:
            if state.subscription.channel == "ticker" or len(outputs) >= len(stream.channels):
                state.touched = ts_recv
        return outputs

    def _on_kline(self, data: bytes, ts_recv: int) -> Sequence[Output]:
        push = readers.kline(data)
        outputs: list[Output] = []
        for row in push.rows:
            stream = self._native.get(f"{push.raw}@kline_{row.interval}_{push.kind}")
            if stream is not None:
                outputs.append(readers.candle(row, stream.symbol, push.sent * _MS, ts_recv, False))
                stream.touch(ts_recv)
        return outputs

    def _on_kline_history(self, data: bytes, ts_recv: int) -> Sequence[Output]:
        push = readers.kline_history(data)
        if not push.rows:
            return _NOTHING
        rows = sorted(push.rows, key=readers.BY_START)
        newest = rows[-1]
        stream = self._native.get(f"{push.raw}@kline_{newest.interval}_{push.kind}")
        if stream is None:
            return _NOTHING
        shown = rows if self._history else [newest]
        candles = [
            readers.candle(row, stream.symbol, push.sent * _MS, ts_recv, row.start < newest.start) for row in shown
        ]
        stream.touch(ts_recv)
        return candles

    def _on_depth(self, data: bytes, ts_recv: int) -> Sequence[Output]:
        push = readers.depth_change(data)
        stream = self._native.get(f"{push.raw}@depth{push.depth}")
        if stream is None or not stream.ready:
            return _NOTHING
        shift = stream.shift
        if shift is None:
            shift = self._settle(stream, push)
        change = readers.update(push, stream.symbol, ts_recv, push.first - shift)
        stream.touch(ts_recv)
        return (change,)

    def _settle(self, stream: _Stream, push: DepthChange) -> int:
        """Find out from the first change after an image how changes chain; undecided changes count as U = L."""
        shift = push.first - stream.seq
        if shift in (0, 1):
            stream.shift = shift
            return shift
        return 0

    def _on_depth_image(self, data: bytes, ts_recv: int) -> Sequence[Output]:
        push = readers.depth_image(data)
        stream = self._native.get(f"{push.raw}@depth{push.depth}")
        if stream is None:
            return _NOTHING
        image = readers.update(push, stream.symbol, ts_recv, None)
        stream.ready = True
        stream.seq = push.last
        stream.shift = self._shift
        stream.touch(ts_recv)
        return (image,)

    def _on_quote(self, data: bytes, ts_recv: int) -> Sequence[Output]:
        push = readers.book_ticker(data)
        stream = self._native.get(push.raw + "@bookTicker")
        if stream is None:
            return _NOTHING
        stream.touch(ts_recv)
        return (readers.quote(push, stream.symbol, ts_recv),)

    def _attach(self, native: str, subscription: Subscription) -> None:
        if subscription in self.streams:
            return
        stream = self._native.get(native)
        if stream is None:
            stream = self._native[native] = _Stream(subscription.symbol)
        state = self.streams[subscription] = StreamState(subscription)
        stream.add(state)

    def _detach(self, subscription: Subscription) -> str | None:
        """Forget a subscription; return its native stream when nobody else wants that."""
        state = self.streams.pop(subscription, None)
        if state is None:
            return None
        native = native_stream(self._channels, self._instruments, subscription)
        stream = self._native[native]
        stream.remove(state)
        if stream.states:
            return None
        del self._native[native]
        return native
