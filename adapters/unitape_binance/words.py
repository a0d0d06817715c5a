"""The venue's words for orders and ours, both ways, as tables.

From "ENUM Definitions" of binance-spot-api-docs (2026-07) and "Common Definition" of the USDⓈ-M futures (2026-10).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from unitape_schemas import MarginMode, OrderKind, OrderStatus, Side, TimeInForce

__all__ = [
    "ALGO_KINDS",
    "ALGO_STATUS",
    "CONDITIONAL_KINDS",
    "KIND_OF",
    "LIMIT_KINDS",
    "MARGIN_WORDS",
    "SIDES",
    "SIDE_OF",
    "SPOT_KINDS",
    "STATUS",
    "TIFS",
    "TIF_OF",
    "TRIGGERS",
]

SIDES: Final[Mapping[Side, str]] = {"buy": "BUY", "sell": "SELL"}
SIDE_OF: Final[Mapping[str, Side]] = {"BUY": "buy", "SELL": "sell"}

SPOT_KINDS: Final[Mapping[OrderKind, str]] = {
    "limit": "LIMIT",
    "market": "MARKET",
    "stop": "STOP_LOSS",
    "stop_limit": "STOP_LOSS_LIMIT",
    "take_profit": "TAKE_PROFIT",
    "take_profit_limit": "TAKE_PROFIT_LIMIT",
}
ALGO_KINDS: Final[Mapping[OrderKind, str]] = {
    "stop": "STOP_MARKET",
    "stop_limit": "STOP",
    "take_profit": "TAKE_PROFIT_MARKET",
    "take_profit_limit": "TAKE_PROFIT",
}
"""Conditional orders of USDⓈ-M, which has endpoints of their own for them."""

_SPOT_KIND_OF: Final[Mapping[str, OrderKind]] = {word: kind for kind, word in SPOT_KINDS.items()}
_ALGO_KIND_OF: Final[Mapping[str, OrderKind]] = {word: kind for kind, word in ALGO_KINDS.items()}
KIND_OF: Final[Mapping[str, Mapping[str, OrderKind]]] = {
    "spot": {**_SPOT_KIND_OF, "LIMIT_MAKER": "limit"},
    "usdm": {**_ALGO_KIND_OF, "LIMIT": "limit", "MARKET": "market"},
}
"""By market: ``TAKE_PROFIT`` ends in a market order on spot and in a limit order on USDⓈ-M.

Words that are not here, such as ``TRAILING_STOP_MARKET`` and ``LIQUIDATION``, are kinds that unitape has not.
"""

LIMIT_KINDS: Final[frozenset[OrderKind]] = frozenset({"limit", "stop_limit", "take_profit_limit"})
CONDITIONAL_KINDS: Final[frozenset[OrderKind]] = frozenset({"stop", "stop_limit", "take_profit", "take_profit_limit"})

TIFS: Final[Mapping[TimeInForce, str]] = {"gtc": "GTC", "ioc": "IOC", "fok": "FOK", "post_only": "GTX", "gtd": "GTD"}
"""Spot has the first three; post-only there is the order type ``LIMIT_MAKER``."""
TIF_OF: Final[Mapping[str, TimeInForce]] = {word: tif for tif, word in TIFS.items()}
"""``RPI`` is post-only for retail takers alone, which is none of ours."""

STATUS: Final[Mapping[str, OrderStatus]] = {
    "NEW": "open",
    "PENDING_NEW": "pending",
    "PARTIALLY_FILLED": "partially_filled",
    "FILLED": "filled",
    "CANCELED": "canceled",
    "PENDING_CANCEL": "open",
    "REJECTED": "rejected",
    "EXPIRED": "expired",
    "EXPIRED_IN_MATCH": "expired",
}
"""An order that expired with fills stays expired; its filled size says how much was done."""

ALGO_STATUS: Final[Mapping[str, OrderStatus]] = {
    "NEW": "open",
    "TRIGGERING": "open",
    "TRIGGERED": "open",
    "CANCELED": "canceled",
    "REJECTED": "rejected",
    "EXPIRED": "expired",
}
"""``FINISHED`` is decided by what was filled: see ``order_rows.algo_order``."""

TRIGGERS: Final[Mapping[str, str]] = {"last": "CONTRACT_PRICE", "mark": "MARK_PRICE"}
"""``workingType`` of USDⓈ-M; spot compares with the last price and has no choice."""

MARGIN_WORDS: Final[Mapping[MarginMode, str]] = {"cross": "CROSSED", "isolated": "ISOLATED"}
