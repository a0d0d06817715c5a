"""The journal of a plan: every decision, every order before it is sent, every answer. One JSON line each."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Final, Literal, TypeAlias

import msgspec
from msgspec import Struct

from unitape.arbitrage.terms import PlanLeg, PlanPolicy, TwoLegs
from unitape.trade.numbers import multiply
from unitape.views._walk import EXACT
from unitape_schemas import Fill, OrderStatus, Side, TimeInForce

__all__ = [
    "Change",
    "Decided",
    "Entry",
    "FillTold",
    "Journal",
    "OrderAbsent",
    "OrderCanceling",
    "OrderEnd",
    "OrderEnded",
    "OrderSending",
    "OrderTold",
    "OrderUnsure",
    "Outcome",
    "PlanEnded",
    "PlanMade",
    "Purpose",
    "changes_of",
    "read_journal",
    "write_entry",
]

Purpose: TypeAlias = Literal["leg", "hedge", "unwind"]

OrderEnd: TypeAlias = Literal["filled", "canceled", "expired", "rejected", "refused", "absent", "lost"]
"""How an order ended.

``rejected`` by the venue after it was taken; ``refused`` before that, or by ourselves. ``absent``: its answer was lost,
and the venue does not know it. ``lost``: its fate could not be learned, and nothing was built on it.
"""

Outcome: TypeAlias = Literal[
    "dry_run", "refused", "nothing", "matched", "hedged", "unwound", "recovered", "exposed", "unresolved"
]
"""How a plan ended.

``dry_run``, ``refused``: nothing was sent. ``nothing``: neither leg was filled. ``matched``: both filled alike.
``hedged``, ``unwound``, ``recovered`` (by both): they match after recovery. ``exposed``: a difference is left that the
policy does not let the plan trade away. ``unresolved``: the fate of an order is not known.
"""

ZERO: Final = Decimal(0)


class EntryHead(Struct, frozen=True, tag_field="type"):
    """What every entry starts with."""

    plan: str
    ts: int
    """Wall clock, ns."""


class PlanMade(EntryHead, frozen=True, tag="plan_made"):
    """What is to be done, by which policy; ``live`` False: a dry run."""

    legs: TwoLegs
    policy: PlanPolicy
    live: bool


class Decided(EntryHead, frozen=True, tag="decided"):
    """What the plan does next and why. ``residual``: units bought less units sold, as far as is known."""

    action: str
    text: str
    residual: Decimal


class OrderSending(EntryHead, frozen=True, tag="order_sending"):
    """An order is about to be sent, or in a dry run would be. Written before the request."""

    client_id: str
    leg: Side
    """The leg on whose instrument it trades."""
    venue: str
    symbol: str
    side: Side
    size: Decimal
    price: Decimal
    tif: TimeInForce | None
    purpose: Purpose
    attempt: int


class OrderTold(EntryHead, frozen=True, tag="order_told"):
    """The venue said how an order stands."""

    client_id: str
    id: str | None
    status: OrderStatus
    raw_status: str
    filled: Decimal | None


class OrderUnsure(EntryHead, frozen=True, tag="order_unsure"):
    """A request about an order brought no answer that settles it."""

    client_id: str
    error: str
    text: str


class OrderAbsent(EntryHead, frozen=True, tag="order_absent"):
    """The venue does not know an order; ``counted``: how many such answers count as proof so far."""

    client_id: str
    counted: int


class OrderCanceling(EntryHead, frozen=True, tag="order_canceling"):
    """An order that rests is about to be canceled."""

    client_id: str


class OrderEnded(EntryHead, frozen=True, tag="order_ended"):
    """The fate of an order is known, or with ``lost`` given up on."""

    client_id: str
    end: OrderEnd
    filled: Decimal
    """Base units."""
    text: str


class FillTold(EntryHead, frozen=True, tag="fill_told"):
    """One execution of one of the plan's orders."""

    client_id: str
    fill: Fill


class Change(Struct, frozen=True):
    """What the plan has changed on an account."""

    venue: str
    market: str
    what: Literal["balance", "position"]
    name: str
    """The currency of a balance, the symbol of a position."""
    amount: Decimal
    """What it grew by; positions in base units, short ones negative."""


class PlanEnded(EntryHead, frozen=True, tag="plan_ended"):
    """How it ended, and what the account books must show for it."""

    outcome: Outcome
    bought: Decimal
    """Units of the plan."""
    sold: Decimal
    residual: Decimal
    """``bought`` less ``sold``: what is left open. As far as is known, if ``unresolved``."""
    changes: tuple[Change, ...]
    """What the fills come to. Balances of perpetuals: realized profit less fees, where the venue tells them."""
    complete: bool
    """True when the fills of every order are known and add up, with their fees."""
    text: str


Entry: TypeAlias = (
    PlanMade
    | Decided
    | OrderSending
    | OrderTold
    | OrderUnsure
    | OrderAbsent
    | OrderCanceling
    | OrderEnded
    | FillTold
    | PlanEnded
)
Journal: TypeAlias = list[Entry]

_decoder: Final = msgspec.json.Decoder(Entry)
_encoder: Final = msgspec.json.Encoder()


def write_entry(entry: Entry) -> bytes:
    """Return one JSON line, without the line's end."""
    return _encoder.encode(entry)


def read_journal(lines: Iterable[bytes | str], *, torn: bool = False) -> Journal:
    """Return the entries of JSON lines; empty lines are skipped.

    ``torn``: a last line that is cut off, because its process died while it wrote, is left out. What it is about had
    not been done: an order is written down before it is sent.

    Raises:
        msgspec.DecodeError: a line is no entry.
    """
    kept = [line for line in lines if line.strip()]
    entries: Journal = []
    for number, line in enumerate(kept, 1):
        try:
            entries.append(_decoder.decode(line))
        except msgspec.DecodeError:
            if not (torn and number == len(kept)):
                raise
    return entries


def changes_of(fills: Iterable[tuple[PlanLeg, Fill]]) -> tuple[Change, ...]:
    """Return what executions on legs come to, exactly: one row per account and name, zeros left out."""
    sums: dict[tuple[str, str, Literal["balance", "position"], str], Decimal] = {}

    def add(leg: PlanLeg, what: Literal["balance", "position"], name: str, amount: Decimal) -> None:
        key = leg.venue, leg.market, what, name
        sums[key] = EXACT.add(sums.get(key, ZERO), amount)

    for leg, fill in fills:
        sign = 1 if fill.side == "buy" else -1
        if leg.kind == "linear":
            add(leg, "position", leg.symbol, sign * fill.size)
            add(leg, "balance", leg.settle or leg.quote, fill.realized_pnl or ZERO)
        else:
            add(leg, "balance", leg.base, sign * fill.size)
            add(leg, "balance", leg.quote, -sign * multiply(fill.price, fill.size))
        if fill.fee is not None:
            add(leg, "balance", fill.fee_currency or leg.settle or leg.quote, -fill.fee)
    return tuple(Change(*key, amount) for key, amount in sums.items() if amount)
