"""Two deltas as one: what a slow consumer gets instead of both."""

from __future__ import annotations

from unitape.errors import ConfigError
from unitape_schemas import BookDelta, Levels

__all__ = ["merge_deltas"]


def merge_deltas(a: BookDelta, b: BookDelta) -> BookDelta:
    """Return the one delta that has the effect of ``a`` and then ``b``.

    Later sizes win; it begins where ``a`` begins and ends, in its numbers and its times, where ``b`` ends.

    Raises:
        ConfigError: they are of different books or epochs, or ``b`` does not follow ``a``.
    """
    if (a.venue, a.symbol, a.epoch) != (b.venue, b.symbol, b.epoch):
        raise ConfigError(
            f"deltas of {a.venue} {a.symbol} epoch {a.epoch} and {b.venue} {b.symbol} epoch {b.epoch} do not merge"
        )
    if b.prev_seq is not None and b.prev_seq != a.seq:
        raise ConfigError(f"a delta that continues update {b.prev_seq} does not follow update {a.seq}")
    return BookDelta(
        b.venue,
        b.symbol,
        b.ts_event,
        b.ts_sent,
        b.ts_recv,
        _later(a.bids, b.bids),
        _later(a.asks, b.asks),
        a.first_seq,
        b.seq,
        a.prev_seq,
        b.epoch,
    )


def _later(first: Levels, second: Levels) -> Levels:
    sizes = dict(first)
    sizes.update(second)
    return tuple(sizes.items())
