"""One half of a book, bids or asks: a dict of every level and an ordered front of the best prices.

How it is fast in plain Python. All levels of a change go into the dict with one ``dict.update``, zeros included: a
removed level stays behind as a dead entry of size 0. Dicts keep insertion order, so the prices that are new are
exactly the last entries, and only they cost Python code. The best prices stand sorted in a short list, the front; a
new price behind it costs no sorting. Dead entries leave when they reach the top of the front, or all at once when
there are half as many as levels. So a change costs by its new prices, not by the depth of the book.

Prices are keyed by the venue's own float: the same text always reads as the same float, so no tick has to be known
and no price is rounded. The front holds ranks, the price for bids and its negation for asks (both exact), so that
the best is last on either half.

Three things hold after every ``change``:

- a price of the dict whose rank is not below ``_floor`` is in the front, and no other is;
- the last of the front, if there is one, is alive, so no dead entry is better than the best;
- no price beyond the edge is in the dict.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Iterable, Iterator
from itertools import islice
from math import inf
from typing import Final, Literal

from unitape_schemas import Level, Levels

__all__ = ["BookHalf"]

FRONT: Final = 256
"""Prices in a new front; at twice as many it is cut back to this."""

SLACK: Final = 256
"""Dead entries that are tolerated beside half the number of levels."""


class BookHalf:
    """Bids (``sign`` 1) or asks (``sign`` -1)."""

    __slots__ = ("_ceiling", "_edge_rank", "_floor", "_front", "_sign", "_sizes", "best", "whole")

    _ceiling: int
    _edge_rank: float
    _floor: float
    _front: list[float]
    _sizes: dict[float, float]

    def __init__(self, sign: Literal[1, -1]) -> None:
        self._sign = float(sign)
        self.best: float | None = None
        """The best price; None when there is no level."""
        self.whole = False
        """True when the venue has no levels beyond those held here."""
        self.load((), edge=None, whole=False)

    def load(self, levels: Iterable[Level], edge: float | None, whole: bool) -> None:
        """Replace everything. Levels of size 0 and levels beyond the edge are left out.

        ``edge`` is the last price that is taken from now on; None: every price is.
        """
        sign = self._sign
        self.whole = whole
        self._edge_rank = limit = -inf if edge is None else edge * sign
        self._sizes = {price: size for price, size in levels if price * sign >= limit}
        self._rebuild()

    @property
    def edge(self) -> float | None:
        """The last price that is taken; None: every price is."""
        return None if self._edge_rank == -inf else self._edge_rank * self._sign

    def change(self, levels: Levels) -> int:
        """Take absolute sizes, where 0 removes. Return how many new prices lay beyond the edge and were left out."""
        sizes = self._sizes
        before = len(sizes)
        sizes.update(levels)
        new = len(sizes) - before
        front = self._front
        sign = self._sign
        dropped = 0
        if new:
            floor = self._floor
            edge = self._edge_rank
            for price in list(islice(reversed(sizes), new)):
                rank = price * sign
                if rank >= floor:
                    if sizes[price]:
                        insort(front, rank)
                    else:
                        del sizes[price]
                elif rank < edge:
                    del sizes[price]
                    dropped += 1
            if len(front) > 2 * FRONT:
                del front[:-FRONT]
                self._floor = front[0]
            if len(sizes) > self._ceiling:
                self._rebuild()
                return dropped
        while front:
            price = front[-1] * sign
            if sizes[price]:
                self.best = price
                return dropped
            del sizes[price]
            front.pop()
        self._rebuild()
        return dropped

    def top(self) -> Level | None:
        """Return the best level, None when there is none."""
        best = self.best
        return None if best is None else (best, self._sizes[best])

    def size(self, price: float) -> float:
        """Return the size at a price, 0 where there is no level."""
        return self._sizes.get(price, 0.0)

    def walk(self) -> Iterator[Level]:
        """Yield the levels, best first. Nothing may change meanwhile."""
        sizes = self._sizes
        sign = self._sign
        for rank in reversed(self._front):
            price = rank * sign
            size = sizes[price]
            if size:
                yield price, size
        floor = self._floor
        if floor > self._edge_rank:
            behind = [price for price, size in sizes.items() if size and price * sign < floor]
            behind.sort(reverse=sign > 0)
            for price in behind:
                yield price, sizes[price]

    def reaches(self, price: float) -> bool:
        """Tell whether all levels down to ``price`` are known: it is not beyond the end of what is verified."""
        if self.whole:
            return True
        end = self.end()
        return end is not None and price * self._sign >= end * self._sign

    def end(self) -> float | None:
        """Return the last price that is verified: the edge, without one the worst level held."""
        if self._edge_rank != -inf:
            return self._edge_rank * self._sign
        held = (price * self._sign for price, size in self._sizes.items() if size)
        worst = min(held, default=None)
        return None if worst is None else worst * self._sign

    def outnumbers(self, count: int) -> bool:
        """Tell whether there may be more than ``count`` levels: cheap, and never wrongly False."""
        return len(self._sizes) > count

    def count(self) -> int:
        """Count the levels, which takes time with the depth."""
        return sum(1 for size in self._sizes.values() if size)

    def trim(self, count: int) -> list[float]:
        """Remove all levels but the best ``count`` and return the prices removed, best first."""
        if len(self._sizes) <= count:
            return []
        removed = [price for price, _ in islice(self.walk(), count, None)]
        if removed:
            for price in removed:
                del self._sizes[price]
            self._rebuild()
        return removed

    def prune(self, count: int) -> list[float]:
        """Keep the best ``count`` levels when there are far more, and take none beyond them from now on.

        Return the prices removed. A level beyond the new edge never comes back, so what is held stays complete.
        """
        if len(self._sizes) <= 2 * count:
            return []
        self._rebuild()
        if 2 * len(self._sizes) <= 3 * count:
            return []
        removed = self.trim(count)
        self.load(self._sizes.items(), edge=self.end(), whole=False)
        return removed

    def _rebuild(self) -> None:
        """Drop dead entries and lay a new front. Takes time with the depth, and comes seldom."""
        sign = self._sign
        self._sizes = sizes = {price: size for price, size in self._sizes.items() if size}
        self._ceiling = len(sizes) * 3 // 2 + SLACK
        front = sorted(sizes) if sign > 0 else sorted([-price for price in sizes])
        self._floor = self._edge_rank
        if len(front) > FRONT:
            del front[:-FRONT]
            self._floor = front[0]
        self._front = front
        self.best = front[-1] * sign if front else None
