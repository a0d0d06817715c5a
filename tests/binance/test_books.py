"""The numbered rules of both books, number by number."""

from __future__ import annotations

import pytest

from unitape.spi import DepthUpdate, Fit
from unitape_binance.books import SPOT_BOOK, USDM_BOOK


def update(first, last, previous=None, sent=0):
    return DepthUpdate("binance", "X", 0, sent, 0, (), (), first, last, previous)


@pytest.mark.parametrize(
    ("first", "last", "expected"),
    [
        (90, 99, Fit.STALE),
        (95, 100, Fit.STALE),
        (95, 101, Fit.APPLY),
        (100, 105, Fit.APPLY),
        (101, 101, Fit.APPLY),
        (101, 110, Fit.APPLY),
        (102, 110, Fit.GAP),
    ],
)
def test_spot_join_and_follow_at_100(first, last, expected):
    assert SPOT_BOOK.join(100, update(first, last)) is expected
    assert SPOT_BOOK.follow(update(50, 100), update(first, last)) is expected


@pytest.mark.parametrize(
    ("first", "last", "expected"),
    [
        (90, 99, Fit.STALE),
        (95, 100, Fit.APPLY),
        (100, 105, Fit.APPLY),
        (100, 100, Fit.APPLY),
        (101, 105, Fit.GAP),
    ],
)
def test_usdm_join_at_100(first, last, expected):
    for previous in (0, 99, 100, 12345):
        assert USDM_BOOK.join(100, update(first, last, previous)) is expected


@pytest.mark.parametrize(
    ("first", "last", "previous", "sent", "expected"),
    [
        (101, 110, 100, 6, Fit.APPLY),
        # U need not be the number after the last u.
        (150, 160, 100, 6, Fit.APPLY),
        (90, 110, 100, 5, Fit.APPLY),
        (101, 110, 99, 6, Fit.GAP),
        (101, 110, 101, 6, Fit.GAP),
        # The same event twice, or one from before it, brings nothing.
        (91, 100, 90, 5, Fit.STALE),
        (81, 90, 80, 4, Fit.STALE),
        # Lower numbers sent later are a new numbering, not an old event.
        (11, 20, 10, 6, Fit.GAP),
    ],
)
def test_usdm_follow_after_100_sent_at_5(first, last, previous, sent, expected):
    assert USDM_BOOK.follow(update(91, 100, 90, 5), update(first, last, previous, sent)) is expected


def test_snapshots_are_requested_after_buffering():
    assert (SPOT_BOOK.snapshot, SPOT_BOOK.wait_for, SPOT_BOOK.keep) == ("request", 1, None)
    assert (USDM_BOOK.snapshot, USDM_BOOK.wait_for, USDM_BOOK.keep) == ("request", 2, None)


def test_numbers_that_are_missing_never_fit():
    assert SPOT_BOOK.join(100, update(None, 110)) is Fit.GAP
    assert USDM_BOOK.join(100, update(None, 110)) is Fit.GAP
