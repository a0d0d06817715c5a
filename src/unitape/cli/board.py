"""What a live screen knows: one row per venue, market and symbol, kept from events alone."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Final

from msgspec import Struct, structs

from unitape.books import OrderBook
from unitape_schemas import BookDelta, BookSnapshot, Event, Quote, Status, Ticker, Trade

if TYPE_CHECKING:
    from unitape.health import Health

__all__ = ["Board", "BoardRow"]

WINDOW: Final = 5_000_000_000
"""Nanoseconds over which rates are taken."""
NEWS: Final = 8
"""Statuses that are kept for reading."""

_BAD: Final = frozenset(("disconnected", "rejected", "stale", "halted"))
_GOOD: Final = frozenset(("connected", "subscribed", "resynced", "recovered", "rotated"))


class BoardRow(Struct, frozen=True):
    """One row, as it stood when it was asked for. Times in seconds; None where nothing is known."""

    venue: str
    market: str
    symbol: str
    bid: float | None
    ask: float | None
    last: float | None
    trades_per_second: float
    events_per_second: float
    latency: float | None
    """From the venue's event time to ours, exponential mean over trades and book updates."""
    age: float | None
    """Since the last event."""
    seq: int | None
    epoch: int
    gaps: int
    state: str
    p99: float | None = None
    """Of 100 latencies, 99 were no longer than this: the worst of the row's subscriptions."""
    resyncs: int = 0
    """How often its book was joined again, and missing trades were recovered."""

    @property
    def spread(self) -> float | None:
        """Best ask minus best bid."""
        return None if self.bid is None or self.ask is None else self.ask - self.bid

    @property
    def spread_bps(self) -> float | None:
        """The spread in hundredths of a percent of the middle."""
        if self.spread is None or self.bid is None or self.ask is None or not self.bid + self.ask:
            return None
        return 20_000 * self.spread / (self.bid + self.ask)


class _Row:
    def __init__(self, venue: str, market: str, symbol: str) -> None:
        self.venue = venue
        self.market = market
        self.symbol = symbol
        self.book: OrderBook | None = None
        self.quote: Quote | None = None
        self.last: float | None = None
        self.trades: deque[int] = deque(maxlen=10_000)
        self.arrivals: deque[int] = deque(maxlen=50_000)
        self.latency: float | None = None
        self.begun = 0
        self.seen = 0
        self.gaps = 0
        self.state = ""

    def add(self, event: Event) -> None:
        self.seen = event.ts_recv
        self.begun = self.begun or event.ts_recv
        self.arrivals.append(event.ts_recv)
        match event:
            case BookSnapshot():
                if self.book is None:
                    self.book = OrderBook(event.venue, event.symbol)
                self.book.load(event)
            case BookDelta():
                if self.book is not None and event.epoch == self.book.epoch:
                    self.book.apply(event)
            case Quote():
                self.quote = event
            case Trade():
                self.last = event.price
                self.trades.append(event.ts_recv)
            case Ticker():
                self.last = event.last if self.last is None else self.last
            case _:
                return
        if event.ts_event:
            delay = (event.ts_recv - event.ts_event) / 1e9
            self.latency = delay if self.latency is None else 0.9 * self.latency + 0.1 * delay

    def at(self, now: int) -> BoardRow:
        bid, ask = self.book.best() if self.book is not None else (None, None)
        if self.quote is not None and (bid is None or ask is None):
            bid, ask = (self.quote.bid, self.quote.bid_size), (self.quote.ask, self.quote.ask_size)
        return BoardRow(
            self.venue,
            self.market,
            self.symbol,
            None if bid is None else bid[0],
            None if ask is None else ask[0],
            self.last,
            _rate(self.trades, self.begun, now),
            _rate(self.arrivals, self.begun, now),
            self.latency,
            max(0.0, (now - self.seen) / 1e9) if self.seen else None,
            None if self.book is None else self.book.seq,
            0 if self.book is None else self.book.epoch,
            self.gaps,
            self.state or "waiting",
        )


