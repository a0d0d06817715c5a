"""Paper trading as an adapter: real market data goes through, orders meet it here and nowhere else."""

from __future__ import annotations

import heapq
import logging
from collections.abc import Callable, Sequence
from itertools import count
from types import TracebackType
from typing import Any, Final, Protocol, Self, TypeVar, cast, runtime_checkable

import anyio
from anyio.abc import TaskGroup

from unitape.books import OrderBook
from unitape.buffer import Buffer
from unitape.clock import Clock
from unitape.errors import ConfigError, MarketClosed, UnitapeError
from unitape.guards.guards import Guards
from unitape.guards.kill import Halt, KillRules
from unitape.guards.limits import RiskLimits
from unitape.paper.exchange import PaperExchange
from unitape.paper.settings import PaperSettings
from unitape.paper.verbs import MarketTime, PaperVerbs, PaperView
from unitape.protocol import Adapter, ConnectionPlan, Sink, SubscribeResult
from unitape.spi import Instruments, KillSignals, Market, NewOrder, Venue
from unitape.streaming import EventStream, EventStreams
from unitape.tape.selection import Selection
from unitape_schemas import (
    ALL_SYMBOLS,
    AccountEvent,
    Channel,
    Event,
    Instrument,
    Order,
    Subscription,
)

__all__ = ["PaperAdapter"]

T = TypeVar("T")
_log = logging.getLogger("unitape.paper")

NANOS: Final = 1_000_000_000
BUFFERED: Final = 65_536
ACCOUNT: Final[frozenset[Channel]] = frozenset({"orders", "fills", "balances", "positions"})
NEEDED: Final[tuple[Channel, ...]] = ("book", "trades")
WANTED: Final[tuple[Channel, ...]] = ("mark_price", "funding")
"""Of perpetuals, where the venue has them."""


@runtime_checkable
class _Lists(Protocol):
    """An adapter that knows its instruments."""

    def instrument(self, symbol: str) -> Instrument | None:
        """Return an instrument."""
        ...


class _Arrival:
    """Something on its way to the market."""

    __slots__ = ("act", "done", "due", "failure", "number", "result")

    def __init__(self, due: int, number: int, act: Callable[[], object]) -> None:
        self.due = due
        self.number = number
        self.act = act
        self.done = anyio.Event()
        self.result: object = None
        self.failure: UnitapeError | None = None

    def __lt__(self, other: _Arrival) -> bool:
        return (self.due, self.number) < (other.due, other.number)

    def happen(self) -> None:
        """It arrives."""
        try:
            self.result = self.act()
        except UnitapeError as error:
            self.failure = error
        self.done.set()


