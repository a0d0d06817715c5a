"""One user's account: what it owns, booked entry by entry, its orders, and the journal of what happened to it."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal
from typing import Final, Literal, TypeAlias

from msgspec import structs

from unitape.errors import ConfigError
from unitape.sim.positions import PositionBook
from unitape.spi.simulated_accounts import (
    AccountEvent,
    LedgerEntry,
    LedgerKind,
    SimFill,
    SimOrder,
    SimUser,
    SymbolSettings,
)

__all__ = ["Account", "LiveOrder", "PositionMode"]

PositionMode: TypeAlias = Literal["one_way", "hedge"]

_EVENTS_KEPT: Final = 10_000
_CLOSED_KEPT: Final = 10_000
_FILLS_KEPT: Final = 100_000
_ENTRIES_KEPT: Final = 100_000
_E8: Final = 10**8


class LiveOrder:
    """An order's state, and what the market holds for it."""

    __slots__ = ("account", "engine_id", "lock_currency", "lock_e8", "state")

    def __init__(self, account: Account, state: SimOrder) -> None:
        self.account = account
        self.state = state
        self.engine_id: int | None = None
        """Its id in the matching engine while it rests."""
        self.lock_currency = ""
        self.lock_e8 = 0

    @property
    def left(self) -> int:
        """Lots not filled yet."""
        return self.state.size - self.state.filled

    @property
    def closes(self) -> bool:
        """True when it can only reduce a position."""
        return closes_position(self.state)

    def change(self, **changes: object) -> SimOrder:
        """Set fields of the state; return the new one."""
        self.state = structs.replace(self.state, **changes)
        return self.state


def closes_position(state: SimOrder) -> bool:
    """Tell whether an order can only reduce a position, by its flags or by its side in hedge mode."""
    hedge_close = (state.side, state.position_side) in (("sell", "long"), ("buy", "short"))
    return state.reduce_only or state.close_position or hedge_close


