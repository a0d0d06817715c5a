"""Several venues and several consumers: who gets what, and whose failure stays whose."""

from __future__ import annotations

import gc
import logging
import subprocess
import sys
from itertools import pairwise

import anyio
import anyio.abc
import anyio.lowlevel
import pytest

from unitape.adapter import Adapter
from unitape.books import OrderBook
from unitape.errors import ConfigError, VenueError
from unitape.router import Router
from unitape.subscriptions import Request, book, candles, top, trades
from unitape_schemas import BookDelta, Event, Quote, Status, Subscription, Trade

from .fakes import SYMBOL, FakeAdapter, delta, quote, snapshot, status, trade

pytestmark = pytest.mark.anyio


async def collect(stream, count: int) -> list[Event]:
    events: list[Event] = []
    with anyio.fail_after(5):
        async for event in stream:
            events.append(event)
            if len(events) == count:
                break
    return events


def test_the_fake_is_an_adapter() -> None:
    assert isinstance(FakeAdapter(), Adapter)


async def test_events_of_all_venues_arrive_in_order() -> None:
    alpha, beta = FakeAdapter("alpha"), FakeAdapter("beta")
    async with Router(alpha, beta) as router:
        assert router.venues == ("alpha", "beta")
        stream = router.stream()
        alpha.deliver(trade(1), trade(2))
        beta.deliver(trade(1, "beta"))
        alpha.deliver(trade(3))
        assert await collect(stream, 4) == [trade(1), trade(2), trade(1, "beta"), trade(3)]
    assert (alpha.entered, alpha.exited, beta.exited) == (1, 1, 1)


async def test_each_consumer_has_its_own_filter_and_loses_no_status_by_it() -> None:
    alpha, beta = FakeAdapter("alpha"), FakeAdapter("beta")
    async with Router(alpha, beta) as router:
        everything = router.stream()
        only_trades = router.stream(types=Trade)
        bare_trades = router.stream(types=Trade, statuses=False)
        one_symbol = router.stream(symbols="ETH/USDT")
        one_venue = router.stream(venues=["beta"])
        large = router.stream(types=(Trade, Quote), where=lambda e: isinstance(e, Trade) and e.price > 102)
        books = router.stream(types=BookDelta)
        alpha.deliver(trade(1), quote(2), status(3), trade(4, symbol="ETH/USDT"), snapshot(5), delta(6))
        beta.deliver(trade(7, "beta"))
        assert len(await collect(everything, 7)) == 7
        assert await collect(only_trades, 4) == [trade(1), status(3), trade(4, symbol="ETH/USDT"), trade(7, "beta")]
        assert await collect(bare_trades, 3) == [trade(1), trade(4, symbol="ETH/USDT"), trade(7, "beta")]
        assert await collect(one_symbol, 2) == [status(3), trade(4, symbol="ETH/USDT")]
        assert await collect(one_venue, 1) == [trade(7, "beta")]
        assert await collect(large, 3) == [status(3), trade(4, symbol="ETH/USDT"), trade(7, "beta")]
        assert await collect(books, 3) == [status(3), snapshot(5), delta(6)]
        with pytest.raises(ConfigError, match="no venue 'gamma'"):
            router.stream(venues="gamma")
        with pytest.raises(ConfigError, match="not an event class"):
            router.stream(types=int)


@pytest.mark.parametrize("order", ["arrival", "watermark"])
async def test_a_filter_that_raises_ends_its_consumer_alone(order) -> None:
    def broken(event: Event) -> bool:
        return 1 // 0 > 0

    alpha = FakeAdapter()
    async with Router(alpha) as router:
        mine, other = router.stream(where=broken, order=order), router.stream()
        alpha.deliver(trade(1))
        alpha.deliver(trade(2))
        assert await collect(other, 2) == [trade(1), trade(2)]
        with pytest.raises(ZeroDivisionError):
            await collect(mine, 1)


