"""One connection to one route: names in, frames out; frames in, events out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

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
from unitape_binance.frames import MAX_FRAME, Frame, checked, parse_frame, refusal, shutdown, spoilt
from unitape_binance.limits import MAX_MESSAGE
from unitape_binance.readers import DECODE_ERRORS, Reader, mark_prices
from unitape_binance.streams import ReaderTable, make_reader
from unitape_schemas import ALL_SYMBOLS, Channel, Subscription

__all__ = ["BinanceSession", "SessionTables"]

_encode = msgspec.json.Encoder().encode
_NOTHING: Final[tuple[Output, ...]] = ()
_FRAME_OVERHEAD: Final = 64
"""Bytes of a control message besides its names."""


class SessionTables(Struct, frozen=True):
    """What differs between the markets."""

    channels: Mapping[Channel, ChannelSpec]
    all_symbols: Mapping[Channel, str]
    readers: ReaderTable
    limits: Limits


class _Request(Struct, frozen=True):
    """A control message that waits for its answer. ``subscriptions`` is empty for an UNSUBSCRIBE."""

    subscriptions: tuple[Subscription, ...]


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
        self._by_name: dict[str, tuple[Reader, tuple[StreamState, ...]]] = {}
        # By the frame's text up to the first brace of the payload, as bytes and as str: one lookup proves the envelope
        # and finds the reader.
        self._by_head: dict[bytes | str, tuple[Reader, tuple[StreamState, ...]]] = {}
        self._left: set[str] = set()
        self._waiting: dict[int, _Request] = {}
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
        for name in asked:
            self._rebuild(name)
        for batch in self._batches(asked):
            members = tuple(subscription for name in batch for subscription in asked[name])
            self._send("SUBSCRIBE", batch, _Request(members))

    def unsubscribe(self, subscriptions: Sequence[Subscription]) -> None:
        """Put the UNSUBSCRIBE messages into the outbox, for the streams that nobody shares any more."""
        ended: list[str] = []
        for subscription in subscriptions:
            name = self._forget(subscription)
            if name is not None and name not in self._sharing:
                ended.append(name)
        for batch in self._batches(ended):
            self._send("UNSUBSCRIBE", batch, _Request(()))

    def on_frame(self, data: bytes | str, ts_recv: int) -> Sequence[Output]:
        """Take one message.

        Raises:
            WireError: it cannot be understood; nothing of it was used.
        """
        if not data.isascii() or len(data) > MAX_FRAME:
            checked(data)
        try:
            head = data[: data.find(b"{", 1)] if isinstance(data, bytes) else data[: data.find("{", 1)]
            read, states = self._by_head[head]
        except KeyError:
            return self._other(data, ts_recv)
        try:
            outputs = read(data, ts_recv)
        except DECODE_ERRORS as error:
            raise spoilt(error, data) from error
        for state in states:
            state.touched = ts_recv
        return outputs

    def on_tick(self, now: int) -> Sequence[Output]:
        """Do nothing: the venue pings with the protocol's own pings."""
        return _NOTHING

    def _other(self, data: bytes | str, ts_recv: int) -> Sequence[Output]:
        frame = parse_frame(data)
        if frame.event_type == "serverShutdown" or frame.stream == "!serverShutdown":
            return (shutdown(),)
        if frame.stream is not None:
            return self._unusual_data(frame, frame.stream, data, ts_recv)
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

    def _unusual_data(self, frame: Frame, name: str, data: bytes | str, ts_recv: int) -> Sequence[Output]:
        payload = bytes(frame.data)
        if not payload:
            raise spoilt("a stream without data", data)
        found = self._by_name.get(name)
        if found is None:
            # Frames may be under way while we unsubscribe; anything else was never asked for.
            return _NOTHING if name in self._left else (Unmapped(name),)
        read, states = found
        try:
            outputs = read(b'{"data":' + payload + b"}", ts_recv)
        except DECODE_ERRORS as error:
            raise spoilt(error, data) from error
        for state in states:
            state.touched = ts_recv
        return outputs

    def _acknowledge(self, number: int | str | None, data: bytes | str) -> Sequence[Output]:
        request = self._waiting.pop(number, None) if isinstance(number, int) else None
        if request is None:
            return _NOTHING
        members = tuple(s for s in request.subscriptions if s in self.streams)
        return (Confirmed(members, raw=_text(data)),) if members else _NOTHING

    def _refuse(self, refused: Refused, number: int | str | None, data: bytes | str) -> Refused:
        if number is None and len(self._waiting) == 1:
            # Malformed requests are refused without their id; with one under way it is clear which is meant.
            number = next(iter(self._waiting))
        request = self._waiting.pop(number, None) if isinstance(number, int) else None
        members = None if request is None else request.subscriptions
        for subscription in members or ():
            state = self.streams.get(subscription)
            if state is not None and not state.touched:
                self._forget(subscription)
        return Refused(members, refused.text, refused.code, raw=_text(data))

    def _name(self, subscription: Subscription) -> str:
        tables = self._tables
        name = native_name(subscription, tables.channels, tables.all_symbols, self._instruments)
        route = tables.channels[subscription.channel].route
        if route != self._route:
            raise ConfigError(f"{name} lives on the route {route!r}; on {self._route!r} it would stay silent")
        return name

    def _forget(self, subscription: Subscription) -> str | None:
        if self.streams.pop(subscription, None) is None:
            return None
        name = self._name(subscription)
        sharing = self._sharing[name]
        del sharing[subscription]
        if not sharing:
            del self._sharing[name]
            self._left.add(name)
        self._rebuild(name)
        return name

    def _rebuild(self, name: str) -> None:
        """Bind the stream's reader anew to whoever shares it now."""
        heads = _heads(name)
        sharing = self._sharing.get(name)
        if sharing is None:
            self._by_name.pop(name, None)
            for head in heads:
                self._by_head.pop(head, None)
            return
        entry = (self._reader(name, sharing), tuple(sharing.values()))
        self._by_name[name] = entry
        for head in heads:
            self._by_head[head] = entry

    def _reader(self, name: str, sharing: Iterable[Subscription]) -> Reader:
        members = tuple(sharing)
        symbol = None if members[0].symbol == ALL_SYMBOLS else members[0].symbol
        channels = {member.channel for member in members}
        symbol_of = self._instruments.symbol
        if channels <= {"mark_price", "funding"}:
            return mark_prices(symbol, symbol_of, mark="mark_price" in channels, funding="funding" in channels)
        stream = parse_stream(name)
        read = None if stream is None else make_reader(self._tables.readers, stream, symbol, symbol_of)
        if read is None:
            raise ConfigError(f"nothing here reads the stream {name}")
        return read

    def _batches(self, names: Iterable[str]) -> Iterator[list[str]]:
        most = self._tables.limits.params_per_message
        batch: list[str] = []
        size = _FRAME_OVERHEAD
        for name in names:
            weight = len(name.encode()) + 3
            if batch and (len(batch) == most or size + weight > MAX_MESSAGE):
                yield batch
                batch, size = [], _FRAME_OVERHEAD
            batch.append(name)
            size += weight
        if batch:
            yield batch

    def _send(self, method: str, names: list[str], request: _Request) -> None:
        self._last_id += 1
        self._waiting[self._last_id] = request
        self.outbox.append(_encode({"method": method, "params": names, "id": self._last_id}).decode())


def _heads(name: str) -> list[bytes | str]:
    texts = [f'{{"stream":"{name}","data":', f'{{"stream":"{name}","data":[']
    return [*texts, *(text.encode() for text in texts)]


def _text(data: bytes | str) -> str:
    return data if isinstance(data, str) else data.decode()
