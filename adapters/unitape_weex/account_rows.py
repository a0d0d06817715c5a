"""Messages of the private sockets: their rows, and what each says of orders, executions, balances and positions.

From "Private channels" of API documentation V3 for spot and contracts (2026-07). In rows all numbers and times are
strings. A conditional order reads as it does by HTTP: what it filled is told of the order that it became.

Executions carry what they were worth instead of a price. Price is value over size: exact where that quotient has up to
twenty significant digits, otherwise rounded half even to twenty.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Final, TypeAlias

from msgspec import Meta, Struct, field, structs
from msgspec import json as msgspec_json

from unitape.spi import MILLISECOND, Instruments, WireMillis
from unitape_schemas import Balance, Fill, Liquidity, MarginMode, Order, Position
from unitape_weex.amounts import amount, average_price, positive
from unitape_weex.order_rows import (
    AlgoRow,
    ContractOrderRow,
    SpotOrderRow,
    algo_order,
    contract_order,
    spot_order,
)
from unitape_weex.wire import VENUE
from unitape_weex.words import KIND_OF, MARGIN_WORDS, POSITION_SIDE_OF, SIDE_OF, TRIGGER_KINDS

__all__ = [
    "ContractPush",
    "FillsPush",
    "MarginPush",
    "OrdersPush",
    "PositionsPush",
    "SpotAccountPush",
    "SpotPush",
    "contract_push",
    "read_balance",
    "read_fill",
    "read_order",
    "read_position",
    "spot_push",
]

_Name: TypeAlias = Annotated[str, Meta(min_length=1)]
_Id: TypeAlias = Annotated[int, Meta(ge=1)] | Annotated[str, Meta(pattern=r"^[1-9][0-9]{0,29}\Z")]
_MS: Final = MILLISECOND
_MODES: Final[dict[str, MarginMode]] = {word: mode for mode, word in MARGIN_WORDS.items()}
_LIQUIDITY: Final[dict[str, Liquidity]] = {"MAKER": "maker", "TAKER": "taker"}


class OrderPush(Struct, gc=False, rename="camel"):
    """An order. Spot has no position side; its size is 0 where the order was given by value."""

    id: _Id
    symbol: _Name
    order_side: _Name
    type: _Name
    status: _Name
    client_order_id: str | None = None
    position_side: str | None = None
    price: Decimal | None = None
    size: Decimal | None = None
    trigger_price: Decimal | None = None
    reduce_only: bool | None = None
    time_in_force: str | None = None
    cum_fill_size: Decimal | None = None
    cum_fill_value: Decimal | None = None
    created_time: WireMillis = 0
    updated_time: WireMillis | None = None


class FillPush(Struct, gc=False, rename="camel"):
    """An execution. Contracts name the fee's currency; on spot it is the one received."""

    id: _Id
    symbol: _Name
    order_id: _Id
    order_side: _Name
    fill_size: Decimal
    fill_value: Decimal
    created_time: WireMillis
    coin: str | None = None
    base_coin: str | None = None
    quote_coin: str | None = None
    fill_fee: Decimal | None = None
    realize_pnl: Decimal | None = None
    direction: str | None = None


class SpotBalancePush(Struct, gc=False):
    """What you hold of one coin."""

    coin: _Name
    equity: Decimal
    available: Decimal
    frozen: Decimal


class MarginRow(Struct, gc=False):
    """One coin of the margin account: sums of all that ever happened, but not what is available."""

    coin: _Name


class PositionPush(Struct, gc=False, rename="camel"):
    """A position. Its value over its size is the entry price."""

    symbol: _Name
    side: str
    size: Decimal
    open_value: Decimal
    separated_mode: str | None = None
    leverage: Decimal | None = None
    margin_mode: str | None = None
    updated_time: WireMillis = 0


class _Push(Struct, gc=False, tag_field="e"):
    sent: WireMillis = field(name="E", default=0)
    version: int | None = field(name="v", default=None)
    cause: str = field(name="msgEvent", default="")


class OrdersPush(_Push, gc=False, tag="orders", kw_only=True):
    """Orders that changed."""

    rows: tuple[OrderPush, ...] = field(name="d")


class FillsPush(_Push, gc=False, tag="fill", kw_only=True):
    """New executions."""

    rows: tuple[FillPush, ...] = field(name="d")


class SpotAccountPush(_Push, gc=False, tag="account", kw_only=True):
    """Balances that changed."""

    rows: tuple[SpotBalancePush, ...] = field(name="d")


class MarginPush(_Push, gc=False, tag="account", kw_only=True):
    """Coins of the margin account that changed."""

    rows: tuple[MarginRow, ...] = field(name="d")


class PositionsPush(_Push, gc=False, tag="positions", kw_only=True):
    """Positions that changed."""

    rows: tuple[PositionPush, ...] = field(name="d")


SpotPush: TypeAlias = OrdersPush | FillsPush | SpotAccountPush
ContractPush: TypeAlias = OrdersPush | FillsPush | MarginPush | PositionsPush

spot_push: Final = msgspec_json.Decoder(SpotPush, strict=False).decode
contract_push: Final = msgspec_json.Decoder(ContractPush, strict=False).decode


def read_order(row: OrderPush, instruments: Instruments, sent: int, ts_recv: int, *, linear: bool) -> Order:
    """Read an order. ``sent`` is nanoseconds.

    Raises:
        ValueError: a word or number that cannot be.
    """
    if linear:
        order = _conditional(row, instruments, ts_recv) or _contract_order(row, instruments, ts_recv)
    else:
        order = _spot_order(row, instruments, ts_recv)
    return structs.replace(order, ts_sent=sent)


