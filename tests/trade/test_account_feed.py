"""Account feeds through everything that can break under them: nothing lost, leaked, shown, or asked for ever."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any

import anyio
import pytest
from msgspec import structs

from tests.trade.bourse import CREDENTIALS, KEY, PASSPHRASE, SECRET
from tests.trade.bourse_stream import LISTEN_KEY, SPEC, Said, StreamBourse, stream_venue
from unitape.adapter import VenueAdapter
from unitape.clock import LoopClock
from unitape.errors import UnitapeError
from unitape.guards.kill import KillRules
from unitape.spi import HttpResponse, Unmapped
from unitape.trade import reconcile
from unitape.trade.requests import TradingOptions
from unitape.transport.memory import MemoryTransport
from unitape_schemas import Balance, Fill, Order, Status, Subscription

pytestmark = pytest.mark.anyio
SPOT = "BTC/EUR"
SYMBOL_ORDERS = Subscription("orders", SPOT)
BALANCES = Subscription("balances", "*", market="spot")
D = Decimal


class Ears:
    def __init__(self) -> None:
        self.heard: list[Any] = []

    def deliver(self, events: Any) -> None:
        self.heard.extend(events)

    def of(self, kind: type) -> list[Any]:
        return [one for one in self.heard if type(one) is kind]

    def codes(self, channel: str) -> list[str]:
        return [one.code for one in self.of(Status) if (one.subscription or "").startswith(f"{channel} ")]


@asynccontextmanager
async def account(clock: LoopClock, **changes: Any) -> AsyncIterator[tuple[VenueAdapter, StreamBourse, Ears]]:
    said = Said()
    bourse = StreamBourse(clock, said=said)
    trading = TradingOptions(kill=KillRules(enabled=False), reconcile_every=changes.pop("reconcile_every", 300.0))
    adapter = VenueAdapter(
        stream_venue(said, **changes),
        transport=MemoryTransport(bourse),
        credentials=CREDENTIALS,
        seed=1,
        clock=clock,
        trading=trading,
    )
    ears = Ears()
    async with adapter:
        adapter.attach(ears)
        yield adapter, bourse, ears


def order(clock: LoopClock, **changes: Any) -> Order:
    now = clock.wall()
    made = Order(
        "bourse", SPOT, now, 0, now, "77", "seen", "buy", "limit", "gtc", D(100), None, D(10), D(0), None, "open", None,
        None, now, now, "stream", "NEW",
    )  # fmt: skip
    return structs.replace(made, **changes)


def balance(free: str, ts: int = 0, **changes: Any) -> Balance:
    made = Balance("bourse", "", ts, 0, 0, "EUR", D(free), None, None, "spot")
    return structs.replace(made, **changes)


async def test_a_feed_that_is_cut_before_it_is_compared_waits_without_spinning(
    clock: LoopClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = 0
    plain = reconcile.Reconciler.fills_due

    def count(self: Any) -> float | None:
        nonlocal asked
        asked += 1
        assert asked < 2_000, "asks itself again and again, while nothing can be asked"
        return plain(self)

    monkeypatch.setattr(reconcile.Reconciler, "fills_due", count)
    async with account(clock) as (adapter, bourse, _):
        await adapter.subscribe([SYMBOL_ORDERS])
        bourse.push(order(clock, filled=D(4), status="partially_filled"))
        await anyio.sleep(0.1)
        bourse.latency = 1.0
        bourse.refuse += [None, *["no"] * 5]
        bourse.peers[-1].cut()
        for _ in range(30):
            if len(bourse.peers) < 2:
                await anyio.sleep(0.1)
        await anyio.sleep(0.6)
        bourse.peers[-1].cut()
        await anyio.sleep(120)


async def test_who_subscribes_later_gets_what_stands_and_is_told_so(clock: LoopClock) -> None:
    async with account(clock) as (adapter, bourse, ears):
        await adapter.subscribe([SYMBOL_ORDERS])
        assert ears.of(Balance) == []
        result = await adapter.subscribe([BALANCES])
        assert result.rejected == ()
        assert [(one.currency, one.free) for one in ears.of(Balance)] == [("EUR", D("1000.50"))]
        assert ears.codes("balances") == ["subscribed"]
        assert [one.code for one in adapter.state() if isinstance(one, Status)] == ["subscribed", "subscribed"]
        await adapter.unsubscribe([BALANCES])
        bourse.push(balance("900"))
        await anyio.sleep(0.1)
        assert len(ears.of(Balance)) == 1
        state = await adapter.account("spot")
        known = state.balance("EUR")
        assert known is not None
        assert known.free == D(900), "the state is kept although nobody is told"
        await adapter.subscribe([BALANCES])
        assert [one.free for one in ears.of(Balance)] == [D("1000.50"), D(900)]
        assert len(bourse.peers) == 1


async def test_what_answers_told_before_is_part_of_the_snapshot(clock: LoopClock) -> None:
    async with account(clock) as (adapter, _, ears):
        placed = await adapter.place(SPOT, "buy", size="1", price="100")
        await adapter.balances("spot")
        await adapter.subscribe([SYMBOL_ORDERS, BALANCES])
        assert [(one.id, one.status) for one in ears.of(Order)] == [(placed.id, "open")]
        assert [one.free for one in ears.of(Balance)] == [D("1000.50")]
        assert ears.codes("orders") == ["connected", "subscribed"]


async def test_what_was_executed_before_is_not_told_as_news(clock: LoopClock) -> None:
    async with account(clock) as (adapter, bourse, ears):
        await adapter.balances("spot")
        bourse.orders["old"] = {
            "s": "BTCEUR", "side": "buy", "kind": "limit", "cid": "old", "p": "9", "q": "1", "f": "1", "id": "old",
            "st": "filled", "t": bourse.now() - 30_000,
        }  # fmt: skip
        bourse.fills.append({"id": "f1", "oid": "old", "p": "9", "q": "1", "t": bourse.now() - 30_000})
        await adapter.subscribe([SYMBOL_ORDERS, Subscription("fills", SPOT)])
        await anyio.sleep(700)
        assert ears.of(Fill) == [], "the balances of the beginning hold it already"
        assert ears.of(Order) == []
        assert len(bourse.peers) == 1, "it is no sign of a dead stream"


@pytest.mark.parametrize("where", ["on_open", "on_tick"])
async def test_a_session_that_trips_costs_a_connection_and_no_adapter(clock: LoopClock, where: str) -> None:
    async with account(clock) as (adapter, bourse, ears):
        setattr(bourse.said, where, RuntimeError(f"a fault near {SECRET}"))
        with anyio.move_on_after(20):
            await adapter.subscribe([SYMBOL_ORDERS])
            await anyio.sleep(5)
        setattr(bourse.said, where, None)
        await anyio.sleep(90)
        state = await adapter.account("spot")
        assert state.live
        texts = [one.text for one in ears.of(Status)]
        assert any("a fault near ***" in text for text in texts), texts
        await adapter.balances("spot")


async def test_a_message_that_trips_is_said_and_what_it_may_have_told_is_asked_for(clock: LoopClock) -> None:
    async with account(clock) as (adapter, bourse, ears):
        await adapter.subscribe([SYMBOL_ORDERS])
        asked = bourse.count("/spot/open")
        bourse.push_broken()
        bourse.push_broken(KeyError("price"))
        # Decimal's own errors come out of arithmetic with what no adapter should let through.
        bourse.push(order(clock, size="ten"))
        await anyio.sleep(3)
        assert len([one for one in ears.of(Status) if one.code == "undecoded"]) == 3
        assert bourse.count("/spot/open") > asked
        bourse.push(order(clock, id="78", client_id="next"))
        await anyio.sleep(0.1)
        assert [one.id for one in ears.of(Order)][-1] == "78"
        assert len(bourse.peers) == 1


async def test_a_connection_that_was_given_up_while_it_was_dialled_is_closed(clock: LoopClock) -> None:
    private = structs.replace(SPEC, keep_every=2.0)
    async with account(clock, listen=True, private=private) as (adapter, bourse, _):
        bourse.held = anyio.Event()
        # The key is gone before the connection stands.
        bourse.fail("/spot/listen", lambda _: HttpResponse(200, b'{"key": "%s"}' % LISTEN_KEY.encode()))
        bourse.fail("/spot/listen", HttpResponse(400, b'{"code": "-1", "msg": "no such key"}'))
        with anyio.move_on_after(4):
            await adapter.subscribe([SYMBOL_ORDERS])
        bourse.held.set()
        await anyio.sleep(5)
        assert sum(peer.open for peer in bourse.peers) == 1
        assert len(bourse.peers) >= 2
        assert (await adapter.account("spot")).live


async def test_listen_keys_and_headers_reach_no_log_status_or_error(
    clock: LoopClock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    private = structs.replace(SPEC, keep_every=5.0)
    async with account(clock, listen=True, private=private) as (adapter, bourse, ears):
        bourse.refuse += ["refused:", "refused:", RuntimeError(f"bad address ws://x/?listenKey={LISTEN_KEY}")]
        result = await adapter.subscribe([SYMBOL_ORDERS])
        await anyio.sleep(30)
        bourse.fail("/spot/listen", *["lose"] * 12, HttpResponse(400, b'{"msg": "gone: %s"}' % LISTEN_KEY.encode()))
        await anyio.sleep(120)
        assert (await adapter.account("spot")).live
        shown = [*map(repr, ears.heard), *(repr(one) for one in result.rejected)]
        shown += [record.getMessage() for record in caplog.records]
        assert any("refused: ws" in text for text in shown)
        assert any("could not be extended" in text for text in shown)
        assert any("gone: ***" in text for text in shown)
        for text in shown:
            for secret in (LISTEN_KEY, KEY, SECRET, PASSPHRASE, "5f" * 20):
                assert secret not in text, text


async def test_two_who_subscribe_at_once_share_one_feed(clock: LoopClock) -> None:
    async with account(clock) as (adapter, bourse, ears):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(adapter.subscribe, [SYMBOL_ORDERS])
            tasks.start_soon(adapter.subscribe, [BALANCES])
            tasks.start_soon(adapter.subscribe, [SYMBOL_ORDERS, Subscription("fills", SPOT)])
        assert len(bourse.peers) == 1
        for channel in ("orders", "balances", "fills"):
            assert ears.codes(channel).count("subscribed") == 1


async def test_a_subscription_that_is_wrong_in_one_market_starts_none(clock: LoopClock) -> None:
    async with account(clock) as (adapter, bourse, _):
        with pytest.raises(UnitapeError):
            await adapter.subscribe([BALANCES, Subscription("orders", "NIX/EUR:EUR")])
        assert adapter.account_feeds() == {}
        assert bourse.peers == []


async def test_who_subscribes_while_the_line_is_down_waits_for_it(clock: LoopClock) -> None:
    async with account(clock) as (adapter, bourse, ears):
        await adapter.subscribe([SYMBOL_ORDERS])
        bourse.refuse += ["no", "no"]
        bourse.peers[-1].cut()
        await anyio.sleep(0.01)
        assert not (await adapter.account("spot")).live
        result = await adapter.subscribe([BALANCES])
        assert result.rejected == ()
        assert [one.currency for one in ears.of(Balance)] == ["EUR"]


async def test_leaving_while_the_line_is_made_anew_leaves_nothing_behind(clock: LoopClock) -> None:
    for wait in (0.0, 0.3, 2.0):
        async with account(clock) as (adapter, bourse, _):
            await adapter.subscribe([SYMBOL_ORDERS])
            bourse.refuse += ["no"] * 3
            bourse.held = anyio.Event()
            bourse.peers[-1].cut()
            await anyio.sleep(wait)
        assert not any(peer.open for peer in bourse.peers)


async def test_names_of_messages_that_mean_nothing_are_counted_within_a_bound(clock: LoopClock) -> None:
    async with account(clock) as (adapter, bourse, _):
        await adapter.subscribe([SYMBOL_ORDERS])
        for number in range(3_000):
            bourse.push(Unmapped(f"event-{number}"))
        await anyio.sleep(0.1)
        (feed,) = adapter.account_feeds().values()
        assert len(feed.unmapped) <= 1_001
        assert sum(feed.unmapped.values()) == 3_000
        assert sum(adapter.unmapped().values()) == 3_000


async def test_a_busy_account_is_not_asked_for_its_balances_twice_a_second(clock: LoopClock) -> None:
    async with account(clock) as (adapter, bourse, ears):
        bourse.latency = 0.4
        await adapter.subscribe([BALANCES])
        state = await adapter.account("spot")
        state.take(balance("1000", equity=D(2000)))
        began = bourse.count("/spot/balances")
        for number in range(600):
            bourse.push(balance(str(1_000 + number), ts=clock.wall()))
            await anyio.sleep(0.1)
        assert bourse.count("/spot/balances") - began <= 20
        bourse.balance = {"EUR": "7"}
        await anyio.sleep(30)
        known = state.balance("EUR")
        assert known is not None
        assert known.free == D(7), "once it is calm the question is answered"
        assert ears.of(Balance)[-1].free == D(7)


async def test_a_dead_stream_is_told_by_what_it_did_not_tell(clock: LoopClock) -> None:
    async with account(clock, reconcile_every=60.0) as (adapter, bourse, ears):
        await adapter.subscribe([SYMBOL_ORDERS])
        await anyio.sleep(100)
        bourse.orders["9"] = {
            "s": "BTCEUR", "side": "buy", "kind": "limit", "cid": "silent", "p": "9", "q": "1", "f": "0", "id": "9",
            "st": "open", "t": bourse.now(),
        }  # fmt: skip
        await anyio.sleep(150)
        assert [(one.client_id, one.origin) for one in ears.of(Order)] == [("silent", "reconciled")]
        assert len(bourse.peers) == 2
        assert not bourse.peers[0].open
        assert (await adapter.account("spot")).live


def row(bourse: StreamBourse, number: str, status: str, **changes: Any) -> dict[str, Any]:
    return {
        "s": "BTCEUR", "side": "buy", "kind": "limit", "cid": f"c{number}", "p": "9", "q": "10", "f": "0",
        "id": number, "st": status, "t": bourse.now(), **changes,
    }  # fmt: skip


async def test_executions_that_only_their_order_tells_of_are_asked_for_to_the_last_page(clock: LoopClock) -> None:
    async with account(clock) as (adapter, bourse, ears):
        await adapter.subscribe([SYMBOL_ORDERS, Subscription("fills", SPOT)])
        began = bourse.now()
        # A page holds five.
        bourse.fills += [{"id": f"f{n}", "oid": "77", "p": "100", "q": "0.5", "t": began + 400 * n} for n in range(12)]
        bourse.push(order(clock))
        await anyio.sleep(6)
        bourse.push(order(clock, filled=D(6), average=D(100), status="partially_filled", ts_created=began * 1_000_000))
        await anyio.sleep(5)
        assert sorted(one.id for one in ears.of(Fill)) == sorted(f"f{n}" for n in range(12))
        assert {one.origin for one in ears.of(Fill)} == {"reconciled"}
        # They are asked for again when more is missing, however often that failed before.
        bourse.push(order(clock, id="78", client_id="78", filled=D(1), status="partially_filled"))
        await anyio.sleep(900)
        bourse.fills += [{"id": "late", "oid": "78", "p": "100", "q": "2", "t": bourse.now()}]
        bourse.push(order(clock, id="78", client_id="78", filled=D(2), status="partially_filled"))
        await anyio.sleep(5)
        assert ears.of(Fill)[-1].id == "late"


async def test_after_a_gap_it_looks_twice_because_lists_are_behind(clock: LoopClock) -> None:
    async with account(clock, reconcile_every=7200.0) as (adapter, bourse, ears):
        await adapter.subscribe([SYMBOL_ORDERS, Subscription("fills", SPOT)])
        await anyio.sleep(60)
        bourse.peers[-1].cut()
        await anyio.sleep(5)
        missed = row(bourse, "9", "filled", f="10", t=bourse.now() - 5_000)
        assert ears.codes("orders")[-1] == "recovered"
        bourse.orders["9"] = missed
        bourse.fills.append({"id": "f9", "oid": "9", "p": "9", "q": "10", "t": missed["t"]})
        await anyio.sleep(30)
        assert {(one.id, one.status, one.origin) for one in ears.of(Order)} == {("9", "filled", "reconciled")}
        assert [one.id for one in ears.of(Fill)] == ["f9"]
        assert len(bourse.peers) == 2, "lists that were behind are no sign of a dead stream"


async def test_an_order_that_is_open_no_more_is_asked_for(clock: LoopClock) -> None:
    async with account(clock, reconcile_every=60.0) as (adapter, bourse, _):
        await adapter.subscribe([SYMBOL_ORDERS])
        bourse.push(order(clock))
        bourse.push(order(clock, id="78", client_id="78"))
        bourse.orders["77"] = row(bourse, "77", "canceled", cid="seen")
        await anyio.sleep(130)
        state = await adapter.account("spot")
        assert [(one.id, one.status) for one in state.closed_orders()] == [("77", "canceled")]
        lost = state.order(SPOT, id="78")
        assert lost is not None
        assert (lost.status, lost.raw_status) == ("unknown", "not found")
        assert [one.id for one in state.open_orders()] == ["78"], "what nobody can find is not called over"


async def test_a_connection_that_is_too_old_makes_way_and_is_closed(clock: LoopClock) -> None:
    async with account(clock, private=structs.replace(SPEC, lifetime=100.0)) as (adapter, bourse, ears):
        await adapter.subscribe([SYMBOL_ORDERS])
        await anyio.sleep(99)
        assert [peer.open for peer in bourse.peers] == [False, True]
        assert ears.codes("orders") == ["connected", "subscribed", "rotated"]
        bourse.push(order(clock))
        await anyio.sleep(0.1)
        assert [one.id for one in ears.of(Order)] == ["77"]


async def test_without_a_stream_the_list_of_open_orders_lets_go_of_words_that_mean_nothing(clock: LoopClock) -> None:
    async with account(clock) as (adapter, bourse, _):
        placed = await adapter.place(SPOT, "buy", size="1", price="100")
        other = await adapter.place("ETH/EUR", "buy", size="1", price="100")
        for one in (placed, other):
            bourse.orders[one.id or ""]["st"] = "unknown"
            await adapter.order(one.symbol, id=one.id)
        state = await adapter.account("spot")
        assert len(state.open_orders()) == 2
        assert await adapter.open_orders(SPOT) == []
        assert [one.id for one in state.open_orders()] == [other.id], "the list was that of one symbol"
        assert [(one.id, one.status) for one in state.closed_orders()] == [(placed.id, "unknown")]
        bourse.orders[placed.id or ""]["st"] = "open"
        assert [one.id for one in await adapter.open_orders(SPOT)] == [placed.id]
        assert {(one.id, one.status) for one in state.open_orders()} == {(other.id, "unknown"), (placed.id, "open")}
