"""What trading costs: fee rates by venue, market and symbol, in tiers by volume."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Final, TypeAlias

from msgspec import Struct

from unitape.errors import ConfigError
from unitape_schemas import Instrument

__all__ = ["FeeRate", "FeeSchedule", "FeeTier", "RateLike"]

RateLike: TypeAlias = Decimal | int | str
"""A rate as an exact number: ``"0.001"`` is 0.1 %. Negative is a rebate."""

ZERO: Final = Decimal(0)
ONE: Final = Decimal(1)


class FeeTier(Struct, frozen=True):
    """The rates from a trading volume on, as fractions of the traded value."""

    maker: Decimal
    taker: Decimal
    volume: Decimal = ZERO
    """Volume from which the tier holds, in the units that the venue counts it in."""
    name: str = ""


class FeeRate(Struct, frozen=True):
    """The rates that hold for one instrument, and where they come from."""

    maker: Decimal
    taker: Decimal
    source: str
    """The key and tier of the schedule, or ``instrument`` for what the venue lists."""


class FeeSchedule(Struct, frozen=True):
    """Your fees. What it does not name pays what the venue lists for the instrument.

    Keys are ``venue``, ``venue/market`` or ``venue/market/symbol``; the longest that fits wins::

        FeeSchedule.flat({"alpha/spot": "0.00075", "beta": ("0", "0.0005")})

    Raises:
        ConfigError: a list of tiers is empty, has none from volume 0, or a rate is not between -1 and 1.
    """

    tiers: Mapping[str, tuple[FeeTier, ...]] = {}
    volumes: Mapping[str, Decimal] = {}
    """Your volume by the same keys; 0 where none is given."""

    def __post_init__(self) -> None:
        for key, tiers in self.tiers.items():
            if not tiers or min(tier.volume for tier in tiers) != 0:
                raise ConfigError(f"the fees of {key!r} need a tier from volume 0 on")
            for tier in tiers:
                if not (-ONE < tier.maker < ONE and -ONE < tier.taker < ONE):
                    raise ConfigError(f"the fees of {key!r} are fractions between -1 and 1, as 0.001 for 0.1 %")

    @classmethod
    def flat(cls, rates: Mapping[str, RateLike | tuple[RateLike, RateLike]]) -> FeeSchedule:
        """Return a schedule of one tier per key: one rate for both, or (maker, taker).

        Raises:
            ConfigError: a rate is a float, or not between -1 and 1.
        """
        made: dict[str, tuple[FeeTier, ...]] = {}
        for key, given in rates.items():
            maker, taker = given if isinstance(given, tuple) else (given, given)
            made[key] = (FeeTier(_rate(key, maker), _rate(key, taker)),)
        return cls(made)

    def of(self, instrument: Instrument) -> FeeRate | None:
        """Return the rates of an instrument; None when neither the schedule nor the venue's list says them."""
        venue, market, symbol = instrument.venue, instrument.market, instrument.symbol
        for key in (f"{venue}/{market}/{symbol}", f"{venue}/{market}", venue):
            tiers = self.tiers.get(key)
            if tiers is not None:
                volume = self.volumes.get(key, ZERO)
                tier = max((t for t in tiers if t.volume <= volume), key=lambda t: t.volume)
                return FeeRate(tier.maker, tier.taker, f"{key} {tier.name}".rstrip())
        if instrument.maker is None or instrument.taker is None:
            return None
        return FeeRate(instrument.maker, instrument.taker, "instrument")


def _rate(key: str, given: object) -> Decimal:
    if isinstance(given, bool) or not isinstance(given, (Decimal, int, str)):
        raise ConfigError(f"the fee of {key!r} must be a Decimal, an int or a str, as {given!r} is not")
    try:
        return Decimal(given)
    except ArithmeticError:
        raise ConfigError(f"the fee of {key!r}, {given!r}, is not a number") from None
