from __future__ import annotations

import gzip
import json
import os
import sqlite3
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.sinks.records import START, SYMBOLS, one_of_each, trades
from unitape.errors import ConfigError, SinkError
from unitape.sinks import (
    RECORD_TYPES,
    EventSink,
    JsonLinesSink,
    ParquetSink,
    SqliteSink,
    open_sink,
    read_jsonl,
    read_parquet,
    read_records,
    read_sqlite,
)
from unitape_schemas import BookDelta, EventHead, Quote, Trade

Opener = Callable[..., Any]
Reader = Callable[..., Iterator[EventHead]]

KINDS: dict[str, tuple[Opener, Reader, str]] = {
    "jsonl": (JsonLinesSink, read_jsonl, "lines"),
    "sqlite": (SqliteSink, read_sqlite, "signals.sqlite"),
    "parquet": (ParquetSink, read_parquet, "tables"),
}
SMALL: dict[str, dict[str, int]] = {
    "jsonl": {"file_bytes": 4_000},
    "sqlite": {"file_bytes": 190_000},
    "parquet": {"segment": 100},
}


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    if request.param == "parquet":
        pytest.importorskip("pyarrow")
    return str(request.param)


def opened(kind: str, tmp_path: Path, **choice: Any) -> Any:
    return KINDS[kind][0](tmp_path / KINDS[kind][2], **choice)


def read(kind: str, tmp_path: Path, **choice: Any) -> list[EventHead]:
    return list(KINDS[kind][1](tmp_path / KINDS[kind][2], **choice))


def stored(sink: EventSink, records: Sequence[EventHead], size: int) -> None:
    for place in range(0, len(records), size):
        sink.store(records[place : place + size])


def test_every_class_of_records_comes_back_equal(kind: str, tmp_path: Path) -> None:
    records = one_of_each()
    assert {type(record) for record in records} == set(RECORD_TYPES), "a class without an example"
    with opened(kind, tmp_path) as sink:
        assert sink.store(records[:10]) == 10
        assert sink.store(records[10:]) == len(records)
        assert read(kind, tmp_path) == records, "also while the sink is open"
    again = read(kind, tmp_path)
    assert again == records
    assert [repr(record) for record in again] == [repr(record) for record in records], "to the last digit"


def test_decimals_keep_their_trailing_zeros(kind: str, tmp_path: Path) -> None:
    with opened(kind, tmp_path) as sink:
        sink.store(one_of_each())
    order = next(record for record in read(kind, tmp_path) if type(record).__name__ == "Order")
    assert (str(order.price), str(order.size)) == ("1.10", "0E-8")
    assert order.filled == Decimal("123456789012345678901234567890.123456789")


def test_files_rotate_and_numbers_go_on_over_restarts(kind: str, tmp_path: Path) -> None:
    records = trades(1000)
    for start in range(0, 1000, 250):
        with opened(kind, tmp_path, **SMALL[kind]) as sink:
            assert sink.acknowledged == start
            stored(sink, records[start : start + 250], 40)
            assert sink.stats().acknowledged == start + 250
            assert sink.stats().files >= (1 if start == 0 else 2)
    assert read(kind, tmp_path) == records
    assert read(kind, tmp_path, after=617) == records[617:]
    assert read(kind, tmp_path, after=1000) == []


def test_only_so_many_files_are_kept_and_the_newest_records_stay(kind: str, tmp_path: Path) -> None:
    keep = {"keep_days": 2} if kind == "parquet" else {"keep_files": 2}
    records = trades(1000, step=600_000_000_000)  # seven days
    with opened(kind, tmp_path, **SMALL[kind], **keep) as sink:
        stored(sink, records, 50)
        assert sink.stats().removed > 0
    kept = read(kind, tmp_path)
    assert 0 < len(kept) < 1000
    assert kept == records[-len(kept) :], "what is deleted is the oldest, whole"


def test_two_writers_are_refused(kind: str, tmp_path: Path) -> None:
    with opened(kind, tmp_path) as sink:
        sink.store(trades(3))
        with pytest.raises(ConfigError, match="another sink writes there"):
            opened(kind, tmp_path)
    with opened(kind, tmp_path) as sink:
        assert sink.store(trades(2, start=4)) == 5


