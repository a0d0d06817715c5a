"""The numbered cases that every adapter must pass, on a simulated exchange that holds the truth.

::

    from unitape.testing.conformance import BoundCase, FaultCase, cases_for, fault_cases_for

    @pytest.mark.parametrize("case", cases_for(VENUE), ids=str)
    def test_conformance(case: BoundCase) -> None:
        case.run()

    @pytest.mark.parametrize("case", fault_cases_for(VENUE), ids=str)
    def test_faults(case: FaultCase) -> None:
        case.run()

Needs the extra ``testing``. ``rig`` is what the cases stand on, for cases of your own.
"""

from __future__ import annotations

from unitape.testing.conformance.cases import CASES, Case
from unitape.testing.conformance.kit import (
    BoundCase,
    FaultCase,
    cases_for,
    fault_cases_for,
    fault_seeds,
    markets_of,
)
from unitape.testing.conformance.rig import Journal, Ledger, Rig, TradeKey, journal_sizes, received_sizes, rig

__all__ = [
    "CASES",
    "BoundCase",
    "Case",
    "FaultCase",
    "Journal",
    "Ledger",
    "Rig",
    "TradeKey",
    "cases_for",
    "fault_cases_for",
    "fault_seeds",
    "journal_sizes",
    "markets_of",
    "received_sizes",
    "rig",
]
