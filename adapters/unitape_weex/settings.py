"""What the venue's pages leave open, as choices."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

__all__ = ["Chain", "Settings"]

Chain = Literal["auto", "equal", "next"]
"""How a change of a book continues the one before: ``equal`` U = L, ``next`` U = L + 1, ``auto`` as the first change
after each image shows."""


class Settings(Struct, frozen=True):
    """Choices of one market."""

    chain: Chain = "equal"
    """Proven on contracts. Spot was never captured message by message, so it is ``auto`` there."""

    emit_history: bool = False
    """Pass on what the venue repeats when one subscribes: the newest trades, and the candles that closed before.

    Off: only what happens from then on comes out, and the candle that is open. What a lost connection missed is a
    query.
    """
