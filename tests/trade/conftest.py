"""An adapter of Bourse on trio's virtual time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from trio.testing import MockClock

from tests.trade.bourse import CREDENTIALS, Bourse, venue
from unitape.adapter import VenueAdapter
from unitape.clock import LoopClock
from unitape.transport.memory import MemoryTransport

ORIGIN = 1_790_000_000_000_000_000


@pytest.fixture
def anyio_backend() -> Any:
    return "trio", {"clock": MockClock(autojump_threshold=0)}


@pytest.fixture
def clock() -> LoopClock:
    return LoopClock(ORIGIN)


@pytest.fixture
def bourse(clock: LoopClock) -> Bourse:
    return Bourse(clock)


@pytest.fixture
def trader(bourse: Bourse, clock: LoopClock) -> Callable[..., VenueAdapter]:
    """Make an adapter; settings beside the usual ones by keyword."""

    def make(**settings: Any) -> VenueAdapter:
        given: dict[str, Any] = {"credentials": CREDENTIALS, "seed": 1, "clock": clock, **settings}
        return VenueAdapter(given.pop("declaration", None) or venue(), transport=MemoryTransport(bourse), **given)

    return make
