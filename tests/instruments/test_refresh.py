"""Lists that change while a feed runs, on every simulated market."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path

import anyio
import pytest
from msgspec import structs
from trio.testing import MockClock

from unitape.adapter import VenueAdapter
from unitape.alignment import refresh, watch_instruments
from unitape.errors import ConfigError, TransportError
from unitape.listings import compare
from unitape.registry import load_venue, venue_names
from unitape.router import Router
from unitape.sim import SimNetwork, SimSettings
from unitape.spi import Instruments, Market
from unitape.tape import Recorder, Tape, replay
from unitape_schemas import Event, Instrument, Subscription, Trade

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.parametrize("anyio_backend", [("trio", {"clock": MockClock(autojump_threshold=0)})], ids=["virtual"]),
]
MARKETS = [(name, market.name) for name in venue_names() for market in load_venue(name).markets]
every_market = pytest.mark.parametrize(("venue", "market"), MARKETS, ids=[f"{v}-{m}" for v, m in MARKETS])


class Edited(VenueAdapter):
    """An adapter to whom some instruments are not shown, or shown otherwise."""

    edit: dict[str, Instrument | None]

    async def fetch(self, market: Market, query):  # type: ignore[no-untyped-def]
        answer = await super().fetch(market, query)
        return edited(answer, self.edit) if query.name == listing(market) else answer


def listing(market: Market) -> str:
    return market.rest(Instruments()).instruments().name


def edited(rows: list[Instrument], edit: dict[str, Instrument | None]) -> list[Instrument]:
    found = [edit.get(row.symbol, row) for row in rows]
    return [row for row in found if row is not None]


@asynccontextmanager
async def opened(venue: str, market: str, **choice) -> AsyncIterator[tuple[Edited, list[Event], SimNetwork]]:
    declaration = load_venue(venue)
    settings = SimSettings(symbols=3, rate=3.0, tick=0.2, markets=(f"{venue}/{market}",), history_minutes=10)
    async with SimNetwork([declaration], settings) as network:
        adapter = Edited(
            declaration,
            endpoints={market: network.endpoint(venue, market)},
            transport=network.transport,
            clock=network.clock,
            seed=1,
            **choice,
        )
        adapter.edit = {}
        events: list[Event] = []

        class Keep:
            def deliver(self, batch) -> None:
                events.extend(batch)

        adapter.attach(Keep())
        async with adapter:
            yield adapter, events, network


async def loaded(adapter: VenueAdapter, market: str) -> list[Instrument]:
    one = adapter.declaration.market(market)
    await adapter.rest(one)
    known = adapter.known(one)
    assert known is not None
    return list(known)


@every_market
async def test_a_symbol_that_is_listed_later_can_be_subscribed(venue: str, market: str, tmp_path: Path) -> None:
    path = tmp_path / "session.tape"
    with Recorder(path) as recorder:
        async with opened(venue, market, record=recorder.begin) as (adapter, events, network):
            first, second, _ = [i.symbol for i in network.host(venue, market).exchange.instruments]
            # The first list is read without the second instrument, as if it were not there yet.
            one = adapter.declaration.market(market)
            rows = await adapter.instruments(market)
            late = next(row for row in rows if row.symbol == second)
            host = adapter._host(one)
            host.instruments = Instruments(row for row in rows if row is not late)
            await adapter.subscribe([Subscription("trades", first)])
            with pytest.raises(ConfigError, match="no instrument"):
                await adapter.subscribe([Subscription("trades", second)])
            events.clear()

            changes = await adapter.refresh(market)
            assert [(c.kind, c.instrument.symbol) for c in changes] == [("added", second)]
            result = await adapter.subscribe([Subscription("trades", second)])
            assert result.rejected == ()
            await anyio.sleep(30)
            symbols = {event.symbol for event in events if isinstance(event, Trade)}
            assert symbols == {first, second}, "the running subscription went on, and the new one runs"
            assert await adapter.refresh(market) == []
            live = [event for event in events if isinstance(event, Trade)]
    replayed = [event for event in replay(Tape(path)) if isinstance(event, Trade)]
    assert replayed[-len(live) :] == live, "the tape knows the later symbol, too"


@every_market
async def test_a_refresh_tells_what_is_gone_halted_and_has_other_rules(venue: str, market: str) -> None:
    async with opened(venue, market) as (adapter, events, _):
        gone, halted, other = before = (await loaded(adapter, market))[:3]
        await adapter.subscribe([Subscription("trades", row.symbol) for row in before])
        stopped = structs.replace(halted, status="halted", ts=5)
        finer = structs.replace(other, tick=Decimal("0.0000001"), min_notional=Decimal(77), ts=5)
        adapter.edit = {gone.symbol: None, halted.symbol: stopped, other.symbol: finer}
        changes = await adapter.refresh()
        assert [(c.kind, c.instrument.symbol, c.fields) for c in changes] == [
            ("removed", gone.symbol, ()),
            ("status", halted.symbol, ("status",)),
            ("rules", other.symbol, ("tick", "min_notional")),
        ]
        assert changes[1].text == f"{venue} {market} {halted.symbol}: status trading -> halted"
        known = adapter.known(adapter.declaration.market(market))
        assert known is not None
        assert known.require(other.symbol).tick == Decimal("0.0000001")
        assert known.require(gone.symbol).status == "closed", "what is still under way keeps its symbol"
        assert await adapter.refresh() == [], "told once"
        events.clear()
        await anyio.sleep(60)
        assert {e.symbol for e in events if isinstance(e, Trade)} == {gone.symbol, halted.symbol, other.symbol}

        adapter.edit = {}
        back = await adapter.refresh()
        assert {(c.kind, c.instrument.symbol) for c in back} == {
            ("status", gone.symbol),
            ("status", halted.symbol),
            ("rules", other.symbol),
        }


async def test_a_given_list_is_not_asked_for_again() -> None:
    venue, market = MARKETS[0]
    async with opened(venue, market, offline=True) as (adapter, _, _network):
        await adapter.rest(adapter.declaration.market(market))
        assert await adapter.refresh() == []


async def test_a_router_refreshes_all_its_venues_and_one_failing_stops_none() -> None:
    venues = list(dict.fromkeys(MARKETS))[:2]
    (one, first), (two, second) = venues[0], next(pair for pair in MARKETS if pair[0] != venues[0][0])
    declaration_good, declaration_bad = load_venue(one), load_venue(two)
    settings = SimSettings(
        symbols=2, rate=1.0, tick=5.0, markets=(f"{one}/{first}", f"{two}/{second}"), history_minutes=10
    )
    async with SimNetwork([declaration_good, declaration_bad], settings) as network:
        good = Edited(
            declaration_good,
            endpoints={first: network.endpoint(one, first)},
            transport=network.transport,
            clock=network.clock,
        )
        bad = Edited(
            declaration_bad,
            endpoints={second: network.endpoint(two, second)},
            transport=network.transport,
            clock=network.clock,
        )
        good.edit, bad.edit = {}, {}
        async with Router(good, bad, clock=network.clock) as router:
            rows = await loaded(good, first)
            await loaded(bad, second)

            async def refuse(market, query):  # type: ignore[no-untyped-def]
                raise TransportError("no route to host")

            bad.fetch = refuse  # type: ignore[method-assign]
            good.edit = {rows[0].symbol: None}
            changes = await refresh(router.adapters)
            assert [(c.kind, c.instrument.symbol) for c in changes] == [("removed", rows[0].symbol)]
            good.edit = {}
            begun = anyio.current_time()
            async for changes in watch_instruments(router, every=600):
                assert [c.kind for c in changes] == ["status"]
                break
            assert 600 <= anyio.current_time() - begun < 700


def row(symbol: str, raw: str, **more: object) -> Instrument:
    from tests.instruments.test_alignment import instrument

    return structs.replace(instrument("toy", "X"), symbol=symbol, raw_symbol=raw, **more)


async def test_the_same_spelling_under_another_name_is_a_rename() -> None:
    (change,) = compare([row("MATIC/USDT", "ID17")], [row("POL/USDT", "ID17", base="POL", ts=9)])
    assert (change.kind, change.fields) == ("renamed", ("symbol", "base"))
    instruments = Instruments([row("MATIC/USDT", "ID17")])
    instruments.update([row("POL/USDT", "ID17")])
    assert instruments.get("MATIC/USDT") is None
    assert instruments.symbol("ID17") == "POL/USDT"
    assert len(instruments) == 1


async def test_only_the_time_it_was_learned_is_no_change() -> None:
    assert compare([row("A/B", "AB", ts=1)], [row("A/B", "AB", ts=2)]) == []


async def test_a_contract_that_changes_its_size_is_read_by_the_new_one() -> None:
    from unitape_mexc.codec_futures import Contracts

    instruments = Instruments([row("X/USDT:USDT", "X_USDT", contract_size=(1, 10))])
    contracts = Contracts(instruments)
    assert (contracts.find("X_USDT").numerator, contracts.find("X_USDT").denominator) == (1, 10)
    instruments.update([row("X/USDT:USDT", "X_USDT", contract_size=(1, 100))])
    assert (contracts.find("X_USDT").numerator, contracts.find("X_USDT").denominator) == (1, 100)
