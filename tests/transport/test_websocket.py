"""Both WebSocket transports pass the same cases over real loopback sockets, with and without TLS."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import http
import socket
import ssl
from typing import Any

import pytest
from msgspec import structs
from websockets.asyncio.server import ServerConnection

from tests.transport.conftest import Inbox
from unitape.errors import ConfigError, TransportError
from unitape.transport import WsOptions, WsTransport, websocket_transport

pytestmark = pytest.mark.asyncio


async def test_messages_come_whole_in_order_and_in_batches(transport: WsTransport, loopback: Any) -> None:
    async def venue(ws: ServerConnection) -> None:
        assert ws.request is not None
        assert ws.request.path == "/stream?x=1"
        assert ws.request.headers["X-Key"] == "secret"
        await ws.send("first")
        await ws.send(b"\x00\x01")
        await ws.send(["frag", "men", "ted"])
        for n in range(1000):
            await ws.send(f"n{n}")
        await ws.close(4001, "enough")

    inbox = Inbox()
    async with loopback(venue) as (url, options):
        ended = await transport.run(url, inbox, structs.replace(options, headers=(("X-Key", "secret"),)))
    assert inbox.frames[:3] == [(b"first", True), (b"\x00\x01", False), (b"fragmented", True)]
    assert [data for data, _ in inbox.frames[3:]] == [f"n{n}".encode() for n in range(1000)]
    assert (ended.code, ended.text) == (4001, "enough")
    assert inbox.flushes[-1] == len(inbox.frames)
    assert len(inbox.flushes) < 500


async def test_what_is_sent_arrives_from_inside_a_receiver_too(transport: WsTransport, loopback: Any) -> None:
    async def venue(ws: ServerConnection) -> None:
        async for message in ws:
            await ws.send(message)

    inbox = Inbox()

    def opened(connection: Any) -> None:
        connection.send(b"hello", True)
        connection.send(b"\xff", False)

    def frame(data: bytes) -> None:
        assert inbox.connection is not None
        if data == b"hello":
            inbox.connection.send(b"again", True)
        elif data == b"again":
            inbox.connection.close()

    inbox.on_open, inbox.on_frame = opened, frame
    async with loopback(venue) as (url, options):
        ended = await transport.run(url, inbox, options)
    assert inbox.frames == [(b"hello", True), (b"\xff", False), (b"again", True)]
    assert ended.code == 1000


async def test_protocol_pings_are_answered_and_seen(transport: WsTransport, loopback: Any) -> None:
    answered: list[float] = []

    async def venue(ws: ServerConnection) -> None:
        answered.append(await asyncio.wait_for(await ws.ping(b"one"), 2.0))
        answered.append(await asyncio.wait_for(await ws.ping(b"two"), 2.0))

    inbox = Inbox()
    async with loopback(venue) as (url, options):
        await transport.run(url, inbox, options)
    assert len(answered) == 2
    assert inbox.pings == 2
    assert inbox.frames == []


@pytest.mark.parametrize("fragments", [False, True])
async def test_a_message_that_is_too_large_ends_the_connection(
    transport: WsTransport, loopback: Any, fragments: bool
) -> None:
    seen: list[int | None] = []

    async def venue(ws: ServerConnection) -> None:
        await ws.send("x" * 1000)
        await ws.send(["x" * 600, "x" * 600] if fragments else "x" * 1001)
        await ws.wait_closed()
        seen.append(ws.close_code)

    inbox = Inbox()
    async with loopback(venue) as (url, options):
        ended = await transport.run(url, inbox, structs.replace(options, max_frame=1000))
    assert [len(data) for data, _ in inbox.frames] == [1000]
    assert ended.code == 1009
    assert seen == [1009]


async def test_a_server_that_just_goes_away_is_noticed(transport: WsTransport, loopback: Any) -> None:
    async def venue(ws: ServerConnection) -> None:
        await ws.send("last")
        await asyncio.sleep(0.05)
        ws.transport.abort()

    inbox = Inbox()
    async with loopback(venue) as (url, options):
        ended = await asyncio.wait_for(transport.run(url, inbox, options), 5.0)
    assert inbox.frames == [(b"last", True)]
    assert ended.code in (None, 1006)


async def test_a_refused_handshake_says_why(transport: WsTransport, loopback: Any) -> None:
    async def venue(ws: ServerConnection) -> None: ...

    def refuse(ws: ServerConnection, request: Any) -> Any:
        return ws.respond(http.HTTPStatus.FORBIDDEN, "not from here\n")

    inbox = Inbox()
    async with loopback(venue, process_request=refuse) as (url, options):
        with pytest.raises(TransportError, match="403"):
            await transport.run(url, inbox, options)
    assert inbox.connection is None


async def test_pausing_stops_the_frames_and_resuming_brings_every_one(transport: WsTransport, loopback: Any) -> None:
    go = asyncio.Event()

    async def venue(ws: ServerConnection) -> None:
        await ws.send("0")
        await go.wait()
        for n in range(1, 200):
            await ws.send(str(n))
        await ws.close()

    inbox = Inbox()
    async with loopback(venue) as (url, options):
        running = asyncio.ensure_future(transport.run(url, inbox, options))
        await inbox.until(lambda: len(inbox.frames) == 1)
        assert inbox.connection is not None
        inbox.connection.pause()
        go.set()
        await asyncio.sleep(0.2)
        # One read may have been on its way already.
        held = len(inbox.frames)
        assert held < 200
        inbox.connection.resume()
        await asyncio.wait_for(running, 5.0)
    assert [data for data, _ in inbox.frames] == [str(n).encode() for n in range(200)]


async def test_cancelling_leaves_no_task_and_no_socket(transport: WsTransport, loopback: Any) -> None:
    gone = asyncio.Event()

    async def venue(ws: ServerConnection) -> None:
        await ws.send("x")
        await ws.wait_closed()
        gone.set()

    inbox = Inbox()
    async with loopback(venue) as (url, options):
        before = asyncio.all_tasks()
        running = asyncio.ensure_future(transport.run(url, inbox, options))
        await inbox.until(lambda: bool(inbox.frames))
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        await asyncio.wait_for(gone.wait(), 5.0)
        handlers = {task for task in asyncio.all_tasks() - before if "conn_handler" in repr(task.get_coro())}
        assert asyncio.all_tasks() - before - handlers == set()


def raw_server(after: bytes, answer: asyncio.Event) -> Any:
    """Shake hands, send these bytes in the same packet, and then nothing until told to go."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        lines = head.split(b"\r\n")
        key = next(line.split(b": ")[1] for line in lines if line.lower().startswith(b"sec-websocket-key"))
        accept = base64.b64encode(hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())
        writer.write(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n")
        writer.write(b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n" + after)
        await answer.wait()
        writer.close()

    return asyncio.start_server(handle, "127.0.0.1", 0)


async def test_closing_does_not_wait_long_for_a_peer_that_does_not_answer(
    transport: WsTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(f"unitape.transport.ws_{transport.name}.CLOSE_WITHIN", 0.1)
    answer = asyncio.Event()
    async with await raw_server(b"\x81\x02hi", answer) as server:
        port = server.sockets[0].getsockname()[1]
        inbox = Inbox()
        running = asyncio.ensure_future(transport.run(f"ws://127.0.0.1:{port}/", inbox, WsOptions(proxy=None)))
        await inbox.until(lambda: bool(inbox.frames))
        assert inbox.connection is not None
        inbox.connection.close()
        inbox.connection.send(b"not any more", True)
        await asyncio.wait_for(running, 2.0)
        answer.set()
        await asyncio.sleep(0)
    assert inbox.frames == [(b"hi", True)]


async def test_whole_messages_are_handed_over_though_the_next_is_only_half_there(transport: WsTransport) -> None:
    answer = asyncio.Event()
    async with await raw_server(b"\x81\x02hi\x81\x02ho\x81\x02h", answer) as server:
        port = server.sockets[0].getsockname()[1]
        inbox = Inbox()
        running = asyncio.ensure_future(transport.run(f"ws://127.0.0.1:{port}/", inbox, WsOptions(proxy=None)))
        await inbox.until(lambda: len(inbox.frames) == 2)
        await asyncio.sleep(0.05)
        assert inbox.flushes == [2]
        answer.set()
        await asyncio.wait_for(running, 2.0)
    assert inbox.frames == [(b"hi", True), (b"ho", True)]


async def test_a_host_that_does_not_answer_is_given_up(transport: WsTransport) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:  # accepts by the kernel, never speaks
        url = f"ws://127.0.0.1:{server.getsockname()[1]}/"
        with pytest.raises(TransportError, match=r"0\.2 s"):
            await transport.run(url, Inbox(), WsOptions(proxy=None, timeout=0.2))


async def test_a_port_where_nobody_listens_is_a_transport_error(transport: WsTransport) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"ws://127.0.0.1:{free.getsockname()[1]}/"
        with pytest.raises(TransportError):
            await transport.run(url, Inbox(), WsOptions(proxy=None, timeout=2.0))


async def test_a_certificate_of_an_unknown_authority_is_refused(transport: WsTransport, loopback: Any) -> None:
    async def venue(ws: ServerConnection) -> None:
        await ws.wait_closed()

    async with loopback(venue) as (url, options):
        if url.startswith("ws:"):
            pytest.skip("there is no certificate without TLS")
        with pytest.raises(TransportError):
            await transport.run(url, Inbox(), structs.replace(options, tls=ssl.create_default_context()))


async def test_a_connection_goes_through_an_http_proxy(transport: WsTransport, loopback: Any) -> None:
    asked: list[bytes] = []

    async def venue(ws: ServerConnection) -> None:
        await ws.send("through")
        await ws.close()

    async def proxy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        asked.append(head)
        host, port = head.split(b" ")[1].decode().rsplit(":", 1)
        there, back = await asyncio.open_connection(host, int(port))
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")

        async def pipe(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
            while data := await source.read(4096):
                sink.write(data)
            sink.close()

        await asyncio.gather(pipe(reader, back), pipe(there, writer))

    inbox = Inbox()
    server = await asyncio.start_server(proxy, "127.0.0.1", 0)
    async with server, loopback(venue) as (url, options):
        via = f"http://user:pass@127.0.0.1:{server.sockets[0].getsockname()[1]}"
        await transport.run(url, inbox, structs.replace(options, proxy=via))
        await asyncio.sleep(0.05)
    assert inbox.frames == [(b"through", True)]
    assert asked[0].startswith(b"CONNECT 127.0.0.1:")
    assert b"Basic dXNlcjpwYXNz" in asked[0]


async def test_auto_takes_the_fastest_installed_and_unknown_names_are_refused() -> None:
    pytest.importorskip("picows")
    assert websocket_transport("auto").name == "picows"
    with pytest.raises(ConfigError, match="there are"):
        websocket_transport("pigeon")


async def test_a_pause_from_inside_a_receiver_leaves_no_message_behind(transport: WsTransport, loopback: Any) -> None:
    async def venue(ws: ServerConnection) -> None:
        for n in range(400):
            await ws.send(f"{n}".ljust(500))
        await ws.wait_closed()

    inbox = Inbox()

    def frame(data: bytes) -> None:
        connection = inbox.connection
        assert connection is not None
        if data.startswith(b"0 "):
            connection.pause()
            asyncio.get_running_loop().call_later(0.1, connection.resume)

    inbox.on_frame = frame
    async with loopback(venue) as (url, options):
        running = asyncio.ensure_future(transport.run(url, inbox, options))
        # The venue says nothing more, so that only what came before the pause can bring the rest.
        await inbox.until(lambda: len(inbox.frames) == 400)
        assert inbox.connection is not None
        inbox.connection.close()
        await asyncio.wait_for(running, 5.0)
    assert [int(data) for data, _ in inbox.frames] == list(range(400))


async def test_a_busy_socket_lets_others_run_between_its_reads(transport: WsTransport, loopback: Any) -> None:
    async def venue(ws: ServerConnection) -> None:
        # What comes in one read with the handshake's answer is a read of its own size.
        await ws.recv()
        for _ in range(3000):
            await ws.send(b"x" * 1000)
        await ws.close()

    inbox = Inbox()
    inbox.on_open = lambda connection: connection.send(b"go", True)
    async with loopback(venue) as (url, options):
        running = asyncio.ensure_future(transport.run(url, inbox, options))
        most = seen = 0
        while not running.done():
            await asyncio.sleep(0)
            most, seen = max(most, len(inbox.frames) - seen), len(inbox.frames)
    assert seen == 3000
    assert most <= (300 if url.startswith("wss") else 70)
