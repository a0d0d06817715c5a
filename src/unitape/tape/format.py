"""The container of a tape: a magic word, then blocks. Appended to only, so a recorder may die at any byte.

A block is a head of 24 bytes and a payload::

    sync      4 bytes   A7 then "UTB"
    kind      u8        H: declares a feed   R: records   E: the recorder finished
    reserved  3 bytes   zero
    length    u32       bytes of the payload
    count     u32       records in it
    crc       u32       crc32 of the payload
    head crc  u32       crc32 of the 20 bytes before it

All numbers are little-endian. A payload is zlib-compressed msgpack: of H one ``FeedHeader``, of R a list of
``[feed, record]``, of E nothing. Feeds are numbered from 0 in the order of their H blocks, and a feed's H block stands
before its first record. Records stand in the order in which things happened.

Reading needs no index and holds one block at a time. A file that ends inside a block, or without an E block, is the
tape of a recorder that was killed: it reads up to there, and says where that is. Damage anywhere else is an error
that names the byte.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from typing import IO, Final, Literal, TypeAlias

import msgspec
from msgspec import Struct

from unitape.errors import TapeError
from unitape.feed.inputs import Command, Input
from unitape_schemas import SCHEMA_VERSION, Instrument

__all__ = [
    "MAGIC",
    "MAX_BLOCK",
    "MAX_PAYLOAD",
    "Block",
    "FeedHeader",
    "Record",
    "decode_header",
    "decode_records",
    "encode_block",
    "encode_header",
    "read_blocks",
]

MAGIC: Final = b"UNITAPE\x01"
SYNC: Final = b"\xa7UTB"
_HEAD: Final = struct.Struct("<4sB3xIII")
_CRC: Final = struct.Struct("<I")
HEAD_SIZE: Final = _HEAD.size + _CRC.size
MAX_BLOCK: Final = 64 * 1024 * 1024
"""Bytes of the largest payload as stored."""
MAX_PAYLOAD: Final = 256 * 1024 * 1024
"""Bytes of the largest payload once unpacked: a damaged or hostile tape cannot ask for more memory than this."""

BlockKind = Literal["H", "R", "E"]
Record: TypeAlias = Input | Command
"""What happened to a feed, or what it asked for."""


class FeedHeader(Struct, frozen=True):
    """What a replay must know about one feed: which market, and with which instruments and settings."""

    venue: str
    market: str
    created: int
    """Wall clock in nanoseconds when the recording of this feed began."""
    environment: str = "live"
    schema_version: int = SCHEMA_VERSION
    versions: dict[str, str] = {}
    """Library versions at the time of recording."""
    instruments: list[Instrument] = []
    """As they were then: a replay maps symbols as the recording did."""
    options: dict[str, float | int | str | bool | None] = {}
    """Settings of the feed that its behaviour depends on."""
    redacted: bool = True
    """False when secrets were kept on purpose."""


class Block(Struct, frozen=True):
    """One block as it stands in the file."""

    kind: BlockKind
    offset: int
    """Byte of its head in the file."""
    end: int
    """Byte after it."""
    count: int
    payload: bytes
    """Compressed."""


_encoder: Final = msgspec.msgpack.Encoder()
_header_decoder: Final = msgspec.msgpack.Decoder(FeedHeader)
_records_decoder: Final = msgspec.msgpack.Decoder(list[tuple[int, Record]])


def encode_block(kind: BlockKind, payload: bytes, count: int) -> bytes:
    """Return a whole block, head and payload."""
    head = _HEAD.pack(SYNC, ord(kind), len(payload), count, zlib.crc32(payload))
    return head + _CRC.pack(zlib.crc32(head)) + payload


def encode_header(header: FeedHeader) -> bytes:
    """Return the block that declares a feed."""
    return encode_block("H", zlib.compress(_encoder.encode(header), 6), 1)


def decode_header(block: Block) -> FeedHeader:
    """Read an H block.

    Raises:
        TapeError: it is damaged, or of a newer schema than this library knows.
    """
    try:
        header = _header_decoder.decode(_unpack(block))
    except msgspec.DecodeError as error:
        raise TapeError(f"the tape's header cannot be read: {error}", offset=block.offset) from error
    if header.schema_version > SCHEMA_VERSION:
        raise TapeError(
            f"the tape has schema {header.schema_version}, this library knows {SCHEMA_VERSION}: upgrade the library",
            offset=block.offset,
        )
    return header


def decode_records(block: Block) -> list[tuple[int, Record]]:
    """Read an R block: each record with the number of its feed.

    Raises:
        TapeError: it is damaged.
    """
    try:
        records = _records_decoder.decode(_unpack(block))
    except (msgspec.DecodeError, RecursionError) as error:
        raise TapeError(f"a block of records cannot be read: {error}", offset=block.offset) from error
    if len(records) != block.count:
        raise TapeError(f"a block promises {block.count} records and holds {len(records)}", offset=block.offset)
    return records


def _unpack(block: Block) -> bytes:
    unpacker = zlib.decompressobj()
    try:
        data = unpacker.decompress(block.payload, MAX_PAYLOAD)
    except zlib.error as error:
        raise TapeError(f"a block cannot be unpacked: {error}", offset=block.offset) from error
    if not unpacker.eof:
        raise TapeError("a block is cut short inside, or unpacks to more than it may", offset=block.offset)
    return data


def read_blocks(stream: IO[bytes], start: int, *, errors: list[TapeError] | None = None) -> Iterator[Block]:
    """Yield the whole blocks from byte ``start`` on and stop where the file ends, also inside a block.

    With ``errors`` damage does not stop the reading: it is noted there, and reading goes on at the next block.

    Raises:
        TapeError: damage before the end of the file, without ``errors``.
    """
    offset = start
    stream.seek(offset)
    while len(head := stream.read(HEAD_SIZE)) == HEAD_SIZE:
        found = _read_block(stream, offset, head)
        if found is None:
            return
        if isinstance(found, Block):
            yield found
            offset = found.end
            continue
        if _all_zero(stream, offset):
            # A machine that lost power may leave a tail of zeros that was never written.
            return
        if errors is None:
            raise found
        errors.append(found)
        following = _next_sync(stream, offset + 1)
        if following is None:
            return
        offset = following
        stream.seek(offset)


def _read_block(stream: IO[bytes], offset: int, head: bytes) -> Block | TapeError | None:
    """Return the block at ``offset``, None where the file ends inside it, or what is wrong with it."""
    sync, code, length, count, crc = _HEAD.unpack_from(head)
    if sync != SYNC or zlib.crc32(head[: _HEAD.size]) != _CRC.unpack_from(head, _HEAD.size)[0]:
        return TapeError("no block begins here: the tape is damaged", offset=offset)
    kind = _KINDS.get(code)
    if kind is None or length > MAX_BLOCK:
        return TapeError(f"a block of kind {code} and {length} bytes is not of this format", offset=offset)
    payload = stream.read(length)
    if len(payload) < length:
        return None
    if zlib.crc32(payload) != crc:
        return TapeError("a block's checksum does not match: the tape is damaged", offset=offset)
    return Block(kind, offset, offset + HEAD_SIZE + length, count, payload)


_KINDS: Final[dict[int, BlockKind]] = {ord("H"): "H", ord("R"): "R", ord("E"): "E"}
_CHUNK: Final = 1 << 16


def _all_zero(stream: IO[bytes], offset: int) -> bool:
    stream.seek(offset)
    while chunk := stream.read(_CHUNK):
        if chunk.count(0) != len(chunk):
            return False
    return True


def _next_sync(stream: IO[bytes], offset: int) -> int | None:
    """Return where the next sync word stands, None when there is none."""
    stream.seek(offset)
    window = b""
    base = offset
    while chunk := stream.read(_CHUNK):
        window += chunk
        at = window.find(SYNC)
        if at >= 0:
            return base + at
        keep = len(SYNC) - 1
        base += len(window) - keep
        window = window[-keep:]
    return None
