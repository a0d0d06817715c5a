"""Futures trading: place, cancel, amend and ask for orders and executions, one by one and in batches.

From "Account and trading endpoints" of MEXC Contract V1 (2026-11). Sizes travel in whole contracts. Conditional
orders have endpoints of their own: see ``plans``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final
from urllib.parse import quote

import msgspec
from msgspec import Raw, Struct

from unitape.errors import ConfigError, OrderNotFound, UnitapeError, Unsupported
from unitape.spi import MILLISECOND, Amendment, Instruments, NewOrder, OrderRef, Query, TradingSettings, TradingSpec
from unitape_mexc.amounts import contracts
from unitape_mexc.bodies import VENUE
from unitape_mexc.capabilities import futures_spec
from unitape_mexc.errors import futures_row_error
from unitape_mexc.order_rows_futures import Created, FuturesReader, FuturesRow, FuturesTrade, Page, accepted_futures
from unitape_mexc.plans import PlanQueries
from unitape_mexc.private import (
    MOST_ROWS,
    Data,
    Parameters,
    check_batch,
    check_shape,
    json_number,
    oldest_first,
    row_limit,
    time_range,
)
from unitape_mexc.words import (
    CONDITIONAL_KINDS,
    FUTURES_TYPES,
    HEDGE_SIDES,
    LIMIT_KINDS,
    MARGIN_CODES,
    MARKET_TYPES,
    ONE_WAY_SIDES,
    POSITION_MODES,
    REDUCING,
    TRENDS,
)
from unitape_schemas import Fill, Order

__all__ = ["FuturesTrading"]

_TIMES: Final = ("start_time", "end_time")
_COUNTED: Final = (("orders", 1),)
_DONE: Final = 0
_ATTACHED_TRENDS: Final[Mapping[str, int]] = {str(name): code for name, code in TRENDS.items()}


class _Item(Struct, gc=False, rename="camel"):
    """One order's part of the answer to a batch."""

    error_code: int = 0
    error_msg: str | None = None
    order_id: str | int | None = None
    external_oid: str | None = None


_created = msgspec.json.Decoder(Data[str | int | Created], strict=False).decode
_new_id = msgspec.json.Decoder(Data[str | int]).decode
_row = msgspec.json.Decoder(Data[FuturesRow | None], strict=False).decode
_rows = msgspec.json.Decoder(Data[list[FuturesRow] | Page[FuturesRow] | None], strict=False).decode
_trades = msgspec.json.Decoder(Data[list[FuturesTrade] | Page[FuturesTrade] | None], strict=False).decode
_items = msgspec.json.Decoder(Data[list[_Item]]).decode
_parts = msgspec.json.Decoder(dict[str, Raw]).decode
_listed = msgspec.json.Decoder(list[_Item]).decode


