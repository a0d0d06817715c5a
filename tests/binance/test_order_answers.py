"""Answers to private requests, after the venue's examples, and what they mean, typed by hand."""

from __future__ import annotations

import json
from decimal import Decimal, localcontext

import pytest

from unitape.errors import (
    DuplicateOrder,
    ExchangeUnavailable,
    InsufficientFunds,
    OrderNotFound,
    OutcomeUnknown,
    ReduceOnlyRejected,
    WireError,
)
from unitape.spi import (
    AccountFlags,
    Amendment,
    HttpResponse,
    Instruments,
    NewOrder,
    OrderRef,
    TradingSettings,
)
from unitape_binance import SPOT, USDM
from unitape_binance.account import read_usdm_balances
from unitape_binance.amounts import average_price
from unitape_schemas import Balance, Fill, Order, Position

D = Decimal
S, U = "BTC/USDT", "BTC/USDT:USDT"
T = 1_793_923_200_000_000_000
MS = 1_000_000
NOW = T + 9 * 10**9
SPOT_T = SPOT.trading(Instruments(SPOT.catalogue), TradingSettings())
USDM_T = USDM.trading(Instruments(USDM.catalogue), TradingSettings())


def answer(query, body, status=200):
    text = body if isinstance(body, bytes) else json.dumps(body).encode()
    return query.read(HttpResponse(status, text), NOW)


def order(symbol=S, **fields):
    """An order with everything that these answers have in common."""
    common = {
        "venue": "binance",
        "symbol": symbol,
        "ts_sent": 0,
        "ts_recv": NOW,
        "side": "buy",
        "kind": "limit",
        "tif": "gtc",
        "price": None,
        "trigger": None,
        "filled": D(0),
        "average": None,
        "reduce_only": None if symbol == S else False,
        "position_side": None,
        "ts_created": 0,
        "origin": "answer",
    }
    return Order(**{**common, **fields})


ACK = {
    "symbol": "BTCUSDT",
    "orderId": 41200334411,
    "orderListId": -1,
    "clientOrderId": "k7-000123",
    "transactTime": 1793923200610,
}
FULL = ACK | {
    "price": "0.00000000",
    "origQty": "0.01000000",
    "executedQty": "0.01000000",
    "origQuoteOrderQty": "0.00000000",
    "cummulativeQuoteQty": "964.12370000",
    "status": "FILLED",
    "timeInForce": "GTC",
    "type": "MARKET",
    "side": "BUY",
    "workingTime": 1793923200610,
    "selfTradePreventionMode": "EXPIRE_MAKER",
    "fills": [
        {
            "price": "96412.37000000",
            "qty": "0.01000000",
            "commission": "0.00001000",
            "commissionAsset": "BTC",
            "tradeId": 5641203401,
        }
    ],
}
ROW = {
    "symbol": "BTCUSDT",
    "orderId": 41200334412,
    "orderListId": -1,
    "clientOrderId": "k7-000124",
    "price": "95000.00000000",
    "origQty": "0.01000000",
    "executedQty": "0.00000000",
    "cummulativeQuoteQty": "0.00000000",
    "status": "NEW",
    "timeInForce": "GTC",
    "type": "LIMIT",
    "side": "BUY",
    "stopPrice": "0.00000000",
    "icebergQty": "0.00000000",
    "time": 1793923201000,
    "updateTime": 1793923201000,
    "isWorking": True,
    "workingTime": 1793923201000,
    "origQuoteOrderQty": "0.00000000",
    "selfTradePreventionMode": "EXPIRE_MAKER",
}
CANCELED = {
    "symbol": "BTCUSDT",
    "origClientOrderId": "k7-000124",
    "orderId": 41200334412,
    "orderListId": -1,
    "clientOrderId": "cxl-9",
    "transactTime": 1793923202000,
    "price": "95000.00000000",
    "origQty": "0.01000000",
    "executedQty": "0.00000000",
    "origQuoteOrderQty": "0.00000000",
    "cummulativeQuoteQty": "0.00000000",
    "status": "CANCELED",
    "timeInForce": "GTC",
    "type": "LIMIT",
    "side": "BUY",
    "selfTradePreventionMode": "EXPIRE_MAKER",
}
AMENDED = {
    "transactTime": 1793923203000,
    "executionId": 16,
    "amendedOrder": {
        "symbol": "BTCUSDT",
        "orderId": 41200334412,
        "orderListId": -1,
        "origClientOrderId": "k7-000124",
        "clientOrderId": "k7-000125",
        "price": "95000.00000000",
        "qty": "0.00800000",
        "executedQty": "0.00000000",
        "preventedQty": "0.00000000",
        "quoteOrderQty": "0.00000000",
        "cumulativeQuoteQty": "0.00000000",
        "status": "NEW",
        "timeInForce": "GTC",
        "type": "LIMIT",
        "side": "BUY",
        "workingTime": 1793923201000,
        "selfTradePreventionMode": "EXPIRE_MAKER",
    },
}
MARKET_ORDER = NewOrder(S, "buy", "market", "k7-000123", size=D("0.01"))
LIMIT_ORDER = NewOrder(S, "buy", "limit", "k7-000124", size=D("0.01"), price=D(95000), tif="post_only")
RESTING = order(
    ts_event=T + 1000 * MS,
    id="41200334412",
    client_id="k7-000124",
    price=D(95000),
    size=D("0.01"),
    status="open",
    ts_created=T + 1000 * MS,
    ts_updated=T + 1000 * MS,
    origin="query",
    raw_status="NEW",
)


