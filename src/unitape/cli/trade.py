"""What the trading commands share: one venue, whose keys, and how answers are printed."""

from __future__ import annotations

import argparse
import re
import sys
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar, cast

from unitape.cli.common import complain, plain, print_line
from unitape.cli.live import Places, add_place_arguments, open_places, run_async
from unitape.errors import ConfigError
from unitape.registry import venue_names
from unitape.spi import Credentials, TradingSettings
from unitape.trade.requests import TradingOptions
from unitape.trade.secrets import load_credentials
from unitape_schemas import Balance, Fill, Order, Position

if TYPE_CHECKING:
    from unitape.adapter import VenueAdapter
    from unitape.paper import PaperAdapter

__all__ = [
    "Row",
    "add_order_name",
    "add_since",
    "add_trading_arguments",
    "agreed",
    "open_trader",
    "order_columns",
    "run_trader",
    "show",
    "since",
    "trader",
]

T = TypeVar("T")
Row = Order | Fill | Balance | Position
UNITS: Final = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}
NANOS: Final = 1_000_000_000


def add_trading_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the venue, where it is, and whose keys are used."""
    parser.add_argument("venue", metavar="VENUE", help=f"one of: {', '.join(venue_names())}")
    add_place_arguments(parser)
    parser.add_argument(
        "--keys",
        metavar="FILE",
        help="TOML file of mode 600 with a table per venue: key, secret, passphrase (default: the environment's "
        "UNITAPE_<VENUE>_KEY, …_SECRET and …_PASSPHRASE, or the file that UNITAPE_CREDENTIALS names)",
    )
    parser.add_argument(
        "--position-mode",
        choices=("one_way", "hedge"),
        help="of the account (default one_way, where the market has it)",
    )
    parser.add_argument(
        "--paper",
        metavar="FILE",
        help="trade on paper over the venue's market data: no keys, nothing is sent; the account is kept in FILE, "
        "which is made with 100000 USDT per market where there is none",
    )
    parser.add_argument("--json", action="store_true", help="print lines of JSON, as when piped")


def add_order_name(parser: argparse.ArgumentParser) -> None:
    """Add what names one order."""
    parser.add_argument("symbol", metavar="SYMBOL", help="for example BTC/USDT or BTC/USDT:USDT")
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--id", metavar="ID", help="the venue's order id")
    which.add_argument("--client-id", metavar="ID", help="the id that it was placed with")
    parser.add_argument("--conditional", action="store_true", help="the order waits for a trigger")


def add_since(parser: argparse.ArgumentParser) -> None:
    """Add ``--since``."""
    parser.add_argument("--since", metavar="AGE", type=_age, help="from so long ago on: 90m, 24h, 7d (default: newest)")


def since(args: argparse.Namespace) -> int | None:
    """Return the nanoseconds that ``--since`` means; None where it is not given."""
    return None if args.since is None else time.time_ns() - args.since * NANOS


def _age(text: str) -> int:
    found = re.fullmatch(r"([1-9]\d{0,6})([smhdw])", text)
    if found is None:
        raise argparse.ArgumentTypeError(f"{text} is no age: write 90m, 24h or 7d")
    return int(found[1]) * UNITS[found[2]]


@asynccontextmanager
async def open_trader(args: argparse.Namespace, *, dry_run: bool = False) -> AsyncGenerator[VenueAdapter]:
    """Yield the venue's adapter with the account; with ``--sim`` a simulated venue's with a demo account.

    Raises:
        ConfigError: the keys are not there or not safe, or the venue has no simulator.
    """
    args.venues = [args.venue]
    credentials = None if args.sim or args.paper else load_credentials(args.venue, file=args.keys)
    async with open_places(args) as places:
        adapter = trader(args, places, credentials, dry_run=dry_run)
        if args.paper:
            async with _on_paper(adapter, args) as paper:
                # It has the same verbs.
                yield cast("VenueAdapter", paper)
            return
        async with adapter:
            yield adapter


def trader(
    args: argparse.Namespace, places: Places, credentials: Credentials | None, *, dry_run: bool = False
) -> VenueAdapter:
    """Return the venue's adapter, not entered yet; with ``--sim`` it has the demo account's keys."""
    from unitape.adapter import VenueAdapter

    venue = places.venues[0]
    return VenueAdapter(
        venue,
        environment="sim" if args.sim else args.env,
        endpoints=places.of(venue.name),
        transport=args.transport,
        credentials=_demo_account() if args.sim and not args.paper else credentials,
        account=None if args.position_mode is None else TradingSettings(position_mode=args.position_mode),
        trading=TradingOptions(dry_run=dry_run),
    )


@asynccontextmanager
async def _on_paper(adapter: VenueAdapter, args: argparse.Namespace) -> AsyncGenerator[PaperAdapter]:
    """Yield paper trading over an adapter, with the account of a file, which is written when all is done."""
    from unitape.paper import PaperAdapter, PaperSettings
    from unitape.paper.file import load_account, save_account

    paper = PaperAdapter(adapter, PaperSettings(position_mode=args.position_mode))
    load_account(paper.exchange, Path(args.paper))
    async with paper:
        try:
            yield paper
        finally:
            resting = paper.exchange.open_orders()
            save_account(paper.exchange, Path(args.paper))
            if resting:
                many = len(resting) > 1
                what = f"{len(resting)} paper orders that rested are" if many else "a paper order that rested is"
                complain(f"{what} canceled: none outlives the command; --wait lets one stand")


def _demo_account() -> Credentials:
    from unitape.sim.users import DEMO_USER

    return Credentials(DEMO_USER.key, DEMO_USER.secret, DEMO_USER.passphrase or None)


def run_trader(args: argparse.Namespace, use: Callable[[VenueAdapter], Awaitable[T]], *, dry_run: bool = False) -> T:
    """Open the venue, use it, close it; return what using it gave."""

    async def main() -> T:
        async with open_trader(args, dry_run=dry_run) as adapter:
            return await use(adapter)

    return run_async(main)


def agreed(question: str) -> bool:
    """Ask a person.

    Raises:
        ConfigError: nobody is there to ask.
    """
    if not sys.stdin.isatty():
        raise ConfigError("a live order wants a confirmation and there is no terminal to ask on: say --yes")
    print(f"{question} [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def show(args: argparse.Namespace, rows: Sequence[Row], columns: Callable[[Row], dict[str, object]]) -> None:
    """Print rows: as a table on a terminal, otherwise as lines of JSON. Nothing is said about none."""
    if args.json or not sys.stdout.isatty():
        for row in rows:
            print_line(row)
        return
    if not rows:
        complain("none")
        return
    table = [columns(row) for row in rows]
    numbers = {name for name in table[0] if any(isinstance(line[name], Decimal) for line in table)}
    cells = [{name: plain(value) for name, value in line.items()} for line in table]
    widths = {name: max(len(name), *(len(line[name]) for line in cells)) for name in cells[0]}
    for line in ({name: name for name in widths}, *cells):
        words = (
            line[name].rjust(width) if name in numbers else line[name].ljust(width) for name, width in widths.items()
        )
        print("  ".join(words).rstrip())


def order_columns(row: Row) -> dict[str, object]:
    """Return the columns of an order's table."""
    assert isinstance(row, Order)
    return {
        "symbol": row.symbol,
        "id": row.id,
        "client id": row.client_id,
        "side": row.side,
        "kind": row.kind,
        "price": row.price,
        "trigger": row.trigger,
        "size": row.size,
        "filled": row.filled,
        "average": row.average,
        "status": row.status if row.status != "unknown" else f"unknown ({row.raw_status})",
    }
