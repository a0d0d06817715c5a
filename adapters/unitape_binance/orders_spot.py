"""Spot trading: place, cancel, amend and ask for orders and executions.

From "Trading endpoints" and "Account endpoints" of binance-spot-api-docs (2026-07).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec
from msgspec import Raw, Struct

from unitape.errors import ConfigError, OrderNotFound, UnitapeError, Unsupported
from unitape.spi import (
    MILLISECOND,
    AccountFlags,
    Amendment,
    HttpResponse,
    Instruments,
    NewOrder,
    OrderRef,
    PositionMode,
    Query,
    Replaced,
    TradingSettings,
    TradingSpec,
    WireMillis,
)
from unitape_binance.account import read_spot_balances, read_spot_flags
from unitape_binance.cancel_replace import replace_query
from unitape_binance.capabilities import SPOT_TRADING
from unitape_binance.order_rows import SpotAck, SpotRow, SpotTrade, acknowledged, spot_fill, spot_order
from unitape_binance.private import HOUR, PrivateQueries, check_shape, limit_price, order_number, page, plain_or_none
from unitape_binance.words import LIMIT_KINDS, SIDES, SPOT_KINDS, TIFS
from unitape_schemas import Balance, Fill, MarginMode, Order, Position, PositionSide

__all__ = ["SpotTrading"]

_ORDER: Final = "/api/v3/order"
_TEST: Final = "/api/v3/order/test"
_AMEND: Final = "/api/v3/order/amend/keepPriority"
_OPEN: Final = "/api/v3/openOrders"
_ALL: Final = "/api/v3/allOrders"
_TRADES: Final = "/api/v3/myTrades"
_ACCOUNT: Final = "/api/v3/account"

_COUNTS: Final = (("orders", 1), ("orders_day", 1))


class _Amended(Struct, gc=False, rename="camel"):
    transact_time: WireMillis
    amended_order: SpotRow


class _Canceled(Struct, gc=False, rename="camel"):
    """A row of a mass cancel may be a whole order list, which carries its orders."""

    order_reports: tuple[SpotRow, ...] | None = None


_ack = msgspec.json.Decoder(SpotAck, strict=False).decode
_row = msgspec.json.Decoder(SpotRow, strict=False).decode
_rows = msgspec.json.Decoder(list[SpotRow], strict=False).decode
_trades = msgspec.json.Decoder(list[SpotTrade], strict=False).decode
_raw_rows = msgspec.json.Decoder(list[Raw]).decode
_canceled = msgspec.json.Decoder(_Canceled, strict=False).decode
_amended = msgspec.json.Decoder(_Amended, strict=False).decode
_anything = msgspec.json.Decoder(dict[str, Raw]).decode


class SpotTrading(PrivateQueries):
    """The private side of spot; see ``unitape.spi.Trading``."""

    def __init__(self, instruments: Instruments, settings: TradingSettings) -> None:
        super().__init__(instruments, settings, "spot")

    @property
    def spec(self) -> TradingSpec:
        """What spot can do."""
        return SPOT_TRADING

    def place(self, order: NewOrder) -> Query[Order]:
        """Place one order; the answer tells its state, not its fills."""

        def read(body: bytes, ts_recv: int) -> Order:
            ack = _ack(body)
            if ack.status is None:
                return acknowledged(ack, order, ts_recv)
            return spot_order(_row(body), self._symbol_of, "answer", ts_recv, placed=True)

        parameters = self._parameters(order)
        return self._ask("place", "POST", _ORDER, parameters, read, also=_COUNTS, client_id=order.client_id)

    def validate(self, order: NewOrder) -> Query[None]:
        """Have an order checked without placing it."""

        def read(body: bytes, ts_recv: int) -> None:
            _anything(body)

        return self._ask("validate", "POST", _TEST, self._parameters(order), read, write=False)

    def place_many(self, orders: Sequence[NewOrder]) -> Query[list[Order | UnitapeError]]:
        """Spot has no batches."""
        raise Unsupported("spot places one order per request")

    def cancel(self, order: OrderRef) -> Query[Order | None]:
        """Cancel one order."""

        def read(body: bytes, ts_recv: int) -> Order | None:
            return spot_order(_row(body), self._symbol_of, "answer", ts_recv)

        return self._ask("cancel", "DELETE", _ORDER, self._named(order), read, client_id=order.client_id)

    def cancel_many(self, orders: Sequence[OrderRef]) -> Query[list[Order | UnitapeError | None]]:
        """Spot has no batches."""
        raise Unsupported("spot cancels one order per request, or all of a symbol")

    def cancel_all(self, symbol: str | None) -> Query[list[Order]]:
        """Cancel all orders of a symbol, order lists included; empty where nothing was open."""

        def read(body: bytes, ts_recv: int) -> list[Order]:
            rows: list[SpotRow] = []
            for raw in _raw_rows(body):
                reports = _canceled(raw).order_reports
                rows.extend([_row(raw)] if reports is None else reports)
            return [spot_order(row, self._symbol_of, "answer", ts_recv) for row in rows]

        query = self._ask("cancel_all", "DELETE", _OPEN, {"symbol": self._needed(symbol, "cancel_all")}, read)

        def read_or_nothing(response: HttpResponse, ts_recv: int) -> list[Order]:
            try:
                return query.read(response, ts_recv)
            except OrderNotFound:
                return []

        return Query(query.name, query.request, read_or_nothing)

    def cancel_all_conditional(self, symbol: str | None) -> None:
        """Conditional orders are among the others here."""
        return

    def replace(self, old: OrderRef, new: NewOrder) -> Query[Replaced]:
        """Cancel one order and, only if that succeeds, place another."""
        if old.symbol != new.symbol:
            raise ConfigError(f"an order of {old.symbol} cannot make way for one of {new.symbol}")
        return replace_query(self._ask, self._named(old), self._parameters(new), self._symbol_of, new.client_id)

    def amend(self, change: Amendment) -> Query[Order]:
        """Make an order smaller; it keeps its place in the queue."""
        if change.price is not None:
            raise Unsupported("spot can only make an order smaller; cancel it and place another for a new price")
        if change.size is None:
            raise ConfigError("the amendment changes nothing")
        parameters = {
            **self._named(change.order),
            "newQty": plain_or_none(change.size),
            # Without it the venue would invent a new client id, and the order could not be found by its own.
            "newClientOrderId": change.order.client_id,
        }

        def read(body: bytes, ts_recv: int) -> Order:
            answer = _amended(body)
            ts = answer.transact_time * MILLISECOND
            return spot_order(answer.amended_order, self._symbol_of, "answer", ts_recv, ts=ts)

        return self._ask("amend", "PUT", _AMEND, parameters, read, weight=4, client_id=change.order.client_id)

    def order(self, order: OrderRef) -> Query[Order]:
        """Ask for one order."""

        def read(body: bytes, ts_recv: int) -> Order:
            return spot_order(_row(body), self._symbol_of, "query", ts_recv)

        return self._ask("order", "GET", _ORDER, self._named(order), read, weight=4)

    def open_orders(self, symbol: str | None = None) -> Query[list[Order]]:
        """Ask for open orders, of all symbols without one."""
        parameters = {"symbol": None if symbol is None else self._raw(symbol)}
        weight = 80 if symbol is None else 6
        return self._ask("open_orders", "GET", _OPEN, parameters, self._read_orders, weight=weight)

    def open_conditional(self, symbol: str | None = None) -> None:
        """Conditional orders are among the others here."""
        return

    def order_history(
        self, symbol: str | None, *, start: int | None = None, end: int | None = None, limit: int | None = None
    ) -> Query[list[Order]]:
        """Ask for orders of at most 24 hours, oldest first; without bounds the newest."""
        parameters = {"symbol": self._needed(symbol, "order_history"), **page(start, end, limit, 24 * HOUR)}
        return self._ask("order_history", "GET", _ALL, parameters, self._read_orders, weight=20)

    def fills(
        self,
        symbol: str | None,
        *,
        order_id: str | None = None,
        start: int | None = None,
        end: int | None = None,
        limit: int | None = None,
    ) -> Query[list[Fill]]:
        """Ask for your executions of at most 24 hours, oldest first, or of one order."""
        parameters = {
            "symbol": self._needed(symbol, "fills"),
            "orderId": None if order_id is None else order_number(order_id),
            **page(start, end, limit, 24 * HOUR),
        }

        def read(body: bytes, ts_recv: int) -> list[Fill]:
            return [spot_fill(row, self._symbol_of, ts_recv) for row in _trades(body)]

        return self._ask("fills", "GET", _TRADES, parameters, read, weight=20 if order_id is None else 5)

    def balances(self) -> Query[list[Balance]]:
        """Ask for everything you hold."""
        parameters = {"omitZeroBalances": "true"}
        return self._ask("balances", "GET", _ACCOUNT, parameters, read_spot_balances, weight=20)

    def account_flags(self) -> Query[AccountFlags]:
        """Ask what the account may do."""
        parameters = {"omitZeroBalances": "true"}
        return self._ask("account_flags", "GET", _ACCOUNT, parameters, read_spot_flags, weight=20)

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
        return [spot_order(row, self._symbol_of, "query", ts_recv) for row in _rows(body)]

    def _parameters(self, order: NewOrder) -> dict[str, str | int | None]:
        _refuse(order)
        post_only = order.tif == "post_only"
        timed = order.kind in LIMIT_KINDS and not post_only
        return {
            "symbol": self._raw(order.symbol),
            "side": SIDES[order.side],
            "type": "LIMIT_MAKER" if post_only else SPOT_KINDS[order.kind],
            "timeInForce": TIFS[order.tif or "gtc"] if timed else None,
            "quantity": plain_or_none(order.size),
            "quoteOrderQty": plain_or_none(order.cost),
            "price": plain_or_none(limit_price(order)) if order.kind in LIMIT_KINDS else None,
            "stopPrice": plain_or_none(order.trigger),
            "newClientOrderId": order.client_id,
            "newOrderRespType": "RESULT",
        }


def _refuse(order: NewOrder) -> None:
    """Refuse what the market cannot say, so that nothing of an order is left out in silence."""
    if order.reduce_only or order.position_side is not None:
        raise Unsupported("spot has no positions; leave out reduce_only and position_side")
    if order.take_profit is not None or order.stop_loss is not None:
        raise Unsupported("attached orders are not served on spot")
    if order.trigger_by not in (None, "last"):
        raise Unsupported("spot compares triggers with the last price only")
    if order.tif == "gtd" or order.expires is not None:
        raise Unsupported("spot orders do not expire by time")
    if order.tif == "post_only" and order.kind != "limit":
        raise Unsupported("post-only is for limit orders alone")
    check_shape(order)
