"""Stands between a face and its clients: moves the market on, routes messages, lets faults strike on the way."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, TypeAlias

from msgspec import Struct, structs

from unitape.clock import Clock
from unitape.sim.exchange import SimExchange
from unitape.sim.faults import Fault, Faults, WireFault
from unitape.spi import HttpRequest, HttpResponse
from unitape.spi.simulation import Binary, CloseFrame, Delayed, Face, FaceOutput, Lost, Ping, Text

__all__ = ["Cut", "Delivery", "Reply", "SimHost"]


def _page(status: int, title: str) -> HttpResponse:
    """Return the page of a proxy that stands before the venue: no JSON, none of the venue's headers."""
    html = f"<html><head><title>{status} {title}</title></head><body><h1>{title}</h1></body></html>"
    return HttpResponse(status, html.encode(), (("content-type", "text/html"),))


_BAD_GATEWAY: Final = _page(502, "Bad Gateway")
_NOT_SERVED: Final[dict[WireFault, HttpResponse]] = {
    "endpoint_gone": _page(404, "Not Found"),
    "error_refused": _BAD_GATEWAY,
}
_SWAP_WAITS: Final = 1_000_000_000  # nanoseconds that a held message waits for the one it is swapped with


class Cut(Struct, frozen=True, gc=False, tag="cut"):
    """Break the connection without a close frame."""

    conn: int


Delivery: TypeAlias = Text | Binary | Ping | CloseFrame | Cut
"""What the driver does to a client's connection."""


class Reply(Struct, frozen=True):
    """What the driver does with a request: answer after ``seconds``; None: break the connection then."""

    response: HttpResponse | None
    seconds: float = 0.0


class _Line:
    """One connection between face and client."""

    __slots__ = ("ended", "held_until", "queue", "silent", "swap", "swap_until")

    def __init__(self) -> None:
        self.queue: list[Delivery] = []
        self.held_until = 0
        self.silent = False
        self.ended = False  # the face closed it and has forgotten it
        self.swap: Text | Binary | None = None
        self.swap_until = 0

    @property
    def clear(self) -> bool:
        """True when outputs pass straight on."""
        return not (self.silent or self.queue or self.swap or self.ended)


