"""What a two-leg plan is asked to do, and by which policy it deals with what goes wrong. Frozen, exact, JSON-able."""

from __future__ import annotations

from decimal import Decimal
from typing import Final, Literal, TypeAlias

from msgspec import Struct

from unitape.errors import ConfigError
from unitape.trade.numbers import is_multiple, multiply, plain, round_down, round_up
from unitape.views.edge_records import Edge, EdgeLeg
from unitape_schemas import Instrument, InstrumentKind, PositionSide, Side, TimeInForce

__all__ = ["MARGIN", "PlanLeg", "PlanPolicy", "Recovery", "TwoLegs", "misfit", "slipped", "two_legs"]

Recovery: TypeAlias = Literal["hedge", "unwind"]
"""``hedge``: trade what is missing on the leg that lags. ``unwind``: trade back what is too much on the other."""

ZERO: Final = Decimal(0)
ONE: Final = Decimal(1)
MARGIN: Final = 5.0
"""Seconds that must be left to ask once a venue's absence counts."""


class PlanPolicy(Struct, frozen=True):
    """How a plan places its orders and what it may do when its legs do not match.

    Raises:
        ConfigError: a limit makes no sense.
    """

    max_notional: Decimal
    """No order of the plan is worth more, in quote units at its limit price."""
    recovery: tuple[Recovery, ...] = ("hedge", "unwind")
    """What is tried in turn when the legs have not filled alike; empty: leave it and say so."""
    max_slippage: Decimal = Decimal("0.002")
    """How far a recovery order's limit may stand off its reference price, as a fraction; the n-th of N attempts uses
    n/N of it. The reference is the leg's own limit for a hedge, the other side of its book for an unwind."""
    max_attempts: int = 3
    """Orders that each kind of recovery may send."""
    pause: float = 0.2
    """Seconds before each recovery order but the first."""
    tif: TimeInForce | None = "ioc"
    """Time in force of every order; None: the venue's default, and what rests is canceled after ``patience``."""
    patience: float = 3.0
    """Seconds after which an order that still rests is canceled."""
    answer_within: float = 120.0
    """Seconds after which a request that neither answers nor fails counts as one whose answer was lost. More than an
    adapter's own time, which may itself look for a lost order before it answers."""
    resolve_within: float = 90.0
    """Seconds for which the fate of an order is asked for before the plan gives up and says so."""
    settle_within: float = 30.0
    """Seconds for which the fills of an order are asked for until they add up."""
    max_edge_age: int = 2_000_000_000
    """Nanoseconds that an edge may be old when the legs are sent."""

    def __post_init__(self) -> None:
        if self.max_notional <= 0:
            raise ConfigError("max_notional is above 0: the value that one order may have, in quote units")
        if not 0 <= self.max_slippage < 1:
            raise ConfigError("max_slippage is a fraction from 0 to below 1, as 0.002 for 0.2 %")
        if self.max_attempts < 1:
            raise ConfigError("max_attempts is 1 or more; for no recovery give recovery=()")
        if len(set(self.recovery)) < len(self.recovery):
            raise ConfigError(f"each kind of recovery is tried once, not {', '.join(self.recovery)}")
        times = (self.patience, self.answer_within, self.resolve_within, self.settle_within)
        if not (self.pause >= 0 and min(times) > 0):
            raise ConfigError("pause, patience, answer_within, resolve_within and settle_within are seconds above 0")


class PlanLeg(Struct, frozen=True):
    """One order to send, and the rules by which others may follow on the same instrument."""

    venue: str
    market: str
    symbol: str
    side: Side
    size: Decimal
    """Base units of the instrument."""
    price: Decimal
    """Limit."""
    undo: Decimal
    """Reference price for trading it back: the best price on the other side of the book when the plan was made."""
    multiplier: int
    """Units of the plan that one base unit is."""
    kind: InstrumentKind
    base: str
    quote: str
    settle: str | None
    tick: Decimal | None
    step: Decimal
    min_size: Decimal | None
    max_size: Decimal | None
    min_notional: Decimal | None
    position_side: PositionSide | None = None
    """The position meant, where the account is in hedge mode."""
    absence_lag: float = 30.0
    """Seconds in which an order that was sent may be missing from the venue's answers."""


