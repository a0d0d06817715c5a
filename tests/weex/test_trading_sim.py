"""Trading against the simulator: the adapter asks and reads, the ledger behind the face says what is right."""

from __future__ import annotations

from decimal import Decimal

import pytest

from tests.weex.desk import Desk
from unitape import errors
from unitape.spi import OrderRef
from unitape.spi.simulated_accounts import SimOrder, SimOrderRequest

D = Decimal
BOTH = pytest.mark.parametrize("name", ["spot", "contract"])


@BOTH
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_session_agrees_with_the_ledger(name: str, seed: int) -> None:
    desk = Desk(name, seed=seed)
    ask, trading = desk.ask, desk.trading
    desk.agree_balances(ask(trading.balances()))
    placed = ask(trading.place(desk.order("buy", price=desk.inside("buy"))))
    assert placed.status == "open"
    assert placed.id is not None
    (resting,) = ask(trading.open_orders(desk.symbol))
    desk.agrees(resting, "open")
    assert resting.id == placed.id
    desk.agree_balances(ask(trading.balances()))
    desk.trade("sell", 15)
    partial = ask(trading.order(OrderRef(desk.symbol, placed.id)))
    desk.agrees(partial, "partially_filled")
    assert partial.filled == 15 * desk.spec.step
    desk.agree_fills(ask(trading.fills(desk.symbol)))
    assert ask(trading.fills(desk.symbol, order_id=placed.id)) == ask(trading.fills(desk.symbol))
    desk.agree_balances(ask(trading.balances()))
    assert ask(trading.cancel(OrderRef(desk.symbol, placed.id))) is None
    assert ask(trading.open_orders()) == []
    bought = ask(trading.place(desk.order("buy", "market", lots=30)))
    history = ask(trading.order_history(desk.symbol))
    assert [row.id for row in history] == [placed.id, bought.id]
    desk.agrees(history[0], "canceled")
    desk.agrees(history[1], "filled")
    desk.agree_fills(ask(trading.fills(desk.symbol)))
    desk.agree_balances(ask(trading.balances()))
    if desk.linear:
        (position,) = ask(trading.positions(desk.symbol))
        assert (position.side, position.size) == ("long", 45 * desk.spec.step)
        desk.agree_positions(ask(trading.positions()))
        closed = desk.order("sell", "market", lots=45, position_side="long", reduce_only=True)
        assert ask(trading.place(closed)).reduce_only is True
        assert ask(trading.positions()) == []
        desk.agree_fills(ask(trading.fills(None)))
        desk.agree_balances(ask(trading.balances()))


@BOTH
def test_times_in_force(name: str) -> None:
    desk = Desk(name)
    missed = desk.ask(desk.trading.place(desk.order("buy", price=desk.away("buy"), tif="ioc")))
    killed = desk.ask(desk.trading.place(desk.order("buy", price=desk.away("buy"), tif="fok")))
    history = {row.id: row for row in desk.ask(desk.trading.order_history(desk.symbol))}
    desk.agrees(history[missed.id], "canceled")
    desk.agrees(history[killed.id], "canceled")
    assert (history[missed.id].tif, history[killed.id].tif) == ("ioc", "fok")
    if desk.linear:
        best = desk.price(desk.exchange.best(desk.symbol).ask)
        crossing = desk.ask(desk.trading.place(desk.order("buy", price=best, tif="post_only")))
        late = desk.ask(desk.trading.order(OrderRef(desk.symbol, crossing.id)))
        assert (late.status, late.filled, late.tif) == ("canceled", 0, "post_only")


@BOTH
def test_cancels(name: str) -> None:
    desk = Desk(name)
    ask, trading, symbol = desk.ask, desk.trading, desk.symbol
    orders = [desk.order("buy", price=desk.away("buy"), lots=10) for _ in range(5)]
    ids = [ask(trading.place(order)).id for order in orders]
    assert ask(trading.cancel(OrderRef(symbol, client_id=orders[0].client_id))) is None
    gone = [OrderRef(symbol, ids[0]), OrderRef(symbol, ids[1])]
    first, second = ask(trading.cancel_many(gone))
    assert isinstance(first, errors.OrderNotFound)
    assert second is None
    by_client = [OrderRef(symbol, client_id=order.client_id) for order in orders[1:3]]
    first, second = ask(trading.cancel_many(by_client))
    assert isinstance(first, errors.OrderNotFound)
    assert second is None
    assert [row.id for row in ask(trading.open_orders())] == ids[3:]
    assert ask(trading.cancel_all(symbol)) == []
    assert ask(trading.open_orders()) == []
    with pytest.raises(errors.OrderNotFound):
        ask(trading.cancel(OrderRef(symbol, ids[4])))
    assert ask(trading.cancel_all(symbol)) == []


