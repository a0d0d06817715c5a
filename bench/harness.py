"""How things are measured: process CPU time, runs interleaved, minimum and median of the ratios given.

A ratio is taken within one round, so that whatever else the machine does hits both sides alike.
"""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple


class Row(NamedTuple):
    """One line of a table. ``limit`` is the goal: what the ratio should be at most."""

    name: str
    value: float
    unit: str
    note: str = ""
    limit: float | None = None


class Timing(NamedTuple):
    """Microseconds of CPU per call."""

    best: float
    median: float
    rounds: tuple[float, ...]


def interleaved(cases: Mapping[str, Callable[[], object]], *, calls: int, rounds: int = 9) -> dict[str, Timing]:
    """Run every case ``calls`` times per round, in turn, and return microseconds of CPU per call."""
    taken: dict[str, list[float]] = {name: [] for name in cases}
    for case in cases.values():
        case()
    order = list(cases)
    for number in range(rounds):
        # Each round starts elsewhere, so that no case always runs behind the same neighbour.
        for name in order[number % len(order) :] + order[: number % len(order)]:
            case = cases[name]
            gc.collect()
            gc.disable()
            started = time.process_time_ns()
            for _ in range(calls):
                case()
            elapsed = time.process_time_ns() - started
            gc.enable()
            taken[name].append(elapsed / calls / 1000)
    return {name: Timing(min(t), statistics.median(t), tuple(t)) for name, t in taken.items()}


def ratio(over: Timing, base: Timing) -> tuple[float, float]:
    """Return the ratio of the best rounds and the median of the ratios within rounds."""
    return over.best / base.best, statistics.median(a / b for a, b in zip(over.rounds, base.rounds, strict=True))


def table(title: str, rows: Sequence[Row]) -> str:
    """Lay rows out for a terminal."""
    width = max((len(row.name) for row in rows), default=0)
    lines = [title, "-" * len(title)]
    for row in rows:
        limit = "" if row.limit is None else f"  (goal {row.limit:g})"
        lines.append(f"{row.name:<{width}}  {row.value:>12,.3f} {row.unit:<10} {row.note}{limit}".rstrip())
    return "\n".join(lines)
