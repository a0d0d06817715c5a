"""Spot trading: place, cancel and ask for orders and executions. There are no triggers, and nothing can be amended.

From "Spot Account/Trade" of MEXC Spot V3 (2026-11).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec
from msgspec import Raw, Struct

from unitape.errors import ConfigError, UnitapeError, Unsupported
from unitape.spi import Amendment, Instruments, NewOrder, OrderRef, Query, TradingSettings, TradingSpec
from unitape_mexc.account import SpotAccount
from unitape_mexc.amounts import plain
from unitape_mexc.capabilities import spot_spec
from unitape_mexc.errors import spot_row_error
from unitape_mexc.order_rows_spot import (
    SpotAck,
    SpotRow,
    SpotTrade,
    accepted_spot,
    canceled_spot,
    spot_fill,
    spot_order,
)
from unitape_mexc.private import Parameters, check_batch, check_shape, limit_price, oldest_first, row_limit, time_range
from unitape_mexc.words import CONDITIONAL_KINDS, SIDE_WORDS, SPOT_TYPES
from unitape_schemas import Fill, Order

__all__ = ["SpotTrading"]

_MOST_ORDERS: Final = 1000
_MOST_FILLS: Final = 100
_TIMES: Final = ("startTime", "endTime")
_COUNTED: Final = (("orders", 1),)


class _Refused(Struct, gc=False, rename="camel"):
    """What stands in a batch's answer in place of an order."""

    code: int | str = 0
    msg: str = ""
    new_client_order_id: str | None = None


_ack = msgspec.json.Decoder(SpotAck, strict=False).decode
_row = msgspec.json.Decoder(SpotRow, strict=False).decode
_rows = msgspec.json.Decoder(list[SpotRow], strict=False).decode
_trades = msgspec.json.Decoder(list[SpotTrade], strict=False).decode
_items = msgspec.json.Decoder(list[Raw]).decode
_refused = msgspec.json.Decoder(_Refused).decode
_anything = msgspec.json.Decoder(dict[str, Raw]).decode


