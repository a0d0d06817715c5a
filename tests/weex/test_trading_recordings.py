"""Recorded private answers and messages: each decodes, or stands in ``undecoded_private.json`` with a reason.

The list names rows as ``market/path:line``. It is compared both ways, so it can only shrink by being edited.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from tests.recordings import needs_recordings
from tests.weex.support import CONTRACT, HERE, MS, SPOT, frame
from tests.weex.test_recordings import FOLDERS, PUSHED, REASONS, RECV, is_private, rows
from unitape.errors import UnitapeError
from unitape.spi import (
    HttpResponse,
    Instruments,
    NewOrder,
    OrderRef,
    PrivateOutput,
    Query,
    Recheck,
    TradingSettings,
    Unmapped,
)
from unitape_schemas import Balance, Fill, Order, Position
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
    for name, outputs in pushed().items():
        if not outputs or any(isinstance(output, Unmapped) for output in outputs):
            found[name] = f"not decoded: {outputs}"
    assert found == listed
    assert asked == set(QUERIES), "every endpoint that is asked was recorded"
    assert all(reason.startswith(REASONS) for reason in listed.values())


def pushed() -> dict[str, list[PrivateOutput]]:
    """What every recorded message of a private socket says, each on a connection of its own."""
    found: dict[str, list[PrivateOutput]] = {}
    for folder, market in FOLDERS.items():
        instruments = Instruments(market.catalogue)
        for name, row in rows(folder):
            if row["kind"] == "ws" and row["dir"] == "in" and row["payload"].get("e") in PUSHED:
                session = market.account_stream(instruments, TradingSettings()).session()
                found[name] = list(session.on_frame(frame(row["payload"]), RECV))
    return found


def of_kind(folder: str, kind: type[Any]) -> list[Any]:
    found = [output for name, outputs in pushed().items() if name.startswith(folder) for output in outputs]
    return [output for output in found if isinstance(output, kind)]


def test_every_private_channel_was_recorded() -> None:
    assert len(pushed()) == 6
    assert {type(o).__name__ for outputs in pushed().values() for o in outputs} == {
        "Order", "Fill", "Balance", "Position", "Recheck",
    }  # fmt: skip


def test_the_recorded_spot_order_ends_as_its_execution_says() -> None:
    """A market buy by value, all of it in one execution: both messages tell the same size, value and fee."""
    ((order,), (fill,)) = of_kind("weex-spot", Order), of_kind("weex-spot", Fill)
    assert (order.symbol, order.side, order.kind, order.status) == (S, "buy", "market", "filled")
    assert (order.size, order.price, order.tif) == (None, None, None)
    assert fill.order_id == order.id == "625138763307155610"
    assert fill.size == order.filled == D("0.000952")
    assert fill.price == order.average == D(105008)
    assert (fill.fee, fill.fee_currency, fill.liquidity) == (D("0.00000095"), "BTC", "taker")
    assert (fill.ts_event, order.ts_updated) == (1749044695718 * MS, 1749044695720 * MS)


def test_what_the_other_recorded_messages_say() -> None:
    (order,) = of_kind("weex-futures", Order)
    assert (order.status, order.filled, order.average, order.size, order.position_side) == (
        "open", D(0), None, D("0.1"), "long",
    )  # fmt: skip
    (position,) = of_kind("weex-futures", Position)
    assert (position.side, position.size, position.entry) == ("long", D("0.01"), D("99240.5443"))
    (balance,) = of_kind("weex-spot", Balance)
    assert (balance.currency, balance.free, balance.locked, balance.total) == ("USDT", D(950), D(250), D(1200))
    (recheck,) = of_kind("weex-futures", Recheck)
    assert recheck.channels == ("balances",), "the margin account's message has no available balance"


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
