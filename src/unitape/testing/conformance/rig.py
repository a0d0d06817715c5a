"""One simulated market with a live adapter in front of it, and a ledger of what came out."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any, TypeVar

import anyio

from unitape.adapter import SubscribeResult, VenueAdapter
from unitape.clock import Clock
from unitape.feed.driver import DriverOptions
from unitape.feed.options import FeedOptions
from unitape.sim import FaultSchedule, SimHost, SimNetwork, SimSettings
from unitape.spi import Market, Venue
from unitape.spi.simulation import SimTrade
from unitape_schemas import BookDelta, BookSnapshot, Channel, Event, Status, Subscription, Trade

__all__ = ["Journal", "Ledger", "Rig", "TradeKey", "journal_sizes", "received_sizes", "rig"]

E = TypeVar("E", bound=Event)


class Ledger:
    """Keeps every event, and rebuilds each book from its events alone, with code of its own."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.problems: list[str] = []
        self.books: dict[str, _Rebuilt] = {}

    def deliver(self, events: Sequence[Event]) -> None:
        """Take what the adapter delivers, and check what must hold at once."""
        for event in events:
            self.events.append(event)
            if isinstance(event, BookSnapshot):
                self.books[event.symbol] = _Rebuilt(event, self.books.get(event.symbol), self.problems)
            elif isinstance(event, BookDelta):
                book = self.books.get(event.symbol)
                if book is None:
                    self.problems.append(f"a delta of {event.symbol} before any snapshot")
                else:
                    book.apply(event, self.problems)

    def of(self, kind: type[E], symbol: str | None = None) -> list[E]:
        """Return the events of one type, of one symbol if given."""
        return [e for e in self.events if isinstance(e, kind) and (symbol is None or e.symbol == symbol)]

    def trades(self, symbol: str) -> list[Trade]:
        """Return the trades of a symbol."""
        return [e for e in self.events if isinstance(e, Trade) and e.symbol == symbol]

    def statuses(self, *codes: str) -> list[Status]:
        """Return the statuses with one of these codes; with none given, all."""
        return [e for e in self.events if isinstance(e, Status) and (not codes or e.code in codes)]


class _Rebuilt:
    """A book made from events with plain dictionaries."""

    def __init__(self, image: BookSnapshot, before: _Rebuilt | None, problems: list[str]) -> None:
        if before is not None and image.epoch <= before.epoch:
            problems.append(f"{image.symbol}: epoch {image.epoch} after epoch {before.epoch}")
        self.epoch: int = image.epoch
        self.seq = image.seq
        self.bids = dict(image.bids)
        self.asks = dict(image.asks)

    def apply(self, delta: BookDelta, problems: list[str]) -> None:
        """Apply a delta, and note what must not be."""
        if delta.epoch != self.epoch:
            problems.append(f"{delta.symbol}: a delta of epoch {delta.epoch} in epoch {self.epoch}")
        if delta.prev_seq != self.seq:
            problems.append(f"{delta.symbol}: a delta after {delta.prev_seq} while at {self.seq}")
        self.seq = delta.seq
        for side, changes in ((self.bids, delta.bids), (self.asks, delta.asks)):
            for price, size in changes:
                if size:
                    side[price] = size
                else:
                    side.pop(price, None)
        if self.bids and self.asks and max(self.bids) >= min(self.asks):
            problems.append(f"{delta.symbol}: crossed at {delta.seq}")

    def best(self, count: int) -> tuple[list[tuple[float, float]], list[tuple[float, float]]]:
        """Return the best levels of both sides."""
        return sorted(self.bids.items(), reverse=True)[:count], sorted(self.asks.items())[:count]


