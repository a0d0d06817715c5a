"""From the venue's order and trade rows to ``Order`` and ``Fill``: REST answers and WebSocket API results alike."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Literal

from msgspec import Meta, Struct

from unitape.spi import MILLISECOND, NewOrder, WireMillis
from unitape_binance.amounts import WireAmount, WireAmountOrEmpty, amount, average_price, positive
from unitape_binance.readers import VENUE_NAME, SymbolOf
from unitape_binance.words import ALGO_STATUS, CONDITIONAL_KINDS, KIND_OF, LIMIT_KINDS, SIDE_OF, STATUS, TIF_OF
from unitape_schemas import Fill, Liquidity, Order, OrderKind, OrderStatus, Origin, PositionSide, TimeInForce

__all__ = [
    "AlgoRow",
    "SpotAck",
    "SpotRow",
    "SpotTrade",
    "UsdmRow",
    "UsdmTrade",
    "acknowledged",
    "algo_order",
    "position_side",
    "spot_fill",
    "spot_order",
    "usdm_fill",
    "usdm_order",
]

_Name = Annotated[str, Meta(min_length=1)]
_Side = Literal["BUY", "SELL"]
_Id = Annotated[int, Meta(ge=0)]


class SpotAck(Struct, gc=False, rename="camel"):
    """The least that an answer to a new spot order says."""

    symbol: _Name
    order_id: _Id
    client_order_id: str
    transact_time: WireMillis
    status: str | None = None


class SpotRow(Struct, gc=False, rename="camel"):
    """A spot order in an answer: placed, queried, canceled or, with ``qty`` and ``cumulativeQuoteQty``, amended."""

    symbol: _Name
    order_id: _Id
    side: _Side
    type: _Name
    status: _Name
    client_order_id: str = ""
    orig_client_order_id: str = ""
    price: WireAmount | None = None
    stop_price: WireAmount | None = None
    orig_qty: WireAmount | None = None
    qty: WireAmount | None = None
    executed_qty: WireAmount | None = None
    orig_quote_order_qty: WireAmount | None = None
    quote_order_qty: WireAmount | None = None
    # The venue spells it with two m on orders and with one inside an amendment.
    cummulative_quote_qty: WireAmount | None = None
    cumulative_quote_qty: WireAmount | None = None
    time_in_force: str = ""
    transact_time: WireMillis = 0
    time: WireMillis = 0
    update_time: WireMillis = 0


class UsdmRow(Struct, gc=False, rename="camel"):
    """An order of USDⓈ-M. ``avgPrice`` and ``cumQuote`` are missing from answers to new orders since June 2026."""

    symbol: _Name
    order_id: _Id
    side: _Side
    type: _Name
    status: _Name
    client_order_id: str = ""
    orig_type: str = ""
    price: WireAmount | None = None
    stop_price: WireAmount | None = None
    orig_qty: WireAmount | None = None
    executed_qty: WireAmount | None = None
    avg_price: WireAmount | None = None
    cum_quote: WireAmount | None = None
    time_in_force: str = ""
    reduce_only: bool | None = None
    position_side: str = "BOTH"
    time: WireMillis = 0
    update_time: WireMillis = 0


class AlgoRow(Struct, gc=False, rename="camel"):
    """A conditional order of USDⓈ-M. The recorded older form names its kind ``type``."""

    symbol: _Name
    algo_id: _Id
    side: _Side
    algo_status: _Name
    client_algo_id: str = ""
    order_type: str = ""
    type: str = ""
    quantity: WireAmountOrEmpty | None = None
    price: WireAmount | None = None
    trigger_price: WireAmount | None = None
    actual_qty: WireAmountOrEmpty | None = None
    actual_price: WireAmountOrEmpty | None = None
    time_in_force: str = ""
    reduce_only: bool | None = None
    position_side: str = "BOTH"
    create_time: WireMillis = 0
    update_time: WireMillis = 0


class SpotTrade(Struct, gc=False, rename="camel"):
    """One of your spot executions."""

    symbol: _Name
    id: _Id
    order_id: _Id
    price: WireAmount
    qty: WireAmount
    commission: WireAmount
    commission_asset: str
    time: WireMillis
    is_buyer: bool
    is_maker: bool


class UsdmTrade(Struct, gc=False, rename="camel"):
    """One of your executions on USDⓈ-M."""

    symbol: _Name
    id: _Id
    order_id: _Id
    side: _Side
    price: WireAmount
    qty: WireAmount
    commission: WireAmount
    commission_asset: str
    realized_pnl: WireAmount
    time: WireMillis
    maker: bool


def position_side(word: str) -> PositionSide | None:
    """Return the side of a position in hedge mode; None for ``BOTH``."""
    if word == "LONG":
        return "long"
    return "short" if word == "SHORT" else None


def acknowledged(row: SpotAck, order: NewOrder, ts_recv: int) -> Order:
    """Read an answer that says no more than that the order was accepted; the rest is what was asked for."""
    ts = row.transact_time * MILLISECOND
    tif = order.tif or "gtc"
    return Order(
        venue=VENUE_NAME,
        symbol=order.symbol,
        ts_event=ts,
        ts_sent=0,
        ts_recv=ts_recv,
        id=str(row.order_id),
        client_id=row.client_order_id or order.client_id,
        side=order.side,
        kind=order.kind,
        tif=tif if order.kind in LIMIT_KINDS else None,
        price=order.price,
        trigger=order.trigger,
        size=order.size,
        filled=None,
        average=None,
        status="open",
        reduce_only=None,
        position_side=None,
        ts_created=ts,
        ts_updated=ts,
        origin="answer",
        raw_status="",
    )


def spot_order(
    row: SpotRow, symbol_of: SymbolOf, origin: Origin, ts_recv: int, *, placed: bool = False, ts: int = 0
) -> Order:
    """Read a spot row. ``placed``: it answers a new order; ``ts``: when it happened, where the row does not say."""
    kind = KIND_OF["spot"].get(row.type)
    filled = _amount(row.executed_qty)
    cost = _amount(row.cummulative_quote_qty or row.cumulative_quote_qty)
    by_cost = positive(row.orig_quote_order_qty or row.quote_order_qty) is not None
    updated = (row.transact_time or row.update_time) * MILLISECOND or ts
    canceled = row.orig_client_order_id if row.status == "CANCELED" else ""
    return Order(
        venue=VENUE_NAME,
        symbol=symbol_of(row.symbol),
        ts_event=updated,
        ts_sent=0,
        ts_recv=ts_recv,
        id=str(row.order_id),
        # In the answer to a cancel, clientOrderId names the cancel.
        client_id=canceled or row.client_order_id or None,
        side=SIDE_OF[row.side],
        kind=kind,
        tif="post_only" if row.type == "LIMIT_MAKER" else _tif(row.time_in_force, kind),
        price=_price(row.price, kind),
        trigger=_trigger(row.stop_price, kind),
        size=None if by_cost else positive(row.orig_qty or row.qty),
        filled=filled,
        average=None if filled is None or cost is None else average_price(cost, filled),
        status=STATUS.get(row.status, "unknown"),
        reduce_only=None,
        position_side=None,
        ts_created=updated if placed else row.time * MILLISECOND,
        ts_updated=updated,
        origin=origin,
        raw_status=row.status,
    )


def usdm_order(row: UsdmRow, symbol_of: SymbolOf, origin: Origin, ts_recv: int, *, placed: bool = False) -> Order:
    """Read a row of USDⓈ-M. ``placed``: it answers a new order."""
    # An order that was triggered under the old rules has become another type since.
    kind = KIND_OF["usdm"].get(row.orig_type or row.type)
    filled = _amount(row.executed_qty)
    updated = row.update_time * MILLISECOND
    return Order(
        venue=VENUE_NAME,
        symbol=symbol_of(row.symbol),
        ts_event=updated,
        ts_sent=0,
        ts_recv=ts_recv,
        id=str(row.order_id),
        client_id=row.client_order_id or None,
        side=SIDE_OF[row.side],
        kind=kind,
        tif=_tif(row.time_in_force, kind),
        price=_price(row.price, kind),
        trigger=_trigger(row.stop_price, kind),
        size=positive(row.orig_qty),
        filled=filled,
        average=_usdm_average(row, filled),
        status=STATUS.get(row.status, "unknown"),
        reduce_only=row.reduce_only,
        position_side=position_side(row.position_side),
        ts_created=updated if placed and not row.time else row.time * MILLISECOND,
        ts_updated=updated,
        origin=origin,
        raw_status=row.status,
    )


def algo_order(row: AlgoRow, symbol_of: SymbolOf, origin: Origin, ts_recv: int, *, ts_sent: int = 0) -> Order:
    """Read a conditional order. Once triggered, its fills are those of the order that was born of it.

    ``FINISHED`` says that the born order is over: filled if all of the size was, else canceled, whatever ended it;
    the born order itself, which has the same client id, says which.
    """
    kind = KIND_OF["usdm"].get(row.order_type or row.type)
    size, filled = positive(row.quantity), _filled_of_born(row)
    status: OrderStatus = ALGO_STATUS.get(row.algo_status, "unknown")
    if row.algo_status == "FINISHED":
        done = filled is not None and filled > 0 and (size is None or filled >= size)
        status = "filled" if done else "canceled"
    updated = row.update_time * MILLISECOND
    return Order(
        venue=VENUE_NAME,
        symbol=symbol_of(row.symbol),
        ts_event=updated,
        ts_sent=ts_sent,
        ts_recv=ts_recv,
        id=str(row.algo_id),
        client_id=row.client_algo_id or None,
        side=SIDE_OF[row.side],
        kind=kind,
        tif=_tif(row.time_in_force, kind),
        price=_price(row.price, kind),
        trigger=_trigger(row.trigger_price, kind),
        size=size,
        filled=filled,
        average=positive(row.actual_price) if filled else None,
        status=status,
        reduce_only=row.reduce_only,
        position_side=position_side(row.position_side),
        ts_created=row.create_time * MILLISECOND,
        ts_updated=updated,
        origin=origin,
        raw_status=row.algo_status,
    )


def spot_fill(row: SpotTrade, symbol_of: SymbolOf, ts_recv: int) -> Fill:
    """Read one of your spot executions."""
    liquidity: Liquidity = "maker" if row.is_maker else "taker"
    return Fill(
        venue=VENUE_NAME,
        symbol=symbol_of(row.symbol),
        ts_event=row.time * MILLISECOND,
        ts_sent=0,
        ts_recv=ts_recv,
        id=str(row.id),
        order_id=str(row.order_id),
        client_id=None,
        side="buy" if row.is_buyer else "sell",
        price=Decimal(row.price),
        size=Decimal(row.qty),
        fee=amount(row.commission),
        fee_currency=row.commission_asset,
        liquidity=liquidity,
        realized_pnl=None,
        origin="query",
    )


def usdm_fill(row: UsdmTrade, symbol_of: SymbolOf, ts_recv: int) -> Fill:
    """Read one of your executions on USDⓈ-M."""
    liquidity: Liquidity = "maker" if row.maker else "taker"
    return Fill(
        venue=VENUE_NAME,
        symbol=symbol_of(row.symbol),
        ts_event=row.time * MILLISECOND,
        ts_sent=0,
        ts_recv=ts_recv,
        id=str(row.id),
        order_id=str(row.order_id),
        client_id=None,
        side=SIDE_OF[row.side],
        price=Decimal(row.price),
        size=Decimal(row.qty),
        fee=amount(row.commission),
        fee_currency=row.commission_asset,
        liquidity=liquidity,
        realized_pnl=amount(row.realized_pnl),
        origin="query",
    )


def _amount(text: str | None) -> Decimal | None:
    return None if text is None else amount(text)


def _price(text: str | None, kind: OrderKind | None) -> Decimal | None:
    return None if kind is not None and kind not in LIMIT_KINDS else positive(text)


def _trigger(text: str | None, kind: OrderKind | None) -> Decimal | None:
    return positive(text) if kind in CONDITIONAL_KINDS else None


def _tif(word: str, kind: OrderKind | None) -> TimeInForce | None:
    """Return the time in force; market orders carry the word, but it has no meaning there."""
    return None if kind is not None and kind not in LIMIT_KINDS else TIF_OF.get(word)


def _usdm_average(row: UsdmRow, filled: Decimal | None) -> Decimal | None:
    if not filled:
        return None
    given = positive(row.avg_price)
    if given is not None or row.cum_quote is None:
        return given
    return average_price(Decimal(row.cum_quote), filled)


def _filled_of_born(row: AlgoRow) -> Decimal | None:
    """Return what the born order filled; None where the answer does not say, as before it is born."""
    return amount(row.actual_qty) if row.actual_qty else None
