"""An account as it stands, without asking: orders, fills, balances and positions, kept by whatever brings news.

While a private stream runs, ``live`` is True and reading here replaces polling. Without one, this holds what answers
and queries told.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Final

import anyio
from msgspec import structs

from unitape.trade.tracking import Change, OrderTracker
from unitape_schemas import AccountEvent, Balance, Fill, Order, Position, PositionSide

__all__ = ["AccountState"]

_BALANCE_PARTS: Final = ("free", "locked", "total", "equity", "available_margin", "unrealized_pnl")


class AccountState:
    """One account on one market. Reading is synchronous and costs no request."""

    def __init__(self, *, one_way: Callable[[], bool] = lambda: False) -> None:
        """``one_way`` tells whether a symbol has one position only, so that a flip replaces the other side."""
        self.tracker = OrderTracker()
        self._live = False
        self._one_way = one_way
        self._hedged = False
        """True once both sides of a symbol were listed, whatever the settings say."""
        self._pushed: dict[str, Balance] = {}
        """The latest push of each currency, as it came."""
        self._balances: dict[str, Balance] = {}
        self._positions: dict[tuple[str, PositionSide], Position] = {}
        self._changed = anyio.Event()
        self._touched: dict[object, int] = {}
        self._pushes = 0

    @property
    def live(self) -> bool:
        """True while a private stream stands and has been compared with the venue's queries."""
        return self._live

    @live.setter
    def live(self, live: bool) -> None:
        if live != self._live:
            self._live = live
            self._wake()

    # Reading

    def order(self, symbol: str, *, id: str | None = None, client_id: str | None = None) -> Order | None:  # noqa: A002
        """Return what is known of an order; None if nothing is."""
        tracked = self.tracker.get(symbol, id=id, client_id=client_id)
        return None if tracked is None else tracked.order

    def open_orders(self, symbol: str | None = None) -> list[Order]:
        """Return the orders that have not ended, those of unknown outcome included, oldest first."""
        return [tracked.order for tracked in self.tracker.open(symbol)]

    def closed_orders(self, symbol: str | None = None) -> list[Order]:
        """Return the newest orders that have ended, oldest end first."""
        return [tracked.order for tracked in self.tracker.closed(symbol)]

    def fills(self, symbol: str, *, id: str | None = None, client_id: str | None = None) -> tuple[Fill, ...]:  # noqa: A002
        """Return the known executions of an order, oldest told first."""
        tracked = self.tracker.get(symbol, id=id, client_id=client_id)
        return () if tracked is None else tuple(tracked.fills.values())

    def balances(self) -> list[Balance]:
        """Return what is known of each currency, by name.

        What a push leaves out keeps its last value until the next query, which follows soon.
        """
        return [self._balances[name] for name in sorted(self._balances)]

    def balance(self, currency: str) -> Balance | None:
        """Return what is known of one currency."""
        return self._balances.get(currency)

    def positions(self, symbol: str | None = None) -> list[Position]:
        """Return the open positions."""
        return [p for (name, _), p in sorted(self._positions.items()) if symbol is None or name == symbol]

    async def changed(self) -> None:
        """Wait until something changes: an order, a fill, a balance, a position, or ``live``."""
        await self._changed.wait()

    async def settled(self, symbol: str, *, id: str | None = None, client_id: str | None = None) -> Order:  # noqa: A002
        """Wait until an order has ended, and return it. Bound it with ``anyio.fail_after`` where that is wanted.

        It may end as ``unknown``: with a word of the venue that we have no status for, and no longer listed as open.
        """
        while True:
            found = self.tracker.get(symbol, id=id, client_id=client_id)
            if found is not None and found.ended:
                return found.order
            await self.changed()

    # Telling

    def take(self, event: AccountEvent) -> list[AccountEvent]:
        """Take one piece of news and return what was new in it, in order: nothing when it was known."""
        if isinstance(event, Order):
            return self.changes(self.tracker.told(event))
        if isinstance(event, Fill):
            return self.changes(self.tracker.filled(event))
        if isinstance(event, Balance):
            return self._take_balance(event)
        return self._take_position(event)

    def changes(self, change: Change) -> list[AccountEvent]:
        """Wake who waits if something changed, and return it as events."""
        found: list[AccountEvent] = list(change)
        if found:
            self._wake()
        return found

    def mark(self) -> int:
        """Return a mark of now: what is pushed from here on is newer than a query that is sent now."""
        return self._pushes

    def take_balances(self, found: Sequence[Balance], mark: int) -> tuple[list[AccountEvent], bool]:
        """Take a whole list from a query; return what was new, and whether it must be repeated: pushes came meanwhile.

        What was pushed since ``mark`` is newer; of the list only what the push left out counts. A currency that
        the list lacks is gone: it is told with zeros.
        """
        again = False
        news: list[AccountEvent] = []
        listed = {balance.currency for balance in found}
        gone = [
            _emptied(known) for name, known in self._balances.items() if name not in listed and not _is_empty(known)
        ]
        for balance in (*found, *gone):
            if self._touched.get(balance.currency, 0) <= mark:
                news += self._put_balance(balance)
            elif left_out := _left_out(self._pushed[balance.currency], balance):
                again = True
                known = self._balances[balance.currency]
                news += self._put_balance(structs.replace(known, **left_out))
        return news, again

    def take_positions(self, found: Sequence[Position], mark: int) -> tuple[list[AccountEvent], bool]:
        """Take a whole list from a query; return what was new, and whether it must be repeated: pushes came meanwhile.

        A position that the list lacks is closed: size 0.
        """
        again = False
        news: list[AccountEvent] = []
        listed = {(position.symbol, position.side): position for position in found if position.size}
        both = any((symbol, "short" if side == "long" else "long") in listed for symbol, side in listed)
        self._hedged = both or (self._hedged and bool(listed))
        gone = [_closed(known) for name, known in self._positions.items() if name not in listed]
        for position in (*gone, *listed.values()):
            if self._touched.get(position.symbol, 0) > mark:
                again = True
            else:
                news += self._set_position(position)
        if news:
            self._wake()
        return news, again

    def is_thin(self, event: AccountEvent) -> bool:
        """Tell whether a pushed balance leaves out what was known before, so that a query should follow."""
        if not isinstance(event, Balance):
            return False
        known = self._balances.get(event.currency)
        return known is not None and bool(_left_out(event, known))

    def listed(self, open_now: Sequence[Order], mark: int, symbol: str | None = None) -> None:
        """Hold the whole list of open orders, of one symbol if given, against those whose status we do not understand.

        ``mark`` is the tracker's when the list was asked for. What is of such a status and not listed is over.
        """
        if self.tracker.unlisted(open_now, mark, symbol):
            self._wake()

    def _take_balance(self, event: Balance) -> list[AccountEvent]:
        known = self._balances.get(event.currency)
        if known is not None and 0 < event.ts_event < known.ts_event:
            return []
        self._touch(event.currency)
        self._pushed[event.currency] = event
        return self._put_balance(event)

    def _put_balance(self, event: Balance) -> list[AccountEvent]:
        known = self._balances.get(event.currency)
        kept = {
            part: getattr(known, part) for part in _BALANCE_PARTS if known is not None and getattr(event, part) is None
        }
        merged = structs.replace(event, **kept)
        self._balances[event.currency] = merged
        if known is not None and _same(known, merged):
            return []
        self._wake()
        return [event]

    def _take_position(self, event: Position) -> list[AccountEvent]:
        rivals = [known for (symbol, _), known in self._positions.items() if symbol == event.symbol]
        if any(0 < event.ts_event < known.ts_event for known in rivals if self._one_sided or known.side == event.side):
            return []
        self._touch(event.symbol)
        return self._put_position(event)

    @property
    def _one_sided(self) -> bool:
        return self._one_way() and not self._hedged

    def _put_position(self, event: Position) -> list[AccountEvent]:
        news: list[AccountEvent] = []
        other: PositionSide = "short" if event.side == "long" else "long"
        rival = self._positions.get((event.symbol, other))
        if rival is not None and self._one_sided:
            # Only one side stands in one-way mode; a closed position may be told as either.
            news += self._set_position(_closed(rival, event))
        news += self._set_position(event)
        if news:
            self._wake()
        return news

    def _set_position(self, event: Position) -> list[AccountEvent]:
        key = (event.symbol, event.side)
        known = self._positions.pop(key, None)
        if not event.size:
            return [event] if known is not None else []
        self._positions[key] = event
        return [] if known is not None and _same(known, event) else [event]

    def _touch(self, name: object) -> None:
        self._pushes += 1
        self._touched[name] = self._pushes

    def _wake(self) -> None:
        self._changed.set()
        self._changed = anyio.Event()