async def test_a_consumer_collects_from_its_registration_until_it_is_closed() -> None:
    alpha = FakeAdapter()
    async with Router(alpha) as router:
        alpha.deliver(trade(1))
        stream = router.stream()
        alpha.deliver(trade(2))
        await stream.aclose()
        alpha.deliver(trade(3))
        assert [event async for event in stream] == [trade(2)]
        async with router.stream() as other:
            alpha.deliver(trade(4))
            assert await collect(other, 1) == [trade(4)]
        alpha.deliver(trade(5))
        assert [event async for event in other] == []


async def test_a_stream_ends_with_the_router_after_everything_is_read() -> None:
    alpha = FakeAdapter()
    async with Router(alpha) as router:
        stream, late = router.stream(), router.batches()
        alpha.deliver(trade(1), trade(2))
    assert [event async for event in stream] == [trade(1), trade(2)]
    assert [batch async for batch in late] == [[trade(1), trade(2)]]


async def test_a_late_consumer_first_gets_the_state_and_no_delta_twice() -> None:
    alpha = FakeAdapter()
    alpha.first = [status(1, "subscribed", symbol=SYMBOL)]
    async with Router(alpha) as router:
        alpha.deliver(snapshot(1), delta(2), delta(3, size=5.0))
        stream = router.stream(capacity=1)
        alpha.deliver(delta(4))
        events = await collect(stream, 3)
        assert events[0] == status(1, "subscribed", symbol=SYMBOL)
        assert (events[1].seq, events[1].epoch, events[1].bids) == (3, 1, ((99.0, 5.0),))
        assert events[2] == delta(4)


async def test_a_book_is_made_whole_from_the_live_one() -> None:
    alpha = FakeAdapter()
    async with Router(alpha) as router:
        stream = router.stream(capacity=2)
        alpha.deliver(snapshot(1))
        assert await collect(stream, 1) == [snapshot(1)]
        alpha.deliver(*(delta(seq, size=float(seq)) for seq in range(2, 8)))
        events = await collect(stream, 3)
        assert [(e.code, e.count) for e in events[:2]] == [("dropped", 6), ("resynced", None)]
        assert (events[2].seq, events[2].bids) == (7, ((99.0, 7.0),))
        assert router.book("alpha", SYMBOL).best_bid == (99.0, 7.0)
        alpha.deliver(delta(8))
        assert await collect(stream, 1) == [delta(8)]
        assert stream.lost == 6


async def test_batches_hand_over_all_that_came_since_the_last_turn() -> None:
    alpha = FakeAdapter()
    async with Router(alpha) as router, router.batches(types=Trade) as batches:
        turns = []
        alpha.deliver(trade(1))
        alpha.deliver(trade(2), quote(3))
        async for batch in batches:
            turns.append(batch)
            if len(turns) == 2:
                break
            alpha.deliver(trade(4))
            alpha.deliver(trade(5))
        assert turns == [[trade(1), trade(2)], [trade(4), trade(5)]]


async def test_a_consumer_that_never_runs_dry_lets_others_run() -> None:
    alpha = FakeAdapter()
    async with Router(alpha) as router:
        stream = router.stream()
        seen = 0
        seen_at_turns: list[int] = []

        async def other() -> None:
            while seen < 2000:
                seen_at_turns.append(seen)
                await anyio.lowlevel.checkpoint()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(other)
            for number in range(1000):
                alpha.deliver(trade(number))
            async for _ in stream:
                seen += 1
                if seen <= 1000:
                    alpha.deliver(trade(seen))
                if seen == 2000:
                    break
        gaps = [b - a for a, b in pairwise(seen_at_turns)]
        # trio shuffles who runs first in each turn, so that two turns may lie between.
        assert max(gaps) <= 2 * 256
        assert len(seen_at_turns) >= 4


