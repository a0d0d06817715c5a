"""Futures messages: the sheet's examples by hand, contracts to base units, gzip, and broken input."""

from __future__ import annotations

import gzip
import random
from fractions import Fraction

import pytest

from tests.mexc.support import FUTURES, NOW, instrument
from unitape.errors import WireError
from unitape.spi import Closing, DepthUpdate, Instruments, Refused, Unmapped
from unitape_mexc import FUTURES as MARKET
from unitape_mexc.channels import candle_end
from unitape_mexc.codec_futures import Contract
from unitape_schemas import Candle, Funding, MarkPrice, OpenInterest, Ticker, TopBook, Trade

BTC = "BTC/USDT:USDT"
MS = 1_000_000
TICKER = (
    '{"channel":"push.ticker","symbol":"BTC_USDT","data":{"contractId":10,"symbol":"BTC_USDT","lastPrice":60000.1,'
    '"bid1":60000.0,"ask1":60000.1,"fairPrice":60001.2,"indexPrice":60003.4,"fundingRate":0.0001,"holdVol":98765432,'
    '"volume24":412345678,"amount24":2474000000.5,"high24Price":60500.8,"lower24Price":58800.2,"riseFallRate":0.0118,'
    '"riseFallValue":700.1,"maxBidPrice":66003.7,"minAskPrice":54003.0,"timestamp":1793000000100},"ts":1793000000101}'
)
DEAL = (
    '{"symbol":"BTC_USDT","data":[{"p":60000.1,"v":11,"T":1,"O":3,"M":2,"t":1793000000210,"i":"16270106116",'
    '"cts":"1793000000210"}],"channel":"push.deal","ts":1793000000212}'
)
DEPTH = (
    '{"channel":"push.depth","symbol":"BTC_USDT","data":{"asks":[[60000.1,3446,2]],"bids":[[59999.8,0,0]],'
    '"begin":41925002141,"end":41925002142,"version":41925002142},"ts":1793000000220}'
)
TOP = (
    '{"channel":"push.depth.full","symbol":"BTC_USDT","data":{"asks":[[60000.1,3446,2]],"bids":[[60000.0,31288,7]],'
    '"version":41925002140,"cts":1793000000009},"ts":1793000000010}'
)
KLINE = (
    '{"channel":"push.kline","symbol":"BTC_USDT","data":{"symbol":"BTC_USDT","interval":"Min1","t":1792999980,'
    '"o":59990.0,"h":60010.0,"l":59980.5,"c":60000.1,"q":31250,"a":187500.34,"ro":59990.1,"rc":60000.1,"rh":60010.0,'
    '"rl":59980.5},"ts":1793000000240}'
)
FUNDING = (
    '{"channel":"push.funding.rate","symbol":"BTC_USDT","data":{"symbol":"BTC_USDT","rate":0.0001,'
    '"nextSettleTime":1793001600000},"ts":1793000000250}'
)
INDEX = (
    '{"channel":"push.index.price","symbol":"BTC_USDT","data":{"symbol":"BTC_USDT","price":60003.4},"ts":1793000000251}'
)
FAIR = (
    '{"channel":"push.fair.price","symbol":"BTC_USDT","data":{"symbol":"BTC_USDT","price":60001.2},"ts":1793000000252}'
)
TICKERS = (
    '{"channel":"push.tickers","data":[{"symbol":"BTC_USDT","lastPrice":60000.1,"riseFallRate":0.0118,'
    '"fairPrice":60001.2,"indexPrice":60003.4,"volume24":412345678,"amount24":2474000000.5,"maxBidPrice":66003.7,'
    '"minAskPrice":54003.0,"lower24Price":58800.2,"high24Price":60500.8,"timestamp":1793000000100}],"ts":1793000000101}'
)
STAMP = 1793000000100 * MS
TICK = Ticker(
    "mexc", BTC, STAMP, STAMP + MS, NOW, 60000.1, None, 60500.8, 58800.2, 41234.5678, 2474000000.5, 1.18, 60000.0,
    None, 60000.1, None,
)  # fmt: skip
EXPECTED = {
    TICKER: [TICK, OpenInterest("mexc", BTC, STAMP, STAMP + MS, NOW, 9876.5432)],
    TICKERS: [
        Ticker(
            "mexc",
            BTC,
            STAMP,
            STAMP + MS,
            NOW,
            60000.1,
            None,
            60500.8,
            58800.2,
            41234.5678,
            2474000000.5,
            1.18,
            None,
            None,
            None,
            None,
        )
    ],
    DEAL: [Trade("mexc", BTC, 1793000000210 * MS, 1793000000212 * MS, NOW, "16270106116", 60000.1, 0.0011, "buy")],
    DEPTH: [
        DepthUpdate(
            "mexc",
            BTC,
            0,
            1793000000220 * MS,
            NOW,
            ((59999.8, 0.0),),
            ((60000.1, 0.3446),),
            41925002141,
            41925002142,
            None,
        )
    ],
    TOP: [
        TopBook(
            "mexc",
            BTC,
            1793000000009 * MS,
            1793000000010 * MS,
            NOW,
            ((60000.0, 3.1288),),
            ((60000.1, 0.3446),),
            5,
            41925002140,
        )
    ],
    KLINE: [
        Candle(
            "mexc",
            BTC,
            0,
            1793000000240 * MS,
            NOW,
            "1m",
            1792999980 * 10**9,
            1793000040 * 10**9,
            59990.0,
            60010.0,
            59980.5,
            60000.1,
            3.125,
            187500.34,
            None,
            False,
        )
    ],
    FUNDING: [Funding("mexc", BTC, 0, 1793000000250 * MS, NOW, 0.0001, 1793001600000 * MS)],
    INDEX: [MarkPrice("mexc", BTC, 0, 1793000000251 * MS, NOW, None, 60003.4)],
    FAIR: [MarkPrice("mexc", BTC, 0, 1793000000252 * MS, NOW, 60001.2, None)],
}


