"""The report of what changed: every line was written by hand from the two lists."""

from __future__ import annotations

import random
import time

from unitape.testing import compare

TRADE = {"type": "trade", "venue": "a", "symbol": "BTC/USDT", "id": "7", "price": 96400.1, "size": 0.01, "side": "sell"}
BOOK = {
    "type": "book_delta",
    "venue": "a",
    "symbol": "BTC/USDT",
    "seq": 12,
    "bids": [[1.0, 2.0], [0.5, 3.0]],
    "asks": [],
}


def test_equal_lists_have_nothing_to_report() -> None:
    assert compare([TRADE, BOOK], [dict(TRADE), dict(BOOK)]) == []
    assert compare([], []) == []


def test_a_changed_field_is_named_with_both_values() -> None:
    assert compare([BOOK, TRADE], [BOOK, {**TRADE, "price": 96400.2, "side": None}]) == [
        "1 changed (expected 2, found 2)",
        "~ #2 trade a BTC/USDT id 7",
        "    price: 96400.1 → 96400.2",
        "    side: 'sell' → None",
    ]


def test_fields_that_come_and_go_are_told() -> None:
    renamed = {name: value for name, value in TRADE.items() if name != "size"} | {"amount": 0.01}
    assert compare([TRADE], [renamed])[2:] == ["    size: 0.01 → not there", "    amount: not there → 0.01"]


def test_a_level_of_a_book_is_one_line_and_not_the_whole_side() -> None:
    after = {**BOOK, "bids": [[1.0, 2.0], [0.5, 4.0], [0.4, 1.0]]}
    assert compare([BOOK], [after]) == [
        "1 changed (expected 1, found 1)",
        "~ #1 book_delta a BTC/USDT seq 12",
        "    bids[1]: [0.5, 3.0] → [0.5, 4.0]",
        "    bids[2]: not there → [0.4, 1.0]",
    ]


def test_one_event_in_between_does_not_change_those_that_follow() -> None:
    trades = [{**TRADE, "id": str(number)} for number in range(100)]
    assert compare(trades[:50] + trades[51:], trades) == [
        "1 new (expected 99, found 100)",
        "+ #51 trade a BTC/USDT id 50: price 96400.1, size 0.01, side 'sell'",
    ]
    assert compare(trades, trades[:50] + trades[51:]) == [
        "1 missing (expected 100, found 99)",
        "- #51 trade a BTC/USDT id 50: price 96400.1, size 0.01, side 'sell'",
    ]


def test_a_changed_number_of_an_event_is_a_change_of_that_event() -> None:
    assert compare([TRADE, BOOK], [{**TRADE, "id": "8"}, BOOK]) == [
        "1 changed (expected 2, found 2)",
        "~ #1 trade a BTC/USDT id 7",
        "    id: '7' → '8'",
    ]


def test_whole_numbers_floats_and_truth_are_not_the_same() -> None:
    assert compare([{"x": 1}], [{"x": True}])[2:] == ["    x: 1 → True"]
    assert compare([{"x": 1}], [{"x": 1.0}])[2:] == ["    x: 1 → 1.0"]


def test_values_that_are_no_objects_are_compared_too() -> None:
    assert compare(["buy", 1], ["sell", 1]) == [
        "1 changed (expected 2, found 2)",
        "~ #1 value",
        "    value: 'buy' → 'sell'",
    ]


def test_only_the_first_changes_are_written_out_and_the_rest_is_counted() -> None:
    before = [{**TRADE, "id": str(number)} for number in range(30)]
    lines = compare(before, [{**trade, "price": 1.0} for trade in before], shown=3)
    assert lines[0] == "30 changed (expected 30, found 30)"
    assert [line for line in lines if line.startswith("~")] == [
        f"~ #{n} trade a BTC/USDT id {n - 1}" for n in (1, 2, 3)
    ]
    assert lines[-1] == "… and 27 more"


def test_counts_hold_for_random_edits() -> None:
    for seed in range(200):
        rng = random.Random(seed)
        before = [{**TRADE, "id": str(number)} for number in range(40)]
        fates = [rng.choice(["keep"] * 8 + ["drop", "change"]) for _ in before]
        after = [
            {**one, "price": 1.0} if fate == "change" else one
            for one, fate in zip(before, fates, strict=True)
            if fate != "drop"
        ]
        words = [f"{fates.count(f)} {w}" for f, w in (("change", "changed"), ("drop", "missing")) if f in fates]
        expected = f"{', '.join(words)} (expected 40, found {len(after)})"
        assert compare(before, after)[:1] == ([expected] if words else []), f"seed {seed}"


def test_long_lists_are_compared_in_seconds() -> None:
    before = [{**TRADE, "id": str(number)} for number in range(60_000)]
    begin = time.process_time()
    lines = compare(before, [{**before[0], "price": 2.0}, *before[1:-1], {**before[-1], "price": 3.0}])
    assert lines[0] == "2 changed (expected 60000, found 60000)"
    assert time.process_time() - begin < 10
