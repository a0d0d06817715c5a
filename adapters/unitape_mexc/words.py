"""The venue's words and numbers for orders and ours, both ways, as tables.

From "Public API Definitions" of MEXC Spot V3 and "Enumeration" of MEXC Contract V1; 2026-11.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from unitape.spi import PositionMode, TriggerBy
from unitape_schemas import MarginMode, OrderKind, OrderStatus, PositionSide, Side, TimeInForce

__all__ = [
    "CONDITIONAL_KINDS",
    "FUTURES_STATUS_OF",
    "FUTURES_TIF_OF",
    "FUTURES_TYPES",
    "HEDGE_SIDES",
    "LIMIT_KINDS",
    "MARGIN_CODES",
    "MARGIN_OF",
    "MARKET_TYPES",
    "ONE_WAY_SIDES",
    "ORDER_REASONS",
    "PLAN_CYCLES",
    "PLAN_KINDS",
    "PLAN_STATUS_OF",
    "POSITION_CODES",
    "POSITION_MODES",
    "POSITION_MODE_OF",
    "POSITION_OF",
    "POSITION_OF_SIDE",
    "REDUCING",
    "SIDE_OF",
    "SIDE_OF_CODE",
    "SIDE_WORDS",
    "SPOT_FINAL",
    "SPOT_PUSH_SIDES",
    "SPOT_PUSH_STATUS",
    "SPOT_PUSH_TYPES",
    "SPOT_STATUS_OF",
    "SPOT_TIF_OF",
    "SPOT_TYPES",
    "STOP_LEGS",
    "STOP_LEG_OF",
    "TRENDS",
]

LIMIT_KINDS: Final[frozenset[OrderKind]] = frozenset({"limit", "stop_limit", "take_profit_limit"})
CONDITIONAL_KINDS: Final[frozenset[OrderKind]] = frozenset({"stop", "stop_limit", "take_profit", "take_profit_limit"})

# Spot ----------------------------------------------------------------------------------------------------------------

SIDE_WORDS: Final[Mapping[Side, str]] = {"buy": "BUY", "sell": "SELL"}
SIDE_OF: Final[Mapping[str, Side]] = {"BUY": "buy", "SELL": "sell"}

SPOT_TYPES: Final[Mapping[TimeInForce, str]] = {
    "gtc": "LIMIT",
    "post_only": "LIMIT_MAKER",
    "ioc": "IMMEDIATE_OR_CANCEL",
    "fok": "FILL_OR_KILL",
}
"""Types of limit orders: the venue has no time in force beside them."""
SPOT_TIF_OF: Final[Mapping[str, TimeInForce]] = {word: tif for tif, word in SPOT_TYPES.items()}

SPOT_STATUS_OF: Final[Mapping[str, OrderStatus]] = {
    "NEW": "open",
    "PARTIALLY_FILLED": "partially_filled",
    "FILLED": "filled",
    "CANCELED": "canceled",
    "PARTIALLY_CANCELED": "canceled",
    # Not in the venue's list, but in that of the API which it resembles.
    "PENDING": "pending",
    "PENDING_CANCEL": "open",
    "REJECTED": "rejected",
    "EXPIRED": "expired",
}
SPOT_FINAL: Final = frozenset({"FILLED", "CANCELED", "PARTIALLY_CANCELED", "REJECTED", "EXPIRED"})
"""An answer to a cancel that says something else has accepted it, no more."""

SPOT_PUSH_SIDES: Final[Mapping[int, Side]] = {1: "buy", 2: "sell"}
SPOT_PUSH_TYPES: Final[Mapping[int, tuple[OrderKind | None, TimeInForce | None]]] = {
    1: ("limit", "gtc"),
    2: ("limit", "post_only"),
    3: ("limit", "ioc"),
    4: ("limit", "fok"),
    5: ("market", None),
}
"""``orderType`` of pushes. 100 is a stop-loss or take-profit, which the API cannot place: of no kind of ours."""
SPOT_PUSH_STATUS: Final[Mapping[int, OrderStatus]] = {
    1: "open",
    2: "filled",
    3: "partially_filled",
    4: "canceled",
    5: "canceled",
}
"""5: canceled after it had been filled in part."""

# Futures -------------------------------------------------------------------------------------------------------------

HEDGE_SIDES: Final[Mapping[tuple[Side, PositionSide], int]] = {
    ("buy", "long"): 1,
    ("buy", "short"): 2,
    ("sell", "short"): 3,
    ("sell", "long"): 4,
}
"""Open long, close short, open short, close long."""
ONE_WAY_SIDES: Final[Mapping[str, Mapping[tuple[Side, bool], int]]] = {
    "by_effect": {("buy", False): 1, ("buy", True): 2, ("sell", False): 3, ("sell", True): 4},
    "by_direction": {("buy", False): 1, ("buy", True): 1, ("sell", False): 3, ("sell", True): 3},
}
"""By the option ``one_way_sides``, (side, reduce-only): the pages do not say which codes one-way mode takes."""
SIDE_OF_CODE: Final[Mapping[int, Side]] = {1: "buy", 2: "buy", 3: "sell", 4: "sell"}
POSITION_OF_SIDE: Final[Mapping[int, PositionSide]] = {1: "long", 2: "short", 3: "short", 4: "long"}
REDUCING: Final = frozenset({2, 4})

FUTURES_TYPES: Final[Mapping[TimeInForce, int]] = {"gtc": 1, "post_only": 2, "ioc": 3, "fok": 4}
FUTURES_TIF_OF: Final[Mapping[int, TimeInForce]] = {code: tif for tif, code in FUTURES_TYPES.items()}
MARKET_TYPES: Final = (5, 6)
"""Orders are sent as 5; 6 is an older one, seen in answers."""

FUTURES_STATUS_OF: Final[Mapping[int, OrderStatus]] = {
    1: "open",
    2: "open",
    3: "filled",
    4: "canceled",
    5: "rejected",
}
"""With fills, 1 and 2 are ``partially_filled`` and 5 is ``canceled``."""
ORDER_REASONS: Final[Mapping[int, str]] = {
    1: "param_invalid",
    2: "insufficient_balance",
    3: "position_not_exists",
    4: "position_not_enough",
    5: "position_liq",
    6: "order_liq",
    7: "risk_level_limit",
    8: "sys_cancel",
    9: "position_mode_not_match",
    10: "reduce_only_liq",
    11: "contract_not_enable",
    12: "delivery_cancel",
    13: "position_liq_cancel",
    14: "adl_cancel",
    15: "black_user_cancel",
    16: "settle_funding_cancel",
    17: "position_im_change_cancel",
    18: "ioc_cancel",
    19: "fok_cancel",
    20: "post_only_cancel",
    21: "market_cancel",
}
"""``errorCode`` of an order: what ended it. It stands in ``raw_status`` behind the state."""

MARGIN_CODES: Final[Mapping[MarginMode, int]] = {"isolated": 1, "cross": 2}
MARGIN_OF: Final[Mapping[int, MarginMode]] = {code: mode for mode, code in MARGIN_CODES.items()}
POSITION_CODES: Final[Mapping[PositionSide, int]] = {"long": 1, "short": 2}
POSITION_OF: Final[Mapping[int, PositionSide]] = {code: side for side, code in POSITION_CODES.items()}
POSITION_MODES: Final[Mapping[PositionMode, int]] = {"hedge": 1, "one_way": 2}
POSITION_MODE_OF: Final[Mapping[int, PositionMode]] = {code: mode for mode, code in POSITION_MODES.items()}
TRENDS: Final[Mapping[TriggerBy, int]] = {"last": 1, "mark": 2, "index": 3}

PLAN_KINDS: Final[Mapping[tuple[Side, int], tuple[OrderKind, OrderKind]]] = {
    ("buy", 1): ("stop", "stop_limit"),
    ("sell", 2): ("stop", "stop_limit"),
    ("buy", 2): ("take_profit", "take_profit_limit"),
    ("sell", 1): ("take_profit", "take_profit_limit"),
}
"""(side, triggerType): what a plan order is as a market and as a limit order. 1 triggers at or above, 2 at or below."""
PLAN_STATUS_OF: Final[Mapping[int, OrderStatus]] = {1: "open", 2: "canceled", 4: "expired", 5: "rejected"}
"""Untriggered, cancelled, invalid, execution failed. 3, executed, has sent an order of another id; what became of
that one is not the plan's to say: ``unknown``."""
STOP_LEGS: Final[Mapping[str, tuple[OrderKind, OrderKind]]] = {
    "tp": ("take_profit", "take_profit_limit"),
    "sl": ("stop", "stop_limit"),
}
"""What the two sides of a take-profit and stop-loss on a position are, as market and as limit orders."""
STOP_LEG_OF: Final[Mapping[int, str]] = {1: "tp", 2: "sl"}
"""``triggerSide``: which of the two has struck."""
PLAN_CYCLES: Final[Mapping[str, int]] = {"24h": 1, "7d": 2}
"""By the option ``plan_cycle``."""
