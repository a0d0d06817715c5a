"""Take-profits and stop-losses of simulated futures positions, made by the prices attached to an order.

The venue can keep both in one row; here those of one order come as two.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from unitape.spi import HttpRequest
from unitape.spi.simulated_accounts import SimOrder, SimReject, SimUser
from unitape.spi.simulation import Exchange, FaceOptions
from unitape_mexc.simulator_base import MILLIS
from unitape_mexc.simulator_futures_account import FuturesAccountFace, done, envelope, price
from unitape_mexc.simulator_private import Endpoint

__all__ = ["FIRST_ORDER", "FuturesStopsFace", "is_stop"]

FIRST_ORDER: Final = 814_218_083_416_000_000
_STATES: Final = {"waiting": 1, "canceled": 2, "triggered": 3, "expired": 4, "rejected": 5}
_PROFIT, _LOSS = 1, 2


def is_stop(order: SimOrder) -> bool:
    """Tell whether an order was attached to another: it protects a position, and is no plan order."""
    return order.trigger is not None and order.parent is not None


class FuturesStopsFace(FuturesAccountFace):
    """The endpoints about take-profits and stop-losses."""

    def __init__(self, exchange: Exchange, options: FaceOptions) -> None:
        super().__init__(exchange, options)
        self.endpoints |= {
            ("GET", "stoporder/open_orders"): Endpoint(self._open_stops, lags=True),
            ("GET", "stoporder/order_details/*"): Endpoint(self._stop_details, lags=True),
            ("POST", "stoporder/cancel"): Endpoint(self._cancel_stops, trades=True),
        }

    def stop_row(self, order: SimOrder) -> dict[str, object]:
        """Return a take-profit or stop-loss as the venue writes it."""
        item = self._exchange.instrument(order.symbol)
        profit = order.kind.startswith("take_profit")
        trigger = price(item, order.trigger or 0)
        side = _PROFIT if profit else _LOSS
        return {
            "id": FIRST_ORDER + order.id,
            "orderId": "0",
            "symbol": self.raw(order.symbol),
            "positionId": "0",
            "lossTrend": 1,
            "profitTrend": 1,
            "takeProfitPrice" if profit else "stopLossPrice": trigger,
            "state": _STATES[order.status],
            "triggerSide": 0 if order.status in ("waiting", "canceled", "expired") else side,
            # What sells protects a long.
            "positionType": 1 if order.side == "sell" else 2,
            "vol": order.size,
            "realityVol": 0,
            "placeOrderId": "0" if order.child is None else str(FIRST_ORDER + order.child),
            "version": 1 if order.status == "waiting" else 2,
            "isFinished": int(order.status != "waiting"),
            "profitLossVolType": "SEPARATE",
            "takeProfitReverse": 2,
            "stopLossReverse": 2,
            "createTime": order.ts_created // MILLIS,
            "updateTime": order.ts_updated // MILLIS,
        }

    def _open_stops(self, user: SimUser, request: HttpRequest, asked: Mapping[str, str]) -> object:
        found = self._accounts.open_orders(user.name, self.wanted(asked), conditional=True, lag=self._lag)
        return envelope([self.stop_row(order) for order in found if is_stop(order)])

    def _stop_details(self, user: SimUser, request: HttpRequest, asked: Mapping[str, str]) -> object:
        text = request.path.rpartition("/")[2]
        order = self._stop(user, int(text) if text.isdigit() else 0, self._lag)
        return envelope(None if order is None else self.stop_row(order))

    def _cancel_stops(self, user: SimUser, request: HttpRequest, asked: Mapping[str, str]) -> object:
        for fields in self.rows(request):
            order = self._stop(user, fields.whole("stopPlanOrderId"))
            if order is None:
                raise self.refusal(5002, "The stop-limit order does not exist or has been closed")
            gone = self._accounts.cancel(user.name, order.symbol, order_id=order.id, conditional=True)
            if isinstance(gone, SimReject):
                raise self.refusal(5002, "The stop-limit order does not exist or has been closed")
        return done()

    def _stop(self, user: SimUser, number: int, lag: float = 0.0) -> SimOrder | None:
        for item in self._exchange.instruments:
            found = self._accounts.order(user.name, item.symbol, order_id=number - FIRST_ORDER, lag=lag)
            if found is not None and is_stop(found):
                return found
        return None
