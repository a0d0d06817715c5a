"""One half of a book, bids or asks: a dict of every level and an ordered front of the best prices.

How it is fast in plain Python. All levels of a change go into the dict with one ``dict.update``, zeros included: a
removed level stays behind as a dead entry of size 0. Dicts keep insertion order, so the prices that are new are
exactly the last entries, and only they cost Python code. The best prices stand sorted in a short list, the front; a
new price behind it costs no sorting. Dead entries leave when they reach the top of the front, or all at once when
there are half as many as levels. So a change costs by its new prices, not by the depth of the book.

A ladder of ticks was measured beside it (``bench/bench_book.py``): it costs more per change on most books, several
times the memory, and needs a tick and a second form for prices far away. So there is one form.

Prices are keyed by the venue's own float: the same text always reads as the same float, so no tick has to be known
and no price is rounded. The front holds ranks, the price for bids and its negation for asks (both exact), so that
the best is last on either half.

Two things hold after every ``change``:

- a price of the dict whose rank is not below ``_floor`` is in the front, and no other is;
- the last of the front, if there is one, is alive, so no dead entry is better than the best.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator
from itertools import islice, takewhile
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
        """Replace everything. Levels are complete down to the price ``edge``; None: all that is ever held is."""
        self.whole = whole
        self._edge_rank = -inf if edge is None else edge * self._sign
        self._sizes = dict(levels)
        self._rebuild()

    @property
    def edge(self) -> float | None:
        """The last price down to which levels are complete; None: to the worst level held."""
        return None if self._edge_rank == -inf else self._edge_rank * self._sign

    def change(self, levels: Levels) -> None:
        """Take absolute sizes, where 0 removes."""
        sizes = self._sizes
        before = len(sizes)
        sizes.update(levels)
        new = len(sizes) - before
        front = self._front
        sign = self._sign
        if new:
            floor = self._floor
            for price in list(islice(reversed(sizes), new)):
                rank = price * sign
                if rank >= floor:
                    if sizes[price]:
                        insort(front, rank)
                    else:
                        del sizes[price]
            if len(front) > 2 * FRONT:
                del front[:-FRONT]
                self._floor = front[0]
            if len(sizes) > self._ceiling:
                self._sweep()
                sizes, front = self._sizes, self._front
        while front:
            price = front[-1] * sign
            if sizes[price]:
                self.best = price
                return
            del sizes[price]
            front.pop()
        self._rebuild()

    def clear_of(self, other: BookHalf) -> None:
        """Learn from the other half's best price: no level of this half stands at or beyond it.

        So whatever comes to stand there comes as a change, and the levels are complete down to that price.
        """
        best = other.best
        if best is not None:
            rank = best * self._sign
            if rank < self._edge_rank:
                self._edge_rank = rank

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
        if floor > -inf:
            behind = [price for price, size in sizes.items() if size and price * sign < floor]
            behind.sort(reverse=sign > 0)
            for price in behind:
                yield price, sizes[price]

    def verified(self) -> Iterator[Level]:
        """Yield the levels that are verified, best first: the best one, and the others down to the edge."""
        levels = self.walk()
        if self._edge_rank == -inf:
            return levels
        best, edge, sign = self.best, self._edge_rank, self._sign
        return takewhile(lambda level: level[0] * sign >= edge or level[0] == best, levels)

    def reaches(self, price: float) -> bool:
        """Tell whether ``price`` is not beyond the end of what is verified."""
        if self.whole:
            return True
        end = self.end()
        return end is not None and price * self._sign >= end * self._sign

    def end(self) -> float | None:
        """Return the last price that is verified: the edge, or the best price when that is worse.

        Without an edge it is the worst level held.
        """
        sign = self._sign
        if self._edge_rank != -inf:
            if self.best is not None:
                return min(self._edge_rank, self.best * sign) * sign
            return self._edge_rank * sign
        worst = min((price * sign for price, size in self._sizes.items() if size), default=None)
        return None if worst is None else worst * sign

    def fewer_than(self, count: int) -> bool:
        """Tell whether fewer than ``count`` levels stand before the edge. Cheap; says False while it is far off."""
        edge = self._edge_rank
        front = self._front
        return edge >= self._floor and edge != -inf and len(front) - bisect_left(front, edge) < count

    def outnumbers(self, count: int) -> bool:
        """Tell whether there may be more than ``count`` levels. Cheap; never wrongly False."""
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
        """Keep the best ``count`` levels when there are far more, and return the prices removed.

        What is held stays complete down to the worst level that is left.
        """
        if len(self._sizes) <= 2 * count:
            return []
        self._rebuild()
        if 2 * len(self._sizes) <= 3 * count:
            return []
        removed = self.trim(count)
        sign = self._sign
        self._edge_rank = max(self._edge_rank, min(price * sign for price in self._sizes))
        self.whole = False
        return removed

    def confine(self, count: int, levels: Levels) -> list[float]:
        """Keep the best ``count`` levels after a change by ``levels``, and return the prices removed, best first.

        It takes time with the levels that changed, if every change is followed by this.
        """
        sizes, front, sign = self._sizes, self._front, self._sign
        removed: list[float] = []
        if self._floor > -inf:
            removed = self.trim(count)
            self.whole = self.count() < count
            return removed
        for price, size in levels:
            if not size and sizes.get(price) == 0.0:
                del sizes[price]
                del front[bisect_left(front, price * sign)]
        excess = len(sizes) - count
        if excess > 0:
            removed = [rank * sign for rank in reversed(front[:excess])]
            del front[:excess]
            for price in removed:
                del sizes[price]
        self.whole = len(sizes) < count
        return removed

    def _sweep(self) -> None:
        """Drop dead entries. The front stays in order without them. Takes time with the depth, and comes seldom."""
        sign = self._sign
        self._sizes = sizes = {price: size for price, size in self._sizes.items() if size}
        self._ceiling = len(sizes) * 3 // 2 + SLACK
        self._front = [rank for rank in self._front if rank * sign in sizes]

    def _rebuild(self) -> None:
        """Drop dead entries and lay a new front. Takes time with the depth, and comes seldom."""
        sign = self._sign
        self._sizes = sizes = {price: size for price, size in self._sizes.items() if size}
        self._ceiling = len(sizes) * 3 // 2 + SLACK
        front = sorted(sizes) if sign > 0 else sorted([-price for price in sizes])
        self._floor = -inf
        if len(front) > FRONT:
            del front[:-FRONT]
            self._floor = front[0]
        self._front = front
        self.best = front[-1] * sign if front else None
