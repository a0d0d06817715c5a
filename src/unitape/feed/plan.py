"""Which connections a set of subscriptions takes: pure arithmetic over the market's limits."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from msgspec import Struct

from unitape.errors import ConfigError, Unsupported
from unitape.spi import ChannelSpec, Instruments, Market
from unitape_schemas import ALL_SYMBOLS, Subscription

__all__ = ["PlannedConnection", "check", "plan_connections"]


class PlannedConnection(Struct, frozen=True):
    """One connection and what it carries. ``used`` and ``capacity`` count ``Market.cost``."""

    route: str
    subscriptions: tuple[Subscription, ...]
    used: int
    capacity: int


def check(market: Market, instruments: Instruments | None, subscription: Subscription) -> ChannelSpec:
    """Return how the market serves this subscription.

    ``instruments`` None: the symbol is not looked up.

    Raises:
        ConfigError: the market has no such channel, interval, depth or symbol.
    """
    where = f"{market.venue} {market.name}"
    spec = market.channels.get(subscription.channel)
    if spec is None:
        raise Unsupported(f"{where} has no channel {subscription.channel!r}; it has {', '.join(market.channels)}")
    if spec.intervals and subscription.interval not in spec.intervals:
        raise Unsupported(
            f"{where} has no {subscription.channel} of interval {subscription.interval!r}; "
            f"it has {', '.join(spec.intervals)}"
        )
    if not spec.intervals and subscription.interval is not None:
        raise ConfigError(f"{where}: {subscription.channel} takes no interval")
    if subscription.depth is not None and subscription.depth not in spec.depths:
        choice = ", ".join(map(str, spec.depths)) or "none to choose"
        raise Unsupported(f"{where} has no {subscription.channel} of depth {subscription.depth}; depths: {choice}")
    if subscription.symbol == ALL_SYMBOLS:
        if not spec.all_symbols:
            raise Unsupported(f"{where} has no {subscription.channel} for all symbols at once; name them")
    elif instruments is not None and subscription.symbol:
        instruments.require(subscription.symbol)
    return spec


def plan_connections(market: Market, subscriptions: Iterable[Subscription]) -> list[PlannedConnection]:
    """Return the connections that these subscriptions take, beside none that exist, first come first placed.

    Polled channels take a connection with an empty route and no capacity.
    """
    capacity = market.limits.subscriptions_per_connection
    routes: dict[str, list[tuple[list[Subscription], int]]] = {}
    for subscription in dict.fromkeys(subscriptions):
        spec = check(market, None, subscription)
        shards = routes.setdefault(spec.route, [])
        cost = market.cost(subscription) if spec.route else 0
        if not shards or shards[-1][1] + cost > capacity:
            shards.append(([], 0))
        members, used = shards[-1]
        members.append(subscription)
        shards[-1] = (members, used + cost)
    return [_planned(route, members, used, capacity) for route, shards in routes.items() for members, used in shards]


def _planned(route: str, members: Sequence[Subscription], used: int, capacity: int) -> PlannedConnection:
    return PlannedConnection(route, tuple(members), used, capacity if route else 0)
