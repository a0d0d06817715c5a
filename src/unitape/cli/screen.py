"""How a board looks: a table for terminals, plain lines for everything else."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from unitape.cli.board import Board, BoardRow

if TYPE_CHECKING:
    from rich.console import Group

__all__ = ["picture", "plain_line", "summary_lines"]

_STATE_STYLE: Final = {"live": "green", "waiting": "dim", "stale": "yellow"}


def price(value: float | None) -> str:
    """Write a price without an exponent and without rounding what the venue said."""
    if value is None:
        return "-"
    text = f"{value:,.2f}" if value >= 1_000 and round(value, 2) == value else f"{value:.12f}".rstrip("0").rstrip(".")
    return text or "0"


def plain_line(row: BoardRow, now: int) -> str:
    """Return one row as a line that reads well in a log."""
    clock = datetime.fromtimestamp(now / 1e9, UTC).strftime("%H:%M:%S")
    where = f"{row.venue} {row.market}".strip()
    latency = "-" if row.latency is None else f"{row.latency * 1e3:.1f}ms"
    return (
        f"{clock}  {where:<14} {row.symbol:<16} bid {price(row.bid):>12}  ask {price(row.ask):>12}  "
        f"spread {_bps(row):>8}  trades/s {row.trades_per_second:>5.1f}  latency {latency:>8}  "
        f"seq {row.seq if row.seq is not None else '-'}  gaps {row.gaps}  {row.state}"
    )


def summary_lines(board: Board, rows: Sequence[BoardRow], seconds: float) -> list[str]:
    """Return what a run came to, in a few lines."""
    counts = ", ".join(f"{name} {count:,}" for name, count in sorted(board.types.items())) or "none"
    statuses = ", ".join(f"{name} {count}" for name, count in sorted(board.statuses.items())) or "none"
    markets = {(row.venue, row.market) for row in rows}
    crossed = sum(row.bid is not None and row.ask is not None and row.bid >= row.ask for row in rows)
    quiet = [f"{row.venue} {row.symbol}" for row in rows if row.age is None]
    lines = [
        f"summary: {board.events:,} events in {seconds:.1f} s from {len(markets)} markets, {len(rows)} symbols",
        f"  events:   {counts}",
        f"  statuses: {statuses}",
        f"  books:    {sum(row.seq is not None for row in rows)} joined, {crossed} crossed, {board.gaps} gaps",
    ]
    if quiet:
        lines.append(f"  silent:   {', '.join(quiet)}")
    return lines


def picture(board: Board, now: int, *, title: str, hint: str = "q quits") -> Group:
    """Return the board as something rich can draw."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    table = Table(
        title=title, title_justify="left", title_style="bold", caption=hint, caption_justify="left", expand=True
    )
    table.add_column("venue")
    table.add_column("market")
    table.add_column("symbol", style="bold", no_wrap=True)
    for name in ("bid", "ask", "spread", "last", "trades/s", "events/s", "latency", "age", "book seq", "gaps"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("state")
    for row in board.rows(now):
        table.add_row(*_cells(row))
    clock = datetime.fromtimestamp(now / 1e9, UTC).strftime("%H:%M:%S UTC")
    news = [
        Text(f"  {status.code:<12} {status.venue} {status.subscription or status.symbol}  {status.text}", style="dim")
        for status in board.news
    ]
    return Group(table, Text(f"{clock}   {board.events:,} events   {board.gaps} gaps"), *news)


def _cells(row: BoardRow) -> list[str]:
    style = _STATE_STYLE.get(row.state, "red")
    return [
        row.venue,
        row.market,
        row.symbol,
        price(row.bid),
        price(row.ask),
        _bps(row),
        price(row.last),
        f"{row.trades_per_second:.1f}",
        f"{row.events_per_second:.0f}",
        "-" if row.latency is None else f"{row.latency * 1e3:.1f} ms",
        "-" if row.age is None else f"{row.age:.1f} s",
        "-" if row.seq is None else str(row.seq),
        f"[red]{row.gaps}[/]" if row.gaps else "0",
        f"[{style}]{row.state}[/]",
    ]


def _bps(row: BoardRow) -> str:
    return "-" if row.spread_bps is None else f"{row.spread_bps:.2f}bp"
