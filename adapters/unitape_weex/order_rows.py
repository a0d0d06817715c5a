"""From the venue's order and trade rows to ``Order`` and ``Fill``.

Ids are numbers in some answers and strings in others, and beyond 2**53 in both.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, TypeAlias

from msgspec import Meta, Struct

from unitape.spi import MILLISECOND, Instruments, NewOrder, WireMillis
from unitape_schemas import Fill, Order, OrderKind, OrderStatus, Origin, PositionSide, Side, TimeInForce
from unitape_weex.amounts import amount, average_price, positive
from unitape_weex.wire import VENUE
from unitape_weex.words import (
    KIND_OF,
    LIMIT_KINDS,
    POSITION_MEANT,
    POSITION_SIDE_OF,
    SIDE_OF,
    STATUS,
    TIF_OF,
    TRIGGER_KINDS,
)

__all__ = [
    "AlgoRow",
    "ContractOrderRow",
    "ContractTrade",
    "SpotAck",
    "SpotOrderRow",
    "SpotTrade",
    "accepted",
    "algo_order",
    "contract_fill",
    "contract_order",
    "fills_oldest_first",
    "oldest_first",
    "spot_fill",
    "spot_order",
]

_Name: TypeAlias = Annotated[str, Meta(min_length=1)]
_Id: TypeAlias = Annotated[int, Meta(ge=1)] | Annotated[str, Meta(pattern=r"^[1-9][0-9]{0,29}\Z")]


class SpotAck(Struct, gc=False, rename="camel"):
    """The answer to a new spot order."""

    order_id: _Id
    transact_time: WireMillis = 0


class SpotOrderRow(Struct, gc=False, rename="camel"):
    """A spot order. Its amount in quote currency is spelled with two m."""

    symbol: _Name
    order_id: _Id
    side: _Name
    type: _Name
    status: _Name
    client_order_id: str | None = None
    price: Decimal | None = None
    orig_qty: Decimal | None = None
    executed_qty: Decimal | None = None
    cummulative_quote_qty: Decimal | None = None
    time_in_force: str | None = None
    time: WireMillis = 0
    update_time: WireMillis | None = None


class ContractOrderRow(Struct, gc=False, rename="camel"):
    """An order on contracts. Rows of the history may lack the flag, the trigger and its price."""

    symbol: _Name
    order_id: _Id
    side: _Name
    type: _Name
    status: _Name
    client_order_id: str | None = None
    position_side: str | None = None
    price: Decimal | None = None
    stop_price: Decimal | None = None
    orig_qty: Decimal | None = None
    executed_qty: Decimal | None = None
    avg_price: Decimal | None = None
    cum_quote: Decimal | None = None
    reduce_only: bool | None = None
    time_in_force: str | None = None
    time: WireMillis = 0
    update_time: WireMillis | None = None


class AlgoRow(Struct, gc=False, rename="camel"):
    """An order that waits, or waited, for a trigger."""

    symbol: _Name
    algo_id: _Id
    side: _Name
    order_type: _Name
    algo_status: _Name
    client_algo_id: str | None = None
    position_side: str | None = None
    quantity: Decimal | None = None
    price: Decimal | None = None
    trigger_price: Decimal | None = None
    reduce_only: bool | None = None
    time_in_force: str | None = None
    create_time: WireMillis = 0
    update_time: WireMillis | None = None


class SpotTrade(Struct, gc=False, rename="camel"):
    """One of your spot executions. It names neither the fee's currency nor who made and who took."""

    symbol: _Name
    id: _Id
    order_id: _Id
    qty: Decimal
    time: WireMillis
    is_buyer: bool
    price: Decimal | None = None
    quote_qty: Decimal | None = None
    commission: Decimal | None = None


class ContractTrade(Struct, gc=False, rename="camel"):
    """One of your executions on contracts."""

    symbol: _Name
    id: _Id
    order_id: _Id
    side: _Name
    qty: Decimal
    time: WireMillis
    price: Decimal | None = None
    quote_qty: Decimal | None = None
    commission: Decimal | None = None
    commission_asset: str | None = None
    maker: bool | None = None
    realized_pnl: Decimal | None = None


