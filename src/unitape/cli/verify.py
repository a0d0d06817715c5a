"""``unitape verify``: tell whether a tape is whole."""

from __future__ import annotations

import argparse
from datetime import UTC, datetime
from typing import Final

import msgspec

from unitape.cli.common import complain, print_line, progress
from unitape.tape.proof import StreamReport, TapeReport, Verifier
from unitape.tape.tape import Tape

__all__ = ["EXAMPLES", "configure", "run"]

EXAMPLES: Final = """\
Checks every block's checksum, replays the tape, and follows the venue's own numbers: trade ids and book updates. What
they prove to be missing is counted; where a venue numbers nothing, nothing can be proved, and the table says so.

Exit status 1: the file is damaged, or something is missing. A recorder that was killed leaves a good tape; the byte
where it ends is named.

Examples:
  unitape verify session.tape
  unitape verify session.tape --json | jq .streams
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("file", metavar="FILE", help="tape to check")
    parser.add_argument("--json", action="store_true", help="print the report as one line of JSON")


def run(args: argparse.Namespace) -> int:
    """Verify; 1 unless the tape is whole."""
    tape = Tape(args.file, repair=True)
    verifier = Verifier(tape)
    for _ in progress(verifier.steps(), "verifying", unit="records", total=tape.records_count):
        pass
    report = verifier.report()
    if args.json:
        print_line({**msgspec.structs.asdict(report), "whole": report.whole})
    else:
        _print(report)
    return 0 if report.whole else 1


def _print(report: TapeReport) -> None:
    print(f"{report.path}: {report.size:,} bytes, {report.records:,} records")
    for header in report.feeds:
        created = datetime.fromtimestamp(header.created / 1e9, UTC)
        kept = "" if header.redacted else ", SECRETS KEPT"
        print(
            f"  {header.venue} {header.market} ({header.environment}), recorded {created:%Y-%m-%d %H:%M:%S} UTC{kept}"
        )
    if report.streams:
        print(
            f"\n{'stream':<34} {'events':>10} {'on the wire':>11} {'breaks':>6} {'missing':>7} {'told':>5}  last number"
        )
    for stream in report.streams:
        print(_line(stream))
    print()
    if report.truncated_at is not None:
        print(f"the recorder did not finish: the tape ends at byte {report.truncated_at} of {report.size}")
    for offset in report.damaged_at:
        print(f"damaged at byte {offset}: what this block held is lost")
    if report.undecoded:
        print(f"{report.undecoded} frames cannot be understood")
    if report.diverged is not None:
        complain(f"note: this version of the feed asks for other things than the recorded one did: {report.diverged}")
    if not report.streams:
        print("nothing to prove: the tape holds no stream" if report.whole else "NOT WHOLE: no stream is left")
        return
    proved = sum(stream.proof == "sequence" for stream in report.streams)
    verdict = "nothing is missing" if report.whole else "NOT WHOLE"
    print(f"{verdict}: {proved} of {len(report.streams)} streams are numbered without gaps by the venue")


def _line(stream: StreamReport) -> str:
    interval = f":{stream.interval}" if stream.interval else ""
    name = f"{stream.venue} {stream.channel}{interval} {stream.symbol}"
    numbers = f"{stream.breaks:>6} {stream.missing:>7}" if stream.proof == "sequence" else f"{'-':>6} {'-':>7}"
    wire, last = stream.messages or "-", stream.last_seq or "-"
    return f"{name:<34} {stream.events:>10,} {wire:>11} {numbers} {stream.told:>5}  {last}"
