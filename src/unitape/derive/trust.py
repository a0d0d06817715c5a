"""What a stream's statuses say about the completeness of what came: shared by everything that sums up."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, TypeAlias

from unitape_schemas import Channel, Status, StatusCode

__all__ = ["Key", "Trust"]

Key: TypeAlias = tuple[str, str]
"""Venue and symbol."""

_LOST: Final[frozenset[StatusCode]] = frozenset({"gap", "dropped", "conflated", "undecoded", "recovered"})
"""Something before this moment may be missing, or comes after its time."""
_DOWN: Final[frozenset[StatusCode]] = frozenset({"disconnected", "stale", "halted", "rejected", "unsubscribed"})
"""From this moment on something may be missing, until data comes again."""


class Trust:
    """Since when the data of each symbol came without a break.

    The rule: what began before the first data, or before the last sign that something may be missing, is not complete.
    A status that names no symbol concerns every symbol of its venue. Unrelated trouble may so make complete things
    look incomplete; the other way round only where a loss shows after its time.
    """

    def __init__(self, *channels: Channel) -> None:
        self._channels = frozenset(channels)
        self._since: dict[Key, int] = {}
        self._down: set[Key] = set()

    def note(self, status: Status) -> None:
        """Take a status of the stream."""
        if status.subscription is not None and _channel(status.subscription) not in self._channels:
            return
        code = status.code
        if code == "subscribed" and status.symbol:
            self._begin((status.venue, status.symbol), status.ts_recv)
        elif code in _LOST:
            for key in self._concerned(status):
                self._since[key] = max(self._since[key], status.ts_recv)
        elif code in _DOWN and not (code == "disconnected" and status.count == 0):
            # A disconnection of nothing is a planned one: what it carried has moved already.
            for key in self._concerned(status):
                self._since[key] = max(self._since[key], status.ts_recv)
                self._down.add(key)

    def seen(self, key: Key, ts_recv: int) -> None:
        """Take note that data came."""
        if key not in self._since or key in self._down:
            self._begin(key, ts_recv)

    def holds(self, key: Key, start: int) -> bool:
        """Tell whether everything since ``start`` came, as far as anybody knows."""
        since = self._since.get(key)
        return since is not None and since <= start and key not in self._down

    def restart(self, ts_recv: int) -> None:
        """The clock was set back to this: what came before is of times that nobody knows."""
        self._since = dict.fromkeys(self._since, ts_recv)

    def _begin(self, key: Key, ts_recv: int) -> None:
        self._since[key] = max(self._since.get(key, 0), ts_recv)
        self._down.discard(key)

    def _concerned(self, status: Status) -> Iterator[Key]:
        if status.symbol:
            key = (status.venue, status.symbol)
            return iter((key,) if key in self._since else ())
        return iter([key for key in self._since if key[0] == status.venue])


def _channel(subscription: str) -> str:
    """Return the channel of a subscription's key: ``top:20 BTC/USDT`` is ``top``."""
    return subscription.partition(" ")[0].partition(":")[0]
