"""Each row of the joiner's table of states, by hand."""

from __future__ import annotations

import pytest

from tests.book.venues import Consumer, EqualIdRule, FuturesRule, SpotRule, VersionRule
from unitape.books import BookJoin, JoinState
from unitape.books.join import DELAYS
from unitape.spi import SECOND, DepthUpdate
from unitape_schemas import BookDelta, BookSnapshot, Status

BIDS = tuple((float(p), 1.0) for p in range(100, 80, -1))
ASKS = tuple((float(p), 1.0) for p in range(101, 121))


def change(first: int | None, seq: int, bids: tuple = (), asks: tuple = (), *, prev: int | None = None, ts: int = 0):
    return DepthUpdate("venue", "A/B", ts, ts, ts, bids, asks, first, seq, prev)


def image(seq: int, bids: tuple = BIDS, asks: tuple = ASKS, *, depth: int | None = 1000, ts: int = 0) -> DepthUpdate:
    return DepthUpdate("venue", "A/B", ts, ts, ts, bids, asks, None, seq, None, True, depth)


def joiner(rule: object = None, **options: object) -> BookJoin:
    return BookJoin(rule or SpotRule(), "venue", "A/B", **options)


def live(rule: object = None, picture: DepthUpdate | None = None, **options: object) -> BookJoin:
    """A joiner that is LIVE at update 10."""
    join = joiner(rule, **options)
    picture = picture or image(10)
    if join._rule.snapshot == "stream":
        join.update(picture)
    else:
        join.start()
        join.update(change(8, 10))
        join.state = JoinState.WAITING_SNAPSHOT
        join.snapshot(picture)
    join.want = None
    assert join.state is JoinState.LIVE
    return join


def codes(events: list) -> list[str]:
    return [event.code if isinstance(event, Status) else type(event).__name__ for event in events]


def test_buffering_asks_when_enough_has_come() -> None:
    join = joiner(FuturesRule())
    join.start()
    assert join.update(change(8, 10, prev=7)) == []
    assert (join.state, join.want) == (JoinState.BUFFERING, None)
    join.update(change(12, 15, prev=10))
    assert (join.state, join.want, join.delay) == (JoinState.WAITING_SNAPSHOT, "snapshot", 0.0)


def test_a_sleeping_symbol_is_joined_without_updates() -> None:
    join = joiner()
    join.start()
    join.tick(5 * SECOND)
    join.tick(7 * SECOND)
    assert join.want is None
    join.tick(8 * SECOND)
    assert join.want == "snapshot"
    assert codes(join.snapshot(image(10))) == ["BookSnapshot"]
    assert codes(join.update(change(11, 12))) == ["BookDelta"]
    assert codes(join.update(change(14, 15))) == ["gap"]


def test_after_a_sleepers_snapshot_the_first_update_must_join_it() -> None:
    join = joiner()
    join.start()
    join.tick(0)
    join.tick(3 * SECOND)
    join.snapshot(image(10))
    assert codes(join.update(change(13, 14))) == ["gap"]
    assert join.book.stale


def test_an_old_snapshot_is_asked_for_again_later_each_time() -> None:
    join = joiner()
    join.update(change(20, 22))
    delays = []
    for _ in range(9):
        delays.append(join.delay)
        join.want = None
        assert join.snapshot(image(10)) == []
        assert join.want == "snapshot"
    assert delays == [*DELAYS, DELAYS[-1]]
    assert codes(join.snapshot(image(19))) == ["BookSnapshot", "BookDelta"]
    assert (join.book.seq, join.want) == (22, None)


