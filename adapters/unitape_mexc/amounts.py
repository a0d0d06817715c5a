"""Exact numbers of the private wire: decimals checked as they come, and contracts to base units as integers."""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Context, Decimal
from math import gcd
from typing import Final

from unitape.errors import ConfigError, InvalidOrder
from unitape_mexc.bodies import VENUE
from unitape_schemas import Instrument

__all__ = ["EXACT", "average_price", "base_units", "contracts", "number", "number_or_none", "plain", "positive"]

_LIMIT: Final = Decimal(10**18)
_FINEST: Final = -30
EXACT: Final = Context(prec=80)
"""Adds and subtracts amounts without rounding."""
_quotients: Final = Context(prec=20, rounding=ROUND_HALF_EVEN)


def plain(value: Decimal) -> str:
    """Write a number without exponent."""
    return format(value, "f")


def number(value: Decimal) -> Decimal:
    """Return a number of an answer.

    Raises:
        ValueError: it is none, 1e18 or more, or finer than 1e-30.
    """
    exponent = value.as_tuple().exponent
    if not isinstance(exponent, int) or exponent < _FINEST or abs(value) >= _LIMIT:
        raise ValueError(f"{value} is no amount")
    if not value:
        return Decimal(0)  # 0.00000000 would be written as 0E-8
    # A number such as 1E+3 stays itself, but is written without the exponent.
    return value if exponent <= 0 else Decimal(plain(value))


def number_or_none(value: Decimal | None) -> Decimal | None:
    """The same; None stays None."""
    return None if value is None else number(value)


def positive(value: Decimal | None) -> Decimal | None:
    """The same; None where it is absent or 0, which the venue writes for "none"."""
    return number(value) if value is not None and value != 0 and number(value) > 0 else None


def average_price(cost: Decimal | None, size: Decimal | None) -> Decimal | None:
    """Return cost per unit, rounded half even to 20 significant digits; None while nothing is filled."""
    if not cost or not size or size < 0:
        return None
    return Decimal(plain(_quotients.divide(cost, size).normalize(_quotients)))


def contracts(size: Decimal, instrument: Instrument) -> int:
    """Return a size in base units as a number of contracts, exactly.

    Raises:
        InvalidOrder: it is no whole number of contracts, or no multiple of the venue's step of them.
        ConfigError: the contract size is not known; load the venue's list of instruments.
    """
    if instrument.contract_size is None:
        raise ConfigError(f"the contract size of {instrument.symbol} is not known, so a size cannot be ordered")
    numerator, denominator = instrument.contract_size
    top, bottom = size.as_integer_ratio()
    count, rest = divmod(top * denominator, bottom * numerator)
    if rest or count <= 0:
        one = plain(_exact(numerator, denominator))
        raise InvalidOrder(
            f"{plain(size)} {instrument.base} is not a whole number of contracts of {one} {instrument.base}",
            venue=VENUE,
        )
    if instrument.step is not None:
        step_top, step_bottom = instrument.step.as_integer_ratio()
        if top * step_bottom % (bottom * step_top):
            raise InvalidOrder(
                f"{plain(size)} {instrument.base} is not a multiple of the step {plain(instrument.step)}", venue=VENUE
            )
    return count


def base_units(count: Decimal, instrument: Instrument) -> Decimal:
    """Return a number of contracts in base units, exactly.

    Raises:
        ValueError: it is no amount, or the contract size is not known.
    """
    if instrument.contract_size is None:
        raise ValueError(f"the contract size of {instrument.raw_symbol} is not known, so its sizes mean nothing")
    numerator, denominator = instrument.contract_size
    top, bottom = number(count).as_integer_ratio()
    return _exact(top * numerator, bottom * denominator)


def _exact(numerator: int, denominator: int) -> Decimal:
    """Return a fraction whose denominator has no other factors than 2 and 5 as a decimal."""
    shared = gcd(numerator, denominator)
    numerator, denominator = numerator // shared, denominator // shared
    places = 0
    while 10**places % denominator:
        places += 1
        if places > -2 * _FINEST:
            raise ValueError(f"{numerator}/{denominator} is no decimal")
    return Decimal(f"{numerator * (10**places // denominator)}e-{places}")
