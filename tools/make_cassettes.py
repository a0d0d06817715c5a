"""Makes the sessions under cassettes/: real feeds against simulated venues, in virtual time, from a fixed seed.

    python tools/make_cassettes.py            every venue that has a simulator
    python tools/make_cassettes.py binance    one venue

One tape per venue holds all its markets on one timeline: cassettes/<venue>/demo.tape.

Nothing of it comes from outside: the simulator makes the market, the feed asks, the recorder tapes what happens. The
same code and seed give the same records again.
"""

from __future__ import annotations

import sys
from collections import deque
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit

import msgspec
from notes import write_note

from unitape.feed.core import FeedCore
from unitape.feed.inputs import (
    Close,
    Closed,
    Connect,
    Fetch,
    Frame,
    Input,
    Opened,
    Ping,
    Response,
    Send,
    Subscribe,
    Tick,
)
from unitape.feed.options import FeedOptions
from unitape.registry import load_venue, venue_names
from unitape.sim.build import SimSettings, make_host
from unitape.sim.host import Cut
from unitape.spi import HttpResponse, Instruments, Market, Venue
from unitape.spi.simulation import Binary, CloseFrame, Text
from unitape.spi.simulation import Ping as SimPing
from unitape.tape.format import FeedHeader
from unitape.tape.record import Recorder
from unitape_schemas import Channel, Subscription

FOLDER = Path(__file__).resolve().parents[1] / "cassettes"
START = 1_793_923_200_000_000_000
SEED = 20_261_121
SECONDS = 20
STEP = 10_000_000
ANSWER_AFTER = 40_000_000
COINS = ("BTC", "ETH")
CHANNELS: tuple[Channel, ...] = ("trades", "book", "quotes", "mark_price", "funding")


class ManualClock:
    """Time that moves when it is told to."""

    def __init__(self) -> None:
        self.now = 0

    def wall(self) -> int:
        """Nanoseconds since the epoch."""
        return START + self.now

    def mono(self) -> int:
        """Nanoseconds since the start."""
        return self.now


class Session:
    """Drives one market's feed against its simulated venue, and tapes both."""

    def __init__(self, venue: Venue, market: Market, recorder: Recorder, clock: ManualClock) -> None:
        self.clock = clock
        label = f"{venue.name}/{market.name}"
        settings = SimSettings(seed=SEED, symbols=COINS, rate=25.0, markets=(label,))
        self.host = make_host(venue, market, settings, self.clock)
        self.endpoint = market.endpoints["live"]
        query = market.rest(Instruments()).instruments()
        answer = self.host.http(query.request).response
        assert answer is not None
        listed = query.read(answer, START)
        self.symbols = [row.symbol for row in listed if row.kind in {"spot", "linear"} and row.status == "trading"]
        options = FeedOptions()
        header = FeedHeader(
            venue.name,
            market.name,
            START,
            environment="sim",
            versions={"unitape": version("unitape")},
            instruments=listed,
            options=msgspec.to_builtins(options),
        )
        self.market = market
        self.core = FeedCore(market, Instruments(listed), options)
        self.tap = recorder.feed(header)
        self.conns: dict[int, int] = {}
        self.due: deque[tuple[int, int, HttpResponse]] = deque()

    def begin(self) -> None:
        """Ask for everything."""
        wanted = [
            Subscription(channel, symbol)
            for symbol in self.symbols
            for channel in CHANNELS
            if channel in self.market.channels
        ]
        self.put(Subscribe(*self.now, tuple(wanted)))

    def step(self) -> None:
        """Let what is due by now happen."""
        if self.clock.now % 1_000_000_000 == 0:
            self.put(Tick(*self.now))
        while self.due and self.due[0][0] <= self.clock.now:
            _, fetch, response = self.due.popleft()
            self.put(Response(*self.now, fetch, response))
        self.host.step()
        self.deliver()

    @property
    def now(self) -> tuple[int, int]:
        """Both clocks."""
        return self.clock.wall(), self.clock.mono()

    def put(self, item: Input) -> None:
        """Give the feed an input, and do what it asks for."""
        self.tap.tap(item)
        self.core.apply(item)
        while self.core.commands:
            command = self.core.commands.pop(0)
            self.tap.on_command(command)
            self.do(command)
        self.core.verdicts()

    def do(self, command: object) -> None:
        """Do what the feed asked for."""
        match command:
            case Connect(conn=conn, route=route):
                parts = urlsplit(self.endpoint.ws[route])
                opened = self.host.open(
                    f"{parts.path or '/'}" + (f"?{parts.query}" if parts.query else ""), self.endpoint.headers
                )
                assert isinstance(opened, int), opened
                self.conns[opened] = conn
                self.put(Opened(*self.now, conn))
            case Send(conn=conn, data=data, text=text):
                line = next(line for line, number in self.conns.items() if number == conn)
                self.host.frame(line, data, text=text)
            case Fetch(fetch=fetch, request=request, delay=delay):
                reply = self.host.http(
                    msgspec.structs.replace(request, headers=self.endpoint.headers + request.headers)
                )
                assert reply.response is not None
                at = self.clock.now + ANSWER_AFTER + int((delay + reply.seconds) * 1e9)
                self.due.append((at, fetch, reply.response))
            case Close(conn=conn):
                self.conns = {line: number for line, number in self.conns.items() if number != conn}
            case _:
                raise AssertionError(command)

    def deliver(self) -> None:
        """Give the feed what the venue sent."""
        for item in self.host.take():
            conn = self.conns.get(item.conn)
            if conn is None:
                continue
            match item:
                case Text(data=data):
                    self.put(Frame(*self.now, conn, data))
                case Binary(data=data):
                    self.put(Frame(*self.now, conn, data, text=False))
                case SimPing(data=data):
                    self.host.pong(item.conn, data)
                    self.put(Ping(*self.now, conn))
                case CloseFrame() | Cut():
                    self.put(Closed(*self.now, conn, "closed by the peer"))


def note(venue: Venue) -> None:
    """Say beside a tape where it came from."""
    markets = " and ".join(market.name for market in venue.markets)
    coins = " and ".join(COINS)
    write_note(
        FOLDER / venue.name / "demo.tape",
        source=f"the simulator of {venue.title}",
        holds=f"{SECONDS} seconds of {markets}, {coins} each: {', '.join(CHANNELS)}, where the market has them",
        seed=SEED,
        start="2026-11-06 00:00:00 UTC",
        command=f"python tools/make_cassettes.py {venue.name}",
    )


def main(names: list[str]) -> None:
    """Make the tapes of these venues; none named: of all that have a simulator."""
    for name in names or venue_names():
        venue = load_venue(name)
        if venue.simulator is None or find_spec(venue.simulator.partition(":")[0]) is None:
            continue
        path = FOLDER / venue.name / "demo.tape"
        path.parent.mkdir(parents=True, exist_ok=True)
        clock = ManualClock()
        with Recorder(path, overwrite=True, level=9) as recorder:
            sessions = [Session(venue, market, recorder, clock) for market in venue.markets]
            for session in sessions:
                session.begin()
            while clock.now < SECONDS * 1_000_000_000:
                clock.now += STEP
                for session in sessions:
                    session.step()
        note(venue)
        print(f"{path.relative_to(FOLDER.parent)}: {recorder.records} records, {path.stat().st_size} bytes")


if __name__ == "__main__":
    main(sys.argv[1:])
