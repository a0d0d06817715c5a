"""The wheel alone is enough: what is in it, and a stranger's project that tests with it in a fresh environment."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from email import message_from_bytes
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]
SOURCES = {
    "unitape": ROOT / "src",
    "unitape_binance": ROOT / "adapters",
    "unitape_mexc": ROOT / "adapters",
    "unitape_weex": ROOT / "adapters",
    "unitape_schemas": ROOT / "schemas",
}
PIP = ("-m", "pip", "--disable-pip-version-check", "--no-input")


def run(*command: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run a command that sees nothing of this project but what it is told."""
    hidden = ("PYTHON", "VIRTUAL_ENV", "PYTEST", "UNITAPE")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(hidden)}
    return subprocess.run(
        [str(part) for part in command], cwd=cwd, env=environment, capture_output=True, text=True, timeout=400
    )


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel as a package index would get it."""
    folder = tmp_path_factory.mktemp("wheel")
    probe = run(
        sys.executable,
        *PIP,
        "download",
        "--retries=1",
        "--timeout=15",
        "--no-deps",
        "-d",
        "probe",
        "hatchling",
        cwd=folder,
    )
    if probe.returncode:
        last = (probe.stderr.strip().splitlines() or ["pip says nothing"])[-1]
        pytest.skip(f"NO PACKAGE INDEX IS REACHABLE, so no wheel was built or installed: {last}")
    built = run(sys.executable, *PIP, "wheel", "--no-deps", "--wheel-dir", "dist", ROOT, cwd=folder)
    assert built.returncode == 0, built.stderr
    (found,) = (folder / "dist").glob("unitape-*.whl")
    return found


@pytest.fixture(scope="module")
def fresh(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the Python of a new virtual environment with the wheel and its extra for tests, nothing else."""
    folder = tmp_path_factory.mktemp("fresh")
    made = run(sys.executable, "-m", "venv", "--without-pip", "venv", cwd=folder)
    assert made.returncode == 0, made.stderr
    python = folder / "venv" / ("Scripts" if os.name == "nt" else "bin") / "python"
    installed = run(sys.executable, *PIP, "--python", python, "install", "--quiet", f"{wheel}[testing]", cwd=folder)
    assert installed.returncode == 0, installed.stderr
    return python


def modules() -> Iterator[str]:
    """Yield the name in the wheel of everything that must be there."""
    for package, root in SOURCES.items():
        for path in (root / package).rglob("*"):
            if path.is_file() and "__pycache__" not in path.parts:
                yield path.relative_to(root).as_posix()


def test_the_wheel_holds_every_module_and_nothing_of_the_tests(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    inside = {name for name in names if ".dist-info/" not in name}
    assert inside == set(modules())
    assert {f"{package}/py.typed" for package in SOURCES} <= inside
    assert {name.partition("/")[0] for name in inside} == set(SOURCES)


def test_the_wheel_declares_its_adapters_its_plugin_and_its_extras(wheel: Path) -> None:
    archive = zipfile.ZipFile(wheel)
    (entries,) = (name for name in archive.namelist() if name.endswith(".dist-info/entry_points.txt"))
    text = archive.read(entries).decode()
    groups = {part.partition("]")[0]: part.partition("]")[2].split("\n") for part in text.split("[")[1:]}
    named = {
        group: [EntryPoint(*map(str.strip, line.split("=")), group) for line in lines if line.strip()]
        for group, lines in groups.items()
    }
    assert {entry.name: entry.value for entry in named["unitape.adapters"]} == {
        "binance": "unitape_binance:VENUE", "mexc": "unitape_mexc:VENUE", "weex": "unitape_weex:VENUE",
    }  # fmt: skip
    assert [entry.module for entry in named["pytest11"]] == ["unitape.testing.plugin"]
    assert [entry.name for entry in named["console_scripts"]] == ["unitape"]
    metadata = message_from_bytes(archive.read(entries.replace("entry_points.txt", "METADATA")))
    assert "testing" in (metadata.get_all("Provides-Extra") or [])
    wanted = [line for line in metadata.get_all("Requires-Dist") or [] if "extra == 'testing'" in line]
    assert {line.partition(">")[0] for line in wanted} == {"pytest", "trio", "vcrpy"}
    always = [line for line in metadata.get_all("Requires-Dist") or [] if "extra ==" not in line]
    assert not {line.partition(">")[0] for line in always} & {"pytest", "trio", "vcrpy"}


STRANGER = """
import pytest
import unitape as ut
from unitape.sim import SimSettings
from unitape.testing import Scenario

SMALL = SimSettings(symbols=1, rate=60.0, history_minutes=5)


@pytest.mark.tape("two-venues", sim=SMALL)
async def test_two_venues(tape: Scenario) -> None:
    seen = set()
    async with ut.Router(tape.adapter("binance"), tape.adapter("mexc"), clock=tape.clock) as router:
        events = router.stream(types=ut.Trade)
        await router.subscribe(ut.trades("BTC/USDT"))
        async for event in events:
            seen.add(event.venue)
            if len(seen) == 2:
                break
    async with tape.adapter("weex") as adapter:
        order = await adapter.place("BTC/USDT", "buy", size="0.01", price="95000")
        await adapter.cancel("BTC/USDT", id=order.id)
    tape.expect("orders", [{"side": order.side, "price": order.price}])
"""
WITHOUT_VENUES = """
import pytest


@pytest.fixture(autouse=True)
def no_simulator(monkeypatch):
    async def refuse(self):
        raise AssertionError("a replay started a simulator")

    monkeypatch.setattr("unitape.sim.server.SimServer.__aenter__", refuse)
"""


def test_a_strangers_project_records_and_replays_from_the_wheel_alone(fresh: Path, tmp_path: Path) -> None:
    (tmp_path / "test_mine.py").write_text(STRANGER)
    where = run(fresh, "-c", "import unitape, unitape_schemas; print(unitape.__file__)", cwd=tmp_path)
    assert Path(where.stdout.strip()).is_relative_to(fresh.parents[1]), where.stderr
    pytest_run = (fresh, "-W", "error", "-m", "pytest", "-q")
    missing = run(*pytest_run, cwd=tmp_path)
    assert missing.returncode == 1
    assert "there is no recording in cassettes/two-venues; make one with: pytest --tape-record" in missing.stdout
    recorded = run(*pytest_run, "--tape-record", cwd=tmp_path)
    assert recorded.returncode == 0, recorded.stdout + recorded.stderr
    assert "recorded cassettes/two-venues" in recorded.stdout
    kept = {path.name: path.read_bytes() for path in (tmp_path / "cassettes" / "two-venues").iterdir()}
    assert sorted(kept) == [
        "events.jsonl", "frames.tape", "http.yaml", "instruments.json.gz", "orders.jsonl", "origin.json",
    ]  # fmt: skip
    assert kept["orders.jsonl"] == b'{"side":"buy","price":"95000"}\n'
    (tmp_path / "conftest.py").write_text(WITHOUT_VENUES)
    replayed = run(*pytest_run, cwd=tmp_path)
    assert replayed.returncode == 0, replayed.stdout + replayed.stderr
    assert "1 passed" in replayed.stdout
    assert kept == {path.name: path.read_bytes() for path in (tmp_path / "cassettes" / "two-venues").iterdir()}
    (tmp_path / "test_mine.py").write_text(STRANGER.replace('price="95000"', 'price="95001"'))
    changed = run(*pytest_run, cwd=tmp_path)
    assert changed.returncode == 1
    assert "was not recorded" in changed.stdout
