"""Binance's wire face on a simulated exchange: spot and USDⓈ-M futures.

It shares nothing with the codec of this package, which it is there to judge. What it keeps to:

- REST: the public endpoints with their weights, fixed minute windows, ``X-MBX-USED-WEIGHT-1M``, 429 with
  ``Retry-After`` and 418 for those who go on; book snapshots that may lag the stream.
- Private REST: keys, signatures, time windows and order counts; orders, executions, balances and positions of the
  users of ``Exchange.accounts``.
- The WebSocket API, which takes the same requests; accounts streamed by subscription (spot) or listen key (futures).
- Streams: raw and combined, ``SUBSCRIBE`` and its kin, acknowledged without being checked; on futures the routes,
  where a stream on the wrong one is acknowledged and silent, and paths without a route carry public data only.
- Pings, the 24 h cut, ``serverShutdown`` on spot, and the limits of messages, streams and connections.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Final
from urllib.parse import unquote, urlsplit

import msgspec

from unitape.spi import HttpRequest, HttpResponse
from unitape.spi.simulation import (
    Answer,
    BookChange,
    CloseFrame,
    Delayed,
    Exchange,
    FaceOptions,
    FaceOutput,
    ForcedOrder,
    Ping,
    SimTrade,
    Text,
    VenueFault,
)
from unitape_binance.simulator_account_streams import AccountStreams, Pushes
from unitape_binance.simulator_all_markets import make_all_market_stream
from unitape_binance.simulator_api import API_PATHS, ApiFace, Serving
from unitape_binance.simulator_countdown_usdm import UsdmCountdownFace
from unitape_binance.simulator_listen_keys import LISTEN_KEY_PATH, ListenKeys
from unitape_binance.simulator_orders_spot import SpotAccountFace
from unitape_binance.simulator_private import PrivateEndpoint, PrivateFace, merged
from unitape_binance.simulator_pushes_spot import SpotPushes
from unitape_binance.simulator_pushes_usdm import UsdmPushes
from unitape_binance.simulator_quota import Quota
from unitape_binance.simulator_rest import AggregateTrade, Parameters, RestFace
from unitape_binance.simulator_rules import (
    API,
    MARKET,
    MARKETS,
    MICROS,
    MILLIS,
    PRIVATE,
    PUBLIC,
    SECOND,
    Refusal,
    Rules,
    Spelling,
    encode,
)
from unitape_binance.simulator_streams import Stream, make_stream

__all__ = ["face"]

_POLICY: Final = 1008
_LIMIT_FAULTS: Final[tuple[tuple[VenueFault, int], ...]] = (("http_429", 429), ("http_418", 418))
_GONE: Final = ("/api/v3/userDataStream", "/api/v1/")


def face(exchange: Exchange, market: str, options: FaceOptions) -> BinanceFace:
    """Return the face of ``spot`` or ``usdm``; KeyError for another market."""
    return BinanceFace(exchange, MARKETS[market], options)


class _Connection:
    """What the venue knows of one client connection."""

    def __init__(self, conn: int, route: str, opened: int, *, combined: bool, unit: int) -> None:
        self.id = conn
        self.route = route
        self.opened = opened
        self.combined = combined
        self.unit = unit
        self.streams: dict[str, None] = {}
        self.muted: set[str] = set()
        self.next_ping = opened
        self.ping = b""
        self.ping_sent = 0
        self.heard: deque[int] = deque()


class BinanceFace:
    """One market's face; see ``unitape.spi.simulation.Face``."""

    def __init__(self, exchange: Exchange, rules: Rules, options: FaceOptions) -> None:
        self._exchange = exchange
        self._rules = rules
        self._options = options
        self._spelling = Spelling(exchange, rules)
        self._lag = options.snapshot_lag
        self._rest = RestFace(exchange, self._spelling, lambda: self._lag)
        self._quota = Quota(exchange, rules, enforce=options.enforce_limits)
        self._outbox: list[FaceOutput] = []
        writer: Pushes
        if rules.linear:
            linear = UsdmCountdownFace(exchange, self._spelling, enforce_limits=options.enforce_limits)
            self._private: PrivateFace = linear
            writer = UsdmPushes(exchange, linear)
        else:
            spot = SpotAccountFace(exchange, self._spelling, enforce_limits=options.enforce_limits)
            self._private = spot
            writer = SpotPushes(exchange, spot)
        self._accounts = AccountStreams(exchange, writer, self._outbox)
        self._keys = ListenKeys(exchange, self._accounts, options.faults) if rules.linear else None
        self._api = ApiFace(
            exchange,
            self._spelling,
            Serving(self._rest, self._private, self._accounts, self._keys, self._quota, self._refuse_by_fault),
            options.faults,
            self._outbox,
        )
        self._cursor = exchange.cursor
        self._now = 0
        self._connections: dict[int, _Connection] = {}
        self._connects: deque[int] = deque()
        self._streams: dict[str, Stream] = {}
        self._listeners: dict[str, dict[int, _Connection]] = {}
        self._by_symbol: dict[str, dict[str, Stream]] = {}
        self._everywhere: dict[str, Stream] = {}
        self._due: dict[int, int] = {}
        self._next_aggregate = {spec.symbol: 30_000_000 for spec in exchange.instruments}
        self._shutdown_at: int | None = None

    @property
    def outbox(self) -> list[FaceOutput]:
        """What to send, oldest first."""
        return self._outbox

    # HTTP ------------------------------------------------------------------------------------------------------------

    def http(self, request: HttpRequest) -> Answer:
        """Answer one request."""
        path = request.path
        if path.startswith(_GONE):
            return HttpResponse(410, b"<html><body>410 Gone</body></html>", (("content-type", "text/html"),))
        try:
            self._refuse_by_fault(path)
            self._quota.check_ban()
            return self._answer(request)
        except Refusal as refusal:
            return self._quota.answer(refusal)
        finally:
            self._accounts.collect()

    def _answer(self, request: HttpRequest) -> Answer:
        path = request.path
        private = self._private.endpoints.get((request.method, path))
        if private is not None:
            return self._serve_private(private, request)
        if self._keys is not None and path == LISTEN_KEY_PATH:
            self._quota.spend(1)
            return HttpResponse(200, encode(self._keys.serve(request)), self._quota.headers())
        endpoint = self._rest.endpoints.get(path)
        if endpoint is None or request.method != "GET":
            return HttpResponse(404, b"<html><body>404 Not Found</body></html>", (("content-type", "text/html"),))
        try:
            parameters = Parameters(request)
            weight = endpoint.weight(parameters)
        except Refusal:
            self._quota.spend(1)
            raise
        self._quota.spend(weight)
        unread = set(parameters.values) - endpoint.names
        if unread and not self._rules.linear:
            sent = len(parameters.values)
            text = f"read '{sent - len(unread)}' parameter(s) but was sent '{sent}'."
            raise Refusal(-1104, f"Not all sent parameters were read; {text}")
        is_depth = path.endswith("/depth")
        lagging = self._options.faults.take("lagging_snapshot", request.target) if is_depth else None
        self._lag = lagging if lagging is not None else self._options.snapshot_lag
        response = HttpResponse(200, encode(endpoint.answer(parameters)), self._quota.headers())
        slow = self._options.faults.take("slow_snapshot", request.target) if is_depth else None
        return response if slow is None else Delayed(response, slow)

    def _serve_private(self, endpoint: PrivateEndpoint, request: HttpRequest) -> HttpResponse:
        self._quota.spend(endpoint.weight(Parameters(merged(request))))
        lag = self._options.faults.take("lagging_orders", request.path) if request.method == "GET" else None
        body, headers = self._private.serve(endpoint, request, lag or 0.0)
        return HttpResponse(200, encode(body), (*self._quota.headers(), *headers))

    def _refuse_by_fault(self, path: str) -> None:
        for kind, status in _LIMIT_FAULTS:
            seconds = self._options.faults.take(kind, path)
            if seconds is not None:
                raise Refusal(-1003, "Too many requests.", status, wait=max(1, round(seconds)))

    # Connections -----------------------------------------------------------------------------------------------------

    def ws_open(self, conn: int, target: str, headers: Sequence[tuple[str, str]]) -> HttpResponse | None:
        """Take a handshake on a raw, combined or routed path."""
        while self._connects and self._connects[0] <= self._now - self._rules.connect_window:
            self._connects.popleft()
        self._connects.append(self._now)
        if self._options.enforce_limits and len(self._connects) > self._rules.connects_per_window:
            return HttpResponse(429, b"", (("retry-after", str(self._rules.connect_window // SECOND)),))
        url = urlsplit(target)
        parts = [unquote(part) for part in url.path.split("/") if part]
        if parts == API_PATHS[self._rules.linear]:
            self._open_api(conn, url.query)
            return None
        route = PUBLIC
        if self._rules.linear and parts and parts[0] in {PUBLIC, MARKET, PRIVATE}:
            route = parts.pop(0)
        if not parts or parts[0] not in {"ws", "stream"}:
            return HttpResponse(404, b"<html><body>404 Not Found</body></html>", (("content-type", "text/html"),))
        query: dict[str, str] = dict(part.split("=", 1) for part in url.query.split("&") if "=" in part)
        micros = query.get("timeUnit", "").upper() == "MICROSECOND" and not self._rules.linear
        combined = parts[0] == "stream"
        connection = _Connection(conn, route, self._now, combined=combined, unit=MICROS if micros else MILLIS)
        connection.next_ping = self._now + self._rules.ping_every
        self._connections[conn] = connection
        names = unquote(query.get("streams", "")).split("/") if combined else parts[1:]
        if route == PRIVATE:
            names += [unquote(part.split("=", 1)[1]) for part in url.query.split("&") if part.startswith("listenKey=")]
        self._subscribe(connection, [name for name in names if name])
        return None

    def _open_api(self, conn: int, query: str) -> None:
        micros = "timeUnit=MICROSECOND" in query and not self._rules.linear
        connection = _Connection(conn, API, self._now, combined=False, unit=MICROS if micros else MILLIS)
        connection.next_ping = self._now + self._rules.ping_every
        self._connections[conn] = connection
        self._api.open(conn, connection.unit, tells_limits="returnRateLimits=false" not in query)

    def ws_frame(self, conn: int, data: bytes, text: bool) -> None:
        """Take a control message."""
        connection = self._connections.get(conn)
        if connection is not None and connection.route == API:
            self._api.frame(conn, data)
            self._accounts.collect()
            return
        if connection is None or not self._may_speak(connection):
            return
        try:
            message = msgspec.json.decode(data, type=dict[str, object])
        except msgspec.MsgspecError:
            self._complain(connection, 3, "Invalid JSON: expected a JSON object", None)
            return
        self._control(connection, message)

    def ws_pong(self, conn: int, data: bytes) -> None:
        """Take a pong; only one with the ping's payload keeps the connection."""
        connection = self._connections.get(conn)
        if connection is not None and self._may_speak(connection) and connection.ping == data:
            connection.ping_sent = 0

    def ws_ping(self, conn: int, data: bytes) -> None:
        """Count a client's ping as a message."""
        connection = self._connections.get(conn)
        if connection is not None:
            self._may_speak(connection)

    def ws_close(self, conn: int) -> None:
        """Forget a connection."""
        connection = self._connections.pop(conn, None)
        if connection is not None:
            self._unsubscribe(connection, list(connection.streams))
            self._accounts.forget(conn)
            self._api.close(conn)

    def _close(self, connection: _Connection, code: int, reason: str) -> None:
        self.ws_close(connection.id)
        self._outbox.append(CloseFrame(connection.id, code, reason))

    def _may_speak(self, connection: _Connection) -> bool:
        heard = connection.heard
        heard.append(self._now)
        while heard[0] <= self._now - SECOND:
            heard.popleft()
        if len(heard) <= self._rules.messages_per_second or not self._options.enforce_limits:
            return True
        self._close(connection, _POLICY, "Too many requests")
        return False

    # Control messages ------------------------------------------------------------------------------------------------

    def _control(self, connection: _Connection, message: dict[str, object]) -> None:
        number = message.get("id")
        if not self._valid_id(number, given="id" in message):
            self._complain(connection, 2, "Invalid request: request ID must be an unsigned integer", None)
            return
        method, params = message.get("method"), message.get("params", [])
        if not isinstance(method, str):
            self._complain(connection, 2, "Invalid request: missing method", number)
            return
        if not isinstance(params, list):
            self._complain(connection, 2, "Invalid request: params must be an array", number)
            return
        values: list[object] = list(params)  # pyright: ignore[reportUnknownArgumentType]
        if method in {"SUBSCRIBE", "UNSUBSCRIBE"}:
            names = [value for value in values if isinstance(value, str)]
            if len(names) < len(values) or not names:
                self._complain(connection, 2, "Invalid request: invalid stream", number)
            elif method == "UNSUBSCRIBE":
                self._unsubscribe(connection, names)
                self._acknowledge(connection, None, number)
            else:
                self._on_subscribe(connection, names, number)
        elif method == "LIST_SUBSCRIPTIONS":
            self._acknowledge(connection, list(connection.streams), number)
        elif method in {"SET_PROPERTY", "GET_PROPERTY"}:
            self._on_property(connection, values, number, setting=method == "SET_PROPERTY")
        else:
            self._complain(connection, 2, f"Invalid request: unknown variant {method}", number)

    def _valid_id(self, number: object, *, given: bool) -> bool:
        if isinstance(number, bool):
            return False
        if isinstance(number, int):
            return 0 <= number < 2**64 if self._rules.linear else -(2**63) <= number < 2**63
        if self._rules.linear:
            return False
        return number is None or not given or (isinstance(number, str) and number.isalnum() and len(number) <= 36)

    def _on_subscribe(self, connection: _Connection, names: list[str], number: object) -> None:
        if len(connection.streams.keys() | set(names)) > self._rules.streams_per_connection:
            self._complain(connection, 4 if self._rules.linear else 2, "Too many streams", number)
            self._close(connection, _POLICY, "Too many streams")
            return
        faults = self._options.faults
        refused = next((name for name in names if faults.take("refused_subscribe", name) is not None), None)
        if refused is not None:
            self._complain(connection, 2, f"Invalid request: {refused} is refused", number)
            return
        connection.muted -= set(names)
        connection.muted |= {name for name in names if faults.take("silent_ack", name) is not None}
        self._acknowledge(connection, None, number)
        self._subscribe(connection, names)

    def _on_property(self, connection: _Connection, values: list[object], number: object, *, setting: bool) -> None:
        if not values or not isinstance(values[0], str):
            self._complain(connection, 2, "Invalid request: property name must be a string", number)
        elif len(values) != (2 if setting else 1):
            self._complain(connection, 2, "Invalid request: wrong number of params", number)
        elif values[0] != "combined":
            self._complain(connection, 0, f"Unknown property: {values[0]}", number)
        elif not setting:
            self._acknowledge(connection, connection.combined, number)
        elif not isinstance(values[1], bool):
            self._complain(connection, 1, "Invalid value type: expected Boolean", number)
        else:
            connection.combined = values[1]
            self._acknowledge(connection, None, number)

    def _acknowledge(self, connection: _Connection, result: object, number: object) -> None:
        self._outbox.append(Text(connection.id, encode({"result": result, "id": number})))

    def _complain(self, connection: _Connection, code: int, text: str, number: object) -> None:
        error: dict[str, object] = {"code": code, "msg": text}
        body = {"error": error, "id": number} if self._rules.linear else error | {"id": number}
        self._outbox.append(Text(connection.id, encode(body)))

    # Streams ---------------------------------------------------------------------------------------------------------

    def _subscribe(self, connection: _Connection, names: list[str]) -> None:
        for name in names:
            connection.streams[name] = None
            if self._keys is not None and connection.route == PRIVATE:
                self._keys.listen(connection.id, name, combined=connection.combined)
                continue
            stream = self._stream(name)
            if stream is not None and (not self._rules.linear or connection.route in stream.routes):
                self._listeners[name][connection.id] = connection

    def _stream(self, name: str) -> Stream | None:
        """Return the running stream of this name, starting it if need be; None when there is none such."""
        stream = self._streams.get(name)
        if stream is None:
            # What happened before the first subscriber came is not told to it.
            self._read_journal()
            make = make_all_market_stream if name.startswith("!") else make_stream
            stream = make(self._exchange, self._spelling, name)
            if stream is None:
                return None
            self._streams[name] = stream
            self._listeners[name] = {}
            where = self._everywhere if name.startswith("!") else self._by_symbol.setdefault(stream.spec.symbol, {})
            where[name] = stream
            self._due.setdefault(stream.every, 0)
        return stream

    def _unsubscribe(self, connection: _Connection, names: list[str]) -> None:
        for name in names:
            connection.streams.pop(name, None)
            connection.muted.discard(name)
            if self._keys is not None and connection.route == PRIVATE:
                self._accounts.leave(connection.id, name)
            listeners = self._listeners.get(name)
            if listeners is not None:
                listeners.pop(connection.id, None)
                if not listeners:
                    self._stop(name)

    def _stop(self, name: str) -> None:
        stream = self._streams.pop(name)
        del self._listeners[name]
        where = self._everywhere if name.startswith("!") else self._by_symbol[stream.spec.symbol]
        del where[name]

    def _read_journal(self) -> None:
        """Hand everything that happened to the streams of its symbol."""
        events = self._exchange.events(self._cursor)
        self._cursor += len(events)
        open_run: list[SimTrade] = []
        for event in events:
            if isinstance(event, BookChange):
                for stream in self._listening(event.symbol):
                    stream.on_change(event)
                continue
            if isinstance(event, SimTrade):
                if open_run and _differs(open_run[-1], event):
                    self._aggregate(open_run)
                open_run.append(event)
                for stream in self._listening(event.symbol):
                    stream.on_trade(event)
            elif isinstance(event, ForcedOrder):
                for stream in self._listening(event.symbol):
                    stream.on_forced(event)
        if open_run:
            self._aggregate(open_run)

    def _listening(self, symbol: str) -> list[Stream]:
        return [*self._by_symbol.get(symbol, {}).values(), *self._everywhere.values()]

    def _aggregate(self, run: list[SimTrade]) -> None:
        """Close a run of trades of one taker's order at one price."""
        first = run[0]
        number = self._next_aggregate[first.symbol]
        self._next_aggregate[first.symbol] = number + 1
        size = sum(trade.size for trade in run)
        row = AggregateTrade(number, first.price, size, first.id, run[-1].id, first.ts, first.taker == "sell")
        self._rest.aggregates[first.symbol].append(row)
        for stream in self._listening(first.symbol):
            stream.on_aggregate(row)
        run.clear()

    # Time ------------------------------------------------------------------------------------------------------------

    def tick(self, now: int) -> None:
        """Push what is due, ping, and cut what has lived long enough."""
        self._now = now
        self._read_journal()
        due = {every for every, at in self._due.items() if at <= now}
        for every in due:
            self._due[every] = now - now % every + every if every else 0
        for name, stream in self._streams.items():
            if stream.every in due:
                stream.flush()
            if stream.pending:
                self._push(name, stream)
        self._private.tick(now)
        if self._keys is not None:
            self._keys.tick(now)
        else:
            self._api.tick()
        self._accounts.collect()
        self._accounts.flush()
        self._shut_down(now)
        lifetime = self._options.lifetime
        oldest = now - (self._rules.lifetime if lifetime is None else round(lifetime * SECOND))
        for connection in list(self._connections.values()):
            if connection.opened <= oldest:
                self._close(connection, 1001, "24h limit")
            elif connection.ping_sent and connection.ping_sent <= now - self._rules.pong_within:
                self._close(connection, _POLICY, "Pong timeout")
            elif connection.next_ping <= now:
                connection.next_ping = now + self._rules.ping_every
                connection.ping = str(self._exchange.now // MILLIS).encode()
                connection.ping_sent = connection.ping_sent or now
                self._outbox.append(Ping(connection.id, connection.ping))

    def _push(self, name: str, stream: Stream) -> None:
        listeners = self._listeners[name].values()
        for payload in stream.pending:
            written: dict[int, bytes] = {}
            for connection in listeners:
                if name in connection.muted:
                    continue
                raw = written.get(connection.unit)
                if raw is None:
                    raw = written[connection.unit] = encode(payload(connection.unit))
                self._send(connection, name, raw)
        stream.pending.clear()

    def _send(self, connection: _Connection, name: str, raw: bytes) -> None:
        data = b"".join((b'{"stream":', encode(name), b',"data":', raw, b"}")) if connection.combined else raw
        self._outbox.append(Text(connection.id, data, name))

    def _shut_down(self, now: int) -> None:
        """Announce a shutdown when a fault says so, and close everything once its notice has passed."""
        notice = self._options.faults.take("server_shutdown", self._rules.name) if self._connections else None
        if notice is not None:
            self._shutdown_at = now + round(notice * SECOND)
            if self._rules.announces_shutdown:
                for connection in self._connections.values():
                    stamp = self._exchange.now // connection.unit
                    raw = encode({"e": "serverShutdown", "E": stamp})
                    if connection.route == API:
                        self._outbox.append(Text(connection.id, b'{"event":' + raw + b"}"))
                        continue
                    wrapped = b'{"stream":"!serverShutdown","data":' + raw + b"}"
                    self._outbox.append(Text(connection.id, wrapped if connection.combined else raw))
        if self._shutdown_at is not None and self._shutdown_at <= now:
            self._shutdown_at = None
            for connection in list(self._connections.values()):
                self._close(connection, 1001, "Shutdown")


def _differs(last: SimTrade, trade: SimTrade) -> bool:
    return (last.symbol, last.taker_order, last.price) != (trade.symbol, trade.taker_order, trade.price)
