"""What a replay came to, in one structure, for tapes and recordings alike."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from msgspec import Struct

from unitape.books import OrderBook
from unitape_schemas import EVENT_TYPES, BookDelta, BookSnapshot, Event, Level, Status

__all__ = ["BookTop", "Books", "ReplaySummary", "Tally"]


class BookTop(Struct, frozen=True):
    """The end of a book: best levels and the update it stands at."""

    bid: Level | None
    ask: Level | None
    seq: int


class ReplaySummary(Struct, frozen=True):
    """What a replay came to."""

    venue: str
    market: str
    events: dict[str, int]
    """How many of each type; statuses are not market data and are not counted here."""
    gaps: int
    """Losses noticed: an update that did not follow, a trade id that was missing."""
    resyncs: int
    """Books that were joined again after a gap."""
    crossed: int
    """Updates or snapshots that would have left, or did leave, a book with bid >= ask."""
    undecoded: int
    """Frames that could not be understood."""
    books: dict[str, BookTop]


class Tally:
    """Counts what a summary needs from the events of a replay."""

    def __init__(self) -> None:
        self._types: Counter[type] = Counter()
        self.gaps = 0
        self.resyncs = 0

    def add(self, events: Iterable[Event]) -> None:
        """Count these events."""
        types = self._types
        for event in events:
            if type(event) is Status:
                self.gaps += event.code == "gap"
                self.resyncs += event.code == "resynced"
            else:
                types[type(event)] += 1

    @property
    def events(self) -> dict[str, int]:
        """Counts by event type, in the contract's order."""
        return {str(kind.__struct_config__.tag): self._types[kind] for kind in EVENT_TYPES if self._types[kind]}


class Books:
    """Order books built from events alone, as any consumer would build them."""

    def __init__(self) -> None:
        self._books: dict[str, OrderBook] = {}
        self.crossed = 0

    def add(self, events: Iterable[Event]) -> None:
        """Apply the book events among these."""
        for event in events:
            if isinstance(event, BookSnapshot):
                book = self._books.get(event.symbol)
                if book is None:
                    book = self._books[event.symbol] = OrderBook(event.venue, event.symbol)
                book.load(event)
            elif isinstance(event, BookDelta):
                book = self._books[event.symbol]
                book.apply(event)
            else:
                continue
            bid, ask = book.best()
            self.crossed += bid is not None and ask is not None and bid[0] >= ask[0]

    @property
    def tops(self) -> dict[str, BookTop]:
        """The best levels of every book."""
        return {name: BookTop(book.best_bid, book.best_ask, book.seq) for name, book in self._books.items()}
