"""Runs adapters behind a router for the live commands."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager

import anyio
from anyio.lowlevel import checkpoint

from unitape.adapter import Adapter
from unitape.cli.board import Board
from unitape.cli.live import warn_rejected
from unitape.cli.screen import summary_lines
from unitape.cli.show import show
from unitape.errors import ConfigError
from unitape.health import HealthMonitor
from unitape.registry import load_venue
from unitape.router import Batches, Router
from unitape.tape.adapter import TapeAdapter
from unitape_schemas import Subscription

__all__ = ["follow", "market_name", "watch_board"]


def market_name(venue: str, symbol: str) -> str:
    """Return the market a symbol belongs to, empty where that cannot be told."""
    try:
        return load_venue(venue).market_of(symbol).name
    except ConfigError:
        return ""


@asynccontextmanager
async def follow(
    adapters: Sequence[Adapter],
    subscriptions: Sequence[Subscription],
    *,
    quiet: bool = False,
    entered: Callable[[Router], None] | None = None,
) -> AsyncGenerator[tuple[Batches, anyio.Event]]:
    """Yield what the adapters deliver of these subscriptions, and an event that is set when all tapes among them end.

    Subscribing goes on while the batches are read; what is refused is said on standard error. ``entered`` is called
    with the router once it runs.

    Raises:
        UnitapeError: nothing at all was confirmed.
    """
    ended = anyio.Event()
    tapes = [adapter for adapter in adapters if isinstance(adapter, TapeAdapter)]
    async with Router(*adapters) as router:
        if entered is not None:
            entered(router)
        batches = router.batches(overflow="block", name="command")
        async with anyio.create_task_group() as tasks:

            async def subscribe() -> None:
                results = await router.subscribe(*subscriptions)
                if quiet:
                    return
                for venue, rejection in results.rejected:
                    warn_rejected(venue, rejection.subscription, rejection.text)
                for subscription in results.unserved:
                    warn_rejected("no venue here", subscription, "has symbols of this form")

            async def wait_for_tapes() -> None:
                for tape in tapes:
                    await tape.finished.wait()
                if tapes and len(tapes) == len(adapters):
                    while len(batches):
                        await checkpoint()
                    ended.set()

            tasks.start_soon(subscribe)
            tasks.start_soon(wait_for_tapes)
            yield batches, ended
            tasks.cancel_scope.cancel()


async def watch_board(
    adapters: Sequence[Adapter],
    subscriptions: Sequence[Subscription],
    *,
    title: str,
    seconds: float | None,
    wall: Callable[[], int] | None,
    quiet: bool = False,
) -> Board:
    """Show a board of these adapters until it ends, print a summary, and return the board.

    ``wall`` None: the time of the newest event, as a tape needs it.
    """
    board = Board(market_name)

    def now() -> int:
        return board.latest if wall is None else wall()

    begun = anyio.current_time()

    def measure(router: Router) -> None:
        board.measure(HealthMonitor(router).health)

    async with (
        follow(adapters, subscriptions, quiet=quiet, entered=measure) as (batches, ended),
        anyio.create_task_group() as tasks,
    ):

        async def read() -> None:
            async for batch in batches:
                board.deliver(batch)

        tasks.start_soon(read)
        await show(board, now, title=title, seconds=seconds, ended=ended)
        tasks.cancel_scope.cancel()
    for line in summary_lines(board, board.rows(now()), anyio.current_time() - begun):
        print(line)
    return board
