from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from unitape.alignment import align, coin_of, suspects
from unitape.registry import load_venue, venue_names
from unitape_schemas import Instrument

D = Decimal


def instrument(
    venue: str, base: str, *, quote: str = "USDT", linear: bool = False, multiplier: int = 1, **more: object
):
    one = Instrument(
        venue=venue,
        symbol=f"{base}/{quote}:{quote}" if linear else f"{base}/{quote}",
        raw_symbol=base + quote,
        market="perp" if linear else "spot",
        base=base,
        quote=quote,
        settle=quote if linear else None,
        kind="linear" if linear else "spot",
        tick=D("0.01"),
        step=D(1),
        min_size=None,
        max_size=None,
        min_notional=None,
        contract_size=(1, 1),
        multiplier=multiplier,
        status="trading",
        api_tradable=None,
        maker=None,
        taker=None,
        ts=0,
    )
    return structs.replace(one, **more)


SHIB = [
    instrument("one", "SHIB"),
    instrument("one", "1000SHIB", linear=True, multiplier=1000),
    instrument("two", "SHIB1000", linear=True, multiplier=1000),
    instrument("three", "SHIB", linear=True),
]


def test_one_coin_is_one_thing_whatever_it_is_counted_in() -> None:
    found = align([*SHIB, instrument("one", "1INCH"), instrument("two", "BTC")])
    shib = found["SHIB", "USDT"]
    assert [(m.instrument.venue, m.instrument.base, m.multiplier) for m in shib.members] == [
        ("one", "1000SHIB", 1000),
        ("one", "SHIB", 1),
        ("three", "SHIB", 1),
        ("two", "SHIB1000", 1000),
    ]
    assert shib.venues == ("one", "three", "two")
    assert next(iter(found)) == ("SHIB", "USDT"), "the most widely listed first"
    assert ("1INCH", "USDT") in found, "a number that is part of the name stays"


def test_sizes_and_prices_are_exact_in_coins() -> None:
    thousand = align(SHIB)["SHIB", "USDT"].members[0]
    assert thousand.coins(D("2.5")) == D(2500)
    assert thousand.size(D(2500)) == D("2.5")
    assert thousand.price_per_coin(D("0.0123")) == D("0.0000123")


def test_the_common_step_is_whole_on_every_market() -> None:
    members = [
        instrument("one", "SHIB", step=D("0.4")),
        instrument("two", "1000SHIB", linear=True, multiplier=1000, step=D("0.001")),
        instrument("three", "SHIB", step=D(3)),
    ]
    assert align(members)["SHIB", "USDT"].step() == D(6)
    assert align([*members, instrument("four", "SHIB", step=None)])["SHIB", "USDT"].step() is None


@given(st.lists(st.decimals("0.0001", 50, places=4), min_size=1, max_size=4))
def test_the_common_step_is_the_smallest_there_is(steps: list[Decimal]) -> None:
    found = align([instrument(f"v{i}", "X", step=step) for i, step in enumerate(steps)])["X", "USDT"].step()
    assert found is not None
    assert all(found % step == 0 for step in steps)
    biggest = max(steps)
    smaller = biggest
    while smaller < found and smaller / biggest < 2000:
        assert any(smaller % step for step in steps), "a smaller one would do"
        smaller += biggest


def test_a_renamed_coin_is_the_same_coin() -> None:
    found = align([instrument("one", "MATIC"), instrument("two", "POL"), instrument("three", "RNDR")])
    assert found["POL", "USDT"].venues == ("one", "two")
    assert ("RENDER", "USDT") in found
    assert set(align([instrument("one", "MATIC"), instrument("two", "POL")], renamed={})) == {
        ("MATIC", "USDT"),
        ("POL", "USDT"),
    }
    assert coin_of(instrument("one", "1000RNDR", multiplier=1000)) == "RENDER"


def test_what_does_not_trade_is_left_out_unless_asked_for() -> None:
    closed = instrument("two", "SHIB", status="closed")
    dated = instrument("two", "SHIB", kind="dated", symbol="SHIB/USDT:USDT-261225")
    assert align([*SHIB, closed, dated])["SHIB", "USDT"] == align(SHIB)["SHIB", "USDT"]
    assert len(align([*SHIB, closed], tradable=False)["SHIB", "USDT"].members) == 5


def test_stable_quotes_can_be_one() -> None:
    pair = [instrument("one", "BTC"), instrument("two", "BTC", quote="USDC"), instrument("two", "BTC", quote="EUR")]
    assert set(align(pair)) == {("BTC", "USDT"), ("BTC", "USDC"), ("BTC", "EUR")}
    assert align(pair, stable_as_one=True)["BTC", "USD"].venues == ("one", "two")


def test_a_price_tells_two_coins_of_one_name_apart() -> None:
    group = align([*SHIB, instrument("four", "SHIB")])["SHIB", "USDT"]
    prices = {
        ("one", "SHIB/USDT"): D("0.0000120"),
        ("one", "1000SHIB/USDT:USDT"): D("0.0121"),
        ("two", "SHIB1000/USDT:USDT"): 0.0119,
        ("four", "SHIB/USDT"): D("3.10"),
    }
    odd = suspects(group, prices)
    assert [coin.instrument.venue for coin in odd] == ["four"]
    named = {("four", "SHIB"): "SHIB (four)"}
    parted = align([*SHIB, instrument("four", "SHIB")], named=named)
    assert parted["SHIB", "USDT"].venues == ("one", "three", "two")
    assert suspects(parted["SHIB", "USDT"], prices) == []
    assert suspects(group, {}) == []


@pytest.mark.parametrize("coin", ["BTC", "ETH"])
def test_the_installed_markets_line_up_by_their_own_catalogues(coin: str) -> None:
    markets = [market for name in venue_names() for market in load_venue(name).markets]
    rows = [row for market in markets for row in market.catalogue]
    found = align(rows)[coin, "USDT"]
    assert {(m.instrument.venue, m.instrument.market) for m in found.members} == {(m.venue, m.name) for m in markets}
    thousands = [row for row in rows if row.multiplier != 1]
    assert thousands, "at least one market counts a coin by the thousand"
    for row in thousands:
        assert str(row.multiplier) in row.base
        assert coin_of(row) == row.base.replace(str(row.multiplier), "")
