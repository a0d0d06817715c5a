"""The market streams of the simulated Binance markets: what is pushed, and when.

A stream is shared by its subscribers. ``on_change``, ``on_trade`` and ``on_forced`` bring what happened; ``flush``
comes at the end of a tick where ``every`` is 0, else at the end of each push interval.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from unitape.spi.simulation import (
    Bar,
    BestPrices,
    BookChange,
    Exchange,
    ForcedOrder,
    SimInstrument,
    SimTrade,
    fixed,
)
from unitape_binance.simulator_rest import AggregateTrade
from unitape_binance.simulator_rules import MARKET, PUBLIC, SECOND, Spelling, percent
from unitape_schemas import Interval

Payload = Callable[[int], object]
"""Makes the message for a time unit (nanoseconds per unit of the wire's times)."""
Json = dict[str, object]


class Stream:
    """A stream that never says anything; the others are made of it."""

    every = 0
    routes: frozenset[str] = frozenset()
    """Futures routes that carry it."""

    def __init__(self, exchange: Exchange, spelling: Spelling, spec: SimInstrument) -> None:
        self.exchange = exchange
        self.spelling = spelling
        self.spec = spec
        self.raw = spelling.raw_of[spec.symbol]
        self.linear = spelling.rules.linear
        self.pending: list[Payload] = []

    def on_change(self, change: BookChange) -> None:
        """Take a change of the book."""

    def on_trade(self, trade: SimTrade) -> None:
        """Take a trade."""

    def on_aggregate(self, trade: AggregateTrade) -> None:
        """Take an aggregate trade."""

    def on_forced(self, order: ForcedOrder) -> None:
        """Take a liquidation."""

    def flush(self) -> None:
        """Put what is due into ``pending``."""

    def tail(self, *, pair: bool) -> Json:
        """Return the family fields that futures payloads end with."""
        if not self.linear:
            return {}
        return {"ps": self.raw, "st": 1} if pair else {"st": 1}


class TradeStream(Stream):
    """``<s>@trade``."""

    routes = frozenset({PUBLIC})

    def on_trade(self, trade: SimTrade) -> None:
        """Push it."""
        spelling, spec = self.spelling, self.spec
        price, size = spelling.price(spec, trade.price), spelling.size(spec, trade.size)
        maker, pushed = trade.taker == "sell", self.exchange.now

        def spot(unit: int) -> Json:
            head: Json = {"e": "trade", "E": pushed // unit, "s": self.raw, "t": trade.id}
            return head | {"p": price, "q": size, "T": trade.ts // unit, "m": maker, "M": True}

        def futures(unit: int) -> Json:
            head: Json = {"e": "trade", "E": pushed // unit, "T": trade.ts // unit, "s": self.raw, "t": trade.id}
            return head | {"p": price, "q": size, "X": "MARKET", "m": maker, "st": 1}

        self.pending.append(futures if self.linear else spot)


class AggregateStream(Stream):
    """``<s>@aggTrade``."""

    routes = frozenset({MARKET})

    def on_aggregate(self, trade: AggregateTrade) -> None:
        """Push it."""
        spelling, spec = self.spelling, self.spec
        price, size = spelling.price(spec, trade.price), spelling.size(spec, trade.size)
        pushed = self.exchange.now

        def payload(unit: int) -> Json:
            row: Json = {"e": "aggTrade", "E": pushed // unit, "s": self.raw, "a": trade.id, "p": price, "q": size}
            if self.linear:
                row["nq"] = size
            row |= {"f": trade.first, "l": trade.last, "T": trade.ts // unit, "m": trade.buyer_is_maker}
            return row | ({"st": 1} if self.linear else {"M": True})

        self.pending.append(payload)


class BookTickerStream(Stream):
    """``<s>@bookTicker``."""

    routes = frozenset({PUBLIC})

    def __init__(self, exchange: Exchange, spelling: Spelling, spec: SimInstrument) -> None:
        super().__init__(exchange, spelling, spec)
        self._told: BestPrices = exchange.best(spec.symbol)
        self._changed_ts = 0

    def on_change(self, change: BookChange) -> None:
        """Note that the touch may have changed."""
        self._changed_ts = change.ts

    def flush(self) -> None:
        """Push the touch when it differs from the one told last."""
        if not self._changed_ts:
            return
        changed_ts, self._changed_ts = self._changed_ts, 0
        best, told = self.exchange.best(self.spec.symbol), self._told
        if (best.bid, best.bid_size, best.ask, best.ask_size) == (told.bid, told.bid_size, told.ask, told.ask_size):
            return
        self._told = best
        pushed = self.exchange.now
        touch = touch_of(self.spelling, self.spec, best)

        def payload(unit: int) -> Json:
            number: Json = {"u": self.spelling.update_id(best.seq)}
            if not self.linear:
                return number | {"s": self.raw} | touch
            times: Json = {"E": pushed // unit, "T": changed_ts // unit, "s": self.raw, "ps": self.raw}
            return {"e": "bookTicker"} | number | times | touch | {"st": 1}

        self.pending.append(payload)


def touch_of(spelling: Spelling, spec: SimInstrument, best: BestPrices) -> Json:
    """Write best bid and ask as the streams do."""
    return {
        "b": spelling.price(spec, best.bid),
        "B": spelling.size(spec, best.bid_size),
        "a": spelling.price(spec, best.ask),
        "A": spelling.size(spec, best.ask_size),
    }


class DepthStream(Stream):
    """``<s>@depth`` and ``<s>@depth@<speed>``: what changed in each push interval."""

    routes = frozenset({PUBLIC})

    def __init__(self, exchange: Exchange, spelling: Spelling, spec: SimInstrument, every: int) -> None:
        super().__init__(exchange, spelling, spec)
        self.every = every
        self._last = exchange.best(spec.symbol).seq
        self._first = 0
        self._seq = 0
        self._ts = 0
        self._sides: dict[str, dict[int, int]] = {"buy": {}, "sell": {}}

    def on_change(self, change: BookChange) -> None:
        """Collect it."""
        if change.seq <= self._last:
            return
        self._first = self._first or change.seq
        self._seq = change.seq
        self._ts = change.ts
        self._sides[change.side][change.price] = change.size

    def flush(self) -> None:
        """Push the collected changes."""
        if not self._first:
            return
        spelling, spec = self.spelling, self.spec
        bids = spelling.levels(spec, tuple(sorted(self._sides["buy"].items(), reverse=True)))
        asks = spelling.levels(spec, tuple(sorted(self._sides["sell"].items())))
        first, last, before = (spelling.update_id(seq) for seq in (self._first, self._seq, self._last))
        ts, pushed = self._ts, self.exchange.now
        self._last, self._first = self._seq, 0
        self._sides = {"buy": {}, "sell": {}}

        def payload(unit: int) -> Json:
            return depth_update(self, unit, pushed, ts, (first, last, before), bids, asks)

        self.pending.append(payload)


def depth_update(
    stream: Stream,
    unit: int,
    pushed: int,
    ts: int,
    ids: tuple[int, int, int],
    bids: list[tuple[str, str]],
    asks: list[tuple[str, str]],
) -> Json:
    """Write a ``depthUpdate`` with first, last and previous update id."""
    first, last, before = ids
    row: Json = {"e": "depthUpdate", "E": pushed // unit}
    if not stream.linear:
        return row | {"s": stream.raw, "U": first, "u": last, "b": bids, "a": asks}
    row |= {"T": ts // unit, "s": stream.raw, "ps": stream.raw, "U": first, "u": last, "pu": before}
    return row | {"b": bids, "a": asks, "st": 1}


class PartialDepthStream(Stream):
    """``<s>@depth<n>`` and ``<s>@depth<n>@<speed>``: the whole top, when the book changed."""

    routes = frozenset({PUBLIC})

    def __init__(self, exchange: Exchange, spelling: Spelling, spec: SimInstrument, every: int, levels: int) -> None:
        super().__init__(exchange, spelling, spec)
        self.every = every
        self._levels = levels
        self._told = 0

    def flush(self) -> None:
        """Push the top."""
        image = self.exchange.book(self.spec.symbol, self._levels)
        if image.seq == self._told:
            return
        spelling = self.spelling
        bids, asks = spelling.levels(self.spec, image.bids), spelling.levels(self.spec, image.asks)
        last, before = spelling.update_id(image.seq), spelling.update_id(self._told or image.seq - 1)
        pushed = self.exchange.now
        self._told = image.seq

        def payload(unit: int) -> Json:
            if not self.linear:
                return {"lastUpdateId": last, "bids": bids, "asks": asks}
            return depth_update(self, unit, pushed, image.ts, (before + 1, last, before), bids, asks)

        self.pending.append(payload)


class TickerStream(Stream):
    """``<s>@ticker`` and ``<s>@miniTicker``."""

    routes = frozenset({MARKET})

    def __init__(self, exchange: Exchange, spelling: Spelling, spec: SimInstrument, every: int, *, mini: bool) -> None:
        super().__init__(exchange, spelling, spec)
        self.every = every
        self._mini = mini

    def flush(self) -> None:
        """Push it."""
        self.pending.append(self.row())

    def row(self) -> Payload:
        """Return the ticker as it is now."""
        day, spelling, spec = self.exchange.day(self.spec.symbol), self.spelling, self.spec
        pushed = self.exchange.now
        body: Json = {
            "c": spelling.price(spec, day.last),
            "o": spelling.price(spec, day.open),
            "h": spelling.price(spec, day.high),
            "l": spelling.price(spec, day.low),
            "v": spelling.size(spec, day.volume),
            "q": spelling.amount(spec, day.amount),
        }
        if not self._mini:
            body |= {
                "p": spelling.price(spec, day.last - day.open),
                "P": percent(day.last - day.open, day.open),
                "w": spelling.average(spec, day.amount, day.volume, day.last),
                "Q": spelling.size(spec, day.last_size),
                "F": day.first_id,
                "L": day.last_id,
                "n": day.trades,
            }
        if not self._mini and not self.linear:
            best = self.exchange.best(spec.symbol)
            body |= {"x": spelling.price(spec, day.before)} | touch_of(spelling, spec, best)
        event = "24hrMiniTicker" if self._mini else "24hrTicker"

        def payload(unit: int) -> Json:
            head: Json = {"e": event, "E": pushed // unit, "s": self.raw} | self.tail(pair=True)
            window: Json = {} if self._mini else {"O": day.open_ts // unit, "C": day.close_ts // unit}
            return head | body | window

        return payload


class KlineStream(Stream):
    """``<s>@kline_<interval>``: the running candle when it changed, each closed one once with ``x`` true."""

    routes = frozenset({MARKET})

    def __init__(
        self, exchange: Exchange, spelling: Spelling, spec: SimInstrument, every: int, interval: Interval
    ) -> None:
        super().__init__(exchange, spelling, spec)
        self.every = every
        self._interval: Interval = interval
        self._open_ts = exchange.bars(spec.symbol, interval, limit=1)[-1].open_ts
        self._told = -1

    def flush(self) -> None:
        """Push what changed."""
        for bar in self.exchange.bars(self.spec.symbol, self._interval, start=self._open_ts, limit=100):
            closed = bar.close_ts <= self.exchange.now
            if closed or bar.trades != self._told:
                self.pending.append(self._row(bar, closed))
            self._open_ts = bar.close_ts if closed else bar.open_ts
            self._told = -1 if closed else bar.trades

    def _row(self, bar: Bar, closed: bool) -> Payload:
        spelling, spec, pushed = self.spelling, self.spec, self.exchange.now
        body: Json = {
            "s": self.raw,
            "i": self._interval,
            "f": bar.first_id,
            "L": bar.last_id,
            "o": spelling.price(spec, bar.open),
            "c": spelling.price(spec, bar.close),
            "h": spelling.price(spec, bar.high),
            "l": spelling.price(spec, bar.low),
            "v": spelling.size(spec, bar.volume),
            "n": bar.trades,
            "x": closed,
            "q": spelling.amount(spec, bar.amount),
            "V": spelling.size(spec, bar.taker_volume),
            "Q": spelling.amount(spec, bar.taker_amount),
            "B": "0",
        }

        def payload(unit: int) -> Json:
            times: Json = {"t": bar.open_ts // unit, "T": bar.close_ts // unit - 1}
            return {"e": "kline", "E": pushed // unit, "s": self.raw, "k": times | body}

        return payload


class MarkPriceStream(Stream):
    """``<s>@markPrice`` and ``<s>@markPrice@1s``."""

    routes = frozenset({MARKET})

    def __init__(self, exchange: Exchange, spelling: Spelling, spec: SimInstrument, every: int) -> None:
        super().__init__(exchange, spelling, spec)
        self.every = every

    def flush(self) -> None:
        """Push it."""
        self.pending.append(self.row())

    def row(self) -> Payload:
        """Return mark, index and funding as they are now."""
        state, pushed = self.exchange.perpetual(self.spec.symbol), self.exchange.now
        body: Json = {
            "s": self.raw,
            "p": fixed(state.mark_e8, 8),
            "ap": fixed((state.mark_e8 + state.index_e8) // 2, 8),
            "i": fixed(state.index_e8, 8),
            "P": fixed(state.index_e8, 8),
            "r": fixed(state.rate_e8, 8),
        }
        return lambda unit: (
            {"e": "markPriceUpdate", "E": pushed // unit} | body | {"T": state.next_funding // unit, "st": 1}
        )


class ForcedStream(Stream):
    """``<s>@forceOrder``: the largest liquidation of each second."""

    routes = frozenset({MARKET})
    every = SECOND

    def __init__(self, exchange: Exchange, spelling: Spelling, spec: SimInstrument) -> None:
        super().__init__(exchange, spelling, spec)
        self.largest: ForcedOrder | None = None

    def on_forced(self, order: ForcedOrder) -> None:
        """Keep the largest."""
        if self.largest is None or order.filled > self.largest.filled:
            self.largest = order

    def flush(self) -> None:
        """Push it."""
        order, self.largest = self.largest, None
        if order is not None:
            self.pending.append(self.row(order, all_markets=False))

    def row(self, order: ForcedOrder, *, all_markets: bool) -> Payload:
        """Return one liquidation; the all-market stream adds the family fields."""
        spelling, spec, pushed = self.spelling, self.spec, self.exchange.now
        filled = spelling.size(spec, order.filled)
        body: Json = {
            "s": self.raw,
            "S": order.side.upper(),
            "o": "LIMIT",
            "f": "IOC",
            "q": spelling.size(spec, order.size),
            "p": spelling.price(spec, order.price),
            "ap": spelling.price(spec, order.notional // order.filled),
            "X": "FILLED" if order.filled == order.size else "PARTIALLY_FILLED",
            "l": filled,
            "z": filled,
        }
        family = self.tail(pair=True) if all_markets else {}
        return lambda unit: {"e": "forceOrder", "E": pushed // unit} | family | {"o": body | {"T": order.ts // unit}}


class AveragePriceStream(Stream):
    """``<s>@avgPrice`` (spot)."""

    every = SECOND

    def flush(self) -> None:
        """Push the average of five minutes."""
        bars = self.exchange.bars(self.spec.symbol, "1m", limit=5)
        amount, volume = sum(bar.amount for bar in bars), sum(bar.volume for bar in bars)
        price = self.spelling.average(self.spec, amount, volume, bars[-1].close)
        last, pushed = self.exchange.trades(self.spec.symbol, 1), self.exchange.now
        traded = last[0].ts if last else pushed
        self.pending.append(
            lambda unit: {
                "e": "avgPrice",
                "E": pushed // unit,
                "s": self.raw,
                "i": "5m",
                "w": price,
                "T": traded // unit,
            }
        )


_NAME: Final = re.compile(
    r"(?P<symbol>[^@]+)@(?P<kind>[A-Za-z]+?)(?P<levels>5|10|20)?(?:_(?P<interval>\w+))?(?:@(?P<speed>\w+))?"
)


def make_stream(exchange: Exchange, spelling: Spelling, name: str) -> Stream | None:
    """Return the stream of this name; None when the market has no such stream."""
    found = _NAME.fullmatch(name)
    if found is None:
        return None
    kind, speed, levels, text = found["kind"], found["speed"] or "", found["levels"], found["interval"]
    spec = next((spec for raw, spec in spelling.by_raw.items() if raw.lower() == found["symbol"]), None)
    if spec is None or (levels and kind != "depth") or (text and kind != "kline"):
        return None
    rules = spelling.rules
    if kind == "depth":
        every = rules.depth_speeds.get(speed)
        if every is None:
            return None
        if levels:
            return PartialDepthStream(exchange, spelling, spec, every, int(levels))
        return DepthStream(exchange, spelling, spec, every)
    if kind == "kline":
        interval = spelling.interval(text or "")
        every = SECOND if interval == "1s" else rules.kline_every
        return None if interval is None or speed else KlineStream(exchange, spelling, spec, every, interval)
    if kind == "markPrice" and rules.linear:
        every = {"": 3 * SECOND, "1s": SECOND}.get(speed)
        return None if every is None else MarkPriceStream(exchange, spelling, spec, every)
    if speed:
        return None
    if kind in {"ticker", "miniTicker"}:
        return TickerStream(exchange, spelling, spec, rules.ticker_every, mini=kind == "miniTicker")
    plain = (_PLAIN_FUTURES if rules.linear else _PLAIN_SPOT).get(kind)
    return None if plain is None else plain(exchange, spelling, spec)


_PLAIN_SPOT: Final[dict[str, type[Stream]]] = {
    "trade": TradeStream,
    "aggTrade": AggregateStream,
    "bookTicker": BookTickerStream,
    "avgPrice": AveragePriceStream,
}
_PLAIN_FUTURES: Final[dict[str, type[Stream]]] = {
    "trade": TradeStream,
    "aggTrade": AggregateStream,
    "bookTicker": BookTickerStream,
    "forceOrder": ForcedStream,
}
