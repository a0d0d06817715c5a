"""One adapter of a router: run on its own, so that its failure stays its own."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import cast

import anyio
from anyio.lowlevel import checkpoint

from unitape.adapter import Adapter, Rejection, Sink, SubscribeResult
from unitape.clock import Clock
from unitape.errors import ConfigError, UnitapeError
from unitape.router.holds import Brake
from unitape.router.watermark import Port
from unitape_schemas import BookSnapshot, Event, Status, Subscription

__all__ = ["Member", "words"]

_log = logging.getLogger("unitape.router")


class Member:
    """An adapter, the sinks that it feeds, and whether it lives. A ``Sink`` itself."""

    def __init__(self, index: int, adapter: Adapter, brake: Brake, clock: Clock) -> None:
        self.index = index
        self.adapter = adapter
        self.venue = adapter.venue
        self.brake = brake
        self.halted: Status | None = None
        self.running = False
        self.settled = anyio.Event()
        """Set once the adapter runs or has failed."""
        self.ended = anyio.Event()
        """Set once the adapter is closed."""
        self._clock = clock
        self._stop = anyio.Event()
        self._scope = anyio.CancelScope()
        self._calls: set[anyio.CancelScope] = set()
        # Replaced, never changed: a callback may attach or detach while events are being delivered.
        self._sinks: tuple[Sink, ...] = ()

    def deliver(self, events: Sequence[Event]) -> None:
        """Hand events of the adapter to every sink."""
        for sink in self._sinks:
            sink.deliver(events)

    def attach(self, sink: Sink) -> None:
        """Deliver further events to this sink, too."""
        self._sinks = (*self._sinks, sink)

    def detach(self, sink: Sink) -> None:
        """Stop delivering to this sink."""
        self._sinks = tuple(known for known in self._sinks if known is not sink)

    async def run(self) -> None:
        """Run the adapter until ``stop``, or until it fails. Raises nothing but cancellation."""
        try:
            with self._scope:
                self.adapter.attach(self)
                async with self.adapter:
                    self.running = True
                    self.settled.set()
                    await self._stop.wait()
        except Exception as error:  # noqa: BLE001 - whatever it is, it concerns this venue alone
            if not isinstance(error, UnitapeError):
                _log.exception("%s failed", self.venue)
            self._halt(words(error))
        finally:
            self.running = False
            self.adapter.detach(self)
            self.settled.set()
            self._end_calls()
            self.ended.set()

    def stop(self) -> None:
        """Let the adapter close."""
        self._stop.set()

    def abandon(self, text: str) -> None:
        """Give up an adapter that does not start."""
        self._halt(text)
        self._scope.cancel()

    def snapshot(self, symbol: str) -> BookSnapshot | None:
        """Return the live book of a symbol, or None while there is none that holds."""
        book = self.adapter.book(symbol) if self.running else None
        return None if book is None or book.stale else book.snapshot()

    def state(self) -> list[Event]:
        """Return what a late consumer needs first."""
        if self.halted is not None:
            return [self.halted]
        return self.adapter.state() if self.running else []

    async def subscribe(self, wanted: Sequence[Subscription]) -> tuple[SubscribeResult, bool]:
        """Subscribe, and turn whatever happens into a result; the flag tells whether the venue was asked."""
        await self.settled.wait()
        if not self.running:
            return self._rejected(wanted, self.halted.text if self.halted else "it is not running"), True
        with anyio.CancelScope() as scope:
            self._calls.add(scope)
            try:
                return await self._ask(wanted)
            finally:
                self._calls.discard(scope)
        return self._rejected(wanted, self.halted.text if self.halted else "it was stopped"), True

    async def unsubscribe(self, unwanted: Sequence[Subscription]) -> None:
        """Stop these, if the adapter runs."""
        if self.running:
            await self.adapter.unsubscribe(unwanted)

    async def _ask(self, wanted: Sequence[Subscription]) -> tuple[SubscribeResult, bool]:
        try:
            return await self.adapter.subscribe(wanted), True
        except ConfigError as error:
            if len(wanted) == 1:
                return self._refuse(wanted[0], str(error)), False
        except Exception as error:  # noqa: BLE001 - the other venues' answers must not be lost with it
            if not isinstance(error, UnitapeError):
                _log.exception("%s cannot subscribe", self.venue)
            return self._rejected(wanted, words(error)), True
        # One name the venue does not have must not keep the others away. Nothing was sent, so halves may be asked.
        await checkpoint()
        half = len(wanted) // 2
        answers: dict[int, tuple[SubscribeResult, bool]] = {}

        async def ask(place: int, part: Sequence[Subscription]) -> None:
            answers[place] = await self._ask(part)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(ask, 0, wanted[:half])
            tasks.start_soon(ask, 1, wanted[half:])
        (left, asked_left), (right, asked_right) = answers[0], answers[1]
        joined = SubscribeResult(self.venue, left.confirmed + right.confirmed, left.rejected + right.rejected)
        return joined, asked_left or asked_right

    def _refuse(self, subscription: Subscription, text: str) -> SubscribeResult:
        now, key = self._clock.wall(), subscription.key
        self.deliver([Status(self.venue, subscription.symbol, 0, 0, now, "rejected", key, None, text)])
        return self._rejected((subscription,), text)

    def _rejected(self, wanted: Sequence[Subscription], text: str) -> SubscribeResult:
        return SubscribeResult(self.venue, (), tuple(Rejection(subscription, text) for subscription in wanted))

    def _halt(self, text: str) -> None:
        if self.halted is None:
            self.halted = Status(self.venue, "", 0, 0, self._clock.wall(), "halted", None, None, text)
            self.deliver([self.halted])
            for sink in self._sinks:
                if isinstance(sink, Port):
                    sink.retire()
        self._end_calls()

    def _end_calls(self) -> None:
        """Let nobody wait for an answer that no longer comes."""
        for scope in self._calls:
            scope.cancel()


def words(error: BaseException) -> str:
    """Return what happened in one line; of a group, each of its errors."""
    if isinstance(error, BaseExceptionGroup):
        inner = cast("tuple[BaseException, ...]", error.exceptions)  # pyright: ignore[reportUnknownMemberType]
        return "; ".join(dict.fromkeys(words(one) for one in inner))
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
