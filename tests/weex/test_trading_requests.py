"""What is sent for each verb: method, path, query and body, as the venue's tables have them."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from tests.weex.support import CONTRACT, EXAMPLES, SPOT
from unitape.errors import ConfigError, Unsupported
from unitape.spi import (
    Amendment,
    HttpRequest,
    Instruments,
    NewOrder,
    OrderRef,
    Query,
    Tradable,
    TradingSettings,
)
from unitape_weex.orders_contract import ContractTrading
from unitape_weex.orders_spot import SpotTrading

D = Decimal
BTC, PERP, ETH_PERP = "BTC/USDT", "BTC/USDT:USDT", "ETH/USDT:USDT"
T0 = 1_795_000_000_000_000_000
HOUR = 3_600_000_000_000
DAY = 24 * HOUR
A, B = "745001234567890123", "745001234567890124"


def spot(**options: str) -> SpotTrading:
    return SpotTrading(Instruments(SPOT.catalogue), TradingSettings(options=options))


def contract(settings: TradingSettings | None = None, **options: str) -> ContractTrading:
    chosen = settings or TradingSettings(position_mode="hedge", options=options)
    return ContractTrading(Instruments(CONTRACT.catalogue), chosen)


def limit(symbol: str = BTC, client_id: str = "demo-0002", **more: Any) -> NewOrder:
    return NewOrder(symbol, "buy", "limit", client_id, **({"size": D("0.001"), "price": D("91200.0")} | more))


def perp(side: Any, kind: Any, position: Any, client_id: str = "c-1", **more: Any) -> NewOrder:
    return NewOrder(PERP, side, kind, client_id, position_side=position, **({"size": D("0.01")} | more))


def shown(request: HttpRequest) -> tuple[str, str, str, Any]:
    """Method, path, query and body; the body's text must be the compact form of what it says."""
    body = None
    if request.body:
        body = json.loads(request.body)
        assert request.body == json.dumps(body, separators=(",", ":")).encode()
    return request.method, request.path, request.query, body


