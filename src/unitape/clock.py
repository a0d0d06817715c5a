"""Time as the engine sees it: the only place that reads a clock."""

from __future__ import annotations

import asyncio
import time
from typing import Protocol

import anyio

__all__ = ["Clock", "LoopClock", "SystemClock", "loop_time"]


def loop_time() -> float:
    """Return the event loop's time in seconds, from its callbacks too: anyio knows only the time of tasks."""
    try:
        return asyncio.get_running_loop().time()
    except RuntimeError:
        return anyio.current_time()


class Clock(Protocol):
    """A wall clock and a monotonic clock, both in nanoseconds."""

    def wall(self) -> int:
        """Nanoseconds since 1970-01-01 UTC."""
        ...

    def mono(self) -> int:
        """Nanoseconds that never go back."""
        ...


class SystemClock:
    """The machine's clocks."""

    def wall(self) -> int:
        """Nanoseconds since 1970-01-01 UTC."""
        return time.time_ns()

    def mono(self) -> int:
        """Nanoseconds that never go back."""
        return time.monotonic_ns()


class LoopClock:
    """Both clocks taken from the event loop's time, so that a virtual loop clock moves them.

    ``origin`` is the wall time at the moment of the first reading.
    """

    def __init__(self, origin: int) -> None:
        self._origin = origin
        self._start: float | None = None

    def _elapsed(self) -> int:
        now = anyio.current_time()
        if self._start is None:
            self._start = now
        return round((now - self._start) * 1_000_000_000)

    def wall(self) -> int:
        """Nanoseconds since 1970-01-01 UTC."""
        return self._origin + self._elapsed()

    def mono(self) -> int:
        """Nanoseconds since the first reading."""
        return self._elapsed()
