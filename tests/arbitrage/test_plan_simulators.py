"""Plans over the wire of simulated venues in virtual time, with faults; the exchanges' ledgers are the judge."""

from __future__ import annotations

import json
import os
from collections import Counter
from decimal import Decimal
from fractions import Fraction
from random import Random

import anyio
import pytest

from unitape import Credentials, Router, VenueAdapter, book
from unitape.arbitrage import PlanPolicy, TwoLegPlan, resume_plan, run_plan, two_legs, write_entry
from unitape.paper import PaperAdapter, PaperSettings
from unitape.registry import load_venue
from unitape.sim.build import SimSettings
from unitape.sim.faults import Fault, FaultSchedule
from unitape.sim.memory import SimNetwork
from unitape.spi.simulated_accounts import SimUser
from unitape.views.edge import TradableBook, find_edge
from unitape.views.edge_records import EdgeLimits
from unitape.views.fees import FeeSchedule

pytestmark = pytest.mark.anyio
D = Decimal
USER = SimUser("ann", "ann-key-1", "ann-secret-1", "ann-pass-1", balances={"USDT": "90000000", "BTC": "400"})
PAIRS = (
    ("binance/spot", "mexc/spot"),
    ("weex/spot", "binance/usdm"),
    ("mexc/futures", "weex/spot"),
    ("mexc/spot", "weex/contract"),
)
SEEDS = max(12, int(os.environ.get("UNITAPE_SEEDS", "0")) // 50)


def symbol_of(label: str) -> str:
    venue, _, market = label.partition("/")
    return "BTC/USDT:USDT" if load_venue(venue).market(market).owns("BTC/USDT:USDT") else "BTC/USDT"


def faults_of(rng: Random) -> FaultSchedule:
    kinds = ("lost_reply", "http_429", "lagging_orders", "slow_snapshot")
    found = [
        Fault(rng.choice(kinds), rng.choice((0.0, 20.0)), match="order", seconds=round(rng.uniform(0.5, 4.0), 2))
        for _ in range(rng.randint(0, 3))
    ]
    return FaultSchedule(tuple(found))


def booked(network: SimNetwork, labels: tuple[str, ...]) -> dict[tuple[str, str, str], Fraction]:
    """What every exchange says that the user owns: its own ledger and positions, exactly."""
    found: dict[tuple[str, str, str], Fraction] = {}
    for label in labels:
        venue, _, market = label.partition("/")
        exchange = network.host(venue, market).exchange
        for entry in exchange.accounts.ledger(USER.name):
            key = (venue, "balance", entry.currency)
            found[key] = found.get(key, Fraction(0)) + Fraction(entry.change_e8, 10**8)
        for held in exchange.accounts.positions(USER.name) if exchange.linear else ():
            sign = 1 if held.side == "long" else -1
            lot = Fraction(exchange.instrument(held.symbol).step)
            found[venue, "position", held.symbol] = sign * held.size * lot
    return found


def explained(lines: list[dict], labels: tuple[str, ...]) -> dict[tuple[str, str, str], Fraction]:
    """What the journal's fills come to, from its JSON."""
    found: dict[tuple[str, str, str], Fraction] = {}
    linear = {label.partition("/")[0]: symbol_of(label).endswith(":USDT") for label in labels}
    for line in lines:
        if line["type"] != "fill_told":
            continue
        fill = line["fill"]
        sign = 1 if fill["side"] == "buy" else -1
        size, price, venue = Fraction(fill["size"]), Fraction(fill["price"]), fill["venue"]
        rows = [("balance", fill["fee_currency"] or "USDT", -Fraction(fill["fee"]))]
        if linear[venue]:
            rows += [("position", fill["symbol"], sign * size)]
            rows += [("balance", "USDT", Fraction(fill["realized_pnl"] or 0))]
        else:
            rows += [("balance", "BTC", sign * size), ("balance", "USDT", -sign * size * price)]
        for what, name, amount in rows:
            found[venue, what, name] = found.get((venue, what, name), Fraction(0)) + amount
    return found


async def trade(seed: int, labels: tuple[str, str]) -> tuple[str, int]:
    """Run one plan between two simulated markets and compare; return its outcome, and how many faults struck it."""
    rng = Random(seed)
    venues = [load_venue(label.partition("/")[0]) for label in labels]
    settings = SimSettings(
        seed=seed,
        symbols=("BTC",),
        markets=labels,
        accounts=(USER,),
        history_minutes=10,
        faults={label: faults_of(rng) for label in labels},
    )
    async with SimNetwork(venues, settings) as network:
        adapters = {
            venue.name: VenueAdapter(
                venue,
                endpoints={label.partition("/")[2]: network.endpoint(*label.split("/"))},
                transport=network.transport,
                clock=network.clock,
                credentials=Credentials(USER.key, USER.secret, USER.passphrase),
                seed=1,
            )
            for venue, label in zip(venues, labels, strict=True)
        }
        hosts = [network.host(*label.split("/")) for label in labels]
        for host in hosts:
            host.exchange.pause_agents()
        async with Router(*adapters.values(), clock=network.clock) as router:
            symbols = [symbol_of(label) for label in labels]
            for venue, symbol in zip(venues, symbols, strict=True):
                await router.subscribe(book(symbol, venue=venue.name))
            await anyio.sleep(5)
            places = []
            for venue, symbol in zip(venues, symbols, strict=True):
                instrument, live = router.instrument(venue.name, symbol), router.book(venue.name, symbol)
                assert instrument is not None, seed
                assert live is not None, seed
                places.append(TradableBook(live, instrument))
            step = max(D("0.001"), *(place.instrument.step for place in places))
            edge = find_edge(
                *places,
                now=network.clock.wall(),
                size=step * rng.randint(20, 900),
                fees=FeeSchedule.flat({venue.name: "0.001" for venue in venues}),
                limits=EdgeLimits(max_age=10**12, min_net=D(-10) ** 9, min_return=D(-1)),
            )
            assert edge.ok, (seed, edge.explain())
            positions = []
            for label, side in zip(labels, ("long", "short"), strict=True):
                exchange = network.host(*label.split("/")).exchange
                able = adapters[label.partition("/")[0]].capabilities(label.partition("/")[2]).position_modes
                if able == ("hedge",):
                    exchange.accounts.set_position_mode(USER.name, "hedge")
                positions.append(side if able == ("hedge",) else None)
            legs = two_legs(
                edge,
                places[0].instrument,
                places[1].instrument,
                position_sides=tuple(positions),
                absence_lags=tuple(
                    adapters[v.name].capabilities(label.partition("/")[2]).absence_lag
                    for v, label in zip(venues, labels, strict=True)
                ),
            )
            # Somebody else is faster: part of what the edge saw is gone when a leg arrives.
            for host, symbol, side in zip(hosts, symbols, ("buy", "sell"), strict=True):
                if rng.random() < 0.5:
                    best = host.exchange.best(symbol)
                    much = (best.ask_size if side == "buy" else best.bid_size) * rng.randint(1, 3)
                    host.exchange.execute(symbol, 0, side, None, much, "ioc")
            before = booked(network, labels)
            recorded: list[bytes] = []
            plan = TwoLegPlan(
                f"p{seed}x", legs, PlanPolicy(max_notional=D(10) ** 8, max_slippage=D("0.02")), live=True
            )  # fmt: skip
            struck = [len(host.faults.log) for host in hosts]
            ended = await run_plan(
                plan, adapters, clock=network.clock, record=lambda entry: recorded.append(write_entry(entry))
            )
            if not ended.complete:
                await anyio.sleep(60)
                ended = await resume_plan(
                    plan, adapters, clock=network.clock, record=lambda entry: recorded.append(write_entry(entry))
                )
            await anyio.sleep(30)
            after = booked(network, labels)
    lines = [json.loads(line) for line in recorded]
    where = (seed, labels, ended.outcome, ended.text)
    moved = {key: after.get(key, 0) - before.get(key, 0) for key in after.keys() | before.keys()}
    moved = {key: amount for key, amount in moved.items() if amount}
    assert {k: v for k, v in explained(lines, labels).items() if v} == moved, where
    assert {(c.venue, c.what, c.name): Fraction(c.amount) for c in ended.changes} == moved, where
    coins = sum(v for (venue, what, name), v in moved.items() if what == "position" or name == "BTC")
    fees = sum(
        Fraction(x["fill"]["fee"]) for x in lines if x["type"] == "fill_told" and x["fill"]["fee_currency"] == "BTC"
    )
    assert Fraction(ended.residual) == coins + fees, where
    placed = Counter(
        order.client_id for host in hosts for order in host.exchange.accounts.orders(USER.name) if order.client_id
    )
    assert not placed or max(placed.values()) == 1, where
    assert set(placed) <= {x["client_id"] for x in lines if x["type"] == "order_sending"}, where
    return ended.outcome, sum(len(host.faults.log) for host in hosts) - sum(struck)


async def test_the_ledgers_of_simulated_venues_show_what_the_journal_says() -> None:
    seen: Counter[str] = Counter()
    for seed in range(SEEDS):
        outcome, faults = await trade(seed, PAIRS[seed % len(PAIRS)])
        seen[outcome] += 1
        seen["faults"] += faults
    assert seen["matched"] + seen["hedged"] + seen["unwound"] + seen["recovered"] >= SEEDS // 2, seen
    assert seen["faults"] >= SEEDS // 4, seen


async def test_a_plan_trades_on_paper_with_the_same_words() -> None:
    labels = ("binance/spot", "mexc/spot")
    settings = SimSettings(symbols=("BTC",), markets=labels, history_minutes=10)
    venues = [load_venue(label.partition("/")[0]) for label in labels]
    async with SimNetwork(venues, settings) as network:
        paper = PaperSettings(balances={"*": {"USDT": D(50_000), "BTC": D(2)}}, taker=D("0.001"))
        adapters = {
            venue.name: PaperAdapter(
                VenueAdapter(
                    venue,
                    endpoints={"spot": network.endpoint(venue.name, "spot")},
                    transport=network.transport,
                    clock=network.clock,
                    seed=1,
                ),
                paper,
            )
            for venue in venues
        }
        async with Router(*adapters.values(), clock=network.clock) as router:
            await router.subscribe(book("BTC/USDT"))
            await anyio.sleep(5)
            live = router.consolidated("BTC/USDT").live()
            places = [TradableBook(one, router.instrument(one.venue, one.symbol)) for one in live]
            edge = find_edge(
                *places,
                now=network.clock.wall(),
                size="0.05",
                fees=FeeSchedule.flat({venue.name: "0.001" for venue in venues}),
                limits=EdgeLimits(min_net=D(-1000), min_return=D(-1)),
            )
            legs = two_legs(edge, *(place.instrument for place in places), slippage=D("0.01"))
            plan = TwoLegPlan("paper", legs, PlanPolicy(max_notional=D(10_000)), live=True)
            ended = await run_plan(plan, adapters, clock=network.clock)
            assert (ended.outcome, ended.bought, ended.complete) == ("matched", D("0.05"), True), ended.text
            gained = {
                (name, row.currency): row.total - (D(50_000) if row.currency == "USDT" else D(2))
                for name, adapter in adapters.items()
                for row in await adapter.balances()
                if row.total is not None
            }
    assert {(c.venue, c.name): c.amount for c in ended.changes} == {k: v for k, v in gained.items() if v}
