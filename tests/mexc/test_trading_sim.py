"""Whole sessions of the adapter on the simulated venue, compared with the ledger behind it to the last digit."""

from __future__ import annotations

from decimal import Decimal
from itertools import count

import msgspec
import pytest
from msgspec import structs

from tests.sim.trading import ANN, BOB, START
from unitape import errors
from unitape.sim.exchange import SimExchange
from unitape.sim.faults import Faults, FaultSchedule
from unitape.sim.host import SimHost
from unitape.sim.instruments import coins
from unitape.spi import Amendment, Credentials, HttpRequest, HttpResponse, Instruments, NewOrder, OrderRef
from unitape.spi import TradingSettings as Settings
from unitape.spi.simulated_accounts import SimOrderRequest, SimUser
from unitape.spi.simulation import FaceOptions
from unitape_mexc import FUTURES, SPOT
from unitape_mexc.simulator import face
from unitape_schemas import Order

D = Decimal
S, F = "BTC/USDT", "BTC/USDT:USDT"
SECOND = 1_000_000_000
READER = SimUser("reader", "sim-reader", "sim-reader-secret", permissions=("read",), balances={"USDT": "5"})


class HandClock:
    def __init__(self):
        self.now = 0

    def wall(self):
        return START + self.now

    def mono(self):
        return self.now


class Desk:
    """A quiet simulated market, and the adapter's private side before it, as user ``ann``."""

    def __init__(self, market, *, user=ANN, enforce_limits=False, options=None, sim=None, **settings):
        self.market = market
        linear = market is FUTURES
        self.clock = HandClock()
        self.exchange = SimExchange(
            f"mexc/{market.name}", coins(2), linear=linear, seed=4, start=START, rate=20.0, history_minutes=10,
            users=(ANN, BOB, READER),
        )  # fmt: skip
        self.exchange.pause_agents()
        faults = Faults(FaultSchedule(()), f"mexc/{market.name}", 0)
        options_of_face = FaceOptions(faults=faults, enforce_limits=enforce_limits, settings=sim or {})
        self.face = face(self.exchange, market.name, options_of_face)
        self.host = SimHost(f"mexc/{market.name}", self.exchange, self.face, faults, self.clock)
        path = "/api/v1/contract/detail" if linear else "/api/v3/exchangeInfo"
        self.instruments = Instruments(market.read_instruments(self.send(HttpRequest("GET", path)).body))
        self.trading = market.trading(self.instruments, Settings(options=options or {}, **settings))
        self.credentials = Credentials(user.key, user.secret)
        self.symbol = F if linear else S
        self.item = self.exchange.instrument(self.symbol)
        self.names = (f"cid-{number}" for number in count(1))

    @property
    def accounts(self):
        return self.exchange.accounts

    def send(self, request):
        reply = self.host.http(request)
        assert isinstance(reply.response, HttpResponse)
        return reply.response

    def ask(self, query, *, shift=0):
        request = self.trading.sign(query.request, self.credentials, self.exchange.now + shift)
        return query.read(self.send(request), self.clock.wall())

    def order(self, side="buy", kind="limit", **fields):
        fields.setdefault("client_id", next(self.names))
        if "cost" not in fields:
            fields.setdefault("size", 20 * self.item.step)
        if kind == "limit":
            fields.setdefault("price", self.far(side))
        return NewOrder(self.symbol, side, kind, **fields)

    def place(self, *args, **fields):
        return self.ask(self.trading.place(self.order(*args, **fields)))

    def found(self, order, **fields):
        return self.ask(self.trading.order(OrderRef(self.symbol, order.id, **fields)))

    def best(self):
        found = self.exchange.best(self.symbol)
        return found.bid * self.item.tick, found.ask * self.item.tick

    def far(self, side):
        """A price that nobody takes, on the grid."""
        bid, ask = self.best()
        wanted = bid * D("0.9") if side == "buy" else ask * D("1.1")
        return wanted // self.item.tick * self.item.tick

    def bob(self, side, lots, price=None, **fields):
        kind = "market" if price is None else "limit"
        made = self.accounts.place("bob", SimOrderRequest(self.symbol, side, kind, size=lots, price=price, **fields))
        assert hasattr(made, "status"), made
        return made


def e8(value):
    return D(value).scaleb(-8)


