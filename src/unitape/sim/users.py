"""Who trades on simulated markets when nobody else is named. Their keys are public: they open nothing real."""

from __future__ import annotations

from typing import Final

from unitape.spi.simulated_accounts import SimUser

__all__ = ["DEFAULT_USERS", "DEMO_USER", "READER_USER"]

DEMO_USER: Final = SimUser(
    "demo",
    "sim-demo-key",
    "sim-demo-secret",
    "sim-demo-passphrase",
    balances={"USDT": "100000", "BTC": "2", "ETH": "20"},
)
"""May read and trade. Markets book the starting balances of those currencies that they know."""

READER_USER: Final = SimUser(
    "reader",
    "sim-reader-key",
    "sim-reader-secret",
    "sim-reader-passphrase",
    permissions=("read",),
    ip_bound=False,
    balances={"USDT": "1000"},
)
"""May read only, from any address."""

DEFAULT_USERS: Final = (DEMO_USER, READER_USER)
