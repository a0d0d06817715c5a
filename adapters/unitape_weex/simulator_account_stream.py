"""What the private sockets of the simulated WEEX markets push: what happened to an account, in the venue's words.

Source: "Private channels" of API documentation V3, 2026-07, and recorded messages. A message tells one thing. All that
comes of one change to an order carries one version, so that several messages of a channel may share it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from unitape.spi.simulated_accounts import (
    AccountEvent,
    BalanceChanged,
    FillMade,
    OrderChanged,
    PositionChanged,
    SimBalance,
    SimFill,
    SimOrder,
    SimPosition,
)
from unitape.spi.simulation import Exchange, fixed
from unitape_weex.simulator_account_contract import ContractAccountFace
from unitape_weex.simulator_orders import KIND_WORDS, STATES, TIF_WORDS, OrdersFace, Row
from unitape_weex.simulator_rules import MILLIS, encode

__all__ = ["CHANNELS", "AccountPushes"]

CHANNELS: Final[Mapping[bool, frozenset[str]]] = {
    False: frozenset({"orders", "fill", "account"}),
    True: frozenset({"orders", "fill", "account", "positions"}),
}
"""Channels of spot, and of contracts."""

_FIRST_VERSION: Final = 1_000
_NEVER: Final = "UNKNOWN_ORDER_CANCEL_REASON"
_SUMS: Final = (
    "cumTransferInAmount", "cumTransferOutAmount", "cumMarginMoveInAmount", "cumMarginMoveOutAmount",
    "cumPositionOpenLongAmount", "cumPositionOpenShortAmount", "cumPositionCloseLongAmount",
    "cumPositionCloseShortAmount", "cumPositionFillFeeAmount", "cumPositionLiquidateFeeAmount",
    "cumPositionFundingAmount", "cumOrderFillFeeIncomeAmount", "cumOrderLiquidateFeeIncomeAmount",
)  # fmt: skip
_POSITION_SUMS: Final = (
    "cumOpenSize", "cumOpenValue", "cumOpenFee", "cumCloseSize", "cumCloseValue", "cumCloseFee", "cumFundingFee",
    "cumLiquidateFee",
)  # fmt: skip
"""Sums that are not kept here: 0 throughout."""
_CAUSES: Final = {"deposit": "DepositUpdate", "funding": "PositionFundingSettle"}


class AccountPushes:
    """One user's journal as messages. ``read`` returns what is new since the last time."""

    def __init__(self, exchange: Exchange, face: OrdersFace, user: str, *, linear: bool) -> None:
        self._exchange = exchange
        self._accounts = exchange.accounts
        self._face = face
        self._user = user
        self._linear = linear
        self._cursor = exchange.accounts.cursor(user)
        self._version = _FIRST_VERSION + self._cursor

    def read(self) -> list[tuple[str, bytes]]:
        """Return (channel, message), oldest first."""
        events = self._accounts.events(self._user, self._cursor)
        messages: list[tuple[str, bytes]] = []
        for place, event in enumerate(events, self._cursor):
            starts = isinstance(event, OrderChanged) or (
                isinstance(event, BalanceChanged) and event.cause in ("deposit", "funding")
            )
            if starts:
                self._version = _FIRST_VERSION + place + 1
            channel, row = self._row(event)
            if channel in CHANNELS[self._linear]:
                cause = _CAUSES.get(event.cause, "OrderUpdate") if isinstance(event, BalanceChanged) else "OrderUpdate"
                head: Row = {"e": channel, "E": self._exchange.now // MILLIS, "v": self._version, "msgEvent": cause}
                messages.append((channel, encode({**head, "d": [row]})))
        self._cursor += len(events)
        return messages

    def _row(self, event: AccountEvent) -> tuple[str, Row]:
        match event:
            case OrderChanged(order=order):
                return "orders", self._order(order, fresh=event.cause == "new")
            case FillMade(fill=fill):
                return "fill", self._fill(fill)
            case BalanceChanged(balance=balance, ts=ts):
                return "account", self._margin(balance, ts) if self._linear else _balance(balance)
            case PositionChanged(position=position):
                return "positions", self._position(position)

    # Orders and executions -------------------------------------------------------------------------------------------

    def _order(self, order: SimOrder, *, fresh: bool) -> Row:
        spec = self._exchange.instrument(order.symbol)
        status = STATES[order.status]
        if self._linear and order.status == "partially_filled":
            status = "NEW"
        fills = self._fills_of(order)
        prices = [fill.price for fill in fills]
        row: Row = {
            "id": str(self._face.order_id(order)),
            "symbol": spec.base + spec.quote,
            **(self._contract_part(order) if self._linear else {"baseCoin": spec.base, "quoteCoin": spec.quote}),
            "orderSide": order.side.upper(),
            "price": "0" if order.price is None else spec.price_text(order.price),
            "size": spec.size_text(order.size),
            "clientOrderId": order.client_id or "",
            "type": KIND_WORDS[order.kind],
            "timeInForce": "IOC" if order.price is None else TIF_WORDS.get(order.tif, "GTC"),
            "reduceOnly": order.reduce_only or order.close_position,
            "triggerPrice": "0" if order.trigger is None else spec.price_text(order.trigger),
            "orderSource": "API",
            "openTpslParentOrderId": "0",
            "setOpenTp": order.take_profit is not None,
            "setOpenSl": order.stop_loss is not None,
            "takerFeeRate": fixed(self._accounts.rules.taker_e8, 8),
            "makerFeeRate": fixed(self._accounts.rules.maker_e8, 8),
            "feeDiscount": "1",
            "status": "PENDING" if fresh and status == "NEW" else status,
            "triggerTime": str(order.ts_triggered // MILLIS),
            "triggerPriceTime": str(order.ts_triggered // MILLIS),
            "triggerPriceValue": "0",
            "cancelReason": "CANCELED_BY_USER" if order.status == "canceled" else _NEVER,
            "latestFillPrice": spec.price_text(prices[-1]) if prices else "0",
            "maxFillPrice": spec.price_text(max(prices)) if prices else "0",
            "minFillPrice": spec.price_text(min(prices)) if prices else "0",
            "cumFillSize": spec.size_text(order.filled),
            "cumFillValue": spec.notional_text(order.amount),
            "cumFillFee": fixed(sum(fill.fee_e8 for fill in fills), 8),
            "createdTime": str(order.ts_created // MILLIS),
            "updatedTime": str(order.ts_updated // MILLIS),
        }
        if self._linear:
            profit = fixed(sum(fill.realized_e8 for fill in fills), 8)
            return {**row, "liquidateFeeRate": "0.01", "cumLiquidateFee": "0", "cumRealizePnl": profit}
        return {**row, "value": "0", "takerFeeDiscount": "1", "makerFeeDiscount": "1"}

    def _fills_of(self, order: SimOrder) -> list[SimFill]:
        """Return the executions that this state of the order knows of; there may be later ones by now."""
        found: list[SimFill] = []
        left = order.filled
        if left:
            for fill in self._accounts.fills(self._user, order.symbol, order_id=order.id):
                if left <= 0:
                    break
                found.append(fill)
                left -= fill.size
        return found

    def _contract_part(self, order: SimOrder) -> Row:
        spec = self._exchange.instrument(order.symbol)
        by = "MARK_PRICE" if order.trigger_by == "mark" else "CONTRACT_PRICE"
        side = order.position_side
        if side is None:
            side = "long" if (order.side == "buy") != order.reduce_only else "short"
        return {
            "coin": spec.settle,
            "marginMode": "CROSSED",
            "separatedMode": "COMBINED",
            "separatedOpenOrderId": "0",
            "positionSide": side.upper(),
            "triggerPriceType": by,
            "positionTpsl": order.close_position,
            "leverage": str(self._accounts.settings(self._user, order.symbol).long_leverage),
        }

    def _fill(self, fill: SimFill) -> Row:
        spec = self._exchange.instrument(fill.symbol)
        row: Row = {
            "id": str(self._face.trade_id(fill)),
            "symbol": spec.base + spec.quote,
            "orderId": str(self._face.order_of(fill)),
            "orderSide": fill.side.upper(),
            "fillSize": spec.size_text(fill.size),
            "fillValue": spec.notional_text(fill.price * fill.size),
            "fillFee": fixed(fill.fee_e8, 8),
            "direction": fill.liquidity.upper(),
            "createdTime": str(fill.ts // MILLIS),
            "updatedTime": str(fill.ts // MILLIS),
        }
        if not self._linear:
            return {**row, "baseCoin": spec.base, "quoteCoin": spec.quote}
        side = fill.position_side or ("long" if fill.side == "buy" else "short")
        return {
            **row,
            "coin": spec.settle,
            "marginMode": "CROSSED",
            "separatedMode": "COMBINED",
            "separatedOpenOrderId": "0",
            "positionSide": side.upper(),
            "liquidateFee": "0",
            "realizePnl": fixed(fill.realized_e8, 8),
        }

    # The account -----------------------------------------------------------------------------------------------------

    def _margin(self, balance: SimBalance, ts: int) -> Row:
        total = fixed(balance.total_e8, 8)
        return {
            "coin": balance.currency,
            "marginMode": "CROSSED",
            "crossSymbol": "",
            "isolatedPositionId": "0",
            "amount": total,
            "pendingDepositAmount": "0",
            "pendingWithdrawAmount": "0",
            "pendingTransferInAmount": "0",
            "pendingTransferOutAmount": "0",
            "liquidating": False,
            "legacyAmount": total,
            "cumDepositAmount": "0",
            "cumWithdrawAmount": "0",
            **dict.fromkeys(_SUMS, "0"),
            "createdTime": str(ts // MILLIS),
            "updatedTime": str(ts // MILLIS),
        }

    def _position(self, position: SimPosition) -> Row:
        spec = self._exchange.instrument(position.symbol)
        isolated = position.margin_mode == "isolated"
        return {
            "id": str(ContractAccountFace.position_id(position)),
            "coin": spec.settle,
            "symbol": spec.base + spec.quote,
            "side": position.side.upper(),
            "marginMode": "ISOLATED" if isolated else "CROSSED",
            "separatedMode": "COMBINED",
            "separatedOpenOrderId": "0",
            "leverage": str(position.leverage),
            "size": spec.size_text(position.size),
            "openValue": fixed(position.cost_e8, 8),
            "openFee": "0",
            "fundingFee": "0",
            "isolatedMargin": fixed(position.margin_e8, 8) if isolated else "0",
            "autoAppendIsolatedMargin": False,
            **dict.fromkeys(_POSITION_SUMS, "0"),
            "createdMatchSequenceId": str(position.ts_opened),
            "updatedMatchSequenceId": str(position.ts_updated),
            "createdTime": str(position.ts_opened // MILLIS),
            "updatedTime": str(position.ts_updated // MILLIS),
        }


def _balance(balance: SimBalance) -> Row:
    return {
        "coin": balance.currency,
        "equity": fixed(balance.total_e8, 8),
        "available": fixed(balance.free_e8, 8),
        "frozen": fixed(balance.locked_e8, 8),
    }
