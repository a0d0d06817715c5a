"""Lines of JSON in numbered files: what every tool reads, and what survives any crash."""

from __future__ import annotations

import gzip
import logging
import os
import shutil
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import IO, Final, Self

import msgspec

from unitape.errors import ConfigError, SinkError
from unitape.sinks.base import FolderLock, SinkStats, sync_folder
from unitape.sinks.columns import RECORD_TYPES, union_of
from unitape_schemas import EventHead

__all__ = ["DEFAULT_FILE_BYTES", "JsonLinesSink", "read_file", "read_jsonl"]

_log = logging.getLogger("unitape.sinks")

DEFAULT_FILE_BYTES: Final = 256 * 1024 * 1024
"""Bytes after which the next file begins."""
_CHUNK: Final = 1 << 20


class JsonLinesSink:
    """Appends records to ``folder/events-<number of its first record>.jsonl``, one line each.

    A file that would grow beyond ``file_bytes`` is finished and the next one begins. ``compress`` turns finished files
    into ``.jsonl.gz``. ``keep_files`` deletes the oldest finished files beyond that many; None keeps all. With
    ``sync`` each ``store`` waits until the disk has the bytes, so that not even a loss of power takes an acknowledged
    record; without it a killed process loses nothing, a dead machine may.

    At the start a line that was cut off by a crash is removed, and counting goes on behind the last whole one.

    Raises:
        ConfigError: another process writes to the folder.
        SinkError: the folder cannot be used.
    """

    def __init__(
        self,
        folder: str | Path,
        *,
        file_bytes: int = DEFAULT_FILE_BYTES,
        compress: bool = False,
        keep_files: int | None = None,
        sync: bool = True,
    ) -> None:
        if file_bytes < 1 or (keep_files is not None and keep_files < 1):
            raise ConfigError("file_bytes and keep_files must be at least 1")
        self.folder = Path(folder)
        self._file_bytes = file_bytes
        self._compress = compress
        self._keep = keep_files
        self._sync = sync
        self._encode = msgspec.json.Encoder().encode_lines
        self._file: IO[bytes] | None = None
        self._size = 0
        self._removed = 0
        self._torn = False
        self.closed = False
        try:
            self._lock = FolderLock(self.folder / ".lock")
            try:
                self._acknowledged = self._recover()
            except BaseException:
                self._lock.release()
                raise
        except OSError as error:
            raise SinkError(f"{self.folder} cannot be used: {error}") from error

    @property
    def acknowledged(self) -> int:
        """Number of the last record that is safe on disk."""
        return self._acknowledged

    def store(self, records: Sequence[EventHead]) -> int:
        """Append records and return the number of the last one.

        Raises:
            SinkError: it did not work; none of them counts.
        """
        if not records:
            return self._acknowledged
        data = self._encode(records)
        try:
            file = self._ready(len(data))
            self._torn = True
            _write(file, data)
            if self._sync:
                os.fsync(file.fileno())
        except OSError as error:
            raise SinkError(f"{self.folder}: {len(records)} records could not be written: {error}") from error
        self._torn = False
        self._size += len(data)
        self._acknowledged += len(records)
        return self._acknowledged

    def rotate(self) -> Path | None:
        """Finish the current file and return it; None if it is empty. The next one begins at once.

        Raises:
            SinkError: it did not work.
        """
        try:
            self._repair()
            if self._file is None or not self._size:
                return None
            finished = Path(self._file.name)
            os.fsync(self._file.fileno())
            self._file.close()
            self._file = None
            self._begin(self._acknowledged + 1)
            return self._finish(finished)
        except OSError as error:
            raise SinkError(f"{self.folder}: the next file could not be begun: {error}") from error

    def stats(self) -> SinkStats:
        """Return how the sink is doing."""
        return SinkStats("jsonl", self._acknowledged, len(_files(self.folder)), self._size, self._removed)

    def close(self) -> None:
        """Finish the file. Again: nothing."""
        self.closed = True
        if self._file is not None:
            self._repair()
            os.fsync(self._file.fileno())
            self._file.close()
            self._file = None
        self._lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _ready(self, coming: int) -> IO[bytes]:
        """Return the file that takes the next bytes, whole up to the last acknowledged record."""
        self._repair()
        if self._file is not None and self._size and self._size + coming > self._file_bytes:
            self.rotate()
        if self._file is None:
            self._begin(self._acknowledged + 1)
        assert self._file is not None
        return self._file

    def _repair(self) -> None:
        if self._torn and self._file is not None:
            self._file.truncate(self._size)
            self._torn = False

    def _begin(self, first: int) -> None:
        self._file = (self.folder / _name(first)).open("ab", buffering=0)
        self._size = 0
        sync_folder(self.folder)

    def _recover(self) -> int:
        """Finish what a crash left half done and return the number of the last whole record."""
        for twin in self.folder.glob("events-*.jsonl"):
            if twin.with_name(twin.name + ".gz").exists():
                twin.unlink()
        plain = [path for path in _files(self.folder) if path.suffix == ".jsonl"]
        for path in plain[:-1]:
            self._finish(path)
        if not plain:
            packed = _files(self.folder)
            return 0 if not packed else _first(packed[-1]) + sum(1 for _ in _lines(packed[-1])) - 1
        current = plain[-1]
        count, size = _whole_lines(current)
        if size < current.stat().st_size:
            _log.warning("%s: %d bytes of a torn line are removed", current, current.stat().st_size - size)
            os.truncate(current, size)
        self._file = current.open("ab", buffering=0)
        self._size = size
        return _first(current) + count - 1

    def _finish(self, path: Path) -> Path:
        """Compress a finished file if that is wanted, and let the oldest go."""
        if self._compress:
            packed = path.with_name(path.name + ".gz")
            part = path.with_name(path.name + ".gz.part")
            with path.open("rb") as source, part.open("wb") as target:
                with gzip.GzipFile(filename="", mode="wb", fileobj=target, mtime=0) as zipped:
                    shutil.copyfileobj(source, zipped, _CHUNK)
                target.flush()
                os.fsync(target.fileno())
            part.replace(packed)
            sync_folder(self.folder)
            path.unlink()
            path = packed
        if self._keep is not None:
            for old in _files(self.folder)[: -self._keep - 1]:
                _log.info("%s is deleted: %d finished files are kept", old, self._keep)
                old.unlink()
                self._removed += 1
        return path


