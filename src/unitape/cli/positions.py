"""``unitape positions``: open positions."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Final

from unitape.cli.follow import Following, add_follow_arguments, follow
from unitape.cli.trade import Row, add_trading_arguments, run_trader, show
from unitape_schemas import Position

if TYPE_CHECKING:
    from unitape.adapter import VenueAdapter

__all__ = ["EXAMPLES", "configure", "run"]

EXAMPLES: Final = """\
Examples:
  unitape positions VENUE --sim
  unitape positions VENUE --symbol BTC/USDT:USDT --json
  unitape positions VENUE --follow --sim
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add_trading_arguments(parser)
    parser.add_argument("-s", "--symbol", metavar="S", help="only of this symbol")
    add_follow_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Ask and print; with ``--follow`` go on."""
    if args.follow:
        return follow(args, Following("positions", _columns))

    async def ask(adapter: VenueAdapter) -> list[Position]:
        return await adapter.positions(args.symbol)

    show(args, [row for row in run_trader(args, ask) if row.size], _columns)
    return 0


def _columns(row: Row) -> dict[str, object]:
    assert isinstance(row, Position)
    return {
        "symbol": row.symbol,
        "side": row.side,
        "size": row.size,
        "entry": row.entry,
        "mark": row.mark,
        "unrealized": row.unrealized_pnl,
        "liquidation": row.liquidation,
        "leverage": row.leverage,
        "margin mode": row.margin_mode,
        "margin": row.margin,
    }
