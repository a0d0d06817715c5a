"""The container: a recorder that dies at any byte, damage, bounds."""

from __future__ import annotations

import random
import zlib
from pathlib import Path

import msgspec
import pytest

from unitape.errors import ConfigError, TapeError
from unitape.feed.inputs import Closed, Connect, Fetch, Frame, Opened, Response, Send, Subscribe, Tick
from unitape.spi import HttpRequest, HttpResponse
from unitape.tape.format import MAGIC, FeedHeader
from unitape.tape.record import Recorder
from unitape.tape.tape import Tape, is_tape
from unitape_schemas import Subscription

HEADER = FeedHeader("pebble", "spot", 1_000)
SECOND = 1_000_000_000

RECORDS = [
    Subscribe(1 * SECOND, 10, (Subscription("trades", "BTC/EUR"), Subscription("candles", "BTC/EUR", "1m"))),
    Connect(0, "public"),
    Opened(2 * SECOND, 20, 0),
    Send(0, b"SUB 1 trades BTC-EUR"),
    Frame(3 * SECOND, 30, 0, b"OK 1"),
    Frame(4 * SECOND, 40, 0, b"\x00\xff\xfebinary", text=False),
    Fetch(1, "depth", HttpRequest("GET", "/depth", "symbol=A"), 0.5),
    Response(5 * SECOND, 50, 1, HttpResponse(200, b"{}", (("etag", "x"),))),
    Tick(6 * SECOND, 60),
    Closed(7 * SECOND, 70, 0, "gone", 1006),
]


def write(path: Path, records=RECORDS, **settings) -> None:
    with Recorder(path, **settings) as recorder:
        feed = recorder.feed(HEADER)
        for record in records:
            if hasattr(record, "ts"):
                feed.tap(record)
            else:
                feed.on_command(record)


def test_what_was_recorded_is_read_back(tmp_path):
    path = tmp_path / "a.tape"
    write(path)
    tape = Tape(path)
    assert [record for _, record in tape.records()] == RECORDS
    assert {feed for feed, _ in tape.records()} == {0}
    assert (tape.header.venue, tape.header.market, tape.ended, tape.truncated_at) == ("pebble", "spot", True, None)
    assert tape.records_count == len(RECORDS)
    assert is_tape(path)


def test_a_recorder_killed_at_any_byte_leaves_a_tape_that_opens_and_says_where_it_ends(tmp_path):
    whole = tmp_path / "whole.tape"
    write(whole)
    data = whole.read_bytes()
    ends = [block.end for block in Tape(whole).blocks()]
    assert len(ends) > 5, "each second of recorded time is a block of its own"
    cut = tmp_path / "cut.tape"
    for size in range(len(data)):
        cut.write_bytes(data[:size])
        tape = Tape(cut)
        kept = [record for _, record in tape.records()]
        assert kept == RECORDS[: len(kept)], f"cut at byte {size}"
        last = max((end for end in ends if end <= size), default=len(MAGIC) if size >= len(MAGIC) else 0)
        assert tape.truncated_at == last, f"cut at byte {size}"
        assert not tape.ended
    cut.write_bytes(data)
    assert Tape(cut).truncated_at is None


