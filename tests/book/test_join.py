"""The joiner against generated venues whose packets get lost, come twice, swap places, and whose snapshots lag."""

from __future__ import annotations

import random

import pytest

from tests.book.venues import RULES, Consumer, DepthUpdate, Fit, GeneratedVenue
from unitape.books import BookJoin, JoinState, OrderBook
from unitape_schemas import BookDelta, BookSnapshot, Status

SEEDS = range(25)


class Run:
    """One generated session through a joiner. Raises AssertionError when anything delivered is not the truth."""

    def __init__(self, style: str, seed: int, rule: object, *, window: int, lossy: bool = True) -> None:
        self.rng = random.Random(f"{style}-{seed}")
        self.label = f"{style}, seed {seed}, window {window}"
        self.venue = GeneratedVenue(style, self.rng, window=window)
        self.rule = rule
        self.lossy = lossy
        self.join = BookJoin(rule, "venue", "A/B", repairs=style == "version", buffer_cap=40)
        self.consumer = Consumer()
        self.mirror = OrderBook("venue", "A/B")
        self.answers: list[tuple[int, str, int]] = []
        self.wire: list[DepthUpdate] = []
        self.delivered: int | None = None
        self.lost: set[int] = set()
        self.noticed = 0
        self.deltas = 0
        self.recovered = 0

    def go(self, steps: int) -> Run:
        self.take(self.join.start())
        if self.rule.snapshot == "stream":
            self.wire.append(self.venue.image(self.venue.seq, depth=5))
        for number in range(steps):
            self.send(self.venue.step())
            while self.wire and self.rng.random() < 0.8:
                self.take(self.join.update(self.wire.pop(0)))
            self.serve(number)
            self.take(self.join.tick(number * 100_000_000))
        return self

    def send(self, update: DepthUpdate) -> None:
        luck = self.rng.random() if self.lossy else 1.0
        if luck < 0.04:
            self.lost.add(update.seq)
        elif luck < 0.08:
            self.wire += [update, update]
        elif luck < 0.10 and self.wire and not self.wire[-1].snapshot:
            self.wire.insert(-1, update)
        else:
            self.wire.append(update)

    def serve(self, number: int) -> None:
        want = self.join.want
        if want is not None:
            self.join.want = None
            self.answers.append((number + self.rng.randint(0, 6), want, self.join.repair_after))
        due = [answer for answer in self.answers if answer[0] <= number]
        self.answers = [answer for answer in self.answers if answer[0] > number]
        for _, kind, after in due:
            if kind == "resubscribe":
                self.wire.append(self.venue.image(self.venue.seq, depth=5))
            elif self.lossy and self.rng.random() < 0.1:
                self.take(self.join.failed("the server is busy"))
            elif kind == "repair":
                missed = [update for update in self.venue.sent[-25:] if update.seq > after]
                self.rng.shuffle(missed)
                self.take(self.join.repaired(missed))
            else:
                self.take(self.join.snapshot(self.venue.image(self.venue.lagging_seq())))

    def take(self, events: list) -> None:
        for event in events:
            if isinstance(event, Status):
                self.noticed += event.code == "gap"
                self.recovered += event.code == "recovered"
                assert event.subscription == "book A/B"
                continue
            self.consumer.take(event)
            if isinstance(event, BookSnapshot):
                self.mirror.load(event)
                self.delivered = None
            else:
                self.deltas += 1
                self.mirror.apply(event)
                self.check_order(event)
            self.check_truth()
        live = self.join.state in (JoinState.LIVE, JoinState.REFRESHING)
        assert self.join.book.stale or live, self.label
        if live:
            held = (dict(self.join.book.known("bid")), dict(self.join.book.known("ask")))
            assert held == self.consumer.book, self.label
            assert self.join.book.seq == self.consumer.seq, self.label

    def check_order(self, delta: BookDelta) -> None:
        """By the venue's own list of what it sent, not by any number on the wire."""
        index = next(i for i, update in enumerate(self.venue.sent) if update.seq == delta.seq)
        if self.delivered is not None:
            assert index == self.delivered + 1, f"{self.label}: an update is missing before {delta.seq}"
        self.delivered = index

    def check_truth(self) -> None:
        truth = self.venue.truth[self.consumer.seq]
        for index, held in enumerate(self.consumer.book):
            if self.rule.keep is not None:
                expected = self.venue.best(truth, index, self.rule.keep)
                assert held == expected, f"{self.label}: the window at {self.consumer.seq} is not the venue's"
                continue
            assert held.items() <= truth[index].items(), f"{self.label}: a wrong level at {self.consumer.seq}"
            for book in (self.join.book, self.mirror):
                half = book._bids if index == 0 else book._asks
                hidden = truth[index].keys() - held.keys()
                if half.whole or half.edge is None:
                    assert not hidden, f"{self.label}: levels are missing at {self.consumer.seq}"
                elif hidden:
                    nearest = max(hidden) if index == 0 else min(hidden)
                    beyond = nearest < half.edge if index == 0 else nearest > half.edge
                    assert beyond, f"{self.label}: {nearest} is hidden before the edge {half.edge}"
        bids, asks = self.consumer.book
        assert not bids or not asks or max(bids) < min(asks), self.label
        mirrored = dict(self.mirror.known("bid")), dict(self.mirror.known("ask"))
        assert mirrored == self.consumer.book, self.label