def accepted(
    order: NewOrder, order_id: str, ts_recv: int, *, ts: int = 0, position_side: PositionSide | None = None
) -> Order:
    """Return an order that the venue accepted without telling more than its id; the rest is what was asked for."""
    closes = None if position_side is None else POSITION_MEANT[order.side, True] == position_side
    return Order(
        venue=VENUE,
        symbol=order.symbol,
        ts_event=ts,
        ts_sent=0,
        ts_recv=ts_recv,
        id=order_id,
        client_id=order.client_id,
        side=order.side,
        kind=order.kind,
        tif=(order.tif or "gtc") if order.kind in LIMIT_KINDS else None,
        price=order.price,
        trigger=order.trigger,
        size=order.size,
        filled=None,
        average=None,
        status="open",
        reduce_only=closes,
        position_side=position_side,
        ts_created=ts,
        ts_updated=ts,
        origin="answer",
        raw_status="",
    )


def spot_order(row: SpotOrderRow, instruments: Instruments, origin: Origin, ts_recv: int) -> Order:
    """Read a spot row."""
    size, filled = positive(row.orig_qty), _amount(row.executed_qty)
    cost = _amount(row.cummulative_quote_qty)
    kind = KIND_OF.get(row.type.upper())
    updated = (row.update_time or row.time) * MILLISECOND
    return Order(
        venue=VENUE,
        symbol=instruments.symbol(row.symbol),
        ts_event=updated,
        ts_sent=0,
        ts_recv=ts_recv,
        id=str(row.order_id),
        client_id=row.client_order_id or None,
        side=_side(row.side),
        kind=kind,
        tif=_tif(row.time_in_force, kind),
        price=_price(row.price, kind),
        trigger=None,
        size=size,
        filled=filled,
        average=None if filled is None or cost is None else average_price(cost, filled),
        status=_status(row.status, size, filled),
        reduce_only=None,
        position_side=None,
        ts_created=row.time * MILLISECOND,
        ts_updated=updated,
        origin=origin,
        raw_status=row.status,
    )


def contract_order(row: ContractOrderRow, instruments: Instruments, origin: Origin, ts_recv: int) -> Order:
    """Read a row of contracts."""
    side, position = _side(row.side), _position(row.position_side)
    size, filled = positive(row.orig_qty), _amount(row.executed_qty)
    kind = KIND_OF.get(row.type.upper())
    updated = (row.update_time or row.time) * MILLISECOND
    return Order(
        venue=VENUE,
        symbol=instruments.symbol(row.symbol),
        ts_event=updated,
        ts_sent=0,
        ts_recv=ts_recv,
        id=str(row.order_id),
        client_id=row.client_order_id or None,
        side=side,
        kind=kind,
        tif=_tif(row.time_in_force, kind),
        price=_price(row.price, kind),
        trigger=_trigger(row.stop_price, kind),
        size=size,
        filled=filled,
        average=_average(row, filled),
        status=_status(row.status, size, filled),
        reduce_only=_closes(row.reduce_only, side, position),
        position_side=position,
        ts_created=row.time * MILLISECOND,
        ts_updated=updated,
        origin=origin,
        raw_status=row.status,
    )


def algo_order(row: AlgoRow, instruments: Instruments, origin: Origin, ts_recv: int) -> Order:
    """Read a conditional order. What it filled is told of the order that it became, apart from "all of it"."""
    side, position = _side(row.side), _position(row.position_side)
    size = positive(row.quantity)
    status = _status(row.algo_status, size, None)
    kind = KIND_OF.get(row.order_type.upper())
    updated = (row.update_time or row.create_time) * MILLISECOND
    return Order(
        venue=VENUE,
        symbol=instruments.symbol(row.symbol),
        ts_event=updated,
        ts_sent=0,
        ts_recv=ts_recv,
        id=str(row.algo_id),
        client_id=row.client_algo_id or None,
        side=side,
        kind=kind,
        tif=_tif(row.time_in_force, kind),
        price=_price(row.price, kind),
        trigger=_trigger(row.trigger_price, kind),
        size=size,
        filled=size if status == "filled" else None,
        average=None,
        status=status,
        reduce_only=_closes(row.reduce_only, side, position),
        position_side=position,
        ts_created=row.create_time * MILLISECOND,
        ts_updated=updated,
        origin=origin,
        raw_status=row.algo_status,
    )


