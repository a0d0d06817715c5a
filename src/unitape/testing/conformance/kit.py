"""The cases as a test file takes them: one object per case, market and clock, that runs itself."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Final, Literal

import anyio
import pytest
from msgspec import Struct

from unitape.errors import ConfigError
from unitape.spi import Venue
from unitape.testing.conformance.cases import CASES, Case, needs
from unitape.testing.conformance.faults import under_faults, under_faults_in_real_time
from unitape.testing.virtual import run_virtual

__all__ = ["BoundCase", "Clock", "FaultCase", "cases_for", "fault_cases_for", "fault_seeds", "markets_of"]

Clock = Literal["virtual", "real"]
CLOCKS: Final[tuple[Clock, ...]] = ("virtual", "real")

SEED_VARIABLE: Final = "UNITAPE_SEED"
SEEDS_VARIABLE: Final = "UNITAPE_SEEDS"
SEEDS: Final = 200


class BoundCase(Struct, frozen=True):
    """One case on one market. ``run()`` runs it and fails, or skips, as pytest does."""

    case: Case
    venue: Venue
    market: str
    clock: Clock = "virtual"

    def __str__(self) -> str:
        return f"{self.case.number}-{self.venue.name}-{self.market}-{self.clock}"

    def __repr__(self) -> str:
        return f"<{self}: {self.case.title}>"

    def run(self) -> None:
        """Run it on an event loop of its own."""
        reason = needs(self.case, self.venue.market(self.market))
        if reason is not None:
            pytest.skip(reason)
        try:
            if self.clock == "virtual":
                run_virtual(self.case.run, self.venue, self.market)
            else:
                anyio.run(self.case.run, self.venue, self.market)
        except AssertionError as error:
            error.add_note(f"{self.case.number} {self.case.title}\n{self.case.shows}")
            raise


class FaultCase(Struct, frozen=True):
    """One seed of C20 on one market. The same seed strikes the same messages and takes the same turns."""

    venue: Venue
    market: str
    seed: int
    clock: Clock = "virtual"
    book_stream: str = "depth"

    def __str__(self) -> str:
        return f"C20-{self.venue.name}-{self.market}-{self.clock}-{self.seed}"

    def __repr__(self) -> str:
        return f"<{self}>"

    def run(self) -> None:
        """Run it; a failure says how to see it again."""
        try:
            if self.clock == "virtual":
                run_virtual(self.strike, seed=self.seed)
            else:
                anyio.run(self.strike)
        except BaseException as error:
            error.add_note(
                f"seed {self.seed} of {self.venue.name} {self.market} fails; see it again with "
                f"{SEED_VARIABLE}={self.seed} and pytest -k {self.venue.name}-{self.market}-{self.clock}-{self.seed}"
            )
            raise

    async def strike(self) -> None:
        """Run it on the event loop that is there."""
        play = under_faults if self.clock == "virtual" else under_faults_in_real_time
        await play(self.venue, self.market, self.seed, book_stream=self.book_stream)


def markets_of(*venues: Venue) -> list[tuple[Venue, str]]:
    """Return every market of these venues.

    Raises:
        ConfigError: a venue has no simulator, so nothing can be held against the truth.
    """
    without = [venue.name for venue in venues if venue.simulator is None]
    if without:
        raise ConfigError(f"{', '.join(without)}: the cases need a simulator, which Venue.simulator names")
    return [(venue, market.name) for venue in venues for market in venue.markets]


def cases_for(*venues: Venue, clocks: Sequence[Clock] = ("virtual",)) -> list[BoundCase]:
    """Return every case but C20 on every market of these venues.

    ::

        @pytest.mark.parametrize("case", cases_for(VENUE), ids=str)
        def test_conformance(case: BoundCase) -> None:
            case.run()

    ``clocks``: virtual time on trio, the real clock on asyncio, or both.
    """
    markets = markets_of(*venues)
    return [BoundCase(case, *place, clock) for case in CASES for place in markets for clock in clocks]


def fault_cases_for(
    *venues: Venue, seeds: Sequence[int] | None = None, clock: Clock = "virtual", book_stream: str = "depth"
) -> list[FaultCase]:
    """Return the seeds of C20, spread over all markets of these venues.

    ``seeds`` None: as many as ``UNITAPE_SEEDS`` says, 200 by default, from 0 on. Where ``UNITAPE_SEED`` is set, that
    one seed on every market. ``book_stream`` is a part of the names, in lower case, that the simulator gives to streams
    of books: where trades have no numbers, single messages are lost on these alone.
    """
    markets = markets_of(*venues)
    one = os.environ.get(SEED_VARIABLE)
    if one is not None:
        return [FaultCase(*place, int(one), clock, book_stream) for place in markets]
    chosen = fault_seeds() if seeds is None else seeds
    return [FaultCase(*markets[n % len(markets)], seed, clock, book_stream) for n, seed in enumerate(chosen)]


def fault_seeds() -> range:
    """Return the seeds that ``UNITAPE_SEEDS`` asks for."""
    return range(int(os.environ.get(SEEDS_VARIABLE, str(SEEDS))))
