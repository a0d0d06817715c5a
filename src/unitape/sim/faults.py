"""Faults on demand: a schedule of them as data, and a log of what each one hit."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Final, Literal, TypeAlias

from msgspec import Struct

from unitape.spi.simulation import PRIVATE_STREAM, VenueFault

__all__ = ["ORDER_FAULTS", "Aim", "Fault", "FaultHit", "FaultKind", "FaultSchedule", "Faults", "WireFault"]

WireFault: TypeAlias = Literal[
    "drop",
    "duplicate",
    "reorder",
    "delay",
    "half_open",
    "truncate",
    "close",
    "clock_jump",
    "lost_reply",
    "late_reply",
    "error_executed",
    "error_refused",
    "endpoint_gone",
]
"""Faults that strike between the venue's face and the client.

``drop``, ``duplicate``, ``truncate`` (half of the message arrives) strike single data messages; ``reorder`` swaps one
with the next of its connection; ``delay`` holds a connection back for some seconds; ``half_open`` silences one for
good while its socket stays; ``close`` cuts one without a close frame, in place of the message that it strikes;
``clock_jump`` moves the venue's wall clock. Messages about accounts have the stream name ``private`` on every market.

The others strike requests. The venue serves them, but the client learns it late or never: ``lost_reply`` breaks the
connection instead of answering, ``late_reply`` answers after some seconds, when fills and private messages have come
already, ``error_executed`` answers 502. Or nothing happens at the venue: ``error_refused`` answers 502, too, and
``endpoint_gone`` 404. These errors are pages of HTML, as proxies write them.
"""

FaultKind: TypeAlias = WireFault | VenueFault

_ONCE: Final[frozenset[FaultKind]] = frozenset(
    {"half_open", "close", "clock_jump", "listen_key_expired", "server_shutdown"}
)


class Fault(Struct, frozen=True):
    """One thing that goes wrong, from ``at`` seconds after the start on, ``count`` times.

    ``match`` is a part of the stream name or of the request's path that it must strike, in lower case; empty strikes
    the next one, whichever it is. Those that strike requests look for it in method and path: ``post /api`` is one.
    """

    kind: FaultKind
    at: float
    match: str = ""
    seconds: float = 1.0
    """How long or how far: the delay, the jump, ``Retry-After``, the age of a lagging snapshot."""
    count: int = 1


class Aim(Struct, frozen=True):
    """A kind of fault that a seeded schedule draws, and what it shall strike."""

    kind: FaultKind
    match: str = ""
    seconds: tuple[float, float] = (0.2, 4.0)
    """The range that ``Fault.seconds`` is drawn from."""


_ORDERS: Final = "order"  # every request about orders has this word in its path, on every venue that we know
_PRIVATE: Final = PRIVATE_STREAM

ORDER_FAULTS: Final[tuple[Aim, ...]] = (
    Aim("lost_reply", _ORDERS),
    Aim("late_reply", _ORDERS, (0.05, 15.0)),
    Aim("error_executed", _ORDERS),
    Aim("error_refused", _ORDERS),
    Aim("endpoint_gone", _ORDERS),
    Aim("http_429", _ORDERS),
    Aim("lagging_orders", _ORDERS),
    Aim("clock_jump", "", (-10.0, 60.0)),
    Aim("listen_key_expired", _PRIVATE),
    Aim("duplicate", _PRIVATE),
    Aim("reorder", _PRIVATE),
    Aim("delay", _PRIVATE, (0.05, 15.0)),
    Aim("half_open", _PRIVATE),
    Aim("close", _PRIVATE),
)
"""What happens to orders, and to those who watch them: for ``FaultSchedule.seeded(…, kinds=ORDER_FAULTS)``.