SPOT_CALLS: dict[str, tuple[Callable[[SpotTrading], Query[Any]], tuple[str, str, str, Any]]] = {
    "limit": (
        lambda t: t.place(limit()),
        ("POST", "/api/v3/order", "", EXAMPLES["rest.spot.order.request"]),
    ),
    "ioc": (
        lambda t: t.place(limit(tif="ioc")),
        ("POST", "/api/v3/order", "", EXAMPLES["rest.spot.order.request"] | {"timeInForce": "IOC"}),
    ),
    "fok sell": (
        lambda t: t.place(NewOrder(BTC, "sell", "limit", "x", size=D("1E-3"), price=D("9.12E+4"), tif="fok")),
        (
            "POST",
            "/api/v3/order",
            "",
            {
                "symbol": "BTCUSDT",
                "side": "SELL",
                "type": "LIMIT",
                "timeInForce": "FOK",
                "quantity": "0.001",
                "price": "91200",
                "newClientOrderId": "x",
            },
        ),
    ),
    "market buy by size": (
        lambda t: t.place(NewOrder("DOGE/USDT", "buy", "market", "m-1", size=D(300))),
        (
            "POST",
            "/api/v3/order",
            "",
            {"symbol": "DOGEUSDT", "side": "BUY", "type": "MARKET", "quantity": "300", "newClientOrderId": "m-1"},
        ),
    ),
    "cancel": (lambda t: t.cancel(OrderRef(BTC, A)), ("DELETE", "/api/v3/order", f"orderId={A}", None)),
    "cancel by client id": (
        lambda t: t.cancel(OrderRef(BTC, client_id="a:b/1")),
        ("DELETE", "/api/v3/order", "origClientOrderId=a%3Ab%2F1", None),
    ),
    "cancel many": (
        lambda t: t.cancel_many([OrderRef(BTC, A), OrderRef(BTC, B)]),
        ("DELETE", "/api/v3/order/batch", "", {"orderIds": [A, B]}),
    ),
    "cancel many by client id": (
        lambda t: t.cancel_many([OrderRef(BTC, client_id="a"), OrderRef(BTC, client_id="b")]),
        ("DELETE", "/api/v3/order/batch", "", {"origClientOrderIds": ["a", "b"]}),
    ),
    "cancel all": (lambda t: t.cancel_all(BTC), ("DELETE", "/api/v3/openOrders", "symbol=BTCUSDT", None)),
    "order": (lambda t: t.order(OrderRef(BTC, A, "c")), ("GET", "/api/v3/order", f"orderId={A}", None)),
    "order by client id": (
        lambda t: t.order(OrderRef(BTC, client_id="demo-0002")),
        ("GET", "/api/v3/order", "origClientOrderId=demo-0002", None),
    ),
    "open orders": (lambda t: t.open_orders(), ("GET", "/api/v3/openOrders", "", None)),
    "open orders of one": (lambda t: t.open_orders(BTC), ("GET", "/api/v3/openOrders", "symbol=BTCUSDT", None)),
    "history": (
        lambda t: t.order_history(BTC, start=T0, end=T0 + HOUR),
        (
            "GET",
            "/api/v3/allOrders",
            "symbol=BTCUSDT&startTime=1795000000000&endTime=1795003600000&limit=1000&page=1",
            None,
        ),
    ),
    "history, second page": (
        lambda t: t.order_history(BTC, limit=50, page=1),
        ("GET", "/api/v3/allOrders", "symbol=BTCUSDT&limit=50&page=2", None),
    ),
    "fills": (
        lambda t: t.fills(BTC, start=T0 + 1),
        ("GET", "/api/v3/myTrades", "symbol=BTCUSDT&startTime=1795000000001&limit=100", None),
    ),
    "fills within a millisecond": (
        lambda t: t.fills(BTC, start=T0 + 1, end=T0 + 2),
        ("GET", "/api/v3/myTrades", "symbol=BTCUSDT&startTime=1795000000001&endTime=1795000000001&limit=100", None),
    ),
    "fills of an order": (
        lambda t: t.fills(BTC, order_id=A),
        ("GET", "/api/v3/myTrades", f"symbol=BTCUSDT&orderId={A}&limit=100", None),
    ),
    "balances": (lambda t: t.balances(), ("GET", "/api/v3/account/", "", None)),
    "account flags": (lambda t: t.account_flags(), ("GET", "/api/v3/account/", "", None)),
}

LIMIT_BODY = {
    "symbol": "BTCUSDT",
    "side": "BUY",
    "positionSide": "LONG",
    "type": "LIMIT",
    "timeInForce": "GTC",
    "quantity": "0.01",
    "price": "91000.0",
    "newClientOrderId": "demo-0001",
}
STOP_BODY = EXAMPLES["rest.contract.algoOrder.request"]


def opening(**more: Any) -> NewOrder:
    return perp("buy", "limit", "long", "demo-0001", price=D("91000.0"), **more)


def stop(**more: Any) -> NewOrder:
    return perp("sell", "stop", "long", "demo-sl-0001", trigger=D("89500.0"), **more)


