"""Plain functions called for each event, from the delivery itself."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any

from unitape.router.filters import Accept
from unitape_schemas import Event

__all__ = ["Subscriber"]

_log = logging.getLogger("unitape.router")


class Subscriber:
    """A callback that is called for every event its filter takes, at once and in order, until ``cancel``.

    It runs inside the delivery: it must be quick and cannot await. What it raises is logged (the first time, then at
    every power of two) and counted in ``errors``; it disturbs nobody else and the callback stays registered.
    """

    def __init__(self, callback: Callable[[Any], object], accept: Accept | None) -> None:
        self._callback = callback
        self._accept = accept
        self._cancelled: Callable[[], None] | None = None
        self.errors = 0
        """How often the callback or its filter raised."""

    def deliver(self, events: Sequence[Event]) -> None:
        """Call the callback for these events."""
        try:
            wanted = events if self._accept is None else self._accept(events)
        except Exception:  # noqa: BLE001 - the user's own function must not stop a delivery
            self._failed()
            return
        for event in wanted:
            try:
                self._callback(event)
            except Exception:  # noqa: BLE001 - as above
                self._failed()

    def cancel(self) -> None:
        """Call it no more."""
        if self._cancelled is not None:
            self._cancelled()
            self._cancelled = None

    def registered(self, cancelled: Callable[[], None]) -> None:
        """Tell how to remove it."""
        self._cancelled = cancelled

    def _failed(self) -> None:
        self.errors += 1
        if self.errors & (self.errors - 1) == 0:
            _log.exception("a callback raised, %d times so far: %r", self.errors, self._callback)
