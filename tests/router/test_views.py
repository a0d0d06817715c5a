"""Best prices over venues: who counts, and what lies between them."""

from __future__ import annotations

import pytest

from unitape.books import OrderBook
from unitape.router import Router
from unitape.views.consolidated import Consolidated
from unitape.views.prices import BestPrice, Prices, VenueLevel
from unitape_schemas import BookDelta, BookSnapshot, Quote, Status, TopBook

from .fakes import SYMBOL, FakeAdapter, status


def image(venue: str, bids, asks, seq: int = 1) -> BookSnapshot:
    return BookSnapshot(venue, SYMBOL, 0, 0, seq, tuple(bids), tuple(asks), None, seq, None, 1)


def loaded(venue: str, bids, asks) -> OrderBook:
    made = OrderBook(venue, SYMBOL)
    made.load(image(venue, bids, asks))
    return made


def stale(venue: str, subscription: str | None) -> Status:
    return Status(venue, SYMBOL, 0, 0, 1, "stale", subscription, None, "silent")


def test_consolidated_names_the_venue_of_each_level() -> None:
    books = [
        loaded("alpha", [(100.0, 1.0), (99.0, 2.0)], [(101.0, 1.0), (103.0, 1.0)]),
        None,
        loaded("beta", [(100.0, 3.0), (98.0, 1.0)], [(100.5, 2.0), (104.0, 1.0)]),
    ]
    view = Consolidated(SYMBOL, lambda: books)
    assert view.best() == BestPrice(
        SYMBOL, VenueLevel("beta", 100.0, 3.0, SYMBOL), VenueLevel("beta", 100.5, 2.0, SYMBOL)
    )
    assert view.bids(3) == [
        VenueLevel("beta", 100.0, 3.0, SYMBOL),
        VenueLevel("alpha", 100.0, 1.0, SYMBOL),
        VenueLevel("alpha", 99.0, 2.0, SYMBOL),
    ]
    assert [(level.venue, level.price) for level in view.asks(10)] == [
        ("beta", 100.5),
        ("alpha", 101.0),
        ("alpha", 103.0),
        ("beta", 104.0),
    ]


def test_consolidated_leaves_out_what_cannot_be_trusted() -> None:
    alpha, beta = loaded("alpha", [(100.0, 1.0)], [(101.0, 1.0)]), loaded("beta", [(90.0, 1.0)], [(110.0, 1.0)])
    view = Consolidated(SYMBOL, lambda: [alpha, beta])
    alpha.stale = True
    assert view.venues == ("beta",)
    assert view.best() == BestPrice(
        SYMBOL, VenueLevel("beta", 90.0, 1.0, SYMBOL), VenueLevel("beta", 110.0, 1.0, SYMBOL)
    )
    alpha.stale = False
    view.note(stale("alpha", f"trades {SYMBOL}"))
    assert view.venues == ("alpha", "beta")
    view.note(stale("alpha", f"book {SYMBOL}"))
    assert view.venues == ("beta",)
    alpha.apply(BookDelta("alpha", SYMBOL, 0, 0, 2, ((100.0, 2.0),), (), 2, 2, 1, 1))
    assert view.venues == ("alpha", "beta"), "an update brings it back"
    beta.clear()
    alpha.clear()
    assert view.best() == BestPrice(SYMBOL, None, None)


@pytest.mark.anyio
async def test_the_router_keeps_the_view_live_and_drops_a_dead_venue() -> None:
    alpha, beta = FakeAdapter("alpha"), FakeAdapter("beta")
    async with Router(alpha, beta) as router:
        view = router.consolidated(SYMBOL)
        assert view is router.consolidated(SYMBOL)
        assert view.best().bid is None
        alpha.deliver(image("alpha", [(100.0, 1.0)], [(101.0, 1.0)]))
        beta.deliver(image("beta", [(102.0, 1.0)], [(103.0, 0.5)]))
        best = view.best()
        assert (best.bid.venue, best.ask.venue) == ("beta", "alpha")
        assert best.spread == -1.0
        assert best.edge == pytest.approx(1 / 101)
        assert best.tradable == 1.0
        alpha.deliver(stale("alpha", f"book {SYMBOL}"))
        assert view.venues == ("beta",)
        stream = router.stream()
        beta.crash.set()
        async for event in stream:
            if isinstance(event, Status) and event.code == "halted":
                break
        assert view.venues == ()


def test_prices_follow_quotes_and_top_books_and_forget_dead_venues() -> None:
    prices = Prices()
    prices.update(Quote("alpha", SYMBOL, 0, 0, 1, 100.0, 1.0, 101.0, 0.0, None))
    prices.update(TopBook("beta", SYMBOL, 0, 0, 1, ((99.0, 4.0),), ((99.5, 2.0),), 5, None))
    best = prices.across(SYMBOL)
    assert best == BestPrice(SYMBOL, VenueLevel("alpha", 100.0, 1.0, SYMBOL), VenueLevel("beta", 99.5, 2.0, SYMBOL))
    assert best.edge == pytest.approx(0.5 / 99.5)
    assert prices.venues(SYMBOL)["alpha"] == BestPrice(SYMBOL, VenueLevel("alpha", 100.0, 1.0, SYMBOL), None)
    assert prices.venues(SYMBOL)["alpha"].edge is None
    prices.update(stale("alpha", f"trades {SYMBOL}"))
    assert set(prices.venues(SYMBOL)) == {"alpha", "beta"}
    prices.update(stale("alpha", f"quotes {SYMBOL}"))
    assert set(prices.venues(SYMBOL)) == {"beta"}
    prices.update(status(1, "halted", "beta"))
    assert prices.across(SYMBOL) == BestPrice(SYMBOL, None, None)
    assert prices.across("ETH/USDT").spread is None
