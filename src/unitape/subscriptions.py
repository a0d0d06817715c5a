"""What to subscribe to, said in one line per channel: ``trades("BTC/USDT")``, ``book("BTC/USDT", venue="toy")``.

Each builder returns a ``Request``: the subscriptions, and the venues they are meant for. Without ``venue`` or
``venues`` a request goes to every venue that has symbols of that form.
"""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct

from unitape.errors import ConfigError
from unitape_schemas import ALL_SYMBOLS, Channel, Interval, Subscription

__all__ = [
    "Request",
    "balances",
    "book",
    "candles",
    "fills",
    "funding",
    "liquidations",
    "mark_price",
    "open_interest",
    "orders",
    "positions",
    "quotes",
    "ticker",
    "top",
    "trades",
]


class Request(Struct, frozen=True):
    """Subscriptions, and the names of the venues to ask; ``venues`` None: every venue that owns the symbol."""

    subscriptions: tuple[Subscription, ...]
    venues: tuple[str, ...] | None = None


def trades(
    *symbols: str, venue: str | None = None, venues: Iterable[str] | None = None, market: str | None = None
) -> Request:
    """Public trades of these symbols."""
    return _request("trades", symbols, venue, venues, market=market)


def quotes(
    *symbols: str, venue: str | None = None, venues: Iterable[str] | None = None, market: str | None = None
) -> Request:
    """Native best bid and ask of these symbols, where the venue streams them."""
    return _request("quotes", symbols, venue, venues, market=market)


def book(
    *symbols: str, depth: int | None = None, venue: str | None = None, venues: Iterable[str] | None = None
) -> Request:
    """The joined order book of these symbols; ``depth`` None: the market's default."""
    return _request("book", symbols, venue, venues, depth=depth)


def top(
    *symbols: str, depth: int | None = None, venue: str | None = None, venues: Iterable[str] | None = None
) -> Request:
    """Native best levels of these symbols, whole each time; ``depth`` None: the market's default."""
    return _request("top", symbols, venue, venues, depth=depth)


def ticker(
    *symbols: str, venue: str | None = None, venues: Iterable[str] | None = None, market: str | None = None
) -> Request:
    """Statistics of the rolling 24 hours."""
    return _request("ticker", symbols, venue, venues, market=market)


def candles(
    *symbols: str,
    interval: Interval = "1m",
    venue: str | None = None,
    venues: Iterable[str] | None = None,
    market: str | None = None,
) -> Request:
    """Candles of this interval."""
    return _request("candles", symbols, venue, venues, interval=interval, market=market)


def mark_price(
    *symbols: str, venue: str | None = None, venues: Iterable[str] | None = None, market: str | None = None
) -> Request:
    """Mark and index price of perpetuals."""
    return _request("mark_price", symbols, venue, venues, market=market)


def funding(
    *symbols: str, venue: str | None = None, venues: Iterable[str] | None = None, market: str | None = None
) -> Request:
    """Funding rate and next settlement of perpetuals."""
    return _request("funding", symbols, venue, venues, market=market)


def open_interest(
    *symbols: str, venue: str | None = None, venues: Iterable[str] | None = None, market: str | None = None
) -> Request:
    """Open interest of perpetuals."""
    return _request("open_interest", symbols, venue, venues, market=market)


def liquidations(
    *symbols: str, venue: str | None = None, venues: Iterable[str] | None = None, market: str | None = None
) -> Request:
    """Forced orders on perpetuals."""
    return _request("liquidations", symbols, venue, venues, market=market)


def orders(
    *symbols: str, venue: str | None = None, venues: Iterable[str] | None = None, market: str | None = None
) -> Request:
    """Your orders, every change of each. Without symbols all; without a market those of each market of the venue."""
    return _request("orders", symbols or (ALL_SYMBOLS,), venue, venues, market=market)


def fills(
    *symbols: str, venue: str | None = None, venues: Iterable[str] | None = None, market: str | None = None
) -> Request:
    """Your executions. Without symbols those of all."""
    return _request("fills", symbols or (ALL_SYMBOLS,), venue, venues, market=market)


def balances(*, venue: str | None = None, venues: Iterable[str] | None = None, market: str | None = None) -> Request:
    """What you hold, currency by currency, on each market of the venue unless one is named."""
    return _request("balances", (ALL_SYMBOLS,), venue, venues, market=market)


def positions(
    *symbols: str, venue: str | None = None, venues: Iterable[str] | None = None, market: str | None = None
) -> Request:
    """Your positions; size 0 says that one is closed. Without symbols all of them."""
    return _request("positions", symbols or (ALL_SYMBOLS,), venue, venues, market=market)


def _request(
    channel: Channel,
    symbols: tuple[str, ...],
    venue: str | None,
    venues: Iterable[str] | None,
    *,
    interval: Interval | None = None,
    depth: int | None = None,
    market: str | None = None,
) -> Request:
    if not symbols:
        raise ConfigError(f"{channel}() needs at least one symbol")
    if venue is not None and venues is not None:
        raise ConfigError(f"{channel}() takes venue or venues, not both")
    if isinstance(venues, str):
        raise ConfigError(f"{channel}() takes a list of names as venues; write venue={venues!r} for one")
    named = (venue,) if venue is not None else None if venues is None else tuple(dict.fromkeys(venues))
    wanted = (Subscription(channel, symbol, interval, depth, market) for symbol in symbols)
    return Request(tuple(dict.fromkeys(wanted)), named)
