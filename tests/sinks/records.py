"""Records of every class with every awkward value, made from a seed; and the same sequence again for whoever checks."""

from __future__ import annotations

import random
from collections.abc import Sequence
from decimal import Decimal

from unitape.derive.records import BookSample, FlowImbalance, MovingAverage, TradeBar
from unitape_schemas import (
    Balance,
    BookDelta,
    BookSnapshot,
    Candle,
    EventHead,
    Fill,
    Funding,
    Liquidation,
    MarkPrice,
    OpenInterest,
    Order,
    Position,
    Quote,
    Status,
    Ticker,
    TopBook,
    Trade,
)

DAY = 86_400_000_000_000
START = 1_793_923_200_000_000_000
SYMBOLS = ("BTC/USDT", "BTC/USDT:USDT", "1000SHIB/USDT", "BTC/USDT:USDT-261225", "weird %/..?*:名", "x" * 300)
FLOATS = (0.1, 0.30000000000000004, 5e-324, 1.7976931348623157e17, 55123.45, 1e-8, 0.0, 123456789.12345679)
DECIMALS = (Decimal("1.10"), Decimal("0E-8"), Decimal("123456789012345678901234567890.123456789"), Decimal("-5.50"))


def one_of_each() -> list[EventHead]:
    """One or more records of every class, in an order that mixes symbols, days and unset fields."""
    big = (1 << 63) - 1
    a = ("binance", SYMBOLS[0], START, START + 1, START + 2)
    b = ("mexc", SYMBOLS[1], 0, 0, START + DAY + 5)
    levels = tuple((price, size) for price in FLOATS for size in FLOATS[:3])
    records: list[EventHead] = [
        Trade(*a, "17", 0.1, 0.30000000000000004, "buy"),
        Trade(*b, None, 55123.45, 5e-324, "sell"),
        *(Trade("weex", symbol, START, 0, START + 3, "id\n\"'", 1.5, 2.5, "buy") for symbol in SYMBOLS),
        Quote(*a, 1.0, 2.0, 3.0, 4.0, big),
        Quote(*b, 1.0, 2.0, 3.0, 4.0, None),
        BookSnapshot(*a, levels, (), None, -big - 1, None, 0),
        BookDelta(*a, (), levels, 1, 2, 0, 7),
        TopBook(*b, levels[:1], levels[:2], 20, None),
        Ticker(*a, None, 1.0, None, 3.0, 1e17, None, -1.5, None, None, None, 0.0),
        Candle(*a, "1M", START, START + DAY, 1.0, 2.0, 0.5, 1.5, 10.0, None, None, False),
        Candle(*b, "1m", START, START + DAY, 1.0, 2.0, 0.5, 1.5, 10.0, 7.0, 3, True),
        MarkPrice(*b, None, 2.5),
        Funding(*b, -0.0001, None),
        OpenInterest(*b, 12.5),
        Liquidation(*b, "sell", 1.0, 2.0),
        Status("mexc", "", 0, 0, START + 9, "connected", None, None, "text with ' \" \n and 名", None),
        Status(*a, "gap", "trades BTC/USDT", 3, "", "raw"),
        Order(
            *a,
            id=None,
            client_id="c1",
            side="buy",
            kind=None,
            tif="post_only",
            price=DECIMALS[0],
            trigger=None,
            size=DECIMALS[1],
            filled=DECIMALS[2],
            average=None,
            status="unknown",
            reduce_only=None,
            position_side=None,
            ts_created=0,
            ts_updated=START,
            origin="stream",
            raw_status="ODD",
        ),
        Fill(*a, "f", "o", None, "sell", DECIMALS[0], DECIMALS[2], DECIMALS[3], "BNB", "maker", None, "query"),
        Balance("weex", "", 0, 0, START + 11, "USDT", DECIMALS[1], None, DECIMALS[0], "spot"),
        Position(*b, "long", DECIMALS[0], None, None, DECIMALS[1], DECIMALS[3], None, "cross", None),
        TradeBar(*a, "time", START, START + 60, 1.0, 2.0, 0.5, 1.5, 10.0, 4.0, 12.0, 3, 1, True),
        BookSample(*a, levels, levels[:3], 5, 9, 2, START, False),
        FlowImbalance(*a, START, START + 60, -3.25, 4, False),
        MovingAverage(*a, "exponential", 20.0, 1.25, 0.1),
    ]
    return records


def trades(count: int, *, start: int = 1, seed: int = 1, step: int = 1_000_000_000) -> list[EventHead]:
    """Numbers ``start`` onwards of one endless sequence: the n-th record is the same however it is asked for."""
    return [_nth(number, seed, step) for number in range(start, start + count)]


def _nth(number: int, seed: int, step: int) -> EventHead:
    rng = random.Random(f"{seed}/{number}")
    ts = START + number * step
    symbol = SYMBOLS[rng.randrange(3)]
    if number % 7 == 0:
        levels: Sequence[tuple[float, float]] = [(rng.random(), rng.random()) for _ in range(rng.randrange(4))]
        return BookDelta("binance", symbol, ts, ts, ts, tuple(levels), (), None, number, None, 1)
    if number % 11 == 0:
        return Status("mexc", "", 0, 0, ts, "rotated", None, None, f"number {number}", None)
    return Trade("binance", symbol, ts - 5, 0, ts, str(number), rng.random() * 1e5, rng.random(), "buy")
