"""MEXC's wire faces on a simulated exchange: spot and futures, market data and trading.

They share nothing with the codecs of this package, which they are there to judge.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from unitape.spi.simulation import Exchange, Face, FaceOptions
from unitape_mexc.simulator_base import BaseFace
from unitape_mexc.simulator_futures import FuturesFace
from unitape_mexc.simulator_orders_futures import FuturesPrivateFace
from unitape_mexc.simulator_orders_spot import SpotPrivateFace
from unitape_mexc.simulator_private import PrivateFace
from unitape_mexc.simulator_spot import SpotFace

__all__ = ["face"]

_FACES: Final[Mapping[str, tuple[type[BaseFace], type[PrivateFace]]]] = {
    "spot": (SpotFace, SpotPrivateFace),
    "futures": (FuturesFace, FuturesPrivateFace),
}


def face(exchange: Exchange, market: str, options: FaceOptions) -> Face:
    """Return the face of ``spot`` or ``futures``; KeyError for another market."""
    public, private = _FACES[market]
    return public(exchange, options, private(exchange, options))