class SpotTrading(SpotAccount):
    """The private side of spot; see ``unitape.spi.Trading``."""

    def __init__(self, instruments: Instruments, settings: TradingSettings) -> None:
        super().__init__(instruments, settings)
        self._spec = spot_spec(self._options)

    @property
    def spec(self) -> TradingSpec:
        """What spot can do."""
        return self._spec

    # Placing ---------------------------------------------------------------------------------------------------------

    def place(self, order: NewOrder) -> Query[Order]:
        """Place one order. The answer has no status: an accepted order is ``pending``."""

        def read(body: bytes, ts_recv: int) -> Order:
            return accepted_spot(_ack(body), order, ts_recv)

        parameters = self._parameters(order)
        return self._ask("place", "POST", "order", parameters, read, also=_COUNTED, client_id=order.client_id)

    def validate(self, order: NewOrder) -> Query[None]:
        """Have an order checked without placing it."""

        def read(body: bytes, ts_recv: int) -> None:
            _anything(body)

        return self._ask("validate", "POST", "order/test", self._parameters(order), read, write=False)

    def place_many(self, orders: Sequence[NewOrder]) -> Query[list[Order | UnitapeError]]:
        """Place up to 20 orders of one symbol. Some may be refused while the others stand."""
        check_batch(len(orders), self._spec.batch_place, "place")
        if len({order.symbol for order in orders}) > 1:
            raise Unsupported("one request places orders of one symbol")
        rows = [self._batch_row(order) for order in orders]

        def read(body: bytes, ts_recv: int) -> list[Order | UnitapeError]:
            items = _items(body)
            if len(items) != len(orders):
                raise ValueError(f"{len(items)} results for {len(orders)} orders")
            return [_placed(item, order, ts_recv) for item, order in zip(items, orders, strict=True)]

        parameters = {"batchOrders": msgspec.json.encode(rows).decode()}
        also = (("orders", len(orders)), ("slow", 1))
        return self._ask("place_many", "POST", "batchOrders", parameters, read, weight=10, also=also)

    def amend(self, change: Amendment) -> Query[Order]:
        """Unsupported."""
        raise Unsupported("mexc spot cannot amend orders; cancel and place another")

    # Canceling -------------------------------------------------------------------------------------------------------

    def cancel(self, order: OrderRef) -> Query[Order | None]:
        """Cancel one order; None where the answer only accepts it."""

        def read(body: bytes, ts_recv: int) -> Order | None:
            return canceled_spot(_row(body), self._symbol_of, ts_recv)

        parameters = self._named(order)
        return self._ask("cancel", "DELETE", "order", parameters, read, also=_COUNTED, client_id=order.client_id)

    def cancel_many(self, orders: Sequence[OrderRef]) -> Query[list[Order | UnitapeError | None]]:
        """Unsupported."""
        raise Unsupported("mexc spot cancels orders one by one, or all of a symbol")

    def cancel_all(self, symbol: str | None) -> Query[list[Order]]:
        """Cancel all orders of a symbol; those come back whose end the answer tells."""
        if symbol is None:
            return self._cancel_account()

        def read(body: bytes, ts_recv: int) -> list[Order]:
            found = (canceled_spot(row, self._symbol_of, ts_recv) for row in _rows(body))
            return [order for order in found if order is not None]

        parameters = {"symbol": self._raw(symbol)}
        return self._ask("cancel_all", "DELETE", "openOrders", parameters, read, also=_COUNTED)

    def cancel_all_conditional(self, symbol: str | None) -> Query[list[Order]] | None:
        """None: there are no conditional orders."""
        return None

    # Asking ----------------------------------------------------------------------------------------------------------

    def order(self, order: OrderRef) -> Query[Order]:
        """Ask for one order."""

        def read(body: bytes, ts_recv: int) -> Order:
            return spot_order(_row(body), self._symbol_of, "query", ts_recv)

        return self._ask("order", "GET", "order", self._named(order), read, weight=2)

    def open_orders(self, symbol: str | None = None) -> Query[list[Order]]:
        """Ask for the open orders of a symbol, all of them."""
        parameters = {"symbol": self._needed(symbol, "open orders")}
        return self._ask("open_orders", "GET", "openOrders", parameters, self._read_orders, weight=3)

    def open_conditional(self, symbol: str | None = None) -> Query[list[Order]] | None:
        """None: there are no conditional orders."""
        return None

    def order_history(
        self, symbol: str | None, *, start: int | None = None, end: int | None = None, limit: int | None = None
    ) -> Query[list[Order]]:
        """Ask for orders of the last 7 days, oldest first; without bounds those of the last day."""
        parameters = {
            "symbol": self._needed(symbol, "the order history"),
            **time_range(start, end, 7, _TIMES),
            "limit": row_limit(limit, _MOST_ORDERS),
        }
        return self._ask("order_history", "GET", "allOrders", parameters, self._read_orders, weight=10)

    def fills(
        self,
        symbol: str | None,
        *,
        order_id: str | None = None,
        start: int | None = None,
        end: int | None = None,
        limit: int | None = None,
    ) -> Query[list[Fill]]:
        """Ask for your executions of the last month, at most 100, oldest first; of one order if given."""
        parameters = {
            "symbol": self._needed(symbol, "fills"),
            "orderId": order_id,
            **time_range(start, end, 31, _TIMES),
            "limit": row_limit(limit, _MOST_FILLS),
        }

        def read(body: bytes, ts_recv: int) -> list[Fill]:
            found = [spot_fill(row, self._symbol_of, ts_recv) for row in _trades(body)]
            return oldest_first(found, lambda fill: fill.ts_event)

        return self._ask("fills", "GET", "myTrades", parameters, read, weight=10)

    # Inside ----------------------------------------------------------------------------------------------------------

    def _read_orders(self, body: bytes, ts_recv: int) -> list[Order]:
        found = [spot_order(row, self._symbol_of, "query", ts_recv) for row in _rows(body)]
        return oldest_first(found, lambda order: order.ts_created)

    def _cancel_account(self) -> Query[list[Order]]:
        if self._spec.cancel_all != "account":
            raise Unsupported("mexc spot cancels symbol by symbol; cancel_all=account tries its newer request")

        def read(body: bytes, ts_recv: int) -> list[Order]:
            _anything(body)
            return []

        return self._ask("cancel_all", "DELETE", "order/all", {}, read, also=_COUNTED)

    def _named(self, order: OrderRef) -> Parameters:
        """Return the parameters that name an order."""
        if order.conditional:
            raise Unsupported("mexc spot has no conditional orders")
        if order.id is None and order.client_id is None:
            raise ConfigError("an order is named by its id or by its client id")
        by_client = order.client_id if order.id is None else None
        return {"symbol": self._raw(order.symbol), "orderId": order.id, "origClientOrderId": by_client}

    def _parameters(self, order: NewOrder) -> dict[str, str | int | None]:
        self._refuse(order)
        if order.kind == "market":
            word, price = "MARKET", None
        else:
            word, price = SPOT_TYPES[order.tif or "gtc"], plain(limit_price(order))
        return {
            "symbol": self._raw(order.symbol),
            "side": SIDE_WORDS[order.side],
            "type": word,
            "quantity": None if order.size is None else plain(order.size),
            "quoteOrderQty": None if order.cost is None else plain(order.cost),
            "price": price,
            "newClientOrderId": order.client_id,
        }

    def _batch_row(self, order: NewOrder) -> dict[str, str | int]:
        row = {name: value for name, value in self._parameters(order).items() if value is not None}
        if row["type"] == "LIMIT":
            row["type"] = self._options["batch_limit_word"]
        return row

    def _refuse(self, order: NewOrder) -> None:
        """Refuse what spot has not."""
        if order.kind in CONDITIONAL_KINDS:
            raise Unsupported("mexc spot has no conditional orders by API")
        if order.reduce_only or order.position_side is not None:
            raise Unsupported("spot has no positions: neither reduce_only nor position_side")
        if order.take_profit is not None or order.stop_loss is not None:
            raise Unsupported("mexc spot attaches no take-profit or stop-loss")
        check_shape(order)
        if order.cost is not None and order.side not in self._spec.sides_by_cost:
            raise Unsupported("mexc spot sells by cost only with the option sell_by_cost=allow")


def _placed(item: Raw, order: NewOrder, ts_recv: int) -> Order | UnitapeError:
    refused = _refused(item)
    if refused.new_client_order_id not in (None, order.client_id):
        raise ValueError(f"order {refused.new_client_order_id} stands where {order.client_id} should")
    if str(refused.code) not in ("0", "200"):
        return spot_row_error(str(refused.code), refused.msg, order.client_id)
    return accepted_spot(_ack(item), order, ts_recv)
