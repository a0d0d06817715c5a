"""What the simulated WEEX markets keep to, and how their wire spells things. It shares nothing with the codec.

Source: API documentation V3 and recorded sessions, as in the tables of this package.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Final

import msgspec
from msgspec import Struct

from unitape.spi import HttpResponse
from unitape.spi.simulation import Bar, Exchange, Level, SimInstrument, SimTrade, fixed
from unitape_schemas import Interval

__all__ = [
    "CONTRACT",
    "KINDS",
    "MARKETS",
    "MILLIS",
    "SECOND",
    "SPOT",
    "Refusal",
    "Rules",
    "Spelling",
    "encode",
    "json_answer",
]

SECOND: Final = 1_000_000_000
MILLIS: Final = 1_000_000

KINDS: Final[tuple[Interval, ...]] = (
    "1m", "5m", "15m", "30m", "1h", "2h", "4h", "6h", "8h", "12h", "1d", "1w", "1M",
)  # fmt: skip

encode: Final = msgspec.json.encode


class Rules(Struct, frozen=True):
    """One market's peculiarities."""

    name: str
    linear: bool
    root: str
    market: str
    """Path prefixes of its queries."""
    inner: str
    """How its gateway spells a symbol in refusals, with {raw} and {low}."""
    weights: Mapping[str, int]
    klines: int
    """Candles of one answer."""
    rest_intervals: frozenset[str]


SPOT: Final = Rules(
    name="spot",
    linear=False,
    root="/api/v3/",
    market="/api/v3/market/",
    inner="{raw}_SPBL",
    weights={"exchangeInfo": 20, "apiTradingSymbols": 5, "depth": 5, "trades": 25, "klines": 2, "ticker/24hr": 2,
             "ticker/bookTicker": 4, "ticker/price": 4},
    klines=300,
    rest_intervals=frozenset(KINDS),
)  # fmt: skip
CONTRACT: Final = Rules(
    name="contract",
    linear=True,
    root="/capi/v3/market/",
    market="/capi/v3/market/",
    inner="cmt_{low}",
    weights={"apiTradingSymbols": 5, "trades": 5, "historyKlines": 5, "ticker/24hr": 40, "fundingRate": 5,
             "openInterest": 2},
    klines=1000,
    rest_intervals=frozenset({"1m", "5m", "15m", "30m", "1h", "4h", "12h", "1d", "1w"}),
)  # fmt: skip
MARKETS: Final[Mapping[str, Rules]] = {"spot": SPOT, "contract": CONTRACT}


class Refusal(Exception):
    """A request that the venue refuses with a code and a text."""

    def __init__(self, code: int, text: str, status: int = 400) -> None:
        super().__init__(text)
        self.code = code
        self.text = text
        self.status = status


def json_answer(body: object, status: int = 200, headers: tuple[tuple[str, str], ...] = ()) -> HttpResponse:
    """Return a JSON answer."""
    return HttpResponse(status, encode(body), (("content-type", "application/json"), *headers))


class Spelling:
    """Names, numbers and rows as the venue writes them: numbers are strings, times milliseconds."""

    def __init__(self, exchange: Exchange) -> None:
        self.by_raw: dict[str, SimInstrument] = {spec.base + spec.quote: spec for spec in exchange.instruments}
        self._seed = exchange.seed

    def trade_id(self, trade: SimTrade) -> str:
        """Return the id of a trade: in the form of a UUID, the same on the socket and by HTTP."""
        digest = hashlib.blake2b(f"{self._seed} {trade.symbol} {trade.id}".encode(), digest_size=16).hexdigest()
        return "-".join((digest[:8], digest[8:12], digest[12:16], digest[16:20], digest[20:]))

    @staticmethod
    def levels(spec: SimInstrument, rows: tuple[Level, ...] | list[Level]) -> list[list[str]]:
        """Write levels; a size of 0 is the bare ``0``."""
        return [[spec.price_text(price), spec.size_text(size) if size else "0"] for price, size in rows]

    @staticmethod
    def bar(spec: SimInstrument, bar: Bar) -> dict[str, str]:
        """Write the amounts of a candle."""
        return {
            "o": spec.price_text(bar.open),
            "c": spec.price_text(bar.close),
            "h": spec.price_text(bar.high),
            "l": spec.price_text(bar.low),
            "v": spec.size_text(bar.volume),
            "q": spec.notional_text(bar.amount),
            "V": spec.size_text(bar.taker_volume),
            "Q": spec.notional_text(bar.taker_amount),
        }

    @staticmethod
    def fraction(part: int, whole: int) -> str:
        """Write a share of something as a fraction with six decimals."""
        return fixed(part * 1_000_000 // whole if whole else 0, 6)
