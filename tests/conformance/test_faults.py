"""Random schedules of faults: nothing is lost in silence, nothing comes twice, books end up right."""

from __future__ import annotations

import anyio
import pytest

from tests.conformance.conftest import SEEDS, VIRTUAL
from tests.conformance.rig import MARKETS, Journal, Rig, journal_sizes, received_sizes, rig
from unitape.sim import FaultSchedule
from unitape_schemas import Subscription

pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("anyio_backend", [pytest.param(VIRTUAL, id="virtual")])]

EVERYWHERE = (
    *("duplicate", "delay", "half_open", "close", "clock_jump", "lost_reply"),
    *("http_429", "slow_snapshot", "lagging_snapshot", "server_shutdown", "refused_subscribe", "silent_ack"),
)
NUMBERED = (*EVERYWHERE, "drop", "reorder", "truncate")
"""A message that is lost inside a living connection can only be noticed where trades carry numbers."""
DURATION = 240.0
SETTLES = 240.0
"""Virtual seconds after the last fault in which everything must be well again: half-open connections take longest."""

SCHEDULES = [(*MARKETS[seed % len(MARKETS)], seed) for seed in range(SEEDS)]


@pytest.mark.parametrize(("venue", "market", "seed"), SCHEDULES)
async def test_c20_under_faults_everything_is_delivered_once_or_told(venue: str, market: str, seed: int) -> None:
    async with rig(venue, market, seed=seed, symbols=2, rate=3.0) as work:
        numbered = work.market.channels["trades"].continuity == "sequence"
        schedule = FaultSchedule.seeded(
            seed, duration=DURATION, count=8, kinds=NUMBERED if numbered else EVERYWHERE, warm_up=5.0
        )
        journal = Journal(work.host)
        wanted = [Subscription(c, s) for s in work.symbols for c in ("trades", "book")]
        result = await work.subscribe(*wanted)
        assert set(result.confirmed) == set(wanted), work.describe()
        await work.until(lambda: all(work.ledger.trades(s) for s in work.symbols), 60.0, "a first trade of each")
        for fault in schedule.faults:
            work.host.faults.add(fault)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(journal.run)
            await anyio.sleep(DURATION + SETTLES)
            tasks.cancel_scope.cancel()
        await work.until(lambda: well(work), 900.0, "all books live and all subscriptions heard")
        await work.quiet(20.0)
        journal.gather()
        assert work.ledger.problems == [], work.describe()
        for symbol in work.symbols:
            check_trades(work, journal, symbol, numbered=numbered)
            assert work.ledger.books[symbol].best(10) == work.truth(symbol, 10), f"{symbol}\n{work.describe()}"
            book = work.adapter.book(symbol)
            assert book is not None
            assert not book.stale


def well(work: Rig) -> bool:
    """Tell whether everything asked for is being served."""
    books = [work.adapter.book(symbol) for symbol in work.symbols]
    states = [stats.state for stats in work.adapter.stats()]
    return all(book is not None and not book.stale for book in books) and set(states) == {"active"}


def check_trades(work: Rig, journal: Journal, symbol: str, *, numbered: bool) -> None:
    """Each trade of the exchange arrived once, or its loss was told: counted where trades are numbered."""
    got = work.ledger.trades(symbol)
    first = got[0].ts_event
    sizes = {k: v for k, v in received_sizes([t for t in got if t.ts_event > first]).items()}
    made = [trade for trade in journal.trades[symbol] if trade.ts // 1_000_000 * 1_000_000 > first]
    expected = journal_sizes(work.host, made)
    context = f"{symbol}\n{work.describe()}"
    extra = {key: size for key, size in sizes.items() if size > expected.get(key, 0)}
    assert extra == {}, f"came twice or was never made: {extra} {context}"
    missing = {key: size for key, size in expected.items() if size > sizes.get(key, 0)}
    if not missing:
        return
    key = Subscription("trades", symbol).key
    told = [s for s in work.ledger.statuses("gap") if s.subscription == key]
    assert told, f"{len(missing)} losses in silence: {sorted(missing)[:5]} {context}"
    if numbered:
        filled = [s for s in work.ledger.statuses("recovered") if s.subscription == key]
        counted = sum(s.count or 0 for s in told) - sum(s.count or 0 for s in filled)
        assert counted >= len(missing), f"{len(missing)} losses, {counted} told {context}"
