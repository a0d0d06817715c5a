"""Limits and heartbeats of both markets, as the venue states them."""

from __future__ import annotations

from typing import Final

from unitape.spi import Budget, Heartbeat, Limits

__all__ = [
    "MAX_MESSAGE",
    "SPOT_API_HEARTBEAT",
    "SPOT_HEARTBEAT",
    "SPOT_LIMITS",
    "USDM_ACCOUNT_HEARTBEAT",
    "USDM_HEARTBEAT",
    "USDM_LIMITS",
]

MAX_MESSAGE: Final = 4000
"""Bytes of one control message: 200 names in one message were seen to work, larger ones are not documented."""

_DAY: Final = 24 * 3600.0

SPOT_LIMITS: Final = Limits(
    subscriptions_per_connection=1024,
    params_per_message=100,
    # 5 are allowed, and the pongs that the transport sends count.
    messages_per_second=4.0,
    connects_per_window=300,
    connect_window=300.0,
    connections_per_host=None,
    lifetime=_DAY,
    budgets=(
        Budget("weight", limit=6000, seconds=60.0, header="x-mbx-used-weight-1m"),
        Budget("raw_requests", limit=300_000, seconds=300.0),
        Budget("orders", limit=100, seconds=10.0, header="x-mbx-order-count-10s", scope="account"),
        Budget("orders_day", limit=200_000, seconds=_DAY, header="x-mbx-order-count-1d", scope="account"),
    ),
    source="binance-spot-api-docs: WebSocket Streams, LIMITS; 2026-07",
)

USDM_LIMITS: Final = Limits(
    subscriptions_per_connection=1024,
    params_per_message=100,
    # 10 are allowed; bursts end the connection with 1008.
    messages_per_second=8.0,
    # Not documented for futures; the spot number is assumed.
    connects_per_window=300,
    connect_window=300.0,
    connections_per_host=None,
    lifetime=_DAY,
    budgets=(
        Budget("weight", limit=2400, seconds=60.0, header="x-mbx-used-weight-1m"),
        Budget("funding", limit=500, seconds=300.0),
        Budget("orders", limit=300, seconds=10.0, header="x-mbx-order-count-10s", scope="account"),
        Budget("orders_minute", limit=1200, seconds=60.0, header="x-mbx-order-count-1m", scope="account"),
    ),
    source="USDⓈ-M futures: Websocket Market Streams, Connect; General Info, LIMITS; 2026-10",
)

SPOT_HEARTBEAT: Final = Heartbeat("protocol", interval=20.0, silence=180.0, deadline=60.0)
"""The server pings every 20 s and hangs up after a minute without a pong."""

USDM_HEARTBEAT: Final = Heartbeat("protocol", interval=180.0, silence=600.0, deadline=600.0)
"""The server pings every 3 minutes and hangs up after 10 minutes without a pong."""

SPOT_API_HEARTBEAT: Final = SPOT_HEARTBEAT
"""The WebSocket API pings as the streams do: "WebSocket API", General API Information."""

USDM_ACCOUNT_HEARTBEAT: Final = USDM_HEARTBEAT
"""Account streams say nothing while nothing happens: pings alone show that the connection lives."""
