"""Whatever comes in, only ``WireError`` comes out, and no event that the bytes do not say.

The oracle reads the same bytes with the standard library's ``json`` and ``float`` and knows nothing of the adapter.
"""

from __future__ import annotations

import json
import math
import random
from typing import Any

import pytest

from tests.recordings import RECORDINGS
from tests.weex.support import CONTRACT, EXAMPLES, MS, RECV, SPOT, example, frame, opened
from unitape.errors import WireError
from unitape.spi import DepthUpdate, Instruments
from unitape_schemas import Candle, MarkPrice, Quote, Subscription, Ticker, Trade

SEED = 20261121
ROUNDS = 12_000
GOOD = [
    name for name in EXAMPLES if name.startswith(("ws.", "v2.ws.")) and ".private." not in name and "client" not in name
]


def corpus() -> list[bytes]:
    frames = [example(name) for name in GOOD]
    if RECORDINGS is not None:
        for path in sorted(RECORDINGS.glob("weex-*/**/*.jsonl")):
            rows = (json.loads(line) for line in path.read_text().splitlines())
            frames += [frame(row["payload"]) for row in rows if row["kind"] == "ws"]
    return [raw for raw in frames if len(raw) < 8000]


def mutated(raw: bytes, rng: random.Random) -> bytes:
    data = bytearray(raw)
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        if not data:
            break
        at = rng.randrange(len(data))
        match rng.randrange(8):
            case 0:
                data[at] = rng.randrange(256)
            case 1:
                data[at] ^= 1 << rng.randrange(8)
            case 2:
                del data[at : at + rng.randrange(1, 12)]
            case 3:
                data[at:at] = rng.choice((b"-", b"9", b"e", b"0", b'"', b"null", b"1e999", b"nan", b"[", b"{}", b","))
            case 4:
                del data[at:]
            case 5:
                piece = data[at : at + rng.randrange(1, 40)]
                data[at:at] = piece
            case 6:
                digits = [i for i, byte in enumerate(data) if 48 <= byte <= 57]
                if digits:
                    data[rng.choice(digits)] = rng.choice(b"0123456789.-eE")
            case _:
                word = rng.choice((b'"T"', b'"p"', b'"q"', b'"s"', b'"e"', b'"E"', b'"d"', b'"u"', b'"U"', b'"m"'))
                place = data.find(rng.choice((b'"t"', b'"p"', b'"v"', b'"b"', b'"a"', b'"l"', b'"s"')))
                if place >= 0:
                    data[place : place + 3] = word
    return bytes(data)


def number(value: Any) -> float:
    assert not isinstance(value, bool)
    result = float(value)
    assert math.isfinite(result)
    assert abs(result) < 1e18
    return result


def levels(rows: Any) -> list[tuple[float, float]]:
    return [(number(price), number(size)) for price, size in rows]


def truthy(value: Any) -> bool:
    return value in (True, 1) or str(value).lower() in ("true", "1")


def symbol(market: str, raw: str) -> str:
    """The unified symbol of the eight bases of the catalogue; other names stay."""
    bases = ("BTC", "ETH", "SOL", "XRP", "DOGE", "BNB", "ADA", "LTC")
    known = {f"{base}USDT": f"{base}/USDT" + (":USDT" if market == "contract" else "") for base in bases}
    return known.get(raw, raw)


