"""What several commands share: choosing a market, its instruments, and printing."""

from __future__ import annotations

import argparse
import gzip
import sys
from collections.abc import Iterable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Final, TypeVar

import msgspec

from unitape.errors import ConfigError, WireError
from unitape.registry import load_venue, venue_names
from unitape.spi import DepthUpdate, Instruments, Market
from unitape.tape.rows import Row, iter_rows, open_rows
from unitape_schemas import BookDelta, BookSnapshot, Event, Instrument

__all__ = [
    "add_market_arguments",
    "as_event",
    "chosen_market",
    "complain",
    "load_instruments",
    "mention_unknown",
    "plain",
    "print_line",
    "progress",
    "source_rows",
]

T = TypeVar("T")
PROGRESS_EVERY: Final = 2_000
_encode = msgspec.json.Encoder().encode


def add_market_arguments(parser: argparse.ArgumentParser, *, required: bool = True) -> None:
    """Add ``--venue``, ``--market`` and ``--instruments``."""
    parser.add_argument("--venue", required=required, metavar="V", help=f"one of: {', '.join(venue_names())}")
    parser.add_argument("--market", required=required, metavar="M", help="spot, or futures for the USDT perpetuals")
    parser.add_argument(
        "--instruments",
        metavar="FILE",
        help="instrument list: the venue's own answer, or what `unitape instruments` printed "
        "(default: the small dated catalogue that ships with the venue)",
    )


def chosen_market(args: argparse.Namespace) -> Market:
    """Return the market that ``--venue`` and ``--market`` name."""
    return load_venue(args.venue).market(args.market)


def load_instruments(market: Market, file: str | None) -> Instruments:
    """Return the instruments of a file, in the venue's form or ours; without a file the market's catalogue.

    Raises:
        ConfigError: the file is neither.
    """
    if file is None:
        return Instruments(market.catalogue)
    data = Path(file).read_bytes()
    if data[:2] == b"\x1f\x8b":
        data = gzip.decompress(data)
    ours = _our_instruments(data)
    if ours is not None:
        found = [row for row in ours if row.venue == market.venue and row.market == market.name]
    else:
        try:
            found = market.read_instruments(_body(data))
        except WireError as error:
            raise ConfigError(f"{file} is no instrument list of {market.venue} {market.name}: {error}") from error
    if not found:
        raise ConfigError(f"{file} lists no instrument of {market.venue} {market.name}")
    return Instruments(found)


def _our_instruments(data: bytes) -> list[Instrument] | None:
    try:
        if data.lstrip()[:1] == b"[":
            return msgspec.json.decode(data, type=list[Instrument])
        return [msgspec.json.decode(line, type=Instrument) for line in data.splitlines() if line.strip()]
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


class _Envelope(msgspec.Struct):
    payload: msgspec.Raw


def _body(data: bytes) -> bytes:
    """Return the venue's answer, also out of a recording's row."""
    try:
        return bytes(msgspec.json.decode(data, type=_Envelope).payload)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return data


def source_rows(file: str) -> Iterator[Row]:
    """Read a recording from a file, or from standard input for ``-``."""
    return iter_rows(sys.stdin.buffer) if file == "-" else open_rows(file)


def as_event(update: DepthUpdate) -> BookSnapshot | BookDelta:
    """Return a depth update as an event of epoch 0: a book that nobody joined."""
    kind = BookSnapshot if update.snapshot else BookDelta
    return kind(
        update.venue,
        update.symbol,
        update.ts_event,
        update.ts_sent,
        update.ts_recv,
        update.bids,
        update.asks,
        update.first_seq,
        update.seq,
        update.prev_seq,
        0,
    )


def print_line(value: Event | Instrument | dict[str, object]) -> None:
    """Print one value as a line of JSON."""
    sys.stdout.write(_encode(value).decode() + "\n")


def complain(text: str) -> None:
    """Say something on standard error."""
    print(text, file=sys.stderr)


def plain(value: object) -> str:
    """Return a cell as people read it: a number without an exponent and without zeros that say nothing."""
    if value is None:
        return "-"
    if not isinstance(value, Decimal):
        return str(value)
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def mention_unknown(instruments: Instruments) -> None:
    """Name the symbols that no instrument list knew, once."""
    names = list(instruments.unknown)
    if names:
        more = f" and {len(names) - 10} more" if len(names) > 10 else ""
        complain(
            f"note: not in the instrument list, so in the venue's own spelling: {', '.join(names[:10])}{more}; "
            "--instruments FILE gives a fuller list"
        )


def progress(items: Iterable[T], text: str, *, unit: str = "messages", total: int | None = None) -> Iterator[T]:
    """Yield the items; on a terminal, show on standard error how far they are, a few times a second.

    ``total`` is how many there will be, about; None: nobody knows, so they are only counted.
    """
    if not sys.stderr.isatty():
        yield from items
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, ProgressColumn, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns: list[ProgressColumn] = [SpinnerColumn(), TextColumn("{task.description}")]
    if total is not None:
        columns += [BarColumn(), TextColumn("{task.percentage:>3.0f} %")]
    columns += [TextColumn("{task.completed:,.0f} " + unit), TimeElapsedColumn()]
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(text, total=total)
        count = 0
        for count, item in enumerate(items, start=1):
            yield item
            if count % PROGRESS_EVERY == 0:
                bar.update(task, completed=count)
        bar.update(task, completed=count)
