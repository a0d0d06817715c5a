"""Who asks the simulated WEEX markets, and whether they may: keys, signatures, time windows, and what is refused how.

It shares nothing with the code that signs requests, which it is there to judge.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from base64 import b64encode
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Final, TypeAlias
from urllib.parse import parse_qsl

import msgspec
from msgspec import Struct

from unitape.spi import HttpRequest
from unitape.spi.simulated_accounts import RejectReason, SimReject, SimUser
from unitape.spi.simulation import SimInstrument
from unitape_weex.simulator_rules import MILLIS, SECOND, Refusal

__all__ = ["Endpoint", "Json", "Parameters", "PrivateDoor", "refusal_of"]

Json: TypeAlias = object

_WINDOW: Final = 30 * SECOND
_MINUTE: Final = 60 * SECOND
_STAMP: Final = re.compile(r"[0-9]{1,16}")
_DECIMAL: Final = re.compile(r"[0-9]{1,18}(\.[0-9]{1,18})?")
_NUMBER: Final = re.compile(r"[0-9]{1,19}")
_CLIENT_ID: Final = re.compile(r"[A-Za-z0-9._\-:/]{1,36}")

_WORDS: Final[Mapping[RejectReason, tuple[int, str]]] = {
    "unknown_symbol": (-1121, "Invalid symbol."),
    "market_closed": (-1058, "This symbol cannot be traded by API."),
    "not_permitted": (-1052, "Permission denied."),
    "bad_request": (-1128, "Combination of parameters is invalid."),
    "tick": (-1160, "The price has too many decimals."),
    "step": (-1054, "INVALID_ARGUMENT: size does not match stepSize"),
    "min_size": (-1054, "INVALID_ARGUMENT: size is below the minimum"),
    "max_size": (-3201, "The quantity is over the limit."),
    "min_notional": (-1054, "INVALID_ARGUMENT: value is below the minimum"),
    "price_band": (-1054, "INVALID_ARGUMENT: price is beyond the limit price"),
    "duplicate_client_id": (-1054, "FAILED_PRECONDITION: duplicate client order id"),
    "insufficient_funds": (-1054, "FAILED_PRECONDITION: available amount not enough"),
    "post_only_would_cross": (-1054, "FAILED_PRECONDITION: the order would take"),
    "no_liquidity": (-1054, "FAILED_PRECONDITION: nobody to trade with"),
    "reduce_only": (-1054, "FAILED_PRECONDITION: position size not enough"),
    "position_side": (-1054, "FAILED_PRECONDITION: position side does not fit the position mode"),
    "would_trigger_immediately": (-1054, "FAILED_PRECONDITION: the trigger has been reached"),
    "too_many_orders": (-1054, "FAILED_PRECONDITION: too many orders"),
    "leverage": (-3313, "The leverage is above the maximum."),
    "unchanged": (-1054, "FAILED_PRECONDITION: nothing changes"),
    "in_use": (-1054, "FAILED_PRECONDITION: there are open orders or positions"),
}


def refusal_of(reject: SimReject, spec: SimInstrument | None, *, linear: bool) -> Refusal:
    """Put a reason into the venue's words; those of a wrong step name the step."""
    if reject.reason in ("order_not_found", "order_closed", "nothing_to_cancel"):
        return Refusal(-3200 if linear else -2200, "The order does not exist.")
    code, text = _WORDS[reject.reason]
    if reject.reason == "step" and spec is not None:
        text = f"{text} '{spec.size_text(1)}'"
    return Refusal(code, text)


class Parameters:
    """The parameters of a request: of its query, or of its JSON body."""

    def __init__(self, values: Mapping[str, object]) -> None:
        self.values = values

    def text(self, name: str) -> str | None:
        """Return a text; None where it is absent or empty."""
        value = self.values.get(name)
        if value is None or value == "":
            return None
        if not isinstance(value, str):
            raise Refusal(-1142, f"Parameter '{name}' is invalid.")
        return value

    def required(self, name: str) -> str:
        """Return a text that must be there."""
        value = self.text(name)
        if value is None:
            raise Refusal(-1141, f"Parameter '{name}' is empty.")
        return value

    def one_of(self, name: str, words: Mapping[str, object], code: int = -1142) -> str | None:
        """Return a word out of some; None where it is absent."""
        value = self.text(name)
        if value is not None and value not in words:
            raise Refusal(code, f"Parameter '{name}' is invalid.")
        return value

    def number(self, name: str) -> int | None:
        """Return a whole number; None where it is absent."""
        value = self.values.get(name)
        text = str(value) if isinstance(value, int) and not isinstance(value, bool) else self.text(name)
        if text is None:
            return None
        if not _NUMBER.fullmatch(text):
            raise Refusal(-1142, f"Parameter '{name}' is invalid.")
        return int(text)

    def decimal(self, name: str) -> Decimal | None:
        """Return a decimal above zero, which must be a string; None where it is absent or 0."""
        text = self.text(name)
        if text is None:
            return None
        if not _DECIMAL.fullmatch(text):
            raise Refusal(-1142, f"Parameter '{name}' is invalid.")
        return Decimal(text) or None

    def ticks(self, name: str, spec: SimInstrument) -> int | None:
        """Return a price in ticks; None where it is absent."""
        price = self.decimal(name)
        if price is None:
            return None
        ticks = spec.ticks(price)
        if ticks is None:
            raise Refusal(*_WORDS["tick"])
        return ticks

    def lots(self, name: str, spec: SimInstrument) -> int | None:
        """Return a size in lots; None where it is absent."""
        size = self.decimal(name)
        if size is None:
            return None
        lots = spec.lots(size)
        if lots is None:
            raise refusal_of(SimReject("step"), spec, linear=True)
        return lots

    def client_id(self, name: str) -> str | None:
        """Return a client id; None where it is absent."""
        value = self.text(name)
        if value is not None and not _CLIENT_ID.fullmatch(value):
            raise Refusal(-1180, "The client id is longer than 40 characters or has special ones.")
        return value

    def names(self, name: str, most: int) -> list[str] | None:
        """Return a list of texts; None where it is absent."""
        value = self.values.get(name)
        if value is None:
            return None
        if not isinstance(value, list):
            raise Refusal(-1142, f"Parameter '{name}' is invalid.")
        found: list[object] = list(value)  # pyright: ignore[reportUnknownArgumentType]
        texts = [entry for entry in found if isinstance(entry, str)]
        if not texts or len(texts) != len(found) or len(texts) > most:
            raise Refusal(-1142, f"Parameter '{name}' is invalid.")
        return texts

    def rows(self, name: str, most: int) -> list[Parameters]:
        """Return a list of objects that must be there."""
        value = self.values.get(name)
        found: list[object] = list(value) if isinstance(value, list) else []  # pyright: ignore[reportUnknownArgumentType]
        rows = [msgspec.convert(entry, dict[str, object]) for entry in found if isinstance(entry, dict)]
        if not rows or len(rows) != len(found) or len(rows) > most:
            raise Refusal(-1142, f"Parameter '{name}' is invalid.")
        return [Parameters(row) for row in rows]


