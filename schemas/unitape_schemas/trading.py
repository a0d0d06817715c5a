"""Your own orders, fills, balances and positions. Exact: every amount is a ``Decimal``, a string in JSON."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from unitape_schemas._types import (
    Amount,
    Liquidity,
    MarginMode,
    Nanoseconds,
    OrderKind,
    OrderStatus,
    Origin,
    PositionSide,
    Side,
    TimeInForce,
)
from unitape_schemas.events import EventHead

__all__ = ["Balance", "Fill", "Order", "Position"]


class Order(EventHead, frozen=True, gc=False, tag="order"):
    """The state of one of your orders."""

    id: Annotated[str | None, Meta(description="The venue's order id; None while it has not answered.")]
    client_id: Annotated[str | None, Meta(description="The id given by whoever placed it; None if it has none.")]
    side: Annotated[Side, Meta(description="Your side.")]
    kind: Annotated[OrderKind | None, Meta(description="Kind of order; None where the venue uses another kind.")]
    tif: Annotated[TimeInForce | None, Meta(description="Time in force; None if not given or not applicable.")]
    price: Annotated[Amount | None, Meta(description="Limit price, quote per base; None for market orders.")]
    trigger: Annotated[Amount | None, Meta(description="Trigger price of a conditional order; None otherwise.")]
    size: Annotated[Amount | None, Meta(description="Ordered size, base units; None when ordered by quote cost.")]
    filled: Annotated[Amount | None, Meta(description="Filled size so far, base units; None if not given.")]
    average: Annotated[Amount | None, Meta(description="Average fill price; None while nothing is filled.")]
    status: Annotated[OrderStatus, Meta(description="Unified status; `unknown` keeps the venue's word beside it.")]
    reduce_only: Annotated[bool | None, Meta(description="May only reduce a position; None where it has no meaning.")]
    position_side: Annotated[PositionSide | None, Meta(description="Side of the position in hedge mode, else None.")]
    ts_created: Annotated[Nanoseconds, Meta(description="When the venue accepted it; 0 if not given.")]
    ts_updated: Annotated[Nanoseconds, Meta(description="When the venue last changed it; 0 if not given.")]
    origin: Annotated[Origin, Meta(description="How we learned it.")]
    raw_status: Annotated[str, Meta(description="The venue's own word for the status.")]


class Fill(EventHead, frozen=True, gc=False, tag="fill"):
    """One execution of one of your orders."""

    id: Annotated[str, Meta(description="The venue's trade id.")]
    order_id: Annotated[str, Meta(description="The venue's order id.")]
    client_id: Annotated[str | None, Meta(description="Client id of the order; None if not given.")]
    side: Annotated[Side, Meta(description="Your side.")]
    price: Annotated[Amount, Meta(description="Execution price.")]
    size: Annotated[Amount, Meta(description="Executed size, base units.")]
    fee: Annotated[Amount | None, Meta(description="Fee paid, negative for a rebate; None if not given.")]
    fee_currency: Annotated[str | None, Meta(description="Currency of the fee.")]
    liquidity: Annotated[Liquidity | None, Meta(description="Whether you made or took; None if not given.")]
    realized_pnl: Annotated[Amount | None, Meta(description="Profit realized by this fill; None if not given.")]
    origin: Annotated[Origin, Meta(description="How we learned it.")]


class Balance(EventHead, frozen=True, gc=False, tag="balance"):
    """What you hold of one currency. ``symbol`` is empty."""

    currency: Annotated[str, Meta(description="The venue's name of the currency.")]
    free: Annotated[Amount | None, Meta(description="Free to use; None if not given.")]
    locked: Annotated[Amount | None, Meta(description="Locked in orders; None if not given.")]
    total: Annotated[Amount | None, Meta(description="Free and locked together; None if not given.")]
    market: Annotated[str, Meta(description="The account it belongs to: `spot` or the name of the futures market.")]
    equity: Annotated[Amount | None, Meta(description="Margin account: balance plus unrealized profit.")] = None
    available_margin: Annotated[Amount | None, Meta(description="Margin account: free for new positions.")] = None
    unrealized_pnl: Annotated[Amount | None, Meta(description="Margin account: profit of open positions.")] = None


class Position(EventHead, frozen=True, gc=False, tag="position"):
    """One open position. Size 0 says that it is closed."""

    side: Annotated[PositionSide, Meta(description="Long or short.")]
    size: Annotated[Amount, Meta(description="Size in base units, never negative.")]
    entry: Annotated[Amount | None, Meta(description="Average entry price; None when closed.")]
    mark: Annotated[Amount | None, Meta(description="Mark price; None if not given.")]
    liquidation: Annotated[Amount | None, Meta(description="Liquidation price; None if there is none.")]
    unrealized_pnl: Annotated[Amount | None, Meta(description="Unrealized profit in the margin currency.")]
    leverage: Annotated[Amount | None, Meta(description="Leverage; None if not given.")]
    margin_mode: Annotated[MarginMode | None, Meta(description="Cross or isolated; None if not given.")]
    margin: Annotated[Amount | None, Meta(description="Margin held by it; None if not given.")]
