"""Orders and executions of the simulated contract market: ordinary ones, and those that wait for a trigger.

Source: order and trigger-order pages of the contract API documentation V3, 2026-07. What they leave open is a setting:
``batch`` = ``on`` serves batches of new orders, which otherwise are refused with code -1150; ``rejections`` = ``body``
answers a refused order with status 200 and ``success`` false instead of an error; ``attached`` = ``ignored`` drops the
triggers of attached orders without a word; ``batch_cancel`` = ``wrapped`` puts the
answer to a batch of cancels under ``orderList``; ``position_mode`` = ``one_way`` puts the accounts into that mode.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from unitape.spi.simulated_accounts import SimFill, SimOrder, SimOrderRequest, SimPosition, SimUser, TriggerPrice
from unitape.spi.simulation import Exchange, FaultSource, SimInstrument, fixed
from unitape_schemas import OrderKind, PositionSide, Side
from unitape_weex.simulator_account_contract import ContractAccountFace
from unitape_weex.simulator_orders import KIND_WORDS, STATES, TIFS, Row
from unitape_weex.simulator_private import Endpoint, Json, Parameters
from unitape_weex.simulator_rules import MILLIS, SECOND, Refusal, Rules, Spelling

__all__ = ["ContractOrdersFace"]

_ORDER_DAYS: Final = 90
_FILL_DAYS: Final = 7
_WEEK: Final = _FILL_DAYS * 86_400 * SECOND

_KINDS: Final[Mapping[str, OrderKind]] = {"LIMIT": "limit", "MARKET": "market"}
_ALGO_KINDS: Final[Mapping[str, OrderKind]] = {
    word: kind for kind, word in KIND_WORDS.items() if kind not in ("limit", "market")
}
_PLANS: Final[Mapping[str, tuple[OrderKind, OrderKind]]] = {
    "TAKE_PROFIT": ("take_profit", "take_profit_limit"),
    "STOP_LOSS": ("stop", "stop_limit"),
}
_POSITIONS: Final[Mapping[str, PositionSide]] = {"LONG": "long", "SHORT": "short"}
_TRIGGERS: Final[Mapping[str, TriggerPrice]] = {"CONTRACT_PRICE": "last", "MARK_PRICE": "mark"}
_TRIGGER_WORDS: Final[Mapping[TriggerPrice, str]] = {price: word for word, price in _TRIGGERS.items()}


class ContractOrdersFace(ContractAccountFace):
    """Private endpoints of contracts."""

    def __init__(
        self, exchange: Exchange, rules: Rules, spelling: Spelling, faults: FaultSource, settings: Mapping[str, str]
    ) -> None:
        super().__init__(exchange, rules, spelling, faults, settings)
        endpoints = {
            **self.endpoints,
            ("POST", "/capi/v3/order"): Endpoint(self._place, 0, trades=True, body=True, orders=1),
            ("DELETE", "/capi/v3/order"): Endpoint(self._cancel, 1, trades=True),
            ("DELETE", "/capi/v3/batchOrders"): Endpoint(self._cancel_many, 5, trades=True, body=True),
            ("DELETE", "/capi/v3/allOpenOrders"): Endpoint(self._cancel_all, 5, trades=True),
            ("GET", "/capi/v3/order"): Endpoint(self._query, 2),
            ("GET", "/capi/v3/openOrders"): Endpoint(self._open, 2),
            ("GET", "/capi/v3/order/history"): Endpoint(self._history, 10),
            ("GET", "/capi/v3/userTrades"): Endpoint(self._trades, 5),
            ("POST", "/capi/v3/algoOrder"): Endpoint(self._place_algo, 2, trades=True, body=True, orders=1),
            ("DELETE", "/capi/v3/algoOrder"): Endpoint(self._cancel_algo, 2, trades=True),
            ("DELETE", "/capi/v3/algoOpenOrders"): Endpoint(self._cancel_all_algo, 5, trades=True),
            ("GET", "/capi/v3/openAlgoOrders"): Endpoint(self._open_algo, 3),
            ("GET", "/capi/v3/allAlgoOrders"): Endpoint(self._all_algo, 5),
            ("POST", "/capi/v3/placeTpSlOrder"): Endpoint(self._place_plan, 2, trades=True, body=True, orders=1),
            ("POST", "/capi/v3/closePositions"): Endpoint(self._close, 40, trades=True, body=True),
        }
        if settings.get("batch") == "on":
            batch = Endpoint(self._place_many, 5, trades=True, body=True, orders=5)
            endpoints["POST", "/capi/v3/batchOrders"] = batch
        self.endpoints = endpoints

    # What is asked for -----------------------------------------------------------------------------------------------

    def _request(self, user: SimUser, parameters: Parameters) -> SimOrderRequest:
        spec, side, position = self._head(parameters)
        parameters.required("type")
        kind = _KINDS[parameters.one_of("type", _KINDS, -1116) or ""]
        tif = None
        if kind == "limit":
            parameters.required("timeInForce")
            tif = TIFS[parameters.one_of("timeInForce", TIFS, -1115) or ""]
        source = parameters.one_of("TpWorkingType", _TRIGGERS), parameters.one_of("SlWorkingType", _TRIGGERS)
        attached = self._settings.get("attached") != "ignored"
        parameters.required("newClientOrderId")
        return SimOrderRequest(
            symbol=spec.symbol,
            side=side,
            kind=kind,
            size=self._positive(parameters, "quantity", lambda name: parameters.lots(name, spec)),
            price=None if tif is None else self._positive(parameters, "price", lambda n: parameters.ticks(n, spec)),
            tif=tif,
            client_id=parameters.client_id("newClientOrderId"),
            position_side=self._meant(user, position),
            reduce_only=self._reduces(user, side, position),
            take_profit=parameters.ticks("tpTriggerPrice", spec) if attached else None,
            stop_loss=parameters.ticks("slTriggerPrice", spec) if attached else None,
            attached_by=_TRIGGERS[source[0] or source[1] or "CONTRACT_PRICE"],
        )

    def _algo_request(self, user: SimUser, parameters: Parameters) -> SimOrderRequest:
        spec, side, position = self._head(parameters)
        parameters.required("type")
        kind = _ALGO_KINDS[parameters.one_of("type", _ALGO_KINDS, -1116) or ""]
        limited = kind in ("stop_limit", "take_profit_limit")
        parameters.required("clientAlgoId")
        attached = self._settings.get("attached") != "ignored"
        return SimOrderRequest(
            symbol=spec.symbol,
            side=side,
            kind=kind,
            size=self._positive(parameters, "quantity", lambda name: parameters.lots(name, spec)),
            price=self._positive(parameters, "price", lambda n: parameters.ticks(n, spec)) if limited else None,
            client_id=parameters.client_id("clientAlgoId"),
            position_side=self._meant(user, position),
            reduce_only=self._reduces(user, side, position),
            trigger=self._positive(parameters, "triggerPrice", lambda name: parameters.ticks(name, spec)),
            take_profit=parameters.ticks("presetTakeProfitPrice", spec) if attached else None,
            stop_loss=parameters.ticks("presetStopLossPrice", spec) if attached else None,
        )

    def _plan_request(self, user: SimUser, parameters: Parameters) -> SimOrderRequest:
        spec = self._spec(parameters)
        parameters.required("planType")
        at_market, limited = _PLANS[parameters.one_of("planType", _PLANS) or ""]
        parameters.required("positionSide")
        position = _POSITIONS[parameters.one_of("positionSide", _POSITIONS) or ""]
        parameters.required("clientAlgoId")
        price = parameters.ticks("executePrice", spec)
        size = parameters.lots("quantity", spec)
        side: Side = "sell" if position == "long" else "buy"
        return SimOrderRequest(
            symbol=spec.symbol,
            side=side,
            kind=at_market if price is None else limited,
            size=size,
            close_position=size is None,
            price=price,
            client_id=parameters.client_id("clientAlgoId"),
            position_side=self._meant(user, position),
            reduce_only=self._reduces(user, side, position),
            trigger=self._positive(parameters, "triggerPrice", lambda name: parameters.ticks(name, spec)),
            trigger_by=_TRIGGERS[parameters.one_of("triggerPriceType", _TRIGGERS) or "CONTRACT_PRICE"],
        )

    def _head(self, parameters: Parameters) -> tuple[SimInstrument, Side, PositionSide]:
        spec, side = self._spec(parameters), self._side(parameters)
        parameters.required("positionSide")
        return spec, side, _POSITIONS[parameters.one_of("positionSide", _POSITIONS) or ""]

    # Ordinary orders -------------------------------------------------------------------------------------------------

    def _place(self, user: SimUser, parameters: Parameters) -> Json:
        try:
            return self._accepted(self._take(user, self._request(user, parameters)))
        except Refusal as refusal:
            if self._settings.get("rejections") != "body":
                raise
            return _rejected(parameters, refusal)

    def _place_many(self, user: SimUser, parameters: Parameters) -> Json:
        rows: list[Row] = []
        for row in parameters.rows("batchOrders", 5):
            try:
                rows.append(self._accepted(self._take(user, self._request(user, row))))
            except Refusal as refusal:
                rows.append(_rejected(row, refusal))
        return rows

    def _accepted(self, order: SimOrder) -> Row:
        head: Row = {"orderId": str(self.order_id(order)), "clientOrderId": order.client_id}
        return {**head, "success": True, "errorCode": "", "errorMessage": ""}

    def _cancel(self, user: SimUser, parameters: Parameters) -> Json:
        return self._canceled(self._drop(user, self._named(user, parameters)))

    def _canceled(self, order: SimOrder) -> Row:
        head: Row = {"orderId": str(self.order_id(order)), "origClientOrderId": order.client_id}
        return {**head, "success": True, "errorCode": "", "errorMessage": ""}

    def _cancel_many(self, user: SimUser, parameters: Parameters) -> Json:
        ids, client_ids = parameters.names("orderIdList", 10), parameters.names("origClientOrderIdList", 10)
        if (ids is None) == (client_ids is None):
            raise Refusal(-1128, "Either orderIdList or origClientOrderIdList must be given.")
        key = "orderId" if ids is not None else "origClientOrderId"
        rows: list[Row] = []
        for name in ids or client_ids or ():
            try:
                rows.append(self._canceled(self._drop(user, self._named(user, Parameters({key: name})))))
            except Refusal:
                head: Row = {"orderId": "", "origClientOrderId": "", key: name}
                gone: Row = {"success": False, "errorCode": "ORDER_NOT_FOUND", "errorMessage": "order not found"}
                rows.append(head | gone)
        return {"orderList": rows} if self._settings.get("batch_cancel") == "wrapped" else rows

    def _cancel_all(self, user: SimUser, parameters: Parameters) -> Json:
        return self._sweep(user, parameters, conditional=False)

    def _sweep(self, user: SimUser, parameters: Parameters, *, conditional: bool) -> Json:
        canceled = self._accounts.cancel_all(user.name, self._symbol(parameters), conditional=conditional)
        done: Row = {"success": True, "errorCode": "", "errorMessage": ""}
        return [{"orderId": self.order_id(order), **done} for order in canceled]

    def _query(self, user: SimUser, parameters: Parameters) -> Json:
        if parameters.number("orderId") is None:
            raise Refusal(-1141, "Parameter 'orderId' is empty.")
        return self._row(self._named(user, parameters))

    def _open(self, user: SimUser, parameters: Parameters) -> Json:
        orders = self._accounts.open_orders(user.name, self._symbol(parameters), conditional=False, lag=self._lag)
        kept = self._between(parameters, lambda order: order.ts_created, orders, _ORDER_DAYS)
        return [self._row(order) for order in self._page(parameters, kept, first=0, most=100, default=100)]

    def _history(self, user: SimUser, parameters: Parameters) -> Json:
        """Answer orders that are over, those that waited for a trigger among them; some fields are left out."""
        orders = self._accounts.orders(user.name, self._symbol(parameters), lag=self._lag)
        over = [order for order in orders if not order.is_open]
        kept = self._between(parameters, lambda order: order.ts_created, over, _ORDER_DAYS)
        rows = [self._row(order) for order in self._page(parameters, kept, first=0, most=1000, default=500)]
        left_out = ("reduceOnly", "workingType")
        return [{name: value for name, value in row.items() if name not in left_out} for row in rows]

    def _row(self, order: SimOrder) -> Row:
        spec = self._exchange.instrument(order.symbol)
        status = "NEW" if order.status == "partially_filled" else self._state(order)
        return {
            "avgPrice": self._average(order),
            "clientOrderId": order.client_id or "",
            "cumQuote": spec.notional_text(order.amount),
            "orderId": self.order_id(order),
            **self._amounts(order),
            "reduceOnly": _closes(order),
            "side": order.side.upper(),
            "positionSide": self._position_word(order.position_side, order.side, closes=_closes(order)),
            "status": status,
            "stopPrice": self._trigger(order),
            "symbol": self._raw(order.symbol),
            "time": order.ts_created // MILLIS,
            "timeInForce": self._tif(order),
            "type": KIND_WORDS[order.kind],
            "updateTime": order.ts_updated // MILLIS,
            "workingType": _trigger_word(order),
        }

    def _trades(self, user: SimUser, parameters: Parameters) -> Json:
        fills = self._accounts.fills(user.name, self._symbol(parameters), lag=self._lag)
        number = parameters.number("orderId")
        if number is not None:
            order = self._find(user, number, None)
            fills = [fill for fill in fills if order is not None and fill.order == order.id]
        if parameters.number("startTime") is None and parameters.number("endTime") is None:
            fills = [fill for fill in fills if fill.ts >= self._exchange.now - _WEEK]
        kept = self._between(parameters, lambda fill: fill.ts, fills, _FILL_DAYS)
        return [self._trade(fill) for fill in self._page(parameters, kept, first=0, most=100, default=100)]

    def _trade(self, fill: SimFill) -> Row:
        spec = self._exchange.instrument(fill.symbol)
        return {
            "id": self.trade_id(fill),
            "orderId": self.order_of(fill),
            "symbol": self._raw(fill.symbol),
            "buyer": fill.side == "buy",
            "commission": fixed(fill.fee_e8, 8),
            "commissionAsset": fill.fee_currency,
            "maker": fill.liquidity == "maker",
            "price": spec.price_text(fill.price),
            "qty": spec.size_text(fill.size),
            "quoteQty": spec.notional_text(fill.price * fill.size),
            "realizedPnl": fixed(fill.realized_e8, 8),
            "side": fill.side.upper(),
            "positionSide": (fill.position_side or "both").upper(),
            "time": fill.ts // MILLIS,
        }

    # Conditional orders ----------------------------------------------------------------------------------------------

    def _place_algo(self, user: SimUser, parameters: Parameters) -> Json:
        return self._accepted(self._take(user, self._algo_request(user, parameters)))

    def _place_plan(self, user: SimUser, parameters: Parameters) -> Json:
        order = self._take(user, self._plan_request(user, parameters))
        return [{"success": True, "orderId": self.order_id(order), "errorCode": "", "errorMessage": ""}]

    def _cancel_algo(self, user: SimUser, parameters: Parameters) -> Json:
        if parameters.number("orderId") is None:
            raise Refusal(-1141, "Parameter 'orderId' is empty.")
        return self._canceled(self._drop(user, self._named(user, parameters, conditional=True)))

    def _cancel_all_algo(self, user: SimUser, parameters: Parameters) -> Json:
        return self._sweep(user, parameters, conditional=True)

    def _open_algo(self, user: SimUser, parameters: Parameters) -> Json:
        orders = self._accounts.open_orders(user.name, self._symbol(parameters), conditional=True, lag=self._lag)
        kept = self._between(parameters, lambda order: order.ts_created, orders, _ORDER_DAYS)
        return [self._algo_row(order) for order in self._page(parameters, kept, first=1, most=100, default=100)]

    def _all_algo(self, user: SimUser, parameters: Parameters) -> Json:
        orders = self._accounts.orders(user.name, self._symbol(parameters), lag=self._lag)
        over = [order for order in orders if order.trigger is not None and not order.is_open]
        kept = self._between(parameters, lambda order: order.ts_created, over, _ORDER_DAYS)
        page = self._page(parameters, kept, first=1, most=1000, default=500)
        return {"orders": [self._algo_row(order) for order in page], "hasMore": len(page) < len(kept)}

    def _algo_row(self, order: SimOrder) -> Row:
        spec = self._exchange.instrument(order.symbol)
        child = self._child(order)
        return {
            "algoId": self.order_id(order),
            "clientAlgoId": order.client_id or "",
            "algoType": "CONDITIONAL",
            "orderType": KIND_WORDS[order.kind],
            "symbol": self._raw(order.symbol),
            "side": order.side.upper(),
            "positionSide": self._position_word(order.position_side, order.side, closes=_closes(order)),
            "timeInForce": self._tif(order),
            "quantity": spec.size_text(order.size),
            "algoStatus": self._state(order),
            "actualOrderId": None if child is None else self.order_id(child),
            "actualPrice": "0" if child is None else self._average(child),
            "triggerPrice": self._trigger(order),
            "price": self._price(order),
            "tpTriggerPrice": None if order.take_profit is None else spec.price_text(order.take_profit),
            "slTriggerPrice": None if order.stop_loss is None else spec.price_text(order.stop_loss),
            "workingType": _trigger_word(order),
            "closePosition": order.close_position,
            "reduceOnly": _closes(order),
            "createTime": order.ts_created // MILLIS,
            "updateTime": order.ts_updated // MILLIS,
            "triggerTime": order.ts_triggered // MILLIS,
        }

    def _child(self, order: SimOrder) -> SimOrder | None:
        if order.child is None:
            return None
        return self._accounts.order(order.user, order.symbol, order_id=order.child)

    def _state(self, order: SimOrder) -> str:
        """Return the status; of a triggered order what became of the one that it sent, once that is over."""
        child = self._child(order)
        return STATES[order.status] if child is None or child.is_open else STATES[child.status]

    # Closing ---------------------------------------------------------------------------------------------------------

    def _close(self, user: SimUser, parameters: Parameters) -> Json:
        """Close positions at market: the one named by id, both of a symbol, or with neither given all of them."""
        number, symbol = parameters.number("positionId"), self._symbol(parameters)
        positions = self._accounts.positions(user.name, symbol)
        if number is not None:
            positions = [position for position in positions if self.position_id(position) == number]
            if not positions:
                raise Refusal(-1142, "Parameter 'positionId' is invalid.")
        return [self._closed(user, position) for position in positions]

    def _closed(self, user: SimUser, position: SimPosition) -> Row:
        side: Side = "sell" if position.side == "long" else "buy"
        row: Row = {"positionId": self.position_id(position)}
        request = SimOrderRequest(
            symbol=position.symbol,
            side=side,
            kind="market",
            size=position.size,
            client_id=self._new_id(),
            position_side=self._meant(user, position.side),
            reduce_only=self._reduces(user, side, position.side),
        )
        try:
            order = self._take(user, request)
        except Refusal as refusal:
            return {**row, "success": False, "successOrderId": 0, "errorMessage": refusal.text}
        return {**row, "success": True, "successOrderId": self.order_id(order), "errorMessage": ""}

    def _meant(self, user: SimUser, position: PositionSide) -> PositionSide | None:
        """Return the position of an order; in one-way mode there is but one."""
        return position if self._accounts.position_mode(user.name) == "hedge" else None

    def _reduces(self, user: SimUser, side: Side, position: PositionSide) -> bool:
        """Tell whether an order in one-way mode may only reduce; in hedge mode side and position say so."""
        return self._meant(user, position) is None and (side == "sell") == (position == "long")


def _trigger_word(order: SimOrder) -> str:
    return "UNKNOWN_PRICE_TYPE" if order.trigger_by is None else _TRIGGER_WORDS[order.trigger_by]


def _closes(order: SimOrder) -> bool:
    if order.position_side is None:
        return order.reduce_only or order.close_position
    return (order.side == "sell") == (order.position_side == "long")


def _rejected(parameters: Parameters, refusal: Refusal) -> Row:
    head: Row = {"orderId": "", "clientOrderId": parameters.values.get("newClientOrderId"), "success": False}
    return {**head, "errorCode": str(refusal.code), "errorMessage": refusal.text}