def test_the_account_is_canceled_as_a_whole_on_contracts() -> None:
    desk = Desk("contract", settings={"batch_cancel": "wrapped"})
    kept = desk.ask(desk.trading.place(desk.order("buy", price=desk.away("buy"))))
    stop = desk.ask(desk.trading.place(desk.order("buy", "stop", trigger=desk.away("sell"))))
    assert [row.id for row in desk.ask(desk.trading.open_orders())] == [kept.id]
    assert [row.id for row in desk.ask(desk.trading.open_conditional())] == [stop.id]
    assert desk.ask(desk.trading.order_history(None)) == [], "the history is of orders that are over"
    (none,) = desk.ask(desk.trading.cancel_many([OrderRef(desk.symbol, "9")]))
    assert isinstance(none, errors.OrderNotFound)
    desk.ask(desk.trading.cancel_all(None))
    assert desk.ask(desk.trading.open_orders()) == []
    assert [row.id for row in desk.ask(desk.trading.open_conditional())] == [stop.id]
    desk.ask(desk.trading.cancel_all_conditional(None))
    assert desk.ask(desk.trading.open_conditional()) == []


def test_the_id_of_an_open_spot_order_answers_with_that_order() -> None:
    desk = Desk("spot")
    order = desk.order("buy", price=desk.away("buy"))
    first, again = desk.ask(desk.trading.place(order)), desk.ask(desk.trading.place(order))
    assert again.id == first.id
    assert len(desk.exchange.accounts.orders("ann")) == 1
    found = desk.ask(desk.trading.order(OrderRef(desk.symbol, client_id=order.client_id)))
    assert found.id == first.id


def test_conditional_orders_and_what_they_become() -> None:
    desk = Desk("contract")
    ask, trading, symbol = desk.ask, desk.trading, desk.symbol
    ask(trading.place(desk.order("buy", "market", lots=40)))
    stop = desk.order("sell", "stop", lots=10, position_side="long", trigger=desk.away("buy", 100))
    limit = desk.order(
        "sell", "take_profit_limit", lots=10, position_side="long", trigger=desk.away("sell"), price=desk.away("sell")
    )
    plan = desk.order("sell", "stop", lots=10, position_side="long", trigger=desk.away("buy", 600), trigger_by="mark")
    ids = [ask(trading.place(order)).id for order in (stop, limit, plan)]
    waiting = ask(trading.open_conditional(symbol))
    assert [row.id for row in waiting] == ids
    assert [row.kind for row in waiting] == ["stop", "take_profit_limit", "stop"]
    assert [row.trigger for row in waiting] == [stop.trigger, limit.trigger, plan.trigger]
    assert [row.price for row in waiting] == [None, limit.price, None]
    assert all(row.reduce_only and row.status == "open" for row in waiting)
    assert ask(trading.open_orders()) == []
    best = desk.exchange.best(symbol)
    sweep = desk.exchange.accounts.place(
        "bob",
        SimOrderRequest(
            symbol, "sell", "limit", size=sum(size for _, size in desk.exchange.book(symbol, 400).bids) // 2,
            price=best.bid - 700, tif="ioc", position_side="short",
        ),
    )  # fmt: skip
    assert isinstance(sweep, SimOrder), sweep
    assert desk.exchange.trades(symbol, 1)[0].price <= best.bid - 100, f"seed {desk.exchange.seed}: not deep enough"
    done = {row.id: row for row in ask(trading.conditional_history(symbol))}
    assert (done[ids[0]].status, done[ids[0]].filled) == ("filled", 10 * desk.spec.step)
    history = {row.client_id: row for row in ask(trading.order_history(symbol)) if row.kind == "stop"}
    assert history[stop.client_id].raw_status == "FILLED"
    assert sum(fill.size for fill in ask(trading.fills(symbol)) if fill.side == "sell") == 10 * desk.spec.step
    assert ids[1] in {row.id for row in ask(trading.open_conditional())}
    assert ask(trading.cancel(OrderRef(symbol, ids[1], conditional=True))) is None
    with pytest.raises(errors.OrderNotFound):
        ask(trading.cancel(OrderRef(symbol, ids[1], conditional=True)))
    with pytest.raises(errors.OrderNotFound):
        ask(trading.cancel(OrderRef(symbol, ids[0])))
    desk.agree_positions(ask(trading.positions()))


