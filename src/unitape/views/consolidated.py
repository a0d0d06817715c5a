"""One symbol over the live books of several venues."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from heapq import merge
from itertools import islice

from unitape.books import OrderBook
from unitape.views.prices import BestPrice, VenueLevel, best_price
from unitape_schemas import Levels, Status

__all__ = ["Consolidated"]


class Consolidated:
    """A live view over books: nothing is copied, every call reads what they hold now.

    Left out are books that are not valid, books of venues that are down, and books whose subscription went silent,
    until their next update. Levels of one price at two venues stay two levels.
    """

    def __init__(self, symbol: str, books: Callable[[], Iterable[OrderBook | None]]) -> None:
        self.symbol = symbol
        self._books = books
        self._silent: dict[str, tuple[int, int]] = {}

    def note(self, status: Status) -> None:
        """Take a status of any venue: a silent book does not count."""
        if status.code != "stale" or status.symbol != self.symbol:
            return
        if status.subscription is None or not status.subscription.startswith("book"):
            return
        for book in self._books():
            if book is not None and book.venue == status.venue:
                self._silent[book.venue] = (book.epoch, book.seq)

    @property
    def venues(self) -> tuple[str, ...]:
        """The venues that count now."""
        return tuple(book.venue for book in self._valid())

    def best(self) -> BestPrice:
        """Return the highest bid and the lowest ask; among equal prices the larger size."""
        bids: list[VenueLevel] = []
        asks: list[VenueLevel] = []
        for book in self._valid():
            bid, ask = book.best()
            if bid is not None:
                bids.append(VenueLevel(book.venue, *bid))
            if ask is not None:
                asks.append(VenueLevel(book.venue, *ask))
        return best_price(self.symbol, bids, asks)

    def bids(self, n: int) -> list[VenueLevel]:
        """Return the ``n`` highest bids over all venues, highest first."""
        levels = [_named(book.venue, book.bids(n)) for book in self._valid()]
        return list(islice(merge(*levels, key=lambda level: (-level.price, -level.size)), n))

    def asks(self, n: int) -> list[VenueLevel]:
        """Return the ``n`` lowest asks over all venues, lowest first."""
        levels = [_named(book.venue, book.asks(n)) for book in self._valid()]
        return list(islice(merge(*levels, key=lambda level: (level.price, -level.size)), n))

    def _valid(self) -> Iterator[OrderBook]:
        for book in self._books():
            if book is not None and not book.stale and self._silent.get(book.venue) != (book.epoch, book.seq):
                yield book


def _named(venue: str, levels: Levels) -> Iterator[VenueLevel]:
    return (VenueLevel(venue, price, size) for price, size in levels)
