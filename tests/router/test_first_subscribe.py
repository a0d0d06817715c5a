"""A venue that cannot be reached when it is first asked: told, not tried again, and there for whoever asks again."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import anyio
import pytest
from trio.testing import MockClock

from unitape import Router, Trade, trades
from unitape.adapter import VenueAdapter
from unitape.errors import TransportError
from unitape.registry import load_venue
from unitape.sim import SimNetwork, SimSettings
from unitape.spi import HttpRequest, HttpResponse
from unitape.transport import Ended, Receiver, Transport, WsOptions

pytestmark = pytest.mark.anyio
NEAR, FAR = "binance", "weex"
PAGE = Path(__file__).parents[2] / "docs" / "feeds.md"


@pytest.fixture
def anyio_backend() -> Any:
    return "trio", {"clock": MockClock(autojump_threshold=0)}


class Line:
    name = "line"

    def __init__(self, inner: Transport) -> None:
        self._inner = inner
        self.up = False

    async def run(self, url: str, receiver: Receiver, options: WsOptions) -> Ended:
        if not self.up:
            raise TransportError("no route to host")
        return await self._inner.run(url, receiver, options)

    async def request(self, base: str, request: HttpRequest, timeout: float) -> HttpResponse:
        if not self.up:
            raise TransportError("no route to host", sent=False)
        return await self._inner.request(base, request, timeout)

    async def aclose(self) -> None:
        await self._inner.aclose()


def insist() -> Any:
    """Return the function that the page shows."""
    (code,) = re.findall(r"```python\n(.*?async def insist.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    names: dict[str, Any] = {}
    exec(code, names)
    return names["insist"]


@pytest.mark.parametrize("offline", [False, True], ids=["no instruments", "no connection"])
async def test_it_is_rejected_once_and_confirmed_when_asked_again(offline: bool) -> None:
    settings = SimSettings(symbols=("BTC",), markets=(f"{NEAR}/spot", f"{FAR}/spot"), rate=2.0)
    async with SimNetwork([load_venue(NEAR), load_venue(FAR)], settings) as network:
        line = Line(network.transport)

        def adapter(venue: str, transport: Transport) -> VenueAdapter:
            places = {"spot": network.endpoint(venue, "spot")}
            return VenueAdapter(
                load_venue(venue), endpoints=places, transport=transport, clock=network.clock, offline=offline, seed=1
            )

        async with Router(adapter(NEAR, network.transport), adapter(FAR, line)) as router:
            first = await router.subscribe(trades("BTC/USDT"))
            assert [venue for venue, _ in first.confirmed] == [NEAR]
            assert [venue for venue, _ in first.rejected] == [FAR]
            line.up = True
            await anyio.sleep(60)
            assert router.adapters[1].stats() == [], "nobody tries it again"  # type: ignore[attr-defined]

            line.up = False
            left: list[Any] = []

            async def ask() -> None:
                left.append(await insist()(router, trades("BTC/USDT"), pause=10.0))

            async with anyio.create_task_group() as tasks:
                tasks.start_soon(ask)
                await anyio.sleep(35)
                assert left == []
                line.up = True
            assert left == [[]]
            with anyio.fail_after(60):
                async for event in router.stream(types=(Trade,), venues=FAR, statuses=False):
                    assert event.venue == FAR
                    break


async def test_whoever_insists_in_vain_learns_what_is_missing() -> None:
    async with SimNetwork([load_venue(FAR)], SimSettings(symbols=("BTC",), markets=(f"{FAR}/spot",))) as network:
        far = VenueAdapter(
            load_venue(FAR),
            endpoints={"spot": network.endpoint(FAR, "spot")},
            transport=Line(network.transport),
            clock=network.clock,
        )
        async with Router(far) as router:
            (left,) = await insist()(router, trades("BTC/USDT"), tries=3)
            assert left == trades("BTC/USDT")
