"""Trading against the simulator: the adapter asks and reads, the ledger behind the face says what is right."""

from __future__ import annotations

import json
import random
from decimal import Decimal
from typing import Any

import pytest

from tests.sim.trading import ANN, BOB, SECOND, assert_ledger_adds_up, e8, market
from tests.weex.support import MARKETS, MS
from unitape import errors
from unitape.errors import OutcomeUnknown, UnitapeError
from unitape.sim.faults import Fault, Faults, FaultSchedule
from unitape.spi import (
    Credentials,
    HttpRequest,
    HttpResponse,
    Instruments,
    NewOrder,
    OrderRef,
    Query,
    TradingSettings,
    encode_query,
)
from unitape.spi.simulated_accounts import SimFill, SimOrder, SimOrderRequest, SimUser
from unitape.spi.simulation import FaceOptions
from unitape_schemas import Balance, Fill, Order, Position
from unitape_weex.orders_contract import ContractTrading
from unitape_weex.orders_spot import SpotTrading
from unitape_weex.simulator import face

D = Decimal
READER = SimUser("reader", "sim-reader", "reader-secret", "reader-pass", permissions=("read",))
BOTH = pytest.mark.parametrize("name", ["spot", "contract"])


class Desk:
    """One simulated market, and the adapter's trading side of one user before it."""

    def __init__(
        self,
        name: str,
        *,
        seed: int = 1,
        faults: tuple[Fault, ...] = (),
        settings: dict[str, str] | None = None,
        options: dict[str, str] | None = None,
        position_mode: Any = "hedge",
        margin_mode: Any = "cross",
        enforce: bool = False,
    ) -> None:
        self.linear = name == "contract"
        self.exchange = market(linear=self.linear, seed=seed, users=(ANN, BOB, READER))
        source = Faults(FaultSchedule(faults), f"x/{name}", 0)
        source.advance(0)
        self.face = face(self.exchange, name, FaceOptions(source, enforce_limits=enforce, settings=settings or {}))
        self.face.tick(0)
        self.market = MARKETS[name]
        self.symbol = "BTC/USDT:USDT" if self.linear else "BTC/USDT"
        self.spec = self.exchange.instrument(self.symbol)
        info = self.market.rest(Instruments()).instruments().request
        instruments = Instruments(self.market.read_instruments(self.serve(info).body))
        chosen = TradingSettings(position_mode=position_mode, margin_mode=margin_mode, options=options or {})
        self.trading: Any = self.market.trading(instruments, chosen)
        self.ids = 0

    def serve(self, request: HttpRequest) -> HttpResponse:
        answer = self.face.http(request)
        assert isinstance(answer, HttpResponse)
        return answer

    def send(self, query: Query[Any], user: SimUser = ANN, late: int = 0) -> HttpResponse:
        credentials = Credentials(user.key, user.secret, user.passphrase)
        return self.serve(self.trading.sign(query.request, credentials, self.exchange.now - late))

    def ask(self, query: Query[Any], user: SimUser = ANN) -> Any:
        return query.read(self.send(query, user), self.exchange.now)

    def order(self, side: Any, kind: Any = "limit", *, lots: int = 40, **more: Any) -> NewOrder:
        self.ids += 1
        size = more.pop("size", D(lots) * self.spec.step)
        if self.linear and "position_side" not in more:
            more["position_side"] = "long" if side == "buy" else "short"
        return NewOrder(self.symbol, side, kind, more.pop("client_id", f"c-{self.ids}"), size=size, **more)

    def inside(self, side: str) -> Decimal:
        """A price one tick better than the book's."""
        best = self.exchange.best(self.symbol)
        ticks = best.bid + 1 if side == "buy" else best.ask - 1
        assert best.bid < ticks < best.ask, f"seed {self.exchange.seed}: no room in the spread"
        return self.price(ticks)

    def price(self, ticks: int) -> Decimal:
        return D(ticks) * self.spec.tick

    def away(self, side: str, ticks: int = 500) -> Decimal:
        best = self.exchange.best(self.symbol)
        return self.price(best.bid - ticks if side == "buy" else best.ask + ticks)

    def trade(self, side: Any, lots: int, user: SimUser = BOB) -> None:
        """Somebody else takes so many lots."""
        position = None if not self.linear else "long" if side == "buy" else "short"
        placed = self.exchange.accounts.place(
            user.name, SimOrderRequest(self.symbol, side, "market", size=lots, position_side=position)
        )
        assert isinstance(placed, SimOrder)
        assert placed.filled == lots

    def truth(self, order: Order) -> SimOrder:
        """The ledger's order of this client id."""
        found = [row for row in self.exchange.accounts.orders("ann") if row.client_id == order.client_id]
        return found[-1]

    def agrees(self, order: Order, status: str) -> None:
        """The adapter's order says what the ledger has."""
        row, spec = self.truth(order), self.spec
        assert (order.symbol, order.side, order.kind, order.client_id) == (
            row.symbol,
            row.side,
            row.kind,
            row.client_id,
        )
        assert order.size == row.size * spec.step
        assert order.filled == row.filled * spec.step
        assert order.price == (None if row.price is None else row.price * spec.tick)
        if row.filled:
            assert order.average is not None
            assert abs(order.average - D(row.amount) * spec.tick / row.filled) <= D("1e-8")
        else:
            assert order.average is None
        assert order.status == status
        assert (order.ts_created, order.ts_updated) == (row.ts_created // MS * MS, row.ts_updated // MS * MS)
        assert int(order.id or 0) > 2**53

    def agree_fills(self, fills: list[Fill]) -> None:
        rows = self.exchange.accounts.fills("ann", self.symbol)
        assert len(fills) == len(rows) > 0
        for fill, row in zip(fills, rows, strict=True):
            self.agrees_fill(fill, row)

    def agrees_fill(self, fill: Fill, row: SimFill) -> None:
        assert (fill.side, fill.price, fill.size) == (row.side, row.price * self.spec.tick, row.size * self.spec.step)
        assert (fill.fee, fill.fee_currency) == (e8(row.fee_e8), row.fee_currency)
        assert fill.ts_event == row.ts // MS * MS
        if self.linear:
            assert (fill.liquidity, fill.realized_pnl) == (row.liquidity, e8(row.realized_e8))
        assert fill.order_id.endswith(str(row.order)[-6:])

    def agree_balances(self, balances: list[Balance]) -> None:
        rows = {row.currency: row for row in self.exchange.accounts.balances("ann")}
        assert {balance.currency for balance in balances} == set(rows)
        for balance in balances:
            row = rows[balance.currency]
            assert balance.free == e8(row.free_e8)
            assert balance.locked == e8(row.locked_e8)
            assert balance.total == e8(row.total_e8)
            if self.linear:
                assert balance.equity == e8(row.equity_e8)
                assert balance.unrealized_pnl == e8(row.unrealized_e8)
        assert_ledger_adds_up(self.exchange)

    def agree_positions(self, positions: list[Position]) -> None:
        rows = {row.side: row for row in self.exchange.accounts.positions("ann", self.symbol)}
        assert {position.side for position in positions} == set(rows)
        for position in positions:
            row = rows[position.side]
            assert position.size == row.size * self.spec.step
            assert position.entry is not None
            assert abs(position.entry - e8(row.entry_e8)) <= D("1e-8")
            assert position.unrealized_pnl == e8(row.unrealized_e8)
            assert position.liquidation == (None if row.liquidation_e8 is None else e8(row.liquidation_e8))
            assert (position.leverage, position.margin_mode) == (row.leverage, row.margin_mode)
            assert position.margin == e8(row.margin_e8)


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


def refused_orders(desk: Desk) -> list[tuple[NewOrder, str]]:
    off_tick = desk.away("buy") + desk.spec.tick / 2
    cases = [
        (desk.order("buy", price=off_tick), "InvalidOrder"),
        (desk.order("buy", price=desk.away("buy"), size=desk.spec.step / 2), "InvalidOrder"),
        (desk.order("buy", price=desk.away("buy"), size=D(500)), "InsufficientFunds"),
        (desk.order("buy", price=desk.away("buy"), client_id="x" * 37), "InvalidOrder"),
        (desk.order("buy", price=desk.away("buy"), client_id="ä"), "InvalidOrder"),
    ]
    if desk.linear:
        cases.append((desk.order("sell", "market", position_side="long", reduce_only=True), "InvalidOrder"))
        struck = desk.order("buy", "stop", trigger=desk.away("buy"))
        cases.append((struck, "InvalidOrder"))
    return cases


@BOTH
@pytest.mark.parametrize("rejections", ["status", "body"])
def test_refused_orders(name: str, rejections: str) -> None:
    desk = Desk(name, settings={"rejections": rejections})
    for order, kind in refused_orders(desk):
        with pytest.raises(UnitapeError) as caught:
            desk.ask(desk.trading.place(order))
        assert type(caught.value) is getattr(errors, kind), (order, caught.value)
    assert desk.exchange.accounts.orders("ann") == []


@BOTH
def test_a_closed_market_and_an_unknown_symbol(name: str) -> None:
    desk = Desk(name)
    order = desk.order("buy", price=desk.away("buy"))
    desk.exchange.accounts.close_market(desk.symbol)
    with pytest.raises(errors.PermissionDenied):
        desk.ask(desk.trading.place(order))
    other = type(desk.trading)(Instruments(desk.market.catalogue), TradingSettings(position_mode="hedge"))
    desk.trading = other
    unknown = NewOrder("ADA/USDT" + (":USDT" if desk.linear else ""), "buy", "market", "c", size=D(10),
                       position_side="long" if desk.linear else None)  # fmt: skip
    with pytest.raises(errors.InvalidSymbol):
        desk.ask(other.place(unknown))


@BOTH
def test_who_asks_is_checked(name: str) -> None:
    desk = Desk(name)
    query = desk.trading.balances()

    def refused(user: SimUser, kind: str, code: str, late: int = 0) -> None:
        with pytest.raises(errors.VenueError) as caught:
            query.read(desk.send(query, user, late), 0)
        assert (type(caught.value).__name__, caught.value.code) == (kind, code)

    refused(SimUser("x", "nobody", "s", "p"), "AuthenticationFailed", "-1044")
    refused(SimUser("x", ANN.key, "wrong", ANN.passphrase), "AuthenticationFailed", "-1047")
    refused(SimUser("x", ANN.key, ANN.secret, "wrong"), "AuthenticationFailed", "-1049")
    refused(ANN, "TimestampOutOfWindow", "-1046", 31 * SECOND)
    refused(ANN, "TimestampOutOfWindow", "-1046", -31 * SECOND)
    assert desk.send(query, ANN, 29 * SECOND).status == 200
    signed = desk.trading.sign(query.request, Credentials(ANN.key, ANN.secret, ANN.passphrase), desk.exchange.now)
    for missing, code in (("ACCESS-KEY", -1040), ("ACCESS-SIGN", -1041), ("ACCESS-TIMESTAMP", -1042)):
        headers = tuple((header, value) for header, value in signed.headers if header != missing)
        answer = desk.serve(HttpRequest("GET", signed.path, headers=headers))
        assert (answer.status, json.loads(answer.body)["code"]) == (401, code)
    tampered = desk.serve(HttpRequest("GET", signed.path, "symbol=BTCUSDT", headers=signed.headers))
    assert json.loads(tampered.body)["code"] == -1047
    with pytest.raises(errors.PermissionDenied):
        desk.ask(desk.trading.place(desk.order("buy", "market")), READER)
    assert desk.ask(query, READER) == []
    assert desk.ask(desk.trading.account_flags(), READER).can_trade is False


def test_the_slash_of_the_account_path_is_signed() -> None:
    desk = Desk("spot")
    request = desk.trading.balances().request
    assert request.path == "/api/v3/account/"
    assert desk.serve(HttpRequest("GET", "/api/v3/account", headers=request.headers)).status == 404


@BOTH
def test_orders_are_counted(name: str) -> None:
    desk = Desk(name, enforce=True)
    most = 50 if desk.linear else 100
    query = desk.trading.place(desk.order("buy", price=desk.away("buy"), client_id="same"))
    cancel = desk.trading.cancel_all(desk.symbol)
    statuses = []
    for number in range(most + 1):
        answer = desk.send(query)
        statuses.append(answer.status)
        if number % 20 == 19:
            desk.exchange.advance(desk.exchange.now + 10 * SECOND)
        if answer.status == 200:
            assert dict(answer.headers)["x-order-count-1m"] == str(number + 1)
            desk.send(cancel)
    assert statuses == [200] * most + [429]
    with pytest.raises(errors.RateLimited):
        desk.ask(query)
    desk.exchange.advance(desk.exchange.now + 60 * SECOND)
    assert desk.send(query).status == 200


@BOTH
def test_pages(name: str) -> None:
    desk = Desk(name)
    trading = desk.trading
    ids = []
    for _ in range(7):
        ids.append(desk.ask(trading.place(desk.order("buy", price=desk.away("buy"), lots=5))).id)
        desk.exchange.advance(desk.exchange.now + SECOND)
    if desk.linear:
        desk.ask(trading.cancel_all(None))
    pages = [desk.ask(trading.order_history(desk.symbol, limit=3, page=page)) for page in range(4)]
    assert [len(page) for page in pages] == [3, 3, 1, 0]
    assert sorted(row.id for page in pages for row in page) == sorted(ids)
    start = desk.exchange.now - 4 * SECOND
    part = desk.ask(trading.order_history(desk.symbol, start=start, end=start + 2 * SECOND))
    assert [row.id for row in part] == ids[3:6]


def test_pages_of_open_orders_begin_at_one_for_conditional_ones() -> None:
    desk = Desk("contract")
    stops = [desk.order("buy", "stop", lots=1, trigger=desk.away("sell", 500 + n)) for n in range(100)]
    for order in stops[:99]:
        desk.ask(desk.trading.place(order))
    assert len(desk.ask(desk.trading.open_conditional())) == 99
    desk.ask(desk.trading.place(stops[99]))
    with pytest.raises(errors.Unsupported, match="page by page"):
        desk.ask(desk.trading.open_conditional())
    assert len(desk.ask(desk.trading.open_conditional(page=0))) == 100
    assert desk.ask(desk.trading.open_conditional(page=1)) == []


@BOTH
def test_queries_may_lag_behind_orders(name: str) -> None:
    path = "/api/v3/openOrders" if name == "spot" else "/capi/v3/openOrders"
    desk = Desk(name, faults=(Fault("lagging_orders", 0.0, path.lower(), 2.0),))
    desk.ask(desk.trading.place(desk.order("buy", price=desk.away("buy"))))
    assert desk.ask(desk.trading.open_orders()) == [], "just placed, and missing: absence proves nothing yet"
    assert len(desk.ask(desk.trading.open_orders())) == 1


@BOTH
def test_an_answer_that_is_lost_leaves_the_order_open(name: str) -> None:
    desk = Desk(name)
    query = desk.trading.place(desk.order("buy", price=desk.away("buy"), client_id="lost"))
    desk.send(query)
    with pytest.raises(OutcomeUnknown) as unknown:
        query.read(HttpResponse(504), 0)
    assert unknown.value.client_id == "lost"
    found = [row for row in desk.ask(desk.trading.open_orders(desk.symbol)) if row.client_id == "lost"]
    assert len(found) == 1


ODD: tuple[object, ...] = (
    "", "0", "-1", "1", "7.5", "BTCUSDT", "NOPE", "BUY", "LONG", "LIMIT", "MARKET", "STOP", "GTC", "x" * 50, "ä",
    "99999999999999999999", "1e5", None, 5, 1.5, True, [], ["1"], [1], {}, [{}], [{"side": 1}],
)  # fmt: skip
NAMES = (
    "symbol", "side", "positionSide", "type", "timeInForce", "quantity", "price", "newClientOrderId", "clientAlgoId",
    "triggerPrice", "planType", "orderId", "origClientOrderId", "orderIds", "orderIdList", "orderList", "batchOrders",
    "startTime", "endTime", "limit", "page", "crossLeverage", "marginType", "positionId", "tpTriggerPrice",
)  # fmt: skip


@BOTH
def test_odd_requests_are_answered_like_any_other(name: str) -> None:
    seed = 20261121
    chance = random.Random(seed)
    desk = Desk(name, settings={"batch": "on"})
    credentials = Credentials(ANN.key, ANN.secret, ANN.passphrase)
    endpoints = list(desk.face._orders.endpoints.items())
    seen = set()
    for round_ in range(3000):
        (method, path), endpoint = chance.choice(endpoints)
        fields = {field: chance.choice(ODD) for field in chance.sample(NAMES, chance.randrange(9))}
        if chance.random() < 0.7:
            fields |= {"symbol": "BTCUSDT", "side": "BUY", "positionSide": "LONG"}
        query = "" if endpoint.body else encode_query({field: str(value) for field, value in fields.items()})
        body = json.dumps(fields).encode() if endpoint.body else b""
        headers = (("Content-Type", "application/json"),)
        request = HttpRequest(method, path, query, body, headers, auth="signed")  # type: ignore[arg-type]
        answer = desk.serve(desk.trading.sign(request, credentials, desk.exchange.now))
        assert answer.status in (200, 400), (seed, round_, request.target, body)
        seen.add(answer.status)
    assert seen == {200, 400}


def test_the_face_and_the_adapter_share_no_code() -> None:
    import unitape_weex.simulator_orders as shared
    import unitape_weex.simulator_orders_contract as contract
    import unitape_weex.simulator_orders_spot as spot
    import unitape_weex.simulator_private as private

    judged = {"unitape_weex.simulator", "unitape_weex.simulator_rules", "unitape_weex.simulator_account_contract"}
    for module in (shared, contract, spot, private):
        origins = {getattr(value, "__module__", "") for value in vars(module).values()}
        ours = {origin for origin in origins if isinstance(origin, str) and origin.startswith("unitape_weex")}
        assert all(origin in judged or origin.startswith("unitape_weex.simulator") for origin in ours), ours
    assert SpotTrading.__module__ == "unitape_weex.orders_spot"
    assert ContractTrading.__module__ == "unitape_weex.orders_contract"
