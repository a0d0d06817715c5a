"""``unitape decode``."""

from __future__ import annotations

import gzip
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

LINES = [
    "T BTC-EUR 17 1723075200.125 63001.5 25 B",
    "I BTC-EUR 100 63000:5,62999:2 63001:7",
    "D BTC-EUR 101 63000:0 -",
    "T BTC-EUR 18 1723075200.250 63002 1 S",
]
TOY = ("--venue", "pebble", "--market", "spot")


@pytest.fixture
def frames(tmp_path, toy):
    path = tmp_path / "frames.txt"
    path.write_text("\n".join(LINES) + "\n")
    return path


def test_bare_frames_become_unified_events(run, frames):
    done = run("decode", *TOY, frames)
    assert (done.status, done.err) == (0, "")
    events = [json.loads(line) for line in done.lines]
    assert events[0] == {
        "type": "trade",
        "venue": "pebble",
        "symbol": "BTC/EUR",
        "ts_event": 1_723_075_200_125_000_000,
        "ts_sent": 0,
        "ts_recv": 0,
        "id": "17",
        "price": 63001.5,
        "size": 0.25,
        "side": "buy",
    }
    assert [(event["type"], event.get("epoch")) for event in events[1:3]] == [("book_snapshot", 0), ("book_delta", 0)]
    assert events[1]["bids"] == [[63000.0, 0.05], [62999.0, 0.02]]
    assert events[2]["bids"] == [[63000.0, 0.0]]


def test_rows_bring_their_time_and_what_we_sent_is_passed_over(run, tmp_path, toy):
    path = tmp_path / "rows.jsonl.gz"
    rows = [
        {"ts": 5, "dir": "out", "kind": "ws", "payload": "SUB 1 trades BTC-EUR"},
        {"ts": 1723161253937085768, "dir": "in", "kind": "ws", "payload": LINES[0]},
    ]
    path.write_bytes(gzip.compress("\n".join(map(json.dumps, rows)).encode()))
    done = run("decode", *TOY, path)
    assert (done.status, done.err) == (0, "")
    (event,) = map(json.loads, done.lines)
    assert event["ts_recv"] == 1723161253937085768


def test_undecodable_frames_are_named_by_line_and_the_rest_is_decoded(run, tmp_path, toy):
    path = tmp_path / "frames.txt"
    path.write_text("\n".join([LINES[0], "X what is this", "", "T BTC-EUR 18 soon 1 1 B", LINES[3]]))
    done = run("decode", *TOY, path)
    assert done.status == 1
    assert [json.loads(line)["id"] for line in done.lines] == ["17", "18"]
    errors = done.err.splitlines()
    assert errors[0].startswith("line 2: ")
    assert "unknown line 'X'" in errors[0]
    assert errors[1].startswith("line 4: ")
    assert errors[2] == "2 of 4 messages could not be decoded"


def test_standard_input_is_read(run, monkeypatch, toy):
    class Stdin:
        buffer = io.BufferedReader(io.BytesIO(gzip.compress(LINES[0].encode())))

    monkeypatch.setattr(sys, "stdin", Stdin)
    done = run("decode", *TOY)
    assert (done.status, len(done.lines)) == (0, 1)


def test_an_instrument_list_is_used_and_unknown_symbols_are_named_once(run, tmp_path, frames):
    listing = tmp_path / "pairs"
    listing.write_bytes(b"BTC-EUR,0.5,0.001,open")
    done = run("decode", *TOY, "--instruments", listing, frames)
    assert json.loads(done.lines[0])["size"] == 0.025
    listing.write_bytes(b"ETH-EUR,0.5,0.001,open")
    done = run("decode", *TOY, "--instruments", listing, frames)
    assert done.status == 1
    assert "lot size of BTC-EUR is not known" in done.err


def test_our_own_instrument_list_is_read_too(run, tmp_path, frames):
    import msgspec

    from tests.toy.pebble import read_pairs

    ours = read_pairs(b"BTC-EUR,0.5,0.1,open", 0)
    for text in (msgspec.json.encode(ours), b"\n".join(map(msgspec.json.encode, ours))):
        listing = tmp_path / "ours.json"
        listing.write_bytes(text)
        assert json.loads(run("decode", *TOY, "--instruments", listing, frames).lines[0])["size"] == 2.5


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--venue", "nix", "--market", "spot", "x"), "no venue 'nix' is installed"),
        (("--venue", "pebble", "--market", "moon", "x"), "has no market 'moon'; it has spot"),
        ((*TOY, "/does/not/exist"), "/does/not/exist: No such file"),
        ((*TOY, "--instruments", "/does/not/exist", "x"), "/does/not/exist: No such file"),
        (("--market", "spot"), "required: --venue"),
        ((*TOY, "--nonsense"), "unrecognized arguments: --nonsense"),
    ],
)
def test_a_wrong_call_is_one_line_and_status_2(run, toy, words, said):
    done = run("decode", *words)
    assert done.status == 2
    assert said in done.err
    assert len(done.err.splitlines()) == 1
    assert done.out == ""


def test_a_file_that_is_no_instrument_list_says_so(run, tmp_path, frames):
    listing = tmp_path / "pairs"
    listing.write_bytes(b"<html>")
    done = run("decode", *TOY, "--instruments", listing, frames)
    assert (done.status, len(done.err.splitlines())) == (2, 1)
    assert "no instrument list of pebble spot" in done.err


def test_a_reader_that_leaves_is_no_error(tmp_path):
    program = (
        "import sys; from importlib.metadata import EntryPoint; from unitape import registry, cli\n"
        "registry._entries = lambda: {'pebble': EntryPoint('pebble', 'tests.toy.pebble:VENUE', registry.GROUP)}\n"
        "sys.exit(cli.main(sys.argv[1:]))"
    )
    path = tmp_path / "many.txt"
    path.write_text((LINES[0] + "\n") * 50_000)
    process = subprocess.Popen(
        [sys.executable, "-c", program, "decode", *TOY, str(path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(Path.cwd())},
    )
    assert process.stdout is not None
    assert process.stderr is not None
    assert process.stdout.readline().startswith(b'{"type":"trade"')
    process.stdout.close()
    assert process.stderr.read() == b""
    process.stderr.close()
    assert process.wait(30) == 0


@pytest.mark.parametrize("command", [("decode",), ("replay", "--books")])
def test_an_empty_file_is_no_error_but_said(run, tmp_path, toy, command):
    path = tmp_path / "empty.jsonl"
    path.write_text("\n")
    done = run(*command, *TOY, path)
    assert (done.status, done.err) == (0, f"note: {path} holds nothing from the venue\n")