def test_a_spot_market_order_is_filled():
    wanted = order(
        ts_event=T + 610 * MS,
        id="41200334411",
        client_id="k7-000123",
        kind="market",
        tif=None,
        size=D("0.01"),
        filled=D("0.01"),
        average=D("96412.37"),
        status="filled",
        ts_created=T + 610 * MS,
        ts_updated=T + 610 * MS,
        raw_status="FILLED",
    )
    assert answer(SPOT_T.place(MARKET_ORDER), FULL) == wanted


def test_a_bare_acknowledgement_is_completed_from_the_order():
    wanted = order(
        ts_event=T + 610 * MS,
        id="41200334411",
        client_id="k7-000123",
        tif="post_only",
        price=D(95000),
        size=D("0.01"),
        filled=None,
        status="open",
        ts_created=T + 610 * MS,
        ts_updated=T + 610 * MS,
        raw_status="",
    )
    assert answer(SPOT_T.place(LIMIT_ORDER), ACK) == wanted


def test_spot_queries():
    assert answer(SPOT_T.order(OrderRef(S, "41200334412")), ROW) == RESTING
    assert answer(SPOT_T.open_orders(S), [ROW]) == [RESTING]
    assert answer(SPOT_T.order_history(S), [ROW, ROW]) == [RESTING, RESTING]


def test_a_canceled_spot_order_keeps_its_own_client_id():
    wanted = order(
        ts_event=T + 2000 * MS,
        id="41200334412",
        client_id="k7-000124",
        price=D(95000),
        size=D("0.01"),
        status="canceled",
        ts_updated=T + 2000 * MS,
        raw_status="CANCELED",
    )
    assert answer(SPOT_T.cancel(OrderRef(S, "41200334412")), CANCELED) == wanted
    in_a_list = {"orderListId": 1929, "contingencyType": "OCO", "orders": [], "orderReports": [CANCELED, CANCELED]}
    assert answer(SPOT_T.cancel_all(S), [CANCELED, in_a_list]) == [wanted] * 3


def test_an_amended_spot_order_has_its_new_size_and_client_id():
    wanted = order(
        ts_event=T + 3000 * MS,
        id="41200334412",
        client_id="k7-000125",
        price=D(95000),
        size=D("0.008"),
        status="open",
        ts_updated=T + 3000 * MS,
        raw_status="NEW",
    )
    assert answer(SPOT_T.amend(Amendment(OrderRef(S, "41200334412"), D("0.008"))), AMENDED) == wanted


