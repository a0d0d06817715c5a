"""The private streams before the simulated venue: what is heard is what the ledger holds, to the last digit."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest
from msgspec import structs

from tests.mexc.test_trading_sim import READER, SECOND, D, Desk, F, S, e8
from unitape import errors
from unitape.sim.faults import Fault
from unitape.spi import Closing, Credentials, Endpoint, HttpRequest, HttpResponse, OrderRef, Ready, Refused, Unmapped
from unitape.spi import TradingSettings as Settings
from unitape.spi.simulation import PRIVATE_STREAM, Binary, CloseFrame, Text
from unitape.trade.tracking import OrderTracker
from unitape_mexc import FUTURES, SPOT
from unitape_schemas import Balance, Fill, Order, Position

BOTH = pytest.mark.parametrize("market", [SPOT, FUTURES], ids=["spot", "futures"])
MINUTE = 60 * SECOND


class Ear:
    """One private connection of a desk's user."""

    def __init__(self, desk, *, key=None, credentials=None, **options):
        self.desk = desk
        self.credentials = credentials or desk.credentials
        self.stream = desk.market.account_stream(desk.instruments, Settings(options=options))
        query = self.stream.open_key()
        self.key = key or (None if query is None else desk.ask(query))
        path = "/ws" if desk.market is SPOT else "/edge"
        dial = self.stream.dial(Endpoint("", {"private": path}), self.key, self.credentials, desk.exchange.now)
        self.conn = desk.host.open(dial.url)
        assert isinstance(self.conn, int)
        self.session = self.stream.session()
        self.heard, self.closed, self.streams = [], None, []
        self.session.on_open(self.credentials, desk.exchange.now)
        self.pump()

    def pump(self, seconds=0.2):
        """Let time pass, send and hear."""
        self._send()
        self.desk.clock.now += round(seconds * SECOND)
        self.desk.host.step()
        for item in self.desk.host.take():
            if item.conn != self.conn:
                continue
            if isinstance(item, CloseFrame):
                self.closed = item
                continue
            assert isinstance(item, Text | Binary)
            self.streams.append(item.stream)
            data = item.data if isinstance(item, Binary) else item.data.decode()
            self.heard += self.session.on_frame(data, self.desk.clock.wall())
        self.session.on_tick(self.desk.clock.mono())
        self._send()
        return self

    def _send(self):
        for message in self.session.outbox:
            self.desk.host.frame(self.conn, message.encode(), text=True)
        self.session.outbox.clear()

    def of(self, kind):
        return [output for output in self.heard if isinstance(output, kind)]


def assert_told(desk, ear):
    """Orders, executions, balances and positions as heard agree with the ledger."""
    tracker = OrderTracker()
    for event in ear.heard:
        if isinstance(event, Order):
            tracker.told(event)
        elif isinstance(event, Fill):
            tracker.filled(event)
    rows = [row for row in desk.accounts.orders("ann") if row.trigger is None]
    told = {one.order.client_id: one for one in (*tracker.open(), *tracker.closed()) if one.order.trigger is None}
    assert {row.client_id for row in rows} == set(told)
    words = {"expired": "canceled"}
    for row in rows:
        one = told[row.client_id]
        assert one.order.status == words.get(row.status, row.status)
        assert one.order.filled == row.filled * desk.item.step
        assert one.size == one.order.filled, "the executions add up to what is filled"
        if row.filled:
            exact = Decimal(row.amount) * desk.item.tick / row.filled
            assert abs(one.order.average - exact) < exact * D("1e-20")
        assert one.order.id == desk.found(one.order).id
    fills = {(fill.id, fill.order_id): fill for fill in ear.of(Fill)}
    asked = desk.ask(desk.trading.fills(desk.symbol))
    assert set(fills) == {(fill.id, fill.order_id) for fill in asked}
    for fill in asked:
        pushed = fills[fill.id, fill.order_id]
        same = structs.replace(pushed, origin="query", ts_sent=0, ts_recv=fill.ts_recv)
        assert same == fill
    balances = {row.currency: row for row in ear.of(Balance)}
    for row in desk.accounts.balances("ann"):
        if row.currency in balances:
            assert balances[row.currency].free == e8(row.free_e8)
            assert balances[row.currency].locked == e8(row.locked_e8)
    assert "USDT" in balances
    if desk.market is FUTURES:
        positions = {(row.symbol, row.side): row.size for row in ear.of(Position)}
        held = {(row.symbol, row.side): row.size * desk.item.step for row in desk.accounts.positions("ann")}
        assert {key: size for key, size in positions.items() if size} == held


