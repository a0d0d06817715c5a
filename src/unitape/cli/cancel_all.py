"""``unitape cancel-all``: every open order of a symbol, a market or a venue."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Final

from unitape.cli.common import complain
from unitape.cli.trade import add_trading_arguments, order_columns, run_trader, show
from unitape.errors import Unsupported
from unitape.trade.requests import CancelAllResult

if TYPE_CHECKING:
    from unitape.adapter import VenueAdapter

__all__ = ["EXAMPLES", "configure", "run"]

EXAMPLES: Final = """\
Examples:
  unitape cancel-all VENUE
  unitape cancel-all VENUE --market spot
  unitape cancel-all VENUE --symbol BTC/USDT:USDT
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add_trading_arguments(parser)
    which = parser.add_mutually_exclusive_group()
    which.add_argument("-s", "--symbol", metavar="S", help="only of this symbol")
    which.add_argument("--market", metavar="M", help="only of this market")


def run(args: argparse.Namespace) -> int:
    """Cancel and print what was canceled; 1 when something could not be."""

    async def cancel(adapter: VenueAdapter) -> list[CancelAllResult]:
        return await adapter.cancel_all(args.symbol, market=args.market)

    results = run_trader(args, cancel)
    orders = [order for result in results for order in result.orders]
    if orders:
        show(args, orders, order_columns)
    for result in results:
        how = "all in one request" if result.native else "symbol by symbol or one by one"
        named = f"the venue names {len(result.orders) or 'none'}"
        complain(f"{result.market}: canceled {how}; {named}" if result.ok else f"{result.market}: NOT ALL ARE CANCELED")
        for name, error in result.failures.items():
            hint = ": give --symbol" if isinstance(error, Unsupported) and args.symbol is None else ""
            complain(f"{result.market}: {error}{hint}" if name == "*" else f"{result.market}: {name}: {error}")
    return 0 if all(result.ok for result in results) else 1
