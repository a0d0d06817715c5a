"""MEXC's wire faces on a simulated exchange: spot and futures, market data.

They share nothing with the codecs of this package, which they are there to judge.
"""

from __future__ import annotations

from unitape.spi.simulation import Exchange, Face, FaceOptions
from unitape_mexc.simulator_futures import FuturesFace
from unitape_mexc.simulator_spot import SpotFace

__all__ = ["face"]

_FACES: dict[str, type[SpotFace | FuturesFace]] = {"spot": SpotFace, "futures": FuturesFace}


def face(exchange: Exchange, market: str, options: FaceOptions) -> Face:
    """Return the face of ``spot`` or ``futures``; KeyError for another market."""
    return _FACES[market](exchange, options)
