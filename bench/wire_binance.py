"""Wire to unified event on Binance, each kind beside straight-line code that knows the message type."""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import partial

import msgspec
from msgspec import Struct

from bench.wire import Case
from unitape.spi import WireLevels, WireNumber, WireSigned
from unitape_schemas import Candle, Liquidation, MarkPrice, Quote, Subscription, Ticker, TopBook, Trade

FRAMES = 64
NAME = "binance"
MS = 1_000_000


class TradeIn(Struct):
    """Only what a trade needs."""

    E: int
    t: int
    p: WireNumber
    q: WireNumber
    T: int
    m: bool


class AggTradeIn(Struct):
    E: int
    a: int
    p: WireNumber
    q: WireNumber
    T: int
    m: bool


class QuoteIn(Struct):
    u: int
    b: WireNumber
    B: WireNumber
    a: WireNumber
    A: WireNumber


class FuturesQuoteIn(QuoteIn):
    E: int
    T: int


class BarIn(Struct):
    t: int
    T: int
    o: WireNumber
    c: WireNumber
    h: WireNumber
    l: WireNumber  # noqa: E741
    v: WireNumber
    n: int
    x: bool
    q: WireNumber


class CandleIn(Struct):
    E: int
    k: BarIn


class TickerIn(Struct):
    E: int
    P: WireSigned
    c: WireNumber
    o: WireNumber
    h: WireNumber
    l: WireNumber  # noqa: E741
    v: WireNumber
    q: WireNumber
    b: WireNumber | None = None
    B: WireNumber | None = None
    a: WireNumber | None = None
    A: WireNumber | None = None


class DepthIn(Struct):
    E: int
    U: int
    u: int
    b: WireLevels
    a: WireLevels


class TopIn(Struct):
    lastUpdateId: int  # noqa: N815
    bids: WireLevels
    asks: WireLevels


class MarkIn(Struct):
    E: int
    p: WireNumber
    i: WireNumber


class ForcedIn(Struct):
    S: str
    q: WireNumber
    ap: WireNumber
    T: int


class LiquidationIn(Struct):
    E: int
    o: ForcedIn


# One function per kind: what somebody writes by hand who knows the message type.
def floor_trade(decode, symbol, frames, ts):
    for raw in frames:
        d = decode(raw).data
        Trade(NAME, symbol, d.T * MS, d.E * MS, ts, str(d.t), d.p, d.q, "sell" if d.m else "buy")


def floor_agg_trade(decode, symbol, frames, ts):
    for raw in frames:
        d = decode(raw).data
        Trade(NAME, symbol, d.T * MS, d.E * MS, ts, str(d.a), d.p, d.q, "sell" if d.m else "buy")


def floor_quote(decode, symbol, frames, ts):
    for raw in frames:
        d = decode(raw).data
        Quote(NAME, symbol, 0, 0, ts, d.b, d.B, d.a, d.A, d.u)


def floor_futures_quote(decode, symbol, frames, ts):
    for raw in frames:
        d = decode(raw).data
        Quote(NAME, symbol, d.T * MS, d.E * MS, ts, d.b, d.B, d.a, d.A, d.u)


def floor_candle(decode, symbol, frames, ts):
    for raw in frames:
        d = decode(raw).data
        k = d.k
        Candle(
            NAME, symbol, d.E * MS, d.E * MS, ts, "1m", k.t * MS, (k.T + 1) * MS,
            k.o, k.h, k.l, k.c, k.v, k.q, k.n, k.x,
        )  # fmt: skip


def floor_ticker(decode, symbol, frames, ts):
    for raw in frames:
        d = decode(raw).data
        Ticker(NAME, symbol, d.E * MS, d.E * MS, ts, d.c, d.o, d.h, d.l, d.v, d.q, d.P, d.b, d.B, d.a, d.A)


def floor_depth(decode, symbol, frames, ts):
    from unitape.spi import DepthUpdate

    for raw in frames:
        d = decode(raw).data
        DepthUpdate(NAME, symbol, d.E * MS, d.E * MS, ts, d.b, d.a, d.U, d.u, None)


def floor_top(decode, symbol, frames, ts):
    for raw in frames:
        d = decode(raw).data
        TopBook(NAME, symbol, 0, 0, ts, d.bids, d.asks, 20, d.lastUpdateId)


