"""What an adapter was told about trading, and the making of clients from it."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Mapping

from msgspec import structs

from unitape.clock import Clock
from unitape.errors import Unsupported
from unitape.feed.client import RestClient
from unitape.guards.guards import Guards
from unitape.spi import Credentials, Instruments, Market, Tradable, TradingSettings, TradingSpec
from unitape.trade.client import TradingClient
from unitape.trade.requests import TradingOptions
from unitape.trade.secrets import load_credentials

__all__ = ["Desk"]


class Desk:
    """Credentials, settings and options of one adapter."""

    def __init__(
        self,
        credentials: Credentials | None,
        account: TradingSettings | Mapping[str, TradingSettings] | None,
        options: TradingOptions | None,
        clock: Clock,
        rng: random.Random,
    ) -> None:
        self._credentials = credentials
        self._account = account
        self._options = options or TradingOptions()
        self._clock = clock
        self._rng = rng

    @property
    def named(self) -> tuple[str, ...]:
        """The markets that have settings of their own."""
        return tuple(self._account) if isinstance(self._account, Mapping) else ()

    def guards(self, venue: str) -> Guards:
        """Return the guards that the options ask for."""
        return Guards(venue, self._clock, self._options.risk, self._options.kill)

    def client(
        self,
        rest: RestClient,
        instruments: Instruments,
        *,
        moved: bool,
        spawn: Callable[[Callable[[], Awaitable[None]]], None],
    ) -> TradingClient:
        """Return the private side of a market. ``moved``: it is somewhere else than its venue says.

        Raises:
            Unsupported: the market serves data only.
            ConfigError: the environment holds half of a pair of key and secret.
        """
        market = rest.market
        if not isinstance(market, Tradable):
            raise Unsupported(f"{market.venue} {market.name} serves data only")
        credentials = self._credentials
        # What stands in the environment is for the venue; nobody who poses as it gets to see it.
        if credentials is None and not moved:
            credentials = load_credentials(market.venue)
        return TradingClient(
            rest,
            market,
            instruments,
            credentials,
            settings=self._settings(market, market.trading(instruments, TradingSettings()).spec),
            options=self._options,
            clock=self._clock,
            rng=random.Random(self._rng.random()),
            spawn=spawn,
        )

    def _settings(self, market: Market, spec: TradingSpec) -> TradingSettings:
        """Return what was decided; where nothing was, the position mode that the market has."""
        account = self._account
        if isinstance(account, TradingSettings):
            return account
        for name in (market.name, *market.aliases):
            if account is not None and name in account:
                return account[name]
        settings = TradingSettings()
        if spec.position_modes and settings.position_mode not in spec.position_modes:
            return structs.replace(settings, position_mode=spec.position_modes[0])
        return settings
