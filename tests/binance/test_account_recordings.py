"""Every recorded message of an account stream is read, or listed with its reason; every recorded order ends right.

How an order must end is written down here by hand, from the raw rows: its status, what of it was filled, and what that
cost on average.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from decimal import Decimal
from pathlib import Path

import pytest

from tests.binance.recorded import MARKETS
from tests.recordings import RECORDINGS, needs_recordings
from unitape.errors import WireError
from unitape.spi import Credentials, HttpResponse, Instruments, Ready, TradingSettings, Unmapped
from unitape.trade.state import AccountState
from unitape_schemas import Balance, Fill, Order, Position

LIST = Path(__file__).with_name("undecoded_account.json")
REASON = re.compile(r"retired channel|documentation placeholder|outside the contract: .+")
AT_MOST = 5
"""The list may only shrink."""
D = Decimal
WHERE = {
    "binance-spot": ("/lean/", "/user_data_json/", "/Subscriptions/Spot/Account/", "/hummingbot/"),
    "binance-usdm": (
        "/lean/",
        "/user_data_json/",
        "/it/ws_messages/ws_futures_order",
        "/it/ws_messages/ws_futures_algo",
        "/it/ws_messages/ws_futures_trade_lite",
        "UsdFutures/AccountUpdate",
        "UsdFutures/ConditionalTrigger",
        "UsdFutures/MultiAssetMode",
        "UsdFutures/OrderUpdate",
        "UsdFutures/TradeUpdate",
    ),
}

pytestmark = [needs_recordings, pytest.mark.recordings]


def frames():
    """Yield (file, row, market, frame) of every message that an account stream sent."""
    for market, parts in WHERE.items():
        for path in sorted((RECORDINGS / market).rglob("*.json*")):
            name = path.relative_to(RECORDINGS).as_posix()
            if not any(part in f"/{name}" for part in parts):
                continue
            rows = [path.read_text("utf-8")] if path.suffix == ".json" else path.read_text("utf-8").splitlines()
            for number, line in enumerate(rows, 1):
                row = json.loads(line)
                frame = row if path.suffix == ".json" else row["payload"]
                wanted = row.get("function", "_user_update_event_inner") == "_user_update_event_inner"
                if row.get("dir") != "out" and wanted:
                    yield name, number, market, frame


def session(market):
    opened = MARKETS[market].account_stream(Instruments(MARKETS[market].catalogue), TradingSettings()).session()
    opened.on_open(Credentials("key", "secret"), 1)
    return opened


def read(market, frame):
    if frame.get("id") == "|1|":
        # The recordings leave a placeholder where the number of the request stood.
        frame = frame | {"id": "subscribe"}
    return list(session(market).on_frame(json.dumps(frame), 1))


def test_what_is_not_read_is_exactly_what_is_listed():
    known = json.loads(LIST.read_text("utf-8"))
    found, said = {}, Counter()
    for file, number, market, frame in frames():
        try:
            outputs = read(market, frame)
        except WireError as error:
            found[f"{file}:{number}"] = f"error: {error}"
            continue
        said.update(type(output).__name__ for output in outputs)
        unmapped = [output.name for output in outputs if isinstance(output, Unmapped)]
        if unmapped:
            found[f"{file}:{number}"] = f"outside the contract: {unmapped[0]}"
    print(json.dumps(found, indent=1))
    assert found == known
    assert len(known) <= AT_MOST
    assert all(REASON.fullmatch(reason) for reason in known.values())
    # Counted in the raw files: orders, executions with a size, assets, positions, acknowledged subscriptions. Two of
    # the six positions are closed ones in one-way mode, which close either side.
    assert said[Order.__name__] == 46
    assert said[Fill.__name__] == 14
    assert said[Balance.__name__] == 8
    assert said[Position.__name__] == 6 + 2
    assert said[Ready.__name__] == 3


def test_what_recorded_orders_say_is_what_their_rows_say():
    """By hand: the venue's one-letter names, looked up in the raw row."""
    orders = fills = 0
    for _, _, market, frame in frames():
        event = frame.get("event", frame.get("data", frame))
        row = event.get("o") if event.get("e") in ("ORDER_TRADE_UPDATE", "ALGO_UPDATE") else event
        if event.get("e") not in ("executionReport", "ORDER_TRADE_UPDATE", "ALGO_UPDATE"):
            continue
        order, *more = read(market, frame)
        algo = event["e"] == "ALGO_UPDATE"
        assert order.id == str(row["aid"] if algo else row["i"])
        assert order.client_id == (row["caid"] if algo else row["c"])
        assert order.side == {"BUY": "buy", "SELL": "sell"}[row["S"]]
        assert (order.size or D(0)) == D(row["q"])
        assert order.filled == (D(row["aq"]) if "aq" in row else None if algo else D(row["z"]))
        assert order.raw_status == row["X"]
        assert order.ts_event == event["T"] * 1_000_000
        assert order.ts_sent == event["E"] * 1_000_000
        assert (order.price or D(0)) in (D(row["p"]), D(0))
        orders += 1
        done = not algo and row["x"] in ("TRADE", "CALCULATED") and D(row["l"]) > 0
        assert len(more) == done
        for fill in more:
            assert (fill.id, fill.order_id) == (str(row["t"]), str(row["i"]))
            assert (fill.price, fill.size) == (D(row["L"]), D(row["l"]))
            assert fill.fee == (D(row["n"]) if row.get("n") else None)
            assert fill.fee_currency == row.get("N")
            assert fill.liquidity == ("maker" if row["m"] else "taker")
            assert fill.realized_pnl == (D(row["rp"]) if "rp" in row else None)
            fills += 1
    assert (orders, fills) == (46, 14)


