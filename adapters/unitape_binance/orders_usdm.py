"""USDⓈ-M trading: place, cancel, amend and ask for orders and executions, one by one and in batches.

From "Trade REST API" of the USDⓈ-M futures (2026-10). Conditional orders have endpoints of their own: see ``Algo``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec
from msgspec import Raw, Struct

from unitape.errors import ConfigError, UnitapeError, Unsupported
from unitape.spi import (
    MILLISECOND,
    Amendment,
    Instruments,
    NewOrder,
    OrderRef,
    Query,
    TradingSettings,
    TradingSpec,
)
from unitape_binance.account import UsdmAccount
from unitape_binance.algo import algo_parameters, named_algo, read_algo, read_algo_or_nothing, read_algo_rows
from unitape_binance.capabilities import USDM_TRADING
from unitape_binance.errors import read_row_error
from unitape_binance.order_rows import UsdmRow, UsdmTrade, usdm_fill, usdm_order
from unitape_binance.private import HOUR, check_shape, limit_price, order_number, page, plain_or_none, success
from unitape_binance.words import CONDITIONAL_KINDS, SIDES, TIFS
from unitape_schemas import Fill, Order, PositionSide, Side

__all__ = ["UsdmTrading"]

_ORDER: Final = "/fapi/v1/order"
_TEST: Final = "/fapi/v1/order/test"
_BATCH: Final = "/fapi/v1/batchOrders"
_CANCEL_ALL: Final = "/fapi/v1/allOpenOrders"
_COUNTDOWN: Final = "/fapi/v1/countdownCancelAll"
_OPEN: Final = "/fapi/v1/openOrders"
_ALL: Final = "/fapi/v1/allOrders"
_TRADES: Final = "/fapi/v1/userTrades"
_ALGO: Final = "/fapi/v1/algoOrder"
_ALGO_ALL: Final = "/fapi/v1/allAlgoOrders"
_ALGO_OPEN: Final = "/fapi/v1/openAlgoOrders"
_ALGO_CANCEL_ALL: Final = "/fapi/v1/algoOpenOrders"

_COUNTS: Final = (("orders", 1), ("orders_minute", 1))
_BATCH_COUNTS: Final = (("orders", 5), ("orders_minute", 1))
_WEEK: Final = 7 * 24 * HOUR
_SECOND_NS: Final = 1_000_000_000
_WORDS: Final = {"limit": "LIMIT", "market": "MARKET"}
_CLOSES: Final[frozenset[tuple[Side, PositionSide]]] = frozenset({("sell", "long"), ("buy", "short")})


class _Refused(Struct, gc=False):
    """What stands in a batch's answer in place of an order."""

    code: int = 0
    msg: str = ""


_row = msgspec.json.Decoder(UsdmRow, strict=False).decode
_rows = msgspec.json.Decoder(list[UsdmRow], strict=False).decode
_trades = msgspec.json.Decoder(list[UsdmTrade], strict=False).decode
_raw_rows = msgspec.json.Decoder(list[Raw]).decode
_refused = msgspec.json.Decoder(_Refused, strict=False).decode
_anything = msgspec.json.Decoder(dict[str, Raw]).decode


