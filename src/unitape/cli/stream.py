"""``unitape stream``: live events, printed as they come."""

from __future__ import annotations

import argparse
import sys
from typing import Final

import anyio

from unitape.cli.common import complain, print_line
from unitape.cli.describe import describe
from unitape.cli.live import (
    add_place_arguments,
    add_subscription_arguments,
    add_venue_argument,
    open_adapters,
    run_async,
    seconds,
    wanted_subscriptions,
)
from unitape_schemas import Event

__all__ = ["EXAMPLES", "configure", "run"]

EXAMPLES: Final = """\
A readable line per event on a terminal, a line of JSON when piped or with --json. Statuses say what happens to the
feed itself: connected, stale, gap, resynced.

Examples:
  unitape stream VENUE --symbols BTC/USDT --channels trades
  unitape stream --sim --symbols BTC/USDT BTC/USDT:USDT --channels trades quotes book --seconds 5
  unitape stream VENUE --channels candles --interval 5m --limit 100 --json | jq .close
  unitape stream VENUE --symbols BTC/USDT --channels trades book --to sqlite:btc.sqlite
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add_venue_argument(parser)
    add_subscription_arguments(parser, symbols=("BTC/USDT",), channels=("trades",))
    parser.add_argument("--limit", type=int, metavar="N", help="end after so many events")
    parser.add_argument("--seconds", type=seconds, metavar="S", help="end after so long")
    parser.add_argument("--json", action="store_true", help="lines of JSON on a terminal, too")
    parser.add_argument(
        "--to",
        metavar="PLACE",
        help="store events instead of printing them: sqlite:FILE, jsonl:FOLDER or parquet:FOLDER (needs pyarrow)",
    )
    parser.add_argument("--no-status", action="store_true", help="market data only")
    add_place_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Print events until the limit, the time or Ctrl-C; 1 if there were none."""
    return run_async(lambda: _stream(args) if args.to is None else _store(args))


async def _stream(args: argparse.Namespace) -> int:
    from unitape.cli.feeds import follow

    printed = 0
    as_json = args.json or not sys.stdout.isatty()
    with anyio.move_on_after(args.seconds):
        async with open_adapters(args) as adapters, follow(adapters, wanted_subscriptions(args)) as (batches, _):
            async for batch in batches:
                for event in batch:
                    if args.no_status and event.__struct_config__.tag == "status":
                        continue
                    _print(event, as_json=as_json)
                    printed += 1
                    if args.limit is not None and printed >= args.limit:
                        return 0
                sys.stdout.flush()
    return 0 if printed else 1


async def _store(args: argparse.Namespace) -> int:
    """Store events until the limit, the time or Ctrl-C, and say on standard error how many are safe."""
    from unitape.cli.feeds import follow
    from unitape.sinks import open_sink

    sink = open_sink(args.to)
    before = sink.acknowledged
    try:
        with anyio.move_on_after(args.seconds):
            async with open_adapters(args) as adapters, follow(adapters, wanted_subscriptions(args)) as (batches, _):
                async for batch in batches:
                    events = [e for e in batch if not (args.no_status and e.__struct_config__.tag == "status")]
                    if args.limit is not None:
                        events = events[: before + args.limit - sink.acknowledged]
                    await anyio.to_thread.run_sync(sink.store, events)
                    if args.limit is not None and sink.acknowledged - before >= args.limit:
                        break
    finally:
        sink.close()
        complain(f"{args.to}: {sink.acknowledged - before:,} events stored, {sink.acknowledged:,} in all")
    return 0 if sink.acknowledged > before else 1


def _print(event: Event, *, as_json: bool) -> None:
    if as_json:
        print_line(event)
    else:
        print(describe(event))