@BOTH
def test_a_life_is_heard_as_the_ledger_has_it(market):
    desk = Desk(market, leverage=5 if market is FUTURES else None)
    ear = Ear(desk).pump()
    assert [type(output) for output in ear.heard] == [Ready], "there is no snapshot"
    price, level = desk.exchange.book(desk.symbol, 1).asks[0]
    resting = desk.place("buy", size=(level + 50) * desk.item.step, price=price * desk.item.tick)
    ear.pump()
    states = [order.status for order in ear.of(Order)]
    assert states[-1] == "partially_filled"
    assert ear.of(Order)[0].id == ear.of(Fill)[0].order_id == resting.id
    desk.bob("sell", 20)
    desk.ask(desk.trading.cancel(OrderRef(desk.symbol, resting.id)))
    desk.place("sell", "market", size=30 * desk.item.step)
    desk.place("buy", tif="post_only", price=desk.best()[1])
    desk.place("buy", tif="ioc")
    desk.place("buy")
    ear.pump()
    assert_told(desk, ear)
    assert {event.origin for event in ear.of(Order | Fill)} == {"stream"}
    assert {stream for stream in ear.streams if stream} == {PRIVATE_STREAM}


@BOTH
def test_nobody_hears_of_others(market):
    desk = Desk(market, leverage=5 if market is FUTURES else None)
    ann = Ear(desk)
    desk.credentials = Credentials(READER.key, READER.secret)
    reader = Ear(desk)
    desk.bob("buy", 30)
    ann.pump()
    desk.clock.now += SECOND
    assert ann.of(Order) == ann.of(Fill) == reader.pump().of(Order) == reader.of(Fill) == []
    assert [type(output) for output in reader.heard] == [Ready]


@BOTH
def test_two_connections_hear_the_same_and_a_late_one_what_is_left(market):
    desk = Desk(market, leverage=5 if market is FUTURES else None)
    host, delivered = desk.host, []
    first, second = Ear(desk), Ear(desk)
    desk.place("buy", "market")
    desk.clock.now += SECOND
    host.step()
    delivered = [item for item in host.take() if item.stream == PRIVATE_STREAM]
    by_conn = {conn: [item.data for item in delivered if item.conn == conn] for conn in (first.conn, second.conn)}
    assert by_conn[first.conn] == by_conn[second.conn] != []
    late = Ear(desk).pump()
    assert late.of(Order) == []
    desk.place("sell", "market")
    assert len({order.id for order in late.pump().of(Order)}) == 1


def test_orders_by_cost_are_told_without_a_size():
    desk = Desk(SPOT)
    ear = Ear(desk)
    bought = desk.place("buy", "market", cost=D("500"))
    last = ear.pump().of(Order)[-1]
    sim = desk.accounts.orders("ann")[-1]
    assert (last.id, last.kind, last.size, last.price) == (bought.id, "market", None, None)
    assert (last.status, last.filled) == ("filled", sim.filled * desk.item.step)
    assert_told(desk, ear)


def test_what_spot_locks_and_frees_adds_up():
    """The amounts that a push calls changes lead from what was free and locked before to what is now."""
    desk = Desk(SPOT)
    ear = Ear(desk)
    before = {row.currency: (e8(row.free_e8), e8(row.locked_e8)) for row in desk.accounts.balances("ann")}
    rows = []
    parse = ear.session.on_frame

    def spy(data, ts_recv):
        if isinstance(data, bytes) and b"private.account" in data:
            from tests.mexc.support import messages

            rows.append(messages()["PushDataV3ApiWrapper"].FromString(data).privateAccount)
        return parse(data, ts_recv)

    ear.session.on_frame = spy
    order = desk.place()
    ear.pump()
    desk.ask(desk.trading.cancel(OrderRef(S, order.id)))
    desk.place("buy", "market")
    ear.pump()
    assert {"ENTRUST_PLACE", "ENTRUST_CANCEL", "ENTRUST"} <= {row.type for row in rows}
    for row in rows:
        free, locked = before.get(row.vcoinName, (D(0), D(0)))
        free, locked = free + D(row.balanceAmountChange), locked + D(row.frozenAmountChange)
        assert (free, locked) == (D(row.balanceAmount or 0), D(row.frozenAmount or 0))
        before[row.vcoinName] = free, locked


