"""The WebSocket API as another way for the same private requests: pure encoders and decoders of its frames.

A request made for REST becomes a frame here, and the answer's frame becomes the ``HttpResponse`` that REST would have
given, so that the query that made the request reads it. From "WebSocket API" of binance-spot-api-docs (2026-07) and
of the USDⓈ-M futures (2026-10).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final
from urllib.parse import parse_qsl

import msgspec
from msgspec import Raw, Struct

from unitape.errors import ConfigError, Unsupported, WireError
from unitape.spi import (
    MILLISECOND,
    Credentials,
    HttpRequest,
    HttpResponse,
    SocketAnswer,
    SocketFrame,
    SocketSpec,
    TradingSettings,
)
from unitape_binance.errors import MarketName
from unitape_binance.limits import SPOT_API_HEARTBEAT, USDM_HEARTBEAT
from unitape_binance.readers import DECODE_ERRORS, VENUE_NAME
from unitape_binance.signing import is_private_key, recv_window, sign_parameters

__all__ = [
    "METHODS",
    "URLS",
    "ApiAnswer",
    "BinanceSocket",
    "carries",
    "logon_frame",
    "read_frame",
    "request_frame",
    "signed_frame",
]

Value = str | int | bool

URLS: Final[Mapping[MarketName, Mapping[str, str]]] = {
    "spot": {
        "live": "wss://ws-api.binance.com:443/ws-api/v3",
        "testnet": "wss://ws-api.testnet.binance.vision/ws-api/v3",
        "demo": "wss://demo-ws-api.binance.com/ws-api/v3",
    },
    "usdm": {
        "live": "wss://ws-fapi.binance.com/ws-fapi/v1",
        "testnet": "wss://testnet.binancefuture.com/ws-fapi/v1",
    },
}

METHODS: Final[Mapping[MarketName, Mapping[tuple[str, str], str]]] = {
    "spot": {
        ("POST", "/api/v3/order"): "order.place",
        ("POST", "/api/v3/order/test"): "order.test",
        ("GET", "/api/v3/order"): "order.status",
        ("DELETE", "/api/v3/order"): "order.cancel",
        ("PUT", "/api/v3/order/amend/keepPriority"): "order.amend.keepPriority",
        ("POST", "/api/v3/order/cancelReplace"): "order.cancelReplace",
        ("GET", "/api/v3/openOrders"): "openOrders.status",
        ("DELETE", "/api/v3/openOrders"): "openOrders.cancelAll",
        ("GET", "/api/v3/allOrders"): "allOrders",
        ("GET", "/api/v3/myTrades"): "myTrades",
        ("GET", "/api/v3/account"): "account.status",
    },
    "usdm": {
        ("POST", "/fapi/v1/order"): "order.place",
        ("PUT", "/fapi/v1/order"): "order.modify",
        ("GET", "/fapi/v1/order"): "order.status",
        ("DELETE", "/fapi/v1/order"): "order.cancel",
        ("POST", "/fapi/v1/algoOrder"): "algoOrder.place",
        ("DELETE", "/fapi/v1/algoOrder"): "algoOrder.cancel",
        ("GET", "/fapi/v3/balance"): "v2/account.balance",
        ("GET", "/fapi/v3/account"): "v2/account.status",
        ("GET", "/fapi/v3/positionRisk"): "v2/account.position",
    },
}
"""The method that stands for each REST request. What is not here goes over REST: batches, mass cancels on futures."""

SOCKETS: Final[Mapping[MarketName, SocketSpec]] = {
    "spot": SocketSpec(
        "api",
        SPOT_API_HEARTBEAT,
        24 * 3600.0,
        "binance-spot-api-docs: WebSocket API, General API Information; 2026-07",
    ),
    "usdm": SocketSpec("api", USDM_HEARTBEAT, 24 * 3600.0, "USDⓈ-M futures: WebSocket API General Info; 2026-10"),
}

_INTEGERS: Final = frozenset({"orderId", "cancelOrderId", "algoId", "startTime", "endTime", "limit", "goodTillDate"})
_BOOLEANS: Final = frozenset({"omitZeroBalances"})
_LETTERS: Final = {"SECOND": "s", "MINUTE": "m", "HOUR": "h", "DAY": "d"}


class ApiAnswer(Struct, frozen=True):
    """An answer: to which request, and what REST would have said. ``id`` None: it concerns the whole session."""

    id: str | int | None
    response: HttpResponse


class _Limit(Struct, gc=False, rename="camel"):
    rate_limit_type: str
    interval: str
    interval_num: int
    count: int = 0


class _Times(Struct, gc=False, rename="camel"):
    server_time: int = 0
    retry_after: int = 0


class _Refusal(Struct, gc=False):
    data: _Times | None = None


class _Frame(Struct, gc=False, rename="camel"):
    status: int | None = None
    id: str | int | None = None
    result: Raw = Raw()
    error: Raw = Raw()
    rate_limits: tuple[_Limit, ...] = ()


_frame = msgspec.json.Decoder(_Frame).decode
_refusal = msgspec.json.Decoder(_Refusal).decode


def carries(request: HttpRequest, market: MarketName) -> bool:
    """Tell whether the market's WebSocket API has a method for a request."""
    return (request.method, request.path) in METHODS[market]


