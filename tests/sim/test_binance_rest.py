"""What the simulated Binance answers over HTTP, against the venue sheet."""

from __future__ import annotations

import json

import pytest

from tests.sim.rig import SECOND, START, Rig
from unitape.spi import HttpRequest, HttpResponse

MS = START // 1_000_000


@pytest.fixture(scope="module")
def spot():
    rig = Rig("spot", enforce_limits=False)
    rig.run(30)
    return rig


@pytest.fixture(scope="module")
def usdm():
    rig = Rig("usdm", enforce_limits=False)
    rig.run(30)
    return rig


def refused(rig, target, **headers):
    response = rig.ask(target, **headers).response
    return response.status, json.loads(response.body)["code"]


def test_ping_and_time(spot, usdm):
    for rig, prefix in ((spot, "/api/v3"), (usdm, "/fapi/v1")):
        assert rig.get(f"{prefix}/ping") == {}
        assert rig.get(f"{prefix}/time") == {"serverTime": MS + 30_000}


def test_spot_exchange_info(spot):
    info = spot.get("/api/v3/exchangeInfo")
    limits = {(row["rateLimitType"], row["interval"], row["intervalNum"]): row["limit"] for row in info["rateLimits"]}
    assert limits["REQUEST_WEIGHT", "MINUTE", 1] == 6_000
    assert limits["RAW_REQUESTS", "MINUTE", 5] == 300_000
    btc, eth = info["symbols"]
    assert (btc["symbol"], btc["baseAsset"], btc["quoteAsset"], btc["status"]) == ("BTCUSDT", "BTC", "USDT", "TRADING")
    filters = {row["filterType"]: row for row in btc["filters"]}
    assert filters["PRICE_FILTER"]["tickSize"] == "0.01000000"
    assert filters["LOT_SIZE"]["stepSize"] == "0.00001000"
    assert filters["MARKET_LOT_SIZE"]["stepSize"] == "0.00000000"
    assert filters["NOTIONAL"]["minNotional"] == "5.00000000"
    assert btc["permissions"] == []
    assert isinstance(btc["permissionSets"][0], list)
    assert eth["symbol"] == "ETHUSDT"
    assert [row["symbol"] for row in spot.get("/api/v3/exchangeInfo?symbol=ETHUSDT")["symbols"]] == ["ETHUSDT"]
    both = spot.get("/api/v3/exchangeInfo?symbols=%5B%22ETHUSDT%22%2C%22BTCUSDT%22%5D")
    assert [row["symbol"] for row in both["symbols"]] == ["ETHUSDT", "BTCUSDT"]


def test_futures_exchange_info(usdm):
    info = usdm.get("/fapi/v1/exchangeInfo")
    assert info["futuresType"] == "U_MARGINED"
    assert info["assets"][0]["asset"] == "USDT"
    limits = {(row["rateLimitType"], row["interval"], row["intervalNum"]): row["limit"] for row in info["rateLimits"]}
    assert limits["REQUEST_WEIGHT", "MINUTE", 1] == 2_400
    assert limits["ORDERS", "SECOND", 10] == 300
    btc = info["symbols"][0]
    assert (btc["symbol"], btc["pair"], btc["contractType"], btc["marginAsset"]) == (
        "BTCUSDT",
        "BTCUSDT",
        "PERPETUAL",
        "USDT",
    )
    assert btc["deliveryDate"] == 4_133_404_800_000
    filters = {row["filterType"]: row for row in btc["filters"]}
    assert filters["PRICE_FILTER"]["tickSize"] == "0.1"
    assert filters["LOT_SIZE"]["stepSize"] == "0.001"
    assert filters["MIN_NOTIONAL"]["notional"] == "5"
    assert filters["MAX_NUM_ORDERS"]["limit"] == 200
    assert btc["pricePrecision"] == 2  # one more than the tick has: no tick to be read from it
    dated = info["symbols"][-1]
    assert (dated["symbol"], dated["pair"], dated["status"]) == ("BTCUSDT_270326", "BTCUSDT", "PENDING_TRADING")


