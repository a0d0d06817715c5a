"""The signatures of both markets. Exact text in, lower-case hex out; what is signed must be sent unchanged."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping

__all__ = ["futures_parameters", "futures_signature", "sign", "spot_signature"]


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