def spot_fill(row: SpotTrade, instruments: Instruments, ts_recv: int) -> Fill:
    """Read one of your spot executions. The fee is taken from what was received: base of a buy, quote of a sell."""
    size = amount(row.qty)
    instrument = instruments.get_raw(row.symbol)
    currency = None
    if instrument is not None:
        currency = instrument.base if row.is_buyer else instrument.quote
    return Fill(
        venue=VENUE,
        symbol=instruments.symbol(row.symbol),
        ts_event=row.time * MILLISECOND,
        ts_sent=0,
        ts_recv=ts_recv,
        id=str(row.id),
        order_id=str(row.order_id),
        client_id=None,
        side="buy" if row.is_buyer else "sell",
        price=_fill_price(row.price, row.quote_qty, size),
        size=size,
        fee=_amount(row.commission),
        fee_currency=currency,
        liquidity=None,
        realized_pnl=None,
        origin="query",
    )


def contract_fill(row: ContractTrade, instruments: Instruments, ts_recv: int) -> Fill:
    """Read one of your executions on contracts."""
    size = amount(row.qty)
    return Fill(
        venue=VENUE,
        symbol=instruments.symbol(row.symbol),
        ts_event=row.time * MILLISECOND,
        ts_sent=0,
        ts_recv=ts_recv,
        id=str(row.id),
        order_id=str(row.order_id),
        client_id=None,
        side=_side(row.side),
        price=_fill_price(row.price, row.quote_qty, size),
        size=size,
        fee=_amount(row.commission),
        fee_currency=row.commission_asset or None,
        liquidity=None if row.maker is None else "maker" if row.maker else "taker",
        realized_pnl=_amount(row.realized_pnl),
        origin="query",
    )


def oldest_first(orders: list[Order]) -> list[Order]:
    """Sort orders by when they were accepted; the venue does not say in which order it answers."""
    return sorted(orders, key=lambda order: (order.ts_created, int(order.id or 0)))


def fills_oldest_first(fills: list[Fill]) -> list[Fill]:
    """Sort executions by time."""
    return sorted(fills, key=lambda fill: (fill.ts_event, int(fill.id)))


def _amount(value: Decimal | None) -> Decimal | None:
    return None if value is None else amount(value)


def _side(word: str) -> Side:
    side = SIDE_OF.get(word.upper())
    if side is None:
        raise ValueError(f"{word!r} is no side")
    return side


def _position(word: str | None) -> PositionSide | None:
    return None if word is None else POSITION_SIDE_OF.get(word.upper())


def _closes(flag: bool | None, side: Side, position: PositionSide | None) -> bool | None:
    """Return the venue's flag; where it gives none, what side and position say together."""
    if flag is not None or position is None:
        return flag
    return POSITION_MEANT[side, True] == position


def _status(word: str, size: Decimal | None, filled: Decimal | None) -> OrderStatus:
    status: OrderStatus = STATUS.get(word.upper(), "unknown")
    partial = status == "open" and size is not None and filled is not None and 0 < filled < size
    return "partially_filled" if partial else status


def _price(value: Decimal | None, kind: OrderKind | None) -> Decimal | None:
    return None if kind is not None and kind not in LIMIT_KINDS else positive(value)


def _trigger(value: Decimal | None, kind: OrderKind | None) -> Decimal | None:
    return None if kind is not None and kind not in TRIGGER_KINDS else positive(value)


def _tif(word: str | None, kind: OrderKind | None) -> TimeInForce | None:
    """Return the time in force; market orders carry a word, but it has no meaning there."""
    return None if word is None or (kind is not None and kind not in LIMIT_KINDS) else TIF_OF.get(word.upper())


def _average(row: ContractOrderRow, filled: Decimal | None) -> Decimal | None:
    if not filled:
        return None
    given = positive(row.avg_price)
    cost = _amount(row.cum_quote)
    return given if given is not None or cost is None else average_price(cost, filled)


def _fill_price(price: Decimal | None, value: Decimal | None, size: Decimal) -> Decimal:
    """Return the price of an execution, from what it was worth where the answer leaves it out."""
    given = positive(price)
    if given is None and value is not None:
        given = average_price(amount(value), size)
    if given is None:
        raise ValueError("an execution without a price")
    return given