def test_spot_executions():
    row = {
        "symbol": "BTCUSDT",
        "id": 5641203401,
        "orderId": 41200334411,
        "orderListId": -1,
        "price": "96412.37000000",
        "qty": "0.01000000",
        "quoteQty": "964.12370000",
        "commission": "0.00001000",
        "commissionAsset": "BTC",
        "time": 1793923200610,
        "isBuyer": True,
        "isMaker": False,
        "isBestMatch": True,
    }
    wanted = Fill(
        "binance",
        S,
        T + 610 * MS,
        0,
        NOW,
        "5641203401",
        "41200334411",
        None,
        "buy",
        D("96412.37"),
        D("0.01"),
        D("0.00001"),
        "BTC",
        "taker",
        None,
        "query",
    )
    assert answer(SPOT_T.fills(S), [row]) == [wanted]
    sold = answer(SPOT_T.fills(S), [row | {"isBuyer": False, "isMaker": True}])[0]
    assert (sold.side, sold.liquidity) == ("sell", "maker")


ACCOUNT = {
    "makerCommission": 10,
    "canTrade": True,
    "canWithdraw": True,
    "canDeposit": True,
    "updateTime": 1793923200611,
    "accountType": "SPOT",
    "balances": [{"asset": "BTC", "free": "0.51000000", "locked": "0.02000000"}],
    "permissions": ["SPOT"],
    "uid": 354900000,
}


def test_the_spot_account():
    wanted = Balance("binance", "", T + 611 * MS, 0, NOW, "BTC", D("0.51"), D("0.02"), D("0.53"), "spot")
    assert answer(SPOT_T.balances(), ACCOUNT) == [wanted]
    flags = answer(SPOT_T.account_flags(), ACCOUNT | {"canWithdraw": False})
    assert (flags.can_trade, flags.can_withdraw, flags.ip_bound, flags.position_mode) == (True, False, None, None)
    assert "account's" in flags.note


def test_validated():
    assert answer(SPOT_T.validate(MARKET_ORDER), {}) is None
    assert answer(USDM_T.validate(NewOrder(U, "buy", "market", "k", size=D(1))), PLACED) is None


PLACED = {
    "orderId": 8801123311,
    "symbol": "BTCUSDT",
    "status": "NEW",
    "clientOrderId": "k7-f-0001",
    "price": "95000.00",
    "origQty": "0.010",
    "executedQty": "0.000",
    "cumQty": "0.000",
    "timeInForce": "GTX",
    "type": "LIMIT",
    "reduceOnly": False,
    "closePosition": False,
    "side": "BUY",
    "positionSide": "BOTH",
    "stopPrice": "0.00",
    "workingType": "CONTRACT_PRICE",
    "priceProtect": False,
    "origType": "LIMIT",
    "priceMatch": "NONE",
    "selfTradePreventionMode": "EXPIRE_MAKER",
    "goodTillDate": 0,
    "updateTime": 1793923200620,
}
FILLED = PLACED | {
    "avgPrice": "94998.10000",
    "cumQuote": "949.98100",
    "executedQty": "0.010",
    "status": "FILLED",
    "stopPrice": "0",
    "time": 1793923200620,
    "updateTime": 1793923260000,
}
F_ORDER = NewOrder(U, "buy", "limit", "k7-f-0001", size=D("0.01"), price=D(95000), tif="post_only")
F_PLACED = order(
    U,
    ts_event=T + 620 * MS,
    id="8801123311",
    client_id="k7-f-0001",
    tif="post_only",
    price=D(95000),
    size=D("0.01"),
    status="open",
    ts_created=T + 620 * MS,
    ts_updated=T + 620 * MS,
    raw_status="NEW",
)
F_FILLED = order(
    U,
    ts_event=T + 60_000 * MS,
    id="8801123311",
    client_id="k7-f-0001",
    tif="post_only",
    price=D(95000),
    size=D("0.01"),
    filled=D("0.01"),
    average=D("94998.1"),
    status="filled",
    ts_created=T + 620 * MS,
    ts_updated=T + 60_000 * MS,
    origin="query",
    raw_status="FILLED",
)


