"""The live book of a joiner: it takes raw updates and says what they mean for everyone else's book."""

from __future__ import annotations

from math import inf
from typing import Final

from unitape.books._half import BookHalf
from unitape.books.orderbook import OrderBook, Window
from unitape.spi import DepthUpdate
from unitape_schemas import BookDelta, BookSnapshot, Level, Levels

__all__ = ["JoinedBook"]

PRUNE_FROM: Final = 5000
"""A side with more than twice as many levels, or twice the depth that the snapshot promised, is pruned to that."""

LOW: Final = 64
"""A side runs low when it has fewer verified levels than this and than a quarter of its snapshot's."""


class JoinedBook(OrderBook):
    """An ``OrderBook`` that is fed with ``DepthUpdate`` and returns the events which make another book equal to it.

    Where the venue forgets what falls out of its own window (``keep``), a side is cut to that many levels after each
    update, and all it holds is verified. Where it does not, the snapshot's last price is the end of what is verified,
    and a side that has grown too long is pruned. Whatever is cut is removed aloud, in the delta.
    """

    __slots__ = ("_count", "_keep", "_low_asks", "_low_bids", "_most")

    def __init__(self, venue: str, symbol: str) -> None:
        super().__init__(venue, symbol)
        self._keep: int | None = None
        self._count = PRUNE_FROM
        self._most = 2 * PRUNE_FROM
        self._low_bids = self._low_asks = 0

    @property
    def low(self) -> bool:
        """True when so few verified levels are left on a side that a new snapshot should be asked for."""
        return self._bids.fewer_than(self._low_bids) or self._asks.fewer_than(self._low_asks)

    def begin(self, image: DepthUpdate, epoch: int, keep: int | None) -> BookSnapshot:
        """Start an epoch from a whole image and return the event that says so."""
        self._keep = keep
        self._count = max(PRUNE_FROM, image.depth or 0)
        self._most = 2 * self._count
        bids, asks = _live(image.bids), _live(image.asks)
        if keep is None:
            bid_window = _window(image.depth, len(bids), min(bids, default=None))
            ask_window = _window(image.depth, len(asks), max(asks, default=None))
        else:
            bid_window = None, len(bids) < keep
            ask_window = None, len(asks) < keep
        self._bids.load(bids, *bid_window)
        self._asks.load(asks, *ask_window)
        if keep is not None:
            self._bids.trim(keep)
            self._asks.trim(keep)
        self._low_bids = min(LOW, len(bids) // 4)
        self._low_asks = min(LOW, len(asks) // 4)
        self._stamp(image)
        self.epoch = epoch
        self.stale = False
        return BookSnapshot(
            self.venue,
            self.symbol,
            image.ts_event,
            image.ts_sent,
            image.ts_recv,
            tuple(self._bids.walk()),
            tuple(self._asks.walk()),
            image.first_seq,
            image.seq,
            image.prev_seq,
            epoch,
        )

    def advance(self, update: DepthUpdate) -> BookDelta | None:
        """Take an update that follows, and return the delta that makes another book equal to this one.

        None when the update would cross the book, which then is as before.
        """
        bids, asks = update.bids, update.asks
        undo = self._undo(bids, asks) if self._may_cross(bids, asks) else None
        bid_half, ask_half = self._bids, self._asks
        bid_half.change(bids)
        ask_half.change(asks)
        if undo is not None and self.crossed:
            bid_half.change(undo[0])
            ask_half.change(undo[1])
            return None
        bid_half.clear_of(ask_half)
        ask_half.clear_of(bid_half)
        if self._keep is not None or bid_half.outnumbers(self._most) or ask_half.outnumbers(self._most):
            bids = self._cut(bid_half, bids)
            asks = self._cut(ask_half, asks)
        delta = BookDelta(
            self.venue,
            self.symbol,
            update.ts_event,
            update.ts_sent,
            update.ts_recv,
            bids,
            asks,
            update.first_seq,
            update.seq,
            self.seq,
            self.epoch,
        )
        self.seq = update.seq
        self.ts_event = update.ts_event
        self.ts_recv = update.ts_recv
        return delta

    def _stamp(self, update: DepthUpdate) -> None:
        self.seq = update.seq
        self.ts_event = update.ts_event
        self.ts_recv = update.ts_recv

    def _cut(self, half: BookHalf, levels: Levels) -> Levels:
        """Cut the half to its window and return the levels with the removals that this takes."""
        keep = self._keep
        if keep is None:
            removed = half.prune(self._count) if half.outnumbers(self._most) else None
        else:
            removed = half.confine(keep, levels)
        return levels + tuple([(price, 0.0) for price in removed]) if removed else levels

    def _may_cross(self, bids: Levels, asks: Levels) -> bool:
        """Tell whether these changes could cross the book; removals make it answer True needlessly, never False.

        Undoing needs the old sizes, and to look them all up before each update costs more than this.
        """
        # Venues send levels in order, which sorting notices sooner than max and min would find what they look for.
        highest = sorted(bids)[-1][0] if bids else -inf  # noqa: FURB192
        lowest = sorted(asks)[0][0] if asks else inf  # noqa: FURB192
        bid, ask = self._bids.best, self._asks.best
        return highest >= lowest or (ask is not None and highest >= ask) or (bid is not None and lowest <= bid)

    def _undo(self, bids: Levels, asks: Levels) -> tuple[Levels, Levels]:
        old_bid, old_ask = self._bids.size, self._asks.size
        return (
            tuple([(price, old_bid(price)) for price, _ in bids]),
            tuple([(price, old_ask(price)) for price, _ in asks]),
        )


def _live(levels: Levels) -> list[Level]:
    return [level for level in levels if level[1]]


def _window(depth: int | None, count: int, last: Level | None) -> Window:
    """Return how far a snapshot's side is complete: whole when it holds less than it promises."""
    if last is None or (depth is not None and count < depth):
        return None, True
    return last[0], False
