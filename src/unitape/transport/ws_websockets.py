"""WebSockets with the protocol core of ``websockets``: on asyncio's own sockets, elsewhere on anyio streams."""

from __future__ import annotations

import asyncio
import logging
import ssl
from abc import ABC, abstractmethod
from typing import cast
from urllib.parse import urlsplit

import anyio
from anyio.abc import ByteStream
from websockets.client import ClientProtocol
from websockets.exceptions import InvalidHandshake, WebSocketException
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory
from websockets.frames import Frame, Opcode
from websockets.http11 import Response
from websockets.protocol import Event
from websockets.uri import parse_uri

from unitape.clock import loop_time
from unitape.errors import ConfigError, TransportError
from unitape.transport.base import Ended, Receiver, WsOptions
from unitape.transport.dial import client_context, dial, on_asyncio, proxy_for

__all__ = ["WebsocketsTransport"]

# The library logs addresses, headers and messages at DEBUG; those of private connections hold keys and signatures.
QUIET = logging.getLogger("unitape.transport.websockets")
QUIET.setLevel(logging.CRITICAL)

READ_SIZE = 64 * 1024
WRITE_LIMIT = 4 * 1024 * 1024
"""Bytes that may wait for a peer that does not read; more ends the connection."""
CLOSE_WITHIN = 2.0
"""Seconds that a peer has to answer a close."""

BROKEN = (OSError, ssl.SSLError, anyio.BrokenResourceError, anyio.ClosedResourceError, anyio.EndOfStream)


class WebsocketsTransport:
    """Always there."""

    name = "websockets"

    async def run(self, url: str, receiver: Receiver, options: WsOptions) -> Ended:
        """Connect and bring frames until the connection ends."""
        if on_asyncio() and proxy_for(url, options.proxy) is None:
            return await _run_on_asyncio(url, receiver, options)
        link: _StreamLink | None = None
        try:
            with anyio.fail_after(options.timeout):
                link = _StreamLink(await dial(url, options), _protocol(url, options), receiver)
                await link.handshake(options)
            receiver.opened(link)
            return await link.serve()
        except TimeoutError:
            raise TransportError(f"no connection within {options.timeout:g} s") from None
        finally:
            if link is not None:
                await anyio.aclose_forcefully(link.stream)


async def _run_on_asyncio(url: str, receiver: Receiver, options: WsOptions) -> Ended:
    parts = urlsplit(url)
    if parts.hostname is None or parts.scheme not in ("ws", "wss"):
        raise ConfigError(f"not a WebSocket URL: {url!r}")
    secure = parts.scheme == "wss"
    host, port = parts.hostname, parts.port or (443 if secure else 80)
    link = _SocketLink(_protocol(url, options), receiver, options)
    context = client_context(options.tls) if secure else None
    try:
        with anyio.fail_after(options.timeout):
            loop = asyncio.get_running_loop()
            try:
                await loop.create_connection(lambda: link, host, port, ssl=context)
            except (OSError, ssl.SSLError) as error:
                raise TransportError(f"{host}:{port}: {error or type(error).__name__}") from error
            await link.handshake()
        return await link.serve()
    except TimeoutError:
        raise TransportError(f"no connection within {options.timeout:g} s") from None
    finally:
        await link.aclose()


def _protocol(url: str, options: WsOptions) -> ClientProtocol:
    extensions = [ClientPerMessageDeflateFactory()] if options.compress else None
    return ClientProtocol(parse_uri(url), extensions=extensions, max_size=options.max_frame, logger=QUIET)


class _Link(ABC):
    """One connection, but for the bytes' way in and out: the protocol core and its receiver."""

    def __init__(self, protocol: ClientProtocol, receiver: Receiver) -> None:
        self._protocol = protocol
        self._receiver = receiver
        self._parts: list[bytes] = []
        self._text = True
        self._ended: Ended | None = None
        self._closing = False

    def send(self, data: bytes, text: bool) -> None:
        """Send one message."""
        if self._ended is not None or self._closing:
            return
        if text:
            self._protocol.send_text(data)
        else:
            self._protocol.send_binary(data)
        self._push()

    def close(self, code: int = 1000, reason: str = "") -> None:
        """Begin to close."""
        if self._ended is None and not self._closing:
            self._closing = True
            try:
                self._protocol.send_close(code, reason[:60])
            except WebSocketException:
                self._end("closed", None)
            self._push()
            self._hurry()

    @abstractmethod
    def _push(self) -> None:
        """Bring what the protocol core wants to say on its way."""

    @abstractmethod
    def _hurry(self) -> None:
        """A close has begun: the peer has to answer it in time."""

    def _end(self, text: str, code: int | None) -> None:
        if self._ended is None:
            self._ended = Ended(text, code)

    def _handle(self, events: list[Event]) -> None:
        receiver = self._receiver
        take = receiver.frame
        brought = False
        for event in events:
            if not isinstance(event, Frame):
                continue
            opcode = event.opcode
            if opcode is Opcode.TEXT or opcode is Opcode.BINARY:
                self._text = opcode is Opcode.TEXT
                data = event.data
                if type(data) is not bytes:
                    data = bytes(data)
                if event.fin:
                    take(data, opcode is Opcode.TEXT)
                    brought = True
                else:
                    self._parts = [data]
            elif opcode is Opcode.CONT:
                self._parts.append(bytes(event.data))
                if event.fin:
                    take(b"".join(self._parts), self._text)
                    self._parts = []
                    brought = True
            elif opcode is Opcode.PING or opcode is Opcode.PONG:
                receiver.ping()
        if brought:
            receiver.flush()
        self._push()
        protocol = self._protocol
        if protocol.close_rcvd is not None:
            self._end(protocol.close_rcvd.reason or "closed by the peer", protocol.close_rcvd.code)
        elif protocol.parser_exc is not None:
            sent = protocol.close_sent
            self._end(f"not understood: {protocol.parser_exc}", sent.code if sent is not None else None)


