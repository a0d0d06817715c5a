"""Every row of the venue's error pages for a trading call, on both markets, typed from the pages."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest

from unitape.errors import (
    AuthenticationFailed,
    DuplicateOrder,
    ExchangeUnavailable,
    InsufficientFunds,
    InvalidOrder,
    InvalidRequest,
    InvalidSymbol,
    MarketClosed,
    NoChange,
    OrderNotFound,
    OutcomeUnknown,
    PermissionDenied,
    PostOnlyWouldCross,
    RateLimited,
    ReduceOnlyRejected,
    TimestampOutOfWindow,
    TooManyOpenOrders,
    Unsupported,
)
from unitape.spi import HttpResponse, Instruments, NewOrder, OrderRef, TradingSettings
from unitape_binance import SPOT, USDM

SPOT_T = SPOT.trading(Instruments(SPOT.catalogue), TradingSettings())
USDM_T = USDM.trading(Instruments(USDM.catalogue), TradingSettings())
CALLS = {
    "spot": (SPOT_T, "BTC/USDT"),
    "usdm": (USDM_T, "BTC/USDT:USDT"),
}

BOTH = [
    ("-1000 -1006 -1007", OutcomeUnknown),
    ("-1002 -1022 -2014 -2015 -1125", AuthenticationFailed),
    ("-1003 -1015", RateLimited),
    ("-1010 -1013 -1014 -1111 -1114 -1115 -1116 -1117 -1118 -1119", InvalidOrder),
    ("-1016 -1112 -2016", ExchangeUnavailable),
    ("-1020", Unsupported),
    ("-1021", TimestampOutOfWindow),
    ("-1100 -1101 -1102 -1103 -1104 -1105 -1106 -1120 -1122 -1127 -1128 -1130 -1131", InvalidRequest),
    ("-1121", InvalidSymbol),
    ("-2010 -2011", InvalidOrder),
    ("-2013", OrderNotFound),
    # Codes of no page: never an unknown outcome.
    ("-1990", InvalidRequest),
    ("-2990 -4990 -5990", InvalidOrder),
]
SPOT_ONLY = [
    # The pages do not say that nothing happened.
    ("-1001 -1008", OutcomeUnknown),
    ("-1034", RateLimited),
    ("-1108 -1134 -1135 -1139 -1145 -1151 -1194 -2043", InvalidRequest),
    ("-1158 -1160 -1165 -1168 -1196 -1197 -1198 -1199 -1222 -1223 -1224 -1225 -1210 -1211", InvalidOrder),
    ("-1220", MarketClosed),
    ("-2026", OrderNotFound),
    ("-2035", NoChange),
    ("-2036", AuthenticationFailed),
    ("-2038 -2039", InvalidOrder),
    ("-2042", ExchangeUnavailable),
]
USDM_ONLY = [
    ("-1001 -1008", ExchangeUnavailable),
    ("-1011 -1099 -2023 -4087 -4088 -4109 -4189 -4192 -4400 -4401 -4402 -4403", PermissionDenied),
    ("-1023 -1108 -1109 -1110 -1126 -1136 -4021 -4028 -4032 -4082 -4083 -4161 -4165 -4166", InvalidRequest),
    ("-4047 -4048 -4067 -4068 -4167 -4168 -4169 -4170 -4172 -4531 -4202 -4205 -4209", InvalidRequest),
    ("-2012", OutcomeUnknown),
    ("-2017", AuthenticationFailed),
    ("-2018 -2019 -4050 -4051 -2027 -2028", InsufficientFunds),
    ("-2020 -2021 -2026 -4142 -4062 -4138 -4131 -4137 -4060 -4061 -4117 -4164 -5029", InvalidOrder),
    ("-4001 -4002 -4003 -4004 -4005 -4006 -4007 -4013 -4014 -4015 -4016 -4023 -4024", InvalidOrder),
    ("-4183 -4184 -4210 -4211 -5021 -5024 -5025 -5026 -5043 -5037 -5038 -5039 -5040 -5041 -5047", InvalidOrder),
    ("-2022 -2024 -4118", ReduceOnlyRejected),
    ("-2025 -4045", TooManyOpenOrders),
    ("-4116", DuplicateOrder),
    ("-4046 -4059 -4171 -5027", NoChange),
    ("-4104 -4144", InvalidSymbol),
    ("-4105 -4106 -4107 -4140 -4141", MarketClosed),
    ("-4120", Unsupported),
    ("-5022", PostOnlyWouldCross),
    ("-5028", TimestampOutOfWindow),
]
TABLE = [
    (market, int(code), expected)
    for markets, rows in ((("spot", "usdm"), BOTH), (("spot",), SPOT_ONLY), (("usdm",), USDM_ONLY))
    for codes, expected in rows
    for market in markets
    for code in codes.split()
]


def refused(query, status, body, headers=()):
    with pytest.raises(Exception) as caught:
        query.read(HttpResponse(status, body, headers), 1_793_923_200_000_000_000)
    return caught.value


def place(market):
    trading, symbol = CALLS[market]
    return trading.place(NewOrder(symbol, "buy", "market", "k7-1", size=Decimal(1)))


@pytest.mark.parametrize(("market", "code", "expected"), TABLE)
def test_codes(market, code, expected):
    body = json.dumps({"code": code, "msg": "words"}).encode()
    error = refused(place(market), 400, body)
    assert type(error) is expected
    if expected is OutcomeUnknown:
        assert error.client_id == "k7-1"
    elif expected is not Unsupported:
        assert (error.code, error.text, error.status, error.venue) == (str(code), "words", 400, "binance")
    # The same refusal of a query is never an open outcome.
    trading, symbol = CALLS[market]
    asked = refused(trading.order(OrderRef(symbol, "1")), 400, body)
    assert type(asked) is (ExchangeUnavailable if expected is OutcomeUnknown else expected)


SPOT_TEXTS = [
    ("Account has insufficient balance for requested action.", InsufficientFunds),
    ("Duplicate order sent.", DuplicateOrder),
    ("Order would immediately match and take.", PostOnlyWouldCross),
    ("Order would trigger immediately.", InvalidOrder),
    ("Market is closed.", MarketClosed),
    ("Unknown order sent.", OrderNotFound),
    ("This action is disabled on this account.", PermissionDenied),
    ("This account may not place or cancel orders.", PermissionDenied),
    ("Spot trading is not enabled for this account.", PermissionDenied),
    ("This symbol is not permitted for this account.", PermissionDenied),
    ("This symbol is restricted for this account.", PermissionDenied),
    ("Stop loss orders are not supported for this symbol.", InvalidOrder),
    ("Not enough order book liquidity.", InvalidOrder),
    ("Price * QTY is zero or less.", InvalidOrder),
    ("IcebergQty exceeds QTY.", InvalidOrder),
    ("The relationship of the prices for the orders is not correct.", InvalidOrder),
    ("The requested action would change no state; rejecting.", NoChange),
]


@pytest.mark.parametrize(("text", "expected"), SPOT_TEXTS)
@pytest.mark.parametrize("code", [-1010, -2010, -2011, -2038])
def test_texts_of_spot(code, text, expected):
    assert type(refused(place("spot"), 400, json.dumps({"code": code, "msg": text}).encode())) is expected


FILTERS = [
    *((name, InvalidOrder) for name in ("PRICE_FILTER", "PERCENT_PRICE", "PERCENT_PRICE_BY_SIDE", "LOT_SIZE")),
    *((name, InvalidOrder) for name in ("MIN_NOTIONAL", "NOTIONAL", "ICEBERG_PARTS", "MARKET_LOT_SIZE")),
    *((name, InvalidOrder) for name in ("MAX_POSITION", "TRAILING_DELTA")),
    *((name, TooManyOpenOrders) for name in ("MAX_NUM_ORDERS", "MAX_NUM_ALGO_ORDERS", "MAX_NUM_ICEBERG_ORDERS")),
    *((name, TooManyOpenOrders) for name in ("MAX_NUM_ORDER_AMENDS", "MAX_NUM_ORDER_LISTS")),
    ("EXCHANGE_MAX_NUM_ORDERS", TooManyOpenOrders),
]


@pytest.mark.parametrize(("name", "expected"), FILTERS)
def test_filters_of_spot(name, expected):
    body = json.dumps({"code": -1013, "msg": f"Filter failure: {name}"}).encode()
    assert type(refused(place("spot"), 400, body)) is expected


UNKNOWN = b'{"code":-1000,"msg":"Unknown error, please check your request or try again later."}'
STATUSES = [
    # status, body, spot, usdm
    (401, b"", AuthenticationFailed, AuthenticationFailed),
    (403, b"<html>", RateLimited, RateLimited),
    (404, b"<html>", Unsupported, Unsupported),
    (408, b"", OutcomeUnknown, OutcomeUnknown),
    (408, b'{"code":-1007,"msg":"Timeout"}', OutcomeUnknown, OutcomeUnknown),
    (410, b"<html>", Unsupported, Unsupported),
    (418, b'{"code":-1003,"msg":"banned"}', RateLimited, RateLimited),
    (429, b'{"code":-1015,"msg":"Too many new orders"}', RateLimited, RateLimited),
    (451, b"", PermissionDenied, PermissionDenied),
    (500, b"", OutcomeUnknown, OutcomeUnknown),
    (500, b'{"code":-1000,"msg":"x"}', OutcomeUnknown, OutcomeUnknown),
    (502, b"<html>Bad gateway</html>", OutcomeUnknown, OutcomeUnknown),
    (502, b'{"code":-1999,"msg":"of no page"}', OutcomeUnknown, OutcomeUnknown),
    (503, UNKNOWN, OutcomeUnknown, OutcomeUnknown),
    (503, b'{"msg":"Service Unavailable."}', OutcomeUnknown, ExchangeUnavailable),
    (
        503,
        b'{"code":-1001,"msg":"Internal error; unable to process your request. Please try again."}',
        OutcomeUnknown,
        ExchangeUnavailable,
    ),
    (503, b'{"code":-1008,"msg":"overloaded"}', OutcomeUnknown, ExchangeUnavailable),
    (503, b"what nobody has seen yet", OutcomeUnknown, OutcomeUnknown),
    (504, b"", OutcomeUnknown, OutcomeUnknown),
]


@pytest.mark.parametrize(("status", "body", "spot", "usdm"), STATUSES)
def test_statuses(status, body, spot, usdm):
    for market, expected in (("spot", spot), ("usdm", usdm)):
        assert type(refused(place(market), status, body)) is expected


def test_limits_say_when_to_come_back():
    error = refused(place("usdm"), 429, b'{"code":-1015,"msg":"Too many new orders"}', (("retry-after", "7"),))
    assert (error.retry_after, error.code) == (7.0, "-1015")
