"""One instrument over venues and markets: units that mean the same, and nobody who is not sure of its book."""

from __future__ import annotations

from decimal import Decimal
from random import Random

import anyio
import pytest

from unitape import Router, Status, VenueAdapter, book
from unitape.books import OrderBook
from unitape.errors import ConfigError
from unitape.registry import load_venue
from unitape.sim.build import SimSettings
from unitape.sim.faults import Fault, FaultSchedule
from unitape.sim.memory import SimNetwork
from unitape.views.align import coin, per_coin
from unitape.views.consolidated import Consolidated
from unitape_schemas import BookSnapshot, Instrument


def made(venue: str, symbol: str, bids, asks) -> OrderBook:
    one = OrderBook(venue, symbol)
    one.load(BookSnapshot(venue, symbol, 0, 0, 1, tuple(bids), tuple(asks), None, 5, None, 2))
    return one


def listed(venue: str, symbol: str, multiplier: int = 1, market: str = "spot") -> Instrument:
    base = symbol.partition("/")[0]
    rest = (None, "spot", *(None,) * 6, multiplier, "trading", True, None, None, 0)
    return Instrument(venue, symbol, symbol, market, base, "USDT", *rest)


def view_of(books, instruments, *symbols: str) -> Consolidated:
    table = {(one.venue, one.symbol): one for one in instruments}
    return Consolidated(
        symbols[0], lambda: books, symbols=symbols, instrument=lambda venue, symbol: table.get((venue, symbol))
    )


def test_a_thousand_coins_stand_beside_single_ones_in_one_unit() -> None:
    spot = made("alpha", "SHIB/USDT", [(0.00001234, 5000.0)], [(0.00001236, 700.0)])
    perp = made("beta", "1000SHIB/USDT:USDT", [(0.012371, 2.5)], [(0.012399, 3.1)])
    instruments = [listed("alpha", "SHIB/USDT"), listed("beta", "1000SHIB/USDT:USDT", 1000, "perp")]
    view = view_of([spot, perp], instruments, "SHIB/USDT", "1000SHIB/USDT:USDT")
    best = view.best()
    assert (best.bid.venue, best.bid.price, best.bid.size, best.bid.market) == ("beta", 0.000012371, 2500.0, "perp")
    assert (best.ask.venue, best.ask.price, best.ask.symbol) == ("alpha", 0.00001236, "SHIB/USDT")
    assert [(level.price, level.size) for level in view.asks(5)] == [(0.00001236, 700.0), (0.000012399, 3100.0)]
    (cross,) = view.crosses()
    assert (cross.buy.venue, cross.sell.venue, cross.size, cross.locked) == ("alpha", "beta", 700.0, False)
    alone = view_of([perp], instruments, "1000SHIB/USDT:USDT")
    assert alone.best().bid.price == 0.012371, "a view of one base counts in that base"


def test_a_book_whose_unit_is_not_known_or_of_another_coin_does_not_count() -> None:
    spot = made("alpha", "SHIB/USDT", [(0.00001234, 5000.0)], [(0.00001236, 700.0)])
    perp = made("beta", "1000SHIB/USDT:USDT", [(0.012371, 2.5)], [(0.012399, 3.1)])
    other = made("gamma", "1000SHIBA/USDT:USDT", [(99.0, 1.0)], [(99.1, 1.0)])
    known = [listed("alpha", "SHIB/USDT"), listed("gamma", "1000SHIBA/USDT:USDT", 1000)]
    view = view_of([spot, perp, other], known, "SHIB/USDT", "1000SHIB/USDT:USDT", "1000SHIBA/USDT:USDT")
    assert [(one.venue, one.state) for one in view.sources()] == [
        ("alpha", "live"),
        ("beta", "unaligned"),
        ("gamma", "unaligned"),
    ]
    assert view.venues == ("alpha",)
    with pytest.raises(ConfigError, match="USDT and USDC"):
        view_of([], [], "BTC/USDT", "BTC/USDC")


def test_aligned_numbers_are_the_nearest_floats_to_the_exact_ones() -> None:
    rng = Random(5)
    for _ in range(2000):
        price, size = (
            round(rng.uniform(0.0001, 99), rng.randint(1, 9)),
            round(rng.uniform(0.01, 1e6), rng.randint(0, 4)),
        )
        ((one, many),) = per_coin(((price, size),), 1000)
        exact = Decimal(repr(price)).scaleb(-3), Decimal(repr(size)).scaleb(3)
        assert (Decimal(repr(one)), Decimal(repr(many))) == exact, (price, size)