def test_depth(spot, usdm):
    body = spot.get("/api/v3/depth?symbol=BTCUSDT&limit=5")
    assert set(body) == {"lastUpdateId", "bids", "asks"}
    assert len(body["bids"]) == len(body["asks"]) == 5
    assert float(body["bids"][0][0]) > float(body["bids"][1][0])
    assert float(body["asks"][0][0]) < float(body["asks"][1][0])
    assert body["lastUpdateId"] == spot.exchange.book("BTC/USDT").seq
    body = usdm.get("/fapi/v1/depth?symbol=BTCUSDT&limit=5")
    assert set(body) == {"lastUpdateId", "E", "T", "bids", "asks"}
    assert body["T"] <= body["E"] == MS + 30_000


def test_a_lagging_snapshot_is_older_than_the_stream():
    rig = Rig("spot", snapshot_lag=1.0)
    conn = rig.connect("/stream?streams=btcusdt@depth@100ms")
    rig.run(5)
    first = rig.data(conn, "btcusdt@depth@100ms")[-1]["U"]
    assert rig.get("/api/v3/depth?symbol=BTCUSDT")["lastUpdateId"] < first


def test_trades_oldest_first(spot, usdm):
    rows = spot.get("/api/v3/trades?symbol=BTCUSDT&limit=3")
    assert list(rows[0]) == ["id", "price", "qty", "quoteQty", "time", "isBuyerMaker", "isBestMatch"]
    assert [row["id"] for row in rows] == [t.id for t in spot.exchange.trades("BTC/USDT", 3)]
    for row in rows:
        assert float(row["quoteQty"]) == pytest.approx(float(row["price"]) * float(row["qty"]), abs=1e-7)
    old = spot.get("/api/v3/historicalTrades?symbol=BTCUSDT&fromId=50000001&limit=2")
    assert [row["id"] for row in old] == [50_000_001, 50_000_002]
    assert "isRPITrade" in usdm.get("/fapi/v1/trades?symbol=BTCUSDT")[0]
    assert refused(usdm, "/fapi/v1/historicalTrades?symbol=BTCUSDT") == (401, -2014)
    keyed = usdm.get("/fapi/v1/historicalTrades?symbol=BTCUSDT&fromId=50000001&limit=2", X_MBX_APIKEY="k")
    assert [row["id"] for row in keyed] == [50_000_001, 50_000_002]


def test_aggregate_trades_from_an_id_and_between_times(spot):
    rows = spot.get("/api/v3/aggTrades?symbol=BTCUSDT&limit=1000")
    assert list(rows[0]) == ["a", "p", "q", "f", "l", "T", "m", "M"]
    third = rows[2]["a"]
    assert spot.get(f"/api/v3/aggTrades?symbol=BTCUSDT&fromId={third}&limit=2") == rows[2:4]
    start, end = rows[3]["T"], rows[6]["T"]
    between = spot.get(f"/api/v3/aggTrades?symbol=BTCUSDT&startTime={start}&endTime={end}")
    assert between == [row for row in rows if start <= row["T"] <= end]


def test_klines_page_through_the_past_without_hole_or_overlap(spot):
    start = MS - 3_000 * 60_000
    rows = []
    while True:
        page = spot.get(f"/api/v3/klines?symbol=BTCUSDT&interval=1m&startTime={start}&endTime={MS - 1}&limit=1000")
        if not page:
            break
        rows += page
        start = page[-1][0] + 60_000
    assert [row[0] for row in rows] == list(range(MS - 3_000 * 60_000, MS, 60_000))
    assert all(row[6] == row[0] + 59_999 for row in rows)
    closed_range = spot.get(f"/api/v3/klines?symbol=BTCUSDT&interval=1m&startTime={MS - 60_000}&endTime={MS}")
    assert [row[0] for row in closed_range] == [MS - 60_000, MS]
    newest = spot.get("/api/v3/klines?symbol=BTCUSDT&interval=1m&limit=2")
    assert [row[0] for row in newest] == [MS - 60_000, MS]
    assert len(newest[0]) == 12


