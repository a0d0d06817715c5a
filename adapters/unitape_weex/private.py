"""What the private queries of both markets share: how they ask, how they read, and what they refuse to ask."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final, TypeAlias, TypeVar

from msgspec import MsgspecError, Struct
from msgspec import json as msgspec_json

from unitape.errors import ConfigError, OutcomeUnknown, Unsupported, WireError
from unitape.spi import (
    MILLISECOND,
    Credentials,
    HttpMethod,
    HttpRequest,
    HttpResponse,
    Instruments,
    NewOrder,
    Query,
    TradingSettings,
    encode_query,
)
from unitape_weex.errors import read_error, refusal
from unitape_weex.options import read_options
from unitape_weex.signing import sign_request
from unitape_weex.wire import VENUE
from unitape_weex.words import LIMIT_KINDS, TRIGGER_KINDS

__all__ = [
    "Cost",
    "Fields",
    "Parameters",
    "PrivateQueries",
    "check_shape",
    "common_name",
    "order_number",
    "row_limit",
    "time_range",
]

T = TypeVar("T")

Parameters: TypeAlias = Mapping[str, str | int | None]
Fields: TypeAlias = Mapping[str, object]

_DAY: Final = 86_400_000_000_000
_JSON: Final = ("Content-Type", "application/json")
_DECODE_ERRORS: Final = (MsgspecError, UnicodeError, RecursionError, ValueError, ArithmeticError)


class Cost(Struct, frozen=True):
    """What a request costs, by address and by account."""

    address: int
    account: int
    orders: int = 0
    cancels: int = 0


class PrivateQueries:
    """One market's way to ask: every request is signed, every answer is read or refused in one place."""

    def __init__(self, market: str, instruments: Instruments, settings: TradingSettings) -> None:
        self._market = market
        self._instruments = instruments
        self._settings = settings
        self._options = read_options(settings)

    def sign(self, request: HttpRequest, credentials: Credentials, ts: int) -> HttpRequest:
        """Return the request as it must be sent; ``ts`` is the venue's time in nanoseconds.

        The venue takes a time for thirty seconds, whatever ``recv_window`` says.
        """
        return sign_request(request, credentials, ts)

    def _ask(
        self,
        name: str,
        method: HttpMethod,
        path: str,
        cost: Cost,
        read: Callable[[bytes, int], T],
        *,
        query: Parameters | None = None,
        fields: Fields | None = None,
        client_id: str | None = None,
    ) -> Query[T]:
        """Return a signed query. ``fields`` make the JSON body, without those that are None."""
        body = b"" if fields is None else msgspec_json.encode({k: v for k, v in fields.items() if v is not None})
        counts = (("account_weight", cost.account), ("orders", cost.orders), ("cancels", cost.cancels))
        request = HttpRequest(
            method,
            path,
            encode_query(query or {}),
            body,
            (_JSON,),
            weight=cost.address,
            auth="signed",
            write=method != "GET",
            also=tuple((budget, count) for budget, count in counts if count),
        )

        def answer(response: HttpResponse, ts_recv: int) -> T:
            if response.status != 200 or _is_refusal(response.body):
                raise read_error(response, request)
            try:
                return read(response.body, ts_recv)
            except _DECODE_ERRORS as error:
                wire = WireError(f"{name}: {error}", response.body, venue=VENUE)
                if not request.write:
                    raise wire from error
                # The venue took it; what became of it must be asked for.
                raise OutcomeUnknown(f"{name}: the answer cannot be read", venue=VENUE, client_id=client_id) from wire

        return Query(name, request, answer)

    def _raw(self, symbol: str) -> str:
        return self._instruments.require(symbol).raw_symbol

    def _raw_or_none(self, symbol: str | None) -> str | None:
        return None if symbol is None else self._raw(symbol)

    def _needed(self, symbol: str | None, what: str) -> str:
        """Return the venue's spelling of a symbol that must be given."""
        if symbol is None:
            raise Unsupported(f"weex {self._market} needs a symbol for {what}")
        return self._raw(symbol)

    def _batch(self, count: int, most: int, what: str) -> None:
        """Refuse a batch that the venue would not take whole."""
        if not most:
            raise Unsupported(f"weex {self._market} has no {what} here; send them one by one")
        if not 1 <= count <= most:
            raise ConfigError(f"{what} takes 1 to {most} orders, not {count}")


def _is_refusal(body: bytes) -> bool:
    """Tell whether a body of status 200 is no answer: an error, or a page of the firewall before the venue."""
    return body.lstrip()[:1] == b"<" or (body[:1] == b"{" and refusal(body) is not None)


def order_number(text: str) -> str:
    """Return an order id.

    Raises:
        ConfigError: it is none: the venue's are numbers.
    """
    if not (text.isascii() and text.isdigit()):
        raise ConfigError(f"{text!r} is not an order id of weex; a client id goes into client_id")
    return text


def common_name(named: Sequence[Parameters]) -> tuple[str, list[str]]:
    """Return by what orders are named, and the names.

    Raises:
        ConfigError: some are named by id and some by client id.
    """
    kinds = {name for names in named for name in names}
    if len(kinds) != 1:
        raise ConfigError("orders of one request are all named by id, or all by client id")
    (name,) = kinds
    return name, [str(names[name]) for names in named]


def check_shape(order: NewOrder) -> None:
    """Refuse an order whose parts do not belong together, so that none is left out in silence.

    Raises:
        ConfigError: the text says what is missing or too much.
        Unsupported: the venue has no such order.
    """
    kind = order.kind
    if order.cost is not None:
        raise Unsupported("weex takes market orders by base size, not by cost")
    if order.size is None:
        raise ConfigError("an order needs a size")
    if (order.price is None) == (kind in LIMIT_KINDS):
        raise ConfigError(f"a {kind} order needs a price" if order.price is None else f"a {kind} order has no price")
    if (order.trigger is None) == (kind in TRIGGER_KINDS):
        raise ConfigError("conditional orders need a trigger, and only they have one")
    if order.trigger_by is not None and order.trigger is None:
        raise ConfigError("trigger_by belongs to orders with a trigger")
    if order.tif == "gtd" or order.expires is not None:
        raise Unsupported("weex orders do not expire by time")
    if order.tif not in (None, "gtc") and kind != "limit":
        raise Unsupported(f"a {kind} order of weex has no time in force")


def time_range(start: int | None, end: int | None, days: int | None) -> dict[str, str | int | None]:
    """Return the parameters of a time range [start, end], nanoseconds.

    Raises:
        ConfigError: the range ends before it starts, or is longer than these days, which the venue refuses.
    """
    if start is not None and end is not None:
        span = end - start
        if span < 0 or (days is not None and span > days * _DAY):
            bound = "" if days is None else f"at most {days} days, and "
            raise ConfigError(f"one request covers {bound}no range that ends before it starts")
    first = None if start is None else -(-start // MILLISECOND)
    last = None if end is None else end // MILLISECOND
    # A range within one millisecond still has to be one for the venue.
    return {"startTime": first, "endTime": last if first is None or last is None else max(first, last)}


def row_limit(limit: int | None, most: int) -> int:
    """Return how many rows to ask for.

    Raises:
        ConfigError: fewer than one.
    """
    if limit is not None and limit < 1:
        raise ConfigError(f"a limit of {limit} rows asks for nothing")
    return most if limit is None else min(limit, most)
