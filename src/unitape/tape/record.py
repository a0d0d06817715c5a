"""Writes a tape while feeds run."""

from __future__ import annotations

import os
import zlib
from importlib.metadata import version
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self

import msgspec

from unitape.errors import ConfigError
from unitape.feed.inputs import Command, Input
from unitape.tape.format import MAGIC, FeedHeader, Record, encode_block, encode_header
from unitape.tape.redact import Redactor

if TYPE_CHECKING:
    from unitape.adapter import FeedInfo

__all__ = ["FeedTap", "Recorder"]

BLOCK_RECORDS: Final = 4_096
BLOCK_BYTES: Final = 1 << 17
"""Unpacked bytes after which a block is written: what a recorder holds in memory at most, beside one record. Packing
so much takes half a millisecond of the event loop's time."""
FLUSH_AFTER: Final = 1_000_000_000
"""Nanoseconds of recorded time after which a block is written: what a killed recorder loses at most."""


class Recorder:
    """Appends what happens to one or several feeds to one tape, on one timeline.

    Everything is done by the caller's calls: there is no thread, task or timer. A block is written when it is full, or
    when a record arrives a second after the block's first. A failed write (a full disk) never disturbs the feeds:
    recording stops there, ``failure`` says why, and ``close`` raises it.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        redactor: Redactor | None = None,
        redact: bool = True,
        overwrite: bool = False,
        level: int = 2,
    ) -> None:
        """Create the tape.

        ``redactor`` None: the default one. ``redact`` False keeps everything, secrets too. ``level`` is zlib's.

        Raises:
            ConfigError: the file exists and may not be overwritten.
            OSError: it cannot be created.
        """
        self.path = Path(path)
        self.failure: OSError | None = None
        self.records = 0
        self.written = 0
        self._redactor = (redactor or Redactor()) if redact else None
        self._level = level
        self._feeds = 0
        self._buffer: list[bytes] = []
        self._size = 0
        self._first = 0
        self._encode = msgspec.msgpack.Encoder().encode
        try:
            self._file = self.path.open("wb" if overwrite else "xb", buffering=0)
        except FileExistsError:
            raise ConfigError(f"{self.path} exists; name another file, or say --overwrite") from None
        self._closed = False
        self._write(MAGIC)

    def feed(self, header: FeedHeader) -> FeedTap:
        """Declare a feed and return what records it."""
        self._flush()
        self._write(encode_header(msgspec.structs.replace(header, redacted=self._redactor is not None)))
        self._feeds += 1
        return FeedTap(self, self._feeds - 1)

    def begin(self, info: FeedInfo) -> FeedTap:
        """Declare a live feed and return what records it: give this method to an adapter as ``record``."""
        names = ("unitape", "msgspec", "anyio", "websockets")
        return self.feed(
            FeedHeader(
                info.venue,
                info.market,
                info.ts,
                environment=info.environment,
                versions={name: version(name) for name in names},
                instruments=list(info.instruments),
                options=msgspec.to_builtins(info.options),
            )
        )

    @property
    def feeds(self) -> int:
        """How many feeds were declared: the number that the next one gets."""
        return self._feeds

    def flush(self) -> None:
        """Write what is buffered."""
        self._flush()

    def close(self) -> None:
        """Write what is buffered and the mark that the recorder finished. Again: nothing.

        Raises:
            OSError: a write failed, now or before; the tape ends there.
        """
        if self._closed:
            return
        self._closed = True
        try:
            self._flush()
            self._write(encode_block("E", b"", 0))
            if self.failure is None:
                os.fsync(self._file.fileno())
        finally:
            self._file.close()
        if self.failure is not None:
            raise self.failure

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def add(self, feed: int, record: Record, ts: int) -> None:
        """Take one record of a feed; ``ts`` is its time, 0 for the time of the record before. Never raises OSError."""
        if self.failure is not None or self._closed:
            return
        if self._redactor is not None:
            record = self._redactor.record(record)
        data = self._encode((feed, record))
        buffer = self._buffer
        if not buffer or self._first == 0:
            self._first = ts
        buffer.append(data)
        self._size += len(data)
        self.records += 1
        if len(buffer) >= BLOCK_RECORDS or self._size >= BLOCK_BYTES or ts - self._first >= FLUSH_AFTER:
            self._flush()

    def _flush(self) -> None:
        buffer = self._buffer
        if not buffer:
            return
        # msgpack: an array of n elements is 0xdd, n as 32 bits, and the elements one after the other.
        payload = b"".join((b"\xdd", len(buffer).to_bytes(4, "big"), *buffer))
        count = len(buffer)
        self._buffer = []
        self._size = 0
        self._write(encode_block("R", zlib.compress(payload, self._level), count))

    def _write(self, data: bytes) -> None:
        if self.failure is not None:
            return
        view = memoryview(data)
        try:
            while view:
                view = view[self._file.write(view) :]
        except OSError as error:
            self.failure = error
            return
        self.written += len(data)


class FeedTap:
    """Records one feed: give ``tap`` and ``on_command`` to its driver."""

    __slots__ = ("_add", "_feed")

    def __init__(self, recorder: Recorder, feed: int) -> None:
        self._add = recorder.add
        self._feed = feed

    def tap(self, happened: Input) -> None:
        """Record an input of the feed."""
        self._add(self._feed, happened, happened.ts)

    def on_command(self, command: Command) -> None:
        """Record what the feed asked for."""
        self._add(self._feed, command, 0)
