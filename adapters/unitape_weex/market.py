"""The two markets."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from unitape.spi import (
    AccountStream,
    BookRule,
    ChannelSpec,
    Codec,
    Endpoint,
    Heartbeat,
    HttpRequest,
    HttpResponse,
    Instruments,
    Limits,
    Rest,
    Session,
    Trading,
    TradingSettings,
)
from unitape_schemas import Channel, Instrument, Subscription
from unitape_weex import errors
from unitape_weex.account_stream import ROUTE, WeexAccountStream
from unitape_weex.books import BOOK_RULE
from unitape_weex.channels import CONTRACT_CHANNELS, SPOT_CHANNELS
from unitape_weex.codec import WeexCodec
from unitape_weex.limits import CONTRACT_LIMITS, HEARTBEAT, SPOT_LIMITS
from unitape_weex.orders_contract import ContractTrading
from unitape_weex.orders_spot import SpotTrading
from unitape_weex.rest import CONTRACT_PATHS, SPOT_PATHS, Paths, WeexRest
from unitape_weex.session import WeexSession
from unitape_weex.settings import Settings
from unitape_weex.signing import PRIVATE_PATH
from unitape_weex.symbols import CONTRACT_CATALOGUE, SPOT_CATALOGUE, owns_contract, owns_spot
from unitape_weex.wire import VENUE

__all__ = ["CONTRACT", "SPOT", "WeexMarket", "contract", "spot"]

USER_AGENT: Final = ("User-Agent", "unitape")
"""Without one the venue's firewall answers every handshake with status 403."""


class WeexMarket:
    """Spot or contracts: the same messages with other hosts, paths and channels."""

    venue: str = VENUE

    def __init__(
        self,
        paths: Paths,
        endpoint: Endpoint,
        channels: Mapping[Channel, ChannelSpec],
        limits: Limits,
        catalogue: Sequence[Instrument],
        owns: Callable[[str], bool],
        trade: Callable[[Instruments, TradingSettings], Trading],
        settings: Settings,
        aliases: tuple[str, ...] = (),
    ) -> None:
        self.name: str = paths.market
        self.aliases: tuple[str, ...] = aliases
        self.endpoints: Mapping[str, Endpoint] = {"live": endpoint}
        self.channels: Mapping[Channel, ChannelSpec] = channels
        self.limits: Limits = limits
        self.heartbeat: Heartbeat = HEARTBEAT
        self.book_rule: BookRule = BOOK_RULE
        self.catalogue: Sequence[Instrument] = catalogue
        self.settings = settings
        self._paths = paths
        self._owns = owns
        self._trade = trade

    def owns(self, symbol: str) -> bool:
        """Tell whether a unified symbol is of this market's form."""
        return self._owns(symbol)

    def cost(self, subscription: Subscription) -> int:
        """One channel each; polled ones take none."""
        spec = self.channels.get(subscription.channel)
        return 0 if spec is not None and not spec.route else 1

    def codec(self, instruments: Instruments) -> Codec:
        """Return a codec for single messages."""
        return WeexCodec(instruments, self.settings)

    def session(self, instruments: Instruments, route: str) -> Session:
        """Return a session for one new connection; the only route is ``public``."""
        return WeexSession(instruments, self.channels, self.settings, self.limits.params_per_message)

    def rest(self, instruments: Instruments) -> Rest:
        """Return the market's queries."""
        return WeexRest(self._paths, instruments)

    def trading(self, instruments: Instruments, settings: TradingSettings) -> Trading:
        """Return the private side; ``unitape_weex.options`` lists what ``settings.options`` may hold."""
        return self._trade(instruments, settings)

    def account_stream(self, instruments: Instruments, settings: TradingSettings) -> AccountStream:
        """Return the private stream."""
        return WeexAccountStream(instruments, settings, linear=self._paths is CONTRACT_PATHS)

    def read_instruments(self, body: bytes) -> list[Instrument]:
        """Read the body of the market's ``exchangeInfo``; WireError when it is not one."""
        return self._paths.read_instruments(body, 0)

    def read_error(self, response: HttpResponse, request: HttpRequest) -> Exception:
        """Turn an answer that is not a success into the error it means."""
        return errors.read_error(response, request)


def _endpoint(product: str) -> Endpoint:
    return Endpoint(
        rest=f"https://api-{product}.weex.com",
        ws={
            "public": f"wss://ws-{product}.weex.com/v3/ws/public",
            ROUTE: f"wss://ws-{product}.weex.com{PRIVATE_PATH}",
        },
        headers=(USER_AGENT,),
        note="API V3. There is no test host; blocked addresses see status 403 or 521 without JSON.",
    )


def spot(settings: Settings | None = None) -> WeexMarket:
    """Return the spot market; without settings the chain of its books is found out at run time."""
    return WeexMarket(
        SPOT_PATHS,
        _endpoint("spot"),
        SPOT_CHANNELS,
        SPOT_LIMITS,
        SPOT_CATALOGUE,
        owns_spot,
        SpotTrading,
        settings if settings is not None else Settings(chain="auto"),
    )


def contract(settings: Settings | None = None) -> WeexMarket:
    """Return the market of perpetual contracts."""
    return WeexMarket(
        CONTRACT_PATHS,
        _endpoint("contract"),
        CONTRACT_CHANNELS,
        CONTRACT_LIMITS,
        CONTRACT_CATALOGUE,
        owns_contract,
        ContractTrading,
        settings if settings is not None else Settings(),
        aliases=("futures",),
    )


SPOT: Final = spot()
CONTRACT: Final = contract()
