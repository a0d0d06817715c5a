"""A user who listens to an account at the simulated markets is told what the market's own books say."""

from __future__ import annotations

from decimal import Decimal

import pytest

from tests.binance.account_rig import Listening
from tests.binance.desk import ED, MARKETS, PRIVATE, SECOND
from unitape.errors import OrderNotFound, VenueError
from unitape.sim.faults import Fault
from unitape.spi import Amendment, Closing, OrderRef, Recheck, Refused, Unmapped
from unitape.spi.simulated_accounts import SimUser
from unitape_schemas import Balance, Fill, Order, Position

D = Decimal


def plain(order):
    """What an order says, however it was learned."""
    return (order.id, order.client_id, order.side, order.kind, order.price, order.size, order.filled, order.average)


def struck(rig, trigger):
    """Let somebody buy up to a trigger, who leaves enough to buy behind it."""
    desk = rig.desk
    ticks = int(trigger / desk.spec.tick)
    lots = sum(size for price, size in desk.exchange.book(desk.symbol).asks if price <= ticks) + 1
    desk.exchange.submit(desk.symbol, 0, "sell", ticks + 1, 50_000)
    desk.exchange.submit(desk.symbol, 0, "buy", ticks + 1, lots)
    rig.run(0.5)


@MARKETS
def test_what_is_pushed_is_what_queries_say(market):
    rig = Listening(market)
    desk = rig.desk
    assert rig.ready == 1
    price, size = desk.deep()
    taken = desk.place("buy", "limit", size=size, price=price)
    rig.run()
    far = desk.place("buy", "limit", size="0.01", price=desk.far())
    rig.run()
    desk.ask(desk.trading.cancel(OrderRef(desk.symbol, far.id)))
    desk.ask(desk.trading.cancel(OrderRef(desk.symbol, taken.id)))
    sold = desk.place("sell", "market", size="0.02")
    rig.run()
    for placed in (taken, far, sold):
        asked = desk.ask(desk.trading.order(OrderRef(desk.symbol, placed.id)))
        pushed = [order for order in rig.of(Order) if order.id == placed.id]
        assert plain(pushed[-1]) == plain(asked)
        assert pushed[-1].status == asked.status
        assert pushed[0].status == "open"
        assert pushed[0].raw_status == "NEW"
    asked = desk.check()
    pushed = rig.of(Fill)
    assert [(f.id, f.order_id, f.price, f.size, f.fee, f.fee_currency, f.liquidity) for f in pushed] == [
        (f.id, f.order_id, f.price, f.size, f.fee, f.fee_currency, f.liquidity) for f in asked
    ]
    assert [f.realized_pnl for f in pushed] == [f.realized_pnl for f in asked]
    # Every fill stands right behind its order, which already counts it.
    for before, fill in zip(rig.told, rig.told[1:], strict=False):
        if isinstance(fill, Fill):
            assert isinstance(before, Order)
            assert before.id == fill.order_id
    wallets = {balance.currency: balance for balance in rig.of(Balance)}
    for balance in desk.ask(desk.trading.balances()):
        if balance.currency in wallets:
            assert wallets[balance.currency].total == balance.total
            if market == "spot":
                assert wallets[balance.currency].locked == balance.locked


def test_positions_are_told_until_they_are_closed():
    rig = Listening("usdm")
    desk = rig.desk
    last = {}
    for side, size, held in (
        ("buy", "0.02", {"long": D("0.02"), "short": D(0)}),
        ("sell", "0.05", {"long": D(0), "short": D("0.03")}),
        ("buy", "0.03", {"long": D(0), "short": D(0)}),
    ):
        desk.place(side, "market", size=size)
        rig.run()
        last |= {position.side: position.size for position in rig.of(Position)}
        assert last == held
    desk.place("buy", "market", size="0.02")
    rig.run()
    (held,) = desk.ask(desk.trading.positions())
    last = rig.of(Position)[-1]
    assert (last.side, last.size, last.entry, last.margin_mode) == ("long", held.size, held.entry, "cross")
    # A trade is told twice by the venue, and once here.
    assert [u.name for u in rig.of(Unmapped)] == ["TRADE_LITE"] * len(rig.of(Fill))


def test_both_sides_of_a_hedge_are_told():
    rig = Listening("usdm", mode="hedge")
    desk = rig.desk
    desk.ask(desk.trading.set_position_mode("hedge"))
    desk.place("buy", "market", size="0.02", position_side="long")
    desk.place("sell", "market", size="0.03", position_side="short")
    rig.run()
    assert {(p.side, p.size) for p in rig.of(Position)} == {("long", D("0.02")), ("short", D("0.03"))}
    assert {order.position_side for order in rig.of(Order)} == {"long", "short"}


