"""Reading the bytes of spot pushes: the wrapper, the two shapes of depth, and numbers in bulk.

Measured on frames of 20 + 20 levels and of 5 trades: upb parses for next to nothing, reading its fields one by one is
what costs. For depth, one pass at C speed beats it by far: the numbers of all levels are cut out of the bytes
together, checked against every length byte, and handed to msgspec as one JSON array. Everything else is read by upb.

What is not in the plain form (unknown fields inside a level, odd order, long numbers) is not understood here: the
functions return None and upb decides. So the fast way never says anything that upb would not.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Final, TypeAlias

import msgspec

from unitape.errors import WireError
from unitape.spi import WireLevel, WireNumber
from unitape_mexc import schema
from unitape_schemas import Levels

__all__ = ["Depth", "Wrapper", "fast_depth", "numbers", "read_wrapper"]

_VENUE: Final = "mexc"
_DIGITS: Final = b"0123456789."
_BLANKED: Final = bytes(code if code in _DIGITS else 0x20 for code in range(256))
_ITEM: Final = 6
"""Bytes of a level that are not number text: its tag and length, and tag and length of price and quantity."""
_MAX_LEVELS: Final = 256
"""Levels in one frame that are read at once; more are left to upb."""

_decode_numbers = msgspec.json.Decoder(list[WireNumber]).decode
_decode_sides = msgspec.json.Decoder(tuple[tuple[WireLevel, ...], tuple[WireLevel, ...]]).decode
_decode_plain_sides = msgspec.json.Decoder(
    tuple[tuple[tuple[float, float], ...], tuple[tuple[float, float], ...]]
).decode

_VERSIONS: Final = {
    313: re.compile(rb"\x22([\x01-\x12])([0-9]+)\x2a([\x01-\x12])([0-9]+)(?:\x30[\x80-\xff]{5}[\x01-\x7f])?").fullmatch,
    303: re.compile(rb"\x22([\x01-\x12])([0-9]+)()()(?:\x28[\x80-\xff]{5}[\x01-\x7f])?").fullmatch,
}
"""Body number -> what follows the event type: the versions as text, and a time that has no place in the contract."""


Wrapper: TypeAlias = tuple[bytes, bytes, int, int, int, bytes, tuple[str, ...]]
"""One frame, taken apart but for its body: channel, symbol, creation and sending time (Unix milliseconds, 0 where
absent), field number of the body (0: the frame has none, -1: one that is in no table here), the body, and the names of
the wrapper's fields that the schema does not have."""

Depth: TypeAlias = tuple[Levels, Levels, int, int]
"""A depth body: asks and bids as they stand, first and last version."""


class _NotPlainError(Exception):
    """The frame is not in the plain form."""


def numbers(texts: Iterable[str]) -> list[float]:
    """Turn decimal texts into numbers, all at once.

    Raises:
        ValueError: one of them is not a finite number from 0 up to 1e18.
    """
    wanted = list(texts)
    found = _decode_numbers(f"[{','.join(wanted)}]")
    if len(found) != len(wanted):
        raise ValueError("a number holds a comma")
    return found


def read_wrapper(data: bytes) -> Wrapper:
    """Take a frame apart.

    Raises:
        WireError: it is truncated, or not a frame.
    """
    channel = symbol = body = b""
    created = sent = number = at = 0
    end = len(data)
    try:
        while at < end:
            tag = data[at]
            length = data[at + 1]
            if tag == 0x0A and not channel and length < 0x80:
                at += 2 + length
                channel = data[at - length : at]
            elif tag == 0x1A and not symbol and length < 0x80:
                at += 2 + length
                symbol = data[at - length : at]
            elif tag == 0x30 and not sent:
                sent = _six_byte_varint(data, at + 1)
                at += 7
            elif tag == 0x28 and not created:
                created = _six_byte_varint(data, at + 1)
                at += 7
            elif tag & 0x87 == 0x82 and not number and 0x12 <= length <= 0x13:
                number = (length << 7 | tag & 0x7F) >> 3
                if not 301 <= number <= 315:
                    return _odd_wrapper(data)
                length = data[at + 2]
                at += 3
                if length >= 0x80:
                    high = data[at]
                    if high >= 0x80:
                        return _odd_wrapper(data)
                    length += (high - 1) << 7
                    at += 1
                at += length
                body = data[at - length : at]
            elif tag == 0x22 and length < 0x80 and data[at + 2 : at + 2 + length].isascii():
                at += 2 + length
            else:
                return _odd_wrapper(data)
    except IndexError:
        raise WireError("truncated protobuf", data, venue=_VENUE) from None
    except _NotPlainError:
        return _odd_wrapper(data)
    if at != end:
        raise WireError("truncated protobuf", data, venue=_VENUE)
    return channel, symbol, created, sent, number, body, ()


