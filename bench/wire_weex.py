"""Wire to unified event on WEEX, each kind beside straight-line code that knows the message type."""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import partial
from uuid import UUID

import msgspec
from msgspec import Struct

from bench.wire import Case
from unitape.spi import DepthUpdate, WireLevels, WireNumber
from unitape_schemas import Candle, MarkPrice, Quote, Subscription, Ticker, Trade

FRAMES = 64
# The session drops trades it has seen: a cycle must be longer than its memory, or duplicates would be measured.
TRADE_FRAMES = 2_200
NAME = "weex"
MS = 1_000_000


class TradeRow(Struct):
    """Only what a trade needs."""

    T: int
    t: str
    p: WireNumber
    q: WireNumber
    m: bool


class TradesIn(Struct):
    E: int
    d: list[TradeRow]


class BarIn(Struct):
    t: int
    T: int
    o: WireNumber
    h: WireNumber
    l: WireNumber  # noqa: E741
    c: WireNumber
    v: WireNumber
    q: WireNumber
    n: int


class CandlesIn(Struct):
    E: int
    d: list[BarIn]


class TickerRow(Struct):
    c: WireNumber
    o: WireNumber
    h: WireNumber
    l: WireNumber  # noqa: E741
    v: WireNumber
    q: WireNumber
    m: WireNumber | None = None
    i: WireNumber | None = None


class TickersIn(Struct):
    E: int
    d: list[TickerRow]


class DepthIn(Struct):
    E: int
    U: int
    u: int
    l: int  # noqa: E741
    b: WireLevels
    a: WireLevels


class QuoteIn(Struct):
    E: int
    u: int
    b: WireNumber
    B: WireNumber
    a: WireNumber
    A: WireNumber


# One function per kind: what somebody writes by hand who knows the message type.
def floor_trades(decode, symbol, frames, ts):
    for raw in frames:
        d = decode(raw)
        sent = d.E * MS
        [Trade(NAME, symbol, r.T * MS, sent, ts, r.t, r.p, r.q, "sell" if r.m else "buy") for r in d.d]


def floor_candle(decode, symbol, frames, ts):
    for raw in frames:
        d = decode(raw)
        for k in d.d:
            Candle(NAME, symbol, 0, d.E * MS, ts, "1m", k.t * MS, k.T * MS, k.o, k.h, k.l, k.c, k.v, k.q, k.n, False)


def floor_ticker(decode, symbol, frames, ts):
    for raw in frames:
        d = decode(raw)
        sent = d.E * MS
        for r in d.d:
            change = (r.c - r.o) / r.o * 100.0
            Ticker(NAME, symbol, sent, sent, ts, r.c, r.o, r.h, r.l, r.v, r.q, change, None, None, None, None)


def floor_mark(decode, symbol, frames, ts):
    for raw in frames:
        d = decode(raw)
        sent = d.E * MS
        for r in d.d:
            MarkPrice(NAME, symbol, sent, sent, ts, r.m, r.i)


def floor_depth(decode, symbol, frames, ts):
    for raw in frames:
        d = decode(raw)
        DepthUpdate(NAME, symbol, 0, d.E * MS, ts, d.b, d.a, d.U, d.u, d.U, False, d.l)


def floor_quote(decode, symbol, frames, ts):
    for raw in frames:
        d = decode(raw)
        Quote(NAME, symbol, 0, d.E * MS, ts, d.b, d.B, d.a, d.A, d.u)


def _row(rng: random.Random, n: int, p: float) -> str:
    return (
        f'{{"T":{1788964868000 + n},"t":"{UUID(int=rng.getrandbits(128))}","p":"{p:.1f}","q":"{rng.random():.4f}",'
        f'"v":"{rng.random() * 9e4:.5f}","m":{"true" if n % 2 else "false"}}}'
    )


def trades(rng: random.Random, n: int, p: float, *, records: int = 1) -> str:
    rows = ",".join(_row(rng, n + k, p) for k in range(records))
    return f'{{"e":"trade","E":{1788964868968 + n},"s":"BTCUSDT","d":[{rows}]}}'


def candle(rng: random.Random, n: int, p: float) -> str:
    return (
        f'{{"e":"kline","E":{1788692276838 + n},"s":"BTCUSDT","p":"LAST_PRICE","d":[{{"t":1788692220000,'
        f'"T":1788692280000,"s":"BTCUSDT","i":"1m","o":"{p:.1f}","c":"{p + 1:.1f}","h":"{p + 2:.1f}",'
        f'"l":"{p - 2:.1f}","v":"{rng.random() * 99:.4f}","n":{n},"q":"{rng.random() * 9e5:.5f}",'
        f'"V":"1.6664","Q":"133286.71425"}}]}}'
    )


