"""What the simulated USDⓈ-M market pushes about accounts.

Source: User Data Streams of the public documentation of USDⓈ-M futures, October 2026, and recordings of March 2026 for
the order of events around conditional orders.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from unitape.spi.simulated_accounts import (
    AccountEvent,
    BalanceChanged,
    OrderChanged,
    PositionChanged,
    SimFill,
    SimOrder,
    SimPosition,
)
from unitape.spi.simulation import Exchange, fixed
from unitape_binance.simulator_account_streams import Payload
from unitape_binance.simulator_algo_usdm import ALGO_WORD_OF, FIRST_ALGO, UsdmPrivateFace
from unitape_binance.simulator_orders_usdm import FIRST_ID, STATES, TIF_OF, WORD_OF
from unitape_binance.simulator_rules import MILLIS

__all__ = ["UsdmPushes"]

_EXECUTIONS: Final[Mapping[str, str]] = {"new": "NEW", "fill": "TRADE", "amend": "AMENDMENT", "trigger": "NEW"}
_EXPIRY: Final[Mapping[str, str]] = {"ioc": "2", "fok": "2", "market_remainder": "9", "reduce_only": "4"}
_REASONS: Final[Mapping[str, str]] = {"deposit": "DEPOSIT", "fill": "ORDER", "funding": "FUNDING_FEE"}


class _Change:
    """What becomes one ``ACCOUNT_UPDATE``."""

    def __init__(self) -> None:
        self.reason = ""
        self.ts = 0
        self.balances: dict[str, BalanceChanged] = {}
        self.positions: dict[tuple[str, str], SimPosition] = {}


class UsdmPushes:
    """Writes ``ORDER_TRADE_UPDATE``, ``TRADE_LITE``, ``ACCOUNT_UPDATE`` and ``ALGO_UPDATE``."""

    def __init__(self, exchange: Exchange, face: UsdmPrivateFace) -> None:
        self._exchange = exchange
        self._face = face
        self._spelling = face.spelling

    def write(self, user: str, events: Sequence[AccountEvent]) -> list[Payload]:
        """Return the wire's events, as they are sent."""
        found: list[Payload] = []
        change = _Change()
        for event in events:
            if isinstance(event, OrderChanged):
                change = self._account(user, found, change)
                self._order(found, event)
            elif isinstance(event, BalanceChanged) and event.cause != "order":
                if change.reason not in ("", _REASONS[event.cause]):
                    change = self._account(user, found, change)
                change.reason, change.ts = _REASONS[event.cause], event.ts
                change.balances[event.balance.currency] = event
            elif isinstance(event, PositionChanged):
                side = event.position.side.upper() if event.position.hedge else "BOTH"
                change.reason, change.ts = change.reason or "ORDER", event.ts
                change.positions[event.position.symbol, side] = event.position
        self._account(user, found, change)
        return found

    # Accounts --------------------------------------------------------------------------------------------------------

    def _account(self, user: str, found: list[Payload], change: _Change) -> _Change:
        """Write what has changed, if anything has; return an empty change to go on with."""
        if not change.reason:
            return change
        now, at = self._exchange.now // MILLIS, change.ts // MILLIS
        told: dict[str, object] = {
            "m": change.reason,
            "B": [self._wallet(user, event) for event in change.balances.values()],
            "P": [self._position(side, held) for (_, side), held in change.positions.items()],
        }
        found.append(lambda unit: {"e": "ACCOUNT_UPDATE", "E": now, "T": at, "a": told})
        return _Change()

    def _wallet(self, user: str, event: BalanceChanged) -> Mapping[str, object]:
        held = event.balance
        isolated = sum(
            position.margin_e8
            for position in self._exchange.accounts.positions(user)
            if position.margin_mode == "isolated"
        )
        return {
            "a": held.currency,
            "wb": fixed(held.total_e8, 8),
            "cw": fixed(held.total_e8 - isolated, 8),
            "bc": "0" if event.cause == "fill" else fixed(event.change_e8, 8),
        }

    def _position(self, side: str, held: SimPosition) -> Mapping[str, object]:
        spec = self._exchange.instrument(held.symbol)
        isolated = held.margin_e8 - held.unrealized_e8 if held.margin_mode == "isolated" and held.size else 0
        return {
            "s": self._spelling.raw_of[held.symbol],
            "pa": self._spelling.size(spec, held.size if held.side == "long" else -held.size),
            "ep": fixed(held.entry_e8, 8),
            "bep": fixed(held.entry_e8, 8),
            "cr": fixed(held.realized_e8, 8),
            "up": fixed(held.unrealized_e8, 8),
            "mt": held.margin_mode,
            "iw": fixed(isolated, 8) if isolated else "0",
            "ps": side,
        }

    # Orders ----------------------------------------------------------------------------------------------------------

    def _order(self, found: list[Payload], event: OrderChanged) -> None:
        order = event.order
        if order.trigger is not None:
            self._conditional(found, event)
            return
        parent = self._parent(order)
        if parent is not None and event.cause == "new":
            found.append(self._algo(parent, "TRIGGERING", event.ts))
        if event.fill is not None:
            found.append(self._lite(event, event.fill))
        found.append(self._update(event, parent))
        if parent is not None and not order.is_open:
            found.append(self._algo(parent, "FINISHED", event.ts, order))

    def _conditional(self, found: list[Payload], event: OrderChanged) -> None:
        order = event.order
        if event.cause == "trigger":
            found.append(self._algo(order, "TRIGGERED", event.ts, self._child(order)))
            return
        if order.status == "rejected":
            found.append(self._algo(order, "TRIGGERING", event.ts))
        found.append(self._algo(order, STATES[order.status], event.ts))

    def _parent(self, order: SimOrder) -> SimOrder | None:
        """Return the conditional order that sent this one."""
        if order.parent is None:
            return None
        return self._exchange.accounts.order(order.user, order.symbol, order_id=order.parent)

    def _child(self, order: SimOrder) -> SimOrder | None:
        if order.child is None:
            return None
        return self._exchange.accounts.order(order.user, order.symbol, order_id=order.child)

    def _lite(self, event: OrderChanged, fill: SimFill) -> Payload:
        order, spec = event.order, self._exchange.instrument(event.order.symbol)
        told: dict[str, object] = {
            "e": "TRADE_LITE",
            "E": self._exchange.now // MILLIS,
            "T": event.ts // MILLIS,
            "s": self._spelling.raw_of[order.symbol],
            "q": self._spelling.size(spec, order.size),
            "p": self._spelling.price(spec, order.price or 0),
            "m": fill.liquidity == "maker",
            "c": order.client_id,
            "S": order.side.upper(),
            "L": self._spelling.price(spec, fill.price),
            "l": self._spelling.size(spec, fill.size),
            "t": fill.id,
            "i": order.id + FIRST_ID,
        }
        return lambda unit: told

    def _update(self, event: OrderChanged, parent: SimOrder | None) -> Payload:
        order, fill, spelling = event.order, event.fill, self._spelling
        spec = self._exchange.instrument(order.symbol)
        state: dict[str, object] = {
            "s": spelling.raw_of[order.symbol],
            "c": order.client_id,
            "S": order.side.upper(),
            "o": WORD_OF[order.kind],
            "f": TIF_OF[order.tif or "gtc"],
            "q": spelling.size(spec, order.size),
            "p": spelling.price(spec, order.price or 0),
            "ap": fixed(spec.average_e8(order.amount, order.filled), 8) if order.filled else "0",
            "sp": "0",
            "x": _what(event),
            "X": STATES[order.status],
            "i": order.id + FIRST_ID,
            "l": "0" if fill is None else spelling.size(spec, fill.size),
            "z": spelling.size(spec, order.filled),
            "L": "0" if fill is None else spelling.price(spec, fill.price),
            "n": "0" if fill is None else fixed(fill.fee_e8, 8),
            "N": spec.settle if fill is None else fill.fee_currency,
            "T": event.ts // MILLIS,
            "t": 0 if fill is None else fill.id,
            "b": "0",
            "a": "0",
            "m": fill is not None and fill.liquidity == "maker",
            "R": order.reduce_only,
            "wt": "CONTRACT_PRICE",
            "ot": WORD_OF[order.kind],
            "ps": (order.position_side or "both").upper(),
            "cp": order.close_position,
            "rp": "0" if fill is None else fixed(fill.realized_e8, 8),
            "pP": False,
            "si": 0 if parent is None else parent.id + FIRST_ALGO,
            "ss": 0 if parent is None else -1,
            "V": "EXPIRE_MAKER",
            "pm": "NONE",
            "gtd": 0 if order.expires is None else order.expires // MILLIS,
            "er": _EXPIRY.get(order.reason, "0"),
        }
        if parent is not None:
            state["st"] = "ALGO_CONDITION"
        told = {
            "e": "ORDER_TRADE_UPDATE",
            "T": event.ts // MILLIS,
            "E": self._exchange.now // MILLIS,
            "o": state,
        }
        return lambda unit: told

    def _algo(self, order: SimOrder, status: str, ts: int, born: SimOrder | None = None) -> Payload:
        spec, spelling = self._exchange.instrument(order.symbol), self._spelling
        struck = status in ("TRIGGERING", "TRIGGERED", "FINISHED")
        state: dict[str, object] = {
            "caid": order.client_id,
            "aid": order.id + FIRST_ALGO,
            "at": "CONDITIONAL",
            "o": ALGO_WORD_OF[order.kind],
            "s": spelling.raw_of[order.symbol],
            "S": order.side.upper(),
            "ps": (order.position_side or "both").upper(),
            "f": TIF_OF[order.tif or "gtc"],
            "q": spelling.size(spec, order.size),
            "X": status,
            "ai": "" if born is None else str(born.id + FIRST_ID),
            "tp": spelling.price(spec, order.trigger or 0),
            "p": spelling.price(spec, order.price or 0),
            "V": "EXPIRE_MAKER",
            "wt": "MARK_PRICE" if order.trigger_by == "mark" else "CONTRACT_PRICE",
            "pm": "NONE",
            "cp": order.close_position,
            "pP": False,
            "R": order.reduce_only,
            "tt": (order.ts_triggered or ts) // MILLIS if struck else 0,
            "gtd": 0,
        }
        if born is not None:
            # When it is born nothing is filled yet, whatever has become of it by the time of writing.
            filled, amount = (born.filled, born.amount) if status == "FINISHED" else (0, 0)
            state |= {
                "aq": spelling.size(spec, filled) if filled else "0",
                "ap": fixed(spec.average_e8(amount, filled), 8) if filled else "0",
                "act": WORD_OF[born.kind],
            }
        if order.status == "rejected" and status == "REJECTED":
            state["rm"] = (order.refusal or "rejected").replace("_", " ")
        told = {"e": "ALGO_UPDATE", "T": ts // MILLIS, "E": self._exchange.now // MILLIS, "o": state}
        return lambda unit: told


def _what(event: OrderChanged) -> str:
    if event.cause != "end":
        return _EXECUTIONS[event.cause]
    return "CANCELED" if event.order.status == "canceled" else "EXPIRED"
