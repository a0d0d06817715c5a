"""The hot path of a feed: one closure per connection takes its frames.

What needs no thought is done here, in place: an event of a confirmed subscription on the connection that carries it,
the very next trade, an update of a book. Everything else goes the long way round, through ``FeedCore``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias, cast

from unitape.errors import WireError
from unitape.feed.books import Books
from unitape.feed.continuity import trade_number
from unitape.feed.line import LineState, Link, Proof, Track
from unitape.feed.state import FeedState
from unitape.spi import DepthUpdate
from unitape_schemas import BookDelta, Candle, Event, TopBook, Trade

__all__ = ["Stamp", "Take", "intake"]

Take: TypeAlias = Callable[[bytes, bool], None]
"""Takes one message, and whether it came as text; its events go into the batch."""

Stamp: TypeAlias = Callable[[], tuple[int, int]]
"""Gives the wall clock and the monotonic clock. Asked at the first message after each renewal."""


def intake(  # noqa: C901 - what is inlined here would be a call per frame
    state: FeedState,
    link: Link,
    books: Books,
    batch: list[Event],
    beyond: Callable[[Link, Any], None],
    spoilt: Callable[[Link, Exception, bytes], None],
    stamp: Stamp,
) -> tuple[Take, Callable[[], None]]:
    """Return what takes the frames of one connection and puts their events into ``batch``, and what renews its stamp.

    ``beyond`` takes an output that is not plain, ``spoilt`` a message that cannot be understood; what they have to
    tell goes into ``FeedState.out``. One closure instead of methods: looking things up and calling on was two thirds
    of what a frame cost beside its decoding.
    """
    session = link.session
    on_frame = cast("Callable[[bytes, int], Sequence[Any]]", session.on_frame)
    most = state.limits.max_frame
    plain = state.tracks.plain
    trades = plain[Trade]
    detailed = state.tracks.detailed.get
    book_of = books.lines.get
    emit = batch.append
    active, nothing, by_number = LineState.ACTIVE, Proof.NONE, Proof.SEQUENCE
    remembered = (state.options.seen_ids + 1) // 2
    ts = mono = 0
    stamped = False

    def take(data: bytes, text: bool) -> None:  # noqa: C901 - as above
        nonlocal ts, mono, stamped
        if link.dead:
            return
        if not stamped:
            ts, mono = stamp()
            stamped = True
        link.heard = mono
        if len(data) > most:
            unread(WireError(f"larger than the {most} bytes that are taken", data), data)
            return
        try:
            outputs = on_frame(data, ts)
        except Exception as error:  # noqa: BLE001 - a fault in one reader must not end the feed
            unread(error, data)
            return
        if session.outbox:
            state.ts, state.mono = ts, mono
            state.flush(link, urgent=True)
        for output in outputs:
            kind = output.__class__
            if kind is Trade:
                try:
                    track = trades[output.symbol]
                except KeyError:
                    track = None
                if track is not None and track.gate is link:
                    proof = track.proof
                    if proof is by_number:
                        stream = track.line.stream
                        number = None if stream is None else stream.number
                        if number is None:
                            number = trade_number(output)
                        if number is not None and number == track.next:
                            track.next = number + 1
                            track.events += 1
                            track.latest = output
                            emit(output)
                            continue
                    elif proof is nothing or fresh(track, output):
                        track.events += 1
                        track.latest = output
                        emit(output)
                        continue
            elif kind is DepthUpdate:
                line = book_of(output.symbol)
                if line is not None and line.link is link and line.state is active and line.heir is None:
                    join = line.join
                    if join is not None:
                        events = join.update(output)
                        if join.want is None and len(events) == 1 and events[0].__class__ is BookDelta:
                            line.events += 1
                            emit(events[0])
                        else:
                            state.ts, state.mono = ts, mono
                            books.settle(line, join, events)
                            drain()
                        continue
            else:
                if kind is TopBook:
                    track = detailed((kind, output.symbol, output.depth))
                elif kind is Candle:
                    track = detailed((kind, output.symbol, output.interval))
                else:
                    try:
                        track = plain[kind][output.symbol]
                    except KeyError:
                        track = None
                # No other channel has numbers or ids that prove anything.
                if track is not None and track.gate is link:
                    track.events += 1
                    track.latest = output
                    emit(output)
                    continue
            state.ts, state.mono = ts, mono
            beyond(link, output)
            drain()

    def renew() -> None:
        nonlocal stamped
        stamped = False

    def unread(error: Exception, data: bytes) -> None:
        state.ts, state.mono = ts, mono
        spoilt(link, error, data)
        drain()

    def drain() -> None:
        if state.out:
            batch.extend(state.out)
            state.out = []

    def fresh(track: Track, trade: Any) -> bool:
        """Tell whether a trade's id was not seen lately, and remember it if so."""
        id_ = trade.id
        seen = track.seen
        if id_ is None or id_ in seen or id_ in track.seen_before:
            return False
        seen.add(id_)
        if len(seen) >= remembered:
            track.seen_before = seen
            track.seen = set()
        return True

    return take, renew
