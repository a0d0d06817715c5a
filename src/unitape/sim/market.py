"""What moves a simulated market: fair prices that walk together, and agents that trade around them.

Everything comes from seeds and from the times that are handed in. The fair price of a base currency depends on the
seed alone, so that all venues of one simulation trade around the same prices, each with its own agents.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import ceil, exp, floor, sqrt
from random import Random
from typing import Final, NamedTuple, TypeAlias

from unitape.sim.instruments import Coin
from unitape.sim.matching import MatchingEngine, Tif
from unitape.spi.simulation import Side, SimInstrument

__all__ = ["AGENT", "Action", "Agents", "FairPrices", "Motion", "Place", "Withdraw", "cumulative_weights"]

AGENT: Final = 0
"""The owner of every order that the market's own agents send."""

_VOLATILITY: Final = 1.1e-4  # of log price per square root of a second: about 60 % a year
_CORRELATION: Final = 0.7
_BURST_CHANCE: Final = 1 / 300  # per second
_BURST_SECONDS: Final = (3.0, 15.0)
_BURST_FORCE: Final = 5.0
_BAND: Final = 0.35  # of log price: the walk is pulled back beyond it, so that a long simulation stays sensible


class Motion:
    """One base currency's fair price now."""

    __slots__ = ("base", "burst_left", "drift", "log", "price", "random", "start")

    def __init__(self, coin: Coin, seed: int) -> None:
        self.base = coin.base
        self.start = coin.price
        self.price = coin.price
        self.log = 0.0
        self.burst_left = 0.0
        self.drift = 0.0
        self.random = Random(f"{seed}/fair/{coin.base}")

    def step(self, common: float, seconds: float) -> None:
        """Move on; ``common`` is what all currencies share."""
        random = self.random
        if self.burst_left > 0:
            self.burst_left -= seconds
        elif random.random() < _BURST_CHANCE * seconds:
            self.burst_left = random.uniform(*_BURST_SECONDS)
            self.drift = random.choice((-1.0, 1.0))
        own = random.gauss(0.0, 1.0)
        noise = _CORRELATION * common + sqrt(1 - _CORRELATION**2) * own
        if self.burst_left > 0:
            noise = noise * _BURST_FORCE + self.drift
        self.log += noise * _VOLATILITY * sqrt(seconds)
        if abs(self.log) > _BAND:
            self.log *= 0.999
        self.price = self.start * exp(self.log)


class FairPrices:
    """Correlated random walks on a grid of time steps; how they are asked for changes nothing."""

    def __init__(self, coins: Iterable[Coin], seed: int, grid: float) -> None:
        self._grid = grid
        self._common = Random(f"{seed}/fair")
        self._step = 0
        self.motions = {coin.base: Motion(coin, seed) for coin in coins}

    def advance(self, seconds: float) -> None:
        """Walk to this many seconds after the start."""
        wanted = int(seconds / self._grid)
        while self._step < wanted:
            self._step += 1
            common = self._common.gauss(0.0, 1.0)
            for motion in self.motions.values():
                motion.step(common, self._grid)


class Place(NamedTuple):
    """Send an order."""

    side: Side
    price: int | None
    size: int
    tif: Tif
    forced: bool = False


class Withdraw(NamedTuple):
    """Cancel an order."""

    order: int


Action: TypeAlias = Place | Withdraw

_SIDES: Final[tuple[Side, Side]] = ("buy", "sell")
_ORDERS_AT_START: Final = 40  # per side
_ORDERS_MOST: Final = 200  # both sides
_LEVELS_LEAST: Final = 8  # per side: below it nobody takes from that side


class Agents:
    """Those who trade one instrument: they quote around the fair price, change their minds, and take."""

    def __init__(self, instrument: SimInstrument, motion: Motion, random: Random) -> None:
        self._motion = motion
        self._random = random
        self._tick = float(instrument.tick)
        self._linear = instrument.settle is not None
        self._lots_per_order = max(1.0, 4_000.0 / (motion.price * float(instrument.step)))
        self._orders: list[int] = []

    @property
    def bursting(self) -> bool:
        """True while the fair price is in a burst."""
        return self._motion.burst_left > 0

    def opening(self) -> list[Place]:
        """Return the orders that the market opens with."""
        return [self._quote(side, "post_only") for _ in range(_ORDERS_AT_START) for side in _SIDES]

    def rested(self, order_id: int) -> None:
        """Take note that an order of theirs stands in the book."""
        self._orders.append(order_id)

    def act(self, engine: MatchingEngine) -> Action:
        """Decide what happens next."""
        for side in _SIDES:
            if engine.depth(side) < _LEVELS_LEAST:
                return self._quote(side, "gtc")
        draw = self._random.random()
        if draw < 0.12:
            return self._take(engine)
        if draw < 0.64 and len(engine) < _ORDERS_MOST:
            return self._quote("buy" if self._random.random() < 0.5 else "sell", "gtc")
        order_id = self._pick(engine)
        if order_id is None:
            return self._quote("buy" if self._random.random() < 0.5 else "sell", "gtc")
        return Withdraw(order_id)

    def _quote(self, side: Side, tif: Tif) -> Place:
        random = self._random
        spread = random.expovariate(1 / 4e-4) if random.random() < 0.75 else random.expovariate(1 / 4e-3)
        distance = 0.5e-4 + min(spread, 0.05)
        fair = self._motion.price
        price = fair * (1 - distance) if side == "buy" else fair * (1 + distance)
        ticks = floor(price / self._tick) if side == "buy" else ceil(price / self._tick)
        return Place(side, max(1, ticks), self._size(1.0), tif)

    def _take(self, engine: MatchingEngine) -> Place:
        random = self._random
        side: Side = "buy" if random.random() < 0.5 else "sell"
        touch, _ = engine.best("sell" if side == "buy" else "buy")
        slack = max(1, int(touch * 0.001))
        forced = self._linear and random.random() < (0.2 if self.bursting else 0.02)
        limit = touch + slack if side == "buy" else max(1, touch - slack)
        return Place(side, limit, self._size(3.0 if forced else 0.6), "ioc", forced)

    def _size(self, factor: float) -> int:
        return max(1, int(self._lots_per_order * factor * self._random.lognormvariate(0.0, 0.9)))

    def _pick(self, engine: MatchingEngine) -> int | None:
        """Choose one of their orders that still rests, forgetting those found gone."""
        orders = self._orders
        while orders:
            at = self._random.randrange(len(orders))
            order_id = orders[at]
            orders[at] = orders[-1]
            orders.pop()
            if engine.order(order_id) is not None:
                return order_id
        return None


def cumulative_weights(count: int) -> Sequence[float]:
    """Return running totals of how much is traded of the first, second, … instrument: early ones are busier."""
    total = 0.0
    weights: list[float] = []
    for rank in range(1, count + 1):
        total += rank**-0.7
        weights.append(total)
    return weights
