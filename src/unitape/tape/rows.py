"""Reads the row form of recordings: one JSON object per line around each message, or one bare frame per line.

A row is an object with ``payload`` (the message as JSON) or ``raw`` (its exact text), and where known ``ts``, ``dir``
(``in`` from the venue, ``out`` to it), ``kind`` (``ws``, ``ws-open``, ``ws-close``, ``http``), ``url``, ``method``,
``path``, ``status`` and ``stream``. ``local_timestamp`` with ``message`` is read as ``ts`` with ``payload``. Any
other line is one bare frame: a text, or bytes written as hex or base64.

Files may be gzipped whatever their name. ``.bin`` and ``.json`` files hold one frame each. A line that cannot be
read is yielded with its ``problem``; nothing is skipped in silence and no line is held in memory beyond ``MAX_LINE``.
"""

from __future__ import annotations

import base64
import binascii
import gzip
import re
import zlib
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import IO, Any, Final, Literal, cast

import msgspec
from msgspec import Raw, Struct

__all__ = ["MAX_LINE", "Row", "iter_rows", "open_rows"]

MAX_LINE: Final = 96 * 1024 * 1024
"""Bytes of the longest line that is read; a longer one is a problem of that line alone."""

RowKind = Literal["ws", "ws-open", "ws-close", "http"]
_KINDS: Final[frozenset[str]] = frozenset(("ws", "ws-open", "ws-close", "http"))


class Row(Struct, frozen=True):
    """One message of a recording, whatever form it was written in."""

    line: int
    """Line number in the file, from 1."""
    data: bytes
    """The message exactly as recorded; empty for ``ws-open`` and ``ws-close``."""
    kind: RowKind = "ws"
    incoming: bool = True
    """False for what was sent to the venue."""
    ts: int = 0
    """Receive time in nanoseconds since the epoch; 0 where it was not recorded."""
    text: bool = True
    """False for a binary message."""
    url: str = ""
    """URL or path of an HTTP exchange or connection, where known."""
    method: str = ""
    status: int = 200
    """HTTP status, 200 where it was not recorded."""
    problem: str = ""
    """Why the line could not be read; empty when it could."""


class _Wire(Struct):
    ts: Raw = Raw()
    local_timestamp: str | None = None
    dir: str | None = None
    kind: str | None = None
    url: str | None = None
    path: str | None = None
    method: str | None = None
    status: int | None = None
    raw: str | None = None
    payload: Raw = Raw()
    message: Raw = Raw()


_decode_row = msgspec.json.Decoder(_Wire).decode
_HEX: Final = re.compile(rb"(?:[0-9a-fA-F]{2}){8,}")
_BASE64: Final = re.compile(rb"(?:[A-Za-z0-9+/]{4}){4,}(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?")


def open_rows(path: str | Path) -> Iterator[Row]:
    """Read a recording from a file.

    Raises:
        OSError: it cannot be opened.
    """
    path = Path(path)
    with path.open("rb") as stream:
        if path.suffix in {".bin", ".json"}:
            data = stream.read(MAX_LINE + 1)
            problem = f"the frame is longer than {MAX_LINE} bytes" if len(data) > MAX_LINE else ""
            yield Row(
                1,
                b"" if problem else data.strip() if path.suffix == ".json" else data,
                text=path.suffix == ".json",
                problem=problem,
            )
            return
        yield from iter_rows(stream)


def iter_rows(stream: IO[bytes]) -> Iterator[Row]:
    """Read a recording from an open binary stream, gzipped or not, line by line."""
    number = 0
    try:
        for number, line in enumerate(_lines(_unzipped(stream)), start=1):
            if line is None:
                yield Row(number, b"", problem=f"the line is longer than {MAX_LINE} bytes")
            elif stripped := line.strip():
                yield _row(number, stripped)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        yield Row(number + 1, b"", problem=f"the compressed file is damaged or cut off here: {error}")


def _unzipped(stream: IO[bytes]) -> IO[bytes]:
    peek = getattr(stream, "peek", None)
    start = cast(bytes, peek(2))[:2] if peek is not None else b""
    return cast("IO[bytes]", gzip.GzipFile(fileobj=stream)) if start == b"\x1f\x8b" else stream


def _lines(stream: IO[bytes]) -> Iterator[bytes | None]:
    """Yield each line; None for one that is too long, whose rest is passed over."""
    while line := stream.readline(MAX_LINE):
        if len(line) < MAX_LINE or line.endswith(b"\n"):
            yield line
            continue
        while (rest := stream.readline(MAX_LINE)) and not rest.endswith(b"\n"):
            pass
        yield None


def _row(number: int, line: bytes) -> Row:
    if line[:1] != b"{":
        return _bare(number, line)
    try:
        wire = _decode_row(line)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return Row(number, line)
    payload = bytes(wire.payload) or bytes(wire.message)
    pair = wire.local_timestamp is not None
    if wire.raw is None and not (bytes(wire.payload) or (pair and payload)):
        return Row(number, line)
    try:
        ts = _nanoseconds(wire)
    except ValueError as error:
        return Row(number, b"", problem=f"the row's time cannot be read: {error}")
    kind = cast(RowKind, wire.kind if wire.kind in _KINDS else "ws")
    data = wire.raw.encode() if wire.raw is not None else _message(payload)
    return Row(
        number,
        b"" if kind in {"ws-open", "ws-close"} else data,
        kind,
        incoming=wire.dir != "out",
        ts=ts,
        url=wire.url or wire.path or "",
        method=wire.method or "",
        status=wire.status or 200,
    )


def _message(data: bytes) -> bytes:
    """Return a message's bytes; one that is no JSON (``pong``) stands in the row as a JSON string."""
    if data[:1] != b'"':
        return data
    try:
        return msgspec.json.decode(data, type=str).encode()
    except (msgspec.DecodeError, UnicodeError):
        return data


def _bare(number: int, line: bytes) -> Row:
    """Read a line that is no object: a text frame, or a binary one in hex or base64."""
    if _HEX.fullmatch(line):
        return Row(number, bytes.fromhex(line.decode()), text=False)
    if _BASE64.fullmatch(line):
        try:
            return Row(number, base64.b64decode(line, validate=True), text=False)
        except binascii.Error:
            pass
    return Row(number, line)


def _nanoseconds(wire: _Wire) -> int:
    """Return the row's time: seconds, milliseconds, microseconds or nanoseconds by magnitude, or an ISO date."""
    text = bytes(wire.ts)
    if not text:
        if wire.local_timestamp is None:
            return 0
        moment = datetime.fromisoformat(wire.local_timestamp)
        moment = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
        micros = (moment - datetime(1970, 1, 1, tzinfo=UTC)) // _MICROSECOND
        return micros * 1_000
    value: Any = msgspec.json.decode(text)
    if value is None:
        return 0
    try:
        number = Decimal(str(value) if isinstance(value, str) else text.decode())
    except InvalidOperation:
        raise ValueError(f"{text[:40]!r} is not a number") from None
    if not number.is_finite() or not 0 <= number < Decimal(10) ** 19:
        raise ValueError(f"{number} is out of range")
    for bound, scale in _SCALES:
        if number < bound:
            return int(number * scale)
    return int(number)


_MICROSECOND: Final = datetime.resolution
_SCALES: Final[tuple[tuple[int, int], ...]] = (
    (100_000_000_000, 1_000_000_000),
    (100_000_000_000_000, 1_000_000),
    (100_000_000_000_000_000, 1_000),
)
