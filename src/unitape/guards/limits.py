"""Risk limits: what an order would bring is compared with what is allowed, before any request. Pure arithmetic."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Final, Literal, TypeAlias

from msgspec import Struct

from unitape.errors import ConfigError

__all__ = ["PerSymbol", "RiskLimits", "limit_for"]

PerSymbol: TypeAlias = Decimal | Mapping[str, Decimal] | None
"""One number for every symbol, or one by symbol with ``*`` for the others; None: no limit."""

EVERY: Final = "*"


class RiskLimits(Struct, frozen=True, kw_only=True):
    """What orders may bring at most. A value that equals its limit is allowed; None is no limit.

    Orders that can only make a position smaller are held to ``price_band`` alone.
    """

    max_order_notional: PerSymbol = None
    """Worth of one order, quote units."""
    max_order_size: PerSymbol = None
    """Size of one order, base units."""
    max_position: PerSymbol = None
    """Base units that a symbol may hold, long or short, if this order and all open ones of its side are filled."""
    max_position_notional: PerSymbol = None
    """The same in quote units, at the reference price."""
    max_open_orders: int | None = None
    """Open orders of the whole account, this one included."""
    daily_loss: Decimal | None = None
    """How far the account's worth may have fallen since 00:00 UTC, in ``currency``; then only closing is allowed."""
    drawdown: Decimal | None = None
    """How far it may have fallen from its highest value, as a fraction: 0.1 is 10 %."""
    price_band: PerSymbol = None
    """How far a limit price may be on the wrong side of the reference price, as a fraction: 0.02 lets a buy cost 2 %
    more and a sell bring 2 % less."""
    band: Literal["worse", "both"] = "worse"
    """``both``: the other side of the band, too, though an order there only waits."""
    currency: str = "USDT"
    """In which the account's worth is counted."""
    ignored: tuple[str, ...] = ()
    """Currencies that are left out of the account's worth."""
    without_reference: Literal["refuse", "allow"] = "refuse"
    """What becomes of an order that a limit cannot judge because no fresh price is known."""
    without_account: Literal["refuse", "allow"] = "refuse"
    """The same because the account is not known, or not up to date."""
    reference_age: float = 10.0
    """Seconds after which a price is no longer fresh."""

    def __post_init__(self) -> None:
        """Refuse limits that would not mean what they say.

        Raises:
            ConfigError: a number is no ``Decimal``, or negative.
        """
        for name in ("max_order_notional", "max_order_size", "max_position", "max_position_notional", "price_band"):
            value: PerSymbol = getattr(self, name)
            for number in value.values() if isinstance(value, Mapping) else (value,):
                _check(name, number)
        for name in ("daily_loss", "drawdown"):
            _check(name, getattr(self, name))
        if self.max_open_orders is not None and self.max_open_orders < 0:
            raise ConfigError("RiskLimits.max_open_orders is 0 or more")
        if not self.reference_age > 0:
            raise ConfigError("RiskLimits.reference_age is seconds above 0")


def limit_for(limit: PerSymbol, symbol: str) -> Decimal | None:
    """Return the number that holds for a symbol, None if none does."""
    if isinstance(limit, Mapping):
        return limit.get(symbol, limit.get(EVERY))
    return limit


def _check(name: str, number: Decimal | None) -> None:
    if number is None:
        return
    if not isinstance(number, Decimal) or not number.is_finite() or number < 0:  # pyright: ignore[reportUnnecessaryIsInstance]
        raise ConfigError(f"RiskLimits.{name} is a Decimal of 0 or more, not {number!r}")