CONTRACT_CALLS: dict[str, tuple[Callable[[ContractTrading], Query[Any]], tuple[str, str, str, Any]]] = {
    "open long": (lambda t: t.place(opening()), ("POST", "/capi/v3/order", "", LIMIT_BODY)),
    "post only": (
        lambda t: t.place(opening(tif="post_only")),
        ("POST", "/capi/v3/order", "", LIMIT_BODY | {"timeInForce": "POST_ONLY"}),
    ),
    "with take-profit and stop-loss": (
        lambda t: t.place(opening(take_profit=D(95000), stop_loss=D("89500.0"))),
        ("POST", "/capi/v3/order", "", LIMIT_BODY | {"tpTriggerPrice": "95000", "slTriggerPrice": "89500.0"}),
    ),
    "close long at market": (
        lambda t: t.place(perp("sell", "market", "long", reduce_only=True)),
        (
            "POST",
            "/capi/v3/order",
            "",
            {
                "symbol": "BTCUSDT",
                "side": "SELL",
                "positionSide": "LONG",
                "type": "MARKET",
                "quantity": "0.01",
                "newClientOrderId": "c-1",
            },
        ),
    ),
    "stop": (lambda t: t.place(stop()), ("POST", "/capi/v3/algoOrder", "", STOP_BODY)),
    "stop by last price": (
        lambda t: t.place(stop(trigger_by="last")),
        ("POST", "/capi/v3/algoOrder", "", STOP_BODY),
    ),
    "stop limit that opens, with a stop-loss": (
        lambda t: t.place(perp("buy", "stop_limit", "long", "s", price=D(92000), trigger=D(91900), stop_loss=D(90000))),
        (
            "POST",
            "/capi/v3/algoOrder",
            "",
            {
                "symbol": "BTCUSDT",
                "side": "BUY",
                "positionSide": "LONG",
                "type": "STOP",
                "quantity": "0.01",
                "price": "92000",
                "triggerPrice": "91900",
                "clientAlgoId": "s",
                "presetStopLossPrice": "90000",
            },
        ),
    ),
    "take profit limit": (
        lambda t: t.place(perp("buy", "take_profit_limit", "short", "s", price=D(88000), trigger=D(88100))),
        (
            "POST",
            "/capi/v3/algoOrder",
            "",
            {
                "symbol": "BTCUSDT",
                "side": "BUY",
                "positionSide": "SHORT",
                "type": "TAKE_PROFIT",
                "quantity": "0.01",
                "price": "88000",
                "triggerPrice": "88100",
                "clientAlgoId": "s",
            },
        ),
    ),
    "stop by mark price": (
        lambda t: t.place(perp("sell", "stop", "long", "demo-sl-0002", trigger=D("89500.0"), trigger_by="mark")),
        ("POST", "/capi/v3/placeTpSlOrder", "", EXAMPLES["rest.contract.placeTpSlOrder.request"]),
    ),
    "take profit limit by mark price": (
        lambda t: t.place(
            perp("buy", "take_profit_limit", "short", "p", price=D(88000), trigger=D(88100), trigger_by="mark")
        ),
        (
            "POST",
            "/capi/v3/placeTpSlOrder",
            "",
            {
                "symbol": "BTCUSDT",
                "clientAlgoId": "p",
                "planType": "TAKE_PROFIT",
                "triggerPrice": "88100",
                "executePrice": "88000",
                "quantity": "0.01",
                "positionSide": "SHORT",
                "triggerPriceType": "MARK_PRICE",
            },
        ),
    ),
    "cancel": (lambda t: t.cancel(OrderRef(PERP, A)), ("DELETE", "/capi/v3/order", f"orderId={A}", None)),
    "cancel by client id": (
        lambda t: t.cancel(OrderRef(PERP, client_id="demo-0001")),
        ("DELETE", "/capi/v3/order", "origClientOrderId=demo-0001", None),
    ),
    "cancel conditional": (
        lambda t: t.cancel(OrderRef(PERP, A, conditional=True)),
        ("DELETE", "/capi/v3/algoOrder", f"orderId={A}", None),
    ),
    "cancel many": (
        lambda t: t.cancel_many([OrderRef(PERP, A), OrderRef(PERP, B)]),
        ("DELETE", "/capi/v3/batchOrders", "", {"orderIdList": [A, B]}),
    ),
    "cancel many by client id": (
        lambda t: t.cancel_many([OrderRef(PERP, client_id="a")]),
        ("DELETE", "/capi/v3/batchOrders", "", {"origClientOrderIdList": ["a"]}),
    ),
    "cancel all": (lambda t: t.cancel_all(None), ("DELETE", "/capi/v3/allOpenOrders", "", None)),
    "cancel all of a symbol": (
        lambda t: t.cancel_all(PERP),
        ("DELETE", "/capi/v3/allOpenOrders", "symbol=BTCUSDT", None),
    ),
    "cancel all conditional": (
        lambda t: t.cancel_all_conditional(None),
        ("DELETE", "/capi/v3/algoOpenOrders", "", None),
    ),
    "cancel all conditional of a symbol": (
        lambda t: t.cancel_all_conditional(PERP),
        ("DELETE", "/capi/v3/algoOpenOrders", "symbol=BTCUSDT", None),
    ),
    "order": (lambda t: t.order(OrderRef(PERP, A)), ("GET", "/capi/v3/order", f"orderId={A}", None)),
    "open orders": (lambda t: t.open_orders(), ("GET", "/capi/v3/openOrders", "limit=100&page=0", None)),
    "open orders, second page": (
        lambda t: t.open_orders(PERP, page=1),
        ("GET", "/capi/v3/openOrders", "symbol=BTCUSDT&limit=100&page=1", None),
    ),
    "open conditional": (
        lambda t: t.open_conditional(PERP),
        ("GET", "/capi/v3/openAlgoOrders", "symbol=BTCUSDT&limit=100&page=1", None),
    ),
    "open conditional, second page": (
        lambda t: t.open_conditional(page=1),
        ("GET", "/capi/v3/openAlgoOrders", "limit=100&page=2", None),
    ),
    "history": (
        lambda t: t.order_history(None, start=T0, end=T0 + HOUR),
        ("GET", "/capi/v3/order/history", "startTime=1795000000000&endTime=1795003600000&limit=1000&page=0", None),
    ),
    "conditional history": (
        lambda t: t.conditional_history(PERP, limit=5),
        ("GET", "/capi/v3/allAlgoOrders", "symbol=BTCUSDT&limit=5", None),
    ),
    "fills": (
        lambda t: t.fills(PERP, start=T0, end=T0 + 7 * DAY),
        ("GET", "/capi/v3/userTrades", "symbol=BTCUSDT&startTime=1795000000000&endTime=1795604800000&limit=100", None),
    ),
    "fills of an order": (
        lambda t: t.fills(None, order_id=A, limit=10),
        ("GET", "/capi/v3/userTrades", f"orderId={A}&limit=10", None),
    ),
    "balances": (lambda t: t.balances(), ("GET", "/capi/v3/account/balance", "", None)),
    "positions": (lambda t: t.positions(), ("GET", "/capi/v3/account/position/allPosition", "", None)),
    "positions of one": (
        lambda t: t.positions(PERP),
        ("GET", "/capi/v3/account/position/singlePosition", "symbol=BTCUSDT", None),
    ),
    "account flags": (lambda t: t.account_flags(), ("GET", "/capi/v3/account/accountConfig", "", None)),
    "leverage": (
        lambda t: t.set_leverage(PERP, 20),
        ("POST", "/capi/v3/account/leverage", "", {"symbol": "BTCUSDT", "crossLeverage": "20"}),
    ),
    "margin mode": (
        lambda t: t.set_margin_mode(PERP, "isolated"),
        (
            "POST",
            "/capi/v3/account/marginType",
            "",
            {"symbol": "BTCUSDT", "marginType": "ISOLATED", "separatedType": "COMBINED"},
        ),
    ),
    "close by symbol": (
        lambda t: t.close_positions(symbol=PERP),
        ("POST", "/capi/v3/closePositions", "", {"symbol": "BTCUSDT"}),
    ),
    "close by id": (
        lambda t: t.close_positions(position_id=A),
        ("POST", "/capi/v3/closePositions", "", {"positionId": A}),
    ),
}


