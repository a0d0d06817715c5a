"""What the simulated Binance pushes, against the venue sheet: shapes typed by hand, books rebuilt by hand."""

from __future__ import annotations

import itertools
import re

import pytest

from tests.sim.rig import SECOND, START, Rig
from unitape.spi.simulation import CloseFrame, Ping, SimTrade

SPOT_TRADE = {"e": str, "E": int, "s": str, "t": int, "p": str, "q": str, "T": int, "m": bool, "M": bool}
AGG = {"e": str, "E": int, "s": str, "a": int, "p": str, "q": str, "f": int, "l": int, "T": int, "m": bool}
TOUCH = {"u": int, "s": str, "b": str, "B": str, "a": str, "A": str}
MINI = dict.fromkeys(("s", "c", "o", "h", "l", "v", "q", "e"), str) | {"E": int}
FULL = MINI | dict.fromkeys(("p", "P", "w", "Q"), str) | dict.fromkeys(("O", "C", "F", "L", "n"), int)
FAMILY = {"ps": str, "st": int}
DIFF = {"e": str, "E": int, "s": str, "U": int, "u": int, "b": list, "a": list}
FUTURES_DIFF = DIFF | FAMILY | {"T": int, "pu": int}

SHAPES = {
    ("spot", "btcusdt@trade"): SPOT_TRADE,
    ("spot", "btcusdt@aggTrade"): AGG | {"M": bool},
    ("spot", "btcusdt@bookTicker"): TOUCH,
    ("spot", "btcusdt@depth@100ms"): DIFF,
    ("spot", "btcusdt@depth"): DIFF,
    ("spot", "btcusdt@depth5@100ms"): {"lastUpdateId": int, "bids": list, "asks": list},
    ("spot", "btcusdt@miniTicker"): MINI,
    ("spot", "btcusdt@ticker"): FULL | dict.fromkeys(("x", "b", "B", "a", "A"), str),
    ("spot", "btcusdt@kline_1m"): {"e": str, "E": int, "s": str, "k": dict},
    ("spot", "btcusdt@avgPrice"): {"e": str, "E": int, "s": str, "i": str, "w": str, "T": int},
    ("public", "btcusdt@trade"): {k: v for k, v in SPOT_TRADE.items() if k != "M"} | {"X": str, "st": int},
    ("public", "btcusdt@bookTicker"): TOUCH | FAMILY | {"e": str, "E": int, "T": int},
    ("public", "btcusdt@depth@100ms"): FUTURES_DIFF,
    ("public", "btcusdt@depth"): FUTURES_DIFF,
    ("public", "btcusdt@depth20@500ms"): FUTURES_DIFF,
    ("market", "btcusdt@aggTrade"): AGG | {"nq": str, "st": int},
    ("market", "btcusdt@miniTicker"): MINI | FAMILY,
    ("market", "btcusdt@ticker"): FULL | FAMILY,
    ("market", "btcusdt@kline_1m"): {"e": str, "E": int, "s": str, "k": dict},
    ("market", "btcusdt@markPrice@1s"): dict.fromkeys(("e", "s", "p", "ap", "i", "P", "r"), str)
    | {"E": int, "T": int, "st": int},
}
KLINE = dict.fromkeys(("s", "i", "o", "c", "h", "l", "v", "q", "V", "Q", "B"), str) | {
    **dict.fromkeys(("t", "T", "f", "L", "n"), int),
    "x": bool,
}
FORCED = dict.fromkeys(("s", "S", "o", "f", "q", "p", "ap", "X", "l", "z"), str) | {"T": int}


def types(payload):
    return {key: type(value) for key, value in payload.items()}


def test_payloads_have_the_keys_and_types_of_the_sheet():
    for (where, stream), shape in SHAPES.items():
        rig = Rig("spot" if where == "spot" else "usdm")
        prefix = "" if where == "spot" else f"/{where}"
        conn = rig.connect(f"{prefix}/stream?streams={stream}")
        rig.run(4)
        payloads = rig.data(conn, stream)
        assert payloads, (where, stream)
        for payload in payloads:
            assert types(payload) == shape, (where, stream, payload)
            if "k" in payload:
                assert types(payload["k"]) == KLINE