async def test_callbacks_are_called_within_the_delivery_and_their_errors_disturb_nobody(caplog) -> None:
    alpha = FakeAdapter()
    async with Router(alpha) as router:
        got: list[Event] = []

        def bad(event: Trade) -> None:
            raise ValueError("mine")

        broken = router.on(Trade, bad)
        handle = router.on([Trade, Quote], got.append, symbols=SYMBOL)
        stream = router.stream()
        with caplog.at_level(logging.ERROR, "unitape.router"):
            alpha.deliver(trade(1), status(2), trade(3, symbol="ETH/USDT"), quote(4), trade(5))
        assert got == [trade(1), quote(4), trade(5)]
        assert broken.errors == 3
        assert len([r for r in caplog.records if "raised" in r.message]) == 2, "logged at 1 and 2, not at 3"
        handle.cancel()
        alpha.deliver(trade(6))
        assert len(got) == 3
        assert len(await collect(stream, 6)) == 6


async def test_subscribe_asks_every_owner_at_once_and_reports_per_venue() -> None:
    alpha = FakeAdapter("alpha", symbols=(SYMBOL,))
    beta = FakeAdapter("beta", symbols=("ETH/USDT",), refused=(SYMBOL,))
    async with Router(alpha, beta) as router:
        results = await router.subscribe(trades(SYMBOL, "ETH/USDT"), book(SYMBOL, venue="alpha"), trades("XX/YY"))
        assert list(results) == ["alpha", "beta"]
        assert results["alpha"].confirmed == (Subscription("trades", SYMBOL), Subscription("book", SYMBOL))
        assert results["beta"].confirmed == (Subscription("trades", "ETH/USDT"),)
        assert [(v, r.subscription.key, r.text) for v, r in results.rejected] == [
            ("beta", f"trades {SYMBOL}", "not today")
        ]
        assert results.unserved == (Subscription("trades", "XX/YY"),)
        await router.unsubscribe(trades(SYMBOL))
        assert alpha.unsubscribed == beta.unsubscribed == [Subscription("trades", SYMBOL)]
        plan = router.plan(trades(SYMBOL, "ETH/USDT"))
        assert [(c.venue, c.used) for c in plan] == [("alpha", 1), ("beta", 2)]


async def test_subscribe_raises_only_when_nothing_was_confirmed() -> None:
    alpha = FakeAdapter("alpha", refused=("NO/USDT",), unknown=("FOO/USDT",))
    beta = FakeAdapter("beta", symbols=("BETA/USDT",), refused=("NO/USDT",))
    async with Router(alpha, beta) as router:
        with pytest.raises(ConfigError, match="no venue here has trades XX/YY"):
            await router.subscribe(trades("XX/YY"))
        with pytest.raises(ConfigError, match="FOO/USDT is not listed"):
            await router.subscribe(trades("FOO/USDT"))
        with pytest.raises(VenueError, match=r"alpha: trades NO/USDT: not today; beta: trades NO/USDT") as caught:
            await router.subscribe(trades("NO/USDT"))
        assert caught.value.code == "-7"
        with pytest.raises(ConfigError, match="no venue 'gamma'"):
            await router.subscribe(trades(SYMBOL, venue="gamma"))
        with pytest.raises(ConfigError, match="nothing was asked"):
            await router.subscribe()


async def test_one_unknown_symbol_does_not_keep_the_others_away() -> None:
    names = [f"C{n}/USDT" for n in range(40)]
    alpha = FakeAdapter("alpha", symbols=names, unknown=("FOO/USDT",))
    async with Router(alpha) as router:
        stream = router.stream()
        results = await router.subscribe(trades(*names[:13], "FOO/USDT", *names[13:]))
        assert {s.symbol for s in results["alpha"].confirmed} == set(names)
        assert [r.text for _, r in results.rejected] == ["FOO/USDT is not listed"]
        assert len(alpha.calls) < 20
        (told,) = await collect(stream, 1)
        assert (told.code, told.subscription, told.text) == ("rejected", "trades FOO/USDT", "FOO/USDT is not listed")


