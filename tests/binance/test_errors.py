"""The tables of refusals, row by row, typed from the venue's pages."""

from __future__ import annotations

import json

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
from unitape.spi import HttpRequest, HttpResponse
from unitape_binance import SPOT, USDM
from unitape_binance.errors import read_error

READ = HttpRequest("GET", "/api/v3/depth", "symbol=BTCUSDT")
WRITE = HttpRequest("POST", "/api/v3/order", "symbol=BTCUSDT&newClientOrderId=k7-000126&timestamp=1", write=True)


def answer(market, status, code=None, text="words", request=READ, headers=(), body=None):
    payload = body if body is not None else json.dumps({"code": code, "msg": text}).encode()
    return market.read_error(HttpResponse(status, payload, headers), request)


@pytest.mark.parametrize(
    ("code", "spot", "usdm"),
    [
        (-1002, AuthenticationFailed, AuthenticationFailed),
        (-1003, RateLimited, RateLimited),
        (-1010, InvalidOrder, InvalidOrder),
        (-1011, InvalidRequest, PermissionDenied),
        (-1013, InvalidOrder, InvalidOrder),
        (-1014, InvalidOrder, InvalidOrder),
        (-1015, RateLimited, RateLimited),
        (-1016, ExchangeUnavailable, ExchangeUnavailable),
        (-1020, Unsupported, Unsupported),
        (-1021, TimestampOutOfWindow, TimestampOutOfWindow),
        (-1022, AuthenticationFailed, AuthenticationFailed),
        (-1034, RateLimited, InvalidRequest),
        (-1100, InvalidRequest, InvalidRequest),
        (-1106, InvalidRequest, InvalidRequest),
        (-1108, InvalidRequest, InvalidRequest),
        (-1111, InvalidOrder, InvalidOrder),
        (-1112, ExchangeUnavailable, ExchangeUnavailable),
        (-1114, InvalidOrder, InvalidOrder),
        (-1119, InvalidOrder, InvalidOrder),
        (-1120, InvalidRequest, InvalidRequest),
        (-1121, InvalidSymbol, InvalidSymbol),
        (-1122, InvalidRequest, InvalidRequest),
        (-1125, AuthenticationFailed, AuthenticationFailed),
        (-1130, InvalidRequest, InvalidRequest),
        (-1168, InvalidOrder, InvalidRequest),
        (-1220, MarketClosed, InvalidRequest),
        (-1225, InvalidOrder, InvalidRequest),
        (-2010, InvalidOrder, InvalidOrder),
        (-2013, OrderNotFound, OrderNotFound),
        (-2014, AuthenticationFailed, AuthenticationFailed),
        (-2015, AuthenticationFailed, AuthenticationFailed),
        (-2016, ExchangeUnavailable, ExchangeUnavailable),
        (-2018, InvalidOrder, InsufficientFunds),
        (-2019, InvalidOrder, InsufficientFunds),
        (-2021, InvalidOrder, InvalidOrder),
        (-2022, InvalidOrder, ReduceOnlyRejected),
        (-2025, InvalidOrder, TooManyOpenOrders),
        (-2026, OrderNotFound, InvalidOrder),
        (-2027, InvalidOrder, InsufficientFunds),
        (-2035, NoChange, InvalidOrder),
        (-4003, InvalidOrder, InvalidOrder),
        (-4021, InvalidOrder, InvalidRequest),
        (-4028, InvalidOrder, InvalidRequest),
        (-4046, InvalidOrder, NoChange),
        (-4051, InvalidOrder, InsufficientFunds),
        (-4061, InvalidOrder, InvalidOrder),
        (-4088, InvalidOrder, PermissionDenied),
        (-4104, InvalidOrder, InvalidSymbol),
        (-4106, InvalidOrder, MarketClosed),
        (-4116, InvalidOrder, DuplicateOrder),
        (-4118, InvalidOrder, ReduceOnlyRejected),
        (-4120, InvalidOrder, Unsupported),
        (-4141, InvalidOrder, MarketClosed),
        (-4164, InvalidOrder, InvalidOrder),
        (-4166, InvalidOrder, InvalidRequest),
        (-4171, InvalidOrder, NoChange),
        (-4403, InvalidOrder, PermissionDenied),
        (-5021, InvalidOrder, InvalidOrder),
        (-5022, InvalidOrder, PostOnlyWouldCross),
        (-5027, InvalidOrder, NoChange),
        (-5028, InvalidOrder, TimestampOutOfWindow),
        (-5047, InvalidOrder, InvalidOrder),
        (-1999, InvalidRequest, InvalidRequest),
        (-2999, InvalidOrder, InvalidOrder),
        (-9000, InvalidOrder, InvalidOrder),
    ],
)
def test_codes(code, spot, usdm):
    for market, expected in ((SPOT, spot), (USDM, usdm)):
        error = answer(market, 400, code)
        assert type(error) is expected
        assert "words" in str(error)
        if expected is not Unsupported:
            assert (error.code, error.status, error.venue) == (str(code), 400, "binance")


@pytest.mark.parametrize(
    ("code", "spot", "usdm"),
    [
        (-1000, OutcomeUnknown, OutcomeUnknown),
        (-1001, OutcomeUnknown, ExchangeUnavailable),
        (-1006, OutcomeUnknown, OutcomeUnknown),
        (-1007, OutcomeUnknown, OutcomeUnknown),
        (-1008, OutcomeUnknown, ExchangeUnavailable),
    ],
)
def test_codes_that_leave_a_write_open(code, spot, usdm):
    for market, expected in ((SPOT, spot), (USDM, usdm)):
        error = answer(market, 503, code, request=WRITE)
        assert type(error) is expected
        if expected is OutcomeUnknown:
            assert error.client_id == "k7-000126"
        assert type(answer(market, 503, code)) is ExchangeUnavailable


