"""What is known of every order, from answers, pushes and queries in whatever order they come.

An order moves along ``pending → open → partially_filled → filled | canceled | expired | rejected``, and never back:

- A message that is older than what is known, or says it again, changes nothing. How much is filled only grows.
- An end is final. A fill that comes late still counts; when it completes the order, ``canceled`` becomes ``filled``.
- ``pending``, ``unknown`` after a lost answer, and ``rejected`` without the venue's word are our own conclusions:
  whatever the venue says replaces them.
- A word of the venue that has no meaning for us leaves an order ``unknown`` and open, until a whole list of open orders
  lacks it: then it is over. Being told as open, or being listed, brings it back.
- ``filled`` is the larger of what the venue says and what the fills add up to. While every fill is known, ``average``
  is the average of the fills (28 digits), else what the venue said with that total, else None.

Pure: no I/O, no clock.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from typing import Final

from msgspec import Struct, structs

from unitape_schemas import Fill, Order, OrderStatus

__all__ = ["CLOSED_KEPT", "ORPHANS_KEPT", "OrderTracker", "Tracked", "is_final"]

CLOSED_KEPT: Final = 10_000
"""Orders that have ended and are kept; the oldest leave first. Open orders are always kept."""
ORPHANS_KEPT: Final = 10_000
"""Fills kept of orders that nobody has told of yet."""

FINAL: Final[frozenset[OrderStatus]] = frozenset({"filled", "canceled", "rejected", "expired"})
_RANK: Final[dict[OrderStatus, int]] = {"pending": 0, "open": 1, "unknown": 1, "partially_filled": 2}
ZERO: Final = Decimal(0)

NEVER_ARRIVED: Final = "never arrived"
OUTCOME_UNKNOWN: Final = "outcome unknown"
REFUSED: Final = "refused"
NOT_FOUND: Final = "not found"


def is_final(status: OrderStatus) -> bool:
    """Tell whether an order of this status can no longer be filled, apart from fills told late."""
    return status in FINAL


class Tracked:
    """One order. ``order`` is what is known now, ``fills`` the executions known, oldest told first."""

    __slots__ = ("_told_average", "_told_filled", "cost", "fills", "heard", "local", "order", "over", "said", "size")

    def __init__(self, order: Order, *, local: bool) -> None:
        self.order = order
        self.fills: dict[tuple[str, str], Fill] = {}
        self.local = local
        """True while the status is our own conclusion and not the venue's word."""
        self.said = order.status
        """The status as it was told. That of ``order`` follows from it and from the fills."""
        self.over = False
        """True when its status is a word that we do not know, and the venue lists it no more."""
        self.heard = 0
        """The tracker's count when the venue last told of it."""
        self.size = ZERO
        """What the known fills add up to, base units."""
        self.cost = ZERO
        """The same in quote units."""
        self._told_filled = order.filled or ZERO
        self._told_average = order.average

    @property
    def fills_missing(self) -> bool:
        """True while the venue says that more is filled than the known fills add up to."""
        return self._told_filled > self.size

    @property
    def told_filled(self) -> Decimal:
        """What the venue says is filled, base units."""
        return self._told_filled

    @property
    def ended(self) -> bool:
        """True when it can no longer be filled, as far as is known."""
        return self.over or is_final(self.order.status)

    def merge(self, told: Order, *, local: bool) -> None:
        """Take what somebody says of the order."""
        if local and not self.local:
            return
        known = structs.replace(self.order, status=self.said)
        newer = self.local or _is_newer(told, known, max(self._told_filled, self.size))
        first, second = (told, known) if newer else (known, told)
        if told.filled is not None and told.filled >= self._told_filled:
            if told.filled > self._told_filled or told.average is not None:
                self._told_average = told.average
            self._told_filled = told.filled
        merged = _overlay(first, second)
        status, raw = _status(known, told, newer=newer)
        if (status, raw) != (known.status, known.raw_status):
            self.over = False
        self.local = local
        # A venue may name the message that ended an order; the order's own name is the one it was sent with.
        name = known.client_id or told.client_id
        self.conclude(structs.replace(merged, client_id=name), status, raw)
        self.settle()

    def conclude(self, order: Order, status: OrderStatus, raw: str) -> None:
        """Set what is known, and the status that was told with it."""
        self.said = status
        self.order = structs.replace(order, status=status, raw_status=raw)

    def add(self, fill: Fill) -> bool:
        """Take an execution; False if it was known."""
        key = (fill.id, fill.order_id)
        if key in self.fills:
            return False
        self.fills[key] = fill
        self.size += fill.size
        self.cost += fill.size * fill.price
        if self.local:
            # Only what is on the venue's book can be filled.
            self.local = False
            self.said = "open"
        self.order = structs.replace(
            self.order,
            ts_event=fill.ts_event,
            ts_sent=fill.ts_sent,
            ts_recv=fill.ts_recv,
            ts_updated=max(self.order.ts_updated, fill.ts_event),
            origin=fill.origin,
        )
        self.settle()
        return True

    def settle(self) -> None:
        """Make total, average and status agree."""
        order = self.order
        filled = max(self._told_filled, self.size)
        average = None
        if filled:
            average = _plain(self.cost / self.size) if self.size == filled else None
            if average is None and self._told_filled == filled:
                average = self._told_average
        status = self.said
        if order.size is not None and order.size > 0 and filled >= order.size and status != "rejected":
            status = "filled"
        elif filled and status in ("open", "pending"):
            status = "partially_filled"
        known = filled if filled or order.filled is not None or status == "filled" else None
        self.order = structs.replace(order, filled=known, average=average, status=status)


