"""What an account is worth, and how far that has fallen: since the day began, and from its highest value."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Final

from unitape.guards.view import AccountView
from unitape_schemas import Balance, Position

__all__ = ["LossMeter", "account_worth"]

DAY: Final = 86_400_000_000_000
ZERO: Final = Decimal(0)


def account_worth(
    view: AccountView, currency: str, price: Callable[[str], Decimal | None], ignored: Iterable[str] = ()
) -> Decimal | str:
    """Return the worth of everything held, in ``currency``; or the name of what has no price.

    ``price(symbol)`` is the price of a symbol such as ``BTC/USDT``, None where it is not known. Where a margin account
    tells its equity, that counts; elsewhere its balance and the profit of its open positions.
    """
    total = ZERO
    told: set[str] = set()
    for balance in view.balances():
        if balance.currency in ignored:
            continue
        amount = _amount(balance)
        if balance.equity is not None:
            told.add(balance.currency)
        if not amount:
            continue
        rate = Decimal(1) if balance.currency == currency else price(f"{balance.currency}/{currency}")
        if rate is None:
            return balance.currency
        total += amount * rate
    for position in view.positions():
        settle = position.symbol.rpartition(":")[2]
        if settle in told or settle in ignored or not position.size:
            continue
        profit = _profit(position, price)
        rate = Decimal(1) if settle == currency else price(f"{settle}/{currency}")
        if profit is None or rate is None:
            return position.symbol
        total += profit * rate
    return total


def _amount(balance: Balance) -> Decimal:
    if balance.equity is not None:
        return balance.equity
    if balance.total is not None:
        return balance.total
    return (balance.free or ZERO) + (balance.locked or ZERO)


def _profit(position: Position, price: Callable[[str], Decimal | None]) -> Decimal | None:
    if position.unrealized_pnl is not None:
        return position.unrealized_pnl
    mark = position.mark if position.mark is not None else price(position.symbol)
    if mark is None or position.entry is None:
        return None
    gain = (mark - position.entry) * position.size
    return gain if position.side == "long" else -gain


class LossMeter:
    """Remembers the day's first value and the highest value. Money moved in or out counts as profit or loss: then
    ``rebase``.
    """

    def __init__(self) -> None:
        self.first: Decimal | None = None
        """The first value seen of the current day (UTC)."""
        self.highest: Decimal | None = None
        self._day = -1

    def update(self, worth: Decimal, wall: int) -> None:
        """Take the worth at a wall time in nanoseconds."""
        day = wall // DAY
        if day != self._day:
            self._day, self.first = day, worth
        self.highest = worth if self.highest is None else max(self.highest, worth)

    def rebase(self) -> None:
        """Forget both, so that the next value is the first of the day and the highest."""
        self._day, self.first, self.highest = -1, None, None

    def loss(self, worth: Decimal) -> Decimal:
        """Return how much less than the day's first value this is; 0 when it is not."""
        return ZERO if self.first is None else max(ZERO, self.first - worth)

    def drawdown(self, worth: Decimal) -> Decimal:
        """Return how much less than the highest value this is, as a fraction of it."""
        if self.highest is None or self.highest <= 0:
            return ZERO
        return max(ZERO, (self.highest - worth) / self.highest)
