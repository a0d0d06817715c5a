"""The simulated WebSocket API says what REST says, knows who is logged on, and refuses what the venue refuses.

Requests are signed here by hand, so that the adapter's code judges nothing.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json

import pytest

from tests.binance.desk import ED, MARKETS, PAIR, START, Desk
from unitape.sim.faults import Fault
from unitape.spi import HttpRequest
from unitape.spi.simulation import Text

MS = 1_000_000
PATHS = {"spot": "/ws-api/v3", "usdm": "/ws-fapi/v1"}
# Method, and the request over HTTP that must be answered alike.
PUBLIC_ALIKE = {
    "spot": [
        ("ping", "/api/v3/ping", {}),
        ("time", "/api/v3/time", {}),
        ("exchangeInfo", "/api/v3/exchangeInfo", {}),
        ("v3/depth", "/api/v3/depth", {"symbol": "BTCUSDT", "limit": 5}),
    ],
    "usdm": [("depth", "/fapi/v1/depth", {"symbol": "BTCUSDT", "limit": 5})],
}
PRIVATE_ALIKE = {
    "spot": [
        ("openOrders.status", "/api/v3/openOrders", {}),
        ("allOrders", "/api/v3/allOrders", {"symbol": "BTCUSDT"}),
        ("myTrades", "/api/v3/myTrades", {"symbol": "BTCUSDT"}),
        ("account.status", "/api/v3/account", {"omitZeroBalances": True}),
    ],
    "usdm": [
        ("v2/account.balance", "/fapi/v3/balance", {}),
        ("v2/account.status", "/fapi/v3/account", {}),
        ("v2/account.position", "/fapi/v3/positionRisk", {}),
    ],
}


def printed(value):
    return json.dumps(value) if isinstance(value, bool) else str(value)


class Wire:
    """One connection to the API of a desk's market."""

    def __init__(self, desk, market, query=""):
        self.desk, self.market = desk, market
        self.conn = desk.host.open(PATHS[market] + query)
        self.seen, self.events, self.made = [], [], 0

    def ask(self, method, **params):
        self.made += 1
        self.send({"id": self.made, "method": method, "params": params})
        return next(frame for frame in reversed(self.seen) if frame["id"] == self.made)

    def send(self, frame):
        data = frame if isinstance(frame, bytes) else json.dumps(frame).encode()
        self.desk.host.frame(self.conn, data, text=True)
        self.collect()

    def step(self):
        self.desk.clock.now += 100 * MS
        self.desk.host.step()
        self.collect()

    def collect(self):
        for delivery in self.desk.host.take():
            if isinstance(delivery, Text) and delivery.conn == self.conn:
                frame = json.loads(delivery.data)
                (self.seen if "status" in frame else self.events).append(frame)

    def signed(self, method, *, key="ann-key", secret="ann-secret", late=0, **params):
        params |= {"apiKey": key, "timestamp": self.desk.exchange.now // MS - late}
        text = "&".join(f"{name}={printed(params[name])}" for name in sorted(params))
        if secret is PAIR:
            signature = base64.b64encode(PAIR.sign(text.encode())).decode()
        else:
            signature = hmac.new(secret.encode(), text.encode(), hashlib.sha256).hexdigest()
        return self.ask(method, signature=signature, **params)

    def stamped(self, method, **params):
        return self.ask(method, timestamp=self.desk.exchange.now // MS, **params)


def by_http(desk, path, params):
    query = "&".join(f"{name}={printed(value)}" for name, value in params.items())
    stamp = f"{query}&timestamp={desk.exchange.now // MS}".lstrip("&")
    signature = hmac.new(b"ann-secret", stamp.encode(), hashlib.sha256).hexdigest()
    private = any(path == one for rows in PRIVATE_ALIKE.values() for _, one, _ in rows)
    sent = f"{stamp}&signature={signature}" if private else query
    headers = (("X-MBX-APIKEY", "ann-key"),) if private else ()
    return json.loads(desk.send(HttpRequest("GET", path, sent, headers=headers)).body)


@MARKETS
def test_bodies_are_those_of_http(market):
    desk = Desk(market)
    desk.place("buy", "market", size="0.01")
    desk.place("buy", "limit", size="0.01", price=desk.far())
    wire = Wire(desk, market)
    for method, path, params in PUBLIC_ALIKE[market]:
        assert wire.ask(method, **params)["result"] == by_http(desk, path, params), method
    for method, path, params in PRIVATE_ALIKE[market]:
        found = wire.signed(method, **params)
        assert (found["status"], found["result"]) == (200, by_http(desk, path, params)), method


@MARKETS
def test_an_order_is_placed_asked_for_and_canceled(market):
    desk = Desk(market)
    wire = Wire(desk, market)
    order = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "quantity": "0.01"}
    placed = wire.signed("order.place", **order, price=str(desk.far()), newClientOrderId="mine")
    assert placed["status"] == 200
    (standing,) = desk.exchange.accounts.open_orders("ann")
    assert standing.client_id == "mine"
    counts = {row["rateLimitType"]: row for row in placed["rateLimits"]}
    assert counts["ORDERS"]["count"] == 1
    found = wire.signed("order.status", symbol="BTCUSDT", origClientOrderId="mine")
    assert found["result"]["status"] == "NEW"
    ended = wire.signed("order.cancel", symbol="BTCUSDT", orderId=found["result"]["orderId"])
    assert ended["result"]["status"] == "CANCELED"
    assert list(desk.exchange.accounts.open_orders("ann")) == []


@MARKETS
@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({"secret": "wrong"}, 400, -1022),
        ({"key": "nobody"}, 401, -2015),
        ({"late": 60_000}, 400, -1021),
        ({"late": -2_000}, 400, -1021),
        ({"symbol": "NOSUCH"}, 400, -1121),
    ],
)
def test_refusals_are_those_of_http(market, changes, status, code):
    wire = Wire(Desk(market), market)
    answer = wire.signed("order.status", **{"symbol": "BTCUSDT", "orderId": 1} | changes)
    assert (answer["status"], answer["error"]["code"]) == (status, code)


