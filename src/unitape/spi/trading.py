"""What a market implements to be traded on: requests as data, signing as a pure function, abilities as a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Literal, Protocol, runtime_checkable

from msgspec import Struct

from unitape.errors import UnitapeError
from unitape.spi.credentials import Credentials
from unitape.spi.http import HttpRequest, Query
from unitape.spi.instruments import Instruments
from unitape.spi.kill import KillSignals
from unitape_schemas import (
    Balance,
    Fill,
    MarginMode,
    Order,
    OrderKind,
    Position,
    PositionSide,
    Side,
    TimeInForce,
)

__all__ = [
    "AccountFlags",
    "Amendment",
    "ClientIdRule",
    "ConditionalHistory",
    "Countdown",
    "NewOrder",
    "OrderRef",
    "PositionMode",
    "Replaced",
    "Replacing",
    "Tradable",
    "Trading",
    "TradingSettings",
    "TradingSpec",
    "TriggerBy",
]

PositionMode = Literal["one_way", "hedge"]
TriggerBy = Literal["last", "mark", "index"]


class NewOrder(Struct, frozen=True):
    """An order to place. Sizes in base units, prices in quote per base, exact. The engine has checked it already."""

    symbol: str
    side: Side
    kind: OrderKind
    client_id: str
    """Made before the request, by the market's ``ClientIdRule``; it is how the order's fate is found."""
    size: Decimal | None = None
    """Base units; None when ``cost`` is given."""
    cost: Decimal | None = None
    """Quote units to spend or receive, market orders only; None when ``size`` is given."""
    price: Decimal | None = None
    """Limit price; None for market kinds."""
    tif: TimeInForce | None = None
    """None: ``gtc`` for limit kinds."""
    trigger: Decimal | None = None
    """Trigger price of ``stop``, ``stop_limit``, ``take_profit`` and ``take_profit_limit``."""
    trigger_by: TriggerBy | None = None
    """Price that is compared with the trigger; None: the venue's default."""
    reduce_only: bool = False
    position_side: PositionSide | None = None
    """The position meant, in hedge mode; None in one-way mode."""
    expires: int | None = None
    """Nanoseconds; with ``tif="gtd"`` only."""
    take_profit: Decimal | None = None
    stop_loss: Decimal | None = None
    """Triggers of attached orders; None: none."""


class OrderRef(Struct, frozen=True):
    """Names one order: by the venue's id or by client id, never both empty."""

    symbol: str
    id: str | None = None
    client_id: str | None = None
    conditional: bool = False
    """True for an order that waits for a trigger, where the venue keeps those apart."""


class Amendment(Struct, frozen=True):
    """New price or size of an open order; None leaves it. ``side`` is needed by venues that ask for it."""

    order: OrderRef
    size: Decimal | None = None
    price: Decimal | None = None
    side: Side | None = None


class AccountFlags(Struct, frozen=True):
    """What the venue says about the key and the account; None where it says nothing."""

    can_trade: bool | None = None
    can_withdraw: bool | None = None
    ip_bound: bool | None = None
    position_mode: PositionMode | None = None
    note: str = ""


class ClientIdRule(Struct, frozen=True):
    """How client ids must look. The engine's own ids keep to lower-case letters, digits and ``-``."""

    max_length: int = 32
    required: bool = False
    repeated: Literal["rejected", "returns_existing", "accepted", "unknown"] = "unknown"
    """What the market does with an id that it has seen."""
    pattern: str = r"[A-Za-z0-9_-]+"


