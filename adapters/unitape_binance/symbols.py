"""Instruments from the exchangeInfo of both markets, and a small catalogue for work without network.

Unified symbols: ``BASE/QUOTE`` spot, ``BASE/QUOTE:MARGIN`` perpetual, ``BASE/QUOTE:MARGIN-YYMMDD`` dated. They come
from the venue's own fields; nothing is split by suffix.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Annotated, Final

import msgspec
from msgspec import Meta, Struct

from unitape.errors import WireError
from unitape.spi import WireMillis
from unitape_binance.readers import DECODE_ERRORS, VENUE_NAME
from unitape_schemas import NUMBER_LIMIT, Instrument, InstrumentKind, InstrumentStatus

__all__ = [
    "CATALOGUE_DATE",
    "KNOWN_ASSETS",
    "SPOT_CATALOGUE",
    "SPOT_STATUS",
    "USDM_CATALOGUE",
    "USDM_STATUS",
    "multiplier",
    "owned_by_spot",
    "owned_by_usdm",
    "read_spot_instruments",
    "read_usdm_instruments",
]

SPOT_STATUS: Final[Mapping[str, InstrumentStatus]] = {
    "TRADING": "trading",
    "END_OF_DAY": "halted",
    "HALT": "halted",
    "BREAK": "halted",
    "CANCEL_ONLY": "halted",
    "PRE_TRADING": "pending",
}
"""binance-spot-api-docs: ENUM Definitions; 2026-07. An unlisted word blocks orders like HALT."""

USDM_STATUS: Final[Mapping[str, InstrumentStatus]] = {
    "TRADING": "trading",
    "PENDING_TRADING": "pending",
    "PRE_DELIVERING": "halted",
    "DELIVERING": "halted",
    "DELIVERED": "closed",
    "PRE_SETTLE": "halted",
    "SETTLING": "halted",
    "CLOSE": "closed",
}
"""USDⓈ-M futures: Common Definition; 2026-10. An unlisted word blocks orders like SETTLING."""

_PERPETUAL: Final = frozenset({"PERPETUAL", "TRADIFI_PERPETUAL", "PERPETUAL_DELIVERING"})
_MULTIPLIED: Final = re.compile(r"(1000000|1000|1M)(.+)")
_MULTIPLIERS: Final = {"1000": 1_000, "1000000": 1_000_000, "1M": 1_000_000}
_DATED: Final = re.compile(r".+_(\d{6})")

KNOWN_ASSETS: Final = frozenset(
    {
        "BABYDOGE",
        "BOB",
        "BONK",
        "BTTC",
        "CAT",
        "CHEEMS",
        "FLOKI",
        "LUNC",
        "MOG",
        "PEPE",
        "RATS",
        "SATS",
        "SHIB",
        "WHY",
        "X",
        "XEC",
    }
)
"""Assets that are quoted by the thousand or million somewhere; state of 2026. Other assets are known from the list."""


class _Filter(Struct, gc=False, rename="camel", tag_field=None):
    filter_type: str
    tick_size: str | None = None
    step_size: str | None = None
    min_qty: str | None = None
    max_qty: str | None = None
    min_notional: str | None = None
    notional: str | None = None


_Name = Annotated[str, Meta(min_length=1)]


class _SpotRow(Struct, gc=False, rename="camel"):
    symbol: _Name
    status: str
    base_asset: _Name
    quote_asset: _Name
    filters: tuple[_Filter, ...] = ()
    is_spot_trading_allowed: bool = True


class _UsdmRow(Struct, gc=False, rename="camel"):
    symbol: _Name
    base_asset: _Name
    quote_asset: _Name
    status: str = ""
    margin_asset: str = ""
    contract_type: str = ""
    delivery_date: WireMillis = 0
    filters: tuple[_Filter, ...] = ()


class _SpotInfo(Struct, gc=False):
    symbols: list[_SpotRow]


class _Asset(Struct, gc=False):
    asset: str


class _UsdmInfo(Struct, gc=False):
    symbols: list[_UsdmRow]
    assets: list[_Asset] = []


_spot_info = msgspec.json.Decoder(_SpotInfo, strict=False).decode
_usdm_info = msgspec.json.Decoder(_UsdmInfo, strict=False).decode


def owned_by_spot(symbol: str) -> bool:
    """Tell whether a unified symbol has the form ``BASE/QUOTE``."""
    base, slash, quote = symbol.partition("/")
    return bool(base and slash and quote) and ":" not in quote and "/" not in quote


def owned_by_usdm(symbol: str) -> bool:
    """Tell whether a unified symbol has the form ``BASE/QUOTE:MARGIN``, dated or not, margined in another asset."""
    base, slash, rest = symbol.partition("/")
    quote, colon, margin = rest.partition(":")
    asset = margin.partition("-")[0]
    return bool(base and slash and quote and colon and asset) and asset != base


def multiplier(asset: str, known: frozenset[str] | set[str]) -> int:
    """Return how many coins one unit of an asset stands for: 1000 for ``1000SHIB``, 1 for ``1INCH``.

    The rest after the number must be an asset that is known, either here or in ``known``.
    """
    match = _MULTIPLIED.fullmatch(asset)
    if match is None or not (match[2] in KNOWN_ASSETS or match[2] in known):
        return 1
    return _MULTIPLIERS[match[1]]


def read_spot_instruments(body: bytes, ts: int = 0) -> list[Instrument]:
    """Read the body of ``GET /api/v3/exchangeInfo``.

    Raises:
        WireError: it is not one.
    """
    try:
        rows = _spot_info(body).symbols
        known = {row.base_asset for row in rows} | {row.quote_asset for row in rows}
        return [_spot_instrument(row, known, ts) for row in rows]
    except (*DECODE_ERRORS, ValueError, InvalidOperation) as error:
        raise WireError(f"not a list of spot instruments: {error}", body, venue=VENUE_NAME) from error


def read_usdm_instruments(body: bytes, ts: int = 0) -> list[Instrument]:
    """Read the body of ``GET /fapi/v1/exchangeInfo``.

    Raises:
        WireError: it is not one.
    """
    try:
        info = _usdm_info(body)
        known = {row.base_asset for row in info.symbols} | {row.asset for row in info.assets}
        return [_usdm_instrument(row, known, ts) for row in info.symbols]
    except (*DECODE_ERRORS, ValueError, InvalidOperation) as error:
        raise WireError(f"not a list of USDⓈ-M instruments: {error}", body, venue=VENUE_NAME) from error


def _spot_instrument(row: _SpotRow, known: set[str], ts: int) -> Instrument:
    price, lot, notional = _filters(row.filters)
    return Instrument(
        venue=VENUE_NAME,
        symbol=f"{row.base_asset}/{row.quote_asset}",
        raw_symbol=row.symbol,
        market="spot",
        base=row.base_asset,
        quote=row.quote_asset,
        settle=None,
        kind="spot",
        tick=_step(price.tick_size),
        step=_step(lot.step_size),
        min_size=_step(lot.min_qty),
        max_size=_step(lot.max_qty),
        min_notional=_step(notional),
        contract_size=(1, 1),
        multiplier=multiplier(row.base_asset, known),
        status=SPOT_STATUS.get(row.status, "halted"),
        api_tradable=None if row.is_spot_trading_allowed else False,
        maker=None,
        taker=None,
        ts=ts,
    )


def _usdm_instrument(row: _UsdmRow, known: set[str], ts: int) -> Instrument:
    price, lot, notional = _filters(row.filters)
    symbol, kind = _usdm_symbol(row)
    return Instrument(
        venue=VENUE_NAME,
        symbol=symbol,
        raw_symbol=row.symbol,
        market="usdm",
        base=row.base_asset,
        quote=row.quote_asset,
        settle=row.margin_asset or None,
        kind=kind,
        tick=_step(price.tick_size),
        step=_step(lot.step_size),
        min_size=_step(lot.min_qty),
        max_size=_step(lot.max_qty),
        min_notional=_step(notional),
        contract_size=(1, 1),
        multiplier=multiplier(row.base_asset, known),
        status=USDM_STATUS.get(row.status, "halted"),
        api_tradable=None,
        maker=None,
        taker=None,
        ts=ts,
    )


def _usdm_symbol(row: _UsdmRow) -> tuple[str, InstrumentKind]:
    """Return the unified symbol and the kind. A contract of no known type keeps the venue's spelling."""
    if not row.margin_asset or not row.contract_type:
        return row.symbol, "other"
    name = f"{row.base_asset}/{row.quote_asset}:{row.margin_asset}"
    if row.contract_type in _PERPETUAL:
        return name, "inverse" if row.margin_asset == row.base_asset else "linear"
    match = _DATED.fullmatch(row.symbol)
    if match is not None:
        return f"{name}-{match[1]}", "dated"
    if row.delivery_date:
        date = datetime.fromtimestamp(row.delivery_date / 1000, UTC)
        return f"{name}-{date:%y%m%d}", "dated"
    return row.symbol, "other"


