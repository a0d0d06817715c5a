"""The same tape gives the same events, byte for byte, every time."""

from __future__ import annotations

import msgspec
import pytest

from tests.tape.conftest import record
from tests.toy.pebble import MARKET
from unitape.errors import ConfigError
from unitape.tape.player import Replay, replay
from unitape.tape.tape import Tape
from unitape_schemas import BookDelta, BookSnapshot, Status, Trade


def toy(header):
    assert (header.venue, header.market) == ("pebble", "spot")
    return MARKET


def lines(path) -> bytes:
    return b"\n".join(map(msgspec.json.encode, replay(Tape(path), market=toy)))


def test_a_replay_gives_the_events_of_the_live_feed_twice_byte_for_byte(taped):
    session, path = taped
    live = b"\n".join(map(msgspec.json.encode, session.events))
    assert lines(path) == live
    assert lines(path) == live
    kinds = {type(event) for event in session.events}
    assert kinds >= {Trade, BookSnapshot, BookDelta, Status}
    assert {event.code for event in session.events if isinstance(event, Status)} >= {"gap", "disconnected", "undecoded"}


def test_a_replay_asks_for_what_the_recording_asked_for(taped):
    session, path = taped
    run = Replay(Tape(path), market=toy)
    events = list(run.events())
    assert events == session.events
    assert run.divergence is None
    assert run.cores[0].undecoded == 1


def test_a_replay_that_asks_for_something_else_says_where(taped, monkeypatch):
    _, path = taped
    monkeypatch.setattr("tests.toy.pebble.PebbleSession.subscribe", lambda self, subscriptions: None)
    run = Replay(Tape(path), market=toy)
    list(run.events())
    assert run.divergence is not None
    assert "SUB 1" in run.divergence.recorded


@pytest.mark.parametrize("share", [0.2, 0.5, 0.9])
def test_the_tape_of_a_killed_recorder_replays_what_it_holds(tmp_path, share):
    path = tmp_path / "cut.tape"
    session = record(path, trades=400)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    tape = Tape(path)
    assert tape.truncated_at is not None
    events = list(replay(tape, market=toy))
    assert 0 < len(events) < len(session.events)
    assert events == session.events[: len(events)]


def test_a_venue_that_is_not_installed_is_named(taped):
    _, path = taped
    with pytest.raises(ConfigError, match="pebble"):
        list(replay(Tape(path)))
