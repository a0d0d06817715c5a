"""The kill switch on the six markets, over their simulators: what is open is canceled in each one's own way."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from trio.testing import MockClock

from tests.guards.answers import MARKETS, Bench
from unitape.adapter import VenueAdapter
from unitape.errors import TradingHalted
from unitape.guards import Alert
from unitape.guards.classify import FAMILIES
from unitape.guards.guards import ALWAYS, PLACING
from unitape.registry import load_venue
from unitape.sim import DEMO_USER, SimNetwork, SimSettings
from unitape.spi import Credentials

pytestmark = pytest.mark.anyio
DEMO = Credentials(DEMO_USER.key, DEMO_USER.secret, DEMO_USER.passphrase or None)


@pytest.fixture
def anyio_backend() -> Any:
    return "trio", {"clock": MockClock(autojump_threshold=0)}


@pytest.mark.parametrize(("venue", "market"), MARKETS)
async def test_a_halt_leaves_nothing_open(venue: str, market: str) -> None:
    spot = market == "spot"
    symbol = "BTC/USDT" if spot else "BTC/USDT:USDT"
    settings = SimSettings(symbols=("BTC",), markets=(f"{venue}/{market}",))
    alerts: list[Alert] = []
    async with SimNetwork([load_venue(venue)], settings) as network:
        adapter = VenueAdapter(
            load_venue(venue),
            endpoints={market: network.endpoint(venue, market)},
            transport=network.transport,
            clock=network.clock,
            credentials=DEMO,
            seed=3,
        )
        async with adapter:
            adapter.guards.on_alert(alerts.append)
            side: Any = None if "one_way" in adapter.capabilities(market).position_modes or spot else "long"
            for price in ("60000", "61000"):
                await adapter.place(symbol, "buy", size="0.01", price=price, position_side=side)
            if "stop" in adapter.capabilities(market).kinds and not spot:
                await adapter.place(symbol, "buy", "stop", size="0.01", trigger="150000", position_side=side)
            assert len(await adapter.open_orders(symbol)) >= 2
            adapter.guards.halt("the test says so")
            with pytest.raises(TradingHalted):
                await adapter.place(symbol, "buy", size="0.01", price="60000", position_side=side)
            await adapter._keeper.swept()
            assert await adapter.open_orders(symbol) == []
    assert [alert.severity for alert in alerts] == ["critical", "warning"], alerts[-1]


@pytest.mark.parametrize(("venue", "market"), MARKETS)
def test_what_may_leave_is_known_by_the_names_that_the_markets_use(venue: str, market: str) -> None:
    bench = Bench(venue, market)
    bench.guards.halt("the test says so")
    symbol = "BTC/USDT" if bench.spot else "BTC/USDT:USDT"
    cancels = [bench.cancel(), bench.trading.cancel_all(symbol), bench.trading.cancel_all_conditional(symbol)]
    for query in cancels:
        if query is not None:
            assert query.request.write
            assert query.name in ALWAYS
            assert FAMILIES[query.name] == "order.cancel"
            bench.guard.permit(query, urgent=True)
            bench.guard.permit(query, urgent=False)
    place = bench.place()
    assert place.name in PLACING
    assert FAMILIES[place.name] == "order.create"
    for urgent in (False, True):
        with pytest.raises(TradingHalted):
            bench.guard.permit(place, urgent=urgent)
    bench.guard.permit(bench.ask(), urgent=False)
    assert bench.order().size == Decimal("0.01")
