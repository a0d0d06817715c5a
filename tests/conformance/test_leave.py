"""Leaving at any moment, and a neighbour that fails for ever: on real sockets, and in virtual time."""

from __future__ import annotations

import asyncio
import gc
import tempfile
from pathlib import Path

import anyio
import pytest

from tests.conformance.conftest import VIRTUAL
from unitape.adapter import VenueAdapter
from unitape.errors import TransportError
from unitape.feed.driver import DriverOptions
from unitape.registry import load_venue
from unitape.router import Router
from unitape.sim import Fault, SimNetwork, SimServer, SimSettings
from unitape.spi import HttpRequest, HttpResponse
from unitape.tape import Recorder
from unitape.testing.conformance import Journal, Ledger, journal_sizes, received_sizes
from unitape.transport import Transport
from unitape.transport.base import Ended, Receiver, WsOptions
from unitape_schemas import Subscription

pytestmark = pytest.mark.anyio

VENUES = ("binance", "weex")
MOMENTS = (0.0, 0.002, 0.01, 0.02, 0.03, 0.05, 0.08, 0.13, 0.2, 0.4)


def sockets() -> int:
    """Return how many sockets this process holds."""
    found = 0
    for entry in Path("/proc/self/fd").iterdir():
        try:
            found += str(entry.readlink()).startswith("socket:")
        except FileNotFoundError:
            continue
    return found


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="counts sockets where the system lists them")
@pytest.mark.parametrize("library", ["websockets", "picows"])
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_leaving_at_any_moment_leaves_no_task_socket_or_file(
    library: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip(library)
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    venues = [load_venue(name) for name in VENUES]
    settings = SimSettings(symbols=2, rate=100.0, history_minutes=5)
    async with SimServer(venues, settings) as sim:
        for number, moment in enumerate(MOMENTS):
            before, held = asyncio.all_tasks(), sockets()
            await follow(sim, library, moment, tmp_path / f"{number}.tape")
            gc.collect()
            for _ in range(100):
                if not any(sim.host(*label.split("/")).connections for label in sim.endpoints) and sockets() <= held:
                    break
                await asyncio.sleep(0.02)
            left = asyncio.all_tasks() - before
            assert left == set(), f"left after {moment} s"
            assert sockets() <= held, f"left after {moment} s"
            assert list(scratch.iterdir()) == []
            assert sorted(path.suffix for path in tmp_path.glob("*")) == ["", *[".tape"] * (number + 1)]  # noqa: ASYNC240


async def follow(sim: SimServer, library: str, moment: float, tape: Path) -> None:
    """Follow two venues, and be cancelled in the midst of it."""
    recorder = Recorder(tape)
    adapters = [
        VenueAdapter(
            load_venue(name),
            endpoints={label.split("/")[1]: at for label, at in sim.endpoints.items() if label.startswith(name)},
            transport=library,  # type: ignore[arg-type]
            record=recorder.begin,
        )
        for name in VENUES
    ]
    with anyio.move_on_after(moment):
        async with Router(*adapters) as router, anyio.create_task_group() as tasks:
            for symbol in ("BTC/USDT", "BTC/USDT:USDT"):
                tasks.start_soon(router.subscribe, Subscription("trades", symbol), Subscription("book", symbol))
            async for _ in router.stream():
                pass
    recorder.close()


class Wall:
    """A network with a wall before some hosts: connections break against it, requests pass."""

    name = "memory"

    def __init__(self, inner: Transport) -> None:
        self.inner = inner
        self.before = ""
        self.attempts = 0

    async def run(self, url: str, receiver: Receiver, options: WsOptions) -> Ended:
        if self.before and self.before in url:
            self.attempts += 1
            raise TransportError("connection refused")
        return await self.inner.run(url, receiver, options)

    async def request(self, base: str, request: HttpRequest, timeout: float) -> HttpResponse:
        return await self.inner.request(base, request, timeout)

    async def aclose(self) -> None:
        await self.inner.aclose()


@pytest.mark.parametrize("broken_first", [False, True], ids=["later", "from-the-start"])
@pytest.mark.parametrize("anyio_backend", [pytest.param(VIRTUAL, id="virtual")])
async def test_a_venue_that_fails_for_ever_leaves_the_other_undisturbed(broken_first: bool) -> None:
    good, bad = (load_venue(name) for name in VENUES)
    settings = SimSettings(
        symbols=1, rate=3.0, tick=0.1, history_minutes=5, markets=(f"{good.name}/spot", f"{bad.name}/spot")
    )
    async with SimNetwork([good, bad], settings) as network:
        wall, ledger = Wall(network.transport), Ledger()
        adapters = [
            VenueAdapter(
                venue,
                endpoints={"spot": network.endpoint(venue.name, "spot")},
                transport=wall,
                clock=network.clock,
                seed=1,
                driver=DriverOptions(backoff_cap=30.0),
            )
            for venue in (good, bad)
        ]
        adapters[0].attach(ledger)
        async with Router(*adapters, clock=network.clock) as router:
            wall.before = bad.name if broken_first else ""
            result = await router.subscribe(Subscription("trades", "BTC/USDT"), Subscription("book", "BTC/USDT"))
            confirmed = {one.venue: len(one.confirmed) for one in result.values()}
            assert confirmed == {good.name: 2, bad.name: 0 if broken_first else 2}
            host = network.host(good.name, "spot")
            while not ledger.trades("BTC/USDT"):  # noqa: ASYNC110 - a ledger has no event to wait for
                await anyio.sleep(0.1)
            journal = Journal(host)
            if not broken_first:
                wall.before = bad.name
                other = network.host(bad.name, "spot")
                other.faults.add(Fault("close", at=0.0))
            for _ in range(360):
                await anyio.sleep(10.0)
                journal.gather()
            host.exchange.pause_agents()
            await anyio.sleep(2.0)
            journal.gather()
            assert ledger.statuses("gap", "stale", "disconnected", "halted", "dropped") == []
            expected = journal_sizes(host, journal.trades["BTC/USDT"])
            got = received_sizes(ledger.trades("BTC/USDT"))
            assert len(expected) > 500
            assert {key: got.get(key) for key in expected} == expected
            # Half the pauses are shorter than 15 s; far fewer attempts than seconds, and it never stops trying.
            assert wall.attempts < 600
            if not broken_first:
                assert wall.attempts > 60
