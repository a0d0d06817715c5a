"""All users of one simulated market, as ``unitape.spi.simulated_accounts.Accounts`` describes them.

Simulated positions are not liquidated: one that has lost its margin runs on until its user closes it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from unitape.errors import ConfigError
from unitape.sim.account import Account, LiveOrder, PositionMode
from unitape.sim.desk import Desk
from unitape.sim.floor import Floor
from unitape.sim.margins import Margins
from unitape.sim.matching import Execution
from unitape.sim.order_checks import Draft, refusal_of_arrival, refusal_of_entry
from unitape.spi.simulated_accounts import (
    AccountEvent,
    AccountRules,
    BalanceChanged,
    LedgerEntry,
    RejectReason,
    SimAmendment,
    SimBalance,
    SimFill,
    SimOrder,
    SimOrderRequest,
    SimPosition,
    SimReject,
    SimUser,
    SymbolSettings,
)
from unitape.spi.simulation import Settlement, SimInstrument, SimTrade
from unitape_schemas import MarginMode, PositionSide

__all__ = ["SimAccounts"]


class SimAccounts:
    """The accounts of a market; ConfigError when two users share a name or a key."""

    def __init__(self, floor: Floor, users: Sequence[SimUser], rules: AccountRules | None = None) -> None:
        self._floor = floor
        self._users = tuple(users)
        self._specs = {spec.symbol: spec for spec in floor.instruments}
        self._closed: set[str] = set()
        self._by_key = {user.key: user for user in users}
        self._margins = Margins(floor, rules or AccountRules())
        mode = self.rules.default_position_mode
        self._accounts = {user.name: Account(user, mode) for user in users}
        if len(self._by_key) < len(self._users) or len(self._accounts) < len(self._users):
            raise ConfigError("users of a simulation need distinct names and keys")
        self._desk = Desk(floor, self._margins, list(self._accounts.values()))
        for account in self._accounts.values():
            self._deposit(account)

    def _deposit(self, account: Account) -> None:
        specs = self._specs.values()
        known = {spec.settle for spec in specs if spec.settle} or {c for s in specs for c in (s.base, s.quote)}
        for currency, amount in account.deposits(known):
            account.book(self._floor.now, currency, amount, "deposit")
            account.told[currency] = (amount, 0)
            account.tell(BalanceChanged(self._floor.now, SimBalance(currency, amount, 0), amount, "deposit"))

    # Who and what is allowed -----------------------------------------------------------------------------------------

    @property
    def users(self) -> Sequence[SimUser]:
        """Everybody who has an account."""
        return self._users

    @property
    def rules(self) -> AccountRules:
        """What the market allows."""
        return self._margins.rules

    def configure(self, rules: AccountRules) -> None:
        """Set what the market allows; before the first order."""
        self._margins.rules = rules
        for account in self._accounts.values():
            account.mode = rules.default_position_mode

    def by_key(self, key: str) -> SimUser | None:
        """Return whose API key this is."""
        return self._by_key.get(key)

    def is_open(self, symbol: str) -> bool:
        """Tell whether new orders are taken; KeyError for an unknown symbol."""
        return self._specs[symbol].symbol not in self._closed

    def close_market(self, symbol: str) -> None:
        """Take no new orders on a symbol; those that are open stay."""
        self._closed.add(self._specs[symbol].symbol)

    def open_market(self, symbol: str) -> None:
        """Take orders again."""
        self._closed.discard(symbol)

    # Orders ----------------------------------------------------------------------------------------------------------

    def place(self, user: str, request: SimOrderRequest) -> SimOrder | SimReject:
        """Take an order; return it as it stands after whatever it met at once."""
        drafted = self._draft(user, request)
        if isinstance(drafted, SimReject):
            if drafted.reason == "duplicate_client_id" and self.rules.client_ids == "returns_existing":
                return drafted.order or drafted
            return drafted
        order = self._desk.take_in(drafted)
        if not drafted.waits:
            self._desk.send(order)
        self._desk.strike([request.symbol])
        return order.state

    def check(self, user: str, request: SimOrderRequest) -> SimReject | None:
        """Return what ``place`` would refuse the order for, without placing it."""
        drafted = self._draft(user, request)
        return drafted if isinstance(drafted, SimReject) else None

    def _draft(self, user: str, request: SimOrderRequest) -> Draft | SimReject:
        account = self._accounts[user]
        spec = self._specs.get(request.symbol)
        if spec is None:
            return SimReject("unknown_symbol")
        if not self.is_open(request.symbol):
            return SimReject("market_closed")
        draft = Draft(account, request, self._floor, self._margins, spec)
        reason = refusal_of_entry(draft)
        if reason is None and not draft.waits:
            reason = refusal_of_arrival(draft)
        if reason is None:
            return draft
        return SimReject(reason, draft.existing.state if draft.existing is not None else None)

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
        order = self._open_order(user, symbol, order_id, client_id, conditional)
        if isinstance(order, SimReject):
            return order
        self._desk.end(order, "canceled", "user")
        self._desk.strike([symbol])
        return order.state

    def cancel_all(
        self, user: str, symbol: str | None = None, *, conditional: bool | None = None
    ) -> Sequence[SimOrder]:
        """Cancel all open orders, of one symbol if given; return them, oldest first."""
        canceled: list[LiveOrder] = []
        for order in self._accounts[user].open_orders(symbol):
            if conditional is None or (order.state.status == "waiting") == conditional:
                self._desk.end(order, "canceled", "user")
                canceled.append(order)
        self._desk.strike({order.state.symbol: None for order in canceled})
        return [order.state for order in canceled]

    def amend(
        self, user: str, symbol: str, change: SimAmendment, *, order_id: int | None = None, client_id: str | None = None
    ) -> SimOrder | SimReject:
        """Change an open limit order. It keeps its place in the queue only when nothing but its size shrinks."""
        order = self._open_order(user, symbol, order_id, client_id, None)
        if isinstance(order, SimReject):
            return order
        state = order.state
        if state.price is None or state.status == "waiting":
            return SimReject("bad_request", state)
        price = change.price if change.price is not None else state.price
        size = change.size if change.size is not None else state.size
        if (price, size) == (state.price, state.size):
            return SimReject("unchanged", state)
        if size <= state.filled:
            return SimReject("min_size", state)
        reason = self._refusal_of_amendment(order, price, size)
        if reason is not None:
            return SimReject(reason, state)
        if price == state.price and size < state.size:
            self._desk.shrink(order, size)
        else:
            self._desk.resend(order, price, size)
        self._desk.strike([symbol])
        return order.state

    def _refusal_of_amendment(self, order: LiveOrder, price: int, size: int) -> RejectReason | None:
        """Check what is left of an order as if it came in now, with its own funds free."""
        state, account = order.state, order.account
        request = SimOrderRequest(
            symbol=state.symbol,
            side=state.side,
            kind="limit",
            size=size - state.filled,
            price=price,
            tif=state.tif,
            reduce_only=state.reduce_only,
            position_side=state.position_side,
            expires=state.expires,
        )
        with account.without(order):
            draft = Draft(account, request, self._floor, self._margins, self._specs[state.symbol])
            reason = refusal_of_entry(draft) or refusal_of_arrival(draft)
        if reason is None and draft.size < size - state.filled:
            return "reduce_only"
        return reason

    def _open_order(
        self, user: str, symbol: str, order_id: int | None, client_id: str | None, conditional: bool | None
    ) -> LiveOrder | SimReject:
        account = self._accounts[user]
        if symbol not in self._specs:
            return SimReject("unknown_symbol")
        order = account.find(symbol, order_id, client_id, conditional)
        if order is None:
            return SimReject("order_not_found")
        return order if order.state.is_open else SimReject("order_closed", order.state)

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
        """Return one order, open or not; by client id the newest that has it."""
        order = self._accounts[user].find(symbol, order_id, client_id, conditional)
        return order.state if order is not None and order.state.ts_created <= self._seen(lag) else None

    def open_orders(
        self, user: str, symbol: str | None = None, *, conditional: bool | None = None, lag: float = 0.0
    ) -> Sequence[SimOrder]:
        """Return open orders, oldest first."""
        seen = self._seen(lag)
        states = [order.state for order in self._accounts[user].open_orders(symbol) if order.state.ts_created <= seen]
        return [state for state in states if conditional is None or (state.status == "waiting") == conditional]

    def orders(self, user: str, symbol: str | None = None, *, lag: float = 0.0) -> Sequence[SimOrder]:
        """Return all kept orders, oldest first."""
        seen = self._seen(lag)
        return [o.state for o in self._accounts[user].all_orders(symbol) if o.state.ts_created <= seen]

    def fills(
        self, user: str, symbol: str | None = None, *, order_id: int | None = None, lag: float = 0.0
    ) -> Sequence[SimFill]:
        """Return executions, oldest first."""
        seen = self._seen(lag)
        return [
            fill
            for fill in self._accounts[user].fills
            if (symbol is None or fill.symbol == symbol)
            and (order_id is None or fill.order == order_id)
            and fill.ts <= seen
        ]

    def _seen(self, lag: float) -> int:
        """Return up to when a query that lags knows what happened."""
        return self._floor.now - round(lag * 1e9)

    # What is owned ---------------------------------------------------------------------------------------------------

    def balances(self, user: str) -> Sequence[SimBalance]:
        """Return what a user has, one per currency ever held, by name."""
        return [self.balance(user, currency) for currency in sorted(self._accounts[user].totals)]

    def balance(self, user: str, currency: str) -> SimBalance:
        """Return what a user has of one currency; zeros if it never had any."""
        return self._margins.balance(self._accounts[user], currency)

    def positions(self, user: str, symbol: str | None = None) -> Sequence[SimPosition]:
        """Return open positions; empty on spot."""
        account = self._accounts[user]
        return [self._margins.position(account, held) for held in account.positions.all(symbol)]

    def ledger(self, user: str) -> Sequence[LedgerEntry]:
        """Return bookings, oldest first."""
        return list(self._accounts[user].entries)

    # Settings --------------------------------------------------------------------------------------------------------

    def position_mode(self, user: str) -> PositionMode:
        """Return the position mode."""
        return self._accounts[user].mode

    def set_position_mode(self, user: str, mode: Literal["one_way", "hedge"]) -> SimReject | None:
        """Change the position mode: ``unchanged``, or ``in_use`` with open orders or positions."""
        account = self._accounts[user]
        if account.mode == mode:
            return SimReject("unchanged")
        if account.open_orders() or account.positions.all():
            return SimReject("in_use")
        account.mode = mode
        return None

    def settings(self, user: str, symbol: str) -> SymbolSettings:
        """Return leverage and margin mode; KeyError on spot."""
        if not self._floor.linear:
            raise KeyError(symbol)
        return self._margins.settings(self._accounts[user], self._specs[symbol].symbol)

    def set_leverage(
        self, user: str, symbol: str, leverage: int, position_side: PositionSide | None = None
    ) -> SimReject | None:
        """Set the leverage; see the protocol."""
        account, spec = self._accounts[user], self._perpetual(symbol)
        if spec is None:
            return SimReject("unknown_symbol")
        if not 1 <= leverage <= self.rules.max_leverage:
            return SimReject("leverage")
        before = self._margins.settings(account, symbol)
        one = position_side if account.mode == "hedge" else None
        long = before.long_leverage if one == "short" else leverage
        short = before.short_leverage if one == "long" else leverage
        account.settings[symbol] = SymbolSettings(long, short, before.margin_mode)
        if self._margins.spare(account, spec.settle or spec.quote) < 0 and leverage < max(
            before.long_leverage, before.short_leverage
        ):
            account.settings[symbol] = before
            return SimReject("insufficient_funds")
        return None

    def set_margin_mode(self, user: str, symbol: str, mode: MarginMode) -> SimReject | None:
        """Set the margin mode: ``unchanged``, ``in_use`` with open orders or a position, ``unknown_symbol``."""
        account = self._accounts[user]
        if self._perpetual(symbol) is None:
            return SimReject("unknown_symbol")
        before = self._margins.settings(account, symbol)
        if before.margin_mode == mode:
            return SimReject("unchanged")
        if account.open_orders(symbol) or account.positions.all(symbol):
            return SimReject("in_use")
        account.settings[symbol] = SymbolSettings(before.long_leverage, before.short_leverage, mode)
        return None

    def _perpetual(self, symbol: str) -> SimInstrument | None:
        return self._specs.get(symbol) if self._floor.linear else None

    # Journal, and what the market tells ------------------------------------------------------------------------------

    def cursor(self, user: str) -> int:
        """Return the end of a user's journal."""
        return self._accounts[user].cursor

    def events(self, user: str, cursor: int) -> Sequence[AccountEvent]:
        """Return what happened to a user from ``cursor`` on; LookupError when that is no longer kept."""
        return self._accounts[user].events(cursor)

    def traded(self, symbol: str, done: Execution, trades: Sequence[SimTrade]) -> None:
        """Take note of the matches of somebody else's order."""
        self._desk.book(symbol, done, trades, None)

    def moved(self) -> None:
        """Strike triggers after prices moved."""
        if symbols := self._desk.waiting.symbols:
            self._desk.strike(symbols)

    def funded(self, settlement: Settlement) -> None:
        """Book funding."""
        self._desk.settle_funding(settlement)

    def next_expiry(self) -> int | None:
        """Return when the next order expires; None while none will."""
        return self._desk.next_expiry()

    def expire(self) -> None:
        """End the orders whose time has come."""
        self._desk.expire()