class TradingSpec(Struct, frozen=True):
    """What one market can do. What is not here is refused before any request is sent."""

    kinds: tuple[OrderKind, ...]
    tifs: tuple[TimeInForce, ...]
    client_ids: ClientIdRule
    sides_by_cost: tuple[Side, ...] = ()
    """Sides on which a market order may be given by quote cost."""
    trigger_by: tuple[TriggerBy, ...] = ()
    validate: bool = False
    """Has a request that checks an order without placing it."""
    amend: bool = False
    amend_renames: bool = False
    """A changed order ends as canceled, and another one of another id takes its place."""
    cancel_all: Literal["account", "symbol", "none"] = "symbol"
    """Widest scope of one native request."""
    batch_place: int = 0
    """Most orders in one native request; 0: none."""
    batch_cancel: int = 0
    query_by_client_id: bool = True
    cancel_by_client_id: bool = True
    conditional_client_ids: bool = True
    """False where orders that wait for a trigger bear no client id: they are recognized by what they say."""
    reduce_only: bool = False
    position_modes: tuple[PositionMode, ...] = ()
    """Empty on spot."""
    leverage: bool = False
    margin_modes: tuple[MarginMode, ...] = ()
    close_position: bool = False
    """Has a native request that closes a position; elsewhere a reduce-only market order serves."""
    attached: bool = False
    """Take-profit and stop-loss may be attached to an order."""
    history_needs_symbol: bool = True
    history_span: float = 86_400.0
    """Seconds that one request for order history or fills may span; longer ranges are asked for piece by piece."""
    history_page: int = 100
    """Rows that one such request may ask for."""
    absence_lag: float = 15.0
    """Seconds in which a just placed order may be missing from queries: absence proves nothing before."""
    replace: bool = False
    """Has a request that cancels an order and places another: ``Replacing``."""
    order_transports: tuple[Literal["rest", "websocket"], ...] = ("rest",)
    """Ways that requests may take, see ``TradingOptions.order_transport``."""
    countdown: bool = False
    """Cancels all orders of a symbol by itself unless it is told in time not to: ``Countdown``."""
    kill: KillSignals = KillSignals()
    """What its answers mean to the kill switch."""
    notes: Mapping[str, str] = {}
    """Remarks by ability, for the capability table of the docs."""
    source: str = ""


class TradingSettings(Struct, frozen=True):
    """What the user decides about an account."""

    position_mode: PositionMode = "one_way"
    margin_mode: MarginMode = "cross"
    leverage: int | None = None
    """Sent with orders where the venue wants it there."""
    recv_window: float = 5.0
    """Seconds within which the venue must receive a signed request."""
    options: Mapping[str, str] = {}
    """Further settings that a market documents, for what its sheet leaves uncertain."""


