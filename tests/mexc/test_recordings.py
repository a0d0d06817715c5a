"""Recorded MEXC data: every frame and market body decodes, or stands in ``undecoded.json`` with one of three reasons.

The list names rows as ``market/path:line``. It is compared both ways, so it can only shrink by being edited.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from tests.mexc.support import FUTURES, NOW, SPOT
from tests.recordings import RECORDINGS, needs_recordings
from unitape.errors import UnitapeError, VenueError
from unitape.spi import DepthUpdate, HttpResponse, TradingSettings, Unmapped
from unitape_mexc import FUTURES as FUTURES_MARKET
from unitape_mexc import SPOT as SPOT_MARKET
from unitape_mexc import FuturesSettings, SpotSettings
from unitape_mexc.rest_futures import FuturesRest
from unitape_mexc.rest_spot import SpotRest
from unitape_schemas import Quote, Trade

pytestmark = [needs_recordings, pytest.mark.recordings]

LIST = Path(__file__).parent / "undecoded.json"
MARKETS = {"mexc-spot": (SPOT_MARKET, SPOT), "mexc-futures": (FUTURES_MARKET, FUTURES)}
RECORDED = ("hftbacktest", "protobuf-frames", "arbitrage-observatory", "mexcfutureskit", "crypto-msg-parser")
REASONS = ("retired channel", "documentation placeholder", "outside the contract: ")


def rows(folder: str, name: str = "**/*.jsonl") -> Iterator[tuple[str, dict[str, Any]]]:
    assert RECORDINGS is not None
    root = RECORDINGS / folder
    for path in sorted(root.glob(name)):
        for number, line in enumerate(path.read_text().splitlines(), 1):
            yield f"{folder}/{path.relative_to(root)}:{number}", json.loads(line)


def text_of(row: dict[str, Any]) -> str:
    if "raw" in row:
        return row["raw"]
    payload = row.get("payload", row.get("message"))
    # A placeholder such as |1| stands for a request's id.
    return json.dumps(payload, separators=(",", ":")).replace('"|1|"', "1")


def query_of(folder: str, path: str):
    spot, futures = SpotRest(SPOT, SpotSettings()), FuturesRest(FUTURES, FuturesSettings())
    pair, perp = "BTC/USDT", "BTC/USDT:USDT"
    table = {
        "mexc-spot": {
            "/api/v3/exchangeInfo": spot.instruments,
            "/api/v3/depth": lambda: spot.depth(pair),
            "/api/v3/trades": lambda: spot.trades(pair),
            "/api/v3/klines": lambda: spot.candles(pair, "1m"),
            "/api/v3/ticker/24hr": spot.tickers,
        },
        "mexc-futures": {
            "/api/v1/contract/detail": futures.instruments,
            "/api/v1/contract/deals/ETH_USDT": lambda: futures.trades(perp),
            "/api/v1/contract/ticker": futures.tickers,
        },
    }
    return table[folder].get(path)


def reason_of(folder: str, row: dict[str, Any]) -> str | None:
    """Return None when the row decodes, otherwise why not."""
    if row.get("kind") == "http":
        try:
            value = query_of(folder, row["path"])().read(HttpResponse(200, text_of(row).encode()), NOW)
        except UnitapeError as error:
            return f"not decoded: {error}"
        return None if value else "nothing in it"
    market, instruments = MARKETS[folder]
    payload = row.get("payload", {})
    if payload.get("c", "").startswith("spot@private."):
        # Of the JSON feed that was switched off on 2025-08-04; pushes about accounts are protobuf since.
        return "retired channel"
    private = payload.get("channel", "").startswith(("push.personal.", "rs.login", "rs.personal."))
    try:
        if private:
            outputs = market.account_stream(instruments, TradingSettings()).session().on_frame(text_of(row), NOW)
        else:
            outputs = market.codec(instruments).decode(text_of(row), NOW)
    except UnitapeError as error:
        return f"not decoded: {error}"
    names = [output.name for output in outputs if isinstance(output, Unmapped)]
    return f"outside the contract: {names[0]}" if names else None


def wanted(folder: str, row: dict[str, Any]) -> bool:
    """Messages of the venue, and bodies of what can be asked for here."""
    if row.get("dir") == "out":
        return False
    if row.get("kind") == "http":
        return query_of(folder, row["path"]) is not None
    return row.get("function") in (None, "_trade_update_event")


def test_every_recorded_row_decodes_or_is_listed():
    listed = json.loads(LIST.read_text())
    found = {}
    count = 0
    for folder in MARKETS:
        for name, row in rows(folder):
            if not wanted(folder, row):
                continue
            count += 1
            reason = reason_of(folder, row)
            if reason is not None:
                found[name] = reason
    placeholders = {name for name, reason in listed.items() if reason == "documentation placeholder"}
    assert {name: reason for name, reason in found.items() if name not in placeholders} == {
        name: reason for name, reason in listed.items() if name not in placeholders
    }
    # A placeholder is refused, never read as something it is not.
    assert all(found[name].startswith("not decoded: ") for name in placeholders)
    assert count > 90, f"only {count} rows were there"


def test_the_list_gives_only_the_three_reasons():
    for name, reason in json.loads(LIST.read_text()).items():
        assert reason.startswith(REASONS), name
        if name.split("/")[1] in RECORDED:
            assert reason.startswith("outside the contract: "), f"{name} is a recording"


SIZES = {"BTC_USDT": 0.0001}
"""Contract sizes of the normalised pairs, which stay in contracts."""


@pytest.mark.parametrize("folder", MARKETS)
def test_the_normalised_pairs_give_the_same_values(folder):
    market, instruments = MARKETS[folder]
    compared = 0
    for name, row in rows(folder, "tardis-node/*.jsonl"):
        message = row["message"]
        if message.get("generated") or not row["expected"]:
            continue
        outputs = market.codec(instruments).decode(text_of(row), NOW)
        for said, output in zip(row["expected"], outputs, strict=True):
            raw = message["symbol"]
            size = SIZES[raw] if folder == "mexc-futures" else 1
            time = int(datetime.fromisoformat(said["timestamp"]).timestamp() * 1000)
            if said["type"] == "trade":
                assert isinstance(output, Trade)
                assert (output.id, output.price, output.side) == (said["id"], said["price"], said["side"]), name
                assert output.size == round(said["amount"] * size, 12)
                assert output.ts_event == time * 1_000_000
            elif said["type"] == "book_change":
                assert isinstance(output, DepthUpdate)
                for levels, side in ((output.bids, "bids"), (output.asks, "asks")):
                    normalised = [(x["price"], round(x["amount"] * size, 12)) for x in said[side]]
                    # The other library keeps what it buffered before its snapshot; here a frame is a frame.
                    assert list(levels) == normalised, name
                assert output.ts_sent == time * 1_000_000
            else:
                # The contract's quote has two sides, this one has one.
                assert said["type"] == "book_ticker"
                assert "askPrice" not in said or said["askPrice"] is None
                assert not isinstance(output, Quote)
            compared += 1
    assert compared >= 3


def test_real_refusals_have_their_errors():
    literals = {row["function"]: row["payload"] for _, row in rows("mexc-spot", "hummingbot/*.jsonl")}
    body = json.dumps(literals["test_place_order_manage_server_overloaded_error_failure"]).encode()
    with pytest.raises(VenueError, match="Internal error") as caught:
        SpotRest(SPOT, SpotSettings()).time().read(HttpResponse(503, body), NOW)
    assert (caught.value.code, caught.value.retryable) == ("-1003", True)
    book = json.dumps(literals["_snapshot_response"]).encode()
    update = SpotRest(SPOT, SpotSettings()).depth("BTC/USDT").read(HttpResponse(200, book), NOW)
    assert (update.bids, update.asks, update.seq, update.snapshot) == (
        ((4.0, 431.0),),
        ((4.000002, 12.0),),
        1027024,
        True,
    )
