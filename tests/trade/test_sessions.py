"""Whole trading sessions on every market that has a simulator, whose ledger is the judge of every digit.

What an adapter tells is compared with the simulated exchange's own books, which know ticks, lots and units of 1e-8
and nothing of any wire.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any

import anyio
import pytest
from msgspec import structs

from unitape.adapter import VenueAdapter
from unitape.errors import (
    ConfigError,
    InsufficientFunds,
    InvalidOrder,
    InvalidSymbol,
    OrderNotFound,
    UnitapeError,
    Unsupported,
)
from unitape.registry import load_venue, venue_names
from unitape.sim.build import SimSettings
from unitape.sim.exchange import SimExchange
from unitape.sim.faults import Fault, FaultSchedule
from unitape.sim.memory import SimNetwork
from unitape.spi import Credentials, Tradable
from unitape.spi.simulated_accounts import SimFill, SimUser
from unitape.trade.numbers import round_down
from unitape_schemas import Fill, Order

pytestmark = pytest.mark.anyio
D = Decimal
USER = SimUser("ann", "ann-key-1", "ann-secret-1", "ann-pass-1", balances={"USDT": "90000000.12345678", "BTC": "400.5"})
POOR = structs.replace(USER, balances={"USDT": "50"})
MARKETS = [
    f"{venue.name}/{market.name}"
    for venue in map(load_venue, venue_names())
    if venue.simulator is not None
    for market in venue.markets
    if isinstance(market, Tradable)
]

LINEAR = [
    label for label in MARKETS if load_venue(label.split("/")[0]).market(label.split("/")[1]).owns("BTC/USDT:USDT")
]


class Floor:
    """An adapter and the exchange behind it. Agents have left their orders in the book and do nothing more."""

    def __init__(self, adapter: VenueAdapter, exchange: SimExchange, market: str) -> None:
        self.adapter = adapter
        self.exchange = exchange
        self.host: Any = None
        """The simulated market's host, for its faults."""
        self.market = market
        self.linear = exchange.linear
        self.symbol = "BTC/USDT:USDT" if self.linear else "BTC/USDT"
        self.spec = exchange.instrument(self.symbol)
        self.start = exchange.now
        modes = adapter.capabilities(market).position_modes
        self.long: Any = {"position_side": "long"} if modes == ("hedge",) else {}
        """What an order says beside the rest where a market knows hedge mode only."""
        if self.long:
            exchange.accounts.set_position_mode(USER.name, "hedge")

    def price(self, ticks: int) -> Decimal:
        return ticks * self.spec.tick

    def size(self, lots: int) -> Decimal:
        return lots * self.spec.step

    def resting(self) -> Decimal:
        """A price two percent below the best bid: within every venue's band, far from every trade."""
        return self.price(self.exchange.best(self.symbol).bid * 98 // 100)

    async def small(self) -> Decimal:
        """A size that every rule of the instrument allows at a resting price."""
        client = await self.adapter.trading_client(self.adapter.declaration.market(self.market))
        listed = client.instruments.require(self.symbol)
        assert listed.step is not None
        least = max(listed.min_size or D(0), (listed.min_notional or D(0)) / self.resting())
        return (least // listed.step + 2) * listed.step

    async def hedge(self) -> None:
        """Set the mode as the venue lets it be set: by its API, or by hand on its pages."""
        client = await self.adapter.trading_client(self.adapter.declaration.market(self.market))
        try:
            await self.adapter.set_position_mode("hedge", market=self.market)
        except Unsupported:
            self.exchange.accounts.set_position_mode(USER.name, "hedge")
            client.configure(structs.replace(client.settings, position_mode="hedge"))

    def ledger(self) -> dict[str, Decimal]:
        sums: dict[str, int] = {}
        for entry in self.exchange.accounts.ledger(USER.name):
            sums[entry.currency] = sums.get(entry.currency, 0) + entry.change_e8
        return {currency: D(units).scaleb(-8) for currency, units in sums.items() if units}

    async def agree(self) -> None:
        """What is told of balances, fills and positions is what the exchange has booked."""
        accounts, told = self.exchange.accounts, {}
        for balance in await self.adapter.balances(self.market):
            if balance.total:
                told[balance.currency] = balance
        if self.linear:
            for held in accounts.balances(USER.name):
                if held.currency in told and told[held.currency].equity is not None:
                    assert told[held.currency].equity == D(held.equity_e8).scaleb(-8)
        else:
            assert {name: balance.total for name, balance in told.items()} == self.ledger()
            for held in accounts.balances(USER.name):
                if held.currency in told:
                    assert told[held.currency].locked == D(held.locked_e8).scaleb(-8)
                    assert told[held.currency].free == D(held.free_e8).scaleb(-8)
        fills = await self.adapter.fills(self.symbol, start=self.start, end=self.exchange.now)
        booked = list(accounts.fills(USER.name, self.symbol))
        assert len(fills) == len(booked)
        # Venues name executions in their own way; order, price and size tell which is which.
        for one, other in zip(sorted(fills, key=told_key), sorted(booked, key=self.booked_key), strict=True):
            self.same_fill(one, other)
        if self.linear:
            positions = [one for one in await self.adapter.positions(self.symbol) if one.size]
            known = list(accounts.positions(USER.name, self.symbol))
            assert [(one.side, one.size) for one in positions] == [(one.side, self.size(one.size)) for one in known]

    def booked_key(self, fill: SimFill) -> Any:
        return (str(fill.order), self.price(fill.price), self.size(fill.size))

    def same_fill(self, told: Fill, booked: SimFill) -> None:
        assert (told.side, told.price, told.size) == (booked.side, self.price(booked.price), self.size(booked.size))
        if told.fee is not None:
            assert told.fee == D(booked.fee_e8).scaleb(-8)
            assert told.fee_currency in (booked.fee_currency, None)
        if told.liquidity is not None:
            assert told.liquidity == booked.liquidity
        if told.realized_pnl is not None and self.linear:
            assert told.realized_pnl == D(booked.realized_e8).scaleb(-8)


def told_key(fill: Fill) -> Any:
    return (fill.order_id, fill.price, fill.size)


@asynccontextmanager
async def floor(label: str, **settings: Any) -> AsyncIterator[Floor]:
    venue_name, _, market = label.partition("/")
    venue = load_venue(venue_name)
    given = SimSettings(**{"markets": (label,), "accounts": (USER,), "history_minutes": 10, **settings})
    async with SimNetwork([venue], given) as network:
        adapter = VenueAdapter(
            venue,
            environment="live",
            endpoints={market: network.endpoint(venue_name, market)},
            transport=network.transport,
            clock=network.clock,
            credentials=Credentials(USER.key, USER.secret, USER.passphrase),
            seed=1,
        )
        exchange = network.host(venue_name, market).exchange
        exchange.pause_agents()
        async with adapter:
            made = Floor(adapter, exchange, market)
            made.host = network.host(venue_name, market)
            yield made


@pytest.mark.parametrize("label", MARKETS)
async def test_a_session_agrees_with_the_ledger_to_the_last_digit(label: str) -> None:
    async with floor(label) as on:
        adapter, symbol, accounts = on.adapter, on.symbol, on.exchange.accounts
        await on.agree()
        small, low = await on.small(), on.resting()

        resting = await adapter.place(symbol, "buy", size=small, price=low, client_id="session-1", **on.long)
        assert resting.client_id == "session-1"
        await on.agree()
        found = await adapter.order(symbol, client_id="session-1")
        assert (found.id, found.status, found.price, found.size) == (resting.id, "open", low, small)
        assert [one.id for one in await adapter.open_orders(symbol)] == [resting.id]

        best = on.exchange.best(symbol)
        wanted = best.ask_size * 3 // 2 + 1
        taker = await adapter.place(symbol, "buy", size=on.size(wanted), price=on.price(best.ask), **on.long)
        told = await adapter.order(symbol, id=taker.id)
        assert (told.status, told.filled) == ("partially_filled", on.size(best.ask_size))
        if told.average is not None:
            assert told.average == on.price(best.ask)
        await on.agree()

        for one in (told, resting):
            await adapter.cancel(symbol, id=one.id)
        ended = await adapter.order(symbol, id=taker.id)
        assert (ended.status, ended.filled) == ("canceled", on.size(best.ask_size))
        assert await adapter.open_orders(symbol) == []
        with pytest.raises(UnitapeError) as gone:
            await adapter.cancel(symbol, id=resting.id)
        assert isinstance(gone.value, (OrderNotFound, InvalidOrder))
        await on.agree()

        sold = await adapter.place(symbol, "sell", "market", size=small, **on.long)
        told = await adapter.order(symbol, id=sold.id)
        assert (told.status, told.filled, told.kind) == ("filled", small, "market")
        await on.agree()

        await anyio.sleep(2)
        history = await adapter.order_history(symbol, start=on.start, end=on.exchange.now)
        booked = {one.client_id: one for one in accounts.orders(USER.name, symbol)}
        assert {one.client_id: summary(one) for one in history} == {
            one.client_id: (one.side, on.size(one.size), on.size(one.filled), one.status) for one in booked.values()
        }

        if on.linear:
            await adapter.close_position(symbol, "long" if on.long else None)
            assert [one for one in await adapter.positions(symbol) if one.size] == []
            assert list(accounts.positions(USER.name, symbol)) == []
            await on.agree()


def summary(order: Order) -> Any:
    return (order.side, order.size, order.filled, order.status)


@pytest.mark.parametrize("label", MARKETS)
async def test_an_order_whose_answer_is_lost_was_placed_once_and_is_found(label: str) -> None:
    lost = FaultSchedule((Fault("lost_reply", 0.0, match="order"),))
    async with floor(label, faults={label: lost}) as on:
        small = await on.small()
        found = await on.adapter.place(on.symbol, "buy", size=small, price=on.resting(), **on.long)
        assert (found.status, found.size, found.origin) == ("open", small, "reconciled")
        assert [one.client_id for one in on.exchange.accounts.orders(USER.name)] == [found.client_id]


@pytest.mark.parametrize("label", MARKETS)
async def test_cancel_all_leaves_nothing_open(label: str) -> None:
    async with floor(label) as on:
        small = await on.small()
        tick = on.spec.tick
        placed = [
            await on.adapter.place(on.symbol, "buy", size=small, price=on.resting() - n * tick, **on.long)
            for n in range(3)
        ]
        assert {one.id for one in await on.adapter.open_orders(on.symbol)} == {one.id for one in placed}
        (result,) = await on.adapter.cancel_all(on.symbol)
        assert result.ok, result.failures
        assert list(on.exchange.accounts.open_orders(USER.name)) == []
        await on.agree()


@pytest.mark.parametrize("label", MARKETS)
async def test_what_breaks_a_rule_is_refused_here_and_what_only_the_venue_knows_there(label: str) -> None:
    async with floor(label, accounts=(POOR,)) as on:
        small, low = await on.small(), on.resting()
        orders = on.exchange.accounts.orders
        for changes, kind in (
            ({"price": low + on.spec.tick / 2}, InvalidOrder),
            ({"size": small + on.spec.step / 10}, InvalidOrder),
            ({"size": on.spec.step / 10}, InvalidOrder),
            ({"price": float(low)}, ConfigError),
            ({"symbol": on.symbol.replace("BTC", "NIXNIX")}, InvalidSymbol),
        ):
            given: dict[str, Any] = {"symbol": on.symbol, "size": small, "price": low, **on.long, **changes}
            with pytest.raises(kind):
                await on.adapter.place(given.pop("symbol"), "buy", **given)
        assert list(orders(USER.name)) == []
        much = round_down(D(100_000) / low, on.spec.step * 10)
        with pytest.raises(InsufficientFunds):
            await on.adapter.place(on.symbol, "buy", size=much, price=low, **on.long)
        assert await on.adapter.open_orders(on.symbol) == []


@pytest.mark.parametrize("label", LINEAR)
async def test_in_hedge_mode_both_sides_stand_and_close_by_themselves(label: str) -> None:
    async with floor(label) as on:
        adapter, symbol, small = on.adapter, on.symbol, await on.small()
        await on.hedge()
        assert on.exchange.accounts.position_mode(USER.name) == "hedge"
        await adapter.place(symbol, "buy", "market", size=small * 2, position_side="long")
        await adapter.place(symbol, "sell", "market", size=small, position_side="short")
        assert {(one.side, one.size) for one in await adapter.positions(symbol)} == {
            ("long", small * 2),
            ("short", small),
        }
        await on.agree()
        await adapter.place(symbol, "sell", "market", size=small, position_side="long", reduce_only=True)
        await adapter.close_position(symbol, "short")
        assert [(one.side, one.size) for one in await adapter.positions(symbol) if one.size] == [("long", small)]
        await on.agree()


@pytest.mark.parametrize("label", LINEAR)
@pytest.mark.parametrize("kind", ["lost_reply", "error_refused"])
async def test_a_change_whose_answer_is_lost_ends_in_the_order_that_stands(label: str, kind: Any) -> None:
    async with floor(label) as on:
        if not on.adapter.capabilities(on.market).amend:
            pytest.skip("changes no orders")
        small, low = await on.small(), on.resting()
        placed = await on.adapter.place(on.symbol, "buy", size=small, price=low, client_id="change-1", **on.long)
        on.host.faults.add(Fault(kind, 0.0, match="order"))
        price = low + on.spec.tick
        changing = on.adapter.amend(on.symbol, id=placed.id, price=price, size=small, side="buy")
        if kind == "lost_reply":
            changed = await changing
            assert (changed.status, changed.price, changed.size) == ("open", price, small)
        else:
            price = low
            with pytest.raises(UnitapeError, match="stands unchanged"):
                await changing
        (booked,) = on.exchange.accounts.open_orders(USER.name)
        assert on.price(booked.price) == price
        (told,) = await on.adapter.open_orders(on.symbol)
        state = await on.adapter.account(on.market)
        (known,) = state.open_orders()
        assert (known.id, known.price) == (told.id, price)
