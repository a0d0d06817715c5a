"""Balances, positions and settings of an account, from the answers of both markets.

From "Account endpoints" of binance-spot-api-docs (2026-07) and "Account" of the USDⓈ-M futures (2026-10).
"""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Final

import msgspec
from msgspec import Meta, Struct

from unitape.errors import ConfigError
from unitape.spi import MILLISECOND, AccountFlags, PositionMode, Query, WireMillis
from unitape_binance.amounts import WireAmount, amount, positive
from unitape_binance.order_rows import position_side
from unitape_binance.private import PrivateQueries, success, unless_done
from unitape_binance.readers import VENUE_NAME, SymbolOf
from unitape_binance.words import MARGIN_WORDS
from unitape_schemas import Balance, MarginMode, Position

__all__ = [
    "UsdmAccount",
    "read_positions",
    "read_spot_balances",
    "read_spot_flags",
    "read_usdm_balances",
    "read_usdm_flags",
]

_ACCOUNT: Final = "/fapi/v3/account"
_POSITIONS: Final = "/fapi/v3/positionRisk"
_CONFIG: Final = "/fapi/v1/accountConfig"
_LEVERAGE: Final = "/fapi/v1/leverage"
_MARGIN_TYPE: Final = "/fapi/v1/marginType"
_DUAL: Final = "/fapi/v1/positionSide/dual"
_MOST_LEVERAGE: Final = 125

_ACCOUNT_ONLY: Final = "canTrade and canWithdraw are the account's; the rights of the key are not told here"
_MULTI_ASSETS: Final = "multi-assets margin is on: totals are in USD"

_Name = Annotated[str, Meta(min_length=1)]


class _SpotBalance(Struct, gc=False):
    asset: _Name
    free: WireAmount
    locked: WireAmount


class _SpotAccount(Struct, gc=False, rename="camel"):
    balances: tuple[_SpotBalance, ...]
    update_time: WireMillis = 0
    can_trade: bool | None = None
    can_withdraw: bool | None = None


class _Asset(Struct, gc=False, rename="camel"):
    """An asset of ``/fapi/v3/account``."""

    asset: _Name
    wallet_balance: WireAmount
    available_balance: WireAmount
    unrealized_profit: WireAmount
    margin_balance: WireAmount
    update_time: WireMillis = 0


class _Wallet(Struct, gc=False, rename="camel"):
    """A row of ``/fapi/v3/balance``, which tells of the profit of cross positions alone."""

    asset: _Name
    balance: WireAmount
    available_balance: WireAmount
    update_time: WireMillis = 0


class _UsdmAccount(Struct, gc=False):
    assets: tuple[_Asset, ...]


class _PositionRow(Struct, gc=False, rename="camel"):
    symbol: _Name
    position_amt: WireAmount
    position_side: str
    entry_price: WireAmount
    mark_price: WireAmount | None = None
    liquidation_price: WireAmount | None = None
    un_realized_profit: WireAmount | None = None
    # The WebSocket API spells it so.
    unrealized_profit: WireAmount | None = None
    isolated_margin: WireAmount | None = None
    position_initial_margin: WireAmount | None = None
    # Only the second version of the endpoint has these.
    leverage: WireAmount | None = None
    margin_type: str | None = None
    update_time: WireMillis = 0


class _Config(Struct, gc=False, rename="camel"):
    can_trade: bool | None = None
    can_withdraw: bool | None = None
    dual_side_position: bool | None = None
    multi_assets_margin: bool = False


class _Leverage(Struct, gc=False):
    symbol: _Name
    leverage: int


_spot_account = msgspec.json.Decoder(_SpotAccount, strict=False).decode
_usdm_balances = msgspec.json.Decoder(_UsdmAccount | tuple[_Wallet, ...], strict=False).decode
_positions = msgspec.json.Decoder(list[_PositionRow], strict=False).decode
_config = msgspec.json.Decoder(_Config, strict=False).decode
_leverage = msgspec.json.Decoder(_Leverage, strict=False).decode


def read_spot_balances(body: bytes, ts_recv: int) -> list[Balance]:
    """Read the balances of ``GET /api/v3/account``."""
    account = _spot_account(body)
    ts = account.update_time * MILLISECOND
    return [
        Balance(
            VENUE_NAME,
            "",
            ts,
            0,
            ts_recv,
            row.asset,
            amount(row.free),
            amount(row.locked),
            amount(row.free) + amount(row.locked),
            "spot",
        )
        for row in account.balances
    ]


def read_spot_flags(body: bytes, ts_recv: int) -> AccountFlags:
    """Read what the account may do from ``GET /api/v3/account``."""
    account = _spot_account(body)
    return AccountFlags(can_trade=account.can_trade, can_withdraw=account.can_withdraw, note=_ACCOUNT_ONLY)


def read_usdm_balances(body: bytes, ts_recv: int) -> list[Balance]:
    """Read ``GET /fapi/v3/account``, or ``/fapi/v3/balance``, which knows neither equity nor profit of all positions.

    ``total`` is the wallet, ``free`` what is free for new positions; what orders hold is not told by asset.
    """
    answer = _usdm_balances(body)
    if isinstance(answer, _UsdmAccount):
        return [
            _margin_balance(
                row.asset,
                row.wallet_balance,
                row.available_balance,
                row.update_time,
                ts_recv,
                amount(row.margin_balance),
                amount(row.unrealized_profit),
            )
            for row in answer.assets
        ]
    return [_margin_balance(row.asset, row.balance, row.available_balance, row.update_time, ts_recv) for row in answer]


