"""What the engine needs of a network: WebSocket connections that call back, and HTTP requests.

A connection calls its ``Receiver`` synchronously, frame by frame, and tells where each socket read ends, so that
whoever consumes is woken once per read and not once per message.
"""

from __future__ import annotations

import ssl
from typing import Literal, Protocol

from msgspec import Struct

from unitape.spi import HttpRequest, HttpResponse

__all__ = ["Connection", "Ended", "Receiver", "Transport", "TransportChoice", "WsOptions", "WsTransport"]

TransportChoice = Literal["auto", "websockets", "picows"]


class WsOptions(Struct, frozen=True):
    """How to make a WebSocket connection."""

    headers: tuple[tuple[str, str], ...] = ()
    max_frame: int = 16 * 1024 * 1024
    """Bytes; a longer message ends the connection with code 1009."""
    timeout: float = 10.0
    """Seconds for everything up to the end of the handshake."""
    tls: ssl.SSLContext | None = None
    """None: the system's trust store."""
    proxy: str | None = "auto"
    """``auto`` takes the environment's, None takes none, otherwise the URL of an HTTP proxy."""
    compress: bool = False
    """Offer permessage-deflate: it costs more than it saves on small messages."""


class Ended(Struct, frozen=True):
    """How a connection ended."""

    text: str
    code: int | None = None
    """The close code, None when the connection just broke."""


class Connection(Protocol):
    """A standing connection. All of it is synchronous and safe to call from a receiver."""

    def send(self, data: bytes, text: bool) -> None:
        """Send one message. Messages that cannot be written at once are kept, within a bound."""
        ...

    def pause(self) -> None:
        """Stop reading from the socket. The peer's messages wait in the kernel."""
        ...

    def resume(self) -> None:
        """Go on reading."""
        ...

    def close(self, code: int = 1000, reason: str = "") -> None:
        """Begin to close. The run of the connection ends soon after, answered or not."""
        ...


class Receiver(Protocol):
    """Takes what a connection brings, on the event loop's thread. Must not raise."""

    def opened(self, connection: Connection) -> None:
        """The handshake is done. Called once, before any frame."""
        ...

    def frame(self, data: bytes, text: bool, /) -> None:
        """One whole message: UTF-8 bytes of a text message, or a binary one."""
        ...

    def ping(self) -> None:
        """A protocol ping or pong came in; pings are answered already."""
        ...

    def flush(self) -> None:
        """All frames of one socket read were handed over."""
        ...


class WsTransport(Protocol):
    """Makes WebSocket connections."""

    @property
    def name(self) -> str:
        """What it is called in settings and statuses."""
        ...

    async def run(self, url: str, receiver: Receiver, options: WsOptions) -> Ended:
        """Connect, bring frames until the connection ends, and tell how it ended. Cancelling it closes the socket.

        Raises:
            TransportError: no connection came about.
        """
        ...


class Transport(WsTransport, Protocol):
    """A network: WebSockets and HTTP."""

    async def request(self, base: str, request: HttpRequest, timeout: float) -> HttpResponse:
        """Send one request to ``base`` (scheme, host and port) and return its answer, whatever its status.

        The request's target is sent exactly as it is written.

        Raises:
            TransportError: no whole answer arrived in ``timeout`` seconds.
        """
        ...

    async def aclose(self) -> None:
        """Close what is kept open between requests."""
        ...
