"""One spot connection: subscriptions in, frames out; frames in, events out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

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
from unitape_mexc.channels import spot_param
from unitape_mexc.codec_spot import INVALID_KEY, PushReader, Reply, is_text, listed, read_reply, said
from unitape_mexc.limits import PING_EVERY, SPOT_LIMITS, SpotSettings
from unitape_schemas import Subscription

__all__ = ["SpotSession"]

_NOTHING: Final[tuple[Output, ...]] = ()
_PING: Final = '{"method":"PING"}'
_PONG: Final = "PONG"
_encode = msgspec.json.Encoder().encode


class SpotSession:
    """The state machine of one spot connection.

    Replies are matched by id, and by the names they list where the venue answers with id 0. A refusal has code 0 like
    everything else: a name is refused when the reply lists it so, and confirmed when the reply to its request does not.
    """

    def __init__(self, instruments: Instruments, settings: SpotSettings) -> None:
        self.outbox: list[Outgoing] = []
        self.streams: dict[Subscription, StreamState] = {}
        self._instruments = instruments
        self._settings = settings
        self._pushes = PushReader(instruments)
        self._sharing: dict[str, dict[Subscription, StreamState]] = {}
        self._by_channel: dict[str, tuple[StreamState, ...]] = {}
        self._left: set[str] = set()
        self._waiting: dict[int, tuple[str, ...]] = {}
        """Requests that wait for their answer: the params subscribed to; none for an unsubscription."""
        self._last_id = 0
        self._next_ping: int | None = None

    def on_open(self) -> None:
        """Say nothing: pings run on the timer."""

    def subscribe(self, subscriptions: Sequence[Subscription]) -> None:
        """Put the SUBSCRIPTION messages into the outbox.

        Raises:
            ConfigError: one of them does not exist here; none is asked for.
        """
        params = [spot_param(item, self._instruments, self._settings) for item in subscriptions]
        for subscription, param in zip(subscriptions, params, strict=True):
            state = self.streams.setdefault(subscription, StreamState(subscription))
            self._sharing.setdefault(param, {})[subscription] = state
            self._rebuild(param)
        self._send("SUBSCRIPTION", list(dict.fromkeys(params)))

    def unsubscribe(self, subscriptions: Sequence[Subscription]) -> None:
        """Put the UNSUBSCRIPTION messages into the outbox, for the streams that nobody shares any more."""
        ended = [param for item in subscriptions if (param := self._forget(item)) and param not in self._sharing]
        self._send("UNSUBSCRIPTION", ended)

    def on_frame(self, data: bytes | str, ts_recv: int) -> Sequence[Output]:
        """Take one message: a push, or a reply as text.

        Raises:
            WireError: it cannot be understood; nothing of it was used.
        """
        if isinstance(data, str) or (data[:1] != b"\n" and is_text(data)):
            return self._text(data)
        channel, outputs = self._pushes.read(data, ts_recv)
        states = self._by_channel.get(channel)
        if states is None:
            # Pushes may be under way while we unsubscribe; anything else was never asked for.
            return _NOTHING if channel in self._left else (Unmapped(channel),)
        for state in states:
            state.touched = ts_recv
        return outputs

    def on_tick(self, now: int) -> Sequence[Output]:
        """Ping when it is time."""
        if self._next_ping is None:
            self._next_ping = now + int(PING_EVERY * SECOND)
        elif now >= self._next_ping:
            self._next_ping = now + int(PING_EVERY * SECOND)
            self.outbox.append(_PING)
        return _NOTHING

    def _text(self, data: bytes | str) -> Sequence[Output]:
        text = data if isinstance(data, str) else data.decode("utf-8", "replace")
        if text.strip() == INVALID_KEY:
            return (Closing(INVALID_KEY, rotate=False),)
        reply = read_reply(data)
        msg = said(reply, data)
        if msg.upper() == _PONG:
            return _NOTHING
        return self._answer(reply, msg, text)

    def _answer(self, reply: Reply, msg: str, text: str) -> Sequence[Output]:
        accepted, refused, reason = listed(msg)
        asked = self._waiting.pop(reply.id, None)
        if asked is None and not reply.id:
            asked = self._by_names([*accepted, *refused])
        if asked is None:
            asked = ()
        if not refused and reply.code != 0:
            refused, reason = list(asked), msg
        outputs: list[Output] = []
        confirmed = [item for param in asked if param not in refused for item in self._sharing.get(param, ())]
        if confirmed:
            outputs.append(Confirmed(tuple(confirmed), raw=text))
        turned_down = [item for param in refused for item in self._sharing.get(param, ())]
        if turned_down:
            for item in turned_down:
                self._forget(item)
            outputs.append(Refused(tuple(turned_down), reason, str(reply.code), raw=text))
        elif refused:
            outputs.append(Refused(None, f"{reason}: {', '.join(refused)}", str(reply.code), raw=text))
        return outputs

    def _by_names(self, names: list[str]) -> tuple[str, ...] | None:
        """Find the request that an answer without an id belongs to: the oldest that asked for all of these names."""
        for number, params in self._waiting.items():
            if names and params and set(names) <= set(params):
                del self._waiting[number]
                return params
        return None

    def _forget(self, subscription: Subscription) -> str | None:
        if self.streams.pop(subscription, None) is None:
            return None
        param = spot_param(subscription, self._instruments, self._settings)
        sharing = self._sharing[param]
        del sharing[subscription]
        if not sharing:
            del self._sharing[param]
        self._rebuild(param)
        return param

    def _rebuild(self, param: str) -> None:
        sharing = self._sharing.get(param)
        if sharing is None:
            self._by_channel.pop(param, None)
            self._left.add(param)
        else:
            self._by_channel[param] = tuple(sharing.values())
            self._left.discard(param)

    def _send(self, method: str, params: list[str]) -> None:
        most = SPOT_LIMITS.params_per_message
        for start in range(0, len(params), most):
            batch = params[start : start + most]
            self._last_id += 1
            self._waiting[self._last_id] = tuple(batch) if method == "SUBSCRIPTION" else ()
            self.outbox.append(_encode({"method": method, "params": batch, "id": self._last_id}).decode())
