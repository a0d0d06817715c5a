"""Books and best prices on a grid of time: samples of whole books, and order-flow imbalance."""

from __future__ import annotations

from collections.abc import AsyncIterable, Iterator
from decimal import Context, Decimal
from typing import Final, Literal, TypeAlias

from unitape.books import OrderBook
from unitape.derive.base import MOST_BACK, MOST_PASSED, Derived, derived, nanoseconds
from unitape.derive.records import BookSample, FlowImbalance
from unitape.derive.trust import Key, Trust
from unitape.errors import ConfigError
from unitape_schemas import BookDelta, BookSnapshot, EventHead, Level, Quote, Status

__all__ = ["BestSource", "BookSamples", "FlowImbalances", "book_samples", "flow_imbalance"]

BestSource: TypeAlias = Literal["book", "quotes"]

_EXACT: Final = Context(prec=120)
_ZERO: Final = Decimal(0)


class _Grid:
    """Multiples of a span, passed by the arrivals of a stream."""

    def __init__(self, span: int) -> None:
        self.span = span
        self.set_back = False
        """Whether the clock was set back before the last arrival."""
        self._at: int | None = None

    def passed(self, ts_recv: int) -> range:
        """Return the multiples in (last arrival, this arrival], as indices. The first arrival passes none.

        Of more than ``MOST_PASSED`` only the first.
        """
        index = ts_recv // self.span
        before = self._at
        self.set_back = before is not None and before - index > MOST_BACK
        if before is None or index > before or self.set_back:
            self._at = index
        if before is None:
            return range(0)
        return range(before + 1, (index if index - before <= MOST_PASSED else before + 1) + 1)


class _Books:
    """The books of a stream, and which of them hold."""

    def __init__(self) -> None:
        self.books: dict[Key, OrderBook] = {}
        self.recv: dict[Key, int] = {}
        self.broken: set[Key] = set()
        self._trust = Trust("book")

    def take(self, event: BookSnapshot | BookDelta) -> OrderBook | None:
        """Apply an event and return its book; None while it has no valid state."""
        key = (event.venue, event.symbol)
        book = self.books.get(key)
        if isinstance(event, BookSnapshot):
            if book is None:
                book = self.books[key] = OrderBook(*key)
            book.load(event)
            self.broken.discard(key)
        elif book is None or key in self.broken:
            return None
        elif event.epoch != book.epoch or event.prev_seq not in (None, book.seq):
            # Part of the stream was filtered out; whatever follows would build on sand.
            self.broken.add(key)
            return None
        else:
            book.apply(event)
        self.recv[key] = event.ts_recv
        self._trust.seen(key, event.ts_recv)
        return book

    def note(self, status: Status) -> None:
        self._trust.note(status)

    def restart(self, ts_recv: int) -> None:
        self._trust.restart(ts_recv)

    def stale(self, key: Key) -> bool:
        """Tell whether something happened to a book since its last event."""
        return key in self.broken or not self._trust.holds(key, self.recv[key])


class BookSamples:
    """The best ``depth`` levels of every book at every multiple of ``seconds`` since 1970, by arrival.

    A sample shows the book before the first event that arrives at its moment or later; that event brings it out, with
    those of the moments that passed in between, oldest first, then in the order of the books' first snapshots. There
    is none before a book's first snapshot, and no level beyond what the book is verified to. From a gap, a
    disconnection or a loss of the consumer on, until the book's next event, samples are ``stale`` and show the last
    good state.
    """

    def __init__(self, seconds: float, *, depth: int = 10) -> None:
        if depth < 1:
            raise ConfigError(f"the depth must be at least 1, not {depth}")
        self._grid = _Grid(nanoseconds(seconds, "the interval"))
        self._depth = depth
        self._books = _Books()

    def take(self, record: EventHead, /) -> Iterator[BookSample]:
        """Take one record and yield the samples of the moments that have passed."""
        for index in self._grid.passed(record.ts_recv):
            yield from self._at(index * self._grid.span, record.ts_recv)
        if self._grid.set_back:
            self._books.restart(record.ts_recv)
        if isinstance(record, BookSnapshot | BookDelta):
            self._books.take(record)
        elif isinstance(record, Status):
            self._books.note(record)

    def finish(self) -> Iterator[BookSample]:
        """Yield nothing: no further moment has come."""
        return iter(())

    def _at(self, ts: int, ts_recv: int) -> Iterator[BookSample]:
        books = self._books
        for key, book in books.books.items():
            bids, asks = book.bids(self._depth), book.asks(self._depth)
            stale = books.stale(key)
            yield BookSample(
                *key, ts, 0, ts_recv, bids, asks, self._depth, book.seq, book.epoch, books.recv[key], stale
            )


