"""``unitape place``: one order."""

from __future__ import annotations

import argparse
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Final, get_args

import anyio

from unitape.cli.common import complain
from unitape.cli.trade import add_trading_arguments, agreed, order_columns, run_trader, show
from unitape.errors import ConfigError
from unitape_schemas import Order, OrderKind, TimeInForce

if TYPE_CHECKING:
    from unitape.adapter import VenueAdapter

__all__ = ["EXAMPLES", "configure", "run"]

EXAMPLES: Final = """\
The order is checked against the instrument before anything is sent, and is sent once. If its answer is lost, the
client id is printed: ask for the order by it before placing another. Prices are never rounded.

Examples:
  unitape place VENUE BTC/USDT buy --size 0.01 --price 50000 --sim
  unitape place VENUE BTC/USDT sell --kind market --size 0.01 --sim
  unitape place VENUE BTC/USDT:USDT buy --size 0.01 --price 50000 --tif post_only --dry-run
  unitape place VENUE BTC/USDT buy --kind market --size 0.01 --paper my.paper
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add_trading_arguments(parser)
    parser.add_argument("symbol", metavar="SYMBOL", help="for example BTC/USDT or BTC/USDT:USDT")
    parser.add_argument("side", choices=("buy", "sell"))
    parser.add_argument("--kind", default="limit", choices=get_args(OrderKind), help="default limit")
    amount = parser.add_mutually_exclusive_group(required=True)
    amount.add_argument("--size", metavar="N", type=_number, help="base units, never contracts")
    amount.add_argument("--cost", metavar="N", type=_number, help="quote units, for market orders")
    parser.add_argument("--price", metavar="N", type=_number, help="quote per base")
    parser.add_argument("--tif", choices=get_args(TimeInForce), help="time in force (default gtc)")
    parser.add_argument("--trigger", metavar="N", type=_number, help="of stop and take-profit kinds")
    parser.add_argument("--trigger-by", choices=("last", "mark", "index"), help="default: the venue's")
    parser.add_argument("--reduce-only", action="store_true", help="only reduce a position")
    parser.add_argument("--position-side", choices=("long", "short"), help="in hedge mode")
    parser.add_argument("--take-profit", metavar="N", type=_number, help="trigger of an attached order")
    parser.add_argument("--stop-loss", metavar="N", type=_number, help="trigger of an attached order")
    parser.add_argument("--client-id", metavar="ID", help="default: one is made")
    parser.add_argument("--round-size", action="store_true", help="round the size down to the step")
    parser.add_argument("--validate", action="store_true", help="have the venue check it without placing it")
    parser.add_argument("--dry-run", action="store_true", help="check it here and send nothing")
    parser.add_argument(
        "--wait",
        type=float,
        default=0.0,
        metavar="S",
        help="with --paper: let a resting order stand for so many seconds",
    )
    parser.add_argument("--yes", action="store_true", help="do not ask before a live order")


def run(args: argparse.Namespace) -> int:
    """Place the order and print it."""
    if args.wait and not args.paper:
        raise ConfigError("--wait is for orders on paper, with --paper FILE; others stand until they end")
    live = not (args.sim or args.dry_run or args.validate or args.paper)
    if live and not args.yes and not agreed(f"{args.venue} {args.env}: {_wording(args)}. Place this order?"):
        complain("not placed")
        return 1

    async def place(adapter: VenueAdapter) -> Order:
        order = await adapter.place(
            args.symbol,
            args.side,
            args.kind,
            size=args.size,
            cost=args.cost,
            price=args.price,
            tif=args.tif,
            trigger=args.trigger,
            trigger_by=args.trigger_by,
            reduce_only=args.reduce_only,
            position_side=args.position_side,
            take_profit=args.take_profit,
            stop_loss=args.stop_loss,
            client_id=args.client_id,
            round_size=args.round_size,
            validate=args.validate or (args.paper is not None and args.dry_run),
        )
        if not args.paper or order.status not in ("open", "partially_filled"):
            return order
        await anyio.sleep(args.wait)
        return await adapter.order(args.symbol, id=order.id)

    show(args, [run_trader(args, place, dry_run=args.dry_run)], order_columns)
    return 0


def _number(text: str) -> Decimal:
    try:
        return Decimal(text)
    except InvalidOperation:
        raise argparse.ArgumentTypeError(f"{text} is not a number") from None


def _wording(args: argparse.Namespace) -> str:
    amount = f"{args.size} (base units)" if args.size is not None else f"for {args.cost} (quote units)"
    words = [args.side, args.symbol, amount, args.kind]
    words += [
        f"{name} {getattr(args, name)}" for name in ("price", "trigger", "tif") if getattr(args, name) is not None
    ]
    words += ["reduce-only"] if args.reduce_only else []
    words += [args.position_side] if args.position_side else []
    return " ".join(words)
