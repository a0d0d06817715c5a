"""The simulated venue against its sheet, and the adapter against the simulated venue."""

from __future__ import annotations

import json

import pytest

from tests.mexc.support import MS
from unitape.errors import RateLimited
from unitape.sim.exchange import SimExchange
from unitape.sim.faults import Faults, FaultSchedule
from unitape.sim.host import SimHost
from unitape.sim.instruments import coins
from unitape.spi import Confirmed, DepthUpdate, Fit, HttpRequest, HttpResponse, Instruments, Refused
from unitape.spi.simulation import Binary, CloseFrame, FaceOptions, SimTrade, Text
from unitape_mexc import FUTURES, SPOT
from unitape_mexc.simulator import face
from unitape_schemas import Candle, Funding, MarkPrice, OpenInterest, Quote, Subscription, Ticker, TopBook, Trade

START = 1_793_923_200_000_000_000
SECOND = 1_000_000_000
MARKETS = {"spot": SPOT, "futures": FUTURES}
PATHS = {"spot": "/ws", "futures": "/edge"}
S = Subscription


class HandClock:
    now = 0

    def wall(self):
        return START + self.now

    def mono(self):
        return self.now


class Rig:
    """One simulated market, stepped by hand, and real sessions in front of it."""

    def __init__(self, market, *, seed=3, symbols=2, faults=(), **options):
        self.market = MARKETS[market]
        self.name = market
        self.clock = HandClock()
        kinds = Faults(FaultSchedule(tuple(faults)), f"mexc/{market}", 0)
        self.exchange = SimExchange(
            f"mexc/{market}", coins(symbols), linear=market == "futures", seed=seed, start=START, rate=30.0
        )
        self.face = face(self.exchange, market, FaceOptions(faults=kinds, **options))
        self.host = SimHost(f"mexc/{market}", self.exchange, self.face, kinds, self.clock)
        self.raw = {}
        self.sessions = {}
        self.outputs = {}
        path = "/api/v3/exchangeInfo" if market == "spot" else "/api/v1/contract/detail"
        self.instruments = Instruments(self.market.read_instruments(self.get(path)))
        self.symbols = [item.symbol for item in self.exchange.instruments]

    def get(self, target):
        path, _, query = target.partition("?")
        reply = self.host.http(HttpRequest("GET", path, query))
        assert isinstance(reply.response, HttpResponse)
        assert reply.response.status == 200, reply
        return reply.response.body

    def ask(self, query):
        reply = self.host.http(query.request)
        assert isinstance(reply.response, HttpResponse), reply
        return query.read(reply.response, self.clock.wall())

    def connect(self, *, session=True):
        conn = self.host.open(PATHS[self.name])
        assert isinstance(conn, int), conn
        self.raw[conn], self.outputs[conn] = [], []
        if session:
            self.sessions[conn] = self.market.session(self.instruments, "public")
        self.collect()
        return conn

    def subscribe(self, conn, *subscriptions):
        self.sessions[conn].subscribe(subscriptions)
        self.flush(conn)
        self.collect()

    def flush(self, conn):
        for message in self.sessions[conn].outbox:
            self.host.frame(conn, message.encode(), text=True)
        self.sessions[conn].outbox.clear()

    def send(self, conn, message):
        self.host.frame(conn, json.dumps(message).encode(), text=True)
        self.collect()

    def run(self, seconds, step=0.05, ping=True):
        for _ in range(round(seconds / step)):
            self.clock.now += round(step * SECOND)
            self.host.step()
            self.collect()
            for conn, session in self.sessions.items():
                if ping:
                    session.on_tick(self.clock.now)
                    self.flush(conn)

    def collect(self):
        for delivery in self.host.take():
            self.raw[delivery.conn].append(delivery)
            session = self.sessions.get(delivery.conn)
            if session is not None and isinstance(delivery, Text | Binary):
                self.outputs[delivery.conn] += session.on_frame(delivery.data, self.clock.wall())

    def said(self, conn):
        return [json.loads(d.data) for d in self.raw[conn] if isinstance(d, Text)]

    def of(self, conn, *types):
        return [output for output in self.outputs[conn] if isinstance(output, types)]

    def closed(self, conn):
        return [d for d in self.raw[conn] if isinstance(d, CloseFrame)]


