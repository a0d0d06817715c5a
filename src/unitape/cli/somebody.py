"""Somebody who trades a little on a simulated account, so that there is something to follow."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import TYPE_CHECKING, Any, Final

import anyio

from unitape.errors import UnitapeError
from unitape_schemas import ALL_SYMBOLS, Instrument, Order

if TYPE_CHECKING:
    from unitape.adapter import VenueAdapter

__all__ = ["trade_a_little"]

PAUSE: Final = (0.4, 1.2)
"""Seconds between two orders, at least and at most."""
LEAST: Final = 20
"""Quote units that an order is worth, about."""
MOST_OPEN: Final = 4


async def trade_a_little(adapter: VenueAdapter, seed: int, symbol: str, markets: Sequence[str]) -> None:
    """Place small orders and cancel some, on one symbol or on the first of each market, until cancelled."""
    async with adapter:
        rng = Random(seed)
        found = [
            one for one in await adapter.instruments() if one.status == "trading" and one.api_tradable is not False
        ]
        symbols = _chosen(found, symbol, markets)
        resting: list[Order] = []
        while symbols:
            await anyio.sleep(rng.uniform(*PAUSE))
            try:
                if len(resting) > MOST_OPEN or (resting and rng.random() < 0.25):
                    order = resting.pop(0)
                    await adapter.cancel(order.symbol, id=order.id)
                    continue
                placed = await _place(adapter, rng, rng.choice(symbols))
                if placed.kind == "limit":
                    resting.append(placed)
            except UnitapeError:
                # It is refused, or was filled before it could be canceled: such is trading.
                continue


def _chosen(found: Sequence[Instrument], symbol: str, markets: Sequence[str]) -> list[Instrument]:
    if symbol != ALL_SYMBOLS:
        return [one for one in found if one.symbol == symbol]
    return [next(one for one in found if one.market == name) for name in markets]


async def _place(adapter: VenueAdapter, rng: Random, instrument: Instrument) -> Order:
    """Buy or sell at the market, or rest a few ticks away from it."""
    assert instrument.step is not None
    assert instrument.tick is not None
    (book,) = [await adapter.order_book(instrument.symbol, 5)]
    side: Any = rng.choice(["buy", "sell"])
    touch = instrument.tick * round((book.bids if side == "buy" else book.asks)[0][0] / float(instrument.tick))
    least = max(instrument.min_size or instrument.step, LEAST / touch)
    size = (least // instrument.step + rng.randint(1, 9)) * instrument.step
    modes = adapter.capabilities(instrument.market).position_modes
    if modes == ("hedge",):
        # A sell would close a long position that may not be there.
        side = "buy"
    extra: Any = {"position_side": "long"} if modes == ("hedge",) else {}
    if rng.random() < 0.5:
        return await adapter.place(instrument.symbol, side, "market", size=size, **extra)
    away = instrument.tick * rng.randint(0, 400)
    price = touch - away if side == "buy" else touch + away
    return await adapter.place(instrument.symbol, side, size=size, price=price, **extra)
