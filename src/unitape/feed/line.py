"""The parts of a feed: a connection, a subscription, and the events of one symbol in it. Data only."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from enum import IntEnum
from typing import Final

from msgspec import Struct

from unitape.books import BookJoin
from unitape.spi import ChannelSpec, Session, StreamState
from unitape_schemas import Candle, MarketEvent, Status, Subscription, Trade

__all__ = ["NANOS", "Line", "LineState", "Link", "Proof", "Track", "Verdict"]

NANOS: Final = 1_000_000_000


class LineState(IntEnum):
    """How far a subscription has come."""

    ASKED = 0
    ACTIVE = 1


class Proof(IntEnum):
    """What tells duplicates and losses of a track."""

    NONE = 0
    SEQUENCE = 1
    ID = 2


class Link:
    """One connection, standing or being made."""

    __slots__ = (
        "answer_by",
        "asked",
        "attempt",
        "conn",
        "dead",
        "elder",
        "heard",
        "heir",
        "lines",
        "opened",
        "paced",
        "probed",
        "reason",
        "refusals",
        "rotate_at",
        "rotated_for_silence",
        "route",
        "session",
        "stayed",
        "take",
        "used",
    )

    def __init__(self, conn: int, route: str, session: Session, attempt: int, elder: Link | None) -> None:
        self.conn = conn
        self.route = route
        self.session = session
        self.take: tuple[Callable[[bytes, bool], None], Callable[[], None]] | None = None
        """What takes frames that bring their own time, made at the first one, and what renews that time."""
        self.attempt = attempt
        self.elder = elder
        """The connection that this one replaces while both stand."""
        self.heir: Link | None = None
        """The connection that replaces this one while both stand."""
        self.opened: int | None = None
        """Monotonic time; None while it is being made."""
        self.heard = 0
        self.lines: dict[Subscription, Line] = {}
        """Subscriptions that it carries or is about to take over."""
        self.used = 0
        self.paced = 0
        """Monotonic time when the last message handed over so far will have left, by the venue's rate."""
        self.probed: int | None = None
        """Monotonic time of the first message that has had no sign of life after it; None: nothing was asked yet."""
        self.answer_by = 0
        """When a sign of life must have followed it, counted from when the message could leave."""
        self.asked: deque[int] = deque()
        """When subscribe and unsubscribe messages of the last hour were handed over."""
        self.rotate_at: int | None = None
        self.rotated_for_silence: int | None = None
        self.refusals = 0
        """Requests that the venue refused on it."""
        self.stayed = 0
        """How often it was to be replaced in a row and stayed, for the new connection was refused what it carries."""
        self.reason = ""
        """Why it is being replaced."""
        self.dead = False
        """True once the venue or we have given it up."""


class Track:
    """The events of one subscription and one symbol: what came last and what must come next.

    ``gate`` is the connection whose events need no further thought: it carries a confirmed subscription, nothing is
    held back and no hand-over is under way. The hot path compares it and nothing else.
    """

    __slots__ = (
        "candle",
        "dups",
        "events",
        "fetched",
        "gaps",
        "gate",
        "heir_held",
        "held",
        "held_until",
        "latest",
        "line",
        "next",
        "overlap_until",
        "proof",
        "seen",
        "seen_before",
        "unsaid_dups",
    )

    def __init__(self, line: Line, proof: Proof) -> None:
        self.line = line
        self.proof = proof
        self.gate: Link | None = None
        self.next: int | None = None
        """The number that the next trade must have."""
        self.latest: MarketEvent | None = None
        self.events = 0
        self.gaps = 0
        """Events known to be missing, refilled ones not taken off."""
        self.dups = 0
        self.unsaid_dups = 0
        self.overlap_until = 0
        """Monotonic time until which duplicates are expected."""
        self.seen: set[str] = set()
        self.seen_before: set[str] = set()
        self.candle: Candle | None = None
        """Last state of the open candle, where the wire has no closed flag; None after a cut."""
        self.held: list[Trade] | None = None
        """Trades that wait for a refill; None: none is under way."""
        self.held_until = 0
        self.fetched = 0
        """Requests that this refill has made."""
        self.heir_held: list[Trade] = []
        """Trades of the successor that wait for the hand-over."""


class Line:
    """One subscription."""

    __slots__ = (
        "ask_at",
        "asks",
        "cost",
        "deadline",
        "doubt",
        "established",
        "events",
        "failures",
        "give_up",
        "heard",
        "heir",
        "heir_confirmed",
        "heir_join",
        "heir_refused",
        "join",
        "key",
        "level",
        "link",
        "poll_at",
        "polling",
        "proof",
        "refusals",
        "rejoins",
        "resubscribe_at",
        "spec",
        "state",
        "status",
        "stream",
        "subscription",
        "touched",
        "tracks",
    )

    def __init__(self, subscription: Subscription, spec: ChannelSpec, mono: int, give_up: int) -> None:
        self.subscription = subscription
        self.key = subscription.key
        self.spec = spec
        self.cost = 0
        self.state = LineState.ASKED
        self.established = False
        """True once it was confirmed: from then on it is never given up for a mere silence."""
        self.give_up = give_up
        """When a subscription that was never confirmed counts as refused, if it cannot even be asked."""
        self.link: Link | None = None
        self.heir: Link | None = None
        self.heir_confirmed: int | None = None
        self.heir_refused: str | None = None
        self.deadline: int | None = None
        """When the confirmation is overdue; None: not asked yet."""
        self.asks = 0
        """Further times that its connection was asked for it in vain."""
        self.refusals = 0
        """How often in a row it was taken off a connection that refused it or left it unanswered."""
        self.ask_at: int | None = None
        """When it is put on a connection again; None: it is on one."""
        self.stream: StreamState | None = None
        self.touched = 0
        self.heard = mono
        """Monotonic time of its last sign of life, as fine as the ticks."""
        self.level = 0
        """Steps taken against its silence."""
        self.doubt = ""
        """Why something may be missing before its next event: its connection was cut, it had to be asked for again."""
        self.tracks: list[Track] = []
        self.proof = Proof.NONE
        self.join: BookJoin | None = None
        self.heir_join: BookJoin | None = None
        self.resubscribe_at: int | None = None
        """When the stream is to be asked for its snapshot again."""
        self.events = 0
        self.rejoins = 0
        self.poll_at = 0
        self.polling = False
        self.failures = 0
        """Failed requests in a row."""
        self.status: Status | None = None
        """What a late consumer is told first."""


class Verdict(Struct, frozen=True):
    """A subscription was confirmed (``text`` None) or refused."""

    subscription: Subscription
    text: str | None = None
    code: str | None = None
