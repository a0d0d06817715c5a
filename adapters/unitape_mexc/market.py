"""The two markets of the venue, spot and futures, as declarations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec import structs

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
from unitape_mexc.account_stream_futures import FuturesAccountStream
from unitape_mexc.account_stream_spot import SpotAccountStream
from unitape_mexc.bodies import VENUE
from unitape_mexc.books import FUTURES_BOOK, SPOT_BOOK
from unitape_mexc.channels import FUTURES_CHANNELS, SPOT_CHANNELS
from unitape_mexc.codec_futures import FuturesCodec
from unitape_mexc.codec_spot import SpotCodec
from unitape_mexc.errors import futures_error, spot_error
from unitape_mexc.limits import (
    FUTURES_ENDPOINTS,
    FUTURES_LIMITS,
    HEARTBEAT,
    SPOT_ENDPOINTS,
    SPOT_LIMITS,
    FuturesSettings,
    SpotSettings,
)
from unitape_mexc.orders_futures import FuturesTrading
from unitape_mexc.orders_spot import SpotTrading
from unitape_mexc.rest_futures import FuturesRest
from unitape_mexc.rest_spot import SpotRest
from unitape_mexc.session_futures import FuturesSession
from unitape_mexc.session_spot import SpotSession
from unitape_mexc.symbols import (
    FUTURES_CATALOGUE,
    SPOT_CATALOGUE,
    owned_by_futures,
    owned_by_spot,
    read_contracts,
    read_spot_instruments,
)
from unitape_schemas import Channel, Instrument, Subscription

__all__ = ["FuturesMarket", "SpotMarket"]


class SpotMarket:
    """Spot: pushes are protobuf, everything else JSON text."""

    def __init__(self, settings: SpotSettings | None = None) -> None:
        self._settings = settings or SpotSettings()
        self.venue = VENUE
        self.name = "spot"
        self.aliases: tuple[str, ...] = ()
        self.endpoints: Mapping[str, Endpoint] = SPOT_ENDPOINTS
        self.channels: Mapping[Channel, ChannelSpec] = SPOT_CHANNELS
        self.limits: Limits = SPOT_LIMITS
        self.heartbeat: Heartbeat = HEARTBEAT
        self.book_rule: BookRule = SPOT_BOOK
        self.catalogue: Sequence[Instrument] = SPOT_CATALOGUE

    def owns(self, symbol: str) -> bool:
        """``BASE/QUOTE``."""
        return owned_by_spot(symbol)

    def cost(self, subscription: Subscription) -> int:
        """One stream each."""
        return 1

    def codec(self, instruments: Instruments) -> Codec:
        """Return a codec for single messages."""
        return SpotCodec(instruments)

    def session(self, instruments: Instruments, route: str) -> Session:
        """Return a session for one new connection; there is one route."""
        return SpotSession(instruments, self._settings)

    def rest(self, instruments: Instruments) -> Rest:
        """Return the market's queries."""
        return SpotRest(instruments, self._settings)

    def trading(self, instruments: Instruments, settings: TradingSettings) -> Trading:
        """Return the market's private side."""
        return SpotTrading(instruments, settings)

    def account_stream(self, instruments: Instruments, settings: TradingSettings) -> AccountStream:
        """Return the market's private stream."""
        return SpotAccountStream(instruments, settings)

    def read_instruments(self, body: bytes) -> list[Instrument]:
        """Read the body of ``GET /api/v3/exchangeInfo``."""
        return read_spot_instruments(body)

    def read_error(self, response: HttpResponse, request: HttpRequest) -> Exception:
        """Turn an answer that is not a success into the error it means."""
        return spot_error(response, request)


class FuturesMarket:
    """Perpetuals. Sizes come in contracts and are given in base units."""

    def __init__(self, settings: FuturesSettings | None = None) -> None:
        self._settings = settings or FuturesSettings()
        self.venue = VENUE
        self.name = "futures"
        self.aliases: tuple[str, ...] = ("contract",)
        self.endpoints: Mapping[str, Endpoint] = FUTURES_ENDPOINTS
        self.channels: Mapping[Channel, ChannelSpec] = FUTURES_CHANNELS
        self.limits: Limits = structs.replace(
            FUTURES_LIMITS, subscriptions_per_connection=self._settings.subscriptions_per_connection
        )
        self.heartbeat: Heartbeat = HEARTBEAT
        self.book_rule: BookRule = FUTURES_BOOK
        self.catalogue: Sequence[Instrument] = FUTURES_CATALOGUE

    def owns(self, symbol: str) -> bool:
        """``BASE/QUOTE:QUOTE``."""
        return owned_by_futures(symbol)

    def cost(self, subscription: Subscription) -> int:
        """One stream each; mark and index price are two."""
        return 2 if subscription.channel == "mark_price" else 1

    def codec(self, instruments: Instruments) -> Codec:
        """Return a codec for single messages."""
        return FuturesCodec(instruments)

    def session(self, instruments: Instruments, route: str) -> Session:
        """Return a session for one new connection; there is one route."""
        return FuturesSession(instruments, self._settings)

    def rest(self, instruments: Instruments) -> Rest:
        """Return the market's queries."""
        return FuturesRest(instruments, self._settings)

    def trading(self, instruments: Instruments, settings: TradingSettings) -> Trading:
        """Return the market's private side."""
        return FuturesTrading(instruments, settings)

    def account_stream(self, instruments: Instruments, settings: TradingSettings) -> AccountStream:
        """Return the market's private stream."""
        return FuturesAccountStream(instruments, settings)

    def read_instruments(self, body: bytes) -> list[Instrument]:
        """Read the body of ``GET /api/v1/contract/detail``."""
        return read_contracts(body)

    def read_error(self, response: HttpResponse, request: HttpRequest) -> Exception:
        """Turn an answer that is not a success into the error it means; most come with HTTP status 200."""
        return futures_error(response, request)
