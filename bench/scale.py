"""Many subscriptions and consumers in one process, how cost grows with both, and what a process weighs at first.

The venues are within the process (``MemoryTransport``), their messages ready-made bytes of each venue's own format, so
that what is measured is adapters, feeds, router and consumers. All channels here repeat without a sequence, so a few
messages per symbol may go round for ever.
"""

from __future__ import annotations

import gc
import json
import os
import random
import re
import statistics
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import anyio
from anyio.lowlevel import checkpoint
from msgspec import structs

from bench import wire_binance, wire_weex
from bench.harness import Row
from unitape.adapter import VenueAdapter
from unitape.registry import load_venue
from unitape.router import Router, Stream
from unitape.spi import HttpRequest, HttpResponse
from unitape.transport.memory import MemoryPeer, MemoryTransport
from unitape_schemas import Channel, Instrument, Status, Subscription

VARIANTS = 8
"""Messages per symbol that go round."""
RATE = 3_000
"""Messages per second of the steady run."""
MEMORY_LIMIT = 1.05
"""What a process may hold after the steady run, as a multiple of what it held after a sixth of it."""
GROWTH_LIMIT = 1.5
"""What a message may cost among 300 symbols, as a multiple of its cost among 10: cold caches, and no more."""
PAGE = os.sysconf("SC_PAGE_SIZE")


# The venues' messages -----------------------------------------------------------------------------------------------


def _binance(kind: Callable[..., str], raw: str, rng: random.Random, number: int) -> bytes:
    data = kind(rng, number, 65_000.0).replace("BTCUSDT", raw)
    return f'{{"stream":"{raw.lower()}@bookTicker","data":{data}}}'.encode()


def _binance_spot(raw: str, rng: random.Random, number: int) -> bytes:
    return _binance(wire_binance.quote, raw, rng, number)


def _binance_usdm(raw: str, rng: random.Random, number: int) -> bytes:
    return _binance(wire_binance.futures_quote, raw, rng, number)


def _mexc_spot(raw: str, rng: random.Random, number: int) -> bytes:
    from unitape_mexc import schema

    push = schema.message_class(schema.WRAPPER)(
        channel=f"spot@public.aggre.bookTicker.v3.api.pb@100ms@{raw}", symbol=raw, sendTime=1793000000105 + number
    )
    best = push.publicAggreBookTicker
    best.bidPrice, best.askPrice = "65000.10", "65000.11"
    best.bidQuantity, best.askQuantity = f"{rng.random():.8f}", f"{rng.random():.8f}"
    best.version = str(81721676217 + number)
    return push.SerializeToString()


def _mexc_futures(raw: str, rng: random.Random, number: int) -> bytes:
    return (
        f'{{"channel":"push.ticker","symbol":"{raw}","data":{{"contractId":10,"symbol":"{raw}","lastPrice":60000.1,'
        f'"bid1":60000.0,"ask1":60000.1,"fairPrice":60001.2,"indexPrice":60003.4,"fundingRate":0.0001,'
        f'"holdVol":98765432,"volume24":{rng.randrange(10**9)},"amount24":2474000000.5,"high24Price":60500.8,'
        f'"lower24Price":58800.2,"riseFallRate":0.0118,"riseFallValue":700.1,"maxBidPrice":66003.7,'
        f'"minAskPrice":54003.0,"timestamp":{1793000000100 + number}}},"ts":{1793000000101 + number}}}'
    ).encode()


def _weex_spot(raw: str, rng: random.Random, number: int) -> bytes:
    return wire_weex.quote(rng, number, 65_000.0).replace("BTCUSDT", raw).encode()


def _weex_contract(raw: str, rng: random.Random, number: int) -> bytes:
    return wire_weex.ticker(rng, number, 65_000.0).replace("BTCUSDT", raw).encode()


class Load(NamedTuple):
    """What is sent on one market."""

    venue: str
    market: str
    channel: Channel
    message: Callable[[str, random.Random, int], bytes]
    text: bool = True


LOADS = (
    Load("binance", "spot", "quotes", _binance_spot),
    Load("binance", "usdm", "quotes", _binance_usdm),
    Load("mexc", "spot", "quotes", _mexc_spot, text=False),
    Load("mexc", "futures", "ticker", _mexc_futures),
    Load("weex", "spot", "quotes", _weex_spot),
    Load("weex", "contract", "ticker", _weex_contract),
)


def instruments(load: Load, count: int) -> list[Instrument]:
    """Return so many instruments like the first of the market's catalogue: S000, S001, …"""
    like = load_venue(load.venue).market(load.market).catalogue[0]
    return [
        structs.replace(
            like,
            symbol=like.symbol.replace(like.base, name, 1),
            raw_symbol=like.raw_symbol.replace(like.base, name, 1),
            base=name,
        )
        for name in (f"S{number:03}" for number in range(count))
    ]


