"""Spot pushes: real ones, the sheet's vectors, made-up ones of every kind, and ten thousands of broken ones."""

from __future__ import annotations

import json
import random
import subprocess
import sys

import pytest

from tests.mexc.samples import SENT, depth, samples
from tests.mexc.support import NOW, SPOT, messages, oracle, proto_fields, wrapper
from tests.recordings import RECORDINGS, needs_recordings
from unitape.errors import WireError
from unitape.spi import DepthUpdate, Unmapped
from unitape_mexc import SPOT as MARKET
from unitape_mexc import schema
from unitape_mexc.protobuf import fast_push, plain_prefix
from unitape_schemas import Candle, Quote, TopBook, Trade

SAMPLES = samples()
FRAMES = RECORDINGS / "mexc-spot" / "protobuf-frames" if RECORDINGS else None
VECTORS = RECORDINGS.parent / "venues" / "mexc" / "test_vectors.json" if RECORDINGS else None


def decode(data: bytes, codec=None):
    return list((codec or MARKET.codec(SPOT)).decode(data, NOW))


def test_the_table_says_what_the_proto_file_says():
    table = {}
    for name, fields in schema.MESSAGES.items():
        rows = [field.split(" ") for field in fields.split("; ")]
        table[name] = {int(r[0]): (r[1] if len(r) == 4 else "", r[-2], r[-1]) for r in rows}
    table[schema.WRAPPER] |= {number: ("", kind, field) for number, (field, kind) in schema.BODIES.items()}
    assert table == proto_fields()
    assert "17 June 2026" in (schema.__doc__ or "")


def test_protobuf_is_loaded_by_the_first_push_only():
    code = "import sys, unitape_mexc; print('google.protobuf' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "False"


@needs_recordings
@pytest.mark.parametrize(
    "name",
    [
        "book-ticker-100ms-hypeusdt",
        "book-ticker-10ms-btcusdt",
        "deals-100ms-btcusdt-20260727",
        "kline-min1-btcusdt",
        "limit-depth-5-btcusdt",
    ],
)
def test_real_frames_say_what_is_written_beside_them(name):
    data = (FRAMES / f"{name}.bin").read_bytes()
    said = json.loads((FRAMES / f"{name}.json").read_text())["decoded"]
    base = said["symbol"].removesuffix("USDT")
    head = ("mexc", f"{base}/USDT", said.get("createTime", 0) * 1_000_000, said.get("sendTime", 0) * 1_000_000, NOW)
    match said:
        case {"publicAggreBookTicker": b}:
            numbers = (float(b[k]) for k in ("bidPrice", "bidQuantity", "askPrice", "askQuantity"))
            expected = [Quote(*head, *numbers, int(b["version"]))]
        case {"publicAggreDeals": {"deals": deals}}:
            expected = [
                Trade(
                    *head[:2], d["time"] * 1_000_000, *head[3:], d["tradeId"], float(d["price"]),
                    float(d["quantity"]), {1: "buy", 2: "sell"}[d["tradeType"]],
                )
                for d in deals
            ]  # fmt: skip
        case {"publicSpotKline": k}:
            prices = (float(k[f]) for f in ("openingPrice", "highestPrice", "lowestPrice", "closingPrice"))
            times = (k["windowStart"] * 10**9, k["windowEnd"] * 10**9)
            expected = [Candle(*head, "1m", *times, *prices, float(k["volume"]), float(k["amount"]), None, False)]
        case {"publicLimitDepths": b}:
            bids, asks = (tuple((float(x["price"]), float(x["quantity"])) for x in b[s]) for s in ("bids", "asks"))
            expected = [TopBook(*head, bids, asks, 5, int(b["version"]))]
    assert decode(data) == expected


