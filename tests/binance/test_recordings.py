"""Every recorded market data message of this venue is read, or stands in one list with its reason."""

from __future__ import annotations

import itertools
import json
import re
from collections import Counter
from decimal import Decimal
from pathlib import Path

import pytest

from tests.binance.recorded import MARKETS, Reader, items
from tests.recordings import RECORDINGS, needs_recordings
from unitape.spi import DepthUpdate
from unitape_schemas import Trade

LIST = Path(__file__).with_name("undecoded.json")
REASON = re.compile(r"retired channel|documentation placeholder|outside the contract: .+")
AT_MOST = 31
"""The list may only shrink."""
NUMBER = re.compile(r'"(-?\d+(?:\.\d+)?)"')

# Quote volumes beyond what a float can hold; the difference is below one part in 10**16.
CHANGED = {"3571425225.04441220", "423075730671.12853", "74170284.02362751"}

pytestmark = [needs_recordings, pytest.mark.recordings]


def listed():
    rows: dict[str, str] = json.loads(LIST.read_text("utf-8"))
    places = ((place.rsplit(":", 1), reason) for place, reason in rows.items())
    return {(file, int(row)): reason for (file, row), reason in places}


def test_what_is_not_read_is_exactly_what_is_listed():
    reader, known = Reader(), listed()
    found, wrong, read = {}, [], Counter()
    for item in items():
        outputs, why = reader.read(item)
        acknowledged = item.endpoint is None and '"result":null' in item.text
        if why is None and (outputs or acknowledged):
            read[item.market] += 1
            continue
        found[item.key] = why or "nothing said"
        reason = known.get(item.key)
        # A wire error has one of the two reasons that a person gives; the third one is the reader's own word.
        right = (
            reason in ("retired channel", "documentation placeholder")
            if str(why).startswith("error")
            else reason == why
        )
        if not right or (item.trusted and not str(reason).startswith("outside the contract: ")):
            wrong.append((item.key, why, reason))
    print(json.dumps([{"file": f, "row": r, "reason": known.get((f, r))} for f, r in found], indent=1))
    assert wrong == []
    assert set(known) == set(found)
    assert len(known) <= AT_MOST
    assert all(REASON.fullmatch(reason) for reason in known.values())
    assert read["binance-spot"] > 41_000
    assert read["binance-usdm"] > 94_000


def test_both_markets_were_walked():
    assert RECORDINGS is not None
    sources = {tuple(item.file.split("/")[:2]) for item in items()}
    private_only = {("binance-spot", "lean"), ("binance-usdm", "lean")}
    folders = {(market, path.name) for market in MARKETS for path in (RECORDINGS / market).iterdir() if path.is_dir()}
    assert sources | private_only == folders


@pytest.mark.parametrize("market", MARKETS)
def test_recorded_trades_and_books_hold_together(market):
    """Trade ids are consecutive where single trades were recorded, and update numbers only grow."""
    reader = Reader()
    ids, last = [], 0
    for item in items():
        if item.market != market or "hftbacktest" not in item.file or item.endpoint is not None:
            continue
        for output in reader.read(item)[0]:
            if isinstance(output, Trade):
                ids.append(int(output.id))
            elif isinstance(output, DepthUpdate):
                assert last < output.seq >= output.first_seq
                last = output.seq
    assert len(ids) > 9000
    steps = Counter(after - before for before, after in itertools.pairwise(ids))
    if market == "binance-spot":
        assert steps == {1: len(ids) - 1}
    else:
        # Rows that are no trades of the book were left out by the reader or by the recorder.
        assert min(steps) == 1
        assert steps[1] > 0.99 * len(ids)


def test_every_number_of_up_to_15_digits_survives_the_way_through_float():
    longer, checked = set(), 0
    for item in items():
        for text in NUMBER.findall(item.text):
            digits = len(text.lstrip("-").replace(".", "").strip("0"))
            exact = Decimal(repr(float(text))) == Decimal(text)
            if digits > 15:
                longer.add((text, exact))
            else:
                assert exact, (item.key, text)
                checked += 1
    assert checked > 1_000_000
    print(f"{checked} numbers survive; longer ones:", sorted(longer))
    # All of them are sums over a candle, a day or a month, or limits of an instrument, which are read as Decimal.
    assert min(float(text) for text, _ in longer) > 1e7
    assert {text for text, exact in longer if not exact} == CHANGED
