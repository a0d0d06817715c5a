"""A random trader with everything that a market can do, somebody else on the same account, and a judge with the books.

The judge compares what the adapter knows and told with the simulated exchange's own orders, fills, ledger and
positions, which know ticks, lots and units of 1e-8 and nothing of any wire.
"""

from __future__ import annotations

import random
from collections import Counter
from decimal import Decimal
from itertools import pairwise
from typing import Any

import anyio

from tests.trade.test_sessions import USER, Floor
from unitape.adapter import VenueAdapter
from unitape.errors import NotPlaced, OutcomeUnknown, TradingHalted, UnitapeError
from unitape.spi.simulated_accounts import SimOrder, SimOrderRequest
from unitape.trade.requests import OrderRequest
from unitape.trade.tracking import Tracked
from unitape_schemas import Balance, Fill, Order, Position

D = Decimal
LIMITED = ("limit", "stop_limit", "take_profit_limit")
OPEN = ("waiting", "open", "partially_filled")


class Trader(Floor):
    """Places, cancels and amends at random, and writes down what it was told."""

    def __init__(self, adapter: VenueAdapter, exchange: Any, market: str, rng: random.Random, *, hedge: bool) -> None:
        super().__init__(adapter, exchange, market)
        self.rng = rng
        self.spec_of = adapter.capabilities(market)
        self.hedge_mode = hedge or bool(self.long)
        self.fates: dict[str, Order | UnitapeError] = {}
        self.wanted: dict[str, OrderRequest] = {}
        self.errors: list[UnitapeError] = []
        self.done: Counter[str] = Counter()
        self.least = D(0)
        if self.hedge_mode:
            exchange.accounts.set_position_mode(USER.name, "hedge")

    async def begin(self) -> None:
        self.least = await self.small()

    def direction(self) -> dict[str, Any]:
        """Draw a side; in hedge mode one that opens a position, or closes one that is there."""
        rng = self.rng
        if not self.hedge_mode:
            return {"side": rng.choice(["buy", "sell"])}
        mine: Any = rng.choice(["long", "short"])
        opening, closing = ("buy", "sell") if mine == "long" else ("sell", "buy")
        held = [one for one in self.exchange.accounts.positions(USER.name, self.symbol) if one.side == mine]
        return {"side": closing if held and rng.random() < 0.5 else opening, "position_side": mine}

    def draw(self) -> OrderRequest:
        rng, best = self.rng, self.exchange.best(self.symbol)
        given: dict[str, Any] = {"symbol": self.symbol, "size": self.least * rng.randint(1, 5), **self.direction()}
        buying = given["side"] == "buy"
        touch = best.bid if buying else best.ask
        off = rng.choice([-30, -5, 0, 5, 30])
        price = self.price(touch + (-off if buying else off))
        kinds = self.spec_of.kinds
        roll = rng.random()
        if roll < 0.2:
            return OrderRequest(kind="market", **given)
        if roll < 0.45 and "stop" in kinds:
            kind: Any = rng.choice(["stop", "stop_limit", "take_profit", "take_profit_limit"])
            above = buying == kind.startswith("stop")
            away = rng.choice([2, 10, 40, 4000])
            given["trigger"] = self.price(best.ask + away if above else best.bid - away)
            if kind in LIMITED:
                given["price"] = given["trigger"]
            return OrderRequest(kind=kind, **given)
        return OrderRequest(kind="limit", price=price, tif=rng.choice([None, None, "ioc"]), **given)

    async def place(self) -> None:
        request = self.draw()
        name = f"s-{len(self.fates)}"
        self.begin_one(name, request)
        given = {field: getattr(request, field) for field in request.__struct_fields__ if field != "client_id"}
        symbol, side, kind = given.pop("symbol"), given.pop("side"), given.pop("kind")
        plain = {field: value for field, value in given.items() if value is not None and value is not False}
        await self.attempt(name, self.adapter.place(symbol, side, kind, client_id=name, **plain))

    def begin_one(self, name: str, request: OrderRequest) -> None:
        self.fates[name] = OutcomeUnknown("under way", venue="", client_id=name)
        self.wanted[name] = request
        self.done[request.kind] += 1

    async def attempt(self, name: str, call: Any) -> None:
        try:
            self.fates[name] = await call
        except UnitapeError as error:
            self.fates[name] = error
            self.errors.append(error)

    async def place_many(self) -> None:
        drawn = [self.draw() for _ in range(self.rng.randint(2, 3))]
        names = [f"s-{len(self.fates) + number}" for number in range(len(drawn))]
        requests = []
        for name, request in zip(names, drawn, strict=True):
            self.begin_one(name, request)
            fields = {field: getattr(request, field) for field in request.__struct_fields__}
            requests.append(OrderRequest(**{**fields, "client_id": name}))
        self.done["place_many"] += 1
        try:
            answers: Any = await self.adapter.place_many(requests)
        except UnitapeError as error:
            answers = [error] * len(names)
        for name, answer in zip(names, answers, strict=True):
            self.fates[name] = answer
            if isinstance(answer, UnitapeError):
                self.errors.append(answer)

    def placed(self) -> list[Order]:
        return [one for one in self.fates.values() if isinstance(one, Order)][-6:]

    async def cancel(self) -> None:
        chosen = self.rng.choice(self.placed() or [None])
        if chosen is None:
            return
        named: Any = {"id": chosen.id} if self.rng.random() < 0.5 else {"client_id": chosen.client_id}
        if self.linear and chosen.trigger is not None:
            named = {"id": chosen.id, "conditional": True}
        try:
            await self.adapter.cancel(self.symbol, **named)
            self.done["canceled"] += 1
        except UnitapeError as error:
            self.errors.append(error)

    async def cancel_many(self) -> None:
        chosen = [one for one in self.placed() if one.trigger is None][-3:]
        answers = await self.adapter.cancel_many(chosen)
        self.errors += [one for one in answers if isinstance(one, UnitapeError)]
        self.done["cancel_many"] += 1

    async def amend(self) -> None:
        resting = [one for one in self.placed() if one.kind == "limit" and one.status == "open"]
        if not self.spec_of.amend or not resting:
            return
        chosen = self.rng.choice(resting)
        assert chosen.price is not None
        assert chosen.size is not None
        change: dict[str, Any] = {"size": chosen.size + self.least} if self.linear else {}
        if self.linear:
            change["price"] = chosen.price - self.spec.tick * (3 if chosen.side == "buy" else -3)
        else:
            change["size"] = chosen.size - self.spec.step
        try:
            await self.adapter.amend(self.symbol, id=chosen.id, side=chosen.side, **change)
            self.done["amended"] += 1
        except UnitapeError as error:
            self.errors.append(error)

    async def somebody_else(self, end: float) -> None:
        """Another program trades on the same account, straight at the exchange: nothing here is asked or answered."""
        accounts, rng, number = self.exchange.accounts, self.rng, 0
        mine: Any = {"position_side": "long"} if self.hedge_mode else {}
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
                **mine,
            )
            number += 1
            placed = accounts.place(USER.name, request)
            assert isinstance(placed, SimOrder), placed
            if resting:
                await anyio.sleep(rng.uniform(0.0, 3.0))
                accounts.cancel(USER.name, self.symbol, order_id=placed.id)

    async def trade(self, seconds: float) -> None:
        end = anyio.current_time() + seconds
        deeds = (self.place, self.place, self.place, self.place_many, self.cancel, self.cancel, self.cancel_many)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self.somebody_else, end)
            while anyio.current_time() < end:
                tasks.start_soon(self.rng.choice((*deeds, self.amend)))
                await anyio.sleep(self.rng.uniform(0.5, 9.0))