def _spot_order(row: OrderPush, instruments: Instruments, ts_recv: int) -> Order:
    told = SpotOrderRow(
        symbol=row.symbol,
        order_id=row.id,
        side=row.order_side,
        type=row.type,
        status=row.status,
        client_order_id=row.client_order_id,
        price=row.price,
        orig_qty=row.size,
        executed_qty=row.cum_fill_size,
        cummulative_quote_qty=row.cum_fill_value,
        time_in_force=row.time_in_force,
        time=row.created_time,
        update_time=row.updated_time,
    )
    order = spot_order(told, instruments, "stream", ts_recv)
    # Only the venue's own pages make conditional orders of spot, and no query knows their trigger.
    if order.kind in TRIGGER_KINDS:
        return structs.replace(order, trigger=positive(row.trigger_price))
    return order


def _contract_order(row: OrderPush, instruments: Instruments, ts_recv: int) -> Order:
    told = ContractOrderRow(
        symbol=row.symbol,
        order_id=row.id,
        side=row.order_side,
        type=row.type,
        status=row.status,
        client_order_id=row.client_order_id,
        position_side=row.position_side,
        price=row.price,
        stop_price=row.trigger_price,
        orig_qty=row.size,
        executed_qty=row.cum_fill_size,
        cum_quote=row.cum_fill_value,
        reduce_only=row.reduce_only,
        time_in_force=row.time_in_force,
        time=row.created_time,
        update_time=row.updated_time,
    )
    return contract_order(told, instruments, "stream", ts_recv)


def _conditional(row: OrderPush, instruments: Instruments, ts_recv: int) -> Order | None:
    """Return a conditional order that tells of no fills of its own; None for every other one."""
    if KIND_OF.get(row.type.upper()) not in TRIGGER_KINDS or positive(row.cum_fill_size) is not None:
        return None
    told = AlgoRow(
        symbol=row.symbol,
        algo_id=row.id,
        side=row.order_side,
        order_type=row.type,
        algo_status=row.status,
        client_algo_id=row.client_order_id,
        position_side=row.position_side,
        quantity=row.size,
        price=row.price,
        trigger_price=row.trigger_price,
        reduce_only=row.reduce_only,
        time_in_force=row.time_in_force,
        create_time=row.created_time,
        update_time=row.updated_time,
    )
    return algo_order(told, instruments, "stream", ts_recv)


def read_fill(row: FillPush, instruments: Instruments, sent: int, ts_recv: int) -> Fill:
    """Read an execution. ``sent`` is nanoseconds.

    Raises:
        ValueError: a word or number that cannot be.
    """
    side = SIDE_OF.get(row.order_side.upper())
    if side is None:
        raise ValueError(f"{row.order_side!r} is no side")
    size = amount(row.fill_size)
    price = average_price(amount(row.fill_value), size)
    if price is None:
        raise ValueError(f"an execution of {size} worth {row.fill_value}")
    received = row.base_coin if side == "buy" else row.quote_coin
    return Fill(
        venue=VENUE,
        symbol=instruments.symbol(row.symbol),
        ts_event=row.created_time * _MS,
        ts_sent=sent,
        ts_recv=ts_recv,
        id=str(row.id),
        order_id=str(row.order_id),
        client_id=None,
        side=side,
        price=price,
        size=size,
        fee=None if row.fill_fee is None else amount(row.fill_fee),
        fee_currency=row.coin or received or None,
        liquidity=_LIQUIDITY.get((row.direction or "").upper()),
        realized_pnl=None if row.realize_pnl is None else amount(row.realize_pnl),
        origin="stream",
    )


def read_balance(row: SpotBalancePush, sent: int, ts_recv: int) -> Balance:
    """Read what you hold of one coin of spot. ``sent`` is nanoseconds; the venue does not say since when.

    Raises:
        ValueError: a number that cannot be.
    """
    return Balance(
        VENUE, "", 0, sent, ts_recv,
        currency=row.coin,
        free=amount(row.available),
        locked=amount(row.frozen),
        total=amount(row.equity),
        market="spot",
    )  # fmt: skip


def read_position(row: PositionPush, instruments: Instruments, sent: int, ts_recv: int) -> Position | None:
    """Read a position. ``sent`` is nanoseconds. Mark, liquidation and margin are told by HTTP only.

    None where one message does not tell how the position of its side stands: the side is unknown, or the account keeps
    a position in parts of which this is one.

    Raises:
        ValueError: a number that cannot be.
    """
    side = POSITION_SIDE_OF.get(row.side.upper())
    if side is None or (row.separated_mode or "").upper() == "SEPARATED":
        return None
    size = amount(row.size)
    if size < 0:
        raise ValueError(f"a position of {size}")
    return Position(
        venue=VENUE,
        symbol=instruments.symbol(row.symbol),
        ts_event=row.updated_time * _MS,
        ts_sent=sent,
        ts_recv=ts_recv,
        side=side,
        size=size,
        entry=average_price(amount(row.open_value), size),
        mark=None,
        liquidation=None,
        unrealized_pnl=None,
        leverage=positive(row.leverage),
        margin_mode=_MODES.get((row.margin_mode or "").upper()),
        margin=None,
    )
