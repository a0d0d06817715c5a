"""Every payload example of the protocol, read by the codec and by a subscribed session."""

from __future__ import annotations

import json

import pytest

from unitape.errors import WireError
from unitape.spi import Closing, DepthUpdate, Instruments, Refused, Unmapped
from unitape_binance import SPOT, USDM
from unitape_schemas import (
    Candle,
    Funding,
    Liquidation,
    MarkPrice,
    OpenInterest,
    Quote,
    Subscription,
    Ticker,
    TopBook,
    Trade,
)

RECV = 1_793_923_200_131_234_567
V, S, P = "binance", "BTC/USDT", "BTC/USDT:USDT"
MS = 1_000_000

SPOT_CODEC = SPOT.codec(Instruments(SPOT.catalogue))
USDM_CODEC = USDM.codec(Instruments(USDM.catalogue))

SPOT_CASES = {
    "btcusdt@trade": (
        ('{"e":"trade","E":1793923200123,"s":"BTCUSDT","t":5641203377,"p":"96412.37000000","q":"0.00415000",'
        '"T":1793923200122,"m":true,"M":true}'),
        Trade(V, S, 1793923200122 * MS, 1793923200123 * MS, RECV, "5641203377", 96412.37, 0.00415, "sell"),
    ),
    "btcusdt@bookTicker": (
        ('{"u":78120445120,"s":"BTCUSDT","b":"96412.36000000","B":"1.28410000","a":"96412.37000000",'
        '"A":"3.70022000"}'),
        Quote(V, S, 0, 0, RECV, 96412.36, 1.2841, 96412.37, 3.70022, 78120445120),
    ),
    "btcusdt@depth@100ms": (
        ('{"e":"depthUpdate","E":1793923200200,"s":"BTCUSDT","U":78120445101,"u":78120445133,'
        '"b":[["96412.36000000","1.28410000"],["96410.00000000","0.00000000"]],'
        '"a":[["96412.37000000","3.70022000"]]}'),
        DepthUpdate(
            V, S, 0, 1793923200200 * MS, RECV,
            ((96412.36, 1.2841), (96410.0, 0.0)), ((96412.37, 3.70022),), 78120445101, 78120445133, None,
        ),
    ),
    "btcusdt@depth5@100ms": (
        ('{"lastUpdateId":78120445133,"bids":[["96412.36000000","1.28410000"],["96412.35000000","0.02000000"]],'
        '"asks":[["96412.37000000","3.70022000"],["96412.40000000","0.51000000"]]}'),
        TopBook(
            V, S, 0, 0, RECV,
            ((96412.36, 1.2841), (96412.35, 0.02)), ((96412.37, 3.70022), (96412.4, 0.51)), 5, 78120445133,
        ),
    ),
    "btcusdt@ticker": (
        ('{"e":"24hrTicker","E":1793923200510,"s":"BTCUSDT","p":"-812.11000000","P":"-0.835","w":"96880.12004411",'
        '"x":"97224.48000000","c":"96412.37000000","Q":"0.00415000","b":"96412.36000000","B":"1.28410000",'
        '"a":"96412.37000000","A":"3.70022000","o":"97224.48000000","h":"97990.00000000","l":"95760.02000000",'
        '"v":"18211.20011000","q":"1764263211.88231100","O":1793836800505,"C":1793923200505,"F":5638010012,'
        '"L":5641203379,"n":3193368}'),
        Ticker(
            V, S, 1793923200505 * MS, 1793923200510 * MS, RECV,
            96412.37, 97224.48, 97990.0, 95760.02, 18211.20011, 1764263211.882311, -0.835,
            96412.36, 1.2841, 96412.37, 3.70022,
        ),
    ),
    "btcusdt@kline_1m": (
        ('{"e":"kline","E":1793923202000,"s":"BTCUSDT","k":{"t":1793923200000,"T":1793923259999,"s":"BTCUSDT",'
        '"i":"1m","f":5641203370,"L":5641203512,"o":"96410.01000000","c":"96412.37000000","h":"96420.00000000",'
        '"l":"96409.99000000","v":"4.21880000","n":143,"x":false,"q":"406739.12110000","V":"2.00110000",'
        '"Q":"192931.07770000","B":"0"}}'),
        Candle(
            V, S, 0, 1793923202000 * MS, RECV, "1m", 1793923200000 * MS, 1793923260000 * MS,
            96410.01, 96420.0, 96409.99, 96412.37, 4.2188, 406739.1211, 143, closed=False,
        ),
    ),
}  # fmt: skip
SPOT_MORE = {
    "btcusdt@aggTrade": (
        ('{"e":"aggTrade","E":1793923200123,"s":"BTCUSDT","a":4120077121,"p":"96412.37000000","q":"0.01870000",'
        '"f":5641203377,"l":5641203379,"T":1793923200122,"m":true,"M":true}'),
        Trade(V, S, 1793923200122 * MS, 1793923200123 * MS, RECV, "4120077121", 96412.37, 0.0187, "sell"),
    ),
    "btcusdt@miniTicker": (
        ('{"e":"24hrMiniTicker","E":1793923200510,"s":"BTCUSDT","c":"96412.37000000","o":"97224.48000000",'
        '"h":"97990.00000000","l":"95760.02000000","v":"18211.20011000","q":"1764263211.88231100"}'),
        Ticker(
            V, S, 0, 1793923200510 * MS, RECV,
            96412.37, 97224.48, 97990.0, 95760.02, 18211.20011, 1764263211.882311, None, None, None, None, None,
        ),
    ),
}  # fmt: skip
USDM_CASES = {
    "btcusdt@aggTrade": (
        ('{"e":"aggTrade","E":1793923200154,"s":"BTCUSDT","a":3011228455,"p":"96398.40","q":"0.214","nq":"0.200",'
        '"f":7120033011,"l":7120033019,"T":1793923200101,"m":false,"st":1}'),
        Trade(V, P, 1793923200101 * MS, 1793923200154 * MS, RECV, "3011228455", 96398.4, 0.214, "buy"),
    ),
    "btcusdt@bookTicker": (
        ('{"e":"bookTicker","u":9912003341221,"E":1793923200140,"T":1793923200138,"s":"BTCUSDT","ps":"BTCUSDT",'
        '"b":"96398.30","B":"4.118","a":"96398.40","A":"2.007","st":1}'),
        Quote(
            V, P, 1793923200138 * MS, 1793923200140 * MS, RECV, 96398.3, 4.118, 96398.4, 2.007, 9912003341221
        ),
    ),
    "btcusdt@depth@100ms": (
        ('{"e":"depthUpdate","E":1793923200204,"T":1793923200199,"s":"BTCUSDT","ps":"BTCUSDT","U":9912003340010,'
        '"u":9912003341221,"pu":9912003339987,"b":[["96398.30","4.118"],["96390.00","0"]],'
        '"a":[["96398.40","2.007"]],"st":1}'),
        DepthUpdate(
            V, P, 1793923200199 * MS, 1793923200204 * MS, RECV, ((96398.3, 4.118), (96390.0, 0.0)),
            ((96398.4, 2.007),), 9912003340010, 9912003341221, 9912003339987,
        ),
    ),
    "btcusdt@depth10@100ms": (
        ('{"e":"depthUpdate","E":1793923200204,"T":1793923200199,"s":"BTCUSDT","ps":"BTCUSDT","U":9912003340010,'
        '"u":9912003341221,"pu":9912003339987,"b":[["96398.30","4.118"],["96390.00","7"]],'
        '"a":[["96398.40","2.007"]],"st":1}'),
        TopBook(
            V, P, 1793923200199 * MS, 1793923200204 * MS, RECV, ((96398.3, 4.118), (96390.0, 7.0)),
            ((96398.4, 2.007),), 10, 9912003341221,
        ),
    ),
    "btcusdt@forceOrder": (
        ('{"e":"forceOrder","E":1793923204001,"ps":"BTCUSDT","st":1,"o":{"s":"BTCUSDT","S":"SELL","o":"LIMIT",'
        '"f":"IOC","q":"0.420","p":"95980.20","ap":"96371.55","X":"FILLED","l":"0.100","z":"0.420",'
        '"T":1793923203996}}'),
        Liquidation(V, P, 1793923203996 * MS, 1793923204001 * MS, RECV, "sell", 96371.55, 0.42),
    ),
    "btcusdt@ticker": (
        ('{"e":"24hrTicker","E":1793923200811,"s":"BTCUSDT","ps":"BTCUSDT","st":1,"p":"-801.50","P":"-0.825",'
        '"w":"96871.22","c":"96398.40","Q":"0.010","o":"97199.90","h":"97960.00","l":"95740.10","v":"161022.118",'
        '"q":"15598409112.42","O":1793836800000,"C":1793923200807,"F":7116020001,"L":7120033019,"n":4012911}'),
        Ticker(
            V, P, 1793923200807 * MS, 1793923200811 * MS, RECV, 96398.4, 97199.9, 97960.0, 95740.1, 161022.118,
            15598409112.42, -0.825, None, None, None, None,
        ),
    ),
    "btcusdt@kline_1m": (
        ('{"e":"kline","E":1793923200260,"s":"BTCUSDT","k":{"t":1793923200000,"T":1793923259999,"s":"BTCUSDT",'
        '"i":"1m","f":7120033001,"L":7120033019,"o":"96398.30","c":"96398.40","h":"96398.40","l":"96398.30",'
        '"v":"1.204","n":19,"x":false,"q":"116063.61","V":"0.800","Q":"77118.72","B":"0"}}'),
        Candle(
            V, P, 0, 1793923200260 * MS, RECV, "1m", 1793923200000 * MS, 1793923260000 * MS,
            96398.3, 96398.4, 96398.3, 96398.4, 1.204, 116063.61, 19, closed=False,
        ),
    ),
}  # fmt: skip
USDM_MORE = {
    "btcusdt@trade": (
        ('{"e":"trade","E":1793923200131,"T":1793923200130,"s":"BTCUSDT","t":7120033019,"p":"96398.40","q":"0.010",'
        '"X":"MARKET","m":false,"st":1}'),
        Trade(V, P, 1793923200130 * MS, 1793923200131 * MS, RECV, "7120033019", 96398.4, 0.01, "buy"),
    ),
    "btcusdt@miniTicker": (
        ('{"e":"24hrMiniTicker","E":1793923200811,"s":"BTCUSDT","ps":"BTCUSDT","st":1,"c":"96398.40",'
        '"o":"97199.90","h":"97960.00","l":"95740.10","v":"161022.118","q":"15598409112.42"}'),
        Ticker(
            V, P, 0, 1793923200811 * MS, RECV, 96398.4, 97199.9, 97960.0, 95740.1, 161022.118, 15598409112.42,
            None, None, None, None, None,
        ),
    ),
}  # fmt: skip
MARK = (
    '{"e":"markPriceUpdate","E":1793923203000,"s":"BTCUSDT","p":"96401.12345678","ap":"96400.98000000",'
    '"i":"96405.88123456","P":"96390.10000000","r":"0.00008123","T":1793952000000,"st":1}'
)
MARK_EVENT = MarkPrice(V, P, 0, 1793923203000 * MS, RECV, 96401.12345678, 96405.88123456)
FUNDING_EVENT = Funding(V, P, 0, 1793923203000 * MS, RECV, 0.00008123, 1793952000000 * MS)

