"""Signatures of both markets, REST and WebSocket API: HMAC-SHA256 and Ed25519. What is signed is what is sent.

REST signs the percent-encoded query and, directly behind it, the body. The WebSocket API signs its parameters sorted
by name and not encoded. A secret in PEM form is an Ed25519 private key; any other text is an HMAC secret.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping
from decimal import ROUND_DOWN, Decimal
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from msgspec import structs

from unitape.errors import ConfigError
from unitape.spi import MILLISECOND, Credentials, HttpRequest
from unitape_binance.errors import MarketName

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

__all__ = ["KEY_HEADER", "is_private_key", "recv_window", "sign", "sign_parameters", "sign_text"]

KEY_HEADER: Final = "X-MBX-APIKEY"

_MOST_MS: Final = 60_000
_PEM: Final = "-----BEGIN"


def is_private_key(secret: str) -> bool:
    """Tell whether a secret is a private key in PEM form. Only such keys can log a WebSocket session on."""
    return secret.lstrip().startswith(_PEM)


def sign_text(text: str, credentials: Credentials) -> str:
    """Return the signature of a text: lower-case hex of HMAC-SHA256, or base64 of Ed25519.

    Raises:
        ConfigError: the private key cannot be read, is of another kind, or the extra ``ed25519`` is not installed.
    """
    if is_private_key(credentials.secret):
        return base64.b64encode(_private_key(credentials.secret).sign(text.encode())).decode()
    return hmac.new(credentials.secret.encode(), text.encode(), hashlib.sha256).hexdigest()


def sign(
    request: HttpRequest, credentials: Credentials, ts: int, window: float, market: MarketName = "spot"
) -> HttpRequest:
    """Return the request as it must be sent: with the key and, where ``auth`` says so, window, time and signature.

    The signature stands last, as USDⓈ-M wants it: behind the query or, where there is one, behind the form in the body.

    ``ts`` is the venue's time in nanoseconds, ``window`` the seconds within which the venue must have the request.
    """
    if request.auth == "none":
        return request
    headers = (*request.headers, (KEY_HEADER, credentials.key))
    if request.auth == "key":
        return structs.replace(request, headers=headers)
    timing = f"recvWindow={recv_window(window, market)}&timestamp={ts // MILLISECOND}"
    if request.body:
        body = f"{request.body.decode()}&{timing}"
        signature = quote(sign_text(request.query + body, credentials), safe="")
        return structs.replace(request, headers=headers, body=f"{body}&signature={signature}".encode())
    query = f"{request.query}&{timing}" if request.query else timing
    signature = quote(sign_text(query, credentials), safe="")
    return structs.replace(request, headers=headers, query=f"{query}&signature={signature}")


def sign_parameters(parameters: Mapping[str, str | int | bool], credentials: Credentials) -> str:
    """Sign the parameters of a WebSocket API request, ``apiKey`` and ``timestamp`` among them, as JSON prints them."""
    text = "&".join(f"{name}={_printed(value)}" for name, value in sorted(parameters.items()) if name != "signature")
    return sign_text(text, credentials)


def recv_window(seconds: float, market: MarketName) -> str:
    """Write a window in milliseconds: spot takes microseconds behind the point, USDⓈ-M whole numbers, rounded down.

    Raises:
        ConfigError: the venue takes no such window.
    """
    exact = Decimal(repr(seconds)) * 1000
    step = Decimal("0.001") if market == "spot" else Decimal(1)
    window = exact.quantize(step, rounding=ROUND_DOWN)
    if not 0 < window <= _MOST_MS:
        raise ConfigError(f"a receive window of {seconds} s: the venue takes more than 0 and at most 60")
    text = format(window, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def _printed(value: str | int | bool) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _private_key(pem: str) -> Ed25519PrivateKey:
    try:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
        from cryptography.hazmat.primitives.serialization import load_pem_private_key
    except ImportError as error:
        raise ConfigError("a private key needs the package cryptography: pip install 'unitape[ed25519]'") from error
    try:
        key = load_pem_private_key(pem.strip().encode(), password=None)
    except (ValueError, TypeError) as error:
        # What the library says may quote the key.
        raise ConfigError(f"the private key cannot be read ({type(error).__name__}); it must be PEM") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise ConfigError("the private key is not an Ed25519 key; the venue's other kinds are not served here")
    return key
