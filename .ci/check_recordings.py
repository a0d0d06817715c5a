"""Replay the recorded sessions and list what the recordings hold that does not decode, with the reasons."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parent.parent
SESSIONS = [
    ("binance", "spot", "binance-spot/hftbacktest/btcusdt_20240808.jsonl.gz"),
    ("binance", "spot", "binance-spot/cryptofeed/session-blzeth-nknusdt.jsonl.gz"),
    ("binance", "usdm", "binance-usdm/hftbacktest/btcusdt_20240808.jsonl.gz"),
    ("binance", "usdm", "binance-usdm/cryptofeed/session-akrousdt-sushiusdt.jsonl.gz"),
    ("weex", "contract", "weex-futures/cryptosmith-x/depth15-session-first-half.jsonl"),
]


def main() -> int:
    recordings = Path(os.environ["UNITAPE_RECORDINGS"])
    failed = False
    for venue, market, name in SESSIONS:
        command = [sys.executable, "-m", "unitape", "replay", str(recordings / name), "--venue", venue]
        done = subprocess.run([*command, "--market", market, "--books"], capture_output=True, text=True, check=False)
        last = done.stdout.strip().splitlines()[-1:] or ["{}"]
        summary = json.loads(last[0])
        bad = {key: summary.get(key) for key in ("gaps", "resyncs", "crossed", "undecoded") if summary.get(key) != 0}
        print(f"{name}: {summary.get('events')}" + (f"  WRONG: {bad} {done.stderr}" if bad else ""))
        failed |= bool(bad) or done.returncode != 0 or not summary.get("books")
    for listing in sorted(ROOT.glob("tests/*/undecoded.json")):
        rows = json.loads(listing.read_text("utf-8"))
        reasons = Counter(rows.values())
        print(f"\n{listing.parent.name}: {len(rows)} recorded rows are not events")
        for reason, count in sorted(reasons.items()):
            print(f"  {count:>4}  {reason}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
