"""What refusals of private requests mean, code by code as the sheet lists them, and what leaves a write open."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest

from tests.mexc.support import NOW
from tests.mexc.test_order_requests import F, S, futures, new, perp, spot
from tests.recordings import RECORDINGS, needs_recordings
from unitape import errors
from unitape.errors import OutcomeUnknown
from unitape.spi import HttpRequest, HttpResponse, OrderRef
from unitape_mexc import FUTURES, SPOT

ID, FID = OrderRef(S, "C02__5"), OrderRef(F, "5")
PLACE, ASK = spot().place(new()), spot().order(ID)
FPLACE, FASK = futures().place(perp()), futures().order(FID)


def refused(query, body, status, headers=()):
    data = body.encode() if isinstance(body, str) else json.dumps(body).encode()
    with pytest.raises(errors.UnitapeError) as caught:
        query.read(HttpResponse(status, data, headers), NOW)
    return caught.value


SPOT_CODES = {
    errors.InvalidSymbol: "-1121 10007 30014 30021 730001",
    errors.InvalidRequest: "-1128 10015 10099 33333 44444 700004 700005 700008 700013 730002",
    errors.InsufficientFunds: "-2010 10101 30004 30005 88004 88015",
    errors.OrderNotFound: "-2011 -2013 22222 30026",
    errors.InvalidOrder: "26 10095 10096 10097 10102 30001 30002 30003 30010 30018 30019 30025 30027 30028 30032 30041 "
    "30051 30087",
    errors.MarketClosed: "30000 30016",
    errors.TooManyOpenOrders: "30029",
    errors.AuthenticationFailed: "401 602 10001 10072 700001 700002",
    errors.PermissionDenied: "403 10098 30020 60005 70011 140001 140002 700006 700007 730100",
    errors.TimestampOutOfWindow: "10073 700003",
    errors.RateLimited: "429",
    errors.ExchangeUnavailable: "11444",
    errors.VenueError: "730000 730003 20001",
}
FUTURES_CODES = {
    errors.AuthenticationFailed: "401 402 602 1000",
    errors.PermissionDenied: "403 406 511 701 702 703 704 6001 6002",
    errors.ExchangeUnavailable: "604 801",
    errors.RateLimited: "429 510 2037",
    errors.TimestampOutOfWindow: "513",
    errors.InvalidRequest: "506 600 601 1003 2013 2014 2026 2034 4001 6003 6004 8817",
    errors.InvalidSymbol: "1001 6005",
    errors.MarketClosed: "1002",
    errors.InvalidOrder: "1004 2001 2002 2003 2004 2006 2007 2011 2015 2016 2019 2021 2022 2023 2024 2025 2027 2028 "
    "2029 2030 2031 2032 2033 2035 2038 3001 3002 3003 3004 5001 5003 5004 7002",
    errors.ReduceOnlyRejected: "2008 2009",
    errors.InsufficientFunds: "2005 2018",
    errors.TooManyOpenOrders: "2036",
    errors.OrderNotFound: "2040 2041 5002",
}
OPEN = {"spot": "500 503 504 -1003 20002", "futures": "500 501 603 9999"}


def listed(table):
    return [(code, kind) for kind, codes in table.items() for code in codes.split()]


@pytest.mark.parametrize(("code", "kind"), listed(SPOT_CODES))
@pytest.mark.parametrize("as_text", [False, True])
def test_spot_codes(code, kind, as_text):
    body = {"code": code if as_text else int(code), "msg": "words", "_extend": None}
    for query in (PLACE, ASK):
        error = refused(query, body, 400)
        assert type(error) is kind
        assert (error.code, error.text, error.status, error.venue) == (code, "words", 400, "mexc")
    # Some come with status 200.
    assert type(refused(PLACE, body, 200)) is kind


@pytest.mark.parametrize(("code", "kind"), listed(FUTURES_CODES))
def test_futures_codes(code, kind):
    body = {"success": False, "code": int(code), "message": "words"}
    for query in (FPLACE, FASK):
        error = refused(query, body, 200)
        assert type(error) is kind
        assert (error.code, error.text, error.status) == (code, "words", 200)


def test_codes_that_leave_a_write_open():
    for code in OPEN["spot"].split():
        error = refused(PLACE, {"code": int(code), "msg": "oops"}, 400)
        assert type(error) is OutcomeUnknown
        assert error.client_id == "cid-1"
        assert isinstance(refused(ASK, {"code": int(code), "msg": "oops"}, 400), errors.VenueError)
    for code in OPEN["futures"].split():
        body = {"success": False, "code": int(code), "message": "oops"}
        assert type(refused(FPLACE, body, 200)) is OutcomeUnknown
        assert isinstance(refused(FASK, body, 200), errors.VenueError)
        closed = body | {"message": "Under maintenance"}
        assert not isinstance(refused(FPLACE, closed, 200), OutcomeUnknown)
    assert type(refused(FPLACE, {"success": False, "code": 500, "message": "Under maintenance"}, 200)) is (
        errors.ExchangeUnavailable
    )


@pytest.mark.parametrize(
    ("place", "ask", "sure"),
    [
        (PLACE, ASK, {"code": 30004, "msg": "Insufficient position"}),
        (FPLACE, FASK, {"success": False, "code": 2005, "message": "Balance insufficient"}),
    ],
)
def test_the_transport_level(place, ask, sure):
    for status in (500, 502, 503, 504, 520):
        for body in ("", "<html>bad gateway</html>", {"code": 987654, "msg": "?"}):
            assert type(refused(place, body, status)) is OutcomeUnknown
        assert type(refused(ask, "<html>", status)) is errors.ExchangeUnavailable
        # A code that names a fault of the order says that it was not placed, whatever the status.
        assert type(refused(place, sure, status)) is errors.InsufficientFunds
    for query in (place, ask):
        firewall = refused(query, "<html>denied</html>", 403)
        assert (type(firewall), firewall.retry_after) == (errors.RateLimited, 60.0)
        assert type(refused(query, {"code": 403, "msg": "Access Denied"}, 403)) is errors.PermissionDenied
        for status in (418, 429):
            limited = refused(query, "", status, (("Retry-After", "7"),))
            assert (type(limited), limited.retry_after) == (errors.RateLimited, 7.0)
        assert type(refused(query, "", 401)) is errors.AuthenticationFailed
        for status in (301, 404, 405, 410):
            assert type(refused(query, "<html>gone</html>", status)) is errors.VenueError


def test_a_success_of_futures_is_a_success_by_word_and_by_code():
    done = {"data": {"orderId": "5", "ts": 1}}
    for code in (0, 200):
        found = FPLACE.read(HttpResponse(200, json.dumps(done | {"success": True, "code": code}).encode()), NOW)
        assert found.id == "5"
    for wrong in (
        {"success": False, "code": 0},
        {"success": False, "code": 200},
        {"success": True, "code": 2005},
        {"success": True},
        {"code": 200},
        {"success": "true", "code": 0},
    ):
        assert type(refused(FPLACE, done | wrong, 200)) is OutcomeUnknown
        assert isinstance(refused(FASK, done | wrong, 200), errors.UnitapeError)


def test_the_markets_read_errors_of_requests():
    write = HttpRequest("POST", "/x", write=True)
    for market in (SPOT, FUTURES):
        assert type(market.read_error(HttpResponse(502, b""), write)) is OutcomeUnknown
        unavailable = market.read_error(HttpResponse(502, b""), HttpRequest("GET", "/x"))
        assert type(unavailable) is errors.ExchangeUnavailable


def test_codes_with_two_meanings():
    assert type(refused(PLACE, {"code": 700004, "msg": "Mandatory parameter 'signature'"}, 400)) is (
        errors.AuthenticationFailed
    )
    assert type(refused(PLACE, {"code": 30018, "msg": "account may not order"}, 400)) is errors.PermissionDenied
    assert type(refused(PLACE, {"code": 400, "msg": "api key required"}, 400)) is errors.AuthenticationFailed
    assert type(refused(PLACE, {"code": 400, "msg": "time range"}, 400)) is errors.InvalidRequest


@needs_recordings
def test_every_code_of_the_sheet_is_in_a_table():
    """The sheet's tables of both markets, read here line by line."""
    from unitape_mexc.errors import FUTURES_CODES as FUTURES_TABLE
    from unitape_mexc.errors import SPOT_CODES as SPOT_TABLE

    text = (RECORDINGS.parent / "venues" / "mexc" / "errors.md").read_text()
    checked = 0
    for heading, table in (("## 2. Spot", SPOT_TABLE), ("## 3. Futures", FUTURES_TABLE)):
        part = text.split(heading)[1].split("\n## ")[0]
        for line in part.splitlines():
            cell = line.split("|")[1].strip() if line.startswith("| ") else ""
            for word in cell.replace("/", ",").split(","):
                code, _, last = word.strip().partition("–")
                if not code.lstrip("-").isdigit():
                    continue
                for number in range(int(code), int(last or code) + 1) if code[0] != "-" else [int(code)]:
                    if number in (0, 200):
                        continue
                    assert str(number) in table, (heading, number)
                    checked += 1
    assert checked > 170


@pytest.mark.parametrize("title", ["MEXC spot", "MEXC futures"])
def test_the_page_of_errors_shows_what_words_and_statuses_mean(title):
    spec = importlib.util.spec_from_file_location("docs_hooks", Path(__file__).parents[2] / "docs" / "hooks.py")
    hooks = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(hooks)
    page = "\n".join(hooks.error_tables())
    section = next(part for part in page.split("### ") if part.startswith(f"{title}\n"))
    cells = {line.split(" | ")[0]: line.split(" | ")[1] for line in section.splitlines() if line.startswith("| ")}
    assert cells["| code and text: `400` and `api key`, `700004` and `signature`"] == "`AuthenticationFailed`"
    assert cells["| code and text: `30018` and `account`"] == "`PermissionDenied`"
    assert cells["| HTTP `401`"] == "`AuthenticationFailed`"
    assert cells["| HTTP `403`, `418`, `429`"] == "`RateLimited`"