def _filters(filters: Iterable[_Filter]) -> tuple[_Filter, _Filter, str | None]:
    """Return the price filter, the lot filter and the smallest notional, whichever of its names it has."""
    by_type = {item.filter_type: item for item in filters}
    none = _Filter("")
    notional = by_type.get("NOTIONAL") or by_type.get("MIN_NOTIONAL") or none
    return (
        by_type.get("PRICE_FILTER", none),
        by_type.get("LOT_SIZE", none),
        notional.min_notional if notional.min_notional is not None else notional.notional,
    )


def _step(text: str | None) -> Decimal | None:
    """Return the number without trailing zeros; None where it is absent or 0, which disables a part of a filter."""
    if text is None:
        return None
    number = Decimal(text.rstrip("0").rstrip(".") if "." in text else text)
    if not number.is_finite() or number < 0 or number >= Decimal(NUMBER_LIMIT):
        raise ValueError(f"{text!r} is out of bounds")
    return number or None


CATALOGUE_DATE: Final = "2026-11"
"""When the catalogue was put together. A list from the venue always wins over it."""

_CATALOGUED_SPOT: Final = (
    # base, quote, tick, step, smallest and largest size, smallest notional
    ("BTC", "USDT", "0.01", "0.00001", "0.00001", "9000", "5"),
    ("ETH", "USDT", "0.01", "0.0001", "0.0001", "9000", "5"),
    ("BNB", "USDT", "0.01", "0.001", "0.001", "9000", "5"),
    ("SOL", "USDT", "0.01", "0.001", "0.001", "90000", "5"),
    ("XRP", "USDT", "0.0001", "0.1", "0.1", "922320", "5"),
    ("DOGE", "USDT", "0.00001", "1", "1", "9000000", "1"),
    ("ETH", "BTC", "0.00001", "0.0001", "0.0001", "100000", "0.0001"),
    ("BTC", "USDC", "0.01", "0.00001", "0.00001", "9000", "5"),
)
_CATALOGUED_USDM: Final = (
    ("BTC", "USDT", "0.1", "0.001", "0.001", "1000", "100"),
    ("ETH", "USDT", "0.01", "0.001", "0.001", "10000", "20"),
    ("BNB", "USDT", "0.01", "0.01", "0.01", "100000", "5"),
    ("SOL", "USDT", "0.01", "0.01", "0.01", "1000000", "5"),
    ("XRP", "USDT", "0.0001", "0.1", "0.1", "10000000", "5"),
    ("DOGE", "USDT", "0.00001", "1", "1", "50000000", "5"),
    ("1000SHIB", "USDT", "0.000001", "1", "1", "50000000", "5"),
    ("BTC", "USDC", "0.1", "0.001", "0.001", "1000", "100"),
)


def _catalogue(rows: Iterable[tuple[str, ...]], market: str) -> tuple[Instrument, ...]:
    spot = market == "spot"
    return tuple(
        Instrument(
            venue=VENUE_NAME,
            symbol=f"{base}/{quote}" if spot else f"{base}/{quote}:{quote}",
            raw_symbol=base + quote,
            market=market,
            base=base,
            quote=quote,
            settle=None if spot else quote,
            kind="spot" if spot else "linear",
            tick=Decimal(tick),
            step=Decimal(step),
            min_size=Decimal(smallest),
            max_size=Decimal(largest),
            min_notional=Decimal(notional),
            contract_size=(1, 1),
            multiplier=multiplier(base, KNOWN_ASSETS),
            status="trading",
            api_tradable=None,
            maker=None,
            taker=None,
            ts=0,
        )
        for base, quote, tick, step, smallest, largest, notional in rows
    )


SPOT_CATALOGUE: Final = _catalogue(_CATALOGUED_SPOT, "spot")
USDM_CATALOGUE: Final = _catalogue(_CATALOGUED_USDM, "usdm")