def test_a_listen_key_lives_for_an_hour_unless_extended():
    desk = Desk(SPOT)
    ear, other = Ear(desk), Ear(desk)
    for minute in range(90):
        if minute % 25 == 0:
            desk.ask(ear.stream.keep_key(ear.key))
        for _ in range(6):
            ear.pump(10)
    assert ear.closed is None, "extended every 25 minutes, and pinged"
    desk.place()
    assert ear.pump().of(Order)
    with pytest.raises(errors.VenueError):
        desk.ask(other.stream.keep_key(other.key))
    again = Ear(desk, key=other.key)
    assert again.of(Closing) == [Closing("Invalid listen key", rotate=False)]
    assert again.closed is not None
    assert again.of(Ready) == []


def test_a_listen_key_takes_five_connections_and_a_user_sixty_keys():
    desk = Desk(SPOT)
    first = Ear(desk)
    others = [Ear(desk, key=first.key) for _ in range(4)]
    assert all(ear.of(Ready) for ear in others)
    assert Ear(desk, key=first.key).of(Closing)
    for _ in range(59):
        desk.ask(first.stream.open_key())
    with pytest.raises(errors.VenueError):
        desk.ask(first.stream.open_key())
    gone = HttpRequest("DELETE", "/api/v3/userDataStream", f"listenKey={first.key}", auth="signed")
    signed = desk.trading.sign(gone, desk.credentials, desk.exchange.now)
    assert json.loads(desk.send(signed).body) == {"listenKey": first.key}
    assert others[0].pump().closed is not None
    assert isinstance(desk.ask(first.stream.open_key()), str)


def test_listen_keys_belong_to_somebody_and_need_a_key():
    desk = Desk(SPOT)
    ear = Ear(desk)
    plain = Ear(desk, listen_key="key")
    assert plain.of(Ready)
    desk.credentials = Credentials(READER.key, READER.secret)
    with pytest.raises(errors.VenueError):
        desk.ask(ear.stream.keep_key(ear.key))
    desk.credentials = Credentials("nobody", "x")
    with pytest.raises(errors.AuthenticationFailed):
        desk.ask(ear.stream.open_key())


def test_without_a_listen_key_private_channels_are_refused():
    desk = Desk(SPOT)
    conn = desk.host.open("/ws")
    ask = {"method": "SUBSCRIPTION", "params": ["spot@private.orders.v3.api.pb"], "id": 1}
    desk.host.frame(conn, json.dumps(ask).encode(), text=True)
    session = SPOT.account_stream(desk.instruments, Settings()).session()
    [item] = desk.host.take()
    [refused] = session.on_frame(item.data.decode(), 0)
    assert isinstance(refused, Refused)
    assert "Blocked" in refused.text


def test_an_expired_listen_key_is_told_of_and_known_no_more():
    desk = Desk(SPOT)
    ear = Ear(desk)
    desk.host.faults.add(Fault("listen_key_expired", at=0.0, match="private"))
    assert ear.pump().closed is not None
    assert ear.of(Closing) == [Closing("Invalid listen key", rotate=False)]
    with pytest.raises(errors.VenueError):
        desk.ask(ear.stream.keep_key(ear.key))
    assert Ear(desk, key=ear.key).of(Closing)
    assert Ear(desk).of(Ready)


@pytest.mark.parametrize(
    ("key", "secret", "shift", "words", "code"),
    [
        ("nobody", "x", 0, "401", "auth"),
        (None, "another secret", 0, "602", "auth"),
        (None, None, -11, "513", "513"),
        (None, None, 11, "513", "513"),
    ],
)
def test_a_login_is_refused_with_the_venues_codes(key, secret, shift, words, code):
    desk = Desk(FUTURES)
    ann = desk.credentials
    stream = FUTURES.account_stream(desk.instruments, Settings())
    session = stream.session()
    conn = desk.host.open("/edge")
    session.on_open(Credentials(key or ann.key, secret or ann.secret), desk.exchange.now + shift * SECOND)
    desk.host.frame(conn, session.outbox[0].encode(), text=True)
    [item] = desk.host.take()
    [refused] = session.on_frame(item.data.decode(), 0)
    assert isinstance(refused, Refused)
    assert words in refused.text
    assert refused.code == code
    desk.place()
    desk.clock.now += SECOND
    desk.host.step()
    assert desk.host.take() == [], "nobody is logged in"


