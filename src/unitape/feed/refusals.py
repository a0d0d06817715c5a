"""Subscriptions that were served once and that the venue now refuses or leaves unanswered: asked again, ever later.

What was never confirmed and is refused ends there: the user asked for something that does not exist. What was
confirmed before is another matter: on a new connection the venue may refuse it for a moment, and a feed that runs for
months must not lose it to that. It is taken off the connection, told as stale, and asked again with growing pauses,
in ever smaller groups, on a connection where not much was refused yet: venues hang up on those who insist.
"""

from __future__ import annotations

from unitape.feed.connections import Connections
from unitape.feed.line import Line, LineState
from unitape.feed.state import FeedState

__all__ = ["Refusals"]


class Refusals:
    """Decides what becomes of refused subscriptions, and asks again for those that were served before."""

    def __init__(self, state: FeedState, connections: Connections) -> None:
        self._state = state
        self._connections = connections

    def refused(self, line: Line, text: str, *, raw: str | None = None, code: str | None = None) -> None:
        """The venue refuses a subscription on the connection that carries it."""
        state = self._state
        if not line.established:
            self._connections.reject(line, text, raw=raw, code=code)
        elif line.state is LineState.ACTIVE or line.heir is not None:
            # It was asked for once more while it was served, or while a successor asks, too: the watch for silence
            # and the hand-over find out what the refusal meant.
            state.say("stale", line, text=f"refused: {text}", raw=raw)
            line.level = max(line.level, 1)
            line.deadline = state.mono if line.state is LineState.ASKED else None
        else:
            self.suspend(line, f"refused: {text}", raw=raw)

    def suspend(self, line: Line, text: str, *, raw: str | None = None) -> None:
        """Take a subscription off its connection and ask for it again after a while."""
        state = self._state
        pause = state.refusal_pause(line.refusals)
        line.refusals += 1
        line.ask_at = state.after(pause)
        line.level = max(line.level, 1)
        line.deadline = None
        state.say("stale", line, text=f"{text}; asking again in {pause:g} s", raw=raw)
        self._connections.detach(line)

    def tick(self) -> None:
        """Ask for what is due."""
        state = self._state
        asked: dict[int, list[Line]] = {}
        for line in list(state.lines.values()):
            if line.ask_at is None or state.mono < line.ask_at:
                continue
            line.ask_at = None
            link = self._connections.place(line)
            if link is None:
                self.suspend(line, f"more than the {state.limits.connections_per_host} connections the venue allows")
            elif link.opened is not None:
                asked.setdefault(link.conn, []).append(line)
        for conn, lines in asked.items():
            self._connections.ask(state.links[conn], lines)
