"""The network within the process behaves as the real one does, on asyncio and on trio."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from unitape.errors import TransportError
from unitape.spi import HttpRequest, HttpResponse
from unitape.transport.base import Connection, Ended, WsOptions
from unitape.transport.memory import MemoryPeer, MemoryTransport

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> Any:
    return request.param


class Server:
    def __init__(self) -> None:
        self.peers: list[MemoryPeer] = []
        self.got: list[bytes] = []
        self.gone = 0

    async def accept(self, url: str, headers: tuple[tuple[str, str], ...], peer: MemoryPeer) -> None:
        if "refuse" in url:
            raise TransportError("refused")
        if "slow" in url:
            await anyio.sleep_forever()
        self.peers.append(peer)
        peer.send(b"welcome")

    def receive(self, peer: MemoryPeer, data: bytes, text: bool) -> None:
        self.got.append(data)
        peer.send(data, text)

    def closed(self, peer: MemoryPeer) -> None:
        self.gone += 1

    async def http(self, base: str, request: HttpRequest) -> HttpResponse:
        if request.path == "/slow":
            await anyio.sleep_forever()
        return HttpResponse(200, f"{base}{request.target}".encode())


class Client:
    def __init__(self) -> None:
        self.log: list[Any] = []
        self.connection: Connection | None = None

    def opened(self, connection: Connection) -> None:
        self.connection = connection
        connection.send(b"from opened", True)
        self.log.append("opened")

    def frame(self, data: bytes, text: bool) -> None:
        self.log.append(data)

    def ping(self) -> None:
        self.log.append("ping")

    def flush(self) -> None:
        self.log.append("flush")


async def test_frames_pings_and_the_close_come_in_order() -> None:
    server, client = Server(), Client()
    ended: list[Ended] = []
    async with anyio.create_task_group() as tasks:

        async def run() -> None:
            ended.append(await MemoryTransport(server).run("ws://x", client, WsOptions()))

        tasks.start_soon(run)
        await anyio.wait_all_tasks_blocked()
        server.peers[0].ping()
        server.peers[0].send(b"last")
        server.peers[0].close(4000, "bye")
    assert client.log == ["opened", b"welcome", b"from opened", "flush", "ping", b"last", "flush"]
    assert ended == [Ended("bye", 4000)]
    assert server.gone == 0


async def test_a_pause_holds_frames_and_a_cancelled_client_is_gone() -> None:
    server, client = Server(), Client()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(MemoryTransport(server).run, "ws://x", client, WsOptions())
        await anyio.wait_all_tasks_blocked()
        assert client.connection is not None
        client.connection.pause()
        server.peers[0].send(b"held")
        await anyio.wait_all_tasks_blocked()
        assert b"held" not in client.log
        client.connection.resume()
        await anyio.wait_all_tasks_blocked()
        assert client.log[-2:] == [b"held", "flush"]
        tasks.cancel_scope.cancel()
    assert server.gone == 1
    assert not server.peers[0].open


async def test_refusals_and_silence_are_transport_errors() -> None:
    transport = MemoryTransport(Server())
    with pytest.raises(TransportError, match="refused"):
        await transport.run("ws://refuse", Client(), WsOptions())
    with pytest.raises(TransportError, match="no connection within"):
        await transport.run("ws://slow", Client(), WsOptions(timeout=0.01))
    with pytest.raises(TransportError, match="no answer"):
        await transport.request("http://x", HttpRequest("GET", "/slow"), 0.01)
    assert (await transport.request("http://x", HttpRequest("GET", "/a", "b=1"), 1.0)).body == b"http://x/a?b=1"
