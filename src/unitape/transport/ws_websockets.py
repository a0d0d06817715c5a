"""WebSockets with the protocol core of ``websockets`` on anyio streams: asyncio and trio."""

from __future__ import annotations

import ssl

import anyio
from anyio.abc import ByteStream
from websockets.client import ClientProtocol
from websockets.exceptions import InvalidHandshake, WebSocketException
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory
from websockets.frames import Frame, Opcode
from websockets.http11 import Response
from websockets.protocol import Event
from websockets.uri import parse_uri

from unitape.errors import TransportError
from unitape.transport.base import Ended, Receiver, WsOptions
from unitape.transport.dial import dial

__all__ = ["WebsocketsTransport"]

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
        link: _Link | None = None
        try:
            with anyio.fail_after(options.timeout):
                link = _Link(await dial(url, options), _protocol(url, options), receiver)
                await link.handshake(options)
            receiver.opened(link)
            return await link.serve()
        except TimeoutError:
            raise TransportError(f"no connection within {options.timeout:g} s") from None
        finally:
            if link is not None:
                await anyio.aclose_forcefully(link.stream)


def _protocol(url: str, options: WsOptions) -> ClientProtocol:
    extensions = [ClientPerMessageDeflateFactory()] if options.compress else None
    return ClientProtocol(parse_uri(url), extensions=extensions, max_size=options.max_frame)


class _Link:
    """One connection: a reader, a writer, and the protocol core between them."""

    def __init__(self, stream: ByteStream, protocol: ClientProtocol, receiver: Receiver) -> None:
        self.stream = stream
        self._protocol = protocol
        self._receiver = receiver
        self._waiting = bytearray()
        self._wake = anyio.Event()
        self._flowing = anyio.Event()
        self._flowing.set()
        self._parts: list[bytes] = []
        self._text = True
        self._ended: Ended | None = None
        self._closing: float | None = None
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

    def send(self, data: bytes, text: bool) -> None:
        """Send one message."""
        if self._ended is not None or self._closing is not None:
            return
        if text:
            self._protocol.send_text(data)
        else:
            self._protocol.send_binary(data)
        self._push()

    def pause(self) -> None:
        """Stop reading."""
        if self._flowing.is_set():
            self._flowing = anyio.Event()

    def resume(self) -> None:
        """Go on reading."""
        self._flowing.set()

    def close(self, code: int = 1000, reason: str = "") -> None:
        """Begin to close."""
        if self._ended is None and self._closing is None:
            self._closing = anyio.current_time() + CLOSE_WITHIN
            try:
                self._protocol.send_close(code, reason[:60])
            except WebSocketException:
                self._end("closed", None)
            self._push()
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
        if self._ended is None:
            self._ended = Ended(text, code)
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
            if self._closing is not None:
                scope.deadline = self._closing
            elif self._ended is not None:
                return b""
            return await self.stream.receive(READ_SIZE)
        return None if self._closing is not None and anyio.current_time() >= self._closing else b""

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

    def _handle(self, events: list[Event]) -> None:
        receiver = self._receiver
        brought = False
        for event in events:
            if not isinstance(event, Frame):
                continue
            opcode = event.opcode
            if opcode is Opcode.TEXT or opcode is Opcode.BINARY:
                self._text = opcode is Opcode.TEXT
                if event.fin:
                    receiver.frame(bytes(event.data), self._text)
                    brought = True
                else:
                    self._parts = [bytes(event.data)]
            elif opcode is Opcode.CONT:
                self._parts.append(bytes(event.data))
                if event.fin:
                    receiver.frame(b"".join(self._parts), self._text)
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


def _refused(response: Response, error: Exception) -> TransportError:
    body = (response.body or b"")[:200].decode("utf-8", "replace")
    reason = f"the server answers {response.status_code} {response.reason_phrase}"
    if response.status_code == 101 or not isinstance(error, InvalidHandshake):
        reason = f"no WebSocket: {error}"
    return TransportError(f"{reason} {body}".rstrip())
