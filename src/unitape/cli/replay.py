"""``unitape replay``: a tape or a recording, played again."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from typing import Final, TypeVar

import msgspec

from unitape.cli.common import (
    add_market_arguments,
    chosen_market,
    complain,
    load_instruments,
    mention_unknown,
    print_line,
    progress,
    source_rows,
)
from unitape.errors import ConfigError
from unitape.registry import load_venue
from unitape.tape.format import FeedHeader
from unitape.tape.rowreplay import RowReplay
from unitape.tape.rows import Row
from unitape.tape.summary import ReplaySummary
from unitape.tape.tape import is_tape
from unitape_schemas import Event

__all__ = ["EXAMPLES", "configure", "run"]

T = TypeVar("T")

EXAMPLES: Final = """\
Plays a tape (what `unitape record` wrote), a recording in row form (.jsonl, .jsonl.gz), or a vcrpy cassette through
the same code that runs live, and prints every event as a line of JSON. With --books it prints a summary instead, as
its last line: events by type, gaps, resyncs, crossed books, undecoded frames, and where every book ended.

Exit status 1: something could not be decoded.

Examples:
  unitape replay session.jsonl.gz --venue VENUE --market spot --books
  unitape replay session.tape --books
  unitape replay session.tape --events --books | tail -1
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("file", metavar="FILE", help="tape, recording or cassette; - for a recording on stdin")
    add_market_arguments(parser, required=False)
    parser.add_argument("--books", action="store_true", help="print the summary; no events unless --events, too")
    parser.add_argument("--events", action="store_true", help="print the events (the default without --books)")


def run(args: argparse.Namespace) -> int:
    """Replay; 1 if something could not be decoded."""
    printing = args.events or not args.books
    if args.file != "-" and is_tape(args.file):
        summaries = _tape(args, printing=printing)
    else:
        if not args.venue or not args.market:
            raise ConfigError("a recording does not say where it is from: add --venue and --market")
        summaries = _rows(args, printing=printing)
    if args.books:
        for summary in summaries:
            print_line(msgspec.structs.asdict(summary))
    return 1 if any(summary.undecoded for summary in summaries) else 0


def _rows(args: argparse.Namespace, *, printing: bool) -> Sequence[ReplaySummary]:
    market = chosen_market(args)
    instruments = load_instruments(market, args.instruments)
    replay = RowReplay(market, instruments, complain=_complain)
    line = 0
    for row in _shown(_source(args.file), printing=printing):
        line = row.line
        _print(replay.row(row), printing=printing)
    if not line:
        complain(f"note: {'standard input' if args.file == '-' else args.file} holds nothing from the venue")
    mention_unknown(instruments)
    return [replay.summary]


def _source(file: str) -> Iterator[Row]:
    if file.endswith((".yaml", ".yml")):
        from unitape.tape.vcr import cassette_rows

        return cassette_rows(file)
    return source_rows(file)


def _tape(args: argparse.Namespace, *, printing: bool) -> Sequence[ReplaySummary]:
    from unitape.tape.player import Replay
    from unitape.tape.summary import Books, Tally
    from unitape.tape.tape import Tape

    tape = Tape(args.file)
    if tape.truncated_at is not None:
        complain(f"note: the recorder did not finish; the tape ends at byte {tape.truncated_at} of {tape.size}")
    wanted = [feed for feed, header in enumerate(tape.feeds) if _wanted(args, header)]
    if not wanted:
        names = ", ".join(f"{header.venue} {header.market}" for header in tape.feeds) or "nothing"
        raise ConfigError(f"the tape holds {names}")
    replay = Replay(tape, feeds=wanted)
    tallies = {feed: Tally() for feed in wanted}
    books = {feed: Books() for feed in wanted}
    for step in _shown(replay.steps(), printing=printing, total=tape.records_count):
        if step.events:
            tallies[step.feed].add(step.events)
            books[step.feed].add(step.events)
            _print(step.events, printing=printing)
    return [
        ReplaySummary(
            tape.feeds[feed].venue,
            tape.feeds[feed].market,
            tallies[feed].events,
            gaps=tallies[feed].gaps,
            resyncs=tallies[feed].resyncs,
            crossed=books[feed].crossed,
            undecoded=replay.cores[feed].undecoded,
            books=books[feed].tops,
        )
        for feed in wanted
    ]


def _wanted(args: argparse.Namespace, header: FeedHeader) -> bool:
    if args.venue is not None and header.venue != args.venue:
        return False
    return args.market is None or load_venue(header.venue).market(args.market).name == header.market


def _shown(items: Iterator[T], *, printing: bool, total: int | None = None) -> Iterator[T]:
    """Show progress, unless it would mix with events on the same terminal."""
    return items if printing and sys.stdout.isatty() else progress(items, "replaying", total=total)


def _print(events: Sequence[Event], *, printing: bool) -> None:
    if printing:
        for event in events:
            print_line(event)


def _complain(row: Row, reason: str) -> None:
    complain(f"line {row.line}: {' '.join(reason.split())}")
