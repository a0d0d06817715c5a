"""What a user asks for, and what became of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from msgspec import Struct

from unitape.errors import UnitapeError
from unitape.guards.kill import KillRules
from unitape.guards.limits import RiskLimits
from unitape.spi import OrderRef, TriggerBy
from unitape.trade.numbers import Number
from unitape_schemas import Order, OrderKind, PositionSide, Side, TimeInForce

__all__ = ["CancelAllResult", "OrderRequest", "TradingOptions", "as_ref"]


class OrderRequest(Struct, frozen=True, kw_only=True):
    """An order as a user words it. Numbers are ``Decimal``, ``int`` or ``str``, never ``float``."""

    symbol: str
    side: Side
    kind: OrderKind = "limit"
    size: Number | None = None
    """Base units, on every market; never contracts."""
    cost: Number | None = None
    """Quote units instead of a size, for market orders where the market takes them so."""
    price: Number | None = None
    """Quote per base. It is never rounded."""
    tif: TimeInForce | None = None
    trigger: Number | None = None
    trigger_by: TriggerBy | None = None
    reduce_only: bool = False
    position_side: PositionSide | None = None
    """The position meant, in hedge mode."""
    expires: int | None = None
    """Nanoseconds since 1970, with ``tif="gtd"``."""
    client_id: str | None = None
    """None: one is made."""
    round_size: bool = False
    """Round the size down to the instrument's step instead of refusing it."""
    take_profit: Number | None = None
    stop_loss: Number | None = None
    """Triggers of attached orders."""


class TradingOptions(Struct, frozen=True):
    """How an adapter sends orders."""

    dry_run: bool = False
    """Check everything, risk limits and kill switch included, and send nothing that changes something: ``place``
    returns the order as ``pending``, every other write is refused with ``ConfigError``. Questions are asked."""
    when_limited: Literal["wait", "refuse"] = "wait"
    """What a new order does when a rate budget is used up. Cancels may use what is left of it, then they wait."""
    order_transport: Literal["rest", "websocket"] = "rest"
    """``websocket``: requests go over a WebSocket kept open, where the market has one that takes them
    (``TradingSpec.order_transports``); what it does not take, and everything while it is not connected, goes over
    HTTP."""
    timeout: float = 10.0
    """Seconds until a request without answer counts as lost."""
    read_attempts: int = 3
    """How often a question is asked at most. What changes something is never asked twice."""
    clock_bound: float = 0.5
    """Seconds by which the venue's clock may be uncertain; beyond it nothing signed is sent."""
    clock_refresh: float = 240.0
    """Seconds after which the venue's clock is measured again."""
    client_id_prefix: str = "ut"
    resolve_within: float = 60.0
    """Seconds in which the fate of a write whose answer was lost is looked for before ``OutcomeUnknown`` is raised; 0
    raises at once. An order is looked for in either case until its fate is known."""
    reconcile_every: float = 300.0
    """Seconds between comparisons of a private stream with the venue's queries."""
    risk: RiskLimits | None = None
    """What orders may bring at most; None: no limits."""
    kill: KillRules = KillRules()
    """When the venue's answers halt trading."""


class CancelAllResult(Struct, frozen=True):
    """What ``cancel_all`` did on one market."""

    market: str
    native: bool
    """True when the venue canceled all in one request; False when orders were found and canceled symbol by symbol or
    one by one: an order placed meanwhile by somebody else may have escaped."""
    orders: tuple[Order, ...] = ()
    """The canceled orders, as far as the venue names them."""
    failures: Mapping[str, UnitapeError] = {}
    """What could not be canceled: by symbol, by order id, or by ``*`` for the whole market; by ``open_orders`` where
    that was refused and it is not known which symbols there are."""

    @property
    def ok(self) -> bool:
        """True when nothing failed."""
        return not self.failures


def as_ref(order: Order | OrderRef) -> OrderRef:
    """Return what names an order."""
    if isinstance(order, OrderRef):
        return order
    return OrderRef(order.symbol, order.id, order.client_id, conditional=order.trigger is not None)
