"""The private endpoints of the simulated spot market: orders, executions and balances, as its wire tells them.

Source: Trading and Account endpoints of the public REST documentation of spot, October 2026.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Final

from unitape.spi.simulated_accounts import (
    AccountRules,
    SimAmendment,
    SimFill,
    SimOrder,
    SimOrderRequest,
    SimOrderStatus,
    SimReject,
    SimUser,
)
from unitape.spi.simulation import Exchange, SimInstrument, fixed
from unitape_binance.simulator_private import PrivateEndpoint, PrivateFace, chosen, decimal, flat
from unitape_binance.simulator_rejects import refusal
from unitape_binance.simulator_rest import Json, Parameters
from unitape_binance.simulator_rules import SECOND, Refusal, Spelling
from unitape_schemas import OrderKind, TimeInForce

__all__ = ["FIRST_ID", "SPOT_RULES", "SpotAccountFace"]

SPOT_RULES: Final = AccountRules(
    maker_e8=100_000,
    taker_e8=100_000,
    max_market_lots=90_000_000,
    max_waiting=5,
    client_id_scope="open",
)

_KINDS: Final[Mapping[str, tuple[OrderKind, frozenset[str]]]] = {
    "LIMIT": ("limit", frozenset({"timeInForce", "quantity", "price"})),
    "LIMIT_MAKER": ("limit", frozenset({"quantity", "price"})),
    "MARKET": ("market", frozenset()),
    "STOP_LOSS": ("stop", frozenset({"quantity", "stopPrice"})),
    "STOP_LOSS_LIMIT": ("stop_limit", frozenset({"timeInForce", "quantity", "price", "stopPrice"})),
    "TAKE_PROFIT": ("take_profit", frozenset({"quantity", "stopPrice"})),
    "TAKE_PROFIT_LIMIT": ("take_profit_limit", frozenset({"timeInForce", "quantity", "price", "stopPrice"})),
}
_WORD_OF: Final[Mapping[OrderKind, str]] = {kind: word for word, (kind, _) in _KINDS.items() if word != "LIMIT_MAKER"}
_PARTS: Final = frozenset({"timeInForce", "quantity", "quoteOrderQty", "price", "stopPrice"})
_TIFS: Final[Mapping[str, TimeInForce]] = {"GTC": "gtc", "IOC": "ioc", "FOK": "fok"}
_STATES: Final[Mapping[SimOrderStatus, str]] = {
    "waiting": "NEW",
    "triggered": "NEW",
    "open": "NEW",
    "partially_filled": "PARTIALLY_FILLED",
    "filled": "FILLED",
    "canceled": "CANCELED",
    "expired": "EXPIRED",
    "rejected": "REJECTED",
}
_PLACING: Final = frozenset({"symbol", "side", "type", "newClientOrderId", "newOrderRespType", *_PARTS})
_NAMING: Final = frozenset({"symbol", "orderId", "origClientOrderId"})
_REPLACING: Final = frozenset(
    {"cancelReplaceMode", "cancelOrderId", "cancelOrigClientOrderId", "cancelNewClientOrderId"}
)
_ID: Final = re.compile(r"[a-zA-Z0-9-_]{1,36}")
_DAY: Final = 86_400 * SECOND
FIRST_ID: Final = 41_200_000_000


class SpotAccountFace(PrivateFace):
    """Private endpoints of spot."""

    def __init__(self, exchange: Exchange, spelling: Spelling, *, enforce_limits: bool) -> None:
        super().__init__(exchange, spelling, enforce_limits=enforce_limits)
        self._accounts.configure(SPOT_RULES)
        # An amended order gets a new client id; the market itself knows it by its first.
        self._renamed: dict[int, str] = {}
        self.name_before: dict[int, str] = {}
        """By order: its client id before the last amendment."""
        self.canceled_as: dict[int, str] = {}
        """By order: the id of the request that canceled it."""
        listing = frozenset({"symbol", "orderId", "startTime", "endTime", "limit"})
        self.endpoints = {
            ("POST", "/api/v3/order"): PrivateEndpoint(self._place, flat(1), _PLACING, True, (1, 1)),
            ("POST", "/api/v3/order/test"): PrivateEndpoint(
                self._test, flat(1), _PLACING | {"computeCommissionRates"}, True
            ),
            ("GET", "/api/v3/order"): PrivateEndpoint(self._query, flat(4), _NAMING),
            ("DELETE", "/api/v3/order"): PrivateEndpoint(self._cancel, flat(1), _NAMING | {"newClientOrderId"}, True),
            ("POST", "/api/v3/order/cancelReplace"): PrivateEndpoint(
                self._replace, flat(1), _PLACING | _REPLACING, True, (1, 1)
            ),
            ("PUT", "/api/v3/order/amend/keepPriority"): PrivateEndpoint(
                self._amend, flat(4), _NAMING | {"newClientOrderId", "newQty"}, True
            ),
            ("GET", "/api/v3/openOrders"): PrivateEndpoint(
                self._open, lambda p: 6 if "symbol" in p.values else 80, frozenset({"symbol"})
            ),
            ("DELETE", "/api/v3/openOrders"): PrivateEndpoint(self._cancel_all, flat(1), frozenset({"symbol"}), True),
            ("GET", "/api/v3/allOrders"): PrivateEndpoint(self._all, flat(20), listing),
            ("GET", "/api/v3/myTrades"): PrivateEndpoint(
                self._trades, lambda p: 5 if "orderId" in p.values else 20, listing | {"fromId"}
            ),
            ("GET", "/api/v3/account"): PrivateEndpoint(self._account, flat(20), frozenset({"omitZeroBalances"})),
            ("GET", "/api/v3/rateLimit/order"): PrivateEndpoint(self._order_counts, flat(40)),
        }

    # Placing ---------------------------------------------------------------------------------------------------------

    def _request(self, parameters: Parameters) -> SimOrderRequest:
        spec = self._spec(parameters)
        side = self._side(parameters)
        word = parameters.required("type")
        if word not in _KINDS:
            raise Refusal(-1116, "Invalid orderType.")
        kind, needed = _KINDS[word]
        if word == "MARKET":
            needed = frozenset({"quoteOrderQty" if "quoteOrderQty" in parameters.values else "quantity"})
        for name in sorted(needed):
            parameters.required(name)
        extra = sorted((_PARTS - needed) & parameters.values.keys())
        if extra:
            raise Refusal(-1106, f"Parameter '{extra[0]}' sent when not required.")
        tif = chosen(parameters, "timeInForce", frozenset(_TIFS), -1115, "Invalid timeInForce.")
        quote = None
        if "quoteOrderQty" in needed:
            quote = int(decimal(parameters, "quoteOrderQty") * 10**8)
        return SimOrderRequest(
            symbol=spec.symbol,
            side="buy" if side == "BUY" else "sell",
            kind=kind,
            size=self._lots(spec, parameters) if "quantity" in needed else None,
            quote_amount_e8=quote,
            price=self._ticks(spec, parameters, "price") if "price" in needed else None,
            tif="post_only" if word == "LIMIT_MAKER" else None if tif is None else _TIFS[tif],
            client_id=self._client_id(parameters),
            trigger=self._ticks(spec, parameters, "stopPrice") if "stopPrice" in needed else None,
        )

    def _client_id(self, parameters: Parameters) -> str:
        name = parameters.text("newClientOrderId")
        if name is None:
            return self._new_id()
        if not _ID.fullmatch(name):
            text = "Illegal characters found in parameter 'newClientOrderId'; legal range is '^[a-zA-Z0-9-_]{1,36}$'."
            raise Refusal(-1100, text)
        return name

    def _place(self, user: SimUser, parameters: Parameters) -> Json:
        words = frozenset({"ACK", "RESULT", "FULL"})
        shape = chosen(parameters, "newOrderRespType", words, -1136, "Invalid newOrderRespType.")
        request = self._request(parameters)
        placed = self._accounts.place(user.name, request)
        if isinstance(placed, SimReject):
            raise self._refused(placed, request)
        row: dict[str, Json] = {
            **self._names(placed),
            "clientOrderId": self.name(placed),
            "transactTime": placed.ts_updated // parameters.unit,
        }
        shape = shape or ("FULL" if placed.kind in {"market", "limit"} else "ACK")
        if shape == "ACK":
            return row
        row |= self.state(placed) | {"workingTime": self.working(placed, parameters.unit)}
        if shape == "FULL":
            fills = self._accounts.fills(user.name, placed.symbol, order_id=placed.id)
            row["fills"] = [self._part(fill) for fill in fills]
        return row

    def _test(self, user: SimUser, parameters: Parameters) -> Json:
        self._check(user, self._request(parameters))
        return {}

    # Orders ----------------------------------------------------------------------------------------------------------

    def _find(self, user: SimUser, parameters: Parameters, code: int, text: str, lag: float = 0.0) -> SimOrder:
        spec = self._spec(parameters)
        number, name = parameters.number("orderId"), parameters.text("origClientOrderId")
        if number is None and name is None:
            raise Refusal(-1102, "Param 'origClientOrderId' or 'orderId' must be sent, but both were empty/null!")
        if number is not None:
            found = self._accounts.order(user.name, spec.symbol, order_id=number - FIRST_ID, lag=lag)
        else:
            renamed = next((order for order, other in self._renamed.items() if other == name), None)
            if renamed is not None:
                found = self._accounts.order(user.name, spec.symbol, order_id=renamed, lag=lag)
            else:
                found = self._accounts.order(user.name, spec.symbol, client_id=name, lag=lag)
                if found is not None and found.id in self._renamed:
                    found = None
        if found is None or (number is not None and name is not None and self.name(found) != name):
            raise Refusal(code, text)
        return found

    def _query(self, user: SimUser, parameters: Parameters) -> Json:
        return self._row(self._find(user, parameters, -2013, "Order does not exist.", self._lag), parameters)

    def _cancel(self, user: SimUser, parameters: Parameters) -> Json:
        order = self._find(user, parameters, -2011, "Unknown order sent.")
        ended = self._accounts.cancel(user.name, order.symbol, order_id=order.id)
        if isinstance(ended, SimReject):
            raise refusal(ended.reason, linear=False)
        return self._canceled(ended, parameters.text("newClientOrderId") or self._new_id(), parameters)

    def _cancel_all(self, user: SimUser, parameters: Parameters) -> Json:
        ended = self._accounts.cancel_all(user.name, self._spec(parameters).symbol)
        if not ended:
            raise refusal("nothing_to_cancel", linear=False)
        name = self._new_id()
        return [self._canceled(order, name, parameters) for order in ended]

    def _replace(self, user: SimUser, parameters: Parameters) -> Json:
        """Cancel an order and place another; the two may turn out differently."""
        mode = parameters.required("cancelReplaceMode")
        if mode not in {"STOP_ON_FAILURE", "ALLOW_FAILURE"}:
            raise Refusal(-1130, "Data sent for parameter 'cancelReplaceMode' is not valid.")
        canceling = parameters.renamed(
            {
                "symbol": "symbol",
                "cancelOrderId": "orderId",
                "cancelOrigClientOrderId": "origClientOrderId",
                "cancelNewClientOrderId": "newClientOrderId",
            }
        )
        canceled = _tried(lambda: self._cancel(user, canceling))
        placed: Json = None
        if mode == "ALLOW_FAILURE" or not isinstance(canceled, Refusal):
            placed = _tried(lambda: self._place(user, parameters))
        data: dict[str, Json] = {
            "cancelResult": "FAILURE" if isinstance(canceled, Refusal) else "SUCCESS",
            "newOrderResult": "FAILURE" if isinstance(placed, Refusal) else "SUCCESS" if placed else "NOT_ATTEMPTED",
            "cancelResponse": canceled.body() if isinstance(canceled, Refusal) else canceled,
            "newOrderResponse": placed.body() if isinstance(placed, Refusal) else placed,
        }
        failures = [data["cancelResult"] != "SUCCESS", data["newOrderResult"] != "SUCCESS"]
        if all(failures):
            raise Refusal(-2022, "Order cancel-replace failed.", data=data)
        if any(failures):
            raise Refusal(-2021, "Order cancel-replace partially failed.", 409, data=data)
        return data

    def _canceled(self, order: SimOrder, name: str, parameters: Parameters) -> Json:
        self.canceled_as[order.id] = name
        return {
            **self._names(order),
            "origClientOrderId": self.name(order),
            "clientOrderId": name,
            "transactTime": order.ts_updated // parameters.unit,
            **self.state(order),
        }

    def _amend(self, user: SimUser, parameters: Parameters) -> Json:
        spec = self._spec(parameters)
        before = self._find(user, parameters, -2038, "Unknown order sent.")
        size = self._lots(spec, parameters, "newQty")
        if size > before.size:
            raise Refusal(-2038, "Order amend (quantity increase) is not supported.")
        name = self._client_id(parameters)
        done = self._accounts.amend(user.name, spec.symbol, SimAmendment(size=size), order_id=before.id)
        if isinstance(done, SimReject):
            unknown = done.reason in {"order_not_found", "order_closed"}
            raise Refusal(-2038, "Unknown order sent.") if unknown else refusal(done.reason, linear=False)
        old = self.name_before[done.id] = self.name(done)
        if name != old:
            self._renamed[done.id] = name
        state = self.state(done)
        return {
            "transactTime": done.ts_updated // parameters.unit,
            "executionId": done.id,
            "amendedOrder": {
                **self._names(done),
                "origClientOrderId": old,
                "clientOrderId": name,
                "price": state["price"],
                "qty": state["origQty"],
                "executedQty": state["executedQty"],
                "preventedQty": "0.00000000",
                "quoteOrderQty": "0.00000000",
                "cumulativeQuoteQty": state["cummulativeQuoteQty"],
                "status": state["status"],
                "timeInForce": state["timeInForce"],
                "type": state["type"],
                "side": state["side"],
                "workingTime": self.working(done, parameters.unit),
                "selfTradePreventionMode": "NONE",
            },
        }

    def _open(self, user: SimUser, parameters: Parameters) -> Json:
        orders = self._accounts.open_orders(user.name, self._one(parameters), lag=self._lag)
        return [self._row(order, parameters) for order in orders]

    def _all(self, user: SimUser, parameters: Parameters) -> Json:
        spec, limit = self._spec(parameters), parameters.limit(500, 1_000)
        start, end = self._range(parameters)
        first = parameters.number("orderId")
        rows = [
            order
            for order in self._accounts.orders(user.name, spec.symbol, lag=self._lag)
            if (first is None or order.id + FIRST_ID >= first)
            and (start is None or order.ts_created >= start)
            and (end is None or order.ts_created < end)
        ]
        rows = rows[-limit:] if start is None and first is None else rows[:limit]
        return [self._row(order, parameters) for order in rows]

    def _range(self, parameters: Parameters) -> tuple[int | None, int | None]:
        """Return the first moment and the one behind the last."""
        start, end = parameters.moment("startTime"), parameters.moment("endTime")
        if start is not None and end is not None and end - start > _DAY:
            raise Refusal(-1127, "More than 24 hours between startTime and endTime.")
        return start, None if end is None else end + parameters.unit

    def _trades(self, user: SimUser, parameters: Parameters) -> Json:
        spec, limit = self._spec(parameters), parameters.limit(500, 1_000)
        start, end = self._range(parameters)
        number, first = parameters.number("orderId"), parameters.number("fromId")
        order = None if number is None else number - FIRST_ID
        rows = [
            fill
            for fill in self._accounts.fills(user.name, spec.symbol, order_id=order, lag=self._lag)
            if (first is None or fill.id >= first)
            and (start is None or fill.ts >= start)
            and (end is None or fill.ts < end)
        ]
        rows = rows[-limit:] if start is None and first is None else rows[:limit]
        return [self._trade_row(spec, fill, parameters) for fill in rows]

    # Account ---------------------------------------------------------------------------------------------------------

    def _account(self, user: SimUser, parameters: Parameters) -> Json:
        held = self._accounts.balances(user.name)
        if parameters.text("omitZeroBalances") == "true":
            held = [balance for balance in held if balance.total_e8]
        return {
            "makerCommission": 10,
            "takerCommission": 10,
            "commissionRates": {"maker": fixed(SPOT_RULES.maker_e8, 8), "taker": fixed(SPOT_RULES.taker_e8, 8)},
            "canTrade": "trade" in user.permissions,
            "canWithdraw": "withdraw" in user.permissions,
            "canDeposit": True,
            "brokered": False,
            "updateTime": self._exchange.now // parameters.unit,
            "accountType": "SPOT",
            "balances": [
                {
                    "asset": balance.currency,
                    "free": fixed(balance.total_e8 - balance.locked_e8, 8),
                    "locked": fixed(balance.locked_e8, 8),
                }
                for balance in held
            ],
            "permissions": ["SPOT"],
            "uid": 354_900_000,
        }

    # Rows ------------------------------------------------------------------------------------------------------------

    def name(self, order: SimOrder) -> str:
        """Return the client id that an order has now."""
        return self._renamed.get(order.id, order.client_id or "")

    def _names(self, order: SimOrder) -> dict[str, Json]:
        return {
            "symbol": self.spelling.raw_of[order.symbol],
            "orderId": order.id + FIRST_ID,
            "orderListId": -1,
        }

    def state(self, order: SimOrder) -> dict[str, Json]:
        """Write what answers about an order have in common."""
        spec, spelling = self._exchange.instrument(order.symbol), self.spelling
        post_only = order.tif == "post_only"
        state: dict[str, Json] = {
            "price": spelling.price(spec, order.price or 0),
            "origQty": spelling.size(spec, order.size),
            "executedQty": spelling.size(spec, order.filled),
            "origQuoteOrderQty": fixed(order.quote_amount_e8 or 0, 8),
            "cummulativeQuoteQty": spelling.amount(spec, order.amount),
            "status": _STATES[order.status],
            "timeInForce": (order.tif or "gtc").upper() if not post_only else "GTC",
            "type": "LIMIT_MAKER" if post_only else _WORD_OF[order.kind],
            "side": order.side.upper(),
            "selfTradePreventionMode": "NONE",
        }
        if order.trigger is not None:
            state["stopPrice"] = spelling.price(spec, order.trigger)
        return state

    def working(self, order: SimOrder, unit: int) -> int:
        """Return since when an order stands in the book; -1 while it waits."""
        if order.status == "waiting":
            return -1
        return (order.ts_triggered or order.ts_created) // unit

    def _row(self, order: SimOrder, parameters: Parameters) -> Json:
        spec = self._exchange.instrument(order.symbol)
        return {
            **self._names(order),
            "clientOrderId": self.name(order),
            "stopPrice": self.spelling.price(spec, 0),
            "icebergQty": "0.00000000",
            **self.state(order),
            "time": order.ts_created // parameters.unit,
            "updateTime": order.ts_updated // parameters.unit,
            "isWorking": order.status != "waiting",
            "workingTime": self.working(order, parameters.unit),
        }

    def _part(self, fill: SimFill) -> Json:
        spec = self._exchange.instrument(fill.symbol)
        return {
            "price": self.spelling.price(spec, fill.price),
            "qty": self.spelling.size(spec, fill.size),
            "commission": fixed(fill.fee_e8, 8),
            "commissionAsset": fill.fee_currency,
            "tradeId": fill.id,
        }

    def _trade_row(self, spec: SimInstrument, fill: SimFill, parameters: Parameters) -> Json:
        spelling = self.spelling
        return {
            "symbol": spelling.raw_of[fill.symbol],
            "id": fill.id,
            "orderId": fill.order + FIRST_ID,
            "orderListId": -1,
            "price": spelling.price(spec, fill.price),
            "qty": spelling.size(spec, fill.size),
            "quoteQty": spelling.amount(spec, fill.price * fill.size),
            "commission": fixed(fill.fee_e8, 8),
            "commissionAsset": fill.fee_currency,
            "time": fill.ts // parameters.unit,
            "isBuyer": fill.side == "buy",
            "isMaker": fill.liquidity == "maker",
            "isBestMatch": True,
        }


def _tried(verb: Callable[[], Json]) -> Json:
    """Return what a part of a request comes to; its refusal, if it is refused."""
    try:
        return verb()
    except Refusal as refused:
        return refused
