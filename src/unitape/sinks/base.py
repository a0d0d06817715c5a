"""What every sink is: something that keeps records, and says up to which one they are safe."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Final, Protocol

from msgspec import Struct

from unitape.errors import ConfigError
from unitape_schemas import EventHead

__all__ = ["MOST_AT_ONCE", "EventSink", "FolderLock", "SinkStats", "make_folder", "sync_folder"]

MOST_AT_ONCE: Final = 50_000
"""Records that are handed to a sink in one call: more are handed over in parts."""


class SinkStats(Struct, frozen=True):
    """How a sink is doing."""

    name: str
    acknowledged: int
    """Number of the last record that is safe on disk. Counted from 1 over the whole life of the sink's files."""
    files: int
    bytes: int
    """Bytes of the file that is being written."""
    removed: int
    """Files that were deleted by this process because the sink keeps only so many."""


class EventSink(Protocol):
    """Keeps records on disk. Every call does its work before it returns; one call at a time, from any thread.

    There is no buffer inside: what ``store`` has returned for is on disk, and what it has not is the caller's. A
    process that is killed at any moment leaves files that open again and hold everything that was acknowledged, and
    perhaps records of the call that was interrupted.
    """

    @property
    def acknowledged(self) -> int:
        """Number of the last record that is safe on disk; records are numbered from 1, over restarts, too."""
        ...

    def store(self, records: Sequence[EventHead]) -> int:
        """Put these on disk behind all others and return the number of the last one.

        Raises:
            SinkError: it did not work, and none of them counts. The same call may be made again.
        """
        ...

    def stats(self) -> SinkStats:
        """Return how the sink is doing."""
        ...

    def close(self) -> None:
        """Finish the files. Again: nothing."""
        ...


class FolderLock:
    """Holds a lock file for as long as the process lives, where the system can: two writers would spoil each other.

    Raises:
        ConfigError: another writer has it.
    """

    def __init__(self, path: Path) -> None:
        make_folder(path.parent)
        self._file: IO[bytes] | None = path.open("ab")
        try:
            import fcntl
        except ImportError:
            return
        try:
            fcntl.flock(self._file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self.release()
            raise ConfigError(f"{path.parent}: another sink writes there; give each its own place") from None

    def release(self) -> None:
        """Let others write."""
        if self._file is not None:
            self._file.close()
            self._file = None


def sync_folder(folder: Path) -> None:
    """Make the names in a folder safe, where the system can."""
    with suppress(PermissionError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def make_folder(folder: Path) -> None:
    """Make a folder and those above it, each of them safe in the one that holds it."""
    if folder.is_dir():
        return
    make_folder(folder.parent)
    folder.mkdir(exist_ok=True)
    sync_folder(folder.parent)
