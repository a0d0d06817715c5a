"""The money of a paper account: what is held, what is locked, what positions cost. Exact, and pure."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import ROUND_DOWN, Context, Decimal
from typing import Final

from unitape_schemas import Position, PositionSide, Side

__all__ = ["EXACT", "Holding", "Wallet", "against", "along", "quotient"]

EXACT: Final = Context(prec=120)
"""Sums and products of this many digits are exact for any number that orders can have."""
PLACES: Final = Decimal(1).scaleb(-12)
"""A share of what a position cost is rounded down to this; the rest stays with the position, so nothing is lost."""
ZERO: Final = Decimal(0)
_SHOWN: Final = Context(prec=28)


def quotient(number: Decimal, divisor: Decimal) -> Decimal:
    """Return a quotient to 28 digits, for numbers that are only shown or compared."""
    return _SHOWN.divide(number, divisor)


class Wallet:
    """Totals by currency. Every change is one exact sum."""

    def __init__(self, amounts: Iterable[tuple[str, Decimal]]) -> None:
        self.totals: dict[str, Decimal] = dict(amounts)

    def total(self, currency: str) -> Decimal:
        """Return what is held."""
        return self.totals.get(currency, ZERO)

    def add(self, currency: str, amount: Decimal) -> None:
        """Book an amount; negative takes away."""
        self.totals[currency] = EXACT.add(self.total(currency), amount)


class Holding:
    """One position: its size and what was paid for it."""

    __slots__ = ("cost", "side", "size", "symbol")

    def __init__(self, symbol: str, side: PositionSide) -> None:
        self.symbol = symbol
        self.side: PositionSide = side
        self.size = ZERO
        self.cost = ZERO
        """Price times size of what is held, quote units."""

    @property
    def entry(self) -> Decimal | None:
        """Average price paid, to 28 digits; None when closed."""
        return quotient(self.cost, self.size) if self.size else None

    def profit(self, mark: Decimal) -> Decimal:
        """Return what closing at a price would realize, exactly."""
        gain = EXACT.subtract(EXACT.multiply(self.size, mark), self.cost)
        return gain if self.side == "long" else -gain

    def grow(self, price: Decimal, size: Decimal) -> None:
        """Add to it."""
        self.size = EXACT.add(self.size, size)
        self.cost = EXACT.add(self.cost, EXACT.multiply(price, size))

    def shrink(self, price: Decimal, size: Decimal) -> Decimal:
        """Close a part, no more than there is; return the profit."""
        whole = size == self.size
        share = self.cost
        if not whole:
            part = EXACT.divide(EXACT.multiply(self.cost, size), self.size)
            share = part.quantize(PLACES, rounding=ROUND_DOWN, context=EXACT)
        gain = EXACT.subtract(EXACT.multiply(price, size), share)
        self.size = EXACT.subtract(self.size, size)
        self.cost = EXACT.subtract(self.cost, share)
        return gain if self.side == "long" else -gain

    def shown(self, venue: str, ts: int, mark: Decimal | None, leverage: Decimal) -> Position:
        """Return it as an event."""
        open_ = self.size > 0
        return Position(
            venue,
            self.symbol,
            ts,
            ts,
            ts,
            self.side,
            self.size,
            self.entry,
            mark,
            None,
            None if mark is None or not open_ else self.profit(mark),
            leverage,
            "cross",
            quotient(self.cost, leverage) if open_ else ZERO,
        )


def against(side: Side) -> PositionSide:
    """Return the position that an order of this side closes."""
    return "long" if side == "sell" else "short"


def along(side: Side) -> PositionSide:
    """Return the position that an order of this side opens."""
    return "long" if side == "buy" else "short"
