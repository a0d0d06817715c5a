"""The queries: exact paths, parameters and weights, and what their answers say."""

from __future__ import annotations

import json

import pytest

from unitape.errors import ConfigError, InvalidSymbol, RateLimited, Unsupported, WireError
from unitape.spi import DepthUpdate, HttpResponse, Instruments
from unitape_binance import SPOT, USDM, UsdmMarket
from unitape_schemas import Candle, Funding, OpenInterest, Subscription, Ticker, Trade

S, P = "BTC/USDT", "BTC/USDT:USDT"
RECV = 1_793_923_261_000_000_000
MS = 1_000_000
spot = SPOT.rest(Instruments(SPOT.catalogue))
usdm = USDM.rest(Instruments(USDM.catalogue))
single = UsdmMarket(trades_from="trade").rest(Instruments(USDM.catalogue))

KLINE = (
    b'[[1793923200000,"96410.01000000","96420.00000000","96409.99000000","96412.37000000","4.21880000",1793923259999,'
    b'"406739.12110000",143,"2.00110000","192931.07770000","0"],'
    b'[1793923260000,"96412.37","96412.37","96412.37","96412.37","0",1793923319999,"0",0,"0","0","0"]]'
)


def body(query, data, ts_recv=RECV):
    return query.read(HttpResponse(200, data), ts_recv)


@pytest.mark.parametrize(
    ("query", "target", "weight"),
    [
        (spot.instruments(), "/api/v3/exchangeInfo?showPermissionSets=false", 20),
        (usdm.instruments(), "/fapi/v1/exchangeInfo", 1),
        (spot.time(), "/api/v3/time", 1),
        (usdm.time(), "/fapi/v1/time", 1),
        (spot.depth(S), "/api/v3/depth?symbol=BTCUSDT&limit=1000", 50),
        (spot.depth(S, 100), "/api/v3/depth?symbol=BTCUSDT&limit=100", 5),
        (spot.depth(S, 101), "/api/v3/depth?symbol=BTCUSDT&limit=101", 25),
        (spot.depth(S, 5000), "/api/v3/depth?symbol=BTCUSDT&limit=5000", 250),
        (spot.depth(S, 9000), "/api/v3/depth?symbol=BTCUSDT&limit=5000", 250),
        (usdm.depth(P), "/fapi/v1/depth?symbol=BTCUSDT&limit=1000", 20),
        (usdm.depth(P, 50), "/fapi/v1/depth?symbol=BTCUSDT&limit=50", 2),
        (usdm.depth(P, 51), "/fapi/v1/depth?symbol=BTCUSDT&limit=100", 5),
        (usdm.depth(P, 500), "/fapi/v1/depth?symbol=BTCUSDT&limit=500", 10),
        (usdm.depth(P, 7000), "/fapi/v1/depth?symbol=BTCUSDT&limit=1000", 20),
        (spot.trades(S), "/api/v3/trades?symbol=BTCUSDT&limit=1000", 25),
        (spot.trades(S, 10), "/api/v3/trades?symbol=BTCUSDT&limit=10", 25),
        (usdm.trades(P), "/fapi/v1/aggTrades?symbol=BTCUSDT&limit=1000", 20),
        (single.trades(P), "/fapi/v1/trades?symbol=BTCUSDT&limit=1000", 5),
        (spot.trades_since(S, "41"), "/api/v3/historicalTrades?symbol=BTCUSDT&fromId=42&limit=1000", 25),
        (usdm.trades_since(P, "41", 5), "/fapi/v1/aggTrades?symbol=BTCUSDT&fromId=42&limit=5", 20),
        (spot.candles(S, "1s"), "/api/v3/klines?symbol=BTCUSDT&interval=1s&limit=1000", 2),
        (
            spot.candles(S, "1m", start=1793923200000 * MS, end=1793923260000 * MS),
            "/api/v3/klines?symbol=BTCUSDT&interval=1m&startTime=1793923200000&endTime=1793923259999&limit=1000",
            2,
        ),
        (
            spot.candles(S, "1m", start=1793923200000 * MS + 1, end=1793923260000 * MS + 1),
            "/api/v3/klines?symbol=BTCUSDT&interval=1m&startTime=1793923200001&endTime=1793923260000&limit=1000",
            2,
        ),
        (usdm.candles(P, "1M", limit=100), "/fapi/v1/klines?symbol=BTCUSDT&interval=1M&limit=100", 1),
        (usdm.candles(P, "1M", limit=101), "/fapi/v1/klines?symbol=BTCUSDT&interval=1M&limit=101", 2),
        (usdm.candles(P, "1M", limit=1000), "/fapi/v1/klines?symbol=BTCUSDT&interval=1M&limit=1000", 5),
        (usdm.candles(P, "1M"), "/fapi/v1/klines?symbol=BTCUSDT&interval=1M&limit=1500", 10),
        (spot.tickers(), "/api/v3/ticker/24hr", 80),
        (spot.tickers([S]), "/api/v3/ticker/24hr?symbol=BTCUSDT", 2),
        (
            spot.tickers([S, "ETH/USDT"]),
            "/api/v3/ticker/24hr?symbols=%5B%22BTCUSDT%22%2C%22ETHUSDT%22%5D",
            2,
        ),
        (usdm.tickers([P]), "/fapi/v1/ticker/24hr?symbol=BTCUSDT", 1),
        (usdm.tickers([P, "ETH/USDT:USDT"]), "/fapi/v1/ticker/24hr", 40),
        (usdm.tickers(), "/fapi/v1/ticker/24hr", 40),
        (usdm.funding_history(P, limit=5), "/fapi/v1/fundingRate?symbol=BTCUSDT&limit=5", 1),
        (
            usdm.funding_history(P, start=1 * MS, end=3 * MS),
            "/fapi/v1/fundingRate?symbol=BTCUSDT&startTime=1&endTime=2&limit=1000",
            1,
        ),
        (usdm.poll(Subscription("open_interest", P)), "/fapi/v1/openInterest?symbol=BTCUSDT", 1),
    ],
)
def test_requests(query, target, weight):
    request = query.request
    assert (request.method, request.target, request.weight) == ("GET", target, weight)
    names = {budget.name for budget in SPOT.limits.budgets} | {budget.name for budget in USDM.limits.budgets}
    assert request.budget in names
    assert request.budget == ("funding" if "fundingRate" in target else "weight")


