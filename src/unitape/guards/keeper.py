"""Joins the guards to an adapter: its clients, its tasks, what happens when trading halts and when it is left."""

from __future__ import annotations

import logging
import signal
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, Protocol

import anyio

from unitape.errors import ConfigError, UnitapeError
from unitape.guards.accounts import MarketAccount, Verbs
from unitape.guards.deadman import DeadMan
from unitape.guards.guards import Alert, Guards, Spawn
from unitape.guards.halting import Account, close_down
from unitape.guards.kill import Halt
from unitape.spi import Tradable
from unitape_schemas import Event

if TYPE_CHECKING:
    from unitape.trade.client import TradingClient

__all__ = ["Keeper", "Verbs"]

_log = logging.getLogger("unitape.guards")

TICK: Final = 1.0
"""Seconds between two looks at orders of unknown fate."""
IDLE_TICK: Final = 5.0
"""The same while there are none."""
LEAVE_WITHIN: Final = 90.0
"""Seconds that canceling after a halt may take, and so leaving the adapter just after one."""


class Keeper:
    """The guards of one adapter at work."""

    def __init__(self, guards: Guards, verbs: Verbs, spawn: Spawn, deliver: _Deliver) -> None:
        self.guards = guards
        self.dead_man = DeadMan(guards, self._client_of, spawn)
        self._verbs = verbs
        self._spawn = spawn
        self._clients: dict[str, TradingClient] = {}
        self._ticking = False
        self._sweeps = 0
        self._swept = anyio.Event()
        for name in guards.switch.rules.other_hosts:
            verbs.declaration.market(name)
        guards.bind(book=verbs.book, deliver=deliver, on_halt=self._on_halt, tradable=self._tradable)

    def join(self, client: TradingClient) -> None:
        """Guard a client from now on."""
        market = client.market
        guard = self.guards.market(
            market.name, client.trading.spec.kill, lambda: client.instruments, client.fates.state
        )
        guard.unresolved = lambda: client.fates.resolver.unresolved
        client.guard = guard
        self._clients[market.name] = client
        if not self._ticking:
            self._ticking = True
            self._spawn(self._tick)
        halt = self.guards.halted
        if halt is not None and self.guards.inherits(market.name):
            # Another process halted and did not see the end of it.
            self._begin_sweep(halt, client)

    def listen(self, number: int | None = None) -> None:
        """Halt when the process gets a signal, SIGUSR1 unless another is named. In the main thread only.

        Raises:
            ConfigError: this system has no such signal.
        """
        chosen = number if number is not None else getattr(signal, "SIGUSR1", None)
        if chosen is None:
            raise ConfigError("this system has no SIGUSR1; name another signal")
        self._spawn(lambda: self._listen(signal.Signals(chosen)))

    async def leave(self) -> None:
        """Finish what a halt began, and call countdowns off. Bounded in time, and not cut short by a cancellation."""
        with anyio.move_on_after(LEAVE_WITHIN, shield=True) as scope:
            while self._sweeps:
                await self._swept.wait()
            await self.dead_man.leave()
        if scope.cancelled_caught:
            _log.critical("%s: left before it was certain that everything is canceled", self.guards.venue)
        self._clients.clear()
        self._ticking = False

    async def swept(self) -> None:
        """Wait until what a halt began is done."""
        while self._sweeps:
            await self._swept.wait()

    def _on_halt(self, halt: Halt) -> None:
        self._begin_sweep(halt)

    def _begin_sweep(self, halt: Halt, client: TradingClient | None = None) -> None:
        """Cancel everything on the market of a client, or on all."""
        self._sweeps += 1

        async def sweep() -> None:
            try:
                # Whoever leaves or is cancelled because of the halt must not take the cancels with them.
                with anyio.move_on_after(LEAVE_WITHIN, shield=True) as scope:
                    accounts = await self._accounts() if client is None else [self._account(client)]
                    await close_down(self.guards, accounts, halt)
                if scope.cancelled_caught:
                    text = f"{LEAVE_WITHIN:g} s were not enough to cancel everything; look at the venue's own pages now"
                    self.guards.alert(Alert("emergency", self.guards.venue, text, halt))
            except Exception:  # noqa: BLE001 - whatever broke, the alarm must be heard and the orders stay halted
                _log.exception("%s: canceling after a halt broke off; look at the venue's own pages", self.guards.venue)
            finally:
                self._sweeps -= 1
                self._swept.set()
                self._swept = anyio.Event()

        self._spawn(sweep)

    async def _client_of(self, symbol: str) -> TradingClient:
        return await self._verbs.trading_client(self._verbs.declaration.market_of(symbol))

    def _tradable(self) -> list[str]:
        return [market.name for market in self._verbs.declaration.markets if isinstance(market, Tradable)]

    async def _accounts(self) -> list[Account]:
        """Return the markets in use; where none is, all that can be traded on."""
        clients = list(self._clients.values())
        if not clients:
            for market in self._verbs.declaration.markets:
                if not isinstance(market, Tradable):
                    continue
                try:
                    clients.append(await self._verbs.trading_client(market))
                except UnitapeError as error:
                    _log.critical("%s %s: not in reach: %s", self.guards.venue, market.name, error)
        return [self._account(client) for client in clients]

    def _account(self, client: TradingClient) -> Account:
        market = client.market
        hosts = self.guards.switch.rules.other_hosts
        other = next((hosts[name] for name in (market.name, *market.aliases) if name in hosts), None)
        return MarketAccount(self._verbs, client, other)

    async def _tick(self) -> None:
        while True:
            await anyio.sleep(TICK if self.guards.watch() else IDLE_TICK)
            self.guards.tick()

    async def _listen(self, number: signal.Signals) -> None:
        with anyio.open_signal_receiver(number) as signals:
            async for got in signals:
                self.guards.halt(f"signal {signal.Signals(got).name}", source="signal")


class _Deliver(Protocol):
    def __call__(self, events: Sequence[Event], /) -> None: ...
