"""C20: random schedules of faults. Nothing is lost in silence, nothing comes twice, books end up right."""

from __future__ import annotations

import anyio
from msgspec import structs

from unitape.feed.options import FeedOptions
from unitape.sim import FaultSchedule
from unitape.sim.faults import FaultKind
from unitape.spi import Venue
from unitape.testing.conformance.rig import Journal, Rig, TradeKey, journal_sizes, received_sizes, rig
from unitape_schemas import Subscription, Trade

__all__ = ["endure", "under_faults", "under_faults_in_real_time"]

EVERYWHERE: tuple[FaultKind, ...] = (
    *("duplicate", "delay", "half_open", "close", "clock_jump", "lost_reply"),
    *(
        "http_429",
        "http_418",
        "slow_snapshot",
        "lagging_snapshot",
        "server_shutdown",
        "refused_subscribe",
        "silent_ack",
    ),
)
SINGLE: tuple[FaultKind, ...] = ("drop", "reorder", "truncate")
"""A message that is lost inside a living connection can only be noticed where messages carry numbers: every book's
do, the trades of some markets do not."""
SWIFT: tuple[FaultKind, ...] = tuple(kind for kind in EVERYWHERE if kind not in ("half_open", "silent_ack", "http_418"))
DURATION = 200.0
REAL_DURATION = 5.0
SETTLES = 200.0
"""Virtual seconds after the last fault in which everything must be well again: half-open connections take longest."""
SECOND = 1_000_000_000
TOLD_WITHIN = 10 * SECOND
"""Delays hold messages back, so a trade may be overtaken by this much."""

COUNT = 8
"""Faults of a schedule."""


async def under_faults(venue: Venue, market: str, seed: int, *, book_stream: str = "depth") -> None:
    """Let a schedule of faults, made from the seed, strike one market in virtual time, and hold everything to account.

    Every trade of the exchange came once, or its loss was told in time, counted where trades are numbered; every book
    is right at the end. ``book_stream`` is a part of the names of the streams that carry books.
    """
    schedule = FaultSchedule.seeded(seed, duration=DURATION, count=COUNT, kinds=(*EVERYWHERE, *SINGLE), warm_up=5.0)
    async with rig(venue, market, seed=seed, symbols=2, rate=3.0, tick=0.1) as work:
        await endure(work, schedule, (DURATION + SETTLES, 900.0, 20.0), book_stream)


async def under_faults_in_real_time(venue: Venue, market: str, seed: int, *, book_stream: str = "depth") -> None:
    """Do the same within seconds on the real clock.

    Faults that only a deadline of the venue ends are left to virtual time: half-open connections and silent
    acknowledgements take minutes to notice by declaration.
    """
    schedule = FaultSchedule.seeded(seed, duration=REAL_DURATION, count=COUNT, kinds=(*SWIFT, *SINGLE), warm_up=0.3)
    hasty = FeedOptions(refused_retry=0.2)
    async with rig(venue, market, seed=seed, symbols=2, rate=15.0, feed=hasty, backoff_cap=0.5) as work:
        await endure(work, schedule, (REAL_DURATION + 1.0, 60.0, 3.0), book_stream)


async def endure(
    work: Rig, schedule: FaultSchedule, seconds: tuple[float, float, float], book_stream: str = "depth"
) -> None:
    """Let the faults strike, wait until everything is well, and hold the account against the exchange's.

    ``seconds``: how long they strike, how long it may take to be well again, and how long everything rests then.
    """
    lasts, settles, rests = seconds
    numbered = work.market.channels["trades"].continuity == "sequence"
    journal = Journal(work.host, work.network.clock)
    wanted = [Subscription(c, s) for s in work.symbols for c in ("trades", "book")]
    result = await work.subscribe(*wanted)
    assert set(result.confirmed) == set(wanted), work.describe()
    await work.until(lambda: all(work.ledger.trades(s) for s in work.symbols), 60.0, "a first trade of each")
    for fault in schedule.faults:
        spares_trades = fault.kind in SINGLE and not numbered
        work.host.faults.add(structs.replace(fault, match=book_stream) if spares_trades else fault)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(journal.run)
        await anyio.sleep(lasts)
        await work.until(lambda: well(work), settles, "all books live and all subscriptions heard")
        # A number tells what was missed when the next trade comes, so let one come.
        had = {symbol: len(work.ledger.trades(symbol)) for symbol in work.symbols}
        await work.until(lambda: all(len(work.ledger.trades(s)) > had[s] for s in had), 120.0, "one more trade of each")
        await work.quiet(rests)
        tasks.cancel_scope.cancel()
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
    """Each trade of the exchange arrived once, or its loss was told, and in time: counted where trades are numbered."""
    got = work.ledger.trades(symbol)
    first = got[0].ts_event
    sizes = received_sizes([t for t in got if t.ts_event > first])
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
    when = made_when(work, journal, symbol)
    order = {id(event): position for position, event in enumerate(work.ledger.events)}
    for lost in missing:
        # Whoever has been handed trades that are newer than a lost one has been told of the loss before.
        newer = [order[id(t)] for t in got if when.get(trade_key(t), 0) > when[lost] + TOLD_WITHIN]
        until = min(newer, default=len(order))
        in_time = [s for s in told if s.ts_recv >= when[lost] - SECOND and order[id(s)] < until]
        assert in_time, f"{lost} is told too late {context}"


def made_when(work: Rig, journal: Journal, symbol: str) -> dict[TradeKey, int]:
    """Return when the trades of each key were made, by our own clock and up to a second late."""
    instrument = work.host.exchange.instrument(symbol)
    when: dict[TradeKey, int] = {}
    for trade, gathered in zip(journal.trades[symbol], journal.gathered[symbol], strict=True):
        when.setdefault((trade.ts // 1_000_000, float(instrument.price_text(trade.price)), trade.taker), gathered)
    return when


def trade_key(trade: Trade) -> TradeKey:
    """Return the key under which a trade is counted."""
    return trade.ts_event // 1_000_000, trade.price, trade.side
