"""What faults do to orders and to private messages: what the client sees, and what the ledger then holds.

Every market that has a simulator, under virtual time. The client is a venue's own requests over the simulated network,
with nothing behind them that would repeat or resolve.
"""

from __future__ import annotations

import anyio
import pytest
from trio.testing import MockClock

from tests.sim.clients import LATENCY, TRADABLE, client
from unitape.errors import OrderNotFound, OutcomeUnknown, TimestampOutOfWindow, TransportError, Unsupported, VenueError
from unitape.sim import DEMO_USER, ORDER_FAULTS, Aim, Fault, FaultSchedule
from unitape.spi import OrderRef
from unitape.spi.simulation import PRIVATE_STREAM

pytestmark = pytest.mark.anyio
SECOND = 1_000_000_000
each = pytest.mark.parametrize("label", TRADABLE)


@pytest.fixture
def anyio_backend():
    return "trio", {"clock": MockClock(autojump_threshold=0)}


@each
async def test_without_a_fault_the_order_is_in_the_ledger(label):
    async with client(label) as desk:
        order = await desk.place()
        assert order.status in ("open", "pending")
        assert desk.booked() == ["fault-1"]


@each
async def test_a_lost_reply_and_an_executed_502_leave_the_order_in_the_ledger(label):
    faults = Fault("lost_reply", at=0.0, match="order"), Fault("error_executed", at=1.0, match="order")
    async with client(label, *faults) as desk:
        assert isinstance(await desk.place(), TransportError)
        assert desk.booked() == ["fault-1"]
        await anyio.sleep(2)
        unknown = await desk.place()
        assert isinstance(unknown, OutcomeUnknown)
        assert unknown.client_id in (None, "fault-2")
        assert desk.booked() == ["fault-1", "fault-2"]
        assert desk.hits() == ["lost_reply", "error_executed"]


@each
async def test_a_502_that_executed_and_one_that_did_not_look_the_same(label):
    faults = Fault("error_refused", at=0.0, match="order"), Fault("error_executed", at=1.0, match="order")
    async with client(label, *faults) as desk:
        refused = await desk.place()
        assert desk.booked() == []
        await anyio.sleep(2)
        executed = await desk.place()
        assert desk.booked() == ["fault-2"]
        assert type(refused) is type(executed) is OutcomeUnknown
        assert str(refused).replace("fault-1", "") == str(executed).replace("fault-2", "")


@each
async def test_a_gone_endpoint_takes_nothing_while_it_is_gone(label):
    async with client(label, Fault("endpoint_gone", at=0.0, match="order", count=3)) as desk:
        for _ in range(3):
            error = await desk.place()
            assert isinstance(error, VenueError | OutcomeUnknown | Unsupported)
            assert getattr(error, "status", 404) == 404
        assert desk.booked() == []
        assert (await desk.place()).id
        assert desk.booked() == ["fault-4"]


@each
async def test_a_late_reply_comes_after_what_has_happened_since(label):
    async with client(label, Fault("late_reply", at=0.0, match="order", seconds=7.5)) as desk:
        began = anyio.current_time()
        filled: list[int] = []

        async def fill() -> None:
            await anyio.sleep(1)
            desk.met()
            filled.extend(order.filled for order in desk.exchange.accounts.orders(DEMO_USER.name))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(fill)
            order = await desk.place()
        assert anyio.current_time() - began == pytest.approx(7.5 + LATENCY)
        assert order.status in ("open", "pending"), "the answer tells how it was when the order came in"
        assert desk.booked() == []
        assert filled == [order.size / desk.spec.step]


@each
async def test_a_cancel_may_be_executed_behind_a_502(label):
    fault = Fault("error_executed", at=2.0, match="delete" if "mexc/futures" not in label else "cancel")
    async with client(label, fault) as desk:
        order = await desk.place()
        await anyio.sleep(3)
        with pytest.raises(OutcomeUnknown):
            await desk.ask(desk.trading.cancel(OrderRef(desk.symbol, order.id)))
        assert desk.booked() == []


