"""Faults strike when they are scheduled, change what they say they change, and are logged."""

from __future__ import annotations

import json

import pytest

from tests.sim.rig import SECOND, START, Rig
from unitape.sim.faults import Fault, FaultSchedule
from unitape.sim.host import Cut
from unitape.spi.simulation import CloseFrame, Text

TRADES = "/stream?streams=btcusdt@trade/ethusdt@trade"


def twins(fault, seconds=20, target=TRADES, market="spot"):
    """The same market with and without a fault: what a client of each received."""
    both = []
    for faults in ((fault,), ()):
        rig = Rig(market, faults=faults)
        conn = rig.connect(target)
        rig.run(seconds)
        both.append((rig, conn))
    return both


def ids(rig, conn, stream="btcusdt@trade"):
    return [payload["t"] for payload in rig.data(conn, stream)]


def hits(rig):
    return [(hit.kind, hit.where) for hit in rig.faults.log]


def test_dropped_messages_are_missing_and_logged():
    (rig, conn), (calm, other) = twins(Fault("drop", at=5.0, match="btcusdt", count=3))
    lost = [json.loads(hit.data)["data"]["t"] for hit in rig.faults.log]
    assert hits(rig) == [("drop", "btcusdt@trade")] * 3
    assert all(hit.ts >= 5 * SECOND and hit.conn == conn and hit.market == "x/spot" for hit in rig.faults.log)
    assert sorted(ids(rig, conn) + lost) == ids(calm, other)
    assert len(set(lost)) == 3
    assert ids(rig, conn, "ethusdt@trade") == ids(calm, other, "ethusdt@trade")


def test_duplicated_messages_come_twice():
    (rig, conn), (calm, other) = twins(Fault("duplicate", at=5.0, count=2))
    assert len(rig.texts(conn)) == len(calm.texts(other)) + 2
    doubled = [json.loads(hit.data)["data"]["t"] for hit in rig.faults.log]
    stream = rig.faults.log[0].where
    assert ids(rig, conn, stream).count(doubled[0]) == 2
    assert [kind for kind, _ in hits(rig)] == ["duplicate", "duplicate"]


def test_reordered_messages_swap_with_the_next_of_their_stream():
    (rig, conn), (calm, other) = twins(Fault("reorder", at=5.0, match="btcusdt"))
    assert hits(rig) == [("reorder", "btcusdt@trade")]
    moved = json.loads(rig.faults.log[0].data)["data"]["t"]
    expected = ids(calm, other)
    at = expected.index(moved)
    expected[at], expected[at + 1] = expected[at + 1], expected[at]
    assert ids(rig, conn) == expected


