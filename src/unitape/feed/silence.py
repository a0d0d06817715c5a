"""Silence is noticed per subscription: told, then asked again, then the connection is replaced."""

from __future__ import annotations

from unitape.feed.connections import Connections
from unitape.feed.line import NANOS, Line, LineState, Link
from unitape.feed.refusals import Refusals
from unitape.feed.rotation import Rotation
from unitape.feed.state import FeedState

__all__ = ["Silence"]


def _patience(level: int) -> int:
    """Return after how many times its bound a silence is met with the next step: 1, 2, 3, 8, 16, 32 and so on."""
    return level + 1 if level < 3 else 1 << min(level, 32)


class Silence:
    """Watches every subscription of one feed."""

    def __init__(self, state: FeedState, connections: Connections, rotation: Rotation, refusals: Refusals) -> None:
        self._state = state
        self._connections = connections
        self._rotation = rotation
        self._refusals = refusals

    def tick(self) -> list[Link]:
        """Take the next step for everything that is silent. Returns connections that are silent as a whole."""
        silent: list[Link] = []
        for line in list(self._state.lines.values()):
            link = line.link
            if link is None or link.dead:
                continue
            self._listen(line)
            if line.state is LineState.ASKED:
                self._unconfirmed(line, link)
            elif line.heir is None and self._step(line, link) and link not in silent:
                silent.append(link)
        return silent

    def unanswered(self, link: Link) -> bool:
        """Tell whether a connection is half open: it owes an answer, and not one frame or ping came since."""
        state = self._state
        if link.probed is None or not state.acknowledges or link.heard >= link.probed:
            return False
        return state.mono >= link.answer_by

    def _listen(self, line: Line) -> None:
        # The stream's mark is wall time, which may jump; that it changed is what counts.
        stream = line.stream
        if stream is not None and stream.touched != line.touched:
            line.touched = stream.touched
            if line.level and line.state is LineState.ACTIVE:
                seconds = (self._state.mono - line.heard) // NANOS
                self._state.say("subscribed", line, text=f"data again after about {seconds} s")
                line.level = 0
                if line.doubt:
                    self._connections.activate(line)
            line.heard = self._state.mono

    def _unconfirmed(self, line: Line, link: Link) -> None:
        state = self._state
        if line.deadline is None or state.mono < line.deadline or line.heir is not None:
            return
        if not line.established:
            self._connections.reject(line, f"no confirmation and no data within {state.limits.confirm_within:g} s")
            return
        if line.asks >= state.options.asks_per_connection or not state.operations_left(link):
            self._refusals.suspend(line, "not confirmed again on this connection")
            return
        line.asks += 1
        if line.level == 0:
            line.level = 1
            state.say("stale", line, text="not confirmed again on the new connection")
        pause = state.limits.confirm_within * 2.0 ** min(line.asks, 16)
        state.ask(link, [line])
        line.deadline = state.after(min(pause, state.options.ask_again_at_most_every))

    def _step(self, line: Line, link: Link) -> bool:
        """Take one step against a silence; True when the whole connection is silent and must go."""
        state = self._state
        stale_after = line.spec.stale_after
        if stale_after is None:
            return False
        if state.mono - line.heard < round(stale_after * NANOS) * _patience(line.level):
            return False
        line.level += 1
        if line.level == 1:
            state.say("stale", line, text=f"no data for {stale_after:g} s")
        elif line.level % 2 == 0:
            if state.operations_left(link):
                state.ask_again(link, line)
                line.doubt = line.doubt or "it was silent until it was asked for again"
                state.open_gates(line)
        else:
            return self._replace(link)
        return False

    def _replace(self, link: Link) -> bool:
        state = self._state
        others = [x for x in link.lines.values() if x.link is link]
        if all(x.level >= 2 for x in others if x.spec.stale_after is not None) and self._quiet(link):
            return True
        # Others are well on this connection: they must not suffer, so the new one is made before the old one goes.
        last = link.rotated_for_silence
        every = round(state.options.stale_rotation_every * NANOS)
        if last is None or state.mono - last >= every:
            link.rotated_for_silence = state.mono
            self._rotation.begin(link, "a subscription stayed silent")
            if link.heir is not None:
                link.heir.rotated_for_silence = state.mono
        return False

    def _quiet(self, link: Link) -> bool:
        """Tell whether no subscription without a staleness bound had data lately, either."""
        free = [x for x in link.lines.values() if x.link is link and x.spec.stale_after is None]
        bound = round(self._state.market.heartbeat.silence * NANOS)
        return all(self._state.mono - x.heard >= bound for x in free)
