"""What a venue implements. Everything here is pure: no I/O, no clock, no randomness.

A venue is a ``Venue`` of ``Market`` objects; a market gives a ``Codec`` for single messages, a ``Session`` for a
connection, a ``Rest`` for queries and a ``BookRule`` for its books. Limits and channels are data.
"""

from unitape.spi.book import BookRule, Fit
from unitape.spi.credentials import Credentials
from unitape.spi.http import HttpMethod, HttpRequest, HttpResponse, Query, encode_query
from unitape.spi.instruments import Instruments
from unitape.spi.kill import KillSignals, SignalClass
from unitape.spi.limits import Budget, ChannelSpec, Continuity, Heartbeat, Limits
from unitape.spi.numbers import (
    MILLISECOND,
    SECOND,
    WireLevel,
    WireLevels,
    WireMillis,
    WireNumber,
    WireSigned,
    exact,
)
from unitape.spi.private import (
    AccountStream,
    Dial,
    PrivateOutput,
    PrivateSession,
    PrivateSpec,
    Ready,
    Recheck,
    Streaming,
)
from unitape.spi.session import (
    Closing,
    Codec,
    Confirmed,
    Control,
    DepthUpdate,
    Outgoing,
    Output,
    Refused,
    Session,
    StreamState,
    Unmapped,
)
from unitape.spi.trading import (
    AccountFlags,
    Amendment,
    ClientIdRule,
    ConditionalHistory,
    Countdown,
    NewOrder,
    OrderRef,
    PositionMode,
    Tradable,
    Trading,
    TradingSettings,
    TradingSpec,
    TriggerBy,
)
from unitape.spi.venue import Endpoint, Market, Rest, Venue

__all__ = [
    "MILLISECOND",
    "SECOND",
    "AccountFlags",
    "AccountStream",
    "Amendment",
    "BookRule",
    "Budget",
    "ChannelSpec",
    "ClientIdRule",
    "Closing",
    "Codec",
    "ConditionalHistory",
    "Confirmed",
    "Continuity",
    "Control",
    "Countdown",
    "Credentials",
    "DepthUpdate",
    "Dial",
    "Endpoint",
    "Fit",
    "Heartbeat",
    "HttpMethod",
    "HttpRequest",
    "HttpResponse",
    "Instruments",
    "KillSignals",
    "Limits",
    "Market",
    "NewOrder",
    "OrderRef",
    "Outgoing",
    "Output",
    "PositionMode",
    "PrivateOutput",
    "PrivateSession",
    "PrivateSpec",
    "Query",
    "Ready",
    "Recheck",
    "Refused",
    "Rest",
    "Session",
    "SignalClass",
    "StreamState",
    "Streaming",
    "Tradable",
    "Trading",
    "TradingSettings",
    "TradingSpec",
    "TriggerBy",
    "Unmapped",
    "Venue",
    "WireLevel",
    "WireLevels",
    "WireMillis",
    "WireNumber",
    "WireSigned",
    "encode_query",
    "exact",
]
