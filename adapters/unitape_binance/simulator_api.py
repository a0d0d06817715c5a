"""The WebSocket API of both simulated markets: requests and answers, sessions, and subscriptions to accounts on spot.

Requests are served by the handlers that serve REST, so that both say the same. Source: "WebSocket API" of the public
documentation of spot (July 2026) and of USDⓈ-M futures (October 2026).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, TypeAlias
from urllib.parse import urlencode

import msgspec
from msgspec import Struct

from unitape.spi import HttpRequest
from unitape.spi.simulated_accounts import SimUser
from unitape.spi.simulation import PRIVATE_STREAM, Exchange, FaceOutput, FaultSource, Text
from unitape_binance.simulator_account_streams import AccountStreams
from unitape_binance.simulator_listen_keys import ListenKeys
from unitape_binance.simulator_private import PrivateFace, is_ed25519, is_signed_text
from unitape_binance.simulator_quota import Quota
from unitape_binance.simulator_rest import Json, Parameters, RestFace
from unitape_binance.simulator_rules import MILLIS, Refusal, Spelling, encode

__all__ = ["API_PATHS", "ApiFace", "Serving"]

API_PATHS: Final = {False: ["ws-api", "v3"], True: ["ws-fapi", "v1"]}
"""By kind of market."""

_HANDSHAKE: Final = {False: 2, True: 5}
_SESSION_WEIGHT: Final = 2
_PREFIXES: Final = ("v3/", "v1/")

_SPOT: Final[Mapping[str, tuple[str, str]]] = {
    "order.place": ("POST", "/api/v3/order"),
    "order.test": ("POST", "/api/v3/order/test"),
    "order.status": ("GET", "/api/v3/order"),
    "order.cancel": ("DELETE", "/api/v3/order"),
    "order.cancelReplace": ("POST", "/api/v3/order/cancelReplace"),
    "order.amend.keepPriority": ("PUT", "/api/v3/order/amend/keepPriority"),
    "openOrders.status": ("GET", "/api/v3/openOrders"),
    "openOrders.cancelAll": ("DELETE", "/api/v3/openOrders"),
    "allOrders": ("GET", "/api/v3/allOrders"),
    "myTrades": ("GET", "/api/v3/myTrades"),
    "account.status": ("GET", "/api/v3/account"),
    "account.rateLimits.orders": ("GET", "/api/v3/rateLimit/order"),
    "ping": ("GET", "/api/v3/ping"),
    "time": ("GET", "/api/v3/time"),
    "exchangeInfo": ("GET", "/api/v3/exchangeInfo"),
    "depth": ("GET", "/api/v3/depth"),
    "trades.recent": ("GET", "/api/v3/trades"),
    "trades.historical": ("GET", "/api/v3/historicalTrades"),
    "trades.aggregate": ("GET", "/api/v3/aggTrades"),
    "klines": ("GET", "/api/v3/klines"),
    "uiKlines": ("GET", "/api/v3/uiKlines"),
    "avgPrice": ("GET", "/api/v3/avgPrice"),
    "ticker.24hr": ("GET", "/api/v3/ticker/24hr"),
    "ticker.price": ("GET", "/api/v3/ticker/price"),
    "ticker.book": ("GET", "/api/v3/ticker/bookTicker"),
}
_FUTURES: Final[Mapping[str, tuple[str, str]]] = {
    "order.place": ("POST", "/fapi/v1/order"),
    "order.modify": ("PUT", "/fapi/v1/order"),
    "order.cancel": ("DELETE", "/fapi/v1/order"),
    "order.status": ("GET", "/fapi/v1/order"),
    "algoOrder.place": ("POST", "/fapi/v1/algoOrder"),
    "algoOrder.cancel": ("DELETE", "/fapi/v1/algoOrder"),
    "v2/account.balance": ("GET", "/fapi/v3/balance"),
    "v2/account.status": ("GET", "/fapi/v3/account"),
    "v2/account.position": ("GET", "/fapi/v3/positionRisk"),
    "depth": ("GET", "/fapi/v1/depth"),
    "ticker.price": ("GET", "/fapi/v1/ticker/price"),
    "ticker.book": ("GET", "/fapi/v1/ticker/bookTicker"),
}
_KEY_VERBS: Final[Mapping[str, str]] = {
    "userDataStream.start": "POST",
    "userDataStream.ping": "PUT",
    "userDataStream.stop": "DELETE",
}

_Values: TypeAlias = dict[str, object]
_SUBSCRIPTION: Final = "account"


class Serving(Struct, frozen=True):
    """What serves the requests."""

    rest: RestFace
    private: PrivateFace
    accounts: AccountStreams
    keys: ListenKeys | None
    quota: Quota
    refuse_by_fault: Callable[[str], None]


class _Request(Struct):
    method: str
    id: int | str | None = None
    params: dict[str, object] = {}


class _Connection:
    def __init__(self, conn: int, unit: int, opened: int, *, tells_limits: bool) -> None:
        self.id = conn
        self.unit = unit
        self.opened = opened
        self.tells_limits = tells_limits
        self.user: SimUser | None = None
        self.since = 0
        self.subscriptions: dict[int, str] = {}
        """Numbers of running subscriptions, and how each came about: by ``logon`` or by ``signature``."""
        self.made = 0


class ApiFace:
    """All connections to one market's WebSocket API."""

    def __init__(
        self,
        exchange: Exchange,
        spelling: Spelling,
        serving: Serving,
        faults: FaultSource,
        outbox: list[FaceOutput],
    ) -> None:
        self._exchange = exchange
        self._linear = spelling.rules.linear
        self._serving = serving
        self._faults = faults
        self._outbox = outbox
        self._methods = _FUTURES if self._linear else _SPOT
        self._connections: dict[int, _Connection] = {}
        self._verbs: Mapping[str, Callable[[_Connection, _Values], Json]] = {
            "session.logon": self._logon,
            "session.status": self._status,
            "session.logout": self._logout,
        }
        if not self._linear:
            self._verbs = {
                **self._verbs,
                "session.subscriptions": self._subscriptions,
                "userDataStream.subscribe": self._subscribe,
                "userDataStream.subscribe.signature": self._subscribe_signed,
                "userDataStream.unsubscribe": self._unsubscribe,
            }

    # Connections -----------------------------------------------------------------------------------------------------

    def open(self, conn: int, unit: int, *, tells_limits: bool) -> None:
        """Take a connection."""
        self._connections[conn] = _Connection(conn, unit, self._exchange.now, tells_limits=tells_limits)
        try:
            self._serving.quota.spend(_HANDSHAKE[self._linear])
        except Refusal:
            return  # what it asks for will be refused

    def close(self, conn: int) -> None:
        """Forget a connection."""
        self._connections.pop(conn, None)

    def tick(self) -> None:
        """End subscriptions when a fault says so."""
        for conn, name in self._serving.accounts.listeners():
            connection = self._connections.get(conn)
            if connection is not None and self._faults.take("listen_key_expired", PRIVATE_STREAM) is not None:
                self._end(connection, int(name.removeprefix(_SUBSCRIPTION)))

    def frame(self, conn: int, data: bytes) -> None:
        """Answer one request."""
        connection = self._connections[conn]
        try:
            request = msgspec.json.decode(data, type=_Request)
        except (msgspec.MsgspecError, UnicodeError):
            self._refuse(connection, None, "", Refusal(-1135, "Invalid JSON Request"))
            return
        method = request.method
        for prefix in _PREFIXES:
            if method not in self._methods:
                method = method.removeprefix(prefix)
        name = " ".join(self._methods.get(method, ("", method))).strip()
        try:
            self._serving.refuse_by_fault(name)
            self._serving.quota.check_ban()
            result, user = self._serve(connection, method, dict(request.params))
        except Refusal as refusal:
            self._refuse(connection, request.id, name, refusal)
            return
        self._answer(connection, name, {"id": request.id, "status": 200, "result": result}, user)

    # Answers ---------------------------------------------------------------------------------------------------------

    def _answer(self, connection: _Connection, name: str, frame: dict[str, object], user: SimUser | None) -> None:
        if connection.tells_limits:
            weight = {
                "rateLimitType": "REQUEST_WEIGHT",
                "interval": "MINUTE",
                "intervalNum": 1,
                "limit": self._serving.quota.limit,
                "count": self._serving.quota.used,
            }
            orders = [] if user is None else self._serving.private.limits(user)
            frame["rateLimits"] = [*orders, weight]
        # Named by what was asked for, so that a fault can strike the answer to an order.
        self._outbox.append(Text(connection.id, encode(frame), name))

    def _refuse(self, connection: _Connection, number: int | str | None, name: str, refusal: Refusal) -> None:
        error = refusal.body()
        if refusal.wait is not None:
            now = self._exchange.now // MILLIS
            error["data"] = {"serverTime": now, "retryAfter": now + refusal.wait * 1_000}
        self._answer(connection, name, {"id": number, "status": refusal.status, "error": error}, None)

    # Requests --------------------------------------------------------------------------------------------------------

    def _serve(self, connection: _Connection, method: str, values: _Values) -> tuple[Json, SimUser | None]:
        values.pop("returnRateLimits", None)
        verb = self._verbs.get(method)
        if verb is not None:
            self._serving.quota.spend(_SESSION_WEIGHT)
            return verb(connection, values), None
        if method in _KEY_VERBS and self._serving.keys is not None:
            self._serving.quota.spend(1)
            return self._serving.keys.manage(_KEY_VERBS[method], self._by_key(connection, values)), None
        where = self._methods.get(method)
        if where is None:
            raise Refusal(-1020, "This operation is not supported.")
        private = self._serving.private.endpoints.get(where)
        if private is None:
            return self._public(where[1], connection, values), None
        parameters = _parameters(where, values, connection.unit)
        self._serving.quota.spend(private.weight(parameters))
        user = self._signer(connection, values)
        lag = self._faults.take("lagging_orders", where[1]) if where[0] == "GET" else None
        body, counted = self._serving.private.answer(private, user, parameters, lag or 0.0)
        return body, user if counted else None

    def _public(self, path: str, connection: _Connection, values: _Values) -> Json:
        endpoint = self._serving.rest.endpoints[path]
        parameters = _parameters(("GET", path), values, connection.unit)
        self._serving.quota.spend(endpoint.weight(parameters))
        return endpoint.answer(parameters)

    def _by_key(self, connection: _Connection, values: _Values) -> SimUser:
        """Return whose key a request names or, without one, who is logged on."""
        if "apiKey" not in values:
            if connection.user is None:
                raise Refusal(-1102, "Mandatory parameter 'apiKey' was not sent, was empty/null, or malformed.")
            return connection.user
        headers = (("x-mbx-apikey", str(values["apiKey"])),)
        return self._serving.private.signer(Parameters(HttpRequest("GET", "", headers=headers)))

    def _signer(self, connection: _Connection, values: _Values) -> SimUser:
        user = self._by_key(connection, values)
        parameters = _parameters(("GET", ""), values, connection.unit, keeps=True)
        if "apiKey" in values:
            signature = parameters.required("signature")
            self._serving.private.check_time(parameters)
            text = "&".join(f"{name}={_printed(values[name])}" for name in sorted(values) if name != "signature")
            if not is_signed_text(text.encode(), user.secret, signature):
                raise Refusal(-1022, "Signature for this request is not valid.")
        else:
            self._serving.private.check_time(parameters)
        return user

    # Sessions --------------------------------------------------------------------------------------------------------

    def _logon(self, connection: _Connection, values: _Values) -> Json:
        if "apiKey" not in values:
            raise Refusal(-1102, "Mandatory parameter 'apiKey' was not sent, was empty/null, or malformed.")
        user = self._by_key(connection, values)
        if not is_ed25519(user.secret):
            raise Refusal(-4056, "HMAC_SHA256 API key is not supported.")
        connection.user = self._signer(connection, values)
        connection.since = self._exchange.now
        return self._status(connection, values)

    def _status(self, connection: _Connection, values: _Values) -> Json:
        user = connection.user
        status: dict[str, Json] = {
            "apiKey": None if user is None else user.key,
            "authorizedSince": None if user is None else connection.since // connection.unit,
            "connectedSince": connection.opened // connection.unit,
            "returnRateLimits": connection.tells_limits,
            "serverTime": self._exchange.now // connection.unit,
        }
        return status if self._linear else status | {"userDataStream": "logon" in connection.subscriptions.values()}

    def _logout(self, connection: _Connection, values: _Values) -> Json:
        connection.user = None
        for number, how in list(connection.subscriptions.items()):
            if how == "logon":
                self._end(connection, number)
        return self._status(connection, values)

    # Subscriptions to accounts, spot ---------------------------------------------------------------------------------

    def _subscriptions(self, connection: _Connection, values: _Values) -> Json:
        return [{"subscriptionId": number} for number in connection.subscriptions]

    def _subscribe(self, connection: _Connection, values: _Values) -> Json:
        if connection.user is None:
            raise Refusal(-1002, "You are not authorized to execute this request.", 401)
        return self._begin(connection, connection.user, "logon")

    def _subscribe_signed(self, connection: _Connection, values: _Values) -> Json:
        if "apiKey" not in values:
            raise Refusal(-1102, "Mandatory parameter 'apiKey' was not sent, was empty/null, or malformed.")
        return self._begin(connection, self._signer(connection, values), "signature")

    def _begin(self, connection: _Connection, user: SimUser, how: str) -> Json:
        # One key per account here, so that whoever subscribes twice means one account.
        if connection.subscriptions:
            raise Refusal(-2035, "Subscription is already active.")
        number, connection.made = connection.made, connection.made + 1
        connection.subscriptions[number] = how
        head = b'{"subscriptionId":%d,"event":' % number

        def wrap(raw: bytes) -> bytes:
            return head + raw + b"}"

        self._serving.accounts.join(user.name, connection.id, f"{_SUBSCRIPTION}{number}", connection.unit, wrap)
        return {"subscriptionId": number}

    def _unsubscribe(self, connection: _Connection, values: _Values) -> Json:
        number = values.get("subscriptionId")
        ended = [one for one in connection.subscriptions if number is None or one == number]
        if not ended:
            raise Refusal(-2036, "Subscription is not active.")
        for one in ended:
            self._end(connection, one)
        return {}

    def _end(self, connection: _Connection, number: int) -> None:
        name, now = f"{_SUBSCRIPTION}{number}", self._exchange.now
        self._serving.accounts.say(connection.id, name, lambda unit: {"e": "eventStreamTerminated", "E": now // unit})
        self._serving.accounts.leave(connection.id, name)
        connection.subscriptions.pop(number, None)


def _parameters(where: tuple[str, str], values: _Values, unit: int, *, keeps: bool = False) -> Parameters:
    """Return the parameters of a request as those of REST; without key and signature unless it ``keeps`` them."""
    left_out = frozenset[str]() if keeps else frozenset({"apiKey", "signature"})
    fields = {name: _printed(value) for name, value in values.items() if name not in left_out}
    headers = (("x-mbx-time-unit", "MILLISECOND" if unit == MILLIS else "MICROSECOND"),)
    return Parameters(HttpRequest("GET", where[1], urlencode(fields), headers=headers))


def _printed(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else encode(value).decode()
