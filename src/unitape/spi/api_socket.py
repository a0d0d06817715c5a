"""Private requests over a WebSocket instead of HTTP, where a market takes them so. Pure: frames out, answers in.

A request made for HTTP becomes a frame, and the answer's frame becomes the ``HttpResponse`` that HTTP would have
given, so that the query that made the request reads it. Rate counters of an answer become the headers that
``Budget.header`` names.
"""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from msgspec import Struct

from unitape.spi.credentials import Credentials
from unitape.spi.http import HttpRequest, HttpResponse
from unitape.spi.limits import Heartbeat
from unitape.spi.trading import TradingSettings

__all__ = ["ApiSocket", "SocketAnswer", "SocketFrame", "SocketSpec", "SocketTrading"]


class SocketSpec(Struct, frozen=True):
    """How one market's socket for requests behaves."""

    route: str
    """A key of ``Endpoint.ws``."""
    heartbeat: Heartbeat
    lifetime: float | None = None
    """Seconds after which the venue closes the connection."""
    source: str = ""


class SocketFrame(Struct, frozen=True):
    """A message to send. It may be signed: it is never shown or written down."""

    data: bytes
    hidden: tuple[str, ...] = ()
    """What of it must not appear anywhere: the signature."""

    def __repr__(self) -> str:
        return f"SocketFrame({len(self.data)} bytes)"


class SocketAnswer(Struct, frozen=True):
    """An answer: to which request, and what HTTP would have said. ``number`` None: it is about the whole session."""

    number: str | None
    response: HttpResponse


class ApiSocket(Protocol):
    """A market's socket for requests."""

    @property
    def spec(self) -> SocketSpec:
        """How it behaves."""
        ...

    def carries(self, request: HttpRequest) -> bool:
        """Tell whether it takes a request; what it does not goes over HTTP."""
        ...

    def logon(self, number: str, credentials: Credentials, ts: int) -> SocketFrame | None:
        """Return what logs a new connection on, so that its requests need no signatures; None where this key cannot.

        ``ts`` is the venue's time in nanoseconds, ``number`` comes back with the answer.
        """
        ...

    def frame(self, request: HttpRequest, number: str, credentials: Credentials | None, ts: int) -> SocketFrame:
        """Return a request as it must be sent. ``credentials`` None: the connection is logged on."""
        ...

    def read(self, data: bytes) -> SocketAnswer | None:
        """Read a message; None for one that answers nothing.

        Raises:
            WireError: it cannot be understood.
        """
        ...


@runtime_checkable
class SocketTrading(Protocol):
    """A market that takes private requests over a WebSocket."""

    def api_socket(self, settings: TradingSettings) -> ApiSocket:
        """Return its socket for requests."""
        ...