def test_what_no_column_can_take_is_refused_whole(kind: str, tmp_path: Path) -> None:
    huge = Quote("a", "B/C", 0, 0, START, 1.0, 1.0, 2.0, 1.0, 1 << 63)
    with opened(kind, tmp_path) as sink:
        sink.store(trades(5))
        if kind == "jsonl":
            sink.store([huge])
            assert read(kind, tmp_path)[-1] == huge
            return
        with pytest.raises(ConfigError, match="64 bits"):
            sink.store([*trades(5, start=6), huge])
        assert sink.store(trades(5, start=6)) == 10
    assert read(kind, tmp_path) == trades(10)


def test_a_class_that_was_not_named_is_refused(tmp_path: Path) -> None:
    with SqliteSink(tmp_path / "x.sqlite", types=(Trade,)) as sink, pytest.raises(ConfigError, match="BookDelta"):
        sink.store([record for record in trades(20) if isinstance(record, BookDelta)])


def test_an_empty_sink_reads_empty(kind: str, tmp_path: Path) -> None:
    with opened(kind, tmp_path) as sink:
        assert sink.store([]) == 0
    assert read(kind, tmp_path) == []


def test_places_are_named_by_kind(tmp_path: Path) -> None:
    for place in (f"sqlite:{tmp_path}/x.sqlite", f"jsonl:{tmp_path}/lines"):
        with open_sink(place) as sink:
            sink.store(trades(10))
        assert list(read_records(place, after=4)) == trades(6, start=5)
    for wrong in ("x.sqlite", "csv:x", "sqlite:"):
        with pytest.raises(ConfigError, match="no place to store"):
            open_sink(wrong)
    with pytest.raises(ConfigError, match="does not exist"):
        list(read_records(f"sqlite:{tmp_path}/none.sqlite"))


# Lines of JSON


def test_a_torn_line_is_removed_and_counting_goes_on(tmp_path: Path) -> None:
    with JsonLinesSink(tmp_path) as sink:
        sink.store(trades(5))
    (file,) = tmp_path.glob("events-*.jsonl")
    whole = file.read_bytes()
    for cut in range(1, len(whole.splitlines(keepends=True)[-1])):
        file.write_bytes(whole[:-cut])
        assert list(read_jsonl(tmp_path)) == trades(4), cut
    with JsonLinesSink(tmp_path) as sink:
        assert sink.acknowledged == 4
        sink.store(trades(3, start=5))
    assert list(read_jsonl(tmp_path)) == trades(7)


def test_lines_are_the_contracts_json(tmp_path: Path) -> None:
    with JsonLinesSink(tmp_path) as sink:
        sink.store([Trade("toy", "BTC/USDT", 1, 2, 3, "7", 0.1, 5e-324, "sell")])
    (file,) = tmp_path.glob("events-*.jsonl")
    assert file.name == "events-000000000000001.jsonl"
    assert json.loads(file.read_text()) == {
        "type": "trade",
        "venue": "toy",
        "symbol": "BTC/USDT",
        "ts_event": 1,
        "ts_sent": 2,
        "ts_recv": 3,
        "id": "7",
        "price": 0.1,
        "size": 5e-324,
        "side": "sell",
    }


def test_finished_files_are_compressed_and_a_half_done_one_is_done_again(tmp_path: Path) -> None:
    with JsonLinesSink(tmp_path, file_bytes=3_000, compress=True) as sink:
        stored(sink, trades(100), 10)
    packed = sorted(tmp_path.glob("*.gz"))
    assert len(packed) > 2
    # A crash between the compressed file's name and the removal of the plain one, and another before that.
    twin = packed[0].with_suffix("")
    twin.write_bytes(gzip.decompress(packed[0].read_bytes()))
    (tmp_path / (packed[1].name + ".part")).write_bytes(b"half")
    second = packed[1].with_suffix("")
    second.write_bytes(gzip.decompress(packed[1].read_bytes()))
    packed[1].unlink()
    assert list(read_jsonl(tmp_path)) == trades(100)
    with JsonLinesSink(tmp_path, file_bytes=3_000, compress=True) as sink:
        assert sink.acknowledged == 100
    assert list(read_jsonl(tmp_path)) == trades(100)
    assert len(list(tmp_path.glob("*.jsonl"))) == 1


