"""A signal aggregator: trades and books of several venues in, bars and signals out, everything kept in SQLite.

It runs offline, on simulated venues in this process::

    python examples/aggregator.py                     # ten seconds of simulated markets
    python examples/aggregator.py --seconds 60 --store parquet:signals --metrics 9400
    python examples/aggregator.py --live              # the venues themselves

Every minute bar, every sample of a book and every order-flow imbalance is a row of the store, beside the statuses that
say what happened to the feed: what was missed, when, and of which subscription.
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections import Counter
from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial

import anyio

import unitape as ut
from unitape.adapter import Adapter, VenueAdapter
from unitape.alignment import watch_instruments
from unitape.clock import Clock, SystemClock
from unitape.derive import (
    Averages,
    BookSamples,
    Chained,
    FlowImbalances,
    Through,
    TimeBars,
    TradeBar,
    batched,
    derived,
    heartbeats,
)
from unitape.health import Health, HealthMonitor, log_statuses
from unitape.registry import load_venue, venue_names
from unitape.sinks import EventSink, open_sink, read_records, store_all

_log = logging.getLogger("aggregator")

FIRST_PAUSE = 10.0
"""Seconds until what was rejected is asked for again; twice as long each time, up to LAST_PAUSE."""
LAST_PAUSE = 3600.0


def close_of(record: object) -> float | None:
    """Read what the moving average is over."""
    return record.close if isinstance(record, TradeBar) else None


class Aggregator:
    """Subscribes, derives and stores until it is cancelled. ``bar`` is the length of everything, in seconds."""

    def __init__(
        self,
        adapters: Sequence[Adapter],
        sink: EventSink,
        *,
        symbols: Sequence[str],
        bar: float,
        clock: Clock | None = None,
        in_thread: bool = True,
    ) -> None:
        self.router = ut.Router(*adapters, clock=clock)
        self.sink = sink
        self.monitor: HealthMonitor | None = None
        self._symbols = symbols
        self._bar = bar
        self._clock = clock or SystemClock()
        self._in_thread = in_thread

    async def run(self, *, metrics: int | None = None) -> None:
        """Run until cancelled; what has been derived by then is stored."""
        async with AsyncExitStack() as stack:
            router = await stack.enter_async_context(self.router)
            log_statuses(router)
            self.monitor = HealthMonitor(router, sinks=[self.sink], clock=self._clock)
            if metrics is not None:
                from unitape.serve import MetricsServer

                server = await stack.enter_async_context(MetricsServer(self.monitor, port=metrics))
                _log.info("metrics at %s/metrics", server.url)
            events = heartbeats(router.batches(name="signals"), self._bar, clock=self._clock)
            signals = derived(
                events,
                Chained(TimeBars(self._bar), Averages(close_of, window=5)),
                BookSamples(self._bar, depth=5),
                FlowImbalances(self._bar),
                Through(ut.Status),
            )
            tasks = await stack.enter_async_context(anyio.create_task_group())
            tasks.start_soon(self._follow_instruments)
            tasks.start_soon(self._subscribe)
            await store_all(batched(signals, 1000, self._bar), self.sink, every=0.0, in_thread=self._in_thread)

    async def _subscribe(self) -> None:
        """Subscribe, and ask again for what was rejected: a venue may be down just now, or list a symbol next week."""
        wanted = [ut.trades(*self._symbols), ut.book(*self._symbols)]
        pause, first = FIRST_PAUSE, True
        while True:
            try:
                results = await self.router.subscribe(*wanted)
                wanted = [ut.Request((one.subscription,), venues=(venue,)) for venue, one in results.rejected]
            except ut.ConfigError:
                if first:
                    raise  # no venue has such symbols
            except ut.VenueError as error:
                _log.error("%s; trying again in %.0f s", error, pause)
            if not wanted:
                return
            await anyio.sleep(pause)
            pause, first = min(2 * pause, LAST_PAUSE), False

    async def _follow_instruments(self) -> None:
        async for changes in watch_instruments(self.router, every=3600.0):
            for change in changes:
                _log.warning("%s", change.text)


@asynccontextmanager
async def venues(*, live: bool) -> AsyncGenerator[list[Adapter]]:
    """Yield an adapter for each installed venue: the venue itself, or a simulator of it in this process."""
    found = [load_venue(name) for name in venue_names()]
    if live:
        yield [VenueAdapter(venue) for venue in found]
        return
    from unitape.sim import SimServer

    found = [venue for venue in found if venue.simulator is not None]
    async with SimServer(found, symbols=1, speed=5.0) as sim:
        yield [
            VenueAdapter(venue, endpoints={m.name: sim.endpoint(venue.name, m.name) for m in venue.markets})
            for venue in found
        ]


def summary(store: str, health: Health | None) -> list[str]:
    """Say what is in the store and how the feed did."""
    counts = Counter(type(record).__name__ for record in read_records(store))
    lines = [f"{store}: {', '.join(f'{name} {count}' for name, count in sorted(counts.items())) or 'nothing'}"]
    if health is not None:
        lines.append(
            f"{len(health.subscriptions)} subscriptions, {health.reconnects} reconnects, {health.resyncs} resyncs, "
            f"{health.dropped} dropped, problems: {', '.join(health.problems) or 'none'}"
        )
    return lines


async def run(args: argparse.Namespace) -> None:
    """Aggregate for as long as was asked for, then say what came of it."""
    sink = open_sink(args.store)
    health: Health | None = None
    try:
        async with venues(live=args.live) as adapters:
            aggregator = Aggregator(adapters, sink, symbols=args.symbols, bar=args.bar)
            with anyio.move_on_after(args.seconds):
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(partial(aggregator.run, metrics=args.metrics))
                    while True:
                        await anyio.sleep(0.5)
                        health = aggregator.monitor.health() if aggregator.monitor is not None else None
    finally:
        sink.close()
    sys.stdout.write("\n".join(summary(args.store, health)) + "\n")


def causes(group: ExceptionGroup[Exception]) -> list[ut.UnitapeError]:
    """Return what the library says of a failure; everything else is a fault of this program, and goes on as it is."""
    known, rest = group.split(ut.UnitapeError)
    if rest is not None or known is None:
        raise group
    found: list[ut.UnitapeError] = []
    for error in known.exceptions:
        found += causes(error) if isinstance(error, ExceptionGroup) else [error]
    return found


def main(argv: Sequence[str] | None = None) -> None:
    """Read the command line and run."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=float, default=10.0, help="how long to run (default 10)")
    parser.add_argument("--bar", type=float, default=1.0, help="seconds of a bar (default 1)")
    parser.add_argument("--symbols", nargs="+", default=["BTC/USDT", "BTC/USDT:USDT"], help="what to follow")
    parser.add_argument("--store", default="sqlite:signals.sqlite", help="sqlite:FILE, jsonl:FOLDER or parquet:FOLDER")
    parser.add_argument("--metrics", type=int, help="port for Prometheus; 0 takes a free one, see --verbose")
    parser.add_argument("--live", action="store_true", help="the venues themselves instead of simulators")
    parser.add_argument("--verbose", action="store_true", help="log what happens to the feeds")
    args = parser.parse_args(argv)
    logging.basicConfig(
        level=logging.INFO if args.verbose else logging.WARNING, format="%(levelname)s %(name)s %(message)s"
    )
    try:
        anyio.run(run, args)
    except KeyboardInterrupt:
        sys.exit(130)
    except ut.UnitapeError as error:
        sys.exit(f"aggregator: {error}")
    except ExceptionGroup as group:
        sys.exit("\n".join(f"aggregator: {error}" for error in causes(group)))


if __name__ == "__main__":
    main()
