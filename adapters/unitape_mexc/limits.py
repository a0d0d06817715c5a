"""Limits, heartbeats and settings of both markets."""

from __future__ import annotations

from typing import Final, Literal

from msgspec import Struct

from unitape.spi import Budget, Endpoint, Heartbeat, Limits

__all__ = [
    "DAY",
    "FUTURES_ENDPOINTS",
    "FUTURES_LIMITS",
    "HEARTBEAT",
    "PING_EVERY",
    "SPOT_ENDPOINTS",
    "SPOT_LIMITS",
    "FuturesSettings",
    "SpotSettings",
]

DAY: Final = 24 * 3600.0

SPOT_ENDPOINTS: Final = {
    "live": Endpoint(
        rest="https://api.mexc.com",
        ws={"public": "wss://wbs-api.mexc.com/ws", "private": "wss://wbs-api.mexc.com/ws"},
    ),
}
"""The host wbs.mexc.com carried the JSON feed that was switched off on 2025-08-04; it refuses every subscription."""


def _edge(host: str) -> dict[str, str]:
    """One address serves what is public and what is private."""
    return {"public": f"wss://{host}/edge", "private": f"wss://{host}/edge"}


FUTURES_ENDPOINTS: Final = {
    "live": Endpoint(rest="https://api.mexc.com", ws=_edge("contract.mexc.com")),
    "contract-host": Endpoint(
        rest="https://contract.mexc.com",
        ws=_edge("contract.mexc.com"),
        note="the REST host before 2026-01-19, still answering in September 2026: for reads only",
    ),
    "co": Endpoint(
        rest="https://api.mexc.co",
        ws=_edge("contract.mexc.co"),
        note="the venue's other domain, seen in its own demos",
    ),
}

SPOT_LIMITS: Final = Limits(
    subscriptions_per_connection=30,
    params_per_message=30,
    # 100 are allowed; above that the venue hangs up and may ban the address.
    messages_per_second=20.0,
    # Not documented; a careful number.
    connects_per_window=60,
    connect_window=60.0,
    connections_per_host=None,
    lifetime=DAY,
    # The documents of 2025 give 500 per endpoint and 10 s, newer ones 300 for all together: the strict one.
    budgets=(
        Budget("weight", limit=300, seconds=10.0, aligned=False),
        Budget("account_weight", limit=500, seconds=10.0, aligned=False, scope="account"),
        # Orders and cancels together.
        Budget("orders", limit=12, seconds=1.0, aligned=False, scope="account"),
        # Batches and account queries, each twice a second.
        Budget("slow", limit=2, seconds=1.0, aligned=False, scope="account"),
    ),
    source="MEXC Spot V3: Websocket Market Streams, Limits; 2026-11",
)

FUTURES_LIMITS: Final = Limits(
    # Not documented: 40 were seen to work, a notice of 2023 spoke of 200, client libraries stop at 30.
    subscriptions_per_connection=30,
    params_per_message=1,
    messages_per_second=20.0,
    connects_per_window=60,
    connect_window=60.0,
    connections_per_host=None,
    # Documented for spot only; rotating is harmless.
    lifetime=DAY,
    budgets=(
        Budget("weight", limit=20, seconds=2.0, aligned=False),
        Budget("detail", limit=1, seconds=5.0, aligned=False),
        # Older pages give 20 for single orders: the strict one.
        Budget("orders", limit=4, seconds=2.0, aligned=False, scope="account"),
        Budget("batches", limit=1, seconds=2.0, aligned=False, scope="account"),
    ),
    source="MEXC Contract V1: WebSocket API, Access the URL; 2026-11",
)

PING_EVERY: Final = 15.0
"""Seconds between client pings; the venue asks for 10 to 20."""

HEARTBEAT: Final = Heartbeat("client", interval=PING_EVERY, silence=50.0, deadline=60.0)
"""Without a client ping the venue hangs up after 60 s, on futures even while it is pushing data. Every ping is
answered, so 50 s without any frame are three pongs that did not come."""

Speed = Literal["10ms", "100ms"]


class SpotSettings(Struct, frozen=True):
    """What can be chosen about the spot streams."""

    speed: Speed = "100ms"
    """Push interval of trades, quotes and the book. With 10 ms, 96 to 99 % of quotes repeat the one before."""
    batched_quotes: bool = False
    """Take quotes from ``bookTicker.batch`` instead of ``aggre.bookTicker``."""
    ticker_zone: str = "24H"
    """Time zone of the mini tickers. Only 24H makes them rolling 24 h statistics, as ``Ticker`` promises."""
    snapshot_levels: int = 1000
    """Levels of a REST snapshot, at most 5000."""


class FuturesSettings(Struct, frozen=True):
    """What can be chosen about the futures streams."""

    merge_depth: bool = False
    """Let the venue merge depth increments (``compress`` true, its own default): fewer pushes, same books."""
    subscriptions_per_connection: int = 30
    """No limit is documented."""
    gzip: bool | None = None
    """Ask for gzip frames, or for none; None: say nothing. Both are read either way."""
    snapshot_levels: int = 1000
