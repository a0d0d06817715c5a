"""The verbs of trading on a router: each goes to the adapter of the venue that is named."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from typing import Any, Protocol, TypedDict, TypeVar, Unpack, runtime_checkable

import anyio

from unitape.adapter import Adapter, TradingAdapter
from unitape.errors import ConfigError
from unitape.spi import TriggerBy
from unitape.trade.numbers import Number
from unitape_schemas import Balance, Order, OrderKind, PositionSide, Side, Subscription, TimeInForce

__all__ = ["OrderDetails", "RouterTrading"]

RowT = TypeVar("RowT", Order, Balance)


class OrderDetails(TypedDict, total=False):
    """What ``place`` takes beside the common arguments, as far as the adapter does; see ``OrderRequest``."""

    tif: TimeInForce | None
    trigger: Number | None
    trigger_by: TriggerBy | None
    reduce_only: bool
    position_side: PositionSide | None
    expires: int | None
    round_size: bool
    take_profit: Number | None
    stop_loss: Number | None
    validate: bool


@runtime_checkable
class _AccountAdapter(TradingAdapter, Protocol):
    """An adapter that tells of its account, too."""

    async def open_orders(self, symbol: str | None = None) -> list[Order]: ...

    async def balances(self) -> list[Balance]: ...


class RouterTrading(ABC):
    """Placing, canceling and asking, by venue."""

    @property
    @abstractmethod
    def venues(self) -> tuple[str, ...]:
        """Names of the venues, in the order given."""

    @abstractmethod
    def _running(self, venue: str) -> Adapter:
        """Return the adapter of a venue.

        Raises:
            ConfigError: there is no such venue here, or it does not run.
        """

    async def place(
        self,
        venue: str,
        symbol: str,
        side: Side,
        kind: OrderKind = "limit",
        *,
        size: Number | None = None,
        cost: Number | None = None,
        price: Number | None = None,
        client_id: str | None = None,
        **details: Unpack[OrderDetails],
    ) -> Order:
        """Place one order, once, at a venue. It is the adapter's own ``place``, with its promises and its errors.

        Raises:
            ConfigError: there is no such venue, it does not run, or its adapter cannot trade; nothing was sent.
            OutcomeUnknown: it may have been placed; its client id is in the error.
        """
        # An adapter may take no more than the protocol's arguments; it then refuses the others itself.
        adapter: Any = self._trader(venue)
        order: Order = await adapter.place(
            symbol, side, kind, size=size, cost=cost, price=price, client_id=client_id, **details
        )
        return order

    async def cancel(
        self,
        venue: str,
        symbol: str,
        *,
        id: str | None = None,  # noqa: A002 - the field's name in the contract
        client_id: str | None = None,
        conditional: bool = False,
    ) -> Order | None:
        """Cancel one order at a venue; None where the venue only acknowledges.

        Raises:
            ConfigError: there is no such venue, it does not run, or its adapter cannot trade; nothing was sent.
            OrderNotFound: the venue knows no such open order.
            OutcomeUnknown: it is not known whether it was canceled.
        """
        adapter: Any = self._trader(venue)
        waits = {"conditional": True} if conditional else {}
        order: Order | None = await adapter.cancel(symbol, id=id, client_id=client_id, **waits)
        return order

    async def open_orders(self, venue: str | None = None, *, symbol: str | None = None) -> list[Order]:
        """Ask a venue, or all that can trade at once, for the open orders; of a symbol, those venues that have it.

        Some markets tell of one symbol at a time: they raise ``Unsupported`` without one.

        Raises:
            ConfigError: the venue cannot trade, or none can.
            UnitapeError: the venue named failed.
            ExceptionGroup: what venues raised where all were asked; what others answered is not returned, because a
                list that lacks some orders looks like one that lacks none.
        """
        return await self._gathered(venue, symbol, lambda adapter: adapter.open_orders(symbol))

    async def balances(self, venue: str | None = None) -> list[Balance]:
        """Ask a venue, or all that can trade at once, for what you hold.

        Raises:
            ConfigError, UnitapeError, ExceptionGroup: as for ``open_orders``.
        """
        return await self._gathered(venue, None, lambda adapter: adapter.balances())

    async def _gathered(
        self, venue: str | None, symbol: str | None, ask: Callable[[_AccountAdapter], Awaitable[list[RowT]]]
    ) -> list[RowT]:
        if venue is not None:
            return await ask(_with_account(venue, self._running(venue)))
        asked = self._accounts(symbol)
        answers: dict[str, list[RowT]] = {}
        errors: list[Exception] = []

        async def one(name: str, adapter: _AccountAdapter) -> None:
            try:
                answers[name] = await ask(adapter)
            except Exception as error:  # noqa: BLE001 - raised below, with those of the other venues
                error.add_note(f"at {name}")
                errors.append(error)

        async with anyio.create_task_group() as tasks:
            for name, adapter in asked.items():
                tasks.start_soon(one, name, adapter)
        if errors:
            raise ExceptionGroup(f"{len(errors)} of {len(asked)} venues did not answer", errors)
        return [row for name in asked for row in answers[name]]

    def _accounts(self, symbol: str | None) -> dict[str, _AccountAdapter]:
        """Return the adapters that can trade, and trade this symbol. A venue that has failed is not passed over."""
        found: dict[str, _AccountAdapter] = {}
        for name in self.venues:
            adapter = self._running(name)
            owned = symbol is None or adapter.owns(Subscription("trades", symbol))
            if owned and isinstance(adapter, _AccountAdapter):
                found[name] = adapter
        if not found:
            what = "has an account" if symbol is None else f"has an account and {symbol}"
            raise ConfigError(f"no adapter of this router {what}; it has {', '.join(self.venues)}")
        return found

    def _trader(self, venue: str) -> TradingAdapter:
        adapter = self._running(venue)
        if not isinstance(adapter, TradingAdapter):
            raise ConfigError(f"{venue} is a {type(adapter).__name__} here, which cannot trade")
        return adapter


def _with_account(venue: str, adapter: Adapter) -> _AccountAdapter:
    if not isinstance(adapter, _AccountAdapter):
        raise ConfigError(f"{venue} is a {type(adapter).__name__} here, which has no account")
    return adapter
