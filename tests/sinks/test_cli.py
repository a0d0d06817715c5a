"""``unitape stream --to`` against simulated venues, in a process of its own."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from unitape.sinks import read_records
from unitape_schemas import BookDelta, Trade

STREAM = [sys.executable, "-m", "unitape", "stream", "binance", "--sim", "-c", "trades", "book"]


@pytest.mark.parametrize("kind", ["sqlite", "parquet"])
def test_a_stream_is_stored_up_to_its_limit_and_goes_on_later(kind: str, tmp_path: Path) -> None:
    if kind == "parquet":
        pytest.importorskip("pyarrow")
    place = f"{kind}:{tmp_path / 'kept'}"
    for total in (20, 40):
        command = [*STREAM, "--limit", "20", "--to", place]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert (done.returncode, done.stdout) == (0, "")
        assert done.stderr == f"{place}: 20 events stored, {total} in all\n"
    kept = list(read_records(place))
    assert len(kept) == 40
    assert {Trade, BookDelta} <= {type(record) for record in kept}


def test_ctrl_c_keeps_what_was_stored(tmp_path: Path) -> None:
    place = f"jsonl:{tmp_path / 'lines'}"
    with subprocess.Popen([*STREAM, "--to", place], stderr=subprocess.PIPE, text=True) as process:
        deadline = time.monotonic() + 30
        while not any(path.stat().st_size > 5_000 for path in tmp_path.glob("lines/*.jsonl")):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=30)
    assert process.returncode == 130
    count = len(list(read_records(place)))
    assert said == f"{place}: {count:,} events stored, {count:,} in all\n"
    assert count > 10


def test_a_place_of_no_known_kind_is_refused(tmp_path: Path) -> None:
    done = subprocess.run([*STREAM, "--to", "csv:x"], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert "write sqlite:FILE, jsonl:FOLDER or parquet:FOLDER" in done.stderr
    assert len(done.stderr.splitlines()) == 1
