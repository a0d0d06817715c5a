"""Every kind of event as a line that a person can read."""

from __future__ import annotations

from decimal import Decimal

import pytest

from unitape.cli.describe import describe
from unitape_schemas import (
    EVENT_TYPES,
    Balance,
    BookDelta,
    BookSnapshot,
    Candle,
    Fill,
    Funding,
    Liquidation,
    MarkPrice,
    OpenInterest,
    Order,
    Position,
    Quote,
    Status,
    Ticker,
    TopBook,
    Trade,
)

HEAD = ("pebble", "BTC/EUR", 0, 0, 1_723_075_200_125_000_000)
ONE = Decimal("1.50")
SIDES = (((63000.0, 0.5), (62999.0, 2.0)), ((63001.5, 0.25),))

LINES = [
    (Trade(*HEAD, "17", 63001.5, 0.00000042, "sell"), "sell     0.00000042 @ 63,001.50"),
    (Quote(*HEAD, 63000.0, 0.5, 63001.5, 0.25, None), "0.5 @ 63,000.00  |  63,001.50 @ 0.25"),
    (BookSnapshot(*HEAD, *SIDES, None, 9, None, 1), "0.5 @ 63,000.00  |  0.25 @ 63,001.50  2+1 levels"),
    (BookDelta(*HEAD, *SIDES, 9, 9, 8, 3), "2 bids, 1 asks changed, update 9, epoch 3"),
    (TopBook(*HEAD, (), SIDES[1], 5, None), "-  |  0.25 @ 63,001.50  0+1 levels"),
    (
        Ticker(*HEAD, 63000.0, None, 64000.0, 62000.0, None, None, -1.2543, None, None, None, None),
        "last 63,000.00  high 64,000.00  low 62,000.00  -1.25 %",
    ),
    (Candle(*HEAD, "1m", 0, 60, 1.0, 3.0, 0.5, 2.0, 7.0, None, None, True), "1m 1  3  0.5  2  volume 7  closed"),
    (MarkPrice(*HEAD, 63000.0, None), "mark 63,000.00  index -"),
    (Funding(*HEAD, 0.0001, None), "0.0100 %"),
    (OpenInterest(*HEAD, 1234.5), "1,234.50"),
    (Liquidation(*HEAD, "buy", 63000.0, 2.0), "buy               2 @ 63,000.00"),
    (
        Order(
            *HEAD, "1", "c", "buy", "limit", "gtc", ONE, None, ONE, ONE, None, "filled", None, None, 0, 0, "stream", "F"
        ),
        "buy             1.5 @ 1.5  filled  filled 1.5  order 1",
    ),
    (
        Fill(*HEAD, "1", "2", None, "sell", ONE, ONE, ONE, "EUR", "maker", None, "stream"),
        "sell            1.5 @ 1.5  maker  fee 1.5 EUR  order 2",
    ),
    (Balance(*HEAD, "EUR", ONE, ONE, ONE, "spot"), "EUR  free 1.5  locked 1.5  total 1.5  spot"),
    (Position(*HEAD, "long", ONE, ONE, None, None, None, None, None, None), "long 1.5  entry 1.5"),
    (Status(*HEAD, "dropped", "trades BTC/EUR", 12, "too slow"), "dropped (12)  trades BTC/EUR  too slow"),
]


@pytest.mark.parametrize(("event", "details"), LINES, ids=lambda value: type(value).__name__)
def test_a_line_says_when_where_and_what(event, details):
    kind = type(event).__struct_config__.tag
    assert describe(event) == f"00:00:00.125  pebble   BTC/EUR          {kind:<13} {details}"


def test_every_event_of_the_contract_is_described():
    assert {type(event) for event, _ in LINES} == set(EVENT_TYPES)
