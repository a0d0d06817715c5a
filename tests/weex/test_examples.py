"""Every public payload of the protocol sheet, against values typed by hand."""

from __future__ import annotations

from decimal import Decimal

import pytest

from tests.weex.support import CONTRACT, EXAMPLES, MARKETS, MS, RECV, SPOT, example, frame
from unitape.errors import InvalidSymbol, WireError
from unitape.spi import DepthUpdate, HttpResponse, Instruments, Query, Refused, Unmapped
from unitape_schemas import (
    Candle,
    Funding,
    Instrument,
    MarkPrice,
    OpenInterest,
    Quote,
    Subscription,
    Ticker,
    Trade,
)
from unitape_weex.rest import WeexRest
from unitape_weex.symbols import with_api

V = "weex"
BTC, ETH = "BTC/USDT", "ETH/USDT"
BTC_PERP, ETH_PERP = "BTC/USDT:USDT", "ETH/USDT:USDT"

STREAM = {
    "ws.contract.ticker": [
        Ticker(
            V, BTC_PERP, 1795000001262 * MS, 1795000001262 * MS, RECV,
            last=91180.6, open=91993.0, high=92405.8, low=90610.2, volume=48211.0934, quote_volume=4413441095.6124,
            change_pct=pytest.approx(-0.883110671464, rel=1e-9), bid=None, bid_size=None, ask=None, ask_size=None,
        ),
        MarkPrice(V, BTC_PERP, 1795000001262 * MS, 1795000001262 * MS, RECV, mark=91179.9, index=91221.4471),
    ],
    "ws.spot.ticker": [
        Ticker(
            V, ETH, 1795000001301 * MS, 1795000001301 * MS, RECV,
            last=3066.95, open=3045.8, high=3101.4, low=3012.06, volume=181204.55271, quote_volume=554252431.027194,
            change_pct=pytest.approx(0.694398844310, rel=1e-9), bid=None, bid_size=None, ask=None, ask_size=None,
        ),
    ],
    "ws.contract.trade": [
        Trade(
            V, ETH_PERP, 1795000001880 * MS, 1795000002010 * MS, RECV,
            id="b7c2e9d0-2f6b-4a3d-8a41-1e0d5c7f3b92", price=3066.97, size=0.045, side="sell",
        ),
        Trade(
            V, ETH_PERP, 1795000002001 * MS, 1795000002010 * MS, RECV,
            id="0d4c3a52-6a0e-4f0a-93f0-6b7f2c5e9a11", price=3066.98, size=0.12, side="buy",
        ),
    ],
    "ws.spot.tradeSnapshot": [
        Trade(
            V, ETH, 1794999998115 * MS, 1795000000420 * MS, RECV,
            id="44c1e7aa-90f2-4d2e-b6c3-7d1a9be05c3f", price=3066.9, size=0.31, side="sell",
        ),
    ],
    "ws.spot.klineSnapshot": [
        Candle(
            V, ETH, 0, 1795000003120 * MS, RECV, interval="1m",
            ts_open=1794999900000 * MS, ts_close=1794999960000 * MS,
            open=3065.1, high=3067.02, low=3064.88, close=3066.4, volume=41.2093, quote_volume=126351.70431,
            trades=96, closed=True,
        ),
        Candle(
            V, ETH, 0, 1795000003120 * MS, RECV, interval="1m",
            ts_open=1794999960000 * MS, ts_close=1795000020000 * MS,
            open=3066.4, high=3067.1, low=3066.01, close=3066.95, volume=18.0031, quote_volume=55208.91274,
            trades=41, closed=False,
        ),
    ],
    "ws.contract.kline": [
        Candle(
            V, BTC_PERP, 0, 1795000003507 * MS, RECV, interval="1m",
            ts_open=1794999960000 * MS, ts_close=1795000020000 * MS,
            open=91190.2, high=91204.9, low=91171.0, close=91180.6, volume=31.4417, quote_volume=2867115.20114,
            trades=588, closed=False,
        ),
    ],
    "ws.spot.bookTicker": [
        Quote(
            V, ETH, 0, 1795000003999 * MS, RECV,
            bid=3066.91, bid_size=1.20413, ask=3066.95, ask_size=0.882, seq=1795000003996,
        ),
    ],
    "ws.contract.depthSnapshot": [
        DepthUpdate(
            V, BTC_PERP, 0, 1795000000502 * MS, RECV,
            bids=((91180.5, 3.1022), (91180.4, 0.5)), asks=((91180.6, 1.204), (91180.9, 0.031)),
            first_seq=16450012340, seq=16450012377, prev_seq=None, snapshot=True, depth=15,
        ),
    ],
    "ws.contract.depth": [
        DepthUpdate(
            V, BTC_PERP, 0, 1795000001004 * MS, RECV,
            bids=((91180.5, 2.9), (91180.4, 0.0)), asks=((91180.7, 0.25),),
            first_seq=16450012377, seq=16450012391, prev_seq=16450012377, snapshot=False, depth=15,
        ),
    ],
    "ws.spot.depthSnapshot": [
        DepthUpdate(
            V, ETH, 0, 1795000001402 * MS, RECV,
            bids=((3066.91, 1.20413), (3066.88, 4.0)), asks=((3066.95, 0.882), (3067.01, 2.5)),
            first_seq=1071204310, seq=1071204410, prev_seq=None, snapshot=True, depth=15,
        ),
    ],
    "ws.spot.depth": [
        DepthUpdate(
            V, ETH, 0, 1795000001935 * MS, RECV,
            bids=((3066.91, 0.7421),), asks=((3066.95, 0.0),),
            first_seq=1071204410, seq=1071204433, prev_seq=None, snapshot=False, depth=15,
        ),
    ],
    "ws.greeting": [],
    "ws.public.ping": [],
    "ws.ack": [],
    "ws.client.pong": [],
    "ws.client.ping": [],
    "ws.client.subscribe": [],
    "ws.client.unsubscribe": [],
    "v2.ws.ping": [],
    "v2.ws.pong": [],
    "v2.ws.subscribe": [],
    "v2.ws.subscribed": [],
    "v2.ws.ticker": [
        Ticker(
            V, BTC_PERP, 0, 0, RECV,
            last=88120.4, open=None, high=89020.1, low=87410.0, volume=50211.441, quote_volume=4421104511.2,
            change_pct=None, bid=None, bid_size=None, ask=None, ask_size=None,
        ),
        MarkPrice(V, BTC_PERP, 0, 0, RECV, mark=88119.7, index=None),
    ],
    "v2.ws.depth": [
        DepthUpdate(
            V, BTC_PERP, 0, 0, RECV, bids=((88120.3, 0.0),), asks=((88120.5, 0.25),),
            first_seq=9450012377, seq=9450012391, prev_seq=9450012377, snapshot=False, depth=15,
        ),
    ],
    "v2.ws.trades": [
        Trade(V, BTC_PERP, 1769000021010 * MS, 0, RECV, id=None, price=88120.4, size=0.01, side="buy"),
    ],
    "v2.ws.kline": [
        Candle(
            V, BTC_PERP, 0, 0, RECV, interval="1m", ts_open=1769000040000 * MS, ts_close=1769000100000 * MS,
            open=88119.0, high=88131.0, low=88112.9, close=88120.4, volume=12.441, quote_volume=1096307.22,
            trades=None, closed=False,
        ),
    ],
}  # fmt: skip


