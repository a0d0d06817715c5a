"""``unitape doctor``: what is installed, which venues answer, how far their clocks are off, what your keys may do."""

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
from unitape.spi import AccountFlags, Credentials, HttpResponse, Instruments, Market, Tradable
from unitape.trade.secrets import load_credentials

__all__ = ["EXAMPLES", "configure", "judge", "run"]

EXAMPLES: Final = """\
Says which versions are installed, whether each market answers, how long that takes, how far its clock is from this
machine's (half the round trip is taken off), and how much of the venue's request limits is used, by its own words.

Where there are keys of a venue, it also asks what they may do, and warns of the right to withdraw and of keys that
work from any address, as far as the venue tells. Nothing is changed by it.

Exit status 1: a market does not answer, a clock is off by more than a second, or keys are refused. Warnings leave it 0.

Examples:
  unitape doctor
  unitape doctor VENUE --json
  unitape doctor VENUE --keys FILE
  unitape doctor --sim
  unitape doctor --offline
"""

PACKAGES: Final = ("unitape", "msgspec", "anyio", "aiohttp", "websockets", "picows", "uvloop", "protobuf", "polars")
MOST_OFFSET: Final = 1.0
"""Seconds that a clock may be off before signed requests are in danger."""


NOT_TOLD: Final = "the venue does not tell"


class AccountCheck(Struct):
    """What was found about the keys on one market."""

    ok: bool
    """False when they were refused or could not be used."""
    text: str
    """What the keys may do, or why they were refused."""
    warnings: tuple[str, ...] = ()
    can_trade: bool | None = None
    can_withdraw: bool | None = None
    ip_bound: bool | None = None
    """None, as for the rights above: the venue does not tell."""


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
    account: AccountCheck | None = None
    """None: there are no keys, or the market serves data only."""

    @property
    def well(self) -> bool:
        """True when nothing needs attention but warnings."""
        return self.ok and (self.account is None or self.account.ok)


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add_venue_argument(parser)
    parser.add_argument("--offline", action="store_true", help="look at this machine only")
    parser.add_argument("--json", action="store_true", help="print one line of JSON")
    parser.add_argument(
        "--keys",
        metavar="FILE",
        help="TOML file of mode 600 with a table per venue (default: the environment's UNITAPE_<VENUE>_KEY and so on, "
        "or the file that UNITAPE_CREDENTIALS names)",
    )
    add_place_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Look at everything; 1 if something needs attention."""
    versions = dict(_versions())
    venues = chosen_venues(args)
    checks = [] if args.offline else run_async(lambda: _checks(args))
    if args.json:
        print_line({"versions": versions, "markets": [msgspec.to_builtins(check) for check in checks]})
    else:
        width = max(map(len, versions))
        for name, found in versions.items():
            print(f"{name:<{width}}  {found}")
        names = ", ".join(f"{venue.name} ({', '.join(m.name for m in venue.markets)})" for venue in venues)
        print(f"{'venues':<{width}}  {names}\n" if checks else f"{'venues':<{width}}  {names}")
        for check in checks:
            print("\n".join((_line(check), *_account_lines(check))))
    return 0 if all(check.well for check in checks) else 1


def _versions() -> Iterator[tuple[str, str]]:
    yield "python", f"{platform.python_version()} on {sys.platform}"
    for name in PACKAGES:
        try:
            yield name, version(name)
        except PackageNotFoundError:
            yield name, "not installed (optional)"


async def _checks(args: argparse.Namespace) -> list[MarketCheck]:
    async with open_places(args) as places:
        checks = [await _check(places, market, args.transport) for market in places.markets]
        for check, market in zip(checks, places.markets, strict=True):
            if check.ok and isinstance(market, Tradable):
                check.account = await _account(args, places, market)
        return checks


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


async def _account(args: argparse.Namespace, places: Places, market: Market) -> AccountCheck | None:
    from unitape.adapter import VenueAdapter

    try:
        credentials = _demo_account() if args.sim else load_credentials(market.venue, file=args.keys)
        if credentials is None:
            return None
        adapter = VenueAdapter(
            next(venue for venue in places.venues if venue.name == market.venue),
            endpoints=places.of(market.venue),
            transport=args.transport,
            credentials=credentials,
            offline=True,
        )
        async with adapter:
            flags = (await adapter.account_flags(market.name))[market.name]
    except Unsupported:
        return AccountCheck(ok=True, text=f"{NOT_TOLD} what the key may do")
    except UnitapeError as error:
        return AccountCheck(ok=False, text=" ".join(str(error).split()))
    return judge(flags)


def _demo_account() -> Credentials:
    from unitape.sim.users import DEMO_USER

    return Credentials(DEMO_USER.key, DEMO_USER.secret, DEMO_USER.passphrase)


def judge(flags: AccountFlags) -> AccountCheck:
    """Put into words what a venue tells of a key, and warn of what makes its theft worse."""
    words = (
        (flags.can_trade, "may trade", "may not trade", "it may trade"),
        (flags.can_withdraw, "may withdraw", "may not withdraw", "it may withdraw"),
        (flags.ip_bound, "bound to addresses", "not bound to addresses", "it is bound to addresses"),
    )
    told = [yes if known else no for known, yes, no, _ in words if known is not None]
    silent = [what for known, _, _, what in words if known is None]
    told += [f"{NOT_TOLD} whether {' or '.join(silent)}"] if silent else []
    warnings: list[str] = []
    if flags.can_withdraw:
        warnings.append("withdrawals are allowed: trading needs no such right, so take it from the key")
    if flags.ip_bound is False:
        warnings.append("the key works from any address: bind it to yours")
    text = ", ".join(told) + (f" ({flags.note})" if flags.note else "")
    return AccountCheck(True, text, tuple(warnings), flags.can_trade, flags.can_withdraw, flags.ip_bound)


def _account_lines(check: MarketCheck) -> Iterator[str]:
    if check.account is None:
        return
    name = f"{check.venue} {check.market}"
    yield f"{'ok  ' if check.account.ok else 'FAIL'} {name:<16} key: {check.account.text}"
    for warning in check.account.warnings:
        yield f"WARN {name:<16} key: {warning}"


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
