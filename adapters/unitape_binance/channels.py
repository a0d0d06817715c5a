"""Which stream serves which channel, on which route, under which name: tables, and the names made from them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, Literal, TypeAlias

from msgspec import Struct, structs

from unitape.errors import ConfigError, Unsupported
from unitape.spi import ChannelSpec, Instruments
from unitape_schemas import ALL_SYMBOLS, INTERVALS, Channel, Interval, Subscription

__all__ = [
    "EVENT_KINDS",
    "SPOT_CHANNELS",
    "USDM_ALL_SYMBOLS",
    "USDM_CHANNELS",
    "USDM_ROUTES",
    "StreamName",
    "TradesFrom",
    "native_name",
    "parse_stream",
    "usdm_channels",
    "usdm_route",
]

TradesFrom: TypeAlias = Literal["aggTrade", "trade"]
"""Which USDⓈ-M stream serves the channel ``trades``."""

_USDM_INTERVALS: Final[tuple[Interval, ...]] = tuple(i for i in INTERVALS if i != "1s")
_SPOT_PAGE: Final = "binance-spot-api-docs: WebSocket Streams; 2026-07"
_USDM_PAGE: Final = "USDⓈ-M futures: Websocket Market Streams; 2026-10"

SPOT_CHANNELS: Final[Mapping[Channel, ChannelSpec]] = {
    "trades": ChannelSpec(
        "trades",
        native="<s>@trade",
        continuity="sequence",
        stale_after=60.0,
        refill=True,
        note="ids grow by one per trade of a symbol; refilled from historicalTrades",
        source=_SPOT_PAGE,
    ),
    "quotes": ChannelSpec(
        "quotes",
        native="<s>@bookTicker",
        continuity="none",
        stale_after=30.0,
        note="the wire gives no time; seq grows, but not by one",
        source=_SPOT_PAGE,
    ),
    "book": ChannelSpec(
        "book",
        native="<s>@depth@100ms",
        continuity="sequence",
        stale_after=30.0,
        depths=(1000, 100, 500, 5000),
        note="depth is the snapshot's; the stream carries every level",
        source=_SPOT_PAGE,
    ),
    "top": ChannelSpec(
        "top",
        native="<s>@depth<n>@100ms",
        continuity="none",
        stale_after=30.0,
        depths=(20, 10, 5),
        note="the wire gives no time",
        source=_SPOT_PAGE,
    ),
    "ticker": ChannelSpec(
        "ticker",
        native="<s>@ticker",
        continuity="none",
        stale_after=30.0,
        note="the stream of all symbols was retired on 2026-03-26",
        source=_SPOT_PAGE,
    ),
    "candles": ChannelSpec(
        "candles",
        native="<s>@kline_<i>",
        continuity="none",
        stale_after=60.0,
        intervals=INTERVALS,
        source=_SPOT_PAGE,
    ),
}

USDM_CHANNELS: Final[Mapping[Channel, ChannelSpec]] = {
    "trades": ChannelSpec(
        "trades",
        native="<s>@aggTrade",
        continuity="sequence",
        route="market",
        stale_after=60.0,
        refill=True,
        note="fills of one taker order at one price within 100 ms; ids are of these aggregates. Fills of the "
        "insurance fund and of auto-deleveraging are not in it. Refilled from aggTrades",
        source=_USDM_PAGE,
    ),
    "quotes": ChannelSpec(
        "quotes",
        native="<s>@bookTicker",
        continuity="none",
        stale_after=30.0,
        all_symbols=True,
        note="retail price improvement orders are left out; of all symbols every 5 s",
        source=_USDM_PAGE,
    ),
    "book": ChannelSpec(
        "book",
        native="<s>@depth@100ms",
        continuity="sequence",
        stale_after=30.0,
        depths=(1000, 5, 10, 20, 50, 100, 500),
        note="depth is the snapshot's; the stream carries every level",
        source=_USDM_PAGE,
    ),
    "top": ChannelSpec(
        "top",
        native="<s>@depth<n>@100ms",
        continuity="none",
        stale_after=30.0,
        depths=(20, 10, 5),
        note="laid out like a change of the book, but whole each time",
        source=_USDM_PAGE,
    ),
    "ticker": ChannelSpec(
        "ticker",
        native="<s>@ticker",
        continuity="none",
        route="market",
        stale_after=30.0,
        all_symbols=True,
        note="without best bid and ask",
        source=_USDM_PAGE,
    ),
    "candles": ChannelSpec(
        "candles",
        native="<s>@kline_<i>",
        continuity="none",
        route="market",
        stale_after=60.0,
        intervals=_USDM_INTERVALS,
        source=_USDM_PAGE,
    ),
    "mark_price": ChannelSpec(
        "mark_price",
        native="<s>@markPrice@1s",
        continuity="none",
        route="market",
        stale_after=10.0,
        all_symbols=True,
        source=_USDM_PAGE,
    ),
    "funding": ChannelSpec(
        "funding",
        native="<s>@markPrice@1s",
        continuity="none",
        route="market",
        stale_after=10.0,
        all_symbols=True,
        note="the running estimate for the next settlement; shares its stream with mark_price",
        source=_USDM_PAGE,
    ),
    "open_interest": ChannelSpec(
        "open_interest",
        native="GET /fapi/v1/openInterest",
        continuity="none",
        route="",
        stale_after=60.0,
        poll=10.0,
        note="there is no stream",
        source="USDⓈ-M futures: Open Interest; 2026-10",
    ),
    "liquidations": ChannelSpec(
        "liquidations",
        native="<s>@forceOrder",
        continuity="none",
        route="market",
        all_symbols=True,
        note="at most one per symbol and second, the largest by the page of 2026-04-10, the latest by an older one",
        source=_USDM_PAGE,
    ),
}

USDM_ALL_SYMBOLS: Final[Mapping[Channel, str]] = {
    "quotes": "!bookTicker",
    "ticker": "!ticker@arr",
    "mark_price": "!markPrice@arr@1s",
    "funding": "!markPrice@arr@1s",
    "liquidations": "!forceOrder@arr",
}
"""The stream behind the symbol ``*``."""

USDM_ROUTES: Final[tuple[tuple[str, str], ...]] = (
    (r"!bookTicker", "public"),
    (r"[^@!]+@bookTicker", "public"),
    (r"[^@!]+@depth(5|10|20)?(@500ms|@100ms)?", "public"),
    (r"[^@!]+@rpiDepth@500ms", "public"),
    (r"[^@!]+@trade", "public"),
    (r"[^@!]+@aggTrade", "market"),
    (r"[^@!]+@markPrice(@1s)?", "market"),
    (r"!markPrice@arr(@1s)?", "market"),
    (r"[^@!]+@(kline|continuousKline)_\w+", "market"),
    (r"[^@!]+@(miniTicker|ticker|forceOrder|compositeIndex|assetIndex)", "market"),
    (r"!(miniTicker|ticker|forceOrder|assetIndex)@arr", "market"),
    (r"!contractInfo|tradingSession", "market"),
)
"""Which stream lives on which route since 2026-04-23. On the wrong one it is acknowledged and stays silent."""

_ROUTES: Final = tuple((re.compile(pattern), route) for pattern, route in USDM_ROUTES)


def usdm_route(stream: str) -> str | None:
    """Return the route that a USDⓈ-M stream lives on; None if the table does not know it."""
    return next((route for pattern, route in _ROUTES if pattern.fullmatch(stream)), None)


def usdm_channels(trades_from: TradesFrom) -> Mapping[Channel, ChannelSpec]:
    """Return the channels of USDⓈ-M with ``trades`` served from the stream chosen."""
    if trades_from == "aggTrade":
        return USDM_CHANNELS
    trades = structs.replace(
        USDM_CHANNELS["trades"],
        native="<s>@trade",
        continuity="id",
        route="public",
        refill=False,
        note="not documented by the venue; rows that are no trade of the book are left out, which leaves holes in the "
        "ids. Old trades by these ids need a key",
        source="observed on the wire; 2026-09-12",
    )
    return {**USDM_CHANNELS, "trades": trades}


def native_name(
    subscription: Subscription,
    channels: Mapping[Channel, ChannelSpec],
    all_symbols: Mapping[Channel, str],
    instruments: Instruments,
) -> str:
    """Return the venue's stream name of a subscription.

    Raises:
        ConfigError: the symbol, channel, interval or depth does not exist here.
    """
    channel = subscription.channel
    spec = channels.get(channel)
    if spec is None:
        raise Unsupported(f"there is no channel {channel!r} here; there are {', '.join(channels)}")
    if spec.poll is not None:
        raise Unsupported(f"{channel} has no stream here: it is polled")
    if spec.intervals and subscription.interval not in spec.intervals:
        raise ConfigError(f"{channel} need an interval of {', '.join(spec.intervals)}, not {subscription.interval}")
    depth = subscription.depth if subscription.depth is not None else (spec.depths[0] if spec.depths else None)
    if depth is not None and depth not in spec.depths:
        choice = f"the depths {', '.join(map(str, spec.depths))}" if spec.depths else "no choice of depth"
        raise Unsupported(f"{channel} has {choice}, not {depth}")
    if subscription.symbol == ALL_SYMBOLS:
        if not spec.all_symbols:
            raise Unsupported(f"{channel} of all symbols has no stream here; name the symbols")
        return all_symbols[channel]
    name = spec.native.replace("<s>", instruments.require(subscription.symbol).raw_symbol.lower())
    return name.replace("<n>", str(depth)).replace("<i>", str(subscription.interval))


class StreamName(Struct, frozen=True):
    """What a stream's name says: the raw symbol in lower case (None: all symbols), the kind, the depth of a top."""

    raw: str | None
    kind: str
    depth: int | None = None


EVENT_KINDS: Final[Mapping[str, str]] = {
    "trade": "trade",
    "aggTrade": "aggTrade",
    "bookTicker": "bookTicker",
    "depthUpdate": "depth",
    "24hrTicker": "ticker",
    "24hrMiniTicker": "miniTicker",
    "kline": "kline",
    "markPriceUpdate": "markPrice",
    "forceOrder": "forceOrder",
}
"""The kind of stream behind each event type (``e``) that the contract has an event for."""

_STREAM: Final = re.compile(r"(?:(?P<raw>[^@!]+)@|!)(?P<kind>\w+)(?:@.*)?", re.DOTALL)
_TOP: Final = re.compile(r"depth(\d{1,4})")


def parse_stream(name: str) -> StreamName | None:
    """Take a stream's name apart; None if it has none of the venue's forms."""
    match = _STREAM.fullmatch(name)
    if match is None:
        return None
    raw, kind = match["raw"], match["kind"]
    top = _TOP.fullmatch(kind)
    if top is not None:
        return StreamName(raw, "top", int(top[1]))
    return StreamName(raw, "kline" if kind.startswith("kline_") else kind)
