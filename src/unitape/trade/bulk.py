"""Verbs about many orders at once: in one native request where there is one, honestly one by one elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import anyio
from msgspec import structs

from unitape.errors import (
    ConfigError,
    OrderNotFound,
    OutcomeUnknown,
    RateLimited,
    UnitapeError,
    Unsupported,
    VenueError,
    WireError,
)
from unitape.spi import NewOrder, OrderRef, Query
from unitape.trade.base import TradingBase, order_ref
from unitape.trade.checks import TRIGGER_KINDS
from unitape.trade.client import TradingClient
from unitape.trade.fates import pending_order
from unitape.trade.requests import CancelAllResult, OrderRequest, as_ref
from unitape_schemas import Order

__all__ = ["BulkVerbs"]

SWEEPS: Final = 3
"""How often a native cancel of all orders is sent when its answer is lost."""
SWEEP_PAUSE: Final = 0.5
"""Seconds between."""
REFUSALS: Final = (VenueError, OutcomeUnknown, WireError)
"""What a venue does that has no such request for this account."""


class BulkVerbs(TradingBase):
    """Placing and canceling many."""

    async def place_many(self, requests: Sequence[OrderRequest]) -> list[Order | UnitapeError]:
        """Place several orders; one result each, in their order, an error where one was refused.

        All are checked before any is sent. Where the market has batches, those of one symbol travel together;
        elsewhere each is a request of its own. They are not one transaction on any venue.

        Raises:
            ConfigError, Unsupported, MarketClosed, InvalidSymbol, InvalidOrder: one is wrong; nothing was sent.
            RiskRejected, TradingHalted: one breaks a limit, or the kill switch is on; nothing was sent.
        """
        prepared = [await self._prepare(request) for request in requests]
        ids = [order.client_id for _, order in prepared]
        if len(set(ids)) < len(ids):
            raise ConfigError("two of the orders have the same client id")
        for client in {id(client): client for client, _ in prepared}.values():
            client.check([order for owner, order in prepared if owner is client])
        if any(client.options.dry_run for client, _ in prepared):
            return [pending_order(client, order) for client, order in prepared]
        groups: dict[tuple[str, str], list[int]] = {}
        for place, (client, order) in enumerate(prepared):
            groups.setdefault((client.market.name, order.symbol), []).append(place)
        results: dict[int, Order | UnitapeError] = {}

        async def send(places: Sequence[int]) -> None:
            client = prepared[places[0]][0]
            orders = [prepared[place][1] for place in places]
            answers = await _place_one(client, orders[0]) if len(orders) == 1 else await client.fates.place_many(orders)
            results.update(zip(places, answers, strict=True))

        async with anyio.create_task_group() as tasks:
            for places in groups.values():
                client = prepared[places[0]][0]
                together = [n for n in places if _fits_a_batch(prepared[n][1])]
                alone = [n for n in places if n not in set(together)]
                size = max(1, client.trading.spec.batch_place)
                for chunk in (*_chunks(together, size), *_chunks(alone, 1)):
                    tasks.start_soon(send, chunk)
        return [results[place] for place in range(len(prepared))]

    async def cancel_many(self, orders: Sequence[Order | OrderRef]) -> list[Order | UnitapeError | None]:
        """Cancel several orders; one result each, in their order: None where the venue only acknowledges.

        Where the market has batches, those of one symbol travel together; elsewhere each is a request of its own.
        """
        refs = [as_ref(order) for order in orders]
        groups: dict[tuple[str, bool], list[int]] = {}
        for place, ref in enumerate(refs):
            order_ref(ref.symbol, ref.id, ref.client_id, ref.conditional)
            groups.setdefault((ref.symbol, ref.conditional), []).append(place)
        results: dict[int, Order | UnitapeError | None] = {}

        async def send(client: TradingClient, places: Sequence[int]) -> None:
            chosen = [refs[place] for place in places]
            if len(chosen) == 1 or any(ref.id is None for ref in chosen):
                for place, ref in zip(places, chosen, strict=True):
                    results[place] = (await self._cancel_one(client, ref))[0]
                return
            results.update(zip(places, await client.fates.cancel_many(chosen), strict=True))

        async with anyio.create_task_group() as tasks:
            for (symbol, conditional), places in groups.items():
                client = await self._client_of(symbol)
                size = 1 if conditional else max(1, client.trading.spec.batch_cancel)
                for chunk in _chunks(places, size):
                    tasks.start_soon(send, client, chunk)
        return [results[place] for place in range(len(refs))]

    async def cancel_all(self, symbol: str | None = None, *, market: str | None = None) -> list[CancelAllResult]:
        """Cancel all open orders of a symbol, a market or the whole venue, conditional ones included.

        Returns one result per market. A market that fails does not keep the others from being tried. Where a
        market's own request covers less than was asked for, or the venue refuses it for the whole account, open orders
        are found and canceled symbol by symbol; ``native`` says so, and ``failures`` has the refusal under ``*``.
        """
        clients = [await self._client_of(symbol)] if symbol is not None else await self._clients(market)
        results: list[CancelAllResult] = []
        for client in clients:
            sweep = _Sweep(self, client)
            await sweep.run(symbol)
            results.append(CancelAllResult(client.market.name, sweep.native, tuple(sweep.orders), sweep.failures))
        return results

    async def _cancelable(self, client: TradingClient, ref: OrderRef) -> OrderRef:
        """Return a name by which the market cancels."""
        if ref.id is not None or client.trading.spec.cancel_by_client_id:
            return ref
        order, waiting = await self._found(client, ref)
        return structs.replace(ref, id=order.id, conditional=ref.conditional or waiting)

    async def _cancel_one(self, client: TradingClient, ref: OrderRef) -> list[Order | UnitapeError | None]:
        try:
            named = await self._cancelable(client, ref)
            return [await client.fates.cancel(structs.replace(named, client_id=ref.client_id))]
        except UnitapeError as error:
            return [error]


class _Sweep:
    """Cancels everything of one market, as widely as the market can."""

    def __init__(self, verbs: BulkVerbs, client: TradingClient) -> None:
        self._verbs = verbs
        self._client = client
        self.native = True
        self.orders: list[Order] = []
        self.failures: dict[str, UnitapeError] = {}

    async def run(self, symbol: str | None) -> None:
        scope = self._client.trading.spec.cancel_all
        if scope == "account" or (scope == "symbol" and symbol is not None):
            refused = await self._sweep(symbol)
            if symbol is not None or not refused:
                return
        self.native = False
        refs = await self._open_refs(symbol, "open_orders" if self.failures else symbol or "*")
        if scope != "none":
            for one in dict.fromkeys(ref.symbol for ref in refs):
                await self._sweep(one)
            return
        for ref, answer in zip(refs, await self._verbs.cancel_many(refs), strict=True):
            if isinstance(answer, Order):
                self.orders.append(answer)
            elif isinstance(answer, UnitapeError):
                self._fail(ref.id or ref.client_id or ref.symbol, answer)

    async def _sweep(self, symbol: str | None) -> bool:
        """Cancel natively; where the venue keeps conditional orders apart, those too.

        Returns whether the venue would not do it, so that less at once may help.
        """
        trading = self._client.trading
        refused = False
        for make in (trading.cancel_all, trading.cancel_all_conditional):
            try:
                query = make(symbol)
                if query is not None:
                    self.orders += [self._client.fates.take(order) for order in await self._repeat(query)]
            except UnitapeError as error:
                self._fail(symbol or "*", error)
                refused = refused or (isinstance(error, REFUSALS) and not isinstance(error, RateLimited))
        return refused

    async def _repeat(self, query: Query[list[Order]]) -> list[Order]:
        """Send it; again after a lost answer, since canceling all twice ends nothing that should live."""
        for _ in range(SWEEPS - 1):
            try:
                return await self._client.write(query, client_id=None, urgent=True)
            except OutcomeUnknown:
                await anyio.sleep(SWEEP_PAUSE)
        return await self._client.write(query, client_id=None, urgent=True)

    async def _open_refs(self, symbol: str | None, name: str) -> list[OrderRef]:
        """Name every open order that can be found; failures go by ``name``."""
        trading = self._client.trading
        refs: list[OrderRef] = []
        for make, conditional in ((trading.open_orders, False), (trading.open_conditional, True)):
            try:
                query = make(symbol)
                found = [] if query is None else await self._client.read(query)
                refs += [OrderRef(order.symbol, order.id, order.client_id, conditional) for order in found]
            except UnitapeError as error:
                self._fail(name, error)
                if symbol is None and isinstance(error, Unsupported):
                    # Symbols that we know of can be swept all the same; that there may be others stays a failure.
                    known = self._client.fates.state.tracker
                    orders = [one.order for one in (*known.open(), *known.closed())]
                    names = dict.fromkeys(order.symbol for order in orders)
                    refs += [OrderRef(name, conditional=conditional) for name in names]
        return refs

    def _fail(self, name: str, error: UnitapeError) -> None:
        # Nothing to cancel is what was wanted: an order may fill while it is being canceled.
        if not isinstance(error, OrderNotFound):
            self.failures.setdefault(name, error)


def _fits_a_batch(order: NewOrder) -> bool:
    """Conditional orders and orders with others attached go alone: venues send those elsewhere."""
    return order.kind not in TRIGGER_KINDS and order.take_profit is None and order.stop_loss is None


def _chunks(places: Sequence[int], size: int) -> list[Sequence[int]]:
    return [places[at : at + size] for at in range(0, len(places), size)]


async def _place_one(client: TradingClient, order: NewOrder) -> list[Order | UnitapeError]:
    try:
        return [await client.fates.place(order)]
    except UnitapeError as error:
        return [error]
