"""Over thousands of seeds of faults, the plan's journal explains every position it ends with."""

from __future__ import annotations

import json
import os
from collections import Counter
from decimal import Decimal
from fractions import Fraction

import anyio
import pytest

from tests.arbitrage.bourse import LAG, ORIGIN, STEP, Bourse, World
from unitape.arbitrage import (
    PlanLeg,
    PlanPolicy,
    TwoLegPlan,
    TwoLegs,
    read_journal,
    restore_plan,
    resume_plan,
    run_plan,
    write_entry,
)
from unitape.clock import LoopClock

pytestmark = pytest.mark.anyio
D = Decimal
SEEDS = max(2000, int(os.environ.get("UNITAPE_SEEDS", "0")))


def leg_of(venue: Bourse, side: str, size: Decimal, price: Decimal, undo: Decimal, multiplier: int, **rules) -> PlanLeg:
    given = {"min_size": None, "max_size": None, "min_notional": None, **rules}
    return PlanLeg(
        venue=venue.name,
        market="perp" if venue.linear else "spot",
        symbol=venue.symbol,
        side=side,
        size=size,
        price=price,
        undo=undo,
        multiplier=multiplier,
        kind="linear" if venue.linear else "spot",
        base=venue.symbol.partition("/")[0],
        quote="USD",
        settle="USD" if venue.linear else None,
        tick=D("0.01"),
        step=STEP,
        absence_lag=LAG,
        **given,
    )


