"""Positions of linear perpetuals: what they cost, what closing them realizes. All exact.

A position carries what was paid for it. Closing a part takes away its share of that, rounded down to 1e-8; the rest
stays. Over the life of a position the realized profits therefore add up to exactly what came in minus what went out.
"""

from __future__ import annotations

from typing import NamedTuple

from unitape.spi.simulation import Side, SimInstrument
from unitape_schemas import PositionSide

__all__ = ["HeldPosition", "PositionBook", "Settled"]


class HeldPosition:
    """One position; see ``SimPosition`` for what the fields mean."""

    __slots__ = ("cost", "entry", "hedge", "id", "realized", "side", "size", "symbol", "ts_opened", "ts_updated")

    def __init__(self, position_id: int, symbol: str, side: PositionSide, hedge: bool, ts: int) -> None:
        self.id = position_id
        self.symbol = symbol
        self.side: PositionSide = side
        self.hedge = hedge
        self.size = 0
        self.cost = 0
        self.entry = 0
        self.realized = 0
        self.ts_opened = ts
        self.ts_updated = ts

    @property
    def sign(self) -> int:
        """1 for long, -1 for short."""
        return 1 if self.side == "long" else -1

    def unrealized(self, spec: SimInstrument, mark_e8: int) -> int:
        """Return the profit at a mark price, rounded down."""
        worth = spec.size_e8(self.size) * mark_e8
        return (self.sign * (worth - self.cost * 10**8)) // 10**8


class Settled(NamedTuple):
    """What an execution did to positions."""

    realized: int
    closed: HeldPosition | None
    """A position that it shrank."""
    opened: HeldPosition | None
    """A position that it opened or enlarged."""


class PositionBook:
    """A user's open positions: one per symbol in one-way mode, one per symbol and side in hedge mode."""

    def __init__(self, user: str) -> None:
        self.user = user
        self._held: dict[tuple[str, PositionSide], HeldPosition] = {}
        self._last_id = 0

    def all(self, symbol: str | None = None) -> list[HeldPosition]:
        """Return open positions, oldest first."""
        return [position for position in self._held.values() if symbol is None or position.symbol == symbol]

    def get(self, symbol: str, side: PositionSide) -> HeldPosition | None:
        """Return one open position."""
        return self._held.get((symbol, side))

    def closable(self, symbol: str, side: Side) -> int:
        """Return how many lots an order of this side could close."""
        held = self._held.get((symbol, "long" if side == "sell" else "short"))
        return held.size if held is not None else 0

    def execute(
        self, spec: SimInstrument, side: Side, position_side: PositionSide | None, price: int, size: int, ts: int
    ) -> Settled:
        """Book an execution; ``position_side`` is None in one-way mode.

        Raises:
            ValueError: it closes more than there is in hedge mode.
        """
        against: PositionSide = "long" if side == "sell" else "short"
        along: PositionSide = "short" if side == "sell" else "long"
        closing = self.closable(spec.symbol, side) if position_side != along else 0
        closing = min(closing, size)
        if position_side == against and closing < size:
            raise ValueError(f"{side} {size} closes more than the {against} position of {spec.symbol}")
        realized = 0
        closed = opened = None
        if closing:
            closed = self._held[spec.symbol, against]
            realized = self._close(closed, spec, price, closing, ts)
        if size > closing:
            opened = self._open(spec, along, position_side is not None, price, size - closing, ts)
        return Settled(realized, closed, opened)

    def _close(self, held: HeldPosition, spec: SimInstrument, price: int, size: int, ts: int) -> int:
        share = held.cost * size // held.size
        realized = held.sign * (spec.notional_e8(price * size) - share)
        held.size -= size
        held.cost -= share
        held.realized += realized
        held.ts_updated = ts
        if held.size == 0:
            held.entry = 0
            del self._held[held.symbol, held.side]
        return realized

    def _open(
        self, spec: SimInstrument, side: PositionSide, hedge: bool, price: int, size: int, ts: int
    ) -> HeldPosition:
        held = self._held.get((spec.symbol, side))
        if held is None:
            self._last_id += 1
            held = self._held[spec.symbol, side] = HeldPosition(self._last_id, spec.symbol, side, hedge, ts)
        whole = held.size + size
        paid = held.entry * held.size + spec.price_e8(price) * size
        held.entry = (2 * paid + whole) // (2 * whole)
        held.size = whole
        held.cost += spec.notional_e8(price * size)
        held.ts_updated = ts
        return held
