"""The adapter protocol: what users and the router see of a venue. And the adapter of every live venue."""

from __future__ import annotations

import random
import ssl
from collections.abc import Awaitable, Callable, Mapping, Sequence
from types import TracebackType
from typing import Final, Self, TypeVar

import anyio
from anyio.abc import TaskGroup
from msgspec import structs

from unitape.books import OrderBook
from unitape.buffer import Buffer
from unitape.clock import Clock, SystemClock
from unitape.errors import ConfigError, UnitapeError
from unitape.feed.budget import Budgets
from unitape.feed.client import RestClient
from unitape.feed.core import StreamStats
from unitape.feed.driver import DriverOptions, FeedDriver
from unitape.feed.options import FeedOptions
from unitape.feed.plan import check, plan_connections
from unitape.guards.deadman import DeadMan
from unitape.guards.guards import Guards
from unitape.guards.keeper import Keeper
from unitape.protocol import (
    Adapter,
    ConnectionPlan,
    FeedInfo,
    FeedTap,
    Rejection,
    Sink,
    SubscribeResult,
    TradingAdapter,
)
from unitape.queries import Queries
from unitape.spi import Credentials, Endpoint, Instruments, Market, Query, Rest, Streaming, TradingSettings, Venue
from unitape.streaming import EventStream, EventStreams
from unitape.trade.account_feed import AccountFeed
from unitape.trade.client import TradingClient
from unitape.trade.desk import Desk
from unitape.trade.requests import TradingOptions
from unitape.trade.streams import AccountStreams, is_account_channel
from unitape.trade.verbs import TradingVerbs
from unitape.transport import Transport, TransportChoice, open_transport
from unitape_schemas import BookSnapshot, Event, Instrument, Subscription

__all__ = [
    "Adapter",
    "ConnectionPlan",
    "FeedInfo",
    "FeedTap",
    "Rejection",
    "Sink",
    "SubscribeResult",
    "TradingAdapter",
    "VenueAdapter",
]

T = TypeVar("T")

REQUEST_TIMEOUT: Final = 10.0
"""Seconds that an HTTP request may take."""


