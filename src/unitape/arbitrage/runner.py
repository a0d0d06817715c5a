"""Carries out a plan: sends what it asks for, brings it the answers, and writes its journal."""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Protocol

import anyio
from anyio.abc import TaskGroup

from unitape.arbitrage.journal import Entry, PlanEnded
from unitape.arbitrage.plan import TwoLegPlan
from unitape.arbitrage.track import Command, Moment
from unitape.clock import Clock, SystemClock
from unitape.errors import (
    ConfigError,
    DuplicateOrder,
    OrderNotFound,
    OutcomeUnknown,
    RiskRejected,
    TradingHalted,
    TransportError,
    VenueError,
)
from unitape.trade.numbers import Number
from unitape_schemas import Fill, Order, OrderKind, Side

__all__ = ["Trader", "plan_name", "resume_plan", "run_plan"]

_log = logging.getLogger("unitape.arbitrage")

DIGITS: Final = "0123456789abcdefghijklmnopqrstuvwxyz"
MICROSECOND: Final = 1_000


class Trader(Protocol):
    """What a plan needs of a venue: four verbs of ``VenueAdapter``. Time in force and position side go by keyword."""

    async def place(
        self,
        symbol: str,
        side: Side,
        kind: OrderKind = "limit",
        *,
        size: Number | None = None,
        price: Number | None = None,
        client_id: str | None = None,
        **more: Any,
    ) -> Order:
        """Place one order, once."""
        ...

    async def cancel(
        self,
        symbol: str,
        *,
        id: str | None = None,  # noqa: A002 - the field's name in the contract
        client_id: str | None = None,
    ) -> Order | None:
        """Cancel one order; None where the venue only acknowledges."""
        ...

    async def order(
        self,
        symbol: str,
        *,
        id: str | None = None,  # noqa: A002
        client_id: str | None = None,
    ) -> Order:
        """Ask for one order; OrderNotFound when the venue does not know it."""
        ...

    async def fills(self, symbol: str | None = None, *, order_id: str | None = None) -> Sequence[Fill]:
        """Ask for the executions of one order."""
        ...


def plan_name(clock: Clock, rng: random.Random | None = None, prefix: str = "ut") -> str:
    """Return a name that no other plan has: a prefix, the time in microseconds, and chance."""
    number, digits = clock.wall() // MICROSECOND, ""
    while number:
        number, rest = divmod(number, 36)
        digits = DIGITS[rest] + digits
    source = rng or random.SystemRandom()
    return f"{prefix}{digits}{''.join(source.choice(DIGITS) for _ in range(6))}"


async def run_plan(
    plan: TwoLegPlan,
    traders: Mapping[str, Any],
    *,
    clock: Clock | None = None,
    record: Callable[[Entry], object] | None = None,
) -> PlanEnded:
    """Carry out a plan to its end and return its last entry.

    Once the legs are sent, a cancellation is held back until the plan has ended: orders whose fate nobody follows are
    worse than a late end. The policy's times bound it.

    Args:
        plan: what to do; it sends nothing unless it is ``live``.
        traders: who trades, by venue: ``VenueAdapter`` or anything that is a ``Trader``.
        clock: the clock of the feed and the adapters.
        record: called with each entry as it is written, and with that of an order before its request. If it raises
            before anything was sent, nothing is; later the plan goes on, with ``plan.journal`` complete, and what it
            raised is raised at the end.

    Raises:
        ConfigError: the plan has begun already, or a venue has no trader; nothing was sent.
    """
    missing = {plan.legs.buy.venue, plan.legs.sell.venue} - set(traders)
    if missing:
        raise ConfigError(f"nobody trades on {', '.join(sorted(missing))}; there is {', '.join(traders) or 'nobody'}")
    runner = _Runner(plan, traders, clock or SystemClock(), record)
    return await runner.run(plan.begin(runner.moment()))


async def resume_plan(
    plan: TwoLegPlan,
    traders: Mapping[str, Any],
    *,
    clock: Clock | None = None,
    record: Callable[[Entry], object] | None = None,
) -> PlanEnded:
    """Go on with a plan that ended ``unresolved`` or not ``complete``: ask again for the fates and fills it lacks.

    Raises:
        ConfigError: it has not ended so.
    """
    runner = _Runner(plan, traders, clock or SystemClock(), record)
    return await runner.run(plan.resume(runner.moment()))


