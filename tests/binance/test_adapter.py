"""The adapter of this venue, as far as it needs no network."""

from __future__ import annotations

import pytest

from unitape.errors import ConfigError
from unitape_binance import SPOT, USDM
from unitape_binance.adapter import Binance
from unitape_schemas import Subscription


def test_it_is_the_venue():
    adapter = Binance(offline=True)
    assert adapter.venue == "binance"
    assert adapter.owns(Subscription("trades", "BTC/USDT"))
    assert adapter.owns(Subscription("trades", "BTC/USDT:USDT"))
    assert not adapter.owns(Subscription("trades", "BTCUSDT"))


@pytest.mark.parametrize("environment", ["live", "testnet", "demo"])
def test_both_markets_have_the_environment(environment):
    assert environment in SPOT.endpoints
    assert environment in USDM.endpoints
    assert Binance(environment=environment).venue == "binance"


def test_an_environment_that_does_not_exist_is_refused():
    with pytest.raises(ConfigError):
        Binance(environment="moon")
