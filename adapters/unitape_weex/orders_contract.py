"""Contract trading: place, cancel and ask for orders and executions.

From "Order" and "Trigger order" of the contract API documentation V3 (2026-07). Orders that wait for a trigger have
endpoints and ids of their own: ``OrderRef.conditional``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, TypeVar

from msgspec import Struct
from msgspec import json as msgspec_json

from unitape.errors import ConfigError, UnitapeError, Unsupported
from unitape.spi import Amendment, Instruments, NewOrder, OrderRef, Query, TradingSettings, TradingSpec
from unitape_schemas import Fill, Order, PositionSide
from unitape_weex.account import ContractAccount
from unitape_weex.capabilities import contract_spec
from unitape_weex.contract_fields import algo_fields, closes, order_fields, plan_fields, position_meant
from unitape_weex.order_rows import (
    AlgoRow,
    ContractOrderRow,
    ContractTrade,
    accepted,
    algo_order,
    contract_fill,
    contract_order,
    fills_oldest_first,
    oldest_first,
)
from unitape_weex.private import Cost, common_name, order_number, row_limit, time_range
from unitape_weex.verdicts import (
    Verdict,
    canceled_all,
    cancels,
    matched,
    placed,
    read_verdict,
    read_verdicts,
    unless_canceled,
)
from unitape_weex.words import TRIGGER_KINDS

__all__ = ["ContractTrading"]

R = TypeVar("R")

_ORDER: Final = "/capi/v3/order"
_PLACE_MANY: Final = "/capi/v3/batchOrders"
_CANCEL_ALL: Final = "/capi/v3/allOpenOrders"
_OPEN: Final = "/capi/v3/openOrders"
_HISTORY: Final = "/capi/v3/order/history"
_TRADES: Final = "/capi/v3/userTrades"
_ALGO: Final = "/capi/v3/algoOrder"
_PLAN: Final = "/capi/v3/placeTpSlOrder"
_CANCEL_ALL_ALGO: Final = "/capi/v3/algoOpenOrders"
_OPEN_ALGO: Final = "/capi/v3/openAlgoOrders"
_ALL_ALGO: Final = "/capi/v3/allAlgoOrders"
_CLOSE: Final = "/capi/v3/closePositions"

_FIRST_PAGE: Final = {_OPEN: 0, _HISTORY: 0, _OPEN_ALGO: 1}
_PAGE: Final = 100
_MOST_ORDERS: Final = 1000
_ORDER_DAYS: Final = 90
_FILL_DAYS: Final = 7


class _AlgoHistory(Struct, rename="camel"):
    orders: list[AlgoRow]
    has_more: bool = False


_row = msgspec_json.Decoder(ContractOrderRow, strict=False).decode
_rows = msgspec_json.Decoder(list[ContractOrderRow], strict=False).decode
_trades = msgspec_json.Decoder(list[ContractTrade], strict=False).decode
_algo_rows = msgspec_json.Decoder(list[AlgoRow], strict=False).decode
_algo_history = msgspec_json.Decoder(_AlgoHistory, strict=False).decode


class ContractTrading(ContractAccount):
    """The private side of contracts; see ``unitape.spi.Trading``."""

    def __init__(self, instruments: Instruments, settings: TradingSettings) -> None:
        super().__init__("contract", instruments, settings)
        self._spec = contract_spec(self._options)

    @property
    def spec(self) -> TradingSpec:
        """What contracts can do."""
        return self._spec

    def place(self, order: NewOrder) -> Query[Order]:
        """Place one order. A trigger that looks at the mark price goes by the venue's request for TP and SL."""
        meant = self._position(order)
        raw = self._raw(order.symbol)
        if order.kind not in TRIGGER_KINDS:
            path, fields = _ORDER, order_fields(order, raw, meant, self._options.attached_by)
        elif order.trigger_by == "mark":
            path, fields = _PLAN, plan_fields(order, raw, meant)
        else:
            path, fields = _ALGO, algo_fields(order, raw, meant, self._options.attached_by)

        def read(body: bytes, ts_recv: int) -> Order:
            result = self._placed(read_verdict(body), order, ts_recv)
            if isinstance(result, UnitapeError):
                raise result
            return result

        cost = Cost(2, 5, orders=1)
        return self._ask("place", "POST", path, cost, read, fields=fields, client_id=order.client_id)

    def validate(self, order: NewOrder) -> Query[None]:
        """The venue cannot check an order without placing it."""
        raise Unsupported("weex cannot check an order without placing it")

    def place_many(self, orders: Sequence[NewOrder]) -> Query[list[Order | UnitapeError]]:
        """Place up to five orders, where the option ``batch_place`` turns it on."""
        self._batch(len(orders), self._spec.batch_place, "batch_place")
        if any(order.kind in TRIGGER_KINDS for order in orders):
            raise Unsupported("weex places conditional orders one by one")

        def read(body: bytes, ts_recv: int) -> list[Order | UnitapeError]:
            rows = matched(read_verdicts(body), [(None, order.client_id) for order in orders])
            return [self._placed(row, order, ts_recv) for row, order in zip(rows, orders, strict=True)]

        by = self._options.attached_by
        batch = [order_fields(order, self._raw(order.symbol), self._position(order), by) for order in orders]
        cost = Cost(5, 10, orders=len(orders))
        return self._ask("place_many", "POST", _PLACE_MANY, cost, read, fields={"batchOrders": batch})

    def cancel(self, order: OrderRef) -> Query[Order | None]:
        """Cancel one order; the answer only acknowledges."""

        def read(body: bytes, ts_recv: int) -> Order | None:
            refused = unless_canceled(read_verdict(body), order.client_id)
            if refused is not None:
                raise refused
            return None

        path = _ALGO if order.conditional else _ORDER
        cost = Cost(2, 3, cancels=1)
        return self._ask("cancel", "DELETE", path, cost, read, query=_named(order), client_id=order.client_id)

    def cancel_many(self, orders: Sequence[OrderRef]) -> Query[list[Order | UnitapeError | None]]:
        """Cancel up to ten orders, all named by id or all by client id."""
        self._batch(len(orders), self._spec.batch_cancel, "batch_cancel")
        if any(order.conditional for order in orders):
            raise Unsupported("weex cancels conditional orders one by one, or all of them")
        name, values = common_name([_named(order) for order in orders])

        def read(body: bytes, ts_recv: int) -> list[Order | UnitapeError | None]:
            return list(cancels(read_verdicts(body), orders))

        fields = {f"{name}List": values}
        cost = Cost(5, 10, cancels=len(orders))
        return self._ask("cancel_many", "DELETE", _PLACE_MANY, cost, read, fields=fields)

    def cancel_all(self, symbol: str | None) -> Query[list[Order]]:
        """Cancel all orders but conditional ones, of the account or of a symbol; the answer only acknowledges."""
        return self._cancel_all("cancel_all", _CANCEL_ALL, symbol)

    def cancel_all_conditional(self, symbol: str | None) -> Query[list[Order]]:
        """Cancel all conditional orders, of the account or of a symbol; the answer only acknowledges."""
        return self._cancel_all("cancel_all_conditional", _CANCEL_ALL_ALGO, symbol)

    def amend(self, change: Amendment) -> Query[Order]:
        """Orders cannot be changed."""
        raise Unsupported("weex cannot change an order; cancel it and place another")

    def order(self, order: OrderRef) -> Query[Order]:
        """Ask for one order, by the venue's id."""
        if order.conditional:
            raise Unsupported("weex has no query for one conditional order: see open_conditional, conditional_history")
        if order.id is None:
            raise Unsupported("weex contracts are not asked by client id: see open_orders, order_history, fills")

        def read(body: bytes, ts_recv: int) -> Order:
            return contract_order(_row(body), self._instruments, "query", ts_recv)

        return self._ask("order", "GET", _ORDER, Cost(2, 3), read, query={"orderId": order_number(order.id)})

    def open_orders(self, symbol: str | None = None, *, page: int | None = None) -> Query[list[Order]]:
        """Ask for open orders, of all symbols without one: one page of a hundred. ``page`` counts from 0.

        Without ``page``, reading a full page raises ``Unsupported``: there may be more than it shows.
        """

        def build(body: bytes, ts_recv: int) -> list[Order]:
            return [contract_order(row, self._instruments, "query", ts_recv) for row in _rows(body)]

        return self._open("open_orders", _OPEN, Cost(2, 3), symbol, page, build)

    def open_conditional(self, symbol: str | None = None, *, page: int | None = None) -> Query[list[Order]]:
        """Ask for conditional orders that wait; pages as for ``open_orders``."""

        def build(body: bytes, ts_recv: int) -> list[Order]:
            return [algo_order(row, self._instruments, "query", ts_recv) for row in _algo_rows(body)]

        return self._open("open_conditional", _OPEN_ALGO, Cost(3, 3), symbol, page, build)

    def order_history(
        self,
        symbol: str | None,
        *,
        start: int | None = None,
        end: int | None = None,
        limit: int | None = None,
        page: int = 0,
    ) -> Query[list[Order]]:
        """Ask for orders of at most 90 days, oldest first, conditional ones among them. ``page`` counts from 0."""
        query = {
            "symbol": self._raw_or_none(symbol),
            **time_range(start, end, _ORDER_DAYS),
            "limit": row_limit(limit, _MOST_ORDERS),
            "page": page + _FIRST_PAGE[_HISTORY],
        }

        def read(body: bytes, ts_recv: int) -> list[Order]:
            return oldest_first([contract_order(row, self._instruments, "query", ts_recv) for row in _rows(body)])

        return self._ask("order_history", "GET", _HISTORY, Cost(10, 10), read, query=query)

    def conditional_history(
        self, symbol: str | None, *, start: int | None = None, end: int | None = None, limit: int | None = None
    ) -> Query[list[Order]]:
        """Ask for conditional orders of at most 90 days, oldest first.

        Reading raises ``Unsupported`` where the venue says that it has more of them and no limit was given.
        """
        query = {
            "symbol": self._raw_or_none(symbol),
            **time_range(start, end, _ORDER_DAYS),
            "limit": row_limit(limit, _MOST_ORDERS),
        }

        def read(body: bytes, ts_recv: int) -> list[Order]:
            answer = _algo_history(body)
            if answer.has_more and limit is None:
                raise Unsupported(f"more than {_MOST_ORDERS} conditional orders; ask for a shorter range")
            return oldest_first([algo_order(row, self._instruments, "query", ts_recv) for row in answer.orders])

        return self._ask("conditional_history", "GET", _ALL_ALGO, Cost(5, 10), read, query=query)

    def fills(
        self,
        symbol: str | None,
        *,
        order_id: str | None = None,
        start: int | None = None,
        end: int | None = None,
        limit: int | None = None,
    ) -> Query[list[Fill]]:
        """Ask for your executions of at most 7 days, oldest first; without bounds of the last 7."""
        query = {
            "symbol": self._raw_or_none(symbol),
            "orderId": None if order_id is None else order_number(order_id),
            **time_range(start, end, _FILL_DAYS),
            "limit": row_limit(limit, _PAGE),
        }

        def read(body: bytes, ts_recv: int) -> list[Fill]:
            return fills_oldest_first([contract_fill(row, self._instruments, ts_recv) for row in _trades(body)])

        return self._ask("fills", "GET", _TRADES, Cost(5, 5), read, query=query)

    def close_position(self, symbol: str, side: PositionSide) -> Query[None]:
        """Close both positions of a symbol, where the option ``close_positions`` turns it on."""
        if not self._options.close_positions:
            raise Unsupported("weex would close both sides of the symbol; place a reduce-only market order")
        return self.close_positions(symbol=symbol)

    def close_positions(self, *, symbol: str | None = None, position_id: str | None = None) -> Query[None]:
        """Close what is named: one position by the venue's id, or both sides of a symbol.

        Reading raises what kept one from being closed.

        Raises:
            ConfigError: neither is given; the venue would close everything on the account.
        """
        if symbol is None and position_id is None:
            raise ConfigError("name a symbol or a position: without either the venue closes every position")
        fields = {
            "symbol": self._raw_or_none(symbol),
            "positionId": None if position_id is None else order_number(position_id),
        }

        def read(body: bytes, ts_recv: int) -> None:
            canceled_all(read_verdicts(body))

        return self._ask("close_position", "POST", _CLOSE, Cost(40, 50, orders=1), read, fields=fields)

    def _placed(self, row: Verdict | None, order: NewOrder, ts_recv: int) -> Order | UnitapeError:
        result = placed(row, order.client_id)
        if isinstance(result, UnitapeError):
            return result
        return accepted(order, result[0], ts_recv, ts=result[1], position_side=self._position(order))

    def _position(self, order: NewOrder) -> PositionSide:
        """Return the position meant; refuse what contracts cannot say."""
        if self._settings.position_mode == "one_way" and not self._options.one_way:
            raise Unsupported("weex in one-way mode was never tried; use hedge mode, or the option one_way")
        meant = position_meant(order)
        if closes(order.side, meant) and (order.take_profit is not None or order.stop_loss is not None):
            raise ConfigError("take_profit and stop_loss belong to an order that opens a position")
        return meant

    def _cancel_all(self, name: str, path: str, symbol: str | None) -> Query[list[Order]]:
        def read(body: bytes, ts_recv: int) -> list[Order]:
            canceled_all(read_verdicts(body))
            return []

        query = {"symbol": self._raw_or_none(symbol)}
        return self._ask(name, "DELETE", path, Cost(5, 10, cancels=1), read, query=query)

    def _open(
        self,
        name: str,
        path: str,
        cost: Cost,
        symbol: str | None,
        page: int | None,
        build: Callable[[bytes, int], list[Order]],
    ) -> Query[list[Order]]:
        def read(body: bytes, ts_recv: int) -> list[Order]:
            orders = build(body, ts_recv)
            if page is None and len(orders) >= _PAGE:
                raise Unsupported(f"{_PAGE} orders or more are open; ask by symbol, or page by page")
            return oldest_first(orders)

        query = {"symbol": self._raw_or_none(symbol), "limit": _PAGE, "page": (page or 0) + _FIRST_PAGE[path]}
        return self._ask(name, "GET", path, cost, read, query=query)


def _named(order: OrderRef) -> dict[str, str | int | None]:
    if order.id is not None:
        return {"orderId": order_number(order.id)}
    if order.conditional:
        raise Unsupported("weex cancels conditional orders by its own id only")
    if order.client_id is None:
        raise ConfigError("an order is named by its id or by its client id")
    return {"origClientOrderId": order.client_id}
