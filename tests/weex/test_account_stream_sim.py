"""The private socket of the simulated markets: who gets in, and what is pushed, with the ledger as the judge."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from decimal import Decimal
from typing import Any

import pytest

from tests.sim.trading import ANN, BOB, e8
from tests.weex.desk import READER, Desk
from tests.weex.support import EXAMPLES, MS
from unitape.sim.faults import Fault
from unitape.spi import Credentials, Endpoint, HttpResponse, Instruments, OrderRef, Ready, Recheck, Refused
from unitape.spi.simulated_accounts import SimUser
from unitape.spi.simulation import CloseFrame, Text
from unitape_schemas import Balance, Fill, Order, Position

D = Decimal
SECOND = 1_000_000_000
AGENT = ("User-Agent", "test")
both = pytest.mark.parametrize("name", ["spot", "contract"])


class Line:
    """One private connection of a user, read by the adapter's session."""

    def __init__(self, desk: Desk, user: SimUser = ANN, conn: int = 1) -> None:
        self.desk = desk
        self.conn = conn
        self.user = user
        info = desk.market.rest(Instruments()).instruments().request
        instruments = Instruments(desk.market.read_instruments(desk.serve(info).body))
        self.stream = desk.market.account_stream(instruments, desk.trading._settings)
        self.session = self.stream.session()
        self.outputs: list[Any] = []
        self.pushes: list[dict[str, Any]] = []
        self.closed: CloseFrame | None = None
        self.now = 0

    def dial(self, user: SimUser | None = None, late: int = 0) -> HttpResponse | None:
        user = user or self.user
        credentials = Credentials(user.key, user.secret, user.passphrase)
        endpoint: Endpoint = self.desk.market.endpoints["live"]
        dial = self.stream.dial(endpoint, None, credentials, self.desk.exchange.now - late)
        answer = self.desk.face.ws_open(self.conn, "/v3/ws/private", (*endpoint.headers, *dial.headers))
        if answer is None:
            self.session.on_open(credentials, self.desk.exchange.now)
            self.pump()
        return answer

    def pump(self) -> list[Any]:
        """Exchange messages until both are silent; return what was newly said."""
        before = len(self.outputs)
        self.desk.face.tick(self.now)
        while True:
            asked, self.session.outbox[:] = list(self.session.outbox), []
            for message in asked:
                self.desk.face.ws_frame(self.conn, message.encode(), True)
            mine = [output for output in self.desk.face.outbox if output.conn == self.conn]
            self.desk.face.outbox[:] = [output for output in self.desk.face.outbox if output.conn != self.conn]
            for output in mine:
                self._take(output)
            if not asked and not mine:
                return self.outputs[before:]

    def _take(self, output: Any) -> None:
        if isinstance(output, CloseFrame):
            self.closed = output
            return
        assert isinstance(output, Text)
        message = json.loads(output.data)
        assert (output.stream == "private") == ("e" in message), "pushes have the name that faults look for"
        if "e" in message:
            self.pushes.append(message)
        self.outputs += self.session.on_frame(output.data, self.desk.exchange.now)

    def wait(self, seconds: int) -> list[Any]:
        self.now += seconds * SECOND
        self.outputs += self.session.on_tick(self.now)
        return self.pump()

    def of(self, kind: type[Any]) -> list[Any]:
        return [output for output in self.outputs if isinstance(output, kind)]


def listening(name: str, **settings: Any) -> tuple[Desk, Line]:
    desk = Desk(name, **settings)
    line = Line(desk)
    assert line.dial() is None
    assert [type(output) for output in line.outputs] == [Ready]
    line.outputs.clear()
    return desk, line


# Who gets in ---------------------------------------------------------------------------------------------------------


@both
def test_whoever_signs_rightly_gets_in(name: str) -> None:
    desk = Desk(name)
    for conn, user in enumerate((ANN, BOB, READER), 1):
        assert Line(desk, user, conn).dial() is None
    assert Line(desk, ANN, 9).dial(late=29 * SECOND) is None