class _StreamLink(_Link):
    """A connection on an anyio stream: a reader and a writer."""

    def __init__(self, stream: ByteStream, protocol: ClientProtocol, receiver: Receiver) -> None:
        super().__init__(protocol, receiver)
        self.stream = stream
        self._waiting = bytearray()
        self._wake = anyio.Event()
        self._flowing = anyio.Event()
        self._flowing.set()
        self._close_by: float | None = None
        self._reading: anyio.CancelScope | None = None
        self._early: list[Event] = []

    async def handshake(self, options: WsOptions) -> None:
        """Upgrade to WebSocket.

        Raises:
            TransportError: the server refuses, or the connection breaks.
        """
        protocol = self._protocol
        request = protocol.connect()
        for name, value in options.headers:
            request.headers[name] = value
        protocol.send_request(request)
        try:
            await self.stream.send(b"".join(protocol.data_to_send()))
            while True:
                protocol.receive_data(await self.stream.receive(READ_SIZE))
                events = protocol.events_received()
                if events and isinstance(events[0], Response):
                    if protocol.handshake_exc is not None:
                        raise _refused(events[0], protocol.handshake_exc)
                    self._early = events[1:]
                    return
                if protocol.handshake_exc is not None:
                    raise TransportError(f"no WebSocket: {protocol.handshake_exc}")
        except BROKEN as error:
            raise TransportError(f"the connection broke in the handshake: {error or type(error).__name__}") from error
        except WebSocketException as error:
            raise TransportError(f"no WebSocket: {error}") from error

    async def serve(self) -> Ended:
        """Read and write until the connection ends."""
        # Frames may have come in the same read as the handshake's answer.
        self._handle(self._early)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._write)
            await self._read()
            tasks.cancel_scope.cancel()
        return self._ended or Ended("the connection broke")

    def pause(self) -> None:
        """Stop reading."""
        if self._flowing.is_set():
            self._flowing = anyio.Event()

    def resume(self) -> None:
        """Go on reading."""
        self._flowing.set()

    def _hurry(self) -> None:
        self._close_by = loop_time() + CLOSE_WITHIN
        self.resume()
        if self._reading is not None:
            self._reading.cancel()

    def _push(self) -> None:
        for data in self._protocol.data_to_send():
            self._waiting += data
        if len(self._waiting) > WRITE_LIMIT:
            self._end(f"the peer does not read: {len(self._waiting)} bytes wait", None)
        if self._waiting:
            self._wake.set()

    def _end(self, text: str, code: int | None) -> None:
        super()._end(text, code)
        self._flowing.set()
        if self._reading is not None and self._protocol.close_sent is None:
            self._reading.cancel()

    async def _read(self) -> None:
        while self._ended is None:
            await self._flowing.wait()
            try:
                data = await self._receive()
            except BROKEN as error:
                self._end(f"the connection broke: {str(error) or type(error).__name__}", None)
                return
            if data is None:
                self._end("the peer did not answer the close", None)
                return
            if data:
                self._protocol.receive_data(data)
                self._handle(self._protocol.events_received())
        if self._protocol.close_sent is not None:
            await self._linger()

    async def _receive(self) -> bytes | None:
        """Read once. Empty when a close began meanwhile, None when the peer did not answer one in time."""
        with anyio.CancelScope() as scope:
            self._reading = scope
            if self._close_by is not None:
                scope.deadline = self._close_by
            elif self._ended is not None:
                return b""
            return await self.stream.receive(READ_SIZE)
        return None if self._close_by is not None and loop_time() >= self._close_by else b""

    async def _linger(self) -> None:
        """Let the peer close the socket first: closing over unread bytes would make our close frame vanish."""
        with anyio.move_on_after(CLOSE_WITHIN):
            try:
                while True:
                    await self.stream.receive(READ_SIZE)
            except BROKEN:
                pass

    async def _write(self) -> None:
        while True:
            await self._wake.wait()
            self._wake = anyio.Event()
            if self._waiting:
                data = bytes(self._waiting)
                self._waiting.clear()
                try:
                    await self.stream.send(data)
                except BROKEN as error:
                    self._end(f"the connection broke: {str(error) or type(error).__name__}", None)