class Run:
    """One seed: its venues, legs and policy, and what must be true afterwards."""

    def __init__(self, seed: int, clock: LoopClock):
        world = self.world = World(seed, clock)
        rng = world.rng
        fees = ("quote", "base", "token")
        thousand = rng.random() < 0.3
        self.multiplier = 10 if thousand else 1
        self.buy = Bourse(world, "north", "COIN/USD", fee=rng.choice(fees))
        symbol = "10COIN/USD:USD" if thousand else rng.choice(("COIN/USD", "COIN/USD:USD"))
        self.sell = Bourse(world, "south", symbol, fee=rng.choice(fees))
        units = STEP * rng.randint(1, 40) * 10
        rules = {"min_size": rng.choice((None, STEP * 4)), "min_notional": rng.choice((None, D(30)))}
        price = D(rng.randint(5_000, 9_000)) / 100
        self.legs = TwoLegs(
            "COIN",
            leg_of(self.buy, "buy", units, price, price - D("0.07"), 1, **rules),
            leg_of(
                self.sell,
                "sell",
                units / self.multiplier,
                (price + D("0.5")) * self.multiplier,
                (price + D("0.6")) * self.multiplier,
                self.multiplier,
                **rules,
            ),
        )
        self.policy = PlanPolicy(
            max_notional=max(self.legs.buy.size * price, units * (price + 1)) * 2,
            recovery=rng.choice((("hedge", "unwind"), ("hedge", "unwind"), ("unwind",), ("hedge",), ())),
            max_slippage=D(rng.choice(("0", "0.001", "0.01"))),
            max_attempts=rng.randint(1, 4),
            tif=rng.choice(("ioc", "ioc", None)),
            resolve_within=40.0,
            settle_within=20.0,
        )
        if rng.random() < 0.06:
            rng.choice((self.buy, self.sell)).blackout = world.now + 120.0
        world.check_order = self.check_order
        self.torn = b""
        self.plan = TwoLegPlan(f"p{seed}x", self.legs, self.policy, live=True)

    def check_order(self, venue: Bourse, side: str, size: Decimal, price: Decimal, before: int) -> None:
        """Judge an order by the policy, from the plan's inputs alone."""
        seed = self.world.seed
        leg = self.legs.buy if venue is self.buy else self.legs.sell
        if before < 2:
            assert (side, size, price) == (leg.side, leg.size, leg.price), seed
            return
        kind = "hedge" if side == leg.side else "unwind"
        assert kind in self.policy.recovery, seed
        reference = leg.price if kind == "hedge" else leg.undo
        off = (price - reference) / reference if side == "buy" else (reference - price) / reference
        assert 0 <= off <= self.policy.max_slippage, seed
        assert price % D("0.01") == 0, seed
        assert size * price <= self.policy.max_notional, seed
        assert leg.min_size is None or size >= leg.min_size, seed
        assert leg.min_notional is None or size * price >= leg.min_notional, seed
        open_units = abs(self.truth())
        assert size * leg.multiplier <= open_units, f"seed {seed}: more than is open"
        assert before < 2 + len(self.policy.recovery) * self.policy.max_attempts, seed

    def truth(self) -> Fraction:
        """Units bought less units sold, by the venues' own books."""
        total = Fraction(0)
        for venue, multiplier in ((self.buy, 1), (self.sell, self.multiplier)):
            for one in venue.orders.values():
                total += (1 if one.side == "buy" else -1) * Fraction(one.filled) * multiplier
        return total

    def record(self, entry) -> None:
        self.world.recorded.append(write_entry(entry))

    async def go(self) -> list[dict]:
        """Run to the end, and once more with everything mended if a fate was left open; return the journal's lines."""
        traders = {"north": self.buy, "south": self.sell}
        ended = await run_plan(self.plan, traders, clock=self.world.clock, record=self.record)
        if ended.outcome == "unresolved":
            self.judge_unresolved()
        if not ended.complete:
            await anyio.sleep(150)
            self.world.mended = True
            await resume_plan(self.plan, traders, clock=self.world.clock, record=self.record)
        # What the plan believes to be over must stay over.
        await anyio.sleep(60)
        for venue in (self.buy, self.sell):
            venue.advance()
        for violation in self.world.violations:
            raise violation
        return [json.loads(line) for line in self.world.recorded]

    def judge_unresolved(self) -> None:
        """Nothing was sent after the fate of an order was given up on, and the journal names it."""
        lines = [json.loads(line) for line in self.world.recorded]
        lost = [line["client_id"] for line in lines if line["type"] == "order_ended" and line["end"] == "lost"]
        assert lost, self.world.seed
        at = next(n for n, line in enumerate(lines) if line["type"] == "order_ended" and line["end"] == "lost")
        assert not [line for line in lines[at:] if line["type"] == "order_sending"], self.world.seed
        assert all(name in lines[-1]["text"] for name in lost), self.world.seed

    def judge(self, lines: list[dict]) -> str:
        """Compare the journal, read as plain JSON, with the venues' ledgers."""
        seed, ended = self.world.seed, lines[-1]
        assert ended["type"] == "plan_ended", seed
        assert ended["outcome"] != "unresolved", seed
        assert ended["complete"] is True, seed
        legs = {leg["venue"]: leg for leg in (lines[0]["legs"]["buy"], lines[0]["legs"]["sell"])}
        explained: dict[tuple[str, str, str], Fraction] = {}
        for line in lines:
            if line["type"] != "fill_told":
                continue
            fill = line["fill"]
            leg = legs[fill["venue"]]
            sign = 1 if fill["side"] == "buy" else -1
            size, price = Fraction(fill["size"]), Fraction(fill["price"])
            rows = [("balance", fill["fee_currency"], -Fraction(fill["fee"]))]
            if leg["kind"] == "linear":
                rows += [("position", leg["symbol"], sign * size)]
                rows += [("balance", leg["settle"], Fraction(fill["realized_pnl"]))]
            else:
                rows += [("balance", leg["base"], sign * size), ("balance", leg["quote"], -sign * price * size)]
            for what, name, amount in rows:
                key = (fill["venue"], what, name)
                explained[key] = explained.get(key, Fraction(0)) + amount
        booked = {
            (venue.name, what, name): amount
            for venue in (self.buy, self.sell)
            for (what, name), amount in venue.ledger.items()
        }
        assert {k: v for k, v in explained.items() if v} == {k: v for k, v in booked.items() if v}, seed
        told = {(row["venue"], row["what"], row["name"]): Fraction(row["amount"]) for row in ended["changes"]}
        assert told == {k: v for k, v in booked.items() if v}, seed
        assert Fraction(ended["residual"]) == self.truth(), seed
        self.judge_outcome(ended["outcome"], lines)
        return ended["outcome"]

    def judge_outcome(self, outcome: str, lines: list[dict]) -> None:
        seed = self.world.seed
        traded = any(one.filled for venue in (self.buy, self.sell) for one in venue.orders.values())
        recovered = {
            line["purpose"]
            for line in lines
            if line["type"] == "order_sending"
            and line["purpose"] != "leg"
            and self.world.venues[line["venue"]].orders.get(line["client_id"]) is not None
            and self.world.venues[line["venue"]].orders[line["client_id"]].filled
        }
        if any(
            leg.size < (leg.min_size or 0) or leg.size * leg.price < (leg.min_notional or 0)
            for leg in (self.legs.buy, self.legs.sell)
        ):
            # A process may die before it says so; then there is nothing to resume.
            assert (outcome in ("refused", "nothing"), self.world.placed) == (True, []), seed
        elif self.truth():
            assert outcome == "exposed", seed
            # Each kind that the policy allows was used up, or said why it could not go on.
            for kind in self.policy.recovery:
                sent = [x for x in lines if x["type"] == "order_sending" and x["purpose"] == kind]
                excused = [x for x in lines if x["type"] == "decided" and x["action"] == f"no {kind}"]
                hopeless = [x for x in lines if x["type"] == "order_ended" and "InsufficientFunds" in x["text"]]
                assert len(sent) == self.policy.max_attempts or excused or hopeless, seed
        elif not traded:
            assert outcome == "nothing", seed
        elif not recovered:
            assert outcome == "matched", seed
        else:
            name = {("hedge",): "hedged", ("unwind",): "unwound"}.get(tuple(recovered), "recovered")
            assert outcome == name, seed


