"""The instruments that simulated markets list."""

from __future__ import annotations

from typing import Final, NamedTuple

from unitape.errors import ConfigError
from unitape.spi.simulation import SimInstrument

__all__ = ["Coin", "coins", "instrument"]


class Coin(NamedTuple):
    """A base currency: where its price starts, and the scales (decimals) of its steps on spot and perpetuals."""

    base: str
    price: float
    tick_scale: int
    step_scale: int
    perpetual_tick_scale: int
    perpetual_step_scale: int


_NAMED: Final = (
    Coin("BTC", 96_400.0, 2, 5, 1, 3),
    Coin("ETH", 3_060.0, 2, 4, 2, 3),
    Coin("SOL", 182.0, 2, 3, 2, 1),
    Coin("XRP", 2.24, 4, 1, 4, 1),
    Coin("BNB", 905.0, 2, 3, 2, 2),
    Coin("DOGE", 0.1735, 5, 0, 5, 0),
    Coin("ADA", 0.482, 4, 1, 4, 0),
    Coin("LINK", 14.8, 2, 2, 3, 2),
    Coin("LTC", 94.2, 2, 3, 2, 3),
    Coin("AVAX", 16.4, 2, 2, 3, 0),
    Coin("SUI", 1.84, 4, 1, 4, 1),
    Coin("TRX", 0.2812, 4, 1, 5, 0),
)


def coins(wanted: int | tuple[str, ...]) -> tuple[Coin, ...]:
    """Return this many coins, or the ones of these base currencies.

    Beyond the well-known ones come invented ones, ``SIM013`` and so on; an unknown name gets a made-up price that
    depends on the name alone.

    Raises:
        ConfigError: none, or one of them twice.
    """
    if isinstance(wanted, int):
        names = [coin.base for coin in _NAMED[:wanted]] + [f"SIM{n:03d}" for n in range(len(_NAMED) + 1, wanted + 1)]
    else:
        names = list(wanted)
    if not names or len(set(names)) < len(names):
        raise ConfigError(f"a simulated market needs distinct base currencies, not {names}")
    known = {coin.base: coin for coin in _NAMED}
    return tuple(known.get(name) or _invented(name) for name in names)


def _invented(base: str) -> Coin:
    mix = sum(ord(letter) * 31**place for place, letter in enumerate(base)) % 9_973
    return Coin(base, 1.0 + mix / 100, 4, 2, 4, 1)


def instrument(coin: Coin, *, linear: bool, quote: str = "USDT") -> SimInstrument:
    """Return a coin's spot instrument, or its linear perpetual."""
    symbol = f"{coin.base}/{quote}"
    return SimInstrument(
        symbol=f"{symbol}:{quote}" if linear else symbol,
        base=coin.base,
        quote=quote,
        settle=quote if linear else None,
        tick_units=1,
        tick_scale=coin.perpetual_tick_scale if linear else coin.tick_scale,
        step_units=1,
        step_scale=coin.perpetual_step_scale if linear else coin.step_scale,
    )
