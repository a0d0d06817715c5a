"""A tape as an adapter: what was recorded arrives again, at the recorded speed, faster, or step by step."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import anyio
from anyio.abc import TaskGroup
from anyio.lowlevel import checkpoint

from unitape.adapter import ConnectionPlan, Rejection, Sink, SubscribeResult
from unitape.books import OrderBook
from unitape.buffer import Buffer
from unitape.clock import Clock
from unitape.errors import ConfigError
from unitape.feed.inputs import Subscribe
from unitape.spi import Market
from unitape.streaming import EventStream, EventStreams
from unitape.tape.format import FeedHeader
from unitape.tape.player import Replay, Step, recorded_market
from unitape.tape.selection import Selection
from unitape.tape.tape import Tape
from unitape_schemas import Event, Instrument, Status, StatusCode, Subscription

__all__ = ["TapeAdapter"]

BUFFERED: Final = 65_536
"""Events that a reader of ``stream`` may be behind; the tape stops at half of it."""
HOLD_LIMIT: Final = 1e9
"""Seconds for which a tape may be stopped: no venue waits for an answer, so as long as anyone likes."""
TURN: Final = 256
"""Events after which a replay without pauses lets the consumers run."""


class TapeAdapter:
    """Plays the feeds of one venue on a tape, as if they were live.

    ``speed`` is a factor of the recorded time: 1 as recorded, 10 ten times as fast, ``math.inf`` without pauses, 0
    only by ``step``. Time is the event loop's, so a virtual clock moves it. Playing begins with the first
    subscription; only what is subscribed to is delivered. ``hold`` stops the tape, so nothing overflows.

    With a ``clock`` each input waits until the clock's wall time is the recorded one instead, so that several tapes
    and whatever else runs by that clock share one timeline; ``speed`` has no meaning then.

    ``finished`` is set at the end of the tape, after a ``Status(disconnected)`` that says how the tape ended.
    """

    def __init__(
        self,
        tape: Tape | str | Path,
        *,
        venue: str | None = None,
        speed: float = 1.0,
        market: Callable[[FeedHeader], Market] = recorded_market,
        clock: Clock | None = None,
        feeds: Collection[int] | None = None,
    ) -> None:
        """Open a tape; ``venue`` is needed where it holds several, ``feeds`` plays only these of its feeds.

        Raises:
            ConfigError: the tape holds no such venue, or several and none is named; or a negative speed.
            TapeError: it cannot be read.
        """
        if not speed >= 0:
            raise ConfigError(f"the speed of a replay must be 0 or more, not {speed}")
        self.tape = tape if isinstance(tape, Tape) else Tape(tape)
        self.finished = anyio.Event()
        self._venue = _venue_of(self.tape, venue)
        mine = [feed for feed, header in enumerate(self.tape.feeds) if header.venue == self._venue]
        self.replay = Replay(self.tape, market=market, feeds=[n for n in mine if feeds is None or n in feeds])
        self._speed = 1.0 if clock is not None else speed
        self._clock = clock
        self._steps: Iterator[Step] = self.replay.steps()
        self._wanted = Selection()
        self._recorded: frozenset[Subscription] | None = None
        self._sinks: list[Sink] = []
        self._tasks: TaskGroup | None = None
        self._playing = False
        self._resumed: anyio.Event | None = None
        self._holders: set[object] = set()
        self._streams = EventStreams(self.attach, self.detach)
        self._ts = 0

    @property
    def venue(self) -> str:
        """The venue that was recorded."""
        return self._venue

    @property
    def subscriptions(self) -> frozenset[Subscription]:
        """Everything that was subscribed to while recording. The first use reads the whole tape."""
        if self._recorded is None:
            feeds = self.replay.cores
            self._recorded = frozenset(
                subscription
                for feed, record in self.tape.records()
                if feed in feeds and isinstance(record, Subscribe)
                for subscription in record.subscriptions
            )
        return self._recorded

    @property
    def hold_limit(self) -> float:
        """Seconds for which ``hold`` may stop the tape."""
        return HOLD_LIMIT

    async def __aenter__(self) -> Self:
        self._tasks = await anyio.create_task_group().__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        tasks, self._tasks = self._tasks, None
        if tasks is None:
            return None
        tasks.cancel_scope.cancel()
        try:
            return await tasks.__aexit__(kind, value, traceback)
        finally:
            self._streams.close()

    def owns(self, subscription: Subscription) -> bool:
        """Tell whether the venue's symbols have this form."""
        if subscription.market is not None:
            return any(subscription.market in (m.name, *m.aliases) for m in self.replay.markets.values())
        return any(market.owns(subscription.symbol) for market in self.replay.markets.values())

    async def subscribe(self, subscriptions: Sequence[Subscription]) -> SubscribeResult:
        """Deliver these from now on, and begin to play. What was not recorded is rejected."""
        await checkpoint()
        confirmed = tuple(s for s in subscriptions if s in self.subscriptions)
        rejected = tuple(
            Rejection(s, "it was not subscribed to when this tape was recorded")
            for s in subscriptions
            if s not in self.subscriptions
        )
        self._deliver([self._status("rejected", item.text, item.subscription) for item in rejected])
        for subscription in confirmed:
            self._wanted.add(subscription)
            if self._playing and subscription.channel == "book":
                book = self.book(subscription.symbol)
                self._deliver([] if book is None or book.stale else [book.snapshot()])
        if confirmed:
            self._play()
        return SubscribeResult(self._venue, confirmed, rejected)

    async def unsubscribe(self, subscriptions: Sequence[Subscription]) -> None:
        """Deliver these no longer; the tape plays on."""
        await checkpoint()
        for subscription in subscriptions:
            self._wanted.discard(subscription)

    def plan(self, subscriptions: Sequence[Subscription]) -> list[ConnectionPlan]:
        """Return nothing: a tape opens no connection."""
        return []

    def attach(self, sink: Sink) -> None:
        """Deliver every further event to this sink, too."""
        self._sinks = [*self._sinks, sink]

    def detach(self, sink: Sink) -> None:
        """Stop delivering to this sink."""
        self._sinks = [known for known in self._sinks if known is not sink]

    def state(self) -> list[Event]:
        """Return the latest status of each subscription, and a snapshot of each book."""
        return [event for core in self.replay.cores.values() for event in core.current() if event in self._wanted]

    def book(self, symbol: str) -> OrderBook | None:
        """Return the book of a symbol as far as the tape has come, or None."""
        books = (core.book(symbol) for core in self.replay.cores.values())
        return next((book for book in books if book is not None), None)

    def instrument(self, symbol: str) -> Instrument | None:
        """Return an instrument as it was when it was recorded."""
        for header in self.tape.feeds:
            if header.venue == self._venue:
                for one in header.instruments:
                    if one.symbol == symbol:
                        return one
        return None

    def hold(self, held: bool) -> None:
        """Stop the tape, or let it go on from there. It stands still while a reader of ``stream`` holds it, too."""
        self._hold(self, held)

    def _hold(self, holder: object, held: bool) -> None:
        if held:
            self._holders.add(holder)
        else:
            self._holders.discard(holder)
        if self._holders and self._resumed is None:
            self._resumed = anyio.Event()
        elif not self._holders and self._resumed is not None:
            self._resumed.set()
            self._resumed = None

    def stream(self) -> EventStream:
        """Return what is delivered from now on, until the tape ends. The tape waits for a slow reader."""
        reader = object()
        buffer = Buffer(
            capacity=BUFFERED,
            overflow="block",
            name=f"{self._venue} tape",
            pressure=lambda pressed: self._hold(reader, pressed),
        )
        if self.finished.is_set():
            buffer.close()
        return self._streams.open(buffer)

    def step(self, count: int = 1) -> int:
        """Apply the next inputs of the tape at once and return how many there were; 0 at its end."""
        for done in range(count):
            if not self._advance():
                return done
        return count

    def _play(self) -> None:
        if self._playing or self._speed == 0:
            self._playing = True
            return
        if self._tasks is None:
            raise ConfigError("use a tape adapter as `async with` before subscribing")
        self._playing = True
        self._tasks.start_soon(self._run)

    async def _run(self) -> None:
        start = anyio.current_time()
        first: int | None = None
        turn = 0
        for step in self._steps:
            if first is None:
                first = step.input.mono
                if self._clock is not None:
                    start += (step.input.ts - self._clock.wall()) / 1e9
            pause = 0.0 if self._speed == math.inf else (step.input.mono - first) / 1e9 / self._speed
            while self._resumed is not None or start + pause > anyio.current_time():
                turn = 0
                if self._resumed is not None:
                    held_at = anyio.current_time()
                    await self._resumed.wait()
                    start += anyio.current_time() - held_at
                else:
                    await anyio.sleep_until(start + pause)
            self._take(step)
            turn += 1 + len(step.events)
            if turn >= TURN:
                turn = 0
                await checkpoint()
        self._end()

    def _advance(self) -> bool:
        step = next(self._steps, None)
        if step is None:
            self._end()
            return False
        self._take(step)
        return True

    def _take(self, step: Step) -> None:
        self._ts = step.input.ts
        core = self.replay.cores[step.feed]
        core.verdicts()
        if step.events:
            self._deliver([event for event in step.events if event in self._wanted])

    def _end(self) -> None:
        if self.finished.is_set():
            return
        at = self.tape.truncated_at
        text = "the tape ends" if at is None else f"the tape ends at byte {at}: its recorder did not finish"
        self._deliver([self._status("disconnected", text)])
        self.finished.set()
        self._streams.close()

    def _deliver(self, events: Sequence[Event]) -> None:
        if events:
            for sink in self._sinks:
                sink.deliver(events)

    def _status(self, code: StatusCode, text: str, subscription: Subscription | None = None) -> Status:
        symbol = subscription.symbol if subscription is not None else ""
        key = subscription.key if subscription is not None else None
        return Status(self._venue, symbol, 0, 0, self._ts, code, key, None, text)


def _venue_of(tape: Tape, venue: str | None) -> str:
    names = list(dict.fromkeys(header.venue for header in tape.feeds))
    if venue is None and len(names) == 1:
        return names[0]
    if venue is not None and venue in names:
        return venue
    held = ", ".join(names) or "nothing"
    raise ConfigError(f"{tape.path.name} holds {held}; name one of them as venue")
