"""Recorded private answers: every one decodes, or stands in ``undecoded_private.json`` with one of three reasons.

The list names rows as ``market/path:line``. It is compared both ways, so it can only shrink by being edited.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from tests.recordings import needs_recordings
from tests.weex.support import CONTRACT, HERE, SPOT, frame
from tests.weex.test_recordings import REASONS, RECV, is_private, rows
from unitape.errors import UnitapeError
from unitape.spi import HttpResponse, Instruments, NewOrder, OrderRef, Query, TradingSettings
from unitape_schemas import Order
from unitape_weex.orders_contract import ContractTrading
from unitape_weex.orders_spot import SpotTrading

pytestmark = [needs_recordings, pytest.mark.recordings]

D = Decimal
S, P = "BTC/USDT", "BTC/USDT:USDT"
A, B = "702345678901234567", "702345678901234568"
SPOT_SIDE = SpotTrading(Instruments(SPOT.catalogue), TradingSettings())
PERP_SIDE = ContractTrading(
    Instruments(CONTRACT.catalogue), TradingSettings(position_mode="hedge", margin_mode="isolated")
)
PLACED = NewOrder(S, "buy", "limit", "my-spot-order-001", size=D(1), price=D(1))
OPENED = NewOrder(P, "buy", "limit", "my-order-0001", size=D(1), price=D(1), position_side="long")

QUERIES: dict[str, Callable[[], Query[Any]]] = {
    "GET /api/v3/account/": SPOT_SIDE.balances,
    "POST /api/v3/order": lambda: SPOT_SIDE.place(PLACED),
    "GET /api/v3/order": lambda: SPOT_SIDE.order(OrderRef(S, A)),
    "DELETE /api/v3/order": lambda: SPOT_SIDE.cancel(OrderRef(S, A)),
    "DELETE /api/v3/order/batch": lambda: SPOT_SIDE.cancel_many([OrderRef(S, A), OrderRef(S, B)]),
    "GET /api/v3/openOrders": SPOT_SIDE.open_orders,
    "DELETE /api/v3/openOrders": lambda: SPOT_SIDE.cancel_all(S),
    "GET /api/v3/myTrades": lambda: SPOT_SIDE.fills(S),
    "GET /capi/v3/account/balance": PERP_SIDE.balances,
    "GET /capi/v3/account/accountConfig": PERP_SIDE.account_flags,
    "POST /capi/v3/account/leverage": lambda: PERP_SIDE.set_leverage(P, 20),
    "POST /capi/v3/account/marginType": lambda: PERP_SIDE.set_margin_mode(P, "isolated"),
    "GET /capi/v3/account/position/allPosition": PERP_SIDE.positions,
    "GET /capi/v3/account/position/singlePosition": lambda: PERP_SIDE.positions(P),
    "POST /capi/v3/order": lambda: PERP_SIDE.place(OPENED),
    "GET /capi/v3/order": lambda: PERP_SIDE.order(OrderRef(P, A)),
    "DELETE /capi/v3/order": lambda: PERP_SIDE.cancel(OrderRef(P, A)),
    "GET /capi/v3/openOrders": PERP_SIDE.open_orders,
    "GET /capi/v3/order/history": lambda: PERP_SIDE.order_history(P),
    "GET /capi/v3/userTrades": lambda: PERP_SIDE.fills(P),
    "GET /capi/v3/openAlgoOrders": PERP_SIDE.open_conditional,
    "DELETE /capi/v3/algoOpenOrders": lambda: PERP_SIDE.cancel_all_conditional(None),
}


def private_rows() -> list[tuple[str, dict[str, Any]]]:
    found = [pair for folder in ("weex-spot", "weex-futures") for pair in rows(folder)]
    return [(name, row) for name, row in found if row["kind"] == "http" and is_private(row["path"])]


def test_every_recorded_private_answer_decodes_or_is_listed() -> None:
    listed = json.loads((HERE / "undecoded_private.json").read_text())
    found: dict[str, str] = {}
    asked: set[str] = set()
    for name, row in private_rows():
        call = f"{row['method']} {row['path']}"
        ask = QUERIES.get(call)
        if ask is None:
            found[name] = f"outside the contract: {row['path'].rpartition('/')[2]}"
            continue
        query = ask()
        assert f"{query.request.method} {query.request.path}" == call
        asked.add(call)
        try:
            query.read(HttpResponse(row.get("status", 200), frame(row["payload"])), RECV)
        except UnitapeError as error:
            found[name] = f"not decoded: {error}"
    assert found == listed
    assert asked == set(QUERIES), "every endpoint that is asked was recorded"
    assert all(reason.startswith(REASONS) for reason in listed.values())


def answer_to(call: str) -> Any:
    ((_, row),) = [(n, r) for n, r in private_rows() if f"{r['method']} {r['path']}" == call]
    return QUERIES[call]().read(HttpResponse(200, frame(row["payload"])), RECV)


def test_what_some_of_them_say() -> None:
    placed = answer_to("POST /capi/v3/order")
    assert isinstance(placed, Order)
    assert placed.id == A
    queried = answer_to("GET /capi/v3/order")
    assert (queried.status, queried.filled, queried.average) == ("filled", D("0.01"), D("68990.5"))
    (waiting,) = answer_to("GET /capi/v3/openAlgoOrders")
    assert (waiting.kind, waiting.trigger, waiting.price, waiting.status) == (
        "stop_limit", D(68900), D(68800), "open",
    )  # fmt: skip
    (old,) = answer_to("GET /capi/v3/order/history")
    assert (old.client_id, old.average, old.reduce_only) == ("hist-1", D("64999.5"), False)
    (long,) = answer_to("GET /capi/v3/account/position/allPosition")
    assert (long.side, long.size, long.entry) == ("long", D("0.02"), D("90053.35"))
    (fill,) = answer_to("GET /capi/v3/userTrades")
    assert (fill.price, fill.fee, fill.fee_currency, fill.liquidity) == (D(69000), D("0.138"), "USDT", "taker")
    first, second = answer_to("DELETE /api/v3/order/batch")
    assert first is None
    assert type(second).__name__ == "OrderNotFound"