class Change(Struct, frozen=True):
    """What one message changed: the order as it stands now, and the fill that was new."""

    order: Order | None = None
    fill: Fill | None = None

    def __bool__(self) -> bool:
        return self.order is not None or self.fill is not None

    def __iter__(self) -> Iterator[Order | Fill]:
        """Yield the fill and the order, as far as they are new: what caused a change stands before it."""
        if self.fill is not None:
            yield self.fill
        if self.order is not None:
            yield self.order


class OrderTracker:
    """Every order of one account on one market that is open or ended lately."""

    def __init__(self) -> None:
        self._open: dict[int, Tracked] = {}
        self._closed: OrderedDict[int, Tracked] = OrderedDict()
        self._by_id: dict[tuple[str, str], Tracked] = {}
        self._by_client: dict[tuple[str, str], list[Tracked]] = {}
        self._orphans: OrderedDict[tuple[str, str, str], Fill] = OrderedDict()
        self._incomplete: dict[int, Tracked] = {}
        self._heard = 0

    def __len__(self) -> int:
        return len(self._open) + len(self._closed)

    def submitted(self, order: Order) -> Change:
        """An order is about to be sent; ``order`` is ``pending`` and has a client id."""
        named = self.named(order.symbol, order.client_id) if order.client_id is not None else ()
        if named and not named[-1].local:
            # Its name was used before, by an order that the venue told of: this is another one.
            return self._new(order, local=True)
        return self._told(order, local=True)

    def refused(self, symbol: str, client_id: str, why: str) -> Change:
        """The order was certainly not placed, by the venue's word or because nothing left."""
        return self._conclude(symbol, client_id, "rejected", why or REFUSED)

    def doubted(self, symbol: str, client_id: str) -> Change:
        """The answer to the order is lost: its outcome is unknown."""
        return self._conclude(symbol, client_id, "unknown", OUTCOME_UNKNOWN)

    def absent(self, symbol: str, client_id: str) -> Change:
        """Agreeing reads found no such order. Whatever the venue says of it later wins."""
        return self._conclude(symbol, client_id, "rejected", NEVER_ARRIVED)

    def told(self, order: Order) -> Change:
        """The venue says how an order stands, in an answer, a push or a query."""
        return self._told(order, local=False)

    def filled(self, fill: Fill) -> Change:
        """The venue tells an execution. One of an order that nobody has told of waits for it."""
        tracked = self._find(fill.symbol, fill.order_id, None)
        if tracked is None and fill.client_id is not None:
            # What waits for a trigger may not be what was executed: another order of its name may be.
            named = self.named(fill.symbol, fill.client_id)
            tracked = next((t for t in named if t.order.id is None and t.order.trigger is None), None)
            if tracked is not None:
                self._identify(tracked, fill.order_id)
        if tracked is None:
            key = (fill.symbol, fill.order_id, fill.id)
            if key in self._orphans:
                return Change()
            self._orphans[key] = fill
            if len(self._orphans) > ORPHANS_KEPT:
                self._orphans.popitem(last=False)
            return Change(fill=fill)
        self._hear(tracked)
        before = tracked.order
        ours = fill if fill.client_id is not None else structs.replace(fill, client_id=before.client_id)
        if not tracked.add(ours):
            return Change()
        self._file(tracked)
        return Change(tracked.order if _differs(before, tracked.order) else None, ours)

    def get(self, symbol: str, *, id: str | None = None, client_id: str | None = None) -> Tracked | None:  # noqa: A002
        """Return an order by the venue's id, else by client id; of several of one client id the newest."""
        return self._find(symbol, id, client_id)

    def mark(self) -> int:
        """Return a mark of now, to tell what was heard of since."""
        return self._heard

    def missed(self, tracked: Tracked) -> Change:
        """An order that should be open is nowhere to be found: we do not know what became of it."""
        before = tracked.order
        tracked.conclude(before, "unknown", NOT_FOUND)
        tracked.settle()
        self._file(tracked)
        return Change(tracked.order if _differs(before, tracked.order) else None)

    def open(self, symbol: str | None = None) -> list[Tracked]:
        """Return the orders that have not ended, oldest first; those of unknown outcome are among them."""
        return [one for one in self._open.values() if symbol is None or one.order.symbol == symbol]

    def closed(self, symbol: str | None = None) -> list[Tracked]:
        """Return the orders that have ended and are kept, oldest end first."""
        return [one for one in self._closed.values() if symbol is None or one.order.symbol == symbol]

    def incomplete(self) -> list[Tracked]:
        """Return the orders of which fills are missing."""
        return list(self._incomplete.values())

    def vanished(self, open_now: Iterable[Order], mark: int, symbol: str | None = None) -> list[Tracked]:
        """Return what should be open and is not in the venue's whole list: not heard of since ``mark``."""
        listed = _Listed(open_now)
        return [one for one in self.open(symbol) if one not in listed and not one.local and one.heard <= mark]

    def unlisted(self, open_now: Sequence[Order], mark: int, symbol: str | None = None) -> list[Tracked]:
        """Hold a whole list of open orders, asked for at ``mark``, against those of unknown words; return what is over.

        What was taken for over and is listed is brought back.
        """
        for order in open_now:
            known = self._find(order.symbol, order.id, order.client_id)
            if known is not None and known.over:
                known.over = False
                self._file(known)
        return [one for one in self.vanished(open_now, mark, symbol) if self.let_go(one)]

    def let_go(self, tracked: Tracked) -> bool:
        """Take an order for over that the venue does not list as open; False if its status says something else."""
        order = tracked.order
        if tracked.local or order.status != "unknown" or order.raw_status == NOT_FOUND:
            return False
        tracked.over = True
        self._file(tracked)
        return True

    def _told(self, order: Order, *, local: bool) -> Change:
        tracked = self._match(order)
        if tracked is None:
            return self._new(order, local=local)
        before = tracked.order
        if order.id is not None and before.id is None:
            self._identify(tracked, order.id)
        if order.client_id is not None and before.client_id is None:
            self._by_client.setdefault((order.symbol, order.client_id), []).append(tracked)
            self._join(tracked, order.client_id)
        tracked.merge(order, local=local)
        if not local:
            self._hear(tracked)
        self._adopt(tracked)
        self._file(tracked)
        return Change(tracked.order if _differs(before, tracked.order) else None)

    def _new(self, order: Order, *, local: bool) -> Change:
        tracked = Tracked(order, local=local)
        self._index(tracked)
        if not local:
            self._hear(tracked)
        self._adopt(tracked)
        tracked.settle()
        self._file(tracked)
        return Change(tracked.order)

    def _hear(self, tracked: Tracked) -> None:
        self._heard += 1
        tracked.heard = self._heard

    def _conclude(self, symbol: str, client_id: str, status: OrderStatus, raw: str) -> Change:
        tracked = next((t for t in self.named(symbol, client_id) if t.local), None)
        if tracked is None:
            return Change()
        before = tracked.order
        tracked.conclude(before, status, raw)
        self._file(tracked)
        return Change(tracked.order if _differs(before, tracked.order) else None)

    def _match(self, order: Order) -> Tracked | None:
        """Return the order that is meant. A client id alone means the one that has no id of the venue yet.

        Two orders of one client id and two ids are two orders: what a conditional order sends may bear its name.
        """
        if order.id is not None:
            known = self._by_id.get((order.symbol, order.id))
            if known is not None:
                return known
        if order.client_id is None:
            return None
        named = self.named(order.symbol, order.client_id)
        if order.id is None:
            return named[-1] if named else None
        return next((one for one in named if one.order.id is None and not _is_child(order, one.order)), None)

    def _join(self, tracked: Tracked, client_id: str) -> None:
        """Drop what stood for an order before it was recognized: it was told of without its client id at first."""
        for twin in list(self.named(tracked.order.symbol, client_id)):
            if twin is not tracked and twin.local and twin.order.id is None:
                self._forget(twin)

    def _find(self, symbol: str, id: str | None, client_id: str | None) -> Tracked | None:  # noqa: A002
        if id is not None:
            return self._by_id.get((symbol, id))
        named = self.named(symbol, client_id) if client_id is not None else ()
        return named[-1] if named else None

    def named(self, symbol: str, client_id: str) -> Sequence[Tracked]:
        """Return the orders of one client id: one whose name was used before, and what a conditional one has sent."""
        return self._by_client.get((symbol, client_id), [])

    def _index(self, tracked: Tracked) -> None:
        order = tracked.order
        if order.id is not None:
            self._by_id[(order.symbol, order.id)] = tracked
        if order.client_id is not None:
            self._by_client.setdefault((order.symbol, order.client_id), []).append(tracked)

    def _identify(self, tracked: Tracked, order_id: str) -> None:
        tracked.order = structs.replace(tracked.order, id=order_id)
        self._by_id[(tracked.order.symbol, order_id)] = tracked

    def _adopt(self, tracked: Tracked) -> None:
        """Count fills that came before their order."""
        order = tracked.order
        if not self._orphans or order.id is None:
            return
        mine = [key for key in self._orphans if key[0] == order.symbol and key[1] == order.id]
        for key in mine:
            tracked.add(self._orphans.pop(key))

    def _file(self, tracked: Tracked) -> None:
        """Keep an order among the open ones or the ended ones, and drop the oldest ended one too many."""
        name = id(tracked)
        if tracked.fills_missing:
            self._incomplete[name] = tracked
        else:
            self._incomplete.pop(name, None)
        if not tracked.ended:
            self._closed.pop(name, None)
            self._open[name] = tracked
            return
        self._open.pop(name, None)
        self._closed[name] = tracked
        while len(self._closed) > CLOSED_KEPT:
            self._forget(next(iter(self._closed.values())))

    def _forget(self, tracked: Tracked) -> None:
        for kept in (self._open, self._closed, self._incomplete):
            kept.pop(id(tracked), None)
        order = tracked.order
        if order.id is not None:
            self._by_id.pop((order.symbol, order.id), None)
        if order.client_id is not None:
            key = (order.symbol, order.client_id)
            named = self._by_client.get(key, [])
            named.remove(tracked)
            if not named:
                self._by_client.pop(key, None)