@pytest.mark.parametrize("name", SPOT_CALLS)
def test_spot_calls(name: str) -> None:
    call, expected = SPOT_CALLS[name]
    query = call(spot())
    assert shown(query.request) == expected
    assert query.request.auth == "signed"
    assert query.request.write == (expected[0] != "GET")
    assert ("Content-Type", "application/json") in query.request.headers


@pytest.mark.parametrize("name", CONTRACT_CALLS)
def test_contract_calls(name: str) -> None:
    call, expected = CONTRACT_CALLS[name]
    query = call(contract())
    assert shown(query.request) == expected
    assert query.request.auth == "signed"
    assert query.request.write == (expected[0] != "GET")


@pytest.mark.parametrize(
    ("side", "reduce_only", "position"),
    [("buy", False, "LONG"), ("sell", False, "SHORT"), ("sell", True, "LONG"), ("buy", True, "SHORT")],
)
def test_without_a_position_side_the_order_says_which_it_means(side: Any, reduce_only: bool, position: str) -> None:
    trading = contract(TradingSettings(options={"one_way": "allow"}))
    order = NewOrder(PERP, side, "market", "c", size=D(1), reduce_only=reduce_only)
    body = json.loads(trading.place(order).request.body)
    assert (body["side"], body["positionSide"]) == (side.upper(), position)


