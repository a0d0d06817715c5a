"""Spot messages, one at a time: binary protobuf pushes and JSON text replies."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

import msgspec
from msgspec import Struct

from unitape.errors import WireError
from unitape.spi import MILLISECOND, Closing, Instruments, Output, Refused, Unmapped
from unitape_mexc import schema
from unitape_mexc.bodies import BODY_READERS, VENUE, Route, depth_event
from unitape_mexc.channels import TOP_DEPTHS
from unitape_mexc.legacy import read_legacy
from unitape_mexc.limits import SPOT_LIMITS
from unitape_mexc.protobuf import fast_push, plain_prefix

__all__ = ["INVALID_KEY", "PushReader", "Reply", "SpotCodec", "is_text", "listed", "read_reply", "said"]

_NOTHING: Final[tuple[Output, ...]] = ()
_MAX_FRAME: Final = SPOT_LIMITS.max_frame
_MAX_ROUTES: Final = 8192
"""Channels remembered; more can only be noise, and start the memory anew."""
_TIME_LIMIT: Final = 9_000_000_000_000
_SPEEDS: Final = frozenset({"10ms", "100ms"})
_MAX_NAMES: Final = 1024
_SHORT: Final = 128
_FAST: Final = {"public.aggre.depth.v3.api.pb": 313, "public.limit.depth.v3.api.pb": 303}
_WITHOUT_SYMBOL: Final = frozenset({0, 304, 306, 307, 310})
"""Bodies on channels that name no symbol: of the account, and of all symbols."""
_MINI_TICKERS: Final = 310
_ALL_SYMBOLS: Final = "public.miniTickers.v3.api.pb"
INVALID_KEY: Final = "Invalid listen key"

_REFUSED: Final = re.compile(r"Not Subscribed successfully!\s*\[([^\]]*)\]\.?(?:\s*Reason\s*[:：]\s*([^!]*)!)?")
_ACCEPTED: Final = re.compile(r"(?<!Not )Subscribed successful\w*!\s*\[([^\]]*)\]")


class Reply(Struct, gc=False):
    """A control reply. A refusal has code 0, too: only ``msg`` tells."""

    id: int = 0
    code: int = 0
    msg: str | None = None
    channel: str | None = None
    """Set when this is no reply but a push written as JSON."""
    c: str | None = None
    """Set when this is a message of the retired JSON feed."""


_reply = msgspec.json.Decoder(Reply, strict=False).decode


def is_text(data: bytes) -> bool:
    """Tell a text message handed over as bytes from a push.

    A push starts with a field of the wrapper; none of their tags is a brace or a capital I.
    """
    return data[:1] == b"{" or data.startswith(INVALID_KEY.encode())


def read_reply(text: str | bytes) -> Reply:
    """Read a text message.

    Raises:
        WireError: it is not one of this venue.
    """
    try:
        return _reply(text)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise WireError(f"not a reply: {error}", text, venue=VENUE) from None


def said(reply: Reply, text: str | bytes) -> str:
    """Return what a reply says.

    Raises:
        WireError: it is no reply.
    """
    if reply.msg is None:
        raise WireError("neither a push nor a reply", text, venue=VENUE)
    return reply.msg


def listed(msg: str) -> tuple[list[str], list[str], str]:
    """Return what a reply's ``msg`` accepts and refuses by name, and the reason for refusing."""
    refused = _REFUSED.search(msg)
    if refused is None:
        accepted = _ACCEPTED.search(msg)
        return _names(accepted[1] if accepted else msg), [], ""
    accepted = _ACCEPTED.search(msg)
    return _names(accepted[1]) if accepted else [], _names(refused[1]), (refused[2] or "").strip()


def _names(text: str) -> list[str]:
    return [name for part in text.split(",") if (name := part.strip()).startswith("spot@")]


