"""The example of a recorded test: it replays as it ships, and can be recorded anew."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

EXAMPLE = Path(__file__).parents[2] / "examples" / "cassette_test"


def pytest_in(folder: Path, *options: str) -> str:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "error", *options, "."]
    ran = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


def test_the_example_replays_as_it_ships() -> None:
    before = {path: path.read_bytes() for path in (EXAMPLE / "cassettes").rglob("*") if path.is_file()}
    assert "1 passed" in pytest_in(EXAMPLE)
    assert before == {path: path.read_bytes() for path in (EXAMPLE / "cassettes").rglob("*") if path.is_file()}


def test_the_example_can_be_recorded_anew(tmp_path: Path) -> None:
    for path in EXAMPLE.glob("*.py"):
        shutil.copy(path, tmp_path)
    (tmp_path / "pytest.ini").write_text("[pytest]\nasyncio_default_fixture_loop_scope = function\n")
    assert "recorded cassettes/disagreement" in pytest_in(tmp_path, "--tape-record")
    assert "1 passed" in pytest_in(tmp_path)
