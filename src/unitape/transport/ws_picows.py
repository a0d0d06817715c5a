"""WebSockets with ``picows``: asyncio only, several times cheaper per frame."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import ssl
from collections.abc import Callable
from typing import Any

import anyio
import anyio.lowlevel
from picows import (
    WSCloseCode,
    WSError,
    WSFrame,
    WSListener,
    WSMsgType,
    WSParsedURL,
    WSTransport,
    ws_connect,  # pyright: ignore[reportUnknownVariableType]
)

from unitape.errors import TransportError
from unitape.transport.base import Ended, Receiver, WsOptions
from unitape.transport.dial import client_context, proxy_for

__all__ = ["PicowsTransport"]

CLOSE_WITHIN = 2.0
"""Seconds that a peer has to answer a close."""

PORTION = 64 * 1024
"""Bytes that one connection may bring per turn of the loop."""

# What it would log is in the ``Ended`` or ``TransportError`` of the connection already; at its lowest levels it logs
# requests and headers, which may hold keys.
QUIET = logging.getLogger("unitape.transport.picows")
QUIET.addHandler(logging.NullHandler())
QUIET.setLevel(logging.CRITICAL)

TEXT, BINARY, CONTINUATION = WSMsgType.TEXT, WSMsgType.BINARY, WSMsgType.CONTINUATION


class PicowsTransport:
    """Needs the extra ``fast``."""

    name = "picows"

    async def run(self, url: str, receiver: Receiver, options: WsOptions) -> Ended:
        """Connect and bring frames until the connection ends."""
        secure = url.startswith("wss:")
        listener = _Listener(receiver, options.max_frame, secure=secure)
        dialled = _Dialled()
        try:
            with anyio.fail_after(options.timeout):
                await ws_connect(
                    lambda: listener,
                    url,
                    ssl_context=client_context(options.tls) if secure else None,
                    websocket_handshake_timeout=options.timeout,
                    enable_auto_pong=False,
                    max_frame_size=options.max_frame,
                    # A portion fits in beside half a message.
                    read_buffer_init_size=16 * 1024 if secure else 2 * PORTION,
                    extra_headers=options.headers,
                    proxy=proxy_for(url, options.proxy),
                    max_redirects=0,
                    logger_name=QUIET,
                    socket_factory=dialled.connect,
                )
        except TimeoutError:
            dialled.drop()
            raise TransportError(f"no connection within {options.timeout:g} s") from None
        except (OSError, ssl.SSLError, WSError, EOFError) as error:
            dialled.drop()
            raise TransportError(f"no WebSocket: {error or type(error).__name__}") from error
        except BaseException:
            listener.abort()
            dialled.drop()
            with anyio.CancelScope(shield=True):
                await anyio.lowlevel.checkpoint()
            raise
        try:
            await listener.wait()
            return listener.ended()
        finally:
            listener.abort()


class _Dialled:
    """The socket under a connection that is being made: who is cancelled before its handshake must end it himself."""

    def __init__(self) -> None:
        self._socket: socket.socket | None = None

    async def connect(self, url: WSParsedURL) -> socket.socket:
        """Connect to the first address that answers."""
        loop = asyncio.get_running_loop()
        error: OSError | None = None
        for family, kind, protocol, _, address in await loop.getaddrinfo(url.host, url.port, type=socket.SOCK_STREAM):
            made = socket.socket(family, kind, protocol)
            try:
                made.setblocking(False)
                await loop.sock_connect(made, address)
            except OSError as failure:
                made.close()
                error = failure
            except BaseException:
                made.close()
                raise
            else:
                self._socket = made
                return made
        raise error or OSError(f"{url.host} has no address")

    def drop(self) -> None:
        """End it. The transport that holds it meanwhile sees the end and closes it."""
        if self._socket is not None and self._socket.fileno() >= 0:
            with contextlib.suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)


def _ignore(transport: WSTransport, frame: WSFrame) -> None:
    """Take what still comes on a connection that is being ended."""


class _Portions(asyncio.BufferedProtocol):
    """Stands before the library's protocol, and lets a busy socket bring one portion per turn of the loop.

    Without it a socket that has more is read on at once, half a megabyte and more: consumers would wait for all of it,
    and what waits is no longer in the processor's cache when it is read.
    """

    def __init__(self, transport: asyncio.Transport, rest: Callable[[], None]) -> None:
        inner: Any = transport.get_protocol()
        self._buffer = inner.get_buffer
        self._take = inner.buffer_updated
        self._rest = rest
        # Everything else is the library's own.
        for name in ("connection_lost", "eof_received", "pause_writing", "resume_writing", "is_buffered_protocol"):
            setattr(self, name, getattr(inner, name))

    def get_buffer(self, sizehint: int) -> memoryview:
        """Return where the next bytes go."""
        room: memoryview = self._buffer(sizehint)
        return room[:PORTION]

    def buffer_updated(self, nbytes: int) -> None:
        """Take what was read. Where there may be more, let others run first."""
        self._take(nbytes)
        if nbytes == PORTION:
            self._rest()


class _Listener(WSListener):
    """One connection."""

    def __init__(self, receiver: Receiver, max_frame: int, *, secure: bool) -> None:
        self._gone = anyio.Event()
        self._closing = anyio.Event()
        self._receiver = receiver
        self._max_frame = max_frame
        self._secure = secure
        self._loop = asyncio.get_running_loop()
        self._transport: WSTransport | None = None
        self._paused = False
        self._resting = False
        self._parts: list[bytes] = []
        self._size = 0
        self._text = True
        self._refusal: Ended | None = None
        self._call(self._intake())

    def _call(self, on_ws_frame: Callable[[WSTransport, WSFrame], None]) -> None:
        """Let the library call this with each frame: it finds a function of the object before the class's method."""
        setattr(self, "on_ws_frame", on_ws_frame)  # noqa: B010 - checkers know only the method

    def _intake(self) -> Callable[[WSTransport, WSFrame], None]:
        """Return what takes the frames: a closure, since every look at ``self`` would be one per frame."""
        take, flush, other, most = self._receiver.frame, self._receiver.flush, self._other, self._max_frame

        def on_ws_frame(transport: WSTransport, frame: WSFrame) -> None:
            kind = frame.msg_type
            if frame.fin and (kind is TEXT or kind is BINARY):
                data = frame.get_payload_as_bytes()
                # The library says at the header that it refuses such a frame, and brings it all the same.
                if len(data) <= most:
                    take(data, kind is TEXT)
                else:
                    self._refuse(transport, len(data))
            else:
                other(transport, frame, kind)
            if frame.last_in_buffer:
                flush()

        return on_ws_frame

    def on_ws_connected(self, transport: WSTransport) -> None:
        """The handshake is done."""
        self._transport = transport
        if not self._secure:
            # TLS comes in records of 16 kB, and its reading cannot rest amid what is decrypted already.
            underlying = transport.underlying_transport
            underlying.set_protocol(_Portions(underlying, self._rest))
        self._receiver.opened(self)

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        """The socket is closed."""
        self._call(_ignore)
        self._gone.set()

    def send(self, data: bytes, text: bool) -> None:
        """Send one message."""
        if self._transport is not None and not self._gone.is_set():
            self._transport.send(TEXT if text else BINARY, data)

    def pause(self) -> None:
        """Stop reading."""
        self._paused = True
        self._steer_soon()

    def resume(self) -> None:
        """Go on reading."""
        self._paused = False
        self._steer_soon()

    def close(self, code: int = 1000, reason: str = "") -> None:
        """Begin to close."""
        if self._transport is not None and not self._gone.is_set():
            self.resume()
            self._transport.send_close(WSCloseCode(code), reason[:60].encode())
            self._closing.set()

    def abort(self) -> None:
        """Close the socket without a word, if it is open."""
        if self._transport is not None and not self._gone.is_set():
            self._transport.disconnect(graceful=False)

    async def wait(self) -> None:
        """Wait for the end, and not long for it once a close was begun."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._hurry)
            await self._gone.wait()
            tasks.cancel_scope.cancel()

    def ended(self) -> Ended:
        """Tell how it ended."""
        handshake = self._transport.close_handshake if self._transport is not None else None
        if self._refusal is not None:
            return self._refusal
        if handshake is not None and handshake.recv is not None:
            return Ended(handshake.recv.reason or "closed by the peer", handshake.recv.code.value)
        if handshake is not None and handshake.sent is not None:
            return Ended(handshake.sent.reason or "closed", handshake.sent.code.value)
        return Ended("the connection broke")

    async def _hurry(self) -> None:
        await self._closing.wait()
        await anyio.sleep(CLOSE_WITHIN)
        self.abort()

    def _rest(self) -> None:
        self._resting = True
        self._steer()
        self._loop.call_soon(self._rested)

    def _rested(self) -> None:
        self._resting = False
        self._steer()

    def _steer_soon(self) -> None:
        if self._secure:
            # A pause amid a read would leave decrypted messages behind until the peer sends more, and every end of a
            # pause reads at once.
            self._loop.call_soon(self._steer)
        else:
            self._steer()

    def _steer(self) -> None:
        if self._transport is None or self._gone.is_set():
            return
        underlying = self._transport.underlying_transport
        if underlying.is_closing():
            return
        read = not (self._paused or self._resting)
        if read and not underlying.is_reading():
            underlying.resume_reading()
        elif underlying.is_reading() and not read:
            underlying.pause_reading()

    def _other(self, transport: WSTransport, frame: WSFrame, kind: WSMsgType) -> None:
        if kind is TEXT or kind is BINARY or kind is CONTINUATION:
            self._part(transport, frame)
        elif kind is WSMsgType.PING:
            transport.send_pong(frame.get_payload_as_bytes())
            self._receiver.ping()
        elif kind is WSMsgType.PONG:
            self._receiver.ping()
        else:
            code = frame.get_close_code()
            transport.send_close(WSCloseCode.OK if code is WSCloseCode.NO_INFO else code)
            transport.disconnect()

    def _part(self, transport: WSTransport, frame: WSFrame) -> None:
        kind = frame.msg_type
        if kind is not CONTINUATION:
            self._text = kind is TEXT
            self._parts = []
            self._size = 0
        self._size += frame.payload_size
        if self._size > self._max_frame:
            self._refuse(transport, self._size)
            return
        self._parts.append(frame.get_payload_as_bytes())
        if frame.fin:
            self._receiver.frame(b"".join(self._parts), self._text)
            self._parts = []

    def _refuse(self, transport: WSTransport, size: int) -> None:
        text = f"a message of {size} bytes is larger than the {self._max_frame} that are taken"
        self._call(_ignore)
        self._refusal = Ended(text, WSCloseCode.MESSAGE_TOO_BIG.value)
        transport.send_close(WSCloseCode.MESSAGE_TOO_BIG)
        transport.disconnect()
