"""Bytes that are wrong: nothing but WireError comes out of them, and never a number that the frame does not hold."""

from __future__ import annotations

import json
import random
from decimal import Decimal

import pytest

from tests.binance.test_payloads import MARK, SPOT_CASES, SPOT_MORE, USDM_CASES, USDM_MORE, framed
from unitape.errors import WireError
from unitape.spi import DepthUpdate, Instruments
from unitape_binance import SPOT, USDM
from unitape_schemas import Candle, Funding, Liquidation, MarkPrice, Quote, Subscription, Ticker, TopBook, Trade

MARKETS = {"spot": SPOT, "usdm": USDM}
FRAMES = {
    "spot": [framed(stream, payload) for stream, (payload, _) in (SPOT_CASES | SPOT_MORE).items()],
    "usdm": [framed(stream, payload) for stream, (payload, _) in (USDM_CASES | USDM_MORE).items()]
    + [framed("btcusdt@markPrice@1s", MARK), framed("!markPrice@arr@1s", f"[{MARK},{MARK}]")],
}
SEED = 20261121
ROUNDS = 30_000


def sessions(name):
    market = MARKETS[name]
    symbol = "BTC/USDT" if name == "spot" else "BTC/USDT:USDT"
    made = {}
    for channel, spec in market.channels.items():
        if spec.poll is None:
            session = made.setdefault(spec.route, market.session(Instruments(market.catalogue), spec.route))
            interval = spec.intervals[1] if spec.intervals else None
            for depth in spec.depths or (None,):
                session.subscribe([Subscription(channel, symbol, interval=interval, depth=depth)])
            if spec.all_symbols:
                session.subscribe([Subscription(channel, "*", market=name)])
    return list(made.values())


# The oracle: the standard library's parser and these tables, typed from the venue's pages.
NUMBERS = {
    Trade: {"price": "p", "size": "q"},
    Quote: {"bid": "b", "bid_size": "B", "ask": "a", "ask_size": "A", "seq": "u"},
    Ticker: {
        "last": "c",
        "open": "o",
        "high": "h",
        "low": "l",
        "volume": "v",
        "quote_volume": "q",
        "change_pct": "P",
        "bid": "b",
        "bid_size": "B",
        "ask": "a",
        "ask_size": "A",
    },
    Candle: {
        "open": "o",
        "high": "h",
        "low": "l",
        "close": "c",
        "volume": "v",
        "quote_volume": "q",
        "trades": "n",
    },
    MarkPrice: {"mark": "p", "index": "i"},
    Funding: {"rate": "r"},
    Liquidation: {"price": "ap", "size": "q"},
}


def same(value, wire):
    return value is None or float(value) == float(wire)


def same_time(value, *wires):
    return value == 0 or any(value == int(Decimal(str(wire))) * 1_000_000 for wire in wires if wire is not None)


def levels(rows):
    return [(float(price), float(size)) for price, size in rows]


def truth(wire):
    return wire in (True, 1, "1", "true", "True", "TRUE")


def holds(event, row):
    """Tell whether the event says what the row of the frame says."""
    outer, inner = row, row
    if isinstance(event, Candle):
        inner = row["k"]
        assert event.ts_open == int(inner["t"]) * 1_000_000
        assert event.ts_close == (int(inner["T"]) + 1) * 1_000_000
        assert event.interval == inner["i"]
        assert event.closed == truth(inner["x"])
    if isinstance(event, Liquidation):
        inner = row["o"]
        assert event.side == inner["S"].lower()
    if isinstance(event, Trade):
        assert event.side == ("sell" if truth(row["m"]) else "buy")
        assert event.id is None or event.id == str(int(row.get("t", row.get("a"))))
    if isinstance(event, DepthUpdate | TopBook):
        assert list(event.bids) == levels(row["b"] if "b" in row else row["bids"])
        assert list(event.asks) == levels(row["a"] if "a" in row else row["asks"])
        assert event.seq == int(row["u"] if "u" in row else row["lastUpdateId"])
    if isinstance(event, DepthUpdate):
        assert event.prev_seq is None or event.prev_seq == int(row["pu"])
        assert event.first_seq is None or event.first_seq == int(row["U"])
    for field, key in NUMBERS.get(type(event), {}).items():
        if key in inner or getattr(event, field) is not None:
            value, wire = getattr(event, field), inner[key]
            if isinstance(event, Liquidation) and field == "price" and float(wire) == 0:
                wire = inner["p"]
            assert same(value, wire), (field, value, wire)
    assert same_time(event.ts_sent, outer.get("E"))
    assert same_time(event.ts_event, inner.get("T"), outer.get("T"), outer.get("C"))
    return True


