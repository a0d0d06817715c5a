"""Every error of unitape, in one tree, first split by whose turn it is.

::

    UnitapeError
    ├── ConfigError            yours: the call or the settings are wrong; nothing was sent
    │   └── Unsupported        the venue has no such thing; the text names what serves instead
    ├── VenueError             the venue refused: code, text and HTTP status are kept
    │   ├── InvalidRequest · InvalidSymbol · InvalidOrder · NoChange
    │   │   InvalidOrder: DuplicateOrder, PostOnlyWouldCross, ReduceOnlyRejected, TooManyOpenOrders
    │   ├── InsufficientFunds · OrderNotFound · MarketClosed
    │   ├── AuthenticationFailed · PermissionDenied · TimestampOutOfWindow
    │   ├── RateLimited        `retry_after` says when to come back
    │   └── ExchangeUnavailable
    │       └── NotPlaced      the answer was lost; agreeing reads found no such order
    ├── WireError              we could not understand the venue: the bytes are kept
    ├── TapeError              a tape or cassette cannot be read; the text says where
    ├── SinkError              a sink could not write or read; nothing of the call counts
    ├── TransportError         the network failed before an answer arrived
    │   └── NotRecorded        a recording was asked for what is not in it
    ├── OutcomeUnknown         a write may have happened: the client id is kept
    ├── TradingHalted          we refused: the kill switch is on
    ├── RiskRejected           we refused: a risk limit
    └── ConsumerOverflow       a consumer with the policy `fail` fell behind

Each says with ``retryable`` whether the same call may simply be made again.
"""

from __future__ import annotations

from decimal import Decimal
from typing import ClassVar, Final

__all__ = [
    "AuthenticationFailed",
    "ConfigError",
    "ConsumerOverflow",
    "DuplicateOrder",
    "ExchangeUnavailable",
    "InsufficientFunds",
    "InvalidOrder",
    "InvalidRequest",
    "InvalidSymbol",
    "MarketClosed",
    "NoChange",
    "NotPlaced",
    "NotRecorded",
    "OrderNotFound",
    "OutcomeUnknown",
    "PermissionDenied",
    "PostOnlyWouldCross",
    "RateLimited",
    "ReduceOnlyRejected",
    "RiskRejected",
    "SinkError",
    "TapeError",
    "TimestampOutOfWindow",
    "TooManyOpenOrders",
    "TradingHalted",
    "TransportError",
    "UnitapeError",
    "Unsupported",
    "VenueError",
    "WireError",
]

KEPT_BYTES: Final = 65_536
"""A wire error keeps at most this much of the frame it is about."""


class UnitapeError(Exception):
    """Base of everything that unitape raises on purpose."""

    retryable: ClassVar[bool] = False


class ConfigError(UnitapeError):
    """The call or the settings are wrong. Nothing was sent; change the call."""


class Unsupported(ConfigError):
    """The venue, market or instrument has no such thing."""


class VenueError(UnitapeError):
    """The venue refused. Its own code, words and HTTP status are kept."""

    def __init__(self, text: str, *, venue: str = "", code: str | None = None, status: int | None = None) -> None:
        label = f"{venue}: " if venue else ""
        suffix = f" (code {code})" if code is not None else ""
        super().__init__(f"{label}{text}{suffix}")
        self.text = text
        self.venue = venue
        self.code = code
        self.status = status


class InvalidRequest(VenueError):
    """The venue does not accept the parameters."""


class InvalidSymbol(VenueError):
    """The venue does not know the symbol."""


class InvalidOrder(VenueError):
    """The order breaks a rule of the instrument or of the venue."""


class DuplicateOrder(InvalidOrder):
    """An order with this client id exists: after an unknown outcome this means that the first one arrived."""


class PostOnlyWouldCross(InvalidOrder):
    """A post-only order would have taken liquidity."""


class ReduceOnlyRejected(InvalidOrder):
    """A reduce-only order would have opened or grown a position."""


class TooManyOpenOrders(InvalidOrder):
    """The venue's limit of open orders is reached."""


class InsufficientFunds(VenueError):
    """Not enough balance or margin."""


class OrderNotFound(VenueError):
    """The venue does not know the order. Right after placing this may be lag."""


class MarketClosed(VenueError):
    """The instrument does not take this order now."""


class NoChange(VenueError):
    """The setting already has this value."""


