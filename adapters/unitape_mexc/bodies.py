"""From the body of a spot push to events: one reader per body, in a table by field number.

A reader gets what stays the same for a channel (``Route``), the times of the frame, and the body's bytes. Readers raise
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
from unitape_mexc import schema
from unitape_mexc.channels import INTERVALS
from unitape_mexc.protobuf import fast_depth, numbers
from unitape_schemas import Candle, Levels, Quote, Side, Ticker, TopBook, Trade

__all__ = ["BODY_READERS", "Route", "Times", "percent", "version"]

VENUE: Final = "mexc"
_LATEST: Final = 9_000_000_000
"""Unix seconds; what is later than the year 2255 is not a time."""
_VERSION_LIMIT: Final = 1 << 63
_SIDES: Final[Mapping[int, Side]] = {1: "buy", 2: "sell"}
_ROLLING: Final = "24H"


class Route(Struct, gc=False):
    """What a channel says about all of its frames."""

    channel: str
    raw: str
    """The venue's symbol; empty on channels of all symbols."""
    raw_bytes: bytes
    symbol: str
    """The unified one."""
    argument: str
    """What follows the symbol: levels, interval or time zone."""
    depth: int | None
    """Levels per side of a ``limit.depth`` channel."""
    symbol_of: Callable[[str], str]
    """Returns the unified symbol of a raw one."""
    unknown: dict[str, int]
    """Counts fields that the schema does not have, by ``Message.number``."""


Times: TypeAlias = tuple[int, int, int]
"""``ts_event``, ``ts_sent`` and ``ts_recv`` of a frame, nanoseconds."""

BodyReader: TypeAlias = Callable[[bytes, Route, Times], Sequence[Output]]


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


def _parse(number: int, body: bytes, route: Route) -> Any:
    message = schema.parse(schema.BODIES[number][1], body)
    message.DiscardUnknownFields()
    if message.ByteSize() != len(body):
        for name in schema.unknown_fields(schema.parse(schema.BODIES[number][1], body)):
            route.unknown[name] = route.unknown.get(name, 0) + 1
    return message


def _sides(asks: Sequence[Any], bids: Sequence[Any]) -> tuple[Levels, Levels]:
    texts: list[str] = []
    for level in asks:
        texts += (level.price, level.quantity)
    for level in bids:
        texts += (level.price, level.quantity)
    values = iter(numbers(texts))
    levels = tuple(zip(values, values, strict=True))
    return levels[: len(asks)], levels[len(asks) :]


def _depth_update(route: Route, at: Times, bids: Levels, asks: Levels, first: int, last: int) -> DepthUpdate:
    if first > last:
        raise ValueError(f"versions run backwards: {first} to {last}")
    return DepthUpdate(VENUE, route.symbol, *at, bids, asks, first, last, None)


def _aggre_depths(body: bytes, route: Route, at: Times) -> Sequence[Output]:
    found = fast_depth(313, body)
    if found is not None:
        asks, bids, first, last = found
    else:
        message = _parse(313, body, route)
        asks, bids = _sides(message.asks, message.bids)
        first, last = version(message.fromVersion), version(message.toVersion)
    return (_depth_update(route, at, bids, asks, first, last),)


def _limit_depths(body: bytes, route: Route, at: Times) -> Sequence[Output]:
    found = fast_depth(303, body)
    if found is not None:
        asks, bids, last, _ = found
    else:
        message = _parse(303, body, route)
        asks, bids = _sides(message.asks, message.bids)
        last = version(message.version)
    depth = route.depth
    if depth is None:
        raise ValueError(f"no depth in {route.channel}")
    return (TopBook(VENUE, route.symbol, *at, bids, asks, depth, last),)


def _increase(message: Any, route: Route, at: Times) -> DepthUpdate:
    asks, bids = _sides(message.asks, message.bids)
    only = version(message.version)
    return _depth_update(route, at, bids, asks, only, only)


