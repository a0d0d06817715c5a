"""MEXC: spot and futures. ``VENUE`` is the declaration that the engine loads."""

from typing import Final

from unitape.spi import Venue
from unitape_mexc.limits import FuturesSettings, SpotSettings
from unitape_mexc.market import FuturesMarket, SpotMarket

__all__ = ["FUTURES", "SPOT", "VENUE", "FuturesMarket", "FuturesSettings", "SpotMarket", "SpotSettings"]

SPOT: Final = SpotMarket()
FUTURES: Final = FuturesMarket()
VENUE: Final = Venue(name="mexc", title="MEXC", markets=(SPOT, FUTURES), simulator="unitape_mexc.simulator:face")
