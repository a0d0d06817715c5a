"""The events of one adapter, for one reader."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Final, Self

from anyio.lowlevel import checkpoint

from unitape.buffer import Buffer
from unitape.protocol import Sink
from unitape_schemas import Event

__all__ = ["EventStream", "EventStreams"]

YIELD_EVERY: Final = 256
"""Events after which a reader that never runs dry lets others run."""


class EventStream:
    """Events one by one, for one task: ``async for event in adapter.stream()``.

    It collects from the moment it is made, until ``aclose``, the end of an ``async with`` over it, the end of its
    adapter, or until nobody holds it any more: a loop over ``adapter.stream()`` that is left leaves nothing behind.
    Leaving a loop does not detach a stream that you hold: it goes on collecting and can be read on.
    """

    def __init__(self, buffer: Buffer, detach: Callable[[], None]) -> None:
        self._buffer = buffer
        self._batch: Iterator[Event] = iter(())
        self._unyielded = 0
        # What the finalizer calls must not hold this stream.
        self._detach = weakref.finalize(self, detach)
        self._detach.atexit = False

    @property
    def name(self) -> str:
        """The name that statuses and errors use."""
        return self._buffer.name

    @property
    def lost(self) -> int:
        """Events that were dropped because this reader did not keep up."""
        return self._buffer.lost

    def __len__(self) -> int:
        """How many events wait to be read."""
        return len(self._buffer)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Event:
        if self._unyielded >= YIELD_EVERY:
            self._unyielded = 0
            await checkpoint()
        for event in self._batch:
            self._unyielded += 1
            return event
        batch = await self._buffer.get_batch()
        if not batch:
            self.close()
            raise StopAsyncIteration
        self._batch = iter(batch)
        self._unyielded += 1
        return next(self._batch)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    async def aclose(self) -> None:
        """Detach from the adapter. What is buffered can still be read, then the iteration ends."""
        self.close()

    def close(self) -> None:
        """Do what ``aclose`` does."""
        self._detach()


class EventStreams:
    """The streams of one adapter. It holds their buffers, and no stream."""

    def __init__(self, attach: Callable[[Sink], None], detach: Callable[[Sink], None]) -> None:
        self._attach = attach
        self._detach = detach
        self._buffers: list[Buffer] = []

    def __len__(self) -> int:
        """How many are read, or could be."""
        return len(self._buffers)

    def open(self, buffer: Buffer) -> EventStream:
        """Return a stream of what is delivered from now on, through this buffer."""
        self._attach(buffer)
        self._buffers.append(buffer)

        def forgotten() -> None:
            self._detach(buffer)
            self._buffers.remove(buffer)
            buffer.close()

        return EventStream(buffer, forgotten)

    def close(self) -> None:
        """Deliver nothing more to any of them: they end once they are read."""
        for buffer in tuple(self._buffers):
            buffer.close()
