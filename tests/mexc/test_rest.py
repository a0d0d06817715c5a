"""Queries, instruments, errors, signatures, book rules."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest

from tests.mexc.support import FUTURES, NOW, SPOT
from tests.recordings import RECORDINGS, needs_recordings
from unitape import errors
from unitape.spi import DepthUpdate, Fit, HttpResponse
from unitape_mexc import FUTURES as FUTURES_MARKET
from unitape_mexc import SPOT as SPOT_MARKET
from unitape_mexc import VENUE, FuturesSettings, SpotSettings, signing
from unitape_mexc.errors import FUTURES_CODES, SPOT_CODES, make_error
from unitape_mexc.rest_futures import FuturesRest
from unitape_mexc.rest_spot import SpotRest
from unitape_schemas import Candle, Funding, Ticker, Trade

PAIR, PERP = "BTC/USDT", "BTC/USDT:USDT"
MS, S = 10**6, 10**9
spot = SpotRest(SPOT, SpotSettings())
futures = FuturesRest(FUTURES, FuturesSettings())


def read(query, body, status=200, headers=()):
    text = body if isinstance(body, (bytes, str)) else json.dumps(body)
    return query.read(HttpResponse(status, text.encode() if isinstance(text, str) else text, headers), NOW)


def target(query):
    return query.request.target


def wrapped(data):
    return {"success": True, "code": 0, "data": data}


def test_spot_requests():
    assert target(spot.depth(PAIR)) == "/api/v3/depth?symbol=BTCUSDT&limit=1000"
    assert target(spot.depth(PAIR, 9000)) == "/api/v3/depth?symbol=BTCUSDT&limit=5000"
    assert target(spot.trades(PAIR)) == "/api/v3/trades?symbol=BTCUSDT&limit=500"
    assert target(spot.tickers()) == "/api/v3/ticker/24hr"
    assert target(spot.tickers([PAIR])) == "/api/v3/ticker/24hr?symbol=BTCUSDT"
    assert target(spot.instruments()) == "/api/v3/exchangeInfo"
    assert target(spot.default_symbols()) == "/api/v3/defaultSymbols"
    hour = spot.candles(PAIR, "1h", start=60 * S, end=120 * S, limit=7)
    assert target(hour) == ("/api/v3/klines?symbol=BTCUSDT&interval=60m&startTime=60000&endTime=119999&limit=7")
    assert "interval=1W" in target(spot.candles(PAIR, "1w"))
    for ask in (
        lambda: spot.candles(PAIR, "8h"),
        lambda: spot.trades_since(PAIR, "1"),
        lambda: spot.funding_history(PAIR),
        lambda: futures.trades_since(PERP, "1"),
        lambda: futures.candles(PERP, "3m"),
    ):
        with pytest.raises(errors.Unsupported):
            ask()
    assert spot.repair(PAIR, 1) is None
    assert (spot.page_limit("candles"), futures.page_limit("candles"), futures.page_limit("trades")) == (
        1000,
        2000,
        100,
    )


def test_spot_answers():
    assert read(spot.time(), {"serverTime": 1793000000000}) == 1793000000000 * MS
    depth = (
        '{"lastUpdateId":10589632350,"bids":[["60000.10","0.5"]],"asks":[["60000.11","1.25"]],'
        '"timestamp":1793000000010}'
    )
    assert read(spot.depth(PAIR), depth) == DepthUpdate(
        "mexc", PAIR, 0, 1793000000010 * MS, NOW, ((60000.1, 0.5),), ((60000.11, 1.25),), None, 10589632350, None, True,
        1000,
    )  # fmt: skip
    trades = (
        '[{"id":null,"price":"60000.11","qty":"0.01","quoteQty":"600.0011","time":1793000000200,"isBuyerMaker":false,'
        '"isBestMatch":true,"tradeType":"BID"},{"id":null,"price":"60000","qty":"1","quoteQty":"1","time":1793000000100,'
        '"isBuyerMaker":true,"isBestMatch":true,"tradeType":"ASK"}]'
    )
    assert read(spot.trades(PAIR), trades) == [
        Trade("mexc", PAIR, 1793000000100 * MS, 0, NOW, None, 60000.0, 1.0, "sell"),
        Trade("mexc", PAIR, 1793000000200 * MS, 0, NOW, None, 60000.11, 0.01, "buy"),
    ]
    rows = [
        [1792999920000, "1", "2", "0.5", "1.5", "3", 1792999980000, "4"],
        [1793000000000, "59990", "60010", "59980.5", "60000.11", "3.125", 1793000060000, "187500.34"],
    ]
    done, running = read(spot.candles(PAIR, "1m"), rows)
    assert (done.closed, running.closed) == (True, False)
    assert running == Candle(
        "mexc", PAIR, 0, 0, NOW, "1m", 1793000000 * S, 1793000060 * S, 59990.0, 60010.0, 59980.5, 60000.11, 3.125,
        187500.34, None, False,
    )  # fmt: skip
    ticker = (
        '{"symbol":"BTCUSDT","priceChange":"700.11","priceChangePercent":"0.0118","prevClosePrice":"59300","lastPrice":'
        '"60000.11","bidPrice":"60000.10","bidQty":"","askPrice":null,"askQty":"1.25","openPrice":"59300","highPrice":'
        '"60500","lowPrice":"58800","volume":"13612.45","quoteVolume":null,"openTime":1792913600000,'
        '"closeTime":1793000000000,"count":null}'
    )
    expected = Ticker(
        "mexc", PAIR, 1793000000000 * MS, 0, NOW, 60000.11, 59300.0, 60500.0, 58800.0, 13612.45, None, 1.18, 60000.1,
        None, None, 1.25,
    )  # fmt: skip
    assert read(spot.tickers([PAIR]), ticker) == [expected]
    other = ticker.replace("BTCUSDT", "ETHUSDT")
    assert [t.symbol for t in read(spot.tickers(), f"[{ticker},{other}]")] == [PAIR, "ETH/USDT"]
    assert read(spot.tickers([PAIR]), f"[{ticker},{other}]") == [expected]
    assert read(spot.default_symbols(), {"code": 0, "data": ["BTCUSDT"], "msg": "success"}) == ["BTCUSDT"]


def test_futures_requests():
    assert target(futures.depth(PERP)) == "/api/v1/contract/depth/BTC_USDT?limit=1000"
    assert target(futures.repair(PERP, 7)) == "/api/v1/contract/depth_commits/BTC_USDT/1000"
    assert target(futures.trades(PERP)) == "/api/v1/contract/deals/BTC_USDT?limit=100"
    assert target(futures.tickers([PERP])) == "/api/v1/contract/ticker?symbol=BTC_USDT"
    assert target(futures.candles(PERP, "1h", start=60 * S, end=120 * S)) == (
        "/api/v1/contract/kline/BTC_USDT?interval=Min60&start=60&end=119"
    )
    assert target(futures.funding_history(PERP, limit=5)) == (
        "/api/v1/contract/funding_rate/history?symbol=BTC_USDT&page_num=1&page_size=5"
    )
    assert futures.instruments().request.budget == "detail"


def test_futures_answers():
    assert read(futures.time(), wrapped(1793000000000)) == 1793000000000 * MS
    image = {
        "asks": [[60000.1, 3446, 2]],
        "bids": [[60000.0, 31288, 7]],
        "version": 41925002140,
        "timestamp": 1793000000010,
    }
    assert read(futures.depth(PERP), wrapped(image)) == DepthUpdate(
        "mexc", PERP, 1793000000010 * MS, 0, NOW, ((60000.0, 3.1288),), ((60000.1, 0.3446),), None, 41925002140, None,
        True, 1000,
    )  # fmt: skip
    commits = [{"asks": [[60000.1, n, 1]], "bids": [], "version": n} for n in (9, 7, 8, 5)]
    repaired = read(futures.repair(PERP, 7), wrapped(commits))
    assert [(u.first_seq, u.seq, u.asks) for u in repaired] == [
        (8, 8, ((60000.1, 0.0008),)),
        (9, 9, ((60000.1, 0.0009),)),
    ]
    deals = [
        {"p": 60000.1, "v": 11, "T": 1, "O": 3, "M": 2, "t": 1793000000210, "i": "16270106116"},
        {"p": 60000.2, "v": 55, "T": 2, "O": 1, "M": 2, "t": 1793000000110},
    ]
    assert read(futures.trades(PERP), wrapped(deals)) == [
        Trade("mexc", PERP, 1793000000110 * MS, 0, NOW, None, 60000.2, 0.0055, "sell"),
        Trade("mexc", PERP, 1793000000210 * MS, 0, NOW, "16270106116", 60000.1, 0.0011, "buy"),
    ]
    columns = {
        "time": [1792999920, 1793000000], "open": [1.0, 59990.0], "close": [1.5, 60000.1], "high": [2, 60010.0],
        "low": [0.5, 59980.5], "vol": [5, 31250], "amount": [3, 187500.34],
    }  # fmt: skip
    done, running = read(futures.candles(PERP, "1m"), wrapped(columns))
    assert (done.closed, done.volume, running.closed) == (True, 0.0005, False)
    assert running == Candle(
        "mexc", PERP, 0, 0, NOW, "1m", 1793000000 * S, 1793000060 * S, 59990.0, 60010.0, 59980.5, 60000.1, 3.125,
        187500.34, None, False,
    )  # fmt: skip
    (only,) = read(futures.candles(PERP, "1m", end=1793000000 * S), wrapped(columns))
    assert only == done
    history = [
        {"symbol": "BTC_USDT", "fundingRate": rate, "collectCycle": 8, "settleTime": time}
        for rate, time in ((0.0002, 1792972800000), (-0.0001, 1792944000000))
    ]
    page = {"pageSize": 20, "totalCount": 2, "totalPage": 1, "currentPage": 1, "resultList": history}
    old = Funding("mexc", PERP, 1792944000000 * MS, 0, NOW, -0.0001, None)
    new = Funding("mexc", PERP, 1792972800000 * MS, 0, NOW, 0.0002, None)
    assert read(futures.funding_history(PERP), wrapped(page)) == [old, new]
    assert read(futures.funding_history(PERP, start=1792950000 * S), wrapped(page)) == [new]
    assert read(futures.funding_history(PERP, limit=1), wrapped(page)) == [new]
    rows = [{"symbol": "BTC_USDT", "lastPrice": 60000.1, "bid1": 60000.0, "ask1": 60000.1, "volume24": 412345678,
             "amount24": 2474000000.5, "riseFallRate": -0.0176, "timestamp": 1793000000100}]  # fmt: skip
    (ticker,) = read(futures.tickers(), wrapped(rows))
    assert (ticker.volume, ticker.change_pct, ticker.bid, ticker.bid_size) == (41234.5678, -1.76, 60000.0, None)


SPOT_ROW = {
    "symbol": "BTCUSDT", "status": "1", "baseAsset": "BTC", "baseAssetPrecision": 8, "quoteAsset": "USDT",
    "quotePrecision": 2, "quoteAssetPrecision": 2, "isSpotTradingAllowed": True, "quoteAmountPrecision": "1",
    "baseSizePrecision": "0.000001", "permissions": ["SPOT"], "makerCommission": "0", "takerCommission": "0.0005",
    "tradeSideType": 1,
}  # fmt: skip


def one_pair(**changes):
    body = json.dumps({"symbols": [{**SPOT_ROW, **changes}]}).encode()
    return SPOT_MARKET.read_instruments(body)[0]


def test_spot_instruments():
    pair = one_pair()
    assert (pair.symbol, pair.raw_symbol, pair.kind, pair.status, pair.api_tradable) == (
        "BTC/USDT", "BTCUSDT", "spot", "trading", True,
    )  # fmt: skip
    assert (pair.tick, pair.step, pair.min_size, pair.min_notional) == (
        Decimal("0.01"), Decimal("0.00000001"), Decimal("0.000001"), Decimal(1),
    )  # fmt: skip
    assert (pair.maker, pair.taker, pair.contract_size) == (Decimal(0), Decimal("0.0005"), (1, 1))
    assert one_pair(isSpotTradingAllowed=False).api_tradable is False
    assert one_pair(permissions=["MARGIN"]).api_tradable is False
    assert [one_pair(status=s).status for s in ("2", "3", "9")] == ["halted", "closed", "halted"]
    assert one_pair(tradeSideType="4").status == "halted"
    assert one_pair(baseAssetPrecision="8", baseSizePrecision="0").min_size is None
    assert (one_pair(baseAsset="1000BONK").multiplier, one_pair(baseAsset="1INCH").multiplier) == (1000, 1)
    for body in (
        b"{}",
        b"[]",
        b"",
        b'{"symbols":[{"symbol":""}]}',
        json.dumps({"symbols": [{**SPOT_ROW, "baseSizePrecision": "NaN"}]}).encode(),
    ):
        with pytest.raises(errors.WireError):
            SPOT_MARKET.read_instruments(body)


CONTRACT_ROW = {
    "symbol": "BTC_USDT", "baseCoin": "BTC", "quoteCoin": "USDT", "settleCoin": "USDT", "contractSize": 0.0001,
    "priceUnit": 0.1, "volUnit": 1, "minVol": 1, "maxVol": 2250000, "takerFeeRate": 0.0002, "makerFeeRate": 0,
    "state": 0, "isHidden": False, "apiAllowed": True, "futureType": 1,
}  # fmt: skip


def one_contract(**changes):
    body = json.dumps(wrapped([{**CONTRACT_ROW, **changes}])).encode()
    return FUTURES_MARKET.read_instruments(body)[0]


def test_contracts():
    contract = one_contract()
    assert (contract.symbol, contract.raw_symbol, contract.kind) == (PERP, "BTC_USDT", "linear")
    assert (contract.contract_size, contract.step, contract.tick) == ((1, 10_000), Decimal("0.0001"), Decimal("0.1"))
    assert (contract.min_size, contract.max_size) == (Decimal("0.0001"), Decimal(225))
    assert (contract.status, contract.api_tradable) == ("trading", True)
    assert one_contract(apiAllowed=False).api_tradable is False
    assert one_contract(isHidden=True).api_tradable is False
    assert one_contract(state=4).status == "halted"
    inverse = one_contract(symbol="BTC_USD", quoteCoin="USD", settleCoin="BTC", contractSize=100)
    assert (inverse.kind, inverse.contract_size, inverse.symbol) == ("inverse", None, "BTC/USD:BTC")
    assert one_contract(contractSize=1e-7).contract_size == (1, 10_000_000)
    single = json.dumps(wrapped(CONTRACT_ROW)).encode()
    assert FUTURES_MARKET.read_instruments(single) == [contract]


def test_refusals_keep_code_text_and_status():
    with pytest.raises(errors.InvalidSymbol) as caught:
        read(spot.depth(PAIR), {"code": -1121, "msg": "Invalid symbol."}, 400)
    assert (caught.value.code, caught.value.text, caught.value.status) == ("-1121", "Invalid symbol.", 400)
    with pytest.raises(errors.InvalidSymbol) as caught:
        read(futures.depth(PERP), {"success": False, "code": 1001, "message": "Contract does not exist!"})
    assert (caught.value.code, caught.value.status) == ("1001", 200)
    with pytest.raises(errors.RateLimited) as limited:
        read(futures.depth(PERP), {"success": False, "code": 510, "message": "too frequent"})
    assert limited.value.retryable
    with pytest.raises(errors.RateLimited) as limited:
        read(spot.depth(PAIR), "slow down", 429, (("retry-after", "7"),))
    assert limited.value.retry_after == 7
    with pytest.raises(errors.RateLimited) as limited:
        read(spot.depth(PAIR), "<html>", 403)
    assert limited.value.retry_after == 60
    with pytest.raises(errors.ExchangeUnavailable):
        read(futures.depth(PERP), "<html>", 502)
    with pytest.raises(errors.WireError):
        read(futures.depth(PERP), "<html>", 200)
    with pytest.raises(errors.VenueError):
        read(futures.depth(PERP), {"success": True, "code": 77, "data": {}})
    with pytest.raises(errors.WireError):
        read(futures.depth(PERP), wrapped({"asks": []}))


@pytest.mark.parametrize(
    ("codes", "code", "text", "kind"),
    [
        (SPOT_CODES, "30004", "Insufficient position", errors.InsufficientFunds),
        (SPOT_CODES, "700003", "timestamp", errors.TimestampOutOfWindow),
        (SPOT_CODES, "700004", "signature missing", errors.AuthenticationFailed),
        (SPOT_CODES, "700004", "orderId missing", errors.InvalidRequest),
        (SPOT_CODES, "10007", "symbol not support api", errors.InvalidSymbol),
        (FUTURES_CODES, "2005", "", errors.InsufficientFunds),
        (FUTURES_CODES, "2011", "", errors.InvalidOrder),
        (FUTURES_CODES, "604", "", errors.ExchangeUnavailable),
        (FUTURES_CODES, "424242", "Balance insufficient", errors.InsufficientFunds),
        (FUTURES_CODES, "424242", "Under maintenance", errors.ExchangeUnavailable),
        (FUTURES_CODES, "424242", "the order does not exist", errors.OrderNotFound),
        (FUTURES_CODES, "424242", "something new", errors.VenueError),
    ],
)
def test_codes(codes, code, text, kind):
    assert type(make_error(codes, code, text)) is kind


@needs_recordings
def test_signing_vectors():
    vectors = json.loads((RECORDINGS.parent / "venues" / "mexc" / "test_vectors.json").read_text())
    for vector in vectors["signing"]:
        secret, text = vector["secret"], vector["string_to_sign"]
        if vector["scheme"] == "spot":
            found = signing.spot_signature(secret, text)
        else:
            key, rest = vector["api_key"], text.removeprefix(vector["api_key"])
            found = signing.futures_signature(secret, key, rest[:13], rest[13:])
        assert found == vector["signature"], vector["name"]
    for vector in vectors["known_bad"]:
        assert signing.spot_signature(vector["secret"], vector["string_to_sign"]) != vector["published"]
    parameters = {"symbol": "BTC_USDT", "page_size": 20, "page_num": 1, "states": None}
    assert signing.futures_parameters(parameters) == "page_num=1&page_size=20&symbol=BTC_USDT"


def update(first, last):
    return DepthUpdate("mexc", PAIR, 0, 0, 0, (), (), first, last, None)


@pytest.mark.parametrize("rule", [SPOT_MARKET.book_rule, FUTURES_MARKET.book_rule])
def test_book_rules(rule):
    assert (rule.snapshot, rule.wait_for, rule.keep) == ("request", 1, None)
    for first, last, fit in (
        (5, 9, Fit.STALE),
        (5, 10, Fit.STALE),
        (5, 11, Fit.APPLY),
        (11, 11, Fit.APPLY),
        (12, 13, Fit.GAP),
    ):
        assert rule.join(10, update(first, last)) is fit, (first, last)
    # After a join, overlap is no longer allowed: the next begins exactly one after.
    for first, last, fit in ((11, 12, Fit.APPLY), (9, 10, Fit.STALE), (9, 12, Fit.GAP), (12, 12, Fit.GAP)):
        assert rule.follow(update(8, 10), update(first, last)) is fit, (first, last)


def test_the_venue():
    assert VENUE.market("contract") is VENUE.market("futures") is VENUE.market_of(PERP)
    assert VENUE.market_of(PAIR) is VENUE.market("spot")
    assert not FUTURES_MARKET.owns("BTC/USD:BTC")
    assert "quotes" not in FUTURES_MARKET.channels
    assert not SPOT_MARKET.channels["candles"].closes
    for market in VENUE.markets:
        assert market.endpoints["live"].ws["public"].startswith("wss://")
        assert all(market.owns(instrument.symbol) for instrument in market.catalogue)
        assert all(spec.channel == channel and spec.source for channel, spec in market.channels.items())
