"""Asking venues to stop reading for a consumer that does not keep up, and never for too long."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from typing import Final, Protocol, runtime_checkable

import anyio

from unitape.adapter import Adapter
from unitape.clock import loop_time

__all__ = ["DEFAULT_HOLD", "Brake", "Brakes", "HasHoldLimit"]

DEFAULT_HOLD: Final = 5.0
"""Seconds that reading may pause where an adapter names no limit: half of the shortest deadline known, 10 s."""

_log = logging.getLogger("unitape.router")


@runtime_checkable
class HasHoldLimit(Protocol):
    """An adapter that knows its heartbeat deadlines."""

    @property
    def hold_limit(self) -> float:
        """Seconds that reading may pause at most: half the shortest deadline of a heartbeat in use."""
        ...


class Brake:
    """Pauses one adapter while any consumer asks for it.

    After a pause that reached its limit the adapter reads for as long again before it can be paused once more, so that
    several slow consumers in turn cannot pause it without end.
    """

    def __init__(self, adapter: Adapter) -> None:
        self._adapter = adapter
        self._askers: set[object] = set()
        self._release_at = math.inf
        self._free_until = -math.inf

    @property
    def limit(self) -> float:
        """Seconds that one pause may last."""
        return self._adapter.hold_limit if isinstance(self._adapter, HasHoldLimit) else DEFAULT_HOLD

    @property
    def release_at(self) -> float:
        """Loop time when the pause must end; infinity when there is none."""
        return self._release_at

    def press(self, asker: object, now: float, limit: float) -> None:
        """Pause for this asker."""
        if now < self._free_until:
            return
        self._askers.add(asker)
        if self._release_at == math.inf:
            self._release_at = now + limit
            self._hold(True)

    def release(self, asker: object) -> None:
        """Go on, as far as this asker is concerned."""
        self._askers.discard(asker)
        if not self._askers and self._release_at != math.inf:
            self._release_at = math.inf
            self._hold(False)

    def expire(self, now: float) -> None:
        """Go on whoever asks, if the pause has reached its limit."""
        if now >= self._release_at:
            self._askers.clear()
            self._release_at = math.inf
            self._free_until = now + self.limit
            self._hold(False)

    def _hold(self, held: bool) -> None:
        try:
            self._adapter.hold(held)
        except Exception:  # noqa: BLE001 - called from a delivery, which must not fail
            _log.exception("%s cannot be held", self._adapter.venue)


class Brakes:
    """All brakes of a router, and the one task that ends pauses at their limit."""

    def __init__(self) -> None:
        self._brakes: list[Brake] = []
        self._changed: anyio.Event | None = None

    def add(self, adapter: Adapter) -> Brake:
        """Return a new brake for an adapter."""
        brake = Brake(adapter)
        self._brakes.append(brake)
        return brake

    def press(self, brakes: Sequence[Brake], asker: object, pressed: bool) -> None:
        """Pause these adapters for an asker, or no longer."""
        if not pressed:
            for brake in brakes:
                brake.release(asker)
            return
        now = loop_time()
        limit = min((brake.limit for brake in brakes), default=DEFAULT_HOLD)
        for brake in brakes:
            brake.press(asker, now, limit)
        if self._changed is not None:
            self._changed.set()

    async def run(self) -> None:
        """End pauses at their limit, until cancelled."""
        while True:
            self._changed = anyio.Event()
            due = min((brake.release_at for brake in self._brakes), default=math.inf)
            with anyio.move_on_after(due - anyio.current_time()):
                await self._changed.wait()
            for brake in self._brakes:
                brake.expire(anyio.current_time())
