"""Lists that a venue cuts into pages arrive whole."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.trade.bourse import Bourse
from unitape.adapter import VenueAdapter
from unitape.errors import ExchangeUnavailable, Unsupported
from unitape.registry import load_venue
from unitape.sim import DEMO_USER, SimNetwork, SimSettings
from unitape.spi import Credentials, Query
from unitape.spi.simulated_accounts import SimOrderRequest
from unitape.trade import client as module

pytestmark = pytest.mark.anyio


class Pages:
    """A made-up list of ``count`` numbers in pages of 3, and what was asked of it."""

    def __init__(self, count: int, *, breaks_at: int | None = None) -> None:
        self.count = count
        self.asked: list[int] = []
        self.breaks_at = breaks_at

    def query(self, like: Query[Any], page: int = 0) -> Query[list[int]]:
        def read(response: Any, ts_recv: int) -> list[int]:
            self.asked.append(page)
            if page == self.breaks_at:
                self.breaks_at = None
                raise ExchangeUnavailable("once", venue="bourse")
            return list(range(self.count))[3 * page : 3 * page + 3]

        return Query("things", like.request, read, lambda rows: self.query(like, page + 1) if len(rows) == 3 else None)


@pytest.mark.parametrize(("count", "asked"), [(0, [0]), (2, [0]), (3, [0, 1]), (7, [0, 1, 2]), (9, [0, 1, 2, 3])])
async def test_pages_are_asked_for_to_the_last(
    bourse: Bourse, trader: Callable[..., VenueAdapter], count: int, asked: list[int]
) -> None:
    pages = Pages(count)
    async with trader() as adapter:
        client = await adapter._client_of("BTC/EUR")
        assert await client.read(pages.query(client.trading.balances())) == list(range(count))
    assert pages.asked == asked


async def test_a_page_that_fails_is_asked_for_again_and_the_others_are_not(
    bourse: Bourse, trader: Callable[..., VenueAdapter]
) -> None:
    pages = Pages(7, breaks_at=1)
    async with trader() as adapter:
        client = await adapter._client_of("BTC/EUR")
        assert await client.read(pages.query(client.trading.balances())) == list(range(7))
    assert pages.asked == [0, 1, 1, 2]


async def test_pages_without_end_are_refused(bourse: Bourse, trader: Callable[..., VenueAdapter], monkeypatch) -> None:
    monkeypatch.setattr(module, "MOST_PAGES", 4)
    pages = Pages(10**6)
    async with trader() as adapter:
        client = await adapter._client_of("BTC/EUR")
        with pytest.raises(Unsupported, match="more than 4 pages"):
            await client.read(pages.query(client.trading.balances()))
    assert len(pages.asked) == 4


async def test_a_venue_that_shows_a_hundred_open_orders_at_once() -> None:
    settings = SimSettings(symbols=("BTC",), markets=("mexc/futures",), accounts=(DEMO_USER,), history_minutes=5)
    async with SimNetwork([load_venue("mexc")], settings) as network:
        exchange = network.host("mexc", "futures").exchange
        exchange.pause_agents()
        symbol, names = "BTC/USDT:USDT", [f"open-{number}" for number in range(150)]
        exchange.accounts.set_leverage(DEMO_USER.name, symbol, 50)
        price = exchange.best(symbol).bid * 9 // 10
        for name in names:
            request = SimOrderRequest(symbol, "buy", "limit", size=1, price=price, client_id=name)
            assert exchange.accounts.place(DEMO_USER.name, request).status == "open"
        adapter = VenueAdapter(
            load_venue("mexc"),
            endpoints={"futures": network.endpoint("mexc", "futures")},
            transport=network.transport,
            clock=network.clock,
            credentials=Credentials(DEMO_USER.key, DEMO_USER.secret),
        )
        async with adapter:
            found = await adapter.open_orders(symbol)
            assert sorted(order.client_id for order in found) == sorted(names)
            assert len(await adapter.open_orders(market="futures")) == 150
