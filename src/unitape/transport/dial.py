"""Byte streams to a host: TCP, TLS, and HTTP proxies, on asyncio and on trio."""

from __future__ import annotations

import asyncio
import base64
import ssl
from urllib.parse import SplitResult, unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

import anyio
from anyio.abc import ByteStream

from unitape.errors import ConfigError, TransportError
from unitape.transport.base import WsOptions

__all__ = ["client_context", "dial", "on_asyncio", "proxy_for"]

READ_SIZE = 64 * 1024
PROXY_ANSWER_LIMIT = 16 * 1024
"""Bytes that the head of a proxy's answer may have."""


def on_asyncio() -> bool:
    """Tell whether this runs on asyncio, or on nothing yet."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        try:
            anyio.get_current_task()
        except RuntimeError:
            return True
        return False
    return True


def client_context(given: ssl.SSLContext | None) -> ssl.SSLContext:
    """Return the context to verify servers with."""
    return given if given is not None else ssl.create_default_context()


def proxy_for(url: str, choice: str | None) -> str | None:
    """Return the proxy that a URL goes through, or None.

    Raises:
        ConfigError: it is not an ``http://`` proxy.
    """
    proxy = choice
    if choice == "auto":
        parts = urlsplit(url)
        found = getproxies()
        secure = parts.scheme in ("wss", "https")
        proxy = found.get("https" if secure else "http") or found.get("all")
        if proxy is not None and proxy_bypass(parts.hostname or ""):
            proxy = None
    if not proxy:
        return None
    if "://" not in proxy:
        proxy = f"http://{proxy}"
    if urlsplit(proxy).scheme != "http":
        raise ConfigError(f"only http:// proxies are supported, not {proxy.split('://', 1)[0]}://")
    return proxy


async def dial(url: str, options: WsOptions) -> ByteStream:
    """Return a byte stream to the host of a ws or wss URL.

    Raises:
        TransportError: it cannot be reached, or its certificate is not trusted.
    """
    parts = urlsplit(url)
    host = parts.hostname
    if host is None or parts.scheme not in ("ws", "wss"):
        raise ConfigError(f"not a WebSocket URL: {url!r}")
    secure = parts.scheme == "wss"
    port = parts.port or (443 if secure else 80)
    proxy = proxy_for(url, options.proxy)
    try:
        stream: ByteStream
        if proxy is None:
            stream = await anyio.connect_tcp(host, port)
        else:
            stream = await _through_proxy(urlsplit(proxy), host, port)
        if not secure:
            return stream
        try:
            return await TlsStream.wrap(stream, client_context(options.tls), host)
        except BaseException:
            await anyio.aclose_forcefully(stream)
            raise
    except (OSError, ssl.SSLError, anyio.BrokenResourceError, anyio.EndOfStream) as error:
        raise TransportError(f"{host}:{port}: {error or type(error).__name__}") from error


class TlsStream(ByteStream):
    """TLS over a byte stream. One ``receive`` brings everything that one read of the socket decrypts to."""

    def __init__(self, stream: ByteStream, context: ssl.SSLContext, host: str) -> None:
        self._stream = stream
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=host)

    @classmethod
    async def wrap(cls, stream: ByteStream, context: ssl.SSLContext, host: str) -> TlsStream:
        """Shake hands as a client.

        Raises:
            ssl.SSLError: the handshake failed, or the certificate is not trusted.
        """
        self = cls(stream, context, host)
        while True:
            try:
                self._tls.do_handshake()
            except ssl.SSLWantReadError:
                await self._flush()
                self._incoming.write(await stream.receive(READ_SIZE))
            else:
                await self._flush()
                return self

    async def receive(self, max_bytes: int = READ_SIZE) -> bytes:
        """Return what was decrypted; ``max_bytes`` bounds one read of the socket."""
        while True:
            parts: list[bytes] = []
            try:
                while part := self._tls.read(READ_SIZE):
                    parts.append(part)
                ended = True
            except ssl.SSLWantReadError:
                ended = False
            except ssl.SSLZeroReturnError:
                ended = True
            if parts:
                return b"".join(parts)
            if ended:
                raise anyio.EndOfStream
            self._incoming.write(await self._stream.receive(max_bytes))

    async def send(self, item: bytes) -> None:
        """Encrypt and send."""
        self._tls.write(item)
        await self._flush()

    async def send_eof(self) -> None:
        """Close the connection: TLS has no half-closed state."""
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connection."""
        await self._stream.aclose()

    async def _flush(self) -> None:
        data = self._outgoing.read()
        if data:
            await self._stream.send(data)


async def _through_proxy(proxy: SplitResult, host: str, port: int) -> ByteStream:
    stream = await anyio.connect_tcp(proxy.hostname or "", proxy.port or 80)
    try:
        target = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        lines = [f"CONNECT {target} HTTP/1.1", f"Host: {target}"]
        if proxy.username is not None:
            secret = f"{unquote(proxy.username)}:{unquote(proxy.password or '')}".encode()
            lines.append(f"Proxy-Authorization: Basic {base64.b64encode(secret).decode()}")
        await stream.send("\r\n".join([*lines, "", ""]).encode())
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            if len(head) > PROXY_ANSWER_LIMIT:
                raise TransportError("the proxy's answer has no end")
            # One byte at a time: what follows the head belongs to the server already.
            head += await stream.receive(1)
        status = head.split(b"\r\n", 1)[0].decode("latin-1")
        if status.split(" ")[1:2] != ["200"]:
            raise TransportError(f"the proxy refuses {target}: {status}")
    except BaseException:
        await anyio.aclose_forcefully(stream)
        raise
    return stream
