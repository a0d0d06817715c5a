"""Simulated venues on loopback sockets: HTTP and WebSocket on one port per market."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Final, Self, cast

import anyio
from aiohttp import WSMsgType, web
from msgspec import structs

from unitape.clock import Clock, SystemClock
from unitape.errors import ConfigError
from unitape.sim._groups import is_only
from unitape.sim.build import SimSettings, make_host
from unitape.sim.host import Cut, Delivery, SimHost
from unitape.spi import Endpoint, HttpMethod, HttpRequest, HttpResponse, Venue
from unitape.spi.simulation import Binary, CloseFrame, Ping, Text

__all__ = ["SimServer"]

_METHODS: Final = frozenset({"GET", "POST", "PUT", "DELETE"})
_MAX_MESSAGE: Final = 1024 * 1024
_BACKLOG: Final = 100_000  # messages kept for a client that does not read before its connection is cut
_CLOSE_WITHIN: Final = 1.0


class _Peer:
    """One client's WebSocket and what waits to be sent on it."""

    def __init__(self, socket: web.WebSocketResponse, transport: asyncio.Transport) -> None:
        self.socket = socket
        self.transport = transport
        self.queue: deque[Delivery] = deque()
        self.wake = asyncio.Event()

    def put(self, delivery: Delivery) -> None:
        """Queue something to send; a client that does not read is cut."""
        if isinstance(delivery, Cut) or len(self.queue) > _BACKLOG:
            self.transport.abort()
            return
        self.queue.append(delivery)
        self.wake.set()

    async def write(self) -> None:
        """Send what is queued until the connection ends."""
        socket = self.socket
        with contextlib.suppress(ConnectionError):
            while not socket.closed:
                while self.queue:
                    match self.queue.popleft():
                        case Text(data=data):
                            await socket.send_frame(data, WSMsgType.TEXT)
                        case Binary(data=data):
                            await socket.send_frame(data, WSMsgType.BINARY)
                        case Ping(data=data):
                            await socket.ping(data)
                        case CloseFrame(code=code, reason=reason):
                            await socket.close(code=code, message=reason.encode())
                            return
                        case Cut():
                            return
                self.wake.clear()
                await self.wake.wait()


class _Port:
    """One market's listening socket."""

    def __init__(self, host: SimHost) -> None:
        self.host = host
        self.peers: dict[int, _Peer] = {}

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """Answer whatever a client asks for."""
        if request.headers.get("Upgrade", "").lower() == "websocket":
            return await self._websocket(request)
        return await self._http(request)

    async def _http(self, request: web.Request) -> web.StreamResponse:
        if request.method not in _METHODS:
            return web.Response(status=405)
        path, _, query = request.raw_path.partition("?")
        reply = self.host.http(
            HttpRequest(
                method=cast("HttpMethod", request.method),
                path=path,
                query=query,
                body=await request.read(),
                headers=tuple(request.headers.items()),
            )
        )
        self.deliver()
        if reply.seconds:
            await anyio.sleep(reply.seconds)
        if reply.response is None:
            _abort(request)
            return web.Response(status=500)
        return _response(reply.response)

    async def _websocket(self, request: web.Request) -> web.StreamResponse:
        opened = self.host.open(request.raw_path, tuple(request.headers.items()))
        if isinstance(opened, HttpResponse):
            return _response(opened)
        socket = web.WebSocketResponse(autoping=False, compress=False, max_msg_size=_MAX_MESSAGE, timeout=_CLOSE_WITHIN)
        writer: asyncio.Task[None] | None = None
        try:
            await socket.prepare(request)
            transport = request.transport
            if transport is None:
                return socket
            peer = self.peers[opened] = _Peer(socket, transport)
            writer = asyncio.create_task(peer.write())
            self.deliver()
            async for message in socket:
                await self._take(opened, socket, message.type, message.data)
                self.deliver()
        finally:
            self.peers.pop(opened, None)
            self.host.closed(opened)
            if writer is not None:
                writer.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await writer
        return socket

    async def _take(self, conn: int, socket: web.WebSocketResponse, kind: WSMsgType, data: object) -> None:
        if kind is WSMsgType.TEXT and isinstance(data, str):
            self.host.frame(conn, data.encode(), text=True)
        elif isinstance(data, bytes | bytearray):
            if kind is WSMsgType.BINARY:
                self.host.frame(conn, bytes(data), text=False)
            elif kind is WSMsgType.PONG:
                self.host.pong(conn, bytes(data))
            elif kind is WSMsgType.PING and self.host.ping(conn, bytes(data)):
                await socket.pong(bytes(data))

    def deliver(self) -> None:
        """Hand what the market wants sent to the clients' queues."""
        for delivery in self.host.take():
            peer = self.peers.get(delivery.conn)
            if peer is not None:
                peer.put(delivery)


