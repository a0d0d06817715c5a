"""From the body of a spot push to events: one reader per body, in a table by field number.

A reader gets the body as upb parsed it, what stays the same for a channel (``Route``), and the times. Readers raise
``ValueError`` (msgspec's errors are such) for anything that is not a value of the contract.

``createTime`` is when the venue made the message and stands for ``ts_event``; ``sendTime`` is ``ts_sent``. Trades have
a time of their own. ``lastOrderCreateTime`` is the age of an order, not of the message, and stays out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final, TypeAlias

from msgspec import Struct

from unitape.spi import MILLISECOND, SECOND, DepthUpdate, Output, Unmapped
from unitape_mexc.channels import INTERVALS
from unitape_mexc.protobuf import Depth, numbers
from unitape_schemas import Candle, Levels, Quote, Side, Ticker, TopBook, Trade

__all__ = ["BODY_READERS", "Route", "Times", "depth_event", "percent", "version"]

VENUE: Final = "mexc"
_LATEST: Final = 9_000_000_000
_LATEST_MS: Final = _LATEST * 1000
"""Unix seconds; what is later than the year 2255 is not a time."""
_VERSION_LIMIT: Final = 1 << 63
_SIDES: Final[Mapping[int, Side]] = {1: "buy", 2: "sell"}
_ROLLING: Final = "24H"


class Route(Struct, gc=False):
    """What a channel says about all of its frames."""

    channel: str
    raw: str
    """The venue's symbol; empty on channels of all symbols."""
    symbol: str
    """The unified one."""
    argument: str
    """What follows the symbol: levels, interval or time zone."""
    depth: int | None
    """Levels per side of a ``limit.depth`` channel."""
    symbol_of: Callable[[str], str]
    """Returns the unified symbol of a raw one."""
    fast: int
    """The body that ``fast_push`` may read on this channel; 0: upb reads it."""
    prefix: bytes
    """How its plain pushes begin."""


Times: TypeAlias = tuple[int, int, int]
"""``ts_event``, ``ts_sent`` and ``ts_recv`` of a frame, nanoseconds."""

BodyReader: TypeAlias = Callable[[Any, Route, Times], Sequence[Output]]


def percent(fraction: str) -> float:
    """Return a fraction in percent, correctly rounded: ``percent("0.0007")`` is 0.07.

    Raises:
        ValueError: it is not a finite number below 1e18.
    """
    try:
        value = Decimal(fraction).scaleb(2)
    except ArithmeticError:
        raise ValueError(f"not a number: {fraction!r}") from None
    if not value.is_finite() or abs(value) >= 10**18 or "_" in fraction:
        raise ValueError(f"out of bounds: {fraction!r}")
    return float(value)


def version(text: str) -> int:
    """Return a version number.

    Raises:
        ValueError: it is not one.
    """
    if not (text.isascii() and text.isdigit()) or len(text) > 19 or (value := int(text)) >= _VERSION_LIMIT:
        raise ValueError(f"not a version: {text!r}")
    return value


def _moment(value: int, unit: int) -> int:
    ns = value * unit
    if not 0 <= ns < _LATEST * SECOND:
        raise ValueError(f"not a time: {value}")
    return ns


def _sides(asks: Sequence[Any], bids: Sequence[Any]) -> tuple[Levels, Levels]:
    texts = [text for level in asks for text in (level.price, level.quantity)]
    texts += [text for level in bids for text in (level.price, level.quantity)]
    values = iter(numbers(texts))
    levels = tuple(zip(values, values, strict=True))
    return levels[: len(asks)], levels[len(asks) :]


def depth_event(number: int, found: Depth, route: Route, at: Times) -> Sequence[Output]:
    """Return the event of an ``aggre.depth`` (313) or ``limit.depth`` (303) body."""
    asks, bids, first, last = found
    if number == 313:
        if first > last:
            raise ValueError(f"versions run backwards: {first} to {last}")
        ts_event, ts_sent, ts_recv = at
        return (DepthUpdate(VENUE, route.symbol, ts_event, ts_sent, ts_recv, bids, asks, first, last, None),)
    if route.depth is None:
        raise ValueError(f"no depth in {route.channel}")
    return (TopBook(VENUE, route.symbol, *at, bids, asks, route.depth, last),)


def _aggre_depths(body: Any, route: Route, at: Times) -> Sequence[Output]:
    asks, bids = _sides(body.asks, body.bids)
    return depth_event(313, (asks, bids, version(body.fromVersion), version(body.toVersion)), route, at)


def _limit_depths(body: Any, route: Route, at: Times) -> Sequence[Output]:
    asks, bids = _sides(body.asks, body.bids)
    last = version(body.version)
    return depth_event(303, (asks, bids, last, last), route, at)


def _increase(message: Any, route: Route, at: Times) -> DepthUpdate:
    asks, bids = _sides(message.asks, message.bids)
    only = version(message.version)
    return DepthUpdate(VENUE, route.symbol, *at, bids, asks, only, only, None)


def _increase_depths(body: Any, route: Route, at: Times) -> Sequence[Output]:
    return (_increase(body, route, at),)