def _same(first: Balance | Position, second: Balance | Position) -> bool:
    """Tell whether two say the same, whenever they said it."""
    return all(
        getattr(first, name) == getattr(second, name)
        for name in first.__struct_fields__
        if name not in ("ts_event", "ts_sent", "ts_recv")
    )


def _left_out(push: Balance, whole: Balance) -> dict[str, Decimal]:
    """Return what one says and the other leaves out."""
    return {
        part: getattr(whole, part)
        for part in _BALANCE_PARTS
        if getattr(push, part) is None and getattr(whole, part) is not None
    }


def _is_empty(balance: Balance) -> bool:
    return not any(getattr(balance, part) for part in _BALANCE_PARTS)


def _emptied(balance: Balance) -> Balance:
    zeros = {part: Decimal(0) for part in _BALANCE_PARTS if getattr(balance, part) is not None}
    return structs.replace(balance, **zeros)


def _closed(position: Position, like: Position | None = None) -> Position:
    """Return a position as closed, stamped like the news that says so."""
    stamps = position if like is None else like
    return structs.replace(
        position,
        ts_event=stamps.ts_event,
        ts_sent=stamps.ts_sent,
        ts_recv=stamps.ts_recv,
        size=Decimal(0),
        entry=None,
        mark=None,
        liquidation=None,
        unrealized_pnl=None,
        margin=None,
    )