def _increase_depths(body: bytes, route: Route, at: Times) -> Sequence[Output]:
    return (_increase(_parse(302, body, route), route, at),)


def _increase_batch(body: bytes, route: Route, at: Times) -> Sequence[Output]:
    return [_increase(item, route, at) for item in _parse(312, body, route).items]


def _aggre_deals(body: bytes, route: Route, at: Times) -> Sequence[Output]:
    return _trades(_parse(314, body, route).deals, route, at, with_id=True)


def _deals(body: bytes, route: Route, at: Times) -> Sequence[Output]:
    return _trades(_parse(301, body, route).deals, route, at, with_id=False)


def _trades(deals: Sequence[Any], route: Route, at: Times, *, with_id: bool) -> Sequence[Output]:
    texts: list[str] = []
    for deal in deals:
        texts += (deal.price, deal.quantity)
    values = iter(numbers(texts))
    symbol, (_, ts_sent, ts_recv) = route.symbol, at
    events: list[Output] = []
    for deal, price, size in zip(deals, values, values, strict=True):
        side = _SIDES.get(deal.tradeType)
        if side is None:
            raise ValueError(f"no side: {deal.tradeType}")
        number = deal.tradeId or None if with_id else None
        ts_event = deal.time * MILLISECOND
        if not 0 <= ts_event < _LATEST * SECOND:
            raise ValueError(f"not a time: {deal.time}")
        events.append(Trade(VENUE, symbol, ts_event, ts_sent, ts_recv, number, price, size, side))
    return events


def _quote(best: Any, route: Route, at: Times, seq: int | None) -> Output:
    texts = (best.bidPrice, best.bidQuantity, best.askPrice, best.askQuantity)
    if "" in texts:
        # A book with one side only; the contract's quote has both.
        return Unmapped("one-sided quote")
    bid, bid_size, ask, ask_size = numbers(texts)
    return Quote(VENUE, route.symbol, *at, bid, bid_size, ask, ask_size, seq)


def _aggre_book_ticker(body: bytes, route: Route, at: Times) -> Sequence[Output]:
    message = _parse(315, body, route)
    return (_quote(message, route, at, version(message.version) if message.version else None),)


def _book_ticker(body: bytes, route: Route, at: Times) -> Sequence[Output]:
    return (_quote(_parse(305, body, route), route, at, None),)


def _book_ticker_batch(body: bytes, route: Route, at: Times) -> Sequence[Output]:
    message = _parse(311, body, route)
    # The version is the batch's: it belongs to its newest item, the last.
    seqs: list[int | None] = [None] * len(message.items)
    if seqs and message.version:
        seqs[-1] = version(message.version)
    return [_quote(item, route, at, seq) for item, seq in zip(message.items, seqs, strict=True)]


def _kline(body: bytes, route: Route, at: Times) -> Sequence[Output]:
    row = _parse(308, body, route)
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


def _mini_ticker(body: bytes, route: Route, at: Times) -> Sequence[Output]:
    row = _parse(309, body, route)
    if row.symbol != route.raw:
        raise ValueError(f"a ticker of {row.symbol!r} on {route.channel}")
    return (_ticker(row, route.symbol, route, at),)


def _mini_tickers(body: bytes, route: Route, at: Times) -> Sequence[Output]:
    symbol_of = route.symbol_of
    rows = _parse(310, body, route).items
    if any(not row.symbol for row in rows):
        raise ValueError("a ticker without a symbol")
    return [_ticker(row, symbol_of(row.symbol), route, at) for row in rows]


def _private(number: int) -> BodyReader:
    name = schema.BODIES[number][0]

    def read(body: bytes, route: Route, at: Times) -> Sequence[Output]:
        _parse(number, body, route)
        return (Unmapped(name),)

    return read


BODY_READERS: Final[Mapping[int, BodyReader]] = {
    301: _deals,
    302: _increase_depths,
    303: _limit_depths,
    304: _private(304),
    305: _book_ticker,
    306: _private(306),
    307: _private(307),
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
