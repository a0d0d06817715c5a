"""Carries records from a stream into a sink, in batches, and goes on when the disk does not."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterable, Sequence
from typing import Final, Protocol, runtime_checkable

import anyio

from unitape.errors import SinkError
from unitape.sinks.base import MOST_AT_ONCE, EventSink
from unitape_schemas import EventHead

__all__ = ["RETRY_CAP", "store_all"]

_log = logging.getLogger("unitape.sinks")

RETRY_CAP: Final = 60.0
"""Longest pause in seconds between two attempts to write."""


@runtime_checkable
class _Closable(Protocol):
    async def aclose(self) -> None: ...


async def store_all(
    batches: AsyncIterable[Sequence[EventHead]],
    sink: EventSink,
    *,
    every: float = 1.0,
    retry: float = 1.0,
    in_thread: bool = True,
) -> int:
    """Store every batch until there are no more, and return the number of the last record.

    One ``store`` at most every ``every`` seconds, with all that has come meanwhile: ``router.batches()`` collects it,
    and its ``capacity`` is the bound. When the disk cannot be written, the batch in hand is tried again with growing
    pauses; the consumer's buffer fills, and what it drops is counted and told in the stream itself, so the loss ends
    up in the sink. The sink must have no other writer.

    When this is cancelled, or the router ends, what has already been collected is stored first; that is tried once.
    ``in_thread`` False stores on the event loop, as virtual time needs it.

    Raises:
        ConfigError: a record is of a class that the sink was not told of.
        SinkError: the last attempt after a cancellation failed.
    """
    hand = _Hand(sink, in_thread)
    try:
        async for batch in batches:
            hand.take(batch)
            await hand.store_until_done(retry)
            await anyio.sleep(every)
    except anyio.get_cancelled_exc_class():
        with anyio.CancelScope(shield=True):
            await hand.store()
            if isinstance(batches, _Closable):
                await batches.aclose()
                async for rest in batches:
                    hand.take(rest)
                    await hand.store()
        raise
    return sink.acknowledged


class _Hand:
    """One batch on its way to the sink. How far it came is read off the sink, whatever interrupted it."""

    def __init__(self, sink: EventSink, in_thread: bool) -> None:
        self._sink = sink
        self._in_thread = in_thread
        self._records: Sequence[EventHead] = ()
        self._base = 0

    def take(self, records: Sequence[EventHead]) -> None:
        self._records = records
        self._base = self._sink.acknowledged

    @property
    def done(self) -> int:
        return self._sink.acknowledged - self._base if self._records else 0

    async def store(self) -> None:
        while self.done < len(self._records):
            part = self._records[self.done : self.done + MOST_AT_ONCE]
            if self._in_thread:
                await anyio.to_thread.run_sync(self._sink.store, part)
            else:
                self._sink.store(part)

    async def store_until_done(self, pause: float) -> None:
        while True:
            try:
                return await self.store()
            except SinkError as error:
                _log.error("%s; %d records wait %g s", error, len(self._records) - self.done, pause)
            await anyio.sleep(pause)
            pause = min(RETRY_CAP, pause * 2)
