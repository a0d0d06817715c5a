"""The simulator's face, first by itself and then against the adapter; the exchange behind it is the oracle."""

from __future__ import annotations

import json
from typing import Any, cast

import pytest

from tests.weex.support import CONTRACT, MARKETS, SPOT
from unitape.books.join import BookJoin
from unitape.clock import Clock
from unitape.sim.exchange import SimExchange
from unitape.sim.faults import Fault, Faults, FaultSchedule
from unitape.sim.host import SimHost
from unitape.sim.instruments import coins
from unitape.spi import Closing, Confirmed, DepthUpdate, HttpRequest, HttpResponse, Instruments, Query, Refused
from unitape.spi.simulation import CloseFrame, FaceOptions, SimTrade, Text
from unitape_schemas import Candle, MarkPrice, Quote, Subscription, Ticker, Trade
from unitape_weex import Settings, spot
from unitape_weex.market import WeexMarket
from unitape_weex.session import WeexSession
from unitape_weex.simulator import face

START = 1_793_923_200_000_000_000
SECOND = 1_000_000_000
AGENT = (("User-Agent", "test"),)
PUBLIC = "/v3/ws/public"


class HandClock:
    now = 0

    def wall(self) -> int:
        return START + self.now

    def mono(self) -> int:
        return self.now


class Rig:
    """One market stepped by hand: raw connections, and sessions of the adapter on them."""

    def __init__(self, market: str, *, seed: int = 3, faults: tuple[Fault, ...] = (), **options: Any) -> None:
        self.clock = HandClock()
        self.market: WeexMarket = MARKETS[market]
        self.faults = Faults(FaultSchedule(faults), f"x/{market}", 0)
        self.exchange = SimExchange(
            f"x/{market}", coins(2), linear=market == "contract", seed=seed, start=START, rate=30.0
        )
        chosen = FaceOptions(faults=self.faults, **options)
        self.face = face(self.exchange, market, chosen)
        self.host = SimHost(f"x/{market}", self.exchange, self.face, self.faults, cast(Clock, self.clock))
        self.seen: dict[int, list[Any]] = {}
        self.sessions: dict[int, WeexSession] = {}
        self.outputs: dict[int, list[Any]] = {}
        self.pongs = True

    def connect(self) -> int:
        conn = self.host.open(PUBLIC, AGENT)
        assert isinstance(conn, int), conn
        self.seen[conn] = []
        self.collect()
        return conn

    def attach(self, *subscriptions: Subscription, market: WeexMarket | None = None) -> int:
        """Open a session of the adapter and subscribe."""
        conn = self.connect()
        chosen = market or self.market
        instruments = Instruments(chosen.read_instruments(json.dumps(self.get_info()).encode()))
        session = cast(WeexSession, chosen.session(instruments, "public"))
        self.sessions[conn], self.outputs[conn] = session, []
        session.on_open()
        session.subscribe(subscriptions)
        self.flush(conn)
        return conn

    def get_info(self) -> Any:
        path = "/api/v3/exchangeInfo" if self.market is SPOT else "/capi/v3/market/exchangeInfo"
        return self.get(path)

    def flush(self, conn: int) -> None:
        session = self.sessions[conn]
        while session.outbox:
            message = session.outbox.pop(0)
            self.host.frame(conn, str(message).encode(), text=True)
            self.collect()

    def run(self, seconds: float, step: float = 0.05) -> None:
        for _ in range(round(seconds / step)):
            self.clock.now += round(step * SECOND)
            self.host.step()
            self.collect()
            for conn, session in self.sessions.items():
                self.outputs[conn] += session.on_tick(self.clock.now)
                self.flush(conn)

    def collect(self) -> None:
        for delivery in self.host.take():
            self.seen.setdefault(delivery.conn, []).append(delivery)
            session = self.sessions.get(delivery.conn)
            if isinstance(delivery, Text) and session is not None:
                self.outputs[delivery.conn] += session.on_frame(delivery.data, START + self.clock.now)
                self.flush(delivery.conn)
            elif isinstance(delivery, Text) and self.pongs and b'"ping"' in delivery.data:
                self.host.frame(delivery.conn, b'{"method":"PONG","id":9}', text=True)

    def send(self, conn: int, message: object) -> None:
        data = message if isinstance(message, bytes) else json.dumps(message).encode()
        self.host.frame(conn, data, text=True)
        self.collect()

    def subscribe(self, conn: int, *names: str) -> None:
        self.send(conn, {"method": "SUBSCRIBE", "params": list(names), "id": 1})

    def texts(self, conn: int, kind: str | None = None) -> list[dict[str, Any]]:
        messages = [json.loads(d.data) for d in self.seen[conn] if isinstance(d, Text)]
        return [m for m in messages if kind is None or m.get("e") == kind]

    def closes(self, conn: int) -> list[tuple[int, str]]:
        return [(d.code, d.reason) for d in self.seen[conn] if isinstance(d, CloseFrame)]

    def ask(self, target: str) -> HttpResponse:
        path, _, query = target.partition("?")
        reply = self.host.http(HttpRequest("GET", path, query))
        self.collect()
        assert isinstance(reply.response, HttpResponse)
        return reply.response

    def get(self, target: str) -> Any:
        response = self.ask(target)
        assert response.status == 200, response
        return json.loads(response.body)

    def read(self, query: Query[Any]) -> Any:
        return query.read(self.ask(query.request.target), START + self.clock.now)


