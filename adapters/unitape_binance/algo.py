"""Conditional orders of USDⓈ-M: how they are said, named and read. They have endpoints and ids of their own.

From "Trade REST API", New Algo Order and its kin, of the USDⓈ-M futures (2026-10).
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from msgspec import Struct

from unitape.errors import ConfigError, Unsupported
from unitape.spi import NewOrder, OrderRef
from unitape_binance.order_rows import AlgoRow, algo_order
from unitape_binance.private import check_shape, limit_price, order_number, plain_or_none, success
from unitape_binance.readers import SymbolOf
from unitape_binance.words import ALGO_KINDS, LIMIT_KINDS, SIDES, TIFS, TRIGGERS
from unitape_schemas import Order, Origin

__all__ = ["algo_parameters", "named_algo", "read_algo", "read_algo_or_nothing", "read_algo_rows"]


class _Probe(Struct, gc=False, rename="camel"):
    algo_status: str | None = None


_row = msgspec.json.Decoder(AlgoRow, strict=False).decode
_rows = msgspec.json.Decoder(list[AlgoRow], strict=False).decode
_probe = msgspec.json.Decoder(_Probe, strict=False).decode


def algo_parameters(order: NewOrder, raw: str, position: Mapping[str, str | int | None]) -> dict[str, str | int | None]:
    """Return the parameters that place a conditional order. ``position``: position side or reduce-only flag."""
    _refuse(order)
    limit = order.kind in LIMIT_KINDS
    return {
        "algoType": "CONDITIONAL",
        "symbol": raw,
        "side": SIDES[order.side],
        "type": ALGO_KINDS[order.kind],
        **position,
        "timeInForce": TIFS[order.tif or "gtc"] if limit else None,
        "quantity": plain_or_none(order.size),
        "price": plain_or_none(limit_price(order)) if limit else None,
        "triggerPrice": plain_or_none(order.trigger),
        "workingType": None if order.trigger_by is None else TRIGGERS[order.trigger_by],
        "clientAlgoId": order.client_id,
        "newOrderRespType": "RESULT",
    }


def _refuse(order: NewOrder) -> None:
    if order.take_profit is not None or order.stop_loss is not None:
        raise Unsupported("USDⓈ-M attaches no orders; place conditional ones")
    if order.tif == "gtd" or order.expires is not None:
        raise Unsupported("conditional orders of USDⓈ-M are not served with an end")
    if order.trigger_by is not None and order.trigger_by not in TRIGGERS:
        raise Unsupported(f"USDⓈ-M compares triggers with the last or the mark price, not the {order.trigger_by} price")
    check_shape(order)


def named_algo(order: OrderRef) -> dict[str, str | int | None]:
    """Return the parameters that name a conditional order."""
    if order.id is not None:
        return {"algoId": order_number(order.id)}
    if order.client_id is None:
        raise ConfigError("an order is named by its id or by its client id")
    return {"clientAlgoId": order.client_id}


def read_algo(body: bytes, symbol_of: SymbolOf, origin: Origin, ts_recv: int) -> Order:
    """Read one conditional order."""
    return algo_order(_row(body), symbol_of, origin, ts_recv)


def read_algo_or_nothing(body: bytes, symbol_of: SymbolOf, ts_recv: int) -> Order | None:
    """Read the answer to a cancel, which acknowledges over HTTP and tells the order over the WebSocket API."""
    if _probe(body).algo_status is None:
        success(body, ts_recv)
        return None
    return read_algo(body, symbol_of, "answer", ts_recv)


def read_algo_rows(body: bytes, symbol_of: SymbolOf, ts_recv: int) -> list[Order]:
    """Read a list of conditional orders."""
    return [algo_order(row, symbol_of, "query", ts_recv) for row in _rows(body)]
