"""Trades without silent loss: duplicates removed, gaps counted, and filled by REST where the venue lets us."""

from __future__ import annotations

from typing import Final

from msgspec import structs

from unitape.errors import UnitapeError
from unitape.feed.line import NANOS, Line, Proof, Track
from unitape.feed.state import FeedState
from unitape_schemas import Candle, MarketEvent, Trade

__all__ = ["TradeFlow", "proof_of", "trade_number"]


def proof_of(line: Line) -> Proof:
    """Return what proves the continuity of a subscription's events, the joined book aside."""
    if line.subscription.channel != "trades":
        return Proof.NONE
    return {"sequence": Proof.SEQUENCE, "id": Proof.ID, "none": Proof.NONE}[line.spec.continuity]


def trade_number(trade: Trade) -> int | None:
    """Return the trade's id as a number, None when it is not one."""
    try:
        return int(trade.id) if trade.id is not None else None
    except ValueError:
        return None


EACH_COUNTS: Final = frozenset({"trades", "liquidations"})
"""Channels whose every event matters; the others carry a state, which the next event tells whole."""


class TradeFlow:
    """Takes trades in the order of their arrival and emits them in the order of the venue, each once."""

    def __init__(self, state: FeedState) -> None:
        self._state = state

    def admit(self, track: Track, event: MarketEvent) -> None:
        """Emit an event of the connection that carries this track, unless it is known already or must wait."""
        if not isinstance(event, Trade):
            if isinstance(event, Candle) and not track.line.spec.closes:
                event = self._close_before(track, event)
            self._emit(track, event)
        elif track.proof is Proof.NONE:
            self._emit(track, event)
        elif track.held is not None:
            self._hold(track, event)
        elif track.proof is Proof.SEQUENCE:
            self._by_number(track, event)
        else:
            self._by_id(track, event)

    def interrupted(self, line: Line, reason: str) -> None:
        """Take note that events come again after a doubt: a loss that no number can tell is told as possible."""
        channel = line.subscription.channel
        if channel not in EACH_COUNTS:
            return
        tracks = [track for track in line.tracks if track.proof is not Proof.SEQUENCE or track.next is None]
        if line.tracks and not tracks:
            return
        asking = [track for track in tracks if line.spec.refill and self._can_ask(track)]
        text = f"{reason}; {channel} may be missing" + (", asking for them" if asking else "")
        self._state.say("gap", line, count=None, text=text)
        for track in tracks:
            track.gaps += 1
        for track in asking:
            if isinstance(track.latest, Trade) and track.latest.id is not None:
                self._ask(track, track.latest.id, 0)

    @staticmethod
    def _can_ask(track: Track) -> bool:
        latest = track.latest
        known = isinstance(latest, Trade) and latest.id is not None
        return known and track.proof is Proof.ID and track.held is None

    def tick(self, track: Track) -> None:
        """End a refill that takes too long; tell unexpected duplicates, once per tick."""
        if track.held is not None and self._state.mono >= track.held_until:
            self._state.say("gap", track.line, count=None, text="the missing trades did not come in time")
            self._release(track)
        if track.unsaid_dups:
            self._state.say("duplicate", track.line, count=track.unsaid_dups, text="trades came twice and were removed")
            track.unsaid_dups = 0

    def knows(self, track: Track, trade: Trade) -> bool:
        """Tell whether this trade was emitted already, as far as is remembered."""
        if track.proof is Proof.SEQUENCE:
            number = trade_number(trade)
            return number is not None and track.next is not None and number < track.next
        return trade.id in track.seen or trade.id in track.seen_before

    def _emit(self, track: Track, event: MarketEvent) -> None:
        track.latest = event
        track.events += 1
        self._state.out.append(event)

    def _close_before(self, track: Track, candle: Candle) -> Candle:
        """Where the wire has no closed flag: send the last state of a candle again, closed, when a later one opens."""
        last, known = track.candle, track.latest
        if last is not None and candle.ts_open > last.ts_open:
            if not last.closed:
                self._emit(track, structs.replace(last, closed=True, ts_recv=candle.ts_recv))
        elif last is None and isinstance(known, Candle) and not known.closed and candle.ts_open > known.ts_open:
            self._state.say("gap", track.line, count=None, text="the end of a candle was missed")
            track.gaps += 1
        elif last is not None and candle.ts_open < last.ts_open:
            return structs.replace(candle, closed=True)
        track.candle = candle
        return candle

    def _duplicate(self, track: Track) -> None:
        track.dups += 1
        if self._state.mono >= track.overlap_until:
            track.unsaid_dups += 1

    def _by_number(self, track: Track, trade: Trade) -> None:
        number = trade_number(trade)
        wanted = track.next
        if number is None:
            self._state.say("gap", track.line, count=None, text=f"trade id {trade.id!r} is not a number")
            track.gaps += 1
            self._emit(track, trade)
        elif wanted is None or number == wanted:
            self._take_number(track, trade, number)
        elif number > wanted:
            self._missing(track, trade, number, number - wanted)
        elif self._restarted(track, trade):
            text = f"trade ids started again at {number} after {wanted - 1}"
            self._state.say("gap", track.line, count=None, text=text)
            track.gaps += 1
            self._take_number(track, trade, number)
        else:
            self._duplicate(track)

    def _take_number(self, track: Track, trade: Trade, number: int) -> None:
        track.next = number + 1
        self._emit(track, trade)

    def _restarted(self, track: Track, trade: Trade) -> bool:
        latest = track.latest
        if latest is None or not trade.ts_event:
            return False
        return trade.ts_event > latest.ts_event + round(self._state.options.restart_margin * NANOS)

    def _missing(self, track: Track, trade: Trade, number: int, count: int) -> None:
        track.gaps += count
        refill = track.line.spec.refill
        ending = ", asking for them" if refill else ""
        text = f"trades {track.next} to {number - 1} are missing{ending}"
        self._state.say("gap", track.line, count=count, text=text)
        if refill and track.next is not None and self._ask(track, str(track.next - 1), 0):
            self._hold(track, trade)
        else:
            self._take_number(track, trade, number)

    def _by_id(self, track: Track, trade: Trade) -> None:
        if trade.id is not None:
            if self.knows(track, trade):
                self._duplicate(track)
                return
            self._remember(track, trade.id)
        self._emit(track, trade)

    def _remember(self, track: Track, trade_id: str) -> None:
        track.seen.add(trade_id)
        if len(track.seen) * 2 >= self._state.options.seen_ids:
            track.seen_before = track.seen
            track.seen = set()

    def _hold(self, track: Track, trade: Trade) -> None:
        if track.held is None:
            track.held = []
        track.held.append(trade)
        if len(track.held) > self._state.options.held_trades:
            self._state.say("gap", track.line, count=None, text="too many trades wait for the missing ones")
            self._release(track)

    def _ask(self, track: Track, after: str, asked: int) -> bool:
        """Ask for the trades after an id; False when the market cannot say or too many requests were made."""
        state = self._state
        if asked >= state.options.refill_pages or track.latest is None:
            return False
        try:
            query = state.rest.trades_since(track.latest.symbol, after)
        except UnitapeError:
            return False
        state.fetch(
            track, query, lambda trades: self._refilled(track, trades), lambda error: self._failed(track, error)
        )
        track.fetched = asked + 1
        track.gate = None
        if track.held is None:
            track.held = []
            track.held_until = state.after(state.options.refill_within)
        return True

    def _refilled(self, track: Track, trades: list[Trade]) -> None:
        if track.held is None:
            return
        if track.proof is Proof.ID:
            self._refilled_ids(track, trades)
        else:
            self._refilled_numbers(track, trades)

    def _refilled_numbers(self, track: Track, trades: list[Trade]) -> None:
        first_held = next((n for n in map(trade_number, track.held or ()) if n is not None), None)
        low = track.next
        if low is None:
            self._release(track)
            return
        found: dict[int, Trade] = {}
        for trade in trades:
            number = trade_number(trade)
            if number is not None and number >= low and (first_held is None or number < first_held):
                found[number] = trade
        if found:
            self._state.say("recovered", track.line, count=len(found), text="the trades that follow were asked for")
        for number in sorted(found):
            self._take_number(track, found[number], number)
        complete = first_held is None or (track.next or 0) >= first_held
        if complete or not found or not self._ask(track, str((track.next or 1) - 1), track.fetched):
            self._release(track)

    def _refilled_ids(self, track: Track, trades: list[Trade]) -> None:
        waiting = {trade.id for trade in track.held or ()}
        found: list[Trade] = []
        for trade in trades:
            if trade.id in waiting:
                break
            if not self.knows(track, trade):
                found.append(trade)
        if found:
            self._state.say("recovered", track.line, count=len(found), text="the trades that follow were asked for")
        for trade in found:
            self._by_id(track, trade)
        self._release(track)

    def _failed(self, track: Track, error: UnitapeError) -> None:
        if track.held is not None:
            self._state.say("gap", track.line, count=None, text=f"the missing trades cannot be had: {error}")
            self._release(track)

    def _release(self, track: Track) -> None:
        """Let the held trades go. What is still missing was counted when it was noticed, so it is not told again."""
        held = track.held or []
        self._state.drop_fetches(track)
        track.held = None
        for position, trade in enumerate(held):
            if track.held is not None:
                self._hold(track, trade)
                continue
            number = trade_number(trade) if track.proof is Proof.SEQUENCE else None
            if position == 0 and number is not None and number >= (track.next or 0):
                self._take_number(track, trade, number)
            else:
                self.admit(track, trade)
        self._state.open_gates(track.line)
