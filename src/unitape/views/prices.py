"""The best price of one symbol over several venues, and what lies between them."""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from unitape_schemas import Event, Quote, Status, TopBook

__all__ = ["BestPrice", "Prices", "VenueLevel", "best_price"]

_GONE: Final = frozenset(("disconnected", "halted", "stale", "gap"))


class VenueLevel(Struct, frozen=True, gc=False):
    """A price level and where it can be traded. Size in base units."""

    venue: str
    price: float
    size: float
    symbol: str = ""
    """Unified symbol, which says the market: spot or perpetual."""
    market: str = ""
    """The venue's name of the market; empty where nobody told it."""


class BestPrice(Struct, frozen=True):
    """The highest bid and the lowest ask over all venues looked at; None where no venue has one."""

    symbol: str
    bid: VenueLevel | None
    ask: VenueLevel | None

    @property
    def spread(self) -> float | None:
        """Lowest ask minus highest bid, in quote units per base unit. Negative when two venues cross."""
        return None if self.bid is None or self.ask is None else self.ask.price - self.bid.price

    @property
    def edge(self) -> float | None:
        """What buying at the ask and selling at the bid returns, as a fraction of the ask and before fees.

        Positive only when two venues cross. None when a side is missing or the ask is 0.
        """
        if self.bid is None or self.ask is None or not self.ask.price:
            return None
        return self.bid.price / self.ask.price - 1.0

    @property
    def tradable(self) -> float:
        """Base units for which the edge holds: the smaller of both sizes."""
        return 0.0 if self.bid is None or self.ask is None else min(self.bid.size, self.ask.size)


def best_price(symbol: str, bids: list[VenueLevel], asks: list[VenueLevel]) -> BestPrice:
    """Return the best of these; among equal prices the larger size, then the one that comes first."""
    bid = max(bids, key=lambda level: (level.price, level.size), default=None)
    ask = min(asks, key=lambda level: (level.price, -level.size), default=None)
    return BestPrice(symbol, bid, ask)


class Prices:
    """Best prices from quotes and top books, kept per venue and symbol. Feed it with every event of a stream.

    A venue that disconnects or halts takes its prices with it; a subscription that goes stale takes its own. They are
    back with its next quote.
    """

    def __init__(self) -> None:
        self._best: dict[str, dict[str, tuple[VenueLevel | None, VenueLevel | None]]] = {}

    def update(self, event: Event) -> None:
        """Take one event; those that say nothing about best prices are ignored."""
        if isinstance(event, Quote):
            # A size of 0 is how some venues write that a side is empty.
            bid = VenueLevel(event.venue, event.bid, event.bid_size, event.symbol) if event.bid_size else None
            ask = VenueLevel(event.venue, event.ask, event.ask_size, event.symbol) if event.ask_size else None
            self._best.setdefault(event.symbol, {})[event.venue] = bid, ask
        elif isinstance(event, TopBook):
            bid = VenueLevel(event.venue, *event.bids[0], event.symbol) if event.bids else None
            ask = VenueLevel(event.venue, *event.asks[0], event.symbol) if event.asks else None
            self._best.setdefault(event.symbol, {})[event.venue] = bid, ask
        elif isinstance(event, Status) and event.code in _GONE:
            self._forget(event)

    def venues(self, symbol: str) -> dict[str, BestPrice]:
        """Return the best price of each venue that has one."""
        return {venue: BestPrice(symbol, *sides) for venue, sides in self._best.get(symbol, {}).items()}

    def across(self, symbol: str) -> BestPrice:
        """Return the best price over all venues."""
        sides = self._best.get(symbol, {}).values()
        return best_price(symbol, [b for b, _ in sides if b is not None], [a for _, a in sides if a is not None])

    def _forget(self, status: Status) -> None:
        if status.subscription is not None and status.subscription.split(":")[0].split(" ")[0] not in ("quotes", "top"):
            return
        for symbol, venues in self._best.items():
            if status.symbol in ("", symbol):
                venues.pop(status.venue, None)