def test_a_conditional_order_is_told_from_its_beginning_to_the_end_of_the_order_it_sends():
    rig = Listening("usdm")
    desk = rig.desk
    trigger = desk.price(desk.best.ask + 5)
    waiting = desk.place("buy", "stop", size="0.02", trigger=trigger)
    rig.run()
    struck(rig, trigger)
    kinds = [
        (event["e"], event["o"]["X"]) for event in rig.events() if event["e"] in ("ALGO_UPDATE", "ORDER_TRADE_UPDATE")
    ]
    whole = [kind for kind in kinds if kind != ("ORDER_TRADE_UPDATE", "PARTIALLY_FILLED")]
    assert whole == [
        ("ALGO_UPDATE", "NEW"),
        ("ALGO_UPDATE", "TRIGGERING"),
        ("ORDER_TRADE_UPDATE", "NEW"),
        ("ALGO_UPDATE", "TRIGGERED"),
        ("ORDER_TRADE_UPDATE", "FILLED"),
        ("ALGO_UPDATE", "FINISHED"),
    ]
    conditional = [order for order in rig.of(Order) if order.id == waiting.id]
    born = [order for order in rig.of(Order) if order.id != waiting.id]
    assert [order.status for order in conditional] == ["open", "open", "open", "filled"]
    assert {order.client_id for order in conditional + born} == {waiting.client_id}
    assert (conditional[-1].filled, conditional[-1].average) == (born[-1].filled, born[-1].average)
    assert {order.trigger for order in conditional} == {trigger}
    assert {order.trigger for order in born} == {None}
    asked = desk.ask(desk.trading.order(OrderRef(desk.symbol, waiting.id, conditional=True)))
    assert plain(asked) == plain(conditional[-1])


def test_a_conditional_order_that_cannot_be_placed_is_rejected():
    rig = Listening("usdm", user=ED, secret=PRIVATE)
    desk = rig.desk
    trigger = desk.price(desk.best.ask + 5)
    waiting = desk.place("buy", "stop", size="0.1", trigger=trigger)
    struck(rig, trigger)
    assert [(o.id, o.raw_status) for o in rig.of(Order)] == [
        (waiting.id, "NEW"),
        (waiting.id, "TRIGGERING"),
        (waiting.id, "REJECTED"),
    ]


def test_a_stop_of_spot_keeps_its_id_when_it_is_triggered():
    rig = Listening("spot")
    desk = rig.desk
    trigger = desk.price(desk.best.ask + 5)
    waiting = desk.place("buy", "stop_limit", size="0.02", trigger=trigger, price=desk.far("sell"))
    rig.run()
    struck(rig, trigger)
    mine = [event for event in rig.events() if event["e"] == "executionReport"]
    assert [(event["x"], event["w"], "W" in event) for event in mine[:2]] == [
        ("NEW", False, False),
        ("NEW", True, True),
    ]
    assert {order.id for order in rig.of(Order)} == {waiting.id}
    assert rig.of(Order)[-1].status == "filled"


def test_a_cancel_names_itself_and_the_order_on_spot():
    rig = Listening("spot")
    desk = rig.desk
    placed = desk.place("buy", "limit", size="0.01", price=desk.far())
    desk.ask(desk.trading.cancel(OrderRef(desk.symbol, placed.id)))
    rig.run()
    report = [event for event in rig.events() if event["e"] == "executionReport"][-1]
    assert report["x"] == "CANCELED"
    assert report["C"] == placed.client_id
    assert report["c"] not in ("", placed.client_id)
    assert (rig.of(Order)[-1].client_id, rig.of(Order)[-1].status) == (placed.client_id, "canceled")


@MARKETS
def test_an_amendment_is_told(market):
    rig = Listening(market)
    desk = rig.desk
    placed = desk.place("buy", "limit", size="0.02", price=desk.far())
    price = None if market == "spot" else placed.price
    desk.ask(desk.trading.amend(Amendment(OrderRef(desk.symbol, placed.id), D("0.01"), price, "buy")))
    rig.run()
    order = rig.of(Order)[-1]
    assert (order.id, order.size, order.status) == (placed.id, D("0.01"), "open")
    asked = desk.ask(desk.trading.order(OrderRef(desk.symbol, placed.id)))
    assert order.client_id == asked.client_id