class Trading(Protocol):
    """The private side of one market, as data. What the market lacks raises ``Unsupported``.

    Every request it makes has ``auth="signed"`` (or ``"key"``), and ``write=True`` where it changes something. For a
    write whose answer leaves open whether it was executed, ``read`` raises ``OutcomeUnknown``; the engine adds the
    client id.
    """

    @property
    def spec(self) -> TradingSpec:
        """What this market can do."""
        ...

    def sign(self, request: HttpRequest, credentials: Credentials, ts: int) -> HttpRequest:
        """Return the request as it must be sent: signed over exactly these bytes. ``ts`` is the venue's time in ns."""
        ...

    def place(self, order: NewOrder) -> Query[Order]:
        """Place one order. The result is what the answer tells; fields it leaves out come from the request."""
        ...

    def validate(self, order: NewOrder) -> Query[None]:
        """Have the venue check an order without placing it."""
        ...

    def place_many(self, orders: Sequence[NewOrder]) -> Query[list[Order | UnitapeError]]:
        """Place up to ``spec.batch_place`` orders; one result each, in their order."""
        ...

    def cancel(self, order: OrderRef) -> Query[Order | None]:
        """Cancel one order; None where the answer only acknowledges."""
        ...

    def cancel_many(self, orders: Sequence[OrderRef]) -> Query[list[Order | UnitapeError | None]]:
        """Cancel up to ``spec.batch_cancel`` orders of one symbol; one result each, in their order."""
        ...

    def cancel_all(self, symbol: str | None) -> Query[list[Order]]:
        """Cancel all of a symbol, or of the account with None; empty where the answer only acknowledges."""
        ...

    def cancel_all_conditional(self, symbol: str | None) -> Query[list[Order]] | None:
        """The same for conditional orders where the venue keeps those apart; None elsewhere."""
        ...

    def amend(self, change: Amendment) -> Query[Order]:
        """Change price or size of an open order."""
        ...

    def order(self, order: OrderRef) -> Query[Order]:
        """Ask for one order. Raises ``OrderNotFound`` while reading if the venue does not know it."""
        ...

    def open_orders(self, symbol: str | None = None) -> Query[list[Order]]:
        """Ask for open orders."""
        ...

    def open_conditional(self, symbol: str | None = None) -> Query[list[Order]] | None:
        """The same for conditional orders where the venue keeps those apart; None elsewhere."""
        ...

    def order_history(
        self, symbol: str | None, *, start: int | None = None, end: int | None = None, limit: int | None = None
    ) -> Query[list[Order]]:
        """Ask for orders of a time range, nanoseconds, oldest first; without bounds the newest."""
        ...

    def fills(
        self,
        symbol: str | None,
        *,
        order_id: str | None = None,
        start: int | None = None,
        end: int | None = None,
        limit: int | None = None,
    ) -> Query[list[Fill]]:
        """Ask for your executions, oldest first; of one order if ``order_id`` is given."""
        ...

    def balances(self) -> Query[list[Balance]]:
        """Ask for what you hold."""
        ...

    def positions(self, symbol: str | None = None) -> Query[list[Position]]:
        """Ask for open positions; spot markets have none and raise ``Unsupported``."""
        ...

    def set_leverage(self, symbol: str, leverage: int) -> Query[None]:
        """Set the leverage of a symbol."""
        ...

    def set_margin_mode(self, symbol: str, mode: MarginMode) -> Query[None]:
        """Set the margin mode of a symbol; already set counts as success."""
        ...

    def set_position_mode(self, mode: PositionMode) -> Query[None]:
        """Set the position mode of the account; already set counts as success."""
        ...

    def close_position(self, symbol: str, side: PositionSide) -> Query[None]:
        """Close a position natively (``spec.close_position``)."""
        ...

    def account_flags(self) -> Query[AccountFlags]:
        """Ask what the key may do."""
        ...


class Replaced(Struct, frozen=True):
    """What became of a request to cancel one order and place another."""

    old: Order | None
    """The order that was to go, as it is now; None: it could not be found out."""
    new: Order | UnitapeError
    """The new order. An error: the old order is gone, and this is why no new one stands."""

    @property
    def ok(self) -> bool:
        """True when the new order was accepted."""
        return isinstance(self.new, Order)


@runtime_checkable
class Replacing(Protocol):
    """A ``Trading`` whose venue cancels and places in one request (``spec.replace``)."""

    def replace(self, old: OrderRef, new: NewOrder) -> Query[Replaced]:
        """Cancel an order and, only if that succeeds, place another of the same symbol.

        Reading raises the cancel's error where that failed: nothing has changed then.
        """
        ...


@runtime_checkable
class Countdown(Protocol):
    """A ``Trading`` whose venue has a dead-man switch (``spec.countdown``)."""

    def countdown(self, symbol: str, seconds: float) -> Query[None]:
        """Have the venue cancel all orders of a symbol in so many seconds; 0 calls that off. A write."""
        ...


@runtime_checkable
class ConditionalHistory(Protocol):
    """A market that keeps the history of conditional orders apart."""

    def conditional_history(
        self, symbol: str | None, *, start: int | None = None, end: int | None = None, limit: int | None = None
    ) -> Query[list[Order]]:
        """Ask for conditional orders of a time range, nanoseconds, oldest first; those that wait may be among them."""
        ...


@runtime_checkable
class Tradable(Protocol):
    """A market that can be traded on. A market without this method serves data only."""

    def trading(self, instruments: Instruments, settings: TradingSettings) -> Trading:
        """Return the private side, which knows the instruments and what the user decided."""
        ...
