"""The dead-man switch end to end: the simulated venue counts, the adapter lives or dies, all in virtual time."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest
from trio.testing import MockClock

from unitape.adapter import VenueAdapter
from unitape.errors import TransportError, VenueError
from unitape.registry import load_venue
from unitape.sim import DEMO_USER, SimNetwork, SimSettings
from unitape.spi import Credentials, HttpRequest, HttpResponse
from unitape.trade.requests import TradingOptions
from unitape.transport import Ended, Receiver, Transport, WsOptions

pytestmark = pytest.mark.anyio
DEMO = Credentials(DEMO_USER.key, DEMO_USER.secret, DEMO_USER.passphrase or None)
BTC, ETH = "BTC/USDT:USDT", "ETH/USDT:USDT"


@pytest.fixture
def anyio_backend() -> Any:
    return "trio", {"clock": MockClock(autojump_threshold=0)}


class Cable:
    """The network between an adapter and the venue, until somebody pulls the plug."""

    name = "cable"

    def __init__(self, inner: Transport) -> None:
        self._inner = inner
        self.plugged = True

    async def run(self, url: str, receiver: Receiver, options: WsOptions) -> Ended:
        return await self._inner.run(url, receiver, options)

    async def request(self, base: str, request: HttpRequest, timeout: float) -> HttpResponse:
        if not self.plugged:
            raise TransportError("no route to host", sent=False)
        return await self._inner.request(base, request, timeout)

    async def aclose(self) -> None:
        await self._inner.aclose()


class Place:
    """The venue, the adapter under test, and the venue's own view of its orders."""

    def __init__(self, network: SimNetwork) -> None:
        self.network = network
        self.cable = Cable(network.transport)

    def adapter(self) -> VenueAdapter:
        return VenueAdapter(
            load_venue("binance"),
            endpoints={"usdm": self.network.endpoint("binance", "usdm")},
            transport=self.cable,
            clock=self.network.clock,
            credentials=DEMO,
            seed=1,
            trading=TradingOptions(timeout=3.0),
        )

    def open(self) -> list[str]:
        exchange = self.network.host("binance", "usdm").exchange
        return sorted(order.symbol for order in exchange.accounts.open_orders(DEMO_USER.name))


@asynccontextmanager
async def venue() -> AsyncIterator[Place]:
    settings = SimSettings(symbols=("BTC", "ETH"), markets=("binance/usdm",), rate=1.0)
    async with SimNetwork([load_venue("binance")], settings) as network:
        yield Place(network)


async def trade(adapter: VenueAdapter) -> None:
    """Two orders in the first symbol, one of them conditional, and one in another symbol."""
    await adapter.place(BTC, "buy", size="0.01", price="60000")
    await adapter.place(BTC, "buy", "stop", size="0.01", trigger="200000")
    await adapter.place(ETH, "buy", size="0.1", price="1500")


async def test_while_the_adapter_lives_its_orders_do() -> None:
    async with venue() as place, place.adapter() as adapter:
        await trade(adapter)
        await adapter.dead_man.arm(BTC, 12)
        await anyio.sleep(60)
        assert place.open() == [BTC, BTC, ETH]


async def test_a_dead_process_takes_its_orders_along(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tasks stop at once, as they do when a process is killed: nobody leaves, nobody says goodbye."""

    async def killed() -> None:
        return

    async with venue() as place:
        with anyio.CancelScope() as process:
            async with place.adapter() as adapter:
                await trade(adapter)
                await adapter.dead_man.arm(BTC, 12)
                monkeypatch.setattr(adapter._keeper, "leave", killed)
                process.cancel()
                await anyio.sleep_forever()
        await anyio.sleep(11.5)
        assert place.open() == [BTC, BTC, ETH]
        await anyio.sleep(1)
        assert place.open() == [BTC, ETH], "the ordinary order of the armed symbol, and no other"


async def test_a_cut_connection_does_too_and_one_that_comes_back_in_time_does_not() -> None:
    async with venue() as place, place.adapter() as adapter:
        await trade(adapter)
        await adapter.dead_man.arm(BTC, 12)
        place.cable.plugged = False
        await anyio.sleep(6)
        place.cable.plugged = True
        await anyio.sleep(30)
        assert place.open() == [BTC, BTC, ETH]
        place.cable.plugged = False
        await anyio.sleep(13)
        assert place.open() == [BTC, ETH]
        place.cable.plugged = True


async def test_leaving_calls_it_off() -> None:
    async with venue() as place:
        async with place.adapter() as adapter:
            await trade(adapter)
            await adapter.dead_man.arm(BTC, 12)
        await anyio.sleep(60)
        assert place.open() == [BTC, BTC, ETH]


async def test_being_cancelled_leaves_too() -> None:
    """A task that is cancelled still leaves its adapter: that is no death."""
    async with venue() as place:
        with anyio.CancelScope() as scope:
            async with place.adapter() as adapter:
                await trade(adapter)
                await adapter.dead_man.arm(BTC, 12)
                scope.cancel()
                await anyio.sleep(1)
        await anyio.sleep(60)
        assert place.open() == [BTC, BTC, ETH]


async def test_the_venue_answers_as_its_page_says() -> None:
    async with venue() as place, place.adapter() as adapter:
        await trade(adapter)
        client = await adapter.trading_client(adapter.declaration.market("usdm"))
        trading: Any = client.trading
        await client.write(trading.countdown(BTC, 0), client_id=None)
        await client.write(trading.countdown(BTC, 2.5), client_id=None)
        await client.write(trading.countdown(ETH, 2.5), client_id=None)
        await client.write(trading.countdown(ETH, 0), client_id=None)
        await anyio.sleep(4)
        assert place.open() == [BTC, ETH]
        with pytest.raises(VenueError, match="-1100"):
            await client.write(trading.countdown(ETH, -1), client_id=None)
