"""What a consumer reads from: events one by one, or everything that has arrived as one list."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from types import TracebackType
from typing import Final, Self

import anyio
from anyio.lowlevel import checkpoint

from unitape.buffer import Buffer
from unitape.clock import loop_time
from unitape.router.filters import Accept
from unitape.router.watermark import Merge
from unitape_schemas import Event

__all__ = ["YIELD_EVERY", "Batches", "BufferSink", "Stream"]

YIELD_EVERY: Final = 256
"""Events after which a consumer that never runs dry lets others run."""

QUICK: Final = 0.002
"""Seconds for so many events within which a consumer counts as one that reads as fast as it can."""


class BufferSink:
    """Delivers to a buffer what its consumer wants. A filter that raises ends that consumer, and no other."""

    __slots__ = ("_accept", "_buffer")

    def __init__(self, buffer: Buffer, accept: Accept) -> None:
        self._buffer = buffer
        self._accept = accept

    def deliver(self, events: Sequence[Event]) -> None:
        """Take these events."""
        try:
            wanted = self._accept(events)
        except Exception as error:  # noqa: BLE001 - the consumer's own function; it is raised at the consumer
            self._buffer.fail(error)
        else:
            self._buffer.deliver(wanted)


class _Consumer:
    """A registered consumer: it collects from the moment it is made until ``aclose`` or the end of the router.

    One that nobody holds any more is closed, too.
    """

    def __init__(self, buffer: Buffer, detach: Callable[[], None], merge: Merge | None = None) -> None:
        self._buffer = buffer
        self._detach = detach
        self._merge = merge
        self._unyielded = 0

    @property
    def name(self) -> str:
        """The name that statuses and errors use."""
        return self._buffer.name

    @property
    def lost(self) -> int:
        """Events that were dropped because this consumer did not keep up."""
        return self._buffer.lost

    @property
    def conflated(self) -> int:
        """Events that were replaced by newer ones because this consumer did not keep up."""
        return self._buffer.conflated

    @property
    def late(self) -> int:
        """Events that came too late to be put in order; 0 unless the order is ``watermark``."""
        return 0 if self._merge is None else self._merge.late

    def __len__(self) -> int:
        """How many events wait to be read."""
        return len(self._buffer) + (0 if self._merge is None else len(self._merge))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    async def aclose(self) -> None:
        """Detach from the venues. What is buffered can still be read, then the iteration ends."""
        self.close()

    def close(self) -> None:
        """Do what ``aclose`` does."""
        self._detach()
        if self._merge is not None:
            self._merge.release(self._merge.newest)
        self._buffer.close()

    async def _next_batch(self) -> list[Event]:
        """Return all that waits, once there is something; empty at the end."""
        buffer, merge = self._buffer, self._merge
        while not (events := buffer.take()) and not buffer.closed:
            if merge is None or not len(merge):
                await buffer.wait()
                self._unyielded = 0
                continue
            until = merge.newest
            await _wait_within(buffer, merge.lateness / 1e9)
            if not len(buffer):
                merge.release(until)
        return events


async def _wait_within(buffer: Buffer, seconds: float) -> None:
    # A frame of its own: event loops keep a task's last cancellation with its frames, and so would keep the consumer.
    with anyio.move_on_after(seconds):
        await buffer.wait()


class Stream(_Consumer):
    """Events one by one, for one task: ``async for event in router.stream()``.

    A buffered event costs no wait; every 256 events the loop gets its turn. Leaving the loop does not detach a
    stream that you hold: it goes on collecting and can be read on. ``aclose()``, or
    ``async with router.stream() as events``, detaches.
    """

    def __init__(self, buffer: Buffer, detach: Callable[[], None], merge: Merge | None = None) -> None:
        super().__init__(buffer, detach, merge)
        self._batch: Iterator[Event] = iter(())
        self._chunk: Iterator[Event] = iter(())
        self._resumed = 0.0

    def __aiter__(self) -> Self:
        return self

    # An async generator would save 35 ns per event, and leave something to be finalized whenever a loop is left.
    async def __anext__(self) -> Event:
        for event in self._chunk:
            return event
        return await self._advance()

    async def _yield(self) -> None:
        """Let others run, but not the venues' sockets while they outrun a consumer that reads as fast as it can."""
        buffer = self._buffer
        if buffer.outrun and loop_time() - self._resumed < QUICK:
            buffer.breathe(True)
            try:
                await checkpoint()
            finally:
                buffer.breathe(False)
        else:
            await checkpoint()
        self._resumed = loop_time()

    async def _advance(self) -> Event:
        while True:
            if self._unyielded >= YIELD_EVERY:
                self._unyielded = 0
                await self._yield()
            chunk = list(islice(self._batch, YIELD_EVERY - self._unyielded))
            if chunk:
                self._unyielded += len(chunk)
                self._chunk = iter(chunk)
                return next(self._chunk)
            batch = await self._next_batch()
            if not batch:
                raise StopAsyncIteration
            if len(batch) <= YIELD_EVERY - self._unyielded:
                self._unyielded += len(batch)
                self._chunk = iter(batch)
                return next(self._chunk)
            self._batch = iter(batch)


class Batches(_Consumer):
    """Everything that has arrived since the last turn, as one list: ``async for events in router.batches()``.

    Each turn lets the loop run once, so that what comes in meanwhile is part of the list. Never an empty list.
    """

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> list[Event]:
        await checkpoint()
        batch = await self._next_batch()
        if not batch:
            raise StopAsyncIteration
        return batch
