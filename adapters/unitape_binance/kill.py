"""What the venue's answers say about its endpoints."""

from __future__ import annotations

from typing import Final

from unitape.spi import KillSignals

__all__ = ["SPOT_KILL", "USDM_KILL"]

SPOT_KILL: Final = KillSignals(
    # -1125: a listen key ran out, which is ordinary. -1016: the service is no longer there.
    codes={"-1016": "disabled", "-1125": "reject", "-2014": "auth", "-2015": "auth", "-1022": "auth"},
    source="binance-spot-api-docs: Error codes; 2026-07",
)

USDM_KILL: Final = KillSignals(
    codes={
        "-1016": "disabled",
        "-1125": "reject",
        "-2014": "auth",
        "-2015": "auth",
        "-1022": "auth",
        # The account is being liquidated: no fault of key or endpoint.
        "-2023": "reject",
    },
    # Conditional orders moved to endpoints of their own once, and may move again.
    families=(("/fapi/v1/algo", "plan"), ("AlgoOrders", "plan")),
    source="USDⓈ-M futures: Error codes; 2026-10",
)