def read_jsonl(
    folder: str | Path, *, after: int = 0, types: Sequence[type[EventHead]] = RECORD_TYPES
) -> Iterator[EventHead]:
    """Yield the records of a folder in their order, those with a number above ``after``. A torn last line is left out.

    Raises:
        SinkError: a line that is not the last one cannot be read; the text says which.
    """
    files = _files(Path(folder))
    for place, path in enumerate(files):
        if place + 1 < len(files) and _first(files[place + 1]) <= after + 1:
            continue
        yield from islice(read_file(path, types), max(0, after + 1 - _first(path)), None)


def read_file(path: Path, types: Sequence[type[EventHead]] = RECORD_TYPES) -> Iterator[EventHead]:
    """Yield the records of one file. A torn last line is left out.

    Raises:
        SinkError: another line cannot be read; the text says which.
    """
    decode = msgspec.json.Decoder(union_of(types)).decode
    for number, line in enumerate(_lines(path), 1):
        try:
            yield decode(line)
        except msgspec.DecodeError as error:
            raise SinkError(f"{path}: line {number} is no record: {error}") from error


def _name(first: int) -> str:
    return f"events-{first:015d}.jsonl"


def _first(path: Path) -> int:
    """Return the number of a file's first record."""
    return int(path.name[len("events-") :].partition(".")[0])


def _files(folder: Path) -> list[Path]:
    """Return the files in their order. Where a crash left a file beside its compressed form, the compressed one."""
    found = {_first(path): path for path in folder.glob("events-*.jsonl")}
    found.update({_first(path): path for path in folder.glob("events-*.jsonl.gz")})
    return [found[first] for first in sorted(found)]


def _lines(path: Path) -> Iterator[bytes]:
    """Yield the whole lines of a file."""
    with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as stream:
        for line in stream:
            if line.endswith(b"\n"):
                yield line


def _whole_lines(path: Path) -> tuple[int, int]:
    """Return how many whole lines a file has, and how many bytes they take."""
    count = size = read = 0
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            count += chunk.count(b"\n")
            end = chunk.rfind(b"\n")
            if end >= 0:
                size = read + end + 1
            read += len(chunk)
    return count, size


def _write(file: IO[bytes], data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[file.write(view) :]
