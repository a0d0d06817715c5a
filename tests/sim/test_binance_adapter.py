"""Our own adapter on the simulated Binance, judged by the matching engine: two readings of one sheet must agree."""

from __future__ import annotations

import itertools

import pytest

from tests.sim.rig import Rig
from unitape.sim.exchange import SimExchange
from unitape.spi import Confirmed, DepthUpdate, HttpResponse, Instruments, Refused
from unitape.spi.simulation import ForcedOrder, SimTrade, Text
from unitape_binance import VENUE
from unitape_schemas import Candle, Funding, Liquidation, MarkPrice, Quote, Subscription, Ticker, TopBook, Trade

MARKETS = {"spot": "BTC/USDT", "usdm": "BTC/USDT:USDT"}


class Wire:
    """A session of the adapter on one route, fed by hand."""

    def __init__(self, rig, market, instruments, route, subscriptions):
        self.rig = rig
        self.session = market.session(instruments, route)
        url = market.endpoints["live"].ws[route]
        self.conn = rig.connect("/" + url.split("/", 3)[3])
        self.read = 0
        self.outputs = []
        self.session.on_open()
        self.session.subscribe(subscriptions)
        self.exchange()

    def exchange(self):
        """Carry what waits in both directions."""
        outbox = self.session.outbox
        for message in list(outbox):
            self.rig.send(self.conn, message.encode() if isinstance(message, str) else message)
        outbox.clear()
        for delivery in self.rig.seen[self.conn][self.read :]:
            if isinstance(delivery, Text):
                self.outputs.extend(self.session.on_frame(delivery.data, self.rig.clock.wall()))
        self.read = len(self.rig.seen[self.conn])

    def of(self, kind, symbol=None):
        return [o for o in self.outputs if isinstance(o, kind) and (symbol is None or o.symbol == symbol)]


def rest(rig, market, query):
    reply = rig.host.http(query.request)
    assert isinstance(reply.response, HttpResponse)
    return query.read(reply.response, rig.clock.wall())


def open_market(name, seed, rate=40.0):
    rig = Rig(name, seed=seed, rate=rate)
    market = VENUE.market(name)
    instruments = Instruments(rest(rig, market, market.rest(Instruments()).instruments()))
    return rig, market, instruments


def follow(rig, market, instruments, subscriptions, seconds):
    routes = {}
    for subscription in subscriptions:
        routes.setdefault(market.channels[subscription.channel].route, []).append(subscription)
    wires = [Wire(rig, market, instruments, route, wanted) for route, wanted in routes.items()]
    for _ in range(seconds):
        rig.run(1)
        for wire in wires:
            wire.exchange()
    return wires


