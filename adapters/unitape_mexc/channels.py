"""Which stream serves which channel, under which name: tables, and the names made from them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Final

from msgspec import Struct

from unitape.errors import ConfigError, Unsupported
from unitape.spi import ChannelSpec, Instruments
from unitape_mexc.limits import FuturesSettings, SpotSettings
from unitape_schemas import ALL_SYMBOLS, Channel, Interval, Subscription

__all__ = [
    "FUTURES_CHANNELS",
    "INTERVALS",
    "NATIVE_INTERVALS",
    "SPOT_CHANNELS",
    "TOP_DEPTHS",
    "FuturesStream",
    "candle_end",
    "futures_streams",
    "spot_param",
]

_SPOT_PAGE: Final = "MEXC Spot V3: Websocket Market Streams; 2026-11"
_FUTURES_PAGE: Final = "MEXC Contract V1: WebSocket API, Public Channels; 2026-11"

NATIVE_INTERVALS: Final[Mapping[Interval, str]] = {
    "1m": "Min1",
    "5m": "Min5",
    "15m": "Min15",
    "30m": "Min30",
    "1h": "Min60",
    "4h": "Hour4",
    "8h": "Hour8",
    "1d": "Day1",
    "1w": "Week1",
    "1M": "Month1",
}
"""Both WebSockets and the futures REST API; the spot REST API has names of its own."""

INTERVALS: Final[Mapping[str, Interval]] = {native: interval for interval, native in NATIVE_INTERVALS.items()}

TOP_DEPTHS: Final = (5, 10, 20)

SPOT_CHANNELS: Final[Mapping[Channel, ChannelSpec]] = {
    "trades": ChannelSpec(
        "trades",
        native="spot@public.aggre.deals.v3.api.pb@100ms@<s>",
        continuity="id",
        stale_after=60.0,
        note="ids since June 2026, none from older nodes; a trade without one has id None. 10 ms is a setting",
        source=_SPOT_PAGE,
    ),
    "quotes": ChannelSpec(
        "quotes",
        native="spot@public.aggre.bookTicker.v3.api.pb@100ms@<s>",
        continuity="none",
        stale_after=30.0,
        note="bookTicker.batch and 10 ms are settings",
        source=_SPOT_PAGE,
    ),
    "book": ChannelSpec(
        "book",
        native="spot@public.aggre.depth.v3.api.pb@100ms@<s>",
        continuity="sequence",
        stale_after=30.0,
        depths=(1000, 100, 500, 5000),
        note="depth is the snapshot's; levels beyond it that never change are not seen",
        source=_SPOT_PAGE,
    ),
    "top": ChannelSpec(
        "top",
        native="spot@public.limit.depth.v3.api.pb@<s>@<n>",
        continuity="none",
        stale_after=30.0,
        depths=(20, 10, 5),
        note="whole each time; versions skip",
        source=_SPOT_PAGE,
    ),
    "ticker": ChannelSpec(
        "ticker",
        native="spot@public.miniTicker.v3.api.pb@<s>@24H",
        continuity="none",
        stale_after=30.0,
        all_symbols=True,
        note="every 3 s; without opening price and best bid and ask",
        source=_SPOT_PAGE,
    ),
    "candles": ChannelSpec(
        "candles",
        native="spot@public.kline.v3.api.pb@<s>@<i>",
        continuity="none",
        stale_after=60.0,
        intervals=tuple(NATIVE_INTERVALS),
        closes=False,
        note="the venue does not say in which time zone days, weeks and months begin; ts_open and ts_close are its own",
        source=_SPOT_PAGE,
    ),
}

FUTURES_CHANNELS: Final[Mapping[Channel, ChannelSpec]] = {
    "trades": ChannelSpec(
        "trades",
        native="sub.deal",
        continuity="id",
        stale_after=60.0,
        note="ids grow, but not by one",
        source=_FUTURES_PAGE,
    ),
    "book": ChannelSpec(
        "book",
        native="sub.depth",
        continuity="sequence",
        stale_after=30.0,
        depths=(1000, 100, 500),
        note="unmerged (compress false), about every 200 ms; gaps are closed from depth_commits",
        source=_FUTURES_PAGE,
    ),
    "top": ChannelSpec(
        "top",
        native="sub.depth.full",
        continuity="none",
        stale_after=30.0,
        depths=(20, 10, 5),
        note="one size per contract: the largest asked for is subscribed, smaller ones are cut from it",
        source=_FUTURES_PAGE,
    ),
    "ticker": ChannelSpec(
        "ticker",
        native="sub.ticker",
        continuity="none",
        stale_after=30.0,
        all_symbols=True,
        note="about every 3 s; best prices without sizes: not a quote feed",
        source=_FUTURES_PAGE,
    ),
    "candles": ChannelSpec(
        "candles",
        native="sub.kline",
        continuity="none",
        stale_after=60.0,
        intervals=tuple(NATIVE_INTERVALS),
        closes=False,
        note="the venue does not say in which time zone days, weeks and months begin; ts_open is its own, ts_close is "
        "one interval later, a month by the calendar of the zone in which ts_open is midnight",
        source=_FUTURES_PAGE,
    ),
    "mark_price": ChannelSpec(
        "mark_price",
        native="sub.fair.price and sub.index.price",
        continuity="none",
        stale_after=60.0,
        note="two streams: an event carries either the mark (the venue's fair price) or the index",
        source=_FUTURES_PAGE,
    ),
    "funding": ChannelSpec("funding", native="sub.funding.rate", continuity="none", source=_FUTURES_PAGE),
    "open_interest": ChannelSpec(
        "open_interest",
        native="sub.ticker",
        continuity="none",
        stale_after=30.0,
        note="the holdVol of the ticker, whose stream it shares",
        source=_FUTURES_PAGE,
    ),
}
"""There is no best-bid/ask feed: ``quotes`` is unsupported, ``book.best()`` serves."""

_SECONDS: Final[Mapping[Interval, int]] = {
    "1m": 60,
    "5m": 300,
    "15m": 900,
    "30m": 1800,
    "1h": 3600,
    "4h": 14_400,
    "8h": 28_800,
    "1d": 86_400,
    "1w": 604_800,
}


def candle_end(start: int, interval: Interval) -> int:
    """Return the exclusive end of the candle that opens at ``start``, both in Unix seconds."""
    seconds = _SECONDS.get(interval)
    if seconds is not None:
        return start + seconds
    # Of all offsets that make the start a midnight, the one nearest to UTC.
    behind = start % 86_400
    offset = timedelta(seconds=-behind if behind <= 43_200 else 86_400 - behind)
    local = datetime.fromtimestamp(start, UTC) + offset
    following = local.replace(year=local.year + local.month // 12, month=local.month % 12 + 1)
    return start + int((following - local).total_seconds())


def _checked(subscription: Subscription, channels: Mapping[Channel, ChannelSpec], instruments: Instruments) -> str:
    """Return the raw symbol, or ``*``.

    Raises:
        Unsupported: the market has no such channel, interval, depth, or no such stream of all symbols.
        ConfigError: the symbol does not exist here.
    """
    spec = channels.get(subscription.channel)
    if spec is None:
        hint = "; `book` gives the best prices" if subscription.channel == "quotes" else ""
        raise Unsupported(f"this market of mexc has no channel {subscription.channel!r}{hint}")
    if spec.intervals and subscription.interval not in spec.intervals:
        raise Unsupported(f"mexc has no candles of {subscription.interval!r}, only {', '.join(spec.intervals)}")
    if subscription.depth is not None and subscription.depth not in spec.depths:
        depths = ", ".join(map(str, spec.depths)) or "none"
        raise Unsupported(f"mexc has no {subscription.channel} of depth {subscription.depth}, only {depths}")
    if subscription.symbol == ALL_SYMBOLS:
        if not spec.all_symbols:
            raise Unsupported(f"mexc has no stream of {subscription.channel} of all symbols; name the symbols")
        return ALL_SYMBOLS
    return instruments.require(subscription.symbol).raw_symbol


def spot_param(subscription: Subscription, instruments: Instruments, settings: SpotSettings) -> str:
    """Return the stream that serves a subscription, as it stands in ``params``.

    Raises:
        ConfigError: there is none.
    """
    raw = _checked(subscription, SPOT_CHANNELS, instruments)
    head = "spot@public."
    match subscription.channel:
        case "trades":
            return f"{head}aggre.deals.v3.api.pb@{settings.speed}@{raw}"
        case "quotes" if settings.batched_quotes:
            return f"{head}bookTicker.batch.v3.api.pb@{raw}"
        case "quotes":
            return f"{head}aggre.bookTicker.v3.api.pb@{settings.speed}@{raw}"
        case "book":
            return f"{head}aggre.depth.v3.api.pb@{settings.speed}@{raw}"
        case "top":
            return f"{head}limit.depth.v3.api.pb@{raw}@{subscription.depth or TOP_DEPTHS[-1]}"
        case "ticker" if raw == ALL_SYMBOLS:
            return f"{head}miniTickers.v3.api.pb@{settings.ticker_zone}"
        case "ticker":
            return f"{head}miniTicker.v3.api.pb@{raw}@{settings.ticker_zone}"
        case "candles" if subscription.interval is not None:
            return f"{head}kline.v3.api.pb@{raw}@{NATIVE_INTERVALS[subscription.interval]}"
        case _:
            raise ConfigError(f"no stream serves {subscription.key}")


class FuturesStream(Struct, frozen=True):
    """One stream of the futures socket: a name such as ``depth``, a contract and an interval where it has them."""

    name: str
    raw: str = ""
    interval: str = ""

    def request(self, verb: str, settings: FuturesSettings, limit: int | None = None) -> dict[str, object]:
        """Return the message that subscribes (``sub``) or unsubscribes (``unsub``)."""
        param: dict[str, object] = {}
        if self.raw:
            param["symbol"] = self.raw
        if self.interval:
            param["interval"] = self.interval
        if verb == "sub" and self.name == "depth":
            param["compress"] = settings.merge_depth
        if verb == "sub" and limit is not None:
            param["limit"] = limit
        message: dict[str, object] = {"method": f"{verb}.{self.name}", "param": param}
        if verb == "sub" and settings.gzip is not None:
            message["gzip"] = settings.gzip
        return message


_FUTURES_NAMES: Final[Mapping[Channel, tuple[str, ...]]] = {
    "trades": ("deal",),
    "book": ("depth",),
    "top": ("depth.full",),
    "ticker": ("ticker",),
    "candles": ("kline",),
    "mark_price": ("fair.price", "index.price"),
    "funding": ("funding.rate",),
    "open_interest": ("ticker",),
}


def futures_streams(subscription: Subscription, instruments: Instruments) -> tuple[FuturesStream, ...]:
    """Return the streams that serve a subscription.

    Raises:
        ConfigError: there are none.
    """
    raw = _checked(subscription, FUTURES_CHANNELS, instruments)
    if raw == ALL_SYMBOLS:
        return (FuturesStream("tickers"),)
    interval = NATIVE_INTERVALS[subscription.interval] if subscription.interval is not None else ""
    return tuple(FuturesStream(name, raw, interval) for name in _FUTURES_NAMES[subscription.channel])
