"""Health on the screen of ``watch``."""

from __future__ import annotations

import io

from rich.console import Console

from unitape.cli.board import Board
from unitape.cli.screen import picture, summary_lines
from unitape.health import ConsumerHealth, Health, Latency, SubscriptionHealth, VenueHealth
from unitape_schemas import Subscription, Trade

SECOND = 1_000_000_000


def report(ts: int, resyncs: int) -> Health:
    lines = tuple(
        SubscriptionHealth(
            "toy",
            Subscription(channel, "A/B"),
            "active",
            1,
            1.0,
            0.0,
            Latency(9, 0.1, 0.1, p99, 1.0),  # type: ignore[arg-type]
            0,
            count,
            0,
        )
        for channel, p99, count in (("trades", 0.0123, 0), ("book", 0.0456, resyncs))
    )
    return Health(
        ts, 1.0, 123_000_000, lines, (VenueHealth("toy", False, 7, 0, 0, 0),), (ConsumerHealth("command", 0, 8, 0),)
    )


def drawn(board: Board, now: int) -> str:
    console = Console(file=io.StringIO(), width=200, force_terminal=False)
    console.print(picture(board, now, title="watch", width=200))
    return console.file.getvalue()  # type: ignore[attr-defined]


def test_a_row_shows_its_worst_latency_and_its_resyncs_and_the_foot_the_whole_feed() -> None:
    board = Board(lambda venue, symbol: "spot")
    asked: list[int] = []
    now = 100 * SECOND

    def measure() -> Health:
        asked.append(now)
        return report(now, resyncs=len(asked))

    board.measure(measure)
    board.deliver([Trade("toy", "A/B", now, 0, now, None, 5.0, 1.0, "buy")])
    text = drawn(board, now)
    (row,) = [line for line in text.splitlines() if "A/B" in line]
    assert "45.6 ms" in row
    assert row.split()[-2] == "1", "the book was joined again once"
    assert "7 reconnects   1 resyncs   8 dropped   123 MB" in text
    drawn(board, now + SECOND // 2)
    assert len(asked) == 1, "asked once a second at most"
    now += SECOND
    assert "2 resyncs" in drawn(board, now)
    assert any("health:   7 reconnects" in line for line in summary_lines(board, board.rows(now), 1.0))
