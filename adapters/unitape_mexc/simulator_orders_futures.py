"""Orders, conditional orders and executions of simulated futures; see ``simulator_futures_account``.

Settings: ``create_answer`` = ``bare`` answers new orders with the id alone, as the older path does on both.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Final, TypeVar
from urllib.parse import unquote

import msgspec
from msgspec import Raw

from unitape.spi import HttpRequest
from unitape.spi.simulated_accounts import (
    AccountEvent,
    EndReason,
    SimFill,
    SimOrder,
    SimOrderRequest,
    SimReject,
    SimUser,
    TriggerPrice,
)
from unitape.spi.simulation import Exchange, FaceOptions, SimInstrument
from unitape_mexc.simulator_base import MILLIS, Refusal
from unitape_mexc.simulator_futures_account import Fields, done, e8, envelope, price
from unitape_mexc.simulator_private import Endpoint, average_text
from unitape_mexc.simulator_pushes_futures import futures_pushes
from unitape_mexc.simulator_stops_futures import FIRST_ORDER, FuturesStopsFace, is_stop
from unitape_mexc.simulator_streams import Watch
from unitape_schemas import OrderKind, PositionSide, Side, TimeInForce

__all__ = ["FuturesPrivateFace"]

_TIFS: Final[Mapping[int, TimeInForce]] = {1: "gtc", 2: "post_only", 3: "ioc", 4: "fok"}
_TYPE_OF: Final = {tif: code for code, tif in _TIFS.items()}
_MARKET: Final = 5
_MEANING: Final[Mapping[int, tuple[Side, PositionSide, bool]]] = {
    1: ("buy", "long", False),
    2: ("buy", "short", True),
    3: ("sell", "short", False),
    4: ("sell", "long", True),
}
_TRENDS: Final[Mapping[int, TriggerPrice]] = {1: "last", 2: "mark", 3: "index"}
_TREND_OF: Final = {name: code for code, name in _TRENDS.items()}
_PLAN_KINDS: Final[Mapping[tuple[Side, int, bool], OrderKind]] = {
    ("buy", 1, True): "stop",
    ("buy", 1, False): "stop_limit",
    ("sell", 2, True): "stop",
    ("sell", 2, False): "stop_limit",
    ("buy", 2, True): "take_profit",
    ("buy", 2, False): "take_profit_limit",
    ("sell", 1, True): "take_profit",
    ("sell", 1, False): "take_profit_limit",
}
_STATES: Final = {"open": 2, "partially_filled": 2, "filled": 3, "canceled": 4, "expired": 4, "rejected": 5}
_PLAN_STATES: Final = {"waiting": 1, "canceled": 2, "triggered": 3, "expired": 4, "rejected": 5}
_ENDS: Final[Mapping[EndReason, int]] = {
    "ioc": 18,
    "fok": 19,
    "post_only": 20,
    "market_remainder": 21,
    "reduce_only": 10,
}
_WEEK: Final = 7 * 24 * 3_600_000
_Asked = Mapping[str, str]
_Row = TypeVar("_Row")


class FuturesPrivateFace(FuturesStopsFace):
    """All private endpoints of futures."""

    def __init__(self, exchange: Exchange, options: FaceOptions) -> None:
        super().__init__(exchange, options)
        self.endpoints |= {
            ("POST", "order/create"): Endpoint(self._create, trades=True, orders=1),
            ("POST", "order/submit"): Endpoint(self._submit, trades=True, orders=1),
            ("POST", "order/submit_batch"): Endpoint(self._submit_batch, trades=True, orders=1),
            ("POST", "order/change_limit_order"): Endpoint(self._change, trades=True, orders=1),
            ("POST", "order/cancel"): Endpoint(self._cancel, trades=True),
            ("POST", "order/cancel_with_external"): Endpoint(self._cancel_external, trades=True),
            ("POST", "order/batch_cancel_with_external"): Endpoint(self._cancel_externals, trades=True),
            ("POST", "order/cancel_all"): Endpoint(self._cancel_all, trades=True),
            ("GET", "order/get/*"): Endpoint(self._get, lags=True),
            ("GET", "order/external/*"): Endpoint(self._external, lags=True),
            ("GET", "order/list/open_orders"): Endpoint(self._open, lags=True),
            ("GET", "order/list/history_orders"): Endpoint(self._history, lags=True),
            ("GET", "order/list/order_deals"): Endpoint(self._deals, lags=True),
            ("GET", "order/list/order_deals/v3"): Endpoint(self._deals, lags=True),
            ("GET", "order/deal_details/*"): Endpoint(self._details, lags=True),
            ("POST", "planorder/place/v2"): Endpoint(self._place_plan, trades=True, orders=1),
            ("POST", "planorder/cancel"): Endpoint(self._cancel_plans, trades=True),
            ("POST", "planorder/cancel_all"): Endpoint(self._cancel_all_plans, trades=True),
            ("GET", "planorder/list/orders"): Endpoint(self._plans, lags=True),
        }

    # Placing ---------------------------------------------------------------------------------------------------------

    def _create(self, user: SimUser, request: HttpRequest, asked: _Asked) -> object:
        made = self._place(user, self.fields(request))
        if self._settings.get("create_answer") == "bare":
            return envelope(FIRST_ORDER + made.id)
        return envelope({"orderId": str(FIRST_ORDER + made.id), "ts": made.ts_created // MILLIS})

    def _submit(self, user: SimUser, request: HttpRequest, asked: _Asked) -> object:
        return envelope(FIRST_ORDER + self._place(user, self.fields(request)).id)

    def _submit_batch(self, user: SimUser, request: HttpRequest, asked: _Asked) -> object:
        rows: list[object] = []
        for fields in self.rows(request):
            name = fields.text("externalOid")
            known = None if name is None else self._known(user, fields, name)
            try:
                made = known or self._place(user, fields)
            except Refusal as refused:
                said = msgspec.json.decode(refused.response.body, type=dict[str, object])
                error: dict[str, object] = {"errorCode": said["code"], "errorMsg": said["message"]}
                rows.append({"externalOid": name, "orderId": None, **error})
                continue
            rows.append({"externalOid": name, "orderId": str(FIRST_ORDER + made.id), "errorCode": 0, "errorMsg": None})
        return envelope(rows)

    def _known(self, user: SimUser, fields: Fields, name: str) -> SimOrder | None:
        symbol = self.item(fields.text("symbol") or "").symbol
        return self._accounts.order(user.name, symbol, client_id=name, conditional=False)

    def _place(self, user: SimUser, fields: Fields) -> SimOrder:
        item = self.item(fields.text("symbol") or "")
        code = fields.whole("type")
        if code not in _TIFS and code not in (_MARKET, 6):
            raise self.refusal(2029, "Order type error")
        wanted = self._wanted(user, item, fields, "market" if code in (_MARKET, 6) else "limit", _TIFS.get(code))
        return self._made(self._accounts.place(user.name, wanted))

    def _made(self, made: SimOrder | SimReject) -> SimOrder:
        if isinstance(made, SimReject):
            raise self.rejected(made.reason)
        return made

    def _wanted(
        self, user: SimUser, item: SimInstrument, fields: Fields, kind: OrderKind, tif: TimeInForce | None
    ) -> SimOrderRequest:
        mode = self.position_mode(user)
        if fields.whole("positionMode") not in (0, mode):
            raise self.rejected("position_side")
        meaning = _MEANING.get(fields.whole("side"))
        if meaning is None:
            raise self.refusal(2001, "Wrong side")
        side, position, reduces = meaning
        reduces = reduces or (mode == 2 and fields.text("reduceOnly") == "true")
        name = fields.text("externalOid")
        if name is not None and len(name) > 32:
            raise self.refusal(2030, "External id too long")
        if not reduces:
            self.adopt(user, item.symbol, fields)
        trigger = self._ticks(item, fields, "triggerPrice") if "triggerPrice" in fields else None
        return SimOrderRequest(
            symbol=item.symbol,
            side=side,
            kind=kind,
            size=self._contracts(fields),
            price=self._ticks(item, fields, "price") if tif is not None else None,
            tif=tif,
            client_id=name,
            reduce_only=reduces,
            position_side=position if mode == 1 else None,
            trigger=trigger,
            trigger_by=_TRENDS.get(fields.whole("trend"), "last"),
            take_profit=self._attached(item, fields, "takeProfitPrice"),
            stop_loss=self._attached(item, fields, "stopLossPrice"),
            attached_by=_TRENDS.get(fields.whole("lossTrend") or fields.whole("profitTrend"), "last"),
        )

    def _attached(self, item: SimInstrument, fields: Fields, name: str) -> int | None:
        return self._ticks(item, fields, name) if fields.number(name) else None

    def _contracts(self, fields: Fields) -> int:
        count = fields.number("vol") or Decimal(0)
        if count <= 0 or count != int(count):
            raise self.rejected("min_size")
        return int(count)

    def _ticks(self, item: SimInstrument, fields: Fields, name: str) -> int:
        value = fields.number(name)
        if value is None or value <= 0:
            raise self.rejected("price_band")
        ticks = item.ticks(value)
        if ticks is None:
            raise self.rejected("tick")
        return ticks

    def _change(self, user: SimUser, request: HttpRequest, asked: _Asked) -> object:
        """The order gives way to a new one of another id."""
        fields = self.fields(request)
        order = self._by_number(user, fields.whole("orderId"))
        if order is None or not order.is_open or order.kind != "limit":
            raise self.rejected("order_not_found" if order is None else "order_closed")
        item = self._exchange.instrument(order.symbol)
        wanted = SimOrderRequest(
            symbol=order.symbol,
            side=order.side,
            kind="limit",
            size=self._contracts(fields),
            price=self._ticks(item, fields, "price"),
            tif=order.tif,
            client_id=order.client_id,
            reduce_only=order.reduce_only,
            position_side=order.position_side,
        )
        refused = self._accounts.check(user.name, wanted)
        if refused is not None:
            raise self.rejected(refused.reason)
        self._accounts.cancel(user.name, order.symbol, order_id=order.id)
        return envelope(str(FIRST_ORDER + self._made(self._accounts.place(user.name, wanted)).id))

    # Canceling -------------------------------------------------------------------------------------------------------

    def _cancel(self, user: SimUser, request: HttpRequest, asked: _Asked) -> object:
        found = [(number, self._by_number(user, number)) for number in self.numbers(request)]
        return envelope([self._canceled(user, number, order) for number, order in found])

    def _canceled(self, user: SimUser, number: int, order: SimOrder | None) -> object:
        code, text = 0, "success"
        if order is None or order.trigger is not None:
            code, text = self.words["order_not_found"]
        else:
            gone = self._accounts.cancel(user.name, order.symbol, order_id=order.id)
            if isinstance(gone, SimReject):
                code, text = self.words[gone.reason]
        return {"orderId": number, "errorCode": code, "errorMsg": text}

    def _cancel_external(self, user: SimUser, request: HttpRequest, asked: _Asked) -> object:
        fields = self.fields(request)
        item = self.item(fields.text("symbol") or "")
        gone = self._accounts.cancel(
            user.name, item.symbol, client_id=fields.text("externalOid") or "", conditional=False
        )
        self._made(gone)
        return done()

    def _cancel_externals(self, user: SimUser, request: HttpRequest, asked: _Asked) -> object:
        rows: list[object] = []
        for fields in self.rows(request):
            order = self._known(user, fields, fields.text("externalOid") or "")
            rows.append(self._canceled(user, 0 if order is None else FIRST_ORDER + order.id, order))
        return envelope(rows)

    def _cancel_all(self, user: SimUser, request: HttpRequest, asked: _Asked) -> object:
        raw = self.fields(request).text("symbol")
        symbol = None if raw is None else self.item(raw).symbol
        self._accounts.cancel_all(user.name, symbol, conditional=False)
        return done()

    # Asking ----------------------------------------------------------------------------------------------------------

    def _get(self, user: SimUser, request: HttpRequest, asked: _Asked) -> object:
        order = self._by_number(user, _last_number(request), self._lag)
        if order is None or order.trigger is not None:
            raise self.rejected("order_not_found")
        return envelope(self.order_row(user, order))

    def _external(self, user: SimUser, request: HttpRequest, asked: _Asked) -> object:
        raw, name = request.path.removeprefix(f"{self.base}order/external/").split("/")
        found = self._accounts.order(
            user.name, self.item(raw).symbol, client_id=unquote(name), conditional=False, lag=self._lag
        )
        if found is None:
            raise self.rejected("order_not_found")
        return envelope(self.order_row(user, found))

    def _open(self, user: SimUser, request: HttpRequest, asked: _Asked) -> object:
        found = self._accounts.open_orders(user.name, self.wanted(asked), conditional=False, lag=self._lag)
        return envelope([self.order_row(user, order) for order in _page(found, asked)])

    def _history(self, user: SimUser, request: HttpRequest, asked: _Asked) -> object:
        states = [int(part) for part in asked.get("states", "").split(",") if part.isdigit()]
        first, last = self._bounds(asked)
        found = [
            order
            for order in self._accounts.orders(user.name, self.wanted(asked), lag=self._lag)
            if order.trigger is None and first <= order.ts_created // MILLIS <= last
        ]
        found = [order for order in found if not states or _STATES[order.status] in states]
        return envelope([self.order_row(user, order) for order in _page(found, asked)])

    def _deals(self, user: SimUser, request: HttpRequest, asked: _Asked) -> object:
        first, last = self._bounds(asked)
        fills = self._accounts.fills(user.name, self.wanted(asked), lag=self._lag)
        found = [fill for fill in fills if first <= fill.ts // MILLIS <= last]
        return envelope([self.deal_row(user, fill) for fill in _page(found, asked)])

    def _details(self, user: SimUser, request: HttpRequest, asked: _Asked) -> object:
        found = self._accounts.fills(user.name, order_id=_last_number(request) - FIRST_ORDER, lag=self._lag)
        return envelope([self.deal_row(user, fill) for fill in found[::-1]])

    # Conditional orders ----------------------------------------------------------------------------------------------

    def _place_plan(self, user: SimUser, request: HttpRequest, asked: _Asked) -> object:
        fields = self.fields(request)
        item = self.item(fields.text("symbol") or "")
        code, trigger = fields.whole("orderType"), fields.whole("triggerType")
        meaning = _MEANING.get(fields.whole("side"))
        kind = None if meaning is None else _PLAN_KINDS.get((meaning[0], trigger, code in (_MARKET, 6)))
        if kind is None or fields.whole("executeCycle") not in (1, 2) or "triggerPrice" not in fields:
            raise self.refusal(3002, "Trigger type error")
        tif = None if code in (_MARKET, 6) else _TIFS.get(code)
        made = self._made(self._accounts.place(user.name, self._wanted(user, item, fields, kind, tif)))
        return envelope(str(FIRST_ORDER + made.id))

    def _cancel_plans(self, user: SimUser, request: HttpRequest, asked: _Asked) -> object:
        for fields in self.rows(request):
            item = self.item(fields.text("symbol") or "")
            number = fields.whole("orderId") - FIRST_ORDER
            self._made(self._accounts.cancel(user.name, item.symbol, order_id=number, conditional=True))
        return done()

    def _cancel_all_plans(self, user: SimUser, request: HttpRequest, asked: _Asked) -> object:
        raw = self.fields(request).text("symbol")
        symbol = None if raw is None else self.item(raw).symbol
        for order in self._accounts.open_orders(user.name, symbol, conditional=True):
            if not is_stop(order):
                self._accounts.cancel(user.name, order.symbol, order_id=order.id)
        return done()

    def _plans(self, user: SimUser, request: HttpRequest, asked: _Asked) -> object:
        state = asked.get("states")
        kept = self._accounts.orders(user.name, self.wanted(asked), lag=self._lag)
        found = [order for order in kept if order.trigger is not None and not is_stop(order)]
        found = [order for order in found if state is None or str(_PLAN_STATES[order.status]) in state.split(",")]
        if "start_time" in asked or "end_time" in asked:
            first, last = self._bounds(asked)
            found = [order for order in found if first <= order.ts_created // MILLIS <= last]
        return envelope([self.plan_row(user, order) for order in _page(found, asked)])

    # Rows ------------------------------------------------------------------------------------------------------------

    def pushes(self, watch: Watch, event: AccountEvent) -> Iterable[bytes]:
        """Return the messages that an event makes."""
        return futures_pushes(self, watch, event)

    def order_row(self, user: SimUser, order: SimOrder) -> dict[str, object]:
        """Return an order as the venue writes it."""
        item = self._exchange.instrument(order.symbol)
        fills = _until(order.filled, self._accounts.fills(user.name, order.symbol, order_id=order.id))
        fees = {who: sum(fill.fee_e8 for fill in fills if fill.liquidity == who) for who in ("maker", "taker")}
        settings = self._accounts.settings(user.name, order.symbol)
        return {
            "orderId": str(FIRST_ORDER + order.id),
            "symbol": self.raw(order.symbol),
            "positionId": 0,
            "price": 0 if order.price is None else price(item, order.price),
            "vol": order.size,
            "leverage": settings.long_leverage,
            "side": _side(order.side, order.position_side, reduces=order.reduce_only),
            "category": 1,
            "orderType": _MARKET if order.kind == "market" else _TYPE_OF[order.tif],
            "dealAvgPrice": Raw(average_text(item, order).encode()),
            "dealVol": order.filled,
            "takerFee": e8(fees["taker"]),
            "makerFee": e8(fees["maker"]),
            "totalFee": e8(fees["maker"] + fees["taker"]),
            "profit": e8(sum(fill.realized_e8 for fill in fills)),
            "feeCurrency": item.settle,
            "openType": 1 if settings.margin_mode == "isolated" else 2,
            "state": _STATES[order.status],
            "externalOid": order.client_id or "",
            "errorCode": _ENDS.get(order.reason, 0),
            "positionMode": 2 if order.position_side is None else 1,
            "reduceOnly": order.reduce_only and order.position_side is None,
            # It came in, each execution changed it, and so did an end before it was filled.
            "version": 1 + len(fills) + (not order.is_open and order.status != "filled"),
            "createTime": order.ts_created // MILLIS,
            "updateTime": order.ts_updated // MILLIS,
        }

    def plan_row(self, user: SimUser, order: SimOrder) -> dict[str, object]:
        """Return a conditional order as the venue writes it."""
        item = self._exchange.instrument(order.symbol)
        market = order.price is None
        above = (order.side == "buy") == order.kind.startswith("stop")
        row: dict[str, object] = {
            "id": str(FIRST_ORDER + order.id),
            "symbol": self.raw(order.symbol),
            "side": _side(order.side, order.position_side, reduces=order.reduce_only),
            "triggerPrice": price(item, order.trigger or 0),
            "vol": order.size,
            "triggerType": 1 if above else 2,
            "state": _PLAN_STATES[order.status],
            "executeCycle": 168,
            "trend": _TREND_OF[order.trigger_by or "last"],
            "orderType": _MARKET if market else _TYPE_OF[order.tif],
            "positionMode": 2 if order.position_side is None else 1,
            "reduceOnly": order.reduce_only and order.position_side is None,
            "createTime": order.ts_created // MILLIS,
            "updateTime": order.ts_updated // MILLIS,
        }
        if order.price is not None:
            row["price"] = price(item, order.price)
        if order.child is not None:
            row["orderId"] = str(FIRST_ORDER + order.child)
        return row

    def deal_row(self, user: SimUser, fill: SimFill) -> dict[str, object]:
        """Return an execution as the venue writes it."""
        item = self._exchange.instrument(fill.symbol)
        order = self._accounts.order(user.name, fill.symbol, order_id=fill.order)
        hedge = order is not None and order.position_side is not None
        reduces = order is not None and order.reduce_only
        return {
            "id": str(159_000_000 + fill.id),
            "symbol": self.raw(fill.symbol),
            "side": _side(fill.side, fill.position_side if hedge else None, reduces=reduces),
            "vol": fill.size,
            "price": price(item, fill.price),
            "feeCurrency": fill.fee_currency,
            "fee": e8(fill.fee_e8),
            "timestamp": fill.ts // MILLIS,
            "profit": e8(fill.realized_e8),
            "category": 1,
            "orderId": str(FIRST_ORDER + fill.order),
            "taker": fill.liquidity == "taker",
            "externalOid": fill.client_id or "",
            "positionMode": 1 if hedge else 2,
        }

    def _by_number(self, user: SimUser, number: int, lag: float = 0.0) -> SimOrder | None:
        found = (
            self._accounts.order(user.name, item.symbol, order_id=number - FIRST_ORDER, lag=lag)
            for item in self._exchange.instruments
        )
        return next((order for order in found if order is not None), None)

    def _bounds(self, asked: _Asked) -> tuple[int, int]:
        last = int(asked.get("end_time", self.millis))
        first = int(asked.get("start_time", last - _WEEK))
        if not 0 <= last - first <= 90 * 24 * 3_600_000:
            raise self.refusal(6003, "Time range error")
        return first, last


def _side(side: Side, position: PositionSide | None, *, reduces: bool) -> int:
    """Return 1 to 4. In one-way mode the direction and whether it reduces say it."""
    if position is None:
        return {("buy", False): 1, ("buy", True): 2, ("sell", False): 3, ("sell", True): 4}[side, reduces]
    return {("buy", "long"): 1, ("buy", "short"): 2, ("sell", "short"): 3, ("sell", "long"): 4}[side, position]


def _until(filled: int, fills: Sequence[SimFill]) -> Sequence[SimFill]:
    """Return the executions that made up so much, oldest first."""
    count = 0
    while filled > 0:
        filled -= fills[count].size
        count += 1
    return fills[:count]


def _last_number(request: HttpRequest) -> int:
    text = request.path.rpartition("/")[2]
    return int(text) if text.isdigit() else 0


def _page(rows: Sequence[_Row], asked: _Asked) -> Sequence[_Row]:
    """Return one page, newest first."""
    size = max(1, min(int(asked.get("page_size", "20")), 100))
    number = max(1, int(asked.get("page_num", "1")))
    return rows[::-1][size * (number - 1) : size * number]
