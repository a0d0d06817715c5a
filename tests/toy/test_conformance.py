"""A venue that unitape has never heard of passes the conformance kit: the first two functions are all it takes."""

from __future__ import annotations

import pytest
from msgspec import structs

from tests.toy.pebble import VENUE, PebbleBookRule, PebbleCodec, PebbleSession
from unitape.errors import ConfigError
from unitape.spi import Fit
from unitape.testing.conformance import BoundCase, FaultCase, cases_for, fault_cases_for


@pytest.mark.parametrize("case", cases_for(VENUE), ids=str)
def test_conformance(case: BoundCase) -> None:
    case.run()


@pytest.mark.parametrize("case", fault_cases_for(VENUE, seeds=range(12)), ids=str)
def test_faults(case: FaultCase) -> None:
    case.run()


def lots_for_base_units(codec: PebbleCodec, pair: str, lots: str) -> float:
    return float(lots)


def never_a_gap(last: int, seq: int) -> Fit:
    return Fit.STALE if seq <= last else Fit.APPLY


def forget_to_send(session: PebbleSession, subscriptions: object) -> None:
    """Neither the streams are forgotten nor the venue is told."""


@pytest.mark.parametrize(
    ("owner", "name", "mistake", "number"),
    [
        (PebbleCodec, "base_units", lots_for_base_units, "C04"),
        (PebbleCodec, "base_units", lots_for_base_units, "C05"),
        (PebbleBookRule, "_fit", staticmethod(never_a_gap), "C10"),
        (PebbleSession, "unsubscribe", forget_to_send, "C12"),
    ],
)
def test_a_mistake_of_an_adapter_fails_the_case_that_is_about_it(
    owner: type, name: str, mistake: object, number: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(owner, name, mistake)
    (case,) = [case for case in cases_for(VENUE) if case.case.number == number]
    with pytest.raises(AssertionError) as caught:
        case.run()
    assert caught.value.__notes__[0].startswith(f"{number} {case.case.title}")


def test_a_venue_without_a_simulator_is_told_what_it_needs() -> None:
    with pytest.raises(ConfigError, match="pebble: the cases need a simulator"):
        cases_for(structs.replace(VENUE, simulator=None))
