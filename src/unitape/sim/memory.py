"""Simulated venues as a network in memory, for virtual time: no sockets, no bytes on a wire, asyncio or trio."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Final, Self
from urllib.parse import urlsplit

import anyio
from anyio.abc import TaskGroup

from unitape.clock import Clock, LoopClock
from unitape.errors import ConfigError, TransportError
from unitape.sim.build import SimSettings, make_host
from unitape.sim.host import Cut, Delivery, SimHost
from unitape.spi import Endpoint, HttpRequest, HttpResponse, Venue
from unitape.spi.simulation import Binary, CloseFrame, Ping, Text
from unitape.transport.base import Ended, Receiver, WsOptions

__all__ = ["SimNetwork"]

_SUFFIX: Final = ".sim"
_BACKLOG: Final = 100_000  # messages kept for a client that does not read before its connection is cut


class _Line:
    """A client's end of a connection in memory."""

    def __init__(self, network: SimNetwork, host: SimHost, conn: int, receiver: Receiver) -> None:
        self._network = network
        self._host = host
        self._conn = conn
        self._receiver = receiver
        self._backlog: list[Delivery] = []
        self._paused = False
        self._ended = anyio.Event()
        self.outcome = Ended("the connection broke")

    async def wait(self) -> Ended:
        """Wait until the connection ends."""
        await self._ended.wait()
        return self.outcome

    def send(self, data: bytes, text: bool) -> None:
        """Send one message; the answer comes with the network's next turn."""
        if not self._ended.is_set():
            self._host.frame(self._conn, data, text=text)

    def pause(self) -> None:
        """Stop taking messages."""
        self._paused = True

    def resume(self) -> None:
        """Take messages again, first those that waited."""
        self._paused = False
        waiting, self._backlog = self._backlog, []
        self.take(waiting)

    def close(self, code: int = 1000, reason: str = "") -> None:
        """Close the connection."""
        self._host.closed(self._conn)
        self.end(Ended(reason or "closed here", code))

    def end(self, outcome: Ended) -> None:
        """Let the run of the connection return."""
        if not self._ended.is_set():
            self.outcome = outcome
            self._network.forget(self._host, self._conn)
            self._ended.set()

    def take(self, deliveries: Sequence[Delivery]) -> None:
        """Hand what the venue sent to the receiver."""
        brought = False
        for position, delivery in enumerate(deliveries):
            if self._ended.is_set():
                break
            if self._paused:
                self._keep(deliveries[position:])
                break
            match delivery:
                case Text(data=data):
                    self._receiver.frame(data, True)
                    brought = True
                case Binary(data=data):
                    self._receiver.frame(data, False)
                    brought = True
                case Ping(data=data):
                    self._receiver.ping()
                    self._host.pong(self._conn, data)
                case CloseFrame(code=code, reason=reason):
                    self.end(Ended(reason or "closed by the peer", code))
                case Cut():
                    self.end(Ended("the connection broke"))
        if brought:
            self._receiver.flush()

    def _keep(self, deliveries: Sequence[Delivery]) -> None:
        self._backlog.extend(deliveries)
        if len(self._backlog) > _BACKLOG:
            self._host.closed(self._conn)
            self.end(Ended("the peer cut a connection that was not read"))


class SimNetwork:
    """Simulated venues behind the ``Transport`` protocol. Use it as ``async with``; ``endpoint`` says where they are.

    ``latency`` is the time in seconds that an HTTP answer takes.
    """

    name = "memory"

    def __init__(
        self,
        venues: Sequence[Venue],
        settings: SimSettings | None = None,
        *,
        clock: Clock | None = None,
        latency: float = 0.02,
    ) -> None:
        self._venues = venues
        self._settings = settings or SimSettings()
        self.clock = clock or LoopClock(1_793_923_200_000_000_000)
        self._latency = latency
        self._hosts: dict[str, SimHost] = {}
        self._endpoints: dict[str, Endpoint] = {}
        self._lines: dict[tuple[str, int], _Line] = {}
        self._tasks: TaskGroup | None = None

    async def __aenter__(self) -> Self:
        for venue in self._venues:
            for market in venue.markets:
                label = f"{venue.name}/{market.name}"
                if self._settings.selects(label):
                    host = make_host(venue, market, self._settings, self.clock)
                    name = f"{venue.name}-{market.name}{_SUFFIX}".replace("/", "-")
                    self._hosts[name] = host
                    self._endpoints[label] = market.endpoints["live"].at(f"http://{name}", f"ws://{name}")
        self._tasks = anyio.create_task_group()
        await self._tasks.__aenter__()
        self._tasks.start_soon(self._pump)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        if self._tasks is None:
            return None
        self._tasks.cancel_scope.cancel()
        return await self._tasks.__aexit__(kind, value, traceback)

    def endpoint(self, venue: str, market: str) -> Endpoint:
        """Return where a market is reached.

        Raises:
            ConfigError: it is not simulated.
        """
        label = f"{venue}/{market}"
        if label not in self._endpoints:
            raise ConfigError(f"{label} is not simulated; these are: {', '.join(self._endpoints)}")
        return self._endpoints[label]

    def host(self, venue: str, market: str) -> SimHost:
        """Return a market, to look into its exchange and its faults."""
        return self._host(self.endpoint(venue, market).rest)

    @property
    def hosts(self) -> Mapping[str, SimHost]:
        """Every market by label."""
        return {host.label: host for host in self._hosts.values()}

    async def run(self, url: str, receiver: Receiver, options: WsOptions) -> Ended:
        """Connect, bring messages until the connection ends, and tell how it ended."""
        host = self._host(url)
        parts = urlsplit(url)
        target = f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"
        await anyio.sleep(self._latency)
        opened = host.open(target, options.headers)
        if isinstance(opened, HttpResponse):
            raise TransportError(f"the server answers {opened.status} {opened.body[:200].decode('utf-8', 'replace')}")
        line = _Line(self, host, opened, receiver)
        self._lines[host.label, opened] = line
        try:
            receiver.opened(line)
            return await line.wait()
        finally:
            host.closed(opened)
            self.forget(host, opened)

    async def request(self, base: str, request: HttpRequest, timeout: float) -> HttpResponse:
        """Send one request and return its answer."""
        reply = self._host(base).http(request)
        seconds = reply.seconds + self._latency
        if seconds > timeout:
            await anyio.sleep(timeout)
            raise TransportError(f"no answer within {timeout:g} s")
        await anyio.sleep(seconds)
        if reply.response is None:
            raise TransportError("the connection broke before the answer")
        return reply.response

    async def aclose(self) -> None:
        """Nothing is kept open between requests."""

    def forget(self, host: SimHost, conn: int) -> None:
        """Deliver nothing more to a connection."""
        self._lines.pop((host.label, conn), None)

    def _host(self, url: str) -> SimHost:
        name = urlsplit(url).hostname or ""
        host = self._hosts.get(name)
        if host is None:
            raise TransportError(f"no such host: {name}")
        return host

    async def _pump(self) -> None:
        while True:
            for host in self._hosts.values():
                host.step()
                self._deliver(host)
            await anyio.sleep(self._settings.tick)

    def _deliver(self, host: SimHost) -> None:
        batches: dict[int, list[Delivery]] = {}
        for delivery in host.take():
            batches.setdefault(delivery.conn, []).append(delivery)
        for conn, batch in batches.items():
            line = self._lines.get((host.label, conn))
            if line is not None:
                line.take(batch)