class VenueAdapter(Queries, TradingVerbs, AccountStreams):
    """A live venue: turns the declaration of a ``Venue`` into an ``Adapter`` with I/O.

    Markets are started when they are first needed; a market that nobody asks for opens nothing. A subclass of one
    venue names it as the class attribute ``declaration``.

    Args:
        declaration: the venue; not needed where the class names it.
        environment: a key of ``Market.endpoints``.
        endpoints: other places by market name, for example of a simulator. They win over ``environment``, and the
            adapter then serves the markets named here and no other: none is reached live by accident.
        transport: the WebSocket library, or a whole ``Transport``.
        tls: certificates to trust instead of the system's.
        proxy: ``auto`` takes the environment's, None none, otherwise an ``http://`` URL.
        instruments: lists by market name, instead of asking the venue.
        offline: take the small catalogue that ships with the venue instead of asking.
        clock: where time comes from.
        seed: makes the random pauses before reconnecting repeatable.
        record: called for each feed as it begins; what it returns sees everything, for example a tape.
        feed, driver: settings.
        credentials: the account to trade on; None takes the environment's when an order needs them. A venue that was
            moved to other ``endpoints`` is never shown those.
        account: what was decided about the account, for all markets or by market name; None: one-way mode where a
            market has it.
        trading: how orders are sent.
        budgets: share one among adapters that use the same hosts.
    """

    def __init__(
        self,
        declaration: Venue | None = None,
        *,
        environment: str = "live",
        endpoints: Mapping[str, Endpoint] | None = None,
        transport: TransportChoice | Transport = "auto",
        tls: ssl.SSLContext | None = None,
        proxy: str | None = "auto",
        instruments: Mapping[str, Sequence[Instrument]] | None = None,
        offline: bool = False,
        clock: Clock | None = None,
        seed: int | None = None,
        record: Callable[[FeedInfo], FeedTap] | None = None,
        feed: FeedOptions | None = None,
        driver: DriverOptions | None = None,
        budgets: Budgets | None = None,
        credentials: Credentials | None = None,
        account: TradingSettings | Mapping[str, TradingSettings] | None = None,
        trading: TradingOptions | None = None,
    ) -> None:
        if declaration is not None:
            self.declaration = declaration
        elif not hasattr(self, "declaration"):
            raise ConfigError(f"{type(self).__name__} names no venue; give it one")
        self.clock = clock or SystemClock()
        self._environment = environment
        self._endpoints = dict(endpoints or {})
        self._choice = transport
        self._tls = tls
        self._proxy = proxy
        self._given = dict(instruments or {})
        self._offline = offline
        self._rng = random.Random(seed)
        self._record = record
        self._feed = feed or FeedOptions()
        self._driver = driver or DriverOptions()
        self._budgets = budgets
        self._desk = Desk(credentials, account, trading, self.clock, random.Random(seed))
        self._keeper = Keeper(self._desk.guards(self.venue), self, self._spawn, self._deliver)
        self._sinks: tuple[Sink, ...] = ()
        self._streams = EventStreams(self.attach, self.detach)
        self._hosts: dict[str, _Host] = {}
        self._transport: Transport | None = None
        self._tasks: TaskGroup | None = None
        self._held = False
        for name in (*self._endpoints, *self._given, *self._desk.named):
            self.declaration.market(name)
        if self._endpoints:
            # A market that nobody moved would be reached live, with keys meant for a simulator or a proxy.
            moved = tuple(m for m in self.declaration.markets if {m.name, *m.aliases} & self._endpoints.keys())
            self.declaration = structs.replace(self.declaration, markets=moved)
        for market in self.declaration.markets:
            self._endpoint(market)

    @property
    def venue(self) -> str:
        """The venue's name, as in every event."""
        return self.declaration.name

    @property
    def guards(self) -> Guards:
        """Risk limits and kill switch."""
        return self._keeper.guards

    @property
    def dead_man(self) -> DeadMan:
        """Countdowns that cancel orders when this process dies, where the venue has them."""
        return self._keeper.dead_man

    def halt_on_signal(self, number: int | None = None) -> None:
        """Halt trading when the process gets a signal, SIGUSR1 unless another is named. In the main thread only.

        Raises:
            ConfigError: this system has no such signal.
        """
        self._keeper.listen(number)

    @property
    def hold_limit(self) -> float:
        """Seconds that reading may pause at most: half the shortest heartbeat deadline of the markets in use."""
        markets = [host.market for host in self._hosts.values() if host.driver is not None]
        return min(market.heartbeat.deadline for market in markets or self.declaration.markets) / 2.0

    async def __aenter__(self) -> Self:
        if self._tasks is not None:
            raise ConfigError(f"this adapter of {self.venue} is in use already")
        if isinstance(self._choice, str):
            self._transport = open_transport(self._choice, tls=self._tls, proxy=self._proxy)
        else:
            self._transport = self._choice
        if self._budgets is None:
            self._budgets = Budgets(self.clock)
        self._tasks = await anyio.create_task_group().__aenter__()
        self._keeper.guards.announce()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        tasks, transport = self._tasks, self._transport
        if tasks is None or transport is None:
            return None
        await self._keeper.leave()
        tasks.cancel_scope.cancel()
        try:
            return await tasks.__aexit__(kind, value, traceback)
        except BaseExceptionGroup as group:
            # What the block raised leaves as it was; a group says that something here broke.
            if value is not None and group.exceptions == (value,):
                return False
            raise
        finally:
            self._tasks = self._transport = None
            self._hosts.clear()
            self.account_feeds().clear()
            self._streams.close()
            with anyio.CancelScope(shield=True):
                await transport.aclose()

    def owns(self, subscription: Subscription) -> bool:
        """Tell whether the subscription's symbol and market are of a form that this venue has."""
        try:
            if is_account_channel(subscription):
                self.account_markets(subscription)
            else:
                self._market_of(subscription)
        except ConfigError:
            return False
        return True

    async def subscribe(self, subscriptions: Sequence[Subscription]) -> SubscribeResult:
        """Ask for these and wait until each is confirmed or rejected, or its deadline passes.

        Raises:
            ConfigError: a symbol or channel does not exist here, or an account is asked for without credentials;
                nothing was sent.
            VenueError, WireError, TransportError: the instruments could not be had.
        """
        groups: dict[str, list[Subscription]] = {}
        accounts: list[Subscription] = []
        for subscription in dict.fromkeys(subscriptions):
            if is_account_channel(subscription):
                self.account_markets(subscription)
                accounts.append(subscription)
                continue
            market = self._market_of(subscription)
            check(market, None, subscription)
            groups.setdefault(market.name, []).append(subscription)
        if not groups:
            return self._verdicts(await self.subscribe_accounts(accounts))
        drivers: dict[str, FeedDriver] = {}
        for name, members in groups.items():
            driver = drivers[name] = await self._started(self.declaration.market(name))
            for subscription in members:
                check(driver.market, driver.instruments, subscription)
        verdicts: dict[Subscription, Rejection | None] = {}

        async def ask(driver: FeedDriver, members: Sequence[Subscription]) -> None:
            for verdict in await driver.subscribe(members):
                one = verdict.subscription
                verdicts[one] = None if verdict.text is None else Rejection(one, verdict.text, verdict.code)

        async def ask_accounts() -> None:
            # Market data that was asked for together with an account does not depend on it.
            try:
                verdicts.update(await self.subscribe_accounts(accounts))
            except UnitapeError as error:
                verdicts.update({one: Rejection(one, str(error)) for one in accounts})

        async with anyio.create_task_group() as tasks:
            for name, members in groups.items():
                tasks.start_soon(ask, drivers[name], members)
            if accounts:
                tasks.start_soon(ask_accounts)
        return self._verdicts(verdicts)

    def _verdicts(self, verdicts: Mapping[Subscription, Rejection | None]) -> SubscribeResult:
        confirmed = tuple(one for one, rejection in verdicts.items() if rejection is None)
        rejected = tuple(rejection for rejection in verdicts.values() if rejection is not None)
        return SubscribeResult(self.venue, confirmed, rejected)

    async def unsubscribe(self, subscriptions: Sequence[Subscription]) -> None:
        """Stop these; what is not subscribed is ignored."""
        self.unsubscribe_accounts([one for one in subscriptions if is_account_channel(one)])
        for subscription in subscriptions:
            if is_account_channel(subscription):
                continue
            host = self._hosts.get(self._market_of(subscription).name)
            if host is not None and host.driver is not None:
                host.driver.unsubscribe((subscription,))

    def plan(self, subscriptions: Sequence[Subscription]) -> list[ConnectionPlan]:
        """Return the connections that these subscriptions would take, beside none that exist.

        Raises:
            ConfigError: a channel or a form of symbol does not exist here.
        """
        groups: dict[str, list[Subscription]] = {}
        private: dict[str, list[Subscription]] = {}
        for subscription in subscriptions:
            if is_account_channel(subscription):
                for market in self.account_markets(subscription):
                    private.setdefault(market.name, []).append(subscription)
            else:
                groups.setdefault(self._market_of(subscription).name, []).append(subscription)
        public = [
            ConnectionPlan(self.venue, name, one.route, one.subscriptions, one.capacity, one.used)
            for name, members in groups.items()
            for one in plan_connections(self.declaration.market(name), members)
        ]
        # An account has one connection per market, whatever is asked of it.
        return [*public, *(ConnectionPlan(self.venue, n, "account", tuple(m), 1, 1) for n, m in private.items())]

    def attach(self, sink: Sink) -> None:
        """Deliver every further event to this sink, too."""
        self._sinks = (*self._sinks, sink)

    def detach(self, sink: Sink) -> None:
        """Stop delivering to this sink."""
        self._sinks = tuple(other for other in self._sinks if other is not sink)

    def state(self) -> list[Event]:
        """Return the latest status of each subscription and a snapshot of each book."""
        return [*(event for driver in self._drivers() for event in driver.core.current()), *self.account_events()]

    def stats(self) -> list[StreamStats]:
        """Return how each subscription is doing."""
        return [stats for driver in self._drivers() for stats in driver.core.stats()]

    def unmapped(self) -> dict[str, int]:
        """Return how many messages came that the contract has no event for, by market and the venue's name of them."""
        public = ((driver.market.name, driver.core.unmapped) for driver in self._drivers())
        private = ((f"{market} account", feed.unmapped) for market, feed in self.account_feeds().items())
        return {f"{where} {name}": n for where, names in (*public, *private) for name, n in names.items()}

    def book(self, symbol: str) -> OrderBook | None:
        """Return the live book of a subscribed symbol, or None."""
        for driver in self._drivers():
            found = driver.core.book(symbol)
            if found is not None:
                return found
        return None

    def hold(self, held: bool) -> None:
        """Pause reading, or go on. A connection on which the venue owes an answer is read all the same."""
        self._held = held
        for driver in self._drivers():
            driver.hold(held)

    def stream(self) -> EventStream:
        """Return every event from now on; a reader that falls far behind is told how many were dropped."""
        return self._streams.open(Buffer(name="stream", snapshot_of=self._image))

    async def rest(self, market: Market) -> Rest:
        """Return the market's queries, with its instruments loaded."""
        return market.rest((await self._ready(market)).instruments or Instruments())

    def instrument(self, symbol: str) -> Instrument | None:
        """Return an instrument as it is known now; None while its market is not in use or does not list it."""
        for market in self.declaration.markets:
            if market.owns(symbol):
                host = self._hosts.get(market.name)
                return None if host is None or host.instruments is None else host.instruments.get(symbol)
        return None

    def known(self, market: Market) -> Instruments | None:
        """Return the instruments that the venue gave for a market in use."""
        host = self._hosts.get(market.name)
        return None if host is None or host.given else host.instruments

    def learn(self, market: Market, instruments: Sequence[Instrument]) -> None:
        """Take instruments that are new or have changed. A feed takes them as an input, so that its tape has them."""
        host = self._hosts[market.name]
        if host.driver is not None:
            host.driver.listed(instruments)
        elif host.instruments is not None:
            host.instruments.update(instruments)

    async def fetch(self, market: Market, query: Query[T]) -> T:
        """Send one query within the host's budget and return what its answer says."""
        return await self._host(market).client.fetch(query)

    async def trading_client(self, market: Market) -> TradingClient:
        """Return the private side of a market, its instruments loaded.

        Raises:
            Unsupported: the market serves data only.
        """
        host = await self._ready(market)
        if host.trading is None:
            moved = any(name in self._endpoints for name in (market.name, *market.aliases))
            host.trading = self._desk.client(
                host.client, host.instruments or Instruments(), moved=moved, spawn=self._spawn
            )
            self._keeper.join(host.trading)
        return host.trading

    def start_account_feed(self, client: TradingClient) -> AccountFeed:
        """Return a market's account feed, running."""
        market = client.market
        if self._tasks is None or self._transport is None or not isinstance(market, Streaming):
            raise ConfigError(f"this adapter of {self.venue} is closed")
        feed = AccountFeed(
            client,
            market.account_stream(client.instruments, client.settings),
            transport=self._transport,
            options=self._connect_options().connect,
            rng=random.Random(self._rng.random()),
            deliver=self._deliver,
        )
        self._tasks.start_soon(feed.run)
        return feed

    def _spawn(self, task: Callable[[], Awaitable[None]]) -> None:
        async def run() -> None:
            await task()

        if self._tasks is not None:
            self._tasks.start_soon(run)

    # Markets

    def _drivers(self) -> list[FeedDriver]:
        return [host.driver for host in self._hosts.values() if host.driver is not None]

    def _market_of(self, subscription: Subscription) -> Market:
        if subscription.market is not None:
            return self.declaration.market(subscription.market)
        return self.declaration.market_of(subscription.symbol)

    def _endpoint(self, market: Market) -> Endpoint:
        for name in (market.name, *market.aliases):
            if name in self._endpoints:
                return self._endpoints[name]
        found = market.endpoints.get(self._environment)
        if found is None:
            known = ", ".join(market.endpoints)
            raise ConfigError(f"{self.venue} {market.name} has no environment {self._environment!r}; it has {known}")
        return found

    def _host(self, market: Market) -> _Host:
        host = self._hosts.get(market.name)
        if host is None:
            if self._transport is None or self._budgets is None:
                raise ConfigError(f"enter the adapter first: async with {type(self).__name__}() as adapter")
            client = RestClient(
                market, self._endpoint(market), self._transport, self._budgets, self.clock, REQUEST_TIMEOUT
            )
            host = self._hosts[market.name] = _Host(market, client)
        return host

    async def _ready(self, market: Market) -> _Host:
        """Return a market with its instruments, which are asked for once."""
        host = self._host(market)
        async with host.loading:
            if host.instruments is None:
                given = next((self._given[n] for n in (market.name, *market.aliases) if n in self._given), None)
                if given is None and self._offline:
                    given = market.catalogue
                host.given = given is not None
                if given is None:
                    given = await host.client.fetch(market.rest(Instruments()).instruments())
                host.instruments = Instruments(given)
        return host

    async def _started(self, market: Market) -> FeedDriver:
        host = await self._ready(market)
        if host.driver is None:
            if self._tasks is None or host.instruments is None:
                raise ConfigError(f"this adapter of {self.venue} is closed")
            tap = self._record(self._info(host)) if self._record is not None else None
            host.driver = FeedDriver(
                market,
                host.instruments,
                host.client,
                clock=self.clock,
                rng=random.Random(self._rng.random()),
                deliver=self._deliver,
                tap=tap.tap if tap is not None else None,
                on_command=tap.on_command if tap is not None else None,
                options=self._connect_options(),
                feed=self._feed,
            )
            host.driver.hold(self._held)
            self._tasks.start_soon(host.driver.run)
        return host.driver

    def _connect_options(self) -> DriverOptions:
        connect = structs.replace(self._driver.connect, tls=self._tls, proxy=self._proxy)
        return structs.replace(self._driver, connect=connect)

    def _info(self, host: _Host) -> FeedInfo:
        return FeedInfo(
            self.venue,
            host.market.name,
            self._environment,
            host.client.endpoint,
            tuple(host.instruments or ()),
            self._feed,
            self.clock.wall(),
        )

    def _deliver(self, events: Sequence[Event]) -> None:
        for sink in self._sinks:
            sink.deliver(events)

    def _image(self, venue: str, symbol: str) -> BookSnapshot | None:
        book = self.book(symbol)
        return None if book is None or book.stale else book.snapshot()


class _Host:
    """One market in use."""

    def __init__(self, market: Market, client: RestClient) -> None:
        self.market = market
        self.client = client
        self.loading = anyio.Lock()
        self.instruments: Instruments | None = None
        self.given = False
        self.driver: FeedDriver | None = None
        self.trading: TradingClient | None = None