class _SocketLink(_Link, asyncio.BufferedProtocol):
    """A connection on asyncio's own transport: what is read is taken in the callback, with no task in between."""

    def __init__(self, protocol: ClientProtocol, receiver: Receiver, options: WsOptions) -> None:
        super().__init__(protocol, receiver)
        self._options = options
        self._room = memoryview(bytearray(READ_SIZE))
        self._transport: asyncio.Transport | None = None
        self._shaken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._over = asyncio.Event()
        """Set once the connection has ended, as far as the user is concerned."""
        self._gone = asyncio.Event()
        """Set once the socket is closed."""

    # What asyncio calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The socket stands: ask for WebSocket."""
        self._transport = cast("asyncio.Transport", transport)
        if self._shaken.done():
            # Whoever wanted this connection left while it was being made.
            self._transport.abort()
            return
        request = self._protocol.connect()
        for name, value in self._options.headers:
            request.headers[name] = value
        self._protocol.send_request(request)
        self._push()

    def get_buffer(self, sizehint: int) -> memoryview:
        """Return where the next bytes go: one portion per turn of the loop, so that consumers have theirs."""
        return self._room

    def buffer_updated(self, nbytes: int) -> None:
        """Take what was read."""
        if self._over.is_set():
            return
        # The core copies it into its own buffer at once.
        self._protocol.receive_data(cast("bytes", self._room[:nbytes]))
        events = self._protocol.events_received()
        if self._shaken.done():
            self._handle(events)
        else:
            self._shake(events)

    def connection_lost(self, exc: Exception | None) -> None:
        """The socket is closed."""
        text = f": {str(exc) or type(exc).__name__}" if exc is not None else ""
        if not self._shaken.done():
            self._shaken.set_exception(TransportError(f"the connection broke in the handshake{text}"))
        self._end(f"the connection broke{text}", None)
        self._gone.set()

    # What the transport calls

    async def handshake(self) -> None:
        """Wait for the end of the upgrade.

        Raises:
            TransportError: the server refuses, or the connection breaks.
        """
        await self._shaken

    async def serve(self) -> Ended:
        """Wait for the end. The peer closes the socket first: closing over unread bytes would lose our close frame."""
        await self._over.wait()
        if self._protocol.close_sent is not None:
            with anyio.move_on_after(CLOSE_WITHIN):
                await self._gone.wait()
        return self._ended or Ended("the connection broke")

    async def aclose(self) -> None:
        """Leave no socket behind."""
        # Nobody asks any more how the handshake went; a loop complains of answers that nobody takes.
        if not self._shaken.cancel() and not self._shaken.cancelled():
            self._shaken.exception()
        if self._transport is not None and not self._gone.is_set():
            self._transport.abort()
            with anyio.CancelScope(shield=True):
                await self._gone.wait()

    # What the receiver's side calls

    def pause(self) -> None:
        """Stop reading."""
        if self._transport is not None and not self._over.is_set() and not self._closing:
            self._transport.pause_reading()

    def resume(self) -> None:
        """Go on reading."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    def _shake(self, events: list[Event]) -> None:
        protocol = self._protocol
        if events and isinstance(events[0], Response):
            if protocol.handshake_exc is None:
                self._shaken.set_result(None)
                self._receiver.opened(self)
                # Frames may have come in the same read.
                self._handle(events[1:])
            else:
                self._shaken.set_exception(_refused(events[0], protocol.handshake_exc))
        elif protocol.handshake_exc is not None:
            self._shaken.set_exception(TransportError(f"no WebSocket: {protocol.handshake_exc}"))

    def _push(self) -> None:
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        for data in self._protocol.data_to_send():
            if data:
                transport.write(data)
        waiting = transport.get_write_buffer_size()
        if waiting > WRITE_LIMIT:
            self._end(f"the peer does not read: {waiting} bytes wait", None)

    def _hurry(self) -> None:
        self.resume()
        asyncio.get_running_loop().call_later(CLOSE_WITHIN, self._end, "the peer did not answer the close", None)

    def _end(self, text: str, code: int | None) -> None:
        super()._end(text, code)
        self._over.set()
        self.resume()


def _refused(response: Response, error: Exception) -> TransportError:
    body = (response.body or b"")[:200].decode("utf-8", "replace")
    reason = f"the server answers {response.status_code} {response.reason_phrase}"
    if response.status_code == 101 or not isinstance(error, InvalidHandshake):
        reason = f"no WebSocket: {error}"
    return TransportError(f"{reason} {body}".rstrip())
