"""Watch one instrument on three venues, compute the edge at every change, and take it with a two-leg plan.

It runs offline: the venues are simulators on loopback sockets that speak the venues' own protocols. Somebody sweeps one
of their books now and then, so that there is something to take::

    python examples/arbitrage.py             # dry runs: says what it would send
    python examples/arbitrage.py --trade     # sends orders to the simulated venues, and checks the accounts at the end

Live, the adapters would be ``ut.VenueAdapter(venue)`` with keys from the environment; the rest stays as it is.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import aclosing
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import TypeAlias

import anyio
from msgspec import structs

import unitape as ut
from unitape.arbitrage import Entry, PlanEnded, write_entry
from unitape.clock import SystemClock
from unitape.registry import load_venue
from unitape.sim import DEMO_USER, SimServer, SimSettings
from unitape.spi.simulated_accounts import SimOrderRequest, SimUser
from unitape_schemas import Side

Holdings: TypeAlias = dict[tuple[str, str], Decimal]

SYMBOL = "BTC/USDT"
NOTHING = Decimal(0)
VENUES = [load_venue(name) for name in ut.venue_names()]
CLOCK = SystemClock()

# What you pay. Without an entry, the rates that the venue lists for the instrument.
FEES = ut.FeeSchedule.flat({venue.name: ("0", "0.0002") for venue in VENUES})
# What an edge must be worth, and how old a book may be.
LIMITS = ut.EdgeLimits(max_age=2_000_000_000, min_net=Decimal("0.5"))
# What a plan may do when one leg is filled and the other is not.
POLICY = ut.PlanPolicy(
    max_notional=Decimal(25_000), recovery=("hedge", "unwind"), max_slippage=Decimal("0.005"), max_attempts=3
)
MOST = Decimal("0.2")
"""Coins that one plan may trade."""

WHALE = SimUser("whale", "whale-key", "whale-secret", "whale-pass", balances={"USDT": "900000000", "BTC": "9000"})


def tradable(router: ut.Router) -> list[ut.TradableBook]:
    """Return the books that can be counted on now, with the rules of their instruments."""
    books: list[ut.TradableBook] = []
    for book in router.consolidated(SYMBOL).live():
        instrument = router.instrument(book.venue, book.symbol)
        if instrument is not None:
            books.append(ut.TradableBook(book, structs.replace(instrument, max_size=MOST)))
    return books


async def take(edge: ut.Edge, router: ut.Router, adapters: Mapping[str, ut.VenueAdapter], args: Options) -> PlanEnded:
    """Send both legs of an edge, or only say so."""
    buy, sell = (router.instrument(leg.venue, leg.symbol) for leg in (edge.buy, edge.sell))
    assert buy is not None
    assert sell is not None
    lags = [adapters[one.venue].capabilities(one.market).absence_lag for one in (buy, sell)]
    legs = ut.two_legs(edge, buy, sell, slippage=Decimal("0.0005"), absence_lags=(lags[0], lags[1]))
    plan = ut.TwoLegPlan(ut.plan_name(CLOCK), legs, POLICY, live=args.trade)
    return await ut.run_plan(plan, adapters, clock=CLOCK, record=args.record)


async def hunt(router: ut.Router, adapters: Mapping[str, ut.VenueAdapter], args: Options) -> list[PlanEnded]:
    """Take every edge that shows up, one after the other, until the time or the number of plans is used up."""
    ended: list[PlanEnded] = []
    view = router.consolidated(SYMBOL)
    with anyio.move_on_after(args.seconds):
        async with aclosing(router.batches(types=(ut.BookSnapshot, ut.BookDelta))) as batches:
            async for _ in batches:
                if not view.crosses():
                    continue
                edge = ut.find_edges(tradable(router), now=CLOCK.wall(), fees=FEES, limits=LIMITS)[0]
                if not edge.ok:
                    continue
                print(f"\n{edge.explain()}")
                result = await take(edge, router, adapters, args)
                print(f"{result.outcome}: {result.text}")
                ended.append(result)
                if len(ended) == args.plans:
                    break
                # Every book has moved by what was just traded.
                await anyio.sleep(0.5)
    return ended


async def holdings(adapters: Mapping[str, ut.VenueAdapter]) -> Holdings:
    """Return what the accounts hold, by venue and currency."""
    return {
        (name, balance.currency): balance.total or NOTHING
        for name, adapter in adapters.items()
        for balance in await adapter.balances("spot")
    }


def explained(before: Holdings, after: Holdings, ended: Sequence[PlanEnded]) -> bool:
    """Print what changed on the accounts and what the plans say of it; tell whether every digit is the same."""
    told: Holdings = {}
    for plan in ended:
        for change in plan.changes:
            key = change.venue, change.name
            told[key] = told.get(key, NOTHING) + change.amount
    same = True
    print("\nwhat the accounts gained, and what the journals say:")
    for key in sorted(before.keys() | after.keys()):
        gained, said = after.get(key, NOTHING) - before.get(key, NOTHING), told.get(key, NOTHING)
        if gained or said:
            print(f"  {key[0]:8} {key[1]:5} {gained:18.8f} {said:18.8f}{'' if gained == said else '  DIFFERENT'}")
        same = same and gained == said
    if before == after and not told:
        print("  nothing moved")
    return same


async def sweep(sim: SimServer, seed: int) -> None:
    """Twice a second, buy or sell a lot on one venue by a limit order whose rest stands above or below all others."""
    rng = Random(seed)
    while True:
        await anyio.sleep(0.5)
        exchange = sim.host(rng.choice(VENUES).name, "spot").exchange
        book, more = exchange.book(SYMBOL, 8), exchange.instrument(SYMBOL).lots(Decimal("0.3"))
        assert more is not None
        side: Side = rng.choice(("buy", "sell"))
        levels = book.asks if side == "buy" else book.bids
        # From 0.1 % to 0.2 % beyond the best price, which the other venues still have.
        price = levels[0][0] * (1000 + rng.choice((1, 2)) * (1 if side == "buy" else -1)) // 1000
        size = sum(lots for at, lots in levels if (at <= price) == (side == "buy")) + more
        exchange.accounts.cancel_all(WHALE.name)
        exchange.accounts.place(WHALE.name, SimOrderRequest(SYMBOL, side, "limit", size=size, price=price))


class Options(argparse.Namespace):
    """What was asked for on the command line."""

    seconds: float
    plans: int
    trade: bool
    seed: int
    journal: Path | None

    def record(self, entry: Entry) -> None:
        """Write an entry of a plan's journal, if a file was named."""
        if self.journal is not None:
            with self.journal.open("ab") as file:
                file.write(write_entry(entry) + b"\n")


