"""What the venue's refusals mean, as tables: by HTTP status, by code, by text. The codes differ between the markets.

From "Error codes" of binance-spot-api-docs (2026-07) and of the USDⓈ-M futures (2026-10).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final, Literal, TypeAlias
from urllib.parse import parse_qs

import msgspec
from msgspec import Struct

from unitape.errors import (
    AuthenticationFailed,
    DuplicateOrder,
    ExchangeUnavailable,
    InsufficientFunds,
    InvalidOrder,
    InvalidRequest,
    InvalidSymbol,
    MarketClosed,
    NoChange,
    OrderNotFound,
    OutcomeUnknown,
    PermissionDenied,
    PostOnlyWouldCross,
    RateLimited,
    ReduceOnlyRejected,
    TimestampOutOfWindow,
    TooManyOpenOrders,
    UnitapeError,
    Unsupported,
    VenueError,
)
from unitape.spi import HttpRequest, HttpResponse
from unitape_binance.readers import DECODE_ERRORS, VENUE_NAME

__all__ = [
    "COMMON_CODES",
    "SPOT_CODES",
    "SPOT_TEXTS",
    "STATUS_MEANING",
    "USDM_CODES",
    "USDM_TEXTS_503",
    "MarketName",
    "Meaning",
    "read_error",
    "read_row_error",
]

MarketName: TypeAlias = Literal["spot", "usdm"]

Meaning: TypeAlias = type[VenueError] | type[Unsupported] | Literal["unknown"]
"""A class, or ``unknown``: a write may have happened; a read simply failed."""


def _codes(*rows: tuple[str, Meaning]) -> dict[int, Meaning]:
    """Expand rows like ``("-1100..-1106 -1128", InvalidRequest)``."""
    table: dict[int, Meaning] = {}
    for text, meaning in rows:
        for part in text.split():
            first, _, last = part.partition("..")
            table.update(dict.fromkeys(range(int(last or first), int(first) + 1), meaning))
    return table


COMMON_CODES: Final[Mapping[int, Meaning]] = _codes(
    ("-1000 -1006 -1007", "unknown"),
    ("-1001 -1008 -1016 -1112 -2016", ExchangeUnavailable),
    ("-1002 -1022 -2014 -2015", AuthenticationFailed),
    ("-1003 -1015", RateLimited),
    ("-1010 -1013 -1014 -1111 -1114..-1119 -2010", InvalidOrder),
    ("-1020", Unsupported),
    ("-1021", TimestampOutOfWindow),
    ("-1100..-1106 -1120 -1122 -1127 -1128 -1130 -1131", InvalidRequest),
    ("-1121", InvalidSymbol),
    # A listen key is a credential: without a valid one a new one must be made.
    ("-1125", AuthenticationFailed),
    ("-2011", InvalidOrder),
    ("-2013", OrderNotFound),
)

SPOT_CODES: Final[Mapping[int, Meaning]] = {
    **COMMON_CODES,
    **_codes(
        # Spot's pages do not say that nothing happened, so a write must be asked for.
        ("-1001 -1008", "unknown"),
        ("-1034", RateLimited),
        ("-1108 -1134 -1135 -1139 -1145 -1151 -1194", InvalidRequest),
        ("-1158..-1168 -1196..-1199 -1210 -1211 -1222..-1225", InvalidOrder),
        ("-1220", MarketClosed),
        ("-2021 -2022", InvalidOrder),
        ("-2026", OrderNotFound),
        ("-2035", NoChange),
        ("-2036", AuthenticationFailed),
        ("-2038 -2039", InvalidOrder),
        ("-2042", ExchangeUnavailable),
        ("-2043", InvalidRequest),
    ),
}

USDM_CODES: Final[Mapping[int, Meaning]] = {
    **COMMON_CODES,
    **_codes(
        ("-1011 -1099", PermissionDenied),
        ("-1023 -1108..-1110 -1126 -1136", InvalidRequest),
        ("-2012", "unknown"),
        ("-2017", AuthenticationFailed),
        ("-2018 -2019 -2027 -2028 -4050 -4051", InsufficientFunds),
        ("-2020 -2021 -2026", InvalidOrder),
        ("-2022 -2024 -4118", ReduceOnlyRejected),
        ("-2023", PermissionDenied),
        ("-2025 -4045", TooManyOpenOrders),
        ("-4001..-4007 -4013..-4016 -4023 -4024 -4060..-4062 -4117 -4131 -4137 -4138 -4142", InvalidOrder),
        ("-4164 -4183 -4184 -4210 -4211", InvalidOrder),
        ("-4021 -4028 -4032 -4047 -4048 -4067 -4068 -4082 -4083 -4161 -4165..-4170 -4172", InvalidRequest),
        ("-4202..-4209 -4531", InvalidRequest),
        ("-4046 -4059 -4171", NoChange),
        ("-4087 -4088 -4109 -4189 -4192 -4400..-4403", PermissionDenied),
        ("-4104 -4144", InvalidSymbol),
        ("-4105..-4107 -4140 -4141", MarketClosed),
        ("-4116", DuplicateOrder),
        ("-4120", Unsupported),
        ("-5021 -5024..-5026 -5029 -5037..-5041 -5043 -5047", InvalidOrder),
        ("-5022", PostOnlyWouldCross),
        ("-5027", NoChange),
        ("-5028", TimestampOutOfWindow),
    ),
}

_BY_TEXT: Final = frozenset({-1010, -1013, -2010, -2011, -2038})
"""Codes whose text says what they mean."""

SPOT_TEXTS: Final[tuple[tuple[str, Meaning], ...]] = (
    ("insufficient balance", InsufficientFunds),
    ("Duplicate order sent", DuplicateOrder),
    ("would immediately match and take", PostOnlyWouldCross),
    ("would trigger immediately", InvalidOrder),
    ("Market is closed", MarketClosed),
    ("Unknown order sent", OrderNotFound),
    ("This action is disabled on this account", PermissionDenied),
    ("may not place or cancel orders", PermissionDenied),
    ("trading is not enabled", PermissionDenied),
    ("symbol is not permitted", PermissionDenied),
    ("symbol is restricted for this account", PermissionDenied),
    ("would change no state", NoChange),
    ("MAX_NUM_", TooManyOpenOrders),
    ("EXCHANGE_MAX_", TooManyOpenOrders),
)
"""By what the text contains, first match first."""

USDM_TEXTS_503: Final[tuple[tuple[str, Meaning], ...]] = (
    ("Unknown error, please check your request or try again later", "unknown"),
    ("Service Unavailable", ExchangeUnavailable),
    ("Internal error; unable to process your request", ExchangeUnavailable),
)
"""Texts of HTTP 503 on futures; any other is as good as unknown."""

STATUS_MEANING: Final[Mapping[int, Meaning]] = {
    401: AuthenticationFailed,
    403: RateLimited,
    404: Unsupported,
    408: "unknown",
    410: Unsupported,
    418: RateLimited,
    429: RateLimited,
    451: PermissionDenied,
}
"""By HTTP status where the body has no code of its own. 403 is the firewall: stop for minutes."""

_STATUS_FIRST: Final = frozenset({403, 410, 418, 429, 451})
"""Here the status says more than the code beside it."""

_BANNED_UNTIL: Final = re.compile(r"until (\d{13})")
_FIREWALL_PAUSE: Final = 300.0
"""Seconds to stay away after a 403; the venue says no more than minutes."""


class _Half(Struct, gc=False):
    code: int = 0
    msg: str = ""


class _Halves(Struct, gc=False, rename="camel"):
    cancel_response: _Half | None = None
    new_order_response: _Half | None = None


class _Body(Struct, gc=False):
    code: int | None = None
    msg: str = ""
    data: _Halves | None = None


_body = msgspec.json.Decoder(_Body, strict=False).decode


def read_error(
    response: HttpResponse, request: HttpRequest, market: MarketName, ts_recv: int | None = None
) -> UnitapeError:
    """Turn an answer that is not a success into the error it means.

    A write whose fate the answer leaves open becomes ``OutcomeUnknown`` with the request's client id. ``ts_recv``
    turns the end of a ban, which the text gives as a time, into seconds from the answer.
    """
    body = _read_body(response.body)
    meaning = _meaning(response.status, body, market)
    if meaning == "unknown" and not request.write:
        meaning = ExchangeUnavailable
    text = body.msg or response.body[:200].decode("utf-8", "replace").strip() or f"HTTP {response.status}"
    code = None if body.code is None else str(body.code)
    if meaning == "unknown":
        return OutcomeUnknown(f"{text} (HTTP {response.status})", venue=VENUE_NAME, client_id=_client_id(request))
    if meaning is RateLimited:
        pause = _retry_after(response, text, ts_recv)
        return RateLimited(text, venue=VENUE_NAME, code=code, status=response.status, retry_after=pause)
    return _error(meaning, text, code, response.status)


def read_row_error(code: int, text: str, market: MarketName, client_id: str | None) -> UnitapeError:
    """Turn one refused row of a batch of writes, whose answer as a whole was a success, into the error it means."""
    meaning = _by_code(code, text, market)
    if meaning == "unknown" or "status unknown" in text:
        return OutcomeUnknown(f"{text} (code {code})", venue=VENUE_NAME, client_id=client_id)
    return _error(meaning, text, str(code), 200)


def _error(meaning: type[VenueError | Unsupported], text: str, code: str | None, status: int) -> UnitapeError:
    if issubclass(meaning, VenueError):
        return meaning(text, venue=VENUE_NAME, code=code, status=status)
    return meaning(f"{VENUE_NAME}: {text} (HTTP {status}, code {code})")


def _read_body(body: bytes) -> _Body:
    try:
        return _body(body)
    except DECODE_ERRORS:
        # Gateways answer with HTML or nothing.
        return _Body()


def _meaning(status: int, body: _Body, market: MarketName) -> Meaning:
    if status in _STATUS_FIRST:
        return STATUS_MEANING[status]
    if body.data is not None and body.code in (-2021, -2022) and market == "spot":
        inner = _failed_half(body.data)
        if inner is not None:
            return _by_code(inner.code, inner.msg, market)
    listed = body.code in (SPOT_CODES if market == "spot" else USDM_CODES)
    # A gateway's failure says more than a code that no page explains.
    if body.code is not None and body.code < 0 and (listed or status < 500):
        by_code = _by_code(body.code, body.msg, market)
        return "unknown" if "status unknown" in body.msg and by_code is not ExchangeUnavailable else by_code
    if status >= 500:
        return _by_text(body.msg, USDM_TEXTS_503 if status == 503 and market == "usdm" else ()) or "unknown"
    return STATUS_MEANING.get(status, InvalidRequest)


def _failed_half(data: _Halves) -> _Half | None:
    """Return the half of a cancel-and-replace that was refused, the new order's first."""
    halves = (data.new_order_response, data.cancel_response)
    return next((half for half in halves if half is not None and half.code < 0), None)