def test_futures_orders():
    assert answer(USDM_T.place(F_ORDER), PLACED) == F_PLACED
    assert answer(USDM_T.order(OrderRef(U, "8801123311")), FILLED) == F_FILLED
    assert answer(USDM_T.open_orders(U), [FILLED]) == [F_FILLED]
    assert answer(USDM_T.order_history(U), [FILLED]) == [F_FILLED]
    canceled = answer(USDM_T.cancel(OrderRef(U, "8801123311")), PLACED | {"status": "CANCELED"})
    assert (canceled.status, canceled.client_id, canceled.ts_created) == ("canceled", "k7-f-0001", 0)
    amended = answer(USDM_T.amend(Amendment(OrderRef(U, "8801123311"), D(1), D(1), "buy")), PLACED)
    assert (amended.id, amended.status, amended.origin) == ("8801123311", "open", "answer")


def test_futures_averages():
    """Where the average is not given it comes from the cost; where neither is given it is not known."""
    query = USDM_T.order(OrderRef(U, "8801123311"))
    cost = {name: value for name, value in FILLED.items() if name != "avgPrice"}
    assert answer(query, cost).average == D("94998.1")
    neither = {name: value for name, value in cost.items() if name != "cumQuote"}
    assert (answer(query, neither).filled, answer(query, neither).average) == (D("0.01"), None)


@pytest.mark.parametrize(("side", "expected"), [("BOTH", None), ("LONG", "long"), ("SHORT", "short")])
def test_position_sides(side, expected):
    assert answer(USDM_T.order(OrderRef(U, "1")), FILLED | {"positionSide": side}).position_side == expected


ALGO = {
    "algoId": 2146760,
    "clientAlgoId": "k7-a-1",
    "algoType": "CONDITIONAL",
    "orderType": "STOP_MARKET",
    "symbol": "BTCUSDT",
    "side": "SELL",
    "positionSide": "BOTH",
    "timeInForce": "GTC",
    "quantity": "0.010",
    "algoStatus": "NEW",
    "triggerPrice": "93000.00",
    "price": "0.00",
    "icebergQuantity": None,
    "selfTradePreventionMode": "EXPIRE_MAKER",
    "workingType": "MARK_PRICE",
    "priceMatch": "NONE",
    "closePosition": False,
    "priceProtect": False,
    "reduceOnly": True,
    "activatePrice": "",
    "callbackRate": "",
    "createTime": 1793923200700,
    "updateTime": 1793923200700,
    "triggerTime": 0,
    "goodTillDate": 0,
}
STOP = NewOrder(U, "sell", "stop", "k7-a-1", size=D("0.01"), trigger=D(93000), trigger_by="mark", reduce_only=True)
STOPPED = order(
    U,
    ts_event=T + 700 * MS,
    id="2146760",
    client_id="k7-a-1",
    side="sell",
    kind="stop",
    tif=None,
    trigger=D(93000),
    size=D("0.01"),
    filled=None,
    status="open",
    reduce_only=True,
    ts_created=T + 700 * MS,
    ts_updated=T + 700 * MS,
    raw_status="NEW",
)
A_REF = OrderRef(U, "2146760", conditional=True)


def test_conditional_futures_orders():
    assert answer(USDM_T.place(STOP), ALGO) == STOPPED
    [listed] = answer(USDM_T.open_conditional(U), [ALGO])
    assert (listed.origin, listed.id) == ("query", "2146760")
    acknowledged = {"algoId": 2146760, "clientAlgoId": "k7-a-1", "code": "200", "msg": "success"}
    assert answer(USDM_T.cancel(A_REF), acknowledged) is None
    assert answer(USDM_T.cancel(A_REF), ALGO | {"algoStatus": "CANCELED"}).status == "canceled"