@pytest.mark.parametrize("name", STREAM)
def test_stream_payload(name: str) -> None:
    market = SPOT if ".spot." in name else CONTRACT
    assert list(market.codec(Instruments(market.catalogue)).decode(example(name), RECV)) == STREAM[name]


def test_every_public_stream_payload_is_covered() -> None:
    public = {n for n in EXAMPLES if n.startswith(("ws.", "v2.ws.")) and ".private." not in n and n != "v2.ws.orders"}
    assert public == {*STREAM, "ws.error"}


def test_error_payload_is_a_refusal_in_the_venues_words() -> None:
    (refused,) = CONTRACT.codec(Instruments()).decode(example("ws.error"), RECV)
    assert isinstance(refused, Refused)
    assert refused.subscriptions is None
    assert refused.text == "INVALID_ARGUMENT: invalid event : nosuchchannel"


def test_unknown_symbols_keep_the_venues_spelling() -> None:
    instruments = Instruments()
    (event,) = SPOT.codec(instruments).decode(example("ws.spot.bookTicker"), RECV)
    assert isinstance(event, Quote)
    assert event.symbol == "ETHUSDT"
    assert list(instruments.unknown) == ["ETHUSDT"]


def rest(market: str) -> WeexRest:
    return WeexRest(MARKETS[market]._paths, Instruments(MARKETS[market].catalogue))


def answered(query: Query[object], name: str, ts: int = RECV) -> object:
    return query.read(HttpResponse(200, example(name)), ts)


def btc_candle(market: str, **values: float) -> Candle:
    symbol = BTC if market == "spot" else BTC_PERP
    return Candle(
        V, symbol, 0, 0, RECV, interval="1m",
        ts_open=1794999960000 * MS, ts_close=1795000020000 * MS, closed=False,
        trades=int(values.pop("trades")), **values,
    )  # fmt: skip