def floor_mark(decode, symbol, frames, ts):
    for raw in frames:
        d = decode(raw).data
        MarkPrice(NAME, symbol, d.E * MS, d.E * MS, ts, d.p, d.i)


def floor_liquidation(decode, symbol, frames, ts):
    for raw in frames:
        d = decode(raw).data
        o = d.o
        Liquidation(NAME, symbol, o.T * MS, d.E * MS, ts, "sell" if o.S == "SELL" else "buy", o.ap, o.q)


def _typed(kind: type[Struct]):
    return msgspec.json.Decoder(msgspec.defstruct("Envelope", [("data", kind)]), strict=False).decode


def _levels(rng: random.Random, mid: float, step: float, zeros: bool) -> str:
    rows = []
    for n in range(20):
        size = 0.0 if zeros and rng.random() < 0.3 else rng.random() * 5
        rows.append(f'["{mid + step * n:.8f}","{size:.8f}"]')
    return "[" + ",".join(rows) + "]"


def _frames(stream: str, make: Callable[[random.Random, int, float], str]) -> list[bytes]:
    rng = random.Random(stream)
    price = 65_000.0
    frames = []
    for n in range(FRAMES):
        price = round(price + rng.gauss(0, 3), 2)
        frames.append(f'{{"stream":"{stream}","data":{make(rng, n, price)}}}'.encode())
    return frames


def trade(rng: random.Random, n: int, p: float) -> str:
    return (
        f'{{"e":"trade","E":{1793923200123 + n},"s":"BTCUSDT","t":{5641203377 + n},"p":"{p:.8f}",'
        f'"q":"{rng.random():.8f}","T":{1793923200122 + n},"m":{"true" if n % 2 else "false"},"M":true}}'
    )


def agg_trade(rng: random.Random, n: int, p: float) -> str:
    return (
        f'{{"e":"aggTrade","E":{1793923200123 + n},"s":"BTCUSDT","a":{5641203377 + n},"p":"{p:.2f}",'
        f'"q":"{rng.random():.3f}","nq":"{rng.random():.3f}","f":{n},"l":{n + 1},"T":{1793923200122 + n},'
        f'"m":{"true" if n % 2 else "false"},"st":1}}'
    )


def quote(rng: random.Random, n: int, p: float) -> str:
    return (
        f'{{"u":{78120445120 + n},"s":"BTCUSDT","b":"{p:.8f}","B":"{rng.random():.8f}","a":"{p + 0.01:.8f}",'
        f'"A":"{rng.random():.8f}"}}'
    )


def futures_quote(rng: random.Random, n: int, p: float) -> str:
    return (
        f'{{"e":"bookTicker","u":{9912003341221 + n},"E":{1793923200140 + n},"T":{1793923200138 + n},"s":"BTCUSDT",'
        f'"ps":"BTCUSDT","b":"{p:.2f}","B":"{rng.random():.3f}","a":"{p + 0.1:.2f}","A":"{rng.random():.3f}","st":1}}'
    )


def candle(rng: random.Random, n: int, p: float) -> str:
    return (
        f'{{"e":"kline","E":{1793923202000 + n},"s":"BTCUSDT","k":{{"t":1793923200000,"T":1793923259999,"s":"BTCUSDT",'
        f'"i":"1m","f":5641203370,"L":{5641203512 + n},"o":"{p:.8f}","c":"{p + 1:.8f}","h":"{p + 2:.8f}",'
        f'"l":"{p - 2:.8f}","v":"{rng.random() * 9:.8f}","n":{143 + n},"x":false,"q":"{rng.random() * 9e5:.8f}",'
        f'"V":"2.00110000","Q":"192931.07770000","B":"0"}}}}'
    )


def ticker(rng: random.Random, n: int, p: float, *, best: bool = True) -> str:
    touch = f'"b":"{p:.8f}","B":"{rng.random():.8f}","a":"{p + 0.01:.8f}","A":"{rng.random():.8f}",' if best else ""
    return (
        f'{{"e":"24hrTicker","E":{1793923200510 + n},"s":"BTCUSDT","p":"-812.11000000","P":"-0.835",'
        f'"w":"{p:.8f}","x":"{p:.8f}","c":"{p:.8f}","Q":"0.00415000",{touch}"o":"{p + 9:.8f}","h":"{p + 20:.8f}",'
        f'"l":"{p - 20:.8f}","v":"18211.20011000","q":"1764263211.88231100","O":1793836800505,'
        f'"C":1793923200505,"F":5638010012,"L":5641203379,"n":3193368}}'
    )


