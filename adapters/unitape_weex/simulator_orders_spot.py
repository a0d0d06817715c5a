"""Private endpoints of the simulated spot market.

Source: order and account pages of the spot API documentation V3, 2026-07. Settings: ``batch`` = ``on`` serves batches
of new orders, which otherwise are refused with code -1150, as was seen.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from unitape.spi.simulated_accounts import SimFill, SimOrder, SimOrderRequest, SimUser
from unitape.spi.simulation import Exchange, FaultSource, fixed
from unitape_schemas import TimeInForce
from unitape_weex.simulator_orders import KIND_WORDS, STATES, TIFS, OrdersFace, Row
from unitape_weex.simulator_private import Endpoint, Json, Parameters
from unitape_weex.simulator_rules import MILLIS, Refusal, Rules, Spelling

__all__ = ["SpotOrdersFace"]

_SPAN_DAYS: Final = 90
_TYPES: Final = {"LIMIT": True, "MARKET": False}
_SPOT_TIFS: Final[Mapping[str, TimeInForce]] = {word: tif for word, tif in TIFS.items() if word != "POST_ONLY"}


class SpotOrdersFace(OrdersFace):
    """Orders, executions and balances of spot."""

    def __init__(
        self, exchange: Exchange, rules: Rules, spelling: Spelling, faults: FaultSource, settings: Mapping[str, str]
    ) -> None:
        super().__init__(exchange, rules, spelling, faults, settings)
        endpoints = {
            ("GET", "/api/v3/account/"): Endpoint(self._account, 5),
            ("POST", "/api/v3/order"): Endpoint(self._place, 2, trades=True, body=True, orders=1),
            ("DELETE", "/api/v3/order"): Endpoint(self._cancel, 1, trades=True),
            ("GET", "/api/v3/order"): Endpoint(self._query, 2),
            ("GET", "/api/v3/openOrders"): Endpoint(self._open, 3),
            ("DELETE", "/api/v3/openOrders"): Endpoint(self._cancel_all, 1, trades=True),
            ("DELETE", "/api/v3/order/batch"): Endpoint(self._cancel_many, 5, trades=True, body=True),
            ("GET", "/api/v3/allOrders"): Endpoint(self._all, 10),
            ("GET", "/api/v3/myTrades"): Endpoint(self._trades, 5),
        }
        if settings.get("batch") == "on":
            batch = Endpoint(self._place_many, 10, trades=True, body=True, orders=10)
            endpoints["POST", "/api/v3/order/batch"] = batch
        self.endpoints = endpoints

    def _request(self, parameters: Parameters) -> SimOrderRequest:
        spec, side = self._spec(parameters), self._side(parameters)
        parameters.required("type")
        limited = _TYPES[parameters.one_of("type", _TYPES, -1116) or ""]
        tif = None
        if limited:
            parameters.required("timeInForce")
            tif = _SPOT_TIFS[parameters.one_of("timeInForce", _SPOT_TIFS, -1115) or ""]
        return SimOrderRequest(
            symbol=spec.symbol,
            side=side,
            kind="limit" if limited else "market",
            size=self._positive(parameters, "quantity", lambda name: parameters.lots(name, spec)),
            price=self._positive(parameters, "price", lambda name: parameters.ticks(name, spec)) if limited else None,
            tif=tif,
            client_id=parameters.client_id("newClientOrderId") or self._new_id(),
        )

    def _place(self, user: SimUser, parameters: Parameters) -> Json:
        return self._acknowledged(self._take(user, self._request(parameters)))

    def _place_many(self, user: SimUser, parameters: Parameters) -> Json:
        symbol = parameters.required("symbol")
        rows: list[Row] = []
        for row in parameters.rows("orderList", 10):
            named = Parameters({**row.values, "symbol": symbol})
            try:
                rows.append({**self._acknowledged(self._take(user, self._request(named))), "errorCode": None})
            except Refusal as refusal:
                client_id = row.text("newClientOrderId")
                failure: Row = {"symbol": symbol, "orderId": None, "clientOrderId": client_id}
                rows.append({**failure, "errorCode": str(refusal.code), "errorMsg": refusal.text})
        return {"orderList": rows}

    def _acknowledged(self, order: SimOrder) -> Row:
        return {
            "symbol": self._raw(order.symbol),
            "orderId": self.order_id(order),
            "clientOrderId": order.client_id,
            "transactTime": order.ts_created // MILLIS,
        }

    def _cancel(self, user: SimUser, parameters: Parameters) -> Json:
        return self._canceled(self._drop(user, self._named(user, parameters)))

    def _cancel_all(self, user: SimUser, parameters: Parameters) -> Json:
        symbol = self._spec(parameters).symbol
        return [self._canceled(order) for order in self._accounts.cancel_all(user.name, symbol)]

    def _cancel_many(self, user: SimUser, parameters: Parameters) -> Json:
        ids, client_ids = parameters.names("orderIds", 10), parameters.names("origClientOrderIds", 10)
        if (ids is None) == (client_ids is None):
            raise Refusal(-1128, "Either orderIds or origClientOrderIds must be given.")
        key = "orderId" if ids is not None else "origClientOrderId"
        rows: list[Row] = []
        for name in ids or client_ids or ():
            try:
                rows.append(self._canceled(self._drop(user, self._named(user, Parameters({key: name})))))
            except Refusal:
                rows.append({key: name, "status": "FAILED", "errorMsg": "FAILED_ORDER_NOT_FOUND"})
        return {"orderList": rows}

    def _canceled(self, order: SimOrder) -> Row:
        return {"orderId": self.order_id(order), "status": STATES[order.status]}

    def _query(self, user: SimUser, parameters: Parameters) -> Json:
        return self._row(self._named(user, parameters))

    def _open(self, user: SimUser, parameters: Parameters) -> Json:
        orders = self._accounts.open_orders(user.name, self._symbol(parameters), lag=self._lag)
        return [self._row(order) for order in orders[::-1]]

    def _all(self, user: SimUser, parameters: Parameters) -> Json:
        orders = self._accounts.orders(user.name, self._spec(parameters).symbol, lag=self._lag)
        kept = self._between(parameters, lambda order: order.ts_created, orders, _SPAN_DAYS)
        return [self._row(order) for order in self._page(parameters, kept, first=1, most=1000, default=100)]

    def _row(self, order: SimOrder) -> Row:
        spec = self._exchange.instrument(order.symbol)
        return {
            "symbol": self._raw(order.symbol),
            "orderId": self.order_id(order),
            "clientOrderId": order.client_id,
            **self._amounts(order),
            "cummulativeQuoteQty": spec.notional_text(order.amount),
            "status": STATES[order.status],
            "timeInForce": self._tif(order),
            "type": KIND_WORDS[order.kind],
            "side": order.side.upper(),
            "time": order.ts_created // MILLIS,
            "updateTime": order.ts_updated // MILLIS,
            "isWorking": order.is_open,
        }

    def _trades(self, user: SimUser, parameters: Parameters) -> Json:
        symbol = self._spec(parameters).symbol
        number = parameters.number("orderId")
        fills = self._accounts.fills(user.name, symbol, lag=self._lag)
        order = None if number is None else self._find(user, number, None)
        if number is not None:
            fills = [fill for fill in fills if order is not None and fill.order == order.id]
        kept = self._between(parameters, lambda fill: fill.ts, fills, _SPAN_DAYS)
        return [self._trade(fill) for fill in self._page(parameters, kept, first=0, most=1000, default=100)]

    def _trade(self, fill: SimFill) -> Row:
        spec = self._exchange.instrument(fill.symbol)
        return {
            "symbol": self._raw(fill.symbol),
            "id": self.trade_id(fill),
            "orderId": self.order_of(fill),
            "price": spec.price_text(fill.price),
            "qty": spec.size_text(fill.size),
            "quoteQty": spec.notional_text(fill.price * fill.size),
            "commission": fixed(fill.fee_e8, 8),
            "time": fill.ts // MILLIS,
            "isBuyer": fill.side == "buy",
        }

    def _account(self, user: SimUser, parameters: Parameters) -> Json:
        return {
            "makerCommission": 10,
            "takerCommission": 10,
            "commissionRates": {"maker": "0.0010", "taker": "0.0010"},
            "canTrade": "trade" in user.permissions,
            "canWithdraw": "withdraw" in user.permissions,
            "canDeposit": True,
            "updateTime": self._exchange.now // MILLIS,
            "accountType": "SPOT",
            "balances": [
                {"asset": row.currency, "free": fixed(row.free_e8, 8), "locked": fixed(row.locked_e8, 8)}
                for row in self._accounts.balances(user.name)
            ],
            "permissions": ["SPOT_TRADING"],
            "uid": 4_400_000_000,
        }
