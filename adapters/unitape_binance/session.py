"""One connection to one route: names in, frames out; frames in, events out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, TypeAlias, Union, cast

import msgspec
from msgspec import Struct

from unitape.errors import ConfigError
from unitape.spi import (
    ChannelSpec,
    Confirmed,
    Instruments,
    Limits,
    Outgoing,
    Output,
    Refused,
    StreamState,
    Unmapped,
)
from unitape_binance.channels import native_name, parse_stream
from unitape_binance.frames import checked, parse_frame, refusal, shutdown, spoilt
from unitape_binance.limits import MAX_MESSAGE
from unitape_binance.readers import DECODE_ERRORS, Reader
from unitape_binance.streams import StreamTable, mark_price_kind, stream_kind
from unitape_schemas import ALL_SYMBOLS, Channel, Subscription

__all__ = ["BinanceSession", "SessionTables"]

_encode = msgspec.json.Encoder().encode
_NOTHING: Final[tuple[Output, ...]] = ()
_MESSAGE_OVERHEAD: Final = 64
"""Bytes of a control message besides its names."""


class SessionTables(Struct, frozen=True):
    """What differs between the markets."""

    channels: Mapping[Channel, ChannelSpec]
    all_symbols: Mapping[Channel, str]
    streams: StreamTable
    limits: Limits


class _SharedState:
    """Stands for the states of several subscriptions that share one stream."""

    __slots__ = ("_states", "number")

    def __init__(self, states: Iterable[StreamState]) -> None:
        self._states = tuple(states)
        self.number: int | None = None

    @property
    def touched(self) -> int:
        return self._states[0].touched

    @touched.setter
    def touched(self, ts_recv: int) -> None:
        for state in self._states:
            state.touched = ts_recv


class Framed(Struct, gc=False, tag_field="stream", tag="!"):
    """A combined frame, ``{"stream": …, "data": …}``.

    Every stream of a connection gets a subclass, tagged with its name. So one decoding pass in C checks the envelope,
    finds the stream and reads the payload as the type that this stream has.
    """

    data: Any


class _NoStream(Framed, gc=False, tag="!none"):
    """With its twin it keeps the union one of several: msgspec asks a lone tagged type for no tag."""


class _NoStreamEither(_NoStream, gc=False, tag="!neither"):
    """The twin."""


_Decode: TypeAlias = Callable[[bytes | str], Framed]

_Bound: TypeAlias = tuple[Reader, StreamState | _SharedState, bool]
"""What takes a stream's payloads: its reader, its state, and whether each payload is one trade with a number."""


def _ignore(payload: object, ts_recv: int) -> Sequence[Output]:
    return _NOTHING


