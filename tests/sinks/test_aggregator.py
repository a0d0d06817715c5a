"""The aggregator example: as a command, and over a virtual month."""

from __future__ import annotations

import gc
import importlib.util
import subprocess
import sys
from collections import Counter
from pathlib import Path
from types import ModuleType
from typing import Any

import anyio
import pytest
from msgspec import structs
from trio.testing import MockClock

from unitape.adapter import VenueAdapter
from unitape.derive import BookSample, FlowImbalance, MovingAverage, TradeBar
from unitape.errors import TransportError
from unitape.feed.driver import DriverOptions
from unitape.registry import load_venue
from unitape.sim import SimNetwork, SimSettings
from unitape.sinks import SqliteSink, read_sqlite
from unitape_binance.channels import SPOT_CHANNELS
from unitape_schemas import Status

EXAMPLE = Path(__file__).parents[2] / "examples" / "aggregator.py"
DAY = 86_400
DAYS = 30
QUIET = 7_200.0
GROWTH = 1.10
SLACK = 400


def example() -> ModuleType:
    spec = importlib.util.spec_from_file_location("aggregator", EXAMPLE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_program_runs_offline_with_one_command(tmp_path: Path) -> None:
    command = [sys.executable, str(EXAMPLE), "--seconds", "8", "--metrics", "0"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    kept = list(read_sqlite(tmp_path / "signals.sqlite"))
    counts = Counter(type(record) for record in kept)
    assert {TradeBar, BookSample, FlowImbalance, Status} <= set(counts)
    assert len({(r.venue, r.symbol) for r in kept if isinstance(r, TradeBar)}) == 6, "every market has its bars"
    first, second = done.stdout.splitlines()
    assert f"TradeBar {counts[TradeBar]}" in first
    assert second.startswith("12 subscriptions, ")


class Unreachable:
    """A way to a venue that begins to exist only at a time."""

    def __init__(self, way: Any, since: float) -> None:
        self._way = way
        self._since = since

    def __getattr__(self, name: str) -> Any:
        if name in {"request", "connect"} and anyio.current_time() < self._since:
            raise TransportError("no way to the venue")
        return getattr(self._way, name)


@pytest.mark.anyio
@pytest.mark.parametrize(
    "anyio_backend", [pytest.param(("trio", {"clock": MockClock(autojump_threshold=0)}), id="virtual")]
)
async def test_a_venue_that_is_down_at_the_start_is_not_missing_for_ever(tmp_path: Path) -> None:
    """And a symbol that one venue does not list ends nothing, though it is asked for again and again."""
    few, many = load_venue("mexc"), load_venue("binance")
    path = tmp_path / "signals.sqlite"
    async with (
        SimNetwork([many], SimSettings(seed=5, symbols=("BTC", "ETH"), markets=("binance/spot",))) as wide,
        SimNetwork([few], SimSettings(seed=5, symbols=("BTC",), markets=("mexc/spot",))) as narrow,
    ):
        down = Unreachable(narrow.transport, anyio.current_time() + 50)
        adapters = [
            VenueAdapter(
                many, endpoints={"spot": wide.endpoint("binance", "spot")}, transport=wide.transport, clock=wide.clock
            ),
            VenueAdapter(few, endpoints={"spot": narrow.endpoint("mexc", "spot")}, transport=down, clock=wide.clock),
        ]
        with SqliteSink(path, sync=False) as sink:
            symbols = ["BTC/USDT", "ETH/USDT"]
            program = example().Aggregator(adapters, sink, symbols=symbols, bar=1.0, clock=wide.clock, in_thread=False)
            with anyio.move_on_after(200):
                await program.run()
    bars: dict[tuple[str, str], list[int]] = {}
    for record in read_sqlite(path):
        if isinstance(record, TradeBar):
            bars.setdefault((record.venue, record.symbol), []).append(record.ts_close)
    assert set(bars) == {("binance", "BTC/USDT"), ("binance", "ETH/USDT"), ("mexc", "BTC/USDT")}
    ends = [times[-1] / 1e9 for times in bars.values()]
    assert max(ends) - min(ends) < 30, "all go on to the end"


@pytest.mark.slow
@pytest.mark.anyio
@pytest.mark.parametrize(
    "anyio_backend", [pytest.param(("trio", {"clock": MockClock(autojump_threshold=0)}), id="virtual")]
)
async def test_a_virtual_month_keeps_its_size_and_misses_no_bar(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # So little happens in this market that it would be thought silent most of the time.
    for channel, spec in SPOT_CHANNELS.items():
        monkeypatch.setitem(SPOT_CHANNELS, channel, structs.replace(spec, stale_after=QUIET))
    venue = load_venue("binance")
    settings = SimSettings(
        seed=11, symbols=1, rate=0.004, tick=60.0, markets=("binance/spot",), history_minutes=10, lifetime=DAY
    )
    path = tmp_path / "month.sqlite"
    async with SimNetwork([venue], settings) as network:
        adapter = VenueAdapter(
            venue,
            endpoints={"spot": network.endpoint("binance", "spot")},
            transport=network.transport,
            clock=network.clock,
            seed=11,
            driver=DriverOptions(tick=60.0),
        )
        with SqliteSink(path, sync=False) as sink:
            program = example().Aggregator(
                [adapter], sink, symbols=["BTC/USDT"], bar=3600.0, clock=network.clock, in_thread=False
            )
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(program.run)
                await anyio.sleep(2 * DAY)
                early = objects()
                await anyio.sleep((DAYS - 2) * DAY)
                late = objects()
                health = program.monitor.health()
                tasks.cancel_scope.cancel()
    assert {k: (early.get(k, 0), n) for k, n in late.items() if n > early.get(k, 0) * GROWTH + SLACK} == {}
    kept = list(read_sqlite(path))
    samples = [record for record in kept if isinstance(record, BookSample)]
    hours = [sample.ts_event // 3_600_000_000_000 for sample in samples]
    assert hours == list(range(hours[0], hours[0] + len(hours))), "a sample every hour, none twice"
    assert DAYS * 24 - 3 <= len(hours) <= DAYS * 24 + 1
    bars = [record for record in kept if isinstance(record, TradeBar)]
    ends = [bar.ts_close for bar in bars]
    assert ends == sorted(set(ends)), "each bar once, in order"
    assert len(bars) > DAYS * 12, "about as many as there are hours in which somebody traded"
    averages = [record for record in kept if isinstance(record, MovingAverage)]
    assert len(averages) == len(bars) - 4
    assert health.dropped == 0
    assert health.uptime == pytest.approx(DAYS * DAY, rel=0.01)
    rotated = sum(record.code == "rotated" for record in kept if isinstance(record, Status))
    assert rotated >= DAYS - 2, "connections reached the end of their lifetime every day"


def objects() -> Counter[str]:
    """Count the objects of our own types and of what runs them."""
    gc.collect()
    ours = ("unitape", "aggregator", "anyio", "trio")
    return Counter(
        f"{type(thing).__module__}.{type(thing).__qualname__}"
        for thing in gc.get_objects()
        if str(type(thing).__module__).startswith(ours)
        and not str(type(thing).__module__).startswith("unitape.sim")
        and "simulator" not in str(type(thing).__module__)
    )
