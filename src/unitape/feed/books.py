"""The books of a feed: one join per book subscription, and what the joins want done."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import structs

from unitape.books import BookJoin, JoinState, OrderBook
from unitape.errors import ConfigError, RateLimited, UnitapeError
from unitape.feed.line import NANOS, Line, Link
from unitape.feed.state import FeedState
from unitape.spi import DepthUpdate
from unitape_schemas import BookDelta, BookSnapshot, Event, Status, Subscription

__all__ = ["Books"]

BookEvents = Sequence[BookSnapshot | BookDelta | Status]


class Books:
    """Feeds the joins, fetches their snapshots off the read path, and hands them over in a rotation."""

    def __init__(self, state: FeedState) -> None:
        self._state = state
        self.lines: dict[str, Line] = {}
        """The book subscriptions by symbol: the hot path reads this directly."""
        self._repairs: bool | None = None

    def line(self, symbol: str) -> Line | None:
        """Return the book subscription of a symbol, or None."""
        return self.lines.get(symbol)

    def check(self, subscription: Subscription) -> None:
        """Refuse a second book of the same symbol in another depth.

        Raises:
            ConfigError: there is one.
        """
        known = self.lines.get(subscription.symbol)
        if known is not None:
            raise ConfigError(f"{known.key} is subscribed already; unsubscribe it first to get {subscription.key}")

    def book(self, symbol: str) -> OrderBook | None:
        """Return the live book of a symbol, or None."""
        line = self.lines.get(symbol)
        return line.join.book if line is not None and line.join is not None else None

    def images(self) -> list[Event]:
        """Return a snapshot of every book that stands."""
        joins = [line.join for line in self.lines.values() if line.join is not None]
        return [join.book.snapshot() for join in joins if _live(join)]

    def begin(self, line: Line) -> None:
        """Make the join of a new subscription; the other channels have none."""
        if line.subscription.channel == "book":
            line.join = self._new(line)
            self.lines[line.subscription.symbol] = line

    def start(self, line: Line) -> None:
        """The subscription is confirmed."""
        if line.join is not None:
            self._deliver(line, line.join.start())
            self._serve(line, line.join)

    def stop(self, line: Line) -> None:
        """Forget a subscription. Its book stays readable to whoever holds it, marked stale."""
        for join in (line.join, line.heir_join):
            if join is not None:
                self._state.drop_fetches(join)
                join.book.stale = True
        if self.lines.get(line.subscription.symbol) is line:
            del self.lines[line.subscription.symbol]

    def reset(self, line: Line) -> None:
        """The connection was cut: nothing continues, the last book stays readable and marked."""
        if line.join is not None:
            self._state.drop_fetches(line.join)
            line.resubscribe_at = None
            self._deliver(line, line.join.reset("the connection was cut"))

    def update(self, line: Line, update: DepthUpdate) -> None:
        """Take an update of the connection that carries the book."""
        join = line.join
        if join is not None:
            self.settle(line, join, join.update(update))

    def settle(self, line: Line, join: BookJoin, events: BookEvents) -> None:
        """Do what an update led to: what the join wants, and tell its events."""
        if join.want is not None:
            self._serve(line, join)
        if events:
            self._deliver(line, events)

    def tick(self, line: Line) -> None:
        """Let the timers of the joins run."""
        join = line.join
        if join is None:
            return
        self._deliver(line, join.tick(self._state.mono))
        self._serve(line, join)
        if line.heir_join is not None:
            line.heir_join.tick(self._state.mono)
            self._serve(line, line.heir_join)
        if line.resubscribe_at is not None and self._state.mono >= line.resubscribe_at:
            line.resubscribe_at = None
            self._resubscribe(line, line.link)

    # Hand-over to another connection

    def begin_heir(self, line: Line) -> None:
        """Make the join that follows the successor's stream. Nothing of it is delivered before the hand-over."""
        if line.join is not None:
            line.heir_join = self._new(line)

    def start_heir(self, line: Line) -> None:
        """The successor's subscription is confirmed."""
        if line.heir_join is not None:
            line.heir_join.start()
            self._serve(line, line.heir_join)

    def heir_update(self, line: Line, update: DepthUpdate) -> None:
        """Take an update of the successor."""
        if line.heir_join is not None:
            line.heir_join.update(update)
            self._serve(line, line.heir_join)

    def heir_ready(self, line: Line) -> bool:
        """Tell whether the successor's book stands and is not behind the one that is delivered."""
        join, heir = line.join, line.heir_join
        if join is None or heir is None or not _live(heir):
            return False
        return not _live(join) or heir.book.seq >= join.book.seq

    def hand_over(self, line: Line) -> None:
        """Go on with the successor's join, live or not. A live one begins a new epoch at once."""
        join, heir = line.join, line.heir_join
        if join is None or heir is None:
            return
        self._state.drop_fetches(join)
        line.resubscribe_at = None
        heir.book.epoch = join.book.epoch
        if _live(heir):
            heir.book.epoch += 1
            _become(join.book, heir.book)
        else:
            self._deliver(line, join.reset("its connection ended before its successor had the book"))
        heir.book = join.book
        line.join, line.heir_join = heir, None
        if _live(heir):
            self._deliver(line, [heir.book.snapshot()])

    def drop_heir(self, line: Line) -> None:
        """The successor failed."""
        if line.heir_join is not None:
            self._state.drop_fetches(line.heir_join)
            line.heir_join = None

    # Steps

    def _new(self, line: Line) -> BookJoin:
        state = self._state
        symbol = line.subscription.symbol
        if self._repairs is None:
            self._repairs = state.rest.repair(symbol, 0) is not None
        return BookJoin(state.market.book_rule, state.venue, symbol, key=line.key, repairs=self._repairs)

    def _deliver(self, line: Line, events: BookEvents) -> None:
        line.events += len(events)
        for event in events:
            if type(event) is Status:
                if event.code == "gap":
                    line.rejoins += 1
                # A join made by the clock does not know the wall time; the feed does.
                event = structs.replace(event, ts_recv=self._state.ts)
            self._state.out.append(event)

    def _serve(self, line: Line, join: BookJoin) -> None:
        """Do what a join wants."""
        want, join.want = join.want, None
        if want is None:
            return
        if want == "resubscribe":
            if join is line.join and join.delay > 0.0:
                line.resubscribe_at = self._state.after(join.delay)
            else:
                self._resubscribe(line, line.link if join is line.join else line.heir)
            return
        self._state.drop_fetches(join)
        try:
            if want == "repair":
                self._ask_repair(line, join)
            else:
                query = self._state.rest.depth(line.subscription.symbol, line.subscription.depth)
                self._state.fetch(
                    join,
                    query,
                    lambda image: self._arrived(line, join, join.snapshot(image)),
                    lambda error: self._failed(line, join, error),
                    join.delay,
                )
        except UnitapeError as error:
            self._failed(line, join, error)

    def _ask_repair(self, line: Line, join: BookJoin) -> None:
        query = self._state.rest.repair(line.subscription.symbol, join.repair_after)
        if query is None:
            self._arrived(line, join, join.repaired(()))
            return
        self._state.fetch(
            join,
            query,
            lambda updates: self._arrived(line, join, join.repaired(updates)),
            lambda error: self._failed(line, join, error),
            join.delay,
        )

    def _arrived(self, line: Line, join: BookJoin, events: BookEvents) -> None:
        if join is line.join:
            self._deliver(line, events)
        self._serve(line, join)

    def _failed(self, line: Line, join: BookJoin, error: UnitapeError) -> None:
        events = join.failed(str(error))
        if isinstance(error, RateLimited):
            self._state.say("rate_limited", line, text=str(error), raw=error.text)
            join.delay = max(join.delay, error.retry_after or 0.0)
        self._arrived(line, join, events)

    def _resubscribe(self, line: Line, link: Link | None) -> None:
        if link is None or link.opened is None or link.dead:
            return
        if not self._state.operations_left(link):
            line.resubscribe_at = self._state.mono + 60 * NANOS
            return
        if link is line.link:
            self._state.ask_again(link, line)
        else:
            link.session.subscribe([line.subscription])
            self._state.flush(link, urgent=False)


def _live(join: BookJoin) -> bool:
    return join.state in (JoinState.LIVE, JoinState.REFRESHING) and not join.book.stale


def _become(book: OrderBook, other: OrderBook) -> None:
    """Give a book the content of another of its class, so that whoever holds it goes on reading the live one."""
    for kind in type(book).__mro__:
        for name in getattr(kind, "__slots__", ()):
            setattr(book, name, getattr(other, name))