def request_frame(
    request: HttpRequest,
    market: MarketName,
    number: str,
    credentials: Credentials | None,
    ts: int,
    window: float,
) -> bytes:
    """Write a private request as a frame.

    ``number`` comes back with the answer; ``ts`` is the venue's time in nanoseconds. ``credentials`` None: the session
    is logged on, and the request carries neither key nor signature.

    Raises:
        Unsupported: the WebSocket API has no such method.
    """
    method = METHODS[market].get((request.method, request.path))
    if method is None:
        raise Unsupported(f"the WebSocket API of {market} has no {request.method} {request.path}; send it over REST")
    parameters: dict[str, Value] = {
        name: _typed(name, value) for name, value in parse_qsl(request.query, keep_blank_values=True)
    }
    if credentials is not None:
        return signed_frame(market, method, number, parameters, credentials, ts, window)
    parameters |= _timing(market, ts, window)
    return msgspec.json.encode({"id": number, "method": method, "params": parameters})


def signed_frame(
    market: MarketName,
    method: str,
    number: str,
    parameters: Mapping[str, Value],
    credentials: Credentials,
    ts: int,
    window: float,
) -> bytes:
    """Write a frame with key, window, time (``ts``: the venue's, nanoseconds) and signature."""
    signed = {**parameters, "apiKey": credentials.key, **_timing(market, ts, window)}
    signed["signature"] = sign_parameters(signed, credentials)
    return msgspec.json.encode({"id": number, "method": method, "params": signed})


def logon_frame(market: MarketName, number: str, credentials: Credentials, ts: int, window: float) -> bytes:
    """Write the frame that logs a session on, so that its requests need no signatures.

    Raises:
        ConfigError: the secret is no Ed25519 private key, and only those can log on.
    """
    if not is_private_key(credentials.secret):
        raise ConfigError("only an Ed25519 key can log a session on; other keys sign every request")
    return signed_frame(market, "session.logon", number, {}, credentials, ts, window)


def read_frame(data: bytes) -> ApiAnswer | None:
    """Read an answer; None for anything else, such as events of a user data stream.

    Raises:
        WireError: it is neither.
    """
    try:
        data.decode()
        frame = _frame(data)
        if frame.status is None:
            return None
        error_body = bytes(frame.error)
        retry = _retry_after(_times(error_body)) if error_body else ()
    except DECODE_ERRORS as error:
        raise WireError(f"WebSocket API: {error}", data, venue=VENUE_NAME) from error
    body = error_body or bytes(frame.result)
    headers = (*(_header(limit) for limit in frame.rate_limits), *retry)
    return ApiAnswer(frame.id, HttpResponse(frame.status, body, headers))


def _typed(name: str, value: str) -> Value:
    """Return a parameter as JSON wants it: numbers of the venue's own as integers, decimals as text."""
    if name in _INTEGERS:
        return int(value)
    return value == "true" if name in _BOOLEANS else value


def _timing(market: MarketName, ts: int, window: float) -> dict[str, Value]:
    text = recv_window(window, market)
    # A fraction is text, as all decimals are; what is signed is the same either way.
    return {"recvWindow": text if "." in text else int(text), "timestamp": ts // MILLISECOND}


def _header(limit: _Limit) -> tuple[str, str]:
    """Write a counter as the header that REST would have sent."""
    span = f"{limit.interval_num}{_LETTERS.get(limit.interval, limit.interval.lower())}"
    kind = "used-weight" if limit.rate_limit_type == "REQUEST_WEIGHT" else "order-count"
    if limit.rate_limit_type not in ("REQUEST_WEIGHT", "ORDERS"):
        kind = limit.rate_limit_type.lower().replace("_", "-")
    return f"x-mbx-{kind}-{span}", str(limit.count)


def _times(error: bytes) -> _Times | None:
    try:
        return _refusal(error).data
    except msgspec.ValidationError:
        # The other kind of data is that of a cancel-and-replace, which says nothing about times.
        return None


def _retry_after(times: _Times | None) -> tuple[tuple[str, str], ...]:
    """Write the absolute end of a pause as the seconds that REST would have sent."""
    if times is None or not times.retry_after or not times.server_time:
        return ()
    return (("retry-after", str(max(0, -(-(times.retry_after - times.server_time) // 1000)))),)


class BinanceSocket:
    """The WebSocket API as a way for requests; see ``unitape.spi.ApiSocket``."""

    def __init__(self, market: MarketName, settings: TradingSettings) -> None:
        recv_window(settings.recv_window, market)
        self._market: MarketName = market
        self._window = settings.recv_window

    @property
    def spec(self) -> SocketSpec:
        """How it behaves."""
        return SOCKETS[self._market]

    def carries(self, request: HttpRequest) -> bool:
        """Tell whether there is a method for a request; one with its parameters in the body has none."""
        return not request.body and carries(request, self._market)

    def logon(self, number: str, credentials: Credentials, ts: int) -> SocketFrame | None:
        """Return the logon frame; None for a key that is no Ed25519 key: it signs every request."""
        if not is_private_key(credentials.secret):
            return None
        return _framed(logon_frame(self._market, number, credentials, ts, self._window))

    def frame(self, request: HttpRequest, number: str, credentials: Credentials | None, ts: int) -> SocketFrame:
        """Return a request as a frame."""
        return _framed(request_frame(request, self._market, number, credentials, ts, self._window))

    def read(self, data: bytes) -> SocketAnswer | None:
        """Read an answer."""
        answer = read_frame(data)
        if answer is None:
            return None
        return SocketAnswer(None if answer.id is None else str(answer.id), answer.response)


class _Signed(Struct, gc=False):
    signature: str = ""


class _Sent(Struct, gc=False):
    params: _Signed


_sent = msgspec.json.Decoder(_Sent).decode


def _framed(data: bytes) -> SocketFrame:
    signature = _sent(data).params.signature
    return SocketFrame(data, (signature,) if signature else ())
