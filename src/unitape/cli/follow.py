"""``--follow``: an account as it changes, for ``orders``, ``fills``, ``balances`` and ``positions``.

Piped, or with ``--json``, every event is a line of JSON. On a terminal executions are a line each, and the rest is a
table of how things stand, drawn anew with every change.
"""

from __future__ import annotations

import argparse
import sys
from collections import deque
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Final

import anyio
from msgspec import Struct, structs

from unitape.cli.common import complain, plain, print_line
from unitape.cli.describe import describe
from unitape.cli.live import open_places, run_async, seconds
from unitape.cli.trade import Row, show, trader
from unitape.errors import ConfigError
from unitape.trade.secrets import load_credentials
from unitape.trade.tracking import is_final
from unitape_schemas import ALL_SYMBOLS, Balance, Channel, Event, Fill, Order, Position, Status, Subscription

if TYPE_CHECKING:
    from rich.console import Group

    from unitape.adapter import VenueAdapter
    from unitape.router import Batches

__all__ = ["Following", "Standing", "add_follow_arguments", "drawing", "follow"]

ENDED_SHOWN: Final = 8
"""Orders that have ended and are still shown, the newest."""
NEWS_SHOWN: Final = 4
PADDING: Final = 3
"""Characters around a cell."""
FRAMES_PER_SECOND: Final = 8
SPARED: Final = (
    *("trigger", "client id", "id", "margin", "margin mode", "liquidation", "mark", "leverage", "kind"),
    *("equity", "unrealized", "free margin", "average"),
)
"""Columns that a narrow screen leaves out, the first of them first. Numbers are never cut."""


class Following(Struct, frozen=True):
    """What a command follows, and how its rows look. ``blocks`` names options that mean something else."""

    channel: Channel
    columns: Callable[[Row], dict[str, object]]
    blocks: tuple[str, ...] = ()
    keep: Callable[[Row], bool] = lambda row: True
    """Which rows are worth a line of the table."""


class Standing:
    """How things stand, kept from events alone. Orders that have ended stay for a while."""

    def __init__(self, keep: Callable[[Row], bool] = lambda row: True) -> None:
        self._keep = keep
        self._rows: dict[tuple[str, ...], Row] = {}
        self._ended: deque[Row] = deque(maxlen=ENDED_SHOWN)
        self._states: dict[str, str] = {}
        self.news: deque[Status] = deque(maxlen=NEWS_SHOWN)
        self.changes = 0

    def deliver(self, events: Sequence[Event]) -> None:
        """Take events, in order."""
        for event in events:
            if isinstance(event, Status):
                self._status(event)
            elif isinstance(event, Order | Balance | Position | Fill):
                self.changes += 1
                self._row(event)

    @property
    def state(self) -> str:
        """``live`` while every market's stream is; else the worst word."""
        return (
            next((state for state in self._states.values() if state != "live"), "live") if self._states else "waiting"
        )

    @property
    def rows(self) -> list[Row]:
        """What stands."""
        return [row for row in self._rows.values() if self._keep(row)]

    @property
    def ended(self) -> list[Row]:
        """Orders that have ended, the newest last."""
        return list(self._ended)

    def _row(self, event: Row) -> None:
        key = _key(event)
        over = (isinstance(event, Order) and is_final(event.status)) or (isinstance(event, Position) and not event.size)
        if not over:
            self._rows[key] = _completed(event, self._rows.get(key))
            return
        self._rows.pop(key, None)
        if isinstance(event, Order):
            kept = [row for row in self._ended if _key(row) != key]
            self._ended.clear()
            self._ended.extend([*kept, event])

    def _status(self, status: Status) -> None:
        words = {"subscribed": "live", "recovered": "live", "rotated": "live"}
        if status.code in words or status.code in ("connected", "disconnected", "rejected"):
            self._states[status.subscription or ""] = words.get(status.code, status.code)
        if status.code not in ("connected", "subscribed"):
            self.news.append(status)


def _completed(event: Row, known: Row | None) -> Row:
    """Return a balance with the parts that a push leaves out; the venue is asked for them a moment later."""
    if not isinstance(event, Balance) or not isinstance(known, Balance):
        return event
    kept = {name: getattr(known, name) for name in event.__struct_fields__ if getattr(event, name) is None}
    return structs.replace(event, **kept)


def _key(row: Row) -> tuple[str, ...]:
    if isinstance(row, Order):
        return row.venue, row.symbol, row.id or "", "" if row.id else row.client_id or ""
    if isinstance(row, Balance):
        return row.venue, row.market or "", row.currency
    if isinstance(row, Position):
        return row.venue, row.symbol, row.side
    return row.venue, row.symbol, row.order_id, row.id


def add_follow_arguments(parser: argparse.ArgumentParser) -> None:
    """Add ``--follow`` and what belongs to it."""
    parser.add_argument(
        "-f",
        "--follow",
        action="store_true",
        help="go on with every change, until Ctrl-C or q; with --sim somebody trades on the demo account",
    )
    parser.add_argument("--seconds", type=seconds, metavar="S", help="with --follow: end after so long")
    parser.add_argument("--limit", type=int, metavar="N", help="with --follow: end after so many events")
    parser.add_argument("--no-status", action="store_true", help="with --follow: no lines about the stream itself")


