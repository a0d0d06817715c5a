"""C20 on our own adapters: as many seeds as UNITAPE_SEEDS says, and a failing one can be seen again."""

from __future__ import annotations

import os
import subprocess
import sys

import anyio
import msgspec
import pytest

from tests.conformance.markets import VENUES
from unitape.sim import FaultSchedule
from unitape.testing import run_virtual
from unitape.testing.conformance import FaultCase, Ledger, fault_cases_for, markets_of, rig
from unitape.testing.conformance.faults import EVERYWHERE, SINGLE, endure


@pytest.mark.parametrize("case", fault_cases_for(*VENUES), ids=str)
def test_c20_under_faults_everything_is_delivered_once_or_told(case: FaultCase) -> None:
    case.run()


@pytest.mark.parametrize("seed", range(3))
def test_c20_holds_in_real_time(seed: int) -> None:
    """All markets at once, on the real clock."""

    async def all_of_them() -> None:
        async with anyio.create_task_group() as tasks:
            for venue, market in markets_of(*VENUES):
                tasks.start_soon(FaultCase(venue, market, seed, "real").strike)

    anyio.run(all_of_them)


def events_of(seed: int) -> list[bytes]:
    """Run one schedule and return every event that came of it."""
    venue, market = markets_of(*VENUES)[seed % 6]
    ledger = Ledger()

    async def run() -> None:
        schedule = FaultSchedule.seeded(seed, duration=60.0, count=8, kinds=(*EVERYWHERE, *SINGLE), warm_up=5.0)
        async with rig(venue, market, seed=seed, symbols=2, rate=3.0, tick=0.1, ledger=ledger) as work:
            await endure(work, schedule, (260.0, 900.0, 20.0))

    run_virtual(run, seed=seed)
    return [msgspec.json.encode(event) for event in ledger.events]


@pytest.mark.parametrize("seed", [3, 4])
def test_the_same_seed_gives_the_same_events_byte_for_byte_in_another_process(seed: int) -> None:
    script = (
        "import hashlib; from tests.conformance.test_faults import events_of; "
        f"print(hashlib.sha256(b''.join(events_of({seed}))).hexdigest())"
    )
    digests = {
        subprocess.run(
            [sys.executable, "-c", script],
            env={**os.environ, "PYTHONHASHSEED": str(hash_seed)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for hash_seed in (1, 2)
    }
    assert len(digests) == 1, f"seed {seed} took another course"
    assert len(events_of(seed)) > 200


def test_a_failing_seed_says_how_to_see_it_again(monkeypatch: pytest.MonkeyPatch) -> None:
    venue, market = markets_of(*VENUES)[0]
    case = FaultCase(venue, market, 17)

    async def lose(*_: object, **__: object) -> None:
        raise AssertionError("3 losses in silence")

    monkeypatch.setattr("unitape.testing.conformance.kit.under_faults", lose)
    with pytest.raises(AssertionError, match="3 losses") as caught:
        case.run()
    command = f"UNITAPE_SEED=17 and pytest -k {venue.name}-{market}-virtual-17"
    assert caught.value.__notes__ == [f"seed 17 of {venue.name} {market} fails; see it again with {command}"]
    monkeypatch.setenv("UNITAPE_SEED", "17")
    again = fault_cases_for(*VENUES)
    assert len(again) == 6
    assert {one.seed for one in again} == {17}
    assert str(again[0]) == f"C20-{venue.name}-{market}-virtual-17"


def test_the_number_of_seeds_is_asked_for_by_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("UNITAPE_SEED", raising=False)
    monkeypatch.setenv("UNITAPE_SEEDS", "13")
    cases = fault_cases_for(*VENUES)
    assert [case.seed for case in cases] == list(range(13))
    assert {(case.venue.name, case.market) for case in cases} == {(v.name, m) for v, m in markets_of(*VENUES)}
