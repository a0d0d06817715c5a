"""The paper exchange by examples worked out by hand: what fills, at what price, and what it costs."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from tests.paper.world import PERP, SECOND, SPOT, D, World, check_books, instrument
from unitape.errors import (
    ConfigError,
    DuplicateOrder,
    InsufficientFunds,
    MarketClosed,
    OrderNotFound,
    PostOnlyWouldCross,
    ReduceOnlyRejected,
)
from unitape.paper import PaperSettings
from unitape.spi import OrderRef
from unitape.trade.numbers import plain
from unitape_schemas import Fill, Order

BIDS = ((100.0, 1.0), (99.9, 2.0), (99.5, 5.0))
ASKS = ((100.1, 1.0), (100.2, 2.0), (100.5, 5.0))


@pytest.fixture
def world() -> World:
    made = World()
    made.book(BIDS, ASKS)
    made.book(BIDS, ASKS, PERP)
    return made


def prices(fills: list[Fill]) -> list[tuple[str, str]]:
    return [(plain(one.price), plain(one.size)) for one in fills]


def test_a_taker_walks_the_visible_depth_and_pays_each_level(world: World) -> None:
    order = world.place("buy", "market", size="2.5")
    assert (order.status, order.filled) == ("filled", D("2.5"))
    assert prices(world.fills()) == [("100.1", "1"), ("100.2", "1.5")]
    assert order.average == D("100.16")
    assert world.balance("USDT").total == 100_000 - D("100.1") - D("150.3")
    assert world.balance("BTC").total == 10 + D("2.5") * D("0.9995")
    assert {one.liquidity for one in world.fills()} == {"taker"}
    check_books(world)


def test_what_was_taken_is_not_there_again_until_the_level_changes(world: World) -> None:
    world.place("buy", "market", size="1")
    assert prices(world.fills()) == [("100.1", "1")]
    world.place("buy", "market", size="0.5")
    assert prices(world.fills())[1:] == [("100.2", "0.5")], "100.1 is used up though it still shows"
    world.delta(asks=((100.1, 0.4),))
    world.place("buy", "market", size="0.5")
    assert prices(world.fills())[2:] == [("100.2", "0.5")], "shrinking brings nothing back"
    world.delta(asks=((100.1, 0.7),))
    world.place("buy", "market", size="0.5")
    assert prices(world.fills())[3:] == [("100.1", "0.3"), ("100.2", "0.2")], "only what came anew"
    world.delta(asks=((100.1, 0.0),))
    world.delta(asks=((100.1, 2.0),))
    world.place("buy", "market", size="0.5")
    assert prices(world.fills())[5:] == [("100.1", "0.5")], "a level that was gone is a new one"
    world.book(BIDS, ASKS)
    world.place("buy", "limit", size="1", price="100.1", tif="ioc")
    assert sum(one.size for one in world.fills()[6:]) == D("0.5"), "a snapshot of the same level forgets nothing"


def test_nothing_fills_beyond_what_is_visible(world: World) -> None:
    order = world.place("buy", "market", size="20")
    assert (order.status, order.filled) == ("expired", D(8))
    world.delta(asks=((100.5, 6.0),))
    again = world.place("buy", "market", size="20")
    assert again.filled == 1


@pytest.mark.parametrize(
    ("tif", "size", "price", "status", "filled"),
    [
        ("ioc", "2", "100.1", "expired", "1"),
        ("ioc", "1", "100.1", "filled", "1"),
        ("ioc", "1", "100", "expired", "0"),
        ("fok", "3", "100.2", "filled", "3"),
        ("fok", "3.001", "100.2", "expired", "0"),
        ("gtc", "2", "100.1", "partially_filled", "1"),
        ("gtc", "2", "100", "open", "0"),
        ("post_only", "2", "100", "open", "0"),
    ],
)
def test_times_in_force(world: World, tif: Any, size: str, price: str, status: str, filled: str) -> None:
    order = world.place("buy", size=size, price=price, tif=tif)
    assert (order.status, order.filled) == (status, D(filled))
    check_books(world)


def test_post_only_never_takes_even_what_was_taken_before(world: World) -> None:
    world.place("buy", size="1", price="100.1", tif="ioc")
    with pytest.raises(PostOnlyWouldCross):
        world.place("buy", size="1", price="100.1", tif="post_only")
    assert world.exchange.open_orders() == []


def test_a_resting_order_waits_behind_all_that_it_sees(world: World) -> None:
    order = world.place("buy", size="1", price="100")
    world.trade("sell", 100.0, 0.4)
    world.trade("sell", 100.0, 0.6)
    assert world.fills() == [], "exactly what was ahead has traded"
    world.trade("buy", 100.1, 50.0)
    assert world.fills() == [], "takers of the other side pass by"
    world.trade("sell", 100.0, 0.3)
    assert prices(world.fills()) == [("100", "0.3")]
    assert world.order(order).status == "partially_filled"
    world.trade("sell", 100.0, 9.0)
    assert prices(world.fills())[1:] == [("100", "0.7")]
    assert world.order(order).status == "filled"
    assert {one.liquidity for one in world.fills()} == {"maker"}
    check_books(world)


def test_a_trade_through_its_price_fills_no_more_than_the_trade(world: World) -> None:
    order = world.place("buy", size="5", price="100")
    world.trade("sell", 99.9, 0.5)
    assert prices(world.fills()) == [("100", "0.5")], "at its own price, not the trade's"
    world.trade("sell", 100.0, 0.2)
    assert prices(world.fills())[1:] == [("100", "0.2")], "whoever was ahead is gone"
    assert world.order(order).filled == D("0.7")


def test_two_own_orders_share_one_trade(world: World) -> None:
    better = world.place("buy", size="1", price="100")
    worse = world.place("buy", size="1", price="99.9")
    world.trade("sell", 99.9, 3.5)
    assert world.order(better).filled == 1, "it is met first"
    assert world.order(worse).filled == D("0.5"), "3.5 less the 1 that the better took less the 2 ahead"
    world.trade("sell", 99.9, 0.2)
    assert world.order(worse).filled == D("0.7")


def test_depth_that_vanishes_moves_the_queue_only_by_setting() -> None:
    for queue, filled in (("trades", D(0)), ("depth", D("0.4"))):
        world = World(queue=queue)
        world.book(BIDS, ASKS)
        order = world.place("buy", size="1", price="100")
        world.delta(bids=((100.0, 0.1),))
        world.trade("sell", 100.0, 0.5)
        assert world.order(order).filled == filled, queue


def test_an_offer_that_comes_to_a_resting_order_fills_it_at_its_price(world: World) -> None:
    order = world.place("buy", size="1", price="100")
    world.delta(asks=((99.9, 0.3),), bids=((100.0, 0.0), (99.9, 0.0)))
    assert prices(world.fills()) == [("100", "0.3")]
    world.delta(bids=((99.5, 4.0),))
    assert len(world.fills()) == 1, "the same offer serves once"
    world.delta(asks=((99.9, 0.5),))
    assert prices(world.fills())[1:] == [("100", "0.2")]
    assert world.order(order).filled == D("0.5")
    check_books(world)


def test_an_order_deeper_than_the_book_is_known_waits_until_its_level_is_seen(world: World) -> None:
    order = world.place("buy", size="1", price="90")
    world.trade("sell", 90.0, 50.0)
    assert world.order(order).filled == 0, "nobody knows who was ahead"
    world.book(((90.5, 1.0), (90.0, 4.0)), ((91.0, 1.0),))
    world.trade("sell", 90.0, 4.5)
    assert world.order(order).filled == D("0.5")


@pytest.mark.parametrize(
    ("kind", "side", "trigger", "quiet", "hit"),
    [
        ("stop", "buy", "101", 100.9, 101.0),
        ("stop", "sell", "99", 99.1, 99.0),
        ("take_profit", "buy", "99", 99.1, 98.0),
        ("take_profit", "sell", "101", 100.9, 101.5),
    ],
)
def test_triggers_wake_at_their_price_and_not_before(
    world: World, kind: Any, side: Any, trigger: str, quiet: float, hit: float
) -> None:
    order = world.place(side, kind, size="0.5", trigger=trigger)
    assert order.status == "open"
    world.trade("buy", quiet, 0.001)
    assert world.order(order).status == "open"
    world.trade("buy", hit, 0.001)
    woken = world.order(order)
    assert (woken.status, woken.filled) == ("filled", D("0.5"))
    assert prices(world.fills()) == [("100.1" if side == "buy" else "100", "0.5")], "it meets the book, not the trigger"


def test_a_stop_limit_rests_at_its_limit_once_awake(world: World) -> None:
    order = world.place("buy", "stop_limit", size="1", trigger="101", price="100")
    assert world.balance("USDT").locked == 0
    world.trade("buy", 101.0, 0.001)
    assert world.order(order).status == "open"
    assert world.balance("USDT").locked == 100
    world.trade("sell", 100.0, 1.25)
    assert world.order(order).filled == D("0.25")


def test_a_trigger_by_mark_price_does_not_listen_to_trades(world: World) -> None:
    order = world.place("sell", "stop", PERP, size="1", trigger="99", trigger_by="mark")
    world.trade("sell", 98.0, 1.0, PERP)
    assert world.order(order).status == "open"
    world.mark(98.9)
    assert world.order(order).status == "filled"


def test_spot_orders_tie_up_what_they_may_need_and_no_more(world: World) -> None:
    buy = world.place("buy", size="3", price="100")
    sell = world.place("sell", size="4", price="101")
    assert (world.balance("USDT").locked, world.balance("BTC").locked) == (300, 4)
    with pytest.raises(InsufficientFunds):
        world.place("sell", size="6.001", price="102")
    world.place("sell", size="6", price="102")
    with pytest.raises(InsufficientFunds):
        world.place("buy", size="999", price="100")
    world.trade("sell", 100.0, 2.0)
    assert world.balance("USDT").locked == 200
    world.exchange.cancel(world.exchange.find(OrderRef(SPOT, id=buy.id)))
    assert world.balance("USDT").locked == 0
    world.exchange.cancel(world.exchange.find(OrderRef(SPOT, id=sell.id)))
    assert world.balance("BTC").locked == 6
    check_books(world)


def test_a_market_order_by_cost_spends_no_more_than_it_says(world: World) -> None:
    order = world.place("buy", "market", cost="150")
    # 1 at 100.1, and of the 49.9 left what 100.2 buys in whole steps of 0.001.
    assert prices(world.fills()) == [("100.1", "1"), ("100.2", "0.498")]
    assert order.status == "filled"
    assert order.size == order.filled == D("1.498")
    check_books(world)


def test_a_perpetual_opens_grows_shrinks_and_turns(world: World) -> None:
    world.place("buy", "market", PERP, size="2")
    held = world.position()
    assert held is not None
    assert (held.side, held.size, held.entry) == ("long", 2, D("100.15"))
    assert held.margin == D("20.03")
    world.place("sell", "market", PERP, size="1")
    fill = world.fills()[-1]
    assert (fill.price, fill.realized_pnl) == (100, D("-0.15"))
    world.place("sell", "market", PERP, size="2")
    held = world.position()
    assert held is not None
    assert (held.side, held.size, held.entry) == ("short", 1, D("99.9"))
    assert [one.realized_pnl for one in world.fills()[-1:]] == [D("-0.25")]
    world.mark(99.0)
    check_books(world, D("99.0"))
    assert world.balance("USDT", "futures").unrealized_pnl == D("0.9")


def test_a_cost_that_the_visible_depth_does_not_hold_is_not_called_filled(world: World) -> None:
    whole = D("100.1") + 2 * D("100.2") + 5 * D("100.5")
    order = world.place("buy", "market", cost="2000")
    assert (order.status, order.filled, order.size) == ("expired", 8, None), "more than half of the money is there"
    assert world.balance("USDT").total == 100_000 - whole
    world.delta(asks=((100.4, 1.0),))
    exact = world.place("buy", "market", cost="100.4")
    assert (exact.status, exact.filled) == ("filled", 1), "the depth held just this"
    check_books(world)


def test_a_thin_share_of_cost_loses_nothing(world: World) -> None:
    """A third of a cost that has no end in decimals: what is rounded away stays with the position."""
    world.book(((100.0, 50.0),), ((100.1, 0.7), (100.3, 2.3)), PERP)
    world.place("buy", "market", PERP, size="3")
    for _ in range(2):
        world.place("sell", "market", PERP, size="0.7")
        world.mark(77.7)
        check_books(world, D("77.7"))
    world.place("sell", "market", PERP, size="1.6")
    assert world.position() is None
    check_books(world, D("77.7"))


def test_margin_bounds_what_can_be_opened_and_never_what_closes(world: World) -> None:
    world.book(((100.0, 90_000.0),), ((100.1, 90_000.0),), PERP)
    with pytest.raises(InsufficientFunds):
        world.place("buy", "market", PERP, size="9990")
    world.place("buy", "market", PERP, size="9900")
    world.mark(90.5)
    assert world.balance("USDT", "futures").free < 5_000  # type: ignore[operator]
    with pytest.raises(InsufficientFunds):
        world.place("buy", size="900", price="99", symbol=PERP)
    order = world.place("sell", "market", PERP, size="9900")
    assert order.status == "filled"
    assert world.position() is None
    check_books(world, D("90.5"))


def test_reduce_only_never_turns_a_position(world: World) -> None:
    with pytest.raises(ReduceOnlyRejected):
        world.place("sell", "market", PERP, size="1", reduce_only=True)
    world.place("buy", "market", PERP, size="1")
    resting = world.place("sell", size="5", price="101", symbol=PERP, reduce_only=True)
    world.trade("buy", 101.5, 9.0, PERP)
    assert world.position() is None
    ended = world.order(resting)
    assert (ended.status, ended.filled) == ("expired", 1)
    check_books(world)


def test_in_hedge_mode_both_sides_stand_and_a_close_stays_a_close(world: World) -> None:
    world.place("buy", "market", PERP, size="1", position_side="long")
    world.place("sell", "market", PERP, size="1", position_side="short")
    account = world.exchange.accounts["futures"]
    assert [(one.side, one.size) for one in account.positions(0)] == [("long", 1), ("short", 1)]
    order = world.place("sell", "market", PERP, size="2", position_side="long")
    assert order.filled == 1
    assert [(one.side, one.size) for one in account.positions(0)] == [("short", 1)]


def test_funding_is_settled_once_when_it_is_due(world: World) -> None:
    world.mark(100.0)
    world.place("buy", "market", PERP, size="1")
    before = world.balance("USDT", "futures").total
    due = world.ts + 60 * SECOND
    world.funding(0.0003, due)
    world.later(59)
    world.mark(110.0)
    assert world.balance("USDT", "futures").total == before
    world.later(1)
    world.mark(120.0)
    assert world.balance("USDT", "futures").total == before - D("0.0330"), "at the mark before it was due"
    world.funding(0.0003, due)
    world.later(5)
    world.mark(120.0)
    assert [one.amount for one in world.exchange.payments] == [D("-0.0330")], "told again it is not paid again"
    check_books(world, D("120.0"))


def test_without_a_book_nothing_can_be_taken(world: World) -> None:
    world.exchange._depths[SPOT].lose()
    with pytest.raises(MarketClosed):
        world.place("buy", "market", size="1")
    world.book(BIDS, ASKS)
    assert world.place("buy", "market", size="1").status == "filled"


def test_client_ids_name_one_open_order(world: World) -> None:
    first = world.place("buy", size="1", price="99", client_id="mine")
    with pytest.raises(DuplicateOrder):
        world.place("buy", size="1", price="99", client_id="mine")
    world.exchange.cancel(world.exchange.find(OrderRef(SPOT, client_id="mine")))
    second = world.place("buy", size="1", price="99", client_id="mine")
    assert second.id != first.id
    assert world.exchange.find(OrderRef(SPOT, client_id="mine")).id == second.id
    with pytest.raises(OrderNotFound):
        world.exchange.cancel(world.exchange.find(OrderRef(SPOT, id=first.id)))


def test_an_amended_order_loses_its_place_unless_it_only_shrinks(world: World) -> None:
    order = world.place("buy", size="2", price="100")
    found = world.exchange.find(OrderRef(SPOT, id=order.id))
    world.trade("sell", 100.0, 0.8)
    world.exchange.amend(found, D(1), None)
    world.trade("sell", 100.0, 0.4)
    assert world.order(order).filled == D("0.2"), "its place was kept"
    world.exchange.amend(found, D(3), None)
    world.trade("sell", 100.0, 0.9)
    assert world.order(order).filled == D("0.2"), "grown, it queues anew behind what shows"
    with pytest.raises(InsufficientFunds):
        world.exchange.amend(found, D(5_000), None)
    assert world.order(order).size == 3, "a refused change changes nothing"
    world.exchange.amend(found, None, D("100.1"))
    assert prices(world.fills())[-1:] == [("100.1", "1")], "moved into the offers, it takes"
    check_books(world)


def test_what_happens_is_told_in_order(world: World) -> None:
    world.events.clear()
    order = world.place("buy", "market", size="1")
    kinds = [type(one).__name__ for one in world.events]
    assert kinds == ["Fill", "Balance", "Balance", "Order"]
    last = world.events[-1]
    assert isinstance(last, Order)
    assert (last.id, last.status, last.origin) == (order.id, "filled", "stream")


@pytest.mark.parametrize(
    "wrong",
    [
        {"maker": 0.1},
        {"leverage": D("0.5")},
        {"latency": -1.0},
        {"balances": {"*": {"USDT": D(-1)}}},
        {"taker": Decimal("nan")},
    ],
)
def test_settings_that_make_no_account_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="PaperSettings"):
        PaperSettings(**wrong)


def test_instruments_of_the_test_are_what_they_seem() -> None:
    assert instrument(PERP).market == "futures"