@pytest.mark.parametrize(
    ("fields", "status", "filled", "average"),
    [
        ({"algoStatus": "TRIGGERING"}, "open", None, None),
        ({"algoStatus": "TRIGGERED", "actualOrderId": "9", "actualQty": "0.000"}, "open", D(0), None),
        (
            {"algoStatus": "FINISHED", "actualQty": "0.010", "actualPrice": "92990.10000"},
            "filled",
            D("0.01"),
            D("92990.1"),
        ),
        (
            {"algoStatus": "FINISHED", "actualQty": "0.004", "actualPrice": "92990.10000"},
            "canceled",
            D("0.004"),
            D("92990.1"),
        ),
        ({"algoStatus": "FINISHED", "actualQty": "0", "actualPrice": "0"}, "canceled", D(0), None),
        (
            {"algoStatus": "FINISHED", "closePosition": True, "quantity": "0", "actualQty": "1", "actualPrice": "5"},
            "filled",
            D(1),
            D(5),
        ),
        ({"algoStatus": "REJECTED", "actualOrderId": "", "actualQty": ""}, "rejected", None, None),
        ({"algoStatus": "EXPIRED"}, "expired", None, None),
        ({"algoStatus": "DREAMING"}, "unknown", None, None),
    ],
)
def test_the_life_of_a_conditional_order(fields, status, filled, average):
    found = answer(USDM_T.order(A_REF), ALGO | fields)
    assert (found.status, found.filled, found.average, found.raw_status) == (
        status,
        filled,
        average,
        fields["algoStatus"],
    )


def test_a_conditional_limit_order_has_price_and_tif():
    found = answer(USDM_T.order(A_REF), ALGO | {"orderType": "TAKE_PROFIT", "price": "93500.1", "timeInForce": "GTX"})
    assert (found.kind, found.price, found.tif) == ("take_profit_limit", D("93500.1"), "post_only")


def test_futures_executions():
    row = {
        "buyer": True,
        "commission": "0.18999620",
        "commissionAsset": "USDT",
        "id": 7120040001,
        "maker": True,
        "orderId": 8801123311,
        "price": "94998.10",
        "qty": "0.010",
        "quoteQty": "949.98100",
        "realizedPnl": "-1.5",
        "side": "BUY",
        "positionSide": "BOTH",
        "symbol": "BTCUSDT",
        "pair": "BTCUSDT",
        "marginAsset": "USDT",
        "time": 1793923260000,
    }
    wanted = Fill(
        "binance",
        U,
        T + 60_000 * MS,
        0,
        NOW,
        "7120040001",
        "8801123311",
        None,
        "buy",
        D("94998.1"),
        D("0.01"),
        D("0.1899962"),
        "USDT",
        "maker",
        D("-1.5"),
        "query",
    )
    assert answer(USDM_T.fills(U), [row]) == [wanted]


def test_futures_balances():
    asset = {
        "asset": "USDT",
        "walletBalance": "12260.35137903",
        "unrealizedProfit": "-3.10000000",
        "marginBalance": "12257.25137903",
        "maintMargin": "0",
        "availableBalance": "12100.11000000",
        "updateTime": 1793923260001,
    }
    head = ("binance", "", T + 60_001 * MS, 0, NOW, "USDT", D("12100.11"), None, D("12260.35137903"), "usdm")
    wanted = Balance(*head, D("12257.25137903"), D("12100.11"), D("-3.1"))
    assert answer(USDM_T.balances(), {"totalWalletBalance": "1", "assets": [asset], "positions": []}) == [wanted]
    row = {
        "accountAlias": "SgsR",
        "asset": "USDT",
        "balance": "12260.35137903",
        "crossWalletBalance": "12260.35137903",
        "crossUnPnl": "-3.10000000",
        "availableBalance": "12100.11000000",
        "maxWithdrawAmount": "12100.11000000",
        "marginAvailable": True,
        "updateTime": 1793923260001,
    }
    assert read_usdm_balances(json.dumps([row]).encode(), NOW) == [Balance(*head, None, D("12100.11"), None)]


