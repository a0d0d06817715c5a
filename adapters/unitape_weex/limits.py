"""What the venue allows, as data."""

from __future__ import annotations

from typing import Final

from unitape.spi import Budget, Heartbeat, Limits

__all__ = ["CONTRACT_LIMITS", "HEARTBEAT", "OPERATIONS_PER_HOUR", "REFUSALS_PER_CONNECTION", "SPOT_LIMITS"]

SOURCE: Final = "API documentation V3, WebSocket introduction and access limits, 2026-07; FAQ 2026-04"

OPERATIONS_PER_HOUR: Final = 240
"""Subscribe and unsubscribe requests on one connection."""

REFUSALS_PER_CONNECTION: Final = 5
"""The sixth refused request closes a connection with code 1007 (seen 2026-09; not documented)."""

WEIGHT: Final = Budget("weight", limit=500, seconds=10.0, aligned=False, header="x-used-weight-10s")
"""The generations of the venue's pages disagree (500 or 2000 per 10 s and address); the smaller one holds in all."""

ACCOUNT_WEIGHT: Final = Budget("account_weight", limit=500, seconds=10.0, aligned=False, scope="account")
"""Private requests are weighed a second time, by account."""


def _limits(budgets: tuple[Budget, ...]) -> Limits:
    return Limits(
        # Documented: 100 channels. Twenty are left for channels that a refusal makes us ask for one by one.
        subscriptions_per_connection=80,
        # Not documented; a request of nine was seen to pass.
        params_per_message=9,
        # Not documented; a pace that no account speaks against.
        messages_per_second=10.0,
        connects_per_window=300,
        connect_window=300.0,
        connections_per_host=100,
        # Not documented: any close is taken as normal.
        lifetime=None,
        operations_per_hour=OPERATIONS_PER_HOUR,
        budgets=budgets,
        source=SOURCE,
    )


SPOT_LIMITS: Final = _limits(
    (
        WEIGHT,
        ACCOUNT_WEIGHT,
        Budget("orders", limit=100, seconds=60.0, aligned=False, scope="account"),
        Budget("cancels", limit=80, seconds=10.0, aligned=False, scope="account"),
    )
)
CONTRACT_LIMITS: Final = _limits(
    (
        WEIGHT,
        ACCOUNT_WEIGHT,
        Budget("orders", limit=50, seconds=60.0, aligned=False, scope="account"),
        Budget("cancels", limit=50, seconds=60.0, aligned=False, scope="account"),
    )
)

HEARTBEAT: Final = Heartbeat(
    kind="server",
    interval=60.0,
    silence=90.0,
    # More than ten pings, a minute apart, may go unanswered before the venue hangs up.
    deadline=600.0,
)
