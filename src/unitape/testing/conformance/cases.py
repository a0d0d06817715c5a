"""What every adapter must do, one case each, on a simulated market. The page on conformance lists them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Final, TypeAlias

import anyio
import pytest
from msgspec import Struct, structs

from unitape.errors import ConfigError, Unsupported
from unitape.feed.options import FeedOptions
from unitape.sim import Fault, FaultSchedule
from unitape.spi import Market, Venue
from unitape.testing.conformance.rig import Journal, Rig, journal_sizes, received_sizes, rig
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

__all__ = ["CASES", "Case", "needs"]


class Case(Struct, frozen=True):
    """One numbered case."""

    number: str
    title: str
    shows: str
    """What passes and what fails, for the page."""
    run: Callable[[Venue, str], Awaitable[None]]
    """Runs it on the market of this name; raises AssertionError where the adapter fails it."""
    channels: tuple[Channel, ...] = ()
    """Channels without which it has no meaning."""


CASES: Final[list[Case]] = []
"""Every case, in the order of their numbers."""
Body: TypeAlias = Callable[[Venue, str], Awaitable[None]]


def case(number: str, title: str, *channels: Channel) -> Callable[[Body], Body]:
    """Enter a case into the table; its docstring says what it shows."""

    def enter(body: Body) -> Body:
        CASES.append(Case(number, title, " ".join((body.__doc__ or "").split()), body, channels))
        return body

    return enter


def needs(one: Case, market: Market) -> str | None:
    """Return why a case has no meaning on a market; None: it has."""
    lacking = [channel for channel in one.channels if channel not in market.channels]
    return f"{market.venue} {market.name} declares no channel {', '.join(lacking)}" if lacking else None


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


BOOK_AND_TRADES: tuple[Channel, ...] = ("book", "trades")
MOMENTS = tuple(0.01 + number * 0.03 for number in range(8))


def request_for(work: Rig, channel: Channel, symbol: str) -> Subscription:
    spec = work.market.channels[channel]
    interval = ("1m" if "1m" in spec.intervals else spec.intervals[0]) if spec.intervals else None
    depth = spec.depths[0] if channel == "top" and spec.depths else None
    return Subscription(channel, symbol, interval=interval, depth=depth)


@case("C01", "The instrument list is the exchange's")
async def c01(venue: Venue, market: str) -> None:
    """Every instrument of the exchange is listed, with the same tick, step and currencies, and as trading."""
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


@case("C02", "Every channel is confirmed and brings its events")
async def c02(venue: Venue, market: str) -> None:
    """All channels that the market declares are subscribed to at once. Each is confirmed, and each brings its own
    events: of this venue and symbol, stamped, and none undecoded. Liquidations need not come.
    """
    async with rig(venue, market, symbols=1, rate=60.0) as work:
        symbol = work.symbols[0]
        wanted = [request_for(work, channel, symbol) for channel in work.market.channels if channel in KINDS]
        result = await work.subscribe(*wanted)
        assert set(result.confirmed) == set(wanted), work.describe()
        assert result.rejected == ()
        lively: list[Channel] = [s.channel for s in wanted if s.channel != "liquidations"]
        await work.until(lambda: all(work.ledger.of(KINDS[channel], symbol) for channel in lively), MOMENT, f"{lively}")
        for event in work.ledger.events:
            assert event.venue == venue.name
            assert event.ts_recv > 0
            assert event.symbol in (symbol, "")
        assert work.ledger.problems == []
        assert work.ledger.statuses("undecoded", "gap") == [], work.describe()


@case("C03", "What does not exist is refused before anything is sent")
async def c03(venue: Venue, market: str) -> None:
    """An unknown symbol and every channel that the market does not declare are a ConfigError that names them. No
    connection was opened for it.
    """
    async with rig(venue, market, symbols=1) as work:
        known = work.host.exchange.instruments[0]
        channel: Channel = next(channel for channel in work.market.channels if channel in KINDS)
        unknown = structs.replace(
            request_for(work, channel, known.symbol), symbol=f"NOSUCH{known.symbol[len(known.base) :]}"
        )
        with pytest.raises(ConfigError, match="NOSUCH"):
            await work.subscribe(unknown)
        assert work.host.connections == ()
        missing: list[Channel] = [channel for channel in KINDS if channel not in work.market.channels]
        for channel in missing:
            with pytest.raises(ConfigError, match=channel):
                await work.subscribe(Subscription(channel, work.symbols[0]))
        assert work.host.connections == ()


@case("C04", "Every trade arrives once and means the same", "trades")
async def c04(venue: Venue, market: str) -> None:
    """From the first trade on, what arrives per millisecond, price and taker side is what the exchange's journal
    holds, in base units, and in order.
    """
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


@case("C05", "The book is the exchange's book", "book")
async def c05(venue: Venue, market: str) -> None:
    """At rest, the ten best levels of the adapter's book, of the book rebuilt from its events alone, and of the
    exchange are the same. Deltas are contiguous, and no gap was told.
    """
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


@case("C06", "After a cut everything comes back", "trades", "book")
async def c06(venue: Venue, market: str) -> None:
    """Every connection is cut without a word. The cut is told; a new epoch of the book and new trades come by
    themselves, and the book is the exchange's again.
    """
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


@case("C07", "Rotation loses and repeats nothing", "trades", "book")
async def c07(venue: Venue, market: str) -> None:
    """Connections are replaced by plan while data flows. No trade is missing or comes twice, and books go on. Skipped
    where no lifetime is documented.
    """
    # A lifetime of a day with nearly all of it in reserve: the connection is replaced at once, and again.
    hasty = FeedOptions(rotate_share=0.99995)
    async with rig(venue, market, symbols=2, rate=100.0, feed=hasty) as work:
        if work.market.limits.lifetime is None:
            pytest.skip(f"{venue.name} {market} documents no lifetime, so nothing is rotated by plan")
        journal = Journal(work.host)
        wanted = [Subscription(c, s) for s in work.symbols for c in BOOK_AND_TRADES]
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


@case("C08", "A refused subscription is told and not repeated", "trades")
async def c08(venue: Venue, market: str) -> None:
    """The venue refuses. The result and one Status(rejected) hold its words; a later request of the user is asked
    again and confirmed.
    """
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


@case("C09", "A broken frame is told and nothing else is lost", "book")
async def c09(venue: Venue, market: str) -> None:
    """Half of an update arrives. It is told with its bytes, the gap it leaves in the book is told, and the book is
    joined again and right.
    """
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


@case("C10", "A lost update is a gap of that book alone", "book")
async def c10(venue: Venue, market: str) -> None:
    """One update of one of two books is lost. That book's gap is told and it is joined again; the other book stays in
    its epoch. Both are right.
    """
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


@case("C11", "A repeated message is not a repeated event", "trades", "book")
async def c11(venue: Venue, market: str) -> None:
    """Five messages arrive twice. Trades and deltas come once. Skipped where trades have neither number nor id."""
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


@case("C12", "Unsubscribing stops it and leaves the others", "trades")
async def c12(venue: Venue, market: str) -> None:
    """Trades of one of two symbols are unsubscribed. None comes any more; those of the other go on."""
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


@case("C13", "Queries answer with the exchange's data")
async def c13(venue: Venue, market: str) -> None:
    """Candles and recent trades asked for by HTTP are those of the exchange, number by number. What the market has no
    query for is left out.
    """
    async with rig(venue, market, symbols=1, rate=60.0) as work:
        exchange, symbol = work.host.exchange, work.symbols[0]
        await work.until(lambda: len(exchange.trades(symbol, 30)) == 30, MOMENT, "thirty trades")
        answered = 0
        for ask in (_candles_of, _trades_of):
            try:
                await ask(work, symbol)
                answered += 1
            except Unsupported:
                continue
        if not answered:
            pytest.skip(f"{venue.name} {market} answers neither for candles nor for trades")


async def _candles_of(work: Rig, symbol: str) -> None:
    exchange = work.host.exchange
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


async def _trades_of(work: Rig, symbol: str) -> None:
    work.host.exchange.pause_agents()
    trades = await work.adapter.recent_trades(symbol, limit=20)
    assert len(trades) >= 5
    first = trades[0].ts_event // 1_000_000
    expected = journal_sizes(work.host, work.host.exchange.trades(symbol, 5_000))
    sizes = received_sizes(trades)
    assert {k: v for k, v in sizes.items() if k[0] > first} == {k: v for k, v in expected.items() if k[0] > first}


@case("C14", "Cancelling at any moment leaves nothing")
async def c14(venue: Venue, market: str) -> None:
    """Whoever subscribes is cancelled at eight different moments, from before the handshake to after the first data.
    No connection is left.
    """
    for moment in MOMENTS:
        async with rig(venue, market, symbols=2, rate=30.0) as work:
            wanted: list[Channel] = [channel for channel in BOOK_AND_TRADES if channel in work.market.channels]
            with anyio.move_on_after(moment):
                async with anyio.create_task_group() as tasks:
                    for symbol in work.symbols:
                        tasks.start_soon(work.subscribe, *[request_for(work, channel, symbol) for channel in wanted])
            host = work.host
        assert host.connections == (), f"cancelled after {moment:.2f} s"
