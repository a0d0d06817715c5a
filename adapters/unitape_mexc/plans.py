"""Conditional orders of futures: plan orders, on endpoints of their own, with ids of their own and no client ids.

The venue takes no client id for a plan order, so none is sent, and what is read of one has None. The order returned by
``place`` keeps yours: note the id that stands beside it, as plan orders are asked for and canceled by id alone.

The take-profits and stop-losses of a position, named ``tp-<id>`` and ``sl-<id>``, are asked for and canceled here, too.
They protect what is held: neither the list of open conditional orders nor its cancel-all touches them.

From "Trigger orders" and "Stop orders" of MEXC Contract V1 (2026-11).
"""

from __future__ import annotations

from typing import Final

import msgspec
from msgspec import Struct

from unitape.errors import OrderNotFound, Unsupported
from unitape.spi import NewOrder, OrderRef, Query
from unitape_mexc.account import FuturesAccount, done
from unitape_mexc.bodies import VENUE
from unitape_mexc.order_rows_futures import FuturesReader, Page, PlanRow, accepted_futures
from unitape_mexc.order_rows_stops import StopRow, stop_number, stop_orders
from unitape_mexc.private import MOST_ROWS, Data, Parameters, json_number, oldest_first, row_limit, time_range
from unitape_mexc.words import PLAN_CYCLES, PLAN_KINDS, TRENDS
from unitape_schemas import Order

__all__ = ["PlanQueries"]

_WAITING: Final = 1
_PLACED: Final = (("orders", 1),)
_TIMES: Final = ("start_time", "end_time")


class _Created(Struct, gc=False, rename="camel"):
    id: str | int | None = None
    order_id: str | int | None = None


_created = msgspec.json.Decoder(Data[str | int | _Created]).decode
_stop = msgspec.json.Decoder(Data[StopRow | None], strict=False).decode
_plans = msgspec.json.Decoder(Data[list[PlanRow] | Page[PlanRow] | None], strict=False).decode


class PlanQueries(FuturesAccount):
    """The part of futures trading that concerns conditional orders."""

    _reader: FuturesReader

    def open_conditional(self, symbol: str | None = None) -> Query[list[Order]]:
        """Ask for plan orders that wait, of all symbols without one, in pages of 100. They have no client ids."""

        def read(body: bytes, ts_recv: int) -> list[Order]:
            return [self._reader.plan(row, ts_recv) for row in _rows(body)]

        named: Parameters = {"symbol": self._raw_or_none(symbol), "states": _WAITING}
        return self._pages("open_conditional", "planorder/list/orders", named, read)

    def conditional_history(
        self, symbol: str | None, *, start: int | None = None, end: int | None = None, limit: int | None = None
    ) -> Query[list[Order]]:
        """Ask for plan orders in every state of at most 90 days, oldest first; without bounds the newest."""

        def read(body: bytes, ts_recv: int) -> list[Order]:
            found = [self._reader.plan(row, ts_recv) for row in _rows(body)]
            return oldest_first(found, lambda order: order.ts_created)

        named: Parameters = {
            "symbol": self._raw_or_none(symbol),
            **time_range(start, end, 90, _TIMES),
            "page_num": 1,
            "page_size": row_limit(limit, MOST_ROWS),
        }
        return self._get("conditional_history", "planorder/list/orders", named, read)

    def cancel_all_conditional(self, symbol: str | None) -> Query[list[Order]]:
        """Cancel the plan orders of a symbol, or of the account; the answer only acknowledges."""

        def read(body: bytes, ts_recv: int) -> list[Order]:
            done(body, ts_recv)
            return []

        body = {} if symbol is None else {"symbol": self._raw(symbol)}
        return self._post("cancel_all_conditional", "planorder/cancel_all", body, read)

    # Inside ----------------------------------------------------------------------------------------------------------

    def _place_plan(self, order: NewOrder, common: dict[str, object]) -> Query[Order]:
        """Place a conditional order; ``common`` is what every order's body has."""
        kinds = next(code for (side, code), kinds in PLAN_KINDS.items() if side == order.side and order.kind in kinds)
        body = common | {
            "triggerPrice": json_number(order.trigger),
            "triggerType": kinds,
            "executeCycle": PLAN_CYCLES[self._options["plan_cycle"]],
            "trend": TRENDS[order.trigger_by or "last"],
        }

        def read(body: bytes, ts_recv: int) -> Order:
            data = _created(body).data
            found = (data.id or data.order_id) if isinstance(data, _Created) else data
            if not found:
                raise ValueError("the answer names no order")
            return accepted_futures(str(found), order, 0, ts_recv)

        return self._post("place", "planorder/place/v2", body, read, also=_PLACED, client_id=order.client_id)

    def _cancel_plan(self, order: OrderRef) -> Query[Order | None]:
        def read(body: bytes, ts_recv: int) -> Order | None:
            done(body, ts_recv)
            return None

        stop = stop_number(self._plan_id(order))
        if stop is not None:
            named = [{"stopPlanOrderId": stop}]
            return self._post("cancel", "stoporder/cancel", named, read, client_id=order.client_id)
        body = [{"symbol": self._raw(order.symbol), "orderId": self._plan_id(order)}]
        return self._post("cancel", "planorder/cancel", body, read, client_id=order.client_id)

    def _ask_plan(self, order: OrderRef) -> Query[Order]:
        """Look for a conditional order among the newest of its symbol: there is no request for a single one."""
        wanted = self._plan_id(order)
        if stop_number(wanted) is not None:
            return self._ask_stop(order.symbol, wanted)

        def read(body: bytes, ts_recv: int) -> Order:
            rows = _rows(body)
            for row in rows:
                if str(row.id) == wanted:
                    return self._reader.plan(row, ts_recv)
            text = f"no conditional order {wanted} among the newest {len(rows)} of {order.symbol}"
            raise OrderNotFound(text, venue=VENUE)

        named: Parameters = {"symbol": self._raw(order.symbol), "page_num": 1, "page_size": MOST_ROWS}
        return self._get("order", "planorder/list/orders", named, read)

    def _ask_stop(self, symbol: str, wanted: str) -> Query[Order]:
        """Ask for a take-profit or stop-loss of a position."""

        def read(body: bytes, ts_recv: int) -> Order:
            row = _stop(body).data
            legs = [] if row is None else stop_orders(row, self._instruments, self._settings.position_mode, ts_recv)
            for leg in legs:
                if leg.id == wanted and leg.symbol == symbol:
                    return leg
            raise OrderNotFound(f"no conditional order {wanted} of {symbol}", venue=VENUE)

        return self._get("order", f"stoporder/order_details/{stop_number(wanted)}", {}, read)

    def _plan_id(self, order: OrderRef) -> str:
        if order.id is None:
            raise Unsupported("conditional orders of mexc have no client ids: name them by id")
        return order.id


def _rows(body: bytes) -> list[PlanRow]:
    data = _plans(body).data
    return (data.result_list if isinstance(data, Page) else data) or []