def test_what_a_killed_recorder_loses_is_at_most_the_last_second(tmp_path):
    path = tmp_path / "a.tape"
    recorder = Recorder(path)
    feed = recorder.feed(HEADER)
    for tenth in range(100):
        feed.tap(Tick(tenth * SECOND // 10, tenth))
    kept = [record.mono for _, record in Tape(path).records()]
    assert len(kept) >= 89
    assert kept == list(range(len(kept)))
    recorder.close()
    assert Tape(path).records_count == 100


def test_a_tape_without_a_header_opens_and_says_so(tmp_path):
    path = tmp_path / "a.tape"
    path.write_bytes(MAGIC[:3])
    tape = Tape(path)
    assert tape.truncated_at == 0
    assert list(tape.records()) == []
    with pytest.raises(TapeError, match="nothing was recorded"):
        _ = tape.header


def test_zeros_behind_the_last_block_are_a_cut_and_not_damage(tmp_path):
    path = tmp_path / "a.tape"
    write(path)
    blocks = list(Tape(path).blocks())
    path.write_bytes(path.read_bytes()[: blocks[-1].offset] + bytes(4096))
    tape = Tape(path)
    assert tape.truncated_at == blocks[-1].offset
    assert [record for _, record in tape.records()] == RECORDS


def test_every_flipped_bit_is_noticed(tmp_path):
    path = tmp_path / "a.tape"
    write(path)
    data = path.read_bytes()
    blocks = list(Tape(path).blocks())
    for at in range(len(MAGIC), len(data)):
        broken = bytearray(data)
        broken[at] ^= 1 << (at % 8)
        path.write_bytes(broken)
        hit = next(block for block in blocks if block.offset <= at < block.end)
        with pytest.raises(TapeError) as caught:
            Tape(path)
        assert caught.value.offset == hit.offset, f"bit {at % 8} of byte {at}"


def test_repair_reads_everything_but_the_damaged_block(tmp_path):
    path = tmp_path / "a.tape"
    write(path)
    blocks = [block for block in Tape(path).blocks() if block.kind == "R"]
    broken = bytearray(path.read_bytes())
    broken[blocks[2].offset + 30] ^= 0xFF
    path.write_bytes(broken)
    tape = Tape(path, repair=True)
    lost = blocks[2].count
    before = sum(block.count for block in blocks[:2])
    assert [record for _, record in tape.records()] == RECORDS[:before] + RECORDS[before + lost :]
    assert [error.offset for error in tape.errors] == [blocks[2].offset]
    assert tape.ended


def test_garbage_after_the_magic_word_never_crashes(tmp_path):
    path = tmp_path / "a.tape"
    seed = 20261121
    generator = random.Random(seed)
    write(path)
    data = path.read_bytes()
    for round_ in range(300):
        broken = bytearray(data)
        for _ in range(generator.randrange(1, 12)):
            at = generator.randrange(len(MAGIC), len(broken))
            broken[at : at + generator.randrange(3)] = generator.randbytes(generator.randrange(4))
        path.write_bytes(broken)
        tape = Tape(path, repair=True)
        whole = [msgspec.msgpack.encode(record) for record in RECORDS]
        for _, record in tape.records():
            assert msgspec.msgpack.encode(record) in whole, f"seed {seed} round {round_}"


def test_a_file_that_is_no_tape_is_refused(tmp_path):
    path = tmp_path / "a.tape"
    path.write_bytes(b"UNITAR and so on")
    with pytest.raises(TapeError, match="not a tape"):
        Tape(path)


def test_a_hostile_block_cannot_ask_for_all_memory(tmp_path, monkeypatch):
    monkeypatch.setattr("unitape.tape.format.MAX_PAYLOAD", 1_000_000)
    path = tmp_path / "a.tape"
    write(path)
    from unitape.tape.format import encode_block

    blocks = list(Tape(path).blocks())
    bomb = encode_block("R", zlib.compress(bytes(50_000_000), 9), 1)
    path.write_bytes(path.read_bytes()[: blocks[-1].offset] + bomb)
    with pytest.raises(TapeError, match="unpacks to more"):
        list(Tape(path).records())


def test_a_newer_schema_is_refused_with_what_to_do(tmp_path):
    path = tmp_path / "a.tape"
    with Recorder(path) as recorder:
        recorder.feed(msgspec.structs.replace(HEADER, schema_version=999))
    with pytest.raises(TapeError, match="upgrade"):
        Tape(path)


def test_two_feeds_share_one_timeline(tmp_path):
    path = tmp_path / "a.tape"
    with Recorder(path) as recorder:
        one = recorder.feed(HEADER)
        two = recorder.feed(msgspec.structs.replace(HEADER, market="perp"))
        one.tap(Tick(1, 1))
        two.tap(Tick(2, 2))
        one.tap(Tick(3, 3))
    tape = Tape(path)
    assert [header.market for header in tape.feeds] == ["spot", "perp"]
    assert [(feed, record.mono) for feed, record in tape.records()] == [(0, 1), (1, 2), (0, 3)]


def test_a_recorder_holds_a_bounded_amount(tmp_path):
    recorder = Recorder(tmp_path / "a.tape")
    feed = recorder.feed(HEADER)
    for number in range(2_000):
        feed.tap(Frame(1, 1, 0, bytes(3_000) + number.to_bytes(4, "big")))
        assert recorder._size <= 140_000
    recorder.close()
    assert Tape(tmp_path / "a.tape").records_count == 2_000


def test_a_full_disk_stops_the_recording_and_not_the_feed(tmp_path, monkeypatch):
    path = tmp_path / "a.tape"
    recorder = Recorder(path)
    feed = recorder.feed(HEADER)
    feed.tap(Tick(1 * SECOND, 1))
    feed.tap(Tick(3 * SECOND, 2))

    class Full:
        def __init__(self, real):
            self.real = real

        def write(self, data):
            self.real.write(bytes(data[:10]))
            raise OSError(28, "No space left on device")

        def fileno(self):
            return self.real.fileno()

        def close(self):
            self.real.close()

    monkeypatch.setattr(recorder, "_file", Full(recorder._file))
    feed.tap(Tick(4 * SECOND, 3))
    feed.tap(Tick(6 * SECOND, 4))
    feed.tap(Tick(9 * SECOND, 5))
    assert recorder.failure is not None
    with pytest.raises(OSError, match="No space left"):
        recorder.close()
    tape = Tape(path)
    assert [record.mono for _, record in tape.records()] == [1, 2]
    assert tape.truncated_at == tape.end < path.stat().st_size


def test_a_tape_is_not_overwritten_unasked(tmp_path):
    path = tmp_path / "a.tape"
    write(path)
    with pytest.raises(ConfigError, match="--overwrite"):
        Recorder(path)
    write(path, RECORDS[:1], overwrite=True)
    assert Tape(path).records_count == 1


def test_closing_twice_and_recording_afterwards_do_nothing(tmp_path):
    path = tmp_path / "a.tape"
    recorder = Recorder(path)
    feed = recorder.feed(HEADER)
    recorder.close()
    size = path.stat().st_size
    recorder.close()
    feed.tap(Tick(1, 1))
    assert path.stat().st_size == size