def held(event, row):
    try:
        return holds(event, row)
    except (AssertionError, LookupError, TypeError, ValueError):
        return False


def judge(data, outputs):
    events = [output for output in outputs if hasattr(output, "ts_recv")]
    if not events:
        return 0
    parsed = json.loads(data.decode("utf-8"), strict=False)
    payload = parsed["data"] if "data" in parsed and "stream" in parsed else parsed
    rows = payload if isinstance(payload, list) else [payload]
    # The stream of one symbol says whose row it is; ``st`` sorts the rows of all symbols.
    of_one = isinstance(payload, dict) and not parsed.get("stream", "").startswith("!")
    kept = [row for row in rows if of_one or row.get("st", 1) in (1, "1", 1.0)]
    if len(kept) == 1:
        assert all(holds(event, kept[0]) for event in events)
    else:
        # Rows may be dropped or named only, so each event has to be found in one of them.
        assert all(any(held(event, row) for row in kept) for event in events)
    return len(events)


TOKENS = [
    b'"nan"', b'"inf"', b"NaN", b"Infinity", b'"-1"', b"-1", b'"1e17"', b'"1e18"', b"1e400", b'""', b"null", b"true",
    b"{}", b"[]", b"[[", b"99999999999999999999", b'"\xff"', b"\x00", b'"\\ud800"', b",,", b'"0x10"', b'"1,5"', b"1.",
]  # fmt: skip


def mutated(rng, frame, others):
    data = bytearray(frame)
    for _ in range(rng.choice((1, 1, 1, 2, 5))):
        at = rng.randrange(len(data) + 1)
        match rng.randrange(9):
            case 0:
                data[at : at + 1] = bytes([rng.randrange(256)])
            case 1:
                del data[at : at + rng.randrange(1, 8)]
            case 2:
                data[at:at] = bytes(rng.randrange(32, 127) for _ in range(rng.randrange(1, 4)))
            case 3:
                del data[at:]
            case 4:
                data[at:at] = data[at : at + rng.randrange(1, 40)]
            case 5:
                data[at : at + rng.randrange(12)] = rng.choice(TOKENS)
            case 6:
                other = rng.choice(others)
                start = rng.randrange(len(other))
                data[at : at + 20] = other[start : start + 20]
            case _:
                digits = [i for i, byte in enumerate(data) if 48 <= byte <= 57]
                if digits:
                    data[rng.choice(digits)] = rng.choice(b'0123456789.-eE" ')
        if not data:
            data[:] = b" "
    return bytes(data)


@pytest.mark.parametrize("name", MARKETS)
def test_mutated_frames_give_wire_errors_or_what_they_hold(name):
    rng = random.Random(SEED)
    codec = MARKETS[name].codec(Instruments(MARKETS[name].catalogue))
    connections = sessions(name)
    frames = [text.encode() for text in FRAMES[name]]
    events = errors = 0
    for number in range(ROUNDS):
        data = mutated(rng, rng.choice(frames), frames)
        for read in (codec.decode, *(connection.on_frame for connection in connections)):
            try:
                outputs = read(data, 1)
            except WireError:
                errors += 1
                continue
            try:
                events += judge(data, outputs)
            except (AssertionError, LookupError, TypeError, ValueError) as wrong:
                pytest.fail(f"seed {SEED}, round {number}: {data!r} gave {outputs}: {wrong!r}")
    assert events > ROUNDS / 4, f"seed {SEED}"
    assert errors > ROUNDS, f"seed {SEED}"