SUBSCRIPTIONS = {
    "trade": ("trades", {}),
    "aggTrade": ("trades", {}),
    "bookTicker": ("quotes", {}),
    "depth": ("book", {}),
    "depth5": ("top", {"depth": 5}),
    "depth10": ("top", {"depth": 10}),
    "ticker": ("ticker", {}),
    "kline_1m": ("candles", {"interval": "1m"}),
    "forceOrder": ("liquidations", {}),
}


def framed(stream: str, payload: str) -> str:
    return f'{{"stream":"{stream}","data":{payload}}}'


def subscribed(market, symbol, stream):
    channel, detail = SUBSCRIPTIONS[stream.split("@")[1]]
    session = market.session(Instruments(market.catalogue), market.channels[channel].route)
    session.subscribe([Subscription(channel, symbol, **detail)])
    assert f'["{stream}"]' in session.outbox[0]
    return session


@pytest.mark.parametrize("stream", SPOT_CASES)
def test_spot_session(stream):
    payload, expected = SPOT_CASES[stream]
    session = subscribed(SPOT, S, stream)
    text = framed(stream, payload)
    assert list(session.on_frame(text.encode(), RECV)) == [expected]
    assert list(session.on_frame(text, RECV)) == [expected]
    assert [state.touched for state in session.streams.values()] == [RECV]


