"""Writes about orders whose fate is known afterwards: sent once, tracked from before they leave, resolved if lost."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

import anyio
from msgspec import structs

from unitape.errors import (
    DuplicateOrder,
    NotPlaced,
    OutcomeUnknown,
    RiskRejected,
    TradingHalted,
    UnitapeError,
    Unsupported,
)
from unitape.spi import Amendment, NewOrder, OrderRef, Replaced, Replacing
from unitape.trade.checks import LIMIT_KINDS
from unitape.trade.resolver import Resolver
from unitape.trade.state import AccountState
from unitape.trade.tracking import is_final
from unitape_schemas import AccountEvent, Balance, Order, Position

if TYPE_CHECKING:
    from unitape.trade.client import TradingClient

__all__ = ["Fates", "pending_order"]

_log: Final = logging.getLogger(__name__)


class _Moment(NamedTuple):
    """Local monotonic time, and what the venue's clock was believed to show."""

    mono: int
    venue: int


class Fates:
    """Places, cancels and amends for one account on one market. ``state`` knows what became of everything."""

    def __init__(self, client: TradingClient) -> None:
        self._client = client
        self.state = AccountState(one_way=lambda: client.settings.position_mode == "one_way")
        self.listener: Callable[[Sequence[AccountEvent]], None] | None = None
        """Takes what changes, where somebody subscribed to it."""
        self.resolver = Resolver(client, self.state, self.tell)

    def tell(self, news: Sequence[AccountEvent]) -> None:
        """Hand on what is new."""
        if news and self.listener is not None:
            self.listener(news)

    def take(self, order: Order) -> Order:
        """Take over how an order stands, and return it with all that is known of it."""
        self.tell(self.state.take(order))
        tracked = self.state.tracker.get(order.symbol, id=order.id, client_id=order.client_id)
        return order if tracked is None else tracked.order

    async def place(self, order: NewOrder, *, urgent: bool = False) -> Order:
        """Place one order, and return it as it is known when its fate is. ``urgent``: it closes a position.

        Raises:
            DuplicateOrder: its client id is in use by an order that has not ended; nothing was sent.
            NotPlaced: the answer was lost, and agreeing reads found that it never arrived.
            OutcomeUnknown: its fate was not found in the time given; it is looked for further on.
            RiskRejected, TradingHalted: the guards refuse it; nothing was sent.
            UnitapeError: it was refused; nothing was placed.
        """
        self._client.check((order,))
        self.check_unused(order)
        self._begin(order)
        began = self._now()
        try:
            query = self._client.trading.place(order)
            answer = await self._client.write(query, client_id=order.client_id, urgent=urgent)
        except OutcomeUnknown as error:
            return await self._resolve(order, began, error)
        except UnitapeError as error:
            self._refused(order, error)
            raise
        except BaseException:
            # Whoever waited was cancelled; the order may stand all the same.
            self.resolver.abandoned(order, self._sent(began))
            raise
        return self._placed(order, answer)

    async def place_many(self, orders: Sequence[NewOrder]) -> list[Order | UnitapeError]:
        """Place orders in one native request; one result each, in their order."""
        answers: Sequence[Order | UnitapeError]
        try:
            self._client.check(orders)
            for order in orders:
                self.check_unused(order)
        except (DuplicateOrder, RiskRejected, TradingHalted) as error:
            return [error] * len(orders)
        for order in orders:
            self._begin(order)
        began = self._now()
        query = self._client.trading.place_many(orders)
        try:
            answers = await self._client.write(query, client_id=orders[0].client_id)
        except UnitapeError as error:
            answers = [error] * len(orders)
        except BaseException:
            for order in orders:
                self.resolver.abandoned(order, self._sent(began))
            raise
        if len(answers) != len(orders):
            venue = self._client.market.venue
            lost = OutcomeUnknown(f"{len(answers)} answers to a batch of {len(orders)}", venue=venue, client_id=None)
            answers = [lost] * len(orders)
        results: list[Order | UnitapeError] = list(answers)

        async def settle(place: int, order: NewOrder, answer: Order | UnitapeError) -> None:
            if isinstance(answer, Order):
                results[place] = self._placed(order, answer)
            elif isinstance(answer, OutcomeUnknown):
                named = OutcomeUnknown(answer.text, venue=self._client.market.venue, client_id=order.client_id)
                try:
                    results[place] = await self._resolve(order, began, named)
                except UnitapeError as fate:
                    results[place] = fate
            else:
                self._refused(order, answer)

        async with anyio.create_task_group() as tasks:
            for place, (order, answer) in enumerate(zip(orders, answers, strict=True)):
                tasks.start_soon(settle, place, order, answer)
        return results

    async def cancel(self, ref: OrderRef) -> Order | None:
        """Cancel one order; None where the venue only acknowledges.

        Raises:
            OrderNotFound: the venue knows no such open order.
            OutcomeUnknown: it was neither seen to end nor acknowledged in the time given.
        """
        query = self._client.trading.cancel(ref)
        try:
            answer = await self._client.write(query, client_id=ref.client_id or ref.id, urgent=True)
        except OutcomeUnknown as error:
            return await self.resolver.canceled(ref, error)
        return None if answer is None else self.take(answer)

    async def cancel_many(self, refs: Sequence[OrderRef]) -> list[Order | UnitapeError | None]:
        """Cancel orders of one symbol in one native request; one result each, in their order."""
        names = [ref.client_id or ref.id for ref in refs]
        query = self._client.trading.cancel_many(refs)
        answers: Sequence[Order | UnitapeError | None]
        try:
            answers = await self._client.write(query, client_id=names[0], urgent=True)
        except UnitapeError as error:
            answers = [error] * len(refs)
        if len(answers) != len(refs):
            venue = self._client.market.venue
            lost = OutcomeUnknown(f"{len(answers)} answers to a batch of {len(refs)}", venue=venue, client_id=None)
            answers = [lost] * len(refs)
        results: list[Order | UnitapeError | None] = list(answers)

        async def settle(place: int, ref: OrderRef, answer: Order | UnitapeError | None) -> None:
            if isinstance(answer, Order):
                results[place] = self.take(answer)
            elif isinstance(answer, OutcomeUnknown):
                named = OutcomeUnknown(answer.text, venue=self._client.market.venue, client_id=ref.client_id or ref.id)
                try:
                    results[place] = await self.resolver.canceled(ref, named)
                except UnitapeError as fate:
                    results[place] = fate

        async with anyio.create_task_group() as tasks:
            for place, (ref, answer) in enumerate(zip(refs, answers, strict=True)):
                tasks.start_soon(settle, place, ref, answer)
        return results

    async def amend(self, change: Amendment) -> Order:
        """Change an open order.

        Raises:
            ExchangeUnavailable: the answer was lost, and agreeing reads show the order unchanged.
            OutcomeUnknown: not found out in the time given.
        """
        ref = change.order
        self._client.check_amendment(change)
        query = self._client.trading.amend(change)
        began = self._now()
        try:
            answer = await self._client.write(query, client_id=ref.client_id or ref.id)
        except OutcomeUnknown as error:
            return await self.resolver.amended(change, self._sent(began), error)
        return self.take(answer)

    async def replace(self, old: OrderRef, new: NewOrder) -> Replaced:
        """Cancel one order and, if that succeeds, place another, in one native request.

        Raises:
            NotPlaced: the answer was lost; the old order stands, and no new one does.
            OutcomeUnknown: the answer was lost, and the new order's fate was not found in the time given.
            UnitapeError: it was refused; nothing has changed.
        """
        trading = self._client.trading
        if not isinstance(trading, Replacing):
            raise Unsupported("this market replaces no orders: cancel one and place another")
        self._client.check((new,))
        self.check_unused(new)
        self._begin(new)
        began = self._now()
        try:
            told = await self._client.write(trading.replace(old, new), client_id=new.client_id)
        except OutcomeUnknown as error:
            return await self._replaced(old, new, began, error)
        except UnitapeError as error:
            self._refused(new, error)
            raise
        except BaseException:
            self.resolver.abandoned(new, self._sent(began))
            raise
        kept = None if told.old is None else self.take(told.old)
        if isinstance(told.new, Order):
            return Replaced(kept, self._placed(new, told.new))
        if isinstance(told.new, OutcomeUnknown):
            return Replaced(kept, await self._resolve(new, began, told.new))
        self._refused(new, told.new)
        return Replaced(kept, told.new)

    async def _replaced(self, old: OrderRef, new: NewOrder, began: _Moment, error: OutcomeUnknown) -> Replaced:
        """Find out both fates after the answer was lost."""
        missing: NotPlaced | None = None
        placed: Order | None = None
        try:
            placed = await self._resolve(new, began, error)
        except NotPlaced as fate:
            missing = fate
        known: Order | None = None
        try:
            known = self.take(await self._client.read(self._client.trading.order(old)))
        except UnitapeError as fault:
            _log.debug("%s: the replaced order cannot be asked for: %s", self._client.market.venue, fault)
        if placed is not None:
            return Replaced(known, placed)
        why = missing or error
        if known is not None and is_final(known.status):
            return Replaced(known, why)
        raise why

    async def ask_balances(self) -> list[Balance]:
        """Ask for the balances, and take them over."""
        mark = self.state.mark()
        found = await self._client.read(self._client.trading.balances())
        self.tell(self.state.take_balances(found, mark)[0])
        return found

    async def ask_positions(self, symbol: str | None = None) -> list[Position]:
        """Ask for the positions, and take them over if all were asked for."""
        mark = self.state.mark()
        found = await self._client.read(self._client.trading.positions(symbol))
        if symbol is None:
            self.tell(self.state.take_positions(found, mark)[0])
        return found

    def check_unused(self, order: NewOrder) -> None:
        """Refuse an order whose client id belongs to one that may still be filled.

        Raises:
            DuplicateOrder: it does; nothing was sent.
        """
        known = self.state.tracker.get(order.symbol, client_id=order.client_id)
        if known is not None and not known.ended:
            raise DuplicateOrder(
                f"client id {order.client_id} belongs to an order that is {known.order.status}; nothing was sent",
                venue=self._client.market.venue,
            )

    def _begin(self, order: NewOrder) -> None:
        """Track an order before it leaves."""
        pending = pending_order(self._client, order)
        self.tell(self.state.changes(self.state.tracker.submitted(pending)))

    def _placed(self, order: NewOrder, answer: Order) -> Order:
        """Take over the answer to an order, which is about this order whether it bears its name or not."""
        return self.take(answer if answer.client_id == order.client_id else under(answer, order.client_id))

    def _refused(self, order: NewOrder, error: UnitapeError) -> None:
        why = type(error).__name__
        self.tell(self.state.changes(self.state.tracker.refused(order.symbol, order.client_id, why)))

    async def _resolve(self, order: NewOrder, began: _Moment, error: OutcomeUnknown) -> Order:
        return await self.resolver.placed(order, self._sent(began), error)

    def _now(self) -> _Moment:
        return _Moment(self._client.mono(), self._client.venue_now())

    def _sent(self, began: _Moment) -> int:
        """Return the venue's time at a moment; the earlier one, where its clock was set or measured anew meanwhile.

        An order that was made after that must not look older than its request.
        """
        return min(began.venue, self._client.venue_now() - (self._client.mono() - began.mono))


def under(order: Order, client_id: str) -> Order:
    """Return an order under the name that it was sent with."""
    return structs.replace(order, client_id=client_id)


def pending_order(client: TradingClient, order: NewOrder) -> Order:
    """Return an order that nobody has answered for yet."""
    return Order(
        client.market.venue,
        order.symbol,
        0,
        0,
        client.wall(),
        None,
        order.client_id,
        order.side,
        order.kind,
        order.tif or ("gtc" if order.kind in LIMIT_KINDS else None),
        order.price,
        order.trigger,
        order.size,
        None,
        None,
        "pending",
        order.reduce_only if client.trading.spec.position_modes else None,
        order.position_side,
        0,
        0,
        "answer",
        "",
    )
