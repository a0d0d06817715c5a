"""The stream payloads as they stand on the wire, under readable names. Unknown fields are ignored.

From "WebSocket Streams" of binance-spot-api-docs (2026-07) and the stream pages of the USDⓈ-M futures (2026-10).
Symbols are read only where the stream's name does not already say them.
"""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from msgspec import Meta, Struct

from unitape.spi import WireLevels, WireMillis, WireNumber, WireSigned
from unitape_schemas import Interval

__all__ = [
    "AggTrade",
    "BookTicker",
    "BookTickerRow",
    "Count",
    "Depth",
    "DepthDiff",
    "Family",
    "ForceOrder",
    "ForceOrderBody",
    "ForceOrderRow",
    "ForceOrderRowBody",
    "FundingOnly",
    "Kline",
    "KlineBody",
    "MarkOnly",
    "MarkPriceUpdate",
    "MiniTicker",
    "OpenInterestBody",
    "PartialDepth",
    "SpotTicker",
    "Statistics",
    "TimedBookTicker",
    "TradeRow",
    "UsdmTicker",
    "UsdmTickerRow",
    "UsdmTrade",
]

Count: TypeAlias = Annotated[int, Meta(ge=0, le=2**63 - 1)]
"""An id or update number."""

Family: TypeAlias = int
"""``st``: 1 is USDⓈ-M, 2 is COIN-M. All-market streams carry both; frames before 2026-06 carry none and mean 1."""


class TradeRow(Struct, gc=False, rename={"id": "t", "price": "p", "size": "q", "ts": "T", "sent": "E", "sold": "m"}):
    """Spot ``<s>@trade``. ``sold``: the buyer was the maker, so the taker sold."""

    id: Count
    price: WireNumber
    size: WireNumber
    ts: WireMillis
    sent: WireMillis
    sold: bool


class UsdmTrade(TradeRow, gc=False, rename={"cause": "X"}):
    """USDⓈ-M ``<s>@trade``, not documented. ``cause`` is ``MARKET`` for trades of the book; absent before 2020."""

    cause: str = "MARKET"


class AggTrade(
    Struct,
    gc=False,
    rename={"id": "a", "price": "p", "size": "q", "ts": "T", "sent": "E", "sold": "m"},
):
    """``<s>@aggTrade``: what one taker order filled at one price. Recordings of 2019 lack the id."""

    price: WireNumber
    size: WireNumber
    ts: WireMillis
    sent: WireMillis
    sold: bool
    id: Count | None = None


class BookTicker(Struct, gc=False, rename={"seq": "u", "bid": "b", "bid_size": "B", "ask": "a", "ask_size": "A"}):
    """Spot ``<s>@bookTicker``: no event type and no time."""

    seq: Count
    bid: WireNumber
    bid_size: WireNumber
    ask: WireNumber
    ask_size: WireNumber


class TimedBookTicker(BookTicker, gc=False, rename={"ts": "T", "sent": "E"}):
    """USDⓈ-M ``<s>@bookTicker``."""

    ts: WireMillis
    sent: WireMillis


class BookTickerRow(TimedBookTicker, gc=False, rename={"raw": "s", "family": "st"}):
    """``!bookTicker``."""

    raw: str
    family: Family = 1


class Depth(Struct, gc=False, rename={"first": "U", "last": "u", "bids": "b", "asks": "a", "sent": "E"}):
    """Spot ``<s>@depth``."""

    first: Count
    last: Count
    bids: WireLevels
    asks: WireLevels
    sent: WireMillis


class DepthDiff(Depth, gc=False, rename={"previous": "pu", "ts": "T"}):
    """USDⓈ-M ``<s>@depth`` and ``<s>@depth<n>``, which look the same and mean different things."""

    previous: int
    ts: WireMillis


class PartialDepth(Struct, gc=False, rename={"last": "lastUpdateId", "sent": "E", "ts": "T"}):
    """Spot ``<s>@depth<n>``, and the body of ``GET …/depth`` of both markets. Only the futures body has times."""

    last: Count
    bids: WireLevels
    asks: WireLevels
    sent: WireMillis = 0
    ts: WireMillis = 0


class Statistics(
    Struct,
    gc=False,
    rename={
        "last": "c",
        "open": "o",
        "high": "h",
        "low": "l",
        "volume": "v",
        "quote_volume": "q",
        "sent": "E",
    },
):
    """What every rolling 24 h ticker has."""

    last: WireNumber
    open: WireNumber
    high: WireNumber
    low: WireNumber
    volume: WireNumber
    quote_volume: WireNumber
    sent: WireMillis