@pytest.mark.parametrize("attached", ["honoured", "ignored"])
def test_attached_orders_wait_when_the_order_is_filled(attached: str) -> None:
    desk = Desk("contract", settings={"attached": attached})
    order = desk.order("buy", "market", take_profit=desk.away("sell"), stop_loss=desk.away("buy"))
    desk.ask(desk.trading.place(order))
    waiting = desk.ask(desk.trading.open_conditional())
    if attached == "ignored":
        assert waiting == []
        return
    assert [(row.kind, row.trigger, row.reduce_only) for row in waiting] == [
        ("take_profit", order.take_profit, True),
        ("stop", order.stop_loss, True),
    ]


def test_leverage_and_margin_mode() -> None:
    desk = Desk("contract", margin_mode="isolated")
    trading = desk.trading
    assert desk.ask(trading.set_margin_mode(desk.symbol, "isolated")) is None
    assert desk.ask(trading.set_margin_mode(desk.symbol, "isolated")) is None
    assert desk.ask(trading.set_leverage(desk.symbol, 7)) is None
    settings = desk.exchange.accounts.settings("ann", desk.symbol)
    assert (settings.long_leverage, settings.short_leverage, settings.margin_mode) == (7, 7, "isolated")
    desk.ask(trading.place(desk.order("buy", "market")))
    desk.agree_positions(desk.ask(trading.positions(desk.symbol)))
    stop = desk.order("sell", "stop", position_side="long", trigger=desk.away("buy"))
    desk.ask(trading.place(stop))
    for query in (trading.set_leverage(desk.symbol, 9), trading.set_margin_mode(desk.symbol, "cross")):
        with pytest.raises(errors.InvalidRequest, match="open orders"):
            desk.ask(query)


def test_both_sides_of_a_symbol_are_closed_by_one_request() -> None:
    desk = Desk("contract", options={"close_positions": "both_sides"})
    desk.ask(desk.trading.place(desk.order("buy", "market", lots=12)))
    desk.ask(desk.trading.place(desk.order("sell", "market", lots=9)))
    positions = desk.ask(desk.trading.positions())
    assert {position.side: position.size for position in positions} == {
        "long": 12 * desk.spec.step,
        "short": 9 * desk.spec.step,
    }
    desk.agree_positions(positions)
    assert desk.ask(desk.trading.close_position(desk.symbol, "long")) is None
    assert desk.ask(desk.trading.positions()) == []
    assert desk.ask(desk.trading.close_positions(symbol=desk.symbol)) is None


def test_one_way_accounts_say_so_and_can_be_insisted_on() -> None:
    desk = Desk(
        "contract", settings={"position_mode": "one_way"}, options={"one_way": "allow"}, position_mode="one_way"
    )
    assert desk.ask(desk.trading.account_flags()).position_mode == "one_way"
    desk.ask(desk.trading.place(desk.order("sell", "market", lots=8, position_side=None)))
    desk.agree_positions(desk.ask(desk.trading.positions()))
    desk.ask(desk.trading.place(desk.order("buy", "market", lots=8, position_side=None, reduce_only=True)))
    assert desk.ask(desk.trading.positions()) == []
    assert Desk("contract").ask(Desk("contract").trading.account_flags()).position_mode == "hedge"


@BOTH
def test_batches(name: str) -> None:
    options = {"batch_place": "5"}
    desk = Desk(name, options=options)
    orders = [desk.order("buy", price=desk.away("buy")), desk.order("buy", price=desk.away("buy"), size=D(500))]
    with pytest.raises(errors.InvalidRequest) as refused:
        desk.ask(desk.trading.place_many(orders))
    assert refused.value.code == "-1150"
    assert desk.exchange.accounts.orders("ann") == []
    desk = Desk(name, options=options, settings={"batch": "on"})
    placed, poor = desk.ask(desk.trading.place_many(orders))
    assert placed.client_id == orders[0].client_id
    assert isinstance(poor, errors.InsufficientFunds)
    (open_order,) = desk.ask(desk.trading.open_orders())
    assert open_order.id == placed.id
