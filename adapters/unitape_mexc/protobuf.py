"""Reading the bytes of spot pushes: the wrapper, the two shapes of depth, and numbers in bulk.

Measured on frames of 20 + 20 levels and of 5 trades: upb parses for next to nothing, reading its fields one by one is
what costs. For depth, one pass at C speed beats it by far: the numbers of all levels are cut out of the bytes
together, checked against every length byte, and handed to msgspec as one JSON array. Everything else is read by upb.

What is not in the plain form (unknown fields inside a level, odd order, long numbers) is not understood here: the
functions return None and upb decides. So the fast way never says anything that upb would not.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Final, TypeAlias

import msgspec

from unitape.spi import WireLevel, WireNumber
from unitape_schemas import Levels

__all__ = ["Depth", "fast_depth", "fast_push", "numbers", "plain_prefix"]

_DIGITS: Final = b"0123456789."
_BLANKED: Final = bytes(code if code in _DIGITS else 0x20 for code in range(256))
_ITEM: Final = 6
"""Bytes of a level that are not number text: its tag and length, and tag and length of price and quantity."""
_MAX_LEVELS: Final = 256
"""Levels in one frame that are read at once; more are left to upb."""

_BODY_TAGS: Final = {313: b"\xca\x13", 303: b"\xfa\x12"}

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


Depth: TypeAlias = tuple[Levels, Levels, int, int]
"""A depth body: asks and bids as they stand, first and last version."""


def numbers(texts: Sequence[str]) -> list[float]:
    """Turn decimal texts into numbers, all at once.

    Raises:
        ValueError: one of them is not a finite number from 0 up to 1e18.
    """
    found = _decode_numbers(f"[{','.join(texts)}]")
    if len(found) != len(texts):
        raise ValueError("a number holds a comma")
    return found


def plain_prefix(channel: bytes, symbol: bytes) -> bytes:
    """Return how plain pushes of a channel begin: channel, symbol, and the tag of the sending time.

    Both must be shorter than 128 bytes.
    """
    return b"\x0a%c%b\x1a%c%b\x30" % (len(channel), channel, len(symbol), symbol)


def fast_push(data: bytes, prefix: bytes, number: int) -> tuple[int, Depth] | None:
    """Read a push of nothing but its prefix, its sending time and its body; None: it is not in that form.

    Returns the time in milliseconds, and the body. ``number`` is the body's: 313 or 303.
    """
    at = len(prefix)
    if not data.startswith(prefix) or data[at + 6 : at + 8] != _BODY_TAGS[number] or len(data) < at + 10:
        return None
    # Every time from 1971 to 2109 is a varint of six bytes.
    raw = int.from_bytes(data[at : at + 6], "little")
    if raw & 0x808080808080 != 0x008080808080:
        return None
    length = data[at + 8]
    start = at + 9
    if length >= 0x80:
        high = data[start]
        if high >= 0x80:
            return None
        length += (high - 1) << 7
        start += 1
    if start + length != len(data):
        return None
    found = fast_depth(number, data[start:])
    if found is None:
        return None
    sent = (
        raw & 0x7F
        | raw >> 1 & 0x3F80
        | raw >> 2 & 0x1FC000
        | raw >> 3 & 0xFE00000
        | raw >> 4 & 0x7F0000000
        | raw >> 5 & 0x3F800000000
    )
    return sent, found


@lru_cache(maxsize=512)
def _columns(count: int) -> tuple[bytes, bytes, int, int, int]:
    """Return what must stand around the numbers of ``count`` levels.

    The tags of asks and of bids, what an item's length exceeds its texts' by in every level, and masks over columns of
    lengths that tell whether any is 64 or more, or 16 or more.
    """

    def column(byte: int) -> int:
        return int.from_bytes(bytes([byte]) * count, "little")

    return b"\x0a\x0a\x12" * count, b"\x12\x0a\x12" * count, column(0x04), column(0xC0), column(0xF0)


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
    ask_tags, bid_tags, fours, from_64, from_16 = _columns(count)
    if prices != lengths[::2] or sizes != lengths[1::2]:
        return None
    tags = frame[::2]
    asks = tags[::3].count(10)
    if tags != ask_tags[: 3 * asks] + bid_tags[3 * asks :]:
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
    if text < 2:
        return None
    after = text + body[text - 1]
    versions = _VERSIONS[number](body, after)
    if versions is None or body[text - 2] != 0x1A or not body[text:after].isascii():
        return None
    first_length, first, last_length, last = versions.groups()
    if first_length[0] != len(first) or (last and last_length[0] != len(last)):
        return None
    levels = _fast_levels(body[: text - 2])
    if levels is None:
        return None
    start = int(first)
    return levels[0], levels[1], start, int(last) if last else start