def test_the_oracle_notices_a_wrong_number():
    payload, event = SPOT_CASES["btcusdt@trade"]
    row = json.loads(payload)
    assert holds(event, row)
    with pytest.raises(AssertionError):
        holds(event, row | {"p": "96412.38"})
    with pytest.raises(AssertionError):
        holds(event, row | {"m": False})


@pytest.mark.parametrize("name", MARKETS)
def test_every_truncation_is_an_error(name):
    codec = MARKETS[name].codec(Instruments(MARKETS[name].catalogue))
    connections = sessions(name)
    for frame in FRAMES[name]:
        data = frame.encode()
        for end in range(len(data)):
            with pytest.raises(WireError):
                codec.decode(data[:end], 1)
            for connection in connections if end % 16 == 0 else ():
                with pytest.raises(WireError):
                    connection.on_frame(data[:end], 1)


BAD_VALUES = ['"nan"', '"NaN"', '"inf"', '"-1"', "-1", '"1e18"', "1e18", '"1e999"', '""', "null", "true", "[]", '"x"']


@pytest.mark.parametrize("value", BAD_VALUES)
@pytest.mark.parametrize(("name", "stream", "key"), [
    ("spot", "btcusdt@trade", "p"),
    ("spot", "btcusdt@trade", "q"),
    ("spot", "btcusdt@bookTicker", "A"),
    ("spot", "btcusdt@ticker", "v"),
    ("usdm", "btcusdt@aggTrade", "p"),
    ("usdm", "btcusdt@bookTicker", "b"),
    ("usdm", "btcusdt@ticker", "q"),
])  # fmt: skip
def test_numbers_that_are_none(name, stream, key, value):
    payload = json.loads((SPOT_CASES if name == "spot" else USDM_CASES)[stream][0])
    payload[key] = "@@"
    data = framed(stream, json.dumps(payload).replace('"@@"', value)).encode()
    (session, *_) = [s for s in sessions(name) if stream in "".join(s.outbox)]
    for read in (MARKETS[name].codec(Instruments(MARKETS[name].catalogue)).decode, session.on_frame):
        with pytest.raises(WireError):
            read(data, 1)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b" ",
        b"null",
        b"1",
        b'"x"',
        b"{}",
        b"[1]",
        b"[[]]",
        b"<html>",
        b"\xff\xfe\x00",
        b"[" * 200_000,
        b'{"a":' * 200_000,
        b'{"stream":"btcusdt@trade","data":' + b"[" * 200_000,
        b'{"stream":"btcusdt@ticker"}',
        b'{"stream":5,"data":{}}',
        b'{"stream":"btcusdt@trade","data":{"e":"trade","x":"\xff"}}',
        '{"stream":"btcusdt@trade","data":{"x":"\ud800"}}',
        b'{"e":5}',
    ],
)
@pytest.mark.parametrize("name", MARKETS)
def test_what_is_no_message(name, data):
    for read in (
        MARKETS[name].codec(Instruments(MARKETS[name].catalogue)).decode,
        sessions(name)[0].on_frame,
    ):
        with pytest.raises(WireError):
            read(data, 1)


def test_spoilt_text_in_a_field_that_is_skipped_spoils_the_frame():
    frame = FRAMES["spot"][0].encode().replace(b'"M":true', b'"M":"\xff"')
    for read in (SPOT.codec(Instruments(SPOT.catalogue)).decode, sessions("spot")[0].on_frame):
        with pytest.raises(WireError):
            read(frame, 1)


def test_a_frame_of_50_megabytes_is_refused():
    huge = b'{"stream":"btcusdt@depth@100ms","data":{"e":"depthUpdate","b":[' + b'["1","2"],' * 5_000_000
    for data in (huge, huge[:-1] + b"]}}"):
        assert len(data) > 50_000_000
        for read in (SPOT.codec(Instruments(SPOT.catalogue)).decode, sessions("spot")[0].on_frame):
            with pytest.raises(WireError) as caught:
                read(data, 1)
            assert len(caught.value.data) <= 65_536
