"""The session as a state machine: what it sends, what it makes of the answers."""

from __future__ import annotations

import json

import pytest

from unitape.errors import ConfigError, Unsupported, WireError
from unitape.spi import Confirmed, Instruments, Refused, Unmapped
from unitape_binance import SPOT, USDM, UsdmMarket
from unitape_schemas import Funding, MarkPrice, Subscription, Trade

S, P = "BTC/USDT", "BTC/USDT:USDT"
MARK = (
    b'{"stream":"btcusdt@markPrice@1s","data":{"e":"markPriceUpdate","E":1793923203000,"s":"BTCUSDT",'
    b'"p":"96401.1","i":"96405.8","P":"96390.1","r":"0.0001","T":1793952000000}}'
)
TRADE = b'{"stream":"btcusdt@trade","data":{"e":"trade","E":2,"s":"BTCUSDT","t":7,"p":"10.5","q":"2","T":1,"m":false}}'


def spot():
    return SPOT.session(Instruments(SPOT.catalogue), "public")


def usdm(route="market"):
    return USDM.session(Instruments(USDM.catalogue), route)


def test_control_messages_are_these_exact_texts():
    session = spot()
    session.on_open()
    assert session.outbox == []
    trades, book = Subscription("trades", S), Subscription("book", "ETH/USDT")
    session.subscribe([trades, book])
    assert session.outbox == ['{"method":"SUBSCRIBE","params":["btcusdt@trade","ethusdt@depth@100ms"],"id":1}']
    session.outbox.clear()
    session.unsubscribe([trades])
    assert session.outbox == ['{"method":"UNSUBSCRIBE","params":["btcusdt@trade"],"id":2}']
    assert list(session.streams) == [book]


def test_an_answer_confirms_what_its_request_asked_for():
    session = spot()
    trades, quotes = Subscription("trades", S), Subscription("quotes", S)
    session.subscribe([trades])
    session.subscribe([quotes])
    assert list(session.on_frame('{"result":null,"id":2}', 1)) == [Confirmed((quotes,), raw='{"result":null,"id":2}')]
    assert list(session.on_frame(b'{"id":1,"result":null}', 1)) == [Confirmed((trades,), raw='{"id":1,"result":null}')]
    assert list(session.on_frame('{"result":null,"id":2}', 1)) == []
    assert list(session.on_frame('{"result":null,"id":77}', 1)) == []


@pytest.mark.parametrize(
    ("made", "symbol", "frame"),
    [
        (spot, S, TRADE),
        (usdm, P, TRADE.replace(b"@trade", b"@aggTrade").replace(b'"t":7', b'"a":7')),
    ],
)
def test_the_number_of_a_trade_is_told_beside_it(made, symbol, frame):
    session = made()
    trades = Subscription("trades", symbol)
    session.subscribe([trades])
    assert session.streams[trades].number is None
    (trade,) = session.on_frame(frame, 5)
    assert (trade.id, session.streams[trades].number, session.streams[trades].touched) == ("7", 7, 5)
    (trade,) = session.on_frame(frame.replace(b":7,", b":9000000000000000001,"), 6)
    assert (trade.id, session.streams[trades].number) == ("9000000000000000001", 9000000000000000001)


def test_asking_again_asks_the_venue_again():
    session = spot()
    trades = Subscription("trades", S)
    session.subscribe([trades])
    session.on_frame(TRADE, 5)
    session.subscribe([trades])
    assert [json.loads(text)["id"] for text in session.outbox] == [1, 2]
    assert session.streams[trades].touched == 5
    assert next(iter(session.on_frame('{"result":null,"id":2}', 6))).subscriptions == (trades,)


@pytest.mark.parametrize(
    ("text", "reason", "code"),
    [
        ('{"code":2,"msg":"Invalid request: unknown variant","id":1}', "Invalid request: unknown variant", "2"),
        ('{"error":{"code":2,"msg":"Invalid request"},"id":1}', "Invalid request", "2"),
        ('{"id":1,"error":{"code":4,"msg":"Too many streams"}}', "Too many streams", "4"),
        # With one request under way it is clear which one an error without id is about.
        ('{"code":3,"msg":"Invalid JSON"}', "Invalid JSON", "3"),
        ('{"error":{"code":3,"msg":"Invalid JSON"},"id":null}', "Invalid JSON", "3"),
    ],
)
def test_a_refusal_names_the_subscriptions_and_the_venues_words(text, reason, code):
    session = spot()
    trades = Subscription("trades", S)
    session.subscribe([trades])
    assert list(session.on_frame(text, 1)) == [Refused((trades,), reason, code, raw=text)]
    assert session.streams == {}