def test_time():
    assert body(spot.time(), b'{"serverTime":1793923200100}') == 1793923200100 * MS


def test_depth():
    data = b'{"lastUpdateId":78120445133,"bids":[["4.00000000","431.00000000"]],"asks":[["4.00000200","12.0"]]}'
    assert body(spot.depth(S, 5), data) == DepthUpdate(
        "binance", S, 0, 0, RECV, ((4.0, 431.0),), ((4.000002, 12.0),), None, 78120445133, None, True, 5
    )
    timed = data[:-1] + b',"E":1589436922972,"T":1589436922959}'
    found = body(usdm.depth(P), timed)
    assert (found.ts_event, found.ts_sent, found.depth) == (1589436922959 * MS, 1589436922972 * MS, 1000)
    assert found.snapshot


def test_trades():
    data = (
        b'[{"id":5641203377,"price":"96412.37000000","qty":"0.00415000","quoteQty":"400.11133550",'
        b'"time":1793923200122,"isBuyerMaker":true,"isBestMatch":true}]'
    )
    expected = Trade("binance", S, 1793923200122 * MS, 0, RECV, "5641203377", 96412.37, 0.00415, "sell")
    assert body(spot.trades(S), data) == [expected]
    assert body(spot.trades_since(S, "5641203376"), data) == [expected]


def test_aggregates():
    data = (
        b'[{"a":3011228455,"p":"96398.40","q":"0.214","nq":"0.200","f":7120033011,"l":7120033019,'
        b'"T":1793923200101,"m":false}]'
    )
    expected = Trade("binance", P, 1793923200101 * MS, 0, RECV, "3011228455", 96398.4, 0.214, "buy")
    assert body(usdm.trades_since(P, "3011228454"), data) == [expected]


def test_single_trades_of_futures():
    data = (
        b'[{"id":7120033019,"price":"96398.40","qty":"0.010","quoteQty":"963.98","time":1793923200130,'
        b'"isBuyerMaker":false,"isRPITrade":false}]'
    )
    assert body(single.trades(P), data)[0].id == "7120033019"
    with pytest.raises(Unsupported):
        single.trades_since(P, "7120033019")


@pytest.mark.parametrize(("ts_recv", "closed"), [(RECV, [True, False]), (1793923259999 * MS, [False, False])])
def test_the_last_candle_is_open_until_its_end_has_passed(ts_recv, closed):
    found = body(spot.candles(S, "1m"), KLINE, ts_recv)
    assert [candle.closed for candle in found] == closed
    assert found[0] == Candle(
        "binance",
        S,
        0,
        0,
        ts_recv,
        "1m",
        1793923200000 * MS,
        1793923260000 * MS,
        96410.01,
        96420.0,
        96409.99,
        96412.37,
        4.2188,
        406739.1211,
        143,
        closed=closed[0],
    )


TICKER = {
    "symbol": "BTCUSDT",
    "priceChange": "-801.50",
    "priceChangePercent": "-0.825",
    "weightedAvgPrice": "96871.22",
    "lastPrice": "96398.40",
    "lastQty": "0.010",
    "openPrice": "97199.90",
    "highPrice": "97960.00",
    "lowPrice": "95740.10",
    "volume": "161022.118",
    "quoteVolume": "15598409112.42",
    "openTime": 1793836800000,
    "closeTime": 1793923200807,
    "firstId": 7116020001,
    "lastId": 7120033019,
    "count": 4012911,
}