def misfit(leg: PlanLeg, size: Decimal, price: Decimal) -> str | None:
    """Return why the venue of a leg would not take an order of this size and price; None when it would."""
    name = f"{leg.venue} {leg.symbol}"
    if size <= 0 or (leg.min_size is not None and size < leg.min_size):
        return f"{plain(size)} is less than {name} takes"
    if leg.max_size is not None and size > leg.max_size:
        return f"{plain(size)} is more than {name} takes"
    if not is_multiple(size, leg.step):
        return f"{plain(size)} is no multiple of the step {plain(leg.step)} of {name}"
    if leg.tick is not None and not is_multiple(price, leg.tick):
        return f"{plain(price)} is not on the tick {plain(leg.tick)} of {name}"
    if leg.min_notional is not None and multiply(size, price) < leg.min_notional:
        return f"{plain(size)} at {plain(price)} is worth less than {name} takes"
    return None


class TwoLegs(Struct, frozen=True):
    """What to buy and what to sell, and the edge that says why."""

    unit: str
    buy: PlanLeg
    sell: PlanLeg
    edge: Edge | None = None

    def leg(self, side: Side) -> PlanLeg:
        """Return the leg that buys or the leg that sells."""
        return self.buy if side == "buy" else self.sell


def two_legs(
    edge: Edge,
    buy: Instrument,
    sell: Instrument,
    *,
    slippage: Decimal = ZERO,
    position_sides: tuple[PositionSide | None, PositionSide | None] = (None, None),
    absence_lags: tuple[float, float] = (30.0, 30.0),
) -> TwoLegs:
    """Return the two orders that take an edge.

    Args:
        edge: what to take.
        buy: the instrument of its buying leg.
        sell: the instrument of its selling leg.
        slippage: how far each limit may stand off the worst price of the edge, as a fraction.
        position_sides: the positions meant by (buy, sell), where accounts are in hedge mode.
        absence_lags: ``capabilities(market).absence_lag`` of (buy, sell).

    Raises:
        ConfigError: the edge has no size, or the instruments are not its own.
    """
    made = [
        _leg(leg, instrument, slippage, position, lag)
        for leg, instrument, position, lag in zip(
            (edge.buy, edge.sell), (buy, sell), position_sides, absence_lags, strict=True
        )
    ]
    return TwoLegs(edge.unit, made[0], made[1], edge)


def _leg(leg: EdgeLeg, instrument: Instrument, slippage: Decimal, position: PositionSide | None, lag: float) -> PlanLeg:
    if (leg.venue, leg.symbol) != (instrument.venue, instrument.symbol):
        raise ConfigError(f"the edge is on {leg.venue} {leg.symbol}, not {instrument.venue} {instrument.symbol}")
    if leg.limit is None or leg.size <= 0 or instrument.step is None:
        raise ConfigError(f"the edge has nothing to {leg.side} on {leg.venue} {leg.symbol}")
    return PlanLeg(
        venue=leg.venue,
        market=instrument.market,
        symbol=leg.symbol,
        side=leg.side,
        size=Decimal(plain(leg.size)),
        price=slipped(leg.limit, leg.side, slippage, instrument.tick),
        undo=leg.opposite if leg.opposite is not None else leg.limit,
        multiplier=leg.multiplier,
        kind=instrument.kind,
        base=instrument.base,
        quote=instrument.quote,
        settle=instrument.settle,
        tick=instrument.tick,
        step=instrument.step,
        min_size=instrument.min_size,
        max_size=instrument.max_size,
        min_notional=instrument.min_notional,
        position_side=position,
        absence_lag=lag,
    )


def slipped(price: Decimal, side: Side, slippage: Decimal, tick: Decimal | None) -> Decimal:
    """Return the worst price on the tick that is within a fraction of a price; without a tick the price itself."""
    if tick is None or tick <= 0 or not slippage:
        return price
    worst = multiply(price, ONE + slippage if side == "buy" else ONE - slippage)
    found = round_down(worst, tick) if side == "buy" else round_up(worst, tick)
    # Where the price itself is off the tick, nothing on the tick may lie between.
    inside = found >= price if side == "buy" else found <= price
    return Decimal(plain(found)) if inside and is_multiple(found, tick) else price
