"""Recorded sessions through the joiner, read here with the standard library alone and checked at every step.

The oracle is the venue's own best bid and ask: a ``bookTicker`` frame that carries the number of an update shows the
top of the book after it.
"""

from __future__ import annotations

import copy
import gzip
import json
from functools import cache
from itertools import pairwise
from typing import NamedTuple

import pytest

from tests.book.venues import Consumer, EqualIdRule, FuturesRule, SpotRule
from tests.recordings import RECORDINGS, needs_recordings
from unitape.books import BookJoin, JoinState
from unitape.spi import DepthUpdate
from unitape_schemas import BookDelta, BookSnapshot, Status

pytestmark = [needs_recordings, pytest.mark.recordings]


class Session(NamedTuple):
    inputs: list[DepthUpdate]
    tops: dict[int, set[tuple[float, float, float, float]]]


def pairs(levels: list) -> tuple[tuple[float, float], ...]:
    return tuple((float(price), float(size)) for price, size in levels)


@cache
def load(path: str) -> dict[str, Session]:
    """Return per symbol the snapshots and diffs in their recorded order, and the tops by update number."""
    sessions: dict[str, Session] = {}
    with gzip.open(RECORDINGS / path, "rt") as lines:
        for line in lines:
            row = json.loads(line)
            payload = row["payload"]
            if row["kind"] == "http" and "lastUpdateId" in payload:
                symbol = row.get("url", "symbol=BTCUSDT").split("symbol=")[1].split("&")[0]
                sides = pairs(payload["bids"]), pairs(payload["asks"])
                item = DepthUpdate("venue", symbol, 0, 0, 0, *sides, None, payload["lastUpdateId"], None, True, 1000)
            elif row["kind"] == "ws" and payload["stream"].split("@")[1] == "depth":
                data = payload["data"]
                symbol = data["s"]
                sides = pairs(data["b"]), pairs(data["a"])
                item = DepthUpdate(
                    "venue", symbol, data["E"], data["E"], data["E"], *sides, data["U"], data["u"], data.get("pu")
                )
            elif row["kind"] == "ws" and payload["stream"].endswith("@bookTicker"):
                data = payload["data"]
                top = tuple(float(data[name]) for name in "bBaA")
                known = sessions.setdefault(data["s"], Session([], {}))
                known.tops.setdefault(data["u"], set()).add(top)
                continue
            else:
                continue
            sessions.setdefault(symbol, Session([], {})).inputs.append(item)
    return sessions


def rules(market: str) -> list:
    from unitape_binance import VENUE

    return [{"spot": SpotRule, "usdm": FuturesRule}[market](), VENUE.market(market).book_rule]


def put(join: BookJoin, item: DepthUpdate) -> list:
    return join.snapshot(item) if item.snapshot else join.update(item)


LONG = [
    ("spot", "binance-spot/hftbacktest/btcusdt_20240808.jsonl.gz", 564),
    ("usdm", "binance-usdm/hftbacktest/btcusdt_20240808.jsonl.gz", 629),
]
PAIRS = [
    ("spot", "binance-spot/cryptofeed/session-blzeth-nknusdt.jsonl.gz", ("BLZETH", "NKNUSDT")),
    ("usdm", "binance-usdm/cryptofeed/session-akrousdt-sushiusdt.jsonl.gz", ("AKROUSDT", "SUSHIUSDT")),
]


def replay(session: Session, rule: object, symbol: str) -> tuple[Consumer, BookJoin, int, int]:
    """Return consumer and joiner at the end, the number of deltas and of tops that were compared."""
    join = BookJoin(rule, "venue", symbol)
    consumer = Consumer()
    deltas = compared = 0
    for item in session.inputs:
        for event in put(join, item):
            assert not isinstance(event, Status), event.text
            consumer.take(event)
            if isinstance(event, BookSnapshot):
                continue
            deltas += 1
            bids, asks = consumer.book
            bid, ask = max(bids), min(asks)
            assert bid < ask
            for top in session.tops.get(event.seq, ()):
                assert (bid, bids[bid], ask, asks[ask]) == top, f"the top at update {event.seq}"
                compared += 1
        if consumer.epoch:
            bids, asks = consumer.book
            bid, ask = max(bids), min(asks)
            assert join.book.best() == ((bid, bids[bid]), (ask, asks[ask]))
    return consumer, join, deltas, compared


