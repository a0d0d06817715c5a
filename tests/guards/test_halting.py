"""What leaves, and what does not, once trading is halted: looked at on the wire."""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import anyio
import pytest
from msgspec import structs

from tests.trade import bourse as toy
from tests.trade.bourse import Bourse, refusal
from unitape.adapter import VenueAdapter
from unitape.errors import ConfigError, OutcomeUnknown, RiskRejected, TradingHalted, UnitapeError
from unitape.guards import Alert, KillRules, RiskLimits
from unitape.spi import HttpResponse, KillSignals, OrderRef
from unitape.trade.requests import OrderRequest, TradingOptions
from unitape_schemas import Event, Order, Status

pytestmark = pytest.mark.anyio
Make = Callable[..., VenueAdapter]
SPOT, MARGIN = "BTC/EUR", "BTC/EUR:EUR"
GONE = HttpResponse(404, b"<html>no such page</html>")
CLOSED = refusal(400, "-66", "under maintenance")


class Sink:
    def __init__(self) -> None:
        self.events: list[Event] = []

    def deliver(self, events: Any) -> None:
        self.events += events


def writes(bourse: Bourse, since: int = 0) -> list[tuple[str, str]]:
    return [(one.method, one.path) for one in bourse.seen[since:] if one.method != "GET"]


async def place(adapter: VenueAdapter, symbol: str = SPOT, **more: Any) -> Order:
    return await adapter.place(symbol, "buy", **{"size": "1", "price": "100", **more})


async def swept(adapter: VenueAdapter) -> None:
    await adapter._keeper.swept()


async def test_after_a_halt_nothing_but_cancels_and_questions_leaves(bourse: Bourse, trader: Make) -> None:
    async with trader() as adapter:
        resting = await place(adapter)
        conditional = await adapter.place(MARGIN, "buy", "stop", size="1", trigger="120")
        bourse.positions.append({"s": "BTCEURP", "side": "long", "q": "1"})
        adapter.guards.halt("by hand")
        since = len(bourse.seen)
        tries: list[Callable[[], Any]] = [
            lambda: place(adapter),
            lambda: place(adapter, MARGIN),
            lambda: adapter.place(MARGIN, "buy", "stop", size="1", trigger="120"),
            lambda: adapter.place_many([OrderRequest(symbol=SPOT, side="buy", size="1", price="9")] * 1),
            lambda: adapter.amend(SPOT, id=resting.id, price="101"),
            lambda: adapter.place(SPOT, "buy", size="1", price="100", validate=True),
            lambda: adapter.set_leverage(MARGIN, 3),
            lambda: adapter.set_margin_mode(MARGIN, "cross"),
            lambda: adapter.close_position(MARGIN),
        ]
        for attempt in tries:
            with pytest.raises(TradingHalted, match="by hand"):
                await attempt()
        await adapter.balances()
        await adapter.open_orders()
        await adapter.order(SPOT, id=resting.id)
        await swept(adapter)
        assert {method for method, _ in writes(bourse, since)} == {"DELETE"}
        assert all(row["st"] == "canceled" for row in (*bourse.orders.values(), *bourse.stops.values()))
        assert bourse.stops[str(conditional.id)]["st"] == "canceled"
        adapter.guards.reset("the test says so")
        assert (await place(adapter, client_id="after")).status == "open"


async def test_orders_that_wait_for_their_turn_do_not_outlive_the_halt(bourse: Bourse, trader: Make) -> None:
    """Twenty orders a window: the others wait for the rate, for the clock or for a free hand while the switch trips."""
    outcomes: list[object] = []

    async def one(adapter: VenueAdapter, number: int) -> None:
        try:
            outcomes.append(await place(adapter, client_id=f"n{number}"))
        except UnitapeError as error:
            outcomes.append(error)

    bourse.latency = 0.2
    async with trader() as adapter, anyio.create_task_group() as tasks:
        outcomes.append(await place(adapter, client_id="first"))
        for number in range(59):
            tasks.start_soon(one, adapter, number)
        await anyio.sleep(0.3)
        sent = bourse.count("/spot/order", "POST")
        assert 8 < sent < 20, "some are under way, others wait"
        adapter.guards.halt("enough")
    assert bourse.count("/spot/order", "POST") == sent
    assert sum(isinstance(one, Order) for one in outcomes) == sent
    assert sum(isinstance(one, TradingHalted) for one in outcomes) == 60 - sent
    assert all(row["st"] == "canceled" for row in bourse.orders.values()), "those whose answers came later, too"


async def test_leaving_because_of_a_halt_takes_no_cancel_along(bourse: Bourse, trader: Make) -> None:
    async def trade() -> None:
        async with trader() as adapter:
            await place(adapter)
            adapter.guards.halt("now")
            await place(adapter)

    with pytest.raises(TradingHalted):
        await trade()
    assert [row["st"] for row in bourse.orders.values()] == ["canceled"]


