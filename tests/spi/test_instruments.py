"""The set of instruments of a market."""

from __future__ import annotations

import unitape.spi.instruments
from unitape.spi import Instruments


def test_unknown_names_keep_their_spelling_and_are_remembered_up_to_a_bound(monkeypatch):
    monkeypatch.setattr(unitape.spi.instruments, "MOST_UNKNOWN", 3)
    instruments = Instruments()
    assert [instruments.symbol(raw) for raw in ("A", "B", "A", "C", "D", "E")] == ["A", "B", "A", "C", "D", "E"]
    assert list(instruments.unknown) == ["A", "B", "C"]
