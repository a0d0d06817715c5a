"""Nothing is lost in silence: numbered trades, trades with ids, refills."""

from __future__ import annotations

from dataclasses import replace

from tests.feed import quarry
from tests.feed.bench import TRADES, Bench, codes, ids, statuses
from unitape.feed.options import FeedOptions
from unitape.spi import HttpResponse
from unitape_schemas import Status, Subscription


def market(continuity: str = "sequence", *, refill: bool = False) -> quarry.QuarryMarket:
    return quarry.QuarryMarket(channels=quarry.channels(continuity, refill=refill))  # type: ignore[arg-type]


def test_a_hole_in_the_numbers_is_counted_exactly() -> None:
    bench = Bench(market())
    conn = bench.up(TRADES)
    events = bench.frame(conn, quarry.trade(5), quarry.trade(6), quarry.trade(10), quarry.trade(11))
    assert ids(events) == ["5", "6", "10", "11"]
    (gap,) = statuses(events, "gap")
    assert (gap.count, gap.subscription) == (3, "trades BTC/EUR")
    assert events.index(gap) == 2
    assert [(s.events, s.gaps, s.duplicates) for s in bench.core.stats()] == [(4, 3, 0)]


def test_numbers_told_beside_the_trades_lead_to_the_same_as_those_in_their_ids() -> None:
    frames = [
        (quarry.trade(5),),
        (quarry.trade(6), quarry.trade(7)),
        (quarry.trade(7),),
        (quarry.trade(9), quarry.trade(10)),
        (quarry.many(quarry.trade(11), quarry.trade(13)),),
        (quarry.trade(14), quarry.trade("x"), quarry.trade(15)),
    ]
    told = []
    for numbered in (False, True):
        bench = Bench(replace(market(), numbered=numbered))
        conn = bench.up(TRADES)
        told.append([event for group in frames for event in bench.frame(conn, *group)] + list(bench.wait(1.0)))
    assert ids(told[1]) == ["5", "6", "7", "9", "10", "11", "13", "14", "x", "15"]
    assert [(s.code, s.count) for s in told[1] if isinstance(s, Status)] == [
        ("gap", 1),
        ("gap", 1),
        ("gap", None),
        ("duplicate", 1),
    ]
    assert told[1] == told[0]


def test_duplicates_are_removed_and_told_once_per_tick() -> None:
    bench = Bench(market())
    conn = bench.up(TRADES)
    events = bench.frame(conn, *(quarry.trade(n) for n in (5, 6, 5, 6, 7, 7)))
    assert ids(events) == ["5", "6", "7"]
    (status,) = bench.wait(1.0)
    assert (status.code, status.count) == ("duplicate", 3)


def test_a_hole_across_a_reconnect_is_counted_exactly() -> None:
    bench = Bench(market())
    conn = bench.up(TRADES)
    bench.frame(conn, quarry.trade(5))
    bench.closed(conn)
    bench.open(1)
    events = bench.frame(1, quarry.trade(9))
    assert codes(events) == ["subscribed", "gap"]
    assert statuses(events, "gap")[0].count == 3


def test_numbers_that_start_again_are_not_taken_for_duplicates() -> None:
    bench = Bench(market())
    conn = bench.up(TRADES)
    bench.frame(conn, quarry.trade(1000, ts=10_000_000_000))
    events = bench.frame(conn, quarry.trade(1, ts=20_000_000_000), quarry.trade(2, ts=20_000_000_001))
    assert ids(events) == ["1", "2"]
    (gap,) = statuses(events, "gap")
    assert gap.count is None


def test_a_gap_is_refilled_in_order_while_later_trades_wait() -> None:
    bench = Bench(market(refill=True))
    conn = bench.up(TRADES)
    events = bench.frame(conn, quarry.trade(5), quarry.trade(8), quarry.trade(9))
    assert ids(events) == ["5"]
    assert statuses(events, "gap")[0].count == 2
    (fetch,) = bench.fetches()
    assert fetch.request.target == "/trades?after=5"
    events = bench.answer(fetch, quarry.rows(6, 7, 8))
    assert ids(events) == ["6", "7", "8", "9"]
    assert isinstance(events[0], Status)
    assert (events[0].code, events[0].count) == ("recovered", 2)
    assert ids(bench.frame(conn, quarry.trade(10))) == ["10"]


def test_a_refill_takes_as_many_pages_as_it_needs() -> None:
    bench = Bench(market(refill=True))
    conn = bench.up(TRADES)
    bench.frame(conn, quarry.trade(1), quarry.trade(8))
    targets = []
    for page in ([2, 3, 4], [5, 6], [7, 8, 9]):
        (fetch,) = bench.fetches()
        targets.append(fetch.request.target)
        bench.answer(fetch, quarry.rows(*page))
    assert targets == ["/trades?after=1", "/trades?after=4", "/trades?after=6"]
    assert ids(bench.events) == [str(n) for n in range(1, 9)]
    assert [s.count for s in statuses(bench.events, "recovered")] == [3, 2, 1]
    assert [s.count for s in statuses(bench.events, "gap")] == [6]


def test_a_second_gap_behind_the_first_is_refilled_too() -> None:
    bench = Bench(market(refill=True))
    conn = bench.up(TRADES)
    bench.frame(conn, *(quarry.trade(n) for n in (1, 3, 5, 6)))
    bench.answer(bench.fetches()[0], quarry.rows(2))
    assert ids(bench.events) == ["1", "2", "3"]
    bench.answer(bench.fetches()[0], quarry.rows(4, 5, 6, 7))
    assert ids(bench.events) == ["1", "2", "3", "4", "5", "6"]
    assert [s.count for s in statuses(bench.events, "gap")] == [1, 1]


