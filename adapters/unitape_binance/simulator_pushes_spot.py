"""What the simulated spot market pushes about accounts.

Source: User Data Streams of the public documentation of spot, July 2026.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from unitape.spi.simulated_accounts import AccountEvent, BalanceChanged, OrderChanged, SimBalance
from unitape.spi.simulation import Exchange, fixed
from unitape_binance.simulator_account_streams import Payload
from unitape_binance.simulator_orders_spot import FIRST_ID, SpotAccountFace

__all__ = ["SpotPushes"]

_EXECUTIONS: Final[Mapping[str, str]] = {"new": "NEW", "fill": "TRADE", "trigger": "NEW", "amend": "REPLACED"}
_ENDS: Final[Mapping[str, str]] = {"canceled": "CANCELED", "rejected": "REJECTED"}


class SpotPushes:
    """Writes ``executionReport``, ``outboundAccountPosition`` and ``balanceUpdate``."""

    def __init__(self, exchange: Exchange, face: SpotAccountFace) -> None:
        self._exchange = exchange
        self._face = face
        self._executions = 88_120_000_000

    def write(self, user: str, events: Sequence[AccountEvent]) -> list[Payload]:
        """Return the wire's events, as they are sent."""
        found: list[Payload] = []
        held: dict[str, SimBalance] = {}
        at = 0
        for event in events:
            if isinstance(event, BalanceChanged):
                if event.cause == "deposit":
                    found.append(self._deposit(event))
                held[event.balance.currency], at = event.balance, event.ts
            elif isinstance(event, OrderChanged):
                self._balances(found, held, at)
                found.append(self._report(event))
        self._balances(found, held, at)
        return found

    def _balances(self, found: list[Payload], held: dict[str, SimBalance], ts: int) -> None:
        if not held:
            return
        now = self._exchange.now
        rows = [
            {"a": name, "f": fixed(b.total_e8 - b.locked_e8, 8), "l": fixed(b.locked_e8, 8)} for name, b in held.items()
        ]
        held.clear()
        found.append(lambda unit: {"e": "outboundAccountPosition", "E": now // unit, "u": ts // unit, "B": rows})

    def _deposit(self, event: BalanceChanged) -> Payload:
        now, asset, change = self._exchange.now, event.balance.currency, fixed(event.change_e8, 8)
        return lambda unit: {"e": "balanceUpdate", "E": now // unit, "a": asset, "d": change, "T": event.ts // unit}

    def _report(self, event: OrderChanged) -> Payload:
        face, order, fill, now = self._face, event.order, event.fill, self._exchange.now
        spec = self._exchange.instrument(order.symbol)
        state = face.state(order)
        self._executions += 1
        execution = self._executions
        own, sent = self._names(event)
        zero = face.spelling.size(spec, 0)

        def payload(unit: int) -> Mapping[str, object]:
            report: dict[str, object] = {
                "e": "executionReport",
                "E": now // unit,
                "s": face.spelling.raw_of[order.symbol],
                "c": sent,
                "S": state["side"],
                "o": state["type"],
                "f": state["timeInForce"],
                "q": state["origQty"],
                "p": state["price"],
                "P": state.get("stopPrice", "0.00000000"),
                "F": "0.00000000",
                "g": -1,
                "C": own if own != sent else "",
                "x": _what(event),
                "X": state["status"],
                "r": "NONE" if order.refusal is None else "INSUFFICIENT_BALANCES",
                "i": order.id + FIRST_ID,
                "l": zero if fill is None else face.spelling.size(spec, fill.size),
                "z": state["executedQty"],
                "L": "0.00000000" if fill is None else face.spelling.price(spec, fill.price),
                "n": "0" if fill is None else fixed(fill.fee_e8, 8),
                "N": None if fill is None else fill.fee_currency,
                "T": event.ts // unit,
                "t": -1 if fill is None else fill.id,
                "I": execution,
                "w": order.status in ("open", "partially_filled"),
                "m": fill is not None and fill.liquidity == "maker",
                "M": fill is not None,
                "O": order.ts_created // unit,
                "Z": state["cummulativeQuoteQty"],
                "Y": "0.00000000" if fill is None else face.spelling.amount(spec, fill.price * fill.size),
                "Q": state["origQuoteOrderQty"],
                "V": state["selfTradePreventionMode"],
            }
            working = face.working(order, unit)
            return report if working < 0 else report | {"W": working}

        return payload

    def _names(self, event: OrderChanged) -> tuple[str, str]:
        """Return the client id that goes into ``C``, and the one for ``c``."""
        order, face = event.order, self._face
        own = face.name(order)
        if order.status == "canceled":
            return own, face.canceled_as.get(order.id, own)
        if event.cause == "amend":
            return face.name_before.get(order.id, own), own
        return own, own


def _what(event: OrderChanged) -> str:
    return _ENDS.get(event.order.status, "EXPIRED") if event.cause == "end" else _EXECUTIONS[event.cause]
