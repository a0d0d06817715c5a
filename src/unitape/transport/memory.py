"""A network within the process: for tests, demos and virtual time. Runs on asyncio and on trio."""

from __future__ import annotations

from collections import deque
from typing import Protocol

import anyio

from unitape.errors import TransportError
from unitape.spi import HttpRequest, HttpResponse
from unitape.transport.base import Ended, Receiver, WsOptions

__all__ = ["MemoryPeer", "MemoryServer", "MemoryTransport"]

BACKLOG = 1_000_000
"""Messages that may wait for a client that does not read; one more ends the connection."""


class MemoryServer(Protocol):
    """The other side of a ``MemoryTransport``. Its calls may come from inside one another, so it must not recurse."""

    async def accept(self, url: str, headers: tuple[tuple[str, str], ...], peer: MemoryPeer) -> None:
        """A client connects. The peer may send as soon as this returns.

        Raises:
            TransportError: the connection is refused.
        """
        ...

    def receive(self, peer: MemoryPeer, data: bytes, text: bool) -> None:
        """A client's message."""
        ...

    def closed(self, peer: MemoryPeer) -> None:
        """The client is gone. Not called where the server closed the connection itself."""
        ...

    async def http(self, base: str, request: HttpRequest) -> HttpResponse:
        """Answer a request.

        Raises:
            TransportError: the answer is lost.
        """
        ...


class MemoryPeer:
    """The server's end of one connection: what it sends waits until the client's task runs."""

    def __init__(self) -> None:
        self._waiting: deque[tuple[bytes, bool] | None] = deque()
        self._wake = anyio.Event()
        self._ended: Ended | None = None

    def send(self, data: bytes, text: bool = True) -> None:
        """Send a message to the client."""
        self._put((data, text))

    def ping(self) -> None:
        """Send a protocol ping; the client's end answers it by itself."""
        self._put(None)

    def close(self, code: int = 1000, reason: str = "") -> None:
        """Close the connection; what was sent before still arrives."""
        if self._ended is None:
            self._ended = Ended(reason or "closed by the peer", code)
            self._wake.set()

    def cut(self, text: str = "the connection broke") -> None:
        """Break the connection without a close; what was sent before still arrives."""
        if self._ended is None:
            self._ended = Ended(text)
            self._wake.set()

    @property
    def open(self) -> bool:
        """Tell whether neither side has closed it."""
        return self._ended is None

    def _put(self, item: tuple[bytes, bool] | None) -> None:
        if self._ended is not None:
            return
        if len(self._waiting) >= BACKLOG:
            self.cut(f"{BACKLOG} messages wait for a client that does not read")
            return
        self._waiting.append(item)
        self._wake.set()

    async def deliver(self, receiver: Receiver, gate: _Gate) -> Ended:
        """Hand what waits to the client until the end. The transport calls this."""
        waiting = self._waiting
        while True:
            await self._wake.wait()
            self._wake = anyio.Event()
            await gate.passable()
            brought = False
            while waiting and gate.open:
                item = waiting.popleft()
                if item is None:
                    receiver.ping()
                else:
                    receiver.frame(*item)
                    brought = True
            if brought:
                receiver.flush()
            if self._ended is not None and not waiting:
                return self._ended
            if waiting:
                self._wake.set()
            await anyio.lowlevel.checkpoint()


class _Gate:
    """Whether the client reads."""

    def __init__(self) -> None:
        self._event = anyio.Event()
        self._event.set()

    @property
    def open(self) -> bool:
        return self._event.is_set()

    def shut(self) -> None:
        if self.open:
            self._event = anyio.Event()

    def lift(self) -> None:
        self._event.set()

    async def passable(self) -> None:
        await self._event.wait()


class _Client:
    """The client's end of one connection."""

    def __init__(self, server: MemoryServer, peer: MemoryPeer, gate: _Gate) -> None:
        self._server = server
        self._peer = peer
        self._gate = gate

    def send(self, data: bytes, text: bool) -> None:
        """Send one message."""
        if self._peer.open:
            self._server.receive(self._peer, data, text)

    def pause(self) -> None:
        """Stop reading."""
        self._gate.shut()

    def resume(self) -> None:
        """Go on reading."""
        self._gate.lift()

    def close(self, code: int = 1000, reason: str = "") -> None:
        """Begin to close."""
        if self._peer.open:
            self._peer.close(code, reason or "closed")
            self._gate.lift()
            self._server.closed(self._peer)


class MemoryTransport:
    """WebSockets and HTTP to one ``MemoryServer``, whatever the URL says."""

    name = "memory"

    def __init__(self, server: MemoryServer) -> None:
        self._server = server

    async def run(self, url: str, receiver: Receiver, options: WsOptions) -> Ended:
        """Connect and bring frames until the connection ends."""
        peer, gate = MemoryPeer(), _Gate()
        try:
            with anyio.fail_after(options.timeout):
                await self._server.accept(url, options.headers, peer)
        except TimeoutError:
            raise TransportError(f"no connection within {options.timeout:g} s") from None
        try:
            receiver.opened(_Client(self._server, peer, gate))
            return await peer.deliver(receiver, gate)
        finally:
            if peer.open:
                peer.cut("the client is gone")
                self._server.closed(peer)

    async def request(self, base: str, request: HttpRequest, timeout: float) -> HttpResponse:
        """Send one request and return its answer."""
        try:
            with anyio.fail_after(timeout):
                return await self._server.http(base, request)
        except TimeoutError:
            raise TransportError(f"no answer from {base} within {timeout:g} s") from None

    async def aclose(self) -> None:
        """Nothing is kept open."""
