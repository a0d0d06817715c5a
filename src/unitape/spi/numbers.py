"""Number types for wire structs: exact bounds, checked while decoding.

Decode with ``msgspec.json.Decoder(Type, strict=False)``: venues write numbers as strings and as JSON numbers, and
lax decoding takes both. The bounds are what keeps lax decoding honest: without them it would take "nan" and "inf".
"""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Final, TypeAlias

from msgspec import Meta

from unitape_schemas import NUMBER_LIMIT

__all__ = ["MILLISECOND", "SECOND", "WireLevel", "WireLevels", "WireMillis", "WireNumber", "WireSigned", "exact"]

WireNumber: TypeAlias = Annotated[float, Meta(ge=0, lt=NUMBER_LIMIT)]
"""A price, size or amount: finite, not negative, below 1e18."""

WireSigned: TypeAlias = Annotated[float, Meta(gt=-NUMBER_LIMIT, lt=NUMBER_LIMIT)]
"""A rate or change: finite, bounded on both sides."""

WireLevel: TypeAlias = tuple[WireNumber, WireNumber]
WireLevels: TypeAlias = tuple[WireLevel, ...]

WireMillis: TypeAlias = Annotated[int, Meta(ge=0, lt=9_000_000_000_000)]
"""Unix milliseconds up to the year 2255; nanoseconds made from it fit 64 bits."""

MILLISECOND: Final = 1_000_000
"""Nanoseconds in a millisecond."""
SECOND: Final = 1_000_000_000
"""Nanoseconds in a second."""


def exact(text: str | float) -> Decimal:
    """Return the decimal that the venue wrote. A float stands for the shortest decimal that reads back as itself."""
    return Decimal(text if isinstance(text, str) else repr(text))