POSITION = {
    "symbol": "BTCUSDT",
    "positionSide": "BOTH",
    "positionAmt": "0.010",
    "entryPrice": "94998.1",
    "breakEvenPrice": "95017.1",
    "markPrice": "96401.12345678",
    "unRealizedProfit": "14.03023456",
    "liquidationPrice": "0",
    "isolatedMargin": "0",
    "notional": "964.01123456",
    "marginAsset": "USDT",
    "isolatedWallet": "0",
    "initialMargin": "48.20056172",
    "maintMargin": "3.85604493",
    "positionInitialMargin": "48.20056172",
    "openOrderInitialMargin": "0",
    "adl": 2,
    "bidNotional": "0",
    "askNotional": "0",
    "updateTime": 1793923260001,
}


def test_positions():
    wanted = Position(
        "binance",
        U,
        T + 60_001 * MS,
        0,
        NOW,
        "long",
        D("0.01"),
        D("94998.1"),
        D("96401.12345678"),
        None,
        D("14.03023456"),
        None,
        "cross",
        D("48.20056172"),
    )
    assert answer(USDM_T.positions(U), [POSITION]) == [wanted]
    assert answer(USDM_T.positions(), [POSITION | {"positionAmt": "0.000"}]) == []


@pytest.mark.parametrize(
    ("fields", "side", "size", "mode", "margin"),
    [
        ({"positionAmt": "-0.010"}, "short", D("0.01"), "cross", D("48.20056172")),
        ({"positionSide": "LONG"}, "long", D("0.01"), "cross", D("48.20056172")),
        ({"positionSide": "SHORT", "positionAmt": "-2"}, "short", D(2), "cross", D("48.20056172")),
        ({"isolatedMargin": "50.1"}, "long", D("0.01"), "isolated", D("50.1")),
        ({"marginType": "isolated", "leverage": "4"}, "long", D("0.01"), "isolated", D(0)),
    ],
)
def test_sides_and_modes_of_positions(fields, side, size, mode, margin):
    [found] = answer(USDM_T.positions(), [POSITION | fields])
    assert (found.side, found.size, found.margin_mode, found.margin) == (side, size, mode, margin)
    assert found.leverage == (D(4) if "leverage" in fields else None)


def test_futures_settings():
    assert (
        answer(USDM_T.set_leverage(U, 20), {"leverage": 20, "maxNotionalValue": "1000000", "symbol": "BTCUSDT"}) is None
    )
    done = {"code": 200, "msg": "success"}
    for query in (USDM_T.set_margin_mode(U, "cross"), USDM_T.set_position_mode("hedge")):
        assert answer(query, done) is None
    already = {"code": -4046, "msg": "No need to change margin type."}
    assert answer(USDM_T.set_margin_mode(U, "cross"), already, 400) is None
    already = {"code": -4059, "msg": "No need to change position side."}
    assert answer(USDM_T.set_position_mode("hedge"), already, 400) is None
    assert answer(USDM_T.cancel_all(U), {"code": "200", "msg": "done"}) == []
    assert answer(USDM_T.cancel_all_conditional(U), done) == []
    config = {"feeTier": 0, "canTrade": True, "canWithdraw": False, "dualSidePosition": True, "multiAssetsMargin": True}
    flags = answer(USDM_T.account_flags(), config)
    assert flags == AccountFlags(True, False, None, "hedge", flags.note)
    assert "multi-assets" in flags.note
    assert answer(USDM_T.account_flags(), config | {"dualSidePosition": False}).position_mode == "one_way"


def test_a_leverage_that_was_not_set_is_not_believed():
    with pytest.raises(OutcomeUnknown):
        answer(USDM_T.set_leverage(U, 20), {"leverage": 10, "symbol": "BTCUSDT"})
    with pytest.raises(OutcomeUnknown):
        answer(USDM_T.cancel_all(U), {"code": 0, "msg": "hm"})


# Batches ---------------------------------------------------------------------------------------------------------


def batch(*client_ids):
    return [NewOrder(U, "buy", "limit", name, size=D("0.01"), price=D(95000)) for name in client_ids]


