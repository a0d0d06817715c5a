"""Orders and executions of the simulated USDⓈ-M market: single ones and batches.

Source: Trade endpoints of the public REST documentation of USDⓈ-M futures, October 2026.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Final, TypeAlias
from urllib.parse import urlencode

import msgspec

from unitape.spi import HttpRequest
from unitape.spi.simulated_accounts import (
    SimAmendment,
    SimFill,
    SimOrder,
    SimOrderRequest,
    SimOrderStatus,
    SimReject,
    SimUser,
    TriggerPrice,
)
from unitape.spi.simulation import Exchange, SimInstrument, fixed
from unitape_binance.simulator_account_usdm import UsdmAccountFace
from unitape_binance.simulator_private import PrivateEndpoint, chosen, flat
from unitape_binance.simulator_rejects import refusal
from unitape_binance.simulator_rest import Json, Parameters
from unitape_binance.simulator_rules import MILLIS, SECOND, Refusal, Spelling
from unitape_schemas import OrderKind, PositionSide, TimeInForce

__all__ = ["ACKNOWLEDGED", "FIRST_ID", "STATES", "TIF_OF", "WORD_OF", "UsdmOrdersFace", "by_symbol"]

_Verb: TypeAlias = Callable[[SimUser, Parameters], Json]

_KINDS: Final[Mapping[str, tuple[OrderKind, tuple[str, ...]]]] = {
    "LIMIT": ("limit", ("timeInForce", "quantity", "price")),
    "MARKET": ("market", ("quantity",)),
}
_ALGO_WORDS: Final = frozenset({"STOP", "STOP_MARKET", "TAKE_PROFIT", "TAKE_PROFIT_MARKET", "TRAILING_STOP_MARKET"})
WORD_OF: Final = {kind: word for word, (kind, _) in _KINDS.items()}
_TIFS: Final[Mapping[str, TimeInForce]] = {"GTC": "gtc", "IOC": "ioc", "FOK": "fok", "GTX": "post_only", "GTD": "gtd"}
TIF_OF: Final = {tif: word for word, tif in _TIFS.items()}
STATES: Final[Mapping[SimOrderStatus, str]] = {
    "waiting": "NEW",
    "triggered": "NEW",
    "open": "NEW",
    "partially_filled": "PARTIALLY_FILLED",
    "filled": "FILLED",
    "canceled": "CANCELED",
    "expired": "EXPIRED",
    "rejected": "REJECTED",
}
_SIDES: Final[Mapping[str, PositionSide | None]] = {"BOTH": None, "LONG": "long", "SHORT": "short"}
_TRIGGERS: Final[Mapping[str, TriggerPrice]] = {"CONTRACT_PRICE": "last", "MARK_PRICE": "mark"}
_ID: Final = re.compile(r"[\.A-Z\:/a-z0-9_-]{1,36}")
_WEEK: Final = 7 * 86_400 * SECOND
_SOON: Final = 600 * SECOND
FIRST_ID: Final = 8_800_000_000
ACKNOWLEDGED: Final[Mapping[str, Json]] = {
    "code": 200,
    "msg": "The operation of cancel all open order is done.",
}


class UsdmOrdersFace(UsdmAccountFace):
    """Private endpoints of USDⓈ-M but for conditional orders."""

    def __init__(self, exchange: Exchange, spelling: Spelling, *, enforce_limits: bool) -> None:
        super().__init__(exchange, spelling, enforce_limits=enforce_limits)
        self.endpoints = {
            **self.endpoints,
            ("POST", "/fapi/v1/order"): PrivateEndpoint(self._place, flat(0), trades=True, counts=(1, 1)),
            ("POST", "/fapi/v1/order/test"): PrivateEndpoint(self._test, flat(0), trades=True),
            ("PUT", "/fapi/v1/order"): PrivateEndpoint(self._modify, flat(0), trades=True, counts=(1, 1)),
            ("GET", "/fapi/v1/order"): PrivateEndpoint(self._query, flat(1)),
            ("GET", "/fapi/v1/openOrder"): PrivateEndpoint(self._query_open, flat(1)),
            ("DELETE", "/fapi/v1/order"): PrivateEndpoint(self._cancel, flat(1), trades=True),
            ("DELETE", "/fapi/v1/allOpenOrders"): PrivateEndpoint(self._cancel_all, flat(1), trades=True),
            ("POST", "/fapi/v1/batchOrders"): PrivateEndpoint(self._place_many, flat(5), trades=True, counts=(5, 1)),
            ("DELETE", "/fapi/v1/batchOrders"): PrivateEndpoint(self._cancel_many, flat(1), trades=True),
            ("GET", "/fapi/v1/openOrders"): PrivateEndpoint(self._open, by_symbol),
            ("GET", "/fapi/v1/allOrders"): PrivateEndpoint(self._all, flat(5)),
            ("GET", "/fapi/v1/userTrades"): PrivateEndpoint(self._trades, flat(5)),
        }

    # What is asked for -----------------------------------------------------------------------------------------------

    def _request(self, parameters: Parameters) -> SimOrderRequest:
        spec, side = self._spec(parameters), self._side(parameters)
        word = parameters.required("type")
        if word in _ALGO_WORDS:
            text = "Order type not supported for this endpoint. Please use the Algo Order API endpoints instead."
            raise Refusal(-4120, text)
        if word not in _KINDS:
            raise Refusal(-1116, "Invalid orderType.")
        kind, needed = _KINDS[word]
        tif = self._tif(parameters)
        if kind == "market" and tif is not None:
            raise Refusal(-1106, "Parameter 'timeInForce' sent when not required.")
        return self._common(parameters, spec, side, kind, needed, tif, "newClientOrderId", self._until(parameters, tif))

    def _common(
        self,
        parameters: Parameters,
        spec: SimInstrument,
        side: str,
        kind: OrderKind,
        needed: Sequence[str],
        tif: TimeInForce | None,
        name: str,
        expires: int | None,
        *,
        closes: bool = False,
    ) -> SimOrderRequest:
        for field in needed:
            parameters.required(field)
        position = chosen(parameters, "positionSide", frozenset(_SIDES), -4060, "Invalid position side.")
        reduces = chosen(parameters, "reduceOnly", frozenset({"true", "false"}), -1130, "Invalid reduceOnly.")
        position_side = _SIDES[position or "BOTH"]
        if reduces is not None and position_side is not None:
            raise Refusal(-1106, "Parameter 'reduceonly' sent when not required.")
        source = chosen(parameters, "workingType", frozenset(_TRIGGERS), -1130, "Invalid workingType.")
        client_id = parameters.text(name)
        if client_id is not None and not _ID.fullmatch(client_id):
            raise Refusal(-4015, "Client order id is not valid.")
        return SimOrderRequest(
            symbol=spec.symbol,
            side="buy" if side == "BUY" else "sell",
            kind=kind,
            size=self._lots(spec, parameters) if "quantity" in needed else None,
            close_position=closes,
            price=self._ticks(spec, parameters, "price") if "price" in needed else None,
            tif=tif,
            client_id=client_id or self._new_id(),
            reduce_only=reduces == "true",
            position_side=position_side,
            trigger=self._ticks(spec, parameters, "triggerPrice") if "triggerPrice" in needed else None,
            trigger_by=_TRIGGERS[source or "CONTRACT_PRICE"],
            expires=expires,
        )

    def _tif(self, parameters: Parameters) -> TimeInForce | None:
        word = chosen(parameters, "timeInForce", frozenset(_TIFS), -1115, "Invalid timeInForce.")
        return None if word is None else _TIFS[word]

    def _until(self, parameters: Parameters, tif: TimeInForce | None) -> int | None:
        if tif != "gtd":
            return None
        parameters.required("goodTillDate")
        moment = (parameters.number("goodTillDate") or 0) // 1000 * SECOND
        if moment <= self._exchange.now + _SOON:
            raise Refusal(-5040, "The goodTillDate timestamp must be greater than the current time plus 600 seconds.")
        return moment

    # Ordinary orders -------------------------------------------------------------------------------------------------

    def _place(self, user: SimUser, parameters: Parameters) -> Json:
        shape = chosen(parameters, "newOrderRespType", frozenset({"ACK", "RESULT"}), -1136, "Invalid newOrderRespType.")
        request = self._request(parameters)
        placed = self._accounts.place(user.name, request)
        if isinstance(placed, SimReject):
            raise self._refused(placed, request)
        row = self._answer(placed)
        if shape != "RESULT":
            spec = self._exchange.instrument(placed.symbol)
            row |= {
                "status": "NEW",
                "executedQty": self.spelling.size(spec, 0),
                "cumQty": self.spelling.size(spec, 0),
            }
        return row

    def _test(self, user: SimUser, parameters: Parameters) -> Json:
        request = self._request(parameters)
        self._check(user, request)
        return {"symbol": self.spelling.raw_of[request.symbol], "clientOrderId": request.client_id, "status": "NEW"}

    def _place_many(self, user: SimUser, parameters: Parameters) -> Json:
        try:
            orders = msgspec.json.decode(parameters.required("batchOrders"), type=list[dict[str, str]])
        except msgspec.MsgspecError:
            raise Refusal(-1130, "Data sent for parameter 'batchOrders' is not valid.") from None
        if not 1 <= len(orders) <= 5:
            raise Refusal(-4082, "Invalid number of batch place orders.")
        return [self._try(self._place, user, fields) for fields in orders]

    def _try(self, verb: _Verb, user: SimUser, fields: Mapping[str, str]) -> Json:
        """Do one row of a batch; its refusal is a row, too."""
        try:
            return verb(user, Parameters(HttpRequest("POST", "", urlencode(fields))))
        except Refusal as refused:
            return {"code": refused.code, "msg": refused.text}

    def _find(self, user: SimUser, parameters: Parameters, code: int, text: str, lag: float = 0.0) -> SimOrder:
        spec = self._spec(parameters)
        number, name = parameters.number("orderId"), parameters.text("origClientOrderId")
        if number is None and name is None:
            raise Refusal(-1102, "Param 'origClientOrderId' or 'orderId' must be sent, but both were empty/null!")
        order_id = None if number is None else number - FIRST_ID
        found = self._accounts.order(
            user.name,
            spec.symbol,
            order_id=order_id,
            client_id=name if number is None else None,
            conditional=False,
            lag=lag,
        )
        if found is None:
            raise Refusal(code, text)
        return found

    def _query(self, user: SimUser, parameters: Parameters) -> Json:
        return self._row(self._find(user, parameters, -2013, "Order does not exist.", self._lag))

    def _query_open(self, user: SimUser, parameters: Parameters) -> Json:
        order = self._find(user, parameters, -2013, "Order does not exist.", self._lag)
        if not order.is_open:
            raise Refusal(-2013, "Order does not exist.")
        return self._row(order)

    def _cancel(self, user: SimUser, parameters: Parameters) -> Json:
        order = self._find(user, parameters, -2011, "Unknown order sent.")
        ended = self._accounts.cancel(user.name, order.symbol, order_id=order.id)
        if isinstance(ended, SimReject):
            raise refusal(ended.reason, linear=True)
        return self._answer(ended)

    def _cancel_many(self, user: SimUser, parameters: Parameters) -> Json:
        symbol = parameters.required("symbol")
        ids, names = parameters.text("orderIdList"), parameters.text("origClientOrderIdList")
        try:
            if ids is not None:
                rows = [("orderId", str(number)) for number in msgspec.json.decode(ids, type=list[int])]
            else:
                rows = [("origClientOrderId", name) for name in msgspec.json.decode(names or "[]", type=list[str])]
        except msgspec.MsgspecError:
            raise Refusal(-1130, "Data sent for parameter 'orderIdList' is not valid.") from None
        if not 1 <= len(rows) <= 10:
            raise Refusal(-4083, "Invalid number of batch cancel orders.")
        return [self._try(self._cancel, user, {"symbol": symbol, field: value}) for field, value in rows]

    def _cancel_all(self, user: SimUser, parameters: Parameters) -> Json:
        self._accounts.cancel_all(user.name, self._spec(parameters).symbol, conditional=False)
        return ACKNOWLEDGED

    def _modify(self, user: SimUser, parameters: Parameters) -> Json:
        spec = self._spec(parameters)
        for field in ("side", "quantity", "price"):
            parameters.required(field)
        order = self._find(user, parameters, -2013, "Order does not exist.")
        if not order.is_open:
            raise Refusal(-5024, "Cannot modify the order: it is not open.")
        if order.kind != "limit":
            raise Refusal(-5025, "Only limit order is supported.")
        if self._side(parameters) != order.side.upper():
            raise Refusal(-1117, "Invalid side.")
        change = SimAmendment(price=self._ticks(spec, parameters, "price"), size=self._lots(spec, parameters))
        done = self._accounts.amend(user.name, spec.symbol, change, order_id=order.id)
        if not isinstance(done, SimReject):
            return self._answer(done)
        shrunk = change.size is not None and change.size <= order.filled
        if not shrunk and done.reason != "post_only_would_cross":
            raise refusal(done.reason, linear=True, side=order.side)
        # What is left to do is nothing, or must not be done: the venue cancels the order.
        ended = self._accounts.cancel(user.name, spec.symbol, order_id=order.id)
        if isinstance(ended, SimReject):
            raise refusal(ended.reason, linear=True)
        return self._answer(ended)

    def _open(self, user: SimUser, parameters: Parameters) -> Json:
        orders = self._accounts.open_orders(user.name, self._one(parameters), conditional=False, lag=self._lag)
        return [self._row(order) for order in orders]

    def _all(self, user: SimUser, parameters: Parameters) -> Json:
        limit, first = parameters.limit(500, 1_000), parameters.number("orderId")
        start, end = self._range(parameters)
        rows = [
            order
            for order in self._accounts.orders(user.name, self._one(parameters), lag=self._lag)
            if order.trigger is None
            and (first is None or order.id + FIRST_ID >= first)
            and (start is None or order.ts_created >= start)
            and (end is None or order.ts_created < end)
        ]
        rows = rows[-limit:] if start is None and first is None else rows[:limit]
        return [self._row(order) for order in rows]

    def _range(self, parameters: Parameters) -> tuple[int | None, int | None]:
        """Return the first moment and the one behind the last."""
        start, end = parameters.moment("startTime"), parameters.moment("endTime")
        if start is not None and end is not None and end - start >= _WEEK:
            raise Refusal(-4165, "Invalid time interval.")
        return start, None if end is None else end + MILLIS

    def _trades(self, user: SimUser, parameters: Parameters) -> Json:
        spec, limit = self._spec(parameters), parameters.limit(500, 1_000)
        start, end = self._range(parameters)
        number, first = parameters.number("orderId"), parameters.number("fromId")
        if first is not None and (start is not None or end is not None):
            raise refusal("bad_request", linear=True)
        rows = [
            fill
            for fill in self._accounts.fills(
                user.name, spec.symbol, order_id=None if number is None else number - FIRST_ID, lag=self._lag
            )
            if (first is None or fill.id >= first)
            and (start is None or fill.ts >= start)
            and (end is None or fill.ts < end)
        ]
        rows = rows[-limit:] if start is None and first is None else rows[:limit]
        hedged = self._accounts.position_mode(user.name) == "hedge"
        return [self._trade_row(spec, fill, hedged=hedged) for fill in rows]

    # Rows ------------------------------------------------------------------------------------------------------------

    def _answer(self, order: SimOrder) -> dict[str, Json]:
        """Write an order as answers to changes do, without what it cost."""
        spec, spelling = self._exchange.instrument(order.symbol), self.spelling
        word = WORD_OF[order.kind]
        return {
            "orderId": order.id + FIRST_ID,
            "symbol": spelling.raw_of[order.symbol],
            "status": STATES[order.status],
            "clientOrderId": order.client_id,
            "price": spelling.price(spec, order.price or 0),
            "origQty": spelling.size(spec, order.size),
            "executedQty": spelling.size(spec, order.filled),
            "cumQty": spelling.size(spec, order.filled),
            "timeInForce": TIF_OF[order.tif or "gtc"],
            "type": word,
            "reduceOnly": order.reduce_only,
            "closePosition": order.close_position,
            "side": order.side.upper(),
            "positionSide": (order.position_side or "both").upper(),
            "stopPrice": spelling.price(spec, 0),
            "workingType": "CONTRACT_PRICE",
            "priceProtect": False,
            "origType": word,
            "priceMatch": "NONE",
            "selfTradePreventionMode": "EXPIRE_MAKER",
            "goodTillDate": 0 if order.expires is None else order.expires // MILLIS,
            "updateTime": order.ts_updated // MILLIS,
        }

    def _row(self, order: SimOrder) -> Json:
        spec = self._exchange.instrument(order.symbol)
        return {
            "avgPrice": fixed(spec.average_e8(order.amount, order.filled), 8),
            "cumQuote": self.spelling.amount(spec, order.amount),
            "time": order.ts_created // MILLIS,
            **self._answer(order),
        }

    def _trade_row(self, spec: SimInstrument, fill: SimFill, *, hedged: bool) -> Json:
        spelling = self.spelling
        return {
            "buyer": fill.side == "buy",
            "commission": fixed(fill.fee_e8, 8),
            "commissionAsset": fill.fee_currency,
            "id": fill.id,
            "maker": fill.liquidity == "maker",
            "orderId": fill.order + FIRST_ID,
            "price": spelling.price(spec, fill.price),
            "qty": spelling.size(spec, fill.size),
            "quoteQty": spelling.amount(spec, fill.price * fill.size),
            "realizedPnl": fixed(fill.realized_e8, 8),
            "side": fill.side.upper(),
            "positionSide": "BOTH" if not hedged else (fill.position_side or "both").upper(),
            "symbol": spelling.raw_of[fill.symbol],
            "marginAsset": spec.settle,
            "time": fill.ts // MILLIS,
        }


def by_symbol(parameters: Parameters) -> int:
    """Return the weight of a list of open orders: of one symbol, or of all."""
    return 1 if "symbol" in parameters.values else 40