def follow(args: argparse.Namespace, following: Following) -> int:
    """Follow the account until the limit, the time, q or Ctrl-C.

    Raises:
        ConfigError: an option does not go together with ``--follow``.
    """
    for name in following.blocks:
        if getattr(args, name.replace("-", "_")):
            raise ConfigError(f"--follow goes on from now, so --{name} does not go with it")
    if args.paper:
        raise ConfigError("a paper account changes only while a command trades on it: there is nothing to follow")
    return run_async(lambda: _follow(args, following))


async def _follow(args: argparse.Namespace, following: Following) -> int:
    from unitape.cli import feeds
    from unitape.cli.somebody import trade_a_little

    args.venues = [args.venue]
    credentials = None if args.sim else load_credentials(args.venue, file=args.keys)
    if credentials is None and not args.sim:
        name = f"UNITAPE_{args.venue.upper()}"
        raise ConfigError(f"an account needs an API key: set {name}_KEY and …_SECRET, or give --keys FILE, or --sim")
    symbol = getattr(args, "symbol", None) or ALL_SYMBOLS
    wanted = Subscription(following.channel, symbol, market=getattr(args, "market", None))
    show_table = sys.stdout.isatty() and not args.json and following.channel != "fills"
    with anyio.move_on_after(args.seconds):
        async with open_places(args) as places:
            adapter = trader(args, places, credentials)
            # One for each market, so that a status says which it is about.
            each = [structs.replace(wanted, market=market.name) for market in adapter.account_markets(wanted)]
            async with feeds.follow([adapter], each) as (batches, _), anyio.create_task_group() as tasks:
                if args.sim:
                    markets = [one.market or "" for one in each]
                    tasks.start_soon(trade_a_little, trader(args, places, None), args.seed, symbol, markets)
                if show_table:
                    await _draw(args, following, batches, adapter)
                else:
                    await _print(args, batches)
                tasks.cancel_scope.cancel()
    return 0


async def _print(args: argparse.Namespace, batches: Batches) -> None:
    as_json = args.json or not sys.stdout.isatty()
    printed = 0
    async for batch in batches:
        for event in batch:
            if args.no_status and isinstance(event, Status):
                continue
            if as_json:
                print_line(event)
            else:
                print(describe(event))
            printed += 1
            if args.limit is not None and printed >= args.limit:
                return
        sys.stdout.flush()


async def _draw(args: argparse.Namespace, following: Following, batches: Batches, adapter: VenueAdapter) -> None:
    """Keep a table on the screen; when it ends, leave on the terminal how things stood."""
    from rich.live import Live

    from unitape.cli.show import quit_key

    standing = Standing(following.keep)
    title = f"unitape {following.channel}, {adapter.venue} {'simulated' if args.sim else args.env}"
    try:
        async with anyio.create_task_group() as tasks:

            async def read() -> None:
                async for batch in batches:
                    standing.deliver(batch)
                    if args.limit is not None and standing.changes >= args.limit:
                        tasks.cancel_scope.cancel()

            async def until_quit() -> None:
                await quit_key()
                tasks.cancel_scope.cancel()

            tasks.start_soon(read)
            tasks.start_soon(until_quit)
            with Live(screen=True, auto_refresh=False, transient=True) as live:
                while True:
                    live.update(drawing(standing, following, title, live.console.width), refresh=True)
                    await anyio.sleep(1 / FRAMES_PER_SECOND)
    finally:
        rows = [*standing.rows, *standing.ended]
        show(args, rows, following.columns)
        if standing.state != "live":
            complain(f"the stream was {standing.state} at the end")


def drawing(standing: Standing, following: Following, title: str, width: int) -> Group:
    """Return how things stand as something rich can draw; on narrow screens the least needed columns are left out."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE_HEAD, padding=(0, 1), expand=True)
    rows, ended = standing.rows, standing.ended
    lines = [following.columns(row) for row in (*rows, *ended)]
    names = _fitting(lines, width)
    for name in names:
        number = any(isinstance(line[name], Decimal) for line in lines)
        table.add_column(name, justify="right" if number else "left", no_wrap=True)
    for place, line in enumerate(lines):
        table.add_row(*(Text(plain(line[name])) for name in names), style="dim" if place >= len(rows) else "")
    clock = datetime.now(UTC).strftime("%H:%M:%S UTC")
    body = table if lines else Text("\n  none\n", style="dim")
    style = "green" if standing.state == "live" else "red"
    foot = Text.assemble(f"{clock}   ", (standing.state, style), f"   {standing.changes:,} events   q quits")
    news = [Text(f"  {one.code:<12} {one.subscription or ''}  {one.text}", style="dim") for one in standing.news]
    return Group(Text(title, style="bold"), body, foot, *news)


def _fitting(lines: Sequence[dict[str, object]], width: int) -> list[str]:
    """Return the names of the columns that there is room for."""
    if not lines:
        return []
    widths = {name: max(len(name), *(len(plain(line[name])) for line in lines)) + PADDING for name in lines[0]}
    empty = [name for name in SPARED if all(line.get(name) is None for line in lines)]
    for name in dict.fromkeys((*empty, *SPARED)):
        if sum(widths.values()) + PADDING <= width:
            break
        widths.pop(name, None)
    return list(widths)
