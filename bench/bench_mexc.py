"""MEXC spot pushes, wire to unified event, beside three floors.

``upb, field by field`` parses with upb and reads every field to the same checked event: what specialised decoders have
to beat. ``upb parse + structs`` parses and builds the events of numbers that are ready. ``the same as JSON`` decodes
the same content from JSON with msgspec and builds the events: what the venue's old feed would cost.
"""

from __future__ import annotations

import random

import msgspec
from msgspec import Struct

from bench.harness import Row, interleaved, ratio
from unitape.spi import DepthUpdate, Instruments, WireLevels, WireNumber
from unitape_mexc import SPOT, schema
from unitape_schemas import NUMBER_LIMIT, Subscription, Trade

FRAMES = 64
MS = 1_000_000
NOW = 1_793_000_000_999_000_001
SIDES = {1: "buy", 2: "sell"}
SYMBOLS = {
    "spot@public.aggre.depth.v3.api.pb@100ms@BTCUSDT": "BTC/USDT",
    "spot@public.aggre.deals.v3.api.pb@100ms@BTCUSDT": "BTC/USDT",
}


class DealIn(Struct):
    p: WireNumber
    v: WireNumber
    S: int
    t: int
    i: str


class DealsIn(Struct):
    s: str
    t: int
    d: list[DealIn]


class DepthIn(Struct):
    s: str
    t: int
    a: WireLevels
    b: WireLevels
    f: str
    l: str  # noqa: E741


def checked(text: str) -> float:
    value = float(text)
    if not 0.0 <= value < NUMBER_LIMIT:
        raise ValueError(text)
    return value


def depth_by_field(data: bytes) -> DepthUpdate:
    push = schema.message_class(schema.WRAPPER).FromString(data)
    body = push.publicAggreDepths
    return DepthUpdate(
        "mexc",
        SYMBOLS[push.channel],
        push.createTime * MS,
        push.sendTime * MS,
        NOW,
        tuple([(checked(level.price), checked(level.quantity)) for level in body.bids]),
        tuple([(checked(level.price), checked(level.quantity)) for level in body.asks]),
        int(body.fromVersion),
        int(body.toVersion),
        None,
    )


def trades_by_field(data: bytes) -> list[Trade]:
    push = schema.message_class(schema.WRAPPER).FromString(data)
    symbol, sent = SYMBOLS[push.channel], push.sendTime * MS
    return [
        Trade(
            "mexc",
            symbol,
            deal.time * MS,
            sent,
            NOW,
            deal.tradeId or None,
            checked(deal.price),
            checked(deal.quantity),
            SIDES[deal.tradeType],
        )
        for deal in push.publicAggreDeals.deals
    ]


def make_depths(levels: int = 20) -> list[tuple[bytes, bytes]]:
    rng = random.Random("depths")
    frames = []
    for number in range(FRAMES):
        push = schema.message_class(schema.WRAPPER)(
            channel="spot@public.aggre.depth.v3.api.pb@100ms@BTCUSDT", symbol="BTCUSDT", sendTime=1793000000105 + number
        )
        body = push.publicAggreDepths
        sides: dict[str, list[list[str]]] = {"a": [], "b": []}
        for name, side, sign in (("a", body.asks, 1), ("b", body.bids, -1)):
            for step in range(levels):
                size = "0.00000000" if rng.random() < 0.3 else f"{rng.expovariate(0.5):.8f}"
                price = f"{65000 + sign * (step + 1) * 0.01:.2f}"
                side.add(price=price, quantity=size)
                sides[name].append([price, size])
        body.eventType = "spot@public.aggre.depth.v3.api.pb@100ms"
        body.fromVersion, body.toVersion = str(10589632359 + number), str(10589632361 + number)
        body.lastOrderCreateTime = 1793000000100 + number
        same = {"s": "BTCUSDT", "t": push.sendTime, **sides, "f": body.fromVersion, "l": body.toVersion}
        frames.append((push.SerializeToString(), msgspec.json.encode(same)))
    return frames


