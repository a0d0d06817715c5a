"""The dead-man switch: the venue cancels a symbol's orders by itself unless it is told in time not to."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final

import anyio

from unitape.errors import ConfigError, UnitapeError, Unsupported
from unitape.guards.guards import Guards, Spawn
from unitape.spi import Countdown, Query

if TYPE_CHECKING:
    from unitape.trade.client import TradingClient

__all__ = ["DeadMan"]

_log = logging.getLogger("unitape.guards")

BEATS: Final = 3
"""How often a countdown is set anew before it would run out."""
SHORTEST: Final = 3.0
"""Seconds; a countdown shorter than a few round trips cancels by accident."""


class DeadMan:
    """Keeps countdowns alive while the adapter is healthy; they run out when it dies, hangs or is halted."""

    def __init__(self, guards: Guards, client_of: Callable[[str], Awaitable[TradingClient]], spawn: Spawn) -> None:
        self._guards = guards
        self._client_of = client_of
        self._spawn = spawn
        self._armed: dict[str, float] = {}
        self._scopes: dict[str, anyio.CancelScope] = {}

    @property
    def armed(self) -> dict[str, float]:
        """The symbols under a countdown, and its seconds."""
        return dict(self._armed)

    async def arm(self, symbol: str, seconds: float = 60.0) -> None:
        """Have the venue cancel a symbol's orders once it has heard nothing from here for so many seconds.

        The countdown is set before this returns, and set anew three times as often as it would run out.

        Raises:
            Unsupported: the market has no such thing.
            ConfigError: the time is too short.
            TradingHalted: trading is halted.
            OutcomeUnknown, VenueError, TransportError: it could not be set; it is not armed.
        """
        if not seconds >= SHORTEST:
            raise ConfigError(f"a countdown takes {SHORTEST:g} seconds or more, not {seconds:g}")
        client = await self._client_of(symbol)
        query = _countdown(client, symbol, seconds)
        self._guards.switch.require_open("a countdown")
        await client.write(query, client_id=None, urgent=True)
        running = symbol in self._armed
        self._armed[symbol] = seconds
        if not running:
            self._spawn(lambda: self._beat(client, symbol))

    async def disarm(self, symbol: str) -> None:
        """Call a countdown off; nothing happens where there is none.

        Raises:
            OutcomeUnknown, VenueError, TransportError: it may still run: the orders would be canceled.
        """
        if self._armed.pop(symbol, None) is None:
            return
        scope = self._scopes.pop(symbol, None)
        if scope is not None:
            scope.cancel()
        client = await self._client_of(symbol)
        await client.write(_countdown(client, symbol, 0.0), client_id=None, urgent=True)

    async def leave(self) -> None:
        """Call every countdown off, unless trading is halted: then the venue had better cancel what is left."""
        if self._guards.halted is not None:
            return
        for symbol in list(self._armed):
            try:
                await self.disarm(symbol)
            except UnitapeError as error:
                _log.error("%s: the countdown of %s may still run: %s", self._guards.venue, symbol, error)

    async def _beat(self, client: TradingClient, symbol: str) -> None:
        with anyio.CancelScope() as scope:
            self._scopes[symbol] = scope
            while symbol in self._armed:
                seconds = self._armed[symbol]
                await anyio.sleep(seconds / BEATS)
                if self._guards.halted is not None:
                    return
                try:
                    await client.write(_countdown(client, symbol, seconds), client_id=None, urgent=True)
                except UnitapeError as error:
                    # The next beat tries again; if none gets through, the venue does what it is there for.
                    _log.warning("%s: the countdown of %s was not set anew: %s", self._guards.venue, symbol, error)


def _countdown(client: TradingClient, symbol: str, seconds: float) -> Query[None]:
    trading = client.trading
    if not trading.spec.countdown or not isinstance(trading, Countdown):
        raise Unsupported(f"{client.market.venue} {client.market.name} has no countdown that cancels orders")
    client.instruments.require(symbol)
    return trading.countdown(symbol, seconds)