class Rig:
    """What a case works with."""

    def __init__(self, market: Market, network: SimNetwork, adapter: VenueAdapter, ledger: Ledger) -> None:
        self.market = market
        self.network = network
        self.adapter = adapter
        self.ledger = ledger
        self.host: SimHost = network.host(market.venue, market.name)

    @property
    def symbols(self) -> list[str]:
        """Every symbol of the market."""
        return [instrument.symbol for instrument in self.host.exchange.instruments]

    def serves(self, channel: Channel) -> bool:
        """Tell whether the market declares a channel."""
        return channel in self.market.channels

    async def subscribe(self, *subscriptions: Subscription) -> SubscribeResult:
        """Subscribe at the adapter."""
        return await self.adapter.subscribe(subscriptions)

    async def until(self, holds: Callable[[], object], within: float, what: str) -> None:
        """Let time pass until something holds."""
        with anyio.move_on_after(within) as scope:
            while not holds():  # noqa: ASYNC110 - what is waited for has no event of its own
                await anyio.sleep(0.05)
        assert not scope.cancelled_caught, f"{what}: not within {within} s\n{self.describe()}"

    def describe(self) -> str:
        """Return the statuses and the faults, for a failure message."""
        statuses = [f"{s.code} {s.subscription} {s.count} {s.text}" for s in self.ledger.statuses()[-40:]]
        hits = [f"{hit.kind} {hit.where}" for hit in self.host.faults.log]
        return "\n".join([f"seed {self.host.exchange.seed}", *statuses, "faults:", *hits, *self.ledger.problems[:5]])

    async def quiet(self, seconds: float) -> None:
        """Let the market rest, so that everything under way arrives."""
        self.host.exchange.pause_agents()
        await anyio.sleep(seconds)

    def truth(self, symbol: str, count: int) -> tuple[list[tuple[float, float]], list[tuple[float, float]]]:
        """Return the best levels of the exchange's own book as a venue would write them."""
        exchange = self.host.exchange
        instrument = exchange.instrument(symbol)
        image = exchange.book(symbol, count)
        bids, asks = (
            [(float(instrument.price_text(p)), float(instrument.size_text(s))) for p, s in side]
            for side in (image.bids, image.asks)
        )
        return bids, asks


class Journal:
    """Every trade that the exchange made, gathered while it runs, for the exchange keeps only the newest."""

    def __init__(self, host: SimHost, clock: Clock | None = None) -> None:
        self._host = host
        self._clock = clock
        self._cursor = host.exchange.cursor
        self.trades: dict[str, list[SimTrade]] = defaultdict(list)
        self.gathered: dict[str, list[int]] = defaultdict(list)
        """When each of them was gathered by our own clock, whatever the venue's clock says. Needs the clock."""

    def gather(self) -> None:
        """Take what the exchange did since the last time."""
        events = self._host.exchange.events(self._cursor)
        self._cursor += len(events)
        now = 0 if self._clock is None else self._clock.wall()
        for event in events:
            if isinstance(event, SimTrade):
                self.trades[event.symbol].append(event)
                self.gathered[event.symbol].append(now)

    async def run(self) -> None:
        """Gather every second, until cancelled."""
        while True:
            self.gather()
            await anyio.sleep(1.0)


@asynccontextmanager
async def rig(
    venue: Venue,
    market: str,
    *,
    seed: int = 1,
    symbols: int = 2,
    rate: float = 10.0,
    faults: FaultSchedule | None = None,
    feed: FeedOptions | None = None,
    backoff_cap: float = 5.0,
    ledger: Ledger | None = None,
    **settings: Any,
) -> AsyncGenerator[Rig]:
    """Run a simulated market and an adapter before it. Further settings are those of ``SimSettings``."""
    label = f"{venue.name}/{market}"
    simulation = SimSettings(
        seed=seed,
        symbols=symbols,
        rate=rate,
        markets=(label,),
        faults={} if faults is None else {label: faults},
        history_minutes=120,
        **settings,
    )
    ledger = ledger or Ledger()
    async with SimNetwork([venue], simulation) as network:
        adapter = VenueAdapter(
            venue,
            endpoints={market: network.endpoint(venue.name, market)},
            transport=network.transport,
            clock=network.clock,
            seed=seed,
            feed=feed,
            driver=DriverOptions(backoff_cap=backoff_cap),
        )
        adapter.attach(ledger)
        async with adapter:
            yield Rig(venue.market(market), network, adapter, ledger)


TradeKey = tuple[int, float, str]
"""(milliseconds, price, taker side): venues merge the fills of one taker in their own ways, never across these."""


def journal_sizes(host: SimHost, trades: Sequence[SimTrade]) -> dict[TradeKey, Decimal]:
    """Return how much the exchange traded under each key, in base units."""
    sizes: dict[TradeKey, Decimal] = defaultdict(Decimal)
    for trade in trades:
        instrument = host.exchange.instrument(trade.symbol)
        key = (trade.ts // 1_000_000, float(instrument.price_text(trade.price)), trade.taker)
        sizes[key] += Decimal(instrument.size_text(trade.size))
    return sizes


def received_sizes(trades: Sequence[Trade]) -> dict[TradeKey, Decimal]:
    """Return how much arrived under each key, in base units."""
    sizes: dict[TradeKey, Decimal] = defaultdict(Decimal)
    for trade in trades:
        sizes[trade.ts_event // 1_000_000, trade.price, trade.side] += Decimal(repr(trade.size))
    return sizes
