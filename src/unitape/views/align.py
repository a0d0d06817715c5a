"""Instruments of one coin that are counted in different units: ``SHIB``, ``1000SHIB``, ``1MBABYDOGE``."""

from __future__ import annotations

from decimal import Decimal

from unitape_schemas import Instrument, Levels

__all__ = ["base_of", "coin", "per_coin", "quote_of"]


def base_of(symbol: str) -> str:
    """Return the base of a unified symbol."""
    return symbol.partition("/")[0]


def quote_of(symbol: str) -> str:
    """Return the quote currency of a unified symbol."""
    return symbol.partition("/")[2].partition(":")[0]


def coin(instrument: Instrument) -> str:
    """Return the name of the coin itself: ``SHIB`` for ``1000SHIB`` and ``SHIB1000`` with a multiplier of 1000.

    The base as it stands where its name does not show the multiplier.
    """
    base, multiplier = instrument.base, instrument.multiplier
    if multiplier == 1:
        return base
    for word in (str(multiplier), "1M" if multiplier == 1_000_000 else ""):
        if word and base.startswith(word) and base != word:
            return base[len(word) :]
        if word and base.endswith(word) and base != word:
            return base[: -len(word)]
    return base


def per_coin(levels: Levels, multiplier: int) -> Levels:
    """Return levels with the price of one coin and sizes in coins, each the float nearest to the exact number."""
    if multiplier == 1:
        return levels
    return tuple(
        (float(Decimal(repr(price)) / multiplier), float(Decimal(repr(size)) * multiplier)) for price, size in levels
    )
