"""``unitape watch``: a live table of best prices over venues and markets."""

from __future__ import annotations

import argparse
from typing import Final

from unitape.cli.live import (
    add_place_arguments,
    add_subscription_arguments,
    add_venue_argument,
    open_adapters,
    run_async,
    seconds,
    wanted_subscriptions,
)

__all__ = ["EXAMPLES", "configure", "run"]

EXAMPLES: Final = """\
One row per venue and symbol: best prices, spread, rates, latency from the venue's time to ours, age of the last event,
the book's update number, gaps. Until q or Ctrl-C; piped, a line per row and second.

Examples:
  unitape watch --symbols BTC/USDT BTC/USDT:USDT ETH/USDT
  unitape watch --sim
  unitape watch VENUE --channels book trades --seconds 60 | tee watch.log
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add_venue_argument(parser)
    add_subscription_arguments(parser, symbols=("BTC/USDT", "BTC/USDT:USDT"), channels=("book", "trades"))
    parser.add_argument("--seconds", type=seconds, metavar="S", help="end after so long")
    add_place_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Show the table; 1 if nothing came."""
    return run_async(lambda: _watch(args))


async def _watch(args: argparse.Namespace) -> int:
    from unitape.cli.feeds import watch_board
    from unitape.clock import SystemClock

    async with open_adapters(args) as adapters:
        board = await watch_board(
            adapters,
            wanted_subscriptions(args),
            title="unitape watch, simulated" if args.sim else "unitape watch",
            seconds=args.seconds,
            wall=SystemClock().wall,
        )
    return 0 if board.events else 1
