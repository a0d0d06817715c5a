"""``unitape decode``: frames in, unified events out."""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final

from unitape.cli.common import (
    add_market_arguments,
    as_event,
    chosen_market,
    complain,
    load_instruments,
    mention_unknown,
    print_line,
    progress,
    source_rows,
)
from unitape.cli.private_frames import PrivateFrames
from unitape.errors import UnitapeError
from unitape.spi import Closing, Confirmed, DepthUpdate, Instruments, Market, Output, Refused, Unmapped
from unitape.tape.http_rows import HttpRows
from unitape.tape.rows import Row
from unitape_schemas import Event, Instrument, Status

__all__ = ["EXAMPLES", "configure", "run"]

EXAMPLES: Final = """\
Reads a recording in row form (.jsonl, .jsonl.gz), or one bare frame per line: text, hex or base64; a .bin or .json
file is one frame. Every event is one line of JSON. A frame that cannot be decoded is reported on standard error with
its line number; the rest is still decoded, and the exit status is 1.

Examples:
  unitape decode --venue VENUE --market spot session.jsonl.gz
  zcat session.jsonl.gz | unitape decode --venue VENUE --market futures - | jq 'select(.type == "trade")'
  unitape decode --venue VENUE --market spot frame.bin
  unitape decode --private --venue VENUE --market spot account.jsonl
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("file", nargs="?", default="-", metavar="FILE", help="recording to read; - or none: stdin")
    parser.add_argument(
        "--private", action="store_true", help="the frames are an account's: orders, fills, balances, positions"
    )
    add_market_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Decode everything; 1 if something could not be decoded."""
    market = chosen_market(args)
    instruments = load_instruments(market, args.instruments)
    private = PrivateFrames(market, instruments) if args.private else None
    decoder = _Decoder(market, instruments, private)
    rows: Iterable[Row] = source_rows(args.file)
    for row in progress(rows, "decoding") if not sys.stdout.isatty() else rows:
        for event in decoder.decode(row):
            print_line(event)
    sys.stdout.flush()
    mention_unknown(instruments)
    if not decoder.frames:
        complain(f"note: {'standard input' if args.file == '-' else args.file} holds nothing from the venue")
    if decoder.passed:
        complain(f"note: {decoder.passed} HTTP answers hold nothing for this command, first on line {decoder.first}")
    if decoder.unmapped:
        names = ", ".join(f"{name} ({count})" for name, count in decoder.unmapped.most_common())
        complain(f"note: outside the contract, so without an event: {names}")
    if decoder.failures:
        complain(f"{decoder.failures} of {decoder.frames} messages could not be decoded")
    return 1 if decoder.failures else 0


class _Decoder:
    def __init__(self, market: Market, instruments: Instruments, private: PrivateFrames | None) -> None:
        self._venue = market.venue
        self._decode = market.codec(instruments).decode
        self._http = HttpRows(market, instruments)
        self._books: dict[str, None] = {}
        self._private = private
        self.unmapped: Counter[str] = Counter() if private is None else private.unmapped
        self.frames = 0
        self.failures = 0
        self.passed = 0
        self.first = 0

    def decode(self, row: Row) -> Sequence[Event | Instrument]:
        """Return what one row says; report on standard error what cannot be read."""
        if self._private is not None and row.kind == "ws-open":
            self._private.opened()
        if not row.problem and (not row.incoming or row.kind in {"ws-open", "ws-close"}):
            return ()
        self.frames += 1
        if row.problem:
            return self._failed(row, row.problem)
        try:
            return self._http_row(row) if row.kind == "http" else self._frame(row)
        except UnitapeError as error:
            return self._failed(row, str(error))

    def _frame(self, row: Row) -> Sequence[Event | Instrument]:
        if self._private is not None:
            return self._private.decode(row)
        outputs = self._decode(row.data, row.ts)
        return [event for output in outputs if (event := self._event(output, row.ts)) is not None]

    def _http_row(self, row: Row) -> Sequence[Event | Instrument]:
        records = self._http.read(row, self._books) if self._private is None else None
        if records is None:
            self.first = self.first or row.line
            self.passed += 1
            return ()
        return [as_event(record) if isinstance(record, DepthUpdate) else record for record in records]

    def _event(self, output: Output, ts: int) -> Event | None:
        if isinstance(output, DepthUpdate):
            self._books[output.symbol] = None
            return as_event(output)
        if isinstance(output, Confirmed):
            return Status(
                self._venue, "", 0, 0, ts, "subscribed", None, None, "a subscription was confirmed", output.raw
            )
        if isinstance(output, Refused):
            return Status(self._venue, "", 0, 0, ts, "rejected", None, None, output.text, output.raw)
        if isinstance(output, Unmapped):
            self.unmapped[output.name] += 1
            return None
        if isinstance(output, Closing):
            return None
        return output

    def _failed(self, row: Row, reason: str) -> Sequence[Event]:
        self.failures += 1
        sys.stdout.flush()
        complain(f"line {row.line}: {' '.join(reason.split())}")
        return ()
