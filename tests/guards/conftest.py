"""The toy exchange of the trading tests, on virtual time."""

from __future__ import annotations

from tests.trade.conftest import anyio_backend, bourse, clock, trader

__all__ = ["anyio_backend", "bourse", "clock", "trader"]
