"""Looking for one order at a venue: by its names where the market can be asked so, else through its lists."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from msgspec import Struct, structs

from unitape.errors import OrderNotFound, OutcomeUnknown, Unsupported
from unitape.spi import ConditionalHistory, NewOrder, OrderRef
from unitape.trade.checks import TRIGGER_KINDS
from unitape.trade.paging import fetch_range
from unitape_schemas import Order

if TYPE_CHECKING:
    from unitape.trade.client import TradingClient

__all__ = ["EARLIER", "Sought", "look_for", "successors"]

NANOS: Final = 1_000_000_000
EARLIER: Final = 60 * NANOS
"""Lists are searched from so long before the order was sent, and what is older is not ours: clocks differ."""
SLACK: Final = 2 * NANOS
"""An order without a name of ours is not taken for ours when it was made longer than this before ours was sent."""


class Sought(Struct, frozen=True):
    """The order that is looked for."""

    ref: OrderRef
    sent: int
    """Venue time in nanoseconds when the request for it left."""
    like: NewOrder | None = None
    """What was sent, to recognize an order that bears no name of ours."""


async def look_for(client: TradingClient, sought: Sought, taken: Callable[[Order], bool]) -> Order | None:
    """Read once, everywhere it may be, and return the order; None if it is nowhere.

    ``taken`` tells whether an order is known to be another one. Conditional orders are looked for among their own
    kind first: what they send when triggered may bear the same client id.

    Raises:
        UnitapeError: a read failed, so that absence proves nothing.
    """
    trading, ref = client.trading, sought.ref
    waits = ref.conditional or (sought.like is not None and sought.like.kind in TRIGGER_KINDS)
    apart = waits and trading.open_conditional(ref.symbol) is not None
    if apart:
        found = await _conditional(client, sought, taken)
        if found is not None or not trading.spec.conditional_client_ids:
            return found
    plain = structs.replace(ref, conditional=False)
    if plain.id is not None or trading.spec.query_by_client_id:
        return await _ask(client, plain)
    return await _among_plain(client, sought)


async def successors(client: TradingClient, symbol: str, sent: int) -> list[Order]:
    """Return the orders of a symbol, open or not, that were made since ``sent`` (venue ns).

    Raises:
        UnitapeError: a read failed.
    """
    listed = await client.read(client.trading.open_orders(symbol))
    listed += await _history(client, Sought(OrderRef(symbol, ""), sent), conditional=False)
    return [order for order in listed if not order.ts_created or order.ts_created >= sent - SLACK]


async def _ask(client: TradingClient, ref: OrderRef) -> Order | None:
    try:
        return await client.read(client.trading.order(ref))
    except OrderNotFound:
        return None


async def _conditional(client: TradingClient, sought: Sought, taken: Callable[[Order], bool]) -> Order | None:
    trading, ref = client.trading, sought.ref
    if ref.id is not None or trading.spec.conditional_client_ids:
        try:
            return await _ask(client, structs.replace(ref, conditional=True))
        except Unsupported:
            # This market has no question for one conditional order.
            pass
    waiting = trading.open_conditional(ref.symbol)
    candidates = [] if waiting is None else await client.read(waiting)
    if isinstance(trading, ConditionalHistory):
        candidates = [*candidates, *await _history(client, sought, conditional=True)]
    if trading.spec.conditional_client_ids or ref.id is not None:
        return _named(candidates, ref)
    return _alike(candidates, sought, taken)


async def _among_plain(client: TradingClient, sought: Sought) -> Order | None:
    found = _named(await client.read(client.trading.open_orders(sought.ref.symbol)), sought.ref)
    return found or _named(await _history(client, sought, conditional=False), sought.ref)


async def _history(client: TradingClient, sought: Sought, *, conditional: bool) -> list[Order]:
    trading, symbol = client.trading, sought.ref.symbol
    spec = trading.spec

    async def ask(first: int, last: int) -> list[Order]:
        if conditional and isinstance(trading, ConditionalHistory):
            query = trading.conditional_history(symbol, start=first, end=last, limit=spec.history_page)
        else:
            query = trading.order_history(symbol, start=first, end=last, limit=spec.history_page)
        return await client.read(query)

    return await fetch_range(
        ask,
        max(0, sought.sent - EARLIER),
        await client.time() + NANOS,
        span=round(spec.history_span * NANOS),
        page=spec.history_page,
        key=lambda order: (order.symbol, order.id),
        when=lambda order: order.ts_created,
    )


def _named(orders: list[Order], ref: OrderRef) -> Order | None:
    for order in orders:
        if order.symbol != ref.symbol:
            continue
        if order.id == ref.id if ref.id is not None else order.client_id == ref.client_id:
            return order
    return None


def _alike(orders: list[Order], sought: Sought, taken: Callable[[Order], bool]) -> Order | None:
    """Return the one order that says what was sent, is no other one's, and is no older; None if there is none.

    Raises:
        OutcomeUnknown: two fit. Saying which is ours would be a guess, and that there is none would be wrong.
    """
    like = sought.like
    if like is None:
        return None
    fits = {
        order.id: order
        for order in orders
        if (order.symbol, order.side, order.trigger, order.price, order.size)
        == (like.symbol, like.side, like.trigger, like.price, like.size)
        and (not order.ts_created or order.ts_created >= sought.sent - SLACK)
        and not taken(order)
    }
    if len(fits) > 1:
        text = f"{len(fits)} conditional orders fit what was sent: {', '.join(str(one) for one in fits)}"
        raise OutcomeUnknown(text, venue=fits[next(iter(fits))].venue, client_id=like.client_id)
    return next(iter(fits.values()), None)
