"""Every recorded answer to a private request is read, or listed with one of three reasons."""

from __future__ import annotations

import json
import re
from collections import Counter
from decimal import Decimal
from pathlib import Path

import pytest

from tests.mexc.support import FUTURES as CONTRACTS
from tests.mexc.support import instrument
from tests.recordings import RECORDINGS, needs_recordings
from unitape.errors import OutcomeUnknown, UnitapeError
from unitape.spi import AccountFlags, HttpResponse, Instruments, NewOrder, OrderRef, TradingSettings
from unitape.trade.tracking import OrderTracker
from unitape_mexc import FUTURES, SPOT
from unitape_schemas import Balance, Fill, Order, Position

LIST = Path(__file__).with_name("undecoded_private.json")
REASON = re.compile(r"retired channel|documentation placeholder|outside the contract: .+")
AT_MOST = 17
"""The list may only shrink."""
S, F = "BTC/USDT", "BTC/USDT:USDT"
D = Decimal

pytestmark = [needs_recordings, pytest.mark.recordings]


def answers():
    """Yield (name of the row, market, request, payload)."""
    for folder, market in (("mexc-spot", "spot"), ("mexc-futures", "futures")):
        for path in sorted((RECORDINGS / folder).rglob("*.jsonl")):
            for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
                row = json.loads(line)
                name = f"{path.relative_to(RECORDINGS).as_posix()}:{number}"
                if row.get("kind") == "http" and row.get("auth"):
                    yield name, market, f"{row['method']} {row['path']}", row["payload"]
                elif "place_order" in row.get("function", ""):
                    yield name, market, "POST /api/v3/order", row["payload"]


def spot_calls():
    known = Instruments([instrument(base) for base in ("BTC", "MX")])
    trading = SPOT.trading(known, TradingSettings())
    ref = OrderRef(S, "1")
    return {
        "POST /api/v3/order": trading.place(NewOrder(S, "buy", "limit", "c", D(1), price=D(1))),
        "GET /api/v3/order": trading.order(ref),
        "DELETE /api/v3/order": trading.cancel(ref),
        "DELETE /api/v3/openOrders": trading.cancel_all(S),
        "GET /api/v3/openOrders": trading.open_orders(S),
        "GET /api/v3/allOrders": trading.order_history(S),
        "GET /api/v3/myTrades": trading.fills(S),
        "GET /api/v3/account": trading.balances(),
        "PUT /api/v3/userDataStream": SPOT.account_stream(known, TradingSettings()).keep_key("key"),
    }


def futures_calls():
    trading = FUTURES.trading(
        Instruments([instrument("BTC", size="0.0001"), instrument("ETH", size="0.01")]), TradingSettings()
    )
    ids = ("101716841474621953", "108885377779302912", "108886241042563584")
    stop = NewOrder(F, "buy", "stop", "c", D(1), trigger=D(1))
    private = {
        "GET account/assets": trading.balances(),
        "GET position/position_mode": trading.account_flags(),
        "GET position/open_positions": trading.positions(),
        "POST position/change_leverage": trading.set_leverage(F, 5),
        "POST position/change_position_mode": trading.set_position_mode("hedge"),
        "POST order/create": trading.place(NewOrder(F, "buy", "market", "c", D(1))),
        "POST planorder/place/v2": trading.place(stop),
        "POST order/cancel": trading.cancel_many([OrderRef(F, number) for number in ids]),
        "POST order/batch_cancel_with_external": trading.cancel_many([OrderRef(F, client_id=c) for c in "abc"]),
        "POST stoporder/cancel": trading.cancel(OrderRef(F, "sl-123", conditional=True)),
        "POST order/cancel_all": trading.cancel_all(None),
        "GET order/get/123": trading.order(OrderRef(F, "123")),
        "GET order/list/open_orders": trading.open_orders(),
        "GET order/list/history_orders": trading.order_history(F),
        "GET order/list/order_deals": trading.fills(F),
        # The same rows in a list of orders.
        "GET order/batch_query": trading.order_history(F),
    }
    return {call.replace(" ", " /api/v1/private/"): query for call, query in private.items()}


def test_what_is_not_read_is_exactly_what_is_listed():
    known = json.loads(LIST.read_text("utf-8"))
    calls = {"spot": spot_calls(), "futures": futures_calls()}
    found, wrong, read = {}, [], Counter()
    for name, market, call, payload in answers():
        query = calls[market].get(call)
        if query is None:
            found[name] = f"outside the contract: {call}"
            if known.get(name) != found[name]:
                wrong.append((name, found[name]))
            continue
        try:
            said = query.read(HttpResponse(200, json.dumps(payload).encode()), 1)
        except OutcomeUnknown:
            # A refusal that leaves it open whether the order was placed: read as just that.
            assert payload["code"] == -1003
            read["OutcomeUnknown"] += 1
            continue
        except UnitapeError as error:
            found[name] = f"error: {error}"
            if known.get(name) != "documentation placeholder":
                wrong.append((name, found[name]))
            continue
        read.update(type(item).__name__ for item in (said if isinstance(said, list) else [said]))
    assert wrong == [], json.dumps(dict(wrong), indent=1)
    assert set(known) == set(found)
    assert len(known) <= AT_MOST
    assert all(REASON.fullmatch(reason) for reason in known.values())
    assert read[Order.__name__] >= 9
    assert read[Fill.__name__] == 1
    assert read[Balance.__name__] == 3
    assert read[Position.__name__] == 1
    assert read[AccountFlags.__name__] == 1
    assert read["OutcomeUnknown"] == 1


