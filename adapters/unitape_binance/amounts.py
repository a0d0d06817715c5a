"""Exact numbers of the private wire: checked as text while decoding, ``Decimal`` afterwards."""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Context, Decimal
from typing import Annotated, Final, TypeAlias

from msgspec import Meta

__all__ = ["WireAmount", "WireAmountOrEmpty", "amount", "average_price", "plain", "positive"]

WireAmount: TypeAlias = Annotated[str, Meta(pattern=r"^-?[0-9]{1,18}(\.[0-9]{1,20})?\Z")]
"""A decimal as the venue writes it: no exponent, no infinity, below 1e18."""

WireAmountOrEmpty: TypeAlias = Annotated[str, Meta(pattern=r"^(-?[0-9]{1,18}(\.[0-9]{1,20})?)?\Z")]
"""The same, or an empty text where there is nothing yet."""

AVERAGE_DIGITS: Final = 20
_quotients: Final = Context(prec=AVERAGE_DIGITS, rounding=ROUND_HALF_EVEN)


def amount(text: str) -> Decimal:
    """Return the number. A zero is plain, whatever its digits: ``0.00000000`` would print as ``0E-8``."""
    return Decimal(text) or Decimal(0)


def plain(number: Decimal) -> str:
    """Write a number without exponent."""
    return format(number, "f")


def positive(text: str | None) -> Decimal | None:
    """Return the number; None where it is absent, empty or 0, which the venue writes for "none"."""
    number = Decimal(text) if text else Decimal(0)
    return number if number > 0 else None


def average_price(cost: Decimal, size: Decimal) -> Decimal | None:
    """Return cost per unit, rounded half even to 20 significant digits; shorter quotients are exact.

    None while nothing is filled, and where the venue does not know the cost of an old order and writes less than 0.
    """
    if size <= 0 or cost < 0:
        return None
    # Normalized quotients may carry an exponent (9.5E+4), which plain text gets rid of.
    return Decimal(plain(_quotients.divide(cost, size).normalize(_quotients)))
