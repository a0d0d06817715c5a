"""``unitape decode --private``: recorded frames of an account."""

from __future__ import annotations

import json

import pytest

from tests.recordings import RECORDINGS, needs_recordings

USDM = ("decode", "--private", "--venue", "binance", "--market", "usdm")
ORDER = {
    "s": "BTCUSDT", "c": "mine-1", "S": "BUY", "o": "LIMIT", "f": "GTC", "q": "0.010", "p": "60000.10", "ap": "0",
    "sp": "0", "x": "NEW", "X": "NEW", "i": 8886774, "l": "0", "z": "0", "L": "0", "T": 1568879465650, "t": 0,
    "b": "0", "a": "0", "m": False, "R": True, "wt": "CONTRACT_PRICE", "ot": "LIMIT", "ps": "BOTH", "cp": False,
    "rp": "0", "pP": False, "si": 0, "ss": 0, "V": "EXPIRE_MAKER", "pm": "NONE", "gtd": 0,
}  # fmt: skip
PLACED = {"e": "ORDER_TRADE_UPDATE", "E": 1568879465651, "T": 1568879465650, "o": ORDER}
FILLED = {
    **PLACED,
    "o": ORDER | {"x": "TRADE", "X": "PARTIALLY_FILLED", "l": "0.004", "z": "0.004", "L": "60000.10", "ap": "60000.10",
                  "t": 55, "n": "0.0960", "N": "USDT", "m": True},
}  # fmt: skip


def write(path, *frames):
    path.write_text("".join(f"{json.dumps(frame) if isinstance(frame, dict) else frame}\n" for frame in frames))
    return path


def test_pushes_become_orders_and_fills(run, tmp_path):
    done = run(*USDM, write(tmp_path / "a.txt", PLACED, FILLED))
    assert (done.status, done.err) == (0, "")
    events = [json.loads(line) for line in done.lines]
    order = events[0]
    assert (order["type"], order["symbol"], order["id"], order["client_id"]) == (
        "order",
        "BTC/USDT:USDT",
        "8886774",
        "mine-1",
    )
    assert (order["price"], order["status"], order["reduce_only"], order["origin"]) == (
        "60000.10",
        "open",
        True,
        "stream",
    )
    (fill,) = (event for event in events if event["type"] == "fill")
    assert (fill["id"], fill["order_id"], fill["price"], fill["size"]) == ("55", "8886774", "60000.10", "0.004")
    assert (fill["fee"], fill["fee_currency"], fill["liquidity"]) == ("0.0960", "USDT", "maker")
    assert [event["status"] for event in events if event["type"] == "order"] == ["open", "partially_filled"]


def test_what_cannot_be_read_is_named_and_the_rest_is_decoded(run, tmp_path):
    bad = {"e": "ORDER_TRADE_UPDATE", "E": "yesterday"}
    done = run(*USDM, write(tmp_path / "a.txt", bad, {"e": "SOMETHING_NEW", "E": 1}, "no json", PLACED))
    assert done.status == 1
    assert [json.loads(line)["id"] for line in done.lines] == ["8886774"]
    errors = done.err.splitlines()
    assert errors[0].startswith("line 1: binance: ")
    assert errors[1].startswith("line 3: ")
    assert "SOMETHING_NEW (1)" in errors[2]
    assert errors[3] == "2 of 4 messages could not be decoded"


def test_rows_bring_their_time_connections_and_answers(run, tmp_path):
    """What was sent is passed over, a second connection is a session of its own, HTTP answers are counted."""
    rows = [
        {"ts": 1, "dir": "in", "kind": "ws-open", "payload": ""},
        {"ts": 2, "dir": "out", "kind": "ws", "payload": "{}"},
        {"ts": 1793923200000000003, "dir": "in", "kind": "ws", "payload": json.dumps(PLACED)},
        {"ts": 4, "dir": "in", "kind": "ws-open", "payload": ""},
        {"ts": 1793923200000000005, "dir": "in", "kind": "ws", "payload": json.dumps(FILLED)},
    ]
    done = run(*USDM, write(tmp_path / "rows.jsonl", *rows))
    assert (done.status, done.err) == (0, "")
    received = [json.loads(line)["ts_recv"] for line in done.lines]
    assert set(received) == {1793923200000000003, 1793923200000000005}


def test_a_market_without_accounts_says_so(run, tmp_path, toy):
    done = run("decode", "--private", "--venue", "pebble", "--market", "spot", write(tmp_path / "a.txt", "x"))
    assert done.status == 2
    assert "pebble spot streams no account" in done.err


@needs_recordings
@pytest.mark.recordings
def test_a_recorded_push_names_the_order_that_it_names(run):
    assert RECORDINGS is not None
    path = RECORDINGS / "binance-usdm/nautilus/rs/user_data_json/order_update_trade.json"
    done = run(*USDM, path)
    assert done.status == 0, done.err
    told = json.loads(path.read_bytes())["o"]
    events = [json.loads(line) for line in done.lines]
    assert {event.get("order_id", event["id"]) for event in events} == {str(told["i"])}
