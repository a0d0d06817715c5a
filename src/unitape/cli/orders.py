"""``unitape orders``: open orders, or past ones."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Final

from unitape.cli.follow import Following, add_follow_arguments, follow
from unitape.cli.trade import add_since, add_trading_arguments, order_columns, run_trader, show, since
from unitape.errors import ConfigError, Unsupported
from unitape_schemas import Order

if TYPE_CHECKING:
    from unitape.adapter import VenueAdapter

__all__ = ["EXAMPLES", "configure", "run"]

EXAMPLES: Final = """\
Open orders, those that wait for a trigger included; with --history past ones, with --since all of a time; with
--follow a live table on a terminal, and when piped a line of JSON per change.

Examples:
  unitape orders VENUE --sim
  unitape orders VENUE --symbol BTC/USDT --since 7d
  unitape orders VENUE --follow --sim
  unitape orders VENUE --symbol BTC/USDT --client-id ut-hq2x7k3m9ps-4f8k2m1q
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add_trading_arguments(parser)
    parser.add_argument("-s", "--symbol", metavar="S", help="only of this symbol")
    parser.add_argument("--market", metavar="M", help="only of this market")
    parser.add_argument("--history", action="store_true", help="the newest past orders instead of the open ones")
    add_since(parser)
    parser.add_argument("--id", metavar="ID", help="one order, by the venue's id")
    parser.add_argument("--client-id", metavar="ID", help="one order, by the id that it was placed with")
    add_follow_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Ask and print; with ``--follow`` go on."""
    if args.follow:
        return follow(args, Following("orders", order_columns, blocks=("history", "since", "id", "client-id")))
    if (args.id or args.client_id) and not args.symbol:
        raise ConfigError("give --symbol together with --id or --client-id")

    async def ask(adapter: VenueAdapter) -> list[Order]:
        if args.id or args.client_id:
            return [await adapter.order(args.symbol, id=args.id, client_id=args.client_id)]
        if args.history or args.since is not None:
            return await adapter.order_history(args.symbol, market=args.market, start=since(args))
        try:
            return await adapter.open_orders(args.symbol, market=args.market)
        except Unsupported as error:
            if args.symbol is not None:
                raise
            raise Unsupported(f"{error}: give --symbol, or name another market with --market") from error

    show(args, run_trader(args, ask), order_columns)
    return 0
