"""A small strategy: when the last trades of two venues disagree by enough, buy where it is cheap.

It knows nothing of tapes. ``test_disagreement.py`` beside it shows how it is tested.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from decimal import Decimal

from msgspec import Struct

import unitape as ut
from unitape.adapter import VenueAdapter
from unitape.clock import Clock


class Signal(Struct, frozen=True):
    """Two venues disagree. Prices are those of the trades, exactly as the venues wrote them."""

    symbol: str
    cheap: str
    cheap_price: Decimal
    dear: str
    dear_price: Decimal
    trade: str | None
    """Id of the trade that made the difference."""

    @property
    def points(self) -> Decimal:
        """The difference in basis points of the cheap price."""
        return (self.dear_price - self.cheap_price) / self.cheap_price * 10_000


async def signals(router: ut.Router, symbol: str, points: Decimal) -> AsyncGenerator[Signal]:
    """Subscribe to trades and yield a signal each time the venues begin to disagree by so many basis points."""
    last: dict[str, Decimal] = {}
    apart = False
    events = router.stream(types=ut.Trade, overflow="block")
    await router.subscribe(ut.trades(symbol))
    async for event in events:
        if not isinstance(event, ut.Trade):
            continue
        last[event.venue] = Decimal(repr(event.price))
        cheap, dear = min(last, key=last.__getitem__), max(last, key=last.__getitem__)
        signal = Signal(symbol, cheap, last[cheap], dear, last[dear], event.id)
        if signal.points >= points and not apart:
            yield signal
        apart = signal.points >= points


# --8<-- [start:trade]
async def trade_disagreements(
    adapters: Sequence[VenueAdapter], symbol: str, *, points: Decimal, size: Decimal, orders: int, clock: Clock
) -> tuple[list[Signal], list[ut.Order]]:
    """Buy ``size`` at the cheap venue's last price on each signal, now or not at all, until so many orders were sent.

    Returns every signal, and what became of every order.
    """
    by_name = {adapter.venue: adapter for adapter in adapters}
    seen: list[Signal] = []
    placed: list[ut.Order] = []
    async with ut.Router(*adapters, clock=clock) as router, aclosing(signals(router, symbol, points)) as found:
        async for signal in found:
            seen.append(signal)
            cheap = by_name[signal.cheap]
            order = await cheap.place(symbol, "buy", size=size, price=signal.cheap_price, tif="ioc")
            placed.append(await cheap.order(symbol, id=order.id))
            if len(placed) == orders:
                break
    return seen, placed


# --8<-- [end:trade]
