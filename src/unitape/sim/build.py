"""Makes the simulated markets of venues: one host per market, ready for a driver."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Final, cast

from msgspec import Struct

from unitape.clock import Clock
from unitape.errors import ConfigError
from unitape.sim.exchange import SimExchange
from unitape.sim.faults import Faults, FaultSchedule
from unitape.sim.host import SimHost
from unitape.sim.instruments import coins
from unitape.sim.users import DEFAULT_USERS
from unitape.spi import Market, Venue
from unitape.spi.simulated_accounts import SimUser
from unitape.spi.simulation import FaceFactory, FaceOptions

__all__ = ["SimSettings", "make_host"]

_LINEAR_EXAMPLE: Final = "BTC/USDT:USDT"


class SimSettings(Struct, frozen=True):
    """How a simulation runs. Market labels are ``venue/market``, for example the ones in ``markets``."""

    seed: int = 1
    symbols: int | tuple[str, ...] = 3
    """How many instruments each market lists, or their base currencies."""
    rate: float = 10.0
    """How often agents act, per second and instrument on average."""
    speed: float = 1.0
    """Multiplies ``rate``."""
    tick: float = 0.01
    """Seconds between two steps of a market."""
    markets: tuple[str, ...] = ()
    """Labels of the markets to simulate; empty: every market of every venue that has a simulator."""
    faults: Mapping[str, FaultSchedule] = {}
    """Faults by market label; ``*`` stands for every market that is not named."""
    snapshot_lag: float = 0.0
    """Seconds by which REST book snapshots are older than the stream."""
    enforce_limits: bool = True
    lifetime: float | None = None
    """Seconds after which connections are cut; None: the venue's own rule."""
    history_minutes: int = 3 * 1_440
    """Minutes of candles before the start."""
    accounts: tuple[SimUser, ...] = DEFAULT_USERS
    """Who has an account on every market, each with its own starting balances there."""
    face: Mapping[str, str] = {}
    """Further settings that faces document."""

    def selects(self, label: str) -> bool:
        """Tell whether a market is simulated."""
        return not self.markets or label in self.markets


def make_host(venue: Venue, market: Market, settings: SimSettings, clock: Clock) -> SimHost:
    """Return one market of a venue, opened at the clock's wall time.

    Raises:
        ConfigError: the venue has no simulator, or none of this market.
    """
    label = f"{venue.name}/{market.name}"
    if venue.simulator is None:
        raise ConfigError(f"{venue.name} has no simulator")
    schedule = settings.faults.get(label) or settings.faults.get("*") or FaultSchedule()
    faults = Faults(schedule, label, clock.mono())
    exchange = SimExchange(
        label,
        coins(settings.symbols),
        linear=market.owns(_LINEAR_EXAMPLE),
        seed=settings.seed,
        start=clock.wall(),
        rate=settings.rate * settings.speed,
        history_minutes=settings.history_minutes,
        users=settings.accounts,
    )
    options = FaceOptions(
        faults=faults,
        enforce_limits=settings.enforce_limits,
        snapshot_lag=settings.snapshot_lag,
        lifetime=settings.lifetime,
        settings=settings.face,
    )
    module, _, function = venue.simulator.partition(":")
    factory = cast("FaceFactory", getattr(import_module(module), function))
    try:
        face = factory(exchange, market.name, options)
    except KeyError:
        raise ConfigError(f"the simulator of {venue.name} has no market {market.name!r}") from None
    return SimHost(label, exchange, face, faults, clock)
