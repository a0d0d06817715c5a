"""Wire to unified event: a session's ``on_frame`` beside straight-line code that knows the message type."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import NamedTuple

from bench.harness import Row, interleaved, ratio
from unitape.registry import load_venue
from unitape.spi import Instruments, Session
from unitape_schemas import Subscription

ONE_RECORD, MANY_RECORDS = 1.4, 1.2
"""What the path may cost at most, as a multiple of the floor; ten records make many."""


class Case(NamedTuple):
    """One kind of message of one market."""

    venue: str
    market: str
    kind: str
    subscription: Subscription
    frames: list[bytes]
    floor: Callable[[], object]
    """Decodes every frame once by hand."""
    records: int


def session_for(case: Case) -> Session:
    """Return an open session that is subscribed to the case's channel."""
    market = load_venue(case.venue).market(case.market)
    route = market.channels[case.subscription.channel].route
    session = market.session(Instruments(market.catalogue), route)
    session.on_open()
    session.subscribe([case.subscription])
    session.outbox.clear()
    return session


def measured(case: Case, calls: int) -> Row:
    """Return the ratio of one case, best rounds against best rounds."""
    on_frame = session_for(case).on_frame
    frames = case.frames
    for frame in frames:
        outputs = on_frame(frame, 17)
        if len(outputs) == 0:
            raise SystemExit(f"{case.venue} {case.market} {case.kind}: the session makes nothing of {frame[:120]!r}")

    def path() -> None:
        for frame in frames:
            on_frame(frame, 17)

    taken = interleaved({"path": path, "floor": case.floor}, calls=calls)
    best, median = ratio(taken["path"], taken["floor"])
    allowed = ONE_RECORD if case.records < 10 else MANY_RECORDS
    per_frame = taken["path"].best / len(frames)
    return Row(
        f"{case.venue} {case.market} {case.kind}",
        best,
        "x floor",
        f"median {median:.2f} x, {per_frame:.2f} us a frame",
        allowed,
    )


def run(quick: bool = False) -> list[Row]:
    """Measure every kind of every market."""
    rows = []
    for venue in ("binance", "mexc", "weex"):
        try:
            module = import_module(f"bench.wire_{venue}")
        except ModuleNotFoundError:
            continue
        rows += [measured(case, 20 if quick else 200) for case in module.cases()]
    return rows
