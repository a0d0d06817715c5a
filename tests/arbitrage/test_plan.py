"""The plan step by step: what it sends, what it refuses to send, and what it says about it."""

from __future__ import annotations

from decimal import Decimal

import anyio
import msgspec
import pytest
from msgspec import structs

from tests.arbitrage.bourse import ORIGIN, Bourse, World
from tests.arbitrage.test_plan_faults import leg_of
from tests.views.oracle import NOW
from tests.views.test_edge import find, pair
from unitape.arbitrage import (
    Change,
    Moment,
    PlanPolicy,
    PlanState,
    TwoLegPlan,
    TwoLegs,
    plan_name,
    read_journal,
    restore_plan,
    resume_plan,
    run_plan,
    two_legs,
    write_entry,
)
from unitape.arbitrage.terms import slipped
from unitape.clock import LoopClock
from unitape.errors import ConfigError, InsufficientFunds
from unitape.views.edge import find_edge

pytestmark = pytest.mark.anyio
D = Decimal


class Setting:
    """Two calm venues where buying costs 100 and selling brings 101, and a plan of 2 coins."""

    def __init__(self, *, buy_rules=None, **policy):
        self.clock = LoopClock(ORIGIN)
        self.world = World(1, self.clock, calm=True)
        self.north = Bourse(self.world, "north", "COIN/USD")
        self.south = Bourse(self.world, "south", "COIN/USD:USD")
        self.north.liquidity = self.south.liquidity = D(10)
        self.legs = TwoLegs(
            "COIN",
            leg_of(self.north, "buy", D(2), D(100), D("99.9"), 1, **(buy_rules or {})),
            leg_of(self.south, "sell", D(2), D(101), D("101.1"), 1),
        )
        self.policy = PlanPolicy(**{"max_notional": D(1000), **policy})

    def plan(self, *, live=True) -> TwoLegPlan:
        return TwoLegPlan("plan1", self.legs, self.policy, live=live)

    async def run(self, plan: TwoLegPlan | None = None, **more):
        def record(entry) -> None:
            self.world.recorded.append(write_entry(entry))

        self.done = plan or self.plan()
        traders = {"north": self.north, "south": self.south}
        ended = await run_plan(self.done, traders, **{"clock": self.clock, "record": record, **more})
        for violation in self.world.violations:
            raise violation
        return ended

    def sent(self):
        return [(e.venue, e.side, e.size, e.price, e.purpose) for e in self.done.journal if hasattr(e, "purpose")]


async def test_both_legs_leave_at_once_and_match() -> None:
    on = Setting()
    started: list[float] = []
    for venue in (on.north, on.south):
        place = venue.place

        async def stamped(*args, _place=place, **more):
            started.append(anyio.current_time())
            return await _place(*args, **more)

        venue.place = stamped
    ended = await on.run()
    assert started[0] == started[1]
    assert (ended.outcome, ended.bought, ended.sold, ended.residual, ended.complete) == ("matched", 2, 2, 0, True)
    changes = {(c.venue, c.what, c.name): c.amount for c in ended.changes}
    assert changes["north", "balance", "COIN"] == 2
    assert changes["south", "position", "COIN/USD:USD"] == -2
    assert set(changes) == {
        ("north", "balance", "COIN"),
        ("north", "balance", "USD"),
        ("south", "position", "COIN/USD:USD"),
        ("south", "balance", "USD"),
    }
    assert [row[-1] for row in on.sent()] == ["leg", "leg"]


async def test_a_plan_is_a_dry_run_unless_told_otherwise() -> None:
    on = Setting()
    plan = TwoLegPlan("plan1", on.legs, on.policy)
    ended = await on.run(plan)
    assert (ended.outcome, ended.changes, on.world.placed) == ("dry_run", (), [])
    assert on.sent() == [
        ("north", "buy", D(2), D(100), "leg"),
        ("south", "sell", D(2), D(101), "leg"),
    ], "the journal says what it would have sent"
    assert plan.journal[0].live is False


