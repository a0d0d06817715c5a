"""The files of a recording."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final, cast

import msgspec
from msgspec import Struct

from unitape.errors import TapeError
from unitape.tape.tape import Tape
from unitape.testing.adapters import VenueOrigin
from unitape.testing.diff import Json

__all__ = [
    "EVENTS",
    "HTTP",
    "LISTINGS",
    "ORIGIN",
    "TAPE",
    "Origin",
    "contents",
    "read_lines",
    "shown",
    "without",
    "write_lines",
]

TAPE: Final = "frames.tape"
HTTP: Final = "http.yaml"
LISTINGS: Final = "instruments.json.gz"
EVENTS: Final = "events"
ORIGIN: Final = "origin.json"


class Origin(Struct, frozen=True):
    """Where a recording came from: ``origin.json`` in its folder."""

    test: str
    recorded: str
    """UTC."""
    source: str
    """``sim``, or ``live`` for a real venue or whatever the test named."""
    seconds: float
    """How long the recorded test ran."""
    start: int
    """Wall clock in nanoseconds when it began. Replays begin at the same moment."""
    seed: int
    """Client ids follow from it."""
    venues: list[VenueOrigin]
    """One entry per adapter, in the order in which the test made them."""
    versions: dict[str, str]
    files: list[str] = []
    """What a replay plays of it. A recording of an earlier version does not say."""


def without(record: Json, names: frozenset[str]) -> Json:
    """Return a record without these fields; what is no object as it is."""
    if not isinstance(record, dict):
        return record
    return {name: value for name, value in cast("dict[str, Json]", record).items() if name not in names}


def write_lines(path: Path, records: Iterable[Json]) -> None:
    """Write records as JSON, one per line."""
    path.write_bytes(b"".join(msgspec.json.encode(record) + b"\n" for record in records))


def read_lines(path: Path) -> list[Json]:
    """Read what ``write_lines`` wrote.

    Raises:
        TapeError: it is something else.
    """
    try:
        return [msgspec.json.decode(line) for line in path.read_bytes().splitlines() if line]
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise TapeError(f"{shown(path)} is not JSON lines: {error}") from error


def contents(path: Path) -> Iterator[bytes]:
    """Yield what a file says, unpacked."""
    if path.name == TAPE:
        yield from (zlib.decompress(block.payload) for block in Tape(path).blocks() if block.payload)
    elif path.suffix == ".gz":
        yield gzip.decompress(path.read_bytes())
    else:
        yield path.read_bytes()


def shown(path: Path) -> str:
    """Name a path as the reader would type it."""
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)
