"""Streams that are made from streams: bars, samples of books, order-flow imbalance, averages, filters, batches.

Each is a function over any stream of records, and a pure core behind it. Cores can be run together over one stream with
``derived``, one after the other with ``Chained``, and over stored records with ``derived_from``.
"""

from __future__ import annotations

from unitape.derive.bars import TimeBars, VolumeBars, time_bars, volume_bars
from unitape.derive.base import Chained, Derived, Deriver, Through, derived, derived_from, heartbeats
from unitape.derive.flow import BookSamples, FlowImbalances, book_samples, flow_imbalance
from unitape.derive.records import DERIVED_TYPES, BookSample, FlowImbalance, Heartbeat, MovingAverage, TradeBar
from unitape.derive.values import Averages, Batched, Changes, batched, changed, moving_average

__all__ = [
    "DERIVED_TYPES",
    "Averages",
    "Batched",
    "BookSample",
    "BookSamples",
    "Chained",
    "Changes",
    "Derived",
    "Deriver",
    "FlowImbalance",
    "FlowImbalances",
    "Heartbeat",
    "MovingAverage",
    "Through",
    "TimeBars",
    "TradeBar",
    "VolumeBars",
    "batched",
    "book_samples",
    "changed",
    "derived",
    "derived_from",
    "flow_imbalance",
    "heartbeats",
    "moving_average",
    "time_bars",
    "volume_bars",
]
