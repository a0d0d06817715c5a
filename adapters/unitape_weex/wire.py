"""The venue's messages and bodies as structs: V3 of its API, pages of April to July 2026.

Numbers come as strings or as JSON numbers; the lax decoders take both and the bounds
of the number types keep them honest. Each push struct is tagged by its ``e``, so that a message which names two kinds
is refused rather than read as either.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Final, Literal, TypeAlias, TypeVar

from msgspec import Meta, MsgspecError, Raw, Struct, field
from msgspec import json as msgspec_json

from unitape.errors import WireError
from unitape.spi import WireLevels, WireMillis, WireNumber, WireSigned
from unitape_schemas import Interval

__all__ = [
    "LAST_PRICE",
    "VENUE",
    "BookTickerPush",
    "BookTickerRow",
    "ContractInfo",
    "ContractRow",
    "Control",
    "DepthBody",
    "DepthChange",
    "DepthImage",
    "ErrorBody",
    "FundingRow",
    "InterestBody",
    "KlineHistory",
    "KlinePush",
    "KlineRow",
    "PremiumRow",
    "RestCandle",
    "RestTicker",
    "RestTrade",
    "SpotInfo",
    "SpotRow",
    "TickerPush",
    "TickerRow",
    "TimeBody",
    "TradeHistory",
    "TradePush",
    "TradeRow",
    "WireId",
    "read",
]

VENUE: Final = "weex"
LAST_PRICE: Final = "LAST_PRICE"
"""Candles made of trade prices; contracts also have some of mark prices."""

WireId: TypeAlias = Annotated[int, Meta(ge=0, lt=9_000_000_000_000_000_000)]
"""An update number of a book."""
WireDepth: TypeAlias = Annotated[int, Meta(ge=1, le=10_000)]
WireCount: TypeAlias = Annotated[int, Meta(ge=0, lt=9_000_000_000_000_000_000)]

T = TypeVar("T")


class _Push(Struct, frozen=True, gc=False, tag_field="e"):
    sent: WireMillis = field(name="E")
    raw: str = field(name="s")


class TradeRow(Struct, frozen=True, gc=False):
    """One trade. ``sold``: the buyer was the maker, so the taker sold."""

    ts: WireMillis = field(name="T")
    id: str = field(name="t")
    price: WireNumber = field(name="p")
    size: WireNumber = field(name="q")
    sold: bool = field(name="m")


class TradePush(_Push, frozen=True, gc=False, tag="trade"):
    """New trades, in no order."""

    rows: list[TradeRow] = field(name="d")


class TradeHistory(_Push, frozen=True, gc=False, tag="tradeSnapshot"):
    """The trades before the subscription, newest first."""

    rows: list[TradeRow] = field(name="d")


class TickerRow(Struct, frozen=True, gc=False):
    """24 h statistics; mark and index on contracts only.

    The window's ``O`` and ``C`` lie on a 15-minute grid and are no clock. ``p`` and ``P`` are left out: the pages
    print percent where the wire sends a fraction.
    """

    last: WireNumber = field(name="c")
    open: WireNumber = field(name="o")
    high: WireNumber = field(name="h")
    low: WireNumber = field(name="l")
    volume: WireNumber = field(name="v")
    amount: WireNumber = field(name="q")
    mark: WireNumber | None = field(name="m", default=None)
    index: WireNumber | None = field(name="i", default=None)


class TickerPush(_Push, frozen=True, gc=False, tag="ticker"):
    """The ticker of one symbol, as a list of one."""

    rows: list[TickerRow] = field(name="d")


class KlineRow(Struct, frozen=True, gc=False):
    """One candle. ``end`` is the open time of the next one."""

    start: WireMillis = field(name="t")
    end: WireMillis = field(name="T")
    interval: Interval = field(name="i")
    open: WireNumber = field(name="o")
    high: WireNumber = field(name="h")
    low: WireNumber = field(name="l")
    close: WireNumber = field(name="c")
    volume: WireNumber = field(name="v")
    amount: WireNumber = field(name="q")
    trades: WireCount | None = field(name="n", default=None)


class KlinePush(_Push, frozen=True, gc=False, tag="kline"):
    """The current candle. ``kind`` is the kind of price it is made of."""

    rows: list[KlineRow] = field(name="d")
    kind: str = field(name="p", default=LAST_PRICE)


class KlineHistory(_Push, frozen=True, gc=False, tag="klineSnapshot"):
    """The candles so far, the current one among them."""

    rows: list[KlineRow] = field(name="d")
    kind: str = field(name="p", default=LAST_PRICE)


class DepthChange(_Push, frozen=True, gc=False, tag="depth"):
    """Changed levels. ``first`` is the id the book had before, ``last`` the one it has after."""

    first: WireId = field(name="U")
    last: WireId = field(name="u")
    depth: WireDepth = field(name="l")
    bids: WireLevels = field(name="b", default=())
    asks: WireLevels = field(name="a", default=())
    kind: Literal["CHANGED"] = field(name="d", default="CHANGED")


class DepthImage(_Push, frozen=True, gc=False, tag="depthSnapshot"):
    """The best levels of each side, ``depth`` of them, at id ``last``."""

    first: WireId = field(name="U")
    last: WireId = field(name="u")
    depth: WireDepth = field(name="l")
    bids: WireLevels = field(name="b", default=())
    asks: WireLevels = field(name="a", default=())
    kind: Literal["SNAPSHOT"] = field(name="d", default="SNAPSHOT")


class BookTickerPush(_Push, frozen=True, gc=False, tag="bookTicker"):
    """Best bid and ask; spot only."""

    seq: WireId = field(name="u")
    bid: WireNumber = field(name="b")
    bid_size: WireNumber = field(name="B")
    ask: WireNumber = field(name="a")
    ask_size: WireNumber = field(name="A")


class Control(Struct, frozen=True):
    """Everything that is not a push: greeting, pings, pongs, answers. ``e`` is set when it is a push after all."""

    e: str | None = None
    event: str | None = None
    type: str | None = None
    method: str | None = None
    result: bool | None = None
    id: int | str | None = None
    msg: str | None = None
    channel: str | None = None


class ErrorBody(Struct, frozen=True, rename="camel"):
    """A refusal by HTTP. ``code`` is a negative number, or a string in management answers and in V2."""

    code: int | str
    msg: str = ""


class TimeBody(Struct, frozen=True, rename="camel"):
    """The venue's clock."""

    server_time: WireMillis


