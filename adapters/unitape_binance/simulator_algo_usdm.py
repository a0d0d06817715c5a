"""Conditional orders of the simulated USDⓈ-M market, which have endpoints and ids of their own.

Source: Trade endpoints of the public REST documentation of USDⓈ-M futures, New Algo Order and its kin, October 2026.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from unitape.spi.simulated_accounts import SimOrder, SimOrderRequest, SimReject, SimUser
from unitape.spi.simulation import Exchange, fixed
from unitape_binance.simulator_orders_usdm import (
    ACKNOWLEDGED,
    FIRST_ID,
    STATES,
    TIF_OF,
    WORD_OF,
    UsdmOrdersFace,
    by_symbol,
)
from unitape_binance.simulator_private import PrivateEndpoint, flat
from unitape_binance.simulator_rejects import refusal
from unitape_binance.simulator_rest import Json, Parameters
from unitape_binance.simulator_rules import MILLIS, Refusal, Spelling
from unitape_schemas import OrderKind

__all__ = ["ALGO_WORD_OF", "FIRST_ALGO", "UsdmPrivateFace"]

_ALGO_KINDS: Final[Mapping[str, tuple[OrderKind, tuple[str, ...]]]] = {
    "STOP": ("stop_limit", ("quantity", "price", "triggerPrice")),
    "STOP_MARKET": ("stop", ("triggerPrice",)),
    "TAKE_PROFIT": ("take_profit_limit", ("quantity", "price", "triggerPrice")),
    "TAKE_PROFIT_MARKET": ("take_profit", ("triggerPrice",)),
}
ALGO_WORD_OF: Final = {kind: word for word, (kind, _) in _ALGO_KINDS.items()}
FIRST_ALGO: Final = 2_000_000_000_000


class UsdmPrivateFace(UsdmOrdersFace):
    """All private endpoints of USDⓈ-M, conditional orders among them."""

    def __init__(self, exchange: Exchange, spelling: Spelling, *, enforce_limits: bool) -> None:
        super().__init__(exchange, spelling, enforce_limits=enforce_limits)
        self.endpoints = {
            **self.endpoints,
            ("POST", "/fapi/v1/algoOrder"): PrivateEndpoint(self._place_algo, flat(0), trades=True),
            ("GET", "/fapi/v1/algoOrder"): PrivateEndpoint(self._query_algo, flat(1)),
            ("DELETE", "/fapi/v1/algoOrder"): PrivateEndpoint(self._cancel_algo, flat(1), trades=True),
            ("GET", "/fapi/v1/openAlgoOrders"): PrivateEndpoint(self._open_algo, by_symbol),
            ("GET", "/fapi/v1/allAlgoOrders"): PrivateEndpoint(self._all_algo, flat(5)),
            ("DELETE", "/fapi/v1/algoOpenOrders"): PrivateEndpoint(self._cancel_all_algo, flat(1), trades=True),
        }

    def _algo_request(self, parameters: Parameters) -> SimOrderRequest:
        if parameters.required("algoType") != "CONDITIONAL":
            raise Refusal(-1130, "Data sent for parameter 'algoType' is not valid.")
        spec, side = self._spec(parameters), self._side(parameters)
        word = parameters.required("type")
        if word not in _ALGO_KINDS:
            raise Refusal(-1116, "Invalid orderType.")
        kind, needed = _ALGO_KINDS[word]
        closes = parameters.text("closePosition") == "true"
        if closes and "quantity" in parameters.values:
            raise Refusal(-4137, "Quantity must be zero with closePosition equals true")
        if not closes and "quantity" not in needed:
            needed = (*needed, "quantity")
        tif = self._tif(parameters) if "price" in needed else None
        return self._common(parameters, spec, side, kind, needed, tif, "clientAlgoId", None, closes=closes)

    def _place_algo(self, user: SimUser, parameters: Parameters) -> Json:
        request = self._algo_request(parameters)
        placed = self._accounts.place(user.name, request)
        if isinstance(placed, SimReject):
            raise self._refused(placed, request)
        return self._algo_row(user, placed, told=False)

    def _find_algo(self, user: SimUser, parameters: Parameters, code: int, text: str, lag: float = 0.0) -> SimOrder:
        number, name = parameters.number("algoId"), parameters.text("clientAlgoId")
        if number is None and name is None:
            raise Refusal(-1102, "Param 'algoId' or 'clientAlgoId' must be sent, but both were empty/null!")
        for spec in self._exchange.instruments:
            found = self._accounts.order(
                user.name,
                spec.symbol,
                order_id=None if number is None else number - FIRST_ALGO,
                client_id=name if number is None else None,
                conditional=True,
                lag=lag,
            )
            if found is not None:
                return found
        raise Refusal(code, text)

    def _query_algo(self, user: SimUser, parameters: Parameters) -> Json:
        order = self._find_algo(user, parameters, -2013, "Order does not exist.", self._lag)
        return self._algo_row(user, order, told=True)

    def _cancel_algo(self, user: SimUser, parameters: Parameters) -> Json:
        order = self._find_algo(user, parameters, -2011, "Unknown order sent.")
        ended = self._accounts.cancel(user.name, order.symbol, order_id=order.id)
        if isinstance(ended, SimReject):
            raise refusal(ended.reason, linear=True)
        return {
            "algoId": order.id + FIRST_ALGO,
            "clientAlgoId": order.client_id,
            "code": "200",
            "msg": "success",
        }

    def _cancel_all_algo(self, user: SimUser, parameters: Parameters) -> Json:
        self._accounts.cancel_all(user.name, self._spec(parameters).symbol, conditional=True)
        return ACKNOWLEDGED

    def _open_algo(self, user: SimUser, parameters: Parameters) -> Json:
        orders = self._accounts.open_orders(user.name, self._one(parameters), conditional=True, lag=self._lag)
        return [self._algo_row(user, order, told=True) for order in orders]

    def _all_algo(self, user: SimUser, parameters: Parameters) -> Json:
        spec, limit = self._spec(parameters), parameters.limit(500, 1_000)
        start, end = self._range(parameters)
        rows = [
            order
            for order in self._accounts.orders(user.name, spec.symbol, lag=self._lag)
            if order.trigger is not None
            and (start is None or order.ts_created >= start)
            and (end is None or order.ts_created < end)
        ]
        rows = rows[-limit:] if start is None else rows[:limit]
        return [self._algo_row(user, order, told=True) for order in rows]

    def _algo_row(self, user: SimUser, order: SimOrder, *, told: bool) -> Json:
        """Write a conditional order; ``told``: with what became of the order that it sent."""
        spec, spelling = self._exchange.instrument(order.symbol), self.spelling
        born = None
        if order.child is not None:
            born = self._accounts.order(user.name, order.symbol, order_id=order.child)
        row: dict[str, Json] = {
            "algoId": order.id + FIRST_ALGO,
            "clientAlgoId": order.client_id,
            "algoType": "CONDITIONAL",
            "orderType": ALGO_WORD_OF[order.kind],
            "symbol": spelling.raw_of[order.symbol],
            "side": order.side.upper(),
            "positionSide": (order.position_side or "both").upper(),
            "timeInForce": TIF_OF[order.tif or "gtc"],
            "quantity": spelling.size(spec, order.size),
            "algoStatus": _algo_state(order, born),
            "triggerPrice": spelling.price(spec, order.trigger or 0),
            "price": spelling.price(spec, order.price or 0),
            "icebergQuantity": None,
            "selfTradePreventionMode": "EXPIRE_MAKER",
            "workingType": "MARK_PRICE" if order.trigger_by == "mark" else "CONTRACT_PRICE",
            "priceMatch": "NONE",
            "closePosition": order.close_position,
            "priceProtect": False,
            "reduceOnly": order.reduce_only,
            "createTime": order.ts_created // MILLIS,
            "updateTime": max(order.ts_updated, 0 if born is None else born.ts_updated) // MILLIS,
            "triggerTime": order.ts_triggered // MILLIS,
            "goodTillDate": 0,
        }
        if told:
            row |= {
                "actualOrderId": "" if born is None else str(born.id + FIRST_ID),
                "actualQty": "" if born is None else spelling.size(spec, born.filled),
                "actualPrice": "" if born is None else fixed(spec.average_e8(born.amount, born.filled), 8),
                "actualType": "" if born is None else WORD_OF[born.kind],
            }
        return row


def _algo_state(order: SimOrder, born: SimOrder | None) -> str:
    if order.status == "triggered" or born is not None:
        return "TRIGGERED" if born is not None and born.is_open else "FINISHED"
    return STATES[order.status]
