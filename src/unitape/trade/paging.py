"""Long histories, piece by piece, whatever order a venue cuts its pages in."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable, Sequence
from typing import Final, TypeVar

from unitape.errors import Unsupported

__all__ = ["fetch_range"]

T = TypeVar("T")

SHORTEST: Final = 1_000_000
"""Nanoseconds; venues tell time in milliseconds, so a range this short cannot be cut."""


async def fetch_range(
    ask: Callable[[int, int], Awaitable[Sequence[T]]],
    start: int,
    end: int,
    *,
    span: int,
    page: int,
    key: Callable[[T], Hashable],
    when: Callable[[T], int],
) -> list[T]:
    """Return every row of [start, end] nanoseconds, oldest first, each once.

    ``ask`` is called with ranges of at most ``span``. A range that fills a ``page`` may have been cut short, at either
    end, so its halves are asked for instead. They share their middle: venues differ in whether an end belongs to it.

    Raises:
        Unsupported: two adjoining milliseconds hold a page of rows or more.
    """
    rows: dict[Hashable, T] = {}
    waiting = [(at, min(at + span, end)) for at in range(start, max(end, start + 1), span)]
    while waiting:
        first, last = waiting.pop(0)
        found = await ask(first, last)
        if len(found) < page:
            rows.update((key(row), row) for row in found)
            continue
        middle = first + (last - first) // 2 // SHORTEST * SHORTEST
        if middle == first:
            raise Unsupported(f"{page} rows or more within 2 ms: the venue cannot be asked for them piece by piece")
        waiting[:0] = [(first, middle), (middle, last)]
    return sorted(rows.values(), key=when)
