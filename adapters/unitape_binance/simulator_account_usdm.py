"""Balances, positions and settings of the simulated USDⓈ-M market.

Source: Account endpoints of the public REST documentation of USDⓈ-M futures, October 2026.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from unitape.spi.simulated_accounts import AccountRules, SimBalance, SimPosition, SimUser
from unitape.spi.simulation import Exchange, SimInstrument, fixed
from unitape_binance.simulator_private import PrivateEndpoint, PrivateFace, flat
from unitape_binance.simulator_rejects import refusal
from unitape_binance.simulator_rest import Json, Parameters
from unitape_binance.simulator_rules import MILLIS, Refusal, Spelling
from unitape_schemas import MarginMode

__all__ = ["USDM_RULES", "UsdmAccountFace"]

USDM_RULES: Final = AccountRules(
    maker_e8=20_000,
    taker_e8=50_000,
    max_market_lots=90_000_000,
    max_waiting=200,
    band_e8=(95_000_000, 105_000_000),
    triggered="new_order",
)

_E8: Final = 10**8
_MARGIN_MODES: Final[Mapping[str, MarginMode]] = {"CROSSED": "cross", "ISOLATED": "isolated"}
_DONE: Final[Mapping[str, Json]] = {"code": 200, "msg": "success"}


class UsdmAccountFace(PrivateFace):
    """Private endpoints of USDⓈ-M that concern the account."""

    def __init__(self, exchange: Exchange, spelling: Spelling, *, enforce_limits: bool) -> None:
        super().__init__(exchange, spelling, enforce_limits=enforce_limits)
        self._accounts.configure(USDM_RULES)
        self.endpoints = {
            ("GET", "/fapi/v3/balance"): PrivateEndpoint(self._balance, flat(5)),
            ("GET", "/fapi/v3/account"): PrivateEndpoint(self._account, flat(5)),
            ("GET", "/fapi/v3/positionRisk"): PrivateEndpoint(self._positions, flat(5)),
            ("GET", "/fapi/v1/accountConfig"): PrivateEndpoint(self._config, flat(5)),
            ("GET", "/fapi/v1/symbolConfig"): PrivateEndpoint(self._symbol_config, flat(5)),
            ("POST", "/fapi/v1/leverage"): PrivateEndpoint(self._set_leverage, flat(1), trades=True),
            ("POST", "/fapi/v1/marginType"): PrivateEndpoint(self._set_margin_type, flat(1), trades=True),
            ("POST", "/fapi/v1/positionSide/dual"): PrivateEndpoint(self._set_dual, flat(1), trades=True),
            ("GET", "/fapi/v1/positionSide/dual"): PrivateEndpoint(self._dual, flat(30)),
            ("GET", "/fapi/v1/rateLimit/order"): PrivateEndpoint(self._order_counts, flat(1)),
        }

    # Balances --------------------------------------------------------------------------------------------------------

    def _balance(self, user: SimUser, parameters: Parameters) -> Json:
        return [
            {
                "accountAlias": "SimU",
                "asset": held.currency,
                "balance": fixed(held.total_e8, 8),
                "crossWalletBalance": fixed(held.total_e8 - self._isolated(user, held), 8),
                "crossUnPnl": fixed(held.unrealized_e8 - held.isolated_unrealized_e8, 8),
                "availableBalance": fixed(held.free_e8, 8),
                "maxWithdrawAmount": fixed(min(held.free_e8, held.total_e8), 8),
                "marginAvailable": True,
                "updateTime": self._exchange.now // MILLIS,
            }
            for held in self._accounts.balances(user.name)
        ]

    def _isolated(self, user: SimUser, held: SimBalance) -> int:
        return sum(
            position.margin_e8
            for position in self._accounts.positions(user.name)
            if position.margin_mode == "isolated" and self._settled_in(position.symbol) == held.currency
        )

    def _settled_in(self, symbol: str) -> str:
        spec = self._exchange.instrument(symbol)
        return spec.settle or spec.quote

    def _account(self, user: SimUser, parameters: Parameters) -> Json:
        balances = self._accounts.balances(user.name)
        return {
            "totalWalletBalance": fixed(sum(held.total_e8 for held in balances), 8),
            "totalUnrealizedProfit": fixed(sum(held.unrealized_e8 for held in balances), 8),
            "totalMarginBalance": fixed(sum(held.equity_e8 for held in balances), 8),
            "availableBalance": fixed(sum(held.free_e8 for held in balances), 8),
            "assets": [
                {
                    "asset": held.currency,
                    "walletBalance": fixed(held.total_e8, 8),
                    "unrealizedProfit": fixed(held.unrealized_e8, 8),
                    "marginBalance": fixed(held.equity_e8, 8),
                    "initialMargin": fixed(held.margin_e8 + held.locked_e8, 8),
                    "positionInitialMargin": fixed(held.margin_e8, 8),
                    "openOrderInitialMargin": fixed(held.locked_e8, 8),
                    "availableBalance": fixed(held.free_e8, 8),
                    "maxWithdrawAmount": fixed(min(held.free_e8, held.total_e8), 8),
                    "updateTime": self._exchange.now // MILLIS,
                }
                for held in balances
            ],
            "positions": [
                {
                    "symbol": self.spelling.raw_of[position.symbol],
                    "positionSide": _side_of(position),
                    "positionAmt": self._amount(position),
                    "unrealizedProfit": fixed(position.unrealized_e8, 8),
                    "initialMargin": fixed(position.margin_e8, 8),
                    "updateTime": position.ts_updated // MILLIS,
                }
                for position in self._accounts.positions(user.name)
            ],
        }

    # Positions -------------------------------------------------------------------------------------------------------

    def _positions(self, user: SimUser, parameters: Parameters) -> Json:
        symbol = self._one(parameters)
        rows = [self._position_row(position) for position in self._accounts.positions(user.name, symbol)]
        held = {position.symbol for position in self._accounts.positions(user.name, symbol)}
        waiting = {order.symbol for order in self._accounts.open_orders(user.name, symbol)} - held
        return [*rows, *(self._empty_row(self._exchange.instrument(name)) for name in sorted(waiting))]

    def _amount(self, position: SimPosition) -> str:
        spec = self._exchange.instrument(position.symbol)
        return self.spelling.size(spec, position.size if position.side == "long" else -position.size)

    def _position_row(self, position: SimPosition) -> Json:
        spec = self._exchange.instrument(position.symbol)
        sign = 1 if position.side == "long" else -1
        notional = sign * (position.mark_e8 * spec.size_e8(position.size) // _E8)
        isolated = position.margin_e8 if position.margin_mode == "isolated" else 0
        return {
            "symbol": self.spelling.raw_of[position.symbol],
            "positionSide": _side_of(position),
            "positionAmt": self._amount(position),
            "entryPrice": fixed(position.entry_e8, 8),
            "breakEvenPrice": fixed(position.entry_e8, 8),
            "markPrice": fixed(position.mark_e8, 8),
            "unRealizedProfit": fixed(position.unrealized_e8, 8),
            "liquidationPrice": fixed(position.liquidation_e8 or 0, 8) if position.liquidation_e8 else "0",
            "isolatedMargin": fixed(isolated, 8) if isolated else "0",
            "notional": fixed(notional, 8),
            "marginAsset": spec.settle,
            "isolatedWallet": fixed(isolated - position.unrealized_e8, 8) if isolated else "0",
            "initialMargin": fixed(position.margin_e8, 8),
            "maintMargin": "0",
            "positionInitialMargin": fixed(position.margin_e8, 8),
            "openOrderInitialMargin": "0",
            "adl": 1,
            "bidNotional": "0",
            "askNotional": "0",
            "updateTime": position.ts_updated // MILLIS,
        }

    def _empty_row(self, spec: SimInstrument) -> Json:
        return {
            "symbol": self.spelling.raw_of[spec.symbol],
            "positionSide": "BOTH",
            "positionAmt": self.spelling.size(spec, 0),
            "entryPrice": "0.0",
            "markPrice": fixed(self._exchange.perpetual(spec.symbol).mark_e8, 8),
            "unRealizedProfit": "0.00000000",
            "liquidationPrice": "0",
            "isolatedMargin": "0",
            "notional": "0",
            "marginAsset": spec.settle,
            "positionInitialMargin": "0",
            "updateTime": 0,
        }

    # Settings --------------------------------------------------------------------------------------------------------

    def _config(self, user: SimUser, parameters: Parameters) -> Json:
        return {
            "feeTier": 0,
            "canTrade": "trade" in user.permissions,
            "canDeposit": True,
            "canWithdraw": "withdraw" in user.permissions,
            "dualSidePosition": self._accounts.position_mode(user.name) == "hedge",
            "updateTime": 0,
            "multiAssetsMargin": False,
            "tradeGroupId": -1,
        }

    def _symbol_config(self, user: SimUser, parameters: Parameters) -> Json:
        wanted = self._one(parameters)
        rows: list[Json] = []
        for spec in self._exchange.instruments:
            if wanted is None or spec.symbol == wanted:
                settings = self._accounts.settings(user.name, spec.symbol)
                rows.append(
                    {
                        "symbol": self.spelling.raw_of[spec.symbol],
                        "marginType": "ISOLATED" if settings.margin_mode == "isolated" else "CROSSED",
                        "isAutoAddMargin": False,
                        "leverage": settings.long_leverage,
                        "maxNotionalValue": "1000000",
                    }
                )
        return rows

    def _set_leverage(self, user: SimUser, parameters: Parameters) -> Json:
        spec = self._spec(parameters)
        parameters.required("leverage")
        leverage = parameters.number("leverage") or 0
        reject = self._accounts.set_leverage(user.name, spec.symbol, leverage)
        if reject is not None:
            raise refusal(reject.reason, linear=True)
        return {"leverage": leverage, "maxNotionalValue": "1000000", "symbol": self.spelling.raw_of[spec.symbol]}

    def _set_margin_type(self, user: SimUser, parameters: Parameters) -> Json:
        spec = self._spec(parameters)
        mode = _MARGIN_MODES.get(parameters.required("marginType"))
        if mode is None:
            raise Refusal(-1130, "Data sent for parameter 'marginType' is not valid.")
        reject = self._accounts.set_margin_mode(user.name, spec.symbol, mode)
        if reject is None:
            return _DONE
        if reject.reason == "unchanged":
            raise Refusal(-4046, "No need to change margin type.")
        if self._accounts.open_orders(user.name, spec.symbol):
            raise Refusal(-4047, "Margin type cannot be changed if there exists open orders.")
        raise Refusal(-4048, "Margin type cannot be changed if there exists position.")

    def _set_dual(self, user: SimUser, parameters: Parameters) -> Json:
        word = parameters.required("dualSidePosition").lower()
        if word not in {"true", "false"}:
            raise Refusal(-1130, "Data sent for parameter 'dualSidePosition' is not valid.")
        reject = self._accounts.set_position_mode(user.name, "hedge" if word == "true" else "one_way")
        if reject is None:
            return _DONE
        if reject.reason == "unchanged":
            raise Refusal(-4059, "No need to change position side.")
        if self._accounts.open_orders(user.name):
            raise Refusal(-4067, "Position side cannot be changed if there exists open orders.")
        raise Refusal(-4068, "Position side cannot be changed if there exists position.")

    def _dual(self, user: SimUser, parameters: Parameters) -> Json:
        return {"dualSidePosition": self._accounts.position_mode(user.name) == "hedge"}


def _side_of(position: SimPosition) -> str:
    return position.side.upper() if position.hedge else "BOTH"
