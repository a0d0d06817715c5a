"""Instruments for the tests, a reader of the .proto file, and an oracle that reads pushes with upb, field by field."""

from __future__ import annotations

import re
from decimal import Decimal
from functools import cache
from pathlib import Path

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

import unitape_mexc
from unitape.spi import DepthUpdate, Instruments
from unitape_schemas import Candle, Instrument, Quote, Ticker, TopBook, Trade

PROTO = Path(unitape_mexc.__file__).parent / "proto" / "mexc_spot.proto"
NOW = 1_793_000_000_999_000_001
MS = 1_000_000


def instrument(base: str, quote: str = "USDT", size: str | None = None) -> Instrument:
    """A spot pair; with ``size`` a perpetual of that contract size."""
    futures = size is not None
    return Instrument(
        venue="mexc",
        symbol=f"{base}/{quote}:{quote}" if futures else f"{base}/{quote}",
        raw_symbol=f"{base}_{quote}" if futures else f"{base}{quote}",
        market="futures" if futures else "spot",
        base=base,
        quote=quote,
        settle=quote if futures else None,
        kind="linear" if futures else "spot",
        tick=Decimal("0.01"),
        step=None,
        min_size=None,
        max_size=None,
        min_notional=None,
        contract_size=Decimal(size).as_integer_ratio() if futures else (1, 1),
        multiplier=1,
        status="trading",
        api_tradable=True,
        maker=None,
        taker=None,
        ts=0,
    )


SPOT = Instruments(
    [*(instrument(base) for base in ("BTC", "ETH", "SOL", "XEN", "HYPE", "MX")), instrument("BTC", "USDC")]
)
# Sizes of the contracts in the recordings; those of BTC and ETH are in them, the others are made up.
FUTURES = Instruments(
    instrument(base, size=size)
    for base, size in {"BTC": "0.0001", "ETH": "0.01", "DOGE": "100", "RIF": "10", "CRV": "1", "ARB": "1"}.items()
)

_MESSAGE = re.compile(r"message (\w+) \{(.*?)\n\}", re.DOTALL)
_FIELD = re.compile(r"^\s*(optional |repeated )?(\w+) (\w+) = (\d+);", re.MULTILINE)


@cache
def proto_fields() -> dict[str, dict[int, tuple[str, str, str]]]:
    """Message -> number -> (label, type, name), as ``mexc_spot.proto`` says."""
    text = PROTO.read_text()
    return {
        name: {int(number): (label.strip(), kind, field) for label, kind, field, number in _FIELD.findall(body)}
        for name, body in _MESSAGE.findall(text)
    }


@cache
def messages():
    """The upb classes of ``mexc_spot.proto``, made here without the adapter's table."""
    file = descriptor_pb2.FileDescriptorProto(name="oracle.proto", syntax="proto3")
    kinds = descriptor_pb2.FieldDescriptorProto
    for name, fields in proto_fields().items():
        message = file.message_type.add(name=name)
        if name == "PushDataV3ApiWrapper":
            message.oneof_decl.add(name="body")
        for number, (label, kind, field) in fields.items():
            made = message.field.add(name=field, number=number)
            made.label = kinds.LABEL_REPEATED if label == "repeated" else kinds.LABEL_OPTIONAL
            if kind in ("string", "int32", "int64", "bool"):
                made.type = getattr(kinds, f"TYPE_{kind.upper()}")
            else:
                made.type, made.type_name = kinds.TYPE_MESSAGE, f".{kind}"
            if name == "PushDataV3ApiWrapper" and number > 300:
                made.oneof_index = 0
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {name: message_factory.GetMessageClass(pool.FindMessageTypeByName(name)) for name in proto_fields()}


def wrapper(**fields):
    """A wrapper message of the oracle's own classes."""
    return messages()["PushDataV3ApiWrapper"](**fields)


SIDES = {1: "buy", 2: "sell"}
INTERVALS = {"Min1": "1m", "Min5": "5m", "Min15": "15m", "Min60": "1h", "Hour8": "8h", "Day1": "1d", "Month1": "1M"}


def oracle(data: bytes, instruments: Instruments = SPOT) -> list:
    """Read a push with upb, one field at a time. Raises where upb does."""
    return [event for event in _oracle(data, instruments) if event is not None]


def _oracle(data: bytes, instruments: Instruments) -> list:  # noqa: C901
    push = messages()["PushDataV3ApiWrapper"].FromString(data)
    which = push.WhichOneof("body")
    if which is None:
        return []
    body = getattr(push, which)
    parts = [part for part in push.channel.split("@")[2:] if part not in ("10ms", "100ms")]
    symbol = instruments.symbol(parts[0]) if parts else ""
    argument = parts[1] if len(parts) > 1 else ""
    head = ("mexc", symbol, push.createTime * MS, push.sendTime * MS, NOW)

    def levels(items):
        return tuple((float(item.price), float(item.quantity)) for item in items)

    def quote(row, seq):
        if not (row.bidPrice and row.bidQuantity and row.askPrice and row.askQuantity):
            return None
        return Quote(
            *head, float(row.bidPrice), float(row.bidQuantity), float(row.askPrice), float(row.askQuantity), seq
        )

    def ticker(row, name):
        change = float(Decimal(row.zonedRate) * 100) if argument == "24H" and row.zonedRate else None
        numbers = [float(x) if x else None for x in (row.price, row.high, row.low, row.quantity, row.volume)]
        return Ticker("mexc", name, *head[2:], numbers[0], None, *numbers[1:], change, None, None, None, None)

    if which == "publicAggreDepths":
        first, last = int(body.fromVersion), int(body.toVersion)
        return [DepthUpdate(*head, levels(body.bids), levels(body.asks), first, last, None)]
    if which == "publicLimitDepths":
        return [TopBook(*head, levels(body.bids), levels(body.asks), int(argument), int(body.version))]
    if which in ("publicIncreaseDepths", "publicIncreaseDepthsBatch"):
        items = body.items if which.endswith("Batch") else [body]
        return [DepthUpdate(*head, levels(x.bids), levels(x.asks), int(x.version), int(x.version), None) for x in items]
    if which in ("publicAggreDeals", "publicDeals"):
        return [
            Trade(
                *head[:2], row.time * MS, *head[3:], getattr(row, "tradeId", "") or None, float(row.price),
                float(row.quantity), SIDES[row.tradeType],
            )
            for row in body.deals
        ]  # fmt: skip
    if which == "publicAggreBookTicker":
        return [quote(body, int(body.version) if body.version else None)]
    if which == "publicBookTicker":
        return [quote(body, None)]
    if which == "publicBookTickerBatch":
        rows = [quote(row, None) for row in body.items[:-1]]
        return [*rows, quote(body.items[-1], int(body.version) if body.version else None)] if body.items else []
    if which == "publicSpotKline":
        return [
            Candle(
                *head, INTERVALS[body.interval], body.windowStart * 10**9, body.windowEnd * 10**9,
                float(body.openingPrice), float(body.highestPrice), float(body.lowestPrice), float(body.closingPrice),
                float(body.volume), float(body.amount), None, False,
            )
        ]  # fmt: skip
    if which == "publicMiniTicker":
        return [ticker(body, symbol)]
    if which == "publicMiniTickers":
        argument = parts[0] if parts else ""
        return [ticker(row, instruments.symbol(row.symbol)) for row in body.items]
    return []