def test_each_row_of_a_batch_has_its_own_fate():
    rows = [
        PLACED | {"clientOrderId": "a"},
        {"code": -2019, "msg": "Margin is insufficient."},
        {"code": -1007, "msg": "Timeout waiting for response from backend server. Send status unknown."},
        {"code": -4116, "msg": "ClientOrderId is duplicated."},
        {"code": -2022, "msg": "ReduceOnly Order is rejected."},
    ]
    first, *others = answer(USDM_T.place_many(batch("a", "b", "c", "d", "e")), rows)
    assert (first.client_id, first.status, first.ts_created) == ("a", "open", T + 620 * MS)
    assert [type(error) for error in others] == [InsufficientFunds, OutcomeUnknown, DuplicateOrder, ReduceOnlyRejected]
    assert others[1].client_id == "c"
    assert (others[0].code, others[0].status, others[0].text) == ("-2019", 200, "Margin is insufficient.")


def test_canceled_batches():
    refs = [OrderRef(U, "8801123311", "a"), OrderRef(U, "2", "b"), OrderRef(U, "3", "c")]
    rows = [
        PLACED | {"status": "CANCELED"},
        {"code": -2011, "msg": "Unknown order sent."},
        {"code": -2012, "msg": "Batch cancel failure."},
    ]
    first, second, third = answer(USDM_T.cancel_many(refs), rows)
    assert (first.status, type(second), type(third), third.client_id) == (
        "canceled",
        OrderNotFound,
        OutcomeUnknown,
        "c",
    )


@pytest.mark.parametrize(
    "rows", [[], [PLACED], [PLACED | {"clientOrderId": "b"}, PLACED | {"clientOrderId": "a"}], {"code": 200}]
)
def test_a_batch_whose_answer_does_not_fit_leaves_its_outcome_open(rows):
    with pytest.raises(OutcomeUnknown):
        answer(USDM_T.place_many(batch("a", "b")), rows)


def test_a_canceled_order_that_was_not_asked_for_is_noticed():
    with pytest.raises(OutcomeUnknown):
        answer(USDM_T.cancel_many([OrderRef(U, "7")]), [PLACED | {"status": "CANCELED"}])


# Doubtful answers ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"[]",
        b"{}",
        b"\xff",
        json.dumps(FULL | {"status": ""}).encode(),
        json.dumps(FULL | {"side": "LEND"}).encode(),
        json.dumps(FULL | {"executedQty": "NaN"}).encode(),
        json.dumps(FULL | {"price": "1E+5"}).encode(),
        json.dumps(FULL | {"price": 1.5}).encode(),
        json.dumps(FULL | {"origQty": "1" * 19}).encode(),
    ],
)
def test_an_accepted_order_whose_answer_cannot_be_read_may_have_happened(body):
    with pytest.raises(OutcomeUnknown) as caught:
        answer(SPOT_T.place(MARKET_ORDER), body)
    assert caught.value.client_id == "k7-000123"
    assert isinstance(caught.value.__cause__, WireError)
    with pytest.raises(WireError) as unread:
        answer(SPOT_T.order(OrderRef(S, "1")), body)
    assert unread.value.data == body


def test_a_check_that_fails_on_the_way_is_no_unknown_order():
    failed = {"code": -1007, "msg": "Timeout waiting for response from backend server."}
    with pytest.raises(ExchangeUnavailable):
        answer(SPOT_T.validate(MARKET_ORDER), failed, 504)
    with pytest.raises(OutcomeUnknown) as caught:
        answer(SPOT_T.place(MARKET_ORDER), failed, 504)
    assert caught.value.client_id == "k7-000123"