@pytest.mark.parametrize(
    ("code", "text", "expected"),
    [
        (-2010, "Account has insufficient balance for requested action.", InsufficientFunds),
        (-2010, "Duplicate order sent.", DuplicateOrder),
        (-2010, "Order would immediately match and take.", PostOnlyWouldCross),
        (-2010, "Order would trigger immediately.", InvalidOrder),
        (-2010, "Market is closed.", MarketClosed),
        (-2011, "Unknown order sent.", OrderNotFound),
        (-2011, "Order was not canceled due to cancel restrictions.", InvalidOrder),
        (-2010, "This action is disabled on this account.", PermissionDenied),
        (-2010, "This account may not place or cancel orders.", PermissionDenied),
        (-2010, "This symbol is not permitted for this account.", PermissionDenied),
        (-2010, "This symbol is restricted for this account.", PermissionDenied),
        (-2010, "IcebergQty exceeds QTY.", InvalidOrder),
        (-2038, "The requested action would change no state; rejecting.", NoChange),
        (-1013, "Filter failure: LOT_SIZE", InvalidOrder),
        (-1013, "Filter failure: MAX_NUM_ORDERS", TooManyOpenOrders),
        (-1013, "Filter failure: EXCHANGE_MAX_NUM_ORDERS", TooManyOpenOrders),
    ],
)
def test_texts(code, text, expected):
    assert type(answer(SPOT, 400, code, text)) is expected


@pytest.mark.parametrize(
    ("status", "body", "spot", "usdm"),
    [
        (400, b"", InvalidRequest, InvalidRequest),
        (401, b"", AuthenticationFailed, AuthenticationFailed),
        (403, b"<html>blocked</html>", RateLimited, RateLimited),
        (404, b"", Unsupported, Unsupported),
        (408, b"", OutcomeUnknown, OutcomeUnknown),
        (410, b"<html>gone</html>", Unsupported, Unsupported),
        (418, b'{"code":-1003,"msg":"banned"}', RateLimited, RateLimited),
        (429, b'{"code":-1003,"msg":"too many"}', RateLimited, RateLimited),
        (451, b'{"code":0,"msg":"restricted location"}', PermissionDenied, PermissionDenied),
        (500, b"", OutcomeUnknown, OutcomeUnknown),
        (502, b"\xff\xfe<html>", OutcomeUnknown, OutcomeUnknown),
        (
            503,
            b'{"msg":"Unknown error, please check your request or try again later."}',
            OutcomeUnknown,
            OutcomeUnknown,
        ),
        (503, b'{"msg":"Service Unavailable."}', OutcomeUnknown, ExchangeUnavailable),
        (
            503,
            b'{"msg":"Internal error; unable to process your request. Please try again."}',
            OutcomeUnknown,
            ExchangeUnavailable,
        ),
        (503, b'{"msg":"something new"}', OutcomeUnknown, OutcomeUnknown),
        (504, b"", OutcomeUnknown, OutcomeUnknown),
    ],
)
def test_status_of_a_write(status, body, spot, usdm):
    for market, expected in ((SPOT, spot), (USDM, usdm)):
        assert type(answer(market, status, body=body, request=WRITE)) is expected
        read = answer(market, status, body=body)
        assert type(read) is (ExchangeUnavailable if expected is OutcomeUnknown else expected)


def test_retry_after_is_in_seconds():
    error = answer(SPOT, 429, -1003, headers=(("Retry-After", "37"),))
    assert (error.retry_after, error.status, error.code) == (37.0, 429, "-1003")
    assert answer(SPOT, 429, -1003).retry_after is None


def test_a_ban_ends_when_its_text_says():
    text = "Way too much request weight used; IP banned until 1793923260000. Please use WebSocket Streams."
    response = HttpResponse(418, json.dumps({"code": -1003, "msg": text}).encode())
    error = read_error(response, READ, "spot", 1_793_923_200_000_000_000)
    assert isinstance(error, RateLimited)
    assert error.retry_after == 60.0
    assert read_error(response, READ, "spot", 1_793_999_999_000_000_000).retry_after == 0.0


def test_half_of_a_cancel_and_replace_is_read_by_its_own_code():
    body = {
        "code": -2021,
        "msg": "Order cancel-replace partially failed.",
        "data": {
            "cancelResult": "SUCCESS",
            "newOrderResult": "FAILURE",
            "cancelResponse": {"symbol": "BTCUSDT", "orderId": 1},
            "newOrderResponse": {"code": -2010, "msg": "Account has insufficient balance for requested action."},
        },
    }
    assert type(answer(SPOT, 409, body=json.dumps(body).encode(), request=WRITE)) is InsufficientFunds
    body["data"] = {
        "cancelResult": "FAILURE",
        "newOrderResult": "NOT_ATTEMPTED",
        "cancelResponse": {"code": -2011, "msg": "Unknown order sent."},
        "newOrderResponse": None,
    }
    body["code"] = -2022
    assert type(answer(SPOT, 400, body=json.dumps(body).encode(), request=WRITE)) is OrderNotFound


def test_a_text_that_says_unknown_wins_over_its_code():
    text = "Timeout waiting for response from backend server. Send status unknown; execution status unknown."
    assert type(answer(SPOT, 400, -1999, text, request=WRITE)) is OutcomeUnknown
