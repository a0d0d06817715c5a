"""Draws docs/images/demo.svg: the demo's screen, as the tapes under cassettes/ make it after some seconds.

python tools/picture_demo.py [FILE]
"""

from __future__ import annotations

import io
import sys
from pathlib import Path

from rich.console import Console

from unitape.cli.board import Board
from unitape.cli.feeds import market_name
from unitape.cli.screen import picture
from unitape.tape.player import Replay
from unitape.tape.tape import Tape

ROOT = Path(__file__).resolve().parents[1]
SECONDS = 12
WIDTH = 150


def main(target: Path) -> None:
    """Play the tapes side by side up to one moment, and draw the screen."""
    board = Board(market_name)
    tapes = [Tape(path) for path in sorted((ROOT / "cassettes").glob("*/demo.tape"))]
    end = min(tape.header.created for tape in tapes) + SECONDS * 1_000_000_000
    for tape in tapes:
        for step in Replay(tape).steps():
            if step.input.ts > end:
                break
            board.deliver(step.events)
    names = ", ".join(dict.fromkeys(tape.header.venue for tape in tapes))
    console = Console(record=True, width=WIDTH, file=io.StringIO(), force_terminal=True)
    console.print(picture(board, end, title=f"unitape demo: {names}, simulated on loopback", width=WIDTH))
    target.parent.mkdir(parents=True, exist_ok=True)
    console.save_svg(str(target), title="unitape demo")
    print(f"{target}: {target.stat().st_size} bytes")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs" / "images" / "demo.svg")
