"""Channels that the venue serves over HTTP only: asked for at an interval, delivered like a stream."""

from __future__ import annotations

from unitape.errors import RateLimited, UnitapeError, VenueError
from unitape.feed.connections import Connections
from unitape.feed.line import NANOS, Line, LineState
from unitape.feed.state import FeedState
from unitape_schemas import Event

__all__ = ["Polls"]


class Polls:
    """Asks for every polled subscription of one feed when it is due."""

    def __init__(self, state: FeedState, connections: Connections) -> None:
        self._state = state
        self._connections = connections

    def start(self, line: Line) -> None:
        """Ask for the first time, at once."""
        self._ask(line)

    def tick(self) -> None:
        """Ask for what is due, tell what is stale."""
        state = self._state
        for line in list(state.lines.values()):
            if line.spec.route:
                continue
            if not line.established and state.mono >= line.give_up:
                self._connections.reject(line, f"no answer within {state.limits.confirm_within:g} s")
                continue
            if not line.polling and state.mono >= line.poll_at:
                self._ask(line)
            bound = line.spec.stale_after
            if bound is not None and line.level == 0 and state.mono - line.heard >= round(bound * NANOS):
                line.level = 1
                state.say("stale", line, text=f"no answer for {bound:g} s")

    def _ask(self, line: Line) -> None:
        state = self._state
        try:
            query = state.rest.poll(line.subscription)
        except UnitapeError as error:
            self._connections.reject(line, str(error))
            return
        line.polling = True
        line.poll_at = state.after(line.spec.poll or 1.0)
        state.fetch(line, query, lambda events: self._answered(line, events), lambda error: self._failed(line, error))

    def _answered(self, line: Line, events: list[Event]) -> None:
        state = self._state
        line.polling = False
        line.failures = 0
        line.heard = state.mono
        if line.level:
            line.level = 0
            state.say("subscribed", line, text="answers again")
        if line.state is LineState.ASKED:
            self._connections.activate(line)
        for track in line.tracks:
            track.events += len(events)
        state.out.extend(events)

    def _failed(self, line: Line, error: UnitapeError) -> None:
        state = self._state
        line.polling = False
        line.failures += 1
        if not line.established and isinstance(error, VenueError) and not error.retryable:
            self._connections.reject(line, "the venue refuses it", raw=error.text)
            return
        delay = state.retry_delay(line.failures)
        if isinstance(error, RateLimited):
            delay = max(delay, error.retry_after or 0.0)
            state.say("rate_limited", line, text=str(error), raw=error.text)
        line.poll_at = max(line.poll_at, state.after(delay))
