"""What is done about a lost answer: asked, listened to, concluded; never sent again but for cancels."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import anyio
import pytest
from msgspec import structs

from tests.trade.bourse import Bourse
from unitape.adapter import VenueAdapter
from unitape.errors import DuplicateOrder, ExchangeUnavailable, NotPlaced, OrderNotFound, OutcomeUnknown
from unitape.guards.kill import KillRules
from unitape.spi import HttpResponse
from unitape.trade import resolver
from unitape.trade.requests import OrderRequest, TradingOptions
from unitape_schemas import Order

pytestmark = pytest.mark.anyio
Make = Callable[..., VenueAdapter]
SPOT, MARGIN = "BTC/EUR", "BTC/EUR:EUR"
OPTIONS = TradingOptions(kill=KillRules(enabled=False), client_id_prefix="r")


@pytest.fixture
def resolving(trader: Make) -> Make:
    return lambda **settings: trader(trading=OPTIONS, resolve_within=60.0, **settings)


async def limit(adapter: VenueAdapter, symbol: str = SPOT, **changes: Any) -> Order:
    return await adapter.place(symbol, "buy", **{"size": "1", "price": "100", "client_id": "fate", **changes})


def behind(bourse: Bourse, seconds: float) -> None:
    """From now on the queries know only what is older than this, for as long."""
    start = anyio.current_time()
    answer = bourse._answer

    def lagging(request: Any, params: dict[str, str]) -> HttpResponse:
        if request.method != "GET" or request.path == "/time" or anyio.current_time() > start + seconds:
            return answer(request, params)
        known = bourse.orders, bourse.stops
        bourse.orders, bourse.stops = {}, {}
        try:
            return answer(request, params)
        finally:
            bourse.orders, bourse.stops = known

    bourse._answer = lagging  # type: ignore[method-assign]


@pytest.mark.parametrize("symbol", [SPOT, MARGIN])
@pytest.mark.parametrize("fault", ["lost", HttpResponse(502, b"<html>")])
async def test_an_order_that_arrived_is_found_by_name_or_in_the_lists(
    bourse: Bourse, resolving: Make, symbol: str, fault: Any
) -> None:
    where = "/spot/order" if symbol == SPOT else "/margin/order"
    executes = fault == "lost"
    bourse.fail(where, fault)
    async with resolving() as adapter:
        if executes:
            found = await limit(adapter, symbol)
            assert (found.status, found.client_id, found.origin) == ("open", "fate", "reconciled")
            assert (await adapter.account("spot" if symbol == SPOT else "margin")).open_orders() == [found]
        else:
            with pytest.raises(NotPlaced) as never:
                await limit(adapter, symbol)
            assert never.value.client_id == "fate"
            assert never.value.retryable
            assert anyio.current_time() > 15
    assert bourse.count(where, "POST") == 1
    assert len(bourse.orders) == executes


async def test_absence_proves_nothing_before_the_lag_is_over(bourse: Bourse, resolving: Make) -> None:
    bourse.fail("/spot/order", "lost")
    async with resolving() as adapter:
        await adapter.balances()
        behind(bourse, 14.0)
        found = await limit(adapter)
    assert found.id == "1"
    assert bourse.count("/spot/order", "POST") == 1


async def test_two_reads_must_agree_and_a_read_that_fails_is_none(bourse: Bourse, resolving: Make) -> None:
    bourse.fail("/spot/order", "lose", *["lose"] * 12)
    async with resolving() as adapter:
        with pytest.raises(NotPlaced):
            await limit(adapter)
        asked = [one.at for one in bourse.seen if (one.method, one.path) == ("GET", "/spot/order")]
        assert len(asked) >= 12 + 2
        assert asked[-1] - asked[-2] == pytest.approx(2.05, abs=0.2)


async def test_what_is_not_found_in_time_is_said_and_found_in_the_background(bourse: Bourse, resolving: Make) -> None:
    heard: list[Any] = []
    bourse.fail("/spot/order", "lost", *[HttpResponse(500, b"x")] * 60)
    async with resolving() as adapter:
        client = await adapter.trading_client(adapter.declaration.market("spot"))
        client.fates.listener = heard.extend
        with pytest.raises(OutcomeUnknown) as unknown:
            await limit(adapter)
        assert 60 <= anyio.current_time() < 75
        assert unknown.value.client_id == "fate"
        state = await adapter.account("spot")
        known = state.order(SPOT, client_id="fate")
        assert known is not None
        assert known.status == "unknown"
        with pytest.raises(DuplicateOrder, match="unknown; nothing was sent"):
            await limit(adapter)
        bourse.faults.clear()
        with anyio.fail_after(120):
            while state.open_orders()[0].status != "open":
                await state.changed()
    assert [(one.status, one.origin) for one in heard] == [
        ("pending", "answer"), ("unknown", "answer"), ("open", "reconciled"),
    ]  # fmt: skip
    assert bourse.count("/spot/order", "POST") == 1


async def test_a_caller_who_is_cancelled_leaves_an_order_that_is_looked_for(bourse: Bourse, resolving: Make) -> None:
    bourse.fail("/spot/order", "hang")
    async with resolving() as adapter:
        await adapter.balances()
        with anyio.move_on_after(1.0) as impatient:
            await limit(adapter)
        assert impatient.cancelled_caught
        state = await adapter.account("spot")
        with anyio.fail_after(120):
            while state.open_orders():
                await state.changed()
        known = state.order(SPOT, client_id="fate")
        assert known is not None
        assert (known.status, known.raw_status) == ("rejected", "never arrived")
        again = await limit(adapter)
        assert again.status == "open"


async def test_a_cancel_is_repeated_until_the_order_has_ended(bourse: Bourse, resolving: Make) -> None:
    async with resolving() as adapter:
        placed = await limit(adapter)
        bourse.fail("/spot/order", "lose")
        gone = await adapter.cancel(SPOT, id=placed.id)
        assert gone is not None
        assert gone.status == "canceled"
        assert bourse.count("/spot/order", "DELETE") == 2
        other = await limit(adapter, client_id="second")
        bourse.fail("/spot/order", "lost")
        gone = await adapter.cancel(SPOT, client_id="second")
        assert gone is not None
        assert (gone.id, gone.status) == (other.id, "canceled")
        assert bourse.count("/spot/order", "DELETE") == 3
        bourse.fail("/spot/order", "lost")
        with pytest.raises(OrderNotFound):
            await adapter.cancel(SPOT, id="77")


async def test_a_change_is_seen_or_seen_not_to_have_happened(bourse: Bourse, resolving: Make) -> None:
    async with resolving() as adapter:
        placed = await limit(adapter)
        bourse.fail("/spot/order", "lost")
        changed = await adapter.amend(SPOT, id=placed.id, price="101")
        assert changed.price == Decimal(101)
        bourse.fail("/spot/order", "lose")
        with pytest.raises(ExchangeUnavailable, match="stands unchanged"):
            await adapter.amend(SPOT, id=placed.id, price="102")
    assert bourse.count("/spot/order", "PUT") == 2


async def test_each_order_of_a_lost_batch_has_its_own_fate(bourse: Bourse, resolving: Make) -> None:
    wanted = [OrderRequest(symbol=SPOT, side="buy", size="1", price="9", client_id=name) for name in ("a", "b")]
    async with resolving() as adapter:
        bourse.fail("/spot/orders", "lost")
        placed = await adapter.place_many(wanted)
        assert [(type(one), one.client_id) for one in placed] == [(Order, "a"), (Order, "b")]
        bourse.fail("/spot/orders", "lose")
        wanted = [structs.replace(one, client_id=f"{one.client_id}2") for one in wanted]
        placed = await adapter.place_many(wanted)
        assert [(type(one), one.client_id) for one in placed] == [(NotPlaced, "a2"), (NotPlaced, "b2")]
    assert bourse.count("/spot/orders", "POST") == 2
    assert [row["cid"] for row in bourse.orders.values()] == ["a", "b"]


async def test_a_name_used_again_is_not_answered_with_the_order_that_had_it_before(
    bourse: Bourse, resolving: Make
) -> None:
    async with resolving() as adapter:
        first = await limit(adapter)
        await adapter.cancel(SPOT, id=first.id)
        bourse.fail("/spot/order", "lose")
        with pytest.raises(NotPlaced):
            await limit(adapter)
        state = await adapter.account("spot")
        assert state.open_orders() == []
        assert [one.id for one in state.closed_orders()] == [first.id, None]


async def test_a_name_that_an_older_order_had_before_this_process_is_not_taken_for_ours(
    bourse: Bourse, resolving: Make
) -> None:
    async with resolving() as adapter:
        await adapter.balances()
        bourse.orders["old"] = {
            "s": "BTCEUR", "side": "buy", "kind": "limit", "cid": "fate", "p": "100", "q": "1", "f": "1", "id": "old",
            "st": "filled", "t": bourse.now() - 600_000,
        }  # fmt: skip
        bourse.fail("/spot/order", "lose")
        with pytest.raises(NotPlaced):
            await limit(adapter)


async def test_the_same_name_in_two_symbols_is_doubted_for_each_by_itself(bourse: Bourse, resolving: Make) -> None:
    bourse.fail("/spot/order", "lose", *[HttpResponse(500, b"x")] * 90)
    async with resolving() as adapter:
        with pytest.raises(OutcomeUnknown):
            await limit(adapter)
        # The first is still looked for, long after its request could arrive; that says nothing of the second.
        bourse.faults.clear()
        bourse.fail("/spot/order", "lost")
        behind(bourse, 8.0)
        found = await limit(adapter, "ETH/EUR")
        assert found.symbol == "ETH/EUR"
        await anyio.sleep(120)
        state = await adapter.account("spot")
        assert [(one.symbol, one.status) for one in state.open_orders()] == [("ETH/EUR", "open")]
    assert bourse.count("/spot/order", "POST") == 2


async def test_a_reader_that_trips_does_not_end_the_search(bourse: Bourse, resolving: Make) -> None:
    bourse.fail("/spot/order", "lost", *["explode"] * 3, HttpResponse(200, b"[]"), HttpResponse(200, b'{"id": 1}'))
    async with resolving() as adapter:
        found = await limit(adapter)
        assert (found.id, found.status) == ("1", "open")


async def test_a_fault_in_the_search_ends_neither_the_search_nor_the_adapter(
    bourse: Bourse, resolving: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain, trips = resolver.look_for, iter(range(4))

    async def trip(*given: Any) -> Order | None:
        if next(trips, None) is not None:
            raise KeyError("a field that nobody expected")
        return await plain(*given)

    monkeypatch.setattr(resolver, "look_for", trip)
    bourse.fail("/spot/order", "lost")
    async with resolving() as adapter:
        assert (await limit(adapter)).id == "1"


async def test_an_answer_without_the_name_is_the_order_that_was_asked_for(bourse: Bourse, resolving: Make) -> None:
    async with resolving() as adapter:
        client = await adapter.trading_client(adapter.declaration.market("spot"))
        plain = client.trading._order
        client.trading._order = lambda row, ts: structs.replace(plain(row, ts), client_id=None)
        placed = await limit(adapter)
        (many,) = await adapter.place_many([OrderRequest(symbol=SPOT, side="buy", size="1", price="9", client_id="b")])
        assert isinstance(many, Order)
        assert (placed.client_id, many.client_id) == ("fate", "b")
        assert [(one.client_id, one.status) for one in client.fates.state.open_orders()] == [
            ("fate", "open"), ("b", "open"),
        ]  # fmt: skip


@pytest.mark.parametrize("jump", [90.0, -90.0])
@pytest.mark.parametrize("noticed", [True, False])
async def test_a_clock_that_is_set_meanwhile_makes_no_order_look_like_an_older_one(
    bourse: Bourse, resolving: Make, jump: float, noticed: bool
) -> None:
    async with resolving() as adapter:
        await adapter.balances("spot")
        plain = bourse.http

        async def http(base: str, request: Any) -> HttpResponse:
            answer = await plain(base, request)
            if request.method == "POST":
                # While this answer is under way the venue's clock is set.
                bourse.skew += jump
                if jump < 0:
                    bourse.orders["1"]["t"] = bourse.now()
                if noticed:
                    (await adapter.trading_client(adapter.declaration.market("spot"))).venue_clock.forget()
                    await adapter.balances("spot")
                return HttpResponse(502, b"<html>")
            return answer

        bourse.http = http  # type: ignore[method-assign]
        found = await limit(adapter)
        assert (found.id, found.status) == ("1", "open")
