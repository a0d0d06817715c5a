"""Planned replacement of a connection: the new one carries everything before the old one closes.

While both stand, each subscription belongs to the old connection until it is handed over, once and at one point:

- trades with numbers, when the new connection's trades join the old one's without a hole; those that come early wait;
- trades with ids, when both were seen to carry the same trade;
- books, when the new connection's own book is joined and not behind the old one;
- everything else at the first frame of the new connection that carries it.

A subscription that is silent on both sides is handed over after a while, once the venue confirmed it.
"""

from __future__ import annotations

from unitape.feed.books import Books
from unitape.feed.connections import CUT, Connections
from unitape.feed.continuity import TradeFlow, trade_number
from unitape.feed.inputs import Close
from unitape.feed.line import Line, LineState, Link, Proof, Track
from unitape.feed.refusals import Refusals
from unitape.feed.state import FeedState
from unitape_schemas import ALL_SYMBOLS, MarketEvent, Trade

__all__ = ["Rotation"]


class Rotation:
    """Starts, follows and ends the hand-overs of one feed."""

    def __init__(
        self, state: FeedState, connections: Connections, flow: TradeFlow, books: Books, refusals: Refusals
    ) -> None:
        self._state = state
        self._connections = connections
        self._refusals = refusals
        self._flow = flow
        self._books = books

    def begin(self, link: Link, text: str) -> None:
        """Make the successor of a connection. If one of the two is in a hand-over already, this one comes after it."""
        state = self._state
        if link.dead or link.heir is not None:
            return
        if link.opened is None or link.elder is not None:
            link.rotate_at = state.mono
            return
        link.rotate_at = None
        heir = self._connections.make(link.route, elder=link)
        link.heir = heir
        link.reason = text
        for line in list(link.lines.values()):
            if line.link is link:
                line.heir = heir
                line.heir_confirmed = None
                line.heir_refused = None
                self._connections.carry(heir, line)
                state.open_gates(line)
                self._books.begin_heir(line)

    def confirmed(self, line: Line) -> None:
        """The successor's subscription is confirmed."""
        if line.heir_confirmed is None:
            line.heir_confirmed = self._state.mono
            self._books.start_heir(line)

    def refused(self, line: Line, text: str) -> None:
        """The venue refuses the subscription on the successor: it stays on the old connection while that stands."""
        line.heir_refused = text
        self._settle_if_done(line.link)

    def heir_event(self, track: Track, event: MarketEvent) -> None:
        """Take an event of the successor for a subscription that the old connection still carries."""
        line = track.line
        self.confirmed(line)
        if not isinstance(event, Trade) or track.proof is Proof.NONE:
            self._hand_over(line)
            self._flow.admit(track, event)
            return
        track.heir_held.append(event)
        if len(track.heir_held) >= self._state.options.held_trades:
            self._hand_over(line)
        else:
            self.try_track(track)

    def try_track(self, track: Track) -> None:
        """Hand trades over if the waiting ones of the successor join those emitted so far."""
        line = track.line
        if not track.heir_held or track.held is not None or line.subscription.symbol == ALL_SYMBOLS:
            return
        first = track.heir_held[0]
        if track.proof is Proof.SEQUENCE:
            number = trade_number(first)
            joins = number is None or track.next is None or number <= track.next
        else:
            joins = self._flow.knows(track, first)
        if joins:
            self._hand_over(line)

    def try_book(self, line: Line) -> None:
        """Hand a book over if the successor's is joined and not behind."""
        if line.heir is not None and self._books.heir_ready(line):
            self._hand_over(line)

    def tick(self) -> None:
        """Start what is due, hand over what is silent, end what takes too long."""
        state = self._state
        for link in list(state.links.values()):
            if link.dead:
                continue
            heir = link.heir
            if heir is None:
                if link.rotate_at is not None and state.mono >= link.rotate_at:
                    self.begin(link, "its lifetime ends")
                continue
            if heir.opened is None:
                continue
            for line in list(link.lines.values()):
                if line.heir is heir and line.heir_refused is None and self._overdue(line):
                    self._hand_over(line)
            self._settle_if_done(link)
            if link.heir is heir and state.mono >= heir.opened + round(state.options.rotate_within * 1e9):
                self.abandon(link, "the new connection did not carry everything in time")

    def abandon(self, link: Link, text: str) -> None:
        """Leave what is not handed over on the old connection and try again later."""
        state = self._state
        heir = link.heir
        if heir is None:
            return
        link.heir = None
        heir.elder = None
        link.rotate_at = state.after(state.options.rotate_retry)
        for line in list(link.lines.values()):
            if line.heir is heir:
                self._withdraw(line, heir)
        if not heir.dead:
            state.say(
                "disconnected", count=0, text=f"connection {link.conn} stays, {heir.conn} failed to replace it: {text}"
            )
        if heir.conn in state.links:
            self._connections.remove_if_idle(heir)

    def take_over(self, link: Link) -> None:
        """The old connection died in the middle: its successor carries the rest from here."""
        heir = link.heir
        if heir is None:
            return
        link.heir = None
        heir.elder = None
        for line in list(link.lines.values()):
            if line.heir is not heir:
                continue
            refused = line.heir_refused
            line.state = LineState.ASKED
            line.doubt = CUT if line.established else ""
            for track in line.tracks:
                track.candle = None
            self._hand_over(line, settle=False)
            if refused is not None:
                self._refusals.refused(line, refused, raw=refused)

    def _overdue(self, line: Line) -> bool:
        state, options = self._state, self._state.options
        if line.heir_confirmed is None or line.join is not None:
            return False
        waited = state.mono - line.heir_confirmed
        if any(track.heir_held for track in line.tracks):
            return waited >= options.overlap * 1e9
        # Where the old connection still brings data and the new one none, the new one is not to be trusted.
        return waited >= options.quiet_handover * 1e9 and line.heard <= line.heir_confirmed

    def _hand_over(self, line: Line, *, settle: bool = True) -> None:
        state = self._state
        elder, heir = line.link, line.heir
        if elder is None or heir is None:
            return
        line.link, line.heir = heir, None
        self._connections.release(elder, line)
        line.stream = heir.session.streams.get(line.subscription)
        line.touched = 0
        self._books.hand_over(line)
        if any(self._unproven(track) for track in line.tracks):
            line.doubt = line.doubt or "the old connection did not bring what the new one brings"
        if line.heir_confirmed is not None:
            self._connections.activate(line)
        elif heir.opened is not None:
            line.deadline = state.after(state.limits.confirm_within)
        for track in line.tracks:
            waiting, track.heir_held = track.heir_held, []
            track.overlap_until = state.after(state.options.overlap)
            for trade in waiting:
                self._flow.admit(track, trade)
        state.open_gates(line)
        if settle:
            self._settle_if_done(elder)

    def _unproven(self, track: Track) -> bool:
        """Tell whether the successor's trades wait, and none of the old connection's proves that they join."""
        return track.proof is Proof.ID and bool(track.heir_held) and not self._flow.knows(track, track.heir_held[0])

    def _withdraw(self, line: Line, heir: Link) -> None:
        line.heir = None
        line.heir_confirmed = None
        line.heir_refused = None
        self._books.drop_heir(line)
        for track in line.tracks:
            track.heir_held = []
        self._connections.release(heir, line)
        if heir.opened is not None and not heir.dead and line.subscription in heir.session.streams:
            heir.session.unsubscribe([line.subscription])
            self._state.flush(heir, urgent=False)
        self._state.open_gates(line)

    def _settle_if_done(self, link: Link | None) -> None:
        """End the hand-over once nothing but refused subscriptions is left on the old connection."""
        if link is None or link.heir is None or link.dead:
            return
        left = list(link.lines.values())
        if any(line.heir_refused is None for line in left):
            return
        state, heir = self._state, link.heir
        link.heir = None
        heir.elder = None
        if left:
            self._stay(link, heir, left)
        else:
            link.dead = True
            state.links.pop(link.conn, None)
            state.commands.append(Close(link.conn, "replaced"))
            text = f"connection {link.conn} was replaced by {heir.conn}: {link.reason}"
            state.say("rotated", count=len(heir.lines), text=text)
        if heir.conn in state.links:
            self._connections.remove_if_idle(heir)

    def _stay(self, link: Link, heir: Link, left: list[Line]) -> None:
        """Keep the old connection for what the new one is refused, and try again ever later while it stands."""
        state = self._state
        pause = state.refusal_pause(link.stayed)
        link.stayed += 1
        link.rotate_at = state.after(pause)
        words = left[0].heir_refused or ""
        for line in left:
            self._withdraw(line, heir)
        if heir.lines:
            state.say("rotated", count=len(heir.lines), text=f"to connection {heir.conn}: {link.reason}")
        text = f"connection {link.conn} stays for {len(left)} subscriptions, for {heir.conn} is refused them"
        state.say("disconnected", count=0, text=f"{text}; trying again in {pause:g} s", raw=words)
