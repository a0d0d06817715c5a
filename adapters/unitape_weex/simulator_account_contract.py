"""Balances, positions and settings of the simulated contract market.

Source: account pages of the contract API documentation V3, 2026-07. The market keeps one leverage per side; here each
margin mode has its own, and the one in force is handed to it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from msgspec import Struct

from unitape.spi.simulated_accounts import SimPosition, SimReject, SimUser
from unitape.spi.simulation import Exchange, FaultSource, SimInstrument, fixed
from unitape_schemas import MarginMode, PositionSide
from unitape_weex.simulator_orders import OrdersFace, Row
from unitape_weex.simulator_private import Endpoint, Json, Parameters
from unitape_weex.simulator_rules import MILLIS, Refusal, Rules, Spelling

__all__ = ["ContractAccountFace"]

_MODES: Final[Mapping[str, MarginMode]] = {"CROSSED": "cross", "ISOLATED": "isolated"}
_MODE_WORDS: Final[Mapping[MarginMode, str]] = {mode: word for word, mode in _MODES.items()}
_SEPARATED: Final = {"COMBINED": True, "SEPARATED": False}
_POSITION_BASE: Final = 745_601_000_000_000_000


class _Leverages(Struct):
    cross: int
    long: int
    short: int


class ContractAccountFace(OrdersFace):
    """The private endpoints that concern the account."""

    def __init__(
        self, exchange: Exchange, rules: Rules, spelling: Spelling, faults: FaultSource, settings: Mapping[str, str]
    ) -> None:
        super().__init__(exchange, rules, spelling, faults, settings)
        self._leverages: dict[tuple[str, str], _Leverages] = {}
        self.endpoints = {
            ("GET", "/capi/v3/account/balance"): Endpoint(self._balance, 5),
            ("GET", "/capi/v3/account/accountConfig"): Endpoint(self._config, 5),
            ("GET", "/capi/v3/account/symbolConfig"): Endpoint(self._symbol_config, 5),
            ("GET", "/capi/v3/account/commissionRate"): Endpoint(self._commission, 5),
            ("GET", "/capi/v3/account/position/allPosition"): Endpoint(self._positions, 10),
            ("GET", "/capi/v3/account/position/singlePosition"): Endpoint(self._positions_of_one, 2),
            ("POST", "/capi/v3/account/leverage"): Endpoint(self._set_leverage, 10, trades=True, body=True),
            ("POST", "/capi/v3/account/marginType"): Endpoint(self._set_margin, 20, trades=True, body=True),
        }

    def _balance(self, user: SimUser, parameters: Parameters) -> Json:
        return [
            {
                "asset": row.currency,
                "balance": fixed(row.total_e8, 8),
                "availableBalance": fixed(row.free_e8, 8),
                "frozen": fixed(row.locked_e8, 8),
                "unrealizePnl": fixed(row.unrealized_e8, 8),
            }
            for row in self._accounts.balances(user.name)
        ]

    def _config(self, user: SimUser, parameters: Parameters) -> Json:
        return {
            "canTrade": "trade" in user.permissions,
            "canDeposit": True,
            "canWithdraw": "withdraw" in user.permissions,
            "dualSidePosition": self._accounts.position_mode(user.name) == "hedge",
            "updateTime": self._exchange.now // MILLIS,
        }

    def _symbol_config(self, user: SimUser, parameters: Parameters) -> Json:
        symbol = self._symbol(parameters)
        specs = self._exchange.instruments if symbol is None else [self._exchange.instrument(symbol)]
        return [{**self._leverage_row(user, spec), "separatedType": "COMBINED"} for spec in specs]

    def _commission(self, user: SimUser, parameters: Parameters) -> Json:
        rules = self._accounts.rules
        return {
            "symbol": self._raw(self._spec(parameters).symbol),
            "makerCommissionRate": fixed(rules.maker_e8, 8),
            "takerCommissionRate": fixed(rules.taker_e8, 8),
        }

    # Leverage and margin ---------------------------------------------------------------------------------------------

    def _kept(self, user: SimUser, symbol: str) -> _Leverages:
        settings = self._accounts.settings(user.name, symbol)
        fresh = _Leverages(settings.long_leverage, settings.long_leverage, settings.short_leverage)
        return self._leverages.setdefault((user.name, symbol), fresh)

    def _leverage_row(self, user: SimUser, spec: SimInstrument) -> Row:
        kept = self._kept(user, spec.symbol)
        return {
            "symbol": self._raw(spec.symbol),
            "marginType": _MODE_WORDS[self._accounts.settings(user.name, spec.symbol).margin_mode],
            "crossLeverage": str(kept.cross),
            "isolatedLongLeverage": str(kept.long),
            "isolatedShortLeverage": str(kept.short),
        }

    def _set_leverage(self, user: SimUser, parameters: Parameters) -> Json:
        spec = self._spec(parameters)
        kept = self._kept(user, spec.symbol)
        cross, long, short = (
            parameters.number(name) for name in ("crossLeverage", "isolatedLongLeverage", "isolatedShortLeverage")
        )
        if cross is None and long is None and short is None:
            raise Refusal(-1128, "No leverage is given.")
        self._undisturbed(user, spec)
        wanted = _Leverages(cross or kept.cross, long or kept.long, short or kept.short)
        if max(wanted.cross, wanted.long, wanted.short) > self._accounts.rules.max_leverage:
            raise self._refusal(SimReject("leverage"))
        self._put_in_force(user, spec, wanted)
        self._leverages[user.name, spec.symbol] = wanted
        return self._leverage_row(user, spec)

    def _put_in_force(self, user: SimUser, spec: SimInstrument, wanted: _Leverages) -> None:
        isolated = self._accounts.settings(user.name, spec.symbol).margin_mode == "isolated"
        sides: tuple[tuple[PositionSide, int], ...] = (
            ("long", wanted.long if isolated else wanted.cross),
            ("short", wanted.short if isolated else wanted.cross),
        )
        for side, leverage in sides:
            reject = self._accounts.set_leverage(user.name, spec.symbol, leverage, side)
            if reject is not None:
                raise self._refusal(reject)

    def _set_margin(self, user: SimUser, parameters: Parameters) -> Json:
        spec = self._spec(parameters)
        parameters.required("marginType")
        mode = _MODES[parameters.one_of("marginType", _MODES) or ""]
        if parameters.one_of("separatedType", _SEPARATED) == "SEPARATED":
            raise Refusal(-1142, "Parameter 'separatedType' is invalid.")
        kept = self._kept(user, spec.symbol)
        self._undisturbed(user, spec)
        reject = self._accounts.set_margin_mode(user.name, spec.symbol, mode)
        if reject is not None and reject.reason != "unchanged":
            raise self._refusal(reject)
        self._put_in_force(user, spec, kept)
        return {"code": "200", "msg": "success", "requestTime": self._exchange.now // MILLIS}

    def _undisturbed(self, user: SimUser, spec: SimInstrument) -> None:
        """Refuse changes while orders are open, those that wait for a trigger included."""
        if self._accounts.open_orders(user.name, spec.symbol):
            raise self._refusal(SimReject("in_use"))

    # Positions -------------------------------------------------------------------------------------------------------

    def _positions(self, user: SimUser, parameters: Parameters) -> Json:
        return [self._position(position) for position in self._accounts.positions(user.name)]

    def _positions_of_one(self, user: SimUser, parameters: Parameters) -> Json:
        symbol = self._spec(parameters).symbol
        return [self._position(position) for position in self._accounts.positions(user.name, symbol)]

    @staticmethod
    def position_id(position: SimPosition) -> int:
        """Return the venue's id of a position."""
        return _POSITION_BASE + position.id

    def _position(self, position: SimPosition) -> Row:
        spec = self._exchange.instrument(position.symbol)
        isolated = position.margin_mode == "isolated"
        return {
            "id": self.position_id(position),
            "asset": spec.settle,
            "symbol": self._raw(position.symbol),
            "side": position.side.upper(),
            "marginType": _MODE_WORDS[position.margin_mode],
            "separatedMode": "COMBINED",
            "separatedOpenOrderId": 0,
            "leverage": f"{position.leverage}.00",
            "size": spec.size_text(position.size),
            "openValue": fixed(position.cost_e8, 8),
            "openFee": "0",
            "fundingFee": "0",
            "marginSize": fixed(position.margin_e8, 8),
            "isolatedMargin": fixed(position.margin_e8, 8) if isolated else "0",
            "isAutoAppendIsolatedMargin": False,
            "createdTime": position.ts_opened // MILLIS,
            "updatedTime": position.ts_updated // MILLIS,
            "unrealizePnl": fixed(position.unrealized_e8, 8),
            "liquidatePrice": "0" if position.liquidation_e8 is None else fixed(position.liquidation_e8, 8),
        }
