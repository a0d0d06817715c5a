"""The sessions that ship with the project are whole, replay alike, and come from our own simulators."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from unitape.tape.player import Replay, replay
from unitape.tape.proof import verify
from unitape.tape.tape import Tape
from unitape_schemas import BookSnapshot, Status, Trade

CASSETTES = sorted((Path(__file__).resolve().parents[2] / "cassettes").glob("*/demo.tape"))


def test_there_are_cassettes():
    assert "binance" in {path.parent.name for path in CASSETTES}


@pytest.mark.parametrize("path", CASSETTES, ids=lambda path: path.parent.name)
def test_a_cassette_is_whole_and_replays_the_same_bytes_twice(path):
    report = verify(str(path))
    assert report.whole
    assert (report.truncated_at, report.diverged) == (None, None)
    assert {header.environment for header in report.feeds} == {"sim"}
    assert {header.venue for header in report.feeds} == {path.parent.name}
    first, second = ([msgspec.json.encode(event) for event in replay(Tape(path))] for _ in range(2))
    assert first == second
    events = list(replay(Tape(path)))
    assert not [event for event in events if isinstance(event, Status) and event.code in ("gap", "stale", "undecoded")]
    for kind in (Trade, BookSnapshot):
        assert {event.symbol for event in events if isinstance(event, kind)} == {
            "BTC/USDT", "ETH/USDT", "BTC/USDT:USDT", "ETH/USDT:USDT",
        }  # fmt: skip


@pytest.mark.parametrize("path", CASSETTES, ids=lambda path: path.parent.name)
def test_two_feeds_on_a_cassette_are_as_if_each_were_alone(path):
    together = list(Replay(Tape(path)).steps())
    for feed in range(len(Tape(path).feeds)):
        alone = [json.loads(msgspec.json.encode(e)) for e in Replay(Tape(path), feeds=[feed]).events()]
        mixed = [json.loads(msgspec.json.encode(e)) for step in together if step.feed == feed for e in step.events]
        assert alone == mixed


def test_every_market_has_cassettes_and_every_cassette_a_note_of_where_it_came_from():
    root = Path(__file__).resolve().parents[2] / "cassettes"
    cassettes = [*root.rglob("*.tape"), *root.rglob("*.yaml")]
    markets = {"binance/spot", "binance/usdm", "mexc/futures", "mexc/spot", "weex/contract", "weex/spot"}
    assert {path.parent.relative_to(root).as_posix() for path in cassettes if path.suffix == ".yaml"} == markets
    taped = {f"{header.venue}/{header.market}" for path in CASSETTES for header in Tape(path).feeds}
    assert taped == markets
    for path in cassettes:
        note = (path.parent / "origin.md").read_text("utf-8")
        assert f"`{path.name}`" in note
        assert "Source: the simulator of" in note
        assert "Made by: `python tools/make_" in note
