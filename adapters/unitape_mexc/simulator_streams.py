"""What the private streams of both simulated markets share: who listens to which account, and listen keys."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Final

from unitape.spi.simulated_accounts import AccountEvent, Accounts, SimUser

__all__ = ["ListenKeys", "Watch"]

_LIFE: Final = 60 * 60 * 1_000_000_000
_MOST: Final = 60
"""Listen keys that one user may hold."""


class Watch:
    """One connection that is told about an account."""

    __slots__ = ("cursor", "filters", "key", "locked", "user", "wanted")

    def __init__(self, user: SimUser, key: str = "") -> None:
        self.user = user
        self.key = key
        """The listen key in the connection's address."""
        self.cursor: int | None = None
        """Where it stands in the user's journal; None while it is told nothing."""
        self.wanted: set[str] = set()
        """Channels that are told."""
        self.filters: dict[str, frozenset[str]] = {}
        """By channel the instruments that are told; without an entry all of them."""
        self.locked: dict[str, int] = {}
        """What was locked of each currency when it was last told, in units of 1e-8."""

    def start(self, accounts: Accounts) -> None:
        """Begin to tell, from now on."""
        if self.cursor is None:
            self.cursor = accounts.cursor(self.user.name)
            self.locked = {row.currency: row.locked_e8 for row in accounts.balances(self.user.name)}

    def news(self, accounts: Accounts) -> Iterable[AccountEvent]:
        """Return what happened since the last time."""
        if self.cursor is None:
            return ()
        events = accounts.events(self.user.name, self.cursor)
        self.cursor += len(events)
        return events


class ListenKeys:
    """Listen keys and how long they live. ``now`` is monotonic nanoseconds: no clock jump ends a key."""

    def __init__(self, seed: int) -> None:
        self.now = 0
        self._seed = seed
        self._made = 0
        self._keys: dict[str, tuple[SimUser, int]] = {}

    def make(self, user: SimUser) -> str | None:
        """Return a new key; None when the user has as many as there may be."""
        if len(self.of(user)) >= _MOST:
            return None
        self._made += 1
        key = hashlib.sha256(f"{self._seed}/{user.name}/{self._made}".encode()).hexdigest()
        self._keys[key] = (user, self.now + _LIFE)
        return key

    def of(self, user: SimUser) -> list[str]:
        """Return a user's keys that are valid."""
        return [key for key in self._keys if self.owner(key) == user]

    def owner(self, key: str) -> SimUser | None:
        """Return whose key it is; None where it is none, or not any more."""
        found = self._keys.get(key)
        return None if found is None or found[1] <= self.now else found[0]

    def extend(self, user: SimUser, key: str) -> bool:
        """Let a key live for another 60 minutes; False when it is not one of the user's."""
        if self.owner(key) != user:
            return False
        self._keys[key] = (user, self.now + _LIFE)
        return True

    def end(self, key: str) -> None:
        """Forget a key."""
        self._keys.pop(key, None)
