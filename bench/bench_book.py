"""Order books against a sorted list and a dict per side, kept with ``bisect``: the usual way in plain Python.

Each diff changes ten levels a side, and the top is read after it. Known, new and removed prices are mixed as a
matching engine mixes them near the middle of the book. A ladder indexed by tick, with the prices turned into ticks as
they come, stands beside them for comparison.
"""

from __future__ import annotations

import random
import sys
import tracemalloc
from bisect import bisect_left, insort
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Literal

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.harness import Row, interleaved, ratio, table
from unitape.books import BookJoin, OrderBook
from unitape.spi import DepthUpdate, Fit
from unitape_schemas import BookDelta, BookSnapshot, Levels

TICKS_PER_UNIT = 100
START = 65_000 * TICKS_PER_UNIT
TARGET = 0.8
"""What an update may cost at most, in multiples of the baseline."""

Diff = tuple[Levels, Levels]


class SortedLists:
    """The baseline."""

    def __init__(self, bids: Levels, asks: Levels) -> None:
        self.sizes = dict(bids), dict(asks)
        self.prices = sorted(self.sizes[0]), sorted(self.sizes[1])

    def apply(self, diff: Diff) -> tuple[float, float]:
        for levels, sizes, prices in zip(diff, self.sizes, self.prices, strict=True):
            for price, size in levels:
                if size:
                    if price not in sizes:
                        insort(prices, price)
                    sizes[price] = size
                elif price in sizes:
                    del sizes[price]
                    del prices[bisect_left(prices, price)]
        return self.prices[0][-1], self.prices[1][0]


class Ladder:
    """A list of sizes per side, indexed by tick; it holds a fixed range of prices around the start."""

    def __init__(self, bids: Levels, asks: Levels, span: int = 20_000) -> None:
        self.base = START - span // 2
        self.sizes = [0.0] * span, [0.0] * span
        self.prices = [0.0] * span, [0.0] * span
        self.bid, self.ask = 0, span - 1
        self.apply((bids, asks))

    def apply(self, diff: Diff) -> tuple[float, float]:
        base = self.base
        sizes, prices, best = self.sizes[0], self.prices[0], self.bid
        for price, size in diff[0]:
            index = int(price * TICKS_PER_UNIT + 0.5) - base
            if 0 <= index < len(sizes):
                sizes[index] = size
                prices[index] = price
                if size and index > best:
                    best = index
        while not sizes[best]:
            best -= 1
        self.bid, bid = best, prices[best]
        sizes, prices, best = self.sizes[1], self.prices[1], self.ask
        for price, size in diff[1]:
            index = int(price * TICKS_PER_UNIT + 0.5) - base
            if 0 <= index < len(sizes):
                sizes[index] = size
                prices[index] = price
                if size and index < best:
                    best = index
        while not sizes[best]:
            best += 1
        self.ask = best
        return bid, prices[best]


class AnyOrder:
    """A rule of consecutive numbers, as light as it can be."""

    snapshot: Literal["request", "stream"] = "request"
    wait_for = 1
    keep: int | None = None

    def join(self, snapshot_seq: int, update: DepthUpdate) -> Fit:
        return Fit.APPLY if update.first_seq == snapshot_seq + 1 else Fit.STALE

    def follow(self, last: DepthUpdate, update: DepthUpdate) -> Fit:
        return Fit.APPLY if update.first_seq == last.seq + 1 else Fit.GAP


def market(depth: int, diffs: int, *, per_side: int = 10, seed: int = 7) -> tuple[Diff, list[Diff]]:
    """Return a snapshot and the diffs that follow it: a random walk of the middle, changes dense near it."""
    rng = random.Random(seed)
    middle = START
    held: tuple[set[int], set[int]] = (
        {middle - i for i in range(1, depth + 1)},
        {middle + i for i in range(1, depth + 1)},
    )

    def size() -> float:
        return round(rng.random() * 5 + 0.00001, 5)

    def levels(ticks: dict[int, float], side: int) -> Levels:
        return tuple((tick / TICKS_PER_UNIT, ticks[tick]) for tick in sorted(ticks, reverse=side == 0))

    image = levels({t: size() for t in held[0]}, 0), levels({t: size() for t in held[1]}, 1)
    out: list[Diff] = []
    for _ in range(diffs):
        middle += rng.choice((-2, -1, 0, 0, 1, 2))
        sides: list[Levels] = []
        for side, sign in ((0, -1), (1, 1)):
            changes: dict[int, float] = {}
            for tick in (middle, middle - sign, middle - 2 * sign):
                if tick in held[side]:
                    held[side].discard(tick)
                    changes[tick] = 0.0
            while len(changes) < per_side:
                tick = middle + sign * (1 + int(rng.expovariate(8 / depth)))
                if tick in changes:
                    continue
                if tick in held[side] and rng.random() < 0.4 and len(held[side]) > depth * 0.9:
                    held[side].discard(tick)
                    changes[tick] = 0.0
                else:
                    held[side].add(tick)
                    changes[tick] = size()
            sides.append(levels(changes, side))
        out.append((sides[0], sides[1]))
    return image, out


def deltas_of(diffs: list[Diff]) -> list[BookDelta]:
    return [BookDelta("v", "A/B", 0, 0, 0, b, a, n, n, n - 1, 1) for n, (b, a) in enumerate(diffs, 2)]


def loaded(image: Diff) -> OrderBook:
    book = OrderBook("v", "A/B")
    book.load(BookSnapshot("v", "A/B", 0, 0, 0, *image, None, 1, None, 1))
    return book


