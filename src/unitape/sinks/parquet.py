"""Parquet, partitioned by venue, symbol and day: what duckdb, polars and friends read fastest. Needs pyarrow.

A Parquet file cannot be read before its end is written, so records go to a journal first, where they are safe at
once. From there whole segments are turned into files. A file's name is that of its segment: a segment that a crash
interrupted is turned into the very same files again, and nothing appears twice.
"""

from __future__ import annotations

import hashlib
import logging
import os
import re
import shutil
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from types import TracebackType
from typing import Any, Final, NamedTuple, Self
from urllib.parse import quote

from unitape.errors import ConfigError, SinkError
from unitape.sinks.base import SinkStats, make_folder, sync_folder
from unitape.sinks.columns import RECORD_TYPES, Table, decimal_of, tables_of
from unitape.sinks.jsonl import JsonLinesSink, read_file, read_jsonl
from unitape_schemas import EventHead

__all__ = ["DEFAULT_SEGMENT", "ParquetSink", "read_parquet"]

_log = logging.getLogger("unitape.sinks")

DEFAULT_SEGMENT: Final = 200_000
"""Records after which the journal is turned into files: they are in memory together while that happens."""
JOURNAL: Final = "_journal"
NO_SYMBOL: Final = "__HIVE_DEFAULT_PARTITION__"
"""The partition of records that concern no single symbol: readers show NULL there."""
_DAY: Final = re.compile(r"day=\d{4}-\d{2}-\d{2}", re.ASCII)
_LONGEST: Final = 200
_INT64: Final = 1 << 63
_DAY_NS: Final = 86_400_000_000_000
_HOUR: Final = 3600.0


class ParquetSink:
    """Writes ``folder/<table>/venue=…/symbol=…/day=…/part-<number>.parquet``; the day is that of ``ts_recv``, UTC.

    ``store`` appends to a journal in ``folder/_journal`` and returns when that is on disk. The journal becomes Parquet
    files when it holds ``segment`` records, when its first record is ``seconds`` older than the newest one, when a
    day ends, at ``close``, and at the next start after a crash. ``read_parquet`` reads files and journal together.

    Symbols are percent-encoded in paths, as readers of partitioned folders expect. The column ``n`` numbers all records
    in their order. Levels are lists of (price, size) structs, decimals text, times 64-bit nanoseconds. ``keep_days``
    keeps that many days, the newest of those that there are; None keeps all.

    Raises:
        ConfigError: pyarrow is not installed, or another process writes to the folder.
        SinkError: the folder cannot be used.
    """

    def __init__(
        self,
        folder: str | Path,
        *,
        segment: int = DEFAULT_SEGMENT,
        seconds: float = _HOUR,
        keep_days: int | None = None,
        sync: bool = True,
        types: Sequence[type[EventHead]] = RECORD_TYPES,
    ) -> None:
        if segment < 1 or seconds <= 0 or (keep_days is not None and keep_days < 1):
            raise ConfigError("segment and keep_days must be at least 1, seconds positive")
        self.folder = Path(folder)
        self._segment = segment
        self._span = round(seconds * 1e9)
        self._keep_days = keep_days
        self._files = _Files(self.folder, tables_of(types))
        self._removed = 0
        self._types = types
        self._journal = JsonLinesSink(self.folder / JOURNAL, file_bytes=1 << 60, sync=sync)
        self._oldest: int | None = None
        self._held = 0
        try:
            self._journal.rotate()
            self._convert()
        except BaseException:
            self._journal.close()
            raise

    @property
    def acknowledged(self) -> int:
        """Number of the last record that is safe on disk."""
        return self._journal.acknowledged

    def store(self, records: Sequence[EventHead]) -> int:
        """Append records to the journal, turn it into files if it is time, and return the number of the last one.

        Raises:
            ConfigError: a record is of a class that the sink was not told of, or holds an integer beyond 64 bits.
            SinkError: they could not be written; none of them counts.
        """
        for record in records:
            self._files.check(record)
        number = self._journal.store(records)
        if records:
            self._held += len(records)
            newest = records[-1].ts_recv
            if self._oldest is None:
                self._oldest = records[0].ts_recv
            aged = newest - self._oldest >= self._span or newest // _DAY_NS > self._oldest // _DAY_NS
            if self._held >= self._segment or aged:
                # The records are safe already: that they are not yet Parquet is no reason to hand them in again.
                try:
                    self.flush()
                except SinkError:
                    _log.exception("%s: the journal stays, and is turned into files later", self.folder)
        return number

    def flush(self) -> None:
        """Turn the journal into files now.

        Raises:
            SinkError: it did not work; the journal stays and nothing is lost.
        """
        self._journal.rotate()
        self._held = 0
        self._oldest = None
        self._convert()

    def stats(self) -> SinkStats:
        """Return how the sink is doing; ``bytes`` are those of the journal, ``files`` the Parquet files."""
        return SinkStats("parquet", self.acknowledged, self._files.count, self._journal.stats().bytes, self._removed)

    def close(self) -> None:
        """Turn the rest into files and finish. Again: nothing.

        Raises:
            SinkError: the rest could not be turned into files; the journal has it.
        """
        if self._journal.closed:
            return
        try:
            self.flush()
        finally:
            self._journal.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _convert(self) -> None:
        """Turn every finished segment of the journal into files, and only then delete it."""
        for segment in _segments(self.folder)[:-1]:
            try:
                self._files.write(segment)
                segment.path.unlink()
                sync_folder(segment.path.parent)
            except OSError as error:
                raise SinkError(f"{segment.path} could not be turned into files: {error}") from error
        if self._keep_days is not None:
            self._let_go(self._keep_days)

    def _let_go(self, keep: int) -> None:
        """Delete the oldest days. They are counted, so that one wrong date of a clock takes the place of one day."""
        days = [
            (path, path.name)
            for path in self.folder.glob("*/venue=*/symbol=*/day=*")
            if _DAY.fullmatch(path.name) and path.is_dir()
        ]
        kept = sorted({day for _, day in days})[-keep:]
        for path, day in days:
            if day not in kept:
                _log.info("%s is deleted: %d days are kept", path, keep)
                files = sum(1 for _ in path.glob("part-*.parquet"))
                try:
                    shutil.rmtree(path)
                except OSError as error:
                    # What is to be kept is safe; this is tried again after the next segment.
                    _log.error("%s cannot be deleted: %s", path, error)
                else:
                    self._removed += files
                    self._files.count -= files


