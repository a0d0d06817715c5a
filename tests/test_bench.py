"""The benchmarks run, and what they count is all there. How fast anything is is not judged here."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from pathlib import Path

import anyio
import pytest
from bench import loopback, scale, tape
from bench.loopback_server import LEVELS, WARM_UP, last_update, payload
from bench.wire_binance import MS, TradeIn, _typed

from unitape.feed.inputs import Frame
from unitape.registry import load_venue
from unitape.spi import Instruments
from unitape.tape import Replay, Tape
from unitape_schemas import BookDelta, Quote, Subscription, Trade

ROOT = Path(__file__).parents[1]


def test_the_command_prints_a_table_and_checks_it():
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-W", "error", "-m", "bench", "--quick", "tape"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert "Tape replay" in done.stdout
    assert "replay, of the feed itself" in done.stdout


def test_every_bench_names_a_module_that_runs():
    from importlib import import_module

    from bench.__main__ import BENCHES

    for module, title in BENCHES.values():
        assert callable(import_module(module).run)
        assert title


@pytest.mark.parametrize("kind", ["trades", "top", "book"])
def test_the_whole_path_brings_every_message_over_a_socket(kind):
    secure = pytest.importorskip("trustme") is not None
    with loopback.sender() as far:
        rows = loopback.saturated(loopback.Setting("websockets", "asyncio", secure), far, kind, 400, 1)
    # Frames of many levels are measured with a calm collector, too.
    assert [row.unit for row in rows] == ["x by hand"] * (1 if kind == "trades" else 2)
    # Nothing can be cheaper than a function that only decodes, whatever the machine does meanwhile.
    assert all(row.value > 0.5 for row in rows)


def test_latency_is_measured_from_the_stamp_in_the_frame():
    with loopback.sender() as far:
        rows = loopback.delayed(loopback.Setting("websockets", "asyncio", secure=False), far, 5_000, 300)
    assert len(rows) == 2
    # A stamp of another clock would be off by years, one cut to milliseconds by up to a thousand microseconds.
    assert all(1.0 < row.value < 5e6 for row in rows), rows


def test_what_the_buffers_hold_is_not_lost():
    with loopback.sender() as far:
        row = loopback.sustained(loopback.Setting("websockets", "asyncio", secure=False), far, 2_000)
    assert row.value == 0.0


def test_by_hand_gives_what_the_session_gives():
    """The floor is a floor only if it makes the same event."""
    market = load_venue("binance").market("spot")
    session = market.session(Instruments(market.catalogue), "public")
    session.on_open()
    session.subscribe([Subscription("trades", "BTC/USDT")])
    frame = payload("trades", 7, random.Random(7))
    d = _typed(TradeIn)(frame).data
    side = "sell" if d.m else "buy"
    by_hand = Trade("binance", "BTC/USDT", d.T * MS, d.E * MS, 17, str(d.t), d.p, d.q, side)
    assert list(session.on_frame(frame, 17)) == [by_hand]


def test_depth_frames_follow_one_another_and_never_cross():
    rng = random.Random(3)
    for number in range(WARM_UP):
        data = json.loads(payload("book", number, rng))["data"]
        assert data["U"] == last_update(number - 1) + 1
        assert data["u"] == last_update(number)
        assert len(data["b"]) == len(data["a"]) == 20
        assert max(float(price) for price, _ in data["b"]) < 65_000 < min(float(price) for price, _ in data["a"])
    assert LEVELS == 1_000


def test_the_taped_session_holds_what_it_says(tmp_path):
    happened = tape.session(200)
    assert sum(isinstance(item, Frame) for item in happened) == 201
    path = tmp_path / "bench.tape"
    tape.record(happened, path)
    events = list(Replay(Tape(path)).events())
    counts = [sum(type(event) is kind for event in events) for kind in (Trade, Quote)]
    assert counts == [tape.MIX.count("t") * 20, tape.MIX.count("q") * 20]
    # The first change of the book is in the snapshot already.
    assert sum(type(event) is BookDelta for event in events) == tape.MIX.count("b") * 20 - 1
    assert not [event for event in events if getattr(event, "code", "") in ("gap", "undecoded")]


def test_six_markets_run_in_one_process_and_lose_nothing():
    samples, subscriptions = anyio.run(scale._steady, 5, 3, 0.3)
    assert subscriptions == 30
    assert len(samples) == 6
    assert all(sample.memory > 1.0 for sample in samples)


def test_a_fresh_interpreter_is_weighed():
    row = scale.weigh("json", "import json", 1)
    assert row.unit == "ms"
    assert row.value >= 0.0
    assert "modules over bare Python" in row.note