async def test_a_venue_that_cannot_start_leaves_the_others_alone() -> None:
    alpha, beta = FakeAdapter("alpha", broken="enter"), FakeAdapter("beta")
    async with Router(alpha, beta) as router:
        stream = router.stream()
        beta.deliver(trade(1, "beta"))
        first, second = await collect(stream, 2)
        assert (first.venue, first.code, first.text) == ("alpha", "halted", "OSError: no route to host")
        assert second == trade(1, "beta")
        results = await router.subscribe(trades(SYMBOL))
        assert results["beta"].confirmed
        assert results["alpha"].rejected[0].text == "OSError: no route to host"


async def test_a_venue_that_does_not_start_in_time_is_halted(monkeypatch) -> None:
    monkeypatch.setattr("unitape.router.core.START_WITHIN", 0.02)
    alpha, beta = FakeAdapter("alpha", broken="hang"), FakeAdapter("beta")
    async with Router(alpha, beta) as router:
        assert (await router.subscribe(trades(SYMBOL)))["beta"].confirmed
        (told,) = await collect(router.stream(), 1)
        assert (told.venue, told.code, told.text) == ("alpha", "halted", "it did not start within 0.02 s")


async def test_a_venue_that_breaks_later_ends_its_subscribe_and_nothing_else() -> None:
    alpha, beta = FakeAdapter("alpha"), FakeAdapter("beta")
    alpha.hang_in_subscribe = True
    async with Router(alpha, beta) as router:
        stream = router.stream()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(breaks, alpha)
            with anyio.fail_after(5):
                results = await router.subscribe(trades(SYMBOL))
        assert results["alpha"].rejected[0].text == "RuntimeError: the adapter broke"
        assert results["beta"].confirmed
        beta.deliver(trade(1, "beta"))
        told, event = await collect(stream, 2)
        assert (told.venue, told.code, told.text) == ("alpha", "halted", "RuntimeError: the adapter broke")
        assert event == trade(1, "beta")
        assert router.book("alpha", SYMBOL) is None
    assert (alpha.exited, beta.exited) == (1, 1)


async def test_the_end_of_a_router_ends_a_pending_subscribe() -> None:
    alpha = FakeAdapter()
    alpha.hang_in_subscribe = True
    results = []

    async def ask(router: Router) -> None:
        with pytest.raises(VenueError) as caught:
            await router.subscribe(trades(SYMBOL))
        results.append(str(caught.value))

    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks, Router(alpha) as router:
            tasks.start_soon(ask, router)
            await anyio.wait_all_tasks_blocked()
    assert results == ["alpha: nothing was subscribed: alpha: trades BTC/USDT: it was stopped"]


async def breaks(adapter: FakeAdapter) -> None:
    await anyio.sleep(0.01)
    assert adapter.crash is not None
    adapter.crash.set()


async def test_an_error_of_the_block_leaves_as_it_is_and_everything_is_closed() -> None:
    alpha = FakeAdapter()
    streams = []

    async def block() -> None:
        async with Router(alpha) as router:
            streams.append(router.stream())
            raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        await block()
    assert alpha.exited == 1
    assert [event async for event in streams[0]] == []


@pytest.mark.parametrize("ticks", range(12))
async def test_cancelling_at_any_point_closes_every_adapter(ticks) -> None:
    alpha, beta = FakeAdapter("alpha"), FakeAdapter("beta")
    finished = False

    async def work() -> None:
        nonlocal finished
        async with Router(alpha, beta) as router:
            await router.subscribe(trades(SYMBOL))
            async for _ in router.stream(order="watermark"):
                pass
        finished = True

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(work)
        for _ in range(ticks):
            await anyio.lowlevel.checkpoint()
        tasks.cancel_scope.cancel()
    assert not finished
    assert (alpha.entered, beta.entered) == (alpha.exited, beta.exited)
    assert alpha._sinks == beta._sinks == []


