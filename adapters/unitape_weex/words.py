"""The venue's words for orders and ours, both ways, as tables.

From "Order" and "Trigger order" of API documentation V3 (2026-07) and what was seen of its answers. Words are compared
in upper case: the venue is not consistent.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from unitape_schemas import MarginMode, OrderKind, OrderStatus, PositionSide, Side, TimeInForce

__all__ = [
    "ALGO_KINDS",
    "CANCELED",
    "KIND_OF",
    "LIMIT_KINDS",
    "MARGIN_WORDS",
    "PLAIN_KINDS",
    "PLANS",
    "POSITION_MEANT",
    "POSITION_SIDES",
    "POSITION_SIDE_OF",
    "SIDES",
    "SIDE_OF",
    "STATUS",
    "TIFS",
    "TIF_OF",
    "TRIGGERS",
    "TRIGGER_KINDS",
]

SIDES: Final[Mapping[Side, str]] = {"buy": "BUY", "sell": "SELL"}
SIDE_OF: Final[Mapping[str, Side]] = {"BUY": "buy", "SELL": "sell"}

POSITION_SIDES: Final[Mapping[PositionSide, str]] = {"long": "LONG", "short": "SHORT"}
POSITION_SIDE_OF: Final[Mapping[str, PositionSide]] = {"LONG": "long", "SHORT": "short"}

POSITION_MEANT: Final[Mapping[tuple[Side, bool], PositionSide]] = {
    ("buy", False): "long",
    ("sell", False): "short",
    ("sell", True): "long",
    ("buy", True): "short",
}
"""(side, closes): the position. Contracts know "reduce only" in no other way than by this table."""

PLAIN_KINDS: Final[Mapping[OrderKind, str]] = {"limit": "LIMIT", "market": "MARKET"}
ALGO_KINDS: Final[Mapping[OrderKind, str]] = {
    "stop": "STOP_MARKET",
    "stop_limit": "STOP",
    "take_profit": "TAKE_PROFIT_MARKET",
    "take_profit_limit": "TAKE_PROFIT",
}
"""Orders that wait for a trigger; contracts have endpoints of their own for them, spot has none."""

KIND_OF: Final[Mapping[str, OrderKind]] = {word: kind for kind, word in (*PLAIN_KINDS.items(), *ALGO_KINDS.items())}
"""A word that is not here, such as ``TRAILING_STOP_MARKET``, is a kind that unitape has not."""

LIMIT_KINDS: Final[frozenset[OrderKind]] = frozenset({"limit", "stop_limit", "take_profit_limit"})
TRIGGER_KINDS: Final[frozenset[OrderKind]] = frozenset(ALGO_KINDS)

PLANS: Final[Mapping[OrderKind, str]] = {
    "stop": "STOP_LOSS",
    "stop_limit": "STOP_LOSS",
    "take_profit": "TAKE_PROFIT",
    "take_profit_limit": "TAKE_PROFIT",
}
"""``planType`` of orders that close a position when a trigger strikes."""

TIFS: Final[Mapping[TimeInForce, str]] = {"gtc": "GTC", "ioc": "IOC", "fok": "FOK", "post_only": "POST_ONLY"}
TIF_OF: Final[Mapping[str, TimeInForce]] = {word: tif for tif, word in TIFS.items()}

STATUS: Final[Mapping[str, OrderStatus]] = {
    "NEW": "open",
    "PENDING": "open",
    "UNTRIGGERED": "open",
    "CANCELING": "open",
    "PARTIALLY_FILLED": "partially_filled",
    "PARTIAL_FILL": "partially_filled",
    "FILLED": "filled",
    "FULL_FILL": "filled",
    "CANCELED": "canceled",
    "CANCELLED": "canceled",
    "EXPIRED": "expired",
    "REJECTED": "rejected",
}
"""Open orders with fills are partially filled: contracts have no word of their own for it.

``TRIGGERED`` is not here: the conditional order is over, and what came of it is another order, which the history has.
No word of ours says so; it is ``unknown`` with the venue's word beside it.
"""

CANCELED: Final = frozenset({"CANCELED", "CANCELLED", "CANCELING"})
"""What the answer to a cancel calls an order that is canceled or about to be."""

TRIGGERS: Final[Mapping[str, str]] = {"last": "CONTRACT_PRICE", "mark": "MARK_PRICE"}

MARGIN_WORDS: Final[Mapping[MarginMode, str]] = {"cross": "CROSSED", "isolated": "ISOLATED"}