HTTP: dict[str, tuple[str, object, object]] = {
    "rest.time": ("spot", lambda r: r.time(), 1795000000321 * MS),
    "rest.spot.ticker24hr": (
        "spot",
        lambda r: r.tickers([BTC]),
        [
            Ticker(
                V, BTC, 0, 0, RECV,
                last=91184.2, open=91824.3, high=92400.0, low=90602.5, volume=8124.361, quote_volume=743904327.75,
                change_pct=pytest.approx(-0.697092163795, rel=1e-9),
                bid=91184.1, bid_size=0.48012, ask=91184.3, ask_size=0.375,
            )
        ],
    ),
    "rest.spot.trades": (
        "spot",
        lambda r: r.trades(BTC),
        [
            Trade(
                V, BTC, 1795000000456 * MS, 0, RECV,
                id="7d3f1c02-5b8a-4f5f-8f53-0a4b1c9de7e1", price=91184.2, size=0.002, side="sell",
            )
        ],
    ),
    "rest.spot.klines": (
        "spot",
        lambda r: r.candles(BTC, "1m"),
        [
            btc_candle(
                "spot", open=91190.2, high=91204.9, low=91171.0, close=91184.2,
                volume=3.4451, quote_volume=314147.20114, trades=124,
            )
        ],
    ),
    "rest.spot.depth": (
        "spot",
        lambda r: r.depth(BTC, 15),
        DepthUpdate(
            V, BTC, 0, 0, RECV,
            bids=((91184.1, 0.48012), (91183.9, 1.2)), asks=((91184.3, 0.375), (91184.6, 0.05012)),
            first_seq=None, seq=1071204433, prev_seq=None, snapshot=True, depth=15,
        ),
    ),
    "rest.spot.bookTicker": (
        "spot",
        lambda r: r.quotes([BTC]),
        [Quote(V, BTC, 0, 0, RECV, bid=91184.1, bid_size=0.48012, ask=91184.3, ask_size=0.375, seq=None)],
    ),
    "rest.contract.klines": (
        "contract",
        lambda r: r.candles(BTC_PERP, "1m"),
        [
            btc_candle(
                "contract", open=91190.2, high=91204.9, low=91171.0, close=91180.6,
                volume=31.4417, quote_volume=2867115.20114, trades=588,
            )
        ],
    ),
    "rest.contract.depth": (
        "contract",
        lambda r: r.depth(BTC_PERP),
        DepthUpdate(
            V, BTC_PERP, 0, 0, RECV,
            bids=((91180.5, 2.9), (91180.3, 1.0)), asks=((91180.6, 1.204), (91180.7, 0.25)),
            first_seq=None, seq=16450012391, prev_seq=None, snapshot=True, depth=200,
        ),
    ),
    "rest.contract.trades": (
        "contract",
        lambda r: r.trades(BTC_PERP),
        [
            Trade(
                V, BTC_PERP, 1795000002001 * MS, 0, RECV,
                id="0d4c3a52-6a0e-4f0a-93f0-6b7f2c5e9a11", price=91180.6, size=0.005, side="buy",
            )
        ],
    ),
    "rest.contract.ticker24hr": (
        "contract",
        lambda r: r.tickers([BTC_PERP]),
        [
            Ticker(
                V, BTC_PERP, 0, 0, RECV,
                last=91180.6, open=91993.0, high=92405.8, low=90610.2, volume=48211.0934,
                quote_volume=4413441095.6124, change_pct=pytest.approx(-0.883110671464, rel=1e-9),
                bid=None, bid_size=None, ask=None, ask_size=None,
            )
        ],
    ),
    "rest.contract.bookTicker": (
        "contract",
        lambda r: r.quotes([BTC_PERP]),
        [
            Quote(
                V, BTC_PERP, 1795000002100 * MS, 0, RECV,
                bid=91180.5, bid_size=2.9, ask=91180.6, ask_size=1.204, seq=None,
            )
        ],
    ),
    "rest.contract.premiumIndex": (
        "contract",
        lambda r: r.poll(Subscription("funding", BTC_PERP)),
        [Funding(V, BTC_PERP, 1795000002150 * MS, 0, RECV, rate=0.000065, ts_next=1795017600000 * MS)],
    ),
    "rest.contract.fundingRate": (
        "contract",
        lambda r: r.funding_history(BTC_PERP),
        [Funding(V, BTC_PERP, 1794988800000 * MS, 0, RECV, rate=0.00008, ts_next=None)],
    ),
    "rest.contract.openInterest": (
        "contract",
        lambda r: r.poll(Subscription("open_interest", BTC_PERP)),
        [OpenInterest(V, BTC_PERP, 1795000002160 * MS, 0, RECV, size=28345.6712)],
    ),
    "rest.spot.exchangeInfo": (
        "spot",
        lambda r: r.instruments(),
        [
            Instrument(
                venue=V, symbol="SOL/USDT", raw_symbol="SOLUSDT", market="spot", base="SOL", quote="USDT",
                settle=None, kind="spot", tick=Decimal("0.01"), step=Decimal("0.001"), min_size=Decimal("0.01"),
                max_size=Decimal(50000), min_notional=None, contract_size=(1, 1), multiplier=1, status="trading",
                api_tradable=None, maker=Decimal("0.0008"), taker=Decimal("0.001"), ts=RECV,
            )
        ],
    ),
    "rest.contract.exchangeInfo": (
        "contract",
        lambda r: r.instruments(),
        [
            Instrument(
                venue=V, symbol=BTC_PERP, raw_symbol="BTCUSDT", market="contract", base="BTC", quote="USDT",
                settle="USDT", kind="linear", tick=Decimal("0.1"), step=Decimal("0.0001"),
                min_size=Decimal("0.0001"), max_size=Decimal(1000), min_notional=None, contract_size=(1, 1),
                multiplier=1, status="trading", api_tradable=None, maker=Decimal("0.0002"),
                taker=Decimal("0.0008"), ts=RECV,
            )
        ],
    ),
}  # fmt: skip

