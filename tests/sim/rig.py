"""A market under the test's own clock."""

from __future__ import annotations

import json

from unitape.sim.exchange import SimExchange
from unitape.sim.faults import Faults, FaultSchedule
from unitape.sim.host import SimHost
from unitape.sim.instruments import coins
from unitape.spi import HttpRequest, HttpResponse
from unitape.spi.simulation import FaceOptions, Ping, Text
from unitape_binance.simulator import face

START = 1_793_923_200_000_000_000
"""2026-11-06 00:00:00 UTC."""
SECOND = 1_000_000_000


class HandClock:
    def __init__(self):
        self.now = 0

    def wall(self):
        return START + self.now

    def mono(self):
        return self.now


class Rig:
    """One host, stepped by hand; ``seen`` holds every delivery of every connection, in order."""

    def __init__(self, market="spot", *, seed=1, symbols=2, rate=20.0, faults=(), **options):
        self.clock = HandClock()
        self.faults = Faults(FaultSchedule(tuple(faults)), f"x/{market}", 0)
        self.exchange = SimExchange(
            f"x/{market}", coins(symbols), linear=market == "usdm", seed=seed, start=START, rate=rate
        )
        chosen = FaceOptions(faults=self.faults, **options)
        self.host = SimHost(f"x/{market}", self.exchange, face(self.exchange, market, chosen), self.faults, self.clock)
        self.seen = {}
        self.pongs = True

    def connect(self, target):
        conn = self.host.open(target)
        assert isinstance(conn, int), conn
        self.seen[conn] = []
        self.collect()
        return conn

    def run(self, seconds, step=0.05):
        for _ in range(round(seconds / step)):
            self.clock.now += round(step * SECOND)
            self.host.step()
            self.collect()

    def collect(self):
        for delivery in self.host.take():
            self.seen[delivery.conn].append(delivery)
            if isinstance(delivery, Ping) and self.pongs:
                self.host.pong(delivery.conn, delivery.data)

    def send(self, conn, message):
        data = message if isinstance(message, bytes) else json.dumps(message).encode()
        self.host.frame(conn, data, text=True)
        self.collect()

    def texts(self, conn):
        return [json.loads(d.data) for d in self.seen[conn] if isinstance(d, Text)]

    def data(self, conn, stream):
        """The payloads of one stream of a combined connection."""
        return [m["data"] for m in self.texts(conn) if m.get("stream") == stream]

    def answers(self, conn):
        return [m for m in self.texts(conn) if "id" in m]

    def ask(self, target, **headers):
        path, _, query = target.partition("?")
        request = HttpRequest("GET", path, query, headers=tuple((k.replace("_", "-"), v) for k, v in headers.items()))
        reply = self.host.http(request)
        self.collect()
        return reply

    def get(self, target, **headers):
        """The JSON body of a successful answer."""
        response = self.ask(target, **headers).response
        assert isinstance(response, HttpResponse)
        assert response.status == 200, response
        return json.loads(response.body)
