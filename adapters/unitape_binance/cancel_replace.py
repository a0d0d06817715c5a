"""Cancel-and-replace of spot: two orders' fates in one answer, which may be half good and half bad.

From "Trading endpoints", Cancel an Existing Order and Send a New Order, of binance-spot-api-docs (2026-07). The mode is
always ``STOP_ON_FAILURE``: without a cancel nothing is placed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, Protocol

import msgspec
from msgspec import Raw, Struct

from unitape.errors import UnitapeError
from unitape.spi import HttpMethod, HttpResponse, Query, Replaced
from unitape_binance.errors import read_row_error
from unitape_binance.order_rows import SpotRow, spot_order
from unitape_binance.private import Parameters
from unitape_binance.readers import DECODE_ERRORS, SymbolOf
from unitape_schemas import Order

__all__ = ["replace_query"]

_PATH: Final = "/api/v3/order/cancelReplace"
_COUNTS: Final = (("orders", 1), ("orders_day", 1))
_HALF_DONE: Final = frozenset({400, 409})
_DONE: Final = "SUCCESS"


class _Outcome(Struct, gc=False, rename="camel"):
    cancel_result: str
    new_order_result: str
    cancel_response: Raw = Raw(b"null")
    new_order_response: Raw = Raw(b"null")


class _Body(Struct, gc=False):
    """A success is the outcome itself; a failure, and some gateways' successes, hold it in ``data``."""

    data: _Outcome | None = None


class _Fault(Struct, gc=False):
    code: int = 0
    msg: str = ""


_body = msgspec.json.Decoder(_Body, strict=False).decode
_outcome = msgspec.json.Decoder(_Outcome, strict=False).decode
_fault = msgspec.json.Decoder(_Fault, strict=False).decode
_row = msgspec.json.Decoder(SpotRow, strict=False).decode


class _Ask(Protocol):
    def __call__(
        self,
        name: str,
        method: HttpMethod,
        path: str,
        parameters: Parameters,
        read: Callable[[bytes, int], Replaced],
        *,
        also: tuple[tuple[str, int], ...] = (),
        client_id: str | None = None,
    ) -> Query[Replaced]: ...


def replace_query(
    ask: _Ask,
    named: Mapping[str, str | int | None],
    placing: Mapping[str, str | int | None],
    symbol_of: SymbolOf,
    client_id: str,
) -> Query[Replaced]:
    """Return the query. ``named``: what names the old order; ``placing``: what places the new one."""
    order_id, original = named.get("orderId"), named.get("origClientOrderId")
    parameters = {
        **placing,
        "cancelReplaceMode": "STOP_ON_FAILURE",
        "cancelOrderId": order_id,
        "cancelOrigClientOrderId": original,
    }

    def read(body: bytes, ts_recv: int) -> Replaced:
        outcome = _body(body).data or _outcome(body)
        return _told(outcome, symbol_of, client_id, ts_recv)

    query = ask("replace", "POST", _PATH, parameters, read, also=_COUNTS, client_id=client_id)

    def read_half(response: HttpResponse, ts_recv: int) -> Replaced:
        if response.status in _HALF_DONE:
            outcome = _half(response.body)
            if outcome is not None:
                return _told(outcome, symbol_of, client_id, ts_recv)
        return query.read(response, ts_recv)

    return Query(query.name, query.request, read_half)


def _half(body: bytes) -> _Outcome | None:
    """Return the two outcomes of a failure; None for a refusal that did not get so far."""
    try:
        return _body(body).data
    except DECODE_ERRORS:
        return None


def _told(outcome: _Outcome, symbol_of: SymbolOf, client_id: str, ts_recv: int) -> Replaced:
    if outcome.cancel_result != _DONE:
        raise _error(outcome.cancel_response, None)
    old = spot_order(_row(outcome.cancel_response), symbol_of, "answer", ts_recv)
    if outcome.new_order_result != _DONE:
        return Replaced(old, _error(outcome.new_order_response, client_id))
    return Replaced(old, _placed(outcome.new_order_response, symbol_of, ts_recv))


def _placed(raw: Raw, symbol_of: SymbolOf, ts_recv: int) -> Order:
    return spot_order(_row(raw), symbol_of, "answer", ts_recv, placed=True)


def _error(raw: Raw, client_id: str | None) -> UnitapeError:
    fault = _fault(raw)
    return read_row_error(fault.code, fault.msg, "spot", client_id)
