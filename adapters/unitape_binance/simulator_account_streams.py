"""Tells the users of a simulated Binance market what happens to their accounts, on the connections that listen."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol, TypeAlias

from unitape.spi.simulated_accounts import AccountEvent
from unitape.spi.simulation import PRIVATE_STREAM, Exchange, FaceOutput, Text
from unitape_binance.simulator_rules import encode

__all__ = ["AccountStreams", "Payload", "Pushes", "Wrap"]

Payload: TypeAlias = Callable[[int], Mapping[str, object]]
"""Writes an event with times in this unit (nanoseconds)."""
Wrap: TypeAlias = Callable[[bytes], bytes]
"""Puts an event into the envelope of its connection."""


class Pushes(Protocol):
    """How a market tells what happened."""

    def write(self, user: str, events: Sequence[AccountEvent]) -> list[Payload]:
        """Return the wire's events of these, in the order in which the venue sends them."""
        ...


class _Listener:
    __slots__ = ("conn", "unit", "user", "wrap")

    def __init__(self, user: str, conn: int, unit: int, wrap: Wrap) -> None:
        self.user = user
        self.conn = conn
        self.unit = unit
        self.wrap = wrap


class AccountStreams:
    """Who listens to which account.

    What happened is written right after the call that caused it, when the market still stands as it did then, and sent
    at the next tick.
    """

    def __init__(self, exchange: Exchange, writer: Pushes, outbox: list[FaceOutput]) -> None:
        self._exchange = exchange
        self._writer = writer
        self._outbox = outbox
        self._listeners: dict[tuple[int, str], _Listener] = {}
        self._cursors: dict[str, int] = {}
        self._waiting: list[tuple[tuple[_Listener, ...], Payload]] = []

    def join(self, user: str, conn: int, name: str, unit: int, wrap: Wrap) -> None:
        """Tell a connection about an account from now on; ``name`` is what the connection calls it by."""
        self.collect()
        if user not in self._cursors:
            self._cursors[user] = self._exchange.accounts.cursor(user)
        self._listeners[conn, name] = _Listener(user, conn, unit, wrap)

    def leave(self, conn: int, name: str) -> bool:
        """Stop telling; True if there was somebody to tell."""
        self.collect()
        self.flush()
        left = self._listeners.pop((conn, name), None)
        if left is None:
            return False
        if all(listener.user != left.user for listener in self._listeners.values()):
            del self._cursors[left.user]
        return True

    def forget(self, conn: int) -> None:
        """Forget a connection that is gone."""
        for number, name in list(self._listeners):
            if number == conn:
                self.leave(number, name)

    def named(self, conn: int) -> list[str]:
        """Return what a connection listens to."""
        return [name for number, name in self._listeners if number == conn]

    def listeners(self) -> list[tuple[int, str]]:
        """Return every (connection, name)."""
        return list(self._listeners)

    def collect(self) -> None:
        """Write down what has happened since the last time."""
        for user, cursor in self._cursors.items():
            events = self._exchange.accounts.events(user, cursor)
            if not events:
                continue
            self._cursors[user] = cursor + len(events)
            told = tuple(listener for listener in self._listeners.values() if listener.user == user)
            self._waiting += [(told, payload) for payload in self._writer.write(user, events)]

    def flush(self) -> None:
        """Send what was written down."""
        waiting, self._waiting = self._waiting, []
        for told, payload in waiting:
            for listener in told:
                raw = encode(payload(listener.unit))
                self._outbox.append(Text(listener.conn, listener.wrap(raw), PRIVATE_STREAM))

    def say(self, conn: int, name: str, payload: Payload) -> None:
        """Send one event to one listener, behind everything else."""
        self.collect()
        self.flush()
        listener = self._listeners.get((conn, name))
        if listener is not None:
            raw = encode(payload(listener.unit))
            self._outbox.append(Text(conn, listener.wrap(raw), PRIVATE_STREAM))
