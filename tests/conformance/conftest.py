from __future__ import annotations

import os

import pytest
from trio.testing import MockClock

VIRTUAL = ("trio", {"clock": MockClock(autojump_threshold=0)})
SEEDS = int(os.environ.get("UNITAPE_SEEDS", "200"))
"""How many random fault schedules are tried, over all markets together."""


@pytest.fixture(params=["virtual", "real"])
def anyio_backend(request: pytest.FixtureRequest) -> object:
    """Virtual time on trio, real time on asyncio; the same cases on both."""
    if request.param == "virtual":
        return "trio", {"clock": MockClock(autojump_threshold=0)}
    return "asyncio"
