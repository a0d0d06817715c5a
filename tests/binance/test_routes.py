"""Every stream name that we can produce lives on the route that the venue's table names."""

from __future__ import annotations

import itertools

import pytest

from unitape.spi import Instruments
from unitape_binance import USDM, UsdmMarket
from unitape_binance.channels import usdm_route
from unitape_schemas import Subscription

# The venue's table, typed here by hand, by what follows the symbol.
PUBLIC = {"bookTicker", "depth@100ms", "depth5@100ms", "depth10@100ms", "depth20@100ms", "trade"}
MARKET = {"aggTrade", "markPrice@1s", "ticker", "forceOrder"} | {
    f"kline_{i}" for i in ["1m", "3m", "5m", "15m", "30m", "1h", "2h", "4h", "6h", "8h", "12h", "1d", "3d", "1w", "1M"]
}
ALL_SYMBOLS = {
    "!bookTicker": "public",
    "!ticker@arr": "market",
    "!markPrice@arr@1s": "market",
    "!forceOrder@arr": "market",
}


def produced():
    """Yield (stream, route) of everything that can be subscribed to."""
    for market in (USDM, UsdmMarket(trades_from="trade")):
        for channel, spec in market.channels.items():
            if spec.poll is not None:
                continue
            symbols = ["BTC/USDT:USDT", *(["*"] if spec.all_symbols else [])]
            for symbol, interval, depth in itertools.product(symbols, spec.intervals or (None,), (None, *spec.depths)):
                session = market.session(Instruments(market.catalogue), spec.route)
                session.subscribe([Subscription(channel, symbol, interval=interval, depth=depth)])
                yield session.outbox[0].split('"')[7], spec.route


def test_every_stream_is_on_its_route():
    seen = dict(produced())
    for stream, route in seen.items():
        if stream.startswith("!"):
            assert ALL_SYMBOLS[stream] == route
        else:
            kind = stream.removeprefix("btcusdt@")
            assert kind in (PUBLIC if route == "public" else MARKET), (stream, route)
        assert usdm_route(stream) == route
    kinds = {stream.removeprefix("btcusdt@") for stream in seen}
    assert kinds == PUBLIC | MARKET | set(ALL_SYMBOLS)


@pytest.mark.parametrize("environment", USDM.endpoints)
def test_no_endpoint_lacks_a_route_that_a_channel_needs(environment):
    needed = {spec.route for spec in USDM.channels.values() if spec.poll is None}
    assert needed == {"public", "market"}
    assert set(USDM.endpoints[environment].ws) == {*needed, "private", "api"}


def test_live_urls_are_routed():
    assert USDM.endpoints["live"].ws == {
        "public": "wss://fstream.binance.com/public/stream",
        "market": "wss://fstream.binance.com/market/stream",
        "private": "wss://fstream.binance.com/private/ws",
        "api": "wss://ws-fapi.binance.com/ws-fapi/v1",
    }
    ends = {"public": "/public/stream", "market": "/market/stream", "private": "/private/ws", "api": "/ws-fapi/v1"}
    for name, endpoint in USDM.endpoints.items():
        for route, url in endpoint.ws.items():
            assert url.endswith(ends[route]) or name.endswith("unrouted"), url


@pytest.mark.parametrize(
    ("stream", "route"),
    [
        ("btcusdt@depth", "public"),
        ("btcusdt@depth@500ms", "public"),
        ("btcusdt@rpiDepth@500ms", "public"),
        ("btcusdt_perpetual@continuousKline_1m", "market"),
        ("!contractInfo", "market"),
        ("!assetIndex@arr", "market"),
        ("btcusdt@compositeIndex", "market"),
        ("btcusdt@markPrice", "market"),
        ("!markPrice@arr", "market"),
        ("tradingSession", "market"),
        ("btcusdt@nothing", None),
    ],
)
def test_the_table_knows_the_other_streams_too(stream, route):
    assert usdm_route(stream) == route