def _six_byte_varint(data: bytes, at: int) -> int:
    """Read a varint of exactly six bytes, as every time in milliseconds from 1971 to 2109 is."""
    raw = int.from_bytes(data[at : at + 6], "little")
    if raw & 0x808080808080 != 0x008080808080 or at + 6 > len(data):
        raise _NotPlainError
    return (
        raw & 0x7F
        | raw >> 1 & 0x3F80
        | raw >> 2 & 0x1FC000
        | raw >> 3 & 0xFE00000
        | raw >> 4 & 0x7F0000000
        | raw >> 5 & 0x3F800000000
    )


def _odd_wrapper(data: bytes) -> Wrapper:
    """The same by upb, for frames with unknown or repeated fields."""
    try:
        message = schema.parse(schema.WRAPPER, data)
    except ValueError as error:
        raise WireError(f"not protobuf: {error}", data, venue=_VENUE) from None
    which = message.WhichOneof("body")
    body = b"" if which is None else getattr(message, which).SerializeToString()
    prefix = f"{schema.WRAPPER}."
    unknown = tuple(name for name in schema.unknown_fields(message) if name.startswith(prefix))
    number = schema.BODY_FIELDS[which] if which is not None else 0
    if not number and any(int(name.removeprefix(prefix)) > 300 for name in unknown):
        number = -1
    channel, symbol = message.channel.encode(), message.symbol.encode()
    return channel, symbol, message.createTime, message.sendTime, number, body, unknown


@lru_cache(maxsize=512)
def _columns(count: int) -> tuple[bytes, bytes, int, int, int]:
    """What the bytes around the numbers of ``count`` levels must be, a column each, and masks over such a column."""

    def column(byte: int) -> int:
        return int.from_bytes(bytes([byte]) * count, "little")

    return b"\x0a" * count, b"\x12" * count, column(0x04), column(0xC0), column(0xF0)


@lru_cache(maxsize=2048)
def _sides(asks: int, bids: int) -> bytes:
    """Return the JSON of two sides with so many levels, their numbers left open."""
    return b"[[%b],[%b]]" % (b",".join([b"[%b,%b]"] * asks), b",".join([b"[%b,%b]"] * bids))


def _fast_levels(data: bytes) -> tuple[Levels, Levels] | None:
    """Read a run of asks followed by a run of bids, or return None where it is not exactly that."""
    frame = data.translate(None, _DIGITS)
    count, rest = divmod(len(frame), _ITEM)
    if rest or count > _MAX_LEVELS:
        return None
    texts = data.translate(_BLANKED).split()
    if len(texts) != 2 * count:
        return None
    lengths = bytes(map(len, texts))
    prices = frame[3::6]
    sizes = frame[5::6]
    price_tags, size_tags, fours, from_64, from_16 = _columns(count)
    if prices != lengths[::2] or sizes != lengths[1::2] or frame[2::6] != price_tags or frame[4::6] != size_tags:
        return None
    tags = frame[::6]
    asks = tags.count(10)
    if tags != price_tags[:asks] + size_tags[asks:]:
        return None
    # All item lengths at once, a byte each. No sum can carry: lengths of 64 and more are left to upb.
    price_bytes = int.from_bytes(prices, "little")
    size_bytes = int.from_bytes(sizes, "little")
    if int.from_bytes(frame[1::6], "little") != price_bytes + size_bytes + fours:
        return None
    long = price_bytes | size_bytes
    if long & from_64:
        return None
    # Up to 15 digits and points are finite, not negative and below the limit: no need to compare each.
    decode = _decode_sides if long & from_16 else _decode_plain_sides
    try:
        return decode(_sides(asks, count - asks) % tuple(texts))
    except ValueError:
        return None


def fast_depth(number: int, body: bytes) -> Depth | None:
    """Read an ``aggre.depth`` (313) or ``limit.depth`` (303) body; None: it is not in the plain form."""
    text = body.rfind(b"spot@")
    if text < 2 or body[text - 2] != 0x1A:
        return None
    after = text + body[text - 1]
    versions = _VERSIONS[number](body, after)
    if versions is None or not body[text:after].isascii():
        return None
    first_length, first, last_length, last = versions.groups()
    if first_length[0] != len(first) or (last and last_length[0] != len(last)):
        return None
    levels = _fast_levels(body[: text - 2])
    if levels is None:
        return None
    start = int(first)
    return levels[0], levels[1], start, int(last) if last else start
