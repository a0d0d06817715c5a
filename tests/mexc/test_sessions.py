"""Both sessions: names, acknowledgements, refusals that look like successes, sharing, pings."""

from __future__ import annotations

import json

import pytest

from tests.mexc.samples import samples
from tests.mexc.support import FUTURES, NOW, SPOT
from tests.mexc.test_futures import BTC, DEPTH, FAIR, INDEX, KLINE, TICK, TICKER, TOP
from unitape.errors import ConfigError, Unsupported, WireError
from unitape.spi import Closing, Confirmed, Refused, Unmapped
from unitape_mexc import FUTURES as FUTURES_MARKET
from unitape_mexc import SPOT as SPOT_MARKET
from unitape_mexc import FuturesMarket, FuturesSettings, SpotMarket, SpotSettings
from unitape_schemas import OpenInterest, Subscription

S = Subscription
TRADES, BOOK, QUOTES = S("trades", "BTC/USDT"), S("book", "BTC/USDT"), S("quotes", "ETH/USDT")
DEALS_PARAM = "spot@public.aggre.deals.v3.api.pb@100ms@BTCUSDT"
DEPTH_PARAM = "spot@public.aggre.depth.v3.api.pb@100ms@BTCUSDT"
QUOTES_PARAM = "spot@public.aggre.bookTicker.v3.api.pb@100ms@ETHUSDT"
SAMPLES = samples()
SECOND = 10**9


def spot(market=SPOT_MARKET):
    session = market.session(SPOT, "public")
    session.on_open()
    return session


def futures(market=FUTURES_MARKET):
    session = market.session(FUTURES, "public")
    session.on_open()
    return session


def sent(session):
    messages = [json.loads(message) for message in session.outbox]
    session.outbox.clear()
    return messages


def reply(session, number, msg, code=0):
    return list(session.on_frame(json.dumps({"id": number, "code": code, "msg": msg}, ensure_ascii=False), NOW))


def ack(session, name, **fields):
    return list(session.on_frame(json.dumps({"channel": f"rs.sub.{name}", "data": "success", "ts": 1, **fields}), NOW))


def error(session, text):
    return list(session.on_frame(json.dumps({"channel": "rs.error", "data": text, "ts": 1}), NOW))


@pytest.mark.parametrize(
    ("subscription", "param"),
    [
        (TRADES, DEALS_PARAM),
        (BOOK, DEPTH_PARAM),
        (QUOTES, QUOTES_PARAM),
        (S("top", "BTC/USDT"), "spot@public.limit.depth.v3.api.pb@BTCUSDT@20"),
        (S("top", "BTC/USDT", depth=5), "spot@public.limit.depth.v3.api.pb@BTCUSDT@5"),
        (S("ticker", "BTC/USDT"), "spot@public.miniTicker.v3.api.pb@BTCUSDT@24H"),
        (S("ticker", "*", market="spot"), "spot@public.miniTickers.v3.api.pb@24H"),
        (S("candles", "BTC/USDT", interval="1h"), "spot@public.kline.v3.api.pb@BTCUSDT@Min60"),
        (S("candles", "BTC/USDT", interval="8h"), "spot@public.kline.v3.api.pb@BTCUSDT@Hour8"),
        (S("candles", "BTC/USDT", interval="1M"), "spot@public.kline.v3.api.pb@BTCUSDT@Month1"),
    ],
)
def test_spot_names(subscription, param):
    session = spot()
    session.subscribe([subscription])
    assert sent(session) == [{"method": "SUBSCRIPTION", "params": [param], "id": 1}]
    session.unsubscribe([subscription])
    assert sent(session) == [{"method": "UNSUBSCRIPTION", "params": [param], "id": 2}]
    assert not session.streams


def test_spot_settings_choose_the_streams():
    session = spot(SpotMarket(SpotSettings(speed="10ms", batched_quotes=True)))
    session.subscribe([TRADES, QUOTES])
    assert sent(session)[0]["params"] == [
        "spot@public.aggre.deals.v3.api.pb@10ms@BTCUSDT",
        "spot@public.bookTicker.batch.v3.api.pb@ETHUSDT",
    ]


