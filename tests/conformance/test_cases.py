"""What every adapter must do, one case each, on every simulated market. The docs page on conformance lists them."""

from __future__ import annotations

from decimal import Decimal

import anyio
import pytest

from tests.conformance.rig import MARKETS, Journal, Rig, journal_sizes, received_sizes, rig
from unitape.errors import ConfigError
from unitape.feed.options import FeedOptions
from unitape.sim import Fault, FaultSchedule
from unitape_schemas import (
    BookDelta,
    BookSnapshot,
    Candle,
    Channel,
    Event,
    Funding,
    Liquidation,
    MarkPrice,
    OpenInterest,
    Quote,
    Subscription,
    Ticker,
    TopBook,
    Trade,
)

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.parametrize(("venue", "market"), MARKETS, ids=["-".join(m) for m in MARKETS]),
]

KINDS: dict[Channel, type[Event]] = {
    "trades": Trade,
    "quotes": Quote,
    "book": BookSnapshot,
    "top": TopBook,
    "ticker": Ticker,
    "candles": Candle,
    "mark_price": MarkPrice,
    "funding": Funding,
    "open_interest": OpenInterest,
    "liquidations": Liquidation,
}
MOMENT = 40.0
"""Seconds in which something must have come: virtual mostly, on the real clock an upper bound that is never reached."""


def request_for(work: Rig, channel: Channel, symbol: str) -> Subscription:
    spec = work.market.channels[channel]
    interval = ("1m" if "1m" in spec.intervals else spec.intervals[0]) if spec.intervals else None
    depth = spec.depths[0] if channel == "top" and spec.depths else None
    return Subscription(channel, symbol, interval=interval, depth=depth)


async def test_c01_the_instrument_list_is_the_exchanges(venue: str, market: str) -> None:
    async with rig(venue, market, symbols=3) as work:
        listed = {i.symbol: i for i in await work.adapter.instruments(market)}
        for expected in work.host.exchange.instruments:
            instrument = listed[expected.symbol]
            assert instrument.tick == expected.tick, expected.symbol
            assert instrument.step == expected.step, expected.symbol
            assert instrument.status == "trading"
            assert instrument.base == expected.base
            assert instrument.quote == expected.quote
            assert instrument.settle == expected.settle


async def test_c02_every_channel_is_confirmed_and_brings_its_events(venue: str, market: str) -> None:
    async with rig(venue, market, symbols=1, rate=60.0) as work:
        symbol = work.symbols[0]
        wanted = [request_for(work, channel, symbol) for channel in work.market.channels if channel in KINDS]
        result = await work.subscribe(*wanted)
        assert set(result.confirmed) == set(wanted), work.describe()
        assert result.rejected == ()
        lively = [s.channel for s in wanted if s.channel != "liquidations"]
        await work.until(lambda: all(work.ledger.of(KINDS[channel], symbol) for channel in lively), MOMENT, f"{lively}")
        for event in work.ledger.events:
            assert event.venue == venue
            assert event.ts_recv > 0
            assert event.symbol in (symbol, "")
        assert work.ledger.problems == []
        assert work.ledger.statuses("undecoded", "gap") == [], work.describe()


async def test_c03_what_does_not_exist_is_refused_before_anything_is_sent(venue: str, market: str) -> None:
    async with rig(venue, market, symbols=1) as work:
        perpetual = ":" in work.symbols[0]
        unknown = Subscription("trades", "NOSUCH/USDT:USDT" if perpetual else "NOSUCH/USDT")
        with pytest.raises(ConfigError, match="NOSUCH"):
            await work.subscribe(unknown)
        assert work.host.connections == ()
        missing = [channel for channel in KINDS if channel not in work.market.channels]
        for channel in missing:
            with pytest.raises(ConfigError, match=channel):
                await work.subscribe(Subscription(channel, work.symbols[0]))
        assert work.host.connections == ()


async def test_c04_every_trade_arrives_once_and_means_the_same(venue: str, market: str) -> None:
    async with rig(venue, market, symbols=2, rate=100.0) as work:
        journal = Journal(work.host)
        await work.subscribe(*(Subscription("trades", symbol) for symbol in work.symbols))
        await work.until(
            lambda: all(len(work.ledger.trades(s)) >= 25 for s in work.symbols), MOMENT, "25 trades of each"
        )
        await work.quiet(1.5)
        journal.gather()
        for symbol in work.symbols:
            got = work.ledger.trades(symbol)
            first = got[0].ts_event // 1_000_000
            sizes = received_sizes(got)
            expected = {k: v for k, v in journal_sizes(work.host, journal.trades[symbol]).items() if k[0] > first}
            assert {k: v for k, v in sizes.items() if k[0] > first} == expected, work.describe()
            assert [t.ts_event for t in got] == sorted(t.ts_event for t in got)


