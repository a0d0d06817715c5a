"""``python -m bench [--quick] [--check] [NAME …]``: print the tables; with --check fail where a ratio is too high."""

from __future__ import annotations

import argparse
import sys
from importlib import import_module

from bench.harness import Row, table

BENCHES = {
    "wire": ("bench.wire", "Wire to unified event, in multiples of typed decode plus one struct"),
    "book": ("bench.bench_book", "Order books"),
    "mexc": ("bench.bench_mexc", "MEXC protobuf pushes"),
    "tape": ("bench.tape", "Tape replay"),
    "loopback": ("bench.loopback", "End to end over loopback"),
    "scale": ("bench.scale", "Many subscriptions, many consumers, and what a process weighs"),
}

# A shared machine moves a single ratio by some percent; a check must not fail for that, and a regression is larger.
TOLERANCE = 1.2


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("names", nargs="*", choices=[[], *BENCHES], help="which ones; all without a name")
    parser.add_argument("--quick", action="store_true", help="fewer calls: rougher figures in a minute")
    parser.add_argument("--check", action="store_true", help="exit 1 where a ratio is above its limit")
    arguments = parser.parse_args()
    too_slow: list[Row] = []
    for name in arguments.names or BENCHES:
        module, title = BENCHES[name]
        rows: list[Row] = import_module(module).run(quick=arguments.quick)
        print(table(title, rows), end="\n\n", flush=True)
        too_slow += [row for row in rows if row.limit is not None and row.value > row.limit * TOLERANCE]
    for row in too_slow:
        print(f"too slow: {row.name} is {row.value:.2f} {row.unit}, the goal is {row.limit:.2f}", file=sys.stderr)
    return 1 if arguments.check and too_slow else 0


if __name__ == "__main__":
    sys.exit(main())
