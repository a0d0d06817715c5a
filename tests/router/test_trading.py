"""Trading through the router: every verb goes to the venue that is named, and to no other."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any

import pytest
from trio.testing import MockClock

from tests.router.fakes import FakeAdapter
from unitape import PaperAdapter, Router
from unitape.adapter import VenueAdapter
from unitape.errors import ConfigError, InvalidOrder, OrderNotFound, UnitapeError
from unitape.registry import load_venue
from unitape.sim import DEMO_USER, SimNetwork, SimSettings
from unitape.spi import Credentials

pytestmark = pytest.mark.anyio
DEMO = Credentials(DEMO_USER.key, DEMO_USER.secret, DEMO_USER.passphrase)
ONE, TWO, BTC = "binance", "weex", "BTC/USDT"


@pytest.fixture
def anyio_backend() -> Any:
    return "trio", {"clock": MockClock(autojump_threshold=0)}


class Floor:
    def __init__(self, network: SimNetwork) -> None:
        self.network = network

    def adapter(self, venue: str) -> VenueAdapter:
        return VenueAdapter(
            load_venue(venue),
            endpoints={"spot": self.network.endpoint(venue, "spot")},
            transport=self.network.transport,
            clock=self.network.clock,
            credentials=DEMO,
            seed=1,
        )

    def open(self, venue: str) -> list[str | None]:
        accounts = self.network.host(venue, "spot").exchange.accounts
        return [order.client_id for order in accounts.open_orders(DEMO_USER.name)]


@asynccontextmanager
async def floor() -> AsyncIterator[Floor]:
    settings = SimSettings(symbols=("BTC",), markets=tuple(f"{venue}/spot" for venue in (ONE, TWO)), rate=1.0)
    async with SimNetwork([load_venue(ONE), load_venue(TWO)], settings) as network:
        yield Floor(network)


async def test_orders_go_to_the_venue_that_is_named_and_are_canceled_there() -> None:
    async with floor() as on, Router(on.adapter(ONE), on.adapter(TWO)) as router:
        first = await router.place(ONE, BTC, "buy", size="0.01", price="60000", client_id="first", tif="post_only")
        second = await router.place(TWO, BTC, "sell", size="0.02", price="150000", client_id="second")
        assert (first.venue, first.tif, second.venue) == (ONE, "post_only", TWO)
        assert (on.open(ONE), on.open(TWO)) == (["first"], ["second"])
        listed = await router.open_orders(symbol=BTC)
        assert [(one.venue, one.client_id, one.size) for one in listed] == [
            (ONE, "first", Decimal("0.01")),
            (TWO, "second", Decimal("0.02")),
        ]
        assert [one.client_id for one in await router.open_orders(TWO)] == ["second"]
        await router.cancel(TWO, BTC, client_id="second")
        with pytest.raises(OrderNotFound):
            await router.cancel(TWO, BTC, client_id="first")
        assert (on.open(ONE), on.open(TWO)) == (["first"], [])


async def test_balances_are_those_of_every_venue_or_of_one() -> None:
    async with floor() as on, Router(on.adapter(ONE), on.adapter(TWO)) as router:
        usdt = {one.venue: one.total for one in await router.balances() if one.currency == "USDT"}
        assert usdt == {name: Decimal(DEMO_USER.balances["USDT"]) for name in (ONE, TWO)}
        assert {one.venue for one in await router.balances(TWO)} == {TWO}


async def test_what_cannot_trade_says_so_and_the_others_go_on() -> None:
    async with floor() as on, Router(on.adapter(ONE), FakeAdapter("looker")) as router:
        for attempt in (
            lambda: router.place("looker", BTC, "buy", size="1", price="1"),
            lambda: router.cancel("looker", BTC, id="1"),
            lambda: router.open_orders("looker"),
            lambda: router.balances("looker"),
        ):
            with pytest.raises(ConfigError, match="looker is a FakeAdapter"):
                await attempt()
        with pytest.raises(ConfigError, match="no venue 'nowhere'"):
            await router.place("nowhere", BTC, "buy", size="1", price="1")
        with pytest.raises(InvalidOrder):
            await router.place(ONE, BTC, "buy", size="0.01", price="60000.001")
        assert {one.venue for one in await router.balances()} == {ONE}
        with pytest.raises(ConfigError, match="NO/SUCH:COIN"):
            await router.open_orders(symbol="NO/SUCH:COIN")


async def test_a_list_that_lacks_a_venue_is_not_returned() -> None:
    async with floor() as on, Router(on.adapter(ONE), on.adapter(TWO)) as router:
        host = on.network.host(TWO, "spot")
        await router.place(ONE, BTC, "buy", size="0.01", price="60000")

        def broken(request: Any) -> Any:
            raise OSError("the line is cut")

        host.http = broken  # type: ignore[method-assign]
        with pytest.raises(ExceptionGroup, match="1 of 2 venues") as failed:
            await router.open_orders(symbol=BTC)
        assert len(failed.value.exceptions) == 1
        assert "the line is cut" in str(failed.value.exceptions[0])
        assert failed.value.exceptions[0].__notes__ == [f"at {TWO}"]
        assert len(await router.open_orders(ONE, symbol=BTC)) == 1


async def test_a_venue_that_does_not_run_takes_no_order() -> None:
    class Broken(VenueAdapter):
        async def __aenter__(self) -> Any:
            raise UnitapeError("no network")

    async with floor() as on:
        broken = Broken(load_venue(TWO), endpoints={"spot": on.network.endpoint(TWO, "spot")}, credentials=DEMO)
        async with Router(on.adapter(ONE), broken) as router:
            with pytest.raises(ConfigError, match=r"weex does not run: .*no network"):
                await router.place(TWO, BTC, "buy", size="0.01", price="60000")
            with pytest.raises(ConfigError, match="weex does not run"):
                await router.open_orders(symbol=BTC)


async def test_paper_trades_the_same_way() -> None:
    async with floor() as on, Router(on.adapter(ONE), PaperAdapter(on.adapter(TWO))) as router:
        await router.place(TWO, BTC, "buy", size="0.01", price="60000", client_id="paper")
        assert on.open(TWO) == []
        assert [one.client_id for one in await router.open_orders(symbol=BTC)] == ["paper"]
