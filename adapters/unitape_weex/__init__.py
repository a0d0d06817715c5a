"""WEEX, spot and USDT-margined perpetual contracts: V3 of its API, as of 2026-07."""

from __future__ import annotations

from typing import Final

from unitape.spi import Venue
from unitape_weex.market import CONTRACT, SPOT, contract, spot
from unitape_weex.settings import Settings

__all__ = ["CONTRACT", "SPOT", "VENUE", "Settings", "contract", "spot"]

VENUE: Final = Venue(name="weex", title="WEEX", markets=(SPOT, CONTRACT), simulator="unitape_weex.simulator:face")