@pytest.mark.parametrize("stream", USDM_CASES)
def test_usdm_session(stream):
    payload, expected = USDM_CASES[stream]
    session = subscribed(USDM, P, stream)
    assert list(session.on_frame(framed(stream, payload).encode(), RECV)) == [expected]


@pytest.mark.parametrize(
    ("codec", "stream", "payload", "expected"),
    [(SPOT_CODEC, stream, *case) for stream, case in (SPOT_CASES | SPOT_MORE).items()]
    + [(USDM_CODEC, stream, *case) for stream, case in (USDM_CASES | USDM_MORE).items()],
)
def test_codec(codec, stream, payload, expected):
    assert list(codec.decode(framed(stream, payload).encode(), RECV)) == [expected]
    assert list(codec.decode(framed(stream, payload), RECV)) == [expected]
    assert list(codec.decode(payload, RECV, stream=stream)) == [expected]
    if not isinstance(expected, TopBook):
        assert list(codec.decode(payload.encode(), RECV)) == [expected]


def test_bare_top_needs_its_stream():
    payload, _ = SPOT_CASES["btcusdt@depth5@100ms"]
    with pytest.raises(WireError, match="no event type"):
        SPOT_CODEC.decode(payload, RECV)


def test_mark_price_and_funding_come_from_one_payload():
    assert list(USDM_CODEC.decode(MARK, RECV)) == [MARK_EVENT, FUNDING_EVENT]


