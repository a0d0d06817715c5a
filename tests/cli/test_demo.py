"""``unitape demo``, piped and on a terminal."""

from __future__ import annotations

import json
import os
import re
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyte
import pytest

pty = pytest.importorskip("pty")

DEMO = [sys.executable, "-m", "unitape", "demo"]
WIDTH, HEIGHT = 150, 30


def test_piped_it_prints_plain_lines_and_a_summary():
    done = subprocess.run([*DEMO, "binance", "--seconds", "4"], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "\x1b" not in done.stdout
    lines = done.stdout.splitlines()
    summary = next(n for n, line in enumerate(lines) if line.startswith("summary: "))
    rows = lines[:summary]
    assert len(rows) >= 8, "seconds of four books"
    for symbol in ("BTC/USDT ", "BTC/USDT:USDT", "ETH/USDT ", "ETH/USDT:USDT"):
        assert any(symbol in row for row in rows)
    assert len(lines) - summary >= 4
    last = [row for row in rows if "BTC/USDT " in row][-1]
    bid, ask = (float(re.search(rf"{side} +([\d,.]+)", last)[1].replace(",", "")) for side in ("bid", "ask"))
    assert 50_000 < bid < ask
    assert "0 crossed, 0 gaps" in "\n".join(lines[summary:])
    assert int(re.search(r"summary: ([\d,]+) events", lines[summary])[1].replace(",", "")) > 100


class Terminal:
    """A command on a terminal of its own, its screen kept by a terminal emulator."""

    def __init__(self, command: list[str]) -> None:
        self.screen = pyte.Screen(WIDTH, HEIGHT)
        self._stream = pyte.ByteStream(self.screen)
        self._fd, inner = pty.openpty()
        environment = {**os.environ, "COLUMNS": str(WIDTH), "LINES": str(HEIGHT), "TERM": "xterm-256color"}
        self.process = subprocess.Popen(
            command, stdin=inner, stdout=inner, stderr=subprocess.PIPE, env=environment, start_new_session=True
        )
        os.close(inner)

    def read_until(self, condition, within: float = 30.0) -> str:
        """Feed the screen until the condition holds for its text."""
        deadline = time.monotonic() + within
        while time.monotonic() < deadline:
            if condition(self.text):
                return self.text
            ready, _, _ = select.select([self._fd], [], [], 0.2)
            if ready:
                try:
                    data = os.read(self._fd, 65_536)
                except OSError:
                    break
                self._stream.feed(data)
        if condition(self.text):
            return self.text
        raise AssertionError(f"the screen never showed it:\n{self.text}")

    @property
    def text(self) -> str:
        return "\n".join(line.rstrip() for line in self.screen.display)

    def press(self, keys: bytes) -> None:
        os.write(self._fd, keys)

    def close(self) -> tuple[int, str]:
        """Drain what is left, wait for the end; return status and standard error."""
        deadline = time.monotonic() + 30
        while self.process.poll() is None and time.monotonic() < deadline:
            ready, _, _ = select.select([self._fd], [], [], 0.1)
            if ready:
                try:
                    self._stream.feed(os.read(self._fd, 65_536))
                except OSError:
                    break
        status = self.process.wait(10)
        assert self.process.stderr is not None
        errors = self.process.stderr.read().decode()
        self.process.stderr.close()
        os.close(self._fd)
        return status, errors


@pytest.fixture
def terminal():
    opened = Terminal(DEMO)
    yield opened
    if opened.process.poll() is None:
        opened.process.kill()
        opened.process.wait()
    opened.process.stderr.close()


def shows_books(text: str) -> bool:
    books = (rf"{re.escape(symbol)} +[\d,.]+ +[\d,.]+ " for symbol in ("BTC/USDT", "ETH/USDT:USDT"))
    return "q quits" in text and all(re.search(book, text) for book in books)


def test_on_a_terminal_it_draws_a_live_table_until_q(terminal):
    first = terminal.read_until(shows_books)
    for word in ("unitape demo", "bid", "ask", "spread", "trades/s", "latency", "book seq", "gaps", "live", "q quits"):
        assert word in first
    terminal.read_until(lambda text: shows_books(text) and text != first)
    terminal.press(b"q")
    status, errors = terminal.close()
    assert (status, errors) == (0, "")
    assert "summary: " in terminal.text


def test_ctrl_c_ends_it_with_130_and_no_word(terminal):
    terminal.read_until(shows_books)
    os.kill(terminal.process.pid, signal.SIGINT)
    status, errors = terminal.close()
    assert (status, errors) == (130, "")


CASSETTE = Path(__file__).resolve().parents[2] / "cassettes" / "binance" / "demo.tape"


def test_a_cassette_plays_the_same_books_every_time(run):
    first, second = (run("replay", CASSETTE, "--books") for _ in range(2))
    assert (first.status, first.err) == (0, "")
    assert first.out == second.out
    summaries = {summary["market"]: summary for summary in map(json.loads, first.lines)}
    assert set(summaries) == {"spot", "usdm"}
    for market, summary in summaries.items():
        assert summary["events"]["book_snapshot"] == 2, market
        assert (summary["gaps"], summary["crossed"], summary["undecoded"]) == (0, 0, 0)
    assert run("replay", CASSETTE, "--books", "--market", "futures").lines == first.lines[1:]
    assert run("verify", CASSETTE).status == 0


def test_a_tape_is_shown_like_a_live_feed(run):
    done = run("demo", "--tape", CASSETTE, "--speed", "10", "--seconds", "1.3")
    assert (done.status, done.err) == (0, "")
    assert "from 2 markets, 4 symbols" in done.out
    assert "BTC/USDT:USDT" in done.lines[1]


def test_a_tape_of_several_venues_is_shown_whole_or_in_part(run, tmp_path):
    tape = tmp_path / "all.tape"
    assert run("record", "--sim", "--symbols", "BTC/USDT", "--seconds", "1.5", "-o", tape).status == 0
    for venues, markets in (((), 3), (("mexc",), 1), (("mexc", "weex"), 2)):
        done = run("demo", *venues, "--tape", tape, "--seconds", "1.2", "--speed", "4")
        assert (done.status, done.err) == (0, "")
        assert f"from {markets} markets, {markets} symbols" in done.out
    other = run("demo", "mexc", "--tape", CASSETTE)
    assert (other.status, other.err) == (2, "unitape demo: demo.tape: holds binance, not mexc\n")


def test_tapes_that_are_not_there_are_named(run, tmp_path):
    done = run("demo", "--tape", tmp_path / "none.tape", "--seconds", "1")
    assert (done.status, len(done.err.splitlines())) == (2, 1)
    assert "none.tape" in done.err
