"""The one thing about order books that differs between markets: when updates fit together."""

from __future__ import annotations

from enum import IntEnum
from typing import Literal, Protocol

from unitape.spi.session import DepthUpdate

__all__ = ["BookRule", "Fit"]


class Fit(IntEnum):
    """How an update fits onto a book."""

    APPLY = 0
    """It continues the book."""
    STALE = 1
    """The book already contains it: skip it."""
    GAP = 2
    """Something between the book and it is missing."""


class BookRule(Protocol):
    """A market's numbered rules of joining and continuing. Pure and without state."""

    @property
    def snapshot(self) -> Literal["request", "stream"]:
        """Where a snapshot comes from: asked for over HTTP, or sent first on the stream (ask again: resubscribe)."""
        ...

    @property
    def wait_for(self) -> int:
        """Updates to buffer before the snapshot is asked for, so that it cannot be older than all of them."""
        ...

    @property
    def keep(self) -> int | None:
        """Levels per side to keep after each update, where the venue's window forgets the others; None: all."""
        ...

    def join(self, snapshot_seq: int, update: DepthUpdate) -> Fit:
        """Tell how the first update after a snapshot fits. GAP: the snapshot is older than the stream; ask again."""
        ...

    def follow(self, last: DepthUpdate, update: DepthUpdate) -> Fit:
        """Tell how an update fits after the last one applied."""
        ...
