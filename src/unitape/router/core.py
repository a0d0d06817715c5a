"""The router: several venues, several consumers, one task group."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable, Sequence
from types import TracebackType
from typing import Final, Literal, Self, TypeAlias, TypedDict, TypeVar, Unpack

import anyio
from anyio.abc import TaskGroup

from unitape.adapter import Adapter, ConnectionPlan, Sink, SubscribeResult
from unitape.books import OrderBook
from unitape.buffer import DEFAULT_CAPACITY, DEFAULT_OVERFLOW, Buffer, Overflow
from unitape.clock import Clock, SystemClock
from unitape.errors import ConfigError, UnitapeError
from unitape.router.callbacks import Subscriber
from unitape.router.filters import Accept, Types, accept, as_types
from unitape.router.holds import Brakes
from unitape.router.member import Member
from unitape.router.results import SubscribeResults
from unitape.router.stream import Batches, BufferSink, Stream
from unitape.router.trading import RouterTrading
from unitape.router.watermark import DEFAULT_LATENESS, Merge, Port
from unitape.subscriptions import Request
from unitape.views.consolidated import Consolidated
from unitape_schemas import BookSnapshot, Event, EventHead, Instrument, Status, Subscription

__all__ = ["START_WITHIN", "Consumption", "Router"]

START_WITHIN: Final = 30.0
"""Seconds in which an adapter must start; one that does not is halted."""

Order: TypeAlias = Literal["arrival", "watermark"]
ConsumerT = TypeVar("ConsumerT", Stream, Batches)
EventT = TypeVar("EventT", bound=EventHead)


class Consumption(TypedDict, total=False):
    """What a consumer may choose, for ``stream`` and ``batches`` alike."""

    types: Types | None
    """Event classes; statuses come besides, and snapshots with deltas. None: all."""
    venues: Iterable[str] | str | None
    symbols: Iterable[str] | str | None
    where: Callable[[Event], bool] | None
    """Called for every other event that the rest lets pass. If it raises, this consumer's next read raises it."""
    statuses: bool
    """False: no ``Status`` from the venues. What this consumer itself lost is told all the same."""
    capacity: int
    """Events that may wait (default 65,536); as many again may be in the consumer's hand."""
    overflow: Overflow
    """``drop_oldest`` (default), ``block``, ``conflate``, ``fail``: see ``unitape.buffer``."""
    order: Order
    """``arrival`` (default), or ``watermark``: by ``ts_recv`` over all venues, the same live and replayed."""
    lateness: float
    """Seconds that ``watermark`` waits for a slower venue, default 0.05."""
    name: str
    """What statuses and errors call this consumer."""


