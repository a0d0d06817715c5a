"""Which events belong to which subscription."""

from __future__ import annotations

from typing import Final

from unitape_schemas import (
    ALL_SYMBOLS,
    Balance,
    BookDelta,
    BookSnapshot,
    Candle,
    Channel,
    Fill,
    Funding,
    Liquidation,
    MarkPrice,
    OpenInterest,
    Order,
    Position,
    Quote,
    Status,
    Subscription,
    Ticker,
    TopBook,
    Trade,
)

__all__ = ["CHANNEL_OF", "Selection"]

CHANNEL_OF: Final[dict[type, Channel]] = {
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
_NOT_BY_SYMBOL: Final = frozenset(("orders", "fills", "balances", "positions"))


class Selection:
    """A set of subscriptions that tells whether an event belongs to one of them."""

    def __init__(self) -> None:
        self._all: set[Subscription] = set()
        self._keys: set[str] = set()
        self._places: set[tuple[Channel, str, str | None]] = set()

    def add(self, subscription: Subscription) -> None:
        """Take a subscription in."""
        self._all.add(subscription)
        self._index()

    def discard(self, subscription: Subscription) -> None:
        """Take a subscription out."""
        self._all.discard(subscription)
        self._index()

    def __contains__(self, event: object) -> bool:
        if isinstance(event, Status):
            return event.subscription is None or event.subscription in self._keys
        channel = CHANNEL_OF.get(type(event))
        if channel is None:
            return False
        interval = event.interval if isinstance(event, Candle) else None
        symbol = _symbol(event)
        places = self._places
        return (channel, symbol, interval) in places or (channel, ALL_SYMBOLS, interval) in places

    def _index(self) -> None:
        self._keys = {subscription.key for subscription in self._all}
        self._places = {
            (s.channel, ALL_SYMBOLS if s.channel in _NOT_BY_SYMBOL else s.symbol, s.interval) for s in self._all
        }


def _symbol(event: object) -> str:
    return getattr(event, "symbol", "")
