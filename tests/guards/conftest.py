"""The toy exchange of the trading tests, on virtual time, with the kill switch as users have it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.trade.bourse import CREDENTIALS, Bourse, venue
from tests.trade.conftest import anyio_backend, bourse, clock
from unitape.adapter import VenueAdapter
from unitape.clock import LoopClock
from unitape.transport.memory import MemoryTransport

__all__ = ["anyio_backend", "bourse", "clock"]


@pytest.fixture
def trader(bourse: Bourse, clock: LoopClock) -> Callable[..., VenueAdapter]:
    """Make an adapter; settings beside the usual ones by keyword."""

    def make(**settings: Any) -> VenueAdapter:
        given: dict[str, Any] = {"credentials": CREDENTIALS, "seed": 1, "clock": clock, **settings}
        return VenueAdapter(given.pop("declaration", None) or venue(), transport=MemoryTransport(bourse), **given)

    return make
