"""Instruments from exchangeInfo and contract/detail, and a small catalogue for work without network.

Unified symbols: ``BASE/QUOTE`` spot, ``BASE/QUOTE:SETTLE`` perpetual. They come from the venue's own fields.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Final

import msgspec
from msgspec import Meta, Struct

from unitape.errors import WireError
from unitape_schemas import NUMBER_LIMIT, Instrument, InstrumentKind, InstrumentStatus

__all__ = [
    "CATALOGUE_DATE",
    "FUTURES_CATALOGUE",
    "FUTURES_STATUS",
    "SPOT_CATALOGUE",
    "SPOT_STATUS",
    "multiplier",
    "owned_by_futures",
    "owned_by_spot",
    "read_contracts",
    "read_spot_instruments",
]

_VENUE: Final = "mexc"

SPOT_STATUS: Final[Mapping[str, InstrumentStatus]] = {
    "1": "trading",
    "2": "halted",
    "3": "closed",
    "ENABLED": "trading",
}
"""MEXC Spot V3: Exchange Information; 2026-11. The word is older. Anything else blocks orders like 2."""

FUTURES_STATUS: Final[Mapping[int, InstrumentStatus]] = {
    0: "trading",
    1: "halted",
    2: "closed",
    3: "closed",
    4: "halted",
}
"""Enabled, delivery, completed, offline, paused. MEXC Contract V1: Contract Information; 2026-11."""

_CLOSED_SIDES: Final = "4"
_MULTIPLIED: Final = re.compile(r"(1000000|100000|10000|1000|1M)([A-Z].*)|([A-Z]{2,}?)(1000000|100000|10000|1000)")

_Name = Annotated[str, Meta(min_length=1)]
_Places = Annotated[int, Meta(ge=0, le=30)]
_LIMIT: Final = Decimal(int(NUMBER_LIMIT))


def _checked(number: Decimal | None, *, signed: bool = False) -> Decimal | None:
    """Return the number without exponent and trailing zeros; None where it is absent, or 0 and not ``signed``.

    Raises:
        ValueError: it is out of bounds.
    """
    if number is None:
        return None
    if not number.is_finite() or abs(number) >= _LIMIT or (number < 0 and not signed):
        raise ValueError(f"{number} is out of bounds")
    return Decimal(f"{number.normalize():f}") if number or signed else None


class _SpotRow(Struct, gc=False, rename="camel"):
    symbol: _Name
    status: str
    base_asset: _Name
    quote_asset: _Name
    base_asset_precision: _Places | None = None
    quote_precision: _Places | None = None
    quote_asset_precision: _Places | None = None
    base_size_precision: Decimal | None = None
    quote_amount_precision: Decimal | None = None
    is_spot_trading_allowed: bool | None = None
    permissions: tuple[str, ...] = ()
    maker_commission: Decimal | None = None
    taker_commission: Decimal | None = None
    trade_side_type: int | str = 1


class _SpotInfo(Struct, gc=False):
    symbols: list[_SpotRow]


class _Contract(Struct, gc=False, rename="camel"):
    symbol: _Name
    base_coin: _Name
    quote_coin: _Name
    settle_coin: _Name
    contract_size: Decimal | None = None
    price_unit: Decimal | None = None
    vol_unit: Decimal | None = None
    min_vol: Decimal | None = None
    max_vol: Decimal | None = None
    limit_max_vol: Decimal | None = None
    state: int = -1
    api_allowed: bool | None = None
    is_hidden: bool | None = None
    future_type: int = 1
    maker_fee_rate: Decimal | None = None
    taker_fee_rate: Decimal | None = None


class _Contracts(Struct, gc=False):
    data: list[_Contract] | _Contract


_spot_info = msgspec.json.Decoder(_SpotInfo, strict=False).decode
_contracts = msgspec.json.Decoder(_Contracts, strict=False).decode


def owned_by_spot(symbol: str) -> bool:
    """Tell whether a unified symbol has the form ``BASE/QUOTE``."""
    base, slash, quote = symbol.partition("/")
    return bool(base and slash and quote) and ":" not in quote and "/" not in quote


def owned_by_futures(symbol: str) -> bool:
    """Tell whether a unified symbol has the form ``BASE/QUOTE:SETTLE`` of a linear perpetual."""
    base, slash, rest = symbol.partition("/")
    quote, colon, settle = rest.partition(":")
    return bool(base and slash and quote and colon) and settle == quote


def multiplier(asset: str) -> int:
    """Return how many coins one unit of an asset is: 1000 for ``1000BONK`` and ``SHIB1000``, 1 for ``1INCH``."""
    match = _MULTIPLIED.fullmatch(asset)
    if match is None:
        return 1
    word = match[1] or match[4]
    return 1_000_000 if word == "1M" else int(word)


def read_spot_instruments(body: bytes, ts: int = 0) -> list[Instrument]:
    """Read the body of ``GET /api/v3/exchangeInfo``.

    Raises:
        WireError: it is not one.
    """
    try:
        return [_spot_instrument(row, ts) for row in _spot_info(body).symbols]
    except (msgspec.DecodeError, UnicodeDecodeError, ArithmeticError, ValueError) as error:
        raise WireError(f"not an exchangeInfo: {error}", body, venue=_VENUE) from None


def read_contracts(body: bytes, ts: int = 0) -> list[Instrument]:
    """Read the body of ``GET /api/v1/contract/detail``, of one contract or of all.

    Raises:
        WireError: it is not one.
    """
    try:
        data = _contracts(body).data
        return [_futures_instrument(row, ts) for row in (data if isinstance(data, list) else [data])]
    except (msgspec.DecodeError, UnicodeDecodeError, ArithmeticError, ValueError) as error:
        raise WireError(f"not a contract list: {error}", body, venue=_VENUE) from None


def _spot_instrument(row: _SpotRow, ts: int) -> Instrument:
    places = row.quote_asset_precision if row.quote_asset_precision is not None else row.quote_precision
    status = SPOT_STATUS.get(row.status, "halted")
    if str(row.trade_side_type) == _CLOSED_SIDES and status == "trading":
        status = "halted"
    allowed = row.is_spot_trading_allowed
    return Instrument(
        venue=_VENUE,
        symbol=f"{row.base_asset}/{row.quote_asset}",
        raw_symbol=row.symbol,
        market="spot",
        base=row.base_asset,
        quote=row.quote_asset,
        settle=None,
        kind="spot",
        tick=None if places is None else Decimal(1).scaleb(-places),
        step=None if row.base_asset_precision is None else Decimal(1).scaleb(-row.base_asset_precision),
        min_size=_checked(row.base_size_precision),
        max_size=None,
        min_notional=_checked(row.quote_amount_precision),
        contract_size=(1, 1),
        multiplier=multiplier(row.base_asset),
        status=status,
        api_tradable=None if allowed is None else allowed and "SPOT" in row.permissions,
        maker=_checked(row.maker_commission, signed=True),
        taker=_checked(row.taker_commission, signed=True),
        ts=ts,
    )


def _futures_instrument(row: _Contract, ts: int) -> Instrument:
    kind = _contract_kind(row)
    # Contracts of other kinds are counted in another currency: their size in base units depends on the price.
    size = _checked(row.contract_size) if kind == "linear" else None
    hidden = row.is_hidden is True
    largest = row.limit_max_vol or row.max_vol
    return Instrument(
        venue=_VENUE,
        symbol=f"{row.base_coin}/{row.quote_coin}:{row.settle_coin}" if kind != "dated" else row.symbol,
        raw_symbol=row.symbol,
        market="futures",
        base=row.base_coin,
        quote=row.quote_coin,
        settle=row.settle_coin,
        kind=kind,
        tick=_checked(row.price_unit),
        step=_base_units(row.vol_unit, size),
        min_size=_base_units(row.min_vol, size),
        max_size=_base_units(largest, size),
        min_notional=None,
        contract_size=None if size is None else size.as_integer_ratio(),
        multiplier=multiplier(row.base_coin),
        status=FUTURES_STATUS.get(row.state, "halted"),
        api_tradable=None if row.api_allowed is None else row.api_allowed and not hidden,
        maker=_checked(row.maker_fee_rate, signed=True),
        taker=_checked(row.taker_fee_rate, signed=True),
        ts=ts,
    )


def _contract_kind(row: _Contract) -> InstrumentKind:
    if row.future_type != 1:
        return "dated"
    if row.settle_coin == row.quote_coin:
        return "linear"
    return "inverse" if row.settle_coin == row.base_coin else "other"


def _base_units(contracts: Decimal | None, size: Decimal | None) -> Decimal | None:
    return None if contracts is None or size is None else _checked(contracts * size)


CATALOGUE_DATE: Final = "2026-11"
"""When the catalogue was put together. A list from the venue always wins over it."""

_CATALOGUED_SPOT: Final = (
    # base, quote, decimals of the price, decimals of the size: None where no page that we keep states them
    ("BTC", "USDT", 2, 8),
    ("BTC", "USDC", None, None),
    ("ETH", "USDT", None, None),
    ("ETH", "BTC", None, None),
    ("SOL", "USDT", None, None),
    ("XRP", "USDT", None, None),
    ("DOGE", "USDT", None, None),
    ("HYPE", "USDT", None, None),
    ("MX", "USDT", None, None),
    ("XEN", "USDT", None, None),
)
_CATALOGUED_FUTURES: Final = (
    # base, contract size, tick, largest order in contracts. Without a contract size, frames with sizes are refused:
    # a list from the venue is needed then.
    ("BTC", "0.0001", "0.1", 2_250_000),
    ("ETH", None, None, None),
    ("SOL", None, None, None),
    ("XRP", None, None, None),
    ("DOGE", None, None, None),
)


def _number(text: str | int | None) -> Decimal | None:
    return None if text is None else Decimal(text)


def _catalogue_spot() -> tuple[Instrument, ...]:
    return tuple(
        _spot_instrument(
            _SpotRow(
                symbol=base + quote,
                status="1",
                base_asset=base,
                quote_asset=quote,
                quote_asset_precision=price_places,
                base_asset_precision=size_places,
            ),
            0,
        )
        for base, quote, price_places, size_places in _CATALOGUED_SPOT
    )


def _catalogue_futures() -> tuple[Instrument, ...]:
    return tuple(
        _futures_instrument(
            _Contract(
                symbol=f"{base}_USDT",
                base_coin=base,
                quote_coin="USDT",
                settle_coin="USDT",
                contract_size=_number(size),
                price_unit=_number(tick),
                vol_unit=Decimal(1),
                min_vol=Decimal(1),
                max_vol=_number(largest),
                state=0,
            ),
            0,
        )
        for base, size, tick, largest in _CATALOGUED_FUTURES
    )


SPOT_CATALOGUE: Final = _catalogue_spot()
FUTURES_CATALOGUE: Final = _catalogue_futures()
