"""Adapters that follow a script, and the events they deliver."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Self

import anyio
import anyio.abc
import anyio.lowlevel

from unitape.adapter import ConnectionPlan, Rejection, Sink, SubscribeResult
from unitape.books import OrderBook
from unitape.errors import ConfigError
from unitape_schemas import BookDelta, BookSnapshot, Candle, Event, Quote, Status, Subscription, Trade

SYMBOL = "BTC/USDT"


def trade(number: int, venue: str = "alpha", symbol: str = SYMBOL, ts: int | None = None) -> Trade:
    return Trade(venue, symbol, 0, 0, number if ts is None else ts, str(number), 100.0 + number, 1.0, "buy")


def quote(number: int, venue: str = "alpha", symbol: str = SYMBOL, ts: int | None = None) -> Quote:
    return Quote(venue, symbol, 0, 0, number if ts is None else ts, 99.0, 1.0, 101.0, 1.0, number)


def candle(number: int, *, closed: bool, venue: str = "alpha", symbol: str = SYMBOL) -> Candle:
    return Candle(venue, symbol, 0, 0, number, "1m", 0, 60, 1.0, 2.0, 0.5, 1.5, float(number), None, None, closed)


def status(number: int, code: str = "connected", venue: str = "alpha", symbol: str = "") -> Status:
    return Status(venue, symbol, 0, 0, number, code, None, None, str(number))  # type: ignore[arg-type]


def snapshot(seq: int, epoch: int = 1, venue: str = "alpha", symbol: str = SYMBOL) -> BookSnapshot:
    return BookSnapshot(venue, symbol, 0, 0, seq, ((99.0, 1.0),), ((101.0, 1.0),), None, seq, None, epoch)


def delta(seq: int, epoch: int = 1, size: float = 2.0, venue: str = "alpha", symbol: str = SYMBOL) -> BookDelta:
    return BookDelta(venue, symbol, 0, 0, seq, ((99.0, size),), (), seq, seq, seq - 1, epoch)


class FakeAdapter:
    """A venue whose subscribe confirms at once, unless told otherwise.

    ``unknown`` symbols raise ConfigError, ``refused`` ones are rejected, ``broken`` says when it fails.
    """

    def __init__(
        self,
        venue: str = "alpha",
        *,
        symbols: Sequence[str] = (SYMBOL,),
        unknown: Sequence[str] = (),
        refused: Sequence[str] = (),
        broken: str = "",
    ) -> None:
        self._venue = venue
        self._symbols = (*symbols, *unknown, *refused)
        self._unknown = unknown
        self._refused = refused
        self._broken = broken
        self._sinks: list[Sink] = []
        self.crash: anyio.Event | None = None
        self.books: dict[str, OrderBook] = {}
        self.first: list[Event] = []
        self.calls: list[tuple[Subscription, ...]] = []
        self.unsubscribed: list[Subscription] = []
        self.held: list[bool] = []
        self.entered = 0
        self.exited = 0
        self.hang_in_subscribe = False

    @property
    def venue(self) -> str:
        return self._venue

    async def __aenter__(self) -> Self:
        self.entered += 1
        if self._broken == "enter":
            raise OSError("no route to host")
        if self._broken == "hang":
            await anyio.sleep_forever()
        self.crash = anyio.Event()
        self._tasks = anyio.create_task_group()
        await self._tasks.__aenter__()
        self._tasks.start_soon(self._live)
        self.start(self._tasks)
        return self

    async def __aexit__(self, kind: object, value: object, traceback: object) -> bool | None:
        self.exited += 1
        self._tasks.cancel_scope.cancel()
        return await self._tasks.__aexit__(kind, value, traceback)  # type: ignore[arg-type]

    def start(self, tasks: anyio.abc.TaskGroup) -> None:
        """Start what a subclass needs."""

    async def _live(self) -> None:
        assert self.crash is not None
        await self.crash.wait()
        raise RuntimeError("the adapter broke")

    def owns(self, subscription: Subscription) -> bool:
        return subscription.symbol in self._symbols

    async def subscribe(self, subscriptions: Sequence[Subscription]) -> SubscribeResult:
        self.calls.append(tuple(subscriptions))
        if self.hang_in_subscribe:
            await anyio.sleep_forever()
        await anyio.lowlevel.checkpoint()
        for subscription in subscriptions:
            if subscription.symbol in self._unknown:
                raise ConfigError(f"{subscription.symbol} is not listed")
        refused = tuple(s for s in subscriptions if s.symbol in self._refused)
        confirmed = tuple(s for s in subscriptions if s not in refused)
        return SubscribeResult(self._venue, confirmed, tuple(Rejection(s, "not today", "-7") for s in refused))

    async def unsubscribe(self, subscriptions: Sequence[Subscription]) -> None:
        await anyio.lowlevel.checkpoint()
        self.unsubscribed.extend(subscriptions)

    def plan(self, subscriptions: Sequence[Subscription]) -> list[ConnectionPlan]:
        return [ConnectionPlan(self._venue, "spot", "public", tuple(subscriptions), 100, len(subscriptions))]

    def attach(self, sink: Sink) -> None:
        self._sinks.append(sink)

    def detach(self, sink: Sink) -> None:
        self._sinks.remove(sink)

    def state(self) -> list[Event]:
        return [*self.first, *(book.snapshot() for book in self.books.values() if not book.stale)]

    def book(self, symbol: str) -> OrderBook | None:
        return self.books.get(symbol)

    def hold(self, held: bool) -> None:
        self.held.append(held)

    def stream(self) -> AsyncIterator[Event]:
        raise AssertionError("the router reads by attaching")

    def deliver(self, *events: Event) -> None:
        """Deliver a batch as if it had just been read, the books first."""
        for event in events:
            if isinstance(event, BookSnapshot):
                self.books.setdefault(event.symbol, OrderBook(self._venue, event.symbol)).load(event)
            elif isinstance(event, BookDelta):
                self.books[event.symbol].apply(event)
        for sink in list(self._sinks):
            sink.deliver(list(events))
