"""What a venue allows, as data. The feed plans by these numbers; every table names the page it came from."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from unitape_schemas import Channel, Interval

__all__ = ["Budget", "ChannelSpec", "Continuity", "Heartbeat", "Limits"]

Continuity = Literal["sequence", "id", "none"]
"""What proves that nothing is missing: consecutive numbers, unique ids, or nothing."""


class Budget(Struct, frozen=True):
    """A rate budget of the REST API: ``limit`` per window of ``seconds``.

    ``aligned`` windows start at multiples of the window in UTC, the others roll. ``header`` is the answer's header
    that tells how much is used.
    """

    name: str
    limit: int
    seconds: float
    aligned: bool = True
    header: str | None = None
    scope: Literal["address", "account"] = "address"
    """Who is counted: everybody at this network address, or one account wherever it is."""


class Limits(Struct, frozen=True):
    """Limits of one market's connections. None: not documented and not enforced here."""

    subscriptions_per_connection: int
    """How much ``Market.cost`` one connection may carry."""
    params_per_message: int
    """Streams named in one subscribe message."""
    messages_per_second: float
    """Messages we may send on one connection, heartbeats included."""
    connects_per_window: int
    connect_window: float
    """Connection attempts per host and the window in seconds."""
    connections_per_host: int | None
    lifetime: float | None
    """Seconds after which the venue closes a connection; the feed rotates before it."""
    operations_per_hour: int | None = None
    """Subscribe and unsubscribe operations per hour on one connection."""
    confirm_within: float = 10.0
    """Seconds after which an unconfirmed subscription counts as rejected."""
    max_frame: int = 16 * 1024 * 1024
    """Bytes; a larger frame is a wire error."""
    budgets: tuple[Budget, ...] = ()
    source: str = ""
    """The page these numbers were taken from, and when."""


class Heartbeat(Struct, frozen=True):
    """Who keeps a connection alive, and how long silence may last.

    ``protocol``: the venue sends WebSocket pings, which the transport answers. ``client``: we send ``ping`` every
    ``interval`` seconds. ``server``: the venue sends pings as messages; the session answers them.
    """

    kind: Literal["protocol", "client", "server"]
    interval: float
    """Seconds between pings, ours or the venue's."""
    silence: float
    """Seconds without any frame after which the connection is given up."""
    deadline: float
    """Seconds the venue waits for our answer before it hangs up; reading may never pause for longer than half."""


class ChannelSpec(Struct, frozen=True):
    """How one market serves one channel."""

    channel: Channel
    native: str
    """The venue's stream or endpoint that serves it, with <s> for the symbol."""
    continuity: Continuity
    route: str = "public"
    """The connection route, a key of ``Endpoint.ws``; empty when it is polled over HTTP."""
    stale_after: float | None = None
    """Seconds of silence that are suspicious on a liquid symbol; None: silence is normal."""
    intervals: tuple[Interval, ...] = ()
    depths: tuple[int, ...] = ()
    """Depths that may be asked for; the first is the default. Empty: no choice."""
    all_symbols: bool = False
    """True when the symbol ``*`` may be asked for."""
    poll: float | None = None
    """Seconds between polls where the venue has no stream."""
    refill: bool = False
    """True when ``Rest.trades_since`` can fill a gap."""
    closes: bool = True
    """Candles only. False when the wire has no closed flag: the engine then sends the last state of a candle again,
    closed, when a later one opens."""
    note: str = ""
    source: str = ""
