"""Everything that can happen to a feed, and everything it can ask for, as data.

``FeedCore`` is a pure function of its inputs: the same inputs in the same order give the same events and the same
commands. A live driver makes inputs from sockets and timers, a tape stores them, a test writes them by hand.

Every input carries ``ts``, the wall clock in nanoseconds when it happened, and ``mono``, the monotonic clock.
"""

from __future__ import annotations

from typing import TypeAlias

from msgspec import Struct

from unitape.spi import HttpRequest, HttpResponse
from unitape_schemas import Instrument, Subscription

__all__ = [
    "Close",
    "Closed",
    "Command",
    "Connect",
    "Failed",
    "Fetch",
    "Frame",
    "Input",
    "Listed",
    "Opened",
    "Ping",
    "Response",
    "Send",
    "Subscribe",
    "Tick",
    "Unsubscribe",
]


class _Input(Struct, frozen=True, tag_field="kind"):
    ts: int
    mono: int


class Subscribe(_Input, frozen=True, tag="subscribe"):
    """The user asks for these."""

    subscriptions: tuple[Subscription, ...]


class Unsubscribe(_Input, frozen=True, tag="unsubscribe"):
    """The user no longer wants these."""

    subscriptions: tuple[Subscription, ...]


class Opened(_Input, frozen=True, tag="opened"):
    """The connection that a ``Connect`` asked for stands."""

    conn: int


class Closed(_Input, frozen=True, tag="closed"):
    """A connection ended, or could not be made."""

    conn: int
    text: str
    code: int | None = None


class Frame(_Input, frozen=True, tag="frame"):
    """One message arrived. ``text`` tells a text message from a binary one; both are bytes here."""

    conn: int
    data: bytes
    text: bool = True


class Ping(_Input, frozen=True, tag="ping"):
    """A protocol ping or pong came in on a connection: it is alive. The transport answers pings by itself."""

    conn: int


class Response(_Input, frozen=True, tag="response"):
    """The answer to the ``Fetch`` of this number."""

    fetch: int
    response: HttpResponse


class Failed(_Input, frozen=True, tag="failed"):
    """The ``Fetch`` of this number got no answer."""

    fetch: int
    text: str


class Tick(_Input, frozen=True, tag="tick"):
    """Time passed."""

    held: bool = False
    """Reading is paused on behalf of a consumer: silence means nothing."""


class Listed(_Input, frozen=True, tag="listed"):
    """These instruments are new, or differ from what was known of them."""

    instruments: tuple[Instrument, ...]


Input: TypeAlias = Subscribe | Unsubscribe | Opened | Closed | Frame | Ping | Response | Failed | Tick | Listed


class _Command(Struct, frozen=True, tag_field="kind"):
    pass


class Connect(_Command, frozen=True, tag="connect"):
    """Open a connection to a route; answer with ``Opened`` or ``Closed``."""

    conn: int
    route: str
    attempt: int = 0
    """Failures in a row before this one: the driver's back-off grows with it."""


class Send(_Command, frozen=True, tag="send"):
    """Send one message, within the venue's message rate."""

    conn: int
    data: bytes
    text: bool = True
    urgent: bool = False
    """True for heartbeats and answers to the venue: they go before subscribe messages that wait for the rate."""


class Fetch(_Command, frozen=True, tag="fetch"):
    """Make an HTTP request within the venue's budget; answer with ``Response`` or ``Failed``."""

    fetch: int
    name: str
    request: HttpRequest
    delay: float = 0.0


class Close(_Command, frozen=True, tag="close"):
    """Close a connection. No ``Closed`` is needed in answer."""

    conn: int
    text: str


Command: TypeAlias = Connect | Send | Fetch | Close
