"""The channels of an account: which events they carry, and what a subscription to one is about."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Final

from unitape_schemas import ALL_SYMBOLS, AccountEvent, Balance, Channel, Fill, Order, Subscription

__all__ = ["ACCOUNT_CHANNELS", "channel_of", "covers", "name_of"]

ACCOUNT_CHANNELS: Final[tuple[Channel, ...]] = ("orders", "fills", "balances", "positions")


def channel_of(event: AccountEvent) -> Channel:
    """Return the channel of an event."""
    if isinstance(event, Order):
        return "orders"
    if isinstance(event, Fill):
        return "fills"
    return "balances" if isinstance(event, Balance) else "positions"


def covers(subscription: Subscription, event: AccountEvent) -> bool:
    """Tell whether a subscription is about an event."""
    everywhere = isinstance(event, Balance) or subscription.symbol in ("", ALL_SYMBOLS, event.symbol)
    return everywhere and subscription.channel == channel_of(event)


def name_of(event: AccountEvent) -> Hashable:
    """Return what an event is about: an order, an execution, a currency, or a side of a symbol."""
    if isinstance(event, Order):
        return event.symbol, event.id or event.client_id
    if isinstance(event, Fill):
        return event.symbol, event.order_id, event.id
    return event.currency if isinstance(event, Balance) else (event.symbol, event.side)
