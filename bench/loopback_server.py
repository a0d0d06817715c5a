"""The far side of the loopback benchmark: a process of its own, for CPU time that is the receiver's alone.

It speaks just enough of one spot market: SUBSCRIBE is acknowledged, a depth snapshot can be had by HTTP, and a few
frames follow at once. The rest follows when a line comes in on the standard input. What is sent stands in the path:
``/KIND/COUNT/RATE/…``, rate 0 being as fast as the socket takes it.
"""

from __future__ import annotations

import base64
import hashlib
import json
import queue
import random
import socket
import ssl
import struct
import sys
import threading
import time
from functools import cache

from bench import wire_binance

WARM_UP = 16
"""Frames that are sent at once, so that what is measured begins in the steady state."""
CHUNK = 1 << 18
FIRST_UPDATE, UPDATES = 78_120_445_101, 33
"""Update id of the first depth frame, and ids per frame."""
LEVELS = 1_000
STREAMS = {"trades": "btcusdt@trade", "top": "btcusdt@depth20@100ms", "book": "btcusdt@depth@100ms"}
KEY = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


def last_update(number: int) -> int:
    """Return the last update id of a depth frame."""
    return FIRST_UPDATE + UPDATES * (number + 1) - 1


def _side(rng: random.Random, sign: int) -> str:
    # Changes crowd near the best price, and never cross it.
    ticks = sorted({min(LEVELS, 1 + int(rng.expovariate(1 / 60))) for _ in range(40)})[:20]
    ticks += range(LEVELS + 1, LEVELS + 21 - len(ticks))
    rows = (
        f'["{65_000 + sign * 0.01 * tick:.8f}","{0.0 if rng.random() < 0.3 else rng.random() * 5:.8f}"]'
        for tick in ticks
    )
    return ",".join(rows)


def _depth(rng: random.Random, number: int, price: float) -> str:
    first = FIRST_UPDATE + UPDATES * number
    return (
        f'{{"e":"depthUpdate","E":{1793923200200 + number},"s":"BTCUSDT","U":{first},"u":{last_update(number)},'
        f'"b":[{_side(rng, -1)}],"a":[{_side(rng, 1)}]}}'
    )


MAKERS = {"trades": wire_binance.trade, "top": wire_binance.top, "book": _depth}


def payload(kind: str, number: int, rng: random.Random) -> bytes:
    """Return one combined frame."""
    data = MAKERS[kind](rng, number, 65_000 + rng.gauss(0, 3))
    return f'{{"stream":"{STREAMS[kind]}","data":{data}}}'.encode()


def stamped(number: int) -> bytes:
    """Return a trade whose size is the moment when it was made, in seconds of the monotonic clock."""
    now = time.monotonic_ns() // 1000
    return (
        f'{{"stream":"btcusdt@trade","data":{{"e":"trade","E":{1793923200123 + number},"s":"BTCUSDT",'
        f'"t":{5641203377 + number},"p":"65000.01000000","q":"{now // 1_000_000}.{now % 1_000_000:06}",'
        f'"T":{1793923200122 + number},"m":true,"M":true}}}}'
    ).encode()


def framed(data: bytes, opcode: int = 1) -> bytes:
    """Return a server's WebSocket frame."""
    if len(data) < 126:
        return bytes((0x80 | opcode, len(data))) + data
    return struct.pack("!BBH", 0x80 | opcode, 126, len(data)) + data


@cache
def chunks(kind: str, count: int) -> tuple[bytes, list[bytes]]:
    """Return the frames of the warm-up, and the others in pieces of equal size."""
    rng = random.Random(kind)
    frames = [framed(payload(kind, number, rng)) for number in range(WARM_UP + count)]
    rest = b"".join(frames[WARM_UP:])
    return b"".join(frames[:WARM_UP]), [rest[at : at + CHUNK] for at in range(0, len(rest), CHUNK)]