@MARKETS
def test_a_session_stands_for_key_and_signature_until_it_is_logged_out(market):
    wire = Wire(Desk(market), market)
    method = PRIVATE_ALIKE[market][-1][0]
    assert wire.stamped(method)["error"]["code"] == -1102
    assert wire.signed("session.logon")["error"]["code"] == -4056
    logged = wire.signed("session.logon", key=ED.key, secret=PAIR)
    assert logged["result"]["apiKey"] == ED.key
    assert wire.stamped(method)["status"] == 200
    # The time is needed all the same.
    assert wire.ask(method)["error"]["code"] == -1102
    assert wire.ask("session.status")["result"]["authorizedSince"] == START // MS
    assert wire.ask("session.logout")["result"]["apiKey"] is None
    assert wire.stamped(method)["error"]["code"] == -1102


def test_subscriptions_of_spot():
    wire = Wire(Desk("spot"), "spot")
    assert wire.ask("userDataStream.subscribe")["status"] == 401
    assert wire.signed("userDataStream.subscribe.signature")["result"] == {"subscriptionId": 0}
    assert wire.signed("userDataStream.subscribe.signature")["error"]["code"] == -2035
    assert wire.ask("session.subscriptions")["result"] == [{"subscriptionId": 0}]
    wire.desk.place("buy", "market", size="0.01")
    wire.step()
    assert {frame["subscriptionId"] for frame in wire.events} == {0}
    assert "executionReport" in {frame["event"]["e"] for frame in wire.events}
    assert wire.ask("userDataStream.unsubscribe")["status"] == 200
    assert wire.events[-1]["event"]["e"] == "eventStreamTerminated"
    assert wire.ask("userDataStream.unsubscribe")["error"]["code"] == -2036
    told = len(wire.events)
    wire.desk.place("buy", "market", size="0.01")
    wire.step()
    assert len(wire.events) == told


def test_listen_keys_over_the_api_of_futures():
    wire = Wire(Desk("usdm"), "usdm")
    made = wire.ask("userDataStream.start", apiKey="ann-key")["result"]["listenKey"]
    assert wire.ask("userDataStream.ping", apiKey="ann-key")["result"]["listenKey"] == made
    assert wire.ask("userDataStream.stop", apiKey="ann-key")["status"] == 200
    assert wire.ask("userDataStream.ping", apiKey="ann-key")["error"]["code"] == -1125
    assert wire.ask("userDataStream.start")["error"]["code"] == -1102


@pytest.mark.parametrize("target", ["/private/ws?listenKey={}", "/private/stream?listenKey={}", "/private/ws/{}"])
def test_forms_of_the_private_path(target):
    desk = Desk("usdm")
    headers = (("X-MBX-APIKEY", "ann-key"),)
    key = json.loads(desk.send(HttpRequest("POST", "/fapi/v1/listenKey", headers=headers)).body)["listenKey"]
    conn = desk.host.open(target.format(key))
    desk.place("buy", "market", size="0.01")
    desk.clock.now += 100 * MS
    desk.host.step()
    frames = [json.loads(d.data) for d in desk.host.take() if isinstance(d, Text) and d.conn == conn]
    combined = "stream?" in target
    assert {frame.get("stream") for frame in frames} == {key if combined else None}
    events = [frame["data"] if combined else frame for frame in frames]
    assert {"ORDER_TRADE_UPDATE", "ACCOUNT_UPDATE", "TRADE_LITE"} <= {event["e"] for event in events}


def test_what_is_no_request():
    wire = Wire(Desk("spot"), "spot")
    wire.send(b"{")
    assert (wire.seen[-1]["id"], wire.seen[-1]["status"]) == (None, 400)
    assert wire.ask("order.nothing")["error"]["code"] == -1020
    quiet = Wire(wire.desk, "spot", "?returnRateLimits=false")
    assert "rateLimits" not in quiet.ask("time")
    assert "rateLimits" in wire.ask("time")


def test_limits_are_told_with_the_moment_to_come_back():
    wire = Wire(Desk("spot"), "spot")
    wire.desk.host.faults.add(Fault("http_429", at=0.0, match="/order", seconds=7))
    answer = wire.signed("order.status", symbol="BTCUSDT", orderId=1)
    assert (answer["status"], answer["error"]["code"]) == (429, -1003)
    times = answer["error"]["data"]
    assert times["retryAfter"] - times["serverTime"] == 7_000
