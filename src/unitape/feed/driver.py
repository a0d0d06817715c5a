"""Runs a ``FeedCore`` against a transport: executes its commands, brings it inputs, delivers its events."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Sequence
from typing import cast

import anyio
from anyio.abc import TaskGroup
from msgspec import Struct, structs

from unitape.clock import Clock
from unitape.errors import TransportError
from unitape.feed.client import RestClient
from unitape.feed.core import FeedCore
from unitape.feed.inputs import (
    Close,
    Closed,
    Command,
    Connect,
    Failed,
    Fetch,
    Frame,
    Input,
    Listed,
    Opened,
    Ping,
    Response,
    Send,
    Subscribe,
    Tick,
    Unsubscribe,
)
from unitape.feed.line import NANOS, Verdict
from unitape.feed.options import FeedOptions
from unitape.spi import Instruments, Market
from unitape.transport.base import Connection, WsOptions
from unitape_schemas import Event, Instrument, Subscription

__all__ = ["DriverOptions", "FeedDriver"]


class DriverOptions(Struct, frozen=True):
    """Settings of a driver, in seconds."""

    tick: float = 1.0
    backoff: float = 1.0
    """Upper end of the random pause before the first new attempt; doubles with each failure."""
    backoff_cap: float = 60.0
    connect: WsOptions = WsOptions()


class FeedDriver:
    """One market, live. Everything happens on the event loop's thread.

    ``tap`` sees every input just before it is applied, ``on_command`` every command just before it is carried out;
    neither may raise or block.
    """

    def __init__(
        self,
        market: Market,
        instruments: Instruments,
        client: RestClient,
        *,
        clock: Clock,
        rng: random.Random,
        deliver: Callable[[Sequence[Event]], None],
        tap: Callable[[Input], None] | None = None,
        on_command: Callable[[Command], None] | None = None,
        options: DriverOptions | None = None,
        feed: FeedOptions | None = None,
    ) -> None:
        self.core = FeedCore(market, instruments, feed)
        self.market = market
        self.instruments = instruments
        self.client = client
        self._clock = clock
        self._rng = rng
        self._deliver = deliver
        self._tap = tap
        self._on_command = on_command
        self._options = options or DriverOptions()
        self._wires: dict[int, _Wire] = {}
        self._tasks: TaskGroup | None = None
        self._due: list[Connect | Fetch] = []
        self._wake: anyio.Event | None = None
        self._waiting: list[_Waiting] = []
        self._batch = self.core.batch
        self._held = False

    async def run(self) -> None:
        """Run until cancelled. Commands that came before are executed first."""
        async with anyio.create_task_group() as tasks:
            self._tasks = tasks
            try:
                tasks.start_soon(self._begin, tasks)
                self._execute()
                while True:
                    await anyio.sleep(self._options.tick)
                    self._apply(Tick(self._clock.wall(), self._clock.mono(), self._held))
                    self._steer()
            finally:
                self._tasks = None

    async def _begin(self, tasks: TaskGroup) -> None:
        """Start what commands ask for. They may come from a socket's callback, where no task can be started."""
        while True:
            self._wake = anyio.Event()
            due, self._due = self._due, []
            for command in due:
                if isinstance(command, Connect):
                    wire = self._wires.get(command.conn)
                    if wire is not None:
                        tasks.start_soon(self._connection, command, wire)
                else:
                    tasks.start_soon(self._fetch, command)
            if not self._due:
                await self._wake.wait()

    async def subscribe(self, subscriptions: Sequence[Subscription]) -> list[Verdict]:
        """Ask for these and wait for the verdict on each, in their order."""
        wanted = tuple(dict.fromkeys(subscriptions))
        waiting = _Waiting(set(wanted))
        self._waiting.append(waiting)
        try:
            self._apply(Subscribe(self._clock.wall(), self._clock.mono(), wanted))
            self._steer()
            await waiting.done.wait()
        finally:
            self._waiting.remove(waiting)
        return [waiting.verdicts[subscription] for subscription in wanted]

    def unsubscribe(self, subscriptions: Sequence[Subscription]) -> None:
        """Stop these."""
        self._apply(Unsubscribe(self._clock.wall(), self._clock.mono(), tuple(subscriptions)))
        for waiting in self._waiting:
            waiting.drop(subscriptions)

    def listed(self, instruments: Sequence[Instrument]) -> None:
        """Take instruments that are new or have changed; a tape keeps them, too."""
        self._apply(Listed(self._clock.wall(), self._clock.mono(), tuple(instruments)))

    def hold(self, held: bool) -> None:
        """Pause reading or go on. Connections on which the venue owes an answer are read all the same."""
        self._held = held
        self._steer()

    # Inputs

    def _apply(self, item: Input) -> None:
        if self._tap is not None:
            self._tap(item)
        self._take(self.core.apply(item))

    def _take(self, events: Sequence[Event]) -> None:
        if self._batch:
            self.flush()
        if events:
            self._deliver(events)
        if self.core.commands:
            self._execute()
        if self._waiting:
            self._settle()

    def _settle(self) -> None:
        verdicts = self.core.verdicts()
        for verdict in verdicts:
            for waiting in self._waiting:
                waiting.settle(verdict)
        if verdicts and self._held:
            self._steer()

    def _steer(self) -> None:
        for wire in self._wires.values():
            wire.steer(self._held and not self.core.awaits(wire.conn))

    # Commands

    def _execute(self) -> None:
        if self._tasks is None:
            return
        commands = self.core.commands
        taken = commands[:]
        commands.clear()
        for command in taken:
            if isinstance(command, Send):
                wire = self._wires.get(command.conn)
                if wire is not None:
                    wire.put(command)
            elif isinstance(command, Connect):
                self._sees(command)
                wire = _Wire(self, command.conn)
                self._wires[command.conn] = wire
                self._start(command)
            elif isinstance(command, Fetch):
                self._start(command)
            else:
                self._close(command)

    def _start(self, command: Connect | Fetch) -> None:
        self._due.append(command)
        if self._wake is not None:
            self._wake.set()

    def _sees(self, command: Command) -> None:
        if self._on_command is not None:
            self._on_command(command)

    def _close(self, command: Close) -> None:
        self._sees(command)
        wire = self._wires.pop(command.conn, None)
        if wire is not None:
            wire.close()

    async def _connection(self, command: Connect, wire: _Wire) -> None:
        text, code = "", None
        try:
            with wire.scope:
                url = self.client.endpoint.ws[command.route]
                budget = self.client.budgets.host(url)
                budget.limit_connects(self.market.limits)
                if command.attempt:
                    ceiling = self._options.backoff * 2.0 ** min(command.attempt - 1, 32)
                    await anyio.sleep(self._rng.uniform(0.0, min(self._options.backoff_cap, ceiling)))
                await budget.connect()
                options = structs.replace(
                    self._options.connect,
                    headers=self._options.connect.headers + self.client.endpoint.headers,
                    max_frame=self.market.limits.max_frame,
                )
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(wire.send_paced)
                    ended = await self.client.transport.run(url, wire, options)
                    tasks.cancel_scope.cancel()
                    text, code = ended.text, ended.code
        except Exception as error:  # noqa: BLE001 - whatever fails here concerns this connection alone
            text = _reason(error)
        if wire.scope.cancelled_caught:
            text = text or "given up"
        wire.over = True
        if self._wires.get(command.conn) is wire:
            del self._wires[command.conn]
            wire.flush()
            self._apply(Closed(self._clock.wall(), self._clock.mono(), command.conn, text, code))

    async def _fetch(self, command: Fetch) -> None:
        if command.delay:
            await anyio.sleep(command.delay)
        self._sees(command)
        item: Input
        try:
            response = await self.client.request(command.request)
        except Exception as error:  # noqa: BLE001 - one failed request concerns whoever asked for it alone
            item = Failed(self._clock.wall(), self._clock.mono(), command.fetch, _reason(error))
        else:
            item = Response(self._clock.wall(), self._clock.mono(), command.fetch, response)
        self._apply(item)

    # What the wires call

    def receiver(self, conn: int) -> tuple[Callable[[bytes, bool], None], Callable[[], None]]:
        """Return what takes the frames of one connection, and what ends a read of its socket: the hot path."""
        tap = self._tap
        wall, now = self._clock.wall, self._clock.mono
        ts = mono = 0

        # The bytes of one socket read arrived together, so they carry one stamp.
        def stamp() -> tuple[int, int]:
            nonlocal ts, mono
            if not ts:
                ts, mono = wall(), now()
            return ts, mono

        take, renew = self.core.taker(conn, stamp)

        def flush() -> None:
            nonlocal ts
            ts = 0
            renew()
            self.flush()

        if tap is None:
            return take, flush

        def tapped(data: bytes, text: bool) -> None:
            tap(Frame(*stamp(), conn, data, text))
            take(data, text)

        return tapped, flush

    def opened(self, conn: int) -> None:
        """A connection stands."""
        self._apply(Opened(self._clock.wall(), self._clock.mono(), conn))

    def pinged(self, conn: int) -> None:
        """A protocol ping or pong came in."""
        self._apply(Ping(self._clock.wall(), self._clock.mono(), conn))

    def flush(self) -> None:
        """Deliver what one socket read brought."""
        batch = self._batch
        if batch:
            events = batch[:]
            batch.clear()
            self._deliver(events)
        if self.core.commands:
            self._execute()
        if self._waiting:
            self._settle()

    def sending(self, command: Send) -> None:
        """A message is about to leave."""
        self._sees(command)

    @property
    def clock(self) -> Clock:
        """The clock that stamps the inputs."""
        return self._clock

    @property
    def seconds_per_message(self) -> float:
        """Shortest time between two messages of ours on one connection."""
        return 1.0 / self.market.limits.messages_per_second