def test_tickers(spot, usdm):
    one = spot.get("/api/v3/ticker/24hr?symbol=BTCUSDT")
    assert {"prevClosePrice", "bidPrice", "askQty", "weightedAvgPrice", "count"} <= set(one)
    assert one["count"] == one["lastId"] - one["firstId"] + 1
    assert float(one["priceChange"]) == pytest.approx(float(one["lastPrice"]) - float(one["openPrice"]), abs=1e-6)
    percent = 100 * float(one["priceChange"]) / float(one["openPrice"])
    assert float(one["priceChangePercent"]) == pytest.approx(percent, abs=6e-4)
    assert float(one["weightedAvgPrice"]) == pytest.approx(float(one["quoteVolume"]) / float(one["volume"]))
    assert one["closeTime"] - one["openTime"] == 86_400_000
    assert "priceChange" not in spot.get("/api/v3/ticker/24hr?symbol=BTCUSDT&type=MINI")
    assert [row["symbol"] for row in spot.get("/api/v3/ticker/24hr")] == ["BTCUSDT", "ETHUSDT"]
    assert "bidPrice" not in usdm.get("/fapi/v1/ticker/24hr?symbol=BTCUSDT")
    assert usdm.get("/fapi/v2/ticker/price?symbol=BTCUSDT")["time"] == MS + 30_000
    best = usdm.get("/fapi/v1/ticker/bookTicker?symbol=BTCUSDT")
    assert float(best["bidPrice"]) < float(best["askPrice"])
    assert set(spot.get("/api/v3/avgPrice?symbol=BTCUSDT")) == {"mins", "price", "closeTime"}


def test_perpetual_data(usdm):
    premium = usdm.get("/fapi/v1/premiumIndex?symbol=BTCUSDT")
    assert premium["nextFundingTime"] == MS + 8 * 3_600_000
    assert len(premium["markPrice"].partition(".")[2]) == 8
    assert len(usdm.get("/fapi/v1/premiumIndex")) == 2
    rows = usdm.get("/fapi/v1/fundingRate?symbol=BTCUSDT&limit=3")
    assert [row["fundingTime"] for row in rows] == [MS - 2 * 28_800_000, MS - 28_800_000, MS]
    assert rows[0]["rateType"] == "Regular"
    since = usdm.get(f"/fapi/v1/fundingRate?symbol=BTCUSDT&startTime={MS - 28_800_000}&endTime={MS}")
    assert [row["fundingTime"] for row in since] == [MS - 28_800_000, MS]
    assert usdm.get("/fapi/v1/fundingInfo") == []
    assert set(usdm.get("/fapi/v1/openInterest?symbol=BTCUSDT")) == {"openInterest", "symbol", "time"}


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("/api/v3/depth?symbol=NOPE", (400, -1121)),
        ("/api/v3/depth", (400, -1102)),
        ("/api/v3/depth?symbol=", (400, -1102)),
        ("/api/v3/depth?symbol=BTC%2FUSDT", (400, -1100)),
        ("/api/v3/depth?symbol=BTCUSDT&limit=abc", (400, -1100)),
        ("/api/v3/trades?symbol=BTCUSDT&limit=0", (400, -1130)),
        ("/api/v3/klines?symbol=BTCUSDT&interval=7m", (400, -1120)),
        ("/api/v3/klines?symbol=BTCUSDT", (400, -1102)),
        ("/api/v3/time?colour=red", (400, -1104)),
        ("/api/v3/depth?symbol=BTCUSDT&symbol=BTCUSDT", (400, -1101)),
        ("/api/v3/ticker/24hr?symbols=BTCUSDT", (400, -1100)),
    ],
)
def test_errors_carry_the_code_of_the_sheet(spot, target, expected):
    assert refused(spot, target) == expected


