"""What must hold for every market and every order: depth, limits, queues, and sums in fractions."""

from __future__ import annotations

from collections import defaultdict
from decimal import Decimal
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.paper.world import PERP, SPOT, D, World, check_books
from unitape.errors import VenueError
from unitape_schemas import Fill, Order

TICKS = [D("99") + D("0.1") * step for step in range(21)]
sizes = st.integers(1, 4000).map(lambda lots: D(lots) / 1000)
levels = st.lists(sizes, min_size=1, max_size=5)
symbols = st.sampled_from([SPOT, PERP])
sides = st.sampled_from(["buy", "sell"])
ticks = st.integers(0, 20)
books = st.tuples(st.just("book"), symbols, st.integers(3, 16), levels, levels)
trades = st.tuples(st.just("trade"), symbols, sides, ticks, sizes)
limits = st.tuples(
    st.just("limit"), symbols, sides, ticks, sizes, st.sampled_from(["gtc", "ioc", "fok", "post_only"]), st.booleans()
)
markets = st.tuples(st.just("market"), symbols, sides, sizes, st.booleans())
stops = st.tuples(st.just("stop"), symbols, sides, ticks, sizes, st.sampled_from(["stop", "take_profit"]))
others = st.tuples(st.sampled_from(["cancel", "amend"]), st.integers(0, 9), sizes)
steps = st.lists(
    st.one_of(books, books, trades, trades, limits, limits, markets, stops, others), min_size=5, max_size=40
)


class Depth:
    """What was ever offered at each price since the level came, and what was taken of it."""

    def __init__(self) -> None:
        self.shown: dict[tuple[str, str], dict[Decimal, Decimal]] = defaultdict(dict)
        self.offered: dict[tuple[str, str], dict[Decimal, Decimal]] = defaultdict(dict)
        self.taken: dict[tuple[str, str], dict[Decimal, Decimal]] = defaultdict(lambda: defaultdict(Decimal))

    def set(self, symbol: str, taker: str, levels: dict[Decimal, Decimal]) -> None:
        key = symbol, taker
        for price in set(self.shown[key]) - set(levels):
            self.offered[key].pop(price)
            self.taken[key].pop(price, None)
        for price, size in levels.items():
            grown = max(D(0), size - self.shown[key].get(price, D(0)))
            self.offered[key][price] = self.offered[key].get(price, D(0)) + grown
        self.shown[key] = levels

    def take(self, fill: Fill) -> None:
        key = fill.symbol, fill.side
        assert fill.price in self.shown[key], f"{fill} takes a level that is not there"
        self.taken[key][fill.price] += fill.size
        assert self.taken[key][fill.price] <= self.offered[key][fill.price], f"{fill} takes depth a second time"
        assert fill.size <= self.shown[key][fill.price]


def within(fill: Fill, order: Order) -> bool:
    if order.price is None:
        return True
    return fill.price <= order.price if fill.side == "buy" else fill.price >= order.price


def act(world: World, depth: Depth, step: tuple[Any, ...]) -> Decimal | None:
    """Do one step; return the size of a trade."""
    match step:
        case ("book", symbol, middle, bids, asks):
            bid_rows = [
                (float(TICKS[middle - 1 - n]), float(size)) for n, size in enumerate(bids) if middle - 1 - n >= 0
            ]
            ask_rows = [(float(TICKS[middle + n]), float(size)) for n, size in enumerate(asks) if middle + n < 21]
            depth.set(symbol, "buy", {D(repr(price)): D(repr(size)) for price, size in ask_rows})
            depth.set(symbol, "sell", {D(repr(price)): D(repr(size)) for price, size in bid_rows})
            world.book(bid_rows, ask_rows, symbol)
        case ("trade", symbol, side, tick, size):
            world.trade(side, float(TICKS[tick]), float(size), symbol)
            return Decimal(size)
        case ("limit", symbol, side, tick, size, tif, reduce_only):
            closing = reduce_only and symbol == PERP
            world.place(side, symbol=symbol, price=TICKS[tick], size=size, tif=tif, reduce_only=closing)
        case ("market", symbol, side, size, by_cost):
            amount = {"cost": size * 100} if by_cost and symbol == SPOT else {"size": size}
            world.place(side, "market", symbol, **amount)
        case ("stop", symbol, side, tick, size, kind):
            world.place(side, kind, symbol, trigger=TICKS[tick], size=size)
        case ("cancel" | "amend" as verb, number, size):
            orders = world.exchange.open_orders()
            if orders:
                chosen = orders[number % len(orders)]
                if verb == "cancel":
                    world.exchange.cancel(chosen)
                elif chosen.price is not None:
                    world.exchange.amend(chosen, size, TICKS[number])
    return None