def decode(data, instruments=FUTURES):
    return list(MARKET.codec(instruments).decode(data, NOW))


@pytest.mark.parametrize("text", EXPECTED)
@pytest.mark.parametrize("form", [str, str.encode, lambda text: gzip.compress(text.encode())])
def test_the_examples_of_the_sheet(text, form):
    assert decode(form(text)) == EXPECTED[text]


@pytest.mark.parametrize("text", EXPECTED)
def test_spaces_and_unknown_fields_change_nothing(text):
    assert decode(text.replace('":', '": ').replace(",", " , ")) == EXPECTED[text]
    assert (
        decode(text.replace('"symbol":"BTC_USDT"', '"symbol":"BTC_USDT","newField":[1,{"channel":2}]'))
        == EXPECTED[text]
    )


def test_an_unmerged_push_has_only_its_version():
    text = DEPTH.replace('"begin":41925002141,"end":41925002142,', "")
    (update,) = decode(text)
    assert (update.first_seq, update.seq) == (41925002142, 41925002142)


def test_levels_of_two_elements_numbers_as_text_and_parts_of_contracts():
    text = DEPTH.replace("[60000.1,3446,2]", "[6.00001E+4,3.446E+3]").replace("[59999.8,0,0]", '["59999.8","55","1"]')
    (update,) = decode(text)
    assert (update.bids, update.asks) == (((59999.8, 0.0055),), ((60000.1, 0.3446),))
    (update,) = decode(DEPTH.replace("3446", "34.5"))
    assert update.asks == ((60000.1, 0.00345),)
    (ticker, held) = decode(
        TICKER.replace("98765432", "7.548E+4").replace('"ts":1793000000101', '"ts":"1793000000101"')
    )
    assert (ticker, held.size) == (TICK, 7.548)


def test_a_single_object_is_one_trade():
    text = DEAL.replace("[{", "{").replace("}]", "}").replace('"i":"16270106116",', "")
    (trade,) = decode(text)
    assert (trade.id, trade.size) == (None, 0.0011)


@pytest.mark.parametrize("size", ["0.0001", "0.001", "0.1", "1", "10", "1000", "10000000", "0.00003", "0.7", "123.456"])
def test_contracts_become_base_units_correctly_rounded(size):
    rng = random.Random(size)
    numerator, denominator = Fraction(size).as_integer_ratio()
    contract = Contract("X", numerator, denominator)
    for _ in range(2000):
        count = rng.choice((rng.randrange(100), rng.randrange(10**6), rng.randrange(10**10)))
        exact = float(Fraction(size) * count)
        assert contract.base(float(count)) == exact
        assert contract.levels([(1.0, count, 1)]) == ((1.0, exact),)
    assert Contract("X", 1, 10_000).base(55.0) == 0.0055
    assert contract.base(0.3) == float(Fraction(size) * Fraction("0.3"))


