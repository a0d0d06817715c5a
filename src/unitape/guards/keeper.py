"""Joins the guards to an adapter: its clients, its tasks, what happens when trading halts and when it is left."""

from __future__ import annotations

import logging
import signal
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, Protocol

import anyio

from unitape.books import OrderBook
from unitape.errors import ConfigError, UnitapeError, Unsupported
from unitape.guards.deadman import DeadMan
from unitape.guards.guards import Alert, Guards, Spawn
from unitape.guards.halting import Account, close_down
from unitape.guards.kill import Halt
from unitape.spi import Market, OrderRef, Tradable, Venue
from unitape_schemas import Event, Order, Position

if TYPE_CHECKING:
    from unitape.trade.client import TradingClient
    from unitape.trade.requests import CancelAllResult

__all__ = ["Keeper", "Verbs"]

_log = logging.getLogger("unitape.guards")

TICK: Final = 1.0
"""Seconds between two looks at orders of unknown fate."""
IDLE_TICK: Final = 5.0
"""The same while there are none."""
LEAVE_WITHIN: Final = 90.0
"""Seconds that canceling after a halt may take, and so leaving the adapter just after one."""


class Verbs(Protocol):
    """What the keeper uses of an adapter."""

    declaration: Venue

    def book(self, symbol: str) -> OrderBook | None:
        """Return the live book of a symbol."""
        ...

    async def trading_client(self, market: Market) -> TradingClient:
        """Return the private side of a market."""
        ...

    async def cancel_all(self, symbol: str | None = None, *, market: str | None = None) -> list[CancelAllResult]:
        """Cancel all of a symbol or market."""
        ...

    async def cancel_many(self, orders: Sequence[Order | OrderRef]) -> list[Order | UnitapeError | None]:
        """Cancel these."""
        ...


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
        guards.bind(book=verbs.book, deliver=deliver, on_halt=self._on_halt)

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
        self._sweeps += 1

        async def sweep() -> None:
            try:
                # Whoever leaves or is cancelled because of the halt must not take the cancels with them.
                with anyio.move_on_after(LEAVE_WITHIN, shield=True) as scope:
                    await close_down(self.guards, await self._accounts(), halt)
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
        return [_MarketAccount(self._verbs, client) for client in clients]

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


class _MarketAccount:
    """One market's account, through the verbs."""

    def __init__(self, verbs: Verbs, client: TradingClient) -> None:
        self._verbs = verbs
        self._client = client

    @property
    def market_name(self) -> str:
        return self._client.market.name

    async def open_orders(self) -> list[tuple[Order, bool]]:
        try:
            return await self._listed(None)
        except Unsupported:
            # Some markets tell of one symbol at a time; of those that nobody traded here, nothing can be said.
            if not self._symbols():
                raise
        return [row for symbol in self._symbols() for row in await self._listed(symbol)]

    async def _listed(self, symbol: str | None) -> list[tuple[Order, bool]]:
        trading = self._client.trading
        found = [(order, False) for order in await self._client.read(trading.open_orders(symbol))]
        waiting = trading.open_conditional(symbol)
        if waiting is not None:
            found += [(order, True) for order in await self._client.read(waiting)]
        return found

    def _symbols(self) -> list[str]:
        """Return the symbols in which orders are known, open or ended."""
        state = self._client.fates.state
        return list(dict.fromkeys(order.symbol for order in (*state.open_orders(), *state.closed_orders())))

    def believed_open(self) -> list[Order]:
        return self._client.fates.state.open_orders()

    async def cancel_all(self, symbol: str | None) -> CancelAllResult:
        if symbol is None:
            return (await self._verbs.cancel_all(market=self.market_name))[0]
        return (await self._verbs.cancel_all(symbol))[0]

    async def cancel(self, refs: list[OrderRef]) -> list[Order | UnitapeError | None]:
        return await self._verbs.cancel_many(refs)

    async def positions(self) -> list[Position]:
        state = self._client.fates.state
        if state.live or not self._client.trading.spec.position_modes:
            return state.positions()
        try:
            return await self._client.read(self._client.trading.positions())
        except Unsupported:
            return []
