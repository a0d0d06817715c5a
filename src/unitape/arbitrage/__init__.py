"""Taking an edge on two venues at once: a plan that ends with its position explained.

``two_legs`` turns an ``Edge`` into orders, ``TwoLegPlan`` decides, ``run_plan`` sends. A dry run unless told otherwise.
"""

from unitape.arbitrage.journal import (
    Change,
    Decided,
    Entry,
    FillTold,
    Journal,
    OrderAbsent,
    OrderCanceling,
    OrderEnded,
    OrderSending,
    OrderTold,
    OrderUnsure,
    Outcome,
    PlanEnded,
    PlanMade,
    read_journal,
    write_entry,
)
from unitape.arbitrage.plan import PlanState, TwoLegPlan
from unitape.arbitrage.restore import restore_plan
from unitape.arbitrage.runner import Trader, plan_name, resume_plan, run_plan
from unitape.arbitrage.terms import PlanLeg, PlanPolicy, TwoLegs, two_legs
from unitape.arbitrage.track import Command, Moment, OrderState, OrderTrack

__all__ = [
    "Change",
    "Command",
    "Decided",
    "Entry",
    "FillTold",
    "Journal",
    "Moment",
    "OrderAbsent",
    "OrderCanceling",
    "OrderEnded",
    "OrderSending",
    "OrderState",
    "OrderTold",
    "OrderTrack",
    "OrderUnsure",
    "Outcome",
    "PlanEnded",
    "PlanLeg",
    "PlanMade",
    "PlanPolicy",
    "PlanState",
    "Trader",
    "TwoLegPlan",
    "TwoLegs",
    "plan_name",
    "read_journal",
    "restore_plan",
    "resume_plan",
    "run_plan",
    "two_legs",
    "write_entry",
]