@each
@pytest.mark.parametrize("seconds", [60.0, -60.0])
async def test_a_clock_that_jumps_refuses_requests_until_it_is_asked_again(label, seconds):
    async with client(label, Fault("clock_jump", at=1.0, seconds=seconds)) as desk:
        await anyio.sleep(2)
        desk.skew = round(-seconds * SECOND)
        assert isinstance(await desk.place(), TimestampOutOfWindow)
        assert desk.booked() == []
        desk.skew = 0
        assert (await desk.place()).id
        assert desk.booked() == ["fault-2"]


@each
async def test_queries_that_lag_do_not_know_the_newest_order(label):
    async with client(label) as desk:
        old = await desk.place()
        await anyio.sleep(10)
        new = await desk.place()
        desk.host.faults.add(Fault("lagging_orders", at=0.0, match="order", seconds=5.0, count=2))
        assert [order.id for order in await desk.ask(desk.trading.open_orders(desk.symbol))] == [old.id]
        with pytest.raises(OrderNotFound):
            await desk.ask(desk.trading.order(OrderRef(desk.symbol, new.id)))
        assert desk.booked() == ["fault-1", "fault-2"]
        listed = await desk.ask(desk.trading.open_orders(desk.symbol))
        assert {order.id for order in listed} == {old.id, new.id}


# Which request is struck ---------------------------------------------------------------------------------------------


async def test_the_method_is_part_of_what_a_fault_looks_for():
    async with client("weex/spot", Fault("error_refused", at=0.0, match="post /api/v3/order")) as desk:
        assert await desk.ask(desk.trading.open_orders()) == []
        assert isinstance(await desk.place(), OutcomeUnknown)
        assert [(hit.kind, hit.where) for hit in desk.host.faults.log] == [("error_refused", "/api/v3/order")]


async def test_the_pages_of_proxies_are_no_json():
    faults = Fault("error_refused", at=0.0, match="get /"), Fault("endpoint_gone", at=1.0, match="get /")
    async with client("weex/spot") as desk:
        for fault in faults:
            desk.host.faults.add(fault)
        request = desk.trading.balances().request
        answers = []
        for _ in faults:
            answers.append(await desk.network.http(desk.endpoint.rest, request))
            await anyio.sleep(2)
        assert [answer.status for answer in answers] == [502, 404]
        for answer in answers:
            assert answer.header("content-type") == "text/html"
            assert answer.body.startswith(b"<html>")


# Schedules -----------------------------------------------------------------------------------------------------------


def test_a_schedule_of_order_faults_is_drawn_from_a_seed():
    one = FaultSchedule.seeded(3, duration=900.0, count=400, kinds=ORDER_FAULTS)
    assert one == FaultSchedule.seeded(3, duration=900.0, count=400, kinds=ORDER_FAULTS)
    assert {fault.kind for fault in one.faults} == {aim.kind for aim in ORDER_FAULTS}
    aims = {aim.kind: aim for aim in ORDER_FAULTS}
    for fault in one.faults:
        aim = aims[fault.kind]
        assert fault.match == aim.match, f"seed 3: {fault}"
        assert aim.seconds[0] <= fault.seconds <= aim.seconds[1], f"seed 3: {fault}"
    once = {"half_open", "close", "clock_jump", "listen_key_expired"}
    assert all(fault.count == 1 for fault in one.faults if fault.kind in once)
    assert any(fault.count > 1 for fault in one.faults)
    jumps = [fault.seconds for fault in one.faults if fault.kind == "clock_jump"]
    assert -10 <= min(jumps) < -1 < 30 < max(jumps), "seed 3: either way, and ahead beyond every venue's window"


def test_no_private_message_is_taken_from_a_connection_that_goes_on():
    kinds = {aim.kind for aim in ORDER_FAULTS}
    assert not kinds & {"drop", "truncate"}
    assert all(aim.match for aim in ORDER_FAULTS if aim.kind != "clock_jump"), "market data stays as it is"


def test_an_aim_says_what_a_drawn_fault_strikes():
    aim = Aim("delay", PRIVATE_STREAM, (5.0, 6.0))
    schedule = FaultSchedule.seeded(1, duration=60.0, count=10, kinds=[aim])
    assert {(fault.kind, fault.match) for fault in schedule.faults} == {("delay", "private")}
    assert all(5.0 <= fault.seconds <= 6.0 for fault in schedule.faults)
