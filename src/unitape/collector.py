"""The garbage collector, kept out of the way of a feed.

Python looks for cyclic garbage whenever 700 containers more were made than freed. Every level of a book is one (a tuple
of price and size), so that a burst of depth messages sets it off every few messages, each time for nothing: events are
in no cycles. A program that is mostly a feed does well to let it look less often. The library never changes the
collector by itself; the command line does, for its live commands.
"""

from __future__ import annotations

import gc
from collections.abc import Generator
from contextlib import contextmanager
from typing import Final

__all__ = ["CONTAINERS", "calm_collector"]

CONTAINERS: Final = 50_000
"""Containers made and not freed before the collector looks."""


@contextmanager
def calm_collector(containers: int = CONTAINERS) -> Generator[None]:
    """Let the collector look less often within the block, and not at what exists already. Cycles are still found.

    It concerns the whole process: enter it once, after your imports, around the program's main function.
    """
    before = gc.get_threshold()
    gc.collect()
    gc.freeze()
    gc.set_threshold(containers, 20, 100)
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()
