"""One typed tape from many venues.

Everything a user needs is here by name, and loaded when it is first used: importing ``unitape`` loads neither a
network library nor a venue.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from unitape.adapter import Adapter, ConnectionPlan, Rejection, SubscribeResult, TradingAdapter, VenueAdapter
    from unitape.arbitrage import PlanPolicy, TwoLegPlan, plan_name, run_plan, two_legs
    from unitape.books.orderbook import OrderBook
    from unitape.errors import (
        AuthenticationFailed,
        ConfigError,
        ConsumerOverflow,
        DuplicateOrder,
        ExchangeUnavailable,
        InsufficientFunds,
        InvalidOrder,
        InvalidRequest,
        InvalidSymbol,
        MarketClosed,
        NoChange,
        NotPlaced,
        OrderNotFound,
        OutcomeUnknown,
        PermissionDenied,
        PostOnlyWouldCross,
        RateLimited,
        ReduceOnlyRejected,
        RiskRejected,
        TimestampOutOfWindow,
        TooManyOpenOrders,
        TradingHalted,
        TransportError,
        UnitapeError,
        Unsupported,
        VenueError,
        WireError,
    )
    from unitape.guards.guards import Alert
    from unitape.guards.kill import Halt, KillRules, SignalRule
    from unitape.guards.limits import RiskLimits
    from unitape.paper.adapter import PaperAdapter
    from unitape.paper.settings import PaperSettings
    from unitape.registry import load_adapter, venue_names
    from unitape.router import Batches, Router, Stream, Subscriber, SubscribeResults
    from unitape.spi.credentials import Credentials
    from unitape.spi.trading import OrderRef, Replaced, TradingSettings
    from unitape.subscriptions import (
        Request,
        balances,
        book,
        candles,
        fills,
        funding,
        liquidations,
        mark_price,
        open_interest,
        orders,
        positions,
        quotes,
        ticker,
        top,
        trades,
    )
    from unitape.trade.requests import CancelAllResult, OrderRequest, TradingOptions
    from unitape.trade.secrets import load_credentials
    from unitape.trade.state import AccountState
    from unitape.views.consolidated import Consolidated
    from unitape.views.edge import TradableBook, find_edge, find_edges
    from unitape.views.edge_records import Edge, EdgeLimits, FundingTerms
    from unitape.views.fees import FeeSchedule, FeeTier
    from unitape.views.prices import BestPrice, Prices, VenueLevel
    from unitape_schemas import (
        ALL_SYMBOLS,
        SCHEMA_VERSION,
        Balance,
        BookDelta,
        BookSnapshot,
        Candle,
        Event,
        Fill,
        Funding,
        Instrument,
        Liquidation,
        MarkPrice,
        OpenInterest,
        Order,
        Position,
        Quote,
        Status,
        Subscription,
        Ticker,
        TopBook,
        Trade,
    )

_HOMES: Final = {
    "unitape.adapter": "Adapter ConnectionPlan Rejection SubscribeResult TradingAdapter VenueAdapter",
    "unitape.books.orderbook": "OrderBook",
    "unitape.errors": (
        "AuthenticationFailed ConfigError ConsumerOverflow DuplicateOrder ExchangeUnavailable "
        "InsufficientFunds InvalidOrder InvalidRequest InvalidSymbol MarketClosed NoChange NotPlaced OrderNotFound "
        "OutcomeUnknown PermissionDenied PostOnlyWouldCross RateLimited ReduceOnlyRejected RiskRejected "
        "TimestampOutOfWindow TooManyOpenOrders TradingHalted TransportError UnitapeError Unsupported "
        "VenueError WireError"
    ),
    "unitape.guards.guards": "Alert",
    "unitape.guards.kill": "Halt KillRules SignalRule",
    "unitape.guards.limits": "RiskLimits",
    "unitape.paper.adapter": "PaperAdapter",
    "unitape.paper.settings": "PaperSettings",
    "unitape.registry": "load_adapter venue_names",
    "unitape.router": "Batches Router Stream SubscribeResults Subscriber",
    "unitape.spi.credentials": "Credentials",
    "unitape.spi.trading": "OrderRef Replaced TradingSettings",
    "unitape.subscriptions": (
        "Request balances book candles fills funding liquidations mark_price open_interest orders positions "
        "quotes ticker top trades"
    ),
    "unitape.trade.requests": "CancelAllResult OrderRequest TradingOptions",
    "unitape.trade.secrets": "load_credentials",
    "unitape.trade.state": "AccountState",
    "unitape.views.consolidated": "Consolidated",
    "unitape.views.prices": "BestPrice Prices VenueLevel",
    "unitape.views.edge": "TradableBook find_edge find_edges",
    "unitape.views.edge_records": "Edge EdgeLimits FundingTerms",
    "unitape.views.fees": "FeeSchedule FeeTier",
    "unitape.arbitrage": "PlanPolicy TwoLegPlan plan_name run_plan two_legs",
    "unitape_schemas": (
        "ALL_SYMBOLS Balance BookDelta BookSnapshot Candle Event Fill Funding Instrument Liquidation "
        "MarkPrice OpenInterest Order Position Quote SCHEMA_VERSION Status Subscription Ticker TopBook Trade"
    ),
}
_HOME_OF: Final = {name: module for module, names in _HOMES.items() for name in names.split()}

__all__ = [
    "ALL_SYMBOLS",
    "SCHEMA_VERSION",
    "AccountState",
    "Adapter",
    "Alert",
    "AuthenticationFailed",
    "Balance",
    "Batches",
    "BestPrice",
    "BookDelta",
    "BookSnapshot",
    "CancelAllResult",
    "Candle",
    "ConfigError",
    "ConnectionPlan",
    "Consolidated",
    "ConsumerOverflow",
    "Credentials",
    "DuplicateOrder",
    "Edge",
    "EdgeLimits",
    "Event",
    "ExchangeUnavailable",
    "FeeSchedule",
    "FeeTier",
    "Fill",
    "Funding",
    "FundingTerms",
    "Halt",
    "Instrument",
    "InsufficientFunds",
    "InvalidOrder",
    "InvalidRequest",
    "InvalidSymbol",
    "KillRules",
    "Liquidation",
    "MarkPrice",
    "MarketClosed",
    "NoChange",
    "NotPlaced",
    "OpenInterest",
    "Order",
    "OrderBook",
    "OrderNotFound",
    "OrderRef",
    "OrderRequest",
    "OutcomeUnknown",
    "PaperAdapter",
    "PaperSettings",
    "PermissionDenied",
    "PlanPolicy",
    "Position",
    "PostOnlyWouldCross",
    "Prices",
    "Quote",
    "RateLimited",
    "ReduceOnlyRejected",
    "Rejection",
    "Replaced",
    "Request",
    "RiskLimits",
    "RiskRejected",
    "Router",
    "SignalRule",
    "Status",
    "Stream",
    "SubscribeResult",
    "SubscribeResults",
    "Subscriber",
    "Subscription",
    "Ticker",
    "TimestampOutOfWindow",
    "TooManyOpenOrders",
    "TopBook",
    "TradableBook",
    "Trade",
    "TradingAdapter",
    "TradingHalted",
    "TradingOptions",
    "TradingSettings",
    "TransportError",
    "TwoLegPlan",
    "UnitapeError",
    "Unsupported",
    "VenueAdapter",
    "VenueError",
    "VenueLevel",
    "WireError",
    "balances",
    "book",
    "candles",
    "fills",
    "find_edge",
    "find_edges",
    "funding",
    "liquidations",
    "load_adapter",
    "load_credentials",
    "mark_price",
    "open_interest",
    "orders",
    "plan_name",
    "positions",
    "quotes",
    "run_plan",
    "ticker",
    "top",
    "trades",
    "two_legs",
    "venue_names",
]


def __getattr__(name: str) -> object:
    home = _HOME_OF.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
