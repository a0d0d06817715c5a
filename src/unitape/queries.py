"""Questions to a venue, answered over HTTP with the contract's own structs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any, Final, TypeVar

from msgspec import Struct, structs

from unitape.clock import Clock
from unitape.errors import ConfigError
from unitape.listings import InstrumentChange, compare, to_learn
from unitape.spi import Instruments, Market, Query, Rest, Venue
from unitape_schemas import BookSnapshot, Candle, Funding, Instrument, Interval, Ticker, Trade

__all__ = ["Progress", "Queries", "interval_seconds", "to_frame"]

T = TypeVar("T")

Progress = Callable[[int, int], None]
"""Called after each page with (nanoseconds done, nanoseconds in all)."""

NANOS: Final = 1_000_000_000
UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800, "M": 28 * 86_400}


def interval_seconds(interval: Interval) -> int:
    """Return the length of a candle in seconds; of a month, the shortest."""
    return int(interval[:-1]) * UNITS[interval[-1]]


def to_frame(rows: Sequence[Struct]) -> Any:
    """Return rows of one class as a ``polars.DataFrame``, a column per field.

    Raises:
        ConfigError: polars is not installed.
    """
    try:
        polars = import_module("polars")
    except ImportError:
        raise ConfigError("data frames need polars: pip install 'unitape[polars]'") from None
    return polars.DataFrame([structs.asdict(row) for row in rows])


class Queries(ABC):
    """The queries of an adapter. Every one waits for its turn in the host's budget.

    All raise ``VenueError`` when the venue refuses, ``WireError`` when its answer cannot be understood,
    ``TransportError`` when none came, and ``Unsupported`` when the market has no such query.
    """

    declaration: Venue
    """The venue."""
    clock: Clock
    """What stamps answers."""

    @abstractmethod
    async def fetch(self, market: Market, query: Query[T]) -> T:
        """Send one query and return what its answer says."""

    @abstractmethod
    async def rest(self, market: Market) -> Rest:
        """Return the market's queries, with its instruments loaded."""

    @abstractmethod
    def known(self, market: Market) -> Instruments | None:
        """Return the instruments that are loaded of a market, None while it is not in use or was given its list."""

    @abstractmethod
    def learn(self, market: Market, instruments: Sequence[Instrument]) -> None:
        """Take instruments of a market in use that are new or have changed."""

    async def refresh(self, market: str | None = None) -> list[InstrumentChange]:
        """Ask again for the instruments of a market in use, or of all in use, and return what has changed.

        From then on later listed symbols can be subscribed, and orders follow the new rules. Subscriptions go on
        untouched. An instrument that is no longer listed stays known, as ``closed``. Markets whose list was given to
        the adapter are not asked.
        """
        markets = self.declaration.markets if market is None else (self.declaration.market(market),)
        changes: list[InstrumentChange] = []
        for one in markets:
            if self.known(one) is None:
                continue
            listed = await self.fetch(one, (await self.rest(one)).instruments())
            known = self.known(one)
            found = compare(known or (), listed)
            if found and known is not None:
                self.learn(one, to_learn(found))
            changes += found
        return changes

    async def instruments(self, market: str | None = None) -> list[Instrument]:
        """Ask for every instrument of a market, or of all."""
        markets = self.declaration.markets if market is None else (self.declaration.market(market),)
        found: list[Instrument] = []
        for one in markets:
            found += await self.fetch(one, (await self.rest(one)).instruments())
        return found

    async def time(self, market: str | None = None) -> int:
        """Ask for the venue's clock, nanoseconds; of the first market unless one is named."""
        one = self.declaration.markets[0] if market is None else self.declaration.market(market)
        return await self.fetch(one, (await self.rest(one)).time())

    async def candles(
        self,
        symbol: str,
        interval: Interval,
        start: int | None = None,
        end: int | None = None,
        *,
        limit: int | None = None,
        progress: Progress | None = None,
    ) -> list[Candle]:
        """Return the candles that open in [start, end) nanoseconds, oldest first.

        Without ``start`` the newest ``limit``, in one request. With it as many requests as it takes, each for a
        window that holds no more than one page; ``end`` None is now.
        """
        market = self.declaration.market_of(symbol)
        rest = await self.rest(market)
        if start is None:
            return await self.fetch(market, rest.candles(symbol, interval, end=end, limit=limit))
        stop = end if end is not None else self.clock.wall()
        page = rest.page_limit("candles")
        window = page * interval_seconds(interval) * NANOS
        found: dict[int, Candle] = {}
        cursor = start
        while cursor < stop and (limit is None or len(found) < limit):
            until = min(stop, cursor + window)
            rows = await self.fetch(market, rest.candles(symbol, interval, start=cursor, end=until, limit=page))
            found.update((row.ts_open, row) for row in rows if start <= row.ts_open < stop)
            cursor = until
            if progress is not None:
                progress(cursor - start, stop - start)
        ordered = [found[opened] for opened in sorted(found)]
        return ordered if limit is None else ordered[:limit]

    async def recent_trades(self, symbol: str, limit: int | None = None) -> list[Trade]:
        """Return the newest trades, oldest first."""
        market = self.declaration.market_of(symbol)
        return await self.fetch(market, (await self.rest(market)).trades(symbol, limit))

    async def order_book(self, symbol: str, levels: int | None = None) -> BookSnapshot:
        """Return one image of the book. Its epoch is 0: it is not joined, and nothing continues it."""
        market = self.declaration.market_of(symbol)
        image = await self.fetch(market, (await self.rest(market)).depth(symbol, levels))
        return BookSnapshot(
            image.venue,
            image.symbol,
            image.ts_event,
            image.ts_sent,
            image.ts_recv,
            image.bids,
            image.asks,
            image.first_seq,
            image.seq,
            image.prev_seq,
            0,
        )

    async def tickers(self, symbols: Sequence[str] = ()) -> list[Ticker]:
        """Return the 24 h tickers of these symbols; none given: of every symbol of every market."""
        groups: dict[str, list[str]] = {} if symbols else {market.name: [] for market in self.declaration.markets}
        for symbol in symbols:
            groups.setdefault(self.declaration.market_of(symbol).name, []).append(symbol)
        found: list[Ticker] = []
        for name, members in groups.items():
            market = self.declaration.market(name)
            found += await self.fetch(market, (await self.rest(market)).tickers(members))
        return found

    async def funding_history(
        self, symbol: str, start: int | None = None, end: int | None = None, *, limit: int | None = None
    ) -> list[Funding]:
        """Return settled funding in [start, end] nanoseconds, oldest first; without ``start`` the newest ``limit``."""
        market = self.declaration.market_of(symbol)
        rest = await self.rest(market)
        if start is None:
            return await self.fetch(market, rest.funding_history(symbol, end=end, limit=limit))
        page = rest.page_limit("funding_history")
        found: dict[int, Funding] = {}
        cursor = start
        while limit is None or len(found) < limit:
            rows = await self.fetch(market, rest.funding_history(symbol, start=cursor, end=end, limit=page))
            fresh = [row for row in rows if row.ts_event >= cursor and row.ts_event not in found]
            if not fresh:
                break
            found.update((row.ts_event, row) for row in fresh)
            cursor = max(found) + 1
        ordered = [found[settled] for settled in sorted(found)]
        return ordered if limit is None else ordered[:limit]