async def test_what_is_missing_on_one_leg_is_hedged_there() -> None:
    on = Setting(max_slippage=D("0.003"), max_attempts=3)
    on.south.liquidity = D("0.5")

    async def refill() -> None:
        await anyio.sleep(0.15)
        on.south.liquidity = D("0.4")
        await anyio.sleep(0.3)
        on.south.liquidity = D(9)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(refill)
        ended = await on.run()
    assert (ended.outcome, ended.residual) == ("hedged", 0)
    hedges = [row for row in on.sent() if row[-1] == "hedge"]
    assert hedges[0] == ("south", "sell", D("1.5"), D("100.90"), "hedge"), "a third of 0.3 % below 101, on the tick"
    assert all(row[3] >= D("100.70") for row in hedges), "never further than 0.3 %"


async def test_what_cannot_be_hedged_is_unwound_where_it_is() -> None:
    on = Setting(max_attempts=2)
    on.south.halted = True
    ended = await on.run()
    assert (ended.outcome, ended.bought, ended.sold) == ("unwound", 2, 2)
    assert [row[-1] for row in on.sent()] == ["leg", "leg", "hedge", "hedge", "unwind"]
    assert on.sent()[-1] == ("north", "sell", D(2), D("99.81"), "unwind"), "half of 0.2 % below the bid of 99.9"
    coin = [c for c in ended.changes if c.name == "COIN"]
    assert coin == [], "bought and sold again: the fees alone are left"


async def test_a_refusal_that_would_come_again_is_not_tried_again() -> None:
    on = Setting()

    async def poor(*_args, **_more):
        raise InsufficientFunds("too poor", venue="south")

    on.south.place = poor
    ended = await on.run()
    assert ended.outcome == "unwound"
    assert [row[-1] for row in on.sent()] == ["leg", "leg", "unwind"]


async def test_without_a_recovery_what_is_open_is_left_and_said() -> None:
    on = Setting(recovery=())
    on.south.liquidity = D("0.75")
    ended = await on.run()
    assert (ended.outcome, ended.residual, len(on.world.placed)) == ("exposed", D("1.25"), 2)
    assert "1.25 COIN are left open" in ended.text


async def test_a_rest_below_what_the_venues_take_is_left_and_said() -> None:
    on = Setting(buy_rules={"min_size": D("0.1")})
    on.legs = structs.replace(on.legs, sell=structs.replace(on.legs.sell, min_notional=D(10)))
    on.south.liquidity = D("1.95")
    ended = await on.run()
    assert (ended.outcome, ended.residual, len(on.world.placed)) == ("exposed", D("0.05"), 2)
    reasons = [e.text for e in on.done.journal if getattr(e, "action", "").startswith("no ")]
    assert len(reasons) == 2
    assert "worth less than south COIN/USD:USD takes" in reasons[0]
    assert "less than north COIN/USD takes" in reasons[1]


async def test_no_order_is_worth_more_than_the_policy_allows() -> None:
    on = Setting(max_notional=D(201))
    ended = await on.run()
    assert (ended.outcome, on.world.placed) == ("refused", [])
    assert "202" in ended.text or "worth more" in ended.text


@pytest.mark.parametrize(
    ("side", "rules", "told"),
    [
        ("sell", {"price": D(5), "min_notional": D("10.01")}, "2 at 5 is worth less than south COIN/USD:USD takes"),
        ("buy", {"min_size": D("2.01")}, "2 is less than north COIN/USD takes"),
        ("sell", {"max_size": D("1.99")}, "2 is more than south COIN/USD:USD takes"),
        ("buy", {"step": D("0.3")}, "2 is no multiple of the step 0.3 of north COIN/USD"),
        ("sell", {"tick": D("0.3")}, "101 is not on the tick 0.3 of south COIN/USD:USD"),
    ],
)
async def test_a_leg_that_its_venue_would_refuse_keeps_the_other_one_back(side: str, rules: dict, told: str) -> None:
    on = Setting()
    on.legs = structs.replace(on.legs, **{side: structs.replace(on.legs.leg(side), **rules)})
    ended = await on.run()
    assert (ended.outcome, on.world.placed) == ("refused", []), "half of the trade would have been sent"
    assert told in ended.text


async def test_a_leg_right_at_what_its_venue_takes_is_sent() -> None:
    on = Setting(buy_rules={"min_size": D(2), "max_size": D(2), "min_notional": D(200)})
    assert (await on.run()).outcome == "matched"


