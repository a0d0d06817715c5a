"""Answers to private requests, after the venue's examples, and what they mean, typed by hand."""

from __future__ import annotations

import json

import pytest

from tests.binance.order_examples import (
    A_REF,
    ACCOUNT,
    ACK,
    ALGO,
    AMENDED,
    CANCELED,
    F_FILLED,
    F_ORDER,
    F_PLACED,
    FILLED,
    FULL,
    LIMIT_ORDER,
    MARKET_ORDER,
    MS,
    NOW,
    PLACED,
    POSITION,
    RESTING,
    ROW,
    SPOT_T,
    STOP,
    STOPPED,
    USDM_T,
    D,
    S,
    T,
    U,
    answer,
    order,
)
from unitape.errors import (
    DuplicateOrder,
    InsufficientFunds,
    OrderNotFound,
    OutcomeUnknown,
    ReduceOnlyRejected,
)
from unitape.spi import (
    AccountFlags,
    Amendment,
    NewOrder,
    OrderRef,
)
from unitape_binance.account import read_usdm_balances
from unitape_schemas import Balance, Fill, Position


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


def test_the_spot_account():
    wanted = Balance("binance", "", T + 611 * MS, 0, NOW, "BTC", D("0.51"), D("0.02"), D("0.53"), "spot")
    assert answer(SPOT_T.balances(), ACCOUNT) == [wanted]
    flags = answer(SPOT_T.account_flags(), ACCOUNT | {"canWithdraw": False})
    assert (flags.can_trade, flags.can_withdraw, flags.ip_bound, flags.position_mode) == (True, False, None, None)
    assert "account's" in flags.note


def test_validated():
    assert answer(SPOT_T.validate(MARKET_ORDER), {}) is None
    assert answer(USDM_T.validate(NewOrder(U, "buy", "market", "k", size=D(1))), PLACED) is None


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


def test_zeros_print_as_zeros():
    held = {"asset": "BTC", "free": "0.51000000", "locked": "0.00000000"}
    (balance,) = answer(SPOT_T.balances(), {"balances": [held]})
    assert (str(balance.free), str(balance.locked), str(balance.total)) == ("0.51000000", "0", "0.51000000")
    order = answer(SPOT_T.order(OrderRef(S, "41200334412")), ROW | {"executedQty": "0.00000000"})
    assert str(order.filled) == "0"