# How every recorded life ends: (status, filled, average), worked out by hand from the rows.
LIVES = {
    "binance-spot/lean/WebSocketGlobalSpotLimitSubmittedFilled.jsonl": {
        # 5.24800000 USDT for 800 ACH
        "1281722417": ("filled", D(800), D("0.00656")),
    },
    "binance-spot/lean/WebSocketGlobalSpotMarketSubmittedFilled.jsonl": {
        "1281722417": ("filled", D(800), D("0.00656")),
    },
    "binance-spot/lean/WebSocketSpotLimitFillOrKillSubmittedExpired.jsonl": {
        "1013028749": ("expired", D(0), None),
    },
    "binance-usdm/lean/WebSocketFutureLimitSubmittedCancelled.jsonl": {
        "4904480369": ("canceled", D(0), None),
    },
    "binance-usdm/lean/WebSocketFutureMarketSubmittedFilled.jsonl": {
        "4903991227": ("filled", D(800), D("0.006567")),
    },
    "binance-usdm/lean/WebSocketFutureStopLimitSubmittedFilled.jsonl": {
        # The conditional order, the order that was born of it, and one that could not be placed.
        "2000000547400625": ("filled", D(800), D("0.00665")),
        "4904025190": ("filled", D(800), D("0.00665")),
        "2000000547383538": ("rejected", None, None),
    },
    "binance-usdm/lean/WebSocketFutureStopMarketSubmittedCanceled.jsonl": {
        "2000000548906329": ("canceled", None, None),
    },
}


def ends(events):
    state = AccountState()
    for event in events:
        state.take(event)
    named = {event.id: event.symbol for event in events if isinstance(event, Order)}
    return {name: state.order(symbol, id=name) for name, symbol in named.items()}


@pytest.mark.parametrize("file", LIVES)
@pytest.mark.parametrize("disorder", ["as recorded", "twice", "backwards"])
def test_every_recorded_life_ends_as_it_did(file, disorder):
    events = []
    for name, _, market, frame in frames():
        if name == file:
            events += [output for output in read(market, frame) if isinstance(output, Order | Fill)]
    arrived = {"as recorded": events, "twice": events + events, "backwards": events[::-1]}[disorder]
    found = ends(arrived)
    assert {name: (order.status, order.filled, order.average) for name, order in found.items()} == {
        name: (status, filled, average) for name, (status, filled, average) in LIVES[file].items()
    }
    assert set(LIVES) == {name for name, *_ in frames() if "/lean/" in name}


@pytest.mark.parametrize(
    ("files", "wanted"),
    [
        (("new", "trade"), ("filled", D(1), D(2500))),
        (("new", "canceled"), ("canceled", D(0), None)),
        (("new", "expired"), ("expired", D(0), None)),
    ],
)
def test_the_lives_kept_in_single_files_of_spot(files, wanted):
    folder = RECORDINGS / "binance-spot/nautilus/rs/user_data_json"
    events = []
    for name in files:
        frame = json.loads((folder / f"execution_report_{name}.json").read_text("utf-8"))
        events += [output for output in read("binance-spot", frame) if isinstance(output, Order | Fill)]
    order = ends(events)["12345678"]
    assert (order.status, order.filled, order.average) == wanted


def test_recorded_liquidations_end_filled():
    wanted = {
        "order_update_calculated": ("filled", D("0.014"), D("9910.12"), D("-5.67")),
        "order_update_adl": ("filled", D("0.005"), D(42000), D("-2.5")),
        "order_update_insurance": ("filled", D("0.02"), D(45000), D(-8)),
        "order_update_settlement": ("filled", D("0.01"), D(50000), D(-10)),
    }
    folder = RECORDINGS / "binance-usdm/nautilus/rs/user_data_json"
    for name, (status, filled, average, realized) in wanted.items():
        order, fill = read("binance-usdm", json.loads((folder / f"{name}.json").read_text("utf-8")))
        assert (order.status, order.filled, order.average) == (status, filled, average)
        assert (fill.size, fill.price, fill.realized_pnl) == (filled, average, realized)


def test_the_recorded_listen_key_is_read():
    path = RECORDINGS / "binance-usdm/jkorf/Endpoints/UsdFutures/Account/StartUserStream.jsonl"
    row = json.loads(path.read_text("utf-8").splitlines()[0])
    stream = MARKETS["binance-usdm"].account_stream(Instruments([]), TradingSettings())
    key = stream.open_key().read(HttpResponse(200, json.dumps(row["payload"]).encode()), 1)
    assert len(key) == 64
