"""Generated venues for the joiner: each knows its true book at every update number, and sends it in its own style.

Their rules are written down here once more, from the numbered lists of the venue sheets, so that the joiner is tested
without any adapter.
"""

from __future__ import annotations

import random

from unitape.spi import DepthUpdate, Fit

Book = tuple[dict[float, float], dict[float, float]]


class Rule:
    snapshot = "request"
    wait_for = 1
    keep: int | None = None


class SpotRule(Rule):
    """U and u: the first update straddles S + 1, each further one begins right after the last."""

    def join(self, snapshot_seq: int, update: DepthUpdate) -> Fit:
        if update.seq <= snapshot_seq:
            return Fit.STALE
        return Fit.APPLY if update.first_seq <= snapshot_seq + 1 else Fit.GAP

    def follow(self, last: DepthUpdate, update: DepthUpdate) -> Fit:
        return self.join(last.seq, update)


class FuturesRule(Rule):
    """pu: the first update holds S, each further one names the last as its predecessor."""

    wait_for = 2

    def join(self, snapshot_seq: int, update: DepthUpdate) -> Fit:
        if update.seq < snapshot_seq:
            return Fit.STALE
        return Fit.APPLY if update.first_seq <= snapshot_seq else Fit.GAP

    def follow(self, last: DepthUpdate, update: DepthUpdate) -> Fit:
        if update.prev_seq == last.seq:
            return Fit.APPLY
        return Fit.STALE if update.seq <= last.seq else Fit.GAP


class EqualIdRule(Rule):
    """U equals the u before; the stream sends the snapshot; only the best levels are kept."""

    snapshot = "stream"
    wait_for = 0
    keep = 5

    def join(self, snapshot_seq: int, update: DepthUpdate) -> Fit:
        if update.seq <= snapshot_seq:
            return Fit.STALE
        return Fit.APPLY if update.first_seq == snapshot_seq else Fit.GAP

    def follow(self, last: DepthUpdate, update: DepthUpdate) -> Fit:
        return self.join(last.seq, update)


class VersionRule(Rule):
    """One version per update, plus one each; missed ones can be asked for."""

    def join(self, snapshot_seq: int, update: DepthUpdate) -> Fit:
        if update.seq <= snapshot_seq:
            return Fit.STALE
        return Fit.APPLY if update.seq == snapshot_seq + 1 else Fit.GAP

    def follow(self, last: DepthUpdate, update: DepthUpdate) -> Fit:
        return self.join(last.seq, update)


RULES = {"spot": SpotRule, "futures": FuturesRule, "equal-id": EqualIdRule, "version": VersionRule}


class GeneratedVenue:
    """A book of integer prices around a moving middle. ``truth[seq]`` is the whole book after that update number."""

    def __init__(self, style: str, rng: random.Random, *, window: int) -> None:
        self.style = style
        self.rng = rng
        self.window = window
        self.seq = 1000
        self.middle = 100
        self.book: Book = ({float(p): 1.0 for p in range(60, 100)}, {float(p): 1.0 for p in range(101, 141)})
        self.truth: dict[int, Book] = {self.seq: self.copy()}
        self.sent: list[DepthUpdate] = []

    def copy(self) -> Book:
        return dict(self.book[0]), dict(self.book[1])

    def step(self) -> DepthUpdate:
        """Change the book and return the update that says so."""
        before, last = self.copy(), self.seq
        changed: tuple[dict[float, float], dict[float, float]] = ({}, {})
        changes = 1 if self.style == "version" else self.rng.randint(1, 4)
        first = None
        for _ in range(changes):
            # A futures venue counts the updates of all its symbols: its numbers have holes.
            self.seq += self.rng.randint(1, 5) if self.style == "futures" else 1
            first = self.seq if first is None else first
            for side, price, size in self.change():
                changed[side][price] = size
            self.truth[self.seq] = self.copy()
        if self.style == "equal-id":
            changed = self.window_changes(before)
        numbers = {
            "spot": (first, None),
            "futures": (first, last),
            "equal-id": (last, None),
            "version": (None, None),
        }[self.style]
        bids, asks = (list(side.items()) for side in changed)
        self.rng.shuffle(bids)
        self.rng.shuffle(asks)
        update = DepthUpdate("venue", "A/B", 0, 0, 0, tuple(bids), tuple(asks), numbers[0], self.seq, numbers[1])
        self.sent.append(update)
        return update

    def change(self) -> list[tuple[int, float, float]]:
        """Move the middle now and then, and change one level. The book stays uncrossed."""
        rng, out = self.rng, []
        bids, asks = self.book
        if rng.random() < 0.4:
            self.middle += rng.choice((-2, -1, 1, 2))
            for price in [p for p in bids if p >= self.middle]:
                del bids[price]
                out.append((0, price, 0.0))
            for price in [p for p in asks if p <= self.middle]:
                del asks[price]
                out.append((1, price, 0.0))
        side = rng.randrange(2)
        price = float(self.middle + (1 if side else -1) * rng.randint(1, 45))
        if len(self.book[side]) > 3 and self.book[side].get(price) and rng.random() < 0.5:
            del self.book[side][price]
            out.append((side, price, 0.0))
        else:
            self.book[side][price] = float(rng.randint(1, 9))
            out.append((side, price, self.book[side][price]))
        for index in (0, 1):
            if not self.book[index]:
                price = float(self.middle + (1 if index else -1))
                self.book[index][price] = 1.0
                out.append((index, price, 1.0))
        return out

    def window_changes(self, before: Book) -> Book:
        """What a venue sends that streams its best five levels only; what falls out is not always removed aloud."""
        out: Book = ({}, {})
        for index in (0, 1):
            old, new = (self.best(book, index, 5) for book in (before, self.book))
            out[index].update({p: s for p, s in new.items() if old.get(p) != s})
            for price in old:
                if price not in new and (price not in self.book[index] or self.rng.random() < 0.3):
                    out[index][price] = 0.0
        return out

    @staticmethod
    def best(book: Book, index: int, count: int | None) -> dict[float, float]:
        return dict(sorted(book[index].items(), reverse=index == 0)[:count])

    def image(self, seq: int, *, depth: int | None = None) -> DepthUpdate:
        """The snapshot that a lagging server answers: the best levels as they stood at an update number."""
        depth = self.window if depth is None else depth
        bids, asks = (tuple(self.best(self.truth[seq], index, depth).items()) for index in (0, 1))
        return DepthUpdate("venue", "A/B", 0, 0, 0, bids, asks, None, seq, None, True, depth)

    def lagging_seq(self) -> int:
        known = list(self.truth)
        return known[-min(len(known), self.rng.choice((1, 1, 1, 2, 4, 9, 30)))]


class Consumer:
    """Replays what the joiner delivers with plain dicts, and knows nothing of rules or windows."""

    def __init__(self) -> None:
        self.book: Book = ({}, {})
        self.seq = 0
        self.epoch = 0

    def take(self, event: object) -> None:
        kind = type(event).__name__
        if kind == "BookSnapshot":
            assert event.epoch == self.epoch + 1, "each epoch has one snapshot"
            self.epoch = event.epoch
            self.book = (dict(event.bids), dict(event.asks))
        else:
            assert event.epoch == self.epoch, "a delta belongs to the epoch begun last"
            assert event.prev_seq == self.seq, "a delta continues the one before"
            for side, levels in zip(self.book, (event.bids, event.asks), strict=True):
                for price, size in levels:
                    side[price] = size
                    if size == 0:
                        del side[price]
        self.seq = event.seq
