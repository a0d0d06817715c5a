"""The signatures of both markets. Exact text in, lower-case hex out; what is signed must be sent unchanged."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from decimal import ROUND_DOWN, Decimal
from typing import Final

from msgspec import structs

from unitape.errors import ConfigError
from unitape.spi import MILLISECOND, Credentials, HttpRequest

__all__ = [
    "futures_parameters",
    "futures_signature",
    "sign",
    "sign_futures",
    "sign_spot",
    "spot_signature",
    "window_millis",
]

_MOST_MS: Final = 60_000
_JSON: Final = ("Content-Type", "application/json")


def sign(secret: str, text: str) -> str:
    """Return HMAC-SHA256 of the text as lower-case hex."""
    return hmac.new(secret.encode(), text.encode(), hashlib.sha256).hexdigest()


def spot_signature(secret: str, query: str, body: str = "") -> str:
    """Sign a spot request: the query as it is sent, without ``signature``, and the body right after it."""
    return sign(secret, query + body)


def futures_parameters(parameters: Mapping[str, str | int | None]) -> str:
    """Return the parameter string of a futures GET or DELETE: sorted by name, absent ones left out."""
    return "&".join(f"{name}={value}" for name, value in sorted(parameters.items()) if value is not None)


def futures_signature(secret: str, key: str, time: str, parameters: str = "") -> str:
    """Sign a futures request, or a login on the WebSocket.

    ``time`` is the ``Request-Time`` in milliseconds. ``parameters`` is the parameter string of a GET or DELETE, the
    exact body of a POST, and empty for a login.
    """
    return sign(secret, key + time + parameters)


def window_millis(seconds: float) -> int:
    """Return a receive window in milliseconds, rounded down.

    Raises:
        ConfigError: the venue takes no such window.
    """
    window = int((Decimal(repr(seconds)) * 1000).to_integral_value(ROUND_DOWN))
    if not 0 < window <= _MOST_MS:
        raise ConfigError(f"a receive window of {seconds} s: the venue takes more than 0 and at most 60")
    return window


def sign_spot(request: HttpRequest, credentials: Credentials, ts: int, window: float) -> HttpRequest:
    """Return a spot request as it must be sent: with the key and, where ``auth`` says so, window, time, signature.

    ``ts`` is the venue's time in nanoseconds. What changes something also says that it is JSON, body or not: the
    venue refuses it otherwise.
    """
    if request.auth == "none":
        return request
    headers = (*request.headers, ("X-MEXC-APIKEY", credentials.key))
    if request.method != "GET":
        headers = (*headers, _JSON)
    if request.auth == "key":
        return structs.replace(request, headers=headers)
    timing = f"recvWindow={window_millis(window)}&timestamp={ts // MILLISECOND}"
    query = f"{request.query}&{timing}" if request.query else timing
    signature = spot_signature(credentials.secret, query, request.body.decode())
    return structs.replace(request, headers=headers, query=f"{query}&signature={signature}")


def sign_futures(
    request: HttpRequest, credentials: Credentials, ts: int, window_header: str | None = None
) -> HttpRequest:
    """Return a futures request as it must be sent. Query and body stay as they are: the headers sign them.

    The query of a GET must be sorted by name already, see ``futures_parameters``. ``window_header`` is the text of
    ``Recv-Window``; None leaves it out.
    """
    if request.auth == "none":
        return request
    time = str(ts // MILLISECOND)
    signed = request.query if request.method in ("GET", "DELETE") else request.body.decode()
    headers = [
        *request.headers,
        ("ApiKey", credentials.key),
        ("Request-Time", time),
        ("Signature", futures_signature(credentials.secret, credentials.key, time, signed)),
        _JSON,
    ]
    if window_header is not None:
        headers.append(("Recv-Window", window_header))
    return structs.replace(request, headers=tuple(headers))
