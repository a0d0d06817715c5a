"""A venue's adapter on its simulator under virtual time: what the matching engine did, and what arrived of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import anyio
import pytest
import trio.testing
from msgspec import structs

from unitape.adapter import VenueAdapter
from unitape.books import OrderBook
from unitape.clock import LoopClock
from unitape.sim import FaultSchedule, SimNetwork, SimSettings
from unitape.spi import Venue
from unitape.spi.simulation import SimTrade
from unitape_binance import VENUE, SpotMarket, UsdmMarket
from unitape_schemas import BookDelta, BookSnapshot, Event, Status, Subscription, Trade

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

START = 1_793_923_200_000_000_000
KINDS: Any = (
    "drop",
    "duplicate",
    "reorder",
    "delay",
    "half_open",
    "truncate",
    "close",
    "lost_reply",
    "http_429",
    "slow_snapshot",
    "lagging_snapshot",
    "server_shutdown",
)


@pytest.fixture
def anyio_backend() -> Any:
    return "trio", {"clock": trio.testing.MockClock(autojump_threshold=0)}


class ShortSpot(SpotMarket):
    """Spot whose connections live for some minutes."""

    def __init__(self) -> None:
        super().__init__()
        self.limits = structs.replace(self.limits, lifetime=240.0)


class ShortUsdm(UsdmMarket):
    """Futures whose connections live for some minutes; their trades are aggregates with numbers of their own."""

    def __init__(self) -> None:
        super().__init__()
        self.limits = structs.replace(self.limits, lifetime=240.0)


class Consumer:
    """Keeps its own books from the events alone, as a user would, and the trades of each symbol."""

    def __init__(self) -> None:
        self.books: dict[str, OrderBook] = {}
        self.trades: dict[str, list[int]] = {}
        self.statuses: list[Status] = []

    def deliver(self, events: Sequence[Event]) -> None:
        for event in events:
            if isinstance(event, Trade):
                self.trades.setdefault(event.symbol, []).append(int(event.id or 0))
            elif isinstance(event, BookSnapshot):
                self.books.setdefault(event.symbol, OrderBook(event.venue, event.symbol)).load(event)
            elif isinstance(event, BookDelta):
                self.books[event.symbol].apply(event)
            elif isinstance(event, Status):
                self.statuses.append(event)

    def counted(self, code: str, symbol: str) -> int:
        return sum(s.count or 0 for s in self.statuses if s.code == code and s.symbol == symbol)


@pytest.mark.parametrize("seed", [0, 1, 2, 3, 4, 5, 18, 28])
async def test_every_trade_arrives_once_or_is_counted_and_books_end_up_equal(seed: int) -> None:
    venue = Venue(VENUE.name, VENUE.title, (ShortSpot(), ShortUsdm()), VENUE.simulator)
    market = venue.markets[seed % 2]
    label = f"{venue.name}/{market.name}"
    clock = LoopClock(START)
    duration = 900.0
    faults = FaultSchedule.seeded(seed, duration=duration, count=40 if seed else 0, kinds=KINDS)
    settings = SimSettings(
        seed=seed, symbols=2, rate=4.0, tick=0.05, markets=(label,), faults={label: faults}, history_minutes=10
    )
    consumer = Consumer()
    async with SimNetwork([venue], settings, clock=clock) as sim:
        exchange = sim.host(venue.name, market.name).exchange
        symbols = [instrument.symbol for instrument in exchange.instruments]
        wanted = [Subscription(channel, symbol) for symbol in symbols for channel in ("trades", "book")]  # type: ignore[arg-type]
        live = VenueAdapter(
            venue,
            endpoints={market.name: sim.endpoint(venue.name, market.name)},
            transport=sim.transport,
            clock=clock,
            seed=seed,
        )
        async with live:
            live.attach(consumer)
            result = await live.subscribe(wanted)
            assert result.rejected == (), f"seed {seed}"
            made: dict[str, list[int]] = {symbol: [] for symbol in symbols}
            cursor = exchange.cursor
            for _ in range(round(duration)):
                await anyio.sleep(1.0)
                news = exchange.events(cursor)
                cursor += len(news)
                for event in news:
                    if isinstance(event, SimTrade):
                        made[event.symbol].append(event.id)
            # Faults may be on their way still: one more minute in which trades show every hole, then quiet.
            await anyio.sleep(120.0)
            told = {status.code for status in consumer.statuses}
            exchange.pause_agents()
            await anyio.sleep(60.0)
            for symbol in symbols:
                _judge_trades(consumer, symbol, made[symbol] if market.name == "spot" else [], seed)
                truth = exchange.book(symbol, 20)
                spec = exchange.instrument(symbol)
                for name, side in (("bids", truth.bids), ("asks", truth.asks)):
                    levels = tuple((float(spec.price_text(p)), float(spec.size_text(s))) for p, s in side)
                    book = live.book(symbol)
                    assert book is not None
                    assert not book.stale, f"seed {seed} {symbol} {consumer.statuses[-5:]}"
                    assert getattr(book, name)(20) == levels, f"seed {seed} {symbol} {name}"
                    # A snapshot event does not tell that nothing lies beyond it, so a consumer may know less far.
                    known = getattr(consumer.books[symbol], name)(20)
                    assert len(known) >= 5, f"seed {seed} {symbol} {name}"
                    assert known == levels[: len(known)], f"seed {seed} {symbol} {name}"
            if not faults.faults:
                assert sum(s.code == "rotated" for s in consumer.statuses) >= 3, f"seed {seed}"
                assert told == {"connected", "subscribed", "rotated"}


def _judge_trades(consumer: Consumer, symbol: str, made: list[int], seed: int) -> None:
    got = consumer.trades[symbol]
    assert got == sorted(set(got)), f"seed {seed} {symbol}: out of order or twice"
    missing = got[-1] - got[0] + 1 - len(got)
    gaps, recovered = consumer.counted("gap", symbol), consumer.counted("recovered", symbol)
    assert missing == gaps - recovered, f"seed {seed} {symbol}: {missing} missing, {gaps} told, {recovered} recovered"
    if made:
        # The engine numbers its trades one by one, so what is not between the first and the last was before or after.
        assert made == list(range(made[0], made[-1] + 1))
        assert got[0] - made[0] <= 20, f"seed {seed} {symbol}: the beginning is missing"
        assert made[-1] <= got[-1], f"seed {seed} {symbol}: the end is missing"
