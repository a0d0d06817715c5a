"""Subscribing to an account: orders, fills, balances, positions, by market."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Final

import anyio

from unitape.errors import ConfigError, Unsupported
from unitape.protocol import Rejection
from unitape.spi import Instruments, Market, Streaming, Tradable, TradingSettings
from unitape.trade.account_feed import ACCOUNT_CHANNELS, AccountFeed
from unitape.trade.base import TradingBase
from unitape.trade.client import TradingClient
from unitape.trade.state import AccountState
from unitape_schemas import ALL_SYMBOLS, Event, Subscription

__all__ = ["AccountStreams", "is_account_channel"]

START_WITHIN: Final = 30.0
"""Seconds in which an account stream must be live, else the subscription counts as refused; it is tried further."""


def is_account_channel(subscription: Subscription) -> bool:
    """Tell whether this is about an account rather than a market."""
    return subscription.channel in ACCOUNT_CHANNELS


class AccountStreams(TradingBase):
    """The private streams of an adapter, one per market."""

    @abstractmethod
    def start_account_feed(self, client: TradingClient) -> AccountFeed:
        """Return a market's account feed, running."""

    def account_feeds(self) -> dict[str, AccountFeed]:
        """Return the feeds in use, by market name."""
        try:
            return self._account_feeds
        except AttributeError:
            self._account_feeds: dict[str, AccountFeed] = {}
            return self._account_feeds

    async def account(self, market: str | None = None) -> AccountState:
        """Return what is known of the account on a market, of the first that can be traded unless one is named.

        It is kept by every answer and query, and while one of its channels is subscribed to by the venue's pushes:
        ``live`` tells.
        """
        return (await self.trading_client(self._tradable_markets(market)[0])).fates.state

    def account_markets(self, subscription: Subscription) -> list[Market]:
        """Return the markets whose account a subscription is about: without symbol and market, all of the venue's.

        Raises:
            ConfigError: there is none.
        """
        name, symbol = subscription.market, subscription.symbol
        if name is None and symbol not in ("", ALL_SYMBOLS):
            name = self.declaration.market_of(symbol).name
        able: list[Market] = [market for market in self._tradable_markets(name) if isinstance(market, Streaming)]
        if subscription.channel == "positions":
            able = [market for market in able if _has_positions(market)]
        if not able:
            where = f"{self.declaration.name} {name or ''}".rstrip()
            raise Unsupported(f"{where} has no stream of {subscription.channel}")
        return able

    async def subscribe_accounts(self, subscriptions: Sequence[Subscription]) -> dict[Subscription, Rejection | None]:
        """Start what these need and wait until it is live; why not, for each that is not.

        Raises:
            ConfigError: a symbol is not listed, or there are no credentials; nothing was sent.
        """
        wanted: dict[str, list[Subscription]] = {}
        for subscription in subscriptions:
            for market in self.account_markets(subscription):
                wanted.setdefault(market.name, []).append(subscription)
        clients: dict[str, TradingClient] = {}
        for name, members in wanted.items():
            client = await self.trading_client(self.declaration.market(name))
            if client.credentials is None:
                raise ConfigError(
                    f"the account of {self.declaration.name} {name} needs an API key: set "
                    f"UNITAPE_{self.declaration.name.upper()}_KEY and …_SECRET, or give the adapter credentials"
                )
            for member in members:
                if member.symbol not in ("", ALL_SYMBOLS):
                    client.instruments.require(member.symbol)
            clients[name] = client
        feeds: dict[str, AccountFeed] = {}
        # Nothing waits from here on: two who subscribe at once share a feed.
        for name, client in clients.items():
            known = self.account_feeds().get(name)
            feeds[name] = known if known is not None and known.refusal is None else self.start_account_feed(client)
            self.account_feeds()[name] = feeds[name]
            feeds[name].want(wanted[name])
        verdicts: dict[Subscription, Rejection | None] = dict.fromkeys(subscriptions)

        async def wait(name: str) -> None:
            text = await feeds[name].started(START_WITHIN)
            if text is not None:
                verdicts.update({one: Rejection(one, text) for one in wanted[name]})

        async with anyio.create_task_group() as tasks:
            for name in feeds:
                tasks.start_soon(wait, name)
        return verdicts

    def unsubscribe_accounts(self, subscriptions: Sequence[Subscription]) -> None:
        """Deliver these no more."""
        for feed in self.account_feeds().values():
            feed.drop(subscriptions)

    def account_events(self) -> list[Event]:
        """Return what a late consumer needs first."""
        return [event for feed in self.account_feeds().values() for event in feed.current()]


def _has_positions(market: Market) -> bool:
    if not isinstance(market, Tradable):
        return False
    return bool(market.trading(Instruments(market.catalogue), TradingSettings()).spec.position_modes)
