"""Shows a board while it lives: redrawn in place on a terminal, a line per row and second everywhere else."""

from __future__ import annotations

import os
import sys
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from typing import Final

import anyio

from unitape.cli.board import Board
from unitape.cli.screen import picture, plain_line

__all__ = ["quit_key", "show"]

FRAMES_PER_SECOND: Final = 8
MOST_LINES: Final = 40
"""Rows that are printed each second when piped."""
QUIT_KEYS: Final = b"qQ\x03\x04"


async def show(board: Board, now: Callable[[], int], *, title: str, seconds: float | None, ended: anyio.Event) -> None:
    """Show the board until ``seconds`` have passed, ``ended`` is set, or somebody presses q on the terminal.

    ``now`` is the wall clock by which rates and ages are taken, nanoseconds.
    """
    with anyio.move_on_after(seconds):
        async with anyio.create_task_group() as tasks:

            async def until(waiting: Callable[[], Awaitable[object]]) -> None:
                await waiting()
                tasks.cancel_scope.cancel()

            tasks.start_soon(until, ended.wait)
            if sys.stdout.isatty():
                tasks.start_soon(until, quit_key)
                await _draw(board, now, title)
            else:
                await _print(board, now)


async def _print(board: Board, now: Callable[[], int]) -> None:
    while True:
        await anyio.sleep(1.0)
        moment = now()
        for row in board.rows(moment)[:MOST_LINES]:
            print(plain_line(row, moment))
        sys.stdout.flush()


async def _draw(board: Board, now: Callable[[], int], title: str) -> None:
    from rich.live import Live

    with Live(screen=True, auto_refresh=False, transient=True) as live:
        while True:
            live.update(picture(board, now(), title=title, width=live.console.width), refresh=True)
            await anyio.sleep(1 / FRAMES_PER_SECOND)


async def quit_key() -> None:
    """Return when a quit key is pressed; never, where the keyboard cannot be read."""
    if not sys.stdin.isatty():
        await anyio.sleep_forever()
    with _unbuffered(sys.stdin.fileno()) as ready:
        if not ready:
            await anyio.sleep_forever()
        while True:
            await anyio.wait_readable(sys.stdin)
            key = os.read(sys.stdin.fileno(), 1)
            if not key or key in QUIT_KEYS:
                return


@contextmanager
def _unbuffered(fd: int) -> Generator[bool]:
    """Let single key presses through while inside; yield False where the system cannot."""
    try:
        import termios
        import tty
    except ImportError:
        yield False
        return
    before = termios.tcgetattr(fd)
    try:
        tty.setcbreak(fd)
        yield True
    finally:
        termios.tcsetattr(fd, termios.TCSADRAIN, before)