async def test_c05_the_book_is_the_exchanges_book(venue: str, market: str) -> None:
    async with rig(venue, market, symbols=2, rate=100.0) as work:
        await work.subscribe(*(Subscription("book", symbol) for symbol in work.symbols))
        await work.until(
            lambda: all(len(work.ledger.of(BookDelta, s)) >= 10 for s in work.symbols), MOMENT, "ten deltas of each"
        )
        await work.quiet(2.5)
        for symbol in work.symbols:
            book = work.adapter.book(symbol)
            assert book is not None
            assert not book.stale
            bids, asks = work.truth(symbol, 10)
            assert list(book.bids(10)) == bids, work.describe()
            assert list(book.asks(10)) == asks, work.describe()
            assert work.ledger.books[symbol].best(10) == (bids, asks)
        assert work.ledger.problems == []
        assert work.ledger.statuses("gap", "undecoded") == [], work.describe()


async def test_c06_after_a_cut_everything_comes_back(venue: str, market: str) -> None:
    async with rig(venue, market, symbols=1, rate=100.0) as work:
        symbol = work.symbols[0]
        await work.subscribe(Subscription("trades", symbol), Subscription("book", symbol))
        await work.until(lambda: work.ledger.of(BookDelta) and work.ledger.of(Trade), MOMENT, "first data")
        first = work.ledger.books[symbol].epoch
        for _ in range(len(work.host.connections)):
            work.host.faults.add(Fault("close", at=0.0))
        await work.until(lambda: work.ledger.statuses("disconnected"), MOMENT, "the cut is told")
        await work.until(lambda: work.ledger.books[symbol].epoch > first, MOMENT, "a new epoch")
        before = len(work.ledger.trades(symbol))
        await work.until(lambda: len(work.ledger.trades(symbol)) > before, MOMENT, "trades again")
        await work.quiet(2.5)
        assert work.ledger.books[symbol].best(10) == work.truth(symbol, 10), work.describe()
        assert work.ledger.problems == []


async def test_c07_rotation_loses_and_repeats_nothing(venue: str, market: str) -> None:
    # A lifetime of a day with nearly all of it in reserve: the connection is replaced at once, and again.
    hasty = FeedOptions(rotate_share=0.99995)
    async with rig(venue, market, symbols=2, rate=100.0, feed=hasty) as work:
        if work.market.limits.lifetime is None:
            pytest.skip(f"{venue} {market} documents no lifetime, so nothing is rotated by plan")
        journal = Journal(work.host)
        wanted = [Subscription(c, s) for s in work.symbols for c in ("trades", "book")]
        await work.subscribe(*wanted)
        await work.until(lambda: len(work.ledger.statuses("rotated")) >= 1, 120.0, "a rotation")
        await work.until(
            lambda: all(len(work.ledger.trades(s)) >= 25 for s in work.symbols), MOMENT, "25 trades of each"
        )
        await work.quiet(8.0)
        journal.gather()
        for symbol in work.symbols:
            got = work.ledger.trades(symbol)
            first = got[0].ts_event // 1_000_000
            expected = {k: v for k, v in journal_sizes(work.host, journal.trades[symbol]).items() if k[0] > first}
            assert {k: v for k, v in received_sizes(got).items() if k[0] > first} == expected, work.describe()
            assert work.ledger.books[symbol].best(10) == work.truth(symbol, 10), work.describe()
        assert work.ledger.problems == []


async def test_c08_a_refused_subscription_is_told_and_not_repeated(venue: str, market: str) -> None:
    refusal = FaultSchedule((Fault("refused_subscribe", at=0.0, count=1),))
    async with rig(venue, market, symbols=1, faults=refusal) as work:
        symbol = work.symbols[0]
        result = await work.subscribe(Subscription("trades", symbol))
        assert result.confirmed == ()
        assert [r.subscription for r in result.rejected] == [Subscription("trades", symbol)]
        assert result.rejected[0].text
        assert len(work.ledger.statuses("rejected")) == 1
        again = await work.subscribe(Subscription("trades", symbol))
        assert again.rejected == (), "a later request of the user is a new request"
        assert len(again.confirmed) == 1


async def test_c09_a_broken_frame_is_told_and_nothing_else_is_lost(venue: str, market: str) -> None:
    async with rig(venue, market, symbols=1, rate=60.0) as work:
        symbol = work.symbols[0]
        await work.subscribe(Subscription("book", symbol))
        await work.until(lambda: work.ledger.of(BookDelta), MOMENT, "first delta")
        work.host.faults.add(Fault("truncate", at=0.0))
        await work.until(lambda: work.ledger.statuses("undecoded"), MOMENT, "the broken frame is told")
        assert work.ledger.statuses("undecoded")[0].raw
        # The broken frame was an update of the book, so the book has a gap, and joins again.
        await work.until(lambda: work.ledger.statuses("gap"), MOMENT, "the gap is told")
        await work.until(lambda: work.ledger.statuses("resynced", "recovered"), MOMENT, "the book is joined again")
        await work.quiet(2.5)
        assert work.ledger.books[symbol].best(10) == work.truth(symbol, 10), work.describe()
        assert work.ledger.problems == []


