from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import anyio
import pytest
from trio.testing import MockClock

from tests.router.fakes import FakeAdapter
from tests.sinks.records import trades
from unitape.errors import SinkError
from unitape.router import Router
from unitape.sinks import JsonLinesSink, read_jsonl, store_all
from unitape_schemas import EventHead, Status, Trade

VIRTUAL = pytest.param(("trio", {"clock": MockClock(autojump_threshold=0)}), id="virtual")
pytestmark = pytest.mark.anyio
virtual = pytest.mark.parametrize("anyio_backend", [VIRTUAL])


class Flaky(JsonLinesSink):
    """Refuses while it is told to, and keeps when it was asked to store."""

    broken = False

    def store(self, records: Sequence[EventHead]) -> int:
        if not hasattr(self, "times"):
            self.times: list[float] = []
        self.times.append(anyio.current_time())
        if self.broken:
            raise SinkError("the disk is full")
        return super().store(records)


class Slow(JsonLinesSink):
    """Takes a while."""

    def store(self, records: Sequence[EventHead]) -> int:
        time.sleep(0.2)
        return super().store(records)


def only_trades(records: Sequence[EventHead]) -> list[EventHead]:
    return [record for record in records if isinstance(record, Trade)]


@virtual
async def test_a_stream_is_stored_in_batches_and_to_the_end(tmp_path: Path) -> None:
    adapter = FakeAdapter("binance")
    wanted = only_trades(trades(200))
    with Flaky(tmp_path) as sink:
        async with anyio.create_task_group() as tasks, Router(adapter) as router:
            batches = router.batches(types=Trade, statuses=False)
            tasks.start_soon(lambda: store_all(batches, sink, every=5.0, in_thread=False))
            for place in range(0, len(wanted), 10):
                adapter.deliver(*wanted[place : place + 10])
                await anyio.sleep(1.0)
            # The router is left: what waits is stored, and the task ends by itself.
        assert sink.acknowledged == len(wanted)
        assert 2 <= len(sink.times) <= 2 + len(wanted) // 10 // 5 + 1, "every five seconds, not for every event"
    assert list(read_jsonl(tmp_path)) == wanted


@virtual
async def test_what_was_collected_is_stored_when_the_task_is_cancelled(tmp_path: Path) -> None:
    adapter = FakeAdapter("binance")
    wanted = only_trades(trades(60))
    with JsonLinesSink(tmp_path) as sink:
        async with Router(adapter) as router, anyio.create_task_group() as tasks:
            batches = router.batches(types=Trade, statuses=False)
            tasks.start_soon(lambda: store_all(batches, sink, every=60.0, in_thread=False))
            for place in range(0, len(wanted), 10):
                adapter.deliver(*wanted[place : place + 10])
                await anyio.sleep(1.0)
            assert sink.acknowledged < len(wanted)
            tasks.cancel_scope.cancel()
    assert list(read_jsonl(tmp_path)) == wanted


@virtual
async def test_a_full_disk_costs_nothing_as_long_as_the_buffer_holds(tmp_path: Path) -> None:
    adapter = FakeAdapter("binance")
    wanted = only_trades(trades(100))
    with Flaky(tmp_path) as sink:
        async with Router(adapter) as router, anyio.create_task_group() as tasks:
            batches = router.batches(types=Trade, statuses=False)
            tasks.start_soon(lambda: store_all(batches, sink, every=1.0, retry=2.0, in_thread=False))
            adapter.deliver(*wanted[:20])
            await anyio.sleep(1.0)
            sink.broken = True
            adapter.deliver(*wanted[20:])
            await anyio.sleep(100.0)
            sink.broken = False
            await anyio.sleep(100.0)
            tasks.cancel_scope.cancel()
        pauses = [later - earlier for earlier, later in zip(sink.times[1:], sink.times[2:], strict=False)]
        assert pauses[:4] == pytest.approx([2.0, 4.0, 8.0, 16.0])
    assert list(read_jsonl(tmp_path)) == wanted


@virtual
async def test_what_a_full_disk_costs_is_counted_and_told_in_the_sink(tmp_path: Path) -> None:
    adapter = FakeAdapter("binance")
    wanted = [record for record in trades(200) if isinstance(record, Trade) and record.symbol == "BTC/USDT"]
    with Flaky(tmp_path) as sink:
        async with Router(adapter) as router, anyio.create_task_group() as tasks:
            batches = router.batches(types=Trade, capacity=10, name="archive")
            tasks.start_soon(lambda: store_all(batches, sink, every=1.0, retry=1.0, in_thread=False))
            adapter.deliver(*wanted[:5])
            await anyio.sleep(1.0)
            sink.broken = True
            adapter.deliver(*wanted[5:8])
            await anyio.sleep(2.0)
            adapter.deliver(*wanted[8:38])
            await anyio.sleep(2.0)
            sink.broken = False
            await anyio.sleep(70.0)
            assert batches.lost == 20
            tasks.cancel_scope.cancel()
    found = list(read_jsonl(tmp_path))
    told = [record for record in found if isinstance(record, Status) and record.code == "dropped"]
    assert [(status.count, status.subscription) for status in told] == [(20, "trades BTC/USDT")]
    kept = [record for record in found if isinstance(record, Trade)]
    assert kept == [*wanted[:8], *wanted[28:38]]
    assert found.index(told[0]) == 8, "at the place of the loss"


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_slow_disk_does_not_stop_the_event_loop(tmp_path: Path) -> None:
    adapter = FakeAdapter("binance")
    wanted = only_trades(trades(300))
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            await anyio.sleep(0.005)
            turns += 1

    with Slow(tmp_path) as sink:
        async with Router(adapter) as router, anyio.create_task_group() as tasks:
            batches = router.batches(types=Trade, statuses=False)
            tasks.start_soon(lambda: store_all(batches, sink, every=0.001))
            adapter.deliver(*wanted)
            tasks.start_soon(count)
            while sink.acknowledged < len(wanted):  # noqa: ASYNC110 - a sink has no event to wait for
                await anyio.sleep(0.005)
            tasks.cancel_scope.cancel()
    assert turns >= 3, "the loop went on while the disk was busy"
    assert list(read_jsonl(tmp_path)) == wanted
