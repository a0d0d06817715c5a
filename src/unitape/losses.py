"""What one consumer did not get: counted exactly, said where it happened, and no book left half told."""

from __future__ import annotations

from typing import Final, TypeAlias

from unitape_schemas import (
    Balance,
    BookDelta,
    BookSnapshot,
    Candle,
    Channel,
    Event,
    Fill,
    Funding,
    Liquidation,
    MarkPrice,
    OpenInterest,
    Order,
    Position,
    Quote,
    Status,
    Ticker,
    TopBook,
    Trade,
)

__all__ = ["CHANNEL_OF", "BookGates", "BookKey", "Loss", "Losses", "subscription_key"]

BookKey: TypeAlias = tuple[str, str]
"""Venue and symbol of a book."""

CHANNEL_OF: Final[dict[type[Event], Channel]] = {
    Trade: "trades",
    Quote: "quotes",
    BookSnapshot: "book",
    BookDelta: "book",
    TopBook: "top",
    Ticker: "ticker",
    Candle: "candles",
    MarkPrice: "mark_price",
    Funding: "funding",
    OpenInterest: "open_interest",
    Liquidation: "liquidations",
    Order: "orders",
    Fill: "fills",
    Balance: "balances",
    Position: "positions",
}
"""The channel that every class of events but ``Status`` belongs to."""


def subscription_key(event: Event) -> str:
    """Return the key of the subscription an event belongs to, as ``Subscription.key`` writes it.

    An event does not tell whether its depth was asked for by number, so ``top`` always names it.
    """
    channel = CHANNEL_OF[type(event)]
    if isinstance(event, Candle):
        return f"{channel}:{event.interval} {event.symbol}"
    if isinstance(event, TopBook):
        return f"{channel}:{event.depth} {event.symbol}"
    return f"{channel} {event.symbol}".rstrip()


_OPEN: Final = (-1, -1)


class Loss:
    """Events of one subscription that were not delivered. It keeps the place of the first of them."""

    __slots__ = ("count", "placed", "subscription", "symbol", "ts_recv", "venue")

    def __init__(self, venue: str, symbol: str, subscription: str) -> None:
        self.venue = venue
        self.symbol = symbol
        self.subscription = subscription
        self.count = 0
        self.ts_recv = 0
        self.placed = False

    def status(self, consumer: str) -> Status:
        """Return the status that says it."""
        text = f"consumer {consumer!r} fell behind: {self.count} events of {self.subscription} were dropped"
        return Status(self.venue, self.symbol, 0, 0, self.ts_recv, "dropped", self.subscription, self.count, text)


class Losses:
    """The losses of one consumer since it last read, one per subscription."""

    __slots__ = ("_by_key", "total")

    def __init__(self) -> None:
        self._by_key: dict[tuple[str, str], Loss] = {}
        self.total = 0
        """Events lost since the beginning."""

    def add(self, event: Event, count: int = 1) -> Loss:
        """Count an event as lost and return the loss it belongs to. ``count``: how many events it stands for."""
        subscription = subscription_key(event)
        loss = self._by_key.get((event.venue, subscription))
        if loss is None:
            loss = self._by_key[event.venue, subscription] = Loss(event.venue, event.symbol, subscription)
        loss.count += count
        loss.ts_recv = event.ts_recv
        self.total += count
        return loss

    def take_unplaced(self) -> list[Loss]:
        """Forget all losses and return those that hold no place among buffered events."""
        if not self._by_key:
            return []
        unplaced = [loss for loss in self._by_key.values() if not loss.placed]
        self._by_key.clear()
        return unplaced


class BookGates:
    """Lets through only book events that continue what this consumer knows of the book.

    A book whose chain of deltas was broken is *shut* until a snapshot comes. A book of which the consumer was given a
    snapshot out of turn passes again *after* that snapshot: what it already contains is left out, and is not a loss.
    """

    __slots__ = ("_gates", "_losses")

    def __init__(self, losses: Losses) -> None:
        self._gates: dict[BookKey, tuple[int, int] | None] = {}
        self._losses = losses

    def __bool__(self) -> bool:
        return bool(self._gates)

    def shut(self, book: BookKey) -> None:
        """Let no delta of this book pass before its next snapshot."""
        self._gates[book] = None

    def shut_books(self) -> list[BookKey]:
        """Return the books that wait for a snapshot."""
        return [book for book, after in self._gates.items() if after is None]

    def given(self, snapshot: BookSnapshot) -> None:
        """Tell that the consumer was given this snapshot, out of turn."""
        self._gates[snapshot.venue, snapshot.symbol] = (snapshot.epoch, snapshot.seq)

    def withholds(self, event: Event) -> bool:
        """Tell whether an event is a delta of a shut book, and count it as lost. A snapshot opens its book."""
        if not isinstance(event, (BookSnapshot, BookDelta)):
            return False
        book = (event.venue, event.symbol)
        if self._gates.get(book, _OPEN) is not None:
            return False
        if type(event) is BookDelta:
            self._losses.add(event)
            return True
        del self._gates[book]
        return False

    def passes(self, event: Event) -> bool:
        """Tell whether an arriving event continues what the consumer knows; one that is withheld counts as lost."""
        if self.withholds(event):
            return False
        if isinstance(event, (BookSnapshot, BookDelta)):
            book = (event.venue, event.symbol)
            after = self._gates.get(book)
            if after is not None:
                if (event.epoch, event.seq) <= after:
                    return False
                del self._gates[book]
        return True
