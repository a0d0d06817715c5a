"""From the order, plan and execution rows of futures to ``Order`` and ``Fill``, contracts in base units."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Generic, TypeVar

from msgspec import Meta, Struct

from unitape.spi import MILLISECOND, Instruments, NewOrder, PositionMode, WireMillis
from unitape_mexc.amounts import base_units, number, number_or_none, positive
from unitape_mexc.bodies import VENUE
from unitape_mexc.words import (
    CONDITIONAL_KINDS,
    FUTURES_STATUS_OF,
    FUTURES_TIF_OF,
    LIMIT_KINDS,
    MARKET_TYPES,
    ORDER_REASONS,
    PLAN_KINDS,
    PLAN_STATUS_OF,
    POSITION_MODES,
    POSITION_OF_SIDE,
    REDUCING,
    SIDE_OF_CODE,
)
from unitape_schemas import Fill, Instrument, Liquidity, Order, OrderKind, OrderStatus, PositionSide

__all__ = [
    "Created",
    "FuturesReader",
    "FuturesRow",
    "FuturesTrade",
    "Page",
    "PlanRow",
    "accepted_futures",
]

T = TypeVar("T")

_Name = Annotated[str, Meta(min_length=1)]
_Id = _Name | Annotated[int, Meta(ge=1)]
_Code = Annotated[int, Meta(ge=0, le=1000)]
_HEDGE = POSITION_MODES["hedge"]


class Page(Struct, Generic[T], gc=False, rename="camel"):
    """How some lists come; others are plain arrays."""

    result_list: list[T] | None = None
    total_count: int | None = None


class Created(Struct, gc=False, rename="camel"):
    """What the answer to a new order holds; the older path gives the bare id."""

    order_id: _Id
    ts: WireMillis = 0


class FuturesRow(Struct, gc=False, rename="camel"):
    """An order, in contracts."""

    order_id: _Id
    symbol: _Name
    side: _Code
    order_type: _Code
    state: _Code
    vol: Decimal
    deal_vol: Decimal | None = None
    price: Decimal | None = None
    deal_avg_price: Decimal | None = None
    external_oid: str | None = None
    error_code: int | None = None
    position_mode: int | None = None
    reduce_only: bool | None = None
    create_time: WireMillis | None = None
    update_time: WireMillis | None = None


class PlanRow(Struct, gc=False, rename="camel"):
    """A conditional order, in contracts. ``orderId`` is the order that it has sent, 0 before."""

    id: _Id
    symbol: _Name
    side: _Code
    trigger_type: _Code
    state: _Code
    vol: Decimal
    trigger_price: Decimal
    order_type: _Code = MARKET_TYPES[0]
    price: Decimal | None = None
    error_code: int | None = None
    position_mode: int | None = None
    reduce_only: bool | None = None
    create_time: WireMillis | None = None
    update_time: WireMillis | None = None


class FuturesTrade(Struct, gc=False, rename="camel"):
    """One of your executions, in contracts."""

    id: _Id
    symbol: _Name
    side: _Code
    vol: Decimal
    price: Decimal
    order_id: _Id
    timestamp: WireMillis
    fee: Decimal | None = None
    fee_currency: str | None = None
    profit: Decimal | None = None
    taker: bool | None = None
    is_taker: bool | None = None
    external_oid: str | None = None


def accepted_futures(number_of_order: str, order: NewOrder, ts: int, ts_recv: int) -> Order:
    """Return what the answer to a new order says: that there is one. The rest is what was asked for.

    ``ts`` is when the venue made it, 0 where it does not say. A plan order keeps the client id here only: the venue
    is not told it.
    """
    return Order(
        venue=VENUE,
        symbol=order.symbol,
        ts_event=ts,
        ts_sent=0,
        ts_recv=ts_recv,
        id=number_of_order,
        client_id=order.client_id,
        side=order.side,
        kind=order.kind,
        tif=(order.tif or "gtc") if order.kind in LIMIT_KINDS else None,
        price=order.price,
        trigger=order.trigger,
        size=order.size,
        filled=None,
        average=None,
        status="open" if order.kind in CONDITIONAL_KINDS else "pending",
        reduce_only=order.reduce_only,
        position_side=order.position_side,
        ts_created=ts,
        ts_updated=ts,
        origin="answer",
        raw_status="",
    )


class FuturesReader:
    """Reads rows of one account: what they leave out about the position mode comes from its settings."""

    def __init__(self, instruments: Instruments, mode: PositionMode) -> None:
        self._instruments = instruments
        self._mode = POSITION_MODES[mode]

    def order(self, row: FuturesRow, ts_recv: int) -> Order:
        """Read an order."""
        instrument = self._instrument(row.symbol)
        market = row.order_type in MARKET_TYPES
        tif = FUTURES_TIF_OF.get(row.order_type)
        kind: OrderKind | None = "market" if market else None if tif is None else "limit"
        filled = None if row.deal_vol is None else base_units(row.deal_vol, instrument)
        closing, position = self._effect(row.side, row.position_mode, row.reduce_only)
        return Order(
            venue=VENUE,
            symbol=instrument.symbol,
            ts_event=_nanos(row.update_time or row.create_time),
            ts_sent=0,
            ts_recv=ts_recv,
            id=str(row.order_id),
            client_id=row.external_oid or None,
            side=SIDE_OF_CODE[row.side],
            kind=kind,
            tif=tif,
            # A market order shows the price that protects it.
            price=None if market else positive(row.price),
            trigger=None,
            size=base_units(row.vol, instrument),
            filled=filled,
            average=positive(row.deal_avg_price) if filled else None,
            status=_status(row.state, filled),
            reduce_only=closing,
            position_side=position,
            ts_created=_nanos(row.create_time),
            ts_updated=_nanos(row.update_time),
            origin="query",
            raw_status=_word(row.state, row.error_code),
        )

    def plan(self, row: PlanRow, ts_recv: int) -> Order:
        """Read a conditional order."""
        instrument = self._instrument(row.symbol)
        side = SIDE_OF_CODE[row.side]
        market = row.order_type in MARKET_TYPES
        kinds = PLAN_KINDS.get((side, row.trigger_type))
        closing, position = self._effect(row.side, row.position_mode, row.reduce_only)
        return Order(
            venue=VENUE,
            symbol=instrument.symbol,
            ts_event=_nanos(row.update_time or row.create_time),
            ts_sent=0,
            ts_recv=ts_recv,
            id=str(row.id),
            client_id=None,
            side=side,
            kind=None if kinds is None else kinds[0] if market else kinds[1],
            tif=None if market else FUTURES_TIF_OF.get(row.order_type),
            price=None if market else positive(row.price),
            trigger=number(row.trigger_price),
            size=base_units(row.vol, instrument),
            filled=None,
            average=None,
            status=PLAN_STATUS_OF.get(row.state, "unknown"),
            reduce_only=closing,
            position_side=position,
            ts_created=_nanos(row.create_time),
            ts_updated=_nanos(row.update_time),
            origin="query",
            raw_status=_word(row.state, row.error_code),
        )

    def fill(self, row: FuturesTrade, ts_recv: int) -> Fill:
        """Read one of your executions."""
        instrument = self._instrument(row.symbol)
        taker = row.taker if row.taker is not None else row.is_taker
        liquidity: Liquidity | None = None if taker is None else "taker" if taker else "maker"
        return Fill(
            venue=VENUE,
            symbol=instrument.symbol,
            ts_event=row.timestamp * MILLISECOND,
            ts_sent=0,
            ts_recv=ts_recv,
            id=str(row.id),
            order_id=str(row.order_id),
            client_id=row.external_oid or None,
            side=SIDE_OF_CODE[row.side],
            price=number(row.price),
            size=base_units(row.vol, instrument),
            fee=number_or_none(row.fee),
            fee_currency=row.fee_currency or None,
            liquidity=liquidity,
            realized_pnl=number_or_none(row.profit),
            origin="query",
        )

    def _instrument(self, raw: str) -> Instrument:
        found = self._instruments.get_raw(raw)
        if found is None:
            raise ValueError(f"the contract size of {raw} is not known, so its sizes mean nothing")
        return found

    def _effect(self, side: int, mode: int | None, reduce_only: bool | None) -> tuple[bool, PositionSide | None]:
        """Return whether an order only reduces, and the position it means in hedge mode."""
        if (mode or self._mode) == _HEDGE:
            return side in REDUCING, POSITION_OF_SIDE[side]
        return side in REDUCING or reduce_only is True, None


def _status(state: int, filled: Decimal | None) -> OrderStatus:
    if filled and state in (1, 2):
        return "partially_filled"
    if filled and state == 5:
        return "canceled"
    return FUTURES_STATUS_OF.get(state, "unknown")


def _word(state: int, error_code: int | None) -> str:
    """Return the state and, where there is one, what ended the order: ``4 post_only_cancel``."""
    if not error_code:
        return str(state)
    return f"{state} {ORDER_REASONS.get(error_code, error_code)}"


def _nanos(millis: int | None) -> int:
    return (millis or 0) * MILLISECOND
