"""What simulated futures push about an account, as "Private channels" of MEXC Contract V1 (2026-11) has it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from unitape.spi.simulated_accounts import BalanceChanged, FillMade, OrderChanged, PositionChanged
from unitape_mexc.simulator_base import encode
from unitape_mexc.simulator_futures_account import e8, price
from unitape_mexc.simulator_stops_futures import FIRST_ORDER, is_stop

if TYPE_CHECKING:
    from unitape.spi.simulated_accounts import AccountEvent, SimOrder
    from unitape_mexc.simulator_orders_futures import FuturesPrivateFace
    from unitape_mexc.simulator_streams import Watch

__all__ = ["CHANNELS", "futures_pushes"]

CHANNELS: Final = frozenset(
    {
        *("order", "order.deal", "position", "plan.order", "stop.order", "stop.planorder"),
        *("risk.limit", "adl.level", "asset"),
    }
)
"""What a login lets the venue push, and what a filter may name."""


def futures_pushes(face: FuturesPrivateFace, watch: Watch, event: AccountEvent) -> Iterable[bytes]:
    """Return the messages that one event makes, as far as they are wanted."""
    for channel, symbol, data in _messages(face, watch, event):
        rules = watch.filters.get(channel)
        if channel in watch.wanted and (not rules or not symbol or symbol in rules):
            yield encode({"channel": f"push.personal.{channel}", "data": data, "ts": face.millis})


def _messages(face: FuturesPrivateFace, watch: Watch, event: AccountEvent) -> Iterable[tuple[str, str, object]]:
    user = watch.user
    match event:
        case OrderChanged():
            order = event.order
            raw = face.raw(order.symbol)
            if is_stop(order):
                yield "stop.planorder", raw, face.stop_row(order)
            elif order.trigger is not None:
                yield "plan.order", raw, face.plan_row(user, order)
            else:
                left = order.size - order.filled if order.is_open else 0
                yield "order", raw, {**face.order_row(user, order), "remainVol": left, "bizSource": 1}
                if event.cause == "new" and order.is_open:
                    yield from _attached(face, order)
        case FillMade():
            row = face.deal_row(user, event.fill)
            taker = row.pop("taker")
            yield "order.deal", face.raw(event.fill.symbol), {**row, "isTaker": taker, "isSelf": False}
        case PositionChanged():
            row = face.position_row(event.position)
            yield "position", face.raw(event.position.symbol), row
            if event.position.size:
                yield "adl.level", "", {"adlLevel": 1, "positionId": event.position.id}
        case BalanceChanged():
            balance = event.balance
            row = {
                "currency": balance.currency,
                "availableBalance": e8(balance.free_e8),
                "frozenBalance": e8(balance.locked_e8),
                "positionMargin": e8(balance.margin_e8),
                "bonus": 0,
            }
            yield "asset", "", row


def _attached(face: FuturesPrivateFace, order: SimOrder) -> Iterable[tuple[str, str, object]]:
    """Return what waits for an order to be filled before it becomes a take-profit or stop-loss of a position."""
    item, raw = face.instrument(order.symbol), face.raw(order.symbol)
    prices = {"takeProfitPrice": order.take_profit, "stopLossPrice": order.stop_loss}
    shown = {name: price(item, ticks) for name, ticks in prices.items() if ticks is not None}
    if shown:
        yield "stop.order", raw, {"symbol": raw, "orderId": str(FIRST_ORDER + order.id), **shown}