async def test_the_journal_explains_every_position_over_thousands_of_fault_seeds() -> None:
    clock, seen = LoopClock(ORIGIN), Counter()
    for seed in range(SEEDS):
        run = Run(seed, clock)
        lines = await run.go()
        seen[run.judge(lines)] += 1
        seen["resumed"] += any(line["type"] == "decided" and line["action"] == "resume" for line in lines)
        seen["absent"] += any(line["type"] == "order_ended" and line["end"] == "absent" for line in lines)
        seen["canceled"] += any(line["type"] == "order_canceling" for line in lines)
        seen["fills told more"] += any(line["type"] == "decided" and line["action"] == "correct" for line in lines)
    wanted = (
        "refused",
        "nothing",
        "matched",
        "hedged",
        "unwound",
        "recovered",
        "exposed",
        "resumed",
        "absent",
        "canceled",
    )
    for what in wanted:
        assert seen[what] >= SEEDS // 200, seen


class Crash(BaseException):
    """The process dies."""


async def crash(run: Run, after: int) -> bool:
    """Let a plan's process die at its ``after``-th entry; tell whether it came that far."""
    left = after

    def record(entry) -> None:
        nonlocal left
        left -= 1
        line = write_entry(entry)
        if left == 0:
            # Half of the line reached the disk.
            run.torn = line[: len(line) // 2]
            raise Crash
        run.world.recorded.append(line)

    try:
        await run_plan(run.plan, {"north": run.buy, "south": run.sell}, clock=run.world.clock, record=record)
    except BaseException as error:
        if not dies(error):
            raise
        return True
    return False


def dies(error: BaseException) -> bool:
    return isinstance(error, Crash) or (
        isinstance(error, BaseExceptionGroup) and all(dies(inner) for inner in error.exceptions)
    )


async def test_a_plan_whose_process_died_is_carried_to_its_end_by_its_journal() -> None:
    clock, seen = LoopClock(ORIGIN), Counter()
    for seed in range(SEEDS // 4):
        run = Run(seed, clock)
        crashed = await crash(run, run.world.rng.randint(2, 25))
        if not crashed:
            seen["had ended"] += 1
            continue
        seen["orders out"] += bool(run.world.open_fates())
        await anyio.sleep(run.world.rng.choice((0.0, 0.5, 100.0)))
        run.plan = restore_plan(read_journal([*run.world.recorded, run.torn], torn=True))
        ended = await resume_plan(
            run.plan, {"north": run.buy, "south": run.sell}, clock=clock, record=run.record
        )  # fmt: skip
        if not ended.complete:
            run.world.mended = True
            await anyio.sleep(150)
            await resume_plan(run.plan, {"north": run.buy, "south": run.sell}, clock=clock, record=run.record)
        await anyio.sleep(60)
        for violation in run.world.violations:
            raise violation
        for venue in (run.buy, run.sell):
            venue.advance()
        lines = [json.loads(line) for line in run.world.recorded]
        seen[run.judge(lines)] += 1
        assert restore_plan(read_journal(run.world.recorded)).outcome == run.plan.outcome, seed
    assert seen["orders out"] >= SEEDS // 40, seen
    for what in ("matched", "nothing", "hedged", "unwound"):
        assert seen[what], seen
