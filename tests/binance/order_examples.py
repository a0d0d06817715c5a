"""The venue's examples of answers to private requests, and what tests of them share."""

from __future__ import annotations

import json
from decimal import Decimal

from unitape.spi import (
    HttpResponse,
    Instruments,
    NewOrder,
    OrderRef,
    TradingSettings,
)
from unitape_binance import SPOT, USDM
from unitape_schemas import Order

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
