"""The adapter protocol: what users and the router see of a venue. And the adapter of every live venue."""

from __future__ import annotations

import random
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from types import TracebackType
from typing import Final, Protocol, Self, TypeVar, runtime_checkable

import anyio
from anyio.abc import TaskGroup
from msgspec import Struct, structs

from unitape.books import OrderBook
from unitape.buffer import Buffer
from unitape.clock import Clock, SystemClock
from unitape.errors import ConfigError
from unitape.feed.budget import Budgets
from unitape.feed.client import RestClient
from unitape.feed.core import StreamStats
from unitape.feed.driver import DriverOptions, FeedDriver
from unitape.feed.inputs import Command, Input
from unitape.feed.options import FeedOptions
from unitape.feed.plan import check, plan_connections
from unitape.guards.deadman import DeadMan
from unitape.guards.guards import Guards
from unitape.guards.keeper import Keeper
from unitape.queries import Queries
from unitape.spi import Credentials, Endpoint, Instruments, Market, Query, Rest, TradingSettings, Venue
from unitape.trade.client import TradingClient
from unitape.trade.desk import Desk
from unitape.trade.numbers import Number
from unitape.trade.requests import TradingOptions
from unitape.trade.verbs import TradingVerbs
from unitape.transport import Transport, TransportChoice, open_transport
from unitape_schemas import BookSnapshot, Event, Instrument, Order, OrderKind, Side, Subscription

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


class Rejection(Struct, frozen=True):
    """A subscription that was not confirmed, with the venue's words or ours."""

    subscription: Subscription
    text: str
    code: str | None = None


class SubscribeResult(Struct, frozen=True):
    """What became of one ``subscribe`` at one venue."""

    venue: str
    confirmed: tuple[Subscription, ...] = ()
    rejected: tuple[Rejection, ...] = ()


class ConnectionPlan(Struct, frozen=True):
    """One connection that a set of subscriptions would take."""

    venue: str
    market: str
    route: str
    subscriptions: tuple[Subscription, ...]
    capacity: int
    """How much the venue allows on it, in the same unit as ``used``."""
    used: int


class Sink(Protocol):
    """Takes events from an adapter, in order, on the event loop's thread."""

    def deliver(self, events: Sequence[Event]) -> None:
        """Take these events. Never blocks, never raises; called once per frame or once per batch of frames."""
        ...


@runtime_checkable
class Adapter(Protocol):
    """One venue, live, replayed, simulated or on paper: all look the same.

    Use it as ``async with``: the task group that runs its connections lives as long as the block.
    """

    @property
    def venue(self) -> str:
        """The venue's name, as in every event."""
        ...

    async def __aenter__(self) -> Self: ...

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> bool | None: ...

    def owns(self, subscription: Subscription) -> bool:
        """Tell whether the subscription's symbol and market are of a form that this venue has."""
        ...

    async def subscribe(self, subscriptions: Sequence[Subscription]) -> SubscribeResult:
        """Ask for these and wait until each is confirmed or rejected, or its deadline passes.

        Does not raise for a refusal: the result says what was refused, and a ``Status(rejected)`` is delivered.

        Raises:
            ConfigError: a symbol or channel does not exist here; nothing was sent.
        """
        ...

    async def unsubscribe(self, subscriptions: Sequence[Subscription]) -> None:
        """Stop these."""
        ...

    def plan(self, subscriptions: Sequence[Subscription]) -> list[ConnectionPlan]:
        """Return the connections that these subscriptions would take, beside none that exist."""
        ...

    def attach(self, sink: Sink) -> None:
        """Deliver every further event to this sink, too."""
        ...

    def detach(self, sink: Sink) -> None:
        """Stop delivering to this sink."""
        ...

    def state(self) -> list[Event]:
        """Return what a late consumer needs first: the latest status of each subscription, a snapshot of each book."""
        ...

    def book(self, symbol: str) -> OrderBook | None:
        """Return the live book of a subscribed symbol, or None."""
        ...

    def hold(self, held: bool) -> None:
        """Pause reading from the venue's sockets, or go on. Heartbeats and acknowledgements must survive it."""
        ...

    def stream(self) -> AsyncIterator[Event]:
        """Return every event from now on, buffered; for one adapter without a router."""
        ...


@runtime_checkable
class TradingAdapter(Adapter, Protocol):
    """An adapter that trades, too: with ``subscribe`` and ``stream`` these are the four verbs."""

    async def place(
        self,
        symbol: str,
        side: Side,
        kind: OrderKind = "limit",
        *,
        size: Number | None = None,
        cost: Number | None = None,
        price: Number | None = None,
        client_id: str | None = None,
    ) -> Order:
        """Place one order, once; an implementation may take more by keyword.

        Raises:
            OutcomeUnknown: it may have been placed; its client id is in the error.
        """
        ...

    async def cancel(
        self,
        symbol: str,
        *,
        id: str | None = None,  # noqa: A002
        client_id: str | None = None,
    ) -> Order | None:
        """Cancel one order; None where the venue only acknowledges."""
        ...


