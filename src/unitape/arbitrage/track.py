"""The fate of one order: pure, from what the venue says about it. Nothing is concluded from silence alone.

==========  =========================================================================================================
state       what is known
==========  =========================================================================================================
SENDING     The request is on its way. It is never sent a second time.
UNSURE      Its answer was lost: the order may be working, or may never have come about. It is asked for.
WORKING     The venue has told of it, and it may still fill. It is asked for, and canceled when its patience ends.
ENDED       Its fate is known: ``end`` and ``filled`` are final.
LOST        Its fate could not be learned within the time allowed. Nothing may be built on it.
==========  =========================================================================================================

``WORKING`` leads to ``ENDED`` only by the venue's word. ``UNSURE`` also does when the venue answers twice that it does
not know the order, both times later than its answers may lag.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal, localcontext
from enum import Enum
from typing import Final, Literal, NamedTuple, TypeAlias

from unitape.arbitrage.journal import OrderEnd, Purpose
from unitape.arbitrage.terms import PlanLeg
from unitape.views._walk import EXACT, ZERO
from unitape_schemas import Fill, Order, OrderStatus, Side

__all__ = ["Command", "Moment", "OrderState", "OrderTrack"]

NANOS: Final = 1_000_000_000
PAUSES: Final = (0.1, 0.2, 0.4, 0.8, 1.5)
"""Seconds before each question; the last one stays."""
ABSENCES: Final = 2
"""Answers that must agree that an order never came about."""

_ENDS: Final[dict[OrderStatus, OrderEnd]] = {
    "filled": "filled",
    "canceled": "canceled",
    "expired": "expired",
    "rejected": "rejected",
}


class Moment(NamedTuple):
    """One moment on both clocks, ns."""

    wall: int
    mono: int


Verb: TypeAlias = Literal["place", "ask", "cancel", "fills"]


class Command(NamedTuple):
    """What to do about an order, ``pause`` seconds from now. Exactly one is under way for an order at a time."""

    verb: Verb
    client_id: str
    pause: float = 0.0


class OrderState(Enum):
    """What is known of an order; the table is at the top of this module."""

    SENDING = "sending"
    UNSURE = "unsure"
    WORKING = "working"
    ENDED = "ended"
    LOST = "lost"


class OrderTrack:
    """One order of a plan.

    Attributes:
        leg: the leg on whose instrument it trades.
        side, size, price: the order; base units of the instrument.
        purpose, attempt: what it is for, and the how-manieth of its kind.
        state, end: what is known.
        id: the venue's id once it was told.
        filled: base units filled, as far as is known.
        fills: executions by the venue's id.
        settled: True once the executions add up to ``filled``.
    """

    def __init__(
        self,
        client_id: str,
        leg: PlanLeg,
        side: Side,
        size: Decimal,
        price: Decimal,
        purpose: Purpose,
        attempt: int,
    ) -> None:
        self.client_id = client_id
        self.leg = leg
        self.side: Side = side
        self.size = size
        self.price = price
        self.purpose: Purpose = purpose
        self.attempt = attempt
        self.state = OrderState.SENDING
        self.end: OrderEnd | None = None
        self.id: str | None = None
        self.filled = Decimal(0)
        self.fills: dict[str, Fill] = {}
        self.settled = False
        self.sent_at = 0
        """Monotonic: absence counts from when the request was given up on, so this moves with ``unsure``."""
        self.deadline = 0
        self.within = 0
        self.absences = 0
        self.asked = 0

    def __repr__(self) -> str:
        return f"OrderTrack({self.client_id} {self.side} {self.size} {self.leg.symbol}, {self.state.value})"

    @property
    def over(self) -> bool:
        """True when nothing more will be asked."""
        return self.state in (OrderState.ENDED, OrderState.LOST)

    def begin(self, mono: int, within: float) -> None:
        """The request leaves, and its fate is sought for this many seconds after it was answered or given up on."""
        self.sent_at = mono
        self.within = round(within * NANOS)
        self.deadline = mono + self.within

    def belongs(self, order: Order) -> bool:
        """Tell whether an answer is about this order: by everything that both name."""
        mine: tuple[str | None, ...] = (self.client_id, self.id)
        told = (order.client_id, order.id)
        named = [(a, b) for a, b in zip(mine, told, strict=True) if a and b]
        return order.side == self.side and all(a == b for a, b in named)

    def told(self, order: Order, mono: int) -> None:
        """Take the venue's word."""
        if self.state is OrderState.SENDING:
            self.deadline = mono + self.within
        self.absences = 0
        self.id = order.id or self.id
        if order.filled is not None:
            self.filled = max(self.filled, order.filled)
            self.settled = False
        end = _ENDS.get(order.status)
        known = order.filled is not None or end == "rejected"
        if end == "filled" and order.filled is None:
            self.filled, known = self.size, True
        if end is None or not known:
            self.state = OrderState.WORKING
        else:
            self.ended(end)

    def ended(self, end: OrderEnd) -> None:
        """Its fate is known."""
        self.state = OrderState.LOST if end == "lost" else OrderState.ENDED
        self.end = end

    def unsure(self, mono: int) -> None:
        """The answer to its request was lost: from now on it may be missing from answers for a while."""
        if self.state is OrderState.SENDING:
            self.state = OrderState.UNSURE
            self.sent_at = mono
            self.deadline = mono + self.within

    def absent(self, mono: int) -> bool:
        """Take the answer that there is no such order; True when that settles it."""
        late = mono - self.sent_at >= round(self.leg.absence_lag * NANOS)
        if self.state is not OrderState.UNSURE or self.id is not None or not late:
            return False
        self.absences += 1
        if self.absences >= ABSENCES:
            self.ended("absent")
        return self.over

    def next(self, mono: int, patience: float, told: bool) -> Command | None:
        """Return what to do next about an order that is not over; None when its time is up, and it is ``LOST``.

        ``told``: the last answer was the venue's word on the order, not a failure.
        """
        if mono >= self.deadline:
            self.ended("lost")
            return None
        rests = mono - self.sent_at >= round(patience * NANOS)
        if told and rests and self.state is OrderState.WORKING:
            return Command("cancel", self.client_id)
        pause = PAUSES[min(self.asked, len(PAUSES) - 1)]
        self.asked += 1
        return Command("ask", self.client_id, pause)

    def take(self, fills: Iterable[Fill]) -> list[Fill]:
        """Take executions and return those that are this order's and new. They may tell more than the order did."""
        new = [f for f in fills if f.id not in self.fills and f.order_id == self.id and f.side == self.side]
        self.fills.update((fill.id, fill) for fill in new)
        with localcontext(EXACT):
            total = sum((fill.size for fill in self.fills.values()), ZERO)
        self.filled = max(self.filled, total)
        self.settled = total == self.filled
        return new

    def reopen(self, mono: int) -> Command:
        """Ask again, for as long as before, for an order that was given up on. Absence counts from now, too."""
        self.sent_at = mono
        self.absences = 0
        self.state = OrderState.UNSURE if self.id is None else OrderState.WORKING
        self.end = None
        self.deadline = mono + self.within
        return Command("ask", self.client_id)
