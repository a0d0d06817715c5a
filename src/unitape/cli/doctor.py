"""``unitape doctor``: what is installed, which venues answer, and how far their clocks are off."""

from __future__ import annotations

import argparse
import platform
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from typing import Final

import msgspec
from msgspec import Struct

from unitape.cli.common import print_line
from unitape.cli.live import Places, add_place_arguments, add_venue_argument, chosen_venues, open_places, run_async
from unitape.errors import UnitapeError, Unsupported
from unitape.spi import HttpResponse, Instruments, Market

__all__ = ["EXAMPLES", "configure", "run"]

EXAMPLES: Final = """\
Says which versions are installed, whether each market answers, how long that takes, how far its clock is from this
machine's (half the round trip is taken off), and how much of the venue's request limits is used, by its own words.

Exit status 1: a market does not answer, or a clock is off by more than a second.

Examples:
  unitape doctor
  unitape doctor VENUE --json
  unitape doctor --sim
  unitape doctor --offline
"""

PACKAGES: Final = ("unitape", "msgspec", "anyio", "aiohttp", "websockets", "picows", "uvloop", "protobuf", "polars")
MOST_OFFSET: Final = 1.0
"""Seconds that a clock may be off before signed requests are in danger."""


class MarketCheck(Struct):
    """What was found about one market. Times in seconds."""

    venue: str
    market: str
    rest: str
    ok: bool
    text: str
    round_trip: float | None = None
    offset: float | None = None
    """Venue's clock minus ours."""
    used: dict[str, str] = {}
    """Request budgets: what is used of what is allowed."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add_venue_argument(parser)
    parser.add_argument("--offline", action="store_true", help="look at this machine only")
    parser.add_argument("--json", action="store_true", help="print one line of JSON")
    add_place_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Look at everything; 1 if something needs attention."""
    versions = dict(_versions())
    venues = chosen_venues(args)
    checks = [] if args.offline else run_async(lambda: _checks(args))
    if args.json:
        print_line({"versions": versions, "markets": [msgspec.structs.asdict(check) for check in checks]})
    else:
        width = max(map(len, versions))
        for name, found in versions.items():
            print(f"{name:<{width}}  {found}")
        names = ", ".join(f"{venue.name} ({', '.join(m.name for m in venue.markets)})" for venue in venues)
        print(f"{'venues':<{width}}  {names}\n" if checks else f"{'venues':<{width}}  {names}")
        for check in checks:
            print(_line(check))
    return 0 if all(check.ok for check in checks) else 1


def _versions() -> Iterator[tuple[str, str]]:
    yield "python", f"{platform.python_version()} on {sys.platform}"
    for name in PACKAGES:
        try:
            yield name, version(name)
        except PackageNotFoundError:
            yield name, "not installed (optional)"


async def _checks(args: argparse.Namespace) -> list[MarketCheck]:
    async with open_places(args) as places:
        return [await _check(places, market, args.transport) for market in places.markets]


async def _check(places: Places, market: Market, choice: str) -> MarketCheck:
    from unitape.clock import SystemClock
    from unitape.transport import open_transport

    base = places.endpoints[market.venue, market.name].rest
    check = MarketCheck(market.venue, market.name, base, ok=True, text="answers")
    clock = SystemClock()
    transport = open_transport(choice)
    try:
        query = market.rest(Instruments(market.catalogue)).time()
        # The first request pays for the connection, so the second one tells the time.
        await transport.request(base, query.request, 10.0)
        sent, begun = clock.wall(), clock.mono()
        answer = await transport.request(base, query.request, 10.0)
        trip = clock.mono() - begun
        venue_time = query.read(answer, sent)
    except Unsupported as error:
        check.text = f"answers no time: {error}"
    except UnitapeError as error:
        check.ok, check.text = False, " ".join(str(error).split())
    else:
        check.round_trip = trip / 1e9
        check.offset = (venue_time - sent - trip / 2) / 1e9
        check.used = dict(_used(market, answer))
        if abs(check.offset) > MOST_OFFSET:
            check.ok, check.text = False, "this machine's clock and the venue's differ: set up time synchronisation"
    finally:
        await transport.aclose()
    return check


def _used(market: Market, answer: HttpResponse) -> Iterator[tuple[str, str]]:
    for budget in market.limits.budgets:
        used = answer.header(budget.header) if budget.header is not None else None
        if used is not None:
            yield budget.name, f"{used}/{budget.limit} per {budget.seconds:g} s"


def _line(check: MarketCheck) -> str:
    name = f"{check.venue} {check.market}"
    mark = "ok  " if check.ok else "FAIL"
    if check.round_trip is None or check.offset is None:
        return f"{mark} {name:<16} {check.rest}: {check.text.removeprefix(f'{check.rest}: ')}"
    used = "".join(f", {budget} {text}" for budget, text in check.used.items())
    return (
        f"{mark} {name:<16} {check.rest}: {check.text}, round trip {check.round_trip * 1e3:.0f} ms, "
        f"clock {check.offset * 1e3:+.0f} ms{used}"
    )