def number(text):
    return float(text)


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("name", list(MARKETS))
def test_instruments_have_the_steps_of_the_exchange(name, seed):
    rig, _, instruments = open_market(name, seed)
    assert isinstance(rig.exchange, SimExchange)
    for spec in rig.exchange.instruments:
        found = instruments.require(spec.symbol)
        assert (found.tick, found.step) == (spec.tick, spec.step)
        assert (found.base, found.quote, found.settle) == (spec.base, spec.quote, spec.settle)
        assert (found.status, found.kind) == ("trading", "linear" if name == "usdm" else "spot")


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("name", list(MARKETS))
def test_trades_and_books_are_those_of_the_matching_engine(name, seed):
    rig, market, instruments = open_market(name, seed)
    symbol = MARKETS[name]
    cursor = rig.exchange.cursor
    wires = follow(rig, market, instruments, [Subscription("trades", symbol), Subscription("book", symbol)], 20)
    events = [o for wire in wires for o in wire.outputs]
    assert not [o for o in events if isinstance(o, Refused)], seed
    assert {s.channel for o in events if isinstance(o, Confirmed) for s in o.subscriptions} == {"trades", "book"}

    spec = rig.exchange.instrument(symbol)
    truth = [e for e in rig.exchange.events(cursor) if isinstance(e, SimTrade) and e.symbol == symbol]
    trades = [o for o in events if isinstance(o, Trade)]
    sizes = {"traded": sum(t.size for t in truth), "told": sum(t.size for t in trades)}
    assert sizes["told"] == pytest.approx(float(spec.size_text(sizes["traded"]))), seed
    told = {(t.side, t.price, t.ts_event) for t in trades}
    assert told == {(t.taker, number(spec.price_text(t.price)), t.ts // 1_000_000 * 1_000_000) for t in truth}, seed

    updates = [o for o in events if isinstance(o, DepthUpdate) and not o.snapshot]
    assert len(updates) > 50
    snapshot = rest(rig, market, market.rest(instruments).depth(symbol))
    assert snapshot.seq >= updates[-1].seq
    image = rig.exchange.book(symbol)
    levels = [(number(spec.price_text(p)), number(spec.size_text(s))) for p, s in image.bids]
    assert list(snapshot.bids) == levels[: len(snapshot.bids)]
    rule = market.book_rule
    for before, after in itertools.pairwise(updates):
        assert rule.follow(before, after).name == "APPLY", seed


@pytest.mark.parametrize("name", list(MARKETS))
def test_every_other_channel_speaks(name):
    rig, market, instruments = open_market(name, 3, rate=100.0)
    symbol = MARKETS[name]
    wanted = {
        "quotes": Quote,
        "top": TopBook,
        "ticker": Ticker,
        "candles": Candle,
        "mark_price": MarkPrice,
        "funding": Funding,
        "liquidations": Liquidation,
    }
    served = {spec.channel for spec in market.channels.values() if spec.poll is None}
    subscriptions = [
        Subscription(channel, symbol, interval="1m" if channel == "candles" else None)
        for channel in wanted
        if channel in served
    ]
    cursor = rig.exchange.cursor
    wires = follow(rig, market, instruments, subscriptions, 70)
    for subscription in subscriptions:
        events = [o for wire in wires for o in wire.of(wanted[subscription.channel], symbol)]
        assert events, subscription
    spec = rig.exchange.instrument(symbol)
    candles = [o for wire in wires for o in wire.of(Candle, symbol)]
    closed = [c for c in candles if c.closed]
    bar = rig.exchange.bars(symbol, "1m", start=closed[0].ts_open, limit=1)[0]
    assert (closed[0].open, closed[0].high, closed[0].low, closed[0].close) == tuple(
        number(spec.price_text(p)) for p in (bar.open, bar.high, bar.low, bar.close)
    )
    assert (closed[0].ts_close, closed[0].trades) == (bar.close_ts, bar.trades)
    forced = {e.side for e in rig.exchange.events(cursor) if isinstance(e, ForcedOrder) and e.symbol == symbol}
    told = {o.side for wire in wires for o in wire.of(Liquidation, symbol)}
    assert told <= forced


@pytest.mark.parametrize("name", list(MARKETS))
def test_queries_read_what_the_simulator_answers(name):
    rig, market, instruments = open_market(name, 2)
    rig.run(20)
    symbol, queries, exchange = MARKETS[name], market.rest(instruments), rig.exchange
    spec = exchange.instrument(symbol)
    assert rest(rig, market, queries.time()) == exchange.now // 1_000_000 * 1_000_000
    ticker = rest(rig, market, queries.tickers([symbol]))[0]
    day = exchange.day(symbol)
    assert (ticker.last, ticker.high) == (number(spec.price_text(day.last)), number(spec.price_text(day.high)))
    bars = exchange.bars(symbol, "5m", limit=7)
    candles = rest(rig, market, queries.candles(symbol, "5m", limit=7))
    assert [(c.ts_open, c.ts_close, c.close) for c in candles] == [
        (b.open_ts, b.close_ts, number(spec.price_text(b.close))) for b in bars
    ]
    if name == "usdm":
        history = rest(rig, market, queries.funding_history(symbol, limit=3))
        assert [(f.ts_event, f.rate) for f in history] == [
            (s.ts, pytest.approx(s.rate_e8 / 1e8)) for s in exchange.settlements(symbol, limit=3)
        ]
