"""One futures connection: subscriptions in, frames out; frames in, events out."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

import msgspec

from unitape.errors import WireError
from unitape.spi import (
    SECOND,
    Closing,
    Confirmed,
    Instruments,
    Outgoing,
    Output,
    Refused,
    StreamState,
    Unmapped,
)
from unitape_mexc.channels import TOP_DEPTHS, FuturesStream, futures_streams
from unitape_mexc.codec_futures import NO_ANSWER, VENUE, FuturesReader, said, unpacked
from unitape_mexc.limits import PING_EVERY, FuturesSettings
from unitape_mexc.wire import Reply
from unitape_schemas import OpenInterest, Subscription, Ticker, TopBook

__all__ = ["FuturesSession"]

_NOTHING: Final[tuple[Output, ...]] = ()
_PING: Final = '{"method":"ping"}'
_TOP: Final = "depth.full"
_CONTRACT: Final = re.compile(r"\[([^\]]+)\]")
_encode = msgspec.json.Encoder().encode
_reply = msgspec.json.Decoder(Reply).decode


class _Stream:
    """One stream of the venue and those who share it."""

    __slots__ = ("confirmed", "depths", "heard", "key", "members", "tickers")

    def __init__(self, key: FuturesStream) -> None:
        self.key = key
        self.members: dict[Subscription, StreamState] = {}
        self.confirmed = False
        self.heard = False
        self.depths: tuple[int, ...] = ()
        """Of a top feed: the depths that are wanted."""
        self.tickers: tuple[type[Ticker | OpenInterest], ...] | None = None
        """Of a ticker: the events that are wanted; None: both."""

    def rebuild(self) -> None:
        """Work out what its members want of it."""
        wanted = {member.channel for member in self.members}
        self.tickers = None
        if self.key.name == "ticker" and len(wanted) == 1:
            self.tickers = (OpenInterest,) if "open_interest" in wanted else (Ticker,)
        if self.key.name == _TOP:
            self.depths = tuple(sorted({member.depth or TOP_DEPTHS[-1] for member in self.members}))


class FuturesSession:
    """The state machine of one futures connection.

    Acknowledgements name no contract: those of one stream name are taken in the order of the requests. An error names
    the contract in its text.
    """

    def __init__(self, instruments: Instruments, settings: FuturesSettings) -> None:
        self.outbox: list[Outgoing] = []
        self.streams: dict[Subscription, StreamState] = {}
        self._instruments = instruments
        self._settings = settings
        self._reader = FuturesReader(instruments)
        self._open: dict[FuturesStream, _Stream] = {}
        self._by_push: dict[tuple[str, str, str], _Stream] = {}
        self._left: set[tuple[str, str, str]] = set()
        self._waiting: list[FuturesStream] = []
        """The requests that wait for their acknowledgement, in the order in which they were sent."""
        self._next_ping: int | None = None

    def on_open(self) -> None:
        """Say nothing: pings run on the timer."""

    def subscribe(self, subscriptions: Sequence[Subscription]) -> None:
        """Put the messages that subscribe into the outbox, one per stream.

        Raises:
            ConfigError: one of them does not exist here; none is asked for.
        """
        wanted = [futures_streams(item, self._instruments) for item in subscriptions]
        asked: dict[FuturesStream, None] = {}
        for subscription, keys in zip(subscriptions, wanted, strict=True):
            state = self.streams.setdefault(subscription, StreamState(subscription))
            for key in keys:
                stream = self._open.get(key)
                if stream is None:
                    stream = self._open[key] = _Stream(key)
                    self._by_push[key.name, key.raw, key.interval] = stream
                    self._left.discard((key.name, key.raw, key.interval))
                stream.members[subscription] = state
                stream.confirmed = False
                stream.rebuild()
                asked[key] = None
        for key in asked:
            depths = self._open[key].depths
            self._waiting.append(key)
            self._send(key.request("sub", self._settings, depths[-1] if depths else None))

    def unsubscribe(self, subscriptions: Sequence[Subscription]) -> None:
        """Put the messages that unsubscribe into the outbox, for the streams that nobody shares any more."""
        for subscription in subscriptions:
            for key in self._forget(subscription):
                self._send(key.request("unsub", self._settings))

    def on_frame(self, data: bytes | str, ts_recv: int) -> Sequence[Output]:
        """Take one message.

        Raises:
            WireError: it cannot be understood; nothing of it was used.
        """
        text = unpacked(data)
        found = self._reader.read(text, ts_recv)
        if found is None:
            return self._other(text)
        name, raw, interval, outputs = found
        stream = self._by_push.get((name, raw, interval))
        if stream is None:
            # Pushes may be under way while we unsubscribe; anything else was never asked for.
            return _NOTHING if (name, raw, interval) in self._left else (Unmapped(f"push.{name} of {raw}"),)
        stream.heard = True
        for state in stream.members.values():
            state.touched = ts_recv
        if stream.tickers is not None:
            return [event for event in outputs if isinstance(event, stream.tickers)]
        if stream.depths:
            return [_cut(top, depth) for top in outputs if isinstance(top, TopBook) for depth in stream.depths]
        return outputs

    def on_tick(self, now: int) -> Sequence[Output]:
        """Ping when it is time: the venue wants it even while it is pushing data."""
        if self._next_ping is None:
            self._next_ping = now + int(PING_EVERY * SECOND)
        elif now >= self._next_ping:
            self._next_ping = now + int(PING_EVERY * SECOND)
            self.outbox.append(_PING)
        return _NOTHING

    def _other(self, data: bytes) -> Sequence[Output]:
        try:
            reply = _reply(data)
            words = said(reply.data)
        except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
            raise WireError(f"not a message: {error}", data, venue=VENUE) from None
        channel = reply.channel
        text = data.decode("utf-8", "replace")
        if channel == "pong" or channel.startswith("rs.unsub."):
            return _NOTHING
        if channel == "rs.error":
            return self._refuse(words, text)
        if channel.startswith("rs.sub."):
            return self._acknowledge(channel.removeprefix("rs.sub."), words, reply.param.get("symbol"), text)
        if channel.startswith(("push.", "rs.")):
            return (Unmapped(channel),)
        raise WireError(f"an unknown channel {channel!r}", data, venue=VENUE)

    def _acknowledge(self, name: str, words: str, raw: object, text: str) -> Sequence[Output]:
        candidates = [key for key in self._waiting if key.name == name]
        if not candidates:
            return _NOTHING
        key = next((item for item in candidates if item.raw == raw), candidates[0])
        self._waiting.remove(key)
        if words not in ("success", ""):
            return self._turn_down(key, words, text)
        return self._confirm(key, text)

    def _confirm(self, key: FuturesStream, text: str) -> Sequence[Output]:
        stream = self._open.get(key)
        if stream is None:
            return _NOTHING
        stream.confirmed = True
        ready = [
            member
            for member in stream.members
            if all(self._open[other].confirmed for other in futures_streams(member, self._instruments))
        ]
        return (Confirmed(tuple(ready), raw=text),) if ready else _NOTHING

    def _refuse(self, words: str, text: str) -> Sequence[Output]:
        if NO_ANSWER in words:
            return (Closing(words, rotate=False),)
        named = _CONTRACT.search(words)
        pending = self._waiting
        if named is not None:
            # It does not name the stream: replies come in the order of the requests.
            key = next((item for item in pending if item.raw == named[1]), None)
            if key is None:
                return self._refuse_late(named[1], words, text)
        else:
            key = pending[0] if len(pending) == 1 else None
        if key is None:
            return (Refused(None, words, raw=text),)
        self._waiting.remove(key)
        return self._turn_down(key, words, text)

    def _refuse_late(self, raw: str, words: str, text: str) -> Sequence[Output]:
        """An acknowledgement meant for a later request was taken for this contract's: put both right."""
        stream = next((s for s in self._open.values() if s.key.raw == raw and s.confirmed and not s.heard), None)
        if stream is None:
            return (Refused(None, words, raw=text),)
        outputs = list(self._turn_down(stream.key, words, text))
        meant = next((key for key in self._waiting if key.name == stream.key.name), None)
        if meant is not None:
            self._waiting.remove(meant)
            outputs += self._confirm(meant, text)
        return outputs

    def _turn_down(self, key: FuturesStream, words: str, text: str) -> Sequence[Output]:
        stream = self._open.get(key)
        members = tuple(stream.members) if stream is not None else ()
        for member in members:
            self._forget(member)
        return (Refused(members or None, words, raw=text),)

    def _forget(self, subscription: Subscription) -> list[FuturesStream]:
        """Forget a subscription; return the streams that nobody shares any more."""
        if self.streams.pop(subscription, None) is None:
            return []
        ended: list[FuturesStream] = []
        for key in futures_streams(subscription, self._instruments):
            stream = self._open.get(key)
            if stream is None:
                continue
            stream.members.pop(subscription, None)
            if stream.members:
                stream.rebuild()
                continue
            del self._open[key]
            push = (key.name, key.raw, key.interval)
            del self._by_push[push]
            self._left.add(push)
            ended.append(key)
        return ended

    def _send(self, message: dict[str, object]) -> None:
        self.outbox.append(_encode(message).decode())


def _cut(top: TopBook, depth: int) -> TopBook:
    return TopBook(
        top.venue,
        top.symbol,
        top.ts_event,
        top.ts_sent,
        top.ts_recv,
        top.bids[:depth],
        top.asks[:depth],
        depth,
        top.seq,
    )
