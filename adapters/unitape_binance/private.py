"""What the private queries of both markets share: how they ask, how they read, and what they refuse to ask."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Final, TypeAlias, TypeVar

import msgspec
from msgspec import Struct

from unitape.errors import ConfigError, NoChange, OutcomeUnknown, Unsupported, WireError
from unitape.spi import (
    MILLISECOND,
    Credentials,
    HttpMethod,
    HttpRequest,
    HttpResponse,
    Instruments,
    NewOrder,
    OrderRef,
    Query,
    TradingSettings,
    encode_query,
)
from unitape_binance.errors import MarketName, read_error
from unitape_binance.readers import DECODE_ERRORS, VENUE_NAME
from unitape_binance.signing import recv_window, sign
from unitape_binance.words import CONDITIONAL_KINDS, LIMIT_KINDS

__all__ = [
    "HOUR",
    "MOST_ROWS",
    "Parameters",
    "PrivateQueries",
    "check_shape",
    "limit_price",
    "order_number",
    "page",
    "plain_or_none",
    "success",
    "unless_done",
]

T = TypeVar("T")

Parameters: TypeAlias = Mapping[str, str | int | None]

MOST_ROWS: Final = 1000
HOUR: Final = 3_600_000_000_000
"""Nanoseconds."""


class _Verdict(Struct, gc=False):
    code: int = 200
    msg: str = ""


_verdict = msgspec.json.Decoder(_Verdict, strict=False).decode


class PrivateQueries:
    """One market's way to ask: every request is signed, every answer is read or refused in one place."""

    def __init__(self, instruments: Instruments, settings: TradingSettings, market: MarketName) -> None:
        recv_window(settings.recv_window, market)
        self._instruments = instruments
        self._settings = settings
        self._market: MarketName = market

    def sign(self, request: HttpRequest, credentials: Credentials, ts: int) -> HttpRequest:
        """Return the request as it must be sent; ``ts`` is the venue's time in nanoseconds."""
        return sign(request, credentials, ts, self._settings.recv_window, self._market)

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
        client_id: str | None = None,
    ) -> Query[T]:
        """Return a signed query. What does not only read is a write, unless it is said not to be."""
        market = self._market
        request = HttpRequest(
            method,
            path,
            encode_query(parameters),
            weight=weight,
            also=also,
            auth="signed",
            write=method != "GET" if write is None else write,
        )

        def answer(response: HttpResponse, ts_recv: int) -> T:
            if response.status != 200:
                raise read_error(response, request, market, ts_recv)
            try:
                response.body.decode()
                return read(response.body, ts_recv)
            except DECODE_ERRORS as error:
                wire = WireError(f"{name}: {error}", response.body, venue=VENUE_NAME)
                if not request.write:
                    raise wire from error
                # The venue took it; what became of it must be asked for.
                raise OutcomeUnknown(
                    f"{name}: the answer cannot be read", venue=VENUE_NAME, client_id=client_id
                ) from wire

        return Query(name, request, answer)

    def _raw(self, symbol: str) -> str:
        return self._instruments.require(symbol).raw_symbol

    def _symbol_of(self, raw: str) -> str:
        return self._instruments.symbol(raw)

    def _needed(self, symbol: str | None, what: str) -> str:
        """Return the venue's spelling of a symbol that must be given."""
        if symbol is None:
            raise Unsupported(f"{VENUE_NAME} {self._market} needs a symbol for {what}")
        return self._raw(symbol)

    def _named(self, order: OrderRef) -> dict[str, str | int | None]:
        """Return the parameters that name an order; its id alone where it has one, which is the fastest."""
        if order.id is not None:
            return {"symbol": self._raw(order.symbol), "orderId": order_number(order.id)}
        if order.client_id is None:
            raise ConfigError("an order is named by its id or by its client id")
        return {"symbol": self._raw(order.symbol), "origClientOrderId": order.client_id}


def order_number(text: str) -> int:
    """Return an order id as the number it is.

    Raises:
        ConfigError: it is none.
    """
    if not text.isdecimal():
        raise ConfigError(f"{text!r} is not an order id of {VENUE_NAME}; a client id goes into client_id")
    return int(text)


def plain_or_none(number: Decimal | None) -> str | None:
    """Write a number without exponent; None stays None."""
    return None if number is None else format(number, "f")


def limit_price(order: NewOrder) -> Decimal:
    """Return the limit price that an order of a limit kind must have."""
    if order.price is None:
        raise ConfigError(f"a {order.kind} order needs a price")
    return order.price


def check_shape(order: NewOrder) -> None:
    """Refuse an order whose parts do not belong together, so that none is left out in silence.

    Raises:
        ConfigError: the text says what is missing or too much.
    """
    if (order.size is None) == (order.cost is None):
        raise ConfigError("an order has either a size or a cost")
    if order.cost is not None and order.kind != "market":
        raise ConfigError("only market orders are given by cost")
    if order.kind not in LIMIT_KINDS:
        if order.price is not None:
            raise ConfigError(f"a {order.kind} order has no limit price")
        if order.tif is not None and not (order.kind == "market" and order.tif == "ioc"):
            raise ConfigError(f"a {order.kind} order has no time in force")
    if (order.trigger is not None) != (order.kind in CONDITIONAL_KINDS):
        raise ConfigError("conditional orders need a trigger, and only they have one")
    if order.trigger_by is not None and order.trigger is None:
        raise ConfigError("trigger_by belongs to orders with a trigger")


def page(start: int | None, end: int | None, limit: int | None, most: int) -> dict[str, str | int | None]:
    """Return the parameters of a time range [start, end], nanoseconds, and of a number of rows.

    Raises:
        ConfigError: the range is longer than ``most`` nanoseconds, which the venue refuses, or the limit not positive.
    """
    if limit is not None and limit < 1:
        raise ConfigError(f"a limit of {limit} rows asks for nothing")
    if start is not None and end is not None and not 0 <= end - start <= most:
        raise ConfigError(f"one request covers at most {most / HOUR:g} hours, and no range that ends before it starts")
    first = None if start is None else -(-start // MILLISECOND)
    last = None if end is None else end // MILLISECOND
    return {
        "startTime": first,
        # A range within one millisecond still has to be one for the venue.
        "endTime": last if first is None or last is None else max(first, last),
        "limit": MOST_ROWS if limit is None else min(limit, MOST_ROWS),
    }


def success(body: bytes, ts_recv: int) -> None:
    """Read an answer that says no more than that it was done.

    Raises:
        msgspec.ValidationError: it says something else.
    """
    verdict = _verdict(body)
    if verdict.code != 200:
        raise msgspec.ValidationError(f"neither success nor refusal: code {verdict.code} {verdict.msg!r}")


def unless_done(query: Query[None]) -> Query[None]:
    """Count "already so" as success."""

    def read(response: HttpResponse, ts_recv: int) -> None:
        try:
            query.read(response, ts_recv)
        except NoChange:
            return

    return Query(query.name, query.request, read)