@pytest.mark.parametrize("window", [500, 12], ids=["whole", "windowed"])
@pytest.mark.parametrize("style", RULES)
def test_a_consumer_always_has_the_venues_book(style: str, window: int) -> None:
    totals = [0, 0, 0]
    for seed in SEEDS:
        run = Run(style, seed, RULES[style](), window=window).go(400)
        totals = [a + b for a, b in zip(totals, (run.deltas, run.noticed, run.recovered), strict=True)]
        assert run.deltas > 50, f"{run.label}: the book hardly ever joined"
    assert totals[1] > len(SEEDS), "losses were to be noticed"
    assert (totals[2] > 0) == (style == "version")


@pytest.mark.parametrize("style", RULES)
def test_without_losses_there_is_no_gap_and_one_epoch(style: str) -> None:
    for seed in SEEDS:
        run = Run(style, seed, RULES[style](), window=500, lossy=False).go(200)
        assert (run.noticed, run.consumer.epoch) == (0, 1), run.label
        assert run.deltas > 100, run.label


def always(fit: Fit):
    return lambda self, last, update: fit


def blind(method: str):
    """The rule with one method that takes a gap for a fit."""

    def broken(rule: type):
        original = getattr(rule, method)

        def careless(self, last, update):
            fit = original(self, last, update)
            return Fit.APPLY if fit is Fit.GAP else fit

        return type("Broken", (rule,), {method: careless})

    return broken


def greedy(rule: type) -> type:
    """The rule that applies again what the book already holds."""
    original = rule.follow

    def careless(self, last, update):
        fit = original(self, last, update)
        return Fit.APPLY if fit is Fit.STALE else fit

    return type("Broken", (rule,), {"follow": careless})


def off_by_one(rule: type) -> type:
    """The rule that lets one number be missing, or asks for one too many."""

    def shifted(self, snapshot_seq, update):
        return rule.join(self, snapshot_seq + 1, update)

    return type(
        "Broken", (rule,), {"join": shifted, "follow": lambda self, last, update: shifted(self, last.seq, update)}
    )


def hoarding(rule: type) -> type:
    return type("Broken", (rule,), {"keep": 6})


@pytest.mark.parametrize(
    ("style", "mutation"),
    [
        *((style, blind("join")) for style in ("spot", "futures", "version")),
        *((style, blind("follow")) for style in RULES),
        *((style, greedy) for style in RULES),
        *((style, off_by_one) for style in ("spot", "equal-id", "version")),
        ("equal-id", hoarding),
    ],
)
def test_a_broken_rule_is_caught(style: str, mutation) -> None:
    broken = mutation(RULES[style])
    for seed in SEEDS:
        try:
            run = Run(style, seed, broken(), window=500).go(400)
        except (AssertionError, KeyError):
            return
        if run.deltas <= 50:
            return
    pytest.fail("every session came out right with a broken rule")
