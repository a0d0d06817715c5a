"""What simulated spot pushes about an account, as "Websocket User Data Streams" of MEXC Spot V3 (2026-11) has it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from unitape.spi.simulated_accounts import BalanceChanged, FillMade, OrderChanged, SimOrder
from unitape.spi.simulation import SimInstrument, fixed
from unitape_mexc.simulator_base import MILLIS
from unitape_mexc.simulator_private import average_text
from unitape_mexc.simulator_wire import Field, push

if TYPE_CHECKING:
    from unitape.spi.simulated_accounts import AccountEvent
    from unitape_mexc.simulator_orders_spot import SpotPrivateFace
    from unitape_mexc.simulator_streams import Watch

__all__ = ["CHANNELS", "spot_pushes"]

_ORDERS: Final = "spot@private.orders.v3.api.pb"
_DEALS: Final = "spot@private.deals.v3.api.pb"
_ACCOUNT: Final = "spot@private.account.v3.api.pb"
CHANNELS: Final = (_ORDERS, _DEALS, _ACCOUNT)

_TYPES: Final = {"gtc": 1, "post_only": 2, "ioc": 3, "fok": 4}
_MARKET: Final = 5
_SIDES: Final = {"buy": 1, "sell": 2}
_STATES: Final = {"open": 1, "filled": 2, "partially_filled": 3}
_CANCELED, _PARTLY_CANCELED = 4, 5
_REASONS: Final = {"deposit": "DEPOSIT", "fill": "ENTRUST", "funding": "SUGAR"}


def spot_pushes(face: SpotPrivateFace, watch: Watch, event: AccountEvent) -> Iterable[bytes]:
    """Return the frames that one event makes."""
    match event:
        case OrderChanged() if _ORDERS in watch.wanted:
            yield push(_ORDERS, face.raw(event.order.symbol), face.millis, 304, _order(face, event))
        case FillMade() if _DEALS in watch.wanted:
            yield push(_DEALS, face.raw(event.fill.symbol), face.millis, 306, _deal(face, event))
        case BalanceChanged():
            before = watch.locked.get(event.balance.currency, 0)
            watch.locked[event.balance.currency] = event.balance.locked_e8
            if _ACCOUNT in watch.wanted:
                body = _account(event, event.balance.locked_e8 - before)
                yield push(_ACCOUNT, "", face.millis, 307, body, created=event.ts // MILLIS)
        case _:
            return


def _order(face: SpotPrivateFace, event: OrderChanged) -> list[Field]:
    order = event.order
    item = face.instrument(order.symbol)
    by_cost = order.quote_amount_e8
    size = 0 if by_cost is not None else order.size
    amount = fixed(by_cost, 8) if by_cost is not None else _notional(item, order, order.size)
    left = 0 if by_cost is not None else order.size - order.filled
    last = "" if event.fill is None else item.size_text(event.fill.size)
    ended = _PARTLY_CANCELED if order.filled else _CANCELED
    return [
        (1, face.order_name(order.id)),
        (2, order.client_id or ""),
        (3, "" if order.price is None else item.price_text(order.price)),
        (4, item.size_text(size)),
        (5, amount),
        (6, average_text(item, order) if order.filled else "0"),
        (7, _MARKET if order.kind == "market" else _TYPES[order.tif]),
        (8, _SIDES[order.side]),
        (9, int(event.fill is not None and event.fill.liquidity == "maker")),
        (10, _notional(item, order, left)),
        (11, item.size_text(left)),
        (12, last),
        (13, item.size_text(order.filled)),
        (14, item.notional_text(order.amount)),
        (15, _STATES.get(order.status, ended)),
        (16, order.ts_created // MILLIS),
    ]


def _notional(item: SimInstrument, order: SimOrder, lots: int) -> str:
    return "0" if order.price is None else item.notional_text(order.price * lots)


def _deal(face: SpotPrivateFace, event: FillMade) -> list[Field]:
    fill = event.fill
    item = face.instrument(fill.symbol)
    return [
        (1, item.price_text(fill.price)),
        (2, item.size_text(fill.size)),
        (3, item.notional_text(fill.price * fill.size)),
        (4, _SIDES[fill.side]),
        (5, int(fill.liquidity == "maker")),
        (7, face.trade_name(fill)),
        (8, fill.client_id or ""),
        (9, face.order_name(fill.order)),
        (10, fixed(fill.fee_e8, 8)),
        (11, fill.fee_currency),
        (12, fill.ts // MILLIS),
    ]


def _account(event: BalanceChanged, locked_e8: int) -> list[Field]:
    row = event.balance
    reason = _REASONS.get(event.cause) or ("ENTRUST_PLACE" if locked_e8 >= 0 else "ENTRUST_CANCEL")
    return [
        (1, row.currency),
        (2, f"128f589271cb4951{row.currency.encode().hex():0>16}"),
        (3, fixed(row.free_e8, 8)),
        (4, fixed(event.change_e8 - locked_e8, 8)),
        (5, fixed(row.locked_e8, 8)),
        (6, fixed(locked_e8, 8)),
        (7, reason),
        (8, event.ts // MILLIS),
    ]
