"""How a running feed is doing: one struct for programs, lines of log for people.

``HealthMonitor`` looks at a router. What it costs per delivery is one look at the newest event; everything else is read
from counters when somebody asks.
"""

from __future__ import annotations

import logging
import sys
from array import array
from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Final, Protocol, runtime_checkable

from msgspec import Struct

from unitape.clock import Clock, SystemClock
from unitape.feed.core import StreamStats
from unitape.losses import subscription_key
from unitape.router import Router, Subscriber
from unitape.sinks.base import EventSink, SinkStats
from unitape_schemas import Event, Status, StatusCode, Subscription

__all__ = [
    "LOG_LEVELS",
    "ConsumerHealth",
    "Health",
    "HealthMonitor",
    "Latency",
    "SubscriptionHealth",
    "VenueHealth",
    "log_statuses",
    "memory_bytes",
]

SAMPLES: Final = 256
"""Latencies that are kept for each subscription."""
MOST_KEPT: Final = 20_000
"""Subscriptions whose latencies are kept; a feed of more has none for the rest."""
_NANOS: Final = 1e9
_LONGEST: Final = 1 << 62
"""Nanoseconds: what is longer is no latency."""

LOG_LEVELS: Final[dict[StatusCode, int]] = {
    "connected": logging.INFO,
    "subscribed": logging.INFO,
    "unsubscribed": logging.INFO,
    "resynced": logging.INFO,
    "rotated": logging.INFO,
    "recovered": logging.INFO,
    "unknown_symbol": logging.INFO,
    "duplicate": logging.DEBUG,
    "conflated": logging.WARNING,
    "disconnected": logging.WARNING,
    "stale": logging.WARNING,
    "gap": logging.WARNING,
    "dropped": logging.WARNING,
    "undecoded": logging.WARNING,
    "rate_limited": logging.WARNING,
    "rejected": logging.ERROR,
    "halted": logging.ERROR,
}
"""At which level each status is logged."""


class Latency(Struct, frozen=True):
    """From the venue's event time to our arrival, seconds, over the last 256 samples. Negative where clocks differ.

    Where a venue does not say when something happened, from when it sent it.
    """

    samples: int
    p50: float
    p90: float
    p99: float
    worst: float


class SubscriptionHealth(Struct, frozen=True):
    """One subscription."""

    venue: str
    subscription: Subscription
    state: str
    """``asked``, ``active`` or ``stale``."""
    events: int
    rate: float
    """Events per second over the monitor's window."""
    staleness: float | None
    """Seconds since the last event; None before the first."""
    latency: Latency | None
    """None where the venue gives no time, or nothing was sampled yet."""
    gaps: int
    """Events known to have been missing, refilled ones included; of a book, how often its chain broke."""
    resyncs: int
    """Of a book: how often it was joined again. Of trades: how often missing ones were recovered."""
    duplicates: int


class VenueHealth(Struct, frozen=True):
    """One venue. The counts are since the monitor began."""

    venue: str
    halted: bool
    reconnects: int
    """Connections that were lost and not given up on purpose."""
    rotations: int
    undecoded: int
    """Frames that could not be understood."""
    unmapped: int
    """Messages that were understood and that the contract has no event for."""


class ConsumerHealth(Struct, frozen=True):
    """One consumer of the router."""

    name: str
    waiting: int
    dropped: int
    conflated: int


class Health(Struct, frozen=True):
    """Everything at one moment."""

    ts: int
    """Wall clock, nanoseconds."""
    uptime: float
    """Seconds since the monitor began."""
    memory: int | None
    """Bytes of memory that the process holds; None where the system does not say."""
    subscriptions: tuple[SubscriptionHealth, ...]
    venues: tuple[VenueHealth, ...]
    consumers: tuple[ConsumerHealth, ...]
    sinks: tuple[SinkStats, ...] = ()

    @property
    def problems(self) -> list[str]:
        """What is wrong now, in words: halted venues, and subscriptions that are stale. Empty when all is well."""
        halted = [f"{venue.venue} is halted" for venue in self.venues if venue.halted]
        stale = [f"{one.venue} {one.subscription.key} is stale" for one in self.subscriptions if one.state == "stale"]
        return halted + stale

    @property
    def dropped(self) -> int:
        """Events that consumers did not get because they did not keep up."""
        return sum(consumer.dropped for consumer in self.consumers)

    @property
    def reconnects(self) -> int:
        """Connections that were lost, over all venues."""
        return sum(venue.reconnects for venue in self.venues)

    @property
    def resyncs(self) -> int:
        """Books that were joined again and trades that were recovered, over all subscriptions."""
        return sum(one.resyncs for one in self.subscriptions)


