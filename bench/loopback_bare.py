"""The libraries alone: what counting frames costs, and with a function that decodes each of them.

Nothing here is shared with the transports that are measured.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

SUBSCRIBE = b'{"method":"SUBSCRIBE","params":["any"],"id":1}'
Take = Callable[[bytes], object]


class Tally:
    """Counts frames, and tells when the warm-up and when everything is in. Not before: the acknowledgement."""

    def __init__(self, warm_up: int, total: int, take: Take | None) -> None:
        self.take = take
        self.left = 1 + warm_up
        self.reads = 0
        self.warm = asyncio.Event()
        self.done = asyncio.Event()
        self.at_end: Callable[[], object] = lambda: None
        self._total = total

    def reached(self) -> None:
        """The count came down to nothing."""
        if self.warm.is_set():
            self.at_end()
            self.done.set()
        else:
            self.warm.set()
            self.left = self._total
            self.reads = 0


async def picows(url: str, context: ssl.SSLContext | None, tally: Tally) -> Callable[[], None]:
    """Connect with picows and return what closes the connection."""
    from picows import WSFrame, WSListener, WSMsgType, WSTransport, ws_connect

    text = WSMsgType.TEXT
    take = tally.take

    class Listener(WSListener):
        def on_ws_connected(self, transport: WSTransport) -> None:
            transport.send(text, SUBSCRIBE)

        def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
            if frame.msg_type is text:
                data = frame.get_payload_as_bytes()
                if take is not None:
                    take(data)
                tally.left -= 1
                if not tally.left:
                    tally.reached()
            if frame.last_in_buffer:
                tally.reads += 1

    transport, _ = await ws_connect(Listener, url, ssl_context=context, proxy=None)
    return lambda: transport.disconnect(graceful=False)


async def websockets(url: str, context: ssl.SSLContext | None, tally: Tally) -> Callable[[], None]:
    """Connect with the protocol core of websockets in an asyncio protocol: the leanest use of that library."""
    from websockets.client import ClientProtocol
    from websockets.frames import Frame, Opcode
    from websockets.http11 import Response
    from websockets.uri import parse_uri

    text = Opcode.TEXT
    take = tally.take

    class Receiver(asyncio.Protocol):
        def connection_made(self, transport: Any) -> None:
            self._transport = transport
            self._protocol = ClientProtocol(parse_uri(url))
            self._protocol.send_request(self._protocol.connect())
            self._flush()

        def data_received(self, data: bytes) -> None:
            self._protocol.receive_data(data)
            for event in self._protocol.events_received():
                if isinstance(event, Frame):
                    if event.opcode is text:
                        if take is not None:
                            take(event.data)
                        tally.left -= 1
                        if not tally.left:
                            tally.reached()
                elif isinstance(event, Response):
                    self._protocol.send_text(SUBSCRIBE)
                    self._flush()
            tally.reads += 1

        def _flush(self) -> None:
            for data in self._protocol.data_to_send():
                self._transport.write(data)

    parts = urlsplit(url)
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_connection(Receiver, parts.hostname, parts.port, ssl=context)
    return transport.abort


async def websockets_client(url: str, context: ssl.SSLContext | None, tally: Tally) -> Callable[[], None]:
    """Connect with the client of websockets, as its documentation says."""
    from websockets.asyncio.client import connect

    client = await connect(url, ssl=context, compression=None, proxy=None)
    take = tally.take

    async def read() -> None:
        while True:
            data = await client.recv(decode=False)
            if take is not None:
                take(data)
            tally.left -= 1
            if not tally.left:
                tally.reached()

    await client.send(SUBSCRIBE, text=True)
    reading = asyncio.create_task(read())

    def close() -> None:
        reading.cancel()
        client.transport.abort()

    return close


LIBRARIES = {"picows": picows, "websockets": websockets}