def _response(response: HttpResponse) -> web.Response:
    return web.Response(status=response.status, body=response.body, headers=dict(response.headers))


def _abort(request: web.Request) -> None:
    transport = request.transport
    if transport is not None:
        transport.abort()


class SimServer:
    """Simulated venues on 127.0.0.1, each market on a port of its own. Asyncio.

    Use it as ``async with``; then ``endpoint(venue, market)`` says where a market is. ``seed``, ``symbols`` and
    ``speed`` stand for the settings of these names, ``tls`` serves https and wss, ``ports`` maps ``venue/market`` to a
    port (others are chosen by the system).
    """

    def __init__(
        self,
        venues: Sequence[Venue],
        settings: SimSettings | None = None,
        *,
        clock: Clock | None = None,
        tls: ssl.SSLContext | None = None,
        ports: Mapping[str, int] | None = None,
        seed: int | None = None,
        symbols: int | tuple[str, ...] | None = None,
        speed: float | None = None,
    ) -> None:
        given = {"seed": seed, "symbols": symbols, "speed": speed}
        chosen = {name: value for name, value in given.items() if value is not None}
        self._venues = venues
        self._settings = structs.replace(settings or SimSettings(), **chosen)
        self._clock = clock or SystemClock()
        self._tls = tls
        self._wanted_ports = ports or {}
        self._ports: dict[str, _Port] = {}
        self._endpoints: dict[str, Endpoint] = {}
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            for venue in self._venues:
                for market in venue.markets:
                    label = f"{venue.name}/{market.name}"
                    if self._settings.selects(label):
                        port = _Port(make_host(venue, market, self._settings, self._clock))
                        number = await self._listen(stack, port, self._wanted_ports.get(label, 0))
                        s = "" if self._tls is None else "s"
                        self._ports[label] = port
                        self._endpoints[label] = market.endpoints["live"].at(
                            f"http{s}://127.0.0.1:{number}", f"ws{s}://127.0.0.1:{number}"
                        )
            tasks = await stack.enter_async_context(anyio.create_task_group())
            stack.callback(tasks.cancel_scope.cancel)
            tasks.start_soon(self._pump)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        try:
            return await self._stack.__aexit__(kind, value, traceback)
        except BaseExceptionGroup as group:
            # What the block raised leaves as it was; only what broke in here comes as a group.
            if is_only(group, value):
                return False
            raise

    @property
    def endpoints(self) -> Mapping[str, Endpoint]:
        """Where each market is, by ``venue/market``."""
        return self._endpoints

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
        self.endpoint(venue, market)
        return self._ports[f"{venue}/{market}"].host

    async def _listen(self, stack: AsyncExitStack, port: _Port, number: int) -> int:
        application = web.Application(client_max_size=_MAX_MESSAGE)
        application.router.add_route("*", "/{path:.*}", port.serve)
        runner = web.AppRunner(application, access_log=None, handle_signals=False, shutdown_timeout=_CLOSE_WITHIN)
        await runner.setup()
        stack.push_async_callback(runner.cleanup)

        def leave() -> None:
            for peer in list(port.peers.values()):
                peer.transport.abort()

        stack.callback(leave)
        site = web.TCPSite(runner, "127.0.0.1", number, ssl_context=self._tls)
        await site.start()
        return int(runner.addresses[0][1])

    async def _pump(self) -> None:
        while True:
            for port in self._ports.values():
                port.host.step()
                port.deliver()
            await anyio.sleep(self._settings.tick)
