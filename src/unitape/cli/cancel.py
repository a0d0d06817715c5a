"""``unitape cancel``: one order."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Final

from unitape.cli.common import complain
from unitape.cli.trade import add_order_name, add_trading_arguments, order_columns, run_trader, show
from unitape_schemas import Order

if TYPE_CHECKING:
    from unitape.adapter import VenueAdapter

__all__ = ["EXAMPLES", "configure", "run"]

EXAMPLES: Final = """\
Examples:
  unitape cancel VENUE BTC/USDT --id 1234567
  unitape cancel VENUE BTC/USDT:USDT --client-id ut-hq2x7k3m9ps-4f8k2m1q
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add_trading_arguments(parser)
    add_order_name(parser)


def run(args: argparse.Namespace) -> int:
    """Cancel the order and print it as the venue tells it."""

    async def cancel(adapter: VenueAdapter) -> Order | None:
        return await adapter.cancel(args.symbol, id=args.id, client_id=args.client_id, conditional=args.conditional)

    order = run_trader(args, cancel)
    if order is None:
        complain("canceled; the venue tells no more than that")
    else:
        show(args, [order], order_columns)
    return 0
