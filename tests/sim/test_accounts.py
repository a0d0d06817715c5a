"""Spot accounts: funds, locks, fees, and what the market refuses."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest

from tests.sim.rig import HandClock
from tests.sim.trading import (
    ANN,
    BOB,
    CENT,
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
from unitape.errors import ConfigError
from unitape.sim.build import SimSettings, make_host
from unitape.sim.users import DEMO_USER
from unitape.spi.simulated_accounts import (
    BalanceChanged,
    FillMade,
    OrderChanged,
    SimAmendment,
    SimOrder,
    SimReject,
    SimUser,
)
from unitape.spi.simulation import fixed
from unitape_binance import VENUE


def refused(answer, reason):
    assert isinstance(answer, SimReject), answer
    assert answer.reason == reason


def totals(exchange, user):
    return {row.currency: (e8(row.total_e8), e8(row.locked_e8)) for row in exchange.accounts.balances(user)}


def test_users_are_found_by_key_and_start_with_what_they_have():
    exchange = market()
    assert exchange.accounts.by_key("sim-ann") is ANN
    assert exchange.accounts.by_key("nobody") is None
    assert totals(exchange, "ann") == {"BTC": (Decimal("1.25"), 0), "USDT": (Decimal("50000.5"), 0)}
    assert fixed(exchange.accounts.balance("ann", "USDT").free_e8, 8) == "50000.50000000"
    assert exchange.accounts.balance("ann", "XRP").total_e8 == 0
    assert market(users=(DEMO_USER,)).accounts.by_key("sim-demo-key") is DEMO_USER


@pytest.mark.parametrize("text", ["-1", "0.000000001"])
def test_starting_balances_are_exact_or_refused(text):
    with pytest.raises(ConfigError):
        market(users=(SimUser("x", "k", "s", balances={"USDT": text}),))


def test_two_users_cannot_share_a_key():
    with pytest.raises(ConfigError):
        market(users=(ANN, SimUser("other", ANN.key, "s")))


def test_a_market_order_pays_the_book_and_the_fee():
    exchange = market(taker_e8=75_000)
    asks = exchange.book(SPOT).asks
    size = asks[0][1] + 3
    done = exchange.accounts.place("ann", request("buy", size))
    amount = asks[0][0] * asks[0][1] + asks[1][0] * 3
    assert (done.status, done.filled, done.amount) == ("filled", size, amount)
    bought, rate = size * Decimal("0.00001"), Decimal("0.00075")
    fees = sum(fee_of(part * Decimal("0.00001"), rate) for part in (asks[0][1], 3))
    assert totals(exchange, "ann") == {
        "BTC": (Decimal("1.25") + bought - fees, 0),
        "USDT": (Decimal("50000.5") - amount * Decimal("1e-7"), 0),
    }
    assert [(f.price, f.size, f.fee_currency, f.liquidity) for f in exchange.accounts.fills("ann")] == [
        (asks[0][0], asks[0][1], "BTC", "taker"),
        (asks[1][0], 3, "BTC", "taker"),
    ]
    assert assert_fills_are_public(exchange) == 2
    assert_ledger_adds_up(exchange)


def test_a_market_order_by_quote_amount_spends_no_more():
    exchange = market()
    done = exchange.accounts.place("ann", request("buy", quote_amount_e8=20_000 * 10**8))
    spent = Decimal("50000.5") - totals(exchange, "ann")["USDT"][0]
    ask = exchange.best(SPOT).ask * Decimal("0.01")
    assert Decimal(20_000) - ask * Decimal("0.00001") < spent <= 20_000
    assert done.size == done.filled
    assert done.status == "filled"


def test_a_resting_order_locks_and_its_cancel_frees():
    exchange = market()
    bid = exchange.best(SPOT).bid
    order = exchange.accounts.place("ann", request("buy", 1_000, bid - 5, client_id="a"))
    held = (bid - 5) * 1_000 * Decimal("1e-7")
    assert (order.status, order.filled) == ("open", 0)
    assert totals(exchange, "ann")["USDT"] == (Decimal("50000.5"), held)
    assert dict(exchange.book(SPOT).bids)[bid - 5] >= 1_000
    sell = exchange.accounts.place("ann", request("sell", 2_000, bid + 900_000))
    assert totals(exchange, "ann")["BTC"] == (Decimal("1.25"), Decimal("0.02"))
    assert exchange.accounts.open_orders("ann") == [order, sell]
    gone = exchange.accounts.cancel("ann", SPOT, client_id="a")
    assert (gone.id, gone.status, gone.reason) == (order.id, "canceled", "user")
    assert totals(exchange, "ann")["USDT"] == (Decimal("50000.5"), 0)
    refused(exchange.accounts.cancel("ann", SPOT, client_id="a"), "order_closed")
    refused(exchange.accounts.cancel("ann", SPOT, order_id=order.id - 1), "order_not_found")
    refused(exchange.accounts.cancel("bob", SPOT, order_id=sell.id), "order_not_found")
    assert [o.id for o in exchange.accounts.cancel_all("ann")] == [sell.id]
    assert totals(exchange, "ann")["BTC"] == (Decimal("1.25"), 0)


def test_a_partly_filled_maker_keeps_the_lock_of_the_rest():
    exchange = market(maker_e8=10_000, taker_e8=100_000)
    bid = exchange.best(SPOT).bid + 1
    mine = exchange.accounts.place("ann", request("buy", 700, bid, tif="post_only"))
    theirs = exchange.accounts.place("bob", request("sell", 300, bid, tif="ioc"))
    now = exchange.accounts.order("ann", SPOT, order_id=mine.id)
    assert (now.status, now.filled, theirs.status) == ("partially_filled", 300, "filled")
    money = 300 * bid * Decimal("1e-7")
    assert totals(exchange, "ann") == {
        "BTC": (Decimal("1.253") - fee_of(Decimal("0.003"), Decimal("0.0001")), 0),
        "USDT": (Decimal("50000.5") - money, 400 * bid * Decimal("1e-7")),
    }
    assert totals(exchange, "bob") == {
        "BTC": (Decimal("2.997"), 0),
        "USDT": (80_000 + money - fee_of(money, Decimal("0.001")), 0),
    }
    assert exchange.accounts.cancel("ann", SPOT, order_id=mine.id).filled == 300
    assert totals(exchange, "ann")["USDT"][1] == 0
    assert assert_fills_are_public(exchange) == 2


def test_agents_fill_resting_orders():
    exchange = market(quiet=False, seed=5)
    bid = exchange.best(SPOT).bid
    order = exchange.accounts.place("ann", request("buy", 50, bid + 1))
    exchange.advance(START + 60 * SECOND)
    assert exchange.accounts.order("ann", SPOT, order_id=order.id).status == "filled"
    assert {fill.liquidity for fill in exchange.accounts.fills("ann")} == {"maker"}
    assert sum(fill.size for fill in exchange.accounts.fills("ann", order_id=order.id)) == 50
    assert_fills_are_public(exchange)
    assert_ledger_adds_up(exchange)


@pytest.mark.parametrize(
    ("tif", "status", "reason", "filled"),
    [("ioc", "expired", "ioc", True), ("fok", "expired", "fok", False), ("gtc", "partially_filled", "", True)],
)
def test_what_becomes_of_the_rest(tif, status, reason, filled):
    exchange = market()
    ask, there = exchange.book(SPOT).asks[0]
    order = exchange.accounts.place("ann", request("buy", there + 100, ask, tif=tif))
    assert (order.status, order.reason, order.filled) == (status, reason, there if filled else 0)
    locked = totals(exchange, "ann")["USDT"][1]
    assert locked == (100 * ask * Decimal("1e-7") if tif == "gtc" else 0)
    assert bool(exchange.accounts.open_orders("ann")) == (tif == "gtc")


def test_a_market_order_that_empties_the_book_expires():
    rich = SimUser("ann", "k", "s", balances={"BTC": "100000"})
    exchange = market(users=(rich,))
    there = sum(size for _, size in exchange.book(SPOT).bids)
    order = exchange.accounts.place("ann", request("sell", there + 1))
    assert (order.status, order.reason, order.filled) == ("expired", "market_remainder", there)
    refused(exchange.accounts.place("ann", request("sell", 1_000)), "no_liquidity")


def test_post_only():
    exchange = market()
    ask = exchange.best(SPOT).ask
    refused(exchange.accounts.place("ann", request("buy", 100, ask, tif="post_only")), "post_only_would_cross")
    bid = exchange.best(SPOT).bid
    refused(exchange.accounts.place("ann", request("sell", 100, bid, tif="post_only")), "post_only_would_cross")
    assert exchange.accounts.place("ann", request("sell", 100, bid + 1, tif="post_only")).status == "open"
    exchange.accounts.cancel_all("ann")
    assert exchange.accounts.place("ann", request("buy", 100, ask - 1, tif="post_only")).status == "open"
    exchange = market(post_only="expired")
    order = exchange.accounts.place("ann", request("buy", 100, ask, tif="post_only"))
    assert (order.status, order.reason, order.filled) == ("expired", "post_only", 0)
    assert totals(exchange, "ann")["USDT"] == (Decimal("50000.5"), 0)


BID = market().best(SPOT).bid
REFUSALS = [
    (request("buy", 100, BID, symbol="NO/USDT"), {}, "unknown_symbol"),
    (request("buy", 100), {"close": True}, "market_closed"),
    (request("buy", None, BID), {}, "bad_request"),
    (request("buy", 100, quote_amount_e8=10**9), {}, "bad_request"),
    (request("buy", 100, 0), {}, "bad_request"),
    (request("buy", 100, BID, kind="market"), {}, "bad_request"),
    (request("buy", 100, kind="limit"), {}, "bad_request"),
    (request("buy", 100, tif="post_only"), {}, "bad_request"),
    (request("buy", 100, BID, trigger=BID), {}, "bad_request"),
    (request("buy", 100, BID, kind="stop_limit"), {}, "bad_request"),
    (request("buy", 100, BID, tif="gtd"), {}, "bad_request"),
    (request("buy", 100, BID, tif="gtd", expires=START), {}, "bad_request"),
    (request("buy", 100, BID, reduce_only=True), {}, "bad_request"),
    (request("buy", None, close_position=True), {}, "bad_request"),
    (request("buy", 100, BID, stop_loss=BID // 2), {}, "bad_request"),
    (request("buy", 9, BID), {"min_lots": 10}, "min_size"),
    (request("buy", 0, BID), {}, "min_size"),
    (request("buy", -5, BID), {}, "min_size"),
    (request("buy", 11, BID), {"max_lots": 10}, "max_size"),
    (request("buy", 11), {"max_market_lots": 10}, "max_size"),
    (request("buy", 5, BID), {}, "min_notional"),
    (request("sell", 5), {}, "min_notional"),
    (request("buy", quote_amount_e8=499_999_999), {}, "min_notional"),
    (request("buy", 100_000, BID), {}, "insufficient_funds"),
    (request("sell", 125_001), {}, "insufficient_funds"),
    (request("buy", 100, BID * 2), {"band_e8": (95_000_000, 105_000_000)}, "price_band"),
    (request("sell", 100, BID // 2), {"band_e8": (95_000_000, 105_000_000)}, "price_band"),
    (request("buy", 100, BID - 1), {"max_open": 0}, "too_many_orders"),
    (request("sell", 100, kind="stop", trigger=BID // 2), {"max_waiting": 0}, "too_many_orders"),
    (request("sell", 100, kind="stop", trigger=BID * 2), {}, "would_trigger_immediately"),
    (request("buy", 100, kind="take_profit", trigger=BID * 2), {}, "would_trigger_immediately"),
]


@pytest.mark.parametrize(("order", "rules", "reason"), REFUSALS)
def test_refusals_change_nothing(order, rules, reason):
    rules = dict(rules)
    closed = rules.pop("close", False)
    exchange = market(**rules)
    if closed:
        exchange.accounts.close_market(SPOT)
    before, cursor, journal = totals(exchange, "ann"), exchange.cursor, exchange.accounts.cursor("ann")
    refused(exchange.accounts.check("ann", order), reason)
    refused(exchange.accounts.place("ann", order), reason)
    assert totals(exchange, "ann") == before
    assert (exchange.cursor, exchange.accounts.cursor("ann")) == (cursor, journal)
    assert exchange.accounts.orders("ann") == []


def test_a_reader_may_not_trade():
    exchange = market(users=(msgspec.structs.replace(ANN, permissions=("read",)),))
    refused(exchange.accounts.place("ann", request("buy", 100, BID)), "not_permitted")


def test_checking_an_order_does_not_place_it():
    exchange = market()
    assert exchange.accounts.check("ann", request("buy", 100)) is None
    assert exchange.accounts.orders("ann") == []


def test_everything_can_be_sold_but_not_more():
    exchange = market()
    refused(exchange.accounts.place("ann", request("sell", 125_001, BID * 2)), "insufficient_funds")
    assert exchange.accounts.place("ann", request("sell", 125_000, BID * 2)).status == "open"
    assert exchange.accounts.balance("ann", "BTC").free_e8 == 0
    refused(exchange.accounts.place("ann", request("sell", 100, BID * 2)), "insufficient_funds")


@pytest.mark.parametrize("follow", ["same_order", "new_order"])
def test_client_ids_of_conditional_orders_are_apart_where_those_are(follow):
    exchange = market(triggered=follow)
    exchange.accounts.place("ann", request("sell", 400, kind="stop", trigger=BID // 2, client_id="x"))
    answer = exchange.accounts.place("ann", request("buy", 100, BID - 9, client_id="x"))
    if follow == "same_order":
        refused(answer, "duplicate_client_id")
    else:
        assert answer.status == "open"
        found = exchange.accounts.order("ann", SPOT, client_id="x", conditional=True)
        assert (found.kind, exchange.accounts.order("ann", SPOT, client_id="x")) == ("stop", answer)
        assert exchange.accounts.cancel("ann", SPOT, client_id="x", conditional=False).id == answer.id
        assert exchange.accounts.cancel_all("ann", SPOT, conditional=False) == []
        assert [o.id for o in exchange.accounts.cancel_all("ann", SPOT, conditional=True)] == [found.id]


def test_queries_may_lag():
    exchange = market()
    accounts = exchange.accounts
    order = accounts.place("ann", request("buy", 100, BID - 9, client_id="late"))
    accounts.place("ann", request("buy", 100))
    late = {"lag": 2.0}

    def seen():
        return (
            accounts.order("ann", SPOT, client_id="late", **late),
            accounts.open_orders("ann", **late),
            len(accounts.orders("ann", **late)),
            bool(accounts.fills("ann", **late)),
        )

    assert seen() == (None, [], 0, False)
    assert accounts.open_orders("ann") == [order]
    exchange.advance(START + 2 * SECOND)
    assert seen() == (order, [order], 2, True)


def test_what_is_kept_has_an_end(monkeypatch):
    monkeypatch.setattr("unitape.sim.account._CLOSED_KEPT", 5)
    monkeypatch.setattr("unitape.sim.account._EVENTS_KEPT", 10)
    exchange = market()
    accounts = exchange.accounts
    first = accounts.place("ann", request("buy", 100, BID - 9, client_id="open"))
    for number in range(20):
        accounts.place("ann", request("buy", 100, BID - 9, client_id=f"c{number}"))
        accounts.cancel("ann", SPOT, client_id=f"c{number}")
    assert [o.client_id for o in accounts.orders("ann")] == ["open", "c15", "c16", "c17", "c18", "c19"]
    assert accounts.order("ann", SPOT, client_id="c14") is None
    assert accounts.order("ann", SPOT, order_id=first.id) == first
    end = accounts.cursor("ann")
    assert end == 2 + 2 + 20 * 4
    newest = accounts.events("ann", end - 10)
    assert [e.order.client_id for e in newest if isinstance(e, OrderChanged)] == ["c17", "c18", "c18", "c19", "c19"]
    with pytest.raises(LookupError):
        accounts.events("ann", 0)


def test_a_client_id_used_again():
    first = request("buy", 100, BID - 9, client_id="once")
    exchange = market()
    order = exchange.accounts.place("ann", first)
    again = exchange.accounts.place("ann", first)
    refused(again, "duplicate_client_id")
    assert again.order == order
    assert isinstance(exchange.accounts.place("bob", first), SimOrder)
    exchange.accounts.cancel("ann", SPOT, client_id="once")
    assert exchange.accounts.place("ann", first).id > order.id
    exchange = market(client_id_scope="all")
    exchange.accounts.place("ann", first)
    exchange.accounts.cancel("ann", SPOT, client_id="once")
    refused(exchange.accounts.place("ann", first), "duplicate_client_id")
    exchange = market(client_ids="returns_existing")
    assert exchange.accounts.place("ann", first) == exchange.accounts.place("ann", first)
    assert len(exchange.accounts.orders("ann")) == 1
    exchange = market(client_ids="accepted")
    newest = [exchange.accounts.place("ann", first) for _ in range(2)][1]
    assert exchange.accounts.order("ann", SPOT, client_id="once") == newest
    assert len(exchange.accounts.open_orders("ann")) == 2


def test_amending():
    exchange = market()
    bid = exchange.best(SPOT).bid + 1
    mine = exchange.accounts.place("ann", request("buy", 700, bid))
    other = exchange.accounts.place("bob", request("buy", 500, bid))
    exchange.accounts.place("bob", request("sell", 200, bid + 2_000_000))
    smaller = exchange.accounts.amend("ann", SPOT, SimAmendment(size=600), order_id=mine.id)
    assert (smaller.size, dict(exchange.book(SPOT).bids)[bid]) == (600, 1_100)
    assert totals(exchange, "ann")["USDT"][1] == 600 * bid * Decimal("1e-7")
    exchange.accounts.place("bob", request("sell", 100, bid))
    assert exchange.accounts.order("ann", SPOT, order_id=mine.id).filled == 100, "its place was kept"
    larger = exchange.accounts.amend("ann", SPOT, SimAmendment(size=650), order_id=mine.id)
    assert (larger.size, larger.filled, larger.status) == (650, 100, "partially_filled")
    assert totals(exchange, "ann")["USDT"][1] == 550 * bid * Decimal("1e-7")
    exchange.accounts.place("bob", request("sell", 100, bid))
    assert exchange.accounts.order("bob", SPOT, order_id=other.id).filled == 100, "now it stands behind"
    moved = exchange.accounts.amend("ann", SPOT, SimAmendment(price=bid - 7), order_id=mine.id)
    assert totals(exchange, "ann")["USDT"][1] == 550 * (bid - 7) * Decimal("1e-7")
    moved = exchange.accounts.amend("ann", SPOT, SimAmendment(price=bid - 9, size=640), order_id=mine.id)
    assert totals(exchange, "ann")["USDT"][1] == 540 * (bid - 9) * Decimal("1e-7")
    assert dict(exchange.book(SPOT).bids)[bid - 9] == 540
    refused(exchange.accounts.amend("ann", SPOT, SimAmendment(size=100), order_id=mine.id), "min_size")
    refused(exchange.accounts.amend("ann", SPOT, SimAmendment(size=640), order_id=mine.id), "unchanged")
    refused(exchange.accounts.amend("ann", SPOT, SimAmendment(size=90_000), order_id=mine.id), "insufficient_funds")
    assert exchange.accounts.order("ann", SPOT, order_id=mine.id) == moved
    taken = exchange.accounts.amend("ann", SPOT, SimAmendment(price=exchange.best(SPOT).ask), order_id=mine.id)
    assert taken.filled > 100
    assert_fills_are_public(exchange)
    assert_ledger_adds_up(exchange)


def test_an_amended_order_may_use_its_own_funds():
    exchange = market()
    large = exchange.accounts.place("ann", request("buy", 51_000, BID - 50))
    small = exchange.accounts.place("ann", request("buy", 100, BID - 50))
    assert exchange.accounts.balance("ann", "USDT").free_e8 < exchange.accounts.balance("ann", "USDT").locked_e8
    moved = exchange.accounts.amend("ann", SPOT, SimAmendment(price=BID - 60), order_id=large.id)
    assert totals(exchange, "ann")["USDT"][1] == (51_000 * (BID - 60) + 100 * (BID - 50)) * Decimal("1e-7")
    assert exchange.accounts.open_orders("ann") == [moved, small], "oldest first as before"


def test_an_order_expires_when_its_time_has_come():
    exchange = market()
    until = START + 3 * SECOND
    order = exchange.accounts.place("ann", request("buy", 100, BID, tif="gtd", expires=until))
    exchange.advance(until - 1)
    assert exchange.accounts.open_orders("ann") == [order]
    exchange.advance(until + SECOND)
    gone = exchange.accounts.order("ann", SPOT, order_id=order.id)
    assert (gone.status, gone.reason, gone.ts_updated) == ("expired", "gtd", until)
    assert totals(exchange, "ann")["USDT"][1] == 0
    assert exchange.accounts.cancel("ann", SPOT, order_id=order.id).reason == "order_closed"


def test_a_jump_of_the_venues_clock_carries_orders_past_their_time():
    exchange = market()
    order = exchange.accounts.place("ann", request("buy", 100, BID, tif="gtd", expires=START + 5 * SECOND))
    other = exchange.accounts.place("ann", request("buy", 100, BID, tif="gtd", expires=START + 15 * SECOND))
    exchange.advance(START + 3 * SECOND)
    exchange.jump(10 * SECOND)
    exchange.advance(START + 3 * SECOND + 1)
    gone = exchange.accounts.order("ann", SPOT, order_id=order.id)
    assert (gone.status, gone.ts_updated) == ("expired", START + 13 * SECOND)
    exchange.advance(START + 5 * SECOND - 1)
    assert exchange.accounts.open_orders("ann") == [other]
    exchange.advance(START + 5 * SECOND)
    assert exchange.accounts.open_orders("ann") == []


@pytest.mark.parametrize("kind", ["stop", "stop_limit", "take_profit", "take_profit_limit"])
@pytest.mark.parametrize("side", ["buy", "sell"])
@pytest.mark.parametrize("follow", ["same_order", "new_order"])
def test_triggers(kind, side, follow):
    exchange = market(triggered=follow)
    accounts = exchange.accounts
    last = exchange.last_price(SPOT)
    rising = (kind.startswith("stop")) == (side == "buy")
    trigger = exchange.book(SPOT).asks[2][0] if rising else exchange.book(SPOT).bids[2][0]
    assert (trigger > last) == rising
    limit = (trigger * 2 if side == "buy" else trigger // 2) if kind.endswith("_limit") else None
    waiting = accounts.place("ann", request(side, 400, limit, kind=kind, trigger=trigger, client_id="t"))
    currency, held = ("BTC", Decimal("0.004")) if side == "sell" else ("USDT", (limit or trigger) * Decimal("4e-5"))
    assert waiting.status == "waiting"
    assert totals(exchange, "ann")[currency][1] == held
    assert accounts.open_orders("ann", conditional=True) == [waiting]
    assert accounts.open_orders("ann", conditional=False) == []
    sizes = [size for _, size in (exchange.book(SPOT).asks if rising else exchange.book(SPOT).bids)[:2]]
    push = "buy" if rising else "sell"
    accounts.place("bob", request(push, sum(sizes)))
    assert accounts.order("ann", SPOT, client_id="t") == waiting, "not there yet"
    exchange.submit(SPOT, 99, push, None, 1)
    struck = accounts.order("ann", SPOT, order_id=waiting.id)
    assert struck.ts_triggered == exchange.now
    if follow == "same_order":
        assert (struck.status, struck.filled, struck.child) == ("filled", 400, None)
    else:
        child = accounts.order("ann", SPOT, order_id=struck.child)
        assert (struck.status, struck.filled) == ("triggered", 0)
        assert (child.status, child.filled, child.parent, child.kind) == (
            "filled",
            400,
            waiting.id,
            "limit" if limit else "market",
        )
    assert all(locked == 0 for _, locked in totals(exchange, "ann").values())
    assert_fills_are_public(exchange)


def test_a_struck_order_without_funds_is_rejected():
    exchange = market(lock_waiting=False)
    accounts = exchange.accounts
    order = accounts.place("ann", request("sell", 100_000, kind="stop", trigger=exchange.best(SPOT).bid - 1))
    accounts.place("ann", request("sell", 50_000, exchange.best(SPOT).ask + 10**6))
    while accounts.order("ann", SPOT, order_id=order.id).status == "waiting":
        exchange.submit(SPOT, 99, "sell", None, exchange.best(SPOT).bid_size)
    struck = accounts.order("ann", SPOT, order_id=order.id)
    assert (struck.status, struck.refusal, struck.filled) == ("rejected", "insufficient_funds", 0)


def test_the_journal_tells_the_story():
    exchange = market()
    bid = exchange.best(SPOT).bid + 1
    cursor = exchange.accounts.cursor("ann")
    exchange.accounts.place("ann", request("buy", 700, bid, client_id="j"))
    exchange.accounts.place("bob", request("sell", 300, bid))
    exchange.accounts.cancel("ann", SPOT, client_id="j")
    told = exchange.accounts.events("ann", cursor)
    assert [type(event) for event in told] == [
        OrderChanged,
        BalanceChanged,
        OrderChanged,
        FillMade,
        BalanceChanged,
        BalanceChanged,
        OrderChanged,
        BalanceChanged,
    ]
    orders = [event for event in told if isinstance(event, OrderChanged)]
    assert [(e.cause, e.order.status, e.order.filled) for e in orders] == [
        ("new", "open", 0),
        ("fill", "partially_filled", 300),
        ("end", "canceled", 300),
    ]
    last = {e.balance.currency: e.balance for e in told if isinstance(e, BalanceChanged)}
    assert sorted(last.values(), key=lambda b: b.currency) == exchange.accounts.balances("ann")
    assert exchange.accounts.cursor("ann") == cursor + len(told)
    assert exchange.accounts.events("ann", exchange.accounts.cursor("ann")) == []


def test_trading_with_oneself_moves_nothing_but_fees():
    exchange = market(maker_e8=0, taker_e8=100_000)
    bid = exchange.best(SPOT).bid + 1
    exchange.accounts.place("ann", request("buy", 300, bid))
    exchange.accounts.place("ann", request("sell", 300, bid, tif="ioc"))
    one, two = exchange.accounts.fills("ann")
    assert one.id == two.id
    fee = fee_of(worth(exchange, one)[1], Decimal("0.001"))
    assert totals(exchange, "ann") == {"BTC": (Decimal("1.25"), 0), "USDT": (Decimal("50000.5") - fee, 0)}
    assert fee >= CENT


def test_the_same_seed_gives_the_same_story():
    def story(slices):
        exchange = market(quiet=False, seed=8)
        for minute in range(3):
            best = exchange.best(SPOT)
            exchange.accounts.place("ann", request("buy", 300, best.bid))
            exchange.accounts.place("bob", request("sell", 300, kind="stop", trigger=best.bid - 2_000))
            exchange.accounts.place("ann", request("sell", 200, best.ask, tif="gtd", expires=exchange.now + SECOND))
            for part in range(1, slices + 1):
                exchange.advance(START + (minute * 60 * SECOND) + 60 * SECOND * part // slices)
        return [exchange.accounts.events(user, 0) for user in ("ann", "bob")], exchange.events(0)

    once = story(1)
    assert len(once[0][0]) > 10
    assert story(17) == once


def test_users_are_kept_apart_from_agents():
    """A market on which users look but do not trade is the one without users."""
    alone, watched = market(quiet=False, users=()), market(quiet=False)
    watched.accounts.place("ann", request("buy", 100_000, BID))
    for exchange in (alone, watched):
        exchange.advance(START + 30 * SECOND)
    assert alone.events(0) == watched.events(0)


def test_bob_is_not_ann():
    exchange = market()
    exchange.accounts.place("ann", request("buy", 100))
    assert exchange.accounts.fills("bob") == exchange.accounts.orders("bob") == []
    assert totals(exchange, "bob") == {"BTC": (Decimal(BOB.balances["BTC"]), 0), "USDT": (Decimal(80_000), 0)}


def test_every_market_of_a_simulation_has_the_users_of_its_settings():
    spot, futures = (
        make_host(VENUE, market, SimSettings(symbols=1, history_minutes=10, accounts=users), HandClock())
        for market, users in zip(VENUE.markets, (SimSettings().accounts, (BOB,)), strict=True)
    )
    assert {b.currency: b.total_e8 for b in spot.exchange.accounts.balances("demo")} == {
        "BTC": 2 * 10**8,
        "USDT": 100_000 * 10**8,
    }, "of its starting balances those that the market knows"
    assert [user.name for user in futures.exchange.accounts.users] == ["bob"]
    assert [b.currency for b in futures.exchange.accounts.balances("bob")] == ["USDT"]
