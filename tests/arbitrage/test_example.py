"""The example runs offline with one command, as its reader would start it."""

from __future__ import annotations

import re
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

from unitape.arbitrage import PlanEnded, read_journal

ROOT = Path(__file__).parents[2]


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", "examples/arbitrage.py", "--seconds", "60", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_it_trades_on_simulated_venues_and_the_accounts_show_what_its_journal_says(tmp_path: Path) -> None:
    journal = tmp_path / "journal.jsonl"
    done = run("--trade", "--plans", "2", "--journal", str(journal))
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    assert "2 plans: " in done.stdout
    assert "DIFFERENT" not in done.stdout
    rows = re.findall(r"^  \w+ +(\w+) +(-?[\d.]+) +(-?[\d.]+) *$", done.stdout, re.MULTILINE)
    assert {name for name, _, _ in rows} >= {"BTC", "USDT"}
    assert all(Decimal(gained) == Decimal(said) != 0 for _, gained, said in rows)
    ends = [entry for entry in read_journal(journal.read_bytes().splitlines()) if isinstance(entry, PlanEnded)]
    assert len(ends) == 2
    assert all(end.complete for end in ends)


def test_without_being_told_to_trade_it_sends_nothing() -> None:
    done = run("--plans", "1")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 plans: 1 dry_run" in done.stdout
    assert re.search(r"= net \d", done.stdout)
    assert done.stdout.endswith("what the accounts gained, and what the journals say:\n  nothing moved\n")
