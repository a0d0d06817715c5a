"""Finds what an event belongs to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from unitape.feed.line import Line, Proof, Track
from unitape_schemas import (
    ALL_SYMBOLS,
    Balance,
    Candle,
    Channel,
    Fill,
    Funding,
    Liquidation,
    MarkPrice,
    OpenInterest,
    Order,
    Position,
    Quote,
    Ticker,
    TopBook,
    Trade,
)

__all__ = ["CHANNEL_EVENTS", "Tracks"]

CHANNEL_EVENTS: Final[Mapping[Channel, type[Any]]] = {
    "trades": Trade,
    "quotes": Quote,
    "top": TopBook,
    "ticker": Ticker,
    "candles": Candle,
    "mark_price": MarkPrice,
    "funding": Funding,
    "open_interest": OpenInterest,
    "liquidations": Liquidation,
    "orders": Order,
    "fills": Fill,
    "balances": Balance,
    "positions": Position,
}
"""What each channel carries; ``book`` carries depth updates, which are joined first."""


class Tracks:
    """The tracks of one feed, by class and symbol of the event."""

    def __init__(self) -> None:
        self.plain: dict[type[Any], dict[str, Track]] = {
            kind: {} for kind in CHANNEL_EVENTS.values() if kind not in (Candle, TopBook)
        }
        """By class and symbol: the hot path reads this directly."""
        self.detailed: dict[tuple[type[Any], str, str | int | None], Track] = {}
        """By class, symbol, and interval or depth: likewise."""
        self._whole: dict[type[Any], Line] = {}
        """Subscriptions to every symbol, or to what has no symbol."""

    def add(self, line: Line, proof: Proof) -> None:
        """Make the track of a subscription; one to every symbol gets its tracks as the symbols come."""
        line.proof = proof
        kind = CHANNEL_EVENTS.get(line.subscription.channel)
        if kind is None:
            return
        if line.subscription.symbol in ("", ALL_SYMBOLS):
            self._whole[kind] = line
        else:
            self._put(kind, line.subscription.symbol, self._detail_of(line), line)

    def remove(self, line: Line) -> None:
        """Forget a subscription's tracks."""
        kind = CHANNEL_EVENTS.get(line.subscription.channel)
        if kind is None:
            return
        if self._whole.get(kind) is line:
            del self._whole[kind]
        tables: list[dict[Any, Track]] = [self.detailed]
        if kind in self.plain:
            tables.append(self.plain[kind])
        for table in tables:
            for key in [key for key, track in table.items() if track.line is line]:
                del table[key]

    def find(self, event: Any) -> Track | None:
        """Return the track of an event; None when nobody asked for it."""
        kind: type[Any] = event.__class__
        symbol: str = event.symbol
        detail: str | int | None = None
        table = self.plain.get(kind)
        if table is not None:
            track = table.get(symbol)
        else:
            detail = event.interval if kind is Candle else event.depth if kind is TopBook else None
            track = self.detailed.get((kind, symbol, detail)) or self.detailed.get((kind, symbol, None))
        if track is None:
            line = self._whole.get(kind)
            if line is not None:
                track = self._put(kind, symbol, detail, line)
        return track

    def _put(self, kind: type[Any], symbol: str, detail: str | int | None, line: Line) -> Track:
        track = Track(line, line.proof)
        line.tracks.append(track)
        table = self.plain.get(kind)
        if table is not None:
            table[symbol] = track
        else:
            self.detailed[kind, symbol, detail] = track
        return track

    @staticmethod
    def _detail_of(line: Line) -> str | int | None:
        subscription = line.subscription
        if subscription.interval is not None:
            return subscription.interval
        if subscription.depth is None and line.spec.depths:
            return line.spec.depths[0]
        return subscription.depth