def test_a_gap_joins_again_while_the_last_book_stays_readable() -> None:
    join = live()
    join.update(change(11, 11, bids=((100.0, 7.0),)))
    (gap,) = join.update(change(15, 16, bids=((100.0, 9.0),)))
    assert (gap.code, gap.count, gap.subscription, gap.symbol) == ("gap", None, "book A/B", "A/B")
    assert gap.text == "update 15..16 does not follow update 11; the book is joined again"
    assert (join.book.stale, join.book.best_bid, join.book.seq) == (True, (100.0, 7.0), 11)
    assert join.want == "snapshot"
    events = join.snapshot(image(15))
    assert codes(events) == ["resynced", "BookSnapshot", "BookDelta"]
    assert (events[1].epoch, events[2].epoch, events[2].prev_seq) == (2, 2, 15)
    assert (join.book.stale, join.book.best_bid) == (False, (100.0, 9.0))


def test_losses_while_joining_are_told_and_buffering_begins_again() -> None:
    join = joiner()
    join.update(change(8, 10))
    (gap,) = join.update(change(15, 16))
    assert gap.text == "update 15..16 does not follow update 10 while joining; buffering begins again"
    assert join.snapshot(image(9)) == [], "what is missing lies after this snapshot"
    assert codes(join.snapshot(image(14))) == ["BookSnapshot", "BookDelta"]


def test_the_buffer_is_bounded() -> None:
    join = joiner(buffer_cap=3)
    for seq in (11, 12, 13):
        assert join.update(change(seq, seq)) == []
    (gap,) = join.update(change(14, 14))
    assert (gap.code, gap.count) == ("gap", 3)
    assert gap.text == "3 updates came without a snapshot that joins them; buffering begins again"
    assert len(join._buffer) == 1
    assert codes(join.snapshot(image(13))) == ["BookSnapshot", "BookDelta"]


@pytest.mark.parametrize("side", ["bid", "ask"])
def test_a_crossing_update_is_not_delivered(side: str) -> None:
    join = live()
    bad = {"bid": {"bids": ((99.0, 5.0), (102.0, 1.0))}, "ask": {"asks": ((101.0, 0.0), (98.0, 2.0))}}[side]
    before = join.book.bids(), join.book.asks()
    (status,) = join.update(change(11, 12, **bad))
    assert status.code == "gap"
    assert status.text == "update 11..12 would cross the book; the book is joined again"
    assert (join.book.bids(), join.book.asks()) == before, "the last good book stays readable"
    assert (join.book.stale, join.want, join.book.seq) == (True, "snapshot", 10)
    assert codes(join.snapshot(image(12))) == ["resynced", "BookSnapshot"]


def test_a_move_through_the_other_side_is_no_crossing() -> None:
    join = live()
    (delta,) = join.update(change(11, 11, bids=((101.0, 2.0),), asks=((101.0, 0.0),)))
    assert isinstance(delta, BookDelta)
    assert join.book.best() == ((101.0, 2.0), (102.0, 1.0))


def test_a_crossed_snapshot_is_refused() -> None:
    join = joiner()
    join.update(change(8, 10))
    join.want = None
    (status,) = join.snapshot(image(10, bids=((105.0, 1.0),)))
    assert (status.code, join.want, join.book.epoch) == ("stale", "snapshot", 0)
    assert codes(join.snapshot(image(10))) == ["BookSnapshot"]


def test_an_emptied_side_is_delivered_marked_and_confirmed() -> None:
    join = live(picture=image(10, bids=((100.0, 1.0),)))
    delta, status = join.update(change(11, 11, bids=((100.0, 0.0),)))
    assert isinstance(delta, BookDelta)
    assert status.code == "stale"
    assert status.text == "update 11 took the last verified bid; asking for a snapshot"
    assert (join.state, join.want, join.book.stale) == (JoinState.REFRESHING, "snapshot", True)
    assert codes(join.update(change(12, 12, asks=((101.0, 3.0),)))) == ["BookDelta"]
    assert codes(join.snapshot(image(11, bids=()))) == ["resynced", "BookSnapshot", "BookDelta"]
    assert (join.book.stale, join.book.empty, join.want) == (False, True, None)