def refused(desk, query, kind, code, **how):
    with pytest.raises(kind) as caught:
        desk.ask(query, **how)
    assert type(caught.value) is kind
    assert caught.value.code == code


def assert_fills_agree(desk):
    """Every execution the adapter tells is one of the ledger's, in order, exactly."""
    theirs = desk.accounts.fills("ann", desk.symbol)
    ours = desk.ask(desk.trading.fills(desk.symbol))
    assert len(ours) == len(theirs)
    for fill, sim in zip(ours, sorted(theirs, key=lambda fill: fill.ts), strict=True):
        assert (fill.price, fill.size) == (sim.price * desk.item.tick, sim.size * desk.item.step)
        assert (fill.fee, fill.fee_currency, fill.liquidity) == (e8(sim.fee_e8), sim.fee_currency, sim.liquidity)
        assert (fill.side, fill.client_id, fill.ts_event // 10**6) == (sim.side, sim.client_id, sim.ts // 10**6)
        if desk.market is FUTURES:
            assert fill.realized_pnl == e8(sim.realized_e8)
    return ours


def assert_balances_agree(desk):
    ours = {row.currency: row for row in desk.ask(desk.trading.balances())}
    for sim in desk.accounts.balances("ann"):
        if desk.market is SPOT:
            row = ours[sim.currency]
            assert (row.free, row.locked, row.total) == (e8(sim.free_e8), e8(sim.locked_e8), e8(sim.total_e8))
        elif sim.total_e8:
            row = ours[sim.currency]
            assert (row.free, row.locked, row.total) == (e8(sim.free_e8), e8(sim.locked_e8), e8(sim.total_e8))
            assert (row.equity, row.unrealized_pnl) == (e8(sim.equity_e8), e8(sim.unrealized_e8))


@pytest.mark.parametrize("market", [SPOT, FUTURES], ids=["spot", "futures"])
def test_a_session(market):
    desk = Desk(market, leverage=5 if market is FUTURES else None)
    trading, step = desk.trading, desk.item.step
    assert_balances_agree(desk)
    image = desk.exchange.book(desk.symbol, 1)
    level_price, level_size = image.asks[0]
    price = level_price * desk.item.tick
    # Takes the whole level, and the rest of it rests there.
    size = (level_size + 50) * step
    placed = desk.place("buy", size=size, price=price)
    assert (placed.status, placed.client_id, placed.size) == ("pending", "cid-1", size)
    seen = desk.found(placed)
    assert (seen.status, seen.filled, seen.average) == ("partially_filled", level_size * step, price)
    assert seen == desk.ask(trading.order(OrderRef(desk.symbol, client_id="cid-1")))
    assert [order.id for order in desk.ask(trading.open_orders(desk.symbol))] == [placed.id]
    desk.bob("sell", 20)
    assert desk.found(placed).filled == (level_size + 20) * step
    fills = assert_fills_agree(desk)
    assert [fill.liquidity for fill in fills][-1] == "maker"
    assert {fill.liquidity for fill in fills[:-1]} == {"taker"}
    assert desk.ask(trading.fills(desk.symbol, order_id=placed.id)) == fills
    assert_balances_agree(desk)
    canceled = desk.ask(trading.cancel(OrderRef(desk.symbol, placed.id)))
    seen = desk.found(placed)
    assert (seen.status, seen.filled) == ("canceled", (level_size + 20) * step)
    if market is SPOT:
        assert (canceled.status, canceled.raw_status) == ("canceled", "PARTIALLY_CANCELED")
        assert (canceled.client_id, canceled.filled) == ("cid-1", seen.filled)
    assert desk.ask(trading.open_orders(desk.symbol)) == []
    history = desk.ask(trading.order_history(desk.symbol, start=desk.exchange.now - SECOND, end=desk.exchange.now))
    assert history == [seen]
    assert_balances_agree(desk)
    refused(desk, trading.cancel(OrderRef(desk.symbol, placed.id)), errors.OrderNotFound, {
        SPOT: "-2011", FUTURES: "2041"}[market])  # fmt: skip
    if market is FUTURES:
        [position] = desk.ask(trading.positions())
        [sim] = desk.accounts.positions("ann")
        assert (position.side, position.size) == ("long", (level_size + 20) * step)
        assert position.size == sim.size * step
        assert (position.entry, position.margin, position.leverage) == (e8(sim.entry_e8), e8(sim.margin_e8), 5)
        closing = desk.place("sell", "market", size=position.size, reduce_only=True)
        assert desk.found(closing).reduce_only is True
        assert desk.ask(trading.positions()) == []
        assert_fills_agree(desk)
        assert_balances_agree(desk)


def test_kinds_of_spot_orders():
    desk = Desk(SPOT)
    bid, ask = desk.best()
    for tif in ("gtc", "post_only"):
        order = desk.found(desk.place(tif=tif))
        assert (order.status, order.kind, order.tif, order.price) == ("open", "limit", tif, desk.far("buy"))
    for tif in ("ioc", "fok"):
        order = desk.found(desk.place(tif=tif))
        assert (order.status, order.tif, order.filled) == ("canceled", tif, D(0))
    crossing = desk.found(desk.place(tif="post_only", price=ask))
    assert (crossing.status, crossing.filled) == ("canceled", D(0))
    bought = desk.found(desk.place("buy", "market", cost=D("500")))
    assert (bought.status, bought.kind, bought.size) == ("filled", "market", None)
    [fill] = desk.ask(desk.trading.fills(S, order_id=bought.id))
    assert bought.filled == fill.size
    assert fill.price * fill.size <= 500
    sold = desk.found(desk.place("sell", "market", size=bought.filled))
    assert (sold.status, sold.filled, sold.average) == ("filled", bought.filled, bid)
    assert desk.ask(desk.trading.validate(desk.order())) is None
    open_now = desk.ask(desk.trading.open_orders(S))
    assert len(open_now) == 2
    gone = desk.ask(desk.trading.cancel_all(S))
    assert {order.id for order in gone} == {order.id for order in open_now}
    assert {order.status for order in gone} == {"canceled"}
    assert_balances_agree(desk)


def test_spot_batches_and_all():
    desk = Desk(SPOT, options={"cancel_all": "account"}, sim={"cancel_answer": "minimal"})
    orders = [desk.order(), desk.order(size=10**6 * desk.item.step), desk.order("sell")]
    first, second, third = desk.ask(desk.trading.place_many(orders))
    assert isinstance(first, Order)
    assert isinstance(third, Order)
    assert type(second) is errors.InsufficientFunds
    assert desk.found(third).side == "sell"
    # The least that the venue may answer: nothing but that it is accepted.
    assert desk.ask(desk.trading.cancel(OrderRef(S, client_id=first.client_id))) is None
    assert desk.found(first).status == "canceled"
    assert desk.ask(desk.trading.cancel_all(None)) == []
    assert desk.found(third).status == "canceled"


@pytest.mark.parametrize(
    ("order", "kind", "code"),
    [
        ({"size": D("0.0000000001")}, errors.InvalidOrder, "10096"),
        ({"price": D("60000.0000001")}, errors.InvalidOrder, "10096"),
        ({"size": D("1000")}, errors.InsufficientFunds, "30004"),
        ({"price": D("1")}, errors.InvalidOrder, "30002"),
    ],
)
def test_spot_refuses_orders(order, kind, code):
    desk = Desk(SPOT)
    before = desk.accounts.balances("ann")
    wrong = structs.replace(desk.order(), **order)
    refused(desk, desk.trading.place(wrong), kind, code)
    refused(desk, desk.trading.validate(wrong), kind, code)
    assert desk.accounts.balances("ann") == before
    refused(desk, desk.trading.order(OrderRef(S, client_id="none")), errors.OrderNotFound, "-2013")


@pytest.mark.parametrize(
    ("order", "kind", "code"),
    [
        ({"price": D("60000.0000001")}, errors.InvalidOrder, "2015"),
        ({"size": D("100")}, errors.InsufficientFunds, "2005"),
        ({"reduce_only": True}, errors.ReduceOnlyRejected, "2008"),
    ],
)
def test_futures_refuses_orders(order, kind, code):
    desk = Desk(FUTURES)
    refused(desk, desk.trading.place(structs.replace(desk.order(), **order)), kind, code)
    assert desk.accounts.orders("ann") == []
    for ref in (OrderRef(F, "814218083416000099"), OrderRef(F, client_id="none")):
        refused(desk, desk.trading.order(ref), errors.OrderNotFound, "2040")
        refused(desk, desk.trading.cancel(ref), errors.OrderNotFound, "2040")


@pytest.mark.parametrize("market", [SPOT, FUTURES], ids=["spot", "futures"])
def test_who_may_ask(market):
    desk = Desk(market)
    wrong_time, wrong_signature, no_right, unknown = (
        ("700003", "700002", "700007", "10072") if market is SPOT else ("513", "602", "704", "401")
    )
    place = desk.trading.place(desk.order())
    for shift in (-11 * SECOND, 11 * SECOND):
        refused(desk, place, errors.TimestampOutOfWindow, wrong_time, shift=shift)
    assert isinstance(desk.ask(place, shift=-4 * SECOND), Order)
    desk.credentials = Credentials(ANN.key, "another secret")
    refused(desk, place, errors.AuthenticationFailed, wrong_signature)
    refused(desk, desk.trading.balances(), errors.AuthenticationFailed, wrong_signature)
    desk.credentials = Credentials("nobody", ANN.secret)
    refused(desk, place, errors.AuthenticationFailed, unknown)
    desk.credentials = Credentials(READER.key, READER.secret)
    refused(desk, place, errors.PermissionDenied, no_right)
    assert desk.ask(desk.trading.balances())[0].currency == "USDT"
    assert len(desk.accounts.orders("ann")) == 1


def test_a_changed_byte_is_another_signature():
    for market in (SPOT, FUTURES):
        desk = Desk(market)
        query = desk.trading.place(desk.order())
        signed = desk.trading.sign(query.request, desk.credentials, desk.exchange.now)
        if market is SPOT:
            forged = structs.replace(signed, query=signed.query.replace("side=BUY", "side=SELL"))
        else:
            forged = structs.replace(signed, body=signed.body.replace(b'"side":1', b'"side":3'))
        assert forged != signed
        with pytest.raises(errors.AuthenticationFailed):
            query.read(desk.send(forged), 0)
        assert isinstance(query.read(desk.send(signed), 0), Order)


def test_spot_wants_its_content_type_and_window():
    desk = Desk(SPOT)
    query = desk.trading.place(desk.order())
    signed = desk.trading.sign(query.request, desk.credentials, desk.exchange.now)
    bare = structs.replace(signed, headers=tuple(pair for pair in signed.headers if pair[0] != "Content-Type"))
    with pytest.raises(errors.InvalidRequest) as caught:
        query.read(desk.send(bare), 0)
    assert caught.value.code == "700013"
    unsigned = structs.replace(signed, query=query.request.query)
    with pytest.raises(errors.AuthenticationFailed) as missing:
        query.read(desk.send(unsigned), 0)
    assert missing.value.code == "700004"


def test_hedge_mode():
    desk = Desk(FUTURES, position_mode="hedge", leverage=10)
    refused(desk, desk.trading.place(desk.order(position_side="long")), errors.InvalidOrder, "7002")
    assert desk.ask(desk.trading.account_flags()).position_mode == "one_way"
    assert desk.ask(desk.trading.set_position_mode("hedge")) is None
    assert desk.ask(desk.trading.set_position_mode("hedge")) is None
    assert desk.ask(desk.trading.account_flags()).position_mode == "hedge"
    step = desk.item.step
    bought = desk.place("buy", "market", size=30 * step, position_side="long")
    sold = desk.place("sell", "market", size=10 * step, position_side="short")
    assert (desk.found(bought).position_side, desk.found(bought).reduce_only) == ("long", False)
    assert (desk.found(sold).position_side, desk.found(sold).side) == ("short", "sell")
    sizes = {row.side: row.size for row in desk.ask(desk.trading.positions(F))}
    assert sizes == {"long": 30 * step, "short": 10 * step}
    desk.place("sell", "market", size=5 * step, position_side="long")
    covered = desk.place("buy", "market", size=10 * step, position_side="short", reduce_only=True)
    assert desk.found(covered).reduce_only is True
    assert {row.side: row.size for row in desk.ask(desk.trading.positions(F))} == {"long": 25 * step}
    assert_fills_agree(desk)
    assert_balances_agree(desk)


def test_futures_batches_cancels_and_changes():
    desk = Desk(FUTURES, leverage=5)
    orders = [desk.order(), desk.order(size=10**6 * desk.item.step), desk.order("sell")]
    first, second, third = desk.ask(desk.trading.place_many(orders))
    assert type(second) is errors.InsufficientFunds
    # A client id that is known answers with the order that has it.
    [again] = desk.ask(desk.trading.place_many(orders[:1]))
    assert again.id == first.id
    assert len(desk.accounts.open_orders("ann")) == 2
    price = desk.far("buy") - 5 * desk.item.tick
    changed = desk.ask(desk.trading.amend(Amendment(OrderRef(F, first.id), 7 * desk.item.step, price, "buy")))
    assert changed.id != first.id
    assert desk.found(first).status == "canceled"
    now = desk.found(changed)
    assert (now.status, now.size, now.price, now.side) == ("open", 7 * desk.item.step, price, "buy")
    refs = [OrderRef(F, changed.id), OrderRef(F, first.id), OrderRef(F, "814218083416009999")]
    done, ended, unknown = desk.ask(desk.trading.cancel_many(refs))
    assert done is None
    assert (ended.code, unknown.code) == ("2041", "2040")
    assert desk.ask(desk.trading.cancel_many([OrderRef(F, client_id=third.client_id)])) == [None]
    fourth = desk.place()
    assert desk.ask(desk.trading.cancel(OrderRef(F, client_id=fourth.client_id))) is None
    fifth, sixth = desk.place(), desk.place("sell")
    assert desk.ask(desk.trading.cancel_all(None)) == []
    assert {desk.found(order).status for order in (fourth, fifth, sixth)} == {"canceled"}
    assert_balances_agree(desk)


def test_conditional_orders():
    desk = Desk(FUTURES, leverage=5)
    bid, ask = desk.best()
    tick = desk.item.tick
    stop = desk.place("buy", "stop", trigger=ask + 100 * tick)
    limit = desk.place("sell", "stop_limit", trigger=bid - 200 * tick, price=bid - 210 * tick)
    taker = desk.place("buy", "take_profit", trigger=bid - 300 * tick, trigger_by="mark")
    waiting = desk.ask(desk.trading.open_conditional(F))
    assert {(order.id, order.kind, order.trigger) for order in waiting} == {
        (stop.id, "stop", ask + 100 * tick),
        (limit.id, "stop_limit", bid - 200 * tick),
        (taker.id, "take_profit", bid - 300 * tick),
    }
    assert {order.client_id for order in waiting} == {None}
    assert desk.ask(desk.trading.open_orders(F)) == []
    assert desk.found(limit, conditional=True).price == bid - 210 * tick
    refused(desk, desk.trading.cancel(OrderRef(F, stop.id)), errors.OrderNotFound, "2040")
    assert desk.ask(desk.trading.cancel(OrderRef(F, stop.id, conditional=True))) is None
    assert desk.found(stop, conditional=True).status == "canceled"
    assert desk.ask(desk.trading.cancel_all(F)) == []
    assert len(desk.ask(desk.trading.open_conditional())) == 2
    assert desk.ask(desk.trading.cancel_all_conditional(None)) == []
    assert desk.ask(desk.trading.open_conditional()) == []


def test_a_trigger_that_strikes_sends_another_order():
    desk = Desk(FUTURES, leverage=5)
    best = desk.exchange.best(F)
    stop = desk.place("buy", "stop", trigger=best.ask * desk.item.tick)
    # Bob lifts the touch, so that the last price reaches the trigger.
    desk.bob("buy", best.ask_size + 5)
    desk.clock.now += SECOND
    desk.host.step()
    struck = desk.found(stop, conditional=True)
    assert (struck.status, struck.raw_status) == ("unknown", "3")
    [born] = desk.ask(desk.trading.order_history(F))
    assert (born.status, born.kind, born.filled) == ("filled", "market", stop.size)
    assert born.id != stop.id


def test_leverage_and_margin_come_with_orders():
    desk = Desk(FUTURES, margin_mode="isolated", leverage=7)
    desk.place()
    assert desk.accounts.settings("ann", F).long_leverage == 7
    assert desk.accounts.settings("ann", F).margin_mode == "isolated"
    desk.trading = FUTURES.trading(desk.instruments, Settings(margin_mode="cross", leverage=7))
    refused(desk, desk.trading.place(desk.order()), errors.InvalidOrder, "2027")
    assert desk.ask(desk.trading.set_leverage(F, 9)) is None
    assert desk.accounts.settings("ann", F).long_leverage == 9
    refused(desk, desk.trading.set_leverage(F, 300), errors.InvalidOrder, "2006")


@pytest.mark.parametrize("path", ["create", "submit"])
@pytest.mark.parametrize("shape", ["full", "bare"])
def test_both_paths_and_shapes_of_new_orders(path, shape):
    desk = Desk(FUTURES, options={"order_path": path, "one_way_sides": "by_direction"}, sim={"create_answer": shape})
    placed = desk.place()
    assert desk.found(placed).client_id == "cid-1"
    closing = desk.order("sell", "market", reduce_only=True)
    refused(desk, desk.trading.place(closing), errors.ReduceOnlyRejected, "2008")


@pytest.mark.parametrize(("market", "most"), [(SPOT, 12), (FUTURES, 4)], ids=["spot", "futures"])
def test_orders_that_come_too_fast(market, most):
    desk = Desk(market, enforce_limits=True)
    for _ in range(most):
        desk.place()
    with pytest.raises(errors.RateLimited):
        desk.place()
    assert len(desk.accounts.open_orders("ann")) == most
    desk.clock.now += 3 * SECOND
    desk.host.step()
    assert isinstance(desk.place(), Order)


def test_histories_are_cut_by_time_and_page():
    for market in (SPOT, FUTURES):
        desk = Desk(market)
        made = []
        for _ in range(5):
            made.append(desk.place())
            desk.clock.now += SECOND
            desk.host.step()
        ids = [order.id for order in made]
        assert [order.id for order in desk.ask(desk.trading.order_history(desk.symbol))] == ids
        assert [order.id for order in desk.ask(desk.trading.order_history(desk.symbol, limit=2))] == ids[-2:]
        moments = [order.ts_created or desk.found(order).ts_created for order in made]
        bounded = desk.trading.order_history(desk.symbol, start=moments[1], end=moments[3])
        assert [order.id for order in desk.ask(bounded)] == ids[1:4]


def test_spot_parameters_may_stand_in_the_body():
    desk = Desk(SPOT)
    query = desk.trading.place(desk.order())
    head, _, rest = query.request.query.partition("&")
    split = structs.replace(query.request, query=head, body=rest.encode())
    signed = desk.trading.sign(split, desk.credentials, desk.exchange.now)
    placed = query.read(desk.send(signed), 0)
    assert desk.found(placed).client_id == "cid-1"


SPOILED = [
    ("GET", "allOrders", "symbol=BTCUSDT&startTime=soon", ""),
    ("GET", "order", "symbol=BTCUSDT&orderId=C02__x", ""),
    ("GET", "order", "symbol=BTCUSDT", ""),
    ("GET", "openOrders", "", ""),
    ("POST", "order", "symbol=BTCUSDT&side=BUY&type=LIMIT&quantity=1e3&price=-1", ""),
    ("POST", "order", "symbol=BTCUSDT&side=UP&type=LIMIT", ""),
    ("POST", "batchOrders", "batchOrders=5", ""),
    ("GET", "order/external/BTC_USDT", "", ""),
    ("GET", "order/get/none", "", ""),
    ("GET", "order/list/open_orders", "page_num=x", ""),
    ("GET", "order/list/history_orders", "end_time=1&start_time=x", ""),
    ("GET", "planorder/list/orders", "symbol=NONE_USDT", ""),
    ("POST", "order/create", "", "[]"),
    ("POST", "order/create", "", '{"symbol":"BTC_USDT","side":1,"type":1,"vol":0.5}'),
    ("POST", "order/create", "", "\u00ff"),
    ("POST", "order/cancel", "", '["a"]'),
    ("POST", "order/cancel", "", "[]"),
    ("POST", "planorder/place/v2", "", '{"symbol":"BTC_USDT","side":9}'),
    ("POST", "position/change_leverage", "", '{"symbol":"BTC_USDT"}'),
]


@pytest.mark.parametrize(("method", "path", "query", "body"), SPOILED)
def test_bad_requests_are_refused_and_change_nothing(method, path, query, body):
    futures = "/" in path
    desk = Desk(FUTURES if futures else SPOT)
    base = "/api/v1/private/" if futures else "/api/v3/"
    request = HttpRequest(method, base + path, query, body.encode(), auth="signed")
    answer = desk.send(desk.trading.sign(request, desk.credentials, desk.exchange.now))
    said = msgspec.json.decode(answer.body)
    assert answer.status == (200 if futures else 400)
    assert said["code"] not in (0, 200)
    assert said.get("success") is (False if futures else None)
    assert desk.accounts.orders("ann") == []
