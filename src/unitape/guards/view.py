"""What the limits must know of an account. Whatever keeps it up to date can stand behind this."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from unitape_schemas import Balance, Order, Position

__all__ = ["AccountView", "JoinedView"]


class AccountView(Protocol):
    """An account as it is known at this moment, without asking anybody."""

    @property
    def live(self) -> bool:
        """True while it is kept up to date; otherwise nothing is judged by it."""
        ...

    def open_orders(self, symbol: str | None = None) -> list[Order]:
        """Return the orders that may still be filled."""
        ...

    def positions(self, symbol: str | None = None) -> list[Position]:
        """Return the open positions."""
        ...

    def balances(self) -> list[Balance]:
        """Return what is held."""
        ...


class JoinedView:
    """The accounts of several markets as one, as far as they are up to date. ``live`` is that of the first."""

    def __init__(self, views: Sequence[AccountView]) -> None:
        self.live = bool(views) and views[0].live
        self._views = [view for view in views if view.live]

    def open_orders(self, symbol: str | None = None) -> list[Order]:
        """Return the orders that may still be filled."""
        return [order for view in self._views for order in view.open_orders(symbol)]

    def positions(self, symbol: str | None = None) -> list[Position]:
        """Return the open positions."""
        return [position for view in self._views for position in view.positions(symbol)]

    def balances(self) -> list[Balance]:
        """Return what is held."""
        return [balance for view in self._views for balance in view.balances()]