class FeedInfo(Struct, frozen=True):
    """What is known of a feed when it begins: all that a replay needs beside its inputs."""

    venue: str
    market: str
    environment: str
    endpoint: Endpoint
    instruments: tuple[Instrument, ...]
    options: FeedOptions
    ts: int
    """Wall clock in nanoseconds."""


class FeedTap(Protocol):
    """Sees everything of one feed, on the event loop's thread. Must neither raise nor block."""

    def tap(self, happened: Input, /) -> None:
        """An input is about to be applied."""
        ...

    def on_command(self, command: Command, /) -> None:
        """A command is about to be carried out."""
        ...


class VenueAdapter(Queries, TradingVerbs):
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
        self._streams: list[Buffer] = []
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
            for buffer in self._streams:
                buffer.close()
            with anyio.CancelScope(shield=True):
                await transport.aclose()

    def owns(self, subscription: Subscription) -> bool:
        """Tell whether the subscription's symbol and market are of a form that this venue has."""
        try:
            self._market_of(subscription)
        except ConfigError:
            return False
        return True

    async def subscribe(self, subscriptions: Sequence[Subscription]) -> SubscribeResult:
        """Ask for these and wait until each is confirmed or rejected, or its deadline passes.

        Raises:
            ConfigError: a symbol or channel does not exist here; nothing was sent.
            VenueError, WireError, TransportError: the instruments could not be had.
        """
        groups: dict[str, list[Subscription]] = {}
        for subscription in dict.fromkeys(subscriptions):
            market = self._market_of(subscription)
            check(market, None, subscription)
            groups.setdefault(market.name, []).append(subscription)
        drivers: dict[str, FeedDriver] = {}
        for name, members in groups.items():
            driver = drivers[name] = await self._started(self.declaration.market(name))
            for subscription in members:
                check(driver.market, driver.instruments, subscription)
        confirmed: list[Subscription] = []
        rejected: list[Rejection] = []

        async def ask(driver: FeedDriver, members: Sequence[Subscription]) -> None:
            for verdict in await driver.subscribe(members):
                if verdict.text is None:
                    confirmed.append(verdict.subscription)
                else:
                    rejected.append(Rejection(verdict.subscription, verdict.text, verdict.code))

        async with anyio.create_task_group() as tasks:
            for name, members in groups.items():
                tasks.start_soon(ask, drivers[name], members)
        return SubscribeResult(self.venue, tuple(confirmed), tuple(rejected))

    async def unsubscribe(self, subscriptions: Sequence[Subscription]) -> None:
        """Stop these; what is not subscribed is ignored."""
        for subscription in subscriptions:
            host = self._hosts.get(self._market_of(subscription).name)
            if host is not None and host.driver is not None:
                host.driver.unsubscribe((subscription,))

    def plan(self, subscriptions: Sequence[Subscription]) -> list[ConnectionPlan]:
        """Return the connections that these subscriptions would take, beside none that exist.

        Raises:
            ConfigError: a channel or a form of symbol does not exist here.
        """
        groups: dict[str, list[Subscription]] = {}
        for subscription in subscriptions:
            groups.setdefault(self._market_of(subscription).name, []).append(subscription)
        return [
            ConnectionPlan(self.venue, name, one.route, one.subscriptions, one.capacity, one.used)
            for name, members in groups.items()
            for one in plan_connections(self.declaration.market(name), members)
        ]

    def attach(self, sink: Sink) -> None:
        """Deliver every further event to this sink, too."""
        self._sinks = (*self._sinks, sink)

    def detach(self, sink: Sink) -> None:
        """Stop delivering to this sink."""
        self._sinks = tuple(other for other in self._sinks if other is not sink)

    def state(self) -> list[Event]:
        """Return the latest status of each subscription and a snapshot of each book."""
        return [event for driver in self._drivers() for event in driver.core.current()]

    def stats(self) -> list[StreamStats]:
        """Return how each subscription is doing."""
        return [stats for driver in self._drivers() for stats in driver.core.stats()]

    def unmapped(self) -> dict[str, int]:
        """Return how many messages came that the contract has no event for, by market and the venue's name of them."""
        return {
            f"{driver.market.name} {name}": count
            for driver in self._drivers()
            for name, count in driver.core.unmapped.items()
        }

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

    def stream(self) -> AsyncIterator[Event]:
        """Return every event from now on; a reader that falls far behind is told how many were dropped."""
        buffer = Buffer(name="stream", snapshot_of=self._image)
        self.attach(buffer)
        self._streams.append(buffer)
        return self._read(buffer)

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

    async def _read(self, buffer: Buffer) -> AsyncIterator[Event]:
        try:
            while events := await buffer.get_batch():
                for event in events:
                    yield event
        finally:
            self.detach(buffer)
            self._streams.remove(buffer)


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
