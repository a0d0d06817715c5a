"""Exact numbers of the private wire. They come as strings or as JSON numbers; ``Decimal`` takes both as written."""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Context, Decimal
from typing import Final

__all__ = ["amount", "average_price", "plain", "plain_or_none", "positive"]

AVERAGE_DIGITS: Final = 20
_quotients: Final = Context(prec=AVERAGE_DIGITS, rounding=ROUND_HALF_EVEN)


def amount(value: Decimal) -> Decimal:
    """Return a number of the wire without exponent. A zero is plain: ``0.00000000`` would print as ``0E-8``.

    Raises:
        ValueError: it is not finite, not below 1e18, or finer than any coin.
    """
    exponent = value.as_tuple().exponent
    if not isinstance(exponent, int) or value.adjusted() >= 18 or exponent < -30:
        raise ValueError(f"{value} is no amount")
    return Decimal(plain(value)) if value else Decimal(0)


def positive(value: Decimal | None) -> Decimal | None:
    """Return the amount; None where it is absent or 0, which the venue writes for "none"."""
    number = None if value is None else amount(value)
    return number if number is not None and number > 0 else None


def average_price(cost: Decimal, size: Decimal) -> Decimal | None:
    """Return cost per unit, half even to 20 significant digits; shorter quotients are exact. None of nothing."""
    if size <= 0 or cost <= 0:
        return None
    return Decimal(plain(_quotients.divide(cost, size).normalize(_quotients)))


def plain(number: Decimal) -> str:
    """Write a number without exponent."""
    return format(number, "f")


def plain_or_none(number: Decimal | None) -> str | None:
    """Write a number without exponent; None stays None."""
    return None if number is None else plain(number)
