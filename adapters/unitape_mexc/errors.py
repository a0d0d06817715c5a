"""The venue's error codes as the errors they mean. Tables of both markets, state of November 2026."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, TypeAlias

import msgspec
from msgspec import Struct

from unitape.errors import (
    AuthenticationFailed,
    ExchangeUnavailable,
    InsufficientFunds,
    InvalidOrder,
    InvalidRequest,
    InvalidSymbol,
    MarketClosed,
    OrderNotFound,
    OutcomeUnknown,
    PermissionDenied,
    RateLimited,
    ReduceOnlyRejected,
    TimestampOutOfWindow,
    TooManyOpenOrders,
    UnitapeError,
    VenueError,
    WireError,
)
from unitape.spi import HttpRequest, HttpResponse

__all__ = [
    "BY_STATUS",
    "BY_WORDS",
    "FUTURES_CODES",
    "FUTURES_OPEN",
    "SPOT_CODES",
    "SPOT_OPEN",
    "WORDS",
    "futures_error",
    "futures_row_error",
    "make_error",
    "spot_error",
    "spot_row_error",
]

_VENUE: Final = "mexc"
_Kind: TypeAlias = type[VenueError]

_SPOT: Final[tuple[tuple[_Kind, str], ...]] = (
    (InvalidSymbol, "-1121 10007 30014 30021 730001"),
    (InvalidRequest, "-1128 400 10015 10099 10100 10103 10212 10222 10232 10268 33333 44444 88009 700004 700005"),
    (InvalidRequest, "700008 700013 730002 730101 730600 730601 730602 730700 730701 730702 730703 730704 730705"),
    (InvalidRequest, "730706 730707"),
    (InsufficientFunds, "-2010 10101 30004 30005 88004 88015"),
    (OrderNotFound, "-2011 -2013 22222 30026"),
    (InvalidOrder, "26 10095 10096 10097 10102 30001 30002 30003 30010 30018 30019 30025 30027 30028 30032 30041"),
    (InvalidOrder, "30051 30087 88013"),
    (MarketClosed, "30000 30016"),
    (TooManyOpenOrders, "30029"),
    (AuthenticationFailed, "401 602 10001 10072 700001 700002"),
    (PermissionDenied, "403 10098 10206 10211 10265 30020 60005 70011 140001 140002 700006 700007 730100"),
    (TimestampOutOfWindow, "10073 700003"),
    (RateLimited, "429"),
    (ExchangeUnavailable, "500 503 504 -1003 11444"),
    (VenueError, "10200 10201 10202 10216 10219 10259 20001 20002 730000 730003"),
)
_FUTURES: Final[tuple[tuple[_Kind, str], ...]] = (
    (AuthenticationFailed, "401 402 602 1000"),
    (PermissionDenied, "403 406 511 701 702 703 704 6001 6002"),
    (ExchangeUnavailable, "500 501 503 504 604 801"),
    (RateLimited, "429 510 2037"),
    (TimestampOutOfWindow, "513"),
    (InvalidRequest, "506 600 601 1003 2013 2014 2026 2034 4001 6003 6004 8817"),
    (InvalidSymbol, "1001 6005"),
    (MarketClosed, "1002"),
    (InvalidOrder, "1004 2001 2002 2003 2004 2006 2007 2011 2015 2016 2019 2021 2022 2023 2024 2025 2027 2028"),
    (InvalidOrder, "2029 2030 2031 2032 2033 2035 2038 3001 3002 3003 3004 5001 5003 5004 7002"),
    (InsufficientFunds, "2005 2018"),
    (TooManyOpenOrders, "2036"),
    # Nothing, or too little, to close.
    (ReduceOnlyRejected, "2008 2009"),
    (OrderNotFound, "2040 2041 5002"),
    # 603, a repeated request, may mean that the first one arrived: the caller has to ask.
    (VenueError, "603 9999"),
)


def _table(rows: tuple[tuple[_Kind, str], ...]) -> dict[str, _Kind]:
    return {code: kind for kind, codes in rows for code in codes.split()}


SPOT_CODES: Final[Mapping[str, _Kind]] = _table(_SPOT)
FUTURES_CODES: Final[Mapping[str, _Kind]] = _table(_FUTURES)

SPOT_OPEN: Final = frozenset({"500", "503", "504", "-1003", "20002"})
FUTURES_OPEN: Final = frozenset({"500", "501", "503", "504", "603", "9999"})
"""Codes that leave open whether a write was executed: internal errors, and a request that the venue saw before."""

_CLOSED: Final = "maintenance"
"""A function that is closed executes nothing, whatever the code."""

WORDS: Final[tuple[tuple[tuple[str, ...], _Kind], ...]] = (
    (("insufficient",), InsufficientFunds),
    (("maintenance",), ExchangeUnavailable),
    (("signature",), AuthenticationFailed),
    (("order", "not exist"), OrderNotFound),
    (("symbol", "not"), InvalidSymbol),
    (("contract", "not"), InvalidSymbol),
    (("frequen",), RateLimited),
    (("too many",), RateLimited),
)
"""What the text says where the code is in no table: every word must be in it."""

BY_WORDS: Final[Mapping[str, tuple[str, _Kind]]] = {
    "400": ("api key", AuthenticationFailed),
    "700004": ("signature", AuthenticationFailed),
    "30018": ("account", PermissionDenied),
}
"""Codes with two meanings: a word in the text decides for the rarer one."""

BY_STATUS: Final[Mapping[int, _Kind]] = {
    401: AuthenticationFailed,
    403: RateLimited,  # the firewall's page; a refusal in JSON has a code
    418: RateLimited,
    429: RateLimited,
}
_FIREWALL_WAIT: Final = 60.0


class _Body(Struct, gc=False):
    success: bool | str | None = None
    code: int | str | None = None
    msg: str | None = None
    message: str | None = None


_body = msgspec.json.Decoder(_Body).decode


def make_error(
    codes: Mapping[str, _Kind], code: str, text: str, *, status: int | None = None, retry_after: float | None = None
) -> VenueError:
    """Return the error that a code and its text mean; a plain ``VenueError`` where neither is known."""
    kind = codes.get(code)
    lowered = text.lower()
    if code in BY_WORDS and BY_WORDS[code][0] in lowered:
        kind = BY_WORDS[code][1]
    if kind is None:
        kind = next((found for words, found in WORDS if all(word in lowered for word in words)), VenueError)
    if kind is RateLimited:
        return RateLimited(text, venue=_VENUE, code=code, status=status, retry_after=retry_after)
    return kind(text, venue=_VENUE, code=code, status=status)


def spot_error(
    response: HttpResponse, request: HttpRequest | None = None, client_id: str | None = None
) -> UnitapeError:
    """Return the error that a spot answer means; ``OutcomeUnknown`` for a write that may have been executed."""
    return _error(SPOT_CODES, SPOT_OPEN, response, request, client_id)


def futures_error(
    response: HttpResponse, request: HttpRequest | None = None, client_id: str | None = None
) -> UnitapeError:
    """Return the error that a futures answer means; its HTTP status is usually 200."""
    return _error(FUTURES_CODES, FUTURES_OPEN, response, request, client_id)


def spot_row_error(code: str, text: str, client_id: str | None) -> UnitapeError:
    """Return the error of one order in a batch of writes whose answer as a whole was a success."""
    return _row_error(SPOT_CODES, SPOT_OPEN, code, text, client_id)


def futures_row_error(code: str, text: str, client_id: str | None) -> UnitapeError:
    """Return the error of one order in a batch of writes whose answer as a whole was a success."""
    return _row_error(FUTURES_CODES, FUTURES_OPEN, code, text, client_id)


def _row_error(
    codes: Mapping[str, _Kind], left_open: frozenset[str], code: str, text: str, client_id: str | None
) -> UnitapeError:
    if code in left_open and _CLOSED not in text.lower():
        return OutcomeUnknown(f"{text} (code {code})", venue=_VENUE, client_id=client_id)
    return make_error(codes, code, text, status=200)


def _error(
    codes: Mapping[str, _Kind],
    left_open: frozenset[str],
    response: HttpResponse,
    request: HttpRequest | None,
    client_id: str | None,
) -> UnitapeError:
    status = response.status
    try:
        body = _body(response.body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        body = _Body()
    code = None if body.code is None else str(body.code)
    if request is not None and request.write and _leaves_open(codes, left_open, status, body, code):
        reason = body.msg or body.message or "no reason given"
        label = f"HTTP {status}" if code is None else f"HTTP {status}, code {code}"
        return OutcomeUnknown(f"{reason} ({label})", venue=_VENUE, client_id=client_id)
    return _refusal(codes, response, body, code)


def _leaves_open(
    codes: Mapping[str, _Kind], left_open: frozenset[str], status: int, body: _Body, code: str | None
) -> bool:
    """Tell whether a write may have been executed although its answer is not a success."""
    if _CLOSED in (body.msg or body.message or "").lower():
        return False
    if code in left_open:
        return True
    if status >= 500:
        # A gateway's failure says more than a code that no page explains.
        return code is None or code not in codes
    # A success that is none, a refusal that calls itself a success, or a page where an answer should be.
    return 200 <= status < 300 and (code in (None, "0", "200") or body.success not in (None, False))


def _refusal(codes: Mapping[str, _Kind], response: HttpResponse, body: _Body, code: str | None) -> UnitapeError:
    status = response.status
    after = _seconds(response.header("retry-after"))
    if code is not None and status not in (418, 429):
        text = body.msg or body.message or "no reason given"
        return make_error(codes, code, text, status=status, retry_after=after)
    reason = body.msg or body.message or f"HTTP {status}"
    kind = BY_STATUS.get(status)
    if kind is RateLimited:
        if status == 403 and after is None:
            after = _FIREWALL_WAIT
        return RateLimited(reason, venue=_VENUE, code=code, status=status, retry_after=after)
    if kind is None and status >= 500:
        kind = ExchangeUnavailable
    if kind is not None:
        return kind(reason, venue=_VENUE, status=status)
    if 200 <= status < 300:
        return WireError("not an answer of this venue", response.body, venue=_VENUE)
    return VenueError(reason, venue=_VENUE, status=status)


def _seconds(text: str | None) -> float | None:
    try:
        value = float(text) if text is not None else None
    except ValueError:
        return None
    return value if value is not None and 0 <= value < 1e9 else None
