"""Trading sessions against the simulated markets, whose own ledger is the judge."""

from __future__ import annotations

import pytest
from msgspec import structs

from tests.binance.desk import (
    MARKETS,
    SECOND,
    START,
    D,
    Desk,
    S,
    U,
)
from unitape.errors import (
    InvalidOrder,
    NoChange,
    OrderNotFound,
    ReduceOnlyRejected,
)
from unitape.spi import (
    Amendment,
    OrderRef,
    TradingSettings,
)
from unitape_binance import USDM

SEEDS = pytest.mark.parametrize("seed", [1, 2, 3])


@MARKETS
@SEEDS
def test_a_session(market, seed):
    desk = Desk(market, seed=seed)
    assert desk.check() == []
    price, size = desk.deep()
    taken = desk.best.ask_size * desk.spec.step
    order = desk.place(size=size, price=price)
    assert (order.status, order.filled, order.size, order.price) == ("partially_filled", taken, size, price), seed
    ref = OrderRef(desk.symbol, order.id)
    asked = desk.ask(desk.trading.order(ref))
    assert (asked.status, asked.filled, asked.average, asked.client_id) == (
        "partially_filled",
        taken,
        price,
        "t-1",
    )
    assert desk.ask(desk.trading.order(OrderRef(desk.symbol, client_id="t-1"))).id == order.id
    assert [o.id for o in desk.ask(desk.trading.open_orders(desk.symbol))] == [order.id]
    assert [o.id for o in desk.ask(desk.trading.open_orders())] == [order.id]
    assert len(desk.check()) == len(desk.exchange.accounts.fills("ann")) > 0
    # Somebody sells into what rests.
    desk.exchange.submit(desk.symbol, 0, "sell", desk.best.bid, 1)
    desk.clock.now += SECOND
    desk.host.step()
    asked = desk.ask(desk.trading.order(ref))
    assert asked.filled == taken + desk.spec.step
    assert asked.ts_updated >= asked.ts_created > 0
    canceled = desk.ask(desk.trading.cancel(ref))
    assert (canceled.status, canceled.filled, canceled.client_id) == ("canceled", asked.filled, "t-1")
    sold = desk.place("sell", "market", str(asked.filled))
    assert (sold.status, sold.filled, sold.tif) == ("filled", asked.filled, None)
    history = desk.ask(desk.trading.order_history(desk.symbol))
    assert [(o.id, o.status) for o in history] == [(order.id, "canceled"), (sold.id, "filled")]
    assert desk.ask(desk.trading.open_orders(desk.symbol)) == []
    fills = desk.check()
    assert {f.liquidity for f in fills} == {"maker", "taker"}
    assert sum(f.size for f in fills if f.order_id == order.id) == asked.filled
    own = desk.ask(desk.trading.fills(desk.symbol, order_id=order.id))
    assert own == [f for f in fills if f.order_id == order.id]
    cost = sum(f.price * f.size for f in own)
    assert abs(history[0].average - cost / asked.filled) < D("1e-8")


@MARKETS
def test_histories_have_bounds_and_limits(market):
    desk = Desk(market)
    ids = []
    for _ in range(4):
        ids.append(desk.place(price=desk.far()).id)
        desk.clock.now += 10 * SECOND
        desk.host.step()
    history = desk.trading.order_history
    assert [o.id for o in desk.ask(history(desk.symbol, limit=2))] == ids[2:]
    bounded = history(desk.symbol, start=START + 10 * SECOND, end=START + 20 * SECOND)
    assert [o.id for o in desk.ask(bounded)] == ids[1:3]
    assert [o.id for o in desk.ask(history(desk.symbol, start=START, limit=3))] == ids[:3]