def test_a_refusal_with_two_requests_under_way_and_no_id_names_none():
    session = spot()
    session.subscribe([Subscription("trades", S)])
    session.subscribe([Subscription("quotes", S)])
    (refused,) = session.on_frame('{"code":2,"msg":"no"}', 1)
    assert refused.subscriptions is None
    assert len(session.streams) == 2


def test_a_refused_repetition_leaves_the_live_stream():
    session = spot()
    trades = Subscription("trades", S)
    session.subscribe([trades])
    session.on_frame(TRADE, 5)
    session.subscribe([trades])
    session.on_frame('{"code":2,"msg":"no","id":2}', 6)
    assert [type(output) for output in session.on_frame(TRADE, 7)] == [Trade]


def test_mark_price_and_funding_share_one_stream():
    session = usdm()
    mark, funding = Subscription("mark_price", P), Subscription("funding", P)
    session.subscribe([mark])
    session.subscribe([funding])
    assert session.outbox == [
        '{"method":"SUBSCRIBE","params":["btcusdt@markPrice@1s"],"id":1}',
        '{"method":"SUBSCRIBE","params":["btcusdt@markPrice@1s"],"id":2}',
    ]
    session.outbox.clear()
    assert [type(output) for output in session.on_frame(MARK, 3)] == [MarkPrice, Funding]
    assert [session.streams[s].touched for s in (mark, funding)] == [3, 3]
    session.unsubscribe([mark])
    assert session.outbox == []
    assert [type(output) for output in session.on_frame(MARK, 4)] == [Funding]
    session.unsubscribe([funding])
    assert session.outbox == ['{"method":"UNSUBSCRIBE","params":["btcusdt@markPrice@1s"],"id":3}']
    assert list(session.on_frame(MARK, 5)) == []


def test_both_in_one_call_name_the_stream_once():
    session = usdm()
    both = [Subscription("mark_price", P), Subscription("funding", P)]
    session.subscribe(both)
    assert session.outbox == ['{"method":"SUBSCRIBE","params":["btcusdt@markPrice@1s"],"id":1}']
    assert session.on_frame('{"result":null,"id":1}', 1)[0].subscriptions == tuple(both)


@pytest.mark.parametrize(("channel", "kinds"), [("mark_price", [MarkPrice]), ("funding", [Funding])])
def test_only_what_is_subscribed_is_emitted(channel, kinds):
    session = usdm()
    session.subscribe([Subscription(channel, P)])
    assert [type(output) for output in session.on_frame(MARK, 3)] == kinds


def test_messages_are_batched_by_names_and_bytes():
    instruments = Instruments(
        SPOT.read_instruments(
            json.dumps(
                {
                    "symbols": [
                        {"symbol": f"COIN{n}USDT", "status": "TRADING", "baseAsset": f"COIN{n}", "quoteAsset": "USDT"}
                        for n in range(450)
                    ]
                }
            ).encode()
        )
    )
    session = SPOT.session(instruments, "public")
    session.subscribe([Subscription("book", instrument.symbol) for instrument in instruments])
    messages = [json.loads(text) for text in session.outbox]
    assert [message["id"] for message in messages] == list(range(1, len(messages) + 1))
    names = [name for message in messages for name in message["params"]]
    assert names == [f"coin{n}usdt@depth@100ms" for n in range(450)]
    assert max(len(message["params"]) for message in messages) == SPOT.limits.params_per_message == 100
    assert max(len(text) for text in session.outbox) <= 4096
    confirmed = [s for n in range(len(messages)) for s in session.on_frame(f'{{"result":null,"id":{n + 1}}}', 1)]
    assert sum(len(output.subscriptions) for output in confirmed) == 450


def test_long_names_make_smaller_messages():
    row = {"status": "TRADING", "quoteAsset": "USDT"}
    rows = [row | {"symbol": f"币安人生{'X' * 60}{n}USDT", "baseAsset": f"币安人生{'X' * 60}{n}"} for n in range(90)]
    instruments = Instruments(SPOT.read_instruments(json.dumps({"symbols": rows}).encode()))
    session = SPOT.session(instruments, "public")
    session.subscribe([Subscription("trades", instrument.symbol) for instrument in instruments])
    assert len(session.outbox) > 1
    assert max(len(text.encode()) for text in session.outbox) <= 4096
    assert "币安人生" in session.outbox[0]


