"""The two-leg plan: one explicit state machine, pure. It takes answers and returns what to do; it sends nothing itself.

===========  ========================================================================================================
state        what happens in it
===========  ========================================================================================================
READY        Nothing was sent. ``begin`` sends both legs at once, or refuses, or ends a dry run.
LEGS         Both legs were sent. Each is followed until its fate is known.
RECOVERING   The legs did not fill alike. One order at a time hedges or unwinds, by the policy, each followed likewise.
SETTLING     Nothing is open any more. The fills of every order are asked for, until they add up.
ENDED        ``outcome`` says how.
===========  ========================================================================================================

No order is sent while the fate of another is unknown, and none is sent twice: a client id is used for one request. An
order is written to the journal before its request. When a fate cannot be learned in time, the plan ends
``unresolved`` and leaves everything as it is; ``resume`` asks again.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import ROUND_DOWN, Context, Decimal, localcontext
from enum import Enum
from typing import Final

from unitape.arbitrage.journal import (
    Decided,
    Entry,
    FillTold,
    Journal,
    OrderAbsent,
    OrderCanceling,
    OrderEnd,
    OrderEnded,
    OrderSending,
    OrderTold,
    OrderUnsure,
    Outcome,
    PlanEnded,
    PlanMade,
    Purpose,
    changes_of,
)
from unitape.arbitrage.terms import MARGIN, PlanLeg, PlanPolicy, Recovery, TwoLegs, misfit, slipped
from unitape.arbitrage.track import NANOS, PAUSES, Command, Moment, OrderState, OrderTrack
from unitape.errors import (
    AuthenticationFailed,
    ConfigError,
    InsufficientFunds,
    InvalidRequest,
    InvalidSymbol,
    MarketClosed,
    PermissionDenied,
    RiskRejected,
    TradingHalted,
)
from unitape.trade.numbers import plain, round_down
from unitape.views._walk import EXACT, ZERO, floor_count
from unitape_schemas import Fill, Order, Side

__all__ = ["PlanState", "TwoLegPlan"]

HOPELESS: Final = (
    AuthenticationFailed,
    ConfigError,
    InsufficientFunds,
    InvalidRequest,
    InvalidSymbol,
    MarketClosed,
    PermissionDenied,
    RiskRejected,
    TradingHalted,
)
"""Refusals that the next order of the same kind would meet, too."""

DOWN: Final = Context(prec=18, rounding=ROUND_DOWN)
OTHER: Final[dict[Side, Side]] = {"buy": "sell", "sell": "buy"}


class PlanState(Enum):
    """Where a plan stands; the table is at the top of this module."""

    READY = "ready"
    LEGS = "legs"
    RECOVERING = "recovering"
    SETTLING = "settling"
    ENDED = "ended"


class TwoLegPlan:
    """One plan, from two legs to an end that its journal explains.

    Args:
        name: unique; client ids begin with it, so lower-case letters and digits, 24 at most.
        legs: what to buy and sell.
        policy: the limits, and what to do when the legs do not match.
        live: False: a dry run, which decides and writes its journal but asks for nothing to be sent.

    Raises:
        ConfigError: the name does not fit, the legs are not one buy and one sell, or time would run out before a
            venue's absence counts.
    """

    def __init__(self, name: str, legs: TwoLegs, policy: PlanPolicy, *, live: bool = False) -> None:
        if not (name.isascii() and name.isalnum() and name == name.lower() and len(name) <= 24):
            raise ConfigError(f"a plan's name is 1 to 24 lower-case letters and digits, not {name!r}")
        if (legs.buy.side, legs.sell.side) != ("buy", "sell"):
            raise ConfigError("one leg buys and the other sells")
        lag = max(legs.buy.absence_lag, legs.sell.absence_lag)
        if policy.resolve_within < lag + MARGIN:
            raise ConfigError(f"resolve_within must be above {lag + MARGIN:g} s: a venue may lag for {lag:g} s")
        self.name = name
        self.legs = legs
        self.policy = policy
        self.live = live
        self.state = PlanState.READY
        self.outcome: Outcome | None = None
        self.complete = False
        """Once it has ended: whether the fills of every order are known and add up, with their fees."""
        self.journal: Journal = []
        self.orders: dict[str, OrderTrack] = {}
        self._attempts: dict[Recovery, int] = dict.fromkeys(policy.recovery, 0)
        self._settle_by = 0
        self._settle_asks: dict[str, int] = {}
        self._settling: set[str] = set()

    # What is known

    @property
    def bought(self) -> Decimal:
        """Units that the plan has bought so far, as far as is known."""
        return self._sum("buy")

    @property
    def sold(self) -> Decimal:
        """Units that the plan has sold so far, as far as is known."""
        return self._sum("sell")

    @property
    def residual(self) -> Decimal:
        """Units bought less units sold."""
        with localcontext(EXACT):
            return self.bought - self.sold

    @property
    def lost(self) -> tuple[str, ...]:
        """Client ids of the orders whose fate is not known although it was sought for as long as is allowed."""
        return tuple(one.client_id for one in self.orders.values() if one.state is OrderState.LOST)

    # Inputs

    def begin(self, at: Moment) -> list[Command]:
        """Send both legs, or say why not.

        Raises:
            ConfigError: it has begun already.
        """
        if self.state is not PlanState.READY:
            raise ConfigError(f"plan {self.name} has begun already; a leg is never sent twice")
        self._note(PlanMade(self.name, at.wall, self.legs, self.policy, self.live))
        with localcontext(EXACT):
            reason = self._refusal(at)
            if reason is not None:
                self._decide(at, "refuse", reason)
                return self._end(at, "refused", reason)
            self.state = PlanState.LEGS
            self._decide(at, "send both legs", "the edge stands and every limit is kept")
            commands = [self._order(at, leg, leg.side, leg.size, leg.price, "leg", 1) for leg in self._both()]
            if not self.live:
                self.orders.clear()
                return self._end(at, "dry_run", "nothing was sent")
            return commands

    def answered(self, client_id: str, order: Order, at: Moment, *, canceling: bool = False) -> list[Command]:
        """The venue told of an order: in answer to its placing or to a question, or when ``canceling``."""
        track = self.orders[client_id]
        if not track.belongs(order):
            return self.unanswered(client_id, "ForeignAnswer", f"about {order.client_id} {order.id} {order.side}", at)
        track.told(order, at.mono)
        self._note(OrderTold(self.name, at.wall, client_id, order.id, order.status, order.raw_status, order.filled))
        return self._follow(track, at, told=not canceling)

    def acknowledged(self, client_id: str, at: Moment) -> list[Command]:
        """A cancel was acknowledged without a word on the order: only a question tells what became of it."""
        return self._follow(self.orders[client_id], at, told=False)

    def refused(self, client_id: str, error: Exception, at: Moment) -> list[Command]:
        """The placing was refused: there is no such order."""
        track = self.orders[client_id]
        # A leg that is refused is the one that lags, so what would meet the same refusal is its hedge.
        kind: Recovery = "hedge" if track.purpose == "leg" else track.purpose
        if isinstance(error, HOPELESS) and kind in self._attempts:
            self._attempts[kind] = self.policy.max_attempts
        return self._close(track, "refused", f"{type(error).__name__}: {error}", at)

    def unanswered(self, client_id: str, error: str, text: str, at: Moment) -> list[Command]:
        """A request about an order brought no answer: what it was about may or may not have happened."""
        track = self.orders[client_id]
        track.unsure(at.mono)
        self._note(OrderUnsure(self.name, at.wall, client_id, error, text))
        return self._follow(track, at, told=False)

    def absent(self, client_id: str, at: Moment) -> list[Command]:
        """The venue says that it does not know an order."""
        track = self.orders[client_id]
        settled = track.absent(at.mono)
        self._note(OrderAbsent(self.name, at.wall, client_id, track.absences))
        if settled:
            return self._close(track, "absent", "the venue does not know it, later than its answers may lag", at)
        return self._follow(track, at, told=False)

    def filled(self, client_id: str, fills: Sequence[Fill], at: Moment) -> list[Command]:
        """The executions of an order were told, all or some of them."""
        track = self.orders[client_id]
        with localcontext(EXACT):
            before = track.filled
            for fill in track.take(fills):
                self._note(FillTold(self.name, at.wall, client_id, fill))
            if track.filled != before:
                self._decide(at, "correct", f"{client_id} filled {plain(track.filled)}, not {plain(before)}")
            return self._settle_next(track, at)

    def unfilled(self, client_id: str, error: str, text: str, at: Moment) -> list[Command]:
        """The question for executions failed."""
        self._note(OrderUnsure(self.name, at.wall, client_id, error, text))
        return self._settle_next(self.orders[client_id], at)

    def resume(self, at: Moment) -> list[Command]:
        """Ask again for what was given up on, fates or fills, and go on from there.

        Raises:
            ConfigError: the plan has not ended, or nothing of it is unknown.
        """
        if self.outcome is None or self.complete:
            raise ConfigError(f"plan {self.name} is {self.outcome or self.state.value}; there is nothing to resume")
        lost = self.lost
        self.outcome = None
        self.state = PlanState.LEGS
        self._decide(at, "resume", f"asking again for {', '.join(lost) or 'fills'}")
        return [self.orders[client_id].reopen(at.mono) for client_id in lost] or self._advance(at)

    def replay(self, entry: Entry) -> None:
        """Take an entry of this plan's journal, to stand where it stood when it was written. See ``restore_plan``."""
        self.journal.append(entry)
        if isinstance(entry, OrderSending):
            leg = self.legs.leg(entry.leg)
            args = (entry.client_id, leg, entry.side, entry.size, entry.price, entry.purpose, entry.attempt)
            track = self.orders[entry.client_id] = OrderTrack(*args)
            track.begin(0, self.policy.resolve_within)
            # Nobody has followed it since: its fate is not known until an entry says so.
            track.ended("lost")
            if entry.purpose != "leg":
                self._attempts[entry.purpose] = entry.attempt
        elif isinstance(entry, OrderTold):
            track = self.orders[entry.client_id]
            track.id = entry.id or track.id
            track.filled = max(track.filled, entry.filled or ZERO)
        elif isinstance(entry, OrderEnded):
            track = self.orders[entry.client_id]
            track.filled = entry.filled
            track.ended(entry.end)
        elif isinstance(entry, FillTold):
            self.orders[entry.client_id].take((entry.fill,))
        elif isinstance(entry, PlanEnded):
            self.outcome, self.complete = entry.outcome, entry.complete
        elif isinstance(entry, Decided) and entry.action == "resume":
            self.outcome, self.complete = None, False

    # Following orders

    def _follow(self, track: OrderTrack, at: Moment, *, told: bool) -> list[Command]:
        if track.state is OrderState.ENDED and track.end is not None:
            return self._close(track, track.end, "the venue says so", at)
        command = track.next(at.mono, self.policy.patience, told)
        if command is None:
            return self._close(track, "lost", "its fate was not learned in time; nothing is done about it", at)
        if command.verb == "cancel":
            self._note(OrderCanceling(self.name, at.wall, track.client_id))
        return [command]

    def _close(self, track: OrderTrack, end: OrderEnd, text: str, at: Moment) -> list[Command]:
        track.ended(end)
        self._note(OrderEnded(self.name, at.wall, track.client_id, end, track.filled, text))
        return self._advance(at)

    def _advance(self, at: Moment) -> list[Command]:
        """Take the next step once no fate is open."""
        if not all(track.over for track in self.orders.values()):
            return []
        with localcontext(EXACT):
            residual = self.residual
            if self.lost:
                self._decide(at, "stop", f"the fate of {', '.join(self.lost)} is not known")
            elif residual:
                command = self._recovery(at, residual)
                if command is not None:
                    self.state = PlanState.RECOVERING
                    return [command]
            return self._settle(at)

    # Recovery

    def _recovery(self, at: Moment, residual: Decimal) -> Command | None:
        """Return the next order that brings the legs together, None when the policy has none left."""
        for kind in self.policy.recovery:
            while self._attempts[kind] < self.policy.max_attempts:
                leg, side = self._recovery_leg(kind, residual)
                attempt = self._attempts[kind] + 1
                found = self._recovery_order(kind, leg, side, abs(residual), attempt)
                if isinstance(found, str):
                    self._decide(at, f"no {kind}", found)
                    self._attempts[kind] = self.policy.max_attempts
                    break
                size, price = found
                self._attempts[kind] = attempt
                self._decide(
                    at,
                    kind,
                    f"{side} {plain(size)} on {leg.venue} {leg.symbol} at {plain(price)} or better, attempt {attempt}",
                )
                command = self._order(at, leg, side, size, price, kind, attempt)
                return command if attempt == 1 else command._replace(pause=self.policy.pause)
        self._decide(at, "leave", "the policy has nothing left to bring the legs together")
        return None

    def _recovery_leg(self, kind: Recovery, residual: Decimal) -> tuple[PlanLeg, Side]:
        lagging: Side = "sell" if residual > 0 else "buy"
        if kind == "hedge":
            return self.legs.leg(lagging), lagging
        return self.legs.leg(OTHER[lagging]), lagging

    def _recovery_order(
        self, kind: Recovery, leg: PlanLeg, side: Side, units: Decimal, attempt: int
    ) -> tuple[Decimal, Decimal] | str:
        """Return size and limit price, or why there can be no such order."""
        size = floor_count(units, leg.step * leg.multiplier) * leg.step
        if leg.max_size is not None:
            size = min(size, round_down(leg.max_size, leg.step))
        policy = self.policy
        slippage = DOWN.divide(policy.max_slippage * attempt, Decimal(policy.max_attempts))
        price = slipped(leg.price if kind == "hedge" else leg.undo, side, slippage, leg.tick)
        reason = misfit(leg, size, price)
        if reason is not None:
            return reason if size else f"{plain(units)} units are less than {leg.venue} {leg.symbol} takes"
        if size * price > policy.max_notional:
            return f"{plain(size)} at {plain(price)} is worth more than the policy's {plain(policy.max_notional)}"
        return Decimal(plain(size)), price

    # Settling

    def _settle(self, at: Moment) -> list[Command]:
        """Ask for the fills of every order that has any; with none of them missing, end."""
        self.state = PlanState.SETTLING
        open_ = [one for one in self.orders.values() if one.filled and not one.settled and one.id is not None]
        if not open_:
            return self._end(at, *self._result())
        self._settle_by = at.mono + round(self.policy.settle_within * NANOS)
        self._settling = {one.client_id for one in open_}
        return [Command("fills", one.client_id) for one in open_]

    def _settle_next(self, track: OrderTrack, at: Moment) -> list[Command]:
        if not track.settled and at.mono < self._settle_by:
            asks = self._settle_asks.get(track.client_id, 0)
            self._settle_asks[track.client_id] = asks + 1
            return [Command("fills", track.client_id, PAUSES[min(asks, len(PAUSES) - 1)])]
        self._settling.discard(track.client_id)
        if self._settling:
            return []
        with localcontext(EXACT):
            residual = self.residual
            if residual and not self.lost:
                command = self._recovery(at, residual)
                if command is not None:
                    self.state = PlanState.RECOVERING
                    return [command]
            return self._end(at, *self._result())

    def _result(self) -> tuple[Outcome, str]:
        if self.lost:
            return "unresolved", f"ask for {', '.join(self.lost)} before anything else is done"
        if self.residual:
            return "exposed", f"{plain(self.residual)} {self.legs.unit} are left open"
        if not any(one.filled for one in self.orders.values()):
            return "nothing", "neither leg was filled"
        used: dict[Purpose, None] = dict.fromkeys(
            one.purpose for one in self.orders.values() if one.purpose != "leg" and one.filled
        )
        if not used:
            return "matched", "both legs filled alike"
        outcome: Outcome = "recovered" if len(used) > 1 else "hedged" if "hedge" in used else "unwound"
        return outcome, f"the legs match after {' and '.join(used)}"

    def _end(self, at: Moment, outcome: Outcome, text: str) -> list[Command]:
        self.state, self.outcome = PlanState.ENDED, outcome
        filled = [one for one in self.orders.values() if one.filled or one.fills]
        told = [(one.leg, fill) for one in filled for fill in one.fills.values()]
        self.complete = not self.lost and all(one.settled for one in filled) and all(_is_whole(*row) for row in told)
        with localcontext(EXACT):
            changes = changes_of(told)
            self._note(
                PlanEnded(
                    self.name, at.wall, outcome, self.bought, self.sold, self.residual, changes, self.complete, text
                )
            )
        return []

    # The small things

    def _refusal(self, at: Moment) -> str | None:
        edge, policy = self.legs.edge, self.policy
        if edge is not None and not edge.ok:
            return f"the edge is refused itself: {edge.refusals[0].text}"
        if edge is not None and not 0 <= at.wall - edge.ts <= policy.max_edge_age:
            return f"the edge is {at.wall - edge.ts} ns old, the limit is {policy.max_edge_age} ns"
        buy, sell = self._both()
        if buy.size * buy.multiplier != sell.size * sell.multiplier:
            return "the legs are not of one size"
        for leg in (buy, sell):
            if leg.size * leg.price > policy.max_notional:
                return (
                    f"{plain(leg.size)} {leg.symbol} at {plain(leg.price)} is worth more than the policy's "
                    f"{plain(policy.max_notional)}"
                )
            # One leg that its venue refuses, while the other fills, is an open position.
            reason = misfit(leg, leg.size, leg.price)
            if reason is not None:
                return reason
        return None

    def _both(self) -> tuple[PlanLeg, PlanLeg]:
        return self.legs.buy, self.legs.sell

    def _sum(self, side: Side) -> Decimal:
        with localcontext(EXACT):
            return sum((one.filled * one.leg.multiplier for one in self.orders.values() if one.side == side), ZERO)

    def _order(
        self, at: Moment, leg: PlanLeg, side: Side, size: Decimal, price: Decimal, purpose: Purpose, attempt: int
    ) -> Command:
        client_id = f"{self.name}{leg.side[0]}{len(self.orders)}"
        track = OrderTrack(client_id, leg, side, size, price, purpose, attempt)
        track.begin(at.mono, self.policy.resolve_within)
        self.orders[client_id] = track
        self._note(
            OrderSending(
                self.name,
                at.wall,
                client_id,
                leg.side,
                leg.venue,
                leg.symbol,
                side,
                size,
                price,
                self.policy.tif,
                purpose,
                attempt,
            )
        )
        return Command("place", client_id)

    def _decide(self, at: Moment, action: str, text: str) -> None:
        self._note(Decided(self.name, at.wall, action, text, self.residual))

    def _note(self, entry: Entry) -> None:
        self.journal.append(entry)


def _is_whole(leg: PlanLeg, fill: Fill) -> bool:
    """Tell whether a fill says all that the account's books need."""
    if fill.fee is None or (leg.kind == "linear" and fill.realized_pnl is None):
        return False
    return leg.kind == "linear" or not fill.fee or fill.fee_currency is not None
