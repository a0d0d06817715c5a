"""The pytest plugin: the mark and the fixture ``tape``, and the options that record.

Loaded by pytest in every run, so it imports the library only when a test uses it.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Generator
from contextlib import ExitStack
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

if TYPE_CHECKING:
    from unitape.testing.scenario import Scenario

__all__ = ["tape"]

MARK: Final = "tape(name=None, *, source, sim, secrets, ignore, events, patience)"
HELP: Final = (
    f"{MARK}: record the venues of this test once and replay them; see the page on recorded tests. "
    "name: the recording's folder, the test's own name by default"
)
DEFAULT_FOLDER: Final = "cassettes"
PROPERTY: Final = "tape"
LONGEST: Final = 120
"""Letters of a folder's name; what is longer keeps its beginning and a checksum."""
DEVICES: Final = frozenset(
    ("con", "prn", "aux", "nul", *(f"{port}{number}" for port in ("com", "lpt") for number in range(1, 10)))
)
"""Names that some systems keep for devices."""

_SCENARIO = pytest.StashKey["Scenario"]()

pytest.register_assert_rewrite("unitape.testing.conformance")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare the options."""
    group = parser.getgroup("unitape", "recorded venues (unitape)")
    group.addoption("--tape-record", action="store_true", help="record the tests that have no recording yet")
    group.addoption("--tape-rerecord", action="store_true", help="record every selected test with a tape anew")
    group.addoption(
        "--tape-update", action="store_true", help="take what replays give now as what is expected from now on"
    )
    group.addoption(
        "--tape-source",
        choices=("sim", "live"),
        help="where to record from, whatever the tests say: the simulators, or the venues themselves. LIVE ORDERS ARE "
        "REAL ORDERS",
    )
    parser.addini("tape_dir", "folder of the recordings, from the root; beside each test file by default")


def pytest_configure(config: pytest.Config) -> None:
    """Declare the mark."""
    config.addinivalue_line("markers", HELP)
    if config.getoption("--tape-update") and _records(config):
        raise pytest.UsageError("--tape-update is for replays; a recording writes what is expected anyway")


def _records(config: pytest.Config) -> bool:
    return bool(config.getoption("--tape-record") or config.getoption("--tape-rerecord"))


@pytest.fixture
def tape(request: pytest.FixtureRequest) -> Generator[Scenario, None, None]:
    """The recording of this test; see ``unitape.testing.Scenario``."""
    from unitape.errors import UnitapeError

    node: Any = request.node  # pyright: ignore[reportUnknownVariableType, reportUnknownMemberType]
    try:
        scenario = _make(node, request.config)
    except UnitapeError as error:
        raise pytest.fail.Exception(str(error), pytrace=False) from None
    node.stash[_SCENARIO] = scenario
    with ExitStack() as stack:
        stack.enter_context(scenario.offline())
        stack.callback(scenario.abandon)
        yield scenario


def _make(node: pytest.Item, config: pytest.Config) -> Scenario:
    from unitape.testing.scenario import Scenario, ScenarioSettings

    mark = node.get_closest_marker("tape")
    named: dict[str, Any] = dict(mark.kwargs) if mark is not None else {}
    names = [*(mark.args if mark is not None else ()), *([named.pop("name")] if "name" in named else [])]
    known = set(ScenarioSettings.__struct_fields__)
    if len(names) > 1 or named.keys() - known or not all(isinstance(name, str) and name for name in names):
        raise pytest.UsageError(f"{node.nodeid}: the mark is {MARK}")
    if config.getoption("--tape-source"):
        named["source"] = config.getoption("--tape-source")
    settings = ScenarioSettings(**named)
    folder = _folder(node, config, names[0] if names else None)
    missing = not (folder / "origin.json").exists()
    recording = bool(config.getoption("--tape-rerecord") or (config.getoption("--tape-record") and missing))
    scenario = Scenario(
        folder,
        recording=recording,
        settings=settings,
        update=bool(config.getoption("--tape-update")),
        test=node.nodeid,
    )
    if not names and not recording:
        scenario.require_test(node.name)
    return scenario


def _folder(node: pytest.Item, config: pytest.Config, name: str | None) -> Path:
    chosen = str(config.getini("tape_dir") or "")
    base = config.rootpath / chosen if chosen else node.path.parent / DEFAULT_FOLDER
    if name is None:
        name = f"{node.path.stem}/{node.name}"
    parts = [_plain(part) for part in name.split("/")]
    if not all(part.strip(".") for part in parts):
        raise pytest.UsageError(f"{node.nodeid}: {name!r} does not name a folder within {base.name}")
    return base.joinpath(*parts)


def _plain(part: str) -> str:
    """Make a test's name, parameters and all, the name of a folder anywhere."""
    plain = "".join(letter if letter.isalnum() or letter in "-_.+=" else "-" for letter in part).strip("-")
    if plain.strip("."):
        plain = plain.rstrip(".")
    if plain.partition(".")[0].lower() in DEVICES:
        plain = f"-{plain}"
    if len(plain.encode()) > LONGEST:
        plain = f"{plain[: LONGEST // 4]}-{sha256(part.encode()).hexdigest()[:16]}"
    return plain


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Generator[None, object, object]:
    """Run an async test as its recording asks, and settle the recording with the test's outcome."""
    scenario = pyfuncitem.stash.get(_SCENARIO, None)
    if scenario is None:
        return (yield)
    test: Callable[..., Any] = pyfuncitem.obj
    if inspect.iscoroutinefunction(test):
        # A plain function from here on: no other plugin runs it on an event loop of its own.
        pyfuncitem.obj = partial(scenario.run, test)
    try:
        result = yield
    except BaseException as error:
        if scenario.missing:
            error.add_note(scenario.asked_for())
        if scenario.recording:
            error.add_note("the test failed, so its recording was not kept")
        raise
    finally:
        pyfuncitem.obj = test
    _settle(scenario)
    # Properties of the report: they reach the one who prints also from another process.
    pyfuncitem.user_properties.extend((PROPERTY, line) for line in scenario.report)
    return result


def _settle(scenario: Scenario) -> None:
    from unitape.errors import UnitapeError

    try:
        scenario.finish()
    except (AssertionError, UnitapeError, OSError) as error:
        failure = str(error)
    else:
        return
    raise pytest.fail.Exception(failure, pytrace=False)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Tell what was written."""
    reports = [report for found in terminalreporter.stats.values() for report in found]
    lines = [
        str(line)
        for report in reports
        if isinstance(report, pytest.TestReport) and report.when == "call"
        for name, line in report.user_properties
        if name == PROPERTY
    ]
    if lines:
        terminalreporter.section("tapes")
        for line in lines:
            terminalreporter.write_line(line)
