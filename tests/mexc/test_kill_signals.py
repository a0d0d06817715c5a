"""The kill switch of the venue's sheet, row by row: what a trading call may be answered, and the class of it."""

from __future__ import annotations

import json

import pytest

from tests.mexc.support import FUTURES as CONTRACTS
from tests.mexc.support import SPOT as PAIRS
from unitape.errors import UnitapeError
from unitape.guards.classify import classify
from unitape.spi import HttpResponse, NewOrder, TradingSettings
from unitape_mexc import FUTURES, SPOT
from unitape_schemas import Order

S, F = "BTC/USDT", "BTC/USDT:USDT"


def class_of(market, status, body):
    """Place an order, have it answered so, and return the class."""
    spot = market is SPOT
    trading = market.trading(PAIRS if spot else CONTRACTS, TradingSettings())
    query = trading.place(NewOrder(S if spot else F, "buy", "limit", "c", size=1, price=1))
    response = HttpResponse(status, body if isinstance(body, bytes) else json.dumps(body).encode())
    try:
        query.read(response, 0)
    except UnitapeError as fault:
        return classify(trading.spec.kill, response, fault)
    raise AssertionError("no success")


def futures(code, message="no reason"):
    return FUTURES, 200, {"success": False, "code": code, "message": message}


def spot(code, message="no reason", status=400):
    return SPOT, status, {"code": code, "msg": message}


HTML = b"<html><body>Moved</body></html>"

ROWS = {
    "removed": [(market, status, HTML) for market in (SPOT, FUTURES) for status in (404, 405, 410, 301, 302, 200)],
    "disabled": [
        *(futures(code) for code in (511, 604, 801, 6001, 1002)),
        spot(11444),
        futures(500, "Under maintenance"),
        futures(9998, "The interface is under maintenance"),
        futures(9998, "this function does not support api"),
    ],
    "contract": [
        (FUTURES, 200, {"success": True, "code": 0, "data": None}),
        (FUTURES, 200, {"success": True, "code": 0, "data": {}}),
        (SPOT, 200, {"symbol": "BTCUSDT"}),
    ],
    "auth": [
        *(futures(code) for code in (401, 402, 406, 602, 701, 702, 703, 704)),
        *(spot(code) for code in (602, 700001, 700002, 700006, 700007)),
    ],
    "unknown": [
        *((market, status, HTML) for market in (SPOT, FUTURES) for status in (500, 502, 503, 504)),
        *(futures(code) for code in (500, 501, 503, 504)),
        *(spot(code, status=200) for code in (500, 503, 504)),
    ],
    "throttled": [
        *((market, status, HTML) for market in (SPOT, FUTURES) for status in (429, 418, 403)),
        futures(510),
    ],
    "reject": [
        *(futures(code) for code in (2005, 2011, 2015, 2007, 7002, 1001)),
        *(spot(code) for code in (30004, 30002, 10101, -1121)),
        spot(10007, "symbol not support api"),
        spot(30020),
    ],
}


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        pytest.param(answer, name, id=f"{name} {n}")
        for name, answers in ROWS.items()
        for n, answer in enumerate(answers)
    ],
)
def test_the_sheets_table(answer, expected):
    assert class_of(*answer) == expected, answer


def test_a_success_is_one():
    trading = FUTURES.trading(CONTRACTS, TradingSettings())
    query = trading.place(NewOrder(F, "buy", "limit", "c", size=1, price=1))
    assert isinstance(query.read(HttpResponse(200, b'{"success":true,"code":0,"data":"8142"}'), 0), Order)


def test_one_closed_contract_is_its_own_affair():
    kill = FUTURES.trading(CONTRACTS, TradingSettings()).spec.kill
    assert kill.symbol_codes == {"1002"}
    families = dict(kill.families)
    assert families["/planorder/"] == "plan"
    assert families["/stoporder/"] == "stop"
