"""Over real sockets: a write is never repeated below us either, and what never left is known not to have left."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from unitape.errors import TransportError
from unitape.spi import HttpRequest
from unitape.transport.http import AiohttpClient

pytestmark = pytest.mark.asyncio
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


@asynccontextmanager
async def serving() -> AsyncIterator[tuple[str, list[str]]]:
    """Answer the first request of each connection; hang up on the second, unanswered."""
    lines: list[str] = []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for answer in (OK, b""):
            head = await reader.readuntil(b"\r\n\r\n")
            lines.append(head.split(b" HTTP", 1)[0].decode())
            writer.write(answer)
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", lines


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
async def test_a_write_on_a_kept_connection_that_breaks_is_sent_once(method: str) -> None:
    client = AiohttpClient(proxy=None)
    async with serving() as (base, lines):
        await client.request(base, HttpRequest("GET", "/time"), 5.0)
        with pytest.raises(TransportError) as lost:
            await client.request(base, HttpRequest(method, "/order", write=True), 5.0)  # type: ignore[arg-type]
        await client.aclose()
    assert lines == ["GET /time", f"{method} /order"]
    assert lost.value.sent


async def test_a_read_on_a_kept_connection_that_breaks_is_sent_again() -> None:
    client = AiohttpClient(proxy=None)
    async with serving() as (base, lines):
        await client.request(base, HttpRequest("GET", "/time"), 5.0)
        answer = await client.request(base, HttpRequest("GET", "/time"), 5.0)
        await client.aclose()
    assert answer.status == 200
    assert lines == ["GET /time"] * 3


async def test_a_connection_that_never_stood_sent_nothing() -> None:
    server = await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()
    client = AiohttpClient(proxy=None)
    with pytest.raises(TransportError) as failed:
        await client.request(f"http://127.0.0.1:{port}", HttpRequest("POST", "/order", write=True), 5.0)
    await client.aclose()
    assert not failed.value.sent
