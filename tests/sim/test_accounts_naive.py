"""Spot accounts against a market rebuilt naively: lists of orders, dictionaries of ``Decimal``, no code in common."""

from __future__ import annotations

from decimal import ROUND_CEILING, Decimal
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.sim.trading import (
    ANN,
    BOB,
    SECOND,
    SPOT,
    START,
    assert_fills_are_public,
    assert_ledger_adds_up,
    e8,
    fee_of,
    market,
    request,
    worth,
)
from unitape.spi.simulated_accounts import SimOrder, SimReject

TICK, LOT = Decimal("0.01"), Decimal("0.00001")
MAKER, TAKER = Decimal("0.0002"), Decimal("0.0005")
LEAST = Decimal(5)


class NaiveMarket:
    """Orders in a list, oldest first; the best one is looked for each time."""

    def __init__(self, image):
        self.orders = []
        for side, levels in (("buy", image.bids), ("sell", image.asks)):
            self.orders += [{"who": None, "side": side, "price": p, "left": s, "id": None} for p, s in levels]
        self.owned = {
            user.name: {currency: Decimal(text) for currency, text in user.balances.items()} for user in (ANN, BOB)
        }
        self.prints = []

    def locked(self, who):
        held = {"BTC": Decimal(0), "USDT": Decimal(0)}
        for order in self.orders:
            if order["who"] == who:
                if order["side"] == "sell":
                    held["BTC"] += order["left"] * LOT
                else:
                    held["USDT"] += order["left"] * LOT * order["price"] * TICK
        return held

    def _meets(self, side, price):
        """The order that one of this side and limit would meet, or None."""
        other = [o for o in self.orders if o["side"] != side]
        if price is not None:
            other = [o for o in other if (o["price"] <= price if side == "buy" else o["price"] >= price)]
        sign = 1 if side == "buy" else -1
        return min(other, key=lambda o: o["price"] * sign, default=None)

    def _preview(self, side, price, size):
        other = [o for o in self.orders if o["side"] != side]
        if price is not None:
            other = [o for o in other if (o["price"] <= price if side == "buy" else o["price"] >= price)]
        filled, paid = 0, Decimal(0)
        for order in sorted(other, key=lambda o: o["price"], reverse=side == "sell"):
            part = min(order["left"], size - filled)
            filled += part
            paid += part * LOT * order["price"] * TICK
        return filled, paid

    def place(self, order_id, who, side, price, size, tif):
        """The reason of the refusal, or (filled, left in the book)."""
        filled, paid = self._preview(side, price, size)
        if price is None and filled == 0:
            return "no_liquidity"
        value = paid if price is None else price * TICK * size * LOT
        if value < LEAST:
            return "min_notional"
        if tif == "post_only" and filled:
            return "post_only_would_cross"
        held, owned = self.locked(who), self.owned[who]
        if (value > owned["USDT"] - held["USDT"]) if side == "buy" else (size * LOT > owned["BTC"] - held["BTC"]):
            return "insufficient_funds"
        if tif == "fok" and filled < size:
            return 0, 0
        left = size
        while left and (maker := self._meets(side, price)) is not None:
            part = min(left, maker["left"])
            self._trade(who, side, maker, part)
            left -= part
            maker["left"] -= part
            if not maker["left"]:
                self.orders.remove(maker)
        filled = size - left
        if price is None or tif in ("ioc", "fok"):
            left = 0
        if left:
            self.orders.append({"who": who, "side": side, "price": price, "left": left, "id": order_id})
        return filled, left

    def _trade(self, taker, side, maker, part):
        base, quote = part * LOT, part * LOT * maker["price"] * TICK
        self.prints.append((side, maker["price"], part))
        for who, what, rate in ((taker, side, TAKER), (maker["who"], maker["side"], MAKER)):
            if who is None:
                continue
            received = base if what == "buy" else quote
            fee = (received * rate).quantize(Decimal("1e-8"), ROUND_CEILING)
            owned = self.owned[who]
            owned["BTC"] += base - fee if what == "buy" else -base
            owned["USDT"] += quote - fee if what == "sell" else -quote

    def cancel(self, who, order_id):
        for order in self.orders:
            if order["who"] == who and order["id"] == order_id:
                self.orders.remove(order)
                return True
        return False


STEP = st.one_of(
    st.tuples(
        st.just("place"),
        st.sampled_from(["ann", "bob"]),
        st.sampled_from(["buy", "sell"]),
        st.one_of(st.none(), st.integers(-4_000, 4_000)),
        st.one_of(st.integers(1, 60), st.integers(1_000, 60_000)),
        st.sampled_from(["gtc", "ioc", "fok", "post_only"]),
    ),
    st.tuples(st.just("cancel"), st.sampled_from(["ann", "bob"]), st.integers(0, 8)),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(STEP, max_size=40), st.integers(1, 5))