@pytest.mark.parametrize(
    ("base", "multiplier", "name"),
    [
        ("BTC", 1, "BTC"),
        ("1INCH", 1, "1INCH"),
        ("1000SHIB", 1000, "SHIB"),
        ("SHIB1000", 1000, "SHIB"),
        ("1MBABYDOGE", 1_000_000, "BABYDOGE"),
        ("1000000MOG", 1_000_000, "MOG"),
        ("KSHIB", 1000, "KSHIB"),
    ],
)
def test_the_coin_is_what_is_left_without_its_multiplier(base: str, multiplier: int, name: str) -> None:
    assert coin(listed("alpha", f"{base}/USDT", multiplier)) == name


def test_crosses_are_listed_as_they_are_and_a_book_that_crosses_itself_is_left_out() -> None:
    books = [
        made("alpha", "BTC/USDT", [(100.0, 1.0)], [(101.0, 4.0)]),
        made("beta", "BTC/USDT", [(102.0, 2.0)], [(103.0, 1.0)]),
        made("gamma", "BTC/USDT", [(101.0, 1.5)], [(104.0, 1.0)]),
    ]
    view = view_of(books, [], "BTC/USDT")
    assert [(c.buy.venue, c.sell.venue, c.size, c.locked) for c in view.crosses()] == [
        ("alpha", "beta", 2.0, False),
        ("alpha", "gamma", 1.5, True),
    ]
    assert view.best().spread == -1.0
    books.append(made("delta", "BTC/USDT", [(200.0, 1.0)], [(90.0, 1.0)]))
    assert view.sources()[3].state == "crossed"
    assert view.best().spread == -1.0
    image = view.snapshot(2)
    assert [(level.venue, level.price) for level in image.bids] == [("beta", 102.0), ("gamma", 101.0)]
    assert len(image.crosses) == 2
    assert len(image.sources) == 4


def test_the_top_of_many_books_is_what_sorting_all_levels_gives() -> None:
    rng = Random(11)
    for round_ in range(200):
        books = []
        for number in range(rng.randint(1, 5)):
            prices = sorted(rng.sample(range(900, 1000), rng.randint(1, 30)), reverse=True)
            asks = sorted(rng.sample(range(1000, 1100), rng.randint(1, 30)))
            levels = [[(float(p), float(rng.randint(1, 99))) for p in side] for side in (prices, asks)]
            books.append(made(f"v{number}", "BTC/USDT", *levels))
        view, n = view_of(books, [], "BTC/USDT"), rng.randint(1, 40)
        rows = sorted((-p, -s, b.venue) for b in books for p, s in b.bids())
        assert [(-level.price, -level.size) for level in view.bids(n)] == [row[:2] for row in rows[:n]], round_
        rows = sorted((p, -s, b.venue) for b in books for p, s in b.asks())
        assert [(level.price, -level.size) for level in view.asks(n)] == [row[:2] for row in rows[:n]], round_


@pytest.mark.anyio
async def test_a_venue_leaves_at_the_moment_in_which_its_feed_doubts_and_is_back_when_it_stands() -> None:
    venues = [load_venue("binance"), load_venue("mexc")]
    faults = {
        "binance/spot": FaultSchedule((Fault("drop", at=8.0, match="depth"), Fault("close", at=20.0))),
        "mexc/spot": FaultSchedule((Fault("half_open", at=30.0),)),
    }
    settings = SimSettings(symbols=("BTC",), markets=tuple(faults), faults=faults, history_minutes=10)
    async with SimNetwork(venues, settings) as network:
        adapters = [
            VenueAdapter(
                venue,
                endpoints={"spot": network.endpoint(venue.name, "spot")},
                transport=network.transport,
                clock=network.clock,
                seed=3,
            )
            for venue in venues
        ]
        async with Router(*adapters, clock=network.clock) as router:
            view = router.consolidated("BTC/USDT")
            told: list[tuple[str, str, bool]] = []

            def check(status: Status) -> None:
                if status.code in ("gap", "disconnected", "stale"):
                    told.append((status.venue, status.code, status.venue in view.venues))

            router.on(Status, check)
            await router.subscribe(book("BTC/USDT"))
            counted: set[tuple[str, ...]] = set()
            for _ in range(2400):
                await anyio.sleep(0.05)
                counted.add(view.venues)
                for one in view.live():
                    assert not one.stale
                    assert not one.crossed
            assert {venue for venue, _, _ in told} == {"binance", "mexc"}
            assert {("binance", "gap"), ("binance", "disconnected")} <= {row[:2] for row in told}
            assert not [row for row in told if row[2]], "whoever said so had left already"
            assert {("binance", "mexc"), ("mexc",), ("binance",)} <= counted
            assert view.venues == ("binance", "mexc")
            assert {source.market for source in view.sources()} == {"spot"}