async def main(args: Options) -> int:
    """Run until the time is up; 1 if the accounts show anything that the journals do not."""
    settings = SimSettings(
        seed=args.seed,
        symbols=("BTC",),
        speed=3,
        markets=tuple(f"{venue.name}/spot" for venue in VENUES),
        accounts=(DEMO_USER, WHALE),
        history_minutes=10,
    )
    async with SimServer(VENUES, settings) as sim:
        keys = ut.Credentials(DEMO_USER.key, DEMO_USER.secret, DEMO_USER.passphrase)
        adapters = {
            venue.name: ut.VenueAdapter(venue, endpoints={"spot": sim.endpoint(venue.name, "spot")}, credentials=keys)
            for venue in VENUES
        }
        async with ut.Router(*adapters.values()) as router:
            await router.subscribe(ut.book(SYMBOL))
            before = await holdings(adapters)
            ended: list[PlanEnded] = []
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(sweep, sim, args.seed)
                ended = await hunt(router, adapters, args)
                tasks.cancel_scope.cancel()
            for level in router.consolidated(SYMBOL).asks(3):
                print(f"ask {level.price} {level.size} on {level.venue}")
            after = await holdings(adapters)
    outcomes = Counter(plan.outcome for plan in ended)
    print(f"\n{len(ended)} plans: {', '.join(f'{number} {name}' for name, number in outcomes.items()) or 'none'}")
    return 0 if explained(before, after, ended) else 1


def options() -> Options:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=20.0, help="how long to watch (default 20)")
    parser.add_argument("--plans", type=int, default=5, help="end after so many plans (default 5)")
    parser.add_argument("--trade", action="store_true", help="send the orders to the simulated venues")
    parser.add_argument("--seed", type=int, default=7, help="of the simulated markets")
    parser.add_argument("--journal", type=Path, help="append every decision to this file, a JSON line each")
    return parser.parse_args(namespace=Options())


if __name__ == "__main__":
    sys.exit(anyio.run(main, options()))