class Endpoint(Struct, frozen=True):
    """One private endpoint: its handler, its weight, and what asking needs."""

    answer: Callable[[SimUser, Parameters], Json]
    weight: int
    trades: bool = False
    """Needs the right to trade."""
    body: bool = False
    """Takes a JSON body; otherwise parameters stand in the query."""
    orders: int = 0
    """Orders that it counts."""


class PrivateDoor:
    """Checks who asks, and counts their orders."""

    def __init__(self, by_key: Callable[[str], SimUser | None], now: Callable[[], int], orders_a_minute: int) -> None:
        self._by_key = by_key
        self._now = now
        self._most = orders_a_minute
        self._orders: dict[str, deque[int]] = {}

    def enter(self, request: HttpRequest, endpoint: Endpoint) -> tuple[SimUser, Parameters]:
        """Return who asks, and what; ``Refusal`` where they may not."""
        user = self._authenticate(request)
        if ("trade" if endpoint.trades else "read") not in user.permissions:
            raise Refusal(*_WORDS["not_permitted"])
        return user, self._parameters(request, endpoint)

    def count(self, user: str, orders: int, *, enforce: bool) -> None:
        """Count new orders of an account; refuse those over the limit of a minute."""
        counted = self._orders.setdefault(user, deque())
        now = self._now()
        while counted and counted[0] <= now - _MINUTE:
            counted.popleft()
        counted.extend((now,) * orders)
        if enforce and len(counted) > self._most:
            raise Refusal(429, "Too many orders.", 429)

    def counted(self, user: str) -> int:
        """Return how many orders the last minute saw, as of the last one."""
        return len(self._orders.get(user, ()))

    def _authenticate(self, request: HttpRequest) -> SimUser:
        question = "?" + request.query if request.query else ""
        text = f"{request.method}{request.path}{question}".encode() + request.body
        return self._signer(request.headers, text)

    def enter_socket(self, path: str, headers: Sequence[tuple[str, str]]) -> SimUser:
        """Return who opens a private socket, whose signature covers no method; ``Refusal`` where they may not."""
        user = self._signer(headers, path.encode())
        if "read" not in user.permissions:
            raise Refusal(*_WORDS["not_permitted"], 403)
        return user

    def _signer(self, given: Sequence[tuple[str, str]], signed: bytes) -> SimUser:
        """Return whose signature stands in the headers, over the time and this text."""
        headers = {name.lower(): value for name, value in given}
        for name, code in (("access-key", -1040), ("access-sign", -1041), ("access-timestamp", -1042)):
            if not headers.get(name):
                raise Refusal(code, f"The header {name.upper()} is missing.", 401)
        stamp = headers["access-timestamp"]
        if not _STAMP.fullmatch(stamp):
            raise Refusal(-1043, "The header ACCESS-TIMESTAMP is invalid.")
        user = self._by_key(headers["access-key"])
        if user is None:
            raise Refusal(-1044, "The access key is unknown.", 401)
        if abs(int(stamp) * MILLIS - self._now()) > _WINDOW:
            raise Refusal(-1046, "The request timestamp expired.")
        if headers.get("access-passphrase") != user.passphrase:
            raise Refusal(-1049, "The key or the passphrase is incorrect.", 401)
        digest = hmac.digest(user.secret.encode(), stamp.encode() + signed, hashlib.sha256)
        if not hmac.compare_digest(b64encode(digest), headers["access-sign"].encode("utf-8", "replace")):
            raise Refusal(-1047, "The signature is incorrect.", 401)
        return user

    @staticmethod
    def _parameters(request: HttpRequest, endpoint: Endpoint) -> Parameters:
        if not endpoint.body:
            return Parameters(dict(parse_qsl(request.query, keep_blank_values=True)))
        kinds = [value for name, value in request.headers if name.lower() == "content-type"]
        if not kinds or not kinds[0].startswith("application/json"):
            raise Refusal(-1045, "The content type must be application/json.")
        try:
            return Parameters(msgspec.json.decode(request.body, type=dict[str, object]))
        except (msgspec.MsgspecError, UnicodeError, RecursionError):
            raise Refusal(-1135, "The body is not JSON.") from None
