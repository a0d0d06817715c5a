"""The only place with I/O: WebSockets, HTTP, and a network within the process."""

from __future__ import annotations

import importlib.util
import ssl

from unitape.errors import ConfigError
from unitape.spi import HttpRequest, HttpResponse
from unitape.transport.base import (
    Connection,
    Ended,
    Receiver,
    Transport,
    TransportChoice,
    WsOptions,
    WsTransport,
)
from unitape.transport.dial import on_asyncio
from unitape.transport.http import AiohttpClient

__all__ = [
    "Connection",
    "Ended",
    "NetworkTransport",
    "Receiver",
    "Transport",
    "TransportChoice",
    "WsOptions",
    "WsTransport",
    "open_transport",
    "websocket_transport",
]


def websocket_transport(choice: str) -> WsTransport:
    """Return a WebSocket transport by name; ``auto`` is the fastest that is installed and fits the event loop.

    Raises:
        ConfigError: there is none of this name, or it is not installed.
    """
    installed = importlib.util.find_spec("picows") is not None
    if choice == "auto":
        choice = "picows" if installed and on_asyncio() else "websockets"
    if choice == "picows":
        if not installed:
            raise ConfigError("the transport 'picows' is not installed: pip install 'unitape[fast]'")
        if not on_asyncio():
            raise ConfigError("the transport 'picows' needs asyncio; use 'websockets' on trio")
        from unitape.transport.ws_picows import PicowsTransport

        return PicowsTransport()
    if choice == "websockets":
        from unitape.transport.ws_websockets import WebsocketsTransport

        return WebsocketsTransport()
    raise ConfigError(f"no transport {choice!r}; there are 'auto', 'websockets' and 'picows'")


class NetworkTransport:
    """The real network: a WebSocket transport and an HTTP client side by side."""

    def __init__(self, ws: WsTransport, http: AiohttpClient) -> None:
        self._ws = ws
        self._http = http
        self.name = ws.name

    async def run(self, url: str, receiver: Receiver, options: WsOptions) -> Ended:
        """Make a WebSocket connection; see ``WsTransport.run``."""
        return await self._ws.run(url, receiver, options)

    async def request(self, base: str, request: HttpRequest, timeout: float) -> HttpResponse:
        """Send one HTTP request; see ``Transport.request``."""
        return await self._http.request(base, request, timeout)

    async def aclose(self) -> None:
        """Close the HTTP connections kept open."""
        await self._http.aclose()


def open_transport(
    choice: str = "auto", *, tls: ssl.SSLContext | None = None, proxy: str | None = "auto"
) -> NetworkTransport:
    """Return the network by the name of its WebSocket transport. Nothing is connected yet."""
    return NetworkTransport(websocket_transport(choice), AiohttpClient(tls, proxy))
