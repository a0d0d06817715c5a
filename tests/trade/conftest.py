"""An adapter of Bourse on trio's virtual time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from msgspec import structs
from trio.testing import MockClock

from tests.trade.bourse import CREDENTIALS, Bourse, venue
from unitape.adapter import VenueAdapter
from unitape.clock import LoopClock
from unitape.guards.kill import KillRules
from unitape.trade.requests import TradingOptions
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
    """Make an adapter that raises at once what is unknown; settings beside the usual ones by keyword."""

    def make(**settings: Any) -> VenueAdapter:
        given: dict[str, Any] = {"credentials": CREDENTIALS, "seed": 1, "clock": clock, **settings}
        options = given.get("trading", TradingOptions(kill=KillRules(enabled=False)))
        given["trading"] = structs.replace(options, resolve_within=given.pop("resolve_within", 0.0))
        return VenueAdapter(given.pop("declaration", None) or venue(), transport=MemoryTransport(bourse), **given)

    return make
