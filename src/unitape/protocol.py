"""The adapter protocol: what users and the router see of a venue, and what a recording is told."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from types import TracebackType
from typing import Protocol, Self, runtime_checkable

from msgspec import Struct

from unitape.books import OrderBook
from unitape.feed.inputs import Command, Input
from unitape.feed.options import FeedOptions
from unitape.spi import Endpoint
from unitape.trade.numbers import Number
from unitape_schemas import Event, Instrument, Order, OrderKind, Side, Subscription

__all__ = [
    "Adapter",
    "ConnectionPlan",
    "FeedInfo",
    "FeedTap",
    "Rejection",
    "Sink",
    "SubscribeResult",
    "TradingAdapter",
]


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
