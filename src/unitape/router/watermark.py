"""One order for events of several venues that does not depend on whose task ran first."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Final

from unitape.buffer import Buffer
from unitape.router.filters import Accept
from unitape_schemas import Event

__all__ = ["DEFAULT_LATENESS", "Merge", "Port"]

DEFAULT_LATENESS: Final = 0.05
"""Seconds that an event may arrive after one with a later ``ts_recv`` and still be put before it."""


class Merge:
    """Orders events by (``ts_recv``, adapter, place within the adapter) before one buffer.

    An event is released when every live adapter has delivered something at least as new, or something anywhere is
    newer by ``lateness``: this looks at the data alone, so that a replay gives the order of the live run. Only when
    the consumer waits and nothing arrives for ``lateness`` does the stream release what is left, still in order.

    An event that arrives later than ``lateness`` allows is not lost; it comes at once, out of order, and is counted
    in ``late``. So are events released early because more than ``capacity`` were held. Within one adapter the order
    never changes: where the wall clock was set back, the latest time seen so far counts.
    """

    def __init__(self, buffer: Buffer, adapters: int, lateness: int, capacity: int, accept: Accept | None) -> None:
        self._buffer = buffer
        self.lateness = lateness
        """Nanoseconds."""
        self._capacity = capacity
        self._accept = accept
        self._marks: dict[int, int] = dict.fromkeys(range(adapters), 0)
        self._counts = [0] * adapters
        # Each is in order already, so that only what is released has to be sorted.
        self._queues: list[deque[tuple[int, int, int, Event]]] = [deque() for _ in range(adapters)]
        self._held = 0
        self._newest = 0
        self._released = -1
        self.late = 0
        """Events that came too late to be put in order."""

    def __len__(self) -> int:
        return self._held

    @property
    def newest(self) -> int:
        """The latest ``ts_recv`` seen."""
        return self._newest

    def add(self, adapter: int, events: Sequence[Event]) -> None:
        """Take events of one adapter, and release what can no longer be preceded."""
        mark, count, queue = self._marks.get(adapter, self._newest), self._counts[adapter], self._queues[adapter]
        wanted = events if self._accept is None else self._accept(events)
        for event in wanted:
            mark = max(mark, event.ts_recv)
            self.late += mark <= self._released
            queue.append((mark, adapter, count, event))
            count += 1
        self._held += len(wanted)
        mark = max(mark, events[-1].ts_recv)
        self._counts[adapter] = count
        self._newest = max(self._newest, mark)
        if adapter in self._marks:
            self._marks[adapter] = mark
        self._advance()

    def retire(self, adapter: int) -> None:
        """Wait for this adapter no longer."""
        self._marks.pop(adapter, None)
        self._advance()

    def release(self, until: int) -> None:
        """Hand over everything held up to this ``ts_recv``, in order."""
        self._released = max(self._released, until)
        ready: list[tuple[int, int, int, Event]] = []
        for queue in self._queues:
            while queue and queue[0][0] <= until:
                ready.append(queue.popleft())
        if ready:
            ready.sort()
            self._held -= len(ready)
            self._buffer.deliver([event for _, _, _, event in ready])

    def _advance(self) -> None:
        # Strictly below the slowest mark: that adapter may still deliver more of the same nanosecond.
        slowest = min(self._marks.values(), default=self._newest + 1) - 1
        self.release(max(slowest, self._newest - self.lateness, self._released))
        if self._held > self._capacity:
            marks = sorted(item[0] for queue in self._queues for item in queue)
            self.release(marks[len(marks) // 2])


class Port:
    """The side of a merge that takes one adapter's events: a ``Sink``. A filter that raises ends that consumer."""

    __slots__ = ("_adapter", "_buffer", "_merge")

    def __init__(self, merge: Merge, adapter: int, buffer: Buffer) -> None:
        self._merge = merge
        self._adapter = adapter
        self._buffer = buffer

    def deliver(self, events: Sequence[Event]) -> None:
        """Take these events of the adapter."""
        if not events or self._buffer.closed:
            return
        try:
            self._merge.add(self._adapter, events)
        except Exception as error:  # noqa: BLE001 - the consumer's own function; it is raised at the consumer
            self._buffer.fail(error)

    def retire(self) -> None:
        """Wait for this adapter no longer: it is halted."""
        self._merge.retire(self._adapter)
