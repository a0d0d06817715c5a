"""What derived streams yield: frozen structs with the head of every event, so that sinks take them like events.

In all of them ``ts_event`` is the moment that the record speaks of, ``ts_sent`` is 0, and ``ts_recv`` is the arrival of
the event that brought it out.
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from unitape_schemas import EventHead, Levels, Nanoseconds, Price, QuoteAmount, Size

__all__ = ["DERIVED_TYPES", "BookSample", "FlowImbalance", "Heartbeat", "MovingAverage", "TradeBar"]


class Heartbeat(EventHead, frozen=True, gc=False, tag="heartbeat"):
    """Nothing happened up to ``ts_recv``. Venue and symbol are empty. It lets time pass where a stream is quiet."""


class TradeBar(EventHead, frozen=True, gc=False, tag="trade_bar"):
    """The trades of one symbol in a span of time, or up to an amount of volume. ``ts_event`` is its end.

    Sums are made from the venue's own digits, in decimal: ten trades of 0.1 have the volume 1.
    """

    kind: Annotated[Literal["time", "volume"], Meta(description="What ends the bar.")]
    ts_open: Annotated[Nanoseconds, Meta(description="Time bar: its start. Volume bar: its first trade.")]
    ts_close: Annotated[Nanoseconds, Meta(description="Time bar: its end, exclusive. Volume bar: its last trade.")]
    open: Annotated[Price, Meta(description="First price by order of arrival.")]
    high: Annotated[Price, Meta(description="Highest price.")]
    low: Annotated[Price, Meta(description="Lowest price.")]
    close: Annotated[Price, Meta(description="Last price by order of arrival.")]
    volume: Annotated[Size, Meta(description="Traded volume, base units.")]
    buy_volume: Annotated[Size, Meta(description="The part of it in which the taker bought.")]
    quote_volume: Annotated[QuoteAmount, Meta(description="Sum of price times size, quote units.")]
    trades: Annotated[int, Meta(ge=0, description="Trades in it; one that was split counts in every bar it touches.")]
    left_out: Annotated[int, Meta(ge=0, description="Trades that came too late for their bar since the bar before.")]
    complete: Annotated[bool, Meta(description="False if trades of this bar may be missing: see the page.")]

    @property
    def vwap(self) -> float | None:
        """Average price by volume; None where nothing was traded."""
        return self.quote_volume / self.volume if self.volume else None


class BookSample(EventHead, frozen=True, gc=False, tag="book_sample"):
    """The best levels of a book as they stood at ``ts_event``, a multiple of the interval."""

    bids: Annotated[Levels, Meta(description="Bids, highest price first.")]
    asks: Annotated[Levels, Meta(description="Asks, lowest price first.")]
    depth: Annotated[int, Meta(ge=1, description="Levels per side that were asked for at most.")]
    seq: Annotated[int, Meta(description="Last update of the book that is in it.")]
    epoch: Annotated[int, Meta(ge=0, description="The epoch of the book.")]
    ts_book: Annotated[Nanoseconds, Meta(description="When that last update arrived.")]
    stale: Annotated[bool, Meta(description="True from a gap until the book's next snapshot: its last good state.")]


class FlowImbalance(EventHead, frozen=True, gc=False, tag="flow_imbalance"):
    """Order-flow imbalance at the best prices over one interval that ends at ``ts_event``, base units.

    Positive: size was added to the bid or taken from the ask.
    """

    ts_open: Annotated[Nanoseconds, Meta(description="Start of the interval.")]
    ts_close: Annotated[Nanoseconds, Meta(description="End of the interval, exclusive.")]
    imbalance: Annotated[float, Meta(description="Sum of the contributions, base units.")]
    updates: Annotated[int, Meta(ge=0, description="Changes of the best prices or sizes that were summed.")]
    complete: Annotated[bool, Meta(description="False if changes of this interval may be missing.")]


class MovingAverage(EventHead, frozen=True, gc=False, tag="moving_average"):
    """An average over the last values of one symbol. ``ts_event`` is that of the last record."""

    method: Annotated[Literal["simple", "exponential"], Meta(description="How values are weighted.")]
    window: Annotated[float, Meta(gt=0, description="Number of values; seconds where a half-life was asked for.")]
    value: Annotated[float, Meta(description="The last value.")]
    average: Annotated[float, Meta(description="The average, the last value included.")]


DERIVED_TYPES = (TradeBar, BookSample, FlowImbalance, MovingAverage)
"""The classes that sinks know beside the events of the contract."""
