"""Proves from checksums and sequence numbers that a tape is whole, or says what is missing.

Two things are proved apart. The file: every block's checksum, and whether the recorder finished. The wire: the frames
of each connection are decoded one by one and followed by their numbers, with nothing of the feed in between; what
does not follow is a break. Beside that stands what the feed delivered from them, and which gaps it spoke of.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeAlias

import msgspec
from msgspec import Struct

from unitape.errors import UnitapeError
from unitape.feed.inputs import Closed, Frame, Opened
from unitape.losses import CHANNEL_OF
from unitape.spi import Continuity, DepthUpdate, Fit, Instruments, Market
from unitape.tape.format import FeedHeader
from unitape.tape.player import Replay, Step, recorded_market
from unitape.tape.tape import Tape
from unitape_schemas import Candle, Channel, Event, Status, Trade

__all__ = ["StreamReport", "TapeReport", "Verifier", "verify"]

_Place: TypeAlias = tuple[int, int, Channel, str]
"""Feed, connection, channel and symbol: where numbers follow each other."""


class StreamReport(Struct):
    """What one channel of one symbol holds, and what its numbers prove."""

    venue: str
    market: str
    channel: Channel
    symbol: str
    interval: str | None
    proof: Continuity
    """What the venue numbers: ``sequence`` proves that nothing is missing, ``id`` and ``none`` do not."""
    events: int = 0
    """Events that the feed delivered."""
    messages: int = 0
    """Trades or book updates on the wire, overlapping connections counted each."""
    first_ts: int = 0
    """``ts_recv`` of the first event, nanoseconds."""
    last_ts: int = 0
    last_seq: int | str | None = None
    """Number of the last event: a book's update, a trade's id."""
    breaks: int = 0
    """Places on the wire where a number does not follow the one before it on the same connection."""
    missing: int = 0
    """Trades that are missing in those places; book updates cannot be counted."""
    told: int = 0
    """Gaps that the feed spoke of, a book that was lost and joined again included."""


class TapeReport(Struct):
    """What a tape holds and how whole it is."""

    path: str
    size: int
    records: int
    feeds: list[FeedHeader]
    streams: list[StreamReport]
    truncated_at: int | None
    """Where a killed recorder's tape ends; None when it finished."""
    damaged_at: list[int]
    """Bytes where damaged blocks begin; what they held is lost."""
    undecoded: int
    diverged: str | None
    """Where the replay first asked the venue for something else than the recording, None if nowhere."""

    @property
    def whole(self) -> bool:
        """True when the file is undamaged and no number is missing. A killed recorder's tape may be whole."""
        return not self.damaged_at and not self.undecoded and not any(s.breaks or s.told for s in self.streams)


def verify(path: str, *, market: Callable[[FeedHeader], Market] = recorded_market) -> TapeReport:
    """Read and replay a whole tape, and report.

    Raises:
        TapeError: the file is no tape.
        ConfigError: it was recorded at a venue that is not installed.
    """
    verifier = Verifier(Tape(path, repair=True), market=market)
    for _ in verifier.steps():
        pass
    return verifier.report()


class Verifier:
    """One pass over a tape that follows every number. Walk through ``steps``, then ask for the ``report``."""

    def __init__(self, tape: Tape, *, market: Callable[[FeedHeader], Market] = recorded_market) -> None:
        self._tape = tape
        self._replay = Replay(tape, market=market)
        self._decoders = {
            feed: found.codec(Instruments(tape.feeds[feed].instruments)).decode
            for feed, found in self._replay.markets.items()
        }
        self._streams: dict[tuple[int, Channel, str, str | None], StreamReport] = {}
        self._chains: dict[_Place, DepthUpdate | int] = {}

    def steps(self) -> Iterator[Step]:
        """Yield each step once its numbers have been followed."""
        for step in self._replay.steps():
            happened = step.input
            if isinstance(happened, Frame):
                self._frame(step.feed, happened)
            elif isinstance(happened, Closed | Opened):
                self._forget(step.feed, happened.conn)
            for event in step.events:
                self._delivered(step.feed, event)
            yield step

    def report(self) -> TapeReport:
        """Return what was found so far."""
        divergence = self._replay.divergence
        return TapeReport(
            str(self._tape.path),
            self._tape.size,
            self._tape.records_count,
            [msgspec.structs.replace(header, instruments=[]) for header in self._tape.feeds],
            list(self._streams.values()),
            self._tape.truncated_at,
            [error.offset for error in self._tape.errors if error.offset is not None],
            sum(core.undecoded for core in self._replay.cores.values()),
            None if divergence is None else f"recorded {divergence.recorded}, replayed {divergence.replayed}",
        )

    def _stream(self, feed: int, channel: Channel, symbol: str, interval: str | None = None) -> StreamReport:
        key = (feed, channel, symbol, interval)
        found = self._streams.get(key)
        if found is None:
            market = self._replay.markets[feed]
            spec = market.channels.get(channel)
            proof: Continuity = spec.continuity if spec is not None else "none"
            found = StreamReport(market.venue, market.name, channel, symbol, interval, proof)
            self._streams[key] = found
        return found

    # The wire

    def _frame(self, feed: int, frame: Frame) -> None:
        try:
            outputs = self._decoders[feed](frame.data, frame.ts)
        except UnitapeError:
            # The replay counts it; a frame that makes sense only on its connection is no loss here.
            return
        for output in outputs:
            if isinstance(output, DepthUpdate):
                self._update(feed, frame.conn, output)
            elif isinstance(output, Trade):
                self._trade(feed, frame.conn, output)

    def _forget(self, feed: int, conn: int) -> None:
        """A connection begins or ends: its numbers do not follow those before."""
        for key in [key for key in self._chains if key[:2] == (feed, conn)]:
            del self._chains[key]

    def _update(self, feed: int, conn: int, update: DepthUpdate) -> None:
        key: _Place = (feed, conn, "book", update.symbol)
        stream = self._stream(feed, "book", update.symbol)
        stream.messages += 1
        last = self._chains.get(key)
        if not update.snapshot and isinstance(last, DepthUpdate):
            rule = self._replay.markets[feed].book_rule
            fit = rule.join(last.seq, update) if last.snapshot else rule.follow(last, update)
            if fit is Fit.STALE:
                return
            stream.breaks += fit is Fit.GAP
        self._chains[key] = update

    def _trade(self, feed: int, conn: int, trade: Trade) -> None:
        stream = self._stream(feed, "trades", trade.symbol)
        stream.messages += 1
        if stream.proof != "sequence" or trade.id is None or not trade.id.isdigit():
            return
        key: _Place = (feed, conn, "trades", trade.symbol)
        number, last = int(trade.id), self._chains.get(key)
        if isinstance(last, int):
            if number <= last:
                return
            stream.breaks += number != last + 1
            stream.missing += number - last - 1
        self._chains[key] = number

    # What the feed made of it

    def _delivered(self, feed: int, event: Event) -> None:
        if isinstance(event, Status):
            if event.code == "gap":
                for (number, channel, symbol, _), stream in self._streams.items():
                    named = event.subscription is None or event.subscription.startswith(channel)
                    stream.told += number == feed and named and event.symbol in ("", symbol)
            return
        interval = event.interval if isinstance(event, Candle) else None
        stream = self._stream(feed, CHANNEL_OF[type(event)], event.symbol, interval)
        stream.events += 1
        stream.first_ts = stream.first_ts or event.ts_recv
        stream.last_ts = event.ts_recv
        last: object = event.id if isinstance(event, Trade) else getattr(event, "seq", None)
        if isinstance(last, int | str):
            stream.last_seq = last
