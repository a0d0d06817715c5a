"""One market's account as the sweep after a halt sees it: at its own host, and at another one of the venue."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, Protocol

import anyio

from unitape.books import OrderBook
from unitape.errors import UnitapeError, Unsupported
from unitape.guards.halting import Account
from unitape.spi import Market, OrderRef, Venue
from unitape.trade.requests import CancelAllResult
from unitape_schemas import Order, Position

if TYPE_CHECKING:
    from unitape.trade.client import TradingClient

__all__ = ["MarketAccount", "Verbs"]

AT_ONCE: Final = 8
"""Cancels under way at the other host."""


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


class MarketAccount:
    """One market's account, through the verbs."""

    def __init__(self, verbs: Verbs, client: TradingClient, other_host: str | None = None) -> None:
        self._verbs = verbs
        self._client = client
        self._other_host = other_host

    @property
    def market_name(self) -> str:
        """The market."""
        return self._client.market.name

    async def open_orders(self) -> list[tuple[Order, bool]]:
        """Ask for the open orders, each with whether it waits for a trigger where the venue keeps those apart."""
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

    def elsewhere(self) -> Account | None:
        """Return the same account at another host of the venue, if one is configured."""
        return None if self._other_host is None else _OtherHost(self._verbs, self._client.elsewhere(self._other_host))

    def believed_open(self) -> list[Order]:
        """Return what is believed open without asking."""
        return self._client.fates.state.open_orders()

    async def cancel_all(self, symbol: str | None) -> CancelAllResult:
        """Cancel all of a symbol, or of the market."""
        if symbol is None:
            return (await self._verbs.cancel_all(market=self.market_name))[0]
        return (await self._verbs.cancel_all(symbol))[0]

    async def cancel(self, refs: list[OrderRef]) -> list[Order | UnitapeError | None]:
        """Cancel these, one by one or in batches."""
        return await self._verbs.cancel_many(refs)

    async def positions(self) -> list[Position]:
        """Return the open positions, as they are known."""
        state = self._client.fates.state
        if state.live or not self._client.trading.spec.position_modes:
            return state.positions()
        try:
            return await self._client.read(self._client.trading.positions())
        except Unsupported:
            return []


class _OtherHost(MarketAccount):
    """The same account at another host: it asks and cancels there, and nothing else."""

    async def cancel_all(self, symbol: str | None) -> CancelAllResult:
        """Cancel all of a symbol, or of the market."""
        trading = self._client.trading
        scope = trading.spec.cancel_all
        if scope == "none" or (scope == "symbol" and symbol is None):
            raise Unsupported(f"{self.market_name} cancels no more than one {'order' if scope == 'none' else 'symbol'}")
        orders: list[Order] = []
        for make in (trading.cancel_all, trading.cancel_all_conditional):
            query = make(symbol)
            if query is not None:
                orders += await self._client.write(query, client_id=None, urgent=True)
        return CancelAllResult(self.market_name, True, tuple(map(self._client.fates.take, orders)))

    async def cancel(self, refs: list[OrderRef]) -> list[Order | UnitapeError | None]:
        """Cancel these, one by one or in batches."""
        answers: dict[int, Order | UnitapeError | None] = {}
        turn = anyio.CapacityLimiter(AT_ONCE)

        async def one(place: int, ref: OrderRef) -> None:
            async with turn:
                try:
                    query = self._client.trading.cancel(ref)
                    answer = await self._client.write(query, client_id=ref.client_id, urgent=True)
                except UnitapeError as error:
                    answers[place] = error
                else:
                    answers[place] = answer if answer is None else self._client.fates.take(answer)

        async with anyio.create_task_group() as tasks:
            for place, ref in enumerate(refs):
                tasks.start_soon(one, place, ref)
        return [answers[place] for place in range(len(refs))]