STRANGER = SimUser("ann", "nobody", ANN.secret, ANN.passphrase)
FORGER = SimUser("ann", ANN.key, "wrong", ANN.passphrase)
FORGETFUL = SimUser("ann", ANN.key, ANN.secret, "wrong")


@pytest.mark.parametrize("how", ["handshake", "close"])
@pytest.mark.parametrize(
    ("user", "late", "code"), [(STRANGER, 0, -1044), (FORGER, 0, -1047), (FORGETFUL, 0, -1049), (ANN, 31, -1046)]
)
@both
def test_others_are_refused_in_either_way(name: str, user: SimUser, late: int, code: int, how: str) -> None:
    desk = Desk(name, settings={"private_refusal": how})
    line = Line(desk)
    answer = line.dial(user, late * SECOND)
    if how == "handshake":
        assert answer is not None
        assert answer.status in (400, 401)
        assert json.loads(answer.body)["code"] == code
    else:
        assert answer is None
        assert line.closed is not None
        assert line.outputs == []
    desk.ask(desk.trading.place(desk.order("buy", price=desk.away("buy"))))
    line.pump()
    assert line.pushes == []


def test_a_signature_over_a_method_does_not_fit() -> None:
    desk = Desk("contract")
    stamp = str(desk.exchange.now // MS)

    def headers(text: str) -> tuple[tuple[str, str], ...]:
        mac = hmac.new(ANN.secret.encode(), (stamp + text).encode(), hashlib.sha256).digest()
        return (
            AGENT,
            ("ACCESS-KEY", ANN.key),
            ("ACCESS-SIGN", base64.b64encode(mac).decode()),
            ("ACCESS-TIMESTAMP", stamp),
            ("ACCESS-PASSPHRASE", ANN.passphrase),
        )

    wrong = desk.face.ws_open(1, "/v3/ws/private", headers("GET/v3/ws/private"))
    assert wrong is not None
    assert wrong.status == 401
    assert desk.face.ws_open(2, "/v3/ws/private", headers("/v3/ws/private")) is None
    bare = desk.face.ws_open(3, "/v3/ws/private", headers("/v3/ws/private")[1:])
    assert bare is not None
    assert bare.status == 403, "the firewall wants a User-Agent here, too"


# Ready ---------------------------------------------------------------------------------------------------------------


@both
def test_a_venue_that_does_not_acknowledge_is_ready_after_three_seconds(name: str) -> None:
    desk = Desk(name, settings={"private_acks": "silent"})
    line = Line(desk)
    assert line.dial() is None
    assert line.outputs == []
    assert line.wait(1) == []
    desk.ask(desk.trading.place(desk.order("buy", price=desk.away("buy"))))
    line.pump()
    line.wait(3)
    assert [type(output) for output in line.outputs if isinstance(output, Ready | Order)] == [Order, Ready]


def test_a_refused_subscription_is_told() -> None:
    desk = Desk("spot", faults=(Fault("refused_subscribe", 0.0, "private"),))
    line = Line(desk)
    assert line.dial() is None
    (refused,) = line.outputs
    assert isinstance(refused, Refused)
    assert refused.text.startswith("INVALID_ARGUMENT: invalid event : orders")


def test_public_channels_are_none_of_a_private_socket() -> None:
    desk, line = listening("spot")
    desk.face.ws_frame(1, b'{"method":"SUBSCRIBE","params":["positions"],"id":1}', True)
    desk.face.ws_frame(1, b'{"method":"SUBSCRIBE","params":["BTCUSDT@trade"],"id":1}', True)
    texts = [output.text for output in line.pump()]
    assert texts == ["INVALID_ARGUMENT: invalid event : positions", "INVALID_ARGUMENT: invalid event : BTCUSDT@trade"]


@both
def test_the_private_ping_is_answered_for_hours(name: str) -> None:
    _, line = listening(name)
    for _ in range(180):
        line.wait(60)
    assert line.closed is None


# What is pushed ------------------------------------------------------------------------------------------------------


@both
def test_a_life_is_told_from_its_beginning_to_its_end(name: str) -> None:
    desk, line = listening(name)
    before = {row.currency: row.total_e8 for row in desk.exchange.accounts.balances("ann")}
    order = desk.order("buy", lots=40, price=desk.inside("buy"))
    placed = desk.ask(desk.trading.place(order))
    (open_,) = [output for output in line.pump() if isinstance(output, Order)]
    desk.agrees(open_, "open")
    assert (open_.id, open_.raw_status, open_.origin) == (placed.id, "PENDING", "stream")
    desk.trade("sell", 15)
    partly = [output for output in line.pump() if isinstance(output, Order)][-1]
    desk.agrees(partly, "partially_filled")
    assert partly.raw_status == ("NEW" if name == "contract" else "PARTIALLY_FILLED")
    desk.trade("sell", 25)
    whole = [output for output in line.pump() if isinstance(output, Order)][-1]
    desk.agrees(whole, "filled")
    fills = line.of(Fill)
    assert sum(fill.size for fill in fills) == whole.filled == order.size
    assert {fill.order_id for fill in fills} == {placed.id}
    asked = desk.ask(desk.trading.fills(desk.symbol))
    for told, row in zip(fills, asked, strict=True):
        assert (told.id, told.price, told.size, told.fee, told.fee_currency, told.side, told.ts_event) == (
            row.id, row.price, row.size, row.fee, row.fee_currency, row.side, row.ts_event,
        )  # fmt: skip
        assert (told.liquidity, told.origin) == ("maker", "stream")
        assert told.realized_pnl == row.realized_pnl
    paid = sum(fill.size * fill.price for fill in fills)
    assert abs(whole.average - paid / whole.filled) < D("1e-8")
    if name == "spot":
        last = {balance.currency: balance for balance in line.of(Balance)}
        desk.agree_balances(list(last.values()))
        assert e8(before["USDT"]) - last["USDT"].total == paid
    else:
        assert {output.channels for output in line.of(Recheck)} == {("balances",)}
        (position,) = line.of(Position)[-1:]
        (row,) = desk.exchange.accounts.positions("ann")
        assert (position.side, position.size) == ("long", row.size * desk.spec.step)
        assert abs(position.entry - e8(row.entry_e8)) <= D("1e-8")
        assert (position.leverage, position.margin_mode) == (row.leverage, row.margin_mode)


@both
def test_a_cancel_and_a_market_order(name: str) -> None:
    desk, line = listening(name)
    rest = desk.ask(desk.trading.place(desk.order("buy", price=desk.away("buy"))))
    desk.ask(desk.trading.cancel(OrderRef(desk.symbol, rest.id)))
    taken = desk.ask(desk.trading.place(desk.order("buy", "market", lots=30)))
    line.pump()
    last = {order.id: order for order in line.of(Order)}
    desk.agrees(last[rest.id], "canceled")
    desk.agrees(last[taken.id], "filled")
    asked = desk.ask(desk.trading.order(OrderRef(desk.symbol, taken.id)))
    told = last[taken.id]
    assert (told.kind, told.filled, told.tif, told.price) == ("market", asked.filled, None, None)
    assert abs(told.average - asked.average) <= D("1e-8"), "the answer rounds the average, the stream divides it"
    assert {fill.liquidity for fill in line.of(Fill)} == {"taker"}


def test_closing_a_position_ends_it() -> None:
    desk, line = listening("contract")
    desk.ask(desk.trading.place(desk.order("buy", "market", lots=30)))
    desk.ask(desk.trading.place(desk.order("sell", "market", lots=30, position_side="long")))
    line.pump()
    assert desk.exchange.accounts.positions("ann") == []
    last = line.of(Position)[-1]
    assert (last.side, last.size, last.entry) == ("long", D(0), None)
    closing = line.of(Order)[-1]
    assert (closing.side, closing.position_side, closing.status) == ("sell", "long", "filled")
    realized = sum(fill.realized_pnl for fill in line.of(Fill))
    booked = sum(e8(row.realized_e8) for row in desk.exchange.accounts.fills("ann"))
    assert realized == booked


def test_a_conditional_order_waits_strikes_and_becomes_another_one() -> None:
    desk, line = listening("contract")
    desk.ask(desk.trading.place(desk.order("buy", "market", lots=30)))
    stop = desk.order("sell", "stop", lots=30, position_side="long", trigger=desk.away("buy", 1))
    waiting_id = desk.ask(desk.trading.place(stop)).id
    waiting = [order for order in (line.pump(), line.of(Order))[1] if order.id == waiting_id][-1]
    assert (waiting.kind, waiting.trigger, waiting.status, waiting.filled) == ("stop", stop.trigger, "open", None)
    desk.trade("sell", sum(size for _, size in desk.exchange.book(desk.symbol, 3).bids))
    line.pump()
    struck = [order for order in line.of(Order) if order.id == waiting_id][-1]
    assert (struck.status, struck.raw_status) == ("unknown", "TRIGGERED")
    child = [order for order in line.of(Order) if order.side == "sell" and order.id != waiting_id][-1]
    assert (child.status, child.filled) == ("filled", 30 * desk.spec.step)


@both
def test_everybody_hears_of_their_own_account_on_all_their_connections(name: str) -> None:
    desk, line = listening(name)
    second, bob = Line(desk, ANN, 2), Line(desk, BOB, 3)
    assert second.dial() is bob.dial() is None
    placed = desk.ask(desk.trading.place(desk.order("buy", price=desk.away("buy"))))
    for ear in (line, second, bob):
        ear.pump()
    assert [order.id for order in line.of(Order)] == [order.id for order in second.of(Order)] == [placed.id]
    assert line.pushes == second.pushes
    assert bob.pushes == []


@both
def test_a_new_connection_is_told_nothing_of_before_and_versions_go_on(name: str) -> None:
    desk, line = listening(name)
    rest = desk.ask(desk.trading.place(desk.order("buy", price=desk.away("buy"))))
    line.pump()
    seen = max(push["v"] for push in line.pushes)
    desk.face.ws_close(1)
    desk.ask(desk.trading.place(desk.order("buy", price=desk.away("buy", 600))))
    again = Line(desk, ANN, 2)
    again.dial()
    again.pump()
    assert again.pushes == []
    desk.ask(desk.trading.cancel(OrderRef(desk.symbol, rest.id)))
    again.pump()
    assert [(order.id, order.status) for order in again.of(Order)] == [(rest.id, "canceled")]
    assert min(push["v"] for push in again.pushes) > seen


@both
def test_versions_never_fall_and_are_shared_by_what_one_change_brings(name: str) -> None:
    desk, line = listening(name)
    desk.ask(desk.trading.place(desk.order("buy", lots=40, price=desk.inside("buy"))))
    for lots in (10, 10, 20):
        desk.trade("sell", lots)
    line.pump()
    versions = [push["v"] for push in line.pushes]
    assert versions == sorted(versions)
    fill = next(push for push in line.pushes if push["e"] == "fill")
    together = [push["e"] for push in line.pushes if push["v"] == fill["v"]]
    assert {"orders", "fill", "account"} <= set(together)
    if name == "spot":
        assert together.count("account") == 2, "base and quote come apart, under one version"
    states = [push for push in line.pushes if push["e"] == "orders"]
    assert len(states) > 3
    for state in states:
        past = [p["d"][0] for p in line.pushes if p["e"] == "fill" and p["v"] <= state["v"]]
        assert D(state["d"][0]["cumFillFee"]) == sum(D(row["fillFee"]) for row in past), "as of then, not as of now"
        assert D(state["d"][0]["cumFillSize"]) == sum(D(row["fillSize"]) for row in past)
    assert all(isinstance(value, str | bool) for push in line.pushes for row in push["d"] for value in row.values())


@both
def test_pushed_rows_have_the_fields_of_the_venues_examples(name: str) -> None:
    desk, line = listening(name)
    desk.ask(desk.trading.place(desk.order("buy", "market", lots=30)))
    line.pump()
    channels = {"orders", "fill", "account"} | ({"positions"} if desk.linear else set())
    assert {push["e"] for push in line.pushes} == channels
    for push in line.pushes:
        wanted = EXAMPLES[f"ws.private.{name}.{push['e']}"]
        assert set(push) == set(wanted)
        assert set(push["d"][0]) == set(wanted["d"][0]), push["e"]