class FlowImbalances:
    """Order-flow imbalance over spans that begin at multiples of ``seconds`` since 1970, by arrival.

    Each change of the best prices or sizes contributes, with P and q the best price and its size before and after::

        bid:  + q after   if P did not fall        - q before  if P did not rise
        ask:  - q after   if P did not rise        + q before  if P did not fall

    The best prices are those of the joined books (``source="book"``), or of the venues' own feeds (``"quotes"``). The
    first prices, those after a snapshot, and those after a side was empty have nothing to be compared with, and
    contribute nothing. Every symbol has one record for every span from its first prices on, brought out by the first
    record that arrives in a later span; quiet spans have 0. Sums are decimal.
    """

    def __init__(self, seconds: float, *, source: BestSource = "book") -> None:
        if source not in ("book", "quotes"):
            raise ConfigError(f"the source is book or quotes, not {source!r}")
        self._grid = _Grid(nanoseconds(seconds, "the interval"))
        self._source = source
        self._books = _Books()
        self._trust = Trust(source)
        self._flows: dict[Key, _Flow] = {}

    def take(self, record: EventHead, /) -> Iterator[FlowImbalance]:
        """Take one record and yield the spans that have ended."""
        for index in self._grid.passed(record.ts_recv):
            yield from self._end(index - 1, record.ts_recv)
        if self._grid.set_back:
            self._books.restart(record.ts_recv)
            self._trust.restart(record.ts_recv)
            for flow in self._flows.values():
                flow.sum, flow.updates = _ZERO, 0
        if isinstance(record, Status):
            self._trust.note(record)
            self._books.note(record)
        elif self._source == "quotes":
            if isinstance(record, Quote):
                self._best(record, (record.bid, record.bid_size), (record.ask, record.ask_size))
        elif isinstance(record, BookSnapshot | BookDelta):
            book = self._books.take(record)
            if isinstance(record, BookSnapshot):
                self._flows.setdefault((record.venue, record.symbol), _Flow()).forget()
            if book is not None:
                self._best(record, *book.best())

    def finish(self) -> Iterator[FlowImbalance]:
        """Yield nothing: the last span has not ended."""
        return iter(())

    def _best(self, record: EventHead, bid: Level | None, ask: Level | None) -> None:
        key = (record.venue, record.symbol)
        self._trust.seen(key, record.ts_recv)
        flow = self._flows.get(key)
        if flow is None:
            flow = self._flows[key] = _Flow()
        flow.take(bid, ask)

    def _end(self, index: int, ts_recv: int) -> Iterator[FlowImbalance]:
        start, end = index * self._grid.span, (index + 1) * self._grid.span
        for key, flow in self._flows.items():
            whole = self._trust.holds(key, start)
            yield FlowImbalance(*key, end, 0, ts_recv, start, end, float(flow.sum), flow.updates, whole)
            flow.sum, flow.updates = _ZERO, 0


class _Flow:
    """The best prices of one symbol, and the sum of their changes."""

    def __init__(self) -> None:
        self.sum = _ZERO
        self.updates = 0
        self._bid: Level | None = None
        self._ask: Level | None = None

    def forget(self) -> None:
        self._bid = self._ask = None

    def take(self, bid: Level | None, ask: Level | None) -> None:
        before_bid, before_ask = self._bid, self._ask
        self._bid, self._ask = bid, ask
        if before_bid is None or before_ask is None or bid is None or ask is None:
            return
        if bid == before_bid and ask == before_ask:
            return
        change = _EXACT.subtract(_pressure(before_bid, bid, 1), _pressure(before_ask, ask, -1))
        self.sum = _EXACT.add(self.sum, change)
        self.updates += 1


def _pressure(before: Level, after: Level, better: int) -> Decimal:
    """Return what one side gained: ``better`` is 1 where a higher price is a better one, else -1."""
    gained = Decimal(repr(after[1])) if (after[0] - before[0]) * better >= 0 else _ZERO
    given = Decimal(repr(before[1])) if (after[0] - before[0]) * better <= 0 else _ZERO
    return _EXACT.subtract(gained, given)


def book_samples(records: AsyncIterable[EventHead], seconds: float, *, depth: int = 10) -> Derived[BookSample]:
    """Return the ``BookSamples`` of a stream."""
    return derived(records, BookSamples(seconds, depth=depth))


def flow_imbalance(
    records: AsyncIterable[EventHead], seconds: float, *, source: BestSource = "book"
) -> Derived[FlowImbalance]:
    """Return the ``FlowImbalances`` of a stream."""
    return derived(records, FlowImbalances(seconds, source=source))
