"""Instruments: the venue's two lists, what may be traded through its API, and a small catalogue for offline work."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable
from decimal import Decimal
from typing import Final

from msgspec import MsgspecError, Raw, Struct, structs
from msgspec import json as msgspec_json

from unitape.errors import WireError
from unitape_schemas import Instrument, InstrumentKind, InstrumentStatus
from unitape_weex.wire import VENUE, ContractInfo, ContractRow, SpotInfo, SpotRow, read

__all__ = [
    "CONTRACT_CATALOGUE",
    "SPOT_CATALOGUE",
    "owns_contract",
    "owns_spot",
    "read_api_symbols",
    "read_contracts",
    "read_spot",
    "with_api",
]

_SPOT_FORM: Final = re.compile(r"[^/:\s]+/[^/:\s]+")
_CONTRACT_FORM: Final = re.compile(r"[^/:\s]+/[^/:\s]+:[^/:\s]+")
_MULTIPLE: Final = re.compile(r"(10{3,})(?=[A-Z])")

_spot_info = msgspec_json.Decoder(SpotInfo, strict=False)
_contract_info = msgspec_json.Decoder(ContractInfo, strict=False)
_spot_row = msgspec_json.Decoder(SpotRow, strict=False)
_contract_row = msgspec_json.Decoder(ContractRow, strict=False)
_names = msgspec_json.Decoder(list[str])


class _Named(Struct, frozen=True):
    symbol: str


_named = msgspec_json.Decoder(_Named)


def owns_spot(symbol: str) -> bool:
    """Tell whether a unified symbol has the form ``BTC/USDT``."""
    return _SPOT_FORM.fullmatch(symbol) is not None


def owns_contract(symbol: str) -> bool:
    """Tell whether a unified symbol has the form ``BTC/USDT:USDT``."""
    return _CONTRACT_FORM.fullmatch(symbol) is not None


def read_spot(body: bytes, ts: int = 0) -> list[Instrument]:
    """Read ``GET /api/v3/exchangeInfo``; WireError when it is not one."""
    info = read(_spot_info, body, "list of spot instruments")
    return [_row(raw, _spot, "spot", ts) for raw in info.symbols]


def read_contracts(body: bytes, ts: int = 0) -> list[Instrument]:
    """Read ``GET /capi/v3/market/exchangeInfo``; WireError when it is not one."""
    info = read(_contract_info, body, "list of contracts")
    return [_row(raw, _contract, "contract", ts) for raw in info.symbols]


def read_api_symbols(body: bytes) -> frozenset[str]:
    """Read ``apiTradingSymbols``: the raw symbols that take orders by API."""
    names = read(_names, body, "list of symbols")
    return frozenset(names)


def with_api(instruments: Iterable[Instrument], symbols: Collection[str]) -> list[Instrument]:
    """Return the instruments with ``api_tradable`` as the venue's second list has it.

    The instrument lists themselves say at most that a symbol takes no orders at all.
    """
    return [
        structs.replace(row, api_tradable=row.raw_symbol in symbols and row.api_tradable is not False)
        for row in instruments
    ]


def _row(raw: Raw, make: Callable[[Raw, int], Instrument], market: str, ts: int) -> Instrument:
    """Read one row. One that has a name and is otherwise unreadable is listed, not tradable, under its raw name."""
    try:
        return make(raw, ts)
    except (MsgspecError, ValueError, ArithmeticError) as error:
        try:
            name = _named.decode(raw).symbol
        except MsgspecError:
            raise WireError(f"a row of the instrument list: {error}", bytes(raw), venue=VENUE) from None
        return _listed(name, market, ts)


def _spot(raw: Raw, ts: int) -> Instrument:
    row = _spot_row.decode(raw)
    status: InstrumentStatus = "trading" if row.status == "TRADING" and row.enable_trade else "halted"
    return Instrument(
        venue=VENUE,
        symbol=f"{row.base_asset}/{row.quote_asset}",
        raw_symbol=row.symbol,
        market="spot",
        base=row.base_asset,
        quote=row.quote_asset,
        settle=None,
        kind="spot",
        tick=_step(row.tick_size),
        step=_step(row.step_size),
        min_size=_amount(row.min_trade_amount),
        max_size=_amount(row.max_trade_amount),
        min_notional=None,
        contract_size=(1, 1),
        multiplier=_multiplier(row.base_asset),
        status=status,
        api_tradable=None if row.enable_trade else False,
        maker=_fee(row.maker_fee_rate),
        taker=_fee(row.taker_fee_rate),
        ts=ts,
    )


def _contract(raw: Raw, ts: int) -> Instrument:
    """Sizes of contracts are base units everywhere, so one contract is one base unit.

    The safe step is the larger of the precision's and ``contractVal``; precisions may be negative (-2: steps of 100).
    There is no status: what is listed trades.
    """
    row = _contract_row.decode(raw)
    step = Decimal(1).scaleb(-row.quantity_precision)
    if row.contract_val is not None:
        step = max(step, row.contract_val)
    kind: InstrumentKind = "linear" if row.forward_contract_flag else "inverse"
    if row.contract_type != "PERPETUAL":
        kind = "dated"
    return Instrument(
        venue=VENUE,
        symbol=f"{row.base_asset}/{row.quote_asset}:{row.margin_asset}",
        raw_symbol=row.symbol,
        market="contract",
        base=row.base_asset,
        quote=row.quote_asset,
        settle=row.margin_asset,
        kind=kind,
        tick=_step(Decimal(1).scaleb(-row.price_precision)),
        step=_step(step),
        min_size=_amount(row.min_order_size),
        max_size=_amount(row.max_order_size),
        min_notional=None,
        contract_size=(1, 1) if kind == "linear" else None,
        multiplier=_multiplier(row.base_asset),
        status="trading",
        api_tradable=None,
        maker=_fee(row.maker_fee_rate),
        taker=_fee(row.taker_fee_rate),
        ts=ts,
    )


def _listed(name: str, market: str, ts: int) -> Instrument:
    return Instrument(
        venue=VENUE,
        symbol=name,
        raw_symbol=name,
        market=market,
        base=name,
        quote="",
        settle=None,
        kind="other",
        tick=None,
        step=None,
        min_size=None,
        max_size=None,
        min_notional=None,
        contract_size=None,
        multiplier=1,
        status="halted",
        api_tradable=False,
        maker=None,
        taker=None,
        ts=ts,
    )


def _amount(value: Decimal | None) -> Decimal | None:
    """Return the amount without an exponent. Not finite or negative is an error; zero stands."""
    if value is None:
        return None
    if not value.is_finite() or value < 0 or value.adjusted() > 17:
        raise ValueError(f"{value} is no amount")
    return Decimal(f"{value:f}")


def _fee(value: Decimal | None) -> Decimal | None:
    """Return a fee rate, which may be negative."""
    if value is None:
        return None
    if not value.is_finite() or abs(value) >= 1:
        raise ValueError(f"{value} is no fee rate")
    return Decimal(f"{value:f}")


def _step(value: Decimal | None) -> Decimal | None:
    """Return a price or size step; 0 means that the venue names none."""
    amount = _amount(value)
    return amount or None


def _multiplier(base: str) -> int:
    found = _MULTIPLE.match(base)
    return int(found.group(1)) if found is not None else 1


_SEPTEMBER: Final = 1_788_220_800_000_000_000
"""2026-09-01: the catalogue's rows are what recordings and the venue's pages showed around then."""


def _catalogue(market: str, bases: dict[str, tuple[str | None, str | None]]) -> tuple[Instrument, ...]:
    perpetual = market == "contract"
    return tuple(
        Instrument(
            venue=VENUE,
            symbol=f"{base}/USDT:USDT" if perpetual else f"{base}/USDT",
            raw_symbol=f"{base}USDT",
            market=market,
            base=base,
            quote="USDT",
            settle="USDT" if perpetual else None,
            kind="linear" if perpetual else "spot",
            tick=None if tick is None else Decimal(tick),
            step=None if step is None else Decimal(step),
            min_size=None,
            max_size=None,
            min_notional=None,
            contract_size=(1, 1),
            multiplier=1,
            status="trading",
            api_tradable=None,
            maker=None,
            taker=None,
            ts=_SEPTEMBER,
        )
        for base, (tick, step) in bases.items()
    )


SPOT_CATALOGUE: Final = _catalogue(
    "spot",
    {
        "BTC": ("0.01", "0.000001"),
        "ETH": ("0.01", "0.00001"),
        "SOL": (None, None),
        "XRP": (None, None),
        "DOGE": (None, None),
        "BNB": (None, None),
        "ADA": (None, None),
        "LTC": (None, None),
    },
)
"""Base: tick and step as the recordings show them; None where they do not."""

CONTRACT_CATALOGUE: Final = _catalogue(
    "contract",
    {
        "BTC": ("0.1", "0.0001"),
        "ETH": ("0.01", "0.001"),
        "SOL": (None, "0.1"),
        "XRP": (None, "10"),
        "DOGE": (None, "100"),
        "BNB": (None, "0.1"),
        "ADA": (None, "10"),
        "LTC": (None, "0.1"),
    },
)
"""Base: tick as the recordings show it, step as the venue's refusals named it."""
