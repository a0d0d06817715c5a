"""The contract: field order, round trips, bounds, and the checked-in JSON Schema."""

from __future__ import annotations

import importlib.util
import json
from decimal import Decimal
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Meta

import unitape_schemas
from unitape_schemas import EVENT_TYPES, Event, Instrument, Order, Status, Subscription, Trade

ROOT = Path(__file__).parents[2]

TAGS = {
    "Trade": "trade",
    "Quote": "quote",
    "BookSnapshot": "book_snapshot",
    "BookDelta": "book_delta",
    "TopBook": "top_book",
    "Ticker": "ticker",
    "Candle": "candle",
    "MarkPrice": "mark_price",
    "Funding": "funding",
    "OpenInterest": "open_interest",
    "Liquidation": "liquidation",
    "Order": "order",
    "Fill": "fill",
    "Balance": "balance",
    "Position": "position",
    "Status": "status",
}
HEAD = ("venue", "symbol", "ts_event", "ts_sent", "ts_recv")

text = st.text(max_size=12)


def values(kind: Any) -> st.SearchStrategy[Any]:
    """Return a strategy for the values a field's type admits, read from the type itself."""
    origin = get_origin(kind)
    if origin is Annotated:
        inner, *notes = get_args(kind)
        bounds = [n for n in notes if isinstance(n, Meta)]
        low = next((b.ge if b.ge is not None else b.gt for b in bounds if b.ge is not None or b.gt is not None), None)
        high = next((b.lt for b in bounds if b.lt is not None), None)
        if inner is float:
            return st.floats(
                min_value=low,
                max_value=high,
                exclude_max=True,
                exclude_min=low is not None and low < 0,
                allow_nan=False,
                allow_infinity=False,
            )
        if inner is int:
            return st.integers(min_value=0 if low is None else int(low), max_value=2**63 - 1)
        return values(inner)
    if origin is Literal:
        return st.sampled_from(get_args(kind))
    if origin in (Union, UnionType):
        return st.one_of(*(values(k) for k in get_args(kind)))
    if origin is tuple:
        args = get_args(kind)
        if len(args) == 2 and args[1] is Ellipsis:
            return st.lists(values(args[0]), max_size=4).map(tuple)
        return st.tuples(*(values(a) for a in args))
    if kind is type(None):
        return st.none()
    plain: dict[Any, st.SearchStrategy[Any]] = {
        str: text,
        bool: st.booleans(),
        int: st.integers(min_value=1, max_value=2**62),
        Decimal: st.decimals(allow_nan=False, allow_infinity=False, places=8),
    }
    return plain[kind]


def instances(cls: type[Any]) -> st.SearchStrategy[Any]:
    hints = get_type_hints(cls, include_extras=True)
    fields = [f.name for f in msgspec.structs.fields(cls)]
    return st.fixed_dictionaries({name: values(hints[name]) for name in fields}).map(lambda kw: cls(**kw))


@given(st.one_of(*(instances(cls) for cls in EVENT_TYPES)))
def test_every_event_survives_json_and_msgpack(event: Any) -> None:
    assert msgspec.json.decode(msgspec.json.encode(event), type=Event) == event
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(event), type=Event) == event


@given(instances(Instrument))
def test_instruments_survive_json_and_msgpack(instrument: Instrument) -> None:
    assert msgspec.json.decode(msgspec.json.encode(instrument), type=Instrument) == instrument
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(instrument), type=Instrument) == instrument


def test_the_union_is_closed_and_tagged() -> None:
    assert {cls.__name__: cls.__struct_config__.tag for cls in EVENT_TYPES} == TAGS
    for cls in EVENT_TYPES:
        assert cls.__struct_config__.frozen, f"{cls.__name__} can be changed by a consumer"
        assert cls.__struct_fields__[:5] == HEAD, cls.__name__
        assert cls.__name__ in unitape_schemas.__all__


def test_a_trade_reads_as_the_design_shows_it() -> None:
    trade = Trade(
        "binance", "BTC/USDT", 1723075200123000000, 1723075200124000000, 1723075200131234567,
        "3700001", 55123.45, 0.0042, "sell",
    )  # fmt: skip
    assert msgspec.json.encode(trade).decode() == (
        '{"type":"trade","venue":"binance","symbol":"BTC/USDT","ts_event":1723075200123000000,'
        '"ts_sent":1723075200124000000,"ts_recv":1723075200131234567,"id":"3700001","price":55123.45,'
        '"size":0.0042,"side":"sell"}'
    )


@pytest.mark.parametrize("number", ['"nan"', '"inf"', "-1", "1e18", "1e400", "true", '"12,5"', "null"])
def test_numbers_out_of_bounds_do_not_decode(number: str) -> None:
    line = (
        '{"type":"trade","venue":"v","symbol":"s","ts_event":1,"ts_sent":1,"ts_recv":1,"id":null,"price":PRICE,'
        '"size":1,"side":"buy"}'
    )
    assert msgspec.json.decode(line.replace("PRICE", "0.5"), type=Event).price == 0.5
    with pytest.raises(msgspec.DecodeError):
        msgspec.json.decode(line.replace("PRICE", number), type=Event, strict=False)


def test_amounts_of_the_account_are_exact_strings() -> None:
    order = Order(
        "v", "BTC/USDT", 0, 0, 1, "7", "c-7", "buy", "limit", "gtc", Decimal("0.10"), None, Decimal("1E-8"),
        Decimal(0), None, "open", None, None, 0, 0, "answer", "NEW",
    )  # fmt: skip
    data = json.loads(msgspec.json.encode(order))
    assert data["price"] == "0.10"
    assert Decimal(data["size"]) == Decimal("0.00000001")
    assert data["average"] is None


def test_every_field_has_a_written_meaning() -> None:
    schema = json.loads((ROOT / "schemas/json/unitape.schema.json").read_text("utf-8"))
    for name, definition in schema["$defs"].items():
        assert definition.get("description"), f"{name} has no docstring"
        for field, spec in definition["properties"].items():
            if field != "type":
                assert spec.get("description"), f"{name}.{field} has no written meaning"


def test_the_checked_in_schema_is_the_generated_one() -> None:
    path = ROOT / "tools" / "make_schemas.py"
    spec = importlib.util.spec_from_file_location("make_schemas", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.TARGET.read_text("utf-8") == module.rendered(), "run: python tools/make_schemas.py"


def test_subscription_keys_name_what_was_asked() -> None:
    assert Subscription("trades", "BTC/USDT").key == "trades BTC/USDT"
    assert Subscription("candles", "BTC/USDT:USDT", interval="1m").key == "candles:1m BTC/USDT:USDT"
    assert Subscription("top", "BTC/USDT", depth=20).key == "top:20 BTC/USDT"
    assert Subscription("ticker", "*", market="usdm").key == "ticker usdm *"
    assert Subscription("balances", "", market="spot").key == "balances spot"


def test_a_status_keeps_the_words_of_the_venue() -> None:
    status = Status("v", "BTC/USDT", 0, 0, 5, "rejected", "trades BTC/USDT", None, "refused", "Blocked!")
    assert msgspec.json.decode(msgspec.json.encode(status), type=Event) == status
