from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence

import anyio
import pytest
from trio.testing import MockClock

from tests.router.fakes import FakeAdapter, trade
from unitape.adapter import VenueAdapter
from unitape.clock import LoopClock
from unitape.feed.core import StreamStats
from unitape.health import LOG_LEVELS, HealthMonitor, log_statuses
from unitape.registry import load_venue
from unitape.router import Router
from unitape.sim import Fault, FaultSchedule, SimNetwork, SimSettings
from unitape_schemas import STATUS_CODES, BookDelta, BookSnapshot, Event, Status, Subscription, Trade

SECOND = 1_000_000_000
VIRTUAL = pytest.param(("trio", {"clock": MockClock(autojump_threshold=0)}), id="virtual")
pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("anyio_backend", [VIRTUAL])]


class Measured(FakeAdapter):
    """Counts for each subscription as a venue's feed does."""

    def __init__(self, venue: str = "alpha") -> None:
        super().__init__(venue)
        self.lines: list[StreamStats] = []

    def stats(self) -> list[StreamStats]:
        return self.lines


def line(
    channel: str = "trades", *, events: int = 0, last: int = 0, gaps: int = 0, state: str = "active"
) -> StreamStats:
    return StreamStats(Subscription(channel, "BTC/USDT"), state, 1, events, last, gaps, 0)  # type: ignore[arg-type]


def late(seconds: float, *, at: int = 100 * SECOND) -> Trade:
    return Trade("alpha", "BTC/USDT", at - round(seconds * SECOND), 0, at, None, 1.0, 1.0, "buy")


def status(code: str, key: str | None = None, *, count: int | None = None, text: str = "words") -> Status:
    return Status("alpha", "BTC/USDT" if key else "", 0, 0, SECOND, code, key, count, text)  # type: ignore[arg-type]


async def test_rates_and_staleness_are_taken_over_the_window() -> None:
    adapter, clock = Measured(), LoopClock(1000 * SECOND)
    async with Router(adapter, clock=clock) as router:
        monitor = HealthMonitor(router, window=10, clock=clock)
        start = clock.wall()
        adapter.lines = [line(events=0)]
        first = monitor.health().subscriptions[0]
        assert (first.rate, first.staleness, first.latency) == (0.0, None, None)
        for second in range(1, 31):
            await anyio.sleep(1)
            # Two a second for 20 seconds, then silence.
            adapter.lines = [line(events=2 * min(second, 20), last=start + min(second, 20) * SECOND)]
            found = monitor.health().subscriptions[0]
            if second == 15:
                assert found.rate == pytest.approx(2.0)
                assert found.staleness == pytest.approx(0.0)
            if second == 25:
                assert found.rate == pytest.approx(1.0), "half of the window was silent"
        assert found.rate == 0.0
        assert found.staleness == pytest.approx(10.0)


async def test_a_subscription_that_counts_anew_has_no_negative_rate() -> None:
    adapter, clock = Measured(), LoopClock(0)
    async with Router(adapter, clock=clock) as router:
        monitor = HealthMonitor(router, clock=clock)
        adapter.lines = [line(events=1000)]
        monitor.health()
        await anyio.sleep(1)
        adapter.lines = [line(events=3)]
        assert monitor.health().subscriptions[0].rate == 0.0


async def test_latency_is_in_percentiles_of_what_arrived_last() -> None:
    adapter = Measured()
    async with Router(adapter) as router:
        monitor = HealthMonitor(router)
        adapter.lines = [line(), line("book")]
        for _ in range(50):
            adapter.deliver(late(9.0))
        for hundredth in range(1, 257):
            adapter.deliver(late(hundredth / 100))
        latency = monitor.health().subscriptions[0].latency
        assert latency is not None
        assert latency.samples == 256, "what came before is forgotten"
        assert (latency.p50, latency.p90, latency.p99, latency.worst) == pytest.approx((1.28, 2.31, 2.54, 2.56))
        assert monitor.health().subscriptions[1].latency is None, "each subscription has its own"
        for _ in range(256):
            adapter.deliver(late(-0.5))
        latency = monitor.health().subscriptions[0].latency
        assert latency is not None
        assert latency.worst == pytest.approx(-0.5), "a venue whose clock is ahead shows"


async def test_a_time_that_no_clock_shows_does_not_stop_the_feed() -> None:
    adapter = Measured()
    async with Router(adapter) as router:
        monitor = HealthMonitor(router)
        adapter.lines = [line()]
        # A venue that sends microseconds where milliseconds belong, as one did for a day.
        adapter.deliver(Trade("alpha", "BTC/USDT", 1_793_923_200_000_000 * 1_000_000, 0, SECOND, None, 1.0, 1.0, "buy"))
        adapter.deliver(late(0.25))
        latency = monitor.health().subscriptions[0].latency
        assert latency is not None
        assert (latency.samples, latency.worst) == (1, 0.25)


async def test_events_without_a_time_have_no_latency() -> None:
    adapter = Measured()
    async with Router(adapter) as router:
        monitor = HealthMonitor(router)
        adapter.lines = [line()]
        adapter.deliver(trade(7))
        assert monitor.health().subscriptions[0].latency is None