class SimHost:
    """One market of one venue, ready for a driver: sockets or memory.

    A driver calls ``step`` at its pace (every few milliseconds live), and after any call sends what ``take`` returns.
    The market's wall clock starts at the exchange's and moves with the clock's monotonic time.
    """

    def __init__(self, label: str, exchange: SimExchange, face: Face, faults: Faults, clock: Clock) -> None:
        self.label = label
        self.exchange = exchange
        self.face = face
        self.faults = faults
        self._clock = clock
        self._mono = clock.mono()
        self._offset = exchange.now - self._mono
        self._lines: dict[int, _Line] = {}
        self._ready: list[Delivery] = []
        self._last_conn = 0
        self._move()
        face.tick(self._mono)

    @property
    def connections(self) -> tuple[int, ...]:
        """The connections that stand."""
        return tuple(self._lines)

    def step(self) -> None:
        """Move the market to now, let the face tell about it, and release what was held back."""
        self._move()
        jump = self.faults.strikes("clock_jump", self.label)
        if jump is not None:
            self.exchange.jump(round(jump.seconds * 1e9))
            self.faults.hit("clock_jump", self.label)
        self.face.tick(self._mono)
        self._collect()
        for conn in [conn for conn, line in self._lines.items() if not line.clear]:
            self._release(conn, self._lines[conn])

    def take(self) -> list[Delivery]:
        """Return what to send now, oldest first, and forget it."""
        ready = self._ready
        self._ready = []
        return ready

    def http(self, request: HttpRequest) -> Reply:
        """Serve one request."""
        self._move()
        for kind, page in _NOT_SERVED.items():
            if self._struck(kind, request) is not None:
                return Reply(page)
        answer = self.face.http(request)
        self._collect()
        match answer:
            case Delayed(response=response, seconds=seconds):
                reply = Reply(response, seconds)
            case Lost(seconds=seconds):
                reply = Reply(None, seconds)
            case response:
                reply = Reply(response)
        if self._struck("lost_reply", request) is not None:
            return Reply(None)
        if self._struck("error_executed", request) is not None:
            return Reply(_BAD_GATEWAY)
        late = self._struck("late_reply", request)
        return reply if late is None else Reply(reply.response, reply.seconds + late.seconds)

    def _struck(self, kind: WireFault, request: HttpRequest) -> Fault | None:
        fault = self.faults.strikes(kind, f"{request.method} {request.path}")
        if fault is not None:
            self.faults.hit(kind, request.path)
        return fault

    def open(self, target: str, headers: Sequence[tuple[str, str]] = ()) -> int | HttpResponse:
        """Take a handshake: return the new connection's number, or the answer that refuses it."""
        self._move()
        self._last_conn += 1
        conn = self._last_conn
        self._lines[conn] = _Line()
        refusal = self.face.ws_open(conn, target, headers)
        if refusal is not None:
            del self._lines[conn]
            return refusal
        self._collect()
        return conn

    def frame(self, conn: int, data: bytes, *, text: bool) -> None:
        """Take a client's message."""
        if self._hears(conn):
            self.face.ws_frame(conn, data, text)
            self._collect()

    def pong(self, conn: int, data: bytes) -> None:
        """Take a client's pong."""
        if self._hears(conn):
            self.face.ws_pong(conn, data)
            self._collect()

    def ping(self, conn: int, data: bytes) -> bool:
        """Take a client's ping; return True when the driver shall answer it."""
        if not self._hears(conn):
            return False
        self.face.ws_ping(conn, data)
        self._collect()
        return True

    def closed(self, conn: int) -> None:
        """Forget a connection that the client left."""
        line = self._lines.pop(conn, None)
        if line is not None and not line.ended:
            self.face.ws_close(conn)
            self._collect()

    def _hears(self, conn: int) -> bool:
        line = self._lines.get(conn)
        if line is None or line.silent or line.ended:
            return False
        self._move()
        return True

    def _move(self) -> None:
        self._mono = self._clock.mono()
        self.faults.advance(self._mono)
        self.exchange.advance(self._mono + self._offset)

    def _collect(self) -> None:
        """Take what the face wants sent and send it on its way."""
        outbox = self.face.outbox
        if not outbox:
            return
        outputs = list(outbox)
        outbox.clear()
        calm = self.faults.idle
        for output in outputs:
            line = self._lines.get(output.conn)
            if line is None:
                continue
            if calm and line.clear:
                self._ready.append(output)
            else:
                self._pass(output, line)
            if isinstance(output, CloseFrame):
                line.ended = True
                if not line.queue and not line.silent:
                    self._lines.pop(output.conn, None)

    def _pass(self, output: FaceOutput, line: _Line) -> None:
        """Queue one output, unless a fault strikes it. What must not wait is released at once."""
        conn = output.conn
        if not line.silent and not line.ended:
            name = output.stream if isinstance(output, Text | Binary) else ""
            if self.faults.strikes("half_open", name) is not None:
                self.faults.hit("half_open", name, conn)
                line.silent = True
            elif self.faults.strikes("close", name) is not None:
                self.faults.hit("close", name, conn)
                self._cut(conn, line)
                return
            elif (held := self.faults.strikes("delay", name)) is not None:
                self.faults.hit("delay", name, conn)
                line.held_until = max(line.held_until, self._mono + round(held.seconds * 1e9))
        if line.silent:
            return
        if isinstance(output, Text | Binary) and output.stream:
            self._pass_data(output, line)
        else:
            line.queue.append(output)
        self._release(conn, line)

    def _pass_data(self, output: Text | Binary, line: _Line) -> None:
        faults, name, conn = self.faults, output.stream, output.conn
        if faults.strikes("drop", name) is not None:
            faults.hit("drop", name, conn, output.data)
            return
        if faults.strikes("truncate", name) is not None:
            faults.hit("truncate", name, conn, output.data)
            output = structs.replace(output, data=_half(output))
        swapped = line.swap
        if swapped is not None and swapped.stream == name:
            faults.hit("reorder", name, conn, swapped.data)
            line.queue += (output, swapped)
            line.swap = None
        elif swapped is None and faults.strikes("reorder", name) is not None:
            line.swap = output
            line.swap_until = self._mono + _SWAP_WAITS
        else:
            line.queue.append(output)
            if faults.strikes("duplicate", name) is not None:
                faults.hit("duplicate", name, conn, output.data)
                line.queue.append(output)

    def _release(self, conn: int, line: _Line) -> None:
        """Hand over what was held back long enough."""
        if line.swap is not None and line.swap_until <= self._mono:
            line.queue.append(line.swap)
            line.swap = None
        if line.queue and line.held_until <= self._mono:
            self._ready.extend(line.queue)
            line.queue.clear()
            if line.ended and not line.silent:
                self._lines.pop(conn, None)

    def _cut(self, conn: int, line: _Line) -> None:
        del self._lines[conn]
        line.ended = True
        self._ready.append(Cut(conn))
        self.face.ws_close(conn)


def _half(output: Text | Binary) -> bytes:
    """Return about half of a message; a text stays UTF-8, or the client's WebSocket layer would refuse it itself."""
    half = output.data[: len(output.data) // 2]
    return half.decode(errors="ignore").encode() if isinstance(output, Text) else half
