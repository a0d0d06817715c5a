"""The two markets of the venue, spot and USDⓈ-M futures, as declarations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from unitape.spi import (
    AccountStream,
    ApiSocket,
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
from unitape_binance import errors
from unitape_binance.account_stream_spot import SpotAccountStream
from unitape_binance.account_stream_usdm import UsdmAccountStream
from unitape_binance.books import SPOT_BOOK, USDM_BOOK
from unitape_binance.channels import SPOT_CHANNELS, USDM_ALL_SYMBOLS, TradesFrom, usdm_channels
from unitape_binance.codec import BinanceCodec
from unitape_binance.limits import SPOT_HEARTBEAT, SPOT_LIMITS, USDM_HEARTBEAT, USDM_LIMITS
from unitape_binance.orders_spot import SpotTrading
from unitape_binance.orders_usdm import UsdmTrading
from unitape_binance.readers import VENUE_NAME
from unitape_binance.rest import BinanceRest
from unitape_binance.session import BinanceSession, SessionTables
from unitape_binance.streams import SPOT_STREAMS, USDM_STREAMS
from unitape_binance.symbols import (
    SPOT_CATALOGUE,
    USDM_CATALOGUE,
    owned_by_spot,
    owned_by_usdm,
    read_spot_instruments,
    read_usdm_instruments,
)
from unitape_binance.websocket_api import URLS, BinanceSocket
from unitape_schemas import Channel, Instrument, Subscription

__all__ = ["SPOT_ENDPOINTS", "USDM_ENDPOINTS", "SpotMarket", "UsdmMarket"]

SPOT_ENDPOINTS: Final[Mapping[str, Endpoint]] = {
    "live": Endpoint(
        rest="https://api.binance.com",
        ws={"public": "wss://stream.binance.com:9443/stream", "api": URLS["spot"]["live"]},
    ),
    "data": Endpoint(
        rest="https://data-api.binance.vision",
        ws={"public": "wss://data-stream.binance.vision/stream"},
        note="market data only",
    ),
    "testnet": Endpoint(
        rest="https://testnet.binance.vision",
        ws={"public": "wss://stream.testnet.binance.vision/stream", "api": URLS["spot"]["testnet"]},
        note="balances are wiped about once a month",
    ),
    "demo": Endpoint(
        rest="https://demo-api.binance.com",
        ws={"public": "wss://demo-stream.binance.com/stream", "api": URLS["spot"]["demo"]},
        note="books like the live ones",
    ),
}
"""binance-spot-api-docs: General Information; 2026-07."""

USDM_ENDPOINTS: Final[Mapping[str, Endpoint]] = {
    "live": Endpoint(
        rest="https://fapi.binance.com",
        ws={
            "public": "wss://fstream.binance.com/public/stream",
            "market": "wss://fstream.binance.com/market/stream",
            "private": "wss://fstream.binance.com/private/ws",
            "api": URLS["usdm"]["live"],
        },
    ),
    "testnet": Endpoint(
        rest="https://demo-fapi.binance.com",
        ws={
            "public": "wss://fstream.binancefuture.com/public/stream",
            "market": "wss://fstream.binancefuture.com/market/stream",
            "private": "wss://fstream.binancefuture.com/private/ws",
            "api": URLS["usdm"]["testnet"],
        },
        note="whether this host wants the routes is not documented; the other way is testnet_unrouted",
    ),
    "testnet_unrouted": Endpoint(
        rest="https://demo-fapi.binance.com",
        ws={
            "public": "wss://fstream.binancefuture.com/stream",
            "market": "wss://fstream.binancefuture.com/stream",
            "private": "wss://fstream.binancefuture.com/ws",
            "api": URLS["usdm"]["testnet"],
        },
        note="as testnet, without routes",
    ),
    "demo": Endpoint(
        rest="https://demo-fapi.binance.com",
        ws={
            "public": "wss://demo-fstream.binance.com/public/stream",
            "market": "wss://demo-fstream.binance.com/market/stream",
            "private": "wss://demo-fstream.binance.com/private/ws",
            "api": URLS["usdm"]["testnet"],
        },
        note="takes routed and unrouted paths",
    ),
}
"""USDⓈ-M futures: General Info and Websocket Market Streams, Connect; 2026-10."""


class _BinanceMarket:
    """What both markets share."""

    def __init__(
        self,
        name: errors.MarketName,
        tables: SessionTables,
        endpoints: Mapping[str, Endpoint],
        heartbeat: Heartbeat,
        book_rule: BookRule,
        catalogue: Sequence[Instrument],
    ) -> None:
        self.venue = VENUE_NAME
        self.name = name
        self.aliases: tuple[str, ...] = ()
        self.channels: Mapping[Channel, ChannelSpec] = tables.channels
        self.limits: Limits = tables.limits
        self.endpoints = endpoints
        self.heartbeat = heartbeat
        self.book_rule = book_rule
        self.catalogue = catalogue
        self._market: errors.MarketName = name
        self._tables = tables

    def cost(self, subscription: Subscription) -> int:
        """One stream each; a polled channel takes none."""
        spec = self.channels.get(subscription.channel)
        return 0 if spec is not None and spec.poll is not None else 1

    def codec(self, instruments: Instruments) -> Codec:
        """Return a codec for single messages."""
        return BinanceCodec(instruments, self._tables.streams)

    def session(self, instruments: Instruments, route: str) -> Session:
        """Return a session for one new connection to this route."""
        return BinanceSession(instruments, route, self._tables)

    def read_error(self, response: HttpResponse, request: HttpRequest) -> Exception:
        """Turn an answer that is not a success into the error it means."""
        return errors.read_error(response, request, self._market)


class SpotMarket(_BinanceMarket):
    """Spot."""

    def __init__(self) -> None:
        tables = SessionTables(SPOT_CHANNELS, {}, SPOT_STREAMS, SPOT_LIMITS)
        super().__init__("spot", tables, SPOT_ENDPOINTS, SPOT_HEARTBEAT, SPOT_BOOK, SPOT_CATALOGUE)

    def owns(self, symbol: str) -> bool:
        """``BASE/QUOTE``."""
        return owned_by_spot(symbol)

    def rest(self, instruments: Instruments) -> Rest:
        """Return the market's queries."""
        return BinanceRest(instruments, "spot")

    def trading(self, instruments: Instruments, settings: TradingSettings) -> Trading:
        """Return the market's private side."""
        return SpotTrading(instruments, settings)

    def account_stream(self, instruments: Instruments, settings: TradingSettings) -> AccountStream:
        """Return how an account is streamed."""
        return SpotAccountStream(instruments, settings)

    def api_socket(self, settings: TradingSettings) -> ApiSocket:
        """Return the WebSocket API as a way for requests."""
        return BinanceSocket("spot", settings)

    def read_instruments(self, body: bytes) -> list[Instrument]:
        """Read the body of ``GET /api/v3/exchangeInfo``."""
        return read_spot_instruments(body)


