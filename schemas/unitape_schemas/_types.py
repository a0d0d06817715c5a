"""The value types of the contract, each with its meaning and its bounds.

Bounds are checked whenever JSON or msgpack is decoded. Market numbers are ``float``: a decimal of up to 15
significant digits survives text -> float -> ``repr`` unchanged, so ``Decimal(repr(price))`` is the venue's number.
Amounts of your own account are ``Decimal``, written as strings in JSON.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Final, Literal, TypeAlias

from msgspec import Meta

NUMBER_LIMIT: Final = 1e18
"""Every number in the contract is below this in magnitude; larger ones are a wire error."""

Nanoseconds: TypeAlias = Annotated[int, Meta(ge=0, description="Nanoseconds since 1970-01-01 UTC.")]

Price: TypeAlias = Annotated[
    float, Meta(ge=0, lt=NUMBER_LIMIT, description="Price of one unit of the base, in the quote currency.")
]
Size: TypeAlias = Annotated[
    float, Meta(ge=0, lt=NUMBER_LIMIT, description="Amount in units of the base currency, never in contracts.")
]
QuoteAmount: TypeAlias = Annotated[
    float, Meta(ge=0, lt=NUMBER_LIMIT, description="Amount in units of the quote currency.")
]
SignedRate: TypeAlias = Annotated[
    float, Meta(gt=-NUMBER_LIMIT, lt=NUMBER_LIMIT, description="A fraction per interval: 0.0001 is 0.01 %.")
]
Percent: TypeAlias = Annotated[float, Meta(gt=-NUMBER_LIMIT, lt=NUMBER_LIMIT, description="Percent: 1.5 means 1.5 %.")]
Level: TypeAlias = tuple[Price, Size]
"""One price level: (price, size in base units). In a delta the size is absolute and 0 removes the level."""

Levels: TypeAlias = Annotated[
    tuple[Level, ...],
    Meta(description="(price, size) pairs, best price first; in a delta sizes are absolute and 0 removes the level."),
]
Sequence: TypeAlias = Annotated[int, Meta(description="An update number of the venue's own sequence.")]

Side: TypeAlias = Literal["buy", "sell"]

Interval: TypeAlias = Literal[
    "1s", "1m", "3m", "5m", "15m", "30m", "1h", "2h", "4h", "6h", "8h", "12h", "1d", "3d", "1w", "1M"
]

Channel: TypeAlias = Literal[
    "trades",
    "quotes",
    "book",
    "top",
    "ticker",
    "candles",
    "mark_price",
    "funding",
    "open_interest",
    "liquidations",
    "orders",
    "fills",
    "balances",
    "positions",
]

OrderStatus: TypeAlias = Literal[
    "pending", "open", "partially_filled", "filled", "canceled", "rejected", "expired", "unknown"
]
OrderKind: TypeAlias = Literal["limit", "market", "stop", "stop_limit", "take_profit", "take_profit_limit"]
TimeInForce: TypeAlias = Literal["gtc", "ioc", "fok", "post_only", "gtd"]
Origin: TypeAlias = Literal["stream", "answer", "query", "reconciled"]
Liquidity: TypeAlias = Literal["maker", "taker"]
PositionSide: TypeAlias = Literal["long", "short"]
MarginMode: TypeAlias = Literal["cross", "isolated"]
InstrumentKind: TypeAlias = Literal["spot", "linear", "inverse", "dated", "other"]
InstrumentStatus: TypeAlias = Literal["trading", "halted", "pending", "closed"]

StatusCode: TypeAlias = Literal[
    "connected",
    "disconnected",
    "subscribed",
    "unsubscribed",
    "rejected",
    "stale",
    "gap",
    "resynced",
    "rotated",
    "dropped",
    "conflated",
    "duplicate",
    "undecoded",
    "unknown_symbol",
    "rate_limited",
    "halted",
    "recovered",
]

Amount: TypeAlias = Annotated[Decimal, Meta(description="An exact decimal; a string in JSON.")]
