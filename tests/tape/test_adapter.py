"""A tape as an adapter: recorded speed, faster, stepped, held; under virtual time."""

from __future__ import annotations

import math

import anyio
import pytest
import trio.testing

from tests.tape.conftest import BOOK, TRADES, record
from tests.toy.pebble import MARKET
from unitape.adapter import Adapter
from unitape.errors import ConfigError
from unitape.router.holds import HasHoldLimit
from unitape.tape.adapter import TapeAdapter
from unitape.tape.tape import Tape
from unitape_schemas import BookSnapshot, Status, Subscription, Trade


class Sink:
    def __init__(self) -> None:
        self.events = []
        self.times = []

    def deliver(self, events) -> None:
        self.events += events
        self.times += [anyio.current_time()] * len(events)


def adapter(path, **settings) -> TapeAdapter:
    return TapeAdapter(path, market=lambda header: MARKET, **settings)


def virtual(main, *arguments) -> None:
    """Run on trio's clock, which jumps whenever everything waits."""
    trio.run(main, *arguments, clock=trio.testing.MockClock(autojump_threshold=0))


def market_data(events):
    return [event for event in events if not isinstance(event, Status)]


@pytest.mark.parametrize(("speed", "factor"), [(1.0, 1.0), (8.0, 8.0), (0.5, 0.5)])
def test_events_arrive_at_the_recorded_pace_times_the_speed(taped, speed, factor):
    session, path = taped

    async def main() -> None:
        sink = Sink()
        async with adapter(path, speed=speed) as tape:
            tape.attach(sink)
            begun = anyio.current_time()
            result = await tape.subscribe([TRADES, BOOK])
            assert set(result.confirmed) == {TRADES, BOOK}
            await tape.finished.wait()
            took = anyio.current_time() - begun
        assert took == pytest.approx(session.mono / 1e9 / factor, rel=0.02)
        assert sink.events[:-1] == session.events
        first = session.events[0].ts_recv
        for event, at in zip(sink.events[:-1], sink.times, strict=False):
            assert (at - begun) * factor == pytest.approx((event.ts_recv - first) / 1e9, abs=0.02)

    virtual(main)


@pytest.mark.anyio
async def test_without_pauses_the_stream_is_the_live_feed(taped, anyio_backend):
    session, path = taped
    async with adapter(path, speed=math.inf) as tape:
        assert isinstance(tape, Adapter)
        stream = tape.stream()
        await tape.subscribe([TRADES, BOOK])
        events = [event async for event in stream]
    assert market_data(events) == market_data(session.events)
    assert (events[-1].code, events[-1].text) == ("disconnected", "the tape ends")


@pytest.mark.anyio
async def test_a_slow_reader_stops_the_tape_and_loses_nothing(tmp_path, anyio_backend, monkeypatch):
    path = tmp_path / "long.tape"
    session = record(path, trades=3_000)
    monkeypatch.setattr("unitape.tape.adapter.BUFFERED", 64)
    async with adapter(path, speed=math.inf) as tape:
        stream = tape.stream()
        await tape.subscribe([TRADES])
        ids = []
        async for event in stream:
            await anyio.lowlevel.checkpoint()
            if isinstance(event, Trade):
                ids.append(event.id)
            assert not isinstance(event, Status) or event.code != "dropped"
    assert ids == [event.id for event in session.events if isinstance(event, Trade)]


def test_only_what_is_subscribed_to_is_delivered_and_the_rest_rejected(taped):
    session, path = taped

    async def main() -> None:
        sink = Sink()
        other = Subscription("trades", "ETH/EUR")
        async with adapter(path, speed=math.inf) as tape:
            tape.attach(sink)
            result = await tape.subscribe([TRADES, other])
            assert result.confirmed == (TRADES,)
            assert [item.subscription for item in result.rejected] == [other]
            assert "not subscribed to when" in result.rejected[0].text
            await tape.finished.wait()
        assert {type(event) for event in sink.events} == {Trade, Status}
        assert [e for e in sink.events if isinstance(e, Trade)] == [e for e in session.events if isinstance(e, Trade)]
        assert sum(e.code == "rejected" for e in sink.events if isinstance(e, Status)) == 1

    virtual(main)


