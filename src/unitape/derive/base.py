"""How derived streams are run: pure cores that take records one by one, and an iterator that feeds them."""

from __future__ import annotations

from collections.abc import AsyncIterable, Iterable, Iterator, Sequence
from itertools import chain
from typing import Final, Generic, Protocol, Self, TypeVar

import anyio

from unitape.clock import Clock, SystemClock
from unitape.derive.records import Heartbeat
from unitape.errors import ConfigError
from unitape_schemas import EventHead

__all__ = [
    "MOST_BACK",
    "MOST_PASSED",
    "Chained",
    "Derived",
    "Deriver",
    "Through",
    "derived",
    "derived_from",
    "heartbeats",
    "nanoseconds",
]

MOST_BACK: Final = 1_000
"""Spans that an arrival may lie behind the newest one; beyond, the clock was set back, and counting begins anew."""
MOST_PASSED: Final = 10_000
"""Spans without any arrival that are reported one by one; beyond, the clock was set forward, or the machine slept."""

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class Deriver(Protocol[T_co]):
    """A pure core: it reads no clock and waits for nothing, so the same records give the same results, live or not.

    Give it whole streams, statuses included: they are how it learns that something is missing. One for one stream.
    """

    def take(self, record: EventHead, /) -> Iterable[T_co]:
        """Take one record and return what it brings out. The answer must be read to its end before the next call."""
        ...

    def finish(self) -> Iterable[T_co]:
        """Return what is left when the stream has ended."""
        ...


class Through:
    """Passes records on as they are: every one, or those of these classes. To keep a stream beside what it gives."""

    def __init__(self, *types: type[EventHead]) -> None:
        self._types = types or (EventHead,)

    def take(self, record: EventHead, /) -> Iterable[EventHead]:
        """Return the record, unless it is a heartbeat or of another class."""
        return (record,) if isinstance(record, self._types) and not isinstance(record, Heartbeat) else ()

    def finish(self) -> Iterable[EventHead]:
        """Return nothing."""
        return ()


class Chained:
    """What one core yields, and what a second core makes of that: averages over bars, for example.

    The second core is given what the first one yields, and nothing else of the stream.
    """

    def __init__(self, first: Deriver[EventHead], then: Deriver[EventHead]) -> None:
        self._first = first
        self._then = then

    def take(self, record: EventHead, /) -> Iterator[EventHead]:
        """Take one record."""
        yield from self._pass(self._first.take(record))

    def finish(self) -> Iterator[EventHead]:
        """Finish both."""
        yield from self._pass(self._first.finish())
        yield from self._then.finish()

    def _pass(self, records: Iterable[EventHead]) -> Iterator[EventHead]:
        for record in records:
            yield record
            yield from self._then.take(record)


class Derived(Generic[T]):
    """What cores bring out of a stream: ``async for bar in derived(router.stream(), TimeBars(60))``.

    Leaving a loop over it leaves nothing behind. A read that is cancelled has lost nothing.
    """

    def __init__(self, records: AsyncIterable[EventHead], derivers: Sequence[Deriver[T]]) -> None:
        if not derivers:
            raise ConfigError("nothing to derive: name at least one core")
        self._source = records
        self._records = aiter(records)
        self._derivers = derivers
        self._ready: Iterator[T] = iter(())
        self._ended = False

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> T:
        while True:
            for item in self._ready:
                return item
            if self._ended:
                raise StopAsyncIteration
            try:
                record = await anext(self._records)
            except StopAsyncIteration:
                self._ended = True
                self._ready = chain.from_iterable(deriver.finish() for deriver in self._derivers)
            else:
                self._ready = chain.from_iterable([deriver.take(record) for deriver in self._derivers])

    async def aclose(self) -> None:
        """Close the stream; what it still holds can be read, then this ends."""
        await close(self._source)


def derived(records: AsyncIterable[EventHead], *derivers: Deriver[T]) -> Derived[T]:
    """Return what these cores bring out of a stream, each record's results in the order of the cores."""
    return Derived(records, derivers)


def derived_from(records: Iterable[EventHead], *derivers: Deriver[T]) -> Iterator[T]:
    """Return what these cores bring out of records that are there already: of a sink, of a tape."""
    for record in records:
        for deriver in derivers:
            yield from deriver.take(record)
    for deriver in derivers:
        yield from deriver.finish()


class heartbeats:  # noqa: N801 - reads as a function, and is one that needs no clean-up when a loop is left
    """The records of ``router.batches()`` one by one, and a ``Heartbeat`` whenever none came for ``every`` seconds.

    Derived streams know the time from what arrives. In a market where little does, this closes a bar in time.
    """

    def __init__(
        self, batches: AsyncIterable[Sequence[EventHead]], every: float = 1.0, *, clock: Clock | None = None
    ) -> None:
        self._source = batches
        self._batches = aiter(batches)
        self._every = every
        self._clock = clock or SystemClock()
        self._ready: Iterator[EventHead] = iter(())

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> EventHead:
        while True:
            for record in self._ready:
                return record
            batch: Sequence[EventHead] | None = None
            with anyio.move_on_after(self._every):
                batch = await anext(self._batches)
            if batch is None:
                return Heartbeat("", "", 0, 0, self._clock.wall())
            self._ready = iter(batch)

    async def aclose(self) -> None:
        """Close the stream; what it still holds can be read, then this ends."""
        await close(self._source)


async def close(source: object) -> None:
    """Close what can be closed."""
    aclose = getattr(source, "aclose", None)
    if aclose is not None:
        await aclose()


def nanoseconds(seconds: float, what: str) -> int:
    """Return a span in nanoseconds.

    Raises:
        ConfigError: it is not positive.
    """
    span = round(seconds * 1_000_000_000)
    if span < 1:
        raise ConfigError(f"{what} must be positive, not {seconds} s")
    return span
