"""Canceling everything on spot: in one request where the account may, symbol by symbol elsewhere."""

from __future__ import annotations

from typing import Any

import pytest
from trio.testing import MockClock

from unitape.adapter import VenueAdapter
from unitape.errors import RateLimited, VenueError
from unitape.registry import load_venue
from unitape.sim import DEMO_USER, SimNetwork, SimSettings
from unitape.spi import Credentials, HttpRequest, HttpResponse, TradingSettings
from unitape.transport import Ended, Receiver, Transport, WsOptions

pytestmark = pytest.mark.anyio
DEMO = Credentials(DEMO_USER.key, DEMO_USER.secret)
WIDE = "/api/v3/order/all"
SYMBOLS = ("BTC/USDT", "ETH/USDT")


@pytest.fixture
def anyio_backend() -> Any:
    return "trio", {"clock": MockClock(autojump_threshold=0)}


class Gate:
    """Counts cancels, and answers the wide one as ``refusal`` says."""

    name = "gate"

    def __init__(self, inner: Transport, refusal: HttpResponse | None = None) -> None:
        self._inner = inner
        self._refusal = refusal
        self.canceled: list[str] = []

    async def run(self, url: str, receiver: Receiver, options: WsOptions) -> Ended:
        return await self._inner.run(url, receiver, options)

    async def request(self, base: str, request: HttpRequest, timeout: float) -> HttpResponse:
        if request.method == "DELETE":
            self.canceled.append(request.path)
            if request.path == WIDE and self._refusal is not None:
                return self._refusal
        return await self._inner.request(base, request, timeout)

    async def aclose(self) -> None:
        await self._inner.aclose()


class Floor:
    def __init__(self, network: SimNetwork, refusal: HttpResponse | None = None) -> None:
        self.network = network
        self.gate = Gate(network.transport, refusal)

    def adapter(self, **options: str) -> VenueAdapter:
        return VenueAdapter(
            load_venue("mexc"),
            endpoints={"spot": self.network.endpoint("mexc", "spot")},
            transport=self.gate,
            clock=self.network.clock,
            credentials=DEMO,
            seed=1,
            account=TradingSettings(options=options),
        )

    def open(self) -> int:
        return len(self.network.host("mexc", "spot").exchange.accounts.open_orders(DEMO_USER.name))


def network() -> SimNetwork:
    return SimNetwork([load_venue("mexc")], SimSettings(symbols=("BTC", "ETH"), markets=("mexc/spot",), rate=1.0))


async def place(adapter: VenueAdapter) -> None:
    for symbol, price in zip(SYMBOLS, ("60000", "1500"), strict=True):
        await adapter.place(symbol, "buy", size="0.1", price=price)


async def test_the_option_cancels_the_account_in_one_request_orders_of_others_included() -> None:
    async with network() as simulated:
        floor = Floor(simulated)
        async with floor.adapter() as somebody:
            await place(somebody)
        async with floor.adapter(cancel_all="account") as adapter:
            (result,) = await adapter.cancel_all()
        assert (result.ok, result.native) == (True, True)
        assert floor.gate.canceled == [WIDE]
        assert floor.open() == 0


async def test_without_it_the_symbols_that_are_known_are_canceled_and_doubt_is_told() -> None:
    async with network() as simulated:
        floor = Floor(simulated)
        async with floor.adapter() as adapter:
            await place(adapter)
            (result,) = await adapter.cancel_all()
        assert not result.native
        assert list(result.failures) == ["*"], "nobody can list the orders of symbols that were not traded here"
        assert floor.gate.canceled == ["/api/v3/openOrders"] * 2
        assert floor.open() == 0


@pytest.mark.parametrize(
    "refusal",
    [
        HttpResponse(400, b'{"code":700007,"msg":"No permission to access the endpoint."}'),
        HttpResponse(404, b'{"timestamp":"2026-11-06T08:00:00","status":404,"error":"Not Found","path":"/order/all"}'),
        HttpResponse(404, b"<html>Not Found</html>"),
    ],
)
async def test_a_venue_that_refuses_it_is_asked_symbol_by_symbol_and_the_refusal_is_told(
    refusal: HttpResponse,
) -> None:
    async with network() as simulated:
        floor = Floor(simulated, refusal)
        async with floor.adapter(cancel_all="account") as adapter:
            await place(adapter)
            (result,) = await adapter.cancel_all()
        assert not result.native
        assert floor.gate.canceled[-2:] == ["/api/v3/openOrders"] * 2
        assert floor.open() == 0
        told = str(result.failures["*"])
        assert "permission" in told or "404" in told
        assert "symbol" in str(result.failures["open_orders"]), "orders in symbols not traded here may be left"


async def test_too_many_requests_are_no_reason_to_send_more() -> None:
    async with network() as simulated:
        floor = Floor(simulated, HttpResponse(429, b'{"code":510,"msg":"Too many requests"}'))
        async with floor.adapter(cancel_all="account") as adapter:
            await place(adapter)
            (result,) = await adapter.cancel_all()
        assert isinstance(result.failures["*"], RateLimited)
        assert floor.gate.canceled == [WIDE]
        assert isinstance(result.failures["*"], VenueError)
