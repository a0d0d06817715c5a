"""Perpetual accounts: positions in both modes, margin, realized profit, funding, and orders that only reduce."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from random import Random

import pytest

from tests.sim.trading import (
    ANN,
    LINEAR,
    SECOND,
    START,
    assert_fills_are_public,
    assert_ledger_adds_up,
    e8,
    fee_of,
    market,
    request,
    worth,
)
from unitape.spi.simulated_accounts import PositionChanged, SimAmendment, SimOrder, SimReject
from unitape.spi.simulation import Settlement

DEPOSIT = Decimal(ANN.balances["USDT"])
LOT = Decimal("0.001")
NEARLY_FUNDING = START + (8 * 3_600 - 40) * SECOND


def refused(answer, reason):
    assert isinstance(answer, SimReject), answer
    assert answer.reason == reason


def order(side, size=None, price=None, **more):
    return request(side, size, price, symbol=LINEAR, **more)


def wallet(exchange, user="ann"):
    return exchange.accounts.balance(user, "USDT")


def paid(exchange, user="ann"):
    """(cash moved, fees) of all fills, from the outside."""
    cash = fees = Decimal(0)
    for fill in exchange.accounts.fills(user):
        _, quote = worth(exchange, fill)
        cash += quote if fill.side == "sell" else -quote
        fees += e8(fill.fee_e8)
    return cash, fees


def hold(exchange, price, size, user="ann", side="buy", **more):
    """Let a user trade with the other one at a price inside the spread."""
    other = "bob" if user == "ann" else "ann"
    against = "sell" if side == "buy" else "buy"
    extra = {"position_side": "short" if against == "sell" else "long"} if more.get("position_side") else {}
    maker = exchange.accounts.place(other, order(against, size, price, **extra))
    assert isinstance(maker, SimOrder), maker
    done = exchange.accounts.place(user, order(side, size, price, **more))
    assert done.status == "filled", done
    return done


def gap(exchange):
    """A price in the spread with room around it."""
    best = exchange.best(LINEAR)
    assert best.ask - best.bid > 60
    return (best.bid + best.ask) // 2


def test_a_position_is_opened_enlarged_reduced_and_closed():
    exchange = market(linear=True)
    middle = gap(exchange)
    hold(exchange, middle, 10)
    hold(exchange, middle + 11, 20)
    [held] = exchange.accounts.positions("ann")
    entry = Fraction(10 * middle + 20 * (middle + 11), 30) / 10
    assert (held.side, held.size, held.hedge) == ("long", 30, False)
    assert abs(Fraction(e8(held.entry_e8)) - entry) <= Fraction(1, 10**8)
    assert e8(held.cost_e8) == (10 * middle + 20 * (middle + 11)) * LOT / 10
    mark = e8(exchange.perpetual(LINEAR).mark_e8)
    assert abs(e8(held.unrealized_e8) - (30 * LOT * mark - e8(held.cost_e8))) <= Decimal("1e-8")
    hold(exchange, middle + 20, 12, side="sell")
    [less] = exchange.accounts.positions("ann")
    assert (less.size, less.entry_e8, less.id) == (18, held.entry_e8, held.id)
    realized = e8(exchange.accounts.fills("ann")[-1].realized_e8)
    assert abs(Fraction(realized) - 12 * Fraction(LOT) * (Fraction(middle + 20, 10) - entry)) <= Fraction(1, 10**8)
    hold(exchange, middle - 5, 18, side="sell")
    assert exchange.accounts.positions("ann") == []
    cash, fees = paid(exchange)
    assert e8(wallet(exchange).total_e8) == DEPOSIT + cash - fees
    changes = [e.position for e in exchange.accounts.events("ann", 0) if isinstance(e, PositionChanged)]
    assert [(c.size, c.id) for c in changes] == [(10, 1), (30, 1), (18, 1), (0, 1)]
    assert (changes[-1].entry_e8, changes[-1].cost_e8, changes[-1].liquidation_e8) == (0, 0, None)
    assert e8(changes[-1].realized_e8) == cash
    assert_ledger_adds_up(exchange)
    assert_fills_are_public(exchange)


def test_one_way_mode_turns_a_position_round():
    exchange = market(linear=True)
    middle = gap(exchange)
    hold(exchange, middle, 10)
    hold(exchange, middle + 7, 25, side="sell")
    [held] = exchange.accounts.positions("ann")
    assert (held.side, held.size, e8(held.entry_e8), held.id) == ("short", 15, (middle + 7) / Decimal(10), 2)
    assert e8(exchange.accounts.fills("ann")[-1].realized_e8) == 10 * LOT * Decimal("0.7")


def test_hedge_mode_holds_both_sides():
    exchange = market(linear=True, default_position_mode="hedge")
    middle = gap(exchange)
    hold(exchange, middle, 10, position_side="long")
    hold(exchange, middle + 7, 25, side="sell", position_side="short")
    assert [(p.side, p.size, p.hedge) for p in exchange.accounts.positions("ann")] == [
        ("long", 10, True),
        ("short", 25, True),
    ]
    assert all(fill.realized_e8 == 0 for fill in exchange.accounts.fills("ann"))
    refused(exchange.accounts.place("ann", order("sell", 5, middle)), "position_side")
    closing = exchange.accounts.place("ann", order("sell", 400, position_side="long"))
    assert (closing.size, closing.filled) == (10, 10), "cut to what there is"
    assert [p.side for p in exchange.accounts.positions("ann")] == ["short"]
    refused(exchange.accounts.place("ann", order("sell", 5, position_side="long")), "reduce_only")
    refused(
        exchange.accounts.place("ann", order("sell", 5, middle, reduce_only=True, position_side="short")), "reduce_only"
    )
    done = exchange.accounts.place("ann", order("buy", close_position=True, position_side="short"))
    assert done.filled == 25
    cash, fees = paid(exchange)
    assert e8(wallet(exchange).total_e8) == DEPOSIT + cash - fees


def test_position_sides_belong_to_hedge_mode():
    exchange = market(linear=True)
    refused(exchange.accounts.place("ann", order("buy", 5, position_side="long")), "position_side")
    assert exchange.accounts.set_position_mode("ann", "hedge") is None
    refused(exchange.accounts.set_position_mode("ann", "hedge"), "unchanged")
    assert isinstance(exchange.accounts.place("ann", order("buy", 5, position_side="long")), SimOrder)
    refused(exchange.accounts.set_position_mode("ann", "one_way"), "in_use")
    assert exchange.accounts.position_mode("bob") == "one_way"


def test_orders_and_positions_hold_margin():
    exchange = market(linear=True, taker_e8=0, maker_e8=0)
    middle = gap(exchange)
    assert exchange.accounts.set_leverage("ann", LINEAR, 10) is None
    resting = exchange.accounts.place("ann", order("buy", 40, middle - 20))
    locked = 40 * LOT * (middle - 20) / 100
    assert (e8(wallet(exchange).locked_e8), wallet(exchange).margin_e8) == (locked, 0)
    assert e8(wallet(exchange).free_e8) == DEPOSIT - locked
    hold(exchange, middle, 30)
    [held] = exchange.accounts.positions("ann")
    assert e8(held.margin_e8) == 30 * LOT * middle / 100
    assert (held.leverage, held.margin_mode) == (10, "cross")
    exchange.accounts.place("ann", order("sell", 30, middle + 25))
    assert e8(wallet(exchange).locked_e8) == locked, "what closes holds nothing"
    exchange.accounts.place("ann", order("sell", 10, middle + 24))
    assert e8(wallet(exchange).locked_e8) == locked + 10 * LOT * (middle + 25) / 100, "what is filled last opens"
    exchange.accounts.cancel("ann", LINEAR, order_id=resting.id)
    assert e8(wallet(exchange).locked_e8) == 10 * LOT * (middle + 25) / 100
    balance, [held] = wallet(exchange), exchange.accounts.positions("ann")
    assert balance.equity_e8 == balance.total_e8 + held.unrealized_e8
    assert balance.free_e8 == balance.equity_e8 - balance.locked_e8 - balance.margin_e8


@pytest.mark.parametrize(("leverage", "most"), [(1, 518), (10, 5_185)])
def test_margin_bounds_what_can_be_ordered(leverage, most):
    exchange = market(linear=True, taker_e8=0)
    price = 964_321
    assert int(DEPOSIT * leverage * 10 / (price * LOT)) == most
    exchange.accounts.set_leverage("ann", LINEAR, leverage)
    price = min(price, exchange.best(LINEAR).bid)
    most = int(DEPOSIT * leverage * 10 / (price * LOT))
    refused(exchange.accounts.place("ann", order("buy", most + 1, price, tif="post_only")), "insufficient_funds")
    assert exchange.accounts.place("ann", order("buy", most, price, tif="post_only")).status == "open"
    refused(exchange.accounts.place("ann", order("buy", 5)), "insufficient_funds")


def test_a_position_can_be_closed_without_free_margin():
    exchange = market(linear=True, taker_e8=500_000, maker_e8=0)
    middle = gap(exchange)
    exchange.accounts.set_leverage("ann", LINEAR, 1)
    hold(exchange, middle, 500)
    exchange.accounts.place("ann", order("buy", 14, middle - 25))
    refused(exchange.accounts.place("ann", order("buy", 5, middle - 25)), "insufficient_funds")
    fee = 500 * LOT * middle / 10 * Decimal("0.005")
    assert 0 < e8(wallet(exchange).free_e8) < fee
    assert exchange.accounts.place("ann", order("sell", 500, middle + 10)).status == "open"
    assert exchange.accounts.place("ann", order("sell", 400, reduce_only=True)).filled > 0


def test_leverage_and_margin_mode():
    exchange = market(linear=True, max_leverage=50)
    accounts = exchange.accounts
    for wrong in (0, 51):
        refused(accounts.set_leverage("ann", LINEAR, wrong), "leverage")
    refused(accounts.set_leverage("ann", "NO/USDT:USDT", 5), "unknown_symbol")
    refused(accounts.set_margin_mode("ann", LINEAR, "cross"), "unchanged")
    refused(accounts.set_margin_mode("ann", "NO/USDT:USDT", "isolated"), "unknown_symbol")
    waiting = accounts.place("ann", order("buy", 5, kind="stop", trigger=exchange.best(LINEAR).ask * 2))
    refused(accounts.set_margin_mode("ann", LINEAR, "isolated"), "in_use")
    accounts.cancel("ann", LINEAR, order_id=waiting.id)
    assert accounts.set_margin_mode("ann", LINEAR, "isolated") is None
    assert accounts.set_leverage("ann", LINEAR, 20, "short") is None
    assert (accounts.settings("ann", LINEAR).long_leverage, accounts.settings("ann", LINEAR).margin_mode) == (
        20,
        "isolated",
    )
    hold(exchange, gap(exchange), 1_000)
    refused(accounts.set_margin_mode("ann", LINEAR, "cross"), "in_use")
    refused(accounts.set_leverage("ann", LINEAR, 1), "insufficient_funds")
    assert accounts.positions("ann")[0].leverage == 20
    spot = market()
    with pytest.raises(KeyError):
        spot.accounts.settings("ann", "BTC/USDT")
    refused(spot.accounts.set_leverage("ann", "BTC/USDT", 5), "unknown_symbol")


def test_one_way_leverage_is_the_same_on_both_sides():
    exchange = market(linear=True)
    exchange.accounts.set_leverage("ann", LINEAR, 7, "short")
    found = exchange.accounts.settings("ann", LINEAR)
    assert (found.long_leverage, found.short_leverage) == (7, 7)


def test_hedge_leverage_is_set_per_side():
    exchange = market(linear=True, default_position_mode="hedge")
    exchange.accounts.set_leverage("ann", LINEAR, 5, "short")
    exchange.accounts.set_leverage("ann", LINEAR, 8, "long")
    found = exchange.accounts.settings("ann", LINEAR)
    assert (found.long_leverage, found.short_leverage) == (8, 5)


@pytest.mark.parametrize("side", ["buy", "sell"])
@pytest.mark.parametrize("mode", ["cross", "isolated"])
def test_at_the_liquidation_price_only_maintenance_margin_is_left(side, mode):
    exchange = market(linear=True, maintenance_e8=500_000)
    exchange.accounts.set_margin_mode("ann", LINEAR, mode)
    hold(exchange, gap(exchange), 2_000, side=side)
    [held] = exchange.accounts.positions("ann")
    price, size, cost = Fraction(e8(held.liquidation_e8)), 2_000 * Fraction(LOT), Fraction(e8(held.cost_e8))
    backing = Fraction(e8(wallet(exchange).total_e8 if mode == "cross" else held.margin_e8))
    sign = 1 if side == "buy" else -1
    left = backing + sign * (size * price - cost)
    assert abs(left - size * price * Fraction(5, 1000)) < Fraction(1, 10**6)
    assert (price < Fraction(e8(held.entry_e8))) == (side == "buy")


def test_isolated_profit_is_not_free():
    exchange = market(linear=True)
    exchange.accounts.set_margin_mode("ann", LINEAR, "isolated")
    hold(exchange, gap(exchange) - 9, 100)
    balance = wallet(exchange)
    assert balance.unrealized_e8 == balance.isolated_unrealized_e8 != 0
    assert balance.free_e8 == balance.total_e8 - balance.margin_e8
    assert balance.equity_e8 == balance.total_e8 + balance.unrealized_e8


def test_funding_is_paid_by_one_side_to_the_other():
    exchange = market(linear=True)
    middle = gap(exchange)
    hold(exchange, middle, 100)
    before = {user: wallet(exchange, user).total_e8 for user in ("ann", "bob")}
    exchange.advance(exchange.perpetual(LINEAR).next_funding)
    [settled] = [e for e in exchange.events(0) if isinstance(e, Settlement) and e.symbol == LINEAR]
    amount = 100 * Fraction(LOT) * Fraction(e8(settled.mark_e8)) * Fraction(e8(settled.rate_e8))
    for user, sign in (("ann", -1), ("bob", 1)):
        change = Fraction(e8(wallet(exchange, user).total_e8 - before[user]))
        assert 0 <= sign * amount - change < Fraction(1, 10**8), user
        [entry] = [row for row in exchange.accounts.ledger(user) if row.kind == "funding"]
        assert (Fraction(e8(entry.change_e8)), entry.symbol, entry.ts) == (change, LINEAR, settled.ts)
    assert_ledger_adds_up(exchange)


def test_reduce_only():
    exchange = market(linear=True)
    middle = gap(exchange)
    accounts = exchange.accounts
    refused(accounts.place("ann", order("sell", 5, reduce_only=True)), "reduce_only")
    hold(exchange, middle, 30)
    refused(accounts.place("ann", order("buy", 5, reduce_only=True)), "reduce_only")
    assert accounts.place("ann", order("sell", 50, middle + 20, reduce_only=True)).size == 30
    accounts.cancel_all("ann")
    strict = market(linear=True, reduce_only_excess="rejected")
    hold(strict, middle, 30)
    refused(strict.accounts.place("ann", order("sell", 31, reduce_only=True)), "reduce_only")
    assert strict.accounts.place("ann", order("sell", 30, reduce_only=True)).filled == 30
    assert strict.accounts.positions("ann") == []


def test_reducing_needs_no_least_notional():
    exchange = market(linear=True, min_notional_e8=1_000 * 10**8)
    hold(exchange, gap(exchange), 30)
    refused(exchange.accounts.place("ann", order("sell", 1)), "min_notional")
    assert exchange.accounts.place("ann", order("sell", 1, reduce_only=True)).filled == 1


def test_what_would_turn_the_position_round_is_displaced():
    exchange = market(linear=True)
    middle = gap(exchange)
    accounts = exchange.accounts
    hold(exchange, middle, 30)
    far = accounts.place("ann", order("sell", 30, middle + 25, reduce_only=True))
    near = accounts.place("ann", order("sell", 10, middle + 22, reduce_only=True))
    assert near.status == "open"
    gone = accounts.order("ann", LINEAR, order_id=far.id)
    assert (gone.status, gone.reason) == ("expired", "reduce_only"), "filled last, it would have turned it round"
    last = accounts.place("ann", order("sell", 20, middle + 25, reduce_only=True))
    accounts.place("ann", order("sell", 15, middle + 10))
    assert [o.id for o in accounts.open_orders("ann", LINEAR) if o.reduce_only] == [near.id], last
    exchange.submit(LINEAR, 99, "buy", middle + 22, 10_000, "ioc")
    assert [(p.side, p.size) for p in accounts.positions("ann")] == [("long", 5)]
    accounts.place("ann", order("sell", 5))
    assert accounts.open_orders("ann") == accounts.positions("ann") == []


def test_closing_orders_may_freeze_their_part():
    exchange = market(linear=True, closing_freezes=True, default_position_mode="hedge")
    middle = gap(exchange)
    accounts = exchange.accounts
    hold(exchange, middle, 30, position_side="long")
    first = accounts.place("ann", order("sell", 20, middle + 25, position_side="long"))
    assert accounts.place("ann", order("sell", 20, middle + 22, position_side="long")).size == 10
    refused(accounts.place("ann", order("sell", 1, position_side="long")), "reduce_only")
    assert accounts.order("ann", LINEAR, order_id=first.id).status == "open"
    bigger = accounts.amend("ann", LINEAR, SimAmendment(size=21), order_id=first.id)
    refused(bigger, "reduce_only")


@pytest.mark.parametrize("by", ["last", "mark", "index"])
def test_a_stop_closes_the_whole_position(by):
    exchange = market(linear=True, quiet=False, triggered="new_order", seed=3)
    accounts = exchange.accounts
    accounts.place("ann", order("buy", 40))
    state = exchange.perpetual(LINEAR)
    now = {"last": exchange.last_price(LINEAR), "mark": state.mark_e8 // 10**7, "index": state.index_e8 // 10**7}[by]
    stop = order("sell", kind="stop", trigger=now - 150, trigger_by=by, close_position=True, client_id="s")
    waiting = accounts.place("ann", stop)
    assert (waiting.status, waiting.size) == ("waiting", 0)
    accounts.place("ann", order("buy", 17))
    for step in range(1, 6_000):
        exchange.advance(START + step * SECOND // 20)
        state = exchange.perpetual(LINEAR)
        price = {"last": exchange.last_price(LINEAR), "mark": state.mark_e8, "index": state.index_e8}[by]
        if accounts.order("ann", LINEAR, order_id=waiting.id).status != "waiting":
            break
        assert price > (now - 150) * (1 if by == "last" else 10**7), step
    struck = accounts.order("ann", LINEAR, order_id=waiting.id)
    child = accounts.order("ann", LINEAR, order_id=struck.child)
    assert (struck.status, child.size, child.filled, child.client_id) == ("triggered", 57, 57, "s")
    assert accounts.positions("ann") == []
    again = accounts.place(
        "ann", order("sell", 5, kind="stop", trigger=exchange.best(LINEAR).bid - 900, reduce_only=True)
    )
    assert again.status == "waiting", "a stop may wait without a position"


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_no_order_waits_beyond_its_trigger(seed):
    exchange = market(linear=True, quiet=False, seed=seed, symbols=1, rate=40.0, max_waiting=500)
    accounts, start = exchange.accounts, exchange.perpetual(LINEAR).mark_e8 // 10**7
    for offset in range(3, 240, 3):
        by = ("mark", "last")[offset % 2]
        base = start if by == "mark" else exchange.last_price(LINEAR)
        accounts.place("ann", order("sell", 1, kind="stop", trigger=base - offset, trigger_by=by))
        accounts.place("ann", order("buy", 1, kind="stop", trigger=base + offset, trigger_by=by))
    there = len(accounts.open_orders("ann", conditional=True))
    for step in range(1, 3_000):
        exchange.advance(START + step * SECOND // 100)
        prices = {"mark": exchange.perpetual(LINEAR).mark_e8, "last": exchange.last_price(LINEAR) * 10**7}
        for waiting in accounts.open_orders("ann", conditional=True):
            trigger, price = waiting.trigger * 10**7, prices[waiting.trigger_by]
            assert trigger < price if waiting.side == "sell" else trigger > price, (seed, step, waiting)
    assert there == 158
    assert len(accounts.open_orders("ann", conditional=True)) < there - 10, seed


def test_a_struck_stop_with_nothing_to_close_is_rejected():
    exchange = market(linear=True, immediate_trigger="executed")
    trigger = exchange.last_price(LINEAR) + 1
    gone = exchange.accounts.place("ann", order("sell", 5, kind="stop", trigger=trigger, reduce_only=True))
    assert (gone.status, gone.refusal) == ("rejected", "reduce_only")


@pytest.mark.parametrize("hedge", [False, True])
@pytest.mark.parametrize("side", ["buy", "sell"])
def test_attached_orders_close_what_was_opened(hedge, side):
    exchange = market(linear=True, default_position_mode="hedge" if hedge else "one_way")
    accounts, middle = exchange.accounts, gap(exchange)
    sign = 1 if side == "buy" else -1
    best = exchange.best(LINEAR)
    along, against = ("long", "short") if side == "buy" else ("short", "long")
    mine = accounts.place(
        "ann",
        order(
            side,
            30,
            middle,
            position_side=along if hedge else None,
            take_profit=(best.ask + 50 if side == "buy" else best.bid - 50),
            stop_loss=middle - sign * 900,
        ),
    )
    assert accounts.open_orders("ann", conditional=True) == []
    other = "sell" if side == "buy" else "buy"
    accounts.place("bob", order(other, 12, middle, position_side=against if hedge else None))
    assert accounts.open_orders("ann", conditional=True) == [], "it is not finished"
    accounts.cancel("ann", LINEAR, order_id=mine.id)
    waiting = accounts.open_orders("ann", conditional=True)
    assert [(o.kind, o.side, o.size, o.parent) for o in waiting] == [
        ("take_profit", other, 12, mine.id),
        ("stop", other, 12, mine.id),
    ]
    while accounts.positions("ann"):
        taken = best.ask_size if side == "buy" else best.bid_size
        exchange.submit(LINEAR, 99, side, None, taken)
        best = exchange.best(LINEAR)
    profit, stop = accounts.orders("ann")[-2:]
    assert (profit.status, profit.filled, stop.status) == ("filled", 12, "waiting")


def test_orders_attached_to_one_that_is_filled_at_once():
    exchange = market(linear=True)
    best = exchange.best(LINEAR)
    done = exchange.accounts.place("ann", order("buy", 6, stop_loss=best.bid - 900))
    [stop] = exchange.accounts.open_orders("ann")
    assert (done.status, stop.kind, stop.size, stop.trigger, stop.reduce_only) == (
        "filled",
        "stop",
        6,
        best.bid - 900,
        True,
    )
    refused(exchange.accounts.place("ann", order("sell", 6, reduce_only=True, stop_loss=5)), "bad_request")


class NaivePosition:
    """Signed lots and their cost in fractions."""

    def __init__(self):
        self.lots = 0
        self.cost = Fraction(0)

    def trade(self, lots, price):
        """Return the profit realized."""
        if self.lots == 0 or (lots > 0) == (self.lots > 0):
            self.lots += lots
            self.cost += lots * price
            return Fraction(0)
        closing = -self.lots if abs(lots) > abs(self.lots) else lots
        average = self.cost / self.lots
        self.lots += closing
        self.cost += closing * average
        profit = -closing * (price - average)
        return profit + self.trade(lots - closing, price) if lots != closing else profit


@pytest.mark.parametrize("seed", range(1, 11))
@pytest.mark.parametrize("hedge", [False, True])
def test_amid_agents_wallets_follow_from_fills_and_funding(seed, hedge):
    random = Random(f"{seed}/{hedge}")
    exchange = market(
        linear=True,
        quiet=False,
        seed=seed,
        rate=40.0,
        start=NEARLY_FUNDING,
        default_position_mode="hedge" if hedge else "one_way",
    )
    accounts, until = exchange.accounts, NEARLY_FUNDING
    rejected = 0
    for _ in range(250):
        who, symbol = random.choice(["ann", "bob"]), random.choice([LINEAR, "ETH/USDT:USDT"])
        best = exchange.best(symbol)
        side, draw, answer = random.choice(["buy", "sell"]), random.random(), None
        size = random.randint(10, 90)
        more = {"symbol": symbol, "position_side": random.choice(["long", "short"]) if hedge else None}
        if not hedge and draw < 0.9:
            more["reduce_only"] = random.random() < 0.4
        if draw < 0.5:
            price = (best.bid if side == "buy" else best.ask) + random.randint(-3, 3)
            answer = accounts.place(who, request(side, size, price, tif=random.choice(["gtc", "ioc"]), **more))
        elif draw < 0.65:
            answer = accounts.place(who, request(side, size, **more))
        elif draw < 0.8:
            trigger = best.ask + 30 if side == "buy" else best.bid - 30
            by = random.choice(["last", "mark"])
            answer = accounts.place(who, request(side, size, kind="stop", trigger=trigger, trigger_by=by, **more))
        elif draw < 0.9 and (mine := accounts.open_orders(who)):
            chosen = random.choice(mine)
            answer = accounts.cancel(who, chosen.symbol, order_id=chosen.id)
        rejected += isinstance(answer, SimReject)
        until += random.randint(0, SECOND)
        exchange.advance(until)
    assert rejected < 150, seed
    assert assert_fills_are_public(exchange) > 60, seed
    assert_ledger_adds_up(exchange)
    funded = False
    for user in ("ann", "bob"):
        books, realized = {}, {}
        closers = {o.id for o in accounts.orders(user) if o.reduce_only}
        for fill in accounts.fills(user):
            spec = exchange.instrument(fill.symbol)
            book = books.setdefault((fill.symbol, fill.position_side), NaivePosition())
            lots = fill.size if fill.side == "buy" else -fill.size
            before = book.lots
            profit = book.trade(lots, Fraction(fill.price) * Fraction(spec.tick) * Fraction(spec.step))
            assert abs(profit - Fraction(e8(fill.realized_e8))) < Fraction(1, 10**6), (seed, fill)
            realized[fill.symbol] = realized.get(fill.symbol, 0) + fill.realized_e8
            _, quote = worth(exchange, fill)
            rate = Decimal("0.0002") if fill.liquidity == "maker" else Decimal("0.0005")
            assert e8(fill.fee_e8) == fee_of(quote, rate), (seed, fill)
            if fill.order in closers:
                assert abs(book.lots) < abs(before), (seed, fill, "it did more than reduce")
            if fill.position_side is not None:
                assert book.lots * (1 if fill.position_side == "long" else -1) >= 0, (seed, fill)
        held = {(p.symbol, p.side if p.hedge else None): p for p in accounts.positions(user)}
        assert {key: p.size * (1 if p.side == "long" else -1) for key, p in held.items()} == {
            key: book.lots for key, book in books.items() if book.lots
        }, seed
        for key, position in held.items():
            spec = exchange.instrument(position.symbol)
            entry = books[key].cost / books[key].lots / Fraction(spec.step)
            assert abs(entry - Fraction(e8(position.entry_e8))) < Fraction(1, 10**5), (seed, position)
        cash, fees = paid(exchange, user)
        cost = sum(e8(p.cost_e8) * (1 if p.side == "long" else -1) for p in held.values())
        funding = sum(e8(row.change_e8) for row in accounts.ledger(user) if row.kind == "funding")
        funded = funded or funding != 0
        start = Decimal("50000.5") if user == "ann" else Decimal(80_000)
        assert e8(wallet(exchange, user).total_e8) == start + cash + cost - fees + funding, seed
    assert funded, seed