@pytest.mark.parametrize(
    ("rate", "following", "expected"),
    [
        ('""', 0, []),
        ('"0"', 0, [Funding(V, P, 0, MS, RECV, 0.0, None)]),
        ('"-0.00250000"', 1793952000000, [Funding(V, P, 0, MS, RECV, -0.0025, 1793952000000 * MS)]),
    ],
)
def test_funding_that_is_not_there(rate, following, expected):
    payload = f'{{"e":"markPriceUpdate","E":1,"s":"BTCUSDT","p":"2","i":"3","r":{rate},"T":{following}}}'
    mark = MarkPrice(V, P, 0, MS, RECV, 2.0, 3.0)
    assert list(USDM_CODEC.decode(payload, RECV)) == [mark, *expected]
    session = USDM.session(Instruments(USDM.catalogue), "market")
    session.subscribe([Subscription("funding", P)])
    assert list(session.on_frame(framed("btcusdt@markPrice@1s", payload), RECV)) == expected


@pytest.mark.parametrize(
    ("changes", "kept"),
    [
        ({"X": "MARKET"}, [USDM_MORE["btcusdt@trade"][1]]),
        ({"X": None}, [USDM_MORE["btcusdt@trade"][1]]),
        ({"X": "NA"}, []),
        ({"p": "0"}, []),
        ({"q": "0"}, []),
        ({"X": "INSURANCE_FUND"}, [Unmapped("trade outside the book")]),
    ],
)
def test_usdm_trade_rows_that_are_no_trades(changes, kept):
    row = json.loads(USDM_MORE["btcusdt@trade"][0]) | changes
    frame = json.dumps({key: value for key, value in row.items() if value is not None})
    assert list(USDM_CODEC.decode(frame, RECV)) == kept


def test_liquidation_without_a_fill_has_the_price_of_the_order():
    payload = USDM_CASES["btcusdt@forceOrder"][0].replace('"96371.55"', '"0"')
    (event,) = USDM_CODEC.decode(payload, RECV)
    assert event.price == 95980.2


