"""The example of a recorded test: it replays as it ships, and can be recorded anew."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "cassette_test"
# pytest-asyncio, which is installed here and need not be, complains of a project that leaves this out.
SCOPE = ("-o", "asyncio_default_fixture_loop_scope=function")


def pytest_in(folder: Path, *options: str) -> str:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "error", *options]
    ran = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


def test_the_example_replays_as_it_ships() -> None:
    before = {path: path.read_bytes() for path in (EXAMPLE / "cassettes").rglob("*") if path.is_file()}
    assert "1 passed" in pytest_in(EXAMPLE, *SCOPE, ".")
    assert before == {path: path.read_bytes() for path in (EXAMPLE / "cassettes").rglob("*") if path.is_file()}


def test_it_replays_in_a_checkout_with_the_extra_alone() -> None:
    """The checkout's own settings name options of plugins that the extra ``testing`` does not bring."""
    assert "1 passed" in pytest_in(ROOT, "-p", "no:asyncio", "-p", "no:xdist", "examples/cassette_test")


def test_the_example_can_be_recorded_anew(tmp_path: Path) -> None:
    for path in (*EXAMPLE.glob("*.py"), EXAMPLE / "pytest.ini"):
        shutil.copy(path, tmp_path)
    assert "recorded cassettes/disagreement" in pytest_in(tmp_path, *SCOPE, "--tape-record", ".")
    assert "1 passed" in pytest_in(tmp_path, *SCOPE, ".")
