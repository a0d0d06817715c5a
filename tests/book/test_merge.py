"""Two deltas merged have the effect of both, in order."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unitape.books import merge_deltas
from unitape.errors import ConfigError
from unitape_schemas import BookDelta

LEVELS = st.lists(st.tuples(st.integers(1, 9).map(float), st.integers(0, 3).map(float)), max_size=8).map(tuple)


def make(bids: tuple, asks: tuple, first: int, seq: int, prev: int | None, **changes: object) -> BookDelta:
    head = {"venue": "venue", "symbol": "A/B", "epoch": 1, **changes}
    return BookDelta(
        head["venue"], head["symbol"], seq * 10, seq * 10 + 1, seq * 10 + 2, bids, asks, first, seq, prev, head["epoch"]
    )


def replay(*sides: tuple) -> dict[float, float]:
    book = {1.0: 7.0, 5.0: 7.0}
    for levels in sides:
        for price, size in levels:
            if size:
                book[price] = size
            else:
                book.pop(price, None)
    return book


@given(LEVELS, LEVELS, LEVELS, LEVELS)
def test_the_effect_is_that_of_both(bids: tuple, asks: tuple, later_bids: tuple, later_asks: tuple) -> None:
    merged = merge_deltas(make(bids, asks, 11, 15, 10), make(later_bids, later_asks, 16, 19, 15))
    assert replay(merged.bids) == replay(bids, later_bids)
    assert replay(merged.asks) == replay(asks, later_asks)
    assert len({price for price, _ in merged.bids}) == len(merged.bids)
    assert (merged.first_seq, merged.seq, merged.prev_seq, merged.epoch) == (11, 19, 10, 1)
    assert (merged.ts_event, merged.ts_sent, merged.ts_recv) == (190, 191, 192)


@pytest.mark.parametrize(
    "other",
    [
        make((), (), 17, 19, 16),
        make((), (), 16, 19, 15, epoch=2),
        make((), (), 16, 19, 15, symbol="C/D"),
        make((), (), 16, 19, 15, venue="other"),
    ],
    ids=["gap", "epoch", "symbol", "venue"],
)
def test_deltas_that_do_not_belong_together_are_refused(other: BookDelta) -> None:
    with pytest.raises(ConfigError):
        merge_deltas(make((), (), 11, 15, 10), other)