class Account:
    """One user's account. Amounts are in units of 1e-8."""

    def __init__(self, user: SimUser, mode: PositionMode) -> None:
        self.user = user
        self.mode: PositionMode = mode
        self.settings: dict[str, SymbolSettings] = {}
        self.positions = PositionBook(user.name)
        self.totals: dict[str, int] = {}
        self.locked: dict[str, int] = {}
        self.entries: deque[LedgerEntry] = deque(maxlen=_ENTRIES_KEPT)
        self.fills: deque[SimFill] = deque(maxlen=_FILLS_KEPT)
        self.told: dict[str, tuple[int, int]] = {}
        """Total and lock of each currency as the journal has them."""
        self._orders: dict[int, LiveOrder] = {}
        self._open: dict[int, LiveOrder] = {}
        self._closed: deque[int] = deque()
        self._by_client: dict[str, list[int]] = {}
        self._events: list[AccountEvent] = []
        self._events_base = 0
        self._booked = 0

    def deposits(self, currencies: Iterable[str]) -> list[tuple[str, int]]:
        """Return the starting balances of these currencies.

        Raises:
            ConfigError: one is negative, or has more than 8 places.
        """
        found: list[tuple[str, int]] = []
        for currency in sorted(set(currencies) & set(self.user.balances)):
            text = self.user.balances[currency]
            value = Decimal(text)
            numerator, denominator = value.as_integer_ratio()
            units, rest = divmod(numerator * _E8, denominator)
            if rest or units < 0:
                raise ConfigError(f"{self.user.name} cannot start with {text} {currency}")
            found.append((currency, units))
        return found

    def book(
        self, ts: int, currency: str, change: int, kind: LedgerKind, symbol: str = "", trade: int | None = None
    ) -> None:
        """Book a change of what is owned; a change of nothing is not booked."""
        if change == 0:
            return
        self._booked += 1
        self.totals[currency] = self.totals.get(currency, 0) + change
        self.entries.append(LedgerEntry(self._booked, self.user.name, ts, currency, change, kind, symbol, trade))

    def lock(self, order: LiveOrder, currency: str, amount: int) -> None:
        """Hold funds for an order, instead of what was held for it before."""
        self.unlock(order)
        if amount:
            order.lock_currency, order.lock_e8 = currency, amount
            self.locked[currency] = self.locked.get(currency, 0) + amount

    def unlock(self, order: LiveOrder) -> None:
        """Free what is held for an order."""
        if order.lock_e8:
            self.locked[order.lock_currency] -= order.lock_e8
            order.lock_e8 = 0

    def unlocked(self, currency: str) -> int:
        """Return what of a spot currency is free."""
        return self.totals.get(currency, 0) - self.locked.get(currency, 0)

    @contextmanager
    def without(self, order: LiveOrder) -> Generator[None]:
        """Look at the account as if an open order were not there."""
        kept, currency, amount = self._open, order.lock_currency, order.lock_e8
        self._open = {order_id: other for order_id, other in kept.items() if other is not order}
        self.unlock(order)
        try:
            yield
        finally:
            self._open = kept
            self.lock(order, currency, amount)

    # Orders ----------------------------------------------------------------------------------------------------------

    def add(self, order: LiveOrder) -> None:
        """Take in a new order."""
        state = order.state
        self._orders[state.id] = self._open[state.id] = order
        if state.client_id is not None:
            self._by_client.setdefault(state.client_id, []).append(state.id)

    def close(self, order: LiveOrder) -> None:
        """Move an order that is no longer open to the history, which has an end."""
        del self._open[order.state.id]
        self._closed.append(order.state.id)
        if len(self._closed) > _CLOSED_KEPT:
            oldest = self._orders.pop(self._closed.popleft()).state
            if oldest.client_id is not None:
                ids = self._by_client[oldest.client_id]
                ids.remove(oldest.id)
                if not ids:
                    del self._by_client[oldest.client_id]

    def find(
        self, symbol: str, order_id: int | None, client_id: str | None, conditional: bool | None
    ) -> LiveOrder | None:
        """Return an order by id, or the newest of a client id."""
        ids = [order_id] if order_id is not None else reversed(self._by_client.get(client_id or "", []))
        for candidate in ids:
            order = self._orders.get(candidate)
            if (
                order is not None
                and order.state.symbol == symbol
                and (conditional is None or (order.state.trigger is not None) == conditional)
            ):
                return order
        return None

    def with_client_id(self, client_id: str) -> Iterator[LiveOrder]:
        """Yield the kept orders of a client id, newest first, of all symbols."""
        return (self._orders[order_id] for order_id in reversed(self._by_client.get(client_id, [])))

    def open_orders(self, symbol: str | None = None) -> list[LiveOrder]:
        """Return open orders, oldest first."""
        return [order for order in self._open.values() if symbol is None or order.state.symbol == symbol]

    def all_orders(self, symbol: str | None = None) -> list[LiveOrder]:
        """Return all kept orders, oldest first."""
        return [order for order in self._orders.values() if symbol is None or order.state.symbol == symbol]

    # Journal ---------------------------------------------------------------------------------------------------------

    @property
    def cursor(self) -> int:
        """The journal's end."""
        return self._events_base + len(self._events)

    def tell(self, event: AccountEvent) -> None:
        """Add to the journal."""
        self._events.append(event)
        if len(self._events) > 2 * _EVENTS_KEPT:
            del self._events[:_EVENTS_KEPT]
            self._events_base += _EVENTS_KEPT

    def events(self, cursor: int) -> Sequence[AccountEvent]:
        """Return the journal from ``cursor`` on; LookupError when that is no longer kept."""
        if cursor < self._events_base:
            raise LookupError(f"the journal starts at {self._events_base}, {cursor} is asked for")
        return self._events[cursor - self._events_base :]