def _by_text(text: str, table: Iterable[tuple[str, Meaning]]) -> Meaning | None:
    return next((meaning for part, meaning in table if part in text), None)


def _by_code(code: int, text: str, market: MarketName) -> Meaning:
    if code in _BY_TEXT:
        by_text = _by_text(text, SPOT_TEXTS)
        if by_text is not None:
            return by_text
    found = (SPOT_CODES if market == "spot" else USDM_CODES).get(code)
    if found is not None:
        return found
    return InvalidRequest if -2000 < code <= -1000 else InvalidOrder


def _retry_after(response: HttpResponse, text: str, ts_recv: int | None) -> float | None:
    header = response.header("retry-after")
    if header is not None and header.strip().isdecimal():
        return float(header.strip())
    banned = _BANNED_UNTIL.search(text)
    if banned is not None and ts_recv is not None:
        return max(0.0, int(banned[1]) / 1000 - ts_recv / 1_000_000_000)
    return _FIREWALL_PAUSE if response.status == 403 else None


def _client_id(request: HttpRequest) -> str | None:
    fields = parse_qs(request.query) | parse_qs(request.body.decode("utf-8", "replace"))
    for name in ("newClientOrderId", "origClientOrderId", "clientAlgoId", "listClientOrderId"):
        if name in fields:
            return fields[name][0]
    return None
