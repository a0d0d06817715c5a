"""Orders under every fault that venues have, on every market: none twice, none out of sight, all of it as booked.

A random trader places, cancels and amends through two virtual minutes while requests and private messages go wrong by
a seeded schedule. Then the dust settles, and what the adapter knows is compared with the simulated exchange's books.
``UNITAPE_FATE_SEEDS`` says how many seeds run, ``UNITAPE_FATE_SEED`` names one.
"""

from __future__ import annotations

import logging
import os
import random
from collections import Counter
from decimal import Decimal
from typing import Any

import anyio
import pytest

from tests.trade.test_sessions import MARKETS, USER, Floor
from unitape.adapter import VenueAdapter
from unitape.errors import NotPlaced, OutcomeUnknown, TradingHalted, UnitapeError
from unitape.guards.kill import KillRules
from unitape.registry import load_venue
from unitape.sim.build import SimSettings
from unitape.sim.faults import ORDER_FAULTS, Fault, FaultSchedule
from unitape.sim.memory import SimNetwork
from unitape.spi import Credentials, Instruments, TradingSettings
from unitape.spi.simulated_accounts import SimOrder, SimOrderRequest
from unitape.trade.requests import TradingOptions
from unitape_schemas import Fill, Order, Subscription

pytestmark = pytest.mark.anyio
D = Decimal

BUSY = 120.0
"""Seconds of trading, in which the faults strike."""
DUST = 240.0
"""Seconds until everything must be known: the longest search, and one comparison with the venue."""
ONE = os.environ.get("UNITAPE_FATE_SEED")
SEEDS = [int(ONE)] if ONE else range(int(os.environ.get("UNITAPE_FATE_SEEDS", "18")))
ENDED = {"canceled": "over", "expired": "over", "waiting": "open", "open": "open", "triggered": "over"}


class Trader(Floor):
    """Places, cancels and amends at random, and writes down what it was told."""

    def __init__(self, adapter: VenueAdapter, exchange: Any, market: str, rng: random.Random) -> None:
        super().__init__(adapter, exchange, market)
        self.rng = rng
        self.fates: dict[str, Order | UnitapeError] = {}
        self.errors: list[UnitapeError] = []
        self.least = D(0)

    async def begin(self) -> None:
        self.least = await self.small()

    async def place(self) -> None:
        rng, best = self.rng, self.exchange.best(self.symbol)
        side: Any = rng.choice(["buy", "sell"])
        # Where only hedge mode is, a sell closes what a buy opened.
        if self.long and side == "sell" and not self.exchange.accounts.positions(USER.name, self.symbol):
            side = "buy"
        name = f"s-{len(self.fates)}"
        self.fates[name] = OutcomeUnknown("under way", venue="", client_id=name)
        size = self.least * rng.randint(1, 5)
        common: Any = {"size": size, "client_id": name, **self.long}
        off = rng.choice([-30, -5, 0, 5, 30])
        touch = best.bid if side == "buy" else best.ask
        price = self.price(touch + (-off if side == "buy" else off))
        try:
            if rng.random() < 0.25:
                self.fates[name] = await self.adapter.place(self.symbol, side, "market", **common)
            else:
                tif = rng.choice([None, None, "ioc"])
                self.fates[name] = await self.adapter.place(self.symbol, side, price=price, tif=tif, **common)
        except UnitapeError as error:
            self.fates[name] = error
            self.errors.append(error)

    async def cancel(self) -> None:
        placed = [one for one in self.fates.values() if isinstance(one, Order)]
        if not placed:
            return
        chosen = self.rng.choice(placed[-6:])
        named: Any = {"id": chosen.id} if self.rng.random() < 0.5 else {"client_id": chosen.client_id}
        try:
            await self.adapter.cancel(self.symbol, **named)
        except UnitapeError as error:
            self.errors.append(error)

    async def somebody_else(self, end: float) -> None:
        """Another program trades on the same account, straight at the exchange: nothing here is asked or answered."""
        accounts, rng, number = self.exchange.accounts, self.rng, 0
        while anyio.current_time() < end:
            await anyio.sleep(rng.uniform(4.0, 20.0))
            best = self.exchange.best(self.symbol)
            resting = rng.random() < 0.3
            request = SimOrderRequest(
                self.symbol,
                "buy",
                "limit" if resting else "market",
                size=round(self.least / self.spec.step) * rng.randint(1, 3),
                price=best.bid - 50 if resting else None,
                client_id=f"other-{number}",
                **self.long,
            )
            number += 1
            placed = accounts.place(USER.name, request)
            assert isinstance(placed, SimOrder), placed
            if resting:
                await anyio.sleep(rng.uniform(0.0, 3.0))
                accounts.cancel(USER.name, self.symbol, order_id=placed.id)

    async def trade(self) -> None:
        end = anyio.current_time() + BUSY
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self.somebody_else, end)
            while anyio.current_time() < end:
                tasks.start_soon(self.place if self.rng.random() < 0.65 else self.cancel)
                await anyio.sleep(self.rng.uniform(0.5, 8.0))


