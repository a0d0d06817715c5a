"""A matching engine with price-time priority over exact integers: prices in ticks, sizes in lots."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterator
from typing import Literal, NamedTuple, TypeAlias

from unitape.spi.simulation import Level, Side

__all__ = ["Change", "Execution", "Match", "MatchingEngine", "RestingOrder", "Tif"]

Tif: TypeAlias = Literal["gtc", "ioc", "fok", "post_only"]


class RestingOrder:
    """An order in the book. ``size`` is what is left of it."""

    __slots__ = ("id", "owner", "price", "side", "size")

    def __init__(self, order_id: int, owner: int, side: Side, price: int, size: int) -> None:
        self.id = order_id
        self.owner = owner
        self.side: Side = side
        self.price = price
        self.size = size


class Match(NamedTuple):
    """A part of a taker's order met a maker's. The price is the maker's."""

    price: int
    size: int
    maker_order: int
    maker_owner: int
    maker_left: int
    """What is left of the maker's order."""
    change: int
    """Index, in ``Execution.changes``, of the change of the level that it took from."""


class Change(NamedTuple):
    """A level's new size."""

    side: Side
    price: int
    size: int
    before: int


class Execution(NamedTuple):
    """What became of an order on arrival.

    ``canceled`` is what neither traded nor rests: the rest of an ``ioc`` or market order, all of an ``fok`` that
    cannot be filled or of a ``post_only`` that would take.
    """

    order: int
    matches: list[Match]
    changes: list[Change]
    filled: int
    resting: int
    canceled: int


class _LevelQueue:
    __slots__ = ("orders", "size")

    def __init__(self) -> None:
        self.orders: dict[int, RestingOrder] = {}  # in order of arrival
        self.size = 0


class _BookSide:
    """One side of the book; ``prices`` ascends on both sides."""

    __slots__ = ("levels", "prices")

    def __init__(self) -> None:
        self.levels: dict[int, _LevelQueue] = {}
        self.prices: list[int] = []

    def add(self, order: RestingOrder) -> tuple[int, int]:
        """Queue an order; return the level's size now and before."""
        level = self.levels.get(order.price)
        if level is None:
            level = self.levels[order.price] = _LevelQueue()
            insort(self.prices, order.price)
        before = level.size
        level.orders[order.id] = order
        level.size += order.size
        return level.size, before

    def drop(self, price: int) -> None:
        """Forget an empty level."""
        del self.levels[price]
        del self.prices[bisect_left(self.prices, price)]