async def test_c10_a_lost_update_is_a_gap_of_that_book_alone(venue: str, market: str) -> None:
    async with rig(venue, market, symbols=2, rate=60.0) as work:
        await work.subscribe(*(Subscription("book", symbol) for symbol in work.symbols))
        await work.until(lambda: all(work.ledger.of(BookDelta, s) for s in work.symbols), MOMENT, "first deltas")
        work.host.faults.add(Fault("drop", at=0.0))
        await work.until(lambda: work.ledger.statuses("gap"), MOMENT, "the gap is told")
        hurt = {status.symbol for status in work.ledger.statuses("gap")}
        assert len(hurt) == 1
        await work.until(lambda: work.ledger.statuses("resynced", "recovered"), MOMENT, "the book is joined again")
        await work.quiet(2.5)
        for symbol in work.symbols:
            assert work.ledger.books[symbol].best(10) == work.truth(symbol, 10), work.describe()
            epochs = {e.epoch for e in work.ledger.of(BookSnapshot, symbol)}
            assert symbol in hurt or len(epochs) == 1
        assert work.ledger.problems == []


async def test_c11_a_repeated_message_is_not_a_repeated_event(venue: str, market: str) -> None:
    async with rig(venue, market, symbols=1, rate=100.0) as work:
        symbol = work.symbols[0]
        if work.market.channels["trades"].continuity == "none":
            pytest.skip("trades without number or id cannot be told apart")
        journal = Journal(work.host)
        await work.subscribe(Subscription("trades", symbol), Subscription("book", symbol))
        await work.until(lambda: len(work.ledger.trades(symbol)) > 5, MOMENT, "first trades")
        work.host.faults.add(Fault("duplicate", at=0.0, count=5))
        await work.until(lambda: work.host.faults.idle, MOMENT, "five repeated messages")
        await work.quiet(2.5)
        journal.gather()
        got = work.ledger.trades(symbol)
        first = got[0].ts_event // 1_000_000
        expected = {k: v for k, v in journal_sizes(work.host, journal.trades[symbol]).items() if k[0] > first}
        assert {k: v for k, v in received_sizes(got).items() if k[0] > first} == expected, work.describe()
        assert work.ledger.problems == []


async def test_c12_unsubscribing_stops_it_and_leaves_the_others(venue: str, market: str) -> None:
    async with rig(venue, market, symbols=2, rate=60.0) as work:
        one, other = work.symbols
        await work.subscribe(Subscription("trades", one), Subscription("trades", other))
        await work.until(lambda: work.ledger.trades(one) and work.ledger.trades(other), MOMENT, "first trades")
        await work.adapter.unsubscribe([Subscription("trades", one)])
        await anyio.sleep(1.0)
        stopped = len(work.ledger.trades(one))
        running = len(work.ledger.trades(other))
        await work.until(lambda: len(work.ledger.trades(other)) > running + 3, MOMENT, "more of the other")
        assert len(work.ledger.trades(one)) == stopped


async def test_c13_queries_answer_with_the_exchanges_data(venue: str, market: str) -> None:
    async with rig(venue, market, symbols=1, rate=60.0) as work:
        symbol = work.symbols[0]
        exchange = work.host.exchange
        await work.until(lambda: len(exchange.trades(symbol, 30)) == 30, MOMENT, "thirty trades")
        candles = await work.adapter.candles(symbol, "1m", limit=30)
        instrument = exchange.instrument(symbol)
        bars = {bar.open_ts: bar for bar in exchange.bars(symbol, "1m", limit=60)}
        closed = [candle for candle in candles if candle.closed]
        assert len(closed) >= 25
        assert [c.ts_open for c in candles] == sorted(c.ts_open for c in candles)
        for candle in closed[:-1]:
            bar = bars[candle.ts_open]
            assert candle.ts_close == bar.close_ts
            assert candle.open == float(instrument.price_text(bar.open))
            assert candle.high == float(instrument.price_text(bar.high))
            assert candle.low == float(instrument.price_text(bar.low))
            assert candle.close == float(instrument.price_text(bar.close))
            assert Decimal(repr(candle.volume)) == Decimal(instrument.size_text(bar.volume))
        work.host.exchange.pause_agents()
        trades = await work.adapter.recent_trades(symbol, limit=20)
        assert len(trades) >= 5
        first = trades[0].ts_event // 1_000_000
        expected = journal_sizes(work.host, exchange.trades(symbol, 5_000))
        sizes = received_sizes(trades)
        assert {k: v for k, v in sizes.items() if k[0] > first} == {k: v for k, v in expected.items() if k[0] > first}


@pytest.mark.parametrize("moment", range(8))
async def test_c14_cancelling_at_any_moment_leaves_nothing(venue: str, market: str, moment: int) -> None:
    async with rig(venue, market, symbols=2, rate=30.0) as work:
        with anyio.move_on_after(0.01 + moment * 0.03):
            async with anyio.create_task_group() as tasks:
                for symbol in work.symbols:
                    tasks.start_soon(work.subscribe, Subscription("book", symbol), Subscription("trades", symbol))
        host = work.host
    assert host.connections == ()
