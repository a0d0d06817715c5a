"""What the venue's refusals mean: HTTP statuses, error codes and, for its catch-all code, texts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final
from urllib.parse import parse_qs

from msgspec import MsgspecError
from msgspec import json as msgspec_json

from unitape.errors import (
    AuthenticationFailed,
    ExchangeUnavailable,
    InsufficientFunds,
    InvalidOrder,
    InvalidRequest,
    InvalidSymbol,
    OrderNotFound,
    OutcomeUnknown,
    PermissionDenied,
    RateLimited,
    TimestampOutOfWindow,
    UnitapeError,
    VenueError,
)
from unitape.spi import HttpRequest, HttpResponse
from unitape_weex.wire import VENUE, ErrorBody

__all__ = [
    "BAN_SECONDS",
    "CODES",
    "ORDER_CODES",
    "STATUSES",
    "TEXTS",
    "classify",
    "read_error",
    "read_row_error",
    "refusal",
]

SOURCE: Final = "API documentation V3, error codes and FAQ, 2026-07"

BAN_SECONDS: Final = 10.0
"""How long the venue bans an address after status 429."""

CODES: Final[Mapping[str, type[VenueError]]] = {
    "-1000": ExchangeUnavailable,
    **dict.fromkeys(("-1040", "-1041", "-1042", "-1044", "-1047", "-1049"), AuthenticationFailed),
    **dict.fromkeys(("-1043", "-1046"), TimestampOutOfWindow),
    **dict.fromkeys(
        ("-1050", "-1051", "-1052", "-1053", "-1055", "-1056", "-1057", "-1058", "-1190", "-3235", "-3236"),
        PermissionDenied,
    ),
    **dict.fromkeys(("-1045", "-1150", "-1170", "-1171"), InvalidRequest),
    **dict.fromkeys(("-1128", "-1135", "-1140", "-1141", "-1142"), InvalidRequest),
    **dict.fromkeys(("-1121", "-2007", "-3613"), InvalidSymbol),
    **dict.fromkeys(
        ("-1115", "-1116", "-1117", "-1160", "-1180", "-3006", "-3007", "-3201", "-3313"),
        InvalidOrder,
    ),
    **dict.fromkeys(("-2200", "-3200", "ORDER_NOT_FOUND", "FAILED_ORDER_NOT_FOUND"), OrderNotFound),
}
"""Code: what it means. -1054 is not here: it is the catch-all, decided by ``TEXTS``."""

ORDER_CODES: Final[Mapping[str, type[VenueError]]] = dict.fromkeys(
    ("-1128", "-1135", "-1140", "-1141", "-1142"), InvalidOrder
)
"""Codes that mean something else on order calls."""

STATUSES: Final[Mapping[int, type[VenueError]]] = {
    401: AuthenticationFailed,
    403: PermissionDenied,
    404: InvalidRequest,
}
"""By HTTP status where the body has no code of its own.

403 with a page of HTML is the firewall before the venue, which blocks addresses: of data centres, of countries, and
those not on a key's list. The pages name no pause after which it would let one in, so it is no rate limit, as it is on
other venues, and trying again is pointless. Nothing was executed.
"""

TEXTS: Final[tuple[tuple[tuple[str, ...], type[VenueError], type[VenueError]], ...]] = (
    (("amount not enough", "insufficient", "balance not enough"), InsufficientFunds, InsufficientFunds),
    (("invalid symbol",), InvalidSymbol, InvalidSymbol),
    (("order_not_found", "order not found"), OrderNotFound, OrderNotFound),
    (("stepsize", "precision", "price limit", "limit price", "invalid_argument"), InvalidRequest, InvalidOrder),
    (("open orders",), InvalidRequest, InvalidRequest),
    (("failed_precondition",), InvalidOrder, InvalidOrder),
)
"""Words in the text, in lower case: what they mean, and on order calls. The first row that matches decides. The
unknown symbol stands before ``INVALID_ARGUMENT``, which the venue's words for it begin with."""