def test_nothing_to_cancel_is_no_error():
    nothing = {"code": -2011, "msg": "Unknown order sent."}
    assert answer(SPOT_T.cancel_all(S), nothing, 400) == []
    with pytest.raises(OrderNotFound):
        answer(SPOT_T.cancel(OrderRef(S, "1")), nothing, 400)


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("NEW", "open"),
        ("PENDING_NEW", "pending"),
        ("PARTIALLY_FILLED", "partially_filled"),
        ("FILLED", "filled"),
        ("CANCELED", "canceled"),
        ("PENDING_CANCEL", "open"),
        ("REJECTED", "rejected"),
        ("EXPIRED", "expired"),
        ("EXPIRED_IN_MATCH", "expired"),
        ("SLEEPING", "unknown"),
    ],
)
def test_statuses(word, expected):
    one = answer(SPOT_T.order(OrderRef(S, "1")), ROW | {"status": word})
    other = answer(USDM_T.order(OrderRef(U, "1")), FILLED | {"status": word})
    assert (one.status, one.raw_status) == (other.status, other.raw_status) == (expected, word)


def test_an_order_that_expired_with_fills_is_expired_with_fills():
    expired = FULL | {"status": "EXPIRED", "executedQty": "0.00400000", "cummulativeQuoteQty": "385.64948000"}
    found = answer(SPOT_T.place(MARKET_ORDER), expired)
    assert (found.status, found.filled, found.average) == ("expired", D("0.004"), D("96412.37"))


@pytest.mark.parametrize(
    ("word", "kind", "tif"),
    [
        ("LIMIT", "limit", "gtc"),
        ("LIMIT_MAKER", "limit", "post_only"),
        ("MARKET", "market", None),
        ("STOP_LOSS", "stop", None),
        ("STOP_LOSS_LIMIT", "stop_limit", "gtc"),
        ("TAKE_PROFIT", "take_profit", None),
        ("TAKE_PROFIT_LIMIT", "take_profit_limit", "gtc"),
        ("SOMETHING_NEW", None, "gtc"),
    ],
)
def test_kinds_of_spot(word, kind, tif):
    found = answer(SPOT_T.order(OrderRef(S, "1")), ROW | {"type": word, "stopPrice": "94000.00000000"})
    conditional = word.startswith(("STOP", "TAKE"))
    assert (found.kind, found.tif, found.trigger) == (kind, tif, D(94000) if conditional else None)
    assert (found.price is None) == (word in ("MARKET", "STOP_LOSS", "TAKE_PROFIT"))


@pytest.mark.parametrize(
    ("word", "kind"),
    [
        ("STOP", "stop_limit"),
        ("STOP_MARKET", "stop"),
        ("TAKE_PROFIT", "take_profit_limit"),
        ("TAKE_PROFIT_MARKET", "take_profit"),
        ("TRAILING_STOP_MARKET", None),
        ("LIQUIDATION", None),
    ],
)
def test_kinds_of_futures(word, kind):
    assert answer(USDM_T.order(OrderRef(U, "1")), FILLED | {"origType": word, "type": "MARKET"}).kind == kind


def test_orders_by_cost_have_no_size():
    found = answer(SPOT_T.place(MARKET_ORDER), FULL | {"origQuoteOrderQty": "1000.00000000"})
    assert (found.size, found.filled) == (None, D("0.01"))


def test_the_cost_of_very_old_orders_is_not_known():
    found = answer(SPOT_T.order(OrderRef(S, "1")), FULL | {"cummulativeQuoteQty": "-1.00000000"})
    assert (found.filled, found.average) == (D("0.01"), None)


@pytest.mark.parametrize(
    ("cost", "size", "expected"),
    [
        ("964.12370000", "0.01000000", "96412.37"),
        ("10", "4", "2.5"),
        ("95000", "1", "95000"),
        ("100000", "0.00001", "10000000000"),
        ("1", "3", "0.33333333333333333333"),
        ("2", "3", "0.66666666666666666667"),
        ("198.33521500", "0.00847000", "23416.200118063754427"),
        ("0", "1", "0"),
    ],
)
def test_averages_are_exact_or_rounded_to_20_digits_whatever_the_caller_set(cost, size, expected):
    with localcontext() as context:
        context.prec = 3
        found = average_price(D(cost), D(size))
    assert str(found) == expected


def test_averages_of_nothing():
    assert average_price(D(1), D(0)) is None
    assert average_price(D(-1), D(1)) is None
