"""One connection as a state machine: bytes in, events out, nothing awaited, no clock read.

A session is driven by the engine live, by a tape, by a simulator, by a fuzzer, and by your tests, all alike:

1. ``on_open()`` once the connection stands.
2. ``subscribe`` and ``unsubscribe`` as the user asks.
3. ``on_frame(data, ts_recv)`` for every text (``bytes`` of UTF-8, or ``str``) or binary (``bytes``) message.
4. ``on_tick(now)`` about once a second; ``now`` is a monotonic time in nanoseconds.

After each call the driver empties ``outbox`` and sends what it finds. A session lives as long as its connection; a
new connection gets a new session.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol, TypeAlias

from msgspec import Struct

from unitape_schemas import Event, Levels, Subscription

__all__ = [
    "Closing",
    "Codec",
    "Confirmed",
    "Control",
    "DepthUpdate",
    "Outgoing",
    "Output",
    "Refused",
    "Session",
    "StreamState",
    "Unmapped",
]


class DepthUpdate(Struct, frozen=True, gc=False):
    """A change or an image of a book as the venue sent it, before it is joined.

    The book joiner turns these into ``BookSnapshot`` and ``BookDelta``. ``snapshot`` marks a whole image.
    ``first_seq`` and ``prev_seq`` are None where the venue gives none. ``depth`` is how many levels per side the
    venue promises: the image is whole when it holds fewer; None where it promises none.
    """

    venue: str
    symbol: str
    ts_event: int
    ts_sent: int
    ts_recv: int
    bids: Levels
    asks: Levels
    first_seq: int | None
    seq: int
    prev_seq: int | None
    snapshot: bool = False
    depth: int | None = None


class Confirmed(Struct, frozen=True):
    """The venue accepted these subscriptions."""

    subscriptions: tuple[Subscription, ...]
    raw: str = ""


class Refused(Struct, frozen=True):
    """The venue refused these subscriptions, in its own words. None: it did not say which."""

    subscriptions: tuple[Subscription, ...] | None
    text: str
    code: str | None = None
    raw: str = ""


class Closing(Struct, frozen=True):
    """The venue will close this connection, or it must be left. ``rotate``: make the next one before leaving."""

    text: str
    rotate: bool = True


class Unmapped(Struct, frozen=True):
    """The venue said something that the contract has no event for. ``name`` is the venue's name of it.

    Nothing is wrong and nothing is lost: it is counted by name, so that a person can see what goes by.
    """

    name: str


Control: TypeAlias = Confirmed | Refused | Closing | Unmapped
Output: TypeAlias = Event | DepthUpdate | Control
Outgoing: TypeAlias = str | bytes
"""A text message or a binary one."""


class StreamState:
    """What a session knows of one subscription. The engine reads ``touched`` to notice silence.

    ``touched`` is the ``ts_recv`` of the last data for it, 0 before the first. Sessions set it on the hot path, so it
    is a plain attribute.

    ``number`` spares the engine the reading of trade ids, where they are numbers in sequence. A session may set it to
    the number of the one trade that a message brought, and then sets it with every message of trades: to None where
    one brought several. None, as it is at first: the engine reads the ids.
    """

    __slots__ = ("number", "subscription", "touched")

    def __init__(self, subscription: Subscription) -> None:
        self.subscription = subscription
        self.touched = 0
        self.number: int | None = None


class Codec(Protocol):
    """Reads single messages with no connection behind them: recordings, logs, tests."""

    def decode(self, data: bytes | str, ts_recv: int, *, stream: str | None = None) -> Sequence[Output]:
        """Return what one message says: events, depth updates, or control outputs.

        ``stream`` is the venue's stream name when it is known from outside (some payloads do not name themselves).
        An unknown field is ignored. A message that is known to carry nothing for the contract gives an empty result.

        Raises:
            WireError: the message cannot be understood; nothing of it was used.
        """
        ...


class Session(Protocol):
    """One connection to one route of one market."""

    @property
    def outbox(self) -> list[Outgoing]:
        """Messages to send, oldest first. The driver removes them."""
        ...

    @property
    def streams(self) -> Mapping[Subscription, StreamState]:
        """The subscriptions of this connection, whether confirmed or not."""
        ...

    def on_open(self) -> None:
        """Tell that the connection stands."""
        ...

    def subscribe(self, subscriptions: Sequence[Subscription]) -> None:
        """Put the messages that subscribe into the outbox. Asking again for an active one asks the venue again."""
        ...

    def unsubscribe(self, subscriptions: Sequence[Subscription]) -> None:
        """Put the messages that unsubscribe into the outbox and forget the streams."""
        ...

    def on_frame(self, data: bytes | str, ts_recv: int, /) -> Sequence[Output]:
        """Take one message and return what it says. ``ts_recv`` is wall-clock nanoseconds.

        Raises:
            WireError: the message cannot be understood. The session stays usable.
        """
        ...

    def on_tick(self, now: int) -> Sequence[Output]:
        """Let timers run. ``now`` is monotonic nanoseconds."""
        ...
