"""A plan from its journal: where its process has died, what it sent is still out there."""

from __future__ import annotations

from collections.abc import Iterable

from unitape.arbitrage.journal import Entry, PlanMade
from unitape.arbitrage.plan import PlanState, TwoLegPlan
from unitape.errors import ConfigError

__all__ = ["restore_plan"]


def restore_plan(entries: Iterable[Entry]) -> TwoLegPlan:
    """Return the plan that wrote this journal, as it stood at the last entry. ``resume_plan`` carries it to its end.

    Every order that was written down and has no end in the journal counts as one whose fate is not known.

    Raises:
        ConfigError: the journal does not begin with a plan, or holds entries of another one.
    """
    plan: TwoLegPlan | None = None
    for entry in entries:
        if plan is None:
            if not isinstance(entry, PlanMade):
                raise ConfigError("a journal begins with the plan that wrote it")
            plan = TwoLegPlan(entry.plan, entry.legs, entry.policy, live=entry.live)
        elif isinstance(entry, PlanMade) or entry.plan != plan.name:
            raise ConfigError(f"the journal of plan {plan.name} holds an entry of plan {entry.plan}: take one by one")
        plan.replay(entry)
    if plan is None:
        raise ConfigError("a journal begins with the plan that wrote it")
    plan.state = PlanState.ENDED
    if plan.outcome is None:
        plan.outcome = "unresolved"
    return plan