class Judge:
    """Compares one trader's adapter with the exchange's books, in the words of the failure that it finds."""

    def __init__(self, trader: Trader, state: Any, seen: list[Any], note: str) -> None:
        self.trader = trader
        self.state = state
        self.seen = seen
        self.note = note
        self.booked = list(trader.exchange.accounts.orders(USER.name))
        self.known: list[Tracked] = [*state.tracker.open(), *state.tracker.closed()]

    def __call__(self) -> None:
        self.orders()
        self.nameless()
        self.fills()
        self.balances()
        if self.trader.linear:
            self.positions()

    def lives(self, name: str) -> list[SimOrder]:
        """What was booked under a name, oldest first: several where the venue makes another order of a changed one.

        What an order sent when triggered bears its name, too, and is not meant.
        """
        return [one for one in self.booked if one.client_id == name and one.parent is None]

    def orders(self) -> None:
        names = {one.client_id for one in self.booked if one.client_id is not None}
        for name in names:
            for one, other in pairwise(self.lives(name)):
                changed = one.status == "canceled" and one.ts_updated == other.ts_created
                assert changed, f"{self.note}: {name} was placed twice: {one} {other}"
        others = {name for name in names if name.startswith("other-")}
        assert names - others <= set(self.trader.fates), self.note
        for name in others:
            self.compare(name, self.lives(name))
        for name, fate in self.trader.fates.items():
            if self.is_nameless(name):
                continue
            lives = self.lives(name)
            if isinstance(fate, Order):
                assert lives, f"{self.note}: {name} was said to be placed and is not booked"
            elif not isinstance(fate, OutcomeUnknown):
                what = "not to have arrived" if isinstance(fate, NotPlaced) else f"to be refused with {fate!r}"
                assert not lives, f"{self.note}: {name} was said {what} and stands"
            if not isinstance(fate, TradingHalted):
                self.compare(name, lives)

    def is_nameless(self, name: str) -> bool:
        """Tell whether the market takes no client id for such an order."""
        trader = self.trader
        waits = trader.wanted[name].trigger is not None
        return waits and trader.linear and not trader.spec_of.conditional_client_ids

    def nameless(self) -> None:
        """Orders that bear no name at the exchange: as many as were told, each with its own end."""
        names = [name for name in self.trader.fates if self.is_nameless(name)]
        if not names:
            return
        real = [one for one in self.booked if one.client_id is None and one.parent is None]
        told = [one for one in self.known if one.order.client_id in names and one.order.id is not None]
        assert len(real) == len(told), f"{self.note}: plans {[one.order for one in told]} known, {real} booked"
        for name in names:
            fate = self.trader.fates[name]
            known = [one for one in self.known if one.order.client_id == name]
            assert len(known) == 1 or isinstance(fate, TradingHalted), f"{self.note}: {name} is out of sight"
            if isinstance(fate, Order):
                assert known[0].order.id is not None, f"{self.note}: {name} was placed and is {known[0].order}"
        trader = self.trader
        truths = Counter((one.side, trader.price(one.trigger or 0), one.status in OPEN) for one in real)
        said = Counter((one.order.side, one.order.trigger, not one.ended) for one in told)
        assert said == truths, f"{self.note}: plans known as {said - truths}, booked as {truths - said}"

    def compare(self, name: str, lives: list[SimOrder]) -> None:
        trader, note = self.trader, f"{self.note}: {name}"
        if not lives:
            (unborn,) = [t for t in self.known if t.order.client_id == name]
            assert unborn.order.status == "rejected", f"{note} is {unborn.order.status} and not booked"
            return
        one = lives[-1]
        waits = one.trigger is not None
        known = [t for t in self.known if t.order.client_id == name and (t.order.trigger is not None) == waits]
        assert len(known) == len(lives), f"{note} is known as {[t.order for t in known]} and booked as {lives}"
        known.sort(key=lambda tracked: tracked.order.id or "")
        assert all(tracked.ended for tracked in known[:-1]), f"{note}: what was changed away is over"
        tracked = known[-1]
        order = tracked.order
        said = tracked.ended, order.filled or D(0), order.side
        filled = one.filled
        if one.child is not None and not one.filled:
            # Some venues tell of a conditional order what became of the one that it sent.
            child = next(other for other in self.booked if other.id == one.child)
            filled = child.filled if order.filled else 0
        assert said == (one.status not in OPEN, trader.size(filled), one.side), f"{note}: {order} is booked as {one}"
        if order.kind in LIMITED and one.size:
            assert (order.size, order.price) == (trader.size(one.size), trader.price(one.price or 0)), note
        if one.filled:
            average = D(one.amount) * trader.spec.tick / one.filled
            assert order.average is not None, f"{note} has no average"
            assert abs(order.average - average) < D("1e-12"), note
        if one.child is None:
            assert not tracked.fills_missing, note

    def fills(self) -> None:
        trader = self.trader
        names = {one.order.id: one.order.client_id for one in self.known}
        told = Counter(
            (names.get(one.order_id), one.side, one.price, one.size) for one in self.seen if isinstance(one, Fill)
        )
        made = Counter(
            (one.client_id, one.side, trader.price(one.price), trader.size(one.size))
            for one in trader.exchange.accounts.fills(USER.name)
        )
        assert told == made, f"{self.note}: fills {told - made} too many, {made - told} missing"

    def balances(self) -> None:
        """What is known, and what was told piece by piece, is what stands in the ledger."""
        trader = self.trader
        held = {one.currency: one for one in trader.exchange.accounts.balances(USER.name)}
        told: dict[str, dict[str, Decimal]] = {}
        for event in self.seen:
            if isinstance(event, Balance):
                parts = {part: getattr(event, part) for part in ("free", "locked", "total", "equity")}
                told.setdefault(event.currency, {}).update({k: v for k, v in parts.items() if v is not None})
        assert set(told) >= {name for name, one in held.items() if one.total_e8}, (
            f"{self.note}: a currency was not told"
        )
        for balance in self.state.balances():
            one = held.get(balance.currency)
            if one is None:
                assert not balance.total, f"{self.note}: {balance}"
                continue
            news = told[balance.currency]
            for part in ("free", "locked", "total"):
                known = getattr(balance, part)
                if known is not None and (part == "total" or not trader.linear):
                    assert news[part] == known, f"{self.note}: {part} of {balance.currency} known and told"
            if not trader.linear:
                truth = {"total": D(one.total_e8).scaleb(-8), "locked": D(one.locked_e8).scaleb(-8)}
                said = {part: news[part] for part in truth}
                assert said == truth, f"{self.note}: {balance.currency} was told as {said} and is {truth}"
            elif "equity" in news:
                assert news["equity"] == D(one.equity_e8).scaleb(-8), f"{self.note}: equity of {balance.currency}"

    def positions(self) -> None:
        trader = self.trader
        real = {(one.symbol, one.side): trader.size(one.size) for one in trader.exchange.accounts.positions(USER.name)}
        known = {(one.symbol, one.side): one.size for one in self.state.positions()}
        assert known == real, f"{self.note}: positions known"
        told: dict[Any, Decimal] = {}
        for event in self.seen:
            if isinstance(event, Position):
                told[event.symbol, event.side] = event.size
        assert {name: size for name, size in told.items() if size} == real, f"{self.note}: positions told"