def _increase_batch(body: Any, route: Route, at: Times) -> Sequence[Output]:
    return [_increase(item, route, at) for item in body.items]


def _aggre_deals(body: Any, route: Route, at: Times) -> Sequence[Output]:
    return _trades(body.deals, route, at, with_id=True)


def _deals(body: Any, route: Route, at: Times) -> Sequence[Output]:
    return _trades(body.deals, route, at, with_id=False)


def _trades(deals: Sequence[Any], route: Route, at: Times, *, with_id: bool) -> Sequence[Output]:
    rows = list(deals)
    texts = [row.price for row in rows]
    texts += [row.quantity for row in rows]
    values = numbers(texts)
    symbol, (_, ts_sent, ts_recv) = route.symbol, at
    trades: list[Output] = []
    for row, price, size in zip(rows, values, values[len(rows) :], strict=False):
        time = row.time
        side = _SIDES.get(row.tradeType)
        if side is None or not 0 <= time < _LATEST_MS:
            raise ValueError(f"not a trade: side {row.tradeType} at {time}")
        name = (row.tradeId or None) if with_id else None
        trades.append(Trade(VENUE, symbol, time * MILLISECOND, ts_sent, ts_recv, name, price, size, side))
    return trades


def _quote(best: Any, route: Route, at: Times, seq: int | None) -> Output:
    texts = (best.bidPrice, best.bidQuantity, best.askPrice, best.askQuantity)
    if "" in texts:
        # A book with one side only; the contract's quote has both.
        return Unmapped("one-sided quote")
    bid, bid_size, ask, ask_size = numbers(texts)
    return Quote(VENUE, route.symbol, *at, bid, bid_size, ask, ask_size, seq)


def _aggre_book_ticker(body: Any, route: Route, at: Times) -> Sequence[Output]:
    seq = body.version
    return (_quote(body, route, at, version(seq) if seq else None),)


def _book_ticker(body: Any, route: Route, at: Times) -> Sequence[Output]:
    return (_quote(body, route, at, None),)


def _book_ticker_batch(body: Any, route: Route, at: Times) -> Sequence[Output]:
    # The version is the batch's: it belongs to its newest item, the last.
    seqs: list[int | None] = [None] * len(body.items)
    if seqs and body.version:
        seqs[-1] = version(body.version)
    return [_quote(item, route, at, seq) for item, seq in zip(body.items, seqs, strict=True)]


def _kline(body: Any, route: Route, at: Times) -> Sequence[Output]:
    row = body
    interval = INTERVALS.get(row.interval)
    if interval is None:
        raise ValueError(f"no such interval: {row.interval!r}")
    opened, closed = _moment(row.windowStart, SECOND), _moment(row.windowEnd, SECOND)
    if closed <= opened:
        raise ValueError("a candle that ends before it begins")
    prices = (row.openingPrice, row.highestPrice, row.lowestPrice, row.closingPrice)
    start, high, low, last, volume, amount = numbers((*prices, row.volume, row.amount))
    return (
        Candle(
            VENUE,
            route.symbol,
            *at,
            interval,
            opened,
            closed,
            start,
            high,
            low,
            last,
            volume,
            amount,
            None,
            False,
        ),
    )


def _optional(text: str) -> float | None:
    return numbers((text,))[0] if text else None


def _ticker(row: Any, symbol: str, route: Route, at: Times) -> Ticker:
    # Of another time zone than 24H, the rate counts from that zone's midnight: not what the contract means.
    rolling = route.argument == _ROLLING
    return Ticker(
        VENUE,
        symbol,
        *at,
        _optional(row.price),
        None,
        _optional(row.high),
        _optional(row.low),
        _optional(row.quantity),
        _optional(row.volume),
        percent(row.zonedRate) if rolling and row.zonedRate else None,
        None,
        None,
        None,
        None,
    )


def _mini_ticker(body: Any, route: Route, at: Times) -> Sequence[Output]:
    row = body
    if row.symbol != route.raw:
        raise ValueError(f"a ticker of {row.symbol!r} on {route.channel}")
    return (_ticker(row, route.symbol, route, at),)


def _mini_tickers(body: Any, route: Route, at: Times) -> Sequence[Output]:
    symbol_of = route.symbol_of
    rows = body.items
    if any(not row.symbol for row in rows):
        raise ValueError("a ticker without a symbol")
    return [_ticker(row, symbol_of(row.symbol), route, at) for row in rows]


def _private(name: str) -> BodyReader:
    return lambda body, route, at: (Unmapped(name),)


BODY_READERS: Final[Mapping[int, BodyReader]] = {
    301: _deals,
    302: _increase_depths,
    303: _limit_depths,
    304: _private("privateOrders"),
    305: _book_ticker,
    306: _private("privateDeals"),
    307: _private("privateAccount"),
    308: _kline,
    309: _mini_ticker,
    310: _mini_tickers,
    311: _book_ticker_batch,
    312: _increase_batch,
    313: _aggre_depths,
    314: _aggre_deals,
    315: _aggre_book_ticker,
}
"""Body number -> reader. Private bodies are parsed and counted: public connections never carry them."""
