"""WEEX's wire face on a simulated exchange: spot and contracts, market data and private HTTP of V3.

It shares nothing with the codec of this package, which it is there to judge. What it keeps to:

- A handshake without ``User-Agent`` is refused with status 403. A greeting comes first.
- A subscription is acknowledged as a whole or refused as a whole, in the gateway's internal spelling of the symbol;
  the sixth refused request closes the connection with code 1007. Subscribing again sends a new image or history.
- The book's image comes in band, then changes whose ``U`` is the ``u`` before; HTTP shares these ids. Levels that
  better ones push out of the window are not deleted by name. Trades repeat after the history and are unsorted.
- A JSON ping a minute; more than ten unanswered ones end the connection, which no page says the code of.
- 100 channels and 240 operations an hour on a connection, 300 connects in five minutes, 500 weight in ten seconds.
  What the venue says when the first two are passed is not documented; here it refuses.
- A private socket wants a signature in its handshake, and has channels of its own under bare names. There is no image:
  what happened before is asked for by HTTP. Its ping says ``type`` where the public one says ``event``.

Settings: ``chain`` = ``next`` lets changes on spot start one above the id before; ``delisted`` = raw symbols, with
commas, that are acknowledged and then silent; ``private_acks`` = ``silent`` acknowledges no private subscription;
``private_refusal`` = ``close`` lets a bad key in and closes its socket at once, instead of refusing the handshake;
those of private endpoints stand in ``simulator_orders_spot`` and ``simulator_orders_contract``.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Sequence
from typing import Final

import msgspec

from unitape.spi import HttpRequest, HttpResponse
from unitape.spi.simulation import (
    PRIVATE_STREAM,
    Answer,
    CloseFrame,
    Delayed,
    Exchange,
    FaceOptions,
    FaceOutput,
    SimTrade,
    Text,
)
from unitape_weex.simulator_account_stream import CHANNELS, AccountPushes
from unitape_weex.simulator_orders import OrdersFace
from unitape_weex.simulator_orders_contract import ContractOrdersFace
from unitape_weex.simulator_orders_spot import SpotOrdersFace
from unitape_weex.simulator_rest import RestFace
from unitape_weex.simulator_rules import MARKETS, MILLIS, SECOND, Refusal, Rules, Spelling, encode, json_answer
from unitape_weex.simulator_streams import Stream, make_stream

__all__ = ["WeexFace", "face"]

_PUBLIC: Final = "/v3/ws/public"
_PRIVATE: Final = "/v3/ws/private"
_PING_EVERY: Final = 60 * SECOND
_PINGS: Final = 10
_REFUSALS: Final = 6
_CHANNELS: Final = 100
_OPERATIONS: Final = 240
_HOUR: Final = 3600 * SECOND
_CONNECTS: Final = 300
_CONNECT_WINDOW: Final = 300 * SECOND
_WEIGHT: Final = 500
_WEIGHT_WINDOW: Final = 10 * SECOND
_BAN: Final = 10 * SECOND


def face(exchange: Exchange, market: str, options: FaceOptions) -> WeexFace:
    """Return the face of ``spot`` or ``contract``; KeyError for another market."""
    return WeexFace(exchange, MARKETS[market], options)


class _Connection:
    """What the venue knows of one client connection."""

    def __init__(self, conn: int, opened: int, user: str | None = None) -> None:
        self.id = conn
        self.user = user
        """Who logged on; None on a public socket."""
        self.opened = opened
        self.channels: dict[str, None] = {}
        self.muted: set[str] = set()
        self.refusals = 0
        self.unanswered = 0
        self.next_ping = opened + _PING_EVERY // 2
        self.operations: deque[int] = deque()


class WeexFace:
    """One market's face; see ``unitape.spi.simulation.Face``."""

    def __init__(self, exchange: Exchange, rules: Rules, options: FaceOptions) -> None:
        self._exchange = exchange
        self._rules = rules
        self._options = options
        self._delisted = frozenset(filter(None, options.settings.get("delisted", "").split(",")))
        self._above = int(options.settings.get("chain") == "next" and not rules.linear)
        self._spelling = Spelling(exchange)
        self._rest = RestFace(exchange, rules, self._spelling, self._delisted)
        orders = ContractOrdersFace if rules.linear else SpotOrdersFace
        self._orders: OrdersFace = orders(exchange, rules, self._spelling, options.faults, options.settings)
        self._outbox: list[FaceOutput] = []
        self._cursor = exchange.cursor
        self._now = 0
        self._connections: dict[int, _Connection] = {}
        self._connects: deque[int] = deque()
        self._streams: dict[str, Stream] = {}
        self._due: dict[str, int] = {}
        self._spent: deque[tuple[int, int]] = deque()
        self._banned_until = 0
        self._pushes: dict[str, AccountPushes] = {}
        self._shutdown_at: int | None = None

    @property
    def outbox(self) -> list[FaceOutput]:
        """What to send, oldest first."""
        return self._outbox

    # HTTP ------------------------------------------------------------------------------------------------------------

    def http(self, request: HttpRequest) -> Answer:
        """Answer one request."""
        faults = self._options.faults
        for kind in ("http_429", "http_418"):
            seconds = faults.take(kind, request.path)
            if seconds is not None:
                return self._limited(max(1, round(seconds)))
        if self._exchange.now < self._banned_until:
            return self._limited((self._banned_until - self._exchange.now) // SECOND + 1)
        private = self._orders.endpoints.get((request.method, request.path))
        public = request.method == "GET" and request.path in self._rest.endpoints
        if private is None and not public:
            return json_answer({"code": -1150, "msg": "Request method is not supported."}, 404)
        if not self._spend(self._rest.weight(request.path) if private is None else private.weight):
            self._banned_until = self._exchange.now + _BAN
            return self._limited(_BAN // SECOND)
        is_depth = request.path.endswith("/depth")
        lagging = faults.take("lagging_snapshot", request.target) if is_depth else None
        self._rest.lag = lagging if lagging is not None else self._options.snapshot_lag
        counts: tuple[tuple[str, str], ...] = ()
        try:
            if private is None:
                body = self._rest.answer(request)
            else:
                body, counts = self._orders.answer(request, enforce=self._options.enforce_limits)
            response = json_answer(body, headers=(*self._headers(), *counts))
        except Refusal as refusal:
            if refusal.status == 429:
                return self._limited(_BAN // SECOND)
            return json_answer({"code": refusal.code, "msg": refusal.text}, refusal.status, self._headers())
        slow = faults.take("slow_snapshot", request.target) if is_depth else None
        return response if slow is None else Delayed(response, slow)

    def _spend(self, weight: int) -> bool:
        now = self._exchange.now
        while self._spent and self._spent[0][0] <= now - _WEIGHT_WINDOW:
            self._spent.popleft()
        self._spent.append((now, weight))
        return self._used() <= _WEIGHT or not self._options.enforce_limits

    def _used(self) -> int:
        return sum(weight for _, weight in self._spent)

    def _headers(self) -> tuple[tuple[str, str], ...]:
        used = self._used()
        return (("x-used-weight-10s", str(used)), ("x-remaining-weight-10s", str(max(0, _WEIGHT - used))))

    def _limited(self, seconds: int) -> HttpResponse:
        headers = (*self._headers(), ("retry-after", str(seconds)))
        return json_answer({"code": 429, "msg": "Too many requests."}, 429, headers)

    # Connections -----------------------------------------------------------------------------------------------------

    def ws_open(self, conn: int, target: str, headers: Sequence[tuple[str, str]]) -> HttpResponse | None:
        """Take a handshake; the firewall refuses one without a User-Agent."""
        if not any(name.lower() == "user-agent" and value for name, value in headers):
            return HttpResponse(403, b"<html><body>403 Forbidden</body></html>", (("content-type", "text/html"),))
        while self._connects and self._connects[0] <= self._now - _CONNECT_WINDOW:
            self._connects.popleft()
        self._connects.append(self._now)
        crowded = len(self._connects) > _CONNECTS or len(self._connections) >= _CHANNELS
        if crowded and self._options.enforce_limits:
            return HttpResponse(429, b"", (("retry-after", "300"),))
        path = target.partition("?")[0]
        if path == _PRIVATE:
            return self._open_private(conn, headers)
        if path != _PUBLIC:
            return HttpResponse(404, b"")
        self._greet(_Connection(conn, self._now))
        return None

    def _open_private(self, conn: int, headers: Sequence[tuple[str, str]]) -> HttpResponse | None:
        """Let a signed client in. Others are refused at once, or let in and put out, as the setting says."""
        try:
            user = self._orders.door.enter_socket(_PRIVATE, headers).name
        except Refusal as refusal:
            if self._options.settings.get("private_refusal") == "close":
                self._outbox.append(CloseFrame(conn, 1008, ""))
                return None
            return json_answer({"code": refusal.code, "msg": refusal.text}, refusal.status)
        self._tell_accounts()
        if user not in self._pushes:
            self._pushes[user] = AccountPushes(self._exchange, self._orders, user, linear=self._rules.linear)
        self._greet(_Connection(conn, self._now, user))
        return None

    def _greet(self, connection: _Connection) -> None:
        conn = connection.id
        self._connections[conn] = connection
        word = hashlib.blake2b(f"{self._exchange.seed} {conn}".encode(), digest_size=16).hexdigest()
        cid = "-".join((word[:8], word[8:12], word[12:16], word[16:20], word[20:]))
        self._send(connection, {"cid": cid, "event": "connected", "time": self._time()})

    def ws_frame(self, conn: int, data: bytes, text: bool) -> None:
        """Take a control message."""
        connection = self._connections.get(conn)
        if connection is None:
            return
        try:
            message = msgspec.json.decode(data, type=dict[str, object])
        except (msgspec.MsgspecError, UnicodeError):
            message = {}
        number = message.get("id")
        params = message.get("params")
        match message.get("method"):
            case "PONG":
                connection.unanswered = 0
                self._send(connection, {"result": True, "id": number})
            case "PING":
                self._send(connection, {"result": True, "id": number})
            case "SUBSCRIBE" | "UNSUBSCRIBE" if isinstance(params, list):
                values: list[object] = list(params)  # pyright: ignore[reportUnknownArgumentType]
                names = [value for value in values if isinstance(value, str)]
                self._operate(connection, names, number, leave=message["method"] == "UNSUBSCRIBE")
            case _:
                words = data.decode("utf-8", "replace")[:200]
                self._refuse(connection, f"INVALID_ARGUMENT: unrecognized message : {words}", None)

    def ws_pong(self, conn: int, data: bytes) -> None:
        """Do nothing: the venue counts the JSON pongs only."""

    def ws_ping(self, conn: int, data: bytes) -> None:
        """Do nothing: the driver answers."""

    def ws_close(self, conn: int) -> None:
        """Forget a connection."""
        connection = self._connections.pop(conn, None)
        if connection is None:
            return
        self._drop(connection, list(connection.channels))
        if connection.user not in {other.user for other in self._connections.values()}:
            self._pushes.pop(connection.user or "", None)

    def _close(self, connection: _Connection, code: int, reason: str) -> None:
        self.ws_close(connection.id)
        self._outbox.append(CloseFrame(connection.id, code, reason))

    def _operate(self, connection: _Connection, names: list[str], number: object, *, leave: bool) -> None:
        operations = connection.operations
        while operations and operations[0] <= self._now - _HOUR:
            operations.popleft()
        operations.extend((self._now,) * len(names))
        if len(operations) > _OPERATIONS and self._options.enforce_limits:
            self._refuse(connection, "INVALID_ARGUMENT: too many operations", number)
        elif leave:
            self._drop(connection, names)
            self._send(connection, {"result": True, "id": number})
        else:
            self._subscribe(connection, names, number)

    def _subscribe(self, connection: _Connection, names: list[str], number: object) -> None:
        faults = self._options.faults
        if connection.user is not None:
            self._subscribe_private(connection, names, number)
            return
        self._read_journal()
        try:
            if len(connection.channels.keys() | set(names)) > _CHANNELS and self._options.enforce_limits:
                raise Refusal(0, "INVALID_ARGUMENT: too many channels")
            made = {name: self._stream(name) for name in names}
            for name in names:
                if faults.take("refused_subscribe", name) is not None:
                    raise Refusal(0, f"INVALID_ARGUMENT: invalid event : {name.partition('@')[2]}")
        except Refusal as refusal:
            self._refuse(connection, refusal.text, number)
            return
        self._send(connection, {"result": True, "id": number})
        for name, stream in made.items():
            connection.channels[name] = None
            self._streams[name] = stream
            self._due.setdefault(name, 0)
            if faults.take("silent_ack", name) is not None or name.partition("@")[0].upper() in self._delisted:
                connection.muted.add(name)
                continue
            connection.muted.discard(name)
            for message in stream.greet():
                self._outbox.append(Text(connection.id, message, name))

    def _subscribe_private(self, connection: _Connection, names: list[str], number: object) -> None:
        """Take a subscription to an account; whether it is acknowledged is a setting."""
        faults = self._options.faults
        self._tell_accounts()
        unknown = [name for name in names if name not in CHANNELS[self._rules.linear]]
        refused = faults.take("refused_subscribe", PRIVATE_STREAM) is not None
        if unknown or refused:
            self._refuse(connection, f"INVALID_ARGUMENT: invalid event : {(unknown or names)[0]}", number)
            return
        if faults.take("silent_ack", PRIVATE_STREAM) is not None:
            connection.muted.update(names)
        connection.channels.update(dict.fromkeys(names))
        if self._options.settings.get("private_acks") != "silent":
            self._send(connection, {"result": True, "id": number})

    def _tell_accounts(self) -> None:
        """Push what happened to the accounts of those who listen."""
        for user, pushes in self._pushes.items():
            for channel, message in pushes.read():
                for connection in self._connections.values():
                    if connection.user == user and channel in connection.channels and channel not in connection.muted:
                        self._outbox.append(Text(connection.id, message, PRIVATE_STREAM))

    def _stream(self, name: str) -> Stream:
        running = self._streams.get(name)
        return running or make_stream(self._exchange, self._spelling, self._rules, name, self._above)

    def _drop(self, connection: _Connection, names: list[str]) -> None:
        for name in names:
            connection.channels.pop(name, None)
            connection.muted.discard(name)
            if name in self._streams and not any(name in other.channels for other in self._connections.values()):
                del self._streams[name]
                del self._due[name]

    def _refuse(self, connection: _Connection, text: str, number: object) -> None:
        answer: dict[str, object] = {"result": False, "msg": text}
        self._send(connection, answer | {"id": number} if number is not None else answer)
        connection.refusals += 1
        if connection.refusals >= _REFUSALS:
            self._close(connection, 1007, "Unrecognized message sent multiple times")

    def _send(self, connection: _Connection, message: dict[str, object]) -> None:
        self._outbox.append(Text(connection.id, encode(message)))

    def _time(self) -> str:
        return str(self._exchange.now // MILLIS)

    # Time ------------------------------------------------------------------------------------------------------------

    def tick(self, now: int) -> None:
        """Push what is due, ping, and cut what has lived long enough."""
        self._now = now
        self._read_journal()
        self._tell_accounts()
        for name, stream in self._streams.items():
            if self._due[name] <= now:
                self._due[name] = now - now % stream.every + stream.every if stream.every else 0
                for message in stream.push():
                    self._tell(name, message)
        self._shut_down(now)
        lifetime = self._options.lifetime
        for connection in list(self._connections.values()):
            if lifetime is not None and connection.opened + round(lifetime * SECOND) <= now:
                self._close(connection, 1000, "")
            elif connection.next_ping <= now:
                self._ping(connection, now)

    def _tell(self, name: str, message: bytes) -> None:
        for connection in self._connections.values():
            if name in connection.channels and name not in connection.muted:
                self._outbox.append(Text(connection.id, message, name))

    def _ping(self, connection: _Connection, now: int) -> None:
        if connection.unanswered > _PINGS:
            self._close(connection, 1000, "")
            return
        connection.next_ping = now + _PING_EVERY
        connection.unanswered += 1
        key = "event" if connection.user is None else "type"
        self._send(connection, {key: "ping", "time": self._time()})

    def _shut_down(self, now: int) -> None:
        """End every connection without a word, once a fault's notice has passed: the venue announces nothing."""
        notice = self._options.faults.take("server_shutdown", self._rules.name) if self._connections else None
        if notice is not None:
            self._shutdown_at = now + round(notice * SECOND)
        if self._shutdown_at is not None and self._shutdown_at <= now:
            self._shutdown_at = None
            for connection in list(self._connections.values()):
                self._close(connection, 1001, "")

    def _read_journal(self) -> None:
        events = self._exchange.events(self._cursor)
        self._cursor += len(events)
        listening: dict[str, list[Stream]] = {}
        for name, stream in self._streams.items():
            spec = self._spelling.by_raw[name.partition("@")[0].upper()]
            listening.setdefault(spec.symbol, []).append(stream)
        for event in events:
            if isinstance(event, SimTrade):
                for stream in listening.get(event.symbol, ()):
                    stream.on_trade(event)