class MatchingEngine:
    """One symbol's book and its orders.

    Order ids grow by one per order sent, whether it rests or not. ``owner`` is a number of the caller's choosing;
    it decides nothing here and is told with every match.
    """

    def __init__(self) -> None:
        self._bids = _BookSide()
        self._asks = _BookSide()
        self._orders: dict[int, RestingOrder] = {}
        self._last_id = 0

    def submit(self, owner: int, side: Side, price: int | None, size: int, tif: Tif = "gtc") -> Execution:
        """Match an order and let the rest stand, as ``tif`` says. ``price`` None is a market order and never rests.

        Raises:
            ValueError: size or price is not positive, or a market order is ``post_only``.
        """
        if size <= 0 or (price is not None and price <= 0):
            raise ValueError(f"size {size} and price {price} must be positive")
        if price is None and tif == "post_only":
            raise ValueError("a market order cannot be post_only")
        self._last_id += 1
        order_id = self._last_id
        matches: list[Match] = []
        changes: list[Change] = []
        if tif == "post_only":
            refused = self._crosses(side, price)
        else:
            refused = tif == "fok" and self.cost(side, size, price)[0] < size
        if refused:
            return Execution(order_id, matches, changes, 0, 0, size)
        left = self._take(side, price, size, matches, changes)
        filled = size - left
        if left == 0 or price is None or tif in ("ioc", "fok"):
            return Execution(order_id, matches, changes, filled, 0, left)
        order = RestingOrder(order_id, owner, side, price, left)
        self._orders[order_id] = order
        now, before = self._side(side).add(order)
        changes.append(Change(side, price, now, before))
        return Execution(order_id, matches, changes, filled, left, 0)

    def cancel(self, order_id: int) -> Change | None:
        """Take an order out of the book; None when it does not rest there."""
        order = self._orders.pop(order_id, None)
        if order is None:
            return None
        book_side = self._side(order.side)
        level = book_side.levels[order.price]
        before = level.size
        del level.orders[order_id]
        level.size -= order.size
        if not level.orders:
            book_side.drop(order.price)
        return Change(order.side, order.price, before - order.size, before)

    def shrink(self, order_id: int, left: int) -> Change | None:
        """Make what is left of a resting order smaller, in its place; None when it does not rest there.

        Raises:
            ValueError: ``left`` is not smaller, or nothing would be left.
        """
        order = self._orders.get(order_id)
        if order is None:
            return None
        if not 0 < left < order.size:
            raise ValueError(f"{order.size} cannot shrink to {left}")
        level = self._side(order.side).levels[order.price]
        before = level.size
        level.size -= order.size - left
        order.size = left
        return Change(order.side, order.price, level.size, before)

    def order(self, order_id: int) -> RestingOrder | None:
        """Return a resting order, or None."""
        return self._orders.get(order_id)

    def queue(self, side: Side, price: int) -> list[tuple[int, int]]:
        """Return (order id, size left) of a level, first in line first."""
        level = self._side(side).levels.get(price)
        return [] if level is None else [(order.id, order.size) for order in level.orders.values()]

    def best(self, side: Side) -> Level:
        """Return the best price and its size; (0, 0) for an empty side."""
        book_side = self._side(side)
        if not book_side.prices:
            return (0, 0)
        price = book_side.prices[-1] if side == "buy" else book_side.prices[0]
        return (price, book_side.levels[price].size)

    def levels(self, side: Side, depth: int | None = None) -> Iterator[Level]:
        """Yield levels, best price first, ``depth`` of them at most."""
        book_side = self._side(side)
        prices = reversed(book_side.prices) if side == "buy" else iter(book_side.prices)
        for count, price in enumerate(prices):
            if count == depth:
                return
            yield (price, book_side.levels[price].size)

    def cost(self, side: Side, size: int, limit: int | None = None) -> tuple[int, int]:
        """Return (size, price × size summed) of what an order would fill now, ``size`` and ``limit`` permitting."""
        filled = amount = 0
        for level_price, level_size in self.levels("sell" if side == "buy" else "buy"):
            beyond = limit is not None and (level_price > limit if side == "buy" else level_price < limit)
            if beyond or filled == size:
                break
            taken = min(level_size, size - filled)
            filled += taken
            amount += taken * level_price
        return filled, amount

    def affordable(self, side: Side, amount: int) -> int:
        """Return the largest size of a market order whose price × size summed does not exceed ``amount``."""
        size = 0
        for level_price, level_size in self.levels("sell" if side == "buy" else "buy"):
            taken = min(level_size, amount // level_price)
            size += taken
            amount -= taken * level_price
            if taken < level_size:
                break
        return size

    def depth(self, side: Side) -> int:
        """Return the number of price levels."""
        return len(self._side(side).prices)

    def __len__(self) -> int:
        """Return the number of resting orders."""
        return len(self._orders)

    def _side(self, side: Side) -> _BookSide:
        return self._bids if side == "buy" else self._asks

    def _crosses(self, side: Side, price: int | None) -> bool:
        opposite, _ = self.best("sell" if side == "buy" else "buy")
        if opposite == 0 or price is None:
            return False
        return price >= opposite if side == "buy" else price <= opposite

    def _take(self, side: Side, limit: int | None, size: int, matches: list[Match], changes: list[Change]) -> int:
        """Match against the other side while the limit allows it; return what is left."""
        maker_side: Side = "sell" if side == "buy" else "buy"
        makers = self._side(maker_side)
        best = -1 if maker_side == "buy" else 0
        while size and makers.prices:
            price = makers.prices[best]
            if limit is not None and (price > limit if side == "buy" else price < limit):
                break
            level = makers.levels[price]
            before = level.size
            while size and level.orders:
                maker = next(iter(level.orders.values()))
                traded = min(size, maker.size)
                size -= traded
                maker.size -= traded
                level.size -= traded
                matches.append(Match(price, traded, maker.id, maker.owner, maker.size, len(changes)))
                if maker.size == 0:
                    del level.orders[maker.id]
                    del self._orders[maker.id]
            changes.append(Change(maker_side, price, level.size, before))
            if not level.orders:
                makers.drop(price)
        return size
