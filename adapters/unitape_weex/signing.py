"""Signatures: base64 of HMAC-SHA256 over timestamp, method, path, query and body; no method on a socket.

The secret is used as its own text. Query and body must go out as the very bytes that were signed. A new signature is
made for every attempt: the venue takes a timestamp for thirty seconds either way.
"""

from __future__ import annotations

import base64
import hashlib
import hmac

from msgspec import structs

from unitape.errors import ConfigError
from unitape.spi import MILLISECOND, Credentials, HttpRequest

__all__ = ["PRIVATE_PATH", "headers", "request_text", "sign", "sign_request", "socket_text"]

PRIVATE_PATH = "/v3/ws/private"


def request_text(request: HttpRequest, timestamp: int) -> bytes:
    """Return what is signed for a request. ``timestamp`` is Unix milliseconds."""
    return f"{timestamp}{request.method}{request.target}".encode() + request.body


def socket_text(timestamp: int, path: str = PRIVATE_PATH) -> bytes:
    """Return what is signed for the handshake of a private socket."""
    return f"{timestamp}{path}".encode()


def sign(secret: str, text: bytes) -> str:
    """Return the value of ``ACCESS-SIGN``."""
    return base64.b64encode(hmac.new(secret.encode(), text, hashlib.sha256).digest()).decode()


def headers(key: str, secret: str, passphrase: str, timestamp: int, text: bytes) -> tuple[tuple[str, str], ...]:
    """Return the four headers of a signed request or handshake; ``timestamp`` is the one in ``text``."""
    return (
        ("ACCESS-KEY", key),
        ("ACCESS-SIGN", sign(secret, text)),
        ("ACCESS-TIMESTAMP", str(timestamp)),
        ("ACCESS-PASSPHRASE", passphrase),
    )


def sign_request(request: HttpRequest, credentials: Credentials, ts: int) -> HttpRequest:
    """Return the request as it must be sent; ``ts`` is the venue's time in nanoseconds.

    Raises:
        ConfigError: there is no passphrase, which every key of this venue has.
    """
    if request.auth == "none":
        return request
    passphrase = credentials.passphrase
    if passphrase is None:
        raise ConfigError("a key of weex has a passphrase; it was chosen when the key was made")
    timestamp = ts // MILLISECOND
    added = headers(credentials.key, credentials.secret, passphrase, timestamp, request_text(request, timestamp))
    return structs.replace(request, headers=(*request.headers, *added))