class PaperAdapter(PaperVerbs):
    """Trades on paper over any adapter: live, from a tape, or simulated. Use it as ``async with``; it enters the other.

    Market data passes through as it is. Orders, fills, balances and positions come as from a venue's private stream
    once their channels are subscribed to. Nothing is ever sent to the venue's trading endpoints.

    Args:
        inner: where books and trades come from.
        settings: what the account holds, and how the market is modelled.
        instruments: what can be traded, where the other adapter does not know.
        risk, kill: the guards, as of a live adapter.
        clock: what tells time between events; None: the other's, and of a tape only its own events.
    """

    def __init__(
        self,
        inner: Adapter,
        settings: PaperSettings | None = None,
        *,
        instruments: Sequence[Instrument] = (),
        risk: RiskLimits | None = None,
        kill: KillRules | None = None,
        clock: Clock | None = None,
    ) -> None:
        self.inner = inner
        self.settings = settings or PaperSettings()
        self._ticks = clock if clock is not None else cast(Clock | None, getattr(inner, "clock", None))
        self._given = Instruments(instruments)
        self._selection = Selection()
        self._sinks: tuple[Sink, ...] = ()
        self._streams = EventStreams(self.attach, self.detach)
        self._tasks: TaskGroup | None = None
        self._arrivals: list[_Arrival] = []
        self._numbers = count(1)
        self._changed = anyio.Event()
        self._out: list[Event] | None = None
        self._ended = False
        self._ready: set[str] = set()
        self._confirmed: set[Subscription] = set()
        super().__init__(PaperExchange(inner.venue, self.settings, self._emit), MarketTime(self._market_time))
        self.guards = Guards(inner.venue, self.clock, risk, kill)
        self.guards.bind(book=inner.book, deliver=self._forward, on_halt=self._on_halt)
        self._guard = self.guards.market("paper", KillSignals(), lambda: self._given, PaperView(self.exchange))

    # The adapter protocol

    @property
    def venue(self) -> str:
        """The venue whose market data this trades on."""
        return self.inner.venue

    @property
    def hold_limit(self) -> float:
        """Seconds for which the other may be stopped."""
        return float(getattr(self.inner, "hold_limit", 10.0))

    async def __aenter__(self) -> Self:
        if self._tasks is not None:
            raise ConfigError("this paper adapter is in use already")
        await self.inner.__aenter__()
        self.inner.attach(self)
        declaration: Any = getattr(self.inner, "declaration", None)
        for market in declaration.markets if isinstance(declaration, Venue) else ():
            self.exchange.open_account(market.name)
        self.exchange.advance(self.clock.wall())
        self._tasks = await anyio.create_task_group().__aenter__()
        self.guards.announce()
        finished = getattr(self.inner, "finished", None)
        if isinstance(finished, anyio.Event):
            self._tasks.start_soon(self._finish, finished)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        tasks, self._tasks = self._tasks, None
        if tasks is None:
            return None
        self.inner.detach(self)
        tasks.cancel_scope.cancel()
        try:
            await tasks.__aexit__(None, None, None)
        finally:
            self._streams.close()
            ended = await self.inner.__aexit__(kind, value, traceback)
        return ended

    def owns(self, subscription: Subscription) -> bool:
        """Tell whether the other owns the symbol, or the account is meant."""
        if subscription.channel in ACCOUNT and subscription.symbol in ("", ALL_SYMBOLS):
            return True
        probe = Subscription("trades", subscription.symbol, market=subscription.market)
        return self.inner.owns(probe if subscription.channel in ACCOUNT else subscription)

    async def subscribe(self, subscriptions: Sequence[Subscription]) -> SubscribeResult:
        """Ask for these; account channels are those of the paper account."""
        accounts = tuple(one for one in subscriptions if one.channel in ACCOUNT)
        rest = [one for one in subscriptions if one.channel not in ACCOUNT]
        # Before it is asked for: the first event may come together with the confirmation.
        for one in (*accounts, *rest):
            self._selection.add(one)
        try:
            result = await self.inner.subscribe(rest) if rest else SubscribeResult(self.venue)
        except BaseException:
            for one in rest:
                self._selection.discard(one)
            raise
        self._confirmed |= set(result.confirmed)
        for rejection in result.rejected:
            self._selection.discard(rejection.subscription)
        return SubscribeResult(self.venue, (*accounts, *result.confirmed), result.rejected)

    async def unsubscribe(self, subscriptions: Sequence[Subscription]) -> None:
        """Deliver these no longer; what orders need goes on."""
        self._confirmed -= set(subscriptions)
        for one in subscriptions:
            self._selection.discard(one)
        needed = {one for symbol in self._ready for one in _needs(symbol)}
        await self.inner.unsubscribe([one for one in subscriptions if one.channel not in ACCOUNT and one not in needed])

    def plan(self, subscriptions: Sequence[Subscription]) -> list[ConnectionPlan]:
        """Return the connections that the other would open."""
        return self.inner.plan([one for one in subscriptions if one.channel not in ACCOUNT])

    def attach(self, sink: Sink) -> None:
        """Deliver every further event to this sink, too."""
        self._sinks = (*self._sinks, sink)

    def detach(self, sink: Sink) -> None:
        """Stop delivering to this sink."""
        self._sinks = tuple(other for other in self._sinks if other is not sink)

    def state(self) -> list[Event]:
        """Return what the other returns, and how the account stands."""
        rows: list[Event] = [*self.inner.state(), *self.account_state()]
        return [event for event in rows if event in self._selection]

    def book(self, symbol: str) -> OrderBook | None:
        """Return the other's live book: paper orders leave no trace in it."""
        return self.inner.book(symbol)

    def hold(self, held: bool) -> None:
        """Pause the other, or let it go on."""
        self.inner.hold(held)

    def stream(self) -> EventStream:
        """Return every event from now on, until a tape ends."""
        buffer = Buffer(capacity=BUFFERED, overflow="block", name=f"{self.venue} paper", pressure=self.hold)
        if self._ended:
            buffer.close()
        return self._streams.open(buffer)

    # A sink of the other adapter

    def deliver(self, events: Sequence[Event]) -> None:
        """Take the market's events: pass them on, and let them move the paper orders."""
        out: list[Event] = []
        self._out = out
        try:
            for event in events:
                self._arrive_until(event.ts_recv)
                if event in self._selection:
                    out.append(event)
                self.exchange.take(event)
        finally:
            self._out = None
        self._forward(out)
        self._changed.set()
        self._changed = anyio.Event()

    def _emit(self, events: Sequence[AccountEvent]) -> None:
        wanted: list[Event] = [event for event in events if event in self._selection]
        if self._out is not None:
            self._out += wanted
        else:
            self._forward(wanted)

    def _forward(self, events: Sequence[Event]) -> None:
        if events:
            for sink in self._sinks:
                sink.deliver(events)

    def _on_halt(self, halt: Halt) -> None:
        """What is open on paper can be canceled at once."""
        self.cancel_open()
        self.guards.record("canceled", "nothing is open any more on paper")

    # Time on the way

    def _market_time(self) -> int:
        return self.exchange.now if self._ticks is None else max(self.exchange.now, self._ticks.wall())

    def _arrive_until(self, ts: int) -> None:
        while self._arrivals and self._arrivals[0].due <= ts:
            arrival = heapq.heappop(self._arrivals)
            self.exchange.advance(arrival.due)
            arrival.happen()

    def _send(self, act: Callable[[], object]) -> _Arrival:
        """Send something on its way; without latency it arrives at once."""
        arrival = _Arrival(self.clock.wall() + round(self.settings.latency * NANOS), next(self._numbers), act)
        if not self.settings.latency or self._ended:
            self.exchange.advance(arrival.due)
            arrival.happen()
            return arrival
        heapq.heappush(self._arrivals, arrival)
        if self._ticks is not None and self._tasks is not None:
            self._tasks.start_soon(self._timer, arrival.due)
        return arrival

    async def _timer(self, due: int) -> None:
        await anyio.sleep(self.settings.latency)
        # The wall clock may lag behind what was slept.
        self._arrive_until(max(due, self.clock.wall()))

    async def _travel(self, act: Callable[[], T]) -> T:
        if self._tasks is None:
            raise ConfigError("enter the adapter first: async with PaperAdapter(…) as adapter")
        arrival = self._send(act)
        await arrival.done.wait()
        if arrival.failure is not None:
            raise arrival.failure
        return cast(T, arrival.result)

    async def _finish(self, finished: anyio.Event) -> None:
        """The tape ends: what is on its way arrives, and readers are let go."""
        await finished.wait()
        self._ended = True
        while self._arrivals:
            self._arrive_until(self._arrivals[0].due)
        self._streams.close()

    # What verbs need

    def _send_order(self, order: NewOrder, instrument: Instrument) -> Order:
        def act() -> Order:
            try:
                return self._arrived(order, instrument)
            except UnitapeError as error:
                return self.exchange.reject(order, instrument, str(error))

        arrival = self._send(act)
        return arrival.result if isinstance(arrival.result, Order) else self._pending(order, instrument)

    async def _ensure(self, symbol: str) -> Instrument:
        """Return an instrument, with what its orders need subscribed to and its book there.

        Raises:
            ConfigError: it is not listed, or its market has no book.
            MarketClosed: its book did not come.
        """
        if symbol not in self._ready:
            await self._subscribe_needs(symbol)
            self._ready.add(symbol)
        known = self.inner.book(symbol)
        if not self.exchange.knows(symbol) and known is not None and not known.stale:
            self.exchange.take(known.snapshot())
        with anyio.move_on_after(self.settings.join_within):
            while not self.exchange.knows(symbol):
                await self._changed.wait()
        if not self.exchange.knows(symbol):
            raise MarketClosed(f"no book of {symbol} within {self.settings.join_within:g} s", venue=self.venue)
        return self.instrument(symbol)

    async def _subscribe_needs(self, symbol: str) -> None:
        result = await self.inner.subscribe([one for one in _needs(symbol) if one not in self._confirmed])
        for rejection in result.rejected:
            if rejection.subscription.channel == "book":
                raise ConfigError(f"paper orders in {symbol} need its book: {rejection.text}")
            _log.warning(
                "%s %s: without trades resting orders fill only when the book comes to them", self.venue, symbol
            )
        if ":" not in symbol:
            return
        for channel in WANTED:
            try:
                await self.inner.subscribe([Subscription(channel, symbol)])
            except ConfigError:
                _log.info("%s %s: no %s, so paper positions go without", self.venue, symbol, channel)

    def instrument(self, symbol: str) -> Instrument:
        """Return an instrument.

        Raises:
            ConfigError: nobody lists it.
        """
        found = self._given.get(symbol)
        if found is None and isinstance(self.inner, _Lists):
            found = self.inner.instrument(symbol)
        if found is None:
            raise ConfigError(f"{symbol} is not listed; give the paper adapter its instruments")
        if symbol not in self._given:
            self._given = Instruments([*self._given, found])
        self.exchange.account(found)
        return found

    def _market(self, symbol: str) -> Market | None:
        declaration: Any = getattr(self.inner, "declaration", None)
        return declaration.market_of(symbol) if isinstance(declaration, Venue) else None


def _needs(symbol: str) -> list[Subscription]:
    return [Subscription(channel, symbol) for channel in NEEDED]