class _Waiting:
    """Somebody who waits for the verdict on some subscriptions."""

    def __init__(self, wanted: set[Subscription]) -> None:
        self.done = anyio.Event()
        self.verdicts: dict[Subscription, Verdict] = {}
        self._wanted = wanted

    def settle(self, verdict: Verdict) -> None:
        if verdict.subscription in self._wanted:
            self._wanted.discard(verdict.subscription)
            self.verdicts[verdict.subscription] = verdict
            if not self._wanted:
                self.done.set()

    def drop(self, subscriptions: Sequence[Subscription]) -> None:
        for subscription in self._wanted.intersection(subscriptions):
            self.settle(Verdict(subscription, "unsubscribed before it was confirmed"))


class _Wire:
    """The receiver of one connection, and its paced sender."""

    def __init__(self, driver: FeedDriver, conn: int) -> None:
        self.conn = conn
        self.scope = anyio.CancelScope()
        self.over = False
        self._driver = driver
        self.frame, self.flush = driver.receiver(conn)
        self._mono = driver.clock.mono
        self._connection: Connection | None = None
        self._closing = False
        self._paused = False
        self._urgent: deque[Send] = deque()
        self._normal: deque[Send] = deque()
        self._wake = anyio.Event()
        self._next = 0
        self._step = round(driver.seconds_per_message * NANOS)

    # Receiver

    def opened(self, connection: Connection) -> None:
        self._connection = connection
        if not self._closing:
            self._driver.opened(self.conn)

    def ping(self) -> None:
        self._driver.pinged(self.conn)

    # Sender

    def put(self, command: Send) -> None:
        """Send when the rate allows: heartbeats and answers first."""
        if not self._urgent and not self._normal and self._mono() >= self._next:
            self._send(command)
            return
        (self._urgent if command.urgent else self._normal).append(command)
        self._wake.set()

    async def send_paced(self) -> None:
        while True:
            await self._wake.wait()
            while self._urgent or self._normal:
                pause = self._next - self._mono()
                if pause > 0:
                    await anyio.sleep(pause / NANOS)
                queue = self._urgent or self._normal
                if queue:
                    self._send(queue.popleft())
            self._wake = anyio.Event()

    def _send(self, command: Send) -> None:
        self._next = self._mono() + self._step
        if self._connection is not None and not self.over:
            self._driver.sending(command)
            self._connection.send(command.data, command.text)

    # Steering

    def steer(self, paused: bool) -> None:
        if self._connection is None or paused is self._paused or self.over:
            return
        self._paused = paused
        if paused:
            self._connection.pause()
        else:
            self._connection.resume()

    def close(self) -> None:
        self._closing = True
        if self._connection is None:
            self.scope.cancel()
        else:
            self._connection.close()


def _reason(error: Exception) -> str:
    first: BaseException = error
    while isinstance(first, BaseExceptionGroup):
        first = cast("BaseExceptionGroup[BaseException]", first).exceptions[0]
    return str(first) if isinstance(first, TransportError) else f"{type(first).__name__}: {first}"