async def test_being_cancelled_takes_no_cancel_along(bourse: Bourse, trader: Make) -> None:
    with anyio.CancelScope() as scope:
        async with trader() as adapter:
            await place(adapter)
            adapter.guards.halt("now")
            scope.cancel()
            await anyio.sleep(60)
    assert [row["st"] for row in bourse.orders.values()] == ["canceled"]


@pytest.mark.parametrize("response", [GONE, HttpResponse(200, b"<html>welcome</html>"), HttpResponse(302, b"")])
async def test_vanished_endpoints_halt_cancel_and_alert(
    bourse: Bourse, trader: Make, response: HttpResponse, caplog: pytest.LogCaptureFixture
) -> None:
    alerts: list[Alert] = []
    sink = Sink()
    caplog.set_level(logging.INFO, "unitape")
    async with trader() as adapter:
        adapter.attach(sink)
        adapter.guards.on_alert(alerts.append)
        stands = await place(adapter)
        bourse.fail("/spot/order", *[response] * 3)
        for _ in range(3):
            with pytest.raises((UnitapeError,)):
                await adapter.order(SPOT, id="1")
        with pytest.raises(TradingHalted, match=r"order\.query"):
            await place(adapter)
        await swept(adapter)
    assert bourse.orders[str(stands.id)]["st"] == "canceled"
    statuses = [one for one in sink.events if isinstance(one, Status) and one.code == "halted"]
    assert len(statuses) == 1
    assert statuses[0].venue == "bourse"
    assert "order.query" in statuses[0].text
    assert [one.severity for one in alerts] == ["critical", "warning"]
    assert len(alerts[0].halt.signals) == 3
    audit = [one.getMessage() for one in caplog.records if one.name == "unitape.audit"]
    assert ['"what":"halted"' in audit[0], '"what":"canceled"' in audit[1]] == [True, True]
    assert any(one.name == "unitape.guards" and one.levelno >= logging.ERROR for one in caplog.records)
    shown = caplog.text + repr(alerts) + repr(list(adapter.guards.records))
    assert not any(secret in shown for secret in (toy.KEY, toy.SECRET, toy.PASSPHRASE))


async def test_what_cannot_be_canceled_is_tried_again_and_then_said_aloud(bourse: Bourse, trader: Make) -> None:
    alerts: list[Alert] = []
    rules = KillRules(cancel_tries=3)
    async with trader(trading=TradingOptions(kill=rules)) as adapter:
        adapter.guards.on_alert(alerts.append)
        order = await place(adapter)
        bourse.fail("/spot/all", *[CLOSED] * 50)
        bourse.fail("/spot/order", *[CLOSED] * 50)
        began = anyio.current_time()
        adapter.guards.halt("by hand")
        await swept(adapter)
        took = anyio.current_time() - began
    assert [one.severity for one in alerts] == ["critical", "emergency"]
    assert alerts[1].open == (f"{SPOT} {order.id}",)
    assert any("maintenance" in text for text in alerts[1].failures.values())
    assert bourse.count("/spot/all") >= 1, "the wide request"
    assert bourse.count("/spot/order", "DELETE") >= 1, "and by id"
    assert 0.5 + 1 + 2 <= took < 10, "with pauses that grow"


async def test_a_failing_wide_cancel_is_followed_by_cancels_by_id(bourse: Bourse, trader: Make) -> None:
    alerts: list[Alert] = []
    async with trader() as adapter:
        adapter.guards.on_alert(alerts.append)
        await place(adapter)
        bourse.fail("/spot/all", *[GONE] * 50)
        adapter.guards.halt("by hand")
        await swept(adapter)
    assert [row["st"] for row in bourse.orders.values()] == ["canceled"]
    assert alerts[-1].severity == "warning"


async def test_protective_orders_are_left_unless_told_otherwise(bourse: Bourse, trader: Make) -> None:
    for keep, status in ((True, "open"), (False, "canceled")):
        alerts: list[Alert] = []
        async with trader(trading=TradingOptions(kill=KillRules(keep_protective=keep))) as adapter:
            adapter.guards.on_alert(alerts.append)
            guarding = await adapter.place(MARGIN, "sell", "stop", size="1", trigger="80", reduce_only=True)
            opening = await adapter.place(MARGIN, "buy", "stop", size="1", trigger="120")
            adapter.guards.halt("by hand")
            await swept(adapter)
        assert bourse.stops[str(guarding.id)]["st"] == status
        assert bourse.stops[str(opening.id)]["st"] == "canceled"
        assert alerts[-1].kept == ((f"{MARGIN} {guarding.id}",) if keep else ())
        assert alerts[-1].severity == "warning"


async def test_an_order_that_is_still_on_its_way_is_waited_for_and_canceled(bourse: Bourse, trader: Make) -> None:
    """It reaches the book after the first sweep has looked."""
    async with trader(trading=TradingOptions(timeout=3.0)) as adapter, anyio.create_task_group() as tasks:
        first = await place(adapter)
        await adapter.cancel(SPOT, id=first.id)

        async def slow() -> None:
            bourse.latency = 2.0
            order = await place(adapter, client_id="late")
            assert order.status == "open"

        tasks.start_soon(slow)
        await anyio.sleep(0.5)
        bourse.latency = 0.01
        adapter.guards.halt("by hand")
        await swept(adapter)
    assert [row["st"] for row in bourse.orders.values()] == ["canceled", "canceled"]


