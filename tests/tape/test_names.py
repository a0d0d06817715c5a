"""The names of ``unitape.tape``."""

from __future__ import annotations

import pytest

import unitape.tape
from unitape.tape import player, proof


def test_every_public_name_is_there_and_means_what_its_module_means():
    for name in unitape.tape.__all__:
        assert getattr(unitape.tape, name).__name__
    assert unitape.tape.replay is player.replay
    assert unitape.tape.verify is proof.verify
    with pytest.raises(AttributeError, match="nonsense"):
        _ = unitape.tape.nonsense
