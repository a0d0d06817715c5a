"""What the live commands share: which venues, where they are, what to ask for, how to run."""

from __future__ import annotations

import argparse
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING, TypeVar, cast

import anyio

from unitape.cli.common import complain
from unitape.collector import calm_collector
from unitape.errors import ConfigError
from unitape.registry import load_venue, venue_names
from unitape.spi import Endpoint, Market, Venue
from unitape_schemas import CHANNELS, INTERVALS, Channel, Interval, Subscription

if TYPE_CHECKING:
    from unitape.adapter import Adapter, FeedInfo, FeedTap

__all__ = [
    "Places",
    "add_place_arguments",
    "add_subscription_arguments",
    "add_venue_argument",
    "chosen_venues",
    "open_adapters",
    "open_places",
    "run_async",
    "seconds",
    "wanted_subscriptions",
    "warn_rejected",
]

T = TypeVar("T")


def add_venue_argument(parser: argparse.ArgumentParser) -> None:
    """Add the positional venues."""
    names = ", ".join(venue_names())
    parser.add_argument("venues", nargs="*", metavar="VENUE", help=f"venues (default: all installed): {names}")


def add_place_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what says where the venues are."""
    parser.add_argument("--sim", action="store_true", help="simulated venues in this process, no network")
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="seed of the simulated markets (default 1)")
    parser.add_argument("--env", default="live", metavar="NAME", help="environment of the venue, e.g. live or testnet")
    parser.add_argument(
        "--transport", default="auto", choices=("auto", "websockets", "picows"), help="WebSocket library to use"
    )


def add_subscription_arguments(
    parser: argparse.ArgumentParser, *, symbols: Sequence[str], channels: Sequence[Channel]
) -> None:
    """Add what to subscribe to, with these defaults."""
    parser.add_argument(
        "-s", "--symbols", nargs="+", default=list(symbols), metavar="S", help=f"default: {' '.join(symbols)}"
    )
    parser.add_argument(
        "-c",
        "--channels",
        nargs="+",
        default=list(channels),
        metavar="C",
        choices=CHANNELS,
        help=f"default: {' '.join(channels)}; one or more of: {' '.join(CHANNELS[:10])}",
    )
    parser.add_argument("--interval", default="1m", choices=INTERVALS, metavar="I", help="of candles (default 1m)")
    parser.add_argument("--depth", type=int, metavar="N", help="levels of the top channel (default: the venue's)")


def seconds(text: str) -> float:
    """Read a positive number of seconds."""
    value = float(text)
    if not 0 < value < 1e9:
        raise argparse.ArgumentTypeError(f"{text} is not a positive number of seconds")
    return value


def wanted_subscriptions(args: argparse.Namespace) -> list[Subscription]:
    """Return every chosen channel of every chosen symbol."""
    return [
        Subscription(
            cast(Channel, channel),
            symbol,
            cast(Interval, args.interval) if channel == "candles" else None,
            args.depth if channel == "top" else None,
        )
        for symbol in args.symbols
        for channel in args.channels
    ]


def chosen_venues(args: argparse.Namespace) -> list[Venue]:
    """Return the venues named, or all that are installed; with ``--sim`` those that have a simulator.

    Raises:
        ConfigError: one is not installed, or has no simulator, or there is none.
    """
    venues = [load_venue(name) for name in args.venues or venue_names()]
    if args.sim:
        lacking = [venue.name for venue in venues if not _has_simulator(venue)]
        if args.venues and lacking:
            raise ConfigError(f"no simulator ships with {', '.join(lacking)}")
        venues = [venue for venue in venues if venue.name not in lacking]
    if not venues:
        raise ConfigError("no venue is installed" if not args.sim else "no installed venue has a simulator")
    return venues


def _has_simulator(venue: Venue) -> bool:
    return venue.simulator is not None and find_spec(venue.simulator.partition(":")[0]) is not None


class Places:
    """Where each market of the chosen venues is."""

    def __init__(self, venues: Sequence[Venue], endpoints: dict[tuple[str, str], Endpoint]) -> None:
        self.venues = list(venues)
        self.endpoints = endpoints

    @property
    def markets(self) -> list[Market]:
        """Every market that has a place."""
        return [m for venue in self.venues for m in venue.markets if (m.venue, m.name) in self.endpoints]

    def of(self, venue: str) -> dict[str, Endpoint]:
        """Return one venue's places by market name."""
        return {market: endpoint for (name, market), endpoint in self.endpoints.items() if name == venue}


@asynccontextmanager
async def open_places(args: argparse.Namespace) -> AsyncGenerator[Places]:
    """Yield where the chosen venues are; with ``--sim`` start their simulators on loopback for as long.

    Raises:
        ConfigError: a market lacks the environment asked for.
    """
    venues = chosen_venues(args)
    if not args.sim:
        yield Places(venues, {(m.venue, m.name): _endpoint(m, args.env) for venue in venues for m in venue.markets})
        return
    from unitape.sim.server import SimServer

    async with SimServer(venues, seed=args.seed, speed=getattr(args, "busy", 1.0)) as server:
        found = {
            (market.venue, market.name): server.endpoint(venue.name, market.name)
            for venue in venues
            for market in venue.markets
        }
        yield Places(venues, found)


def _endpoint(market: Market, environment: str) -> Endpoint:
    found = market.endpoints.get(environment)
    if found is None:
        known = ", ".join(market.endpoints)
        raise ConfigError(f"{market.venue} {market.name} has no environment {environment!r}; it has {known}")
    return found


@asynccontextmanager
async def open_adapters(
    args: argparse.Namespace, *, record: Callable[[FeedInfo], FeedTap] | None = None
) -> AsyncGenerator[list[Adapter]]:
    """Yield a live adapter per chosen venue; with ``--sim`` their simulators run for as long."""
    from unitape.adapter import VenueAdapter

    async with open_places(args) as places:
        yield [
            VenueAdapter(
                venue,
                environment="sim" if args.sim else args.env,
                endpoints=places.of(venue.name),
                transport=args.transport,
                record=record,
            )
            for venue in places.venues
        ]


def run_async(main: Callable[[], Awaitable[T]]) -> T:
    """Run on asyncio, with uvloop where it is installed, and with the garbage collector out of the way."""
    fast = find_spec("uvloop") is not None
    with calm_collector():
        return anyio.run(main, backend="asyncio", backend_options={"use_uvloop": fast})


def warn_rejected(venue: str, subscription: Subscription, text: str) -> None:
    """Say that a subscription was refused."""
    complain(f"{venue}: {subscription.key}: {text}")
