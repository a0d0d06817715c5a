"""Takes secrets out of what a tape or a cassette keeps. On by default; applying it twice changes nothing more.

A secret is found by the name of its header, query parameter or JSON field, by a pattern, or because it was given.
Values become ``REDACTED``; inside binary messages, whose lengths matter, a given secret becomes as many ``R``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final, TypeAlias
from urllib.parse import quote

from msgspec import structs

from unitape.feed.inputs import Command, Failed, Fetch, Frame, Input, Response, Send
from unitape.spi import HttpRequest, HttpResponse

__all__ = ["REDACTED", "SECRET_NAMES", "Redactor"]

REDACTED: Final = "REDACTED"

SECRET_NAMES: Final[tuple[str, ...]] = (
    "access key",
    "access token",
    "api key",
    "api secret",
    "authorization",
    "listen key",
    "listen token",
    "passphrase",
    "password",
    "private key",
    "secret",
    "secret key",
    "sign",
    "signature",
)
"""Names that carry secrets in any case, words joined by ``-``, ``_`` or nothing, behind any prefix such as ``x-``."""


def _names(*more: str) -> str:
    words = "|".join(name.replace(" ", "[_-]?") for name in (*SECRET_NAMES, *more))
    return f"(?:[a-z0-9]+[_-])*(?:{words})"


# In messages "token" names a coin, so a field of that name is left alone.
_FIELD: Final = re.compile(rf'("{_names()}"\s*:\s*)"(?:[^"\\]|\\.)*"'.encode(), re.IGNORECASE)
_PARAMETER: Final = re.compile(rf'((?:^|[?&]){_names("token")}=)[^&\s"]*'.encode(), re.IGNORECASE)
_HEADER: Final = re.compile(_names("token", "cookie"), re.IGNORECASE)
_PEM: Final = re.compile(
    rb"-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----.*?(?:-----END [A-Z0-9 ]*PRIVATE KEY-----|\Z)", re.DOTALL
)

Record: TypeAlias = Input | Command


class Redactor:
    """Removes secrets from records.

    ``secrets`` are literal values to remove wherever they stand, ``patterns`` further regular expressions.
    """

    def __init__(self, secrets: Iterable[str] = (), patterns: Iterable[str] = ()) -> None:
        # The longest first: a secret that contains another must not leave its rest behind.
        values = sorted({secret for secret in secrets if len(secret) >= 4}, key=len, reverse=True)
        spellings = [form for value in values for form in dict.fromkeys((value, quote(value, safe=""), quote(value)))]
        self._literals = [form.encode() for form in spellings]
        self._patterns = [re.compile(pattern.encode()) for pattern in patterns]

    def record(self, record: Record) -> Record:
        """Return the record without secrets: the same object when there were none."""
        if isinstance(record, (Frame, Send)):
            data = self.data(record.data) if record.text else self._binary(record.data)
            return record if data is record.data else structs.replace(record, data=data)
        if isinstance(record, Response):
            return structs.replace(record, response=self.response(record.response))
        if isinstance(record, Fetch):
            return structs.replace(record, request=self.request(record.request))
        if isinstance(record, Failed):
            return structs.replace(record, text=self.text(record.text))
        return record

    def request(self, request: HttpRequest) -> HttpRequest:
        """Return a request without secrets."""
        return structs.replace(
            request,
            path=self.text(request.path),
            query=self._parameters(request.query.encode()).decode(),
            body=self._parameters(request.body),
            headers=self.headers(request.headers),
        )

    def response(self, response: HttpResponse) -> HttpResponse:
        """Return a response without secrets."""
        return structs.replace(response, body=self.data(response.body), headers=self.headers(response.headers))

    def headers(self, headers: Iterable[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
        """Return headers without secrets."""
        return tuple((name, REDACTED if _HEADER.fullmatch(name) else self.text(value)) for name, value in headers)

    def url(self, url: str) -> str:
        """Return a URL without secrets."""
        return self._parameters(url.encode()).decode()

    def text(self, text: str) -> str:
        """Return any text without secrets."""
        return self._parameters(text.encode()).decode()

    def data(self, data: bytes) -> bytes:
        """Return a text message without secrets: the same object when there were none."""
        clean = data
        if _may_hold_secrets(data):
            clean = _FIELD.sub(rb'\1"' + REDACTED.encode() + rb'"', clean)
        if b"PRIVATE" in data:
            clean = _PEM.sub(REDACTED.encode(), clean)
        for pattern in self._patterns:
            clean = pattern.sub(REDACTED.encode(), clean)
        for literal in self._literals:
            clean = clean.replace(literal, REDACTED.encode())
        return data if clean == data else clean

    def _parameters(self, data: bytes) -> bytes:
        return _PARAMETER.sub(rb"\1" + REDACTED.encode(), self.data(data))

    def _binary(self, data: bytes) -> bytes:
        clean = data
        for literal in self._literals:
            clean = clean.replace(literal, b"R" * len(literal))
        return data if clean == data else clean


def _may_hold_secrets(data: bytes) -> bool:
    """Every name above holds one of these: most market data is cleared by six searches instead of an expression."""
    low = data.lower()
    return b"ey" in low or b"ign" in low or b"ass" in low or b"ecret" in low or b"oken" in low or b"uthor" in low
