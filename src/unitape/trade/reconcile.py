"""Compares what is known of an account with what the venue says when asked, and takes over the difference."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Hashable, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Final, TypeVar

from msgspec import structs

from unitape.errors import OrderNotFound, Unsupported
from unitape.spi import ConditionalHistory, OrderRef
from unitape.trade.paging import fetch_range
from unitape.trade.tracking import Change, Tracked, is_final
from unitape_schemas import ALL_SYMBOLS, AccountEvent, Channel, Fill, Order, Origin

if TYPE_CHECKING:
    from unitape.trade.client import TradingClient

__all__ = ["OVERLAP", "Reconciler"]

T = TypeVar("T", Order, Fill)

_log = logging.getLogger("unitape.trade")

NANOS: Final = 1_000_000_000
OVERLAP: Final = 120 * NANOS
"""What happened so long before a stream fell silent is asked for again: clocks are set, and pushes are late."""
LATE: Final = 20 * NANOS
"""What is older than this should have been pushed."""
FIRST_WAIT: Final = 0.5
LONGEST_WAIT: Final = 60.0
"""Seconds between two questions for the missing fills of one order; doubled each time."""
TRIES: Final = 12
"""How often they are asked for. An order that is told as filled and has no fills, such as one that was triggered and
filled as another, is left alone then."""


class _Wait:
    """When the missing fills of an order are asked for next. ``told`` is what the venue says is filled."""

    __slots__ = ("at", "told", "tries")

    def __init__(self, at: int, told: Decimal) -> None:
        self.at = at
        self.told = told
        self.tries = 0


class Reconciler:
    """Asks for one account on one market. Everything new that it learns goes through ``deliver``."""

    def __init__(self, client: TradingClient, deliver: Callable[[Sequence[AccountEvent]], None]) -> None:
        self._client = client
        self._state = client.fates.state
        self._deliver = deliver
        self._waits: dict[tuple[str, str], _Wait] = {}
        self._symbols: set[str] = set()
        self._open_now: set[tuple[str, str | None]] = set()
        self.began = 0
        """Venue time in nanoseconds from which on everything is told. What nobody here knew of and ended before is not:
        it is in the balances and positions of the beginning already."""
        self.found = 0
        """How many events were new since this was last set to 0."""
        self.missed = 0
        """How many orders and fills were new that a stream should have told ``LATE`` ago, since set to 0."""

    async def everything(self, origin: Origin, since: int | None, symbols: Sequence[str]) -> set[Channel]:
        """Compare all of it. ``since`` (venue ns): what came and went from then on is asked for, too.

        Where a market tells only symbol by symbol, ``symbols`` are asked about, and those of known orders. Returns what
        must be asked once more.

        Raises:
            UnitapeError: a question was not answered; what was learned before stays.
        """
        self._symbols.update(symbol for symbol in symbols if symbol not in ("", ALL_SYMBOLS))
        await self.orders(origin)
        if since is not None:
            await self._history(max(0, since - OVERLAP), origin)
        return await self.refresh({"fills", "balances", "positions"}, origin)

    async def orders(self, origin: Origin) -> None:
        """Ask for the open orders, and for each that should be open and is not."""
        client, trading = self._client, self._client.trading
        tracker = self._state.tracker
        asked = tracker.mark()
        listed: list[Order] = []
        for ask in (trading.open_orders, trading.open_conditional):
            for symbol in self._subjects(ask):
                query = ask(symbol)
                listed += [] if query is None else await client.read(query)
        for order in listed:
            self._take(structs.replace(order, origin=origin))
        self._open_now = {(order.symbol, order.id) for order in listed}
        self._state.listed(listed, asked)
        for tracked in tracker.vanished(listed, asked):
            await self._suspect(tracked, origin)

    async def fills(self, origin: Origin) -> None:
        """Ask for executions that orders tell of and nobody has told, as far as they are due."""
        client = self._client
        self._watch()
        for (symbol, order_id), wait in list(self._waits.items()):
            if wait.tries >= TRIES or wait.at > client.mono():
                continue
            for fill in await self._fills_of(symbol, order_id):
                self._take(structs.replace(fill, origin=origin))
            wait.at = client.mono() + round(min(FIRST_WAIT * 2**wait.tries, LONGEST_WAIT) * NANOS)
            wait.tries += 1
            tracked = self._state.tracker.get(symbol, id=order_id)
            if wait.tries == TRIES and tracked is not None and tracked.fills_missing and tracked.order.trigger is None:
                _log.warning(
                    "%s: order %s says that %s is filled, and the fills found make %s",
                    client.market.venue,
                    order_id,
                    tracked.told_filled,
                    tracked.size,
                )

    def fills_due(self) -> float | None:
        """Return the seconds until missing fills are to be asked for; None while none are missing."""
        self._watch()
        times = [wait.at for wait in self._waits.values() if wait.tries < TRIES]
        return max(0.0, (min(times) - self._client.mono()) / NANOS) if times else None

    def _watch(self) -> None:
        """Note which orders miss fills. A push of them is often on its way, so that the first question waits a bit."""
        missing = {
            (one.order.symbol, one.order.id): one.told_filled
            for one in self._state.tracker.incomplete()
            if one.order.id is not None
        }
        for name in self._waits.keys() - missing.keys():
            del self._waits[name]
        for name, told in missing.items():
            if name not in self._waits or self._waits[name].told != told:
                self._waits[name] = _Wait(self._client.mono() + round(FIRST_WAIT * NANOS), told)

    async def _fills_of(self, symbol: str, order_id: str) -> list[Fill]:
        """Ask for all executions of one order: a page, and if that is full, its whole life."""
        page = self._client.trading.spec.history_page
        found = await self._client.read(self._client.trading.fills(symbol, order_id=order_id, limit=page))
        tracked = self._state.tracker.get(symbol, id=order_id)
        if len(found) < page or tracked is None or not tracked.order.ts_created:
            return found
        return await self._fills_since(symbol, max(0, tracked.order.ts_created - NANOS), order_id)

    async def balances(self) -> bool:
        """Ask for the balances; False if pushes came meanwhile, so that it must be asked again."""
        mark = self._state.mark()
        news, doubt = self._state.take_balances(await self._client.read(self._client.trading.balances()), mark)
        self._tell(news)
        return not doubt

    async def positions(self) -> bool:
        """Ask for the positions where there are any; False as ``balances``."""
        if not self._client.trading.spec.position_modes:
            return True
        mark = self._state.mark()
        news, doubt = self._state.take_positions(await self._client.read(self._client.trading.positions(None)), mark)
        self._tell(news)
        return not doubt

    async def refresh(self, channels: set[Channel], origin: Origin) -> set[Channel]:
        """Ask for some channels again; return those that must be asked once more."""
        again: set[Channel] = set()
        if "orders" in channels:
            await self.orders(origin)
        if channels & {"orders", "fills"}:
            await self.fills(origin)
        if "balances" in channels and not await self.balances():
            again.add("balances")
        if "positions" in channels and not await self.positions():
            again.add("positions")
        return again

    def _subjects(self, ask: Callable[[str | None], object]) -> Sequence[str | None]:
        """Return whom to ask about: everything at once, or each symbol that is known where the market wants one."""
        try:
            ask(None)
        except Unsupported:
            return self._known_symbols()
        return (None,)

    def _known_symbols(self) -> list[str]:
        tracker = self._state.tracker
        return sorted(self._symbols | {one.order.symbol for one in (*tracker.open(), *tracker.closed())})

    async def _suspect(self, tracked: Tracked, origin: Origin) -> None:
        """Ask for one order that is no longer listed."""
        client, order, tracker = self._client, tracked.order, self._state.tracker
        conditional = order.trigger is not None and client.trading.open_conditional(order.symbol) is not None
        ref = OrderRef(order.symbol, order.id, None if order.id else order.client_id, conditional)
        try:
            found: Order | None = await client.read(client.trading.order(ref))
        except (OrderNotFound, Unsupported):
            found = await self._listed(ref, order)
        if found is None:
            _log.warning("%s: order %s is neither open nor found", client.market.venue, order.id or order.client_id)
            self._tell(self._state.changes(tracker.missed(tracked)))
            return
        self._take(structs.replace(found, origin=origin))
        self._let_go(found)

    def _let_go(self, order: Order) -> None:
        """Take an order for over that is not listed as open and has a status that we do not understand."""
        known = self._state.tracker.get(order.symbol, id=order.id)
        if known is not None and (order.symbol, order.id) not in self._open_now and self._state.tracker.let_go(known):
            self._state.changes(Change(known.order))

    async def _listed(self, ref: OrderRef, order: Order) -> Order | None:
        """Look for an order in the history of its kind."""
        start = max(0, (order.ts_created or order.ts_updated or self._client.venue_now()) - OVERLAP)
        for one in await self._orders_since(ref.symbol, start, conditional=ref.conditional):
            if one.id == order.id if order.id is not None else one.client_id == order.client_id:
                return one
        return None

    async def _history(self, since: int, origin: Origin) -> None:
        """Ask for what came and went while nobody listened."""
        trading = self._client.trading
        for symbol in self._subjects(trading.order_history):
            for order in await self._orders_since(symbol, since, conditional=False):
                self._take_old(order, origin)
        if isinstance(trading, ConditionalHistory):
            for symbol in self._subjects(trading.conditional_history):
                for order in await self._orders_since(symbol, since, conditional=True):
                    self._take_old(order, origin)
        for symbol in self._subjects(trading.fills):
            for fill in await self._fills_since(symbol, since):
                known = self._state.tracker.get(symbol=fill.symbol, id=fill.order_id)
                if known is not None or not 0 < fill.ts_event < self.began:
                    self._take(structs.replace(fill, origin=origin))

    def _take_old(self, order: Order, origin: Origin) -> None:
        """Take an order out of the history, unless it ended before anybody listened."""
        tracker = self._state.tracker
        known = tracker.get(order.symbol, id=order.id) or tracker.get(order.symbol, client_id=order.client_id)
        ended = is_final(order.status) or order.status == "unknown"
        if known is None and ended and 0 < (order.ts_updated or order.ts_created) < self.began:
            return
        self._take(structs.replace(order, origin=origin))
        self._let_go(order)

    async def _orders_since(self, symbol: str | None, start: int, *, conditional: bool) -> list[Order]:
        client, trading = self._client, self._client.trading
        page = trading.spec.history_page

        async def ask(first: int, last: int) -> list[Order]:
            if conditional and isinstance(trading, ConditionalHistory):
                return await client.read(trading.conditional_history(symbol, start=first, end=last, limit=page))
            return await client.read(trading.order_history(symbol, start=first, end=last, limit=page))

        return await self._pages(ask, start, lambda order: order.id, lambda order: order.ts_created)

    async def _fills_since(self, symbol: str | None, start: int, order_id: str | None = None) -> list[Fill]:
        client, trading = self._client, self._client.trading

        async def ask(first: int, last: int) -> list[Fill]:
            page = trading.spec.history_page
            query = trading.fills(symbol, order_id=order_id, start=first, end=last, limit=page)
            return await client.read(query)

        return await self._pages(ask, start, lambda fill: (fill.id, fill.order_id), lambda fill: fill.ts_event)

    async def _pages(
        self,
        ask: Callable[[int, int], Awaitable[list[T]]],
        start: int,
        key: Callable[[T], Hashable],
        when: Callable[[T], int],
    ) -> list[T]:
        spec = self._client.trading.spec
        return await fetch_range(
            ask,
            start,
            await self._client.time() + NANOS,
            span=round(spec.history_span * NANOS),
            page=spec.history_page,
            key=lambda row: (row.symbol, key(row)),
            when=when,
        )

    def _take(self, event: Order | Fill) -> None:
        fresh = not isinstance(event, Order) or self._state.tracker.get(event.symbol, id=event.id) is None
        news = self._state.take(event)
        when = event.ts_created if isinstance(event, Order) else event.ts_event
        if news and fresh and 0 < when < self._client.venue_now() - LATE:
            self.missed += 1
        self._tell(news)

    def _tell(self, news: Sequence[AccountEvent]) -> None:
        if news:
            self.found += len(news)
            self._deliver(news)