OUTSIDE = {"rest.spot.price", "rest.spot.coins", "rest.contract.symbolPrice"}
"""Public answers that the contract has nothing for: a lone last price, currencies and their networks."""
PRIVATE = (
    "account", "order", "openOrders", "batch", "myTrades", "bills", "fundingBills", "transferRecords", "balance",
    "positions", "commissionRate", "symbolConfig", "leverage", "manage", "income", "cancel", "userTrades", "algo",
    "openAlgo", "allAlgo", "placeTpSl", "modifyTpSl", "closePositions",
)  # fmt: skip


@pytest.mark.parametrize("name", HTTP)
def test_http_answer(name: str) -> None:
    market, ask, expected = HTTP[name]
    assert answered(ask(rest(market)), name) == expected


def test_every_public_http_answer_is_covered() -> None:
    public = {
        name
        for name in EXAMPLES
        if name.startswith("rest.") and not name.split(".", 2)[-1].startswith(PRIVATE) and name != "rest.error"
    }
    assert public == {*HTTP, *OUTSIDE}


def test_the_premium_answer_is_a_mark_price_too() -> None:
    query = rest("contract").mark_prices([BTC_PERP])
    assert answered(query, "rest.contract.premiumIndex") == [
        MarkPrice(V, BTC_PERP, 1795000002150 * MS, 0, RECV, mark=91179.9, index=91221.4471)
    ]


def test_a_refusal_is_raised_whatever_the_status() -> None:
    for status in (200, 400):
        with pytest.raises(InvalidSymbol, match="Invalid symbol") as caught:
            rest("spot").trades(BTC).read(HttpResponse(status, example("rest.error")), RECV)
        assert caught.value.code == "-1121"


def test_the_second_list_says_what_takes_orders_by_api() -> None:
    query = rest("spot").api_symbols()
    assert query.request.path == "/api/v3/apiTradingSymbols"
    names = query.read(HttpResponse(200, b'["SOLUSDT"]'), RECV)
    (sol,) = SPOT.read_instruments(example("rest.spot.exchangeInfo"))
    assert [row.api_tradable for row in with_api([sol], names)] == [True]
    assert [row.api_tradable for row in with_api([sol], frozenset())] == [False]


def legacy(channel: str, **fields: object) -> list[object]:
    raw = frame({"event": "payload", "channel": channel, "data": [fields]})
    return list(CONTRACT.codec(Instruments(CONTRACT.catalogue)).decode(raw, RECV))


def test_retired_messages_beyond_the_examples() -> None:
    (trade,) = legacy("trades.cmt_btcusdt", time="5", price="2", size="3", value="6", buyerMaker=True)
    assert isinstance(trade, Trade)
    assert (trade.side, trade.symbol) == ("sell", BTC_PERP)
    (image,) = legacy("depth.BTCUSDT_SPBL.15", startVersion="1", endVersion="9", level=15, depthType="SNAPSHOT")
    assert isinstance(image, DepthUpdate)
    assert (image.snapshot, image.prev_seq, image.seq, image.symbol) == (True, None, 9, BTC_PERP)
    candle = {"klineTime": "1", "open": "1", "high": "1", "low": "1", "close": "1", "size": "1", "value": "1"}
    assert legacy("kline.MARK_PRICE.cmt_btcusdt.MINUTE_1", **candle) == [Unmapped("v2 kline MARK_PRICE.MINUTE_1")]
    assert legacy("kline.LAST_PRICE.cmt_btcusdt.MONTH_1", **candle) == [Unmapped("v2 kline LAST_PRICE.MONTH_1")]
    assert legacy("orders.cmt_btcusdt") == [Unmapped("v2 orders")]
    for channel in ("trades", "trades.cmt_btcusdt"):
        with pytest.raises(WireError) as caught:
            legacy(channel, time="5", price="nan")
        assert caught.value.data.startswith(b'{"event":"payload"')