def test_recorded_rows_say_what_they_say():
    """Ids, sizes and prices of the rows that are read, compared with the rows themselves."""
    checked = 0
    spot, futures = spot_calls(), futures_calls()
    for _, market, call, payload in answers():
        body = HttpResponse(200, json.dumps(payload).encode())
        if market == "spot" and not call.startswith("POST") and call.endswith(("/order", "/openOrders", "/allOrders")):
            orders = spot[call].read(body, 1)
            rows = payload if isinstance(payload, list) else [payload]
            for order, row in zip(orders if isinstance(orders, list) else [orders], rows, strict=True):
                assert order.id == str(row["orderId"])
                assert (order.price, order.size) == (D(row["price"]), D(row["origQty"]))
                assert order.raw_status == row["status"]
                checked += 1
        elif market == "futures" and "/order/get/" in call:
            order, row = futures[call].read(body, 1), payload["data"]
            assert (order.id, order.client_id) == (row["orderId"], row["externalOid"])
            assert order.size == D(str(row["vol"])) * D("0.01") == D("0.01")
            assert (order.side, order.kind, order.status, order.average) == ("buy", "market", "filled", D("1208.35"))
            checked += 1
        elif market == "futures" and call.endswith("open_positions"):
            position, row = futures[call].read(body, 1)[0], payload["data"][0]
            assert (position.size, position.entry) == (D("0.01"), D(str(row["holdAvgPrice"])))
            checked += 1
    assert checked == 8


STATES = {3: "filled", 4: "canceled"}
"""How the venue's page of futures calls the states that recorded orders end in."""
SIZES = {"BTC_USDT": "0.0001", "ARB_USDT": "1", "CRV_USDT": "1"}
"""Contract sizes that the tests' instruments have."""


def pushes(name):
    """Yield the text of every recorded push of one private channel of futures, in the order of the files."""
    for path in sorted((RECORDINGS / "mexc-futures").rglob("*.jsonl")):
        for line in path.read_text("utf-8").splitlines():
            row = json.loads(line)
            payload = row.get("payload")
            if isinstance(payload, dict) and payload.get("channel") == f"push.personal.{name}":
                yield row.get("raw") or json.dumps(payload)


def test_each_recorded_life_of_an_order_ends_as_its_newest_row_says():
    session = FUTURES.account_stream(CONTRACTS, TradingSettings()).session()
    tracker, newest = OrderTracker(), {}
    for text in pushes("order"):
        row = json.loads(text, parse_float=D)["data"]
        if row["version"] >= newest.get(row["orderId"], row)["version"]:
            newest[row["orderId"]] = row
        for order in session.on_frame(text, 1):
            tracker.told(order)
    assert len(newest) == 2
    for number, row in newest.items():
        order = tracker.get(CONTRACTS.symbol(row["symbol"]), id=number).order
        assert order.status == STATES[row["state"]]
        assert order.filled == row["dealVol"] * D(SIZES[row["symbol"]])
        assert order.average == row["dealAvgPrice"]
        assert (order.client_id, order.size) == (row["externalOid"], row["vol"] * D(SIZES[row["symbol"]]))
        assert order.side == ("buy" if row["side"] in (1, 2) else "sell")


def test_each_recorded_execution_and_position_says_what_its_row_says():
    session = FUTURES.account_stream(CONTRACTS, TradingSettings()).session()
    seen = Counter()
    for text in pushes("order.deal"):
        row = json.loads(text, parse_float=D)["data"]
        [fill] = session.on_frame(text, 1)
        assert (fill.id, fill.order_id) == (str(row["id"]), str(row["orderId"]))
        assert (fill.price, fill.size) == (row["price"], row["vol"] * D(SIZES[row["symbol"]]))
        assert (fill.fee, fill.liquidity) == (row["fee"], "taker" if row["isTaker"] else "maker")
        seen["fill"] += 1
    for text in pushes("position"):
        row = json.loads(text, parse_float=D)["data"]
        [position] = session.on_frame(text, 1)
        assert (position.size, position.side) == (row["holdVol"] * D(SIZES[row["symbol"]]), "long")
        assert row["positionType"] == 1
        seen["position"] += 1
    for text in pushes("asset"):
        row = json.loads(text, parse_float=D)["data"]
        balance = session.on_frame(text, 1)[0]
        assert (balance.currency, balance.free, balance.locked) == (
            "USDT",
            row["availableBalance"],
            row["frozenBalance"],
        )
        seen["balance"] += 1
    assert seen == {"fill": 1, "position": 1, "balance": 2}