def test_sizes_are_never_in_contracts():
    nobody = Instruments([instrument("ETH", size="0.01")])
    for text in (TICKER, DEAL, DEPTH, TOP, KLINE):
        with pytest.raises(WireError, match="contract size of BTC_USDT is not known") as caught:
            decode(text, nobody)
        assert caught.value.data == text.encode()
    (ticker,) = decode(TICKERS, nobody)
    assert (ticker.symbol, ticker.last, ticker.volume) == ("BTC_USDT", 60000.1, None)
    assert decode(FAIR, nobody)[0].symbol == "BTC_USDT"
    huge = Instruments([instrument("BTC", size="100000000")])
    with pytest.raises(WireError, match="beyond all bounds"):
        decode(DEPTH.replace("3446", "99999999999"), huge)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"p":60000.1', '"p":-1'),
        ('"p":60000.1', '"p":1e18'),
        ('"p":60000.1', '"p":"nan"'),
        ('"v":11', '"v":null'),
        ('"T":1', '"T":3'),
        ('"t":1793000000210', '"t":-5'),
        ('"ts":1793000000212', '"ts":99999999999999'),
        ('"data":[', '"data":[['),
        ('"symbol":"BTC_USDT"', '"symbol":""'),
        ('"channel":"push.deal"', '"channel":"push.deal","channel":"push.depth"'),
        ('"channel":"push.deal"', '"channel":"nothing"'),
    ],
)
def test_what_makes_no_sense_is_refused(old, new):
    assert old in DEAL
    with pytest.raises(WireError):
        decode(DEAL.replace(old, new))


def test_two_contracts_in_one_message_are_refused():
    for text in (TICKER, KLINE, FUNDING, INDEX, FAIR):
        with pytest.raises(WireError, match="contradicts"):
            decode(text.replace('"symbol":"BTC_USDT"', '"symbol":"ETH_USDT"', 1))


def test_gzip_is_bounded():
    bomb = gzip.compress(b" " * (64 * 1024 * 1024))
    assert len(bomb) < 100_000
    for data in (bomb, gzip.compress(DEAL.encode())[:-3], b"\x1f\x8bnot gzip", gzip.compress(DEAL.encode()) + b"more"):
        with pytest.raises(WireError, match="gzip"):
            decode(data)
    with pytest.raises(WireError, match="bounds"):
        decode(b" " * (17 * 1024 * 1024))


def test_replies_and_what_is_outside():
    assert decode('{"channel":"pong","data":1793000000123,"ts":1793000000123}') == []
    assert decode('{"channel":"rs.sub.depth","data":"success","ts":"1793000000456"}') == []
    (refused,) = decode('{"channel":"rs.error","data":"Contract [NOPE_USDT] not exists","ts":1}')
    assert isinstance(refused, Refused)
    assert (refused.subscriptions, refused.text) == (None, "Contract [NOPE_USDT] not exists")
    text = '{"channel":"rs.error","data":"more than 60 seconds no response, close the channel","ts":1}'
    (closing,) = decode(text)
    assert closing == Closing("more than 60 seconds no response, close the channel", rotate=False)
    assert decode('{"channel":"push.depth.step","data":{},"symbol":"BTC_USDT"}') == [Unmapped("push.depth.step")]
    for noise in ("", "[]", "{}", "null", "hello", '{"channel":5}', b"\xff\xfe"):
        with pytest.raises(WireError):
            decode(noise)


def test_a_month_ends_where_the_next_begins():
    # 1 February 2028 00:00 in UTC and in UTC+8; 2028 is a leap year.
    for start in (1832976000, 1832976000 - 8 * 3600):
        assert candle_end(start, "1M") - start == 29 * 86400
    assert candle_end(1859587200 - 8 * 3600, "1M") - (1859587200 - 8 * 3600) == 31 * 86400  # December 2028
    assert candle_end(0, "1w") == 7 * 86400


@pytest.mark.parametrize("seed", range(4))
def test_broken_messages_give_a_typed_error_or_events_in_bounds(seed):
    rng = random.Random(seed)
    codec = MARKET.codec(FUTURES)
    refused = 0
    for number in range(4000):
        data = bytearray(rng.choice(list(EXPECTED)).encode())
        for _ in range(rng.choice((1, 1, 2, 5))):
            at = rng.randrange(len(data))
            match rng.randrange(4):
                case 0:
                    data[at] = rng.randrange(256)
                case 1:
                    del data[at : at + rng.randint(1, 5)]
                case 2:
                    data[at:at] = rng.choice((b"-", b"9", b'"', b"[", b"}", b"e", b"null", b","))
                case 3:
                    data[at] = rng.choice(b'0123456789.-+eE"[]{},:')
        try:
            outputs = codec.decode(bytes(data), NOW)
        except WireError:
            refused += 1
            continue
        for event in outputs:
            for name in ("price", "size", "open", "high", "low", "close", "last", "volume", "mark", "index"):
                value = getattr(event, name, None)
                assert value is None or 0 <= value < 1e18, f"seed {seed}, message {number}: {bytes(data)!r}"
    assert refused > 1500