def cases(image: Diff, diffs: list[Diff], keep: int | None = None) -> dict[str, Callable[[], object]]:
    deltas = deltas_of(diffs)
    updates = [DepthUpdate("v", "A/B", 0, 0, 0, d.bids, d.asks, d.first_seq, d.seq, None) for d in deltas]
    first = DepthUpdate("v", "A/B", 0, 0, 0, *image, None, 1, None, True, len(image[0]) + 1)

    rule = AnyOrder()
    rule.keep = keep

    def lists() -> None:
        apply = SortedLists(*image).apply
        for diff in diffs:
            apply(diff)

    def ladder() -> None:
        apply = Ladder(*image).apply
        for diff in diffs:
            apply(diff)

    def book() -> None:
        kept = loaded(image)
        for delta in deltas:
            kept.apply(delta)
            kept.best()

    def join() -> None:
        joiner = BookJoin(rule, "v", "A/B")
        joiner.start()
        joiner.tick(0)
        joiner.tick(1 << 40)
        joiner.snapshot(first)
        for update in updates:
            joiner.update(update)
            joiner.book.best()

    return {"lists": lists, "ladder": ladder, "book": book, "join": join}


def growth(diffs: int, rounds: int) -> tuple[float, str]:
    """Return how much dearer an update is on 5,000 levels than on 100, what it takes to load them taken off."""
    timed: dict[str, Callable[[], object]] = {}
    for depth in (100, 5000):
        image, changes = market(depth, diffs)
        timed[f"book {depth}"] = cases(image, changes)["book"]
        timed[f"load {depth}"] = partial(loaded, image)
    times = interleaved(timed, calls=1, rounds=rounds)
    cost = {depth: (times[f"book {depth}"].best - times[f"load {depth}"].best) / diffs for depth in (100, 5000)}
    return cost[5000] / cost[
        100
    ], f"1 is flat; {cost[100]:.2f} µs and {cost[5000]:.2f} µs an update of ten levels a side"


def windowed(diffs: int, rounds: int) -> Row:
    """Return what it costs to hold a window of the best levels, beside a book without one."""
    image, changes = market(200, diffs)
    open_ended = cases(image, changes)["join"]
    limited = cases(image, changes, keep=200)["join"]
    times = interleaved({"open": open_ended, "limited": limited}, calls=1, rounds=rounds)
    note = f"{times['limited'].best / diffs:.2f} µs an update"
    return Row("joiner, window of 200 levels", ratio(times["limited"], times["open"])[0], "x open", note, 1.6)


def agree(image: Diff, diffs: list[Diff]) -> None:
    """Refuse to measure books that differ."""
    lists, ladder, book = SortedLists(*image), Ladder(*image), loaded(image)
    for diff, delta in zip(diffs, deltas_of(diffs), strict=True):
        bid, ask = lists.apply(diff)
        book.apply(delta)
        best_bid, best_ask = book.best()
        assert best_bid is not None
        assert best_ask is not None
        assert (bid, ask) == (best_bid[0], best_ask[0]) == ladder.apply(diff)
    assert dict(book.known("bid")) == lists.sizes[0]
    assert dict(book.known("ask")) == lists.sizes[1]


def megabytes(make: Callable[[Diff], object], books: int) -> float:
    """Memory of many books after some diffs each, levels read from text anew for each one as on a wire."""
    image, diffs = market(1000, 200)
    tracemalloc.start()
    held = []
    for _ in range(books):
        fresh = tuple(tuple((float(repr(p)), float(repr(s))) for p, s in side) for side in image)
        held.append(make((fresh[0], fresh[1])))
    del fresh
    grown = tracemalloc.get_traced_memory()[0] / 1e6
    tracemalloc.stop()
    assert len(held) == books
    assert diffs
    return grown


def run(quick: bool = False) -> list[Row]:
    """Return the rows of the table; ratios are medians of the ratios within rounds."""
    diffs, rounds = (1000, 5) if quick else (20_000, 10)
    rows: list[Row] = []
    for depth in (1000, 100, 5000):
        image, changes = market(depth, diffs)
        agree(image, changes[:500])
        times = interleaved(cases(image, changes), calls=1, rounds=rounds)
        each = {name: timing.best / diffs for name, timing in times.items()}
        note = f"{depth} levels a side, {each['book']:.2f} µs against {each['lists']:.2f}"
        limit = TARGET if depth == 1000 else None
        rows.append(Row(f"order book, depth {depth}", ratio(times["book"], times["lists"])[1], "x lists", note, limit))
        if depth == 1000:
            note = f"order checked, crossing checked, delta built: {each['join']:.2f} µs"
            rows.append(Row("joiner", ratio(times["join"], times["lists"])[1], "x lists", note))
            note = f"for comparison: {each['ladder']:.2f} µs"
            rows.append(Row("tick ladder", ratio(times["ladder"], times["lists"])[1], "x lists", note))
            rows.append(Row("updates per second", 1e6 / each["book"], "1/s", "10 + 10 levels on 1,000"))
    grown, note = growth(diffs, rounds)
    rows.append(Row("growth, depth 100 to 5000", grown, "x", note, 1.25))
    rows.append(windowed(diffs, rounds))
    books = 10 if quick else 50
    ours, lists = megabytes(loaded, books), megabytes(lambda image: SortedLists(*image), books)
    note = f"1,000 levels a side: {ours / books * 1000:.0f} MB per 1,000 books against {lists / books * 1000:.0f}"
    rows.append(Row("memory", ours / lists, "x lists", note))
    return rows


if __name__ == "__main__":
    print(table("Order books", run(quick="--quick" in sys.argv)))