def test_tickers():
    expected = Ticker(
        "binance", P, 1793923200807 * MS, 0, RECV, 96398.4, 97199.9, 97960.0, 95740.1, 161022.118, 15598409112.42,
        -0.825, None, None, None, None,
    )  # fmt: skip
    assert body(usdm.tickers([P]), json.dumps(TICKER).encode()) == [expected]
    both = json.dumps([TICKER, TICKER | {"symbol": "XRPUSDT"}, TICKER | {"symbol": "ETHUSDT"}]).encode()
    assert [row.symbol for row in body(usdm.tickers([P, "ETH/USDT:USDT"]), both)] == [P, "ETH/USDT:USDT"]
    assert len(body(usdm.tickers(), both)) == 3
    best = TICKER | {"bidPrice": "1.5", "bidQty": "2", "askPrice": "1.75", "askQty": "3", "prevClosePrice": "1"}
    (found,) = body(spot.tickers([S]), json.dumps([best]).encode())
    assert (found.bid, found.bid_size, found.ask, found.ask_size) == (1.5, 2.0, 1.75, 3.0)


def test_funding_history_is_settled():
    data = (
        b'[{"symbol":"BTCUSDT","fundingRate":"0.00010000","fundingTime":1793894400000,"markPrice":"",'
        b'"rateType":"Regular"}]'
    )
    assert body(usdm.funding_history(P), data) == [Funding("binance", P, 1793894400000 * MS, 0, RECV, 0.0001, None)]
    with pytest.raises(Unsupported):
        spot.funding_history(S)


def test_open_interest_is_polled():
    data = b'{"openInterest":"81234.519","symbol":"BTCUSDT","time":1793923200530}'
    query = usdm.poll(Subscription("open_interest", P))
    assert body(query, data) == [OpenInterest("binance", P, 1793923200530 * MS, 0, RECV, 81234.519)]
    assert USDM.channels["open_interest"].poll is not None
    assert USDM.cost(Subscription("open_interest", P)) == 0
    for rest, subscription in ((usdm, Subscription("trades", P)), (spot, Subscription("open_interest", S))):
        with pytest.raises(Unsupported):
            rest.poll(subscription)


def test_page_limits():
    assert [spot.page_limit(name) for name in ("trades", "trades_since", "candles")] == [1000, 1000, 1000]
    assert [usdm.page_limit(name) for name in ("candles", "funding_history", "depth")] == [1500, 1000, 1000]
    with pytest.raises(Unsupported):
        spot.page_limit("funding_history")


def test_calls_that_ask_for_nothing():
    for call in (
        lambda: spot.depth(S, 0),
        lambda: spot.trades(S, 0),
        lambda: spot.trades_since(S, "x"),
        lambda: usdm.candles(P, "1s"),
        lambda: spot.depth("NOPE/USDT"),
    ):
        with pytest.raises(ConfigError):
            call()
    assert spot.repair(S, 5) is None


def test_refusals_keep_the_venues_words():
    with pytest.raises(InvalidSymbol) as caught:
        spot.depth(S).read(HttpResponse(400, b'{"code":-1121,"msg":"Invalid symbol."}'), RECV)
    assert (caught.value.code, caught.value.text) == ("-1121", "Invalid symbol.")
    banned = b'{"code":-1003,"msg":"banned until 1793923361000"}'
    with pytest.raises(RateLimited) as limited:
        spot.depth(S).read(HttpResponse(418, banned), RECV)
    assert limited.value.retry_after == 100.0


@pytest.mark.parametrize(
    "query",
    [
        spot.instruments(),
        usdm.instruments(),
        spot.time(),
        spot.depth(S),
        usdm.depth(P),
        spot.trades(S),
        usdm.trades(P),
        spot.candles(S, "1m"),
        spot.tickers(),
        usdm.funding_history(P),
        usdm.poll(Subscription("open_interest", P)),
    ],
)
@pytest.mark.parametrize(
    "data", [b"", b"<html>", b"{", b"[[]]", b'{"x":"\xff"}', b"[" * 100_000, b'[{"price":"nan"}]', b"null", b"7"]
)
def test_bodies_that_cannot_be_understood(query, data):
    with pytest.raises(WireError):
        body(query, data)


@pytest.mark.parametrize("column", range(9))
def test_a_candle_with_a_spoilt_number(column):
    rows = json.loads(KLINE)
    rows[0][column] = "-1"
    with pytest.raises(WireError):
        body(spot.candles(S, "1m"), json.dumps(rows).encode())
