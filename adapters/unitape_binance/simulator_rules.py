"""What the two simulated Binance markets do differently, as data, and the spelling that their wire shares.

Source: the public REST and WebSocket documentation of spot and USDⓈ-M futures, October 2026.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec
from msgspec import Struct

from unitape.spi import HttpResponse
from unitape.spi.simulation import Exchange, SimInstrument, fixed
from unitape_schemas import Interval

SECOND: Final = 1_000_000_000
MILLIS: Final = 1_000_000
MICROS: Final = 1_000
PERPETUAL_DELIVERY: Final = 4_133_404_800_000

PUBLIC: Final = "public"
MARKET: Final = "market"
PRIVATE: Final = "private"
API: Final = "api"


class Rules(Struct, frozen=True):
    """One market's numbers."""

    name: str
    linear: bool
    rest: str
    """Path prefix of its REST API."""
    weight_limit: int
    """Request weight per minute and IP."""
    ping_every: int
    pong_within: int
    """Nanoseconds."""
    messages_per_second: int
    streams_per_connection: int
    connects_per_window: int
    connect_window: int
    lifetime: int
    depth_speeds: Mapping[str, int]
    """Push interval of ``@depth`` by what follows the name."""
    kline_every: int
    ticker_every: int
    digits: int | None
    """Decimals that prices and sizes are padded to; None: as many as the step has."""
    announces_shutdown: bool
    klines_limit: int
    id_factor: int
    """Update ids on the wire per book change: futures ids are not consecutive from event to event."""


SPOT: Final = Rules(
    name="spot",
    linear=False,
    rest="/api/v3",
    weight_limit=6_000,
    ping_every=20 * SECOND,
    pong_within=60 * SECOND,
    messages_per_second=5,
    streams_per_connection=1_024,
    connects_per_window=300,
    connect_window=300 * SECOND,
    lifetime=24 * 3_600 * SECOND,
    depth_speeds={"": SECOND, "100ms": 100 * MILLIS},
    kline_every=2 * SECOND,
    ticker_every=SECOND,
    digits=8,
    announces_shutdown=True,
    klines_limit=1_000,
    id_factor=1,
)

USDM: Final = Rules(
    name="usdm",
    linear=True,
    rest="/fapi/v1",
    weight_limit=2_400,
    ping_every=180 * SECOND,
    pong_within=600 * SECOND,
    messages_per_second=10,
    streams_per_connection=1_024,
    connects_per_window=300,
    connect_window=300 * SECOND,
    lifetime=24 * 3_600 * SECOND,
    depth_speeds={"": 250 * MILLIS, "500ms": 500 * MILLIS, "100ms": 100 * MILLIS},
    kline_every=250 * MILLIS,
    ticker_every=2 * SECOND,
    digits=None,
    announces_shutdown=False,
    klines_limit=1_500,
    id_factor=3,
)

MARKETS: Final = {"spot": SPOT, "usdm": USDM}

INTERVALS: Final[tuple[Interval, ...]] = (
    "1s",
    "1m",
    "3m",
    "5m",
    "15m",
    "30m",
    "1h",
    "2h",
    "4h",
    "6h",
    "8h",
    "12h",
    "1d",
    "3d",
    "1w",
    "1M",
)


def encode(value: object) -> bytes:
    """Write JSON."""
    return msgspec.json.encode(value)


class Spelling:
    """Names and numbers of one market as its wire spells them."""

    def __init__(self, exchange: Exchange, rules: Rules) -> None:
        self.exchange = exchange
        self.rules = rules
        self.raw_of = {spec.symbol: f"{spec.base}{spec.quote}" for spec in exchange.instruments}
        self.by_raw = {f"{spec.base}{spec.quote}": spec for spec in exchange.instruments}

    def interval(self, text: str) -> Interval | None:
        """Return the interval of this spelling, or None when the market has no such candles."""
        for interval in INTERVALS:
            if interval == text:
                return None if interval == "1s" and self.rules.linear else interval
        return None

    def update_id(self, seq: int) -> int:
        """Return the wire's update id of a book change."""
        return seq * self.rules.id_factor

    def price(self, spec: SimInstrument, ticks: int) -> str:
        """Write a price."""
        return spec.price_text(ticks, self.rules.digits)

    def size(self, spec: SimInstrument, lots: int) -> str:
        """Write a size."""
        return spec.size_text(lots, self.rules.digits)

    def amount(self, spec: SimInstrument, amount: int) -> str:
        """Write a quote amount."""
        return spec.notional_text(amount, self.rules.digits)

    def average(self, spec: SimInstrument, amount: int, volume: int, last: int) -> str:
        """Write the volume-weighted average price with 8 decimals; the last price when nothing was traded."""
        scale = spec.tick_units * 10 ** (8 - spec.tick_scale)
        return fixed(amount * scale // volume if volume else last * scale, 8)

    def levels(self, spec: SimInstrument, levels: tuple[tuple[int, int], ...]) -> list[tuple[str, str]]:
        """Write book levels."""
        return [(self.price(spec, price), self.size(spec, size)) for price, size in levels]


def percent(change: int, of: int) -> str:
    """Write a change in percent with three decimals."""
    return fixed(round(change * 100_000 / of) if of else 0, 3)


class Refusal(Exception):
    """The venue refuses a request, with its own code and words.

    ``wait``: seconds after which to come back. ``data``: what it tells besides.
    """

    def __init__(
        self, code: int, text: str, status: int = 400, *, wait: int | None = None, data: object = None
    ) -> None:
        super().__init__(text)
        self.code = code
        self.text = text
        self.status = status
        self.wait = wait
        self.data = data

    def body(self) -> dict[str, object]:
        """Return it as the venue writes errors."""
        body: dict[str, object] = {"code": self.code, "msg": self.text}
        return body if self.data is None else body | {"data": self.data}

    def response(self, headers: tuple[tuple[str, str], ...]) -> HttpResponse:
        """Return it as an HTTP answer."""
        return HttpResponse(self.status, encode(self.body()), headers)
