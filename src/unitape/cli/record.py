"""``unitape record``: a live session onto a tape."""

from __future__ import annotations

import argparse
import sys
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import anyio

from unitape.adapter import Adapter
from unitape.cli.board import Board
from unitape.cli.common import complain
from unitape.cli.live import (
    add_place_arguments,
    add_subscription_arguments,
    add_venue_argument,
    open_adapters,
    run_async,
    seconds,
    wanted_subscriptions,
)
from unitape.tape.record import Recorder
from unitape.tape.redact import Redactor

__all__ = ["EXAMPLES", "configure", "run"]

EXAMPLES: Final = """\
Everything goes onto one tape: messages both ways, HTTP answers, connects, closes and the clock. It is compressed,
appended to only, and good up to the last second if the recorder is killed. Secrets are removed. Ctrl-C ends the
recording and closes the tape.

Examples:
  unitape record VENUE --symbols BTC/USDT --channels trades book -o btc.tape
  unitape record --sim --seconds 10 -o demo.tape
  unitape replay btc.tape --books
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add_venue_argument(parser)
    parser.add_argument("-o", "--output", required=True, metavar="FILE", help="tape to write")
    parser.add_argument("--overwrite", action="store_true", help="replace the file if it exists")
    add_subscription_arguments(parser, symbols=("BTC/USDT",), channels=("trades", "book"))
    parser.add_argument("--seconds", type=seconds, metavar="S", help="end after so long (default: until Ctrl-C)")
    parser.add_argument("--redact", action="append", default=[], metavar="TEXT", help="a further secret to remove")
    parser.add_argument("--keep-secrets", action="store_true", help="remove nothing: never share such a tape")
    add_place_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Record; 1 if nothing came."""
    recorder = Recorder(
        args.output, redactor=Redactor(args.redact), redact=not args.keep_secrets, overwrite=args.overwrite
    )
    board = Board(lambda venue, symbol: "")
    path = Path(args.output)
    try:
        run_async(lambda: _record(args, recorder, board))
    except Exception:
        recorder.close()
        if not recorder.records and path.is_file():  # an empty tape would only be in the way of the next try
            path.unlink()
        raise
    finally:
        recorder.close()
        if path.exists():
            size = path.stat().st_size
            complain(f"{args.output}: {recorder.records:,} records, {size:,} bytes, {board.events:,} events")
    return 0 if board.events else 1


async def _record(args: argparse.Namespace, recorder: Recorder, board: Board) -> None:
    from unitape.cli.feeds import follow

    with anyio.move_on_after(args.seconds):
        async with (
            open_adapters(args, record=recorder.begin) as adapters,
            _counted(adapters, board),
            follow(adapters, wanted_subscriptions(args)) as (batches, _),
            anyio.create_task_group() as tasks,
        ):
            tasks.start_soon(_report, recorder, board)
            async for _ in batches:
                if recorder.failure is not None:
                    tasks.cancel_scope.cancel()


@asynccontextmanager
async def _counted(adapters: Sequence[Adapter], board: Board) -> AsyncGenerator[None]:
    """Count what is delivered, as it is recorded: what waits for a consumer at the end is on the tape, too."""
    for adapter in adapters:
        adapter.attach(board)
    try:
        yield
    finally:
        for adapter in adapters:
            adapter.detach(board)


async def _report(recorder: Recorder, board: Board) -> None:
    """Say on a terminal how far the recording is."""
    while sys.stderr.isatty():
        await anyio.sleep(1.0)
        text = f"{board.events:,} events, {recorder.records:,} records, {recorder.written:,} bytes, {board.gaps} gaps"
        print(f"\r{text}  ", end="", file=sys.stderr, flush=True)
