"""The trading side of a simulated market: users, their orders and what they own, as a face sees it.

Prices are in ticks, sizes in lots, ``amount`` in ticks × lots. Money is in units of 1e-8 of its currency, named
``…_e8``; every such number is exact, because fees are rounded up to 1e-8 when they are charged, as venues do.
``unitape.spi.simulation.fixed(value, 8)`` writes one as a decimal. Times are nanoseconds of the venue's wall clock.

A call that the market refuses returns a ``SimReject`` whose reason a face puts into its venue's words. A face that
cannot turn a text into ticks or lots (``SimInstrument.ticks``, ``lots``) makes the ``tick`` and ``step`` ones itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, Protocol, TypeAlias

from msgspec import Struct

from unitape_schemas import Liquidity, MarginMode, OrderKind, PositionSide, Side, TimeInForce

__all__ = [
    "AccountEvent",
    "AccountRules",
    "Accounts",
    "BalanceChanged",
    "EndReason",
    "FillMade",
    "LedgerEntry",
    "LedgerKind",
    "OrderChanged",
    "Permission",
    "PositionChanged",
    "RejectReason",
    "SimAmendment",
    "SimBalance",
    "SimFill",
    "SimOrder",
    "SimOrderRequest",
    "SimOrderStatus",
    "SimPosition",
    "SimReject",
    "SimUser",
    "SymbolSettings",
    "TriggerPrice",
]

Permission: TypeAlias = Literal["read", "trade", "withdraw"]
TriggerPrice: TypeAlias = Literal["last", "mark", "index"]

RejectReason: TypeAlias = Literal[
    "unknown_symbol",
    "market_closed",
    "not_permitted",
    "bad_request",
    "tick",
    "step",
    "min_size",
    "max_size",
    "min_notional",
    "price_band",
    "duplicate_client_id",
    "insufficient_funds",
    "post_only_would_cross",
    "no_liquidity",
    "reduce_only",
    "position_side",
    "would_trigger_immediately",
    "too_many_orders",
    "order_not_found",
    "order_closed",
    "nothing_to_cancel",
    "leverage",
    "unchanged",
    "in_use",
]
"""Why a call is refused.

``bad_request``: fields that do not go together. ``position_side``: it does not fit the position mode.
``reduce_only``: there is no position that the order could reduce. ``order_closed``: known, but no longer open.
``unchanged``: the setting stands so already. ``in_use``: open orders or positions forbid changing it.
"""

SimOrderStatus: TypeAlias = Literal[
    "waiting", "triggered", "open", "partially_filled", "filled", "canceled", "expired", "rejected"
]
"""``waiting`` for its trigger; ``triggered``: another order (``child``) took over; ``canceled`` by its user;
``expired`` by a rule of the market; ``rejected`` when its trigger struck and it could not be placed."""

EndReason: TypeAlias = Literal["", "user", "ioc", "fok", "market_remainder", "post_only", "reduce_only", "gtd"]
"""What ended an order that was not filled in full; empty for all others."""

LedgerKind: TypeAlias = Literal["deposit", "trade", "fee", "realized_pnl", "funding"]


class SimUser(Struct, frozen=True):
    """Somebody with an account on a simulated market, and the key that signs for it."""

    name: str
    key: str
    secret: str
    passphrase: str = ""
    permissions: tuple[Permission, ...] = ("read", "trade")
    ip_bound: bool = True
    balances: Mapping[str, str] = {}
    """Starting balances by currency, as decimals of up to 8 places."""


class AccountRules(Struct, frozen=True):
    """What a venue's market allows; its face sets them with ``Accounts.configure``."""

    maker_e8: int = 20_000
    """Fee rate of a maker in units of 1e-8: 20000 is 0.02 %. Negative: a rebate."""
    taker_e8: int = 50_000
    min_lots: int = 1
    max_lots: int = 900_000_000
    max_market_lots: int | None = None
    """None: as ``max_lots``."""
    min_notional_e8: int = 5 * 10**8
    notional_on_reduce: bool = False
    """Whether orders that only reduce a position must reach ``min_notional_e8``, too."""
    band_e8: tuple[int, int] | None = None
    """A limit price may stand off the last price (the mark price on perpetuals) by the factors (lowest, highest), in
    units of 1e-8: (95000000, 105000000) is ± 5 %; a buy is bound by the highest, a sell by the lowest. None: free."""
    max_open: int = 200
    """Most open orders per symbol."""
    max_waiting: int = 100
    """Most waiting conditional orders per symbol."""
    client_ids: Literal["rejected", "returns_existing", "accepted"] = "rejected"
    """What happens to a client id that the user has used."""
    client_id_scope: Literal["open", "all"] = "open"
    """Which of the user's orders it is compared with. Conditional orders are apart if ``new_order`` is."""
    post_only: Literal["rejected", "expired"] = "rejected"
    """Whether a post-only order that would take is refused, or accepted and at once expired."""
    reduce_only_excess: Literal["rejected", "reduced"] = "reduced"
    """Whether an order that reduces more than there is gets refused, or its size cut."""
    closing_freezes: bool = False
    """Whether open orders that close a position take their part of it away from later ones. Otherwise a later one
    comes in, and those filled last are expired when together they close more than there is."""
    triggered: Literal["same_order", "new_order"] = "same_order"
    """Whether a conditional order goes on under its own id when triggered, or sends another order."""
    lock_waiting: bool = True
    """Whether waiting conditional orders of spot markets lock funds. Those of perpetuals never do."""
    immediate_trigger: Literal["rejected", "executed"] = "rejected"
    """What happens when the trigger has been reached before the order comes in."""
    max_leverage: int = 125
    default_leverage: int = 20
    default_margin_mode: MarginMode = "cross"
    default_position_mode: Literal["one_way", "hedge"] = "one_way"
    maintenance_e8: int = 400_000
    """Maintenance margin rate, for liquidation prices."""


