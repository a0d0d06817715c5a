"""Instruments out of the venue's own lists."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest

from unitape.errors import WireError
from unitape.spi import Instruments
from unitape_binance import SPOT, USDM, VENUE
from unitape_binance.symbols import multiplier

SPOT_ROW = {
    "symbol": "BTCUSDT",
    "status": "TRADING",
    "baseAsset": "BTC",
    "quoteAsset": "USDT",
    "isSpotTradingAllowed": True,
    "filters": [
        {"filterType": "PRICE_FILTER", "minPrice": "0.01", "maxPrice": "1000000.00", "tickSize": "0.01000000"},
        {"filterType": "LOT_SIZE", "minQty": "0.00001000", "maxQty": "9000.00000000", "stepSize": "0.00001000"},
        {"filterType": "MARKET_LOT_SIZE", "minQty": "0.0", "maxQty": "110.2", "stepSize": "0.00000000"},
        {"filterType": "NOTIONAL", "minNotional": "5.00000000", "applyMinToMarket": True, "maxNotional": "9000000.0"},
        {"filterType": "MAX_NUM_ORDERS", "maxNumOrders": 200},
        {"filterType": "SOMETHING_NEW", "whatever": [1]},
    ],
    "permissions": [],
}
USDM_ROW = {
    "symbol": "BTCUSDT",
    "pair": "BTCUSDT",
    "contractType": "PERPETUAL",
    "deliveryDate": 4133404800000,
    "status": "TRADING",
    "baseAsset": "BTC",
    "quoteAsset": "USDT",
    "marginAsset": "USDT",
    "pricePrecision": 2,
    "quantityPrecision": 3,
    "filters": [
        {"filterType": "PRICE_FILTER", "minPrice": "261.10", "maxPrice": "809484", "tickSize": "0.10"},
        {"filterType": "LOT_SIZE", "minQty": "0.001", "maxQty": "1000", "stepSize": "0.001"},
        {"filterType": "MARKET_LOT_SIZE", "minQty": "0.001", "maxQty": "120", "stepSize": "0.001"},
        {"filterType": "MAX_NUM_ORDERS", "limit": 200},
        {"filterType": "MIN_NOTIONAL", "notional": "100"},
        {"filterType": "PERCENT_PRICE", "multiplierUp": "1.05", "multiplierDown": "0.95", "multiplierDecimal": "4"},
    ],
}


def spot(*rows):
    return SPOT.read_instruments(json.dumps({"symbols": [SPOT_ROW | row for row in rows]}).encode())


def usdm(*rows):
    return USDM.read_instruments(json.dumps({"symbols": [USDM_ROW | row for row in rows]}).encode())


def test_a_spot_row():
    (found,) = spot({})
    assert (found.venue, found.symbol, found.raw_symbol, found.market) == ("binance", "BTC/USDT", "BTCUSDT", "spot")
    assert (found.base, found.quote, found.settle, found.kind) == ("BTC", "USDT", None, "spot")
    assert (found.tick, found.step) == (Decimal("0.01"), Decimal("0.00001"))
    assert (found.min_size, found.max_size, found.min_notional) == (Decimal("0.00001"), Decimal(9000), Decimal(5))
    assert (found.multiplier, found.status, found.contract_size) == (1, "trading", (1, 1))
    assert str(found.max_size) == "9000"


def test_a_perpetual_takes_its_tick_from_the_filter_and_not_from_the_precision():
    (found,) = usdm({})
    assert (found.symbol, found.kind, found.settle, found.market) == ("BTC/USDT:USDT", "linear", "USDT", "usdm")
    assert (found.tick, found.step, found.min_notional) == (Decimal("0.1"), Decimal("0.001"), Decimal(100))
    assert (found.contract_size, found.min_size, found.max_size) == ((1, 1), Decimal("0.001"), Decimal(1000))


@pytest.mark.parametrize(
    ("row", "symbol", "kind"),
    [
        ({"contractType": "TRADIFI_PERPETUAL", "symbol": "TSLAUSDT", "baseAsset": "TSLA"}, "TSLA/USDT:USDT", "linear"),
        ({"quoteAsset": "USDC", "marginAsset": "USDC", "symbol": "BTCUSDC"}, "BTC/USDC:USDC", "linear"),
        ({"marginAsset": "USDC"}, "BTC/USDT:USDC", "linear"),
        ({"marginAsset": "BTC", "quoteAsset": "USD", "symbol": "BTCUSD_PERP"}, "BTC/USD:BTC", "inverse"),
        ({"contractType": "CURRENT_QUARTER", "symbol": "BTCUSDT_261225"}, "BTC/USDT:USDT-261225", "dated"),
        (
            {"contractType": "NEXT_QUARTER", "symbol": "ODD", "deliveryDate": 1798185600000},
            "BTC/USDT:USDT-261225",
            "dated",
        ),
        ({"contractType": "", "symbol": "BTCSTUSDT"}, "BTCSTUSDT", "other"),
    ],
)
def test_kinds_of_contracts(row, symbol, kind):
    (found,) = usdm(row)
    assert (found.symbol, found.kind) == (symbol, kind)


def test_symbols_are_never_split():
    found = spot(
        {"symbol": "USD1USDT", "baseAsset": "USD1"},
        {"symbol": "USDTTRY", "baseAsset": "USDT", "quoteAsset": "TRY"},
        {"symbol": "币安人生USDT", "baseAsset": "币安人生"},
    )
    assert [item.symbol for item in found] == ["USD1/USDT", "USDT/TRY", "币安人生/USDT"]


@pytest.mark.parametrize(
    ("asset", "known", "expected"),
    [
        ("1000SHIB", set(), 1000),
        ("1000000MOG", set(), 1_000_000),
        ("1MBABYDOGE", set(), 1_000_000),
        ("1000NEW", {"NEW"}, 1000),
        ("1000NEW", set(), 1),
        ("1INCH", {"INCH", "NCH"}, 1),
        ("BTC", set(), 1),
        ("1000", set(), 1),
    ],
)
def test_multipliers(asset, known, expected):
    assert multiplier(asset, known) == expected


def test_a_multiplied_contract_keeps_its_base():
    (found,) = usdm({"symbol": "1000SHIBUSDT", "baseAsset": "1000SHIB"})
    assert (found.symbol, found.base, found.multiplier) == ("1000SHIB/USDT:USDT", "1000SHIB", 1000)


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("TRADING", "trading"),
        ("HALT", "halted"),
        ("BREAK", "halted"),
        ("END_OF_DAY", "halted"),
        ("CANCEL_ONLY", "halted"),
        ("WHAT_IS_THIS", "halted"),
    ],
)
def test_spot_status(word, expected):
    assert spot({"status": word})[0].status == expected


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("TRADING", "trading"),
        ("PENDING_TRADING", "pending"),
        ("PRE_DELIVERING", "halted"),
        ("DELIVERING", "halted"),
        ("DELIVERED", "closed"),
        ("PRE_SETTLE", "halted"),
        ("SETTLING", "halted"),
        ("CLOSE", "closed"),
        ("WHAT_IS_THIS", "halted"),
    ],
)
def test_usdm_status(word, expected):
    assert usdm({"status": word})[0].status == expected


def test_filters_that_are_missing_or_disabled_say_nothing():
    zero = [
        {"filterType": "PRICE_FILTER", "tickSize": "0.00000000"},
        {"filterType": "LOT_SIZE", "stepSize": "0", "minQty": "0.00", "maxQty": "0"},
        {"filterType": "MIN_NOTIONAL", "minNotional": "10.00000000"},
    ]
    bare, disabled = spot({"filters": []}, {"filters": zero})
    for found in (bare, disabled):
        assert (found.tick, found.step, found.min_size, found.max_size) == (None, None, None, None)
    assert (bare.min_notional, disabled.min_notional) == (None, Decimal(10))


@pytest.mark.parametrize("market", [SPOT, USDM])
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{}",
        b'{"symbols":{}}',
        b'{"symbols":[{}]}',
        b'{"symbols":[{"symbol":"","status":"","baseAsset":"A","quoteAsset":"B"}]}',
        (
            b'{"symbols":[{"symbol":"AB","status":"","baseAsset":"A","quoteAsset":"B","filters":'
            b'[{"filterType":"PRICE_FILTER","tickSize":"nan"}]}]}'
        ),
        (
            b'{"symbols":[{"symbol":"AB","status":"","baseAsset":"A","quoteAsset":"B","filters":'
            b'[{"filterType":"LOT_SIZE","stepSize":"-1"}]}]}'
        ),
        (
            b'{"symbols":[{"symbol":"AB","status":"","baseAsset":"A","quoteAsset":"B","filters":'
            b'[{"filterType":"LOT_SIZE","stepSize":"1e99"}]}]}'
        ),
        (
            b'{"symbols":[{"symbol":"AB","status":"","baseAsset":"A","quoteAsset":"B","filters":'
            b'[{"filterType":"LOT_SIZE","stepSize":"one"}]}]}'
        ),
        b"\xff\xfe",
        b"<html>",
        b"[" * 100_000,
    ],
)
def test_what_is_no_list_is_a_wire_error(market, body):
    with pytest.raises(WireError):
        market.read_instruments(body)


@pytest.mark.parametrize(
    ("symbol", "market"),
    [
        ("BTC/USDT", "spot"),
        ("1000SATS/USDT", "spot"),
        ("BTC/USDT:USDT", "usdm"),
        ("BTC/USDT:USDT-261225", "usdm"),
        ("BTC/USD:BTC", None),
        ("BTCUSDT", None),
        ("BTC/", None),
        ("/USDT", None),
        ("BTC/USDT:", None),
        ("", None),
    ],
)
def test_which_market_owns_a_symbol(symbol, market):
    assert [m.name for m in VENUE.markets if m.owns(symbol)] == ([] if market is None else [market])


@pytest.mark.parametrize("market", VENUE.markets)
def test_the_catalogue_stands_for_a_list(market):
    instruments = Instruments(market.catalogue)
    assert len(instruments) == len(market.catalogue) == 8
    assert all(market.owns(item.symbol) and item.market == market.name for item in market.catalogue)
    assert all(instruments.get_raw(item.raw_symbol) is item for item in market.catalogue)
    assert all(item.tick and item.step and item.min_notional for item in market.catalogue)


def test_catalogue_facts_that_the_protocol_sheet_states():
    spot_btc, usdm_btc = SPOT.catalogue[0], USDM.catalogue[0]
    assert (spot_btc.tick, spot_btc.step, spot_btc.max_size) == (Decimal("0.01"), Decimal("0.00001"), Decimal(9000))
    assert (usdm_btc.tick, usdm_btc.step, usdm_btc.min_notional) == (Decimal("0.10"), Decimal("0.001"), Decimal(100))
    shib = Instruments(USDM.catalogue).require("1000SHIB/USDT:USDT")
    assert (shib.raw_symbol, shib.multiplier) == ("1000SHIBUSDT", 1000)


def test_the_venue_answers_to_its_names():
    assert VENUE.market("futures") is VENUE.market("usdm") is USDM
    assert VENUE.market("spot") is SPOT
