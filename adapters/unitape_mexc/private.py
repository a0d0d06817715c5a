"""What the private queries of both markets share: how they ask, how they read, and what they refuse to ask."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final, Generic, Literal, TypeAlias, TypeVar

import msgspec
from msgspec import Raw, Struct

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
from unitape_mexc.amounts import plain
from unitape_mexc.bodies import VENUE
from unitape_mexc.errors import futures_error, spot_error
from unitape_mexc.options import read_options
from unitape_mexc.signing import futures_parameters, sign_futures, sign_spot, window_millis
from unitape_mexc.words import CONDITIONAL_KINDS, LIMIT_KINDS
from unitape_schemas import Instrument, Order

__all__ = [
    "MOST_ROWS",
    "Data",
    "FuturesQueries",
    "Parameters",
    "PrivateQueries",
    "SpotQueries",
    "check_batch",
    "check_shape",
    "json_number",
    "limit_price",
    "oldest_first",
    "row_limit",
    "time_range",
]

T = TypeVar("T")

Parameters: TypeAlias = Mapping[str, str | int | None]

MOST_ROWS: Final = 100
"""Rows of one answer of futures."""

_DECODE_ERRORS: Final = (msgspec.MsgspecError, ValueError, UnicodeError, RecursionError, ArithmeticError, KeyError)


class Data(Struct, Generic[T], gc=False):
    """What an envelope holds."""

    data: T


class _Outcome(Struct, gc=False):
    success: bool = False
    code: int | str = -1


class _Refusal(Struct, gc=False):
    code: int | str = 0


_outcome = msgspec.json.Decoder(_Outcome).decode
_refusal = msgspec.json.Decoder(_Refusal).decode


class PrivateQueries:
    """Instruments, settings and options of one account on one market."""

    market = ""

    def __init__(self, instruments: Instruments, settings: TradingSettings) -> None:
        window_millis(settings.recv_window)
        self._instruments = instruments
        self._settings = settings
        self._options = read_options(settings)

    def _instrument(self, symbol: str) -> Instrument:
        return self._instruments.require(symbol)

    def _raw(self, symbol: str) -> str:
        return self._instruments.require(symbol).raw_symbol

    def _raw_or_none(self, symbol: str | None) -> str | None:
        return None if symbol is None else self._raw(symbol)

    def _symbol_of(self, raw: str) -> str:
        if not raw:
            raise ValueError("a row that names no instrument")
        return self._instruments.symbol(raw)

    def _needed(self, symbol: str | None, what: str) -> str:
        """Return the venue's spelling of a symbol that must be given."""
        if symbol is None:
            raise Unsupported(f"mexc {self.market} needs a symbol for {what}")
        return self._raw(symbol)

    def _query(
        self,
        name: str,
        request: HttpRequest,
        read: Callable[[HttpResponse, int], T],
        refusal: Callable[[HttpResponse], Exception | None],
        client_id: str | None,
    ) -> Query[T]:
        """Return a query that reads a success; the answer to a write that cannot be read leaves its outcome open."""

        def answer(response: HttpResponse, ts_recv: int) -> T:
            error = refusal(response)
            if error is not None:
                raise error
            try:
                return read(response, ts_recv)
            except _DECODE_ERRORS as fault:
                wire = WireError(f"{name}: {fault}", response.body, venue=VENUE)
                if not request.write:
                    raise wire from fault
                # The venue took it; what became of it must be asked for.
                raise OutcomeUnknown(f"{name}: the answer cannot be read", venue=VENUE, client_id=client_id) from wire

        return Query(name, request, answer)