def test_a_name_that_is_not_ascii_reads_raw_and_escaped():
    row = {"symbol": "币安人生USDT", "status": "TRADING", "baseAsset": "币安人生", "quoteAsset": "USDT"}
    session = SPOT.session(Instruments(SPOT.read_instruments(json.dumps({"symbols": [row]}).encode())), "public")
    session.subscribe([Subscription("trades", "币安人生/USDT")])
    payload = json.loads(TRADE)["data"]
    frame = {"stream": "币安人生usdt@trade", "data": payload}
    for ascii_only in (True, False):
        (event,) = session.on_frame(json.dumps(frame, ensure_ascii=ascii_only).encode(), 1)
        assert (event.symbol, event.price) == ("币安人生/USDT", 10.5)


def test_data_that_was_never_asked_for_is_named_and_late_data_is_not():
    session = spot()
    assert list(session.on_frame(TRADE, 1)) == [Unmapped("btcusdt@trade")]
    session.subscribe([Subscription("trades", S)])
    assert [type(output) for output in session.on_frame(TRADE, 2)] == [Trade]
    session.unsubscribe([Subscription("trades", S)])
    assert list(session.on_frame(TRADE, 3)) == []


def test_a_frame_without_its_stream_is_an_error_even_with_one_stream():
    session = spot()
    session.subscribe([Subscription("trades", S)])
    with pytest.raises(WireError):
        session.on_frame(TRADE.replace(b'"stream":"btcusdt@trade",', b""), 1)
    with pytest.raises(WireError):
        spot().on_frame(b'{"data":{}}', 1)


def test_garbage_does_not_count_as_life_and_leaves_the_session_usable():
    session = spot()
    session.subscribe([Subscription("trades", S)])
    with pytest.raises(WireError) as caught:
        session.on_frame(TRADE.replace(b'"10.5"', b'"nan"'), 9)
    assert caught.value.venue == "binance"
    assert b'"nan"' in caught.value.data
    assert session.streams[Subscription("trades", S)].touched == 0
    assert [type(output) for output in session.on_frame(TRADE, 10)] == [Trade]


@pytest.mark.parametrize(
    ("session", "subscription", "error"),
    [
        (spot, Subscription("trades", "NOPE/USDT"), ConfigError),
        (spot, Subscription("ticker", "*"), Unsupported),
        (spot, Subscription("funding", S), Unsupported),
        (spot, Subscription("candles", S), ConfigError),
        (spot, Subscription("top", S, depth=7), Unsupported),
        (usdm, Subscription("candles", P, interval="1s"), ConfigError),
        (usdm, Subscription("open_interest", P), Unsupported),
        (usdm, Subscription("book", P), ConfigError),
        (usdm, Subscription("trades", "*"), Unsupported),
    ],
)
def test_what_does_not_exist_is_refused_before_anything_is_sent(session, subscription, error):
    made = session()
    with pytest.raises(error):
        made.subscribe([Subscription("ticker", S if session is spot else P), subscription])
    assert made.outbox == []
    assert made.streams == {}


def test_trades_may_be_served_from_single_trades():
    market = UsdmMarket(trades_from="trade")
    spec = market.channels["trades"]
    assert (spec.route, spec.continuity, spec.refill) == ("public", "id", False)
    session = market.session(Instruments(market.catalogue), "public")
    session.subscribe([Subscription("trades", P)])
    assert '"btcusdt@trade"' in session.outbox[0]
    frame = TRADE.replace(b'"m":false', b'"X":"MARKET","m":false')
    assert [output.id for output in session.on_frame(frame, 1)] == ["7"]
    assert list(session.on_frame(frame.replace(b"MARKET", b"NA"), 1)) == []


def test_default_and_named_depth_share_a_stream():
    session = spot()
    named, default = Subscription("top", S, depth=20), Subscription("top", S)
    session.subscribe([named, default])
    assert session.outbox == ['{"method":"SUBSCRIBE","params":["btcusdt@depth20@100ms"],"id":1}']
    session.on_frame('{"stream":"btcusdt@depth20@100ms","data":{"lastUpdateId":1,"bids":[],"asks":[]}}', 8)
    assert [session.streams[s].touched for s in (named, default)] == [8, 8]
