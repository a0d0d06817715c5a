"""Exact numbers from the user's hands: what is taken, what is refused, and arithmetic that never rounds by itself."""

from __future__ import annotations

import re
from decimal import Context, Decimal, Inexact, InvalidOperation
from typing import Final, TypeAlias

from unitape.errors import ConfigError

__all__ = ["Number", "exact_number", "is_multiple", "multiply", "plain", "round_down", "round_up"]

Number: TypeAlias = Decimal | int | str
"""What prices and sizes may be given as. A float is refused: 0.1 + 0.2 is not what its writer meant."""

LIMIT: Final = Decimal(10) ** 18
PLACES: Final = 30
"""Decimal places that a number may have: more than any venue's, few enough to stay exact below."""
_TEXT: Final = re.compile(r"\d{1,40}(\.\d{0,40})?([eE][+-]?\d{1,2})?|\.\d{1,40}", re.ASCII)
_EXACT: Final = Context(prec=160, traps=[Inexact, InvalidOperation])


def exact_number(value: object, name: str) -> Decimal:
    """Return a positive number given as ``Decimal``, ``int`` or ``str``, without exponent and idle zeros.

    Raises:
        ConfigError: it is a float, not a number, not positive, not finite, or out of all proportion.
    """
    if isinstance(value, float):
        raise ConfigError(f"{name} {value!r} is a float, which is not exact: give a Decimal or a str, {str(value)!r}")
    if isinstance(value, bool) or not isinstance(value, (Decimal, int, str)):
        raise ConfigError(f"{name} must be a Decimal, an int or a str, not {type(value).__name__}")
    if isinstance(value, str) and _TEXT.fullmatch(value.strip()) is None:
        raise ConfigError(f"{name} {value!r} is not a positive decimal number")
    number = Decimal(value)
    if not number.is_finite() or not 0 < number < LIMIT:
        raise ConfigError(f"{name} {value} must be above 0 and below 1e18")
    exponent = number.as_tuple().exponent
    if isinstance(exponent, int) and exponent < -PLACES:
        raise ConfigError(f"{name} has more than {PLACES} decimal places")
    return Decimal(plain(number))


def plain(number: Decimal) -> str:
    """Return a number as plain decimals, without exponent and without zeros that say nothing."""
    return format(_EXACT.normalize(number), "f")


def is_multiple(number: Decimal, unit: Decimal) -> bool:
    """Tell whether a number is a whole multiple of a unit, exactly."""
    return unit <= 0 or _EXACT.remainder(number, unit) == 0


def round_down(number: Decimal, unit: Decimal) -> Decimal:
    """Return the largest multiple of a unit that is not above a number."""
    return number if unit <= 0 else _EXACT.subtract(number, _EXACT.remainder(number, unit))


def round_up(number: Decimal, unit: Decimal) -> Decimal:
    """Return the smallest multiple of a unit that is not below a number."""
    down = round_down(number, unit)
    return down if down == number else _EXACT.add(down, unit)


def multiply(a: Decimal, b: Decimal) -> Decimal:
    """Return an exact product."""
    return _EXACT.multiply(a, b)
