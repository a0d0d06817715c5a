"""One consumer's buffer: takes events without ever waiting, and says what it could not keep.

The four policies when a consumer does not keep up (``capacity`` is a number of events):

``drop_oldest``
    The oldest events make room. One ``Status(dropped)`` per subscription stands where its first loss was, with the
    exact count.
``block``
    From half the capacity on the venues are asked to stop reading, once per read of the consumer and at most for half
    the shortest heartbeat deadline. What does not fit after that is dropped as above.
``conflate``
    The newest state wins: quotes, tickers, funding, open interest, mark prices, top books and unfinished candles are
    replaced, book deltas merge. One ``Status(conflated)`` per venue leads what is read, with the exact count. Trades,
    liquidations, finished candles and account events are never conflated; when they alone fill the buffer, the oldest
    are dropped as above.
``fail``
    What is buffered is still delivered, then the next read raises ``ConsumerOverflow``.

A ``Status`` is never dropped.

Under any policy a consumer that is only outrun, since it lets others run after every 256 events, is waited for: where
more than half of its room is taken, nothing is read from the venues during that turn of the loop. This is for those
who read fast; a consumer that takes longer than 2 ms for 256 events is slow, and its policy applies.

**Books stay true.** A consumer that lost one delta of a book is given no further delta of it. At its next read it
gets ``Status(dropped)``, and after all that was buffered ``Status(resynced)`` with a ``BookSnapshot`` of the live
book; later deltas continue that snapshot. The snapshot carries the epoch of the live book, because the book itself
was never interrupted: this, and a consumer that comes late, are the two cases in which an epoch shows more than one
snapshot. A snapshot always replaces the book. While the live book has no valid state, its deltas stay withheld and
counted until the venue's next snapshot.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, Literal, TypeAlias, get_args

import anyio

from unitape.errors import ConfigError, ConsumerOverflow
from unitape.losses import BookGates, Loss, Losses
from unitape.overflow import Spill
from unitape_schemas import BookSnapshot, Event, Status

__all__ = ["DEFAULT_CAPACITY", "DEFAULT_OVERFLOW", "Buffer", "Overflow"]

Overflow: TypeAlias = Literal["block", "conflate", "drop_oldest", "fail"]

DEFAULT_CAPACITY: Final = 65_536
"""Events that a consumer may be behind."""

DEFAULT_OVERFLOW: Final[Overflow] = "drop_oldest"


def _no_snapshot(venue: str, symbol: str) -> BookSnapshot | None:
    return None


def _no_pressure(pressed: bool) -> None:
    return None


class Buffer:
    """The events that one consumer has not read yet. A ``Sink``; everything but ``get_batch`` is synchronous.

    ``snapshot_of(venue, symbol)`` returns the live book, or None while it is not valid. ``pressure`` is called with
    True when a ``block`` buffer is half full, and with False when it has been read.
    """

    __slots__ = (
        "_capacity",
        "_closed",
        "_direct",
        "_error",
        "_event_class",
        "_events",
        "_gates",
        "_high_water",
        "_losses",
        "_overflow",
        "_pressed",
        "_pressure",
        "_refused",
        "_room",
        "_snapshot_of",
        "_spill",
        "_waiter",
        "conflated",
        "name",
    )

    def __init__(
        self,
        *,
        capacity: int = DEFAULT_CAPACITY,
        overflow: Overflow = DEFAULT_OVERFLOW,
        name: str = "consumer",
        snapshot_of: Callable[[str, str], BookSnapshot | None] = _no_snapshot,
        pressure: Callable[[bool], None] = _no_pressure,
    ) -> None:
        if capacity < 1:
            raise ConfigError(f"the capacity of {name!r} must be at least 1, not {capacity}")
        if overflow not in get_args(Overflow):
            raise ConfigError(f"no overflow policy {overflow!r}; choose from {', '.join(get_args(Overflow))}")
        self.name = name
        self.conflated = 0
        """Events replaced or merged since the beginning."""
        self._capacity = capacity
        self._room = capacity
        self._direct = True
        self._overflow: Overflow = overflow
        # Above the capacity a mark is never reached, so that only `block` buffers pay for looking.
        self._high_water = max(1, capacity // 2) if overflow == "block" else capacity + 1
        self._events: list[Event] = []
        self._losses = Losses()
        self._gates = BookGates(self._losses)
        self._spill: Spill | None = None
        self._waiter: anyio.Event | None = None
        self._event_class: type[anyio.Event] = anyio.Event
        self._snapshot_of = snapshot_of
        self._pressure = pressure
        self._pressed = False
        self._refused = 0
        self._error: Exception | None = None
        self._closed = False

    def __len__(self) -> int:
        """How many events wait to be read."""
        return len(self._events) if self._spill is None else len(self._spill)

    @property
    def lost(self) -> int:
        """Events that were dropped since the beginning."""
        return self._losses.total + self._refused

    @property
    def outrun(self) -> bool:
        """True when more than half of the room is taken and the venues were not asked to wait."""
        return len(self) > self._capacity // 2 and not self._pressed and not self._closed

    def breathe(self, held: bool) -> None:
        """Ask the venues to wait while a consumer that reads on lets others run, and to go on after that."""
        self._pressure(held)

    @property
    def closed(self) -> bool:
        """True when nothing more will be delivered."""
        return self._closed

    def deliver(self, events: Sequence[Event]) -> None:
        """Take events, in order. Never waits and never raises."""
        if self._closed or not events:
            return
        if self._gates:
            events = [event for event in events if self._gates.passes(event)]
            if not events:
                return
        held = self._events
        if self._direct and len(held) + len(events) <= self._room:
            held.extend(events)
            if len(held) >= self._high_water and not self._pressed:
                self._pressed = True
                self._pressure(True)
        else:
            self._deliver_beyond(events)
        if self._waiter is not None:
            self._waiter.set()
            self._waiter = None

    def give(self, events: Sequence[Event]) -> None:
        """Take what a consumer gets out of turn, beside the capacity: the state of the feed when it comes late."""
        for event in events:
            if isinstance(event, BookSnapshot):
                self._gates.given(event)
        self._events.extend(events)
        self._room += len(events)

    def fail(self, error: Exception) -> None:
        """Take nothing more; raise this at the consumer's next read."""
        self._error = error
        self.close()

    def close(self) -> None:
        """Take nothing more. What is buffered can still be read."""
        self._closed = True
        self._release()
        if self._waiter is not None:
            self._waiter.set()
            self._waiter = None

    async def wait(self) -> None:
        """Return when there is something to read, or the buffer is closed.

        Raises:
            ConfigError: another task waits already.
        """
        if len(self) or self._closed or self._refused:
            return
        if self._waiter is not None:
            raise ConfigError(f"two tasks read {self.name!r}; give each its own stream")
        self._waiter = waiter = self._event_class()
        # anyio looks up its backend for every new event, which costs half as much as the wake-up itself.
        self._event_class = type(waiter)
        try:
            await waiter.wait()
        finally:
            if self._waiter is waiter:
                self._waiter = None

    def take(self) -> list[Event]:
        """Return everything that waits, and keep nothing. Empty when nothing does.

        Raises:
            ConsumerOverflow: the policy is ``fail``, the consumer fell behind, and all that was buffered is read.
        """
        events = self._events
        self._events = []
        self._room = self._capacity
        self._direct = not self._refused
        if self._spill is not None or self._gates:
            events = self._settle(events)
        if self._pressed:
            self._release()
        if events:
            return events
        if self._error is not None:
            raise self._error
        if self._refused:
            self.close()
            raise ConsumerOverflow(self.name, self._capacity, self._refused)
        return events

    async def get_batch(self) -> list[Event]:
        """Wait for events and return all of them, oldest first. Empty only when the buffer is closed.

        Raises:
            ConsumerOverflow: as ``take`` does.
        """
        while not (events := self.take()) and not self._closed:
            await self.wait()
        return events

    def _deliver_beyond(self, events: Sequence[Event]) -> None:
        if self._overflow == "fail":
            # Once one event was refused, a later one must not slip in behind it.
            room = 0 if self._refused else self._room - len(self._events)
            self._events.extend(events[:room])
            self._refused += len(events) - room
            self._direct = False
            return
        if self._spill is None:
            self._direct = False
            self._spill = Spill(self._room, self._losses, self._gates, conflates=self._overflow == "conflate")
            waiting, self._events = self._events, []
            self._spill.put(waiting)
        self._spill.put(events)
        if self._overflow == "block" and not self._pressed:
            self._pressed = True
            self._pressure(True)

    def _settle(self, events: list[Event]) -> list[Event]:
        """Return the events with the losses told among them and broken books made whole."""
        spill, self._spill = self._spill, None
        told: list[Event] = []
        if spill is not None:
            kept = spill.take()
            for venue, (count, ts_recv) in spill.conflated.items():
                self.conflated += count
                text = f"consumer {self.name!r} fell behind: {count} events were replaced by newer ones"
                told.append(Status(venue, "", 0, 0, ts_recv, "conflated", None, count, text))
            events += [item.status(self.name) if isinstance(item, Loss) else item for item in kept]
        told += [loss.status(self.name) for loss in self._losses.take_unplaced()]
        for book in self._gates.shut_books():
            snapshot = self._snapshot_of(*book)
            if snapshot is None:
                continue
            self._gates.given(snapshot)
            text = f"the book follows whole, for consumer {self.name!r}"
            events.append(Status(*book, 0, 0, snapshot.ts_recv, "resynced", f"book {book[1]}", None, text))
            events.append(snapshot)
        return told + events if told else events

    def _release(self) -> None:
        if self._pressed:
            self._pressed = False
            self._pressure(False)
