"""Queries: what they ask, how far they reach, and how refusals read."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from tests.weex.support import CONTRACT, HERE, MS, RECV, SPOT, example, frame
from unitape import errors
from unitape.errors import Unsupported, WireError
from unitape.spi import HttpRequest, HttpResponse, Instruments
from unitape_schemas import Subscription
from unitape_weex import signing
from unitape_weex.errors import CODES, classify
from unitape_weex.rest import LENGTHS, WeexRest

BTC, PERP = "BTC/USDT", "BTC/USDT:USDT"
MINUTE = 60_000


def rest(market: str) -> WeexRest:
    chosen = SPOT if market == "spot" else CONTRACT
    return WeexRest(chosen._paths, Instruments(chosen.catalogue))


def candle_rows(start: int, count: int) -> HttpResponse:
    rows = [[start + n * MINUTE, "1", "2", "1", "2", "3", 0, "4", 5, "1", "1"] for n in range(count)]
    return HttpResponse(200, frame(rows[::-1]))


@pytest.mark.parametrize(
    ("market", "query", "target", "weight"),
    [
        ("spot", lambda r: r.instruments(), "/api/v3/exchangeInfo", 20),
        ("spot", lambda r: r.time(), "/api/v3/time", 1),
        ("spot", lambda r: r.depth(BTC), "/api/v3/market/depth?symbol=BTCUSDT&limit=200", 5),
        ("spot", lambda r: r.depth(BTC, 10), "/api/v3/market/depth?symbol=BTCUSDT&limit=15", 5),
        ("spot", lambda r: r.trades(BTC, 5000), "/api/v3/market/trades?symbol=BTCUSDT&limit=1000", 25),
        ("spot", lambda r: r.candles(BTC, "1M"), "/api/v3/market/klines?symbol=BTCUSDT&interval=1M", 2),
        ("spot", lambda r: r.tickers(), "/api/v3/market/ticker/24hr", 2),
        (
            "spot",
            lambda r: r.tickers([BTC, "ETH/USDT"]),
            "/api/v3/market/ticker/24hr?symbols=BTCUSDT%2CETHUSDT",
            2,
        ),
        ("contract", lambda r: r.instruments(), "/capi/v3/market/exchangeInfo", 1),
        ("contract", lambda r: r.time(), "/capi/v3/market/time", 1),
        ("contract", lambda r: r.depth(PERP, 15), "/capi/v3/market/depth?symbol=BTCUSDT&limit=15", 1),
        ("contract", lambda r: r.tickers([PERP]), "/capi/v3/market/ticker/24hr?symbol=BTCUSDT", 40),
        (
            "contract",
            lambda r: r.candles(PERP, "1m", limit=7),
            "/capi/v3/market/klines?symbol=BTCUSDT&interval=1m&limit=7",
            1,
        ),
        (
            "contract",
            lambda r: r.candles(PERP, "1m", start=60_000 * MS, end=180_000 * MS),
            (
                "/capi/v3/market/historyKlines?symbol=BTCUSDT&interval=1m&startTime=60000&endTime=180000&limit=100"
                "&priceType=LAST"
            ),
            5,
        ),
        (
            "contract",
            lambda r: r.candles(PERP, "1m", start=60_000 * MS, end=10**18, limit=10),
            (
                "/capi/v3/market/historyKlines?symbol=BTCUSDT&interval=1m&startTime=60000&endTime=660000&limit=10"
                "&priceType=LAST"
            ),
            5,
        ),
        (
            "contract",
            lambda r: r.funding_history(PERP, start=1 * MS, end=9 * MS),
            "/capi/v3/market/fundingRate?symbol=BTCUSDT&startTime=1&endTime=9&limit=1000",
            5,
        ),
        (
            "contract",
            lambda r: r.poll(Subscription("funding", PERP)),
            "/capi/v3/market/premiumIndex?symbol=BTCUSDT",
            1,
        ),
        (
            "contract",
            lambda r: r.poll(Subscription("open_interest", PERP)),
            "/capi/v3/market/openInterest?symbol=BTCUSDT",
            2,
        ),
    ],
)
def test_what_is_asked(market: str, query: object, target: str, weight: int) -> None:
    request = query(rest(market)).request  # type: ignore[operator]
    assert (request.method, request.target, request.weight) == ("GET", target, weight)


def test_what_a_market_lacks_says_so() -> None:
    for ask in (
        lambda: rest("spot").funding_history(BTC),
        lambda: rest("spot").poll(Subscription("open_interest", BTC)),
        lambda: rest("contract").poll(Subscription("ticker", PERP)),
        lambda: rest("contract").candles(PERP, "6h"),
        lambda: rest("spot").candles(BTC, "3m"),
        lambda: rest("spot").depth(BTC, 500),
        lambda: rest("spot").page_limit("orders"),
    ):
        with pytest.raises(Unsupported, match="weex"):
            ask()
    assert rest("spot").repair(BTC, 1) is None
    assert (rest("spot").page_limit("candles"), rest("contract").page_limit("candles")) == (300, 100)


def test_trades_come_oldest_first_and_since_an_id() -> None:
    rows = [
        {"id": name, "price": "1", "qty": "2", "time": time, "isBuyerMaker": False}
        for time, name in ((3, "d"), (2, "c2"), (2, "c"), (1, "b"))
    ]
    body = HttpResponse(200, frame(rows))
    assert [t.id for t in rest("spot").trades(BTC).read(body, RECV)] == ["b", "c", "c2", "d"]
    assert [t.id for t in rest("spot").trades_since(BTC, "c").read(body, RECV)] == ["c2", "d"]
    assert [t.id for t in rest("spot").trades_since(BTC, "b", 2).read(body, RECV)] == ["c", "c2"]
    assert [t.id for t in rest("spot").trades_since(BTC, "long gone").read(body, RECV)] == ["b", "c", "c2", "d"]


def test_candles_are_cut_to_the_range_and_closed_by_the_clock() -> None:
    query = rest("contract").candles(PERP, "1m", start=1 * MINUTE * MS, end=4 * MINUTE * MS)
    candles = query.read(candle_rows(0, 6), 3 * MINUTE * MS + 5)
    assert [(c.ts_open // MS // MINUTE, c.closed) for c in candles] == [(1, True), (2, True), (3, False)]
    assert {c.ts_close - c.ts_open for c in candles} == {MINUTE * MS}


def test_candles_that_do_not_reach_back_are_an_error_not_a_hole() -> None:
    spot = rest("spot")
    with pytest.raises(Unsupported, match="reach back"):
        spot.candles(BTC, "1m", start=0).read(candle_rows(1000 * MINUTE, 300), RECV)
    young = spot.candles(BTC, "1m", start=0).read(candle_rows(1000 * MINUTE, 20), RECV)
    assert len(young) == 20, "an instrument younger than the page"
    with pytest.raises(Unsupported, match="reach back"):
        rest("contract").candles(PERP, "1m", start=0).read(candle_rows(MINUTE, 1000), RECV)
    newest = spot.candles(BTC, "1m", limit=3).read(candle_rows(1000 * MINUTE, 300), RECV)
    assert [c.ts_open // MS // MINUTE for c in newest] == [1297, 1298, 1299]


def test_months_end_by_the_calendar() -> None:
    opens = [datetime(2026, month, 1, tzinfo=UTC) for month in (2, 12)]
    rows = [[int(day.timestamp() * 1000), "1", "1", "1", "1", "1", 0, "1", 1, "1", "1"] for day in opens]
    candles = rest("spot").candles(BTC, "1M").read(HttpResponse(200, frame(rows)), RECV)
    ends = [datetime.fromtimestamp(c.ts_close / 1e9, UTC) for c in candles]
    assert ends == [datetime(2026, 3, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC)]
    assert {*LENGTHS, "1M"} == set(SPOT.channels["candles"].intervals)


def test_an_unreadable_answer_is_a_wire_error() -> None:
    for body in (b"", b"<html>", b'{"lastUpdateId":1}', b'{"lastUpdateId":1,"bids":[["nan","1"]],"asks":[]}'):
        with pytest.raises(WireError) as caught:
            rest("spot").depth(BTC).read(HttpResponse(200, body), RECV)
        assert caught.value.data == body
    with pytest.raises(WireError):
        SPOT.read_instruments(b'{"symbols":[{"nothing":1}]}')
    with pytest.raises(WireError):
        CONTRACT.read_instruments(b"[]")


def contract_row(**changes: object) -> bytes:
    body = json.loads(example("rest.contract.exchangeInfo"))
    body["symbols"][0].update(changes)
    return frame(body)


def test_steps_of_contracts() -> None:
    def step(**changes: object) -> Decimal | None:
        (row,) = CONTRACT.read_instruments(contract_row(**changes))
        return row.step

    assert step() == Decimal("0.0001")
    assert step(quantityPrecision="-2", contractVal="100") == Decimal(100)
    assert step(quantityPrecision=1, contractVal=10) == Decimal(10)
    assert step(quantityPrecision=0, contractVal="0.001") == Decimal(1)
    assert str(step(quantityPrecision=-2)) == "100", "written without an exponent"


def test_kinds_and_names_of_contracts() -> None:
    (row,) = CONTRACT.read_instruments(contract_row(symbol="1000PEPEUSDT", baseAsset="1000PEPE"))
    assert (row.symbol, row.base, row.multiplier) == ("1000PEPE/USDT:USDT", "1000PEPE", 1000)
    (row,) = CONTRACT.read_instruments(contract_row(baseAsset="1INCH"))
    assert row.multiplier == 1
    (row,) = CONTRACT.read_instruments(contract_row(forwardContractFlag=False))
    assert (row.kind, row.contract_size) == ("inverse", None)
    (row,) = CONTRACT.read_instruments(contract_row(contractType="CURRENT_QUARTER"))
    assert row.kind == "dated"
    (row,) = CONTRACT.read_instruments(contract_row(pricePrecision="many"))
    assert (row.symbol, row.kind, row.status, row.api_tradable) == ("BTCUSDT", "other", "halted", False)
    (row,) = CONTRACT.read_instruments(contract_row(minOrderSize="NaN"))
    assert row.kind == "other"


def test_spot_rows_that_do_not_trade() -> None:
    body = json.loads(example("rest.spot.exchangeInfo"))
    body["symbols"][0]["status"] = "BREAK"
    (row,) = SPOT.read_instruments(frame(body))
    assert (row.status, row.api_tradable) == ("halted", None)
    body["symbols"][0].update(status="TRADING", enableTrade=False)
    (row,) = SPOT.read_instruments(frame(body))
    assert (row.status, row.api_tradable) == ("halted", False)


def test_whose_symbol_it_is() -> None:
    assert SPOT.owns(BTC)
    assert not SPOT.owns(PERP)
    assert CONTRACT.owns(PERP)
    assert not CONTRACT.owns(BTC)
    assert not SPOT.owns("BTCUSDT")
    assert all(SPOT.owns(row.symbol) for row in SPOT.catalogue)
    assert all(CONTRACT.owns(row.symbol) for row in CONTRACT.catalogue)
    assert CONTRACT.aliases == ("futures",)


GET = HttpRequest("GET", "/api/v3/market/trades")
PLACE = HttpRequest("POST", "/capi/v3/order", body=b'{"newClientOrderId":"demo-1"}')
CANCEL = HttpRequest("DELETE", "/api/v3/order", query="origClientOrderId=demo%2D2")


def answer(status: int, code: int | str, text: str = "words") -> HttpResponse:
    return HttpResponse(status, frame({"code": code, "msg": text}))


@pytest.mark.parametrize(
    ("response", "request_", "name"),
    [
        (answer(400, -1121), GET, "InvalidSymbol"),
        (answer(400, -1142, "Parameter 'symbol' is invalid."), GET, "InvalidSymbol"),
        (answer(400, -1142, "Parameter 'limit' is invalid."), GET, "InvalidRequest"),
        (answer(400, -1142, "Parameter 'price' is invalid."), PLACE, "InvalidOrder"),
        (answer(400, -1043), GET, "TimestampOutOfWindow"),
        (answer(400, -1044), GET, "AuthenticationFailed"),
        (answer(400, -1046), GET, "TimestampOutOfWindow"),
        (answer(400, -1056), GET, "PermissionDenied"),
        (answer(400, -3200), CANCEL, "OrderNotFound"),
        (answer(400, "ORDER_NOT_FOUND"), CANCEL, "OrderNotFound"),
        (answer(400, -1054, "FAILED_PRECONDITION: available amount not enough"), PLACE, "InsufficientFunds"),
        (answer(400, -1054, "INVALID_ARGUMENT: stepSize '10'"), PLACE, "InvalidOrder"),
        (answer(400, -1054, "INVALID_ARGUMENT: invalid symbol : X_SPBL"), GET, "InvalidSymbol"),
        (answer(400, -1054, "FAILED_PRECONDITION: other"), PLACE, "InvalidOrder"),
        (answer(400, -1054, "what"), GET, "ExchangeUnavailable"),
        (answer(400, -1054, "what"), PLACE, "OutcomeUnknown"),
        (answer(400, -1000), PLACE, "OutcomeUnknown"),
        (answer(400, -1000), GET, "ExchangeUnavailable"),
        (HttpResponse(401), GET, "AuthenticationFailed"),
        (HttpResponse(403, b"<html>blocked</html>"), GET, "PermissionDenied"),
        (HttpResponse(404), GET, "InvalidRequest"),
        (HttpResponse(502, b"<html>"), GET, "ExchangeUnavailable"),
        (HttpResponse(502, b"<html>"), PLACE, "OutcomeUnknown"),
        (HttpResponse(521), GET, "ExchangeUnavailable"),
        (HttpResponse(429), GET, "RateLimited"),
        (HttpResponse(429), PLACE, "RateLimited"),
    ],
)
def test_refusals(response: HttpResponse, request_: HttpRequest, name: str) -> None:
    error = CONTRACT.read_error(response, request_)
    assert type(error) is getattr(errors, name)
    assert "words" in str(error) or "words" not in response.body.decode()


def test_what_a_refusal_keeps() -> None:
    error = CONTRACT.read_error(answer(400, -1121, "Invalid symbol."), GET)
    assert isinstance(error, errors.InvalidSymbol)
    assert (error.code, error.text, error.status, error.venue) == ("-1121", "Invalid symbol.", 400, "weex")
    limited = CONTRACT.read_error(HttpResponse(429, headers=(("retry-after", "30"),)), GET)
    assert isinstance(limited, errors.RateLimited)
    assert limited.retry_after == 30.0
    for header in ((), (("retry-after", "soon"),), (("retry-after", "1"),), (("retry-after", "nan"),)):
        banned = CONTRACT.read_error(HttpResponse(429, headers=header), GET)
        assert isinstance(banned, errors.RateLimited)
        assert banned.retry_after == 10.0, "the ban lasts ten seconds whatever the header says"
    for request, client_id in ((PLACE, "demo-1"), (CANCEL, "demo-2")):
        unknown = CONTRACT.read_error(HttpResponse(500), request)
        assert isinstance(unknown, errors.OutcomeUnknown)
        assert unknown.client_id == client_id


def test_every_code_of_the_table_reads_as_it_says() -> None:
    assert len(CODES) > 40
    assert "-1054" not in CODES
    for code, kind in CODES.items():
        assert classify(code, "", order=False) is kind


VECTORS = json.loads((HERE / "vectors.json").read_text())


@pytest.mark.parametrize("vector", [v for v in VECTORS["vectors"] if "WRONG" not in v["name"]], ids=lambda v: v["name"])
def test_signatures(vector: dict[str, str]) -> None:
    timestamp = int(VECTORS["timestamp"])
    if vector["method"] is None:
        text = signing.socket_text(timestamp, vector["path"])
    else:
        request = HttpRequest(vector["method"], vector["path"], vector["query"], vector["body"].encode())  # type: ignore[arg-type]
        text = signing.request_text(request, timestamp)
    assert text.decode() == vector["prehash"]
    sent = dict(signing.headers(VECTORS["access_key"], VECTORS["secret"], VECTORS["passphrase"], timestamp, text))
    assert sent == {
        "ACCESS-KEY": VECTORS["access_key"],
        "ACCESS-SIGN": vector["access_sign"],
        "ACCESS-TIMESTAMP": VECTORS["timestamp"],
        "ACCESS-PASSPHRASE": VECTORS["passphrase"],
    }


def test_the_method_is_not_part_of_a_sockets_signature() -> None:
    (wrong,) = [v for v in VECTORS["vectors"] if "WRONG" in v["name"]]
    text = signing.socket_text(int(VECTORS["timestamp"]), wrong["path"])
    assert signing.sign(VECTORS["secret"], text) != wrong["access_sign"]