class UsdmMarket(_BinanceMarket):
    """USDⓈ-M futures.

    ``trades_from`` chooses the stream behind ``trades``: ``aggTrade`` is documented, proves its continuity and can be
    refilled; ``trade`` carries every single trade but is not documented.
    """

    def __init__(self, *, trades_from: TradesFrom = "aggTrade") -> None:
        tables = SessionTables(usdm_channels(trades_from), USDM_ALL_SYMBOLS, USDM_STREAMS, USDM_LIMITS)
        super().__init__("usdm", tables, USDM_ENDPOINTS, USDM_HEARTBEAT, USDM_BOOK, USDM_CATALOGUE)
        self.aliases = ("futures",)
        self._single_trades = trades_from == "trade"

    def owns(self, symbol: str) -> bool:
        """``BASE/QUOTE:MARGIN``, with a date or without."""
        return owned_by_usdm(symbol)

    def rest(self, instruments: Instruments) -> Rest:
        """Return the market's queries."""
        return BinanceRest(instruments, "usdm", single_trades=self._single_trades)

    def trading(self, instruments: Instruments, settings: TradingSettings) -> Trading:
        """Return the market's private side."""
        return UsdmTrading(instruments, settings)

    def account_stream(self, instruments: Instruments, settings: TradingSettings) -> AccountStream:
        """Return how an account is streamed."""
        return UsdmAccountStream(instruments, settings)

    def api_socket(self, settings: TradingSettings) -> ApiSocket:
        """Return the WebSocket API as a way for requests."""
        return BinanceSocket("usdm", settings)

    def read_instruments(self, body: bytes) -> list[Instrument]:
        """Read the body of ``GET /fapi/v1/exchangeInfo``."""
        return read_usdm_instruments(body)
