"""The bodies of new contract orders, and which position an order means."""

from __future__ import annotations

from typing import Final

from unitape.errors import ConfigError, Unsupported
from unitape.spi import NewOrder
from unitape_schemas import PositionSide, Side
from unitape_weex.amounts import plain_or_none
from unitape_weex.private import check_shape
from unitape_weex.words import (
    ALGO_KINDS,
    LIMIT_KINDS,
    PLAIN_KINDS,
    PLANS,
    POSITION_MEANT,
    POSITION_SIDES,
    SIDES,
    TIFS,
    TRIGGERS,
)

__all__ = ["algo_fields", "closes", "order_fields", "plan_fields", "position_meant"]

Body = dict[str, str | None]

_AT_MARKET: Final = "0"


def closes(side: Side, position: PositionSide) -> bool:
    """Tell whether an order of this side makes this position smaller."""
    return POSITION_MEANT[side, True] == position


def position_meant(order: NewOrder) -> PositionSide:
    """Return the position that an order opens or closes; in one-way mode by what it is there to do.

    Raises:
        ConfigError: it is to reduce a position that its side would grow.
    """
    if order.position_side is None:
        return POSITION_MEANT[order.side, order.reduce_only]
    if order.reduce_only and not closes(order.side, order.position_side):
        raise ConfigError(f"a reduce-only {order.side} cannot reduce a {order.position_side} position")
    return order.position_side


def order_fields(order: NewOrder, raw: str, position: PositionSide, attached_by: str) -> Body:
    """Return the body of an order that goes to the book at once."""
    check_shape(order)
    fields: Body = {
        "symbol": raw,
        "side": SIDES[order.side],
        "positionSide": POSITION_SIDES[position],
        "type": PLAIN_KINDS[order.kind],
        "timeInForce": TIFS[order.tif or "gtc"] if order.kind in LIMIT_KINDS else None,
        "quantity": plain_or_none(order.size),
        "price": plain_or_none(order.price),
        "newClientOrderId": order.client_id,
        "tpTriggerPrice": plain_or_none(order.take_profit),
        "slTriggerPrice": plain_or_none(order.stop_loss),
    }
    return _present(fields) | _working_types(order, attached_by)


def algo_fields(order: NewOrder, raw: str, position: PositionSide, attached_by: str) -> Body:
    """Return the body of an order that waits until the last price strikes its trigger."""
    check_shape(order)
    if order.trigger_by == "index":
        raise Unsupported("weex triggers by the last price, or by the mark price for orders that close a position")
    fields: Body = {
        "symbol": raw,
        "side": SIDES[order.side],
        "positionSide": POSITION_SIDES[position],
        "type": ALGO_KINDS[order.kind],
        "quantity": plain_or_none(order.size),
        "price": plain_or_none(order.price),
        "triggerPrice": plain_or_none(order.trigger),
        "clientAlgoId": order.client_id,
        "presetTakeProfitPrice": plain_or_none(order.take_profit),
        "presetStopLossPrice": plain_or_none(order.stop_loss),
    }
    return _present(fields) | _working_types(order, attached_by)


def plan_fields(order: NewOrder, raw: str, position: PositionSide) -> Body:
    """Return the body of an order that closes a position when the mark price strikes its trigger.

    The venue's take-profits and stop-losses trigger where ours do: a long is taken above and stopped below.
    """
    check_shape(order)
    if not closes(order.side, position):
        raise Unsupported("weex looks at the mark price for orders that close a position; others use the last price")
    return {
        "symbol": raw,
        "clientAlgoId": order.client_id,
        "planType": PLANS[order.kind],
        "triggerPrice": plain_or_none(order.trigger),
        "executePrice": plain_or_none(order.price) or _AT_MARKET,
        "quantity": plain_or_none(order.size),
        "positionSide": POSITION_SIDES[position],
        "triggerPriceType": TRIGGERS["mark"],
    }


def _working_types(order: NewOrder, attached_by: str) -> Body:
    """Return what attached orders look at, where it is not the venue's default. The names do start upper case."""
    if attached_by == "last":
        return {}
    word = TRIGGERS[attached_by]
    return _present(
        {
            "TpWorkingType": None if order.take_profit is None else word,
            "SlWorkingType": None if order.stop_loss is None else word,
        }
    )


def _present(fields: Body) -> Body:
    return {name: value for name, value in fields.items() if value is not None}
