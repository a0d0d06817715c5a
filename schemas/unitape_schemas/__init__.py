"""The contract of unitape: every event, order and instrument, whatever the venue.

``Event`` is the closed union of everything a stream can yield. Match on it and end with ``assert_never``.
"""

from __future__ import annotations

from typing import Final, TypeAlias, get_args

from unitape_schemas._types import (
    NUMBER_LIMIT,
    Amount,
    Channel,
    InstrumentKind,
    InstrumentStatus,
    Interval,
    Level,
    Levels,
    Liquidity,
    MarginMode,
    Nanoseconds,
    OrderKind,
    OrderStatus,
    Origin,
    Percent,
    PositionSide,
    Price,
    QuoteAmount,
    Sequence,
    Side,
    SignedRate,
    Size,
    StatusCode,
    TimeInForce,
)
from unitape_schemas.events import (
    BookDelta,
    BookSnapshot,
    Candle,
    EventHead,
    Funding,
    Liquidation,
    MarkPrice,
    OpenInterest,
    Quote,
    Status,
    Ticker,
    TopBook,
    Trade,
)
from unitape_schemas.instruments import Instrument
from unitape_schemas.subscriptions import ALL_SYMBOLS, Subscription
from unitape_schemas.trading import Balance, Fill, Order, Position

SCHEMA_VERSION: Final = 1
"""Grows when a field or an event is added; a change of meaning starts a new major release of the library."""

MarketEvent: TypeAlias = (
    Trade
    | Quote
    | BookSnapshot
    | BookDelta
    | TopBook
    | Ticker
    | Candle
    | MarkPrice
    | Funding
    | OpenInterest
    | Liquidation
)
AccountEvent: TypeAlias = Order | Fill | Balance | Position
Event: TypeAlias = MarketEvent | AccountEvent | Status

EVENT_TYPES: Final[tuple[type[Event], ...]] = get_args(Event)
"""The classes of the union, for tables and tests."""

INTERVALS: Final[tuple[Interval, ...]] = get_args(Interval)
CHANNELS: Final[tuple[Channel, ...]] = get_args(Channel)
STATUS_CODES: Final[tuple[StatusCode, ...]] = get_args(StatusCode)

__all__ = [
    "ALL_SYMBOLS",
    "CHANNELS",
    "EVENT_TYPES",
    "INTERVALS",
    "NUMBER_LIMIT",
    "SCHEMA_VERSION",
    "STATUS_CODES",
    "AccountEvent",
    "Amount",
    "Balance",
    "BookDelta",
    "BookSnapshot",
    "Candle",
    "Channel",
    "Event",
    "EventHead",
    "Fill",
    "Funding",
    "Instrument",
    "InstrumentKind",
    "InstrumentStatus",
    "Interval",
    "Level",
    "Levels",
    "Liquidation",
    "Liquidity",
    "MarginMode",
    "MarkPrice",
    "MarketEvent",
    "Nanoseconds",
    "OpenInterest",
    "Order",
    "OrderKind",
    "OrderStatus",
    "Origin",
    "Percent",
    "Position",
    "PositionSide",
    "Price",
    "Quote",
    "QuoteAmount",
    "Sequence",
    "Side",
    "SignedRate",
    "Size",
    "Status",
    "StatusCode",
    "Subscription",
    "Ticker",
    "TimeInForce",
    "TopBook",
    "Trade",
]