class MiniTicker(Statistics, gc=False, rename={"raw": "s", "family": "st"}):
    """``<s>@miniTicker`` and ``!miniTicker@arr``."""

    raw: str
    family: Family = 1


class UsdmTicker(Statistics, gc=False, rename={"change": "P", "ts": "C"}):
    """USDⓈ-M ``<s>@ticker``: no best bid and ask."""

    change: WireSigned
    ts: WireMillis


class UsdmTickerRow(UsdmTicker, gc=False, rename={"raw": "s", "family": "st"}):
    """``!ticker@arr``."""

    raw: str
    family: Family = 1


class SpotTicker(UsdmTicker, gc=False, rename={"bid": "b", "bid_size": "B", "ask": "a", "ask_size": "A"}):
    """Spot ``<s>@ticker``."""

    bid: WireNumber
    bid_size: WireNumber
    ask: WireNumber
    ask_size: WireNumber


class KlineBody(
    Struct,
    gc=False,
    rename={
        "start": "t",
        "end": "T",
        "interval": "i",
        "open": "o",
        "high": "h",
        "low": "l",
        "close": "c",
        "volume": "v",
        "quote_volume": "q",
        "trades": "n",
        "closed": "x",
    },
):
    """The ``k`` object. ``end`` is inclusive: the last millisecond of the candle."""

    start: WireMillis
    end: WireMillis
    interval: Interval
    open: WireNumber
    high: WireNumber
    low: WireNumber
    close: WireNumber
    volume: WireNumber
    quote_volume: WireNumber
    trades: Count
    closed: bool


class Kline(Struct, gc=False, rename={"candle": "k", "sent": "E"}):
    """``<s>@kline_<i>``."""

    candle: KlineBody
    sent: WireMillis


class MarkOnly(Struct, gc=False, rename={"mark": "p", "sent": "E", "index": "i"}):
    """The part of ``<s>@markPrice@1s`` that ``mark_price`` needs. 2019 had no index."""

    mark: WireNumber
    sent: WireMillis
    index: WireNumber | None = None


class FundingOnly(Struct, gc=False, rename={"sent": "E", "rate": "r", "next": "T"}):
    """The part that ``funding`` needs. ``rate`` may be empty and ``next`` 0 where there is no funding."""

    sent: WireMillis
    rate: WireSigned | Literal[""]
    next: WireMillis


class MarkPriceUpdate(
    Struct,
    gc=False,
    rename={"mark": "p", "sent": "E", "index": "i", "rate": "r", "next": "T", "raw": "s", "family": "st"},
):
    """A row of ``!markPrice@arr@1s``, or all of ``<s>@markPrice@1s``.

    ``index`` takes an empty string too: one contract without an index must not cost the whole all-market frame.
    """

    mark: WireNumber
    sent: WireMillis
    rate: WireSigned | Literal[""]
    next: WireMillis
    raw: str
    index: WireNumber | Literal[""] | None = None
    family: Family = 1


class ForceOrderBody(Struct, gc=False, rename={"side": "S", "size": "q", "price": "p", "average": "ap", "ts": "T"}):
    """The ``o`` object. ``average`` is the fill price; ``price`` a limit at the bankruptcy price."""

    side: Literal["BUY", "SELL"]
    size: WireNumber
    price: WireNumber
    average: WireNumber
    ts: WireMillis


class ForceOrderRowBody(ForceOrderBody, gc=False, rename={"raw": "s"}):
    """The ``o`` object with its symbol."""

    raw: str


class ForceOrder(Struct, gc=False, rename={"order": "o", "sent": "E"}):
    """``<s>@forceOrder``."""

    order: ForceOrderBody
    sent: WireMillis


class ForceOrderRow(Struct, gc=False, rename={"order": "o", "sent": "E", "family": "st"}):
    """``!forceOrder@arr``."""

    order: ForceOrderRowBody
    sent: WireMillis
    family: Family = 1


class OpenInterestBody(Struct, gc=False, rename={"size": "openInterest", "raw": "symbol", "ts": "time"}):
    """``GET /fapi/v1/openInterest``: base units."""

    size: WireNumber
    raw: str
    ts: WireMillis = 0
