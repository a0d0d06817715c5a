"""Simulated venues as the far side of a ``MemoryTransport``, for virtual time: no sockets, asyncio or trio."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Final, Self
from urllib.parse import urlsplit

import anyio
from anyio.abc import TaskGroup

from unitape.clock import Clock, LoopClock
from unitape.errors import ConfigError, TransportError
from unitape.sim._groups import is_only
from unitape.sim.build import SimSettings, make_host
from unitape.sim.host import Cut, SimHost
from unitape.spi import Endpoint, HttpRequest, HttpResponse, Venue
from unitape.spi.simulation import Binary, CloseFrame, Ping, Text
from unitape.transport.memory import MemoryPeer, MemoryTransport

__all__ = ["SimNetwork"]

_SUFFIX: Final = ".sim"
_START: Final = 1_793_923_200_000_000_000  # 2026-11-06 00:00:00 UTC


class SimNetwork:
    """Simulated venues in this process. Use it as ``async with``.

    ``endpoint(venue, market)`` says where a market is and ``transport`` is the network that reaches it. ``latency`` is
    how many seconds a handshake and an HTTP answer take.
    """

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
        self.clock = clock or LoopClock(_START)
        self.transport = MemoryTransport(self)
        self._latency = latency
        self._hosts: dict[str, SimHost] = {}
        self._endpoints: dict[str, Endpoint] = {}
        self._peers: dict[tuple[SimHost, int], MemoryPeer] = {}
        self._conns: dict[MemoryPeer, tuple[SimHost, int]] = {}
        self._tasks: TaskGroup | None = None

    async def __aenter__(self) -> Self:
        for venue in self._venues:
            for market in venue.markets:
                label = f"{venue.name}/{market.name}"
                if self._settings.selects(label):
                    name = f"{venue.name}-{market.name}{_SUFFIX}"
                    self._hosts[name] = make_host(venue, market, self._settings, self.clock)
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
        try:
            return await self._tasks.__aexit__(kind, value, traceback)
        except BaseExceptionGroup as group:
            # What the block raised leaves as it was; only what broke in here comes as a group.
            if is_only(group, value):
                return False
            raise

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
        """Every market by ``venue/market``."""
        return {host.label: host for host in self._hosts.values()}

    # The far side of the transport -----------------------------------------------------------------------------------

    async def accept(self, url: str, headers: tuple[tuple[str, str], ...], peer: MemoryPeer) -> None:
        """Take a client's connection to one of the markets."""
        host = self._host(url)
        parts = urlsplit(url)
        await anyio.sleep(self._latency)
        opened = host.open(f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/", headers)
        if isinstance(opened, HttpResponse):
            raise TransportError(f"the server answers {opened.status} {opened.body[:200].decode('utf-8', 'replace')}")
        self._peers[host, opened] = peer
        self._conns[peer] = (host, opened)
        self._deliver(host)

    def receive(self, peer: MemoryPeer, data: bytes, text: bool) -> None:
        """Hand a client's message to its market."""
        host, conn = self._conns.get(peer, (None, 0))
        if host is not None:
            host.frame(conn, data, text=text)
            self._deliver(host)

    def closed(self, peer: MemoryPeer) -> None:
        """Forget a client."""
        host, conn = self._conns.get(peer, (None, 0))
        if host is not None:
            self._forget(host, conn)
            host.closed(conn)

    async def http(self, base: str, request: HttpRequest) -> HttpResponse:
        """Answer a request."""
        host = self._host(base)
        reply = host.http(request)
        self._deliver(host)
        await anyio.sleep(reply.seconds + self._latency)
        if reply.response is None:
            raise TransportError("the connection broke before the answer")
        return reply.response

    def _host(self, url: str) -> SimHost:
        name = urlsplit(url).hostname or ""
        host = self._hosts.get(name)
        if host is None:
            raise TransportError(f"no such host: {name}")
        return host

    def _forget(self, host: SimHost, conn: int) -> None:
        peer = self._peers.pop((host, conn), None)
        if peer is not None:
            del self._conns[peer]

    async def _pump(self) -> None:
        while True:
            for host in self._hosts.values():
                host.step()
                self._deliver(host)
            await anyio.sleep(self._settings.tick)

    def _deliver(self, host: SimHost) -> None:
        """Give every peer what the market wants sent to it."""
        for delivery in host.take():
            peer = self._peers.get((host, delivery.conn))
            if peer is None:
                continue
            match delivery:
                case Text(data=data):
                    peer.send(data, True)
                case Binary(data=data):
                    peer.send(data, False)
                case Ping(data=data):
                    peer.ping()
                    # The client's end answers by itself, and in memory that takes no time.
                    host.pong(delivery.conn, data)
                case CloseFrame(code=code, reason=reason):
                    self._forget(host, delivery.conn)
                    peer.close(code, reason)
                case Cut():
                    self._forget(host, delivery.conn)
                    peer.cut()
