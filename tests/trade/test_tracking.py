"""Orders tracked from messages in any order: the truth wins, whatever comes first, twice or late."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from unitape.trade import tracking
from unitape.trade.tracking import OrderTracker
from unitape_schemas import Fill, Order

SYMBOL = "BTC/EUR"
FINAL = ("filled", "canceled", "rejected", "expired")


def order(**changes: Any) -> Order:
    made = Order(
        "bourse", SYMBOL, 0, 0, 1, "7", "mine", "buy", "limit", "gtc", Decimal(100), None, Decimal(10), Decimal(0),
        None, "open", None, None, 1, 1, "stream", "NEW",
    )  # fmt: skip
    return structs.replace(made, **changes)


def pending(**changes: Any) -> Order:
    return order(id=None, filled=None, status="pending", ts_created=0, ts_updated=0, raw_status="", **changes)


def fill(name: str, size: str, price: str = "100", **changes: Any) -> Fill:
    made = Fill(
        "bourse",
        SYMBOL,
        5,
        0,
        5,
        name,
        "7",
        None,
        "buy",
        Decimal(price),
        Decimal(size),
        None,
        None,
        None,
        None,
        "stream",
    )
    return structs.replace(made, **changes)


def test_an_order_goes_its_way_and_each_step_is_told_once() -> None:
    tracker = OrderTracker()
    steps = (
        tracker.submitted(pending()),
        tracker.told(order(origin="answer")),
        tracker.told(order()),
        tracker.filled(fill("a", "4")),
        tracker.filled(fill("a", "4")),
        tracker.told(order(filled=Decimal(4), average=Decimal(100), status="partially_filled", ts_updated=2)),
        tracker.filled(fill("b", "6", "110")),
        tracker.told(order(filled=Decimal(10), average=Decimal(106), status="filled", ts_updated=3)),
    )
    assert [[(type(one).__name__, getattr(one, "status", None)) for one in step] for step in steps] == [
        [("Order", "pending")],
        [("Order", "open")],
        [],
        [("Fill", None), ("Order", "partially_filled")],
        [],
        [],
        [("Fill", None), ("Order", "filled")],
        [],
    ]
    known = tracker.get(SYMBOL, client_id="mine")
    assert known is not None
    assert (known.order.id, known.order.filled, known.order.average) == ("7", Decimal(10), Decimal(106))
    assert [one.client_id for one in known.fills.values()] == ["mine", "mine"]
    assert (len(tracker.open()), len(tracker.closed())) == (0, 1)


def test_fills_may_come_before_their_order_and_before_its_answer() -> None:
    tracker = OrderTracker()
    (lone,) = tracker.filled(fill("x", "1", order_id="9"))
    assert isinstance(lone, Fill)
    assert not tracker.filled(fill("x", "1", order_id="9"))
    tracker.submitted(pending())
    told, changed = tracker.filled(fill("a", "10", client_id="mine"))
    assert isinstance(told, Fill)
    assert isinstance(changed, Order)
    assert (changed.status, changed.id) == ("filled", "7")
    tracker.told(order(id="9", client_id="other", size=Decimal(1)))
    other = tracker.get(SYMBOL, id="9")
    assert other is not None
    assert (other.order.status, other.order.filled) == ("filled", Decimal(1))
    (late,) = tracker.told(order())
    assert isinstance(late, Order)
    assert (late.status, late.filled, late.ts_created, changed.ts_created) == ("filled", Decimal(10), 1, 0)


def test_a_cancel_that_lost_the_race_is_a_fill() -> None:
    tracker = OrderTracker()
    tracker.told(order())
    tracker.told(order(status="canceled", ts_updated=9))
    assert [type(one) for one in tracker.filled(fill("a", "4"))] == [Fill, Order]
    known = tracker.get(SYMBOL, id="7")
    assert known is not None
    assert (known.order.status, known.order.filled) == ("canceled", Decimal(4))
    tracker.filled(fill("b", "6"))
    assert known.order.status == "filled"
    tracker.told(order(status="open", ts_updated=99))
    assert known.order.status == "filled"


def test_our_own_conclusions_give_way_to_the_venue() -> None:
    tracker = OrderTracker()
    tracker.submitted(pending())
    assert [one.status for one in tracker.doubted(SYMBOL, "mine")] == ["unknown"]
    assert [(one.status, one.raw_status) for one in tracker.absent(SYMBOL, "mine")] == [("rejected", "never arrived")]
    assert tracker.open() == []
    assert [one.status for one in tracker.told(order())] == ["open"]
    assert [one.order.id for one in tracker.open()] == ["7"]
    assert not tracker.absent(SYMBOL, "mine")
    assert not tracker.refused(SYMBOL, "mine", "InvalidOrder")


def test_a_name_used_again_is_another_order() -> None:
    tracker = OrderTracker()
    tracker.told(order(status="canceled"))
    tracker.submitted(pending())
    assert [one.status for one in tracker.doubted(SYMBOL, "mine")] == ["unknown"]
    tracker.told(order(id="8"))
    assert {(one.order.id, one.order.status) for one in (*tracker.open(), *tracker.closed())} == {
        ("7", "canceled"),
        ("8", "open"),
    }


def test_one_name_and_two_ids_are_two_orders() -> None:
    tracker = OrderTracker()
    tracker.submitted(pending(kind="stop", trigger=Decimal(90), price=None))
    tracker.told(order(id="algo", kind="stop", trigger=Decimal(90), price=None))
    tracker.told(order(id="born", kind="market", price=None))
    assert [one.order.id for one in tracker.open()] == ["algo", "born"]


def test_an_order_without_our_name_is_joined_with_what_stood_for_it() -> None:
    tracker = OrderTracker()
    tracker.submitted(pending())
    tracker.told(order(client_id=None))
    assert len(tracker.open()) == 2
    tracker.told(order(origin="answer"))
    assert [(one.order.id, one.order.client_id) for one in tracker.open()] == [("7", "mine")]


def test_what_a_message_leaves_out_is_kept_and_what_is_old_changes_nothing() -> None:
    tracker = OrderTracker()
    tracker.told(order(ts_updated=5, price=Decimal(101)))
    assert not tracker.told(order(ts_updated=4, price=Decimal(100)))
    (changed,) = tracker.told(order(ts_updated=6, price=None, size=Decimal(12), kind=None))
    assert isinstance(changed, Order)
    assert (changed.price, changed.size, changed.kind) == (Decimal(101), Decimal(12), "limit")


def test_an_unknown_word_is_kept_beside_the_status() -> None:
    tracker = OrderTracker()
    tracker.told(order())
    (changed,) = tracker.told(order(status="unknown", raw_status="FROZEN", ts_updated=2))
    assert isinstance(changed, Order)
    assert (changed.status, changed.raw_status) == ("unknown", "FROZEN")
    assert [one.status for one in tracker.told(order(ts_updated=3))] == ["open"]


def test_missing_fills_are_known_and_the_average_is_the_venues_meanwhile() -> None:
    tracker = OrderTracker()
    tracker.told(order(filled=Decimal(10), average=Decimal("100.5"), status="filled", ts_updated=2))
    (incomplete,) = tracker.incomplete()
    assert incomplete.order.average == Decimal("100.5")
    tracker.filled(fill("a", "4", "100"))
    assert tracker.incomplete() == [incomplete]
    tracker.filled(fill("b", "6", "101"))
    assert tracker.incomplete() == []
    assert incomplete.order.average == Decimal("100.6")


def test_what_has_vanished_from_the_list_of_open_orders_is_suspect() -> None:
    tracker = OrderTracker()
    for name in ("1", "2", "3", "6"):
        tracker.told(order(id=name, client_id=name))
    asked = tracker.mark()
    tracker.told(order(id="4", client_id="4"))
    tracker.filled(fill("a", "1", order_id="6"))
    tracker.submitted(pending(client_id="5"))
    listed = [order(id="2", client_id=None)]
    assert [one.order.id for one in tracker.vanished(listed, asked)] == ["1", "3"]
    assert tracker.vanished(listed, asked, "ETH/EUR") == []


def test_ended_orders_are_kept_within_a_bound_and_open_ones_always(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracking, "CLOSED_KEPT", 3)
    tracker = OrderTracker()
    tracker.told(order(id="open", client_id="open"))
    for number in range(10):
        tracker.told(order(id=str(number), client_id=str(number), status="canceled"))
    assert [one.order.id for one in tracker.closed()] == ["7", "8", "9"]
    assert tracker.get(SYMBOL, id="0") is None
    assert tracker.get(SYMBOL, client_id="0") is None
    assert len(tracker) == 4


@st.composite
def lives(draw: st.DrawFn) -> tuple[list[Fill], str, list[Any]]:
    """An order's executions, its end, and all messages about it, shuffled and some of them twice."""
    sizes = draw(st.lists(st.integers(1, 4), max_size=4))
    prices = draw(st.lists(st.integers(90, 110), min_size=len(sizes), max_size=len(sizes)))
    done = [fill(f"f{n}", str(size), str(price)) for n, (size, price) in enumerate(zip(sizes, prices, strict=True))]
    total = sum(sizes)
    end = "filled" if total >= 10 else draw(st.sampled_from(["canceled", "expired"]))
    if total > 10:
        done, total, end = [fill("f0", "10", "95")], 10, "filled"
    messages: list[Any] = [order(ts_updated=1)]
    so_far, cost = Decimal(0), Decimal(0)
    for step, one in enumerate(done):
        so_far += one.size
        cost += one.size * one.price
        status = "partially_filled" if so_far < 10 else "filled"
        messages.append(order(filled=so_far, average=cost / so_far, status=status, ts_updated=2 + step))
    average = cost / so_far if so_far else None
    messages.append(order(filled=so_far, average=average, status=end, ts_updated=50))
    messages += done
    extra = draw(st.lists(st.sampled_from(messages), max_size=5))
    return done, end, draw(st.permutations([*messages, *extra]))


