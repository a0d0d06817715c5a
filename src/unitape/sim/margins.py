"""Initial margin, free funds and liquidation prices of perpetual accounts, and balances of both kinds of market.

An order holds the initial margin of what it would open; what it would close of a position of its symbol holds none,
the orders that would be filled first counted first. A position holds its cost divided by its leverage.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from unitape.sim.account import Account, LiveOrder
from unitape.sim.floor import Floor
from unitape.sim.positions import HeldPosition
from unitape.spi.simulated_accounts import AccountRules, SimBalance, SimPosition, SymbolSettings
from unitape.spi.simulation import Side, SimInstrument
from unitape_schemas import PositionSide

__all__ = ["Margins", "Prospect", "queue_key"]

_E8: Final = 10**8


class Prospect(NamedTuple):
    """An order that rests or might: what its margin depends on."""

    side: Side
    price: int
    left: int
    closes: bool
    position_side: PositionSide | None


def queue_key(order: LiveOrder) -> tuple[int, int]:
    """Sort a user's resting orders of one side as the market fills them."""
    price = order.state.price or 0
    return (-price if order.state.side == "buy" else price, order.engine_id or 0)


class Margins:
    """What the accounts of one market hold and have free. ``rules`` may be replaced."""

    def __init__(self, floor: Floor, rules: AccountRules) -> None:
        self._floor = floor
        self.rules = rules

    def settings(self, account: Account, symbol: str) -> SymbolSettings:
        """Return leverage and margin mode of a symbol."""
        found = account.settings.get(symbol)
        if found is None:
            rules = self.rules
            found = SymbolSettings(rules.default_leverage, rules.default_leverage, rules.default_margin_mode)
        return found

    def leverage(self, account: Account, symbol: str, side: PositionSide) -> int:
        """Return the leverage of one side of a symbol."""
        settings = self.settings(account, symbol)
        return settings.long_leverage if side == "long" else settings.short_leverage

    def fee(self, notional: int, rate_e8: int) -> int:
        """Return the fee of an amount, rounded up; negative for a rebate."""
        return -(-notional * rate_e8 // _E8)

    def needed(self, account: Account, spec: SimInstrument, order: Prospect) -> int:
        """Return how much more margin open orders would hold with one more."""
        return self._of_orders(account, spec, order) - self._of_orders(account, spec, None)

    def balance(self, account: Account, currency: str) -> SimBalance:
        """Return what an account has of a currency."""
        total = account.totals.get(currency, 0)
        if not self._floor.linear:
            return SimBalance(currency, total, account.locked.get(currency, 0))
        locked = held = unrealized = isolated = 0
        for spec in self._used(account, currency):
            locked += self._of_orders(account, spec, None)
            mode = self.settings(account, spec.symbol).margin_mode
            for position in account.positions.all(spec.symbol):
                profit = position.unrealized(spec, self._floor.perpetual(spec.symbol).mark_e8)
                held += self._of_position(account, position)
                unrealized += profit
                isolated += profit if mode == "isolated" else 0
        return SimBalance(currency, total, locked, held, unrealized, isolated)

    def spare(self, account: Account, currency: str) -> int:
        """Return the margin that nothing holds; negative when open orders and positions hold more than there is."""
        balance = self.balance(account, currency)
        cross = balance.unrealized_e8 - balance.isolated_unrealized_e8
        return balance.total_e8 + cross - balance.locked_e8 - balance.margin_e8

    def position(self, account: Account, held: HeldPosition) -> SimPosition:
        """Return a position as users see it."""
        spec = self._floor.instrument(held.symbol)
        mark = self._floor.perpetual(held.symbol).mark_e8
        return SimPosition(
            user=account.user.name,
            symbol=held.symbol,
            id=held.id,
            side=held.side,
            hedge=held.hedge,
            size=held.size,
            entry_e8=held.entry,
            cost_e8=held.cost,
            mark_e8=mark,
            unrealized_e8=held.unrealized(spec, mark),
            realized_e8=held.realized,
            leverage=self.leverage(account, held.symbol, held.side),
            margin_mode=self.settings(account, held.symbol).margin_mode,
            margin_e8=self._of_position(account, held),
            liquidation_e8=self._liquidation(account, spec, held),
            ts_opened=held.ts_opened,
            ts_updated=held.ts_updated,
        )

    def _used(self, account: Account, currency: str) -> list[SimInstrument]:
        """Return the instruments of a settlement currency on which an account has orders or positions."""
        symbols = {order.state.symbol for order in account.open_orders()}
        symbols |= {position.symbol for position in account.positions.all()}
        specs = [self._floor.instrument(symbol) for symbol in sorted(symbols)]
        return [spec for spec in specs if spec.settle == currency]

    def _of_position(self, account: Account, held: HeldPosition) -> int:
        return -(-held.cost // self.leverage(account, held.symbol, held.side))

    def _of_orders(self, account: Account, spec: SimInstrument, extra: Prospect | None) -> int:
        resting = sorted((o for o in account.open_orders(spec.symbol) if o.state.status != "waiting"), key=queue_key)
        orders = [Prospect(o.state.side, o.state.price or 0, o.left, o.closes, o.state.position_side) for o in resting]
        if extra is not None:
            # What comes in behind all others at its price: the more expensive reading.
            orders.append(extra)
        uncovered: dict[Side, int] = {
            "buy": account.positions.closable(spec.symbol, "buy"),
            "sell": account.positions.closable(spec.symbol, "sell"),
        }
        total = 0
        for order in orders:
            opening = order.left
            if order.position_side is None:
                covered = min(uncovered[order.side], opening)
                uncovered[order.side] -= covered
                opening -= covered
            if opening and not order.closes:
                side: PositionSide = "long" if order.side == "buy" else "short"
                notional = spec.notional_e8(order.price * opening)
                total += -(-notional // self.leverage(account, spec.symbol, side))
        return total

    def _liquidation(self, account: Account, spec: SimInstrument, held: HeldPosition) -> int | None:
        if held.size == 0:
            return None
        if self.settings(account, held.symbol).margin_mode == "isolated":
            backing = self._of_position(account, held)
        else:
            balance = self.balance(account, spec.settle or spec.quote)
            profit = held.unrealized(spec, self._floor.perpetual(held.symbol).mark_e8)
            others = balance.margin_e8 - self._of_position(account, held)
            backing = balance.total_e8 + balance.unrealized_e8 - balance.isolated_unrealized_e8 - profit - others
        exhausted = held.cost - held.sign * backing
        kept = _E8 - held.sign * self.rules.maintenance_e8
        price = exhausted * _E8 * _E8 // (spec.size_e8(held.size) * kept)
        return price if price > 0 else None
