"""SQLite: one file, a table per class of records, ready for SQL. The sink to begin with."""

from __future__ import annotations

import heapq
import logging
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import msgspec

from unitape.errors import ConfigError, SinkError
from unitape.sinks.base import FolderLock, SinkStats
from unitape.sinks.columns import RECORD_TYPES, Table, decimal_of, levels_decoder, tables_of
from unitape_schemas import SCHEMA_VERSION, EventHead

__all__ = ["DEFAULT_DATABASE_BYTES", "SqliteSink", "read_sqlite"]

_log = logging.getLogger("unitape.sinks")

DEFAULT_DATABASE_BYTES: Final = 4 * 1024**3
"""Bytes after which the next database begins."""
_TYPES: Final = {
    "text": "TEXT",
    "int": "INTEGER",
    "float": "REAL",
    "bool": "INTEGER",
    "decimal": "TEXT",
    "levels": "TEXT",
}
_encode = msgspec.json.Encoder().encode


class SqliteSink:
    """Inserts records into ``path``: a table per class (``trades``, ``book_deltas``, …), a column per field.

    The column ``n`` numbers all records of all tables in their order. Prices and sizes are REAL, exact to the last
    bit; decimals are TEXT; the levels of books are TEXT, JSON arrays of ``[price, size]``. Each ``store`` is one
    transaction in WAL mode, so readers never wait for the writer.

    When the file has grown beyond ``file_bytes`` the next one begins beside it, named after its first record:
    ``signals-000000000500001.sqlite``. ``keep_files`` deletes the oldest beyond that many; None keeps all. ``index``
    adds an index on (venue, symbol, ts_recv) to every table. ``sync`` False lets a loss of power, but no killed
    process, take the newest transactions.

    Raises:
        ConfigError: another process writes to the file.
        SinkError: the file cannot be used, or is no database of ours.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        file_bytes: int = DEFAULT_DATABASE_BYTES,
        keep_files: int | None = None,
        index: bool = True,
        sync: bool = True,
        types: Sequence[type[EventHead]] = RECORD_TYPES,
    ) -> None:
        if file_bytes < 1 or (keep_files is not None and keep_files < 1):
            raise ConfigError("file_bytes and keep_files must be at least 1")
        self.path = Path(path)
        self._file_bytes = file_bytes
        self._keep = keep_files
        self._index = index
        self._sync = sync
        self._writers = {record: _Writer(table) for record, table in tables_of(types).items()}
        self._db: sqlite3.Connection | None = None
        self._current = self.path
        self._removed = 0
        self._acknowledged = 0
        try:
            self._lock = FolderLock(self.path.with_name(f".{self.path.name}.lock"))
        except OSError as error:
            raise SinkError(f"{self.path} cannot be used: {error}") from error
        try:
            files = _files(self.path)
            self._open(files[-1] if files else self.path)
        except BaseException as error:
            self.close()
            if isinstance(error, sqlite3.Error):
                raise SinkError(f"{self._current} cannot be used: {error}") from error
            raise

    @property
    def acknowledged(self) -> int:
        """Number of the last record that is safe on disk."""
        return self._acknowledged

    def store(self, records: Sequence[EventHead]) -> int:
        """Insert records in one transaction and return the number of the last one.

        Raises:
            ConfigError: a record is of a class that the sink was not told of, or holds an integer beyond 64 bits.
            SinkError: it did not work; none of them counts.
        """
        if not records:
            return self._acknowledged
        rows: dict[type[EventHead], list[tuple[Any, ...]]] = {}
        number = self._acknowledged
        for record in records:
            number += 1
            kind = type(record)
            writer = self._writers.get(kind)
            if writer is None:
                raise ConfigError(f"this sink has no table of {kind.__name__}; name the class in `types`")
            rows.setdefault(kind, []).append(writer.row(number, record))
        try:
            db = self._ready()
            try:
                db.execute("BEGIN IMMEDIATE")
                for kind, batch in rows.items():
                    db.executemany(self._writers[kind].insert, batch)
                db.execute("COMMIT")
            except BaseException:
                if db.in_transaction:
                    db.execute("ROLLBACK")
                raise
        except OverflowError:
            raise ConfigError("a record holds an integer beyond 64 bits, which no column can take") from None
        except (sqlite3.Error, OSError) as error:
            raise SinkError(f"{self._current}: {len(records)} records could not be written: {error}") from error
        self._acknowledged = number
        return number

    def stats(self) -> SinkStats:
        """Return how the sink is doing."""
        size = self._current.stat().st_size if self._current.exists() else 0
        return SinkStats("sqlite", self._acknowledged, len(_files(self.path)), size, self._removed)

    def close(self) -> None:
        """Close the database; its write-ahead log is folded in. Again: nothing."""
        if self._db is not None:
            self._db.close()
            self._db = None
        self._lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _ready(self) -> sqlite3.Connection:
        """Return the database that takes the next records."""
        if self._db is not None and self._pages() > self._file_bytes:
            self._db.close()
            self._db = None
            self._open(_numbered(self.path, self._acknowledged + 1))
            if self._keep is not None:
                for old in _files(self.path)[: -self._keep]:
                    self._remove(old)
        if self._db is None:
            self._open(self._current)
        assert self._db is not None
        return self._db

    def _pages(self) -> int:
        assert self._db is not None
        (count,) = self._db.execute("PRAGMA page_count").fetchone()
        (size,) = self._db.execute("PRAGMA page_size").fetchone()
        return int(count) * int(size)

    def _open(self, path: Path) -> None:
        self._current = path
        # One call at a time, but not always on one thread.
        db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=30.0)
        try:
            self._prepare(db, path)
        except BaseException:
            # It may lack its tables: the next call begins anew.
            db.close()
            raise
        self._db = db

    def _prepare(self, db: sqlite3.Connection, path: Path) -> None:
        """Make a database ready to be written, and look how far it came."""
        db.execute("PRAGMA journal_mode=WAL")
        db.execute(f"PRAGMA synchronous={'FULL' if self._sync else 'NORMAL'}")
        version = _schema_version(db)
        if version is not None and version > SCHEMA_VERSION:
            raise SinkError(f"{path} has schema {version}, this library knows {SCHEMA_VERSION}: upgrade the library")
        db.execute("BEGIN IMMEDIATE")
        try:
            db.execute("CREATE TABLE IF NOT EXISTS unitape (schema_version INTEGER, first INTEGER)")
            if version is None:
                db.execute("INSERT INTO unitape VALUES (?, ?)", (SCHEMA_VERSION, _first(self.path, path)))
            for writer in self._writers.values():
                for statement in writer.create(index=self._index):
                    db.execute(statement)
            db.execute("COMMIT")
        except BaseException:
            if db.in_transaction:
                db.execute("ROLLBACK")
            raise
        (first,) = db.execute("SELECT first FROM unitape").fetchone()
        last = [db.execute(f"SELECT max(n) FROM {w.table.name}").fetchone()[0] for w in self._writers.values()]  # noqa: S608
        self._acknowledged = max([int(first) - 1, *(number for number in last if number is not None)])

    def _remove(self, path: Path) -> None:
        _log.info("%s is deleted: %d files are kept", path, self._keep)
        for part in (path, path.with_name(path.name + "-wal"), path.with_name(path.name + "-shm")):
            part.unlink(missing_ok=True)
        self._removed += 1


class _Writer:
    """How records of one class become rows."""

    def __init__(self, table: Table) -> None:
        self.table = table
        marks = ", ".join("?" * (len(table.columns) + 1))
        self.insert = f"INSERT INTO {table.name} VALUES ({marks})"  # noqa: S608 - the name is our own
        self._levels = table.places("levels")
        self._decimals = table.places("decimal")

    def create(self, *, index: bool) -> Iterator[str]:
        """Yield the statements that make the table."""
        name = self.table.name
        columns = ", ".join(f'"{column.name}" {_TYPES[column.kind]}' for column in self.table.columns)
        yield f"CREATE TABLE IF NOT EXISTS {name} (n INTEGER PRIMARY KEY, {columns})"
        if index:
            yield f"CREATE INDEX IF NOT EXISTS {name}_by_symbol ON {name} (venue, symbol, ts_recv)"

    def row(self, number: int, record: EventHead) -> tuple[Any, ...]:
        """Return the values of one record."""
        values = msgspec.structs.astuple(record)
        if not self._levels and not self._decimals:
            return (number, *values)
        row = [number, *values]
        for place in self._levels:
            row[place + 1] = _encode(row[place + 1]).decode()
        for place in self._decimals:
            if row[place + 1] is not None:
                row[place + 1] = str(row[place + 1])
        return tuple(row)


def read_sqlite(
    path: str | Path, *, after: int = 0, types: Sequence[type[EventHead]] = RECORD_TYPES
) -> Iterator[EventHead]:
    """Yield the records of all files of a sink in their order, those with a number above ``after``.

    Raises:
        SinkError: a file cannot be read.
    """
    tables = tables_of(types).values()
    for file in _files(Path(path)):
        try:
            db = sqlite3.connect(file)
            try:
                known = {name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
                streams = [_records(db, table, after) for table in tables if table.name in known]
                for _, record in heapq.merge(*streams, key=lambda pair: pair[0]):
                    yield record
            finally:
                db.close()
        except sqlite3.Error as error:
            raise SinkError(f"{file} cannot be read: {error}") from error


def _records(db: sqlite3.Connection, table: Table, after: int) -> Iterator[tuple[int, EventHead]]:
    readers: list[tuple[int, Callable[[Any], Any]]] = [
        *((place, levels_decoder.decode) for place in table.places("levels")),
        *((place, decimal_of) for place in table.places("decimal")),
        *((place, bool) for place in table.places("bool")),
    ]
    names = ", ".join(f'"{column.name}"' for column in table.columns)
    for number, *values in db.execute(f"SELECT n, {names} FROM {table.name} WHERE n > ? ORDER BY n", (after,)):  # noqa: S608
        yield number, table.build(values, readers)


def _first(path: Path, file: Path) -> int:
    """Return the number of a file's first record, by its name: a crash may have left it empty."""
    return 1 if file == path else int(file.stem[len(path.stem) + 1 :])


def _numbered(path: Path, first: int) -> Path:
    return path.with_name(f"{path.stem}-{first:015d}{path.suffix}")


def _files(path: Path) -> list[Path]:
    """Return the databases of a sink, oldest first."""
    digits = "[0-9]" * 15
    numbered = sorted(path.parent.glob(f"{_escaped(path.stem)}-{digits}{_escaped(path.suffix)}"))
    return [file for file in (path, *numbered) if file.exists()]


def _escaped(text: str) -> str:
    return "".join(f"[{letter}]" if letter in "*?[" else letter for letter in text)


def _schema_version(db: sqlite3.Connection) -> int | None:
    """Return what a database says of itself, None when it is new."""
    tables = {name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if not tables:
        return None
    if "unitape" not in tables:
        raise SinkError("the file is a database of something else")
    row = db.execute("SELECT schema_version FROM unitape").fetchone()
    return None if row is None else int(row[0])