@settings(max_examples=600, deadline=None)
@given(lives(), st.booleans())
def test_every_order_of_the_messages_ends_in_the_truth(life: tuple[list[Fill], str, list[Any]], ours: bool) -> None:
    done, end, messages = life
    tracker = OrderTracker()
    if ours:
        tracker.submitted(pending())
    told: list[Any] = []
    filled, over = Decimal(0), False
    for message in messages:
        told += tracker.told(message) if isinstance(message, Order) else tracker.filled(message)
        known = tracker.get(SYMBOL, id="7")
        if known is None:
            continue
        now = known.order
        assert (now.filled or 0) >= filled
        filled = now.filled or Decimal(0)
        assert not over or now.status in FINAL
        over = over or now.status in FINAL
        assert filled >= sum((one.size for one in known.fills.values()), Decimal(0))
    known = tracker.get(SYMBOL, client_id="mine")
    assert known is not None
    total = sum((Fraction(one.size) for one in done), Fraction(0))
    assert known.order.status == end
    assert Fraction(known.order.filled or 0) == total
    if total:
        average = sum((Fraction(one.size) * Fraction(one.price) for one in done), Fraction(0)) / total
        assert known.order.average is not None
        assert abs(Fraction(known.order.average) - average) < Fraction(1, 10**20)
    else:
        assert known.order.average is None
    fills = [one.id for one in told if isinstance(one, Fill)]
    assert sorted(fills) == sorted(one.id for one in done)
    assert not known.fills_missing