def depth(rng: random.Random, n: int, p: float, *, futures: bool = False) -> str:
    more = f'"T":{1793923200199 + n},"ps":"BTCUSDT","pu":{78120445100 + 33 * (n - 1)},' if futures else ""
    return (
        f'{{"e":"depthUpdate","E":{1793923200200 + n},"s":"BTCUSDT",{more}"U":{78120445101 + 33 * n},'
        f'"u":{78120445133 + 33 * n},"b":{_levels(rng, p, -0.01, True)},"a":{_levels(rng, p + 0.01, 0.01, True)}}}'
    )


def top(rng: random.Random, n: int, p: float) -> str:
    bids, asks = _levels(rng, p, -0.01, False), _levels(rng, p + 0.01, 0.01, False)
    return f'{{"lastUpdateId":{78120445133 + n},"bids":{bids},"asks":{asks}}}'


def mark(rng: random.Random, n: int, p: float) -> str:
    return (
        f'{{"e":"markPriceUpdate","E":{1793923203000 + n},"s":"BTCUSDT","p":"{p:.8f}","ap":"{p:.8f}",'
        f'"i":"{p + 4:.8f}","P":"{p:.8f}","r":"0.00008123","T":1793952000000,"st":1}}'
    )


def forced(rng: random.Random, n: int, p: float) -> str:
    return (
        f'{{"e":"forceOrder","E":{1793923204001 + n},"o":{{"s":"BTCUSDT","S":"SELL","o":"LIMIT","f":"IOC",'
        f'"q":"{rng.random():.3f}","p":"{p:.2f}","ap":"{p + 3:.2f}","X":"FILLED","l":"0.100","z":"0.420",'
        f'"T":{1793923203996 + n}}}}}'
    )


SPOT, PERP = "BTC/USDT", "BTC/USDT:USDT"


def cases() -> list[Case]:
    """Return every kind on both markets."""
    table = [
        ("spot", "trade", "btcusdt@trade", trade, Subscription("trades", SPOT), TradeIn, floor_trade, 1),
        ("spot", "quote", "btcusdt@bookTicker", quote, Subscription("quotes", SPOT), QuoteIn, floor_quote, 1),
        ("spot", "candle", "btcusdt@kline_1m", candle, Subscription("candles", SPOT, interval="1m"), CandleIn,
         floor_candle, 1),
        ("spot", "ticker", "btcusdt@ticker", ticker, Subscription("ticker", SPOT), TickerIn, floor_ticker, 1),
        ("spot", "depth 20 + 20", "btcusdt@depth@100ms", depth, Subscription("book", SPOT), DepthIn, floor_depth, 40),
        ("spot", "top 20 + 20", "btcusdt@depth20@100ms", top, Subscription("top", SPOT, depth=20), TopIn, floor_top,
         40),
        ("usdm", "trade", "btcusdt@aggTrade", agg_trade, Subscription("trades", PERP), AggTradeIn, floor_agg_trade,
         1),
        ("usdm", "quote", "btcusdt@bookTicker", futures_quote, Subscription("quotes", PERP), FuturesQuoteIn,
         floor_futures_quote, 1),
        ("usdm", "candle", "btcusdt@kline_1m", candle, Subscription("candles", PERP, interval="1m"), CandleIn,
         floor_candle, 1),
        ("usdm", "ticker", "btcusdt@ticker", partial(ticker, best=False), Subscription("ticker", PERP), TickerIn,
         floor_ticker, 1),
        ("usdm", "depth 20 + 20", "btcusdt@depth@100ms", partial(depth, futures=True), Subscription("book", PERP),
         DepthIn, floor_depth, 40),
        ("usdm", "mark price", "btcusdt@markPrice@1s", mark, Subscription("mark_price", PERP), MarkIn, floor_mark, 1),
        ("usdm", "liquidation", "btcusdt@forceOrder", forced, Subscription("liquidations", PERP), LiquidationIn,
         floor_liquidation, 1),
    ]  # fmt: skip
    return [
        Case(NAME, market, kind, subscription, frames, partial(floor, _typed(wire), subscription.symbol, frames, 17),
             records)
        for market, kind, stream, make, subscription, wire, floor, records in table
        for frames in [_frames(stream, make)]
    ]  # fmt: skip
