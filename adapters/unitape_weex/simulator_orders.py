"""What the private endpoints of both simulated WEEX markets share: how orders are found, paged and spelled."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final, TypeVar

from unitape.spi import HttpRequest
from unitape.spi.simulated_accounts import (
    AccountRules,
    Accounts,
    SimFill,
    SimOrder,
    SimOrderRequest,
    SimOrderStatus,
    SimReject,
    SimUser,
)
from unitape.spi.simulation import Exchange, FaultSource, SimInstrument, fixed
from unitape_schemas import OrderKind, PositionSide, Side, TimeInForce
from unitape_weex.simulator_private import Endpoint, Json, Parameters, PrivateDoor, refusal_of
from unitape_weex.simulator_rules import MILLIS, Refusal, Rules, Spelling

__all__ = ["KIND_WORDS", "SIDES", "STATES", "TIFS", "TIF_WORDS", "OrdersFace", "Row"]

Row = dict[str, Json]
T = TypeVar("T")

SIDES: Final[Mapping[str, Side]] = {"BUY": "buy", "SELL": "sell"}
TIFS: Final[Mapping[str, TimeInForce]] = {"GTC": "gtc", "IOC": "ioc", "FOK": "fok", "POST_ONLY": "post_only"}
TIF_WORDS: Final[Mapping[TimeInForce, str]] = {tif: word for word, tif in TIFS.items()}
KIND_WORDS: Final[Mapping[OrderKind, str]] = {
    "limit": "LIMIT",
    "market": "MARKET",
    "stop_limit": "STOP",
    "stop": "STOP_MARKET",
    "take_profit_limit": "TAKE_PROFIT",
    "take_profit": "TAKE_PROFIT_MARKET",
}
STATES: Final[Mapping[SimOrderStatus, str]] = {
    "waiting": "UNTRIGGERED",
    "triggered": "TRIGGERED",
    "open": "NEW",
    "partially_filled": "PARTIALLY_FILLED",
    "filled": "FILLED",
    "canceled": "CANCELED",
    "expired": "CANCELED",
    "rejected": "REJECTED",
}

_ORDER_BASE: Final = 745_001_000_000_000_000
_ALGO_BASE: Final = 755_001_000_000_000_000
"""The venue's ids are larger than a float can tell apart."""
_TRADE_BASE: Final = 801_000_000_000_000_000
_SYMBOL_STRIDE: Final = 1_000_000_000_000


