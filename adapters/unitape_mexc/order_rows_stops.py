"""From the rows of take-profits and stop-losses on futures positions to ``Order``: one row is up to two of them.

The venue keeps both sides of a position's protection under one id. Here each side is an order of its own, named
``tp-<id>`` and ``sl-<id>``: canceling either takes both away, as there is one request for the row.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Annotated, Final

from msgspec import Meta, Struct

from unitape.spi import MILLISECOND, Instruments, PositionMode, WireMillis
from unitape_mexc.amounts import base_units, number, positive
from unitape_mexc.bodies import VENUE
from unitape_mexc.words import PLAN_STATUS_OF, POSITION_OF, STOP_LEG_OF, STOP_LEGS
from unitape_schemas import Order, OrderStatus

__all__ = ["StopRow", "stop_number", "stop_orders"]

_EXECUTED: Final = (3, 5)
"""States of a row one side of which has struck, with success or without."""
_LIMIT: Final = 1
_REVERSES: Final = 1
_SEPARATE: Final = "SEPARATE"


class StopRow(Struct, gc=False, rename="camel"):
    """A take-profit, a stop-loss or both on a position, in contracts. Prices of 0 are absent ones."""

    id: Annotated[str, Meta(min_length=1)] | Annotated[int, Meta(ge=1)]
    symbol: Annotated[str, Meta(min_length=1)]
    position_type: int
    state: int
    vol: Decimal = Decimal(0)
    trigger_side: int = 0
    take_profit_price: Decimal | None = None
    stop_loss_price: Decimal | None = None
    take_profit_vol: Decimal | None = None
    stop_loss_vol: Decimal | None = None
    take_profit_type: int = 0
    stop_loss_type: int = 0
    take_profit_order_price: Decimal | None = None
    stop_loss_order_price: Decimal | None = None
    take_profit_reverse: int = 2
    stop_loss_reverse: int = 2
    profit_loss_vol_type: str = ""
    is_finished: int = 0
    error_code: int | None = None
    create_time: WireMillis | None = None
    update_time: WireMillis | None = None


class _Leg(Struct):
    name: str
    trigger: Decimal | None
    vol: Decimal | None
    type: int
    price: Decimal | None
    reverse: int


def stop_orders(row: StopRow, instruments: Instruments, mode: PositionMode, ts_recv: int) -> list[Order]:
    """Read a row: the take-profit, the stop-loss, or both."""
    instrument = instruments.get_raw(row.symbol)
    if instrument is None:
        raise ValueError(f"the contract size of {row.symbol} is not known, so its sizes mean nothing")
    position = POSITION_OF[row.position_type]
    updated = row.update_time or row.create_time or 0
    orders: list[Order] = []
    for leg in _legs(row):
        limit = leg.type == _LIMIT
        size = positive(leg.vol) or positive(row.vol)
        orders.append(
            Order(
                venue=VENUE,
                symbol=instrument.symbol,
                ts_event=updated * MILLISECOND,
                ts_sent=0,
                ts_recv=ts_recv,
                id=f"{leg.name}-{row.id}",
                client_id=None,
                side="sell" if position == "long" else "buy",
                kind=STOP_LEGS[leg.name][limit],
                tif="gtc" if limit else None,
                price=positive(leg.price) if limit else None,
                trigger=number(leg.trigger or Decimal(0)),
                # What protects a whole position has no size of its own.
                size=None if size is None else base_units(size, instrument),
                filled=None,
                average=None,
                status=_status(row, leg.name),
                # One that reverses the position does more than reduce it.
                reduce_only=leg.reverse != _REVERSES,
                position_side=position if mode == "hedge" else None,
                ts_created=(row.create_time or 0) * MILLISECOND,
                ts_updated=(row.update_time or 0) * MILLISECOND,
                origin="query",
                raw_status=f"{row.state} {row.error_code}" if row.error_code else str(row.state),
            )
        )
    return orders


def stop_number(name: str) -> int | None:
    """Return the venue's id in ``tp-<id>`` or ``sl-<id>``; None for any other name."""
    leg, _, digits = name.partition("-")
    return int(digits) if leg in STOP_LEGS and digits.isascii() and digits.isdigit() else None


def _legs(row: StopRow) -> Iterator[_Leg]:
    profit = (row.take_profit_vol, row.take_profit_type, row.take_profit_order_price, row.take_profit_reverse)
    loss = (row.stop_loss_vol, row.stop_loss_type, row.stop_loss_order_price, row.stop_loss_reverse)
    for name, trigger, rest in (("tp", row.take_profit_price, profit), ("sl", row.stop_loss_price, loss)):
        if positive(trigger) is not None:
            yield _Leg(name, trigger, *rest)


def _status(row: StopRow, leg: str) -> OrderStatus:
    struck = STOP_LEG_OF.get(row.trigger_side)
    if row.state in _EXECUTED and struck is not None and struck != leg:
        # The other side has struck. With sizes of their own, this one waits on.
        return "open" if row.profit_loss_vol_type == _SEPARATE and not row.is_finished else "canceled"
    return PLAN_STATUS_OF.get(row.state, "unknown")
