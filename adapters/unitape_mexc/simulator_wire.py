"""A small protobuf writer for the simulated pushes. It shares nothing with what reads them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, TypeAlias

__all__ = ["Body", "Field", "message", "push"]

Value: TypeAlias = str | int | bytes
Field: TypeAlias = tuple[int, Value]
"""(field number, value): text, a whole number, or a message that is written already."""
Body: TypeAlias = Iterable[Field]

_VARINT: Final = 0
_BYTES: Final = 2


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def message(fields: Body) -> bytes:
    """Write a message. Empty texts and zeros are left out, as proto3 does; an empty message is kept."""
    out = bytearray()
    for number, value in fields:
        if isinstance(value, int):
            if value:
                out += _varint(number << 3 | _VARINT) + _varint(value)
            continue
        data = value.encode() if isinstance(value, str) else value
        if data or isinstance(value, bytes):
            out += _varint(number << 3 | _BYTES) + _varint(len(data)) + data
    return bytes(out)


def push(channel: str, symbol: str, sent: int, number: int = 0, body: Body = (), *, created: int = 0) -> bytes:
    """Write one frame: the wrapper around a body; without a ``number`` a frame that has none."""
    head: list[Field] = [(1, channel), (3, symbol), (5, created), (6, sent)]
    return message([*head, (number, message(body))] if number else head)