def test_a_window_that_runs_low_is_refreshed_without_a_pause() -> None:
    join = live(picture=image(10, depth=20))
    assert join.book.verified_depth("bid") == 81.0
    seq = 10
    for price in range(100, 84, -1):
        assert (join.state, join.want) == (JoinState.LIVE, None)
        seq += 1
        assert codes(join.update(change(seq, seq, bids=((float(price), 0.0),)))) == ["BookDelta"]
    assert (join.state, join.want, join.book.stale) == (JoinState.REFRESHING, "snapshot", False)
    assert codes(join.update(change(seq + 1, seq + 1, bids=((83.0, 6.0),)))) == ["BookDelta"]
    fresh = tuple((float(p), 1.0) for p in range(84, 64, -1))
    events = join.snapshot(image(seq, fresh, depth=20))
    assert codes(events) == ["BookSnapshot", "BookDelta"]
    assert (join.state, join.book.bids(2)) == (JoinState.LIVE, ((84.0, 1.0), (83.0, 6.0)))
    assert join.book.verified_depth("bid") == 65.0
    assert codes(join.update(change(seq + 2, seq + 2))) == ["BookDelta"]


def test_a_refresh_never_takes_the_book_back() -> None:
    join = live(picture=image(10, BIDS[:4], depth=4))
    for seq, (price, _) in enumerate(BIDS[:4], 11):
        join.update(change(seq, seq, bids=((price, 0.0), (price - 50, 1.0))))
    assert (join.state, join.book.seq) == (JoinState.REFRESHING, 14)
    join.want = None
    before = join.book.known("bid")
    assert join.snapshot(image(13)) == [], "a lagging snapshot, and no update came since that would show it"
    assert (join.state, join.want, join.book.seq, join.book.epoch) == (JoinState.REFRESHING, "snapshot", 14, 1)
    assert join.book.known("bid") == before
    assert codes(join.update(change(15, 15))) == ["BookDelta"], "the book goes on meanwhile"
    assert codes(join.snapshot(image(15))) == ["BookSnapshot"]
    assert (join.state, join.book.seq, join.book.epoch) == (JoinState.LIVE, 15, 2)


def test_a_gap_while_refreshing_is_a_gap() -> None:
    join = live(picture=image(10, BIDS[:4], depth=4))
    events = []
    for seq, (price, _) in enumerate(BIDS[:4], 11):
        events += join.update(change(seq, seq, bids=((price, 0.0), (price - 50, 1.0))))
    assert (codes(events), join.state) == (["BookDelta"] * 4, JoinState.REFRESHING)
    assert codes(join.update(change(20, 21))) == ["gap"]
    assert join.snapshot(image(14)) == [], "asked for before the gap, and older than what came after"
    assert codes(join.snapshot(image(19))) == ["resynced", "BookSnapshot", "BookDelta"]


