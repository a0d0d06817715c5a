"""The countdown of the simulated USDⓈ-M market that cancels a symbol's orders unless it is set anew in time.

Source: Auto-Cancel All Open Orders of the public REST documentation of USDⓈ-M futures, October 2026. It counts per user
and symbol. Whether conditional orders go, too, the page does not say: here they stay.
"""

from __future__ import annotations

from unitape.spi.simulated_accounts import SimUser
from unitape.spi.simulation import Exchange
from unitape_binance.simulator_algo_usdm import UsdmPrivateFace
from unitape_binance.simulator_private import PrivateEndpoint, flat
from unitape_binance.simulator_rest import Json, Parameters
from unitape_binance.simulator_rules import MILLIS, Spelling

__all__ = ["UsdmCountdownFace"]


class UsdmCountdownFace(UsdmPrivateFace):
    """All private endpoints of USDⓈ-M."""

    def __init__(self, exchange: Exchange, spelling: Spelling, *, enforce_limits: bool) -> None:
        super().__init__(exchange, spelling, enforce_limits=enforce_limits)
        self._now = 0
        self._ends: dict[tuple[str, str], int] = {}
        self.endpoints = {
            **self.endpoints,
            ("POST", "/fapi/v1/countdownCancelAll"): PrivateEndpoint(self._count_down, flat(10), trades=True),
        }

    def _count_down(self, user: SimUser, parameters: Parameters) -> Json:
        symbol = self._spec(parameters).symbol
        parameters.required("countdownTime")
        millis = parameters.number("countdownTime") or 0
        if millis:
            self._ends[user.name, symbol] = self._now + millis * MILLIS
        else:
            self._ends.pop((user.name, symbol), None)
        return {"symbol": self.spelling.raw_of[symbol], "countdownTime": str(millis)}

    def tick(self, now: int) -> None:
        """Cancel where a countdown has run out; ``now`` is the monotonic clock in nanoseconds."""
        self._now = now
        for user, symbol in [name for name, end in self._ends.items() if end <= now]:
            del self._ends[user, symbol]
            self._accounts.cancel_all(user, symbol, conditional=False)