def test_futures_errors(usdm):
    assert refused(usdm, "/fapi/v1/depth?symbol=BTCUSDT&limit=30") == (400, -4021)
    assert refused(usdm, "/fapi/v1/klines?symbol=BTCUSDT&interval=1s") == (400, -1120)
    assert refused(usdm, "/fapi/v1/openInterest") == (400, -1102)


def test_gone_and_unknown_paths_answer_html(spot):
    gone = spot.host.http(HttpRequest("POST", "/api/v3/userDataStream")).response
    assert isinstance(gone, HttpResponse)
    assert (gone.status, gone.header("content-type")) == (410, "text/html")
    assert spot.ask("/api/v3/nothing").response.status == 404


@pytest.mark.parametrize(
    ("target", "weight"),
    [
        ("/api/v3/ping", 1),
        ("/api/v3/exchangeInfo", 20),
        ("/api/v3/depth?symbol=BTCUSDT", 5),
        ("/api/v3/depth?symbol=BTCUSDT&limit=101", 25),
        ("/api/v3/depth?symbol=BTCUSDT&limit=1000", 50),
        ("/api/v3/depth?symbol=BTCUSDT&limit=5000", 250),
        ("/api/v3/trades?symbol=BTCUSDT", 25),
        ("/api/v3/klines?symbol=BTCUSDT&interval=1m", 2),
        ("/api/v3/ticker/24hr", 80),
        ("/api/v3/ticker/24hr?symbol=BTCUSDT", 2),
        ("/api/v3/depth?symbol=NOPE", 5),
        ("/fapi/v1/exchangeInfo", 1),
        ("/fapi/v1/depth?symbol=BTCUSDT", 10),
        ("/fapi/v1/depth?symbol=BTCUSDT&limit=1000", 20),
        ("/fapi/v1/klines?symbol=BTCUSDT&interval=1m&limit=100", 1),
        ("/fapi/v1/klines?symbol=BTCUSDT&interval=1m&limit=1500", 10),
        ("/fapi/v1/ticker/24hr", 40),
        ("/fapi/v1/premiumIndex", 10),
    ],
)
def test_requests_cost_their_weight(target, weight):
    rig = Rig("spot" if target.startswith("/api") else "usdm")
    assert rig.ask(target).response.header("X-MBX-USED-WEIGHT-1M") == str(weight)


def test_over_the_limit_comes_429_then_418_and_then_it_is_over():
    rig = Rig("spot")
    rig.run(12, step=1.0)
    for n in range(24):
        response = rig.ask("/api/v3/depth?symbol=BTCUSDT&limit=5000").response
        assert (response.status, response.header("x-mbx-used-weight-1m")) == (200, str(250 * (n + 1)))
    response = rig.ask("/api/v3/ping").response
    assert (response.status, response.header("retry-after")) == (429, "49")
    assert json.loads(response.body)["code"] == -1003
    statuses = [rig.ask("/api/v3/ping").response.status for _ in range(15)]
    assert statuses == [429] * 10 + [418] * 5
    banned = rig.ask("/api/v3/ping").response
    assert banned.header("retry-after") == "121"
    assert f"banned until {MS + 12_000 + 120_000}" in json.loads(banned.body)["msg"]
    rig.run(60, step=1.0)
    assert rig.ask("/api/v3/ping").response.status == 418
    rig.run(61, step=1.0)
    assert rig.ask("/api/v3/ping").response.status == 200


def test_the_weight_window_is_the_utc_minute():
    rig = Rig("usdm")
    rig.run(59, step=1.0)
    assert rig.ask("/fapi/v1/depth?symbol=BTCUSDT").response.header("x-mbx-used-weight-1m") == "10"
    rig.run(2, step=1.0)
    assert rig.exchange.now == START + 61 * SECOND
    assert rig.ask("/fapi/v1/ping").response.header("x-mbx-used-weight-1m") == "1"
