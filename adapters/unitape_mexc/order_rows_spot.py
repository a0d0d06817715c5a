"""From spot's order and trade rows to ``Order`` and ``Fill``."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Annotated, Literal

from msgspec import Meta, Struct, field

from unitape.spi import MILLISECOND, NewOrder, WireMillis
from unitape_mexc.amounts import average_price, number, number_or_none, positive
from unitape_mexc.bodies import VENUE
from unitape_mexc.words import LIMIT_KINDS, SIDE_OF, SPOT_FINAL, SPOT_STATUS_OF, SPOT_TIF_OF
from unitape_schemas import Fill, Liquidity, Order, OrderKind, Origin, TimeInForce

__all__ = [
    "SpotAck",
    "SpotRow",
    "SpotTrade",
    "accepted_spot",
    "canceled_spot",
    "spot_fill",
    "spot_order",
]

SymbolOf = Callable[[str], str]
_Name = Annotated[str, Meta(min_length=1)]
_Id = _Name | int
_Side = Literal["BUY", "SELL"]


class SpotAck(Struct, gc=False, rename="camel"):
    """What the answer to a new order says: that there is one. In a batch not even the time."""

    symbol: _Name
    order_id: _Id
    transact_time: WireMillis = 0


class SpotRow(Struct, gc=False, rename="camel"):
    """A spot order, queried or in the answer to a cancel, which may have next to nothing of it."""

    symbol: _Name
    order_id: _Id
    side: _Side
    type: _Name
    status: str | None = None
    client_order_id: str | None = None
    orig_client_order_id: str | None = None
    price: Decimal | None = None
    orig_qty: Decimal | None = None
    # The venue's own example of a single order prints it so.
    qty: Decimal | None = field(name="Qty", default=None)
    executed_qty: Decimal | None = None
    cummulative_quote_qty: Decimal | None = None
    time: WireMillis | None = None
    update_time: WireMillis | None = None


class SpotTrade(Struct, gc=False, rename="camel"):
    """One of your spot executions."""

    symbol: _Name
    id: _Id
    order_id: _Id
    price: Decimal
    qty: Decimal
    time: WireMillis
    is_buyer: bool
    is_maker: bool
    commission: Decimal | None = None
    commission_asset: str | None = None
    client_order_id: str | None = None


def accepted_spot(row: SpotAck, order: NewOrder, ts_recv: int) -> Order:
    """Read the answer to a new order. It has no status: the order is accepted, more has to be asked for."""
    ts = row.transact_time * MILLISECOND
    return Order(
        venue=VENUE,
        symbol=order.symbol,
        ts_event=ts,
        ts_sent=0,
        ts_recv=ts_recv,
        id=str(row.order_id),
        client_id=order.client_id,
        side=order.side,
        kind=order.kind,
        tif=(order.tif or "gtc") if order.kind in LIMIT_KINDS else None,
        price=order.price,
        trigger=None,
        size=order.size,
        filled=None,
        average=None,
        status="pending",
        reduce_only=None,
        position_side=None,
        ts_created=ts,
        ts_updated=ts,
        origin="answer",
        raw_status="",
    )


def spot_order(row: SpotRow, symbol_of: SymbolOf, origin: Origin, ts_recv: int) -> Order:
    """Read a spot order."""
    kind, tif = _kind(row.type)
    filled = number_or_none(row.executed_qty)
    created = (row.time or 0) * MILLISECOND
    updated = (row.update_time or 0) * MILLISECOND or created
    word = row.status or ""
    return Order(
        venue=VENUE,
        symbol=symbol_of(row.symbol),
        ts_event=updated,
        ts_sent=0,
        ts_recv=ts_recv,
        id=str(row.order_id),
        # In the answer to a cancel, clientOrderId names the cancel.
        client_id=row.orig_client_order_id or row.client_order_id or None,
        side=SIDE_OF[row.side],
        kind=kind,
        tif=tif,
        price=None if kind == "market" else positive(row.price),
        trigger=None,
        # A market buy is ordered by cost, and has no size then.
        size=positive(row.orig_qty if row.orig_qty is not None else row.qty),
        filled=filled,
        average=average_price(number_or_none(row.cummulative_quote_qty), filled),
        status=SPOT_STATUS_OF.get(word, "unknown"),
        reduce_only=None,
        position_side=None,
        ts_created=created,
        ts_updated=updated,
        origin=origin,
        raw_status=word,
    )


def canceled_spot(row: SpotRow, symbol_of: SymbolOf, ts_recv: int) -> Order | None:
    """Read the answer to a cancel; None where it does no more than accept it, whatever status it repeats."""
    return spot_order(row, symbol_of, "answer", ts_recv) if row.status in SPOT_FINAL else None


def spot_fill(row: SpotTrade, symbol_of: SymbolOf, ts_recv: int) -> Fill:
    """Read one of your spot executions."""
    liquidity: Liquidity = "maker" if row.is_maker else "taker"
    return Fill(
        venue=VENUE,
        symbol=symbol_of(row.symbol),
        ts_event=row.time * MILLISECOND,
        ts_sent=0,
        ts_recv=ts_recv,
        id=str(row.id),
        order_id=str(row.order_id),
        client_id=row.client_order_id or None,
        side="buy" if row.is_buyer else "sell",
        price=number(row.price),
        size=number(row.qty),
        fee=number_or_none(row.commission),
        fee_currency=row.commission_asset or None,
        liquidity=liquidity,
        realized_pnl=None,
        origin="query",
    )


def _kind(word: str) -> tuple[OrderKind | None, TimeInForce | None]:
    """Return kind and time in force of a type; nothing for one that is not known."""
    if word == "MARKET":
        return "market", None
    tif = SPOT_TIF_OF.get(word)
    return (None, None) if tif is None else ("limit", tif)