@pytest.mark.parametrize("which", [0, 1], ids=["rule-of-the-test", "rule-of-the-adapter"])
@pytest.mark.parametrize(("market", "path", "tops"), LONG, ids=["spot", "usdm"])
def test_every_top_is_the_venues(market: str, path: str, tops: int, which: int) -> None:
    session = load(path)["BTCUSDT"]
    consumer, join, deltas, compared = replay(session, rules(market)[which], "BTCUSDT")
    assert compared == tops
    assert consumer.epoch == 1
    assert (dict(join.book.known("bid")), dict(join.book.known("ask"))) == consumer.book
    image = next(item for item in session.inputs if item.snapshot)
    applied = [item for item in session.inputs if not item.snapshot and item.seq > image.seq]
    assert deltas == len(applied)
    assert consumer.seq == applied[-1].seq


@pytest.mark.parametrize(("market", "path", "symbols"), PAIRS, ids=["spot", "usdm"])
def test_two_books_of_one_connection_join(market: str, path: str, symbols: tuple[str, ...]) -> None:
    sessions = load(path)
    for symbol in symbols:
        consumer, join, deltas, _ = replay(sessions[symbol], rules(market)[1], symbol)
        assert consumer.epoch == 1, symbol
        items = sessions[symbol].inputs
        first = next(item.seq for item in items if item.snapshot) + (market == "spot")
        assert deltas == sum(not item.snapshot and item.seq >= first for item in items) > 5, symbol
        assert join.book.seq == sessions[symbol].inputs[-1].seq
        assert (dict(join.book.known("bid")), dict(join.book.known("ask"))) == consumer.book


@pytest.mark.parametrize("which", [0, 1], ids=["rule-of-the-test", "rule-of-the-adapter"])
@pytest.mark.parametrize(("market", "path", "tops"), LONG, ids=["spot", "usdm"])
def test_each_deleted_update_is_a_gap(market: str, path: str, tops: int, which: int) -> None:
    """Every applied update but the last is left out once, and the next one must be refused.

    A refused update does not touch the book, so a copy of the joiner that shares it is enough for each trial.
    """
    session = load(path)["BTCUSDT"]
    rule = rules(market)[which]
    place = next(i for i, item in enumerate(session.inputs) if item.snapshot)
    snapshot = session.inputs[place].seq
    trials = 0
    for left_out in (i for i in range(place) if session.inputs[i].seq > snapshot):
        # Before the snapshot the updates wait in the buffer: the whole beginning is played again without one.
        join = BookJoin(rule, "venue", "BTCUSDT")
        events = []
        for item in session.inputs[:left_out] + session.inputs[left_out + 1 : place + 2]:
            events += put(join, item)
        assert "gap" in [event.code for event in events if isinstance(event, Status)] or join.want == "snapshot"
        trials += 1
    join = BookJoin(rule, "venue", "BTCUSDT")
    for item in session.inputs[: place + 1]:
        put(join, item)
    assert join.state is JoinState.LIVE
    rest = [item for item in session.inputs[place + 1 :] if item.seq > snapshot]
    for item, following in pairwise(rest):
        trial = copy.copy(join)
        book = (join.book.seq, join.book.best())
        (status,) = trial.update(following)
        assert (status.code, join.book.stale) == ("gap", True), f"update {item.seq} left out"
        assert (join.book.seq, join.book.best()) == book
        join.book.stale = False
        (delta,) = join.update(item)
        assert isinstance(delta, BookDelta)
        trials += 1
    image_applied = sum(not item.snapshot and item.seq > snapshot for item in session.inputs)
    assert trials == image_applied - 1


def test_a_stream_of_fifteen_levels_keeps_fifteen() -> None:
    class FifteenRule(EqualIdRule):
        keep = 15

    path = RECORDINGS / "weex-futures/cryptosmith-x/depth15-session-first-half.jsonl"
    rows = [json.loads(line)["payload"] for line in path.read_text().splitlines()]
    join = BookJoin(FifteenRule(), "venue", "BTCUSDT")
    consumer = Consumer()
    last = None
    deltas = 0
    for row in rows:
        if row.get("e") not in ("depth", "depthSnapshot"):
            continue
        whole = row["e"] == "depthSnapshot"
        sides = pairs(row["b"]), pairs(row["a"])
        head = ("venue", "BTCUSDT", row["E"], row["E"], row["E"])
        (event,) = join.update(DepthUpdate(*head, *sides, row["U"], row["u"], None, whole, row["l"]))
        if not whole:
            assert event.first_seq == last, "the chain of the recording"
            deltas += 1
        last = row["u"]
        consumer.take(event)
        bids, asks = consumer.book
        assert (len(bids), len(asks)) == (15, 15)
        assert max(bids) < min(asks)
        assert (dict(join.book.known("bid")), dict(join.book.known("ask"))) == consumer.book
    assert deltas == 30
