"""Our own adapters pass the conformance kit: every case on every market, in virtual and in real time."""

from __future__ import annotations

import pytest

from tests.conformance.markets import VENUES
from unitape.testing.conformance import CASES, BoundCase, cases_for


@pytest.mark.parametrize("case", cases_for(*VENUES, clocks=("virtual", "real")), ids=str)
def test_conformance(case: BoundCase) -> None:
    case.run()


def test_the_cases_are_numbered_and_cover_six_markets_on_both_clocks() -> None:
    assert [case.number for case in CASES] == [f"C{number:02}" for number in range(1, 15)]
    assert len(cases_for(*VENUES, clocks=("virtual", "real"))) == 14 * 6 * 2