class SpotQueries(PrivateQueries):
    """How spot is asked: parameters in the query, whatever the method."""

    market = "spot"

    def sign(self, request: HttpRequest, credentials: Credentials, ts: int) -> HttpRequest:
        """Return the request as it must be sent; ``ts`` is the venue's time in nanoseconds."""
        return sign_spot(request, credentials, ts, self._settings.recv_window)

    def _ask(
        self,
        name: str,
        method: HttpMethod,
        path: str,
        parameters: Parameters,
        read: Callable[[bytes, int], T],
        *,
        weight: int = 1,
        also: tuple[tuple[str, int], ...] = (),
        write: bool | None = None,
        auth: Literal["key", "signed"] = "signed",
        client_id: str | None = None,
    ) -> Query[T]:
        """Return a signed query. What does not only read is a write, unless it is said not to be."""
        request = HttpRequest(
            method,
            f"/api/v3/{path}",
            encode_query(parameters),
            weight=weight,
            also=(("account_weight", weight), *also),
            auth=auth,
            write=method != "GET" if write is None else write,
        )

        def refusal(response: HttpResponse) -> Exception | None:
            if response.status == 200 and not _says_code(response.body):
                return None
            return spot_error(response, request, client_id)

        return self._query(name, request, lambda response, ts: read(response.body, ts), refusal, client_id)


