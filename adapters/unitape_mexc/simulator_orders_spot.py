"""The private endpoints of simulated spot, as "Spot Account/Trade" of MEXC Spot V3 (2026-11) describes them.

Settings: ``cancel_answer`` = ``minimal`` leaves everything out of the answers to cancels that the venue may leave out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal, InvalidOperation
from typing import Final
from urllib.parse import unquote

import msgspec

from unitape.spi import HttpRequest, HttpResponse
from unitape.spi.simulated_accounts import (
    AccountEvent,
    AccountRules,
    SimFill,
    SimOrder,
    SimOrderRequest,
    SimReject,
    SimUser,
)
from unitape.spi.simulation import Exchange, FaceOptions, SimInstrument, fixed
from unitape_mexc.simulator_base import MILLIS, Refusal, encode
from unitape_mexc.simulator_private import SPOT_WORDS, Endpoint, PrivateFace, Window, header, is_signed
from unitape_mexc.simulator_pushes_spot import spot_pushes
from unitape_mexc.simulator_streams import Watch
from unitape_schemas import OrderKind, Side, TimeInForce

__all__ = ["SpotPrivateFace"]

_E8: Final = 10**8
_AHEAD: Final = 1000
_MOST_WINDOW: Final = 60_000
_FIRST_ORDER: Final = 505_979_017_439_000_000_000
_FIRST_TRADE: Final = 505_979_017_439_000_000
_TYPES: Final[Mapping[str, tuple[OrderKind, TimeInForce | None]]] = {
    "LIMIT": ("limit", "gtc"),
    "LIMIT_ORDER": ("limit", "gtc"),
    "LIMIT_MAKER": ("limit", "post_only"),
    "IMMEDIATE_OR_CANCEL": ("limit", "ioc"),
    "FILL_OR_KILL": ("limit", "fok"),
    "MARKET": ("market", None),
}
_WORDS: Final = {"gtc": "LIMIT", "post_only": "LIMIT_MAKER", "ioc": "IMMEDIATE_OR_CANCEL", "fok": "FILL_OR_KILL"}
_SIDES: Final[Mapping[str, Side]] = {"BUY": "buy", "SELL": "sell"}
_LIVE: Final = {"open": "NEW", "partially_filled": "PARTIALLY_FILLED", "filled": "FILLED", "rejected": "REJECTED"}
_MINIMAL: Final = ("symbol", "orderId", "price", "origQty", "type", "side")
_RULES: Final = AccountRules(
    maker_e8=0,
    taker_e8=50_000,
    min_notional_e8=_E8,
    max_open=500,
    client_ids="accepted",
    post_only="expired",
)
_Order = Mapping[str, str]


class SpotPrivateFace(PrivateFace):
    """Orders, executions and balances of spot."""

    base = "/api/v3/"
    words = SPOT_WORDS

    def __init__(self, exchange: Exchange, options: FaceOptions) -> None:
        super().__init__(exchange, options)
        self._orders = Window(12, 1.0)
        exchange.accounts.configure(_RULES)
        self.endpoints = {
            ("POST", "order"): Endpoint(self._place, trades=True, orders=1),
            ("POST", "order/test"): Endpoint(self._test, trades=True),
            ("POST", "batchOrders"): Endpoint(self._place_many, weight=10, trades=True, orders=1),
            ("DELETE", "order"): Endpoint(self._cancel, trades=True, orders=1),
            ("DELETE", "openOrders"): Endpoint(self._cancel_symbols, trades=True, orders=1),
            ("DELETE", "order/all"): Endpoint(self._cancel_all, trades=True, orders=1),
            ("GET", "order"): Endpoint(self._query, weight=2, lags=True),
            ("GET", "openOrders"): Endpoint(self._open, weight=3, lags=True),
            ("GET", "allOrders"): Endpoint(self._all, weight=10, lags=True),
            ("GET", "myTrades"): Endpoint(self._trades, weight=10, lags=True),
            ("GET", "account"): Endpoint(self._account, weight=10),
            ("POST", "userDataStream"): Endpoint(self._open_key),
            ("GET", "userDataStream"): Endpoint(self._list_keys),
            ("PUT", "userDataStream"): Endpoint(self._extend_key),
            ("DELETE", "userDataStream"): Endpoint(self._close_key),
        }

    # Who asks --------------------------------------------------------------------------------------------------------

    def refusal(self, code: int, text: str, status: int = 400) -> Refusal:
        """Most refusals come with status 400."""
        body = encode({"code": code, "msg": text, "_extend": None})
        return Refusal(HttpResponse(status, body, (("content-type", "application/json"),)))

    def may_order(self, user: SimUser, now: int, count: int) -> bool:
        """Twelve orders and cancels a second."""
        return self._orders.take(user.name, now, count)

    def serve(self, endpoint: Endpoint, request: HttpRequest, parameters: Mapping[str, str]) -> object:
        """Parameters may stand in the body, too."""
        sent = (part.partition("=") for part in request.body.decode("utf-8", "replace").split("&") if part)
        merged = {name: unquote(value) for name, _, value in sent} | dict(parameters)
        return super().serve(endpoint, request, merged)

    def user(self, request: HttpRequest) -> SimUser:
        """Return whose key it is, if time and signature are right."""
        key = header(request, "X-MEXC-APIKEY")
        if not key:
            raise self.refusal(400, "api key required")
        user = self._accounts.by_key(key)
        if user is None:
            raise self.refusal(10072, "Api key info invalid")
        if request.method != "GET" and not header(request, "Content-Type").startswith("application/json"):
            raise self.refusal(700013, "Invalid content Type.")
        body = request.body.decode("utf-8", "replace")
        parts = [part for text in (request.query, body) for part in text.split("&") if part]
        sent = {name: unquote(value) for name, _, value in (part.partition("=") for part in parts)}
        if request.path.endswith("/userDataStream") and "signature" not in sent:
            # The pages ask for neither time nor signature here, and signed requests are taken, too.
            return user
        for name in ("signature", "timestamp"):
            if not sent.get(name):
                text = f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed."
                raise self.refusal(700004, text)
        self._check_time(sent["timestamp"], sent.get("recvWindow", "5000"))
        signed = "&".join(part for part in request.query.split("&") if not part.startswith("signature=")) + body
        if not is_signed(user.secret, signed, sent["signature"]):
            raise self.refusal(700002, "Signature for this request is not valid.")
        return user

    def _check_time(self, stamp: str, window: str) -> None:
        if not (stamp.isdigit() and window.isdigit()):
            raise self.refusal(700008, "Illegal characters found in a parameter.")
        if int(window) > _MOST_WINDOW:
            raise self.refusal(700005, "recvWindow must less than 60000")
        if int(stamp) >= self.millis + _AHEAD or self.millis - int(stamp) > int(window):
            raise self.refusal(700003, "Timestamp for this request is outside of the recvWindow.")

    # Placing ---------------------------------------------------------------------------------------------------------

    def _place(self, user: SimUser, request: HttpRequest, parameters: Mapping[str, str]) -> object:
        return self._placed(user, parameters)

    def _placed(self, user: SimUser, parameters: Mapping[str, str]) -> dict[str, object]:
        item, wanted = self._request(parameters)
        made = self._accounts.place(user.name, wanted)
        if isinstance(made, SimReject):
            raise self.rejected(made.reason)
        row: dict[str, object] = {
            "symbol": self.raw(item.symbol),
            "orderId": self.order_name(made.id),
            "orderListId": -1,
            "type": parameters["type"],
            "side": parameters["side"],
            "transactTime": made.ts_created // MILLIS,
        }
        if made.price is not None:
            row |= {"price": item.price_text(made.price), "origQty": item.size_text(made.size)}
        return row

    def _test(self, user: SimUser, request: HttpRequest, parameters: Mapping[str, str]) -> object:
        _, wanted = self._request(parameters)
        found = self._accounts.check(user.name, wanted)
        if found is not None:
            raise self.rejected(found.reason)
        return {}

    def _place_many(self, user: SimUser, request: HttpRequest, parameters: Mapping[str, str]) -> object:
        try:
            rows = msgspec.json.decode(parameters.get("batchOrders", ""), type=list[dict[str, str]])
        except msgspec.MsgspecError:
            raise self.refusal(33333, "param error") from None
        if not 1 <= len(rows) <= 20 or len({row.get("symbol") for row in rows}) > 1:
            raise self.refusal(33333, "param error")
        results: list[object] = []
        for row in rows:
            try:
                placed = self._placed(user, row)
            except Refusal as refused:
                said = msgspec.json.decode(refused.response.body, type=dict[str, object])
                results.append(
                    {"newClientOrderId": row.get("newClientOrderId"), "msg": said["msg"], "code": said["code"]}
                )
                continue
            results.append({name: placed[name] for name in ("symbol", "orderId", "orderListId")})
        return results

    def _request(self, sent: _Order) -> tuple[SimInstrument, SimOrderRequest]:
        item = self.item(sent.get("symbol", ""))
        side, found = _SIDES.get(sent.get("side", "")), _TYPES.get(sent.get("type", ""))
        if side is None or found is None:
            raise self.refusal(33333, "param error")
        kind, tif = found
        size, cost = self._lots(item, sent.get("quantity")), None
        if kind == "market" and "quoteOrderQty" in sent:
            cost = int(self._number(sent["quoteOrderQty"]) * _E8)
            size = None
        if (size is None and cost is None) or (kind == "limit" and "price" not in sent):
            raise self.refusal(700004, "Mandatory parameter was not sent, was empty/null, or malformed.")
        return item, SimOrderRequest(
            symbol=item.symbol,
            side=side,
            kind=kind,
            size=size,
            quote_amount_e8=cost,
            price=self._ticks(item, sent["price"]) if kind == "limit" else None,
            tif=tif,
            client_id=sent.get("newClientOrderId"),
        )

    def _number(self, text: str) -> Decimal:
        try:
            value = Decimal(text)
        except InvalidOperation:
            value = Decimal(-1)
        if not (value.is_finite() and value > 0) or "e" in text.lower():
            raise self.refusal(10097, "wrong amount")
        return value

    def _lots(self, item: SimInstrument, text: str | None) -> int | None:
        if text is None:
            return None
        lots = item.lots(self._number(text))
        if lots is None:
            raise self.rejected("step")
        return lots

    def _ticks(self, item: SimInstrument, text: str) -> int:
        ticks = item.ticks(self._number(text))
        if ticks is None:
            raise self.rejected("tick")
        return ticks

    # Canceling -------------------------------------------------------------------------------------------------------

    def _cancel(self, user: SimUser, request: HttpRequest, parameters: Mapping[str, str]) -> object:
        item = self.item(parameters.get("symbol", ""))
        number, client_id = self._named(parameters)
        found = self._accounts.cancel(user.name, item.symbol, order_id=number, client_id=client_id)
        if isinstance(found, SimReject):
            raise self.rejected(found.reason)
        return self._canceled(found)

    def _cancel_symbols(self, user: SimUser, request: HttpRequest, parameters: Mapping[str, str]) -> object:
        items = [self.item(raw) for raw in parameters.get("symbol", "").split(",")]
        gone = [order for item in items for order in self._accounts.cancel_all(user.name, item.symbol)]
        return [self._canceled(order) for order in gone]

    def _cancel_all(self, user: SimUser, request: HttpRequest, parameters: Mapping[str, str]) -> object:
        self._accounts.cancel_all(user.name)
        return {"code": 200, "msg": "success", "timestamp": self.millis}

    def _canceled(self, order: SimOrder) -> object:
        row = self._row(order)
        if self._settings.get("cancel_answer") == "minimal":
            return {name: row[name] for name in _MINIMAL}
        kept = {name: value for name, value in row.items() if name not in ("time", "updateTime", "isWorking")}
        return kept | {"origClientOrderId": order.client_id or "", "clientOrderId": f"cancel{order.id}"}

    # Asking ----------------------------------------------------------------------------------------------------------

    def _query(self, user: SimUser, request: HttpRequest, parameters: Mapping[str, str]) -> object:
        item = self.item(parameters.get("symbol", ""))
        number, client_id = self._named(parameters)
        found = self._accounts.order(user.name, item.symbol, order_id=number, client_id=client_id, lag=self._lag)
        if found is None:
            raise self.refusal(-2013, "Order does not exist.")
        return self._row(found)

    def _open(self, user: SimUser, request: HttpRequest, parameters: Mapping[str, str]) -> object:
        items = [self.item(raw) for raw in parameters.get("symbol", "").split(",")]
        return [
            self._row(order)
            for item in items
            for order in self._accounts.open_orders(user.name, item.symbol, lag=self._lag)
        ]

    def _all(self, user: SimUser, request: HttpRequest, parameters: Mapping[str, str]) -> object:
        item = self.item(parameters.get("symbol", ""))
        first, last = self._bounds(parameters, 24 * 3_600_000)
        found = [
            order
            for order in self._accounts.orders(user.name, item.symbol, lag=self._lag)
            if first <= order.ts_created // MILLIS <= last
        ]
        return [self._row(order) for order in found[::-1][: _count(parameters, 500, 1000)]]

    def _trades(self, user: SimUser, request: HttpRequest, parameters: Mapping[str, str]) -> object:
        item = self.item(parameters.get("symbol", ""))
        number = self._order_number(parameters["orderId"]) if "orderId" in parameters else None
        first, last = self._bounds(parameters, 31 * 24 * 3_600_000)
        found = [
            fill
            for fill in self._accounts.fills(user.name, item.symbol, order_id=number, lag=self._lag)
            if first <= fill.ts // MILLIS <= last
        ]
        return [self._fill(item, fill) for fill in found[::-1][: _count(parameters, 100, 100)]]

    def _account(self, user: SimUser, request: HttpRequest, parameters: Mapping[str, str]) -> object:
        rows = [row for row in self._accounts.balances(user.name) if row.total_e8]
        return {
            "makerCommission": None,
            "takerCommission": None,
            "canTrade": "trade" in user.permissions,
            "canWithdraw": "withdraw" in user.permissions,
            "canDeposit": True,
            "updateTime": None,
            "accountType": "SPOT",
            "balances": [
                {"asset": row.currency, "free": fixed(row.free_e8, 8), "locked": fixed(row.locked_e8, 8)}
                for row in rows
            ],
            "permissions": ["SPOT"],
        }

    # Listen keys -----------------------------------------------------------------------------------------------------

    def pushes(self, watch: Watch, event: AccountEvent) -> Iterable[bytes]:
        """Return the protobuf frames that an event makes."""
        return spot_pushes(self, watch, event)

    def _open_key(self, user: SimUser, request: HttpRequest, parameters: Mapping[str, str]) -> object:
        key = self.keys.make(user)
        if key is None:
            raise self.refusal(730000, "Request failed, please contact the customer service")
        return {"listenKey": key}

    def _list_keys(self, user: SimUser, request: HttpRequest, parameters: Mapping[str, str]) -> object:
        return {"listenKey": self.keys.of(user)}

    def _extend_key(self, user: SimUser, request: HttpRequest, parameters: Mapping[str, str]) -> object:
        key = parameters.get("listenKey", "")
        if not self.keys.extend(user, key):
            raise self.refusal(730002, "Parameter error")
        return {"listenKey": key}

    def _close_key(self, user: SimUser, request: HttpRequest, parameters: Mapping[str, str]) -> object:
        key = parameters.get("listenKey", "")
        if self.keys.owner(key) != user:
            raise self.refusal(730002, "Parameter error")
        self.keys.end(key)
        return {"listenKey": key}

    # Rows ------------------------------------------------------------------------------------------------------------

    def order_name(self, number: int) -> str:
        """Return the venue's id of an order."""
        return f"C02__{_FIRST_ORDER + number}"

    def trade_name(self, fill: SimFill) -> str:
        """Return the venue's id of an execution."""
        return f"{_FIRST_TRADE + fill.id}X{1 if fill.liquidity == 'maker' else 2}"

    def _row(self, order: SimOrder) -> dict[str, object]:
        item = self._exchange.instrument(order.symbol)
        by_cost = order.quote_amount_e8 is not None
        ended = "PARTIALLY_CANCELED" if order.filled else "CANCELED"
        return {
            "symbol": self.raw(order.symbol),
            "orderId": self.order_name(order.id),
            "orderListId": -1,
            "clientOrderId": order.client_id or "",
            "price": "0" if order.price is None else item.price_text(order.price),
            "origQty": None if by_cost else item.size_text(order.size),
            "executedQty": item.size_text(order.filled),
            "cummulativeQuoteQty": item.notional_text(order.amount),
            "status": _LIVE.get(order.status, ended),
            "timeInForce": None,
            "type": "MARKET" if order.kind == "market" else _WORDS[order.tif],
            "side": "BUY" if order.side == "buy" else "SELL",
            "stopPrice": None,
            "icebergQty": None,
            "time": order.ts_created // MILLIS,
            "updateTime": order.ts_updated // MILLIS,
            "isWorking": True,
            "origQuoteOrderQty": fixed(order.quote_amount_e8 or 0, 8),
        }

    def _fill(self, item: SimInstrument, fill: SimFill) -> dict[str, object]:
        return {
            "symbol": self.raw(fill.symbol),
            "id": self.trade_name(fill),
            "orderId": self.order_name(fill.order),
            "orderListId": -1,
            "price": item.price_text(fill.price),
            "qty": item.size_text(fill.size),
            "quoteQty": item.notional_text(fill.price * fill.size),
            "commission": fixed(fill.fee_e8, 8),
            "commissionAsset": fill.fee_currency,
            "time": fill.ts // MILLIS,
            "isBuyer": fill.side == "buy",
            "isMaker": fill.liquidity == "maker",
            "isBestMatch": True,
            "isSelfTrade": False,
            "clientOrderId": fill.client_id,
        }

    def _named(self, parameters: Mapping[str, str]) -> tuple[int | None, str | None]:
        number, client_id = parameters.get("orderId"), parameters.get("origClientOrderId")
        if number is not None:
            return self._order_number(number), None
        if client_id is None:
            raise self.refusal(700004, "Param 'origClientOrderId' or 'orderId' must be sent, but both were empty/null!")
        return None, client_id

    def _order_number(self, text: str) -> int:
        digits = text.removeprefix("C02__")
        return int(digits) - _FIRST_ORDER if digits.isdigit() else 0

    def _bounds(self, parameters: Mapping[str, str], default: int) -> tuple[int, int]:
        last = int(parameters.get("endTime", self.millis))
        first = int(parameters.get("startTime", last - default))
        if first > last:
            raise self.refusal(400, "bad time range")
        return first, last


def _count(parameters: Mapping[str, str], default: int, most: int) -> int:
    text = parameters.get("limit", "")
    return max(1, min(int(text), most)) if text.isdigit() else default
