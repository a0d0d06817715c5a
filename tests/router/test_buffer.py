"""One consumer's buffer, by hand: what is lost, how many, and where it is said."""

from __future__ import annotations

import anyio
import pytest

from unitape.books import OrderBook
from unitape.buffer import Buffer
from unitape.errors import ConfigError, ConsumerOverflow
from unitape_schemas import BookDelta, BookSnapshot, Event, Liquidation, MarkPrice, Status, Trade

from .fakes import SYMBOL, candle, delta, quote, snapshot, status, trade


def told(events: list[Event]) -> list[tuple[str, str | None, int | None]]:
    return [(e.code, e.subscription, e.count) for e in events if isinstance(e, Status)]


def ids(events: list[Event]) -> list[str | None]:
    return [e.id for e in events if isinstance(e, Trade)]


@pytest.mark.parametrize("overflow", ["block", "conflate", "drop_oldest", "fail"])
def test_a_consumer_that_keeps_up_gets_the_events_themselves(overflow) -> None:
    buffer = Buffer(capacity=4, overflow=overflow)
    events = [quote(1), quote(2), trade(3), status(4)]
    for _ in range(3):
        buffer.deliver(events[:2])
        buffer.deliver(events[2:])
        assert buffer.take() == events
    assert (buffer.lost, buffer.conflated, buffer.take()) == (0, 0, [])


def test_drop_oldest_counts_per_subscription_and_says_it_in_place() -> None:
    buffer = Buffer(capacity=4, name="slow")
    buffer.deliver([trade(1), status(2), quote(3), trade(4)])
    buffer.deliver([trade(5), trade(6), trade(7)])
    events = buffer.take()
    assert told(events) == [
        ("dropped", f"trades {SYMBOL}", 2),
        ("connected", None, None),
        ("dropped", f"quotes {SYMBOL}", 1),
    ]
    assert [type(e).__name__ for e in events] == ["Status", "Status", "Status", "Trade", "Trade", "Trade"]
    assert ids(events) == ["5", "6", "7"]
    assert events[0].ts_recv == 4
    assert "slow" in events[0].text
    assert buffer.lost == 3
    buffer.deliver([trade(8)])
    assert buffer.take() == [trade(8)]


def test_subscriptions_that_differ_in_detail_are_counted_apart() -> None:
    buffer = Buffer(capacity=1)
    buffer.deliver([candle(1, closed=True), trade(2), trade(3, symbol="ETH/USDT"), trade(4, venue="beta"), trade(5)])
    events = buffer.take()
    assert [(e.venue, e.subscription, e.count) for e in events if isinstance(e, Status)] == [
        ("alpha", f"candles:1m {SYMBOL}", 1),
        ("alpha", f"trades {SYMBOL}", 1),
        ("alpha", "trades ETH/USDT", 1),
        ("beta", f"trades {SYMBOL}", 1),
    ]
    assert ids(events) == ["5"]


def test_statuses_are_never_dropped_and_become_one_when_they_alone_fill_the_buffer() -> None:
    buffer = Buffer(capacity=3)
    buffer.deliver([status(1), trade(2), status(3, "stale"), status(4, "gap"), status(5, "rotated")])
    assert told(buffer.take()) == [
        ("connected", None, None),
        ("dropped", f"trades {SYMBOL}", 1),
        ("stale", None, None),
        ("gap", None, None),
        ("rotated", None, None),
    ]
    for number in range(100):
        buffer.deliver([status(number, "connected"), status(number, "disconnected")])
    events = buffer.take()
    assert len(events) <= 1 + 2 * 3
    kept = [e for e in events if e.code != "conflated"]
    assert {e.code for e in kept} == {"connected", "disconnected"}
    assert kept[-1].text == "99"
    assert events[0].code == "conflated"
    assert events[0].count == 200 - len(kept)


def test_fail_delivers_what_is_buffered_and_then_raises_with_the_count() -> None:
    buffer = Buffer(capacity=3, overflow="fail", name="strict")
    buffer.deliver([trade(1), trade(2)])
    buffer.deliver([trade(3), trade(4)])
    buffer.deliver([trade(5)])
    assert ids(buffer.take()) == ["1", "2", "3"]
    buffer.deliver([trade(6)])
    with pytest.raises(ConsumerOverflow, match="'strict' fell behind its buffer of 3") as caught:
        buffer.take()
    assert caught.value.dropped == 3
    assert buffer.lost == 3


def test_conflate_keeps_the_newest_state_and_every_trade_in_order_of_arrival() -> None:
    buffer = Buffer(capacity=5, overflow="conflate")
    mark, index = (
        MarkPrice("alpha", SYMBOL, 0, 0, 5, 1.0, None),
        MarkPrice("alpha", SYMBOL, 0, 0, 6, None, 2.0),
    )
    buffer.deliver([quote(1), trade(2), quote(3), trade(4), quote(5)])
    buffer.deliver([quote(6), mark, index])
    events = buffer.take()
    assert told(events) == [("conflated", None, 3)]
    assert events[1:] == [trade(2), trade(4), quote(6), mark, index]
    assert (buffer.conflated, buffer.lost) == (3, 0)


def test_conflate_never_replaces_a_finished_candle() -> None:
    buffer = Buffer(capacity=3, overflow="conflate")
    candles = [candle(n, closed=n in (2, 4)) for n in range(1, 6)]
    buffer.deliver(candles)
    assert buffer.take()[1:] == [candles[1], candles[3], candles[4]]


