"""Made-up pushes of every public kind, serialised by upb from the .proto file."""

from __future__ import annotations

import random

from tests.mexc.support import wrapper

SENT = 1_793_000_000_105


def depth(levels: int = 20, seed: int = 1, speed: str = "100ms", **extra) -> bytes:
    """An ``aggre.depth`` push with so many levels per side, some of them removals."""
    rng = random.Random(seed)
    event = f"spot@public.aggre.depth.v3.api.pb@{speed}"
    push = wrapper(channel=f"{event}@BTCUSDT", symbol="BTCUSDT", sendTime=SENT)
    body = push.publicAggreDepths
    for side, sign in ((body.asks, 1), (body.bids, -1)):
        for n in range(levels):
            size = "0" if rng.random() < 0.2 else f"{rng.expovariate(0.3):.{rng.randint(1, 8)}f}"
            side.add(price=f"{60000 + sign * n * 0.01:.2f}", quantity=size)
    body.eventType = event
    body.fromVersion, body.toVersion, body.lastOrderCreateTime = "10589632359", "10589632361", SENT - 5
    return push.SerializeToString()


def samples() -> dict[str, bytes]:
    """One push of each kind, by name."""
    made = {"depth": depth(), "one ask": depth(1, 2)}

    def push(channel: str, symbol: str | None = "BTCUSDT", **fields):
        return wrapper(channel=f"spot@public.{channel}", sendTime=SENT, **({"symbol": symbol} if symbol else {}))

    top = push("limit.depth.v3.api.pb@BTCUSDT@5")
    for n in range(5):
        top.publicLimitDepths.asks.add(price=f"{60000.11 + n:.2f}", quantity=f"{n}.25")
        top.publicLimitDepths.bids.add(price=f"{60000.10 - n:.2f}", quantity=f"{n}.75")
    top.publicLimitDepths.eventType, top.publicLimitDepths.version = "spot@public.limit.depth.v3.api.pb", "10589632361"
    top.publicLimitDepths.lastOrderCreateTime = SENT
    made["top"] = top.SerializeToString()

    deals = push("aggre.deals.v3.api.pb@100ms@BTCUSDT")
    for n in range(5):
        deals.publicAggreDeals.deals.add(
            price=f"60000.{n}1", quantity=f"0.0{n}1", tradeType=1 + n % 2, time=SENT - n, tradeId=f"7302{n}X0_7303{n}X0"
        )
    deals.publicAggreDeals.eventType = "spot@public.aggre.deals.v3.api.pb@100ms"
    made["deals"] = deals.SerializeToString()

    old = push("deals.v3.api.pb@BTCUSDT")
    old.publicDeals.deals.add(price="60000.1", quantity="0.5", tradeType=2, time=SENT)
    made["old deals"] = old.SerializeToString()

    best = {"bidPrice": "60000.10", "bidQuantity": "0.5", "askPrice": "60000.11", "askQuantity": "1.25"}
    quote = push("aggre.bookTicker.v3.api.pb@10ms@BTCUSDT")
    quote.publicAggreBookTicker.MergeFrom(type(quote.publicAggreBookTicker)(**best, version="81721676217"))
    made["quote"] = quote.SerializeToString()
    other = push("aggre.bookTicker.v3.api.pb@10ms@BTCUSDT")
    other.publicBookTicker.MergeFrom(type(other.publicBookTicker)(**best))
    made["quote in body 305"] = other.SerializeToString()
    batch = push("bookTicker.batch.v3.api.pb@BTCUSDT")
    for n in range(3):
        batch.publicBookTickerBatch.items.add(**{**best, "bidQuantity": f"{n}.5"})
    batch.publicBookTickerBatch.version = "81721676230"
    made["quote batch"] = batch.SerializeToString()

    increase = push("increase.depth.batch.v3.api.pb@BTCUSDT")
    for n in range(2):
        item = increase.publicIncreaseDepthsBatch.items.add(version=str(10589632362 + n))
        item.bids.add(price=f"59990.0{n}", quantity="0")
    made["increase batch"] = increase.SerializeToString()

    kline = wrapper(channel="spot@public.kline.v3.api.pb@BTCUSDT@Min1", symbol="BTCUSDT", createTime=SENT)
    kline.symbolId = "2fb942154ef44a4ab2ef98c8afb6a4a7"
    body = kline.publicSpotKline
    body.interval, body.windowStart, body.windowEnd = "Min1", 1792999980, 1793000040
    body.openingPrice, body.closingPrice, body.highestPrice, body.lowestPrice = "59990", "60000.11", "60010", "59980.5"
    body.volume, body.amount = "3.125", "187500.34"
    made["kline"] = kline.SerializeToString()

    row = {
        "symbol": "BTCUSDT", "price": "60000.11", "rate": "0.0123", "zonedRate": "-0.0007", "high": "60500",
        "low": "58800", "volume": "812345678.12", "quantity": "13612.45",
    }  # fmt: skip
    mini = push("miniTicker.v3.api.pb@BTCUSDT@24H")
    mini.publicMiniTicker.MergeFrom(type(mini.publicMiniTicker)(**row))
    made["ticker"] = mini.SerializeToString()
    minis = push("miniTickers.v3.api.pb@24H", None)
    minis.publicMiniTickers.items.add(**row)
    minis.publicMiniTickers.items.add(**{**row, "symbol": "ETHUSDT", "price": "2400.5"})
    made["tickers"] = minis.SerializeToString()
    made["no body"] = push("aggre.depth.v3.api.pb@10ms@XENUSDT", "XENUSDT").SerializeToString()
    return made
