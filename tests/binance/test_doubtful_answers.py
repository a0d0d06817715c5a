"""Answers in odd states and shapes: unreadable ones, statuses and kinds by table, averages."""

from __future__ import annotations

import json
from decimal import localcontext

import pytest

from tests.binance.order_examples import (
    FILLED,
    FULL,
    MARKET_ORDER,
    ROW,
    SPOT_T,
    USDM_T,
    D,
    S,
    U,
    answer,
)
from unitape.errors import (
    ExchangeUnavailable,
    OrderNotFound,
    OutcomeUnknown,
    WireError,
)
from unitape.spi import (
    OrderRef,
)
from unitape_binance.amounts import average_price


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"[]",
        b"{}",
        b"\xff",
        json.dumps(FULL | {"status": ""}).encode(),
        json.dumps(FULL | {"side": "LEND"}).encode(),
        json.dumps(FULL | {"executedQty": "NaN"}).encode(),
        json.dumps(FULL | {"price": "1E+5"}).encode(),
        json.dumps(FULL | {"price": 1.5}).encode(),
        json.dumps(FULL | {"origQty": "1" * 19}).encode(),
    ],
)
def test_an_accepted_order_whose_answer_cannot_be_read_may_have_happened(body):
    with pytest.raises(OutcomeUnknown) as caught:
        answer(SPOT_T.place(MARKET_ORDER), body)
    assert caught.value.client_id == "k7-000123"
    assert isinstance(caught.value.__cause__, WireError)
    with pytest.raises(WireError) as unread:
        answer(SPOT_T.order(OrderRef(S, "1")), body)
    assert unread.value.data == body


def test_a_check_that_fails_on_the_way_is_no_unknown_order():
    failed = {"code": -1007, "msg": "Timeout waiting for response from backend server."}
    with pytest.raises(ExchangeUnavailable):
        answer(SPOT_T.validate(MARKET_ORDER), failed, 504)
    with pytest.raises(OutcomeUnknown) as caught:
        answer(SPOT_T.place(MARKET_ORDER), failed, 504)
    assert caught.value.client_id == "k7-000123"


def test_nothing_to_cancel_is_no_error():
    nothing = {"code": -2011, "msg": "Unknown order sent."}
    assert answer(SPOT_T.cancel_all(S), nothing, 400) == []
    with pytest.raises(OrderNotFound):
        answer(SPOT_T.cancel(OrderRef(S, "1")), nothing, 400)


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("NEW", "open"),
        ("PENDING_NEW", "pending"),
        ("PARTIALLY_FILLED", "partially_filled"),
        ("FILLED", "filled"),
        ("CANCELED", "canceled"),
        ("PENDING_CANCEL", "open"),
        ("REJECTED", "rejected"),
        ("EXPIRED", "expired"),
        ("EXPIRED_IN_MATCH", "expired"),
        ("SLEEPING", "unknown"),
    ],
)
def test_statuses(word, expected):
    one = answer(SPOT_T.order(OrderRef(S, "1")), ROW | {"status": word})
    other = answer(USDM_T.order(OrderRef(U, "1")), FILLED | {"status": word})
    assert (one.status, one.raw_status) == (other.status, other.raw_status) == (expected, word)


def test_an_order_that_expired_with_fills_is_expired_with_fills():
    expired = FULL | {"status": "EXPIRED", "executedQty": "0.00400000", "cummulativeQuoteQty": "385.64948000"}
    found = answer(SPOT_T.place(MARKET_ORDER), expired)
    assert (found.status, found.filled, found.average) == ("expired", D("0.004"), D("96412.37"))


@pytest.mark.parametrize(
    ("word", "kind", "tif"),
    [
        ("LIMIT", "limit", "gtc"),
        ("LIMIT_MAKER", "limit", "post_only"),
        ("MARKET", "market", None),
        ("STOP_LOSS", "stop", None),
        ("STOP_LOSS_LIMIT", "stop_limit", "gtc"),
        ("TAKE_PROFIT", "take_profit", None),
        ("TAKE_PROFIT_LIMIT", "take_profit_limit", "gtc"),
        ("SOMETHING_NEW", None, "gtc"),
    ],
)
def test_kinds_of_spot(word, kind, tif):
    found = answer(SPOT_T.order(OrderRef(S, "1")), ROW | {"type": word, "stopPrice": "94000.00000000"})
    conditional = word.startswith(("STOP", "TAKE"))
    assert (found.kind, found.tif, found.trigger) == (kind, tif, D(94000) if conditional else None)
    assert (found.price is None) == (word in ("MARKET", "STOP_LOSS", "TAKE_PROFIT"))


@pytest.mark.parametrize(
    ("word", "kind"),
    [
        ("STOP", "stop_limit"),
        ("STOP_MARKET", "stop"),
        ("TAKE_PROFIT", "take_profit_limit"),
        ("TAKE_PROFIT_MARKET", "take_profit"),
        ("TRAILING_STOP_MARKET", None),
        ("LIQUIDATION", None),
    ],
)
def test_kinds_of_futures(word, kind):
    assert answer(USDM_T.order(OrderRef(U, "1")), FILLED | {"origType": word, "type": "MARKET"}).kind == kind


def test_orders_by_cost_have_no_size():
    found = answer(SPOT_T.place(MARKET_ORDER), FULL | {"origQuoteOrderQty": "1000.00000000"})
    assert (found.size, found.filled) == (None, D("0.01"))


def test_the_cost_of_very_old_orders_is_not_known():
    found = answer(SPOT_T.order(OrderRef(S, "1")), FULL | {"cummulativeQuoteQty": "-1.00000000"})
    assert (found.filled, found.average) == (D("0.01"), None)


@pytest.mark.parametrize(
    ("cost", "size", "expected"),
    [
        ("964.12370000", "0.01000000", "96412.37"),
        ("10", "4", "2.5"),
        ("95000", "1", "95000"),
        ("100000", "0.00001", "10000000000"),
        ("1", "3", "0.33333333333333333333"),
        ("2", "3", "0.66666666666666666667"),
        ("198.33521500", "0.00847000", "23416.200118063754427"),
        ("0", "1", "0"),
    ],
)
def test_averages_are_exact_or_rounded_to_20_digits_whatever_the_caller_set(cost, size, expected):
    with localcontext() as context:
        context.prec = 3
        found = average_price(D(cost), D(size))
    assert str(found) == expected


def test_averages_of_nothing():
    assert average_price(D(1), D(0)) is None
    assert average_price(D(-1), D(1)) is None