def test_a_side_grown_too_long_is_pruned_aloud(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("unitape.books._joined.PRUNE_FROM", 10)
    join = joiner()
    consumer = Consumer()
    join.update(change(10, 10))
    for event in join.snapshot(image(10, BIDS[:10], ((1000.0, 1.0),), depth=10)):
        consumer.take(event)
    sent = {}
    for step in range(300):
        top = 100.0 + step
        sent[top] = 1.0
        (delta,) = join.update(change(11 + step, 11 + step, ((top, 1.0),)))
        consumer.take(delta)
        assert dict(join.book.known("bid")) == consumer.book[0]
    assert 10 <= len(consumer.book[0]) <= 20
    best = sorted(sent.items(), reverse=True)[: len(consumer.book[0])]
    assert join.book.bids() == tuple(best), "what is left is complete"
    assert join.book.depth_at("bid", 100.0) is None


def test_levels_that_fall_out_of_the_kept_window_are_removed_aloud() -> None:
    join = joiner(EqualIdRule())
    (snapshot,) = join.update(image(10, BIDS[:5], ASKS[:5], depth=5))
    assert len(snapshot.bids) == 5
    (delta,) = join.update(change(10, 12, bids=((100.5, 3.0), (99.0, 2.0))))
    assert delta.bids == ((100.5, 3.0), (99.0, 2.0), (96.0, 0.0))
    assert [price for price, _ in join.book.bids()] == [100.5, 100.0, 99.0, 98.0, 97.0]
    assert (join.book.is_whole("bid"), join.book.verified_depth("bid")) == (False, 97.0)
    (delta,) = join.update(change(12, 13, bids=((97.0, 0.0), (98.0, 0.0))))
    assert join.book.is_whole("bid"), "fewer than the venue keeps: there are no more"
    assert join.book.depth_at("bid", 1.0) == 3.0 + 1.0 + 2.0


def test_a_stream_that_sends_its_snapshot_is_asked_to_begin_again() -> None:
    join = joiner(EqualIdRule())
    join.start()
    assert join.update(change(9, 10)) == [], "before its snapshot an update says nothing"
    join.tick(0)
    assert join.want is None
    join.tick(10 * SECOND)
    assert join.want == "resubscribe"
    join.want = None
    assert codes(join.update(image(20, BIDS[:5], ASKS[:5]))) == ["BookSnapshot"]
    assert codes(join.update(change(20, 22))) == ["BookDelta"]
    assert codes(join.update(change(23, 24))) == ["gap"]
    assert (join.state, join.want, join.book.stale) == (JoinState.WAITING_SNAPSHOT, "resubscribe", True)
    assert codes(join.update(image(30, BIDS[:5], ASKS[:5]))) == ["resynced", "BookSnapshot"]
    assert codes(join.update(image(35, BIDS[:5], ASKS[:5]))) == ["BookSnapshot"], "unasked, in mid-stream"
    assert join.book.epoch == 3


def test_a_gap_is_repaired_within_the_epoch() -> None:
    join = live(VersionRule(), repairs=True)
    assert codes(join.update(change(None, 14))) == ["gap"]
    assert (join.state, join.want, join.repair_after) == (JoinState.REPAIRING, "repair", 10)
    assert join.update(change(None, 15)) == []
    events = join.repaired([change(None, seq, bids=((90.0, float(seq)),)) for seq in (13, 11, 12, 10)])
    assert codes(events) == ["recovered", *["BookDelta"] * 5]
    assert [event.seq for event in events[1:]] == [11, 12, 13, 14, 15]
    assert {event.epoch for event in events[1:]} == {1}
    assert (events[0].count, join.book.stale, join.state) == (3, False, JoinState.LIVE)


@pytest.mark.parametrize("known", [(), (12, 13), (11, 12)])
def test_a_repair_that_does_not_reach_falls_back_to_a_snapshot(known: tuple[int, ...]) -> None:
    join = live(VersionRule(), repairs=True)
    join.update(change(None, 14))
    assert join.repaired([change(None, seq) for seq in known]) == []
    assert (join.state, join.want, join.book.seq) == (JoinState.WAITING_SNAPSHOT, "snapshot", 10)
    assert codes(join.snapshot(image(13))) == ["resynced", "BookSnapshot", "BookDelta"]


def test_a_failed_answer_is_wanted_again() -> None:
    join = live(VersionRule(), repairs=True)
    join.update(change(None, 14))
    (status,) = join.failed("HTTP 500")
    assert (status.code, join.want) == ("stale", "snapshot")
    assert status.text == f"no snapshot (HTTP 500); asking again in {join.delay:g} s"
    earlier = join.delay
    join.failed("HTTP 500")
    assert join.delay > earlier


def test_tries_begin_anew_after_a_book_that_held() -> None:
    join = live(picture=image(10, ts=1))
    join.update(change(20, 21, ts=2 * SECOND))
    assert join.delay > 0.0
    join.snapshot(image(21, ts=3 * SECOND))
    join.update(change(30, 31, ts=60 * SECOND))
    assert join.delay == 0.0


def test_a_reset_ends_the_epoch_and_a_new_stream_begins_with_nothing() -> None:
    join = live()
    (status,) = join.reset("the connection was lost")
    assert (status.code, status.text) == ("stale", "the book ends at update 10: the connection was lost")
    assert (join.state, join.book.stale, join.book.best_bid) == (JoinState.EMPTY, True, (100.0, 1.0))
    assert join.reset("again") == []
    assert join.snapshot(image(11)) == [], "an answer of the time before"
    join.start()
    assert join.book.bids() == ()
    join.update(change(3, 5))
    events = join.snapshot(image(5))
    assert codes(events) == ["resynced", "BookSnapshot"]
    assert events[1].epoch == 2
    assert isinstance(events[1], BookSnapshot)


def test_a_late_snapshot_is_ignored() -> None:
    join = live()
    assert join.snapshot(image(5)) == []
    assert (join.book.seq, join.book.epoch, join.state) == (10, 1, JoinState.LIVE)


def test_an_update_that_came_twice_is_skipped() -> None:
    join = live()
    again = change(11, 12, bids=((100.0, 4.0),))
    assert codes(join.update(again)) == ["BookDelta"]
    assert join.update(again) == []
    assert join.book.seq == 12


def test_an_update_that_crosses_itself_inside_the_spread_is_not_delivered() -> None:
    join = live()
    assert codes(join.update(change(11, 11, bids=((100.4, 1.0),), asks=((100.3, 1.0),)))) == ["gap"]
    assert join.book.best() == ((100.0, 1.0), (101.0, 1.0))


def test_a_crossing_is_not_repaired_by_the_updates_that_led_to_it() -> None:
    join = live(VersionRule(), repairs=True)
    assert codes(join.update(change(None, 11, bids=((105.0, 1.0),)))) == ["gap"]
    assert join.want == "snapshot"


def test_an_old_update_among_the_waiting_ones_is_no_gap() -> None:
    join = joiner()
    join.start()
    events = [*join.update(change(8, 10)), *join.update(change(5, 7)), *join.update(change(11, 12))]
    assert events == []
    assert [update.seq for update in join._buffer] == [10, 12]


def test_the_live_window_grows_where_the_market_moves_through_its_end() -> None:
    join = live(picture=image(10, BIDS[:2], ASKS[:2], depth=2))
    join.update(change(11, 11, ((99.0, 0.0), (100.0, 0.0), (90.0, 1.0)), ((91.0, 1.0),)))
    join.update(change(12, 12, (), ((91.0, 0.0),)))
    assert join.book._bids.edge == 91.0
    join = live(picture=image(10, BIDS[:2], ASKS[:2], depth=2))
    join.update(change(11, 11, ((110.0, 1.0),), ((101.0, 0.0), (102.0, 0.0), (111.0, 1.0))))
    join.update(change(12, 12, ((110.0, 0.0),)))
    assert join.book._asks.edge == 110.0


def test_a_shallow_stream_keeps_its_own_window_not_the_rules_widest() -> None:
    class Widest(EqualIdRule):
        keep = 200

    join = BookJoin(Widest(), "v", "S")
    image = DepthUpdate("v", "S", 0, 0, 1, ((10.0, 1.0), (9.0, 1.0)), ((11.0, 1.0), (12.0, 1.0)), 1, 1, None, True, 2)
    join.update(image)
    better = DepthUpdate("v", "S", 0, 0, 2, ((10.5, 3.0),), (), 1, 2, None)
    (delta,) = join.update(better)
    assert isinstance(delta, BookDelta)
    assert dict(delta.bids) == {10.5: 3.0, 9.0: 0.0}
    assert join.book.bids(5) == ((10.5, 3.0), (10.0, 1.0))
