"""A writer that is killed at any moment has lost nothing of what it acknowledged."""

from __future__ import annotations

import random
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import IO

import pytest

from tests.sinks.records import trades
from unitape.sinks import read_jsonl, read_parquet, read_sqlite
from unitape_schemas import EventHead, Trade

ROOT = Path(__file__).parents[2]
SEEDS = (1, 2, 3)
LIVES = 3
"""How often one writer after the other is killed over the same files."""


def live_and_die(kind: str, place: Path, seed: int, seconds: float) -> tuple[int, int]:
    """Run a writer, kill it so long after its first acknowledgement, and return its start and its last word."""
    command = [sys.executable, "-m", "tests.sinks.writer", kind, str(place), str(seed)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        start = process.stdout.readline()
        first = process.stdout.readline()
        assert start, process.stderr.read().decode()
        assert first, process.stderr.read().decode()
        time.sleep(seconds)
        process.kill()
        rest = _numbers(process.stdout)
    return int(start), rest[-1] if rest else int(first)


def _numbers(stream: IO[bytes]) -> list[int]:
    return [int(line) for line in stream.read().splitlines(keepends=True) if line.endswith(b"\n")]


def read(kind: str, place: Path) -> list[EventHead]:
    if kind == "jsonl":
        return list(read_jsonl(place / "lines"))
    if kind == "sqlite":
        return list(read_sqlite(place / "signals.sqlite"))
    return list(read_parquet(place / "tables"))


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("kind", ["jsonl", "sqlite", "parquet"])
def test_a_killed_writer_loses_nothing_that_it_acknowledged(kind: str, seed: int, tmp_path: Path) -> None:
    if kind == "parquet":
        pytest.importorskip("pyarrow")
    rng = random.Random(f"{kind}/{seed}")
    before = 0
    for life in range(LIVES):
        start, acknowledged = live_and_die(kind, tmp_path, seed, rng.uniform(0.0, 0.25))
        found = read(kind, tmp_path)
        where = f"seed {seed}, life {life}: {acknowledged} acknowledged, {len(found)} found"
        assert before <= start <= acknowledged <= len(found), where
        assert found == trades(len(found)), where
        before = acknowledged
        if kind == "sqlite":
            check_databases(tmp_path, where)
        elif kind == "parquet":
            check_partitions(tmp_path, found, where)


def check_databases(place: Path, where: str) -> None:
    for file in place.glob("*.sqlite"):
        db = sqlite3.connect(file)
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)], where
        db.close()


def check_partitions(place: Path, found: list[EventHead], where: str) -> None:
    """Every Parquet file that can be seen opens for others, and no record is in two of them."""
    duckdb = pytest.importorskip("duckdb")
    if not list(place.glob("tables/trades/**/*.parquet")):
        return
    rows = duckdb.sql(f"SELECT n, price FROM read_parquet('{place}/tables/trades/**/*.parquet') ORDER BY n").fetchall()
    numbers = [number for number, _ in rows]
    assert len(set(numbers)) == len(numbers), where
    prices = {number: record.price for number, record in enumerate(found, 1) if isinstance(record, Trade)}
    assert all(prices[number] == price for number, price in rows), where
