"""Binance as an adapter with I/O: the only file of this package that touches the engine."""

from __future__ import annotations

from unitape.adapter import VenueAdapter
from unitape_binance import VENUE

__all__ = ["Binance"]


class Binance(VenueAdapter):
    """Spot and USDⓈ-M futures of Binance, live. See ``VenueAdapter`` for the settings."""

    declaration = VENUE
