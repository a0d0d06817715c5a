"""Instruments of one coin that are counted in different units: ``SHIB``, ``1000SHIB``, ``1MBABYDOGE``."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Final

from unitape_schemas import Instrument, Levels

__all__ = ["SURE", "base_of", "coin", "per_coin", "quote_of"]

SURE: Final[Mapping[int, tuple[str, ...]]] = {1_000_000: ("1M",)}
"""How a multiplier is written beside the name of a coin, other than in full, where no coin's own name looks like it."""


def base_of(symbol: str) -> str:
    """Return the base of a unified symbol."""
    return symbol.partition("/")[0]


def quote_of(symbol: str) -> str:
    """Return the quote currency of a unified symbol."""
    return symbol.partition("/")[2].partition(":")[0]


def coin(instrument: Instrument, short: Mapping[int, tuple[str, ...]] = SURE) -> str:
    """Return the name of the coin itself: ``SHIB`` for ``1000SHIB`` and ``SHIB1000`` with a multiplier of 1000.

    The base as it stands where its name does not show the multiplier. ``short`` are the ways to write one that count
    beside its digits.
    """
    base = instrument.base
    if instrument.multiplier == 1:
        return base
    for sign in (str(instrument.multiplier), *short.get(instrument.multiplier, ())):
        if base.startswith(sign) and base != sign:
            return base[len(sign) :]
        if base.endswith(sign) and base != sign:
            return base[: -len(sign)]
    return base


def per_coin(levels: Levels, multiplier: int) -> Levels:
    """Return levels with the price of one coin and sizes in coins, each the float nearest to the exact number."""
    if multiplier == 1:
        return levels
    return tuple(
        (float(Decimal(repr(price)) / multiplier), float(Decimal(repr(size)) * multiplier)) for price, size in levels
    )