@MARKETS
def test_all_are_canceled_at_once(market):
    desk = Desk(market)
    for _ in range(3):
        desk.place(price=desk.far())
    other = desk.new(price=None, symbol=desk.symbol.replace("BTC", "ETH"), size="0.1")
    best = desk.exchange.best(other.symbol)
    other = structs.replace(other, price=best.bid * 98 // 100 * desk.exchange.instrument(other.symbol).tick)
    desk.ask(desk.trading.place(other))
    ended = desk.ask(desk.trading.cancel_all(desk.symbol))
    assert [(o.status, o.client_id) for o in ended] == (
        [] if market == "usdm" else [("canceled", f"t-{n}") for n in (1, 2, 3)]
    )
    assert [o.symbol for o in desk.ask(desk.trading.open_orders())] == [other.symbol]
    assert desk.ask(desk.trading.cancel_all(desk.symbol)) == []


@MARKETS
@pytest.mark.parametrize(
    ("tif", "status"), [("ioc", "expired"), ("fok", "expired"), ("post_only", "open"), ("gtc", "open")]
)
def test_times_in_force(market, tif, status):
    desk = Desk(market)
    order = desk.place(price=desk.far(), tif=tif)
    assert (order.status, order.tif, order.kind) == (status, tif, "limit")
    assert desk.ask(desk.trading.order(OrderRef(desk.symbol, order.id))).tif == tif


@MARKETS
def test_an_immediate_order_expires_with_what_it_got(market):
    desk = Desk(market)
    taken = desk.best.ask_size * desk.spec.step
    price, size = desk.deep()
    order = desk.place(size=size, price=price, tif="ioc")
    assert (order.status, order.filled) == ("expired", taken)


def test_market_orders_by_cost():
    desk = Desk()
    order = desk.place(kind="market", size=None, cost=D("1000.5"))
    [held] = [f for f in [desk.exchange.accounts.fills("ann", S, order_id=None)] if f]
    spent = sum(f.price * f.size for f in held) * desk.spec.tick * desk.spec.step
    assert (order.status, order.size, order.average) != ("open", None, None)
    assert (order.size, order.filled) == (None, sum(f.size for f in held) * desk.spec.step)
    assert D("1000.5") - spent < desk.price(desk.best.ask) * desk.spec.step
    desk.check()


def test_spot_orders_shrink_and_keep_their_client_id():
    desk = Desk()
    order = desk.place(price=desk.far(), size="0.02")
    ref = OrderRef(S, order.id, order.client_id)
    amended = desk.ask(desk.trading.amend(Amendment(ref, D("0.01"))))
    assert (amended.size, amended.client_id, amended.status) == (D("0.01"), order.client_id, "open")
    assert desk.ask(desk.trading.order(OrderRef(S, client_id=order.client_id))).size == D("0.01")
    # By its id alone the order gets a new client id, and the answer says which.
    renamed = desk.ask(desk.trading.amend(Amendment(OrderRef(S, order.id), D("0.005"))))
    assert renamed.client_id != order.client_id
    assert desk.ask(desk.trading.order(OrderRef(S, client_id=renamed.client_id))).id == order.id
    with pytest.raises(OrderNotFound):
        desk.ask(desk.trading.order(OrderRef(S, client_id=order.client_id)))
    with pytest.raises(InvalidOrder, match="increase"):
        desk.ask(desk.trading.amend(Amendment(ref, D("0.03"))))
    with pytest.raises(NoChange):
        desk.ask(desk.trading.amend(Amendment(ref, D("0.005"))))
    with pytest.raises(OrderNotFound):
        desk.ask(desk.trading.amend(Amendment(OrderRef(S, "7"), D("0.001"))))


def test_futures_orders_are_amended_in_price_and_size():
    desk = Desk("usdm")
    order = desk.place(price=desk.far())
    price = desk.far() - desk.spec.tick
    amended = desk.ask(desk.trading.amend(Amendment(OrderRef(U, order.id), D("0.02"), price, "buy")))
    assert (amended.id, amended.size, amended.price, amended.client_id) == (order.id, D("0.02"), price, "t-1")
    with pytest.raises(NoChange):
        desk.ask(desk.trading.amend(Amendment(OrderRef(U, order.id), D("0.02"), price, "buy")))


@MARKETS
def test_stops(market):
    desk = Desk(market)
    trigger = desk.price(desk.best.ask * 102 // 100)
    order = desk.place(kind="stop_limit", trigger=trigger, price=trigger + desk.spec.tick)
    assert (order.status, order.kind, order.trigger, order.price) == (
        "open",
        "stop_limit",
        trigger,
        trigger + desk.spec.tick,
    )
    conditional = market == "usdm"
    ref = OrderRef(desk.symbol, order.id, conditional=conditional)
    assert desk.ask(desk.trading.order(ref)).kind == "stop_limit"
    listed = desk.trading.open_conditional(desk.symbol) if conditional else desk.trading.open_orders(desk.symbol)
    assert [(o.id, o.trigger) for o in desk.ask(listed)] == [(order.id, trigger)]
    if conditional:
        assert desk.ask(desk.trading.open_orders(desk.symbol)) == []
    canceled = desk.ask(desk.trading.cancel(ref))
    assert (canceled is None) == conditional
    assert desk.ask(desk.trading.order(ref)).status == "canceled"
    with pytest.raises(OrderNotFound):
        desk.ask(desk.trading.cancel(ref))
    with pytest.raises(InvalidOrder, match="trigger"):
        desk.place(kind="stop", trigger=desk.price(desk.best.ask * 98 // 100))


def test_a_conditional_order_gives_birth_to_another_with_its_client_id():
    desk = Desk("usdm")
    trigger = desk.best.ask + 5
    order = desk.place(kind="stop", trigger=desk.price(trigger), trigger_by="last", client_id="k-a-1")
    # Somebody buys up to the trigger.
    lots = sum(size for price, size in desk.exchange.book(U).asks if price <= trigger) + 1
    desk.exchange.submit(U, 0, "sell", trigger + 1, 50_000)
    desk.exchange.submit(U, 0, "buy", trigger + 1, lots)
    asked = desk.ask(desk.trading.order(OrderRef(U, order.id, conditional=True)))
    assert (asked.status, asked.raw_status, asked.filled) == ("filled", "FINISHED", D("0.01"))
    born = desk.ask(desk.trading.order(OrderRef(U, client_id="k-a-1")))
    assert (born.kind, born.status, born.average) == ("market", "filled", asked.average)
    assert born.id != order.id
    desk.check()


def test_conditional_orders_are_canceled_apart():
    desk = Desk("usdm")
    trigger = desk.price(desk.best.ask * 102 // 100)
    desk.place(price=desk.far())
    desk.place(kind="stop", trigger=trigger)
    assert desk.ask(desk.trading.cancel_all(U)) == []
    assert len(desk.ask(desk.trading.open_conditional())) == 1
    assert desk.ask(desk.trading.cancel_all_conditional(U)) == []
    assert desk.ask(desk.trading.open_conditional(U)) == []


def test_batches():
    desk = Desk("usdm")
    orders = [
        desk.new(price=desk.far()),
        desk.new(price=desk.far() + D("0.001")),
        desk.new("sell", "market", reduce_only=True),
        desk.new(price=desk.far("sell"), side="sell"),
    ]
    first, second, third, fourth = desk.ask(desk.trading.place_many(orders))
    assert (first.status, first.client_id, fourth.side, fourth.status) == ("open", "t-1", "sell", "open")
    assert (type(second), type(third)) == (InvalidOrder, ReduceOnlyRejected)
    assert {o.id for o in desk.ask(desk.trading.open_orders(U))} == {first.id, fourth.id}
    refs = [OrderRef(U, first.id), OrderRef(U, "77"), OrderRef(U, fourth.id)]
    one, two, three = desk.ask(desk.trading.cancel_many(refs))
    assert (one.status, type(two), three.status) == ("canceled", OrderNotFound, "canceled")
    last = desk.place(price=desk.far())
    [gone] = desk.ask(desk.trading.cancel_many([OrderRef(U, client_id=last.client_id)]))
    assert (gone.id, gone.status) == (last.id, "canceled")


@pytest.mark.parametrize("mode", ["one_way", "hedge"])
def test_positions(mode):
    desk = Desk("usdm", mode=mode)
    side = {"position_side": "long"} if mode == "hedge" else {}
    desk.ask(desk.trading.set_position_mode(mode))
    desk.ask(desk.trading.set_leverage(U, 5))
    flags = desk.ask(desk.trading.account_flags())
    assert (flags.position_mode, flags.can_trade, flags.can_withdraw) == (mode, True, False)
    desk.place(kind="market", size="0.02", **side)
    [held] = desk.exchange.accounts.positions("ann", U)
    [told] = desk.ask(desk.trading.positions(U))
    assert (told.side, told.size, told.margin_mode, told.leverage) == ("long", D("0.02"), "cross", None)
    for name, value in (
        ("entry", held.entry_e8),
        ("mark", held.mark_e8),
        ("unrealized_pnl", held.unrealized_e8),
        ("margin", held.margin_e8),
    ):
        assert getattr(told, name) == D(value).scaleb(-8), name
    if mode == "hedge":
        desk.place("sell", "market", "0.01", position_side="short")
        assert {p.side: p.size for p in desk.ask(desk.trading.positions())} == {"long": D("0.02"), "short": D("0.01")}
    wrong = USDM.trading(desk.instruments, TradingSettings(position_mode="one_way" if side else "hedge"))
    query = wrong.place(desk.new(kind="market", **({} if side else {"position_side": "long"})))
    with pytest.raises(InvalidOrder, match="position side"):
        desk.ask(query)
    # What rests without a position is no position.
    eth = "ETH/USDT:USDT"
    price = desk.exchange.best(eth).bid * 98 // 100 * desk.exchange.instrument(eth).tick
    desk.place(symbol=eth, size="0.1", price=price, **side)
    assert {p.symbol for p in desk.ask(desk.trading.positions())} == {U}
    desk.place("sell", "market", "0.02", reduce_only=True, **side)
    assert [p.side for p in desk.ask(desk.trading.positions(U))] == (["short"] if side else [])
    fills = desk.check()
    assert fills[-1].realized_pnl != 0


def test_margin_modes():
    desk = Desk("usdm")
    desk.ask(desk.trading.set_margin_mode(U, "cross"))
    desk.ask(desk.trading.set_margin_mode(U, "isolated"))
    desk.place(kind="market")
    [told] = desk.ask(desk.trading.positions(U))
    [held] = desk.exchange.accounts.positions("ann", U)
    assert (told.margin_mode, told.margin) == ("isolated", D(held.margin_e8).scaleb(-8))
    with pytest.raises(Exception, match="-4048"):
        desk.ask(desk.trading.set_margin_mode(U, "cross"))
    with pytest.raises(Exception, match="-4068"):
        desk.ask(desk.trading.set_position_mode("hedge"))


@MARKETS
def test_validation_places_nothing(market):
    desk = Desk(market)
    assert desk.ask(desk.trading.validate(desk.new(price=desk.far()))) is None
    with pytest.raises(InvalidOrder):
        desk.ask(desk.trading.validate(desk.new(price=desk.far() + desk.spec.tick / 2)))
    assert desk.ask(desk.trading.order_history(desk.symbol)) == []
