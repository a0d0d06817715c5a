"""The toy venue: the interface carries a protocol that looks like none of the real ones."""

from __future__ import annotations

import random

import pytest

from tests.toy.pebble import MARKET, VENUE, PebbleSession, read_pairs
from unitape.errors import ConfigError, Unsupported, WireError
from unitape.spi import Confirmed, DepthUpdate, Fit, HttpResponse, Instruments, Refused
from unitape_schemas import Subscription, Trade

TS = 1_723_075_200_500_000_000
INSTRUMENTS = Instruments(MARKET.catalogue)
TRADES = Subscription("trades", "BTC/EUR")
BOOK = Subscription("book", "BTC/EUR")


def opened() -> PebbleSession:
    session = MARKET.session(INSTRUMENTS, "public")
    assert isinstance(session, PebbleSession)
    session.on_open()
    return session


def test_a_trade_in_lots_becomes_a_trade_in_base_units() -> None:
    (trade,) = MARKET.codec(INSTRUMENTS).decode(b"T BTC-EUR 17 1723075200.125 63001.5 25 B", TS)
    assert trade == Trade("pebble", "BTC/EUR", 1_723_075_200_125_000_000, 0, TS, "17", 63001.5, 0.25, "buy")


def test_lots_convert_as_integers() -> None:
    (trade,) = MARKET.codec(INSTRUMENTS).decode("T BTC-EUR 18 1723075200 63001.5 35 S", TS)
    assert isinstance(trade, Trade)
    assert trade.size == 0.35  # 35 * 0.01 in floats is 0.35000000000000003
    assert trade.side == "sell"


def test_an_image_and_a_change_become_depth_updates() -> None:
    codec = MARKET.codec(INSTRUMENTS)
    (image,) = codec.decode("I BTC-EUR 100 63000:5,62999:2 63001:7", TS)
    (change,) = codec.decode("D BTC-EUR 101 63000:0 -", TS)
    assert isinstance(image, DepthUpdate)
    assert isinstance(change, DepthUpdate)
    assert image.bids == ((63000.0, 0.05), (62999.0, 0.02))
    assert image.asks == ((63001.0, 0.07),)
    assert image.snapshot
    assert change.bids == ((63000.0, 0.0),)
    assert change.asks == ()
    assert MARKET.book_rule.join(image.seq, change) is Fit.APPLY
    assert MARKET.book_rule.follow(change, change) is Fit.STALE
    assert MARKET.book_rule.join(99, change) is Fit.GAP


def test_subscribing_is_confirmed_or_refused_by_number() -> None:
    session = opened()
    session.subscribe([TRADES, BOOK])
    assert session.outbox == ["SUB 1 trades BTC-EUR", "SUB 2 book BTC-EUR"]
    assert session.on_frame("OK 2", TS) == (Confirmed((BOOK,), raw="OK 2"),)
    assert session.on_frame("NO 1 closed today", TS) == (Refused((TRADES,), "closed today", raw="NO 1 closed today"),)
    assert list(session.streams) == [BOOK]
    assert session.on_frame("OK 9", TS) == ()


def test_data_touches_its_own_stream_only() -> None:
    session = opened()
    session.subscribe([TRADES, BOOK])
    session.on_frame(b"T BTC-EUR 17 1723075200.125 63001.5 25 B", TS)
    assert session.streams[TRADES].touched == TS
    assert session.streams[BOOK].touched == 0


def test_a_heartbeat_is_answered_at_once() -> None:
    session = opened()
    assert session.on_frame("? 8", TS) == ()
    assert session.outbox == ["! 8"]


@pytest.mark.parametrize(
    "line",
    [
        "",
        "T",
        "X BTC-EUR",
        "T BTC-EUR 17 1723075200.125 nan 25 B",
        "T BTC-EUR 17 1723075200.125 63001.5 -25 B",
        "T BTC-EUR 17 1723075200.125 63001.5 25 Q",
        "T DOGE-EUR 17 1723075200.125 0.1 25 B",
        "I BTC-EUR 100 63000;5 63001:7",
        "D BTC-EUR x - -",
        b"T BTC-EUR \xff",
    ],
)
def test_what_cannot_be_understood_is_a_wire_error_with_the_bytes(line: str | bytes) -> None:
    with pytest.raises(WireError) as caught:
        MARKET.codec(INSTRUMENTS).decode(line, TS)
    assert caught.value.data == (line.encode() if isinstance(line, str) else line)


def test_mutated_lines_give_typed_errors_only() -> None:
    rng = random.Random(7)
    good = bytearray(b"I BTC-EUR 100 63000:5,62999:2 63001:7")
    codec = MARKET.codec(INSTRUMENTS)
    refused = 0
    for _ in range(5_000):
        line = bytearray(good)
        for _ in range(rng.randrange(1, 4)):
            line[rng.randrange(len(line))] = rng.randrange(256)
        try:
            codec.decode(bytes(line), TS)
        except WireError:
            refused += 1
    assert refused > 1_000


def test_instruments_come_from_the_venues_list() -> None:
    pairs = MARKET.rest(INSTRUMENTS).instruments()
    assert pairs.request.target == "/pairs"
    (dot,) = pairs.read(HttpResponse(200, b"DOT-EUR,0.001,0.5,shut\n"), TS)
    assert (dot.symbol, dot.status, dot.contract_size, dot.ts) == ("DOT/EUR", "halted", (1, 2), TS)
    with pytest.raises(WireError):
        read_pairs(b"<html>", TS)


def test_what_the_venue_lacks_is_said_before_anything_is_sent() -> None:
    with pytest.raises(Unsupported, match="no candles"):
        MARKET.rest(INSTRUMENTS).candles("BTC/EUR", "1m")
    with pytest.raises(ConfigError, match="BTC/USD"):
        VENUE.market_of("BTC/USD:USD")
    with pytest.raises(ConfigError, match="did you mean BTC/EUR"):
        INSTRUMENTS.require("BTC/USD")
