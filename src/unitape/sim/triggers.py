"""Conditional orders that wait: which of them a price has struck."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from unitape.sim.account import LiveOrder
from unitape.spi.simulated_accounts import SimOrder, TriggerPrice
from unitape.spi.simulation import Side, SimInstrument
from unitape_schemas import OrderKind

__all__ = ["CONDITIONAL", "LIMITED", "WaitingOrders", "is_struck", "plain_kind"]

CONDITIONAL: Final[frozenset[OrderKind]] = frozenset({"stop", "stop_limit", "take_profit", "take_profit_limit"})
"""Kinds that wait for a trigger."""
LIMITED: Final[frozenset[OrderKind]] = frozenset({"limit", "stop_limit", "take_profit_limit"})
"""Kinds with a limit price."""
_RISING: Final[frozenset[tuple[OrderKind, Side]]] = frozenset(
    {("stop", "buy"), ("stop_limit", "buy"), ("take_profit", "sell"), ("take_profit_limit", "sell")}
)


def plain_kind(kind: OrderKind) -> OrderKind:
    """Return what an order of this kind is once its trigger has struck."""
    return "limit" if kind in LIMITED else "market"


def is_struck(kind: OrderKind, side: Side, trigger_e8: int, price_e8: int) -> bool:
    """Tell whether a price has reached a trigger."""
    return price_e8 >= trigger_e8 if (kind, side) in _RISING else price_e8 <= trigger_e8


class WaitingOrders:
    """The conditional orders of all users, by symbol."""

    def __init__(self) -> None:
        self._by_symbol: dict[str, dict[int, LiveOrder]] = {}

    def add(self, order: LiveOrder) -> None:
        """Let an order wait."""
        self._by_symbol.setdefault(order.state.symbol, {})[order.state.id] = order

    def remove(self, state: SimOrder) -> None:
        """Forget an order; one that does not wait is no error."""
        waiting = self._by_symbol.get(state.symbol, {})
        waiting.pop(state.id, None)
        if not waiting:
            self._by_symbol.pop(state.symbol, None)

    @property
    def symbols(self) -> list[str]:
        """Symbols on which somebody waits."""
        return list(self._by_symbol)

    def has(self, symbol: str) -> bool:
        """Tell whether somebody waits on a symbol."""
        return symbol in self._by_symbol

    def struck(self, spec: SimInstrument, prices_e8: Mapping[TriggerPrice, int]) -> Iterator[LiveOrder]:
        """Yield the orders that these prices strike, oldest first."""
        for order in list(self._by_symbol.get(spec.symbol, {}).values()):
            state = order.state
            if state.trigger is not None and is_struck(
                state.kind, state.side, spec.price_e8(state.trigger), prices_e8[state.trigger_by or "last"]
            ):
                yield order