@needs_recordings
def test_the_vectors_of_the_sheet():
    vectors = json.loads(VECTORS.read_text())["protobuf_frames"]
    seen = set()
    for vector in vectors:
        said = vector["expected"]
        data = bytes.fromhex(vector["hex"])
        outputs = decode(data)
        seen.add(said["body"])
        match said["body"], outputs:
            case "publicAggreBookTicker", [Quote() as quote]:
                assert (quote.bid, quote.bid_size, quote.ask, quote.ask_size, quote.seq) == (
                    60000.10, 0.5, 60000.11, 1.25, 81721676217,
                )  # fmt: skip
                assert quote.ts_sent == said["sendTime"] * 1_000_000
            case "publicAggreDepths", [DepthUpdate() as update]:
                assert update.asks == ((60000.5, 0.0),)
                assert update.bids == ((60000.1, 0.75), (59999.99, 2.0))
                assert (update.first_seq, update.seq, update.prev_seq) == (10589632359, 10589632361, None)
                assert update.ts_sent == said["sendTime"] * 1_000_000
            case "publicAggreDeals", [Trade() as trade]:
                deal = said["deals"][0]
                assert (trade.price, trade.size, trade.side, trade.id) == (60000.11, 0.01, "buy", deal["tradeId"])
                assert trade.ts_event == deal["time"] * 1_000_000
            case "publicSpotKline", [Candle() as candle]:
                assert (candle.open, candle.high, candle.low, candle.close) == (59990, 60010, 59980.5, 60000.11)
                assert (candle.volume, candle.quote_volume, candle.interval) == (3.125, 187500.34, "1m")
                assert (candle.ts_open, candle.ts_close) == (1792999980 * 10**9, 1793000040 * 10**9)
                assert (candle.ts_event, candle.ts_sent) == (said["createTime"] * 1_000_000, 0)
            case "privateOrders", [Unmapped(name="privateOrders")]:
                order = schema.parser(schema.WRAPPER)(data).privateOrders
                names = [name for name in said if name not in ("channel", "symbol", "sendTime", "body")]
                assert {name: getattr(order, name) for name in names} == {name: said[name] for name in names}
            case other:
                pytest.fail(f"{other}")
    assert len(seen) == len(vectors) == 5


@pytest.mark.parametrize("name", SAMPLES)
def test_every_kind_says_what_upb_says(name):
    assert decode(SAMPLES[name]) == oracle(SAMPLES[name])


def test_an_empty_depth_body_says_no_version():
    push = wrapper(channel="spot@public.aggre.depth.v3.api.pb@100ms@BTCUSDT", symbol="BTCUSDT", sendTime=SENT)
    push.publicAggreDepths.SetInParent()
    codec = MARKET.codec(SPOT)
    assert decode(SAMPLES["depth"], codec)
    with pytest.raises(WireError, match="version"):
        decode(push.SerializeToString() + b"\xca\x13\x00", codec)
    with pytest.raises(WireError, match="version"):
        decode(push.SerializeToString(), codec)


def test_what_the_kinds_mean():
    assert [(q.bid_size, q.seq) for q in decode(SAMPLES["quote batch"])] == [
        (0.5, None),
        (1.5, None),
        (2.5, 81721676230),
    ]
    first, second = decode(SAMPLES["increase batch"])
    assert (first.first_seq, first.seq, second.first_seq, second.seq) == (10589632362,) * 2 + (10589632363,) * 2
    (ticker,) = decode(SAMPLES["ticker"])
    assert (ticker.change_pct, ticker.volume, ticker.quote_volume, ticker.open) == (-0.07, 13612.45, 812345678.12, None)
    assert [t.symbol for t in decode(SAMPLES["tickers"])] == ["BTC/USDT", "ETH/USDT"]
    assert decode(SAMPLES["no body"]) == []
    assert decode(SAMPLES["old deals"])[0].id is None


def test_a_ticker_of_another_time_zone_has_no_change_over_24_hours():
    push = wrapper(channel="spot@public.miniTicker.v3.api.pb@BTCUSDT@UTC+8", symbol="BTCUSDT")
    push.publicMiniTicker.symbol, push.publicMiniTicker.price, push.publicMiniTicker.zonedRate = "BTCUSDT", "1", "0.5"
    (ticker,) = decode(push.SerializeToString())
    assert (ticker.last, ticker.change_pct, ticker.high) == (1.0, None, None)


@pytest.mark.parametrize("levels", [0, 1, 2, 19, 20, 63, 128, 200])
def test_the_fast_way_reads_what_upb_reads(levels):
    for seed in range(30):
        data = depth(levels, seed)
        assert decode(data) == oracle(data), f"seed {seed}"
    event = b"spot@public.aggre.depth.v3.api.pb@100ms"
    assert (fast_push(depth(levels, 1), plain_prefix(event + b"@BTCUSDT", b"BTCUSDT"), 313) is None) == (levels > 128)


