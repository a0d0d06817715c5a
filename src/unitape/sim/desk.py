"""Moves orders between accounts and the book: sends them, books executions, strikes triggers, ends what must end."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from heapq import heappop, heappush
from typing import Final, Literal

from unitape.sim.account import Account, LiveOrder
from unitape.sim.floor import Floor
from unitape.sim.margins import Margins, queue_key
from unitape.sim.matching import Execution, Tif
from unitape.sim.order_checks import Draft, refusal_of_arrival, trigger_prices
from unitape.sim.positions import HeldPosition
from unitape.sim.triggers import LIMITED, WaitingOrders, plain_kind
from unitape.spi.simulated_accounts import (
    BalanceChanged,
    EndReason,
    FillMade,
    OrderChanged,
    PositionChanged,
    RejectReason,
    SimFill,
    SimOrder,
    SimOrderRequest,
    SimOrderStatus,
)
from unitape.spi.simulation import Settlement, Side, SimTrade
from unitape_schemas import Liquidity, OrderKind

__all__ = ["USER", "Desk"]

USER: Final = 1
"""The owner, for the matching engine, of every order of an account."""

_FIRST_ORDER_ID: Final = 8_400_000_000
_E8: Final = 10**8
_E16: Final = 10**16
_ENGINE_TIFS: Final[dict[str, Tif]] = {
    "gtc": "gtc",
    "gtd": "gtc",
    "ioc": "ioc",
    "fok": "fok",
    "post_only": "post_only",
}
_LEFTOVERS: Final[dict[str, EndReason]] = {"ioc": "ioc", "fok": "fok", "post_only": "post_only"}


class Desk:
    """One market's desk. ``accounts`` are those of all users."""

    def __init__(self, floor: Floor, margins: Margins, accounts: Sequence[Account]) -> None:
        self._floor = floor
        self._margins = margins
        self._accounts = accounts
        self._resting: dict[tuple[str, int], LiveOrder] = {}
        self._expiring: list[tuple[int, int, LiveOrder]] = []
        self._last_id = _FIRST_ORDER_ID
        self.waiting = WaitingOrders()

    # Orders in -------------------------------------------------------------------------------------------------------

    def take_in(self, draft: Draft, parent: SimOrder | None = None) -> LiveOrder:
        """Make an order of a draft that passed all checks, and hold its funds; ``send`` it if it does not wait."""
        request, now = draft.request, self._floor.now
        self._last_id += 1
        state = SimOrder(
            id=self._last_id,
            user=draft.account.user.name,
            symbol=request.symbol,
            client_id=request.client_id,
            side=request.side,
            kind=request.kind,
            tif=request.tif or ("gtc" if request.kind in LIMITED else "ioc"),
            price=request.price,
            size=draft.size,
            quote_amount_e8=request.quote_amount_e8,
            filled=0,
            amount=0,
            status="waiting" if draft.waits else "open",
            reason="",
            refusal=None,
            reduce_only=request.reduce_only,
            position_side=request.position_side,
            close_position=request.close_position,
            trigger=request.trigger,
            trigger_by=request.trigger_by if draft.waits else None,
            expires=request.expires,
            ts_created=now,
            ts_updated=now,
            ts_triggered=0,
            take_profit=request.take_profit,
            stop_loss=request.stop_loss,
            attached_by=request.attached_by,
            parent=parent.id if parent is not None else None,
            child=None,
        )
        order = LiveOrder(draft.account, state)
        draft.account.add(order)
        if state.expires is not None:
            heappush(self._expiring, (state.expires, state.id, order))
        if draft.waits:
            self.waiting.add(order)
            draft.account.lock(order, *draft.waiting_lock())
        else:
            self._lock_left(order)
        self._tell_order(order, "new")
        self._tell_balances(order)
        return order

    def send(self, order: LiveOrder) -> None:
        """Send an order to the book and book what it meets there."""
        state = order.state
        limit = state.price if state.kind in LIMITED else None
        tif = _ENGINE_TIFS[state.tif] if limit is not None else "ioc"
        done, trades = self._floor.execute(state.symbol, USER, state.side, limit, order.left, tif)
        self.book(state.symbol, done, trades, order)
        if done.resting:
            order.engine_id = done.order
            self._resting[state.symbol, done.order] = order
        elif done.canceled:
            self.end(order, "expired", _LEFTOVERS.get(state.tif, "ioc") if limit is not None else "market_remainder")
        self._displace(order.account, state.symbol)
        self._tell_balances(order)

    def resend(self, order: LiveOrder, price: int, size: int) -> None:
        """Change price and total size of a resting order, and move it behind all others at its price."""
        self._leave_book(order)
        order.change(price=price, size=size, ts_updated=self._floor.now)
        self._lock_left(order)
        self._tell_order(order, "amend")
        self.send(order)

    def shrink(self, order: LiveOrder, size: int) -> None:
        """Make the total size of a resting order smaller in its place."""
        state = order.state
        if order.engine_id is not None:
            self._floor.shrink(state.symbol, order.engine_id, size - state.filled)
        order.change(size=size, ts_updated=self._floor.now)
        self._lock_left(order)
        self._tell_order(order, "amend")
        self._tell_balances(order)

    def end(
        self, order: LiveOrder, status: SimOrderStatus, reason: EndReason, refusal: RejectReason | None = None
    ) -> None:
        """Take an open order away, wherever it is, and free its funds."""
        self._leave_book(order)
        self.waiting.remove(order.state)
        order.change(status=status, reason=reason, refusal=refusal, ts_updated=self._floor.now)
        order.account.unlock(order)
        order.account.close(order)
        self._tell_order(order, "end")
        self._tell_balances(order)
        self._attach(order)

    # Executions ------------------------------------------------------------------------------------------------------

    def book(self, symbol: str, done: Execution, trades: Sequence[SimTrade], taker: LiveOrder | None) -> None:
        """Book the matches of an order that was sent, on the accounts of both sides."""
        for match, trade in zip(done.matches, trades, strict=True):
            if taker is not None:
                self._fill(taker, trade, "taker")
            maker = self._resting.get((symbol, match.maker_order))
            if maker is not None:
                self._fill(maker, trade, "maker")

    def _fill(self, order: LiveOrder, trade: SimTrade, liquidity: Liquidity) -> None:
        now, account, before = trade.ts, order.account, order.state
        whole = before.filled + trade.size == before.size
        state = order.change(
            filled=before.filled + trade.size,
            amount=before.amount + trade.price * trade.size,
            status="filled" if whole else "partially_filled",
            ts_updated=now,
        )
        if whole:
            if order.engine_id is not None:
                del self._resting[state.symbol, order.engine_id]
                order.engine_id = None
            account.close(order)
        self._lock_left(order)
        if self._floor.linear:
            self._fill_linear(order, trade, liquidity)
        else:
            self._fill_spot(order, trade, liquidity)
        if whole:
            self._attach(order)

    def _fill_spot(self, order: LiveOrder, trade: SimTrade, liquidity: Liquidity) -> None:
        account, spec = order.account, self._floor.instrument(trade.symbol)
        coins, money = spec.size_e8(trade.size), spec.notional_e8(trade.price * trade.size)
        if order.state.side == "buy":
            moves = ((spec.base, coins), (spec.quote, -money))
            currency, received = spec.base, coins
        else:
            moves = ((spec.base, -coins), (spec.quote, money))
            currency, received = spec.quote, money
        fee = self._margins.fee(received, self._rate(liquidity))
        for moved, change in moves:
            account.book(trade.ts, moved, change, "trade", trade.symbol, trade.id)
        account.book(trade.ts, currency, -fee, "fee", trade.symbol, trade.id)
        self._tell_fill(order, trade, liquidity, fee, currency, 0)
        for moved, change in moves:
            self._tell_balance(account, moved, change - (fee if moved == currency else 0), "fill")

    def _fill_linear(self, order: LiveOrder, trade: SimTrade, liquidity: Liquidity) -> None:
        account, spec, state = order.account, self._floor.instrument(trade.symbol), order.state
        currency = spec.settle or spec.quote
        settled = account.positions.execute(spec, state.side, state.position_side, trade.price, trade.size, trade.ts)
        fee = self._margins.fee(spec.notional_e8(trade.price * trade.size), self._rate(liquidity))
        account.book(trade.ts, currency, settled.realized, "realized_pnl", trade.symbol, trade.id)
        account.book(trade.ts, currency, -fee, "fee", trade.symbol, trade.id)
        self._tell_fill(order, trade, liquidity, fee, currency, settled.realized)
        self._tell_balance(account, currency, settled.realized - fee, "fill")
        for held in (settled.closed, settled.opened):
            if held is not None:
                self._tell_position(account, held)

    def _attach(self, order: LiveOrder) -> None:
        """Let the orders wait that close what a finished order has opened."""
        state = order.state
        attached: tuple[tuple[OrderKind, int | None], ...] = (
            ("take_profit", state.take_profit),
            ("stop", state.stop_loss),
        )
        for kind, trigger in attached:
            if trigger is not None and state.filled:
                request = SimOrderRequest(
                    symbol=state.symbol,
                    side="sell" if state.side == "buy" else "buy",
                    kind=kind,
                    size=state.filled,
                    reduce_only=state.position_side is None,
                    position_side=state.position_side,
                    trigger=trigger,
                    trigger_by=state.attached_by,
                )
                spec = self._floor.instrument(state.symbol)
                self.take_in(Draft(order.account, request, self._floor, self._margins, spec), state)

    def settle_funding(self, settlement: Settlement) -> None:
        """Let positions pay or receive funding, rounded down to 1e-8 of what is received."""
        spec = self._floor.instrument(settlement.symbol)
        currency = spec.settle or spec.quote
        for account in self._accounts:
            for held in account.positions.all(settlement.symbol):
                worth = spec.size_e8(held.size) * settlement.mark_e8
                change = -held.sign * worth * settlement.rate_e8 // _E16
                account.book(settlement.ts, currency, change, "funding", settlement.symbol)
                self._tell_balance(account, currency, change, "funding")

    # What strikes by itself ------------------------------------------------------------------------------------------

    def strike(self, symbols: Iterable[str]) -> None:
        """Send the conditional orders that prices have struck, and those that their trades strike in turn."""
        for symbol in symbols:
            while (order := self._next_struck(symbol)) is not None:
                self._activate(order)

    def next_expiry(self) -> int | None:
        """Return when the next order expires."""
        while self._expiring and not self._expiring[0][2].state.is_open:
            heappop(self._expiring)
        return self._expiring[0][0] if self._expiring else None

    def expire(self) -> None:
        """End the orders whose time has come."""
        while (due := self.next_expiry()) is not None and due <= self._floor.now:
            self.end(heappop(self._expiring)[2], "expired", "gtd")

    def _next_struck(self, symbol: str) -> LiveOrder | None:
        if not self.waiting.has(symbol):
            return None
        spec = self._floor.instrument(symbol)
        return next(self.waiting.struck(spec, trigger_prices(self._floor, spec)), None)

    def _activate(self, order: LiveOrder) -> None:
        account, now = order.account, self._floor.now
        self.waiting.remove(order.state)
        account.unlock(order)
        state = order.change(ts_triggered=now, ts_updated=now)
        spec = self._floor.instrument(state.symbol)
        draft = Draft(account, _plain_request(state), self._floor, self._margins, spec)
        reason = refusal_of_arrival(draft)
        if reason is not None:
            self.end(order, "rejected", "", reason)
        elif self._margins.rules.triggered == "same_order":
            order.change(status="open", size=draft.size)
            self._lock_left(order)
            self._tell_order(order, "trigger")
            self.send(order)
        else:
            child = self.take_in(draft, state)
            order.change(status="triggered", child=child.state.id)
            account.close(order)
            self._tell_order(order, "trigger")
            self.send(child)

    def _displace(self, account: Account, symbol: str) -> None:
        """Expire resting orders that would close more than there is when those before them are filled.

        The book fills a user's orders by price and time, so what stands last can never turn a position round; being
        filled in that order keeps it so, and only a new order needs another look.
        """
        if not self._floor.linear:
            return
        resting = [order for order in account.open_orders(symbol) if order.engine_id is not None]
        if not any(order.closes for order in resting):
            return
        sides: tuple[Side, ...] = ("buy", "sell")
        for side in sides:
            left = account.positions.closable(symbol, side)
            for order in sorted((order for order in resting if order.state.side == side), key=queue_key):
                if order.closes and order.left > left:
                    self.end(order, "expired", "reduce_only")
                elif order.closes or order.state.position_side is None:
                    left = max(0, left - order.left)

    # Holding and telling ---------------------------------------------------------------------------------------------

    def _rate(self, liquidity: Liquidity) -> int:
        rules = self._margins.rules
        return rules.maker_e8 if liquidity == "maker" else rules.taker_e8

    def _leave_book(self, order: LiveOrder) -> None:
        if order.engine_id is not None:
            self._floor.cancel(order.state.symbol, order.engine_id)
            del self._resting[order.state.symbol, order.engine_id]
            order.engine_id = None

    def _lock_left(self, order: LiveOrder) -> None:
        """Hold what the rest of a spot limit order may cost; margin of perpetuals follows from the orders."""
        state = order.state
        if self._floor.linear or not state.is_open or state.price is None:
            order.account.unlock(order)
            return
        spec = self._floor.instrument(state.symbol)
        if state.side == "buy":
            order.account.lock(order, spec.quote, spec.notional_e8(state.price * order.left))
        else:
            order.account.lock(order, spec.base, spec.size_e8(order.left))

    def _tell_order(self, order: LiveOrder, cause: Literal["new", "end", "trigger", "amend"]) -> None:
        order.account.tell(OrderChanged(self._floor.now, order.state, cause))

    def _tell_fill(
        self, order: LiveOrder, trade: SimTrade, liquidity: Liquidity, fee: int, currency: str, realized: int
    ) -> None:
        state = order.state
        fill = SimFill(
            id=trade.id,
            user=state.user,
            symbol=state.symbol,
            order=state.id,
            client_id=state.client_id,
            side=state.side,
            position_side=state.position_side,
            price=trade.price,
            size=trade.size,
            fee_e8=fee,
            fee_currency=currency,
            liquidity=liquidity,
            realized_e8=realized,
            ts=trade.ts,
        )
        order.account.fills.append(fill)
        order.account.tell(OrderChanged(trade.ts, state, "fill", fill))
        order.account.tell(FillMade(trade.ts, fill))

    def _tell_balances(self, order: LiveOrder) -> None:
        """Tell what an order holds, if that is news."""
        spec = self._floor.instrument(order.state.symbol)
        for currency in (spec.settle,) if spec.settle else (spec.base, spec.quote):
            self._tell_balance(order.account, currency, 0, "order")

    def _tell_balance(
        self, account: Account, currency: str, change: int, cause: Literal["order", "fill", "funding"]
    ) -> None:
        balance = self._margins.balance(account, currency)
        known = account.told.get(currency, (0, 0))
        if known != (balance.total_e8, balance.locked_e8):
            account.told[currency] = (balance.total_e8, balance.locked_e8)
            account.tell(BalanceChanged(self._floor.now, balance, change, cause))

    def _tell_position(self, account: Account, held: HeldPosition) -> None:
        account.tell(PositionChanged(held.ts_updated, self._margins.position(account, held)))


def _plain_request(state: SimOrder) -> SimOrderRequest:
    """Return a conditional order as it goes to the book once struck."""
    by_amount = state.quote_amount_e8 is not None or state.close_position
    return SimOrderRequest(
        symbol=state.symbol,
        side=state.side,
        kind=plain_kind(state.kind),
        size=None if by_amount else state.size,
        quote_amount_e8=state.quote_amount_e8,
        close_position=state.close_position,
        price=state.price,
        tif=state.tif,
        client_id=state.client_id,
        reduce_only=state.reduce_only,
        position_side=state.position_side,
        expires=state.expires,
        take_profit=state.take_profit,
        stop_loss=state.stop_loss,
        attached_by=state.attached_by,
    )
