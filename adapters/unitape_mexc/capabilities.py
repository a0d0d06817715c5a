"""What can be traded how, one table per market, from the venue's pages of the dates given."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from msgspec import structs

from unitape.spi import ClientIdRule, TradingSpec
from unitape_mexc.kill import FUTURES_KILL, SPOT_KILL

__all__ = ["FUTURES_TRADING", "SPOT_TRADING", "futures_spec", "spot_spec"]

_CLIENT_IDS: Final = ClientIdRule(max_length=32, repeated="unknown", pattern=r"[A-Za-z0-9_-]{1,32}")

SPOT_TRADING: Final = TradingSpec(
    kill=SPOT_KILL,
    kinds=("limit", "market"),
    tifs=("gtc", "ioc", "fok", "post_only"),
    client_ids=_CLIENT_IDS,
    sides_by_cost=("buy",),
    validate=True,
    amend=False,
    cancel_all="symbol",
    batch_place=20,
    batch_cancel=0,
    history_needs_symbol=True,
    history_span=86_400.0,
    history_page=100,
    # A fresh order may be reported missing although it exists; the venue states no bound.
    absence_lag=15.0,
    notes={
        "place": "the answer has no status: an accepted order is pending until it is asked for",
        "cancel": "the answer may say no more than that the cancel was accepted",
        "cancel_all": "the whole account with the option cancel_all=account",
        "post_only": "sent as LIMIT_MAKER; one that would take is canceled or refused",
        "ioc": "sent as IMMEDIATE_OR_CANCEL; an instrument may refuse it, as it may market orders",
        "sides_by_cost": "sells too with the option sell_by_cost=allow",
        "triggers": "there are none by API",
        "open_orders": "a symbol is needed",
        "order_history": "24 hours per request, of the last 7 days",
        "fills": "of the last month, 100 per request",
        "account_stream": "by a listen key, extended every 25 minutes (option listen_key); pushed orders name no time "
        "of the change, so they have the time at which the venue sent them",
        "account_flags": "canTrade and canWithdraw are the account's; the rights of the key are not told here",
    },
    source="MEXC Spot V3: Spot Account/Trade; 2026-11",
)

FUTURES_TRADING: Final = TradingSpec(
    kill=FUTURES_KILL,
    kinds=("limit", "market", "stop", "stop_limit", "take_profit", "take_profit_limit"),
    tifs=("gtc", "ioc", "fok", "post_only"),
    client_ids=_CLIENT_IDS,
    trigger_by=("last", "mark", "index"),
    validate=False,
    amend=True,
    amend_renames=True,
    cancel_all="account",
    batch_place=50,
    batch_cancel=50,
    conditional_client_ids=False,
    reduce_only=True,
    position_modes=("one_way", "hedge"),
    leverage=True,
    margin_modes=("cross", "isolated"),
    close_position=False,
    attached=True,
    history_needs_symbol=False,
    history_span=90 * 86_400.0,
    history_page=100,
    absence_lag=30.0,
    notes={
        "place": "the answer has no status: an accepted order is pending until it is asked for",
        "size": "whole contracts, given and returned in base units",
        "stop": "conditional orders are plan orders: they have no client ids, expire after 7 days (option plan_cycle), "
        "and send another order when triggered",
        "amend": "limit orders, named by id; price, size and side together; the order gets another id, and the size is "
        "that of the new order",
        "batch_place": "may need a permission; off with the option batch_place=off",
        "repeated": "a batch answers with the order that has the id already; single orders are not documented",
        "leverage": "sent with orders; set_leverage sets one side (option leverage_side)",
        "margin_modes": "sent with orders; there is no request that changes it",
        "close_position": "the venue's own request closes everything; a reduce-only market order serves",
        "one_way": "the pages do not name the sides of this mode; option one_way_sides",
        "order_history": "90 days per request; conditional orders have a list of their own",
        "open_orders": "in pages of 100; take-profits and stop-losses of positions are not among them, the stream "
        "tells of them as tp-<id> and sl-<id>",
        "client_ids": "not for conditional orders: the venue takes none, and what is read of one has none",
        "account_stream": "one login, with or without a filter (options personal_filter, login_time); wallet, equity "
        "and profit are not pushed and are asked for; a plan order that was triggered is unknown with the word 3, and "
        "the order that it sent has an id of its own; changed risk limits let positions be asked for, ADL levels are "
        "counted",
        "account_flags": "the position mode; nothing is said about the key",
    },
    source="MEXC Contract V1: Account and trading endpoints; 2026-11",
)


def spot_spec(options: Mapping[str, str]) -> TradingSpec:
    """Return what spot can do by these options."""
    return structs.replace(
        SPOT_TRADING,
        cancel_all="account" if options["cancel_all"] == "account" else "symbol",
        sides_by_cost=("buy", "sell") if options["sell_by_cost"] == "allow" else ("buy",),
        batch_place=SPOT_TRADING.batch_place if options["batch_place"] == "on" else 0,
    )


def futures_spec(options: Mapping[str, str]) -> TradingSpec:
    """Return what futures can do by these options."""
    return structs.replace(
        FUTURES_TRADING, batch_place=FUTURES_TRADING.batch_place if options["batch_place"] == "on" else 0
    )