def make_deals(count: int = 5) -> list[tuple[bytes, bytes]]:
    rng = random.Random("deals")
    frames = []
    for number in range(FRAMES):
        push = schema.message_class(schema.WRAPPER)(
            channel="spot@public.aggre.deals.v3.api.pb@100ms@BTCUSDT", symbol="BTCUSDT", sendTime=1793000000105 + number
        )
        rows = []
        for step in range(count):
            price, size = f"{65000 + rng.gauss(0, 3):.2f}", f"{rng.expovariate(5):.8f}"
            name = f"{rng.randrange(10**18)}X0_{rng.randrange(10**18)}X0"
            push.publicAggreDeals.deals.add(
                price=price, quantity=size, tradeType=1 + step % 2, time=1793000000100 + number, tradeId=name
            )
            rows.append({"p": price, "v": size, "S": 1 + step % 2, "t": 1793000000100 + number, "i": name})
        push.publicAggreDeals.eventType = "spot@public.aggre.deals.v3.api.pb@100ms"
        frames.append((push.SerializeToString(), msgspec.json.encode({"s": "BTCUSDT", "t": push.sendTime, "d": rows})))
    return frames


def depth_cases():
    frames = make_depths()
    ready = [depth_by_field(data) for data, _ in frames]
    parse = schema.message_class(schema.WRAPPER).FromString
    decode = msgspec.json.Decoder(DepthIn, strict=False).decode

    def floor():
        for (data, _), u in zip(frames, ready, strict=True):
            parse(data)
            DepthUpdate("mexc", "BTC/USDT", 0, u.ts_sent, NOW, u.bids, u.asks, u.first_seq, u.seq, None)

    def as_json():
        for _, text in frames:
            d = decode(text)
            DepthUpdate("mexc", SYMBOLS_OF[d.s], 0, d.t * MS, NOW, d.b, d.a, int(d.f), int(d.l), None)

    def by_field():
        for data, _ in frames:
            depth_by_field(data)

    return frames, Subscription("book", "BTC/USDT"), by_field, floor, as_json, ready


def deal_cases():
    frames = make_deals()
    ready = [trades_by_field(data) for data, _ in frames]
    parse = schema.message_class(schema.WRAPPER).FromString
    decode = msgspec.json.Decoder(DealsIn, strict=False).decode

    def floor():
        for (data, _), trades in zip(frames, ready, strict=True):
            parse(data)
            [Trade("mexc", t.symbol, t.ts_event, t.ts_sent, NOW, t.id, t.price, t.size, t.side) for t in trades]

    def as_json():
        for _, text in frames:
            d = decode(text)
            symbol, sent = SYMBOLS_OF[d.s], d.t * MS
            [Trade("mexc", symbol, r.t * MS, sent, NOW, r.i, r.p, r.v, SIDES[r.S]) for r in d.d]

    def by_field():
        for data, _ in frames:
            trades_by_field(data)

    return frames, Subscription("trades", "BTC/USDT"), by_field, floor, as_json, ready


SYMBOLS_OF = {"BTCUSDT": "BTC/USDT"}


def run(quick: bool = False) -> list[Row]:
    """Measure both pushes through a session."""
    rows: list[Row] = []
    for name, cases, limit in (("depth 20 + 20", depth_cases, 0.5), ("5 trades", deal_cases, None)):
        frames, subscription, by_field, floor, as_json, ready = cases()
        session = SPOT.session(Instruments(SPOT.catalogue), "public")
        session.subscribe([subscription])
        found = [session.on_frame(data, NOW) for data, _ in frames]
        assert [list(outputs) for outputs in found] == [r if isinstance(r, list) else [r] for r in ready]

        def through(session=session, frames=frames):
            for data, _ in frames:
                session.on_frame(data, NOW)

        timings = interleaved(
            {"session": through, "by field": by_field, "floor": floor, "json": as_json},
            calls=5 if quick else 40,
            rounds=5 if quick else 15,
        )
        ours = timings["session"]
        rows.append(Row(f"{name}: wire to event", ours.best / FRAMES, "us"))
        for key, label, at_most in (
            ("by field", "upb, field by field", limit),
            ("floor", "upb parse + structs", None),
            ("json", "the same as JSON", None),
        ):
            best, middle = ratio(ours, timings[key])
            note = f"median {middle:.2f}; {label} takes {timings[key].best / FRAMES:.2f} us"
            rows.append(Row(f"{name}: of {label}", best, "x", note, at_most))
    return rows


if __name__ == "__main__":
    from bench.harness import table

    print(table("MEXC protobuf pushes", run()))