Nothing in it takes a private message away from a connection that goes on, see ``PRIVATE_STREAM`` in
``unitape.spi.simulation``. Clocks jump ahead of every venue's window, but back by seconds only: that is enough to make
requests come from the future, while minutes would date what has happened after what will, as no venue does.
"""


class FaultHit(Struct, frozen=True):
    """What a fault struck: the market, connection and stream or path, and the bytes it kept or changed."""

    kind: FaultKind
    ts: int
    """Monotonic nanoseconds of the simulation."""
    market: str
    where: str
    conn: int | None = None
    data: bytes = b""


class FaultSchedule(Struct, frozen=True):
    """Faults as data; the same schedule strikes the same messages of the same market."""

    faults: tuple[Fault, ...] = ()

    @classmethod
    def seeded(
        cls, seed: int, *, duration: float, count: int, kinds: Sequence[FaultKind | Aim], warm_up: float = 5.0
    ) -> FaultSchedule:
        """Return ``count`` faults of these kinds, spread over [warm_up, duration) seconds.

        Those that strike single messages or requests may strike several; those that end connections strike once.
        """
        random = Random(f"{seed}/faults")
        faults: list[Fault] = []
        for _ in range(count):
            drawn = random.choice(list(kinds))
            aim = drawn if isinstance(drawn, Aim) else Aim(drawn)
            times = random.choice((1, 1, 1, 2, 5))
            faults.append(
                Fault(
                    kind=aim.kind,
                    at=random.uniform(warm_up, duration),
                    match=aim.match,
                    seconds=round(random.uniform(*aim.seconds), 3),
                    count=1 if aim.kind in _ONCE else times,
                )
            )
        return cls(tuple(sorted(faults, key=lambda fault: fault.at)))


class _Armed:
    __slots__ = ("fault", "left")

    def __init__(self, fault: Fault) -> None:
        self.fault = fault
        self.left = fault.count


class Faults:
    """The faults of one market while they strike. ``log`` tells what was hit, in order."""

    def __init__(self, schedule: FaultSchedule, market: str, start: int) -> None:
        self._market = market
        self._start = start
        self._now = start
        self._waiting = sorted(schedule.faults, key=lambda fault: fault.at, reverse=True)
        self._armed: dict[str, list[_Armed]] = {}
        self.log: list[FaultHit] = []

    def add(self, fault: Fault) -> None:
        """Add one fault to the schedule; a time that has passed means from now on."""
        self._waiting.append(fault)
        self._waiting.sort(key=lambda waiting: waiting.at, reverse=True)
        self.advance(self._now)

    def advance(self, now: int) -> None:
        """Arm what is due at this monotonic time."""
        self._now = now
        elapsed = (now - self._start) / 1e9
        while self._waiting and self._waiting[-1].at <= elapsed:
            fault = self._waiting.pop()
            self._armed.setdefault(fault.kind, []).append(_Armed(fault))

    def strikes(self, kind: FaultKind, where: str) -> Fault | None:
        """Return the armed fault of this kind that matches, and use one of its times up; log it with ``hit``."""
        armed = self._armed.get(kind)
        if not armed:
            return None
        name = where.lower()
        for candidate in armed:
            if candidate.fault.match in name:
                candidate.left -= 1
                if candidate.left <= 0:
                    armed.remove(candidate)
                return candidate.fault
        return None

    def hit(self, kind: FaultKind, where: str, conn: int | None = None, data: bytes = b"") -> None:
        """Write down what a fault struck."""
        self.log.append(FaultHit(kind, self._now, self._market, where, conn, data))

    def take(self, kind: VenueFault, where: str) -> float | None:
        """Serve a face, as ``FaultSource`` says."""
        fault = self.strikes(kind, where)
        if fault is None:
            return None
        self.hit(kind, where)
        return fault.seconds

    @property
    def idle(self) -> bool:
        """True when nothing is armed: messages pass untouched."""
        return not any(self._armed.values())

    def pending(self) -> int:
        """Return how many faults have not struck completely yet."""
        return len(self._waiting) + sum(len(armed) for armed in self._armed.values())
