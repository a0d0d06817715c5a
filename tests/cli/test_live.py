"""The live commands against simulated venues on loopback sockets, each in a process of its own."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time

import msgspec
import pytest

from unitape.spi import Endpoint, Instruments
from unitape.tape.tape import Tape
from unitape_schemas import Event, Instrument

UNITAPE = [sys.executable, "-m", "unitape"]


def command(*words: object, within: float = 60.0) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*UNITAPE, *map(str, words)], capture_output=True, text=True, timeout=within, check=False)


def test_stream_piped_prints_the_unified_events_as_json():
    done = command(
        "stream", "binance", "--sim", "--seed", 3, "-s", "BTC/USDT", "BTC/USDT:USDT",
        "-c", "trades", "book", "quotes", "--seconds", 5,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    decoder = msgspec.json.Decoder(Event)
    events = [decoder.decode(line) for line in done.stdout.splitlines()]
    seen = {(type(event).__name__, event.symbol) for event in events}
    for symbol in ("BTC/USDT", "BTC/USDT:USDT"):
        assert {("Trade", symbol), ("BookSnapshot", symbol), ("BookDelta", symbol), ("Quote", symbol)} <= seen
    first = next(n for n, event in enumerate(events) if type(event).__name__ == "BookDelta")
    snapshot = next(n for n, event in enumerate(events) if type(event).__name__ == "BookSnapshot")
    assert snapshot < first


def test_stream_ends_at_its_limit():
    done = command("stream", "binance", "--sim", "--limit", 7, "--no-status")
    assert done.returncode == 0
    assert [json.loads(line)["type"] for line in done.stdout.splitlines()] == ["trade"] * 7


def test_stream_says_what_was_refused_and_goes_on():
    done = command("stream", "binance", "--sim", "-c", "trades", "funding", "--limit", 5, "--no-status")
    assert (done.returncode, len(done.stdout.splitlines())) == (0, 5)
    assert re.search(r"funding BTC/USDT.*no channel 'funding'", done.stderr)


@pytest.mark.parametrize(
    ("words", "said", "status"),
    [
        (("stream", "binance", "--sim", "-s", "NOPE/NOPE"), "NOPE/NOPE", 2),
        (("stream", "nix"), "no venue 'nix'", 2),
        (("stream", "binance", "--env", "moon"), "no environment 'moon'; it has", 2),
        (("stream", "binance", "--seconds", "-1"), "not a positive number of seconds", 2),
        (("stream", "binance", "-c", "nonsense"), "invalid choice: 'nonsense'", 2),
        (("record", "binance", "--sim"), "required: -o", 2),
        (("verify", "/does/not/exist"), "/does/not/exist: No such file", 2),
        (("verify", __file__), "is not a tape", 1),
        (("sim", "binance", "--port", "65535"), "leaves no room", 2),
        (("demo", "--tape", "/none.tape"), "/none.tape: No such file", 2),
    ],
)
def test_errors_are_one_line_that_says_what_to_do(run, words, said, status):
    done = run(*words)
    assert done.status == status
    assert said in done.err
    assert len(done.err.splitlines()) == 1


def test_watch_prints_a_line_per_row_and_second_and_a_summary():
    done = command("watch", "binance", "--sim", "--seconds", 4)
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    rows = [line for line in lines if " bid " in line]
    assert {"BTC/USDT", "BTC/USDT:USDT"} == {row.split()[3] for row in rows}
    assert re.search(r"bid +[\d,.]+ +ask +[\d,.]+ +spread +[\d.]+bp", rows[-1])
    assert any(line.startswith("summary: ") for line in lines)
    assert "2 joined, 0 crossed, 0 gaps" in done.stdout


def start(*words: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*UNITAPE, *map(str, words)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )


def test_ctrl_c_ends_a_stream_with_130_and_no_word():
    process = start("stream", "binance", "--sim", "--json")
    assert process.stdout is not None
    assert json.loads(process.stdout.readline())["type"] == "status"
    os.kill(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    assert (process.returncode, errors) == (130, "")


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_an_interrupted_recorder_leaves_a_tape_that_replays(tmp_path, run, how):
    path = tmp_path / "session.tape"
    process = start("record", "binance", "--sim", "-o", path, "-s", "BTC/USDT", "BTC/USDT:USDT", "-c", "trades", "book")
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and (not path.exists() or path.stat().st_size < 12_000):
        time.sleep(0.05)
    os.kill(process.pid, how)
    _, errors = process.communicate(timeout=30)
    tape = Tape(path)
    if how is signal.SIGINT:
        assert process.returncode == 130
        assert re.fullmatch(rf"{re.escape(str(path))}: [\d,]+ records, [\d,]+ bytes, [\d,]+ events\n", errors)
        assert tape.truncated_at is None
    else:
        assert tape.truncated_at is not None
    done = run("replay", path, "--books")
    assert done.status == 0
    assert [(s["market"], s["gaps"], s["crossed"], s["undecoded"]) for s in map(json.loads, done.lines)] == [
        ("spot", 0, 0, 0),
        ("usdm", 0, 0, 0),
    ]
    checked = run("verify", path)
    assert checked.status == 0, checked.out
    assert "nothing is missing" in checked.out
    assert ("did not finish" in checked.out) is (how is signal.SIGKILL)
    assert "asks for other things" not in checked.err, "a replay asks for what the recording asked for"


def test_a_recording_gives_the_events_that_were_live(tmp_path, run):
    path = tmp_path / "session.tape"
    done = command("record", "binance", "--sim", "--seconds", 3, "-o", path)
    assert done.returncode == 0
    counted = int(re.search(r"([\d,]+) events", done.stderr)[1].replace(",", ""))
    replayed = run("replay", path).lines
    assert len(replayed) == counted
    report = json.loads(run("verify", path, "--json").out)
    assert (report["whole"], report["diverged"]) == (True, None)
    again = command("record", "binance", "--sim", "--seconds", 1, "-o", path)
    assert (again.returncode, len(again.stderr.splitlines())) == (2, 1)
    assert "--overwrite" in again.stderr


def test_a_recording_that_never_began_leaves_no_file_in_the_way(tmp_path, run):
    path = tmp_path / "session.tape"
    done = run("record", "binance", "--sim", "--seconds", "1", "-s", "NOPE/USDT", "-o", path)
    assert (done.status, path.exists()) == (2, False)
    assert "no instrument 'NOPE/USDT'" in done.err


def test_instruments_are_listed_and_serve_decode(tmp_path, run):
    done = command("instruments", "binance", "--sim", "--market", "futures", "--search", "BTC")
    assert (done.returncode, done.stderr) == (0, "")
    rows = [msgspec.json.decode(line, type=Instrument) for line in done.stdout.splitlines()]
    assert "BTC/USDT:USDT" in Instruments(rows)
    assert {row.market for row in rows} == {"usdm"}
    listing = tmp_path / "instruments.jsonl"
    listing.write_text(done.stdout)
    frame = tmp_path / "frame.txt"
    frame.write_text(
        '{"stream":"btcusdt@aggTrade","data":{"e":"aggTrade","E":2,"a":7,"s":"BTCUSDT","p":"1.5","q":"2","f":1,'
        '"l":1,"T":1,"m":true}}'
    )
    decoded = run("decode", frame, "--venue", "binance", "--market", "futures", "--instruments", listing)
    assert json.loads(decoded.out)["symbol"] == "BTC/USDT:USDT"


def test_the_catalogue_needs_no_network(run):
    done = run("instruments", "binance", "--offline", "--market", "spot")
    assert done.status == 0
    assert all(json.loads(line)["market"] == "spot" for line in done.lines)
    none = run("instruments", "binance", "--offline", "--search", "NOSUCHTHING")
    assert (none.status, none.out) == (1, "")
    assert "no instrument is like that" in none.err


def test_doctor_finds_simulated_venues_well_and_names_what_does_not_answer(run, monkeypatch):
    well = command("doctor", "binance", "--sim", "--json")
    assert well.returncode == 0
    report = json.loads(well.stdout)
    assert [check["market"] for check in report["markets"]] == ["spot", "usdm"]
    for check in report["markets"]:
        assert check["ok"]
        assert abs(check["offset"]) < 1.0
        assert 0 < check["round_trip"] < 5.0
        assert re.fullmatch(r"\d+/\d+ per 60 s", check["used"]["weight"])
    assert report["versions"]["unitape"]
    nowhere = Endpoint(rest="http://127.0.0.1:9", ws={"public": "ws://127.0.0.1:9/"})
    monkeypatch.setattr("unitape.cli.live._endpoint", lambda market, environment: nowhere)
    ill = run("doctor", "binance")
    assert ill.status == 1
    assert sum(line.startswith("FAIL binance") for line in ill.lines) == 2


def test_sim_serves_until_it_is_interrupted():
    process = start("sim", "binance", "--seed", 5, "--json")
    assert process.stdout is not None
    import urllib.request

    market = json.loads(process.stdout.readline())
    assert market["market"] == "binance/spot"
    with urllib.request.urlopen(market["rest"] + "/api/v3/depth?symbol=BTCUSDT&limit=5") as answer:
        book = json.load(answer)
    assert float(book["bids"][0][0]) < float(book["asks"][0][0])
    os.kill(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    assert (process.returncode, errors) == (130, "")
