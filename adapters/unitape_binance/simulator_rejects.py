"""What the simulated Binance markets say when an order is refused: a table per market, from the error pages of 2026."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from unitape.spi.simulated_accounts import RejectReason
from unitape_binance.simulator_rules import Refusal
from unitape_schemas import OrderKind, Side

__all__ = ["FUTURES_WORDS", "SPOT_WORDS", "refusal"]

_Words = tuple[int, str]

_COMMON: Final[Mapping[RejectReason, _Words]] = {
    "unknown_symbol": (-1121, "Invalid symbol."),
    "not_permitted": (-2015, "Invalid API-key, IP, or permissions for action."),
    "order_not_found": (-2011, "Unknown order sent."),
    "order_closed": (-2011, "Unknown order sent."),
    "nothing_to_cancel": (-2011, "Unknown order sent."),
}

SPOT_WORDS: Final[Mapping[RejectReason, _Words]] = {
    **_COMMON,
    "market_closed": (-2010, "Market is closed."),
    "bad_request": (-1014, "Unsupported order combination."),
    "tick": (-1013, "Filter failure: PRICE_FILTER"),
    "step": (-1013, "Filter failure: LOT_SIZE"),
    "min_size": (-1013, "Filter failure: LOT_SIZE"),
    "max_size": (-1013, "Filter failure: LOT_SIZE"),
    "min_notional": (-1013, "Filter failure: NOTIONAL"),
    "price_band": (-1013, "Filter failure: PERCENT_PRICE_BY_SIDE"),
    "duplicate_client_id": (-2010, "Duplicate order sent."),
    "insufficient_funds": (-2010, "Account has insufficient balance for requested action."),
    "post_only_would_cross": (-2010, "Order would immediately match and take."),
    "no_liquidity": (-2010, "Order book liquidity is less than LOT_SIZE filter minimum quantity."),
    "would_trigger_immediately": (-2010, "Order would trigger immediately."),
    "too_many_orders": (-1013, "Filter failure: MAX_NUM_ORDERS"),
    "unchanged": (-2038, "The requested action would change no state; rejecting."),
}

FUTURES_WORDS: Final[Mapping[RejectReason, _Words]] = {
    **_COMMON,
    "market_closed": (-4140, "Invalid symbol status for opening position."),
    "bad_request": (-1128, "Combination of optional parameters invalid."),
    "tick": (-4014, "Price not increased by tick size."),
    "step": (-4023, "Quantity not increased by step size."),
    "min_size": (-4004, "Quantity less than min quantity."),
    "max_size": (-4005, "Quantity greater than max quantity."),
    "min_notional": (-4164, "Order's notional must be no smaller than 5 (unless you choose reduce only)."),
    "price_band": (-4016, "Limit price can't be higher than the allowed price."),
    "duplicate_client_id": (-4116, "ClientOrderId is duplicated."),
    "insufficient_funds": (-2019, "Margin is insufficient."),
    "post_only_would_cross": (
        -5022,
        "Due to the order could not be executed as maker, the Post Only order will be rejected.",
    ),
    "no_liquidity": (-2020, "Unable to fill."),
    "reduce_only": (-2022, "ReduceOnly Order is rejected."),
    "position_side": (-4061, "Order's position side does not match user's setting."),
    "would_trigger_immediately": (-2021, "Order would immediately trigger."),
    "too_many_orders": (-2025, "Reach max open order limit."),
    "leverage": (-4028, "Leverage is not valid."),
    "unchanged": (-5027, "No need to modify the order."),
}

_WAITING_SPOT: Final[_Words] = (-1013, "Filter failure: MAX_NUM_ALGO_ORDERS")
_WAITING_FUTURES: Final[_Words] = (-4045, "Reach max stop order limit.")
_MARKET_LOTS: Final[_Words] = (-1013, "Filter failure: MARKET_LOT_SIZE")
_TOO_LOW: Final[_Words] = (-4024, "Limit price can't be lower than the allowed price.")


def refusal(
    reason: RejectReason, *, linear: bool, waits: bool = False, side: Side = "buy", kind: OrderKind = "limit"
) -> Refusal:
    """Put a reason into the venue's words. ``waits``: the order has a trigger."""
    code, text = (FUTURES_WORDS if linear else SPOT_WORDS)[reason]
    if reason == "too_many_orders" and waits:
        code, text = _WAITING_FUTURES if linear else _WAITING_SPOT
    elif reason == "max_size" and kind == "market" and not linear:
        code, text = _MARKET_LOTS
    elif reason == "price_band" and side == "sell" and linear:
        code, text = _TOO_LOW
    return Refusal(code, text, 401 if reason == "not_permitted" else 400)
