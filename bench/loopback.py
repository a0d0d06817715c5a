"""End to end over loopback sockets, TCP and TLS: socket to event in the hands of ``async for``.

Three ways to take the same frames, in turn: the WebSocket library alone (frames counted), the library and a function
that knows the message type (typed decode and one struct; for the joined book the book kept, too), and the whole path
(adapter and router). The sender is another process, so that process CPU time is the receiver's. The garbage collector
runs, as it does in a program that uses the library.
"""

from __future__ import annotations

import asyncio
import gc
import importlib.util
import json
import ssl
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, Literal, NamedTuple

import anyio

from bench import loopback_bare
from bench.harness import Row, Timing, ratio
from bench.loopback_bare import Tally
from bench.loopback_server import FIRST_UPDATE, WARM_UP, last_update
from bench.wire_binance import MS, DepthIn, TopIn, TradeIn, _typed
from unitape.adapter import VenueAdapter
from unitape.books import OrderBook
from unitape.collector import calm_collector
from unitape.registry import load_venue
from unitape.router import Router
from unitape_schemas import BookDelta, BookSnapshot, Status, Subscription, TopBook, Trade

GOAL = 1.3
"""What the whole path should cost at most, as a multiple of library and typed decode."""
REACHED = {
    ("websockets", "trades"): 1.4,
    ("websockets", "top"): 1.5,
    ("websockets", "book"): 1.6,
    ("picows", "trades"): 1.7,
    ("picows", "top"): 1.55,
    ("picows", "book"): 1.65,
}
"""What it costs today: a check fails when it gets worse. To be lowered whenever the path gets faster."""
# The receiver's cost moves with how much each read of the socket brings, and that with what else the machine does.
TOLERANCE = 1.2
LATENCY_RATES = {1_000: 2_000, 5_000: 10_000, 20_000: 20_000}
"""Messages a second, and how many of them are sent."""
VENUE, SYMBOL = "binance", "BTC/USDT"
EVENTS = {"trades": Trade, "top": TopBook, "book": BookDelta}
WAIT = 30.0

Library = Literal["websockets", "picows"]
Loop = Literal["asyncio", "uvloop"]


class Setting(NamedTuple):
    """One way to connect."""

    library: Library
    loop: Loop
    secure: bool

    def __str__(self) -> str:
        return f"{self.library} {self.loop} {'TLS' if self.secure else 'TCP'}"


class Sender:
    """The other process."""

    def __init__(self, process: subprocess.Popen[str], said: dict[str, Any]) -> None:
        self._process = process
        self._ports = said
        self.trust: ssl.SSLContext | None = None
        if said["ca"] is not None:
            self.trust = ssl.create_default_context(cadata=said["ca"])

    def base(self, scheme: str, secure: bool) -> str:
        """Return scheme, host and port."""
        return f"{scheme}{'s' if secure else ''}://127.0.0.1:{self._ports['tls' if secure else 'tcp']}"

    def go(self) -> None:
        """Let the frames of the connection that waits come."""
        assert self._process.stdin is not None
        self._process.stdin.write("go\n")
        self._process.stdin.flush()


