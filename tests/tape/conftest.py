"""A recorded session of the toy venue: a feed driven by hand, everything that happens taped."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.toy.pebble import MARKET
from unitape.feed.core import FeedCore
from unitape.feed.inputs import Closed, Connect, Frame, Opened, Subscribe, Tick
from unitape.spi import Instruments
from unitape.tape.format import FeedHeader
from unitape.tape.record import Recorder
from unitape_schemas import Event, Subscription

SECOND = 1_000_000_000
START = 1_723_075_200 * SECOND
TRADES = Subscription("trades", "BTC/EUR")
BOOK = Subscription("book", "BTC/EUR")


class Session:
    """Drives a feed by hand and tapes it; ``events`` is what the live feed gave."""

    def __init__(self, path: Path) -> None:
        self.core = FeedCore(MARKET, Instruments(MARKET.catalogue))
        self.recorder = Recorder(path)
        header = FeedHeader("pebble", "spot", START, instruments=list(MARKET.catalogue))
        self.tap = self.recorder.feed(header)
        self.events: list[Event] = []
        self.commands: list[object] = []
        self.mono = 0

    def put(self, kind, *values, after: float = 0.01) -> None:
        self.mono += int(after * SECOND)
        item = kind(START + self.mono, self.mono, *values)
        self.tap.tap(item)
        self.events += self.core.apply(item)
        for command in self.core.commands:
            self.tap.on_command(command)
            self.commands.append(command)
        self.core.commands.clear()

    def frames(self, *lines: str, after: float = 0.01) -> None:
        for line in lines:
            self.put(Frame, self.conn, line.encode(), after=after)

    @property
    def conn(self) -> int:
        return next(c.conn for c in reversed(self.commands) if isinstance(c, Connect))


def record(path: Path, *, trades: int = 40) -> Session:
    """Record a session with a book, trades, a gap, a lost connection and a second one."""
    session = Session(path)
    session.put(Subscribe, (TRADES, BOOK))
    session.put(Opened, session.conn)
    session.frames("OK 1", "OK 2", "I BTC-EUR 100 63000:5,62999:2 63001:7", "D BTC-EUR 101 63000:4 -")
    for number in range(trades):
        session.frames(f"T BTC-EUR {number} {1723075200 + number}.5 63001 {number % 9 + 1} B", after=0.05)
        session.put(Tick)
    session.frames("? 8", "D BTC-EUR 103 62999:0 -", "not a line of pebble", "I BTC-EUR 200 63000:5 63001:7")
    session.frames(f"T BTC-EUR {trades + 5} 1723075300.5 63001 1 S")
    session.put(Closed, session.conn, "reset by peer", 1006)
    for _ in range(5):
        session.put(Tick, after=1.0)
    session.put(Opened, session.conn)
    session.frames("OK 1", "OK 2", "I BTC-EUR 300 63010:5 63011:7", "D BTC-EUR 301 63010:6 63011:1")
    session.recorder.close()
    return session


@pytest.fixture
def taped(tmp_path):
    """Return a recorded session and the path of its tape."""
    path = tmp_path / "session.tape"
    return record(path), path
