"""The edge: what buying here and selling there brings at a size, exactly, with a record that explains every number."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from decimal import Decimal, localcontext
from itertools import permutations
from typing import Final

from unitape.books import BookSide, OrderBook
from unitape.errors import ConfigError
from unitape.trade.numbers import Number, exact_number, is_multiple, plain
from unitape.views._walk import EXACT, ZERO, Exact, Fill, Terms, best_size, common_step, floor_count, read, take
from unitape.views.align import coin
from unitape.views.edge_records import Edge, EdgeLeg, EdgeLimits, FundingTerms, Refusal, RefusalCode
from unitape.views.fees import FeeRate, FeeSchedule
from unitape_schemas import Instrument, Side

__all__ = ["TradableBook", "find_edge", "find_edges"]

NO_FEES: Final = FeeSchedule()
LIMITS: Final = EdgeLimits()
NO_NUMBERS: Final[frozenset[RefusalCode]] = frozenset(
    (
        "quote",
        "base",
        "kind",
        "step_unknown",
        "fee_unknown",
        "empty",
        "funding_unknown",
        "funding_stale",
        "funding_interval",
    )
)
"""Refusals that leave nothing to compute with."""


class TradableBook:
    """A live book, the instrument that is traded on it, and for a perpetual its funding."""

    __slots__ = ("book", "funding", "instrument")

    def __init__(self, book: OrderBook, instrument: Instrument, funding: FundingTerms | None = None) -> None:
        """Bring them together.

        Raises:
            ConfigError: they are of different venues or symbols.
        """
        if (book.venue, book.symbol) != (instrument.venue, instrument.symbol):
            raise ConfigError(
                f"the book of {book.venue} {book.symbol} and the instrument {instrument.venue} {instrument.symbol} "
                "do not belong together"
            )
        self.book = book
        self.instrument = instrument
        self.funding = funding


def find_edge(
    buy: TradableBook,
    sell: TradableBook,
    *,
    now: int,
    size: Number | None = None,
    fees: FeeSchedule = NO_FEES,
    limits: EdgeLimits = LIMITS,
) -> Edge:
    """Return what it brings to buy on one book and sell on the other at once, as a taker on both.

    Nothing is rounded: every number is the venue's own decimal, and sums and products of them are exact.

    Args:
        buy: where to buy.
        sell: where to sell.
        now: wall clock in ns, of the clock that stamps the books.
        size: units of ``Edge.unit``, rounded down to the step that both instruments take. None: the size with the
            highest ``net`` among those that both instruments take and both books are verified for.
        fees: your fees; without an entry the instrument's listed ones.
        limits: what makes an edge be refused, and how long the position is held.

    Raises:
        ConfigError: the size is no exact positive number.
    """
    asked = None if size is None else exact_number(size, "size")
    with localcontext(EXACT):
        return _Calculation(buy, sell, now, asked, fees, limits).edge()


def find_edges(
    books: Iterable[TradableBook],
    *,
    now: int,
    size: Number | None = None,
    fees: FeeSchedule = NO_FEES,
    limits: EdgeLimits = LIMITS,
) -> list[Edge]:
    """Return the edge of every ordered pair of books: those that are not refused first, then by ``net``, highest first.

    Raises:
        ConfigError: the size is no exact positive number.
    """
    found = [find_edge(buy, sell, now=now, size=size, fees=fees, limits=limits) for buy, sell in permutations(books, 2)]
    found.sort(key=lambda edge: (not edge.ok, -edge.net))
    return found


class _Leg:
    """One side of a calculation."""

    def __init__(self, side: Side, at: TradableBook, rate: FeeRate | None, factor: int) -> None:
        self.side: Side = side
        self.book = at.book
        self.instrument = at.instrument
        self.funding = at.funding
        self.rate = rate
        self.factor = factor
        self.takes: BookSide = "ask" if side == "buy" else "bid"
        self.settlements = 0
        self.fill = Fill((), ZERO, ZERO)

    @property
    def name(self) -> str:
        return f"{self.instrument.venue} {self.instrument.symbol}"

    @property
    def sign(self) -> int:
        """1 for the leg that sells: it receives the price, and funding at a positive rate. -1 for the other."""
        return -1 if self.side == "buy" else 1

    def levels(self) -> Iterator[Exact]:
        return read(self.book, self.takes)

    def terms(self, exit_fees: bool) -> Terms:
        taker = self.rate.taker if self.rate is not None else ZERO
        rate = self.sign * self.settlements * self.funding.rate if self.funding is not None else ZERO
        mark = self.funding.mark if self.funding is not None else None
        one = self.instrument
        return Terms(
            self.factor,
            self.side == "buy",
            taker * 2 if exit_fees else taker,
            rate if mark is None else ZERO,
            ZERO if mark is None else rate * mark,
            one.min_size or ZERO,
            one.max_size,
            one.min_notional or ZERO,
        )

    def record(self, now: int, exit_fees: bool) -> EdgeLeg:
        """Return what this leg contributes."""
        fill, terms, book = self.fill, self.terms(exit_fees), self.book
        opposite = book.best_bid if self.side == "buy" else book.best_ask
        edge = book.verified_depth(self.takes)
        return EdgeLeg(
            venue=self.instrument.venue,
            market=self.instrument.market,
            symbol=self.instrument.symbol,
            side=self.side,
            multiplier=self.factor,
            size=fill.size,
            taken=fill.taken,
            amount=fill.amount,
            limit=fill.limit,
            opposite=None if opposite is None else Decimal(repr(opposite[0])),
            fee_rate=None if self.rate is None else self.rate.taker,
            fee_source="" if self.rate is None else self.rate.source,
            fee=fill.amount * terms.cost,
            funding_rate=None if self.funding is None else self.funding.rate,
            funding_next=None if self.funding is None else self.funding.ts_next,
            settlements=self.settlements,
            funding=fill.amount * terms.gain + fill.size * terms.fixed,
            age=now - book.ts_recv,
            epoch=book.epoch,
            seq=book.seq,
            verified=None if edge is None else Decimal(repr(edge)),
            whole=book.is_whole(self.takes),
        )


class _Calculation:
    """One edge. What forbids the numbers themselves ends it early; everything else is refused with its numbers."""

    def __init__(
        self,
        buy: TradableBook,
        sell: TradableBook,
        now: int,
        asked: Decimal | None,
        fees: FeeSchedule,
        limits: EdgeLimits,
    ) -> None:
        same = buy.instrument.base == sell.instrument.base
        self.unit = buy.instrument.base if same else coin(buy.instrument)
        self.buy = _Leg("buy", buy, fees.of(buy.instrument), 1 if same else buy.instrument.multiplier)
        self.sell = _Leg("sell", sell, fees.of(sell.instrument), 1 if same else sell.instrument.multiplier)
        self.legs = (self.buy, self.sell)
        self.now = now
        self.asked = asked
        self.limits = limits
        self.size = ZERO
        self.step: Decimal | None = None
        self.refusals: list[Refusal] = []

    def edge(self) -> Edge:
        self._check_match()
        for leg in self.legs:
            self._check_instrument(leg)
            self._check_book(leg)
            self._count_settlements(leg)
        if not any(refusal.code in NO_NUMBERS for refusal in self.refusals):
            self._choose_size()
            self._fill()
        return self._record()

    def _refuse(self, code: RefusalCode, text: str, leg: _Leg | None = None) -> None:
        self.refusals.append(Refusal(code, text, leg.side if leg is not None else None))

    # What can be known before any level is read

    def _check_match(self) -> None:
        one, other = self.buy.instrument, self.sell.instrument
        if one.quote != other.quote:
            self._refuse("quote", f"{one.quote} and {other.quote} are different currencies")
        if coin(one) != coin(other) or (one.base == other.base and one.multiplier != other.multiplier):
            self._refuse("base", f"{self.buy.name} and {self.sell.name} are not known to be of one coin")
        if (one.venue, one.symbol) == (other.venue, other.symbol):
            self._refuse("base", f"both legs are {self.buy.name}")
        if one.step is not None and other.step is not None and one.step > 0 and other.step > 0:
            self.step = common_step(one.step * self.buy.factor, other.step * self.sell.factor)

    def _check_instrument(self, leg: _Leg) -> None:
        one = leg.instrument
        if one.kind not in ("spot", "linear"):
            self._refuse("kind", f"{leg.name} is {one.kind}; spot and linear perpetuals are traded here", leg)
        if one.status != "trading" or one.api_tradable is False:
            reason = f"is {one.status}" if one.status != "trading" else "takes no orders by API"
            self._refuse("closed", f"{leg.name} {reason}", leg)
        if one.step is None or one.step <= 0:
            self._refuse("step_unknown", f"the size step of {leg.name} is not known", leg)
        if leg.rate is None:
            self._refuse("fee_unknown", f"no fee of {leg.name} is known: name it in the FeeSchedule", leg)

    def _check_book(self, leg: _Leg) -> None:
        book = leg.book
        age = self.now - book.ts_recv
        if book.epoch == 0 or (book.best_ask if leg.side == "buy" else book.best_bid) is None:
            self._refuse("empty", f"the book of {leg.name} has nothing to {leg.side} from", leg)
        if book.stale:
            self._refuse("stale", f"the feed is not sure of the book of {leg.name}", leg)
        if book.crossed:
            self._refuse("crossed", f"the book of {leg.name} is crossed or locked in itself", leg)
        if age < 0:
            self._refuse("clock", f"the book of {leg.name} is {-age} ns ahead of now: use the clock of the feed", leg)
        elif age > self.limits.max_age:
            self._refuse("age", f"the book of {leg.name} is {age} ns old, the limit is {self.limits.max_age} ns", leg)

    def _count_settlements(self, leg: _Leg) -> None:
        until, terms = self.now + self.limits.hold, leg.funding
        if leg.instrument.kind != "linear" or self.limits.hold == 0:
            return
        if terms is None or terms.ts_next is None:
            self._refuse("funding_unknown", f"when {leg.name} settles funding next, and at what rate, is not told", leg)
        elif terms.ts_next <= self.now:
            self._refuse("funding_stale", f"the settlement told of {leg.name} has passed", leg)
        elif terms.ts_next <= until:
            if terms.interval is None and until > terms.ts_next:
                self._refuse("funding_interval", f"how often {leg.name} settles funding is not told", leg)
            leg.settlements = 1 + ((until - terms.ts_next) // terms.interval if terms.interval else 0)

    # The numbers

    def _choose_size(self) -> None:
        assert self.step is not None
        if self.asked is not None:
            self.size = floor_count(self.asked, self.step) * self.step
            if not self.size:
                self._refuse("step", f"{plain(self.asked)} is less than the common step {plain(self.step)}")
            return
        terms = (self.buy.terms(self.limits.exit_fees), self.sell.terms(self.limits.exit_fees))
        sizes = best_size(self.buy.levels(), self.sell.levels(), terms, self.step)
        if not sizes:
            self._refuse("no_size", "no size that both instruments take is verified on both books")
            return
        self.size = max(sizes, key=lambda size: (self._net_of(size), -size))

    def _net_of(self, size: Decimal) -> Decimal:
        net = ZERO
        for leg in self.legs:
            fill = take(leg.levels(), size / leg.factor)
            terms = leg.terms(self.limits.exit_fees)
            net += fill.amount * (leg.sign - terms.cost + terms.gain) + fill.size * terms.fixed
        return net

    def _fill(self) -> None:
        for leg in self.legs:
            wanted = self.size / leg.factor
            leg.fill = take(leg.levels(), wanted)
            if leg.fill.size < wanted:
                self._refuse("depth", self._depth_text(leg, wanted), leg)
            elif self.size:
                self._check_order(leg)

    def _depth_text(self, leg: _Leg, wanted: Decimal) -> str:
        side = leg.takes
        holds = f"{plain(leg.fill.size)} of {plain(wanted)}"
        if leg.book.is_whole(side):
            return f"the whole {side} side of {leg.name} holds {holds}"
        return f"the {side}s of {leg.name} are verified down to {leg.book.verified_depth(side)}, which is {holds}"

    def _check_order(self, leg: _Leg) -> None:
        one, size, limit = leg.instrument, leg.fill.size, leg.fill.limit
        assert limit is not None
        if one.min_size is not None and size < one.min_size:
            self._refuse("min_size", f"{leg.name} takes no less than {plain(one.min_size)}, not {plain(size)}", leg)
        if one.max_size is not None and size > one.max_size:
            self._refuse("max_size", f"{leg.name} takes no more than {plain(one.max_size)}, not {plain(size)}", leg)
        value = limit * size
        if one.min_notional is not None and value < one.min_notional:
            self._refuse(
                "min_notional",
                f"{plain(value)} at {plain(limit)} is below {plain(one.min_notional)} of {leg.name}",
                leg,
            )
        if one.tick is not None and not is_multiple(limit, one.tick):
            self._refuse("tick", f"{plain(limit)} is not on the tick {plain(one.tick)} of {leg.name}", leg)

    def _record(self) -> Edge:
        limits = self.limits
        buy, sell = (leg.record(self.now, limits.exit_fees) for leg in self.legs)
        whole = buy.size * buy.multiplier == sell.size * sell.multiplier == self.size and self.size > 0
        gross = sell.amount - buy.amount if whole else ZERO
        fees = buy.fee + sell.fee if whole else ZERO
        funding = buy.funding + sell.funding if whole else ZERO
        net = gross - fees + funding
        if whole and (net <= limits.min_net or net < limits.min_return * buy.amount):
            self._refuse(
                "not_profitable",
                f"net {plain(net)} {self.buy.instrument.quote}; wanted: more than {plain(limits.min_net)}, "
                f"and {plain(limits.min_return)} of what is bought",
            )
        return Edge(
            unit=self.unit,
            quote=self.buy.instrument.quote,
            ts=self.now,
            asked=self.asked,
            size=self.size,
            step=self.step,
            buy=buy,
            sell=sell,
            gross=gross,
            fees=fees,
            funding=funding,
            net=net,
            limits=limits,
            refusals=tuple(self.refusals),
        )