@pytest.mark.parametrize(
    ("side", "given", "position"),
    [("buy", "long", "LONG"), ("sell", "short", "SHORT"), ("sell", "long", "LONG"), ("buy", "short", "SHORT")],
)
def test_in_hedge_mode_the_position_side_is_sent_as_given(side: Any, given: Any, position: str) -> None:
    body = json.loads(contract().place(perp(side, "market", given)).request.body)
    assert (body["side"], body["positionSide"]) == (side.upper(), position)
    assert "reduceOnly" not in body


def test_orders_and_cancels_are_counted_by_account() -> None:
    assert spot().place(limit()).request.also == (("account_weight", 5), ("orders", 1))
    assert contract().cancel(OrderRef(PERP, A)).request.also == (("account_weight", 3), ("cancels", 1))
    budgets = {budget.name: budget.scope for market in (SPOT, CONTRACT) for budget in market.limits.budgets}
    assert budgets == {"weight": "address", "account_weight": "account", "orders": "account", "cancels": "account"}


def test_one_way_mode_is_refused_unless_the_user_insists() -> None:
    refusing = contract(TradingSettings())
    assert refusing.spec.position_modes == ("hedge",)
    with pytest.raises(Unsupported, match="one-way"):
        refusing.place(NewOrder(PERP, "buy", "market", "c", size=D(1)))
    assert contract(one_way="allow").spec.position_modes == ("hedge", "one_way")


def test_isolated_leverage_is_set_on_both_sides() -> None:
    settings = TradingSettings(position_mode="hedge", margin_mode="isolated")
    body = json.loads(contract(settings).set_leverage(ETH_PERP, 7).request.body)
    assert body == {"symbol": "ETHUSDT", "isolatedLongLeverage": "7", "isolatedShortLeverage": "7"}


def test_attached_orders_look_at_the_mark_price_by_option() -> None:
    order = perp("buy", "limit", "long", "demo-0001", price=D("91000.0"), stop_loss=D("89500.0"))
    body = json.loads(contract(attached_by="mark").place(order).request.body)
    assert body == EXAMPLES["rest.contract.order.request"]


def test_batches_are_off_and_an_option_turns_them_on() -> None:
    assert (spot().spec.batch_place, contract().spec.batch_place) == (0, 0)
    with pytest.raises(Unsupported, match="one by one"):
        contract().place_many([opening()])
    on = contract(batch_place="5")
    assert on.spec.batch_place == 5
    query = on.place_many([opening(), perp("sell", "market", "short")])
    assert shown(query.request)[:3] == ("POST", "/capi/v3/batchOrders", "")
    sent = json.loads(query.request.body)
    assert list(sent) == ["batchOrders"]
    assert sent["batchOrders"][0] == LIMIT_BODY
    assert sent["batchOrders"][1]["newClientOrderId"] == "c-1"
    assert ("orders", 2) in query.request.also
    with pytest.raises(ConfigError, match="1 to 5"):
        on.place_many([opening()] * 6)
    with pytest.raises(Unsupported, match="conditional"):
        on.place_many([stop()])


