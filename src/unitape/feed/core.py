"""The feed of one market as a pure machine: inputs in, events and commands out.

It awaits nothing, reads no clock and no random number. The same inputs in the same order give the same events and the
same commands, whether they come from sockets, from a tape or from a test.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from msgspec import Struct

from unitape.books import OrderBook
from unitape.errors import ConfigError, TransportError, WireError
from unitape.feed.books import Books
from unitape.feed.connections import Connections
from unitape.feed.continuity import TradeFlow, proof_of
from unitape.feed.inputs import (
    Close,
    Closed,
    Command,
    Failed,
    Frame,
    Input,
    Listed,
    Opened,
    Ping,
    Response,
    Subscribe,
    Tick,
    Unsubscribe,
)
from unitape.feed.intake import Stamp, Take, intake
from unitape.feed.line import NANOS, Line, LineState, Link, Verdict
from unitape.feed.options import FeedOptions
from unitape.feed.plan import check
from unitape.feed.polls import Polls
from unitape.feed.refusals import Refusals
from unitape.feed.rotation import Rotation
from unitape.feed.silence import Silence
from unitape.feed.state import FeedState
from unitape.spi import ChannelSpec, Closing, Confirmed, DepthUpdate, Instruments, Market, Refused, Unmapped
from unitape_schemas import Event, Status, Subscription

__all__ = ["FeedCore", "StreamStats"]

UNMAPPED_NAMES: Final = 1000
"""Names that are counted apart; the rest counts as one."""


class StreamStats(Struct, frozen=True):
    """How one subscription is doing."""

    subscription: Subscription
    state: str
    """``asked``, ``active`` or ``stale``."""
    connection: int | None
    events: int
    last: int
    """``ts_recv`` of the last event, 0 before the first."""
    gaps: int
    """Events known to have been missing, refilled ones included; of a book, how often it was joined again."""
    duplicates: int


class FeedCore:
    """One market's feed. ``commands`` collects what must be done; the driver empties it after each call."""

    def __init__(self, market: Market, instruments: Instruments, options: FeedOptions | None = None) -> None:
        self._state = state = FeedState(market, instruments, options or FeedOptions())
        self._flow = TradeFlow(state)
        self._books = Books(state)
        self._connections = Connections(state, self._flow, self._books)
        self._refusals = Refusals(state, self._connections)
        self._rotation = Rotation(state, self._connections, self._flow, self._books, self._refusals)
        self._silence = Silence(state, self._connections, self._rotation, self._refusals)
        self._polls = Polls(state, self._connections)
        self._links = state.links
        self._unknown = len(instruments.unknown)
        self._stamp = 0, 0
        self.batch: list[Event] = []
        """Events of the messages that were given to ``taker``; whoever gave them empties it."""
        self.undecoded = 0
        """Frames that could not be understood."""
        self.unmapped: dict[str, int] = {}
        """Messages that were understood and that the contract has no event for, by the venue's name of them."""
        self._handlers: dict[type[Any], Callable[[Any], None]] = {
            Subscribe: self._subscribe,
            Unsubscribe: self._unsubscribe,
            Opened: self._opened,
            Closed: self._closed,
            Ping: self._ping,
            Response: self._response,
            Failed: self._failed,
            Tick: self._tick,
            Listed: self._listed,
        }

    @property
    def commands(self) -> list[Command]:
        """What must be done, oldest first."""
        return self._state.commands

    def apply(self, item: Input) -> Sequence[Event]:
        """Take one input and return the events it gives."""
        if isinstance(item, Frame):
            return self.frame(item.conn, item.data, item.text, item.ts, item.mono)
        self._state.ts, self._state.mono = item.ts, item.mono
        self._handlers[type(item)](item)
        return self._drain()

    def frame(self, conn: int, data: bytes, text: bool, ts: int, mono: int) -> Sequence[Event]:
        """Take one message: ``apply(Frame(…))`` without the object."""
        link = self._links.get(conn)
        if link is None:
            return ()
        self._stamp = ts, mono
        if link.take is None:
            link.take = self._intake(link, lambda: self._stamp)
        take, renew = link.take
        renew()
        take(data, text)
        events = self.batch[:]
        self.batch.clear()
        return events

    def taker(self, conn: int, stamp: Stamp) -> tuple[Take, Callable[[], None]]:
        """Return what takes the messages of one connection and puts their events into ``batch``: the hot path.

        ``stamp`` gives the wall clock and the monotonic clock of a message. It is asked at the first one, and at the
        first after each call of the second function.
        """
        link = self._links.get(conn)
        return (_deaf, _nothing) if link is None else self._intake(link, stamp)

    def stats(self) -> list[StreamStats]:
        """Return how each subscription is doing."""
        return [_stats(line) for line in self._state.lines.values()]

    def current(self) -> list[Event]:
        """Return what a late consumer needs first: the latest status of each subscription, then each book."""
        lines = self._state.lines.values()
        events: list[Event] = [line.status for line in lines if line.status is not None]
        return events + self._books.images()

    def book(self, symbol: str) -> OrderBook | None:
        """Return the live book of a subscribed symbol, or None."""
        return self._books.book(symbol)

    def verdicts(self) -> list[Verdict]:
        """Return and forget what became of subscriptions since the last call."""
        waiting = self._state.verdicts
        if not waiting:
            return []
        taken = list(waiting)
        waiting.clear()
        return taken

    def awaits(self, conn: int) -> bool:
        """Tell whether an answer of the venue is outstanding on a connection, so that it must be read."""
        link = self._links.get(conn)
        if link is None:
            return False
        return link.elder is not None or any(line.state is LineState.ASKED for line in link.lines.values())

    @property
    def subscriptions(self) -> list[Subscription]:
        """Everything asked for and not refused."""
        return list(self._state.lines)

    def _drain(self) -> Sequence[Event]:
        out = self._state.out
        if not out:
            return ()
        self._state.out = []
        return out

    # Frames

    def _intake(self, link: Link, stamp: Stamp) -> tuple[Take, Callable[[], None]]:
        return intake(self._state, link, self._books, self.batch, self._take, self._undecoded, stamp)

    def _take(self, link: Link, output: Any) -> None:
        kind: type[Any] = output.__class__
        if kind is DepthUpdate:
            self._depth(link, output)
        elif kind is Confirmed:
            self._confirmed(link, output)
        elif kind is Refused:
            self._refused(link, output)
        elif kind is Closing:
            self._closing(link, output)
        elif kind is Status:
            self._state.out.append(output)
        elif kind is Unmapped:
            self._unmapped(output.name)
        else:
            self._event(link, output)

    def _event(self, link: Link, event: Any) -> None:
        track = self._state.tracks.find(event)
        if track is None:
            # Nobody asked for it by name, but the venue sent it: shown, but only once while two connections stand.
            if link.elder is None:
                self._state.out.append(event)
            return
        line = track.line
        if line.link is link:
            if line.state is LineState.ASKED or line.doubt:
                self._connections.activate(line)
            elif not track.events:
                self._state.open_gates(line)
            self._flow.admit(track, event)
            if line.heir is not None:
                self._rotation.try_track(track)
        elif line.heir is link:
            self._rotation.heir_event(track, event)

    def _depth(self, link: Link, update: DepthUpdate) -> None:
        line = self._books.line(update.symbol)
        if line is None:
            return
        if line.link is link:
            if line.state is LineState.ASKED:
                self._connections.activate(line)
            self._books.update(line, update)
            if line.heir is not None:
                self._rotation.try_book(line)
        elif line.heir is link:
            self._rotation.confirmed(line)
            self._books.heir_update(line, update)
            self._rotation.try_book(line)

    def _confirmed(self, link: Link, confirmed: Confirmed) -> None:
        self._state.acknowledges = True
        for subscription in confirmed.subscriptions:
            line = self._state.lines.get(subscription)
            if line is None:
                continue
            if line.link is link:
                self._connections.activate(line, raw=confirmed.raw)
            elif line.heir is link:
                self._rotation.confirmed(line)

    def _refused(self, link: Link, refused: Refused) -> None:
        state = self._state
        link.refusals += 1
        concerned: list[Line] = []
        if refused.subscriptions is not None:
            concerned = [state.lines[s] for s in refused.subscriptions if s in state.lines]
        else:
            waiting = [x for x in link.lines.values() if x.link is link and x.deadline is not None]
            concerned = waiting if len(waiting) == 1 else []
            if not concerned:
                state.say("rejected", text=refused.text, raw=refused.raw or refused.text)
        for line in concerned:
            if line.link is link:
                self._refusals.refused(line, refused.text, raw=refused.raw or refused.text, code=refused.code)
            elif line.heir is link:
                self._rotation.refused(line, refused.text)

    def _unmapped(self, name: str) -> None:
        known = self.unmapped
        if name not in known and len(known) >= UNMAPPED_NAMES:
            name = "…"
        known[name] = known.get(name, 0) + 1

    def _closing(self, link: Link, closing: Closing) -> None:
        if closing.rotate:
            self._rotation.begin(link, closing.text)
        else:
            self._lose(link, closing.text, close=True)

    def _undecoded(self, link: Link, error: Exception, data: bytes) -> None:
        state = self._state
        self.undecoded += 1
        reason = error.reason if isinstance(error, WireError) else f"{type(error).__name__}: {error}"
        start = data[: state.options.raw_text].decode("utf-8", "replace")
        state.say("undecoded", count=1, text=f"{reason} in a frame of {len(data)} bytes", raw=start)
        state.flush(link, urgent=True)

    # Everything else

    def _subscribe(self, item: Subscribe) -> None:
        state = self._state
        asked: dict[int, list[Line]] = {}
        for subscription in dict.fromkeys(item.subscriptions):
            known = state.lines.get(subscription)
            if known is not None:
                if known.established:
                    state.verdicts.append(Verdict(subscription))
                continue
            line = self._new_line(subscription)
            if line is None:
                continue
            if not line.spec.route:
                self._polls.start(line)
                continue
            link = self._connections.place(line)
            if link is None:
                most = state.limits.connections_per_host
                self._connections.reject(line, f"it would take more than the {most} connections the venue allows")
            elif link.opened is not None:
                asked.setdefault(link.conn, []).append(line)
        for conn, lines in asked.items():
            state.ask(state.links[conn], lines)

    def _new_line(self, subscription: Subscription) -> Line | None:
        state = self._state
        try:
            spec: ChannelSpec = check(state.market, state.instruments, subscription)
            if subscription.channel == "book":
                self._books.check(subscription)
        except ConfigError as error:
            text = str(error)
            key = subscription.key
            state.out.append(
                Status(state.venue, subscription.symbol, 0, 0, state.ts, "rejected", key, None, text, None)
            )
            state.verdicts.append(Verdict(subscription, text))
            return None
        line = Line(subscription, spec, state.mono, state.after(state.limits.confirm_within))
        state.lines[subscription] = line
        state.tracks.add(line, proof_of(line))
        self._books.begin(line)
        return line

    def _unsubscribe(self, item: Unsubscribe) -> None:
        for subscription in item.subscriptions:
            line = self._state.lines.get(subscription)
            if line is not None:
                self._state.say("unsubscribed", line, text="as asked")
                self._connections.forget(line)

    def _opened(self, item: Opened) -> None:
        link = self._links.get(item.conn)
        if link is not None and link.opened is None:
            self._connections.opened(link)

    def _closed(self, item: Closed) -> None:
        link = self._links.get(item.conn)
        if link is not None:
            code = f" (code {item.code})" if item.code is not None else ""
            self._lose(link, f"{item.text}{code}", close=False)

    def _lose(self, link: Link, text: str, *, close: bool) -> None:
        """A connection is gone, or is given up: what it carried moves to its successor or to a new one."""
        if link.conn not in self._links:
            return
        link.dead = True
        if close:
            self._state.commands.append(Close(link.conn, text))
        elder, link.elder = link.elder, None
        if elder is not None:
            self._rotation.abandon(elder, text)
        if link.heir is not None:
            self._rotation.take_over(link)
        self._connections.lost(link, text)

    def _ping(self, item: Ping) -> None:
        link = self._links.get(item.conn)
        if link is not None:
            link.heard = item.mono

    def _response(self, item: Response) -> None:
        self._state.answered(item.fetch, item.response)

    def _failed(self, item: Failed) -> None:
        self._state.unanswered(item.fetch, TransportError(item.text))

    def _listed(self, item: Listed) -> None:
        self._state.instruments.update(item.instruments)

    def _tick(self, item: Tick) -> None:
        state = self._state
        if item.held:
            for link in state.links.values():
                link.heard = item.mono
            for line in state.lines.values():
                line.heard = item.mono
        self._connections.tick()
        self._refusals.tick()
        silence = round(state.market.heartbeat.silence * NANOS)
        for link in list(state.links.values()):
            if link.opened is None:
                continue
            for output in link.session.on_tick(item.mono):
                self._take(link, output)
            state.flush(link, urgent=True)
            if item.mono - link.heard >= silence:
                self._lose(link, f"nothing was heard for {state.market.heartbeat.silence:g} s", close=True)
            elif self._silence.unanswered(link):
                self._lose(link, f"no answer within {state.limits.confirm_within:g} s, nor anything else", close=True)
        for link in self._silence.tick():
            self._lose(link, "all its subscriptions stayed silent", close=True)
        self._rotation.tick()
        self._polls.tick()
        for line in list(state.lines.values()):
            self._books.tick(line)
            if line.heir is not None:
                self._rotation.try_book(line)
            for track in line.tracks:
                self._flow.tick(track)
        self._name_unknown()

    def _name_unknown(self) -> None:
        unknown = self._state.instruments.unknown
        if len(unknown) == self._unknown:
            return
        for raw in list(unknown)[self._unknown :]:
            text = "the venue sends data for a symbol that its instrument list lacks; it keeps the venue's spelling"
            self._state.say("unknown_symbol", symbol=raw, text=text, raw=raw)
        self._unknown = len(unknown)


def _deaf(data: bytes, text: bool) -> None:
    """Take the messages of a connection that was given up before it stood."""


def _nothing() -> None:
    """Renew nothing."""


def _stats(line: Line) -> StreamStats:
    state = "stale" if line.level else "asked" if line.state is LineState.ASKED else "active"
    last = max((track.latest.ts_recv for track in line.tracks if track.latest is not None), default=0)
    return StreamStats(
        line.subscription,
        state,
        line.link.conn if line.link is not None else None,
        line.events + sum(track.events for track in line.tracks),
        max(last, line.touched),
        line.rejoins + sum(track.gaps for track in line.tracks),
        sum(track.dups for track in line.tracks),
    )