@pytest.mark.parametrize("options", [{}, {"personal_filter": "on"}, {"login_time": "number"}])
def test_both_ways_to_log_in_hear_all(options):
    desk = Desk(FUTURES, leverage=5)
    ear = Ear(desk, **options).pump()
    desk.place("buy", "market")
    ear.pump()
    assert ear.of(Ready)
    assert_told(desk, ear)


def test_a_filter_narrows_by_channel_and_contract():
    desk = Desk(FUTURES, leverage=5)
    ear = Ear(desk)

    def narrow(*filters):
        message = {"method": "personal.filter", "param": {"filters": list(filters)}}
        desk.host.frame(ear.conn, json.dumps(message).encode(), text=True)
        ear.pump()
        ear.heard.clear()
        desk.place("buy", "market")
        return {type(output).__name__ for output in ear.pump().heard} & {"Order", "Fill", "Balance", "Position"}

    assert narrow({"filter": "order"}) == {"Order"}
    assert narrow({"filter": "order", "rules": ["ETH_USDT"]}, {"filter": "order.deal", "rules": ["BTC_USDT"]}) == {
        "Fill"
    }
    assert narrow({"filter": "asset"}, {"filter": "position"}) == {"Balance", "Position"}
    assert narrow() == {"Order", "Fill", "Balance", "Position"}


