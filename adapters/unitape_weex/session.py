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
from unitape_weex.codec import is_service
from unitape_weex.settings import Settings
from unitape_weex.streams import Handler, Streams, make_handlers
from unitape_weex.wire import VENUE

__all__ = ["WeexSession"]

_NOTHING: Final[tuple[Output, ...]] = ()


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
        self._asking = Asking(self.outbox, params_per_message)
        self._left = False
        self._native = Streams()
        self.on_frame = self._intake(make_handlers(self._native, settings.chain, history=settings.emit_history))
        """Takes one message and its receive time. Raises ``WireError`` when it cannot be understood."""

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

    def on_tick(self, now: int) -> Sequence[Output]:
        """Let the limits' clocks run."""
        self._asking.tick(now)
        return self._leaving()

    def _intake(self, handlers: Mapping[type, Handler]) -> Callable[[bytes | str, int], Sequence[Output]]:
        """Return what takes the messages: a closure, since every look at ``self`` would be one per message."""
        decode, other, errors = readers.push, self._on_other, readers.DECODE_ERRORS

        def on_frame(data: bytes | str, ts_recv: int) -> Sequence[Output]:
            try:
                push = decode(data)
                return handlers[push.__class__](push, ts_recv)
            except errors as error:
                return other(data, error)
            except WireError as error:
                raise WireError(error.reason, data, venue=VENUE) from None

        return on_frame

    def _on_other(self, data: bytes | str, error: Exception) -> Sequence[Output]:
        """Take what is no push: answers, pings, or bytes that cannot be read."""
        try:
            message = readers.control(data)
        except readers.DECODE_ERRORS:
            raise WireError(str(error), data, venue=VENUE) from None
        if message.e is not None:
            if message.e in readers.KINDS:
                raise WireError(str(error), data, venue=VENUE)
            return (Unmapped(message.e),)
        if message.event == "ping" or message.type == "ping":
            self._asking.pong()
            return _NOTHING
        if message.result is not None:
            raw = data if isinstance(data, str) else data.decode("utf-8", "replace")
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

    def _attach(self, native: str, subscription: Subscription) -> None:
        if subscription not in self.streams:
            state = self.streams[subscription] = StreamState(subscription)
            self._native.add(native, state)

    def _detach(self, subscription: Subscription) -> str | None:
        """Forget a subscription; return its native stream when nobody else wants that."""
        state = self.streams.pop(subscription, None)
        if state is None:
            return None
        native = native_stream(self._channels, self._instruments, subscription)
        return native if self._native.remove(native, state) else None