@contextmanager
def sender() -> Iterator[Sender]:
    """Run the other process."""
    command = [sys.executable, "-m", "bench.loopback_server"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield Sender(process, json.loads(process.stdout.readline()))
        finally:
            process.kill()


class Burst(NamedTuple):
    """What one connection brought."""

    cpu: float
    """Microseconds of CPU per message."""
    wall: float
    """Microseconds per message."""
    per_read: float
    """Frames per read of the socket; 0 where it is not known."""


# What somebody writes by hand who knows the message type ---------------------------------------------------------


def _trade() -> Callable[[bytes], object]:
    decode = _typed(TradeIn)

    def take(data: bytes) -> None:
        if data.startswith(b'{"stream"'):
            d = decode(data).data
            Trade(VENUE, SYMBOL, d.T * MS, d.E * MS, 17, str(d.t), d.p, d.q, "sell" if d.m else "buy")

    return take


def _top() -> Callable[[bytes], object]:
    decode = _typed(TopIn)

    def take(data: bytes) -> None:
        if data.startswith(b'{"stream"'):
            d = decode(data).data
            TopBook(VENUE, SYMBOL, 0, 0, 17, d.bids, d.asks, 20, d.lastUpdateId)

    return take


def _book() -> Callable[[bytes], object]:
    decode = _typed(DepthIn)
    book = OrderBook(VENUE, SYMBOL)
    sides = [tuple((round(65_000 + sign * 0.01 * (n + 1), 2), 1.0) for n in range(1_000)) for sign in (-1, 1)]
    book.load(BookSnapshot(VENUE, SYMBOL, 0, 0, 17, *sides, None, FIRST_UPDATE - 1, None, 1))

    def take(data: bytes) -> None:
        if data.startswith(b'{"stream"'):
            d = decode(data).data
            book.apply(BookDelta(VENUE, SYMBOL, d.E * MS, d.E * MS, 17, d.b, d.a, d.U, d.u, book.seq, 1))

    return take


BY_HAND = {"trades": _trade, "top": _top, "book": _book}


# The runs --------------------------------------------------------------------------------------------------------


def _on(loop: Loop, run: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
    async def within() -> Any:
        with anyio.fail_after(WAIT):
            return await run()

    return anyio.run(within, backend_options={"use_uvloop": loop == "uvloop"})


async def _bare(
    setting: Setting, far: Sender, kind: str, count: int, rate: int, connect: Callable[..., Any], take: Any
) -> Burst:
    tally = Tally(WARM_UP, count, take)
    ended = [0, 0.0]

    def stamp() -> None:
        ended[:] = time.process_time_ns(), time.perf_counter()

    tally.at_end = stamp
    url = f"{far.base('ws', setting.secure)}/{kind}/{count}/{rate}/stream"
    close = await connect(url, far.trust if setting.secure else None, tally)
    await tally.warm.wait()
    await asyncio.sleep(0.02)
    gc.collect()
    began, started = time.process_time_ns(), time.perf_counter()
    far.go()
    await tally.done.wait()
    close()
    await asyncio.sleep(0)
    return Burst(
        (ended[0] - began) / count / 1000,
        (ended[1] - started) / count * 1e6,
        count / tally.reads if tally.reads else 0.0,
    )


@contextmanager
def _adapted(setting: Setting, far: Sender, kind: str, count: int, rate: int) -> Iterator[VenueAdapter]:
    venue = load_venue(VENUE)
    endpoint = (
        venue.market("spot")
        .endpoints["live"]
        .at(far.base("http", setting.secure), f"{far.base('ws', setting.secure)}/{kind}/{count}/{rate}")
    )
    yield VenueAdapter(
        venue, offline=True, endpoints={"spot": endpoint}, transport=setting.library, tls=far.trust, proxy=None
    )


async def _whole(
    setting: Setting, far: Sender, kind: str, count: int, rate: int, heard: list[tuple[float, float]] | None = None
) -> Burst:
    wanted = EVENTS[kind]
    subscription = Subscription(kind, SYMBOL, depth=20 if kind == "top" else None)
    with _adapted(setting, far, kind, count, rate) as adapter:
        async with Router(adapter) as router:
            stream = router.stream()
            await router.subscribe(subscription)
            seen = 0
            async for event in stream:
                if type(event) is wanted:
                    seen += 1
                    if getattr(event, "seq", 0) == last_update(WARM_UP - 1) or (kind != "book" and seen == WARM_UP):
                        break
            await asyncio.sleep(0.02)
            gc.collect()
            began, started = time.process_time_ns(), time.perf_counter()
            far.go()
            left = count
            if heard is None:
                async for event in stream:
                    if type(event) is wanted:
                        left -= 1
                        if not left:
                            break
            else:
                async for event in stream:
                    if type(event) is wanted:
                        heard.append((time.monotonic(), event.size))
                        left -= 1
                        if not left:
                            break
            spent, ended = time.process_time_ns() - began, time.perf_counter()
            if stream.lost or left:
                raise SystemExit(f"{setting} {kind}: {stream.lost} events were lost, {left} never came")
    return Burst(spent / count / 1000, (ended - started) / count * 1e6, 0.0)


async def _calm(setting: Setting, far: Sender, kind: str, count: int) -> Burst:
    with calm_collector():
        return await _whole(setting, far, kind, count, 0)


def saturated(setting: Setting, far: Sender, kind: str, count: int, rounds: int, *, client: bool = False) -> list[Row]:
    """Measure one kind of frame at saturation, each way in turn, and return the ratio and what it is made of."""
    connect = loopback_bare.LIBRARIES[setting.library]
    cases: dict[str, Callable[[], Coroutine[Any, Any, Burst]]] = {
        "bare": lambda: _bare(setting, far, kind, count, 0, connect, None),
        "by hand": lambda: _bare(setting, far, kind, count, 0, connect, BY_HAND[kind]()),
        "whole": lambda: _whole(setting, far, kind, count, 0),
    }
    if kind != "trades":
        cases["calm"] = lambda: _calm(setting, far, kind, count)
    if client and setting.library == "websockets":
        cases["client"] = lambda: _bare(setting, far, kind, count, 0, loopback_bare.websockets_client, BY_HAND[kind]())
    taken: dict[str, list[Burst]] = {name: [] for name in cases}
    for number in range(rounds):
        order = list(cases)
        for name in order[number % len(order) :] + order[: number % len(order)]:
            taken[name].append(_on(setting.loop, cases[name]))
    timings = {
        name: Timing(min(b.cpu for b in bursts), statistics.median(b.cpu for b in bursts), tuple(b.cpu for b in bursts))
        for name, bursts in taken.items()
    }
    best, middle = ratio(timings["whole"], timings["by hand"])
    whole = timings["whole"].best
    per_read = min(burst.per_read for burst in taken["bare"])
    note = (
        f"median {middle:.2f}, goal {GOAL}; us CPU a message: bare {timings['bare'].best:.2f}, and decode "
        f"{timings['by hand'].best:.2f}, whole path {whole:.2f}: {1e6 / whole:,.0f}/s on a core, "
        f"{1e6 / min(burst.wall for burst in taken['whole']):,.0f}/s by the clock; {per_read:.0f} frames a read"
    )
    limit = max(GOAL, REACHED[setting.library, kind]) * TOLERANCE if per_read >= 16 else None
    rows = [Row(f"{kind} {setting}", best, "x by hand", note, limit)]
    if "calm" in timings:
        calm, _ = ratio(timings["calm"], timings["by hand"])
        note = f"{timings['calm'].best:.2f} us a message: with calm_collector, as the command line runs"
        rows.append(Row(f"{kind} {setting}, calm collector", calm, "x by hand", note))
    if "client" in timings:
        documented, _ = ratio(timings["whole"], timings["client"])
        note = f"{timings['client'].best:.2f} us a message: the library's own client and typed decode"
        rows.append(Row(f"{kind} {setting}, of the client", documented, "x client", note))
    return rows


async def _sustained(setting: Setting, far: Sender, count: int) -> tuple[int, float]:
    with _adapted(setting, far, "trades", count, 0) as adapter:
        async with Router(adapter) as router:
            stream = router.stream()
            await router.subscribe(Subscription("trades", SYMBOL))
            started = time.process_time_ns()
            far.go()
            left = WARM_UP + count
            async for event in stream:
                if type(event) is Trade:
                    left -= 1
                elif type(event) is Status and event.code == "dropped":
                    left -= event.count or 0
                if left <= 0:
                    break
            return stream.lost, (time.process_time_ns() - started) / count / 1000


def sustained(setting: Setting, far: Sender, count: int) -> Row:
    """Send more than any buffer holds, as fast as the socket takes it, to a consumer that only counts."""
    lost, cpu = _on(setting.loop, lambda: _sustained(setting, far, count))
    note = (
        f"{lost:,} of {count:,} events dropped (and counted) when the sender never pauses; {cpu:.2f} us CPU a message"
    )
    return Row(f"sustained trades {setting}", lost / count * 100, "% lost", note)


def delayed(setting: Setting, far: Sender, rate: int, count: int) -> list[Row]:
    """Measure the latency of trades at a fixed rate, each way once."""
    heard: dict[str, list[tuple[float, float]]] = {"bare": [], "whole": []}
    frames: list[tuple[float, bytes]] = []
    clock = time.monotonic

    def take(data: bytes) -> None:
        frames.append((clock(), data))

    connect = loopback_bare.LIBRARIES[setting.library]
    bare = _on(setting.loop, lambda: _bare(setting, far, "trades", count, rate, connect, take))
    decode = _typed(TradeIn)
    heard["bare"] = [(when, decode(data).data.q) for when, data in frames[-count:]]
    whole = _on(setting.loop, lambda: _whole(setting, far, "trades", count, rate, heard["whole"]))
    rows = []
    for name, label, burst in (("bare", "bare transport", bare), ("whole", "whole path", whole)):
        # The stamp is cut to microseconds, so half a one is added back.
        delays = sorted((when - stamp) * 1e6 - 0.5 for when, stamp in heard[name])
        p99, p999 = delays[len(delays) * 99 // 100], delays[len(delays) * 999 // 1000]
        note = f"p50; p99 {p99:,.0f}, p99.9 {p999:,.0f}; {burst.cpu:.1f} us CPU a message"
        rows.append(Row(f"latency at {rate:,}/s {setting}, {label}", delays[len(delays) // 2], "us", note))
    return rows


def settings(*, quick: bool, secure: bool) -> list[Setting]:
    """Return the ways to connect that are installed here."""
    libraries: list[Library] = ["websockets"]
    if importlib.util.find_spec("picows") is not None:
        libraries.append("picows")
    loops: list[Loop] = ["asyncio"]
    if importlib.util.find_spec("uvloop") is not None:
        loops.append("uvloop")
    every = [Setting(library, loop, tls) for library in libraries for loop in loops for tls in (False, True)]
    if quick:
        every = [one for one in every if (one.loop == "uvloop") == one.secure or "uvloop" not in loops]
    return [one for one in every if secure or not one.secure]


def run(quick: bool = False) -> list[Row]:
    """Measure every way to connect."""
    counts = {"trades": 10_000, "top": 2_000} if quick else {"trades": 20_000, "top": 4_000, "book": 4_000}
    rounds = 3 if quick else 5
    rows: list[Row] = []
    with sender() as far:
        chosen = settings(quick=quick, secure=far.trust is not None)
        for kind, count in counts.items():
            for setting in chosen:
                rows += saturated(setting, far, kind, count, rounds, client=kind == "trades" and not quick)
        if not quick:
            rows += [sustained(setting, far, 150_000) for setting in chosen]
        rates = {5_000: 2_500} if quick else LATENCY_RATES
        for setting in chosen[-1:] if quick else chosen:
            for rate, sent in rates.items():
                rows += delayed(setting, far, rate, sent)
    return rows