_ORDER_PATHS: Final = frozenset(
    {
        "/api/v3/order",
        "/api/v3/order/batch",
        "/api/v3/openOrders",
        "/capi/v3/order",
        "/capi/v3/batchOrders",
        "/capi/v3/allOpenOrders",
        "/capi/v3/algoOrder",
        "/capi/v3/algoOpenOrders",
        "/capi/v3/placeTpSlOrder",
        "/capi/v3/modifyTpSlOrder",
        "/capi/v3/closePositions",
    }
)

_CATCH_ALL: Final = frozenset({"-1000", "-1054"})

_body = msgspec_json.Decoder(ErrorBody, strict=False)
_fields = msgspec_json.Decoder(dict[str, object])


def refusal(body: bytes) -> ErrorBody | None:
    """Return the error that a body spells, or None. ``{"code":"200",...}`` is a success."""
    try:
        error = _body.decode(body)
    except (MsgspecError, RecursionError, UnicodeError):
        return None
    return error if str(error.code) != "200" else None


def classify(code: str, text: str, *, order: bool) -> type[VenueError]:
    """Return the error class of a code and its text. ``order``: the call places, changes or cancels an order."""
    words = text.lower()
    if code == "-1142" and "symbol" in words:
        return InvalidSymbol
    if order and code in ORDER_CODES:
        return ORDER_CODES[code]
    known = CODES.get(code)
    if known is not None:
        return known
    for parts, plain, on_orders in TEXTS:
        if any(part in words for part in parts):
            return on_orders if order else plain
    return ExchangeUnavailable


def read_error(response: HttpResponse, request: HttpRequest) -> Exception:
    """Return the error that an answer means.

    A write that failed without a clear refusal may have been executed: ``OutcomeUnknown``.
    """
    status = response.status
    orders = request.method != "GET" and request.path in _ORDER_PATHS
    error = refusal(response.body)
    code = None if error is None else str(error.code)
    text = error.msg if error is not None and error.msg else _excerpt(response)
    if status == 429:
        return RateLimited(text, venue=VENUE, code=code, status=status, retry_after=_retry_after(response))
    kind: type[VenueError] = ExchangeUnavailable
    if status < 500:
        if code is not None:
            kind = classify(code, text, order=orders)
        elif status in STATUSES:
            kind = STATUSES[status]
        elif 400 <= status < 500:
            kind = InvalidRequest
    if kind is ExchangeUnavailable and (request.write or orders):
        return OutcomeUnknown(f"{text} (status {status})", venue=VENUE, client_id=_client_id(request))
    return kind(text, venue=VENUE, code=code, status=status)


def read_row_error(code: str, text: str, client_id: str | None) -> UnitapeError:
    """Return what one refused order means, in an answer that is as a whole a success.

    It was refused, whatever the words; only the venue's catch-all codes without telling words leave it open.
    """
    kind = classify(code, text, order=True)
    if kind is ExchangeUnavailable:
        if code in _CATCH_ALL:
            return OutcomeUnknown(f"{text} (code {code})", venue=VENUE, client_id=client_id)
        kind = InvalidOrder
    return kind(text or "refused without a reason", venue=VENUE, code=code or None, status=200)


def _excerpt(response: HttpResponse) -> str:
    words = " ".join(response.body[:2000].decode("utf-8", "replace").split())
    return f"status {response.status}: {words[:200]}" if words else f"status {response.status}"


def _retry_after(response: HttpResponse) -> float:
    header = response.header("retry-after")
    try:
        seconds = float(header) if header is not None else BAN_SECONDS
    except ValueError:
        return BAN_SECONDS
    return seconds if BAN_SECONDS <= seconds < 86_400 else BAN_SECONDS


def _client_id(request: HttpRequest) -> str | None:
    named = parse_qs(request.query).get("origClientOrderId")
    if named:
        return named[0]
    try:
        fields = _fields.decode(request.body)
    except MsgspecError:
        return None
    value = fields.get("newClientOrderId", fields.get("clientAlgoId"))
    return value if isinstance(value, str) else None
