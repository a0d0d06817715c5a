"""What the simulated faces of both markets share: connections, streams on timers, faults, and the venue's cuts."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

import msgspec

from unitape.spi import HttpRequest, HttpResponse
from unitape.spi.simulation import (
    PRIVATE_STREAM,
    Answer,
    BookChange,
    CloseFrame,
    Delayed,
    Exchange,
    FaceOptions,
    FaceOutput,
    SimTrade,
    Text,
)

if TYPE_CHECKING:
    from unitape_mexc.simulator_private import PrivateFace
    from unitape_mexc.simulator_streams import Watch

__all__ = ["MILLIS", "SECOND", "BaseFace", "Connection", "Refusal", "Stream", "encode"]

SECOND: Final = 1_000_000_000
MILLIS: Final = 1_000_000
_DAY: Final = 24 * 3600.0
_JSON: Final = ("content-type", "application/json")
_COMMITS: Final = 1000

encode = msgspec.json.Encoder().encode


class Refusal(Exception):
    """A request is turned down with this answer."""

    def __init__(self, response: HttpResponse) -> None:
        super().__init__(response.status)
        self.response = response


class Stream:
    """One stream and who gets it."""

    __slots__ = ("argument", "every", "kind", "last", "members", "name", "next", "pending", "symbol", "trades")

    def __init__(self, name: str, kind: str, symbol: str, argument: str, every: int) -> None:
        self.name = name
        self.kind = kind
        self.symbol = symbol
        self.argument = argument
        self.every = every
        self.members: dict[int, None] = {}
        self.next = 0
        self.pending: list[BookChange] = []
        self.trades: list[SimTrade] = []
        self.last: object = None
        """What was sent last, for streams that only speak on change."""


class Connection:
    """What the venue knows of one client connection. Times are monotonic nanoseconds."""

    __slots__ = ("heard", "id", "muted", "opened", "pinged", "streams")

    def __init__(self, number: int, now: int) -> None:
        self.id = number
        self.opened = now
        self.pinged = now
        self.heard = now
        """When it was last sent data, or pinged."""
        self.streams: dict[str, Stream] = {}
        self.muted: set[str] = set()


class BaseFace:
    """Connections, streams and faults. A market adds its words: requests, names, pushes."""

    path = "/"
    market = ""

    def __init__(self, exchange: Exchange, options: FaceOptions, private: PrivateFace) -> None:
        self.private = private
        self.outbox: list[FaceOutput] = []
        self.exchange = exchange
        self.options = options
        self.connections: dict[int, Connection] = {}
        self.streams: dict[str, Stream] = {}
        self.commits: dict[str, deque[BookChange]] = {}
        self.watches: dict[int, Watch] = {}
        """Who listens to an account, by connection."""
        self.now = 0
        self._cursor = exchange.cursor
        self._used: deque[tuple[int, int]] = deque()
        self._shutdown_at: int | None = None

    # What a market adds.

    def answer(self, path: str, parameters: Mapping[str, str]) -> HttpResponse:
        """Answer a request. Raises Refusal."""
        raise Refusal(HttpResponse(404, b"", ()))

    def weight(self, path: str) -> int:
        """What a request costs."""
        return 1

    def budget(self) -> tuple[int, int]:
        """Weight and window in nanoseconds."""
        return 300, 10 * SECOND

    def throttled(self, seconds: float) -> HttpResponse:
        """The answer to who asks too often."""
        body = {"code": 429, "msg": "Too Many Requests"}
        return HttpResponse(429, encode(body), (_JSON, ("retry-after", f"{seconds:g}")))

    def take(self, connection: Connection, text: str) -> None:
        """Take a client's message."""

    def render(self, stream: Stream) -> Iterable[bytes]:
        """Return what a stream has to say now."""
        return ()

    def silent_too_long(self, connection: Connection) -> str | None:
        """Return why a connection is cut now; None: it is not."""
        return None

    # What the driver calls.

    def http(self, request: HttpRequest) -> Answer:
        """Answer one request."""
        path = request.path
        faults = self.options.faults
        for kind, status in (("http_429", 429), ("http_418", 418)):
            seconds = faults.take("http_429" if kind == "http_429" else "http_418", path)
            if seconds is not None:
                return HttpResponse(status, b"", (("retry-after", f"{seconds:g}"),))
        endpoint = self.private.find(request)
        if self.options.enforce_limits:
            wait = self._spend(self.weight(path) if endpoint is None else endpoint.weight)
            if wait is not None:
                return self.throttled(wait)
        pairs = (part.partition("=") for part in request.query.split("&") if part)
        parameters = {unquote(name): unquote(value) for name, _, value in pairs}
        try:
            if endpoint is None:
                response = self.answer(path, parameters)
            else:
                response = HttpResponse(200, encode(self.private.serve(endpoint, request, parameters)), (_JSON,))
        except Refusal as refusal:
            return refusal.response
        slow = faults.take("slow_snapshot", request.target) if "depth" in path else None
        return response if slow is None else Delayed(response, slow)

    def ws_open(self, conn: int, target: str, headers: Sequence[tuple[str, str]]) -> HttpResponse | None:
        """Take a handshake; only one path exists."""
        if target.partition("?")[0] != self.path:
            return HttpResponse(404, b"")
        self.connections[conn] = Connection(conn, self.now)
        return None

    def ws_frame(self, conn: int, data: bytes, text: bool) -> None:
        """Take a message; binary ones mean nothing here."""
        connection = self.connections.get(conn)
        if connection is not None and text:
            self.take(connection, data.decode("utf-8", "replace"))

    def ws_pong(self, conn: int, data: bytes) -> None:
        """Nothing: pings of the protocol keep nobody alive here."""

    def ws_ping(self, conn: int, data: bytes) -> None:
        """Nothing, likewise."""

    def ws_close(self, conn: int) -> None:
        """Forget a connection."""
        self.watches.pop(conn, None)
        connection = self.connections.pop(conn, None)
        for stream in list(connection.streams.values()) if connection else ():
            self.leave(connection, stream.name)

    def tick(self, now: int) -> None:
        """Push what is due, and cut who is due."""
        if not self.now:
            for connection in self.connections.values():
                connection.opened = connection.pinged = connection.heard = now
        self.now = now
        self.pull()
        for stream in list(self.streams.values()):
            if now >= stream.next:
                stream.next = now + stream.every
                for data in self.render(stream):
                    self.spread(stream, data)
        self._tell()
        self._end_keys()
        self._cut(now)

    def _tell(self) -> None:
        """Tell every listener what happened to its account."""
        for number, watch in self.watches.items():
            for event in watch.news(self.exchange.accounts):
                for data in self.private.pushes(watch, event):
                    self.connections[number].heard = self.now
                    self.outbox.append(self.frame(number, data, PRIVATE_STREAM))

    def _end_keys(self) -> None:
        """Cut who listens by a key that has come to its end, in time or by a fault."""
        keys = self.private.keys
        keys.now = self.now
        for number, watch in list(self.watches.items()):
            if self.key_ends(watch):
                keys.end(watch.key)
                self.turn_away(number)

    def key_ends(self, watch: Watch) -> bool:
        """Tell whether what a listener was let in by has come to its end."""
        return False

    def turn_away(self, number: int) -> None:
        """Close a connection whose listen key is none, or none any more."""
        self.hang_up(number, "invalid listen key")

    def hang_up(self, number: int, reason: str, code: int = 1000) -> None:
        """Close a connection."""
        self.ws_close(number)
        self.outbox.append(CloseFrame(number, code, reason))

    # What the markets use.

    def pull(self) -> None:
        """Hand what happened to the streams it concerns."""
        events = self.exchange.events(self._cursor)
        self._cursor += len(events)
        for event in events:
            if isinstance(event, BookChange):
                self.commits.setdefault(event.symbol, deque(maxlen=_COMMITS)).append(event)
                for stream in self.streams.values():
                    if stream.symbol == event.symbol and stream.kind == "depth":
                        stream.pending.append(event)
            elif isinstance(event, SimTrade):
                for stream in self.streams.values():
                    if stream.symbol == event.symbol and stream.kind == "deals":
                        stream.trades.append(event)

    def join(self, connection: Connection, stream: Stream) -> None:
        """Let a connection have a stream."""
        found = self.streams.setdefault(stream.name, stream)
        found.next = found.next or self.now + found.every
        found.members[connection.id] = None
        connection.streams[stream.name] = found
        connection.muted.discard(stream.name)
        if self.options.faults.take("silent_ack", stream.name) is not None:
            connection.muted.add(stream.name)

    def leave(self, connection: Connection | None, name: str) -> None:
        """Take a stream from a connection."""
        stream = self.streams.get(name)
        if connection is None or stream is None:
            return
        connection.streams.pop(name, None)
        stream.members.pop(connection.id, None)
        if not stream.members:
            del self.streams[name]

    def spread(self, stream: Stream, data: bytes) -> None:
        """Send data to everybody on the stream."""
        for number in stream.members:
            connection = self.connections[number]
            if stream.name in connection.muted:
                continue
            connection.heard = self.now
            self.outbox.append(self.frame(number, data, stream.name))

    def frame(self, conn: int, data: bytes, stream: str) -> FaceOutput:
        """Return a push as the market sends it."""
        return Text(conn, data, stream)

    def say(self, connection: Connection, message: object) -> None:
        """Send a text message to one connection."""
        self.outbox.append(Text(connection.id, encode(message)))

    def lag(self, target: str) -> float:
        """Return how old a book snapshot is to be, in seconds."""
        fault = self.options.faults.take("lagging_snapshot", target)
        return self.options.snapshot_lag if fault is None else fault

    @property
    def millis(self) -> int:
        """The venue's clock in milliseconds."""
        return self.exchange.now // MILLIS

    def _spend(self, weight: int) -> float | None:
        limit, window = self.budget()
        now = self.exchange.now
        while self._used and not now - window < self._used[0][0] <= now:
            self._used.popleft()
        if sum(spent for _, spent in self._used) + weight > limit:
            return max((self._used[0][0] + window - now) / SECOND, 0.001) if self._used else window / SECOND
        self._used.append((now, weight))
        return None

    def _cut(self, now: int) -> None:
        lifetime = self.options.lifetime or _DAY
        notice = self.options.faults.take("server_shutdown", self.market) if self.connections else None
        if notice is not None:
            self._shutdown_at = now + round(notice * SECOND)
        everybody = self._shutdown_at is not None and now >= self._shutdown_at
        for connection in list(self.connections.values()):
            reason = self.silent_too_long(connection)
            if everybody:
                reason = "the server goes down"
            elif now - connection.opened >= lifetime * SECOND:
                reason = "24 hours"
            if reason is not None:
                self.hang_up(connection.id, reason, 1001 if everybody else 1000)
        if everybody:
            self._shutdown_at = None
