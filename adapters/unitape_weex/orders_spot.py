"""Spot trading: place, cancel and ask for orders and executions.

From "Order" and "Account" of the spot API documentation V3 (2026-07).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from msgspec import json as msgspec_json

from unitape.errors import ConfigError, UnitapeError, Unsupported
from unitape.spi import (
    MILLISECOND,
    AccountFlags,
    Amendment,
    Instruments,
    NewOrder,
    OrderRef,
    PositionMode,
    Query,
    TradingSettings,
    TradingSpec,
)
from unitape_schemas import Balance, Fill, MarginMode, Order, Position, PositionSide
from unitape_weex.account import read_spot_balances, read_spot_flags
from unitape_weex.amounts import plain_or_none
from unitape_weex.capabilities import spot_spec
from unitape_weex.order_rows import (
    SpotAck,
    SpotOrderRow,
    SpotTrade,
    accepted,
    fills_oldest_first,
    oldest_first,
    spot_fill,
    spot_order,
)
from unitape_weex.private import Cost, PrivateQueries, check_shape, common_name, order_number, row_limit, time_range
from unitape_weex.verdicts import canceled_all, cancels, matched, placed, read_verdict, read_verdicts, unless_canceled
from unitape_weex.words import PLAIN_KINDS, SIDES, TIFS

__all__ = ["SpotTrading"]

_ORDER: Final = "/api/v3/order"
_BATCH: Final = "/api/v3/order/batch"
_OPEN: Final = "/api/v3/openOrders"
_ALL: Final = "/api/v3/allOrders"
_TRADES: Final = "/api/v3/myTrades"
_ACCOUNT: Final = "/api/v3/account/"
"""The slash at its end belongs to the path, and to what is signed."""

_FIRST_PAGE: Final = 1
_MOST_ORDERS: Final = 1000
_MOST_TRADES: Final = 100

_ack = msgspec_json.Decoder(SpotAck, strict=False).decode
_row = msgspec_json.Decoder(SpotOrderRow, strict=False).decode
_rows = msgspec_json.Decoder(list[SpotOrderRow], strict=False).decode
_trades = msgspec_json.Decoder(list[SpotTrade], strict=False).decode


class SpotTrading(PrivateQueries):
    """The private side of spot; see ``unitape.spi.Trading``."""

    def __init__(self, instruments: Instruments, settings: TradingSettings) -> None:
        super().__init__("spot", instruments, settings)
        self._spec = spot_spec(self._options)

    @property
    def spec(self) -> TradingSpec:
        """What spot can do."""
        return self._spec

    def place(self, order: NewOrder) -> Query[Order]:
        """Place one order; the answer acknowledges it. An id of an open order answers with that order."""

        def read(body: bytes, ts_recv: int) -> Order:
            ack = _ack(body)
            return accepted(order, str(ack.order_id), ts_recv, ts=ack.transact_time * MILLISECOND)

        fields = {"symbol": self._raw(order.symbol), **self._fields(order)}
        cost = Cost(2, 5, orders=1)
        return self._ask("place", "POST", _ORDER, cost, read, fields=fields, client_id=order.client_id)

    def validate(self, order: NewOrder) -> Query[None]:
        """The venue cannot check an order without placing it."""
        raise Unsupported("weex cannot check an order without placing it")

    def place_many(self, orders: Sequence[NewOrder]) -> Query[list[Order | UnitapeError]]:
        """Place up to ten orders of one symbol, where the option ``batch_place`` turns it on."""
        self._batch(len(orders), self._spec.batch_place, "batch_place")
        symbol = _one_symbol([order.symbol for order in orders])

        def read(body: bytes, ts_recv: int) -> list[Order | UnitapeError]:
            rows = matched(read_verdicts(body), [(None, order.client_id) for order in orders])
            results = [placed(row, order.client_id) for row, order in zip(rows, orders, strict=True)]
            return [
                result if isinstance(result, UnitapeError) else accepted(order, result[0], ts_recv, ts=result[1])
                for result, order in zip(results, orders, strict=True)
            ]

        fields = {"symbol": self._raw(symbol), "orderList": [self._fields(order) for order in orders]}
        return self._ask("place_many", "POST", _BATCH, Cost(10, 50, orders=len(orders)), read, fields=fields)

    def cancel(self, order: OrderRef) -> Query[Order | None]:
        """Cancel one order; the answer only acknowledges."""

        def read(body: bytes, ts_recv: int) -> Order | None:
            refused = unless_canceled(read_verdict(body), order.client_id)
            if refused is not None:
                raise refused
            return None

        cost = Cost(1, 1, cancels=1)
        query = _named(order)
        return self._ask("cancel", "DELETE", _ORDER, cost, read, query=query, client_id=order.client_id)

    def cancel_many(self, orders: Sequence[OrderRef]) -> Query[list[Order | UnitapeError | None]]:
        """Cancel up to ten orders, all named by id or all by client id."""
        self._batch(len(orders), self._spec.batch_cancel, "batch_cancel")
        name, values = common_name([_named(order) for order in orders])

        def read(body: bytes, ts_recv: int) -> list[Order | UnitapeError | None]:
            return list(cancels(read_verdicts(body), orders))

        fields = {f"{name}s": values}
        return self._ask("cancel_many", "DELETE", _BATCH, Cost(5, 10, cancels=len(orders)), read, fields=fields)

    def cancel_all(self, symbol: str | None) -> Query[list[Order]]:
        """Cancel all orders of a symbol; the answer only acknowledges. Reading raises what kept one from it."""

        def read(body: bytes, ts_recv: int) -> list[Order]:
            canceled_all(read_verdicts(body))
            return []

        query = {"symbol": self._needed(symbol, "cancel_all")}
        return self._ask("cancel_all", "DELETE", _OPEN, Cost(1, 1, cancels=1), read, query=query)

    def cancel_all_conditional(self, symbol: str | None) -> None:
        """Spot has no conditional orders."""
        return

    def amend(self, change: Amendment) -> Query[Order]:
        """Orders cannot be changed."""
        raise Unsupported("weex cannot change an order; cancel it and place another")

    def order(self, order: OrderRef) -> Query[Order]:
        """Ask for one order."""

        def read(body: bytes, ts_recv: int) -> Order:
            return spot_order(_row(body), self._instruments, "query", ts_recv)

        return self._ask("order", "GET", _ORDER, Cost(2, 2), read, query=_named(order))

    def open_orders(self, symbol: str | None = None) -> Query[list[Order]]:
        """Ask for open orders, of all symbols without one."""
        query = {"symbol": self._raw_or_none(symbol)}
        return self._ask("open_orders", "GET", _OPEN, Cost(3, 3), self._read_orders, query=query)

    def open_conditional(self, symbol: str | None = None) -> None:
        """Spot has no conditional orders."""
        return

    def order_history(
        self,
        symbol: str | None,
        *,
        start: int | None = None,
        end: int | None = None,
        limit: int | None = None,
        page: int = 0,
    ) -> Query[list[Order]]:
        """Ask for orders of a time range, oldest first. ``page`` counts from 0, the venue from 1."""
        query = {
            "symbol": self._needed(symbol, "order_history"),
            **time_range(start, end, None),
            "limit": row_limit(limit, _MOST_ORDERS),
            "page": page + _FIRST_PAGE,
        }
        return self._ask("order_history", "GET", _ALL, Cost(10, 10), self._read_orders, query=query)

    def fills(
        self,
        symbol: str | None,
        *,
        order_id: str | None = None,
        start: int | None = None,
        end: int | None = None,
        limit: int | None = None,
    ) -> Query[list[Fill]]:
        """Ask for your executions, oldest first, or for those of one order."""
        query = {
            "symbol": self._needed(symbol, "fills"),
            "orderId": None if order_id is None else order_number(order_id),
            **time_range(start, end, None),
            "limit": row_limit(limit, _MOST_TRADES),
        }

        def read(body: bytes, ts_recv: int) -> list[Fill]:
            return fills_oldest_first([spot_fill(row, self._instruments, ts_recv) for row in _trades(body)])

        return self._ask("fills", "GET", _TRADES, Cost(5, 5), read, query=query)

    def balances(self) -> Query[list[Balance]]:
        """Ask for everything you hold."""
        return self._ask("balances", "GET", _ACCOUNT, Cost(5, 5), read_spot_balances)

    def account_flags(self) -> Query[AccountFlags]:
        """Ask what the account may do."""
        return self._ask("account_flags", "GET", _ACCOUNT, Cost(5, 5), read_spot_flags)

    def positions(self, symbol: str | None = None) -> Query[list[Position]]:
        """Spot has no positions."""
        raise Unsupported("spot has balances, not positions")

    def set_leverage(self, symbol: str, leverage: int) -> Query[None]:
        """Spot has no leverage."""
        raise Unsupported("spot has no leverage")

    def set_margin_mode(self, symbol: str, mode: MarginMode) -> Query[None]:
        """Spot has no margin."""
        raise Unsupported("spot has no margin modes")

    def set_position_mode(self, mode: PositionMode) -> Query[None]:
        """Spot has no positions."""
        raise Unsupported("spot has no position modes")

    def close_position(self, symbol: str, side: PositionSide) -> Query[None]:
        """Spot has no positions."""
        raise Unsupported("spot has no positions to close")

    def _read_orders(self, body: bytes, ts_recv: int) -> list[Order]:
        return oldest_first([spot_order(row, self._instruments, "query", ts_recv) for row in _rows(body)])

    def _fields(self, order: NewOrder) -> dict[str, str | None]:
        self._refuse(order)
        limited = order.kind == "limit"
        fields = {
            "side": SIDES[order.side],
            "type": PLAIN_KINDS[order.kind],
            "timeInForce": TIFS[order.tif or "gtc"] if limited else None,
            "quantity": plain_or_none(order.size),
            "price": plain_or_none(order.price),
            "newClientOrderId": order.client_id,
        }
        return {name: value for name, value in fields.items() if value is not None}

    def _refuse(self, order: NewOrder) -> None:
        """Refuse what the market cannot say, so that nothing of an order is left out in silence."""
        if order.kind not in PLAIN_KINDS:
            raise Unsupported("weex spot has no conditional orders")
        if order.reduce_only or order.position_side is not None:
            raise Unsupported("spot has no positions; leave out reduce_only and position_side")
        if order.take_profit is not None or order.stop_loss is not None:
            raise Unsupported("weex spot attaches no take-profit or stop-loss")
        check_shape(order)
        if order.tif == "post_only" and not self._options.spot_post_only:
            raise Unsupported("the pages of weex spot name no post-only orders; the option spot_post_only sends them")


def _named(order: OrderRef) -> dict[str, str | int | None]:
    if order.conditional:
        raise Unsupported("weex spot has no conditional orders")
    if order.id is not None:
        return {"orderId": order_number(order.id)}
    if order.client_id is None:
        raise ConfigError("an order is named by its id or by its client id")
    return {"origClientOrderId": order.client_id}


def _one_symbol(symbols: Sequence[str]) -> str:
    if len(set(symbols)) != 1:
        raise ConfigError("weex spot takes orders of one symbol in one request")
    return symbols[0]