class _Listed:
    """What a list of open orders names, by id or by client id."""

    def __init__(self, orders: Iterable[Order]) -> None:
        self._names: set[tuple[str, bool, str]] = set()
        for order in orders:
            self._names |= {(order.symbol, *name) for name in _names(order)}

    def __contains__(self, tracked: Tracked) -> bool:
        order = tracked.order
        return any((order.symbol, *name) in self._names for name in _names(order))


def _names(order: Order) -> list[tuple[bool, str]]:
    return [(kind, name) for kind, name in ((True, order.id), (False, order.client_id)) if name is not None]


_KEEPS: Final = ("id", "client_id", "kind", "tif", "price", "trigger", "size", "reduce_only", "position_side")
"""What a message may leave out without meaning that it is gone."""
_IGNORED: Final = frozenset({"ts_event", "ts_sent", "ts_recv", "ts_updated", "origin", "raw_status"})
_COMPARED: Final = tuple(name for name in Order.__struct_fields__ if name not in _IGNORED)


def _is_child(told: Order, known: Order) -> bool:
    """Tell whether what is told was sent by what is known, which waited for a trigger, and bears its name."""
    return known.trigger is not None and told.trigger is None and told.kind in ("limit", "market")


def _plain(number: Decimal) -> Decimal:
    """Return the same number without a positive exponent: 9.5E+4 is written 95000."""
    exponent = number.as_tuple().exponent
    return number.quantize(Decimal(1)) if isinstance(exponent, int) and exponent > 0 else number