async def test_gaps_resyncs_reconnects_and_drops_are_counted_apart() -> None:
    adapter = Measured()
    async with Router(adapter) as router:
        monitor = HealthMonitor(router)
        slow = router.stream(capacity=5, name="slow", statuses=False)
        adapter.lines = [line(gaps=12), line("book", gaps=2)]
        adapter.deliver(
            *(status("gap", "book BTC/USDT"), status("resynced", "book BTC/USDT"), status("gap", "book BTC/USDT")),
            *(status("gap", "trades BTC/USDT", count=12), status("recovered", "trades BTC/USDT", count=12)),
            *(status("disconnected", count=4), status("disconnected", count=0), status("connected")),
            *(status("rotated", count=4), status("undecoded", count=1), late(0.1)),
        )
        adapter.deliver(*(late(0.1) for _ in range(9)))
        health = monitor.health()
        trades, book = health.subscriptions
        assert (trades.gaps, trades.resyncs) == (12, 1)
        assert (book.gaps, book.resyncs) == (2, 2)
        (venue,) = health.venues
        assert (venue.reconnects, venue.rotations, venue.undecoded, venue.halted) == (1, 1, 1, False)
        (consumer,) = health.consumers
        assert (consumer.name, consumer.dropped, consumer.waiting) == ("slow", 5, 5)
        assert (health.dropped, health.reconnects, health.resyncs) == (5, 1, 3)
        assert slow.lost == 5
        assert health.problems == []
        adapter.lines = [line(state="stale")]
        assert monitor.health().problems == ["alpha trades BTC/USDT is stale"]


async def test_a_venue_that_failed_is_a_problem_whenever_one_looks() -> None:
    async with Router(FakeAdapter("alpha", broken="enter"), FakeAdapter("beta")) as router:
        health = HealthMonitor(router).health()
        assert [(venue.venue, venue.halted) for venue in health.venues] == [("alpha", True), ("beta", False)]
        assert health.problems == ["alpha is halted"]


async def test_a_closed_monitor_leaves_nothing_attached() -> None:
    adapter = Measured()
    async with Router(adapter) as router:
        before = len(adapter._sinks)
        monitor = HealthMonitor(router)
        assert len(adapter._sinks) == before + 1
        monitor.close()
        monitor.close()
        assert len(adapter._sinks) == before


async def test_memory_is_what_the_process_holds() -> None:
    async with Router(Measured()) as router:
        monitor = HealthMonitor(router)
        before = monitor.health().memory
        held = bytearray(60_000_000)
        held[::4096] = b"x" * len(held[::4096])
        after = monitor.health().memory
        assert before is not None
        assert after is not None
        assert 50_000_000 < after - before < 90_000_000
        del held


async def test_every_status_has_a_level_and_is_logged_at_it(caplog: pytest.LogCaptureFixture) -> None:
    assert set(LOG_LEVELS) == set(STATUS_CODES)
    adapter = Measured()
    async with Router(adapter) as router:
        with caplog.at_level(logging.DEBUG, "unitape.status"):
            stop = log_statuses(router)
            adapter.deliver(
                status("gap", "trades BTC/USDT", count=3),
                status("connected"),
                status("halted", text="it broke"),
                late(1),
            )
            stop.cancel()
            adapter.deliver(status("stale"))
    logged = [(r.name, r.levelname, r.getMessage()) for r in caplog.records if r.name.startswith("unitape.status")]
    assert logged == [
        ("unitape.status.alpha", "WARNING", "gap trades BTC/USDT (3): words"),
        ("unitape.status.alpha", "INFO", "connected -: words"),
        ("unitape.status.alpha", "ERROR", "halted -: it broke"),
    ]


class Judge:
    """Counts what an adapter delivers, with code of its own."""

    def __init__(self) -> None:
        self.codes: Counter[str] = Counter()
        self.events: Counter[str] = Counter()

    def deliver(self, events: Sequence[Event]) -> None:
        for event in events:
            if isinstance(event, Status):
                self.codes[event.code] += not (event.code == "disconnected" and event.count == 0)
                self.codes[f"{event.code} of {(event.subscription or '-').split()[0]}"] += 1
            elif isinstance(event, Trade):
                self.events["trades"] += 1
            elif isinstance(event, BookSnapshot | BookDelta):
                self.events["book"] += 1


async def test_a_simulated_market_with_faults_is_reported_as_it_was() -> None:
    faults = FaultSchedule((Fault("close", at=30), Fault("drop", at=60, count=3), Fault("close", at=90)))
    settings = SimSettings(symbols=1, rate=10, markets=("binance/spot",), faults={"*": faults}, tick=0.05)
    venue = load_venue("binance")
    async with SimNetwork([venue], settings) as network:
        adapter = VenueAdapter(
            venue,
            endpoints={"spot": network.endpoint("binance", "spot")},
            transport=network.transport,
            clock=network.clock,
            seed=3,
        )
        judge = Judge()
        adapter.attach(judge)
        async with Router(adapter, clock=network.clock) as router:
            monitor = HealthMonitor(router, clock=network.clock, window=30)
            lines = [Subscription("trades", "BTC/USDT"), Subscription("book", "BTC/USDT")]
            await router.subscribe(*lines)
            for _ in range(15):
                await anyio.sleep(10)
                health = monitor.health()
            trades, book = health.subscriptions
            assert judge.codes["disconnected"] == 2
            assert health.reconnects == 2
            assert trades.events == judge.events["trades"]
            assert book.gaps == judge.codes["gap of book"]
            assert book.resyncs >= 1
            for one in (trades, book):
                assert one.state == "active"
                assert one.staleness is not None
                assert 0 <= one.staleness < 10
                assert 0.1 < one.rate < 50
                assert one.latency is not None
                assert 0 <= one.latency.p50 <= one.latency.p99 <= one.latency.worst < 1
            assert health.problems == []