def test_balances_orders_and_prints_agree_with_the_naive_market(steps, seed):
    exchange = market(seed=seed)
    accounts, opening = exchange.accounts, exchange.trades(SPOT, 10**6)
    naive = NaiveMarket(exchange.book(SPOT))
    middle = exchange.best(SPOT).bid
    placed = []
    for step in steps:
        if step[0] == "cancel":
            if not placed:
                continue
            order_id = placed[step[2] % len(placed)]
            answer = accounts.cancel(step[1], SPOT, order_id=order_id)
            assert isinstance(answer, SimOrder) == naive.cancel(step[1], order_id)
        else:
            _, who, side, offset, size, tif = step
            price = None if offset is None else middle + offset
            tif = "gtc" if price is None else tif
            order = request(side, size, price, tif=tif)
            answer = accounts.place(who, order)
            expected = naive.place(getattr(answer, "id", None), who, side, price, size, tif)
            if isinstance(answer, SimReject):
                assert answer.reason == expected, step
            else:
                placed.append(answer.id)
                assert (answer.filled, answer.size - answer.filled if answer.is_open else 0) == expected, step
        for who in ("ann", "bob"):
            held = naive.locked(who)
            for row in accounts.balances(who):
                assert e8(row.total_e8) == naive.owned[who][row.currency], (step, row)
                assert e8(row.locked_e8) == held[row.currency], (step, row)
                assert row.free_e8 == row.total_e8 - row.locked_e8 >= 0
            mine = {o.id: o.size - o.filled for o in accounts.open_orders(who)}
            assert mine == {o["id"]: o["left"] for o in naive.orders if o["who"] == who}
    assert list(exchange.trades(SPOT, 10**6))[: len(opening)] == list(opening)
    prints = [(t.taker, t.price, t.size) for t in exchange.trades(SPOT, 10**6)[len(opening) :]]
    assert prints == naive.prints
    assert_fills_are_public(exchange)
    assert_ledger_adds_up(exchange)


@pytest.mark.parametrize("seed", range(1, 9))
def test_amid_agents_what_is_owned_follows_from_the_fills(seed):
    """Orders among busy agents: everything a user has is its start plus its fills, each of them a public trade."""
    random = Random(seed)
    exchange = market(quiet=False, seed=seed, rate=60.0)
    accounts = exchange.accounts
    until = START
    for _ in range(250):
        who, symbol = random.choice(["ann", "bob"]), random.choice(["BTC/USDT", "ETH/USDT"])
        best = exchange.best(symbol)
        side = random.choice(["buy", "sell"])
        draw = random.random()
        size = random.randint(1, 3) * (300 if symbol == SPOT else 700)
        if draw < 0.5:
            price = (best.bid if side == "buy" else best.ask) + random.randint(-3, 3)
            accounts.place(who, request(side, size, price, symbol=symbol, tif=random.choice(["gtc", "ioc"])))
        elif draw < 0.6:
            accounts.place(who, request(side, size, symbol=symbol))
        elif draw < 0.7:
            trigger = best.ask + 300 if side == "buy" else best.bid - 300
            accounts.place(who, request(side, size, symbol=symbol, kind="stop", trigger=trigger))
        elif draw < 0.8 and (mine := accounts.open_orders(who)):
            order = random.choice(mine)
            accounts.cancel(who, order.symbol, order_id=order.id)
        until += random.randint(0, SECOND)
        exchange.advance(until)
    for who in ("ann", "bob"):
        accounts.cancel_all(who)
    assert assert_fills_are_public(exchange) > 60, seed
    assert {fill.liquidity for fill in accounts.fills("ann")} == {"maker", "taker"}, seed
    for user in (ANN, BOB):
        owned = {currency: Decimal(text) for currency, text in user.balances.items()} | {"ETH": Decimal(0)}
        for fill in accounts.fills(user.name):
            base, quote = worth(exchange, fill)
            coin = fill.symbol.partition("/")[0]
            bought = fill.side == "buy"
            fee = fee_of(base if bought else quote, MAKER if fill.liquidity == "maker" else TAKER)
            assert (e8(fill.fee_e8), fill.fee_currency) == (fee, coin if bought else "USDT"), seed
            owned[coin] += base - fee if bought else -base
            owned["USDT"] += -quote if bought else quote - fee
        assert {b.currency: e8(b.total_e8) for b in accounts.balances(user.name)} == {
            currency: amount for currency, amount in owned.items() if amount or currency != "ETH"
        }, seed
        assert all(balance.locked_e8 == 0 for balance in accounts.balances(user.name)), seed
        for order in accounts.orders(user.name):
            fills = accounts.fills(user.name, order_id=order.id)
            assert order.filled == sum(fill.size for fill in fills), seed
            assert order.amount == sum(fill.size * fill.price for fill in fills), seed
    assert_ledger_adds_up(exchange)
