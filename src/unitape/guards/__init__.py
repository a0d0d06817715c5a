"""What stands between a mistake and the venue: risk limits, the kill switch, the dead-man switch."""

from __future__ import annotations

from unitape.guards.guards import Alert, AuditRecord, Guards, MarketGuard
from unitape.guards.kill import Halt, KillRules, KillSwitch, Signal, SignalRule
from unitape.guards.limits import RiskLimits
from unitape.guards.risk import Judge
from unitape.guards.view import AccountView

__all__ = [
    "AccountView",
    "Alert",
    "AuditRecord",
    "Guards",
    "Halt",
    "Judge",
    "KillRules",
    "KillSwitch",
    "MarketGuard",
    "RiskLimits",
    "Signal",
    "SignalRule",
]
