"""Judges orders by the risk limits. Synchronous: it looks at what is known and asks nobody."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal, localcontext
from typing import Final

from unitape.errors import RiskRejected
from unitape.guards.limits import PerSymbol, RiskLimits, limit_for
from unitape.guards.view import AccountView
from unitape.guards.worth import LossMeter, account_worth
from unitape.spi import Amendment, NewOrder
from unitape_schemas import Instrument, Order, PositionSide, Side

__all__ = ["Judge", "Reference"]

Reference = Callable[[str], Decimal | None]
"""The fresh price of a symbol; None where none is known."""

ZERO: Final = Decimal(0)
PRECISION: Final = 60
"""Digits of intermediate results: products of prices and sizes stay exact."""
TRIGGERED: Final = frozenset({"stop", "stop_limit", "take_profit", "take_profit_limit"})


class Judge:
    """Holds orders to limits. ``account`` is set when one is known."""

    def __init__(self, limits: RiskLimits, reference: Reference) -> None:
        self.limits = limits
        self.account: AccountView | None = None
        self.meter = LossMeter()
        self._reference = reference

    def check(self, order: NewOrder, instrument: Instrument, pending: Sequence[NewOrder], wall: int) -> None:
        """Refuse an order that breaks a limit. ``pending`` are orders on their way that the account does not show yet.

        Raises:
            RiskRejected: it does, or a limit cannot be judged and the settings say to refuse.
        """
        with localcontext() as context:
            context.prec = PRECISION
            self._check_band(order)
            if self._reduces(order, instrument, pending):
                return
            self._check_order(order)
            if instrument.kind == "spot" and order.side == "sell":
                return  # selling what is there adds no exposure
            self._check_count(pending)
            self._check_position(order, instrument, pending)
            self._check_losses(wall)

    def check_amendment(self, change: Amendment, instrument: Instrument, pending: Sequence[NewOrder]) -> None:
        """Refuse a change that lets an order break a limit.

        Raises:
            RiskRejected: it does, or cannot be judged because the order is not known.
        """
        with localcontext() as context:
            context.prec = PRECISION
            known = self._known_order(change)
            side = change.side or (known.side if known is not None else None)
            size = change.size if change.size is not None else (known.size if known is not None else None)
            price = change.price if change.price is not None else (known.price if known is not None else None)
            if side is None or size is None:
                if self._limits_orders(change.order.symbol):
                    self._without_account("amend", "the order to change is not known")
                return
            reduce_only = known is not None and known.reduce_only is True
            position = known.position_side if known is not None else None
            symbol = change.order.symbol
            order = NewOrder(
                symbol, side, "limit", "", size=size, price=price, reduce_only=reduce_only, position_side=position
            )
            self._check_band(order)
            if self._reduces(order, instrument, pending):
                return
            self._check_order(order)
            if instrument.kind != "spot" or side == "buy":
                self._check_position(order, instrument, pending, without=known)

    # What an order is

    def _check_order(self, order: NewOrder) -> None:
        limits = self.limits
        most = limit_for(limits.max_order_size, order.symbol)
        if most is not None:
            size = order.size if order.size is not None else self._size_of_cost(order, "max_order_size")
            self._hold("max_order_size", size, most, f"the order's size in {order.symbol}")
        most = limit_for(limits.max_order_notional, order.symbol)
        if most is not None:
            self._hold("max_order_notional", self._notional(order), most, f"the order's worth in {order.symbol}")

    def _check_band(self, order: NewOrder) -> None:
        most = limit_for(self.limits.price_band, order.symbol)
        if most is None or order.price is None:
            return
        # What waits for a trigger is judged by the price at which it wakes.
        reference = order.trigger if order.trigger is not None else self._price(order.symbol, "price_band")
        if not reference:
            return
        away = (order.price - reference) / reference
        worse = away if order.side == "buy" else -away
        if self.limits.band == "both":
            worse = abs(away)
        self._hold("price_band", worse, most, f"the price's distance from {reference} in {order.symbol}")

    def _notional(self, order: NewOrder) -> Decimal | None:
        if order.cost is not None:
            return order.cost
        if order.size is None:
            return None
        told = order.price if order.price is not None else order.trigger
        if told is None:
            reference = self._price(order.symbol, "max_order_notional")
            return None if reference is None else order.size * reference
        if order.side == "sell":
            # A sell far below the market brings the market's price.
            told = max(told, self._reference(order.symbol) or told)
        return order.size * told

    def _size_of_cost(self, order: NewOrder, limit: str) -> Decimal | None:
        reference = self._price(order.symbol, limit)
        return None if not reference or order.cost is None else order.cost / reference

    # What the account would be

    def _check_count(self, pending: Sequence[NewOrder]) -> None:
        most = self.limits.max_open_orders
        if most is None:
            return
        view = self._view("max_open_orders")
        if view is not None:
            count = len(view.open_orders()) + len(self._unseen(pending, view)) + 1
            self._hold("max_open_orders", Decimal(count), Decimal(most), "the number of open orders")

    def _check_position(
        self, order: NewOrder, instrument: Instrument, pending: Sequence[NewOrder], without: Order | None = None
    ) -> None:
        symbol = order.symbol
        most, most_notional = (
            limit_for(self.limits.max_position, symbol),
            limit_for(self.limits.max_position_notional, symbol),
        )
        if most is None and most_notional is None:
            return
        view = self._view("max_position" if most is not None else "max_position_notional")
        if view is None:
            return
        size = order.size
        if size is None:
            size = self._size_of_cost(order, "max_position" if most is not None else "max_position_notional")
            if size is None:
                return
        held = self._held(view, instrument, order.side, order.position_side)
        waiting = self._waiting(view, symbol, order.side, order.position_side, pending, without)
        reached = held + waiting + size
        if most is not None:
            self._hold("max_position", reached, most, f"the position in {symbol} with every open order filled")
        if most_notional is not None:
            reference = self._price(symbol, "max_position_notional")
            if reference is not None:
                text = f"the worth of the position in {symbol} with every open order filled"
                self._hold("max_position_notional", reached * reference, most_notional, text)

    def _check_losses(self, wall: int) -> None:
        limits = self.limits
        if limits.daily_loss is None and limits.drawdown is None:
            return
        name = "daily_loss" if limits.daily_loss is not None else "drawdown"
        worth = self.measure(wall)
        if isinstance(worth, Decimal):
            if limits.daily_loss is not None:
                self._hold(
                    "daily_loss", self.meter.loss(worth), limits.daily_loss, f"today's loss in {limits.currency}"
                )
            if limits.drawdown is not None:
                self._hold("drawdown", self.meter.drawdown(worth), limits.drawdown, "the fall from the highest worth")
        elif worth is None:
            self._without_account(name, "the account is not known")
        elif limits.without_reference == "refuse":
            raise RiskRejected(f"{name} cannot be judged: no fresh price of {worth} in {limits.currency}", limit=name)

    def measure(self, wall: int) -> Decimal | str | None:
        """Look at the account's worth now, so that the day's first and highest value are known.

        Returns it; the name of what has no price; None where the account is not known.
        """
        view = self.account
        if view is None or not view.live:
            return None
        worth = account_worth(view, self.limits.currency, self._reference, self.limits.ignored)
        if isinstance(worth, Decimal):
            self.meter.update(worth, wall)
        return worth

    # What reduces

    def _reduces(self, order: NewOrder, instrument: Instrument, pending: Sequence[NewOrder]) -> bool:
        """Tell whether an order can only make a position smaller."""
        if instrument.kind == "spot":
            return False
        if order.reduce_only:
            return True
        if order.position_side is not None:
            return (order.side == "sell") is (order.position_side == "long")
        view = self.account
        if view is None or not view.live or order.size is None:
            return False
        held = self._held(view, instrument, "sell" if order.side == "buy" else "buy", None)
        waiting = self._waiting(view, order.symbol, order.side, None, pending, None)
        return held > 0 and order.size + waiting <= held

    def _held(self, view: AccountView, instrument: Instrument, side: Side, position: PositionSide | None) -> Decimal:
        """Return what is held in the direction of a side, base units; below 0 where it is held the other way."""
        if instrument.kind == "spot":
            return sum(
                (
                    one.total if one.total is not None else (one.free or ZERO) + (one.locked or ZERO)
                    for one in view.balances()
                    if one.currency == instrument.base and one.market == instrument.market
                ),
                ZERO,
            )
        total = ZERO
        for one in view.positions(instrument.symbol):
            if position is None or one.side == position:
                total += one.size if one.side == "long" else -one.size
        if position is not None:
            return abs(total)
        return total if side == "buy" else -total

    def _waiting(
        self,
        view: AccountView,
        symbol: str,
        side: Side,
        position: PositionSide | None,
        pending: Sequence[NewOrder],
        without: Order | None,
    ) -> Decimal:
        """Return what the open orders of a side may still add, and those on their way."""
        total = ZERO
        for one in view.open_orders(symbol):
            same = one.side == side and one.position_side == position and not one.reduce_only
            if same and one.size is not None and not _same_order(one, without):
                total += max(ZERO, one.size - (one.filled or ZERO))
        for order in self._unseen(pending, view):
            if order.symbol == symbol and order.side == side and order.position_side == position:
                total += self._size(order) if not order.reduce_only else ZERO
        return total

    def _size(self, order: NewOrder) -> Decimal:
        if order.size is not None:
            return order.size
        reference = self._reference(order.symbol)
        return order.cost / reference if reference and order.cost is not None else ZERO

    def _unseen(self, pending: Sequence[NewOrder], view: AccountView) -> list[NewOrder]:
        seen = {one.client_id for one in view.open_orders()}
        return [order for order in pending if order.client_id not in seen]

    # What cannot be judged

    def _known_order(self, change: Amendment) -> Order | None:
        view = self.account
        if view is None or not view.live:
            return None
        named = change.order
        for one in view.open_orders(named.symbol):
            if (named.id and one.id == named.id) or (named.client_id and one.client_id == named.client_id):
                return one
        return None

    def _limits_orders(self, symbol: str) -> bool:
        limits = self.limits
        rows: tuple[PerSymbol, ...] = (
            limits.max_order_notional,
            limits.max_order_size,
            limits.max_position,
            limits.max_position_notional,
            limits.price_band,
        )
        return any(limit_for(row, symbol) is not None for row in rows)

    def _price(self, symbol: str, limit: str) -> Decimal | None:
        found = self._reference(symbol)
        if found is None and self.limits.without_reference == "refuse":
            raise RiskRejected(
                f"{limit} cannot be judged: no fresh price of {symbol} is known; subscribe to its book, give a "
                "reference, or allow it with without_reference='allow'",
                limit=limit,
            )
        return found

    def _view(self, limit: str) -> AccountView | None:
        view = self.account
        if view is not None and view.live:
            return view
        self._without_account(limit, "the account is not known, or not up to date")
        return None

    def _without_account(self, limit: str, why: str) -> None:
        if self.limits.without_account == "refuse":
            raise RiskRejected(
                f"{limit} cannot be judged: {why}; stream the account, or allow it with without_account='allow'",
                limit=limit,
            )

    def _hold(self, limit: str, value: Decimal | None, most: Decimal, what: str) -> None:
        if value is not None and value > most:
            raise RiskRejected(
                f"{limit}: {what} would be {value}, allowed is {most}", limit=limit, value=value, maximum=most
            )


def _same_order(one: Order, other: Order | None) -> bool:
    return other is not None and (one.id, one.client_id) == (other.id, other.client_id)