def compare(trader: Trader, state: Any, one: SimOrder, note: str) -> None:
    known = state.order(trader.symbol, client_id=one.client_id)
    assert known is not None, f"{note} is out of sight"
    said = ENDED.get(known.status, known.status), known.filled or D(0)
    truth = ENDED.get(one.status, one.status), trader.size(one.filled)
    assert said == truth, f"{note} is known as {said} and booked as {truth}"
    if one.filled:
        average = D(one.amount) * trader.spec.tick / one.filled
        assert abs(known.average - average) < D("1e-12"), note


def way_of(seed: int, market: Any) -> Any:
    """Return by which way orders go: every other time by socket, where the market has one."""
    ways = market.trading(Instruments([]), TradingSettings()).spec.order_transports
    return ways[seed // len(MARKETS) % len(ways)]


def storm(seed: int) -> FaultSchedule:
    """Faults one by one, and once all at a time: the answer lost, the stream dead, and the queries behind."""
    spread = FaultSchedule.seeded(seed, duration=BUSY, count=10, kinds=ORDER_FAULTS).faults
    rng = random.Random(f"{seed}/storm")
    at = rng.uniform(20.0, BUSY - 20.0)
    lost: Any = rng.choice(["lost_reply", "error_executed", "late_reply"])
    together = (
        Fault(rng.choice(["half_open", "close"]), at, "private"),
        Fault("lagging_orders", at, "order", rng.uniform(4.0, 12.0), 60),
        Fault(lost, at, "order", 14.0, 3),
    )
    # Where orders go over a socket, their answers are messages, named by method and path.
    answers = tuple(
        Fault(rng.choice(["close", "half_open", "delay"]), rng.uniform(5.0, BUSY), "post /", rng.uniform(1.0, 14.0))
        for _ in range(3)
    )
    return FaultSchedule(tuple(sorted((*spread, *together, *answers), key=lambda fault: fault.at)))


def judge(trader: Trader, seen: list[Any], state: Any, note: str) -> None:
    accounts = trader.exchange.accounts
    booked = {one.client_id: one for one in accounts.orders(USER.name)}
    names = Counter(one.client_id for one in accounts.orders(USER.name))
    assert not [name for name, times in names.items() if times > 1], f"{note}: placed twice"
    others = {name for name in booked if name.startswith("other-")}
    assert set(booked) - others <= set(trader.fates), note
    for name in others:
        compare(trader, state, booked[name], f"{note}: {name} of somebody else")
    for name, fate in trader.fates.items():
        stands = name in booked
        if isinstance(fate, Order):
            assert stands, f"{note}: {name} was said to be placed and is not booked"
        elif not isinstance(fate, (OutcomeUnknown, NotPlaced)):
            assert not stands, f"{note}: {name} was refused with {fate!r} and stands"
        elif isinstance(fate, NotPlaced):
            assert not stands, f"{note}: {name} was said not to have arrived and stands"
        if isinstance(fate, TradingHalted):
            continue
        known = state.order(trader.symbol, client_id=name)
        assert known is not None, f"{note}: {name} is out of sight"
        if not stands:
            assert known.status == "rejected", f"{note}: {name} is {known.status} and not booked"
            continue
        compare(trader, state, booked[name], f"{note}: {name}")
    told = [one for one in seen if isinstance(one, Fill)]
    key = Counter((one.order_id, one.price, one.size) for one in told)
    ids = {one.client_id: state.order(trader.symbol, client_id=one.client_id).id for one in booked.values()}
    made = Counter(
        (ids[one.client_id], trader.price(one.price), trader.size(one.size)) for one in accounts.fills(USER.name)
    )
    assert key == made, f"{note}: fills {key - made} too many, {made - key} missing"
    held = {one.currency: one for one in accounts.balances(USER.name)}
    for balance in state.balances():
        one = held.get(balance.currency)
        if one is None:
            assert not balance.total, f"{note}: {balance}"
        elif not trader.linear:
            truths = (D(one.total_e8).scaleb(-8), D(one.locked_e8).scaleb(-8))
            assert (balance.total, balance.locked) == truths, f"{note}: {balance.currency}"
    if trader.linear:
        known_positions = [(one.symbol, one.side, one.size) for one in state.positions()]
        real = [(one.symbol, one.side, trader.size(one.size)) for one in accounts.positions(USER.name)]
        assert sorted(known_positions) == sorted(real), note


@pytest.mark.parametrize("seed", SEEDS)
async def test_whatever_happens_every_fate_is_known(seed: int, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    label = MARKETS[seed % len(MARKETS)]
    venue_name, _, market = label.partition("/")
    venue = load_venue(venue_name)
    settings = SimSettings(
        seed=seed,
        symbols=("BTC",),
        rate=1.5,
        tick=0.05,
        markets=(label,),
        accounts=(USER,),
        history_minutes=5,
        faults={label: storm(seed)},
    )
    way = way_of(seed, venue.market(market))
    note = f"seed {seed}, {label}, over {way}"
    seen: list[Any] = []

    class Ears:
        def deliver(self, events: Any) -> None:
            seen.extend(events)

    async with SimNetwork([venue], settings) as network:
        adapter = VenueAdapter(
            venue,
            endpoints={market: network.endpoint(venue_name, market)},
            transport=network.transport,
            clock=network.clock,
            credentials=Credentials(USER.key, USER.secret, USER.passphrase),
            seed=seed,
            trading=TradingOptions(order_transport=way, kill=KillRules(enabled=seed % 4 == 3), reconcile_every=60.0),
        )
        exchange = network.host(venue_name, market).exchange
        async with adapter:
            trader = Trader(adapter, exchange, market, random.Random(seed))
            await trader.begin()
            adapter.attach(Ears())
            channels: list[Any] = ["orders", "fills", "balances", *(["positions"] if exchange.linear else [])]
            wanted = [Subscription(one, trader.symbol if one != "balances" else "*", market=market) for one in channels]
            result = await adapter.subscribe(wanted)
            assert len(result.confirmed) == len(channels), f"{note}: {result.rejected}"
            await trader.trade()
            await anyio.sleep(DUST)
            exchange.pause_agents()
            for one in await adapter.cancel_all(trader.symbol):
                assert one.ok, f"{note}: {one.failures}"
            await anyio.sleep(DUST)
            state = await adapter.account(market)
            assert state.live, note
            judge(trader, seen, state, note)
    shown = [record.getMessage() for record in caplog.records] + [repr(one) for one in (*seen, *trader.errors)]
    for text in shown:
        for secret in (USER.key, USER.secret, USER.passphrase):
            assert secret not in text, f"{note}: {text}"
