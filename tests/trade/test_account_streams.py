"""Account streams on every market that has a simulator: snapshot, pushes, gaps that are filled, rotation, bad keys."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any

import anyio
import pytest
from trio.testing import MockClock

import unitape as ut
from tests.trade.test_sessions import LINEAR, MARKETS, USER, Floor, floor
from unitape.errors import ConfigError, Unsupported
from unitape.registry import load_venue
from unitape.sim.build import SimSettings
from unitape.sim.faults import Fault
from unitape.sim.memory import SimNetwork
from unitape.spi.simulated_accounts import SimOrder, SimOrderRequest
from unitape.trade import private_line
from unitape_schemas import Balance, Fill, Order, Position, Status, Subscription

pytestmark = pytest.mark.anyio
D = Decimal


@pytest.fixture
def anyio_backend() -> Any:
    return "trio", {"clock": MockClock(autojump_threshold=0)}


class Ears:
    def __init__(self) -> None:
        self.heard: list[Any] = []

    def deliver(self, events: Any) -> None:
        self.heard.extend(events)

    def of(self, kind: type) -> list[Any]:
        return [one for one in self.heard if type(one) is kind]

    def codes(self, channel: str) -> list[str]:
        return [one.code for one in self.of(Status) if one.subscription and one.subscription.startswith(f"{channel} ")]


@asynccontextmanager
async def listening(label: str, **settings: Any) -> AsyncIterator[tuple[Floor, Ears]]:
    async with floor(label, **settings) as on:
        ears = Ears()
        on.adapter.attach(ears)
        result = await on.adapter.subscribe(channels(on))
        assert result.rejected == ()
        yield on, ears


def channels(on: Floor) -> list[Subscription]:
    names: list[Any] = ["orders", "fills", "balances", *(["positions"] if on.linear else [])]
    return [Subscription(name, "*" if name == "balances" else on.symbol, market=on.market) for name in names]


def elsewhere(on: Floor, small: Decimal, name: str) -> SimOrder:
    """Buy as another program of the same account."""
    size = round(small / on.spec.step)
    request = SimOrderRequest(on.symbol, "buy", "market", size=size, client_id=name, **on.long)
    placed = on.exchange.accounts.place(USER.name, request)
    assert isinstance(placed, SimOrder)
    return placed


@pytest.mark.parametrize("label", MARKETS)
async def test_what_stood_before_is_told_first_and_then_what_happens(label: str) -> None:
    async with floor(label) as on:
        small = await on.small()
        resting = await on.adapter.place(on.symbol, "buy", size=small, price=on.resting(), **on.long)
        state = await on.adapter.account(on.market)
        assert not state.live
        ears = Ears()
        on.adapter.attach(ears)
        result = await on.adapter.subscribe(channels(on))
        assert len(result.confirmed) == len(channels(on))
        assert state.live
        assert [(one.id, one.status) for one in state.open_orders()] == [(resting.id, "open")]
        balances = {one.currency: one for one in ears.of(Balance)}
        assert balances["USDT"].total == on.ledger()["USDT"] or on.linear
        assert ears.codes("orders") == ["connected", "subscribed"]
        elsewhere(on, small, "another")
        await anyio.sleep(3)
        (fill,) = {one.id: one for one in ears.of(Fill)}.values() if len(ears.of(Fill)) == 1 else (None,)
        told = [one for one in ears.of(Order) if one.client_id == "another"]
        assert told[-1].status == "filled"
        assert told[-1].filled == small
        assert sum((one.size for one in ears.of(Fill)), D(0)) == small
        assert {one.origin for one in ears.of(Fill)} == {"stream"}
        assert fill is None or fill.client_id == "another"
        if on.linear:
            assert [(one.side, one.size) for one in state.positions(on.symbol)] == [("long", small)]
            assert [one.size for one in ears.of(Position)][-1] == small
        gone = await on.adapter.cancel(on.symbol, id=resting.id)
        assert gone is None or gone.status in ("canceled", "open")
        with anyio.fail_after(10):
            ended = await state.settled(on.symbol, id=resting.id)
        assert ended.status == "canceled"
        late = on.adapter.state()
        assert [one.code for one in late if isinstance(one, Status)] == ["subscribed"] * len(channels(on))
        assert {one.currency for one in late if isinstance(one, Balance)} >= {"USDT"}


@pytest.mark.parametrize("label", MARKETS)
async def test_what_happens_while_the_line_is_cut_is_asked_for_and_marked(label: str) -> None:
    async with listening(label) as (on, ears):
        small = await on.small()
        host = on.exchange
        network_faults = on.host.faults
        network_faults.add(Fault("close", 0.0, match="private"))
        elsewhere(on, small, "strikes")
        await anyio.sleep(0.2)
        elsewhere(on, small, "missed")
        await anyio.sleep(60)
        state = await on.adapter.account(on.market)
        assert state.live
        missed = [one for one in ears.of(Order) if one.client_id == "missed"]
        assert [one.status for one in missed] == ["filled"]
        assert {one.origin for one in missed} == {"reconciled"}
        fills = [one for one in ears.of(Fill) if one.order_id == missed[0].id]
        assert sum((one.size for one in fills), D(0)) == small
        assert (
            len({(one.id, one.order_id) for one in ears.of(Fill)})
            == len(ears.of(Fill))
            == len(host.accounts.fills(USER.name))
        )
        assert ears.codes("orders") == [
            "connected",
            "subscribed",
            "disconnected",
            "connected",
            "subscribed",
            "recovered",
        ]
        recovered = [one for one in ears.of(Status) if one.code == "recovered"]
        assert recovered[0].count is not None
        assert recovered[0].count >= 2
        if not on.linear:
            assert {one.currency: one.total for one in state.balances() if one.total} == on.ledger()


@pytest.mark.parametrize("label", ["binance/spot"])
async def test_a_line_is_replaced_before_it_is_too_old(label: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(private_line, "TICK", 10.0)
    async with listening(label, tick=10.0, rate=0.01) as (on, ears):
        small = await on.small()
        for hour in range(26):
            await anyio.sleep(3600)
            if hour % 6 == 0:
                elsewhere(on, small, f"hour-{hour}")
        await anyio.sleep(5)
        codes = ears.codes("orders")
        assert codes.count("rotated") >= 1
        assert "disconnected" not in codes
        assert [one.client_id for one in ears.of(Order) if one.status == "filled"] == [
            f"hour-{h}" for h in (0, 6, 12, 18, 24)
        ]
        assert {one.origin for one in ears.of(Fill)} == {"stream"}


@pytest.mark.parametrize("label", MARKETS)
async def test_a_key_that_the_venue_does_not_take_is_said_and_not_tried_for_ever(label: str) -> None:
    venue_name, _, market = label.partition("/")
    venue = load_venue(venue_name)
    settings = SimSettings(markets=(label,), accounts=(USER,), history_minutes=5, tick=0.5)
    async with SimNetwork([venue], settings) as network:
        adapter = ut.VenueAdapter(
            venue,
            endpoints={market: network.endpoint(venue_name, market)},
            transport=network.transport,
            clock=network.clock,
            credentials=ut.Credentials("wrong-key-77", "wrong-secret-77", "wrong-pass-77"),
            seed=1,
        )
        async with adapter:
            result = await adapter.subscribe([Subscription("orders", "*", market=market)])
            assert result.confirmed == ()
            assert "wrong-" not in result.rejected[0].text
            await anyio.sleep(60)
            (feed,) = adapter.account_feeds().values()
            assert feed.refusal is not None
            await anyio.sleep(600)


async def test_without_a_key_or_a_stream_the_reason_is_said() -> None:
    label = MARKETS[0]
    venue_name, _, market = label.partition("/")
    venue = load_venue(venue_name)
    settings = SimSettings(markets=(label,), accounts=(USER,), history_minutes=5, tick=0.5)
    async with SimNetwork([venue], settings) as network:
        places = {market: network.endpoint(venue_name, market)}
        async with ut.VenueAdapter(
            venue, endpoints=places, transport=network.transport, clock=network.clock
        ) as adapter:
            with pytest.raises(ConfigError, match="needs an API key"):
                await adapter.subscribe([Subscription("orders", "*", market=market)])
            with pytest.raises(Unsupported, match="no stream of positions"):
                await adapter.subscribe([Subscription("positions", "*", market="spot")])


async def test_a_router_brings_accounts_beside_books() -> None:
    venue_name, _, market = MARKETS[0].partition("/")
    venue = load_venue(venue_name)
    settings = SimSettings(markets=(MARKETS[0],), accounts=(USER,), history_minutes=5, tick=0.1)
    async with SimNetwork([venue], settings) as network:
        adapter = ut.VenueAdapter(
            venue,
            endpoints={market: network.endpoint(venue_name, market)},
            transport=network.transport,
            clock=network.clock,
            credentials=ut.Credentials(USER.key, USER.secret, USER.passphrase),
        )
        async with ut.Router(adapter, clock=network.clock) as router:
            stream = router.stream(types=(Order, Fill), statuses=False)
            results = await router.subscribe(ut.orders(market=market), ut.fills(market=market), ut.book("BTC/USDT"))
            assert len(results.confirmed) == 3
            placed = await adapter.place("BTC/USDT", "buy", "market", size="0.01")
            told: list[Any] = []
            async for event in stream:
                told.append(event)
                if isinstance(event, Order) and event.status == "filled":
                    break
        assert {one.client_id for one in told} == {placed.client_id}
        assert told[-1].filled == D("0.01")


@pytest.mark.parametrize("label", LINEAR)
async def test_a_triggered_order_is_over_and_what_it_sent_is_an_order_of_its_own(label: str) -> None:
    async with listening(label) as (on, ears):
        small, best = await on.small(), on.exchange.best(on.symbol)
        sides = {"size": small, "trigger": on.price(best.ask), "client_id": "waits", **on.long}
        await on.adapter.place(on.symbol, "buy", "stop", **sides)
        state = await on.adapter.account(on.market)
        assert [(one.client_id, one.kind) for one in state.open_orders()] == [("waits", "stop")]
        elsewhere(on, small, "another")
        with anyio.fail_after(700):
            while state.open_orders():
                await state.changed()
        ended = {(one.kind, one.client_id): one for one in state.closed_orders()}
        waits = ended.pop(("stop", "waits"))
        assert waits.status in ("filled", "unknown")
        assert waits.status == "filled" or waits.raw_status
        (sent,) = [one for one in ended.values() if one.client_id != "another"]
        assert (sent.status, sent.filled, sent.trigger) == ("filled", small, None)
        assert sum((one.size for one in ears.of(Fill)), D(0)) == 2 * small