def check_v3(market: str, said: dict[str, Any], event: Any) -> None:
    assert event.symbol == symbol(market, said["s"])
    assert event.ts_sent == int(said["E"]) * MS
    kind = said["e"]
    match event:
        case Trade():
            assert kind in ("trade", "tradeSnapshot")
            assert any(
                (event.id, event.ts_event, event.price, event.size, event.side)
                == (
                    row["t"],
                    int(row["T"]) * MS,
                    number(row["p"]),
                    number(row["q"]),
                    "sell" if truthy(row["m"]) else "buy",
                )
                for row in said["d"]
            )
        case Ticker():
            assert kind == "ticker"
            assert any(
                (event.last, event.open, event.high, event.low, event.volume, event.quote_volume)
                == tuple(number(row[key]) for key in "cohlvq")
                for row in said["d"]
            )
        case MarkPrice():
            assert kind == "ticker"
            given = [tuple(None if row.get(key) is None else number(row[key]) for key in "mi") for row in said["d"]]
            assert (event.mark, event.index) in given
        case Candle():
            assert kind in ("kline", "klineSnapshot")
            assert said.get("p", "LAST_PRICE") == "LAST_PRICE"
            assert any(
                (event.interval, event.ts_open, event.ts_close) == (row["i"], int(row["t"]) * MS, int(row["T"]) * MS)
                and (event.open, event.high, event.low, event.close, event.volume, event.quote_volume)
                == tuple(number(row[key]) for key in "ohlcvq")
                for row in said["d"]
            )
        case DepthUpdate():
            assert kind in ("depth", "depthSnapshot")
            assert event.snapshot == (kind == "depthSnapshot")
            assert (event.first_seq, event.seq, event.depth) == (int(said["U"]), int(said["u"]), int(said["l"]))
            assert list(event.bids) == levels(said.get("b", []))
            assert list(event.asks) == levels(said.get("a", []))
            assert event.seq >= event.first_seq
        case Quote():
            assert kind == "bookTicker"
            assert (event.bid, event.bid_size, event.ask, event.ask_size) == tuple(number(said[k]) for k in "bBaA")
            assert event.seq == int(said["u"])
        case _:
            raise AssertionError(f"an event of another kind: {event}")


def check(where: str, market: str, said: dict[str, Any], event: Any) -> None:
    try:
        check_v3(market, said, event)
    except (AssertionError, ValueError, KeyError, TypeError) as error:
        raise AssertionError(f"{event} is not what the bytes say ({error!r}): {where}") from error


@pytest.mark.parametrize("name", ["spot", "contract"])
def test_mutated_frames(name: str) -> None:
    market = SPOT if name == "spot" else CONTRACT
    rng = random.Random(f"{SEED} {name}")
    frames = corpus()
    events = refused = 0
    for round_ in range(ROUNDS):
        raw = mutated(rng.choice(frames), rng)
        where = f"seed {SEED}, round {round_}: {raw[:400]!r}"
        try:
            outputs = market.codec(Instruments(market.catalogue)).decode(raw, RECV)
        except WireError as error:
            refused += 1
            if error.data != raw[:65_536]:
                pytest.fail(f"the bytes are not kept: {where}")
            continue
        for event in outputs:
            if isinstance(event, Trade | Ticker | MarkPrice | Candle | DepthUpdate | Quote):
                said = json.loads(raw.decode("utf-8", "replace"))
                if "e" in said:
                    check_v3(name, said, event)
                    events += 1
                else:
                    assert said["event"] == "payload", where
                assert event.ts_recv == RECV, where
    assert refused > ROUNDS / 5, f"seed {SEED}: the mutations do not hurt"
    # Recorded frames are simpler than the venue's examples, so without them less comes through.
    assert events > ROUNDS / 12, f"seed {SEED}: nothing came through"


@pytest.mark.parametrize("name", ["spot", "contract"])
def test_mutated_frames_leave_a_session_usable(name: str) -> None:
    market = SPOT if name == "spot" else CONTRACT
    rng = random.Random(f"{SEED} session {name}")
    frames = corpus()
    suffix = "" if name == "spot" else ":USDT"
    wanted = [
        Subscription("trades", f"ETH/USDT{suffix}"),
        Subscription("book", f"BTC/USDT{suffix}", depth=15),
        Subscription("ticker", f"BTC/USDT{suffix}"),
        Subscription("candles", f"BTC/USDT{suffix}", interval="1m"),
    ]
    session = opened(market, *wanted)
    events = 0
    for round_ in range(ROUNDS):
        raw = mutated(rng.choice(frames), rng)
        try:
            outputs = session.on_frame(raw, RECV)
        except WireError:
            continue
        finally:
            session.outbox.clear()
        for event in outputs:
            if isinstance(event, Trade | Ticker | MarkPrice | Candle | DepthUpdate | Quote):
                check(f"seed {SEED}, round {round_}: {raw!r}", name, json.loads(raw.decode("utf-8", "replace")), event)
                events += 1
    assert events > 100, f"seed {SEED}: only {events} events came through"
    session.subscribe(wanted[:1])  # among the frames are refusals, and they are believed
    fresh = {"e": "trade", "E": 1, "s": "ETHUSDT", "d": [{"T": 1, "t": "new", "p": "1", "q": "1", "m": False}]}
    (trade,) = session.on_frame(frame(fresh), RECV)
    assert isinstance(trade, Trade)


