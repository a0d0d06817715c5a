"""What a venue is: a pure declaration of its markets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from msgspec import Struct, structs

from unitape.spi.book import BookRule
from unitape.spi.http import HttpRequest, HttpResponse, Query
from unitape.spi.instruments import Instruments
from unitape.spi.limits import ChannelSpec, Heartbeat, Limits
from unitape.spi.session import Codec, DepthUpdate, Session
from unitape_schemas import (
    Candle,
    Channel,
    Event,
    Funding,
    Instrument,
    Interval,
    Subscription,
    Ticker,
    Trade,
)

__all__ = ["Endpoint", "Market", "Rest", "Venue"]


class Endpoint(Struct, frozen=True):
    """Where a market is reached. ``ws`` maps each route to its URL."""

    rest: str
    ws: Mapping[str, str]
    headers: tuple[tuple[str, str], ...] = ()
    """Headers that the WebSocket handshake and every request need."""
    note: str = ""

    def at(self, rest: str, ws: str) -> Endpoint:
        """Return the same paths on other hosts: a simulator, a proxy, another domain of the venue."""
        moved = {route: ws.rstrip("/") + _path(url) for route, url in self.ws.items()}
        return structs.replace(self, rest=rest.rstrip("/"), ws=moved)


def _path(url: str) -> str:
    rest = url.split("://", 1)[1]
    return rest[rest.find("/") :] if "/" in rest else ""


class Rest(Protocol):
    """The HTTP queries of one market, as data. A query that the market lacks raises ``Unsupported``."""

    def instruments(self) -> Query[list[Instrument]]:
        """Every instrument of the market, also those that do not trade."""
        ...

    def time(self) -> Query[int]:
        """The venue's clock in nanoseconds."""
        ...

    def depth(self, symbol: str, levels: int | None = None) -> Query[DepthUpdate]:
        """A snapshot for the joined book; ``levels`` None: as deep as the market's budget makes sensible."""
        ...

    def repair(self, symbol: str, after: int) -> Query[list[DepthUpdate]] | None:
        """Updates after a sequence number, to close a gap without a new snapshot; None where there are none."""
        ...

    def trades(self, symbol: str, limit: int | None = None) -> Query[list[Trade]]:
        """The newest trades, oldest first."""
        ...

    def trades_since(self, symbol: str, trade_id: str, limit: int | None = None) -> Query[list[Trade]]:
        """Trades after the one with this id, oldest first, in the ids of the ``trades`` channel."""
        ...

    def candles(
        self,
        symbol: str,
        interval: Interval,
        *,
        start: int | None = None,
        end: int | None = None,
        limit: int | None = None,
    ) -> Query[list[Candle]]:
        """Candles that open in [start, end) nanoseconds, oldest first; without bounds the newest."""
        ...

    def tickers(self, symbols: Sequence[str] = ()) -> Query[list[Ticker]]:
        """24 h tickers of these symbols; none given: of all."""
        ...

    def funding_history(
        self, symbol: str, *, start: int | None = None, end: int | None = None, limit: int | None = None
    ) -> Query[list[Funding]]:
        """Settled funding, oldest first: ``ts_event`` is the settlement, ``ts_next`` None."""
        ...

    def poll(self, subscription: Subscription) -> Query[list[Event]]:
        """The query behind a channel that is polled (``ChannelSpec.poll``)."""
        ...

    def page_limit(self, query: str) -> int:
        """The most rows that one query of this name (``candles``, ``trades``, …) returns."""
        ...


class Market(Protocol):
    """One market of a venue: what it serves and how its bytes read. Pure; holds no connection and no instruments."""

    @property
    def venue(self) -> str:
        """The venue's name."""
        ...

    @property
    def name(self) -> str:
        """The market's name within the venue: ``spot``, ``usdm``."""
        ...

    @property
    def aliases(self) -> tuple[str, ...]:
        """Other names that commands accept, for example ``futures``."""
        ...

    @property
    def endpoints(self) -> Mapping[str, Endpoint]:
        """Endpoints by environment; ``live`` is always there."""
        ...

    @property
    def channels(self) -> Mapping[Channel, ChannelSpec]:
        """What can be subscribed to."""
        ...

    @property
    def limits(self) -> Limits:
        """What the venue allows."""
        ...

    @property
    def heartbeat(self) -> Heartbeat:
        """Who keeps connections alive."""
        ...

    @property
    def book_rule(self) -> BookRule:
        """How its books join."""
        ...

    @property
    def catalogue(self) -> Sequence[Instrument]:
        """A small dated list of well-known instruments for work without network."""
        ...

    def owns(self, symbol: str) -> bool:
        """Tell whether a unified symbol is of this market's form, before any instrument list is loaded."""
        ...

    def cost(self, subscription: Subscription) -> int:
        """How many of ``Limits.subscriptions_per_connection`` it takes on its connection."""
        ...

    def codec(self, instruments: Instruments) -> Codec:
        """Return a codec for single messages."""
        ...

    def session(self, instruments: Instruments, route: str) -> Session:
        """Return a session for one new connection to this route."""
        ...

    def rest(self, instruments: Instruments) -> Rest:
        """Return the market's queries."""
        ...

    def read_instruments(self, body: bytes) -> list[Instrument]:
        """Read the venue's own instrument list, as ``--instruments FILE`` gives it.

        Raises:
            WireError: it is not one.
        """
        ...

    def read_error(self, response: HttpResponse, request: HttpRequest) -> Exception:
        """Turn an answer that is not a success into the error it means."""
        ...


class Venue(Struct, frozen=True):
    """A venue: a name and its markets. The entry points of the group ``unitape.adapters`` name one each."""

    name: str
    title: str
    markets: tuple[Market, ...]
    simulator: str | None = None
    """``module:function`` that makes its simulator face; only the simulator loads it."""

    def market(self, name: str) -> Market:
        """Return the market of this name or alias.

        Raises:
            ConfigError: there is none.
        """
        from unitape.errors import ConfigError

        for market in self.markets:
            if name == market.name or name in market.aliases:
                return market
        names = ", ".join(m.name for m in self.markets)
        raise ConfigError(f"{self.name} has no market {name!r}; it has {names}")

    def market_of(self, symbol: str) -> Market:
        """Return the market whose form a unified symbol has.

        Raises:
            ConfigError: no market has such symbols.
        """
        from unitape.errors import ConfigError

        for market in self.markets:
            if market.owns(symbol):
                return market
        raise ConfigError(
            f"{symbol!r} is not a symbol of {self.name}; write BTC/USDT for spot, BTC/USDT:USDT for a perpetual"
        )
