"""What was served once and is refused now is asked for again; what the contract has no event for is counted."""

from __future__ import annotations

import itertools

import pytest

from tests.feed import quarry
from tests.feed.bench import ETH, TRADES, Bench, codes, ids, statuses
from unitape.feed.core import UNMAPPED_NAMES
from unitape.feed.inputs import Send
from unitape_schemas import Subscription


def cut_and_back(bench: Bench, conn: int = 0) -> None:
    """End a connection, and let the next one stand."""
    bench.closed(conn)
    ((new, _, _),) = bench.connects()
    bench.open(new)


def test_a_refusal_on_a_new_connection_is_told_and_asked_for_again() -> None:
    bench = Bench(quarry.QuarryMarket(channels=quarry.channels(refill=False)))
    bench.up(TRADES, ETH)
    bench.frame(0, quarry.trade(1))
    cut_and_back(bench)
    bench.take(Send)
    bench.frame(1, quarry.ok(ETH))
    events = bench.frame(1, quarry.no(TRADES, "system busy"))
    assert [(s.code, s.subscription) for s in events] == [("stale", TRADES.key)]
    assert "system busy" in events[0].text
    assert "system busy" in events[0].raw
    assert [(s.subscription.symbol, s.state) for s in bench.core.stats()] == [
        ("BTC/EUR", "stale"),
        ("ETH/EUR", "active"),
    ]
    assert [s.code for s in bench.core.current()] == ["stale", "subscribed"]
    bench.wait(9.0)
    assert bench.sent(1) == []
    bench.wait(2.0)
    assert bench.sent(1) == ["SUB trades BTC/EUR"]
    assert codes(bench.frame(1, quarry.ok(TRADES))) == ["subscribed"]
    (gap,) = statuses(bench.frame(1, quarry.trade(5)), "gap")
    assert (gap.subscription, gap.count) == (TRADES.key, 3)
    assert ids(bench.events) == ["1", "5"]
    assert [s.state for s in bench.core.stats()] == ["active", "active"]


@pytest.mark.parametrize(("continuity", "asked"), [("id", True), ("none", False)])
def test_where_no_number_tells_what_was_missed_the_gap_is_told_and_filled(continuity: str, asked: bool) -> None:
    bench = Bench(quarry.QuarryMarket(channels=quarry.channels(continuity)))  # type: ignore[arg-type]
    bench.up(TRADES)
    bench.frame(0, quarry.trade("a"))
    cut_and_back(bench)
    bench.frame(1, quarry.no(TRADES, "system busy"))
    bench.wait(11.0)
    ((conn, _, _),) = bench.connects()
    bench.open(conn)
    events = bench.frame(conn, quarry.ok(TRADES))
    assert [(s.code, s.count) for s in events] == [("subscribed", None), ("gap", None)]
    fetches = bench.fetches()
    assert bool(fetches) is asked
    if asked:
        events = bench.answer(fetches[0], quarry.rows("a", "b"))
        assert statuses(events, "recovered")[0].count == 1
        assert ids(bench.events) == ["a", "b"]


def test_the_pauses_grow_to_a_quarter_of_an_hour_and_no_connection_is_pressed() -> None:
    bench = Bench()
    bench.up(TRADES, ETH)
    cut_and_back(bench)
    bench.frame(1, quarry.ok(ETH))
    bench.frame(1, quarry.no(TRADES, "system busy"))
    bench.take(Send)
    asked: list[tuple[int, int]] = []
    for second in range(2 * 3600):
        for conn, _, _ in bench.connects():
            bench.open(conn)
        for command in bench.take(Send):
            if b"SUB" in command.data:
                asked.append((command.conn, second))
                bench.frame(command.conn, quarry.no(TRADES, "system busy"))
        bench.frame(1, quarry.trade(second, symbol="ETH/EUR"))
        bench.wait(1.0)
    pauses = [later - earlier for (_, earlier), (_, later) in itertools.pairwise(asked)]
    assert pauses[:6] == [20, 40, 80, 160, 320, 640]
    assert set(pauses[6:]) == {900}
    by_conn = [conn for conn, _ in asked]
    assert max(by_conn.count(conn) for conn in by_conn) <= 3
    assert len(ids(bench.events)) == 2 * 3600


def test_a_connection_without_a_served_subscription_is_not_kept() -> None:
    bench = Bench()
    bench.up(TRADES)
    cut_and_back(bench)
    assert "disconnected" in codes(bench.frame(1, quarry.no(TRADES, "system busy")))
    assert bench.closes() == [1]
    bench.wait(11.0)
    assert bench.connects() == [(2, "public", 0)]


