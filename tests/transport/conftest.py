from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
import trustme
from websockets.asyncio.server import ServerConnection, serve

from unitape.transport import Connection, WsOptions, WsTransport, websocket_transport

Handler = Callable[[ServerConnection], Awaitable[None]]


class Inbox:
    """A receiver that keeps everything."""

    def __init__(self) -> None:
        self.frames: list[tuple[bytes, bool]] = []
        self.flushes: list[int] = []
        self.pings = 0
        self.connection: Connection | None = None
        self.changed = asyncio.Event()
        self.on_open: Callable[[Connection], None] | None = None
        self.on_frame: Callable[[bytes], None] | None = None

    def opened(self, connection: Connection) -> None:
        assert self.connection is None
        assert not self.frames
        self.connection = connection
        if self.on_open is not None:
            self.on_open(connection)
        self.changed.set()

    def frame(self, data: bytes, text: bool) -> None:
        self.frames.append((data, text))
        if self.on_frame is not None:
            self.on_frame(data)
        self.changed.set()

    def ping(self) -> None:
        self.pings += 1
        self.changed.set()

    def flush(self) -> None:
        self.flushes.append(len(self.frames))

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(5.0):
            while not condition():
                self.changed.clear()
                await self.changed.wait()


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(params=["websockets", "picows"])
def transport(request: pytest.FixtureRequest) -> WsTransport:
    if request.param == "picows":
        pytest.importorskip("picows")
    return websocket_transport(request.param)


@pytest.fixture(params=["tcp", "tls"])
def loopback(request: pytest.FixtureRequest, authority: trustme.CA) -> Any:
    """A context manager: serves a handler on loopback and gives its URL and the options to reach it."""
    secure = request.param == "tls"
    server_tls = client_tls = None
    if secure:
        server_tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("127.0.0.1").configure_cert(server_tls)
        client_tls = ssl.create_default_context()
        authority.configure_trust(client_tls)

    @contextlib.asynccontextmanager
    async def run(handler: Handler, **settings: Any) -> AsyncIterator[tuple[str, WsOptions]]:
        async with serve(handler, "127.0.0.1", 0, ssl=server_tls, **settings) as server:
            port = server.sockets[0].getsockname()[1]
            scheme = "wss" if secure else "ws"
            yield f"{scheme}://127.0.0.1:{port}/stream?x=1", WsOptions(tls=client_tls, proxy=None, timeout=5.0)

    return run
