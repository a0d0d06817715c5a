"""Trading: checked requests, client ids, signed and sent once, secrets kept."""

from __future__ import annotations

from unitape.trade.ids import ClientIds
from unitape.trade.requests import CancelAllResult, OrderRequest, TradingOptions
from unitape.trade.secrets import SecretFilter, load_credentials, scrub
from unitape.trade.timing import VenueClock

__all__ = [
    "CancelAllResult",
    "ClientIds",
    "OrderRequest",
    "SecretFilter",
    "TradingOptions",
    "VenueClock",
    "load_credentials",
    "scrub",
]
