"""Replacing an order on paper: one trip to the market, two fates."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any

import anyio
import pytest
from trio.testing import MockClock

from unitape.adapter import VenueAdapter
from unitape.errors import ConfigError, InsufficientFunds, OrderNotFound, TradingHalted, Unsupported
from unitape.paper import PaperAdapter, PaperSettings
from unitape.registry import load_venue
from unitape.sim import SimNetwork, SimSettings
from unitape.trade.requests import OrderRequest

pytestmark = pytest.mark.anyio
BTC = "BTC/USDT"
MONEY = Decimal(10_000)


@pytest.fixture
def anyio_backend() -> Any:
    return "trio", {"clock": MockClock(autojump_threshold=0)}


@asynccontextmanager
async def paper(venue: str = "binance", latency: float = 0.5) -> AsyncIterator[PaperAdapter]:
    settings = SimSettings(symbols=("BTC",), markets=(f"{venue}/spot",), rate=5.0)
    async with SimNetwork([load_venue(venue)], settings) as network:
        inner = VenueAdapter(
            load_venue(venue),
            endpoints={"spot": network.endpoint(venue, "spot")},
            transport=network.transport,
            clock=network.clock,
            seed=1,
        )
        money = PaperSettings(balances={"*": {"USDT": MONEY}}, latency=latency)
        async with PaperAdapter(inner, money) as adapter:
            yield adapter


def bid(price: str, size: str = "0.1", client_id: str | None = None) -> OrderRequest:
    return OrderRequest(symbol=BTC, side="buy", size=size, price=price, client_id=client_id)


async def locked(adapter: PaperAdapter) -> Decimal | None:
    (usdt,) = (one for one in await adapter.balances() if one.currency == "USDT")
    return usdt.locked


async def test_one_goes_and_the_other_stands_after_one_trip() -> None:
    async with paper() as adapter:
        old = await adapter.place(BTC, "buy", size="0.1", price="60000")
        began = anyio.current_time()
        # Money for both at once there is not: what the old one held is free for the new one.
        done = await adapter.replace(old, bid("61000", "0.15", "new"))
        assert 0.5 <= anyio.current_time() - began < 1.0
        assert done.ok
        assert done.old is not None
        assert (done.old.id, done.old.status) == (old.id, "canceled")
        assert [(one.client_id, one.price, one.size) for one in await adapter.open_orders()] == [
            ("new", Decimal(61000), Decimal("0.15"))
        ]
        assert await locked(adapter) == Decimal(61000) * Decimal("0.15")


async def test_a_new_one_that_is_refused_leaves_neither() -> None:
    async with paper() as adapter:
        old = await adapter.place(BTC, "buy", size="0.1", price="60000")
        done = await adapter.replace(old, bid("60000", "1"))
        assert not done.ok
        assert isinstance(done.new, InsufficientFunds)
        assert done.old is not None
        assert done.old.status == "canceled"
        assert await adapter.open_orders() == []
        assert await locked(adapter) == 0


async def test_without_an_old_one_nothing_is_placed() -> None:
    async with paper() as adapter:
        old = await adapter.place(BTC, "buy", size="0.1", price="60000")
        await adapter.cancel(BTC, id=old.id)
        with pytest.raises(OrderNotFound):
            await adapter.replace(old, bid("61000"))
        assert await adapter.open_orders() == []


async def test_what_is_wrong_changes_nothing() -> None:
    async with paper() as adapter:
        old = await adapter.place(BTC, "buy", size="0.1", price="60000")
        with pytest.raises(ConfigError, match="ETH/USDT"):
            await adapter.replace(old, OrderRequest(symbol="ETH/USDT", side="buy", size="1", price="2000"))
        assert [one.id for one in await adapter.open_orders()] == [old.id]
        adapter.guards.halt("by hand")
        with pytest.raises(TradingHalted):
            await adapter.replace(old, bid("61000"))


async def test_what_the_live_market_cannot_paper_cannot() -> None:
    async with paper("mexc") as adapter:
        old = await adapter.place(BTC, "buy", size="0.1", price="60000")
        with pytest.raises(Unsupported, match="cancel one and place another"):
            await adapter.replace(old, bid("61000"))
        assert [one.id for one in await adapter.open_orders()] == [old.id]
