"""What can be traded how, one table per market, from the venue's pages of the dates given."""

from __future__ import annotations

from typing import Final

from msgspec import structs

from unitape.errors import ConfigError
from unitape.spi import ClientIdRule, TradingSpec
from unitape_weex.kill import CONTRACT_KILL, SPOT_KILL
from unitape_weex.options import TradingOptions

__all__ = ["CONTRACT_BATCH", "CONTRACT_TRADING", "SPOT_BATCH", "SPOT_TRADING", "contract_spec", "spot_spec"]

SOURCE: Final = "API documentation V3: orders, trigger orders, account; 2026-07. Answers seen in 2026"

SPOT_BATCH: Final = 10
CONTRACT_BATCH: Final = 5
"""Most orders in one request, of the pages of 2026-07; those of 2026-04 said 10 for contracts, too."""

ABSENCE_LAG: Final = 35.0
"""A signed request is good for 30 s, and the venue's lists were seen to lag by less than 5 s."""

SPOT_TRADING: Final = TradingSpec(
    kill=SPOT_KILL,
    kinds=("limit", "market"),
    tifs=("gtc", "ioc", "fok"),
    # The pages allow any 40 characters; the narrower rule of contracts holds on both.
    client_ids=ClientIdRule(max_length=36, repeated="returns_existing", pattern=r"[A-Za-z0-9._\-:/]{1,36}"),
    cancel_all="symbol",
    batch_cancel=10,
    history_needs_symbol=True,
    # No page says how far one request reaches.
    history_span=86_400.0,
    history_page=100,
    absence_lag=ABSENCE_LAG,
    notes={
        "market": "by base size on both sides",
        "post_only": "not in the venue's pages; the option spot_post_only lets it through",
        "repeated": "an id of an open order answers with that order and places none",
        "batch_place": "uncertain; the option batch_place turns it on, otherwise orders go one by one",
        "order": "a refusal with code -1054 and no telling text counts as unavailable, not as an unknown order",
        "fills": "no word on maker or taker; the fee is in what was received",
        "history_page": "which rows a full page leaves out is not documented: ask for a shorter range",
    },
    source=SOURCE,
)

CONTRACT_TRADING: Final = TradingSpec(
    kill=CONTRACT_KILL,
    kinds=("limit", "market", "stop", "stop_limit", "take_profit", "take_profit_limit"),
    tifs=("gtc", "ioc", "fok", "post_only"),
    client_ids=ClientIdRule(max_length=36, required=True, repeated="unknown", pattern=r"[A-Za-z0-9._\-:/]{1,36}"),
    trigger_by=("last", "mark"),
    cancel_all="account",
    batch_cancel=10,
    query_by_client_id=False,
    reduce_only=True,
    position_modes=("hedge",),
    leverage=True,
    margin_modes=("cross", "isolated"),
    attached=True,
    history_needs_symbol=False,
    history_span=7 * 86_400.0,
    history_page=100,
    absence_lag=ABSENCE_LAG,
    notes={
        "stop": "conditional orders have endpoints and ids of their own; they survive the position, forbid changes of "
        "leverage and margin mode, and are canceled by the venue's id only",
        "trigger_by": "mark for orders that close a position; others look at the last price",
        "stop_limit": "good till canceled only",
        "one_way": "accounts in one-way mode are refused; the option one_way lets them through",
        "reduce_only": "said by side and position side together, the venue has no flag",
        "attached": "was seen to be ignored: look at the open conditional orders afterwards",
        "batch_place": "uncertain; the option batch_place turns it on, otherwise orders go one by one",
        "order": "by the venue's id only; by client id look through open orders, history and fills",
        "conditional": "no query for one order: look through open_conditional and conditional_history",
        "close_position": "the venue's request closes both sides of a symbol; the option close_positions turns it on",
        "order_history": "at most 90 days per request, conditional orders among the others; may lag behind fills",
        "fills": "at most 7 days per request, of the last 365; lags by 0.25 to 0.6 s",
        "history_page": "which rows a full page leaves out is not documented: ask for a shorter range",
    },
    source=SOURCE,
)


def spot_spec(options: TradingOptions) -> TradingSpec:
    """Return what spot can do with these options."""
    spec = structs.replace(SPOT_TRADING, batch_place=_batch(options, SPOT_BATCH))
    return structs.replace(spec, tifs=(*spec.tifs, "post_only")) if options.spot_post_only else spec


def contract_spec(options: TradingOptions) -> TradingSpec:
    """Return what contracts can do with these options."""
    spec = structs.replace(
        CONTRACT_TRADING, batch_place=_batch(options, CONTRACT_BATCH), close_position=options.close_positions
    )
    return structs.replace(spec, position_modes=("hedge", "one_way")) if options.one_way else spec


def _batch(options: TradingOptions, most: int) -> int:
    if options.batch_place > most:
        raise ConfigError(f"batch_place is {most} at most here, not {options.batch_place}")
    return options.batch_place