def test_an_order_told_under_a_second_name_keeps_the_first_and_can_be_forgotten(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tracking, "CLOSED_KEPT", 1)
    tracker = OrderTracker()
    tracker.told(order())
    tracker.told(order(client_id="the-cancel's-own", status="canceled", ts_updated=2))
    known = tracker.get(SYMBOL, client_id="mine")
    assert known is not None
    assert (known.order.status, known.order.client_id) == ("canceled", "mine")
    tracker.told(order(id="8", client_id="next", status="canceled"))
    assert tracker.get(SYMBOL, id="7") is None
    assert tracker.get(SYMBOL, client_id="mine") is None


def test_an_order_made_larger_lives_on_although_its_first_size_was_filled() -> None:
    tracker = OrderTracker()
    tracker.told(order())
    tracker.filled(fill("a", "10"))
    assert tracker.open() == []
    # The change came before the fill at the venue; its message comes after.
    (changed,) = tracker.told(
        order(size=Decimal(20), filled=Decimal(10), average=Decimal(100), status="partially_filled", ts_updated=6)
    )
    assert isinstance(changed, Order)
    assert (changed.status, changed.filled, changed.size) == ("partially_filled", Decimal(10), Decimal(20))
    assert [one.order.id for one in tracker.open()] == ["7"]