async def test_router_arguments_are_checked() -> None:
    with pytest.raises(ConfigError, match="at least one"):
        Router()
    with pytest.raises(ConfigError, match="each venue once"):
        Router(FakeAdapter(), FakeAdapter())
    router = Router(FakeAdapter())
    with pytest.raises(ConfigError, match="enter the router"):
        router.stream()
    async with router:
        with pytest.raises(ConfigError, match="no order 'chaos'"):
            router.stream(order="chaos")
        with pytest.raises(ConfigError, match="lateness"):
            router.stream(order="watermark", lateness=0)
    with pytest.raises(ConfigError, match="entered once"):
        async with router:
            pass


def test_requests() -> None:
    assert candles(SYMBOL, SYMBOL, interval="5m", venues=["a", "b", "a"]) == Request(
        (Subscription("candles", SYMBOL, "5m"),), ("a", "b")
    )
    assert top(SYMBOL, depth=20).subscriptions[0].key == f"top:20 {SYMBOL}"
    assert trades("*", market="spot").subscriptions == (Subscription("trades", "*", market="spot"),)
    for wrong in (lambda: trades(), lambda: trades(SYMBOL, venue="a", venues=["b"]), lambda: book("A/B", venues="ab")):
        with pytest.raises(ConfigError):
            wrong()


def test_importing_unitape_loads_no_network_and_no_venue() -> None:
    code = (
        "import sys, unitape, unitape.router\n"
        "unitape.Router, unitape.Trade, unitape.OrderBook, unitape.trades\n"
        "heavy = ('aiohttp', 'websockets', 'picows', 'google.protobuf', 'rich', 'vcr', 'uvloop')\n"
        "print([n for n in sys.modules if n.startswith('unitape_') and not n.startswith('unitape_schemas')]"
        " + [n for n in heavy if n in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_importing_unitape_alone_loads_almost_nothing() -> None:
    code = "import sys, unitape; print([n for n in ('anyio', 'msgspec', 'unitape.router') if n in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_public_face_is_whole() -> None:
    import unitape

    for name in unitape.__all__:
        assert getattr(unitape, name) is not None
    assert dir(unitape) == sorted(unitape.__all__)
    with pytest.raises(AttributeError, match="nothing_like_this"):
        _ = unitape.nothing_like_this


def test_book_is_the_request_also_when_its_module_is_loaded() -> None:
    code = (
        "from unitape import Router, book\n"
        "import unitape.books\n"
        "from unitape.books import OrderBook\n"
        "from unitape import book as again\n"
        "print(book('A/B') == again('A/B') == unitape.book('A/B'), again('A/B', depth=5).subscriptions[0].key)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "book:5", "A/B"]


async def test_a_stream_that_nobody_holds_collects_no_more() -> None:
    alpha = FakeAdapter()
    async with Router(alpha) as router:
        for number in range(50):
            alpha.deliver(trade(number))
            events = router.stream() if number % 2 else router.stream(order="watermark")
            alpha.deliver(trade(number))
            with anyio.fail_after(5):
                async for event in events:
                    assert event == trade(number)
                    break
            del events
        (member,) = router._members.values()
        gc.collect()
        assert member._sinks == ()
        kept = router.stream()
        alpha.deliver(trade(99))
        assert await collect(kept, 1) == [trade(99)]


async def test_views_of_many_symbols_cost_a_delivery_no_more_than_one() -> None:
    symbols = [f"C{number}/USDT" for number in range(200)]
    alpha = FakeAdapter(symbols=symbols)
    async with Router(alpha) as router:
        for symbol in symbols:
            alpha.books[symbol] = OrderBook("alpha", symbol)
            alpha.books[symbol].load(snapshot(1, symbol=symbol))
            assert router.consolidated(symbol).venues == ("alpha",)
        (member,) = router._members.values()
        assert len(member._sinks) == 1
        alpha.deliver(Status("alpha", symbols[7], 0, 0, 1, "stale", f"book {symbols[7]}", None, "silent"))
        silent = [symbol for symbol in symbols if not router.consolidated(symbol).venues]
        assert silent == [symbols[7]]
