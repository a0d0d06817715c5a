"""Connections: placing subscriptions on them, making them, losing them, making them again."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from unitape.feed.books import Books
from unitape.feed.continuity import TradeFlow
from unitape.feed.inputs import Close, Connect
from unitape.feed.line import NANOS, Line, LineState, Link, Verdict
from unitape.feed.state import FeedState

__all__ = ["CUT", "Connections"]

CUT: Final = "the connection was cut"
"""Why something may be missing after an unplanned end."""

GOLDEN: Final = 0.6180339887498949
"""Multiples of it, taken modulo 1, spread evenly however many there are."""


class Connections:
    """Keeps every subscription on a connection of its route, within the market's limits."""

    def __init__(self, state: FeedState, flow: TradeFlow, books: Books) -> None:
        self._state = state
        self._flow = flow
        self._books = books
        self._made = 0

    def make(self, route: str, attempt: int = 0, elder: Link | None = None) -> Link:
        """Ask for a new connection."""
        state = self._state
        session = state.market.session(state.instruments, route)
        link = Link(self._made, route, session, attempt, elder)
        self._made += 1
        link.heard = state.mono
        state.links[link.conn] = link
        state.commands.append(Connect(link.conn, route, attempt))
        return link

    def place(self, line: Line) -> Link | None:
        """Put a subscription on a connection with room, or on a new one; None when the venue allows no more."""
        state = self._state
        line.cost = state.market.cost(line.subscription)
        capacity = state.limits.subscriptions_per_connection
        for link in state.links.values():
            fits = link.route == line.spec.route and link.used + line.cost <= capacity
            patient = link.refusals < state.options.asks_per_connection
            if fits and patient and link.heir is None and not link.dead and state.operations_left(link):
                break
        else:
            most = state.limits.connections_per_host
            if most is not None and len(state.links) >= most:
                return None
            link = self.make(line.spec.route)
        self.carry(link, line)
        line.link = link
        line.asks = 0
        return link

    def ask(self, link: Link, lines: Sequence[Line]) -> None:
        """Subscribe on an open connection. What was refused before goes apart, in ever smaller groups.

        One subscription that the venue will not have must not take for ever those that were asked with it.
        """
        groups: dict[int, list[Line]] = {}
        for line in lines:
            groups.setdefault(line.refusals, []).append(line)
        for refusals, group in groups.items():
            size = max(1, len(group) >> max(0, refusals - 1))
            for start in range(0, len(group), size):
                self._state.ask(link, group[start : start + size])

    def carry(self, link: Link, line: Line) -> None:
        """Count a subscription among those of a connection."""
        if line.subscription not in link.lines:
            link.lines[line.subscription] = line
            link.used += line.cost

    def release(self, link: Link, line: Line) -> None:
        """Take a subscription off a connection."""
        if link.lines.pop(line.subscription, None) is not None:
            link.used -= line.cost

    def opened(self, link: Link) -> None:
        """A connection stands."""
        state = self._state
        link.opened = link.heard = state.mono
        lifetime = state.limits.lifetime
        if lifetime is not None:
            spread = 1.0 + 0.5 * (link.conn * GOLDEN % 1.0)
            link.rotate_at = state.after(lifetime * (1.0 - state.options.rotate_share * spread))
        state.say("connected", text=f"connection {link.conn} to {link.route or 'the venue'}")
        link.session.on_open()
        state.flush(link, urgent=True)
        self.ask(link, list(link.lines.values()))

    def give_up(self, link: Link, text: str) -> None:
        """Close a connection from our side. Its subscriptions are the caller's to move."""
        link.dead = True
        self._state.links.pop(link.conn, None)
        self._state.commands.append(Close(link.conn, text))

    def remove_if_idle(self, link: Link) -> None:
        """Close a connection that carries nothing."""
        if link.lines or link.elder is not None or link.heir is not None or link.dead:
            return
        if link.conn in self._state.links:
            self.give_up(link, "no subscriptions left")
            if link.opened is not None:
                self._state.say("disconnected", text=f"connection {link.conn}: no subscriptions left", count=0)

    def lost(self, link: Link, text: str, *, raw: str | None = None) -> None:
        """A connection ended, or could not be made: tell it, and make another for what it carried."""
        state = self._state
        link.dead = True
        state.links.pop(link.conn, None)
        lines = [line for line in link.lines.values() if line.link is link]
        verb = "could not be made" if link.opened is None else "ended"
        state.say("disconnected", count=len(lines), text=f"connection {link.conn} {verb}: {text}", raw=raw)
        self.remake(link, lines)

    def remake(self, link: Link, lines: Iterable[Line]) -> None:
        """Make a new connection for the subscriptions of one that is gone."""
        state = self._state
        stood = link.opened is not None and state.mono - link.opened >= state.options.stable_after * NANOS
        attempt = 1 if stood else link.attempt + 1
        waiting: list[Line] = []
        for line in lines:
            self.cut(line)
            if not line.established and state.mono >= line.give_up:
                self.reject(line, "no connection to the venue in time")
            else:
                waiting.append(line)
        if waiting:
            successor = self.make(link.route, attempt)
            for line in waiting:
                self.carry(successor, line)
                line.link = successor

    def activate(self, line: Line, *, raw: str | None = None) -> None:
        """The venue confirmed a subscription, or its data came."""
        state = self._state
        line.deadline = None
        again = line.state is not LineState.ACTIVE
        if again:
            line.state = LineState.ACTIVE
            if not line.established:
                line.established = True
                state.verdicts.append(Verdict(line.subscription))
            line.level = line.asks = line.refusals = 0
            line.heard = state.mono
            state.say("subscribed", line, text="confirmed" if raw is not None else "data came", raw=raw)
            self._books.start(line)
        if line.doubt and (again or raw is None):
            self._flow.interrupted(line, line.doubt)
            line.doubt = ""
        state.open_gates(line)

    def cut(self, line: Line) -> None:
        """A subscription lost its connection without another that carries it."""
        line.state = LineState.ASKED
        line.deadline = None
        line.stream = None
        line.doubt = CUT if line.established else ""
        for track in line.tracks:
            track.gate = None
            track.candle = None
        self._books.reset(line)

    def reject(self, line: Line, text: str, *, raw: str | None = None, code: str | None = None) -> None:
        """Tell that a subscription is refused, and forget it: it is not tried again."""
        self._state.say("rejected", line, text=text, raw=raw)
        self._state.verdicts.append(Verdict(line.subscription, text, code))
        self.forget(line)

    def forget(self, line: Line) -> None:
        """Drop a subscription everywhere. What the venue still sends of it is unsubscribed."""
        state = self._state
        state.lines.pop(line.subscription, None)
        state.tracks.remove(line)
        self._books.stop(line)
        for track in line.tracks:
            track.gate = None
            state.drop_fetches(track)
        state.drop_fetches(line)
        self.detach(line)

    def detach(self, line: Line) -> None:
        """Take a subscription off its connections, which are told unless they refused it themselves."""
        state = self._state
        for link in (line.link, line.heir):
            if link is None:
                continue
            self.release(link, line)
            if link.opened is not None and not link.dead and line.subscription in link.session.streams:
                link.session.unsubscribe([line.subscription])
                state.flush(link, urgent=False)
            self.remove_if_idle(link)
        line.link = line.heir = line.stream = None

    def tick(self) -> None:
        """Refuse what was never confirmed and cannot be asked for because no connection comes about."""
        state = self._state
        for link in list(state.links.values()):
            if link.opened is None and link.attempt:
                for line in list(link.lines.values()):
                    if line.link is link and not line.established and state.mono >= line.give_up:
                        self.reject(line, "no connection to the venue in time")
