"""How a board looks: a table for terminals, plain lines for everything else."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from unitape.cli.board import Board, BoardRow

if TYPE_CHECKING:
    from rich.console import Group

    from unitape.health import Health

__all__ = ["health_words", "picture", "plain_line", "summary_lines"]

FOOT_WIDTH: Final = 110
"""The screen width from which on the foot has room for the health of the whole feed."""
_STATE_STYLE: Final = {"live": "green", "waiting": "dim", "stale": "yellow"}


def price(value: float | None) -> str:
    """Write a price without an exponent and without rounding what the venue said."""
    if value is None:
        return "-"
    if value >= 1_000 and round(value, 2) == value:
        return f"{value:,.2f}"
    # By way of the shortest decimal: a fixed number of places would show the float's own last digits.
    text = f"{Decimal(repr(value)):,f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def plain_line(row: BoardRow, now: int) -> str:
    """Return one row as a line that reads well in a log."""
    clock = datetime.fromtimestamp(now / 1e9, UTC).strftime("%H:%M:%S")
    where = f"{row.venue} {row.market}".strip()
    latency = _milliseconds(row.latency).replace(" ", "")
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
    if board.measured is not None:
        lines.append(f"  health:   {health_words(board.measured)}")
    if quiet:
        lines.append(f"  silent:   {', '.join(quiet)}")
    return lines


def picture(board: Board, now: int, *, title: str, hint: str = "q quits", width: int = 160) -> Group:
    """Return the board as something rich can draw; on narrow screens the least needed columns are left out."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    columns = [column for column in COLUMNS if width >= column.width]
    table = Table(box=SIMPLE_HEAD, padding=(0, 1), title=title, title_justify="left", title_style="bold", expand=True)
    for column in columns:
        table.add_column(column.name, justify="right" if column.number else "left", no_wrap=True)
    for row in board.rows(now):
        table.add_row(*(column.cell(row) for column in columns))
    clock = datetime.fromtimestamp(now / 1e9, UTC).strftime("%H:%M:%S UTC")
    news = [
        Text(f"  {status.code:<12} {status.venue} {status.subscription or status.symbol}  {status.text}", style="dim")
        for status in board.news
    ]
    health = "" if board.measured is None or width < FOOT_WIDTH else f"{health_words(board.measured)}   "
    return Group(table, Text(f"{clock}   {board.events:,} events   {board.gaps} gaps   {health}{hint}"), *news)


def health_words(health: Health) -> str:
    """Return what concerns the whole feed, in a few words."""
    memory = "" if health.memory is None else f"   {health.memory / 1e6:.0f} MB"
    return f"{health.reconnects} reconnects   {health.resyncs} resyncs   {health.dropped} dropped{memory}"


def _state(row: BoardRow) -> str:
    return f"[{_STATE_STYLE.get(row.state, 'red')}]{row.state}[/]"


def _gaps(row: BoardRow) -> str:
    return f"[red]{row.gaps}[/]" if row.gaps else "0"


def _bps(row: BoardRow) -> str:
    return "-" if row.spread_bps is None else f"{row.spread_bps:.2f}bp"


def _milliseconds(value: float | None) -> str:
    return "-" if value is None else f"{value * 1e3:.1f} ms"


@dataclass(frozen=True)
class Column:
    """One column of the table: how a cell is written, and from which screen width on it is shown."""

    name: str
    cell: Callable[[BoardRow], str]
    width: int = 0
    number: bool = True


COLUMNS: Final[tuple[Column, ...]] = (
    Column("market", lambda row: f"{row.venue} {row.market}".strip(), number=False),
    Column("symbol", lambda row: f"[bold]{row.symbol}[/]", number=False),
    Column("bid", lambda row: price(row.bid)),
    Column("ask", lambda row: price(row.ask)),
    Column("spread", _bps, 90),
    Column("last", lambda row: price(row.last), 130),
    Column("trades/s", lambda row: f"{row.trades_per_second:.1f}", 100),
    Column("events/s", lambda row: f"{row.events_per_second:.0f}", 140),
    Column("latency", lambda row: _milliseconds(row.latency), 110),
    Column("p99", lambda row: _milliseconds(row.p99), 175),
    Column("age", lambda row: "-" if row.age is None else f"{row.age:.1f} s", 130),
    Column("book seq", lambda row: "-" if row.seq is None else str(row.seq), 120),
    Column("gaps", _gaps),
    Column("resyncs", lambda row: str(row.resyncs), 175),
    Column("state", _state, number=False),
)
