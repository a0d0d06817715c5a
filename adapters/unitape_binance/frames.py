"""What any frame may be, read loosely: data in an envelope, a bare payload, an answer, an error, a notice."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec
from msgspec import Raw, Struct

from unitape.errors import WireError
from unitape.spi import Closing, Refused
from unitape_binance.readers import DECODE_ERRORS, VENUE_NAME

__all__ = [
    "CONTROL_ERRORS",
    "MAX_FRAME",
    "ErrorBody",
    "Frame",
    "checked",
    "parse_frame",
    "refusal",
    "shutdown",
    "spoilt",
]

MAX_FRAME: Final = 16 * 1024 * 1024
"""The largest frame worth reading: the all-market streams stay below 1 MB."""

CONTROL_ERRORS: Final[Mapping[int, str]] = {
    0: "unknown property name",
    1: "property value is not a boolean",
    2: "malformed request",
    3: "invalid JSON text",
    4: "request refused, too many streams",
}
"""Error codes of the stream servers' control messages, for those that come without a text."""


_ABSENT: Final = Raw(b"")


class ErrorBody(Struct, gc=False):
    """``{"code": …, "msg": …}``."""

    code: int | str | None = None
    msg: str | None = None


class Frame(
    Struct,
    gc=False,
    rename={
        "event_type": "e",
        "raw": "s",
        "family": "st",
        "update": "u",
        "last_update": "lastUpdateId",
        "open_interest": "openInterest",
    },
):
    """The fields that tell frames apart. None, or no bytes, where absent."""

    stream: str | None = None
    data: Raw = _ABSENT
    event_type: str | None = None
    raw: str | None = None
    family: int | None = None
    update: int | None = None
    symbol: str | None = None
    last_update: int | None = None
    open_interest: Raw = _ABSENT
    id: int | str | None = None
    result: Raw = _ABSENT
    status: int | str | None = None
    code: int | str | None = None
    msg: str | None = None
    error: ErrorBody | None = None
    event: Raw = _ABSENT
    method: str | None = None


_frame = msgspec.json.Decoder(Frame, strict=False).decode


def spoilt(reason: object, data: bytes | str) -> WireError:
    """Return the wire error for these bytes."""
    return WireError(str(reason), data, venue=VENUE_NAME)


def checked(data: bytes | str) -> bytes | str:
    """Return the frame if its text is sound: fields that are skipped while decoding are not looked at otherwise.

    Raises:
        WireError: it is too large or not UTF-8.
    """
    if len(data) > MAX_FRAME:
        raise spoilt(f"more than {MAX_FRAME} bytes", data)
    try:
        if isinstance(data, str):
            data.encode()
        else:
            data.decode()
    except UnicodeError as error:
        raise spoilt(error, data) from error
    return data


def parse_frame(data: bytes | str | Raw) -> Frame:
    """Read the fields that tell frames apart.

    Raises:
        WireError: it is not a JSON object, or one of these fields has another type.
    """
    try:
        return _frame(data)
    except DECODE_ERRORS as error:
        raise spoilt(error, data if isinstance(data, str) else bytes(data)) from error


def refusal(frame: Frame) -> Refused | None:
    """Return the error that a frame reports, flat or nested; None if it reports none."""
    body = frame.error if frame.error is not None else ErrorBody(frame.code, frame.msg)
    if frame.error is None and frame.code is None:
        return None
    code = None if body.code is None else str(body.code)
    text = body.msg or CONTROL_ERRORS.get(body.code if isinstance(body.code, int) else -1, "refused")
    return Refused(None, text, code)


def shutdown() -> Closing:
    """Return what ``serverShutdown`` means: the venue names no lead time, so leave at once."""
    return Closing("the server is shutting down (serverShutdown)", rotate=True)