class _Segment(NamedTuple):
    first: int
    path: Path


class _Files:
    """Turns a segment into files."""

    def __init__(self, folder: Path, tables: Mapping[type[EventHead], Table]) -> None:
        self.folder = folder
        self.tables = tables
        arrow, self._parquet = _pyarrow()
        level = arrow.struct([arrow.field("price", arrow.float64()), arrow.field("size", arrow.float64())])
        kinds = {
            "text": arrow.string(),
            "int": arrow.int64(),
            "float": arrow.float64(),
            "bool": arrow.bool_(),
            "decimal": arrow.string(),
            "levels": arrow.list_(level),
        }
        self._arrow = arrow
        self._schemas = {
            record: arrow.schema(
                [arrow.field("n", arrow.int64()), *(arrow.field(c.name, kinds[c.kind]) for c in table.columns)]
            )
            for record, table in tables.items()
        }
        # Counted once: after a year there are too many to look at whenever somebody asks.
        self.count = sum(1 for _ in folder.glob("*/venue=*/symbol=*/day=*/part-*.parquet"))

    def check(self, record: EventHead) -> None:
        """Refuse what could never become a file.

        Raises:
            ConfigError: the class has no table, or an integer does not fit its column.
        """
        table = self.tables.get(type(record))
        if table is None:
            raise ConfigError(f"this sink has no table of {type(record).__name__}; name the class in `types`")
        for name in table.integers:
            value = getattr(record, name)
            if value is not None and not -_INT64 <= value < _INT64:
                raise ConfigError("a record holds an integer beyond 64 bits, which no column can take")

    def write(self, segment: _Segment) -> None:
        """Write the files of one segment; doing it again makes the same files."""
        groups: dict[tuple[type[EventHead], str, str, int], list[tuple[int, EventHead]]] = defaultdict(list)
        types = tuple(self.tables)
        for number, record in enumerate(read_file(segment.path, types), segment.first):
            key = (type(record), record.venue, record.symbol, record.ts_recv // _DAY_NS)
            groups[key].append((number, record))
        for (kind, venue, symbol, day), rows in groups.items():
            table = self.tables[kind]
            folder = (
                self.folder
                / table.name
                / f"venue={_encoded(venue)}"
                / f"symbol={_encoded(symbol)}"
                / f"day={datetime.fromtimestamp(day * 86_400, UTC):%Y-%m-%d}"
            )
            self._write_file(folder / _part(segment.first), table, rows)

    def _write_file(self, path: Path, table: Table, rows: Sequence[tuple[int, EventHead]]) -> None:
        make_folder(path.parent)
        columns: list[list[Any]] = [[number for number, _ in rows]]
        for column in table.columns:
            values: list[Any] = [getattr(record, column.name) for _, record in rows]
            if column.kind == "levels":
                values = [[{"price": price, "size": size} for price, size in levels] for levels in values]
            elif column.kind == "decimal":
                values = [None if value is None else str(value) for value in values]
            columns.append(values)
        schema = self._schemas[table.record]
        arrays = [self._arrow.array(values, field.type) for values, field in zip(columns, schema, strict=True)]
        part = path.with_name(f".{path.name}.part")
        with part.open("wb") as stream:
            self._parquet.write_table(self._arrow.Table.from_arrays(arrays, schema=schema), stream, compression="zstd")
            stream.flush()
            os.fsync(stream.fileno())
        self.count += not path.exists()
        part.replace(path)
        sync_folder(path.parent)


def read_parquet(
    folder: str | Path, *, after: int = 0, types: Sequence[type[EventHead]] = RECORD_TYPES
) -> Iterator[EventHead]:
    """Yield the records of a folder in their order, those with a number above ``after``: files, then the journal.

    Raises:
        SinkError: a file cannot be read.
    """
    root = Path(folder)
    arrow, parquet = _pyarrow()
    tables = {table.name: table for table in tables_of(types).values()}
    journal = _segments(root)
    waiting = {segment.first for segment in journal}
    parts: dict[int, list[Path]] = defaultdict(list)
    for path in root.glob("*/venue=*/symbol=*/day=*/part-*.parquet"):
        first = int(re.sub(r"\D", "", path.name))
        # A segment that is still in the journal is read from there, whole.
        if first not in waiting:
            parts[first].append(path)
    starts = sorted(parts)
    for place, first in enumerate(starts):
        if place + 1 < len(starts) and starts[place + 1] <= after + 1:
            continue
        rows: list[tuple[int, EventHead]] = []
        for path in parts[first]:
            try:
                rows += _rows(parquet.ParquetFile(path).read(), tables[path.relative_to(root).parts[0]])
            except (OSError, arrow.ArrowException) as error:
                raise SinkError(f"{path} cannot be read: {error}") from error
        rows.sort(key=lambda row: row[0])
        yield from (record for number, record in rows if number > after)
    if journal:
        yield from read_jsonl(root / JOURNAL, after=after, types=types)


def _rows(found: Any, table: Table) -> Iterator[tuple[int, EventHead]]:
    readers: list[tuple[int, Callable[[Any], Any]]] = [
        *((place, _levels) for place in table.places("levels")),
        *((place, decimal_of) for place in table.places("decimal")),
    ]
    columns = [found.column(name).to_pylist() for name in ("n", *(column.name for column in table.columns))]
    for number, *values in zip(*columns, strict=True):
        yield number, table.build(values, readers)


def _levels(stored: Sequence[Mapping[str, float]]) -> tuple[tuple[float, float], ...]:
    return tuple((level["price"], level["size"]) for level in stored)


def _pyarrow() -> tuple[Any, Any]:
    try:
        return import_module("pyarrow"), import_module("pyarrow.parquet")
    except ImportError:
        raise ConfigError("Parquet needs pyarrow: pip install 'unitape[parquet]'") from None


def _segments(folder: Path) -> list[_Segment]:
    found = sorted((folder / JOURNAL).glob("events-*.jsonl"))
    return [_Segment(int(re.sub(r"\D", "", path.stem)), path) for path in found]


def _part(first: int) -> str:
    return f"part-{first:015d}.parquet"


def _encoded(text: str) -> str:
    """Return a name as it stands in a path. What no file system would take keeps its beginning and a checksum."""
    name = quote(text, safe="") or NO_SYMBOL
    if len(name) <= _LONGEST:
        return name
    return f"{name[:100]}~{hashlib.sha256(text.encode()).hexdigest()[:16]}"
