"""What ``adapter.stream()`` returns: it may be left at any moment, and leaves nothing behind."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import pytest

from tests.tape.conftest import record
from tests.toy.pebble import MARKET, VENUE
from unitape.adapter import Adapter, VenueAdapter
from unitape.paper import PaperAdapter
from unitape.tape.adapter import TapeAdapter
from unitape.transport.memory import MemoryTransport
from unitape_schemas import Event, Trade

pytestmark = pytest.mark.anyio
Case = tuple[Any, Callable[[list[Event]], None]]


@pytest.fixture(params=["trio", "asyncio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


class Nowhere:
    """No connection is made in these tests."""


def live() -> VenueAdapter:
    return VenueAdapter(VENUE, transport=MemoryTransport(Nowhere()), offline=True)  # type: ignore[arg-type]


@pytest.fixture(params=["live", "tape", "paper"])
def case(request: pytest.FixtureRequest, tmp_path: Path) -> Case:
    """Return an adapter of each kind, and what makes it deliver."""
    if request.param == "live":
        adapter = live()
        return adapter, adapter._deliver
    if request.param == "paper":
        paper = PaperAdapter(live())
        return paper, paper._forward
    path = tmp_path / "session.tape"
    record(path)
    tape = TapeAdapter(path, market=lambda header: MARKET)
    return tape, tape._deliver


def trades(count: int, first: int = 0) -> list[Event]:
    return [Trade("pebble", "BTC/EUR", 0, 0, 1, str(number), 1.0, 1.0, "buy") for number in range(first, first + count)]


def ids(events: list[Event]) -> list[str | None]:
    return [event.id for event in events if isinstance(event, Trade)]


def sinks(adapter: Adapter) -> int:
    return len(adapter._sinks)  # type: ignore[attr-defined]


async def test_a_loop_that_is_left_leaves_nothing_attached(case: Case) -> None:
    adapter, deliver = case
    async with adapter:
        before = sinks(adapter)
        kept = adapter.stream()
        deliver(trades(3))
        async for event in kept:
            assert event.id == "0"
            break
        assert sinks(adapter) == before + 1, "whoever holds it reads on"
        deliver(trades(1, 3))
        assert [(await anext(kept)).id for _ in range(3)] == ["1", "2", "3"]
        del kept

        async def leave_at_once() -> None:
            async for _ in adapter.stream():
                break

        with anyio.fail_after(5):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(leave_at_once)
                await anyio.lowlevel.checkpoint()
                while sinks(adapter) == before:
                    await anyio.lowlevel.checkpoint()
                deliver(trades(1))
        assert sinks(adapter) == before


async def test_one_that_was_never_read_detaches_when_it_is_dropped(case: Case) -> None:
    adapter, _ = case
    async with adapter:
        before = sinks(adapter)
        stream = adapter.stream()
        assert sinks(adapter) == before + 1
        del stream
        assert sinks(adapter) == before


async def test_an_error_within_the_loop_detaches_too(case: Case) -> None:
    adapter, deliver = case

    async def fail() -> None:
        stream = adapter.stream()
        deliver(trades(2))
        async for event in stream:
            raise ValueError(event.id)

    async with adapter:
        before = sinks(adapter)
        with pytest.raises(ValueError, match="0"):
            await fail()
        assert sinks(adapter) == before


async def test_closing_ends_it_once_it_is_read(case: Case) -> None:
    adapter, deliver = case
    async with adapter:
        before = sinks(adapter)
        async with adapter.stream() as stream:
            deliver(trades(2))
        deliver(trades(1, 2))
        assert sinks(adapter) == before
        assert ids([event async for event in stream]) == ["0", "1"]
        await stream.aclose()


async def test_the_end_of_the_adapter_is_the_end_of_its_streams(case: Case) -> None:
    adapter, deliver = case
    async with adapter:
        stream = adapter.stream()
        deliver(trades(2))
    with anyio.fail_after(5):
        assert ids([event async for event in stream]) == ["0", "1"]


async def test_a_reader_that_never_waits_lets_others_run_and_loses_nothing_when_cancelled(case: Case) -> None:
    adapter, deliver = case
    seen: list[str | None] = []
    turns: list[int] = []

    async def other() -> None:
        for _ in range(3):
            turns.append(len(seen))
            await anyio.lowlevel.checkpoint()

    async with adapter:
        stream = adapter.stream()
        deliver(trades(1_000))
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(other)
            while len(seen) < 1_000:
                # Cancelled at every step that waits: what was not returned must come again.
                with anyio.CancelScope() as scope:
                    scope.cancel()
                    seen.append((await anext(stream)).id)
                if scope.cancelled_caught:
                    seen.append((await anext(stream)).id)
    assert seen == [str(number) for number in range(1_000)]
    assert max(turns) > 0, f"the other task ran at {turns}"