class SimOrderRequest(Struct, frozen=True):
    """An order as it comes in.

    The size is ``size``, or ``quote_amount_e8`` (spot market orders), or with ``close_position`` the whole position.
    """

    symbol: str
    side: Side
    kind: OrderKind
    size: int | None = None
    quote_amount_e8: int | None = None
    close_position: bool = False
    """Close the position that ``side`` closes, as large as it is when the order comes in or its trigger strikes."""
    price: int | None = None
    """Limit price; None for market kinds."""
    tif: TimeInForce | None = None
    """None: ``gtc`` for limit kinds."""
    client_id: str | None = None
    reduce_only: bool = False
    position_side: PositionSide | None = None
    """In hedge mode the position meant; None in one-way mode."""
    trigger: int | None = None
    """Ticks. ``stop``: a buy triggers at or above it, a sell at or below; ``take_profit``: the other way round."""
    trigger_by: TriggerPrice = "last"
    expires: int | None = None
    """With ``gtd`` only."""
    take_profit: int | None = None
    stop_loss: int | None = None
    """Triggers, in ticks, of market orders that close what this order opens on a perpetual. They start to wait when it
    is filled or ends, for the size that was filled, with it as ``parent``; neither ends the other."""
    attached_by: TriggerPrice = "last"


class SimAmendment(Struct, frozen=True):
    """New price or total size of an open order; None leaves it."""

    price: int | None = None
    size: int | None = None


class SimOrder(Struct, frozen=True):
    """An order as it stands now."""

    id: int
    """Grows over all orders of the market."""
    user: str
    symbol: str
    client_id: str | None
    side: Side
    kind: OrderKind
    tif: TimeInForce
    price: int | None
    size: int
    """Lots. Of an order by quote amount what the amount came to; 0 while an order to close a position waits."""
    quote_amount_e8: int | None
    filled: int
    amount: int
    """Ticks × lots filled: the average price is ``amount / filled``."""
    status: SimOrderStatus
    reason: EndReason
    refusal: RejectReason | None
    """Why it is ``rejected``."""
    reduce_only: bool
    position_side: PositionSide | None
    close_position: bool
    trigger: int | None
    trigger_by: TriggerPrice | None
    expires: int | None
    ts_created: int
    ts_updated: int
    ts_triggered: int
    """0 until its trigger strikes, and for orders without one."""
    take_profit: int | None
    stop_loss: int | None
    attached_by: TriggerPrice
    parent: int | None
    """The conditional order that sent this one, or the order that this one was attached to."""
    child: int | None
    """The order that this conditional one has sent."""

    @property
    def is_open(self) -> bool:
        """True while it waits or rests."""
        return self.status in ("waiting", "open", "partially_filled")


class SimReject(Struct, frozen=True):
    """A call was refused and changed nothing."""

    reason: RejectReason
    order: SimOrder | None = None
    """The order it was about, where there is one (``duplicate_client_id``, ``order_closed``)."""


