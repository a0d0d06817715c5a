"""Which events belong to which subscription."""

from __future__ import annotations

from typing import Final

from unitape.losses import CHANNEL_OF
from unitape_schemas import ALL_SYMBOLS, Candle, Channel, Event, Status, Subscription

__all__ = ["Selection"]

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

    def __contains__(self, event: Event) -> bool:
        if isinstance(event, Status):
            return event.subscription is None or event.subscription in self._keys
        channel = CHANNEL_OF[type(event)]
        interval = event.interval if isinstance(event, Candle) else None
        places = self._places
        return (channel, event.symbol, interval) in places or (channel, ALL_SYMBOLS, interval) in places

    def _index(self) -> None:
        self._keys = {subscription.key for subscription in self._all}
        self._places = {
            (s.channel, ALL_SYMBOLS if s.channel in _NOT_BY_SYMBOL else s.symbol, s.interval) for s in self._all
        }