def test_a_line_that_is_damaged_is_named(tmp_path: Path) -> None:
    with JsonLinesSink(tmp_path) as sink:
        sink.store(trades(5))
    (file,) = tmp_path.glob("events-*.jsonl")
    lines = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(b"".join([*lines[:2], b"{}\n", *lines[3:]]))
    with pytest.raises(SinkError, match="line 3 is no record"):
        list(read_jsonl(tmp_path))


def test_a_failed_write_leaves_no_half_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = __import__("unitape.sinks.jsonl", fromlist=["_write"])._write

    def short(file: Any, data: bytes) -> None:
        real(file, data[: len(data) // 2])
        raise OSError(28, "No space left on device")

    with JsonLinesSink(tmp_path) as sink:
        sink.store(trades(5))
        monkeypatch.setattr("unitape.sinks.jsonl._write", short)
        with pytest.raises(SinkError, match="No space left"):
            sink.store(trades(5, start=6))
        assert sink.acknowledged == 5
        monkeypatch.setattr("unitape.sinks.jsonl._write", real)
        assert sink.store(trades(5, start=6)) == 10
    assert list(read_jsonl(tmp_path)) == trades(10)


# SQLite


def test_sql_sees_exact_numbers_and_a_number_for_every_record(tmp_path: Path) -> None:
    path = tmp_path / "signals.sqlite"
    with SqliteSink(path) as sink:
        sink.store(one_of_each())
    db = sqlite3.connect(path)
    assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    assert db.execute("SELECT n, price, size, side FROM trades WHERE venue = 'binance'").fetchall() == [
        (1, 0.1, 0.30000000000000004, "buy")
    ]
    assert db.execute("SELECT price, typeof(price) FROM orders").fetchall() == [("1.10", "text")]
    plan = db.execute("EXPLAIN QUERY PLAN SELECT * FROM trades WHERE venue = 'a' AND symbol = 'b'").fetchall()
    assert "trades_by_symbol" in str(plan)
    db.close()


def test_readers_do_not_stop_the_writer(tmp_path: Path) -> None:
    path = tmp_path / "signals.sqlite"
    with SqliteSink(path) as sink:
        sink.store(trades(10))
        reader = sqlite3.connect(path)
        cursor = reader.execute("SELECT n FROM trades")
        cursor.fetchone()
        assert sink.store(trades(10, start=11)) == 20
        cursor.close()
        reader.close()


def test_a_database_of_something_else_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "other.sqlite"
    db = sqlite3.connect(path)
    db.execute("CREATE TABLE mine (x)")
    db.commit()
    db.close()
    with pytest.raises(SinkError, match="something else"):
        SqliteSink(path)
    (tmp_path / "text.sqlite").write_text("no database at all, but long enough to be looked at" * 30)
    with pytest.raises(SinkError, match="not a database"):
        SqliteSink(tmp_path / "text.sqlite")


def test_numbers_go_on_in_a_database_that_a_crash_left_empty(tmp_path: Path) -> None:
    path = tmp_path / "signals.sqlite"
    with SqliteSink(path, file_bytes=190_000) as sink:
        stored(sink, trades(1000), 100)
        files = sorted(tmp_path.glob("*.sqlite"))
    assert len(files) >= 2
    (tmp_path / "signals-000000000001001.sqlite").write_bytes(b"")
    with SqliteSink(path, file_bytes=190_000) as sink:
        assert sink.acknowledged == 1000
        assert sink.store(trades(5, start=1001)) == 1005
    assert list(read_sqlite(path)) == trades(1005)


# Parquet


def test_duckdb_and_polars_read_the_partitions(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    duckdb = pytest.importorskip("duckdb")
    polars = pytest.importorskip("polars")
    records = [*trades(2000, step=60_000_000_000), *one_of_each()]
    with ParquetSink(tmp_path, segment=500) as sink:
        stored(sink, records, 90)
    kept = [record for record in records if isinstance(record, Trade)]
    expected = Counter((t.venue, t.symbol) for t in kept)
    long = {symbol for symbol in SYMBOLS if len(symbol) > 200}
    expected = Counter({key: count for key, count in expected.items() if key[1] not in long})
    query = f"""SELECT venue, symbol, count(*) FROM read_parquet('{tmp_path}/trades/**/*.parquet',
                hive_partitioning = true) GROUP BY ALL"""
    found = {(venue, symbol): count for venue, symbol, count in duckdb.sql(query).fetchall() if "~" not in symbol}
    assert found == dict(expected)
    total = duckdb.sql(f"SELECT sum(size) FROM read_parquet('{tmp_path}/trades/**/*.parquet')").fetchall()[0][0]
    assert total == pytest.approx(sum(t.size for t in kept), rel=1e-12)
    frame = polars.scan_parquet(f"{tmp_path}/trades/**/*.parquet", hive_partitioning=True)
    one = frame.filter((polars.col("venue") == "binance") & (polars.col("symbol") == "BTC/USDT")).sort("n").collect()
    wanted = [t for t in kept if t.venue == "binance" and t.symbol == "BTC/USDT"]
    assert one["price"].to_list() == [t.price for t in wanted]
    assert one["id"].to_list() == [t.id for t in wanted]
    assert len(set(one["day"].to_list())) == 2
    book = polars.scan_parquet(f"{tmp_path}/book_deltas/**/*.parquet").sort("n").collect()
    deltas = [record for record in records if isinstance(record, BookDelta)]
    assert [[(p["price"], p["size"]) for p in row] for row in book["bids"].to_list()] == [list(d.bids) for d in deltas]


def test_the_partitions_are_venue_symbol_and_day_of_arrival(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    with ParquetSink(tmp_path) as sink:
        sink.store([Trade("toy", "BTC/USDT:USDT", 0, 0, START + 86_400_000_000_000 - 1, None, 1.0, 1.0, "buy")])
        sink.store([Trade("toy", "BTC/USDT:USDT", START, 0, START + 86_400_000_000_000, None, 1.0, 1.0, "buy")])
    files = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.glob("trades/**/*.parquet"))
    assert files == [
        "trades/venue=toy/symbol=BTC%2FUSDT%3AUSDT/day=2026-11-06/part-000000000000001.parquet",
        "trades/venue=toy/symbol=BTC%2FUSDT%3AUSDT/day=2026-11-07/part-000000000000001.parquet",
    ]


def test_an_hour_or_a_day_ends_a_segment(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    minute = 60_000_000_000
    with ParquetSink(tmp_path, seconds=3600) as sink:
        for place in range(120):
            sink.store([Trade("toy", "A/B", 0, 0, START + place * minute, None, 1.0, 1.0, "buy")])
        assert len(list(tmp_path.glob("trades/**/*.parquet"))) == 1
        assert len(list(read_parquet(tmp_path))) == 120


def test_a_segment_that_a_crash_interrupted_appears_once(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    records = trades(300)
    with ParquetSink(tmp_path, segment=100) as sink:
        stored(sink, records, 10)
    # The crash came after some files of the second segment were named, and before the journal let it go.
    second = sorted(tmp_path.glob("**/part-000000000000101.parquet"))
    assert len(second) > 2
    second[0].unlink()
    with JsonLinesSink(tmp_path / "_journal") as journal:
        assert journal.acknowledged == 300
    left = tmp_path / "_journal" / "events-000000000000101.jsonl"
    with JsonLinesSink(tmp_path / "other") as other:
        other.store(records[100:200])
    (tmp_path / "other" / "events-000000000000001.jsonl").rename(left)
    assert sorted(map(repr, read_parquet(tmp_path))) == sorted(map(repr, records)), "whole for our reader"
    with ParquetSink(tmp_path, segment=100) as sink:
        assert sink.acknowledged == 300
    assert list(read_parquet(tmp_path)) == records
    assert second[0].exists()


def test_records_stay_safe_while_they_cannot_become_parquet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    pytest.importorskip("pyarrow")

    def full(self: object, *args: object) -> None:
        raise OSError(28, "No space left on device")

    with ParquetSink(tmp_path, segment=10) as sink:
        with monkeypatch.context() as patch:
            patch.setattr("unitape.sinks.parquet._Files._write_file", full)
            stored(sink, trades(25), 5)
            assert sink.acknowledged == 25
            assert list(read_parquet(tmp_path)) == trades(25)
        assert "No space left" in caplog.text
    assert list(read_parquet(tmp_path)) == trades(25)
    assert len(list(tmp_path.glob("_journal/events-*"))) == 1


def test_what_cannot_be_deleted_or_is_not_ours_does_not_stop_the_store(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    with opened("parquet", tmp_path, segment=10, keep_days=1) as sink:
        sink.store(span(0, 10))
        symbol = next((tmp_path / "tables" / "trades" / "venue=binance").iterdir())
        (symbol / "day=2020-01-01.bak").write_text("somebody's copy")
        (symbol / "day=2020-01-02").mkdir()
        (symbol / "day=2020-01-02" / "mine").mkdir()
        assert sink.store(span(10, 20)) == 20
    assert read("parquet", tmp_path) == span(0, 20)
    assert (symbol / "day=2020-01-01.bak").exists()


def test_one_record_from_the_future_deletes_no_days(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    good = [trade_on(day) for day in range(3)]
    with opened("parquet", tmp_path, segment=1, keep_days=3) as sink:
        for record in good[:2]:
            sink.store([record])
        # For a moment the machine's clock stood ten years ahead.
        sink.store([trade_on(3650)])
        sink.store([good[2]])
        kept = [record.ts_recv for record in read("parquet", tmp_path)]
    assert {good[1].ts_recv, good[2].ts_recv} <= set(kept), "at most one day less than was asked for"


def test_the_days_kept_are_counted_and_the_oldest_goes(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    with opened("parquet", tmp_path, segment=1, keep_days=2) as sink:
        for day in (0, 1, 2, 3):
            sink.store([trade_on(day)])
        assert sink.stats().removed == 2
        assert sink.stats().files == 2
    assert [record.ts_recv for record in read("parquet", tmp_path)] == [trade_on(2).ts_recv, trade_on(3).ts_recv]


def test_new_folders_are_on_disk_before_the_journal_lets_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pyarrow")
    with opened("parquet", tmp_path, segment=1_000) as sink:
        sink.store(span(0, 3))
        synced: list[Path] = []
        plain = os.fsync

        def fsync(descriptor: int) -> None:
            synced.append(Path(f"/proc/self/fd/{descriptor}").readlink())
            plain(descriptor)

        monkeypatch.setattr(os, "fsync", fsync)
        unlink = Path.unlink
        at_unlink: list[Path] = []

        def unlinking(path: Path, missing_ok: bool = False) -> None:
            at_unlink.extend(synced if path.name.startswith("events-") else ())
            unlink(path, missing_ok=missing_ok)

        monkeypatch.setattr(Path, "unlink", unlinking)
        sink.flush()
        monkeypatch.undo()
    for made in (tmp_path / "tables").glob("trades/venue=*/symbol=*/day=*"):
        for folder in (made, made.parent, made.parents[1], made.parents[2], made.parents[3]):
            assert folder in at_unlink, f"after a loss of power {folder.name} may not know what is in it"


def test_stats_may_be_asked_while_the_store_is_at_work(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    with opened("parquet", tmp_path, segment=5) as sink:
        done = threading.Event()

        def store() -> None:
            try:
                for at in range(0, 400, 5):
                    sink.store(span(at, at + 5))
            finally:
                done.set()

        thread = threading.Thread(target=store)
        thread.start()
        while not done.wait(0.002):
            assert sink.stats().files >= 0
        thread.join()
        files = list((tmp_path / "tables").rglob("part-*.parquet"))
        assert sink.stats().files == len(files) > 0


def test_a_database_that_could_not_be_begun_is_begun_at_the_next_try(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from unitape.sinks import sqlite as module

    with opened("sqlite", tmp_path, file_bytes=250_000) as sink:
        plain = module._Writer.create

        def full(*_: Any, **__: Any) -> Iterator[str]:
            raise sqlite3.OperationalError("database or disk is full")

        monkeypatch.setattr(module._Writer, "create", full)
        done = 0
        for at in range(0, 10_000, 200):
            try:
                done = sink.store(span(at, at + 200))
            except SinkError:
                break
        assert 0 < done < 10_000
        with pytest.raises(SinkError, match="full"):
            sink.store(span(done, done + 5))
        assert sink.acknowledged == done
        monkeypatch.setattr(module._Writer, "create", plain)
        assert sink.store(span(done, done + 5)) == done + 5
        assert sink.stats().files == 2
    assert read("sqlite", tmp_path) == span(0, done + 5)


def trade_on(day: int) -> Trade:
    return Trade("binance", "BTC/USDT", START, START, START + day * 86_400_000_000_000, None, 1.0, 1.0, "buy")


def span(start: int, end: int) -> list[EventHead]:
    return trades(end - start, start=start + 1)
