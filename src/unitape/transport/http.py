"""HTTP with aiohttp, which is loaded at the first request."""

from __future__ import annotations

import asyncio
import ssl
from typing import TYPE_CHECKING

import anyio

from unitape.errors import TransportError
from unitape.spi import HttpRequest, HttpResponse
from unitape.transport.dial import client_context, on_asyncio, proxy_for

if TYPE_CHECKING:
    import aiohttp

__all__ = ["AiohttpClient"]

BODY_LIMIT = 64 * 1024 * 1024
"""Bytes of an answer that are read."""
CONNECTIONS_PER_HOST = 8


class AiohttpClient:
    """Keeps connections open between requests. asyncio only."""

    def __init__(self, tls: ssl.SSLContext | None = None, proxy: str | None = "auto") -> None:
        self._tls = tls
        self._proxy = proxy
        self._reads: aiohttp.ClientSession | None = None
        self._writes: aiohttp.ClientSession | None = None

    async def request(self, base: str, request: HttpRequest, timeout: float) -> HttpResponse:
        """Send one request and return its answer, whatever its status.

        Raises:
            TransportError: no whole answer arrived in ``timeout`` seconds.
        """
        if not on_asyncio():
            raise TransportError("HTTP over the network needs asyncio; use the memory transport on trio", sent=False)
        import aiohttp
        from yarl import URL

        reads, writes = self._open()
        session = writes if request.write else reads
        target = base.rstrip("/") + request.target
        try:
            with anyio.fail_after(timeout):
                async with session.request(
                    request.method,
                    # Signatures cover the target as it is written, so nothing may be quoted again.
                    URL(target, encoded=True),
                    data=request.body or None,
                    headers=dict(request.headers),
                    proxy=proxy_for(target, self._proxy),
                    allow_redirects=False,
                ) as answer:
                    body = await _body(answer)
                    headers = tuple((name.lower(), value) for name, value in answer.headers.items())
                    return HttpResponse(answer.status, body, headers)
        except TimeoutError:
            raise TransportError(f"no answer from {base} within {timeout:g} s") from None
        except aiohttp.ClientConnectorError as error:
            raise TransportError(f"{base}: {str(error) or type(error).__name__}", sent=False) from error
        except (aiohttp.ClientError, OSError, ssl.SSLError, asyncio.IncompleteReadError) as error:
            raise TransportError(f"{base}: {str(error) or type(error).__name__}") from error

    async def aclose(self) -> None:
        """Close the connections kept open."""
        reads, writes, self._reads, self._writes = self._reads, self._writes, None, None
        if writes is not None:
            await writes.close()
        if reads is not None:
            await reads.close()

    def _open(self) -> tuple[aiohttp.ClientSession, aiohttp.ClientSession]:
        if self._reads is None or self._writes is None:
            import aiohttp

            connector = aiohttp.TCPConnector(ssl=client_context(self._tls), limit_per_host=CONNECTIONS_PER_HOST)
            self._reads = _session(connector, owner=True)
            self._writes = _session(connector, owner=False)
            # aiohttp sends PUT and DELETE again by itself when a kept connection breaks, and offers no switch.
            self._writes._retry_connection = False  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
        return self._reads, self._writes


def _session(connector: aiohttp.TCPConnector, *, owner: bool) -> aiohttp.ClientSession:
    import aiohttp

    return aiohttp.ClientSession(
        connector=connector,
        connector_owner=owner,
        timeout=aiohttp.ClientTimeout(total=None),
        skip_auto_headers=("Content-Type",),
        cookie_jar=aiohttp.DummyCookieJar(),
    )


async def _body(answer: aiohttp.ClientResponse) -> bytes:
    parts: list[bytes] = []
    size = 0
    async for part in answer.content.iter_any():
        size += len(part)
        if size > BODY_LIMIT:
            raise TransportError(f"the answer is larger than {BODY_LIMIT} bytes")
        parts.append(part)
    return b"".join(parts)
