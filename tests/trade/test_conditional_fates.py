"""The fate of conditional orders on every market that has them, with and without client ids of their own."""

from __future__ import annotations

from typing import Any

import anyio
import pytest
from trio.testing import MockClock

from tests.trade.test_sessions import LINEAR, USER, Floor, floor
from unitape.errors import NotPlaced, OutcomeUnknown
from unitape.sim.faults import Fault
from unitape.spi.simulated_accounts import SimOrder, SimOrderRequest
from unitape_schemas import Order, Subscription

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> Any:
    return "trio", {"clock": MockClock(autojump_threshold=0)}


async def stop(on: Floor, name: str, *, away: int = 200) -> Order:
    """Buy once the price has risen so many ticks above the best offer."""
    trigger = on.price(on.exchange.best(on.symbol).ask + away)
    size = await on.small()
    return await on.adapter.place(on.symbol, "buy", "stop", size=size, trigger=trigger, client_id=name, **on.long)


def lift(on: Floor) -> None:
    """Somebody buys the whole best offer, so that the last price is there."""
    size = on.exchange.best(on.symbol).ask_size
    request = SimOrderRequest(on.symbol, "buy", "market", size=size, client_id="lift", **on.long)
    done = on.exchange.accounts.place(USER.name, request)
    assert isinstance(done, SimOrder)


def booked(on: Floor) -> list[str]:
    return [one.status for one in on.exchange.accounts.orders(USER.name) if one.trigger is not None]


@pytest.mark.parametrize("label", LINEAR)
async def test_one_whose_answer_is_lost_is_found_and_taken_over(label: str) -> None:
    async with floor(label) as on:
        await on.adapter.balances(on.market)
        on.host.faults.add(Fault("lost_reply", 0.0, "post"))
        found = await stop(on, "lost-1")
        assert (found.status, found.client_id, found.origin) == ("open", "lost-1", "reconciled")
        assert booked(on) == ["waiting"]


@pytest.mark.parametrize("label", LINEAR)
async def test_one_that_was_triggered_before_it_was_found_is_not_said_to_be_missing(label: str) -> None:
    async with floor(label) as on:
        await on.adapter.balances(on.market)
        on.host.faults.add(Fault("lost_reply", 0.0, "post"))
        async with anyio.create_task_group() as tasks:

            async def strike() -> None:
                await anyio.sleep(0.4)
                assert booked(on) == ["waiting"], "before the first look, half a second after the answer was lost"
                lift(on)

            tasks.start_soon(strike)
            found = await stop(on, "lost-2", away=0)
        assert found.client_id == "lost-2"
        assert booked(on) == ["triggered"]


@pytest.mark.parametrize("label", LINEAR)
async def test_one_that_never_arrived_is_said_to_be_missing(label: str) -> None:
    async with floor(label) as on:
        await on.adapter.balances(on.market)
        on.host.faults.add(Fault("error_refused", 0.0, "post"))
        with pytest.raises(NotPlaced) as never:
            await stop(on, "lost-3")
        assert never.value.client_id == "lost-3"
        assert booked(on) == []


@pytest.mark.parametrize("label", LINEAR)
async def test_two_that_say_the_same_are_told_apart_by_name_or_not_at_all(label: str) -> None:
    async with floor(label) as on:
        named = on.adapter.capabilities(on.market).conditional_client_ids
        await on.adapter.balances(on.market)
        on.host.faults.add(Fault("lost_reply", 0.0, "post", 0.0, 2))
        fates: list[Any] = []

        async def place(name: str) -> None:
            try:
                fates.append(await stop(on, name))
            except OutcomeUnknown as unknown:
                fates.append(unknown)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(place, "twin-1")
            tasks.start_soon(place, "twin-2")
        assert booked(on) == ["waiting", "waiting"]
        assert {type(fate) for fate in fates} == {Order if named else OutcomeUnknown}
        assert {fate.client_id for fate in fates} == {"twin-1", "twin-2"}


@pytest.mark.parametrize("label", LINEAR)
async def test_one_that_was_triggered_leaves_the_open_orders(label: str) -> None:
    async with floor(label) as on:
        await on.adapter.subscribe([Subscription("orders", "*", market=on.market)])
        state = await on.adapter.account(on.market)
        placed = await stop(on, "struck", away=0)
        lift(on)
        with anyio.fail_after(700):
            ended = await state.settled(on.symbol, id=placed.id)
        assert ended.id == placed.id
        await anyio.sleep(60)
        assert booked(on) == ["triggered"]
        assert state.open_orders() == []
        assert len(state.closed_orders()) == 3, "what lifted the offer, the conditional order, and what it sent"
