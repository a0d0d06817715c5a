"""One recorded test: its folder, its adapters, its clock, and what it expects."""

from __future__ import annotations

import glob
import os
import random
import shutil
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final, Literal, TypeVar
from urllib.parse import quote

import anyio
import msgspec
from anyio.abc import TaskGroup, TaskStatus
from msgspec import Struct

from unitape.adapter import VenueAdapter
from unitape.clock import Clock, LoopClock, SystemClock
from unitape.errors import ConfigError, NotRecorded, TapeError
from unitape.registry import load_venue
from unitape.sim import DEMO_USER, SimServer, SimSettings
from unitape.spi import Credentials, Venue
from unitape.tape.format import FeedHeader
from unitape.tape.player import Replay, recorded_market
from unitape.tape.record import Recorder
from unitape.tape.redact import Redactor
from unitape.tape.tape import Tape
from unitape.testing.account import ACCOUNT, AccountKeeper, AccountPlayer
from unitape.testing.adapters import PlayedAdapter, Playing, Recording, RecordingAdapter, VenueOrigin
from unitape.testing.diff import Json, compare
from unitape.testing.files import (
    EVENTS,
    HTTP,
    LISTINGS,
    ORIGIN,
    TAPE,
    Origin,
    contents,
    read_lines,
    shown,
    without,
    write_lines,
)
from unitape.testing.http import HttpKeeper, HttpPlayer
from unitape.testing.network import no_network
from unitape.testing.virtual import run_virtual, virtual_clock
from unitape.trade.secrets import load_credentials

__all__ = ["Origin", "Scenario", "ScenarioSettings", "Source"]

T = TypeVar("T")

Source = Literal["sim", "live"]

PLAYED: Final = (TAPE, HTTP, LISTINGS, f"{ACCOUNT}.jsonl")
"""The files that a replay plays, beside those that say what is expected."""
LIBRARIES: Final = ("unitape", "msgspec", "anyio")
SHORTEST_SECRET: Final = 4
ABANDONED_AFTER: Final = 86_400
"""Seconds after which what a killed recording has left behind is removed."""
RECORD: Final = "pytest --tape-record"
RERECORD: Final = "pytest --tape-rerecord"
UPDATE: Final = "pytest --tape-update"


class ScenarioSettings(Struct, frozen=True):
    """How a test is recorded and replayed."""

    source: Source = "sim"
    """Where it is recorded from, when the test does not name endpoints itself."""
    sim: SimSettings = SimSettings()
    """The simulation, where that is the source."""
    secrets: tuple[str, ...] = ()
    """Values to remove wherever they stand, beside the credentials."""
    ignore: tuple[str, ...] = ()
    """Parameters and fields of requests that are not compared, beside times and signatures."""
    events: bool = True
    """Hold every event of the tape against ``events.jsonl``."""
    patience: float = 60.0
    """Virtual seconds that a replay may run longer than the recording did."""


