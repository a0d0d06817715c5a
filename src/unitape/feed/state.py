"""What a feed knows: its subscriptions, its connections, its requests. No decisions are made here."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Final, TypeVar

from unitape.errors import UnitapeError, WireError
from unitape.feed.inputs import Command, Fetch, Send
from unitape.feed.line import NANOS, Line, LineState, Link, Verdict
from unitape.feed.options import FeedOptions
from unitape.feed.tracks import Tracks
from unitape.spi import HttpResponse, Instruments, Market, Query
from unitape_schemas import Event, Status, StatusCode, Subscription

__all__ = ["FeedState"]

T = TypeVar("T")

HOUR: Final = 3600 * NANOS

LASTING: Final[frozenset[StatusCode]] = frozenset({"subscribed", "stale", "rejected", "unsubscribed"})

VERDICTS: Final = 65_536
"""Verdicts that wait for somebody to read them; the oldest go first."""


class FeedState:
    """The shared state of one market's feed, and the few ways to change it that everybody needs."""

    def __init__(self, market: Market, instruments: Instruments, options: FeedOptions) -> None:
        self.market = market
        self.venue = market.venue
        self.limits = market.limits
        self.instruments = instruments
        self.rest = market.rest(instruments)
        self.options = options
        self.ts = 0
        self.mono = 0
        self.out: list[Event] = []
        self.commands: list[Command] = []
        self.links: dict[int, Link] = {}
        self.lines: dict[Subscription, Line] = {}
        self.tracks = Tracks()
        self.acknowledges = False
        """True once the venue answered a subscribe: from then on a connection that does not answer is dead."""
        self.verdicts: deque[Verdict] = deque(maxlen=VERDICTS)
        """What became of each subscription that was asked for, for whoever waits for it."""
        self._answers: dict[int, tuple[object, Callable[[HttpResponse], None], Callable[[UnitapeError], None]]] = {}
        self._fetches = 0

    def say(
        self,
        code: StatusCode,
        line: Line | None = None,
        *,
        count: int | None = None,
        text: str = "",
        raw: str | None = None,
        symbol: str = "",
    ) -> None:
        """Emit a status."""
        if raw is not None:
            raw = raw[: self.options.raw_text]
        key = None
        if line is not None:
            symbol, key = line.subscription.symbol, line.key
        status = Status(self.venue, symbol, 0, 0, self.ts, code, key, count, text, raw)
        if line is not None and code in LASTING:
            line.status = status
        self.out.append(status)

    def after(self, seconds: float) -> int:
        """Return the monotonic time so many seconds from now."""
        return self.mono + round(seconds * NANOS)

    def retry_delay(self, failures: int) -> float:
        """Return the pause in seconds after so many failed requests in a row."""
        options = self.options
        return min(options.fetch_retry_cap, options.fetch_retry * 2.0 ** min(max(failures - 1, 0), 16))

    def refusal_pause(self, refusals: int) -> float:
        """Return the pause in seconds before something is asked for again that was refused so often before."""
        options = self.options
        return min(options.ask_again_at_most_every, options.refused_retry * 2.0 ** min(refusals, 16))

    def flush(self, link: Link, *, urgent: bool) -> None:
        """Turn what the session wants to send into commands."""
        outbox = link.session.outbox
        if not outbox:
            return
        if link.opened is None or link.dead:
            outbox.clear()
            return
        for message in outbox:
            text = isinstance(message, str)
            data = message.encode() if isinstance(message, str) else message
            self.commands.append(Send(link.conn, data, text, urgent))
        step = round(NANOS / self.limits.messages_per_second)
        link.paced = max(link.paced, self.mono) + step * len(outbox)
        if not urgent:
            if link.probed is None or link.heard >= link.probed:
                link.probed = self.mono
                link.answer_by = link.paced + round(self.limits.confirm_within * NANOS)
                # What was heard up to now, in this very moment too, is no answer.
                link.heard = min(link.heard, self.mono - 1)
            if self.limits.operations_per_hour is not None:
                link.asked.extend([self.mono] * len(outbox))
        outbox.clear()

    def operations_left(self, link: Link) -> bool:
        """Tell whether the venue lets us subscribe or unsubscribe on this connection now."""
        limit = self.limits.operations_per_hour
        if limit is None:
            return True
        while link.asked and link.asked[0] <= self.mono - HOUR:
            link.asked.popleft()
        return len(link.asked) < limit

    def ask(self, link: Link, lines: Sequence[Line]) -> None:
        """Subscribe on an open connection and set the deadlines, counted from when the messages will have left."""
        if not lines:
            return
        link.session.subscribe([line.subscription for line in lines])
        self.flush(link, urgent=False)
        deadline = max(link.paced, self.mono) + round(self.limits.confirm_within * NANOS)
        for line in lines:
            if line.link is link:
                line.deadline = deadline
                line.stream = link.session.streams.get(line.subscription)

    def ask_again(self, link: Link, line: Line) -> None:
        """Subscribe once more to what the connection carries already."""
        link.session.subscribe([line.subscription])
        self.flush(link, urgent=False)
        line.stream = link.session.streams.get(line.subscription)

    def fetch(
        self,
        owner: object,
        query: Query[T],
        done: Callable[[T], None],
        failed: Callable[[UnitapeError], None],
        delay: float = 0.0,
    ) -> None:
        """Ask for a request. Exactly one of ``done`` and ``failed`` is called later, unless the owner drops it."""

        def answer(response: HttpResponse) -> None:
            try:
                value = query.read(response, self.ts)
            except UnitapeError as error:
                failed(error)
                return
            except Exception as error:  # noqa: BLE001 - a fault in one reader must not end the feed
                failed(WireError(f"{type(error).__name__}: {error}", response.body, venue=self.venue))
                return
            done(value)

        number = self._fetches
        self._fetches += 1
        self._answers[number] = (owner, answer, failed)
        self.commands.append(Fetch(number, query.name, query.request, delay))

    def answered(self, number: int, response: HttpResponse) -> None:
        """Take the answer to a request; one that was dropped is ignored."""
        entry = self._answers.pop(number, None)
        if entry is not None:
            entry[1](response)

    def unanswered(self, number: int, error: UnitapeError) -> None:
        """Take the failure of a request."""
        entry = self._answers.pop(number, None)
        if entry is not None:
            entry[2](error)

    def drop_fetches(self, owner: object) -> None:
        """Forget the requests of this owner."""
        for number in [n for n, (whose, _, _) in self._answers.items() if whose is owner]:
            del self._answers[number]

    def open_gates(self, line: Line) -> None:
        """Let the hot path take this subscription's events where nothing speaks against it, and only there."""
        plain = line.state is LineState.ACTIVE and line.heir is None and line.spec.closes and not line.doubt
        for track in line.tracks:
            track.gate = line.link if plain and track.held is None else None
