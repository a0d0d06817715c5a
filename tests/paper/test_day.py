"""A whole day on paper: market making, taking, stops and funding, and books that balance to the last digit."""

from __future__ import annotations

import random
from collections import Counter

from tests.paper.world import PERP, SECOND, SPOT, D, World, check_books
from unitape.errors import VenueError
from unitape.spi import OrderRef
from unitape_schemas import Balance, Fill, Order

HOUR = 3600
STEP = 10
"""Seconds between two things that happen."""


class Market:
    """A seeded random walk of one symbol's book, with trades at its edges."""

    def __init__(self, world: World, symbol: str, seed: int) -> None:
        self.world, self.symbol = world, symbol
        self.rng = random.Random(seed)
        self.middle = 1_000
        self.draw()

    def price(self, ticks: int) -> float:
        return float(D(ticks) / 10)

    def draw(self) -> None:
        rng = self.rng
        bids = [(self.price(self.middle - 1 - n), rng.randrange(1, 3_000) / 1_000) for n in range(8)]
        asks = [(self.price(self.middle + n), rng.randrange(1, 3_000) / 1_000) for n in range(8)]
        self.world.book(bids, asks, self.symbol)

    def happen(self) -> None:
        rng, kind = self.rng, self.rng.random()
        if kind < 0.2:
            self.middle += rng.choice((-2, -1, 1, 2))
            self.draw()
        elif kind < 0.6:
            side = rng.choice(("bids", "asks"))
            at = self.middle - 1 - rng.randrange(8) if side == "bids" else self.middle + rng.randrange(8)
            self.world.delta(**{side: ((self.price(at), rng.randrange(0, 3_000) / 1_000),)}, symbol=self.symbol)
        else:
            side = rng.choice(("buy", "sell"))
            at = self.middle + rng.randrange(2) if side == "buy" else self.middle - 1 - rng.randrange(2)
            self.world.trade(side, self.price(at), rng.randrange(1, 4_000) / 1_000, self.symbol)


def act(world: World, market: Market, rng: random.Random) -> str:
    """Do what a lively strategy does; return what became of it."""
    symbol, size = market.symbol, D(rng.randrange(1, 2_000)) / 1_000
    side = rng.choice(("buy", "sell"))
    kind = rng.random()
    away = rng.randrange(-1, 4)
    price = D(market.middle - 1 - away if side == "buy" else market.middle + away) / 10
    try:
        if kind < 0.5:
            return world.place(
                side, symbol=symbol, price=price, size=size, tif=rng.choice((None, "post_only", "ioc"))
            ).status
        if kind < 0.65:
            return world.place(side, "market", symbol, size=size).status
        if kind < 0.75:
            trigger = D(market.middle + rng.choice((-9, 9))) / 10
            return world.place(side, rng.choice(("stop", "take_profit")), symbol, size=size, trigger=trigger).status
        orders = world.exchange.open_orders(symbol)
        if not orders:
            return "idle"
        chosen = rng.choice(orders)
        if kind < 0.95:
            return world.exchange.cancel(chosen).status
        return world.exchange.amend(chosen, size, None).status
    except VenueError as error:
        return type(error).__name__


def live_a_day(seed: int) -> tuple[World, Counter[str]]:
    world = World()
    markets = [Market(world, SPOT, seed), Market(world, PERP, seed + 1)]
    rng = random.Random(seed + 2)
    seen: Counter[str] = Counter()
    start = world.ts
    for step in range(24 * HOUR // STEP):
        world.later(STEP)
        market = markets[step % 2]
        market.happen()
        if step % 3 == 0:
            seen[act(world, rng.choice(markets), rng)] += 1
        if step % 720 == 0:
            world.mark(float(D(markets[1].middle) / 10))
            due = start + ((world.ts - start) // (8 * HOUR * SECOND) + 1) * 8 * HOUR * SECOND
            world.funding(rng.choice((-1, 1, 2)) / 10_000, due)
            check_books(world, D(repr(markets[1].middle / 10)))
    return world, seen


def test_a_day_adds_up_to_the_last_digit() -> None:
    world, seen = live_a_day(7)
    world.mark(101.3)
    check_books(world, D("101.3"))
    fills = world.fills()
    assert len(fills) > 1_000, "a day in which something happens"
    assert {fill.liquidity for fill in fills} == {"maker", "taker"}
    assert len(world.exchange.payments) >= 2
    assert {"filled", "partially_filled", "canceled", "open", "expired", "PostOnlyWouldCross"} <= set(seen), seen
    for order in world.exchange.open_orders():
        world.exchange.cancel(world.exchange.find(OrderRef(order.new.symbol, id=order.id)))
    assert world.balance("USDT").locked == 0
    assert world.balance("BTC").locked == 0


def test_what_was_told_is_enough_to_know_the_account() -> None:
    """Whoever kept only the events has the same orders and balances."""
    world, _ = live_a_day(11)
    orders: dict[str, Order] = {}
    filled: Counter[str] = Counter()
    for event in world.events:
        if isinstance(event, Order):
            orders[str(event.id)] = event
        elif isinstance(event, Fill):
            filled[event.order_id] += event.size  # type: ignore[assignment]
    still_open = {one.id for one in world.exchange.open_orders()}
    assert {key for key, one in orders.items() if one.status in ("open", "partially_filled")} == still_open
    for key, order in orders.items():
        assert order.filled == filled.get(key, 0), key
    last = {(one.market, one.currency): one for one in world.events if isinstance(one, Balance)}
    for (market, currency), balance in last.items():
        assert balance.total == world.balance(currency, market).total