class Scenario:
    """The fixture ``tape``: makes the adapters of a test, recording or replaying.

    ``recording`` tells which; ``clock`` is the clock of its adapters, for whatever else needs one. In a replay it
    begins at the moment when the recording began.
    """

    def __init__(
        self,
        folder: Path,
        *,
        recording: bool = False,
        settings: ScenarioSettings | None = None,
        update: bool = False,
        test: str = "",
        market: Callable[[FeedHeader], Any] = recorded_market,
    ) -> None:
        """Prepare a test whose recording is, or will be, in ``folder``.

        Raises:
            NotRecorded: there is no recording to replay.
            TapeError: it cannot be read.
        """
        self.folder = folder
        self.recording = recording
        self.settings = settings or ScenarioSettings()
        self.report: list[str] = []
        """What was written, in words."""
        self.missing: list[str] = []
        """What a replay was asked for that is not in the recording."""
        self._update = update
        self._test = test
        self._market = market
        self._values: dict[str, list[Json]] = {}
        self._changed: list[str] = []
        self._secrets: set[str] = set(self.settings.secrets)
        self._adapters: list[RecordingAdapter] = []
        self._made: Counter[str] = Counter()
        self._virtual: Any = None
        self.clock: Clock
        if recording:
            self._begin_recording()
        else:
            self._begin_replay()

    def _begin_recording(self) -> None:
        self.clock = SystemClock()
        self._start = self.clock.wall()
        self._seed = random.SystemRandom().randrange(1 << 32)
        # Another process may be recording the same: each has its own place until it is done.
        self._work = self.folder.with_name(f".{self.folder.name}.recording-{os.getpid()}")
        for left in self.folder.parent.glob(f".{glob.escape(self.folder.name)}.recording-*"):
            if left == self._work or time.time() - left.stat().st_mtime > ABANDONED_AFTER:
                shutil.rmtree(left, ignore_errors=True)
        self._work.mkdir(parents=True)
        self._keeper = HttpKeeper(self.clock)
        self._accounts = AccountKeeper(self.clock)
        self._room: _Room | None = None
        self._redactor = Redactor(self._secrets)
        self._recorder = Recorder(self._work / TAPE, redactor=_Late(lambda: self._redactor), level=9)

    def _begin_replay(self) -> None:
        path = self.folder / ORIGIN
        if not path.exists():
            raise NotRecorded(f"there is no recording in {shown(self.folder)}; make one with: {RECORD}")
        try:
            self._origin = msgspec.json.decode(path.read_bytes(), type=Origin)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise TapeError(f"{shown(path)} cannot be read: {error}") from error
        lost = [name for name in self._origin.files if not (self.folder / name).exists()]
        if lost:
            raise TapeError(
                f"{', '.join(lost)} of the recording {shown(self.folder)} is missing: put it back, or record the test "
                f"anew: {RERECORD}"
            )
        self.clock = LoopClock(self._origin.start)
        tape = self.folder / TAPE
        self._tape = _whole(tape) if tape.exists() else None
        start, end = self._origin.start, self._origin.start + round(self._origin.seconds * 1e9)
        self._player = HttpPlayer(self.folder / HTTP, self.folder / LISTINGS, self.settings.ignore, (start, end))
        self._played = AccountPlayer(AccountPlayer.read(self.folder / f"{ACCOUNT}.jsonl"), self.clock)

    # What a test uses

    def adapter(self, venue: str | Venue, **settings: Any) -> VenueAdapter:
        """Return an adapter of a venue, by name or by declaration; the settings are those of ``VenueAdapter``.

        While recording it is live: against the simulator unless the source says otherwise or ``endpoints`` are given.
        In a replay it plays, and settings that say where and how to connect have no meaning.

        Raises:
            ConfigError: no such venue is installed, or it has no simulator to record from.
            NotRecorded: the recording holds nothing of this venue.
        """
        declaration = load_venue(venue) if isinstance(venue, str) else venue
        taken = {"clock", "record"} & settings.keys()
        if taken:
            raise ConfigError(f"{', '.join(sorted(taken))} of a recorded adapter is the recording's own")
        if self.recording:
            return self._recording(declaration, settings)
        origin = self._next_origin(declaration.name)
        return PlayedAdapter(
            Playing(
                self._tape,
                self._player,
                self._played,
                self.clock,
                self._begin,
                (self._origin.start, self._origin.seed),
                self._lacks,
                self._market,
            ),
            declaration,
            origin,
            settings,
        )

    def run(self, function: Callable[..., Awaitable[T]], /, *args: Any, **named: Any) -> T:
        """Run an async function: on asyncio while recording, on trio under virtual time in a replay."""
        if self.recording:
            return anyio.run(self._live, function, args, named)
        if self._virtual is None:
            self._virtual = virtual_clock()
        guarded: Callable[..., Awaitable[T]] = self._guarded
        return run_virtual(guarded, function, args, named, seed=self._origin.seed, clock=self._virtual)

    def expect(self, name: str, records: Iterable[object], *, ignore: Iterable[str] = ("ts_recv",)) -> None:
        """Hold a list of your own against ``<name>.jsonl``: signals, orders, decisions; structs or plain data.

        Fields named in ``ignore`` are left out: when an answer arrived is never the same twice. While recording, and
        with ``--tape-update``, the file is written instead.

        Raises:
            AssertionError: they differ; the text says where, field by field.
            ConfigError: the name is taken or no file name.
        """
        if name in self._values or name in (EVENTS, ACCOUNT) or quote(name, safe="") != name:
            raise ConfigError(f"{name!r} cannot name a list of expected records here; choose another plain word")
        found: list[Json] = [msgspec.to_builtins(record) for record in records]
        # Written and read once, so that both sides are what JSON makes of them.
        found = [without(record, frozenset(ignore)) for record in msgspec.json.decode(msgspec.json.encode(found))]
        self._values[name] = found
        if self.recording:
            return
        problem = self._compare(name, found)
        if problem:
            raise AssertionError(problem)

    @property
    def unplayed(self) -> list[str]:
        """The recorded HTTP requests that a replay has not made yet; nothing while recording."""
        return [] if self.recording else self._player.unplayed

    # What the plugin uses

    @contextmanager
    def offline(self) -> Generator[None]:
        """Refuse the network while a replay runs; while recording do nothing."""
        if self.recording:
            yield
            return
        with no_network(lambda what: self._lacks(f"{what} was asked for: replays have no network")):
            yield

    def require_test(self, name: str) -> None:
        """Make sure that the recording is this test's.

        Raises:
            TapeError: a test of another name made it; both names give the same folder.
        """
        recorded = self._origin.test.rpartition("::")[2]
        if recorded != name:
            raise TapeError(
                f"{shown(self.folder)} was recorded by {recorded}, and this is {name}: both names make one folder; "
                'give the mark a name, as in @pytest.mark.tape("a-name")'
            )

    def finish(self) -> None:
        """Keep the recording, or hold what was replayed against what is expected.

        Raises:
            AssertionError: an event differs, or something was asked for that was not recorded.
            ConfigError: the recording holds a secret; it is not kept.
            OSError: it could not be written.
        """
        if self.recording:
            self._keep()
            return
        problems = [self.asked_for()] if self.missing else []
        if self.settings.events and self._tape is not None:
            problems.append(self._check_events(self._tape))
        problems = [problem for problem in problems if problem]
        if problems:
            raise AssertionError("\n".join(problems))
        if self._changed:
            self.report.append(f"updated in {shown(self.folder)}: {', '.join(self._changed)}")

    def asked_for(self) -> str:
        """Return in words what was asked for and is not in the recording; empty where everything was."""
        if not self.missing:
            return ""
        lines = [f"asked for what is not in the recording {shown(self.folder)}:"]
        for text, count in {text: self.missing.count(text) for text in self.missing}.items():
            lines.append("  " + text.replace("\n", "\n  ") + (f" ({count} times)" if count > 1 else ""))
        lines.append(f"if the test is right, record it anew: {RERECORD}")
        return "\n".join(lines)

    def abandon(self) -> None:
        """Throw away what a failed test has recorded. Again, or after ``finish``: nothing."""
        if self.recording and self._work.exists():
            self._close()
            shutil.rmtree(self._work, ignore_errors=True)

    # Recording

    def _recording(self, declaration: Venue, settings: dict[str, Any]) -> RecordingAdapter:
        simulated = self.settings.source == "sim" and "endpoints" not in settings
        for credentials in self._known_credentials(declaration, settings, simulated):
            self._secrets.update(credentials.hidden())
        self._redactor = Redactor(self._secrets)
        to = Recording(
            self._recorder,
            self._keeper,
            self._accounts,
            self.clock,
            self._begin,
            (self._start, self._seed),
            self.settings.sim if self.settings.source == "sim" else None,
            self._simulator,
        )
        adapter = RecordingAdapter(to, declaration, settings)
        self._adapters.append(adapter)
        return adapter

    async def _live(self, function: Callable[..., Awaitable[T]], args: Sequence[Any], named: dict[str, Any]) -> T:
        """Run, with room for the simulators that the adapters share."""
        given: list[T] = []
        try:
            async with anyio.create_task_group() as tasks:
                self._room = _Room(tasks)
                try:
                    given.append(await function(*args, **named))
                finally:
                    self._room = None
                    tasks.cancel_scope.cancel()
        except BaseExceptionGroup as group:
            # What the test raised leaves as it was.
            if len(group.exceptions) == 1:
                raise group.exceptions[0] from None
            raise
        return given[0]

    async def _simulator(self, venue: Venue, settings: SimSettings) -> SimServer | None:
        room = self._room
        if room is None:
            return None
        async with room.lock:
            if venue.name not in room.simulators:
                room.simulators[venue.name] = await room.tasks.start(self._serve, venue, settings)
        return room.simulators[venue.name]

    @staticmethod
    async def _serve(venue: Venue, settings: SimSettings, *, task_status: TaskStatus[SimServer]) -> None:
        async with SimServer([venue], settings) as server:
            task_status.started(server)
            await anyio.sleep_forever()

    @staticmethod
    def _known_credentials(declaration: Venue, settings: dict[str, Any], simulated: bool) -> Iterator[Credentials]:
        given = settings.get("credentials")
        if isinstance(given, Credentials):
            yield given
        elif simulated:
            yield Credentials(DEMO_USER.key, DEMO_USER.secret, DEMO_USER.passphrase)
        else:
            found = load_credentials(declaration.name)
            if found is not None:
                yield found

    def _keep(self) -> None:
        """Write everything, make sure that no secret is in it, and put it in its place."""
        self._close()
        if self._recorder.failure is not None:
            raise self._recorder.failure
        work = self._work
        tape = Tape(work / TAPE)
        if tape.feeds:
            # The events file is what the tape gives, so that it does not hang on when the test let go.
            if self.settings.events:
                write_lines(work / f"{EVENTS}.jsonl", self._replayed(tape)[0])
        else:
            (work / TAPE).unlink()
        self._keeper.write(work / HTTP, work / LISTINGS, self._redactor)
        self._accounts.write(work / f"{ACCOUNT}.jsonl", self._redactor)
        for name, values in self._values.items():
            write_lines(work / f"{name}.jsonl", values)
        origin = Origin(
            self._test,
            datetime.fromtimestamp(self._start / 1e9, UTC).strftime("%Y-%m-%d %H:%M:%S UTC"),
            "sim" if all(one.origin.environment == "sim" for one in self._adapters) else "live",
            round((self.clock.wall() - self._start) / 1e9, 3),
            self._start,
            self._seed,
            [one.origin for one in self._adapters],
            {name: version(name) for name in LIBRARIES},
            [name for name in PLAYED if (work / name).exists()],
        )
        (work / ORIGIN).write_bytes(msgspec.json.format(msgspec.json.encode(origin), indent=2) + b"\n")
        self._check_secrets()
        self._put_in_place()
        size = sum(path.stat().st_size for path in self.folder.iterdir() if path.is_file())
        self.report.append(
            f"recorded {shown(self.folder)}: {tape.records_count} records of {len(tape.feeds)} feeds, "
            f"{len(self._keeper.exchanges)} HTTP exchanges, {size:,} bytes"
        )

    def _close(self) -> None:
        try:
            self._recorder.close()
        except OSError:
            # ``failure`` keeps it.
            return

    def _check_secrets(self) -> None:
        forms = {
            spelling.encode()
            for secret in self._secrets
            if len(secret) >= SHORTEST_SECRET
            for spelling in (secret, quote(secret, safe=""), secret.replace("\n", "\\n"))
        }
        for path in sorted(self._work.iterdir()):
            if any(form in data for data in contents(path) for form in forms):
                raise ConfigError(
                    f"{path.name} of this recording would hold a secret, so the recording is not kept; name the "
                    "place it comes from to the redactor, or do not ask for it in the test"
                )

    def _put_in_place(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        new = {path.name for path in self._work.iterdir()}
        for old in self.folder.iterdir():
            # Whatever else lies there, a note for example, is not ours.
            ours = old.name in (TAPE, HTTP, LISTINGS, ORIGIN) or old.suffix == ".jsonl"
            if old.is_file() and ours and old.name not in new:
                old.unlink()
        # Without its origin a recording does not count, so one that is interrupted here is none.
        (self.folder / ORIGIN).unlink(missing_ok=True)
        for name in sorted(new, key=lambda name: (name == ORIGIN, name)):
            (self._work / name).replace(self.folder / name)
        self._work.rmdir()

    # Replaying

    def _next_origin(self, venue: str) -> VenueOrigin:
        """Return where the next adapter of a venue was recorded: a test makes them in the same order every time."""
        recorded = [one for one in self._origin.venues if one.venue == venue]
        if not recorded:
            held = ", ".join(dict.fromkeys(one.venue for one in self._origin.venues)) or "no venue"
            raise self._lacks(f"nothing of {venue} was recorded, only {held}")
        made = self._made[venue]
        if made >= len(recorded):
            raise self._lacks(f"adapter {made + 1} of {venue} was not recorded, only {len(recorded)} of them")
        self._made[venue] += 1
        return recorded[made]

    def _lacks(self, text: str) -> NotRecorded:
        self.missing.append(text)
        return NotRecorded(text)

    def _begin(self) -> None:
        """Let time begin, at the first of everything that needs it."""
        self.clock.mono()

    async def _guarded(self, function: Callable[..., Awaitable[T]], args: Sequence[Any], named: dict[str, Any]) -> T:
        """Run, and end a test that waits for what the recording does not bring: virtual time would stand still."""
        self._begin()
        limit = self._origin.seconds + self.settings.patience
        with anyio.move_on_after(limit):
            return await function(*args, **named)
        raise self._lacks(
            f"the test still waits after {limit:.0f} s; its recording took {self._origin.seconds:.1f} s. What it waits "
            "for is not in the recording"
        )

    def _check_events(self, tape: Tape) -> str:
        found, divergence = self._replayed(tape)
        # Both sides as JSON has them.
        problem = self._compare(EVENTS, msgspec.json.decode(msgspec.json.encode(found)))
        if divergence and not self._update:
            problem += ("\n" if problem else "") + (
                f"the feed now asks the venue for something else than when it was recorded:\n{divergence}\n"
                f"what the venue would answer is not in the recording; record it anew: {RERECORD}"
            )
        return problem

    def _replayed(self, tape: Tape) -> tuple[list[Json], str]:
        """Return every event of a tape, and where its feeds ask for something else than was recorded."""
        replay = Replay(tape, market=self._market)
        events = [msgspec.to_builtins(event) for event in replay.events()]
        diverged = replay.divergence
        if diverged is None:
            return events, ""
        return events, f"  recorded: {diverged.recorded}\n  now:      {diverged.replayed}"

    def _compare(self, name: str, found: list[Json]) -> str:
        """Return how these differ from the file; with ``--tape-update`` write the file instead."""
        path = self.folder / f"{name}.jsonl"
        if not path.exists():
            lines = [f"{len(found)} records, and no file to hold them against"]
        else:
            lines = compare(read_lines(path), found)
        if not lines:
            return ""
        if self._update:
            write_lines(path, found)
            self._changed.append(f"{path.name} ({lines[0]})")
            return ""
        text = "\n".join(f"  {line}" for line in lines)
        return f"{shown(path)} differs:\n{text}\nif the new ones are right, take them: {UPDATE}"


def _whole(path: Path) -> Tape:
    """Open a tape that was finished.

    Raises:
        TapeError: it is damaged, or was cut off.
    """
    try:
        tape = Tape(path)
    except TapeError as error:
        raise TapeError(f"{shown(path)}: {error}") from error
    if tape.truncated_at is not None:
        raise TapeError(f"{shown(path)} was cut off at byte {tape.truncated_at}: put it back, or record it anew")
    return tape


class _Room:
    """Where the simulators of a test run, from their first use to its end."""

    def __init__(self, tasks: TaskGroup) -> None:
        self.tasks = tasks
        self.lock = anyio.Lock()
        self.simulators: dict[str, SimServer] = {}


class _Late(Redactor):
    """Redacts by what is known at the moment: credentials come with the adapters."""

    def __init__(self, current: Callable[[], Redactor]) -> None:
        super().__init__()
        self._current = current

    def record(self, record: Any) -> Any:
        """Return the record without secrets."""
        return self._current().record(record)
