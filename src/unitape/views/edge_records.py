"""What an edge consists of: frozen records, exact numbers, JSON with decimals as strings."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import ROUND_HALF_EVEN, Context, Decimal
from typing import Final, Literal, TypeAlias

from msgspec import Struct

from unitape.errors import ConfigError
from unitape.trade.numbers import plain
from unitape_schemas import Funding, MarkPrice, Side

__all__ = ["Edge", "EdgeLeg", "EdgeLimits", "FundingTerms", "Refusal", "RefusalCode"]

ZERO: Final = Decimal(0)
SHOWN: Final = Context(prec=18, rounding=ROUND_HALF_EVEN)
"""For quotients, which have no end: averages and returns are rounded to 18 digits and nothing is computed from them."""

RefusalCode: TypeAlias = Literal[
    "quote",
    "base",
    "kind",
    "closed",
    "step_unknown",
    "fee_unknown",
    "empty",
    "stale",
    "crossed",
    "clock",
    "age",
    "funding_unknown",
    "funding_stale",
    "funding_interval",
    "step",
    "no_size",
    "depth",
    "min_size",
    "max_size",
    "min_notional",
    "tick",
    "not_profitable",
]


class FundingTerms(Struct, frozen=True):
    """The funding of a perpetual as far as it is known."""

    rate: Decimal
    """Rate of the next settlement, a fraction; positive: longs pay shorts."""
    ts_next: int | None
    """Next settlement, ns; None if it is not told."""
    interval: int | None = None
    """Nanoseconds between settlements; needed when the position is held beyond the next one."""
    mark: Decimal | None = None
    """Price at which the position is valued; None: at what it is traded for."""

    @classmethod
    def of(cls, funding: Funding, mark: MarkPrice | None = None, *, interval: int | None = None) -> FundingTerms:
        """Return the terms that these events tell, as the venue's own decimals.

        Raises:
            ConfigError: they are of different instruments, or the interval is not positive.
        """
        if mark is not None and (mark.venue, mark.symbol) != (funding.venue, funding.symbol):
            raise ConfigError(f"funding of {funding.venue} {funding.symbol}, mark of {mark.venue} {mark.symbol}")
        if interval is not None and interval <= 0:
            raise ConfigError(f"settlements are a positive number of nanoseconds apart, not {interval}")
        price = None if mark is None or mark.mark is None else Decimal(repr(mark.mark))
        return cls(Decimal(repr(funding.rate)), funding.ts_next, interval, price)


class EdgeLimits(Struct, frozen=True):
    """What makes an edge be refused, and what it is computed for."""

    max_age: int = 2_000_000_000
    """Nanoseconds since the last update of a book."""
    min_net: Decimal = ZERO
    """Quote units that must be exceeded."""
    min_return: Decimal = ZERO
    """Fraction of what the buying leg costs that must be reached."""
    hold: int = 0
    """Nanoseconds for which positions are held: funding that is settled in that time counts. 0: none does."""
    exit_fees: bool = False
    """Count the fees of closing, too, at the prices of opening."""

    def __post_init__(self) -> None:
        if self.max_age < 0 or self.hold < 0:
            raise ConfigError("max_age and hold are nanoseconds from 0 up")


class Refusal(Struct, frozen=True):
    """One reason why an edge is not to be taken."""

    code: RefusalCode
    text: str
    side: Side | None
    """The leg concerned; None: both."""


class EdgeLeg(Struct, frozen=True):
    """One leg: prices per base unit of its instrument, sizes in those units, amounts in the quote currency."""

    venue: str
    market: str
    symbol: str
    side: Side
    multiplier: int
    """Units of the edge that one base unit of this leg is."""
    size: Decimal
    """What the verified levels give of the wanted size, base units."""
    taken: tuple[tuple[Decimal, Decimal], ...]
    """(price, size) taken level by level."""
    amount: Decimal
    """The sum of price × size over ``taken``."""
    limit: Decimal | None
    """The worst price taken: the limit of an order that takes just this. None when nothing is taken."""
    opposite: Decimal | None
    """The best price of the other side of the book: where this leg would be undone."""
    fee_rate: Decimal | None
    """Taker rate; None when it is not known."""
    fee_source: str
    fee: Decimal
    """``fee_rate`` × ``amount``, twice that with ``exit_fees``: its value in quote units, whatever it is taken in."""
    funding_rate: Decimal | None
    funding_next: int | None
    settlements: int
    """Settlements within the time held, all reckoned at ``funding_rate``."""
    funding: Decimal
    """What they bring this leg; negative when it pays."""
    age: int
    """Nanoseconds since the last update of the book."""
    epoch: int
    seq: int
    verified: Decimal | None
    """Price down to which the book is verified on this side."""
    whole: bool
    """True when the book has nothing beyond."""

    @property
    def average(self) -> Decimal | None:
        """Average price to 18 digits; None when nothing is taken."""
        return SHOWN.divide(self.amount, self.size) if self.size else None


class Edge(Struct, frozen=True):
    """What it brings to buy on one leg and sell on the other. ``ok`` tells whether to; ``refusals`` why not.

    ``net = gross - fees + funding``, ``gross = sell.amount - buy.amount``. All are 0 where a leg cannot be filled.
    """

    unit: str
    """What ``size`` counts: the base of both legs, or the coin where their bases differ."""
    quote: str
    ts: int
    """When it was computed, ns."""
    asked: Decimal | None
    """The size asked for; None: the best one."""
    size: Decimal
    """The size computed: a multiple of ``step``."""
    step: Decimal | None
    """Smallest size that is whole steps of both instruments; None when one does not tell its own."""
    buy: EdgeLeg
    sell: EdgeLeg
    gross: Decimal
    fees: Decimal
    funding: Decimal
    net: Decimal
    limits: EdgeLimits
    refusals: tuple[Refusal, ...]

    @property
    def ok(self) -> bool:
        """True when nothing speaks against it."""
        return not self.refusals

    @property
    def codes(self) -> tuple[RefusalCode, ...]:
        """The codes of the refusals."""
        return tuple(refusal.code for refusal in self.refusals)

    @property
    def net_return(self) -> Decimal | None:
        """``net`` as a fraction of what is bought, to 18 digits; None when nothing is."""
        return SHOWN.divide(self.net, self.buy.amount) if self.buy.amount else None

    def explain(self) -> str:
        """Return every number in words, one line each."""
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        asked = "best size" if self.asked is None else f"asked for {plain(self.asked)}"
        step = "unknown" if self.step is None else plain(self.step)
        yield f"{plain(self.size)} {self.unit} ({asked}, common step {step}), held for {self.limits.hold / 1e9:g} s"
        for leg in (self.buy, self.sell):
            average = "-" if leg.average is None else f"{leg.average:.10g}"
            limit = "-" if leg.limit is None else plain(leg.limit)
            yield (
                f"{leg.side} {plain(leg.size)} on {leg.venue} {leg.symbol}: {plain(leg.amount)} {self.quote} over "
                f"{len(leg.taken)} levels, average {average}, limit {limit}; book {leg.age / 1e6:g} ms old"
            )
            rate = "unknown" if leg.fee_rate is None else f"{leg.fee_rate} ({leg.fee_source})"
            yield f"  fee {plain(leg.fee)} at {rate}"
            if leg.funding_rate is not None or leg.settlements:
                yield f"  funding {plain(leg.funding)}: {leg.settlements} settlements at {leg.funding_rate}"
        yield (
            f"gross {plain(self.gross)} - fees {plain(self.fees)} + funding {plain(self.funding)} "
            f"= net {plain(self.net)} {self.quote}"
        )
        for refusal in self.refusals:
            yield f"refused, {refusal.code}: {refusal.text}"
