"""Trading sessions against the simulated markets, whose own ledger is the judge."""

from __future__ import annotations

from decimal import Decimal

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from msgspec import structs

from tests.sim.rig import HandClock
from unitape.errors import (
    AuthenticationFailed,
    DuplicateOrder,
    InsufficientFunds,
    InvalidOrder,
    InvalidSymbol,
    MarketClosed,
    NoChange,
    OrderNotFound,
    PostOnlyWouldCross,
    RateLimited,
    ReduceOnlyRejected,
    TimestampOutOfWindow,
    TooManyOpenOrders,
    Unsupported,
)
from unitape.sim.exchange import SimExchange
from unitape.sim.faults import Faults, FaultSchedule
from unitape.sim.host import SimHost
from unitape.sim.instruments import coins
from unitape.spi import (
    Amendment,
    Credentials,
    HttpRequest,
    HttpResponse,
    Instruments,
    NewOrder,
    OrderRef,
    TradingSettings,
)
from unitape.spi.simulated_accounts import SimUser
from unitape.spi.simulation import FaceOptions
from unitape_binance import SPOT, USDM
from unitape_binance.simulator import face

D = Decimal
START = 1_793_923_200_000_000_000
SECOND = 1_000_000_000
S, U = "BTC/USDT", "BTC/USDT:USDT"
ANN = SimUser("ann", "ann-key", "ann-secret", balances={"USDT": "50000.5", "BTC": "1.25"})
READER = SimUser("reader", "reader-key", "reader-secret", permissions=("read",), balances={"USDT": "5"})
SEED = bytes(range(32))
PAIR = Ed25519PrivateKey.from_private_bytes(SEED)
PRIVATE = PAIR.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
PUBLIC = PAIR.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
ED = SimUser("ed", "ed-key", PUBLIC, balances={"USDT": "100"})