@runtime_checkable
class _Measured(Protocol):
    def stats(self) -> list[StreamStats]: ...


@runtime_checkable
class _Unmapping(Protocol):
    def unmapped(self) -> dict[str, int]: ...


class HealthMonitor:
    """Watches a router: ``monitor.health()`` says how it is doing. Make it before or after subscribing; ``close`` it.

    ``window`` is how many seconds rates are taken over: the finest that they can be is the time between two calls, so
    ask at least twice in a window. ``sinks`` are reported beside.
    """

    def __init__(
        self, router: Router, *, window: float = 10.0, sinks: Iterable[EventSink] = (), clock: Clock | None = None
    ) -> None:
        self._router = router
        self._window = round(window * _NANOS)
        self._sinks = tuple(sinks)
        self._clock = clock or SystemClock()
        self._begun = self._clock.mono()
        self._rates: dict[tuple[str, str], deque[tuple[int, int]]] = {}
        self._counts: dict[str, Counter[str]] = {venue: Counter() for venue in router.venues}
        self._by_line: Counter[tuple[str, str, str]] = Counter()
        self._watched = {adapter.venue: _Watch(self._note) for adapter in router.adapters}
        for adapter in router.adapters:
            adapter.attach(self._watched[adapter.venue])

    def close(self) -> None:
        """Watch no more. Again: nothing."""
        for adapter in self._router.adapters:
            watch = self._watched.pop(adapter.venue, None)
            if watch is not None:
                adapter.detach(watch)

    def health(self) -> Health:
        """Return how everything is doing now."""
        ts, mono = self._clock.wall(), self._clock.mono()
        subscriptions: list[SubscriptionHealth] = []
        for adapter in self._router.adapters:
            if isinstance(adapter, _Measured):
                subscriptions += [self._line(adapter.venue, stats, ts, mono) for stats in adapter.stats()]
        halted = {status.venue for status in self._router.halted}
        known = {(one.venue, one.subscription.key) for one in subscriptions}
        self._rates = {key: kept for key, kept in self._rates.items() if key in known}
        return Health(
            ts,
            (mono - self._begun) / _NANOS,
            memory_bytes(),
            tuple(subscriptions),
            tuple(self._venue(adapter.venue, adapter, halted) for adapter in self._router.adapters),
            tuple(
                ConsumerHealth(consumer.name, len(consumer), consumer.lost, consumer.conflated)
                for consumer in sorted(self._router.consumers, key=lambda consumer: consumer.name)
            ),
            tuple(sink.stats() for sink in self._sinks),
        )

    def _line(self, venue: str, stats: StreamStats, ts: int, mono: int) -> SubscriptionHealth:
        subscription = stats.subscription
        key = subscription.key
        is_book = subscription.channel == "book"
        watch = self._watched.get(venue)
        return SubscriptionHealth(
            venue,
            subscription,
            stats.state,
            stats.events,
            self._rate((venue, key), stats.events, mono),
            max(0.0, (ts - stats.last) / _NANOS) if stats.last else None,
            None if watch is None else watch.latency(subscription),
            self._by_line[venue, key, "gap"] if is_book else stats.gaps,
            stats.gaps if is_book else self._by_line[venue, key, "recovered"],
            stats.duplicates,
        )

    def _rate(self, key: tuple[str, str], events: int, mono: int) -> float:
        """Return events per second since the oldest look within the window, or the last one before it."""
        looks = self._rates.setdefault(key, deque(maxlen=SAMPLES))
        if looks and events < looks[-1][1]:
            # Unsubscribed and subscribed again: it counts from 0.
            looks.clear()
        looks.append((mono, events))
        while len(looks) > 2 and looks[1][0] <= mono - self._window:
            looks.popleft()
        since, before = looks[0]
        return (events - before) / ((mono - since) / _NANOS) if mono > since else 0.0

    def _venue(self, venue: str, adapter: object, halted: set[str]) -> VenueHealth:
        counts = self._counts[venue]
        unmapped = sum(adapter.unmapped().values()) if isinstance(adapter, _Unmapping) else 0
        return VenueHealth(
            venue, venue in halted, counts["disconnected"], counts["rotated"], counts["undecoded"], unmapped
        )

    def _note(self, status: Status) -> None:
        if status.code == "disconnected" and status.count == 0:
            # Nothing was on that connection any more: it was left on purpose.
            return
        self._counts[status.venue][status.code] += 1
        if status.subscription is not None and status.code in {"gap", "recovered"}:
            self._by_line[status.venue, status.subscription, status.code] += 1


