"""The strategy, tested on a session that was recorded once.

pytest examples/cassette_test                   replays: no network, no waiting
pytest examples/cassette_test --tape-rerecord   records anew, against the simulators
"""

from __future__ import annotations

from decimal import Decimal

import pytest
from disagreement import trade_disagreements

from unitape.sim import SimSettings
from unitape.testing import Scenario

# --8<-- [start:test]
MARKETS = SimSettings(seed=11, symbols=1, rate=40.0, history_minutes=5)
POINTS = Decimal("0.2")


@pytest.mark.tape("disagreement", sim=MARKETS)
async def test_it_buys_where_it_is_cheap(tape: Scenario) -> None:
    """Each signal is an order at the cheap venue, at the price that made the signal."""
    adapters = [tape.adapter("binance"), tape.adapter("mexc")]
    seen, placed = await trade_disagreements(
        adapters, "BTC/USDT", points=POINTS, size=Decimal("0.01"), orders=2, clock=tape.clock
    )
    assert len(seen) == len(placed) == 2
    for signal, order in zip(seen, placed, strict=True):
        assert signal.dear_price > signal.cheap_price
        assert signal.points >= POINTS
        assert (order.venue, order.price, order.side) == (signal.cheap, signal.cheap_price, "buy")
        assert order.status in ("filled", "canceled", "expired"), "nothing is left in the book"
    # What it decided is kept beside the tape: whoever changes the strategy sees what that changes.
    tape.expect("signals", seen)
    tape.expect("orders", placed)


# --8<-- [end:test]
