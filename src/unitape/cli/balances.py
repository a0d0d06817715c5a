"""``unitape balances``: what you hold."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Final

from unitape.cli.follow import Following, add_follow_arguments, follow
from unitape.cli.trade import Row, add_trading_arguments, run_trader, show
from unitape_schemas import Balance

if TYPE_CHECKING:
    from unitape.adapter import VenueAdapter

__all__ = ["EXAMPLES", "configure", "run"]

EXAMPLES: Final = """\
Examples:
  unitape balances VENUE --sim
  unitape balances VENUE --market spot --all --json
  unitape balances VENUE --follow --sim
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add_trading_arguments(parser)
    parser.add_argument("--market", metavar="M", help="only of this market")
    parser.add_argument("--all", action="store_true", help="also currencies of which there is nothing")
    add_follow_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Ask and print; with ``--follow`` go on."""
    if args.follow:
        return follow(args, Following("balances", _columns, keep=lambda row: args.all or _holds(row)))

    async def ask(adapter: VenueAdapter) -> list[Balance]:
        return await adapter.balances(args.market)

    rows = run_trader(args, ask)
    show(args, [row for row in rows if args.all or _holds(row)], _columns)
    return 0


def _holds(row: Row) -> bool:
    assert isinstance(row, Balance)
    return any((row.free, row.locked, row.total, row.equity))


def _columns(row: Row) -> dict[str, object]:
    assert isinstance(row, Balance)
    return {
        "market": row.market,
        "currency": row.currency,
        "free": row.free,
        "locked": row.locked,
        "total": row.total,
        "equity": row.equity,
        "free margin": row.available_margin,
        "unrealized": row.unrealized_pnl,
    }