@cache
def snapshot() -> bytes:
    """Return the body of a depth snapshot that the frames of the warm-up continue."""
    sides = [[[f"{65_000 + sign * 0.01 * (tick + 1):.8f}", "1.00000000"] for tick in range(LEVELS)] for sign in (-1, 1)]
    return json.dumps({"lastUpdateId": last_update(WARM_UP // 2), "bids": sides[0], "asks": sides[1]}).encode()


class Peer:
    """One client, on a thread of its own."""

    def __init__(self, sock: socket.socket, go: queue.Queue[str]) -> None:
        self._sock = sock
        self._go = go
        self._held = b""

    def run(self) -> None:
        """Serve until the client hangs up."""
        try:
            while True:
                head = self._until(b"\r\n\r\n").decode("latin-1")
                path = head.split(" ", 2)[1]
                if "upgrade: websocket" in head.lower():
                    self._websocket(head, path)
                    return
                body = snapshot()
                self._sock.sendall(
                    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body)
                    + body
                )
        except (OSError, EOFError):
            pass
        finally:
            self._sock.close()

    def _websocket(self, head: str, path: str) -> None:
        fields = dict(line.split(": ", 1) for line in head.split("\r\n")[1:] if ": " in line)
        key = next(value for name, value in fields.items() if name.lower() == "sec-websocket-key")
        proof = base64.b64encode(hashlib.sha1(key.encode() + KEY).digest())
        self._sock.sendall(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: " + proof + b"\r\n\r\n"
        )
        kind, count, rate = path.split("/")[1:4]
        asked = json.loads(self._message())
        self._sock.sendall(framed(json.dumps({"result": None, "id": asked["id"]}).encode()))
        self._push(kind, int(count), int(rate))
        while True:
            self._message()

    def _push(self, kind: str, count: int, rate: int) -> None:
        if rate:
            self._sock.sendall(b"".join(framed(stamped(number)) for number in range(WARM_UP)))
            self._go.get()
            started = time.monotonic()
            for number in range(count):
                pause = started + number / rate - time.monotonic()
                if pause > 0:
                    time.sleep(pause)
                self._sock.sendall(framed(stamped(WARM_UP + number)))
            return
        warm_up, rest = chunks(kind, count)
        self._sock.sendall(warm_up)
        self._go.get()
        for chunk in rest:
            self._sock.sendall(chunk)

    def _message(self) -> bytes:
        """Return the payload of the client's next message; a close ends it all."""
        first, second = self._take(2)
        size = second & 0x7F
        if size == 126:
            size = int.from_bytes(self._take(2))
        mask = self._take(4)
        data = bytes(byte ^ mask[place % 4] for place, byte in enumerate(self._take(size)))
        if first & 0x0F == 8:
            self._sock.sendall(framed(data, 8))
            raise EOFError
        return data

    def _take(self, size: int) -> bytes:
        while len(self._held) < size:
            self._more()
        taken, self._held = self._held[:size], self._held[size:]
        return taken

    def _until(self, end: bytes) -> bytes:
        while end not in self._held:
            self._more()
        taken, _, self._held = self._held.partition(end)
        return taken

    def _more(self) -> None:
        data = self._sock.recv(1 << 16)
        if not data:
            raise EOFError
        self._held += data


def _serve(listener: socket.socket, context: ssl.SSLContext | None, go: queue.Queue[str]) -> None:
    def greet(sock: socket.socket) -> None:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            Peer(sock if context is None else context.wrap_socket(sock, server_side=True), go).run()
        except OSError:
            sock.close()

    while True:
        sock, _ = listener.accept()
        threading.Thread(target=greet, args=(sock,), daemon=True).start()


def _certified() -> tuple[ssl.SSLContext, str] | None:
    """Return a server's context and the certificate to trust; None where ``trustme`` is not installed."""
    try:
        import trustme
    except ModuleNotFoundError:
        return None
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    return context, authority.cert_pem.bytes().decode()


def main() -> None:
    """Listen, say where, and pass on each line of the standard input until it ends."""
    go: queue.Queue[str] = queue.Queue()
    certified = _certified()
    said: dict[str, object] = {"ca": certified[1] if certified else None}
    for name, context in (("tcp", None), ("tls", certified[0] if certified else None)):
        if name == "tls" and context is None:
            continue
        listener = socket.create_server(("127.0.0.1", 0))
        said[name] = listener.getsockname()[1]
        threading.Thread(target=_serve, args=(listener, context, go), daemon=True).start()
    print(json.dumps(said), flush=True)
    for line in sys.stdin:
        go.put(line.strip())


if __name__ == "__main__":
    main()
