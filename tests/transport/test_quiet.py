"""Whatever is logged, addresses and headers of a connection are not: they may hold keys."""

from __future__ import annotations

import logging

import anyio
import pytest

from unitape.errors import TransportError
from unitape.transport.base import WsOptions
from unitape.transport.ws_websockets import WebsocketsTransport


class Nobody:
    def opened(self, connection):
        raise AssertionError("nobody answers here")

    def frame(self, data, text, /):
        pass

    def ping(self):
        pass

    def flush(self):
        pass


def transports():
    yield WebsocketsTransport
    try:
        from unitape.transport.ws_picows import PicowsTransport
    except ImportError:
        return
    yield PicowsTransport


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.parametrize("make", list(transports()))
async def test_nothing_of_a_handshake_is_logged(make, anyio_backend, caplog):
    caplog.set_level(1)
    logging.getLogger().setLevel(1)
    seen = []

    async def refuse(stream):
        async with stream:
            seen.append(await stream.receive())
            await stream.send(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")

    listener = await anyio.create_tcp_listener(local_host="127.0.0.1", local_port=0)
    port = listener.extra(anyio.abc.SocketAttribute.local_port)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, refuse)
        options = WsOptions(headers=(("X-Key", "header-secret"),), proxy=None)
        with pytest.raises(TransportError):
            await make().run(f"ws://127.0.0.1:{port}/private/ws/listen-secret", Nobody(), options)
        tasks.cancel_scope.cancel()
    await listener.aclose()
    assert b"listen-secret" in seen[0]
    assert b"header-secret" in seen[0]
    assert "listen-secret" not in caplog.text
    assert "header-secret" not in caplog.text
