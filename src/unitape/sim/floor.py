"""What accounts need of the market they trade on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from unitape.sim.matching import Execution, Tif
from unitape.spi.simulation import BestPrices, PerpetualState, Side, SimInstrument, SimTrade

__all__ = ["Floor"]


class Floor(Protocol):
    """One simulated market, seen from its accounts. Symbols are unified ones; KeyError for unknown ones."""

    @property
    def now(self) -> int:
        """The venue's wall clock, nanoseconds."""
        ...

    @property
    def linear(self) -> bool:
        """True for perpetuals."""
        ...

    @property
    def instruments(self) -> Sequence[SimInstrument]:
        """Every instrument."""
        ...

    def instrument(self, symbol: str) -> SimInstrument:
        """Return one instrument."""
        ...

    def best(self, symbol: str) -> BestPrices:
        """Return the touch."""
        ...

    def last_price(self, symbol: str) -> int:
        """Return the last traded price in ticks."""
        ...

    def perpetual(self, symbol: str) -> PerpetualState:
        """Return mark and index price."""
        ...

    def cost(self, symbol: str, side: Side, size: int) -> tuple[int, int]:
        """Return (lots, amount in ticks × lots) that a market order of this size would fill now."""
        ...

    def affordable(self, symbol: str, side: Side, amount: int) -> int:
        """Return how many lots a market order may have to trade no more than ``amount`` ticks × lots."""
        ...

    def execute(
        self, symbol: str, owner: int, side: Side, price: int | None, size: int, tif: Tif
    ) -> tuple[Execution, Sequence[SimTrade]]:
        """Send an order; return what became of it, and the public trade of every match, in order."""
        ...

    def cancel(self, symbol: str, order_id: int) -> bool:
        """Take an order out of the book."""
        ...

    def shrink(self, symbol: str, order_id: int, left: int) -> bool:
        """Make what is left of a resting order smaller; it keeps its place."""
        ...
