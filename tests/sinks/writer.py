"""Stores an endless, known sequence until it is killed: ``python -m tests.sinks.writer KIND PATH SEED``.

Prints the number that the sink starts from, then each number that it acknowledged.
"""

from __future__ import annotations

import random
import sys
from pathlib import Path

from tests.sinks.records import trades
from unitape.sinks import JsonLinesSink, ParquetSink, SqliteSink


def main(kind: str, path: str, seed: int) -> None:
    place = Path(path)
    sink: JsonLinesSink | ParquetSink | SqliteSink
    if kind == "jsonl":
        sink = JsonLinesSink(place / "lines", file_bytes=20_000, compress=seed % 2 == 0)
    elif kind == "sqlite":
        sink = SqliteSink(place / "signals.sqlite", file_bytes=230_000)
    else:
        sink = ParquetSink(place / "tables", segment=60)
    print(sink.acknowledged, flush=True)
    rng = random.Random(seed)
    while True:
        count = rng.randrange(1, 30)
        print(sink.store(trades(count, start=sink.acknowledged + 1)), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