class SimFill(Struct, frozen=True):
    """One execution of a user's order. It is a public trade, too, of the same ``id``, price and size."""

    id: int
    """The public trade's: unique per symbol. A user who trades with itself has two fills of one id."""
    user: str
    symbol: str
    order: int
    client_id: str | None
    side: Side
    position_side: PositionSide | None
    """The position it changed; None on spot."""
    price: int
    size: int
    fee_e8: int
    """Negative: a rebate."""
    fee_currency: str
    liquidity: Liquidity
    realized_e8: int
    """Profit realized, before fees; 0 on spot."""
    ts: int


class SimBalance(Struct, frozen=True):
    """What a user has of one currency."""

    currency: str
    total_e8: int
    """Free and locked together; on perpetuals the wallet balance: deposits, realized profit, fees, funding."""
    locked_e8: int
    """Held by open orders: funds on spot, initial margin on perpetuals."""
    margin_e8: int = 0
    """Initial margin of open positions."""
    unrealized_e8: int = 0
    """Profit of open positions at mark price."""
    isolated_unrealized_e8: int = 0
    """The part of it that belongs to isolated positions, which new orders cannot draw on."""

    @property
    def free_e8(self) -> int:
        """Free to use; on perpetuals the margin free for new orders, never negative."""
        cross = self.unrealized_e8 - self.isolated_unrealized_e8
        left = self.total_e8 + cross - self.locked_e8 - self.margin_e8
        return max(0, left)

    @property
    def equity_e8(self) -> int:
        """Wallet balance plus unrealized profit."""
        return self.total_e8 + self.unrealized_e8


class SimPosition(Struct, frozen=True):
    """An open position, or one just closed (size 0)."""

    user: str
    symbol: str
    id: int
    """Another one each time that it is opened anew."""
    side: PositionSide
    hedge: bool
    size: int
    """Lots, never negative."""
    entry_e8: int
    """Average entry price in units of 1e-8, rounded half up each time that it grows; 0 when closed."""
    cost_e8: int
    """What was paid (long) or received (short) for what is left of it."""
    mark_e8: int
    unrealized_e8: int
    realized_e8: int
    """Profit realized since it was opened, before fees."""
    leverage: int
    margin_mode: MarginMode
    margin_e8: int
    liquidation_e8: int | None
    """Price at which the maintenance margin would be used up, other positions standing still; None: there is none."""
    ts_opened: int
    ts_updated: int


class SymbolSettings(Struct, frozen=True):
    """What a user has set for a perpetual."""

    long_leverage: int
    short_leverage: int
    """Always as ``long_leverage`` in one-way mode."""
    margin_mode: MarginMode


class LedgerEntry(Struct, frozen=True):
    """One booking. The entries of a user and currency add up to its ``SimBalance.total_e8``."""

    id: int
    user: str
    ts: int
    currency: str
    change_e8: int
    kind: LedgerKind
    symbol: str
    """Empty for deposits."""
    trade: int | None
    """The trade that caused it."""


class OrderChanged(Struct, frozen=True, tag="order"):
    """An order came in or changed."""

    ts: int
    order: SimOrder
    cause: Literal["new", "fill", "end", "trigger", "amend"]
    fill: SimFill | None = None
    """The execution that changed it."""


class FillMade(Struct, frozen=True, tag="fill"):
    """An order was executed. The ``OrderChanged`` of the same execution stands right before."""

    ts: int
    fill: SimFill


class BalanceChanged(Struct, frozen=True, tag="balance"):
    """A total or a lock changed; ``change_e8`` is what the total grew by. One per call or trade and currency."""

    ts: int
    balance: SimBalance
    change_e8: int
    cause: Literal["deposit", "order", "fill", "funding"]


class PositionChanged(Struct, frozen=True, tag="position"):
    """A position was opened, grew, shrank or was closed."""

    ts: int
    position: SimPosition


AccountEvent: TypeAlias = OrderChanged | FillMade | BalanceChanged | PositionChanged


