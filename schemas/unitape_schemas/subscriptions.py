"""What can be asked for: one subscription is one channel of one symbol."""

from __future__ import annotations

from typing import Annotated, Final

from msgspec import Meta, Struct

from unitape_schemas._types import Channel, Interval

__all__ = ["ALL_SYMBOLS", "Subscription"]

ALL_SYMBOLS: Final = "*"
"""Stands for every symbol of a market, on the channels where the venue has such a stream."""


class Subscription(Struct, frozen=True, order=True):
    """One channel of one symbol. Two equal subscriptions are the same subscription."""

    channel: Annotated[Channel, Meta(description="The channel.")]
    symbol: Annotated[str, Meta(description="Unified symbol, or `*` for every symbol of the market.")]
    interval: Annotated[Interval | None, Meta(description="Candle interval; None on other channels.")] = None
    depth: Annotated[int | None, Meta(description="Levels of a `top` or `book` channel; None: the default.")] = None
    market: Annotated[
        str | None, Meta(description="Names the market where the symbol is `*` or empty; None: the symbol says it.")
    ] = None

    @property
    def key(self) -> str:
        """The name statuses use: ``trades BTC/USDT``, ``candles:1m BTC/USDT``, ``top:20 BTC/USDT``."""
        detail = self.interval if self.interval is not None else self.depth
        name = self.channel if detail is None else f"{self.channel}:{detail}"
        where = self.symbol if self.market is None else f"{self.market} {self.symbol}"
        return f"{name} {where}".rstrip()