@pytest.mark.parametrize(
    "subscription",
    [
        S("funding", "BTC/USDT"),
        S("candles", "BTC/USDT", interval="3m"),
        S("candles", "BTC/USDT"),
        S("top", "BTC/USDT", depth=50),
        S("trades", "*"),
        S("trades", "NOPE/USDT"),
    ],
)
def test_what_spot_has_not_is_refused_before_anything_is_sent(subscription):
    session = spot()
    with pytest.raises(ConfigError):
        session.subscribe([TRADES, subscription])
    assert not session.outbox
    assert not session.streams


def test_a_comma_joined_echo_confirms():
    session = spot()
    session.subscribe([TRADES, BOOK])
    (confirmed,) = reply(session, 1, f"{DEALS_PARAM},{DEPTH_PARAM}")
    assert isinstance(confirmed, Confirmed)
    assert confirmed.subscriptions == (TRADES, BOOK)


@pytest.mark.parametrize("number", [0, 1])
@pytest.mark.parametrize("colon", ["：", ":"])
def test_a_refusal_with_code_0_is_a_refusal(number, colon):
    session = spot()
    session.subscribe([QUOTES])
    (refused,) = reply(session, number, f"Not Subscribed successfully! [{QUOTES_PARAM}].  Reason{colon} Blocked! ")
    assert isinstance(refused, Refused)
    assert (refused.subscriptions, refused.text, refused.code) == ((QUOTES,), "Blocked", "0")
    assert "Not Subscribed" in refused.raw
    assert QUOTES not in session.streams


@pytest.mark.parametrize("number", [0, 1])
def test_a_mixed_reply_confirms_some_and_refuses_others(number):
    session = spot()
    session.subscribe([TRADES, BOOK, QUOTES])
    msg = (
        f"Subscribed successful! [{DEALS_PARAM},{DEPTH_PARAM}]. "
        f"Not Subscribed successfully! [{QUOTES_PARAM}].  Reason： Blocked! "
    )
    confirmed, refused = reply(session, number, msg)
    assert (confirmed.subscriptions, refused.subscriptions) == ((TRADES, BOOK), (QUOTES,))
    assert set(session.streams) == {TRADES, BOOK}


def test_answers_without_an_id_go_to_the_request_that_named_them():
    session = spot()
    session.subscribe([TRADES])
    session.subscribe([BOOK])
    (second,) = reply(session, 0, DEPTH_PARAM)
    (first,) = reply(session, 0, DEALS_PARAM)
    assert (second.subscriptions, first.subscriptions) == ((BOOK,), (TRADES,))
    assert reply(session, 0, DEALS_PARAM) == []


def test_the_answer_to_an_unsubscription_confirms_nothing():
    session = spot()
    session.subscribe([TRADES, BOOK])
    reply(session, 1, f"{DEALS_PARAM},{DEPTH_PARAM}")
    session.unsubscribe([TRADES])
    assert reply(session, 2, DEPTH_PARAM) == []
    assert reply(session, 2, "no subscription") == []


def test_an_error_code_refuses_the_whole_request():
    session = spot()
    session.subscribe([TRADES])
    (refused,) = reply(session, 1, "param error", code=1)
    assert (refused.subscriptions, refused.text, refused.code) == ((TRADES,), "param error", "1")


def test_plain_text_and_noise():
    session = spot()
    (closing,) = session.on_frame("Invalid listen key", NOW)
    assert closing == Closing("Invalid listen key", rotate=False)
    assert session.on_frame(b"Invalid listen key", NOW)[0] == closing
    assert session.on_frame('{"id":0,"code":0,"msg":"PONG"}', NOW) == ()
    with pytest.raises(WireError):
        session.on_frame("something else", NOW)


def test_spot_data_touches_its_streams_and_strangers_are_told():
    session = spot()
    session.subscribe([TRADES])
    assert len(session.on_frame(SAMPLES["deals"], NOW)) == 5
    assert session.streams[TRADES].touched == NOW
    assert session.on_frame(SAMPLES["depth"], NOW) == (Unmapped(DEPTH_PARAM),)
    session.unsubscribe([TRADES])
    assert session.on_frame(SAMPLES["deals"], NOW) == ()


def test_a_default_depth_and_the_same_depth_share_a_stream():
    session = spot()
    whole, named = S("top", "BTC/USDT"), S("top", "BTC/USDT", depth=20)
    session.subscribe([whole, named])
    assert len(sent(session)[0]["params"]) == 1
    (confirmed,) = reply(session, 1, "spot@public.limit.depth.v3.api.pb@BTCUSDT@20")
    assert confirmed.subscriptions == (whole, named)
    session.unsubscribe([whole])
    assert sent(session) == []
    session.unsubscribe([named])
    assert sent(session)[0]["method"] == "UNSUBSCRIPTION"


