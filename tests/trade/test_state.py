"""The state of an account: who waits is woken, queries and pushes may race, and a flip closes what it flips."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import anyio
import pytest
from msgspec import structs

from tests.trade.test_tracking import SYMBOL, fill, order, pending
from unitape.trade.state import AccountState
from unitape_schemas import Balance, Order, Position

pytestmark = pytest.mark.anyio
D = Decimal


def balance(currency: str = "EUR", ts: int = 0, **parts: Any) -> Balance:
    empty = Balance("bourse", "", ts, 0, 0, currency, None, None, None, "spot")
    return structs.replace(empty, **{name: D(value) for name, value in parts.items()})


def position(side: Any, size: int, ts: int = 0, symbol: str = SYMBOL) -> Position:
    return Position("bourse", symbol, ts, 0, 0, side, D(size), None, None, None, None, None, None, None)


def held(state: AccountState) -> list[tuple[str, Decimal]]:
    return [(one.side, one.size) for one in state.positions()]


def going_live(state: AccountState) -> None:
    state.live = True


@pytest.mark.parametrize(
    "change",
    [
        lambda state: state.take(order()),
        lambda state: state.take(fill("a", "1")),
        lambda state: state.take(balance(free="1")),
        lambda state: state.take(position("long", 1)),
        lambda state: state.take_balances([balance(free="1")], 0),
        lambda state: state.take_positions([position("long", 1)], 0),
        going_live,
    ],
)
async def test_each_change_wakes_everybody_who_waits(change: Callable[[AccountState], Any]) -> None:
    state, woken = AccountState(), []

    async def wait(name: str) -> None:
        await state.changed()
        woken.append(name)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(wait, "first")
        tasks.start_soon(wait, "second")
        await anyio.sleep(1)
        change(state)
        await anyio.sleep(1)
        assert sorted(woken) == ["first", "second"]
        tasks.start_soon(wait, "third")
        change(state)  # says nothing new
        await anyio.sleep(1)
        if change is not going_live:
            assert len(woken) == 2
        tasks.cancel_scope.cancel()


async def test_settled_returns_the_end_whatever_brings_it() -> None:
    state = AccountState()
    ends: list[Order] = []

    async def wait(name: str) -> None:
        ends.append(await state.settled(SYMBOL, client_id=name))

    state.take(order(id="1", client_id="one"))
    state.take(order(id="2", client_id="two"))
    state.tracker.submitted(pending(client_id="three"))
    state.take(order(id="4", client_id="four", status="unknown", raw_status="TRIGGERED"))
    async with anyio.create_task_group() as tasks:
        for name in ("one", "two", "three", "four", "five"):
            tasks.start_soon(wait, name)
        await anyio.sleep(1)
        assert ends == []
        state.take(fill("a", "10", order_id="1"))
        await anyio.sleep(1)
        state.take(order(id="2", client_id="two", status="canceled", ts_updated=2))
        await anyio.sleep(1)
        state.changes(state.tracker.refused(SYMBOL, "three", "InsufficientFunds"))
        await anyio.sleep(1)
        state.listed([], state.tracker.mark(), SYMBOL)
        await anyio.sleep(1)
        state.take(order(id="5", client_id="five", status="expired"))
    assert [(one.client_id, one.status, one.raw_status) for one in ends] == [
        ("one", "filled", "NEW"),
        ("two", "canceled", "NEW"),
        ("three", "rejected", "InsufficientFunds"),
        ("four", "unknown", "TRIGGERED"),
        ("five", "expired", "NEW"),
    ]


def test_in_one_way_mode_a_flip_closes_the_other_side() -> None:
    state = AccountState(one_way=lambda: True)
    state.take(position("long", 5, ts=1))
    news = state.take(position("short", 3, ts=2))
    assert [(one.side, one.size) for one in news] == [("long", 0), ("short", 3)]
    assert held(state) == [("short", 3)]
    assert state.take(position("long", 4, ts=1)) == [], "what comes late changes nothing"
    assert [(one.side, one.size) for one in state.take(position("long", 0, ts=3))] == [("short", 0)]
    assert held(state) == []


def test_in_hedge_mode_both_sides_stand() -> None:
    state = AccountState(one_way=lambda: False)
    state.take(position("long", 5, ts=2))
    state.take(position("short", 3, ts=1))
    assert sorted(held(state)) == [("long", 5), ("short", 3)]
    state.take(position("long", 0, ts=3))
    assert held(state) == [("short", 3)]


def test_a_whole_list_is_taken_as_it_is_also_where_one_side_is_told_as_empty() -> None:
    state = AccountState(one_way=lambda: True)
    news, again = state.take_positions([position("long", 5), position("short", 0)], state.mark())
    assert [(one.side, one.size) for one in news] == [("long", 5)]
    assert not again
    assert held(state) == [("long", 5)]


def test_an_account_that_turns_out_to_hedge_keeps_both_sides() -> None:
    """The mode may have been changed by hand at the venue, while the settings still say one-way."""
    state = AccountState(one_way=lambda: True)
    state.take_positions([position("long", 5), position("short", 3)], state.mark())
    assert sorted(held(state)) == [("long", 5), ("short", 3)]
    state.take(position("short", 4, ts=9))
    assert sorted(held(state)) == [("long", 5), ("short", 4)]


def test_positions_that_were_pushed_while_a_list_was_asked_for_are_newer() -> None:
    state = AccountState()
    state.take(position("long", 1, ts=1))
    state.take(position("long", 7, ts=1, symbol="ETH/EUR"))
    mark = state.mark()
    state.take(position("long", 2, ts=2))
    news, again = state.take_positions([position("long", 1)], mark)
    assert again
    assert [(one.symbol, one.size) for one in news] == [("ETH/EUR", 0)]
    assert held(state) == [("long", 2)]
    news, again = state.take_positions([position("long", 2)], state.mark())
    assert (news, again) == ([], False)
    mark = state.mark()
    state.take(position("long", 0, ts=3))
    assert state.take_positions([position("long", 2)], mark) == ([], True)
    assert held(state) == []


def test_a_balance_that_was_pushed_whole_while_a_list_was_asked_for_wins() -> None:
    state = AccountState()
    state.take_balances([balance(free="10", locked="1", total="11"), balance("BTC", free="3")], state.mark())
    mark = state.mark()
    state.take(balance(ts=5, free="8", locked="2", total="10"))
    news, again = state.take_balances([balance(free="10", locked="1", total="11")], mark)
    assert not again, "nothing of it is open"
    assert [(one.currency, one.free) for one in news] == [("BTC", 0)], "what a whole list lacks is gone"
    known = state.balance("EUR")
    assert known is not None
    assert (known.free, known.locked, known.total) == (8, 2, 10)
    assert state.take(balance(ts=4, free="1")) == [], "what comes late changes nothing"


def test_what_a_push_left_out_comes_from_the_list_that_it_raced_with_and_is_asked_for_once_more() -> None:
    state = AccountState()
    state.take_balances([balance(total="11", equity="12")], state.mark())
    mark = state.mark()
    push = balance(ts=5, total="10")
    assert state.is_thin(push)
    state.take(push)
    (told,), again = state.take_balances([balance(total="11", equity="9")], mark)
    assert again
    assert isinstance(told, Balance)
    assert (told.total, told.equity) == (10, 9)
    news, again = state.take_balances([balance(total="10", equity="8")], state.mark())
    assert [getattr(one, "equity", None) for one in news] == [8]
    assert not again
