"""``verify`` finds what is missing, by the venue's own numbers."""

from __future__ import annotations

from pathlib import Path

from tests.tape.conftest import BOOK, SECOND, TRADES, Session, record
from tests.toy.pebble import MARKET
from unitape.feed.inputs import Frame, Opened, Subscribe
from unitape.tape.format import FeedHeader
from unitape.tape.proof import verify
from unitape.tape.record import Recorder
from unitape.tape.tape import Tape


def check(path: Path):
    return verify(str(path), market=lambda header: MARKET)


def clean(path: Path, *, trades: int = 50, skip: frozenset[int] = frozenset()) -> None:
    session = Session(path)
    session.put(Subscribe, (TRADES, BOOK))
    session.put(Opened, session.conn)
    session.frames("OK 1", "OK 2", "I BTC-EUR 100 63000:5,62999:2 63001:7")
    for number in range(trades):
        if number not in skip:
            session.frames(f"T BTC-EUR {number} {1723075200 + number} 63001 1 B")
        session.frames(f"D BTC-EUR {101 + number} 63000:{number + 1} -")
    session.recorder.close()


def stream(report, channel: str):
    return next(s for s in report.streams if s.channel == channel)


def test_a_whole_tape_is_proved_whole(tmp_path):
    path = tmp_path / "a.tape"
    clean(path)
    report = check(path)
    assert report.whole
    trades, book = stream(report, "trades"), stream(report, "book")
    assert (trades.events, trades.messages, trades.breaks, trades.missing, trades.last_seq) == (50, 50, 0, 0, "49")
    assert (book.events, book.messages, book.breaks, book.last_seq) == (51, 51, 0, 150)
    assert (report.truncated_at, report.damaged_at, report.undecoded, report.diverged) == (None, [], 0, None)
    assert trades.last_ts - trades.first_ts > 0.9 * SECOND


def test_every_single_lost_frame_but_the_last_is_noticed(tmp_path):
    path = tmp_path / "a.tape"
    clean(path, trades=12)
    tape = Tape(path)
    records = [record for _, record in tape.records()]
    data = [n for n, item in enumerate(records) if isinstance(item, Frame) and item.data[:2] in (b"T ", b"D ")]
    last = {b"T ": max(n for n in data if records[n].data[:1] == b"T"), b"D ": max(data)}
    first_trade = min(n for n in data if records[n].data[:1] == b"T")
    for lost in data:
        cut = tmp_path / f"{lost}.tape"
        with Recorder(cut) as recorder:
            tap = recorder.feed(tape.header)
            for n, item in enumerate(records):
                if n == lost:
                    continue
                (tap.tap if hasattr(item, "ts") else tap.on_command)(item)
        report = check(cut)
        provable = lost not in last.values() and lost != first_trade
        assert report.whole is not provable, f"frame {lost}: {records[lost].data!r}"
        if provable:
            hit = stream(report, "trades" if records[lost].data[:1] == b"T" else "book")
            assert hit.breaks == 1


def test_missing_trades_are_counted(tmp_path):
    path = tmp_path / "a.tape"
    clean(path, skip=frozenset({7, 20, 21, 22}))
    report = check(path)
    trades = stream(report, "trades")
    assert (trades.breaks, trades.missing, trades.messages) == (2, 4, 46)
    assert trades.told > 0
    assert not report.whole
    assert stream(report, "book").breaks == 0


def test_a_killed_recorders_tape_is_whole_as_far_as_it_goes(tmp_path):
    path = tmp_path / "a.tape"
    clean(path, trades=400)
    path.write_bytes(path.read_bytes()[:-60])
    report = check(path)
    assert report.truncated_at is not None
    assert report.whole


def test_damage_is_named_and_what_it_held_is_missed(tmp_path):
    path = tmp_path / "a.tape"
    clean(path, trades=400)
    blocks = [block for block in Tape(path).blocks() if block.kind == "R"]
    broken = bytearray(path.read_bytes())
    broken[blocks[2].offset + 40] ^= 1
    path.write_bytes(broken)
    report = check(path)
    assert report.damaged_at == [blocks[2].offset]
    assert not report.whole
    assert (stream(report, "trades").breaks, stream(report, "book").breaks) == (1, 1)


def test_a_new_connection_begins_its_numbers_anew_and_bad_frames_are_counted(tmp_path):
    path = tmp_path / "a.tape"
    record(path)
    report = check(path)
    assert report.undecoded == 1
    assert stream(report, "book").breaks == 1
    assert stream(report, "trades").missing == 5


def test_an_empty_tape_is_whole(tmp_path):
    path = tmp_path / "a.tape"
    with Recorder(path) as recorder:
        recorder.feed(FeedHeader("pebble", "spot", 1))
    assert check(path).whole
    assert check(path).streams == []
