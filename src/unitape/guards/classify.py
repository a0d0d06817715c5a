"""What one answer says about the health of an endpoint. Pure: tables of the market first, then general rules."""

from __future__ import annotations

from typing import Final

import msgspec

from unitape.errors import (
    AuthenticationFailed,
    InvalidOrder,
    InvalidRequest,
    OutcomeUnknown,
    PermissionDenied,
    RateLimited,
    TimestampOutOfWindow,
    UnitapeError,
    Unsupported,
    VenueError,
    WireError,
)
from unitape.spi import HttpResponse, KillSignals, SignalClass

__all__ = ["FAMILIES", "classify", "family_of", "told"]

FAMILIES: Final = {
    "place": "order.create",
    "place_many": "order.create",
    "validate": "order.create",
    "amend": "order.create",
    "replace": "order.create",
    "close_position": "order.create",
    "cancel": "order.cancel",
    "cancel_many": "order.cancel",
    "cancel_all": "order.cancel",
    "cancel_all_conditional": "order.cancel",
    "order": "order.query",
    "open_orders": "order.query",
    "open_conditional": "order.query",
    "order_history": "order.query",
    "conditional_history": "order.query",
    "fills": "order.query",
}
"""Family by the name of a query; everything else is ``account``."""

_GONE: Final = frozenset({404, 405, 410})
_SLOW_DOWN: Final = frozenset({418, 429})
_PLAIN: Final = (VenueError, InvalidRequest, PermissionDenied)
"""Errors that do not say which fault of the call they mean: behind a 404 they prove no endpoint."""
_LOOKS: Final = frozenset(b'{["-0123456789tfn')
"""First bytes of JSON."""


def family_of(signals: KillSignals, name: str, path: str) -> str:
    """Return the family of an endpoint: by its path where the market says so, else by what the query does."""
    for part, family in signals.families:
        if part in path:
            return family
    return FAMILIES.get(name, "account")


def classify(signals: KillSignals, response: HttpResponse, fault: Exception) -> SignalClass:
    """Return what an answer that was no success means. ``fault`` is what reading it raised.

    An answer that never came is ``unknown`` and does not get here.
    """
    status = response.status
    code = fault.code if isinstance(fault, VenueError) else None
    if status in signals.statuses:
        return signals.statuses[status]
    if status in _SLOW_DOWN:
        return "throttled"
    if code is not None and code in signals.codes:
        return signals.codes[code]
    if isinstance(fault, RateLimited):
        return "throttled"
    by_words = _by_words(signals, fault)
    if by_words is not None:
        return by_words
    if status >= 500:
        return "unknown"
    if 300 <= status < 400 or (status in _GONE and not _explained(fault, status)):
        return "removed"
    if not isinstance(fault, VenueError | Unsupported):
        return _without_reason(response, fault)
    if isinstance(fault, AuthenticationFailed | PermissionDenied):
        return "auth"
    return "reject"


def _by_words(signals: KillSignals, fault: Exception) -> SignalClass | None:
    """Look at the text of what is no plain refusal of an order: those say "not supported" of their own parameters."""
    if isinstance(fault, InvalidOrder | InvalidRequest | TimestampOutOfWindow):
        return None
    # A wire error shows the frame; the others keep what the venue said.
    text = told(fault).lower() if isinstance(fault, VenueError | Unsupported | OutcomeUnknown) else ""
    return next((found for words, found in signals.words if words in text), None)


def _explained(fault: Exception, status: int) -> bool:
    """Tell whether the venue says of a 404 what it did not find: an order, a symbol. Then the endpoint is there."""
    if not isinstance(fault, VenueError) or fault.code in (None, "", str(status)):
        return False
    return type(fault) not in _PLAIN


def _without_reason(response: HttpResponse, fault: Exception) -> SignalClass:
    """Return what a 2xx or 4xx means that is neither a refusal nor what was promised."""
    body = response.body.lstrip()
    if not body or body[0] not in _LOOKS or not _is_json(response.body):
        # Of an answer that is empty or a page, nothing can be expected to be found in it.
        return "removed"
    if isinstance(fault, OutcomeUnknown) and not isinstance(fault.__cause__, WireError):
        return "unknown"
    return "contract" if 200 <= response.status < 300 else "reject"


def _is_json(body: bytes) -> bool:
    try:
        msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    return True


def told(fault: Exception) -> str:
    """Return the venue's words, shortened."""
    text = fault.text if isinstance(fault, VenueError | OutcomeUnknown) else str(fault)
    kind = "" if isinstance(fault, UnitapeError) else f"{type(fault).__name__}: "
    return f"{kind}{text}"[:200]