@given(steps)
@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_no_fill_is_better_than_the_market_or_worse_than_the_limit(script: list[tuple[Any, ...]]) -> None:
    world, depth = World(), Depth()
    for symbol in (SPOT, PERP):
        act(world, depth, ("book", symbol, 10, [D(2), D(3)], [D(2), D(3)]))
    for step in script:
        before = len(world.events)
        try:
            traded = act(world, depth, step)
        except VenueError:
            traded = None
        news = world.events[before:]
        fills = [one for one in news if isinstance(one, Fill)]
        for fill in fills:
            order = world.order(_order_of(world, fill))
            assert within(fill, order), f"{fill} trades through the limit of {order}"
            if fill.liquidity == "taker":
                depth.take(fill)
            else:
                assert fill.price == order.price, "who rests trades at the own price"
        if traded is not None:
            made = sum((one.size for one in fills if one.liquidity == "maker"), D(0))
            assert made <= traded, "one trade fills no more than itself"
        _check_orders(world)
        check_books(world)


def _order_of(world: World, fill: Fill) -> Order:
    return world.exchange.orders[fill.order_id].shown("toy", 0)


def _check_orders(world: World) -> None:
    by_order: dict[str, list[Fill]] = defaultdict(list)
    for fill in world.fills():
        by_order[fill.order_id].append(fill)
    for order in world.exchange.orders.values():
        shown = order.shown("toy", 0)
        fills = by_order[order.id]
        total = sum((fill.size for fill in fills), D(0))
        assert shown.filled == total
        assert shown.size is None or total <= shown.size
        if fills:
            assert shown.average is not None
            cost = sum((fill.price * fill.size for fill in fills), D(0))
            assert abs(shown.average * total - cost) < D("1e-15")
        assert (shown.status == "filled") == (shown.size is not None and total == shown.size and total > 0), shown
        if shown.tif in ("ioc", "fok") or shown.kind == "market":
            assert not order.open, "what cannot rest does not"
        if shown.tif == "fok":
            assert total in (0, shown.size)
        if shown.tif == "post_only" and not world.order(shown).trigger:
            assert shown.raw_status == "amended" or all(fill.liquidity == "maker" for fill in fills[:1])


@given(st.lists(sizes, min_size=1, max_size=30), sizes, sizes, st.lists(st.tuples(st.booleans(), sizes), max_size=30))
@settings(max_examples=200, deadline=None)
def test_a_resting_order_gets_what_is_left_after_those_ahead(
    traded: list[Decimal], ahead: Decimal, size: Decimal, wobble: list[tuple[bool, Decimal]]
) -> None:
    """Whatever the level shows meanwhile: filled = clamp(traded at the price - ahead when it joined, 0, size)."""
    world = World()
    world.book(((100.0, float(ahead)), (99.0, 1.0)), ((101.0, 5.0),))
    order = world.place("buy", size=size, price="100")
    done = D(0)
    for number, amount in enumerate(traded):
        if number < len(wobble):
            here, shown = wobble[number]
            world.delta(bids=((100.0, float(shown)),)) if here else world.delta(asks=((101.0, float(shown)),))
        world.trade("sell", 100.0, float(amount))
        done += amount
        assert world.order(order).filled == min(size, max(D(0), done - ahead))
    check_books(world)


@given(steps)
@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_the_same_market_and_orders_give_the_same_account(script: list[tuple[Any, ...]]) -> None:
    seen = []
    for _ in range(2):
        world, depth = World(), Depth()
        for symbol in (SPOT, PERP):
            act(world, depth, ("book", symbol, 10, [D(2), D(3)], [D(2), D(3)]))
        for step in script:
            try:
                act(world, depth, step)
            except VenueError as error:
                world.events.append(str(error))  # type: ignore[arg-type]
        seen.append(world.events)
    assert seen[0] == seen[1]