async def test_slippage_that_takes_a_leg_below_the_least_value_is_refused() -> None:
    case, edge = find(lambda case, edge: edge.ok and case.hold == 0)
    sell = structs.replace(case.sell.instrument(), min_notional=edge.sell.limit * edge.sell.size)
    buy = case.buy.instrument()
    policy = PlanPolicy(max_notional=D(10) ** 9)
    exact = TwoLegPlan("a", two_legs(edge, buy, sell), policy, live=True)
    assert len(exact.begin(Moment(NOW, 0))) == 2, "worth just enough"
    lower = TwoLegPlan("b", two_legs(edge, buy, sell, slippage=D("0.01")), policy, live=True)
    assert lower.begin(Moment(NOW, 0)) == []
    assert lower.outcome == "refused"


async def test_an_edge_that_is_refused_or_old_or_of_two_sizes_is_not_sent() -> None:
    case, edge = find(lambda case, edge: edge.ok and case.hold == 0)
    legs = two_legs(edge, case.buy.instrument(), case.sell.instrument())
    policy = PlanPolicy(max_notional=D(10) ** 9)
    assert TwoLegPlan("a", legs, policy).begin(Moment(NOW + policy.max_edge_age, 0)) == []
    good, old, early = (TwoLegPlan("a", legs, policy, live=True) for _ in range(3))
    assert len(good.begin(Moment(NOW + policy.max_edge_age, 0))) == 2
    old.begin(Moment(NOW + policy.max_edge_age + 1, 0))
    early.begin(Moment(NOW - 1, 0))
    assert (old.outcome, early.outcome) == ("refused", "refused")
    with pytest.raises(ConfigError, match="never sent twice"):
        good.begin(Moment(NOW, 0))
    case, refused = find(lambda case, edge: edge.size and edge.codes == ("not_profitable",) and edge.net < 0)
    bad = TwoLegPlan("a", two_legs(refused, case.buy.instrument(), case.sell.instrument()), policy, live=True)
    assert bad.begin(Moment(NOW, 0)) == []
    assert (bad.outcome, bad.state) == ("refused", PlanState.ENDED)
    uneven = structs.replace(legs, edge=None, buy=structs.replace(legs.buy, size=legs.buy.size * 2))
    plan = TwoLegPlan("a", uneven, policy, live=True)
    assert plan.begin(Moment(NOW, 0)) == []
    assert plan.journal[-1].text == "the legs are not of one size"


def test_the_legs_are_those_of_the_edge() -> None:
    buy, sell = pair()
    edge = find_edge(buy, sell, now=NOW)
    legs = two_legs(edge, buy.instrument, sell.instrument, slippage=D("0.01"))
    assert (legs.buy.size, legs.sell.size) == (edge.buy.size, edge.sell.size)
    assert edge.buy.limit <= legs.buy.price <= edge.buy.limit * D("1.01")
    assert edge.sell.limit >= legs.sell.price >= edge.sell.limit * D("0.99")
    assert legs.buy.undo == D(repr(buy.book.best_bid[0]))
    with pytest.raises(ConfigError):
        two_legs(edge, sell.instrument, buy.instrument)


def test_slippage_never_reaches_beyond_its_fraction() -> None:
    assert slipped(D("100.03"), "buy", D("0.001"), D("0.05")) == D("100.10")
    assert slipped(D("100.03"), "sell", D("0.001"), D("0.05")) == D("99.95")
    assert slipped(D("100"), "buy", D("0.001"), D("0.3")) == D("100"), "no multiple of 0.3 lies between 100 and 100.1"
    assert slipped(D("100"), "buy", D("0.001"), None) == D("100")


async def test_a_journal_that_cannot_be_written_keeps_the_legs_from_leaving() -> None:
    on = Setting()

    def full(_entry) -> None:
        raise OSError("no space left")

    with pytest.raises(OSError, match="no space"):
        await on.run(record=full)
    assert on.world.placed == []


async def test_a_journal_that_breaks_later_does_not_leave_orders_alone() -> None:
    on = Setting()
    on.south.liquidity = D(1)

    def breaks(entry) -> None:
        on.world.recorded.append(write_entry(entry))
        if getattr(entry, "purpose", "") == "hedge":
            raise OSError("no space left")

    with pytest.raises(OSError, match="no space"):
        await on.run(record=breaks)
    assert on.done.outcome is not None
    assert on.done.residual == 0