def test_a_book_subscribed_to_late_begins_with_a_snapshot(taped):
    _, path = taped

    async def main() -> None:
        sink = Sink()
        async with adapter(path, speed=0) as tape:
            tape.attach(sink)
            await tape.subscribe([TRADES])
            tape.step(12)
            sink.events.clear()
            await tape.subscribe([BOOK])
            assert [type(event) for event in sink.events] == [BookSnapshot]
            assert sink.events[0].seq == 101
            assert tape.book("BTC/EUR").best_bid == (63000.0, 0.04)
            assert BookSnapshot in {type(event) for event in tape.state()}

    virtual(main)


def test_steps_move_the_tape_one_input_at_a_time(taped):
    session, path = taped

    async def main() -> None:
        sink = Sink()
        async with adapter(path, speed=0) as tape:
            tape.attach(sink)
            await tape.subscribe([TRADES, BOOK])
            await anyio.sleep(3600)
            assert sink.events == []
            steps = 0
            while tape.step():
                steps += 1
            assert tape.finished.is_set()
            assert tape.step(10) == 0
        assert market_data(sink.events) == market_data(session.events)
        assert steps == sum(hasattr(item, "ts") for _, item in Tape(path).records())

    virtual(main)


def test_a_held_tape_stands_still_and_goes_on_at_its_pace(taped):
    session, path = taped

    async def main() -> None:
        sink = Sink()
        async with adapter(path) as tape:
            tape.attach(sink)
            begun = anyio.current_time()
            await tape.subscribe([TRADES, BOOK])
            await anyio.sleep(1.0)
            tape.hold(True)
            seen = len(sink.events)
            await anyio.sleep(100)
            assert len(sink.events) == seen
            tape.hold(False)
            await tape.finished.wait()
            took = anyio.current_time() - begun
        assert took == pytest.approx(session.mono / 1e9 + 100, rel=0.01)
        assert market_data(sink.events) == market_data(session.events)

    virtual(main)


def test_the_tape_of_a_killed_recorder_says_where_it_ends(tmp_path):
    path = tmp_path / "cut.tape"
    record(path, trades=400)
    path.write_bytes(path.read_bytes()[:-40])

    async def main() -> None:
        sink = Sink()
        async with adapter(path, speed=math.inf) as tape:
            tape.attach(sink)
            await tape.subscribe([TRADES])
            await tape.finished.wait()
        assert sink.events[-1].text == f"the tape ends at byte {Tape(path).truncated_at}: its recorder did not finish"

    virtual(main)


def test_leaving_early_leaves_nothing_behind(taped):
    _, path = taped

    async def main() -> None:
        sink = Sink()
        async with adapter(path) as tape:
            tape.attach(sink)
            await tape.subscribe([TRADES, BOOK])
            await anyio.sleep(0.5)
        seen = len(sink.events)
        await anyio.sleep(100)
        assert len(sink.events) == seen

    virtual(main)


def test_a_wrong_venue_or_speed_is_a_wrong_call(taped):
    _, path = taped
    with pytest.raises(ConfigError, match="holds pebble"):
        adapter(path, venue="stone")
    with pytest.raises(ConfigError, match="speed"):
        adapter(path, speed=-1.0)
    tape = adapter(path)
    assert (tape.venue, tape.owns(TRADES), tape.owns(Subscription("trades", "A/B:B"))) == ("pebble", True, False)
    assert tape.plan([TRADES]) == []


def test_a_tape_may_be_held_as_long_as_anyone_likes(taped):
    _, path = taped
    year = 365 * 86_400
    assert adapter(path).hold_limit > 10 * year
    assert isinstance(adapter(path), HasHoldLimit), "the router asks for it by this protocol"


@pytest.mark.anyio
async def test_two_slow_readers_both_stop_the_tape(tmp_path, anyio_backend, monkeypatch):
    path = tmp_path / "long.tape"
    session = record(path, trades=3_000)
    monkeypatch.setattr("unitape.tape.adapter.BUFFERED", 64)
    recorded = [event.id for event in session.events if isinstance(event, Trade)]
    seen = {1: [], 7: []}

    async def read(stream, pauses: int) -> None:
        async for event in stream:
            for _ in range(pauses):
                await anyio.lowlevel.checkpoint()
            assert not isinstance(event, Status) or event.code != "dropped", f"reader with {pauses} pauses"
            if isinstance(event, Trade):
                seen[pauses].append(event.id)

    with anyio.fail_after(60):
        async with adapter(path, speed=math.inf) as tape, anyio.create_task_group() as tasks:
            for pauses in seen:
                tasks.start_soon(read, tape.stream(), pauses)
            await tape.subscribe([TRADES])
    assert seen == {1: recorded, 7: recorded}
