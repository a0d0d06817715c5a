"""The edge equals what enumeration in fractions gives, over thousands of random pairs of books."""

from __future__ import annotations

import os
from collections import Counter
from decimal import Decimal
from fractions import Fraction

import msgspec
import pytest

from tests.views.oracle import NOW, SECOND, Case
from unitape.errors import ConfigError
from unitape.views.edge import TradableBook, find_edge, find_edges
from unitape.views.edge_records import Edge, EdgeLimits, FundingTerms
from unitape.views.fees import FeeSchedule, FeeTier
from unitape_schemas import BookDelta, Funding, MarkPrice

D = Decimal
SEEDS = max(2000, int(os.environ.get("UNITAPE_SEEDS", "0")))


def decimal(value: Fraction) -> Decimal:
    return D(value.numerator) / D(value.denominator)


def computed(case: Case) -> Edge:
    sides = []
    for side in (case.buy, case.sell):
        mark = None if side.mark is None else decimal(side.mark)
        due = None if side.next is None else NOW + side.next
        terms = FundingTerms(decimal(side.rate), due, side.interval, mark) if side.perpetual else None
        sides.append(TradableBook(side.book(), side.instrument(), terms))
    limits = EdgeLimits(
        min_net=decimal(case.min_net),
        min_return=decimal(case.min_return),
        hold=case.hold,
        exit_fees=case.exit_fees,
    )
    return find_edge(sides[0], sides[1], now=NOW, size=case.asked, limits=limits)


def test_every_number_and_every_refusal_is_what_enumeration_gives() -> None:
    seen: Counter[str] = Counter()
    for seed in range(SEEDS):
        case = Case(seed)
        edge = computed(case)
        sides = {"buy": "north", "sell": "south", None: "both"}
        got = {(one.code, sides[one.side]) for one in edge.refusals}
        hard, expected = case.standing_refusals()
        if hard:
            assert got == hard | expected, seed
            assert edge.net == 0, seed
            seen["no numbers"] += 1
            continue
        step = case.step()
        size = case.best() if case.asked is None else Fraction(case.asked) // step * step
        if not size:
            expected.add(("no_size" if case.asked is None else "step", "both"))
            assert (got, edge.size, edge.net) == (expected, 0, 0), seed
            seen["no size"] += 1
            continue
        net, codes, parts = case.outcome(size)
        expected |= codes
        if net is not None and (net <= case.min_net or net < case.min_return * parts[0][1]):
            expected.add(("not_profitable", "both"))
        assert Fraction(edge.size) == size, seed
        assert got == expected, seed
        for leg, part in zip((edge.buy, edge.sell), parts, strict=True):
            if part is not None:
                told = (
                    Fraction(leg.size),
                    Fraction(leg.amount),
                    Fraction(leg.limit),
                    Fraction(leg.fee),
                    Fraction(leg.funding),
                )
                assert told == part, seed
                assert sum(Fraction(price) * Fraction(taken) for price, taken in leg.taken) == part[1], seed
        if net is None:
            assert edge.net == 0, seed
            seen["too deep"] += 1
            continue
        assert Fraction(edge.net) == net == Fraction(edge.gross) - Fraction(edge.fees) + Fraction(edge.funding), seed
        assert edge.ok == (not expected), seed
        seen["taken" if edge.ok else "refused"] += 1
        seen["best" if case.asked is None else "asked"] += 1
        seen["coins"] += not case.same
        seen["funded"] += any(leg.settlements for leg in (edge.buy, edge.sell))
        seen["crossed books"] += ("crossed", "north") in got or ("crossed", "south") in got
    # The cases are worth nothing if they never reach what they are about.
    for what in ("no numbers", "no size", "too deep", "taken", "refused", "best", "asked", "coins", "funded"):
        assert seen[what] >= SEEDS // 100, seen
    assert seen["crossed books"] >= SEEDS // 200, seen


def find(matches, start=0) -> tuple[Case, Edge]:
    """The first case like this."""
    for seed in range(start, 5000):
        case = Case(seed)
        edge = computed(case)
        if matches(case, edge):
            return case, edge
    raise AssertionError("no such case")


