"""The visible depth of one symbol, less what paper orders have taken of it. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Final

from unitape.books import OrderBook
from unitape.errors import ConfigError
from unitape.spi.numbers import exact
from unitape_schemas import BookDelta, BookSnapshot, Side

__all__ = ["Depth", "better_or_equal"]

ZERO: Final = Decimal(0)


def better_or_equal(taker: Side, price: Decimal, limit: Decimal | None) -> bool:
    """Tell whether a taker of this side may trade at a price under its limit."""
    return limit is None or (price <= limit if taker == "buy" else price >= limit)


class Depth:
    """A book and the memory of what was taken of each level.

    What a paper order takes stays taken: a level offers no more than what it shows beyond that. When a level shows
    less than was taken of it, no more than it shows counts as taken; when it is gone, all is forgotten.
    """

    def __init__(self, venue: str, symbol: str) -> None:
        self.book = OrderBook(venue, symbol)
        self._taken: dict[Side, dict[float, Decimal]] = {"buy": {}, "sell": {}}

    @property
    def known(self) -> bool:
        """True while the book is whole."""
        return not self.book.stale

    def take(self, event: BookSnapshot | BookDelta) -> None:
        """Follow the book."""
        if isinstance(event, BookSnapshot):
            self.book.load(event)
            self._clamp("buy", dict(event.asks), whole=True)
            self._clamp("sell", dict(event.bids), whole=True)
            return
        if self.book.stale:
            return
        try:
            self.book.apply(event)
        except ConfigError:
            # A delta of another epoch: what is known is no longer true, and the next snapshot brings it back.
            self.lose()
            return
        self._clamp("buy", dict(event.asks), whole=False)
        self._clamp("sell", dict(event.bids), whole=False)

    def lose(self) -> None:
        """The book is not known until the next snapshot."""
        self.book.clear()

    def offers(self, taker: Side, limit: Decimal | None = None) -> Iterator[tuple[Decimal, Decimal]]:
        """Yield (price, size) that a taker of this side could take, best first, up to its limit."""
        book, taken = self.book, self._taken[taker]
        for price, size in book.asks() if taker == "buy" else book.bids():
            at = exact(price)
            if not better_or_equal(taker, at, limit):
                return
            left = exact(size) - taken.get(price, ZERO)
            if left > 0:
                yield at, left

    def best(self, taker: Side) -> Decimal | None:
        """Return the best visible price for a taker of this side, taken or not."""
        level = self.book.best_ask if taker == "buy" else self.book.best_bid
        return None if level is None else exact(level[0])

    def consume(self, taker: Side, price: Decimal, size: Decimal) -> None:
        """Remember what was taken."""
        taken = self._taken[taker]
        taken[float(price)] = taken.get(float(price), ZERO) + size

    def shown(self, side: Side, price: Decimal) -> Decimal | None:
        """Return what a level of resting orders shows; None where the book is not known so deep."""
        if self.book.stale:
            return None
        size = self.book.size_at("bid" if side == "buy" else "ask", float(price))
        return None if size is None else exact(size)

    def _clamp(self, taker: Side, levels: dict[float, float], *, whole: bool) -> None:
        taken = self._taken[taker]
        for price in list(taken):
            if price in levels or whole:
                size = exact(levels.get(price, 0.0))
                if size:
                    taken[price] = min(taken[price], size)
                else:
                    del taken[price]