class Desk:
    """One user at one simulated market. Agents have left their orders in the book and do nothing more."""

    def __init__(self, market="spot", *, seed=1, user=ANN, mode="one_way", enforce_limits=True):
        self.clock = HandClock()
        self.linear = market == "usdm"
        self.symbol = U if self.linear else S
        faults = Faults(FaultSchedule(()), f"x/{market}", 0)
        self.exchange = SimExchange(
            f"x/{market}",
            coins(8),
            linear=self.linear,
            seed=seed,
            start=START,
            users=(ANN, READER, ED),
            history_minutes=10,
        )
        self.exchange.pause_agents()
        wire = face(self.exchange, market, FaceOptions(faults=faults, enforce_limits=enforce_limits))
        self.host = SimHost(f"x/{market}", self.exchange, wire, faults, self.clock)
        self.user = user
        self.keys = Credentials(user.key, user.secret)
        self.market = USDM if self.linear else SPOT
        info = self.send(HttpRequest("GET", "/fapi/v1/exchangeInfo" if self.linear else "/api/v3/exchangeInfo"))
        self.instruments = Instruments(self.market.read_instruments(info.body))
        self.trading = self.market.trading(self.instruments, TradingSettings(position_mode=mode))
        self.spec = self.exchange.instrument(self.symbol)
        self.last = info
        self.made = 0

    def send(self, request):
        response = self.host.http(request).response
        assert isinstance(response, HttpResponse)
        return response

    def ask(self, query, *, late=0.0):
        signed = self.trading.sign(query.request, self.keys, self.exchange.now - round(late * SECOND))
        self.last = self.send(signed)
        return query.read(self.last, self.exchange.now)

    def new(self, side="buy", kind="limit", size="0.01", price=None, **fields):
        self.made += 1
        fields.setdefault("client_id", f"t-{self.made}")
        fields.setdefault("symbol", self.symbol)
        wanted = {"side": side, "kind": kind, "size": None if size is None else D(size), "price": price, **fields}
        return NewOrder(**wanted)

    def place(self, *args, **fields):
        return self.ask(self.trading.place(self.new(*args, **fields)))

    def price(self, ticks):
        return ticks * self.spec.tick

    @property
    def best(self):
        return self.exchange.best(self.symbol)

    def far(self, side="buy"):
        """A price at which an order rests, on the grid and within the band."""
        touch = self.best.bid if side == "buy" else self.best.ask
        return self.price(touch * 98 // 100 if side == "buy" else touch * 102 // 100)

    def deep(self):
        """(price, size) with which a buy takes the best ask and leaves half as much again in the book."""
        return self.price(self.best.ask), (self.best.ask_size * 3 // 2 + 1) * self.spec.step

    def check(self):
        """Balances and executions as the wire tells them are those of the ledger, to the last digit."""
        accounts, name = self.exchange.accounts, self.user.name
        told = {b.currency: b for b in self.ask(self.trading.balances())}
        sums = {}
        for entry in accounts.ledger(name):
            sums[entry.currency] = sums.get(entry.currency, 0) + entry.change_e8
        assert {c: b.total for c, b in told.items()} == {c: D(v).scaleb(-8) for c, v in sums.items() if v}, sums
        for held in accounts.balances(name):
            if held.currency in told:
                if self.linear:
                    assert told[held.currency].equity == D(held.equity_e8).scaleb(-8)
                    assert told[held.currency].available_margin == D(held.free_e8).scaleb(-8)
                else:
                    assert told[held.currency].locked == D(held.locked_e8).scaleb(-8)
        fills = self.ask(self.trading.fills(self.symbol))
        assert [
            (f.id, f.side, f.price, f.size, f.fee, f.fee_currency, f.liquidity, f.realized_pnl or D(0)) for f in fills
        ] == [
            (
                str(f.id),
                f.side,
                f.price * self.spec.tick,
                f.size * self.spec.step,
                D(f.fee_e8).scaleb(-8),
                f.fee_currency,
                f.liquidity,
                D(f.realized_e8).scaleb(-8),
            )
            for f in accounts.fills(name, self.symbol)
        ]
        return fills


MARKETS = pytest.mark.parametrize("market", ["spot", "usdm"])
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


# Refusals ------------------------------------------------------------------------------------------------------------


def shifted(desk, **fields):
    return desk.new(price=desk.far(), **fields)


@MARKETS
@pytest.mark.parametrize(
    ("make", "expected", "codes"),
    [
        (lambda d: d.new(price=d.far() + d.spec.tick / 2), InvalidOrder, ("-1013", "-4014")),
        (lambda d: shifted(d, size=str(d.spec.step * D("1.5"))), InvalidOrder, ("-1013", "-4023")),
        (lambda d: shifted(d, size="0"), InvalidOrder, ("-1013", "-4004")),
        (lambda d: shifted(d, size=str(d.spec.step * 900_000_001)), InvalidOrder, ("-1013", "-4005")),
        (lambda d: d.new(price=d.far(), size="10"), InsufficientFunds, ("-2010", "-2019")),
        (
            lambda d: d.new(price=d.price(d.best.ask), tif="post_only"),
            PostOnlyWouldCross,
            ("-2010", "-5022"),
        ),
        (lambda d: shifted(d, client_id="dup"), DuplicateOrder, ("-2010", "-4116")),
    ],
)
def test_refused_orders(market, make, expected, codes):
    desk = Desk(market)
    if market == "usdm":
        desk.exchange.accounts.set_leverage("ann", U, 1)
    desk.place(price=desk.far(), client_id="dup")
    with pytest.raises(expected) as caught:
        desk.ask(desk.trading.place(make(desk)))
    assert caught.value.code == codes[market == "usdm"]
    assert len(desk.exchange.accounts.open_orders("ann")) == 1


@MARKETS
def test_smallest_notionals(market):
    desk = Desk(market)
    for spec in desk.exchange.instruments:
        price = desk.exchange.best(spec.symbol).bid * 98 // 100 * spec.tick
        if price * spec.step < 5:
            break
    else:
        pytest.fail("no instrument whose step is worth less than the smallest notional")
    with pytest.raises(InvalidOrder) as caught:
        desk.place(symbol=spec.symbol, price=price, size=str(spec.step))
    assert caught.value.code == ("-4164" if market == "usdm" else "-1013")
    assert "notional" in caught.value.text.lower()


def test_prices_outside_the_band_of_futures():
    desk = Desk("usdm")
    with pytest.raises(InvalidOrder, match="-4016"):
        desk.place(price=desk.price(desk.best.ask * 107 // 100))
    with pytest.raises(InvalidOrder, match="-4024"):
        desk.place("sell", price=desk.price(desk.best.bid * 93 // 100))


def test_reduce_only_without_a_position():
    desk = Desk("usdm")
    with pytest.raises(ReduceOnlyRejected):
        desk.place("sell", price=desk.far("sell"), reduce_only=True)


@MARKETS
def test_orders_that_nobody_knows(market):
    desk = Desk(market)
    for ref in (OrderRef(desk.symbol, "12345"), OrderRef(desk.symbol, client_id="nobody")):
        with pytest.raises(OrderNotFound) as caught:
            desk.ask(desk.trading.order(ref))
        assert caught.value.code == "-2013"
        with pytest.raises(OrderNotFound) as caught:
            desk.ask(desk.trading.cancel(ref))
        assert caught.value.code == "-2011"


@MARKETS
def test_closed_and_unknown_markets(market):
    desk = Desk(market)
    desk.exchange.accounts.close_market(desk.symbol)
    with pytest.raises(MarketClosed):
        desk.place(price=desk.far())
    query = desk.trading.open_orders(desk.symbol)
    wrong = structs.replace(query.request, query="symbol=NOSUCH")
    with pytest.raises(InvalidSymbol):
        query.read(desk.send(desk.trading.sign(wrong, desk.keys, desk.exchange.now)), 1)


@MARKETS
def test_too_many_open_orders(market):
    desk = Desk(market, enforce_limits=False)
    size = str(desk.spec.step * (40 if market == "spot" else 1))
    for _ in range(200):
        desk.place(price=desk.far(), size=size)
    with pytest.raises(TooManyOpenOrders):
        desk.place(price=desk.far(), size=size)


@MARKETS
@pytest.mark.parametrize("user", [ANN, ED], ids=["hmac", "ed25519"])
def test_signatures(market, user):
    desk = Desk(market, user=user)
    desk.keys = Credentials(user.key, PRIVATE if user is ED else user.secret)
    query = desk.trading.balances()
    assert desk.ask(query)
    signed = desk.trading.sign(query.request, desk.keys, desk.exchange.now)
    spoilt = [
        structs.replace(signed, query=signed.query.replace("recvWindow=5000", "recvWindow=5001")),
        structs.replace(signed, query=signed.query[:-3]),
    ]
    if market == "usdm":
        spoilt.append(structs.replace(signed, query=f"{signed.query}&x=1"))
    for request in spoilt:
        with pytest.raises(AuthenticationFailed) as caught:
            query.read(desk.send(request), 1)
        assert caught.value.code == "-1022"
    for headers, code in (((), "-2014"), ((("X-MBX-APIKEY", "nobody"),), "-2015")):
        with pytest.raises(AuthenticationFailed) as caught:
            query.read(desk.send(structs.replace(signed, headers=headers)), 1)
        assert (caught.value.code, caught.value.status) == (code, 401)


@MARKETS
def test_what_is_in_the_body_is_signed_and_read(market):
    desk = Desk(market)
    query = desk.trading.place(desk.new(price=desk.far()))
    moved = structs.replace(query.request, query="", body=query.request.query.encode())
    order = query.read(desk.send(desk.trading.sign(moved, desk.keys, desk.exchange.now)), 1)
    assert order.status == "open"


@MARKETS
@pytest.mark.parametrize(("late", "fits"), [(0.0, True), (5.0, True), (5.001, False), (-0.999, True), (-1.0, False)])
def test_time_windows(market, late, fits):
    desk = Desk(market)
    query = desk.trading.open_orders(desk.symbol)
    if fits:
        assert desk.ask(query, late=late) == []
        return
    with pytest.raises(TimestampOutOfWindow) as caught:
        desk.ask(query, late=late)
    assert caught.value.code == "-1021"


@MARKETS
def test_those_who_may_only_read(market):
    desk = Desk(market, user=READER)
    assert desk.ask(desk.trading.balances())
    with pytest.raises(AuthenticationFailed) as caught:
        desk.place(price=desk.far(), size="0.001")
    assert caught.value.code == "-2015"
    assert desk.ask(desk.trading.account_flags()).can_trade is False


@MARKETS
def test_new_orders_are_counted(market):
    desk = Desk(market)
    limit = 300 if market == "usdm" else 100
    longer = "x-mbx-order-count-1m" if market == "usdm" else "x-mbx-order-count-1d"
    size = str(desk.spec.step * 40)
    for number in range(1, limit + 1):
        order = desk.place(price=desk.far(), size=size)
        assert desk.last.header("x-mbx-order-count-10s") == desk.last.header(longer) == str(number)
        desk.ask(desk.trading.cancel(OrderRef(desk.symbol, order.id)))
    with pytest.raises(RateLimited) as caught:
        desk.place(price=desk.far(), size=size)
    assert (caught.value.code, caught.value.status, caught.value.retry_after) == ("-1015", 429, 10.0)
    desk.clock.now += 10 * SECOND
    desk.host.step()
    assert desk.place(price=desk.far(), size=size).status == "open"
    assert desk.last.header("x-mbx-order-count-10s") == "1"


def raw(desk, method, path, query):
    request = HttpRequest(method, path, query, auth="signed", write=method != "GET")
    return desk.send(desk.trading.sign(request, desk.keys, desk.exchange.now))


@pytest.mark.parametrize(
    ("market", "query", "code"),
    [
        ("spot", "symbol=BTCUSDT&side=BUY&type=LIMIT&quantity=1&price=1", b"-1102"),
        ("spot", "symbol=BTCUSDT&side=BUY&type=LIMIT_MAKER&quantity=1&price=1&timeInForce=GTC", b"-1106"),
        ("spot", "symbol=BTCUSDT&side=BUY&type=MARKET&quantity=1&quoteOrderQty=1", b"-1106"),
        ("spot", "symbol=BTCUSDT&side=BUY&type=LIMIT&quantity=1E-3&price=1&timeInForce=GTC", b"-1100"),
        ("spot", "symbol=BTCUSDT&side=HOLD&type=MARKET&quantity=1", b"-1117"),
        ("spot", "symbol=BTCUSDT&side=BUY&type=STOP&quantity=1", b"-1116"),
        ("spot", "symbol=BTCUSDT&side=BUY&type=LIMIT&quantity=1&price=1&timeInForce=GTX", b"-1115"),
        ("spot", "symbol=BTCUSDT&side=BUY&type=MARKET&quantity=1&reduceOnly=true", b"-1104"),
        ("spot", "symbol=BTCUSDT&side=BUY&type=MARKET&quantity=1&newClientOrderId=a%20b", b"-1100"),
        ("usdm", "symbol=BTCUSDT&side=SELL&type=STOP_MARKET&quantity=1&stopPrice=1", b"-4120"),
        ("usdm", "symbol=BTCUSDT&side=BUY&type=LIMIT&quantity=1&timeInForce=GTC", b"-1102"),
        ("usdm", "symbol=BTCUSDT&side=BUY&type=MARKET&quantity=1&positionSide=LONG&reduceOnly=true", b"-1106"),
        ("usdm", "symbol=BTCUSDT&side=BUY&type=MARKET&quantity=1&newClientOrderId=a%20b", b"-4015"),
        ("usdm", "symbol=BTCUSDT&side=BUY&type=LIMIT&quantity=1&price=1&timeInForce=GTD", b"-1102"),
    ],
)
def test_parameters_are_read_strictly(market, query, code):
    desk = Desk(market)
    response = raw(desk, "POST", "/fapi/v1/order" if market == "usdm" else "/api/v3/order", query)
    assert response.status == 400
    assert code in response.body
    assert desk.exchange.accounts.orders("ann") == []


def test_an_acknowledgement_says_little():
    desk = Desk()
    order = "symbol=BTCUSDT&side=BUY&type=MARKET&quantity=0.01&newOrderRespType=ACK"
    body = raw(desk, "POST", "/api/v3/order", order).body
    query = desk.trading.place(desk.new(kind="market"))
    read = query.read(HttpResponse(200, body), 1)
    assert (read.status, read.filled, read.raw_status) == ("open", None, "")
    desk = Desk("usdm")
    order = "symbol=BTCUSDT&side=BUY&type=MARKET&quantity=0.01"
    body = raw(desk, "POST", "/fapi/v1/order", order).body
    read = desk.trading.place(desk.new(kind="market")).read(HttpResponse(200, body), 1)
    assert (read.status, read.filled) == ("open", D(0))


def test_what_is_not_simulated_is_not_there():
    desk = Desk()
    query = desk.trading.balances()
    missing = structs.replace(query.request, path="/api/v3/orderList/oco", method="POST")
    response = desk.send(desk.trading.sign(missing, desk.keys, desk.exchange.now))
    with pytest.raises(Unsupported):
        query.read(response, 1)