class FuturesTrading(PlanQueries):
    """The private side of futures; see ``unitape.spi.Trading``."""

    def __init__(self, instruments: Instruments, settings: TradingSettings) -> None:
        super().__init__(instruments, settings)
        self._spec = futures_spec(self._options)
        self._reader = FuturesReader(instruments, settings.position_mode)

    @property
    def spec(self) -> TradingSpec:
        """What futures can do."""
        return self._spec

    # Placing ---------------------------------------------------------------------------------------------------------

    def place(self, order: NewOrder) -> Query[Order]:
        """Place one order. The answer has no status: an accepted order is ``pending``, a conditional one ``open``."""
        body = self._body(order)
        if order.kind in CONDITIONAL_KINDS:
            return self._place_plan(order, body)

        def read(body: bytes, ts_recv: int) -> Order:
            data = _created(body).data
            made = data if isinstance(data, Created) else Created(data)
            if not made.order_id:
                raise ValueError("the answer names no order")
            return accepted_futures(str(made.order_id), order, made.ts * MILLISECOND, ts_recv)

        path = f"order/{self._options['order_path']}"
        return self._post("place", path, body, read, also=_COUNTED, client_id=order.client_id)

    def validate(self, order: NewOrder) -> Query[None]:
        """Unsupported."""
        raise Unsupported("mexc futures cannot check an order without placing it")

    def place_many(self, orders: Sequence[NewOrder]) -> Query[list[Order | UnitapeError]]:
        """Place up to 50 orders. Some may be refused while the others stand."""
        check_batch(len(orders), self._spec.batch_place, "place")
        if any(order.kind in CONDITIONAL_KINDS for order in orders):
            raise Unsupported("conditional orders of mexc are placed one by one")

        def read(body: bytes, ts_recv: int) -> list[Order | UnitapeError]:
            items = _items(body).data
            if len(items) != len(orders):
                raise ValueError(f"{len(items)} results for {len(orders)} orders")
            return [_placed(item, order, ts_recv) for item, order in zip(items, orders, strict=True)]

        also = (("orders", 1), ("batches", 1))
        return self._post("place_many", "order/submit_batch", [self._body(order) for order in orders], read, also=also)

    def amend(self, change: Amendment) -> Query[Order]:
        """Change an open limit order: the venue replaces it by one of another id, which the result has."""
        order = change.order
        if order.conditional:
            raise Unsupported("a conditional order cannot be amended here; cancel it and place another")
        if order.id is None:
            raise Unsupported("mexc futures amends an order by its id, not by its client id")
        if change.size is None or change.price is None or change.side is None:
            raise ConfigError("mexc futures amends an order by its side, size and price together")
        renewed = NewOrder(order.symbol, change.side, "limit", order.client_id or "", change.size, price=change.price)
        body = {
            "orderId": _number(order.id),
            "price": json_number(change.price),
            "vol": contracts(change.size, self._instrument(order.symbol)),
        }

        def read(body: bytes, ts_recv: int) -> Order:
            found = _new_id(body).data
            if not found:
                raise ValueError("the answer names no order")
            made = accepted_futures(str(found), renewed, 0, ts_recv)
            # Nothing is said about time in force, reduce-only, position or client id of the new order.
            return msgspec.structs.replace(made, client_id=None, tif=None, reduce_only=None)

        return self._post("amend", "order/change_limit_order", body, read, also=_COUNTED, client_id=order.client_id)

    # Canceling -------------------------------------------------------------------------------------------------------

    def cancel(self, order: OrderRef) -> Query[Order | None]:
        """Cancel one order; the answer only acknowledges."""
        if order.conditional:
            return self._cancel_plan(order)
        if order.id is not None:

            def read(body: bytes, ts_recv: int) -> Order | None:
                _raise_if(_canceled(_items(body).data, [order])[0])
                return None

            return self._post("cancel", "order/cancel", [_number(order.id)], read, client_id=order.client_id)
        named = self._external(order)

        def read_external(body: bytes, ts_recv: int) -> Order | None:
            # Documented as a mere success; another client gets one item per order.
            data = _parts(body).get("data")
            if data is not None and bytes(data)[:1] == b"[":
                _raise_if(_canceled(_listed(data), [order])[0])
            return None

        body: object = [named] if self._options["cancel_external"] == "array" else named
        return self._post("cancel", "order/cancel_with_external", body, read_external, client_id=order.client_id)

    def cancel_many(self, orders: Sequence[OrderRef]) -> Query[list[Order | UnitapeError | None]]:
        """Cancel up to 50 orders, all named by id or all by client id."""
        check_batch(len(orders), self._spec.batch_cancel, "cancel")
        if any(order.conditional for order in orders):
            raise Unsupported("one request cancels ordinary orders")
        ids = [_number(order.id) for order in orders if order.id is not None]
        if ids and len(ids) < len(orders):
            raise ConfigError("one request names its orders all by id or all by client id")

        def read(body: bytes, ts_recv: int) -> list[Order | UnitapeError | None]:
            return list(_canceled(_items(body).data, orders))

        if ids:
            return self._post("cancel_many", "order/cancel", ids, read)
        named = [self._external(order) for order in orders]
        return self._post("cancel_many", "order/batch_cancel_with_external", named, read)

    def cancel_all(self, symbol: str | None) -> Query[list[Order]]:
        """Cancel the ordinary orders of a symbol, or of the account; the answer only acknowledges."""

        def read(body: bytes, ts_recv: int) -> list[Order]:
            _parts(body)
            return []

        body = {} if symbol is None else {"symbol": self._raw(symbol)}
        return self._post("cancel_all", "order/cancel_all", body, read)

    # Asking ----------------------------------------------------------------------------------------------------------

    def order(self, order: OrderRef) -> Query[Order]:
        """Ask for one order."""
        if order.conditional:
            return self._ask_plan(order)

        def read(body: bytes, ts_recv: int) -> Order:
            row = _row(body).data
            if row is None:
                raise OrderNotFound(f"no order {order.id or order.client_id} of {order.symbol}", venue=VENUE)
            return self._reader.order(row, ts_recv)

        if order.id is not None:
            return self._get("order", f"order/get/{_number(order.id)}", {}, read)
        named = self._external(order)
        path = f"order/external/{named['symbol']}/{quote(named['externalOid'], safe='')}"
        return self._get("order", path, {}, read)

    def open_orders(self, symbol: str | None = None) -> Query[list[Order]]:
        """Ask for open ordinary orders, of all symbols without one, in pages of 100."""
        named: Parameters = {"symbol": self._raw_or_none(symbol)}
        return self._pages("open_orders", "order/list/open_orders", named, self._read_orders)

    def order_history(
        self, symbol: str | None, *, start: int | None = None, end: int | None = None, limit: int | None = None
    ) -> Query[list[Order]]:
        """Ask for ordinary orders of at most 90 days, oldest first; without bounds the newest of 7 days."""
        state = self._options["history_state"]
        parameters = {
            "symbol": self._raw_or_none(symbol),
            "states": None if state == "all" else state,
            **time_range(start, end, 90, _TIMES),
            "page_num": 1,
            "page_size": row_limit(limit, MOST_ROWS),
        }
        return self._get("order_history", "order/list/history_orders", parameters, self._read_orders)

    def fills(
        self,
        symbol: str | None,
        *,
        order_id: str | None = None,
        start: int | None = None,
        end: int | None = None,
        limit: int | None = None,
    ) -> Query[list[Fill]]:
        """Ask for your executions of at most 90 days, oldest first; of one order all, within the bounds given."""
        bounds = time_range(start, end, 90, _TIMES)

        def read(body: bytes, ts_recv: int) -> list[Fill]:
            data = _trades(body).data
            rows = (data.result_list if isinstance(data, Page) else data) or []
            found = [self._reader.fill(row, ts_recv) for row in rows]
            if order_id is not None:
                found = [fill for fill in found if _within(fill.ts_event // MILLISECOND, bounds)]
            return oldest_first(found, lambda fill: fill.ts_event)

        if order_id is not None:
            named = {"symbol": self._raw_or_none(symbol)}
            return self._get("fills", f"order/deal_details/{_number(order_id)}", named, read)
        parameters = {
            "symbol": self._raw_or_none(symbol),
            **bounds,
            "page_num": 1,
            "page_size": row_limit(limit, MOST_ROWS),
        }
        older = self._options["fills_path"] == "plain"
        return self._get("fills", f"order/list/order_deals{'' if older else '/v3'}", parameters, read)

    # Inside ----------------------------------------------------------------------------------------------------------

    def _read_orders(self, body: bytes, ts_recv: int) -> list[Order]:
        data = _rows(body).data
        rows = (data.result_list if isinstance(data, Page) else data) or []
        found = [self._reader.order(row, ts_recv) for row in rows]
        return oldest_first(found, lambda order: order.ts_created)

    def _external(self, order: OrderRef) -> dict[str, str]:
        if order.client_id is None:
            raise ConfigError("an order is named by its id or by its client id")
        return {"symbol": self._raw(order.symbol), "externalOid": order.client_id}

    def _body(self, order: NewOrder) -> dict[str, object]:
        """Return what the bodies of ordinary and conditional orders have in common, and the client id of the former."""
        check_shape(order)
        if order.size is None:
            raise Unsupported("mexc futures takes orders by size, not by cost")
        instrument = self._instrument(order.symbol)
        side = self._side(order)
        settings = self._settings
        if settings.leverage is None and settings.margin_mode == "isolated" and side not in REDUCING:
            raise ConfigError("an order that opens an isolated position carries its leverage: set it in the settings")
        conditional = order.kind in CONDITIONAL_KINDS
        one_way = settings.position_mode == "one_way"
        code = FUTURES_TYPES[order.tif or "gtc"] if order.kind in LIMIT_KINDS else MARKET_TYPES[0]
        body: dict[str, object] = {
            "symbol": instrument.raw_symbol,
            "price": json_number(order.price),
            "vol": contracts(order.size, instrument),
            "leverage": settings.leverage,
            "side": side,
            "orderType" if conditional else "type": code,
            "openType": MARGIN_CODES[settings.margin_mode],
            "externalOid": None if conditional else order.client_id,
            "positionMode": POSITION_MODES[settings.position_mode],
            "reduceOnly": True if order.reduce_only and one_way else None,
            **self._attached(order),
        }
        return {name: value for name, value in body.items() if value is not None}

    def _side(self, order: NewOrder) -> int:
        """Return 1 to 4: what is bought or sold, and whether it opens or closes."""
        if self._settings.position_mode == "one_way":
            if order.position_side is not None:
                raise ConfigError("in one-way mode an order names no position side")
            return ONE_WAY_SIDES[self._options["one_way_sides"]][order.side, order.reduce_only]
        if order.position_side is None:
            raise ConfigError("in hedge mode an order names the position side")
        code = HEDGE_SIDES[order.side, order.position_side]
        if order.reduce_only and code not in REDUCING:
            raise ConfigError(f"to {order.side} grows a {order.position_side} position; it cannot be reduce-only")
        return code

    def _attached(self, order: NewOrder) -> dict[str, object]:
        trend = _ATTACHED_TRENDS[self._options["attached_by"]]
        return {
            "stopLossPrice": json_number(order.stop_loss),
            "takeProfitPrice": json_number(order.take_profit),
            "lossTrend": None if order.stop_loss is None else trend,
            "profitTrend": None if order.take_profit is None else trend,
        }


def _placed(item: _Item, order: NewOrder, ts_recv: int) -> Order | UnitapeError:
    if item.external_oid not in (None, order.client_id):
        raise ValueError(f"order {item.external_oid} stands where {order.client_id} should")
    if item.error_code != _DONE:
        return futures_row_error(str(item.error_code), item.error_msg or "no reason given", order.client_id)
    if not item.order_id:
        raise ValueError(f"the answer names no order for {order.client_id}")
    return accepted_futures(str(item.order_id), order, 0, ts_recv)


def _canceled(items: Sequence[_Item], orders: Sequence[OrderRef]) -> list[UnitapeError | None]:
    """Return what became of each cancel, in the order asked."""
    if len(items) != len(orders):
        raise ValueError(f"{len(items)} results for {len(orders)} orders")
    by_id = {str(item.order_id): item for item in items}
    results: list[UnitapeError | None] = []
    for place, order in enumerate(orders):
        # Items of cancels by client id name the venue's ids, which nobody has asked for.
        found = items[place] if order.id is None else by_id.get(order.id)
        if found is None or (order.id is None and found.external_oid not in (None, order.client_id)):
            raise ValueError(f"the answer says nothing about {order.id or order.client_id}")
        text = found.error_msg or "no reason given"
        refused = found.error_code != _DONE
        results.append(futures_row_error(str(found.error_code), text, order.client_id) if refused else None)
    return results


def _raise_if(error: UnitapeError | None) -> None:
    if error is not None:
        raise error


def _within(millis: int, bounds: Mapping[str, int | None]) -> bool:
    start, end = bounds[_TIMES[0]], bounds[_TIMES[1]]
    return (start is None or millis >= start) and (end is None or millis <= end)


def _number(text: str) -> int:
    """Return an order id as the number it is.

    Raises:
        ConfigError: it is none.
    """
    if not (text.isascii() and text.isdigit()):
        raise ConfigError(f"{text!r} is not an order id of mexc futures; a client id goes into client_id")
    return int(text)