def test_an_ed25519_key_logs_the_session_on():
    rig = Listening("spot", user=ED, secret=PRIVATE)
    assert rig.ready == 1
    assert [frame["id"] for frame in rig.frames] == ["logon", "subscribe"]
    rig.desk.place("buy", "market", size=None, cost=D(20))
    rig.run()
    assert [fill.side for fill in rig.of(Fill)] == ["buy"]


@pytest.mark.parametrize("user", [SimUser("bob", "no-key", "secret-of-bob"), SimUser("ann", "ann-key", "wrong-secret")])
def test_a_wrong_key_or_secret_is_refused_for_good(user):
    rig = Listening("spot")
    rig.keys = type(rig.keys)(user.key, user.secret)
    rig.told.clear()
    rig.connect()
    (refused,) = rig.of(Refused)
    assert refused.code == "auth"
    assert user.secret not in repr(refused)
    assert not rig.ready


def test_a_clock_that_is_off_is_refused_and_may_be_tried_again():
    rig = Listening("spot")
    rig.told.clear()
    rig.session = rig.stream.session()
    rig.conn = rig.desk.host.open("/ws-api/v3")
    rig.session.on_open(rig.keys, rig.desk.exchange.now - 60 * SECOND)
    rig.run()
    (refused,) = rig.of(Refused)
    assert refused.code == "-1021"
    rig.told.clear()
    rig.connect()
    assert rig.ready == 1


# Listen keys and ends -------------------------------------------------------------------------------------------------


def test_a_listen_key_ends_after_an_hour_unless_it_is_extended():
    rig = Listening("usdm")
    for _ in range(3):
        rig.run(1800, step=100)
        rig.keyed(rig.stream.keep_key(rig.key))
    assert rig.of(Closing) == []
    rig.run(3600, step=100)
    (closing,) = rig.of(Closing)
    assert not closing.rotate
    assert not rig.closed
    with pytest.raises(VenueError) as gone:
        rig.keyed(rig.stream.keep_key(rig.key))
    assert gone.value.code == "-1125"
    # The old connection stays, and stays silent; a new key tells again.
    seen = len(rig.frames)
    rig.desk.place("buy", "limit", size="0.01", price=rig.desk.far())
    rig.run()
    assert len(rig.frames) == seen
    old, rig.key = rig.key, rig.listen_key()
    assert rig.key != old
    rig.connect()
    rig.desk.place("buy", "limit", size="0.01", price=rig.desk.far())
    rig.run()
    assert rig.of(Order)[-1].status == "open"


def test_a_wrong_listen_key_connects_and_is_told_nothing():
    rig = Listening("usdm")
    rig.key = "0" * 64
    rig.told.clear()
    rig.connect()
    rig.desk.place("buy", "market", size="0.01")
    rig.run()
    assert rig.ready == 1
    assert rig.of(Order) == []


def test_asking_for_a_listen_key_again_gives_the_same_one():
    rig = Listening("usdm")
    assert rig.listen_key() == rig.key
    assert len(rig.key) == 64


@MARKETS
def test_the_fault_that_ends_a_listen_key(market):
    rig = Listening(market)
    rig.desk.host.faults.add(Fault("listen_key_expired", at=0.0, match="private"))
    rig.run()
    assert len(rig.of(Closing)) == 1
    rig.told.clear()
    rig.desk.place("buy", "market", size="0.01")
    rig.run()
    assert rig.told == []
    rig.key = rig.listen_key()
    rig.connect()
    rig.desk.place("buy", "market", size="0.01")
    rig.run()
    assert rig.of(Fill)


def test_a_server_that_shuts_down_says_so_to_account_streams_of_spot():
    rig = Listening("spot")
    rig.desk.host.faults.add(Fault("server_shutdown", at=0.0, seconds=2.0))
    rig.run()
    (closing,) = rig.of(Closing)
    assert closing.rotate
    assert not rig.closed
    rig.run(3)
    assert rig.closed


@MARKETS
def test_queries_that_lag(market):
    rig = Listening(market)
    desk = rig.desk
    desk.host.faults.add(Fault("lagging_orders", at=0.0, match="/order", seconds=5.0))
    placed = desk.place("buy", "market", size="0.01")
    ref = OrderRef(desk.symbol, placed.id)
    with pytest.raises(OrderNotFound):
        desk.ask(desk.trading.order(ref))
    assert desk.ask(desk.trading.order(ref)).status == "filled"


def test_what_an_order_locks_is_told():
    rig = Listening("spot")
    rig.desk.place("buy", "limit", size="0.01", price=rig.desk.far())
    rig.run()
    (held,) = rig.of(Balance)
    assert (held.currency, held.locked > 0) == ("USDT", True)
    assert held.free + held.locked == held.total
    assert rig.of(Recheck) == []