def test_rows_of_the_other_family_are_dropped():
    rows = [json.loads(MARK), json.loads(MARK) | {"s": "BTCUSD_PERP", "st": 2}, json.loads(MARK)]
    del rows[2]["st"]
    frame = json.dumps({"stream": "!markPrice@arr@1s", "data": rows}, separators=(",", ":"))
    session = USDM.session(Instruments(USDM.catalogue), "market")
    session.subscribe([Subscription("mark_price", "*", market="usdm")])
    assert list(session.on_frame(frame, RECV)) == [MARK_EVENT, MARK_EVENT]
    assert list(USDM_CODEC.decode(frame, RECV)) == [MARK_EVENT, FUNDING_EVENT] * 2


@pytest.mark.parametrize(
    ("channel", "stream", "case"),
    [
        ("ticker", "!ticker@arr", "btcusdt@ticker"),
        ("quotes", "!bookTicker", "btcusdt@bookTicker"),
        ("liquidations", "!forceOrder@arr", "btcusdt@forceOrder"),
    ],
)
def test_streams_of_all_symbols(channel, stream, case):
    payload, expected = USDM_CASES[case]
    other = payload.replace('"st":1', '"st":2')
    session = USDM.session(Instruments(USDM.catalogue), USDM.channels[channel].route)
    session.subscribe([Subscription(channel, "*", market="usdm")])
    assert list(session.on_frame(framed(stream, payload), RECV)) == [expected]
    assert list(session.on_frame(framed(stream, other), RECV)) == []
    assert list(session.on_frame(framed(stream, f"[{payload},{other},{payload}]"), RECV)) == [expected] * 2
    assert list(session.on_frame(framed(stream, "[]"), RECV)) == []
    assert [state.touched for state in session.streams.values()] == [RECV]
    assert list(USDM_CODEC.decode(framed(stream, f"[{payload},{other}]"), RECV)) == [expected]


def test_a_symbol_that_is_not_known_keeps_its_spelling():
    instruments = Instruments(USDM.catalogue)
    payload = USDM_CASES["btcusdt@bookTicker"][0].replace('"s":"BTCUSDT"', '"s":"NEWUSDT"')
    (event,) = USDM.codec(instruments).decode(payload, RECV)
    assert event.symbol == "NEWUSDT"
    assert list(instruments.unknown) == ["NEWUSDT"]


@pytest.mark.parametrize(
    ("codec", "payload", "name"),
    [
        (
            SPOT_CODEC,
            '{"e":"avgPrice","E":1793923201000,"s":"BTCUSDT","i":"5m","w":"96433.10220000","T":1793923200122}',
            "avgPrice",
        ),
        (
            SPOT_CODEC,
            (
                '{"e":"blockTrade","E":1793923200582,"s":"BTCUSDT","t":582,"p":"96350.00000000","q":"12.00000000",'
                '"T":1793923200321,"m":true}'
            ),
            "blockTrade",
        ),
        (SPOT_CODEC, '{"e":"referencePrice","s":"BTCUSDT","r":"96410.00","t":1793923200917}', "referencePrice"),
        (SPOT_CODEC, '{"e":"referencePrice","s":"BTCUSDT","r":null,"t":1793923200917}', "referencePrice"),
        (
            SPOT_CODEC,
            (
                '{"e":"1hTicker","E":1,"s":"BTCUSDT","p":"1","P":"1","o":"1","h":"1","l":"1","c":"1","w":"1","v":"1",'
                '"q":"1","O":0,"C":1,"F":0,"L":1,"n":1}'
            ),
            "1hTicker",
        ),
        (
            USDM_CODEC,
            '{"e":"continuous_kline","E":1793923200260,"ps":"BTCUSDT","ct":"PERPETUAL","k":{"t":1793923200000}}',
            "continuous_kline",
        ),
        (
            USDM_CODEC,
            (
                '{"e":"contractInfo","E":1793923300000,"s":"NEWUSDT","ct":"PERPETUAL","dt":4133404800000,'
                '"ot":1793926800000,"cs":"PENDING_TRADING","st":1,"bks":[]}'
            ),
            "contractInfo",
        ),
        (USDM_CODEC, '{"e":"EquityUpdate","E":1,"t":1,"T":2,"S":"REGULAR"}', "EquityUpdate"),
        (
            SPOT_CODEC,
            '{"id":"7c1d","status":200,"result":{"symbol":"BTCUSDT"},"rateLimits":[]}',
            "WebSocket API answer",
        ),
    ],
)
def test_events_outside_the_contract_are_named(codec, payload, name):
    assert list(codec.decode(payload, RECV)) == [Unmapped(name)]


