"""Replays a recording in row form: every frame decoded, every book joined from its snapshot and its updates."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from unitape.books import BookJoin
from unitape.errors import UnitapeError
from unitape.spi import Control, DepthUpdate, Fit, Instruments, Market
from unitape.tape.http_rows import HttpRows
from unitape.tape.rows import Row
from unitape.tape.summary import Books, ReplaySummary, Tally
from unitape_schemas import BookDelta, BookSnapshot, Event, Status

__all__ = ["RowReplay"]


class RowReplay:
    """Replays rows of one market. Feed it rows in order; read ``summary`` at the end."""

    def __init__(
        self, market: Market, instruments: Instruments, *, complain: Callable[[Row, str], None] | None = None
    ) -> None:
        """Begin. ``complain`` is told each row that cannot be understood, and why."""
        self._market = market
        self._decode = market.codec(instruments).decode
        self._http = HttpRows(market, instruments)
        self._complain = complain
        self._books: dict[str, _Book] = {}
        self._early: list[Row] = []
        self._tally = Tally()
        self._tops = Books()
        self.undecoded = 0

    def events(self, rows: Iterable[Row]) -> Iterator[Event]:
        """Yield every event of these rows, in order."""
        for row in rows:
            yield from self.row(row)

    def row(self, row: Row) -> Sequence[Event]:
        """Take one row and return the events it gives."""
        events: list[Event] = []
        try:
            if row.problem:
                self._failed(row, row.problem)
            elif row.kind == "ws":
                self._frame(row, events)
            elif row.kind == "http":
                self._answer(row, events)
            elif row.kind == "ws-close":
                for book in self._books.values():
                    events += book.join.reset("the connection ended")
        except UnitapeError as error:
            self._failed(row, str(error))
        self._tally.add(events)
        self._tops.add(events)
        return events

    @property
    def summary(self) -> ReplaySummary:
        """What the rows came to so far."""
        books = self._books.values()
        return ReplaySummary(
            self._market.venue,
            self._market.name,
            self._tally.events,
            gaps=self._tally.gaps - sum(book.refused for book in books),
            resyncs=self._tally.resyncs,
            crossed=self._tops.crossed + sum(book.crossed for book in books),
            undecoded=self.undecoded,
            books=self._tops.tops,
        )

    def _frame(self, row: Row, events: list[Event]) -> None:
        if not row.incoming:
            return
        for output in self._decode(row.data, row.ts):
            if isinstance(output, DepthUpdate):
                self._update(output, events)
            elif not isinstance(output, Control):
                events.append(output)

    def _update(self, update: DepthUpdate, events: list[Event]) -> None:
        book = self._books.get(update.symbol)
        if book is None:
            book = self._books[update.symbol] = _Book(self._market, update.symbol)
        events += book.update(update)
        if self._early:
            waiting, self._early = self._early, []
            for row in waiting:
                self._answer(row, events)

    def _answer(self, row: Row, events: list[Event]) -> None:
        image = self._http.depth(row, self._books)
        if image is not None:
            book = self._books.get(image.symbol)
            if book is None:
                book = self._books[image.symbol] = _Book(self._market, image.symbol)
            events += book.snapshot(image)
        elif not self._books:
            # A snapshot that does not say whose it is waits for the first update to tell.
            self._early.append(row)
        elif not row.url and len(self._books) > 1:
            self._failed(row, "the answer does not say which symbol it is about, and several books are followed")

    def _failed(self, row: Row, reason: str) -> None:
        self.undecoded += 1
        if self._complain is not None:
            self._complain(row, reason)


class _Book:
    """One book being joined, and what went wrong with it."""

    def __init__(self, market: Market, symbol: str) -> None:
        self.join = BookJoin(market.book_rule, market.venue, symbol)
        self.crossed = 0
        self.refused = 0
        """Gaps that are crossings: the update followed, but would have crossed the book."""
        self._rule = market.book_rule
        self._last: DepthUpdate | None = None
        """The last update applied; None right after a snapshot."""
        self._seen: DepthUpdate | None = None

    def update(self, update: DepthUpdate) -> Sequence[Event]:
        events = self.join.update(update)
        self._seen = update
        if events and isinstance(events[0], Status) and events[0].code == "gap" and self._follows(update):
            self.refused += 1
            self.crossed += 1
        if update.snapshot:
            self.crossed += _is_crossed(update)
        return self._followed(events)

    def snapshot(self, image: DepthUpdate) -> Sequence[Event]:
        """Take a snapshot, whether or not one is waited for yet."""
        self.crossed += _is_crossed(image)
        return self._followed([*self.join.start(), *self.join.snapshot(image)])

    def _followed(self, events: Sequence[Event]) -> Sequence[Event]:
        for event in events:
            self._last = self._seen if type(event) is BookDelta else None if type(event) is BookSnapshot else self._last
        return events

    def _follows(self, update: DepthUpdate) -> bool:
        last = self._last
        fit = self._rule.join(self.join.book.seq, update) if last is None else self._rule.follow(last, update)
        return fit is Fit.APPLY


def _is_crossed(image: DepthUpdate) -> bool:
    return bool(image.bids and image.asks) and image.bids[0][0] >= image.asks[0][0]