async def test_one_order_that_stays_unknown_for_a_minute_halts(bourse: Bourse, trader: Make) -> None:
    async with trader(trading=TradingOptions(resolve_within=5.0)) as adapter:
        await place(adapter)
        hidden = HttpResponse(502, b"<html>bad gateway</html>")
        bourse.fail("/spot/order", "lost", *[hidden] * 500)
        with pytest.raises(OutcomeUnknown):
            await place(adapter, client_id="where")
        await anyio.sleep(50)
        assert adapter.guards.halted is None
        await anyio.sleep(15)
        assert adapter.guards.halted is not None
        assert adapter.guards.halted.unknown == ("where",)


async def test_a_signal_of_the_process_halts(bourse: Bourse, trader: Make) -> None:
    async with trader() as adapter:
        await place(adapter)
        adapter.halt_on_signal()
        await anyio.sleep(0.1)
        os.kill(os.getpid(), signal.SIGUSR1)
        halted = anyio.Event()
        adapter.guards.on_alert(lambda alert: halted.set())
        with anyio.fail_after(5):
            await halted.wait()
        assert adapter.guards.halted is not None
        assert adapter.guards.halted.source == "signal"
        assert "SIGUSR1" in adapter.guards.halted.reason


async def test_a_hook_that_breaks_stops_nothing(bourse: Bourse, trader: Make) -> None:
    def broken(alert: Alert) -> None:
        raise RuntimeError("pager is down")

    async with trader() as adapter:
        adapter.guards.on_alert(broken)
        await place(adapter)
        adapter.guards.halt("by hand")
        await swept(adapter)
    assert [row["st"] for row in bourse.orders.values()] == ["canceled"]


async def test_limits_refuse_before_anything_is_sent(bourse: Bourse, trader: Make) -> None:
    limits = RiskLimits(max_order_notional=Decimal(100))
    async with trader(trading=TradingOptions(risk=limits)) as adapter:
        await place(adapter)
        since = len(bourse.seen)
        with pytest.raises(RiskRejected) as refused:
            await place(adapter, size="1.001")
        assert (refused.value.limit, refused.value.value) == ("max_order_notional", Decimal("100.1"))
        many = [OrderRequest(symbol=SPOT, side="buy", size=size, price="100") for size in ("0.5", "2")]
        with pytest.raises(RiskRejected):
            await adapter.place_many(many)
        with pytest.raises(RiskRejected):
            await adapter.place(SPOT, "buy", "market", size="0.5")
        assert writes(bourse, since) == []
        adapter.guards.reference = lambda symbol: Decimal(200)
        assert (await adapter.place(SPOT, "buy", "market", size="0.5")).status == "open"
        with pytest.raises(RiskRejected):
            await adapter.place(SPOT, "buy", "market", size="0.501")


async def test_a_dry_run_is_held_to_limits_and_switch_and_sends_nothing(bourse: Bourse, trader: Make) -> None:
    options = TradingOptions(dry_run=True, risk=RiskLimits(max_order_size=Decimal(1)))
    async with trader(trading=options) as adapter:
        assert (await place(adapter)).status == "pending"
        with pytest.raises(RiskRejected):
            await place(adapter, size="1.001")
        request = OrderRequest(symbol=SPOT, side="buy", size="1", price="100")
        assert [one.status for one in await adapter.place_many([request])] == ["pending"]  # type: ignore[union-attr]
        for attempt in (
            lambda: adapter.cancel(SPOT, id="1"),
            lambda: adapter.set_leverage(MARGIN, 2),
        ):
            with pytest.raises(ConfigError, match="dry run"):
                await attempt()
        assert await adapter.open_orders() == []
        adapter.guards.halt("by hand")
        with pytest.raises(TradingHalted):
            await place(adapter)
    assert writes(bourse) == []


async def test_a_code_of_the_market_counts_as_its_table_says(bourse: Bourse, trader: Make) -> None:
    spec = structs.replace(toy.SPOT_SPEC, kill=KillSignals(codes={"-4": "disabled"}))
    async with trader(declaration=toy.venue(spot=spec)) as adapter:
        bourse.fail("/spot/order", *[refusal(400, "-4", "closed for you")] * 2)
        for _ in range(2):
            with pytest.raises(UnitapeError):
                await place(adapter)
        with pytest.raises(TradingHalted, match="closed for you"):
            await place(adapter)


async def test_cancels_by_batch_leave_too(bourse: Bourse, trader: Make) -> None:
    async with trader(trading=TradingOptions(kill=KillRules(cancel_tries=1))) as adapter:
        orders = [await place(adapter) for _ in range(3)]
        bourse.fail("/spot/all", *[CLOSED] * 9)
        adapter.guards.halt("by hand")
        answers = await adapter.cancel_many([OrderRef(SPOT, order.id) for order in orders])
        await swept(adapter)
    assert len(answers) == 3
    assert all(row["st"] == "canceled" for row in bourse.orders.values())
