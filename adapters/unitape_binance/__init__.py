"""Binance: spot and USDⓈ-M futures. ``VENUE`` is the declaration that the engine loads."""

from typing import Final

from unitape.spi import Venue
from unitape_binance.market import SpotMarket, UsdmMarket

__all__ = ["SPOT", "USDM", "VENUE", "SpotMarket", "UsdmMarket"]

SPOT: Final = SpotMarket()
USDM: Final = UsdmMarket()
VENUE: Final = Venue(name="binance", title="Binance", markets=(SPOT, USDM), simulator="unitape_binance.simulator:face")
