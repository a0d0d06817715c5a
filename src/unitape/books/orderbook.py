"""The order book: what a joined feed says, kept, and priced no deeper than it is known."""

from __future__ import annotations

from itertools import islice
from typing import Final, Literal, TypeAlias

from unitape.books._half import BookHalf
from unitape.errors import ConfigError
from unitape_schemas import BookDelta, BookSnapshot, Level, Levels

__all__ = ["BookSide", "OrderBook", "Window"]

BookSide: TypeAlias = Literal["bid", "ask"]
"""Whose levels: a buyer pays the ``ask`` levels, a seller gets the ``bid`` levels."""

Window: TypeAlias = tuple[float | None, bool]
"""How far one side is complete: (edge, whole).

``edge`` is the last price down to which the levels are complete, None: to the worst level held, whatever it is.
``whole``: there is nothing beyond the levels held.
"""

_REACHED: Final = 1.0 - 1e-12
"""A size counts as reached this close to it: sums of sizes carry binary rounding of about 1e-13."""


class OrderBook:
    """One book of one symbol at one venue.

    Fill it with ``load`` and ``apply`` from the events of a joined feed, or read the live one that the feed keeps.

    **How deep it is known.** A snapshot shows a window, the best n levels. Every change is streamed, so the levels
    inside the window stay complete for ever, wherever the best price goes. A level beyond the window's last price is
    seen only once it changes, and others beside it stay invisible. Such levels are kept, but no answer counts on
    them: what would need them is None, or a shorter list. The window grows when the market moves through its end:
    where an ask has stood no bid can have been left over, so bids are complete down to the lowest ask seen, and asks
    likewise. The best level counts as verified: a better one could hide only between it and that lowest ask.

    A snapshot with fewer levels than its promised depth shows the whole side. ``verified_depth`` and ``is_whole``
    tell the end of what is known.

    Prices are the venue's floats. Sums of sizes are float sums; a size counts as reached within 1e-12 of itself.

    Attributes:
        venue: the venue's name.
        symbol: unified symbol.
        seq: last update that the book contains.
        epoch: counts the joins; 0 before the first.
        ts_event: when the last update happened at the venue, ns; 0 if the venue does not say.
        ts_recv: when the last update arrived, wall clock, ns.
        stale: True while the feed is not sure of the book: before the first join, after a gap, without a connection.
    """

    __slots__ = ("_asks", "_bids", "epoch", "seq", "stale", "symbol", "ts_event", "ts_recv", "venue")

    def __init__(self, venue: str, symbol: str) -> None:
        self.venue = venue
        self.symbol = symbol
        self.seq = 0
        self.epoch = 0
        self.ts_event = 0
        self.ts_recv = 0
        self.stale = True
        self._bids = BookHalf(1)
        self._asks = BookHalf(-1)

    def __repr__(self) -> str:
        return (
            f"OrderBook({self.venue} {self.symbol}, bid {self.best_bid}, ask {self.best_ask}, seq {self.seq}, "
            f"epoch {self.epoch}{', stale' if self.stale else ''})"
        )

    # Filling

    def load(self, snapshot: BookSnapshot, *, bids: Window | None = None, asks: Window | None = None) -> None:
        """Replace the book by a snapshot and begin its epoch.

        Without a window a side counts as complete down to the snapshot's last level. Give ``(None, False)`` for a
        feed of a window that moves (the venue keeps the best n levels), ``(None, True)`` for a side that is whole.

        Raises:
            ConfigError: it is of another venue or symbol.
        """
        self._check_symbol(snapshot)
        lowest = min(snapshot.bids)[0] if snapshot.bids else None
        highest = max(snapshot.asks)[0] if snapshot.asks else None
        self._bids.load(snapshot.bids, *(bids or (lowest, False)))
        self._asks.load(snapshot.asks, *(asks or (highest, False)))
        self.seq = snapshot.seq
        self.epoch = snapshot.epoch
        self.ts_event = snapshot.ts_event
        self.ts_recv = snapshot.ts_recv
        self.stale = False

    def apply(self, delta: BookDelta) -> None:
        """Apply a delta of the book's epoch that follows the last one.

        Raises:
            ConfigError: it is of another symbol or epoch, or does not follow; the book is unchanged.
        """
        self._check_symbol(delta)
        if delta.epoch != self.epoch or delta.prev_seq not in (None, self.seq):
            raise ConfigError(
                f"this delta continues update {delta.prev_seq} of epoch {delta.epoch}, the book of {self.symbol} "
                f"stands at update {self.seq} of epoch {self.epoch}"
            )
        self._bids.change(delta.bids)
        self._asks.change(delta.asks)
        self._bids.clear_of(self._asks)
        self._asks.clear_of(self._bids)
        self.seq = delta.seq
        self.ts_event = delta.ts_event
        self.ts_recv = delta.ts_recv

    def clear(self) -> None:
        """Forget all levels. The book is stale until the next ``load``; seq and epoch stay."""
        self._bids.load((), None, False)
        self._asks.load((), None, False)
        self.stale = True

    def _check_symbol(self, event: BookSnapshot | BookDelta) -> None:
        if event.symbol != self.symbol or event.venue != self.venue:
            raise ConfigError(f"this is the book of {self.venue} {self.symbol}, not of {event.venue} {event.symbol}")

    # The top

    @property
    def best_bid(self) -> Level | None:
        """The highest bid as (price, size); None when there is none."""
        return self._bids.top()

    @property
    def best_ask(self) -> Level | None:
        """The lowest ask as (price, size); None when there is none."""
        return self._asks.top()

    def best(self) -> tuple[Level | None, Level | None]:
        """Return the best bid and the best ask."""
        return self._bids.top(), self._asks.top()

    @property
    def spread(self) -> float | None:
        """Best ask minus best bid; None unless both are there."""
        bid, ask = self._bids.best, self._asks.best
        return None if bid is None or ask is None else ask - bid

    @property
    def mid(self) -> float | None:
        """The price halfway between best bid and best ask; None unless both are there."""
        bid, ask = self._bids.best, self._asks.best
        return None if bid is None or ask is None else (bid + ask) / 2

    @property
    def crossed(self) -> bool:
        """True when the best bid is not below the best ask."""
        bid, ask = self._bids.best, self._asks.best
        return bid is not None and ask is not None and bid >= ask

    @property
    def empty(self) -> bool:
        """True when a side has no level."""
        return self._bids.best is None or self._asks.best is None

    # Levels

    def bids(self, n: int | None = None) -> Levels:
        """Return the best ``n`` bids, highest first: fewer when fewer are verified, all for None."""
        return _first(self._bids, n)

    def asks(self, n: int | None = None) -> Levels:
        """Return the best ``n`` asks, lowest first: fewer when fewer are verified, all for None."""
        return _first(self._asks, n)

    def known(self, side: BookSide) -> Levels:
        """Return every level held, best first, also those beyond what is verified: right, but not complete."""
        return tuple(self._half(side).walk())

    def size_at(self, side: BookSide, price: float) -> float | None:
        """Return the size at exactly this price, 0 where there is no level; None beyond what is verified."""
        half = self._half(side)
        return half.size(price) if half.reaches(price) else None

    def depth_at(self, side: BookSide, price: float) -> float | None:
        """Return the summed size of all levels as good as ``price`` or better, base units.

        None when the price lies beyond what is verified.
        """
        half = self._half(side)
        if not half.reaches(price):
            return None
        total = 0.0
        for level, size in half.verified():
            if level < price if side == "bid" else level > price:
                break
            total += size
        return total

    def price_for(self, side: BookSide, size: float) -> float | None:
        """Return the worst price that an order of ``size`` base units reaches: its limit price.

        None when the verified levels do not hold so much.

        Raises:
            ConfigError: the size is not positive.
        """
        return self._fill(side, size)[0]

    def vwap(self, side: BookSide, size: float) -> float | None:
        """Return the average price of an order of ``size`` base units, quote per base.

        None when the verified levels do not hold so much.

        Raises:
            ConfigError: the size is not positive.
        """
        return self._fill(side, size)[1]

    def imbalance(self, n: int) -> float | None:
        """Return (bid size - ask size) / (bid size + ask size) of the best ``n`` levels: 1 is all bids, -1 all asks.

        None when fewer than ``n`` levels of a side are verified and it may have more, or when both are empty.
        """
        bids, asks = self.bids(n), self.asks(n)
        if (len(bids) < n and not self._bids.whole) or (len(asks) < n and not self._asks.whole):
            return None
        bid = sum(size for _, size in bids)
        ask = sum(size for _, size in asks)
        return (bid - ask) / (bid + ask) if bid + ask else None

    # How deep it is known

    def verified_depth(self, side: BookSide) -> float | None:
        """Return the price down to which every level of the side is known; None when no price is.

        Where ``is_whole``, the levels beyond are known, too: there are none.
        """
        return self._half(side).end()

    def is_whole(self, side: BookSide) -> bool:
        """Tell whether the side is known to its very end."""
        return self._half(side).whole

    def snapshot(self) -> BookSnapshot:
        """Return the verified book as an event: what a late consumer needs before further deltas of this epoch."""
        return BookSnapshot(
            self.venue,
            self.symbol,
            self.ts_event,
            0,
            self.ts_recv,
            self.bids(),
            self.asks(),
            None,
            self.seq,
            None,
            self.epoch,
        )

    def _half(self, side: BookSide) -> BookHalf:
        if side == "bid":
            return self._bids
        if side == "ask":
            return self._asks
        raise ConfigError(f"a book has the sides 'bid' and 'ask', not {side!r}")

    def _fill(self, side: BookSide, size: float) -> tuple[float | None, float | None]:
        if not size > 0:
            raise ConfigError(f"a size to fill is positive, not {size!r}")
        enough = size * _REACHED
        filled = cost = 0.0
        for price, available in self._half(side).verified():
            if filled + available >= enough:
                return price, (cost + (size - filled) * price) / size
            filled += available
            cost += available * price
        return None, None


def _first(half: BookHalf, n: int | None) -> Levels:
    if n is None:
        return tuple(half.verified())
    if n < 0:
        raise ConfigError(f"a number of levels is not negative, as {n} is")
    return tuple(islice(half.verified(), n))