class PushReader:
    """Reads pushes, and remembers what channels mean."""

    def __init__(self, instruments: Instruments) -> None:
        self._instruments = instruments
        self._routes: dict[str, Route] = {}
        self._fast: dict[bytes, Route] = {}
        """By the bytes of their channel, those whose bodies can be read without upb."""
        self.unknown_fields: dict[str, int] = {}
        """Fields that the schema does not have, by ``Message.number``, and how often each was met."""

    def read(self, data: bytes, ts_recv: int) -> tuple[str, Sequence[Output]]:
        """Return a push's channel and what it says.

        Raises:
            WireError: it cannot be understood; nothing of it was used.
        """
        if len(data) > _MAX_FRAME:
            raise WireError("a frame beyond all bounds", data, venue=VENUE)
        try:
            route = self._fast.get(data[2 : 2 + data[1]]) if len(data) > 2 else None
            if route is not None:
                found = fast_push(data, route.prefix, route.fast)
                if found is not None:
                    at = (0, found[0] * MILLISECOND, ts_recv)
                    return route.channel, depth_event(route.fast, found[1], route, at)
            return self._read_by_upb(data, ts_recv)
        except (ValueError, UnicodeError) as error:
            raise WireError(str(error), data, venue=VENUE) from None

    def _read_by_upb(self, data: bytes, ts_recv: int) -> tuple[str, Sequence[Output]]:
        push = schema.parser(schema.WRAPPER)(data)
        channel = push.channel
        route = self._routes.get(channel) or self._learn(channel)
        name = push.WhichOneof("body")
        number = schema.BODY_FIELDS[name] if name is not None else 0
        symbol = push.symbol
        if (symbol != route.raw or not symbol or number in _WITHOUT_SYMBOL) and not _fits(route, symbol, number):
            raise ValueError(f"body {number} of {symbol!r} on {channel}")
        created, sent = push.createTime, push.sendTime
        if not (0 <= created < _TIME_LIMIT and 0 <= sent < _TIME_LIMIT):
            raise ValueError("not a time")
        outputs: Sequence[Output] = _NOTHING
        if name is not None:
            at = (created * MILLISECOND, sent * MILLISECOND, ts_recv)
            outputs = BODY_READERS[number](getattr(push, name), route, at)
        push.DiscardUnknownFields()
        # What the schema knows takes all the bytes of a plain frame; the size tells whether there was anything else.
        if push.ByteSize() != len(data):
            outputs = [*outputs, *self._count_unknown(data, has_body=number > 0)]
        return channel, outputs

    def _count_unknown(self, data: bytes, *, has_body: bool) -> list[Unmapped]:
        """Count what the schema does not have. Told once, as nothing is lost by it; an unknown body every time."""
        told: list[Unmapped] = []
        for name in schema.unknown_fields(schema.parser(schema.WRAPPER)(data)):
            message, _, number = name.partition(".")
            is_body = not has_body and message == schema.WRAPPER and int(number) > 300
            if is_body or name not in self.unknown_fields:
                told.append(Unmapped(f"{name} as body" if is_body else name))
            if len(self.unknown_fields) < _MAX_NAMES or name in self.unknown_fields:
                self.unknown_fields[name] = self.unknown_fields.get(name, 0) + 1
        return told

    def read_json(self, text: str | bytes, ts_recv: int) -> Sequence[Output]:
        """Read a push that somebody wrote down as protobuf's JSON.

        Raises:
            WireError: it is not one.
        """
        from google.protobuf import json_format

        try:
            fields = msgspec.json.decode(text, type=dict[str, object])
            message = schema.message_class(schema.WRAPPER)()
            json_format.ParseDict(fields, message, ignore_unknown_fields=True)
        except (ValueError, json_format.ParseError, RecursionError) as error:
            raise WireError(f"not a push as JSON: {error}", text, venue=VENUE) from None
        strangers = [
            Unmapped(name)
            for name in fields
            if name.startswith(("public", "private")) and name not in schema.BODY_FIELDS
        ]
        return [*self.read(message.SerializeToString(), ts_recv)[1], *strangers]

    def _learn(self, channel: str) -> Route:
        spot, _, rest = channel.partition("@")
        if spot != "spot" or not rest:
            raise ValueError("a push without a channel")
        kind, *parts = rest.split("@")
        if parts and parts[0] in _SPEEDS:
            del parts[0]
        raw = "" if kind == _ALL_SYMBOLS or not parts else parts.pop(0)
        argument = parts[0] if parts else ""
        depth = int(argument) if argument.isdecimal() else None
        symbol_of = self._instruments.symbol
        route = Route(
            channel,
            raw,
            symbol_of(raw) if raw else "",
            argument,
            depth if depth in TOP_DEPTHS else None,
            symbol_of,
            _FAST.get(kind, 0) if len(channel) < _SHORT else 0,
            plain_prefix(channel.encode(), raw.encode()) if len(channel) < _SHORT and channel.isascii() else b"",
        )
        if len(self._routes) >= _MAX_ROUTES:
            self._routes.clear()
            self._fast.clear()
        self._routes[channel] = route
        if route.fast and route.prefix:
            self._fast[channel.encode()] = route
        return route


def _fits(route: Route, symbol: str, number: int) -> bool:
    """Tell whether channel, symbol and body agree on which symbol the push is of."""
    if number in _WITHOUT_SYMBOL:
        return number != _MINI_TICKERS or not route.raw
    return bool(route.raw) and symbol in ("", route.raw)


class SpotCodec:
    """Reads single spot messages."""

    def __init__(self, instruments: Instruments) -> None:
        self._instruments = instruments
        self._pushes = PushReader(instruments)

    @property
    def unknown_fields(self) -> dict[str, int]:
        """Fields met that the schema does not have, by ``Message.number``, and how often."""
        return self._pushes.unknown_fields

    def decode(self, data: bytes | str, ts_recv: int, *, stream: str | None = None) -> Sequence[Output]:
        """Return what one message says. ``stream`` is not needed: pushes name their channel.

        Bytes are a push unless they start like a text message. Pushes in protobuf's JSON form are read, too, and so
        are messages of the retired JSON feed. An acknowledgement and a pong say nothing without the request they
        answer.

        Raises:
            WireError: it cannot be understood; nothing of it was used.
        """
        if isinstance(data, bytes) and not is_text(data):
            return self._pushes.read(data, ts_recv)[1]
        text = data if isinstance(data, str) else data.decode("utf-8", "replace")
        if text.strip() == INVALID_KEY:
            return (Closing(INVALID_KEY, rotate=False),)
        reply = read_reply(data)
        if reply.channel is not None:
            return self._pushes.read_json(data, ts_recv)
        if reply.c is not None:
            return read_legacy(data, ts_recv, self._instruments)
        _, refused, reason = listed(said(reply, data))
        if refused or reply.code:
            return (Refused(None, reason or said(reply, data), str(reply.code), raw=text),)
        return _NOTHING
