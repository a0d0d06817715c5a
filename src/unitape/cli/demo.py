"""``unitape demo``: everything at work, without network or accounts."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import unitape
from unitape.cli.live import run_async, seconds
from unitape.errors import ConfigError
from unitape_schemas import Subscription

__all__ = ["EXAMPLES", "configure", "run"]

EXAMPLES: Final = """\
On a terminal a live table until q or Ctrl-C. Piped, plain lines for ten seconds, then a summary.

Examples:
  unitape demo
  unitape demo --seconds 5 | cat
  unitape demo --tape session.tape --speed 4
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("--seconds", type=seconds, metavar="S", help="end after so long (default when piped: 10)")
    parser.add_argument("--tape", nargs="+", metavar="FILE", help="play these tapes")
    parser.add_argument("--speed", type=float, default=2.0, metavar="X", help="how fast tapes play (default 2)")


def run(args: argparse.Namespace) -> int:
    """Show the demo."""
    return run_async(lambda: _tapes(args, _cassettes(args.tape)))


def _cassettes(named: Sequence[str] | None) -> list[Path]:
    if named:
        return [Path(name) for name in named]
    folder = Path(unitape.__file__).resolve().parents[2] / "cassettes"
    found = sorted(folder.glob("*/demo.tape"))
    if not found:
        raise ConfigError(f"no demo tapes in {folder}; name some with --tape")
    return found


async def _tapes(args: argparse.Namespace, files: Sequence[Path]) -> int:
    from unitape.cli.feeds import watch_board
    from unitape.tape.adapter import TapeAdapter

    adapters = [TapeAdapter(file, speed=args.speed) for file in files]
    wanted: list[Subscription] = sorted({s for adapter in adapters for s in adapter.subscriptions}, key=str)
    limit = args.seconds if args.seconds is not None else None if sys.stdout.isatty() else 10.0
    board = await watch_board(
        adapters, wanted, title="unitape demo: recorded feeds, played again", seconds=limit, wall=None, quiet=True
    )
    return 0 if board.events else 1