class DepthBody(Struct, frozen=True, rename="camel"):
    """A book by HTTP."""

    last_update_id: WireId
    bids: WireLevels
    asks: WireLevels


class RestTrade(Struct, frozen=True, rename="camel"):
    """One trade by HTTP; the ids are those of the stream."""

    id: str
    price: WireNumber
    qty: WireNumber
    time: WireMillis
    is_buyer_maker: bool


RestCandle: TypeAlias = tuple[
    WireMillis,
    WireNumber,
    WireNumber,
    WireNumber,
    WireNumber,
    WireNumber,
    WireMillis,
    WireNumber,
    WireCount,
    WireNumber,
    WireNumber,
]
"""Open time, open, high, low, close, base volume, close time, quote volume, trades, taker base, taker quote."""


class RestTicker(Struct, frozen=True, rename="camel"):
    """24 h statistics by HTTP; best prices on spot only."""

    symbol: str
    price_change: WireSigned
    last_price: WireNumber
    high_price: WireNumber
    low_price: WireNumber
    volume: WireNumber
    quote_volume: WireNumber
    bid_price: WireNumber | None = None
    bid_qty: WireNumber | None = None
    ask_price: WireNumber | None = None
    ask_qty: WireNumber | None = None


class BookTickerRow(Struct, frozen=True, rename="camel"):
    """Best bid and ask by HTTP; ``time`` on contracts only."""

    symbol: str
    bid_price: WireNumber
    bid_qty: WireNumber
    ask_price: WireNumber
    ask_qty: WireNumber
    time: WireMillis = 0


class PremiumRow(Struct, frozen=True, rename="camel"):
    """Mark price and current funding. ``forecastFundingRate`` is the estimate for ``nextFundingTime``."""

    symbol: str
    mark_price: WireNumber
    index_price: WireNumber
    forecast_funding_rate: WireSigned
    next_funding_time: WireMillis
    time: WireMillis


class FundingRow(Struct, frozen=True, rename="camel"):
    """One settled funding."""

    symbol: str
    funding_rate: WireSigned
    funding_time: WireMillis


class InterestBody(Struct, frozen=True, rename="camel"):
    """Open interest in base units."""

    symbol: str
    open_interest: WireNumber
    time: WireMillis


class SpotRow(Struct, frozen=True, rename="camel"):
    """One spot instrument."""

    symbol: str
    base_asset: str
    quote_asset: str
    status: str = ""
    enable_trade: bool = True
    tick_size: Decimal | None = None
    step_size: Decimal | None = None
    min_trade_amount: Decimal | None = None
    max_trade_amount: Decimal | None = None
    maker_fee_rate: Decimal | None = None
    taker_fee_rate: Decimal | None = None


class SpotInfo(Struct, frozen=True, rename="camel"):
    """The list of spot instruments; rows are read one by one."""

    symbols: list[Raw]


class ContractRow(Struct, frozen=True, rename="camel"):
    """One contract. ``contractVal`` repeats the quantity step in base units; it multiplies nothing."""

    symbol: str
    base_asset: str
    quote_asset: str
    margin_asset: str
    forward_contract_flag: bool
    price_precision: Annotated[int, Meta(ge=-18, le=18)]
    quantity_precision: Annotated[int, Meta(ge=-18, le=18)]
    contract_val: Decimal | None = None
    contract_type: str = "PERPETUAL"
    min_order_size: Decimal | None = None
    max_order_size: Decimal | None = None
    maker_fee_rate: Decimal | None = None
    taker_fee_rate: Decimal | None = None


class ContractInfo(Struct, frozen=True, rename="camel"):
    """The list of contracts; rows are read one by one."""

    symbols: list[Raw]


def read(decoder: msgspec_json.Decoder[T], data: bytes | str, what: str) -> T:
    """Decode, or raise ``WireError`` with the bytes. ``what`` names the message for a person."""
    try:
        return decoder.decode(data)
    except (MsgspecError, UnicodeError, RecursionError, ValueError) as error:
        raise WireError(f"not a {what}: {error}", data, venue=VENUE) from None