def test_a_batch_on_spot_is_of_one_symbol() -> None:
    on = spot(batch_place="10")
    query = on.place_many([limit(client_id="a"), limit(client_id="b", tif="ioc")])
    assert shown(query.request)[:3] == ("POST", "/api/v3/order/batch", "")
    sent = json.loads(query.request.body)
    assert sent["symbol"] == "BTCUSDT"
    assert [row["newClientOrderId"] for row in sent["orderList"]] == ["a", "b"]
    assert all("symbol" not in row for row in sent["orderList"])
    with pytest.raises(ConfigError, match="one symbol"):
        on.place_many([limit(), limit("ETH/USDT")])


def test_post_only_on_spot_is_an_option() -> None:
    with pytest.raises(Unsupported, match="spot_post_only"):
        spot().place(limit(tif="post_only"))
    body = json.loads(spot(spot_post_only="allow").place(limit(tif="post_only")).request.body)
    assert body["timeInForce"] == "POST_ONLY"
    assert "post_only" in spot(spot_post_only="allow").spec.tifs


def test_nothing_closes_the_whole_account() -> None:
    with pytest.raises(ConfigError, match="every position"):
        contract().close_positions()
    with pytest.raises(Unsupported, match="both sides"):
        contract().close_position(PERP, "long")
    query = contract(close_positions="both_sides").close_position(PERP, "long")
    assert shown(query.request) == ("POST", "/capi/v3/closePositions", "", {"symbol": "BTCUSDT"})


@pytest.mark.parametrize(
    "options", [{"nope": "1"}, {"batch_place": "-1"}, {"batch_place": "99"}, {"one_way": "yes"}, {"attached_by": ""}]
)
def test_options_are_checked(options: dict[str, str]) -> None:
    for market in (SPOT, CONTRACT):
        with pytest.raises(ConfigError):
            market.trading(Instruments(market.catalogue), TradingSettings(options=options))


def test_a_batch_may_not_be_larger_than_the_market_has_it() -> None:
    with pytest.raises(ConfigError, match="5 at most"):
        contract(batch_place="6")