def test_a_record_survives_json_and_explains_itself() -> None:
    _, edge = find(lambda case, edge: edge.ok and edge.sell.settlements and not case.same)
    assert msgspec.json.decode(msgspec.json.encode(edge), type=Edge) == edge
    text = edge.explain()
    assert f"net {edge.net.normalize():f} USD" in text
    for leg in (edge.buy, edge.sell):
        assert f"{leg.side} {leg.size.normalize():f} on {leg.venue} {leg.symbol}" in text
        assert f"limit {leg.limit.normalize():f}" in text
    _, edge = find(lambda _, edge: "depth" in edge.codes)
    assert f"refused, depth: {edge.refusals[edge.codes.index('depth')].text}" in edge.explain()


def test_a_level_beyond_what_is_verified_is_not_counted_on_until_it_is() -> None:
    case, edge = find(lambda case, edge: edge.ok and not case.sell.whole and not case.buy.whole)
    buy, sell = case.buy.book(), case.sell.book()
    at = [TradableBook(buy, case.buy.instrument()), TradableBook(sell, case.sell.instrument())]
    much = D(10) ** 9
    asked = find_edge(*at, now=NOW, size=much)
    assert {"depth"} <= set(asked.codes)
    assert "verified down to" in asked.refusals[asked.codes.index("depth")].text
    # A level far outside of the window shows up by a change: right, but others beside it may be hidden.
    far = round(min(price for price, _ in sell.bids()) / 2, 1)
    sell.apply(BookDelta("south", sell.symbol, 0, 0, NOW, ((far, 1e9),), (), 8, 8, 7, 3))
    again = find_edge(*at, now=NOW, size=much)
    assert (again.sell.size, again.sell.taken) == (asked.sell.size, asked.sell.taken)
    assert edge.sell.verified == D(repr(min(price for price, _ in sell.bids())))


def test_numbers_are_the_venues_own_decimals_not_binary_fractions() -> None:
    case, _ = find(lambda case, edge: edge.ok and case.same and not case.buy.perpetual and not case.sell.perpetual)
    case.buy.levels, case.sell.levels = [("0.1", "3")], [("0.3", "3")]
    case.buy.other, case.sell.other = [("0.05", "1")], [("0.4", "1")]
    for side in (case.buy, case.sell):
        side.verified, side.whole, side.fee = 1, True, Fraction(1, 10_000)
        side.step_units, side.size_scale, side.min_size, side.max_size, side.min_notional = 1, 0, None, None, None
        side.age, side.stale, side.price_scale = 0, False, 2
    case.asked, case.hold, case.exit_fees, case.min_net, case.min_return = "3", 0, False, Fraction(0), Fraction(0)
    edge = computed(case)
    assert (edge.buy.amount, edge.sell.amount, edge.gross) == (D("0.3"), D("0.9"), D("0.6"))
    assert edge.net == D("0.6") - D("0.00003") - D("0.00009")


def pair(**changes) -> tuple[TradableBook, TradableBook]:
    case, _ = find(lambda case, edge: edge.ok and case.same and case.hold == 0)
    return tuple(
        TradableBook(side.book(), msgspec.structs.replace(side.instrument(), **changes))
        for side in (case.buy, case.sell)
    )


def test_what_is_not_the_same_thing_is_never_compared() -> None:
    buy, sell = pair()
    other = msgspec.structs.replace
    dollars = TradableBook(sell.book, other(sell.instrument, quote="EUR"))
    assert find_edge(buy, dollars, now=NOW).codes == ("quote",)
    coins = TradableBook(sell.book, other(sell.instrument, base="OTHER"))
    assert find_edge(buy, coins, now=NOW).codes == ("base",)
    disguised = TradableBook(sell.book, other(sell.instrument, multiplier=1000))
    assert find_edge(buy, disguised, now=NOW).codes == ("base",)
    assert find_edge(buy, buy, now=NOW).codes[0] == "base"
    unknown = TradableBook(sell.book, other(sell.instrument, step=None))
    assert find_edge(buy, unknown, now=NOW).codes == ("step_unknown",)
    dated = TradableBook(sell.book, other(sell.instrument, kind="dated"))
    assert find_edge(buy, dated, now=NOW).codes == ("kind",)
    with pytest.raises(ConfigError, match="do not belong together"):
        TradableBook(buy.book, sell.instrument)
    with pytest.raises(ConfigError, match="float"):
        find_edge(buy, sell, now=NOW, size=0.5)  # type: ignore[arg-type]