def _margin_balance(
    asset: str,
    wallet: str,
    available: str,
    update_time: int,
    ts_recv: int,
    equity: Decimal | None = None,
    unrealized: Decimal | None = None,
) -> Balance:
    free = amount(available)
    return Balance(
        VENUE_NAME,
        "",
        update_time * MILLISECOND,
        0,
        ts_recv,
        asset,
        free,
        None,
        amount(wallet),
        "usdm",
        equity,
        free,
        unrealized,
    )


def read_positions(body: bytes, symbol_of: SymbolOf, ts_recv: int) -> list[Position]:
    """Read the open positions of ``GET /fapi/v3/positionRisk``; rows of open orders without a position say nothing.

    The third version does not name the margin mode: a position that holds isolated margin is isolated, another cross.
    """
    return [_position(row, symbol_of, ts_recv) for row in _positions(body) if Decimal(row.position_amt)]


def _position(row: _PositionRow, symbol_of: SymbolOf, ts_recv: int) -> Position:
    signed = Decimal(row.position_amt)
    isolated = positive(row.isolated_margin)
    mode: MarginMode = "cross" if isolated is None else "isolated"
    if row.margin_type is not None:
        mode = "isolated" if row.margin_type.lower() == "isolated" else "cross"
    profit = row.un_realized_profit or row.unrealized_profit
    held = row.isolated_margin if mode == "isolated" else row.position_initial_margin
    return Position(
        venue=VENUE_NAME,
        symbol=symbol_of(row.symbol),
        ts_event=row.update_time * MILLISECOND,
        ts_sent=0,
        ts_recv=ts_recv,
        side=position_side(row.position_side) or ("long" if signed > 0 else "short"),
        size=abs(signed),
        entry=positive(row.entry_price),
        mark=positive(row.mark_price),
        liquidation=positive(row.liquidation_price),
        unrealized_pnl=None if profit is None else amount(profit),
        leverage=positive(row.leverage),
        margin_mode=mode,
        margin=None if held is None else amount(held),
    )


def read_usdm_flags(body: bytes, ts_recv: int) -> AccountFlags:
    """Read ``GET /fapi/v1/accountConfig``."""
    config = _config(body)
    dual = config.dual_side_position
    mode: PositionMode | None = None if dual is None else "hedge" if dual else "one_way"
    note = f"{_ACCOUNT_ONLY}; {_MULTI_ASSETS}" if config.multi_assets_margin else _ACCOUNT_ONLY
    return AccountFlags(config.can_trade, config.can_withdraw, None, mode, note)


class UsdmAccount(PrivateQueries):
    """The part of USDⓈ-M trading that concerns the account."""

    def balances(self) -> Query[list[Balance]]:
        """Ask for every asset of the margin account."""
        return self._ask("balances", "GET", _ACCOUNT, {}, read_usdm_balances, weight=5)

    def positions(self, symbol: str | None = None) -> Query[list[Position]]:
        """Ask for open positions."""
        parameters = {"symbol": None if symbol is None else self._raw(symbol)}

        def read(body: bytes, ts_recv: int) -> list[Position]:
            return read_positions(body, self._symbol_of, ts_recv)

        return self._ask("positions", "GET", _POSITIONS, parameters, read, weight=5)

    def account_flags(self) -> Query[AccountFlags]:
        """Ask what the account may do, and its position mode."""
        return self._ask("account_flags", "GET", _CONFIG, {}, read_usdm_flags, weight=5)

    def set_leverage(self, symbol: str, leverage: int) -> Query[None]:
        """Set the leverage of a symbol, 1 to 125; each symbol has its own bound."""
        if not 1 <= leverage <= _MOST_LEVERAGE:
            raise ConfigError(f"leverage {leverage} is not between 1 and {_MOST_LEVERAGE}")
        parameters: dict[str, str | int | None] = {"symbol": self._raw(symbol), "leverage": leverage}

        def read(body: bytes, ts_recv: int) -> None:
            answer = _leverage(body)
            if answer.leverage != leverage:
                raise msgspec.ValidationError(f"leverage {leverage} was asked for, {answer.leverage} is set")

        return self._ask("set_leverage", "POST", _LEVERAGE, parameters, read)

    def set_margin_mode(self, symbol: str, mode: MarginMode) -> Query[None]:
        """Set the margin mode of a symbol; already set counts as success."""
        parameters = {"symbol": self._raw(symbol), "marginType": MARGIN_WORDS[mode]}
        return unless_done(self._ask("set_margin_mode", "POST", _MARGIN_TYPE, parameters, success))

    def set_position_mode(self, mode: PositionMode) -> Query[None]:
        """Set the position mode of the account, COIN-M included; already set counts as success."""
        parameters = {"dualSidePosition": "true" if mode == "hedge" else "false"}
        return unless_done(self._ask("set_position_mode", "POST", _DUAL, parameters, success))