class Venues:
    """The far side: knows from the messages of each connection which symbols it carries."""

    _NAMES = re.compile(rb"S(\d{3})")

    def __init__(self, loads: Sequence[Load], count: int) -> None:
        rng = random.Random("scale")
        self._loads = {f"{load.venue}-{load.market}": load for load in loads}
        self._messages = {
            host: [[load.message(one.raw_symbol, rng, n) for n in range(VARIANTS)] for one in instruments(load, count)]
            for host, load in self._loads.items()
        }
        self._hosts: dict[MemoryPeer, str] = {}
        self.routes: dict[tuple[str, int], tuple[MemoryPeer, list[bytes], bool]] = {}

    async def accept(self, url: str, headers: tuple[tuple[str, str], ...], peer: MemoryPeer) -> None:
        """A client connects."""
        self._hosts[peer] = urlsplit(url).hostname or ""

    def receive(self, peer: MemoryPeer, data: bytes, text: bool) -> None:
        """A client subscribes: the first message of each symbol confirms it."""
        host = self._hosts[peer]
        for found in self._NAMES.findall(data.upper()):
            messages = self._messages[host][int(found)]
            self.routes[host, int(found)] = (peer, messages, self._loads[host].text)
            peer.send(messages[0], self._loads[host].text)

    def closed(self, peer: MemoryPeer) -> None:
        """A client is gone."""

    async def http(self, base: str, request: HttpRequest) -> HttpResponse:
        """Nothing is asked here."""
        return HttpResponse(404)


class Count:
    """One consumer: counts what is no status."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self.events = 0

    async def run(self) -> None:
        """Read until cancelled."""
        async for event in self._stream:
            if type(event) is not Status:
                self.events += 1

    @property
    def lost(self) -> int:
        return self._stream.lost


class Process:
    """Everything under way: who sends, who reads."""

    def __init__(self, venues: Venues, consumers: list[Count]) -> None:
        self.routes = list(venues.routes.values())
        self.consumers = consumers
        self._turn = 0

    def send(self, messages: int) -> None:
        """Send this many messages, symbol by symbol."""
        routes, turn = self.routes, self._turn
        count = len(routes)
        for number in range(turn, turn + messages):
            peer, ready, text = routes[number % count]
            peer.send(ready[number // count % VARIANTS], text)
        self._turn = turn + messages

    async def read(self, events: int) -> None:
        """Wait until every consumer has read so many events in all."""
        while any(consumer.events < events for consumer in self.consumers):
            await checkpoint()

    @property
    def sent(self) -> int:
        return self._turn


@asynccontextmanager
async def running(loads: Sequence[Load], count: int, consumers: int) -> AsyncIterator[Process]:
    """Subscribe to ``count`` symbols of each market and register the consumers; nothing is under way when it yields."""
    venues = Venues(loads, count)
    transport = MemoryTransport(venues)
    by_venue: dict[str, list[Load]] = {}
    for load in loads:
        by_venue.setdefault(load.venue, []).append(load)
    adapters = [
        VenueAdapter(
            load_venue(name),
            transport=transport,
            instruments={load.market: instruments(load, count) for load in members},
            endpoints={
                load.market: load_venue(name)
                .market(load.market)
                .endpoints["live"]
                .at(f"http://{name}-{load.market}", f"ws://{name}-{load.market}")
                for load in members
            },
        )
        for name, members in by_venue.items()
    ]
    async with AsyncExitStack() as stack:
        router = await stack.enter_async_context(Router(*adapters))
        for adapter in adapters:
            wanted = [
                Subscription(load.channel, one.symbol, market=load.market)
                for load in by_venue[adapter.venue]
                for one in instruments(load, count)
            ]
            result = await adapter.subscribe(wanted)
            if len(result.confirmed) != len(wanted):
                raise SystemExit(f"{adapter.venue}: {result.rejected[:3]}")
        tasks = await stack.enter_async_context(anyio.create_task_group())
        counts = [Count(router.stream()) for _ in range(consumers)]
        for one in counts:
            tasks.start_soon(one.run)
        yield Process(venues, counts)
        tasks.cancel_scope.cancel()


def resident() -> float:
    """Return megabytes of memory that this process holds."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE / 1e6
    except OSError:
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


# What is measured ----------------------------------------------------------------------------------------------------