def test_a_price_off_the_tick_says_that_the_rules_are_old() -> None:
    buy, sell = pair()
    coarse = TradableBook(buy.book, msgspec.structs.replace(buy.instrument, tick=D("1000003")))
    assert "tick" in find_edge(coarse, sell, now=NOW).codes


def test_fees_come_from_the_longest_key_and_the_tier_that_the_volume_reaches() -> None:
    buy, sell = pair(maker=D("0.5"), taker=D("0.5"))
    tiers = (FeeTier(D(0), D("0.002")), FeeTier(D(0), D("0.001"), D(100), "VIP 1"), FeeTier(D(0), D(0), D(1000)))
    market = f"north/{buy.instrument.market}"
    schedule = FeeSchedule(
        {"north": (FeeTier(D(0), D("0.3")),), market: tiers, "south": (FeeTier(D(0), D("-0.0001")),)},
        {market: D(100)},
    )
    edge = find_edge(buy, sell, now=NOW, fees=schedule)
    assert (edge.buy.fee_rate, edge.buy.fee_source) == (D("0.001"), f"{market} VIP 1")
    assert (edge.sell.fee_rate, edge.sell.fee_source) == (D("-0.0001"), "south")
    assert edge.fees == edge.buy.amount * D("0.001") - edge.sell.amount * D("0.0001")
    plain = find_edge(buy, sell, now=NOW, size=edge.size)
    assert (plain.buy.fee_rate, plain.buy.fee_source) == (D("0.5"), "instrument")
    flat = FeeSchedule.flat({"north": ("0", "0.0004"), "south": 0})
    assert flat.of(buy.instrument).taker == D("0.0004")
    assert flat.of(sell.instrument).source == "south"
    assert msgspec.json.decode(msgspec.json.encode(schedule), type=FeeSchedule) == schedule
    for wrong in ({"north": 0.001}, {"north": "2"}, {"north": "free"}):
        with pytest.raises(ConfigError):
            FeeSchedule.flat(wrong)
    with pytest.raises(ConfigError, match="volume 0"):
        FeeSchedule({"north": (FeeTier(D(0), D(0), D(5)),)})


def test_funding_is_taken_from_events_as_the_venue_wrote_it() -> None:
    event = Funding("south", "BTC/USDT:USDT", 0, 0, 0, 0.0001, NOW)
    mark = MarkPrice("south", "BTC/USDT:USDT", 0, 0, 0, 64000.1, None)
    assert FundingTerms.of(event, mark, interval=8) == FundingTerms(D("0.0001"), NOW, 8, D("64000.1"))
    with pytest.raises(ConfigError):
        FundingTerms.of(event, MarkPrice("north", "BTC/USDT:USDT", 0, 0, 0, 1.0, None))
    with pytest.raises(ConfigError):
        FundingTerms.of(event, interval=0)


def test_all_pairs_come_best_first_and_refused_ones_last() -> None:
    case, _ = find(lambda case, edge: edge.ok and case.same and case.hold == 0 and not case.exit_fees)
    books = [TradableBook(side.book(), side.instrument()) for side in (case.buy, case.sell)]
    found = find_edges(books, now=NOW)
    assert len(found) == 2
    assert (found[0].buy.venue, found[0].sell.venue, found[0].ok) == ("north", "south", True)
    assert not found[1].ok
    books[0].book.stale = True
    assert [one.ok for one in find_edges(books, now=NOW)] == [False, False]
    assert found[0].buy.age <= 2 * SECOND
