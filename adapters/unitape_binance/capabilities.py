"""What can be traded how, one table per market, from the venue's pages of the dates given."""

from __future__ import annotations

from typing import Final

from unitape.spi import ClientIdRule, TradingSpec
from unitape_binance.kill import SPOT_KILL, USDM_KILL

__all__ = ["SPOT_TRADING", "USDM_TRADING"]

SPOT_TRADING: Final = TradingSpec(
    kill=SPOT_KILL,
    order_transports=("rest", "websocket"),
    kinds=("limit", "market", "stop", "stop_limit", "take_profit", "take_profit_limit"),
    tifs=("gtc", "ioc", "fok", "post_only"),
    # An id is refused while an order with it is open, and may be used again afterwards.
    client_ids=ClientIdRule(max_length=36, repeated="rejected", pattern=r"[A-Za-z0-9_-]{1,36}"),
    sides_by_cost=("buy", "sell"),
    trigger_by=("last",),
    validate=True,
    amend=True,
    replace=True,
    cancel_all="symbol",
    history_needs_symbol=True,
    history_span=86_400.0,
    history_page=1000,
    # Receive window plus ten seconds of lag between the venue's own replicas.
    absence_lag=15.0,
    notes={
        "post_only": "limit orders only, sent as LIMIT_MAKER",
        "amend": "makes the size smaller and keeps the place in the queue; the price cannot be changed",
        "repeated": "an id is refused only while an order with it is open",
        "order_history": "at most 24 hours per request",
        "fills": "at most 24 hours per request",
        "replace": "the new order is placed only if the old one could be canceled",
        "attached": "not served: order lists are objects of their own, with their own ids, cancels and states",
        "websocket": "takes place, cancel, amend and all questions; an Ed25519 key logs the connection on, with any "
        "other every request is signed",
        "account_flags": "canTrade and canWithdraw are the account's; the rights of the key are not told here",
    },
    source="binance-spot-api-docs: Trading endpoints, Account endpoints, Filters; 2026-07",
)

USDM_TRADING: Final = TradingSpec(
    kill=USDM_KILL,
    order_transports=("rest", "websocket"),
    countdown=True,
    kinds=("limit", "market", "stop", "stop_limit", "take_profit", "take_profit_limit"),
    tifs=("gtc", "ioc", "fok", "post_only", "gtd"),
    client_ids=ClientIdRule(max_length=36, repeated="rejected", pattern=r"[\.A-Z\:/a-z0-9_-]{1,36}"),
    trigger_by=("last", "mark"),
    validate=True,
    amend=True,
    cancel_all="symbol",
    batch_place=5,
    batch_cancel=10,
    reduce_only=True,
    position_modes=("one_way", "hedge"),
    leverage=True,
    margin_modes=("cross", "isolated"),
    close_position=False,
    history_needs_symbol=False,
    # Orders are told of less than 7 days at once.
    history_span=7 * 86_400.0 - 1.0,
    history_page=1000,
    absence_lag=15.0,
    notes={
        "stop": "conditional orders live on endpoints of their own, with ids of their own; when one triggers, an "
        "ordinary order with the same client id is born",
        "gtd": "limit orders only; whole seconds, more than 600 s ahead",
        "validate": "not for conditional orders",
        "websocket": "takes place, cancel and amend of single orders, the question for an ordinary order, balances and "
        "positions; batches, mass cancels and histories go over REST",
        "amend": "limit orders only; takes side, size and price together and loses the place in the queue",
        "cancel_all": "conditional orders are canceled by a request of their own",
        "countdown": "per symbol, ordinary orders only; whether it spares conditional ones is not documented",
        "close_position": "only as a conditional order (closePosition); a reduce-only market order serves",
        "reduce_only": "in hedge mode the position side says it, and the flag must not be sent",
        "replace": "not served: amend the order, or cancel it and place another",
        "attached": "not served: place conditional orders beside it, reduce-only or by position side",
        "order_history": "less than 7 days per request; canceled orders without fills vanish after 3 days",
        "fills": "a symbol is needed; at most 7 days per request, of the last 3 months",
    },
    source="USDⓈ-M futures: Trade and Account REST API; 2026-10",
)