class Accounts(Protocol):
    """All users of one simulated market. ``user`` is a ``SimUser.name`` throughout; KeyError for an unknown one."""

    @property
    def users(self) -> Sequence[SimUser]:
        """Everybody who has an account."""
        ...

    @property
    def rules(self) -> AccountRules:
        """What the market allows."""
        ...

    def configure(self, rules: AccountRules) -> None:
        """Set what the market allows; before the first order."""
        ...

    def by_key(self, key: str) -> SimUser | None:
        """Return whose API key this is."""
        ...

    def is_open(self, symbol: str) -> bool:
        """Tell whether new orders are taken; KeyError for an unknown symbol."""
        ...

    def place(self, user: str, request: SimOrderRequest) -> SimOrder | SimReject:
        """Take an order; return it as it stands after whatever it met at once."""
        ...

    def check(self, user: str, request: SimOrderRequest) -> SimReject | None:
        """Return what ``place`` would refuse the order for, without placing it."""
        ...

    def cancel(
        self,
        user: str,
        symbol: str,
        *,
        order_id: int | None = None,
        client_id: str | None = None,
        conditional: bool | None = None,
    ) -> SimOrder | SimReject:
        """Cancel one order. ``conditional`` restricts the search to orders that (do not) have a trigger."""
        ...

    def cancel_all(
        self, user: str, symbol: str | None = None, *, conditional: bool | None = None
    ) -> Sequence[SimOrder]:
        """Cancel all open orders, of one symbol if given; return them, oldest first."""
        ...

    def amend(
        self, user: str, symbol: str, change: SimAmendment, *, order_id: int | None = None, client_id: str | None = None
    ) -> SimOrder | SimReject:
        """Change an open limit order. It keeps its place in the queue only when nothing but its size shrinks."""
        ...

    def order(
        self,
        user: str,
        symbol: str,
        *,
        order_id: int | None = None,
        client_id: str | None = None,
        conditional: bool | None = None,
        lag: float = 0.0,
    ) -> SimOrder | None:
        """Return one order, open or not; by client id the newest that has it. ``conditional``: has a trigger.

        With ``lag`` orders that came in less than so many seconds ago are not found yet, as on a venue whose queries
        are answered by a copy; the same in the other queries.
        """
        ...

    def open_orders(
        self, user: str, symbol: str | None = None, *, conditional: bool | None = None, lag: float = 0.0
    ) -> Sequence[SimOrder]:
        """Return open orders, oldest first. ``conditional``: only those that (do not) wait for a trigger."""
        ...

    def orders(self, user: str, symbol: str | None = None, *, lag: float = 0.0) -> Sequence[SimOrder]:
        """Return all kept orders, oldest first: every open one, and the newest ten thousand of the others."""
        ...

    def fills(
        self, user: str, symbol: str | None = None, *, order_id: int | None = None, lag: float = 0.0
    ) -> Sequence[SimFill]:
        """Return executions, oldest first; the newest hundred thousand are kept."""
        ...

    def balances(self, user: str) -> Sequence[SimBalance]:
        """Return what a user has, one per currency ever held, by name."""
        ...

    def balance(self, user: str, currency: str) -> SimBalance:
        """Return what a user has of one currency; zeros if it never had any."""
        ...

    def positions(self, user: str, symbol: str | None = None) -> Sequence[SimPosition]:
        """Return open positions; empty on spot."""
        ...

    def ledger(self, user: str) -> Sequence[LedgerEntry]:
        """Return bookings, oldest first; the newest hundred thousand are kept."""
        ...

    def position_mode(self, user: str) -> Literal["one_way", "hedge"]:
        """Return the position mode."""
        ...

    def set_position_mode(self, user: str, mode: Literal["one_way", "hedge"]) -> SimReject | None:
        """Change the position mode: ``unchanged``, or ``in_use`` with open orders or positions."""
        ...

    def settings(self, user: str, symbol: str) -> SymbolSettings:
        """Return leverage and margin mode; KeyError on spot."""
        ...

    def set_leverage(
        self, user: str, symbol: str, leverage: int, position_side: PositionSide | None = None
    ) -> SimReject | None:
        """Set the leverage, of one side only in hedge mode if given: ``leverage`` out of range,
        ``insufficient_funds`` when the margin would not suffice, ``unknown_symbol``.
        """
        ...

    def set_margin_mode(self, user: str, symbol: str, mode: MarginMode) -> SimReject | None:
        """Set the margin mode: ``unchanged``, ``in_use`` with open orders or a position, ``unknown_symbol``."""
        ...

    def cursor(self, user: str) -> int:
        """Return the end of a user's journal: what happens from now on stands there and after."""
        ...

    def events(self, user: str, cursor: int) -> Sequence[AccountEvent]:
        """Return what happened to a user from ``cursor`` on, in order; the next cursor is that plus their number.

        Raises:
            LookupError: the journal no longer reaches back so far (it keeps the newest ten thousand at least).
        """
        ...
