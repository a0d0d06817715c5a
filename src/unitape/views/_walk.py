"""Exact arithmetic over the levels of two books: what a size costs, and which size earns most."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Clamped, Context, Decimal, DivisionByZero, FloatOperation, Inexact, InvalidOperation, Overflow
from math import gcd, lcm
from typing import Final, TypeAlias

from msgspec import Struct

from unitape.books import BookSide, OrderBook

__all__ = ["EXACT", "ZERO", "Exact", "Fill", "Terms", "best_size", "ceil_count", "common_step", "read", "take"]

EXACT: Final = Context(prec=2000, traps=[Inexact, InvalidOperation, DivisionByZero, Overflow, Clamped, FloatOperation])
"""A result that would have to be rounded raises instead. The digits of market numbers are far below its precision."""

ZERO: Final = Decimal(0)
ONE: Final = Decimal(1)
FIRST: Final = 16
"""Levels that are read from a book at first; four times as many whenever they do not suffice."""

Exact: TypeAlias = tuple[Decimal, Decimal]
"""(price, size) as the venue wrote them."""


class Fill(Struct, frozen=True):
    """What an order of some size takes from the levels of one side."""

    taken: tuple[Exact, ...]
    """(price, size taken from it), best price first."""
    size: Decimal
    amount: Decimal
    """Price × size, summed up; quote units."""

    @property
    def limit(self) -> Decimal | None:
        """The worst price taken; None when nothing is."""
        return self.taken[-1][0] if self.taken else None


class Terms(Struct, frozen=True):
    """What one leg of a trade must keep to and pays, in its own base units."""

    factor: int
    """Units of the trade that one base unit is."""
    buys: bool
    cost: Decimal
    """What is paid per quote unit traded, beside the price: fee rates."""
    gain: Decimal
    """What is received per quote unit traded, beside the price: funding; negative when it is paid."""
    fixed: Decimal
    """What is received per base unit, whatever its price: funding on a mark price."""
    min_size: Decimal
    max_size: Decimal | None
    min_notional: Decimal


def read(book: OrderBook, side: BookSide) -> Iterator[Exact]:
    """Yield the verified levels of a side, best first. The book must not change meanwhile."""
    done, want = 0, FIRST
    while True:
        levels = book.bids(want) if side == "bid" else book.asks(want)
        for price, size in levels[done:]:
            yield Decimal(repr(price)), Decimal(repr(size))
        if len(levels) < want:
            return
        done, want = want, 4 * want


def take(levels: Iterator[Exact], size: Decimal) -> Fill:
    """Return what an order of ``size`` takes; less than that when the levels do not hold it. Within ``EXACT``."""
    left, amount = size, ZERO
    taken: list[Exact] = []
    while left > 0:
        level = next(levels, None)
        if level is None:
            break
        price, available = level
        part = min(left, available)
        taken.append((price, part))
        amount += price * part
        left -= part
    return Fill(tuple(taken), size - left, amount)


def common_step(a: Decimal, b: Decimal) -> Decimal:
    """Return the smallest number that is a whole multiple of both, exactly."""
    (an, ad), (bn, bd) = a.as_integer_ratio(), b.as_integer_ratio()
    # Of fractions in lowest terms: the lcm of the numerators over the gcd of the denominators.
    return EXACT.divide(Decimal(lcm(an, bn)), Decimal(gcd(ad, bd)))


def ceil_count(value: Decimal, unit: Decimal) -> int:
    """Return how many times ``unit`` it takes to reach ``value``."""
    whole, rest = EXACT.divmod(value, unit)
    return int(whole) + (1 if rest > 0 else 0)


def floor_count(value: Decimal, unit: Decimal) -> int:
    """Return how many times ``unit`` fits into ``value``."""
    return int(EXACT.divide_int(value, unit))


class _Cursor:
    """Where one leg stands in its book."""

    __slots__ = ("_levels", "left", "price", "terms")

    def __init__(self, levels: Iterator[Exact], terms: Terms) -> None:
        self._levels = levels
        self.terms = terms
        self.price = ZERO
        self.left = ZERO
        """Units of the trade that are left of the current level."""

    def settle(self) -> bool:
        """Go to the next level if the current one is used up; False when there is none."""
        while not self.left:
            level = next(self._levels, None)
            if level is None:
                return False
            self.price, size = level
            self.left = size * self.terms.factor
        return True

    def slope(self) -> Decimal:
        """Return what one base unit at this level brings; negative on the leg that buys."""
        terms, price = self.terms, self.price
        return price * ((-ONE if terms.buys else ONE) - terms.cost + terms.gain) + terms.fixed

    def least(self, step: Decimal) -> int:
        """Return the least multiple of the step that is an order at this price."""
        terms = self.terms
        count = ceil_count(terms.min_size * terms.factor, step)
        if terms.min_notional and self.price:
            count = max(count, ceil_count(terms.min_notional * terms.factor, self.price * step))
        return count


def best_size(buy: Iterator[Exact], sell: Iterator[Exact], terms: tuple[Terms, Terms], step: Decimal) -> list[Decimal]:
    """Return the sizes among which the most profitable is: none, one or two multiples of the step, smaller first.

    Between two prices profit changes by a constant slope, and deeper the slope only falls. So the best size is the last
    one that the rules allow while the slope is positive, or the first one that they allow after that. Within ``EXACT``.
    """
    ask, bid = _Cursor(buy, terms[0]), _Cursor(sell, terms[1])
    most = [floor_count(t.max_size * t.factor, step) for t in terms if t.max_size is not None]
    place, rising = ZERO, None
    while ask.settle() and bid.settle():
        length = min(ask.left, bid.left)
        first = max(floor_count(place, step) + 1, ask.least(step), bid.least(step))
        last = min([floor_count(place + length, step), *most])
        # Both slopes are per base unit of their own leg; a unit of the trade is one by ``factor``.
        slope = ask.slope() * bid.terms.factor + bid.slope() * ask.terms.factor
        if slope > 0:
            rising = last * step if first <= last else rising
        elif first <= last:
            return [first * step] if rising is None else [rising, first * step]
        place += length
        ask.left -= length
        bid.left -= length
        if most and place >= min(most) * step:
            break
    return [] if rising is None else [rising]