def test_a_refill_that_fails_or_is_late_lets_the_trades_go_and_the_gap_stays() -> None:
    for ending in ("fails", "late"):
        bench = Bench(market(refill=True))
        conn = bench.up(TRADES)
        bench.frame(conn, quarry.trade(1), quarry.trade(3))
        (fetch,) = bench.fetches()
        if ending == "fails":
            events = bench.fail(fetch)
        else:
            events = bench.wait(11.0)
            bench.answer(fetch, quarry.rows(2))
        assert ids(events) == ["3"], ending
        assert ids(bench.frame(conn, quarry.trade(4))) == ["4"], ending
        assert ids(bench.events) == ["1", "3", "4"], ending
        assert [s.count for s in statuses(bench.events, "gap")] == [1, None], ending


def test_trades_that_wait_are_bounded() -> None:
    bench = Bench(market(refill=True), FeedOptions(held_trades=10))
    conn = bench.up(TRADES)
    events = bench.frame(conn, quarry.trade(1), *(quarry.trade(n) for n in range(3, 20)))
    assert ids(events) == ["1", *(str(n) for n in range(3, 20))]
    assert "too many" in statuses(events, "gap")[1].text


def test_ids_that_are_no_numbers_on_a_numbered_channel_are_told_and_kept() -> None:
    bench = Bench(market())
    conn = bench.up(TRADES)
    events = bench.frame(conn, quarry.trade(1), quarry.trade("x"))
    assert (ids(events), codes(events)) == (["1", "x"], ["gap"])


def test_with_ids_alone_duplicates_go_and_a_cut_is_an_uncountable_gap() -> None:
    bench = Bench(market("id"))
    conn = bench.up(TRADES)
    assert ids(bench.frame(conn, *(quarry.trade(n) for n in ("a", "b", "a", "c")))) == ["a", "b", "c"]
    assert [(s.code, s.count) for s in bench.tick()] == [("duplicate", 1)]
    bench.closed(conn)
    bench.open(1)
    events = bench.frame(1, quarry.trade("b"), quarry.trade("e"))
    assert codes(events) == ["subscribed", "gap"]
    assert statuses(events, "gap")[0].count is None
    assert ids(events) == ["e"]


def test_with_ids_a_cut_is_refilled_where_the_venue_lets_us() -> None:
    bench = Bench(market("id", refill=True))
    conn = bench.up(TRADES)
    bench.frame(conn, quarry.trade("a"), quarry.trade("b"))
    bench.closed(conn)
    bench.open(1)
    events = bench.frame(1, quarry.ok(TRADES), quarry.trade("e"), quarry.trade("f"))
    assert ids(events) == []
    (fetch,) = bench.fetches()
    assert fetch.request.target == "/trades?after=b"
    events = bench.answer(fetch, quarry.rows("b", "c", "d", "e"))
    assert ids(events) == ["c", "d", "e", "f"]
    assert statuses(events, "recovered")[0].count == 2


def test_the_memory_of_ids_is_bounded_and_covers_the_newest() -> None:
    bench = Bench(market("id"), FeedOptions(seen_ids=100))
    conn = bench.up(TRADES)
    for n in range(1000):
        bench.frame(conn, quarry.trade(f"i{n}"))
    assert ids(bench.frame(conn, *(quarry.trade(f"i{n}") for n in range(950, 1000)))) == []
    (track,) = bench.core._state.lines[TRADES].tracks
    assert len(track.seen) + len(track.seen_before) <= 100


def test_without_proof_nothing_is_removed_or_claimed() -> None:
    bench = Bench(market("none"))
    conn = bench.up(TRADES)
    events = bench.frame(conn, *(quarry.trade(n) for n in (5, 5, 9)))
    assert (ids(events), codes(events)) == (["5", "5", "9"], [])


def test_each_symbol_of_a_stream_of_all_has_its_own_numbers() -> None:
    wide = {**quarry.channels(refill=False)}
    wide["trades"] = quarry.ChannelSpec("trades", "t", "sequence", all_symbols=True)
    bench = Bench(quarry.QuarryMarket(channels=wide))
    conn = bench.up(Subscription("trades", "*"))
    events = bench.frame(conn, quarry.trade(5), quarry.trade(70, symbol="ETH/EUR"), quarry.trade(6))
    events += bench.frame(conn, quarry.trade(72, symbol="ETH/EUR"))
    assert ids(events) == ["5", "70", "6", "72"]
    assert [s.count for s in statuses(events, "gap")] == [1]


def test_a_frame_of_many_keeps_their_order_and_every_one() -> None:
    bench = Bench(market())
    conn = bench.up(TRADES)
    many = b'{"many": [' + b",".join(quarry.trade(n) for n in (1, 2, 2, 4)) + b"]}"
    events = bench.frame(conn, many)
    assert [getattr(e, "id", None) or e.code for e in events] == ["1", "2", "gap", "4"]


def test_an_answer_that_cannot_be_read_ends_the_refill_aloud() -> None:
    bench = Bench(market(refill=True))
    conn = bench.up(TRADES)
    bench.frame(conn, quarry.trade(1), quarry.trade(3))
    events = bench.answer(bench.fetches()[0], HttpResponse(200, b"<html>"))
    assert ids(events) == ["3"]
    assert "cannot be had" in statuses(events, "gap")[0].text
