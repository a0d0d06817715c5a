"""Many orders through a network and a venue that fail at random: no order twice, and no wrong word about its fate."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from typing import Any

import anyio
import pytest

from tests.trade.bourse import Bourse, refusal
from unitape.adapter import VenueAdapter
from unitape.errors import OutcomeUnknown, TransportError, VenueError
from unitape.spi import HttpResponse
from unitape.trade.requests import OrderRequest
from unitape_schemas import Order

pytestmark = pytest.mark.anyio
Make = Callable[..., VenueAdapter]

FAULTS: list[Any] = [
    *[None] * 6,
    "lose",
    "lost",
    "hang",
    "refused",
    "explode",
    HttpResponse(500, b"x"),
    HttpResponse(200, b"<html>"),
    refusal(503, "-7", "unavailable"),
    refusal(400, "-2", "too poor"),
    refusal(400, "-7", "busy"),
    refusal(400, "-8", "who knows"),
    refusal(400, "-9", "time"),
    refusal(429, "-5", "slow down"),
]


def judge(bourse: Bourse, fates: dict[str, object], seed: int) -> None:
    note = f"seed {seed}"
    booked = Counter(row["cid"] for row in bourse.orders.values())
    assert not [one for one, times in booked.items() if times > 1], note
    assert set(booked) <= set(fates), note
    for client_id, fate in fates.items():
        if isinstance(fate, Order):
            assert booked[client_id] == 1, note
            assert fate.client_id == client_id, note
        elif isinstance(fate, OutcomeUnknown):
            assert fate.client_id == client_id, note
        else:
            assert isinstance(fate, (VenueError, TransportError)), note
            assert booked[client_id] == 0, f"{note}: {fate!r} was said of an order that stands"


@pytest.mark.parametrize("seed", range(8))
async def test_single_orders(bourse: Bourse, trader: Make, seed: int) -> None:
    rng = random.Random(seed)
    fates: dict[str, object] = {}
    async with trader() as adapter:

        async def one(client_id: str) -> None:
            try:
                fates[client_id] = await adapter.place("BTC/EUR", "buy", size="1", price="9", client_id=client_id)
            except (VenueError, TransportError, OutcomeUnknown) as error:
                fates[client_id] = error

        for batch in range(10):
            bourse.fail("/spot/order", *(rng.choice(FAULTS) for _ in range(8)))
            async with anyio.create_task_group() as tasks:
                for number in range(6):
                    tasks.start_soon(one, f"o-{batch}-{number}")
    assert len(fates) == 60
    judge(bourse, fates, seed)
    sent = Counter(one.params["cid"] for one in bourse.seen if (one.method, one.path) == ("POST", "/spot/order"))
    assert max(sent.values()) <= 2, f"seed {seed}"
    kinds = {type(fate) for fate in fates.values()}
    assert {Order, OutcomeUnknown} <= kinds, f"seed {seed}: {kinds}"


@pytest.mark.parametrize("seed", range(4))
async def test_batches(bourse: Bourse, trader: Make, seed: int) -> None:
    rng = random.Random(seed)
    fates: dict[str, object] = {}
    async with trader() as adapter:
        for batch in range(10):
            bourse.fail("/spot/orders", *(rng.choice(FAULTS) for _ in range(2)))
            ids = [f"b-{batch}-{number}" for number in range(6)]
            wanted = [OrderRequest(symbol="BTC/EUR", side="buy", size="1", price="9", client_id=one) for one in ids]
            fates.update(zip(ids, await adapter.place_many(wanted), strict=True))
    assert len(fates) == 60
    judge(bourse, fates, seed)
