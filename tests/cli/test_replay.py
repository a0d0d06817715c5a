"""``unitape replay`` on recordings."""

from __future__ import annotations

import gzip
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.recordings import RECORDINGS, needs_recordings

TOY = ("--venue", "pebble", "--market", "spot")
SESSION = [
    "T BTC-EUR 17 1723075200.125 63001.5 25 B",
    "I BTC-EUR 100 63000:5,62999:2 63001:7",
    "D BTC-EUR 101 63000:0 -",
    "D BTC-EUR 102 62999:4 63001:1,63002:9",
]


def summary(done) -> dict:
    return json.loads(done.lines[-1])


def rows(tmp_path, *frames: str):
    path = tmp_path / "session.jsonl"
    lines = [{"ts": 1_000 + n, "dir": "in", "kind": "ws", "payload": frame} for n, frame in enumerate(frames)]
    path.write_text("\n".join(map(json.dumps, lines)))
    return path


def test_the_last_line_is_the_summary(run, tmp_path, toy):
    done = run("replay", rows(tmp_path, *SESSION), *TOY, "--books")
    assert (done.status, done.err) == (0, "")
    assert done.lines == [
        (
            '{"venue":"pebble","market":"spot","events":{"trade":1,"book_snapshot":1,"book_delta":2},"gaps":0,"resyncs":0,'
            '"crossed":0,"undecoded":0,"books":{"BTC/EUR":{"bid":[62999.0,0.04],"ask":[63001.0,0.01],"seq":102}}}'
        )
    ]


def test_events_are_printed_without_books_or_when_asked_for(run, tmp_path, toy):
    path = rows(tmp_path, *SESSION)
    kinds = ["trade", "book_snapshot", "book_delta", "book_delta"]
    assert [json.loads(line)["type"] for line in run("replay", path, *TOY).lines] == kinds
    both = run("replay", path, *TOY, "--books", "--events").lines
    assert [json.loads(line).get("type") for line in both] == [*kinds, None]


def test_a_gap_a_resync_and_a_crossing_are_counted(run, tmp_path, toy):
    done = run(
        "replay",
        rows(
            tmp_path,
            *SESSION,
            "D BTC-EUR 104 62998:4 -",
            "I BTC-EUR 110 63000:5 63001:7",
            "D BTC-EUR 111 63005:1 -",
            "I BTC-EUR 120 63000:5 63001:7",
            "I BTC-EUR 130 63002:5 63001:7",
            "nonsense",
        ),
        *TOY,
        "--books",
    )
    assert done.status == 1
    assert done.err.startswith("line 10: ")
    found = summary(done)
    assert (found["gaps"], found["resyncs"], found["crossed"], found["undecoded"]) == (1, 2, 2, 1)
    assert found["books"]["BTC/EUR"] == {"bid": [63000.0, 0.05], "ask": [63001.0, 0.07], "seq": 120}


def test_a_recording_without_venue_says_what_to_add(run, tmp_path):
    done = run("replay", rows(tmp_path, *SESSION), "--books")
    assert (done.status, len(done.err.splitlines())) == (2, 1)
    assert "--venue" in done.err


def _events(file: str) -> tuple[list[dict], int, int]:
    """Read a recording by hand: its diffs, and the snapshot's number and place among them."""
    assert RECORDINGS is not None
    diffs, number, place = [], 0, 0
    with gzip.open(RECORDINGS / file, "rt") as lines:
        for line in lines:
            row = json.loads(line)
            if row["kind"] == "http":
                number, place = row["payload"]["lastUpdateId"], len(diffs)
            elif row["payload"]["data"].get("e") == "depthUpdate":
                diffs.append(row["payload"]["data"])
    return diffs, number, place


@needs_recordings
@pytest.mark.parametrize(
    ("market", "file", "counts"),
    [
        ("spot", "binance-spot/hftbacktest/btcusdt_20240808.jsonl.gz", {"trade": 9757, "quote": 28040}),
        ("futures", "binance-usdm/hftbacktest/btcusdt_20240808.jsonl.gz", {"trade": 21313, "quote": 66089}),
    ],
)
def test_a_recorded_hour_comes_out_whole(run, market, file, counts):
    assert RECORDINGS is not None
    diffs, number, place = _events(file)
    assert place > 0, "the snapshot came after the first updates"
    stale = sum(diff["u"] <= number if market == "spot" else diff["u"] < number for diff in diffs)
    done = run("replay", RECORDINGS / file, "--venue", "binance", "--market", market, "--books")
    assert (done.status, done.err) == (0, "")
    found = summary(done)
    assert found["events"] == {**counts, "book_snapshot": 1, "book_delta": len(diffs) - stale}
    assert (found["gaps"], found["resyncs"], found["crossed"], found["undecoded"]) == (0, 0, 0, 0)
    ((symbol, top),) = found["books"].items()
    assert symbol == ("BTC/USDT" if market == "spot" else "BTC/USDT:USDT")
    assert top["seq"] == diffs[-1]["u"]
    assert 60_000 < top["bid"][0] < top["ask"][0] < 63_000


@needs_recordings
@pytest.mark.parametrize(
    ("market", "file", "symbols"),
    [
        ("spot", "binance-spot/cryptofeed/session-blzeth-nknusdt.jsonl.gz", {"NKNUSDT", "BLZETH"}),
        ("usdm", "binance-usdm/cryptofeed/session-akrousdt-sushiusdt.jsonl.gz", {"SUSHIUSDT", "AKROUSDT"}),
    ],
)
def test_two_books_on_one_connection_join_each_with_its_own_snapshot(run, market, file, symbols):
    assert RECORDINGS is not None
    done = run("replay", RECORDINGS / file, "--venue", "binance", "--market", market, "--books")
    assert done.status == 0
    found = summary(done)
    assert found["events"]["book_snapshot"] == 2
    assert set(found["books"]) == symbols
    assert (found["gaps"], found["crossed"], found["undecoded"]) == (0, 0, 0)
    assert all(symbol in done.err for symbol in symbols), "unlisted symbols keep their spelling, said once"


@needs_recordings
def test_a_missing_update_is_a_gap(run, tmp_path):
    assert RECORDINGS is not None
    with gzip.open(RECORDINGS / "binance-spot/hftbacktest/btcusdt_20240808.jsonl.gz", "rt") as lines:
        kept = lines.readlines()[:2_000]
    depth = [n for n, line in enumerate(kept) if "@depth" in line]
    path = tmp_path / "cut.jsonl"
    path.write_text("".join(line for n, line in enumerate(kept) if n != depth[50]))
    found = summary(run("replay", path, "--venue", "binance", "--market", "spot", "--books"))
    assert found["gaps"] == 1
    path.write_text("".join(kept))
    assert summary(run("replay", path, "--venue", "binance", "--market", "spot", "--books"))["gaps"] == 0


def test_long_work_shows_its_progress_on_a_terminal_only():
    pty = pytest.importorskip("pty")
    cassette = Path(__file__).resolve().parents[2] / "cassettes" / "binance" / "demo.tape"
    outer, inner = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "unitape", "verify", str(cassette)], stdout=subprocess.PIPE, stderr=inner
    )
    os.close(inner)
    shown = b""
    try:
        while data := os.read(outer, 65_536):
            shown += data
    except OSError:
        pass
    os.close(outer)
    out, _ = process.communicate(timeout=30)
    assert process.returncode == 0
    assert b"verifying" in shown
    assert re.search(rb"[\d,]+ records", shown)
    assert b"\x1b" not in out