def test_the_book_with_retail_price_improvement_is_never_mixed_in():
    payload, _ = USDM_CASES["btcusdt@depth@100ms"]
    assert list(USDM_CODEC.decode(framed("btcusdt@rpiDepth@500ms", payload), RECV)) == [Unmapped("depthUpdate")]


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        ('{"result":null,"id":1}', []),
        ('{"result":["btcusdt@depth@100ms"],"id":3}', []),
        ('{"result":true,"id":5}', []),
        ('{"code":2,"msg":"Invalid request"}', [Refused(None, "Invalid request", "2")]),
        ('{"error":{"code":3,"msg":"Invalid JSON"},"id":9}', [Refused(None, "Invalid JSON", "3")]),
        ('{"code":4}', [Refused(None, "request refused, too many streams", "4")]),
        ('{"id":"a","status":400,"error":{"code":-2010,"msg":"No."}}', [Refused(None, "No.", "-2010")]),
    ],
)
def test_answers_are_never_wire_errors(payload, expected):
    assert list(SPOT_CODEC.decode(payload, RECV)) == expected
    assert list(USDM_CODEC.decode(payload.encode(), RECV)) == expected


@pytest.mark.parametrize(
    "payload",
    [
        '{"e":"serverShutdown","E":1793923200000}',
        '{"stream":"!serverShutdown","data":{"e":"serverShutdown","E":1793923200000}}',
        '{"event":{"e":"serverShutdown","E":1793923200000}}',
    ],
)
def test_server_shutdown_asks_for_rotation(payload):
    session = SPOT.session(Instruments(SPOT.catalogue), "public")
    for (closing,) in (SPOT_CODEC.decode(payload, RECV), session.on_frame(payload.encode(), RECV)):
        assert isinstance(closing, Closing)
        assert closing.rotate


def test_a_polled_body_reads_as_a_message():
    body = '{"openInterest":"81234.519","symbol":"BTCUSDT","time":1793923200530}'
    assert list(USDM_CODEC.decode(body, RECV)) == [OpenInterest(V, P, 1793923200530 * MS, 0, RECV, 81234.519)]


@pytest.mark.parametrize(("codec", "cases"), [(SPOT_CODEC, SPOT_CASES), (USDM_CODEC, USDM_CASES)])
def test_fields_that_nobody_knows_are_ignored(codec, cases):
    for stream, (payload, expected) in cases.items():
        more = payload[:-1] + ',"zz":{"deep":[1,2,{"x":null}]},"ü":"ß"}'
        text = framed(stream, more)[:-1] + ',"extra":1}'
        assert list(codec.decode(text.encode(), RECV)) == [expected]
        market, symbol = (SPOT, S) if codec is SPOT_CODEC else (USDM, P)
        assert list(subscribed(market, symbol, stream).on_frame(text.encode(), RECV)) == [expected]


@pytest.mark.parametrize("stream", SPOT_CASES)
def test_an_envelope_written_differently_reads_the_same(stream):
    payload, expected = SPOT_CASES[stream]
    session = subscribed(SPOT, S, stream)
    turned = f' {{ "data" : {payload} , "stream" : "{stream}" }}\n'
    escaped = framed(stream.replace("@", "\\u0040"), payload)
    assert list(session.on_frame(turned.encode(), RECV)) == [expected]
    assert list(session.on_frame(escaped.encode(), RECV)) == [expected]
