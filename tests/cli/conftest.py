"""Commands run in this process, against the toy venue where no real one is named."""

from __future__ import annotations

from importlib.metadata import EntryPoint

import pytest

from unitape import registry
from unitape.cli import main


class Outcome:
    def __init__(self, status: int, out: str, err: str) -> None:
        self.status = status
        self.out = out
        self.err = err
        self.lines = out.splitlines()


@pytest.fixture
def toy(monkeypatch):
    """Make the toy venue installable beside the real ones."""
    entries = dict(registry._entries())
    entries["pebble"] = EntryPoint("pebble", "tests.toy.pebble:VENUE", registry.GROUP)
    monkeypatch.setattr(registry, "_entries", lambda: entries)
    registry.load_venue.cache_clear()
    yield
    registry.load_venue.cache_clear()


@pytest.fixture
def run(capsys):
    """Run a command; return its status and what it printed."""

    def _run(*words: object) -> Outcome:
        status = main([str(word) for word in words])
        captured = capsys.readouterr()
        return Outcome(status, captured.out, captured.err)

    return _run
