"""Where a long-running feed is kept: SQLite, lines of JSON, Parquet.

A sink's ``store`` returns when the records are on disk. ``store_all`` carries a stream into one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final, TypeAlias

from unitape.errors import ConfigError
from unitape.sinks.base import EventSink, SinkStats
from unitape.sinks.columns import RECORD_TYPES
from unitape.sinks.jsonl import JsonLinesSink, read_jsonl
from unitape.sinks.parquet import ParquetSink, read_parquet
from unitape.sinks.pump import store_all
from unitape.sinks.sqlite import SqliteSink, read_sqlite
from unitape_schemas import EventHead

__all__ = [
    "RECORD_TYPES",
    "EventSink",
    "JsonLinesSink",
    "ParquetSink",
    "SinkStats",
    "SqliteSink",
    "open_sink",
    "read_jsonl",
    "read_parquet",
    "read_records",
    "read_sqlite",
    "store_all",
]

_AnySink: TypeAlias = SqliteSink | JsonLinesSink | ParquetSink
_OPENERS: Final[Mapping[str, Callable[[Path], _AnySink]]] = {
    "sqlite": SqliteSink,
    "jsonl": JsonLinesSink,
    "parquet": ParquetSink,
}
_READERS: Final = {"sqlite": read_sqlite, "jsonl": read_jsonl, "parquet": read_parquet}


def open_sink(place: str) -> _AnySink:
    """Open what ``kind:path`` names, with default settings: ``sqlite:signals.sqlite``, ``jsonl:DIR``, ``parquet:DIR``.

    Raises:
        ConfigError: the place is not of this form, pyarrow is not installed, or somebody else writes there.
        SinkError: it cannot be used.
    """
    kind, path = _place(place)
    return _OPENERS[kind](path)


def read_records(place: str, *, after: int = 0) -> Iterator[EventHead]:
    """Yield what ``kind:path`` holds, in the order in which it was stored, records with a number above ``after``.

    Raises:
        ConfigError: the place is not of this form, or is not there.
        SinkError: it cannot be read.
    """
    kind, path = _place(place)
    if not path.exists():
        raise ConfigError(f"{path} does not exist")
    return _READERS[kind](path, after=after)


def _place(place: str) -> tuple[str, Path]:
    kind, colon, path = place.partition(":")
    if not colon or not path or kind not in _OPENERS:
        raise ConfigError(f"{place!r} is no place to store: write sqlite:FILE, jsonl:FOLDER or parquet:FOLDER")
    return kind, Path(path)