@pytest.mark.parametrize(
    ("price", "quantity"),
    [
        ("0.000000000012345", "123456789012345.12"),
        ("0.00000000000000000000000000000001", "99999999999999999.5"),
        ("1" + "0" * 17, "0." + "0" * 40 + "1"),
        ("60000", "0"),
        ("1e5", "1.5E-7"),
    ],
)
def test_long_and_odd_numbers(price, quantity):
    push = wrapper(channel="spot@public.aggre.depth.v3.api.pb@100ms@BTCUSDT", symbol="BTCUSDT")
    push.publicAggreDepths.asks.add(price=price, quantity=quantity)
    push.publicAggreDepths.fromVersion = push.publicAggreDepths.toVersion = "7"
    push.publicAggreDepths.eventType = "spot@public.aggre.depth.v3.api.pb@100ms"
    (update,) = decode(push.SerializeToString())
    assert update.asks == ((float(price), float(quantity)),)


@pytest.mark.parametrize(
    "price", ["nan", "inf", "-1", "1e18", "1e400", "", "1,2", "0x10", "1_0", "null", "٣", "[1]", '"1"']
)
def test_what_is_no_number_is_refused(price):
    for body, channel in (("publicAggreDepths", "aggre.depth"), ("publicLimitDepths", "limit.depth")):
        tail = "@5" if channel == "limit.depth" else ""
        push = wrapper(channel=f"spot@public.{channel}.v3.api.pb@BTCUSDT{tail}", symbol="BTCUSDT")
        message = getattr(push, body)
        message.asks.add(price="1", quantity="1")
        message.bids.add(price=price, quantity="1")
        if body == "publicAggreDepths":
            message.fromVersion = message.toVersion = "7"
        else:
            message.version = "7"
        with pytest.raises(WireError) as caught:
            decode(push.SerializeToString())
        assert caught.value.data == push.SerializeToString()
    push = wrapper(channel="spot@public.aggre.deals.v3.api.pb@BTCUSDT", symbol="BTCUSDT")
    push.publicAggreDeals.deals.add(price=price, quantity="1", tradeType=1, time=SENT)
    with pytest.raises(WireError):
        decode(push.SerializeToString())


@pytest.mark.parametrize(
    "versions", [("9", "8"), ("", "8"), ("x", "8"), ("-1", "8"), ("8", str(1 << 63)), ("8", "8.0")]
)
def test_versions_that_make_no_sense_are_refused(versions):
    push = wrapper(channel="spot@public.aggre.depth.v3.api.pb@100ms@BTCUSDT", symbol="BTCUSDT")
    push.publicAggreDepths.fromVersion, push.publicAggreDepths.toVersion = versions
    push.publicAggreDepths.eventType = "spot@public.aggre.depth.v3.api.pb@100ms"
    with pytest.raises(WireError):
        decode(push.SerializeToString())


def test_fields_may_come_in_any_order():
    data = SAMPLES["depth"]
    channel, symbol, sent, rest = data[: 2 + data[1]], b"\x1a\x07BTCUSDT", None, data[2 + data[1] :]
    cut = rest.index(b"\xca\x13")
    before, body = rest[:cut], rest[cut:]
    assert before.startswith(symbol), sent
    for shuffled in (channel + body + before, body + before + channel, before + channel + body):
        assert decode(shuffled) == decode(data) == oracle(data)


def _with_stranger(data: bytes, field: bytes) -> bytes:
    """The frame with one more field at the end of its body."""
    cut = data.index(b"\xca\x13") + 2
    length = data[cut] & 0x7F | data[cut + 1] << 7
    assert data[cut] >= 0x80
    longer = length + len(field)
    return data[:cut] + bytes([longer & 0x7F | 0x80, longer >> 7]) + data[cut + 2 :] + field


def test_unknown_fields_are_counted_and_the_rest_is_read():
    codec = MARKET.codec(SPOT)
    plain = decode(SAMPLES["depth"])
    data = _with_stranger(SAMPLES["depth"], b"\x4a\x03new")
    assert decode(data, codec) == [*plain, Unmapped("PublicAggreDepthsV3Api.9")]
    assert decode(data, codec) == plain
    assert codec.unknown_fields == {"PublicAggreDepthsV3Api.9": 2}
    assert decode(SAMPLES["depth"] + b"\x3a\x03new", codec) == [*plain, Unmapped("PushDataV3ApiWrapper.7")]
    item = bytes.fromhex("0a0d0a013112013222056f74686572")  # one ask with a third field
    push = wrapper(channel="spot@public.aggre.depth.v3.api.pb@100ms@BTCUSDT")
    body = item + b"\x22\x017\x2a\x018"
    data = push.SerializeToString() + b"\xca\x13" + bytes([len(body)]) + body
    update, told = decode(data, codec)
    assert (update.asks, told) == (((1.0, 2.0),), Unmapped("PublicAggreDepthV3ApiItem.4"))


