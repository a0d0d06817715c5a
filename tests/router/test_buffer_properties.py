"""Whatever is delivered and whenever it is read: nothing goes missing that is not counted, and books stay true."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unitape.buffer import Buffer
from unitape.errors import ConsumerOverflow
from unitape_schemas import BookDelta, BookSnapshot, Candle, Event, Quote, Status, Trade

from .fakes import candle, quote, status, trade

SYMBOLS = ("AAA/USDT", "BBB/USDT")
NAMES = {Trade: "trades", Quote: "quotes", Candle: "candles:1m", BookSnapshot: "book", BookDelta: "book"}


class Source:
    """Makes events, and keeps the books they describe as plain dicts."""

    def __init__(self) -> None:
        self.made = 0
        self.trades = Counter[str]()
        self.seq = dict.fromkeys(SYMBOLS, 0)
        self.epoch = dict.fromkeys(SYMBOLS, 0)
        self.live = dict.fromkeys(SYMBOLS, False)
        self.sides: dict[str, tuple[dict[float, float], dict[float, float]]] = {s: ({}, {}) for s in SYMBOLS}

    def make(self, kind: str, symbol: str, price: int, size: int) -> list[Event]:
        self.made += 1
        if kind == "trade":
            self.trades[symbol] += 1
            return [trade(self.trades[symbol], symbol=symbol, ts=self.made)]
        if kind == "quote":
            return [quote(self.made, symbol=symbol)]
        if kind in ("open", "closed"):
            return [candle(self.made, closed=kind == "closed", symbol=symbol)]
        if kind == "status":
            return [status(self.made, symbol=symbol)]
        if kind == "break":
            self.live[symbol] = False
            return [status(self.made, "gap", symbol=symbol)]
        bids, asks = self.sides[symbol]
        if kind == "join" or not self.live[symbol]:
            self.live[symbol] = True
            self.seq[symbol] += 10
            self.epoch[symbol] += 1
            bids.clear()
            asks.clear()
            bids.update({10.0: 1.0, float(price): 3.0})
            asks.update({20.0: 1.0})
            return [self.image(symbol)]
        self.seq[symbol] += 1
        change = ((float(price), float(size)),)
        apply(bids, change)
        apply(asks, ((30.0 + price, size + 1.0),))
        seq = self.seq[symbol]
        return [
            BookDelta("alpha", symbol, 0, 0, self.made, change, ((30.0 + price, size + 1.0),), seq, seq, seq - 1,
                      self.epoch[symbol])
        ]  # fmt: skip

    def image(self, symbol: str) -> BookSnapshot:
        bids, asks = self.sides[symbol]
        seq = self.seq[symbol]
        return BookSnapshot(
            "alpha", symbol, 0, 0, self.made, tuple(bids.items()), tuple(asks.items()), None, seq, None,
            self.epoch[symbol],
        )  # fmt: skip

    def snapshot_of(self, venue: str, symbol: str) -> BookSnapshot | None:
        return self.image(symbol) if self.live[symbol] else None


def apply(side: dict[float, float], changes: Iterable[tuple[float, float]]) -> None:
    for price, size in changes:
        if size:
            side[price] = size
        else:
            side.pop(price, None)


class Reader:
    """Checks everything a consumer can check, event by event."""

    def __init__(self) -> None:
        self.delivered = Counter[str]()
        self.dropped = Counter[str]()
        self.conflated = 0
        self.statuses: list[Event] = []
        self.last = defaultdict[str, int](int)
        self.trade = Counter[str]()
        self.books: dict[str, tuple[int, int, dict[float, float], dict[float, float]] | None] = {}
        self.resync = False

    def read(self, events: list[Event]) -> None:
        for event in events:
            self.one(event)

    def one(self, event: Event) -> None:
        if isinstance(event, Status):
            if event.code == "dropped":
                assert event.count is not None
                assert event.subscription is not None
                self.dropped[event.subscription] += event.count
                if event.subscription.startswith("trades"):
                    self.trade[event.symbol] += event.count
            elif event.code == "conflated":
                assert event.count is not None
                self.conflated += event.count
            elif event.code == "resynced":
                self.resync = True
            else:
                self.statuses.append(event)
            return
        key = f"{NAMES[type(event)]} {event.symbol}"
        if isinstance(event, Trade):
            self.trade[event.symbol] += 1
            assert event.id == str(self.trade[event.symbol]), "the losses before it are not said before it"
        if isinstance(event, BookSnapshot):
            self.books[event.symbol] = (event.epoch, event.seq, dict(event.bids), dict(event.asks))
            if self.resync:
                self.resync = False
                return
        assert not self.resync, "a resynced is followed by its snapshot"
        if isinstance(event, BookDelta):
            book = self.books[event.symbol]
            assert book is not None
            assert (event.epoch, event.prev_seq) == book[:2], "a delta does not continue the book"
            apply(book[2], event.bids)
            apply(book[3], event.asks)
            self.books[event.symbol] = (event.epoch, event.seq, book[2], book[3])
        assert event.ts_recv > self.last[key]
        self.last[key] = event.ts_recv
        self.delivered[key] += 1


KINDS = st.sampled_from(["trade"] * 4 + ["delta"] * 6 + ["quote", "open", "closed", "status", "join", "break"])
EVENT = st.tuples(KINDS, st.sampled_from(SYMBOLS), st.integers(1, 6), st.integers(0, 3))
STEP = st.one_of(st.none(), st.lists(EVENT, min_size=1, max_size=12))


@pytest.mark.parametrize("overflow", ["block", "conflate", "drop_oldest", "fail"])
@settings(max_examples=400, deadline=None)
@given(capacity=st.integers(1, 14), steps=st.lists(STEP, max_size=25))
def test_produced_is_delivered_plus_counted(overflow, capacity, steps) -> None:
    source, reader = Source(), Reader()
    buffer = Buffer(capacity=capacity, overflow=overflow, snapshot_of=source.snapshot_of)
    produced = Counter[str]()
    statuses: list[Event] = []
    refused = 0

    def read() -> int:
        try:
            reader.read(buffer.take())
        except ConsumerOverflow as error:
            return error.dropped
        if overflow != "fail":
            for symbol in SYMBOLS:
                if source.live[symbol]:
                    bids, asks = source.sides[symbol]
                    assert reader.books[symbol] == (source.epoch[symbol], source.seq[symbol], bids, asks)
        return 0

    for step in steps:
        if refused:
            break
        if step is None:
            refused = read()
            continue
        batch = [event for wanted in step for event in source.make(*wanted)]
        for event in batch:
            if isinstance(event, Status):
                statuses.append(event)
            else:
                produced[f"{NAMES[type(event)]} {event.symbol}"] += 1
        buffer.deliver(batch)
    refused = refused or read() or read()

    if overflow == "fail":
        assert sum(produced.values()) + len(statuses) == reader.delivered.total() + len(reader.statuses) + refused
        return
    assert buffer.lost == reader.dropped.total()
    assert buffer.conflated == reader.conflated
    if overflow == "conflate":
        for key, count in produced.items():
            assert reader.delivered[key] + reader.dropped[key] <= count
        kept = reader.delivered.total() + reader.dropped.total() + len(reader.statuses)
        assert sum(produced.values()) + len(statuses) == kept + reader.conflated
    else:
        assert produced == reader.delivered + reader.dropped
        assert len(statuses) == len(reader.statuses) + reader.conflated
    texts = [s.text for s in statuses if isinstance(s, Status)]
    assert [s.text for s in reader.statuses if isinstance(s, Status)] == [
        text for text in texts if any(isinstance(s, Status) and s.text == text for s in reader.statuses)
    ], "statuses changed their order"