async def _flood(loads: Sequence[Load], count: int, consumers: int, messages: int, rounds: int) -> float:
    """Return microseconds of CPU per message when everything is read as fast as it comes, the best of the rounds."""
    best = float("inf")
    async with running(loads, count, consumers) as process:
        for number in range(rounds + 1):
            gc.collect()
            started = time.process_time_ns()
            for _ in range(messages // 1_000):
                process.send(1_000)
                await process.read(process.sent)
            if number:
                best = min(best, (time.process_time_ns() - started) / messages / 1000)
        lost = sum(consumer.lost for consumer in process.consumers)
        if lost:
            raise SystemExit(f"{lost} events were lost")
    return best


class Sample(NamedTuple):
    cpu: float
    memory: float
    objects: int


async def _steady(count: int, consumers: int, seconds: float) -> tuple[list[Sample], int]:
    """Return what each sixth of a run at a fixed rate took: share of a core, and what the process holds then."""
    samples = []
    async with running(LOADS, count, consumers) as process:
        step = 0.05
        for _ in range(6):
            started, began = time.process_time(), anyio.current_time()
            turns = max(1, round(seconds / 6 / step))
            for turn in range(turns):
                process.send(round(RATE * step))
                await anyio.sleep_until(began + (turn + 1) * step)
            share = (time.process_time() - started) / (anyio.current_time() - began)
            gc.collect()
            samples.append(Sample(share * 100, resident(), len(gc.get_objects())))
        await process.read(process.sent)
        subscriptions = len(process.routes)
        if any(consumer.events != process.sent or consumer.lost for consumer in process.consumers):
            raise SystemExit(f"{process.sent} were sent, {[c.events for c in process.consumers]} arrived")
    return samples, subscriptions


WEIGH = """
import sys, time, json, resource
def resident():
    try:
        return int(open("/proc/self/statm").read().split()[1]) * {page} / 1e6
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
before, modules, started = resident(), len(sys.modules), time.perf_counter()
{code}
print(json.dumps([(time.perf_counter() - started) * 1e3, resident() - before, len(sys.modules) - modules]))
"""
ADAPTER = """
import anyio
from unitape.adapter import VenueAdapter
from unitape.registry import load_venue
async def main():
    async with VenueAdapter(load_venue("binance"), offline=True, transport={transport!r}):
        pass
anyio.run(main)
"""


def weigh(name: str, code: str, runs: int) -> Row:
    """Return what some code costs a fresh interpreter."""
    command = [sys.executable, "-c", WEIGH.format(code=code, page=PAGE)]
    found: list[list[float]] = [json.loads(subprocess.check_output(command)) for _ in range(runs)]
    times = [one[0] for one in found]
    memory, modules = statistics.median(one[1] for one in found), found[0][2]
    note = f"median {statistics.median(times):.0f}; {memory:.1f} MB and {modules:.0f} modules over bare Python"
    return Row(name, min(times), "ms", note)


def _grown(name: str, costs: dict[int, float], limit: float | None) -> Row:
    smallest, *_, largest = costs
    each = ", ".join(f"{size}: {cost:.2f}" for size, cost in costs.items())
    return Row(name, costs[largest] / costs[smallest], "x", f"us CPU a message, {each}", limit)


def run(quick: bool = False) -> list[Row]:
    """Measure the steady run, the growth and the weight."""
    symbols, seconds = (20, 2.4) if quick else (100, 30.0)
    messages, rounds = (2_000, 3) if quick else (12_000, 5)
    samples, subscriptions = anyio.run(_steady, symbols, 3, seconds)
    first, last = samples[0], samples[-1]
    rows = [
        Row(
            f"{subscriptions} subscriptions, 3 consumers",
            last.cpu,
            "% of a core",
            f"at {RATE:,} messages/s; by sixths of {seconds:g} s: {', '.join(f'{s.cpu:.0f}' for s in samples)}",
        ),
        Row(
            "memory, end of start",
            last.memory / first.memory,
            "x",
            f"{first.memory:.1f} MB, {first.objects:,} objects; {last.memory:.1f} MB, {last.objects:,} objects",
            MEMORY_LIMIT,
        ),
    ]
    one_market = LOADS[:1]
    by_symbols = {n: anyio.run(_flood, one_market, n, 1, messages, rounds) for n in (10, 100, 300)}
    by_consumers = {n: anyio.run(_flood, LOADS, 10, n, messages, rounds) for n in (1, 3, 10)}
    rows.append(_grown("300 symbols, of 10", by_symbols, GROWTH_LIMIT))
    rows.append(_grown("10 consumers, of 1", by_consumers, None))
    extra = (by_consumers[10] - by_consumers[1]) / 9
    rows.append(Row("each further consumer", extra, "us/event", "CPU, every event in its async for"))
    runs = 3 if quick else 7
    rows.append(weigh("import unitape", "import unitape", runs))
    rows.append(weigh("import the contract", "from unitape import Trade", runs))
    transports = ["websockets"] + ["picows"] * (find_spec("picows") is not None)
    return rows + [weigh(f"live adapter, {name}", ADAPTER.format(transport=name), runs) for name in transports]