class AuthenticationFailed(VenueError):
    """Key, secret, passphrase or signature is wrong."""


class PermissionDenied(VenueError):
    """The key may not do this, or not from this address or place."""


class TimestampOutOfWindow(VenueError):
    """The request's time was outside the venue's window; it was not executed."""

    retryable: ClassVar[bool] = True


class RateLimited(VenueError):
    """The venue's rate limit. ``retry_after`` is in seconds from the answer, None if the venue did not say."""

    retryable: ClassVar[bool] = True

    def __init__(
        self,
        text: str,
        *,
        venue: str = "",
        code: str | None = None,
        status: int | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(text, venue=venue, code=code, status=status)
        self.retry_after = retry_after


class ExchangeUnavailable(VenueError):
    """The venue cannot serve now and did not execute anything."""

    retryable: ClassVar[bool] = True


class NotPlaced(ExchangeUnavailable):
    """The answer to an order was lost, and agreeing reads found no such order: it may be placed anew, by a new name.

    Its client id is still watched: if the venue ever tells of it, the order's events say so.
    """

    def __init__(self, text: str, *, venue: str = "", client_id: str) -> None:
        super().__init__(f"{text} (client id {client_id})", venue=venue)
        self.client_id = client_id


class WireError(UnitapeError):
    """Bytes from the venue that we could not understand. ``data`` holds them, the start of them when large."""

    def __init__(self, reason: str, data: bytes | str = b"", *, venue: str = "") -> None:
        raw = data.encode("utf-8", "surrogatepass") if isinstance(data, str) else bytes(data)
        label = f"{venue}: " if venue else ""
        super().__init__(f"{label}{reason} in a frame of {len(raw)} bytes: {raw[:80]!r}")
        self.reason = reason
        self.venue = venue
        self.size = len(raw)
        self.data = raw[:KEPT_BYTES]


class TapeError(UnitapeError):
    """A tape or cassette cannot be read. ``offset`` is the byte where it goes wrong, None where that has no meaning."""

    def __init__(self, text: str, *, offset: int | None = None) -> None:
        super().__init__(text if offset is None else f"{text} (at byte {offset})")
        self.offset = offset


class SinkError(UnitapeError):
    """A sink could not write or read its files. Nothing of the call counts, so it may be made again."""

    retryable: ClassVar[bool] = True


class TransportError(UnitapeError):
    """The network failed before an answer arrived. A read may be repeated; a write is OutcomeUnknown instead.

    ``sent`` is False only where it is certain that no byte of the request left: then a write did not happen.
    """

    retryable: ClassVar[bool] = True

    def __init__(self, text: str = "", *, sent: bool = True) -> None:
        super().__init__(text)
        self.sent = sent


class NotRecorded(TransportError):
    """A recording that is played instead of a venue was asked for what is not in it. Nothing was sent anywhere."""

    retryable: ClassVar[bool] = False

    def __init__(self, text: str) -> None:
        super().__init__(text, sent=False)


class OutcomeUnknown(UnitapeError):
    """A write may or may not have happened. Ask for ``client_id`` before anything else is done."""

    def __init__(self, text: str, *, venue: str, client_id: str | None) -> None:
        super().__init__(f"{venue}: {text} (client id {client_id})")
        self.text = text
        self.venue = venue
        self.client_id = client_id


class TradingHalted(UnitapeError):
    """The kill switch is on: nothing but cancels leaves. ``reason`` says why."""

    def __init__(self, text: str = "", *, reason: str = "") -> None:
        super().__init__(text)
        self.reason = reason


class RiskRejected(UnitapeError):
    """A risk limit refuses the order; it was not sent.

    ``limit`` is the limit's name, ``value`` what the order would bring, ``maximum`` what is allowed; both numbers are
    None where the limit could not be judged.
    """

    def __init__(
        self, text: str = "", *, limit: str = "", value: Decimal | None = None, maximum: Decimal | None = None
    ) -> None:
        super().__init__(text)
        self.limit = limit
        self.value = value
        self.maximum = maximum


class ConsumerOverflow(UnitapeError):
    """A consumer with the policy ``fail`` did not keep up. ``dropped`` events were not delivered."""

    def __init__(self, name: str, capacity: int, dropped: int) -> None:
        super().__init__(
            f"consumer {name!r} fell behind its buffer of {capacity} events; read faster, raise the capacity, "
            "or choose another overflow policy"
        )
        self.dropped = dropped