class BinanceSession:
    """The state machine of one connection.

    Subscriptions may share a stream (``mark_price`` and ``funding`` do); the stream lives while any of them does. An
    acknowledgement proves only that the venue parsed the message, so names come from the instrument list and routes
    from a table.
    """

    def __init__(self, instruments: Instruments, route: str, tables: SessionTables) -> None:
        self.outbox: list[Outgoing] = []
        self.streams: dict[Subscription, StreamState] = {}
        self._instruments = instruments
        self._route = route
        self._tables = tables
        self._sharing: dict[str, dict[Subscription, StreamState]] = {}
        self._framed: dict[str, type[Framed]] = {}
        nobody = StreamState(Subscription("trades", ALL_SYMBOLS))
        self._bound: dict[type[Framed], _Bound] = dict.fromkeys((_NoStream, _NoStreamEither), (_ignore, nobody, False))
        self.on_frame, self._decode_with = self._intake()
        """Takes one message and its receive time. Raises ``WireError`` when it cannot be understood."""
        self._left: set[str] = set()
        self._waiting: dict[int, tuple[Subscription, ...]] = {}
        self._last_id = 0

    def on_open(self) -> None:
        """Say nothing: the combined envelope is on by default on ``/stream``."""

    def subscribe(self, subscriptions: Sequence[Subscription]) -> None:
        """Put the SUBSCRIBE messages into the outbox.

        Raises:
            ConfigError: one of them does not exist here or lives on another route; none is asked for.
        """
        names = {subscription: self._name(subscription) for subscription in subscriptions}
        asked: dict[str, list[Subscription]] = {}
        for subscription, name in names.items():
            state = self.streams.setdefault(subscription, StreamState(subscription))
            self._sharing.setdefault(name, {})[subscription] = state
            self._left.discard(name)
            asked.setdefault(name, []).append(subscription)
        self._bind(asked)
        for batch in self._batches(asked):
            self._send("SUBSCRIBE", batch, tuple(member for name in batch for member in asked[name]))

    def unsubscribe(self, subscriptions: Sequence[Subscription]) -> None:
        """Put the UNSUBSCRIBE messages into the outbox, for the streams that nobody shares any more."""
        names = self._forget(subscriptions)
        for batch in self._batches(name for name in names if name not in self._sharing):
            self._send("UNSUBSCRIBE", batch, ())

    def on_tick(self, now: int) -> Sequence[Output]:
        """Do nothing: the venue pings with the protocol's own pings."""
        return _NOTHING

    def _intake(self) -> tuple[Callable[[bytes | str, int], Sequence[Output]], Callable[[_Decode], None]]:
        """Return what takes the messages, and what changes its decoder.

        A closure, since every look at ``self`` would be one per message. The size of a message is the transport's to
        refuse (``Limits.max_frame``).
        """
        bound, other = self._bound, self._other
        decode = _decoder(())

        def on_frame(data: bytes | str, ts_recv: int) -> Sequence[Output]:
            if not data.isascii():
                checked(data)
            try:
                frame = decode(data)
            except DECODE_ERRORS as error:
                return other(data, error)
            read, state, numbered = bound[frame.__class__]
            state.touched = ts_recv
            payload = frame.data
            if numbered:
                state.number = payload.id
            return read(payload, ts_recv)

        def decode_with(decoder: _Decode) -> None:
            nonlocal decode
            decode = decoder

        return on_frame, decode_with

    def _other(self, data: bytes | str, error: Exception) -> Sequence[Output]:
        """Take a message that is not data of a stream of ours."""
        frame = parse_frame(data)
        if "serverShutdown" in (frame.event_type, (frame.stream or "").removeprefix("!")):
            return (shutdown(),)
        if frame.stream is not None:
            if frame.stream in self._framed:
                raise spoilt(error, data) from error
            # Frames may be under way while we unsubscribe; anything else was never asked for.
            return _NOTHING if frame.stream in self._left else (Unmapped(frame.stream),)
        if bytes(frame.event) and parse_frame(frame.event).event_type == "serverShutdown":
            return (shutdown(),)
        refused = refusal(frame)
        if refused is not None:
            return (self._refuse(refused, frame.id, data),)
        if bytes(frame.result):
            return self._acknowledge(frame.id, data)
        if frame.event_type is not None:
            return (Unmapped(frame.event_type),)
        raise spoilt("neither data nor an answer", data)

    def _acknowledge(self, number: int | str | None, data: bytes | str) -> Sequence[Output]:
        asked = self._waiting.pop(number, ()) if isinstance(number, int) else ()
        members = tuple(subscription for subscription in asked if subscription in self.streams)
        return (Confirmed(members, raw=_text(data)),) if members else _NOTHING

    def _refuse(self, refused: Refused, number: int | str | None, data: bytes | str) -> Refused:
        if number is None and len(self._waiting) == 1:
            # Malformed requests are refused without their id; with one under way it is clear which is meant.
            number = next(iter(self._waiting))
        members = self._waiting.pop(number, None) if isinstance(number, int) else None
        self._forget(
            [member for member in members or () if member in self.streams and not self.streams[member].touched]
        )
        return Refused(members, refused.text, refused.code, raw=_text(data))

    def _name(self, subscription: Subscription) -> str:
        tables = self._tables
        name = native_name(subscription, tables.channels, tables.all_symbols, self._instruments)
        route = tables.channels[subscription.channel].route
        if route != self._route:
            raise ConfigError(f"{name} lives on the route {route!r}; on {self._route!r} it would stay silent")
        return name

    def _forget(self, subscriptions: Iterable[Subscription]) -> list[str]:
        """Drop these and return the names of their streams."""
        names: dict[str, None] = {}
        for subscription in subscriptions:
            if self.streams.pop(subscription, None) is not None:
                name = self._name(subscription)
                names[name] = None
                del self._sharing[name][subscription]
                if not self._sharing[name]:
                    del self._sharing[name]
                    self._left.add(name)
        self._bind(names)
        return list(names)

    def _bind(self, names: Iterable[str]) -> None:
        """Bind these streams anew to whoever shares them now, or let them go."""
        for name in names:
            framed = self._framed.pop(name, None)
            if framed is not None:
                del self._bound[framed]
            sharing = self._sharing.get(name)
            if sharing is not None:
                payload, entry = self._reading(name, sharing)
                made: Any = msgspec.defstruct("Framed", [("data", payload)], bases=(Framed,), tag=name, gc=False)
                self._framed[name] = made
                self._bound[made] = entry
        self._decode_with(_decoder(self._framed.values()))

    def _reading(self, name: str, sharing: Mapping[Subscription, StreamState]) -> tuple[Any, _Bound]:
        """Return the payload type of a stream, and what takes its payloads."""
        stream = parse_stream(name)
        symbol = next(iter(sharing)).symbol
        of_one = symbol != ALL_SYMBOLS
        kind = None if stream is None else stream_kind(self._tables.streams, stream, of_one=of_one)
        if stream is None or kind is None:
            raise ConfigError(f"nothing here reads the stream {name}")
        if stream.kind == "markPrice":
            kind = mark_price_kind(kind, {member.channel for member in sharing}, of_one=of_one)
        states = tuple(sharing.values())
        state = states[0] if len(states) == 1 else _SharedState(states)
        return kind.payload, (kind.reader(symbol, stream.depth, self._instruments.symbol), state, kind.numbered)

    def _batches(self, names: Iterable[str]) -> Iterator[list[str]]:
        most = self._tables.limits.params_per_message
        batch: list[str] = []
        size = _MESSAGE_OVERHEAD
        for name in names:
            weight = len(name.encode()) + 3
            if batch and (len(batch) == most or size + weight > MAX_MESSAGE):
                yield batch
                batch, size = [], _MESSAGE_OVERHEAD
            batch.append(name)
            size += weight
        if batch:
            yield batch

    def _send(self, method: str, names: list[str], members: tuple[Subscription, ...]) -> None:
        self._last_id += 1
        self._waiting[self._last_id] = members
        self.outbox.append(_encode({"method": method, "params": names, "id": self._last_id}).decode())


def _decoder(framed: Iterable[type[Framed]]) -> _Decode:
    union = cast("Any", Union)[(_NoStream, _NoStreamEither, *framed)]
    decoder: msgspec.json.Decoder[Framed] = msgspec.json.Decoder(union, strict=False)
    return decoder.decode


def _text(data: bytes | str) -> str:
    return data if isinstance(data, str) else data.decode()