def symbol(market: str, base: str = "BTC") -> str:
    return f"{base}/USDT" + (":USDT" if market == "contract" else "")


BOTH = pytest.mark.parametrize("market", ["spot", "contract"])


# The face by itself


@BOTH
def test_a_handshake_needs_a_user_agent(market: str) -> None:
    rig = Rig(market)
    for headers in ((), (("User-Agent", ""),)):
        refused = rig.host.open(PUBLIC, headers)
        assert isinstance(refused, HttpResponse)
        assert refused.status == 403
    assert isinstance(rig.host.open("/v2/ws/public", AGENT), HttpResponse)
    conn = rig.connect()
    (greeting,) = rig.texts(conn)
    assert greeting["event"] == "connected"
    assert greeting["time"] == str(START // 1_000_000)


@BOTH
def test_refusals_name_the_inner_symbol_and_the_sixth_closes(market: str) -> None:
    rig = Rig(market)
    conn = rig.connect()
    rig.subscribe(conn, "NOPEUSDT@trade")
    rig.subscribe(conn, "BTCUSDT@depth20")
    rig.subscribe(conn, "BTCUSDT@nosuch", "BTCUSDT@trade")
    rig.send(conn, b"hello")
    inner = "NOPEUSDT_SPBL" if market == "spot" else "cmt_nopeusdt"
    answers = [message for message in rig.texts(conn) if "result" in message]
    assert [answer["msg"] for answer in answers] == [
        f"INVALID_ARGUMENT: invalid symbol : {inner}",
        "INVALID_ARGUMENT: invalid depth level : 20",
        "INVALID_ARGUMENT: invalid event : nosuch",
        "INVALID_ARGUMENT: unrecognized message : hello",
    ]
    assert ["id" in answer for answer in answers] == [True, True, True, False]
    rig.subscribe(conn, "X@trade")
    assert rig.closes(conn) == []
    rig.subscribe(conn, "X@trade")
    assert rig.closes(conn) == [(1007, "Unrecognized message sent multiple times")]


def test_the_best_price_stream_is_spot_only() -> None:
    rig = Rig("contract")
    conn = rig.connect()
    rig.subscribe(conn, "BTCUSDT@bookTicker")
    assert rig.texts(conn)[-1]["result"] is False


@BOTH
def test_pings_come_each_minute_and_silence_is_cut(market: str) -> None:
    rig = Rig(market)
    good, bad = rig.connect(), rig.connect()
    rig.pongs = False
    rig.run(60 * 6, step=1.0)
    pings = [message for message in rig.texts(good) if message.get("event") == "ping"]
    assert len(pings) == 6
    for _ in range(10):
        rig.run(60, step=1.0)
        rig.send(good, {"method": "PONG", "id": 4})
    assert rig.closes(good) == []
    assert len(rig.closes(bad)) == 1
    unanswered = [message for message in rig.texts(bad) if message.get("event") == "ping"]
    assert len(unanswered) == 11


@BOTH
def test_limits_of_a_connection(market: str) -> None:
    rig = Rig(market)
    conn = rig.connect()
    channels = [f"{raw}@kline_{i}_LAST_PRICE" for raw in ("BTCUSDT", "ETHUSDT") for i in ("1m", "5m")]
    for round_ in range(60):
        rig.send(conn, {"method": "SUBSCRIBE", "params": channels, "id": round_})
    assert all(message["result"] for message in rig.texts(conn) if "result" in message)
    rig.send(conn, {"method": "SUBSCRIBE", "params": channels, "id": 99})
    assert next(m for m in rig.texts(conn) if m.get("id") == 99)["result"] is False


@BOTH
def test_weight_is_counted_and_passing_it_bans_for_ten_seconds(market: str) -> None:
    rig = Rig(market)
    path = "/api/v3/market/trades" if market == "spot" else "/capi/v3/market/ticker/24hr"
    cost = 25 if market == "spot" else 40
    allowed = 500 // cost
    for count in range(1, allowed + 1):
        response = rig.ask(f"{path}?symbol=BTCUSDT")
        assert (response.status, response.header("x-used-weight-10s")) == (200, str(count * cost))
    assert rig.ask(f"{path}?symbol=BTCUSDT").status == 429
    rig.run(5, step=1.0)
    refused = rig.ask(f"{path}?symbol=BTCUSDT")
    assert refused.status == 429
    error = rig.market.read_error(refused, HttpRequest("GET", path))
    assert type(error).__name__ == "RateLimited"
    rig.run(6, step=1.0)
    assert rig.ask(f"{path}?symbol=BTCUSDT").status == 200


# The adapter against the face


def books_of(rig: Rig, conn: int, name: str, join: BookJoin) -> None:
    for output in rig.outputs[conn]:
        if isinstance(output, DepthUpdate) and output.symbol == name:
            join.update(output)
    rig.outputs[conn].clear()


def window(rig: Rig, name: str, levels: int) -> tuple[dict[float, float], dict[float, float]]:
    spec = rig.exchange.instrument(name)
    image = rig.exchange.book(name, levels)
    bids, asks = (
        {float(spec.price_text(price)): float(spec.size_text(size)) for price, size in side}
        for side in (image.bids, image.asks)
    )
    return bids, asks


@pytest.mark.parametrize("levels", [200, 15])
@pytest.mark.parametrize(
    ("market", "chain", "seed"), [("spot", "equal", 1), ("spot", "next", 2), ("contract", "equal", 3)]
)
def test_the_book_equals_the_exchanges_own(market: str, chain: str, seed: int, levels: int) -> None:
    rig = Rig(market, seed=seed, settings={"chain": chain})
    name = symbol(market)
    conn = rig.attach(Subscription("book", name, depth=levels))
    join = BookJoin(rig.market.book_rule, "weex", name)
    join.start()
    checked = 0
    for _ in range(240):
        rig.run(0.25)
        books_of(rig, conn, name, join)
        assert join.want is None, f"seed {seed}"
        spec = rig.exchange.instrument(name)
        image = rig.exchange.book(name, levels)
        if join.book.seq == image.seq:
            bids, asks = window(rig, name, levels)
            assert dict(join.book.bids()) == bids, f"seed {seed} at {image.seq}"
            assert dict(join.book.asks()) == asks, f"seed {seed} at {image.seq}"
            checked += 1
        assert spec.symbol == name
    assert checked > 20, f"seed {seed}: only {checked} quiet points"


def test_a_lost_change_is_a_gap_and_asking_again_mends_it() -> None:
    rig = Rig("contract", faults=(Fault("drop", 5.0, "btcusdt@depth200"),))
    name = symbol("contract")
    wanted = Subscription("book", name)
    conn = rig.attach(wanted)
    join = BookJoin(CONTRACT.book_rule, "weex", name)
    join.start()
    wants = []
    for _ in range(80):
        rig.run(0.25)
        books_of(rig, conn, name, join)
        if join.want is not None:
            wants.append(join.want)
            join.want = None
            rig.sessions[conn].subscribe([wanted])
            rig.flush(conn)
    assert wants == ["resubscribe"]
    assert join.book.epoch == 2
    assert not join.book.stale


@pytest.mark.parametrize("seed", [1, 2, 3])
@BOTH
def test_every_trade_comes_out_once_and_in_order(market: str, seed: int) -> None:
    rig = Rig(market, seed=seed)
    name = symbol(market)
    rig.run(5)
    cursor = rig.exchange.cursor
    first = rig.attach(Subscription("trades", name))
    rig.run(7)
    second = rig.attach(Subscription("trades", name))
    late = rig.exchange.cursor
    rig.run(20)
    spec = rig.exchange.instrument(name)
    for conn, since in ((first, cursor), (second, late)):
        # The newest trades may still wait for the next push.
        truth = [e for e in rig.exchange.events(since) if isinstance(e, SimTrade) and e.symbol == name]
        said = [output for output in rig.outputs[conn] if isinstance(output, Trade)]
        assert len(said) > 20, f"seed {seed}"
        assert len(truth) - len(said) <= 30, f"seed {seed}"
        assert [(t.price, t.size, t.side) for t in sorted(said, key=lambda t: t.ts_event)] == [
            (t.price, t.size, t.side) for t in said
        ], f"seed {seed}: not in order"
        assert sorted((t.price, t.size, t.side, t.ts_event) for t in said) == sorted(
            (
                float(spec.price_text(t.price)),
                float(spec.size_text(t.size)),
                t.taker,
                t.ts // 1_000_000 * 1_000_000,
            )
            for t in truth[: len(said)]
        ), f"seed {seed}"
    repeated = [row["t"] for m in rig.texts(first, "trade") for row in m["d"]]
    assert len(repeated) > len(set(repeated)), "the face repeats trades after a history"
    unsorted = [[row["T"] for row in m["d"]] for m in rig.texts(first, "trade")]
    assert any(times != sorted(times) for times in unsorted), "and does not sort them"


@BOTH
def test_every_channel_confirms_and_brings_events(market: str) -> None:
    rig = Rig(market)
    name = symbol(market)
    wanted = [Subscription(c, name) for c in ("trades", "ticker", "book")]  # type: ignore[arg-type]
    wanted += [Subscription("candles", name, interval=i) for i in rig.market.channels["candles"].intervals]
    wanted.append(Subscription("quotes", name) if market == "spot" else Subscription("mark_price", name))
    conn = rig.attach(*wanted)
    rig.run(6)
    outputs = rig.outputs[conn]
    confirmed = [s for o in outputs if isinstance(o, Confirmed) for s in o.subscriptions]
    assert sorted(confirmed) == sorted(wanted)
    assert all(state.touched for state in rig.sessions[conn].streams.values())
    kinds = {type(output) for output in outputs}
    assert {Trade, Ticker, Candle, DepthUpdate, Quote if market == "spot" else MarkPrice} <= kinds
    assert {o.interval for o in outputs if isinstance(o, Candle)} == set(rig.market.channels["candles"].intervals)
    for candle in (o for o in outputs if isinstance(o, Candle) and o.interval == "5m"):
        assert candle.ts_close - candle.ts_open == 300 * SECOND
        assert candle.low <= candle.open <= candle.high


def test_one_bad_symbol_costs_the_others_nothing() -> None:
    rig = Rig("contract")
    conn = rig.attach(
        Subscription("trades", symbol("contract")),
        Subscription("trades", symbol("contract", "ETH")),
    )
    session = rig.sessions[conn]
    gone = json.loads(json.dumps(rig.get_info()))
    gone["symbols"][0].update(symbol="GONEUSDT", baseAsset="GONE")
    session._instruments = Instruments(
        [*session._instruments, *CONTRACT.read_instruments(json.dumps({"symbols": gone["symbols"][:1]}).encode())]
    )
    good, bad = Subscription("ticker", symbol("contract")), Subscription("ticker", symbol("contract", "GONE"))
    session.subscribe([bad, good])
    rig.flush(conn)
    rig.run(2)
    (refused,) = [o for o in rig.outputs[conn] if isinstance(o, Refused)]
    assert (refused.subscriptions, refused.text) == ((bad,), "INVALID_ARGUMENT: invalid symbol : GONEUSDT")
    assert good in [s for o in rig.outputs[conn] if isinstance(o, Confirmed) for s in o.subscriptions]
    assert rig.closes(conn) == []
    asked = [json.loads(d.data) for d in rig.seen[conn] if isinstance(d, Text) and b'"result":false' in d.data]
    assert len(asked) == 1, "nothing refused is asked again"


def test_a_venue_that_refuses_everything_never_reaches_the_sixth() -> None:
    faults = (Fault("refused_subscribe", 0.0, "", count=1000),)
    rig = Rig("contract", faults=faults)
    rig.run(0.2)
    channels = [Subscription("candles", symbol("contract"), interval=i) for i in CONTRACT.channels["candles"].intervals]
    conn = rig.attach(*channels)
    rig.run(60)
    assert rig.closes(conn) == []
    refusals = [message for message in rig.texts(conn) if message.get("result") is False]
    assert len(refusals) == 5
    assert [type(o) for o in rig.outputs[conn] if isinstance(o, Closing)] == [Closing]


@BOTH
def test_a_delisted_symbol_is_acknowledged_and_then_silent(market: str) -> None:
    rig = Rig(market)
    info = rig.get_info()
    rig = Rig(market, settings={"delisted": "ETHUSDT"})
    rig.get_info = lambda: info  # type: ignore[method-assign]
    alive, gone = Subscription("trades", symbol(market)), Subscription("trades", symbol(market, "ETH"))
    conn = rig.attach(alive, gone)
    rig.run(30)
    assert {s for o in rig.outputs[conn] if isinstance(o, Confirmed) for s in o.subscriptions} == {alive, gone}
    streams = rig.sessions[conn].streams
    assert streams[alive].touched
    assert streams[gone].touched == 0


@BOTH
def test_queries_read_the_exchange(market: str) -> None:
    rig = Rig(market)
    rig.run(30, step=0.5)
    name = symbol(market)
    instruments = Instruments(rig.market.read_instruments(json.dumps(rig.get_info()).encode()))
    rest = rig.market.rest(instruments)
    spec = rig.exchange.instrument(name)
    (row,) = [i for i in rig.read(rest.instruments()) if i.symbol == name]
    assert (row.tick, row.step, row.status) == (spec.tick, spec.step, "trading")
    assert abs(rig.read(rest.time()) - rig.exchange.now) < 1_000_000
    depth = rig.read(rest.depth(name, 15))
    bids, asks = window(rig, name, 15)
    assert (dict(depth.bids), dict(depth.asks)) == (bids, asks)
    assert depth.seq == rig.exchange.book(name, 15).seq
    trades = rig.read(rest.trades(name, 50))
    truth = rig.exchange.trades(name, 50)
    assert [(t.price, t.size, t.side) for t in trades] == [
        (float(spec.price_text(t.price)), float(spec.size_text(t.size)), t.taker) for t in truth
    ]
    since = rig.read(rest.trades_since(name, str(trades[-4].id)))
    assert [t.id for t in since] == [t.id for t in trades[-3:]]
    candles = rig.read(rest.candles(name, "1m", limit=10))
    assert [c.ts_open for c in candles] == [b.open_ts for b in rig.exchange.bars(name, "1m", limit=10)]
    assert [c.closed for c in candles] == [True] * 9 + [False]
    (ticker,) = rig.read(rest.tickers([name]))
    assert ticker.last == float(spec.price_text(rig.exchange.day(name).last))
    if market == "contract":
        now = rig.exchange.now
        ranged = rig.read(rest.candles(name, "1m", start=now - 600 * SECOND, end=now))
        assert [c.ts_open for c in ranged] == [
            b.open_ts for b in rig.exchange.bars(name, "1m", start=now - 600 * SECOND, end=now)
        ]
        (interest,) = rig.read(rest.poll(Subscription("open_interest", name)))
        assert interest.size == float(spec.size_text(rig.exchange.perpetual(name).open_interest))
        (funding,) = rig.read(rest.poll(Subscription("funding", name)))
        state = rig.exchange.perpetual(name)
        assert (funding.rate, funding.ts_next) == (state.rate_e8 / 1e8, state.next_funding)


def test_the_trade_ids_of_the_socket_are_those_of_http() -> None:
    rig = Rig("spot")
    conn = rig.attach(Subscription("trades", "BTC/USDT"))
    rig.run(5)
    said = [o.id for o in rig.outputs[conn] if isinstance(o, Trade)]
    asked = [row["id"] for row in rig.get("/api/v3/market/trades?symbol=BTCUSDT&limit=1000")]
    assert said
    assert set(said) <= set(asked)


def test_the_wrong_chain_setting_shows_as_a_gap() -> None:
    rig = Rig("spot", settings={"chain": "next"})
    conn = rig.attach(Subscription("book", "BTC/USDT"), market=spot(Settings(chain="equal")))
    join = BookJoin(SPOT.book_rule, "weex", "BTC/USDT")
    join.start()
    rig.run(3)
    books_of(rig, conn, "BTC/USDT", join)
    assert join.want == "resubscribe"


def test_an_unknown_market_is_a_key_error() -> None:
    rig = Rig("spot")
    with pytest.raises(KeyError):
        face(rig.exchange, "margin", FaceOptions(faults=rig.faults))