@pytest.mark.parametrize(("make", "ping"), [(spot, {"method": "PING"}), (futures, {"method": "ping"})])
def test_pings_run_on_a_timer_whatever_else_happens(make, ping):
    session = make()
    pings = []
    for second in range(121):
        session.on_tick(1_000 * SECOND + second * SECOND)
        pings += [second] * len(sent(session))
    assert pings == [15, 30, 45, 60, 75, 90, 105, 120]
    session.on_tick(1_136 * SECOND)
    assert sent(session) == [ping]
    assert SPOT_MARKET.heartbeat.interval == 15 < SPOT_MARKET.heartbeat.deadline == 60


def test_thirty_subscriptions_per_connection():
    assert SPOT_MARKET.limits.subscriptions_per_connection == FUTURES_MARKET.limits.subscriptions_per_connection == 30
    assert FuturesMarket(FuturesSettings(subscriptions_per_connection=100)).limits.subscriptions_per_connection == 100
    assert FUTURES_MARKET.cost(S("mark_price", BTC)) == 2
    assert SPOT_MARKET.cost(TRADES) == 1


FUTURES_MESSAGES = [
    (S("trades", BTC), ["deal"], {"symbol": "BTC_USDT"}),
    (S("book", BTC), ["depth"], {"symbol": "BTC_USDT", "compress": False}),
    (S("top", BTC), ["depth.full"], {"symbol": "BTC_USDT", "limit": 20}),
    (S("top", BTC, depth=5), ["depth.full"], {"symbol": "BTC_USDT", "limit": 5}),
    (S("ticker", BTC), ["ticker"], {"symbol": "BTC_USDT"}),
    (S("ticker", "*", market="futures"), ["tickers"], {}),
    (S("candles", BTC, interval="1h"), ["kline"], {"symbol": "BTC_USDT", "interval": "Min60"}),
    (S("funding", BTC), ["funding.rate"], {"symbol": "BTC_USDT"}),
    (S("mark_price", BTC), ["fair.price", "index.price"], {"symbol": "BTC_USDT"}),
    (S("open_interest", BTC), ["ticker"], {"symbol": "BTC_USDT"}),
]


@pytest.mark.parametrize(("subscription", "names", "param"), FUTURES_MESSAGES)
def test_futures_messages(subscription, names, param):
    session = futures()
    session.subscribe([subscription])
    assert sent(session) == [{"method": f"sub.{name}", "param": param} for name in names]
    outputs = [output for name in names for output in ack(session, name)]
    assert [output.subscriptions for output in outputs] == [(subscription,)]
    session.unsubscribe([subscription])
    gone = {key: value for key, value in param.items() if key in ("symbol", "interval")}
    assert sent(session) == [{"method": f"unsub.{name}", "param": gone} for name in names]
    assert list(session.on_frame('{"channel":"rs.unsub.depth","data":"success","ts":1}', NOW)) == []


def test_futures_settings():
    session = futures(FuturesMarket(FuturesSettings(merge_depth=True, gzip=False)))
    session.subscribe([S("book", BTC)])
    assert sent(session) == [{"method": "sub.depth", "param": {"symbol": "BTC_USDT", "compress": True}, "gzip": False}]


def test_quotes_are_unsupported_and_it_is_said_what_serves():
    with pytest.raises(Unsupported, match="book"):
        futures().subscribe([S("quotes", BTC)])


def test_acknowledgements_go_to_requests_in_order():
    session = futures()
    first, second, other = S("book", BTC), S("book", "ETH/USDT:USDT"), S("trades", BTC)
    session.subscribe([first, second, other])
    assert ack(session, "deal")[0].subscriptions == (other,)
    assert ack(session, "depth")[0].subscriptions == (first,)
    assert ack(session, "depth", ts="1793000000456")[0].subscriptions == (second,)
    assert ack(session, "depth") == []


def test_an_error_refuses_the_contract_it_names():
    session = futures()
    good, bad = S("book", BTC), S("book", "ETH/USDT:USDT")
    session.subscribe([bad, good])
    (refused,) = error(session, "Contract [ETH_USDT] not exists")
    assert (refused.subscriptions, refused.text) == ((bad,), "Contract [ETH_USDT] not exists")
    assert ack(session, "depth")[0].subscriptions == (good,)
    assert set(session.streams) == {good}


