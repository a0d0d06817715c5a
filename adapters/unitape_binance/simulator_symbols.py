"""The instrument lists of the simulated Binance markets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from unitape.spi.simulation import SimInstrument
from unitape_binance.simulator_rules import PERPETUAL_DELIVERY, Rules, Spelling

_SPOT_ORDER_TYPES: Final = (
    "LIMIT",
    "LIMIT_MAKER",
    "MARKET",
    "STOP_LOSS",
    "STOP_LOSS_LIMIT",
    "TAKE_PROFIT",
    "TAKE_PROFIT_LIMIT",
)
_FUTURES_ORDER_TYPES: Final = (
    "LIMIT",
    "MARKET",
    "STOP",
    "STOP_MARKET",
    "TAKE_PROFIT",
    "TAKE_PROFIT_MARKET",
    "TRAILING_STOP_MARKET",
)
_ALLOWED: Final = (
    "icebergAllowed",
    "ocoAllowed",
    "otoAllowed",
    "opoAllowed",
    "quoteOrderQtyMarketAllowed",
    "allowTrailingStop",
    "cancelReplaceAllowed",
    "amendAllowed",
    "pegInstructionsAllowed",
    "isSpotTradingAllowed",
    "isMarginTradingAllowed",
)
_MOST_LOTS: Final = 900_000_000


def _rate_limits(rules: Rules) -> list[dict[str, object]]:
    rows: tuple[tuple[str, str, int, int], ...] = (
        ("REQUEST_WEIGHT", "MINUTE", 1, rules.weight_limit),
        *(
            (("ORDERS", "MINUTE", 1, 1_200), ("ORDERS", "SECOND", 10, 300))
            if rules.linear
            else (("ORDERS", "SECOND", 10, 100), ("ORDERS", "DAY", 1, 200_000), ("RAW_REQUESTS", "MINUTE", 5, 300_000))
        ),
    )
    return [
        {"rateLimitType": kind, "interval": unit, "intervalNum": n, "limit": limit} for kind, unit, n, limit in rows
    ]


def spot_exchange_info(spelling: Spelling, specs: Sequence[SimInstrument], server_time: int) -> dict[str, object]:
    """Return the body of ``/api/v3/exchangeInfo`` for these instruments."""
    return {
        "timezone": "UTC",
        "serverTime": server_time,
        "rateLimits": _rate_limits(spelling.rules),
        "exchangeFilters": [],
        "symbols": [_spot_row(spelling, spec) for spec in specs],
    }


def _spot_row(spelling: Spelling, spec: SimInstrument) -> dict[str, object]:
    smallest = spelling.price(spec, 1)
    step = spelling.size(spec, 1)
    return {
        "symbol": spelling.raw_of[spec.symbol],
        "status": "TRADING",
        "baseAsset": spec.base,
        "baseAssetPrecision": 8,
        "quoteAsset": spec.quote,
        "quotePrecision": 8,
        "quoteAssetPrecision": 8,
        "baseCommissionPrecision": 8,
        "quoteCommissionPrecision": 8,
        "orderTypes": _SPOT_ORDER_TYPES,
        **dict.fromkeys(_ALLOWED, True),
        "filters": [
            {"filterType": "PRICE_FILTER", "minPrice": smallest, "maxPrice": "1000000.00000000", "tickSize": smallest},
            {"filterType": "LOT_SIZE", "minQty": step, "maxQty": spelling.size(spec, _MOST_LOTS), "stepSize": step},
            {
                "filterType": "MARKET_LOT_SIZE",
                "minQty": "0.00000000",
                "maxQty": spelling.size(spec, _MOST_LOTS // 10),
                "stepSize": "0.00000000",
            },
            {
                "filterType": "NOTIONAL",
                "minNotional": "5.00000000",
                "applyMinToMarket": True,
                "maxNotional": "9000000.00000000",
                "applyMaxToMarket": False,
                "avgPriceMins": 5,
            },
            {"filterType": "MAX_NUM_ORDERS", "maxNumOrders": 200},
        ],
        "permissions": [],
        "permissionSets": [["SPOT", "MARGIN"]],
        "defaultSelfTradePreventionMode": "EXPIRE_MAKER",
        "allowedSelfTradePreventionModes": ["EXPIRE_TAKER", "EXPIRE_MAKER", "EXPIRE_BOTH", "DECREMENT", "TRANSFER"],
    }


def futures_exchange_info(spelling: Spelling, server_time: int) -> dict[str, object]:
    """Return the body of ``/fapi/v1/exchangeInfo``: the perpetuals, and a dated contract that does not trade yet."""
    specs = spelling.exchange.instruments
    rows = [_futures_row(spelling, spec) for spec in specs]
    dated = dict(rows[0])
    dated |= {
        "symbol": f"{dated['pair']}_270326",
        "contractType": "NEXT_QUARTER",
        "deliveryDate": 1_806_048_000_000,
        "status": "PENDING_TRADING",
    }
    margins = sorted({spec.quote for spec in specs})
    return {
        "timezone": "UTC",
        "serverTime": server_time,
        "futuresType": "U_MARGINED",
        "rateLimits": _rate_limits(spelling.rules),
        "exchangeFilters": [],
        "assets": [{"asset": asset, "marginAvailable": True, "autoAssetExchange": "-10000"} for asset in margins],
        "symbols": [*rows, dated],
    }


def _futures_row(spelling: Spelling, spec: SimInstrument) -> dict[str, object]:
    raw = spelling.raw_of[spec.symbol]
    tick, step = spelling.price(spec, 1), spelling.size(spec, 1)
    most, most_market = spelling.size(spec, _MOST_LOTS), spelling.size(spec, _MOST_LOTS // 10)
    return {
        "symbol": raw,
        "pair": raw,
        "contractType": "PERPETUAL",
        "deliveryDate": PERPETUAL_DELIVERY,
        "onboardDate": 1_569_398_400_000,
        "status": "TRADING",
        "maintMarginPercent": "2.5000",
        "requiredMarginPercent": "5.0000",
        "baseAsset": spec.base,
        "quoteAsset": spec.quote,
        "marginAsset": spec.settle,
        # One digit more than the tick needs: a reader that took this for the tick would be wrong.
        "pricePrecision": spec.tick_scale + 1,
        "quantityPrecision": spec.step_scale,
        "baseAssetPrecision": 8,
        "quotePrecision": 8,
        "underlyingType": "COIN",
        "underlyingSubType": ["Layer-1"],
        "triggerProtect": "0.0500",
        "liquidationFee": "0.012500",
        "marketTakeBound": "0.05",
        "filters": [
            {"filterType": "PRICE_FILTER", "minPrice": tick, "maxPrice": "1000000", "tickSize": tick},
            {"filterType": "LOT_SIZE", "minQty": step, "maxQty": most, "stepSize": step},
            {"filterType": "MARKET_LOT_SIZE", "minQty": step, "maxQty": most_market, "stepSize": step},
            {"filterType": "MAX_NUM_ORDERS", "limit": 200},
            {"filterType": "MIN_NOTIONAL", "notional": "5"},
            {
                "filterType": "PERCENT_PRICE",
                "multiplierUp": "1.0500",
                "multiplierDown": "0.9500",
                "multiplierDecimal": "4",
            },
        ],
        "orderTypes": _FUTURES_ORDER_TYPES,
        "timeInForce": ["GTC", "IOC", "FOK", "GTX", "GTD", "RPI"],
    }
