"""Who asks, and whether they may: keys, signatures, time windows and order counts of the simulated Binance markets.

It shares nothing with the code that signs requests, which it is there to judge.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Final
from urllib.parse import unquote_to_bytes

from msgspec import Struct, structs

from unitape.spi import HttpRequest
from unitape.spi.simulated_accounts import Accounts, SimOrderRequest, SimReject, SimUser
from unitape.spi.simulation import Exchange, SimInstrument
from unitape_binance.simulator_rejects import refusal
from unitape_binance.simulator_rest import Json, Parameters
from unitape_binance.simulator_rules import MILLIS, SECOND, Refusal, Spelling

__all__ = ["OrderCounts", "PrivateEndpoint", "PrivateFace", "flat", "is_ed25519", "is_signed_text", "merged"]

_DEFAULT_WINDOW: Final = 5_000 * MILLIS
_MOST_WINDOW: Final = 60_000
_AHEAD: Final = 1_000 * MILLIS
_TIMING: Final = frozenset({"timestamp", "recvWindow", "signature"})
_NUMBER: Final = re.compile(r"[0-9]{1,20}(\.[0-9]{1,20})?")
_WINDOW: Final = re.compile(r"[0-9]{1,5}(\.[0-9]{1,3})?")
_PUBLIC_KEY: Final = "-----BEGIN PUBLIC KEY"
_MINUTE: Final = 60 * SECOND
_DAY: Final = 86_400 * SECOND
_ORDER_PAUSE: Final = 10  # seconds: the shorter window of new orders

_COUNTED: Final[Mapping[bool, tuple[tuple[str, int, int, str], ...]]] = {
    # By kind of market: (header, window, limit, its name in words).
    False: (("10s", 10 * SECOND, 100, "10 SECOND"), ("1d", _DAY, 200_000, "1 DAY")),
    True: (("10s", 10 * SECOND, 300, "10 SECOND"), ("1m", _MINUTE, 1_200, "1 MINUTE")),
}


class PrivateEndpoint(Struct, frozen=True):
    """One private endpoint: its handler, weight, parameters, and whether it needs the right to trade."""

    answer: Callable[[SimUser, Parameters], Json]
    weight: Callable[[Parameters], int]
    names: frozenset[str] = frozenset()
    trades: bool = False
    counts: tuple[int, int] = (0, 0)
    """Orders that it counts in the short and in the long window."""


def flat(weight: int) -> Callable[[Parameters], int]:
    """Return the weight of an endpoint whose parameters do not matter."""
    return lambda parameters: weight


class OrderCounts:
    """New orders per account in the venue's two windows, which start at multiples of their length."""

    def __init__(self, *, linear: bool) -> None:
        self._windows = _COUNTED[linear]
        self._used: dict[tuple[str, str], tuple[int, int]] = {}

    def take(self, user: str, now: int, counts: tuple[int, int], *, enforce: bool) -> None:
        """Count new orders; refuse those beyond a limit."""
        for (name, window, limit, words), count in zip(self._windows, counts, strict=True):
            used = self.used(user, name, now // window) + count
            self._used[user, name] = (now // window, used)
            if enforce and count and used > limit:
                text = f"Too many new orders; current limit is {limit} orders per {words}."
                raise Refusal(-1015, text, 429, wait=_ORDER_PAUSE - now // SECOND % _ORDER_PAUSE)

    def used(self, user: str, name: str, slot: int) -> int:
        """Return what is counted in a window's slot."""
        at, used = self._used.get((user, name), (slot, 0))
        return used if at == slot else 0

    def headers(self, user: str, now: int) -> tuple[tuple[str, str], ...]:
        """Return the headers of an answer to a new order."""
        return tuple(
            (f"x-mbx-order-count-{name}", str(self.used(user, name, now // window)))
            for name, window, _, _ in self._windows
        )

    def rows(self, user: str, now: int) -> list[Json]:
        """Return the counters as an endpoint tells them."""
        rows: list[Json] = []
        for name, window, limit, words in self._windows:
            number, unit = words.split()
            count = self.used(user, name, now // window)
            rows.append(
                {
                    "rateLimitType": "ORDERS",
                    "interval": unit,
                    "intervalNum": int(number),
                    "limit": limit,
                    "count": count,
                }
            )
        return rows


class PrivateFace:
    """What the private endpoints of both markets share. ``endpoints`` maps (method, path) to them."""

    def __init__(self, exchange: Exchange, spelling: Spelling, *, enforce_limits: bool) -> None:
        self._exchange = exchange
        self._accounts: Accounts = exchange.accounts
        self.spelling = spelling
        """Names and numbers as the market writes them."""
        self._rules = spelling.rules
        self._enforce = enforce_limits
        self._counts = OrderCounts(linear=spelling.rules.linear)
        self._made = 0
        self._lag = 0.0
        self.endpoints: Mapping[tuple[str, str], PrivateEndpoint] = {}

    # Who asks --------------------------------------------------------------------------------------------------------

    def serve(
        self, endpoint: PrivateEndpoint, request: HttpRequest, lag: float
    ) -> tuple[Json, tuple[tuple[str, str], ...]]:
        """Return an answer's body and its further headers; ``lag``: how many seconds old queries are.

        Raises:
            Refusal: it is not served.
        """
        parameters = Parameters(merged(request))
        user = self.signer(parameters)
        signature = parameters.required("signature")
        self.check_time(parameters)
        if not _is_signed(request, user.secret, signature, last=self._rules.linear):
            raise Refusal(-1022, "Signature for this request is not valid.")
        body, counted = self.answer(endpoint, user, parameters, lag)
        return body, self._counts.headers(user.name, self._exchange.now) if counted else ()

    def answer(self, endpoint: PrivateEndpoint, user: SimUser, parameters: Parameters, lag: float) -> tuple[Json, bool]:
        """Return an answer's body, and whether it counted orders; raises ``Refusal``."""
        self._lag = lag
        if endpoint.trades and "trade" not in user.permissions:
            raise refusal("not_permitted", linear=self._rules.linear)
        unread = set(parameters.values) - endpoint.names - _TIMING
        if unread and not self._rules.linear:
            sent = len(parameters.values)
            text = f"read '{sent - len(unread)}' parameter(s) but was sent '{sent}'."
            raise Refusal(-1104, f"Not all sent parameters were read; {text}")
        now = self._exchange.now
        counted = endpoint.counts != (0, 0)
        if counted:
            self._counts.take(user.name, now, endpoint.counts, enforce=self._enforce)
        return endpoint.answer(user, parameters), counted

    def tick(self, now: int) -> None:
        """Let time pass, to ``now`` on the monotonic clock in nanoseconds. Nothing happens by itself but where said."""

    def limits(self, user: SimUser) -> list[Json]:
        """Return the order counters as answers of the WebSocket API tell them."""
        return self._counts.rows(user.name, self._exchange.now)

    def signer(self, parameters: Parameters) -> SimUser:
        """Return whose key a request carries; raises ``Refusal``."""
        if not parameters.key:
            raise Refusal(-2014, "API-key format invalid.", 401)
        user = self._accounts.by_key(parameters.key)
        if user is None:
            raise refusal("not_permitted", linear=self._rules.linear)
        return user

    def check_time(self, parameters: Parameters) -> None:
        """Refuse a request that comes too late or too early."""
        parameters.required("timestamp")
        sent = parameters.moment("timestamp") or 0
        text = parameters.text("recvWindow")
        window = _DEFAULT_WINDOW
        if text is not None:
            if not _WINDOW.fullmatch(text) or (self._rules.linear and "." in text):
                raise Refusal(-1100, "Illegal characters found in parameter 'recvWindow'; legal range is '^[0-9]*$'.")
            if Decimal(text) > _MOST_WINDOW:
                raise Refusal(-1131, "recvWindow must be less than 60000.")
            window = int(Decimal(text) * MILLIS)
        if sent >= self._exchange.now + _AHEAD:
            raise Refusal(-1021, "Timestamp for this request was 1000ms ahead of the server's time.")
        if self._exchange.now - sent > window:
            raise Refusal(-1021, "Timestamp for this request is outside of the recvWindow.")

    # What is asked for -----------------------------------------------------------------------------------------------

    def _spec(self, parameters: Parameters) -> SimInstrument:
        spec = self.spelling.by_raw.get(parameters.required("symbol"))
        if spec is None:
            raise refusal("unknown_symbol", linear=self._rules.linear)
        return spec

    def _one(self, parameters: Parameters) -> str | None:
        """Return the unified symbol where one is given."""
        return self._spec(parameters).symbol if "symbol" in parameters.values else None

    def _ticks(self, spec: SimInstrument, parameters: Parameters, name: str) -> int:
        ticks = spec.ticks(decimal(parameters, name))
        if ticks is None:
            raise refusal("tick", linear=self._rules.linear)
        return ticks

    def _lots(self, spec: SimInstrument, parameters: Parameters, name: str = "quantity") -> int:
        lots = spec.lots(decimal(parameters, name))
        if lots is None:
            raise refusal("step", linear=self._rules.linear)
        return lots

    def _side(self, parameters: Parameters) -> str:
        side = parameters.required("side")
        if side not in {"BUY", "SELL"}:
            raise Refusal(-1117, "Invalid side.")
        return side

    def _new_id(self) -> str:
        """Make up a client id, as the venue does where none is sent."""
        self._made += 1
        return f"made{self._made:018d}"

    def _check(self, user: SimUser, request: SimOrderRequest) -> None:
        """Refuse what the market would refuse, without placing anything."""
        found = self._accounts.check(user.name, request)
        if found is not None:
            raise self._refused(found, request)

    def _refused(self, reject: SimReject, request: SimOrderRequest) -> Refusal:
        waits = request.trigger is not None
        return refusal(reject.reason, linear=self._rules.linear, waits=waits, side=request.side, kind=request.kind)

    def _order_counts(self, user: SimUser, parameters: Parameters) -> Json:
        return self._counts.rows(user.name, self._exchange.now)


def decimal(parameters: Parameters, name: str) -> Decimal:
    """Return a number, which the venue takes without exponent and without sign."""
    text = parameters.required(name)
    if not _NUMBER.fullmatch(text):
        legal = "^([0-9]{1,20})(\\.[0-9]{1,20})?$"
        raise Refusal(-1100, f"Illegal characters found in parameter '{name}'; legal range is '{legal}'.")
    return Decimal(text)


def chosen(parameters: Parameters, name: str, words: frozenset[str], code: int, text: str) -> str | None:
    """Return a parameter that is one of these words, or None when it is not sent."""
    value = parameters.text(name)
    if value is not None and value not in words:
        raise Refusal(code, text)
    return value


def merged(request: HttpRequest) -> HttpRequest:
    """Return the request with all parameters in the query; those of the query win over the body's."""
    if not request.body:
        return request
    sent = {part.split("=", 1)[0] for part in request.query.split("&")}
    more = [part for part in _text(request.body).split("&") if part.split("=", 1)[0] not in sent]
    return structs.replace(request, query="&".join(filter(None, [request.query, *more])))


def _text(body: bytes) -> str:
    return body.decode("utf-8", "replace")


def _is_signed(request: HttpRequest, secret: str, signature: str, *, last: bool) -> bool:
    parts = request.query.split("&") if request.query else []
    body = _text(request.body).split("&") if request.body else []
    if last and not (body or parts)[-1].startswith("signature="):
        return False
    texts = ["&".join(part for part in some if not part.startswith("signature=")) for some in (parts, body)]
    return is_signed_text("".join(texts).encode(), secret, signature)


def is_signed_text(payload: bytes, secret: str, signature: str) -> bool:
    """Tell whether a signature fits: by HMAC with the secret or, where that is a public key, by Ed25519."""
    if secret.startswith(_PUBLIC_KEY):
        return _is_signed_ed25519(payload, secret, signature)
    wanted = hmac.digest(secret.encode(), payload, hashlib.sha256).hex()
    return hmac.compare_digest(wanted.encode(), signature.lower().encode())


def is_ed25519(secret: str) -> bool:
    """Tell whether a user signs with an Ed25519 key: what is kept of it is the public half."""
    return secret.startswith(_PUBLIC_KEY)


def _is_signed_ed25519(payload: bytes, public_key: str, signature: str) -> bool:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    key = load_pem_public_key(public_key.encode())
    if not isinstance(key, Ed25519PublicKey):
        return False
    try:
        key.verify(base64.b64decode(unquote_to_bytes(signature), validate=True), payload)
    except (InvalidSignature, binascii.Error):
        return False
    return True
