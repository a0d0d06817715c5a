"""Whatever a client sends, the simulated Binance answers or closes; it never breaks."""

from __future__ import annotations

import json
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.sim.rig import Rig
from unitape.spi import HttpRequest, HttpResponse
from unitape.spi.simulation import CloseFrame

VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(max_size=40)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=5), inner, max_size=3)),
    max_leaves=6,
)
NAMES = st.sampled_from(
    ["btcusdt@trade", "btcusdt@depth@100ms", "!miniTicker@arr", "btcusdt@kline_1M", "x@depth5", "@@", "!", ""]
)
METHODS = st.sampled_from(["SUBSCRIBE", "UNSUBSCRIBE", "LIST_SUBSCRIPTIONS", "SET_PROPERTY", "GET_PROPERTY"])
MESSAGES = st.one_of(
    st.binary(max_size=60),
    VALUES.map(lambda value: json.dumps(value).encode()),
    st.fixed_dictionaries(
        {},
        optional={
            "method": st.one_of(
                st.sampled_from(["SUBSCRIBE", "UNSUBSCRIBE", "LIST_SUBSCRIPTIONS", "SET_PROPERTY", "GET_PROPERTY"]),
                VALUES,
            ),
            "params": st.one_of(st.lists(st.one_of(NAMES, VALUES), max_size=4), VALUES),
            "id": st.one_of(st.integers(), VALUES),
        },
    ).map(lambda message: json.dumps(message).encode()),
)
ENDPOINTS = ("depth", "klines", "trades", "aggTrades", "historicalTrades", "ticker/24hr", "exchangeInfo", "fundingRate")
NUMBERS = st.one_of(st.integers(-5, 10**20), st.sampled_from([1_793_923_200_000, 1_793_000_000_000, 5, 1_000]))
QUERIES = st.fixed_dictionaries(
    {},
    optional={
        "symbol": st.one_of(st.sampled_from(["BTCUSDT", "ETHUSDT", "btcusdt"]), st.text(max_size=8)),
        "interval": st.sampled_from(["1s", "1m", "3d", "1w", "1M", "9h", ""]),
        "limit": NUMBERS,
        "startTime": NUMBERS,
        "endTime": NUMBERS,
        "fromId": NUMBERS,
        "symbols": st.one_of(st.just('["BTCUSDT"]'), st.text(max_size=8)),
        "pair": st.text(max_size=8),
    },
)
RIGS = {market: Rig(market, enforce_limits=False) for market in ("spot", "usdm")}
for rig in RIGS.values():
    rig.run(5)


@pytest.mark.parametrize("market", ["spot", "usdm"])
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(messages=st.lists(MESSAGES, min_size=1, max_size=5))
def test_any_message_is_answered_once(market, messages):
    rig = RIGS[market]
    conn = rig.connect("/stream" if market == "spot" else "/public/stream")
    for message in messages:
        before = len(rig.seen[conn])
        rig.send(conn, message)
        assert len(rig.seen[conn]) == before + 1, message
        assert not isinstance(rig.seen[conn][-1], CloseFrame)
    rig.run(0.1)
    rig.host.closed(conn)


@pytest.mark.parametrize("market", ["spot", "usdm"])
@settings(max_examples=300, deadline=None)
@given(endpoint=st.sampled_from(ENDPOINTS), query=QUERIES)
def test_any_request_is_answered_with_rows_or_a_code(market, endpoint, query):
    prefix = "/api/v3" if market == "spot" else "/fapi/v1"
    text = "&".join(f"{key}={quote(str(value))}" for key, value in query.items())
    response = RIGS[market].host.http(HttpRequest("GET", f"{prefix}/{endpoint}", text)).response
    assert isinstance(response, HttpResponse)
    if response.status == 200:
        assert isinstance(json.loads(response.body), list | dict)
    elif response.status in {400, 401}:
        assert json.loads(response.body)["code"] < -1_000
    else:
        assert (market, endpoint, response.status) == ("spot", "fundingRate", 404)


@settings(max_examples=200, deadline=None)
@given(target=st.text(max_size=60))
def test_any_target_opens_or_is_refused(target):
    rig = RIGS["usdm"]
    opened = rig.host.open("/" + target)
    if isinstance(opened, int):
        rig.host.closed(opened)
    else:
        assert opened.status == 404