def test_one_bad_apple_is_found_and_the_others_are_served() -> None:
    symbols = quarry.SYMBOLS[:64]
    wanted = [Subscription("liquidations", symbol) for symbol in symbols]
    bad = wanted[37]
    bench = Bench(
        quarry.QuarryMarket(limits=quarry.limits(subscriptions_per_connection=100, messages_per_second=100.0))
    )
    bench.up(*wanted)
    cut_and_back(bench)
    refusals = 0
    served: set[str] = set()
    for _ in range(200):
        for conn, _, _ in bench.connects():
            bench.open(conn)
        for command in bench.take(Send):
            if not command.data.startswith(b"SUB "):
                continue
            members = [s for s in wanted if s.key in command.data.decode()[4:].split(",")]
            if bad in members:
                refusals += 1
                bench.frame(command.conn, quarry.no(members[0], "no such symbol", *members[1:]))
            else:
                served.update(s.key for s in members)
                bench.frame(command.conn, quarry.ok(*members))
        for conn in {stats.connection for stats in bench.core.stats()} - {None}:
            bench.ping(conn)
        bench.wait(1.0)
    assert served == {s.key for s in wanted} - {bad.key}
    assert refusals <= 7
    assert [s.subscription for s in bench.core.stats() if s.state != "active"] == [bad]


def test_a_refusal_while_it_is_served_ends_nothing() -> None:
    bench = Bench()
    bench.up(TRADES)
    bench.frame(0, quarry.trade(1))
    events = bench.frame(0, quarry.no(TRADES, "subscribed already"))
    assert [(s.code, s.subscription) for s in events] == [("stale", TRADES.key)]
    assert ids(bench.frame(0, quarry.trade(2))) == ["2"]


def test_unsubscribing_ends_the_asking() -> None:
    bench = Bench()
    bench.up(TRADES)
    cut_and_back(bench)
    bench.frame(1, quarry.no(TRADES, "system busy"))
    bench.unsubscribe(TRADES)
    bench.wait(60.0)
    assert bench.connects() == []
    assert bench.core.stats() == []


def test_what_the_contract_has_no_event_for_is_counted_by_name() -> None:
    bench = Bench()
    bench.up(TRADES)
    assert bench.frame(0, quarry.other("maintenance"), quarry.other("maintenance"), quarry.other("news")) == []
    assert bench.core.unmapped == {"maintenance": 2, "news": 1}
    bench.frame(0, *(quarry.other(f"n{number}") for number in range(2 * UNMAPPED_NAMES)))
    assert len(bench.core.unmapped) <= UNMAPPED_NAMES + 1
    assert sum(bench.core.unmapped.values()) == 3 + 2 * UNMAPPED_NAMES
    assert bench.core.undecoded == 0


@pytest.mark.parametrize(("continuity", "told"), [("sequence", False), ("id", True), ("none", True)])
def test_a_silence_that_only_asking_again_ended_may_have_lost_trades(continuity: str, told: bool) -> None:
    bench = Bench(quarry.QuarryMarket(channels=quarry.channels(continuity, refill=False)))  # type: ignore[arg-type]
    bench.up(TRADES, ETH)
    bench.frame(0, quarry.trade(1))
    for second in range(62):
        bench.wait(1.0)
        bench.frame(0, quarry.trade(second, symbol="ETH/EUR"))
    assert bench.sent(0) == ["SUB trades BTC/EUR"]
    assert [s.count for s in statuses(bench.frame(0, quarry.ok(TRADES)), "gap")] == []
    events = bench.frame(0, quarry.trade(2))
    assert [s.count for s in statuses(events, "gap")] == ([None] if told else [])
    assert ids(events) == ["2"]
    assert codes(bench.frame(0, quarry.trade(3))) == []


def test_a_silence_that_ends_by_itself_has_lost_nothing() -> None:
    bench = Bench(quarry.QuarryMarket(channels=quarry.channels("id", refill=False)))
    bench.up(TRADES)
    bench.frame(0, quarry.trade("a"))
    bench.wait(45.0)
    assert codes(bench.frame(0, quarry.trade("b"))) == []
    assert codes(bench.events) == ["stale"]


def test_a_hand_over_without_a_common_trade_is_told_as_a_possible_loss() -> None:
    market = quarry.QuarryMarket(channels=quarry.channels("id", refill=False), limits=quarry.limits(lifetime=86_400.0))
    bench = Bench(market)
    bench.up(TRADES)
    bench.frame(0, quarry.trade("a"))
    bench.frame(0, quarry.bye("maintenance"))
    bench.open(1)
    bench.frame(1, quarry.ok(TRADES), quarry.trade("c"))
    assert "gap" not in codes(bench.events)
    events = bench.wait(7.0)
    assert codes(events)[:2] == ["gap", "rotated"]
    assert ids(bench.events) == ["a", "c"]
