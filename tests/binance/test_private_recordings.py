"""Every recorded answer about orders, executions, balances and positions is read, or listed with its reason.

Pushes of the user data streams are another matter; here stand answers over HTTP and over the WebSocket API.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from decimal import Decimal
from pathlib import Path

import pytest

from tests.binance.recorded import MARKETS, PRIVATE, PRIVATE_FUNCTIONS, SYMBOLS
from tests.recordings import RECORDINGS, needs_recordings
from unitape.errors import UnitapeError
from unitape.spi import AccountFlags, Amendment, HttpResponse, Instruments, NewOrder, OrderRef, TradingSettings
from unitape_binance.websocket_api import read_frame
from unitape_schemas import Balance, Fill, Order, Position

LIST = Path(__file__).with_name("undecoded_private.json")
REASON = re.compile(r"retired channel|documentation placeholder|outside the contract: .+")
AT_MOST = 13
"""The list may only shrink."""

pytestmark = [needs_recordings, pytest.mark.recordings]

# Bodies that were kept without their path.
NAMED = {
    "account_response": "GET account",
    "account_trades_response": "GET myTrades",
    "all_orders_response": "GET allOrders",
    "cancel_open_orders_response": "DELETE openOrders",
    "cancel_order_response": "DELETE order",
    "new_order_full_response": "POST order",
    "open_orders_response": "GET openOrders",
    "order_response": "GET order",
    "account_info_v2": "GET account",
    "balance": "GET balance",
    "open_algo_orders": "GET openAlgoOrders",
    "position_risk": "GET positionRisk",
    "http_futures_account_symbol_config": "GET symbolConfig",
    "test_cancel_order_failed": "DELETE order",
}
# Methods of the WebSocket API by the request that they stand for.
METHODS = {
    "order.amend.keepPriority": "PUT order/amend/keepPriority",
    "order.cancel": "DELETE order",
    "order.status": "GET order",
    "order.place": "POST order",
    "order.cancelReplace": "POST order/cancelReplace",
    "order.modify": "PUT order",
    "account.status": "GET account",
    "v2/account.status": "GET account",
    "v2/account.position": "GET positionRisk",
    "algoOrder.cancel": "DELETE algoOrder",
}


def rows(path):
    if path.suffix == ".json":
        yield 1, {"payload": json.loads(path.read_text("utf-8")), "name": path.stem}
        return
    for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
        yield number, json.loads(line)


def answers():
    """Yield (file, row, market, call, payload) of every recorded answer to a private request."""
    for market in MARKETS:
        for path in sorted((RECORDINGS / market).rglob("*")):
            name = path.relative_to(RECORDINGS).as_posix()
            functions = path.name == "literals.jsonl"
            private = functions or any(part in f"/{name}" for part in PRIVATE)
            if path.suffix not in (".json", ".jsonl") or not private or "/Subscriptions/" in name:
                continue
            method = ""
            for number, row in rows(path):
                payload = row.get("payload")
                if functions and row["function"] not in PRIVATE_FUNCTIONS:
                    continue
                if row.get("dir") == "out":
                    method = payload["method"]
                elif row.get("kind") == "http":
                    where = re.sub(r"^/(api|fapi)/v\d/", "", row["path"])
                    yield name, number, market, f"{row['method']} {where}", payload
                elif method:
                    answer = read_frame(json.dumps(payload).encode())
                    yield name, number, market, METHODS[method], json.loads(answer.response.body)
                else:
                    call = NAMED.get(row.get("name", row.get("function", "")))
                    if call is not None:
                        yield name, number, market, call, payload


class Reader:
    def __init__(self, market):
        self.symbol = symbol = SYMBOLS[market]
        self.trading = trading = MARKETS[market].trading(Instruments(MARKETS[market].catalogue), TradingSettings())
        stream = MARKETS[market].account_stream(Instruments(MARKETS[market].catalogue), TradingSettings())
        one = Decimal(1)
        new = NewOrder(symbol, "sell", "market", "testOrder", size=one)
        ref = OrderRef(symbol, "1")
        self.calls = {
            "POST order": lambda payload: trading.place(new),
            "GET order": lambda payload: trading.order(ref),
            "DELETE order": lambda payload: trading.cancel(ref),
            "GET openOrders": lambda payload: trading.open_orders(symbol),
            "GET allOrders": lambda payload: trading.order_history(symbol),
            "GET account": lambda payload: trading.balances(),
        }
        if market == "binance-spot":
            self.calls |= {
                "POST order/cancelReplace": lambda payload: trading.replace(ref, new),
                "DELETE openOrders": lambda payload: trading.cancel_all(symbol),
                "PUT order/amend/keepPriority": lambda payload: trading.amend(Amendment(ref, one)),
                "GET myTrades": lambda payload: trading.fills(symbol),
            }
        else:
            algo = OrderRef(symbol, "1", conditional=True)
            self.calls |= {
                "PUT order": lambda payload: trading.amend(Amendment(ref, one, one, "buy")),
                "POST batchOrders": lambda payload: trading.place_many(
                    [NewOrder(symbol, "buy", "market", row.get("clientOrderId", "none"), size=one) for row in payload]
                ),
                "DELETE batchOrders": lambda payload: trading.cancel_many(
                    [OrderRef(symbol, str(row.get("orderId", 0))) for row in payload]
                ),
                "GET algoOrder": lambda payload: trading.order(algo),
                "DELETE algoOrder": lambda payload: trading.cancel(algo),
                "GET openAlgoOrders": lambda payload: trading.open_conditional(),
                "DELETE algoOpenOrders": lambda payload: trading.cancel_all_conditional(symbol),
                "GET userTrades": lambda payload: trading.fills(symbol),
                "GET balance": lambda payload: trading.balances(),
                "GET positionRisk": lambda payload: trading.positions(),
                "GET accountConfig": lambda payload: trading.account_flags(),
                "POST listenKey": lambda payload: stream.open_key(),
                "POST countdownCancelAll": lambda payload: trading.countdown(
                    symbol, int(payload["countdownTime"]) / 1000
                ),
                "POST leverage": lambda payload: trading.set_leverage(symbol, payload["leverage"]),
            }

    def read(self, call, payload):
        """Return what the answer says, and why it does not say anything (None: it does)."""
        make = self.calls.get(call)
        if make is None:
            return None, f"outside the contract: {call}"
        try:
            return make(payload).read(HttpResponse(200, json.dumps(payload).encode()), 1), None
        except UnitapeError as error:
            return None, f"error: {error}"


def test_what_is_not_read_is_exactly_what_is_listed():
    known = json.loads(LIST.read_text("utf-8"))
    readers = {market: Reader(market) for market in MARKETS}
    found, wrong, read = {}, [], Counter()
    for file, number, market, call, payload in answers():
        said, why = readers[market].read(call, payload)
        if why is None:
            said = said if isinstance(said, list) else [said]
            read.update(type(item).__name__ for item in said)
            continue
        key = f"{file}:{number}"
        found[key] = why
        reason = known.get(key)
        accepted = ("retired channel", "documentation placeholder") if why.startswith("error") else (why,)
        if reason not in accepted:
            wrong.append((key, why, reason))
    print(json.dumps(found, indent=1))
    assert wrong == []
    assert set(known) == set(found)
    assert len(known) <= AT_MOST
    assert all(REASON.fullmatch(reason) for reason in known.values())
    assert read[Order.__name__] >= 30
    assert read[Fill.__name__] == 3
    assert read[Balance.__name__] >= 14
    assert read[Position.__name__] >= 3
    assert read[AccountFlags.__name__] == 1


def test_recorded_orders_say_what_their_rows_say():
    """Of every recorded order: id, size, fills, and the average where the row has the cost or the average."""
    checked = 0
    for _, _, market, call, payload in answers():
        reader = Reader(market)
        rows_of = payload if isinstance(payload, list) else [payload]
        if call not in ("GET order", "GET openOrders", "GET allOrders", "DELETE order"):
            continue
        orders, _ = reader.read(call, payload)
        for found, row in zip(orders if isinstance(orders, list) else [orders], rows_of, strict=True):
            assert found.id == str(row["orderId"])
            assert found.client_id == row.get("origClientOrderId", row["clientOrderId"])
            assert found.size == Decimal(row["origQty"])
            assert found.filled == Decimal(row["executedQty"])
            assert found.raw_status == row["status"]
            cost = row.get("cummulativeQuoteQty")
            if cost is not None and found.filled:
                assert abs(found.average * found.filled - Decimal(cost)) < Decimal("1e-15")
            checked += 1
    assert checked >= 14
