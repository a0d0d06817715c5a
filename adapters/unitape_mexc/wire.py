"""The futures messages as the wire has them. Unknown fields are ignored; numbers may be written as text."""

from __future__ import annotations

from typing import Annotated, Generic, TypeAlias, TypeVar

import msgspec
from msgspec import Meta, Struct

from unitape.spi import WireMillis, WireNumber, WireSigned

__all__ = [
    "Commit",
    "Contracts",
    "Deal",
    "DepthData",
    "DepthImage",
    "FundingData",
    "KlineData",
    "LooseDepthData",
    "PriceData",
    "Push",
    "Reply",
    "TickerData",
    "WholeContracts",
]

T = TypeVar("T")

WholeContracts: TypeAlias = Annotated[int, Meta(ge=0, lt=10**11)]
"""Contracts of one level. With contract sizes below 10**7 no size reaches 1e18."""
Contracts: TypeAlias = WireNumber
"""Contracts, perhaps not whole."""
_Version: TypeAlias = Annotated[int, Meta(ge=0, le=(1 << 63) - 1)]
_Seconds: TypeAlias = Annotated[int, Meta(ge=0, lt=9_000_000_000)]
_Levels: TypeAlias = tuple[tuple[WireNumber, WholeContracts, int], ...]
_LooseLevels: TypeAlias = tuple[Annotated[tuple[WireNumber, ...], Meta(min_length=2, max_length=3)], ...]


class Push(Struct, Generic[T], gc=False):
    """A push of public data."""

    channel: str
    data: T
    symbol: str = ""
    ts: WireMillis = 0


class Reply(Struct, gc=False):
    """Any message that is not a push of public data."""

    channel: str
    data: msgspec.Raw = msgspec.Raw()
    param: dict[str, str | int | float | bool | None] = {}


class Deal(Struct, gc=False):
    """One trade: price, contracts, taker's side (1 buy, 2 sell), time, id."""

    p: WireNumber
    v: Contracts
    T: Annotated[int, Meta(ge=1, le=2)]
    t: WireMillis
    i: str | int | None = None


class DepthData(Struct, gc=False):
    """A change or an image of a book: levels are price, contracts, number of orders."""

    asks: _Levels
    bids: _Levels
    version: _Version
    begin: _Version | None = None
    end: _Version | None = None
    cts: WireMillis | None = None
    ct: WireMillis | None = None


class LooseDepthData(Struct, gc=False):
    """The same with levels of two elements, or with parts of contracts."""

    asks: _LooseLevels
    bids: _LooseLevels
    version: _Version
    begin: _Version | None = None
    end: _Version | None = None
    cts: WireMillis | None = None
    ct: WireMillis | None = None


class DepthImage(Struct, gc=False):
    """The answer of ``contract/depth``."""

    asks: _LooseLevels
    bids: _LooseLevels
    version: _Version
    timestamp: WireMillis = 0


class Commit(Struct, gc=False):
    """One increment of ``contract/depth_commits``."""

    asks: _LooseLevels
    bids: _LooseLevels
    version: _Version


class TickerData(
    Struct,
    gc=False,
    rename={
        "last": "lastPrice",
        "bid": "bid1",
        "ask": "ask1",
        "high": "high24Price",
        "low": "lower24Price",
        "change": "riseFallRate",
        "held": "holdVol",
    },
):
    """A ticker, of one contract or in the list of all."""

    symbol: str
    last: WireNumber | None = None
    bid: WireNumber | None = None
    ask: WireNumber | None = None
    volume24: Contracts | None = None
    amount24: WireNumber | None = None
    high: WireNumber | None = None
    low: WireNumber | None = None
    change: WireSigned | None = None
    held: Contracts | None = None
    timestamp: WireMillis = 0


class KlineData(Struct, gc=False, rename={"start": "t", "open": "o", "high": "h", "low": "l", "close": "c"}):
    """A candle. ``start`` is in seconds, ``q`` contracts, ``a`` quote turnover."""

    symbol: str
    interval: str
    start: _Seconds
    open: WireNumber
    high: WireNumber
    low: WireNumber
    close: WireNumber
    q: Contracts
    a: WireNumber | None = None


class FundingData(Struct, gc=False, rename={"next_settle": "nextSettleTime", "named_rate": "fundingRate"}):
    """A funding rate. The wire calls it ``rate``, the venue's table ``fundingRate``."""

    symbol: str
    rate: WireSigned | None = None
    named_rate: WireSigned | None = None
    next_settle: WireMillis | None = None


class PriceData(Struct, gc=False):
    """An index or a fair price."""

    symbol: str
    price: WireNumber
