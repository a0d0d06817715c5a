"""One instrument over the live books of several venues and markets."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from heapq import merge
from itertools import islice
from typing import Final, Literal, TypeAlias

from msgspec import Struct

from unitape.books import OrderBook
from unitape.errors import ConfigError
from unitape.views.align import base_of, coin, per_coin, quote_of
from unitape.views.prices import BestPrice, VenueLevel, best_price
from unitape_schemas import Instrument, Levels, Status

__all__ = ["Consolidated", "ConsolidatedBook", "Cross", "Source", "SourceState"]

SourceState: TypeAlias = Literal["live", "stale", "silent", "crossed", "unaligned"]
"""Whether a book counts, and why not.

``live``: it counts. ``stale``: the feed is not sure of it (before the first join, after a gap, without a connection).
``silent``: its subscription, or its venue, said that nothing comes any more; its next update brings it back.
``crossed``: its own bid is not below its own ask. ``unaligned``: its unit is not known, see ``Consolidated``.
"""

InstrumentOf: TypeAlias = Callable[[str, str], Instrument | None]
"""Returns the instrument of (venue, symbol), None while it is not known."""

_ENDS: Final = frozenset(("disconnected", "halted"))


class Source(Struct, frozen=True):
    """One book of the view, and whether it counts."""

    venue: str
    symbol: str
    market: str
    state: SourceState
    epoch: int
    seq: int
    ts_recv: int
    """When its last update arrived, ns."""


class Cross(Struct, frozen=True):
    """Two books that overlap: one asks no more than the other bids."""

    buy: VenueLevel
    """The lower ask."""
    sell: VenueLevel
    """The higher or equal bid."""

    @property
    def locked(self) -> bool:
        """True when both prices are equal."""
        return self.buy.price == self.sell.price

    @property
    def size(self) -> float:
        """Base units at both best levels."""
        return min(self.buy.size, self.sell.size)


class ConsolidatedBook(Struct, frozen=True):
    """The view at one moment: for a record, a screen or another process."""

    symbol: str
    bids: tuple[VenueLevel, ...]
    asks: tuple[VenueLevel, ...]
    crosses: tuple[Cross, ...]
    sources: tuple[Source, ...]


class Consolidated:
    """A live view over books: nothing is copied, every call reads what they hold now.

    Only books whose ``Source.state`` is ``live`` count. A level names its venue and symbol; levels of one price at two
    venues stay two levels. Where venues cross, that is shown: the best bid is then above the best ask, and ``crosses``
    says who overlaps with whom. Levels beyond what a book has verified are never shown.

    **Units.** Where all symbols have one base, sizes are in units of that base, also of ``1000SHIB``. Where they
    differ, sizes are in coins and prices per coin, by the multiplier of each instrument; a book whose instrument is
    not known, or is of another coin, is ``unaligned`` and does not count.

    Args:
        symbol: what the view is of.
        books: returns the books there are, in the order of precedence.
        symbols: every symbol that ``books`` returns, if there are more.
        instrument: where instruments are found.

    Raises:
        ConfigError: the symbols have different quote currencies.
    """

    def __init__(
        self,
        symbol: str,
        books: Callable[[], Iterable[OrderBook | None]],
        *,
        symbols: Sequence[str] = (),
        instrument: InstrumentOf | None = None,
    ) -> None:
        self.symbol = symbol
        self.symbols = tuple(dict.fromkeys((symbol, *symbols)))
        quotes = dict.fromkeys(map(quote_of, self.symbols))
        if len(quotes) > 1:
            raise ConfigError(f"prices in {' and '.join(quotes)} are not compared: {', '.join(self.symbols)}")
        self._books = books
        self._instrument = instrument
        self._in_coins = len(set(map(base_of, self.symbols))) > 1
        self._silent: dict[tuple[str, str], tuple[int, int]] = {}

    def note(self, status: Status) -> None:
        """Take a status of any venue: a silent book, and every book of a venue that has ended, does not count."""
        if status.code == "stale":
            if status.symbol not in self.symbols or not (status.subscription or "").startswith("book"):
                return
        elif status.code not in _ENDS or status.subscription is not None or status.count is not None:
            # A feed that counts what one of its connections carried marks the books of those by itself.
            return
        for book in self._books():
            if book is not None and book.venue == status.venue and status.symbol in ("", book.symbol):
                self._silent[book.venue, book.symbol] = (book.epoch, book.seq)

    @property
    def venues(self) -> tuple[str, ...]:
        """The venues that count now."""
        return tuple(dict.fromkeys(book.venue for book, _ in self._live()))

    def live(self) -> list[OrderBook]:
        """Return the books that count now, in their own units."""
        return [book for book, _ in self._live()]

    def sources(self) -> list[Source]:
        """Return every book there is, and whether it counts."""
        return [
            Source(
                book.venue,
                book.symbol,
                self._market(book),
                self._state(book),
                book.epoch,
                book.seq,
                book.ts_recv,
            )
            for book in self._books()
            if book is not None
        ]

    def best(self) -> BestPrice:
        """Return the highest bid and the lowest ask; among equal prices the larger size."""
        return best_price(self.symbol, self._tops("bid"), self._tops("ask"))

    def bids(self, n: int) -> list[VenueLevel]:
        """Return the ``n`` highest bids over all books that count, highest first."""
        levels = [self._named(book, book.bids(n), unit) for book, unit in self._live()]
        return list(islice(merge(*levels, key=lambda level: (-level.price, -level.size)), n))

    def asks(self, n: int) -> list[VenueLevel]:
        """Return the ``n`` lowest asks over all books that count, lowest first."""
        levels = [self._named(book, book.asks(n), unit) for book, unit in self._live()]
        return list(islice(merge(*levels, key=lambda level: (level.price, -level.size)), n))

    def crosses(self) -> list[Cross]:
        """Return every pair of books that are locked or crossed, the widest first."""
        asks, bids = self._tops("ask"), self._tops("bid")
        found = [
            Cross(ask, bid)
            for ask in asks
            for bid in bids
            if bid.price >= ask.price and (bid.venue, bid.symbol) != (ask.venue, ask.symbol)
        ]
        found.sort(key=lambda cross: (cross.buy.price - cross.sell.price, -cross.size))
        return found

    def snapshot(self, n: int) -> ConsolidatedBook:
        """Return the view as it stands, ``n`` levels a side."""
        return ConsolidatedBook(
            self.symbol, tuple(self.bids(n)), tuple(self.asks(n)), tuple(self.crosses()), tuple(self.sources())
        )

    # Which books count, and in which unit

    def _live(self) -> Iterator[tuple[OrderBook, int]]:
        """Yield the books that count, each with how many units of the view its base unit is."""
        for book in self._books():
            if book is not None and self._state(book) == "live":
                yield book, self._unit(book) or 1

    def _state(self, book: OrderBook) -> SourceState:
        if book.stale:
            return "stale"
        if self._silent.get((book.venue, book.symbol)) == (book.epoch, book.seq):
            return "silent"
        if book.crossed:
            return "crossed"
        return "live" if self._unit(book) is not None else "unaligned"

    def _unit(self, book: OrderBook) -> int | None:
        """Return how many units of the view a base unit of the book is; None when that is not known."""
        if not self._in_coins:
            return 1
        found = self._found(book.venue, book.symbol)
        return found.multiplier if found is not None and coin(found) == self._coin() else None

    def _coin(self) -> str:
        """Return what the view is of: the coin of its first symbol, wherever that is listed."""
        for book in self._books():
            found = None if book is None else self._found(book.venue, self.symbol)
            if found is not None:
                return coin(found)
        return base_of(self.symbol)

    def _found(self, venue: str, symbol: str) -> Instrument | None:
        return None if self._instrument is None else self._instrument(venue, symbol)

    def _market(self, book: OrderBook) -> str:
        found = self._found(book.venue, book.symbol)
        return "" if found is None else found.market

    def _tops(self, side: Literal["bid", "ask"]) -> list[VenueLevel]:
        tops: list[VenueLevel] = []
        for book, unit in self._live():
            top = book.best_bid if side == "bid" else book.best_ask
            if top is not None:
                tops += self._named(book, (top,), unit)
        return tops

    def _named(self, book: OrderBook, levels: Levels, unit: int) -> list[VenueLevel]:
        venue, symbol, market = book.venue, book.symbol, self._market(book)
        return [VenueLevel(venue, price, size, symbol, market) for price, size in per_coin(levels, unit)]
