"""Faults strike private messages by the name ``private``, on every market whose account can be streamed.

``Ear`` is one private connection with nothing behind it: what a fault takes stays away, as it would live.
"""

from __future__ import annotations

import anyio
import pytest
from trio.testing import MockClock

from tests.sim.clients import LATENCY, STREAMING, WITH_KEYS, listener
from unitape.sim import DEMO_USER, Fault
from unitape.spi import Closing
from unitape_schemas import Fill, Order

pytestmark = pytest.mark.anyio
each = pytest.mark.parametrize("label", STREAMING)
START = 8.0
"""Seconds after which faults strike: every stream is ready by then, also where silence is consent."""


@pytest.fixture
def anyio_backend():
    return "trio", {"clock": MockClock(autojump_threshold=0)}


async def life(desk):
    """Place an order, have it filled, place another one; return the ids of the two."""
    first = await desk.place()
    await anyio.sleep(0.5)
    desk.met()
    await anyio.sleep(0.5)
    second = await desk.place()
    await anyio.sleep(0.5)
    return first.id, second.id


async def until(desk, seconds):
    await anyio.sleep(max(0.0, seconds - anyio.current_time() + desk.began))


def ends(ear):
    """The last state that was heard of each order."""
    return {order.id: order.status for order in ear.of(Order)}


def agrees(desk, ear):
    """What was heard of orders and executions is what the ledger holds."""
    rows = desk.exchange.accounts.orders(DEMO_USER.name)
    assert {o.client_id: o.status for o in ear.of(Order)} == {r.client_id: r.status for r in rows}
    told = {fill.id: fill for fill in ear.of(Fill)}
    fills = desk.exchange.accounts.fills(DEMO_USER.name)
    assert sorted((f.price, f.size) for f in told.values()) == sorted(
        (r.price * desk.spec.tick, r.size * desk.spec.step) for r in fills
    )


@each
async def test_without_a_fault_all_of_it_is_heard_once(label):
    async with listener(label) as (desk, ear):
        first, second = await life(desk)
        assert ends(ear) == {first: "filled", second: "open"}
        agrees(desk, ear)
        assert len(ear.of(Fill)) == len({fill.id for fill in ear.of(Fill)})
        assert all(event.origin == "stream" for event in (*ear.of(Order), *ear.of(Fill)))
        assert {order.symbol for order in ear.of(Order)} == {desk.symbol}


@each
async def test_a_duplicate_is_heard_twice(label):
    async with listener(label, Fault("duplicate", at=START, match="private", count=50)) as (desk, ear):
        await until(desk, START + 0.1)
        await life(desk)
        hits = [hit for hit in desk.host.faults.log if hit.kind == "duplicate"]
        assert {hit.where for hit in hits} == {"private"}
        assert all(ear.raw.count(hit.data) >= 2 for hit in hits)
        agrees(desk, ear)
        assert len(ear.of(Fill)) == 2 * len({fill.id for fill in ear.of(Fill)})


@each
async def test_a_delayed_connection_tells_late_and_in_order(label):
    async with listener(label, Fault("delay", at=START, match="private", seconds=5.0)) as (desk, ear):
        await until(desk, START + 0.1)
        before = anyio.current_time()
        first, second = await life(desk)
        assert ear.of(Fill) == []
        assert ear.of(Order) == []
        assert desk.exchange.accounts.fills(DEMO_USER.name)
        await anyio.sleep(6)
        assert min(ear.when(Fill)) - before >= 5.0
        assert ends(ear) == {first: "filled", second: "open"}
        agrees(desk, ear)


@each
async def test_a_late_answer_comes_after_the_private_message(label):
    async with listener(label, Fault("late_reply", at=START, match="order", seconds=4.0)) as (desk, ear):
        await until(desk, START + 0.1)
        began = anyio.current_time()
        answer = await desk.place()
        assert anyio.current_time() - began == pytest.approx(4.0 + LATENCY)
        assert [order.id for order in ear.of(Order)][:1] == [answer.id]
        assert ear.when(Order)[0] - began < 1.0


@each
async def test_an_executed_502_is_told_by_the_stream(label):
    async with listener(label, Fault("error_executed", at=START, match="order")) as (desk, ear):
        await until(desk, START + 0.1)
        assert type(await desk.place()).__name__ == "OutcomeUnknown"
        await anyio.sleep(0.5)
        assert {order.client_id for order in ear.of(Order)} == {"fault-1"} == set(desk.booked())


@each
async def test_a_reordered_message_swaps_with_the_next_private_one(label):
    async with listener(label, Fault("reorder", at=START, match="private")) as (desk, ear):
        await until(desk, START + 0.1)
        calm = len(ear.raw)
        await life(desk)
        (hit,) = desk.host.faults.log
        assert hit.where == "private"
        assert ear.raw.count(hit.data) == 1
        assert ear.raw[calm] != hit.data, "what came first now comes second"


@each
async def test_a_cut_takes_the_message_and_the_connection(label):
    async with listener(label, Fault("close", at=START, match="private")) as (desk, ear):
        await until(desk, START + 0.1)
        await desk.place()
        await anyio.sleep(0.5)
        assert ear.ended is not None
        assert ear.of(Order) == []
        assert desk.booked() == ["fault-1"]
        assert [hit.kind for hit in desk.host.faults.log] == ["close"]


@each
async def test_a_half_open_connection_stands_and_says_nothing(label):
    async with listener(label, Fault("half_open", at=START, match="private")) as (desk, ear):
        await until(desk, START + 0.1)
        await life(desk)
        assert ear.ended is None
        assert ear.of(Order) == ear.of(Fill) == []


@each
async def test_a_dropped_message_is_gone_while_the_connection_goes_on(label):
    async with listener(label, Fault("drop", at=START, match="private")) as (desk, ear):
        await until(desk, START + 0.1)
        await life(desk)
        (hit,) = desk.host.faults.log
        assert hit.data not in ear.raw
        assert ear.ended is None
        assert ear.of(Fill), "later ones come"


@each
async def test_faults_of_private_messages_leave_requests_and_others_alone(label):
    faults = [Fault(kind, at=START, match="private", count=99) for kind in ("drop", "duplicate", "delay")]
    async with listener(label, *faults) as (desk, _):
        await until(desk, START + 0.1)
        first, second = await life(desk)
        assert [order.id for order in await desk.ask(desk.trading.open_orders(desk.symbol))] == [second]
        assert first != second
        assert {hit.where for hit in desk.host.faults.log} == {"private"}


@pytest.mark.parametrize("label", WITH_KEYS)
async def test_an_expired_listen_key_ends_the_stream(label):
    async with listener(label, Fault("listen_key_expired", at=START, match="private")) as (desk, ear):
        await until(desk, START + 2.0)
        assert [hit.kind for hit in desk.host.faults.log] == ["listen_key_expired"]
        assert ear.ended is not None or ear.of(Closing), "the client is told"
        await desk.place()
        await anyio.sleep(0.5)
        assert ear.of(Order) == []
