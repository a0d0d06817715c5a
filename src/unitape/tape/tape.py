"""A tape opened for reading."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from unitape.errors import TapeError
from unitape.tape.format import MAGIC, Block, FeedHeader, Record, decode_header, decode_records, read_blocks

__all__ = ["Tape", "is_tape"]


def is_tape(path: str | Path) -> bool:
    """Tell whether a file is a tape by its first bytes."""
    with Path(path).open("rb") as stream:
        return stream.read(len(MAGIC)) == MAGIC


class Tape:
    """A tape file. Opening it checks every block's checksum, reads every feed's header and no record.

    ``feeds`` are the recorded feeds in the order of their numbers. ``ended`` tells that the recorder finished;
    otherwise ``truncated_at`` is the byte behind the last whole block, where a killed recorder's tape ends.
    ``errors`` lists damage, when the tape was opened with ``repair``.
    """

    def __init__(self, path: str | Path, *, repair: bool = False) -> None:
        """Open a tape.

        ``repair`` passes over damaged blocks and lists them in ``errors``, instead of raising at the first.

        Raises:
            TapeError: the file is no tape, or is damaged before its end.
            OSError: it cannot be read.
        """
        self.path = Path(path)
        self.repair = repair
        self.feeds: list[FeedHeader] = []
        self.errors: list[TapeError] = []
        self.ended = False
        self.records_count = 0
        self.size = self.path.stat().st_size
        self.end = 0
        self._scan()

    @property
    def truncated_at(self) -> int | None:
        """The byte where the readable part ends; None when the recorder finished."""
        return None if self.ended else self.end

    @property
    def header(self) -> FeedHeader:
        """The header of the only, or first, feed.

        Raises:
            TapeError: the recorder was killed before it had written one.
        """
        if not self.feeds:
            raise TapeError(f"{self.path.name} ends before its first header: nothing was recorded")
        return self.feeds[0]

    def blocks(self) -> Iterator[Block]:
        """Yield every whole block."""
        if self.end == 0:
            return
        with self.path.open("rb") as stream:
            for block in read_blocks(stream, len(MAGIC), errors=[] if self.repair else None):
                yield block
                if block.end >= self.end:
                    return

    def records(self) -> Iterator[tuple[int, Record]]:
        """Yield every record with the number of its feed, in the order in which things happened.

        Raises:
            TapeError: a block is damaged inside.
        """
        for block in self.blocks():
            if block.kind == "R":
                yield from decode_records(block)

    def _scan(self) -> None:
        with self.path.open("rb") as stream:
            magic = stream.read(len(MAGIC))
            if magic != MAGIC:
                if not MAGIC.startswith(magic):
                    raise TapeError(f"{self.path.name} is not a tape", offset=0)
                return
            self.end = len(MAGIC)
            for block in read_blocks(stream, len(MAGIC), errors=self.errors if self.repair else None):
                self._take(block)

    def _take(self, block: Block) -> None:
        self.end = block.end
        self.ended = block.kind == "E"
        if block.kind == "H":
            self.feeds.append(decode_header(block))
        elif block.kind == "R":
            self.records_count += block.count
