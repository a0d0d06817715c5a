"""What a market implements to stream an account: how its private connection is opened, and how it reads.

The engine opens and keeps it in five steps, the same on every market:

1. ``open_key`` where the venue wants a listen key; ``keep_key`` every ``PrivateSpec.keep_every`` seconds from then on.
2. ``dial`` says where to connect, with headers signed if the handshake is.
3. ``session`` makes the connection's state machine; ``on_open`` leaves its logon and subscribe messages in the outbox.
4. ``Ready`` says that from now on nothing is missed. Only then the engine asks by REST how things stand, merges, and
   calls the stream live. A venue that stays silent about success becomes ready on a tick, see ``PrivateSpec``.
5. ``Closing`` and a broken connection both lead back to step 1, with a fresh stamp and a new snapshot.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeAlias, runtime_checkable

from msgspec import Struct

from unitape.spi.credentials import Credentials
from unitape.spi.http import Query
from unitape.spi.instruments import Instruments
from unitape.spi.limits import Heartbeat
from unitape.spi.session import Closing, Outgoing, Refused, Unmapped
from unitape.spi.trading import TradingSettings
from unitape.spi.venue import Endpoint
from unitape_schemas import AccountEvent, Channel

__all__ = [
    "AccountStream",
    "Dial",
    "PrivateOutput",
    "PrivateSession",
    "PrivateSpec",
    "Ready",
    "Recheck",
    "Streaming",
]


class Ready(Struct, frozen=True):
    """The venue accepted key and subscriptions: what happens from now on is pushed."""

    raw: str = ""


class Recheck(Struct, frozen=True):
    """Something changed that the stream does not tell in full: ask for these channels by REST, soon but not at once.

    The engine waits a moment, so that a burst of them costs one question.
    """

    channels: tuple[Channel, ...]
    text: str = ""


PrivateOutput: TypeAlias = AccountEvent | Ready | Recheck | Refused | Closing | Unmapped
"""``Refused``: the logon or a subscription was refused, in the venue's words. With ``code`` ``"auth"`` trying again
is pointless until the key changes."""


class PrivateSpec(Struct, frozen=True):
    """How one market streams an account."""

    route: str
    """The connection's route, a key of ``Endpoint.ws``."""
    channels: tuple[Channel, ...]
    """What it carries, of ``orders``, ``fills``, ``balances``, ``positions``. What is missing here is asked for by
    REST when something else moves."""
    heartbeat: Heartbeat
    lifetime: float | None = None
    """Seconds after which the venue closes the connection; the engine makes the next one before it leaves this one."""
    keep_every: float | None = None
    """Seconds between extensions of the listen key; None where there is none."""
    confirm_within: float = 10.0
    """Seconds from the open connection to ``Ready``, else it is given up and made anew."""
    source: str = ""


class Dial(Struct, frozen=True):
    """Where to connect. Both parts may hold secrets: they are never logged.

    The headers are beside those of the endpoint, which the engine adds.
    """

    url: str
    headers: tuple[tuple[str, str], ...] = ()


class PrivateSession(Protocol):
    """One private connection as a state machine: no I/O, no clock."""

    @property
    def outbox(self) -> list[Outgoing]:
        """Messages to send, oldest first. The driver removes them, and never writes them down: they may be signed."""
        ...

    def on_open(self, credentials: Credentials, ts: int) -> None:
        """Tell that the connection stands, who logs on, and the venue's time in nanoseconds."""
        ...

    def on_frame(self, data: bytes | str, ts_recv: int) -> Sequence[PrivateOutput]:
        """Take one message and return what it says. Events have the origin ``stream``.

        Raises:
            WireError: the message cannot be understood. The session stays usable.
        """
        ...

    def on_tick(self, now: int) -> Sequence[PrivateOutput]:
        """Let timers run: heartbeats, and ``Ready`` where a venue only ever says no. Monotonic nanoseconds."""
        ...


class AccountStream(Protocol):
    """The private stream of one market."""

    @property
    def spec(self) -> PrivateSpec:
        """How it behaves."""
        ...

    def open_key(self) -> Query[str] | None:
        """Ask for a listen key; None where the venue has none."""
        ...

    def keep_key(self, key: str) -> Query[None] | None:
        """Extend a listen key. ``OrderNotFound`` and the like do not occur; an unknown key raises ``VenueError``."""
        ...

    def dial(self, endpoint: Endpoint, key: str | None, credentials: Credentials, ts: int) -> Dial:
        """Return where to connect. ``key`` is the listen key, ``ts`` the venue's time in nanoseconds."""
        ...

    def session(self) -> PrivateSession:
        """Return the state machine of one new connection."""
        ...


@runtime_checkable
class Streaming(Protocol):
    """A market whose account can be streamed."""

    def account_stream(self, instruments: Instruments, settings: TradingSettings) -> AccountStream:
        """Return its private stream."""
        ...