class UsdmTrading(UsdmAccount):
    """The private side of USDⓈ-M; see ``unitape.spi.Trading``."""

    def __init__(self, instruments: Instruments, settings: TradingSettings) -> None:
        super().__init__(instruments, settings, "usdm")
        self._hedge = settings.position_mode == "hedge"

    @property
    def spec(self) -> TradingSpec:
        """What USDⓈ-M can do."""
        return USDM_TRADING

    # Placing ---------------------------------------------------------------------------------------------------------

    def place(self, order: NewOrder) -> Query[Order]:
        """Place one order; a conditional one goes to the endpoints of conditional orders."""
        if order.kind in CONDITIONAL_KINDS:
            parameters = algo_parameters(order, self._raw(order.symbol), self._position(order))

            def read_conditional(body: bytes, ts_recv: int) -> Order:
                return read_algo(body, self._symbol_of, "answer", ts_recv)

            return self._ask("place", "POST", _ALGO, parameters, read_conditional, weight=0, client_id=order.client_id)

        def read(body: bytes, ts_recv: int) -> Order:
            return usdm_order(_row(body), self._symbol_of, "answer", ts_recv, placed=True)

        parameters = self._parameters(order)
        return self._ask("place", "POST", _ORDER, parameters, read, weight=0, also=_COUNTS, client_id=order.client_id)

    def validate(self, order: NewOrder) -> Query[None]:
        """Have an order checked without placing it; conditional orders cannot be."""
        if order.kind in CONDITIONAL_KINDS:
            raise Unsupported("conditional orders of USDⓈ-M cannot be checked without placing them")

        def read(body: bytes, ts_recv: int) -> None:
            _anything(body)

        return self._ask("validate", "POST", _TEST, self._parameters(order), read, write=False)

    def place_many(self, orders: Sequence[NewOrder]) -> Query[list[Order | UnitapeError]]:
        """Place up to five orders. Some may be refused while the others stand."""
        _check_batch(len(orders), USDM_TRADING.batch_place)
        if any(order.kind in CONDITIONAL_KINDS for order in orders):
            raise Unsupported("conditional orders of USDⓈ-M are placed one by one")
        rows = [
            {name: value for name, value in self._parameters(order).items() if value is not None} for order in orders
        ]
        client_ids = [order.client_id for order in orders]

        def read(body: bytes, ts_recv: int) -> list[Order | UnitapeError]:
            results = self._read_batch(body, client_ids, ts_recv, placed=True)
            for result, wanted in zip(results, client_ids, strict=True):
                if isinstance(result, Order) and result.client_id != wanted:
                    raise msgspec.ValidationError(f"order {result.client_id} stands where {wanted} should")
            return results

        # The list is signed as it is written here; nothing may write it anew.
        parameters = {"batchOrders": msgspec.json.encode(rows).decode()}
        return self._ask("place_many", "POST", _BATCH, parameters, read, weight=5, also=_BATCH_COUNTS)

    def amend(self, change: Amendment) -> Query[Order]:
        """Change a limit order; the venue wants its side, size and price each time."""
        if change.order.conditional:
            raise Unsupported("a conditional order cannot be amended; cancel it and place another")
        if change.side is None or change.size is None or change.price is None:
            raise ConfigError("USDⓈ-M amends an order by its side, size and price together")
        parameters = {
            **self._named(change.order),
            "side": SIDES[change.side],
            "quantity": plain_or_none(change.size),
            "price": plain_or_none(change.price),
        }

        def read(body: bytes, ts_recv: int) -> Order:
            return usdm_order(_row(body), self._symbol_of, "answer", ts_recv)

        return self._ask(
            "amend", "PUT", _ORDER, parameters, read, weight=0, also=_COUNTS, client_id=change.order.client_id
        )

    # Canceling -------------------------------------------------------------------------------------------------------

    def cancel(self, order: OrderRef) -> Query[Order | None]:
        """Cancel one order; canceling a conditional one is only acknowledged."""
        if order.conditional:

            def read_conditional(body: bytes, ts_recv: int) -> Order | None:
                return read_algo_or_nothing(body, self._symbol_of, ts_recv)

            return self._ask("cancel", "DELETE", _ALGO, named_algo(order), read_conditional, client_id=order.client_id)

        def read(body: bytes, ts_recv: int) -> Order | None:
            return usdm_order(_row(body), self._symbol_of, "answer", ts_recv)

        return self._ask("cancel", "DELETE", _ORDER, self._named(order), read, client_id=order.client_id)

    def cancel_many(self, orders: Sequence[OrderRef]) -> Query[list[Order | UnitapeError | None]]:
        """Cancel up to ten orders of one symbol, all named by id or all by client id."""
        _check_batch(len(orders), USDM_TRADING.batch_cancel)
        symbols = {order.symbol for order in orders}
        if len(symbols) > 1 or any(order.conditional for order in orders):
            raise Unsupported("one request cancels ordinary orders of one symbol")
        parameters: dict[str, str | int | None] = {"symbol": self._raw(orders[0].symbol)}
        ids = [order_number(order.id) for order in orders if order.id is not None]
        client_ids = [order.client_id for order in orders if order.client_id is not None]
        if len(ids) == len(orders):
            parameters["orderIdList"] = msgspec.json.encode(ids).decode()
        elif len(client_ids) == len(orders):
            parameters["origClientOrderIdList"] = msgspec.json.encode(client_ids).decode()
        else:
            raise ConfigError("one request names its orders all by id or all by client id")

        def read(body: bytes, ts_recv: int) -> list[Order | UnitapeError | None]:
            names = [order.client_id for order in orders]
            results = self._read_batch(body, names, ts_recv)
            for result, wanted in zip(results, orders, strict=True):
                if isinstance(result, Order) and not _is(result, wanted):
                    raise msgspec.ValidationError(f"order {result.id} stands where {wanted} should")
            return list(results)

        return self._ask("cancel_many", "DELETE", _BATCH, parameters, read)

    def cancel_all(self, symbol: str | None) -> Query[list[Order]]:
        """Cancel the ordinary orders of a symbol; the answer only acknowledges."""
        return self._cancel_all("cancel_all", _CANCEL_ALL, symbol)

    def cancel_all_conditional(self, symbol: str | None) -> Query[list[Order]]:
        """Cancel the conditional orders of a symbol; the answer only acknowledges."""
        return self._cancel_all("cancel_all_conditional", _ALGO_CANCEL_ALL, symbol)

    def countdown(self, symbol: str, seconds: float) -> Query[None]:
        """Have the venue cancel the orders of a symbol in so many seconds; 0 calls that off."""

        def read(body: bytes, ts_recv: int) -> None:
            _anything(body)

        parameters: dict[str, str | int | None] = {"symbol": self._raw(symbol), "countdownTime": round(seconds * 1000)}
        return self._ask("countdown", "POST", _COUNTDOWN, parameters, read, weight=10)

    def close_position(self, symbol: str, side: PositionSide) -> Query[None]:
        """The venue closes positions by conditional orders only."""
        raise Unsupported("USDⓈ-M closes a position by an opposite reduce-only market order")

    # Asking ----------------------------------------------------------------------------------------------------------

    def order(self, order: OrderRef) -> Query[Order]:
        """Ask for one order."""
        if order.conditional:

            def read_conditional(body: bytes, ts_recv: int) -> Order:
                return read_algo(body, self._symbol_of, "query", ts_recv)

            return self._ask("order", "GET", _ALGO, named_algo(order), read_conditional)

        def read(body: bytes, ts_recv: int) -> Order:
            return usdm_order(_row(body), self._symbol_of, "query", ts_recv)

        return self._ask("order", "GET", _ORDER, self._named(order), read)

    def open_orders(self, symbol: str | None = None) -> Query[list[Order]]:
        """Ask for open ordinary orders, of all symbols without one."""
        parameters = {"symbol": None if symbol is None else self._raw(symbol)}
        weight = 40 if symbol is None else 1
        return self._ask("open_orders", "GET", _OPEN, parameters, self._read_orders, weight=weight)

    def open_conditional(self, symbol: str | None = None) -> Query[list[Order]]:
        """Ask for open conditional orders, of all symbols without one."""
        parameters = {"symbol": None if symbol is None else self._raw(symbol)}

        def read(body: bytes, ts_recv: int) -> list[Order]:
            return read_algo_rows(body, self._symbol_of, ts_recv)

        weight = 40 if symbol is None else 1
        return self._ask("open_conditional", "GET", _ALGO_OPEN, parameters, read, weight=weight)

    def order_history(
        self, symbol: str | None, *, start: int | None = None, end: int | None = None, limit: int | None = None
    ) -> Query[list[Order]]:
        """Ask for ordinary orders of less than 7 days, oldest first; without bounds the newest."""
        raw = None if symbol is None else self._raw(symbol)
        parameters = {"symbol": raw, **page(start, end, limit, _WEEK - MILLISECOND)}
        return self._ask("order_history", "GET", _ALL, parameters, self._read_orders, weight=5)

    def conditional_history(
        self, symbol: str | None, *, start: int | None = None, end: int | None = None, limit: int | None = None
    ) -> Query[list[Order]]:
        """Ask for conditional orders of less than 7 days, oldest first, open ones among them."""
        raw = self._needed(symbol, "the history of conditional orders")
        parameters = {"symbol": raw, **page(start, end, limit, _WEEK - MILLISECOND)}

        def read(body: bytes, ts_recv: int) -> list[Order]:
            return sorted(read_algo_rows(body, self._symbol_of, ts_recv), key=lambda order: order.ts_created)

        return self._ask("conditional_history", "GET", _ALGO_ALL, parameters, read, weight=5)

    def fills(
        self,
        symbol: str | None,
        *,
        order_id: str | None = None,
        start: int | None = None,
        end: int | None = None,
        limit: int | None = None,
    ) -> Query[list[Fill]]:
        """Ask for your executions of at most 7 days, oldest first, or of one order."""
        parameters = {
            "symbol": self._needed(symbol, "fills"),
            "orderId": None if order_id is None else order_number(order_id),
            **page(start, end, limit, _WEEK),
        }

        def read(body: bytes, ts_recv: int) -> list[Fill]:
            return [usdm_fill(row, self._symbol_of, ts_recv) for row in _trades(body)]

        return self._ask("fills", "GET", _TRADES, parameters, read, weight=5)

    # Inside ----------------------------------------------------------------------------------------------------------

    def _read_orders(self, body: bytes, ts_recv: int) -> list[Order]:
        return [usdm_order(row, self._symbol_of, "query", ts_recv) for row in _rows(body)]

    def _read_batch(
        self, body: bytes, client_ids: Sequence[str | None], ts_recv: int, *, placed: bool = False
    ) -> list[Order | UnitapeError]:
        raws = _raw_rows(body)
        if len(raws) != len(client_ids):
            raise msgspec.ValidationError(f"{len(raws)} results for {len(client_ids)} orders")
        results: list[Order | UnitapeError] = []
        for raw, client_id in zip(raws, client_ids, strict=True):
            refused = _refused(raw)
            if refused.code < 0:
                results.append(read_row_error(refused.code, refused.msg, "usdm", client_id))
            else:
                results.append(usdm_order(_row(raw), self._symbol_of, "answer", ts_recv, placed=placed))
        return results

    def _cancel_all(self, name: str, path: str, symbol: str | None) -> Query[list[Order]]:
        def read(body: bytes, ts_recv: int) -> list[Order]:
            success(body, ts_recv)
            return []

        return self._ask(name, "DELETE", path, {"symbol": self._needed(symbol, name)}, read)

    def _position(self, order: NewOrder) -> dict[str, str | int | None]:
        """Return what says which position is meant, and whether it may only shrink."""
        if not self._hedge:
            if order.position_side is not None:
                raise ConfigError("in one-way mode an order names no position side")
            return {"reduceOnly": "true" if order.reduce_only else None}
        if order.position_side is None:
            raise ConfigError("in hedge mode an order names the position side")
        if order.reduce_only and (order.side, order.position_side) not in _CLOSES:
            raise ConfigError(f"to {order.side} grows a {order.position_side} position; it cannot be reduce-only")
        return {"positionSide": "LONG" if order.position_side == "long" else "SHORT"}

    def _parameters(self, order: NewOrder) -> dict[str, str | int | None]:
        _refuse(order)
        limit = order.kind == "limit"
        expires = None if order.expires is None else order.expires // _SECOND_NS * 1000
        return {
            "symbol": self._raw(order.symbol),
            "side": SIDES[order.side],
            "type": _WORDS[order.kind],
            **self._position(order),
            "timeInForce": TIFS[order.tif or "gtc"] if limit else None,
            "quantity": plain_or_none(order.size),
            "price": plain_or_none(limit_price(order)) if limit else None,
            "newClientOrderId": order.client_id,
            "newOrderRespType": "RESULT",
            # The venue looks at whole seconds; rounding down never lets an order live longer than asked.
            "goodTillDate": None if expires is None else str(expires),
        }


def _refuse(order: NewOrder) -> None:
    """Refuse what the market cannot say, so that nothing of an order is left out in silence."""
    if order.cost is not None:
        raise Unsupported("USDⓈ-M takes sizes, not costs")
    if order.take_profit is not None or order.stop_loss is not None:
        raise Unsupported("USDⓈ-M attaches no orders; place conditional ones")
    if (order.tif == "gtd") != (order.expires is not None):
        raise ConfigError("gtd needs a time in expires, and only gtd has one")
    check_shape(order)


def _check_batch(count: int, most: int) -> None:
    if not 1 <= count <= most:
        raise ConfigError(f"a batch of {count}: the venue takes 1 to {most}")


def _is(order: Order, wanted: OrderRef) -> bool:
    return order.id == wanted.id if wanted.id is not None else order.client_id == wanted.client_id
