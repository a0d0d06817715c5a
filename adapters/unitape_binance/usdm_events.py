"""What the account stream of USDⓈ-M says, and the events that it means.

From "User Data Streams", Event: Order Update, Balance and Position Update, Algo Order Update, of the USDⓈ-M futures
(2026-10), with what recordings show besides.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Final, Literal

from msgspec import Meta, Struct

from unitape.spi import MILLISECOND, WireMillis
from unitape_binance.amounts import WireAmount, WireAmountOrEmpty, amount, positive
from unitape_binance.order_rows import AlgoRow, algo_order, position_side
from unitape_binance.readers import VENUE_NAME, SymbolOf
from unitape_binance.words import CONDITIONAL_KINDS, KIND_OF, LIMIT_KINDS, SIDE_OF, STATUS, TIF_OF
from unitape_schemas import Balance, Fill, Liquidity, MarginMode, Order, OrderStatus, Position, PositionSide

__all__ = [
    "AccountUpdate",
    "AlgoUpdate",
    "ConfigUpdate",
    "Notice",
    "OrderUpdate",
    "Sides",
    "balances",
    "conditional_order",
    "order_events",
    "positions",
]

_EXECUTIONS: Final = frozenset({"TRADE", "CALCULATED"})
"""``CALCULATED`` is an execution against the insurance fund or another account, in a liquidation."""
_BY_FILLED: Final = frozenset({"NEW_INSURANCE", "NEW_ADL"})
"""Old words for a liquidation that somebody takes over; how far it has come its sizes say."""

_Name = Annotated[str, Meta(min_length=1)]
_Id = Annotated[int, Meta(ge=0)]


class _OrderState(
    Struct,
    gc=False,
    rename={
        "symbol": "s",
        "client_id": "c",
        "side": "S",
        "type": "o",
        "tif": "f",
        "size": "q",
        "price": "p",
        "average": "ap",
        "trigger": "sp",
        "what": "x",
        "status": "X",
        "order_id": "i",
        "last_size": "l",
        "filled": "z",
        "last_price": "L",
        "fee": "n",
        "fee_asset": "N",
        "ts": "T",
        "trade_id": "t",
        "maker": "m",
        "reduce_only": "R",
        "original_type": "ot",
        "position_side": "ps",
        "realized": "rp",
    },
):
    symbol: _Name
    client_id: str
    side: Literal["BUY", "SELL"]
    type: _Name
    tif: str
    size: WireAmount
    price: WireAmount
    what: _Name
    status: _Name
    order_id: _Id
    last_size: WireAmount
    filled: WireAmount
    last_price: WireAmount
    ts: WireMillis
    trade_id: int
    maker: bool
    reduce_only: bool | None = None
    average: WireAmount | None = None
    trigger: WireAmount | None = None
    fee: WireAmount | None = None
    fee_asset: str | None = None
    original_type: str = ""
    position_side: str = "BOTH"
    realized: WireAmount | None = None


class OrderUpdate(Struct, gc=False, rename={"sent": "E", "ts": "T", "order": "o"}):
    """``ORDER_TRADE_UPDATE``."""

    sent: WireMillis
    ts: WireMillis
    order: _OrderState


class _Wallet(Struct, gc=False, rename={"asset": "a", "wallet": "wb"}):
    asset: _Name
    wallet: WireAmount


class _Held(
    Struct,
    gc=False,
    rename={"symbol": "s", "size": "pa", "entry": "ep", "unrealized": "up", "margin_mode": "mt", "position_side": "ps"},
):
    symbol: _Name
    size: WireAmount
    entry: WireAmount
    unrealized: WireAmount | None = None
    margin_mode: str | None = None
    position_side: str = "BOTH"


class _AccountChange(Struct, gc=False, rename={"reason": "m", "balances": "B", "positions": "P"}):
    reason: str
    balances: tuple[_Wallet, ...] = ()
    positions: tuple[_Held, ...] = ()


class AccountUpdate(Struct, gc=False, rename={"sent": "E", "ts": "T", "change": "a"}):
    """``ACCOUNT_UPDATE``: the assets and positions that changed, as they are now."""

    sent: WireMillis
    ts: WireMillis
    change: _AccountChange


class _AlgoState(
    Struct,
    gc=False,
    rename={
        "client_id": "caid",
        "algo_id": "aid",
        "type": "o",
        "symbol": "s",
        "side": "S",
        "position_side": "ps",
        "tif": "f",
        "size": "q",
        "status": "X",
        "filled": "aq",
        "average": "ap",
        "trigger": "tp",
        "price": "p",
        "reduce_only": "R",
    },
):
    symbol: _Name
    algo_id: _Id
    side: Literal["BUY", "SELL"]
    type: _Name
    status: _Name
    client_id: str = ""
    tif: str = ""
    position_side: str = "BOTH"
    size: WireAmountOrEmpty | None = None
    price: WireAmount | None = None
    trigger: WireAmount | None = None
    filled: WireAmountOrEmpty | None = None
    average: WireAmountOrEmpty | None = None
    reduce_only: bool | None = None


class AlgoUpdate(Struct, gc=False, rename={"sent": "E", "ts": "T", "order": "o"}):
    """``ALGO_UPDATE``."""

    sent: WireMillis
    ts: WireMillis
    order: _AlgoState


class _Leverage(Struct, gc=False, rename={"symbol": "s", "leverage": "l"}):
    symbol: _Name
    leverage: int


class ConfigUpdate(Struct, gc=False, rename={"leverage": "ac"}):
    """``ACCOUNT_CONFIG_UPDATE``: a leverage or, without one, the multi-assets mode."""

    leverage: _Leverage | None = None


class Notice(Struct, gc=False, rename={"sent": "E"}):
    """An event that its name says all about."""

    sent: WireMillis = 0


class Sides:
    """On which side the position of a symbol last was, in one-way mode.

    The venue tells such a position as one signed number, so that nobody says that the old side is closed when it
    changes sides. ``left`` returns the sides that a position is not on, as far as that is news.
    """

    def __init__(self) -> None:
        self._last: dict[str, PositionSide | None] = {}

    def left(self, symbol: str, now: PositionSide | None) -> tuple[PositionSide, ...]:
        """Take note of the side (None: closed), and return the sides to call closed."""
        known = symbol in self._last
        before = self._last.get(symbol)
        self._last[symbol] = now
        if not known:
            return tuple(side for side in _BOTH_SIDES if side != now)
        return () if before is None or before == now else (before,)


_BOTH_SIDES: Final[tuple[PositionSide, ...]] = ("long", "short")


def order_events(row: OrderUpdate, symbol_of: SymbolOf, ts_recv: int) -> tuple[Order, ...] | tuple[Order, Fill]:
    """Return the order as it is now and, if this is an execution, its fill behind it."""
    state = row.order
    symbol = symbol_of(state.symbol)
    ts, sent = row.ts * MILLISECOND, row.sent * MILLISECOND
    kind = KIND_OF["usdm"].get(state.original_type or state.type)
    limit = kind is None or kind in LIMIT_KINDS
    filled = amount(state.filled)
    order = Order(
        venue=VENUE_NAME,
        symbol=symbol,
        ts_event=ts,
        ts_sent=sent,
        ts_recv=ts_recv,
        id=str(state.order_id),
        client_id=state.client_id or None,
        side=SIDE_OF[state.side],
        kind=kind,
        tif=TIF_OF.get(state.tif) if limit else None,
        price=positive(state.price) if limit else None,
        trigger=positive(state.trigger) if kind in CONDITIONAL_KINDS else None,
        size=positive(state.size),
        filled=filled,
        average=positive(state.average) if filled else None,
        status=_status(state),
        reduce_only=state.reduce_only,
        position_side=position_side(state.position_side),
        ts_created=ts if state.what == "NEW" else 0,
        ts_updated=ts,
        origin="stream",
        raw_status=state.status,
    )
    if state.what not in _EXECUTIONS or not positive(state.last_size):
        return (order,)
    liquidity: Liquidity = "maker" if state.maker else "taker"
    fill = Fill(
        venue=VENUE_NAME,
        symbol=symbol,
        ts_event=state.ts * MILLISECOND,
        ts_sent=sent,
        ts_recv=ts_recv,
        id=str(state.trade_id),
        order_id=str(state.order_id),
        client_id=order.client_id,
        side=order.side,
        price=Decimal(state.last_price),
        size=Decimal(state.last_size),
        fee=None if state.fee is None else amount(state.fee),
        fee_currency=state.fee_asset,
        liquidity=liquidity,
        realized_pnl=None if state.realized is None else amount(state.realized),
        origin="stream",
    )
    return (order, fill)


def conditional_order(row: AlgoUpdate, symbol_of: SymbolOf, ts_recv: int) -> Order:
    """Return a conditional order as it is now; ``trigger`` tells it from the order that is born of it.

    The born order has an id of its own and the same client id, and it is the one that has the fills.
    """
    state = row.order
    ts = row.ts
    as_asked = AlgoRow(
        symbol=state.symbol,
        algo_id=state.algo_id,
        side=state.side,
        algo_status=state.status,
        client_algo_id=state.client_id,
        order_type=state.type,
        quantity=state.size,
        price=state.price,
        trigger_price=state.trigger,
        actual_qty=state.filled,
        actual_price=state.average,
        time_in_force=state.tif,
        reduce_only=state.reduce_only,
        position_side=state.position_side,
        create_time=ts if state.status == "NEW" else 0,
        update_time=ts,
    )
    return algo_order(as_asked, symbol_of, "stream", ts_recv, ts_sent=row.sent * MILLISECOND)


def balances(row: AccountUpdate, ts_recv: int) -> list[Balance]:
    """Return the wallets that changed. What of them is free, and equity, is not told here."""
    ts, sent = row.ts * MILLISECOND, row.sent * MILLISECOND
    return [
        Balance(VENUE_NAME, "", ts, sent, ts_recv, held.asset, None, None, amount(held.wallet), "usdm")
        for held in row.change.balances
    ]


def positions(row: AccountUpdate, symbol_of: SymbolOf, sides: Sides, ts_recv: int) -> list[Position]:
    """Return the positions that changed, closed ones with the size 0."""
    found: list[Position] = []
    for held in row.change.positions:
        size = amount(held.size)
        side = position_side(held.position_side)
        if side is not None:
            found.append(_position(row, held, symbol_of, ts_recv, side, abs(size)))
            continue
        now: PositionSide | None = None if not size else "long" if size > 0 else "short"
        nothing = Decimal(0)
        found.extend(_position(row, held, symbol_of, ts_recv, left, nothing) for left in sides.left(held.symbol, now))
        if now is not None:
            found.append(_position(row, held, symbol_of, ts_recv, now, abs(size)))
    return found


def _position(
    row: AccountUpdate, held: _Held, symbol_of: SymbolOf, ts_recv: int, side: PositionSide, size: Decimal
) -> Position:
    mode: MarginMode | None = None
    if held.margin_mode:
        mode = "isolated" if held.margin_mode.lower() == "isolated" else "cross"
    unrealized = None if held.unrealized is None else amount(held.unrealized)
    return Position(
        venue=VENUE_NAME,
        symbol=symbol_of(held.symbol),
        ts_event=row.ts * MILLISECOND,
        ts_sent=row.sent * MILLISECOND,
        ts_recv=ts_recv,
        side=side,
        size=size,
        entry=positive(held.entry) if size else None,
        mark=None,
        liquidation=None,
        unrealized_pnl=unrealized if size else Decimal(0),
        leverage=None,
        margin_mode=mode,
        margin=None,
    )


def _status(state: _OrderState) -> OrderStatus:
    if state.status not in _BY_FILLED:
        return STATUS.get(state.status, "unknown")
    filled = Decimal(state.filled)
    if not filled:
        return "open"
    return "filled" if filled >= Decimal(state.size) else "partially_filled"
