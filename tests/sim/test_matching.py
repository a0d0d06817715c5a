"""The matching engine against a naive one, and the rules that a trader would hold it to."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unitape.sim.matching import Change, MatchingEngine


class NaiveExchange:
    """The oracle: one unsorted list of orders, searched from the start for every lot."""

    def __init__(self):
        self.orders = []  # [id, side, price, size], in order of arrival
        self.next_id = 0

    def candidates(self, side, price):
        other = [o for o in self.orders if o[1] != side]
        if side == "buy":
            return sorted((o for o in other if price is None or o[2] <= price), key=lambda o: (o[2], o[0]))
        return sorted((o for o in other if price is None or o[2] >= price), key=lambda o: (-o[2], o[0]))

    def submit(self, side, price, size, tif):
        self.next_id += 1
        found = self.candidates(side, price)
        if tif == "post_only" and found:
            return [], 0
        if tif == "fok" and sum(o[3] for o in found) < size:
            return [], 0
        trades = []
        for _ in range(size):
            found = self.candidates(side, price)
            if not found:
                break
            maker = found[0]
            maker[3] -= 1
            if trades and trades[-1][0] == maker[0]:
                trades[-1][2] += 1
            else:
                trades.append([maker[0], maker[2], 1])
            self.orders = [o for o in self.orders if o[3] > 0]
            size -= 1
        if size and price is not None and tif in ("gtc", "post_only"):
            self.orders.append([self.next_id, side, price, size])
            return trades, size
        return trades, 0

    def cancel(self, order_id):
        before = len(self.orders)
        self.orders = [o for o in self.orders if o[0] != order_id]
        return len(self.orders) < before

    def levels(self, side):
        sizes = {}
        for o in self.orders:
            if o[1] == side:
                sizes[o[2]] = sizes.get(o[2], 0) + o[3]
        return sorted(sizes.items(), reverse=side == "buy")


SIDES = st.sampled_from(["buy", "sell"])
ORDERS = st.tuples(
    st.just("submit"),
    SIDES,
    st.one_of(st.none(), st.integers(95, 105)),
    st.integers(1, 12),
    st.sampled_from(["gtc", "gtc", "ioc", "fok", "post_only"]),
)
CANCELS = st.tuples(st.just("cancel"), st.integers(1, 60))


@settings(max_examples=300, deadline=None)
@given(st.lists(st.one_of(ORDERS, ORDERS, CANCELS), max_size=60))
def test_it_does_what_a_naive_exchange_does(actions):
    engine, naive = MatchingEngine(), NaiveExchange()
    replayed = {"buy": {}, "sell": {}}

    def apply(changes):
        for change in changes:
            assert replayed[change.side].get(change.price, 0) == change.before, change
            replayed[change.side][change.price] = change.size
            if change.size == 0:
                del replayed[change.side][change.price]

    for action in actions:
        if action[0] == "cancel":
            change = engine.cancel(action[1])
            assert (change is not None) == naive.cancel(action[1])
            apply([] if change is None else [change])
        else:
            _, side, price, size, tif = action
            if price is None and tif == "post_only":
                continue
            done = engine.submit(7, side, price, size, tif)
            trades, resting = naive.submit(side, price, size, tif)
            assert [[m.maker_order, m.price, m.size] for m in done.matches] == trades
            assert done.order == naive.next_id
            assert done.resting == resting
            assert done.filled + done.resting + done.canceled == size
            assert done.filled == sum(m.size for m in done.matches)
            apply(done.changes)
        for side in ("buy", "sell"):
            assert list(engine.levels(side)) == naive.levels(side)
            assert sorted(replayed[side].items(), reverse=side == "buy") == naive.levels(side)
        bid, ask = engine.best("buy")[0], engine.best("sell")[0]
        assert not bid or not ask or bid < ask
        assert len(engine) == len(naive.orders)


def test_the_better_price_trades_first_then_the_older_order():
    engine = MatchingEngine()
    late_but_better = None
    first = engine.submit(1, "sell", 101, 5).order
    second = engine.submit(2, "sell", 101, 5).order
    late_but_better = engine.submit(3, "sell", 100, 2).order
    done = engine.submit(9, "buy", 101, 9)
    assert [(m.maker_order, m.maker_owner, m.price, m.size) for m in done.matches] == [
        (late_but_better, 3, 100, 2),
        (first, 1, 101, 5),
        (second, 2, 101, 2),
    ]
    assert done.changes == [Change("sell", 100, 0, 2), Change("sell", 101, 3, 10)]
    assert [m.change for m in done.matches] == [0, 1, 1]
    assert engine.queue("sell", 101) == [(second, 3)]


def test_a_partly_filled_maker_keeps_its_place():
    engine = MatchingEngine()
    first = engine.submit(1, "buy", 50, 10).order
    second = engine.submit(1, "buy", 50, 10).order
    engine.submit(2, "sell", 50, 4)
    assert engine.queue("buy", 50) == [(first, 6), (second, 10)]


@pytest.mark.parametrize(
    ("tif", "price", "filled", "resting", "canceled"),
    [
        ("gtc", 100, 3, 4, 0),
        ("ioc", 100, 3, 0, 4),
        ("fok", 100, 0, 0, 7),
        ("post_only", 100, 0, 0, 7),
        ("post_only", 99, 0, 7, 0),
        ("gtc", None, 6, 0, 1),
        ("fok", None, 0, 0, 7),
    ],
)
def test_what_a_time_in_force_leaves(tif, price, filled, resting, canceled):
    engine = MatchingEngine()
    engine.submit(1, "sell", 100, 3)
    engine.submit(1, "sell", 102, 3)
    done = engine.submit(2, "buy", price, 7, tif)
    assert (done.filled, done.resting, done.canceled) == (filled, resting, canceled)


def test_impossible_orders_are_refused():
    engine = MatchingEngine()
    with pytest.raises(ValueError, match="positive"):
        engine.submit(1, "buy", 100, 0)
    with pytest.raises(ValueError, match="positive"):
        engine.submit(1, "buy", -1, 1)
    with pytest.raises(ValueError, match="post_only"):
        engine.submit(1, "buy", None, 1, "post_only")
    assert engine.best("buy") == (0, 0)
    assert engine.cancel(1) is None


@given(
    st.lists(st.tuples(st.integers(1, 12), st.integers(1, 9)), max_size=6),
    st.sampled_from(["buy", "sell"]),
    st.integers(0, 200),
)
def test_what_is_affordable_is_the_most_that_costs_no_more(rows, side, budget):
    engine = MatchingEngine()
    units = []
    for price, size in rows:
        engine.submit(1, "sell" if side == "buy" else "buy", price, size)
        units += [price] * size
    units.sort(reverse=side == "sell")
    most = max(count for count in range(len(units) + 1) if sum(units[:count]) <= budget)
    assert engine.affordable(side, budget) == most
    for count in range(len(units) + 3):
        assert engine.cost(side, count) == (min(count, len(units)), sum(units[:count]))


def test_shrinking_keeps_the_place():
    engine = MatchingEngine()
    first, second = (engine.submit(owner, "buy", 10, 8).order for owner in (1, 2))
    assert engine.shrink(first, 3) == ("buy", 10, 11, 16)
    assert engine.queue("buy", 10) == [(first, 3), (second, 8)]
    assert engine.shrink(99, 1) is None
    for wrong in (0, 3, 4):
        with pytest.raises(ValueError, match="cannot shrink"):
            engine.shrink(first, wrong)
