"""The native streams of one connection, and the handlers of their messages: the hot path.

A message is decoded in one typed pass, whatever its kind; its handler finds the stream that it belongs to and builds
the events by position. Handlers may raise ``WireError``, to which the session adds the bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from operator import attrgetter
from typing import Any, Final, TypeAlias

from unitape.errors import WireError
from unitape.spi import MILLISECOND, DepthUpdate, Output, StreamState
from unitape_schemas import Candle, Quote, Subscription, Trade
from unitape_weex import readers
from unitape_weex.channels import depth_of
from unitape_weex.settings import Chain
from unitape_weex.wire import (
    LAST_PRICE,
    VENUE,
    BookTickerPush,
    DepthChange,
    DepthImage,
    KlineHistory,
    KlinePush,
    KlineRow,
    TickerPush,
    TradeHistory,
    TradePush,
    TradeRow,
)

__all__ = ["Handler", "Stream", "Streams", "make_handlers"]

Handler: TypeAlias = Callable[[Any, int], Sequence[Output]]
"""Takes a push of its own kind and the receive time."""

_MS: Final = MILLISECOND
_NOTHING: Final[tuple[Output, ...]] = ()
_BY_TIME: Final = attrgetter("ts_event")
_SEEN: Final = 1024
"""Trade ids per symbol that are remembered at least; twice as many at most, and one message."""
_SHIFTS: Final[Mapping[Chain, int | None]] = {"equal": 0, "next": 1, "auto": None}


class _SharedState:
    """Stands for the states of several subscriptions that share one stream."""

    __slots__ = ("_states",)

    def __init__(self, states: tuple[StreamState, ...]) -> None:
        self._states = states

    @property
    def touched(self) -> int:
        return self._states[0].touched

    @touched.setter
    def touched(self, ts_recv: int) -> None:
        for state in self._states:
            state.touched = ts_recv


class Stream:
    """One native stream and who wants it."""

    __slots__ = (
        "alone",
        "key",
        "older",
        "ready",
        "recent",
        "seq",
        "shift",
        "state",
        "states",
        "symbol",
        "table",
        "wants_mark",
        "wants_ticker",
    )

    def __init__(self, state: StreamState, table: Table, key: object) -> None:
        self.symbol = state.subscription.symbol
        self.table = table
        self.key = key
        self.ready = False
        self.seq = 0
        self.shift: int | None = None
        self.recent: set[str] = set()
        self.older: set[str] = set()
        self.hold((state,))

    def hold(self, states: tuple[StreamState, ...]) -> None:
        """Carry these subscriptions and no others."""
        self.states = states
        self.alone = len(states) == 1
        self.state = states[0] if self.alone else _SharedState(states)
        """What is told of data, for each of them."""
        channels = {state.subscription.channel for state in states}
        self.wants_ticker = "ticker" in channels
        self.wants_mark = "mark_price" in channels

    def forget(self) -> None:
        """Let go of the older half of the trade ids."""
        self.older, self.recent = self.recent, set()


Table: TypeAlias = dict[object, Stream]


class Streams:
    """The native streams by name, and by what their messages say of themselves."""

    def __init__(self) -> None:
        self.by_native: dict[str, Stream] = {}
        self.trades: Table = {}
        self.quotes: Table = {}
        self.tickers: Table = {}
        self.depths: Table = {}
        self.candles: dict[str, Table] = {}
        """By interval."""

    def add(self, native: str, state: StreamState) -> None:
        """Let a subscription share in a native stream."""
        stream = self.by_native.get(native)
        if stream is None:
            table, key = self._place(native, state.subscription)
            self.by_native[native] = table[key] = Stream(state, table, key)
        else:
            stream.hold((*stream.states, state))

    def remove(self, native: str, state: StreamState) -> bool:
        """Take a subscription out; True when nobody wants the native stream any more."""
        stream = self.by_native[native]
        rest = tuple(held for held in stream.states if held is not state)
        if rest:
            stream.hold(rest)
            return False
        del self.by_native[native]
        del stream.table[stream.key]
        return True

    def _place(self, native: str, subscription: Subscription) -> tuple[Table, object]:
        raw = native.partition("@")[0]
        match subscription.channel:
            case "trades":
                return self.trades, raw
            case "quotes":
                return self.quotes, raw
            case "book":
                return self.depths, (raw, depth_of(subscription))
            case "candles":
                return self.candles.setdefault(subscription.interval or "", {}), raw
            case _:
                return self.tickers, raw


def make_handlers(streams: Streams, chain: Chain, *, history: bool) -> dict[type, Handler]:
    """Return the handler of each kind of push."""
    return {
        TradePush: _trades(streams.trades),
        TradeHistory: _trade_history(streams.trades, history=history),
        TickerPush: _tickers(streams.tickers),
        KlinePush: _candles(streams.candles),
        KlineHistory: _candle_history(streams.candles, history=history),
        DepthChange: _changes(streams.depths),
        DepthImage: _images(streams.depths, _SHIFTS[chain]),
        BookTickerPush: _quotes(streams.quotes),
    }


def _fresh_trades(stream: Stream, rows: list[TradeRow], sent: int, ts_recv: int) -> list[Trade]:
    """Return a trade for each row whose id was not seen, by time, and remember the ids.

    Written as one loop: sets of ids, or rows first and trades later, took half as long again. Most messages are in
    order already, so that sorting each would be in vain.
    """
    symbol = stream.symbol
    recent, older = stream.recent, stream.older
    remember = recent.add
    trades: list[Trade] = []
    emit = trades.append
    newest = 0
    ordered = True
    for row in rows:
        id_ = row.id
        if id_ in recent or id_ in older:
            continue
        remember(id_)
        ts = row.ts
        if ts < newest:
            ordered = False
        newest = ts
        emit(
            Trade(
                VENUE,
                symbol,
                ts * _MS,
                sent,
                ts_recv,
                id_,
                row.price,
                row.size,
                "sell" if row.sold else "buy",
            )
        )
    if not ordered:
        trades.sort(key=_BY_TIME)
    if len(recent) >= _SEEN:
        stream.forget()
    return trades


def _trades(table: Table) -> Handler:
    def handle(push: TradePush, ts_recv: int) -> Sequence[Output]:
        try:
            stream = table[push.raw]
        except KeyError:
            return _NOTHING
        stream.state.touched = ts_recv
        rows = push.rows
        if len(rows) != 1:
            return _fresh_trades(stream, rows, push.sent * _MS, ts_recv)
        row = rows[0]
        id_ = row.id
        recent = stream.recent
        if id_ in recent or id_ in stream.older:
            return _NOTHING
        recent.add(id_)
        if len(recent) >= _SEEN:
            stream.forget()
        return (
            Trade(
                VENUE,
                stream.symbol,
                row.ts * _MS,
                push.sent * _MS,
                ts_recv,
                id_,
                row.price,
                row.size,
                "sell" if row.sold else "buy",
            ),
        )

    return handle


def _trade_history(table: Table, *, history: bool) -> Handler:
    def handle(push: TradeHistory, ts_recv: int) -> Sequence[Output]:
        try:
            stream = table[push.raw]
        except KeyError:
            return _NOTHING
        stream.state.touched = ts_recv
        first = not stream.ready
        stream.ready = True
        trades = _fresh_trades(stream, push.rows[::-1], push.sent * _MS, ts_recv)
        return _NOTHING if first and not history else trades

    return handle


def _tickers(table: Table) -> Handler:
    make_ticker = readers.ticker_event
    make_mark = readers.mark_price

    def handle(push: TickerPush, ts_recv: int) -> Sequence[Output]:
        try:
            stream = table[push.raw]
        except KeyError:
            return _NOTHING
        sent = push.sent * _MS
        symbol = stream.symbol
        rows = push.rows
        if len(rows) == 1 and stream.alone:
            event = (make_ticker if stream.wants_ticker else make_mark)(rows[0], symbol, sent, ts_recv)
            if event is None:
                return _NOTHING
            stream.state.touched = ts_recv
            return (event,)
        outputs: list[Output] = []
        marked = False
        for row in rows:
            if stream.wants_ticker:
                outputs.append(make_ticker(row, symbol, sent, ts_recv))
            mark = make_mark(row, symbol, sent, ts_recv) if stream.wants_mark else None
            if mark is not None:
                marked = True
                outputs.append(mark)
        for state in stream.states:
            if marked or state.subscription.channel != "mark_price":
                state.touched = ts_recv
        return outputs

    return handle


def _candles(tables: dict[str, Table]) -> Handler:
    def handle(push: KlinePush, ts_recv: int) -> Sequence[Output]:
        if push.kind != LAST_PRICE:
            return _NOTHING
        raw, sent, rows = push.raw, push.sent * _MS, push.rows
        if len(rows) != 1:
            return _each_candle(tables, rows, raw, sent, ts_recv)
        row = rows[0]
        interval = row.interval
        try:
            stream = tables[interval][raw]
        except KeyError:
            return _NOTHING
        start, end = row.start, row.end
        if end <= start:
            raise WireError(f"a candle from {start} to {end}", venue=VENUE)
        stream.state.touched = ts_recv
        return (
            Candle(
                VENUE,
                stream.symbol,
                0,
                sent,
                ts_recv,
                interval,
                start * _MS,
                end * _MS,
                row.open,
                row.high,
                row.low,
                row.close,
                row.volume,
                row.amount,
                row.trades,
                False,
            ),
        )

    return handle


def _each_candle(tables: dict[str, Table], rows: list[KlineRow], raw: str, sent: int, ts_recv: int) -> list[Output]:
    outputs: list[Output] = []
    for row in rows:
        stream = tables.get(row.interval, {}).get(raw)
        if stream is not None:
            outputs.append(readers.candle(row, stream.symbol, sent, ts_recv, False))
            stream.state.touched = ts_recv
    return outputs


def _candle_history(tables: dict[str, Table], *, history: bool) -> Handler:
    def handle(push: KlineHistory, ts_recv: int) -> Sequence[Output]:
        if not push.rows or push.kind != LAST_PRICE:
            return _NOTHING
        rows: list[KlineRow] = sorted(push.rows, key=readers.BY_START)
        newest = rows[-1]
        stream = tables.get(newest.interval, {}).get(push.raw)
        if stream is None:
            return _NOTHING
        shown = rows if history else [newest]
        sent = push.sent * _MS
        candles = [readers.candle(row, stream.symbol, sent, ts_recv, row.start < newest.start) for row in shown]
        stream.state.touched = ts_recv
        return candles

    return handle


def _changes(table: Table) -> Handler:
    def handle(push: DepthChange, ts_recv: int) -> Sequence[Output]:
        stream = table.get((push.raw, push.depth))
        if stream is None or not stream.ready:
            return _NOTHING
        first = push.first
        if push.last < first:
            raise WireError(f"a depth message from {first} back to {push.last}", venue=VENUE)
        shift = stream.shift
        if shift is None:
            # The first change after an image shows how changes chain. While it does not, U = L is taken to hold.
            shift = first - stream.seq
            if shift in (0, 1):
                stream.shift = shift
            else:
                shift = 0
        stream.state.touched = ts_recv
        return (
            DepthUpdate(
                VENUE,
                stream.symbol,
                0,
                push.sent * _MS,
                ts_recv,
                push.bids,
                push.asks,
                first,
                push.last,
                first - shift,
                False,
                push.depth,
            ),
        )

    return handle


def _images(table: Table, shift: int | None) -> Handler:
    def handle(push: DepthImage, ts_recv: int) -> Sequence[Output]:
        stream = table.get((push.raw, push.depth))
        if stream is None:
            return _NOTHING
        image = readers.update(push, stream.symbol, ts_recv, None)
        stream.ready = True
        stream.seq = push.last
        stream.shift = shift
        stream.state.touched = ts_recv
        return (image,)

    return handle


def _quotes(table: Table) -> Handler:
    def handle(push: BookTickerPush, ts_recv: int) -> Sequence[Output]:
        try:
            stream = table[push.raw]
        except KeyError:
            return _NOTHING
        stream.state.touched = ts_recv
        return (
            Quote(
                VENUE,
                stream.symbol,
                0,
                push.sent * _MS,
                ts_recv,
                push.bid,
                push.bid_size,
                push.ask,
                push.ask_size,
                push.seq,
            ),
        )

    return handle
