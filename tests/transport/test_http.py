"""HTTP over real loopback sockets: sent as written, answered whole or not at all."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator
from typing import Any

import pytest
import trustme

from unitape.errors import TransportError
from unitape.spi import HttpRequest
from unitape.transport.http import AiohttpClient

pytestmark = pytest.mark.asyncio


@contextlib.asynccontextmanager
async def serving(answer: bytes, tls: ssl.SSLContext | None = None) -> AsyncIterator[tuple[str, list[bytes]]]:
    heads: list[bytes] = []
    handlers: set[Any] = set()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        handlers.add(asyncio.current_task())
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            head = await reader.readuntil(b"\r\n\r\n")
            length = next((line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")), None)
            body = await reader.readexactly(int(length.split(b":")[1])) if length else b""
            heads.append(head + body)
            writer.write(answer)
            await writer.drain()
            if answer:
                writer.close()
            else:
                await reader.read()
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()

    server = await asyncio.start_server(handle, "127.0.0.1", 0, ssl=tls)
    async with server:
        scheme = "https" if tls else "http"
        yield f"{scheme}://127.0.0.1:{server.sockets[0].getsockname()[1]}", heads
        await asyncio.gather(*handlers)


OK = b"HTTP/1.1 200 OK\r\nX-Used-Weight: 12\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}"


async def test_the_target_is_sent_exactly_as_it_is_written() -> None:
    client = AiohttpClient(proxy=None)
    async with serving(OK) as (base, heads):
        query = "symbol=BTC%2FUSDT&x=a+b%20c&sign=%2b%2F~%7e"
        answer = await client.request(base, HttpRequest("GET", "/api/v3/depth", query), 5.0)
        await client.aclose()
    assert heads[0].split(b"\r\n")[0] == f"GET /api/v3/depth?{query} HTTP/1.1".encode()
    assert (answer.status, answer.body, answer.header("x-used-weight")) == (200, b"{}", "12")


async def test_body_and_headers_are_sent_and_an_error_status_is_an_answer() -> None:
    client = AiohttpClient(proxy=None)
    refusal = b"HTTP/1.1 429 Too Many\r\nRetry-After: 7\r\nContent-Length: 4\r\nConnection: close\r\n\r\nslow"
    async with serving(refusal) as (base, heads):
        request = HttpRequest("POST", "/order", body=b'{"a":1}', headers=(("X-Key", "k"),))
        answer = await client.request(base, request, 5.0)
        await client.aclose()
    assert heads[0].endswith(b'{"a":1}')
    assert b"X-Key: k\r\n" in heads[0]
    assert (answer.status, answer.body, answer.header("Retry-After")) == (429, b"slow", "7")


async def test_a_redirect_is_not_followed() -> None:
    client = AiohttpClient(proxy=None)
    moved = b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    async with serving(moved) as (base, _):
        assert (await client.request(base, HttpRequest("GET", "/"), 5.0)).status == 302
        await client.aclose()


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\nConnection: close\r\n\r\nhalf",
        b"garbage\r\n\r\n",
    ],
)
async def test_no_whole_answer_is_a_transport_error(answer: bytes) -> None:
    client = AiohttpClient(proxy=None)
    async with serving(answer) as (base, _):
        with pytest.raises(TransportError):
            await client.request(base, HttpRequest("GET", "/"), 0.3)
        await client.aclose()


async def test_tls_verifies_the_server(authority: trustme.CA) -> None:
    server_tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(server_tls)
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    async with serving(OK, server_tls) as (base, _):
        good, bad = AiohttpClient(trusting, proxy=None), AiohttpClient(proxy=None)
        assert (await good.request(base, HttpRequest("GET", "/"), 5.0)).status == 200
        with pytest.raises(TransportError):
            await bad.request(base, HttpRequest("GET", "/"), 5.0)
        await good.aclose()
        await bad.aclose()


async def test_a_proxy_from_the_environment_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving(OK) as (proxy, heads):
        monkeypatch.setenv("http_proxy", proxy)
        monkeypatch.delenv("no_proxy", raising=False)
        client = AiohttpClient()
        answer = await client.request("http://venue.test", HttpRequest("GET", "/time"), 5.0)
        await client.aclose()
    assert answer.status == 200
    assert heads[0].startswith(b"GET http://venue.test/time HTTP/1.1")


async def test_cancelling_a_request_leaves_nothing_behind() -> None:
    client = AiohttpClient(proxy=None)
    async with serving(b"") as (base, heads):
        before = asyncio.all_tasks()
        running = asyncio.ensure_future(client.request(base, HttpRequest("GET", "/"), 30.0))
        while not heads:  # noqa: ASYNC110 - the server has no way to tell
            await asyncio.sleep(0.005)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        await client.aclose()
        left: Any = {task for task in asyncio.all_tasks() - before if "handle" not in repr(task)}
        assert left == set()


async def test_aiohttp_is_loaded_at_the_first_request_and_no_sooner() -> None:
    code = (
        "import sys, unitape.adapter, unitape.transport; "
        "print([m for m in ('aiohttp', 'picows', 'websockets', 'yarl') if m in sys.modules])"
    )
    done = await asyncio.create_subprocess_exec(sys.executable, "-c", code, stdout=subprocess.PIPE)
    out, _ = await done.communicate()
    assert out.decode().strip() == "[]"