BAD = {
    "truncated": example("ws.contract.trade")[:-5],
    "wrong type": b'{"e":"trade","E":1,"s":"BTCUSDT","d":{}}',
    "a price of nan": example("ws.contract.trade").replace(b'"3066.98"', b'"nan"'),
    "an infinite price": example("ws.contract.trade").replace(b'"3066.98"', b'"inf"'),
    "a price beyond all bounds": example("ws.contract.trade").replace(b'"3066.98"', b'"1e18"'),
    "a negative size": example("ws.contract.trade").replace(b'"0.120"', b'"-0.120"'),
    "a level of three": example("ws.contract.depth").replace(b'"0.2500"', b'"0.2500","1"'),
    "a negative level": example("ws.contract.depth").replace(b'"0.2500"', b'"-1"'),
    "ids that go back": example("ws.contract.depth").replace(b'"u":16450012391', b'"u":16450012376'),
    "a change that calls itself an image": example("ws.contract.depth").replace(b'"CHANGED"', b'"SNAPSHOT"'),
    "a time after the year 2255": example("ws.contract.depth").replace(b"1795000001004", b"9795000001004"),
    "a candle that ends before it begins": example("ws.contract.kline").replace(b"1795000020000", b"1794999960000"),
    "an unknown interval": example("ws.contract.kline").replace(b'"1m"', b'"7m"'),
    "invalid UTF-8": example("ws.contract.trade").replace(b"ETHUSDT", b"ETH\xff\xfe\xfd\xfc"),
    "two kinds at once": example("ws.contract.trade").replace(b'"E":', b'"e":"ticker","E":'),
    "no JSON": b"hello",
    "an array": b"[1,2,3]",
    "nothing known": b'{"hello":"world"}',
    "very deep": b'{"e":"trade","E":1,"s":"B","d":' + b"[" * 200_000,
}


@pytest.mark.parametrize("name", BAD)
def test_bad_frame(name: str) -> None:
    with pytest.raises(WireError) as caught:
        CONTRACT.codec(Instruments(CONTRACT.catalogue)).decode(BAD[name], RECV)
    assert caught.value.data == BAD[name][:65_536]
    assert caught.value.venue == "weex"


def test_unknown_fields_are_ignored() -> None:
    raw = example("ws.spot.bookTicker").replace(b'"u":', b'"new":{"deep":[1,null]},"u":')
    codec = SPOT.codec(Instruments(SPOT.catalogue))
    assert codec.decode(raw, RECV) == codec.decode(example("ws.spot.bookTicker"), RECV)


def test_a_frame_of_fifty_megabytes() -> None:
    level = b'["91180.5","1.5"],'
    body = level * (50_000_000 // len(level)) + b'["1","1"]'
    raw = b'{"e":"depthSnapshot","E":1,"s":"BTCUSDT","U":1,"u":2,"l":200,"d":"SNAPSHOT","b":[' + body + b"]}"
    codec = CONTRACT.codec(Instruments(CONTRACT.catalogue))
    (update,) = codec.decode(raw, RECV)
    assert isinstance(update, DepthUpdate)
    assert len(update.bids) == body.count(b"[")
    with pytest.raises(WireError) as caught:
        codec.decode(raw[:-1], RECV)
    assert (caught.value.size, len(caught.value.data)) == (len(raw) - 1, 65_536)