def rebuilt(rig, snapshot, updates):
    """Join by the market's rule, straight from its page, and return the sides as sets of levels."""
    rule = rig.market.book_rule
    sides = {"bids": dict(snapshot.bids), "asks": dict(snapshot.asks)}
    last = None
    for update in updates:
        fit = rule.join(snapshot.seq, update) if last is None else rule.follow(last, update)
        if fit is Fit.STALE:
            continue
        assert fit is Fit.APPLY, (snapshot.seq, last, update)
        last = update
        for name in ("bids", "asks"):
            for price, size in getattr(update, name):
                if size:
                    sides[name][price] = size
                else:
                    sides[name].pop(price, None)
    assert last is not None
    return sides, last.seq


def true_book(rig, symbol):
    item = rig.exchange.instrument(symbol)
    image = rig.exchange.book(symbol)
    sides = {
        name: {float(item.price_text(p)): float(item.size_text(s)) for p, s in levels}
        for name, levels in (("bids", image.bids), ("asks", image.asks))
    }
    return sides, image.seq


@pytest.mark.parametrize("form", ["spot", "futures", "futures merged"])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_books_equal_the_exchanges_own(form, seed):
    market = form.split(" ")[0]
    rig = Rig(market, seed=seed, snapshot_lag=0.4)
    conn = rig.connect()
    symbol = rig.symbols[0]
    if form.endswith("merged"):
        rig.send(conn, {"method": "sub.depth", "param": {"symbol": rig.instruments.require(symbol).raw_symbol}})
        rig.sessions[conn].subscribe([S("book", symbol)])
        rig.sessions[conn].outbox.clear()
    else:
        rig.subscribe(conn, S("book", symbol))
    rig.run(3)
    snapshot = rig.ask(rig.market.rest(rig.instruments).depth(symbol))
    rig.run(20)
    updates = rig.of(conn, DepthUpdate)
    assert len(updates) > 20, f"seed {seed}"
    if form == "futures":
        assert all(update.first_seq == update.seq for update in updates)
    else:
        assert any(update.first_seq < update.seq for update in updates)
    # What the stream has not told yet is told by the next push.
    rig.exchange_book = true_book(rig, symbol)
    rig.run(0.5)
    updates = rig.of(conn, DepthUpdate)
    upto = [u for u in updates if u.seq <= rig.exchange_book[1]]
    sides, seq = rebuilt(rig, snapshot, upto)
    if seq == rig.exchange_book[1]:
        assert sides == rig.exchange_book[0], f"seed {seed}"
    whole, _ = rebuilt(rig, snapshot, updates)
    truth, _ = true_book(rig, symbol)
    best = (max(whole["bids"]), min(whole["asks"]))
    assert best[0] < best[1]
    # Beyond the last push only a handful of levels can differ.
    differing = set(whole["bids"].items()) ^ set(truth["bids"].items())
    assert len(differing) < 30


@pytest.mark.parametrize("market", MARKETS)
def test_the_book_is_exact_when_the_market_stands_still(market):
    rig = Rig(market)
    conn = rig.connect()
    symbol = rig.symbols[0]
    rig.subscribe(conn, S("book", symbol))
    rig.run(2)
    snapshot = rig.ask(rig.market.rest(rig.instruments).depth(symbol))
    rig.run(10)
    truth, seq = true_book(rig, symbol)
    # Time passes for the face alone: it tells the rest, and nothing new happens.
    rig.face.tick(rig.clock.now + SECOND)
    rig.collect()
    for output in list(rig.face.outbox):
        rig.outputs[conn] += rig.sessions[conn].on_frame(output.data, rig.clock.wall())
    rig.face.outbox.clear()
    sides, last = rebuilt(rig, snapshot, rig.of(conn, DepthUpdate))
    assert last == seq
    assert sides == truth


def test_a_lagging_snapshot_is_older_than_the_stream():
    rig = Rig("spot", snapshot_lag=5.0)
    rig.run(10)
    image = rig.ask(SPOT.rest(rig.instruments).depth(rig.symbols[0]))
    assert image.seq < rig.exchange.book(rig.symbols[0]).seq
    assert image.snapshot
    assert image.depth == 1000


def test_depth_commits_close_a_gap():
    rig = Rig("futures")
    conn = rig.connect()
    symbol = rig.symbols[0]
    rig.subscribe(conn, S("book", symbol))
    rig.run(2)
    updates = rig.of(conn, DepthUpdate)
    lost = updates[3:9]
    found = rig.ask(FUTURES.rest(rig.instruments).repair(symbol, updates[2].seq))
    assert [u.seq for u in found][: len(lost)] == [u.seq for u in lost]
    assert [(u.bids, u.asks) for u in found][: len(lost)] == [(u.bids, u.asks) for u in lost]


