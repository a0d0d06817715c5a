"""``unitape instruments``: what a venue trades."""

from __future__ import annotations

import argparse
import sys
from decimal import Decimal
from typing import Final

from unitape.cli.common import complain, print_line
from unitape.cli.live import add_place_arguments, add_venue_argument, chosen_venues, open_places, run_async
from unitape.errors import ConfigError
from unitape.spi import Instruments
from unitape_schemas import Instrument

__all__ = ["EXAMPLES", "configure", "run"]

EXAMPLES: Final = """\
A table on a terminal, one line of JSON per instrument when piped; such lines are what --instruments of `decode` and
`replay` takes. Prices and sizes are exact; sizes are in units of the base currency, on every venue.

Examples:
  unitape instruments VENUE --market futures
  unitape instruments VENUE --search BTC --status trading
  unitape instruments VENUE --offline
  unitape instruments VENUE --market spot > instruments.jsonl
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add_venue_argument(parser)
    parser.add_argument("--market", metavar="M", help="spot or futures (default: all)")
    parser.add_argument("--search", metavar="TEXT", help="only symbols with this text")
    parser.add_argument("--status", choices=("trading", "halted", "pending", "closed"), help="only with this status")
    parser.add_argument("--offline", action="store_true", help="the small dated catalogue that ships with the venue")
    parser.add_argument("--json", action="store_true", help="lines of JSON on a terminal, too")
    add_place_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """List the instruments; 1 if there are none."""
    found = _catalogue(args) if args.offline else run_async(lambda: _fetched(args))
    rows = [row for row in found if _wanted(args, row)]
    if args.json or not sys.stdout.isatty():
        for row in rows:
            print_line(row)
    else:
        _table(rows)
    if not rows:
        complain("no instrument is like that")
    return 0 if rows else 1


def _catalogue(args: argparse.Namespace) -> list[Instrument]:
    markets = [market for venue in chosen_venues(args) for market in venue.markets]
    return [row for market in markets if _market_wanted(args, market.name, market.aliases) for row in market.catalogue]


async def _fetched(args: argparse.Namespace) -> list[Instrument]:
    from unitape.clock import SystemClock
    from unitape.transport import open_transport

    found: list[Instrument] = []
    async with open_places(args) as places:
        transport = open_transport(args.transport)
        try:
            for market in places.markets:
                if _market_wanted(args, market.name, market.aliases):
                    query = market.rest(Instruments(market.catalogue)).instruments()
                    base = places.endpoints[market.venue, market.name].rest
                    answer = await transport.request(base, query.request, 30.0)
                    found += query.read(answer, SystemClock().wall())
        finally:
            await transport.aclose()
    if not found and args.market:
        raise ConfigError(f"no chosen venue has a market {args.market!r}")
    return found


def _market_wanted(args: argparse.Namespace, name: str, aliases: tuple[str, ...]) -> bool:
    return args.market is None or args.market in (name, *aliases)


def _wanted(args: argparse.Namespace, row: Instrument) -> bool:
    text = (args.search or "").upper()
    return (text in row.symbol.upper() or text in row.raw_symbol.upper()) and args.status in (None, row.status)


def _table(rows: list[Instrument]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, header_style="bold")
    for name in ("venue", "market", "symbol", "raw", "status"):
        table.add_column(name, no_wrap=True)
    for name in ("tick", "step", "min size", "min notional", "contract"):
        table.add_column(name, justify="right", no_wrap=True)
    for row in rows:
        size = row.contract_size
        table.add_row(
            row.venue,
            row.market,
            row.symbol,
            row.raw_symbol,
            row.status,
            *(_exact(value) for value in (row.tick, row.step, row.min_size, row.min_notional)),
            "-" if size is None else _exact(Decimal(size[0]) / Decimal(size[1])),
        )
    Console().print(table)


def _exact(value: Decimal | None) -> str:
    return "-" if value is None else f"{value.normalize():f}"