def test_a_change_that_does_not_say_how_much_is_filled_is_news_all_the_same() -> None:
    tracker = OrderTracker()
    tracker.told(order(filled=Decimal(4), status="partially_filled", ts_updated=2))
    (changed,) = tracker.told(order(filled=None, price=Decimal(101), status="open", ts_updated=3))
    assert isinstance(changed, Order)
    assert (changed.price, changed.filled, changed.status) == (Decimal(101), Decimal(4), "partially_filled")


def test_a_word_without_meaning_is_over_once_no_list_has_the_order_and_revives() -> None:
    tracker = OrderTracker()
    for name, status in (("1", "open"), ("2", "unknown"), ("3", "unknown")):
        tracker.told(order(id=name, client_id=name))
        tracker.told(order(id=name, client_id=name, status=status, raw_status=f"W{name}", ts_updated=2))
    mark = tracker.mark()
    tracker.told(order(id="4", client_id="4", status="unknown", raw_status="W4"))
    over = tracker.unlisted([order(id="3", client_id=None)], mark)
    assert [one.order.id for one in over] == ["2"]
    assert [one.order.id for one in tracker.open()] == ["1", "3", "4"]
    assert [(one.order.id, one.order.status, one.order.raw_status) for one in tracker.closed()] == [
        ("2", "unknown", "W2")
    ]
    assert tracker.unlisted([], tracker.mark(), symbol="ETH/EUR") == []
    assert not tracker.told(order(id="2", client_id="2", status="unknown", raw_status="W2", ts_updated=2))
    assert [one.order.id for one in tracker.closed()] == ["2"], "told again is not open again"
    (revived,) = tracker.told(order(id="2", client_id="2", ts_updated=2))
    assert isinstance(revived, Order)
    assert revived.status == "open"
    assert "2" in [one.order.id for one in tracker.open()]


def test_what_we_could_not_find_and_what_we_doubt_is_never_over_by_itself() -> None:
    tracker = OrderTracker()
    tracker.submitted(pending())
    tracker.doubted(SYMBOL, "mine")
    tracker.told(order(id="8", client_id="other"))
    known = tracker.get(SYMBOL, id="8")
    assert known is not None
    tracker.missed(known)
    assert tracker.unlisted([], tracker.mark()) == []
    assert [one.order.status for one in tracker.open()] == ["unknown", "unknown"]


def test_what_a_trigger_sent_does_not_take_the_place_of_what_was_sent() -> None:
    tracker = OrderTracker()
    tracker.submitted(pending(kind="stop_limit", trigger=Decimal(90)))
    # What it sent bears its name, and is told first: the fill, then the order, and only then the answer.
    (lone,) = tracker.filled(fill("a", "10", order_id="born", client_id="mine"))
    assert isinstance(lone, Fill)
    tracker.told(order(id="born", ts_updated=6))
    assert [(one.order.id, one.order.status, one.order.trigger) for one in tracker.closed()] == [
        ("born", "filled", None)
    ]
    assert [(one.order.id, one.order.status) for one in tracker.open()] == [(None, "pending")]
    tracker.told(order(id="algo", kind="stop_limit", trigger=Decimal(90), status="filled", filled=Decimal(10)))
    assert tracker.open() == []
    assert [one.order.id for one in tracker.closed()] == ["born", "algo"]