def test_spot_pads_numbers_to_eight_digits_and_futures_to_their_steps():
    spot, futures = Rig("spot"), Rig("usdm")
    one, two = spot.connect("/stream?streams=btcusdt@trade"), futures.connect("/public/stream?streams=btcusdt@trade")
    spot.run(5)
    futures.run(5)
    for trade in spot.data(one, "btcusdt@trade"):
        assert re.fullmatch(r"\d{5,6}\.\d{2}000000", trade["p"])
        assert re.fullmatch(r"\d+\.\d{5}000", trade["q"])
    for trade in futures.data(two, "btcusdt@trade"):
        assert re.fullmatch(r"\d{5,6}\.\d", trade["p"])
        assert re.fullmatch(r"\d+\.\d{3}", trade["q"])
        assert trade["X"] == "MARKET"


def test_every_trade_is_pushed_once_with_the_takers_side_and_aggregates_cover_them():
    rig = Rig("spot", rate=40.0)
    conn = rig.connect("/stream?streams=btcusdt@trade/btcusdt@aggTrade/ethusdt@trade")
    cursor = rig.exchange.cursor
    rig.run(20)
    spec = rig.exchange.instrument("BTC/USDT")
    truth = [e for e in rig.exchange.events(cursor) if isinstance(e, SimTrade) and e.symbol == "BTC/USDT"]
    pushed = rig.data(conn, "btcusdt@trade")
    assert [(p["t"], p["p"], p["q"], p["T"], p["m"]) for p in pushed] == [
        (t.id, spec.price_text(t.price, 8), spec.size_text(t.size, 8), t.ts // 1_000_000, t.taker == "sell")
        for t in truth
    ]
    assert len(truth) > 30
    runs = [list(run) for _, run in itertools.groupby(truth, key=lambda t: (t.taker_order, t.price))]
    aggregates = rig.data(conn, "btcusdt@aggTrade")
    assert [(a["f"], a["l"]) for a in aggregates] == [(run[0].id, run[-1].id) for run in runs]
    assert [a["q"] for a in aggregates] == [spec.size_text(sum(t.size for t in run), 8) for run in runs]
    assert [a["a"] for a in aggregates] == list(range(aggregates[0]["a"], aggregates[0]["a"] + len(runs)))
    assert any(a["f"] < a["l"] for a in aggregates)
    assert [row["a"] for row in rig.get("/api/v3/aggTrades?symbol=BTCUSDT&limit=5")] == [
        a["a"] for a in aggregates[-5:]
    ]


def replay(events, snapshot, futures):
    """The sheet's own rule, in twenty lines: returns the book, or None when an update does not fit."""
    bids, asks = dict(snapshot["bids"]), dict(snapshot["asks"])
    last, synced = snapshot["lastUpdateId"], False
    for event in events:
        if not synced:
            if event["u"] < last or (not futures and event["u"] == last):
                continue
            if (event["U"] if futures else event["U"] - 1) > last:
                return None
            synced = True
        elif (futures and event["pu"] != last) or (not futures and event["U"] != last + 1):
            return None
        for side, levels in ((bids, event["b"]), (asks, event["a"])):
            for price, size in levels:
                side[price] = size
                if float(size) == 0:
                    del side[price]
        last = event["u"]
    order = {"key": lambda level: float(level[0])}
    return last, sorted(bids.items(), reverse=True, **order), sorted(asks.items(), **order)


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize(("market", "target"), [("spot", "/stream"), ("usdm", "/public/stream")])
@pytest.mark.parametrize("lag", [0.0, 0.35])
def test_replayed_diffs_give_the_exchanges_book(seed, market, target, lag):
    rig = Rig(market, seed=seed, snapshot_lag=lag)
    path = "/api/v3/depth?symbol=BTCUSDT&limit=1000" if market == "spot" else "/fapi/v1/depth?symbol=BTCUSDT&limit=1000"
    conn = rig.connect(f"{target}?streams=btcusdt@depth@100ms")
    rig.run(2)
    snapshot = rig.get(path)
    rig.run(20)
    events = rig.data(conn, "btcusdt@depth@100ms")
    rebuilt = replay(events, snapshot, market == "usdm")
    assert rebuilt is not None, seed
    for _ in range(3):  # push what is left of the interval; the book must not have moved meanwhile
        rig.run(0.1)
    events = rig.data(conn, "btcusdt@depth@100ms")
    last, bids, asks = replay(events, snapshot, market == "usdm")
    image = rig.exchange.book("BTC/USDT" if market == "spot" else "BTC/USDT:USDT")
    spec = rig.exchange.instruments[0]
    digits = 8 if market == "spot" else None
    factor = 1 if market == "spot" else 3
    if last < image.seq * factor:
        image = rig.exchange.book(spec.symbol, lag=(rig.exchange.now - events[-1]["E"] * 1_000_000) / 1e9)
    assert last == image.seq * factor, seed
    assert bids == [(spec.price_text(p, digits), spec.size_text(s, digits)) for p, s in image.bids], seed
    assert asks == [(spec.price_text(p, digits), spec.size_text(s, digits)) for p, s in image.asks], seed
    assert len(events) > 100


def test_futures_update_ids_follow_by_pu_alone():
    rig = Rig("usdm")
    conn = rig.connect("/public/stream?streams=btcusdt@depth@100ms")
    rig.run(5)
    events = rig.data(conn, "btcusdt@depth@100ms")
    assert all(b["pu"] == a["u"] for a, b in itertools.pairwise(events))
    assert all(b["U"] > a["u"] + 1 for a, b in itertools.pairwise(events))


@pytest.mark.parametrize(
    ("market", "stream", "apart"),
    [
        ("spot", "btcusdt@depth@100ms", 100),
        ("spot", "btcusdt@depth", 1_000),
        ("spot", "btcusdt@kline_1m", 2_000),
        ("spot", "btcusdt@ticker", 1_000),
        ("public", "btcusdt@depth", 250),
        ("public", "btcusdt@depth@500ms", 500),
        ("market", "btcusdt@markPrice", 3_000),
        ("market", "btcusdt@ticker", 2_000),
    ],
)
def test_streams_push_at_their_speed(market, stream, apart):
    rig = Rig("spot" if market == "spot" else "usdm", rate=100.0)
    conn = rig.connect(f"{'' if market == 'spot' else '/' + market}/stream?streams={stream}")
    rig.run(12)
    times = [payload["E"] for payload in rig.data(conn, stream)][1:]
    assert {b - a for a, b in itertools.pairwise(times)} == {apart}


def test_partial_depth_is_the_top_of_the_book():
    rig = Rig("spot")
    conn = rig.connect("/stream?streams=btcusdt@depth5@100ms")
    rig.run(1)
    rig.exchange.submit("BTC/USDT", 9, "buy", rig.exchange.best("BTC/USDT").bid + 1, 7)
    rig.run(0.2)
    first = next(p for p in rig.data(conn, "btcusdt@depth5@100ms") if p["bids"][0][1] == "0.00007000")
    assert len(first["bids"]) == len(first["asks"]) == 5
    assert float(first["bids"][0][0]) > float(first["bids"][1][0])


def test_a_kline_closes_once_with_x_true_and_its_last_numbers():
    rig = Rig("spot")
    conn = rig.connect("/stream?streams=btcusdt@kline_1m")
    rig.run(130, step=0.25)
    klines = [payload["k"] for payload in rig.data(conn, "btcusdt@kline_1m")]
    closed = [k for k in klines if k["x"]]
    start = START // 1_000_000
    assert [k["t"] for k in closed] == [start, start + 60_000]
    assert [k["T"] for k in closed] == [start + 59_999, start + 119_999]
    rows = rig.get(f"/api/v3/klines?symbol=BTCUSDT&interval=1m&startTime={start}&limit=2")
    assert [
        [k["t"], k["o"], k["h"], k["l"], k["c"], k["v"], k["T"], k["q"], k["n"], k["V"], k["Q"], "0"] for k in closed
    ] == rows


def test_liquidations_come_at_most_once_a_second_with_side_and_average():
    rig = Rig("usdm", rate=100.0, seed=3)
    conn = rig.connect("/market/stream?streams=btcusdt@forceOrder/!forceOrder@arr")
    rig.run(120)
    orders = rig.data(conn, "btcusdt@forceOrder")
    assert len(orders) > 3
    assert all(types(o) == {"e": str, "E": int, "o": dict} and types(o["o"]) == FORCED for o in orders)
    assert all(b["E"] - a["E"] >= 1_000 for a, b in itertools.pairwise(orders))
    assert {o["o"]["S"] for o in orders} <= {"BUY", "SELL"}
    assert {o["ps"] for o in rig.data(conn, "!forceOrder@arr")} >= {"BTCUSDT"}


def test_all_market_streams_carry_every_symbol_and_the_other_family():
    rig = Rig("usdm", symbols=4)
    conn = rig.connect("/market/stream?streams=!markPrice@arr@1s/!miniTicker@arr/!ticker@arr")
    rig.run(2)
    for stream in ("!markPrice@arr@1s", "!miniTicker@arr", "!ticker@arr"):
        rows = rig.data(conn, stream)[0]
        assert [(row["s"], row["st"]) for row in rows] == [
            ("BTCUSDT", 1),
            ("ETHUSDT", 1),
            ("SOLUSDT", 1),
            ("XRPUSDT", 1),
            ("BTCUSD_PERP", 2),
        ]
    spot = Rig("spot", symbols=2)
    conn = spot.connect("/stream?streams=!miniTicker@arr/!ticker@arr")
    spot.run(2)
    assert [row["s"] for row in spot.data(conn, "!miniTicker@arr")[0]] == ["BTCUSDT", "ETHUSDT"]
    assert spot.data(conn, "!ticker@arr") == []


def test_a_stream_on_the_wrong_route_is_acknowledged_and_silent():
    rig = Rig("usdm")
    for route, wrong, right in (
        ("public", "btcusdt@aggTrade", "btcusdt@bookTicker"),
        ("market", "btcusdt@depth@100ms", "btcusdt@aggTrade"),
    ):
        conn = rig.connect(f"/{route}/stream")
        rig.send(conn, {"method": "SUBSCRIBE", "params": [wrong, right], "id": 1})
        rig.run(5)
        assert rig.answers(conn) == [{"result": None, "id": 1}]
        assert rig.data(conn, wrong) == []
        assert rig.data(conn, right)
    unrouted = rig.connect("/stream?streams=btcusdt@aggTrade/btcusdt@bookTicker/btcusdt@markPrice@1s")
    rig.run(5)
    assert {m["stream"] for m in rig.texts(unrouted)} == {"btcusdt@bookTicker"}


def test_raw_connections_get_bare_payloads_until_they_ask_for_envelopes():
    rig = Rig("spot")
    conn = rig.connect("/ws/btcusdt@trade/ethusdt@trade")
    rig.run(5)
    assert {m["s"] for m in rig.texts(conn)} == {"BTCUSDT", "ETHUSDT"}
    rig.send(conn, {"method": "SET_PROPERTY", "params": ["combined", True], "id": 4})
    count = len(rig.texts(conn))
    rig.run(5)
    assert rig.texts(conn)[count - 1] == {"result": None, "id": 4}
    assert {m["stream"] for m in rig.texts(conn)[count:]} == {"btcusdt@trade", "ethusdt@trade"}


def test_times_are_microseconds_when_the_url_asks_for_them():
    rig = Rig("spot")
    conn = rig.connect("/stream?streams=btcusdt@trade&timeUnit=MICROSECOND")
    other = rig.connect("/stream?streams=btcusdt@trade")
    rig.run(5)
    micro, milli = rig.data(conn, "btcusdt@trade"), rig.data(other, "btcusdt@trade")
    assert [p["T"] // 1_000 for p in micro] == [p["T"] for p in milli]
    assert all(p["T"] > START // 1_000 for p in micro)
    assert rig.get("/api/v3/time", X_MBX_TIME_UNIT="MICROSECOND")["serverTime"] == (START + 5 * SECOND) // 1_000


def control(market, message):
    rig = Rig(market)
    conn = rig.connect("/stream" if market == "spot" else "/public/stream")
    rig.send(conn, message)
    return rig.texts(conn)[-1]


@pytest.mark.parametrize(
    ("message", "answer"),
    [
        ({"method": "SUBSCRIBE", "params": ["btcusdt@trade"], "id": "abc1"}, {"result": None, "id": "abc1"}),
        ({"method": "SUBSCRIBE", "params": ["NOSUCH@Thing"], "id": 1}, {"result": None, "id": 1}),
        ({"method": "LIST_SUBSCRIPTIONS", "id": 3}, {"result": [], "id": 3}),
        ({"method": "GET_PROPERTY", "params": ["combined"], "id": 5}, {"result": True, "id": 5}),
        ({"method": "UNSUBSCRIBE", "params": ["btcusdt@trade"], "id": None}, {"result": None, "id": None}),
    ],
)
def test_control_messages_are_answered(message, answer):
    assert control("spot", message) == answer


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ({"method": "SET_PROPERTY", "params": ["colour", True], "id": 1}, 0),
        ({"method": "SET_PROPERTY", "params": ["combined", "yes"], "id": 1}, 1),
        ({"method": "SET_PROPERTY", "params": [7, True], "id": 1}, 2),
        ({"method": "SET_PROPERTY", "params": ["combined", True, 1], "id": 1}, 2),
        ({"method": "SHOUT", "id": 1}, 2),
        ({"params": [], "id": 1}, 2),
        ({"method": "LIST_SUBSCRIPTIONS", "id": "x" * 37}, 2),
        ({"method": "LIST_SUBSCRIPTIONS", "id": 1.5}, 2),
        (b"{not json", 3),
    ],
)
def test_wrong_control_messages_get_the_code_of_the_sheet(message, code):
    spot = control("spot", message)
    assert (spot["code"], type(spot["msg"])) == (code, str)
    assert control("usdm", message)["error"]["code"] == code


def test_futures_take_unsigned_integers_as_ids_only():
    assert control("usdm", {"method": "LIST_SUBSCRIPTIONS", "id": "abc"})["error"]["code"] == 2
    assert control("usdm", {"method": "LIST_SUBSCRIPTIONS", "id": -1})["error"]["code"] == 2
    assert control("usdm", {"method": "LIST_SUBSCRIPTIONS", "id": 7}) == {"result": [], "id": 7}


def test_unsubscribed_streams_stop_and_are_no_longer_listed():
    rig = Rig("spot")
    conn = rig.connect("/stream?streams=btcusdt@trade/ethusdt@trade")
    rig.run(3)
    rig.send(conn, {"method": "UNSUBSCRIBE", "params": ["btcusdt@trade"], "id": 2})
    before = len(rig.texts(conn))
    rig.run(5)
    assert {m["stream"] for m in rig.texts(conn)[before:]} == {"ethusdt@trade"}
    rig.send(conn, {"method": "LIST_SUBSCRIPTIONS", "id": 3})
    assert rig.answers(conn)[-1] == {"result": ["ethusdt@trade"], "id": 3}


def pings(rig, conn):
    return [d for d in rig.seen[conn] if isinstance(d, Ping)]


def closes(rig, conn):
    return [d for d in rig.seen[conn] if isinstance(d, CloseFrame)]


@pytest.mark.parametrize(("market", "every", "within"), [("spot", 20, 60), ("usdm", 180, 600)])
def test_pings_come_on_time_and_a_client_without_pong_is_closed(market, every, within):
    rig = Rig(market, rate=0.2)
    rig.pongs = False
    silent, alive = rig.connect("/ws"), rig.connect("/ws")
    for _ in range((every + within + 20) // 5):
        rig.run(5, step=1.0)
        if pings(rig, alive):
            rig.host.pong(alive, pings(rig, alive)[-1].data)
    assert len(pings(rig, alive)) == (every + within + 20) // every
    assert closes(rig, alive) == []
    assert [c.reason for c in closes(rig, silent)] == ["Pong timeout"]
    wrong = rig.connect("/ws")
    for _ in range((every + within + 20) // 5):
        rig.run(5, step=1.0)
        rig.host.pong(wrong, b"something else")
    assert [c.reason for c in closes(rig, wrong)] == ["Pong timeout"]


def test_a_connection_lives_a_day():
    rig = Rig("spot", rate=0.01, symbols=1)
    conn = rig.connect("/ws")
    while not closes(rig, conn) and rig.clock.now < 90_000 * SECOND:
        rig.run(20, step=20.0)
    assert [(c.code, c.reason) for c in closes(rig, conn)] == [(1001, "24h limit")]
    assert rig.clock.now == 86_400 * SECOND
    short = Rig("spot", lifetime=30.0)
    conn = short.connect("/ws")
    short.run(31, step=0.5)
    assert len(closes(short, conn)) == 1


@pytest.mark.parametrize(("market", "allowed"), [("spot", 5), ("usdm", 10)])
def test_too_many_messages_in_a_second_end_the_connection(market, allowed):
    rig = Rig(market)
    conn = rig.connect("/ws")
    for n in range(allowed):
        rig.send(conn, {"method": "LIST_SUBSCRIPTIONS", "id": n})
    assert len(rig.answers(conn)) == allowed
    rig.run(1.1)
    rig.host.ping(conn, b"")
    for n in range(allowed - 1):
        rig.send(conn, {"method": "LIST_SUBSCRIPTIONS", "id": n})
    assert closes(rig, conn) == []
    rig.send(conn, {"method": "LIST_SUBSCRIPTIONS", "id": 99})
    assert [(c.code, c.reason) for c in closes(rig, conn)] == [(1008, "Too many requests")]
    assert rig.host.connections == ()


def test_stream_1025_ends_the_connection():
    rig = Rig("usdm")
    conn = rig.connect("/public/stream")
    rig.send(conn, {"method": "SUBSCRIBE", "params": [f"s{n}@trade" for n in range(1_024)], "id": 1})
    assert rig.answers(conn) == [{"result": None, "id": 1}]
    rig.send(conn, {"method": "SUBSCRIBE", "params": ["btcusdt@trade"], "id": 2})
    assert rig.answers(conn)[-1]["error"]["code"] == 4
    assert [c.code for c in closes(rig, conn)] == [1008]


def test_only_stream_paths_open_and_only_so_often():
    rig = Rig("spot")
    assert rig.host.open("/nothing").status == 404
    assert rig.host.open("/public/ws").status == 404
    for _ in range(298):
        rig.host.closed(rig.connect("/ws"))
    assert rig.host.open("/ws").status == 429
    rig.run(301, step=1.0)
    rig.connect("/ws")


def test_the_same_seed_gives_byte_identical_output():
    def output(seed):
        written = []
        for market, target in (("spot", "/stream"), ("usdm", "/public/stream"), ("usdm", "/market/stream")):
            rig = Rig(market, seed=seed)
            conn = rig.connect(target)
            kinds = ("trade", "aggTrade", "bookTicker", "depth@100ms", "depth5@100ms", "ticker", "kline_1m")
            names = [f"{s}usdt@{kind}" for s in ("btc", "eth") for kind in kinds]
            rig.send(conn, {"method": "SUBSCRIBE", "params": names, "id": 1})
            rig.run(10)
            prefix = "/api/v3" if market == "spot" else "/fapi/v1"
            answers = [
                rig.ask(f"{prefix}/{path}").response.body
                for path in ("depth?symbol=BTCUSDT&limit=20", "klines?symbol=ETHUSDT&interval=1h", "ticker/24hr")
            ]
            written.append((rig.seen[conn], answers))
        return written

    assert output(11) == output(11)
    assert output(11) != output(12)
