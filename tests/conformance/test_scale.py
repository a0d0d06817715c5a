"""Three hundred symbols in one process: within the venue's limits, each watched by itself, none delayed by another."""

from __future__ import annotations

import itertools
import json
from collections import defaultdict
from collections.abc import Sequence

import anyio
import pytest

from tests.conformance.conftest import VIRTUAL
from tests.conformance.markets import rig
from unitape.adapter import VenueAdapter
from unitape.clock import SystemClock
from unitape.registry import load_venue
from unitape.sim import Fault, SimServer, SimSettings
from unitape.spi.simulation import Text
from unitape.testing.conformance import Journal
from unitape_schemas import Event, Quote, Status, Subscription, Trade

pytestmark = pytest.mark.anyio

SYMBOLS = 300
HOT = "BTC/USDT"
BURST = 2_000
BURSTS = 5
EVERY = 0.8
"""The hot symbol brings bursts of thousands of messages, each within one step of the simulator."""
BOUND = 1.0
"""Seconds from the venue's stamp to the consumer that 99 of 100 trades of the quiet symbols stay below meanwhile, with
the simulator, the client and whatever else this machine does on the same processor. Five times more at worst."""


@pytest.mark.parametrize("anyio_backend", [pytest.param(VIRTUAL, id="virtual")])
@pytest.mark.parametrize(("venue", "market"), [("binance", "spot"), ("mexc", "spot")])
async def test_each_of_300_symbols_has_its_own_watch(venue: str, market: str) -> None:
    async with rig(venue, market, symbols=SYMBOLS, rate=1.0, tick=0.25) as work:
        wanted = [Subscription("trades", symbol) for symbol in work.symbols]
        assert len(wanted) == SYMBOLS
        bound = work.market.channels["trades"].stale_after
        assert bound is not None
        journal, begin = Journal(work.host, work.network.clock), work.network.clock.wall()
        result = await work.subscribe(*wanted)
        assert set(result.confirmed) == set(wanted), work.describe()
        check_connections(work.host.connections, work.adapter, wanted)
        lone = work.symbols[137]
        raw = next(i.raw_symbol for i in await work.adapter.instruments(market) if i.symbol == lone)
        await anyio.sleep(5.0)
        assert work.ledger.statuses("stale", "gap", "disconnected", "rejected") == [], work.describe()
        work.host.faults.add(Fault("drop", at=0.0, match=raw.lower(), count=1_000_000))
        for _ in range(round(bound) + 15):
            await anyio.sleep(1.0)
            journal.gather()
        told, end = {status.symbol for status in work.ledger.statuses("stale")}, work.network.clock.wall()
        assert lone in told, work.describe()
        pauses = {
            symbol: longest_pause([begin, *journal.gathered[symbol], end]) for symbol in work.symbols if symbol != lone
        }
        assert {s for s, pause in pauses.items() if pause > bound + 3.0} <= told, work.describe()
        assert told - {lone} <= {s for s, pause in pauses.items() if pause > bound - 3.0}, work.describe()
        assert len(told) < SYMBOLS // 20
        states = {stats.subscription.symbol: stats.state for stats in work.adapter.stats()}
        assert states.pop(lone) == "stale"
        assert sum(state == "active" for state in states.values()) > SYMBOLS * 0.9


def longest_pause(stamps: Sequence[int]) -> float:
    """Return the most seconds between two moments that follow each other."""
    return max((later - earlier) / 1e9 for earlier, later in itertools.pairwise(stamps))


def check_connections(connections: Sequence[int], adapter: VenueAdapter, wanted: Sequence[Subscription]) -> None:
    """As many connections stand as the plan says, and none carries more than the venue allows."""
    market = adapter.declaration.market_of(wanted[0].symbol)
    plan = adapter.plan(wanted)
    assert len(connections) == len(plan)
    assert sorted(s.symbol for one in plan for s in one.subscriptions) == sorted(s.symbol for s in wanted)
    carried: dict[int | None, int] = defaultdict(int)
    for stats in adapter.stats():
        carried[stats.connection] += market.cost(stats.subscription)
    assert len(carried) == len(connections)
    assert max(carried.values()) <= market.limits.subscriptions_per_connection


class Stopwatch:
    """Takes events and notes how long after the venue's stamp each trade was delivered."""

    def __init__(self, behind: int) -> None:
        self.clock = SystemClock()
        self.behind = behind
        """Nanoseconds by which the venue's clock is behind ours."""
        self.delays: list[float] = []
        self.symbols: set[str] = set()
        self.quotes = 0
        self.statuses: list[Status] = []

    def deliver(self, events: Sequence[Event]) -> None:
        now = self.clock.wall()
        for event in events:
            if isinstance(event, Trade):
                self.delays.append((now - self.behind - event.ts_sent) / 1e9)
                self.symbols.add(event.symbol)
            elif isinstance(event, Quote):
                self.quotes += 1
            elif isinstance(event, Status):
                self.statuses.append(event)


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_one_hot_symbol_does_not_delay_299_quiet_ones() -> None:
    venue = load_venue("binance")
    settings = SimSettings(symbols=SYMBOLS, rate=3.0, markets=("binance/spot",), history_minutes=5)
    async with SimServer([venue], settings) as sim:
        endpoint, host = sim.endpoint("binance", "spot"), sim.host("binance", "spot")
        async with VenueAdapter(venue, endpoints={"spot": endpoint}) as adapter:
            clock = SystemClock()
            host.step()
            watch = Stopwatch(clock.wall() - host.exchange.now)
            quiet = [i.symbol for i in host.exchange.instruments if i.symbol != HOT]
            assert len(quiet) == SYMBOLS - 1
            result = await adapter.subscribe([Subscription("trades", s) for s in quiet])
            assert len(result.confirmed) == SYMBOLS - 1
            await adapter.subscribe([Subscription("quotes", HOT)])
            adapter.attach(watch)
            (conn,) = host.connections
            for burst in range(BURSTS):
                host.face.outbox.extend(hot_quote(conn, burst * BURST + n) for n in range(BURST))
                await anyio.sleep(EVERY)
            with anyio.fail_after(10.0):
                while watch.quotes < BURST * BURSTS:  # noqa: ASYNC110 - a sink has no event to wait for
                    await anyio.sleep(0.05)
        assert len(watch.symbols) > SYMBOLS // 3
        ordered = sorted(watch.delays)
        slow = ordered[len(ordered) * 99 // 100]
        assert slow < BOUND, f"{slow:.3f} s of {len(ordered)} trades"
        assert ordered[-1] < 5 * BOUND
        assert watch.statuses == []


def hot_quote(conn: int, number: int) -> Text:
    """Return one quote as the venue writes it."""
    data = {"u": 10_000_000_000 + number, "s": "BTCUSDT", "b": "96000.00", "B": "1.5", "a": "96000.01", "A": "2.5"}
    return Text(conn, json.dumps({"stream": "btcusdt@bookTicker", "data": data}).encode(), "btcusdt@bookTicker")