class _Watch:
    """Takes what one adapter delivers: every status, and of each delivery the newest event's latency."""

    def __init__(self, note: Callable[[Status], None]) -> None:
        self._note = note
        self._latencies: dict[str, _Ring] = {}

    def deliver(self, events: Sequence[Event]) -> None:
        """Take events. Where a delivery is large, one in it stands for the others."""
        for event in events:
            if isinstance(event, Status):
                self._note(event)
        if not events:
            return
        newest = events[-1]
        begun = newest.ts_event or newest.ts_sent
        if begun and not isinstance(newest, Status):
            key = subscription_key(newest)
            ring = self._latencies.get(key)
            if ring is None:
                if len(self._latencies) >= MOST_KEPT:
                    return
                ring = self._latencies[key] = _Ring()
            took = newest.ts_recv - begun
            # An adapter that takes one unit of time for another must not bring the feed down here.
            if -_LONGEST < took < _LONGEST:
                ring.add(took)

    def latency(self, subscription: Subscription) -> Latency | None:
        """Return what was sampled of a subscription."""
        plain = f"{subscription.channel} {subscription.symbol}"
        ring = self._latencies.get(subscription.key) or self._latencies.get(plain)
        if ring is None and subscription.channel == "top":
            # An event names its depth, a subscription to the default depth does not.
            found = [r for key, r in self._latencies.items() if key.startswith("top:") and key.endswith(plain[3:])]
            ring = found[0] if found else None
        return None if ring is None else ring.percentiles()


class _Ring:
    """The last latencies, nanoseconds."""

    __slots__ = ("_at", "_values")

    def __init__(self) -> None:
        self._values = array("q")
        self._at = 0

    def add(self, value: int) -> None:
        if len(self._values) < SAMPLES:
            self._values.append(value)
        else:
            self._values[self._at] = value
            self._at = (self._at + 1) % SAMPLES

    def percentiles(self) -> Latency:
        ordered = sorted(self._values)
        # The nearest rank: the smallest value that so much of all is not above.
        p50, p90, p99 = (ordered[-(-len(ordered) * share // 100) - 1] / _NANOS for share in (50, 90, 99))
        return Latency(len(ordered), p50, p90, p99, ordered[-1] / _NANOS)


def memory_bytes() -> int | None:
    """Return how much memory the process holds now; its peak where only that is known, None where nothing is."""
    try:
        import resource
    except ImportError:
        return None
    try:
        pages = int(Path("/proc/self/statm").read_bytes().split()[1])
    except (OSError, ValueError, IndexError):
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else peak * 1024
    return pages * resource.getpagesize()


def log_statuses(router: Router, *, name: str = "unitape.status") -> Subscriber:
    """Log every status of a router's venues at the level that ``LOG_LEVELS`` gives it; ``cancel()`` stops it.

    The logger is ``unitape.status.<venue>``, so that one venue can be made quiet.
    """
    loggers = {venue: logging.getLogger(f"{name}.{venue}") for venue in router.venues}

    def log(status: Status) -> None:
        what = status.subscription or status.symbol or "-"
        count = "" if status.count is None else f" ({status.count})"
        level = LOG_LEVELS[status.code]
        loggers[status.venue].log(level, "%s %s%s: %s", status.code, what, count, status.text)

    return router.on(Status, log)