async def test_a_cancellation_waits_until_the_position_is_explained() -> None:
    on = Setting()
    on.south.liquidity = D(1)
    with anyio.move_on_after(0.05):
        await on.run()
    assert (on.done.outcome, on.done.residual) == ("unwound", 0)
    assert on.done.complete
    assert not on.world.open_fates()


async def test_a_plan_that_knows_everything_has_nothing_to_resume() -> None:
    on = Setting()
    await on.run()
    with pytest.raises(ConfigError, match="nothing to resume"):
        await resume_plan(on.done, {"north": on.north, "south": on.south}, clock=on.clock)


async def test_the_journal_reads_back_as_it_was_written() -> None:
    on = Setting()
    on.south.halted = True
    ended = await on.run()
    assert read_journal(on.world.recorded) == on.done.journal
    assert read_journal([b"", b"\n"]) == []
    assert ended.changes[0] == Change("north", "spot", "balance", "USD", ended.changes[0].amount)


async def test_settings_that_make_no_sense_are_refused() -> None:
    on = Setting()
    for wrong in (
        {"max_notional": D(0)},
        {"max_slippage": D(1)},
        {"max_attempts": 0},
        {"recovery": ("hedge", "hedge")},
        {"patience": 0},
    ):
        with pytest.raises(ConfigError):
            structs.replace(on.policy, **wrong)
    for name in ("", "Plan", "a-b", "a" * 25):
        with pytest.raises(ConfigError, match="name"):
            TwoLegPlan(name, on.legs, on.policy)
    with pytest.raises(ConfigError, match="one leg buys"):
        TwoLegPlan("a", structs.replace(on.legs, buy=on.legs.sell), on.policy)
    with pytest.raises(ConfigError, match="resolve_within"):
        TwoLegPlan("a", on.legs, structs.replace(on.policy, resolve_within=12.0))
    with pytest.raises(ConfigError, match="nobody trades on south"):
        await run_plan(on.plan(), {"north": on.north})
    names = {plan_name(on.clock) for _ in range(200)}
    assert len(names) == 200
    assert all(TwoLegPlan(name, on.legs, on.policy) for name in names)


async def test_a_journal_of_something_else_is_no_plan() -> None:
    on = Setting()
    await on.run()
    with pytest.raises(ConfigError, match="begins with the plan"):
        restore_plan([])
    with pytest.raises(ConfigError, match="begins with the plan"):
        restore_plan(on.done.journal[1:])
    with pytest.raises(ConfigError, match="take one by one"):
        restore_plan([*on.done.journal, *on.done.journal])
    whole = restore_plan(on.done.journal)
    assert (whole.outcome, whole.complete, whole.bought) == ("matched", True, 2)
    with pytest.raises(ConfigError, match="nothing to resume"):
        whole.resume(Moment(ORIGIN, 0))
    lines = [write_entry(entry) for entry in on.done.journal]
    with pytest.raises(msgspec.DecodeError):
        read_journal([*lines[:-1], lines[-1][:20]])
    assert read_journal([*lines[:-1], lines[-1][:20]], torn=True) == on.done.journal[:-1]
    with pytest.raises(msgspec.DecodeError):
        read_journal([lines[0][:20], *lines], torn=True)


@pytest.mark.parametrize("verb", ["place", "order", "cancel", "fills"])
async def test_a_request_that_never_answers_does_not_hold_the_plan_for_ever(verb: str) -> None:
    on = Setting(tif=None, answer_within=20.0, resolve_within=60.0)
    on.south.liquidity = None if verb in ("order", "cancel") else D(10)
    asked, south = 0, getattr(on.south, verb)

    async def deaf(*args, **more):
        nonlocal asked
        asked += 1
        if asked > 1:
            return await south(*args, **more)
        if verb == "place":
            # It arrives all the same.
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(lambda: south(*args, **more))
                await anyio.sleep_forever()
        return await anyio.sleep_forever()

    setattr(on.south, verb, deaf)
    if verb in ("order", "cancel"):
        # Left resting, so that it must be asked for and canceled.
        on.south._write_fate = lambda one, tif: one.script.append((one.arrives, "fill", D(1)))
    ended = await on.run()
    assert asked >= 1
    assert any(getattr(entry, "error", "") == "TimeoutError" for entry in on.done.journal)
    assert ended.complete
    assert ended.outcome == ("matched" if verb in ("place", "fills") else "hedged")
    assert ended.residual == 0
