"""A buffer that has no room left: what is thrown away, and in which order.

``Spill`` takes over from the plain list when that is full, and hands over to it again at the consumer's next read.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterable
from typing import Final, TypeAlias

from msgspec import structs

from unitape.books.merge import merge_deltas
from unitape.losses import BookGates, BookKey, Loss, Losses
from unitape_schemas import (
    BookDelta,
    BookSnapshot,
    Candle,
    Event,
    Funding,
    MarkPrice,
    OpenInterest,
    Quote,
    Status,
    Ticker,
    TopBook,
)

__all__ = ["Spill"]

RUN_LIMIT: Final = 64
"""Deltas of one book that are kept apart before they are merged into one: merging each on arrival would cost the
whole book every time."""

_PLAIN: Final = frozenset((Quote, Ticker, Funding, OpenInterest))
"""Events of which the latest one of a symbol says all that the earlier ones said."""


class _Run:
    """Consecutive deltas of one book and one epoch, to be read as one."""

    __slots__ = ("deltas",)

    def __init__(self, delta: BookDelta) -> None:
        self.deltas = [delta]


_Item: TypeAlias = Event | Loss | _Run
_LatestKey: TypeAlias = tuple[object, ...]


class Spill:
    """Events in order, numbered by arrival, of which the oldest make room for the newest.

    Statuses are never dropped. When they alone fill the buffer, equal ones (venue, symbol, code, subscription) become
    one with their counts added. Dropping one event of a book drops the rest of that chain up to its next snapshot.

    With ``conflates`` the latest quote, ticker, funding, open interest, mark price, top book and unfinished candle of
    a symbol replaces the earlier one, deltas of a book merge, and a snapshot replaces all of its book. The survivor
    stands where it arrived, not where its predecessor did, so that nobody reads a quote before the trades that came
    before it. Everything else (trades, liquidations, finished candles, account events) is kept one by one; when that
    alone fills the buffer its oldest are dropped and counted.
    """

    def __init__(self, capacity: int, losses: Losses, gates: BookGates, *, conflates: bool) -> None:
        self._capacity = capacity
        self._losses = losses
        self._gates = gates
        self._conflates = conflates
        self._items: dict[int, _Item] = {}
        self._next = 0
        self._held = 0
        self._statuses = 0
        self._status_limit = capacity
        self._firm: deque[int] = deque()
        self._soft: OrderedDict[int, None] = OrderedDict()
        self._latest: dict[_LatestKey, int] = {}
        self._chains: dict[BookKey, deque[int]] = {}
        self.conflated: dict[str, tuple[int, int]] = {}
        """By venue: how many events were replaced or merged, and the ``ts_recv`` of the last of them."""

    def __len__(self) -> int:
        return self._held

    def put(self, events: Iterable[Event]) -> None:
        """Take events, and make room for them."""
        for event in events:
            if self._gates and self._gates.withholds(event):
                continue
            if type(event) is Status:
                self._statuses += 1
                self._append(event)
            elif isinstance(event, (BookDelta, BookSnapshot)):
                self._put_book(event)
            elif self._conflates and (key := _latest_key(event)) is not None:
                self._replace(key, event)
            else:
                self._firm.append(self._append(event))
            while self._held > self._capacity and self._drop_oldest():
                pass
        if self._held > self._capacity and self._statuses > self._status_limit:
            self._join_statuses()

    def take(self) -> list[Event | Loss]:
        """Return everything in order, losses in their places. The spill is empty afterwards, and done with."""
        return [self._merged(item) if isinstance(item, _Run) else item for item in self._items.values()]

    def _append(self, item: _Item) -> int:
        number = self._next
        self._next = number + 1
        self._items[number] = item
        self._held += 1
        return number

    def _replace(self, key: _LatestKey, event: Event) -> None:
        earlier = self._latest.get(key)
        if earlier is not None and earlier in self._soft:
            del self._soft[earlier]
            self._remove(earlier)
            self._count_conflated(event, 1)
        number = self._latest[key] = self._append(event)
        self._soft[number] = None

    def _put_book(self, event: BookDelta | BookSnapshot) -> None:
        chain = self._chains.setdefault((event.venue, event.symbol), deque())
        if not self._conflates:
            number = self._append(event)
            self._firm.append(number)
        elif isinstance(event, BookSnapshot):
            while chain:
                self._count_conflated(event, _size(self._forget(chain.popleft())))
            number = self._append(event)
            self._soft[number] = None
        else:
            number = self._append(self._extended(chain, event))
            self._soft[number] = None
        chain.append(number)

    def _extended(self, chain: deque[int], delta: BookDelta) -> _Run:
        run = self._items[chain[-1]] if chain else None
        if not isinstance(run, _Run) or not _follows(run.deltas[-1], delta):
            return _Run(delta)
        self._forget(chain.pop())
        run.deltas.append(delta)
        if len(run.deltas) >= RUN_LIMIT:
            run.deltas = [self._merged(run)]
        return run

    def _merged(self, run: _Run) -> BookDelta:
        if len(run.deltas) == 1:
            return run.deltas[0]
        self._count_conflated(run.deltas[-1], len(run.deltas) - 1)
        first, *rest = run.deltas
        return merge_deltas(first, _merge_evenly(rest))

    def _drop_oldest(self) -> bool:
        """Drop the oldest event that may be dropped; tell whether there was one."""
        while self._firm:
            number = self._firm.popleft()
            if number in self._items:
                self._drop(number)
                return True
        if self._soft:
            self._drop(next(iter(self._soft)))
            return True
        return False

    def _drop(self, number: int) -> None:
        item = self._items[number]
        if not isinstance(item, (BookDelta, BookSnapshot, _Run)):
            self._lose(number)
            return
        head = item.deltas[0] if isinstance(item, _Run) else item
        book = (head.venue, head.symbol)
        chain = self._chains[book]
        self._lose(chain.popleft())
        while chain and type(self._items[chain[0]]) is not BookSnapshot:
            self._lose(chain.popleft())
        if not chain:
            self._gates.shut(book)

    def _lose(self, number: int) -> None:
        item = self._items[number]
        assert not isinstance(item, Loss)
        event, count = (item.deltas[-1], len(item.deltas)) if isinstance(item, _Run) else (item, 1)
        loss = self._losses.add(event, count)
        if loss.placed:
            self._forget(number)
        else:
            loss.placed = True
            self._soft.pop(number, None)
            self._items[number] = loss
            self._held -= 1

    def _forget(self, number: int) -> _Item:
        self._soft.pop(number, None)
        return self._remove(number)

    def _remove(self, number: int) -> _Item:
        self._held -= 1
        return self._items.pop(number)

    def _count_conflated(self, event: Event, count: int) -> None:
        before = self.conflated.get(event.venue, (0, 0))[0]
        self.conflated[event.venue] = (before + count, event.ts_recv)

    def _join_statuses(self) -> None:
        kept: dict[tuple[str, str, str, str | None], int] = {}
        for number, item in list(self._items.items()):
            if not isinstance(item, Status):
                continue
            key = (item.venue, item.symbol, item.code, item.subscription)
            earlier = self._items.get(kept.get(key, -1))
            if isinstance(earlier, Status):
                self._remove(kept[key])
                count = None if earlier.count is None or item.count is None else earlier.count + item.count
                self._items[number] = structs.replace(item, count=count)
                self._statuses -= 1
                self._count_conflated(item, 1)
            kept[key] = number
        self._status_limit = max(self._capacity, 2 * len(kept))


def _follows(last: BookDelta, delta: BookDelta) -> bool:
    return delta.epoch == last.epoch and delta.prev_seq in (None, last.seq)


def _merge_evenly(deltas: list[BookDelta]) -> BookDelta:
    while len(deltas) > 1:
        pairs = zip(deltas[::2], deltas[1::2], strict=False)
        odd = deltas[-1:] if len(deltas) % 2 else []
        deltas = [merge_deltas(earlier, later) for earlier, later in pairs] + odd
    return deltas[0]


def _size(item: _Item) -> int:
    return len(item.deltas) if isinstance(item, _Run) else 1


def _latest_key(event: Event) -> _LatestKey | None:
    """Return what makes a later event replace this one; None when nothing does."""
    kind = type(event)
    if kind in _PLAIN:
        return kind, event.venue, event.symbol
    if isinstance(event, MarkPrice):
        # Some venues send mark and index on separate streams: one must not hide the other.
        return kind, event.venue, event.symbol, event.mark is None, event.index is None
    if isinstance(event, TopBook):
        return kind, event.venue, event.symbol, event.depth
    if isinstance(event, Candle) and not event.closed:
        return kind, event.venue, event.symbol, event.interval
    return None
