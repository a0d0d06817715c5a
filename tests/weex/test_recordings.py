"""Recorded WEEX data: every frame and market body decodes, or stands in ``undecoded.json`` with one of three reasons.

The list names rows as ``market/path:line``. It is compared both ways, so it can only shrink by being edited.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.recordings import RECORDINGS, needs_recordings
from tests.weex.support import CONTRACT, HERE, MS, SPOT, frame, opened
from unitape.books.join import BookJoin
from unitape.errors import UnitapeError
from unitape.spi import DepthUpdate, HttpResponse, Instruments, Output, Query, Unmapped
from unitape_schemas import BookDelta, BookSnapshot, Candle, Instrument, Subscription, Ticker, Trade
from unitape_weex import Settings, contract
from unitape_weex.market import WeexMarket
from unitape_weex.rest import WeexRest
from unitape_weex.session import WeexSession

pytestmark = [needs_recordings, pytest.mark.recordings]

FOLDERS: dict[str, WeexMarket] = {"weex-spot": SPOT, "weex-futures": CONTRACT}
RECORDED = ("cryptosmith-x", "arbitrage-observatory", "unnamed-rust-client")
REASONS = ("retired channel", "documentation placeholder", "outside the contract: ")
BTC = "BTC/USDT:USDT"
RECV = 1_790_000_000_000_000_000


def rows(folder: str, name: str = "**/*.jsonl") -> Iterator[tuple[str, dict[str, Any]]]:
    assert RECORDINGS is not None
    root = RECORDINGS / folder
    for path in sorted(root.glob(name)):
        for number, line in enumerate(path.read_text().splitlines(), 1):
            yield f"{folder}/{path.relative_to(root)}:{number}", json.loads(line)


def symbol_of(market: WeexMarket) -> str:
    return BTC if market is CONTRACT else "BTC/USDT"


def queries(market: WeexMarket) -> dict[str, Callable[[], Query[Any]]]:
    """The query that asks for each recorded path."""
    rest = WeexRest(market._paths, Instruments(market.catalogue))
    symbol = symbol_of(market)
    found: dict[str, Callable[[], Query[Any]]] = {
        "exchangeInfo": rest.instruments,
        "time": rest.time,
        "depth": lambda: rest.depth(symbol),
        "trades": lambda: rest.trades(symbol),
        "klines": lambda: rest.candles(symbol, "1m"),
        "ticker/24hr": lambda: rest.tickers([symbol]),
        "ticker/bookTicker": lambda: rest.quotes([symbol]),
    }
    if market is CONTRACT:
        found["premiumIndex"] = lambda: rest.poll(Subscription("funding", symbol))
        found["openInterest"] = lambda: rest.poll(Subscription("open_interest", symbol))
    return found


def is_private(path: str) -> bool:
    words = ("/account", "/order", "Order", "/myTrades", "/userTrades", "/algo", "TpSl", "/openAlgo")
    return any(word in path for word in words)


PUSHED = frozenset({"orders", "fill", "account", "positions"})
"""The ``e`` of what private sockets push; ``test_trading_recordings`` reads these."""


def is_public(row: dict[str, Any]) -> bool:
    if row["kind"] == "ws":
        return row["payload"].get("e") not in PUSHED
    return not is_private(row["path"]) and row.get("status", 200) == 200


def read_row(market: WeexMarket, row: dict[str, Any]) -> str | None:
    """Return None when the row decodes, otherwise why not."""
    if row["kind"] == "ws":
        try:
            outputs = market.codec(Instruments(market.catalogue)).decode(frame(row["payload"]), RECV)
        except UnitapeError as error:
            return f"not decoded: {error}"
        names = [output.name for output in outputs if isinstance(output, Unmapped)]
        return f"outside the contract: {names[0]}" if names else None
    name = row["path"].partition("?")[0]
    for prefix in ("/capi/v3/market/", "/api/v3/market/", "/api/v3/"):
        name = name.removeprefix(prefix)
    ask = queries(market).get(name)
    if ask is None:
        return f"outside the contract: {name}"
    try:
        ask().read(HttpResponse(row.get("status", 200), frame(row["payload"])), RECV)
    except UnitapeError as error:
        return f"not decoded: {error}"
    return None


def test_every_recorded_row_decodes_or_is_listed() -> None:
    listed = json.loads((HERE / "undecoded.json").read_text())
    found: dict[str, str] = {}
    count = 0
    for folder, market in FOLDERS.items():
        for name, row in rows(folder):
            if not is_public(row):
                continue
            count += 1
            reason = read_row(market, row)
            if reason is not None:
                found[name] = reason
    assert found == listed
    assert count > 100, f"only {count} rows were there"


def test_the_list_gives_only_the_three_reasons() -> None:
    listed = json.loads((HERE / "undecoded.json").read_text())
    for name, reason in listed.items():
        assert reason.startswith(REASONS), name
        if name.split("/")[1] in RECORDED:
            assert reason.startswith("outside the contract: "), f"{name} is a recording"


def test_the_recorded_refusal_of_a_depth_names_the_parameter() -> None:
    ((_, row),) = [(n, r) for n, r in rows("weex-futures") if r["kind"] == "http" and r.get("status", 200) == 400]
    rest = WeexRest(CONTRACT._paths, Instruments(CONTRACT.catalogue))
    with pytest.raises(UnitapeError, match="Parameter 'limit' is invalid") as caught:
        rest.depth(BTC).read(HttpResponse(400, frame(row["payload"])), RECV)
    assert type(caught.value).__name__ == "InvalidRequest"


def recorded(name: str) -> list[dict[str, Any]]:
    return [row["payload"] for _, row in rows("weex-futures", f"cryptosmith-x/{name}.jsonl") if row["dir"] == "in"]


def outputs_of(session: Any, payloads: list[dict[str, Any]]) -> list[list[Output]]:
    return [list(session.on_frame(frame(payload), RECV)) for payload in payloads]


def test_the_depth_session_chains_with_fifteen_levels_a_side() -> None:
    payloads = recorded("depth15-session-first-half")
    session = opened(CONTRACT, Subscription("book", BTC, depth=15))
    updates = [o for batch in outputs_of(session, payloads) for o in batch if isinstance(o, DepthUpdate)]
    assert [update.snapshot for update in updates] == [True] + [False] * 30

    rule = CONTRACT.book_rule
    bids: dict[float, float] = {}
    asks: dict[float, float] = {}
    last = updates[0]
    for update in updates:
        if update is not last:
            fit = rule.join(last.seq, update) if last.snapshot else rule.follow(last, update)
            assert fit.name == "APPLY", f"{update.first_seq} after {last.seq}"
        for side, levels in ((bids, update.bids), (asks, update.asks)):
            for price, size in levels:
                if size:
                    side[price] = size
                else:
                    assert side.pop(price, None) is not None, f"{price} was not there to remove"
        assert (len(bids), len(asks)) == (15, 15), f"at {update.seq}"
        assert max(bids) < min(asks)
        last = update


def test_the_joined_book_is_the_recorded_one() -> None:
    payloads = recorded("depth15-session-first-half")
    session = opened(CONTRACT, Subscription("book", BTC, depth=15))
    join = BookJoin(CONTRACT.book_rule, "weex", BTC)
    join.start()
    events = [
        event
        for batch in outputs_of(session, payloads)
        for update in batch
        if isinstance(update, DepthUpdate)
        for event in join.update(update)
    ]
    assert [type(event) for event in events] == [BookSnapshot] + [BookDelta] * 30
    assert join.want is None
    assert not join.book.stale
    assert {event.epoch for event in events if isinstance(event, BookDelta | BookSnapshot)} == {1}
    assert (len(join.book.bids()), len(join.book.asks())) == (15, 15)

    wire: dict[str, dict[float, float]] = {"b": {}, "a": {}}
    for payload in payloads:
        for side in ("b", "a"):
            wire[side].update({float(price): float(size) for price, size in payload.get(side, [])})
    assert dict(join.book.bids()) == {price: size for price, size in wire["b"].items() if size}
    assert dict(join.book.asks()) == {price: size for price, size in wire["a"].items() if size}


def test_dropping_any_recorded_delta_but_the_last_is_a_gap() -> None:
    payloads = recorded("depth15-session-first-half")
    session = opened(CONTRACT, Subscription("book", BTC, depth=15))
    updates = [o for batch in outputs_of(session, payloads) for o in batch if isinstance(o, DepthUpdate)]
    rule = CONTRACT.book_rule
    for dropped in range(1, len(updates) - 1):
        before, after = updates[dropped - 1], updates[dropped + 1]
        fit = rule.join(before.seq, after) if before.snapshot else rule.follow(before, after)
        assert fit.name == "GAP", f"without {updates[dropped].seq}"
        again = rule.follow(updates[dropped], updates[dropped])
        assert again.name == "STALE"


def trades_of(batches: list[list[Output]]) -> list[list[Trade]]:
    return [[output for output in batch if isinstance(output, Trade)] for batch in batches]


def trade_session(market: WeexMarket) -> tuple[list[dict[str, Any]], list[list[Trade]], WeexSession]:
    """The recorded session of two symbols: its messages and what comes out of each."""
    payloads = recorded("trade-session-first-half")
    session = opened(market, Subscription("trades", BTC), Subscription("trades", "ETH/USDT:USDT"))
    return payloads, trades_of(outputs_of(session, payloads)), session


def test_the_trade_session_comes_out_once_each_and_in_order() -> None:
    payloads, batches, session = trade_session(CONTRACT)
    history = {row["t"] for p in payloads if p.get("e") == "tradeSnapshot" for row in p["d"]}
    live = {row["t"]: row for p in payloads if p.get("e") == "trade" for row in p["d"]}
    assert (len(history), len(live), len(history & live.keys())) == (40, 35, 11)

    assert [len(batch) for batch in batches] == [0, 0, 0, 0, 8, 3, 13]
    trades = [trade for batch in batches for trade in batch]
    ids = [trade.id for trade in trades]
    assert len(ids) == len(set(ids))
    assert set(ids) == live.keys() - history
    for symbol in (BTC, "ETH/USDT:USDT"):
        times = [trade.ts_event for trade in trades if trade.symbol == symbol]
        assert times == sorted(times)
    for trade in trades:
        row = live[trade.id]
        assert trade.side == ("sell" if row["m"] else "buy")
        assert (trade.price, trade.size) == (float(row["p"]), float(row["q"]))

    assert trades_of(outputs_of(session, payloads)) == [[]] * 7


def test_with_history_the_trade_session_comes_out_once_each_too() -> None:
    payloads, batches, _ = trade_session(contract(Settings(emit_history=True)))
    trades = [trade for batch in batches for trade in batch]
    ids = [trade.id for trade in trades]
    assert len(ids) == len(set(ids)) == 64
    assert set(ids) == {row["t"] for payload in payloads for row in payload.get("d", [])}
    for symbol in (BTC, "ETH/USDT:USDT"):
        times = [trade.ts_event for trade in trades if trade.symbol == symbol]
        assert times == sorted(times)


def test_contract_sizes_are_base_units() -> None:
    """The venue sends price x quantity along: the quantity is base units, whatever ``contractVal`` says."""
    payloads = [p for p in recorded("trade-session-first-half") if p.get("e") in ("trade", "tradeSnapshot")]
    checked = 0
    codec = CONTRACT.codec(Instruments(CONTRACT.catalogue))
    for payload in payloads:
        values = {row["t"]: float(row["v"]) for row in payload["d"]}
        for trade in codec.decode(frame(payload), RECV):
            assert isinstance(trade, Trade)
            assert trade.price * trade.size == pytest.approx(values[str(trade.id)], rel=1e-9)
            checked += 1
    assert checked == 75
    (instrument,) = [row for row in CONTRACT.catalogue if row.symbol == BTC]
    assert instrument.contract_size == (1, 1)


def test_ticker_and_candles_of_the_recorded_session() -> None:
    payloads = recorded("ticker-kline")
    session = opened(CONTRACT, Subscription("ticker", BTC), Subscription("candles", BTC, interval="1m"))
    events = [o for batch in outputs_of(session, payloads) for o in batch]
    ticker = next(e for e in events if isinstance(e, Ticker))
    wire = next(p for p in payloads if p.get("e") == "ticker")["d"][0]
    assert ticker.change_pct == pytest.approx(float(wire["P"]) * 100, abs=1e-3)
    assert ticker.last == float(wire["c"])
    candles = [e for e in events if isinstance(e, Candle)]
    history = next(p for p in payloads if p.get("e") == "klineSnapshot")["d"]
    assert len(candles) == 2, "of the history only the newest candle"
    assert candles[0].ts_open == max(row["t"] for row in history) * MS
    assert {candle.ts_close - candle.ts_open for candle in candles} == {60_000 * MS}
    assert not any(candle.closed for candle in candles)


def test_recorded_instrument_lists() -> None:
    found: dict[str, Instrument] = {}
    for folder, market in FOLDERS.items():
        for _, row in rows(folder):
            if row["kind"] == "http" and row["path"].endswith("exchangeInfo"):
                (found[folder],) = market.read_instruments(frame(row["payload"]))
    spot, contract = found["weex-spot"], found["weex-futures"]
    assert (spot.symbol, spot.tick, spot.step, str(spot.min_size)) == ("BTC/USDT", None, None, "0.0001")
    assert (contract.symbol, str(contract.tick), str(contract.step)) == (BTC, "0.1", "0.000001")