def test_plan_orders_are_told_until_they_send_another():
    desk = Desk(FUTURES, leverage=5)
    ear = Ear(desk)
    best = desk.exchange.best(F)
    stop = desk.place("buy", "stop", trigger=best.ask * desk.item.tick)
    kept = desk.place("sell", "stop", trigger=best.bid * desk.item.tick * D("0.5") // desk.item.tick * desk.item.tick)
    desk.ask(desk.trading.cancel(OrderRef(F, kept.id, conditional=True)))
    ear.pump()
    waiting = [order for order in ear.of(Order) if order.id == stop.id]
    assert [(order.status, order.kind, order.client_id) for order in waiting] == [("open", "stop", None)]
    assert waiting[0].trigger == best.ask * desk.item.tick
    assert [order.status for order in ear.of(Order) if order.id == kept.id] == ["open", "canceled"]
    ear.heard.clear()
    desk.bob("buy", best.ask_size + 5)
    ear.pump(1)
    orders = ear.of(Order)
    assert [(order.status, order.raw_status) for order in orders if order.id == stop.id] == [("unknown", "3")]
    born = [order for order in orders if order.id not in (stop.id, kept.id)]
    assert (born[-1].status, born[-1].filled, born[-1].kind) == ("filled", stop.size, "market")
    assert {fill.order_id for fill in ear.of(Fill)} == {born[-1].id}


def test_attached_prices_become_orders_once_there_is_a_position():
    desk = Desk(FUTURES, leverage=5)
    ear, step, tick = Ear(desk), desk.item.step, desk.item.tick
    bid, ask = desk.best()
    prices = {"take_profit": ask + 500 * tick, "stop_loss": bid - 400 * tick}
    resting = desk.place("buy", **prices)
    assert [output.name for output in ear.pump().of(Unmapped)] == ["push.personal.stop.order"]
    desk.ask(desk.trading.cancel(OrderRef(F, resting.id)))
    bought = desk.place("buy", "market", size=30 * step, **prices)
    ear.pump()
    legs = {order.id[:2]: order for order in ear.of(Order) if order.id[:3] in ("tp-", "sl-")}
    assert {name: (leg.kind, leg.trigger, leg.size, leg.side, leg.status) for name, leg in legs.items()} == {
        "tp": ("take_profit", ask + 500 * tick, 30 * step, "sell", "open"),
        "sl": ("stop", bid - 400 * tick, 30 * step, "sell", "open"),
    }
    assert desk.ask(desk.trading.open_orders(F)) == desk.ask(desk.trading.open_conditional(F)) == []
    for leg in legs.values():
        found = desk.found(leg, conditional=True)
        assert (found.trigger, found.status, found.size) == (leg.trigger, "open", leg.size)
    assert desk.ask(desk.trading.cancel_all_conditional(None)) == []
    assert desk.found(legs["sl"], conditional=True).status == "open", "what protects a position stays"
    ref = OrderRef(F, legs["tp"].id, conditional=True)
    assert desk.ask(desk.trading.cancel(ref)) is None
    assert [order.status for order in ear.pump().of(Order) if order.id == legs["tp"].id] == ["open", "canceled"]
    with pytest.raises(errors.OrderNotFound):
        desk.ask(desk.trading.cancel(ref))
    ear.heard.clear()
    levels = desk.exchange.book(F, 5000).bids
    enough = sum(size for price, size in levels if price * tick > legs["sl"].trigger) + 10
    desk.bob("sell", enough, price=levels[-1][0], tif="ioc")
    ear.pump(1)
    struck = [order for order in ear.of(Order) if order.id == legs["sl"].id]
    assert [(order.status, order.raw_status) for order in struck] == [("unknown", "3")]
    sold = [order for order in ear.of(Order) if order.side == "sell" and order.id != legs["sl"].id]
    assert (sold[-1].status, sold[-1].filled) == ("filled", 30 * step)
    assert ear.of(Position)[-1].size == 0
    assert bought.id not in {order.id for order in ear.of(Order)}


def test_a_position_that_closes_is_told_as_zero():
    desk = Desk(FUTURES, leverage=5)
    ear = Ear(desk)
    desk.place("buy", "market", size=30 * desk.item.step)
    desk.place("sell", "market", size=30 * desk.item.step, reduce_only=True)
    positions = ear.pump().of(Position)
    assert positions[0].size == 30 * desk.item.step
    assert positions[0].entry is not None
    assert (positions[-1].size, positions[-1].entry) == (0, None)


@BOTH
def test_lagging_queries_do_not_know_the_newest(market):
    desk = Desk(market, leverage=5 if market is FUTURES else None)
    trading, symbol = desk.trading, desk.symbol
    order = desk.place("buy", "market")
    desk.clock.now += SECOND
    by_id, by_name = OrderRef(symbol, order.id), OrderRef(symbol, client_id=order.client_id)
    for ref in (by_id, by_name):
        desk.host.faults.add(Fault("lagging_orders", at=0.0, match="order", seconds=5.0))
        with pytest.raises(errors.OrderNotFound):
            desk.ask(trading.order(ref))
        assert desk.ask(trading.order(ref)).status == "filled"
    span = {"start": desk.exchange.now - 60 * SECOND, "end": desk.exchange.now}
    lists = [trading.order_history(symbol, **span), trading.fills(symbol, **span)]
    resting = desk.place()
    for query in (*lists, trading.open_orders(symbol)):
        desk.host.faults.add(Fault("lagging_orders", at=0.0, seconds=5.0))
        assert desk.ask(query) == []
        assert desk.ask(query) != []
    desk.host.faults.add(Fault("lagging_orders", at=0.0, seconds=5.0))
    canceled = trading.cancel(OrderRef(symbol, resting.id))
    desk.ask(canceled)
    desk.clock.now += 10 * SECOND
    desk.host.step()
    assert desk.ask(trading.order(by_id)).status == "filled", "old enough for the copy"


def test_conditional_orders_lag_too():
    desk = Desk(FUTURES, leverage=5)
    desk.place("buy", "stop", trigger=desk.best()[1] * 2 // desk.item.tick * desk.item.tick)
    desk.host.faults.add(Fault("lagging_orders", at=0.0, match="planorder", seconds=5.0))
    assert desk.ask(desk.trading.open_conditional(F)) == []
    assert len(desk.ask(desk.trading.open_conditional(F))) == 1


def test_more_than_a_page_of_open_orders():
    desk = Desk(FUTURES, leverage=5)
    names = {desk.place().client_id for _ in range(130)}
    query, found = desk.trading.open_orders(F), []
    while query is not None:
        page = desk.ask(query)
        found += page
        query = query.more(page)
    assert len(found) == 130
    assert {order.client_id for order in found} == names


def test_an_unknown_path_refuses_the_handshake():
    for market in (SPOT, FUTURES):
        assert isinstance(Desk(market).host.open("/nowhere?listenKey=x"), HttpResponse)