@pytest.mark.parametrize("market", MARKETS)
def test_every_channel_is_served(market):
    rig = Rig(market)
    conn = rig.connect()
    symbol = rig.symbols[0]
    wanted = [S("trades", symbol), S("top", symbol, depth=5), S("ticker", symbol), S("candles", symbol, interval="1m")]
    types = [Trade, TopBook, Ticker, Candle]
    if market == "spot":
        wanted.append(S("quotes", symbol))
        types.append(Quote)
    else:
        wanted += [S("mark_price", symbol), S("funding", symbol), S("open_interest", symbol)]
        types += [MarkPrice, Funding, OpenInterest]
    rig.subscribe(conn, *wanted)
    cursor = rig.exchange.cursor
    rig.run(32)
    confirmed = {item for output in rig.of(conn, Confirmed) for item in output.subscriptions}
    assert confirmed == set(wanted)
    assert not rig.of(conn, Refused)
    assert [kind.__name__ for kind in types if not rig.of(conn, kind)] == []
    assert {event.symbol for event in rig.of(conn, *types)} == {symbol}
    happened = [e for e in rig.exchange.events(cursor) if isinstance(e, SimTrade) and e.symbol == symbol]
    item = rig.exchange.instrument(symbol)
    told = rig.of(conn, Trade)
    truth = [
        (float(item.price_text(t.price)), float(item.size_text(t.size)), t.taker, t.ts // MS * MS) for t in happened
    ]
    assert [(t.price, t.size, t.side, t.ts_event) for t in told] == truth[: len(told)]
    assert len(truth) - len(told) < 20 < len(told)
    assert len({t.id for t in told}) == len(told)


def test_all_symbols():
    for market in MARKETS:
        rig = Rig(market, symbols=4)
        conn = rig.connect()
        rig.subscribe(conn, S("ticker", "*", market=market))
        rig.run(4)
        assert {event.symbol for event in rig.of(conn, Ticker)} == set(rig.symbols)


def test_spot_pushes_are_binary_and_replies_are_text():
    rig = Rig("spot")
    conn = rig.connect()
    rig.subscribe(conn, S("book", rig.symbols[0]))
    rig.run(5)
    assert {type(d) for d in rig.raw[conn] if d.stream} == {Binary}
    assert rig.said(conn)[0]["code"] == 0


def test_the_thirty_first_subscription_is_acknowledged_and_silent():
    rig = Rig("spot", symbols=8)
    conn = rig.connect()
    wanted = [S(channel, symbol) for channel in ("book", "quotes", "top", "ticker") for symbol in rig.symbols]
    rig.subscribe(conn, *wanted)
    rig.run(8)
    assert len(wanted) == 32
    assert sum(len(output.subscriptions) for output in rig.of(conn, Confirmed)) == 32
    touched = [item for item, state in rig.sessions[conn].streams.items() if state.touched]
    assert len(touched) == 30


def test_a_refusal_has_code_0_and_a_mixed_one_names_both():
    rig = Rig("spot")
    conn = rig.connect(session=False)
    good = "spot@public.aggre.depth.v3.api.pb@100ms@BTCUSDT"
    bad = "spot@public.aggre.depth.v3.api.pb@5ms@BTCUSDT"
    rig.send(conn, {"method": "SUBSCRIPTION", "params": [bad], "id": 7})
    rig.send(conn, {"method": "SUBSCRIPTION", "params": [good, bad], "id": 8})
    rig.send(conn, {"method": "ping"})
    alone, mixed, pong = rig.said(conn)
    assert alone == {"id": 0, "code": 0, "msg": f"Not Subscribed successfully! [{bad}].  Reason： Blocked! "}
    assert mixed["msg"] == f"Subscribed successful! [{good}]. {alone['msg']}"
    assert pong["msg"] == "PONG"


@pytest.mark.parametrize("old", ["deals", "bookTicker", "increase.depth"])
def test_blocked_channels_are_refused(old):
    rig = Rig("spot")
    conn = rig.connect(session=False)
    rig.send(conn, {"method": "SUBSCRIPTION", "params": [f"spot@public.{old}.v3.api.pb@BTCUSDT"]})
    assert "Blocked" in rig.said(conn)[0]["msg"]


def test_a_bad_contract_is_named_and_an_unknown_method_gets_nothing():
    rig = Rig("futures")
    conn = rig.connect(session=False)
    rig.send(conn, {"method": "sub.nothing", "param": {"symbol": "BTC_USDT"}})
    assert rig.said(conn) == []
    rig.send(conn, {"method": "sub.depth", "param": {"symbol": "NOPE_USDT"}})
    rig.send(conn, {"method": "sub.depth", "param": {"symbol": "BTC_USDT"}})
    error, ack = rig.said(conn)
    assert (error["channel"], error["data"]) == ("rs.error", "Contract [NOPE_USDT] not exists")
    assert (ack["channel"], ack["data"], "symbol" in ack) == ("rs.sub.depth", "success", False)


def test_futures_hang_up_after_60_seconds_without_a_ping_even_while_busy():
    rig = Rig("futures")
    silent, alive = rig.connect(), rig.connect()
    for conn in (silent, alive):
        rig.subscribe(conn, S("trades", rig.symbols[0]))
    rig.run(50, ping=False)
    rig.send(alive, {"method": "ping"})
    assert not rig.closed(silent)
    rig.run(15, ping=False)
    assert rig.closed(silent)
    assert not rig.closed(alive)
    assert "more than 60 seconds no response" in rig.said(silent)[-1]["data"]
    assert len(rig.of(silent, Trade)) > 50


@pytest.mark.parametrize("market", MARKETS)
def test_a_session_that_pings_lives(market):
    rig = Rig(market)
    conn = rig.connect()
    rig.subscribe(conn, S("ticker", rig.symbols[0]))
    rig.run(200, step=0.5)
    assert not rig.closed(conn)


def test_spot_cuts_who_subscribes_to_nothing_and_who_is_a_day_old():
    rig = Rig("spot", lifetime=100.0)
    idle, busy = rig.connect(session=False), rig.connect()
    rig.subscribe(busy, S("book", rig.symbols[0]))
    rig.run(31, step=0.5)
    assert rig.closed(idle)
    assert not rig.closed(busy)
    rig.run(75, step=0.5)
    assert rig.closed(busy)[0].reason == "24 hours"


def test_gzip_frames():
    rig = Rig("futures", settings={"gzip": "on"})
    conn = rig.connect()
    rig.subscribe(conn, S("book", rig.symbols[0]))
    rig.run(3)
    assert {d.data[:2] for d in rig.raw[conn] if isinstance(d, Binary)} == {b"\x1f\x8b"}
    assert len(rig.of(conn, DepthUpdate)) > 10


def test_too_many_requests_are_refused_in_the_markets_own_way():
    for market in MARKETS:
        rig = Rig(market)
        query = rig.market.rest(rig.instruments).depth(rig.symbols[0])
        allowed = {"spot": (300 - 25) // 3, "futures": 19}[market]
        assert all(rig.ask(query).snapshot for _ in range(allowed))
        with pytest.raises(RateLimited):
            rig.ask(query)


@pytest.mark.parametrize("market", MARKETS)
def test_queries_are_answered(market):
    rig = Rig(market)
    rig.run(130, step=0.5)
    rest, symbol = rig.market.rest(rig.instruments), rig.symbols[0]
    assert rig.ask(rest.time()) // MS == rig.clock.wall() // MS
    trades = rig.ask(rest.trades(symbol, 50))
    assert len(trades) == 50
    assert [t.ts_event for t in trades] == sorted(t.ts_event for t in trades)
    newest = rig.exchange.trades(symbol, 1)[-1]
    assert trades[-1].ts_event == newest.ts // MS * MS
    candles = rig.ask(rest.candles(symbol, "1m"))
    assert candles[-1].ts_open == rig.exchange.bars(symbol, "1m", limit=1)[0].open_ts
    assert [c.closed for c in candles[-2:]] == [True, False]
    later = rig.ask(rest.candles(symbol, "1m", start=candles[-2].ts_open, end=candles[-1].ts_open))
    assert [c.ts_open for c in later] == [candles[-2].ts_open]
    rig.run(5, step=0.5)
    (ticker,) = rig.ask(rest.tickers([symbol]))
    assert ticker.last == float(rig.exchange.instrument(symbol).price_text(rig.exchange.day(symbol).last))
    instrument = rig.instruments.require(symbol)
    assert (instrument.api_tradable, instrument.status) == (True, "trading")
    if market == "futures":
        assert isinstance(rig.ask(rest.funding_history(symbol)), list)


def test_unknown_symbols_and_paths():
    spot, futures = Rig("spot"), Rig("futures")
    reply = spot.host.http(HttpRequest("GET", "/api/v3/depth", "symbol=NOPE")).response
    assert (reply.status, json.loads(reply.body)["code"]) == (400, -1121)
    reply = futures.host.http(HttpRequest("GET", "/api/v1/contract/depth/NOPE_USDT", "")).response
    assert (reply.status, json.loads(reply.body)["code"]) == (200, 1001)
    assert spot.host.http(HttpRequest("GET", "/nothing", "")).response.status == 404
    with pytest.raises(KeyError):
        face(spot.exchange, "margin", FaceOptions(faults=Faults(FaultSchedule(()), "x", 0)))