class _Runner:
    """One plan under way."""

    def __init__(
        self, plan: TwoLegPlan, traders: Mapping[str, Any], clock: Clock, record: Callable[[Entry], object] | None
    ) -> None:
        self._plan = plan
        self._traders: Mapping[str, Trader] = traders
        self._clock = clock
        self._record = record
        self._written = len(plan.journal)
        self._failure: Exception | None = None

    def moment(self) -> Moment:
        """Return now."""
        return Moment(self._clock.wall(), self._clock.mono())

    async def run(self, commands: Sequence[Command]) -> PlanEnded:
        """Carry out these, and whatever follows from their answers."""
        self._write()
        if self._failure is not None:
            raise self._failure
        with anyio.CancelScope(shield=True):
            async with anyio.create_task_group() as tasks:
                for command in commands:
                    tasks.start_soon(self._carry_out, tasks, command)
        if self._failure is not None:
            raise self._failure
        ended = self._plan.journal[-1]
        assert isinstance(ended, PlanEnded)
        return ended

    async def _carry_out(self, tasks: TaskGroup, command: Command) -> None:
        if command.pause:
            await anyio.sleep(command.pause)
        carry = {"place": self._place, "ask": self._ask, "cancel": self._cancel, "fills": self._fills}[command.verb]
        within = self._plan.policy.answer_within
        following: Sequence[Command] = ()
        with anyio.move_on_after(within) as scope:
            following = await carry(command.client_id)
        if scope.cancelled_caught:
            missed = self._plan.unfilled if command.verb == "fills" else self._plan.unanswered
            following = missed(command.client_id, "TimeoutError", f"no answer in {within:g} s", self.moment())
        self._write()
        for one in following:
            tasks.start_soon(self._carry_out, tasks, one)

    def _write(self) -> None:
        entries = self._plan.journal[self._written :]
        self._written += len(entries)
        if self._record is None or self._failure is not None:
            return
        try:
            for entry in entries:
                self._record(entry)
        except Exception as error:  # noqa: BLE001 - orders that are out must be followed whatever the disk does
            self._failure = error
            _log.exception("the journal of plan %s cannot be written; it goes on in memory", self._plan.name)

    # The verbs. Whatever an adapter raises, the plan is told what it means and nothing else happens.

    async def _place(self, client_id: str) -> list[Command]:
        plan, order = self._plan, self._plan.orders[client_id]
        more: dict[str, Any] = {}
        if plan.policy.tif is not None:
            more["tif"] = plan.policy.tif
        if order.leg.position_side is not None:
            more["position_side"] = order.leg.position_side
        try:
            answer = await self._trader(client_id).place(
                order.leg.symbol,
                order.side,
                "limit",
                size=order.size,
                price=order.price,
                client_id=client_id,
                **more,
            )
        except (OutcomeUnknown, DuplicateOrder) as error:
            return self._unsure(client_id, error)
        except (VenueError, ConfigError, RiskRejected, TradingHalted) as error:
            return plan.refused(client_id, error, self.moment())
        except TransportError as error:
            if error.sent:
                return self._unsure(client_id, error)
            return plan.refused(client_id, error, self.moment())
        except Exception as error:  # noqa: BLE001 - it may have been sent, so its fate must be asked for
            return self._unsure(client_id, error)
        return plan.answered(client_id, answer, self.moment())

    async def _ask(self, client_id: str) -> list[Command]:
        try:
            answer = await self._trader(client_id).order(self._symbol(client_id), **self._name(client_id))
        except OrderNotFound:
            return self._plan.absent(client_id, self.moment())
        except Exception as error:  # noqa: BLE001 - a question that fails says nothing about the order
            return self._unsure(client_id, error)
        return self._plan.answered(client_id, answer, self.moment())

    async def _cancel(self, client_id: str) -> list[Command]:
        answer: Order | None
        try:
            answer = await self._trader(client_id).cancel(self._symbol(client_id), **self._name(client_id))
        except OrderNotFound:
            # It may have been filled meanwhile, or canceled by an earlier request: the order itself is asked for.
            answer = None
        except Exception as error:  # noqa: BLE001 - the order is asked for either way
            return self._unsure(client_id, error)
        if answer is None:
            return self._plan.acknowledged(client_id, self.moment())
        return self._plan.answered(client_id, answer, self.moment(), canceling=True)

    async def _fills(self, client_id: str) -> list[Command]:
        order = self._plan.orders[client_id]
        try:
            fills = await self._trader(client_id).fills(order.leg.symbol, order_id=order.id)
        except Exception as error:  # noqa: BLE001 - asked again until the policy's time is up
            return self._plan.unfilled(client_id, type(error).__name__, str(error), self.moment())
        return self._plan.filled(client_id, fills, self.moment())

    def _unsure(self, client_id: str, error: Exception) -> list[Command]:
        return self._plan.unanswered(client_id, type(error).__name__, str(error), self.moment())

    def _trader(self, client_id: str) -> Trader:
        return self._traders[self._plan.orders[client_id].leg.venue]

    def _name(self, client_id: str) -> dict[str, str]:
        """Return what the venue finds the order by: its own id as soon as that is known."""
        known = self._plan.orders[client_id].id
        return {"client_id": client_id} if known is None else {"id": known}

    def _symbol(self, client_id: str) -> str:
        return self._plan.orders[client_id].leg.symbol
