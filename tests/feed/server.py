"""The far side of a memory transport that speaks Quarry and does what a test tells it."""

from __future__ import annotations

from collections.abc import Callable

import anyio

from tests.feed import quarry
from unitape.errors import TransportError
from unitape.spi import HttpRequest, HttpResponse
from unitape.transport.memory import MemoryPeer


class QuarryServer:
    def __init__(self) -> None:
        self.peers: list[MemoryPeer] = []
        self.accepted: list[float] = []
        self.attempts: list[float] = []
        self.gone: list[MemoryPeer] = []
        self.received: list[tuple[float, int, str]] = []
        self.requests: list[tuple[float, str]] = []
        self.refuse: Callable[[str], bool] = lambda url: False
        self.acks = True
        self.http_answer: Callable[[HttpRequest], HttpResponse] = lambda request: quarry.image(10)

    async def accept(self, url: str, headers: tuple[tuple[str, str], ...], peer: MemoryPeer) -> None:
        self.attempts.append(anyio.current_time())
        if self.refuse(url):
            raise TransportError("refused")
        self.peers.append(peer)
        self.accepted.append(anyio.current_time())

    def receive(self, peer: MemoryPeer, data: bytes, text: bool) -> None:
        said = data.decode()
        self.received.append((anyio.current_time(), self.peers.index(peer), said))
        if said.startswith("SUB ") and self.acks:
            keys = ", ".join(f'"{key}"' for key in said[4:].split(","))
            peer.send(f'{{"ok": [{keys}]}}'.encode())

    def carrier(self, key: str) -> MemoryPeer:
        """The newest connection that was asked for this subscription."""
        return next(self.peers[n] for _, n, text in reversed(self.received) if key in text.split(" ", 1)[-1].split(","))

    def closed(self, peer: MemoryPeer) -> None:
        self.gone.append(peer)

    async def http(self, base: str, request: HttpRequest) -> HttpResponse:
        self.requests.append((anyio.current_time(), request.target))
        await anyio.sleep(0.05)
        return self.http_answer(request)
