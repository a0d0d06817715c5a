"""``unitape fills``: your executions."""

from __future__ import annotations

import argparse
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from unitape.cli.follow import Following, add_follow_arguments, follow
from unitape.cli.trade import Row, add_since, add_trading_arguments, run_trader, show, since
from unitape_schemas import Fill

if TYPE_CHECKING:
    from unitape.adapter import VenueAdapter

__all__ = ["EXAMPLES", "configure", "run"]

EXAMPLES: Final = """\
Examples:
  unitape fills VENUE --symbol BTC/USDT --sim
  unitape fills VENUE --symbol BTC/USDT:USDT --since 24h
  unitape fills VENUE --symbol BTC/USDT --order 1234567
  unitape fills VENUE --follow --sim
  unitape fills VENUE --follow --no-status --json | jq -r '[.symbol, .side, .size, .price] | @tsv'
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add_trading_arguments(parser)
    parser.add_argument("-s", "--symbol", metavar="S", help="only of this symbol; most markets want one")
    parser.add_argument("--market", metavar="M", help="only of this market")
    parser.add_argument("--order", metavar="ID", help="only of this order, by the venue's id")
    add_since(parser)
    add_follow_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Ask and print; with ``--follow`` go on."""
    if args.follow:
        return follow(args, Following("fills", _columns, blocks=("since", "order")))

    async def ask(adapter: VenueAdapter) -> list[Fill]:
        return await adapter.fills(args.symbol, market=args.market, order_id=args.order, start=since(args))

    show(args, run_trader(args, ask), _columns)
    return 0


def _columns(row: Row) -> dict[str, object]:
    assert isinstance(row, Fill)
    at = datetime.fromtimestamp(row.ts_event // 1_000_000_000, UTC)
    return {
        "time (UTC)": f"{at:%Y-%m-%d %H:%M:%S}",
        "symbol": row.symbol,
        "id": row.id,
        "order": row.order_id,
        "side": row.side,
        "price": row.price,
        "size": row.size,
        "fee": row.fee,
        "in": row.fee_currency,
        "liquidity": row.liquidity,
    }