SPOT_REFUSALS: dict[str, Callable[[SpotTrading], object]] = {
    "cost": lambda t: t.place(NewOrder(BTC, "buy", "market", "x", cost=D(100))),
    "stop": lambda t: t.place(NewOrder(BTC, "sell", "stop", "x", size=D(1), trigger=D(1))),
    "reduce only": lambda t: t.place(limit(reduce_only=True)),
    "position side": lambda t: t.place(limit(position_side="long")),
    "attached": lambda t: t.place(limit(stop_loss=D(1))),
    "good till date": lambda t: t.place(limit(tif="gtd", expires=T0)),
    "validate": lambda t: t.validate(limit()),
    "amend": lambda t: t.amend(Amendment(OrderRef(BTC, A), size=D(1))),
    "cancel everything": lambda t: t.cancel_all(None),
    "history without symbol": lambda t: t.order_history(None),
    "fills without symbol": lambda t: t.fills(None),
    "conditional": lambda t: t.cancel(OrderRef(BTC, A, conditional=True)),
    "positions": lambda t: t.positions(),
    "leverage": lambda t: t.set_leverage(BTC, 2),
    "margin mode": lambda t: t.set_margin_mode(BTC, "cross"),
    "position mode": lambda t: t.set_position_mode("hedge"),
    "close": lambda t: t.close_position(BTC, "long"),
}
CONTRACT_REFUSALS: dict[str, Callable[[ContractTrading], object]] = {
    "cost": lambda t: t.place(NewOrder(PERP, "buy", "market", "x", cost=D(100), position_side="long")),
    "good till date": lambda t: t.place(opening(tif="gtd", expires=T0)),
    "conditional with time in force": lambda t: t.place(
        perp("sell", "stop_limit", "long", price=D(1), trigger=D(1), tif="ioc")
    ),
    "index trigger": lambda t: t.place(stop(trigger_by="index")),
    "mark trigger that opens": lambda t: t.place(perp("buy", "stop", "long", trigger=D(1), trigger_by="mark")),
    "query by client id": lambda t: t.order(OrderRef(PERP, client_id="x")),
    "query one conditional": lambda t: t.order(OrderRef(PERP, A, conditional=True)),
    "cancel conditional by client id": lambda t: t.cancel(OrderRef(PERP, client_id="x", conditional=True)),
    "cancel many conditional": lambda t: t.cancel_many([OrderRef(PERP, A, conditional=True)]),
    "validate": lambda t: t.validate(opening()),
    "amend": lambda t: t.amend(Amendment(OrderRef(PERP, A), size=D(1))),
    "position mode": lambda t: t.set_position_mode("hedge"),
}
CONFIG_ERRORS: dict[str, Callable[[ContractTrading], object]] = {
    "no size": lambda t: t.place(NewOrder(PERP, "buy", "market", "x", position_side="long")),
    "limit without price": lambda t: t.place(perp("buy", "limit", "long")),
    "market with price": lambda t: t.place(perp("buy", "market", "long", price=D(1))),
    "stop without trigger": lambda t: t.place(perp("sell", "stop", "long")),
    "trigger_by without trigger": lambda t: t.place(perp("sell", "market", "long", trigger_by="last")),
    "reduce what grows": lambda t: t.place(perp("buy", "market", "long", reduce_only=True)),
    "attached to what closes": lambda t: t.place(perp("sell", "market", "long", stop_loss=D(1))),
    "no name": lambda t: t.cancel(OrderRef(PERP)),
    "not an id": lambda t: t.cancel(OrderRef(PERP, "demo-1")),
    "mixed names": lambda t: t.cancel_many([OrderRef(PERP, A), OrderRef(PERP, client_id="x")]),
    "eleven cancels": lambda t: t.cancel_many([OrderRef(PERP, A)] * 11),
    "no cancels": lambda t: t.cancel_many([]),
    "no leverage": lambda t: t.set_leverage(PERP, 0),
    "eight days of fills": lambda t: t.fills(PERP, start=T0, end=T0 + 8 * DAY),
    "91 days of orders": lambda t: t.order_history(PERP, start=T0, end=T0 + 91 * DAY),
    "a range that ends before it starts": lambda t: t.fills(PERP, start=T0, end=T0 - 1),
    "no rows": lambda t: t.fills(PERP, limit=0),
    "unknown symbol": lambda t: t.place(NewOrder("NO/USDT:USDT", "buy", "market", "x", size=D(1))),
}


@pytest.mark.parametrize("name", SPOT_REFUSALS)
def test_what_spot_lacks_is_refused_before_it_is_sent(name: str) -> None:
    with pytest.raises(Unsupported):
        SPOT_REFUSALS[name](spot())


@pytest.mark.parametrize("name", CONTRACT_REFUSALS)
def test_what_contracts_lack_is_refused_before_it_is_sent(name: str) -> None:
    with pytest.raises(Unsupported):
        CONTRACT_REFUSALS[name](contract())


@pytest.mark.parametrize("name", CONFIG_ERRORS)
def test_contradictions_are_refused_before_they_are_sent(name: str) -> None:
    with pytest.raises(ConfigError) as caught:
        CONFIG_ERRORS[name](contract())
    assert type(caught.value) is ConfigError


def test_what_the_tables_promise() -> None:
    assert isinstance(SPOT, Tradable)
    assert isinstance(CONTRACT, Tradable)
    for spec in (spot().spec, contract().spec):
        assert spec.sides_by_cost == ()
        assert spec.client_ids.max_length == 36
        assert not spec.validate
        assert not spec.amend
        assert "2026" in spec.source
        # A request signed now may still be taken 30 s later, so absence proves nothing before.
        assert spec.absence_lag > 30
    assert spot().spec.cancel_all == "symbol"
    assert contract().spec.cancel_all == "account"
    assert not contract().spec.query_by_client_id
    assert spot().spec.query_by_client_id
    assert spot().spec.client_ids.repeated == "returns_existing"
    assert contract().spec.client_ids.required
    assert spot().cancel_all_conditional(BTC) is None
    assert spot().open_conditional(BTC) is None
