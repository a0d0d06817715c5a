"""The simulated market: one truth, seeded, in exact integers."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime

import pytest

from unitape.errors import ConfigError
from unitape.sim.candles import candle_start, next_candle
from unitape.sim.exchange import SimExchange
from unitape.sim.instruments import coins
from unitape.spi.simulation import BookChange, ForcedOrder, Settlement, SimTrade, fixed

START = 1_793_923_200_000_000_000
SECOND = 1_000_000_000
MINUTE = 60 * SECOND
SEEDS = [1, 2, 77]


def exchange(seed=1, *, linear=False, symbols=3, name="x/spot", **options):
    return SimExchange(name, coins(symbols), linear=linear, seed=seed, start=START, **options)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_journal_replays_to_the_books(seed):
    market = exchange(seed)
    opening = market.cursor
    books = {spec.symbol: {"buy": {}, "sell": {}} for spec in market.instruments}
    seqs = {}
    market.advance(START + 120 * SECOND)
    for event in market.events(0):
        if isinstance(event, BookChange):
            side = books[event.symbol][event.side]
            assert side.get(event.price, 0) == event.before, (seed, event)
            assert event.seq == seqs.get(event.symbol, event.seq - 1) + 1, (seed, event)
            seqs[event.symbol] = event.seq
            side[event.price] = event.size
    assert market.cursor > opening + 1_000
    for symbol, sides in books.items():
        image = market.book(symbol)
        assert image.seq == seqs[symbol]
        assert dict(image.bids) == {p: s for p, s in sides["buy"].items() if s}, seed
        assert dict(image.asks) == {p: s for p, s in sides["sell"].items() if s}, seed
        assert list(image.bids) == sorted(image.bids, reverse=True)
        assert list(image.asks) == sorted(image.asks)
        assert image.bids[0][0] < image.asks[0][0], seed


@pytest.mark.parametrize("seed", SEEDS)
def test_a_level_loses_what_is_traded_from_it(seed):
    market = exchange(seed)
    market.advance(START + 60 * SECOND)
    traded = {}
    trades = 0
    for event in market.events(0):
        if isinstance(event, SimTrade):
            key = (event.symbol, event.seq)
            traded[key] = traded.get(key, 0) + event.size
            trades += 1
        elif isinstance(event, BookChange) and (event.symbol, event.seq) in traded:
            assert event.before - event.size == traded.pop((event.symbol, event.seq)), (seed, event)
    assert traded == {}
    assert trades > 50


def test_trade_ids_have_no_hole_and_times_do_not_go_back():
    market = exchange(4)
    market.advance(START + 60 * SECOND)
    for spec in market.instruments:
        trades = market.trades(spec.symbol, 10_000)
        assert [t.id for t in trades] == list(range(50_000_000, 50_000_000 + len(trades)))
        assert all(a.ts <= b.ts for a, b in itertools.pairwise(trades))
        assert START <= trades[0].ts <= trades[-1].ts <= START + 60 * SECOND
        assert market.trades_from(spec.symbol, 50_000_003, 2) == trades[3:5]


@pytest.mark.parametrize("seed", SEEDS)
def test_candles_and_the_day_are_the_sums_of_trades(seed):
    market = exchange(seed, linear=True, name="x/usdm")
    market.advance(START + 150 * SECOND)
    symbol = market.instruments[0].symbol
    trades = market.trades(symbol, 10_000)
    bars = market.bars(symbol, "1m", start=START, limit=10)
    assert [bar.open_ts for bar in bars] == [START, START + MINUTE, START + 2 * MINUTE]
    for bar in bars:
        inside = [t for t in trades if bar.open_ts <= t.ts < bar.close_ts]
        assert (bar.open, bar.close) == (inside[0].price, inside[-1].price), seed
        assert bar.high == max(t.price for t in inside)
        assert bar.low == min(t.price for t in inside)
        assert bar.volume == sum(t.size for t in inside)
        assert bar.amount == sum(t.price * t.size for t in inside)
        assert bar.taker_volume == sum(t.size for t in inside if t.taker == "buy")
        assert (bar.trades, bar.first_id, bar.last_id) == (len(inside), inside[0].id, inside[-1].id)
    seconds = market.bars(symbol, "1s", start=START, limit=1_000)
    assert sum(bar.volume for bar in seconds) == sum(t.size for t in trades)
    day = market.day(symbol)
    minutes = market.bars(symbol, "1m", limit=1_440)
    assert day.volume == sum(bar.volume for bar in minutes), seed
    assert day.high == max(bar.high for bar in minutes)
    assert day.low == min(bar.low for bar in minutes)
    assert day.open == minutes[0].open
    assert day.trades == day.last_id - day.first_id + 1 == sum(bar.trades for bar in minutes)


def test_the_day_moves_along_as_minutes_pass():
    market = exchange(9, rate=1.0)
    symbol = market.instruments[0].symbol
    for minute in range(1, 8):
        market.advance(START + minute * MINUTE)
        day, minutes = market.day(symbol), market.bars(symbol, "1m", limit=1_440)
        assert day.volume == sum(bar.volume for bar in minutes)
        assert (day.high, day.low) == (max(b.high for b in minutes), min(b.low for b in minutes))


def test_larger_candles_are_made_of_smaller_ones():
    market = exchange(3)
    market.advance(START + 10 * SECOND)
    symbol = market.instruments[0].symbol
    hour = market.bars(symbol, "1h", start=START - 3_600 * SECOND, limit=1)[0]
    minutes = market.bars(symbol, "1m", start=START - 3_600 * SECOND, end=START, limit=60)
    assert len(minutes) == 60
    assert hour.open == minutes[0].open
    assert hour.close == minutes[-1].close
    assert hour.volume == sum(bar.volume for bar in minutes)
    assert all(a.close == b.open for a, b in itertools.pairwise(minutes))
    assert all(a.last_id + 1 == b.first_id for a, b in itertools.pairwise(minutes))
    assert all(bar.low <= min(bar.open, bar.close) <= max(bar.open, bar.close) <= bar.high for bar in minutes)


def ns(*date):
    return int(datetime(*date, tzinfo=UTC).timestamp()) * SECOND


@pytest.mark.parametrize(
    ("interval", "opens", "ends"),
    [
        ("5m", ns(2026, 11, 6, 13, 35), ns(2026, 11, 6, 13, 40)),
        ("4h", ns(2026, 11, 6, 12), ns(2026, 11, 6, 16)),
        ("1d", ns(2026, 11, 6), ns(2026, 11, 7)),
        ("1w", ns(2026, 11, 2), ns(2026, 11, 9)),
        ("1M", ns(2026, 11, 1), ns(2026, 12, 1)),
    ],
)
def test_candles_open_where_the_calendar_says(interval, opens, ends):
    moment = ns(2026, 11, 6, 13, 37, 12)
    assert candle_start(moment, interval) == opens
    assert next_candle(opens, interval) == ends


def test_the_same_seed_gives_the_same_market_however_it_is_advanced():
    once, sliced, other = exchange(5, linear=True), exchange(5, linear=True), exchange(6, linear=True)
    once.advance(START + 40 * SECOND)
    other.advance(START + 40 * SECOND)
    for n in range(400):
        sliced.advance(START + n * SECOND // 10)
    sliced.advance(START + 40 * SECOND)
    assert once.events(0) == sliced.events(0)
    assert once.events(0) != other.events(0)


def test_two_venues_of_one_seed_trade_around_the_same_price_with_their_own_orders():
    one, two = exchange(5, name="a/spot"), exchange(5, name="b/spot")
    for market in (one, two):
        market.advance(START + 300 * SECOND)
    assert one.book("BTC/USDT") != two.book("BTC/USDT")
    middle = [(m.best("BTC/USDT").bid + m.best("BTC/USDT").ask) / 2 for m in (one, two)]
    assert abs(middle[0] / middle[1] - 1) < 0.002


@pytest.mark.parametrize("lag", [0.5, 2.0, 9.0])
def test_a_lagging_book_is_the_book_of_then(lag):
    market = exchange(8)
    kept = []
    for n in range(200):
        market.advance(START + n * SECOND // 10)
        kept.append((market.now, market.book("BTC/USDT")))
    then = max(image for image in kept if image[0] <= market.now - round(lag * SECOND))[1]
    late = market.book("BTC/USDT", lag=lag)
    assert (late.seq, late.bids, late.asks) == (then.seq, then.bids, then.asks)
    assert late.seq < market.book("BTC/USDT").seq


def test_perpetuals_settle_funding_every_eight_hours():
    market = exchange(2, linear=True, symbols=1, rate=0.05)
    state = market.perpetual("BTC/USDT:USDT")
    assert state.next_funding == START + 8 * 3_600 * SECOND
    cursor = market.cursor
    market.advance(START + 24 * 3_600 * SECOND)
    settled = [event for event in market.events(cursor) if isinstance(event, Settlement)]
    assert [s.ts - START for s in settled] == [8 * 3_600 * SECOND, 16 * 3_600 * SECOND, 24 * 3_600 * SECOND]
    assert list(market.settlements("BTC/USDT:USDT", start=START + 1)) == settled
    assert all(abs(s.rate_e8) <= 60_000 for s in settled)
    assert abs(state.mark_e8 / state.index_e8 - 1) <= 0.0005


def test_liquidations_are_told_with_their_trades():
    market = exchange(3, linear=True)
    market.advance(START + 300 * SECOND)
    events = market.events(0)
    forced = [(at, event) for at, event in enumerate(events) if isinstance(event, ForcedOrder)]
    assert len(forced) > 3
    for at, order in forced:
        trades = []
        for event in reversed(events[:at]):
            if not isinstance(event, SimTrade | BookChange) or event.symbol != order.symbol or event.ts != order.ts:
                break
            if isinstance(event, SimTrade) and (not trades or event.taker_order == trades[0].taker_order):
                trades.append(event)
        assert sum(t.size for t in trades) == order.filled <= order.size
        assert sum(t.size * t.price for t in trades) == order.notional
        assert {t.taker for t in trades} == {order.side}


def test_an_order_of_ours_trades_in_the_market():
    market = exchange(1)
    ask, size = market.best("BTC/USDT").ask, market.best("BTC/USDT").ask_size
    done = market.submit("BTC/USDT", 42, "buy", ask, size + 5)
    assert (done.filled, done.resting) == (size, 5)
    assert market.best("BTC/USDT").bid == ask
    hit = market.submit("BTC/USDT", 43, "sell", None, 2, "ioc")
    assert [(m.maker_owner, m.size, m.maker_left) for m in hit.matches] == [(42, 2, 3)]
    assert market.cancel("BTC/USDT", done.order)
    assert not market.cancel("BTC/USDT", done.order)


def test_a_paused_market_rests_while_its_clock_and_funding_go_on():
    market = exchange(2, linear=True)
    market.advance(START + 10 * SECOND)
    market.pause_agents()
    image, cursor = market.book("BTC/USDT:USDT"), market.cursor
    market.advance(START + 9 * 3_600 * SECOND)
    assert market.now == START + 9 * 3_600 * SECOND
    assert market.book("BTC/USDT:USDT") == image
    assert {type(event) for event in market.events(cursor)} == {Settlement}
    market.resume_agents()
    cursor = market.cursor
    market.advance(START + 9 * 3_600 * SECOND + 10 * SECOND)
    assert len(market.events(cursor)) > 100
    assert market.events(cursor)[0].ts > START + 9 * 3_600 * SECOND


def test_the_venues_clock_jumps_and_the_market_goes_on():
    market = exchange(1)
    market.advance(START + SECOND)
    market.jump(-30 * SECOND)
    market.advance(START + 20 * SECOND)
    assert market.now == START - 10 * SECOND
    last = market.trades("BTC/USDT", 1)[0]
    assert START - 12 * SECOND < last.ts <= market.now
    assert market.bars("BTC/USDT", "1m", limit=1)


def test_the_journal_stays_bounded_and_says_when_it_no_longer_reaches_back():
    market = exchange(1, symbols=1, rate=600.0)
    for n in range(1, 400):
        market.advance(START + n * SECOND)
    assert market.cursor > 300_000
    assert len(market._journal) <= 200_000 + 5_000
    with pytest.raises(LookupError, match="the journal starts at"):
        market.events(0)
    assert len(market.events(market.cursor - 10)) == 10


def test_as_many_instruments_as_wanted():
    names = [coin.base for coin in coins(300)]
    assert len(set(names)) == 300
    assert names[:3] == ["BTC", "ETH", "SOL"]
    assert [coin.base for coin in coins(("ETH", "XYZ"))] == ["ETH", "XYZ"]
    with pytest.raises(ConfigError, match="distinct"):
        coins(("BTC", "BTC"))


@pytest.mark.parametrize(
    ("value", "scale", "digits", "text"),
    [
        (9_641_237, 2, 8, "96412.37000000"),
        (5, 3, None, "0.005"),
        (-81_211, 2, None, "-812.11"),
        (-5, 3, 8, "-0.00500000"),
        (42, 0, None, "42"),
        (42, 0, 2, "42.00"),
        (0, 2, None, "0.00"),
    ],
)
def test_numbers_are_written_exactly(value, scale, digits, text):
    assert fixed(value, scale, digits) == text
