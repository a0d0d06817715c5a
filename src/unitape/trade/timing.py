"""The venue's clock, measured: signed requests carry the venue's time, not ours."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

import anyio
from msgspec import Struct

from unitape.clock import Clock
from unitape.errors import TransportError, UnitapeError

__all__ = ["ClockEstimate", "TimeAnswer", "VenueClock"]

SAMPLES: Final = 5
GOOD_ROUND_TRIP: Final = 20_000_000
"""Nanoseconds; a sample this quick is good enough to stop."""
RESOLUTION: Final = 1_000_000
"""Nanoseconds by which a clock told in milliseconds may be behind itself."""
DRIFT: Final = 1e-4
"""Part of elapsed time by which two clocks may part: twice what a bad crystal does."""
NANOS: Final = 1_000_000_000


class TimeAnswer(Struct, frozen=True):
    """One answer to the question what time it is."""

    asked: int
    """Monotonic nanoseconds just before the request left, after every wait for its turn."""
    told: int
    """The venue's wall clock, nanoseconds."""
    answered: int
    """Monotonic nanoseconds just after the answer came."""


class ClockEstimate(Struct, frozen=True):
    """What one measurement found."""

    offset: int
    """Nanoseconds to add to the monotonic clock for the venue's wall clock."""
    uncertainty: int
    """Nanoseconds by which it may be wrong: half the round trip and the clock's resolution."""
    measured: int
    """Monotonic nanoseconds."""


class VenueClock:
    """Tells a venue's time from our monotonic clock, which no adjustment of the wall clock disturbs.

    ``ask`` asks the venue for it. ``bound`` is how many seconds of uncertainty are accepted, ``refresh`` after how many
    seconds it is measured again.
    """

    def __init__(
        self, venue: str, ask: Callable[[], Awaitable[TimeAnswer]], clock: Clock, bound: float, refresh: float
    ):
        self._venue = venue
        self._ask = ask
        self._clock = clock
        self._bound = round(bound * NANOS)
        self._refresh = round(refresh * NANOS)
        self._turn = anyio.Lock()
        self._estimate: ClockEstimate | None = None

    @property
    def estimate(self) -> ClockEstimate | None:
        """The last measurement; None before the first, and after ``forget``."""
        return self._estimate

    @property
    def due(self) -> bool:
        """True when it is time to measure again, though the last measurement may still serve."""
        return self._estimate is None or self._clock.mono() - self._estimate.measured >= self._refresh

    def uncertainty(self) -> float | None:
        """Return by how many seconds ``now`` may be wrong at this moment; None: nothing is known."""
        estimate = self._estimate
        if estimate is None:
            return None
        return (estimate.uncertainty + (self._clock.mono() - estimate.measured) * DRIFT) / NANOS

    def offset(self) -> float | None:
        """Return by how many seconds the venue's clock is ahead of our wall clock; None: nothing is known."""
        estimate = self._estimate
        return None if estimate is None else (estimate.offset + self._clock.mono() - self._clock.wall()) / NANOS

    def forget(self) -> None:
        """The venue found our time wrong: measure before the next use."""
        self._estimate = None

    async def ready(self) -> None:
        """Measure if what is known does not serve.

        Raises:
            TransportError: the venue's time cannot be had, or not well enough to sign by it.
            VenueError, WireError: the venue refuses to tell.
        """
        if self._serves():
            return
        await self.measure()
        if not self._serves():
            raise TransportError(
                f"the clock of {self._venue} is known only to ±{self.uncertainty() or 0:.3f} s, which is worse than "
                f"±{self._bound / NANOS:g} s: nothing is signed by it",
                sent=False,
            )

    def now(self) -> int:
        """Return the venue's time in nanoseconds. Call ``ready`` first.

        Raises:
            TransportError: it is not known.
        """
        if self._estimate is None:
            raise TransportError(f"the clock of {self._venue} was not measured", sent=False)
        return self._estimate.offset + self._clock.mono()

    async def refresh(self) -> None:
        """Measure again, and keep what is known if that fails. For a task of its own."""
        try:
            if not self._turn.locked():
                await self.measure()
        except UnitapeError:
            return

    async def measure(self) -> None:
        """Take a few samples and believe the one with the shortest round trip.

        Raises:
            TransportError, VenueError, WireError: not even one could be had.
        """
        before = self._estimate
        async with self._turn:
            if self._estimate is not before:
                return  # somebody else measured while we waited
            best: ClockEstimate | None = None
            failure: UnitapeError | None = None
            for _ in range(SAMPLES):
                try:
                    sample = await self._sample()
                except UnitapeError as error:
                    failure = error
                    continue
                if best is None or sample.uncertainty < best.uncertainty:
                    best = sample
                if best.uncertainty <= GOOD_ROUND_TRIP // 2 + RESOLUTION:
                    break
            if best is not None:
                self._estimate = best
            elif failure is not None:
                raise failure

    async def _sample(self) -> ClockEstimate:
        answer = await self._ask()
        middle = (answer.asked + answer.answered) // 2
        half = (answer.answered - answer.asked) // 2
        # A clock that tells whole milliseconds is half a millisecond behind on average.
        return ClockEstimate(answer.told + RESOLUTION // 2 - middle, half + RESOLUTION // 2, answer.answered)

    def _serves(self) -> bool:
        uncertain = self.uncertainty()
        return uncertain is not None and uncertain * NANOS <= self._bound
