"""A feed started with ``asyncio.run`` alone: nothing has told anyio's helpers which library runs the callbacks."""

from __future__ import annotations

import asyncio

import pytest

from unitape.adapter import VenueAdapter
from unitape.registry import load_venue
from unitape.router import Router
from unitape.sim import SimServer
from unitape.transport import TransportChoice
from unitape_schemas import BookDelta, Event, Quote, Status, Subscription


class Deltas:
    def __init__(self) -> None:
        self.came = asyncio.Event()

    def deliver(self, events: list[Event]) -> None:
        if any(isinstance(event, BookDelta) for event in events):
            self.came.set()


@pytest.mark.parametrize("library", ["websockets", "picows"])
def test_a_snapshot_asked_for_from_a_socket_callback_arrives(library: TransportChoice) -> None:
    if library == "picows":
        pytest.importorskip("picows", reason="the extra 'fast' is not installed")

    async def main() -> None:
        venue = load_venue("binance")
        async with SimServer([venue], seed=1, symbols=1, speed=10.0) as sim:
            endpoints = {market.name: sim.endpoint(venue.name, market.name) for market in venue.markets}
            deltas = Deltas()
            async with VenueAdapter(venue, endpoints=endpoints, transport=library) as adapter:
                adapter.attach(deltas)  # type: ignore[arg-type]
                await adapter.subscribe([Subscription("book", "BTC/USDT")])
                await asyncio.wait_for(deltas.came.wait(), 10)
                book = adapter.book("BTC/USDT")
                assert book is not None
                assert not book.stale

    asyncio.run(main())


@pytest.mark.parametrize("library", ["websockets", "picows"])
def test_a_consumer_that_blocks_pauses_its_connection_and_keeps_it(library: TransportChoice) -> None:
    if library == "picows":
        pytest.importorskip("picows", reason="the extra 'fast' is not installed")

    async def main() -> list[Event]:
        venue = load_venue("binance")
        async with SimServer([venue], seed=1, symbols=1, speed=20.0) as sim:
            endpoints = {market.name: sim.endpoint(venue.name, market.name) for market in venue.markets}
            async with Router(VenueAdapter(venue, endpoints=endpoints, transport=library)) as router:
                stream = router.stream(overflow="block", capacity=20)
                await router.subscribe(Subscription("quotes", "BTC/USDT"))
                async with asyncio.timeout(10):
                    while len(stream) < 10:  # noqa: ASYNC110 - a stream tells no fill level
                        await asyncio.sleep(0.01)
                    return [await anext(stream) for _ in range(60)]

    events = asyncio.run(main())
    assert sum(type(event) is Quote for event in events) > 40
    assert {event.code for event in events if isinstance(event, Status)} <= {"connected", "subscribed"}