def test_conflate_drops_the_oldest_trades_with_a_count_when_they_alone_fill_the_buffer() -> None:
    buffer = Buffer(capacity=3, overflow="conflate")
    flood: list[Event] = [trade(n) for n in range(1, 8)]
    buffer.deliver([quote(0), *flood])
    events = buffer.take()
    assert events[0] == quote(0), "the latest quote survives: it is still the truth"
    assert told(events) == [("dropped", f"trades {SYMBOL}", 5)]
    assert ids(events) == ["6", "7"]
    liquidation = Liquidation("alpha", SYMBOL, 0, 0, 1, "sell", 1.0, 1.0)
    buffer.deliver([liquidation, trade(8), trade(9), trade(10)])
    assert told(buffer.take()) == [("dropped", f"liquidations {SYMBOL}", 1)]


def test_conflate_merges_deltas_of_one_epoch_and_a_snapshot_replaces_all_of_its_book() -> None:
    buffer = Buffer(capacity=2, overflow="conflate")
    buffer.deliver([snapshot(1), *(delta(seq, size=float(seq)) for seq in range(2, 200))])
    events = buffer.take()
    assert told(events) == [("conflated", None, 197)]
    assert isinstance(events[1], BookSnapshot)
    assert isinstance(events[2], BookDelta)
    assert (events[2].prev_seq, events[2].seq, events[2].bids) == (1, 199, ((99.0, 199.0),))
    buffer.deliver([delta(200), delta(201), snapshot(1, 2), delta(2, 2)])
    assert told(events := buffer.take()) == [("conflated", None, 2)]
    assert events[1:] == [snapshot(1, 2), delta(2, 2)]


def test_a_book_that_lost_a_delta_comes_back_whole_and_goes_on() -> None:
    live = OrderBook("alpha", SYMBOL)
    buffer = Buffer(capacity=3, snapshot_of=lambda venue, symbol: live.snapshot())

    def feed(*events: Event) -> None:
        for event in events:
            if isinstance(event, BookSnapshot):
                live.load(event)
            elif isinstance(event, BookDelta):
                live.apply(event)
        buffer.deliver(events)

    feed(snapshot(1), delta(2))
    assert buffer.take() == [snapshot(1), delta(2)]
    feed(delta(3), delta(4), trade(1), trade(2))
    feed(delta(5, size=7.0))
    events = buffer.take()
    assert told(events) == [("dropped", f"book {SYMBOL}", 3), ("resynced", f"book {SYMBOL}", None)]
    assert ids(events) == ["1", "2"]
    whole = events[-1]
    assert isinstance(whole, BookSnapshot)
    assert (whole.seq, whole.epoch, whole.bids) == (5, 1, ((99.0, 7.0),))
    feed(delta(6))
    assert buffer.take() == [delta(6)]


def test_deltas_of_a_broken_book_stay_withheld_until_the_next_snapshot_when_none_is_live() -> None:
    buffer = Buffer(capacity=2)
    buffer.deliver([delta(2), trade(1), trade(2)])
    assert told(buffer.take()) == [("dropped", f"book {SYMBOL}", 1)]
    buffer.deliver([delta(3), delta(4)])
    assert told(buffer.take()) == [("dropped", f"book {SYMBOL}", 2)]
    buffer.deliver([snapshot(9, 2), delta(10, 2)])
    assert buffer.take() == [snapshot(9, 2), delta(10, 2)]


def test_a_snapshot_that_waits_already_saves_the_book() -> None:
    buffer = Buffer(capacity=3)
    buffer.deliver([delta(2), delta(3), snapshot(9, 2), delta(10, 2)])
    events = buffer.take()
    assert told(events) == [("dropped", f"book {SYMBOL}", 2)]
    assert events[1:] == [snapshot(9, 2), delta(10, 2)]


def test_what_a_late_consumer_is_given_first_is_beside_the_capacity_and_never_told_twice() -> None:
    buffer = Buffer(capacity=2)
    buffer.give([status(1), snapshot(5), status(2), status(3)])
    buffer.deliver([delta(5), delta(6)])
    buffer.deliver([delta(7)])
    assert buffer.take() == [status(1), snapshot(5), status(2), status(3), delta(6), delta(7)]
    assert buffer.lost == 0


def test_block_presses_once_per_read_and_drops_with_a_count_what_does_not_fit() -> None:
    pressed: list[bool] = []
    buffer = Buffer(capacity=4, overflow="block", pressure=pressed.append)
    buffer.deliver([trade(1)])
    assert pressed == []
    buffer.deliver([trade(2)])
    buffer.deliver([trade(3), trade(4)])
    assert pressed == [True]
    buffer.deliver([trade(5), trade(6)])
    events = buffer.take()
    assert pressed == [True, False]
    assert told(events) == [("dropped", f"trades {SYMBOL}", 2)]
    assert ids(events) == ["3", "4", "5", "6"]


@pytest.mark.anyio
async def test_a_burst_wakes_the_consumer_once() -> None:
    buffer = Buffer()
    batches: list[list[Event]] = []

    async def consume() -> None:
        while batch := await buffer.get_batch():
            batches.append(batch)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(consume)
        await anyio.wait_all_tasks_blocked()
        for number in range(5):
            buffer.deliver([trade(number)])
        await anyio.wait_all_tasks_blocked()
        assert batches == [[trade(n) for n in range(5)]]
        buffer.deliver([trade(6)])
        buffer.close()
    assert batches[1:] == [[trade(6)]]


@pytest.mark.anyio
async def test_two_tasks_cannot_read_one_buffer() -> None:
    buffer = Buffer()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(buffer.get_batch)
        await anyio.wait_all_tasks_blocked()
        with pytest.raises(ConfigError, match="two tasks"):
            await buffer.get_batch()
        buffer.close()


@pytest.mark.parametrize("choice", [{"capacity": 0}, {"overflow": "hope"}])
def test_wrong_choices_are_refused(choice) -> None:
    with pytest.raises(ConfigError):
        Buffer(**choice)