class Router(RouterTrading):
    """Adapters side by side: ``async with Router("one", "two", an_adapter) as router``.

    A name stands for the installed venue of that name. Adapters start together; one that fails, now or later, is
    said with ``Status(halted)`` and leaves the others alone. At the end of the block every adapter is closed, and every
    stream ends once it is read.

    Raises:
        ConfigError: no adapter, an unknown name, or two adapters of one venue.
    """

    def __init__(self, *adapters: str | Adapter, clock: Clock | None = None) -> None:
        if not adapters:
            raise ConfigError("a router needs at least one venue")
        self._adapters = [_resolve(adapter) for adapter in adapters]
        names = [adapter.venue for adapter in self._adapters]
        if len(set(names)) < len(names):
            raise ConfigError(f"a router takes each venue once, not {', '.join(names)}")
        self._clock: Clock = clock or SystemClock()
        self._brakes = Brakes()
        self._members: dict[str, Member] = {}
        self._tasks: TaskGroup | None = None
        self._consumers: weakref.WeakSet[Stream | Batches] = weakref.WeakSet()
        self._consumed = 0
        self._views: dict[tuple[str, ...], Consolidated] = {}
        self._views_of: dict[str, list[Consolidated]] = {}

    async def __aenter__(self) -> Self:
        if self._members:
            raise ConfigError("a router is entered once; make a new one")
        for index, adapter in enumerate(self._adapters):
            self._members[adapter.venue] = Member(index, adapter, self._brakes.add(adapter), self._clock)
        self._tasks = tasks = anyio.create_task_group()
        await tasks.__aenter__()
        try:
            tasks.start_soon(self._brakes.run)
            for member in self._members.values():
                tasks.start_soon(member.run)
            await self._started()
        except BaseException as error:
            await self.__aexit__(type(error), error, error.__traceback__)
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        tasks, self._tasks = self._tasks, None
        assert tasks is not None
        # A cancellation belongs to the task group, which must see it. Any other error of the block leaves as it is:
        # no child raises, so the group would only wrap it.
        passed = isinstance(value, anyio.get_cancelled_exc_class())
        try:
            if value is None:
                await self._stopped()
        except BaseException as error:
            await self._leave(tasks, error)
            raise
        else:
            await self._leave(tasks, value if passed else None)

    @property
    def venues(self) -> tuple[str, ...]:
        """Names of the venues, in the order given."""
        return tuple(adapter.venue for adapter in self._adapters)

    @property
    def adapters(self) -> tuple[Adapter, ...]:
        """The adapters, in the order given: for what an adapter can do and a router cannot."""
        return tuple(self._adapters)

    @property
    def consumers(self) -> list[Stream | Batches]:
        """The streams and batches that somebody holds, in no order."""
        return list(self._consumers)

    @property
    def halted(self) -> list[Status]:
        """What was said of each venue that has failed and will not come back."""
        return [member.halted for member in self._members.values() if member.halted is not None]

    async def subscribe(self, *requests: Request | Subscription) -> SubscribeResults:
        """Ask every venue that has the symbols, all at once, and wait until each subscription is confirmed or rejected.

        A consumer that reads nothing does not keep this from returning.

        Raises:
            ConfigError: nothing was confirmed, and no venue was asked: none has such symbols.
            VenueError: nothing was confirmed; the text holds all the words of all venues.
        """
        wanted, unserved = self._sort(requests)
        answers: list[tuple[SubscribeResult, bool]] = []

        async def ask(member: Member, subscriptions: Sequence[Subscription]) -> None:
            answers.append(await member.subscribe(subscriptions))

        async with anyio.create_task_group() as tasks:
            for venue, subscriptions in wanted.items():
                tasks.start_soon(ask, self._member(venue), subscriptions)
        answers.sort(key=lambda answer: self.venues.index(answer[0].venue))
        results = SubscribeResults([result for result, _ in answers], unserved)
        error = results.error(asked=any(asked for _, asked in answers))
        if error is not None:
            raise error
        return results

    async def unsubscribe(self, *requests: Request | Subscription) -> None:
        """Stop these at every venue that has them.

        Raises:
            ExceptionGroup: what venues raised, after all were asked.
        """
        wanted, _ = self._sort(requests)
        errors: list[Exception] = []

        async def stop(member: Member, subscriptions: Sequence[Subscription]) -> None:
            try:
                await member.unsubscribe(subscriptions)
            except Exception as error:  # noqa: BLE001 - raised below, with those of the other venues
                errors.append(error)

        async with anyio.create_task_group() as tasks:
            for venue, subscriptions in wanted.items():
                tasks.start_soon(stop, self._member(venue), subscriptions)
        if errors:
            raise ExceptionGroup("unsubscribe failed", errors)

    def plan(self, *requests: Request | Subscription) -> list[ConnectionPlan]:
        """Return the connections that these requests would take, by the venues' limits. Opens nothing."""
        wanted, _ = self._sort(requests)
        return [
            connection
            for adapter in self._adapters
            if adapter.venue in wanted
            for connection in adapter.plan(wanted[adapter.venue])
        ]

    def stream(self, **choice: Unpack[Consumption]) -> Stream:
        """Register a consumer and return its events one by one. It collects from now on, not from the first read.

        Where subscriptions stand already, it first gets the current statuses and a snapshot of each book.
        """
        return self._consume(Stream, choice)

    def batches(self, **choice: Unpack[Consumption]) -> Batches:
        """Register a consumer and return, at each turn, the list of all that has arrived since the last one."""
        return self._consume(Batches, choice)

    def on(
        self,
        types: type[EventT] | Sequence[type[EventT]],
        callback: Callable[[EventT], object],
        *,
        venues: Iterable[str] | str | None = None,
        symbols: Iterable[str] | str | None = None,
    ) -> Subscriber:
        """Call a plain function for every further event of exactly these types. ``cancel()`` of the answer stops it.

        It is called within the delivery, before any stream wakes: keep it short. What it raises is logged and counted.
        """
        chosen = (types,) if isinstance(types, type) else types
        subscriber = Subscriber(callback, accept(as_types(chosen), symbols, exact=True))
        members = self._chosen(venues)
        for member in members:
            member.attach(subscriber)

        def cancelled() -> None:
            for member in members:
                member.detach(subscriber)

        subscriber.registered(cancelled)
        return subscriber

    def book(self, venue: str, symbol: str) -> OrderBook | None:
        """Return the live book of a symbol, None while it is not subscribed. It changes as events arrive.

        Raises:
            ConfigError: the router has no such venue.
        """
        return self._member(venue).adapter.book(symbol)

    def consolidated(self, symbol: str, *others: str) -> Consolidated:
        """Return a live view over the books of this symbol on all venues, and of other symbols of the same coin.

        ``consolidated("BTC/USDT")`` is spot, ``consolidated("BTC/USDT", "BTC/USDT:USDT")`` spot and perpetuals.

        Raises:
            ConfigError: the symbols have different quote currencies.
        """
        symbols = tuple(dict.fromkeys((symbol, *others)))
        if symbols not in self._views:
            members = self._chosen(None)
            view = Consolidated(
                symbol,
                lambda: [m.adapter.book(one) for m in members if m.running for one in symbols],
                symbols=symbols,
                instrument=self.instrument,
            )
            for member in members:
                for event in member.state():
                    if isinstance(event, Status):
                        view.note(event)
            if not self._views:
                # One for all views: a delivery must not cost by how many symbols are looked at.
                self.on(Status, self._note)
            self._views[symbols] = view
            for one in symbols:
                self._views_of.setdefault(one, []).append(view)
        return self._views[symbols]

    def instrument(self, venue: str, symbol: str) -> Instrument | None:
        """Return an instrument as the venue's adapter knows it; None while it has not loaded that market.

        Raises:
            ConfigError: the router has no such venue.
        """
        member = self._member(venue)
        known = getattr(member.adapter, "instrument", None)
        try:
            found: object = known(symbol) if callable(known) and member.running else None
        except UnitapeError:
            return None
        return found if isinstance(found, Instrument) else None

    def _note(self, status: Status) -> None:
        for view in self._views_of.get(status.symbol, ()) if status.symbol else self._views.values():
            view.note(status)

    def _consume(self, kind: type[ConsumerT], choice: Consumption) -> ConsumerT:
        members = self._chosen(choice.get("venues"))
        wanted = accept(
            choice.get("types"),
            choice.get("symbols"),
            choice.get("where"),
            statuses=choice.get("statuses", True),
        )
        brakes = [member.brake for member in members]
        asker = object()
        self._consumed += 1
        buffer = Buffer(
            capacity=choice.get("capacity", DEFAULT_CAPACITY),
            overflow=choice.get("overflow", DEFAULT_OVERFLOW),
            name=choice.get("name", f"consumer {self._consumed}"),
            snapshot_of=self._snapshot,
            pressure=lambda pressed: self._brakes.press(brakes, asker, pressed),
        )
        merge = _merge(choice, buffer, members, wanted)
        first = [event for member in members for event in member.state()]
        buffer.give(first if wanted is None else wanted(first))
        sinks: list[Sink] = []
        for place, member in enumerate(members):
            sinks.append(_sink(buffer, wanted) if merge is None else Port(merge, place, buffer))
            member.attach(sinks[-1])

        def detach() -> None:
            for member, sink in zip(members, sinks, strict=True):
                member.detach(sink)

        def forgotten() -> None:
            detach()
            buffer.close()

        consumer = kind(buffer, detach, merge)
        self._consumers.add(consumer)
        # Who leaves a loop over `router.stream()` holds the stream no more; else each would fill its buffer for ever.
        weakref.finalize(consumer, forgotten).atexit = False
        return consumer

    def _snapshot(self, venue: str, symbol: str) -> BookSnapshot | None:
        member = self._members.get(venue)
        return None if member is None else member.snapshot(symbol)

    def _member(self, venue: str) -> Member:
        if not self._members:
            raise ConfigError("enter the router first: async with Router(...) as router")
        self._check_venue(venue)
        return self._members[venue]

    def _running(self, venue: str) -> Adapter:
        member = self._member(venue)
        if not member.running:
            raise ConfigError(f"{venue} does not run: {member.halted.text if member.halted else 'it was stopped'}")
        return member.adapter

    def _chosen(self, venues: Iterable[str] | str | None) -> list[Member]:
        names = self.venues if venues is None else (venues,) if isinstance(venues, str) else tuple(venues)
        return [self._member(name) for name in dict.fromkeys(names)]

    def _check_venue(self, venue: str) -> None:
        if venue not in self.venues:
            raise ConfigError(f"this router has no venue {venue!r}; it has {', '.join(self.venues)}")

    def _sort(
        self, requests: Sequence[Request | Subscription]
    ) -> tuple[dict[str, list[Subscription]], list[Subscription]]:
        """Return what to ask of each venue, and what no venue has."""
        if not requests:
            raise ConfigError("nothing was asked for")
        wanted: dict[str, dict[Subscription, None]] = {}
        unserved: dict[Subscription, None] = {}
        for request in requests:
            asked = request if isinstance(request, Request) else Request((request,))
            for venue in asked.venues or ():
                self._check_venue(venue)
            adapters = [a for a in self._adapters if asked.venues is None or a.venue in asked.venues]
            for subscription in asked.subscriptions:
                owners = [adapter.venue for adapter in adapters if adapter.owns(subscription)]
                for venue in owners:
                    wanted.setdefault(venue, {})[subscription] = None
                if not owners:
                    unserved[subscription] = None
        return {venue: list(subscriptions) for venue, subscriptions in wanted.items()}, list(unserved)

    async def _started(self) -> None:
        with anyio.move_on_after(START_WITHIN):
            for member in self._members.values():
                await member.settled.wait()
        for member in self._members.values():
            if not member.settled.is_set():
                member.abandon(f"it did not start within {START_WITHIN:g} s")

    async def _stopped(self) -> None:
        for member in self._members.values():
            member.stop()
        for member in self._members.values():
            await member.ended.wait()

    async def _leave(self, tasks: TaskGroup, error: BaseException | None) -> None:
        try:
            if error is None:
                tasks.cancel_scope.cancel()
                await tasks.__aexit__(None, None, None)
            else:
                await tasks.__aexit__(type(error), error, error.__traceback__)
        finally:
            for consumer in list(self._consumers):
                consumer.close()


def _resolve(adapter: str | Adapter) -> Adapter:
    if not isinstance(adapter, str):
        return adapter
    from unitape.registry import load_adapter

    return load_adapter(adapter)


def _sink(buffer: Buffer, wanted: Accept | None) -> Sink:
    return buffer if wanted is None else BufferSink(buffer, wanted)


def _merge(choice: Consumption, buffer: Buffer, members: Sequence[Member], wanted: Accept | None) -> Merge | None:
    order = choice.get("order", "arrival")
    if order == "arrival":
        return None
    if order != "watermark":
        raise ConfigError(f"no order {order!r}; choose arrival or watermark")
    lateness = choice.get("lateness", DEFAULT_LATENESS)
    if not lateness > 0:
        raise ConfigError(f"lateness is a positive number of seconds, not {lateness!r}")
    merge = Merge(buffer, len(members), round(lateness * 1e9), choice.get("capacity", DEFAULT_CAPACITY), wanted)
    for place, member in enumerate(members):
        if member.halted is not None:
            merge.retire(place)
    return merge
