"""The streams of the simulated WEEX markets: what each says on subscribing, and what it says from then on."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Final, Protocol

from unitape.spi.simulation import Exchange, Level, SimInstrument, SimTrade, fixed
from unitape_schemas import Interval
from unitape_weex.simulator_rules import KINDS, MILLIS, SECOND, Refusal, Rules, Spelling, encode

__all__ = ["Stream", "make_stream"]

_HISTORY: Final = 20
_REPEATED: Final = 8
_CANDLES: Final = 300
_INTERVALS: Final[Mapping[str, Interval]] = {kind: kind for kind in KINDS}
_KLINE: Final = re.compile(r"kline_(\w+?)(?:_(LAST_PRICE|MARK_PRICE))?")


class Stream(Protocol):
    """One native stream, shared by everyone who subscribed to it."""

    every: int
    """Nanoseconds between two pushes; 0: as things happen."""

    def greet(self) -> Sequence[bytes]:
        """Return what a new subscriber is sent first."""
        ...

    def on_trade(self, trade: SimTrade) -> None:
        """Take note of a trade of the symbol."""
        ...

    def push(self) -> Sequence[bytes]:
        """Return what there is to say now."""
        ...


class _Base:
    every: int = 0

    def __init__(self, exchange: Exchange, spelling: Spelling, raw: str, spec: SimInstrument) -> None:
        self.exchange = exchange
        self.spelling = spelling
        self.raw = raw
        self.spec = spec

    def greet(self) -> Sequence[bytes]:
        return ()

    def on_trade(self, trade: SimTrade) -> None:
        return

    def _message(self, kind: str, **fields: object) -> bytes:
        return encode({"e": kind, "E": self.exchange.now // MILLIS, "s": self.raw, **fields})


class _Trades(_Base):
    """Batches in no order. The first one after someone subscribed repeats the newest of the history it was sent."""

    every = SECOND // 5

    def __init__(self, exchange: Exchange, spelling: Spelling, raw: str, spec: SimInstrument) -> None:
        super().__init__(exchange, spelling, raw, spec)
        self._fresh: list[SimTrade] = []
        self._repeat: list[SimTrade] = []

    def on_trade(self, trade: SimTrade) -> None:
        self._fresh.append(trade)

    def greet(self) -> Sequence[bytes]:
        """Everything up to now is history to the newcomer, also what the others have not been sent yet."""
        history = list(self.exchange.trades(self.spec.symbol, _HISTORY))
        self._repeat = [trade for trade in history if trade not in self._fresh][-_REPEATED:]
        return (self._message("tradeSnapshot", d=[self._row(trade) for trade in reversed(history)]),)

    def push(self) -> Sequence[bytes]:
        if not self._fresh:
            return ()
        rows = [self._row(trade) for trade in (*self._fresh, *self._repeat)]
        self._fresh, self._repeat = [], []
        rows.sort(key=lambda row: str(row["t"]))
        return (self._message("trade", d=rows),)

    def _row(self, trade: SimTrade) -> dict[str, object]:
        return {
            "T": trade.ts // MILLIS,
            "t": self.spelling.trade_id(trade),
            "p": self.spec.price_text(trade.price),
            "q": self.spec.size_text(trade.size),
            "v": self.spec.notional_text(trade.price * trade.size),
            "m": trade.taker == "sell",
        }


class _Depth(_Base):
    """A window of the book. What is pushed out of the window by better levels is not deleted by name."""

    every = SECOND // 2

    def __init__(
        self, exchange: Exchange, spelling: Spelling, raw: str, spec: SimInstrument, levels: int, above: int
    ) -> None:
        super().__init__(exchange, spelling, raw, spec)
        self._levels = levels
        self._above = above
        image = exchange.book(spec.symbol, levels)
        self._seq = image.seq
        self._sides = (dict(image.bids), dict(image.asks))

    def greet(self) -> Sequence[bytes]:
        bids, asks = (list(side.items()) for side in self._sides)
        return (self._write("depthSnapshot", self._seq - 7, "SNAPSHOT", bids, asks),)

    def push(self) -> Sequence[bytes]:
        image = self.exchange.book(self.spec.symbol, self._levels)
        bids, asks = dict(image.bids), dict(image.asks)
        changes = self._changes(self._sides[0], bids, falling=True), self._changes(self._sides[1], asks, falling=False)
        if image.seq == self._seq or not any(changes):
            return ()
        first, self._seq, self._sides = self._seq + self._above, image.seq, (bids, asks)
        return (self._write("depth", first, "CHANGED", *changes),)

    def _changes(self, before: Mapping[int, int], after: Mapping[int, int], *, falling: bool) -> list[Level]:
        rows = [(price, size) for price, size in after.items() if before.get(price) != size]
        full = len(after) >= self._levels
        worst = (min if falling else max)(after, default=0)
        for price in before:
            outside = full and (price < worst if falling else price > worst)
            if price not in after and not outside:
                rows.append((price, 0))
        return rows

    def _write(self, kind: str, first: int, word: str, bids: list[Level], asks: list[Level]) -> bytes:
        return self._message(
            kind,
            U=first,
            u=self._seq,
            l=self._levels,
            d=word,
            b=self.spelling.levels(self.spec, bids),
            a=self.spelling.levels(self.spec, asks),
        )


class _Ticker(_Base):
    every = SECOND // 4

    def push(self) -> Sequence[bytes]:
        day = self.exchange.day(self.spec.symbol)
        grid = 900 * SECOND
        end = day.close_ts - day.close_ts % grid
        spec = self.spec
        row: dict[str, object] = {
            "p": spec.price_text(day.last - day.open),
            "P": self.spelling.fraction(day.last - day.open, day.open),
            "c": spec.price_text(day.last),
            "o": spec.price_text(day.open),
            "h": spec.price_text(day.high),
            "l": spec.price_text(day.low),
            "v": spec.size_text(day.volume),
            "q": spec.notional_text(day.amount),
            "O": (end - 86_400 * SECOND) // MILLIS,
            "C": end // MILLIS,
            "n": day.trades,
        }
        if spec.settle is not None:
            state = self.exchange.perpetual(spec.symbol)
            row |= {"m": fixed(state.mark_e8, 8), "i": fixed(state.index_e8, 8)}
        return (self._message("ticker", d=[row]),)


class _Candles(_Base):
    every = SECOND // 4

    def __init__(
        self, exchange: Exchange, spelling: Spelling, raw: str, spec: SimInstrument, interval: Interval, kind: str
    ) -> None:
        super().__init__(exchange, spelling, raw, spec)
        self._interval: Interval = interval
        self._kind = kind
        self._said: object = None

    def greet(self) -> Sequence[bytes]:
        return (self._message("klineSnapshot", p=self._kind, d=self._rows(_CANDLES)),)

    def push(self) -> Sequence[bytes]:
        rows = self._rows(2)
        if self._said is not None and self._said == rows[-1:]:
            return ()
        # A candle that changed at its very end is told once more before the next one opens.
        old = [row for row in rows[:-1] if self._said is not None and self._opened(self._said) == row["t"]]
        last = [self._message("kline", p=self._kind, d=[row]) for row in old if [row] != self._said]
        self._said = rows[-1:]
        return (*last, self._message("kline", p=self._kind, d=rows[-1:]))

    @staticmethod
    def _opened(said: object) -> object:
        return said[0]["t"] if isinstance(said, list) and said else None  # pyright: ignore[reportUnknownVariableType]

    def _rows(self, count: int) -> list[dict[str, object]]:
        return [
            {
                "t": bar.open_ts // MILLIS,
                "T": bar.close_ts // MILLIS,
                "s": self.raw,
                "i": self._interval,
                "n": bar.trades,
                **self.spelling.bar(self.spec, bar),
            }
            for bar in self.exchange.bars(self.spec.symbol, self._interval, limit=count)
        ]


class _Best(_Base):
    """Best bid and ask, whenever they change."""

    def __init__(self, exchange: Exchange, spelling: Spelling, raw: str, spec: SimInstrument) -> None:
        super().__init__(exchange, spelling, raw, spec)
        self._said: tuple[int, int, int, int] | None = None

    def greet(self) -> Sequence[bytes]:
        self._said = None
        return ()

    def push(self) -> Sequence[bytes]:
        best = self.exchange.best(self.spec.symbol)
        now = (best.bid, best.bid_size, best.ask, best.ask_size)
        if now == self._said:
            return ()
        self._said = now
        spec = self.spec
        return (
            self._message(
                "bookTicker",
                u=self.exchange.now // MILLIS,
                b=spec.price_text(best.bid),
                B=spec.size_text(best.bid_size),
                a=spec.price_text(best.ask),
                A=spec.size_text(best.ask_size),
            ),
        )


_SIMPLE: Final[Mapping[str, Callable[[Exchange, Spelling, str, SimInstrument], Stream]]] = {
    "trade": _Trades,
    "ticker": _Ticker,
    "bookTicker": _Best,
}


def make_stream(exchange: Exchange, spelling: Spelling, rules: Rules, name: str, above: int) -> Stream:
    """Return a new stream; ``Refusal`` with the gateway's words where there is none such.

    ``above`` is how much the first id of a change lies above the last id of the one before.
    """
    symbol, _, what = name.partition("@")
    raw = symbol.upper()
    known = _KLINE.fullmatch(what)
    if what.startswith("depth") and what[5:].isdigit() and what not in ("depth15", "depth200"):
        raise Refusal(0, f"INVALID_ARGUMENT: invalid depth level : {what[5:]}")
    if not (
        known
        or what in ("depth", "depth15", "depth200")
        or (what in _SIMPLE and not (rules.linear and what == "bookTicker"))
    ):
        raise Refusal(0, f"INVALID_ARGUMENT: invalid event : {what}")
    spec = spelling.by_raw.get(raw)
    if spec is None:
        inner = rules.inner.format(raw=raw, low=raw.lower())
        raise Refusal(0, f"INVALID_ARGUMENT: invalid symbol : {inner}")
    if known is not None:
        interval = _INTERVALS.get(known.group(1))
        price = known.group(2) or "LAST_PRICE"
        if interval is None or (price == "MARK_PRICE" and not rules.linear):
            raise Refusal(0, f"INVALID_ARGUMENT: invalid event : {what}")
        return _Candles(exchange, spelling, raw, spec, interval, price)
    if what.startswith("depth"):
        return _Depth(exchange, spelling, raw, spec, int(what[5:] or 15), above)
    return _SIMPLE[what](exchange, spelling, raw, spec)