def test_truncated_messages_are_half():
    (rig, conn), (calm, other) = twins(Fault("truncate", at=5.0, match="btcusdt"))
    hit = rig.faults.log[0]
    broken = [d.data for d in rig.seen[conn] if isinstance(d, Text) and not d.data.endswith(b"}")]
    assert broken == [hit.data[: len(hit.data) // 2]]
    assert len(rig.seen[conn]) == len(calm.seen[other])


def test_delay_holds_a_connection_back_in_order():
    rig = Rig("spot", faults=[Fault("delay", at=5.0, seconds=3.0)])
    conn = rig.connect(TRADES)
    rig.run(5.5)
    rig.run(1)
    struck = rig.faults.log[0].ts
    held = len(rig.seen[conn])
    rig.run((struck - rig.clock.now) / SECOND + 2.9)
    assert len(rig.seen[conn]) == held
    rig.run(0.3)
    assert len(rig.seen[conn]) > held
    rig.run(5)
    calm = Rig("spot")
    other = calm.connect(TRADES)
    calm.run(rig.clock.now / SECOND)
    assert rig.seen[conn] == calm.seen[other]


def test_half_open_silences_everything_while_the_connection_stands():
    rig = Rig("spot", faults=[Fault("half_open", at=5.0)])
    conn, spared = rig.connect(TRADES), rig.connect(TRADES)
    rig.run(60)
    struck, at = rig.faults.log[0].conn, rig.faults.log[0].ts
    assert struck == conn
    assert set(rig.host.connections) == {conn, spared}
    heard = len(rig.seen[conn])
    assert rig.data(conn, "btcusdt@trade")[-1]["E"] <= (START + at) // 1_000_000
    rig.send(conn, {"method": "LIST_SUBSCRIPTIONS", "id": 1})
    assert not rig.host.ping(conn, b"are you there")
    rig.run(10)
    assert len(rig.seen[conn]) == heard
    assert len(rig.seen[spared]) > heard + 10
    rig.host.closed(conn)
    assert rig.host.connections == (spared,)


def test_close_cuts_without_a_close_frame():
    rig = Rig("spot", faults=[Fault("close", at=5.0, match="ethusdt")])
    conn = rig.connect(TRADES)
    rig.run(20)
    assert isinstance(rig.seen[conn][-1], Cut)
    assert rig.host.connections == ()
    assert hits(rig) == [("close", "ethusdt@trade")]
    again = rig.connect(TRADES)
    rig.run(5)
    assert rig.data(again, "ethusdt@trade")


@pytest.mark.parametrize("seconds", [30.0, -30.0])
def test_the_venues_clock_jumps(seconds):
    rig = Rig("spot", faults=[Fault("clock_jump", at=5.0, seconds=seconds)])
    conn = rig.connect(TRADES)
    rig.run(10)
    assert rig.exchange.now == START + round((10 + seconds) * SECOND)
    assert rig.get("/api/v3/time")["serverTime"] == (START + round((10 + seconds) * SECOND)) // 1_000_000
    numbers = ids(rig, conn)
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    assert hits(rig) == [("clock_jump", "x/spot")]


def test_a_refused_subscription_is_refused_in_the_venues_words():
    for market, target in (("spot", "/stream"), ("usdm", "/public/stream")):
        rig = Rig(market, faults=[Fault("refused_subscribe", at=0.0, match="ethusdt")])
        conn = rig.connect(target)
        rig.send(conn, {"method": "SUBSCRIBE", "params": ["btcusdt@trade", "ethusdt@trade"], "id": 1})
        answer = rig.answers(conn)[0]
        assert answer.get("error", answer)["code"] == 2
        rig.run(3)
        assert len(rig.texts(conn)) == 1
        rig.send(conn, {"method": "SUBSCRIBE", "params": ["ethusdt@trade"], "id": 2})
        assert rig.answers(conn)[1] == {"result": None, "id": 2}
        assert hits(rig) == [("refused_subscribe", "ethusdt@trade")]


def test_a_silent_acknowledgement_brings_nothing_until_it_is_asked_again():
    rig = Rig("spot", faults=[Fault("silent_ack", at=0.0, match="ethusdt")])
    conn = rig.connect("/stream")
    rig.send(conn, {"method": "SUBSCRIBE", "params": ["btcusdt@trade", "ethusdt@trade"], "id": 1})
    rig.run(10)
    assert rig.answers(conn) == [{"result": None, "id": 1}]
    assert rig.data(conn, "btcusdt@trade")
    assert rig.data(conn, "ethusdt@trade") == []
    rig.send(conn, {"method": "SUBSCRIBE", "params": ["ethusdt@trade"], "id": 2})
    rig.run(10)
    assert rig.data(conn, "ethusdt@trade")


def test_rate_limit_answers_on_demand():
    rig = Rig(
        "spot", faults=[Fault("http_429", at=0.0, match="depth", seconds=7), Fault("http_418", at=1.0, seconds=90)]
    )
    assert rig.ask("/api/v3/ping").response.status == 200
    limited = rig.ask("/api/v3/depth?symbol=BTCUSDT").response
    assert (limited.status, limited.header("retry-after"), json.loads(limited.body)["code"]) == (429, "7", -1003)
    rig.run(2)
    banned = rig.ask("/api/v3/ping").response
    assert (banned.status, banned.header("Retry-After")) == (418, "90")
    assert rig.ask("/api/v3/ping").response.status == 200
    assert hits(rig) == [("http_429", "/api/v3/depth"), ("http_418", "/api/v3/ping")]


def test_slow_and_lagging_snapshots():
    rig = Rig(
        "spot", faults=[Fault("slow_snapshot", at=0.0, seconds=2.5), Fault("lagging_snapshot", at=3.0, seconds=2.0)]
    )
    assert rig.ask("/api/v3/ping").seconds == 0.0
    assert rig.ask("/api/v3/depth?symbol=BTCUSDT").seconds == 2.5
    rig.run(5)
    late, now = rig.get("/api/v3/depth?symbol=BTCUSDT"), rig.get("/api/v3/depth?symbol=BTCUSDT")
    assert late["lastUpdateId"] == rig.exchange.book("BTC/USDT", lag=2.0).seq < now["lastUpdateId"]


def test_a_lost_reply_breaks_the_connection_instead():
    rig = Rig("spot", faults=[Fault("lost_reply", at=0.0, match="/time")])
    assert rig.ask("/api/v3/ping").response is not None
    assert rig.ask("/api/v3/time").response is None
    assert rig.get("/api/v3/time")
    assert hits(rig) == [("lost_reply", "/api/v3/time")]


def test_a_shutdown_is_announced_on_spot_and_then_done():
    rig = Rig("spot", faults=[Fault("server_shutdown", at=5.0, seconds=4.0)])
    combined, raw = rig.connect(TRADES), rig.connect("/ws/btcusdt@trade")
    rig.run(20)
    notice = next(m for m in rig.texts(combined) if m.get("stream") == "!serverShutdown")
    assert notice["data"] == {"e": "serverShutdown", "E": START // 1_000_000 + 5_000}
    assert {"e": "serverShutdown", "E": START // 1_000_000 + 5_000} in rig.texts(raw)
    for conn in (combined, raw):
        assert [d.code for d in rig.seen[conn] if isinstance(d, CloseFrame)] == [1001]
        last = max(m.get("data", m)["E"] for m in rig.texts(conn))
        assert START // 1_000_000 + 8_000 < last <= START // 1_000_000 + 9_000
    silent = Rig("usdm", faults=[Fault("server_shutdown", at=5.0, seconds=4.0)])
    conn = silent.connect("/public/stream?streams=btcusdt@trade")
    silent.run(20)
    assert {m["stream"] for m in silent.texts(conn)} == {"btcusdt@trade"}
    assert isinstance(silent.seen[conn][-1], CloseFrame)


def test_a_seeded_schedule_is_data():
    kinds = ("drop", "duplicate", "close", "http_429")
    one = FaultSchedule.seeded(3, duration=600.0, count=40, kinds=kinds)
    assert one == FaultSchedule.seeded(3, duration=600.0, count=40, kinds=kinds)
    assert one != FaultSchedule.seeded(4, duration=600.0, count=40, kinds=kinds)
    assert len(one.faults) == 40
    assert {fault.kind for fault in one.faults} == set(kinds)
    assert all(5.0 <= fault.at < 600.0 for fault in one.faults)
    assert [fault.at for fault in one.faults] == sorted(fault.at for fault in one.faults)


@pytest.mark.parametrize("seed", range(8))
def test_what_the_log_says_is_what_the_client_missed(seed):
    schedule = FaultSchedule.seeded(seed, duration=40.0, count=12, kinds=("drop", "duplicate", "truncate"))
    rig, calm = Rig("spot", faults=schedule.faults), Rig("spot")
    conn, other = rig.connect(TRADES), calm.connect(TRADES)
    rig.run(60)
    calm.run(60)
    received = [d.data for d in rig.seen[conn] if isinstance(d, Text)]
    sent = [d.data for d in calm.seen[other] if isinstance(d, Text)]
    for hit in rig.faults.log:
        if hit.kind == "duplicate":
            received.remove(hit.data)
        elif hit.kind == "truncate":
            received.remove(hit.data[: len(hit.data) // 2])
            sent.remove(hit.data)
        else:
            sent.remove(hit.data)
    assert received == sent, f"seed {seed}"
    assert len(rig.faults.log) == sum(fault.count for fault in schedule.faults), f"seed {seed}"
    assert rig.faults.pending() == 0