class Board:
    """Keeps the rows. A ``Sink``: give it to an adapter, or call ``deliver`` with what a consumer read.

    ``market_of(venue, symbol)`` names the market of a symbol.
    """

    def __init__(self, market_of: Callable[[str, str], str]) -> None:
        self._market_of = market_of
        self._rows: dict[tuple[str, str], _Row] = {}
        self.events = 0
        self.latest = 0
        """``ts_recv`` of the newest event: the board's own time when a tape plays."""
        self.types: Counter[str] = Counter()
        self.statuses: Counter[str] = Counter()
        self.news: deque[Status] = deque(maxlen=NEWS)
        self.measured: Health | None = None
        """The newest health report, for who gives one with ``measure``."""
        self._measure: Callable[[], Health] | None = None

    def measure(self, health: Callable[[], Health]) -> None:
        """Ask this for a health report whenever rows are asked for, and one has not been for a second."""
        self._measure = health
        self.measured = health()

    def expect(self, venue: str, symbol: str) -> None:
        """Make a row for a symbol that has not sent anything yet."""
        self._row(venue, symbol)

    def deliver(self, events: Sequence[Event]) -> None:
        """Take events, in order."""
        self.events += len(events)
        for event in events:
            self.latest = max(self.latest, event.ts_recv)
            if isinstance(event, Status):
                self._status(event)
            else:
                self.types[str(type(event).__struct_config__.tag)] += 1
                row = self._row(event.venue, event.symbol)
                row.add(event)
                if row.state in {"", "waiting"}:
                    row.state = "live"

    def rows(self, now: int) -> list[BoardRow]:
        """Return every row, by symbol, then venue, as it stands at this wall clock (nanoseconds)."""
        ordered = sorted(self._rows.values(), key=lambda row: (row.symbol, row.venue))
        rows = [row.at(now) for row in ordered]
        if self._measure is None:
            return rows
        if self.measured is None or abs(now - self.measured.ts) >= 1_000_000_000:
            self.measured = self._measure()
        return _with_health(rows, self.measured)

    @property
    def gaps(self) -> int:
        """Gaps that were spoken of, over all rows."""
        return self.statuses["gap"]

    def _row(self, venue: str, symbol: str) -> _Row:
        row = self._rows.get((venue, symbol))
        if row is None:
            row = self._rows[venue, symbol] = _Row(venue, self._market_of(venue, symbol), symbol)
        return row

    def _status(self, status: Status) -> None:
        self.statuses[status.code] += 1
        if status.code not in {"connected", "subscribed"}:
            self.news.append(status)
        for row in self._concerned(status):
            row.gaps += status.code == "gap"
            if status.code in _BAD:
                row.state = status.code
            elif status.code in _GOOD and row.state != "live":
                row.state = "live" if row.seen else "waiting"

    def _concerned(self, status: Status) -> Iterable[_Row]:
        if status.symbol:
            row = self._rows.get((status.venue, status.symbol))
            return () if row is None else (row,)
        return [row for (venue, _), row in self._rows.items() if venue == status.venue]


def _with_health(rows: Sequence[BoardRow], health: Health) -> list[BoardRow]:
    """Return the rows with what a report says of their subscriptions."""
    worst: dict[tuple[str, str], float] = {}
    resyncs: Counter[tuple[str, str]] = Counter()
    for one in health.subscriptions:
        key = (one.venue, one.subscription.symbol)
        resyncs[key] += one.resyncs
        if one.latency is not None:
            worst[key] = max(worst.get(key, one.latency.p99), one.latency.p99)
    return [
        structs.replace(row, p99=worst.get((row.venue, row.symbol)), resyncs=resyncs[row.venue, row.symbol])
        for row in rows
    ]


def _rate(times: deque[int], begun: int, now: int) -> float:
    """Return how many per second there were in the window, or since the row began when that is shorter."""
    since = now - WINDOW
    while times and times[0] < since:
        times.popleft()
    return len(times) / (min(WINDOW, max(now - begun, 1_000_000_000)) / 1e9)
