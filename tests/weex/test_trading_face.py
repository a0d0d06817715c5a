"""Whom the simulated markets let in, what they refuse, how they count and page, and what they do with odd requests."""

from __future__ import annotations

import json
import random
from decimal import Decimal

import pytest

from tests.sim.trading import ANN, SECOND
from tests.weex.desk import READER, Desk
from unitape import errors
from unitape.errors import OutcomeUnknown, UnitapeError
from unitape.sim.faults import Fault
from unitape.spi import Credentials, HttpRequest, HttpResponse, Instruments, NewOrder, TradingSettings, encode_query
from unitape.spi.simulated_accounts import SimUser
from unitape_weex.orders_contract import ContractTrading
from unitape_weex.orders_spot import SpotTrading

D = Decimal
BOTH = pytest.mark.parametrize("name", ["spot", "contract"])


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