class FuturesQueries(PrivateQueries):
    """How futures are asked: sorted parameters, or one exact JSON body; every answer in an envelope."""

    market = "futures"

    def sign(self, request: HttpRequest, credentials: Credentials, ts: int) -> HttpRequest:
        """Return the request as it must be sent; ``ts`` is the venue's time in nanoseconds."""
        form = self._options["window_header"]
        window = window_millis(self._settings.recv_window)
        header = {"omit": None, "milliseconds": str(window), "seconds": str(max(1, window // 1000))}[form]
        return sign_futures(request, credentials, ts, header)

    def _get(self, name: str, path: str, parameters: Parameters, read: Callable[[bytes, int], T]) -> Query[T]:
        encoded = futures_parameters({key: _encoded(value) for key, value in parameters.items()})
        return self._envelope(name, HttpRequest("GET", f"/api/v1/private/{path}", encoded, auth="signed"), read, None)

    def _pages(
        self,
        name: str,
        path: str,
        named: Parameters,
        read: Callable[[bytes, int], list[Order]],
        page: int = 1,
        seen: frozenset[str | None] = frozenset(),
    ) -> Query[list[Order]]:
        """Return the query of one page; one that is full has another behind it.

        Orders that came in between two pages push others from one to the next: ``seen`` are the ids of those that
        were read before. Orders that ended in between pull others the other way, to a page that was read already:
        they are out of sight until the list is asked for again.
        """
        rows_of_page: list[Order] = []

        def fresh(body: bytes, ts_recv: int) -> list[Order]:
            rows_of_page[:] = read(body, ts_recv)
            return [order for order in rows_of_page if order.id not in seen]

        def more(rows: list[Order]) -> Query[list[Order]] | None:
            if len(rows_of_page) < MOST_ROWS:
                return None
            known = seen.union(order.id for order in rows_of_page)
            return self._pages(name, path, named, read, page + 1, known)

        query = self._get(name, path, {**named, "page_num": page, "page_size": MOST_ROWS}, fresh)
        return Query(query.name, query.request, query.read, more)

    def _post(
        self,
        name: str,
        path: str,
        body: object,
        read: Callable[[bytes, int], T],
        *,
        also: tuple[tuple[str, int], ...] = (),
        client_id: str | None = None,
    ) -> Query[T]:
        """Return a write. The body is written once: these bytes are signed and sent."""
        request = HttpRequest(
            "POST",
            f"/api/v1/private/{path}",
            body=msgspec.json.encode(body),
            also=also,
            auth="signed",
            write=True,
        )
        return self._envelope(name, request, read, client_id)

    def _envelope(
        self, name: str, request: HttpRequest, read: Callable[[bytes, int], T], client_id: str | None
    ) -> Query[T]:
        def refusal(response: HttpResponse) -> Exception | None:
            if response.status == 200 and _succeeded(response.body):
                return None
            return futures_error(response, request, client_id)

        return self._query(name, request, lambda response, ts: read(response.body, ts), refusal, client_id)


def _succeeded(body: bytes) -> bool:
    """Tell whether an envelope says success, by word and by code."""
    try:
        outcome = _outcome(body)
    except _DECODE_ERRORS:
        return False
    return outcome.success and str(outcome.code) in ("0", "200")


def _says_code(body: bytes) -> bool:
    """Tell whether a spot answer with status 200 carries the code of a refusal."""
    if body[:1] != b"{":
        return False
    try:
        return str(_refusal(body).code) not in ("0", "200")
    except _DECODE_ERRORS:
        return False


def _encoded(value: str | int | None) -> str | None:
    return None if value is None else encode_query({"": value})[1:]


def json_number(value: Decimal | None) -> Any:
    """Return what writes a number into JSON without exponent; None stays None."""
    return None if value is None else Raw(plain(value).encode())


def limit_price(order: NewOrder) -> Decimal:
    """Return the limit price that an order of a limit kind must have."""
    if order.price is None:
        raise ConfigError(f"a {order.kind} order needs a price")
    return order.price


def check_shape(order: NewOrder) -> None:
    """Refuse an order whose parts do not belong together, so that none is left out in silence.

    Raises:
        ConfigError: the text says what is missing or too much.
        Unsupported: the venue has no such order.
    """
    limit = order.kind in LIMIT_KINDS
    if (order.size is None) == (order.cost is None):
        raise ConfigError("an order has either a size or a cost")
    if order.cost is not None and order.kind != "market":
        raise ConfigError("only market orders are given by cost")
    if (order.price is None) == limit:
        raise ConfigError(
            f"a {order.kind} order needs a price" if limit else f"a {order.kind} order has no limit price"
        )
    if order.tif is not None and not limit:
        raise ConfigError(f"a {order.kind} order has no time in force")
    if order.tif == "gtd" or order.expires is not None:
        raise Unsupported("mexc orders do not expire at a time of your choice")
    if (order.trigger is not None) != (order.kind in CONDITIONAL_KINDS):
        raise ConfigError("conditional orders need a trigger, and only they have one")
    if order.trigger_by is not None and order.trigger is None:
        raise ConfigError("trigger_by belongs to orders with a trigger")


def check_batch(count: int, most: int, what: str) -> None:
    """Refuse a batch that one request does not take."""
    if not most:
        raise Unsupported(f"mexc does not {what} several orders in one request here; send them one by one")
    if not 1 <= count <= most:
        raise ConfigError(f"one request takes 1 to {most} orders, not {count}")


def oldest_first(rows: Sequence[T], when: Callable[[T], int]) -> list[T]:
    """Return rows by their time; those of one time as they were, after turning a list that comes newest first."""
    newest_first = bool(rows) and when(rows[0]) >= when(rows[-1])
    return sorted(reversed(rows) if newest_first else rows, key=when)


def row_limit(limit: int | None, most: int) -> int:
    """Return how many rows are asked for.

    Raises:
        ConfigError: the limit is not positive.
    """
    if limit is not None and limit < 1:
        raise ConfigError(f"a limit of {limit} rows asks for nothing")
    return most if limit is None else min(limit, most)


def time_range(start: int | None, end: int | None, days: int, names: tuple[str, str]) -> dict[str, int | None]:
    """Return the parameters of a time range [start, end] in nanoseconds, as whole milliseconds inside it.

    Raises:
        ConfigError: the range is empty or longer than the venue takes.
    """
    if start is not None and end is not None and not 0 <= end - start <= days * 86_400_000 * MILLISECOND:
        raise ConfigError(f"one request covers at most {days * 24} hours, from start to end")
    first, last = names
    return {
        first: None if start is None else -(-start // MILLISECOND),
        last: None if end is None else end // MILLISECOND,
    }
