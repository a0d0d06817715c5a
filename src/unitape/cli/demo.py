"""``unitape demo``: everything at work, without network or accounts."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from unitape.cli.live import add_place_arguments, add_venue_argument, open_adapters, run_async, seconds
from unitape.errors import ConfigError
from unitape_schemas import Channel, Subscription

__all__ = ["EXAMPLES", "configure", "run"]

EXAMPLES: Final = """\
Starts simulated exchanges on loopback, which speak the venues' real wire protocols, and follows their spot and futures
books and trades over real sockets. On a terminal a live table until q or Ctrl-C. Piped, plain lines for ten seconds,
then a summary.

Examples:
  unitape demo
  unitape demo VENUE --seed 7
  unitape demo --seconds 5 | cat
  unitape demo --tape session.tape --speed 4
"""

SYMBOLS: Final = ("BTC/USDT", "ETH/USDT", "BTC/USDT:USDT", "ETH/USDT:USDT")
CHANNELS: Final[tuple[Channel, ...]] = ("book", "trades")
PIPED_SECONDS: Final = 10.0
BUSY: Final = 3.0
"""How much busier than usual the simulated markets are, so that there is something to see."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add_venue_argument(parser)
    parser.add_argument("--seconds", type=seconds, metavar="S", help="end after so long (default when piped: 10)")
    parser.add_argument("--tape", nargs="+", metavar="FILE", help="play these tapes instead; a venue is on one of them")
    parser.add_argument("--speed", type=float, default=1.0, metavar="X", help="how fast tapes play (default 1)")
    add_place_arguments(parser)
    parser.set_defaults(sim=True, busy=BUSY)


def run(args: argparse.Namespace) -> int:
    """Show the demo; 1 if nothing came."""
    limit: float | None = args.seconds
    if limit is None and not sys.stdout.isatty():
        limit = PIPED_SECONDS
    if args.tape:
        return run_async(lambda: _tapes([Path(name) for name in args.tape], args.venues, args.speed, limit))
    return run_async(lambda: _simulated(args, limit))


async def _simulated(args: argparse.Namespace, limit: float | None) -> int:
    from unitape.cli.feeds import watch_board
    from unitape.clock import SystemClock

    wanted = [Subscription(channel, symbol) for symbol in SYMBOLS for channel in CHANNELS]
    async with open_adapters(args) as adapters:
        names = ", ".join(adapter.venue for adapter in adapters)
        title = f"unitape demo: {names}, simulated on loopback"
        board = await watch_board(adapters, wanted, title=title, seconds=limit, wall=SystemClock().wall)
    return 0 if board.events else 1


async def _tapes(files: Sequence[Path], venues: Sequence[str], speed: float, limit: float | None) -> int:
    from unitape.cli.feeds import watch_board
    from unitape.tape.adapter import TapeAdapter
    from unitape.tape.tape import Tape

    held = [(file, header.venue) for file in files for header in Tape(file).feeds]
    if not held:
        raise ConfigError(f"nothing was recorded on {', '.join(file.name for file in files)}")
    chosen = dict.fromkeys((file, venue) for file, venue in held if not venues or venue in venues)
    if not chosen:
        names = ", ".join(dict.fromkeys(venue for _, venue in held))
        raise ConfigError(f"{', '.join(file.name for file in files)}: holds {names}, not {', '.join(venues)}")
    adapters = [TapeAdapter(file, venue=venue, speed=speed) for file, venue in chosen]
    wanted = sorted({s for adapter in adapters for s in adapter.subscriptions}, key=str)
    title = "unitape demo: recorded feeds, played again"
    # Each tape holds its own subscriptions; that it lacks those of another is no news.
    board = await watch_board(adapters, wanted, title=title, seconds=limit, wall=None, quiet=True)
    return 0 if board.events else 1