def test_an_error_is_about_the_oldest_request_for_its_contract():
    session = futures()
    trades, book = S("trades", BTC), S("book", BTC)
    session.subscribe([S("book", "ETH/USDT:USDT"), trades, book])
    ack(session, "depth")
    (refused,) = error(session, "Contract [BTC_USDT] not exists")
    assert refused.subscriptions == (trades,)
    assert ack(session, "depth")[0].subscriptions == (book,)


def test_an_error_that_comes_late_takes_its_acknowledgement_back():
    session = futures()
    good, bad = S("book", BTC), S("book", "ETH/USDT:USDT")
    session.subscribe([bad, good])
    assert ack(session, "depth")[0].subscriptions == (bad,)
    refused, confirmed = error(session, "Contract [ETH_USDT] not exists")
    assert (refused.subscriptions, confirmed.subscriptions) == ((bad,), (good,))


def test_an_error_without_a_name_is_the_only_one_pending_or_nobodys():
    session = futures()
    session.subscribe([S("book", BTC)])
    assert error(session, "Contract doesn't exist!")[0].subscriptions == (S("book", BTC),)
    session.subscribe([S("book", BTC), S("trades", BTC)])
    assert error(session, "Contract doesn't exist!")[0].subscriptions is None


def test_ticker_and_open_interest_share_a_stream_and_get_what_they_asked_for():
    session = futures()
    ticker, held = S("ticker", BTC), S("open_interest", BTC)
    session.subscribe([held])
    assert [type(event) for event in session.on_frame(TICKER, NOW)] == [OpenInterest]
    session.subscribe([ticker])
    assert len(session.on_frame(TICKER, NOW)) == 2
    session.outbox.clear()
    session.unsubscribe([held])
    assert session.outbox == []
    assert list(session.on_frame(TICKER, NOW + 1)) == [TICK.__class__(*_with_recv(TICK, NOW + 1))]
    assert session.streams[ticker].touched == NOW + 1


def _with_recv(event, ts):
    values = [getattr(event, name) for name in event.__struct_fields__]
    values[event.__struct_fields__.index("ts_recv")] = ts
    return values


def test_tops_of_several_depths_are_cut_from_one_stream():
    session = futures()
    small, large = S("top", BTC, depth=5), S("top", BTC)
    session.subscribe([small])
    session.subscribe([large])
    assert [message["param"]["limit"] for message in sent(session)] == [5, 20]
    levels = ",".join(f"[{60000 + n}.5,{n + 1},1]" for n in range(20))
    text = TOP.replace("[60000.1,3446,2]", levels)
    tops = session.on_frame(text, NOW)
    assert [(top.depth, len(top.asks), len(top.bids)) for top in tops] == [(5, 5, 1), (20, 20, 1)]


def test_mark_price_is_confirmed_when_both_its_streams_are():
    session = futures()
    both = S("mark_price", BTC)
    session.subscribe([both])
    assert ack(session, "index.price") == []
    assert ack(session, "fair.price")[0].subscriptions == (both,)
    marks = [*session.on_frame(FAIR, NOW), *session.on_frame(INDEX, NOW)]
    assert [(event.mark, event.index) for event in marks] == [(60001.2, None), (None, 60003.4)]


def test_futures_data_is_told_apart_by_contract_and_interval():
    session = futures()
    minute, hour = S("candles", BTC, interval="1m"), S("candles", BTC, interval="1h")
    session.subscribe([minute, hour])
    assert len(session.on_frame(KLINE, NOW)) == 1
    assert (session.streams[minute].touched, session.streams[hour].touched) == (NOW, 0)
    assert session.on_frame(DEPTH, NOW) == (Unmapped("push.depth of BTC_USDT"),)
    session.unsubscribe([minute])
    assert session.on_frame(KLINE, NOW) == ()


def test_hang_up_for_want_of_a_ping_and_two_pongs():
    session = futures()
    pong = '{"channel":"pong","data":1793000000123,"ts":1793000000123}'
    assert [*session.on_frame(pong, NOW), *session.on_frame(pong, NOW)] == []
    (closing,) = error(session, "more than 60 seconds no response, close the channel")
    assert isinstance(closing, Closing)
    assert not closing.rotate
