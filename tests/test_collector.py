"""The collector is calmed, not switched off, and is afterwards as it was."""

from __future__ import annotations

import gc
import weakref

from unitape.collector import calm_collector


class Knot:
    def __init__(self) -> None:
        self.itself = self


def test_the_block_sees_few_collections_and_leaves_the_settings_as_they_were() -> None:
    before = gc.get_threshold()
    looked: list[int] = []

    def look(phase: str, info: dict[str, int]) -> None:
        if phase == "start":
            looked.append(info["generation"])

    with calm_collector(20_000):
        gc.callbacks.append(look)
        try:
            held = [[n] for n in range(15_000)]
            few = len(looked)
            held += [[n] for n in range(30_000)]
            more = len(looked)
        finally:
            gc.callbacks.remove(look)
    assert len(held) == 45_000
    assert few == 0
    assert 1 <= more <= 3
    assert gc.get_threshold() == before
    assert gc.get_freeze_count() == 0


def test_cycles_made_in_the_block_are_still_found() -> None:
    with calm_collector(1_000):
        knot = weakref.ref(Knot())
        held = [[n] for n in range(5_000)]
        assert knot() is None
    assert len(held) == 5_000
