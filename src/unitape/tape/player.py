"""Plays a tape through the same pure feeds that ran when it was recorded."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Final

import msgspec
from msgspec import Struct

from unitape.errors import TapeError
from unitape.feed.core import FeedCore
from unitape.feed.inputs import Close, Command, Connect, Fetch, Input, Send
from unitape.feed.options import FeedOptions
from unitape.registry import load_venue
from unitape.spi import Instruments, Market
from unitape.tape.format import FeedHeader
from unitape.tape.redact import REDACTED
from unitape.tape.tape import Tape
from unitape_schemas import Event

__all__ = ["Divergence", "Replay", "Step", "recorded_market", "replay"]

WAITING: Final = 10_000
"""Commands of a replay that may wait to be met in the recording."""


class Step(Struct, frozen=True):
    """One input of a tape and the events it gave."""

    feed: int
    input: Input
    events: Sequence[Event]


class Divergence(Struct, frozen=True):
    """Where a replay first asked for something else than the recording did: the feed's code has changed since."""

    feed: int
    step: int
    recorded: str
    replayed: str


def recorded_market(header: FeedHeader) -> Market:
    """Return the installed market that a header names.

    Raises:
        ConfigError: it is not installed.
    """
    return load_venue(header.venue).market(header.market)


class Replay:
    """One pass over a tape. ``cores`` are its feeds by number, as far as the pass has come.

    ``divergence`` is the first command that differs from the recorded one, None as long as all agree.
    """

    def __init__(
        self,
        tape: Tape,
        *,
        market: Callable[[FeedHeader], Market] = recorded_market,
        feeds: Collection[int] | None = None,
    ) -> None:
        """Prepare a pass; ``feeds`` None plays all of them.

        Raises:
            ConfigError: a feed was recorded at a venue that is not installed.
        """
        self.tape = tape
        self.markets: dict[int, Market] = {}
        self.instruments: dict[int, Instruments] = {}
        self.cores: dict[int, FeedCore] = {}
        self.divergence: Divergence | None = None
        for feed, header in enumerate(tape.feeds):
            if feeds is None or feed in feeds:
                self.markets[feed] = market(header)
                self.instruments[feed] = Instruments(header.instruments)
                self.cores[feed] = FeedCore(self.markets[feed], self.instruments[feed], _options(header))
        self._due: dict[int, deque[Command]] = {feed: deque(maxlen=WAITING) for feed in self.cores}
        self._steps = 0

    def steps(self) -> Iterator[Step]:
        """Apply the tape's inputs one after the other."""
        declared = len(self.tape.feeds)
        for feed, record in self.tape.records():
            core = self.cores.get(feed)
            if core is None:
                if feed >= declared:
                    raise TapeError(f"a record names feed {feed}, which the tape does not declare")
                continue
            if isinstance(record, Connect | Send | Fetch | Close):
                self._compare(feed, record)
                continue
            events = core.apply(record)
            if core.commands:
                self._due[feed].extend(command for command in core.commands if isinstance(command, Send | Fetch))
                core.commands.clear()
            self._steps += 1
            yield Step(feed, record, events)

    def events(self) -> Iterator[Event]:
        """Yield every event of the tape, in order."""
        for step in self.steps():
            yield from step.events

    def _compare(self, feed: int, recorded: Connect | Send | Fetch | Close) -> None:
        """Look for a recorded command among those the replay has asked for and that were not recorded yet.

        A command is recorded when it is carried out, and pacing may change their order.
        """
        if not isinstance(recorded, Send | Fetch):
            return
        redacted = self.tape.feeds[feed].redacted
        due = self._due[feed]
        for command in due:
            if _same(recorded, command, redacted=redacted):
                due.remove(command)
                return
        if self.divergence is None:
            asked = ", ".join(repr(command) for command in due if type(command) is type(recorded)) or "nothing"
            self.divergence = Divergence(feed, self._steps, repr(recorded)[:200], asked[:200])


def replay(tape: Tape, *, market: Callable[[FeedHeader], Market] = recorded_market) -> Iterator[Event]:
    """Yield every event of a tape. The same tape gives the same events, byte for byte, every time.

    Raises:
        TapeError: the tape is damaged.
        ConfigError: it was recorded at a venue that is not installed.
    """
    return Replay(tape, market=market).events()


def _options(header: FeedHeader) -> FeedOptions:
    try:
        return msgspec.convert(header.options, FeedOptions)
    except msgspec.ValidationError as error:
        raise TapeError(f"the tape's feed settings cannot be used: {error}") from error


def _same(recorded: Send | Fetch, replayed: Command, *, redacted: bool) -> bool:
    """Compare two commands; in what was redacted only what cannot hold a secret."""
    if isinstance(recorded, Fetch):
        return isinstance(replayed, Fetch) and (
            (recorded.fetch, recorded.name, recorded.request.path)
            == (replayed.fetch, replayed.name, replayed.request.path)
            if redacted
            else recorded == replayed
        )
    if not isinstance(replayed, Send) or recorded.conn != replayed.conn:
        return False
    return recorded.data == replayed.data or (redacted and REDACTED.encode() in recorded.data)
