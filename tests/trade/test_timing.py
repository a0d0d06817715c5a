"""The venue's clock: measured within its own uncertainty, refused when that is too large."""

from __future__ import annotations

import random

import anyio
import pytest

from unitape.clock import LoopClock
from unitape.errors import TransportError
from unitape.trade.timing import TimeAnswer, VenueClock

pytestmark = pytest.mark.anyio
ORIGIN = 1_790_000_000_000_000_000
SECOND = 1_000_000_000


class Far:
    """A venue whose clock is ahead, told in whole milliseconds, behind a network with given delays."""

    def __init__(self, clock: LoopClock, skew: float, delays: list[tuple[float, float]]) -> None:
        self.clock = clock
        self.skew = round(skew * SECOND)
        self.delays = delays
        self.asked = 0
        self.broken = False

    def truth(self) -> int:
        return self.clock.wall() + self.skew

    async def ask(self) -> TimeAnswer:
        out, back = self.delays[self.asked % len(self.delays)]
        self.asked += 1
        asked = self.clock.mono()
        await anyio.sleep(out)
        if self.broken:
            raise TransportError("no answer")
        told = self.truth() // 1_000_000 * 1_000_000
        await anyio.sleep(back)
        return TimeAnswer(asked, told, self.clock.mono())


@pytest.mark.parametrize("seed", range(20))
async def test_the_truth_lies_within_the_uncertainty(clock: LoopClock, seed: int) -> None:
    rng = random.Random(seed)
    delays = [(rng.uniform(0.001, 0.4), rng.uniform(0.001, 0.4)) for _ in range(5)]
    far = Far(clock, rng.uniform(-3000, 3000), delays)
    measured = VenueClock("far", far.ask, clock, bound=0.5, refresh=240.0)
    await measured.ready()
    wrong = abs(measured.now() - far.truth()) / SECOND
    uncertain = measured.uncertainty()
    assert uncertain is not None
    assert wrong <= uncertain, f"seed {seed}"
    assert uncertain == pytest.approx(min(out + back for out, back in delays) / 2, abs=0.002), f"seed {seed}"
    offset = measured.offset()
    assert offset == pytest.approx(far.skew / SECOND, abs=uncertain), f"seed {seed}"


async def test_a_quick_answer_is_enough(clock: LoopClock) -> None:
    far = Far(clock, 5.0, [(0.004, 0.004)])
    measured = VenueClock("far", far.ask, clock, bound=0.5, refresh=240.0)
    await measured.ready()
    await measured.ready()
    assert far.asked == 1


async def test_a_clock_known_too_badly_is_not_used(clock: LoopClock) -> None:
    far = Far(clock, 5.0, [(0.7, 0.7)])
    measured = VenueClock("far", far.ask, clock, bound=0.5, refresh=240.0)
    with pytest.raises(TransportError, match="known only to") as refused:
        await measured.ready()
    assert not refused.value.sent
    assert far.asked == 5


async def test_an_unknown_clock_is_not_used(clock: LoopClock) -> None:
    far = Far(clock, 5.0, [(0.1, 0.1)])
    far.broken = True
    measured = VenueClock("far", far.ask, clock, bound=0.5, refresh=240.0)
    with pytest.raises(TransportError, match="no answer"):
        await measured.ready()
    with pytest.raises(TransportError, match="was not measured"):
        measured.now()
    assert measured.offset() is None


async def test_one_lost_answer_of_five_does_no_harm(clock: LoopClock) -> None:
    far = Far(clock, 5.0, [(0.1, 0.1)])
    first = far.ask

    async def ask() -> TimeAnswer:
        if far.asked == 2:
            far.asked += 1
            raise TransportError("lost")
        return await first()

    measured = VenueClock("far", ask, clock, bound=0.5, refresh=240.0)
    await measured.ready()
    assert abs(measured.now() - far.truth()) < 0.11 * SECOND


async def test_uncertainty_grows_with_age_until_it_must_be_measured_again(clock: LoopClock) -> None:
    far = Far(clock, 5.0, [(0.02, 0.02)])
    measured = VenueClock("far", far.ask, clock, bound=0.1, refresh=240.0)
    await measured.ready()
    assert not measured.due
    await anyio.sleep(241)
    assert measured.due
    asked = far.asked
    await measured.ready()
    assert far.asked == asked, "0.02 s and a drift of 1e-4 still serve"
    await anyio.sleep(900)
    await measured.ready()
    assert far.asked > asked


async def test_a_failed_refresh_keeps_what_is_known(clock: LoopClock) -> None:
    far = Far(clock, 5.0, [(0.02, 0.02)])
    measured = VenueClock("far", far.ask, clock, bound=0.1, refresh=240.0)
    await measured.ready()
    known = measured.estimate
    far.broken = True
    await measured.refresh()
    assert measured.estimate is known
    far.broken = False
    await measured.refresh()
    assert measured.estimate is not known


async def test_a_jump_of_our_wall_clock_changes_nothing(clock: LoopClock) -> None:
    class Jumping:
        jump = 0

        def wall(self) -> int:
            return clock.wall() + self.jump

        def mono(self) -> int:
            return clock.mono()

    own = Jumping()
    far = Far(clock, 5.0, [(0.02, 0.02)])
    measured = VenueClock("far", far.ask, own, bound=0.1, refresh=240.0)
    await measured.ready()
    own.jump = 3_600 * SECOND
    assert abs(measured.now() - far.truth()) < 0.03 * SECOND


async def test_many_who_wait_measure_once(clock: LoopClock) -> None:
    far = Far(clock, 5.0, [(0.02, 0.02)])
    measured = VenueClock("far", far.ask, clock, bound=0.1, refresh=240.0)
    async with anyio.create_task_group() as tasks:
        for _ in range(10):
            tasks.start_soon(measured.ready)
    assert far.asked == 5
