"""Tapes: what recording costs per frame, how large it is, and replay beside the same inputs fed from memory."""

from __future__ import annotations

import gc
import json
import random
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from bench.harness import Row, interleaved, ratio
from bench.loopback_server import LEVELS, last_update, payload
from bench.wire_binance import quote
from unitape.feed.core import FeedCore
from unitape.feed.inputs import Command, Connect, Fetch, Frame, Input, Opened, Response, Subscribe
from unitape.registry import load_venue
from unitape.spi import HttpResponse, Instruments
from unitape.tape import FeedHeader, FeedTap, Recorder, Replay, Tape
from unitape_schemas import Subscription

VENUE, SYMBOL = "binance", "BTC/USDT"
START, STEP = 1_793_923_200_000_000_000, 200_000
MIX = "tqtqqtqtbq"
"""Trades, quotes and one change of a book in ten messages."""
REPLAY_LIMIT = 2.0
"""Reading, checking and decoding a tape may cost at most as much again as the feed itself."""
TOLERANCE = 1.15

MARKET = load_venue(VENUE).market("spot")
SUBSCRIPTIONS = tuple(Subscription(channel, SYMBOL) for channel in ("trades", "quotes", "book"))


def fresh() -> FeedCore:
    return FeedCore(MARKET, Instruments(MARKET.catalogue))


def _snapshot() -> HttpResponse:
    sides = {
        name: [[f"{65_000 + sign * 0.01 * (tick + 1):.8f}", "1.00000000"] for tick in range(LEVELS)]
        for name, sign in (("bids", -1), ("asks", 1))
    }
    body = json.dumps({"lastUpdateId": last_update(0), **sides}).encode()
    return HttpResponse(200, body)


def session(frames: int) -> list[Input | Command]:
    """Return everything that happens to a feed of one symbol, and what it asks for, in order."""
    core = fresh()
    happened: list[Input | Command] = []
    now = 0

    def put(kind: Callable[..., Input], *values: object) -> list[Command]:
        nonlocal now
        now += STEP
        item = kind(START + now, now, *values)
        happened.append(item)
        core.apply(item)
        commands = list(core.commands)
        core.commands.clear()
        happened.extend(commands)
        return commands

    conn = next(c.conn for c in put(Subscribe, SUBSCRIPTIONS) if isinstance(c, Connect))
    put(Opened, conn)
    put(Frame, conn, b'{"result":null,"id":1}', True)
    rng = random.Random("tape")
    sent = {"t": 0, "q": 0, "b": 0}
    for number in range(frames):
        letter = MIX[number % len(MIX)]
        turn = sent[letter]
        sent[letter] += 1
        if letter == "q":
            data = f'{{"stream":"btcusdt@bookTicker","data":{quote(rng, turn, 65_000.0)}}}'.encode()
        else:
            data = payload("trades" if letter == "t" else "book", turn, rng)
        for command in put(Frame, conn, data, True):
            if isinstance(command, Fetch):
                put(Response, command.fetch, _snapshot())
    return happened


def record(happened: list[Input | Command], path: Path) -> tuple[float, int]:
    """Write a tape; return microseconds of CPU per record and the bytes of the file."""
    header = FeedHeader(VENUE, "spot", START, instruments=list(MARKET.catalogue))
    with Recorder(path, overwrite=True) as recorder:
        tap: FeedTap = recorder.feed(header)
        started = time.process_time_ns()
        for item in happened:
            if isinstance(item, Input):
                tap.tap(item)
            else:
                tap.on_command(item)
        recorder.flush()
        spent = time.process_time_ns() - started
    return spent / len(happened) / 1000, path.stat().st_size


def run(quick: bool = False) -> list[Row]:
    """Measure recording and replaying."""
    frames = 4_000 if quick else 20_000
    rounds = 3 if quick else 9
    happened = session(frames)
    inputs = [item for item in happened if isinstance(item, Input)]
    messages = sum(len(item.data) for item in inputs if isinstance(item, Frame))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "bench.tape"
        gc.collect()
        cost, size = min(record(happened, path) for _ in range(rounds))
        expected = sum(len(fed) for fed in _feed(inputs))
        events = sum(1 for _ in Replay(Tape(path)).events())
        if events != expected or events < frames:
            raise SystemExit(f"the tape gives {events} events, its inputs {expected}")

        def replayed() -> None:
            for _ in Replay(Tape(path)).events():
                pass

        def direct() -> None:
            for _ in _feed(inputs):
                pass

        def opened() -> None:
            Tape(path)

        timings = interleaved({"replay": replayed, "feed": direct, "open": opened}, calls=1, rounds=rounds)
    best, middle = ratio(timings["replay"], timings["feed"])
    replay, feed = timings["replay"].best / events, timings["feed"].best / events
    return [
        Row("record", cost, "us/record", f"CPU; {frames:,} frames of {messages / frames:.0f} bytes"),
        Row("size", size / events, "bytes/event", f"{messages / size:.1f} times smaller than the messages"),
        Row("open and check", timings["open"].best / 1000, "ms", f"CPU, {size / 1e6:.1f} MB"),
        Row("replay", 1e6 / replay, "events/s", f"{replay:.2f} us an event; from memory {feed:.2f}"),
        Row(
            "replay, of the feed itself",
            best,
            "x feed",
            f"median {middle:.2f}; reads, checks and decodes the tape besides",
            REPLAY_LIMIT * TOLERANCE,
        ),
    ]


def _feed(inputs: list[Input]):
    core = fresh()
    for item in inputs:
        yield core.apply(item)
        core.commands.clear()
