"""A day in virtual time: connections reach their lifetime, faults strike, and nothing is lost or piles up."""

from __future__ import annotations

import gc
from collections import Counter, defaultdict, deque
from collections.abc import Mapping, Sequence
from decimal import Decimal

import anyio
import pytest

from tests.conformance.conftest import VIRTUAL
from tests.conformance.markets import rig
from unitape.feed.options import FeedOptions
from unitape.sim import Fault, FaultSchedule
from unitape.testing.conformance import Journal, Ledger, Rig, TradeKey, journal_sizes, received_sizes
from unitape_schemas import Event, Status, Subscription, Trade

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.slow,
    pytest.mark.parametrize("anyio_backend", [pytest.param(VIRTUAL, id="virtual")]),
]

HOUR = 3600.0
SYMBOLS = 50
RATE = 0.004
"""How often agents act per second and symbol: a few hundred trades of each in a day, and several updates per minute of
all books together."""
TICK = 1.0
LIFETIME = 10 * HOUR
"""When the venue cuts whatever connection is left; the feed means to rotate before, after two to ten hours."""
HASTY = FeedOptions(rotate_share=0.6)
GROWTH = 1.10
"""Objects of our own types after a day, against those after two hours; a constant on top for what comes and goes."""
SLACK = 400

FAULTS = FaultSchedule(
    tuple(
        Fault(kind, at=hour * HOUR, count=count)
        for hour, kind, count in (
            (2.6, "close", 1),
            (4.0, "drop", 5),
            (5.5, "half_open", 1),
            (7.0, "http_429", 3),
            (7.001, "close", 1),
            (9.0, "truncate", 3),
            (11.0, "server_shutdown", 1),
            (13.0, "refused_subscribe", 2),
            (13.001, "close", 1),
            (16.0, "reorder", 4),
            (18.0, "silent_ack", 1),
            (18.001, "close", 1),
            (20.0, "duplicate", 20),
        )
    )
)


class DayLedger(Ledger):
    """Keeps sizes instead of events: what is kept must not hide what grows."""

    def __init__(self) -> None:
        super().__init__()
        self.first: dict[str, int] = {}
        self.sizes: dict[str, dict[TradeKey, Decimal]] = defaultdict(dict)
        self.numbers: dict[str, int] = {}
        self.counts: Counter[str] = Counter()
        self.told: Counter[str] = Counter()

    def deliver(self, events: Sequence[Event]) -> None:
        for event in events:
            if isinstance(event, Trade):
                self._trade(event)
            elif isinstance(event, Status):
                self.counts[event.code] += 1
                if event.code in ("gap", "recovered") and event.subscription == f"trades {event.symbol}":
                    self.told[event.symbol] += (event.count or 0) * (1 if event.code == "gap" else -1)
        super().deliver(events)
        self.events.clear()

    def _trade(self, trade: Trade) -> None:
        number = int(trade.id or -1)
        if number <= self.numbers.get(trade.symbol, -1):
            self.problems.append(f"{trade.symbol}: trade {number} after {self.numbers[trade.symbol]}")
        self.numbers[trade.symbol] = number
        self.first.setdefault(trade.symbol, trade.ts_event)
        for key, size in received_sizes([trade]).items():
            self.sizes[trade.symbol][key] = self.sizes[trade.symbol].get(key, Decimal()) + size


@pytest.mark.parametrize("market", ["spot", "usdm"])
async def test_a_day_with_50_symbols_loses_nothing_and_keeps_its_size(market: str) -> None:
    ledger = DayLedger()
    async with rig(
        "binance",
        market,
        seed=7,
        symbols=SYMBOLS,
        rate=RATE,
        tick=TICK,
        ledger=ledger,
        faults=FAULTS,
        feed=HASTY,
        lifetime=LIFETIME,
    ) as work:
        journal = Journal(work.host)
        wanted = [Subscription(c, s) for s in work.symbols for c in ("trades", "book")]
        result = await work.subscribe(*wanted)
        assert set(result.confirmed) == set(wanted), work.describe()
        await anyio.sleep(2 * HOUR)
        early = sizes(work)
        for _ in range(22):
            await anyio.sleep(HOUR)
            journal.gather()
        assert grown(early, sizes(work)) == {}
        await anyio.sleep(HOUR)
        await work.quiet(30.0)
        journal.gather()
        check_day(work, ledger, journal)


def check_day(work: Rig, ledger: DayLedger, journal: Journal) -> None:
    assert ledger.problems == []
    faults = work.host.faults
    assert faults.pending() == 0, "every fault has struck"
    assert ledger.counts["rotated"] >= 3, "connections reach the end of their lifetime within the day"
    assert ledger.counts["rejected"] == 0
    assert {stats.state for stats in work.adapter.stats()} <= {"active", "stale"}
    lost = {symbol: check_symbol(work, ledger, journal, symbol) for symbol in work.symbols}
    assert sum(lost.values()) < sum(len(trades) for trades in journal.trades.values()) // 20


def check_symbol(work: Rig, ledger: DayLedger, journal: Journal, symbol: str) -> int:
    """Every trade came once or is told as lost, and the book is right. Returns how many were lost."""
    first = ledger.first[symbol]
    made = [trade for trade in journal.trades[symbol] if trade.ts // 1_000_000 * 1_000_000 > first]
    assert len(made) > 30, symbol
    expected = journal_sizes(work.host, made)
    got = {key: size for key, size in ledger.sizes[symbol].items() if key[0] * 1_000_000 > first}
    assert {key: size for key, size in got.items() if size > expected.get(key, 0)} == {}, symbol
    missing = [key for key, size in expected.items() if size > got.get(key, 0)]
    assert len(missing) <= ledger.told[symbol], f"{symbol}: {len(missing)} lost, {ledger.told[symbol]} told"
    assert ledger.books[symbol].best(10) == work.truth(symbol, 10), symbol
    book = work.adapter.book(symbol)
    assert book is not None
    assert not book.stale, symbol
    return len(missing)


def sizes(work: Rig) -> dict[str, int]:
    """Return how many objects there are of each of our types, and how long the feed's own containers are."""
    gc.collect()
    ours = ("unitape.feed", "unitape.books", "unitape.adapter", "unitape.transport", "unitape_binance", "anyio", "trio")
    counts = Counter(
        f"{type(thing).__module__}.{type(thing).__qualname__}"
        for thing in gc.get_objects()
        if str(type(thing).__module__).startswith(ours) and "simulator" not in type(thing).__module__
    )
    for driver in work.adapter._drivers():
        counts.update({f"state.{name}": size for name, size in lengths(vars(driver.core._state)).items()})
        counts.update({f"driver.{name}": size for name, size in lengths(vars(driver)).items()})
    return counts


def lengths(attributes: Mapping[str, object]) -> dict[str, int]:
    return {name: len(held) for name, held in attributes.items() if isinstance(held, dict | list | deque | set)}


def grown(early: Mapping[str, int], late: Mapping[str, int]) -> dict[str, tuple[int, int]]:
    """Return what has grown beyond the bound."""
    return {
        name: (early.get(name, 0), size) for name, size in late.items() if size > early.get(name, 0) * GROWTH + SLACK
    }
