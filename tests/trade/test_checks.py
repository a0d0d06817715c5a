"""What is refused before any request, and what is not."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from tests.trade.bourse import MARGIN_SPEC, SPOT_SPEC, instrument
from unitape.errors import ConfigError, InvalidOrder, MarketClosed, UnitapeError, Unsupported
from unitape.spi import TradingSettings
from unitape.trade.checks import build_order, check_amendment, check_order
from unitape.trade.numbers import exact_number, is_multiple, plain, round_down, round_up
from unitape.trade.requests import OrderRequest

SPOT = instrument("BTC/EUR")  # tick 0.01, step 0.001, size 0.002 to 50, value 5
MARGIN = instrument("BTC/EUR:EUR")
HEDGE = TradingSettings(position_mode="hedge")


def check(market: Any = SPOT, settings: TradingSettings | None = None, **order: Any) -> None:
    spec = SPOT_SPEC if market.kind != "linear" else MARGIN_SPEC
    given: dict[str, Any] = {"side": "buy", "kind": "limit", **order}
    if given["kind"] in ("limit", "stop_limit", "take_profit_limit"):
        given = {"price": "100", **given}
    if "cost" not in given:
        given = {"size": "1", **given}
    request = OrderRequest(symbol=market.symbol, **given)
    check_order(build_order(request, "id", market), market, spec, settings or TradingSettings())


GOOD: list[dict[str, Any]] = [
    {},
    {"price": "0.01", "size": "50", "side": "sell", "kind": "limit", "market": instrument("X/EUR", min_notional=None)},
    {"price": "2500.00", "size": "0.002"},
    {"price": "99999999.99", "size": "0.0020"},
    {"price": Decimal("1E+3"), "size": 1},
    {"kind": "market", "size": "0.002"},
    {"kind": "market", "cost": "5"},
    {"tif": "post_only"},
    {"size": "1.0009", "round_size": True},
    {"market": MARGIN, "reduce_only": True, "price": "1", "size": "0.002"},
    {"market": MARGIN, "kind": "stop", "trigger": "90", "trigger_by": "mark", "side": "sell"},
    {"market": MARGIN, "kind": "take_profit_limit", "trigger": "90.01"},
    {"market": MARGIN, "tif": "gtd", "expires": 1},
    {"market": MARGIN, "settings": HEDGE, "position_side": "short"},
    {"market": MARGIN, "settings": HEDGE, "position_side": "short", "reduce_only": True},
    {"market": MARGIN, "take_profit": "110", "stop_loss": "90"},
    {"market": MARGIN, "take_profit": "90", "stop_loss": "110", "side": "sell"},
    {"market": instrument("A/EUR", tick=None, step=None, min_size=None, max_size=None), "price": "3.1", "size": "1e3"},
    {"market": instrument("A/EUR", api_tradable=None)},
]


@pytest.mark.parametrize("order", GOOD)
def test_what_the_market_takes_passes(order: dict[str, Any]) -> None:
    check(**order)


REFUSED: list[tuple[dict[str, Any], type[UnitapeError], str]] = [
    # the instrument
    ({"market": instrument("A/EUR", status="halted")}, MarketClosed, "is halted"),
    ({"market": instrument("A/EUR", status="closed")}, MarketClosed, "is closed"),
    ({"market": instrument("A/EUR", status="pending")}, MarketClosed, "is pending"),
    ({"market": instrument("A/EUR", api_tradable=False)}, MarketClosed, "no orders by API"),
    ({"market": instrument("A/EUR", kind="dated")}, Unsupported, "is dated"),
    ({"market": instrument("A/EUR", kind="inverse")}, Unsupported, "is inverse"),
    # the kind
    ({"kind": "stop", "trigger": "1"}, Unsupported, "no stop orders; it has limit, market"),
    ({"price": None}, ConfigError, "limit order needs a price"),
    ({"kind": "market", "price": "1"}, ConfigError, "market order takes no price"),
    ({"trigger": "1"}, ConfigError, "limit order takes no trigger"),
    ({"market": MARGIN, "kind": "stop"}, ConfigError, "stop order needs a trigger"),
    ({"market": MARGIN, "trigger_by": "mark"}, ConfigError, "has no trigger"),
    ({"market": MARGIN, "kind": "stop", "trigger": "1", "trigger_by": "index"}, Unsupported, "by last, mark"),
    ({"market": MARGIN, "tif": "fok"}, Unsupported, "no fok orders; it has gtc, ioc, gtd"),
    ({"kind": "market", "tif": "ioc"}, ConfigError, "takes no tif"),
    ({"market": MARGIN, "tif": "gtd"}, ConfigError, "go together"),
    ({"expires": 5}, ConfigError, "go together"),
    ({"size": None}, ConfigError, "either size"),
    ({"kind": "market", "cost": "5", "size": "1"}, ConfigError, "either size"),
    ({"cost": "5", "kind": "limit"}, ConfigError, "cost is for market orders"),
    ({"kind": "market", "cost": "5", "side": "sell"}, Unsupported, "market buy orders only by cost"),
    ({"market": MARGIN, "kind": "market", "cost": "5"}, Unsupported, "no orders by cost; give a size"),
    # positions
    ({"reduce_only": True}, Unsupported, "no reduce-only"),
    ({"position_side": "long"}, Unsupported, "no positions"),
    ({"market": MARGIN, "position_side": "long"}, ConfigError, "settings say one_way"),
    ({"market": MARGIN, "settings": HEDGE}, ConfigError, "position_side='long' or 'short'"),
    (
        {"market": MARGIN, "settings": HEDGE, "position_side": "long", "reduce_only": True},
        ConfigError,
        "buy cannot reduce a long",
    ),
    # attached orders
    ({"take_profit": "110"}, Unsupported, "attaches no take-profit"),
    ({"market": MARGIN, "take_profit": "100"}, InvalidOrder, "take_profit of a buy order lies above its price"),
    ({"market": MARGIN, "stop_loss": "100"}, InvalidOrder, "stop_loss of a buy order lies below its price"),
    ({"market": MARGIN, "stop_loss": "99", "side": "sell"}, InvalidOrder, "stop_loss of a sell order lies above"),
    (
        {"market": MARGIN, "kind": "market", "stop_loss": "9", "take_profit": "8"},
        InvalidOrder,
        "stop_loss of a buy order lies below its take_profit",
    ),
    ({"market": MARGIN, "stop_loss": "9", "reduce_only": True}, ConfigError, "opens a position"),
    # tick, step and value
    ({"price": "100.005"}, InvalidOrder, "give 100 or 100.01"),
    ({"price": "0.005"}, InvalidOrder, "give 0.01"),
    ({"market": MARGIN, "kind": "stop", "trigger": "90.001"}, InvalidOrder, "trigger 90.001 is not on the tick"),
    ({"market": MARGIN, "take_profit": "110.001"}, InvalidOrder, "take_profit 110.001 is not on the tick"),
    ({"size": "1.0005"}, InvalidOrder, "give 1, or round_size=True"),
    ({"size": "0.001"}, InvalidOrder, "below the smallest of BTC/EUR, 0.002 BTC"),
    ({"size": "0.0019", "round_size": True}, InvalidOrder, "below the smallest"),
    ({"market": instrument("A/EUR", min_size=None), "size": "0.0009", "round_size": True}, InvalidOrder, "nothing"),
    ({"size": "50.001"}, InvalidOrder, "above the largest of BTC/EUR, 50 BTC; split it"),
    ({"price": "2499.99", "size": "0.002"}, InvalidOrder, "4.99998 EUR is below the smallest order value"),
    ({"kind": "market", "cost": "4.99"}, InvalidOrder, "4.99 EUR is below the smallest order value"),
    # numbers
    ({"price": 100.5}, ConfigError, "price 100.5 is a float, which is not exact: give a Decimal or a str, '100.5'"),
    ({"size": 0.5}, ConfigError, "size 0.5 is a float"),
    ({"kind": "market", "cost": 10.0}, ConfigError, "cost 10.0 is a float"),
    ({"size": True}, ConfigError, "not bool"),
    ({"size": "-1"}, ConfigError, "not a positive decimal"),
    ({"size": -1}, ConfigError, "above 0"),
    ({"size": "0"}, ConfigError, "above 0"),
    ({"size": "1_000"}, ConfigError, "not a positive decimal"),
    ({"size": "NaN"}, ConfigError, "not a positive decimal"),
    ({"size": Decimal("Infinity")}, ConfigError, "above 0 and below"),
    ({"size": Decimal("NaN")}, ConfigError, "above 0 and below"),
    ({"size": "1e18"}, ConfigError, "below 1e18"),
    ({"size": "1e-31"}, ConfigError, "decimal places"),
    ({"size": b"1"}, ConfigError, "not bytes"),
]


@pytest.mark.parametrize(("order", "kind", "text"), REFUSED, ids=[text for _, _, text in REFUSED])
def test_what_the_market_cannot_take_is_refused_by_name(
    order: dict[str, Any], kind: type[UnitapeError], text: str
) -> None:
    with pytest.raises(kind) as refused:
        check(**order)
    assert type(refused.value) is kind
    assert text in str(refused.value)


def test_amendments_follow_the_same_rules() -> None:
    check_amendment(Decimal("100.01"), Decimal("0.002"), MARGIN, structs.replace(MARGIN_SPEC, amend=True))
    for price, size, market, spec, kind in (
        (Decimal(1), None, MARGIN, MARGIN_SPEC, Unsupported),
        (None, None, SPOT, SPOT_SPEC, ConfigError),
        (Decimal("1.001"), None, SPOT, SPOT_SPEC, InvalidOrder),
        (None, Decimal("0.0025"), SPOT, SPOT_SPEC, InvalidOrder),
        (Decimal(1), Decimal(1), SPOT, SPOT_SPEC, InvalidOrder),
        (Decimal(100), Decimal(1), instrument("A/EUR", status="halted"), SPOT_SPEC, MarketClosed),
    ):
        with pytest.raises(kind):
            check_amendment(price, size, market, spec)


UNITS = st.sampled_from(["1", "0.1", "0.5", "0.01", "0.00000001", "0.0025", "100", "3", "0.00000000000000000001"])
VALUES = st.decimals(min_value="0.00000000000000000001", max_value="999999999999999999", places=20)


@given(VALUES, UNITS)
def test_arithmetic_is_that_of_fractions(value: Decimal, unit: str) -> None:
    step = Decimal(unit)
    whole = Fraction(value) // Fraction(step)
    assert Fraction(round_down(value, step)) == whole * Fraction(step)
    assert is_multiple(value, step) is (Fraction(value) == whole * Fraction(step))
    above = whole if is_multiple(value, step) else whole + 1
    assert Fraction(round_up(value, step)) == above * Fraction(step)


@given(VALUES)
def test_numbers_keep_every_digit_and_lose_their_exponent(value: Decimal) -> None:
    for given_as in (value, str(value), format(value, "E")):
        number = exact_number(given_as, "size")
        assert Fraction(number) == Fraction(value)
        assert "E" not in str(plain(number)).upper()
