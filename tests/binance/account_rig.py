"""A simulated market with a user who listens to its account, through the adapter's own state machine."""

from __future__ import annotations

import json
from urllib.parse import urlsplit

from msgspec import structs

from tests.binance.desk import SECOND, Desk
from unitape.sim.host import Cut
from unitape.spi import Credentials, Ready, TradingSettings
from unitape.spi.simulation import CloseFrame, Ping, Text


class Listening:
    """A desk and one private connection of its user; ``told`` is what the session said, ``frames`` what it was sent."""

    def __init__(self, market="spot", *, user=None, secret=None, **options):
        self.desk = desk = Desk(market, **options) if user is None else Desk(market, user=user, **options)
        if secret is not None:
            desk.keys = Credentials(desk.user.key, secret)
        self.keys = desk.keys
        self.stream = desk.market.account_stream(desk.instruments, TradingSettings())
        self.key = self.listen_key()
        self.conn, self.session = None, None
        self.told, self.frames, self.closed = [], [], False
        self.connect()

    def listen_key(self):
        query = self.stream.open_key()
        return None if query is None else self.keyed(query)

    def keyed(self, query):
        request = structs.replace(query.request, headers=(("X-MBX-APIKEY", self.desk.user.key),))
        return query.read(self.desk.send(request), self.desk.exchange.now)

    def connect(self):
        desk = self.desk
        endpoint = desk.market.endpoints["live"].at("http://x", "ws://x")
        url = urlsplit(self.stream.dial(endpoint, self.key, self.keys, desk.exchange.now).url)
        self.conn = desk.host.open(f"{url.path}?{url.query}" if url.query else url.path)
        assert isinstance(self.conn, int), self.conn
        self.session, self.closed = self.stream.session(), False
        self.session.on_open(self.keys, desk.exchange.now)
        self.run(0.2)

    def run(self, seconds=0.2, step=0.05):
        for _ in range(round(seconds / step)):
            self.desk.clock.now += round(step * SECOND)
            self.told += self.session.on_tick(self.desk.clock.now)
            self.turn()
            self.desk.host.step()
            self.turn()

    def turn(self):
        """Exchange what either side has to say."""
        while True:
            sent = list(self.session.outbox)
            self.session.outbox.clear()
            for message in sent:
                self.desk.host.frame(self.conn, message.encode(), text=True)
            arrived = [d for d in self.desk.host.take() if d.conn == self.conn]
            for delivery in arrived:
                if isinstance(delivery, Text):
                    self.frames.append(json.loads(delivery.data))
                    self.told += self.session.on_frame(delivery.data, self.desk.exchange.now)
                elif isinstance(delivery, Ping):
                    self.desk.host.pong(self.conn, delivery.data)
                elif isinstance(delivery, CloseFrame | Cut):
                    self.closed = True
            if not sent and not arrived:
                return

    def of(self, kind):
        return [item for item in self.told if isinstance(item, kind)]

    @property
    def ready(self):
        return len(self.of(Ready))

    def events(self):
        """The venue's own events, without envelopes."""
        return [frame.get("event", frame.get("data", frame)) for frame in self.frames if "id" not in frame]