def ticker(rng: random.Random, n: int, p: float) -> str:
    return (
        f'{{"e":"ticker","E":{1788692276431 + n},"s":"BTCUSDT","d":[{{"p":"413.2","P":"0.005192","w":"{p:.8f}",'
        f'"c":"{p:.1f}","o":"{p - 400:.1f}","h":"{p + 200:.1f}","l":"{p - 500:.1f}","v":"{rng.random() * 9e3:.4f}",'
        f'"q":"{rng.random() * 9e8:.5f}","O":1788605100000,"C":1788691500000,"n":{422700 + n},"m":"{p + 2:.1f}",'
        f'"i":"{p + 38:.5f}"}}]}}'
    )


def _levels(rng: random.Random, mid: float, step: float) -> str:
    sizes = (0.0 if rng.random() < 0.3 else rng.random() * 5 for _ in range(20))
    return "[" + ",".join(f'["{mid + step * n:.1f}","{size:.4f}"]' for n, size in enumerate(sizes)) + "]"


def depth(rng: random.Random, n: int, p: float) -> str:
    first = 16786244375 + 33 * n
    return (
        f'{{"e":"depth","E":{1788692246314 + n},"s":"BTCUSDT","U":{first},"u":{first + 33},"l":200,"d":"CHANGED",'
        f'"b":{_levels(rng, p, -0.1)},"a":{_levels(rng, p + 0.1, 0.1)}}}'
    )


def image(p: float) -> str:
    return (
        '{"e":"depthSnapshot","E":1788692246206,"s":"BTCUSDT","U":16786244339,"u":16786244375,"l":200,"d":"SNAPSHOT",'
        f'"b":[["{p:.1f}","1"]],"a":[["{p + 0.1:.1f}","1"]]}}'
    )


def quote(rng: random.Random, n: int, p: float) -> str:
    return (
        f'{{"e":"bookTicker","E":{1775117847999 + n},"s":"BTCUSDT","u":{1775117847996 + n},"b":"{p:.2f}",'
        f'"B":"{rng.random():.5f}","a":"{p + 0.01:.2f}","A":"{rng.random():.5f}"}}'
    )


def _frames(name: str, make: Callable[[random.Random, int, float], str], count: int) -> list[bytes]:
    rng = random.Random(name)
    price = 80_000.0
    frames = []
    for n in range(count):
        price = round(price + rng.gauss(0, 3), 1)
        frames.append(make(rng, n, price).encode())
    return frames


SPOT, PERP = "BTC/USDT", "BTC/USDT:USDT"


def cases() -> list[Case]:
    """Return every kind; contracts and spot share their messages, so each is measured on one of them."""
    table = [
        ("contract", "trade", trades, TRADE_FRAMES, Subscription("trades", PERP), TradesIn, floor_trades, 1),
        ("contract", "5 trades", partial(trades, records=5), TRADE_FRAMES // 5, Subscription("trades", PERP),
         TradesIn, floor_trades, 5),
        ("contract", "candle", candle, FRAMES, Subscription("candles", PERP, interval="1m"), CandlesIn, floor_candle,
         1),
        ("contract", "ticker", ticker, FRAMES, Subscription("ticker", PERP), TickersIn, floor_ticker, 1),
        ("contract", "mark price", ticker, FRAMES, Subscription("mark_price", PERP), TickersIn, floor_mark, 1),
        ("contract", "depth 20 + 20", depth, FRAMES, Subscription("book", PERP), DepthIn, floor_depth, 40),
        ("spot", "quote", quote, FRAMES, Subscription("quotes", SPOT), QuoteIn, floor_quote, 1),
    ]  # fmt: skip
    found = []
    for market, kind, make, count, subscription, wire, floor, records in table:
        frames = _frames(kind, make, count)
        if subscription.channel == "book":
            # A session passes changes on only after an image; one image in 65 messages does not show.
            frames.insert(0, image(80_000.0).encode())
        decode = msgspec.json.Decoder(wire, strict=False).decode
        floored = partial(floor, decode, subscription.symbol, frames, 17)
        found.append(Case(NAME, market, kind, subscription, frames, floored, records))
    return found