def test_an_unknown_body_is_counted():
    data = SAMPLES["no body"] + b"\xe2\x13\x03abc"  # 316
    assert Unmapped("PushDataV3ApiWrapper.316 as body") in decode(data)


def test_a_push_that_contradicts_itself_is_refused():
    with pytest.raises(WireError, match="body 315 of"):
        decode(SAMPLES["quote"].replace(b"\x1a\x07BTCUSDT", b"\x1a\x07ETHUSDT"))
    with pytest.raises(WireError):
        decode(b"")
    with pytest.raises(WireError, match="bounds"):
        decode(b"\x0a\x01" + b"x" * (17 * 1024 * 1024))


def test_every_truncation_is_refused():
    for name, data in SAMPLES.items():
        boundaries = _boundaries(data)
        for cut in range(1, len(data)):
            if cut in boundaries:
                # Cut between two fields, the rest is a whole message that says less.
                continue
            with pytest.raises(WireError) as caught:
                decode(data[:cut])
            assert caught.value.data == data[:cut], (name, cut)


def _boundaries(data: bytes) -> set[int]:
    push = messages()["PushDataV3ApiWrapper"].FromString(data)
    found, at = set(), 0
    for field, _ in sorted(push.ListFields(), key=lambda pair: pair[0].number):
        part = type(push)()
        value = getattr(push, field.name)
        if field.message_type:
            getattr(part, field.name).CopyFrom(value)
        else:
            setattr(part, field.name, value)
        at += part.ByteSize()
        found.add(at)
    return found


def _mutated(rng: random.Random, data: bytes) -> bytes:
    broken = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 2, 3, 8))):
        at = rng.randrange(len(broken))
        match rng.randrange(6):
            case 0:
                broken[at] ^= 1 << rng.randrange(8)
            case 1:
                broken[at] = rng.randrange(256)
            case 2:
                del broken[at : at + rng.randint(1, 4)]
            case 3:
                broken[at:at] = rng.randbytes(rng.randint(1, 4))
            case 4:
                broken[at] = (broken[at] + rng.choice((1, -1))) % 256
            case 5:
                other = rng.randrange(len(broken))
                broken[at : at + 6] = broken[other : other + 6]
        if not broken:
            return b"\x00"
    return bytes(broken)


@pytest.mark.parametrize("seed", range(6))
def test_broken_frames_never_say_anything_else_than_upb_does(seed):
    rng = random.Random(seed)
    codec = MARKET.codec(SPOT)
    kinds = list(SAMPLES.values())
    read = refused = 0
    for number in range(5000):
        data = _mutated(rng, rng.choice(kinds))
        try:
            outputs = [x for x in decode(data, codec) if not isinstance(x, Unmapped)]
        except WireError:
            refused += 1
            continue
        read += 1
        if outputs:
            assert outputs == oracle(data), f"seed {seed}, frame {number}: {data.hex()}"
    assert read > 100
    assert refused > 1000


@pytest.mark.parametrize("seed", range(4))
def test_lengths_moved_between_numbers_are_noticed(seed):
    """The breakage that a fast reader would miss: every byte is plausible, only the lengths disagree."""
    rng = random.Random(seed)
    codec = MARKET.codec(SPOT)
    for number in range(3000):
        data = bytearray(depth(rng.randint(1, 6), number))
        start = data.index(b"\xca\x13") + 3
        for _ in range(rng.choice((1, 2, 2, 4))):
            at = rng.randrange(start, len(data) - 60)
            data[at] = (data[at] + rng.choice((-2, -1, 1, 2))) % 256
        try:
            outputs = [x for x in decode(bytes(data), codec) if not isinstance(x, Unmapped)]
        except WireError:
            continue
        assert outputs == oracle(bytes(data)), f"seed {seed}, frame {number}: {data.hex()}"
