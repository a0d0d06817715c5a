"""Check what the headless demo printed: plain lines of every market, joined books, nothing crossed or lost."""

from __future__ import annotations

import re
import sys
from importlib.metadata import entry_points
from pathlib import Path


def main(path: str) -> int:
    text = Path(path).read_text("utf-8")
    problems = []
    if "\x1b" in text:
        problems.append("control sequences in piped output")
    markets = [(v.name, m.name) for p in entry_points(group="unitape.adapters") for v in [p.load()] for m in v.markets]
    for venue, market in markets:
        lines = [line for line in text.splitlines() if re.search(rf"\b{venue} +{market}\b", line)]
        if len(lines) < 2:
            problems.append(f"only {len(lines)} lines of {venue} {market}")
    summary = re.search(r"^summary: ([\d,]+) events", text, re.MULTILINE)
    if summary is None:
        problems.append("no summary")
    elif int(summary.group(1).replace(",", "")) < 100:
        problems.append(f"only {summary.group(1)} events")
    books = re.search(r"books: +(\d+) joined, (\d+) crossed, (\d+) gaps", text)
    if books is None or int(books.group(1)) < len(markets) or books.group(2) != "0" or books.group(3) != "0":
        problems.append(f"books: {books.group(0) if books else 'not mentioned'}")
    for problem in problems:
        print(f"demo: {problem}", file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
