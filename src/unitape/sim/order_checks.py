"""What a market refuses orders for, one function per reason, in the order in which they are asked."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeAlias

from unitape.sim.account import Account, LiveOrder
from unitape.sim.floor import Floor
from unitape.sim.margins import Margins, Prospect
from unitape.sim.triggers import CONDITIONAL, LIMITED, is_struck
from unitape.spi.simulated_accounts import AccountRules, RejectReason, SimOrderRequest, TriggerPrice
from unitape.spi.simulation import SimInstrument

__all__ = ["Draft", "refusal_of_arrival", "refusal_of_entry", "trigger_prices"]

_OPEN_ENDED: Final = ("gtc", "post_only", "gtd")
_E8: Final = 10**8


class Draft:
    """An order on its way in: the request, and what the checks make of it."""

    __slots__ = ("account", "existing", "floor", "margins", "request", "size", "spec")

    def __init__(
        self, account: Account, request: SimOrderRequest, floor: Floor, margins: Margins, spec: SimInstrument
    ) -> None:
        self.account = account
        self.request = request
        self.floor = floor
        self.margins = margins
        self.spec = spec
        self.size = request.size or 0
        """Lots; set by the checks where the request gives no size, or too large a one for what it closes."""
        self.existing: LiveOrder | None = None
        """The order whose client id this one repeats."""

    @property
    def rules(self) -> AccountRules:
        """What the market allows."""
        return self.margins.rules

    @property
    def waits(self) -> bool:
        """True when it waits for a trigger first."""
        return self.request.kind in CONDITIONAL

    @property
    def closes(self) -> bool:
        """True when it can only reduce a position."""
        request = self.request
        hedge_close = (request.side, request.position_side) in (("sell", "long"), ("buy", "short"))
        return request.reduce_only or request.close_position or hedge_close

    def waiting_lock(self) -> tuple[str, int]:
        """Return (currency, amount) that is held while it waits: what its limit or else its trigger would cost."""
        request, spec = self.request, self.spec
        if self.floor.linear or not self.rules.lock_waiting:
            return (spec.quote, 0)
        if request.side == "sell":
            return (spec.base, spec.size_e8(self.size))
        return (spec.quote, request.quote_amount_e8 or spec.notional_e8(self.amount(self.size)))

    def amount(self, size: int) -> int:
        """Return what it would trade for, in ticks × lots: at its limit, else as the book stands."""
        price = self.request.price if self.request.price is not None else self.request.trigger
        if price is not None:
            return price * size
        return self.floor.cost(self.spec.symbol, self.request.side, size)[1]


_Check: TypeAlias = Callable[[Draft], RejectReason | None]


def trigger_prices(floor: Floor, spec: SimInstrument) -> dict[TriggerPrice, int]:
    """Return the prices that triggers look at, in units of 1e-8. On spot all are the last price."""
    last = spec.price_e8(floor.last_price(spec.symbol))
    if not floor.linear:
        return {"last": last, "mark": last, "index": last}
    state = floor.perpetual(spec.symbol)
    return {"last": last, "mark": state.mark_e8, "index": state.index_e8}


def _permission(draft: Draft) -> RejectReason | None:
    return None if "trade" in draft.account.user.permissions else "not_permitted"


def _shape(draft: Draft) -> RejectReason | None:
    request, linear = draft.request, draft.floor.linear
    limited = request.kind in LIMITED
    attached = (request.take_profit, request.stop_loss)
    sizes = (request.size is not None) + (request.quote_amount_e8 is not None) + request.close_position
    fits = (
        limited == (request.price is not None)
        and draft.waits == (request.trigger is not None)
        and sizes == 1
        and (limited or request.tif not in ("post_only", "gtd"))
        and (request.tif == "gtd") == (request.expires is not None)
        and (request.expires is None or request.expires > draft.floor.now)
        and (request.quote_amount_e8 is None or not (limited or linear))
        and (not request.close_position or (linear and not limited))
        and (linear or not (request.reduce_only or request.position_side))
        and (attached == (None, None) or (linear and not draft.closes))
    )
    prices = (request.price, request.trigger, *attached)
    return None if fits and all(price is None or price > 0 for price in prices) else "bad_request"


def _position_side(draft: Draft) -> RejectReason | None:
    hedge = draft.floor.linear and draft.account.mode == "hedge"
    return None if hedge == (draft.request.position_side is not None) else "position_side"


def _client_id(draft: Draft) -> RejectReason | None:
    rules, client_id = draft.rules, draft.request.client_id
    if client_id is None or rules.client_ids == "accepted":
        return None
    for order in draft.account.with_client_id(client_id):
        apart = rules.triggered == "new_order" and (order.state.trigger is not None) != draft.waits
        if not apart and (rules.client_id_scope == "all" or order.state.is_open):
            draft.existing = order
            return "duplicate_client_id"
    return None


def _band(draft: Draft) -> RejectReason | None:
    request, band = draft.request, draft.rules.band_e8
    if band is None or request.price is None:
        return None
    prices = trigger_prices(draft.floor, draft.spec)
    limit = draft.spec.price_e8(request.price) * _E8
    if request.side == "buy":
        return "price_band" if limit > prices["mark"] * band[1] else None
    return "price_band" if limit < prices["mark"] * band[0] else None


def _trigger(draft: Draft) -> RejectReason | None:
    request = draft.request
    if request.trigger is None or draft.rules.immediate_trigger == "executed":
        return None
    price = trigger_prices(draft.floor, draft.spec)[request.trigger_by]
    struck = is_struck(request.kind, request.side, draft.spec.price_e8(request.trigger), price)
    return "would_trigger_immediately" if struck else None


def _count(draft: Draft) -> RejectReason | None:
    orders = draft.account.open_orders(draft.spec.symbol)
    waiting = sum(order.state.status == "waiting" for order in orders)
    if draft.waits:
        return "too_many_orders" if waiting >= draft.rules.max_waiting else None
    rests = draft.request.kind in LIMITED and draft.request.tif not in ("ioc", "fok")
    return "too_many_orders" if rests and len(orders) - waiting >= draft.rules.max_open else None


def _closing(draft: Draft) -> RejectReason | None:
    """Fit the size of an order that closes to what there is to close."""
    request = draft.request
    if not draft.closes or not draft.floor.linear:
        return None
    opens_side = (request.side, request.position_side) in (("buy", "long"), ("sell", "short"))
    most = 0 if opens_side else draft.account.positions.closable(draft.spec.symbol, request.side)
    if draft.rules.closing_freezes:
        most -= sum(
            order.left
            for order in draft.account.open_orders(draft.spec.symbol)
            if order.closes and order.state.status != "waiting" and order.state.side == request.side
        )
    if most <= 0 or (draft.size > most and draft.rules.reduce_only_excess == "rejected"):
        return "reduce_only"
    draft.size = most if request.close_position else min(draft.size, most)
    return None


def _liquidity(draft: Draft) -> RejectReason | None:
    """Refuse a market order that nobody would meet, and find the size of one given by quote amount."""
    request, symbol = draft.request, draft.spec.symbol
    if request.kind in LIMITED:
        return None
    if draft.floor.cost(symbol, request.side, 1)[0] == 0:
        return "no_liquidity"
    if request.quote_amount_e8 is not None:
        amount = request.quote_amount_e8 // draft.spec.notional_e8(1)
        draft.size = draft.floor.affordable(symbol, request.side, amount)
    return None


def _size(draft: Draft) -> RejectReason | None:
    rules = draft.rules
    most = rules.max_lots
    if draft.request.kind not in LIMITED and rules.max_market_lots is not None:
        most = rules.max_market_lots
    if draft.size < (1 if draft.closes else rules.min_lots):
        return "min_size"
    return "max_size" if draft.size > most else None


def _notional(draft: Draft) -> RejectReason | None:
    if draft.closes and not draft.rules.notional_on_reduce:
        return None
    amount = draft.spec.notional_e8(draft.amount(draft.size))
    return "min_notional" if amount < draft.rules.min_notional_e8 else None


def _sized(draft: Draft) -> RejectReason | None:
    """Check what a waiting order says about its size; the rest must wait with it."""
    if draft.request.size is not None:
        return _size(draft) or _notional(draft)
    quote = draft.request.quote_amount_e8
    return "min_notional" if quote is not None and quote < draft.rules.min_notional_e8 else None


def _lock(draft: Draft) -> RejectReason | None:
    currency, amount = draft.waiting_lock()
    return "insufficient_funds" if amount > draft.account.unlocked(currency) else None


def _crossing(draft: Draft) -> RejectReason | None:
    request = draft.request
    if request.tif != "post_only" or request.price is None or draft.rules.post_only == "expired":
        return None
    best = draft.floor.best(draft.spec.symbol)
    crosses = request.price >= best.ask > 0 if request.side == "buy" else request.price <= best.bid
    return "post_only_would_cross" if crosses else None


def _funds(draft: Draft) -> RejectReason | None:
    short = _lacks_margin(draft) if draft.floor.linear else _lacks_coins(draft)
    return "insufficient_funds" if short else None


def _lacks_coins(draft: Draft) -> bool:
    spec, account = draft.spec, draft.account
    if draft.request.side == "sell":
        return spec.size_e8(draft.size) > account.unlocked(spec.base)
    return spec.notional_e8(draft.amount(draft.size)) > account.unlocked(spec.quote)


def _lacks_margin(draft: Draft) -> bool:
    spec, request, margins = draft.spec, draft.request, draft.margins
    price = request.price
    if price is None:
        lots, amount = draft.floor.cost(spec.symbol, request.side, draft.size)
        price = -(-amount // lots)
    elif request.side == "sell":
        price = max(price, draft.floor.best(spec.symbol).bid)
    prospect = Prospect(request.side, price, draft.size, draft.closes, request.position_side)
    needed = margins.needed(draft.account, spec, prospect)
    if needed == 0:
        return False
    fee = margins.fee(spec.notional_e8(price * draft.size), draft.rules.taker_e8)
    return needed + max(0, fee) > margins.balance(draft.account, spec.settle or spec.quote).free_e8


_ENTRY: Final[tuple[_Check, ...]] = (_permission, _shape, _position_side, _client_id, _trigger, _count, _band)
_ARRIVAL: Final[tuple[_Check, ...]] = (_closing, _liquidity, _size, _notional, _crossing, _funds)
_WAITING: Final[tuple[_Check, ...]] = (_sized, _lock)


def refusal_of_entry(draft: Draft) -> RejectReason | None:
    """Return why an order is not taken in, apart from what depends on its meeting the book now."""
    checks = _ENTRY + _WAITING if draft.waits else _ENTRY
    return next((reason for check in checks if (reason := check(draft)) is not None), None)


def refusal_of_arrival(draft: Draft) -> RejectReason | None:
    """Return why an order cannot go to the book now; sets the draft's size."""
    return next((reason for check in _ARRIVAL if (reason := check(draft)) is not None), None)
