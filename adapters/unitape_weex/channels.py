"""What each market serves, as data, and how the venue spells it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from unitape.errors import ConfigError, Unsupported
from unitape.spi import ChannelSpec, Instruments
from unitape_schemas import ALL_SYMBOLS, Channel, Interval, Subscription
from unitape_weex.books import DEPTHS
from unitape_weex.wire import LAST_PRICE

__all__ = ["CONTRACT_CHANNELS", "INTERVALS", "REST_CONTRACT_INTERVALS", "SPOT_CHANNELS", "depth_of", "native_stream"]

SOURCE: Final = "API documentation V3, public channels, 2026-07; recorded sessions of 2026-09"

INTERVALS: Final[tuple[Interval, ...]] = (
    "1m", "5m", "15m", "30m", "1h", "2h", "4h", "6h", "8h", "12h", "1d", "1w", "1M",
)  # fmt: skip
"""The venue's names are ours. Streams of both markets and HTTP on spot have them all."""

REST_CONTRACT_INTERVALS: Final[tuple[Interval, ...]] = ("1m", "5m", "15m", "30m", "1h", "4h", "12h", "1d", "1w")
"""What HTTP on contracts has."""

_SILENT: Final = "A delisted symbol is acknowledged and then silent: only the watch for silence tells."

_COMMON: Final[dict[Channel, ChannelSpec]] = {
    "trades": ChannelSpec(
        "trades",
        native="<s>@trade",
        continuity="id",
        stale_after=120.0,
        refill=True,
        note="The history sent on subscribing is no news; live trades come out once each, by time within a message. "
        + _SILENT,
        source=SOURCE,
    ),
    "book": ChannelSpec(
        "book",
        native="<s>@depth<n>",
        continuity="sequence",
        stale_after=30.0,
        depths=DEPTHS,
        note="Image first, then changes about twice a second. Ask for one depth per symbol. " + _SILENT,
        source=SOURCE,
    ),
    "ticker": ChannelSpec(
        "ticker",
        native="<s>@ticker",
        continuity="none",
        stale_after=60.0,
        note="No best prices in it. The change is computed from last and open. " + _SILENT,
        source=SOURCE,
    ),
    "candles": ChannelSpec(
        "candles",
        native="<s>@kline_<interval>_" + LAST_PRICE,
        continuity="none",
        stale_after=300.0,
        intervals=INTERVALS,
        closes=False,
        note="Of the history sent on subscribing only the current candle is passed on; older ones are a query. "
        + _SILENT,
        source=SOURCE,
    ),
}

SPOT_CHANNELS: Final[Mapping[Channel, ChannelSpec]] = {
    **_COMMON,
    "quotes": ChannelSpec(
        "quotes", native="<s>@bookTicker", continuity="none", stale_after=60.0, note=_SILENT, source=SOURCE
    ),
}

CONTRACT_CHANNELS: Final[Mapping[Channel, ChannelSpec]] = {
    **_COMMON,
    "mark_price": ChannelSpec(
        "mark_price",
        native="<s>@ticker",
        continuity="none",
        stale_after=60.0,
        note="Mark and index price come in the ticker; both channels share one native stream. " + _SILENT,
        source=SOURCE,
    ),
    "funding": ChannelSpec(
        "funding",
        native="GET /capi/v3/market/premiumIndex",
        continuity="none",
        route="",
        poll=30.0,
        note="Polled: the venue streams no funding. The rate is the forecast for the next settlement.",
        source=SOURCE,
    ),
    "open_interest": ChannelSpec(
        "open_interest",
        native="GET /capi/v3/market/openInterest",
        continuity="none",
        route="",
        poll=30.0,
        note="Polled: the venue streams no open interest. Taken as base units: its pages say contracts, its amounts "
        "are fractions of one.",
        source=SOURCE,
    ),
}

_LACKING: Final[Mapping[Channel, str]] = {
    "quotes": "contracts have no best-price feed; the book's best prices serve",
    "top": "no feed sends whole top levels; `book` at depth 15 serves",
    "liquidations": "the venue publishes none",
}


def depth_of(subscription: Subscription) -> int:
    """Return the levels per side a ``book`` subscription asks for."""
    return subscription.depth if subscription.depth is not None else DEPTHS[0]


def native_stream(channels: Mapping[Channel, ChannelSpec], instruments: Instruments, subscription: Subscription) -> str:
    """Return the stream that serves a subscription.

    Raises:
        Unsupported: the market has no such channel, depth or interval; the text says what serves instead.
        ConfigError: no instrument has this symbol.
    """
    channel = subscription.channel
    spec = channels.get(channel)
    if spec is None:
        raise Unsupported(f"weex has no {channel} here: {_LACKING.get(channel, 'it is no market data channel')}")
    if not spec.route:
        raise ConfigError(f"weex {channel} is polled over HTTP, not streamed")
    if subscription.symbol == ALL_SYMBOLS:
        raise Unsupported(f"weex has no stream of every symbol; subscribe {channel} by symbol")
    raw = instruments.require(subscription.symbol).raw_symbol
    if channel == "book":
        depth = depth_of(subscription)
        if depth not in DEPTHS:
            raise Unsupported(f"weex streams books of {DEPTHS[1]} or {DEPTHS[0]} levels, not {depth}")
        return f"{raw}@depth{depth}"
    if channel == "candles":
        if subscription.interval not in INTERVALS:
            raise Unsupported(f"weex has no candles of {subscription.interval}; it has {', '.join(INTERVALS)}")
        return f"{raw}@kline_{subscription.interval}_{LAST_PRICE}"
    return raw + _SUFFIX[channel]


_SUFFIX: Final[Mapping[Channel, str]] = {
    "trades": "@trade",
    "quotes": "@bookTicker",
    "ticker": "@ticker",
    "mark_price": "@ticker",
}