def _differs(before: Order, after: Order) -> bool:
    """Tell whether anything changed that somebody would act on."""
    return any(getattr(before, name) != getattr(after, name) for name in _COMPARED)


def _overlay(first: Order, second: Order) -> Order:
    """Return ``first``, completed from ``second`` where it says nothing."""
    missing = {name: getattr(second, name) for name in _KEEPS if getattr(first, name) is None}
    created = first.ts_created or second.ts_created
    return structs.replace(first, **missing, ts_created=created, ts_updated=max(first.ts_updated, second.ts_updated))


def _is_newer(told: Order, known: Order, filled: Decimal) -> bool:
    """Tell whether a message is at least as new as what is known of the same order."""
    if is_final(known.status):
        return is_final(told.status) and told.ts_updated > known.ts_updated
    if is_final(told.status):
        return True
    if told.filled is not None and told.filled != filled:
        return told.filled > filled
    if told.ts_updated and known.ts_updated and told.ts_updated != known.ts_updated:
        return told.ts_updated > known.ts_updated
    return _RANK[told.status] >= _RANK[known.status]


def _status(known: Order, told: Order, *, newer: bool) -> tuple[OrderStatus, str]:
    if newer and not (told.status == "canceled" and known.status == "filled"):
        return told.status, told.raw_status
    return known.status, known.raw_status
