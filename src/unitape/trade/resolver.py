"""Finds out what became of a write whose answer was lost. An order is never sent a second time.

A place whose outcome is unknown is looked for with growing pauses, by its client id and on the private stream. Found,
it is taken over as it stands. Absence counts only once the request can no longer arrive and the market's lag has
passed (``TradingSpec.absence_lag``), and only after two agreeing reads. If the time given runs out first,
``OutcomeUnknown`` is raised, and the search goes on in the background until the fate is known. A read that fails,
for whatever reason, says nothing, and the next one follows.

A cancel may be repeated: asking twice ends no order that should live.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Final

import anyio
from msgspec import structs

from unitape.errors import ExchangeUnavailable, NotPlaced, OrderNotFound, OutcomeUnknown, UnitapeError, WireError
from unitape.spi import Amendment, NewOrder, OrderRef
from unitape.trade.search import EARLIER, Sought, look_for, successors
from unitape.trade.state import AccountState
from unitape.trade.tracking import Tracked, is_final
from unitape_schemas import AccountEvent, Order

if TYPE_CHECKING:
    from unitape.trade.client import TradingClient

__all__ = ["Resolver"]

_log = logging.getLogger("unitape.trade")

NANOS: Final = 1_000_000_000
FIRST_PAUSE: Final = 0.5
LONGEST_PAUSE: Final = 8.0
LONGEST_WATCH: Final = 30.0
"""Seconds between two looks; the last is that of the search in the background."""
AFTER_WINDOW: Final = 10.0
"""Seconds beyond the receive window in which a request may still come through."""
AGREEING: Final = 2
"""Reads that must find nothing before absence is believed."""
BETWEEN_READS: Final = 2.0
"""Seconds between two reads that are to agree."""


class Resolver:
    """Resolves the open outcomes of one account on one market."""

    def __init__(
        self, client: TradingClient, state: AccountState, deliver: Callable[[Sequence[AccountEvent]], None]
    ) -> None:
        """``deliver`` takes what is found, marked ``reconciled``."""
        self._client = client
        self._state = state
        self._deliver = deliver
        self._unresolved: dict[tuple[str, str], int] = {}
        """Symbol and client id of orders whose outcome is unknown, and since when (monotonic ns)."""

    @property
    def unresolved(self) -> dict[str, int]:
        """Client ids of orders whose outcome is unknown, and since when (monotonic ns)."""
        found: dict[str, int] = {}
        for (_, client_id), since in self._unresolved.items():
            found[client_id] = min(since, found.get(client_id, since))
        return found

    async def placed(self, order: NewOrder, sent: int, error: OutcomeUnknown) -> Order:
        """Return the order as it stands, once it is found. ``sent``: venue time when it was sent.

        Raises:
            NotPlaced: agreeing reads found that it never arrived.
            OutcomeUnknown: not in the time given; it is looked for further on.
        """
        self._doubt(order)
        found: Order | None = None
        try:
            with anyio.move_on_after(self._client.options.resolve_within):
                found = await self._find(order, sent, LONGEST_PAUSE)
        finally:
            # Also when whoever waits for this is cancelled: the order's fate must be known all the same.
            if _key(order) in self._unresolved:
                self._client.spawn(lambda: self._watch(order, sent))
        if found is None:
            raise error
        return found

    def abandoned(self, order: NewOrder, sent: int) -> None:
        """Whoever placed this was cancelled while it was under way: find out what became of it."""
        self._doubt(order)
        self._client.spawn(lambda: self._watch(order, sent))

    async def canceled(self, ref: OrderRef, error: OutcomeUnknown) -> Order | None:
        """Return the order once it has ended, or None once a repeated cancel is acknowledged.

        Raises:
            OrderNotFound: agreeing reads found no such order.
            OutcomeUnknown: not in the time given.
        """
        began = self._client.mono()
        absences = 0
        with anyio.move_on_after(self._client.options.resolve_within):
            for pause in _pauses(LONGEST_PAUSE):
                tracked = await self._wait(pause, lambda: self._ended(ref))
                if tracked is not None:
                    return tracked.order
                try:
                    found = await self._look(Sought(ref, self._client.venue_now()))
                    if found is None:
                        absences += self._counts(began)
                        if absences >= AGREEING:
                            raise OrderNotFound(f"no order {ref.id or ref.client_id}", venue=self._client.market.venue)
                        continue
                    absences = 0
                    known = self._take(found)
                    if is_final(known.status):
                        return known
                    named = structs.replace(ref, id=known.id or ref.id)
                    query = self._client.trading.cancel(named)
                    answer = await self._client.write(query, client_id=ref.client_id or ref.id, urgent=True)
                    return None if answer is None else self._take(answer)
                except OrderNotFound:
                    if absences >= AGREEING:
                        raise
                except UnitapeError as fault:
                    _log.debug("%s: still looking for a canceled order: %s", self._client.market.venue, fault)
        raise error

    async def amended(self, change: Amendment, sent: int, error: OutcomeUnknown) -> Order:
        """Return the order once it shows the change, or has ended. ``sent``: venue time when the change was sent.

        Where the venue makes another order of a changed one, that is looked for behind one that is canceled.

        Raises:
            ExchangeUnavailable: agreeing reads show the order unchanged.
            OutcomeUnknown: not in the time given.
        """
        began = self._client.mono()
        unchanged = 0
        with anyio.move_on_after(self._client.options.resolve_within):
            for pause in _pauses(LONGEST_PAUSE):
                await anyio.sleep(pause)
                try:
                    found = await self._look(Sought(change.order, self._client.venue_now()))
                    made = await self._made_of(found, change, sent)
                except UnitapeError as fault:
                    _log.debug("%s: still looking for an amended order: %s", self._client.market.venue, fault)
                    continue
                if found is None:
                    continue
                known = self._take(found)
                if made is not None:
                    return self._take(made)
                if _shows(found, change) or (is_final(known.status) and not self._may_be_another(known)):
                    return known
                unchanged += self._counts(began)
                if unchanged >= AGREEING and is_final(known.status):
                    return known
                if unchanged >= AGREEING:
                    text = f"the answer to a change was lost and the order stands unchanged: {error.text}"
                    raise ExchangeUnavailable(text, venue=self._client.market.venue)
        raise error

    def _may_be_another(self, known: Order) -> bool:
        """Tell whether another order may have come of one that was to be changed."""
        return self._client.trading.spec.amend_renames and known.status == "canceled"

    async def _made_of(self, old: Order | None, change: Amendment, sent: int) -> Order | None:
        """Return what came of an order that was changed into another one; None if nothing did.

        Raises:
            OutcomeUnknown: several fit.
        """
        if old is None or not self._may_be_another(old):
            return None
        listed = await successors(self._client, change.order.symbol, sent)
        tracker = self._state.tracker
        fits: dict[str | None, Order] = {}
        for one in listed:
            known = tracker.get(one.symbol, id=one.id)
            name = one.client_id if known is None else known.order.client_id
            if one.id != old.id and one.side == old.side and _shows(one, change) and name in (None, old.client_id):
                fits[one.id] = one
        if len(fits) > 1:
            text = f"{len(fits)} orders may have come of {old.id}: {', '.join(map(str, fits))}"
            raise OutcomeUnknown(text, venue=self._client.market.venue, client_id=old.client_id)
        return next(iter(fits.values()), None)

    def _doubt(self, order: NewOrder) -> None:
        self._unresolved.setdefault(_key(order), self._client.mono())
        self._deliver(self._state.changes(self._state.tracker.doubted(order.symbol, order.client_id)))

    async def _watch(self, order: NewOrder, sent: int) -> None:
        """Look for an order until its fate is known."""
        try:
            found = await self._find(order, sent, LONGEST_WATCH)
        except NotPlaced as fate:
            _log.warning("%s", fate)
        except Exception as fault:  # noqa: BLE001 - whoever is told of it may trip; that must not end the adapter
            _log.error("%s: the search for %s broke: %r", self._client.market.venue, order.client_id, fault)
        else:
            _log.warning("%s: order %s is found at last: %s", self._client.market.venue, order.client_id, found.status)

    async def _find(self, order: NewOrder, sent: int, longest: float) -> Order:
        """Look until the order is found.

        Raises:
            NotPlaced: it never arrived.
        """
        began = self._unresolved[_key(order)]
        believed, first = self._venue_at(began), sent
        absences = 0
        for pause in _pauses(longest):
            tracked = await self._wait(BETWEEN_READS if absences else pause, lambda: self._known(order))
            if tracked is not None:
                return self._settle(order, tracked.order)
            # A clock that is found to be behind what was believed may have stamped the order with less.
            sent = min(sent, first + self._venue_at(began) - believed)
            try:
                found = await self._look(Sought(OrderRef(order.symbol, client_id=order.client_id), sent, order))
            except UnitapeError as fault:
                _log.debug("%s: still looking for %s: %s", self._client.market.venue, order.client_id, fault)
                continue
            sent = min(sent, first + self._venue_at(began) - believed)
            if found is not None and self._is_ours(found, order, sent):
                return self._settle(order, self._take(found, order))
            absences += self._counts(began)
            if absences >= AGREEING and self._known(order) is None:
                break
        self._unresolved.pop(_key(order), None)
        self._deliver(self._state.changes(self._state.tracker.absent(order.symbol, order.client_id)))
        raise NotPlaced(
            f"the answer to an order was lost and {AGREEING} agreeing reads found no such order; it was not placed",
            venue=self._client.market.venue,
            client_id=order.client_id,
        )

    def _venue_at(self, mono: int) -> int:
        """Return what the venue's clock showed at a moment, as far as is known now."""
        return self._client.venue_now() - (self._client.mono() - mono)

    def _settle(self, order: NewOrder, found: Order) -> Order:
        self._unresolved.pop(_key(order), None)
        return found

    def _counts(self, began: int) -> bool:
        """Tell whether absence proves anything yet."""
        spec, window = self._client.trading.spec, self._client.settings.recv_window
        return self._client.mono() - began >= max(spec.absence_lag, window + AFTER_WINDOW) * NANOS

    async def _look(self, sought: Sought) -> Order | None:
        try:
            return await look_for(self._client, sought, self._taken)
        except UnitapeError:
            raise
        except Exception as error:  # noqa: BLE001 - a question that trips says nothing, and must not end the search
            fault = f"{type(error).__name__}: {error}"
        raise WireError(f"an order cannot be looked for: {fault}", b"", venue=self._client.market.venue)

    def _is_ours(self, found: Order, order: NewOrder, sent: int) -> bool:
        """Tell whether what was found is not an older order of the same name."""
        if 0 < found.ts_created < sent - EARLIER:
            return False
        tracker = self._state.tracker
        known = tracker.get(found.symbol, id=found.id) if found.id is not None else None
        if known is None or known.order.client_id != order.client_id:
            return True
        return known is self._newest(order)

    def _taken(self, order: Order) -> bool:
        """Tell whether an order is one of ours under another name."""
        tracked = self._state.tracker.get(order.symbol, id=order.id)
        return tracked is not None and tracked.order.client_id is not None

    def _take(self, found: Order, like: NewOrder | None = None) -> Order:
        """Take over what was found, and return the order as it is known now."""
        told = structs.replace(found, origin="reconciled")
        if like is not None and told.client_id is None:
            told = structs.replace(told, client_id=like.client_id)
        self._deliver(self._state.take(told))
        tracked = self._state.tracker.get(told.symbol, id=told.id, client_id=told.client_id)
        return told if tracked is None else tracked.order

    def _known(self, order: NewOrder) -> Tracked | None:
        """Return the order if the venue has told of it."""
        newest = self._newest(order)
        return None if newest is None or newest.local else newest

    def _newest(self, order: NewOrder) -> Tracked | None:
        """Return the newest order of a name; not what it has sent when triggered, which bears its name, too."""
        named = self._state.tracker.named(order.symbol, order.client_id)
        waits = order.trigger is not None
        return next((one for one in reversed(named) if (one.order.trigger is not None) == waits), None)

    def _ended(self, ref: OrderRef) -> Tracked | None:
        tracked = self._state.tracker.get(ref.symbol, id=ref.id, client_id=ref.client_id)
        return None if tracked is None or tracked.local or not tracked.ended else tracked

    async def _wait(self, seconds: float, told: Callable[[], Tracked | None]) -> Tracked | None:
        """Give the private stream some time to tell."""
        with anyio.move_on_after(seconds):
            while told() is None:
                await self._state.changed()
        return told()


def _key(order: NewOrder) -> tuple[str, str]:
    return order.symbol, order.client_id


def _pauses(longest: float) -> Iterator[float]:
    pause = FIRST_PAUSE
    while True:
        yield pause
        pause = min(2 * pause, longest)


def _shows(order: Order, change: Amendment) -> bool:
    return (change.price is None or order.price == change.price) and (change.size is None or order.size == change.size)