class OrdersFace:
    """Private endpoints of one market; ``endpoints`` maps (method, path) to them."""

    def __init__(
        self, exchange: Exchange, rules: Rules, spelling: Spelling, faults: FaultSource, settings: Mapping[str, str]
    ) -> None:
        self._exchange = exchange
        self._accounts: Accounts = exchange.accounts
        self._rules = rules
        self._spelling = spelling
        self._faults = faults
        self._settings = settings
        self._lag = 0.0
        self._made = 0
        self._places = {spec.symbol: place for place, spec in enumerate(exchange.instruments)}
        self._accounts.configure(self._account_rules())
        self.door = PrivateDoor(self._accounts.by_key, lambda: exchange.now, 50 if rules.linear else 100)
        self.endpoints: Mapping[tuple[str, str], Endpoint] = {}

    def answer(self, request: HttpRequest, *, enforce: bool) -> tuple[Json, tuple[tuple[str, str], ...]]:
        """Return body and headers; ``Refusal`` where the venue refuses."""
        endpoint = self.endpoints[request.method, request.path]
        user, parameters = self.door.enter(request, endpoint)
        lag = self._faults.take("lagging_orders", request.path) if request.method == "GET" else None
        self._lag = lag if lag is not None else 0.0
        if not endpoint.orders:
            return endpoint.answer(user, parameters), ()
        self.door.count(user.name, endpoint.orders, enforce=enforce)
        return endpoint.answer(user, parameters), (("x-order-count-1m", str(self.door.counted(user.name))),)

    def _account_rules(self) -> AccountRules:
        """Return the market's rules. What the venue's pages leave open is a setting."""
        linear = self._rules.linear
        one_way = self._settings.get("position_mode") == "one_way"
        return AccountRules(
            maker_e8=20_000 if linear else 100_000,
            taker_e8=80_000 if linear else 100_000,
            min_notional_e8=0,
            client_ids="rejected" if linear else "returns_existing",
            post_only="expired",
            reduce_only_excess="rejected",
            triggered="new_order",
            max_leverage=400,
            default_position_mode="one_way" if one_way or not linear else "hedge",
        )

    # Names -----------------------------------------------------------------------------------------------------------

    @staticmethod
    def order_id(order: SimOrder) -> int:
        """Return the venue's id of an order; conditional ones are numbered apart."""
        return order.id + (_ORDER_BASE if order.trigger is None else _ALGO_BASE)

    @staticmethod
    def order_of(fill: SimFill) -> int:
        """Return the venue's id of the order that an execution belongs to; conditional ones are never executed."""
        return fill.order + _ORDER_BASE

    def trade_id(self, fill: SimFill) -> int:
        """Return the venue's id of an execution, which is one over all symbols."""
        return _TRADE_BASE + self._places[fill.symbol] * _SYMBOL_STRIDE + fill.id

    def _spec(self, parameters: Parameters) -> SimInstrument:
        spec = self._spelling.by_raw.get(parameters.required("symbol"))
        if spec is None:
            raise Refusal(-1121, "Invalid symbol.")
        return spec

    def _symbol(self, parameters: Parameters) -> str | None:
        """Return the symbol asked for; None where none is."""
        return None if parameters.text("symbol") is None else self._spec(parameters).symbol

    def _raw(self, symbol: str) -> str:
        spec = self._exchange.instrument(symbol)
        return spec.base + spec.quote

    def _new_id(self) -> str:
        """Make the client id that the venue gives to an order without one."""
        self._made += 1
        return f"{self._exchange.seed}-{self._made}"

    def _find(
        self, user: SimUser, order_id: int | None, client_id: str | None, *, conditional: bool = False
    ) -> SimOrder | None:
        """Look for an order over all symbols, as requests name none."""
        number = None
        if order_id is not None:
            number = order_id - (_ALGO_BASE if conditional else _ORDER_BASE)
        for spec in self._exchange.instruments:
            order = self._accounts.order(
                user.name, spec.symbol, order_id=number, client_id=client_id, conditional=conditional, lag=self._lag
            )
            if order is not None:
                return order
        return None

    def _named(self, user: SimUser, parameters: Parameters, *, conditional: bool = False) -> SimOrder:
        """Return the order that a request names; ``Refusal`` where there is none."""
        order_id = parameters.number("orderId")
        client_id = parameters.text("origClientOrderId") if order_id is None else None
        if order_id is None and client_id is None:
            raise Refusal(-1141, "Parameter 'orderId' is empty.")
        found = self._find(user, order_id, client_id, conditional=conditional)
        if found is None:
            raise self._refusal(SimReject("order_not_found"))
        return found

    def _refusal(self, reject: SimReject, symbol: str | None = None) -> Refusal:
        spec = None if symbol is None else self._exchange.instrument(symbol)
        return refusal_of(reject, spec, linear=self._rules.linear)

    # Orders ----------------------------------------------------------------------------------------------------------

    def _take(self, user: SimUser, request: SimOrderRequest) -> SimOrder:
        placed = self._accounts.place(user.name, request)
        if isinstance(placed, SimReject):
            raise self._refusal(placed, request.symbol)
        return placed

    def _drop(self, user: SimUser, order: SimOrder) -> SimOrder:
        canceled = self._accounts.cancel(user.name, order.symbol, order_id=order.id)
        if isinstance(canceled, SimReject):
            raise self._refusal(canceled)
        return canceled

    def _side(self, parameters: Parameters) -> Side:
        parameters.required("side")
        return SIDES[parameters.one_of("side", SIDES, -1117) or ""]

    @staticmethod
    def _positive(parameters: Parameters, name: str, read: Callable[[str], int | None]) -> int:
        parameters.required(name)
        value = read(name)
        if value is None:
            raise Refusal(-1142, f"Parameter '{name}' is invalid.")
        return value

    # Lists -----------------------------------------------------------------------------------------------------------

    def _between(self, parameters: Parameters, moment: Callable[[T], int], rows: Sequence[T], days: int) -> list[T]:
        """Return the rows of a time range, newest first; a range of more days is refused."""
        start, end = parameters.number("startTime"), parameters.number("endTime")
        if start is not None and end is not None:
            if start > end:
                raise Refusal(-1171, "The start time is after the end time.")
            if end - start > days * 86_400_000:
                raise Refusal(-1170, "The time range is too wide.")
        kept = [
            row
            for row in rows
            if (start is None or moment(row) // MILLIS >= start) and (end is None or moment(row) // MILLIS <= end)
        ]
        return kept[::-1]

    @staticmethod
    def _page(parameters: Parameters, rows: Sequence[T], *, first: int, most: int, default: int) -> list[T]:
        """Return one page; pages count from ``first``."""
        limit = parameters.number("limit")
        if limit is not None and not 1 <= limit <= most:
            raise Refusal(-1142, "Parameter 'limit' is invalid.")
        page = parameters.number("page")
        page = first if page is None else page
        if page < first:
            raise Refusal(-1142, "Parameter 'page' is invalid.")
        size = limit or default
        skipped = (page - first) * size
        return list(rows[skipped : skipped + size])

    # Words -----------------------------------------------------------------------------------------------------------

    def _price(self, order: SimOrder) -> str:
        spec = self._exchange.instrument(order.symbol)
        return "0" if order.price is None else spec.price_text(order.price)

    def _trigger(self, order: SimOrder) -> str:
        spec = self._exchange.instrument(order.symbol)
        return "0" if order.trigger is None else spec.price_text(order.trigger)

    def _average(self, order: SimOrder) -> str:
        spec = self._exchange.instrument(order.symbol)
        return fixed(spec.average_e8(order.amount, order.filled), 8) if order.filled else "0"

    def _amounts(self, order: SimOrder) -> Row:
        spec = self._exchange.instrument(order.symbol)
        return {
            "price": self._price(order),
            "origQty": spec.size_text(order.size),
            "executedQty": spec.size_text(order.filled),
        }

    @staticmethod
    def _tif(order: SimOrder) -> str:
        return TIF_WORDS.get(order.tif, "GTC")

    @staticmethod
    def _position_word(side: PositionSide | None, order_side: Side, *, closes: bool) -> str:
        """Return the position side, also of orders in one-way mode, which have none of their own."""
        if side is not None:
            return side.upper()
        return "LONG" if (order_side == "buy") != closes else "SHORT"
