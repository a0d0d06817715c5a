"""Joining snapshots and updates into a book that is provably right: one pure state machine per symbol.

The engine puts in what arrives and delivers what comes out, in order. After each call it reads ``want``; when that is
not None it does what is wanted, ``delay`` seconds later at the earliest, and sets ``want`` back to None. Every
``snapshot`` and ``repair`` that was wanted is answered by one call of ``snapshot``, ``repaired`` or ``failed``.

==================  ============================================================================================
state               what the inputs do
==================  ============================================================================================
EMPTY               ``start`` or the first update begins to buffer: BUFFERING. Where the stream itself brings the
                    snapshot there is nothing to buffer: WAITING_SNAPSHOT.
BUFFERING           Updates are kept. When the rule's ``wait_for`` are there, or none has come for a while, a
                    snapshot is wanted: WAITING_SNAPSHOT.
WAITING_SNAPSHOT    Updates are kept. A snapshot that joins them begins an epoch: LIVE. One that is older than all of
                    them, or crossed, is asked for again, each time later.
REPAIRING           The gap may be closed without a snapshot. Updates are kept. Repaired updates that reach from the
                    book to them continue the epoch: LIVE; others do not: WAITING_SNAPSHOT.
LIVE                An update that follows is applied and delivered, a stale one is skipped. One that does not
                    follow, or that would cross the book, is a gap: REPAIRING, BUFFERING or, where the stream brings
                    the snapshot, WAITING_SNAPSHOT. A snapshot in the stream begins a new epoch.
REFRESHING          As LIVE, and a new snapshot is on its way: the verified levels run low, or a side is empty.
==================  ============================================================================================

``reset`` leads to EMPTY from everywhere. The book stays readable in all states; ``book.stale`` is False only in LIVE,
and in REFRESHING while no side is empty.

What is delivered holds for every epoch: one ``BookSnapshot``, then ``BookDelta`` each of which continues the one
before (``prev_seq``), and nothing else but statuses. A book that applies them is equal to ``book`` after each one.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import Final, Literal, TypeAlias

from unitape.books._joined import JoinedBook
from unitape.spi import SECOND, BookRule, DepthUpdate, Fit
from unitape_schemas import BookDelta, BookSnapshot, Status, StatusCode, Subscription

__all__ = ["BUFFER_CAP", "BookEvent", "BookJoin", "JoinState", "Want"]

BookEvent: TypeAlias = BookSnapshot | BookDelta | Status

Want: TypeAlias = Literal["snapshot", "repair", "resubscribe"]
"""``snapshot``: ask for one. ``repair``: ask for the updates after ``repair_after``. ``resubscribe``: ask the stream
to begin again."""

BUFFER_CAP: Final = 1000
"""Updates kept while a snapshot is on its way; one more and buffering begins again."""

DELAYS: Final = (0.0, 0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0)
"""Seconds before the first and each further try in a row; the last one stays."""

SETTLED: Final = 10 * SECOND
"""A book that has held for so long starts the next row of tries at its beginning."""

QUIET: Final = 3 * SECOND
"""When no update comes for so long, the snapshot is asked for without one: the symbol may be asleep."""

STREAM_ANSWERS_WITHIN: Final = 10 * SECOND
"""Resubscribing has no answer of its own; after so long without a snapshot it is wanted again."""


class JoinState(Enum):
    """Where a join stands; the table is at the top of this module."""

    EMPTY = "empty"
    BUFFERING = "buffering"
    WAITING_SNAPSHOT = "waiting_snapshot"
    REPAIRING = "repairing"
    LIVE = "live"
    REFRESHING = "refreshing"


class BookJoin:
    """The join of one symbol.

    Attributes:
        book: the live book, readable at any time.
        state: where the join stands.
        want: what the engine shall do; it sets this to None when it has taken the order.
        repair_after: the update after which a wanted ``repair`` begins.
        delay: seconds to wait before doing what is wanted.
    """

    __slots__ = (
        "_buffer",
        "_cap",
        "_empty",
        "_joined_at",
        "_key",
        "_last",
        "_repairs",
        "_rule",
        "_streamed",
        "_timer",
        "_tries",
        "_ts",
        "book",
        "delay",
        "repair_after",
        "state",
        "want",
    )

    def __init__(
        self,
        rule: BookRule,
        venue: str,
        symbol: str,
        *,
        key: str | None = None,
        repairs: bool = False,
        buffer_cap: int = BUFFER_CAP,
    ) -> None:
        """Begin in EMPTY.

        ``key`` is the subscription's key for statuses, by default that of ``book`` and the symbol. ``repairs``: the
        market can be asked for missed updates (``Rest.repair``).
        """
        self.book = JoinedBook(venue, symbol)
        self.state = JoinState.EMPTY
        self.want: Want | None = None
        self.repair_after = 0
        self.delay = 0.0
        self._rule = rule
        self._streamed = rule.snapshot == "stream"
        self._repairs = repairs
        self._cap = buffer_cap
        self._key = key if key is not None else Subscription("book", symbol).key
        self._buffer: list[DepthUpdate] = []
        self._last: DepthUpdate | None = None
        self._empty = False
        self._tries = 0
        self._timer: int | None = None
        self._joined_at = 0
        self._ts = 0

    # Inputs

    def start(self) -> list[BookEvent]:
        """The subscription stands: a snapshot is wanted even if no update ever comes."""
        if self.state is JoinState.EMPTY:
            self._leave_empty()
        return []

    def update(self, update: DepthUpdate) -> list[BookEvent]:
        """An update came on the stream, or the stream's own snapshot."""
        self._ts = update.ts_recv
        if update.snapshot:
            return self._image_in_stream(update)
        state = self.state
        if state is not JoinState.LIVE and state is not JoinState.REFRESHING:
            return self._keep_for_later(update)
        book, last = self.book, self._last
        fit = self._rule.join(book.seq, update) if last is None else self._rule.follow(last, update)
        if fit is not Fit.APPLY:
            if fit is Fit.STALE:
                return []
            return self._lost(
                update, f"update {_span(update)} does not follow update {book.seq}; the book is joined again"
            )
        delta = book.advance(update)
        if delta is None:
            return self._lost(
                update,
                f"update {_span(update)} would cross the book; the book is joined again",
                repair=False,
            )
        self._last = update
        if state is JoinState.REFRESHING:
            self._keep_for_refresh(update)
        if book.empty is not self._empty:
            self._empty = not self._empty
            if self._empty:
                return [delta, *self._emptied()]
        elif state is JoinState.LIVE and book.low:
            self._refresh()
        return [delta]

    def snapshot(self, image: DepthUpdate) -> list[BookEvent]:
        """The snapshot that was asked for came. One that nobody waits for any more is ignored."""
        if self.state not in (JoinState.BUFFERING, JoinState.WAITING_SNAPSHOT, JoinState.REFRESHING):
            return []
        self._ts = max(self._ts, image.ts_recv)
        if _is_crossed(image):
            return self._refuse(image)
        if self.state is JoinState.REFRESHING and not self._buffer and image.seq < self.book.seq:
            # It lags behind the live book, and no update came since that would lead from it to there.
            self._ask("snapshot")
            return []
        start = len(self._buffer)
        for index, update in enumerate(self._buffer):
            fit = self._rule.join(image.seq, update)
            if fit is Fit.GAP:
                # Older than what the stream began with: the updates between are nowhere. A later one will reach.
                self._ask("snapshot")
                return []
            if fit is Fit.APPLY:
                start = index
                break
        rest = self._buffer[start:]
        events = self._begin(image)
        for update in rest:
            events += self.update(update)
        return events

    def repaired(self, updates: Sequence[DepthUpdate]) -> list[BookEvent]:
        """The missed updates that were asked for came, in any order; none: the market has them no more."""
        if self.state is not JoinState.REPAIRING:
            return []
        chain = self._chain([*sorted(updates, key=_by_seq), *self._buffer])
        if chain is None:
            self._ask_snapshot()
            return []
        buffered = {update.seq for update in self._buffer}
        fetched = sum(update.seq not in buffered for update in chain)
        self._buffer = []
        self.state = JoinState.LIVE
        self.want = None
        self.book.stale = False
        text = f"{fetched} updates after {self.repair_after} were fetched; the book continues"
        events: list[BookEvent] = [self._status("recovered", text, fetched)]
        for update in chain:
            events += self.update(update)
        return events

    def failed(self, reason: str) -> list[BookEvent]:
        """What was asked for got no answer, or a refusal: it is wanted again, later."""
        if self.state is JoinState.REPAIRING:
            self._ask_snapshot()
        elif self.state in (JoinState.WAITING_SNAPSHOT, JoinState.REFRESHING):
            self._ask("resubscribe" if self._streamed else "snapshot")
        else:
            return []
        return [self._status("stale", f"no snapshot ({reason}); asking again in {self.delay:g} s")]

    def reset(self, reason: str) -> list[BookEvent]:
        """The stream ended, so nothing continues. The last book stays readable, stale, until the next begins."""
        told = self.book.stale
        self.book.stale = True
        self.state = JoinState.EMPTY
        self.want = None
        self._buffer = []
        self._last = None
        self._timer = None
        return [] if told else [self._status("stale", f"the book ends at update {self.book.seq}: {reason}")]

    def tick(self, now: int) -> list[BookEvent]:
        """Time passed. ``now`` is monotonic nanoseconds."""
        if self.state is JoinState.BUFFERING and self._elapsed(now, QUIET):
            self._ask_snapshot()
        waits = self.state in (JoinState.WAITING_SNAPSHOT, JoinState.REFRESHING)
        patience = STREAM_ANSWERS_WITHIN + int(self.delay * SECOND)
        if self._streamed and waits and self.want is None and self._elapsed(now, patience):
            self._ask("resubscribe")
        return []

    # Steps

    def _leave_empty(self) -> None:
        self.book.clear()
        self._timer = None
        self.state = JoinState.WAITING_SNAPSHOT if self._streamed else JoinState.BUFFERING
        if not self._streamed and self._rule.wait_for <= 0:
            self._ask_snapshot()

    def _keep_for_later(self, update: DepthUpdate) -> list[BookEvent]:
        if self.state is JoinState.EMPTY:
            self._leave_empty()
        if self._streamed:
            return []
        buffer = self._buffer
        events: list[BookEvent] = []
        fit = self._rule.follow(buffer[-1], update) if buffer else Fit.APPLY
        if fit is Fit.STALE:
            return events
        if fit is Fit.GAP:
            text = (
                f"update {_span(update)} does not follow update {buffer[-1].seq} while joining; buffering begins again"
            )
            events.append(self._status("gap", text))
            buffer.clear()
        elif len(buffer) >= self._cap:
            text = f"{len(buffer)} updates came without a snapshot that joins them; buffering begins again"
            events.append(self._status("gap", text, len(buffer)))
            buffer.clear()
        buffer.append(update)
        if self.state is JoinState.BUFFERING and len(buffer) >= self._rule.wait_for:
            self._ask_snapshot()
        return events

    def _keep_for_refresh(self, update: DepthUpdate) -> None:
        if self._streamed:
            return
        if len(self._buffer) >= self._cap:
            # The book itself holds them, so nothing is lost; only a newer snapshot is needed.
            self._buffer.clear()
        self._buffer.append(update)

    def _image_in_stream(self, image: DepthUpdate) -> list[BookEvent]:
        if not self._streamed:
            return self.snapshot(image)
        if _is_crossed(image):
            return self._refuse(image)
        return self._begin(image)

    def _begin(self, image: DepthUpdate) -> list[BookEvent]:
        book = self.book
        events: list[BookEvent] = []
        if book.stale and book.epoch:
            events.append(self._status("resynced", f"the book is joined again at update {image.seq}"))
        self.state = JoinState.LIVE
        self.want = None
        self._buffer = []
        self._last = None
        self._joined_at = image.ts_recv
        events.append(book.begin(image, book.epoch + 1, self._kept(image)))
        self._empty = book.empty
        return events

    def _kept(self, image: DepthUpdate) -> int | None:
        """Return how many levels per side the venue's window holds: a shallow stream has a smaller one."""
        keep = self._rule.keep
        return keep if keep is None or image.depth is None else min(keep, image.depth)

    def _refuse(self, image: DepthUpdate) -> list[BookEvent]:
        if self.state is JoinState.EMPTY:
            self._leave_empty()
        elif self.state is JoinState.LIVE:
            self.state = JoinState.WAITING_SNAPSHOT
            self.book.stale = True
        self._ask("resubscribe" if self._streamed else "snapshot")
        return [self._status("stale", f"the snapshot at update {image.seq} is crossed; asking for another")]

    def _lost(self, update: DepthUpdate, text: str, *, repair: bool = True) -> list[BookEvent]:
        self.book.stale = True
        self._timer = None
        if self._streamed:
            self.state = JoinState.WAITING_SNAPSHOT
            self._ask("resubscribe")
        elif self._repairs and repair:
            self.state = JoinState.REPAIRING
            self._buffer = [update]
            self.repair_after = self.book.seq
            self._ask("repair")
        else:
            self.state = JoinState.BUFFERING
            self._buffer = [update]
            if self._rule.wait_for <= 1:
                self._ask_snapshot()
        return [self._status("gap", text)]

    def _chain(self, updates: Sequence[DepthUpdate]) -> list[DepthUpdate] | None:
        """Return those of the updates that continue the book, None when something between is missing."""
        last = self._last
        chain: list[DepthUpdate] = []
        for update in updates:
            fit = self._rule.join(self.book.seq, update) if last is None else self._rule.follow(last, update)
            if fit is Fit.GAP:
                return None
            if fit is Fit.APPLY:
                chain.append(update)
                last = update
        return chain

    def _emptied(self) -> list[BookEvent]:
        """A side lost its last level. That may be true, so it is delivered, and a snapshot is asked to confirm it."""
        self.book.stale = True
        if self.state is JoinState.LIVE:
            self._refresh()
        side = "bid" if self.book.best_bid is None else "ask"
        return [self._status("stale", f"update {self.book.seq} took the last verified {side}; asking for a snapshot")]

    def _refresh(self) -> None:
        self.state = JoinState.REFRESHING
        self._buffer = []
        self._ask("resubscribe" if self._streamed else "snapshot")

    def _ask_snapshot(self) -> None:
        self.state = JoinState.WAITING_SNAPSHOT
        self._ask("snapshot")

    def _ask(self, want: Want) -> None:
        if self._joined_at and self._ts - self._joined_at > SETTLED:
            self._tries = 0
            self._joined_at = 0
        self.want = want
        self.delay = DELAYS[min(self._tries, len(DELAYS) - 1)]
        self._tries += 1
        self._timer = None

    def _elapsed(self, now: int, span: int) -> bool:
        if self._timer is None:
            self._timer = now
        return now - self._timer >= span

    def _status(self, code: StatusCode, text: str, count: int | None = None) -> Status:
        return Status(self.book.venue, self.book.symbol, 0, 0, self._ts, code, self._key, count, text)


def _span(update: DepthUpdate) -> str:
    return str(update.seq) if update.first_seq is None else f"{update.first_seq}..{update.seq}"


def _by_seq(update: DepthUpdate) -> int:
    return update.seq


def _is_crossed(image: DepthUpdate) -> bool:
    bid = max((price for price, size in image.bids if size), default=None)
    ask = min((price for price, size in image.asks if size), default=None)
    return bid is not None and ask is not None and bid >= ask
